"""The messages of a legacy session that belong to no request: the standing stream, which a GET reads.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.http.event_writer import Clock, EventWriter, Sink
from mcpcore.http.sse import event

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.http.resume import StreamLog
    from mcpcore.http.sessions import Session

__all__ = ["Standing"]


class Standing:
    """The core's ``Stream`` for what belongs to no request; and whatever GETs read in this session.

    ``opened`` and ``closed`` are told of each of those connections.
    """

    headers: Mapping[str, str] | None = None

    def __init__(
        self,
        session: Session,
        limits: Limits,
        clock: Clock,
        opened: Callable[[EventWriter], None],
        closed: Callable[[EventWriter], None],
    ) -> None:
        self.principal = session.principal
        self._session = session
        self._limits = limits
        self._clock = clock
        self._opened = opened
        self._closed = closed
        self._writers: dict[EventWriter, StreamLog] = {}
        self._said: set[Any] = set()
        """What was said and may still be unsent."""

    # -- the core calls ------------------------------------------------------------------------------------------------

    def admitted(self, exchange: Exchange) -> None:
        """No request comes on it."""

    def send(self, frame: bytes, key: Any = None) -> None:
        if key is not None:
            if key in self._said:
                return
            self._said.add(key)
        self._session.events.standing.append(frame)
        if self._said:
            for writer in self._writers:
                if writer.sink is not None:
                    writer.sink.soon(self._said.clear)
                    break

    def ask(self, frame: bytes) -> None:
        self.send(frame)

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        """No request is answered on it."""

    def close(self) -> None:
        """The server stops, or the session does: the connections end."""
        for writer in tuple(self._writers):
            writer.finish()

    def disconnect(self, retry: float) -> None:
        """It belongs to no handler."""

    @property
    def congested(self) -> bool:
        return any(writer.congested for writer in self._writers)

    async def drained(self) -> None:
        """Its messages are kept within bounds whether or not anybody reads."""

    # -- the endpoint calls --------------------------------------------------------------------------------------------

    def open(self, sink: Sink, primes: bool) -> EventWriter:
        """A GET without a ``Last-Event-ID``: what no connection got yet, then what comes."""
        stream = self._session.events.standing
        writer = self._writer(sink, stream)
        if primes:
            writer.write(event(b"", id=stream.prime()))
        stream.attach(writer)
        return writer

    def resume(self, sink: Sink, last_event_id: str) -> EventWriter | None:
        """What follows that event on its own stream. ``None`` where that cannot be said."""
        resumption = self._session.events.after(last_event_id)
        if resumption is None:
            return None
        writer = self._writer(sink, resumption.stream)
        resumption.attach(writer)
        return writer

    def _writer(self, sink: Sink, stream: StreamLog) -> EventWriter:
        writer = EventWriter(sink, (), self._limits, self._clock, self._gone)
        self._writers[writer] = writer.log = stream
        self._said.clear()
        self._opened(writer)
        return writer

    def _gone(self, writer: EventWriter) -> None:
        stream = self._writers.pop(writer, None)
        if stream is not None:
            stream.detach(writer)
        self._closed(writer)
