"""One way to ask, in 2026-07-28: the handler runs again from the top, and nothing makes an answer of a question.

The rules are this library's own; the specification's are in ``test_modern_rounds.py``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import Context, Elicit, ElicitUrl, InputRequired, ListRoots, Sample, Server, SyncContext, ToolError
from mcpcore.core.limits import Limits
from mcpcore.errors import RpcError
from tests.contract.asking import ACCEPT, ASKING, CAN_ALL, ELICITING, SAID, Call, server_of, text_of
from tests.contract.wire import MODERN, Wire, client_of, envelope

NAME = {"type": "object", "properties": {"name": {"type": "string", "minLength": 2}}, "required": ["name"]}


def failed(call: Call) -> bool:
    return "error" in call.response or call.response["result"].get("isError") is True


# -- a question stays a question ---------------------------------------------------------------------------------------


async def bare_except(ctx: Context) -> str:
    try:
        answer = await ctx.elicit("Sure?", NAME)
    except:  # noqa: E722
        return "swallowed"
    return f"answered {answer.action}"


async def returning_finally(ctx: Context) -> str:
    answer = None
    try:
        answer = await ctx.elicit("Sure?", NAME)
    finally:
        return f"answered {answer.action if answer else None}"  # noqa: B012


async def another_error(ctx: Context) -> str:
    try:
        answer = await ctx.elicit("Sure?", NAME)
    except BaseException:
        raise ToolError("hidden") from None
    return f"answered {answer.action}"


async def another_rpc_error(ctx: Context) -> str:
    try:
        answer = await ctx.elicit("Sure?", NAME)
    except BaseException:
        raise RpcError(-32000, "hidden") from None
    return f"answered {answer.action}"


async def gathered(ctx: Context) -> str:
    (answer,) = await asyncio.gather(ctx.elicit("Sure?", NAME), return_exceptions=True)
    return f"answered {getattr(answer, 'action', 'an error')}"


async def in_a_task(ctx: Context) -> str:
    task = asyncio.create_task(ctx.elicit("Sure?", NAME))
    await asyncio.wait([task])
    return f"answered {'nothing' if task.exception() else task.result().action}"


async def in_a_group(ctx: Context) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ctx.elicit("Sure?", NAME))
    except* BaseException:
        pass
    return f"answered {task.result().action}"


async def in_time(ctx: Context) -> str:
    try:
        async with asyncio.timeout(5):
            answer = await asyncio.wait_for(ctx.elicit("Sure?", NAME), 5)
    except BaseException:
        return "out of time"
    return f"answered {answer.action}"


def in_a_thread(ctx: SyncContext) -> str:
    try:
        answer = ctx.elicit("Sure?", NAME)
    except:  # noqa: E722
        return "swallowed"
    return f"answered {answer.action}"


HANDLERS = [
    bare_except,
    returning_finally,
    another_error,
    another_rpc_error,
    gathered,
    in_a_task,
    in_a_group,
    in_time,
    in_a_thread,
]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.__name__)
def test_nothing_that_a_handler_does_turns_a_question_into_an_answer(handler: Callable[..., Any]) -> None:
    async def main() -> None:
        async with client_of(server_of(handler)) as wire:
            call = Call(wire, handler.__name__)
            assert await call.start() == {
                "method": "elicitation/create",
                "params": {"message": "Sure?", "requestedSchema": NAME},
            }
            assert await call.answer({"action": "decline"}) is None
            assert text_of(call) == "answered decline"

    asyncio.run(main())


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.__name__)
def test_nor_does_it_hide_an_answer_that_breaks_its_schema(handler: Callable[..., Any]) -> None:
    async def main() -> None:
        async with client_of(server_of(handler)) as wire:
            wire.judge = None
            call = Call(wire, handler.__name__)
            await call.start()
            assert await call.answer({"action": "accept", "content": {"name": 7}}) is None
            assert call.response["error"]["code"] == -32602

    asyncio.run(main())


@pytest.mark.parametrize("method", ["prompts/get", "resources/read"])
def test_prompts_and_resources_hide_neither(method: str) -> None:
    async def main() -> None:
        server = Server("asking")
        server.prompt(name="x")(bare_except)
        server.resource("x://x")(bare_except)
        params: dict[str, Any] = {"name": "x"} if method == "prompts/get" else {"uri": "x://x"}
        async with client_of(server) as wire:
            wire.judge = None
            first = await wire.result(method, params, capabilities=CAN_ALL)
            ((key, _),) = first["inputRequests"].items()
            again = {**params, "requestState": first["requestState"]}
            wrong = {**again, "inputResponses": {key: {"action": "accept", "content": {}}}}
            assert (await wire.error(method, wrong, capabilities=CAN_ALL))["code"] == -32602
            right = {**again, "inputResponses": {key: ACCEPT}}
            assert "answered accept" in json.dumps(await wire.result(method, right, capabilities=CAN_ALL))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("tool", "answer"),
    [
        ("elicits", {"action": "accept", "content": {"name": "A"}}),
        ("samples", {"role": "assistant", "content": {"type": "text", "text": "x"}}),
        ("samples", {"role": "assistant", "content": {"type": "text"}, "model": "m"}),
        ("samples", {"role": "robot", "content": {"type": "text", "text": "x"}, "model": "m"}),
        ("samples", {"role": "assistant", "content": "x", "model": "m"}),
        ("roots", {"roots": [{"name": "no uri"}]}),
        ("roots", {"roots": ["file:///a"]}),
    ],
    ids=str,
)
def test_a_recognised_answer_that_breaks_its_schema_is_refused(tool: str, answer: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(server_of(elicits, samples, roots)) as wire:
            wire.judge = None
            call = Call(wire, tool)
            await call.start()
            assert await call.answer(answer) is None
            assert call.response["error"]["code"] == -32602

    asyncio.run(main())


@pytest.mark.parametrize(
    ("tool", "answer"),
    [
        ("elicits", {"roots": []}),
        ("elicits", {"action": "perhaps"}),
        ("samples", ACCEPT),
        ("samples", {"content": {"type": "text", "text": "x"}, "model": "m"}),
        ("samples", {}),
        ("roots", SAID),
        ("roots", {"roots": None}),
        ("roots", {}),
    ],
    ids=str,
)
def test_an_answer_to_another_kind_of_question_is_asked_for_again(tool: str, answer: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(server_of(elicits, samples, roots)) as wire:
            wire.judge = None
            call = Call(wire, tool)
            first = await call.start()
            assert await call.answer(answer) == first

    asyncio.run(main())


async def elicits(ctx: Context) -> str:
    return (await ctx.elicit("?", NAME)).action


async def samples(ctx: Context) -> str:
    return (await ctx.sample("?", 5)).text


async def roots(ctx: Context) -> str:
    return ",".join(root.uri for root in await ctx.roots())


# -- keys and replay ---------------------------------------------------------------------------------------------------


def test_a_handler_that_asks_something_else_on_replay_fails_and_gets_no_mixed_up_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = 0

    async def fickle(ctx: Context) -> str:
        nonlocal runs
        runs += 1
        try:
            answer = await ctx.elicit(f"Question {runs}?", NAME)
        except Exception:
            return "swallowed"
        return f"mixed up: {answer.action}"

    async def main() -> None:
        async with client_of(server_of(fickle)) as wire:
            call = Call(wire, "fickle")
            await call.start()
            with caplog.at_level(logging.ERROR, "mcpcore"):
                assert await call.answer(ACCEPT) is None
            assert failed(call)

    asyncio.run(main())
    assert "the handler asked something else under the key" in caplog.text


def test_the_same_key_with_another_kind_of_question_is_something_else() -> None:
    runs = 0

    async def fickle(ctx: Context) -> str:
        nonlocal runs
        runs += 1
        if runs == 1:
            await ctx.elicit("?", NAME, key="a")
        await ctx.roots(key="a")
        return "mixed up"

    async def main() -> None:
        async with client_of(server_of(fickle)) as wire:
            call = Call(wire, "fickle")
            await call.start()
            assert await call.answer(ACCEPT) is None
            assert failed(call)

    asyncio.run(main())


def test_questions_side_by_side_share_a_round_and_keep_their_answers_apart() -> None:
    async def both(ctx: Context) -> str:
        first, second = await asyncio.gather(ctx.elicit("First?", NAME), ctx.elicit("Second?", NAME))
        return f"{first.content}{second.content}"

    async def main() -> None:
        async with client_of(server_of(both)) as wire:
            call = Call(wire, "both")
            await call.start()
            asked = call.response["result"]["inputRequests"]
            messages = {key: question["params"]["message"] for key, question in asked.items()}
            assert sorted(messages.values()) == ["First?", "Second?"]
            answers = {key: {"action": "accept", "content": {"name": text}} for key, text in messages.items()}
            assert await call.retry(answers) is None
            assert text_of(call) == "{'name': 'First?'}{'name': 'Second?'}"

    asyncio.run(main())


def test_answers_without_the_state_count_too() -> None:
    async def twice(ctx: Context) -> str:
        first = await ctx.elicit("First?", NAME, key="first")
        second = await ctx.sample("Second?", 5, key="second")
        return f"{first.action} {second.text}"

    async def main() -> None:
        async with client_of(server_of(twice)) as wire:
            call = Call(wire, "twice")
            assert await call.start(inputResponses={"first": ACCEPT, "second": SAID}) is None
            assert text_of(call) == "accept Delicious"

    asyncio.run(main())


def test_all_questions_asked_at_once_come_in_one_round_and_the_handler_goes_on_with_all_answers() -> None:
    runs = 0

    async def everything(ctx: Context) -> str:
        nonlocal runs
        runs += 1
        answers = await ctx.ask_all({"form": Elicit("?", NAME), "model": Sample("?", 5), "roots": ListRoots()})
        return f"{answers['form'].action} {answers['model'].text} {answers['roots']}"

    async def main() -> None:
        async with client_of(server_of(everything)) as wire:
            call = Call(wire, "everything")
            await call.start()
            assert set(call.response["result"]["inputRequests"]) == {"form", "model", "roots"}
            assert await call.retry({"form": ACCEPT, "model": SAID, "roots": {"roots": []}}) is None
            assert text_of(call) == "accept Delicious []"

    asyncio.run(main())
    assert runs == 2


def test_nothing_at_all_asked_at_once_needs_no_round() -> None:
    async def nothing(ctx: Context) -> str:
        return repr(await ctx.ask_all({}))

    async def main() -> None:
        for revision in ASKING:
            async with client_of(server_of(nothing), revision, CAN_ALL) as wire:
                call = Call(wire, "nothing")
                assert await call.start() is None
                assert text_of(call) == "{}"

    asyncio.run(main())


def test_finally_runs_at_every_stop() -> None:
    runs: list[str] = []

    async def tidy(ctx: Context) -> str:
        try:
            return (await ctx.elicit("?", NAME)).action
        finally:
            runs.append("tidy")

    async def main() -> None:
        async with client_of(server_of(tidy)) as wire:
            call = Call(wire, "tidy")
            await call.start()
            assert runs == ["tidy"]
            await call.answer(ACCEPT)
            assert runs == ["tidy", "tidy"]

    asyncio.run(main())


# -- what is muted -----------------------------------------------------------------------------------------------------


async def talks(ctx: Context) -> str:
    await ctx.info(f"start {ctx.replaying}")
    await ctx.progress(1)
    await ctx.elicit("First?", NAME)
    await ctx.info(f"between {ctx.replaying}")
    await ctx.progress(2)
    await ctx.elicit("Second?", NAME)
    await ctx.info(f"end {ctx.replaying}")
    await ctx.progress(3)
    return "done"


def said(call: Call) -> list[Any]:
    heard = [message["params"].get("data", message["params"].get("progress")) for message in call.heard]
    call.heard.clear()
    return heard


@pytest.mark.parametrize("revision", ELICITING)
def test_each_log_message_and_each_progress_is_sent_once_however_often_the_handler_runs(revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(talks), revision, CAN_ALL) as wire:
            call = Call(wire, "talks")
            await call.start(**progress(wire))
            assert said(call) == ["start False", 1]
            for expected in (["between False", 2], ["end False", 3]):
                if revision == MODERN:
                    ((key, _),) = call.response["result"]["inputRequests"].items()
                    state = call.response["result"]["requestState"]
                    await call.start(inputResponses={key: ACCEPT}, requestState=state, **progress(wire))
                else:
                    await call.answer(ACCEPT)
                assert said(call) == expected
            assert text_of(call) == "done"

    asyncio.run(main())


def progress(wire: Wire) -> dict[str, Any]:
    if wire.revision != MODERN:
        return {"_meta": {"progressToken": "p"}}
    return {"_meta": envelope(CAN_ALL, logLevel="debug", progressToken="p")}


def test_what_a_handler_says_after_its_own_rounds_is_sent() -> None:
    async def by_hand(ctx: Context) -> str | InputRequired:
        if ctx.input_responses is None:
            await ctx.info("asking")
            return InputRequired({"a": ListRoots()}, request_state="x")
        await ctx.info("answered")
        return "done"

    async def main() -> None:
        for revision in ASKING:
            async with client_of(server_of(by_hand), revision, CAN_ALL) as wire:
                call = Call(wire, "by_hand")
                await call.start()
                assert said(call) == ["asking"]
                await call.answer({"roots": []})
                assert said(call) == ["answered"]
                assert text_of(call) == "done"

    asyncio.run(main())


# -- what is recorded --------------------------------------------------------------------------------------------------


def test_the_time_and_random_numbers_are_the_same_in_every_run() -> None:
    seen: list[tuple[float, ...]] = []

    async def rolls(ctx: Context) -> str:
        before = ctx.now(), ctx.random(), ctx.random()
        await ctx.elicit("First?", NAME)
        between = ctx.now(), ctx.random()
        seen.append((*before, *between))
        await ctx.elicit("Second?", NAME)
        seen.append((*before, *between))
        return "done"

    async def main() -> None:
        async with client_of(server_of(rolls)) as wire:
            call = Call(wire, "rolls")
            await call.start()
            await call.answer(ACCEPT)
            assert await call.answer(ACCEPT) is None

    asyncio.run(main())
    assert len(seen) == 3 and len(set(seen)) == 1
    assert len(set(seen[0][1:3])) == 2 and all(0 <= number < 1 for number in (*seen[0][1:3], seen[0][4]))


def test_the_time_and_random_numbers_may_be_had_where_nothing_may_be_asked() -> None:
    async def main() -> None:
        server = Server("asking")

        @server.method("acme/time")
        async def time(params: dict[str, Any], ctx: Context) -> dict[str, Any]:
            return {"now": ctx.now(), "random": ctx.random(), "answers": ctx.input_responses}

        for revision in ASKING:
            async with client_of(server, revision) as wire:
                params = {"requestState": "the caller's own", "inputResponses": 7}
                result = await wire.result("acme/time", params)
                assert result["now"] > 1.7e9 and 0 <= result["random"] < 1 and result["answers"] is None

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_an_effect_is_made_once_and_its_result_comes_again(kind: str) -> None:
    made: list[str] = []

    def charge(amount: int) -> dict[str, Any]:
        made.append(f"charge {amount}")
        return {"receipt": len(made)}

    async def pays(ctx: Context) -> str:
        receipt = await ctx.once("charge", charge, 5)
        await ctx.elicit("First?", NAME)
        await ctx.elicit("Second?", NAME)
        return json.dumps(receipt)

    def pays_in_a_thread(ctx: SyncContext) -> str:
        receipt = ctx.once("charge", charge, 5)
        ctx.elicit("First?", NAME)
        ctx.elicit("Second?", NAME)
        return json.dumps(receipt)

    async def main() -> None:
        handler: Callable[..., Any] = pays if kind == "async" else pays_in_a_thread
        for revision in ELICITING:
            made.clear()
            async with client_of(server_of(handler), revision, CAN_ALL) as wire:
                call = Call(wire, handler.__name__)
                await call.start()
                await call.answer(ACCEPT)
                assert await call.answer(ACCEPT) is None
                assert text_of(call) == '{"receipt": 1}'
                assert made == ["charge 5"]

    asyncio.run(main())


@pytest.mark.parametrize("error", [ValueError("no"), ToolError("no"), KeyError("no"), TimeoutError("no")], ids=repr)
def test_a_failed_effect_fails_again_in_the_same_way_and_is_not_tried_again(error: Exception) -> None:
    made: list[str] = []

    async def charge() -> None:
        made.append("charge")
        raise error

    async def pays(ctx: Context) -> str:
        outcome = "paid"
        try:
            await ctx.once("charge", charge)
        except type(error) as failure:
            outcome = f"{type(failure).__name__}: {failure}"
        await ctx.elicit("Anyway?", NAME)
        return outcome

    async def main() -> None:
        for revision in ELICITING:
            made.clear()
            async with client_of(server_of(pays), revision, CAN_ALL) as wire:
                call = Call(wire, "pays")
                assert await call.start() is not None
                assert await call.answer(ACCEPT) is None
                assert text_of(call) == f"{type(error).__name__}: {error}"
                assert made == ["charge"]

    asyncio.run(main())


def test_a_name_for_two_effects_is_an_error() -> None:
    async def pays(ctx: Context) -> str:
        await ctx.once("charge", lambda: 1)
        await ctx.once("charge", lambda: 2)
        return "twice"

    async def main() -> None:
        for revision in ASKING:
            async with client_of(server_of(pays), revision, CAN_ALL) as wire:
                call = Call(wire, "pays")
                await call.start()
                assert failed(call)

    asyncio.run(main())


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", float], ids=repr)
def test_an_effect_whose_result_cannot_be_recorded_is_an_error(value: Any) -> None:
    async def pays(ctx: Context) -> str:
        await ctx.once("charge", lambda: value)
        return "recorded"

    async def main() -> None:
        async with client_of(server_of(pays)) as wire:
            call = Call(wire, "pays")
            await call.start()
            assert failed(call)

    asyncio.run(main())


def test_effects_and_moments_survive_rounds_held_by_hand() -> None:
    made: list[str] = []

    def charge() -> int:
        made.append("charge")
        return len(made)

    async def by_hand(ctx: Context) -> str | InputRequired:
        receipt = await ctx.once("charge", charge)
        moment = ctx.random()
        if ctx.input_responses is None:
            return InputRequired({"a": ListRoots()}, request_state=repr(moment))
        assert ctx.request_state == repr(moment)
        return f"receipt {receipt}"

    async def main() -> None:
        for revision in ASKING:
            made.clear()
            async with client_of(server_of(by_hand), revision, CAN_ALL) as wire:
                call = Call(wire, "by_hand")
                await call.start()
                assert await call.answer({"roots": []}) is None
                assert text_of(call) == "receipt 1"
                assert made == ["charge"]

    asyncio.run(main())


def test_a_record_that_grows_too_large_names_its_largest_entry(caplog: pytest.LogCaptureFixture) -> None:
    async def hoards(ctx: Context) -> str:
        await ctx.once("small", lambda: "x" * 100)
        await ctx.once("the whole catalogue", lambda: "x" * 2000)
        return (await ctx.elicit("?", NAME)).action

    async def main() -> None:
        async with client_of(server_of(hoards, limits=Limits(state_bytes=1000))) as wire:
            call = Call(wire, "hoards")
            assert await call.start() is None
            assert failed(call)
            await wire.result("tools/list")

    with caplog.at_level(logging.ERROR, "mcpcore"):
        asyncio.run(main())
    assert "the whole catalogue" in caplog.text and "1000" in caplog.text


# -- rounds held by hand -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "thread", "loop"])
@pytest.mark.parametrize("revision", ASKING)
def test_rounds_held_by_hand_are_the_same_in_every_revision(kind: str, revision: str) -> None:
    def step(ctx: Any) -> str | InputRequired:
        responses, state = ctx.input_responses, ctx.request_state
        if state is None:
            assert responses is None
            return InputRequired({"where": ListRoots(), "what": Sample("What?", 5)}, request_state="1")
        if state == "1":
            assert set(responses) == {"where", "what"}
            return InputRequired({"who": ListRoots()}, request_state="2" + responses["what"]["model"])
        return f"{state} {responses['who']['roots']}"

    async def by_hand(ctx: Context) -> str | InputRequired:
        return step(ctx)

    def by_hand_in_a_thread(ctx: SyncContext) -> str | InputRequired:
        return step(ctx)

    server = Server("asking")
    if kind == "async":
        server.tool(name="by_hand")(by_hand)
    else:
        server.tool(name="by_hand", thread="worker" if kind == "thread" else "loop")(by_hand_in_a_thread)

    async def main() -> None:
        async with client_of(server, revision, CAN_ALL) as wire:
            if revision == MODERN:
                call = Call(wire, "by_hand")
                await call.start()
                await call.retry({"where": {"roots": []}, "what": SAID})
                assert list(call.response["result"]["inputRequests"]) == ["who"]
                await call.retry({"who": {"roots": []}})
                assert text_of(call) == "2m []"
                return
            id = wire.call("tools/call", {"name": "by_hand"})
            asked = [await wire.hear(), await wire.hear()]
            assert {request["method"] for request in asked} == {"roots/list", "sampling/createMessage"}
            for request in asked:
                wire.reply(request, {"roots": []} if request["method"] == "roots/list" else SAID)
            wire.reply(await wire.hear("roots/list"), {"roots": []})
            assert (await wire.answer(id))["result"]["content"][0]["text"] == "2m []"

    asyncio.run(main())


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
def test_rounds_held_by_hand_ask_nothing_that_was_not_declared(revision: str) -> None:
    async def by_hand(ctx: Context) -> str | InputRequired:
        return InputRequired({"a": ListRoots(), "b": Sample("?", 5), "c": ElicitUrl("!", "https://example.com/")})

    async def main() -> None:
        declared: dict[str, Any] = {"roots": {}, "sampling": {}, "elicitation": {}}
        async with client_of(server_of(by_hand), revision, declared) as wire:
            call = Call(wire, "by_hand", declared)
            assert await call.start() is None
            assert call.response["error"]["code"] == (-32021 if revision == MODERN else -32600)

    asyncio.run(main())
