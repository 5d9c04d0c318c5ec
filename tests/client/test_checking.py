"""Tool results: checked against the output schema where it is known, and decoded into what the caller asked for."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from mcpcore.client import Client, checking
from mcpcore.errors import InvalidResult
from mcpcore.types import UNSET, ToolResult
from tests.client.toys import LEGACY, Message, Toy, text

WEATHER: Message = {
    "type": "object",
    "properties": {"temperature": {"type": "number"}, "sky": {"type": "string"}},
    "required": ["temperature"],
}
GOOD = {"temperature": 20.5, "sky": "clear"}
BAD = {"temperature": "secret", "sky": 7}


def tool(schema: Any) -> Message:
    return {"name": "t", "inputSchema": {"type": "object"}, **({} if schema is None else {"outputSchema": schema})}


async def call(
    result: Message, schema: Any = WEATHER, *, listed: bool = True, calls: int = 1, type: Any = None, **options: Any
) -> ToolResult:
    toy = Toy(handlers={"tools/list": {"tools": [tool(schema)]}, "tools/call": result})
    async with Client(toy, **options) as client:
        if listed:
            await client.list_tools()
        for _ in range(calls):
            found = await client.call_tool("t", type=type)
        assert len(toy.sent("tools/list")) == listed
        return found


# --- checking ---------------------------------------------------------------------------------------------------------


def test_a_result_that_fits_has_no_errors_and_is_its_own_data() -> None:
    result = asyncio.run(call(text("x", structuredContent=GOOD)))
    assert result.schema_errors == [] and result.data == GOOD


def test_by_default_a_result_that_does_not_fit_is_usable_and_says_what_is_wrong(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = asyncio.run(call(text("x", structuredContent=BAD), calls=5))
    assert result.structured_content == BAD and result.text == "x"
    assert [error.split(":")[0] for error in result.schema_errors] == [
        "structuredContent.temperature",
        "structuredContent.sky",
    ]
    assert "number" in result.schema_errors[0] and "secret" not in str(result.schema_errors)
    lines = [record.getMessage() for record in caplog.records if "output schema" in record.getMessage()]
    assert len(lines) == 1 and "tools/call t" in lines[0] and "secret" not in lines[0]


def test_strictly_a_result_that_does_not_fit_is_invalid() -> None:
    with pytest.raises(InvalidResult, match=r"tools/call t: .*structuredContent\.temperature"):
        asyncio.run(call(text("x", structuredContent=BAD), output_check="strict"))


def test_switched_off_nothing_is_checked() -> None:
    assert asyncio.run(call(text("x", structuredContent=BAD), output_check="off")).schema_errors == []


def test_missing_structured_content_is_a_fault_where_there_is_a_schema() -> None:
    assert "missing" in asyncio.run(call(text("x"))).schema_errors[0]
    assert asyncio.run(call(text("x"), None)).schema_errors == []


def test_a_failed_tool_is_not_checked() -> None:
    result = asyncio.run(call(text("x", isError=True, structuredContent=BAD), output_check="strict", type=int))
    assert result.is_error and result.schema_errors == [] and result.data is None


def test_a_tool_that_was_never_listed_is_not_checked_and_not_looked_up() -> None:
    assert asyncio.run(call(text("x", structuredContent=BAD), listed=False)).schema_errors == []


def test_null_is_a_structured_content() -> None:
    result = asyncio.run(call(text("x", structuredContent=None), {"type": "null"}))
    assert result.structured_content is None and result.schema_errors == []
    assert asyncio.run(call(text("x"), None)).structured_content is UNSET


def test_a_changed_list_makes_the_client_forget_what_it_knew() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/list": {"tools": [tool(WEATHER)]}, "tools/call": text("x", structuredContent=BAD)})
        async with Client(toy) as client:
            await client.list_tools()
            assert (await client.call_tool("t")).schema_errors
            toy.talk.notify("notifications/tools/list_changed")
            await client.ping()
            assert not (await client.call_tool("t")).schema_errors
            toy.handlers["tools/list"] = {"tools": [tool({"type": "object"})]}
            await client.list_tools_page()
            assert not (await client.call_tool("t")).schema_errors

    asyncio.run(story())


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"type": "nonsense"},
        {"description": "x" * 300_000, "type": "object"},
    ],
    ids=["remote", "broken", "huge"],
)
def test_a_schema_that_cannot_be_used_is_said_once_and_never_fetched(
    schema: Message, caplog: pytest.LogCaptureFixture
) -> None:
    (fault,) = asyncio.run(call(text("x", structuredContent=BAD), schema, calls=3)).schema_errors
    assert "cannot be used" in fault
    assert len([record for record in caplog.records if "cannot be used" in record.getMessage()]) == 1
    with pytest.raises(InvalidResult, match="cannot be used"):
        asyncio.run(call(text("x", structuredContent=BAD), schema, output_check="strict"))


def test_without_the_extra_the_log_says_once_that_nothing_is_checked(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    monkeypatch.setattr(checking, "_said", set())
    for _ in range(2):
        assert asyncio.run(call(text("x", structuredContent=BAD))).schema_errors == []
    assert len([record for record in caplog.records if "mcpcore[schema]" in record.getMessage()]) == 1


# --- decoding ---------------------------------------------------------------------------------------------------------


@dataclass
class Plain:
    temperature: float
    sky: str = ""


class Struct(msgspec.Struct):
    temperature: float
    sky: str = ""


class Typed(TypedDict):
    temperature: float
    sky: str


class Model(pydantic.BaseModel):
    temperature: float
    sky: str


@pytest.mark.parametrize("wanted", [Plain, Struct, Model])
def test_data_is_what_the_caller_asked_for(wanted: Any) -> None:
    result = asyncio.run(call(text("x", structuredContent=GOOD), type=wanted))
    assert result.data == wanted(temperature=20.5, sky="clear") and result.structured_content == GOOD


def test_data_may_be_any_type_that_msgspec_knows() -> None:
    assert asyncio.run(call(text("x", structuredContent=GOOD), type=Typed)).data == GOOD
    found = asyncio.run(call(text("x", structuredContent=[GOOD, GOOD]), None, type=list[Plain]))
    assert found.data == [Plain(20.5, "clear")] * 2


@pytest.mark.parametrize("wanted", [int, Plain, Model, list[int]])
def test_what_does_not_fit_the_wanted_type_is_invalid_and_no_value_is_repeated(wanted: Any) -> None:
    with pytest.raises(InvalidResult, match="tools/call t: the result cannot be read as") as caught:
        asyncio.run(call(text("x", structuredContent=BAD), type=wanted))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mark", ["x-mcpcore-wrap-result", "x-fastmcp-wrap-result"])
def test_a_wrapped_result_is_unwrapped_where_the_schema_says_so(mark: str) -> None:
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}, mark: True}
    wrapped = text("3", structuredContent={"result": 3})
    assert asyncio.run(call(wrapped, schema)).data == 3
    assert asyncio.run(call(wrapped, {**schema, mark: False})).data == {"result": 3}
    assert asyncio.run(call(wrapped, listed=False)).data == {"result": 3}
    assert asyncio.run(call(wrapped, listed=False, type=int)).data == 3


def test_without_structured_content_the_text_is_decoded() -> None:
    async def story() -> None:
        toy = Toy(LEGACY, handlers={"tools/call": text('{"temperature": 1, "sky": "x"}')})
        async with Client(toy, revisions=LEGACY) as client:
            assert (await client.call_tool("t", type=Plain)).data == Plain(1, "x")
            assert (await client.call_tool("t", type=str)).data == '{"temperature": 1, "sky": "x"}'
            assert (await client.call_tool("t")).data is None
            toy.handlers["tools/call"] = text("no JSON")
            with pytest.raises(InvalidResult):
                await client.call_tool("t", type=Plain)

    asyncio.run(story())
