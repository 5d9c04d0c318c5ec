"""Slow and dead readers over HTTP: cut with a place to come back to, and none of them delays or feeds another."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from mcpcore import Context
from tests.transports.http_cut import Reader
from tests.transports.http_stage import Stage, call, run, text_of
from tests.transports.http_wire import MODERN, Post, Raw, Talk, envelope, serving


def stop_reading(raw: Raw) -> None:
    transport: Any = raw.writer.transport
    transport.pause_reading()


def read_on(raw: Raw) -> None:
    transport: Any = raw.writer.transport
    transport.resume_reading()


class Talker(Stage):
    """``talk`` says so many lines of so many bytes, and waits while its reader is slow; ``shout`` does not wait."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)

        @self.server.tool
        async def talk(lines: int, size: int, ctx: Context) -> str:
            self._note(self.begun, "talk")
            for number in range(lines):
                await ctx.info(f"{number} " + "x" * size)
            self._note(self.ended, "talk")
            return "talked"


async def loud(talk: Talk, tool: str, arguments: dict[str, Any]) -> Post:
    """A call that wants to hear log messages."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if talk.revision == MODERN:
        params["_meta"] = envelope(logLevel="info")
    return await talk.call("tools/call", params, 1)


def said(message: Any) -> int | None:
    """The number of a line."""
    data = message.get("params", {}).get("data")
    return None if data is None else int(data.split()[0])


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_handler_waits_for_a_slow_reader_who_gets_everything(revision: str) -> None:
    async def main() -> None:
        stage = Talker(stream_bytes=200_000, session_event_bytes=64 << 20, session_events=10_000)
        async with serving(stage.server) as served, served.talk(revision) as talk:
            arguments = {"lines": 2000, "size": 5000}
            post = await loud(talk, "talk", arguments)
            await post.stream()
            stop_reading(post.raw)
            await stage.until(stage.begun, "talk")
            connection = next(one for one in served.http.connections if one._busy)
            async with asyncio.timeout(5):
                while connection._clogged is None:
                    await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert stage.ended == []
            assert connection.unsent < 500_000
            read_on(post.raw)
            lines = [said(message) for message in await post.rest()]
            assert lines == [*range(2000), None]

    run(main())


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_handler_that_reports_progress_and_never_waits_is_no_fault_of_its_reader(revision: str) -> None:
    async def main() -> None:
        stage = Stage(stream_bytes=50_000)

        @stage.server.tool
        async def hurry(ctx: Context) -> str:
            for number in range(20_000):
                await ctx.progress(number + 1, message="x" * 100)
            return "done"

        async with serving(stage.server) as served, served.talk(revision) as talk:
            meta = {"progressToken": "p"} | (envelope() if revision == MODERN else {})
            params = {"name": "hurry", "arguments": {}, "_meta": meta}
            *reports, answer = await (await talk.call("tools/call", params)).rest()
            assert answer["result"]["content"][0]["text"] == "done"
            assert reports[-1]["params"]["progress"] == 20_000

    run(main())


def test_a_stalled_reader_delays_nobody_and_is_cut_with_a_place_to_come_back_to() -> None:
    async def main() -> None:
        stage = Talker(stream_bytes=100_000, stalled_seconds=0.3, session_event_bytes=64 << 20, session_events=10_000)
        async with (
            serving(stage.server) as served,
            served.talk("2025-11-25") as slow,
            served.talk("2025-11-25") as quick,
            served.talk() as modern,
        ):
            listener = await modern.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            await listener.message()
            stalled = await slow.call("tools/call", {"name": "talk", "arguments": {"lines": 1500, "size": 5000}})
            await stage.until(stage.begun, "talk")
            stop_reading(stalled.raw)
            latencies = []
            for number in range(60):
                begun = time.monotonic()
                assert await quick.result("ping") == {}
                stage.server.notify_tools_changed()
                await listener.message()
                latencies.append(time.monotonic() - begun)
                await asyncio.sleep(0.01 if number % 2 else 0)
            assert sorted(latencies)[len(latencies) // 2] < 0.05, latencies
            await stage.until(stage.ended, "talk")  # cut, the handler goes on into the store
            read_on(stalled.raw)
            reader = Reader()
            reader.take(await stalled.raw.closed())
            assert not reader.ended
            rest = await (await slow.get(reader.last_id)).rest()
            assert 0 < len(rest) < 1500
            assert [said(message) for message in (*reader.messages, *rest)] == [*range(1500), None]

    run(main())


@pytest.mark.parametrize("session_seconds", [0.1, 1800.0])
def test_a_reader_that_stalls_at_the_answer_is_cut_and_may_come_back_for_it(session_seconds: float) -> None:
    async def main() -> None:
        stage = Stage(
            stream_bytes=100_000,
            stalled_seconds=0.3,
            session_seconds=session_seconds,
            session_event_bytes=40 << 20,
        )

        @stage.server.tool
        async def first_little(ctx: Context) -> str:
            await ctx.info("first")
            await stage._wait("large")
            return "x" * 12_000_000

        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", {"name": "first_little", "arguments": {}})
            await post.message()
            stop_reading(post.raw)
            stage.open("large")
            await stage.until(stage.ended, "large")
            connection = next(one for one in served.http.connections if one._busy)
            async with asyncio.timeout(5):
                while connection in served.http.connections:
                    assert len(served.endpoint.sessions) == 1  # it is being delivered: the session is in use
                    await asyncio.sleep(0.01)
            if session_seconds > 1:
                again = await talk.get(post.last_id)
                assert len((await again.message())["result"]["content"][0]["text"]) == 12_000_000

    run(main())


def test_an_answer_that_is_being_taken_slowly_is_delivered_before_the_server_ends() -> None:
    async def main() -> None:
        stage = Talker(stream_bytes=100_000, session_event_bytes=64 << 20, session_events=10_000)

        @stage.server.tool
        async def rush(ctx: Context) -> str:
            for number in range(500):
                data = f"{number} {'x' * 9000}"
                ctx._exchange.notify("notifications/message", {"level": "info", "data": data})
            stage._note(stage.ended, "rush")
            return "rushed"

        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            post = await loud(talk, "rush", {})
            await stage.until(stage.ended, "rush")
            stopping = asyncio.create_task(served.http.stop(5))
            while not served.endpoint.draining:
                await asyncio.sleep(0)
            lines = [said(message) for message in await post.rest()]
            assert lines == [*range(500), None]
            await stopping

    run(main())


def test_a_stalled_modern_reader_is_cut_and_its_request_cancelled() -> None:
    async def main() -> None:
        stage = Talker(stream_bytes=100_000, stalled_seconds=0.2)
        async with serving(stage.server) as served, served.talk() as talk:
            params = {"name": "talk", "arguments": {"lines": 5000, "size": 5000}}
            post = await talk.call("tools/call", params, logLevel="info")
            await post.stream()
            stop_reading(post.raw)
            async with asyncio.timeout(5):
                while not served.endpoint.open:
                    await asyncio.sleep(0)
                while served.endpoint.open or served.http.connections:
                    await asyncio.sleep(0.01)
            assert stage.ended == []

    run(main())


def test_a_listener_that_never_reads_is_cut_and_others_hear_on() -> None:
    async def main() -> None:
        stage = Stage(stream_bytes=20_000, stalled_seconds=0.3)
        async with serving(stage.server) as served, served.talk() as talk:
            names = [f"stage://{number}" for number in range(500)]

            async def listen(id: str) -> Post:
                post = await talk.call("subscriptions/listen", {"notifications": {"resourceSubscriptions": names}}, id)
                await post.message()
                return post

            deaf, good = await listen("deaf"), await listen("good")
            stop_reading(deaf.raw)
            heard = 0
            async with asyncio.timeout(20):
                while len(served.endpoint.open) == 2:
                    for name in names:
                        stage.server.notify_resource_updated(name)
                    for _ in names:
                        await good.message()
                        heard += 1
            assert len(served.endpoint.open) == 1
            stage.server.notify_resource_updated(names[0])
            assert (await good.message())["params"]["uri"] == names[0]

    run(main())


def test_two_hundred_clients_that_all_use_the_same_id_never_cross() -> None:
    async def main() -> None:
        stage = Stage()
        generator = random.Random(7)
        delays = [generator.random() * 0.05 for _ in range(400)]

        @stage.server.tool
        async def who(mine: str, ctx: Context) -> str:
            await asyncio.sleep(delays[int(mine)])
            await ctx.info(f"{mine} {ctx.headers['x-token']} {ctx.principal} {ctx.request_id}")
            await asyncio.sleep(delays[-int(mine)])
            return f"{mine} {ctx.headers['x-token']} {ctx.principal} {ctx.request_id}"

        options: Any = {"authorize": lambda head: head.headers["x-token"]}
        async with serving(stage.server, **options) as served:

            async def client(number: int) -> None:
                revision = "2026-07-28" if number % 2 else "2025-11-25"
                mine = f"{number} token-{number} token-{number} 1"
                async with served.talk(revision, fields={"x_token": f"token-{number}"}) as talk:
                    line, answer = await (await loud(talk, "who", {"mine": str(number)})).rest()
                    assert line["params"]["data"] == mine
                    assert (answer["id"], answer["result"]["content"][0]["text"]) == (1, mine)

            await asyncio.gather(*map(client, range(200)))

    run(main())


CLIENT = """
import socket, sys, time
port, data = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
open_ = []
for _ in range(int(sys.argv[3])):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(data)
    open_.append(connection)
print("sent", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("tool", ["wait", "speak_and_wait"])
def test_a_client_process_that_is_killed_leaves_nothing_behind(tool: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served:
            talk = Talk(served, "2026-07-28", {})
            message = talk.message("tools/call", {"name": tool, "arguments": {"name": "a"}}, 1, logLevel="info")
            data = talk.bytes_of(message) + call(served, "echo", {"text": "behind it"})
            command = [sys.executable, "-c", CLIENT, str(served.http.port), data.hex(), "20"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            try:
                assert process.stdout is not None
                assert await asyncio.to_thread(process.stdout.readline) == b"sent\n"
                async with asyncio.timeout(10):
                    while len(stage.begun) < 20:
                        await asyncio.sleep(0.01)
                assert len(served.endpoint.open) == 20
                os.kill(process.pid, signal.SIGKILL)
                begun = time.monotonic()
                async with asyncio.timeout(10):
                    while len(stage.cancelled) < 20 or served.http.connections:
                        await asyncio.sleep(0.005)
                assert time.monotonic() - begun < 1
                assert (served.endpoint.open, len(stage.server._runners)) == ({}, 0)
            finally:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
            assert text_of(await served.once(call(served, "echo", {"text": "still here"}))) == "still here"

    run(main())
