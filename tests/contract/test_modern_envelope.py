"""2026-07-28, basic/index, the server's side: messages, ids, ``_meta``, results, error codes, statelessness."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mcpcore import Context, Elicit, InputRequired, ListRoots, RpcError, Sample, Server
from mcpcore.core.limits import Limits
from tests.contract.wire import META, MODERN, Wire, client_of, envelope

TOOL = "tools/call"
CAN_ALL: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}


def make_server(**options: Any) -> Server:
    server = Server("contract", version="1.2", **options)
    gates: dict[str, asyncio.Event] = {}

    @server.tool
    async def echo(text: str = "") -> str:
        return text

    @server.tool
    async def wait(gate: str) -> str:
        """Returns once ``free`` named the same gate."""
        await gates.setdefault(gate, asyncio.Event()).wait()
        return gate

    @server.tool
    async def free(gate: str) -> str:
        gates.setdefault(gate, asyncio.Event()).set()
        return "done"

    @server.tool
    async def raises(code: int) -> str:
        raise RpcError(code, "as the handler said", {"of": "the handler"})

    @server.tool
    async def crashes() -> str:
        raise ValueError("a secret")

    @server.tool
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("Name?", {"type": "object", "properties": {"name": {"type": "string"}}})
        return answer.action

    @server.tool
    async def visit(ctx: Context) -> str:
        return (await ctx.elicit_url("Look", "https://example.com/")).action

    @server.tool
    async def think(ctx: Context) -> str:
        return (await ctx.sample("2 + 2?", 10)).text

    @server.tool
    async def roots(ctx: Context) -> str:
        return str(len(await ctx.roots()))

    @server.tool
    async def who(ctx: Context) -> str:
        return ctx.client.name if ctx.client is not None else "nobody"

    @server.resource("memo://one")
    async def one() -> str:
        return "1"

    @server.prompt
    async def greet(name: str) -> str:
        return f"Hello {name}"

    @server.method("acme/nothing")
    async def nothing(params: dict[str, Any]) -> dict[str, Any]:
        return {}

    return server


def objects(value: Any) -> Iterator[Any]:
    """Every object inside a JSON value."""
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from objects(member)
    elif isinstance(value, list):
        for member in value:
            yield from objects(member)


async def battery(wire: Wire) -> list[dict[str, Any]]:
    """Every request this server knows, in ways that succeed and ways that fail; the responses."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("server/discover", {}),
        ("tools/list", {}),
        ("prompts/list", {}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "memo://one"}),
        ("resources/read", {"uri": "memo://none"}),
        ("resources/read", {"uri": 5}),
        ("prompts/get", {"name": "greet", "arguments": {"name": "you"}}),
        ("prompts/get", {"name": "greet"}),
        ("prompts/get", {"name": "none"}),
        ("tools/list", {"cursor": "forged"}),
        (TOOL, {"name": "echo", "arguments": {"text": "hi"}}),
        (TOOL, {"name": "echo", "arguments": {"text": 7}}),
        (TOOL, {"name": "echo", "arguments": []}),
        (TOOL, {"name": "none"}),
        (TOOL, {}),
        (TOOL, {"name": "crashes"}),
        (TOOL, {"name": "ask"}),
        (TOOL, {"name": "think"}),
        (TOOL, {"name": "roots"}),
        (TOOL, {"name": "visit"}),
        (TOOL, {"name": "ask", "requestState": "forged"}),
        ("acme/nothing", {}),
        ("acme/unknown", {}),
        ("initialize", {}),
        ("ping", {}),
        ("logging/setLevel", {"level": "info"}),
        ("resources/subscribe", {"uri": "memo://one"}),
        ("subscriptions/listen", {}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "n", "value": ""}},
        ),
    ]
    wire.judge = None  # half of these break the schemas on purpose
    return [await wire.ask(method, params, capabilities=can) for method, params in calls for can in ({}, CAN_ALL)]


