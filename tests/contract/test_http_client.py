"""The client over HTTP, held to the pages of every revision: what it posts, which answers it takes, its sessions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client, Resync
from mcpcore.errors import ConnectionLost, RpcError
from tests.contract.http_judged import JudgedToy, posts
from tests.transports.http_toys import Asked, Wire, text

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
SESSIONS = LEGACY[1:]
MODERN = "2026-07-28"
revisions = pytest.mark.parametrize("revision", (*SESSIONS, MODERN))
sessions = pytest.mark.parametrize("revision", SESSIONS)
META = "io.modelcontextprotocol/"
SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"}
QUESTION = {"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}], "maxTokens": 9}


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


async def sampled(question: Any) -> Any:
    return SAMPLED


# -- what is posted ----------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M07",
    "2025-03-26/transports/M08",
    "2025-03-26/transports/M09",
    "2025-03-26/transports/M10",
    "2025-06-18/transports/M10",
    "2025-11-25/transports/M11",
    "2026-07-28/streamable-http/M08",
)
@revisions
def test_each_message_is_a_post_of_its_own_that_takes_json_and_event_streams(revision: str) -> None:
    async def main() -> None:
        async with JudgedToy(revision, handlers={"prompts/list": {"prompts": []}}) as toy:
            async with Client(toy.url, revisions=revision) as client:
                await asyncio.gather(*[client.call_tool(f"t{n}") for n in range(20)], client.list_tools())
                await client.notify("notifications/vendor")
                await toy.seen("notifications/vendor")
            assert {asked.verb for asked in toy.asked} <= {"POST", "GET", "DELETE"}
            assert all(not asked.body for asked in toy.asked if asked.verb != "POST")
            sent = posts(toy)
            assert len([asked for asked in sent if asked.method == "tools/call"]) == 20
            for asked in sent:
                assert isinstance(asked.message, dict), "one message, no array"
                kinds = {part.strip() for part in asked.headers["accept"].split(",")}
                assert kinds == {"application/json", "text/event-stream"}
                assert asked.headers["content-type"] == "application/json" and asked.target == "/mcp"

    run(main())


@pytest.mark.spec("2025-03-26/transports/M10", "2025-03-26/transports/M11", "2025-03-26/transports/M12")
def test_an_array_of_a_client_of_2025_03_26_if_there_is_one_has_answers_and_nothing_else() -> None:
    async def main() -> None:
        def answers() -> list[Any]:
            bodies = [asked.message for asked in posts(toy)]
            return [one for body in bodies for one in (body if isinstance(body, list) else [body]) if "result" in one]

        async def ask(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event([{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in (1, 2)])
            async with asyncio.timeout(10):
                while len(answers()) < 2:
                    toy._news.clear()
                    await toy._news.wait()
            wire.reply(asked, text("done"))
            wire.end()

        toy = JudgedToy("2025-03-26", handlers={"tools/call": ask})
        async with toy:
            async with Client(toy.url, revisions="2025-03-26") as client:
                call = client.call_tool("x")
                results = await asyncio.gather(call, client.list_tools(), client.ping(), client.notify("vendor/x"))
                assert results[0].text == "done"
            assert answers() == [{"jsonrpc": "2.0", "id": n, "result": {}} for n in (1, 2)]
            arrays = [asked.message for asked in posts(toy) if isinstance(asked.message, list)]
            assert all("method" not in one for array in arrays for one in array)

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M07", "2026-07-28/streamable-http/M21", "2026-07-28/streamable-http/M22")
def test_every_modern_post_says_in_its_headers_what_its_body_says() -> None:
    async def main() -> None:
        handlers: dict[str, Any] = {"prompts/get": {"resultType": "complete", "messages": []}}
        async with JudgedToy(handlers=handlers) as toy:
            async with Client(toy.url) as client:
                await client.list_tools()
                await client.call_tool("x")
                await client.get_prompt("p")
                await client.notify("notifications/vendor")
                await toy.seen("notifications/vendor")
            assert len(toy.asked) == 5 and toy.asked == posts(toy)
            for asked in toy.asked:
                assert asked.headers["mcp-protocol-version"] == MODERN
                assert asked.headers["mcp-method"] == asked.method
                if "id" in asked.message:
                    assert asked.message["params"]["_meta"][f"{META}protocolVersion"] == MODERN
                name = asked.message.get("params", {}).get("name")
                assert asked.headers.get("mcp-name") == name

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M09", "2026-07-28/streamable-http/M14")
def test_a_modern_client_posts_no_answers_and_no_cancellations() -> None:
    async def main() -> None:
        async def ask(asked: Asked, wire: Wire) -> None:
            toy.judge = None  # from here on the server is not one of 2026-07-28
            wire.stream()
            wire.event({"jsonrpc": "2.0", "id": 7, "method": "ping"})
            if asked.message["params"]["name"] == "slow":
                await wire.closed()
                closed.set()
                return
            wire.reply(asked, text("done"))
            wire.end()

        closed = asyncio.Event()
        toy = JudgedToy(handlers={"tools/call": ask})
        async with toy, Client(toy.url, sampling=sampled) as client:
            assert (await client.call_tool("x")).text == "done"
            slow = asyncio.ensure_future(client.call_tool("slow"))
            await toy.seen("tools/call", 2)
            slow.cancel()
            async with asyncio.timeout(5):
                await closed.wait()
            await client.list_tools()
            assert set(toy.methods()) == {"server/discover", "tools/call", "tools/list"}

    run(main())


@pytest.mark.spec("2025-03-26/transports/S09", "2025-06-18/transports/S09", "2025-11-25/transports/S12")
@sessions
def test_a_legacy_client_cancels_by_saying_so(revision: str) -> None:
    async def main() -> None:
        async def wait(asked: Asked, wire: Wire) -> None:
            await wire.closed()

        toy = JudgedToy(revision, handlers={"tools/call": wait})
        async with toy, Client(toy.url, revisions=revision) as client:
            call = asyncio.ensure_future(client.call_tool("x"))
            asked = await toy.seen("tools/call")
            call.cancel()
            told = await toy.seen("notifications/cancelled")
            assert told.message["params"]["requestId"] == asked.id
            await client.ping()

    run(main())


# -- which answers are taken -------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/transports/M16", "2025-06-18/transports/M14", "2026-07-28/streamable-http/M13")
@revisions
def test_json_and_event_streams_are_both_answers(revision: str) -> None:
    async def main() -> None:
        def either(asked: Asked, wire: Wire) -> None:
            if asked.id % 2:
                toy.usual(asked, wire)
                return
            wire.stream()
            wire.chunk(": a comment\n\n")
            wire.reply(asked, text("called"))
            wire.end()

        toy = JudgedToy(revision, handlers={"tools/call": either})
        async with toy, Client(toy.url, revisions=revision) as client:
            results = await asyncio.gather(*[client.call_tool("x") for _ in range(10)])
            assert [result.text for result in results] == ["called"] * 10

    run(main())


@pytest.mark.spec("2025-03-26/transports/Y03", "2025-03-26/transports/Y05")
def test_what_a_server_of_2025_03_26_says_may_come_in_arrays() -> None:
    async def main() -> None:
        heard: list[int] = []

        def batch(asked: Asked, wire: Wire) -> None:
            notes = [{"jsonrpc": "2.0", "method": "vendor/n", "params": {"n": n}} for n in (1, 2)]
            answer = {"jsonrpc": "2.0", "id": asked.id, "result": text("batched")}
            toy.judge = None  # a vendor's own notifications are none that it knows
            wire.stream()
            wire.event(notes)
            wire.event([answer])
            wire.end()

        toy = JudgedToy("2025-03-26", handlers={"tools/call": batch})
        hear = {"vendor/n": lambda params: heard.append(params["n"])}
        async with toy, Client(toy.url, revisions="2025-03-26", notifications=hear) as client:
            assert (await client.call_tool("x")).text == "batched"
            assert heard == [1, 2]

    run(main())


@pytest.mark.spec("2025-03-26/transports/Y02", "2025-11-25/transports/Y03", "2026-07-28/streamable-http/Y02")
@revisions
@pytest.mark.parametrize("id", [{}, {"id": None}])
def test_the_error_of_a_refusal_is_read_although_it_has_no_id(id: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            toy.judge = None
            wire.json({"jsonrpc": "2.0", **id, "error": {"code": -32600, "message": "not like that"}}, 400)

        toy = JudgedToy(revision, handlers={"tools/call": refuse})
        async with toy, Client(toy.url, revisions=revision) as client:
            with pytest.raises(RpcError, match="not like that"):
                await client.call_tool("x")
            await client.list_tools()

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/Y04",
    "2025-06-18/transports/Y03",
    "2025-11-25/transports/Y05",
    "2025-03-26/transports/Y08",
    "2025-06-18/transports/Y06",
    "2025-11-25/transports/Y09",
    "2025-03-26/transports/Y07",
    "2025-03-26/transports/M17",
    "2025-06-18/transports/M15",
    "2025-11-25/transports/M17",
)
@sessions
@pytest.mark.parametrize("where", ["POST", "GET"])
def test_questions_of_the_server_are_answered_on_whatever_stream_they_come(where: str, revision: str) -> None:
    async def main() -> None:
        question = {"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": QUESTION}

        async def call(asked: Asked, wire: Wire) -> None:
            wire.stream()
            if where == "POST":
                wire.event(question)
            answer = await toy.seen("answer")
            assert answer.message == {"jsonrpc": "2.0", "id": "q", "result": SAMPLED}
            wire.reply(asked, text("done"))
            wire.end()

        async def stand(asked: Asked, wire: Wire) -> None:
            assert asked.headers["accept"] == "text/event-stream"
            wire.stream()
            if where == "GET":
                await toy.seen("tools/call")
                wire.event(question)
            await wire.closed()

        toy = JudgedToy(revision, handlers={"tools/call": call, "GET": stand})
        async with toy, Client(toy.url, revisions=revision, sampling=sampled) as client:
            await toy.seen("GET")
            assert (await client.call_tool("x")).text == "done"
            assert len(toy.sent("answer")) == 1

    run(main())


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M25",
    "2025-06-18/transports/M23",
    "2025-11-25/transports/M26",
    "2025-06-18/transports/M26",
    "2025-06-18/transports/S15",
    "2025-11-25/transports/M29",
    "2025-11-25/transports/S20",
    "2025-03-26/transports/S14",
    "2025-06-18/transports/S14",
    "2025-11-25/transports/S19",
)
@sessions
def test_every_request_after_the_handshake_names_session_and_version_and_the_last_one_ends_it(revision: str) -> None:
    async def main() -> None:
        async with JudgedToy(revision) as toy:
            async with Client(toy.url, revisions=revision) as client:
                await client.call_tool("x")
                await client.ping()
                await client.notify("notifications/vendor")
                await toy.seen("notifications/vendor")
                await toy.seen("GET")
            handshake, *others = toy.asked
            assert handshake.method == "initialize" and "mcp-session-id" not in handshake.headers
            assert others[-1].verb == "DELETE"
            for asked in others:
                assert asked.headers["mcp-session-id"] == "s1"
                assert asked.headers["mcp-protocol-version"] == revision

    run(main())


@pytest.mark.spec("2025-03-26/transports/Y16", "2025-06-18/transports/Y14", "2025-11-25/transports/Y17")
@sessions
def test_a_server_that_lets_nobody_end_its_sessions_is_left_all_the_same(revision: str) -> None:
    async def main() -> None:
        toy = JudgedToy(revision, handlers={"DELETE": lambda asked, wire: wire.answer(405)})
        async with toy:
            async with asyncio.timeout(5), Client(toy.url, revisions=revision) as client:
                await client.ping()
            assert len(toy.sent("DELETE")) == 1

    run(main())


@pytest.mark.spec("2025-03-26/transports/M27", "2025-06-18/transports/M25", "2025-11-25/transports/M28")
@sessions
def test_a_404_begins_a_new_session_that_names_none(revision: str) -> None:
    async def main() -> None:
        async with JudgedToy(revision) as toy:
            toy.judge = None  # it follows one session
            async with Client(toy.url, revisions=revision) as client:
                await client.call_tool("x")
                toy.session = "s2"
                assert (await client.call_tool("x")).text == "called"
            first, second = toy.sent("initialize")
            assert "mcp-session-id" not in first.headers and "mcp-session-id" not in second.headers
            assert [asked.headers["mcp-session-id"] for asked in toy.sent("tools/call")] == ["s1", "s1", "s2"]
            assert toy.asked[-1].verb == "DELETE" and toy.asked[-1].headers["mcp-session-id"] == "s2"

    run(main())


# -- streams that break ------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/S11",
    "2025-06-18/transports/S11",
    "2025-11-25/transports/S16",
    "2025-11-25/transports/S06",
    "2025-11-25/transports/M16",
    "2025-03-26/transports/Y06",
)
@sessions
@pytest.mark.parametrize("how", ["the server ends it", "the network does"])
def test_a_broken_stream_is_resumed_by_get_behind_its_last_event_and_not_before_its_time(
    how: str, revision: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        broke_at: list[float] = []

        def begin(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event(id="e1", retry=150)
            wire.notify("notifications/message", {"level": "info", "data": 1}, id="e2")
            wire.end() if how == "the server ends it" else wire.close()
            broke_at.append(loop.time())

        def go_on(asked: Asked, wire: Wire) -> Any:
            if "last-event-id" not in asked.headers:
                wire.answer(405)
                return
            assert asked.headers["last-event-id"] == f"e{len(broke_at) + 1}"
            assert loop.time() - broke_at[-1] >= 0.15
            wire.stream()
            if len(broke_at) < 3:  # it makes us come back
                wire.event(id=f"e{len(broke_at) + 2}", retry=150)
                wire.end()
                broke_at.append(loop.time())
                return
            wire.reply(toy.sent("tools/call")[0], text("late"), id="e9")
            wire.end()

        toy = JudgedToy(revision, handlers={"tools/call": begin, "GET": go_on})
        async with toy, Client(toy.url, revisions=revision, limits=Limits(relisten_seconds=0.001)) as client:
            assert (await client.call_tool("x")).text == "late"
            assert len(toy.sent("tools/call")) == 1 and len(broke_at) == 3

    run(main())


@pytest.mark.spec("2025-03-26/transports/Y09", "2025-06-18/transports/Y07", "2025-11-25/transports/Y10")
@sessions
def test_a_server_may_end_the_standing_stream_at_any_time(revision: str) -> None:
    async def main() -> None:
        async def stand(asked: Asked, wire: Wire) -> None:
            wire.stream()
            if len(toy.sent("GET")) < 3:
                wire.end()
            else:
                await wire.closed()

        toy = JudgedToy(revision, handlers={"GET": stand})
        async with toy, Client(toy.url, revisions=revision, limits=Limits(relisten_seconds=0.001)) as client:
            await toy.seen("GET", 3)
            assert (await client.call_tool("x")).text == "called"
            assert len(toy.sent("initialize")) == 1

    run(main())


@pytest.mark.spec("2026-07-28/changelog/M01")
def test_a_modern_request_whose_stream_broke_is_lost_and_asked_again_under_another_id() -> None:
    async def main() -> None:
        def breaks(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event(id="e1", retry=1)
            wire.close() if len(toy.sent(asked.method)) == 1 else toy_stream(asked, wire)

        def toy_stream(asked: Asked, wire: Wire) -> None:
            wire.reply(asked, text("again"))
            wire.end()

        toy = JudgedToy(handlers={"tools/call": breaks})
        async with toy, Client(toy.url) as client:
            with pytest.raises(ConnectionLost):
                await client.call_tool("x")
            assert (await client.call_tool("x")).text == "again"
            first, second = toy.sent("tools/call")
            assert first.id != second.id
            assert all("last-event-id" not in asked.headers for asked in toy.asked) and not toy.sent("GET")

    run(main())


@pytest.mark.spec("2026-07-28/changelog/M01")
def test_a_listen_stream_that_broke_is_opened_again_under_another_id() -> None:
    async def main() -> None:
        async def listen(asked: Asked, wire: Wire) -> None:
            meta = {f"{META}subscriptionId": asked.id}
            wanted = asked.message["params"]["notifications"]
            wire.stream()
            wire.notify("notifications/subscriptions/acknowledged", {"_meta": meta, "notifications": wanted}, id="e1")
            if len(toy.sent("subscriptions/listen")) == 1:
                wire.close()
            else:
                await wire.closed()

        toy = JudgedToy(handlers={"subscriptions/listen": listen})
        async with toy, Client(toy.url, limits=Limits(relisten_seconds=0.001)) as client:
            async with client.listen(tools=True) as events, asyncio.timeout(10):
                assert isinstance(await anext(events), Resync)
                second = await toy.seen("subscriptions/listen", 2)
            first = toy.sent("subscriptions/listen")[0]
            assert first.id != second.id
            assert "last-event-id" not in second.headers and not toy.sent("GET")

    run(main())
