"""The ceiling of HTTP servers on httptools, the parser in C that uvicorn uses; answers are written by hand."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from mcpcore_bench.ceilings.http_answers import Answers
from mcpcore_bench.ceilings.http_loop import run
from mcpcore_bench.ceilings.http_writing import response


class OnHttptools(asyncio.Protocol):
    """A protocol of asyncio and of httptools: the parser calls the ``on_`` methods."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.parser = httptools.HttpRequestParser(self)
        self.session = b""
        self.body = b""
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.session = self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"mcp-session-id":
            self.session = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        method = self.parser.get_method()
        if method == b"POST":
            answer = self.answers.post(self.body, self.session)
        else:
            answer = self.answers.other(method, self.session)
        self.transport.write(response(answer))


if __name__ == "__main__":
    run(OnHttptools)
