"""Streams that break and are resumed, on the wire: cut at every byte, each event comes exactly once and in order."""

from __future__ import annotations

import asyncio

import pytest

from mcpcore import Context
from mcpcore.spec import codes
from tests.transports.http_cut import Reader
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import Served, Talk, serving

COUNT = 4


async def read(talk: Talk, data: bytes, cut: int, reader: Reader) -> int:
    """Send a request, read this many bytes of what is answered, and break the connection. Returns how many there were
    if the answer came to its end."""
    raw = await talk.served.open()
    raw.send(data)
    received = b""
    async with asyncio.timeout(5):
        while len(received) < cut:
            piece = await raw.reader.read(cut - len(received))
            if not piece:
                break
            received += piece
            if received.endswith(b"\r\n0\r\n\r\n"):
                break
    raw.reset()
    reader.take(received)
    return len(received)


def resume(talk: Talk, last_id: str) -> bytes:
    session, version = talk.session, talk.revision
    lines = [
        "GET /mcp HTTP/1.1",
        "host: localhost",
        "accept: text/event-stream",
        f"mcp-session-id: {session}",
        f"mcp-protocol-version: {version}",
        f"last-event-id: {last_id}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def finished(served: Served) -> None:
    """What runs has come to its end, and the broken connections are noticed."""
    async with asyncio.timeout(5):
        while served.endpoint.open or served.endpoint._streams:
            await asyncio.sleep(0)


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
def test_a_stream_that_is_cut_at_any_byte_gives_each_event_once_and_in_order(revision: str) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk(revision) as talk:
            id = 0

            def ask() -> bytes:
                nonlocal id
                id += 1
                arguments = {"name": "count", "arguments": {"n": COUNT}}
                return talk.bytes_of(talk.message("tools/call", arguments, id))

            whole = Reader()
            length = await read(talk, ask(), 1 << 20, whole)
            assert whole.ended
            said = [message.get("params", {}).get("data", "end") for message in whole.messages]
            assert said == [*range(COUNT), "end"]
            resumed = 0
            for cut in range(length + 1):
                reader = Reader()
                await read(talk, ask(), cut, reader)
                await finished(served)
                if not reader.ended and reader.last_id is not None:
                    before = len(reader.messages)
                    await read(talk, resume(talk, reader.last_id), 1 << 20, reader)
                    assert reader.ended
                    resumed += len(reader.messages) > before
                if reader.ended:
                    heard = [message.get("params", {}).get("data", "end") for message in reader.messages]
                    assert heard == [*range(COUNT), "end"], cut
                    assert reader.messages[-1]["id"] == id
                await finished(served)
            assert resumed > length / 3

    run(main())


def test_a_resumed_stream_may_break_again_and_again() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-11-25") as talk:
            arguments = {"name": "count", "arguments": {"n": 20}}
            for step in (1, 7, 60, 301):
                reader = Reader()
                await read(talk, talk.bytes_of(talk.message("tools/call", arguments)), 400, reader)
                assert reader.last_id is not None
                cut = 260
                while not reader.ended:
                    cut += step
                    await read(talk, resume(talk, reader.last_id), cut, reader)
                assert [message.get("params", {}).get("data") for message in reader.messages] == [*range(20), None]
            await finished(served)

    run(main())


@pytest.mark.spec("2025-11-25/transports/S11")
def test_a_handler_whose_connection_broke_goes_on_and_its_answer_waits() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "a"}})
            await post.message()
            post.raw.reset()
            async with asyncio.timeout(5):
                while len(served.http.connections) > 2:
                    await asyncio.sleep(0)
            assert stage.cancelled == []
            stage.open("a")
            await finished(served)
            again = await talk.get(post.last_id)
            said, answer = await again.rest()
            assert (said["params"]["data"], answer["result"]["content"][0]["text"]) == ("a ends", "a")

    run(main())


def test_a_stream_that_is_resumed_while_its_handler_runs_goes_on_there() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "a"}})
            await post.message()
            again = await talk.get(post.last_id)
            await again.stream()
            assert await post.rest() == []  # taken over
            stage.open("a")
            assert [message.get("id") for message in await again.rest()] == [None, post.talk._ids]

    run(main())


def test_a_request_is_cancelled_by_its_notification_from_anywhere() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            for name, tool in (("a", "wait"), ("b", "speak_and_wait")):
                post = await talk.call("tools/call", {"name": tool, "arguments": {"name": name}}, name)
                await stage.until(stage.begun, name)
                await talk.tell("notifications/cancelled", {"requestId": name})
                await stage.until(stage.cancelled, name)
                if tool == "wait":  # nothing was said, and nothing will be
                    assert (await post.raw.answer()).body == b""
                else:
                    assert [message["method"] for message in await post.rest()] == ["notifications/message"]
            await talk.tell("notifications/cancelled", {"requestId": "a"})
            assert await talk.result("ping") == {}

    run(main())


def test_the_standing_stream_is_resumed_where_it_broke() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            first = await talk.get()
            await first.event()
            stage.server.notify_tools_changed()
            await first.message()
            first.raw.reset()
            await finished(served)
            stage.server.notify_resources_changed()
            second = await talk.get(first.last_id)
            assert (await second.message())["method"] == "notifications/resources/list_changed"
            stage.server.notify_prompts_changed()
            stage.server.notify_tools_changed()
            assert (await second.message())["method"] == "notifications/tools/list_changed"

    run(main())


def test_events_that_are_gone_are_not_skipped_in_silence() -> None:
    async def main() -> None:
        stage = Stage(session_events=3)
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "a"}})
            await post.message()
            post.raw.reset()
            async with asyncio.timeout(5):
                while len(served.http.connections) > 2:
                    await asyncio.sleep(0)
            (reply,) = served.endpoint.open
            (exchange,) = reply.exchanges
            for number in range(10):
                exchange.notify("notifications/message", {"level": "info", "data": number})
            answer = await (await talk.get(post.last_id)).raw.answer()
            assert (answer.status, answer.error["code"]) == (400, codes.INVALID_REQUEST)
            stage.open("a")
            await finished(served)

    run(main())


# -- closed early ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/S05", "2025-11-25/transports/S07", "2025-11-25/transports/Y04")
def test_a_tool_may_end_its_connection_and_its_client_comes_back_for_the_rest() -> None:
    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def poll(ctx: Context) -> str:
            await ctx.close_stream(0.25)
            await stage._wait("poll")
            await ctx.info("while away")
            return "polled"

        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", {"name": "poll", "arguments": {}})
            await post.stream()
            events = await post.raw.rest()
            assert [event.data for event in events] == [b"", b""]
            assert [event.retry for event in events] == [None, 250]
            assert events[-1].id is not None
            await stage.until(stage.begun, "poll")
            assert stage.cancelled == []
            early = await talk.get(events[-1].id)
            await early.stream()
            stage.open("poll")
            said, answer = await early.rest()
            assert (said["params"]["data"], answer["result"]["content"][0]["text"]) == ("while away", "polled")
            await finished(served)

    run(main())


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
def test_where_nobody_could_come_back_the_connection_is_kept(revision: str) -> None:
    async def main() -> None:
        stage = Stage()

        @stage.server.tool
        async def poll(ctx: Context) -> str:
            await ctx.close_stream(0.25)
            return "polled"

        async with serving(stage.server) as served, served.talk(revision) as talk:
            result = await talk.result("tools/call", {"name": "poll", "arguments": {}})
            assert result["content"][0]["text"] == "polled"

    run(main())