# -- messages ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M02", "2026-07-28/basic/M06", "2026-07-28/basic/M07", "2026-07-28/basic/M12")
@pytest.mark.spec("2026-07-28/basic/M13", "2026-07-28/basic/M14")
def test_every_request_gets_one_well_formed_response_under_its_id() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            responses = await battery(wire)
            assert await wire.fence() == []
        for number, response in enumerate(responses, 1):
            assert response["jsonrpc"] == "2.0"
            assert type(response["id"]) is int and response["id"] == number
            assert ("result" in response) is not ("error" in response)
            if "error" in response:
                error = response["error"]
                assert type(error["code"]) is int and type(error["message"]) is str and error["message"]
                assert set(error) <= {"code", "message", "data"}
            else:
                assert type(response["result"]) is dict

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M03", "2026-07-28/basic/M06", "2026-07-28/basic/M12")
@pytest.mark.parametrize("id", [1, 0, -7, 2**53 + 1, 2**63 - 1, -(2**63), "", "1", "007", "٧", "x" * 10_000])
def test_an_id_comes_back_with_its_type_and_value(id: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            await wire.result("tools/list", id=id)
            await wire.result(TOOL, {"name": "free", "arguments": {"gate": "a"}}, id=id)
            await wire.result(TOOL, {"name": "wait", "arguments": {"gate": "a"}}, id=id)
            await wire.error("acme/unknown", id=id)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M03", "2026-07-28/basic/M04")
@pytest.mark.parametrize("id", [b"null", b"1.5", b"true", b"[]", b"{}", b"99999999999999999999999999"])
def test_a_request_whose_id_is_no_string_or_integer_is_refused_and_not_served(id: bytes) -> None:
    served: list[str] = []

    async def main() -> None:
        server = make_server()

        @server.method("acme/count")
        async def count(params: dict[str, Any]) -> dict[str, Any]:
            served.append("once")
            return {}

        async with client_of(server) as wire:
            wire.judge = None
            await wire.result("tools/list")
            meta = b'{"_meta":{"%bprotocolVersion":"2026-07-28","%bclientCapabilities":{}}}' % ((META.encode(),) * 2)
            wire.say(b'{"jsonrpc":"2.0","id":' + id + b',"method":"acme/count","params":' + meta + b"}")
            refusal = await wire.hear()
            assert refusal["error"]["code"] == -32600
            assert "id" not in refusal
            assert await wire.fence() == []

    asyncio.run(main())
    assert served == []


@pytest.mark.spec("2026-07-28/basic/M05")
def test_an_id_may_be_used_again_once_it_is_answered_and_not_before() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None
            for _ in range(3):
                await wire.result(TOOL, {"name": "echo"}, id="again")
            wire.call(TOOL, {"name": "wait", "arguments": {"gate": "a"}}, id="again")
            second = await wire.ask("tools/list", id="again")
            assert second["error"]["code"] == -32600
            # the first one lives on, and the number 1 is not the string "1"
            wire.call(TOOL, {"name": "free", "arguments": {"gate": "a"}}, id="other")
            ids = {(await wire.hear())["id"], (await wire.hear())["id"]}
            assert ids == {"again", "other"}
            wire.call(TOOL, {"name": "wait", "arguments": {"gate": "b"}}, id="1")
            await wire.result(TOOL, {"name": "echo"}, id=1)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M02", "2026-07-28/basic/M12")
@pytest.mark.parametrize(
    ("line", "code", "id"),
    [
        (b"{", -32700, None),
        (b"nonsense", -32700, None),
        (b'{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"x":NaN}}', -32700, None),
        (b'{"jsonrpc":"2.0","id":3,"method":"\xff"}', -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":3,"method":"tools/list"}]', -32600, None),
        (b"7", -32600, None),
        (b'"text"', -32600, None),
        (b"null", -32600, None),
        (b"{}", -32600, None),
        (b'{"id":3,"method":"tools/list"}', -32600, 3),
        (b'{"jsonrpc":"1.0","id":3,"method":"tools/list"}', -32600, 3),
        (b'{"jsonrpc":2.0,"id":3,"method":"tools/list"}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3,"method":""}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3,"method":7}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3,"method":"tools/list","params":[]}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3,"method":"tools/list","params":"x"}', -32600, 3),
        (b'{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"_meta":[]}}', -32602, 3),
    ],
)
def test_what_is_no_request_is_refused_with_its_code_and_the_id_it_had(line: bytes, code: int, id: Any) -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=[MODERN])) as wire:
            wire.judge = None
            wire.say(line)
            refusal = await wire.hear()
            assert refusal["error"]["code"] == code
            # 2026-07-28 leaves the id out where it could not be read; its schema does not know null
            assert refusal.get("id", "absent") == ("absent" if id is None else id)
            await wire.result("tools/list")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M21")
