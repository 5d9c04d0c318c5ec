"""2026-07-28 over HTTP, on the wire: one request a POST, JSON until something else is said, cancelled by going away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mcpcore import Context
from mcpcore.spec import codes
from mcpcore.types import Elicit
from tests.transports.http_stage import Stage, call, echo, run, text_of
from tests.transports.http_wire import META, MODERN, envelope, request, serving

PROMPTLY = 0.1
"""Seconds in which a handler has to hear that its client went away."""


# -- status codes ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M23", "2026-07-28/streamable-http/M45", "2026-07-28/streamable-http/M60")
@pytest.mark.spec("2026-07-28/streamable-http/M61", "2026-07-28/streamable-http/M62", "2026-07-28/streamable-http/M63")
def test_headers_that_disagree_with_the_body_are_a_header_mismatch() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            message = talk.message("tools/call", {"name": "wait", "arguments": {"name": "never"}}, "id")
            for fields in (
                {"mcp_method": "tools/list"},
                {"mcp_method": None},
                {"mcp_name": "echo"},
                {"mcp_name": None},
                {"mcp_name": "=?base64?####?="},
                {"mcp_protocol_version": None},
                {"mcp_protocol_version": "2025-11-25"},
            ):
                answer = await served.once(talk.bytes_of(message, **fields))
                assert (answer.status, answer.error["code"], answer.json["id"]) == (400, codes.HEADER_MISMATCH, "id")
            assert stage.begun == []
            encoded = talk.bytes_of(talk.message("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
            encoded = encoded.replace(b"mcp-name: echo", b"MCP-NAME: =?base64?ZWNobw==?=")
            assert text_of(await served.once(encoded)) == "x"

    run(main())


@pytest.mark.spec(
    "2026-07-28/streamable-http/M53",
    "2026-07-28/streamable-http/M54",
    "2026-07-28/streamable-http/M55",
    "2026-07-28/streamable-http/M59",
)
@pytest.mark.spec("2026-07-28/streamable-http/S08")
def test_parameters_that_a_tool_mirrors_have_to_be_there_and_to_agree() -> None:
    from typing import Annotated

    from mcpcore import Header

    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def query(region: Annotated[str, Header("Region")], limit: Annotated[int, Header("Limit")] = 5) -> str:
            return f"{region} {limit}"

        async with serving(stage.server) as served, served.talk() as talk:
            cases: list[tuple[dict[str, Any], dict[str, str], int]] = [
                ({"region": "eu"}, {"mcp_param_region": "eu"}, 200),
                ({"region": "é"}, {"mcp_param_region": "=?base64?w6k=?="}, 200),
                ({"region": "eu", "limit": 42}, {"mcp_param_region": "eu", "mcp_param_limit": "42.0"}, 200),
                ({"region": "eu", "limit": 42}, {"mcp_param_region": "eu", "mcp_param_limit": "43"}, 400),
                ({"region": "eu", "limit": 42}, {"mcp_param_region": "eu"}, 400),
                ({"region": "eu"}, {}, 400),
                ({"region": "eu"}, {"mcp_param_region": "us"}, 400),
                ({"region": "eu"}, {"mcp_param_region": "=?base64?!?="}, 400),
                ({"region": "eu"}, {"mcp_param_region": "eu", "mcp_param_other": "x"}, 200),
            ]
            for arguments, fields, status in cases:
                message = talk.message("tools/call", {"name": "query", "arguments": arguments})
                answer = await served.once(talk.bytes_of(message, **fields))
                assert answer.status == status, (arguments, fields, answer)
                if status == 400:
                    assert answer.error["code"] == codes.HEADER_MISMATCH

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M24", "2026-07-28/streamable-http/M25", "2026-07-28/basic/M38")
def test_every_refusal_has_its_status_and_its_code() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk() as talk:
            other = {"_meta": envelope(protocolVersion="2099-01-01")}
            answer = await (
                await talk.post(talk.message("tools/list", other), mcp_protocol_version="2099-01-01")
            ).answer()
            assert (answer.status, answer.error["code"]) == (400, codes.UNSUPPORTED_PROTOCOL_VERSION)
            assert MODERN in answer.error["data"]["supported"]
            answer = await (await talk.call("no/such/method", id=7)).answer()
            assert (answer.status, answer.error["code"], answer.json["id"]) == (404, codes.METHOD_NOT_FOUND, 7)
            talk.judge = None  # what follows breaks the schema
            metas: list[dict[str, object]] = [{}, {f"{META}protocolVersion": MODERN}, {f"{META}clientCapabilities": {}}]
            for meta in metas:
                message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
                answer = await (await talk.post(message)).answer()
                assert (answer.status, answer.error["code"]) == (400, codes.INVALID_PARAMS)
            unusable = b'{"jsonrpc":"2.0","id":{},"method":"x"}'
            for body in (
                unusable,
                b"{",
                b"[]",
                b"5",
                b'{"jsonrpc":"1.0","id":1,"method":"x"}',
                b'{"jsonrpc":"2.0","id":1}',
            ):
                answer = await served.once(request(body=body, mcp_protocol_version=MODERN, mcp_method="x"))
                assert answer.status == 400
                assert answer.error["code"] in (codes.PARSE_ERROR, codes.INVALID_REQUEST)
                assert "id" not in answer.json or answer.json["id"] == 1

    run(main())


@pytest.mark.spec("2026-07-28/basic/M41")
def test_a_capability_that_the_client_lacks_is_a_bad_request() -> None:
    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def ask(ctx: Context) -> str:
            return str((await ctx.elicit("Name?", {"type": "object", "properties": {}})).action)

        async with serving(stage.server) as served, served.talk() as talk:
            answer = await (await talk.call("tools/call", {"name": "ask", "arguments": {}})).answer()
            assert (answer.status, answer.error["code"]) == (400, codes.MISSING_CLIENT_CAPABILITY)
            assert answer.error["data"]["requiredCapabilities"] == {"elicitation": {}}

    run(main())


def test_questions_travel_in_results_and_answers_in_the_next_request() -> None:
    async def main() -> None:
        stage = Stage()
        form = {"type": "object", "properties": {"name": {"type": "string"}}}

        @stage.server.tool
        async def greet(ctx: Context) -> str:
            answer = (await ctx.ask_all({"name": Elicit("Name?", form)}))["name"]
            return f"Hello {answer.content['name']}"

        async with serving(stage.server) as served, served.talk() as talk:
            meta = envelope({"elicitation": {"form": {}}})
            params = {"name": "greet", "arguments": {}, "_meta": meta}
            first = await talk.result("tools/call", params)
            assert first["resultType"] == "input_required"
            assert first["inputRequests"]["name"]["method"] == "elicitation/create"
            answered = {"name": {"action": "accept", "content": {"name": "Ada"}}}
            more = {**params, "inputResponses": answered, "requestState": first["requestState"]}
            assert (await talk.result("tools/call", more))["content"][0]["text"] == "Hello Ada"
            forged = {**more, "requestState": first["requestState"][:-2] + "AA"}
            answer = await (await talk.call("tools/call", forged)).answer()
            assert (answer.status, answer.error["code"]) == (400, codes.INVALID_PARAMS)

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M10", "2026-07-28/streamable-http/M11")
def test_notifications_are_accepted_and_responses_refused() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk() as talk:
            for method in ("notifications/cancelled", "vendor/event"):
                await talk.tell(method, {"requestId": 1})
            talk.judge = None
            for body in (b'"result":{}', b'"error":{"code":1,"message":"x"}'):
                data = b'{"jsonrpc":"2.0","id":1,%b}' % body
                answer = await served.once(request(body=data, mcp_protocol_version=MODERN))
                assert (answer.status, answer.error["code"]) == (400, codes.INVALID_REQUEST)
            batch = await (await talk.post([{"jsonrpc": "2.0", "id": 1, "method": "ping"}])).answer()
            assert (batch.status, batch.error["code"]) == (400, codes.INVALID_REQUEST)

    run(main())


# -- JSON, and events --------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M12")
def test_a_request_is_answered_by_json_where_nothing_else_is_said() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            assert (await talk.result("tools/call", {"name": "echo", "arguments": {"text": "x"}}))["content"]
            post = await talk.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            await stage.until(stage.begun, "a")
            stage.open("a")
            assert text_of(await post.answer()) == "a"

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M12", "2026-07-28/streamable-http/S03", "2026-07-28/streamable-http/S04")
def test_the_first_notification_makes_it_a_stream_which_the_answer_ends() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            params = {"name": "speak_and_wait", "arguments": {"name": "a"}}
            post = await talk.call("tools/call", params, logLevel="info")
            head = await post.stream()
            assert head.fields["x-accel-buffering"] == "no"
            assert head.fields["cache-control"] == "no-cache, no-transform"
            assert "mcp-session-id" not in head.fields
            assert (await post.message())["params"]["data"] == "a begins"
            stage.open("a")
            last, result = await post.rest()
            assert (last["params"]["data"], result["result"]["content"][0]["text"]) == ("a ends", "a")
            assert post.last_id is None

    run(main())


def test_what_takes_long_becomes_a_stream_with_comments() -> None:
    async def main() -> None:
        stage = Stage(json_seconds=0.05, comment_seconds=0.05)
        async with serving(stage.server) as served, served.talk() as talk:
            post = await talk.call("tools/call", {"name": "wait", "arguments": {"name": "long"}})
            await post.stream()
            (connection,) = served.http.connections
            async with asyncio.timeout(5):
                while b":\n\n" not in post.raw.reader._buffer:  # type: ignore[attr-defined]
                    await asyncio.sleep(0.01)
            assert connection._busy
            stage.open("long")
            (answer,) = await post.rest()
            assert answer["result"]["content"][0]["text"] == "long"
            assert post.raw.comments >= 1

    run(main())


def test_a_client_that_takes_json_alone_waits_for_it() -> None:
    async def main() -> None:
        stage = Stage(json_seconds=0.03)
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(call(served, "wait", {"name": "long"}, accept="application/json"))
            await stage.until(stage.begun, "long")
            await asyncio.sleep(0.1)
            stage.open("long")
            assert text_of(await raw.answer()) == "long"

    run(main())


def test_an_error_after_the_stream_has_begun_travels_in_it() -> None:
    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def ask_late(ctx: Context) -> str:
            await ctx.info("first")
            return str(await ctx.elicit("Name?", {"type": "object", "properties": {}}))

        async with serving(stage.server, errors=True) as served, served.talk() as talk:
            for name, code in (("fail", None), ("ask_late", codes.MISSING_CLIENT_CAPABILITY)):
                arguments = {"text": "it broke"} if name == "fail" else {}
                post = await talk.call("tools/call", {"name": name, "arguments": arguments}, logLevel="info")
                *_, answer = await post.rest()
                if code is None:
                    assert answer["result"]["isError"] is True
                else:
                    assert answer["error"]["code"] == code

    run(main())


def test_logs_and_progress_come_only_where_they_were_asked_for() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk() as talk:
            params = {"name": "count", "arguments": {"n": 3}}
            assert (await (await talk.call("tools/call", params)).answer()).fields["content-type"] == "application/json"
            messages = await (await talk.call("tools/call", params, logLevel="info")).rest()
            assert [message["params"]["data"] for message in messages[:-1]] == [0, 1, 2]

    run(main())


def test_every_request_has_its_own_headers() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            for value in ("one", "two"):
                raw.send(call(served, "tell_header", {"name": "x-tenant"}, x_tenant=value))
                assert text_of(await raw.answer()) == value
            raw.send(call(served, "tell_header", {"name": "x-tenant"}))
            assert text_of(await raw.answer()) == ""

    run(main())


# -- going away --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M19", "2026-07-28/streamable-http/M20", "2026-07-28/streamable-http/S05")
@pytest.mark.parametrize("way", ["close", "reset", "half"])
@pytest.mark.parametrize("tool", ["wait", "speak_and_wait"])
def test_a_client_that_goes_away_cancels_its_request_at_once(tool: str, way: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            took = []
            for name in ("a", "b", "c"):  # one of them on a moment when the machine has nothing better to do
                params = {"name": tool, "arguments": {"name": name}}
                post = await talk.call("tools/call", params, logLevel="info")
                await stage.until(stage.begun, name)
                if tool == "speak_and_wait":
                    await post.message()
                begun = time.monotonic()
                if way == "close":
                    await post.raw.close()
                elif way == "reset":
                    post.raw.reset()
                else:
                    post.raw.half_close()
                await stage.until(stage.cancelled, name)
                took.append(time.monotonic() - begun)
                if way == "half":  # it can still hear: nothing is said
                    assert await post.raw.closed() == b""
                assert served.endpoint.open == {}
            assert min(took) < PROMPTLY
            assert stage.ended == []

    run(main())


def test_a_client_that_goes_away_behind_pipelined_requests_cancels_the_one_that_is_served() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served:
            raw = await served.open()
            raw.send(call(served, "wait", {"name": "a"}, 1) + call(served, "wait", {"name": "b"}, 2))
            await stage.until(stage.begun, "a")
            raw.reset()
            await stage.until(stage.cancelled, "a")
            assert stage.begun == ["a"]

    run(main())


def test_a_sync_handler_is_told_that_its_client_went_away() -> None:
    import threading

    from mcpcore import SyncContext

    async def main() -> None:
        stage = Stage()
        begun, told = threading.Event(), threading.Event()

        @stage.server.tool
        def work(ctx: SyncContext) -> str:
            begun.set()
            if ctx.cancelled.wait(10):
                told.set()
            return "done"

        async with serving(stage.server) as served:
            raw = await served.open()
            raw.send(call(served, "work", {}))
            assert await asyncio.to_thread(begun.wait, 5)
            raw.reset()
            assert await asyncio.to_thread(told.wait, 5)

    run(main())


def test_the_same_id_on_many_connections_never_meets() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served:
            raws = [await served.open() for _ in range(20)]
            for number, raw in enumerate(raws):
                raw.send(call(served, "wait", {"name": str(number)}, 1))
            await stage.until(stage.begun, *map(str, range(20)))
            for number in reversed(range(20)):
                stage.open(str(number))
            for number, raw in enumerate(raws):
                assert text_of(await raw.answer()) == str(number)
                await raw.close()

    run(main())


def test_a_modern_client_leaves_no_trace_behind() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served:
            async with served.connect() as raw:
                for number in range(3):
                    raw.send(echo(served, "x", number))
                    await raw.answer()
                assert len(stage.server._runners) == 1
            async with asyncio.timeout(5):
                while stage.server._runners:
                    await asyncio.sleep(0)
            assert len(served.endpoint.sessions) == 0

    run(main())
