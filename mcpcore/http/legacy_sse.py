"""HTTP+SSE of 2024-11-05: one event stream for all messages of the server, and POSTs that are answered on it.

Deprecated since 2025-03-26, and still spoken by many clients.
Specification: https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.http.event_writer import Clock, EventWriter, Sink
from mcpcore.http.sse import event

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits

__all__ = ["SseSession"]


class SseSession:
    """The stream of everything in one session. It ends with its connection."""

    headers: Mapping[str, str] | None = None

    def __init__(
        self, sink: Sink, principal: str, limits: Limits, clock: Clock, url: str, closed: Callable[[EventWriter], None]
    ) -> None:
        self.principal = principal
        self.writer = EventWriter(sink, (), limits, clock, closed)
        self.writer.write(event(url.encode(), event="endpoint"))

    def admitted(self, exchange: Exchange) -> None: ...

    def send(self, frame: bytes, key: Any = None) -> None:
        self.writer.write(event(frame, event="message"), key)

    def ask(self, frame: bytes) -> None:
        self.send(frame)

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        self.send(b"".join(frame) if isinstance(frame, tuple) else frame)

    def close(self) -> None:
        """A cancelled request has no answer."""

    def disconnect(self, retry: float) -> None:
        """Nothing of it could be resumed."""

    @property
    def congested(self) -> bool:
        return self.writer.congested

    async def drained(self) -> None:
        await self.writer.drained()

    def of(self, principal: str, headers: Mapping[str, str], over: Callable[[SseRequest], None]) -> SseRequest:
        """The same stream for the messages of one POST, whose requests have been answered when ``over`` is called."""
        return SseRequest(self, principal, headers, over)


class SseRequest(SseSession):
    """One POST's share of the stream: who asked, with which header fields, and what is not answered yet."""

    def __init__(
        self, session: SseSession, principal: str, headers: Mapping[str, str], over: Callable[[SseRequest], None]
    ) -> None:
        self.writer = session.writer
        self.principal = principal
        self.headers = headers
        self.exchanges: list[Exchange] = []
        self.streaming = False
        self.events = None
        """It has no connection of its own."""
        self.done = False
        self._over = over

    def admitted(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        if not self.done:
            super().answer(frame, code)
            self.close()

    def close(self) -> None:
        self.done = True
        self._over(self)

    def tick(self) -> None:
        """The time of its stream is kept elsewhere."""
