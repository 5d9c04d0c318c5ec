"""2024-11-05 to 2025-11-25, basic/index: requests, responses, notifications, and the batches of 2025-03-26.

The server's side; what a client makes of a server's messages is in test_legacy_client_messages.py.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Context, RpcError, Server
from tests.contract.wire import LEGACY, MODERN, PATIENCE, client_of

TOOL = "tools/call"
BATCHES = "2025-03-26"
IDS = [0, -1, 1, 2**53 + 1, 2**63 - 1, "", "1", "007", "é\u2028\n", "x" * 500]


def make_server() -> Server:
    server = Server("contract")

    @server.tool
    async def echo(text: str = "") -> str:
        return text

    @server.tool
    async def sleep() -> str:
        await asyncio.Event().wait()
        return "never"

    @server.tool
    async def fail() -> str:
        raise ValueError("secret")

    @server.tool
    async def refuse() -> str:
        raise RpcError(-32050, "refused by the tool", {"why": 1})

    @server.tool
    async def roots(ctx: Context) -> str:
        return str([root.uri for root in await ctx.roots()])

    @server.tool
    async def twice(ctx: Context) -> str:
        return str(len(await ctx.roots()) + len(await ctx.roots()))

    @server.tool
    async def report(ctx: Context) -> str:
        await ctx.progress(1)
        await asyncio.sleep(0)
        await ctx.progress(2)
        return "done"

    return server


def request(method: str, id: Any, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


# -- single messages ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/messages/M04", "2025-11-25/basic/M06", "2025-11-25/basic/M07", "2024-11-05/messages/M05")
@pytest.mark.spec("2025-11-25/basic/M08", "2025-11-25/basic/M09", "2025-03-26/basic/M09", "2024-11-05/messages/M07")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("id", IDS, ids=str)
def test_every_answer_carries_the_id_of_its_request_and_either_a_result_or_an_error(revision: str, id: Any) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            for method, params in [
                ("ping", None),
                ("tools/list", {}),
                (TOOL, {"name": "echo"}),
                (TOOL, {"name": "fail"}),
            ]:
                response = await wire.ask(method, params, id=id)  # ``answer`` compares type and value of the id
                assert set(response) == {"jsonrpc", "id", "result"}
                assert type(response["result"]) is dict
            for method, params in [("acme/none", {}), (TOOL, {"name": "none"}), (TOOL, {"name": "refuse"})]:
                response = await wire.ask(method, params, id=id)
                assert set(response) == {"jsonrpc", "id", "error"}
                assert type(response["error"]["code"]) is int
                assert type(response["error"]["message"]) is str and response["error"]["message"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/S06", "2024-11-05/schema/S07")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_tool_that_fails_is_a_result_and_a_tool_that_is_not_there_an_error(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            assert (await wire.result(TOOL, {"name": "fail"}))["isError"] is True
            assert (await wire.error(TOOL, {"name": "none"}))["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M11", "2024-11-05/cancellation/S09")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize(
    "more",
    [
        {"method": "notifications/acme"},
        {"method": "acme"},
        {"method": "ping"},
        {"method": "tools/list"},
        {"method": TOOL, "params": {"name": "echo"}},
        {"method": "initialize", "params": {}},
        {"method": "notifications/initialized"},
        {"method": "notifications/initialized", "params": {"_meta": 5}},
        {"method": "notifications/progress", "params": {"progressToken": "none", "progress": 1}},
        {"method": "notifications/progress", "params": {}},
        {"method": "notifications/roots/list_changed"},
        {"method": "notifications/cancelled"},
        {"method": "notifications/cancelled", "params": {"requestId": [1]}},
        {"method": "notifications/cancelled", "params": [1]},
        {"method": "notifications/cancelled", "params": "1"},
        {"method": "notifications/cancelled", "params": None},
        {"method": "notifications/acme", "params": [1, 2]},
    ],
    ids=str,
)
def test_a_notification_is_never_answered(more: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            wire.say(json.dumps({"jsonrpc": "2.0", **more}).encode())
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M03", "2024-11-05/messages/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_server_asks_with_ids_that_are_never_used_again(revision: str) -> None:
    async def main() -> None:
        seen: list[Any] = []
        async with client_of(make_server(), revision, {"roots": {}}) as wire:
            for _ in range(10):
                call = wire.call(TOOL, {"name": "twice"})
                for _ in range(2):
                    asked = await wire.hear("roots/list")
                    seen.append((type(asked["id"]), asked["id"]))
                    wire.reply(asked, {"roots": []})
                assert (await wire.answer(call))["result"]["content"][0]["text"] == "0"
        assert len(set(seen)) == len(seen) == 20
        assert {kind for kind, _ in seen} <= {int, str}

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M05", "2024-11-05/messages/M06")
@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"roots": []}, "error": {"code": 1, "message": "x"}},
        {"result": None},
        {"result": []},
        {"error": None},
        {"error": {}},
        {"error": {"code": "1", "message": "x"}},
        {"error": {"code": 1.5, "message": "x"}},
    ],
    ids=str,
)
def test_an_answer_that_is_no_answer_fails_the_question_and_nothing_else(answer: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), "2025-11-25", {"roots": {}}) as wire:
            call = wire.call(TOOL, {"name": "roots"})
            asked = await wire.hear("roots/list")
            wire.say(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}).encode())
            response = await wire.answer(call)
            assert "error" in response or response["result"]["isError"]
            assert await wire.result("ping") == {}

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/messages/M04")
def test_an_answer_to_nothing_and_one_with_the_id_of_another_type_are_ignored() -> None:
    async def main() -> None:
        async with client_of(make_server(), "2025-11-25", {"roots": {}}) as wire:
            call = wire.call(TOOL, {"name": "roots"})
            asked = await wire.hear("roots/list")
            twisted = str(asked["id"]) if type(asked["id"]) is int else 0
            for id in (twisted, "none", 99, None):
                wire.say(
                    json.dumps({"jsonrpc": "2.0", "id": id, "result": {"roots": [{"uri": "file:///no"}]}}).encode()
                )
            assert await wire.fence() == []
            wire.reply(asked, {"roots": [{"uri": "file:///yes"}]})
            assert "file:///yes" in (await wire.answer(call))["result"]["content"][0]["text"]

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/Y01", "2025-11-25/basic/Y01")
@pytest.mark.parametrize("revision", LEGACY)
def test_members_that_nobody_knows_are_tolerated_in_requests_and_in_answers(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision, {"roots": {}}) as wire:
            wire.say({**request(TOOL, "x", name="roots", acme=[1], _meta={"acme.example/y": None}), "acme": {}})
            asked = await wire.hear("roots/list")
            root = {"uri": "file:///a", "acme": 1}
            result = {"roots": [root], "acme": {"deep": []}, "_meta": {"acme.example/x": 1}}
            wire.say({"jsonrpc": "2.0", "id": asked["id"], "result": result, "acme": True})
            assert "file:///a" in (await wire.answer("x"))["result"]["content"][0]["text"]

    asyncio.run(main())


# -- batches -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/basic/M13", "2025-03-26/basic/Y02")
def test_a_batch_is_answered_by_one_batch_with_an_answer_for_each_request() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES) as wire:
            wire.say(
                [
                    request("ping", "a"),
                    request(TOOL, 2, name="echo", arguments={"text": "x"}),
                    {"jsonrpc": "2.0", "method": "notifications/acme"},
                    request("acme/none", "c"),
                    request("tools/list", 0),
                    request(TOOL, "e", name="none"),
                ]
            )
            answers = {answer["id"]: answer for answer in await wire.hear()}
            assert list(answers) and set(answers) == {"a", 2, "c", 0, "e"}
            assert answers["a"]["result"] == {}
            assert answers[2]["result"]["content"][0]["text"] == "x"
            assert answers["c"]["error"]["code"] == -32601
            assert answers[0]["result"]["tools"]
            assert answers["e"]["error"]["code"] == -32602
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M13", "2025-03-26/basic/M11")
def test_a_batch_of_notifications_and_answers_is_not_answered() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES, {"roots": {}}) as wire:
            first, second = wire.call(TOOL, {"name": "roots"}), wire.call(TOOL, {"name": "roots"})
            asked = [await wire.hear("roots/list"), await wire.hear("roots/list")]
            wire.say([{"jsonrpc": "2.0", "method": "notifications/acme"}] * 3)
            wire.say([{"jsonrpc": "2.0", "id": one["id"], "result": {"roots": []}} for one in asked])
            assert {(await wire.hear())["id"], (await wire.hear())["id"]} == {first, second}
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M13")
def test_what_is_wrong_inside_a_batch_is_answered_and_the_rest_is_served() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES) as wire:
            wire.judge = None  # our batch is wrong, and errors without an id answer it
            wire.say([1, [], "x", None, {}, {"jsonrpc": "2.0", "id": "bad", "method": 5}, request("ping", "good")])
            answers = await wire.hear()
            assert [a["error"]["code"] for a in answers if "error" in a] == [-32600] * 6
            assert [a["id"] for a in answers if "error" in a] == [None] * 5 + ["bad"]
            assert [a for a in answers if "result" in a] == [{"jsonrpc": "2.0", "id": "good", "result": {}}]
            wire.say([1])
            assert [answer["error"]["code"] for answer in await wire.hear()] == [-32600]
            wire.say([])
            assert (await wire.hear())["error"]["code"] == -32600  # one error, no array (JSON-RPC 2.0, section 6)
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/lifecycle/M05")
def test_initialize_in_a_batch_is_refused_and_begins_no_session() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None  # our own message is wrong
            wire.revision = BATCHES
            params = {"protocolVersion": BATCHES, "capabilities": {}, "clientInfo": {"name": "w", "version": "1"}}
            wire.say([request("initialize", 1, **params), request("tools/list", 2)])
            assert (await wire.hear())["error"]["code"] == -32600
            assert "error" in await wire.ask("tools/list", {})
            await wire.shake(BATCHES)
            wire.say([request("initialize", 1, **params), request("ping", 2)])
            answers = {answer["id"]: answer for answer in await wire.hear()}
            assert answers[1]["error"]["code"] == -32600
            assert answers[2]["result"] == {}

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M13", "2024-11-05/cancellation/S03", "2024-11-05/cancellation/S01")
def test_a_request_of_a_batch_can_be_cancelled_and_the_others_are_answered() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES) as wire:
            wire.say([request(TOOL, "slow", name="sleep"), request("ping", "quick")])
            assert await wire.fence() == []  # the answers travel together
            wire.tell("notifications/cancelled", {"requestId": "slow"})
            assert await wire.hear() == [{"jsonrpc": "2.0", "id": "quick", "result": {}}]
            wire.say([request(TOOL, "alone", name="sleep")])
            wire.tell("notifications/cancelled", {"requestId": "alone"})
            assert await wire.fence() == []  # an empty batch would be no message
            # cancelled by the very batch that asks
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "x"}}
            wire.say([request(TOOL, "x", name="sleep"), cancel, request("ping", "y")])
            assert await wire.hear() == [{"jsonrpc": "2.0", "id": "y", "result": {}}]

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M13")
def test_requests_of_a_batch_run_side_by_side_and_may_ask_and_report() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES, {"roots": {}}) as wire:
            reporting = request(TOOL, 1, name="report", _meta={"progressToken": "p"})
            wire.say([reporting, request(TOOL, 2, name="roots"), request(TOOL, 3, name="roots")])
            asked: list[Any] = []
            reports: list[Any] = []
            async with asyncio.timeout(PATIENCE):
                while len(asked) < 2:
                    message = await wire.hear()
                    (asked if message["method"] == "roots/list" else reports).append(message)
            wire.say([{"jsonrpc": "2.0", "id": one["id"], "result": {"roots": []}} for one in asked])
            before: list[Any] = []
            answers = await wire.hear()
            while isinstance(answers, dict):
                before.append(answers)
                answers = await wire.hear()
            assert {message["method"] for message in before + reports} == {"notifications/progress"}
            assert {answer["id"] for answer in answers} == {1, 2, 3}
            assert all("result" in answer for answer in answers)

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10")
@pytest.mark.parametrize("revision", [revision for revision in LEGACY if revision != BATCHES])
def test_other_revisions_have_no_batches(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            wire.say(json.dumps([request("ping", 1), request("ping", 2)]).encode())
            error = await wire.hear()
            assert error["error"]["code"] == -32600
            assert error.get("id") is None
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/basic/M13")
def test_a_modern_request_does_not_take_the_batches_from_the_session() -> None:
    async def main() -> None:
        async with client_of(make_server(), BATCHES) as wire:
            wire.judge = None  # it follows one era
            wire.revision = MODERN
            await wire.result("server/discover")
            wire.say([request("ping", 1)])
            assert await wire.hear() == [{"jsonrpc": "2.0", "id": 1, "result": {}}]

    asyncio.run(main())
