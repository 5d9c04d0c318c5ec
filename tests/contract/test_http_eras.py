"""Both eras on one URL: which requests belong to which, what a server of one era says to a client of the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpcore import Client, Context, Server
from mcpcore.errors import UnsupportedRevision
from tests.transports.http_stage import run
from tests.transports.http_wire import BOTH, LEGACY, META, MODERN, Talk, envelope, request, serving

MODERN_CODES = {-32020, -32021, -32022}
SINCE_VERSIONS = LEGACY[2:]
"""The legacy revisions that know the MCP-Protocol-Version header."""


def toy(*revisions: str) -> Server:
    server = Server("toy", revisions=revisions or None)

    @server.tool
    async def add(a: int, b: int) -> str:
        return str(a + b)

    @server.tool
    async def ask(ctx: Context) -> str:
        return str(await ctx.sample("hello", max_tokens=9))

    return server


def initialize(version: str = "2025-11-25", id: Any = 1) -> dict[str, Any]:
    info = {"name": "wire", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": info}
    return {"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}


def modern(method: str = "tools/list", params: dict[str, Any] | None = None, **meta: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": envelope(**meta), **(params or {})}}


def post(message: Any, **fields: str | None) -> bytes:
    return request("POST", "/mcp", json.dumps(message).encode(), **fields)


def framed(message: Any, **fields: str | None) -> bytes:
    """A modern POST with the fields that belong to it."""
    return Talk(None, MODERN, {}).bytes_of(message, **fields)  # type: ignore[arg-type]


# -- a server of the legacy era alone ----------------------------------------------------------------------------------


MODERN_POSTS = {
    "server/discover": framed(modern("server/discover")),
    "a request": framed(modern("tools/list")),
    "a call": framed(modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})),
    "a request whose headers and body disagree": framed(modern("tools/list"), mcp_method="tools/call"),
    "a request without headers": post(modern("tools/list")),
    "a request with a header twice": framed(modern()).replace(b"mcp-method", b"mcp-method: x\r\nmcp-method", 1),
    "a request that lacks its envelope": post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    "a request of a revision to come": framed(modern(protocolVersion="2099-01-01"), mcp_protocol_version="2099-01-01"),
}


@pytest.mark.spec("2025-06-18/transports/M27")
@pytest.mark.parametrize("sessions", [True, False])
@pytest.mark.parametrize("case", MODERN_POSTS)
def test_a_legacy_server_refuses_modern_requests_with_no_error_that_would_look_modern(
    case: str, sessions: bool
) -> None:
    async def main() -> None:
        async with serving(toy(*LEGACY), sessions=sessions) as served:
            answer = await served.once(MODERN_POSTS[case])
            if answer.status == 200:  # without sessions, what names no revision is a request of 2025-03-26
                assert not sessions and "mcp-protocol-version" not in MODERN_POSTS[case].decode()
            else:
                assert answer.status == 400
                assert answer.error["code"] not in MODERN_CODES

    run(main())


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("sessions", [True, False])
def test_a_client_of_both_eras_falls_back_to_a_legacy_server(revision: str, sessions: bool) -> None:
    async def main() -> None:
        async with (
            serving(toy(revision), sessions=sessions) as served,
            Client(f"http://127.0.0.1:{served.http.port}/mcp") as client,
        ):
            assert client.revision == revision
            if sessions or revision == "2025-03-26" or revision in SINCE_VERSIONS:
                assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"

    run(main())


@pytest.mark.spec("2025-06-18/transports/M27", "2025-11-25/transports/M30")
@pytest.mark.parametrize("revision", SINCE_VERSIONS)
@pytest.mark.parametrize("version", ["2099-01-01", "1", "2025-11-25, 2025-06-18", "DRAFT"])
def test_an_unknown_version_in_the_header_of_a_session_is_a_bad_request(version: str, revision: str) -> None:
    async def main() -> None:
        async with serving(toy(*LEGACY)) as served, served.talk(revision) as talk:
            talk.judge = None  # nobody knows which revision such a client wants to read
            answer = await (await talk.post(talk.message("tools/list"), mcp_protocol_version=version)).answer()
            assert answer.status == 400 and "2025-11-25" in answer.error["message"]
            got = await (await talk.get(mcp_protocol_version=version)).answer()
            assert got.status == 400
            assert (await talk.delete(mcp_protocol_version=version)).status == 400
            assert "tools" in await talk.result("tools/list"), "the session goes on"

    run(main())


@pytest.mark.spec("2025-06-18/transports/S16", "2025-11-25/transports/S21")
def test_without_a_version_header_and_without_a_session_2025_03_26_is_assumed() -> None:
    """It alone has batches."""

    async def main() -> None:
        async with serving(toy(*LEGACY), sessions=False) as served:
            batch = [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in (1, 2)]
            answer = await served.once(post(batch))
            assert answer.status == 200 and [one["id"] for one in answer.json] == [1, 2]
            refused = await served.once(post(batch, mcp_protocol_version="2025-06-18"))
            assert refused.status == 400

    run(main())


@pytest.mark.spec("2025-06-18/transports/S16", "2025-11-25/transports/S21")
@pytest.mark.parametrize("revision", SINCE_VERSIONS)
def test_without_a_version_header_a_session_keeps_the_revision_that_was_negotiated(revision: str) -> None:
    async def main() -> None:
        async with serving(toy(*LEGACY)) as served, served.talk(revision) as talk:
            answer = await (await talk.post(talk.message("tools/list"), mcp_protocol_version=None)).answer()
            assert answer.status == 200
            batch = await (await talk.post([talk.message("ping")], mcp_protocol_version=None)).answer()
            assert batch.status == 400
            talk.judge = None

    run(main())


# -- a server of the modern era alone ----------------------------------------------------------------------------------


INITIALIZES = {
    "without headers": post(initialize()),
    "of an old client, with a session": post(initialize(), mcp_session_id="s1"),
    "with the header of its revision": post(initialize(), mcp_protocol_version="2025-11-25"),
    "with modern headers": framed(initialize()),
    "with modern headers and an envelope": framed(modern("initialize", initialize()["params"])),
    "with an envelope alone": post(modern("initialize", initialize()["params"])),
    "with params that are none": post({**initialize(), "params": None}),
}


@pytest.mark.spec("2026-07-28/versioning/S04")
@pytest.mark.parametrize("case", INITIALIZES)
def test_every_error_of_a_modern_server_to_initialize_names_what_it_speaks(case: str) -> None:
    async def main() -> None:
        async with serving(toy(MODERN)) as served:
            answer = await served.once(INITIALIZES[case])
            assert answer.status in (400, 404)
            assert MODERN in answer.error["message"]
            assert "params that are none" in case or answer.error["data"]["supported"] == [MODERN]
            assert "mcp-session-id" not in answer.fields

    run(main())


def test_a_legacy_client_tells_its_user_what_the_modern_server_speaks() -> None:
    async def main() -> None:
        async with serving(toy(MODERN)) as served:
            client = Client(f"http://127.0.0.1:{served.http.port}/mcp", revisions="2025-11-25")
            with pytest.raises(UnsupportedRevision, match=MODERN):
                await client.connect()

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/S12")
def test_a_modern_server_has_no_get_and_no_delete() -> None:
    async def main() -> None:
        async with serving(toy(MODERN)) as served:
            for method in ("GET", "DELETE"):
                for session in (None, "s1"):
                    data = request(method, accept="text/event-stream", mcp_session_id=session, last_event_id=session)
                    answer = await served.once(data)
                    assert answer.status == 405 and answer.fields["allow"] == "POST, OPTIONS"

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/S13", "2026-07-28/streamable-http/S14")
@pytest.mark.parametrize("revisions", [(MODERN,), (*LEGACY, MODERN)])
def test_session_and_position_headers_mean_nothing_to_a_modern_request(revisions: tuple[str, ...]) -> None:
    async def main() -> None:
        async with serving(toy(*revisions)) as served, served.talk() as talk:
            message = talk.message("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
            sent = await talk.post(message, mcp_session_id="no-such-session", last_event_id="0-0-0")
            answer = await sent.answer()
            assert answer.json["result"]["content"][0]["text"] == "3"
            assert "mcp-session-id" not in answer.fields

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M26")
@pytest.mark.parametrize("revisions", [(MODERN,), (*LEGACY, MODERN)])
def test_a_modern_request_without_its_version_header_is_refused(revisions: tuple[str, ...]) -> None:
    async def main() -> None:
        async with serving(toy(*revisions)) as served:
            answer = await served.once(framed(modern(), mcp_protocol_version=None))
            assert (answer.status, answer.error["code"], answer.json["id"]) == (400, -32020, 1)
        async with serving(toy(MODERN)) as served:
            bare = await served.once(post({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}))
            assert (bare.status, bare.error["code"]) == (400, -32020)

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/Y04")
def test_only_a_server_of_older_clients_takes_a_missing_header_for_2025_03_26() -> None:
    async def main() -> None:
        bare = post({"jsonrpc": "2.0", "id": 7, "method": "tools/list"})
        async with serving(toy("2025-03-26", MODERN), sessions=False) as served:
            assert "tools" in (await served.once(bare)).json["result"]
        for revisions, code in ((("2025-06-18", MODERN), -32020), (("2025-06-18",), -32600)):
            async with serving(toy(*revisions), sessions=False) as served:
                refused = await served.once(bare)
                assert (refused.status, refused.error["code"], refused.json["id"]) == (400, code, 7)

    run(main())


# -- statuses of modern errors -----------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M24", "2026-07-28/versioning/M01")
@pytest.mark.parametrize("revisions", [(MODERN,), (*LEGACY, MODERN)])
@pytest.mark.parametrize("version", ["2099-01-01", "1900-01-01", ""])
def test_a_version_that_is_not_implemented_gets_400_and_the_list(version: str, revisions: tuple[str, ...]) -> None:
    async def main() -> None:
        async with serving(toy(*revisions)) as served:
            message = modern(protocolVersion=version)
            answer = await served.once(framed(message, mcp_protocol_version=version))
            assert (answer.status, answer.error["code"], answer.json["id"]) == (400, -32022, 1)
            data = answer.error["data"]
            assert (set(data["supported"]), data["requested"]) == (set(revisions), version)

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M24")
def test_a_legacy_version_in_an_envelope_is_not_implemented_as_a_modern_one() -> None:
    async def main() -> None:
        async with serving(toy()) as served:
            message = modern(protocolVersion="2025-11-25")
            answer = await served.once(framed(message, mcp_protocol_version="2025-11-25"))
            assert (answer.status, answer.error["code"]) == (400, -32022)
            assert MODERN in answer.error["data"]["supported"]

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M25")
@pytest.mark.parametrize(
    "method", ["vendor/none", "ping", "logging/setLevel", "resources/subscribe", "tasks/list", "Tools/list"]
)
def test_a_method_that_is_not_implemented_gets_404_and_an_error_with_its_id(method: str) -> None:
    async def main() -> None:
        async with serving(toy()) as served, served.talk() as talk:
            answer = await (await talk.call(method)).answer()
            assert (answer.status, answer.error["code"]) == (404, -32601)
            talk.judge = None

    run(main())


@pytest.mark.spec("2026-07-28/basic/M38")
@pytest.mark.parametrize("without", ["protocolVersion", "clientCapabilities"])
def test_a_request_with_its_headers_but_half_an_envelope_gets_400(without: str) -> None:
    async def main() -> None:
        async with serving(toy()) as served:
            message = modern()
            del message["params"]["_meta"][f"{META}{without}"]
            answer = await served.once(framed(message))
            assert (answer.status, answer.error["code"], answer.json["id"]) == (400, -32602, 1)
            del message["params"]["_meta"]
            assert (await served.once(framed(message))).status == 400

    run(main())


@pytest.mark.spec("2026-07-28/basic/M41")
@pytest.mark.parametrize("answers", ["auto", "json", "sse"])
def test_a_question_to_a_client_that_did_not_declare_the_capability_gets_400(answers: str) -> None:
    async def main() -> None:
        async with serving(toy(), answers=answers) as served, served.talk() as talk:
            answer = await (await talk.call("tools/call", {"name": "ask", "arguments": {}})).answer()
            assert (answer.status, answer.error["code"]) == (400, -32021)
            assert "sampling" in answer.error["data"]["requiredCapabilities"]

    run(main())


MISMATCHES: dict[str, dict[str, str | None]] = {
    "no version": {"mcp_protocol_version": None},
    "another version": {"mcp_protocol_version": "2025-11-25"},
    "no method": {"mcp_method": None},
    "another method": {"mcp_method": "tools/list"},
    "a method in other letters": {"mcp_method": "Tools/Call"},
    "no name": {"mcp_name": None},
    "another name": {"mcp_name": "subtract"},
    "a name in other letters": {"mcp_name": "ADD"},
    "a name that is no base64": {"mcp_name": "=?base64?%%%?="},
    "another name in base64": {"mcp_name": "=?base64?c3VidHJhY3Q=?="},
}


@pytest.mark.spec(
    "2026-07-28/streamable-http/M23",
    "2026-07-28/streamable-http/M61",
    "2026-07-28/streamable-http/M62",
    "2026-07-28/streamable-http/M63",
)
@pytest.mark.parametrize("revisions", [(MODERN,), (*LEGACY, MODERN)])
@pytest.mark.parametrize("case", MISMATCHES)
def test_headers_that_do_not_say_what_the_body_says_get_400_and_their_own_error(
    case: str, revisions: tuple[str, ...]
) -> None:
    async def main() -> None:
        ran: list[int] = []
        server = Server("toy", revisions=revisions)

        @server.tool
        async def add(a: int) -> str:
            ran.append(a)
            return "ran"

        async with serving(server) as served:
            message = modern("tools/call", {"name": "add", "arguments": {"a": 1}})
            answer = await served.once(framed(message, **MISMATCHES[case]))
            assert (answer.status, answer.error["code"], answer.json["id"]) == (400, -32020, 1)
            assert ran == []
            right = await served.once(framed(message, MCP_NAME="=?base64?YWRk?=", mcp_name=None))
            assert right.status == 200 and ran == [1], "a name may be written so, and a header in any letters"

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M55", "2026-07-28/streamable-http/M62")
@pytest.mark.parametrize("value", [None, "eu", "US", "=?base64?ZXU=?=", "=?base64?dX?=", "=?base64?dQ?="])
def test_a_mirrored_parameter_that_says_something_else_gets_400(value: str | None) -> None:
    async def main() -> None:
        schema = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
        server = Server("toy")

        @server.tool(input_schema=schema)
        async def place(region: str | None = None) -> str:
            return str(region)

        async with serving(server) as served:
            message = modern("tools/call", {"name": "place", "arguments": {"region": "us"}})
            answer = await served.once(framed(message, mcp_param_region=value))
            assert (answer.status, answer.error["code"], answer.json["id"]) == (400, -32020, 1)
            for right in ("us", "=?base64?dXM=?="):
                assert (await served.once(framed(message, mcp_param_region=right))).status == 200

    run(main())


def test_both_eras_are_served_side_by_side_on_one_connection() -> None:
    async def main() -> None:
        async with serving(toy()) as served, served.connect() as raw:
            raw.send(post(initialize("2025-06-18")))
            opened = await raw.answer()
            session = opened.fields["mcp-session-id"]
            raw.send(framed(modern("server/discover")))
            discovered = (await raw.answer()).json["result"]
            assert discovered["supportedVersions"] == [MODERN, *reversed(LEGACY)]
            raw.send(post({"jsonrpc": "2.0", "id": 2, "method": "ping"}, mcp_session_id=session, accept=BOTH))
            assert (await raw.answer()).json == {"jsonrpc": "2.0", "id": 2, "result": {}}

    run(main())
