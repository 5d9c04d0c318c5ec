"""2026-07-28, the client's side of basic/index, basic/versioning and of the opening on stdio: what it sends first, the
envelope, how it reads results and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpcore import Client, Server
from mcpcore.core.limits import Limits
from mcpcore.errors import InvalidResult, McpError, RpcError, UnsupportedRevision, UsageError
from mcpcore.testing import FakeClock
from tests.contract.wire import LEGACY, META, MODERN, Wire, accept, discovered, serving

CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {},
    "resources": {"subscribe": True},
    "completions": {},
    "logging": {},
}
Script = Callable[[Wire], Awaitable[object]]


def complete(**members: Any) -> dict[str, Any]:
    return {"resultType": "complete", **members}


TEXT = complete(content=[{"type": "text", "text": "hi"}])
PAGE = {"ttlMs": 0, "cacheScope": "private"}


async def answering(wire: Wire, results: dict[str, Any]) -> None:
    """Answer each request from this table until the client goes."""
    await accept(wire, MODERN, CAPABILITIES)
    while True:
        try:
            request = await wire.hear()
        except AssertionError:
            if wire.ended.is_set():
                return
            raise
        if "id" in request:
            wire.reply(request, results[request["method"]])


RESULTS: dict[str, Any] = {
    "server/discover": discovered(CAPABILITIES),
    "tools/list": complete(tools=[], **PAGE),
    "prompts/list": complete(prompts=[], **PAGE),
    "resources/list": complete(resources=[], **PAGE),
    "resources/templates/list": complete(resourceTemplates=[], **PAGE),
    "resources/read": complete(contents=[{"uri": "memo://one", "text": "1"}], **PAGE),
    "prompts/get": complete(messages=[]),
    "completion/complete": complete(completion={"values": []}),
    "tools/call": TEXT,
    "acme/x": complete(),
}


async def use_everything(client: Client) -> None:
    from mcpcore import PromptRef

    await client.list_tools()
    await client.list_prompts()
    await client.list_resources()
    await client.list_resource_templates()
    await client.list_tools_page("some cursor")
    await client.read_resource("memo://one")
    await client.get_prompt("greet", {"name": "you"})
    await client.complete(PromptRef("greet"), "name", "y")
    await client.call_tool("echo", {"text": "hi"}, meta={"com.example/x": 1})
    await client.ping()
    await client.request("acme/x", {"a": 1})


# -- what it sends -----------------------------------------------------------------------------------------------------


def everything_sent(**options: Any) -> list[dict[str, Any]]:
    """The requests of a client that uses everything; the judge of the wire sees all of them, too."""

    async def main() -> list[dict[str, Any]]:
        async with serving(lambda wire: answering(wire, RESULTS)) as target:
            async with Client(target, **options) as client:
                await use_everything(client)
            return [json.loads(line) for side, line in target.wires[0].lines if side == "client"]

    return asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M36", "2026-07-28/basic/S15", "2026-07-28/basic/M33", "2026-07-28/basic/M35")
@pytest.mark.parametrize(
    ("options", "declared"),
    [
        ({}, {}),
        (
            {"elicitation": lambda question: None, "sampling": lambda question: "", "roots": []},
            {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}},
        ),
        ({"extensions": {"com.example/x": {"a": 1}}}, {"extensions": {"com.example/x": {"a": 1}}}),
    ],
    ids=["none", "callbacks", "extension"],
)
def test_every_request_carries_version_capabilities_and_identity(
    options: dict[str, Any], declared: dict[str, Any]
) -> None:
    sent = everything_sent(name="contract", version="1.2", title="The Contract", **options)
    assert len(sent) == 12
    for message in sent:
        meta = message["params"]["_meta"]
        assert meta[f"{META}protocolVersion"] == MODERN
        assert meta[f"{META}clientCapabilities"] == declared
        assert meta[f"{META}clientInfo"] == {"name": "contract", "version": "1.2", "title": "The Contract"}
    (call,) = (message for message in sent if message["method"] == "tools/call")
    assert call["params"]["_meta"]["com.example/x"] == 1


@pytest.mark.spec("2026-07-28/basic/M03", "2026-07-28/basic/M04", "2026-07-28/basic/M05", "2026-07-28/progress/M02")
def test_requests_under_way_have_ids_and_tokens_of_their_own() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire)
        requests = [await wire.hear() for _ in range(50)]
        ids = [request["id"] for request in requests]
        assert len(set(ids)) == 50 and all(type(id) in (int, str) for id in ids)
        tokens = [request["params"]["_meta"]["progressToken"] for request in requests]
        assert len(set(tokens)) == 50 and all(type(token) in (int, str) for token in tokens)
        for request in reversed(requests):  # answered in another order
            wire.reply(request, complete(content=[{"type": "text", "text": request["params"]["name"]}]))

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            results = await asyncio.gather(*(client.call_tool(f"tool {n}") for n in range(50)))
            assert [result.text for result in results] == [f"tool {n}" for n in range(50)]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/patterns/M02", "2026-07-28/stdio/M04", "2026-07-28/transports/M02")
def test_a_client_never_sends_a_response_whatever_the_server_asks() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire)
        wire.judge = None
        for number, method in enumerate(("ping", "roots/list", "sampling/createMessage", "elicitation/create", "x")):
            wire.say({"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
        wire.say([{"jsonrpc": "2.0", "id": 9, "method": "ping"}])
        wire.reply(await wire.hear("tools/call"), TEXT)
        await wire.end()
        assert all("method" in json.loads(line) for side, line in wire.lines if side == "client")

    async def main() -> None:
        async with serving(script) as target:
            answers: dict[str, Any] = {"sampling": lambda q: "", "elicitation": lambda q: None, "roots": []}
            async with Client(target, **answers) as client:
                assert (await client.call_tool("echo")).text == "hi"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/M02")
@pytest.mark.parametrize("name", ["thing", "1com.example/x", "com..example/x", "com.example/-x", "com/example/x"])
def test_an_extension_whose_name_breaks_the_grammar_is_not_declared(name: str) -> None:
    with pytest.raises(UsageError, match="extensions"):
        Client(Server("any"), extensions={name: {}})
    with pytest.raises(UsageError, match="extensions"):
        Client(Server("any"), capabilities={"extensions": {name: {}}})


@pytest.mark.spec("2026-07-28/schema/Y01", "2026-07-28/basic/Y01", "2026-07-28/versioning/M03")
def test_capabilities_and_members_that_nobody_knows_are_tolerated() -> None:
    results = {method: {**result, "whim": [{"deep": None}]} for method, result in RESULTS.items()}
    odd = {**CAPABILITIES, "telepathy": {"range": 3}, "extensions": {"com.example/odd": {"x": 1}}}

    async def script(wire: Wire) -> None:
        request = await wire.hear("server/discover")
        wire.reply(request, {**discovered(odd), "whim": 1})
        while not wire.ended.is_set():
            try:
                request = await wire.hear()
            except AssertionError:
                return
            wire.reply(request, results[request["method"]])

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            await use_everything(client)
            assert client.server_capabilities is not None

    asyncio.run(main())


# -- results -----------------------------------------------------------------------------------------------------------


async def calls_of_each_kind(client: Client) -> list[McpError | None]:
    outcomes: list[McpError | None] = []
    for call in (
        client.call_tool("x"),
        client.list_tools(),
        client.list_prompts(),
        client.list_resources(),
        client.list_resource_templates(),
        client.read_resource("memo://one"),
        client.get_prompt("x"),
        client.begin_call("x"),
    ):
        try:
            await call
            outcomes.append(None)
        except McpError as error:
            outcomes.append(error)
    return outcomes


@pytest.mark.spec("2026-07-28/basic/M10", "2026-07-28/basic/M09")
@pytest.mark.parametrize("kind", ["task", "partial", "COMPLETE", "", None, 5, ["complete"]], ids=str)
def test_a_result_of_an_unknown_type_is_invalid(kind: Any) -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None
        await answering(wire, {method: {**result, "resultType": kind} for method, result in RESULTS.items()})

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            for outcome in await calls_of_each_kind(client):
                assert isinstance(outcome, InvalidResult), outcome

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M10", "2026-07-28/mrtr/M03")
def test_a_question_in_answer_to_another_request_is_invalid() -> None:
    asks = {"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list", "params": {}}}}

    async def script(wire: Wire) -> None:
        wire.judge = None
        await answering(wire, dict.fromkeys(RESULTS, asks))

    async def main() -> None:
        async with serving(script) as target, Client(target, roots=[]) as client:
            with pytest.raises(InvalidResult):
                await client.list_tools()
            with pytest.raises(InvalidResult):
                await client.list_resources_page()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M11")
def test_a_result_without_a_type_is_complete() -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None
        results = {m: {k: v for k, v in r.items() if k != "resultType"} for m, r in RESULTS.items()}
        await answering(wire, results)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            assert await calls_of_each_kind(client) == [None] * 8
            assert (await client.call_tool("x")).text == "hi"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M10")
def test_a_discovery_of_an_unknown_type_proves_nothing() -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None
        wire.reply(await wire.hear("server/discover"), {**discovered(), "resultType": "riddle"})
        wire.refuse(await wire.hear("initialize"), -32601, "Method not found")

    async def main() -> None:
        async with serving(script) as target:
            with pytest.raises(McpError):
                await Client(target).connect()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/S17")
def test_who_the_server_says_it_is_changes_nothing() -> None:
    infos: list[Any] = [None, 5, {"name": "FastMCP", "version": "2"}, {"name": "x", "version": 7, "icons": "none"}]

    async def main(info: Any) -> tuple[list[Any], list[McpError | None]]:
        meta = {"_meta": {f"{META}serverInfo": info}}

        async def script(wire: Wire) -> None:
            wire.judge = None
            wire.reply(await wire.hear("server/discover"), {**discovered(CAPABILITIES), **meta})
            while True:
                try:
                    request = await wire.hear()
                except AssertionError:
                    return
                wire.reply(request, {**RESULTS[request["method"]], **meta})

        async with serving(script) as target, Client(target) as client:
            outcomes = await calls_of_each_kind(client)
            assert client.server_info is None or client.server_info.name == "FastMCP"
        return [json.loads(line) for side, line in target.wires[0].lines if side == "client"], outcomes

    found = [asyncio.run(main(info)) for info in infos]
    assert all(one == found[0] for one in found)
    assert found[0][1] == [None] * 8


@pytest.mark.spec("2026-07-28/basic/M47")
def test_icons_are_handed_on_and_never_fetched() -> None:
    async def main() -> None:
        asked: list[Any] = []
        listening = await asyncio.start_server(lambda reader, writer: asked.append(writer), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        sources = [f"http://127.0.0.1:{port}/x.png", "file:///etc/passwd", "javascript:alert(1)", "ws://127.0.0.1/"]
        icons = [{"src": source} for source in sources]
        tool = {"name": "t", "inputSchema": {"type": "object"}, "icons": icons}
        results = {**RESULTS, "tools/list": complete(tools=[tool], **PAGE)}
        async with serving(lambda wire: answering(wire, results)) as target, Client(target) as client:
            (found,) = await client.list_tools()
            assert found.icons is not None and [icon.src for icon in found.icons] == sources
            await client.call_tool("t")
        listening.close()
        assert asked == []

    asyncio.run(main())


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/S02", "2026-07-28/basic/M16", "2026-07-28/basic/Y03", "2026-07-28/basic/M12")
@pytest.mark.parametrize("code", [-32002, -32602, -32000, -32001, -32042, -32021, 404, 1])
@pytest.mark.parametrize("data", [None, "text", 5, [1], {"uri": "memo://none"}], ids=str)
def test_an_error_reaches_the_caller_as_it_is(code: int, data: Any) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.judge = None
        wire.refuse(await wire.hear("resources/read"), code, "Resource not found", data)
        wire.reply(await wire.hear("tools/call"), TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            with pytest.raises(RpcError) as caught:
                await client.read_resource("memo://none")
            assert (caught.value.code, caught.value.message, caught.value.data) == (code, "Resource not found", data)
            assert (await client.call_tool("x")).text == "hi"  # whatever the code: nothing else follows from it

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M02", "2026-07-28/basic/M12", "2026-07-28/basic/M13", "2026-07-28/basic/M14")
def test_a_response_that_is_none_harms_only_its_own_call() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire)
        wire.judge = None
        broken: list[dict[str, Any]] = [
            {"result": 5},
            {"result": {}, "error": {"code": 1, "message": ""}},
            {"error": 7},
            {"error": {}},
        ]
        broken += [{"error": {"code": "1", "message": "x"}}, {"error": {"code": 1.5, "message": "x"}}, {"error": None}]
        for members in broken:
            request = await wire.hear("tools/call")
            wire.say({"jsonrpc": "2.0", "id": request["id"], **members})
        request = await wire.hear("tools/call")
        id = request["id"]
        for members in ({"id": "x"}, {"id": None}, {"id": str(id)}, {"id": id + 99}, {}, {"id": [id]}):
            wire.say({"jsonrpc": "2.0", "result": TEXT, **members})
        wire.say(b"no JSON at all")
        wire.say(b"\xff")
        wire.say({"jsonrpc": "2.0", "error": {"code": -32700, "message": "we could not read that"}})
        wire.reply(request, TEXT)
        wire.reply(request, complete(content=[]))  # once more
        wire.reply(await wire.hear("tools/call"), TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            for _ in range(7):
                with pytest.raises(McpError):
                    await client.call_tool("x")
            assert (await client.call_tool("x")).text == "hi"
            assert (await client.call_tool("x")).text == "hi"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M21", "2026-07-28/patterns/Y01")
def test_notifications_of_any_kind_are_taken_without_an_answer() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        wire.judge = None
        for method, params in (
            ("notifications/progress", {"progressToken": request["id"], "progress": 1}),
            ("notifications/progress", {"progressToken": "unknown", "progress": 1}),
            ("notifications/progress", {"progressToken": {}, "progress": "x"}),
            ("notifications/message", {"level": "info", "data": None}),
            ("notifications/message", {}),
            ("notifications/cancelled", {"requestId": request["id"]}),
            ("notifications/cancelled", {"requestId": []}),
            ("notifications/tools/list_changed", {"_meta": 5}),
            ("notifications/resources/updated", {"uri": 5}),
            ("notifications/subscriptions/acknowledged", {}),
            ("notifications/initialized", {}),
            ("vendor/event", {"x": 1}),
        ):
            wire.tell(method, params)
        wire.reply(request, TEXT)
        await wire.end()
        assert [json.loads(line)["method"] for side, line in wire.lines if side == "client"][1:] == ["tools/call"]

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            assert (await client.call_tool("x")).text == "hi"

    asyncio.run(main())


# -- the opening -------------------------------------------------------------------------------------------------------


async def open_with(script: Script, **options: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The revision that a client finds, or the error it raises; and what it sent for it."""
    async with serving(script) as target:
        found: Any
        try:
            async with Client(target, **options) as client:
                found = client.revision
        except McpError as error:
            found = error
        sent = [json.loads(line) for wire in target.wires for side, line in wire.lines if side == "client"]
    return found, sent


