"""The fast path: ordinary heads of HTTP/1.1, split by a grammar so narrow that nothing about them is in doubt.

What is accepted here means exactly what h11 would make of it, which a property test holds; for everything else, legal
or not, the answer is ``None`` and h11 decides. So no head is refused here, and none is repaired. What declines: lines
other than ``Name: value`` in visible ASCII and spaces, a name that comes twice, ``Transfer-Encoding`` other than a
response's ``chunked``, ``Expect``, ``Upgrade``, a ``Connection`` or a ``Content-Length`` that has to be thought about.

``data[start:end]`` is a head without the empty line behind it. The readers hold it to the limits, before and after.
"""

from __future__ import annotations

import re

from mcpcore.http.messages import RequestHead, ResponseHead

__all__ = ["parse_request_head", "parse_response_head"]

_REQUEST_LINE = re.compile(r"([A-Z]+) (/[!-\"$-~]*) HTTP/1\.1")
_STATUS_LINE = re.compile(r"HTTP/1\.1 ([2-9][0-9][0-9]) ([ -~]*)")
_FIELD = re.compile(r"([-!#$%&'*+.^_`|~0-9A-Za-z]+): ([!-~](?:[ -~]*[!-~])?)")
_KEEPS: dict[str | None, bool] = {None: True, "keep-alive": True, "Keep-Alive": True, "close": False, "Close": False}
_LENGTH_DIGITS = 15

_PUBLIC = """
    accept accept-encoding accept-language cache-control connection content-length content-type host mcp-method mcp-name
    mcp-protocol-version origin pragma sec-fetch-dest sec-fetch-mode sec-fetch-site server transfer-encoding user-agent
    vary x-accel-buffering x-forwarded-proto
"""
_REMEMBERED = frozenset(_PUBLIC.split())
"""Fields whose lines come again and again, from any client. No credentials, no session ids, no addresses of clients."""
_MAX_LINES = 1024
_MAX_LINE = 128
_lines: dict[str, tuple[str, str]] = {}
"""Such lines as name and value, at most `_MAX_LINES`: looking a line up takes a fifth of the time of reading it."""


def parse_request_head(data: bytes | bytearray, start: int, end: int) -> RequestHead | None:
    """The request whose head stands in ``data[start:end]``, or None where h11 has to look at it."""
    lines = data[start:end].decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None or (headers := _fields(lines)) is None or "host" not in headers:
        return None
    if "transfer-encoding" in headers or "expect" in headers or "upgrade" in headers:
        return None
    keep_alive = _KEEPS.get(headers.get("connection"))
    length = headers.get("content-length")
    if keep_alive is None or not (length is None or (length.isdigit() and len(length) <= _LENGTH_DIGITS)):
        return None
    method, target = match.groups()
    return RequestHead(
        method, target, headers, content_length=None if length is None else int(length), keep_alive=keep_alive
    )


def parse_response_head(data: bytes | bytearray, start: int, end: int) -> ResponseHead | None:
    """The final response whose head stands in ``data[start:end]``, or None where h11 has to look at it."""
    lines = data[start:end].decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None or (headers := _fields(lines)) is None or "upgrade" in headers:
        return None
    coding = headers.get("transfer-encoding")
    keep_alive = _KEEPS.get(headers.get("connection"))
    length = headers.get("content-length")
    if keep_alive is None or not (length is None or (length.isdigit() and len(length) <= _LENGTH_DIGITS)):
        return None
    if coding is not None and (coding != "chunked" or length is not None):
        return None
    status, reason = match.groups()
    return ResponseHead(
        int(status),
        headers,
        reason=reason,
        content_length=None if length is None else int(length),
        chunked=coding is not None,
        keep_alive=keep_alive,
    )


def _fields(lines: list[str]) -> dict[str, str] | None:
    """The fields below the first line; None where one of them is not plain, or comes twice."""
    headers: dict[str, str] = {}
    remembered = _lines.get
    del lines[0]
    for line in lines:
        field = remembered(line) or _field(line)
        if field is None:
            return None
        headers[field[0]] = field[1]
    return headers if len(headers) == len(lines) else None


def _field(line: str) -> tuple[str, str] | None:
    match = _FIELD.fullmatch(line)
    if match is None:
        return None
    name, value = match.groups()
    name = name.lower()
    if name in _REMEMBERED and len(line) <= _MAX_LINE:
        if len(_lines) >= _MAX_LINES:
            _lines.clear()
        _lines[line] = name, value
    return name, value
