"""Clients over HTTP through their lives: closed from anywhere, forgotten, many at once, and what they leave behind."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client
from mcpcore.errors import Closed, HttpError
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire, silence

eras = pytest.mark.parametrize("revision", [MODERN, LEGACY])


def ours() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("mcpcore")]


async def gone(toy: HttpToy) -> None:
    """Wait until the client has closed all its connections."""
    async with asyncio.timeout(5):
        while toy.open:
            await asyncio.sleep(0.001)


@eras
def test_a_client_is_closed_from_another_task(revision: str) -> None:
    async def main() -> None:
        async with HttpToy(revision, handlers={"tools/call": silence}) as toy:
            client = await asyncio.create_task(Client(toy.url).connect())
            call = asyncio.ensure_future(client.call_tool("x"))
            await toy.seen("tools/call")
            await asyncio.create_task(client.close())
            with pytest.raises(Closed):
                await call
            await gone(toy)
            assert ours() == []

    asyncio.run(main())


@eras
def test_a_client_is_closed_from_another_thread(revision: str) -> None:
    async def main() -> None:
        async with HttpToy(revision) as toy:
            client = await Client(toy.url).connect()
            thread = threading.Thread(target=lambda: asyncio.run(client.close()))
            thread.start()
            await asyncio.to_thread(thread.join)
            await gone(toy)
            assert ours() == []

    asyncio.run(main())


@eras
def test_a_forgotten_client_closes_its_connections_and_warns(revision: str) -> None:
    async def main() -> None:
        async with HttpToy(revision) as toy:
            client = await Client(toy.url).connect()
            await client.call_tool("x")
            with pytest.warns(ResourceWarning, match="never closed"):
                del client
            await gone(toy)
            await asyncio.sleep(0)
            assert ours() == []

    asyncio.run(main())


@eras
def test_fifty_clients_at_once_leave_nothing(revision: str) -> None:
    async def main() -> None:
        async def visit(toy: HttpToy) -> None:
            async with Client(toy.url) as client:
                assert (await client.call_tool("x")).text == "called"

        async with HttpToy(revision) as toy:
            await asyncio.gather(*[visit(toy) for _ in range(50)])
            await gone(toy)
            assert ours() == []
            if revision == LEGACY:
                assert len(toy.sent("DELETE")) == 50

    asyncio.run(main())


@eras
def test_a_client_connects_again_after_it_was_closed_also_in_another_loop(revision: str) -> None:
    client: list[Client] = []

    async def main() -> None:
        async with HttpToy(revision) as toy:
            if not client:
                client.append(Client(toy.url))
            client[0]._link._target._options.url.port = toy.port  # type: ignore[attr-defined]
            for _ in range(2):
                async with client[0]:
                    assert (await client[0].call_tool("x")).text == "called"

    asyncio.run(main())
    asyncio.run(main())


@eras
def test_closing_waits_neither_for_calls_nor_for_a_server_that_is_silent(revision: str) -> None:
    async def main() -> None:
        toy = HttpToy(revision)
        await toy.start()
        client = await Client(toy.url, close_timeout=0.2).connect()
        toy.handlers["*"] = silence
        calls = [asyncio.ensure_future(client.call_tool("x")) for _ in range(5)]
        await toy.seen("tools/call", 5)
        async with asyncio.timeout(1):
            await client.close()
        for call in calls:
            with pytest.raises(Closed):
                await call
        await toy.stop()

    asyncio.run(main())


def test_what_was_said_last_is_delivered_before_the_session_ends() -> None:
    async def main() -> None:
        async def slow(asked: Asked, wire: Wire) -> None:
            await asyncio.sleep(0.05)
            wire.answer(202)

        async with HttpToy(LEGACY, handlers={"vendor/last": slow}) as toy:
            async with Client(toy.url) as client:
                await client.notify("vendor/last")
            assert [asked.method for asked in toy.asked if asked.method != "GET"][-2:] == ["vendor/last", "DELETE"]

    asyncio.run(main())


def test_a_pause_longer_than_the_limit_is_not_made() -> None:
    async def main() -> None:
        def busy(asked: Asked, wire: Wire) -> None:
            wire.answer(503, "busy", Retry_After="5")

        options: dict[str, Any] = {"limits": Limits(retry_after_seconds=1), "timeout": 600}
        async with HttpToy(handlers={"tools/list": busy}) as toy, Client(toy.url, **options) as client:
            async with asyncio.timeout(2):
                with pytest.raises(HttpError):
                    await client.list_tools()

    asyncio.run(main())
