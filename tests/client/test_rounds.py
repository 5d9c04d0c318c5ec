"""Requests of several rounds: driven by the callbacks, or step by step; the state goes back byte for byte."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore.client import Client, Step, Timeouts, TooManyRounds
from mcpcore.core.limits import Limits
from mcpcore.errors import AnswerTimeout, CallTimeout, InvalidResult, RpcError, UsageError
from mcpcore.testing import FakeClock
from mcpcore.types import CreateMessageParams, ElicitParams, ListRoots, ToolResult
from tests.client.toys import LEGACY, Message, Talk, Toy, refuse, silence, text

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ELICIT = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": FORM}}
SAMPLE = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 5},
}
ROOTS = {"method": "roots/list"}
STATE = 'ünïcode \u2028 \\ " {state}'
COMPLETE = {"tools/call": text("done"), "prompts/get": {"messages": []}, "resources/read": {"contents": []}}


def input_required(requests: Message | None = None, state: Any = None) -> Message:
    result: Message = {"resultType": "input_required"}
    if requests is not None:
        result["inputRequests"] = requests
    if state is not None:
        result["requestState"] = state
    return result


def asking(*rounds: Message, then: Message | None = None) -> Any:
    """Answers one request after the other with these, and then completes it."""
    left = list(rounds)

    def handler(message: Message, talk: Talk) -> Message:
        return left.pop(0) if left else then or COMPLETE[message["method"]]

    return handler


CALLS = {
    "tools/call": lambda client: client.call_tool("x", {"a": 1}),
    "prompts/get": lambda client: client.get_prompt("x", {"a": "1"}),
    "resources/read": lambda client: client.read_resource("x://y"),
}


@pytest.mark.parametrize("state", [STATE, ""])
@pytest.mark.parametrize("method", CALLS)
def test_questions_are_answered_and_the_request_is_sent_again(method: str, state: str) -> None:
    async def story() -> None:
        toy = Toy(handlers={method: asking(input_required({"q": ELICIT}, state))})
        async with Client(toy, elicitation=lambda question: {"name": question.message}) as client:
            await CALLS[method](client)
            first, second = toy.sent(method)
            assert first["id"] != second["id"]
            assert second["params"]["requestState"] == state
            assert second["params"]["inputResponses"] == {"q": {"action": "accept", "content": {"name": "Who?"}}}
            assert "requestState" not in first["params"] and "inputResponses" not in first["params"]
            for member in ("name", "uri", "arguments"):
                assert first["params"].get(member) == second["params"].get(member)

    asyncio.run(story())


def test_without_state_none_is_sent_and_other_requests_get_nothing_of_it() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": asking(input_required({"q": ELICIT}))})
        async with Client(toy, elicitation=lambda question: {"name": "x"}) as client:
            await client.call_tool("x")
            await client.call_tool("other")
            assert "requestState" not in toy.sent("tools/call")[1]["params"]
            assert set(toy.sent("tools/call")[2]["params"]) == {"name", "arguments", "_meta"}

    asyncio.run(story())


def test_several_questions_of_a_round_are_asked_at_once() -> None:
    async def story() -> None:
        together = asyncio.Event()
        waiting = 0

        async def answer(question: ElicitParams) -> dict[str, str]:
            nonlocal waiting
            waiting += 1
            if waiting == 3:
                together.set()
            await asyncio.wait_for(together.wait(), 5)
            return {"name": "x"}

        requests = {"a": ELICIT, "b": ELICIT, "c": ELICIT, "d": ROOTS, "e": SAMPLE}
        toy = Toy(handlers={"tools/call": asking(input_required(requests))})
        async with Client(toy, elicitation=answer, roots=["file:///r"], sampling=lambda p: "hello") as client:
            await client.call_tool("x")
        responses = toy.sent("tools/call")[1]["params"]["inputResponses"]
        assert list(responses) == ["a", "b", "c", "d", "e"]
        assert responses["d"] == {"roots": [{"uri": "file:///r"}]}
        assert responses["e"]["content"] == {"type": "text", "text": "hello"}

    asyncio.run(story())


def test_the_first_answer_that_fails_ends_the_others_and_the_call() -> None:
    async def story() -> None:
        ended = asyncio.Event()

        async def answer(question: ElicitParams) -> None:
            if question.message == "fail":
                raise LookupError("my callback")
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        fail = {"method": "elicitation/create", "params": {"message": "fail", "requestedSchema": FORM}}
        toy = Toy(handlers={"tools/call": asking(input_required({"a": ELICIT, "b": fail}))})
        async with Client(toy, elicitation=answer) as client:
            with pytest.raises(LookupError, match="my callback"):
                await client.call_tool("x")
            assert ended.is_set() and len(toy.sent("tools/call")) == 1

    asyncio.run(story())


def test_rounds_have_a_limit_and_the_error_holds_the_step() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": lambda m, t: input_required({"q": ELICIT}, "s")})
        async with Client(toy, elicitation=lambda question: {"name": "x"}, max_rounds=3) as client:
            with pytest.raises(TooManyRounds, match="3 rounds") as caught:
                await client.call_tool("x")
            assert len(toy.sent("tools/call")) == 4 and caught.value.step.request_state == "s"

    asyncio.run(story())


def test_a_result_with_state_alone_is_asked_for_again_after_a_growing_pause() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": asking(*[input_required(state=f"s{n}") for n in range(4)])})
        loop = asyncio.get_running_loop()
        async with Client(toy) as client:
            began = loop.time()
            assert (await client.call_tool("x")).text == "done"
            assert 0.7 < loop.time() - began < 1.0
            for n, retry in enumerate(toy.sent("tools/call")[1:]):
                assert retry["params"]["requestState"] == f"s{n}" and "inputResponses" not in retry["params"]

    FakeClock().run(story())


@pytest.mark.parametrize(
    "result",
    [
        input_required(),
        input_required({"q": ELICIT}, 7),
        input_required(["q"]),  # type: ignore[arg-type]
        input_required({"q": "x"}),
        input_required({"q": {"method": "ping"}}),
        input_required({"q": {"method": "elicitation/create", "params": []}}),
        input_required({"q": {"method": "elicitation/create", "params": {"message": "no form"}}}),
        input_required({"q": SAMPLE}),
        input_required({"q": ROOTS}),
        input_required(
            {
                "q": {
                    "method": "elicitation/create",
                    "params": {"message": "m", "mode": "voice", "requestedSchema": FORM},
                }
            }
        ),
    ],
)
def test_a_question_that_was_not_declared_or_makes_no_sense_is_an_invalid_result(result: Message) -> None:
    async def story() -> None:
        async with Client(Toy(handlers={"tools/call": result}), elicitation=lambda question: {}) as client:
            with pytest.raises(InvalidResult, match="tools/call x"):
                await client.call_tool("x")

    asyncio.run(story())


@pytest.mark.parametrize("method, call", [("tools/list", "list_tools"), ("resources/list", "list_resources")])
def test_only_three_methods_may_ask(method: str, call: str) -> None:
    async def story() -> None:
        async with Client(Toy(handlers={method: input_required(state="s")})) as client:
            with pytest.raises(InvalidResult, match="resultType"):
                await getattr(client, call)()

    asyncio.run(story())


def test_the_users_refusal_to_sample_ends_the_call() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": asking(input_required({"q": SAMPLE}))})
        async with Client(toy, sampling=lambda params: None) as client:
            with pytest.raises(RpcError, match="User rejected") as caught:
                await client.call_tool("x")
            assert caught.value.code == -1 and len(toy.sent("tools/call")) == 1

    asyncio.run(story())


# --- time -------------------------------------------------------------------------------------------------------------


def test_what_a_callback_takes_does_not_count_but_the_rounds_do() -> None:
    async def story() -> None:
        async def answer(question: ElicitParams) -> dict[str, str]:
            await asyncio.sleep(300)
            return {"name": "x"}

        async def slow(message: Message, talk: Talk) -> Message:
            await asyncio.sleep(4)
            return input_required({"q": ELICIT}) if len(talk.toy.sent("tools/call")) < 3 else text("done")

        toy = Toy(handlers={"tools/call": lambda m, t: slow(m, t)})
        async with Client(toy, elicitation=answer) as client:
            assert (await client.call_tool("x", timeout=15)).text == "done"
            toy.received.clear()
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("x", timeout=10)
            assert caught.value.limit == "total" and caught.value.seconds == pytest.approx(10, abs=0.1)

    FakeClock().run(story())


def test_a_callback_that_never_answers_is_given_up() -> None:
    async def story() -> None:
        async def answer(question: ElicitParams) -> None:
            await asyncio.Event().wait()

        toy = Toy(handlers={"tools/call": asking(input_required({"q": ELICIT}))})
        async with Client(toy, elicitation=answer, limits=Limits(answer_seconds=30)) as client:
            with pytest.raises(AnswerTimeout, match="30 seconds"):
                await client.call_tool("x")

    FakeClock().run(story())


def test_a_call_can_be_cancelled_while_the_user_thinks() -> None:
    async def story() -> None:
        asked = asyncio.Event()

        async def answer(question: ElicitParams) -> None:
            asked.set()
            await asyncio.Event().wait()

        toy = Toy(handlers={"tools/call": asking(input_required({"a": ELICIT, "b": ELICIT}))})
        async with Client(toy, elicitation=answer) as client:
            task = asyncio.ensure_future(client.call_tool("x"))
            await asked.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


# --- state that is refused --------------------------------------------------------------------------------------------


def forgetful(message: Message, talk: Talk) -> Message:
    """Refuses state the first time it comes, as after a restart."""
    if "requestState" not in message["params"]:
        return input_required({"q": ELICIT}, "s")
    if len([m for m in talk.toy.received if "requestState" in m.get("params", {})]) == 1:
        raise RpcError(-32602, "requestState does not verify")
    return COMPLETE[message["method"]]


@pytest.mark.parametrize(
    "annotations, repeated",
    [
        ({"readOnlyHint": True}, True),
        ({"idempotentHint": True}, True),
        ({"destructiveHint": False}, False),
        (None, False),
    ],
)
def test_refused_state_starts_the_call_over_once_where_that_does_no_harm(
    annotations: Message | None, repeated: bool
) -> None:
    async def story() -> None:
        tool: Message = {"name": "x", "inputSchema": {"type": "object"}}
        if annotations is not None:
            tool["annotations"] = annotations
        toy = Toy(handlers={"tools/call": forgetful, "tools/list": {"tools": [tool]}})
        async with Client(toy, elicitation=lambda question: {"name": "x"}) as client:
            await client.list_tools()
            if repeated:
                assert (await client.call_tool("x")).text == "done"
                assert len(toy.sent("tools/call")) == 4
            else:
                with pytest.raises(RpcError, match="does not verify"):
                    await client.call_tool("x")
            assert len(toy.sent("tools/list")) == 1

    asyncio.run(story())


def test_refused_state_of_an_unknown_tool_is_an_error_and_of_a_read_is_not() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": forgetful, "resources/read": forgetful})
        async with Client(toy, elicitation=lambda question: {"name": "x"}) as client:
            with pytest.raises(RpcError, match="does not verify"):
                await client.call_tool("x")
            assert toy.sent("tools/list") == []
            toy.received.clear()
            await client.read_resource("x://y")

    asyncio.run(story())


def test_state_that_is_refused_twice_is_an_error() -> None:
    async def story() -> None:
        def always(message: Message, talk: Talk) -> Message:
            if "requestState" in message["params"]:
                raise RpcError(-32602, "no")
            return input_required({"q": ELICIT}, "s")

        toy = Toy(handlers={"resources/read": always})
        async with Client(toy, elicitation=lambda question: {"name": "x"}) as client:
            with pytest.raises(RpcError):
                await client.read_resource("x://y")
            assert len(toy.sent("resources/read")) == 4

    asyncio.run(story())


# --- by hand ----------------------------------------------------------------------------------------------------------


BY_HAND: Any = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}


def test_a_step_can_be_stored_and_resumed_by_another_client() -> None:
    async def story() -> None:
        requests = {"who": ELICIT, "what": SAMPLE, "where": ROOTS}
        first = Toy(handlers={"tools/call": asking(input_required(requests, STATE))})
        async with Client(first, capabilities=BY_HAND) as client:
            step = await client.begin_call("x", {"a": 1})
        assert isinstance(step, Step)
        assert isinstance(step.questions["who"], ElicitParams) and step.questions["who"].message == "Who?"
        assert isinstance(step.questions["what"], CreateMessageParams) and isinstance(
            step.questions["where"], ListRoots
        )
        stored = step.to_json()
        second = Toy(handlers={"tools/call": asking(input_required({"more": ELICIT}))})
        async with Client(second, capabilities=BY_HAND) as client:
            again = Step.from_json(stored)
            assert again == step
            answers = {"who": {"name": "Ann"}, "what": "text", "where": ["file:///x"]}
            further = await client.resume(again, answers)
            assert isinstance(further, Step) and further.round == 2 and list(further.questions) == ["more"]
            result = await client.resume(further, {"more": None})
            assert isinstance(result, ToolResult) and result.text == "done"
        one, two = second.sent("tools/call")
        assert one["params"]["requestState"] == STATE and one["params"]["arguments"] == {"a": 1}
        assert one["params"]["inputResponses"]["who"]["content"] == {"name": "Ann"}
        assert (
            two["params"]["inputResponses"] == {"more": {"action": "decline"}} and "requestState" not in two["params"]
        )

    asyncio.run(story())


def test_prompts_and_resources_have_steps_as_well() -> None:
    async def story() -> None:
        asks = input_required({"q": ELICIT})
        toy = Toy(handlers={"prompts/get": asking(asks), "resources/read": asking(asks)})
        async with Client(toy, capabilities=BY_HAND) as client:
            for begin in (client.begin_get_prompt("p"), client.begin_read("x://y")):
                step = await begin
                assert isinstance(step, Step)
                assert not isinstance(await client.resume(step, {"q": {"name": "x"}}), Step)

    asyncio.run(story())


def test_a_step_is_a_result_where_nothing_is_asked() -> None:
    async def story() -> None:
        for toy in (Toy(), Toy(LEGACY)):
            async with Client(toy, revisions=toy.revision) as client:
                result = await client.begin_call("x", type=str)
                assert isinstance(result, ToolResult) and result.data == "called"

    asyncio.run(story())


@pytest.mark.parametrize("answers", [{}, {"q": {"name": 7}}, {"q": {"name": "x"}, "r": None}, {"q": 7}])
def test_answers_that_do_not_fit_their_questions_are_refused_before_anything_is_sent(answers: Any) -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": input_required({"q": ELICIT})})
        async with Client(toy, capabilities=BY_HAND) as client:
            step = await client.begin_call("x")
            assert isinstance(step, Step)
            with pytest.raises(UsageError):
                await client.resume(step, answers)
            assert len(toy.sent("tools/call")) == 1

    asyncio.run(story())


def test_a_step_of_another_revision_or_none_at_all_is_refused() -> None:
    async def story() -> None:
        async with Client(Toy(LEGACY), revisions=LEGACY) as client:
            with pytest.raises(UsageError, match="2026-07-28"):
                await client.resume(Step(method="tools/call", params={"name": "x"}), {})

    asyncio.run(story())
    for wrong in ("", "{}", "[]", '{"method": 1, "params": {}}'):
        with pytest.raises(UsageError):
            Step.from_json(wrong)


def test_declared_without_a_callback_the_questions_are_answered_by_hand_only() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": input_required({"q": ELICIT})})
        async with Client(toy, capabilities=BY_HAND) as client:
            with pytest.raises(UsageError, match="begin_call"):
                await client.call_tool("x")

    asyncio.run(story())


def test_every_round_has_the_limits_and_the_meta_of_its_call() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": asking(input_required({"q": ELICIT}))})
        async with Client(toy, elicitation=lambda question: {"name": "x"}) as client:
            await client.call_tool("x", meta={"acme/a": 1}, timeout=Timeouts(idle=1))
            for call in toy.sent("tools/call"):
                assert call["params"]["_meta"]["acme/a"] == 1
                assert call["params"]["_meta"]["progressToken"] == call["id"]
            toy.handlers["tools/call"] = silence
            with pytest.raises(CallTimeout):
                await client.begin_call("x", timeout=1)
            toy.handlers["tools/call"] = refuse(-5)
            with pytest.raises(RpcError):
                await client.begin_call("x")

    FakeClock().run(story())
