"""server/utilities/completion of every revision: what completes, in which order, how much, and for whom."""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest

from mcpcore import Client, Context, RpcError, Server, SyncContext
from mcpcore.types import Completion, PromptRef, TemplateRef
from tests.contract.wire import LEGACY, MODERN, REVISIONS, Wire, accept, client_of, serving

COMPLETE = "completion/complete"
SECRET = "s3cr3t-value"


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    INFRARED = "infrared"


def make_server() -> Server:
    server = Server("contract")

    @server.prompt
    def paint(
        colour: Colour,
        size: Literal["small", "medium", "large"] = "medium",
        layers: Annotated[Literal[1, 2, 10], msgspec.Meta(description="How many")] = 1,
        mood: Literal["calm"] | None = None,
        text: str = "",
        city: str = "",
        crash: str = "",
        many: str = "",
    ) -> str:
        return f"{colour.value} {size} {layers!r} {mood} {text}"

    @server.resource("shop://{kind}/{item}{?colour}")
    def item(kind: Literal["hat", "shoe"], item: str, colour: Colour = Colour.RED) -> str:
        return f"{kind} {item} {colour.value}"

    @server.resource("shop://all")
    async def everything() -> str:
        return "everything"

    cities = {"france": ["Paris", "Pau"], "italy": ["Parma", "Padua"]}

    @server.completion("paint", "city")
    def city(value: str, arguments: dict[str, str]) -> list[str]:
        found = cities.get(arguments.get("text", ""), [one for names in cities.values() for one in names])
        return [name for name in found if name.startswith(value)]

    @server.completion("paint", "crash")
    async def crash(value: str) -> list[str]:
        raise ValueError(SECRET)

    @server.completion("paint", "many")
    async def many(value: str, ctx: Context) -> Any:
        count = int(value)
        if count < 0:
            return Completion(values=[str(n) for n in range(-count)], total=1000)
        return [str(n) for n in range(count)]

    @server.completion("shop://{kind}/{item}{?colour}", "item")
    def items(value: str, ctx: SyncContext) -> Iterator[str]:
        return (f"{value}{n}" for n in range(3))

    return server


def ask(argument: str, value: str = "", **context: str) -> dict[str, Any]:
    given = {"context": {"arguments": context}} if context else {}
    return {"ref": {"type": "ref/prompt", "name": "paint"}, "argument": {"name": argument, "value": value}, **given}


