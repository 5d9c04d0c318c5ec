"""2026-07-28, basic/patterns/subscriptions, the server's side, and what the cancellation page says of their end."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from itertools import combinations
from typing import Any

import pytest

from mcpcore import Context, Server
from mcpcore.core.limits import Limits
from tests.contract.wire import META, MODERN, Wire, client_of, launched

LISTEN = "subscriptions/listen"
ALL: dict[str, Any] = {
    "toolsListChanged": True,
    "promptsListChanged": True,
    "resourcesListChanged": True,
    "resourceSubscriptions": ["memo://one"],
}
CHANGES = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
    "resourceSubscriptions": "notifications/resources/updated",
}


def make_server(**options: Any) -> Server:
    server = Server("contract", **options)

    @server.tool
    async def chatter(ctx: Context) -> str:
        """Says everything that a handler can say of its own request."""
        await ctx.progress(1)
        await ctx.log("error", "hello")
        return "done"

    @server.prompt
    async def greet() -> str:
        return "Hello"

    @server.resource("memo://one")
    async def one() -> str:
        return "1"

    return server


def change_everything(server: Server) -> None:
    server.notify_tools_changed()
    server.notify_prompts_changed()
    server.notify_resources_changed()
    server.notify_resource_updated("memo://one")
    server.notify_resource_updated("memo://two")


async def listen(wire: Wire, filter: dict[str, Any], id: Any = None) -> dict[str, Any]:
    """Open a stream; returns the filter that was acknowledged."""
    id = wire.call(LISTEN, {"notifications": filter}, id=id)
    params = (await wire.hear("notifications/subscriptions/acknowledged"))["params"]
    assert params["_meta"] == {f"{META}subscriptionId": id}
    honoured: dict[str, Any] = params["notifications"]
    return honoured


# -- the acknowledgement -----------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/subscriptions/M02", "2026-07-28/subscriptions/M03")
def test_the_acknowledgement_comes_first_whatever_changes_meanwhile() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            change_everything(server)
            wire.call(LISTEN, {"notifications": ALL}, id="s")
            change_everything(server)  # the request has not been read yet
            await asyncio.sleep(0)
            change_everything(server)
            first = await wire.hear()
            assert first["method"] == "notifications/subscriptions/acknowledged"
            assert first["params"]["_meta"] == {f"{META}subscriptionId": "s"}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M02", "2026-07-28/subscriptions/M03")
def test_the_acknowledgement_comes_first_behind_middleware_too() -> None:
    async def main() -> None:
        server = make_server()
        entered, go = asyncio.Event(), asyncio.Event()

        @server.middleware
        async def slow(message: Any, call_next: Any) -> Any:
            if message.method == LISTEN:
                entered.set()
                await go.wait()
            return await call_next(message)

        async with client_of(server) as wire:
            wire.call(LISTEN, {"notifications": ALL}, id="s")
            await entered.wait()
            change_everything(server)
            assert await wire.fence() == []
            go.set()
            await wire.hear("notifications/subscriptions/acknowledged")
            server.notify_tools_changed()
            await wire.hear("notifications/tools/list_changed")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/Y01", "2026-07-28/subscriptions/Y02")
def test_the_order_holds_for_each_subscription_and_not_for_the_channel() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            await listen(wire, {"toolsListChanged": True}, id=1)
            wire.call(LISTEN, {"notifications": {"toolsListChanged": True}}, id=2)
            server.notify_tools_changed()
            heard = [(await wire.hear())["params"]["_meta"][f"{META}subscriptionId"] for _ in range(2)]
            assert heard == [1, 2]  # a message of the first one before the acknowledgement of the second
            server.notify_tools_changed()
            heard = [(await wire.hear())["params"]["_meta"][f"{META}subscriptionId"] for _ in range(2)]
            assert sorted(heard) == [1, 2]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M04")
@pytest.mark.parametrize(
    ("server", "honoured"),
    [
        (Server("bare"), {}),
        (Server("tools", declare=["tools"]), {"toolsListChanged": True}),
        (Server("prompts", declare=["prompts"]), {"promptsListChanged": True}),
        (
            Server("resources", declare=["resources"]),
            {"resourcesListChanged": True, "resourceSubscriptions": ["memo://one"]},
        ),
        (make_server(), ALL),
    ],
    ids=lambda value: value.name if isinstance(value, Server) else "",
)
def test_what_the_server_does_not_support_is_left_out_of_the_acknowledged_filter(
    server: Server, honoured: dict[str, Any]
) -> None:
    async def main() -> None:
        async with client_of(server) as wire:
            assert await listen(wire, ALL) == honoured
            # and what is acknowledged is what the capabilities promise
            capabilities = (await wire.result("server/discover"))["capabilities"]
            for topic in ("tools", "prompts", "resources"):
                assert bool(capabilities.get(topic, {}).get("listChanged")) is (f"{topic}ListChanged" in honoured)
            subscribe = bool(capabilities.get("resources", {}).get("subscribe"))
            assert subscribe is ("resourceSubscriptions" in honoured)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01", "2026-07-28/subscriptions/M04")
@pytest.mark.parametrize(
    "filter",
    [
        {},
        dict.fromkeys(("toolsListChanged", "promptsListChanged", "resourcesListChanged"), False),
        {"resourceSubscriptions": []},
        {"moonPhaseChanged": True, "taskIds": ["1"]},
    ],
    ids=str,
)
def test_a_filter_that_asks_for_nothing_gets_nothing(filter: dict[str, Any]) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            assert not any((await listen(wire, filter)).values())
            change_everything(server)
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M02")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"notifications": None},
        {"notifications": []},
        {"notifications": {"toolsListChanged": "yes"}},
        {"notifications": {"resourceSubscriptions": "memo://one"}},
        {"notifications": {"resourceSubscriptions": [1]}},
    ],
    ids=str,
)
def test_a_malformed_filter_is_refused_and_opens_nothing(params: dict[str, Any]) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            assert (await wire.error(LISTEN, params))["code"] == -32602
            change_everything(server)
            assert await wire.fence() == []

    asyncio.run(main())


# -- what is delivered -------------------------------------------------------------------------------------------------

FILTERS = [list(chosen) for size in range(5) for chosen in combinations(ALL, size)]


@pytest.mark.spec("2026-07-28/subscriptions/M01", "2026-07-28/subscriptions/M05", "2026-07-28/basic/M42")
@pytest.mark.parametrize("chosen", FILTERS, ids="+".join)
@pytest.mark.parametrize("id", [1, "1", 0, ""])
def test_exactly_what_was_asked_for_is_delivered_under_the_id_of_the_request(chosen: list[str], id: Any) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            await listen(wire, {name: ALL[name] for name in chosen}, id=id)
            change_everything(server)
            heard = await wire.fence()
            assert [message["method"] for message in heard] == [CHANGES[name] for name in chosen]
            for message in heard:
                subscription = message["params"]["_meta"][f"{META}subscriptionId"]
                assert type(subscription) is type(id) and subscription == id
                assert message["params"].get("uri", "memo://one") == "memo://one"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01", "2026-07-28/subscriptions/Y02")
def test_subscriptions_side_by_side_get_each_its_own_and_nothing_twice() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire, client_of(server) as other:
            await listen(wire, {"toolsListChanged": True}, id="tools")
            await listen(wire, {"promptsListChanged": True, "resourceSubscriptions": ["memo://two"]}, id="rest")
            await listen(other, ALL, id="tools")
            change_everything(server)
            heard = [(m["params"]["_meta"][f"{META}subscriptionId"], m["method"]) for m in await wire.fence()]
            assert sorted(heard) == [
                ("rest", "notifications/prompts/list_changed"),
                ("rest", "notifications/resources/updated"),
                ("tools", "notifications/tools/list_changed"),
            ]
            assert [message["method"] for message in await other.fence()] == list(CHANGES.values())

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01")
def test_registering_and_removing_at_runtime_is_told_from_any_thread() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            await listen(wire, ALL)
            server.remove_tool("chatter")
            assert [message["method"] for message in await wire.fence()] == [CHANGES["toolsListChanged"]]
            thread = threading.Thread(target=server.notify_prompts_changed)
            thread.start()
            await asyncio.to_thread(thread.join)
            await wire.hear(CHANGES["promptsListChanged"])

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01")
def test_nothing_is_told_to_who_does_not_listen() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            await wire.result("tools/list")
            change_everything(server)
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01", "2026-07-28/versioning/Y03")
def test_a_session_and_a_subscription_on_one_connection_each_hear_in_their_own_form() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, "2025-11-25") as wire:
            wire.revision = MODERN
            await listen(wire, {"promptsListChanged": True}, id="s")
            server.notify_tools_changed()
            server.notify_prompts_changed()
            heard = [(m["method"], m.get("params", {}).get("_meta")) for m in await wire.fence()]
            ours = {f"{META}subscriptionId": "s"}
            prompts, tools = CHANGES["promptsListChanged"], CHANGES["toolsListChanged"]
            assert len(heard) == 3
            assert (tools, None) in heard and (prompts, None) in heard and (prompts, ours) in heard

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/subscriptions/M01", "2026-07-28/basic/M42")
def test_what_belongs_to_a_request_is_not_said_on_a_subscription() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            params: dict[str, Any] = {"notifications": ALL}
            wire.call(LISTEN, params, id="s", logLevel="debug", progressToken="on the stream")
            await wire.hear("notifications/subscriptions/acknowledged")
            id = wire.call("tools/call", {"name": "chatter"}, logLevel="debug", progressToken="on the call")
            before, _ = await wire.until(id)
            assert [message["method"] for message in before] == ["notifications/progress", "notifications/message"]
            assert before[0]["params"]["progressToken"] == "on the call"
            assert all(f"{META}subscriptionId" not in m["params"].get("_meta", {}) for m in before)

    asyncio.run(main())


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/cancellation/S08", "2026-07-28/stdio/M07", "2026-07-28/cancellation/S06")
def test_a_subscription_that_its_client_cancels_is_over() -> None:
    async def main() -> None:
        server = make_server(limits=Limits(max_listen_streams=2))
        async with client_of(server) as wire:
            await listen(wire, ALL, id="kept")
            for _ in range(100):  # more than the limit allows at once: nothing stays behind
                await listen(wire, ALL, id="s")
                wire.tell("notifications/cancelled", {"requestId": "s"})
            assert await wire.fence() == []
            change_everything(server)
            heard = await wire.fence()
            assert {message["params"]["_meta"][f"{META}subscriptionId"] for message in heard} == {"kept"}

    asyncio.run(main())


PROGRAM = """
from mcpcore import Server
server = Server("contract")

