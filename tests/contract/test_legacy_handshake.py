"""2024-11-05 to 2025-11-25, basic/lifecycle, the server's side: the handshake and what it settles."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Context, Server
from tests.contract.wire import LEGACY, Wire, client_of

TOOL = "tools/call"
INFO = {"name": "wire", "version": "1"}


def make_server(**options: Any) -> Server:
    server = Server(
        "contract",
        version="7",
        title="The contract",
        description="Keeps it",
        website_url="https://example.com",
        instructions="Be brief",
        **options,
    )

    @server.tool
    async def echo(text: str = "") -> str:
        return text

    @server.tool
    async def ask(ctx: Context) -> str:
        return (await ctx.elicit("Sure?", {"type": "object", "properties": {}})).action

    @server.tool
    async def sample(ctx: Context) -> str:
        return (await ctx.sample("Hello", max_tokens=5)).text or ""

    @server.tool
    async def roots(ctx: Context) -> str:
        return str(len(await ctx.roots()))

    @server.tool
    async def change(ctx: Context) -> str:
        ctx.notify_tools_changed()
        ctx.notify_prompts_changed()
        ctx.notify_resources_changed()
        return "changed"

    @server.tool
    async def chat(ctx: Context) -> str:
        await ctx.log("error", "hello")
        return "said"

    return server


def initialize(wire: Wire, version: Any, **more: Any) -> Any:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": INFO, **more}
    return wire.call("initialize", params, id="initialize")


def legacy(wire: Wire) -> Wire:
    wire.revision = LEGACY[-1]  # no envelopes
    return wire


@pytest.mark.spec("2024-11-05/lifecycle/M05", "2024-11-05/lifecycle/M08", "2024-11-05/lifecycle/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_version_that_the_server_speaks_is_the_one_that_it_answers(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            id = initialize(legacy(wire), revision)
            result = (await wire.answer(id))["result"]
            assert result["protocolVersion"] == revision
            assert result["serverInfo"]["name"] == "contract"
            assert result["serverInfo"]["version"] == "7"
            assert "tools" in result["capabilities"]
            assert result["instructions"] == "Be brief"
            wire.tell("notifications/initialized")
            assert (await wire.result(TOOL, {"name": "echo", "arguments": {"text": "x"}}))["content"][0]["text"] == "x"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_server_names_itself_with_the_members_of_the_revision_alone(revision: str) -> None:
    known = {"name", "version"}
    known |= {"title"} if revision >= "2025-06-18" else set()
    known |= {"description", "websiteUrl"} if revision >= "2025-11-25" else set()

    async def main() -> None:
        async with client_of(make_server()) as wire:
            result = (await wire.answer(initialize(legacy(wire), revision)))["result"]
            assert set(result["serverInfo"]) == known
            assert set(result) == {"protocolVersion", "capabilities", "serverInfo", "instructions"}

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M09", "2024-11-05/lifecycle/S04", "2024-11-05/lifecycle/S11")
@pytest.mark.parametrize("wanted", ["2026-07-28", "1.0.0", "2099-01-01", "2024-10-07", "", "2025-11-25 ", "latest"])
@pytest.mark.parametrize(
    ("spoken", "offer"),
    [(None, "2025-11-25"), (LEGACY[:2], "2025-03-26"), (["2024-11-05", "2026-07-28"], "2024-11-05")],
    ids=str,
)
def test_a_version_that_the_server_does_not_speak_gets_its_newest_as_the_counter_offer(
    wanted: str, spoken: Any, offer: str
) -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=spoken)) as wire:
            result = (await wire.answer(initialize(legacy(wire), wanted)))["result"]
            assert result["protocolVersion"] == offer
            wire.tell("notifications/initialized")
            await wire.result("tools/list")

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M09")
def test_a_version_that_exists_but_is_switched_off_is_not_agreed_to() -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=["2025-03-26", "2025-06-18"])) as wire:
            result = (await wire.answer(initialize(legacy(wire), "2024-11-05")))["result"]
            assert result["protocolVersion"] == "2025-06-18"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M01")
@pytest.mark.parametrize("method", ["tools/list", TOOL, "resources/list", "logging/setLevel", "roots/list", "acme/x"])
def test_nothing_but_a_ping_is_served_before_the_handshake(method: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            error = await legacy(wire).error(method, {"name": "echo", "level": "info"})
            assert error["code"] in (-32600, -32601, -32602)
            assert "initialize" in error["message"]
            assert await wire.result("ping") == {}
            assert (await wire.answer(initialize(wire, "2025-11-25")))["result"]["protocolVersion"] == "2025-11-25"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M01", "2024-11-05/lifecycle/M08")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"protocolVersion": 5, "capabilities": {}, "clientInfo": INFO},
        {"protocolVersion": None, "capabilities": {}, "clientInfo": INFO},
        {"protocolVersion": "2025-11-25", "clientInfo": INFO},
        {"protocolVersion": "2025-11-25", "capabilities": [], "clientInfo": INFO},
        {"protocolVersion": "2025-11-25", "capabilities": {}},
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x"}},
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": "x"},
    ],
    ids=str,
)
def test_a_handshake_that_lacks_what_it_must_state_is_refused_and_may_be_tried_again(params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None  # our own request is wrong
            assert (await legacy(wire).error("initialize", params))["code"] == -32602
            assert (await wire.error("tools/list"))["code"] == -32602  # no session has begun
            assert (await wire.answer(initialize(wire, "2025-06-18")))["result"]["protocolVersion"] == "2025-06-18"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10")
def test_a_second_handshake_is_refused_and_the_first_one_stands() -> None:
    async def main() -> None:
        async with client_of(make_server(), "2025-03-26") as wire:
            error = (await wire.answer(initialize(wire, "2025-11-25")))["error"]
            assert error["code"] == -32600
            wire.say([{"jsonrpc": "2.0", "id": "b", "method": "ping"}])  # still 2025-03-26, which has batches
            assert await wire.hear() == [{"jsonrpc": "2.0", "id": "b", "result": {}}]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/Y01")
@pytest.mark.parametrize("revision", LEGACY)
def test_unknown_capabilities_and_members_in_the_handshake_are_tolerated(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            odd = {"acme": {"x": 1}, "roots": {"acme": True}, "experimental": {"acme/y": {}}, "extensions": {"a/b": {}}}
            id = initialize(
                legacy(wire), revision, capabilities=odd, clientInfo={**INFO, "acme": 1}, acme=[], _meta={"a/b": 1}
            )
            assert (await wire.answer(id))["result"]["protocolVersion"] == revision

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S02")
@pytest.mark.parametrize("tool", ["ask", "sample", "roots", "change"])
def test_before_initialized_the_server_asks_nothing_and_announces_nothing(tool: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server) as wire:
            able: dict[str, Any] = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
            await wire.answer(initialize(legacy(wire), "2025-11-25", capabilities=able))
            server.notify_tools_changed()
            before, _ = await wire.until(wire.call(TOOL, {"name": tool}))
            assert before == []  # it is answered, one way or the other, and nobody was asked
            assert await wire.fence() == []
            wire.tell("notifications/initialized")
            assert await wire.fence() == []
            server.notify_tools_changed()
            assert [m["method"] for m in await wire.fence()] == ["notifications/tools/list_changed"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S02", "2024-11-05/schema/Y03")
def test_before_initialized_the_server_may_log() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            await wire.answer(initialize(legacy(wire), "2025-11-25"))
            before, _ = await wire.until(wire.call(TOOL, {"name": "chat"}))
            assert [message["method"] for message in before] == ["notifications/message"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S07", "2025-06-18/lifecycle/M11", "2024-11-05/lifecycle/S12")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("tool", ["ask", "sample", "roots"])
def test_the_server_never_asks_for_what_the_client_did_not_declare(tool: str, revision: str) -> None:
    async def main() -> None:
        # what has been declared is never what is asked
        declared: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
        del declared[{"ask": "elicitation"}.get(tool, tool.replace("sample", "sampling"))]
        if revision < "2025-06-18":
            declared.pop("elicitation", None)
        async with client_of(make_server(), revision, declared) as wire:
            before, response = await wire.until(wire.call(TOOL, {"name": tool}))
            assert before == []
            assert "error" in response or response["result"]["isError"]
            assert await wire.result("ping") == {}

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10")
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26"])
def test_what_a_revision_does_not_have_is_not_used_though_the_client_declared_it(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision, {"elicitation": {}}) as wire:
            before, response = await wire.until(wire.call(TOOL, {"name": "ask"}))
            assert before == []
            assert "error" in response or response["result"]["isError"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S07", "2025-06-18/lifecycle/M11")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_server_announces_and_logs_only_what_it_declared(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(logging=False)) as wire:
            result = (await wire.answer(initialize(legacy(wire), revision)))["result"]
            assert set(result["capabilities"]) == {"tools"}
            wire.tell("notifications/initialized")
            before, _ = await wire.until(wire.call(TOOL, {"name": "change"}))
            before += (await wire.until(wire.call(TOOL, {"name": "chat"})))[0] + await wire.fence()
            assert [message["method"] for message in before] == ["notifications/tools/list_changed"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S07", "2024-11-05/schema/S07", "2025-06-18/lifecycle/M11")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/list", {}),
        ("prompts/get", {"name": "x"}),
        ("resources/list", {}),
        ("resources/read", {"uri": "a://b"}),
        ("resources/subscribe", {"uri": "a://b"}),
        ("resources/unsubscribe", {"uri": "a://b"}),
        ("logging/setLevel", {"level": "info"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
        ("tools/list", {}),
        (TOOL, {"name": "x"}),
    ],
)
def test_a_request_for_what_was_not_declared_is_an_error(method: str, params: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        async with client_of(Server("bare", logging=False), revision) as wire:
            assert (await wire.error(method, params))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10", "2024-11-05/basic/M02")
@pytest.mark.spec("2024-11-05/transports/M10")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_whole_conversation_is_in_the_schema_of_its_revision(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision, {"roots": {}, "sampling": {}}) as wire:
            await wire.result("ping")
            await wire.result("tools/list")
            await wire.result(TOOL, {"name": "echo"})
            request = wire.call(TOOL, {"name": "roots"})
            wire.reply(await wire.hear("roots/list"), {"roots": []})
            assert (await wire.answer(request))["result"]["content"][0]["text"] == "0"
            await wire.error("server/discover")
            await wire.error("acme/unknown")
        # leaving has asked the judge

    asyncio.run(main())
