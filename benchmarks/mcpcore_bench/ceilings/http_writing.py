"""The heads that the hand-written ceilings of HTTP send: constant but for the length."""

from __future__ import annotations

from typing import Final

from mcpcore_bench.ceilings.http_answers import JSON, Answer

__all__ = ["REASONS", "response"]

REASONS: Final = {200: b"OK", 202: b"Accepted", 404: b"Not Found", 405: b"Method Not Allowed"}
JSON_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
SSE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def response(answer: Answer) -> bytes:
    """Head and body as one piece: one write."""
    body = answer.body
    if answer.kind is JSON:
        if answer.session:
            return b"%bMcp-Session-Id: %b\r\n\r\n%b" % (JSON_HEAD % len(body), answer.session, body)
        return b"%b\r\n%b" % (JSON_HEAD % len(body), body)
    if answer.kind:
        return b"%b%x\r\n%b\r\n0\r\n\r\n" % (SSE_HEAD, len(body), body)
    return b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\n\r\n" % (answer.status, REASONS[answer.status])
