"""The fast path: ordinary heads of HTTP/1.1, split by a grammar so narrow that nothing about them is in doubt.

What is accepted here means exactly what h11 would make of it, which a property test holds; for everything else, legal
or not, the answer is ``None`` and h11 decides. So no head is refused here, and none is repaired. What declines: bytes
other than visible ASCII and spaces between CRLFs, a name that comes twice, a field without ``": "``,
``Transfer-Encoding`` other than a response's ``chunked``, ``Expect``, ``Upgrade``, a ``Connection`` or a
``Content-Length`` that has to be thought about.

``data[start:end]`` is a head without the empty line behind it. The readers hold it to the limits, before and after.
"""

from __future__ import annotations

import re

from mcpcore.http.messages import RequestHead, ResponseHead

__all__ = ["parse_request_head", "parse_response_head"]

_PLAIN = bytes(range(0x20, 0x7F))
_REQUEST_LINE = re.compile(r"([A-Z]+) (/[!-\"$-~]*) HTTP/1\.1")
_STATUS_LINE = re.compile(r"HTTP/1\.1 ([2-9][0-9][0-9]) ([ -~]*)")
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_KEEPS = {"keep-alive": True, "Keep-Alive": True, "close": False, "Close": False}
_LENGTH_DIGITS = 15

_COMMON = """
    Accept Accept-Encoding Accept-Language Authorization Cache-Control Connection Content-Length Content-Type Cookie Date
    Host Last-Event-ID Mcp-Method Mcp-Name MCP-Protocol-Version Mcp-Session-Id Origin Pragma Referer Sec-Fetch-Dest
    Sec-Fetch-Mode Sec-Fetch-Site Server Traceparent Transfer-Encoding User-Agent Vary X-Accel-Buffering X-Forwarded-For
    X-Forwarded-Host X-Forwarded-Proto X-Real-IP X-Request-ID
"""
_NAMES = {spelling: name.lower() for name in _COMMON.split() for spelling in (name, name.title(), name.lower())}
"""Names as they are usually spelt; one look-up says that they are tokens, and their lower-case form."""


def parse_request_head(data: bytes | bytearray, start: int, end: int) -> RequestHead | None:
    """The request whose head stands in ``data[start:end]``, or None where h11 has to look at it."""
    lines = _lines(data, start, end)
    if lines is None or (match := _REQUEST_LINE.fullmatch(lines[0])) is None:
        return None
    headers = _fields(lines)
    if headers is None or "host" not in headers:
        return None
    if "transfer-encoding" in headers or "expect" in headers or "upgrade" in headers:
        return None
    length = None
    if (digits := headers.get("content-length")) is not None:
        if not digits.isdigit() or len(digits) > _LENGTH_DIGITS:
            return None
        length = int(digits)
    keep_alive = True
    if (connection := headers.get("connection")) is not None:
        if connection not in _KEEPS:
            return None
        keep_alive = _KEEPS[connection]
    method, target = match.groups()
    return RequestHead(method, target, headers, content_length=length, keep_alive=keep_alive)


def parse_response_head(data: bytes | bytearray, start: int, end: int) -> ResponseHead | None:
    """The final response whose head stands in ``data[start:end]``, or None where h11 has to look at it."""
    lines = _lines(data, start, end)
    if lines is None or (match := _STATUS_LINE.fullmatch(lines[0])) is None:
        return None
    headers = _fields(lines)
    if headers is None or "upgrade" in headers:
        return None
    length, coding = None, headers.get("transfer-encoding")
    if (digits := headers.get("content-length")) is not None:
        if coding is not None or not digits.isdigit() or len(digits) > _LENGTH_DIGITS:
            return None
        length = int(digits)
    if coding is not None and coding != "chunked":
        return None
    keep_alive = True
    if (connection := headers.get("connection")) is not None:
        if connection not in _KEEPS:
            return None
        keep_alive = _KEEPS[connection]
    status, reason = match.groups()
    return ResponseHead(
        int(status),
        headers,
        reason=reason,
        content_length=length,
        chunked=coding is not None,
        keep_alive=keep_alive,
    )


def _lines(data: bytes | bytearray, start: int, end: int) -> list[str] | None:
    """The lines of a head of visible ASCII and spaces; None where it holds another byte."""
    text = data[start:end]
    lines = text.decode("latin-1").split("\r\n")
    # What is left without the plain bytes is one CRLF for each cut: so there is no lone CR or LF, nor anything else.
    return lines if text.translate(None, _PLAIN) == b"\r\n" * (len(lines) - 1) else None


def _fields(lines: list[str]) -> dict[str, str] | None:
    """The fields below the first line; None where one of them is not plain, or comes twice."""
    headers: dict[str, str] = {}
    del lines[0]
    for line in lines:
        name, separator, value = line.partition(": ")
        if not separator:
            return None
        key = _NAMES.get(name)
        if key is None:
            if not _TOKEN.fullmatch(name):
                return None
            key = name.lower()
        headers[key] = value.strip()
    return headers if len(headers) == len(lines) else None
