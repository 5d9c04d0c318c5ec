"""One peer on one channel: an asyncio protocol that reads, feeds the peer, runs handlers and writes.

It moves data and owns tasks; what a message means is decided below it. A handler that can finish at once is finished
in the turn that read its request; every other one gets a task of its own from its first instruction on. One write
per turn.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import sys
import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Cancelled, Notified, Violation
from mcpcore.core.exchange import Exchange, Pending
from mcpcore.core.peer import Peer
from mcpcore.eras.door import ServerDoor
from mcpcore.errors import Closed, ConnectionLost, McpError, RpcError
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.spec import codes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcpcore.core.events import Event
    from mcpcore.core.limits import Limits
    from mcpcore.core.policy import Door, Service
    from mcpcore.spec.revisions import Revision

__all__ = ["Runner", "server_runner"]

log = logging.getLogger("mcpcore.wire")

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Runner(asyncio.Protocol):
    """``on_notified(runner, event)`` gets every notification that the core leaves to the application.

    The environment variable ``MCPCORE_WIRE_LOG`` has every frame recorded (``mcpcore.tap``).
    """

    def __init__(
        self,
        door: Door,
        limits: Limits,
        *,
        server: bool,
        on_notified: Callable[[Runner, Notified], None],
        on_closed: Callable[[Runner, Exception | None], None] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.current_thread()
        self.limits = limits
        self.door = door
        self.peer = Peer(door, limits, server=server, mint=self._mint, wake=self._wake)
        self.peer.shell = self
        self.channel: Any = None
        self.on_notified = on_notified
        self.on_closed = on_closed
        self.tap = _wire_log()
        """Sees every frame: ``tap(direction, frame)``, ``"in"`` or ``"out"``."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self.input_ended: asyncio.Future[None] = self.loop.create_future()
        self.lost: McpError | None = None
        self._framer = LineFramer(limits.max_message_bytes)
        self._backlog: deque[bytes | Oversized] = deque()
        self._last_id = 0
        self._eof = False
        self._in_turn = False
        self._flush_due = False
        self._turn_due = False
        self._congested = False
        self._stalled = False
        self._reading = True
        self._held = False
        self._refused = False
        self._drained: asyncio.Future[None] | None = None

    # -- the channel calls ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.channel = transport
        transport.set_write_buffer_limits(high=self.limits.write_high_water)
        if self._refused:
            transport.abort()
            return
        if self._held:
            transport.pause_reading()
            self._reading = False
        if self.peer.outbox:
            self._wake()

    def data_received(self, data: bytes) -> None:
        self._backlog.extend(self._framer.feed(data))
        if not self._turn_due and not self._held:
            self._turn()

    def eof_received(self) -> bool:
        self._eof = True
        self._backlog.extend(self._framer.finish())
        if not self._held:
            self._turn()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._backlog.clear()
        if self.lost is None:
            reason = (
                f"the connection was lost ({exc})" if exc is not None else "the connection was closed by the other side"
            )
            self.lost = ConnectionLost(reason, endpoint=self.endpoint, stderr=self.stderr_tail())
        self._lose(self.lost)
        for task in self.tasks:
            self._stop(task)
        self.resume_writing()
        if not self.input_ended.done():
            self.input_ended.set_result(None)
        if not self.closed.done():
            self.closed.set_result(None)
        if self.on_closed is not None:
            self.on_closed(self, exc)

    def pause_writing(self) -> None:
        """A server stops serving until its client reads. A client reads on: two sides that wait for each other to read
        would wait for ever."""
        self._congested = True
        if self.peer.server:
            self._stalled = True
            self._set_reading(False)

    def resume_writing(self) -> None:
        self._congested = self._stalled = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self.channel is not None and not self.channel.is_closing():
            if self.peer.outbox:
                self._wake()
            if self._backlog:
                self._schedule_turn()
            else:
                self._set_reading(True)

    # -- a turn --------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Serve what has come, for as long as a turn may last, then write once."""
        self._turn_due = False
        backlog = self._backlog
        receive, serve, tap = self.peer.receive, self._serve, self.tap
        budget = self.limits.turn_messages
        deadline = perf_counter() + self.limits.turn_seconds
        self._in_turn = True
        try:
            while backlog and budget and not self._stalled:
                frame = backlog.popleft()
                if tap is not None and type(frame) is bytes and frame:
                    tap("in", frame)
                event = receive(frame)
                if type(event) is Exchange:
                    serve(event)
                    if perf_counter() > deadline:
                        break
                elif event is not None:
                    self._handle(event)
                budget -= 1
        except Exception:  # a fault of ours; what came behind it is still to be served
            log.exception("%s: a message could not be handled", self.endpoint)
        finally:
            self._in_turn = False
            if self.peer.outbox:
                self._flush()
        if backlog and not self._stalled:
            self._set_reading(False)
            self._schedule_turn()
        elif not self._reading and not self._stalled:
            self._set_reading(True)
        if self._eof and not backlog and not self.input_ended.done():
            self.input_ended.set_result(None)

    def hold(self) -> None:
        """Serve nothing until ``release``: what comes meanwhile waits, within the limits of the channel."""
        self._held = True
        self._set_reading(False)

    def release(self) -> None:
        self._held = False
        self._set_reading(True)
        self._schedule_turn()

    def refuse(self, reason: str) -> None:
        """Close without having served: the reason goes to the log."""
        logging.getLogger("mcpcore").error("%s: %s", self.endpoint, reason)
        self._refused = True
        if self.channel is not None:
            self.channel.abort()

    def _schedule_turn(self) -> None:
        if not self._turn_due and not self._held:
            self._turn_due = True
            self.loop.call_soon(self._turn)

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

    # -- writing -------------------------------------------------------------------------------------------------------

    def _mint(self) -> int:
        self._last_id += 1
        return self._last_id

    def _wake(self) -> None:
        if not self._in_turn and not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        channel = self.channel
        if channel is None or self._congested or not self.peer.outbox:
            return
        if self.peer.in_pieces and self.tap is None:
            channel.writelines(self.peer.take_pieces())
            return
        frames = self.peer.take()
        if channel.is_closing():
            return
        if self.tap is not None:
            for frame in frames:
                self.tap("out", frame)
        frames.append(b"")
        channel.write(b"\n".join(frames))

    @property
    def congested(self) -> bool:
        """Whether the other side reads too slowly: await ``drained`` before sending more."""
        return self._congested

    async def drained(self) -> None:
        """Wait until the other side reads again; returns at once where it does, and little waits to be written."""
        if len(self.peer.outbox) >= self.limits.turn_messages:
            await asyncio.sleep(0)  # whoever says much and never waits would fill the memory before anything is written
        while self._congested and not self.closed.done():
            if self._drained is None:
                self._drained = self.loop.create_future()
            await asyncio.shield(self._drained)

    def _set_reading(self, on: bool) -> None:
        if self.channel is not None and on is not self._reading and not self.channel.is_closing():
            self._reading = on
            if on:
                self.channel.resume_reading()
            else:
                self.channel.pause_reading()

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

    async def finish(self, seconds: float) -> None:
        """Let running handlers finish for so long, cancel the rest, say the last words, close the channel."""
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=seconds)
        await self.close()

    async def close(self) -> None:
        """Cancel what runs, end open streams, flush, close. Idempotent."""
        for task in set(self.tasks):
            self._stop(task)
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=1.0)
        if self.lost is None:
            self.door.end(self.peer)
            self._congested = False  # what is answered goes along: the channel flushes it, and nothing follows
            self._flush()
            self.lost = Closed("the connection was closed by this side")
            self._lose(self.lost)
        if self.channel is not None and not self.channel.is_closing():
            self.channel.close()

    @property
    def endpoint(self) -> str:
        return getattr(self.channel, "endpoint", "") or ("client" if self.peer.server else "server")

    def stderr_tail(self) -> str:
        tail = getattr(self.channel, "stderr_tail", None)
        return tail() if tail is not None else ""


def server_runner(
    service: Service,
    limits: Limits,
    revisions: Sequence[Revision],
    *,
    on_notified: Callable[[Runner, Notified], None],
    on_closed: Callable[[Runner, Exception | None], None] | None = None,
) -> Runner:
    """The serving side of one connection, for these revisions (oldest first)."""
    door = ServerDoor(service, limits, revisions)
    runner = Runner(door, limits, server=True, on_notified=on_notified, on_closed=on_closed)
    if revisions[0].modern:
        runner.peer.revision = revisions[0]  # known before any message, as there is no other
    return runner


def _wire_log() -> Callable[[str, bytes], None] | None:
    """The recorder that the environment asks for; nothing of it is imported where nobody asks."""
    if not os.environ.get("MCPCORE_WIRE_LOG"):
        return None
    from mcpcore.tap import tap_from_environment

    return tap_from_environment()
