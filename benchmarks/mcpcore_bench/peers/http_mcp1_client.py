"""The HTTP client of the official Python SDK, version 1 (mcp 1.30)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from mcpcore_bench.measuring import Call, Task, run


@contextlib.asynccontextmanager
async def connect(task: Task) -> AsyncIterator[Call]:
    async with streamable_http_client(task.command[0]) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()

        async def echo() -> str:
            result = await session.call_tool("echo", {"text": "hello"})
            return str(result.content[0].text)

        yield echo


if __name__ == "__main__":
    run(connect)
