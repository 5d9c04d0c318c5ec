"""What a client sends again over HTTP, and what it does not: busy servers, stale connections, broken streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.errors import (
    ConnectionLost,
    HttpError,
)
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire

ERAS = [MODERN, LEGACY]
eras = pytest.mark.parametrize("revision", ERAS)
READ_ONLY = {"name": "x", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}


def listed(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", "tools": list(tools), "ttlMs": 0, "cacheScope": "private"}


def test_a_busy_server_is_asked_again_where_that_does_no_harm() -> None:
    async def main() -> None:
        busy = {"tools/list": 2, "tools/call": 1}

        def refuse(asked: Asked, wire: Wire) -> None:
            if busy[asked.method]:
                busy[asked.method] -= 1
                wire.answer(503 if busy[asked.method] else 429, "busy", Retry_After="0")
            elif asked.method == "tools/list":
                wire.result(asked, listed(READ_ONLY))
            else:
                toy.usual(asked, wire)

        toy = HttpToy(handlers={"tools/list": refuse, "tools/call": refuse})
        async with toy, Client(toy.url) as client:
            with pytest.raises(HttpError) as caught:
                await client.call_tool("x")
            assert caught.value.status == 429 and caught.value.retry_after == 0
            assert len(toy.sent("tools/call")) == 1, "nobody knows whether it does harm"
            assert len(await client.list_tools()) == 1
            assert len(toy.sent("tools/list")) == 3
            busy["tools/call"] = 1
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


def test_a_server_that_wants_more_time_than_there_is_is_not_waited_for() -> None:
    async def main() -> None:
        def busy(asked: Asked, wire: Wire) -> None:
            wire.answer(503, "busy", Retry_After="30")

        async with HttpToy(handlers={"tools/list": busy}) as toy, Client(toy.url) as client, asyncio.timeout(2):
            with pytest.raises(HttpError) as caught:
                await client.list_tools(timeout=5)
            assert caught.value.retry_after == 30
            assert len(toy.sent("tools/list")) == 1

    asyncio.run(main())


def test_a_server_that_is_busy_for_ever_is_given_up() -> None:
    async def main() -> None:
        def busy(asked: Asked, wire: Wire) -> None:
            wire.answer(503, "busy", Retry_After="0")

        async with HttpToy(handlers={"tools/list": busy}) as toy, Client(toy.url) as client:
            with pytest.raises(HttpError, match="503"):
                await client.list_tools()
            assert len(toy.sent("tools/list")) == 4

    asyncio.run(main())


def test_a_connection_that_closes_under_a_request_is_replaced_only_for_what_may_come_twice() -> None:
    """The server had served others over it, and closed it without a byte: most likely it was idle for too long."""

    async def main() -> None:
        closing = {"tools/list", "tools/call", "resources/read"}

        def close(asked: Asked, wire: Wire) -> None:
            if asked.method in closing:
                closing.discard(asked.method)
                wire.close()
            elif asked.method == "resources/read":
                wire.result(asked, {"contents": []})
            else:
                toy.usual(asked, wire)

        toy = HttpToy(handlers=dict.fromkeys(closing, close))
        async with toy, Client(toy.url) as client:
            assert len(await client.list_tools()) == 1 and len(toy.sent("tools/list")) == 2
            await client.read_resource("x://")
            with pytest.raises(ConnectionLost, match="may have acted on it"):
                await client.call_tool("x")
            assert len(toy.sent("tools/call")) == 1

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/changelog/M01")
@eras
def test_a_broken_stream_loses_its_request_which_is_issued_again_with_a_new_id_where_that_does_no_harm(
    revision: str,
) -> None:
    async def main() -> None:
        broken = {"tools/list", "tools/call"}

        def breaks(asked: Asked, wire: Wire) -> None:
            if asked.method not in broken:
                toy.usual(asked, wire)
                return
            broken.discard(asked.method)
            wire.stream()
            wire.notify("notifications/message", {"level": "info", "data": 1})
            wire.end()

        toy = HttpToy(revision, handlers=dict.fromkeys(broken, breaks))
        async with toy, Client(toy.url) as client:
            assert len(await client.list_tools()) == 1
            first, second = toy.sent("tools/list")
            assert first.id != second.id and first.message["params"] == second.message["params"]
            with pytest.raises(ConnectionLost):
                await client.call_tool("x")
            assert len(toy.sent("tools/call")) == 1

    asyncio.run(main())


@eras
def test_a_stream_that_breaks_every_time_is_given_up(revision: str) -> None:
    async def main() -> None:
        def breaks(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.notify("notifications/message", {"level": "info", "data": 1})
            wire.end()

        async with HttpToy(revision, handlers={"tools/list": breaks}) as toy, Client(toy.url) as client:
            with pytest.raises(ConnectionLost, match="ended without the answer"):
                await client.list_tools()
            assert len(toy.sent("tools/list")) == 2

    asyncio.run(main())


def test_a_request_that_was_issued_again_is_cancelled_by_its_new_id() -> None:
    async def main() -> None:
        async def lists(asked: Asked, wire: Wire) -> None:
            if len(toy.sent("tools/list")) == 1:
                wire.close()
            else:
                await wire.closed()

        toy = HttpToy(LEGACY, handlers={"tools/list": lists})
        async with toy, Client(toy.url) as client:
            await client.ping()
            call = asyncio.ensure_future(client.list_tools())
            second = await toy.seen("tools/list", 2)
            call.cancel()
            cancelled = await toy.seen("notifications/cancelled")
            assert cancelled.message["params"]["requestId"] == second.id != toy.sent("tools/list")[0].id

    asyncio.run(main())


def test_on_a_fresh_connection_nothing_is_sent_twice() -> None:
    async def main() -> None:
        def close(asked: Asked, wire: Wire) -> None:
            wire.answer(200, "") if asked.method == "nothing" else wire.close()

        def discover(asked: Asked, wire: Wire) -> None:
            HttpToy().usual(asked, wire)
            wire.close()

        async with HttpToy(handlers={"server/discover": discover, "tools/list": close}) as toy:
            async with Client(toy.url) as client:
                while client._link.last.runner.channel.pool.sockets:  # type: ignore[union-attr]
                    await asyncio.sleep(0.001)
                with pytest.raises(ConnectionLost):
                    await client.list_tools()
            assert len(toy.sent("tools/list")) == 1

    asyncio.run(main())
