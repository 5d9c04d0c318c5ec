"""What a handler in a thread has of its context."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mcpcore import CallTimeout, Client, Server, SyncContext


def test_once_runs_in_the_thread_of_the_handler() -> None:
    """What belongs to one thread, such as a connection to SQLite, may be used there."""
    server = Server("context")

    @server.tool
    def where(ctx: SyncContext) -> bool:
        return ctx.once("where", threading.get_ident) == threading.get_ident()

    async def main() -> None:
        async with Client(server) as client:
            assert (await client.call_tool("where")).text == "true"

    asyncio.run(main())


def test_once_in_a_thread_refuses_what_would_have_to_wait() -> None:
    server = Server("context")

    @server.tool
    def wait(ctx: SyncContext) -> str:
        async def suspend() -> None:
            class Forever:
                def __await__(self) -> object:
                    yield

            await Forever()  # type: ignore[misc]

        try:
            ctx.once("wait", suspend)  # type: ignore[unused-coroutine]
        except Exception as error:
            return str(error)
        return ""

    async def main() -> None:
        async with Client(server) as client:
            assert "takes a plain function here" in (await client.call_tool("wait")).text

    asyncio.run(main())


def test_a_thread_that_reads_a_resource_first_still_hears_that_its_call_was_cancelled() -> None:
    server = Server("context")
    told = threading.Event()

    @server.resource("test:it")
    def it(ctx: SyncContext) -> str:
        return "contents"

    @server.tool
    def work(ctx: SyncContext) -> str:
        ctx.read_resource("test:it")
        if ctx.cancelled.wait(10):
            told.set()
        return ""

    async def main() -> None:
        async with Client(server) as client:
            with pytest.raises(CallTimeout):
                await client.call_tool("work", timeout=0.1)
            assert await asyncio.to_thread(told.wait, 5)

    asyncio.run(main())
