"""One way to ask, wherever a handler runs: tools, prompts, resources, a resource read by a tool, tools of a provider;
and what a handler may not do while it asks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import Context, Elicit, InputRequired, ListRoots, Sample, Server, Tool
from mcpcore.errors import OnceFailed
from tests.contract.asking import ACCEPT, CAN_ALL, ELICITING, SAID, TOOLS, Call, server_of, text_of
from tests.contract.wire import MODERN, Wire, client_of

FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("tools/call", {"name": "x"}),
    ("prompts/get", {"name": "x"}),
    ("resources/read", {"uri": "x://x"}),
]
ANSWERS: dict[str, dict[str, Any]] = {
    "elicitation/create": ACCEPT,
    "sampling/createMessage": SAID,
    "roots/list": {"roots": []},
}


def everywhere(handler: Callable[..., Any]) -> Server:
    server = Server("asking")
    server.tool(name="x")(handler)
    server.prompt(name="x")(handler)
    server.resource("x://x")(handler)
    return server


async def answered(wire: Wire, method: str, params: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Answer whatever is asked until the request is answered: the methods that were asked, and the response."""
    asked: list[str] = []
    if wire.revision != MODERN:
        id = wire.call(method, params)
        while "method" in (message := await wire.hear()):
            asked.append(message["method"])
            wire.reply(message, ANSWERS[message["method"]])
        assert message["id"] == id
        return asked, message
    more: dict[str, Any] = {}
    while True:
        response = await wire.ask(method, {**params, **more}, capabilities=CAN_ALL)
        result = response.get("result", {})
        if result.get("resultType") != "input_required":
            return asked, response
        requests = result.get("inputRequests", {})
        asked += [request["method"] for request in requests.values()]
        more = {"inputResponses": {key: ANSWERS[request["method"]] for key, request in requests.items()}}
        if "requestState" in result:
            more["requestState"] = result["requestState"]


@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize(("method", "params"), PLACES)
def test_the_same_code_asks_everywhere(method: str, params: dict[str, Any], revision: str) -> None:
    async def asks(ctx: Context) -> str:
        first = await ctx.elicit("?", FORM)
        second = await ctx.sample("?", 5)
        return f"{first.action} {second.text} {await ctx.roots()}"

    async def main() -> None:
        async with client_of(everywhere(asks), revision, CAN_ALL) as wire:
            asked, response = await answered(wire, method, params)
            assert asked == ["elicitation/create", "sampling/createMessage", "roots/list"]
            assert "accept Delicious []" in json.dumps(response["result"])

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/Y03", "2026-07-28/prompts/Y03", "2026-07-28/resources/Y04")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize(("method", "params"), PLACES)
def test_rounds_may_be_held_by_hand_everywhere(method: str, params: dict[str, Any], revision: str) -> None:
    async def by_hand(ctx: Context) -> str | InputRequired:
        if ctx.input_responses is None:
            return InputRequired({"a": Elicit("?", FORM), "b": ListRoots()})
        if ctx.request_state is None:
            return InputRequired({"c": Sample("?", 5)}, request_state=ctx.input_responses["a"]["action"])
        return f"{ctx.request_state} {ctx.input_responses['c']['model']}"

    async def main() -> None:
        async with client_of(everywhere(by_hand), revision, CAN_ALL) as wire:
            asked, response = await answered(wire, method, params)
            assert sorted(asked) == ["elicitation/create", "roots/list", "sampling/createMessage"]
            assert "accept m" in json.dumps(response["result"])

    asyncio.run(main())


@pytest.mark.parametrize("revision", TOOLS)
def test_a_resource_that_asks_may_be_read_by_a_tool(revision: str) -> None:
    server = Server("asking")

    @server.resource("x://secret")
    async def secret(ctx: Context) -> str:
        return f"told after {(await ctx.elicit('May I?', FORM)).action}"

    @server.tool
    async def x(ctx: Context) -> str:
        before = (await ctx.elicit("Start?", FORM)).action
        contents = (await ctx.read_resource("x://secret")).contents
        after = (await ctx.elicit("End?", FORM)).action
        return f"{before}, {contents[0].text}, {after}"  # type: ignore[union-attr]

    async def main() -> None:
        async with client_of(server, revision, CAN_ALL) as wire:
            asked, response = await answered(wire, "tools/call", {"name": "x"})
            assert len(asked) == 3
            assert response["result"]["content"][0]["text"] == "accept, told after accept, accept"

    asyncio.run(main())