@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"notifications/vendor"}',
        b'{"jsonrpc":"2.0","method":"acme/nothing","params":{}}',
        b'{"jsonrpc":"2.0","method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"1"}}}',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[]}}',
        b'{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":{"_meta":5}}',
    ],
)
def test_a_notification_gets_no_response_of_any_kind(line: bytes) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.say(line)
            assert await wire.fence() == []
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M02", "2026-07-28/patterns/M02")
def test_a_response_that_a_client_should_not_send_is_ignored() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None
            wire.call(TOOL, {"name": "wait", "arguments": {"gate": "a"}}, id=1)
            for response in (
                {"id": 1, "result": {}},
                {"id": 9, "error": {"code": 1, "message": "x"}},
                {"id": 1, "result": 3},
            ):
                wire.say({"jsonrpc": "2.0", **response})
            assert await wire.fence() == []
            await wire.result(TOOL, {"name": "echo"}, id="2")

    asyncio.run(main())


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M08", "2026-07-28/basic/S16")
def test_every_result_names_its_type_and_its_server() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            results = [response["result"] for response in await battery(wire) if "result" in response]
        kinds = {result["resultType"] for result in results}
        assert kinds == {"complete", "input_required"}
        for result in results:
            assert result["_meta"][f"{META}serverInfo"] == {"name": "contract", "version": "1.2"}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/Y01")
def test_unknown_members_anywhere_in_a_request_are_tolerated() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            meta = envelope({"elicitation": {"hologram": 1}, "telepathy": {"range": None}}, vendor=[1, None])
            params = {"_meta": meta, "name": "echo", "arguments": {"text": "hi"}, "whim": {"deep": [True]}}
            request = {"jsonrpc": "2.0", "id": 1, "method": TOOL, "params": params, "trailer": "x"}
            wire.say(request)
            assert (await wire.answer(1))["result"]["content"] == [{"type": "text", "text": "hi"}]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/Y02")
def test_a_result_of_a_type_that_an_extension_brings_passes() -> None:
    async def main() -> None:
        server = make_server(extensions={"com.example/later": {}})

        @server.method("acme/later")
        async def later(params: dict[str, Any]) -> dict[str, Any]:
            return {"resultType": "later", "ticket": 7}

        async with client_of(server) as wire:
            result = await wire.result("acme/later", capabilities={"extensions": {"com.example/later": {}}})
            assert (result["resultType"], result["ticket"]) == ("later", 7)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/S17")
def test_who_the_client_says_it_is_changes_nothing() -> None:
    async def main() -> None:
        answers = []
        for info in (
            {"name": "claude-ai", "version": "0.1"},
            {"name": "", "version": ""},
            {"name": "x", "version": "99"},
        ):
            async with client_of(make_server(secret="0123456789abcdef")) as wire:
                wire.judge = None
                for method, params in METHODS:
                    wire.call(method, params, clientInfo=info)
                answers.append([await wire.hear() for _ in METHODS])
        assert answers[0] == answers[1] == answers[2]

    asyncio.run(main())


# -- error codes -------------------------------------------------------------------------------------------------------

DEFINED = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}


