"""client/elicitation of 2025-06-18, 2025-11-25 and 2026-07-28, the server's side: what it asks, and what it takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from mcpcore import Context
from tests.contract.asking import CAN_ALL, ELICITING, TOOLS, Call, server_of, text_of
from tests.contract.wire import LEGACY, MODERN, client_of

NAME = {"type": "object", "properties": {"name": {"type": "string", "minLength": 2}}, "required": ["name"]}


@dataclass
class Order:
    dish: str
    portions: Annotated[int, msgspec.Meta(ge=1, le=9)]
    price: float = 1.5
    spicy: bool = False
    size: Literal["small", "large"] = "small"
    note: str | None = None


def asks(schema: Any) -> Any:
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("What would you like?", schema)
        return f"{answer.action} {answer.data!r}"

    return ask


def opens(url: str) -> Any:
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit_url("Please sign in", url)
        return f"{answer.action} {answer.content}"

    return ask


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-06-18/elicitation/M03",
    "2025-11-25/elicitation/M11",
    "2025-11-25/elicitation/M13",
    "2025-11-25/elicitation/Y01",
)
@pytest.mark.parametrize("revision", ELICITING)
def test_a_form_has_a_message_and_a_flat_schema_and_no_other_mode(revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(Order)), revision, CAN_ALL) as wire:
            question = await Call(wire, "ask").start()
            assert question is not None and question["method"] == "elicitation/create"
            params = question["params"]
            assert params["message"] == "What would you like?"
            assert params.get("mode", "form") == "form"
            schema = params["requestedSchema"]
            assert schema["type"] == "object"
            kinds = {name: member["type"] for name, member in schema["properties"].items()}
            assert kinds == {
                "dish": "string",
                "portions": "integer",
                "price": "number",
                "spicy": "boolean",
                "size": "string",
                "note": "string",
            }
            assert schema["required"] == ["dish", "portions"]

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/elicitation/M03")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize(
    "member",
    [
        {"type": "object", "properties": {"street": {"type": "string"}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array", "items": {"type": "object"}},
        {"type": "array"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/Address"},
        {},
        True,
    ],
    ids=str,
)
def test_a_form_that_is_not_flat_is_never_sent(member: Any, revision: str) -> None:
    async def main() -> None:
        async with client_of(
            server_of(asks({"type": "object", "properties": {"address": member}})), revision, CAN_ALL
        ) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert "error" in call.response or call.response["result"]["isError"]

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/elicitation/M03", "2025-11-25/elicitation/M13")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "string"}, {"properties": {}}, {"type": "object"}, {"type": "object", "properties": []}],
    ids=str,
)
def test_a_form_that_is_no_object_is_never_sent(schema: Any, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(schema)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert "error" in call.response or call.response["result"]["isError"]

    asyncio.run(main())


CHOICES = {
    "plain": {"type": "string", "enum": ["a", "b"]},
    "titled": {"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b", "title": "B"}]},
    "named": {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]},
    "many": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1},
    "many titled": {"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}, {"const": "b", "title": "B"}]}},
}


@pytest.mark.spec("2025-06-18/elicitation/M03", "2025-11-25/elicitation/S14")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("kind", CHOICES)
def test_choices_may_be_asked_for_in_five_forms_and_are_held_to_them(kind: str, revision: str) -> None:
    async def main() -> None:
        schema = {"type": "object", "properties": {"x": CHOICES[kind]}}
        good: Any = ["a", "b"] if kind.startswith("many") else "b"
        bad: Any = ["a", "c"] if kind.startswith("many") else "c"
        async with client_of(server_of(asks(schema)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            question = await call.start()
            assert question is not None and question["params"]["requestedSchema"] == schema
            assert await call.answer({"action": "accept", "content": {"x": good}}) is None
            content = {"x": good}
            assert text_of(call) == f"accept {content!r}"
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer({"action": "accept", "content": {"x": bad}}) is None
            assert "error" in call.response or call.response["result"]["isError"]

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/elicitation/M15", "2026-07-28/elicitation/M15", "2025-11-25/elicitation/M16")
@pytest.mark.parametrize("revision", TOOLS)
def test_an_elicitation_by_url_has_all_it_needs(revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(opens("https://example.com/sign?in=1#now")), revision, CAN_ALL) as wire:
            question = await Call(wire, "ask").start()
            assert question is not None
            params = dict(question["params"])
            id = params.pop("elicitationId", None)
            assert (type(id) is str and len(id) > 8) if revision != MODERN else id is None
            url = "https://example.com/sign?in=1#now"
            assert params == {"mode": "url", "message": "Please sign in", "url": url}

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/elicitation/M16")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "sign-in",
        "/sign/in",
        "example.com/in",
        "https://",
        "https:///in",
        "https://a b/",
        "http://[::1/",
        "https://x/\n",
    ],
)
def test_what_is_no_url_is_never_sent_as_one(url: str, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(opens(url)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert "error" in call.response or call.response["result"]["isError"]

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/schema/M08")
def test_no_two_elicitations_have_the_same_id() -> None:
    async def main() -> None:
        ids = set()
        server = server_of(opens("https://example.com/"))
        for _ in range(2):
            async with client_of(server, "2025-11-25", CAN_ALL) as wire:
                for _ in range(50):
                    call = Call(wire, "ask")
                    question = await call.start()
                    assert question is not None
                    ids.add(question["params"]["elicitationId"])
                    await call.answer({"action": "decline"})
        assert len(ids) == 100

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/elicitation/M10", "2025-11-25/elicitation/M08")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize(
    ("declared", "form", "url"),
    [
        ({"elicitation": {}}, True, False),
        ({"elicitation": {"form": {}}}, True, False),
        ({"elicitation": {"url": {}}}, False, True),
        ({"elicitation": {"form": {}, "url": {}}}, True, True),
        ({}, False, False),
        ({"sampling": {}, "roots": {}}, False, False),
    ],
    ids=str,
)
def test_only_a_declared_mode_is_sent(declared: dict[str, Any], form: bool, url: bool, revision: str) -> None:
    async def main() -> None:
        for handler, allowed, mode in ((asks(NAME), form, "form"), (opens("https://example.com/"), url, "url")):
            async with client_of(server_of(handler), revision, declared) as wire:
                call = Call(wire, "ask", declared)
                question = await call.start()
                assert (question is not None) is allowed
                if not allowed and revision == MODERN:
                    error = call.response["error"]
                    assert error["code"] == -32021
                    # what is named is what helps
                    required = error["data"]["requiredCapabilities"]
                    again = Call(wire, "ask", required)
                    assert await again.start() is not None
                    assert mode in required["elicitation"] or mode == "form"

    asyncio.run(main())


@pytest.mark.parametrize("revision", LEGACY[:2])
def test_before_2025_06_18_nobody_is_elicited(revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(NAME)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            assert await call.start() is None
            assert call.response["error"]["code"] == -32600

    asyncio.run(main())


# -- what is taken -----------------------------------------------------------------------------------------------------

GOOD = [
    {"dish": "soup", "portions": 2},
    {"dish": "", "portions": 9, "price": 2.5, "spicy": True, "size": "large", "note": "hot"},
    {"dish": "soup", "portions": 1.0, "price": 3},
    {"dish": "soup", "portions": 1, "something": "else"},
]
BAD = [
    {},
    {"dish": "soup"},
    {"dish": 5, "portions": 1},
    {"dish": "soup", "portions": 0},
    {"dish": "soup", "portions": 10},
    {"dish": "soup", "portions": 1.5},
    {"dish": "soup", "portions": "2"},
    {"dish": "soup", "portions": True},
    {"dish": "soup", "portions": 1, "spicy": "yes"},
    {"dish": "soup", "portions": 1, "size": "huge"},
    {"dish": "soup", "portions": 1, "price": "cheap"},
    {"dish": ["soup"], "portions": 1},
    {"dish": "soup", "portions": 1, "something": {"nested": 1}},
    {"dish": "soup", "portions": 1, "something": None},
    {"dish": "soup", "portions": 1, "something": [1]},
]


@pytest.mark.spec("2025-06-18/elicitation/S05", "2025-11-25/elicitation/S14")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize("content", GOOD, ids=str)
def test_an_answer_that_fits_the_form_reaches_the_handler_as_its_type(content: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(Order)), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer({"action": "accept", "content": content}) is None
            known = {name: value for name, value in content.items() if name != "something"}
            assert text_of(call) == f"accept {Order(**{**known, 'portions': int(known['portions'])})!r}".replace(
                "price=3,", "price=3.0,"
            )

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/elicitation/S05", "2025-11-25/elicitation/S14")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize("content", BAD, ids=str)
def test_an_answer_that_breaks_the_form_never_reaches_the_handler(content: dict[str, Any], revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(Order)), revision, CAN_ALL) as wire:
            wire.judge = None
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer({"action": "accept", "content": content}) is None
            if revision == MODERN:
                assert call.response["error"]["code"] == -32602
            else:
                assert call.response["result"]["isError"] is True

    asyncio.run(main())


FORMATS = {
    "email": (["a@example.com"], ["a", "a@", "@b", "a b@c", "a@b@c"]),
    "uri": (["https://example.com/", "mailto:a@b", "urn:x"], ["example", "/a", "https://a b", ""]),
    "date": (["2026-02-28"], ["2026-02-30", "28.2.2026", "2026-02-28T00:00:00Z", "20260228", "2026-W09-6"]),
    "date-time": (
        ["2026-02-28T10:00:00Z", "2026-02-28t10:00:00.5+01:00"],
        ["2026-02-28", "2026-02-28T10:00:00", "2026-02-30T10:00:00Z", "2026-02-28T25:00:00Z", "10:00"],
    ),
}


@pytest.mark.spec("2025-06-18/elicitation/S05", "2025-11-25/elicitation/S14")
@pytest.mark.parametrize("format", FORMATS)
def test_the_four_formats_of_strings_are_checked(format: str) -> None:
    async def main() -> None:
        schema = {"type": "object", "properties": {"x": {"type": "string", "format": format}}}
        async with client_of(server_of(asks(schema)), MODERN, CAN_ALL) as wire:
            for good, values in zip((True, False), FORMATS[format], strict=True):
                for value in values:
                    call = Call(wire, "ask")
                    await call.start()
                    assert await call.answer({"action": "accept", "content": {"x": value}}) is None
                    assert ("result" in call.response) is good, value

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/elicitation/M26")
@pytest.mark.parametrize("revision", ELICITING)
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a_refusal_reaches_the_handler_and_whatever_content_it_carries_is_not_used(action: str, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(asks(Order)), revision, CAN_ALL) as wire:
            for more in ({}, {"content": {"dish": 7}}):
                wire.judge = None if more else wire.judge
                call = Call(wire, "ask")
                await call.start()
                assert await call.answer({"action": action, **more}) is None
                assert text_of(call) == f"{action} None"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/elicitation/M26", "2025-11-25/elicitation/M17")
@pytest.mark.parametrize("revision", TOOLS)
@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
def test_the_answer_to_a_url_is_its_action_alone(action: str, revision: str) -> None:
    async def main() -> None:
        async with client_of(server_of(opens("https://example.com/")), revision, CAN_ALL) as wire:
            call = Call(wire, "ask")
            await call.start()
            assert await call.answer({"action": action}) is None
            assert text_of(call) == f"{action} None"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/elicitation/M26")
def test_a_client_that_fails_to_ask_its_user_is_no_answer_and_no_failure_of_the_connection() -> None:
    """The client's own error is not passed back to it as the answer to its call: its code would mean something else."""

    async def main() -> None:
        for revision in ELICITING[:2]:
            async with client_of(server_of(asks(Order)), revision, CAN_ALL) as wire:
                for code in (-32601, -32602, -32603, -32042, -1):
                    call = Call(wire, "ask")
                    await call.start()
                    assert await call.refuse(code, "Nobody at home") is None
                    assert call.response["result"]["isError"] is True
                assert await Call(wire, "ask").start() is not None

    asyncio.run(main())
