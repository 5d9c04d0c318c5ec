"""What is too much at once for the HTTP server, on the wire: refused with a time to come back, and served then."""

from __future__ import annotations

import asyncio

from mcpcore.spec import codes
from tests.transports.http_stage import Stage, call, echo, run, text_of
from tests.transports.http_wire import Answer, Served, Talk, request, serving


def overloaded(answer: Answer, id: object = None) -> None:
    assert (answer.status, answer.fields["retry-after"]) == (503, "1"), answer
    assert (answer.error["code"], answer.json.get("id")) == (codes.OVERLOADED, id)


async def gone(served: Served, count: int) -> None:
    async with asyncio.timeout(5):
        while len(served.http.connections) > count:
            await asyncio.sleep(0)


def test_one_connection_too_many_is_told_to_come_back_and_takes_no_room() -> None:
    async def main() -> None:
        async with serving(Stage(max_connections=3).server) as served:
            first = [await served.open() for _ in range(3)]
            for raw in first:
                raw.send(echo(served, "x"))
                assert text_of(await raw.answer()) == "x"
            for data in (b"", echo(served, "x"), echo(served, "x" * 1_000_000)):
                async with served.connect() as more:
                    more.send(data)
                    answer = await more.answer()
                    overloaded(answer)
                    assert answer.fields["connection"] == "close"
            assert len(served.http.connections) == 3
            await first.pop().close()
            await gone(served, 2)
            assert text_of(await served.once(echo(served, "again"))) == "again"
            for raw in first:
                await raw.close()

    run(main())


def test_a_flood_of_connections_leaves_those_that_are_served_alone() -> None:
    async def main() -> None:
        async with serving(Stage(max_connections=2).server) as served, served.connect() as raw:
            raw.send(echo(served, "x"))
            assert text_of(await raw.answer()) == "x"
            others = [await served.open() for _ in range(400)]
            raw.send(echo(served, "still"))
            assert text_of(await raw.answer()) == "still"
            assert len(served.http.connections) <= 2
            assert len(served.http._refused) <= 256
            for other in others:
                await other.close()

    run(main())


def test_requests_in_flight_are_limited_for_all_connections_together() -> None:
    async def main() -> None:
        stage = Stage(max_requests=2)
        async with serving(stage.server) as served:
            waiting = [await served.open() for _ in range(2)]
            for number, raw in enumerate(waiting):
                raw.send(call(served, "wait", {"name": str(number)}, number))
            await stage.until(stage.begun, "0", "1")
            overloaded(await served.once(echo(served, "x", 7)), 7)
            assert (await served.once(request("GET", "/healthz"))).status == 200
            stage.open("0")
            assert text_of(await waiting[0].answer()) == "0"
            assert text_of(await served.once(echo(served, "x", 7))) == "x"
            await waiting[1].close()
            await stage.until(stage.cancelled, "1")
            await waiting[0].close()

    run(main())


def test_bytes_of_unfinished_bodies_are_limited_for_all_connections_together() -> None:
    async def main() -> None:
        async with serving(Stage(max_buffered_bytes=300_000).server) as served:
            data = echo(served, "x" * 200_000)
            async with served.connect() as first, served.connect() as second:
                first.send(data[:-1])
                async with asyncio.timeout(5):
                    while served.http.site.buffering < 200_000:
                        await asyncio.sleep(0)
                second.send(data[:-1])
                overloaded(await second.answer())
                first.send(data[-1:])
                assert len(text_of(await first.answer())) == 200_000
                assert served.http.site.buffering == 0
            assert len(text_of(await served.once(data))) == 200_000

    run(main())


def test_streams_are_limited_for_the_whole_server() -> None:
    async def main() -> None:
        stage = Stage(max_streams=2)
        async with (
            serving(stage.server) as served,
            served.talk("2025-11-25") as one,
            served.talk("2025-11-25") as two,
            served.talk() as modern,
        ):
            standing = await one.get()
            await standing.stream()
            listen = await modern.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            await listen.message()
            overloaded(await (await two.get()).raw.answer())
            params = {"notifications": {"toolsListChanged": True}}
            overloaded(await (await modern.call("subscriptions/listen", params, 9)).answer(), 9)
            overloaded(await served.once(request("GET", "/sse", accept="text/event-stream")))
            await standing.raw.close()
            async with asyncio.timeout(5):
                while served.endpoint._streams:
                    await asyncio.sleep(0)
            await (await two.get()).stream()

    run(main())


def test_one_session_is_overloaded_alone() -> None:
    async def main() -> None:
        stage = Stage(max_in_flight=1)
        async with serving(stage.server) as served, served.talk("2025-06-18") as one, served.talk("2025-06-18") as two:
            waits = await one.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            await stage.until(stage.begun, "a")
            answer = await (await one.call("ping", id=9)).answer()
            assert (answer.status, answer.fields["retry-after"]) == (429, "1")
            assert (answer.json["id"], answer.error["code"]) == (9, codes.OVERLOADED)
            assert await two.result("ping") == {}
            stage.open("a")
            assert text_of(await waits.answer()) == "a"
            assert await one.result("ping") == {}

    run(main())


def test_a_session_too_many_ends_the_one_that_is_idle_for_longest() -> None:
    async def main() -> None:
        stage = Stage(max_sessions=2)
        async with (
            serving(stage.server) as served,
            served.talk("2025-11-25") as idle,
            served.talk("2025-11-25") as busy,
        ):
            await (await busy.get()).stream()
            async with served.talk("2025-11-25") as third:
                assert (await (await idle.call("ping")).answer()).status == 404
                assert await busy.result("ping") == {}
                await (await third.get()).stream()
                talk = Talk(served, "2025-11-25", {})
                info = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {},
                    "clientInfo": {"name": "n", "version": "1"},
                }
                overloaded(await (await talk.call("initialize", info, 1)).answer())
                await talk.close()

    run(main())


def test_what_a_full_server_waits_for_is_taken() -> None:
    """Answers and cancellations end requests: refusing them would keep the server full."""

    async def main() -> None:
        stage = Stage(max_requests=1)
        async with serving(stage.server) as served, served.talk("2025-06-18") as talk:
            waits = await talk.call("tools/call", {"name": "wait", "arguments": {"name": "a"}}, 5)
            await stage.until(stage.begun, "a")
            overloaded(await served.once(echo(served, "x")), 1)
            await talk.tell("notifications/cancelled", {"requestId": 5})
            await stage.until(stage.cancelled, "a")
            assert (await waits.raw.answer()).body == b""
            assert text_of(await served.once(echo(served, "x"))) == "x"

    run(main())


def test_a_modern_connection_that_is_closed_makes_room() -> None:
    async def main() -> None:
        stage = Stage(max_requests=1)
        async with serving(stage.server) as served:
            for number in range(5):
                raw = await served.open()
                raw.send(call(served, "wait", {"name": str(number)}))
                await stage.until(stage.begun, str(number))
                raw.reset()
                await stage.until(stage.cancelled, str(number))
            assert served.endpoint.open == {}

    run(main())
