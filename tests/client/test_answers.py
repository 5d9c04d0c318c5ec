"""Answering a legacy server's questions: the callbacks, their rules, and time that does not count."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mcpcore.client import Client, Timeouts
from mcpcore.core.limits import Limits
from mcpcore.errors import CallTimeout, RpcError
from mcpcore.testing import FakeClock
from mcpcore.types import (
    CreateMessageParams,
    CreateMessageResult,
    ElicitParams,
    ElicitResult,
    Root,
    TextContent,
    ToolUseContent,
)
from tests.client.toys import LEGACY, MODERN, Message, Talk, Toy, text

SAMPLING: Message = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}],
    "maxTokens": 5,
}
FORM: Message = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "Ann"},
        "age": {"type": "integer", "minimum": 18, "default": 30},
        "score": {"type": "number", "default": 95.5},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
    "required": ["name"],
}
ELICITATION: Message = {"message": "Who?", "requestedSchema": FORM}


async def answered(method: str, params: Message, revision: str = LEGACY, **options: Any) -> Message:
    """The client's answer to one request of its server."""
    toy = Toy(revision)
    async with Client(toy, revisions=revision, **options):
        toy.talk.ask("q", method, params)
        return await toy.seen(None)


def answer(method: str, params: Message, revision: str = LEGACY, **options: Any) -> Message:
    return asyncio.run(answered(method, params, revision, **options))


# --- what callbacks may return ----------------------------------------------------------------------------------------


def blocks(*contents: Any) -> Any:
    return list(contents)


SAMPLED: dict[str, tuple[Any, Message]] = {
    "a text": ("hello", {"role": "assistant", "content": {"type": "text", "text": "hello"}, "stopReason": "endTurn"}),
    "a block": (TextContent(text="hello"), {"content": {"type": "text", "text": "hello"}}),
    "a tool use": (
        ToolUseContent(id="1", name="t", input={}),
        {"content": {"type": "tool_use", "id": "1", "name": "t", "input": {}}, "stopReason": "toolUse"},
    ),
    "a result": (
        CreateMessageResult(content=TextContent(text="x"), model="m", stop_reason="maxTokens"),
        {"content": {"type": "text", "text": "x"}, "model": "m", "stopReason": "maxTokens"},
    ),
    "an object": ({"content": {"type": "text", "text": "x"}, "acme": 1}, {"role": "assistant", "acme": 1}),
}


@pytest.mark.parametrize("form", SAMPLED)
def test_sampling_takes_the_convenient_forms(form: str) -> None:
    value, expected = SAMPLED[form]

    async def sampling(params: CreateMessageParams) -> Any:
        assert params.max_tokens == 5 and params.messages[0].blocks[0] == TextContent(text="hi")
        return value

    for callback in (sampling, lambda params: value):
        result = answer("sampling/createMessage", SAMPLING, sampling=callback)["result"]
        assert expected.items() <= result.items() and isinstance(result["model"], str)


def test_a_refused_sampling_is_answered_with_minus_one() -> None:
    error = answer("sampling/createMessage", SAMPLING, sampling=lambda params: None)["error"]
    assert error == {"code": -1, "message": "User rejected sampling request"}


ELICITED = {
    "values": ({"name": "Bo", "score": 1.5}, {"action": "accept", "content": {"name": "Bo", "score": 1.5}}),
    "None": (None, {"action": "decline"}),
    "a result": (
        ElicitResult(action="accept", content={"name": "Bo"}),
        {"action": "accept", "content": {"name": "Bo"}},
    ),
    "a cancel with content": (ElicitResult(action="cancel", content={"name": "Bo"}), {"action": "cancel"}),
}


@pytest.mark.parametrize("form", ELICITED)
def test_elicitation_takes_the_convenient_forms_and_sends_content_with_accept_only(form: str) -> None:
    value, expected = ELICITED[form]
    assert answer("elicitation/create", ELICITATION, elicitation=lambda question: value)["result"] == expected


def test_the_defaults_of_a_form_are_an_answer() -> None:
    result = answer("elicitation/create", ELICITATION, elicitation=lambda question: question.defaults())["result"]
    assert result == {"action": "accept", "content": {"name": "Ann", "age": 30, "score": 95.5}}


