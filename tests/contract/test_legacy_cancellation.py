"""2024-11-05 to 2025-11-25, basic/utilities: cancellation, ping and progress, the server's side; its timeouts too."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Context, Server, SyncContext
from mcpcore.core.limits import Limits
from mcpcore.testing import FakeClock
from tests.contract.wire import LEGACY, PATIENCE, Wire, client_of

TOOL = "tools/call"


class Handlers:
    """Tools that tell the test when they began and how they ended."""

    def __init__(self, **options: Any) -> None:
        self.server = Server("contract", **options)
        self.began = asyncio.Event()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

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
            self.began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await ctx.progress(50)
                await ctx.log("error", "cancelled")
                self.ended.put_nowait("cancelled")
            return "an answer nobody wants"

        @self.server.tool
        def thread(ctx: SyncContext) -> str:
            loop.call_soon_threadsafe(self.began.set)
            cancelled = ctx.cancelled.wait(PATIENCE)
            ctx.progress(50)
            loop.call_soon_threadsafe(self.ended.put_nowait, "cancelled" if cancelled else "not cancelled")
            return "an answer nobody wants"

        @self.server.tool
        async def ask(ctx: Context) -> str:
            self.began.set()
            try:
                return str(len(await ctx.roots()))
            finally:
                self.ended.put_nowait("over")

        @self.server.tool
        async def echo(text: str = "") -> str:
            return text

        @self.server.tool
        async def report(ctx: Context, values: list[float]) -> str:
            for value in values:
                await ctx.progress(value, total=10, message=f"at {value}")
                await asyncio.sleep(0)
            return "done"

        self.held: list[Any] = []

        @self.server.tool
        async def keep(ctx: Context) -> str:
            self.held.append(ctx)
            return "kept"

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


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/cancellation/S01", "2024-11-05/cancellation/S03", "2024-11-05/progress/M05")
@pytest.mark.parametrize("revision", LEGACY)
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
def test_a_cancelled_request_stops_and_is_not_answered(method: str, params: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, revision) as wire:
            for id in (0, "7"):
                wire.call(method, {**params, "_meta": {"progressToken": id}}, id=id)
                await asyncio.wait_for(handlers.began.wait(), PATIENCE)
                handlers.began.clear()
                cancel(wire, id, reason="no longer needed")
                assert await handlers.end() == "cancelled"
                before = await wire.fence() + await wire.fence()
                assert [m for m in before if m.get("method") != "notifications/message"] == []

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M04", "2024-11-05/cancellation/S07", "2024-11-05/cancellation/S08")
@pytest.mark.spec("2024-11-05/cancellation/S09", "2024-11-05/schema/S02")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_cancellation_that_fits_nothing_open_changes_nothing(revision: str) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, revision) as wire:
            wire.judge = None  # our cancellations break the rules
            await wire.result(TOOL, {"name": "echo"}, id="done")
            wire.call(TOOL, {"name": "sleep"}, id=7)
            await asyncio.wait_for(handlers.began.wait(), PATIENCE)
            wrong: tuple[Any, ...] = ("done", "unknown", "7", 7.0, 7.5, True, None, [7], {"id": 7})
            for id in wrong:
                cancel(wire, id)
            for params in ({}, {"reason": "none"}, {"requestId": "unknown", "reason": 5}):
                wire.tell("notifications/cancelled", params)
            assert await wire.fence() == []
            assert handlers.ended.empty()
            cancel(wire, 7, reason=5)  # a reason of the wrong type does not keep it from being understood
            assert await handlers.end() == "cancelled"
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/tasks/M09")
def test_a_server_without_tasks_serves_and_cancels_a_call_with_a_task_as_any_other() -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, "2025-11-25") as wire:
            arguments = {"text": "x"}
            result = await wire.result(TOOL, {"name": "echo", "arguments": arguments, "task": {"ttl": 1000}})
            assert result["content"][0]["text"] == "x" and "task" not in result
            id = wire.call(TOOL, {"name": "sleep", "task": {}})
            await asyncio.wait_for(handlers.began.wait(), PATIENCE)
            cancel(wire, id)
            assert await handlers.end() == "cancelled"
            assert (await wire.error("tasks/list", {}))["code"] == -32601

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M04", "2024-11-05/cancellation/Y01")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_cancellation_that_races_with_the_answer_does_no_harm(revision: str) -> None:
    async def main() -> None:
        async with client_of(Handlers().server, revision) as wire:
            for number in range(50):
                wire.call(TOOL, {"name": "echo"}, id=f"n{number}")
                cancel(wire, f"n{number}")
            answered = [message["id"] for message in await wire.fence()]
            assert len(set(answered)) == len(answered)
            assert (await wire.result(TOOL, {"name": "echo", "arguments": {"text": "x"}}))["content"][0]["text"] == "x"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M03", "2024-11-05/cancellation/Y01")
def test_a_cancellation_of_initialize_is_ignored() -> None:
    async def main() -> None:
        async with client_of(Handlers().server) as wire:
            wire.judge = None  # it is we who break the rule
            wire.revision = "2025-11-25"
            info = {"name": "wire", "version": "1"}
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
            wire.call("initialize", params, id="i")
            cancel(wire, "i")
            assert (await wire.answer("i"))["result"]["protocolVersion"] == "2025-11-25"
            await wire.result("tools/list")

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M01", "2024-11-05/cancellation/M02", "2024-11-05/cancellation/S04")
@pytest.mark.spec("2025-11-25/schema/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_questions_of_a_cancelled_request_are_cancelled_too(revision: str) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, revision, {"roots": {}}) as wire:
            call = wire.call(TOOL, {"name": "ask"})
            asked = await wire.hear("roots/list")
            cancel(wire, call)
            assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == asked["id"]
            assert await handlers.end() == "over"
            wire.reply(asked, {"roots": []})  # too late, and ignored
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M01")
def test_an_id_of_the_servers_own_question_is_not_for_the_client_to_cancel() -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, "2025-11-25", {"roots": {}}) as wire:
            wire.judge = None
            call = wire.call(TOOL, {"name": "ask"}, id="call")
            asked = await wire.hear("roots/list")
            cancel(wire, asked["id"])
            assert await wire.fence() == []
            wire.reply(asked, {"roots": []})
            assert (await wire.answer(call))["result"]["content"][0]["text"] == "0"

    asyncio.run(main())


# -- timeouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/lifecycle/S11", "2025-03-26/lifecycle/S12", "2025-03-26/lifecycle/S17")
@pytest.mark.spec("2024-11-05/cancellation/S04", "2024-11-05/lifecycle/S15")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_question_that_is_not_answered_in_time_is_cancelled_and_its_tool_fails(revision: str) -> None:
    async def main() -> None:
        handlers = Handlers(limits=Limits(answer_seconds=3))
        async with client_of(handlers.server, revision, {"roots": {}}) as wire:
            call = wire.call(TOOL, {"name": "ask"})
            asked = await wire.hear("roots/list")
            cancelled = await wire.hear("notifications/cancelled")
            assert cancelled["params"]["requestId"] == asked["id"]
            assert (await wire.answer(call))["result"]["isError"] is True
            wire.reply(asked, {"roots": []})
            assert await wire.fence() == []

    FakeClock().run(main())


# -- ping --------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/ping/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_ping_is_answered_at_once_with_an_empty_result(revision: str) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, revision, {"roots": {}}) as wire:
            wire.call(TOOL, {"name": "thread"}, id="busy")
            wire.call(TOOL, {"name": "ask"}, id="asking")
            await wire.hear("roots/list")
            for params in (None, {}, {"_meta": {"progressToken": 1}}, {"acme": 1}):
                assert await wire.ask("ping", params, id="ping" + json.dumps(params)) == {
                    "jsonrpc": "2.0",
                    "id": "ping" + json.dumps(params),
                    "result": {},
                }
            cancel(wire, "busy")
            assert "cancelled" in {await handlers.end()}

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/ping/S04")
def test_a_server_that_has_nothing_to_ask_sends_no_pings() -> None:
    async def main() -> None:
        async with client_of(Handlers().server, "2025-11-25") as wire:
            await asyncio.sleep(600)
            assert await wire.fence() == []

    FakeClock().run(main())


# -- progress ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/progress/M01", "2024-11-05/progress/M03", "2024-11-05/progress/M04")
@pytest.mark.spec("2024-11-05/progress/Y01", "2024-11-05/progress/M06", "2025-03-26/progress/S01")
@pytest.mark.spec("2024-11-05/messages/M08")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("token", [0, -3, 2**53 + 1, "", "0", "é"])
def test_progress_carries_the_token_as_it_came_and_rises(revision: str, token: Any) -> None:
    async def main() -> None:
        async with client_of(Handlers().server, revision) as wire:
            arguments = {"values": [0, 0.5, 0.5, 0.25, 2, 1, 10]}
            call = wire.call(TOOL, {"name": "report", "arguments": arguments, "_meta": {"progressToken": token}})
            before, response = await wire.until(call)
            assert response["result"]["content"][0]["text"] == "done"
            values = [message["params"]["progress"] for message in before]
            assert values and values == sorted(set(values)) and values[-1] == 10
            for message in before:
                assert message["method"] == "notifications/progress"
                assert "id" not in message
                params = message["params"]
                assert type(params["progressToken"]) is type(token) and params["progressToken"] == token
                assert params["total"] == 10
                assert ("message" in params) == (revision >= "2025-03-26")  # newer than 2024-11-05

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/progress/M04", "2024-11-05/progress/M05", "2024-11-05/progress/M06")
@pytest.mark.parametrize("revision", LEGACY)
def test_no_progress_without_a_token_and_none_after_the_answer(revision: str) -> None:
    async def main() -> None:
        handlers = Handlers()
        async with client_of(handlers.server, revision) as wire:
            arguments = {"values": [1, 2, 3]}
            metas: tuple[dict[str, Any], ...] = ({}, {"_meta": {}}, {"_meta": {"acme.example/progressToken": 1}})
            for meta in metas:
                assert (await wire.result(TOOL, {"name": "report", "arguments": arguments, **meta}))["content"]
            await wire.result(TOOL, {"name": "keep", "_meta": {"progressToken": "late"}})
            await handlers.held[0].progress(5)
            assert await wire.fence() == []

    asyncio.run(main())
