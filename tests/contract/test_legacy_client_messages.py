"""2024-11-05 to 2025-11-25, the client's side: base messages, batches, timeouts, cancellation, ping, progress."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore.client import Client, Timeouts
from mcpcore.errors import CallTimeout, McpError, ProtocolViolation, RpcError
from mcpcore.testing import FakeClock
from tests.contract.wire import LEGACY, Wire, accept, serving

TOOL = "tools/call"
CONTENT = {"content": [{"type": "text", "text": "ok"}]}
BATCHES = "2025-03-26"


async def opened(wire: Wire, revision: str) -> None:
    wire.revision = revision
    await accept(wire, revision, {"tools": {}})


def response(id: Any, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


# -- messages ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/messages/M03", "2024-11-05/messages/M01", "2024-11-05/progress/M02")
@pytest.mark.spec("2024-11-05/progress/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_no_id_and_no_progress_token_is_used_twice(revision: str) -> None:
    async def main() -> None:
        ids: list[Any] = []
        tokens: list[Any] = []

        async def script(wire: Wire) -> None:
            request = await wire.hear("server/discover")
            ids.append(request["id"])
            wire.judge = None  # its opening is of another era
            wire.refuse(request, -32601)
            request = await wire.hear("initialize")
            ids.append(request["id"])
            info = {"name": "wire", "version": "1"}
            wire.reply(request, {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": info})
            await wire.hear("notifications/initialized")
            for _ in range(10):
                calls = [await wire.hear(TOOL) for _ in range(5)]
                ids.extend(call["id"] for call in calls)
                tokens.extend(call["params"]["_meta"]["progressToken"] for call in calls)
                for call in reversed(calls):
                    wire.reply(call, CONTENT)

        async with serving(script) as target, Client(target) as client:
            for _ in range(10):
                await asyncio.gather(*(client.call_tool("x", progress=print) for _ in range(5)))
        for values in (ids, tokens):
            assert all(type(value) in (int, str) for value in values)
            assert len({(type(value), value) for value in values}) == len(values) >= 50

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M04", "2025-11-25/basic/M06")
def test_answers_are_matched_by_type_and_value_of_the_id_in_any_order() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            first, second = await wire.hear(TOOL), await wire.hear(TOOL)
            for call in (first, second):
                id = call["id"]
                twisted = str(id) if type(id) is int else int(id)
                for wrong in (twisted, float(id), None, True, "none"):
                    wire.say(json.dumps(response(wrong, {"content": [{"type": "text", "text": "wrong"}]})).encode())
            for call in (second, first):
                text = call["params"]["name"]
                wire.reply(call, {"content": [{"type": "text", "text": text}]})

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            results = await asyncio.gather(client.call_tool("a"), client.call_tool("b"))
            assert [result.text for result in results] == ["a", "b"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M05", "2024-11-05/messages/M06", "2024-11-05/messages/M07")
@pytest.mark.spec("2025-11-25/basic/M07", "2025-11-25/basic/M09", "2025-03-26/basic/M09")
@pytest.mark.parametrize(
    "answer",
    [
        {"result": CONTENT, "error": {"code": 1, "message": "x"}},
        {"result": None},
        {"result": []},
        {"result": "x"},
        {"error": None},
        {"error": "x"},
        {"error": {}},
        {"error": {"code": "1", "message": "x"}},
        {"error": {"code": 1.5, "message": "x"}},
    ],
    ids=str,
)
def test_an_answer_that_is_no_answer_fails_the_call_and_nothing_else(answer: dict[str, Any]) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            call = await wire.hear(TOOL)
            wire.say(json.dumps({"jsonrpc": "2.0", "id": call["id"], **answer}).encode())
            wire.reply(await wire.hear("ping"), {})

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            with pytest.raises(ProtocolViolation):
                await client.call_tool("x")
            await client.ping()

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M11", "2024-11-05/cancellation/S09", "2024-11-05/cancellation/S07")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_client_answers_no_notification_and_no_rubbish(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            call = await wire.hear(TOOL)
            for more in (
                {"method": "notifications/acme"},
                {"method": "ping"},
                {"method": "roots/list"},
                {"method": "notifications/progress"},
                {"method": "notifications/progress", "params": {"progressToken": "none", "progress": 1}},
                {"method": "notifications/cancelled"},
                {"method": "notifications/cancelled", "params": {}},
                {"method": "notifications/cancelled", "params": {"requestId": "none"}},
                {"method": "notifications/cancelled", "params": {"requestId": {}}},
                {"method": "notifications/cancelled", "params": [1]},
                {
                    "method": "notifications/cancelled",
                    "params": {"requestId": call["id"]},
                },  # not the server's to cancel
                {"method": "notifications/tools/list_changed", "params": 5},
                {"method": "notifications/message", "params": {"level": 5}},
                {"method": 5},
                {},
            ):
                wire.say(json.dumps({"jsonrpc": "2.0", **more}).encode())
            wire.say(b"no JSON at all")
            wire.say(b"5")
            assert await wire.result("ping") == {}
            wire.reply(call, CONTENT)

        async with serving(script) as target, Client(target, revisions=LEGACY, roots=[]) as client:
            assert (await client.call_tool("x")).text == "ok"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M04", "2025-11-25/basic/M08", "2024-11-05/ping/M01")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("id", [0, -1, 2**53 + 1, "", "1", "é"])
def test_the_client_answers_with_the_id_of_the_question(revision: str, id: Any) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            assert await wire.ask("ping", id=id) == response(id, {})
            error = await wire.ask("acme/none", {}, id=f"{id}x")
            assert set(error) == {"jsonrpc", "id", "error"}
            assert error["error"]["code"] == -32601

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            await target.tasks[0]
            assert client.revision == revision

    asyncio.run(main())


# -- batches -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/basic/M13", "2025-03-26/basic/Y02")
def test_the_client_takes_batches_of_everything_a_server_may_say() -> None:
    async def main() -> None:
        logged: list[Any] = []
        reports: list[float] = []

        async def script(wire: Wire) -> None:
            await opened(wire, BATCHES)
            first, second = await wire.hear(TOOL), await wire.hear(TOOL)
            token = first["params"]["_meta"]["progressToken"]
            wire.say(
                [
                    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hi"}},
                    {
                        "jsonrpc": "2.0",
                        "method": "notifications/progress",
                        "params": {"progressToken": token, "progress": 1},
                    },
                ]
            )
            wire.say(
                [
                    {"jsonrpc": "2.0", "id": "p", "method": "ping"},
                    {"jsonrpc": "2.0", "id": "r", "method": "roots/list"},
                    {"jsonrpc": "2.0", "id": "x", "method": "acme/none"},
                ]
            )
            answers = {answer["id"]: answer for answer in await wire.hear()}
            assert set(answers) == {"p", "r", "x"}
            assert answers["p"]["result"] == {}
            assert answers["r"]["result"]["roots"][0]["uri"] == "file:///a"
            assert answers["x"]["error"]["code"] == -32601
            error = {"jsonrpc": "2.0", "id": second["id"], "error": {"code": -32050, "message": "no"}}
            wire.say([response(first["id"], CONTENT), error])
            wire.reply(await wire.hear("ping"), {})

        options: dict[str, Any] = {
            "roots": ["file:///a"],
            "log": logged.append,
            "progress": lambda p: reports.append(p.progress),
        }
        async with serving(script) as target, Client(target, revisions=LEGACY, **options) as client:
            good, bad = await asyncio.gather(client.call_tool("a"), client.call_tool("b"), return_exceptions=True)
            assert not isinstance(good, BaseException) and good.text == "ok"
            assert isinstance(bad, RpcError) and bad.code == -32050
            await client.ping()
        assert [message.data for message in logged] == ["hi"]
        assert reports == [1]

    asyncio.run(main())


# -- timeouts and cancellation -----------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/lifecycle/S12", "2025-03-26/lifecycle/S11", "2025-03-26/lifecycle/S17")
@pytest.mark.spec("2024-11-05/cancellation/S04", "2024-11-05/cancellation/M01", "2024-11-05/cancellation/M02")
@pytest.mark.spec("2024-11-05/cancellation/Y01", "2024-11-05/cancellation/M04", "2024-11-05/lifecycle/S15")
@pytest.mark.spec("2025-11-25/schema/M01", "2024-11-05/schema/S02")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_call_that_times_out_is_cancelled_and_its_late_answer_ignored(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            call = await wire.hear(TOOL)
            cancelled = await wire.hear("notifications/cancelled")
            assert cancelled["params"]["requestId"] == call["id"]
            assert type(cancelled["params"]["requestId"]) is type(call["id"])
            assert "id" not in cancelled
            wire.reply(call, CONTENT)
            wire.reply(await wire.hear("ping"), {})

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            with pytest.raises(CallTimeout):
                await client.call_tool("slow", timeout=5)
            await client.ping()

    FakeClock().run(main())


@pytest.mark.spec("2025-03-26/lifecycle/S11", "2025-03-26/lifecycle/S12", "2024-11-05/progress/Y02")
def test_without_being_asked_every_request_has_a_limit_of_time() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            for _ in range(3):
                request = await wire.hear()
                await asyncio.sleep(60)
                cancelled = await wire.hear("notifications/cancelled")
                assert cancelled["params"]["requestId"] == request["id"]

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            for ask in (client.list_tools, client.ping, lambda: client.request("acme/x")):
                with pytest.raises(CallTimeout):
                    await ask()

    FakeClock().run(main())


@pytest.mark.spec("2025-03-26/lifecycle/S14", "2025-03-26/lifecycle/Y02")
def test_progress_resets_the_idle_limit_but_never_the_total() -> None:
    clock = FakeClock()

    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            call = await wire.hear(TOOL)
            token = call["params"]["_meta"]["progressToken"]
            for count in range(1, 100):
                await asyncio.sleep(3)
                if wire._unread:
                    break
                wire.tell("notifications/progress", {"progressToken": token, "progress": count})
            cancelled = await wire.hear("notifications/cancelled")
            assert cancelled["params"]["requestId"] == call["id"]

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            began = clock.time()
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("slow", timeout=Timeouts(idle=4, total=20))
            assert caught.value.limit == "total"
            assert 20 <= clock.time() - began < 21

    clock.run(main())


@pytest.mark.spec("2024-11-05/cancellation/M01", "2024-11-05/cancellation/M02", "2024-11-05/cancellation/S04")
@pytest.mark.parametrize("revision", LEGACY)
def test_only_a_call_that_is_still_open_is_cancelled(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            wire.reply(await wire.hear(TOOL), CONTENT)
            kept, dropped = await wire.hear(TOOL), await wire.hear(TOOL)
            assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == dropped["id"]
            wire.refuse(dropped, -32800, "cancelled")
            wire.reply(kept, CONTENT)
            wire.reply(await wire.hear("ping"), {})

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            done = asyncio.ensure_future(client.call_tool("a"))
            await done
            assert not done.cancel()
            kept = asyncio.ensure_future(client.call_tool("b"))
            dropped = asyncio.ensure_future(client.call_tool("c"))
            while len(target.wires[0].lines) < 7:  # initialize, its result, initialized, a, its result, b, c
                await asyncio.sleep(0)
            dropped.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dropped
            assert (await kept).text == "ok"
            await client.ping()

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/cancellation/S01", "2024-11-05/cancellation/S03", "2024-11-05/cancellation/S08")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_question_that_the_server_cancels_is_given_up_and_not_answered(revision: str) -> None:
    async def main() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def sample(request: Any) -> str:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return "never"

        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            message = {"role": "user", "content": {"type": "text", "text": "?"}}
            id = wire.call("sampling/createMessage", {"messages": [message], "maxTokens": 1})
            await asyncio.wait_for(began.wait(), 10)
            wire.tell("notifications/cancelled", {"requestId": id, "reason": "enough"})
            await asyncio.wait_for(ended.wait(), 10)
            wire.tell("notifications/cancelled", {"requestId": id})  # over already
            assert await wire.result("ping") == {}

        async with serving(script) as target, Client(target, revisions=LEGACY, sampling=sample) as client:
            await target.tasks[0]
            assert client.revision == revision

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/tasks/M09")
def test_a_client_without_tasks_answers_a_question_with_a_task_as_any_other() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            message = {"role": "user", "content": {"type": "text", "text": "?"}}
            params = {"messages": [message], "maxTokens": 1, "task": {"ttl": 1000}}
            result = await wire.result("sampling/createMessage", params)
            assert result["content"]["text"] == "!" and "task" not in result

        async with serving(script) as target, Client(target, revisions=LEGACY, sampling=lambda _: "!"):
            await target.tasks[0]

    asyncio.run(main())


# -- ping and progress -------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/ping/S05", "2025-03-26/lifecycle/S17")
def test_a_ping_that_is_not_answered_is_an_error_in_time() -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, "2025-11-25")
            ping = await wire.hear("ping")
            assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == ping["id"]

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            with pytest.raises(CallTimeout):
                await client.ping(timeout=3)

    FakeClock().run(main())


@pytest.mark.spec("2024-11-05/ping/Y01", "2024-11-05/lifecycle/Y01")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_server_that_hangs_up_ends_every_call_with_an_error(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            await wire.hear(TOOL)
            await wire.hear(TOOL)
            wire.close()

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            outcomes = await asyncio.gather(client.call_tool("a"), client.call_tool("b"), return_exceptions=True)
            assert all(isinstance(outcome, McpError) for outcome in outcomes)

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/progress/Y01", "2024-11-05/progress/Y02", "2024-11-05/progress/M06")
@pytest.mark.parametrize("revision", LEGACY)
def test_progress_may_be_fractional_or_never_come_and_none_is_heard_after_the_result(revision: str) -> None:
    async def main() -> None:
        reports: list[tuple[float, float | None]] = []

        async def script(wire: Wire) -> None:
            await opened(wire, revision)
            call = await wire.hear(TOOL)
            token = call["params"]["_meta"]["progressToken"]
            for progress in (0, 0.25, 1.5):
                wire.tell("notifications/progress", {"progressToken": token, "progress": progress, "total": 2.5})
            wire.reply(call, CONTENT)
            wire.say(
                json.dumps(
                    {
                        "jsonrpc": "2.0",
                        "method": "notifications/progress",
                        "params": {"progressToken": token, "progress": 9},
                    }
                ).encode()
            )
            wire.reply(await wire.hear(TOOL), CONTENT)

        async with serving(script) as target, Client(target, revisions=LEGACY) as client:
            await client.call_tool("a", progress=lambda p: reports.append((p.progress, p.total)))
            await client.call_tool("b", progress=lambda p: reports.append((p.progress, p.total)))
        assert reports == [(0, 2.5), (0.25, 2.5), (1.5, 2.5)]

    asyncio.run(main())
