"""The benchmark's stdio server on the official Python SDK (mcp 2.3).

``structured_output=False`` spares it work that the other servers do not do either.
"""
# mypy: disable-error-code="import-not-found,untyped-decorator"

from __future__ import annotations

import asyncio

from mcp.server import MCPServer

LINE = "The quick brown fox jumps over the lazy dog, 0123456789.\n"
BIG = (LINE * (65536 // len(LINE) + 1))[:65536]

server = MCPServer("bench")


async def done() -> int:
    return 1


@server.tool(structured_output=False)
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool(structured_output=False)
async def echo_await(text: str) -> str:
    """Returns its text after awaiting a coroutine that never waits."""
    await done()
    return text


@server.tool(structured_output=False)
async def echo_sleep0(text: str) -> str:
    """Returns its text one turn of the event loop later."""
    await asyncio.sleep(0)
    return text


@server.tool(structured_output=False)
def echo_thread(text: str) -> str:
    """Returns its text from a worker thread."""
    return text


@server.tool(structured_output=False)
async def big() -> str:
    """Returns 64 KiB of text."""
    return BIG


async def filler(text: str, count: int = 1) -> str:
    return text


for number in range(45):
    name = f"filler_{number:02d}"
    server.tool(name, description=f"Does nothing; it is {name} of the list.", structured_output=False)(filler)


if __name__ == "__main__":
    server.run("stdio")
