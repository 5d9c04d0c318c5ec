"""The benchmark's stdio server on aiohttp-tiny-mcp 0.5. It takes asynchronous handlers only."""
# mypy: disable-error-code="import-not-found,untyped-decorator,misc"

from __future__ import annotations

import asyncio

from aiohttp_tiny_mcp import Registry, run_stdio
from pydantic import BaseModel

LINE = "The quick brown fox jumps over the lazy dog, 0123456789.\n"
BIG = (LINE * (65536 // len(LINE) + 1))[:65536]

registry = Registry("bench", "0")


class Text(BaseModel):
    text: str


class Nothing(BaseModel):
    pass


class Filler(BaseModel):
    text: str
    count: int = 1


async def done() -> int:
    return 1


@registry.tool
async def echo(args: Text) -> str:
    """Returns its text."""
    return args.text


@registry.tool
async def echo_await(args: Text) -> str:
    """Returns its text after awaiting a coroutine that never waits."""
    await done()
    return args.text


@registry.tool
async def echo_sleep0(args: Text) -> str:
    """Returns its text one turn of the event loop later."""
    await asyncio.sleep(0)
    return args.text


@registry.tool
async def echo_thread(args: Text) -> str:
    """Returns its text; this implementation has no handlers in threads."""
    return args.text


@registry.tool
async def big(args: Nothing) -> str:
    """Returns 64 KiB of text."""
    return BIG


async def filler(args: Filler) -> str:
    return args.text


for number in range(45):
    name = f"filler_{number:02d}"
    registry.tool(name=name, description=f"Does nothing; it is {name} of the list.")(filler)


if __name__ == "__main__":
    asyncio.run(run_stdio(registry))