@pytest.mark.parametrize("content", [{}, {"name": 1}, {"name": "x", "age": 17}, {"name": "x", "tags": ["c"]}])
def test_an_answer_that_does_not_fit_the_form_is_a_fault_of_ours(
    content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    error = answer("elicitation/create", ELICITATION, elicitation=lambda question: content)["error"]
    assert error["code"] == -32603 and "client's log" in error["message"]
    assert "does not fit the form: content" in caplog.text


def test_roots_are_given_in_three_forms(tmp_path: Path) -> None:
    expected = [{"uri": "file:///a"}, {"uri": tmp_path.as_uri()}, {"uri": "file:///b", "name": "B"}]
    roots = ["file:///a", tmp_path, Root(uri="file:///b", name="B")]

    async def later() -> list[Any]:
        return roots

    for form in (roots, lambda: roots, later):
        assert answer("roots/list", {}, roots=form)["result"] == {"roots": expected}


def test_changed_roots_are_told_to_a_legacy_server_only() -> None:
    async def story() -> None:
        for revision in (LEGACY, MODERN):
            toy = Toy(revision)
            async with Client(toy, revisions=revision, roots=[]) as client:
                await client.notify_roots_changed()
                await client.ping()
            assert len(toy.sent("notifications/roots/list_changed")) == (revision == LEGACY)

    asyncio.run(story())


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list", "acme/x"])
def test_without_a_callback_a_question_is_an_unknown_method(method: str) -> None:
    assert answer(method, {})["error"]["code"] == -32601


def test_elicitation_does_not_exist_before_its_revision() -> None:
    assert answer("elicitation/create", ELICITATION, "2025-03-26", elicitation=lambda q: {})["error"]["code"] == -32601


URL: Message = {"mode": "url", "message": "go", "url": "https://x", "elicitationId": "1"}


def test_a_mode_that_was_not_declared_is_invalid() -> None:
    def code(revision: str, **options: Any) -> Any:
        return (
            answer("elicitation/create", URL, revision, elicitation=lambda q: {}, **options)
            .get("error", {})
            .get("code")
        )

    assert code(LEGACY) is None
    assert code(LEGACY, capabilities={"elicitation": {"form": {}}}) == -32602
    assert code(LEGACY, capabilities={"elicitation": {}}) == -32602
    assert code("2025-06-18") == -32602


def test_an_accepted_url_has_no_content() -> None:
    result = answer("elicitation/create", URL, elicitation=lambda question: {"never": "sent"})["result"]
    assert result == {"action": "accept"}


TOOL: Message = {"name": "t", "inputSchema": {"type": "object"}}


def test_sampling_with_tools_needs_its_capability() -> None:
    params = {**SAMPLING, "tools": [TOOL]}
    assert answer("sampling/createMessage", params, sampling=lambda p: "x")["error"]["code"] == -32602
    declared: dict[str, Any] = {"sampling": {"tools": {}}}
    assert "result" in answer("sampling/createMessage", params, sampling=lambda p: "x", capabilities=declared)


USE = {"role": "assistant", "content": {"type": "tool_use", "id": "1", "name": "t", "input": {}}}
RESULT = {"type": "tool_result", "toolUseId": "1", "content": []}
WORDS = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    "messages, message",
    [
        ([USE, {"role": "user", "content": [WORDS, RESULT]}], "mixed"),
        ([USE, {"role": "user", "content": WORDS}], "missing"),
        ([USE, {"role": "user", "content": {**RESULT, "toolUseId": "2"}}], "missing"),
        ([USE], "missing"),
        ([USE, {"role": "user", "content": RESULT}], None),
    ],
)
def test_tool_results_in_sampling_must_be_balanced(messages: list[Message], message: str | None) -> None:
    declared: dict[str, Any] = {"sampling": {"tools": {}}}
    params = {"messages": messages, "maxTokens": 5}
    found = answer("sampling/createMessage", params, sampling=lambda p: "x", capabilities=declared)
    assert ("result" in found) is (message is None)
    if message is not None:
        assert found["error"]["code"] == -32602 and message in found["error"]["message"]


@pytest.mark.parametrize(
    "params", [{}, {"messages": "x", "maxTokens": 1}, {"messages": [{"role": "user", "content": {}}], "maxTokens": 1}]
)
def test_a_question_without_sense_is_invalid_params(params: Message) -> None:
    assert answer("sampling/createMessage", params, sampling=lambda p: "x")["error"]["code"] == -32602