@pytest.mark.spec("2026-07-28/basic/M15", "2026-07-28/basic/S01", "2026-07-28/basic/M17", "2026-07-28/basic/S03")
@pytest.mark.spec("2026-07-28/basic/M19", "2026-07-28/basic/M20")
def test_only_defined_codes_and_codes_outside_the_reserved_range_are_sent() -> None:
    async def main() -> None:
        async with client_of(make_server(limits=Limits(max_in_flight=2))) as wire:
            codes = {response["error"]["code"] for response in await battery(wire) if "error" in response}
            assert codes == {-32601, -32602, -32021}
            codes.add((await wire.error("tools/list", protocolVersion="1999-01-01"))["code"])
            wire.call(TOOL, {"name": "wait", "arguments": {"gate": "a"}})
            wire.call(TOOL, {"name": "wait", "arguments": {"gate": "a"}})
            busy = (await wire.error("tools/list"))["code"]
            assert busy not in range(-32768, -31999)
            for code in codes - {busy}:
                assert code in DEFINED or code not in range(-32768, -31999)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M17", "2026-07-28/basic/M19", "2026-07-28/basic/M20")
@pytest.mark.parametrize(
    ("raised", "sent"),
    [
        (-32002, -32602),  # resource not found, as legacy revisions say it
        (-32042, -32603),
        (-32023, -32603),
        (-32099, -32603),
        (-32602, -32602),
        (-32603, -32603),
        (-32000, -32000),  # implementation-defined: left to the handler
        (404, 404),
    ],
)
def test_a_code_that_this_revision_forbids_is_replaced_when_a_handler_raises_it(raised: int, sent: int) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            error = await wire.error(TOOL, {"name": "raises", "arguments": {"code": raised}})
            assert error == {"code": sent, "message": "as the handler said", "data": {"of": "the handler"}}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M18")
def test_the_codes_of_the_specification_stand_for_their_condition_alone() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            assert (await wire.error("tools/list", protocolVersion="2025-11-25"))["code"] == -32022
            assert (await wire.error(TOOL, {"name": "ask"}))["code"] == -32021
            # faults of the same requests that are something else get another code
            assert (await wire.error(TOOL, {"name": "no such"}))["code"] == -32602
            assert (await wire.error("acme/unknown", capabilities=CAN_ALL))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/schema/M01")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {}),
        ("tools/call", {"name": "x"}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "x"}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "memo://one"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
    ],
)
def test_a_method_of_a_capability_that_was_not_advertised_is_not_found(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(Server("bare", logging=False)) as wire:
            discovered = await wire.result("server/discover")
            assert discovered["capabilities"] == {}
            assert (await wire.error(method, params))["code"] == -32601

    asyncio.run(main())


# -- _meta -------------------------------------------------------------------------------------------------------------

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("server/discover", {}),
    ("tools/list", {}),
    (TOOL, {"name": "echo"}),
    ("resources/read", {"uri": "memo://one"}),
    ("prompts/get", {"name": "greet", "arguments": {"name": "you"}}),
    ("subscriptions/listen", {"notifications": {}}),
    ("acme/nothing", {}),
]


