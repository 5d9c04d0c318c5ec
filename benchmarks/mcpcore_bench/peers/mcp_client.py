"""The client of the official Python SDK (mcp 2.3): over stdio, to a URL, or to a server object in the same process."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mcp import Client, StdioServerParameters

from mcpcore_bench.measuring import Call, Task, run


@contextlib.asynccontextmanager
async def connect(task: Task) -> AsyncIterator[Call]:
    if task.url:
        target = task.url
    elif task.command:
        target = StdioServerParameters(command=task.command[0], args=list(task.command[1:]))
    else:
        from mcpcore_bench.peers.mcp_server import server as target
    async with Client(target, mode="legacy" if task.era == "legacy" else "auto") as client:

        async def echo() -> str:
            result = await client.call_tool("echo", {"text": "hello"})
            return str(result.content[0].text)

        yield echo


if __name__ == "__main__":
    run(connect)
