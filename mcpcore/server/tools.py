"""Tools: what is registered, and how one call runs. Chosen at registration: one way of running for each kind of
handler.

A call that can finish at once gets no task, no scope and no stream: a function on the loop, and a coroutine function
that has no suspension point in its own code, run in a fresh context copy within the turn that read the request.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/tools
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mcpcore.errors import QuestionFailed, RpcError, ToolError, UsageError
from mcpcore.jsonrpc.codec import encode
from mcpcore.server.context import Context, SyncContext
from mcpcore.server.results import error_result, tool_result
from mcpcore.server.running import Kind, kind_of
from mcpcore.server.schema import ArgumentError, OutputError
from mcpcore.server.sealing import SpentFull, tag_and_expiry
from mcpcore.server.threads import Workers
from mcpcore.spec import codes
from mcpcore.types import InputRequired, ToolResult

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server
    from mcpcore.server.signature import OutputSpec, Signature
    from mcpcore.types import Tool

__all__ = ["RegisteredTool"]

_log = logging.getLogger("mcpcore.server")

Result = bytes | dict[str, Any]
ServeCall = Callable[["Exchange", "dict[str, Any] | None"], "Result | Awaitable[Result | None]"]

_TEXT_OPEN = b'"content":[{"type":"text","text":'
_TEXT_CLOSE = b"}]"


class RegisteredTool:
    """One tool. ``serve(exchange, arguments)`` runs it."""

    def __init__(
        self,
        server: Server,
        definition: Tool,
        fn: Callable[..., Any],
        signature: Signature,
        output: OutputSpec | None,
        *,
        thread: str,
        timeout: float | None,
        concurrency: int | None,
        queue: int | None,
        single_use: bool,
    ) -> None:
        self.server = server
        self.definition = definition
        self.fn = fn
        self.signature = signature
        self.output = output
        self.timeout = timeout
        self.concurrency = concurrency
        self.queue = queue
        self.single_use = single_use
        self._call = signature.call
        self._wants_context = signature.context_parameter is not None
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, _Gate] = WeakKeyDictionary()
        self._kind = kind_of(fn)
        self._thread = thread
        self._workers = Workers(1, 0, f"mcpcore-{definition.name}") if thread == "dedicated" else server.workers
        self.serve: ServeCall = self._choose(self._kind, thread)

    def _choose(self, kind: Kind, thread: str) -> ServeCall:
        limited = self.timeout is not None or self.concurrency is not None or self.single_use
        if kind is Kind.FUNCTION:
            if thread != "loop":
                run: Callable[[Exchange, dict[str, Any] | None], Awaitable[Result | None]] = self._in_thread
            elif not limited:
                return self._function
            else:
                run = self._function_later
        elif kind is Kind.UNSUSPENDED and not limited:
            return self._coroutine_at_once
        else:
            run = self._coroutine
        return self._limited(run) if limited else run

    # -- five ways to run ----------------------------------------------------------------------------------------------

    def _function(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Result:
        context = SyncContext(exchange, self.server, None) if self._wants_context else None
        try:
            value = copy_context().run(self._call, arguments, context)
            if type(value) is str and self.output is None:
                return b"".join((_TEXT_OPEN, encode(value), _TEXT_CLOSE))
        except Exception as error:
            return self._failed(exchange, error)
        return self._finished(exchange, value)  # type: ignore[return-value]

    async def _function_later(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Result | None:
        return self._function(exchange, arguments)

    def _coroutine_at_once(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Result | Awaitable[Result]:
        context = Context(exchange, self.server) if self._wants_context else None
        try:
            # One context copy for the call and the whole run of its coroutine, as a task of its own would have.
            value = copy_context().run(_complete, self._call, arguments, context)
            if type(value) is str and self.output is None:
                return b"".join((_TEXT_OPEN, encode(value), _TEXT_CLOSE))
        except Exception as error:
            return self._failed(exchange, error)
        return self._finished(exchange, value)

    async def _coroutine(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Result | None:
        context = Context(exchange, self.server) if self._wants_context else None
        try:
            value = await self._call(arguments, context)
            if type(value) is str and self.output is None and exchange.asking is None:
                return b"".join((_TEXT_OPEN, encode(value), _TEXT_CLOSE))
        except BaseException as error:
            return self._failed(exchange, error)
        result = self._finished(exchange, value)
        return result if type(result) is bytes or type(result) is dict else await result  # type: ignore[misc]

    async def _in_thread(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Result | None:
        try:
            value = await self._value_from_thread(exchange, arguments)
            if type(value) is str and self.output is None and exchange.asking is None:
                return b"".join((_TEXT_OPEN, encode(value), _TEXT_CLOSE))
        except BaseException as error:
            return self._failed(exchange, error)
        result = self._finished(exchange, value)
        return result if type(result) is bytes or type(result) is dict else await result  # type: ignore[misc]

    async def _value_from_thread(self, exchange: Exchange, arguments: dict[str, Any] | None) -> Any:
        workers = self._workers
        context = SyncContext(exchange, self.server, workers) if self._wants_context else None
        variables, cancelled = copy_context(), None if context is None else context.cancelled
        return await workers.run(lambda: variables.run(self._call, arguments, context), cancelled)

    def _limited(self, run: Callable[[Exchange, dict[str, Any] | None], Awaitable[Result | None]]) -> ServeCall:
        async def serve(exchange: Exchange, arguments: dict[str, Any] | None) -> Result | None:
            async with self._gate():
                if self.single_use:  # not before: a call that finds no place may come again with the same state
                    self._spend(exchange)
                try:
                    async with asyncio.timeout(self.timeout):
                        return await run(exchange, arguments)
                except TimeoutError:
                    text = f"The tool {self.definition.name} was stopped: it took longer than {self.timeout:g} seconds"
                    return error_result(text)

        return serve

    # -- how it ended --------------------------------------------------------------------------------------------------

    def _finished(self, exchange: Exchange, value: Any) -> Result | Awaitable[Result]:
        asking = exchange.asking
        if asking is not None and asking.stopped:
            return self._stopped(exchange)
        if isinstance(value, InputRequired):
            return self._input_required(exchange, value)
        try:
            if self.output is None or isinstance(value, ToolResult):
                return self._checked(tool_result(value))
            return self._structured(exchange, value)
        except (UsageError, OutputError, TypeError) as error:
            return self._crashed(exchange, error)

    def _structured(self, exchange: Exchange, value: Any) -> Result:
        output = self.output
        assert output is not None
        structured = output.encode(value)
        natural = structured["result"] if output.wrapped else structured
        text = natural if type(natural) is str else encode(natural).decode()
        return {"content": [{"type": "text", "text": text}], "structuredContent": structured}

    def _checked(self, result: dict[str, Any]) -> dict[str, Any]:
        """A ``ToolResult`` made by hand keeps the promise of the output schema too."""
        if self.output is not None and not result.get("isError"):
            if "structuredContent" not in result:
                raise UsageError("the tool has an output schema, but its ToolResult has no structured_content")
            fault = self.output.check(result["structuredContent"])
            if fault is not None:
                raise UsageError(f"structured_content does not fit the output schema: {fault}")
        return result

    def _failed(self, exchange: Exchange, error: BaseException) -> Result:
        asking = exchange.asking
        if asking is not None and asking.stopped and not exchange.cancelled:
            return self._stopped(exchange)
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, ToolError):
            return error_result(str(error))
        if isinstance(error, ArgumentError):
            return self._refused(exchange, error)
        if isinstance(error, QuestionFailed):
            return error_result(f"The tool {self.definition.name} asked the client, which answered with: {error}")
        if isinstance(error, RpcError) or not isinstance(error, Exception):
            raise error
        return self._crashed(exchange, error)

    def _stopped(self, exchange: Exchange) -> Result:
        """The handler asked something that has no answer yet, or something that it may not."""
        try:
            return exchange.asking.outcome()  # type: ignore[no-any-return]
        except UsageError as error:
            return self._crashed(exchange, error)

    def _refused(self, exchange: Exchange, error: ArgumentError) -> Result:
        """Invalid arguments: an ``isError`` result from 2025-11-25 on, a protocol error before
        (server/tools#error-handling)."""
        text = f"{self.definition.name}: {error}"
        detail = {"path": error.path, "keyword": error.keyword, "expected": error.expected}
        if not exchange.revision.argument_errors_are_results:
            raise RpcError(codes.INVALID_PARAMS, text, detail)
        return error_result(text, {"dev.mcpcore/argumentError": detail})

    def _crashed(self, exchange: Exchange, error: Exception) -> Result:
        _log.error("tool %s failed (%s)", self.definition.name, exchange, exc_info=error)
        return error_result(f"The tool {self.definition.name} failed; the server's log has the details")

    # -- rounds, limits ------------------------------------------------------------------------------------------------

    async def _input_required(self, exchange: Exchange, required: InputRequired) -> Result:
        """The handler holds the rounds in its own hand."""
        try:
            if exchange.asking is None:
                exchange.asking = exchange.policy.asker(exchange)
            done, value = await exchange.asking.rounds(required, lambda: self._again(exchange))
        except BaseException as error:
            return self._failed(exchange, error)
        return value if done else self._finished(exchange, value)  # type: ignore[return-value]

    async def _again(self, exchange: Exchange) -> Any:
        arguments = exchange.params.get("arguments")
        if self._kind is not Kind.FUNCTION:
            return await self._call(arguments, Context(exchange, self.server) if self._wants_context else None)
        if self._thread == "loop":
            context = SyncContext(exchange, self.server, None) if self._wants_context else None
            return copy_context().run(self._call, arguments, context)
        return await self._value_from_thread(exchange, arguments)

    def _spend(self, exchange: Exchange) -> None:
        """A ``single_use`` tool takes each requestState once (patterns/mrtr#server-requirements-basic-workflow)."""
        state = exchange.asking.state if exchange.asking is not None else None
        if state is None:
            return
        tag, expires = tag_and_expiry(state)
        try:
            fresh = self.server.spent.spend(tag, expires, time.time())
        except SpentFull as error:
            raise RpcError(codes.OVERLOADED, str(error)) from None
        if not fresh:
            text = (
                "tools/call: this requestState was used before, and the tool takes each only once; start the call over"
            )
            raise RpcError(codes.INVALID_PARAMS, text, {"reason": "spent"})

    def _gate(self) -> _Gate:
        loop = asyncio.get_running_loop()
        gate = self._gates.get(loop)
        if gate is None:
            gate = self._gates[loop] = _Gate(self.definition.name, self.concurrency, self.queue)
        return gate


class _Gate:
    """At most ``concurrency`` calls at once and ``queue`` waiting; one more is told to come again later."""

    def __init__(self, name: str, concurrency: int | None, queue: int | None) -> None:
        self._name = name
        self._semaphore = asyncio.Semaphore(concurrency) if concurrency is not None else None
        self._concurrency = concurrency
        self._queue = queue
        self._waiting = 0

    async def __aenter__(self) -> None:
        semaphore = self._semaphore
        if semaphore is None:
            return
        if semaphore.locked() and self._queue is not None and self._waiting >= self._queue:
            text = (
                f"tools/call: {self._name} is busy: {self._concurrency} calls run and {self._queue} wait; retry later"
            )
            raise RpcError(codes.OVERLOADED, text, {"limit": self._concurrency, "retryAfterMs": 1000})
        self._waiting += 1
        try:
            await semaphore.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *error: object) -> None:
        if self._semaphore is not None:
            self._semaphore.release()


def _complete(call: Callable[..., Any], arguments: dict[str, Any] | None, context: Any) -> Any:
    """Run a coroutine that has no suspension point to its end."""
    coroutine = call(arguments, context)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a coroutine without a suspension point was suspended")
