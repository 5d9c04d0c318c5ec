"""The server that the tests of ``server.asgi()`` serve, and how they play a story with it. No test lives here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcpcore import Context, Server
from mcpcore.transports.asgi import AsgiApp
from tests.transports.asgi_driver import Answer, Stage, running

__all__ = [
    "ADD",
    "ECHO",
    "LISTEN",
    "WAIT",
    "Steps",
    "make_server",
    "perform",
    "refused",
    "settled",
    "site_of",
    "with_lifespan",
]

WAIT = 10.0
ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}
ECHO = {"name": "echo", "arguments": {"text": "hi"}}
LISTEN = {"notifications": {"toolsListChanged": True}}


class Steps(list[str]):
    """What happened in handlers, and a way to wait for it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self._news = asyncio.Event()

    def note(self, step: str) -> None:
        self.append(step)
        self._news.set()

    async def until(self, step: str) -> None:
        async with asyncio.timeout(WAIT):
            while step not in self:
                self._news.clear()
                await self._news.wait()


def make_server(steps: Steps | None = None, **options: Any) -> Server:
    server = Server("asgi", **options)

    @server.tool
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool
    async def wait(ctx: Context, say: str = "") -> str:
        """Waits for the gate."""
        assert steps is not None
        steps.note("begun")
        if say:
            await ctx.info(say)
        try:
            await steps.gate.wait()
        except asyncio.CancelledError:
            steps.note("cancelled")
            raise
        steps.note("finished")
        return "done"

    @server.tool
    async def echo(ctx: Context, text: str) -> str:
        await asyncio.sleep(0)
        return f"{text} {ctx.headers and ctx.headers.get('x-who')} {ctx.principal}"

    return server


def perform(app: Any, story: Callable[[Stage], Any], *, lifespan: bool = False) -> Any:
    """Plays a story in an event loop of its own."""

    async def main() -> Any:
        async with running(app, lifespan=lifespan) as stage:
            return await story(stage)

    return asyncio.run(main())


async def settled() -> None:
    """Everything that can happen by itself has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


async def refused(stage: Stage, status: int, headers: dict[str, str], **scope: Any) -> Answer:
    """The answer to a request that goes no further: its body was never asked for."""
    fields = {"content-type": "application/json", **headers}
    request = stage.begin("POST", "/mcp", fields, None, **scope)
    answer = await request.answer()
    assert (answer.status, request.asked) == (status, 0), answer
    return answer


def site_of(app: AsgiApp) -> Any:
    return app._sites[asyncio.get_running_loop()]


def with_lifespan(steps: list[str]) -> Server:
    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[str]:
        steps.append("started")
        yield "value"
        await asyncio.sleep(0)
        steps.append("ended")

    server = make_server(lifespan=lifespan)

    @server.tool
    async def held(ctx: Context) -> str:
        return str(ctx.lifespan)

    return server
