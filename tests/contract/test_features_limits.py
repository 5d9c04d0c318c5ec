"""What is bounded and what ends: time limits and concurrency of tools, overload, cancellation, clients that go away
or do not read, and fairness between connections."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from mcpcore import Client, Context, RpcError, Server, SyncContext
from mcpcore.core.limits import Limits
from mcpcore.errors import UsageError
from mcpcore.transports.runner import Runner
from tests.contract.wire import LEGACY, MODERN, PATIENCE, REVISIONS, Wire, client_of

CALL = "tools/call"


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


class Slow:
    """Tools that wait until they are released, and tell when they began and whether they were told to stop."""

    def __init__(self, limits: Limits | None = None, **options: Any) -> None:
        self.server = Server("contract", limits=limits)
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.release = asyncio.Event()
        self.release_threads = threading.Event()
        loop = asyncio.get_running_loop()

        def tell(queue: asyncio.Queue[str], text: str) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, text)

        @self.server.tool(**options)
        async def slow(name: str = "slow") -> str:
            self.began.put_nowait(name)
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.ended.put_nowait("cancelled")
                raise
            return name

        @self.server.tool(**options)
        def slow_in_a_thread(ctx: SyncContext, name: str = "thread") -> str:
            tell(self.began, name)
            while not self.release_threads.is_set():
                if ctx.cancelled.wait(0.005):
                    tell(self.ended, "cancelled")
                    return "nobody hears this"
            return name

        @self.server.resource("docs:slow")
        def resource(ctx: SyncContext) -> str:
            return slow_in_a_thread(ctx, "resource")

        @self.server.prompt
        def prompt(ctx: SyncContext) -> str:
            return slow_in_a_thread(ctx, "prompt")

        @self.server.tool
        async def quick() -> str:
            return "quick"

    async def begun(self) -> str:
        return await asyncio.wait_for(self.began.get(), PATIENCE)

    async def over(self) -> str:
        return await asyncio.wait_for(self.ended.get(), PATIENCE)


# -- limits of a tool --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slow", "slow_in_a_thread"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_tool_that_takes_too_long_is_stopped_and_says_so(revision: str, name: str) -> None:
    async def main() -> None:
        slow = Slow(timeout=0.02)
        async with client_of(slow.server, revision) as wire:
            result = await wire.result(CALL, {"name": name})
            assert result["isError"] is True
            assert text_of(result) == f"The tool {name} was stopped: it took longer than 0.02 seconds"
            assert await slow.over() == "cancelled"
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["slow", "slow_in_a_thread"])
@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
def test_only_so_many_calls_of_a_tool_run_and_wait_and_one_more_is_told_to_come_later(revision: str, name: str) -> None:
    async def main() -> None:
        slow = Slow(concurrency=2, queue=1)
        async with client_of(slow.server, revision) as wire:
            ids = [wire.call(CALL, {"name": name, "arguments": {"name": f"n{n}"}}) for n in range(3)]
            assert {await slow.begun(), await slow.begun()} == {"n0", "n1"}
            error = await wire.error(CALL, {"name": name})
            assert error["code"] == 429 and name in error["message"]
            assert error["data"] == {"limit": 2, "retryAfterMs": 1000}
            assert text_of(await wire.result(CALL, {"name": "quick"})) == "quick"
            assert slow.began.empty()  # the third one waits
            slow.release.set()
            slow.release_threads.set()
            answers = [await wire.hear() for _ in ids]
            assert sorted(text_of(answer["result"]) for answer in answers) == ["n0", "n1", "n2"]
            assert text_of(await wire.result(CALL, {"name": name})) in ("slow", "thread")

    asyncio.run(main())


def test_a_call_that_is_cancelled_while_it_waits_frees_its_place_and_never_begins() -> None:
    async def main() -> None:
        slow = Slow(concurrency=1, queue=1)
        async with client_of(slow.server) as wire:
            first = wire.call(CALL, {"name": "slow", "arguments": {"name": "first"}})
            assert await slow.begun() == "first"
            second = wire.call(CALL, {"name": "slow", "arguments": {"name": "second"}})
            wire.tell("notifications/cancelled", {"requestId": second})
            await wire.fence()
            third = wire.call(CALL, {"name": "slow", "arguments": {"name": "third"}})
            assert await wire.fence() == []
            slow.release.set()
            assert {(await wire.hear())["id"], (await wire.hear())["id"]} == {first, third}
            assert await slow.begun() == "third" and slow.began.empty()

    asyncio.run(main())


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"concurrency": 0},
        {"queue": 1},
        {"concurrency": 1, "queue": -1},
        {"thread": "green"},
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Server("contract").add_tool(lambda: "x", name="x", **options)


@pytest.mark.spec("2024-11-05/tools/M05")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_connection_with_too_many_requests_under_way_is_told_so_at_once(revision: str) -> None:
    async def main() -> None:
        slow = Slow(Limits(max_in_flight=3))
        async with client_of(slow.server, revision) as wire:
            ids = [wire.call(CALL, {"name": "slow"}) for _ in range(3)]
            for _ in ids:
                await slow.begun()
            for method, params in ((CALL, {"name": "quick"}), ("tools/list", {}), ("completion/complete", {})):
                error = await wire.error(method, params)
                assert error["code"] == 429 and error["data"] == {"limit": 3, "retryAfterMs": 1000}
            slow.release.set()
            assert {(await wire.hear())["id"] for _ in ids} == set(ids)
            await wire.result(CALL, {"name": "quick"})

    asyncio.run(main())


# -- cancellation ------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "coroutine": (CALL, {"name": "slow"}),
    "thread": (CALL, {"name": "slow_in_a_thread"}),
    "resource": ("resources/read", {"uri": "docs:slow"}),
    "prompt": ("prompts/get", {"name": "prompt"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_cancelled_handler_is_told_at_once_and_nothing_more_is_sent_for_it(revision: str, kind: str) -> None:
    async def main() -> None:
        slow = Slow()
        async with client_of(slow.server, revision) as wire:
            id = wire.call(*KINDS[kind])
            await slow.begun()
            wire.tell("notifications/cancelled", {"requestId": id, "reason": "no longer needed"})
            assert await slow.over() == "cancelled"
            slow.release.set()
            assert await wire.fence() == []
            assert text_of(await wire.result(CALL, {"name": "quick"})) == "quick"
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
def test_a_handler_is_told_when_its_client_goes_away(revision: str, kind: str) -> None:
    async def main() -> None:
        slow = Slow()
        async with client_of(slow.server, revision) as wire:
            wire.call(*KINDS[kind])
            await slow.begun()
        assert await slow.over() == "cancelled"

    asyncio.run(main())


# -- clients that do not read ------------------------------------------------------------------------------------------


async def congested(server: Server) -> None:
    """Until the only connection of a server has more to say than its client reads."""
    (runner,) = server._runners
    assert isinstance(runner, Runner)
    async with asyncio.timeout(PATIENCE):
        while not runner.congested:
            await asyncio.sleep(0.001)


@pytest.mark.spec("2024-11-05/logging/S03", "2024-11-05/logging/S07")
@pytest.mark.parametrize("kind", ["coroutine", "thread"])
def test_who_logs_more_than_its_client_reads_waits(kind: str) -> None:
    async def main() -> None:
        server = Server("contract")
        most, said = 30_000, 0

        @server.tool
        async def coroutine(ctx: Context) -> str:
            nonlocal said
            while said < most:
                await ctx.info("x" * 1000)
                said += 1
            return "done"

        @server.tool
        def thread(ctx: SyncContext) -> str:
            nonlocal said
            while said < most:
                ctx.info("x" * 1000)
                said += 1
            return "done"

        wire = Wire("client")
        wire.judge = None  # thousands of log messages are one after the other
        channel = server.connect_client(wire)
        wire.attach(channel.write, channel.close)
        id = wire.call(CALL, {"name": kind}, logLevel="info")
        channel.pause_reading()
        await congested(server)
        before = -1
        while said != before:  # until it stands still
            before = said
            await asyncio.sleep(0.02)
        assert said < most / 2
        channel.resume_reading()
        logged, answer = await wire.until(id)
        assert (len(logged), text_of(answer["result"])) == (most, "done")
        wire.close()
        await wire.end()

    asyncio.run(main())


def test_a_thread_that_waits_for_a_reader_goes_on_when_the_client_goes_away() -> None:
    async def main() -> None:
        server = Server("contract")
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        @server.tool
        def thread(ctx: SyncContext) -> str:
            while not ctx.cancelled.is_set():
                ctx.info("x" * 1000)
            loop.call_soon_threadsafe(ended.set)
            return "done"

        wire = Wire("client")
        channel = server.connect_client(wire)
        wire.attach(channel.write, channel.close)
        wire.call(CALL, {"name": "thread"}, logLevel="info")
        channel.pause_reading()
        await congested(server)
        wire.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)

    asyncio.run(main())


# -- fairness ----------------------------------------------------------------------------------------------------------


def frames(method: str, params: dict[str, Any], count: int) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "method": method, "params": {"_meta": meta, **params}}
    return b"".join(json.dumps({**message, "id": id}).encode() + b"\n" for id in range(count))


@pytest.mark.parametrize("name", ["inline", "coroutine", "thread"])
def test_a_flood_on_one_connection_lets_the_others_be_served(name: str) -> None:
    async def main() -> None:
        server = Server("contract", limits=Limits(max_in_flight=100_000))

        @server.tool
        async def inline() -> str:
            return "x"

        @server.tool
        async def coroutine() -> str:
            await asyncio.sleep(0)
            return "x"

        @server.tool
        def thread() -> str:
            return "x"

        count = 5_000
        flood, other = Wire("client"), Wire("client")
        flood.judge = other.judge = None
        for wire in (flood, other):
            channel = server.connect_client(wire)
            wire.attach(channel.write, channel.close)
        assert flood._write is not None
        flood._write(frames(CALL, {"name": name}, count))
        served = []
        for _ in range(5):
            await other.result(CALL, {"name": "inline"})
            served.append(len(flood.lines))
        # Each of the other's requests takes a few turns of the loop, and a turn of the flood has at most 64 messages.
        assert served[-1] < count / 2
        while len(flood.lines) < count:
            await flood.hear()
        for wire in (flood, other):
            wire.close()
            await wire.end()

    asyncio.run(main())


def test_a_handler_that_takes_long_inline_gives_the_turn_away_after_it() -> None:
    async def main() -> None:
        server = Server("contract")
        order: list[str] = []

        @server.tool(thread="loop")
        def busy(who: str) -> str:
            order.append(who)
            end = threading.Event()
            end.wait(0.003)  # blocks the loop, as heavy work would
            return who

        first, second = Wire("client"), Wire("client")
        for wire in (first, second):
            wire.judge = None
            channel = server.connect_client(wire)
            wire.attach(channel.write, channel.close)
        for wire, who in ((first, "first"), (second, "second")):
            assert wire._write is not None
            wire._write(frames(CALL, {"name": "busy", "arguments": {"who": who}}, 4))
        for _ in range(4):
            await first.hear()
            await second.hear()
        assert order == ["first", "second"] * 4
        for wire in (first, second):
            wire.close()
            await wire.end()

    asyncio.run(main())


def test_an_overloaded_answer_is_an_error_that_a_client_can_catch() -> None:
    async def main() -> None:
        slow = Slow(concurrency=1, queue=0)
        async with Client(slow.server) as client:
            call = asyncio.create_task(client.call_tool("slow"))
            await slow.begun()
            with pytest.raises(RpcError) as caught:
                await client.call_tool("slow")
            assert caught.value.code == 429 and caught.value.data["retryAfterMs"] == 1000
            slow.release.set()
            assert (await call).text == "slow"

    asyncio.run(main())
