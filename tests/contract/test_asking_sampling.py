"""client/sampling of all revisions, both sides: what a server sends, what a client takes and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import Client, Context, CreateMessageParams, CreateMessageResult, TextContent, Tool, ToolUseContent
from mcpcore.errors import UsageError
from mcpcore.types import SamplingMessage, ToolChoice, ToolResultContent
from tests.contract.asking import ASKING, CAN_ALL, SAID, TOOLS, Call, server_of, text_of
from tests.contract.wire import MODERN, Wire, accept, client_of, serving

CLOCK = Tool(name="clock", input_schema={"type": "object"})
USE = {"type": "tool_use", "id": "u1", "name": "clock", "input": {"zone": "UTC"}, "_meta": {"cache": "u"}}
RESULT = {"type": "tool_result", "toolUseId": "u1", "content": [{"type": "text", "text": "12:00"}]}
USES = {"role": "assistant", "content": USE, "model": "m", "stopReason": "toolUse"}


def samples(messages: Any, **options: Any) -> Callable[..., Any]:
    async def ask(ctx: Context) -> str:
        answer = await ctx.sample(messages, **options)
        return f"{answer.stop_reason} {answer.text}"

    return ask


def failed(call: Call) -> bool:
    return "error" in call.response or call.response["result"].get("isError") is True


def text(value: str, role: str = "user") -> SamplingMessage:
    return SamplingMessage(role, TextContent(value))


def use(id: str = "u1") -> ToolUseContent:
    return ToolUseContent(id=id, name="clock", input={})


def result(id: str = "u1") -> ToolResultContent:
    return ToolResultContent(tool_use_id=id, content=[TextContent("12:00")])


# -- what a server sends -----------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/sampling/M08", "2025-11-25/sampling/S05")
@pytest.mark.parametrize("revision", ASKING)
def test_each_message_has_a_role_and_a_content_and_no_context_is_asked_for_by_itself(revision: str) -> None:
    async def main() -> None:
        messages = ["Hello", text("Hi!", "assistant"), TextContent("Go on")]
        async with client_of(server_of(samples(messages, max_tokens=7)), revision, CAN_ALL) as wire:
            question = await Call(wire, "ask").start()
            assert question == {
                "method": "sampling/createMessage",
                "params": {
                    "messages": [
                        {"role": "user", "content": {"type": "text", "text": "Hello"}},
                        {"role": "assistant", "content": {"type": "text", "text": "Hi!"}},
                        {"role": "user", "content": {"type": "text", "text": "Go on"}},
                    ],
                    "maxTokens": 7,
                },
            }

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/sampling/M08", "2024-11-05/sampling/S07")
@pytest.mark.parametrize("revision", ASKING)
@pytest.mark.parametrize(
    "messages",
    [text("x", "system"), text("x", ""), SamplingMessage("user", "x"), SamplingMessage("user", None)],  # type: ignore[arg-type]
    ids=repr,
)
def test_a_message_without_a_known_role_or_a_content_is_never_sent(messages: Any, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(samples(messages)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert failed(call)

    asyncio.run(main())


BALANCED = [
    [text("?"), SamplingMessage("assistant", [use()]), SamplingMessage("user", [result()])],
    [SamplingMessage("assistant", use()), SamplingMessage("user", result()), text("And?")],
    [
        SamplingMessage("assistant", [TextContent("Two"), use("a"), use("b")]),
        SamplingMessage("user", [result("b"), result("a")]),
        SamplingMessage("assistant", [use("c")]),
        SamplingMessage("user", [result("c")]),
    ],
]
UNBALANCED = [
    [SamplingMessage("assistant", [use()])],
    [SamplingMessage("assistant", [use()]), text("12:00")],
    [SamplingMessage("assistant", [use()]), text("wait", "assistant"), SamplingMessage("user", [result()])],
    [SamplingMessage("assistant", [use()]), SamplingMessage("user", [result(), TextContent("so")])],
    [SamplingMessage("assistant", [use("a"), use("b")]), SamplingMessage("user", [result("a")])],
    [SamplingMessage("assistant", [use()]), SamplingMessage("user", [result("other")])],
    [SamplingMessage("assistant", [use()]), SamplingMessage("assistant", [result()])],
    [text("?"), SamplingMessage("user", [result()])],
    [SamplingMessage("user", [use()]), SamplingMessage("user", [result()])],
]


@pytest.mark.spec(
    "2025-11-25/sampling/M04", "2025-11-25/sampling/M05", "2025-11-25/sampling/M09", "2025-11-25/schema/M05"
)
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("number", range(len(BALANCED)))
def test_tool_uses_with_all_their_results_are_sent(number: int, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(samples(BALANCED[number], tools=[CLOCK])), revision, CAN_ALL) as wire:
            question = await Call(wire, "ask").start()
            assert question is not None and len(question["params"]["messages"]) == len(BALANCED[number])

    asyncio.run(main())


@pytest.mark.spec(
    "2025-11-25/sampling/M04", "2025-11-25/sampling/M05", "2025-11-25/sampling/M09", "2025-11-25/schema/M05"
)
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("number", range(len(UNBALANCED)))
def test_tool_uses_without_their_results_and_results_without_their_uses_are_never_sent(
    number: int, revision: str
) -> None:
    async def main() -> None:
        async with client_of(server_of(samples(UNBALANCED[number], tools=[CLOCK])), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert failed(call)

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/sampling/M09", "2025-11-25/schema/S14", "2025-11-25/schema/S16", "2025-11-25/schema/M05")
@pytest.mark.parametrize("revision", TOOLS)
def test_a_tool_loop_repeats_the_use_as_it_came_with_its_meta_and_its_result(revision: str) -> None:
    async def loop(ctx: Context) -> str:
        messages = [text("What time is it?")]
        for _ in range(3):
            answer = await ctx.sample(messages, tools=[CLOCK])
            if answer.stop_reason != "toolUse":
                return answer.text
            uses = [block for block in answer.blocks if isinstance(block, ToolUseContent)]
            results = [
                ToolResultContent(tool_use_id=use.id, content=[TextContent("12:00")], meta={"cache": "r"})
                for use in uses
            ]
            messages += [SamplingMessage("assistant", answer.content), SamplingMessage("user", [*results])]
        return "given up"

    async def main() -> None:
        async with client_of(server_of(loop), revision, CAN_ALL) as wire:
            call = Call(wire, "loop")
            await call.start()
            question = await call.answer({**USES, "content": [{"type": "text", "text": "Let me see"}, USE]})
            assert question is not None
            assert question["params"]["messages"][1:] == [
                {"role": "assistant", "content": [{"type": "text", "text": "Let me see"}, USE]},
                {"role": "user", "content": [{**RESULT, "_meta": {"cache": "r"}}]},
            ]
            assert await call.answer(SAID) is None
            assert text_of(call) == "Delicious"

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/sampling/M02")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("options", [{"tools": [CLOCK]}, {"tool_choice": ToolChoice("none")}, {"tools": []}], ids=str)
def test_no_tools_are_sent_to_a_client_that_did_not_declare_them(options: dict[str, Any], revision: str) -> None:
    declarations: list[dict[str, Any]] = [{"sampling": {}}, {"sampling": {"context": {}}}, {}]

    async def main() -> None:
        for declared in declarations:
            async with client_of(server_of(samples("?", **options)), revision, declared) as wire:
                call = Call(wire, "ask", declared)
                assert await call.start() is None
                assert call.response["error"]["code"] == (-32021 if revision == MODERN else -32600)

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/sampling/S06")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("context", ["thisServer", "allServers"])
def test_context_is_asked_for_only_of_a_client_that_declared_it(context: str, revision: str) -> None:
    async def main() -> None:
        for declared, expected in (({"sampling": {}}, None), ({"sampling": {"context": {}}}, context)):
            async with client_of(server_of(samples("?", include_context=context)), revision, declared) as wire:
                question = await Call(wire, "ask", declared).start()
                assert question is not None and question["params"].get("includeContext") == expected

    asyncio.run(main())


# -- what a server takes -----------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/sampling/Y04", "2024-11-05/schema/Y04", "2024-11-05/sampling/Y01")
@pytest.mark.parametrize("revision", ASKING)
@pytest.mark.parametrize("reason", ["endTurn", "stopSequence", "maxTokens", "contentFilter", "", None])
def test_any_reason_to_stop_any_model_and_any_length_is_taken(reason: str | None, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(samples("?", max_tokens=1000)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            await call.start()
            more = {} if reason is None else {"stopReason": reason}
            assert await call.answer({**SAID, "model": "another than was hinted at", **more}) is None
            assert text_of(call) == f"{reason} Delicious"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/sampling/S07")
@pytest.mark.parametrize("revision", ASKING)
@pytest.mark.parametrize(
    "change",
    [
        {"content": None},
        {"content": "Delicious"},
        {"content": {"text": "no type"}},
        {"content": {"type": "text"}},
        {"content": {"type": "image", "data": "AAAA"}},
        {"model": None},
        {"model": 7},
        {"role": "system"},
        {"stopReason": 7},
    ],
    ids=str,
)
def test_an_answer_that_is_no_message_never_reaches_the_handler(change: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(samples("?")), revision, CAN_ALL) as wire:
            wire.judge = None
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer({**SAID, **change}) is None
            assert failed(call)
            if revision == MODERN:
                assert call.response["error"]["code"] == -32602

    asyncio.run(main())


# -- the client --------------------------------------------------------------------------------------------------------


def question(**change: Any) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": "?"}}
    params = {"messages": [message], "maxTokens": 7, **change}
    return {name: value for name, value in params.items() if value is not None}


async def put(wire: Wire, params: dict[str, Any]) -> Any:
    """Ask the client, in the way of its revision, while it calls a tool. Its result or error; in 2026-07-28 what
    the retry holds, or ``None`` where none comes."""
    call = await wire.hear("tools/call")
    if wire.revision != MODERN:
        wire.say({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": params})
        answer = await wire.answer("q")
        wire.reply(call, {"content": []})
        return answer.get("result", answer.get("error"))
    asked = {"q": {"method": "sampling/createMessage", "params": params}}
    wire.reply(call, {"resultType": "input_required", "inputRequests": asked})
    try:
        answer = await wire.hear("tools/call")
    except AssertionError:
        return None  # the client has gone
    wire.reply(answer, {"resultType": "complete", "content": []})
    return answer["params"]["inputResponses"]["q"]


def wire_last(wire: Wire) -> Any:
    import json

    return json.loads(wire.lines[-1][1])


async def converse(
    revision: str,
    params: dict[str, Any],
    callback: Callable[..., Any],
    method: str = "sampling/createMessage",
    **more: Any,
) -> Any:
    answers: list[Any] = []

    async def script(wire: Wire) -> None:
        await accept(wire, revision, {"tools": {}})
        wire.judge = None  # it may be asked what breaks the rules
        answers.append(await put(wire, params))

    options: dict[str, Any] = {"sampling": callback, "revisions": revision, **more}
    async with serving(script) as target, Client(target, **options) as client:
        try:
            await client.call_tool("x")
        except Exception as error:
            answers.append(error)
    return answers[0]


@pytest.mark.spec("2025-11-25/schema/S14", "2025-11-25/schema/S16")
@pytest.mark.parametrize("revision", TOOLS)
def test_the_callback_gets_everything_that_the_server_sent(revision: str) -> None:
    seen: list[CreateMessageParams] = []

    async def model(params: CreateMessageParams) -> str:
        seen.append(params)
        return "ok"

    async def main() -> None:
        result = {**RESULT, "_meta": {"cache": "r"}}
        params = question(
            messages=[{"role": "assistant", "content": USE}, {"role": "user", "content": [result]}],
            systemPrompt="Be brief",
            temperature=0.5,
            stopSequences=["END"],
            modelPreferences={"hints": [{"name": "small"}], "costPriority": 1},
            tools=[{"name": "clock", "inputSchema": {"type": "object"}}],
            toolChoice={"mode": "none"},
            metadata={"vendor": 1},
        )
        answer = await converse(revision, params, model, capabilities={"sampling": {"tools": {}}})
        assert answer["content"] == {"type": "text", "text": "ok"}
        (got,) = seen
        assert (got.max_tokens, got.system_prompt, got.temperature) == (7, "Be brief", 0.5)
        assert got.stop_sequences == ["END"] and got.metadata == {"vendor": 1}
        assert got.tool_choice is not None and got.tool_choice.mode == "none"
        assert got.tools is not None and got.tools[0].name == "clock"
        assert [block.meta for message in got.messages for block in message.blocks] == [{"cache": "u"}, {"cache": "r"}]

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/sampling/M07")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"tools": [{"name": "clock", "inputSchema": {"type": "object"}}]}, True),
        ({"tools": [{"name": "clock", "inputSchema": {"type": "object"}}], "toolChoice": {"mode": "auto"}}, True),
        ({"tools": [{"name": "clock", "inputSchema": {"type": "object"}}], "toolChoice": {"mode": "none"}}, False),
    ],
    ids=str,
)
def test_a_tool_that_may_not_be_used_is_not_used(change: dict[str, Any], allowed: bool, revision: str) -> None:
    async def main() -> None:
        def model(params: CreateMessageParams) -> ToolUseContent:
            return use()

        capabilities: dict[str, Any] = {"sampling": {"tools": {}}}
        answer = await converse(revision, question(**change), model, capabilities=capabilities)
        if allowed:
            assert answer["content"]["type"] == "tool_use" and answer["stopReason"] == "toolUse"
        elif revision == MODERN:
            assert isinstance(answer, UsageError)  # and no retry
        else:
            assert answer["code"] == -32603

    asyncio.run(main())


REFUSED = [
    question(messages=None),
    question(maxTokens=None),
    question(maxTokens="7"),
    question(messages=[{"role": "system", "content": {"type": "text", "text": "?"}}]),
    question(messages=[{"role": "user"}]),
    question(messages=[{"role": "user", "content": "?"}]),
    question(messages=[{"role": "user", "content": {"type": "text"}}]),
    question(messages=[{"role": "user", "content": [{"type": "image", "data": "AAAA"}]}]),
]
LOOPS = [
    [{"role": "assistant", "content": USE}],
    [{"role": "assistant", "content": USE}, {"role": "user", "content": {"type": "text", "text": "12"}}],
    [{"role": "assistant", "content": USE}, {"role": "user", "content": [RESULT, {"type": "text", "text": "12"}]}],
    [{"role": "assistant", "content": USE}, {"role": "user", "content": {**RESULT, "toolUseId": "u2"}}],
]


@pytest.mark.spec("2024-11-05/sampling/S07", "2025-11-25/sampling/S08", "2025-11-25/sampling/S09")
@pytest.mark.parametrize("revision", ASKING)
@pytest.mark.parametrize("params", REFUSED, ids=str)
def test_a_question_that_is_none_never_reaches_the_model(params: dict[str, Any], revision: str) -> None:
    asyncio.run(refused(params, revision))


@pytest.mark.spec("2024-11-05/sampling/S07", "2025-11-25/sampling/S08", "2025-11-25/sampling/S09")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("messages", LOOPS, ids=str)
def test_a_tool_loop_that_is_torn_never_reaches_the_model(messages: Any, revision: str) -> None:
    asyncio.run(refused(question(messages=messages), revision, capabilities={"sampling": {"tools": {}}}))


async def refused(params: dict[str, Any], revision: str, **more: Any) -> None:
    asked: list[Any] = []

    async def script(wire: Wire) -> None:
        await accept(wire, revision, {"tools": {}})
        wire.judge = None
        call = await wire.hear("tools/call")
        if revision == MODERN:
            asks = {"q": {"method": "sampling/createMessage", "params": params}}
            wire.reply(call, {"resultType": "input_required", "inputRequests": asks})
            await wire.end()
            assert wire_last(wire)["id"] == call["id"]  # no retry
            return
        wire.say({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": params})
        answer = await wire.answer("q")
        assert answer["error"]["code"] == -32602
        wire.reply(call, {"content": []})

    options: dict[str, Any] = {"sampling": asked.append, "revisions": revision, **more}
    async with serving(script) as target, Client(target, **options) as client:
        if revision == MODERN:
            with pytest.raises(Exception, match="sampling/createMessage"):
                await client.call_tool("x")
        else:
            await client.call_tool("x")
    assert asked == []


@pytest.mark.spec("2024-11-05/sampling/S05", "2025-11-25/sampling/S07", "2026-07-28/sampling/Y05")
@pytest.mark.parametrize("revision", ASKING)
def test_a_user_who_declines_is_an_error_or_in_2026_07_28_no_retry(revision: str) -> None:
    async def main() -> None:
        async def decline(params: CreateMessageParams) -> None:
            return None

        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"tools": {}})
            call = await wire.hear("tools/call")
            if revision == MODERN:
                asks = {"q": {"method": "sampling/createMessage", "params": question()}}
                wire.reply(call, {"resultType": "input_required", "inputRequests": asks})
                await wire.end()
                assert wire_last(wire)["id"] == call["id"]
                return
            wire.say({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": question()})
            assert (await wire.answer("q"))["error"]["code"] == -1
            wire.reply(call, {"content": []})

        async with serving(script) as target, Client(target, sampling=decline, revisions=revision) as client:
            if revision == MODERN:
                with pytest.raises(Exception, match="rejected"):
                    await client.call_tool("x")
            else:
                await client.call_tool("x")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/sampling/Y05")
def test_a_server_whose_question_is_never_answered_serves_on() -> None:
    async def main() -> None:
        async with client_of(server_of(samples("?"))) as wire:
            for _ in range(3):
                assert await Call(wire, "ask").start() is not None
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer(SAID) is None
            assert text_of(call) == "None Delicious"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/Y04", "2026-07-28/sampling/Y04")
@pytest.mark.parametrize("revision", ASKING)
def test_a_model_may_stop_early_and_for_reasons_of_its_own(revision: str) -> None:
    async def main() -> None:
        def model(params: CreateMessageParams) -> CreateMessageResult:
            return CreateMessageResult(content=TextContent("o"), model="tiny", stop_reason="tired")

        answer = await converse(revision, question(maxTokens=1000), model)
        content = {"type": "text", "text": "o"}
        assert answer == {"role": "assistant", "content": content, "model": "tiny", "stopReason": "tired"}

    asyncio.run(main())
