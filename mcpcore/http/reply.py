"""How one POST is answered: by JSON while nothing else was said, by an event stream from then on.

A ``Reply`` is the core's ``Stream``. In a session its events go into the log first and outlive the connection.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#sending-messages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.errors import RpcError
from mcpcore.http.event_writer import STREAM_FIELDS, Clock, EventWriter, Field, Sink
from mcpcore.http.sse import event
from mcpcore.jsonrpc.codec import decode
from mcpcore.jsonrpc.message import NO_ID, error_frame
from mcpcore.spec import codes
from mcpcore.spec.revisions import BY_NAME

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.http.resume import StreamLog
    from mcpcore.http.sessions import Session

__all__ = ["JSON_FIELDS", "Place", "Reply", "error_status", "refusal_frame"]

JSON_FIELDS: tuple[Field, ...] = (("content-type", "application/json"),)
_RETRY_AFTER: Field = ("retry-after", "1")

_MODERN_STATUS = {
    codes.PARSE_ERROR: 400,
    codes.INVALID_REQUEST: 400,
    codes.METHOD_NOT_FOUND: 404,
    codes.HEADER_MISMATCH: 400,
    codes.MISSING_CLIENT_CAPABILITY: 400,
    codes.UNSUPPORTED_PROTOCOL_VERSION: 400,
    codes.OVERLOADED: 429,
}
_LEGACY_STATUS = {codes.PARSE_ERROR: 400, codes.INVALID_REQUEST: 400, codes.OVERLOADED: 429}


def error_status(code: int, *, modern: bool, admitted: bool) -> int:
    """The HTTP status of a JSON-RPC error, as long as no event stream has begun.

    The errors of a handler are answers like others, but for those that the specification gives a status of their own.
    """
    if modern and code == codes.INVALID_PARAMS and not admitted:
        return 400  # the envelope is not complete (basic/index#meta)
    if admitted and not modern and code == codes.INVALID_REQUEST:
        return 200
    return (_MODERN_STATUS if modern else _LEGACY_STATUS).get(code, 200)


def refusal_frame(version: str | None, code: int, text: str) -> bytes:
    """An error that belongs to no request that could be read, for a client of the revision that its header names."""
    known = BY_NAME.get(version) if version is not None else None
    return error_frame(NO_ID if known is not None and known.error_without_id else None, code, text)


def _refused_batch_status(frame: bytes) -> int:
    """Of the errors for a batch of which nothing was served: 200 where one of them answers a request, else what a
    message gets that is none (2025-03-26, basic/transports#sending-messages-to-the-server)."""
    return 200 if any(error.get("id") is not None for error in decode(frame)) else 400


class Place(Protocol):
    """Whose replies they are."""

    limits: Limits
    clock: Clock

    def over(self, reply: Any) -> None:
        """The reply is complete. Its ``events`` are there as long as their reader has not taken all of them."""
        ...

    def closed(self, events: EventWriter) -> None:
        """The connection that had them is gone, or has them all."""
        ...


class Reply:
    """The answer to one request, or to a batch of them. ``place`` is told once it is complete.

    ``json`` and ``sse`` are what it may become; of a ``session``, it is kept there until the client has it.
    """

    __slots__ = (
        "_fields",
        "_json",
        "_log",
        "_place",
        "_session",
        "_sink",
        "_sse",
        "begun",
        "done",
        "events",
        "exchanges",
        "headers",
        "modern",
        "principal",
        "streaming",
    )

    def __init__(
        self,
        place: Place,
        sink: Sink,
        principal: str,
        headers: Mapping[str, str],
        modern: bool,
        json: bool,
        sse: bool,
        session: Session | None,
    ) -> None:
        self.principal = principal
        self.headers = headers
        self.modern = modern
        self.begun = place.clock.now
        self.done = False
        self.streaming = False
        self.events: EventWriter | None = None
        self.exchanges: list[Exchange] = []
        self._sink: Sink | None = sink
        self._place = place
        self._json = json
        self._sse = sse
        self._session = session
        self._log: StreamLog | None = None
        self._fields: tuple[Field, ...] = ()

    def with_field(self, field: Field) -> None:
        """A header field of the answer, where the request is admitted."""
        self._fields = (*self._fields, field)

    # -- the core calls ------------------------------------------------------------------------------------------------

    def admitted(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def send(self, frame: bytes, key: Any = None) -> None:
        if self.done or not self._reachable:
            return
        if not self.streaming:
            self._stream()
        if self._log is not None:
            self._log.append(frame)
        elif self.events is not None:
            self.events.send(frame, key)

    def ask(self, frame: bytes) -> None:
        if not self._sse:
            text = (
                "this request is answered by JSON alone, so its client cannot be asked: text/event-stream is missing in"
                ' its Accept header, or the server has answers="json"'
            )
            raise RpcError(codes.INVALID_REQUEST, text)
        if self.done or not self._reachable:
            raise RpcError(codes.INVALID_REQUEST, "the client went away before it was asked")
        self.send(frame)

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        if self.done:
            return
        if type(frame) is tuple:
            frame = b"".join(frame)
        if self.streaming:
            self._finish(frame)  # type: ignore[arg-type]
            return
        if code is not None:
            status = error_status(code, modern=self.modern, admitted=bool(self.exchanges))
        else:
            status = 200 if self.exchanges else _refused_batch_status(frame)  # type: ignore[arg-type]
        if status == 200 and not self._json and self._reachable:
            self._stream()
            self._finish(frame)  # type: ignore[arg-type]
            return
        fields = JSON_FIELDS
        if self._fields and self.exchanges:
            fields = (*fields, *self._fields)
        if status == 429:
            fields = (*fields, _RETRY_AFTER)
        self.whole(status, fields, frame)  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing will be answered: the request was cancelled."""
        if self.done or not self.exchanges:
            return
        if self.streaming:
            self._finish(None)
        else:
            self.whole(200, (*STREAM_FIELDS, *self._fields), b"")

    def disconnect(self, retry: float) -> None:
        session = self._session
        if self.done or session is None or not session.runner.door.primes_streams or not self._reachable:
            return
        if not self.streaming:
            self._stream()
        writer = self._log.sink if self._log is not None else None  # its own, or that of a GET which resumed it
        if self._log is not None and isinstance(writer, EventWriter):
            writer.write(event(b"", id=self._log.prime(), retry=round(retry * 1000)))
            writer.finish()

    @property
    def congested(self) -> bool:
        return self.events is not None and self.events.congested

    async def drained(self) -> None:
        if self.events is not None:
            await self.events.drained()

    # -- the endpoint calls --------------------------------------------------------------------------------------------

    def whole(self, status: int, fields: tuple[Field, ...], body: bytes) -> None:
        """The answer in one piece."""
        self.done = True
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.whole(status, fields, body)
        self._place.over(self)

    def lost(self) -> None:
        """Its connection is gone. What that means for the request, the endpoint knows."""
        self._sink = None
        if self.events is not None:
            self.events.lost()

    def tick(self) -> None:
        if self.events is not None:
            self.events.tick()
        elif (
            not self.streaming
            and self._reachable
            and self._place.clock.now - self.begun >= self._place.limits.json_seconds
        ):
            self._stream()

    @property
    def _reachable(self) -> bool:
        """Whether its client can get events: now, or later because it had the first ones."""
        return self.streaming or (self._sse and self._sink is not None)

    def _stream(self) -> None:
        """An event stream from here on."""
        self.streaming = True
        session = self._session
        if session is not None:
            self._log = session.events.open_stream()
        sink, self._sink = self._sink, None
        assert sink is not None
        self.events = EventWriter(sink, self._fields, self._place.limits, self._place.clock, self._gone)
        if self._log is not None and session is not None:
            self.events.log = self._log
            if session.runner.door.primes_streams:
                self.events.write(event(b"", id=self._log.prime()))
            self._log.attach(self.events)

    def _gone(self, events: EventWriter) -> None:
        self.events = None
        if self._log is not None:
            self._log.detach(events)
        self._place.closed(events)

    def _finish(self, frame: bytes | None) -> None:
        self.done = True
        if self._log is not None:
            if frame is not None:
                self._log.append(frame)
            self._log.finish()  # which ends the connection once it has everything
        elif self.events is not None:
            if frame is not None:
                self.events.send(frame)
            self.events.finish()
        self._place.over(self)
