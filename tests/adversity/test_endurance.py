"""A hundred thousand calls leave nothing behind: memory, tasks and descriptors stay flat."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path

import pytest

from mcpcore import Client, Context, Server
from mcpcore.core.limits import Limits
from mcpcore.transports.runner import Runner

CALLS = 100_000


def make_server() -> Server:
    server = Server("endurance")

    @server.tool
    async def echo(text: str) -> str:
        return text

    @server.tool
    async def later(text: str, ctx: Context) -> str:
        await ctx.progress(1, 2)
        await asyncio.sleep(0)
        return text

    @server.tool
    def threaded(text: str) -> str:
        return text

    return server


def resident() -> int:
    """Bytes of resident memory; 0 where the platform does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_hundred_thousand_calls_leave_memory_tasks_and_descriptors_flat(revision: str) -> None:
    async def conversation() -> None:
        async with Client(make_server(), revisions=revision) as client:

            async def calls(count: int) -> None:
                for number in range(count):
                    tool = "threaded" if number % 100 == 0 else "later" if number % 10 == 0 else "echo"
                    result = await client.call_tool(tool, {"text": "x" * 100})
                    assert result.text == "x" * 100

            await asyncio.gather(*(calls(CALLS // 10 // 50) for _ in range(50)))
            gc.collect()
            before = (
                resident(),
                len(asyncio.all_tasks()),
                len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,
            )
            await asyncio.gather(*(calls(CALLS // 50) for _ in range(50)))
            gc.collect()
            after = (
                resident(),
                len(asyncio.all_tasks()),
                len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0,
            )
            assert after[1:] == before[1:]
            assert after[0] - before[0] < 8 * 1024 * 1024
            assert before[1] < 10

    asyncio.run(conversation())


class Silent(asyncio.Protocol):
    """A client that sends and never reads."""

    def __init__(self) -> None:
        self.bytes = 0

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)

    def eof_received(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


def test_a_client_that_does_not_read_stops_being_served_instead_of_filling_the_memory() -> None:
    async def conversation() -> None:
        server = Server("backpressure", limits=Limits(write_high_water=100_000))

        @server.tool
        async def big() -> str:
            return "x" * 10_000

        pipe = Silent()
        channel = server.connect_client(pipe)
        channel.write(
            b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
            b'"clientInfo":{"name":"c","version":"1"}}}\n'
        )
        channel.pause_reading()
        for number in range(1, 1001):
            channel.write(b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"big"}}\n' % number)
        for _ in range(2000):
            await asyncio.sleep(0)
        runner = next(iter(server._runners))
        assert isinstance(runner, Runner)
        assert runner.channel.get_write_buffer_size() < 1_000_000
        assert not runner.peer.outbox
        channel.resume_reading()
        async with asyncio.timeout(20):
            while pipe.bytes < 10_000_000:
                await asyncio.sleep(0)
        channel.close()

    asyncio.run(conversation())


def test_the_request_beyond_the_limit_in_flight_gets_a_defined_answer() -> None:
    async def conversation() -> None:
        server = Server("overload", limits=Limits(max_in_flight=8))
        release = asyncio.Event()

        @server.tool
        async def wait() -> str:
            await release.wait()
            return "done"

        async with Client(server) as client:
            held = [asyncio.create_task(client.call_tool("wait")) for _ in range(8)]
            await asyncio.sleep(0)
            refused = await asyncio.gather(client.call_tool("wait"), return_exceptions=True)
            assert getattr(refused[0], "code", None) == 429
            assert getattr(refused[0], "data", None) == {"limit": 8, "retryAfterMs": 1000}
            release.set()
            assert [(await one).text for one in held] == ["done"] * 8

    asyncio.run(conversation())
