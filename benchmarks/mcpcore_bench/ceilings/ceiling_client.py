"""The ceiling of clients: the least Python that can make concurrent calls, over stdio and to an object in memory.

Over stdio a call is a future in a table, one encoded line, and one write for all lines of a turn of the loop. In memory
the request's dict is handed to a function that answers with a constant dict, and the future is done at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from orjson import dumps, loads

from mcpcore_bench.measuring import Call, Task, run

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "ceiling", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ARGUMENTS = {"text": "hello"}


class CeilingClient(asyncio.SubprocessProtocol):
    def __init__(self, envelope: dict[str, Any]) -> None:
        self.envelope = envelope
        self.loop = asyncio.get_running_loop()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.last_id = 0
        self.rest = b""
        self.lines: list[bytes] = []
        self.output: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        pipe = transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        self.output = pipe

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        lines = (self.rest + data if self.rest else data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            message = loads(line)
            self.waiting.pop(message["id"]).set_result(message["result"])

    def request(self, method: str, params: dict[str, Any]) -> asyncio.Future[Any]:
        self.last_id += 1
        future = self.waiting[self.last_id] = self.loop.create_future()
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": {**params, **self.envelope}}
        self.send(dumps(message))
        return future

    def send(self, line: bytes) -> None:
        if not self.lines:
            self.loop.call_soon(self.flush)
        self.lines.append(line)

    def flush(self) -> None:
        self.output.write(b"\n".join(self.lines) + b"\n")
        self.lines.clear()

    async def echo(self) -> str:
        result = await self.request("tools/call", {"name": "echo", "arguments": ARGUMENTS})
        text: str = result["content"][0]["text"]
        return text


class MemoryServer:
    """Answers a request's dict with a constant result."""

    def __init__(self, modern: bool) -> None:
        result: dict[str, Any] = {"content": [{"type": "text", "text": "hello"}]}
        self.results = {"echo": {"resultType": "complete", **result} if modern else result}

    def receive(self, message: dict[str, Any], client: MemoryClient) -> None:
        result = self.results[message["params"]["name"]]
        client.receive({"jsonrpc": "2.0", "id": message["id"], "result": result})


class MemoryClient:
    def __init__(self, server: MemoryServer, envelope: dict[str, Any]) -> None:
        self.server = server
        self.envelope = envelope
        self.loop = asyncio.get_running_loop()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.last_id = 0

    def receive(self, message: dict[str, Any]) -> None:
        self.waiting.pop(message["id"]).set_result(message["result"])

    async def echo(self) -> str:
        self.last_id += 1
        future = self.waiting[self.last_id] = self.loop.create_future()
        params = {"name": "echo", "arguments": ARGUMENTS, **self.envelope}
        self.server.receive({"jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": params}, self)
        result = await future
        text: str = result["content"][0]["text"]
        return text


@contextlib.asynccontextmanager
async def connect(task: Task) -> AsyncIterator[Call]:
    modern = task.era == "modern"
    envelope = {"_meta": META} if modern else {}
    if not task.command:
        yield MemoryClient(MemoryServer(modern), envelope).echo
        return
    loop = asyncio.get_running_loop()
    transport, client = await loop.subprocess_exec(lambda: CeilingClient(envelope), *task.command, stderr=None)
    if modern:
        await client.request("server/discover", {})
    else:
        info = {"name": "ceiling", "version": "0"}
        await client.request("initialize", {"protocolVersion": task.revision, "capabilities": {}, "clientInfo": info})
        client.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    yield client.echo
    client.output.close()
    await transport._wait()  # type: ignore[attr-defined]


if __name__ == "__main__":
    run(connect)