@pytest.mark.parametrize("revision", TOOLS)
def test_tools_of_a_provider_may_ask(revision: str) -> None:
    class Provider:
        async def list(self, ctx: Context) -> list[Tool]:
            return [Tool(name="x", input_schema={"type": "object"})]

        async def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
            return f"{name} {(await ctx.elicit('?', FORM)).action}"

    async def main() -> None:
        server = Server("asking")
        server.add_tool_provider(Provider())
        async with client_of(server, revision, CAN_ALL) as wire:
            asked, response = await answered(wire, "tools/call", {"name": "x"})
            assert asked == ["elicitation/create"]
            assert response["result"]["content"][0]["text"] == "x accept"

    asyncio.run(main())


# -- what may not be done ----------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/elicitation/M10", "2024-11-05/roots/S10")
@pytest.mark.parametrize("revision", TOOLS)
def test_where_one_of_several_questions_may_not_be_asked_none_is(revision: str) -> None:
    async def asks(ctx: Context) -> str:
        return repr(await ctx.ask_all({"a": Elicit("?", FORM), "b": Sample("?", 5), "c": ListRoots()}))

    async def main() -> None:
        for missing in ("elicitation", "sampling", "roots"):
            declared = {name: value for name, value in CAN_ALL.items() if name != missing}
            async with client_of(server_of(asks), revision, declared) as wire:
                call = Call(wire, "asks", declared)
                assert await call.start() is None
                assert call.response["error"]["code"] == (-32021 if revision == MODERN else -32600)
                assert missing in call.response["error"]["data"]["requiredCapabilities"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("together", [False, True])
def test_a_key_is_used_once(together: bool, revision: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer would be the first one's, and a loop that asks until it likes the answer would never end."""

    async def insists(ctx: Context) -> str:
        while True:
            question = Elicit("Say yes", FORM)
            if together:
                answer = (await ctx.ask_all({"again": question}))["again"]
            else:
                answer = await ctx.elicit("Say yes", FORM, key="again")
            if answer.action == "decline":
                return "never"

    async def main() -> None:
        async with client_of(server_of(insists), revision, CAN_ALL) as wire:
            call = Call(wire, "insists")
            await call.start()
            assert await call.answer(ACCEPT) is None
            assert call.response["result"]["isError"] is True

    with caplog.at_level(logging.ERROR, "mcpcore"):
        asyncio.run(main())
    assert "'again' was used before" in caplog.text


@pytest.mark.parametrize("revision", TOOLS)
def test_an_effect_gives_what_its_record_will_give_in_the_first_run_too(revision: str) -> None:
    class OutOfStock(Exception):
        pass

    def sold_out() -> None:
        raise OutOfStock("soup")

    async def orders(ctx: Context) -> str:
        value = await ctx.once("pair", lambda: (1, {"a": (2,)}))
        first = repr(value)
        try:
            await ctx.once("order", sold_out)
        except OnceFailed as error:
            failure = str(error)
        await ctx.info(f"{first} {failure}")
        await ctx.elicit("?", FORM)
        return f"{first} {failure}"

    async def main() -> None:
        async with client_of(server_of(orders), revision, CAN_ALL) as wire:
            call = Call(wire, "orders")
            await call.start()
            assert await call.answer(ACCEPT) is None
            (told,) = call.heard
            assert told["params"]["data"] == text_of(call) == "[1, {'a': [2]}] OutOfStock: soup"

    asyncio.run(main())


def test_two_secrets_open_what_either_sealed() -> None:
    async def asks(ctx: Context) -> str:
        return (await ctx.elicit("?", FORM)).action

    old, new = "an old secret ....", "a new secret ....."

    async def main() -> None:
        async with client_of(server_of(asks, secret=old)) as wire:
            first = await wire.result("tools/call", {"name": "asks"}, capabilities=CAN_ALL)
        ((key, _),) = first["inputRequests"].items()
        retry = {"name": "asks", "inputResponses": {key: ACCEPT}, "requestState": first["requestState"]}
        async with client_of(server_of(asks, secret=[new, old])) as wire:
            assert (await wire.result("tools/call", retry, capabilities=CAN_ALL))["content"][0]["text"] == "accept"
        async with client_of(server_of(asks, secret=new)) as wire:
            error = await wire.error("tools/call", retry, capabilities=CAN_ALL)
            assert (error["code"], error["data"]) == (-32602, {"reason": "signature"})

    asyncio.run(main())
