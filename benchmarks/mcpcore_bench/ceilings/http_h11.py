"""The ceiling of HTTP servers on h11: it reads the request and writes the answer, one write for each answer."""

from __future__ import annotations

import asyncio
from typing import cast

import h11

from mcpcore_bench.ceilings.http_answers import JSON, Answer, Answers
from mcpcore_bench.ceilings.http_loop import run
from mcpcore_bench.ceilings.http_writing import REASONS


class OnH11(asyncio.Protocol):
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.connection = h11.Connection(h11.SERVER)
        self.request: h11.Request
        self.body = b""
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        connection = self.connection
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                self.request = event
                self.body = b""
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.transport.write(self.respond(self.answer()))
                connection.start_next_cycle()
            else:
                return

    def answer(self) -> Answer:
        session = b""
        for name, value in self.request.headers:
            if name == b"mcp-session-id":
                session = value
        if self.request.method == b"POST":
            return self.answers.post(self.body, session)
        return self.answers.other(self.request.method, session)

    def respond(self, answer: Answer) -> bytes:
        headers: list[tuple[bytes, bytes]] = []
        if answer.kind:
            headers.append((b"Content-Type", answer.kind))
        if not answer.kind or answer.kind is JSON:
            headers.append((b"Content-Length", b"%d" % len(answer.body)))
        else:
            headers += ((b"Cache-Control", b"no-cache"), (b"Transfer-Encoding", b"chunked"))
        if answer.session:
            headers.append((b"Mcp-Session-Id", answer.session))
        send = self.connection.send
        head = h11.Response(status_code=answer.status, headers=headers, reason=REASONS[answer.status])
        parts = (send(head), send(h11.Data(data=answer.body)), send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)


if __name__ == "__main__":
    run(OnH11)
