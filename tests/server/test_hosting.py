"""How a server meets its connections, and how it tells all of them what changed: from any thread, on any loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mcpcore import Client, Server, UsageError
from mcpcore.transports.runner import Runner


@pytest.fixture
def server() -> Server:
    made = Server("hosting")

    @made.tool
    async def echo(text: str) -> str:
        return text

    return made


async def later() -> str:
    return "registered late"


def test_a_tool_can_be_registered_after_a_loop_was_closed_under_its_connections(server: Server) -> None:
    async def leave_open() -> Runner:
        runner = server.open_runner()
        runner.data_received(
            b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
            b'"capabilities":{},"clientInfo":{"name":"c","version":"1"}}}\n'
            b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        )
        runner.peer.take()
        return runner

    runner = asyncio.run(leave_open())
    server.add_tool(later)
    assert runner not in server._runners

    async def again() -> None:
        async with Client(server) as client:
            assert (await client.call_tool("later")).text == "registered late"

    asyncio.run(again())


def test_ten_clients_at_once_hear_of_the_changes_that_three_threads_tell(server: Server) -> None:
    async def main() -> None:
        async def hear() -> int:
            async with Client(server) as client, client.listen(tools=True) as events:
                ready.append(1)
                async for _ in events:
                    return 1
            return 0

        ready: list[int] = []
        hearers = [asyncio.ensure_future(hear()) for _ in range(10)]
        while len(ready) < 10:
            await asyncio.sleep(0)

        def notify() -> None:
            for _ in range(100):
                server.notify_tools_changed()

        threads = [threading.Thread(target=notify) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert sum(await asyncio.wait_for(asyncio.gather(*hearers), 10)) == 10
        for thread in threads:
            await asyncio.to_thread(thread.join)

    asyncio.run(main())


def test_run_inside_a_running_loop_names_serve(server: Server) -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match=r"use await server\.serve\(\)"):
            server.run()

    asyncio.run(main())


def test_one_server_serves_clients_on_two_loops_at_once(server: Server) -> None:
    here, there = threading.Event(), threading.Event()

    async def talk(own: threading.Event, other: threading.Event) -> str:
        async with Client(server) as client:
            own.set()
            await asyncio.to_thread(other.wait, 10)
            return (await client.call_tool("echo", {"text": "both"})).text

    answers: list[str] = []
    second = threading.Thread(target=lambda: answers.append(asyncio.run(talk(there, here))))
    second.start()
    answers.append(asyncio.run(talk(here, there)))
    second.join()
    assert answers == ["both", "both"]
