"""server/tools of every revision: structured content, what it promises, and how it travels."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from mcpcore import Client, Server
from mcpcore.types import TextContent, ToolResult
from tests.contract.wire import MODERN, REVISIONS, client_of

CALL = "tools/call"
SECRET = "s3cr3t-value"


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


class Plain(TypedDict):
    a: int


class Weather(msgspec.Struct):
    temperature: Annotated[float, msgspec.Meta(ge=-90)]
    sky: Literal["clear", "cloudy"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def make_structured() -> Server:
    server = Server("contract")

    @server.tool
    async def weather(temperature: float, sky: str = "clear") -> Weather:
        return Weather(temperature, sky)  # type: ignore[arg-type]

    @server.tool
    def in_a_thread() -> dict[str, list[int]]:
        return {"a": [1, 2]}

    @server.tool(thread="loop")
    def on_the_loop() -> Plain:
        return {"a": 1}

    @server.tool
    async def as_a_dict() -> Weather:
        return {"temperature": 1.0, "sky": "clear"}  # type: ignore[return-value]

    @server.tool
    async def numbers() -> list[int]:
        return [1, 2]

    @server.tool
    async def maybe(give: bool = False) -> int | None:
        return 7 if give else None

    @server.tool
    async def choice() -> Literal["yes", "no"]:
        return "yes"

    @server.tool(structured=False)
    async def unstructured() -> dict[str, int]:
        return {"a": 1}

    @server.tool(output_schema=SCHEMA)
    async def by_hand(value: Any) -> Any:
        return value

    @server.tool(output_schema=SCHEMA)
    async def result_by_hand(value: Any, error: bool = False) -> ToolResult:
        if error:
            return ToolResult(content=[TextContent(text="no")], is_error=True)
        return ToolResult(content=[TextContent(text="told")], structured_content=value)

    @server.tool(output_schema=SCHEMA)
    async def forgets() -> ToolResult:
        return ToolResult(content=[TextContent(text="told")])

    @server.tool
    async def anything(value: Any) -> ToolResult:
        return ToolResult(structured_content=value)

    @server.tool
    async def text_and_data() -> ToolResult:
        return ToolResult(content=[TextContent(text="in words")], structured_content={"a": 1})

    return server


STRUCTURED: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("weather", {"temperature": 20}, {"temperature": 20.0, "sky": "clear"}, ...),
    ("in_a_thread", {}, {"a": [1, 2]}, ...),
    ("on_the_loop", {}, {"a": 1}, ...),
    ("as_a_dict", {}, {"temperature": 1.0, "sky": "clear"}, ...),
    ("numbers", {}, {"result": [1, 2]}, [1, 2]),
    ("maybe", {"give": True}, {"result": 7}, 7),
    ("maybe", {}, {"result": None}, None),
    ("choice", {}, {"result": "yes"}, "yes"),
    ("by_hand", {"value": {"a": 1}}, {"a": 1}, ...),
]


@pytest.mark.spec("2025-06-18/tools/M03", "2025-06-18/tools/M04", "2025-06-18/tools/S07")
@pytest.mark.parametrize(("name", "arguments", "structured", "natural"), STRUCTURED, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("revision", REVISIONS)
def test_structured_content_is_an_object_that_keeps_the_schemas_promise_and_comes_as_text_too(
    revision: str, name: str, arguments: dict[str, Any], structured: Any, natural: Any
) -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")

    async def main() -> None:
        async with client_of(make_structured(), revision) as wire:
            tools = {tool["name"]: tool for tool in (await wire.result("tools/list"))["tools"]}
            result = await wire.result(CALL, {"name": name, "arguments": arguments})
            text = text_of(result)
            assert (text if isinstance(natural, str) else json.loads(text)) == (
                structured if natural is ... else natural
            )
            if revision >= "2025-06-18":
                assert result["structuredContent"] == structured
                assert jsonschema_rs.validator_for(tools[name]["outputSchema"]).is_valid(structured)
            else:
                assert "structuredContent" not in result and "outputSchema" not in tools[name]

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/tools/M04")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("weather", {"temperature": -91}),
        ("weather", {"temperature": 1, "sky": SECRET}),
        ("by_hand", {"value": {}}),
        ("by_hand", {"value": {"a": SECRET}}),
        ("by_hand", {"value": {"a": 1, SECRET: 1}}),
        ("by_hand", {"value": None}),
        ("by_hand", {"value": [1]}),
        ("result_by_hand", {"value": {"a": SECRET}}),
        ("result_by_hand", {"value": None}),
        ("forgets", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_breaks_the_schemas_promise_is_never_sent(
    revision: str, name: str, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with client_of(make_structured(), revision) as wire:
            result = await wire.result(CALL, {"name": name, "arguments": arguments})
            assert result["isError"] is True and "structuredContent" not in result
            assert text_of(result) == f"The tool {name} failed; the server's log has the details"

    asyncio.run(main())
    assert "output schema" in caplog.text or "result at $" in caplog.text


@pytest.mark.spec("2025-06-18/tools/S07", "2025-06-18/tools/M04")
@pytest.mark.parametrize("revision", REVISIONS[2:])
def test_a_result_made_by_hand_keeps_its_own_text_and_an_error_needs_no_structure(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_structured(), revision) as wire:
            result = await wire.result(CALL, {"name": "result_by_hand", "arguments": {"value": {"a": 1}}})
            assert (text_of(result), result["structuredContent"]) == ("told", {"a": 1})
            arguments = {"value": None, "error": True}
            result = await wire.result(CALL, {"name": "result_by_hand", "arguments": arguments})
            assert (result["isError"], text_of(result)) == (True, "no")
            assert "structuredContent" not in result
            result = await wire.result(CALL, {"name": "unstructured"})
            assert json.loads(text_of(result)) == {"a": 1} and "structuredContent" not in result

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/Y07", "2025-06-18/tools/M03", "2025-06-18/tools/S07")
@pytest.mark.parametrize("value", [{"a": 1}, {}, [1, "x"], [], "text", "", 7, 0, 1.5, True, False, None], ids=str)
@pytest.mark.parametrize("revision", REVISIONS)
def test_any_json_value_is_structured_content_in_2026_and_only_objects_before(revision: str, value: Any) -> None:
    async def main() -> None:
        async with client_of(make_structured(), revision) as wire:
            result = await wire.result(CALL, {"name": "anything", "arguments": {"value": value}})
            known = revision == MODERN or (revision >= "2025-06-18" and isinstance(value, dict))
            assert ("structuredContent" in result) is known
            assert not known or result["structuredContent"] == value
            assert json.loads(text_of(result)) == value

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_typed_client_gets_back_what_the_tool_returned(revision: str) -> None:
    async def main() -> None:
        async with Client(make_structured(), revisions=revision) as client:
            result = await client.call_tool("weather", {"temperature": 20}, type=Weather)
            assert result.data == Weather(20.0, "clear") and result.schema_errors == []
            assert (await client.call_tool("numbers", type=list[int])).data == [1, 2]

    asyncio.run(main())
