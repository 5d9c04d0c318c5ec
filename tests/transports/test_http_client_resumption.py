"""Legacy streams over HTTP: resumed behind the last event where they break, given up visibly, and questions on them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client, Resync
from mcpcore.errors import ConnectionLost
from tests.transports.http_toys import LEGACY, Asked, HttpToy, Wire, text

# -- streams that break ------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/M16", "2025-11-25/transports/S06")
def test_an_answer_that_the_server_makes_us_wait_for_is_fetched_behind_the_last_event() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed_at = 0.0

        async def begin(asked: Asked, wire: Wire) -> None:
            nonlocal closed_at
            wire.stream()
            wire.event(id="e1", retry=200)
            wire.notify("notifications/progress", {"progressToken": asked.id, "progress": 1}, id="e2")
            wire.end()
            closed_at = loop.time()

        def go_on(asked: Asked, wire: Wire) -> None:
            if "last-event-id" not in asked.headers:
                wire.answer(405)
                return
            assert asked.headers["last-event-id"] == "e2" and asked.headers["mcp-session-id"] == "s1"
            assert loop.time() - closed_at >= 0.2
            wire.stream()
            wire.reply(toy.sent("tools/call")[0], text("late"), id="e3")
            wire.end()

        progress: list[float] = []
        toy = HttpToy(LEGACY, handlers={"tools/call": begin, "GET": go_on})
        async with toy, Client(toy.url) as client:
            result = await client.call_tool("x", progress=lambda news: progress.append(news.progress))
            assert result.text == "late" and progress == [1]
            assert len(toy.sent("tools/call")) == 1

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/transports/S11", "2025-11-25/transports/S16", "2025-03-26/transports/Y06")
def test_each_event_comes_once_wherever_the_connection_breaks() -> None:
    events = [f'id: e{n}\ndata: {{"jsonrpc":"2.0","method":"vendor/n","params":{{"n":{n}}}}}\n\n' for n in range(3)]

    async def main(cut: int) -> None:
        def begin(asked: Asked, wire: Wire) -> None:
            answer = f'id: e3\ndata: {{"jsonrpc":"2.0","id":{asked.id},"result":{{"content":[]}}}}\n\n'
            whole = "".join([*events, answer])
            wire.stream()
            wire.chunk(whole[: min(cut, len(whole))] or ":\n")
            wire.close() if cut < len(whole) else wire.end()

        def go_on(asked: Asked, wire: Wire) -> None:
            last = asked.headers.get("last-event-id")
            if last is None:
                wire.answer(405)
                return
            call = toy.sent("tools/call")[0]
            answer = f'id: e3\ndata: {{"jsonrpc":"2.0","id":{call.id},"result":{{"content":[]}}}}\n\n'
            wire.stream()
            for event in [*events, answer][int(last[1:]) + 1 :]:
                wire.chunk(event)
            wire.end()

        heard: list[int] = []
        toy = HttpToy(LEGACY, handlers={"tools/call": begin, "GET": go_on})
        notifications = {"vendor/n": lambda params: heard.append(params["n"])}
        limits = Limits(relisten_seconds=0.001)
        async with toy, Client(toy.url, revisions=LEGACY, notifications=notifications, limits=limits) as client:
            await toy.seen("GET")
            call = client.call_tool("x")
            if cut < len(events[0]):  # no position to resume at
                with pytest.raises(ConnectionLost):
                    await call
            else:
                await call
                assert heard == [0, 1, 2]

    for cut in range(0, sum(map(len, events)) + 60, 5):
        asyncio.run(main(cut))


def test_a_stream_that_cannot_be_resumed_fails_its_call() -> None:
    async def main() -> None:
        def begin(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event(id="e1", retry=1)
            wire.end()

        async with HttpToy(LEGACY, handlers={"tools/call": begin}) as toy, Client(toy.url) as client:
            with pytest.raises(ConnectionLost, match=r"cannot be resumed.*405"):
                await client.call_tool("x")
            await client.ping()

    asyncio.run(main())


def test_a_modern_stream_is_never_resumed() -> None:
    async def main() -> None:
        def begin(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event(id="e1", retry=1)
            wire.end()

        async with HttpToy(handlers={"tools/call": begin}) as toy, Client(toy.url) as client:
            with pytest.raises(ConnectionLost, match="ended without the answer"):
                await client.call_tool("x")
            assert not toy.sent("GET")

    asyncio.run(main())


# -- the standing stream -----------------------------------------------------------------------------------------------


def test_news_come_on_the_standing_stream_and_it_is_resumed() -> None:
    async def main() -> None:
        heard: list[Any] = []
        positions: list[str | None] = []

        async def stand(asked: Asked, wire: Wire) -> None:
            positions.append(asked.headers.get("last-event-id"))
            wire.stream()
            wire.notify("vendor/x", {"n": len(positions)}, id=f"e{len(positions)}")
            if len(positions) < 3:
                wire.end()
                wire.close()
            else:
                await wire.closed()

        toy = HttpToy(LEGACY, handlers={"GET": stand})
        limits = Limits(relisten_seconds=0.01)
        three = asyncio.Event()

        def hear(params: dict[str, Any]) -> None:
            heard.append(params["n"])
            if len(heard) == 3:
                three.set()

        async with toy, Client(toy.url, limits=limits, notifications={"vendor/x": hear}):
            async with asyncio.timeout(5):
                await three.wait()
            assert positions == [None, "e1", "e2"] and heard == [1, 2, 3]

    asyncio.run(main())


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_server_without_a_standing_stream_is_not_asked_again(status: int) -> None:
    async def main() -> None:
        def none(asked: Asked, wire: Wire) -> None:
            wire.answer(status)

        async with HttpToy(LEGACY, handlers={"GET": none}) as toy:
            async with Client(toy.url, limits=Limits(relisten_seconds=0.001)) as client:
                await toy.seen("GET")
                for _ in range(5):
                    await client.ping()
            assert len(toy.sent("GET")) == 1 and len(toy.sent("initialize")) == 1

    asyncio.run(main())


def test_a_stream_that_the_server_ends_at_once_is_given_up_visibly(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        def end(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.event(id="e1")  # a position alone is no sign of life
            wire.end()

        limits = Limits(relisten_seconds=0.001, max_resumes=4, max_relistens=2)
        toy = HttpToy(LEGACY, handlers={"GET": end, "resources/subscribe": {}})
        async with toy, Client(toy.url, limits=limits) as client:
            async with client.listen(uris=["x://1"]) as events:
                with pytest.raises(ConnectionLost, match="not heard any more"):
                    async with asyncio.timeout(10):
                        async for event in events:
                            assert isinstance(event, Resync)
            assert len(toy.sent("GET")) == 5
            await client.ping()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert "changes are not heard any more" in caplog.text


def test_pauses_grow_and_there_are_fewer_than_twenty_in_five_minutes() -> None:
    from mcpcore.transports.http_standing import pause_before

    limits = Limits()
    pauses = [pause_before(attempt, None, limits.relisten_seconds) for attempt in range(1, limits.max_resumes + 1)]
    assert pauses == sorted(pauses) and pauses[0] == 0.5 and pauses[-1] == 30
    assert len(pauses) < 20
    assert pause_before(1, 200, 30) == 0.2
    assert pause_before(3, 200, 30) == 2.0
    assert pause_before(3, 45_000, 30) == 45.0


def test_a_break_without_a_position_is_told_as_a_gap() -> None:
    async def main() -> None:
        times = 0

        async def stand(asked: Asked, wire: Wire) -> None:
            nonlocal times
            times += 1
            wire.stream()
            if times == 1:
                wire.end()
            else:
                await wire.closed()

        toy = HttpToy(LEGACY, handlers={"GET": stand})
        limits = Limits(relisten_seconds=0.001)
        async with toy, Client(toy.url, limits=limits) as client, client.listen(uris=["x://1"]) as events:
            async with asyncio.timeout(5):
                assert isinstance(await anext(events), Resync)

    asyncio.run(main())


def test_a_session_that_ends_under_its_standing_stream_is_begun_anew() -> None:
    async def main() -> None:
        async def stand(asked: Asked, wire: Wire) -> None:
            if asked.headers["mcp-session-id"] != toy.session:
                wire.answer(404)
                return
            wire.stream()
            if toy.session == "s1":
                await toy.seen("resources/subscribe")
                toy.session = "s2"
                wire.end()
            else:
                await wire.closed()

        toy = HttpToy(LEGACY, handlers={"GET": stand})
        async with toy, Client(toy.url, limits=Limits(relisten_seconds=0.001)) as client:
            await client.subscribe("x://1")
            await toy.seen("GET", 3)
            assert len(toy.sent("initialize")) == 2
            assert [asked.headers["mcp-session-id"] for asked in toy.sent("resources/subscribe")] == ["s1", "s2"]

    asyncio.run(main())


# -- questions of the server -------------------------------------------------------------------------------------------


def test_answers_reach_the_server_while_every_other_connection_waits_for_them() -> None:
    """More calls than the pool has connections, and each of them asks something first."""

    async def main() -> None:
        answered: dict[int, asyncio.Event] = {}

        async def ask(asked: Asked, wire: Wire) -> None:
            answered[asked.id] = asyncio.Event()
            wire.stream()
            wire.event({"jsonrpc": "2.0", "id": asked.id, "method": "ping"})
            await answered[asked.id].wait()
            wire.reply(asked, text(f"{asked.id}"))
            wire.end()

        def take(asked: Asked, wire: Wire) -> None:
            assert asked.message["result"] == {}
            answered[asked.id].set()
            wire.answer(202)

        toy = HttpToy(LEGACY, handlers={"tools/call": ask, "answer": take})
        async with toy, Client(toy.url, limits=Limits(pool_connections=8)) as client, asyncio.timeout(10):
            results = await asyncio.gather(*[client.call_tool("x") for _ in range(50)])
            assert len({result.text for result in results}) == 50
            assert toy.most_open <= 8

    asyncio.run(main())
