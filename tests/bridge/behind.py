"""The server behind the bridge in these tests: ``python behind.py [PORT] [LOG]``. Every call is a line of LOG."""

from __future__ import annotations

import asyncio
import os
import sys

from mcpcore import Context, Server

server = Server("behind")
LOG = sys.argv[2] if len(sys.argv) > 2 else os.devnull


def note(text: str) -> None:
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(text + "\n")


@server.tool
async def echo(text: str) -> str:
    note(text)
    await asyncio.sleep(0.002)
    return text


@server.tool
async def die() -> str:
    os._exit(3)


@server.tool
async def count(ctx: Context, to: int) -> str:
    for number in range(1, to + 1):
        await ctx.progress(number, to)
    return "counted"


@server.tool
async def ask(ctx: Context) -> str:
    answer = await ctx.elicit("Who?", {"type": "object", "properties": {"name": {"type": "string"}}})
    return f"{answer.action} {answer.content}"


@server.tool
async def wait() -> str:
    note("waiting")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return "never"


@server.tool
async def grow() -> str:
    server.add_tool(die, name="grown")
    return "grown"


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if port:
        server.run("http", port=port)
    server.run()