def methods(sent: list[dict[str, Any]]) -> list[str]:
    return [message["method"] for message in sent]


async def shake(wire: Wire, revision: str) -> None:
    request = await wire.hear("initialize")
    info = {"name": "old", "version": "1"}
    wire.reply(request, {"protocolVersion": revision, "capabilities": {}, "serverInfo": info})
    await wire.hear("notifications/initialized")


@pytest.mark.spec("2026-07-28/stdio/S08", "2026-07-28/stdio/S09", "2026-07-28/schema/S03")
@pytest.mark.parametrize("revisions", [None, MODERN, [MODERN, "2025-06-18"]], ids=str)
def test_the_first_message_is_a_discovery_that_names_the_preferred_version(revisions: Any) -> None:
    async def script(wire: Wire) -> None:
        request = await wire.hear("server/discover")
        assert request["params"]["_meta"][f"{META}protocolVersion"] == MODERN
        wire.reply(request, discovered(versions=[MODERN, "2025-11-25"]))

    found, sent = asyncio.run(open_with(script, revisions=revisions))
    assert found == MODERN
    assert methods(sent) == ["server/discover"]


@pytest.mark.spec("2026-07-28/stdio/M09", "2026-07-28/versioning/S01")
@pytest.mark.parametrize("supported", [["2099-01-01"], [], ["2025-11-25"], ["2099-01-01", "2025-11-25"]], ids=str)
def test_a_modern_error_without_our_version_is_told_and_never_followed_by_initialize(supported: list[str]) -> None:
    async def script(wire: Wire) -> None:
        data = {"supported": supported, "requested": MODERN}
        wire.refuse(await wire.hear("server/discover"), -32022, "Unsupported protocol version", data)
        await wire.end()

    found, sent = asyncio.run(open_with(script))
    assert isinstance(found, UnsupportedRevision)
    assert found.offered == tuple(supported)
    assert all(version in str(found) for version in supported)
    assert methods(sent) == ["server/discover"]


