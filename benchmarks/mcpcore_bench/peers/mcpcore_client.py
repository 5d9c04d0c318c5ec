"""The client of mcpcore: over stdio, to a URL, or to a server object in the same process. Public names, no setting."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mcpcore import Client, Server

from mcpcore_bench.measuring import Call, Task, run


@contextlib.asynccontextmanager
async def connect(task: Task) -> AsyncIterator[Call]:
    target: str | list[str] | Server = task.url or list(task.command)
    if not task.command:
        from mcpcore_bench.peers.mcpcore_server import server

        target = server
    async with Client(target, revisions=task.revision) as client:

        async def echo() -> str:
            result = await client.call_tool("echo", {"text": "hello"})
            return str(result.text)

        yield echo


if __name__ == "__main__":
    run(connect)
