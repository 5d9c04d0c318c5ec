"""The ceiling of HTTP clients: the least Python that writes a request and reads a JSON response, without a parser."""

from __future__ import annotations

import asyncio
from typing import cast

from mcpcore_bench.ceilings.http_client_calls import Headers, measure


class HandRolled(asyncio.Protocol):
    def __init__(self, host: str, path: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.start = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n"
            "Content-Type: application/json\r\n"
        ).encode()
        self.known: Headers = []
        self.head = b""
        self.rest = b""
        self.session = b""
        self.transport: asyncio.WriteTransport
        self.waiting: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def request(self, headers: Headers, body: bytes) -> asyncio.Future[bytes]:
        if headers is not self.known:
            self.known = headers
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.head = b"%b%bContent-Length: " % (self.start, lines)
        self.waiting = self.loop.create_future()
        self.transport.write(b"%b%d\r\n\r\n%b" % (self.head, len(body), body))
        return self.waiting

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        self.rest = data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = data[:end].lower()
        stop = end + int(value(head, b"\r\ncontent-length:"))
        if len(data) < stop:
            return
        self.rest = b""
        self.session = value(head, b"\r\nmcp-session-id:").strip()
        self.waiting.set_result(data[end:stop])


def value(head: bytes, name: bytes) -> bytes:
    """What stands behind ``name`` up to the end of its line; empty where it does not stand at all."""
    at = head.find(name)
    return head[at + len(name) : head.find(b"\r\n", at + 2)] if at >= 0 else b""


if __name__ == "__main__":
    measure(HandRolled)
