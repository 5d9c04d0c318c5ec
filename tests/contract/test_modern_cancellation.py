"""2026-07-28, basic/patterns/cancellation, the server's side. What ends a subscription is in
test_modern_subscriptions.py."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from mcpcore import Context, Server, SyncContext
from mcpcore.core.limits import Limits
from tests.contract.wire import PATIENCE, Wire, client_of

TOOL = "tools/call"


class Handlers:
    """Tools that tell the test when they began and how they ended."""

    def __init__(self) -> None:
        self.server = Server("contract")
        self.began = asyncio.Event()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.release = threading.Event()

        @self.server.tool
        async def sleep() -> str:
            self.began.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.put_nowait("cancelled")
            return "never"

        @self.server.tool
        async def stubborn(ctx: Context) -> str:
            """Answers, reports and logs although it was cancelled."""
            self.began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await ctx.progress(50)
                await ctx.log("error", "cancelled")
                self.ended.put_nowait(f"cancelled: {ctx.cancelled}")
            return "an answer nobody wants"

        loop = asyncio.get_running_loop()

        @self.server.tool
        def thread(ctx: SyncContext) -> str:
            loop.call_soon_threadsafe(self.began.set)
            cancelled = ctx.cancelled.wait(PATIENCE)
            ctx.progress(50)
            ctx.log("error", "cancelled")
            loop.call_soon_threadsafe(self.ended.put_nowait, f"cancelled: {cancelled}")
            return "an answer nobody wants"

        @self.server.tool
        async def echo(text: str = "") -> str:
            return text

        @self.server.resource("memo://slow")
        async def slow() -> str:
            return await sleep()

        @self.server.prompt
        async def dawdle() -> str:
            return await sleep()

    async def end(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.ended.get()


def cancel(wire: Wire, id: Any, **more: Any) -> None:
    wire.tell("notifications/cancelled", {"requestId": id, **more})


@pytest.mark.spec("2026-07-28/cancellation/S06", "2026-07-28/cancellation/S08", "2026-07-28/stdio/M07")
@pytest.mark.spec("2026-07-28/stdio/S02")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        (TOOL, {"name": "sleep"}),
        (TOOL, {"name": "stubborn"}),
        (TOOL, {"name": "thread"}),
        ("resources/read", {"uri": "memo://slow"}),
        ("prompts/get", {"name": "dawdle"}),
    ],
)
@pytest.mark.parametrize("id", [0, "", "7", 7])
def test_a_cancelled_request_stops_and_nothing_more_is_sent_for_it(
    method: str, params: dict[str, Any], id: Any
) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server) as wire:
            wire.call(method, params, id=id, logLevel="debug", progressToken="p")
            await asyncio.wait_for(handlers.began.wait(), PATIENCE)
            cancel(wire, id, reason="no longer needed")
            assert (await handlers.end()).startswith("cancelled")
            assert await wire.fence() == []
            assert await wire.fence() == []
            await wire.result(TOOL, {"name": "echo"}, id=id)  # the id is free again

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/S12", "2026-07-28/cancellation/S13", "2026-07-28/cancellation/S14")
@pytest.mark.parametrize(
    "params",
    [
        {"requestId": "unknown"},
        {"requestId": "done"},
        {"requestId": 1.0},
        {"requestId": 1.5},
        {"requestId": True},
        {"requestId": None},
        {"requestId": []},
        {"requestId": {}},
        {"requestId": "1"},
        {"requestId": "unknown", "reason": 7},
        {"reason": "none"},
        {},
        None,
    ],
    ids=str,
)
def test_a_cancellation_that_names_no_running_request_is_ignored(params: dict[str, Any] | None) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server) as wire:
            wire.judge = None
            await wire.result(TOOL, {"name": "echo"}, id="done")
            wire.call(TOOL, {"name": "sleep"}, id=1)
            await asyncio.wait_for(handlers.began.wait(), PATIENCE)
            wire.tell("notifications/cancelled", params)
            assert await wire.fence() == []
            assert handlers.ended.empty()
            cancel(wire, 1)  # the number, which "1", 1.0 and true are not
            assert await handlers.end() == "cancelled"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/M07")
@pytest.mark.parametrize("turns", range(8))
def test_a_cancellation_that_races_with_the_answer_harms_nothing(turns: int) -> None:
    async def main() -> None:
        handlers = Handlers()

        @handlers.server.tool
        async def brief() -> str:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return "brief"

        @handlers.server.tool
        def threaded() -> str:
            return "threaded"

        async with client_of(handlers.server) as wire:
            for name in ("echo", "brief", "threaded"):
                wire.call(TOOL, {"name": name}, id=name)
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancel(wire, name)
                answers = await wire.fence() + await wire.fence()
                assert [answer.get("id") for answer in answers] in ([], [name])
            # the conversation goes on as if nothing had been
            assert (await wire.result(TOOL, {"name": "echo", "arguments": {"text": "on"}}))["content"][0][
                "text"
            ] == "on"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/M07")
def test_request_and_cancellation_in_one_write_get_at_most_one_answer() -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server) as wire:
            wire.judge = None  # what is written by hand below is not shown to it
            writes: list[bytes] = []
            assert wire._write is not None
            write, wire._write = wire._write, writes.append
            for number in range(100):
                wire.call(TOOL, {"name": ("sleep", "echo")[number % 2]}, id=number)
                cancel(wire, number)
            wire._write = write
            write(b"".join(writes))
            answered = [message["id"] for message in await wire.fence()]
            assert len(set(answered)) == len(answered)
            assert all(number % 2 for number in answered)  # those that never end were cancelled

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/M01", "2026-07-28/cancellation/M06")
def test_the_server_cancels_nothing_of_its_own_accord() -> None:
    async def main() -> None:
        handlers = Handlers()

        @handlers.server.tool(timeout=0.01)
        async def late() -> str:
            return str(await asyncio.Event().wait())

        @handlers.server.tool
        async def gives_up() -> str:
            raise asyncio.CancelledError

        async with client_of(handlers.server) as wire:
            wire.call(TOOL, {"name": "sleep"}, id="sleeping")
            assert (await wire.result(TOOL, {"name": "late"}))["isError"] is True
            assert (await wire.error(TOOL, {"name": "gives_up"}))["code"] == -32603
            await wire.fence()
            sent = [json.loads(line) for side, line in wire.lines if side == "server"]
            assert all("method" not in message for message in sent)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/S06", "2026-07-28/stdio/S02")
def test_work_that_is_cancelled_while_it_waits_for_a_thread_never_begins() -> None:
    async def main() -> None:
        server = Server("contract", limits=Limits(threads=1, waiting_threads=0))
        ran: list[str] = []
        began, release = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        @server.tool
        def busy(name: str) -> str:
            ran.append(name)
            loop.call_soon_threadsafe(began.set)
            release.wait(PATIENCE)
            return name

        async with client_of(server) as wire:
            for name in ("first", "second", "third"):
                wire.call(TOOL, {"name": "busy", "arguments": {"name": name}}, id=name)
            await asyncio.wait_for(began.wait(), PATIENCE)
            cancel(wire, "second")
            assert await wire.fence() == []
            release.set()
            assert {(await wire.hear())["id"] for _ in range(2)} == {"first", "third"}
            assert ran == ["first", "third"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M02")
@pytest.mark.parametrize("failure", [asyncio.CancelledError, SystemExit, BaseException, StopIteration])
@pytest.mark.parametrize("kind", ["at once", "task", "thread", "loop"])
def test_a_handler_that_ends_in_any_way_gets_its_request_one_answer(failure: type[BaseException], kind: str) -> None:
    async def main() -> None:
        server = Server("contract")

        async def at_once() -> str:
            raise failure

        async def task() -> str:
            await asyncio.sleep(0)
            raise failure

        def function() -> str:
            raise failure

        if kind in ("thread", "loop"):
            server.add_tool(function, name="ends", thread="worker" if kind == "thread" else "loop")
        else:
            server.add_tool(task if kind == "task" else at_once, name="ends")

        async with client_of(server) as wire:
            response = await wire.ask(TOOL, {"name": "ends"})
            assert ("error" in response and response["error"]["code"] == -32603) or response["result"]["isError"]
            await wire.result("tools/list")

    asyncio.run(main())
