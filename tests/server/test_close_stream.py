"""``ctx.close_stream``: a handler lets its client hang up and come back for the answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from mcpcore import Context, Server, SyncContext
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer

WAIT = 10


def _server() -> Server:
    server = Server("polling")

    @server.tool
    async def later(ctx: Context) -> str:
        await ctx.close_stream(retry=0.1)
        await asyncio.sleep(0)
        return "the end"

    @server.tool
    def later_in_a_thread(ctx: SyncContext) -> str:
        ctx.close_stream(retry=0.1)
        return "the end"

    return server


async def _ask(port: int, method: str, *fields: str, body: dict[str, object] | None = None) -> str:
    """One request on a connection of its own, and everything that came back until it was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} /mcp HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *fields]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    writer.write("\r\n".join([*head, "", ""]).encode() + data)
    try:
        return (await asyncio.wait_for(reader.read(), WAIT)).decode()
    finally:
        writer.close()


@pytest.mark.parametrize("tool", ["later", "later_in_a_thread"])
@pytest.mark.spec("2025-11-25/transports/S07")
def test_a_client_that_was_sent_away_finds_the_answer_when_it_comes_back(tool: str) -> None:
    async def story() -> None:
        http = HttpServer(_server(), HttpOptions(port=0))
        await http.start()
        assert http.port is not None
        info = {"name": "client", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        said = await _ask(http.port, "POST", body=opening)
        session = next(line for line in said.split("\r\n") if line.startswith("mcp-session-id"))

        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool}}
        first = await _ask(http.port, "POST", session, body=call)
        assert "retry: 100" in first
        assert "the end" not in first
        last = [line for line in first.split("\n") if line.startswith("id: ")][-1].removeprefix("id: ").strip()

        rest = await _ask(http.port, "GET", session, f"Last-Event-ID: {last}")
        assert "the end" in rest
        await http.stop()

    asyncio.run(asyncio.wait_for(story(), 3 * WAIT))
