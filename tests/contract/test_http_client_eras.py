"""The client over HTTP meets servers of every era: what it takes for modern, when it falls back, and how far."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.errors import ConnectFailed, McpError, RpcError, UnsupportedRevision
from tests.contract.http_judged import JudgedToy
from tests.transports.http_toys import DISCOVERED, Asked, Wire, text

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
MODERN_CODES = (-32020, -32021, -32022)


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


# -- the body decides --------------------------------------------------------------------------------------------------


UNRECOGNISED: dict[str, tuple[int, str]] = {
    "an empty 400": (400, ""),
    "a 400 with words": (400, "Bad Request"),
    "a 400 with a page": (400, "<html>no</html>"),
    "a 400 with an error of the legacy era": (
        400,
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}',
    ),
    "a 400 with the error of a draft": (400, '{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"no"}}'),
    "a 400 with JSON that is no message": (400, '{"error":"invalid_request"}'),
    "a 400 with an error cut short": (400, '{"jsonrpc":"2.0","id":1,"error":{"code":-32022'),
    "a 404": (404, ""),
    "a 405": (405, ""),
}


@pytest.mark.spec("2026-07-28/streamable-http/M66", "2026-07-28/streamable-http/S11")
@pytest.mark.parametrize("revision", LEGACY[1:])
@pytest.mark.parametrize("case", UNRECOGNISED)
def test_what_is_no_modern_error_makes_the_client_fall_back_to_initialize(case: str, revision: str) -> None:
    async def main() -> None:
        status, body = UNRECOGNISED[case]

        def refuse(asked: Asked, wire: Wire) -> None:
            wire.answer(status, body, "application/json")

        toy = JudgedToy(revision, handlers={"server/discover": refuse})
        async with toy, Client(toy.url) as client:
            assert client.revision == revision
            assert toy.methods()[:2] == ["server/discover", "initialize"]
            assert (await client.call_tool("x")).text == "called"
            later = toy.sent("tools/call")[0]
            assert "mcp-method" not in later.headers and "_meta" not in later.message["params"].get("arguments", {})

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M65", "2026-07-28/streamable-http/S11", "2026-07-28/streamable-http/S17")
@pytest.mark.parametrize("status", [400, 404, 405, 200])
@pytest.mark.parametrize("code", MODERN_CODES)
def test_a_modern_error_is_never_followed_by_initialize_or_by_http_sse(code: int, status: int) -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            wire.error(asked, code, "no", status, {"supported": ["2027-01-01"], "requested": MODERN})

        async with JudgedToy(handlers={"*": refuse}) as toy:
            toy.judge = None  # with its data the error is that of -32022 alone
            with pytest.raises(UnsupportedRevision if code == -32022 else ConnectFailed):
                await Client(toy.url).connect()
            assert set(toy.methods()) == {"server/discover"}

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M65")
def test_a_modern_error_that_lists_our_revision_is_answered_by_trying_again_with_it() -> None:
    async def main() -> None:
        def refuse_once(asked: Asked, wire: Wire) -> None:
            if len(toy.sent("server/discover")) == 1:
                data = {"supported": [MODERN, "2027-01-01"], "requested": MODERN}
                wire.error(asked, -32022, "not that one", 400, data)
            else:
                wire.result(asked, {**DISCOVERED, "ttlMs": 0, "cacheScope": "private"})

        toy = JudgedToy(handlers={"server/discover": refuse_once})
        async with toy, Client(toy.url) as client:
            assert client.revision == MODERN and not toy.sent("initialize")
            first, second = toy.sent("server/discover")
            assert first.id != second.id

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M65", "2026-07-28/streamable-http/S11")
@pytest.mark.parametrize("code", MODERN_CODES)
def test_a_modern_error_to_a_call_does_not_change_the_era(code: int) -> None:
    async def main() -> None:
        data = {"supported": [MODERN], "requested": MODERN, "requiredCapabilities": {"sampling": {}}}

        def refuse(asked: Asked, wire: Wire) -> None:
            wire.error(asked, code, "no", 400, data)

        async with JudgedToy(handlers={"tools/call": refuse}) as toy, Client(toy.url) as client:
            with pytest.raises(McpError):
                await client.call_tool("x")
            await client.list_tools()
            assert not toy.sent("initialize") and client.revision == MODERN

    run(main())


@pytest.mark.parametrize("case", UNRECOGNISED)
def test_a_client_of_the_modern_era_alone_tells_its_user_that_the_server_is_of_the_other(case: str) -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            wire.answer(*UNRECOGNISED[case], "application/json")

        async with JudgedToy("2025-11-25", handlers={"server/discover": refuse}) as toy:
            with pytest.raises(ConnectFailed, match=MODERN):
                await Client(toy.url, revisions=MODERN).connect()
            assert toy.methods() == ["server/discover"]

    run(main())


# -- HTTP+SSE ----------------------------------------------------------------------------------------------------------


class OldToy(JudgedToy):
    """A server of 2024-11-05 alone: GET opens its stream, and messages go to the URL that its first event names."""

    def __init__(self, endpoint: str, refusal: tuple[int, str] = (405, ""), **options: Any) -> None:
        super().__init__("2024-11-05", session=None, path="/old/sse", **options)
        self.endpoint = endpoint
        self.refusal = refusal
        self.stream: Wire | None = None

    def usual(self, asked: Asked, wire: Wire) -> Any:
        if asked.verb == "GET":
            wire.stream()
            origin = f"http://127.0.0.1:{self.port}"
            wire.event(self.endpoint.replace("ORIGIN", origin), event="endpoint")
            self.stream = wire
            return wire.closed()
        if asked.target == self.path:
            wire.answer(*self.refusal)
            return None
        wire.answer(202)
        if self.stream is not None and "id" in asked.message and asked.method != "answer":
            self._answer_on(asked, self.stream)
        return None

    def _answer_on(self, asked: Asked, stream: Wire) -> None:
        if asked.method == "initialize":
            info = {"name": "old", "version": "1"}
            result = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": info}
        else:
            result = text("called") if asked.method == "tools/call" else {}
        message = {"jsonrpc": "2.0", "id": asked.id, "result": result}
        stream.event(message, event="message")


@pytest.mark.spec(
    "2024-11-05/transports/M08",
    "2025-06-18/transports/S18",
    "2025-11-25/transports/S23",
    "2026-07-28/streamable-http/S17",
)
@pytest.mark.parametrize("refusal", [(400, ""), (404, "nothing here"), (405, ""), (405, '{"detail":"no"}')])
@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("/old/messages?id=1", "/old/messages?id=1"),
        ("messages", "/old/messages"),
        ("ORIGIN/elsewhere?a=b", "/elsewhere?a=b"),
    ],
)
def test_an_old_server_is_found_by_its_refusal_and_gets_its_messages_where_it_wants_them(
    endpoint: str, target: str, refusal: tuple[int, str]
) -> None:
    async def main() -> None:
        async with OldToy(endpoint, refusal) as toy:
            toy.judge = None  # the first attempts were for another server
            async with Client(toy.url) as client:
                assert client.revision == "2024-11-05"
                assert (await client.call_tool("x")).text == "called"
                await client.notify("notifications/vendor")
                await toy.seen("notifications/vendor")
            assert toy.methods()[:3] == ["server/discover", "initialize", "GET"]
            get = toy.asked[2]
            assert get.target == "/old/sse" and "text/event-stream" in get.headers["accept"]
            rest = toy.asked[3:]
            assert {"initialize", "notifications/initialized", "tools/call"} <= {asked.method for asked in rest}
            assert {(asked.verb, asked.target) for asked in rest} == {("POST", target)}

    run(main())


@pytest.mark.spec("2025-06-18/transports/S18", "2025-11-25/transports/S23")
@pytest.mark.parametrize("revision", LEGACY[1:])
def test_a_legacy_client_posts_initialize_first_and_asks_an_old_server_by_get_then(revision: str) -> None:
    async def main() -> None:
        async with OldToy("/old/messages") as toy:
            toy.judge = None
            async with Client(toy.url, revisions=("2024-11-05", revision)) as client:
                assert client.revision == "2024-11-05"
            assert toy.methods()[:3] == ["initialize", "GET", "initialize"]

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/S17", "2025-11-25/transports/S23")
@pytest.mark.parametrize("status", [403, 406, 415, 429, 500, 503])
def test_other_refusals_are_no_sign_of_an_old_server(status: int) -> None:
    async def main() -> None:
        async with OldToy("/old/messages", (status, "no")) as toy:
            toy.judge = None
            with pytest.raises((ConnectFailed, McpError)):
                await Client(toy.url, timeout=2).connect()
            assert not toy.sent("GET")

    run(main())


# -- parameters that travel as headers ---------------------------------------------------------------------------------


def tool(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", **schema}}


def listing(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", "tools": list(tools), "ttlMs": 0, "cacheScope": "private"}


REGION = {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}}}


@pytest.mark.spec(
    "2026-07-28/streamable-http/M29",
    "2026-07-28/streamable-http/M30",
    "2026-07-28/streamable-http/M41",
    "2026-07-28/streamable-http/M42",
)
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
    ],
)
def test_an_annotated_parameter_travels_in_its_header(value: str, header: str) -> None:
    async def main() -> None:
        toy = JudgedToy(handlers={"tools/list": listing(tool("x", REGION))})
        async with toy, Client(toy.url) as client:
            await client.list_tools()
            await client.call_tool("x", {"region": value, "query": "q"})
            asked = toy.sent("tools/call")[0]
            assert asked.headers["mcp-param-region"] == header
            assert asked.message["params"]["arguments"] == {"region": value, "query": "q"}
            mirrored = [name for name in asked.headers if name.startswith("mcp-param-")]
            assert mirrored == ["mcp-param-region"]

    run(main())


INVALID = {
    "an empty name": {"type": "string", "x-mcp-header": ""},
    "a name with a space": {"type": "string", "x-mcp-header": "My Region"},
    "a name with a colon": {"type": "string", "x-mcp-header": "Region:Primary"},
    "a name with a control character": {"type": "string", "x-mcp-header": "Region\t1"},
    "a name beyond ASCII": {"type": "string", "x-mcp-header": "Région"},
    "a name that is no string": {"type": "string", "x-mcp-header": 5},
    "a number": {"type": "number", "x-mcp-header": "Region"},
    "an object": {"type": "object", "x-mcp-header": "Region"},
    "an array": {"type": "array", "x-mcp-header": "Region"},
    "a null": {"type": "null", "x-mcp-header": "Region"},
    "in an array": {"type": "array", "items": {"type": "string", "x-mcp-header": "Region"}},
    "in a choice": {"oneOf": [{"type": "string", "x-mcp-header": "Region"}]},
}


@pytest.mark.spec("2026-07-28/streamable-http/M39", "2026-07-28/streamable-http/M40", "2026-07-28/streamable-http/S06")
@pytest.mark.parametrize("case", INVALID)
def test_a_tool_with_an_invalid_annotation_is_left_out_and_the_others_stay(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> list[str]:
        bad = tool("bad", {"properties": {"region": INVALID[case]}})
        toy = JudgedToy(handlers={"tools/list": listing(tool("good", REGION), bad, tool("plain", {}))})
        async with toy, Client(toy.url) as client:
            return [one.name for one in await client.list_tools()]

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(main()) == ["good", "plain"]
    assert "'bad'" in caplog.text


@pytest.mark.spec("2026-07-28/streamable-http/M39")
def test_two_annotations_of_the_same_name_in_other_letters_are_invalid() -> None:
    async def main() -> None:
        fields = {name: {"type": "string", "x-mcp-header": name} for name in ("Region", "REGION")}
        toy = JudgedToy(handlers={"tools/list": listing(tool("bad", {"properties": fields}), tool("good", {}))})
        async with toy, Client(toy.url) as client:
            assert [one.name for one in await client.list_tools()] == ["good"]

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/S07")
def test_a_header_mismatch_makes_the_client_list_the_tools_and_try_once_more() -> None:
    async def main() -> None:
        def picky(asked: Asked, wire: Wire) -> None:
            if "mcp-param-region" in asked.headers:
                wire.result(asked, {"resultType": "complete", **text("called")})
            else:
                wire.error(asked, -32020, "Header mismatch: Mcp-Param-Region is missing")

        toy = JudgedToy(handlers={"tools/call": picky, "tools/list": listing(tool("x", REGION))})
        async with toy, Client(toy.url) as client:
            assert (await client.call_tool("x", {"region": "eu"})).text == "called"
            assert toy.methods()[1:] == ["tools/call", "tools/list", "tools/call"]
            with pytest.raises(RpcError, match="-32020"):
                await client.call_tool("y", {"region": None})
            assert len(toy.sent("tools/call")) <= 4, "once more, and not for ever"

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M27", "2026-07-28/streamable-http/M28")
@pytest.mark.parametrize("name", ["plain", "grüße", " x", "a\nb", "=?base64?eA==?=", "a b"])
def test_the_name_of_what_is_called_travels_in_its_header(name: str) -> None:
    async def main() -> None:
        async with JudgedToy() as toy, Client(toy.url) as client:
            await client.call_tool(name)
            sent = toy.sent("tools/call")[0].headers["mcp-name"]
            plain = name in ("plain", "a b")
            assert sent == (name if plain else f"=?base64?{base64.b64encode(name.encode()).decode()}?=")

    run(main())