@pytest.mark.spec("2026-07-28/stdio/M09", "2026-07-28/versioning/S01")
@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_after_a_modern_error_the_client_tries_again_in_a_supported_version(code: int) -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None
        data = {"supported": [MODERN], "requested": MODERN}
        wire.refuse(await wire.hear("server/discover"), code, "once", data)
        again = await wire.hear("server/discover")
        assert again["params"]["_meta"][f"{META}protocolVersion"] == MODERN
        wire.reply(again, discovered())

    found, sent = asyncio.run(open_with(script))
    assert found == MODERN
    assert sent[0]["id"] != sent[1]["id"]


@pytest.mark.spec("2026-07-28/versioning/S01", "2026-07-28/stdio/M09")
def test_a_server_that_refuses_for_ever_is_given_up() -> None:
    async def script(wire: Wire) -> None:
        while not wire.ended.is_set():
            try:
                request = await wire.hear()
            except AssertionError:
                return
            wire.refuse(request, -32022, "never", {"supported": [MODERN], "requested": MODERN})

    found, sent = asyncio.run(open_with(script))
    assert isinstance(found, McpError)
    assert set(methods(sent)) == {"server/discover"} and len(sent) < 10


@pytest.mark.spec("2026-07-28/stdio/M10", "2026-07-28/stdio/M11", "2026-07-28/basic/M16")
@pytest.mark.parametrize(
    "code",
    [
        -32601,
        -32602,
        -32600,
        -32603,
        -32700,
        -32000,
        -32001,
        -32002,
        -32003,
        -32004,
        -32019,
        -32023,
        -32099,
        0,
        -1,
        400,
    ],
)
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25"])
def test_any_other_error_to_the_probe_means_a_legacy_server(code: int, revision: str) -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None
        data = {"supported": [MODERN]} if code == -32004 else None
        wire.refuse(await wire.hear("server/discover"), code, "what is that?", data)
        await shake(wire, revision)

    found, sent = asyncio.run(open_with(script))
    assert found == revision
    assert methods(sent) == ["server/discover", "initialize", "notifications/initialized"]


