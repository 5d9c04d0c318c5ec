"""The handlers of one peer: run, awaited, cancelled, and their outcome handed to the peer. No bytes are seen here.

A handler that can finish at once is finished where its request was received; every other one gets a task of its own
from its first instruction on. What carries the messages is the subclass's affair.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Cancelled, Notified, Violation
from mcpcore.core.exchange import Exchange, Pending
from mcpcore.core.peer import Peer
from mcpcore.errors import McpError, RpcError
from mcpcore.spec import codes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpcore.core.events import Event
    from mcpcore.core.limits import Limits
    from mcpcore.core.policy import Door

__all__ = ["Serving"]

log = logging.getLogger("mcpcore.wire")

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Serving:
    """``on_notified(serving, event)`` gets every notification that the core leaves to the application."""

    def __init__(
        self, door: Door, limits: Limits, *, server: bool, on_notified: Callable[[Any, Notified], None]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.current_thread()
        self.limits = limits
        self.door = door
        self.peer = Peer(door, limits, server=server, mint=self._mint, wake=self._wake)
        self.peer.shell = self
        self.on_notified = on_notified
        self.tasks: set[asyncio.Task[None]] = set()
        self.lost: McpError | None = None
        self._last_id = 0

    @property
    def endpoint(self) -> str:
        """What errors and the log call the other side."""
        return "client" if self.peer.server else "server"

    def _wake(self) -> None:
        """A frame lies in the peer's outbox, which was empty before."""

    def _handle(self, event: Event | list[Event]) -> None:
        if type(event) is Pending:
            waiter = event.waiter
            if waiter is not None and not waiter.done():
                if event.error is None:
                    waiter.set_result(event.result)
                else:
                    waiter.set_exception(event.error)
        elif type(event) is Exchange:
            self._serve(event)
        elif type(event) is Notified:
            self.on_notified(self, event)
        elif type(event) is Cancelled:
            self._cancel(event)
        elif type(event) is Violation:
            log.warning("%s: %s%s", self.endpoint, event.text, f": {event.detail!r}" if event.detail else "")
        else:
            for one in event:  # type: ignore[union-attr]
                self._handle(one)

    def _serve(self, exchange: Exchange) -> None:
        try:
            outcome = exchange.serve(exchange)
            if outcome is None:
                return
            if type(outcome) is bytes or type(outcome) is dict:
                self.peer.answer(exchange, outcome)
                return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # CancelledError and SystemExit too: the conversation goes on
            self._fail(exchange, error)
            return
        self._start(exchange, outcome)  # type: ignore[arg-type]

    def _start(self, exchange: Exchange, outcome: Awaitable[bytes | dict[str, Any] | None]) -> None:
        coroutine = self._run(exchange, outcome)
        if _EAGER:
            task: asyncio.Task[None] = asyncio.Task(coroutine, loop=self.loop, **_EAGER)
            if task.done():
                return
        else:
            task = self.loop.create_task(coroutine)
        exchange.task = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def spawn(self, coroutine: Awaitable[Any], what: str) -> None:
        """Run something that has no answer; its failure goes to the log."""
        task = self.loop.create_task(self._run_unanswered(coroutine, what))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run_unanswered(self, outcome: Awaitable[Any], what: str) -> None:
        try:
            await outcome
        except Exception as error:
            logging.getLogger("mcpcore").error("%s failed", what, exc_info=error)

    def _stop(self, task: asyncio.Task[None]) -> None:
        """Cancel a task. One that has not begun (it is not eager before Python 3.12) would leave what it was to await
        behind, and its request without an answer."""
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            held = inspect.getcoroutinelocals(coroutine)
            if inspect.iscoroutine(held["outcome"]):
                held["outcome"].close()
            if "exchange" in held:
                self._fail(held["exchange"], asyncio.CancelledError())
        task.cancel()

    async def _run(self, exchange: Exchange, outcome: Awaitable[bytes | dict[str, Any] | None]) -> None:
        try:
            result = await outcome
            if result is not None:
                self.peer.answer(exchange, result)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self._fail(exchange, error)

    def _fail(self, exchange: Exchange, error: BaseException) -> None:
        """An ``RpcError`` is the answer; anything else is a fault of ours: its details go to the log alone."""
        if isinstance(error, asyncio.CancelledError):
            error = RpcError(codes.INTERNAL_ERROR, f"{exchange.method}: the handler was cancelled")
        elif not isinstance(error, RpcError):
            logging.getLogger("mcpcore").error("%s failed", exchange, exc_info=error)
            error = self._internal_error(exchange)
        for said in (error, RpcError(error.code, str(error.message)), self._internal_error(exchange)):
            try:
                self.peer.fail(exchange, said)
                return
            except TypeError as fault:  # its data, or even its message, is nothing that JSON can say
                logging.getLogger("mcpcore").error("%s: its error cannot be sent as it is: %s", exchange, fault)

    def _internal_error(self, exchange: Exchange) -> RpcError:
        side = "server" if self.peer.server else "client"
        text = f"{exchange.method[:200]}: internal error; the {side}'s log has the details"
        return RpcError(codes.INTERNAL_ERROR, text)

    def _cancel(self, event: Cancelled) -> None:
        exchange = event.exchange
        log.debug("%s: %s was cancelled by its peer: %s", self.endpoint, exchange, event.reason)
        if exchange.on_cancel is not None:
            exchange.on_cancel()
        if exchange.task is not None:
            self._stop(exchange.task)

    def _mint(self) -> int:
        self._last_id += 1
        return self._last_id

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, params: dict[str, Any] | None, related: Exchange | None = None, id: int | str | None = None
    ) -> Pending:
        """Send a request. ``pending.waiter`` is a future of its result; it fails with one typed error.

        ``id`` is one that ``peer.mint`` gave, for a request that has to name itself.
        """
        if self.lost is not None:
            raise self.lost
        pending = self.peer.request(method, params, related, id)
        pending.waiter = self.loop.create_future()
        return pending

    def _lose(self, error: McpError) -> None:
        for pending in self.peer.lose(error):
            if pending.waiter is not None and not pending.waiter.done():
                pending.waiter.set_exception(error)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def stop_tasks(self, seconds: float = 1.0) -> None:
        """Cancel every handler and give them so long to end."""
        for task in set(self.tasks):
            self._stop(task)
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=seconds)
