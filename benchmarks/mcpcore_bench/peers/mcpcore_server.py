"""The benchmark's stdio server on mcpcore, written with its public names only and without any setting."""

from __future__ import annotations

import asyncio

from mcpcore import Server

LINE = "The quick brown fox jumps over the lazy dog, 0123456789.\n"
BIG = (LINE * (65536 // len(LINE) + 1))[:65536]

server = Server("bench")


async def done() -> int:
    return 1


@server.tool
async def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool
async def echo_await(text: str) -> str:
    """Returns its text after awaiting a coroutine that never waits."""
    await done()
    return text


@server.tool
async def echo_sleep0(text: str) -> str:
    """Returns its text one turn of the event loop later."""
    await asyncio.sleep(0)
    return text


@server.tool
def echo_thread(text: str) -> str:
    """Returns its text from a worker thread."""
    return text


@server.tool
async def big() -> str:
    """Returns 64 KiB of text."""
    return BIG


async def filler(text: str, count: int = 1) -> str:
    return text


for number in range(45):
    name = f"filler_{number:02d}"
    server.tool(name, description=f"Does nothing; it is {name} of the list.")(filler)


if __name__ == "__main__":
    server.run()
