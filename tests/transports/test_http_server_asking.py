"""What a server asks legacy clients over HTTP, on the wire: on the stream of what it belongs to, answered by POST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Context, SyncContext
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import Talk, serving

FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
ALL: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
ROOTS = {"roots": [{"uri": "file:///one"}]}
SAMPLE = {"role": "assistant", "content": {"type": "text", "text": "said"}, "model": "m"}
ANSWERS: dict[str, dict[str, Any]] = {
    "elicitation/create": {"action": "accept", "content": {"name": "Ada"}},
    "sampling/createMessage": SAMPLE,
    "roots/list": ROOTS,
}


class Asking(Stage):
    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        tool = self.server.tool
        self.failures: list[BaseException] = []

        @tool
        async def elicit(ctx: Context) -> str:
            try:
                return str((await ctx.elicit("Name?", FORM)).content)
            except BaseException as error:
                self._note(self.ended, "failed")
                self.failures.append(error)
                raise

        @tool
        async def sample(ctx: Context) -> str:
            content: Any = (await ctx.sample("Say something")).content
            return str(content.text)

        @tool
        async def roots(ctx: Context) -> str:
            return str([root.uri for root in await ctx.roots()])

        @tool
        def elicit_sync(ctx: SyncContext) -> str:
            return str(ctx.elicit("Name?", FORM).content)


async def call(talk: Talk, tool: str) -> Any:
    return await talk.call("tools/call", {"name": tool, "arguments": {}})


@pytest.mark.parametrize(
    ("revision", "tool", "method", "text"),
    [
        ("2025-06-18", "elicit", "elicitation/create", "{'name': 'Ada'}"),
        ("2025-11-25", "elicit", "elicitation/create", "{'name': 'Ada'}"),
        ("2025-11-25", "elicit_sync", "elicitation/create", "{'name': 'Ada'}"),
        ("2024-11-05", "sample", "sampling/createMessage", "said"),
        ("2025-03-26", "sample", "sampling/createMessage", "said"),
        ("2025-11-25", "sample", "sampling/createMessage", "said"),
        ("2025-03-26", "roots", "roots/list", "['file:///one']"),
        ("2025-11-25", "roots", "roots/list", "['file:///one']"),
    ],
)
def test_a_question_comes_on_the_stream_of_its_request_and_is_answered_by_a_post(
    revision: str, tool: str, method: str, text: str
) -> None:
    async def main() -> None:
        async with serving(Asking().server) as served, served.talk(revision, ALL) as talk:
            post = await call(talk, tool)
            question = await post.message()
            assert question["method"] == method
            await talk.reply(question, ANSWERS[method])
            (answer,) = await post.rest()
            assert answer["result"]["content"][0]["text"] == text

    run(main())


def test_two_questions_at_once_get_their_own_answers() -> None:
    async def main() -> None:
        async with serving(Asking().server) as served, served.talk("2025-11-25", ALL) as talk:
            one, two = await call(talk, "elicit"), await call(talk, "elicit")
            first, second = await one.message(), await two.message()
            assert first["id"] != second["id"]
            await talk.reply(second, {"action": "accept", "content": {"name": "second"}})
            await talk.reply(first, {"action": "accept", "content": {"name": "first"}})
            for post, name in ((one, "first"), (two, "second")):
                (answer,) = await post.rest()
                assert name in answer["result"]["content"][0]["text"]

    run(main())


def test_the_answer_of_another_session_is_nobodys() -> None:
    async def main() -> None:
        async with (
            serving(Asking().server) as served,
            served.talk("2025-11-25", ALL) as talk,
            served.talk("2025-11-25", ALL) as other,
        ):
            other.judge = None
            post = await call(talk, "elicit")
            question = await post.message()
            await other.reply(question, {"action": "accept", "content": {"name": "Eve"}})
            await talk.reply(question, {"action": "accept", "content": {"name": "Ada"}})
            (answer,) = await post.rest()
            assert "Ada" in answer["result"]["content"][0]["text"]

    run(main())


def test_a_question_survives_a_broken_connection() -> None:
    async def main() -> None:
        async with serving(Asking().server) as served, served.talk("2025-11-25", ALL) as talk:
            post = await call(talk, "elicit")
            primed = await post.event()
            post.raw.reset()
            again = await talk.get(primed.id)
            question = await again.message()
            await talk.reply(question, ANSWERS["elicitation/create"])
            (answer,) = await again.rest()
            assert "Ada" in answer["result"]["content"][0]["text"]

    run(main())


def test_a_client_that_takes_no_stream_is_not_asked() -> None:
    async def main() -> None:
        async with serving(Asking().server) as served, served.talk("2025-11-25", ALL) as talk:
            message = talk.message("tools/call", {"name": "elicit", "arguments": {}})
            answer = await (await talk.post(message, accept="application/json")).answer()
            assert "text/event-stream" in answer.json["error"]["message"]

    run(main())


def test_without_a_session_nobody_is_asked_and_the_answer_says_why() -> None:
    async def main() -> None:
        async with serving(Asking().server, sessions=False) as served, served.talk("2025-11-25", ALL) as talk:
            message = talk.message("tools/call", {"name": "elicit", "arguments": {}})
            answer = await (await talk.post(message, mcp_protocol_version="2025-11-25")).answer()
            assert "sessions=False" in answer.json["error"]["message"]

    run(main())


def test_when_its_request_is_cancelled_or_its_session_ends_a_question_waits_for_nothing() -> None:
    async def main() -> None:
        stage = Asking()
        async with serving(stage.server) as served, served.talk("2025-11-25", ALL) as talk:
            post = await call(talk, "elicit")
            question = await post.message()
            await talk.tell("notifications/cancelled", {"requestId": talk._ids})
            await stage.until(stage.ended, "failed")
            await talk.reply(question, ANSWERS["elicitation/create"])  # too late, and no harm
            stage.ended.clear()
            post = await call(talk, "elicit")
            await post.message()
            assert (await talk.delete()).status == 204
            await stage.until(stage.ended, "failed")
            assert len(stage.failures) == 2
            assert all(isinstance(failure, asyncio.CancelledError) for failure in stage.failures)

    run(main())


def test_a_question_that_is_not_answered_in_time_fails() -> None:
    async def main() -> None:
        stage = Asking(answer_seconds=0.05)
        async with serving(stage.server, errors=True) as served, served.talk("2025-11-25", ALL) as talk:
            post = await call(talk, "elicit")
            question, withdrawn, answer = await post.rest()
            assert withdrawn["method"] == "notifications/cancelled"
            assert withdrawn["params"]["requestId"] == question["id"]
            assert answer["result"]["isError"] is True
            assert "no answer within 0.05 s" in str(stage.failures[0])

    run(main())
