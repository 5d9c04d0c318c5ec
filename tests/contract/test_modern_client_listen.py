"""2026-07-28, basic/patterns/subscriptions, the client's side: streams of changes and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Client
from mcpcore.client.listen import PromptsChanged, ResourceUpdated, Resync, ToolsChanged
from mcpcore.errors import ConnectionLost, McpError, RpcError
from tests.contract.wire import META, MODERN, Wire, accept, serving

CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
}
LISTEN = "subscriptions/listen"
TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
UPDATED = "notifications/resources/updated"


def meta(request: dict[str, Any]) -> dict[str, Any]:
    return {"_meta": {f"{META}subscriptionId": request["id"]}}


def acknowledge(wire: Wire, request: dict[str, Any], honoured: dict[str, Any] | None = None) -> None:
    notifications = request["params"]["notifications"] if honoured is None else honoured
    wire.tell("notifications/subscriptions/acknowledged", {**meta(request), "notifications": notifications})


def finish(wire: Wire, request: dict[str, Any]) -> None:
    wire.reply(request, {"resultType": "complete", **meta(request)})


@pytest.mark.spec("2026-07-28/basic/M36", "2026-07-28/cancellation/S01", "2026-07-28/cancellation/M03")
def test_a_stream_is_a_request_with_its_filter_and_leaving_it_cancels_it() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear(LISTEN)
        wanted = request["params"]["notifications"]
        assert {name for name, value in wanted.items() if value} == {"toolsListChanged", "resourceSubscriptions"}
        assert wanted["resourceSubscriptions"] == ["memo://one"]
        acknowledge(wire, request)
        wire.tell(TOOLS, meta(request))
        wire.tell(UPDATED, {**meta(request), "uri": "memo://one"})
        assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == request["id"]

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            async with client.listen(tools=True, uris=["memo://one", "memo://one"]) as events:
                assert await anext(events) == ToolsChanged()
                assert await anext(events) == ResourceUpdated("memo://one")
            await asyncio.wait(target.tasks)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M05", "2026-07-28/subscriptions/Y02")
def test_notifications_are_told_apart_by_their_subscription_id() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        requests = [await wire.hear(LISTEN) for _ in range(2)]
        one, two = requests
        acknowledge(wire, two)
        wire.tell(TOOLS, meta(two))  # interleaved with an acknowledgement that has not come yet
        acknowledge(wire, one)
        wire.judge = None
        stray: list[Any] = [str(one["id"]), float(one["id"]), None, "unknown", 10**6, [one["id"]]]
        for id in stray:
            wire.tell(PROMPTS, {"_meta": {f"{META}subscriptionId": id}})
        wire.tell(PROMPTS, {"_meta": 5})
        wire.tell(PROMPTS)
        wire.tell(TOOLS, meta(one))
        for request in requests:
            finish(wire, request)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:

            async def hear() -> list[Any]:
                async with client.listen(tools=True, prompts=True) as events:
                    return [event async for event in events]

            heard = await asyncio.gather(hear(), hear())
            assert list(heard) == [[ToolsChanged()], [ToolsChanged()]]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/S01")
def test_what_the_server_agreed_to_is_there_to_be_compared() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear(LISTEN)
        acknowledge(wire, request, {"toolsListChanged": True, "resourceSubscriptions": ["memo://two"]})
        finish(wire, request)

    async def main() -> None:
        everything: dict[str, Any] = {"tools": True, "prompts": True, "uris": ["memo://one", "memo://two"]}
        async with serving(script) as target, Client(target) as client:
            events = client.listen(**everything)
            async with events:
                assert events.honoured.tools_list_changed is True
                assert events.honoured.prompts_list_changed is False
                assert events.honoured.resource_subscriptions == ["memo://two"]
                assert [event async for event in events] == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/S01")
@pytest.mark.parametrize(
    ("honoured", "left"),
    [
        ({"toolsListChanged": True, "resourceSubscriptions": ["memo://two"]}, ["promptsListChanged", "memo://one"]),
        ({}, ["toolsListChanged", "promptsListChanged", "memo://one", "memo://two"]),
    ],
)
def test_a_smaller_filter_than_asked_for_is_told_in_the_log(
    honoured: dict[str, Any], left: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear(LISTEN)
        acknowledge(wire, request, honoured)
        finish(wire, request)

    async def main() -> None:
        everything: dict[str, Any] = {"tools": True, "prompts": True, "uris": ["memo://one", "memo://two"]}
        async with serving(script) as target, Client(target) as client:
            events = client.listen(**everything)
            async with events:
                assert [event async for event in events] == []

    with caplog.at_level("INFO", "mcpcore.client"):
        asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if "subscriptions" in record.getMessage()]
    assert len(told) == 1
    for name in ("toolsListChanged", "promptsListChanged", "memo://one", "memo://two"):
        assert (name in told[0]) is (name in left)


@pytest.mark.parametrize(
    "last", [["result"], ["cancelled"], ["cancelled", "result"], ["result", "cancelled"]], ids=" then ".join
)
def test_a_stream_ends_by_result_or_by_cancellation_in_any_order(last: list[str]) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.judge = None
        request = await wire.hear(LISTEN)
        acknowledge(wire, request)
        wire.tell(TOOLS, meta(request))
        for word in last:
            if word == "result":
                finish(wire, request)
            else:
                wire.tell("notifications/cancelled", {"requestId": request["id"], "reason": "shutting down"})
        wire.tell(TOOLS, meta(request))  # too late
        await wire.hear("prompts/list")
        await wire.end()
        assert b"notifications/cancelled" not in b"".join(line for side, line in wire.lines if side == "client")

    async def main() -> None:
        async with serving(script) as target:
            async with Client(target) as client:
                async with client.listen(tools=True) as events:
                    assert [event async for event in events] == [ToolsChanged()]
                call = asyncio.ensure_future(client.list_prompts())
                while not any(b"prompts/list" in line for _, line in target.wires[0].lines):
                    await asyncio.sleep(0)
            with pytest.raises(McpError):
                await call

    asyncio.run(main())


def test_an_abrupt_end_is_told_apart_from_a_graceful_one() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        acknowledge(wire, await wire.hear(LISTEN))
        wire.close()

    async def main() -> None:
        async with serving(script) as target, Client(target) as client, client.listen(tools=True) as events:
            with pytest.raises(ConnectionLost):
                await anext(events)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M07", "2026-07-28/stdio/M08")
def test_streams_are_asked_for_again_on_a_new_connection() -> None:
    filters: list[set[str]] = []

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        again = bool(filters)
        for _ in range(2):
            request = await wire.hear(LISTEN)
            wanted = {name for name, value in request["params"]["notifications"].items() if value}
            filters.append(wanted)
            acknowledge(wire, request)
            if again:
                wire.tell(PROMPTS if "promptsListChanged" in wanted else TOOLS, meta(request))
        if again:
            await wire.end()
        else:
            wire.close()

    async def main() -> None:
        changed = asyncio.Event()
        callbacks = {TOOLS: lambda params: changed.set()}
        async with (
            serving(script) as target,
            Client(target, restart=True, notifications=callbacks) as client,
            client.listen(prompts=True) as events,
        ):
            assert await anext(events) == Resync()
            assert await anext(events) == PromptsChanged()
            await asyncio.wait_for(changed.wait(), 5)
            assert len(target.wires) == 2

    asyncio.run(main())
    for half in (filters[:2], filters[2:]):
        assert sorted(half, key=sorted) == [{"promptsListChanged"}, {"toolsListChanged"}]


def test_a_refused_stream_raises_the_refusal() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.refuse(await wire.hear(LISTEN), 429, "too many streams")
        await wire.end()

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            with pytest.raises(RpcError) as caught:
                async with client.listen(tools=True):
                    raise AssertionError("never entered")
            assert caught.value.code == 429

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M05")
def test_one_resource_is_subscribed_to_by_a_stream_of_the_clients_own() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        first = await wire.hear(LISTEN)
        assert first["params"]["notifications"]["resourceSubscriptions"] == ["memo://one"]
        acknowledge(wire, first)
        second = await wire.hear(LISTEN)
        assert second["params"]["notifications"]["resourceSubscriptions"] == ["memo://one", "memo://two"]
        acknowledge(wire, second)
        assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == first["id"]
        wire.tell(UPDATED, {**meta(second), "uri": "memo://two"})
        await wire.end()
        assert all(json.loads(line).get("method") != "resources/subscribe" for _, line in wire.lines)

    async def main() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        callbacks = {UPDATED: lambda params: heard.put_nowait(params["uri"])}
        async with serving(script) as target, Client(target, notifications=callbacks) as client:
            await client.subscribe("memo://one")
            await client.subscribe("memo://two")
            assert await asyncio.wait_for(heard.get(), 5) == "memo://two"

    asyncio.run(main())
