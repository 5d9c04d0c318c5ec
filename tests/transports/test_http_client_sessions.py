"""Legacy sessions over HTTP: the handshake, the session's headers, sessions that end and begin again, cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client
from mcpcore.errors import ConnectionLost, HttpError, McpError, ProtocolViolation, RpcError
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire, silence, text

# -- the handshake -----------------------------------------------------------------------------------------------------


def test_an_older_streamable_server_costs_one_request_more_and_no_get_before_it_is_known() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY) as toy, Client(toy.url) as client:
            assert client.revision == LEGACY
            await toy.seen("GET")
            assert toy.methods() == ["server/discover", "initialize", "notifications/initialized", "GET"]

    asyncio.run(main())


REFUSALS = {
    "no session": (400, '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Missing session ID"}}'),
    "not initialized": (400, '{"jsonrpc":"2.0","error":{"code":-32000,"message":"Server not initialized"},"id":null}'),
    "a bad version": (400, '{"jsonrpc":"2.0","error":{"code":-32000,"message":"Unsupported protocol version"}}'),
    "an unknown method": (200, '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}'),
    "bad parameters": (200, '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid request parameters"}}'),
    "an empty body": (400, ""),
    "a page": (404, "<html>no</html>"),
    "a method that is not allowed": (405, ""),
    "words": (406, "Not Acceptable"),
    "a media type": (415, '{"detail":"Unsupported Media Type"}'),
    "a validation": (422, '{"detail":[{"loc":["body"]}]}'),
    "a fault": (500, "Internal Server Error"),
}


@pytest.mark.spec("2026-07-28/streamable-http/M66", "2026-07-28/streamable-http/S11")
@pytest.mark.parametrize("refusal", REFUSALS)
def test_whatever_a_legacy_server_says_to_the_probe_it_is_connected_to(refusal: str) -> None:
    status, body = REFUSALS[refusal]

    async def main() -> None:
        def probe(asked: Asked, wire: Wire) -> None:
            wire.answer(status, body, "application/json" if body.startswith("{") else "text/html")

        async with HttpToy(LEGACY, handlers={"server/discover": probe}) as toy, Client(toy.url) as client:
            assert client.revision == LEGACY
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M65", "2026-07-28/streamable-http/S11")
@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_a_modern_error_is_never_answered_with_initialize(code: int) -> None:
    async def main() -> None:
        def probe(asked: Asked, wire: Wire) -> None:
            wire.error(asked, code, "no", 400, {"supported": ["2027-01-01"], "requested": MODERN})

        async with HttpToy(handlers={"server/discover": probe}) as toy:
            with pytest.raises(McpError):
                await Client(toy.url).connect()
            assert set(toy.methods()) == {"server/discover"}

    asyncio.run(main())


def test_requests_wait_until_the_handshake_is_over() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def slow(asked: Asked, wire: Wire) -> None:
            await arrived.wait()
            wire.answer(202)

        async with HttpToy(LEGACY, handlers={"notifications/initialized": slow}) as toy, Client(toy.url) as client:
            call = asyncio.ensure_future(client.call_tool("x"))
            await toy.seen("notifications/initialized")
            await asyncio.sleep(0.05)
            assert not toy.sent("tools/call")
            arrived.set()
            assert (await call).text == "called"

    asyncio.run(main())


def test_but_they_do_not_wait_for_ever() -> None:
    async def main() -> None:
        limits = Limits(probe_seconds=0.05)
        handlers = {"notifications/initialized": silence}
        toy = HttpToy(LEGACY, handlers=handlers)
        async with toy, Client(toy.url, revisions=LEGACY, limits=limits, close_timeout=0.05) as client:
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


def test_a_slow_notification_delays_no_request() -> None:
    async def main() -> None:
        toy = HttpToy(LEGACY, handlers={"vendor/slow": silence})
        async with toy, Client(toy.url, close_timeout=0.05) as client:
            await client.notify("vendor/slow")
            await toy.seen("vendor/slow")
            async with asyncio.timeout(1):
                await client.ping()

    asyncio.run(main())


@pytest.mark.spec(
    "2025-03-26/transports/M25",
    "2025-03-26/transports/S14",
    "2025-03-26/transports/Y07",
    "2025-03-26/transports/M17",
    "2025-06-18/transports/M26",
    "2025-06-18/transports/S15",
    "2025-06-18/transports/M10",
    "2025-03-26/transports/M10",
)
def test_every_request_names_the_session_and_the_revision_and_closing_ends_it() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY) as toy:
            async with Client(toy.url) as client:
                await client.call_tool("x")
                await toy.seen("GET")
            probe, handshake, *others = toy.asked
            assert "mcp-session-id" not in probe.headers and "mcp-session-id" not in handshake.headers
            assert [asked.method for asked in others if asked.method != "GET"] == [
                "notifications/initialized",
                "tools/call",
                "DELETE",
            ]
            assert toy.sent("GET")[0].headers["accept"] == "text/event-stream"
            assert all(isinstance(asked.message, dict) for asked in toy.asked if asked.verb == "POST")
            for asked in others:
                assert asked.headers["mcp-session-id"] == "s1" and asked.headers["mcp-protocol-version"] == LEGACY
                assert "mcp-method" not in asked.headers

    asyncio.run(main())


@pytest.mark.parametrize("answer", [lambda a, w: w.answer(405), lambda a, w: w.close(), silence])
def test_closing_is_over_in_time_whatever_becomes_of_the_session(answer: Any) -> None:
    async def main() -> None:
        async with HttpToy(LEGACY, handlers={"DELETE": answer}) as toy:
            client = await Client(toy.url, close_timeout=0.1).connect()
            async with asyncio.timeout(1):
                await client.close()
            await toy.seen("DELETE")

    asyncio.run(main())


def test_a_server_without_sessions_gets_no_delete() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY, session=None) as toy:
            async with Client(toy.url) as client:
                await client.call_tool("x")
            assert not toy.sent("DELETE")

    asyncio.run(main())


def test_a_session_that_nobody_wanted_any_more_is_ended() -> None:
    """The probe was answered late, and by a server of both eras."""

    async def main() -> None:
        probed = asyncio.Event()

        async def late(asked: Asked, wire: Wire) -> None:
            await probed.wait()
            HttpToy(MODERN).usual(asked, wire)

        def shake(asked: Asked, wire: Wire) -> Any:
            probed.set()

            async def answer() -> None:
                await asyncio.sleep(0.05)
                toy.usual(asked, wire)

            return answer()

        toy = HttpToy(LEGACY, handlers={"server/discover": late, "initialize": shake})
        async with toy, Client(toy.url, limits=Limits(probe_seconds=0.02)) as client:
            assert client.revision == MODERN
            assert (await toy.seen("DELETE")).headers["mcp-session-id"] == "s1"

    asyncio.run(main())


# -- sessions that are gone --------------------------------------------------------------------------------------------


def test_a_notification_that_finds_its_session_gone_is_told_to_the_new_one() -> None:
    async def main() -> None:
        def forget(asked: Asked, wire: Wire) -> None:
            if asked.headers["mcp-session-id"] == "s1":
                toy.session = "s2"
                wire.answer(404)
            else:
                wire.answer(202)

        toy = HttpToy(LEGACY, handlers={"vendor/news": forget})
        async with toy, Client(toy.url) as client:
            await client.notify("vendor/news")
            assert (await toy.seen("vendor/news", 2)).headers["mcp-session-id"] == "s2"
            assert len(toy.sent("initialize")) == 2

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/transports/M27")
def test_a_session_that_the_server_forgot_is_begun_anew_once_for_all_calls() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY) as toy, Client(toy.url) as client:
            await client.set_log_level("error")
            await client.subscribe("x://1")
            await client.subscribe("x://2")
            await client.unsubscribe("x://1")
            await toy.seen("GET")
            toy.session = "s2"
            before = len(toy.asked)
            results = await asyncio.gather(*[client.call_tool(f"t{n}") for n in range(100)])
            assert all(result.text == "called" for result in results)
            after = toy.asked[before:]
            assert len([asked for asked in after if asked.method == "initialize"]) == 1
            assert len([asked for asked in after if asked.method == "notifications/initialized"]) == 1
            assert len([asked for asked in after if asked.method == "tools/call"]) <= 200
            again = [asked for asked in after if asked.method in ("logging/setLevel", "resources/subscribe")]
            assert sorted(str(asked.message["params"]) for asked in again) == ["{'level': 'error'}", "{'uri': 'x://2'}"]
            assert await toy.seen("GET", 2)
        assert toy.asked[-1].headers["mcp-session-id"] == "s2"

    asyncio.run(main())


@pytest.mark.parametrize(
    "refusal",
    [
        (404, ""),
        (404, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'),
        (400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID"}}'),
    ],
)
def test_ways_to_say_that_a_session_is_gone(refusal: tuple[int, str]) -> None:
    async def main() -> None:
        def forget(asked: Asked, wire: Wire) -> None:
            if asked.headers["mcp-session-id"] == "s1":
                toy.session = "s2"
                wire.answer(refusal[0], refusal[1], "application/json")
            else:
                toy.usual(asked, wire)

        toy = HttpToy(LEGACY, handlers={"tools/list": forget})
        async with toy, Client(toy.url) as client:
            assert len(await client.list_tools()) == 1

    asyncio.run(main())


def test_a_second_404_is_an_error() -> None:
    async def main() -> None:
        def forget(asked: Asked, wire: Wire) -> None:
            wire.answer(404, "no such session")

        async with HttpToy(LEGACY, handlers={"tools/call": forget}) as toy, Client(toy.url) as client:
            with pytest.raises(HttpError, match="404"):
                await client.call_tool("x")
            assert len(toy.sent("initialize")) == 2 and len(toy.sent("tools/call")) == 2
            await client.ping()

    asyncio.run(main())


def test_a_late_404_of_the_old_session_does_not_end_the_new_one() -> None:
    async def main() -> None:
        late = asyncio.Event()

        async def forget(asked: Asked, wire: Wire) -> None:
            if asked.headers["mcp-session-id"] == "s1":
                if asked.message["params"]["name"] == "late":
                    await late.wait()
                toy.session = "s2"
                wire.answer(404)
            else:
                toy.usual(asked, wire)

        toy = HttpToy(LEGACY, handlers={"tools/call": forget})
        async with toy, Client(toy.url) as client:
            slow = asyncio.ensure_future(client.call_tool("late"))
            await toy.seen("tools/call")
            assert (await client.call_tool("soon")).text == "called"
            late.set()
            assert (await slow).text == "called"
            assert len(toy.sent("initialize")) == 2

    asyncio.run(main())


def test_an_unknown_method_is_not_taken_for_a_lost_session() -> None:
    async def main() -> None:
        def unknown(asked: Asked, wire: Wire) -> None:
            wire.error(asked, -32601, "Method not found", 404)

        async with HttpToy(LEGACY, handlers={"vendor/x": unknown}) as toy, Client(toy.url) as client:
            with pytest.raises(RpcError, match="-32601"):
                await client.request("vendor/x")
            assert len(toy.sent("initialize")) == 1

    asyncio.run(main())


def test_a_session_that_cannot_be_begun_again_fails_the_calls_and_the_next_one_tries_again() -> None:
    async def main() -> None:
        refused = 0

        def refuse(asked: Asked, wire: Wire) -> None:
            nonlocal refused
            if toy.session == "s2" and not refused:
                refused += 1
                wire.answer(503, "starting")
            else:
                toy.usual(asked, wire)

        toy = HttpToy(LEGACY, handlers={"initialize": refuse})
        async with toy, Client(toy.url) as client:
            toy.session = "s2"
            with pytest.raises(HttpError, match="503"):
                await client.call_tool("x")
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


def test_a_server_that_came_back_with_another_revision_is_connected_to_anew_by_the_next_call() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY) as toy, Client(toy.url) as client:
            toy.session, toy.revision = "s2", "2025-06-18"
            with pytest.raises(ConnectionLost, match="2025-06-18"):
                await client.call_tool("x")
            assert (await client.call_tool("x")).text == "called"
            assert client.revision == "2025-06-18"

    asyncio.run(main())


def test_an_answer_may_come_in_a_batch() -> None:
    async def main() -> None:
        news = {"jsonrpc": "2.0", "method": "vendor/x", "params": {"n": 1}}

        def batched(asked: Asked, wire: Wire) -> None:
            answer = {"jsonrpc": "2.0", "id": asked.id, "result": text("batched")}
            if asked.message["params"]["name"] == "json":
                wire.json([news, answer])
            else:
                wire.stream()
                wire.event([news, answer])
                wire.end()

        heard: list[int] = []
        toy = HttpToy("2025-03-26", handlers={"tools/call": batched})
        async with toy, Client(toy.url, notifications={"vendor/x": lambda params: heard.append(params["n"])}) as client:
            assert (await client.call_tool("json")).text == "batched"
            assert (await client.call_tool("stream")).text == "batched"
            assert heard == [1, 1]
        toy = HttpToy("2025-06-18", handlers={"tools/call": batched})
        async with toy, Client(toy.url) as client:
            with pytest.raises(ProtocolViolation):
                await client.call_tool("json")

    asyncio.run(main())


# -- servers that are replaced -----------------------------------------------------------------------------------------


def test_a_server_that_was_upgraded_is_found_out_by_one_call_and_served_by_the_next() -> None:
    async def main() -> None:
        def modern(asked: Asked, wire: Wire) -> None:
            if asked.headers.get("mcp-protocol-version") != MODERN:
                data = {"supported": [MODERN], "requested": LEGACY}
                wire.error(asked, -32022, "Unsupported protocol version", 400, data)
            else:
                HttpToy(MODERN).usual(asked, wire)

        async with HttpToy(LEGACY) as toy, Client(toy.url) as client:
            await client.call_tool("x")
            toy.handlers["*"] = modern
            with pytest.raises(McpError):
                await client.call_tool("x")
            assert (await client.call_tool("x")).text == "called"
            assert client.revision == MODERN

    asyncio.run(main())


DOWNGRADED = {
    "a session is missing": (400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Missing session ID"}}'),
    "a bad version": (400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Unsupported version"}}'),
    "a page": (404, "<html>"),
}


@pytest.mark.parametrize("refusal", DOWNGRADED)
def test_a_server_that_was_downgraded_is_found_out_by_one_call_and_served_by_the_next(refusal: str) -> None:
    status, body = DOWNGRADED[refusal]

    async def main() -> None:
        def legacy(asked: Asked, wire: Wire) -> None:
            if asked.headers.get("mcp-protocol-version") == MODERN:
                wire.answer(status, body, "application/json" if body[0] == "{" else "text/html")
            else:
                older.usual(asked, wire)

        older = HttpToy(LEGACY)
        async with HttpToy(MODERN) as toy, Client(toy.url) as client:
            await client.call_tool("x")
            toy.handlers["*"] = legacy
            with pytest.raises(McpError):
                await client.call_tool("x")
            lost = client._link.last.runner.closed  # type: ignore[union-attr]
            await asyncio.wait([lost], timeout=5)
            assert (await client.call_tool("x")).text == "called"
            assert client.revision == LEGACY

    asyncio.run(main())


def test_one_bad_answer_of_a_modern_server_is_no_downgrade() -> None:
    async def main() -> None:
        def bad(asked: Asked, wire: Wire) -> None:
            wire.answer(404, "deploying")

        async with HttpToy(MODERN, handlers={"prompts/list": bad}) as toy, Client(toy.url) as client:
            with pytest.raises(HttpError, match="404"):
                await client.list_prompts()
            await toy.seen("server/discover", 2)
            await client.call_tool("x")
            assert len(toy.sent("server/discover")) == 2 and not toy.sent("initialize")

    asyncio.run(main())


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/transports/S09")
def test_a_cancelled_call_is_told_by_a_message_and_then_its_connection_is_closed() -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def wait(asked: Asked, wire: Wire) -> None:
            await wire.closed()
            assert toy.sent("notifications/cancelled")
            closed.set()

        toy = HttpToy(LEGACY, handlers={"tools/call": wait})
        async with toy, Client(toy.url) as client:
            call = asyncio.ensure_future(client.call_tool("x"))
            asked = await toy.seen("tools/call")
            call.cancel()
            told = await toy.seen("notifications/cancelled")
            assert told.message["params"] == {"requestId": asked.id} and told.connection != asked.connection
            async with asyncio.timeout(1):
                await closed.wait()
            await client.ping()

    asyncio.run(main())


def test_a_call_that_was_not_sent_is_cancelled_without_a_word() -> None:
    async def main() -> None:
        limits = Limits(pool_connections=1)
        toy = HttpToy(LEGACY, handlers={"tools/call": silence})
        async with toy, Client(toy.url, limits=limits, close_timeout=0.05) as client:
            first = asyncio.ensure_future(client.call_tool("x"))
            await toy.seen("tools/call")
            call = asyncio.ensure_future(client.call_tool("y"))
            while not client._link.last.runner.channel.pool.waiting:  # type: ignore[union-attr]
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert not client._link.last.runner.channel.pool.waiting  # type: ignore[union-attr]
            first.cancel()
        assert len(toy.sent("tools/call")) == 1 and len(toy.sent("notifications/cancelled")) <= 1

    asyncio.run(main())