def test_a_callback_that_fails_is_an_internal_error_whose_details_stay_here(caplog: pytest.LogCaptureFixture) -> None:
    def broken(params: Any) -> str:
        raise ValueError("secret detail")

    error = answer("sampling/createMessage", SAMPLING, sampling=broken)["error"]
    assert error["code"] == -32603 and "secret" not in str(error)
    assert "secret detail" in caplog.text


def test_a_callback_may_answer_with_an_error_of_its_own() -> None:
    async def refuse(params: Any) -> str:
        raise RpcError(77, "out of credit", {"a": 1})

    error = answer("sampling/createMessage", SAMPLING, sampling=refuse)["error"]
    assert error == {"code": 77, "message": "out of credit", "data": {"a": 1}}


def test_a_modern_server_that_sends_a_request_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        toy = Toy(MODERN)
        async with Client(toy, sampling=lambda params: "x") as client:
            toy.talk.ask("q", "sampling/createMessage", SAMPLING)
            await client.ping()
            assert toy.sent(None) == []

    asyncio.run(story())
    assert "the server sent a request" in caplog.text


# --- many, slow, cancelled --------------------------------------------------------------------------------------------


def test_questions_are_answered_at_the_same_time_also_by_blocking_callbacks() -> None:
    together = threading.Barrier(5)

    def blocking(params: Any) -> str:
        together.wait(5)
        return "x"

    async def story() -> None:
        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY, sampling=blocking):
            for id in range(5):
                toy.talk.ask(id, "sampling/createMessage", SAMPLING)
            await toy.seen(None, 5)
            assert {answer["id"] for answer in toy.sent(None) if "result" in answer} == set(range(5))

    began = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - began < 5


def test_too_many_questions_at_once_are_refused() -> None:
    async def story() -> None:
        async def forever(params: Any) -> str:
            await asyncio.Event().wait()
            return ""

        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY, sampling=forever, limits=Limits(max_questions=2)):
            for id in range(3):
                toy.talk.ask(id, "sampling/createMessage", SAMPLING)
            refused = await toy.seen(None)
            assert refused["id"] == 2 and refused["error"]["code"] == 429

    asyncio.run(story())


def test_a_server_can_cancel_its_question() -> None:
    async def story() -> None:
        cancelled, begun = asyncio.Event(), asyncio.Event()

        async def forever(params: Any) -> str:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY, sampling=forever) as client:
            toy.talk.ask("q", "sampling/createMessage", SAMPLING)
            await begun.wait()
            toy.talk.notify("notifications/cancelled", {"requestId": "q"})
            await asyncio.wait_for(cancelled.wait(), 5)
            await client.ping()
            assert toy.sent(None) == []

    asyncio.run(story())


def test_the_time_a_user_takes_to_answer_does_not_count_for_the_call() -> None:
    async def story() -> None:
        async def thinking(question: ElicitParams) -> dict[str, Any]:
            await asyncio.sleep(500)
            return {"name": "x"}

        async def work(message: Message, talk: Talk) -> Message:
            await asyncio.sleep(2)
            talk.ask("q", "elicitation/create", ELICITATION)
            await talk.toy.seen(None, seconds=10_000)
            await asyncio.sleep(2)
            return text("done")

        toy = Toy(LEGACY, handlers={"tools/call": lambda m, t: work(m, t)})
        limits = Limits(answer_seconds=600)
        async with Client(toy, revisions=LEGACY, elicitation=thinking, limits=limits) as client:
            assert (await client.call_tool("x", timeout=Timeouts(idle=5, total=5))).text == "done"
            with pytest.raises(CallTimeout) as caught:
                toy.received.clear()
                await client.call_tool("x", timeout=Timeouts(idle=5, total=3))
            assert caught.value.seconds == pytest.approx(3, abs=0.1)

    FakeClock().run(story())


def test_closing_while_a_user_thinks_does_not_wait_for_the_answer() -> None:
    async def story() -> None:
        begun = asyncio.Event()

        async def forever(params: Any) -> str:
            begun.set()
            await asyncio.Event().wait()
            return ""

        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY, sampling=forever):
            toy.talk.ask("q", "sampling/createMessage", SAMPLING)
            await begun.wait()

    began = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - began < 1
