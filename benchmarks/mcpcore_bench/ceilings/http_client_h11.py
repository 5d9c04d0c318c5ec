"""The ceiling of HTTP clients on h11: it writes the request and reads the response, one write for each request."""

from __future__ import annotations

import asyncio
from typing import cast

import h11

from mcpcore_bench.ceilings.http_client_calls import Headers, measure


class OnH11(asyncio.Protocol):
    def __init__(self, host: str, path: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection = h11.Connection(h11.CLIENT)
        self.path = path.encode()
        self.headers = [
            (b"Host", host.encode()),
            (b"Accept", b"application/json, text/event-stream"),
            (b"Content-Type", b"application/json"),
        ]
        self.session = b""
        self.body = b""
        self.transport: asyncio.WriteTransport
        self.waiting: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def request(self, headers: Headers, body: bytes) -> asyncio.Future[bytes]:
        length = (b"Content-Length", b"%d" % len(body))
        head = h11.Request(method=b"POST", target=self.path, headers=[*self.headers, *headers, length])
        send = self.connection.send
        parts = (send(head), send(h11.Data(data=body)), send(h11.EndOfMessage()))
        self.waiting = self.loop.create_future()
        self.transport.write(b"".join(part for part in parts if part))
        return self.waiting

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                self.body = b""
                self.session = next((value for name, value in event.headers if name == b"mcp-session-id"), b"")
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                connection.start_next_cycle()
                self.waiting.set_result(self.body)
                return
            else:
                return


if __name__ == "__main__":
    measure(OnH11)