@pytest.mark.spec("2026-07-28/stdio/M10")
@pytest.mark.parametrize("revision", LEGACY)
def test_silence_to_the_probe_means_a_legacy_server(revision: str) -> None:
    async def script(wire: Wire) -> None:
        wire.judge = None  # it knows no two openings side by side
        await wire.hear("server/discover")
        await shake(wire, revision)

    clock = FakeClock()
    found, sent = clock.run(open_with(script, limits=Limits(probe_seconds=2.0)))
    assert found == revision
    assert 2.0 <= clock.time() < 4.0
    assert methods(sent) == ["server/discover", "initialize", "notifications/initialized"]


@pytest.mark.spec("2026-07-28/stdio/S09")
def test_a_modern_only_client_tells_that_a_legacy_server_is_one() -> None:
    async def script(wire: Wire) -> None:
        wire.refuse(await wire.hear("server/discover"), -32601, "Method not found")
        await wire.end()

    found, sent = asyncio.run(open_with(script, revisions=MODERN))
    assert isinstance(found, McpError)
    assert MODERN in str(found)
    assert methods(sent) == ["server/discover"]


@pytest.mark.spec("2026-07-28/versioning/S01", "2026-07-28/schema/S03")
def test_the_version_comes_from_the_list_of_the_server() -> None:
    async def script(wire: Wire) -> None:
        wire.reply(await wire.hear("server/discover"), discovered(versions=["2099-01-01", "2025-06-18", "2024-11-05"]))
        request = await wire.hear("initialize")
        assert request["params"]["protocolVersion"] == "2025-06-18"
        info = {"name": "old", "version": "1"}
        wire.reply(request, {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info})
        await wire.hear("notifications/initialized")

    found, _ = asyncio.run(open_with(script))
    assert found == "2025-06-18"

    async def strange(wire: Wire) -> None:
        wire.reply(await wire.hear("server/discover"), discovered(versions=["2099-01-01"]))
        await wire.end()

    found, sent = asyncio.run(open_with(strange))
    assert isinstance(found, UnsupportedRevision) and "2099-01-01" in str(found)
    assert methods(sent) == ["server/discover"]


