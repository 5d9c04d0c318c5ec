"""2026-07-28, basic/patterns/mrtr, the server's side: asking inside results, and what comes back with the retry."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Context, Elicit, ElicitUrl, InputRequired, ListRoots, Sample, Server
from mcpcore.core.exchange import Exchange
from mcpcore.core.limits import Limits
from tests.contract.wire import Wire, client_of

TOOL = "tools/call"
CAN_ALL: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
NAME = {"type": "object", "properties": {"name": {"type": "string", "minLength": 2}}, "required": ["name"]}
ANNA = {"action": "accept", "content": {"name": "Anna"}}
ASKING: list[tuple[str, dict[str, Any]]] = [
    (TOOL, {"name": "order", "arguments": {"dish": "soup"}}),
    ("prompts/get", {"name": "menu", "arguments": {"dish": "soup"}}),
    ("resources/read", {"uri": "dish://soup"}),
]


def make_server(runs: list[str] | None = None, **options: Any) -> Server:
    server = Server("contract", **{"secret": "0123456789abcdef", **options})
    runs = [] if runs is None else runs

    async def serve(ctx: Context, dish: str) -> str:
        runs.append(dish)
        first = await ctx.elicit("Your name?", NAME, key="name")
        second = await ctx.sample(f"Praise the {dish}", 20, key="praise")
        return f"{first.content}: {second.text}"

    @server.tool
    async def order(dish: str, ctx: Context) -> str:
        return await serve(ctx, dish)

    @server.tool
    async def reorder(dish: str, ctx: Context) -> str:
        return await serve(ctx, dish)

    @server.prompt
    async def menu(dish: str, ctx: Context) -> str:
        return await serve(ctx, dish)

    @server.resource("dish://{dish}")
    async def dishes(dish: str, ctx: Context) -> str:
        return await serve(ctx, dish)

    @server.tool
    async def everything(ctx: Context) -> str:
        form, url, model, roots = Elicit("?", NAME), ElicitUrl("!", "https://example.com/"), Sample("?", 5), ListRoots()
        answers = await ctx.ask_all({"form": form, "url": url, "model": model, "roots": roots})
        return ",".join(sorted(answers))

    @server.tool
    async def insist(ctx: Context) -> str:
        """Asks until it hears what it wants."""
        for attempt in range(5):
            answer = await ctx.elicit("Say yes", NAME, key=f"attempt {attempt}")
            if answer.content == {"name": "yes"}:
                return f"after {attempt}"
        return "given up"

    @server.tool
    async def only_state(ctx: Context) -> str | InputRequired:
        if ctx.request_state is None:
            return InputRequired(request_state="step 1")
        return f"{ctx.request_state} done"

    @server.tool(single_use=True)
    async def redeem(ctx: Context) -> str:
        runs.append("redeem")
        await ctx.elicit("Sure?", NAME)
        return "redeemed"

    return server


def retry(params: dict[str, Any], result: dict[str, Any], answers: Any) -> dict[str, Any]:
    again = {**params, "inputResponses": answers}
    return again | ({"requestState": result["requestState"]} if "requestState" in result else {})


SAID = {"role": "assistant", "content": {"type": "text", "text": "Delicious"}, "model": "m"}


async def in_three_rounds(wire: Wire, method: str, params: dict[str, Any], **meta: Any) -> list[dict[str, Any]]:
    first = await wire.result(method, params, capabilities=CAN_ALL, **meta)
    second = await wire.result(method, retry(params, first, {"name": ANNA}), capabilities=CAN_ALL, **meta)
    third = await wire.result(method, retry(params, second, {"praise": SAID}), capabilities=CAN_ALL, **meta)
    return [first, second, third]


# -- asking ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/mrtr/M01", "2026-07-28/mrtr/Y01", "2026-07-28/patterns/M01", "2026-07-28/stdio/M06")
@pytest.mark.parametrize(("method", "params"), ASKING)
def test_a_question_travels_inside_the_result_and_never_as_a_request(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            first, second, third = await in_three_rounds(wire, method, params)
            assert first["resultType"] == second["resultType"] == "input_required"
            assert first["inputRequests"] == {
                "name": {"method": "elicitation/create", "params": {"message": "Your name?", "requestedSchema": NAME}}
            }
            assert list(second["inputRequests"]) == ["praise"]
            assert second["inputRequests"]["praise"]["method"] == "sampling/createMessage"
            assert third["resultType"] == "complete"
            assert "{'name': 'Anna'}: Delicious" in json.dumps(third)
            sent = [json.loads(line) for side, line in wire.lines if side == "server"]
            assert all("method" not in message for message in sent)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M01", "2026-07-28/mrtr/M04", "2026-07-28/mrtr/M05", "2026-07-28/mrtr/M10")
def test_several_questions_have_keys_of_their_own_and_are_of_the_three_kinds() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            result = await wire.result(TOOL, {"name": "everything"}, capabilities=CAN_ALL)
            assert {key: asked["method"] for key, asked in result["inputRequests"].items()} == {
                "form": "elicitation/create",
                "url": "elicitation/create",
                "model": "sampling/createMessage",
                "roots": "roots/list",
            }
            for asked in result["inputRequests"].values():
                assert not {"jsonrpc", "id"} & asked.keys()
            objects: list[list[str]] = []
            json.loads(wire.lines[-1][1], object_pairs_hook=lambda pairs: objects.append([k for k, _ in pairs]))
            assert all(len(set(names)) == len(names) for names in objects)  # no key twice, as the bytes have it

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M10", "2026-07-28/mrtr/Y03")
def test_a_result_may_hold_a_state_and_no_question() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            first = await wire.result(TOOL, {"name": "only_state"})
            assert first["resultType"] == "input_required"
            assert "inputRequests" not in first
            again = {"name": "only_state", "requestState": first["requestState"]}
            assert (await wire.result(TOOL, again))["content"][0]["text"] == "step 1 done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M10")
def test_a_handler_that_requires_nothing_at_all_fails() -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def empty() -> str | InputRequired:
            return InputRequired()

        async with client_of(server) as wire:
            response = await wire.ask(TOOL, {"name": "empty"}, capabilities=CAN_ALL)
            assert response.get("error", {}).get("code") == -32603 or response["result"]["isError"] is True

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M03")
def test_no_other_request_is_answered_with_a_question() -> None:
    class Asks:
        async def list(self, ctx: Context) -> list[Any]:
            await ctx.elicit("?", NAME)
            return []

        def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
            return NotImplemented

    async def main() -> None:
        server = make_server()
        server.add_tool_provider(Asks())

        @server.completion("menu", "dish")
        async def complete(value: str, ctx: Context) -> list[str]:
            await ctx.elicit("?", NAME)
            return []

        @server.method("acme/asks")
        async def asks(params: dict[str, Any], ctx: Context) -> dict[str, Any]:
            await ctx.roots()
            return {}

        @server.method("acme/returns")
        async def returns(params: dict[str, Any]) -> Any:
            return InputRequired({"a": ListRoots()})

        @server.method("acme/writes")
        async def writes(params: dict[str, Any]) -> dict[str, Any]:
            return {"resultType": "input_required", "requestState": "x"}

        reference = {"ref": {"type": "ref/prompt", "name": "menu"}, "argument": {"name": "dish", "value": ""}}
        async with client_of(server) as wire:
            for method, params in (
                ("tools/list", {}),
                ("completion/complete", reference),
                ("acme/asks", {}),
                ("acme/returns", {}),
                ("acme/writes", {}),
            ):
                assert (await wire.error(method, params, capabilities=CAN_ALL))["code"] == -32603, method

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M12")
def test_questions_that_are_never_answered_hold_nothing_back() -> None:
    async def main() -> None:
        runs: list[str] = []
        async with client_of(make_server(runs, limits=Limits(max_in_flight=1, max_questions=1))) as wire:
            for _ in range(200):
                result = await wire.result(*ASKING[0], capabilities=CAN_ALL)
                assert result["resultType"] == "input_required"
            await wire.result("tools/list")
        assert len(runs) == 200

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/Y02")
def test_a_server_may_ask_again_on_every_attempt() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            params: dict[str, Any] = {"name": "insist"}
            result = await wire.result(TOOL, params, capabilities=CAN_ALL)
            for answer in ("no", "never", "yes"):
                assert result["resultType"] == "input_required"
                answers = {key: {"action": "accept", "content": {"name": answer}} for key in result["inputRequests"]}
                result = await wire.result(TOOL, retry(params, result, answers), capabilities=CAN_ALL)
            assert result["content"][0]["text"] == "after 2"

    asyncio.run(main())


# -- requestState ------------------------------------------------------------------------------------------------------


def forgeries(state: str) -> list[Any]:
    flipped = ("B" if state[20] == "A" else "A").join((state[:20], state[21:]))
    return [flipped, state[:-1], state[1:], state + "A", state + "=", state.swapcase(), "", "x", None, 7, {}, [state]]


@pytest.mark.spec("2026-07-28/mrtr/M06", "2026-07-28/mrtr/M07", "2026-07-28/mrtr/M08", "2026-07-28/mrtr/S05")
@pytest.mark.parametrize(("method", "params"), ASKING)
def test_a_state_that_was_changed_is_refused_before_anything_runs(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        runs: list[str] = []
        async with client_of(make_server(runs)) as wire:
            first = await wire.result(method, params, capabilities=CAN_ALL)
            wire.judge = None
            for forged in forgeries(first["requestState"]):
                again = retry(params, {"requestState": forged}, {"name": ANNA})
                assert (await wire.error(method, again, capabilities=CAN_ALL))["code"] == -32602
            assert runs == ["soup"]
            # the genuine one still opens
            again = await wire.result(method, retry(params, first, {"name": ANNA}), capabilities=CAN_ALL)
            assert list(again["inputRequests"]) == ["praise"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M08")
def test_a_state_sealed_with_another_secret_is_refused() -> None:
    async def main() -> None:
        async with client_of(make_server(secret="another secret!!")) as wire:
            first = await wire.result(*ASKING[0], capabilities=CAN_ALL)
        async with client_of(make_server()) as wire:
            again = retry(ASKING[0][1], first, {"name": ANNA})
            assert (await wire.error(TOOL, again, capabilities=CAN_ALL))["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S02")
def test_a_state_is_refused_once_its_time_is_over() -> None:
    async def main() -> None:
        async with client_of(make_server(limits=Limits(state_seconds=0))) as wire:
            first = await wire.result(*ASKING[0], capabilities=CAN_ALL)
            error = await wire.error(TOOL, retry(ASKING[0][1], first, {"name": ANNA}), capabilities=CAN_ALL)
            assert error["code"] == -32602
            assert error["data"] == {"reason": "expired"}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S03")
@pytest.mark.parametrize(
    ("method", "params"),
    [
        (TOOL, {"name": "reorder", "arguments": {"dish": "soup"}}),
        (TOOL, {"name": "order", "arguments": {"dish": "cake"}}),
        (TOOL, {"name": "order", "arguments": {"dish": "soup", "x": None}}),
        (TOOL, {"name": "order", "arguments": {"dish": "soup"}, "more": 1}),
        *ASKING[1:],
    ],
)
def test_a_state_is_refused_on_another_request_than_its_own(method: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        runs: list[str] = []
        async with client_of(make_server(runs)) as wire:
            first = await wire.result(*ASKING[0], capabilities=CAN_ALL)
            error = await wire.error(method, retry(params, first, {"name": ANNA}), capabilities=CAN_ALL)
            assert error["code"] == -32602
            assert error["data"] == {"reason": "request"}
            assert runs == ["soup"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S01")
def test_a_state_is_refused_from_another_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            monkeypatch.setattr(Exchange, "principal", "anna")
            first = await wire.result(*ASKING[0], capabilities=CAN_ALL)
            again = retry(ASKING[0][1], first, {"name": ANNA})
            monkeypatch.setattr(Exchange, "principal", "bert")
            error = await wire.error(TOOL, again, capabilities=CAN_ALL)
            assert (error["code"], error["data"]) == (-32602, {"reason": "principal"})
            monkeypatch.setattr(Exchange, "principal", "anna")
            assert list((await wire.result(TOOL, again, capabilities=CAN_ALL))["inputRequests"]) == ["praise"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/M09")
def test_a_state_that_counts_once_is_taken_once_however_many_send_it() -> None:
    async def main() -> None:
        runs: list[str] = []
        async with client_of(make_server(runs)) as wire:
            params: dict[str, Any] = {"name": "redeem"}
            first = await wire.result(TOOL, params, capabilities=CAN_ALL)
            again = retry(params, first, dict.fromkeys(first["inputRequests"], ANNA))
            for id in ("a", "b", "c"):
                wire.call(TOOL, again, id=id, capabilities=CAN_ALL)
            responses = [await wire.hear() for _ in range(3)]
            redeemed = [response for response in responses if "result" in response]
            assert [response["result"]["content"][0]["text"] for response in redeemed] == ["redeemed"]
            assert {response["error"]["code"] for response in responses if "error" in response} == {-32602}
            assert runs == ["redeem", "redeem"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M05", "2026-07-28/mrtr/M12")
def test_a_retry_under_the_first_id_is_a_request_like_any_other() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            first = await wire.result(*ASKING[0], id="same", capabilities=CAN_ALL)
            again = retry(ASKING[0][1], first, {"name": ANNA})
            second = await wire.result(TOOL, again, id="same", capabilities=CAN_ALL)
            assert list(second["inputRequests"]) == ["praise"]

    asyncio.run(main())


# -- inputResponses ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/mrtr/S07")
def test_missing_answers_are_asked_for_again_and_those_that_came_are_kept() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            params: dict[str, Any] = {"name": "everything"}
            result = await wire.result(TOOL, params, capabilities=CAN_ALL)
            result = await wire.result(TOOL, retry(params, result, {}), capabilities=CAN_ALL)
            assert set(result["inputRequests"]) == {"form", "url", "model", "roots"}
            rounds = ({"form": ANNA, "roots": {"roots": []}}, {"model": SAID}, {"url": {"action": "decline"}})
            for left, answers in zip((["url", "model"], ["url"], None), rounds, strict=True):
                result = await wire.result(TOOL, retry(params, result, answers), capabilities=CAN_ALL)
                assert left is None or list(result["inputRequests"]) == left
            assert result["content"][0]["text"] == "form,model,roots,url"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S07")
def test_a_retry_without_any_answers_is_asked_again() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            method, params = ASKING[0]
            first = await wire.result(method, params, capabilities=CAN_ALL)
            again = {**params, "requestState": first["requestState"]}
            second = await wire.result(method, again, capabilities=CAN_ALL)
            assert second["inputRequests"] == first["inputRequests"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S06")
@pytest.mark.parametrize("extra", [{"unknown": ANNA}, {"": {}}, {"name2": {"roots": []}}], ids=str)
def test_answers_that_nobody_asked_for_are_ignored(extra: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            method, params = ASKING[0]
            first = await wire.result(method, params, capabilities=CAN_ALL)
            second = await wire.result(method, retry(params, first, {"name": ANNA, **extra}), capabilities=CAN_ALL)
            assert list(second["inputRequests"]) == ["praise"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S04", "2026-07-28/mrtr/S05")
@pytest.mark.parametrize(
    "answer",
    [
        {"action": "accept", "content": {"name": "A"}},
        {"action": "accept", "content": {"name": 7}},
        {"action": "accept", "content": {}},
        {"action": "accept"},
        {"action": "accept", "content": [1]},
    ],
    ids=str,
)
def test_an_answer_that_breaks_the_schema_asked_for_is_refused(answer: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None
            method, params = ASKING[0]
            first = await wire.result(method, params, capabilities=CAN_ALL)
            error = await wire.error(method, retry(params, first, {"name": answer}), capabilities=CAN_ALL)
            assert error["code"] == -32602
            assert "name" in error["message"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S04")
@pytest.mark.parametrize("answer", [None, 5, "Anna", [], {}, {"action": "maybe"}, {"roots": []}, SAID], ids=str)
def test_an_answer_of_another_shape_is_never_used(answer: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None
            method, params = ASKING[0]
            first = await wire.result(method, params, capabilities=CAN_ALL)
            second = await wire.result(method, retry(params, first, {"name": answer}), capabilities=CAN_ALL)
            assert second["inputRequests"] == first["inputRequests"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S04", "2026-07-28/mrtr/S05")
@pytest.mark.parametrize("answers", [5, "name", False, [], [ANNA]], ids=str)
@pytest.mark.parametrize(("method", "params"), ASKING)
def test_answers_that_are_no_object_are_refused(method: str, params: dict[str, Any], answers: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            wire.judge = None
            first = await wire.result(method, params, capabilities=CAN_ALL)
            error = await wire.error(method, retry(params, first, answers), capabilities=CAN_ALL)
            assert error["code"] == -32602
            error = await wire.error(method, {**params, "inputResponses": answers}, capabilities=CAN_ALL)
            assert error["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S04")
def test_a_handler_that_holds_the_rounds_itself_sees_no_answer_of_another_shape() -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def by_hand(ctx: Context) -> str | InputRequired:
            if ctx.input_responses is None:
                return InputRequired({"a": ListRoots(), "b": ListRoots()})
            return ",".join(ctx.input_responses)

        async with client_of(server) as wire:
            params: dict[str, Any] = {"name": "by_hand"}
            first = await wire.result(TOOL, params, capabilities=CAN_ALL)
            wire.judge = None
            again = retry(params, first, {"a": {"roots": []}, "b": "roots"})
            assert (await wire.result(TOOL, again, capabilities=CAN_ALL))["content"][0]["text"] == "a"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/mrtr/S04")
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_refusal_is_an_answer_and_completes_the_round(action: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            method, params = ASKING[0]
            first = await wire.result(method, params, capabilities=CAN_ALL)
            second = await wire.result(method, retry(params, first, {"name": {"action": action}}), capabilities=CAN_ALL)
            assert list(second["inputRequests"]) == ["praise"]

    asyncio.run(main())
