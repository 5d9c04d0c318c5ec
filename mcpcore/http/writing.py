"""HTTP/1.1 answers as bytes: one write for a whole answer, a head and chunks for a stream.

The texts given here are ours or were checked before; a header value from outside is refused where it could end a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["LAST_CHUNK", "REASONS", "Fields", "chunk", "http_date", "json_response", "response", "stream_head"]

Fields = Iterable[tuple[str, str]]

REASONS = {
    100: "Continue",
    200: "OK",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
LAST_CHUNK = b"0\r\n\r\n"
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = {code: f"HTTP/1.1 {code} {reason}\r\ndate: ".encode() for code, reason in REASONS.items()}
_JSON_200 = _STATUS[200]
_JSON_LENGTH = b"\r\ncontent-type: application/json\r\ncontent-length: "
_BODILESS = frozenset({204, 304})


def response(
    status: int, fields: Fields, body: bytes, *, date: bytes, close: bool = False, head: bool = False
) -> bytes:
    """A whole answer. ``head``: it answers HEAD, so the body is only counted."""
    out = [_status(status), date]
    for name, value in fields:
        out.append(_field(name, value))
    if status not in _BODILESS:
        out.append(b"\r\ncontent-length: %d" % len(body))
    out.append(b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n")
    if not head and status not in _BODILESS:
        out.append(body)
    return b"".join(out)


def json_response(body: bytes, date: bytes) -> bytes:
    """The answer that nearly every request gets: 200, JSON, nothing else to say."""
    return b"%b%b%b%d\r\n\r\n%b" % (_JSON_200, date, _JSON_LENGTH, len(body), body)


def stream_head(status: int, fields: Fields, *, date: bytes, chunked: bool, close: bool = False) -> bytes:
    """The head of an answer whose length is not known. Without ``chunked`` the end of the connection ends it."""
    out = [_status(status), date]
    for name, value in fields:
        out.append(_field(name, value))
    if chunked:
        out.append(b"\r\ntransfer-encoding: chunked")
    out.append(b"\r\nconnection: close\r\n\r\n" if close or not chunked else b"\r\n\r\n")
    return b"".join(out)


def chunk(data: bytes) -> bytes:
    """One chunk; ``data`` is not empty, for an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(year: int, month: int, day: int, hour: int, minute: int, second: int, weekday: int) -> bytes:
    """An IMF-fixdate (RFC 9110, section 5.6.7), of UTC; ``weekday`` 0 is Monday."""
    text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    return text.encode()


def _status(status: int) -> bytes:
    known = _STATUS.get(status)
    return known if known is not None else f"HTTP/1.1 {status} \r\ndate: ".encode()


def _field(name: str, value: str) -> bytes:
    if _UNSAFE.search(value):
        raise ValueError(f"the value of the header {name} holds a control character")
    return f"\r\n{name}: {value}".encode("latin-1")
