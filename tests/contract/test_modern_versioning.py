"""2026-07-28, basic/versioning and server/discover, the server's side: versions, discovery, extensions, both eras."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Context, Server
from mcpcore.errors import UsageError
from tests.contract.wire import LEGACY, META, MODERN, REVISIONS, client_of, envelope

TOOL = "tools/call"


def make_server(**options: Any) -> Server:
    server = Server("contract", version="1.2", instructions="Ask kindly.", **options)

    @server.tool
    async def era(ctx: Context) -> str:
        return str(ctx.revision)

    @server.tool
    async def ask(ctx: Context) -> str:
        return (await ctx.elicit("?", {"type": "object", "properties": {}})).action

    @server.prompt
    async def greet() -> str:
        return "Hello"

    return server


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/versioning/M01")
@pytest.mark.parametrize("version", ["1900-01-01", "2027-01-01", "DRAFT-2026-v1", "", "2026-07-28 ", *LEGACY])
@pytest.mark.parametrize("method", ["server/discover", "tools/list", "subscriptions/listen", "acme/unknown"])
def test_a_version_that_is_not_served_this_way_is_refused_with_the_list_of_those_that_are(
    version: str, method: str
) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            error = await wire.error(method, protocolVersion=version)
            assert error["code"] == -32022
            assert error["data"] == {"supported": list(reversed(REVISIONS)), "requested": version}
            await wire.result("tools/list")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/M01")
def test_the_list_of_versions_is_that_of_this_server() -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=[MODERN, "2025-06-18"])) as wire:
            error = await wire.error("tools/list", protocolVersion="2025-11-25")
            assert error["data"]["supported"] == [MODERN, "2025-06-18"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/Y01")
@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/list", {}), (TOOL, {"name": "era"}), ("prompts/get", {"name": "greet"}), ("prompts/list", {})],
)
def test_any_method_may_come_first(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            await wire.result(method, params)

    asyncio.run(main())


# -- server/discover ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/discover/M01", "2026-07-28/basic/S16")
def test_discovery_tells_versions_capabilities_identity_and_instructions() -> None:
    async def main() -> None:
        async with client_of(make_server(title="The Contract")) as wire:
            result = await wire.result("server/discover", id="discover-1")
            assert result == {
                "resultType": "complete",
                "supportedVersions": list(reversed(REVISIONS)),
                "capabilities": {"tools": {"listChanged": True}, "prompts": {"listChanged": True}, "logging": {}},
                "instructions": "Ask kindly.",
                "ttlMs": 0,
                "cacheScope": "private",
                "_meta": {f"{META}serverInfo": {"name": "contract", "title": "The Contract", "version": "1.2"}},
            }

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/discover/M01")
def test_discovery_is_there_where_nothing_else_is() -> None:
    async def main() -> None:
        async with client_of(Server("bare", logging=False, revisions=[MODERN])) as wire:
            result = await wire.result("server/discover")
            assert result["supportedVersions"] == [MODERN]
            assert result["capabilities"] == {}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/discover/M01", "2026-07-28/versioning/M01")
def test_every_version_that_discovery_lists_can_be_spoken() -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            listed = (await wire.result("server/discover"))["supportedVersions"]
        for version in listed:
            async with client_of(server, version) as wire:
                result = await wire.result(TOOL, {"name": "era"})
                assert result["content"][0]["text"] == version

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/schema/Y01")
def test_capabilities_that_nobody_knows_are_tolerated() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            odd: dict[str, Any] = {
                "telepathy": {"range": 3},
                "com.example/x": None,
                "experimental": {"y": {}},
                "tasks": True,
            }
            await wire.result(TOOL, {"name": "era"}, capabilities=odd)

    asyncio.run(main())


# -- extensions --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/versioning/M02")
@pytest.mark.parametrize(
    "name",
    [
        "com.example/thing",
        "io.modelcontextprotocol/tasks",
        "a/b",
        "com.ex-ample.x9/a-b_c.d",
        "com.example/",
        "thing/",
        "x.y/1",
    ],
)
def test_a_well_named_extension_is_advertised_with_its_settings(name: str) -> None:
    async def main() -> None:
        async with client_of(make_server(extensions={name: {"depth": 2}})) as wire:
            assert (await wire.result("server/discover"))["capabilities"]["extensions"] == {name: {"depth": 2}}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/M02")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "thing",
        "/thing",
        "com.example",
        "1com.example/x",
        "com.example-/x",
        "com..example/x",
        "com.example/-x",
        "com.example/x.",
        "com.example/a b",
        "com/example/x",
        ".com/x",
        "com./x",
        "com.exämple/x",
        "com.example/x\n",
    ],
)
def test_an_extension_whose_name_breaks_the_grammar_is_not_advertised(name: str) -> None:
    with pytest.raises(UsageError, match="extensions"):
        make_server(extensions={name: {}})


@pytest.mark.spec("2026-07-28/versioning/M03")
def test_where_one_side_lacks_an_extension_the_core_behaviour_stands() -> None:
    async def main() -> None:
        tasks: dict[str, Any] = {"io.modelcontextprotocol/tasks": {}}
        server_has, client_has = make_server(extensions=tasks), make_server()
        async with client_of(server_has) as wire:
            result = await wire.result(TOOL, {"name": "era"})
            assert result["resultType"] == "complete" and result["content"][0]["text"] == MODERN
        async with client_of(client_has) as wire:
            assert "extensions" not in (await wire.result("server/discover"))["capabilities"]
            result = await wire.result(TOOL, {"name": "era"}, capabilities={"extensions": tasks})
            assert result["resultType"] == "complete" and result["content"][0]["text"] == MODERN
            error = await wire.error("tasks/get", {"taskId": "1"}, capabilities={"extensions": tasks})
            assert error["code"] == -32601

    asyncio.run(main())


# -- both eras ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/versioning/Y02", "2026-07-28/versioning/Y03", "2026-07-28/versioning/M04")
@pytest.mark.parametrize("revision", LEGACY)
def test_one_connection_carries_both_eras_side_by_side(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:

            async def modern() -> None:
                wire.revision = MODERN
                assert (await wire.result(TOOL, {"name": "era"}))["content"][0]["text"] == MODERN
                wire.revision = revision

            await modern()
            await wire.shake(revision)
            for _ in range(2):
                await modern()
                result = await wire.result(TOOL, {"name": "era"})
                assert result["content"][0]["text"] == revision
                assert "resultType" not in result
                await wire.result("ping")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/M04", "2026-07-28/basic/M23")
def test_a_session_lends_nothing_to_a_stateless_request_beside_it() -> None:
    async def main() -> None:
        can: dict[str, Any] = {"elicitation": {}}
        async with client_of(make_server(), "2025-11-25", can) as wire:
            wire.revision = MODERN
            assert (await wire.error(TOOL, {"name": "ask"}))["code"] == -32021
            assert (await wire.result(TOOL, {"name": "ask"}, capabilities=can))["resultType"] == "input_required"
            for method in ("ping", "logging/setLevel", "initialize", "resources/subscribe"):
                assert (await wire.error(method))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/M04", "2026-07-28/versioning/Y03")
def test_a_stateless_request_takes_nothing_from_the_session_beside_it() -> None:
    async def main() -> None:
        async with client_of(make_server(), "2025-03-26") as wire:
            wire.revision = MODERN
            await wire.result("tools/list")
            # batches exist in that session, and only there
            pings = [{"jsonrpc": "2.0", "id": id, "method": "ping"} for id in ("a", "b")]
            wire.say(pings)
            assert [answer["id"] for answer in await wire.hear()] == ["a", "b"]
            wire.judge = None
            stateless = {"jsonrpc": "2.0", "id": "c", "method": "tools/list", "params": {"_meta": envelope()}}
            wire.say([pings[0], stateless])
            answers = {answer["id"]: answer for answer in await wire.hear()}
            assert answers["a"]["result"] == {}
            assert answers["c"]["error"]["code"] == -32600

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/S04")
@pytest.mark.parametrize("revision", [*LEGACY, "2099-01-01"])
def test_a_modern_only_server_names_its_versions_to_a_legacy_client(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=[MODERN])) as wire:
            info = {"name": "old", "version": "1"}
            params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info}
            wire.say({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
            error = (await wire.answer(0))["error"]
            assert error["data"]["supported"] == [MODERN]
            assert MODERN in error["message"]  # the only place a legacy client may show

    asyncio.run(main())