def ask_template(uri: str, argument: str, value: str = "") -> dict[str, Any]:
    return {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": argument, "value": value}}


async def completed(wire: Wire, params: dict[str, Any]) -> dict[str, Any]:
    completion: dict[str, Any] = (await wire.result(COMPLETE, params))["completion"]
    return completion


# -- who offers it -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/completion/M01", "2025-03-26/completion/S01", "2026-07-28/schema/M01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_completion_is_declared_where_something_completes_and_unknown_elsewhere(revision: str) -> None:
    async def opening(server: Server, wire: Wire) -> dict[str, Any]:
        result = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
        capabilities: dict[str, Any] = result["capabilities"]
        return capabilities

    async def main() -> None:
        derived, by_function, without = Server("derived"), Server("by function"), Server("without")

        @derived.prompt
        def choose(colour: Colour) -> str:
            return colour.value

        @by_function.prompt
        @without.prompt
        def free(text: str) -> str:
            return text

        by_function.completion("free", "text")(lambda value: [value])
        for server in (derived, by_function, Server("declared", declare=["completions"])):
            async with client_of(server) as wire:
                expected: dict[str, Any] | None = (
                    {} if revision >= "2025-03-26" else None
                )  # 2024-11-05 has completion and no name for it
                assert (await opening(server, wire)).get("completions") == expected
        async with client_of(without) as wire:
            assert "completions" not in await opening(without, wire)
            params = {"ref": {"type": "ref/prompt", "name": "free"}, "argument": {"name": "text", "value": ""}}
            assert (await wire.error(COMPLETE, params))["code"] == -32601

    asyncio.run(main())


# -- what completes ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/completion/S01", "2024-11-05/completion/S02")
@pytest.mark.parametrize(
    ("argument", "value", "values"),
    [
        ("colour", "", ["red", "green", "infrared"]),
        ("colour", "re", ["red", "green", "infrared"]),  # what begins with it comes first, then what holds it
        ("colour", "RED", ["red", "infrared"]),
        ("colour", "gr", ["green"]),
        ("colour", "blue", []),
        ("size", "m", ["medium", "small"]),
        ("layers", "1", ["1", "10"]),
        ("mood", "", ["calm"]),
        ("text", "anything", []),
    ],
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_choices_of_a_hint_complete_the_best_first(revision: str, argument: str, value: str, values: list[str]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            completion = await completed(wire, ask(argument, value))
            assert completion == {"values": values, "total": len(values), "hasMore": False}

    asyncio.run(main())


def test_every_suggestion_is_taken_as_an_argument() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            for argument in ("colour", "size", "layers", "mood"):
                for value in (await completed(wire, ask(argument)))["values"]:
                    arguments = {"colour": "red", argument: value}
                    result = await wire.result("prompts/get", {"name": "paint", "arguments": arguments})
                    assert value in result["messages"][0]["content"]["text"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_variables_of_a_template_complete_by_its_text_and_by_a_uri_of_it(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            for uri in ("shop://{kind}/{item}{?colour}", "shop://hat/7"):
                assert (await completed(wire, ask_template(uri, "kind", "s")))["values"] == ["shoe"]
                assert (await completed(wire, ask_template(uri, "colour")))["values"] == ["red", "green", "infrared"]
                assert (await completed(wire, ask_template(uri, "item", "a")))["values"] == ["a0", "a1", "a2"]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_function_sees_the_arguments_that_are_known_already(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            assert (await completed(wire, ask("city", "Pa")))["values"] == ["Paris", "Pau", "Parma", "Padua"]
            if revision >= "2025-06-18":
                assert (await completed(wire, ask("city", "Pa", text="italy")))["values"] == ["Parma", "Padua"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/completion/M01")
@pytest.mark.parametrize(
    ("count", "sent", "total", "more"),
    [
        *((0, 0, 0, False), (99, 99, 99, False), (100, 100, 100, False), (101, 100, 101, True)),
        *((5000, 100, 5000, True), (-5, 5, 1000, False), (-200, 100, 1000, True)),
    ],
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_at_most_a_hundred_values_are_sent_and_the_rest_is_told(
    revision: str, count: int, sent: int, total: int, more: bool
) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            completion = await completed(wire, ask("many", str(count)))
            assert len(completion["values"]) == sent
            assert (completion["total"], completion["hasMore"]) == (total, more)

    asyncio.run(main())


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/completion/S02", "2025-03-26/completion/S03", "2024-11-05/schema/S01")
@pytest.mark.spec("2024-11-05/completion/S04", "2024-11-05/completion/M02")
@pytest.mark.parametrize(
    "params",
    [
        {"ref": {"type": "ref/prompt", "name": "unknown"}, "argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/prompt", "name": "PAINT"}, "argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/resource", "uri": "shop://"}, "argument": {"name": "kind", "value": ""}},
        {"ref": {"type": "ref/resource", "uri": SECRET}, "argument": {"name": "kind", "value": ""}},
        ask(SECRET),
        ask(""),
        ask_template("shop://all", SECRET),
        ask_template("shop://{kind}/{item}{?colour}", SECRET),
        {},
        {"ref": {"type": "ref/prompt", "name": "paint"}},
        {"argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/prompt"}, "argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/resource", "name": "paint"}, "argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/tool", "name": "paint"}, "argument": {"name": "colour", "value": ""}},
        {"ref": {"name": "paint"}, "argument": {"name": "colour", "value": ""}},
        {"ref": "paint", "argument": {"name": "colour", "value": ""}},
        {"ref": {"type": "ref/prompt", "name": "paint"}, "argument": {"name": "colour"}},
        {"ref": {"type": "ref/prompt", "name": "paint"}, "argument": {"value": ""}},
        {"ref": {"type": "ref/prompt", "name": "paint"}, "argument": {"name": "colour", "value": 7}},
        {"ref": {"type": "ref/prompt", "name": "paint"}, "argument": SECRET},
        {"ref": {"type": "ref/prompt", "name": 7}, "argument": {"name": "colour", "value": ""}},
    ],
    ids=lambda params: json.dumps(params)[:80],
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_cannot_be_completed_is_invalid_params(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(COMPLETE, params)
            assert error["code"] == -32602
            assert SECRET not in str(error) and "\n" not in error["message"] and len(error["message"]) < 200

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/completion/M02")
@pytest.mark.parametrize("context", [7, [], {"arguments": 7}, {"arguments": {"text": 7}}], ids=str)
@pytest.mark.parametrize("revision", REVISIONS[2:])
def test_a_context_of_the_wrong_shape_is_invalid_params(revision: str, context: Any) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            assert (await wire.error(COMPLETE, {**ask("city"), "context": context}))["code"] == -32602
            await wire.result(COMPLETE, {**ask("city"), "context": {}})

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/completion/S04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_completion_that_crashes_is_an_internal_error_whose_details_stay_in_the_log(
    revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            error = await wire.error(COMPLETE, ask("crash"))
            assert error["code"] == -32603
            assert SECRET not in str(error)
            await wire.result(COMPLETE, ask("colour"))

    asyncio.run(main())
    assert SECRET in caplog.text


@pytest.mark.parametrize("returned", ["a string", {"values": ["a"]}, 7, b"bytes"], ids=str)
def test_a_function_that_returns_no_values_is_an_internal_error(
    returned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = make_server()
        server.completion("paint", "text")(lambda value: returned)
        async with client_of(server) as wire:
            assert (await wire.error(COMPLETE, ask("text")))["code"] == -32603

    asyncio.run(main())
    assert "a list of strings or a Completion" in caplog.text


@pytest.mark.spec("2024-11-05/completion/M04", "2024-11-05/completion/M03", "2024-11-05/completion/S03")
@pytest.mark.parametrize("revision", REVISIONS)
def test_access_and_rate_are_checked_before_anything_is_suggested(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        asked: list[str] = []
        left = 3

        @server.completion("paint", "text")
        async def text(value: str) -> list[str]:
            asked.append(value)
            return [SECRET]

        @server.middleware
        async def guard(message: Any, call_next: Callable[[Any], Any]) -> Any:
            nonlocal left
            if message.method != COMPLETE:
                return await call_next(message)
            if message.params["argument"]["name"] == "text":
                raise RpcError(403, "these suggestions are not for you")
            left -= 1
            if left < 0:
                raise RpcError(429, "too many completions; wait a second", {"retryAfterMs": 1000})
            return await call_next(message)

        async with client_of(server, revision) as wire:
            error = await wire.error(COMPLETE, ask("text", "x"))
            assert error["code"] == 403 and SECRET not in str(error)
            assert asked == []
            for _ in range(3):
                await wire.result(COMPLETE, ask("colour"))
            error = await wire.error(COMPLETE, ask("colour"))
            assert error["code"] == 429 and error["data"] == {"retryAfterMs": 1000}

    asyncio.run(main())


# -- the client --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-06-18/completion/S01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_sends_what_is_known_already_where_the_revision_has_a_place_for_it(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"completions": {}})
            request = await wire.hear(COMPLETE)
            assert request["params"]["ref"] == {"type": "ref/prompt", "name": "paint"}
            assert request["params"]["argument"] == {"name": "city", "value": "Pa"}
            known = {"arguments": {"text": "italy"}} if revision >= "2025-06-18" else None
            assert request["params"].get("context") == known
            kind = {"resultType": "complete"} if revision == MODERN else {}
            wire.reply(request, {"completion": {"values": ["Parma"], "total": 1, "hasMore": False}, **kind})
            request = await wire.hear(COMPLETE)
            assert request["params"]["ref"] == {"type": "ref/resource", "uri": "shop://{kind}"}
            assert "context" not in request["params"]
            wire.reply(request, {"completion": {"values": []}, **kind})

        async with serving(script) as target, Client(target, revisions=revision) as client:
            found = await client.complete(PromptRef(name="paint"), "city", "Pa", {"text": "italy"})
            assert (found.values, found.total, found.has_more) == (["Parma"], 1, False)
            found = await client.complete(TemplateRef(uri="shop://{kind}"), "kind", "")
            assert (found.values, found.total, found.has_more) == ([], None, None)

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/completion/S07")
@pytest.mark.parametrize(
    ("completion", "values"),
    [
        ({"values": []}, []),
        ({"values": ["a"], "hasMore": True}, ["a"]),
        ({"values": ["a"], "total": None, "hasMore": None}, ["a"]),
        ({"values": ["a"] * 101, "total": 2}, ["a"] * 101),
        ({"values": None}, []),
        ({"values": ["a"], "com.example/more": {"x": 1}}, ["a"]),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
def test_a_client_takes_missing_partial_and_odd_results(revision: str, completion: Any, values: list[str]) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"completions": {}})
            request = await wire.hear(COMPLETE)
            wire.judge = None  # some of these results break the schema
            kind = {"resultType": "complete"} if revision == MODERN else {}
            wire.reply(request, {"completion": completion, **kind})

        async with serving(script) as target, Client(target, revisions=revision) as client:
            assert (await client.complete(PromptRef(name="paint"), "city", "")).values == values

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/completion/S07")
def test_a_completion_that_fails_leaves_the_client_usable() -> None:
    async def main() -> None:
        async with Client(make_server()) as client:
            with pytest.raises(RpcError) as caught:
                await client.complete(PromptRef(name="unknown"), "x", "")
            assert caught.value.code == -32602
            assert (await client.complete(PromptRef(name="paint"), "colour", "g")).values == ["green"]

    asyncio.run(main())
