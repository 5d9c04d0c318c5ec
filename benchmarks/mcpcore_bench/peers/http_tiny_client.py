"""The HTTP client of aiohttp-tiny-mcp 0.5."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp_tiny_mcp import AdapterSet, Client

from mcpcore_bench.measuring import Call, Task, run


@contextlib.asynccontextmanager
async def connect(task: Task) -> AsyncIterator[Call]:
    async with Client(task.command[0], AdapterSet.default().by_version[task.revision]) as client:
        await client.initialize()

        async def echo() -> str:
            result = await client.call_tool("echo", {"text": "hello"})
            return str(result.content[0].text)

        yield echo


if __name__ == "__main__":
    run(connect)
