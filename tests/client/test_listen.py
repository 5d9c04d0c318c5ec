"""Streams of changes in both eras: opened, told apart, ended in every way, and opened again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore.client import (
    Client,
    Event,
    PromptsChanged,
    ResourcesChanged,
    ResourceUpdated,
    Resync,
    Timeouts,
    ToolsChanged,
)
from mcpcore.core.limits import Limits
from mcpcore.errors import CallTimeout, ConnectionLost, MissingCapability, RpcError, TransportError, UsageError
from mcpcore.testing import FakeClock
from tests.client.toys import ERAS, LEGACY, MODERN, Message, Talk, Toy, acknowledge, refuse, silence, subscription

both_eras = pytest.mark.parametrize("revision", ERAS)
TOOLS, PROMPTS, RESOURCES = (f"notifications/{topic}/list_changed" for topic in ("tools", "prompts", "resources"))
UPDATED = "notifications/resources/updated"


def tell(toy: Toy, method: str, stream: int = 0, **params: Any) -> None:
    """A change, on one of the streams of a modern server."""
    meta = {"_meta": subscription(toy.sent("subscriptions/listen")[stream])} if toy.modern else {}
    toy.talk.notify(method, {**params, **meta})


def ends_at_once(message: Message, talk: Talk) -> Message:
    acknowledge(message, talk)
    return {"resultType": "complete"}


async def take(events: Any, count: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            found.append(await anext(events))
    return found


# --- opening ----------------------------------------------------------------------------------------------------------


@both_eras
def test_changes_come_as_events_in_both_eras(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision)
        async with (
            Client(toy, revisions=revision) as client,
            client.listen(tools=True, prompts=True, resources=True, uris=["x://a"]) as events,
        ):
            assert events.honoured.tools_list_changed and events.honoured.resource_subscriptions == ["x://a"]
            for method in (TOOLS, PROMPTS, RESOURCES):
                tell(toy, method)
            tell(toy, UPDATED, uri="x://a")
            expected = [ToolsChanged(), PromptsChanged(), ResourcesChanged(), ResourceUpdated("x://a")]
            assert await take(events, 4) == expected

    asyncio.run(story())


def test_a_modern_stream_is_a_request_and_ends_with_its_cancellation() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            async with client.listen(tools=True, uris=["x://a", "x://a"]):
                listen = toy.sent("subscriptions/listen")[0]
                wanted = {"toolsListChanged": True, "resourceSubscriptions": ["x://a"]}
                assert listen["params"]["notifications"] == wanted
            cancelled = await toy.seen("notifications/cancelled")
            assert cancelled["params"]["requestId"] == listen["id"]

    asyncio.run(story())


def test_a_legacy_stream_subscribes_while_anybody_wants_the_resource() -> None:
    async def story() -> None:
        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY) as client:
            async with client.listen(uris=["x://a", "x://b"]):
                async with client.listen(uris=["x://b", "x://c"]) as second:
                    assert [m["params"]["uri"] for m in toy.sent("resources/subscribe")] == ["x://a", "x://b", "x://c"]
                    tell(toy, UPDATED, uri="x://a")
                    tell(toy, UPDATED, uri="x://b")
                    assert await take(second, 1) == [ResourceUpdated("x://b")]
                assert [m["params"]["uri"] for m in toy.sent("resources/unsubscribe")] == ["x://c"]
            assert [m["params"]["uri"] for m in toy.sent("resources/unsubscribe")] == ["x://c", "x://a", "x://b"]

    asyncio.run(story())


def test_what_the_server_does_not_honour_is_seen() -> None:
    async def story() -> None:
        def only_tools(message: Message, talk: Talk) -> None:
            params = {"_meta": subscription(message), "notifications": {"toolsListChanged": True}}
            talk.notify("notifications/subscriptions/acknowledged", params)

        toys = [Toy(handlers={"subscriptions/listen": only_tools}), Toy(LEGACY, {"tools": {"listChanged": True}})]
        for toy in toys:
            async with (
                Client(toy, revisions=toy.revision) as client,
                client.listen(tools=True, prompts=True, uris=["x://a"]) as events,
            ):
                assert events.honoured.tools_list_changed
                assert not events.honoured.prompts_list_changed
                assert events.honoured.resource_subscriptions is None
            assert toy.sent("resources/subscribe") == []

    asyncio.run(story())


def test_streams_are_told_apart_by_their_subscription() -> None:
    async def story() -> None:
        toy = Toy()
        async with (
            Client(toy) as client,
            client.listen(tools=True) as first,
            client.listen(tools=True, prompts=True) as second,
        ):
            tell(toy, PROMPTS, stream=1)
            tell(toy, TOOLS, stream=0)
            toy.talk.notify(TOOLS, {"_meta": {"io.modelcontextprotocol/subscriptionId": 12345}})
            toy.talk.notify(TOOLS)
            await client.ping()
            assert await take(first, 1) == [ToolsChanged()]
            assert await take(second, 1) == [PromptsChanged()]

    asyncio.run(story())


def test_events_that_nobody_reads_are_bounded() -> None:
    async def story() -> None:
        for revision in ERAS:
            toy = Toy(revision)
            async with (
                Client(toy, revisions=revision, limits=Limits(notification_queue=5)) as client,
                client.listen(tools=True, uris=["x://"]) as events,
            ):
                for _ in range(1000):
                    tell(toy, TOOLS)
                await client.ping()
                assert await take(events, 1) == [ToolsChanged()]
                for n in range(8):
                    tell(toy, UPDATED, uri=f"x://{n}")
                await client.ping()
                assert await take(events, 4) == [Resync(), *(ResourceUpdated(f"x://{n}") for n in (5, 6, 7))]

    asyncio.run(story())


@both_eras
def test_a_server_that_refuses_to_listen_is_an_error(revision: str) -> None:
    async def story() -> None:
        handlers = {"subscriptions/listen": refuse(-32601), "resources/subscribe": refuse(-32601)}
        toy = Toy(revision, handlers=handlers)
        async with Client(toy, revisions=revision) as client:
            with pytest.raises(RpcError):
                async with client.listen(uris=["x://a"]):
                    pass

    asyncio.run(story())


def test_an_acknowledgement_that_does_not_come_is_given_up() -> None:
    async def story() -> None:
        toy = Toy(handlers={"subscriptions/listen": silence})
        async with Client(toy, timeout=Timeouts(idle=3)) as client:
            with pytest.raises(CallTimeout, match="subscriptions/listen"):
                async with client.listen(tools=True):
                    pass
            await toy.seen("notifications/cancelled")

    FakeClock().run(story())


def test_no_limit_of_time_applies_to_a_stream() -> None:
    async def story() -> None:
        toy = Toy()
        async with (
            Client(toy, timeout=Timeouts(idle=1, total=2)) as client,
            client.listen(tools=True) as events,
        ):
            await asyncio.sleep(100_000)
            tell(toy, TOOLS)
            assert await take(events, 1) == [ToolsChanged()]

    FakeClock().run(story())


def test_listening_can_be_cancelled_at_its_start() -> None:
    async def story() -> None:
        for revision, method in ((MODERN, "subscriptions/listen"), (LEGACY, "resources/subscribe")):
            toy = Toy(revision, handlers={method: silence})
            async with Client(toy, revisions=revision) as client:
                task = asyncio.ensure_future(client.listen(uris=["x://a"]).__aenter__())
                listen = await toy.seen(method)
                task.cancel()
                await asyncio.wait([task])
                cancelled = await toy.seen("notifications/cancelled")
                assert cancelled["params"]["requestId"] == listen["id"]

    asyncio.run(story())


def test_a_stream_is_used_in_the_right_order() -> None:
    async def story() -> None:
        async with Client(Toy()) as client:
            events = client.listen(tools=True)
            with pytest.raises(UsageError, match="async with"):
                await anext(events)
            async with events:
                with pytest.raises(UsageError, match="open already"):
                    await events.__aenter__()
                reader = asyncio.ensure_future(take(events, 1))
                await asyncio.sleep(0)
                with pytest.raises(UsageError, match="one task"):
                    await anext(events)
                reader.cancel()
                await asyncio.wait([reader])

    asyncio.run(story())


# --- the end ----------------------------------------------------------------------------------------------------------


def result_of(listen: Message) -> Message:
    return {"jsonrpc": "2.0", "id": listen["id"], "result": {"resultType": "complete", "_meta": subscription(listen)}}


def cancellation_of(listen: Message) -> Message:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": listen["id"]}}


@pytest.mark.parametrize(
    "endings", [[result_of], [cancellation_of], [result_of, cancellation_of], [cancellation_of, result_of]]
)
def test_a_server_ends_a_stream_by_result_or_cancellation_or_both(endings: list[Any]) -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            async with client.listen(tools=True) as events:
                tell(toy, TOOLS)
                for ending in endings:
                    toy.talk.say(ending(toy.sent("subscriptions/listen")[0]))
                assert [event async for event in events] == [ToolsChanged()]
                assert [event async for event in events] == []
            assert client._link.last is not None and client._link.last.runner.peer.outgoing == {}
            await client.ping()
        assert toy.sent("notifications/cancelled") == []

    asyncio.run(story())


def test_a_stream_that_ends_before_its_acknowledgement_is_empty() -> None:
    async def story() -> None:
        toy = Toy(handlers={"subscriptions/listen": lambda m, t: {"resultType": "complete"}})
        async with Client(toy) as client, client.listen(tools=True) as events:
            assert [event async for event in events] == []
            assert not events.honoured.tools_list_changed

    asyncio.run(story())


@both_eras
def test_a_lost_connection_ends_a_stream_with_its_error(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision)
        async with Client(toy, revisions=revision) as client, client.listen(tools=True) as events:
            tell(toy, TOOLS)
            await client.ping()
            toy.talk.channel.close()
            assert await take(events, 1) == [ToolsChanged()]
            for _ in range(2):
                with pytest.raises(ConnectionLost):
                    await anext(events)

    asyncio.run(story())


@both_eras
def test_closing_the_client_ends_its_streams(revision: str) -> None:
    async def story() -> None:
        client = await Client(Toy(revision), revisions=revision).connect()
        async with client.listen(tools=True) as events:

            async def read() -> list[Event]:
                return [event async for event in events]

            reader = asyncio.ensure_future(read())
            await asyncio.sleep(0)
            await client.close()
            assert await reader == []

    asyncio.run(story())


# --- again ------------------------------------------------------------------------------------------------------------


@both_eras
def test_with_restart_a_lost_stream_is_opened_again_after_a_resync(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision)
        async with (
            Client(toy, revisions=revision, restart=True) as client,
            client.listen(tools=True, uris=["x://a"]) as events,
        ):
            toy.talk.channel.close()
            assert await anext(events) == Resync()
            assert len(toy.talks) == 2
            tell(toy, TOOLS, stream=-1)
            assert await anext(events) == ToolsChanged()

    FakeClock().run(story())


def test_with_restart_a_stream_that_the_server_ended_is_opened_again() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy, restart=True) as client, client.listen(tools=True) as events:
            toy.talk.say(result_of(toy.sent("subscriptions/listen")[0]))
            assert await anext(events) == Resync()
            assert len(toy.talks) == 1 and len(toy.sent("subscriptions/listen")) == 2

    FakeClock().run(story())


def test_a_server_that_ends_every_stream_at_once_is_asked_ever_less_often_and_then_given_up() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy, restart=True) as client, client.listen(tools=True) as events:
            toy.handlers["subscriptions/listen"] = lambda m, t: {"resultType": "complete"}
            toy.talk.say(result_of(toy.sent("subscriptions/listen")[0]))
            began = asyncio.get_running_loop().time()
            with pytest.raises(TransportError, match="ends every stream"):
                while True:
                    assert await anext(events) == Resync()
            assert len(toy.sent("subscriptions/listen")) == 1 + Limits().max_relistens
            assert asyncio.get_running_loop().time() - began > 60

    FakeClock().run(story())


# --- subscribe --------------------------------------------------------------------------------------------------------


@both_eras
def test_subscribed_resources_reach_the_callback_for_updates(revision: str) -> None:
    async def story() -> None:
        seen: list[str] = []
        callback = {UPDATED: lambda params: seen.append(params["uri"])}
        toy = Toy(revision)
        async with Client(toy, revisions=revision, notifications=callback) as client:
            await client.subscribe("x://a")
            await client.subscribe("x://b")
            await client.subscribe("x://b")
            tell(toy, UPDATED, stream=-1, uri="x://a")
            tell(toy, UPDATED, stream=-1, uri="x://b")
            await client.ping()
            await client.unsubscribe("x://a")
            await client.unsubscribe("x://never")
            tell(toy, UPDATED, stream=-1, uri="x://b")
            await client.ping()
            assert seen == ["x://a", "x://b", "x://b"]
            await client.unsubscribe("x://b")
            await client.ping()
        if revision == MODERN:
            filters = [listen["params"]["notifications"] for listen in toy.sent("subscriptions/listen")]
            uris = [["x://a"], ["x://a", "x://b"], ["x://b"]]
            assert filters == [{"resourceSubscriptions": some} for some in uris]
            assert len(toy.sent("notifications/cancelled")) == 3
        else:
            assert [m["params"]["uri"] for m in toy.sent("resources/subscribe")] == ["x://a", "x://b"]
            assert [m["params"]["uri"] for m in toy.sent("resources/unsubscribe")] == ["x://a", "x://b"]

    asyncio.run(story())


def test_the_new_stream_is_open_before_the_old_one_is_closed() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            await client.subscribe("x://a")
            await client.subscribe("x://b")
            await toy.seen("notifications/cancelled")
            order = [m["method"] for m in toy.received if m["method"] != "server/discover"]
            assert order == ["subscriptions/listen", "subscriptions/listen", "notifications/cancelled"]
            assert (
                toy.sent("notifications/cancelled")[0]["params"]["requestId"]
                == toy.sent("subscriptions/listen")[0]["id"]
            )

    asyncio.run(story())


@both_eras
def test_a_server_without_subscriptions_is_a_missing_capability(revision: str) -> None:
    async def story() -> None:
        def nothing(message: Message, talk: Talk) -> None:
            params = {"_meta": subscription(message), "notifications": {}}
            talk.notify("notifications/subscriptions/acknowledged", params)

        toy = Toy(revision, {"resources": {}}, handlers={"subscriptions/listen": nothing})
        async with Client(toy, revisions=revision) as client:
            with pytest.raises(MissingCapability, match="x://a"):
                await client.subscribe("x://a")
            assert toy.sent("resources/subscribe") == []

    asyncio.run(story())


def test_without_restart_the_log_says_that_changes_are_not_heard_and_subscribing_again_helps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            await client.subscribe("x://a")
            toy.talk.say(result_of(toy.sent("subscriptions/listen")[0]))
            await client.ping()
            assert len(toy.sent("subscriptions/listen")) == 1
            await client.subscribe("x://a")
            assert len(toy.sent("subscriptions/listen")) == 2

    asyncio.run(story())
    assert "changes are not heard any more" in caplog.text


def test_subscriptions_have_a_limit() -> None:
    async def story() -> None:
        async with Client(Toy(), limits=Limits(max_subscribed_uris=2)) as client:
            await client.subscribe("x://a")
            await client.subscribe("x://b")
            with pytest.raises(UsageError, match="at most 2"):
                await client.subscribe("x://c")

    asyncio.run(story())


@both_eras
def test_with_restart_subscriptions_come_back_by_themselves_and_tell_what_may_have_changed(revision: str) -> None:
    async def story() -> None:
        seen: list[Any] = []
        callbacks = {method: lambda params: seen.append(params.get("uri")) for method in (UPDATED, TOOLS)}
        toy = Toy(revision)
        async with Client(toy, revisions=revision, notifications=callbacks, restart=True) as client:
            await client.subscribe("x://a")
            assert seen == []
            toy.talk.channel.close()
            while len(seen) < 2:
                await asyncio.sleep(0.05)
            assert seen == [None, "x://a"] and len(toy.talks) == 2
            tell(toy, UPDATED, stream=-1, uri="x://a")
            await client.ping()
            assert seen == [None, "x://a", "x://a"]

    FakeClock().run(story())


def test_with_restart_a_standing_stream_that_the_server_ended_is_opened_again() -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy()
        async with Client(toy, notifications={TOOLS: seen.append}, restart=True):
            toy.talk.say(cancellation_of(toy.sent("subscriptions/listen")[0]))
            await toy.seen("subscriptions/listen", 2, seconds=60)
            await asyncio.sleep(1)
            assert seen == [{}] and len(toy.talks) == 1
            toy.handlers["subscriptions/listen"] = ends_at_once
            toy.talk.say(result_of(toy.sent("subscriptions/listen")[-1]))
            await asyncio.sleep(300)
            assert len(toy.sent("subscriptions/listen")) < 15

    FakeClock().run(story())
