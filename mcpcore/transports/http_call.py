"""One HTTP request of a client from its writing to the end of its answer: a body that is collected, or events.

What the pieces mean is for the ``Owner``: it gets a whole body, or one event after the other and then their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.http.media import is_event_stream, is_json
from mcpcore.http.sse import Event, EventReader, EventTooLarge

if TYPE_CHECKING:
    import asyncio

    from mcpcore.core.limits import Limits
    from mcpcore.http.messages import ResponseHead
    from mcpcore.http.requester import Fields
    from mcpcore.http.url import Url
    from mcpcore.transports.http_connection import HttpConnection, Lost

__all__ = ["Call", "Owner"]

_REFUSAL_BYTES = 64 * 1024
"""What is read of a body that is no answer: enough for an error, and more is not waited for."""

Id = int | str


class Owner(Protocol):
    """Who sent a call and decides what comes of it."""

    def render(self, call: Call) -> bytes:
        """The request as bytes, now that it is written."""
        ...

    def answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        """The answer is complete, and is no event stream."""
        ...

    def opened(self, call: Call) -> None:
        """The answer is an event stream, which begins now."""
        ...

    def heard(self, call: Call, event: Event) -> None: ...

    def ended(self, call: Call) -> None:
        """The event stream ended in the way that HTTP provides for."""
        ...

    def broken(self, call: Call, text: str) -> None:
        """The answer exceeds a limit; its connection was closed."""
        ...

    def lost(self, call: Call, lost: Lost) -> None:
        """The connection ended before the answer did."""
        ...


class Call:
    """``frame`` is the message of a POST; ``id`` and ``method`` are its own, where it is a request.

    The members in the second half belong to the owner.
    """

    __slots__ = (
        "_events",
        "_limit",
        "_parts",
        "_size",
        "connection",
        "fields",
        "frame",
        "head",
        "id",
        "last_id",
        "lines",
        "method",
        "owner",
        "params",
        "redirects",
        "renewed",
        "repeats",
        "resumes",
        "retry",
        "sent_id",
        "session",
        "settled",
        "timer",
        "url",
        "verb",
        "waiter",
    )

    def __init__(
        self,
        owner: Owner,
        verb: str,
        limits: Limits,
        frame: bytes = b"",
        id: Id | None = None,
        method: str = "",
        params: Any = None,
    ) -> None:
        self.owner = owner
        self.verb = verb
        self.frame = frame
        self.id = id
        self.sent_id = id
        """The id in ``frame``: another one where the request was issued again."""
        self.method = method
        self.params = params
        self.connection: HttpConnection | None = None
        self.head: ResponseHead | None = None
        self._limit = limits.max_message_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._events: EventReader | None = None
        self.last_id: str | None = None
        """The last event that was seen, of this stream or of the one that it resumes."""
        self.retry: int | None = None
        """Milliseconds that the server wants to pass before the stream is resumed."""

        self.settled = False
        """Its request has its answer, or its error; what still comes is nobody's."""
        self.lines: bytes | None = None
        """The header lines of a modern request."""
        self.fields: Fields | None = None
        """The user's header fields for this request; ``None`` while nobody was asked for them."""
        self.session: Any = None
        """The legacy session in which it was sent."""
        self.url: Url | None = None
        """Where a redirect led."""
        self.redirects = 0
        self.repeats = 0
        """How often it was sent again."""
        self.resumes = 0
        """How often its stream was resumed, without an event since."""
        self.renewed = False
        """Whether it has found its session gone."""
        self.timer: asyncio.TimerHandle | None = None
        self.waiter: asyncio.Future[Any] | None = None

    def __repr__(self) -> str:
        return f"<Call {self.verb} {self.subject}>"

    @property
    def subject(self) -> str:
        """What an error calls it: the method and what it is about."""
        params = self.params if type(self.params) is dict else {}
        about = params.get("name", params.get("uri"))
        if not self.method:
            return "an answer" if self.frame else f"{self.verb} for an event stream"
        return f"{self.method} {about[:100]}" if isinstance(about, str) else self.method

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream."""
        return self._events is not None

    # -- what the connection calls -------------------------------------------------------------------------------------

    def data(self) -> bytes:
        self.head = None
        self._parts = []
        self._size = 0
        self._events = None
        return self.owner.render(self)

    def on_head(self, head: ResponseHead) -> None:
        self.head = head
        kind = head.headers.get("content-type")
        if head.status == 200 and kind != "application/json" and is_event_stream(kind) and not _is_coded(head):
            self._events = EventReader(self._limit)
            self.owner.opened(self)

    def on_body(self, data: bytes) -> None:
        if self._events is not None:
            self._read_events(self._events, data)
            return
        self._parts.append(data)
        self._size += len(data)
        head = self.head
        assert head is not None
        if self._size > _REFUSAL_BYTES and (head.status != 200 or self._size > self._limit):
            self._stop(head)

    def on_end(self) -> None:
        if self._events is not None:
            self.owner.ended(self)
            return
        assert self.head is not None
        parts = self._parts
        self.owner.answered(self, self.head, parts[0] if len(parts) == 1 else b"".join(parts))

    def on_lost(self, lost: Lost) -> None:
        self.owner.lost(self, lost)

    def _stop(self, head: ResponseHead) -> None:
        """It is longer than anybody wants to read."""
        if self.connection is not None:
            self.connection.abort()
        if head.status == 200 and is_json(head.headers.get("content-type")):
            self.owner.broken(self, _too_large(self._limit))
        else:
            self.owner.answered(self, head, b"".join(self._parts)[:_REFUSAL_BYTES])

    def _read_events(self, reader: EventReader, data: bytes) -> None:
        try:
            events = reader.feed(data)
            fault = None
        except EventTooLarge as error:
            events, fault = error.events, error
        self.retry = reader.retry if reader.retry is not None else self.retry
        for event in events:
            if event.id is not None:
                self.last_id = event.id
            self.owner.heard(self, event)
        if reader.last_id is not None:
            self.last_id = reader.last_id
        if fault is not None:
            if self.connection is not None:
                self.connection.abort()
            self.owner.broken(self, _too_large(self._limit))


def _is_coded(head: ResponseHead) -> bool:
    return head.headers.get("content-encoding", "identity").lower() != "identity"


def _too_large(limit: int) -> str:
    return f"the answer is larger than {limit} bytes; raise Limits.max_message_bytes on the receiving side"
