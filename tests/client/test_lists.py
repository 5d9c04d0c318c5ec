"""Lists page by page, what the cache keeps of them, prompts and completion."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.core.limits import Limits
from mcpcore.errors import ProtocolViolation, RpcError, UsageError
from mcpcore.testing import REVISIONS, FakeClock
from mcpcore.types import PromptRef, TemplateRef
from tests.client.toys import LEGACY, MODERN, Message, Talk, Toy

LISTS: dict[str, tuple[str, str, Any]] = {
    "tools/list": ("list_tools", "tools", lambda n: {"name": f"n{n}", "inputSchema": {"type": "object"}}),
    "prompts/list": ("list_prompts", "prompts", lambda n: {"name": f"n{n}"}),
    "resources/list": ("list_resources", "resources", lambda n: {"name": f"n{n}", "uri": f"x://{n}"}),
    "resources/templates/list": (
        "list_resource_templates",
        "resourceTemplates",
        lambda n: {"name": f"n{n}", "uriTemplate": "x://{a}"},
    ),
}
CURSORS = [None, "", "two", "three"]
"""The empty string is a cursor like any other."""


def pages(method: str, **more: Any) -> Any:
    """Four pages of two items each."""
    _, member, item = LISTS[method]

    def handler(message: Message, talk: Talk) -> Message:
        page = CURSORS.index(message["params"].get("cursor"))
        result: Message = {member: [item(2 * page), item(2 * page + 1)], **more}
        return result if page == 3 else {**result, "nextCursor": CURSORS[page + 1]}

    return handler


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_a_list_is_fetched_page_by_page(method: str, revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision, handlers={method: pages(method)})
        async with Client(toy, revisions=revision) as client:
            items = await getattr(client, LISTS[method][0])()
            assert [item.name for item in items] == [f"n{n}" for n in range(8)]
            page = await getattr(client, LISTS[method][0] + "_page")()
            assert len(page.items) == 2 and page.next_cursor == ""
            page = await getattr(client, LISTS[method][0] + "_page")("three")
            assert page.items[0].name == "n6" and page.next_cursor is None

    asyncio.run(story())


def test_pages_that_go_in_a_circle_are_an_error() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/list": {"tools": [], "nextCursor": "again"}})
        async with Client(toy) as client:
            with pytest.raises(ProtocolViolation, match="circle"):
                await client.list_tools()
            assert len(toy.sent("tools/list")) == 2

    asyncio.run(story())


def test_pages_without_end_have_a_limit() -> None:
    async def story() -> None:
        def endless(message: Message, talk: Talk) -> Message:
            return {"tools": [], "nextCursor": str(len(talk.toy.received))}

        toy = Toy(handlers={"tools/list": endless})
        async with Client(toy, limits=Limits(max_pages=7)) as client:
            with pytest.raises(ProtocolViolation, match="7 pages"):
                await client.list_tools()
            assert len(toy.sent("tools/list")) == 7

    asyncio.run(story())


# --- the cache --------------------------------------------------------------------------------------------------------

FRESH = {"ttlMs": 60_000, "cacheScope": "private"}


@pytest.mark.parametrize("method", LISTS)
def test_a_list_is_kept_for_as_long_as_the_server_says(method: str) -> None:
    async def story() -> None:
        toy = Toy(handlers={method: pages(method, **FRESH)})
        async with Client(toy) as client:
            fetch = getattr(client, LISTS[method][0])
            first = await fetch()
            assert await fetch() == first and len(toy.sent(method)) == 4
            await fetch(refresh=True)
            assert len(toy.sent(method)) == 8
            await asyncio.sleep(61)
            await fetch()
            assert len(toy.sent(method)) == 12

    FakeClock().run(story())


def test_every_page_has_its_own_time() -> None:
    async def story() -> None:
        def uneven(message: Message, talk: Talk) -> Message:
            cursor = message["params"].get("cursor")
            more = {"ttlMs": 100_000, "nextCursor": "two"} if cursor is None else {"ttlMs": 1000}
            return {"tools": [], "cacheScope": "public", **more}

        toy = Toy(handlers={"tools/list": uneven})
        async with Client(toy) as client:
            await client.list_tools()
            await asyncio.sleep(2)
            await client.list_tools()
            assert [call["params"].get("cursor") for call in toy.sent("tools/list")] == [None, "two", "two"]

    FakeClock().run(story())


@pytest.mark.parametrize("hints", [{}, {"ttlMs": 0}, {"ttlMs": -5}, {"ttlMs": None}])
def test_nothing_is_kept_without_a_time_that_makes_sense(hints: Message) -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/list": {"tools": [], **hints}})
        async with Client(toy) as client:
            await client.list_tools()
            await client.list_tools()
        assert len(toy.sent("tools/list")) == 2

    asyncio.run(story())


@pytest.mark.parametrize("options", [{"revisions": LEGACY}, {"cache": False}])
def test_nothing_is_kept_of_a_legacy_server_or_without_cache(options: Message) -> None:
    async def story() -> None:
        toy = Toy(options.get("revisions", MODERN), handlers={"tools/list": {"tools": [], **FRESH}})
        async with Client(toy, **options) as client:
            await client.list_tools()
            await client.list_tools()
        assert len(toy.sent("tools/list")) == 2

    asyncio.run(story())


INVALIDATED = {
    "notifications/tools/list_changed": ["tools/list"],
    "notifications/prompts/list_changed": ["prompts/list"],
    "notifications/resources/list_changed": ["resources/list", "resources/templates/list"],
    "notifications/resources/updated": ["resources/read x://a"],
}


@pytest.mark.parametrize("notification", INVALIDATED)
def test_a_change_drops_what_it_is_about_and_nothing_else(notification: str) -> None:
    async def story() -> None:
        handlers = {method: {LISTS[method][1]: [], **FRESH} for method in LISTS}
        toy = Toy(handlers={**handlers, "resources/read": {"contents": [], **FRESH}})
        async with Client(toy) as client:

            async def fetch_all() -> None:
                for name, _, _ in LISTS.values():
                    await getattr(client, name)()
                await client.read_resource("x://a")
                await client.read_resource("x://b")

            await fetch_all()
            toy.received.clear()
            await fetch_all()
            assert toy.received == []
            toy.talk.notify(notification, {"uri": "x://a"})
            await client.ping()
            toy.received.clear()
            await fetch_all()
            found = [" ".join(filter(None, (m["method"], m["params"].get("uri")))) for m in toy.received]
            assert found == INVALIDATED[notification]

    asyncio.run(story())


def test_a_list_that_changed_while_it_was_fetched_is_not_kept() -> None:
    async def story() -> None:
        def racing(message: Message, talk: Talk) -> Message:
            if len(talk.toy.sent("tools/list")) == 1:
                talk.notify("notifications/tools/list_changed")
            return {"tools": [], **FRESH}

        toy = Toy(handlers={"tools/list": racing})
        async with Client(toy) as client:
            for _ in range(3):
                await client.list_tools()
        assert len(toy.sent("tools/list")) == 2

    asyncio.run(story())


def test_nothing_is_kept_of_a_connection_that_was_lost() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/list": {"tools": [], **FRESH}})
        async with Client(toy, restart=True) as client:
            await client.list_tools()
            toy.talk.channel.close()
            while client._link.live() is not None:
                await asyncio.sleep(0)
            await client.list_tools()
        assert len(toy.sent("tools/list")) == 2

    asyncio.run(story())


def test_what_took_answers_is_never_kept() -> None:
    async def story() -> None:
        def asks(message: Message, talk: Talk) -> Message:
            if "requestState" in message["params"]:
                return {"contents": [], **FRESH}
            return {"resultType": "input_required", "requestState": "s"}

        toy = Toy(handlers={"resources/read": asks})
        async with Client(toy) as client:
            await client.read_resource("x://a")
            await client.read_resource("x://a")
        assert len(toy.sent("resources/read")) == 4

    FakeClock().run(story())


@pytest.mark.parametrize("limits", [Limits(cached_results=3), Limits(cached_bytes=1200)])
def test_the_cache_is_bounded_and_the_oldest_give_way(limits: Limits) -> None:
    async def story() -> None:
        def read(message: Message, talk: Talk) -> Message:
            return {"contents": [{"uri": message["params"]["uri"], "text": "x" * 200}], **FRESH}

        toy = Toy(handlers={"resources/read": read})
        async with Client(toy, limits=limits) as client:
            for n in range(10):
                await client.read_resource(f"x://{n}")
            await client.read_resource("x://9")
            assert len(toy.sent("resources/read")) == 10
            await client.read_resource("x://0")
            assert len(toy.sent("resources/read")) == 11

    asyncio.run(story())


def test_a_refused_cursor_of_a_kept_page_begins_the_list_anew() -> None:
    async def story() -> None:
        restarted = False

        def handler(message: Message, talk: Talk) -> Message:
            cursor = message["params"].get("cursor")
            suffix = "new" if restarted else "old"
            if cursor is None:
                return {"tools": [], "nextCursor": suffix, **FRESH}
            if cursor != suffix:
                raise RpcError(-32602, "unknown cursor")
            return {"tools": [], "ttlMs": 0}

        toy = Toy(handlers={"tools/list": handler})
        async with Client(toy) as client:
            await client.list_tools()
            restarted = True
            await client.list_tools()
            assert [call["params"].get("cursor") for call in toy.sent("tools/list")] == [
                None,
                "old",
                "old",
                None,
                "new",
            ]
            toy.handlers["tools/list"] = lambda m, t: (_ for _ in ()).throw(RpcError(-32602, "never"))
            with pytest.raises(RpcError, match="never"):
                await client.list_tools(refresh=True)

    asyncio.run(story())


# --- prompts and completion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_completion_says_what_is_completed_as_the_revision_knows_it(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision, handlers={"completion/complete": {"completion": {"values": ["a", "b"], "hasMore": True}}})
        async with Client(toy, revisions=revision) as client:
            found = await client.complete(PromptRef(name="p"), "arg", "a", context={"other": "x"})
            assert found.values == ["a", "b"] and found.has_more is True
            await client.complete(TemplateRef(uri="x://{a}"), "a", "")
        first, second = (call["params"] for call in toy.sent("completion/complete"))
        assert first["ref"] == {"type": "ref/prompt", "name": "p"} and first["argument"] == {
            "name": "arg",
            "value": "a",
        }
        assert ("context" in first) is (revision >= "2025-06-18")
        assert second["ref"] == {"type": "ref/resource", "uri": "x://{a}"} and second["argument"]["value"] == ""

    asyncio.run(story())


def test_a_prompt_is_got_with_its_arguments() -> None:
    async def story() -> None:
        message = {"role": "user", "content": {"type": "text", "text": "hi"}}
        toy = Toy(handlers={"prompts/get": {"messages": [message], "description": "d"}})
        async with Client(toy) as client:
            prompt = await client.get_prompt("p", {"a": "b"})
            await client.get_prompt("p")
        assert prompt.messages[0].role == "user" and prompt.description == "d"
        assert toy.sent("prompts/get")[0]["params"]["arguments"] == {"a": "b"}
        assert "arguments" not in toy.sent("prompts/get")[1]["params"]

    asyncio.run(story())


def test_a_log_level_is_one_of_the_list() -> None:
    async def story() -> None:
        async with Client(Toy()) as client:
            with pytest.raises(UsageError, match="emergency"):
                await client.set_log_level("loud")

    asyncio.run(story())