@pytest.mark.spec("2026-07-28/basic/M37")
@pytest.mark.parametrize(("method", "params"), METHODS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("missing", ["protocolVersion", "clientCapabilities"])
@pytest.mark.parametrize("revisions", [[MODERN], None], ids=["modern-only", "dual-era"])
def test_a_request_without_a_required_field_is_refused(
    method: str, params: dict[str, Any], missing: str, revisions: list[str] | None
) -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=revisions)) as wire:
            meta = envelope()
            values: tuple[Any, ...] = ("absent", None, 5, [])
            for value in values:
                if value == "absent":
                    del meta[f"{META}{missing}"]
                else:
                    meta[f"{META}{missing}"] = value
                error = await wire.error(method, {**params, "_meta": meta})
                assert error["code"] == -32602
                assert missing in error["message"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M37")
@pytest.mark.parametrize(("method", "params"), METHODS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("revisions", [[MODERN], None], ids=["modern-only", "dual-era"])
@pytest.mark.parametrize("meta", [None, {}, {f"{META}clientInfo": {"name": "x", "version": "1"}}], ids=str)
def test_a_first_request_without_any_required_field_is_refused(
    method: str, params: dict[str, Any], revisions: list[str] | None, meta: dict[str, Any] | None
) -> None:
    async def main() -> None:
        async with client_of(make_server(revisions=revisions)) as wire:
            wire.judge = None
            given = params if meta is None else {**params, "_meta": meta}
            wire.say({"jsonrpc": "2.0", "id": 1, "method": method, "params": given})
            assert (await wire.answer(1))["error"]["code"] == -32602
            if not params:
                wire.say({"jsonrpc": "2.0", "id": 2, "method": method})
                assert (await wire.answer(2))["error"]["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M32")
@pytest.mark.parametrize(
    "info", [None, 5, "me", [], {}, {"name": 7}, {"name": "x", "version": None, "icons": 3}], ids=str
)
def test_a_client_info_of_any_shape_does_no_harm(info: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            result = await wire.result(TOOL, {"name": "who"}, clientInfo=info)
            assert result["content"] == [{"type": "text", "text": "nobody"}]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M32", "2026-07-28/basic/Y06")
def test_other_reserved_and_vendor_keys_of_any_value_do_no_harm() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            odd = {
                "progressToken": 1.5,
                f"{META}subscriptionId": {"not": "an id"},
                f"{META}future": [None],
                "com.example.mcp/a-b_c.d": 1,
                "com.mcp.tools/": None,
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
                "": 0,
            }
            result = await wire.result(TOOL, {"name": "echo", "_meta": {**envelope(), **odd}})
            assert result["content"][0]["type"] == "text"

    asyncio.run(main())


_LABEL = r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:(?P<prefix>{_LABEL}(?:\.{_LABEL})*)/)?(?P<name>[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?\Z")


@pytest.mark.spec("2026-07-28/basic/M33", "2026-07-28/basic/M34", "2026-07-28/basic/M35", "2026-07-28/basic/S14")
def test_the_servers_own_meta_keys_obey_their_grammar() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            responses = await battery(wire)
        keys = {key for response in responses for found in objects(response) for key in found.get("_meta", ())}
        assert len(keys) >= 2
        for key in keys:
            matched = _KEY.match(key)
            assert matched is not None and matched["prefix"] is not None, key
            top, second, *_ = matched["prefix"].split(".")
            assert top in ("io", "dev", "com", "org")  # reverse DNS: the top-level domain first
            assert second not in ("modelcontextprotocol", "mcp") or key == f"{META}serverInfo"

    asyncio.run(main())


# -- capabilities ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M39", "2026-07-28/basic/M40", "2026-07-28/mrtr/M11")
@pytest.mark.parametrize(
    ("tool", "declared", "required"),
    [
        ("ask", {}, {"elicitation": {}}),
        ("ask", {"elicitation": True, "sampling": {}, "roots": {}}, {"elicitation": {}}),
        ("ask", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("visit", {}, {"elicitation": {"url": {}}}),
        ("visit", {"elicitation": {}}, {"elicitation": {"url": {}}}),
        ("visit", {"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}),
        ("think", {"elicitation": {}, "roots": {}}, {"sampling": {}}),
        ("roots", {"elicitation": {}, "sampling": {}}, {"roots": {}}),
    ],
)
def test_a_client_is_asked_nothing_that_it_did_not_declare(
    tool: str, declared: dict[str, Any], required: dict[str, Any]
) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            error = await wire.error(TOOL, {"name": tool}, capabilities=declared)
            assert error["code"] == -32021
            assert error["data"]["requiredCapabilities"] == required

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M39", "2026-07-28/basic/M40", "2026-07-28/mrtr/M11")
@pytest.mark.parametrize(
    ("questions", "declared", "required"),
    [
        (
            {"a": Elicit("?", {"type": "object", "properties": {}}), "b": Sample("?", 1)},
            {"sampling": {}},
            "elicitation",
        ),
        ({"a": Elicit("?", {"type": "object", "properties": {}}), "b": ListRoots()}, {"elicitation": {}}, "roots"),
    ],
)
def test_a_handler_that_holds_the_rounds_itself_asks_nothing_undeclared_either(
    questions: dict[str, Any], declared: dict[str, Any], required: str
) -> None:
    async def main() -> None:
        server = Server("by hand")

        @server.tool
        async def both() -> str | InputRequired:
            return InputRequired(questions)

        @server.resource("memo://both")
        async def resource() -> Any:
            return InputRequired(questions)

        @server.prompt
        async def prompt() -> Any:
            return InputRequired(questions)

        async with client_of(server) as wire:
            for method, params in (
                (TOOL, {"name": "both"}),
                ("resources/read", {"uri": "memo://both"}),
                ("prompts/get", {"name": "prompt"}),
            ):
                error = await wire.error(method, params, capabilities=declared)
                assert error["code"] == -32021
                assert list(error["data"]["requiredCapabilities"]) == [required]

    asyncio.run(main())


# -- statelessness -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/basic/M23")
def test_capabilities_identity_and_level_of_one_request_do_not_reach_the_next() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            assert (await wire.result(TOOL, {"name": "ask"}, capabilities=CAN_ALL))["resultType"] == "input_required"
            assert (await wire.error(TOOL, {"name": "ask"}))["code"] == -32021
            told = await wire.result(TOOL, {"name": "who"}, clientInfo={"name": "anna", "version": "1"})
            assert told["content"][0]["text"] == "anna"
            bare = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
            again = await wire.result(TOOL, {"name": "who", "_meta": bare})
            assert again["content"][0]["text"] == "nobody"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M23", "2026-07-28/versioning/M04")
def test_the_version_of_one_request_does_not_reach_the_next() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            await wire.result("tools/list")
            assert (await wire.error("tools/list", {"_meta": {}}))["code"] == -32602
            assert (await wire.error("tools/list", protocolVersion="2027-01-01"))["code"] == -32022
            await wire.result("tools/list")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/S04")
def test_conversations_interleave_on_one_connection() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            for name in ("a", "b", "c"):
                wire.call(
                    TOOL,
                    {"name": "wait", "arguments": {"gate": name}},
                    id=name,
                    clientInfo={"name": name, "version": "1"},
                )
            await wire.result(TOOL, {"name": "echo"})
            for name in ("c", "a", "b"):  # answered in the order in which they finish
                wire.call(TOOL, {"name": "free", "arguments": {"gate": name}}, id=f"free {name}")
                before, _ = await wire.until(name)
                rest = before or [await wire.hear()]
                assert [message["id"] for message in rest] == [f"free {name}"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/S05", "2026-07-28/basic/M24")
def test_a_request_answered_in_rounds_may_go_on_over_another_connection() -> None:
    async def main() -> None:
        one, other = (make_server(secret="0123456789abcdef") for _ in range(2))
        async with client_of(one) as wire:
            first = await wire.result(TOOL, {"name": "ask"}, capabilities=CAN_ALL)
        async with client_of(other) as wire:
            retry = {
                "name": "ask",
                "inputResponses": {key: {"action": "decline"} for key in first["inputRequests"]},
                "requestState": first["requestState"],
            }
            assert (await wire.result(TOOL, retry, capabilities=CAN_ALL))["content"][0]["text"] == "decline"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M24")
def test_pages_of_one_list_may_be_fetched_over_several_connections() -> None:
    async def main() -> None:
        names: list[str] = []
        cursor: dict[str, Any] = {}
        server = make_server(page_size=3)
        while True:
            async with client_of(server) as wire:
                page = await wire.result("tools/list", cursor)
            names += [tool["name"] for tool in page["tools"]]
            if "nextCursor" not in page:
                break
            cursor = {"cursor": page["nextCursor"]}
        assert names == ["echo", "wait", "free", "raises", "crashes", "ask", "visit", "think", "roots", "who"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/schema/S01")
def test_error_messages_are_one_short_line() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            errors = [response["error"] for response in await battery(wire) if "error" in response]
        for error in errors:
            assert "\n" not in error["message"] and len(error["message"]) < 250

    asyncio.run(main())
