"""What a handler sees of its request: ``Context`` for coroutines, ``SyncContext`` for functions in worker threads.

A context has no state of its own: it reads the exchange and speaks through it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from mcpcore.errors import InvalidResult, UsageError
from mcpcore.jsonrpc.codec import encode
from mcpcore.spec.meta import PROGRESS_TOKEN, SEVERITY
from mcpcore.types import (
    CreateMessageResult,
    Elicit,
    ElicitResult,
    ElicitUrl,
    Implementation,
    ListRoots,
    Question,
    ReadResourceResult,
    Root,
    Sample,
    from_wire,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server
    from mcpcore.server.threads import Workers
    from mcpcore.spec.revisions import Revision

__all__ = ["Context", "SyncContext"]

T = TypeVar("T")
_log = logging.getLogger("mcpcore.server")


class _Facts:
    """What both contexts tell about the request."""

    __slots__ = ("_exchange", "_server")

    def __init__(self, exchange: Exchange, server: Server) -> None:
        self._exchange = exchange
        self._server = server

    @property
    def request_id(self) -> int | str:
        """The JSON-RPC id of this request."""
        return self._exchange.id

    @property
    def method(self) -> str:
        return self._exchange.method

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's ``_meta``, empty where there is none."""
        return self._exchange.meta or {}

    @property
    def revision(self) -> Revision:
        """The protocol revision of this request; ``str(ctx.revision)`` is its date."""
        return self._exchange.revision

    @property
    def client(self) -> Implementation | None:
        """Who the client says it is, ``None`` where it did not say so in a readable form. Not verified: for display and
        logs, not for decisions."""
        info = self._exchange.policy.client_info(self._exchange)
        try:
            return from_wire(Implementation, info) if info is not None else None
        except InvalidResult:
            return None

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self._exchange.capabilities

    @property
    def principal(self) -> str:
        """Whom the authorization hook found, else ``"anonymous"``."""
        return self._exchange.principal

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP headers of this request, with lower-case names; empty on transports that have none."""
        return MappingProxyType(self._exchange.headers or {})

    @property
    def lifespan(self) -> Any:
        """What the server's ``lifespan`` yielded, else ``None``."""
        return self._server.lifespan_in(self._exchange.peer.shell.loop)

    @property
    def replaying(self) -> bool:
        """Whether the handler runs again over answers that it had before; logs and progress are muted meanwhile."""
        asking = self._exchange.asking
        return asking is not None and asking.replaying

    @property
    def input_responses(self) -> Mapping[str, Any] | None:
        """The raw answers to a returned ``InputRequired``, by key; ``None`` in the first round."""
        return self._asking().input_responses  # type: ignore[no-any-return]

    @property
    def request_state(self) -> str | None:
        """The ``request_state`` of the ``InputRequired`` returned in the round before, verified."""
        return self._asking().request_state  # type: ignore[no-any-return]

    def now(self) -> float:
        """Seconds since the epoch; the same value again on replay."""
        return self._asking().now()  # type: ignore[no-any-return]

    def random(self) -> float:
        """A random number from 0 to 1; the same value again on replay."""
        return self._asking().random()  # type: ignore[no-any-return]

    def notify_tools_changed(self) -> None:
        self._server.notify_tools_changed()

    def notify_prompts_changed(self) -> None:
        self._server.notify_prompts_changed()

    def notify_resources_changed(self) -> None:
        self._server.notify_resources_changed()

    def notify_resource_updated(self, uri: str) -> None:
        self._server.notify_resource_updated(uri)

    def _asking(self) -> Any:
        exchange = self._exchange
        if exchange.asking is None:
            exchange.asking = exchange.policy.asker(exchange)
        return exchange.asking

    def _log(self, level: str, data: Any, logger: str | None) -> None:
        exchange = self._exchange
        rank = SEVERITY.get(level)
        if rank is None:
            raise UsageError(f"ctx.log: the level must be one of {', '.join(SEVERITY)}")
        threshold = exchange.policy.log_threshold(exchange)
        if threshold is None or rank < SEVERITY[threshold] or self.replaying or not self._server.logging:
            return
        params: dict[str, Any] = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        try:
            encode(data)
        except TypeError as error:
            raise UsageError(f"ctx.log: the data must be a JSON value: {error}") from None
        self._emit(exchange.notify, "notifications/message", params)

    @property
    def _way(self) -> Any:
        """What carries the messages of this request and may be slow: a stream of its own, or the one pipe."""
        return self._exchange.stream or self._exchange.peer.shell

    def _emit(self, function: Callable[..., None], *arguments: Any) -> None:
        """Speak through the exchange; only the loop's thread may touch it."""
        function(*arguments)

    def _close_stream(self, retry: float) -> None:
        stream = self._exchange.stream
        if stream is not None:
            self._emit(stream.disconnect, retry)

    def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Strictly increasing: a value that is not above the last one is dropped (basic/patterns/progress)."""
        exchange = self._exchange
        token = exchange.meta.get(PROGRESS_TOKEN) if exchange.meta else None
        if not _is_number(progress) or not (total is None or _is_number(total)):
            raise UsageError("ctx.progress: progress and total must be finite numbers")
        if (type(token) is not int and type(token) is not str) or self.replaying or not exchange.open:
            return
        if exchange.progress is not None and progress <= exchange.progress:
            _log.debug("%s: progress %r dropped, it is not above %r", exchange, progress, exchange.progress)
            return
        exchange.progress = progress
        params: dict[str, Any] = {"progressToken": token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None and exchange.revision.progress_message:
            params["message"] = message
        self._emit(_send_progress, exchange, params)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _send_progress(exchange: Exchange, params: dict[str, Any]) -> None:
    if exchange.open:
        exchange.peer.notify_progress(exchange, params)


class Context(_Facts):
    """The context of a coroutine handler. Declare a parameter with this annotation, under any name."""

    __slots__ = ()

    @property
    def cancelled(self) -> bool:
        """Whether the client cancelled this request. A coroutine is cancelled as well."""
        return self._exchange.cancelled

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Send a log message to the client, if it wants this level for this request. ``data`` is any JSON value."""
        self._log(level, data, logger)
        await self._way.drained()

    async def debug(self, data: Any) -> None:
        await self.log("debug", data)

    async def info(self, data: Any) -> None:
        await self.log("info", data)

    async def warning(self, data: Any) -> None:
        await self.log("warning", data)

    async def error(self, data: Any) -> None:
        await self.log("error", data)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress, if the client gave a token. Values must rise; unsent ones give way to later ones."""
        self._progress(progress, total, message)
        await self._way.drained()

    async def close_stream(self, retry: float = 1.0) -> None:
        """End the HTTP connection that waits for this request; the client comes back for the rest after ``retry``
        seconds, and nothing is lost (2025-11-25, transports#sending-messages-to-the-server).

        Nothing happens where there is no such connection, or where its client could not come back: on stdio, without a
        session, in 2026-07-28.
        """
        self._close_stream(retry)

    async def elicit(self, message: str, schema: Any, *, key: str | None = None) -> ElicitResult:
        """Ask the user to fill in a form: ``schema`` is a JSON Schema object, a dataclass, TypedDict or Struct.

        ``result.data`` holds the content as that type when ``result.action == "accept"``. Raises ``RpcError`` where the
        client cannot be asked, ``QuestionFailed`` where it answers with an error, ``AnswerTimeout``, and ``UsageError``
        for a form that is not flat or a ``key`` that was used before. In the modern era the handler is run again for
        each round of answers.
        """
        return await self._asking().ask(Elicit(message, schema), key)  # type: ignore[no-any-return]

    async def elicit_url(self, message: str, url: str, *, key: str | None = None) -> ElicitResult:
        """Ask the user to open ``url`` (from 2025-11-25 on)."""
        return await self._asking().ask(ElicitUrl(message, url), key)  # type: ignore[no-any-return]

    async def sample(
        self, messages: Any, max_tokens: int = 1024, *, key: str | None = None, **options: Any
    ) -> CreateMessageResult:
        """Ask the client's model. ``messages`` and ``options`` are those of ``Sample``."""
        return await self._asking().ask(Sample(messages, max_tokens, **options), key)  # type: ignore[no-any-return]

    async def roots(self, *, key: str | None = None) -> list[Root]:
        """Ask for the client's roots."""
        return await self._asking().ask(ListRoots(), key)  # type: ignore[no-any-return]

    async def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        """Ask several independent questions in one round; the answers come under the same keys."""
        return await self._asking().ask_all(questions)  # type: ignore[no-any-return]

    async def once(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function`` once, also when the handler is run again: its JSON result, or its failure, is recorded.

        What it gives is what the record gives: a tuple is a list. ``ToolError``, ``RpcError`` and Python's own
        exceptions are raised as they are, all others as ``OnceFailed``. The client can read the record. Raises
        ``UsageError`` for a name that was used before, and for a result that is no JSON value.
        """
        return await self._asking().once(name, function, *arguments)

    async def read_resource(self, uri: str) -> ReadResourceResult:
        """Read a resource of this server."""
        return await self._server.read_resource(uri, self._exchange)


class _Cancelled(threading.Event):
    """Set when nobody wants the result any more: then every wait for an answer ends, and its question is withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: set[Future[Any]] = set()

    def set(self) -> None:
        super().set()
        for wait in tuple(self.waits):
            wait.cancel()


class SyncContext(_Facts):
    """The context of a plain function in a worker thread: the same names, blocking."""

    __slots__ = ("_loop", "_workers", "cancelled")

    def __init__(self, exchange: Exchange, server: Server, workers: Workers | None) -> None:
        super().__init__(exchange, server)
        self._loop = asyncio.get_running_loop()
        self._workers = workers
        self.cancelled = _Cancelled()
        """Set when the client cancels or goes away, or time is up: a thread cannot be interrupted, so look at it
        (``ctx.cancelled.is_set()``)."""

    def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """See ``Context.log``. Waits while the client does not read, unless this is the loop's thread."""
        self._log(level, data, logger)
        way = self._way
        if self._workers is not None and way.congested:
            self._wait(way.drained())

    def debug(self, data: Any) -> None:
        self.log("debug", data)

    def info(self, data: Any) -> None:
        self.log("info", data)

    def warning(self, data: Any) -> None:
        self.log("warning", data)

    def error(self, data: Any) -> None:
        self.log("error", data)

    def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """See ``Context.progress``."""
        self._progress(progress, total, message)

    def close_stream(self, retry: float = 1.0) -> None:
        """See ``Context.close_stream``."""
        self._close_stream(retry)

    def elicit(self, message: str, schema: Any, *, key: str | None = None) -> ElicitResult:
        """See ``Context.elicit``."""
        return self._wait(self._asking_on_loop("ask", Elicit(message, schema), key))  # type: ignore[no-any-return]

    def elicit_url(self, message: str, url: str, *, key: str | None = None) -> ElicitResult:
        """See ``Context.elicit_url``."""
        return self._wait(self._asking_on_loop("ask", ElicitUrl(message, url), key))  # type: ignore[no-any-return]

    def sample(
        self, messages: Any, max_tokens: int = 1024, *, key: str | None = None, **options: Any
    ) -> CreateMessageResult:
        """See ``Context.sample``."""
        question = Sample(messages, max_tokens, **options)
        return self._wait(self._asking_on_loop("ask", question, key))  # type: ignore[no-any-return]

    def roots(self, *, key: str | None = None) -> list[Root]:
        """See ``Context.roots``."""
        return self._wait(self._asking_on_loop("ask", ListRoots(), key))

    def ask_all(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        """See ``Context.ask_all``."""
        return self._wait(self._asking_on_loop("ask_all", questions))

    def once(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """See ``Context.once``; ``function`` is a plain function, and runs in this thread."""
        coroutine = self._asking().once(name, function, *arguments)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        coroutine.close()
        raise UsageError(f"ctx.once({name!r}, ...): a handler in a thread takes a plain function here, no coroutine")

    def read_resource(self, uri: str) -> ReadResourceResult:
        """See ``Context.read_resource``."""
        return self._wait(self._server.read_resource(uri, self._exchange))

    async def _asking_on_loop(self, name: str, *arguments: Any) -> Any:
        return await getattr(self._asking(), name)(*arguments)

    def _emit(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._workers is None:
            function(*arguments)
        else:
            self._loop.call_soon_threadsafe(function, *arguments)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._workers is None:
            coroutine.close()
            raise UsageError(
                "a handler with thread='loop' cannot wait for an answer; make it async, or leave thread out"
            )
        with self._workers.waiting():
            wait = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            waits = self.cancelled.waits
            waits.add(wait)
            try:
                if self.cancelled.is_set():  # perhaps before it was added
                    wait.cancel()
                return wait.result()
            except CancelledError:
                raise asyncio.CancelledError from None  # no handler's "except Exception" may stop it
            finally:
                waits.discard(wait)
