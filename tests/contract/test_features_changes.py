"""What a server tells when its lists or resources change, to whom, and what it keeps of what it declared.

The mechanics of ``subscriptions/listen`` are in test_modern_subscriptions.py.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from mcpcore import Client, Context, Server, SyncContext
from mcpcore.client.listen import ResourceUpdated
from mcpcore.errors import UsageError
from tests.contract.wire import LEGACY, META, MODERN, PATIENCE, REVISIONS, Wire, accept, client_of, serving

TOPICS = ("tools", "prompts", "resources")
ADD: dict[str, Callable[[Server, str], Any]] = {
    "tools": lambda server, name: server.add_tool(lambda: name, name=name),
    "prompts": lambda server, name: server.add_prompt(lambda: name, name=name),
    "resources": lambda server, name: server.add_resource(f"docs:{name}", lambda: name, name=name),
}
REMOVE: dict[str, Callable[[Server, str], Any]] = {
    "tools": lambda server, name: server.remove_tool(name),
    "prompts": lambda server, name: server.remove_prompt(name),
    "resources": lambda server, name: server.remove_resource(f"docs:{name}"),
}
USE: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "tools": lambda name: ("tools/call", {"name": name}),
    "prompts": lambda name: ("prompts/get", {"name": name}),
    "resources": lambda name: ("resources/read", {"uri": f"docs:{name}"}),
}


def make_server() -> Server:
    server = Server("contract")
    for topic in TOPICS:
        ADD[topic](server, "first")
    return server


async def listen(wire: Wire, *topics: str, uris: list[str] | None = None) -> Any:
    """Hear of changes in the way of the revision; returns the id of the listen request, if it took one."""
    if wire.revision != MODERN:
        for uri in uris or ():
            await wire.result("resources/subscribe", {"uri": uri})
        await wire.fence()  # notifications/initialized has arrived
        return None
    wanted: dict[str, Any] = {f"{topic}ListChanged": True for topic in topics}
    if uris is not None:
        wanted["resourceSubscriptions"] = uris
    id = wire.call("subscriptions/listen", {"notifications": wanted})
    await wire.hear("notifications/subscriptions/acknowledged")
    return id


async def heard(wire: Wire) -> list[str]:
    """The notifications that came until now, by their last words."""
    return [message["method"].removeprefix("notifications/") for message in await wire.fence()]


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/tools/S05", "2024-11-05/prompts/S01", "2024-11-05/resources/S01")
@pytest.mark.spec("2026-07-28/tools/S06", "2026-07-28/prompts/S01")
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_adding_and_removing_is_told_once_and_holds_at_once(revision: str, topic: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            await listen(wire, topic)
            ADD[topic](server, "second")
            assert await heard(wire) == [f"{topic}/list_changed"]
            await wire.result(*USE[topic]("second"))
            REMOVE[topic](server, "second")
            assert await heard(wire) == [f"{topic}/list_changed"]
            assert "error" in await wire.ask(*USE[topic]("second"))
            assert await heard(wire) == []

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/resources/S01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_template_that_comes_or_goes_changes_the_resources(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            await listen(wire, "resources")
            server.add_resource("notes://{name}", lambda name: name, name="note")
            assert await heard(wire) == ["resources/list_changed"]
            server.remove_resource("notes://{name}")
            assert await heard(wire) == ["resources/list_changed"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/tools/S05", "2024-11-05/prompts/S01", "2024-11-05/resources/S01")
@pytest.mark.spec("2026-07-28/tools/M02", "2026-07-28/prompts/M02", "2026-07-28/resources/M02")
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_removing_the_last_one_is_told_and_leaves_an_empty_list(revision: str, topic: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            await listen(wire, topic)
            REMOVE[topic](server, "first")
            assert await heard(wire) == [f"{topic}/list_changed"]
            assert (await wire.result(f"{topic}/list"))[topic] == []
            error = await wire.error(*USE[topic]("first"))
            assert error["code"] == (-32002 if topic == "resources" and revision != MODERN else -32602)
            ADD[topic](server, "first")
            assert await heard(wire) == [f"{topic}/list_changed"]
            await wire.result(*USE[topic]("first"))
        async with client_of(server) as wire:  # and whoever comes later finds it declared
            declared = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
            assert declared["capabilities"][topic]["listChanged"] is True

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_many_changes_at_once_are_told_once(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            await listen(wire, *TOPICS)
            for number in range(50):
                for topic in TOPICS:
                    ADD[topic](server, f"n{number}")
            assert sorted(await heard(wire)) == [f"{topic}/list_changed" for topic in sorted(TOPICS)]

    asyncio.run(main())


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("revision", LEGACY)
def test_a_session_hears_only_of_what_its_handshake_promised(revision: str, topic: str) -> None:
    async def main() -> None:
        server = Server("contract")
        async with client_of(server, revision) as wire:
            await wire.fence()
            ADD[topic](server, "late")
            assert await heard(wire) == []
        async with client_of(server, revision) as wire:
            await wire.fence()
            ADD[topic](server, "later")
            assert await heard(wire) == [f"{topic}/list_changed"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/S06", "2026-07-28/prompts/S01")
@pytest.mark.parametrize("topic", TOPICS)
def test_who_did_not_ask_hears_nothing(topic: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as asks, client_of(server) as silent:
            id = await listen(asks, topic)
            for each in TOPICS:
                ADD[each](server, "second")
            (message,) = await asks.fence()
            assert message["method"] == f"notifications/{topic}/list_changed"
            assert message["params"]["_meta"] == {f"{META}subscriptionId": id}
            assert await silent.fence() == []

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_connection_is_told_whatever_it_speaks(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(client_of(server, each)) for each in (*REVISIONS, revision)]
            for wire in wires:
                await listen(wire, "tools")
            ADD["tools"](server, "second")
            for wire in wires:
                assert await heard(wire) == ["tools/list_changed"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_handler_and_a_foreign_thread_may_change_the_lists(revision: str) -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def grows(ctx: Context) -> str:
            ADD["prompts"](server, "of a coroutine")
            ctx.notify_resources_changed()
            return "grown"

        @server.tool
        def grows_in_a_thread(ctx: SyncContext) -> str:
            ADD["tools"](server, "of_a_thread")
            ctx.notify_prompts_changed()
            return "grown"

        async with client_of(server, revision) as wire:
            await listen(wire, *TOPICS)
            id = wire.call("tools/call", {"name": "grows"})
            before, _ = await wire.until(id)
            assert {message["method"] for message in before} == {
                "notifications/prompts/list_changed",
                "notifications/resources/list_changed",
            }
            id = wire.call("tools/call", {"name": "grows_in_a_thread"})
            before, _ = await wire.until(id)
            assert {message["method"] for message in before + await wire.fence()} == {
                "notifications/tools/list_changed",
                "notifications/prompts/list_changed",
            }
            thread = threading.Thread(target=ADD["resources"], args=(server, "of_a_thread"))
            thread.start()
            message = await wire.hear()
            thread.join(PATIENCE)
            assert message["method"] == "notifications/resources/list_changed"

    asyncio.run(main())


def test_a_thread_that_registers_disturbs_nobody() -> None:
    async def main() -> None:
        server = make_server()
        server.add_resource("notes://{name}", lambda name: name, name="note", thread="loop")

        def register() -> None:
            for number in range(200):
                ADD["tools"](server, f"n{number}")
                server.add_resource(f"n{number}://{{name}}", lambda name: name, name="note")
                REMOVE["tools"](server, f"n{number}")
                server.remove_resource(f"n{number}://{{name}}")

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            async with client_of(server) as wire:
                work = asyncio.create_task(asyncio.to_thread(register))
                while not work.done():
                    assert (await wire.result("tools/list"))["tools"][0]["name"] == "first"
                    await wire.result("resources/read", {"uri": "notes://x"})
                await work
        finally:
            sys.setswitchinterval(interval)

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_call_under_way_ends_although_its_tool_is_removed(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        began, go = asyncio.Event(), asyncio.Event()

        @server.tool
        async def slow() -> str:
            began.set()
            await go.wait()
            return "done"

        async with client_of(server, revision) as wire:
            id = wire.call("tools/call", {"name": "slow"})
            await asyncio.wait_for(began.wait(), PATIENCE)
            server.remove_tool("slow")
            go.set()
            _, answer = await wire.until(id)
            assert answer["result"]["content"][0]["text"] == "done"

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/tools/S10")
@pytest.mark.parametrize("topic", TOPICS)
def test_a_name_is_registered_once_and_what_is_not_there_cannot_be_removed(topic: str) -> None:
    server = make_server()
    with pytest.raises(UsageError, match="registered already"):
        ADD[topic](server, "first")
    with pytest.raises(UsageError, match="there is no"):
        REMOVE[topic](server, "unknown")


# -- resources ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/schema/S04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_an_update_is_told_to_those_who_subscribed_to_that_resource(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as one, client_of(server, revision) as other:
            await listen(one, uris=["docs:first", "docs:second"])
            await listen(other, uris=["docs:third"])
            for uri in ("docs:first", "docs:third", "docs:fourth", "docs:first"):
                server.notify_resource_updated(uri)
            updates = await one.fence()
            assert [message["params"]["uri"] for message in updates] == ["docs:first"]
            assert all(message["method"] == "notifications/resources/updated" for message in updates)
            assert [message["params"]["uri"] for message in await other.fence()] == ["docs:third"]
            server.notify_resource_updated("docs:first")
            assert [message["params"]["uri"] for message in await one.fence()] == ["docs:first"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/S04")
@pytest.mark.parametrize("revision", LEGACY)
def test_unsubscribing_ends_the_updates_and_subscribing_twice_is_once(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            for _ in range(2):
                assert await wire.result("resources/subscribe", {"uri": "docs:first"}) == {}
            server.notify_resource_updated("docs:first")
            assert await heard(wire) == ["resources/updated"]
            assert await wire.result("resources/unsubscribe", {"uri": "docs:first"}) == {}
            server.notify_resource_updated("docs:first")
            assert await heard(wire) == []
            assert await wire.result("resources/unsubscribe", {"uri": "docs:first"}) == {}

    asyncio.run(main())


@pytest.mark.parametrize("revision", LEGACY)
def test_subscribing_is_unknown_to_a_server_without_resources(revision: str) -> None:
    async def main() -> None:
        async with client_of(Server("without"), revision) as wire:
            for method in ("resources/subscribe", "resources/unsubscribe"):
                assert (await wire.error(method, {"uri": "docs:first"}))["code"] == -32601

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_handler_tells_of_an_update_that_it_made(revision: str) -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def write(ctx: Context) -> str:
            ctx.notify_resource_updated("docs:first")
            return "written"

        @server.tool
        def write_in_a_thread(ctx: SyncContext) -> str:
            ctx.notify_resource_updated("docs:first")
            return "written"

        async with client_of(server, revision) as wire:
            await listen(wire, uris=["docs:first"])
            for name in ("write", "write_in_a_thread"):
                before, _ = await wire.until(wire.call("tools/call", {"name": name}))
                updates = before + await wire.fence()
                assert [message["params"]["uri"] for message in updates] == ["docs:first"]

    asyncio.run(main())


# -- the client --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/schema/Y02")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_client_hears_of_a_part_of_what_it_subscribed_to(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"resources": {"subscribe": True}})
            wire.reply(await wire.hear("resources/subscribe"), {})
            for uri in ("file:///other", "file:///folder/a.txt", "file:///folder2"):
                wire.say({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
            wire.reply(await wire.hear("resources/unsubscribe"), {})

        async with (
            serving(script) as target,
            Client(target, revisions=revision) as client,
            client.listen(uris=["file:///folder"]) as events,
        ):
            assert await asyncio.wait_for(anext(events), PATIENCE) == ResourceUpdated("file:///folder/a.txt")

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_that_was_told_of_a_change_lists_anew(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with Client(server, revisions=revision) as client, client.listen(tools=True) as events:
            assert [tool.name for tool in await client.list_tools()] == ["first"]
            ADD["tools"](server, "second")
            await asyncio.wait_for(anext(events), PATIENCE)
            assert [tool.name for tool in await client.list_tools()] == ["first", "second"]
            REMOVE["tools"](server, "first")
            await asyncio.wait_for(anext(events), PATIENCE)
            assert [tool.name for tool in await client.list_tools()] == ["second"]

    asyncio.run(main())
