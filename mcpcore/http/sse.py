"""Server-sent events: one event as bytes, and bytes as events again. Nothing here knows JSON, HTTP or time.

The rule of both directions: what happens is what the WHATWG says, wherever the bytes are cut. Data stays bytes, since
its lines are told apart by CR and LF alone: U+2028, U+2029 and U+0085 are ordinary characters of a message.
<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["COMMENT", "Event", "EventReader", "EventTooLarge", "event"]

COMMENT: Final = b":\n\n"
"""Says that the stream lives, and nothing else; readers pass over it."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FORBIDDEN = re.compile(r"[\r\n\0]")
_RETRY_DIGITS = 15
"""More would be 30,000 years of milliseconds; and Python refuses to convert a few thousand of them."""


def event(data: bytes, *, id: str | None = None, retry: int | None = None, event: str | None = None) -> bytes:
    """One event with its blank line. ``data`` is one message; ``b""`` with an ``id`` primes a client to resume.

    ``retry`` is in milliseconds. Line ends inside ``data`` begin another data line and are read as LF. Raises
    ``ValueError`` for an ``id`` or ``event`` that holds CR, LF or NUL: it would be read as something else.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if id is None and retry is None and event is None:
        return b"data: %b\n\n" % data
    head = ""
    if event is not None:
        head += f"event: {_one_line(event)}\n"
    if id is not None:
        head += f"id: {_one_line(id)}\n"
    if retry is not None:
        head += f"retry: {retry:d}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


def _one_line(value: str) -> str:
    if _FORBIDDEN.search(value):
        raise ValueError("an event's id and type are single lines without NUL")
    return value


class Event(NamedTuple):
    """One event. ``id`` is the last event id in force, this event's own or an earlier one's; None where none is.

    ``data`` is UTF-8 as it came. It is ``b""`` where the event had an empty data field: such an event primes a client
    to resume and holds no message.
    """

    data: bytes
    event: str = "message"
    id: str | None = None


class EventTooLarge(ValueError):
    """An event grew beyond the limit; the stream cannot be read on. ``events`` came before it in the same feed."""

    def __init__(self, limit: int, events: list[Event]) -> None:
        super().__init__(f"an event of the stream is longer than {limit} bytes")
        self.limit = limit
        self.events = events


class EventReader:
    """Reads one event stream, from its first byte. Takes linear time and holds one event at most, however it is cut.

    ``last_id`` is what ``Last-Event-ID`` should say after a break (None: nothing), ``retry`` the last pause that the
    server asked for, in milliseconds. What is unfinished when the stream ends is dropped, its id too.
    """

    __slots__ = ("_after_cr", "_data", "_event", "_id", "_max", "_partial", "_started", "last_id", "retry")

    def __init__(self, max_event_bytes: int) -> None:
        self.last_id: str | None = None
        self.retry: int | None = None
        self._max = max_event_bytes
        self._partial = bytearray()  # a line whose end has not come
        self._after_cr = False  # an LF that comes now belongs to the line before
        self._started = False  # the first line, which may begin with a byte order mark, is over
        self._data: bytes | bytearray | None = None  # of the event that is being read; a list of lines would cost more
        self._event = ""
        self._id: str | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises ``EventTooLarge``; feed nothing more then."""
        if self._is_one_event(data):
            self._started = True
            return [Event(data[6:-2], "message", self.last_id)]
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                data = data[1:]
        if not data:
            return []
        lines = data.splitlines()  # of bytes: at CR, LF and CRLF, and at nothing else
        rest = b""
        if data[-1] == 13:
            self._after_cr = True
        elif data[-1] != 10:
            rest = lines.pop()
        events: list[Event] = []
        if lines and self._partial:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial.clear()
        for line in lines:
            self._line(line, events)
        self._partial += rest
        self._hold(len(self._partial), events)
        return events

    def _is_one_event(self, data: bytes) -> bool:
        """Whether this is the usual case: nothing held, and exactly one data line with its blank line."""
        return (
            data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n")
            and self._data is None
            and not (self._partial or self._event or self._after_cr)
            and self._id == self.last_id
            and len(data) <= self._max
            and b"\r" not in data
        )

    def _line(self, line: bytes, events: list[Event]) -> None:
        self._hold(len(line), events)
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._append(value)
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode(errors="replace") or None
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry = int(value)

    def _append(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _hold(self, size: int, events: list[Event]) -> None:
        """Whether a line of this size may come on top of the data; asked of whole and of partial lines alike."""
        if (len(self._data) + 1 if self._data is not None else 0) + size > self._max:
            raise EventTooLarge(self._max, events)

    def _dispatch(self, events: list[Event]) -> None:
        self.last_id = self._id
        if self._data is not None:
            events.append(Event(bytes(self._data), self._event or "message", self._id))
            self._data = None
        self._event = ""
