"""One peer on one channel: an asyncio protocol that reads, feeds the peer, has its handlers run, and writes.

It moves data; what a message means is decided below it, and the tasks are those of ``serving.py``. One write per turn.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Notified
from mcpcore.core.exchange import Exchange
from mcpcore.eras.door import ServerDoor
from mcpcore.errors import Closed, ConnectionLost, McpError
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.transports.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpcore.core.limits import Limits
    from mcpcore.core.policy import Door, Service
    from mcpcore.spec.revisions import Revision

__all__ = ["Runner", "server_runner", "wire_log"]

log = logging.getLogger("mcpcore.wire")


class Runner(Serving, asyncio.Protocol):
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
        super().__init__(door, limits, server=server, on_notified=on_notified)
        self.channel: Any = None
        self.on_closed = on_closed
        self.tap = wire_log()
        """Sees every frame: ``tap(direction, frame)``, ``"in"`` or ``"out"``."""
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self.input_ended: asyncio.Future[None] = self.loop.create_future()
        self._framer = LineFramer(limits.max_message_bytes)
        self._backlog: deque[bytes | Oversized] = deque()
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

    def message_received(self, message: Any, frame: bytes) -> None:
        """One message from a channel that frames and decodes by itself; ``frame`` is what it was read from."""
        if self.tap is not None:
            self.tap("in", frame)
        self._in_turn = True
        try:
            event = self.peer.accept(message)
            if type(event) is Exchange:
                self._serve(event)
            elif event is not None:
                self._handle(event)
        except Exception:  # a fault of ours; the conversation goes on
            log.exception("%s: a message could not be handled", self.endpoint)
        finally:
            self._in_turn = False
            if self.peer.outbox:
                self._flush()

    def fail_request(self, id: int | str, error: McpError) -> None:
        """A request of ours will get no answer; the others may. Nothing happens where it was settled before."""
        pending = self.peer.outgoing.pop(id, None)
        if pending is not None:
            pending.settled = True
            pending.error = error
            self._handle(pending)

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

    # -- writing -------------------------------------------------------------------------------------------------------

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

    # -- the end -------------------------------------------------------------------------------------------------------

    async def finish(self, seconds: float) -> None:
        """Let running handlers finish for so long, cancel the rest, say the last words, close the channel."""
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=seconds)
        await self.close()

    async def close(self) -> None:
        """Cancel what runs, end open streams, flush, close. Idempotent."""
        await self.stop_tasks()
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


def wire_log() -> Callable[[str, bytes], None] | None:
    """The recorder that the environment asks for; nothing of it is imported where nobody asks."""
    if not os.environ.get("MCPCORE_WIRE_LOG"):
        return None
    from mcpcore.tap import tap_from_environment

    return tap_from_environment()
