"""A server whose handlers do what a test of the HTTP server wants to watch: answer, wait, speak, ask, be cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

from mcpcore import Context, Server
from mcpcore.core.limits import Limits
from tests.transports.http_wire import MODERN, PATIENCE, Answer, Served, Talk

__all__ = ["Stage", "call", "echo", "run", "text_of"]


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


def call(served: Served, name: str, arguments: dict[str, Any], id: Any = 1, **fields: str | None) -> bytes:
    """A modern ``tools/call`` as bytes."""
    talk = Talk(served, MODERN, {})
    return talk.bytes_of(talk.message("tools/call", {"name": name, "arguments": arguments}, id), **fields)


def echo(served: Served, text: str, id: Any = 1, **fields: str | None) -> bytes:
    return call(served, "echo", {"text": text}, id, **fields)


def text_of(answer: Answer) -> str:
    text: str = answer.json["result"]["content"][0]["text"]
    return text


class Stage:
    """``server`` has the tools; the rest is what they did. A ``wait`` goes on when its gate is opened."""

    def __init__(self, **limits: Any) -> None:
        self.server = Server("stage", limits=Limits(**limits))
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.headers: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._register()

    def open(self, name: str) -> None:
        self._gate(name).set()

    async def until(self, names: list[str], *wanted: str) -> None:
        """Wait until these stand in one of the lists."""
        async with asyncio.timeout(PATIENCE):
            while not set(wanted) <= set(names):
                self._changed.clear()
                await self._changed.wait()

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def _note(self, names: list[str], name: str) -> None:
        names.append(name)
        self._changed.set()

    async def _wait(self, name: str) -> None:
        self._note(self.begun, name)
        try:
            await self._gate(name).wait()
        except asyncio.CancelledError:
            self._note(self.cancelled, name)
            raise
        self._note(self.ended, name)

    def _register(self) -> None:
        tool = self.server.tool

        @tool
        async def echo(text: str) -> str:
            return text

        @tool
        async def large(size: int) -> str:
            return "x" * size

        @tool
        async def wait(name: str) -> str:
            await self._wait(name)
            return name

        @tool
        async def speak_and_wait(name: str, ctx: Context) -> str:
            await ctx.info(f"{name} begins")
            await self._wait(name)
            await ctx.info(f"{name} ends")
            return name

        @tool
        async def count(n: int, ctx: Context) -> str:
            for number in range(n):
                await ctx.info(number)
                await asyncio.sleep(0)
            return "counted"

        @tool
        async def fail(text: str, ctx: Context) -> str:
            await ctx.info("before")
            raise RuntimeError(text)

        @tool
        async def tell_header(name: str, ctx: Context) -> str:
            return ctx.headers.get(name, "")

        @self.server.resource("stage://one")
        async def one() -> str:
            return "one"
