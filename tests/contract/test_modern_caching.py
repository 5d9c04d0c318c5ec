"""2026-07-28, server/utilities/caching, the server's side: every cacheable result says for how long and for whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import CacheHint, Context, ReadResourceResult, Server, TextResourceContents
from mcpcore.errors import UsageError
from tests.contract.wire import LEGACY, client_of

CAN_ASK: dict[str, Any] = {"elicitation": {}}
CACHEABLE: list[Any] = [
    pytest.param("server/discover", {}, marks=pytest.mark.spec("2026-07-28/caching/M01")),
    pytest.param("tools/list", {}, marks=pytest.mark.spec("2026-07-28/caching/M02")),
    pytest.param("prompts/list", {}, marks=pytest.mark.spec("2026-07-28/caching/M03")),
    pytest.param("resources/list", {}, marks=pytest.mark.spec("2026-07-28/caching/M04")),
    pytest.param("resources/templates/list", {}, marks=pytest.mark.spec("2026-07-28/caching/M05")),
    pytest.param("resources/read", {"uri": "memo://one"}, marks=pytest.mark.spec("2026-07-28/caching/M06")),
    pytest.param("resources/read", {"uri": "memo://one/2"}, marks=pytest.mark.spec("2026-07-28/caching/M06")),
]


def make_server(**options: Any) -> Server:
    server = Server("contract", **options)

    @server.tool
    async def first() -> str:
        return ""

    @server.tool
    async def second() -> str:
        return ""

    @server.prompt
    async def greet() -> str:
        return "Hello"

    @server.prompt
    async def bye() -> str:
        return "Bye"

    @server.resource("memo://one")
    async def one() -> str:
        return "1"

    @server.resource("memo://one/{part}")
    async def part(part: str) -> str:
        return part

    @server.resource("memo://two/{part}")
    async def two(part: str) -> str:
        return part

    @server.resource("memo://asks")
    async def asks(ctx: Context) -> str:
        return (await ctx.elicit("?", {"type": "object", "properties": {}})).action

    return server


@pytest.mark.parametrize(("method", "params"), CACHEABLE)
@pytest.mark.spec("2026-07-28/caching/M10")
def test_a_cacheable_result_carries_its_hints(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        for cache, hints in (({}, (0, "private")), ({method: CacheHint(3_600_000, "public")}, (3_600_000, "public"))):
            async with client_of(make_server(cache=cache)) as wire:
                result = await wire.result(method, params)
                assert type(result["ttlMs"]) is int
                assert (result["ttlMs"], result["cacheScope"]) == hints

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M02")
def test_a_list_with_dynamic_tools_carries_its_hints_too() -> None:
    class Nothing:
        def list(self, ctx: Context) -> list[Any]:
            return []

        def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
            return NotImplemented

    async def main() -> None:
        server = make_server(cache={"tools/list": CacheHint(5)})
        server.add_tool_provider(Nothing())
        async with client_of(server) as wire:
            result = await wire.result("tools/list")
            assert (result["ttlMs"], result["cacheScope"]) == (5, "private")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M06", "2026-07-28/caching/M10")
def test_one_resource_may_have_hints_of_its_own() -> None:
    async def main() -> None:
        server = make_server(cache={"resources/read": CacheHint(1)})

        @server.resource("memo://registered", cache=CacheHint(2, "public"))
        async def registered() -> str:
            return ""

        @server.resource("memo://computed", cache=CacheHint(2, "public"))
        async def computed() -> ReadResourceResult:
            return ReadResourceResult([TextResourceContents("memo://computed", "")], ttl_ms=3)

        async with client_of(server) as wire:
            found = {}
            for uri in ("memo://one", "memo://registered", "memo://computed"):
                result = await wire.result("resources/read", {"uri": uri})
                found[uri] = (result["ttlMs"], result["cacheScope"])
        assert found == {
            "memo://one": (1, "private"),
            "memo://registered": (2, "public"),
            "memo://computed": (3, "public"),
        }

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M07")
def test_a_resource_that_asks_first_carries_no_hints_until_it_is_complete() -> None:
    async def main() -> None:
        async with client_of(make_server(cache={"resources/read": CacheHint(9, "public")})) as wire:
            params: dict[str, Any] = {"uri": "memo://asks"}
            result = await wire.result("resources/read", params, capabilities=CAN_ASK)
            assert result["resultType"] == "input_required"
            assert not {"ttlMs", "cacheScope"} & result.keys()
            params |= {
                "inputResponses": {key: {"action": "decline"} for key in result["inputRequests"]},
                "requestState": result["requestState"],
            }
            result = await wire.result("resources/read", params, capabilities=CAN_ASK)
            assert result["resultType"] == "complete"
            assert {"ttlMs", "cacheScope"} <= result.keys()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M10")
def test_a_negative_hint_never_reaches_the_wire() -> None:
    with pytest.raises(UsageError):
        CacheHint(-1)

    async def main() -> None:
        server = make_server()

        @server.resource("memo://wrong")
        async def wrong() -> ReadResourceResult:
            return ReadResourceResult([TextResourceContents("memo://wrong", "")], ttl_ms=-5)

        @server.resource("memo://odd")
        async def odd() -> ReadResourceResult:
            return ReadResourceResult([TextResourceContents("memo://odd", "")], cache_scope="mine")

        async with client_of(server) as wire:
            for uri in ("memo://wrong", "memo://odd"):
                assert (await wire.error("resources/read", {"uri": uri}))["code"] == -32603

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M13")
@pytest.mark.parametrize("method", ["tools/list", "prompts/list", "resources/list", "resources/templates/list"])
@pytest.mark.parametrize("scope", ["public", "private"])
def test_all_pages_of_a_list_have_one_scope(method: str, scope: Any) -> None:
    async def main() -> None:
        server = make_server(page_size=1, cache={method: CacheHint(7, scope)})
        async with client_of(server) as wire:
            page = await wire.result(method)
            pages = [page]
            while "nextCursor" in page:
                page = await wire.result(method, {"cursor": page["nextCursor"]})
                pages.append(page)
        assert len(pages) == 2
        assert {page["cacheScope"] for page in pages} == {scope}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/caching/M02", "2026-07-28/caching/M06")
@pytest.mark.parametrize("revision", LEGACY)
def test_older_revisions_know_no_hints(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(cache={"tools/list": CacheHint(7)}), revision) as wire:
            for method, params in (("tools/list", {}), ("resources/read", {"uri": "memo://one"})):
                result = await wire.result(method, params)
                assert not {"ttlMs", "cacheScope", "resultType"} & result.keys()

    asyncio.run(main())
