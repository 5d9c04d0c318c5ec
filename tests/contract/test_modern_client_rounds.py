"""2026-07-28, basic/patterns/mrtr, the client's side: questions answered, state sent back, requests tried again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Client, ElicitResult, Step
from mcpcore.errors import InvalidResult, McpError, RpcError
from tests.contract.wire import META, MODERN, Wire, accept, serving

CAPABILITIES: dict[str, Any] = {"tools": {}, "prompts": {}, "resources": {}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ELICIT: dict[str, Any] = {"method": "elicitation/create", "params": {"message": "Name?", "requestedSchema": FORM}}
URL = {"method": "elicitation/create", "params": {"mode": "url", "message": "Look", "url": "https://example.com/"}}
SAMPLE: dict[str, Any] = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "2 + 2?"}}], "maxTokens": 10},
}
ROOTS = {"method": "roots/list", "params": {}}
TEXT = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}
STATES = [
    "x",
    "",
    "ünï 漢 🎉 \u2028 \x00",
    '{"json": ["like", 1]}',
    "a" * 1_000_000,
    " padded ",
    "eyJhbGciOiJub25lIn0.e30.",
]


def required(requests: dict[str, Any] | None = None, state: str | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"resultType": "input_required"}
    if requests is not None:
        result["inputRequests"] = requests
    return result | ({} if state is None else {"requestState": state})


def answerer(**options: Any) -> dict[str, Any]:
    return {
        "elicitation": lambda question: {"name": "Anna"} if question.mode == "form" else ElicitResult("accept"),
        "sampling": lambda question: "4",
        "roots": ["file:///home/anna"],
        **options,
    }


def without_envelope(request: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = request["params"]
    return {name: value for name, value in params.items() if name not in ("_meta", "inputResponses", "requestState")}


@pytest.mark.spec("2026-07-28/mrtr/M13", "2026-07-28/mrtr/M16", "2026-07-28/schema/M02", "2026-07-28/basic/M36")
@pytest.mark.parametrize(
    ("call", "method", "result"),
    [
        (lambda client: client.call_tool("t", {"a": [1]}), "tools/call", TEXT),
        (lambda client: client.get_prompt("p", {"a": "1"}), "prompts/get", {"resultType": "complete", "messages": []}),
        (
            lambda client: client.read_resource("memo://one"),
            "resources/read",
            {"resultType": "complete", "contents": [], "ttlMs": 0, "cacheScope": "private"},
        ),
    ],
    ids=["tools/call", "prompts/get", "resources/read"],
)
def test_all_questions_are_answered_under_their_keys_before_the_request_is_tried_again(
    call: Any, method: str, result: dict[str, Any]
) -> None:
    questions = {"who": ELICIT, "where": URL, "": SAMPLE, "rööts": ROOTS}

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        first = await wire.hear(method)
        assert not {"inputResponses", "requestState"} & first["params"].keys()
        wire.reply(first, required(questions, "state"))
        again = await wire.hear(method)
        assert again["id"] != first["id"]
        assert without_envelope(again) == without_envelope(first)
        assert (
            again["params"]["_meta"][f"{META}clientCapabilities"]
            == first["params"]["_meta"][f"{META}clientCapabilities"]
        )
        answers = again["params"]["inputResponses"]
        assert answers["who"] == {"action": "accept", "content": {"name": "Anna"}}
        assert answers["where"] == {"action": "accept"}
        assert answers[""]["content"] == {"type": "text", "text": "4"}
        assert [root["uri"] for root in answers["rööts"]["roots"]] == ["file:///home/anna"]
        assert answers.keys() == questions.keys()
        wire.reply(again, result)

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer()) as client:
            await call(client)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M13")
def test_nothing_is_sent_before_the_last_answer_is_there() -> None:
    last = asyncio.Event()

    async def sampling(question: Any) -> str:
        await last.wait()
        return "4"

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": ROOTS, "b": SAMPLE}))
        # an answer of ours to another call proves that the client got this far
        wire.reply(await wire.hear("prompts/get"), {"resultType": "complete", "messages": []})
        last.set()
        again = await wire.hear("tools/call")
        assert again["params"]["inputResponses"].keys() == {"a", "b"}
        wire.reply(again, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer(sampling=sampling)) as client:
            call = asyncio.ensure_future(client.call_tool("t"))
            while not client._answers._asked:
                await asyncio.sleep(0)
            await client.get_prompt("p")
            assert (await call).text == "done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M02", "2026-07-28/mrtr/M14")
@pytest.mark.parametrize("state", STATES, ids=lambda state: ascii(state[:20]))
def test_the_state_comes_back_exactly_as_it_was(state: str) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": ROOTS}, state))
        again = await wire.hear("tools/call")
        assert again["params"]["requestState"] == state
        wire.reply(again, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer()) as client:
            assert (await client.call_tool("t")).text == "done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M15", "2026-07-28/mrtr/Y02", "2026-07-28/mrtr/M14", "2026-07-28/mrtr/M16")
def test_each_retry_carries_the_state_of_its_round_and_none_where_none_was_given() -> None:
    rounds: list[str | None] = ["one", None, "three", "", None]

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        ids = []
        request = await wire.hear("tools/call")
        for number, state in enumerate(rounds):
            ids.append(request["id"])
            wire.reply(request, required({f"q{number}": ROOTS}, state))
            request = await wire.hear("tools/call")
            assert request["params"].get("requestState", "absent") == ("absent" if state is None else state)
            assert list(request["params"]["inputResponses"]) == [f"q{number}"]  # of this round alone
        assert len({*ids, request["id"]}) == len(rounds) + 1
        wire.reply(request, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer()) as client:
            assert (await client.call_tool("t")).text == "done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/Y03", "2026-07-28/mrtr/M14")
def test_a_state_without_questions_is_brought_back() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        for state in ("one", "two"):
            wire.reply(await wire.hear("tools/call"), required(None, state))
        last = await wire.hear("tools/call")
        assert last["params"]["requestState"] == "two"
        assert "inputResponses" not in last["params"]
        wire.reply(last, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            assert (await client.call_tool("t")).text == "done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M17", "2026-07-28/mrtr/M15")
def test_state_and_answers_touch_no_other_request() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        requests = {}
        for _ in range(3):
            request = await wire.hear("tools/call")
            requests[request["params"]["name"]] = request
        wire.reply(requests["a"], required({"q": ROOTS}, "state of a"))
        wire.reply(requests["b"], required({"q": SAMPLE}, "state of b"))
        retries = {}
        for _ in range(2):
            request = await wire.hear("tools/call")
            retries[request["params"]["name"]] = request
        assert retries["a"]["params"]["requestState"] == "state of a"
        assert "roots" in retries["a"]["params"]["inputResponses"]["q"]
        assert retries["b"]["params"]["requestState"] == "state of b"
        assert "content" in retries["b"]["params"]["inputResponses"]["q"]
        for request in (requests["c"], retries["a"], retries["b"]):
            wire.reply(request, TEXT)
        # nor does a later call of the same tool with the same arguments
        later = await wire.hear("tools/call")
        assert not {"inputResponses", "requestState"} & later["params"].keys()
        wire.reply(later, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer()) as client:
            await asyncio.gather(*(client.call_tool(name) for name in "abc"))
            await client.call_tool("a")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/Y02")
def test_a_server_that_asks_for_ever_is_given_up() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        count = 0
        while not wire.ended.is_set():
            try:
                wire.reply(await wire.hear("tools/call"), required({"a": ROOTS}))
            except AssertionError:
                break
            count += 1
        assert count == 4

    async def main() -> None:
        async with serving(script) as target, Client(target, max_rounds=3, **answerer()) as client:
            with pytest.raises(McpError, match="3 rounds"):
                await client.call_tool("t")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/schema/M08")
def test_declining_is_an_answer_and_carries_no_content() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": ELICIT, "b": URL}))
        again = await wire.hear("tools/call")
        assert again["params"]["inputResponses"] == {"a": {"action": "decline"}, "b": {"action": "cancel"}}
        wire.reply(again, TEXT)

    def elicitation(question: Any) -> Any:
        return None if question.mode == "form" else ElicitResult("cancel", {"name": "left over"})

    async def main() -> None:
        async with serving(script) as target, Client(target, elicitation=elicitation) as client:
            await client.call_tool("t")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M13")
def test_without_all_answers_the_request_is_not_tried_again() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": ROOTS, "b": SAMPLE}, "state"))
        wire.reply(await wire.hear("prompts/get"), {"resultType": "complete", "messages": []})  # and not tools/call

    async def main() -> None:
        declines = answerer(sampling=lambda question: None)
        async with serving(script) as target, Client(target, **declines) as client:
            with pytest.raises(RpcError):
                await client.call_tool("t")
            await client.get_prompt("p")

    asyncio.run(main())


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": None},
        {"inputRequests": []},
        {"inputRequests": {"a": None}},
        {"inputRequests": {"a": {"params": {}}}},
        {"inputRequests": {"a": {"method": 5}}},
        {"inputRequests": {"a": {"method": "tools/list", "params": {}}}},
        {"inputRequests": {"a": {"method": "elicitation/create", "params": {"message": 5}}}},
        {"inputRequests": {"a": {"method": "elicitation/create", "params": {"mode": "hologram", "message": "x"}}}},
        {"inputRequests": {"a": ROOTS}, "requestState": 5},
    ],
    ids=json.dumps,
)
def test_a_question_that_breaks_the_rules_ends_the_call_and_nothing_else(result: dict[str, Any]) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.judge = None
        wire.reply(await wire.hear("tools/call"), {"resultType": "input_required", **result})
        wire.reply(await wire.hear("prompts/get"), {"resultType": "complete", "messages": []})

    async def main() -> None:
        async with serving(script) as target, Client(target, **answerer()) as client:
            with pytest.raises(InvalidResult):
                await client.call_tool("t")
            await client.get_prompt("p")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/schema/M05")
@pytest.mark.parametrize(
    ("question", "callbacks"),
    [
        (ELICIT, {}),
        (URL, {"elicitation": lambda question: None, "capabilities": {"elicitation": {"form": {}}}}),
        (SAMPLE, {}),
        (
            {**SAMPLE, "params": {**SAMPLE["params"], "tools": [{"name": "t", "inputSchema": {"type": "object"}}]}},
            {"sampling": lambda question: "4"},
        ),
        (
            {**SAMPLE, "params": {**SAMPLE["params"], "toolChoice": {"mode": "auto"}}},
            {"sampling": lambda question: "4"},
        ),
        (ROOTS, {}),
    ],
)
def test_a_question_that_the_client_did_not_declare_is_not_answered(
    question: dict[str, Any], callbacks: dict[str, Any]
) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": question}, "state"))
        wire.reply(await wire.hear("prompts/get"), {"resultType": "complete", "messages": []})

    async def main() -> None:
        async with serving(script) as target, Client(target, **callbacks) as client:
            with pytest.raises(McpError):
                await client.call_tool("t")
            await client.get_prompt("p")

    asyncio.run(main())


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/mrtr/M13", "2026-07-28/mrtr/M14", "2026-07-28/mrtr/M15", "2026-07-28/mrtr/M16")
@pytest.mark.parametrize("state", [*STATES, None], ids=lambda state: ascii(state and state[:20]))
def test_rounds_by_hand_keep_the_same_rules_in_another_process(state: str | None) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        if "inputResponses" not in request["params"]:
            wire.reply(request, required({"a": ELICIT, "b": ROOTS}, state))
            return
        assert without_envelope(request) == {"name": "t", "arguments": {"x": "ü"}}
        assert request["params"].get("requestState", "absent") == ("absent" if state is None else state)
        assert request["params"]["inputResponses"] == {
            "a": {"action": "accept", "content": {"name": "Anna"}},
            "b": {"roots": []},
        }
        wire.reply(request, TEXT)

    async def main() -> None:
        declared: dict[str, Any] = {"elicitation": {"form": {}}, "roots": {}}
        async with serving(script) as target:
            async with Client(target, capabilities=declared) as client:
                step = await client.begin_call("t", {"x": "ü"})
            assert isinstance(step, Step)
            stored = step.to_json()
            async with Client(target, capabilities=declared) as client:
                result = await client.resume(Step.from_json(stored), {"a": {"name": "Anna"}, "b": []})
            assert not isinstance(result, Step) and result.text == "done"  # type: ignore[union-attr]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M13", "2026-07-28/schema/M02")
@pytest.mark.parametrize("answers", [{}, {"a": {"name": "Anna"}}, {"a": {"name": "Anna"}, "b": [], "c": []}], ids=str)
def test_a_step_is_not_resumed_with_other_answers_than_were_asked_for(answers: dict[str, Any]) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        wire.reply(await wire.hear("tools/call"), required({"a": ELICIT, "b": ROOTS}))
        await wire.end()

    async def main() -> None:
        declared: dict[str, Any] = {"elicitation": {"form": {}}, "roots": {}}
        async with serving(script) as target, Client(target, capabilities=declared) as client:
            step = await client.begin_call("t")
            assert isinstance(step, Step)
            with pytest.raises(McpError):
                await client.resume(step, answers)

    asyncio.run(main())
