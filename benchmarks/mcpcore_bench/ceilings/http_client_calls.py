"""What the ceilings of HTTP clients share: a pool of connections, one request on each, and the opening of both eras.

How a request is written and a response read is each ceiling's own: ``http_client_hand.py``, ``http_client_h11.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from orjson import dumps, loads

from mcpcore_bench.ceilings.ceiling_client import ARGUMENTS, META
from mcpcore_bench.measuring import Call, Task, run

__all__ = ["Connection", "Headers", "measure"]

Headers = list[tuple[bytes, bytes]]


class Connection(Protocol):
    """An asyncio protocol with one request at a time. ``session`` is the id in the last response, or empty."""

    session: bytes

    def request(self, headers: Headers, body: bytes) -> asyncio.Future[bytes]:
        """Sends a POST; the future gets the body of the response."""
        ...


class Calls:
    """Makes calls on idle connections, and on a new one where none is idle."""

    def __init__(self, task: Task, make: Callable[[str, str], asyncio.Protocol]) -> None:
        address = urlsplit(task.command[0])
        self.host, self.port, self.path = address.hostname or "", address.port or 80, address.path
        self.make = make
        self.idle: list[Connection] = []
        self.modern = task.era == "modern"
        self.revision = task.revision
        self.envelope: dict[str, Any] = {"_meta": META} if self.modern else {}
        self.session = b""
        self.last_id = 0
        self.echo_headers: Headers = []

    async def open(self) -> None:
        if self.modern:
            await self.request("server/discover", {}, self.headers("server/discover"))
        else:
            info = {"name": "ceiling", "version": "0"}
            params = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": info}
            await self.request("initialize", params, [])
            self.session = self.idle[-1].session
            body = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
            await self.idle[-1].request(self.headers("notifications/initialized"), body)
        self.echo_headers = self.headers("tools/call", "echo")

    def headers(self, method: str, name: str = "") -> Headers:
        headers = [(b"MCP-Protocol-Version", self.revision.encode())]
        if self.modern:
            headers.append((b"Mcp-Method", method.encode()))
            if name:
                headers.append((b"Mcp-Name", name.encode()))
        if self.session:
            headers.append((b"Mcp-Session-Id", self.session))
        return headers

    async def request(self, method: str, params: dict[str, Any], headers: Headers) -> Any:
        connection = self.idle.pop() if self.idle else await self.connect()
        self.last_id += 1
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": {**params, **self.envelope}}
        reply = loads(await connection.request(headers, dumps(message)))
        self.idle.append(connection)
        return reply["result"]

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        host = f"{self.host}:{self.port}"
        _, connection = await loop.create_connection(lambda: self.make(host, self.path), self.host, self.port)
        return connection  # type: ignore[return-value]

    async def echo(self) -> str:
        result = await self.request("tools/call", {"name": "echo", "arguments": ARGUMENTS}, self.echo_headers)
        text: str = result["content"][0]["text"]
        return text


def measure(make: Callable[[str, str], asyncio.Protocol]) -> None:
    """``make(host, path)`` gives the protocol of a new connection."""

    @contextlib.asynccontextmanager
    async def connect(task: Task) -> AsyncIterator[Call]:
        calls = Calls(task, make)
        await calls.open()
        yield calls.echo

    run(connect)
