"""One way to ask, in the legacy revisions: a question is a request, waited for, limited, and withdrawn where nobody
waits any more. Also what a server does with roots."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from mcpcore import Context, Elicit, ListRoots, Sample, Server, SyncContext
from mcpcore.core.limits import Limits
from mcpcore.errors import AnswerTimeout, QuestionFailed
from tests.contract.asking import ACCEPT, ASKING, CAN_ALL, SAID, Call, server_of, text_of
from tests.contract.wire import LEGACY, MODERN, Wire, client_of

FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
NEWEST = LEGACY[-1]


async def asks(ctx: Context) -> str:
    return (await ctx.elicit("?", FORM)).action


def asks_in_a_thread(ctx: SyncContext) -> str:
    return ctx.elicit("?", FORM).action


async def withdrawn(wire: Wire, question: dict[str, Any]) -> None:
    assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == question["id"]


@pytest.mark.parametrize("handler", [asks, asks_in_a_thread], ids=lambda handler: handler.__name__)
def test_a_client_that_never_answers_is_not_waited_for_for_ever(handler: Any) -> None:
    async def main() -> None:
        server = server_of(handler, limits=Limits(answer_seconds=0.02))
        async with client_of(server, NEWEST, CAN_ALL) as wire:
            id = wire.call("tools/call", {"name": handler.__name__})
            question = await wire.hear("elicitation/create")
            await withdrawn(wire, question)
            assert (await wire.answer(id))["result"]["isError"] is True
            wire.reply(question, ACCEPT)  # too late: ignored
            assert await wire.fence() == []

    asyncio.run(main())


def test_a_handler_may_go_on_without_an_answer() -> None:
    async def patient(ctx: Context) -> str:
        try:
            await ctx.elicit("?", FORM)
        except AnswerTimeout:
            return "went on"
        return "answered"

    async def main() -> None:
        async with client_of(server_of(patient, limits=Limits(answer_seconds=0.02)), NEWEST, CAN_ALL) as wire:
            id = wire.call("tools/call", {"name": "patient"})
            await withdrawn(wire, await wire.hear("elicitation/create"))
            assert (await wire.answer(id))["result"]["content"][0]["text"] == "went on"

    asyncio.run(main())


@pytest.mark.parametrize("handler", [asks, asks_in_a_thread], ids=lambda handler: handler.__name__)
def test_a_cancelled_call_withdraws_its_question_and_frees_its_thread(handler: Any) -> None:
    async def main() -> None:
        server = server_of(handler, limits=Limits(threads=1, waiting_threads=0))
        async with client_of(server, NEWEST, CAN_ALL) as wire:
            id = wire.call("tools/call", {"name": handler.__name__})
            question = await wire.hear("elicitation/create")
            wire.tell("notifications/cancelled", {"requestId": id})
            await withdrawn(wire, question)
            id = wire.call("tools/call", {"name": handler.__name__})
            wire.reply(await wire.hear("elicitation/create"), ACCEPT)
            assert (await wire.answer(id))["result"]["content"][0]["text"] == "accept"

    asyncio.run(main())


@pytest.mark.parametrize("handler", [asks, asks_in_a_thread], ids=lambda handler: handler.__name__)
def test_a_tool_whose_time_is_over_withdraws_its_question_and_frees_its_thread(handler: Any) -> None:
    async def main() -> None:
        server = Server("asking", limits=Limits(threads=1, waiting_threads=0))
        server.tool(name="ask", timeout=0.02)(handler)
        server.tool(name="patient")(handler)
        async with client_of(server, NEWEST, CAN_ALL) as wire:
            id = wire.call("tools/call", {"name": "ask"})
            question = await wire.hear("elicitation/create")
            messages = [await wire.hear(), await wire.hear()]
            (response,) = (message for message in messages if message.get("id") == id)
            assert response["result"]["isError"] is True
            (cancelled,) = (message for message in messages if "method" in message)
            assert cancelled["params"]["requestId"] == question["id"]
            id = wire.call("tools/call", {"name": "patient"})
            wire.reply(await wire.hear("elicitation/create"), ACCEPT)
            assert (await wire.answer(id))["result"]["content"][0]["text"] == "accept"

    asyncio.run(main())


def test_a_handler_that_stops_waiting_withdraws_its_question() -> None:
    async def hasty(ctx: Context) -> str:
        try:
            async with asyncio.timeout(0.02):
                await ctx.elicit("?", FORM)
        except TimeoutError:
            return "too slow"
        return "answered"

    async def main() -> None:
        async with client_of(server_of(hasty), NEWEST, CAN_ALL) as wire:
            id = wire.call("tools/call", {"name": "hasty"})
            await withdrawn(wire, await wire.hear("elicitation/create"))
            assert (await wire.answer(id))["result"]["content"][0]["text"] == "too slow"

    asyncio.run(main())


def test_questions_asked_at_once_travel_at_once_and_one_that_fails_withdraws_the_others() -> None:
    async def everything(ctx: Context) -> str:
        questions = {"form": Elicit("?", FORM), "model": Sample("?", 5), "roots": ListRoots()}
        try:
            answers = await ctx.ask_all(questions)
        except QuestionFailed as error:
            return f"failed: {error.message}"
        return ",".join(answers)

    async def main() -> None:
        async with client_of(server_of(everything), NEWEST, CAN_ALL) as wire:
            for fails in (False, True):
                id = wire.call("tools/call", {"name": "everything"})
                asked = {request["method"]: request for request in [await wire.hear() for _ in range(3)]}
                form, model, roots = (asked[m] for m in ("elicitation/create", "sampling/createMessage", "roots/list"))
                wire.reply(roots, {"roots": []})
                if fails:
                    wire.refuse(model, -1, "no")
                    await withdrawn(wire, form)
                else:
                    wire.reply(model, SAID)
                    wire.reply(form, ACCEPT)
                text = (await wire.answer(id))["result"]["content"][0]["text"]
                assert text == ("failed: no" if fails else "form,model,roots")

    asyncio.run(main())


def test_open_questions_are_limited() -> None:
    async def main() -> None:
        async with client_of(server_of(asks, limits=Limits(max_questions=2)), NEWEST, CAN_ALL) as wire:
            ids = [wire.call("tools/call", {"name": "asks"}) for _ in range(2)]
            questions = [await wire.hear("elicitation/create") for _ in ids]
            assert (await wire.error("tools/call", {"name": "asks"}))["code"] == 429
            for id, question in zip(ids, questions, strict=True):
                wire.reply(question, ACCEPT)
                assert "result" in await wire.answer(id)

    asyncio.run(main())


def test_threads_that_wait_for_people_do_not_stop_the_others() -> None:
    started = threading.Event()

    def works() -> str:
        started.set()
        return "worked"

    async def main() -> None:
        server = server_of(asks_in_a_thread, works, limits=Limits(threads=1, waiting_threads=2))
        async with client_of(server, NEWEST, CAN_ALL) as wire:
            ids = [wire.call("tools/call", {"name": "asks_in_a_thread"}) for _ in range(2)]
            questions = [await wire.hear("elicitation/create") for _ in ids]
            assert (await wire.result("tools/call", {"name": "works"}))["content"][0]["text"] == "worked"
            for id, question in zip(ids, questions, strict=True):
                wire.reply(question, ACCEPT)
                assert "result" in await wire.answer(id)

    asyncio.run(main())


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_an_error_of_the_client_is_never_the_answer_to_its_own_request(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = server_of(asks)
        server.prompt(asks)
        server.resource("x://asks")(asks)
        params: dict[str, Any] = {"uri": "x://asks"} if method == "resources/read" else {"name": "asks"}
        async with client_of(server, NEWEST, CAN_ALL) as wire:
            id = wire.call(method, params)
            wire.refuse(await wire.hear("elicitation/create"), -32601, "Method not found")
            response = await wire.answer(id)
            if method == "tools/call":
                assert response["result"]["isError"] is True
                assert "Method not found" in response["result"]["content"][0]["text"]
            else:
                assert response["error"]["code"] == -32603

    with caplog.at_level(logging.CRITICAL, "mcpcore"):
        asyncio.run(main())


def test_nobody_is_asked_before_the_handshake_is_complete() -> None:
    async def main() -> None:
        wire = Wire("client")
        channel = server_of(asks).connect_client(wire)
        wire.attach(channel.write, channel.close)
        wire.revision = NEWEST
        info = {"name": "wire", "version": "1"}
        await wire.result(
            "initialize", {"protocolVersion": NEWEST, "capabilities": CAN_ALL, "clientInfo": info}, id="initialize"
        )
        wire.judge = None  # calls before it is initialized
        assert (await wire.error("tools/call", {"name": "asks"}))["code"] == -32600
        wire.tell("notifications/initialized")
        id = wire.call("tools/call", {"name": "asks"})
        wire.reply(await wire.hear("elicitation/create"), ACCEPT)
        assert "result" in await wire.answer(id)
        wire.close()
        await wire.end()

    asyncio.run(main())


# -- roots -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/roots/S03", "2024-11-05/roots/S11", "2024-11-05/schema/S12")
@pytest.mark.parametrize("revision", ASKING)
def test_roots_are_listed_again_whenever_they_are_needed_so_changes_are_seen(revision: str) -> None:
    async def lists(ctx: Context) -> str:
        return ",".join(root.uri for root in await ctx.roots())

    async def main() -> None:
        async with client_of(server_of(lists), revision, CAN_ALL) as wire:
            for uris in (["file:///a", "file:///b"], ["file:///b"], [], ["file:///c"]):
                call = Call(wire, "lists")
                question = await call.start()
                assert question is not None and question["method"] == "roots/list"
                assert await call.answer({"roots": [{"uri": uri} for uri in uris]}) is None
                assert text_of(call) == ",".join(uris)
                if revision != MODERN:
                    wire.tell("notifications/roots/list_changed")

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/roots/S11")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_server_may_hear_of_changed_roots(revision: str) -> None:
    heard: list[Any] = []

    async def main() -> None:
        server = Server("asking")

        @server.notification("notifications/roots/list_changed")
        def changed(params: dict[str, Any]) -> None:
            heard.append(params)

        async with client_of(server, revision, {"roots": {"listChanged": True}}) as wire:
            wire.tell("notifications/roots/list_changed")
            await wire.fence()

    asyncio.run(main())
    assert heard == [{}]


@pytest.mark.spec("2024-11-05/roots/S10")
@pytest.mark.parametrize("revision", ASKING)
def test_no_roots_are_asked_for_where_none_are_declared(revision: str) -> None:
    async def lists(ctx: Context) -> str:
        return repr(await ctx.roots())

    declarations: list[dict[str, Any]] = [{}, {"sampling": {}}]

    async def main() -> None:
        for declared in declarations:
            async with client_of(server_of(lists), revision, declared) as wire:
                call = Call(wire, "lists", declared)
                assert await call.start() is None
                assert call.response["error"]["code"] == (-32021 if revision == MODERN else -32600)

    asyncio.run(main())
