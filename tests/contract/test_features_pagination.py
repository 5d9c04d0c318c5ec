"""server/utilities/pagination of every revision, both sides: pages, cursors, what is refused, what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpcore import Client, Server
from mcpcore.core.limits import Limits
from mcpcore.errors import ProtocolViolation, UsageError
from mcpcore.types import CacheHint
from tests.contract.wire import LEGACY, META, MODERN, REVISIONS, Wire, accept, client_of, launched, serving

LISTS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}


def fill(server: Server, numbers: range) -> None:
    for number in numbers:
        server.add_tool(lambda: "x", name=f"tools/list{number}".replace("/", "."))
        server.add_prompt(lambda: "x", name=f"prompts/list{number}")
        server.add_resource(f"resources/list{number}:x".replace("/", "."), lambda: "x", name="x")
        server.add_resource(f"resources.templates.list{number}:{{v}}", lambda v: v, name="x")


def make_server(count: int = 7, **options: Any) -> Server:
    server = Server("contract", **{"page_size": 3, "secret": "one for all processes", **options})
    fill(server, range(count))
    return server


def names(method: str, result: dict[str, Any]) -> list[str]:
    member, key = LISTS[method]
    return [item[key] for item in result[member]]


def numbers(method: str, result: dict[str, Any]) -> list[int]:
    return [int("".join(filter(str.isdigit, name.partition(":")[0]))) for name in names(method, result)]


# -- walking through the pages -----------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/schema/S03", "2026-07-28/tools/S05")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_pages_hold_every_item_once_and_in_order_and_the_last_has_no_cursor(revision: str, method: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            pages = []
            params: dict[str, Any] = {}
            while True:
                result = await wire.result(method, params)
                pages.append(numbers(method, result))
                if "nextCursor" not in result:
                    break
                params = {"cursor": result["nextCursor"]}
            assert pages == [[0, 1, 2], [3, 4, 5], [6]]
            assert numbers(method, await wire.result(method, {"cursor": None})) == [0, 1, 2]

    asyncio.run(main())


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (3, 1), (4, 2), (6, 2)])
@pytest.mark.parametrize("method", LISTS)
def test_there_is_no_empty_page_at_the_end(method: str, count: int, pages: int) -> None:
    async def main() -> None:
        server = make_server(count, declare=["tools", "prompts", "resources"])
        async with client_of(server) as wire:
            result = await wire.result(method)
            for _ in range(pages - 1):
                result = await wire.result(method, {"cursor": result["nextCursor"]})
            assert "nextCursor" not in result
            assert len(numbers(method, result)) == (count - 1) % 3 + 1 if count else numbers(method, result) == []

    asyncio.run(main())


def test_without_a_page_size_everything_is_on_one_page() -> None:
    async def main() -> None:
        server = make_server(250, page_size={"prompts/list": 100})
        async with client_of(server) as wire:
            for method in LISTS:
                result = await wire.result(method)
                assert len(numbers(method, result)) == (100 if method == "prompts/list" else 250)
                assert ("nextCursor" in result) is (method == "prompts/list")

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/pagination/S01", "2024-11-05/schema/S03")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_cursor_stays_good_while_the_list_changes(revision: str, method: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as wire:
            first = await wire.result(method)
            again = await wire.result(method)
            assert again["nextCursor"] == first["nextCursor"]
            removed = names(method, first)[2]  # the very item that the cursor stands behind
            for remove in (server.remove_tool, server.remove_prompt, server.remove_resource):
                try:
                    remove(removed)
                except UsageError:
                    pass
            fill(server, range(7, 9))
            seen = []
            cursor = first["nextCursor"]
            while cursor is not None:
                _, answer = await wire.until(wire.call(method, {"cursor": cursor}))
                seen += numbers(method, answer["result"])
                cursor = answer["result"].get("nextCursor")
            assert seen == [3, 4, 5, 6, 7, 8]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/pagination/S01")
def test_a_cursor_is_good_on_another_connection_and_in_another_process_with_the_same_secret() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            cursor = (await wire.result("tools/list"))["nextCursor"]
        async with client_of(server) as wire:
            assert numbers("tools/list", await wire.result("tools/list", {"cursor": cursor})) == [3, 4, 5]
        program = "from tests.contract.test_features_pagination import make_server; make_server().run()"
        async with launched(program) as wire:
            assert numbers("tools/list", await wire.result("tools/list", {"cursor": cursor})) == [3, 4, 5]

    asyncio.run(main())


# -- bad cursors -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/pagination/S02", "2024-11-05/pagination/S05", "2024-11-05/schema/S01")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_cursor_that_was_not_issued_for_this_list_is_invalid_params(revision: str, method: str) -> None:
    async def main() -> None:
        server, other = make_server(), make_server(secret="another one, as long")
        async with client_of(other) as wire:
            foreign = (await wire.result(method))["nextCursor"]
        async with client_of(server, revision) as wire:
            good = (await wire.result(method))["nextCursor"]
            another_list = "prompts/list" if method == "tools/list" else "tools/list"
            elsewhere = (await wire.result(another_list))["nextCursor"]
            flipped = good[:3] + ("A" if good[3] != "A" else "B") + good[4:]
            bad: list[Any] = ["", "0", "3", "page=2", "eyJwYWdlIjogMn0=", "é", "\x00", "x" * 100_000]
            bad += [good[:-1], good + "A", good + "=", flipped, good.swapcase(), f" {good}", foreign, elsewhere]
            bad += [3, 0, True, False, 1.5, [good], {"cursor": good}]
            for cursor in bad:
                error = await wire.error(method, {"cursor": cursor})
                assert error["code"] == -32602, cursor
                assert str(cursor) not in error["message"] or len(str(cursor)) < 5
                assert len(error["message"]) < 200
            assert numbers(method, await wire.result(method, {"cursor": good})) == [3, 4, 5]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/pagination/S05")
def test_a_list_without_pages_refuses_cursors_too() -> None:
    class Provider:
        def list(self, ctx: Any) -> list[Any]:
            return []

        def call(self, name: str, arguments: dict[str, Any], ctx: Any) -> Any:
            return NotImplemented

    async def main() -> None:
        server = make_server(page_size=None)
        async with client_of(server) as wire:
            for method in LISTS:
                assert (await wire.error(method, {"cursor": "x"}))["code"] == -32602
            server.add_tool_provider(Provider())
            assert (await wire.error("tools/list", {"cursor": "x"}))["code"] == -32602
            assert len((await wire.result("tools/list", {"cursor": None}))["tools"]) == 7

    asyncio.run(main())


@pytest.mark.parametrize(
    "options",
    [
        {"page_size": 0},
        {"page_size": -1},
        {"page_size": {"tools/list": 0}},
        {"page_size": {"tool/list": 3}},
        {"page_size": {"tools/call": 3}},
        {"cache": {"tool/list": CacheHint()}},
        {"cache": {"tools/call": CacheHint()}},
    ],
    ids=str,
)
def test_a_page_size_that_cannot_be_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Server("contract", **options)


# -- the client --------------------------------------------------------------------------------------------------------

Pages = list[tuple[int, Any]]
"""How many items each page has, and its cursor; ``...`` for none."""
WALKS: dict[str, Callable[[Client], Awaitable[list[Any]]]] = {
    "tools/list": lambda client: client.list_tools(),
    "prompts/list": lambda client: client.list_prompts(),
    "resources/list": lambda client: client.list_resources(),
    "resources/templates/list": lambda client: client.list_resource_templates(),
}


def item(method: str, number: int) -> dict[str, Any]:
    if method == "tools/list":
        return {"name": f"t{number}", "inputSchema": {"type": "object"}}
    extra = {"resources/list": {"uri": f"x:{number}"}, "resources/templates/list": {"uriTemplate": f"x:{number}{{v}}"}}
    return {"name": f"n{number}", **extra.get(method, {})}


def paged(method: str, pages: Pages, revision: str, asked: list[Any]) -> Callable[[Wire], Awaitable[None]]:
    """A server with these pages, which notes the cursors that it is asked with."""

    async def script(wire: Wire) -> None:
        topic = method.partition("/")[0]
        await accept(wire, revision, {topic: {}})
        total = 0
        for count, cursor in pages:
            request = await wire.hear(method)
            asked.append(request.get("params", {}).get("cursor", ...))
            items = [item(method, total + n) for n in range(count)]
            total += count
            result: dict[str, Any] = {LISTS[method][0]: items}
            if cursor is not ...:
                result["nextCursor"] = cursor
            if revision == MODERN:
                result |= {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
            if cursor is None:
                wire.judge = None  # null is no cursor of the schema
            wire.reply(request, result)

    return script


ODD = ["c1", "eyJwYWdlIjogMn0=", " leading", 'tab\tquote"back\\slash', "ü\u2028\U0001f600", "null", "0", "a" * 10_000]


@pytest.mark.spec("2024-11-05/pagination/S03", "2024-11-05/pagination/S04", "2024-11-05/pagination/M01")
@pytest.mark.spec("2024-11-05/pagination/M02", "2024-11-05/pagination/M03", "2024-11-05/prompts/S06")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_walks_pages_of_any_size_and_repeats_cursors_as_they_came(revision: str, method: str) -> None:
    async def main() -> None:
        sizes = [2, 0, 5, 1, 1, 0, 3, 2]
        asked: list[Any] = []
        pages: Pages = [*zip(sizes, ODD, strict=True), (1, ...)]
        script = paged(method, pages, revision, asked)
        async with serving(script) as target, Client(target, revisions=revision) as client:
            assert len(await WALKS[method](client)) == sum(sizes) + 1
        assert asked == [..., *ODD]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/pagination/S04", "2024-11-05/pagination/S03")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_takes_a_list_without_pages(revision: str, method: str) -> None:
    async def main() -> None:
        asked: list[Any] = []
        script = paged(method, [(4, ...)], revision, asked)
        async with serving(script) as target, Client(target, revisions=revision) as client:
            assert len(await WALKS[method](client)) == 4
        assert asked == [...]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/pagination/M04")
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_empty_cursor_leads_on_and_null_is_the_end(revision: str, method: str) -> None:
    async def main() -> None:
        asked: list[Any] = []
        script = paged(method, [(1, ""), (1, "x"), (1, None)], revision, asked)
        async with serving(script) as target, Client(target, revisions=revision) as client:
            assert len(await WALKS[method](client)) == 3
        assert asked == [..., "", "x"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/pagination/M04", "2024-11-05/pagination/M03")
def test_a_page_by_hand_asks_with_exactly_the_cursor_it_is_given() -> None:
    async def main() -> None:
        asked: list[Any] = []
        script = paged("tools/list", [(1, ""), (2, "b"), (1, ...)], MODERN, asked)
        async with serving(script) as target, Client(target, revisions=MODERN) as client:
            first = await client.list_tools_page()
            assert (len(first.items), first.next_cursor) == (1, "")
            second = await client.list_tools_page(first.next_cursor)
            assert (len(second.items), second.next_cursor) == (2, "b")
            assert (await client.list_tools_page(second.next_cursor)).next_cursor is None
        assert asked == [..., "", "b"]

    asyncio.run(main())


@pytest.mark.parametrize("pages", [[(1, "a"), (1, "b"), (1, "a")], [(1, ""), (1, "")], [(0, "a"), (0, "a")]], ids=str)
def test_pages_that_go_in_a_circle_end_with_an_error(pages: Pages) -> None:
    async def main() -> None:
        script = paged("tools/list", pages, MODERN, [])
        async with serving(script) as target, Client(target, revisions=MODERN) as client:
            with pytest.raises(ProtocolViolation, match="circle"):
                await client.list_tools()

    asyncio.run(main())


def test_pages_without_end_end_at_the_limit() -> None:
    async def main() -> None:
        script = paged("tools/list", [(1, f"c{number}") for number in range(5)], MODERN, [])
        limits = Limits(max_pages=5)
        async with serving(script) as target, Client(target, revisions=MODERN, limits=limits) as client:
            with pytest.raises(ProtocolViolation, match="more than 5 pages"):
                await client.list_tools()

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/pagination/M04")
@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
def test_a_walk_in_a_new_session_begins_without_a_cursor(revision: str) -> None:
    async def main() -> None:
        asked: list[Any] = []
        sessions = 0

        async def script(wire: Wire) -> None:
            nonlocal sessions
            sessions += 1
            if sessions == 1:  # ends in the middle of the list
                await paged("tools/list", [(1, "of the first session")], revision, asked)(wire)
                await wire.hear("tools/list")
                wire.close()
            else:
                await paged("tools/list", [(1, "of the second"), (1, ...)], revision, asked)(wire)

        async with serving(script) as target:
            client = Client(target, revisions=revision)
            async with client:
                with pytest.raises(Exception, match="closed"):
                    await client.list_tools()
            async with client:
                assert len(await client.list_tools()) == 2
        assert asked == [..., ..., "of the second"]

    asyncio.run(main())


def test_the_meta_of_a_page_is_kept() -> None:
    async def main() -> None:
        async with Client(make_server(), revisions=MODERN) as client:
            page = await client.list_tools_page()
            assert page.meta is not None and page.meta[f"{META}serverInfo"]["name"] == "contract"
            assert (page.ttl_ms, page.cache_scope) == (0, "private")

    asyncio.run(main())