@server.tool
def change() -> str:
    server.notify_tools_changed()
    return "done"

server.run()
"""


async def last_words(wire: Wire) -> list[dict[str, Any]]:
    await wire.end()
    return [json.loads(line) for _, line in wire.lines]


@pytest.mark.spec("2026-07-28/subscriptions/S02", "2026-07-28/subscriptions/M06", "2026-07-28/cancellation/M02")
@pytest.mark.spec("2026-07-28/cancellation/M01", "2026-07-28/cancellation/M06", "2026-07-28/basic/M42")
@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_a_server_that_ends_says_so_on_every_subscription(how: str) -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            assert await listen(wire, {"toolsListChanged": True}, id="s") == {"toolsListChanged": True}
            assert await listen(wire, {"promptsListChanged": True}, id=7) == {}
            assert wire.process is not None
            if how == "signal":
                wire.process.send_signal(signal.SIGTERM)
            else:
                wire.close()
            told = [message for message in await last_words(wire) if message.get("id", 0) in ("s", 7)]
            cancelled, results = {}, {}
            for number, message in enumerate(await last_words(wire)):
                if message.get("method") == "notifications/cancelled":
                    cancelled[message["params"]["requestId"]] = number, message["params"]
                elif "result" in message:
                    results[message["id"]] = number, message["result"]
            assert told and set(cancelled) == set(results) == {"s", 7}
            for id in ("s", 7):
                assert cancelled[id][0] < results[id][0]  # the result is the last message of the stream
                assert cancelled[id][1]["_meta"] == {f"{META}subscriptionId": id}
                assert results[id][1]["resultType"] == "complete"
                assert results[id][1]["_meta"][f"{META}subscriptionId"] == id
        assert wire.process.returncode == 0

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/M01", "2026-07-28/cancellation/M06")
def test_a_server_that_ends_without_subscriptions_cancels_nothing() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            await listen(wire, {"toolsListChanged": True}, id="s")
            wire.tell("notifications/cancelled", {"requestId": "s"})
            await wire.result("tools/call", {"name": "change"})
            wire.close()
            words = await last_words(wire)
            assert "notifications/cancelled" not in [message.get("method") for message in words[3:]]
            assert words[-1]["result"]["content"][0]["text"] == "done"

    asyncio.run(main())
