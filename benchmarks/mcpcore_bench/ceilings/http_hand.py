"""The ceiling of HTTP servers: the least Python that reads a request, without a parser.

It looks for the empty line, for Content-Length and for Mcp-Session-Id, and for nothing else. It refuses nothing: a
yardstick and no server.
"""

from __future__ import annotations

import asyncio
from typing import cast

from mcpcore_bench.ceilings.http_answers import Answers
from mcpcore_bench.ceilings.http_loop import run
from mcpcore_bench.ceilings.http_writing import response


class HandRolled(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.rest = b""
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        while (end := data.find(b"\r\n\r\n") + 4) > 3:
            head = data[:end].lower()
            stop = end + int(value(head, b"\r\ncontent-length:") or 0)
            if len(data) < stop:
                break
            session = value(head, b"\r\nmcp-session-id:").strip()
            if head.startswith(b"post "):
                answer = self.answers.post(data[end:stop], session)
            else:
                answer = self.answers.other(data[: data.find(b" ")], session)
            self.transport.write(response(answer))
            data = data[stop:]
        self.rest = data


def value(head: bytes, name: bytes) -> bytes:
    """What stands behind ``name`` up to the end of its line; empty where it does not stand at all."""
    at = head.find(name)
    return head[at + len(name) : head.find(b"\r\n", at + 2)] if at >= 0 else b""


if __name__ == "__main__":
    run(HandRolled)