@pytest.mark.spec("2026-07-28/versioning/S03")
@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
def test_what_a_server_speaks_is_remembered(revision: str) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, revision)

    async def main() -> None:
        async with serving(script) as target:
            client = Client(target)
            sent: list[list[str]] = []
            for _ in range(2):
                async with client:
                    assert client.revision == revision
                lines = target.wires[-1].lines
                sent.append(methods([json.loads(line) for side, line in lines if side == "client"]))
            async with Client(target, verdict=client.verdict) as other:
                assert other.revision == revision
            lines = target.wires[-1].lines
            sent.append(methods([json.loads(line) for side, line in lines if side == "client"]))
        if revision == MODERN:
            assert sent == [["server/discover"]] * 3
        else:
            shaken = ["initialize", "notifications/initialized"]
            assert sent == [["server/discover", *shaken], shaken, shaken]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/versioning/S03")
@pytest.mark.parametrize(("remembered", "now"), [("2025-11-25", MODERN), (MODERN, "2025-11-25")])
def test_a_memory_that_no_longer_holds_is_corrected(remembered: str, now: str) -> None:
    async def script(wire: Wire) -> None:
        request = await wire.hear()
        if now == MODERN and request["method"] == "initialize":
            data = {"supported": [MODERN], "requested": remembered}
            wire.refuse(request, -32022, "Unsupported protocol version", data)
            wire.reply(await wire.hear("server/discover"), discovered())
        else:
            wire.refuse(request, -32601, "Method not found")
            await shake(wire, now)

    found, _ = asyncio.run(open_with(script, verdict=remembered))
    assert found == now
