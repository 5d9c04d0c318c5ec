"""One connection on which events are written: in order, one write a turn, and no longer than its reader keeps up.

Where a log keeps the events, this is the log's sink (``resume.py``); else messages are handed over directly, and an
unsent one may give way to a later one. What bytes go where is the shell's affair: it offers a ``Sink``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#receiving-messages
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.http.sse import COMMENT, event

if TYPE_CHECKING:
    from mcpcore.core.limits import Limits
    from mcpcore.http.resume import StreamLog

__all__ = ["STREAM_FIELDS", "Clock", "EventWriter", "Field", "Sink"]

Field = tuple[str, str]

STREAM_FIELDS: tuple[Field, ...] = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
)
"""Proxies hand events on at once (nginx reads the last one), and keep nothing."""


_FLUSH_BYTES = 64 * 1024


class Clock:
    """The time of the last tick, in seconds: precise enough for what is measured in seconds."""

    __slots__ = ("now",)

    def __init__(self, now: float) -> None:
        self.now = now


class Sink(Protocol):
    """One HTTP answer, as its shell sends it: ``whole``, or ``open`` and then ``data`` until ``end``."""

    def whole(self, status: int, fields: tuple[Field, ...], body: bytes) -> None: ...

    def open(self, fields: tuple[Field, ...]) -> None:
        """Begin a stream, with status 200."""
        ...

    def data(self, data: bytes) -> None: ...

    def end(self) -> None:
        """The stream is complete."""
        ...

    def cut(self) -> None:
        """Break the connection off: its reader is too slow."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes that the other side has not taken yet."""
        ...

    def drained(self) -> Awaitable[None]:
        """Until most of them are taken, or the connection is gone; a turn of the loop in any case."""
        ...

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back then."""
        ...

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back once what is being done now is done."""
        ...


class EventWriter:
    """Writes to ``sink`` until it ends, or is lost; then ``gone`` is called, once."""

    __slots__ = (
        "_acknowledged",
        "_clock",
        "_flushing",
        "_given",
        "_gone",
        "_last",
        "_limits",
        "_pending",
        "_pending_bytes",
        "log",
        "sink",
    )

    def __init__(
        self,
        sink: Sink,
        fields: tuple[Field, ...],
        limits: Limits,
        clock: Clock,
        gone: Callable[[EventWriter], None] | None = None,
    ) -> None:
        self.sink: Sink | None = sink
        self.log: StreamLog | None = None
        """What hands the events over, where a log does."""
        self._limits = limits
        self._clock = clock
        self._gone = gone
        self._pending: list[tuple[Any, bytes]] = []
        self._pending_bytes = 0
        self._flushing = False
        self._given = 0
        self._acknowledged = (0, clock.now)
        self._last = clock.now
        sink.open((*STREAM_FIELDS, *fields))

    def send(self, frame: bytes, key: Any = None) -> None:
        """A message, in an event without an id."""
        self.write(event(frame), key)

    def write(self, data: bytes, key: Any = None) -> None:
        """Events as bytes; they take the place of unsent ones with the same ``key``."""
        if self.sink is None:
            return
        pending = self._pending
        if key is not None:
            for at, (other, unsent) in enumerate(pending):
                if other == key:
                    del pending[at]
                    self._pending_bytes -= len(unsent)
                    break
        pending.append((key, data))
        self._pending_bytes += len(data)
        if self._pending_bytes >= _FLUSH_BYTES:  # of a handler that says much and never waits
            self.flush()
        elif not self._flushing:
            self._flushing = True
            self.sink.soon(self.flush)

    def flush(self) -> None:
        self._flushing = False
        if self._pending and self.sink is not None:
            data = b"".join([data for _, data in self._pending])
            self._pending.clear()
            self._pending_bytes = 0
            self._give(data)

    def finish(self) -> None:
        """Everything was said: the connection's answer ends."""
        self.flush()
        sink = self.sink
        if sink is not None:
            self._leave()
            sink.end()

    def lost(self) -> None:
        """The connection is gone."""
        if self.sink is not None:
            self._leave()

    @property
    def is_finishing(self) -> bool:
        """Whether nothing will follow what its reader has not taken yet."""
        return self.log is not None and self.log.finished

    @property
    def congested(self) -> bool:
        return self.sink is not None and self.sink.unsent > self._limits.stream_bytes // 2

    async def drained(self) -> None:
        """Wait while the reader is slow; and a turn where much was said in this one."""
        if self.sink is not None and (self.congested or len(self._pending) >= self._limits.turn_messages):
            await self.sink.drained()

    def tick(self) -> None:
        """A comment where it was quiet for long; the end of a connection whose reader takes nothing."""
        sink, now = self.sink, self._clock.now
        if sink is None:
            return
        unsent = sink.unsent
        taken, since = self._acknowledged
        took = self._given - unsent  # or less, since each piece costs a few bytes that are not counted as given
        if not unsent or took > taken:
            self._acknowledged = (took, now)
        elif now - since < self._limits.stalled_seconds:
            self._acknowledged = (took, since)
        else:
            self._cut()
            return
        if now - self._last >= self._limits.comment_seconds:
            self._give(COMMENT)

    # -- the log calls -------------------------------------------------------------------------------------------------

    def event(self, event_id: str, frame: bytes) -> bool:
        """A reader that has missed much gets it as fast as it takes it."""
        self.write(event(frame, id=event_id))
        sink, most = self.sink, self._limits.stream_bytes // 2
        if sink is None or sink.unsent + self._pending_bytes <= most:
            return True
        self.flush()
        if not self.congested:
            return True
        sink.when_drained(self._take_more)
        return False

    def _take_more(self) -> None:
        if self.log is not None and self.sink is not None:
            self.log.drained(self)

    def over(self, why: str) -> None:
        if why == "lost":
            self._cut()
        else:
            self.finish()

    def _give(self, data: bytes) -> None:
        sink = self.sink
        assert sink is not None
        self._last = self._clock.now
        self._given += len(data)
        before = sink.unsent
        sink.data(data)
        if before > self._limits.stream_bytes:  # one large event is no fault of its reader
            self._cut()

    def _cut(self) -> None:
        sink = self.sink
        if sink is not None:
            self._leave()
            sink.cut()

    def _leave(self) -> None:
        self.sink = None
        self._pending.clear()
        self._pending_bytes = 0
        if self._gone is not None:
            self._gone(self)
