"""server/tools of every revision: calls. Arguments and their errors, content by revision, structured content.

Failures inside a tool are in test_features_around.py, limits in test_features_limits.py.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest

from mcpcore import Client, Context, Server, SyncContext
from mcpcore.types import (
    Annotations,
    Audio,
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    Icon,
    Image,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolResult,
)
from tests.contract.wire import META, MODERN, REVISIONS, client_of

CALL = "tools/call"
SECRET = "s3cr3t-value"
PNG = b"\x89PNG\r\n\x1a\n"
AFTER_2025_06 = REVISIONS[3:]


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


async def returned(value: Any, revision: str = MODERN) -> dict[str, Any]:
    """The result of a tool that returns this and says nothing about it."""
    server = Server("contract")

    async def tool():  # type: ignore[no-untyped-def]
        return value

    server.add_tool(tool)
    async with client_of(server, revision) as wire:
        return await wire.result(CALL, {"name": "tool"})


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass
class Item:
    name: str
    count: Annotated[int, msgspec.Meta(ge=0, le=10)] = 1


class Ran:
    """The same tool in each of the ways that a handler can run, and by a schema written by hand."""

    NAMES = ("at_once", "task", "worker", "loop", "limited", "raw")

    def __init__(self, **options: Any) -> None:
        self.server = Server("contract", **options)
        self.calls: list[Any] = []

        async def at_once(city: str, items: list[Item], kind: Literal["a", "b"] = "a") -> str:
            self.calls.append((city, items, kind))
            return city

        async def task(city: str, items: list[Item], kind: Literal["a", "b"] = "a") -> str:
            await asyncio.sleep(0)
            return await at_once(city, items, kind)

        def function(city: str, items: list[Item], kind: Literal["a", "b"] = "a") -> str:
            self.calls.append((city, items, kind))
            return city

        async def raw(city: str, items: list[Any], kind: str = "a") -> str:
            return await at_once(city, items, "a")

        self.server.add_tool(at_once)
        self.server.add_tool(task)
        self.server.add_tool(function, name="worker")
        self.server.add_tool(function, name="loop", thread="loop")
        self.server.add_tool(function, name="limited", timeout=10, concurrency=1)
        item = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 0, "maximum": 10}},
            "required": ["name"],
        }
        properties = {
            "city": {"type": "string"},
            "items": {"type": "array", "items": item},
            "kind": {"enum": ["a", "b"]},
        }
        schema = {"type": "object", "properties": properties, "required": ["city", "items"]}
        self.server.add_tool(raw, input_schema={**schema, "additionalProperties": False})


@pytest.mark.spec("2024-11-05/tools/M02", "2025-11-25/tools/M06", "2024-11-05/schema/S07", "2024-11-05/schema/S01")
@pytest.mark.parametrize(
    "params",
    [
        {"name": "unknown"},
        {"name": "unknown", "arguments": {"city": SECRET}},
        {"name": "At_once", "arguments": {"city": SECRET}},
        {"name": ""},
        {},
        {"arguments": {"city": "x"}},
        {"name": 7},
        {"name": None},
        {"name": ["at_once"]},
        {"name": {}},
        {"name": "at_once", "arguments": []},
        {"name": "at_once", "arguments": [SECRET]},
        {"name": "task", "arguments": SECRET},
        {"name": "worker", "arguments": 7},
        {"name": "raw", "arguments": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_unknown_tools_and_malformed_calls_are_protocol_errors(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        ran = Ran()
        async with client_of(ran.server, revision) as wire:
            error = await wire.error(CALL, params)
            assert error["code"] == -32602
            assert SECRET not in str(error) and "\n" not in error["message"] and len(error["message"]) < 200
            assert ran.calls == []

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_arguments_that_are_left_out_are_none(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def default(text: str = "nothing") -> str:
            return text

        async with client_of(server, revision) as wire:
            given: list[dict[str, Any]] = [{}, {"arguments": {}}]
            for params in given:
                assert text_of(await wire.result(CALL, {"name": "default", **params})) == "nothing"

    asyncio.run(main())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        "e\u0301",
        "\u202etfel",
        "\x00\x1f\x7f",
        "\u2028\u2029\x85",
        "\U0001f600",
        "\uffff",
        "a" * 100_000,
        '\\"/',
    ],
    ids=lambda text: ascii(text)[:20],
)
@pytest.mark.parametrize("name", ["at_once", "worker"])
def test_text_passes_through_a_tool_unchanged(name: str, text: str) -> None:
    async def main() -> None:
        ran = Ran()
        async with client_of(ran.server) as wire:
            result = await wire.result(CALL, {"name": name, "arguments": {"city": text, "items": []}})
            assert text_of(result) == text
            assert ran.calls == [(text, [], "a")]

    asyncio.run(main())


# -- argument errors ---------------------------------------------------------------------------------------------------

# arguments -> path, keyword, a word of the expectation
WRONG: list[tuple[dict[str, Any], str, str, str]] = [
    ({"items": []}, "$.city", "required", "string"),
    ({"city": "x"}, "$.items", "required", "array"),
    ({"city": 7, "items": []}, "$.city", "type", "string"),
    ({"city": None, "items": []}, "$.city", "type", "string"),
    ({"city": [SECRET], "items": []}, "$.city", "type", "string"),
    ({"city": "x", "items": {SECRET: SECRET}}, "$.items", "type", "array"),
    ({"city": "x", "items": [{"name": "a"}, {"name": 7}]}, "$.items[1].name", "type", "string"),
    ({"city": "x", "items": [{}]}, "$.items[0].name", "required", "string"),
    ({"city": "x", "items": [{"name": "a", "count": 11}]}, "$.items[0].count", "maximum", "10"),
    ({"city": "x", "items": [{"name": "a", "count": -1}]}, "$.items[0].count", "minimum", "0"),
    ({"city": "x", "items": [{"name": "a", "count": SECRET}]}, "$.items[0].count", "type", "integer"),
    ({"city": "x", "items": [], "kind": SECRET}, "$.kind", "enum", "a"),
    ({"city": "x", "items": [], SECRET: SECRET}, "$", "additionalProperties", "city"),
]


@pytest.mark.spec("2024-11-05/tools/M02", "2025-11-25/tools/M06", "2024-11-05/tools/M03", "2024-11-05/schema/S06")
@pytest.mark.parametrize("name", Ran.NAMES)
@pytest.mark.parametrize("revision", REVISIONS)
def test_wrong_arguments_are_told_with_path_and_expectation_and_never_repeated(revision: str, name: str) -> None:
    async def main() -> None:
        ran = Ran()
        async with client_of(ran.server, revision) as wire:
            for arguments, path, keyword, expected in WRONG:
                response = await wire.ask(CALL, {"name": name, "arguments": arguments})
                if revision in AFTER_2025_06:
                    result = response["result"]
                    assert result["isError"] is True and "structuredContent" not in result
                    text, detail = text_of(result), result["_meta"]["dev.mcpcore/argumentError"]
                else:
                    assert response["error"]["code"] == -32602
                    text, detail = response["error"]["message"], response["error"]["data"]
                if name == "raw" and keyword == "required":
                    expected = "a value"
                assert (detail["path"], detail["keyword"]) == (path, keyword), (arguments, detail)
                assert path in text and expected in detail["expected"] and detail["expected"] in text
                assert SECRET not in json.dumps(response)
            assert ran.calls == []

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/tools/M03")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", Ran.NAMES)
def test_a_list_that_comes_as_json_in_a_string_is_taken_unless_the_server_is_strict(name: str, strict: bool) -> None:
    async def main() -> None:
        ran = Ran(strict_input=strict)
        async with client_of(ran.server) as wire:
            arguments = {"city": "x", "items": json.dumps([{"name": "a", "count": 2}])}
            result = await wire.result(CALL, {"name": name, "arguments": arguments})
            assert result.get("isError", False) is strict
            assert len(ran.calls) == (not strict)

    asyncio.run(main())


# -- content -----------------------------------------------------------------------------------------------------------


class Plain(TypedDict):
    a: int


@dataclass
class Made:
    when: datetime.date
    parts: list[str]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("text", ["text"]),
        ("", [""]),
        (None, []),
        ([], ["[]"]),
        (7, ["7"]),
        (1.5, ["1.5"]),
        (True, ["true"]),
        ({"a": [1, None]}, ['{"a":[1,null]}']),
        (["a", "b"], ['["a","b"]']),
        (Made(datetime.date(2025, 1, 2), ["x"]), ['{"when":"2025-01-02","parts":["x"]}']),
        ([TextContent(text="a"), "b", {"c": 1}], ["a", "b", '{"c":1}']),
        ((TextContent(text="a"), None), ["a"]),
        (ToolResult(content=[TextContent(text="a"), TextContent(text="b")]), ["a", "b"]),
        (ToolResult(), []),
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_whatever_a_tool_returns_becomes_text_that_says_it(revision: str, value: Any, texts: list[str]) -> None:
    async def main() -> None:
        result = await returned(value, revision)
        assert [block["type"] for block in result["content"]] == ["text"] * len(texts)
        assert [block["text"] for block in result["content"]] == texts
        assert result.get("isError", False) is False

    asyncio.run(main())


NOTE = Annotations(audience=["user"], priority=0.9, last_modified="2025-01-12T15:00:58Z")
LINK = ResourceLink(
    uri="file:///project/main.rs",
    name="main.rs",
    title="Main",
    description="Entry point",
    mime_type="text/x-rust",
    size=12,
    icons=[Icon(src="https://example.com/i.png")],
)
TEXT = TextResourceContents(uri="docs://a", text="A", mime_type="text/plain", meta={"com.example/x": 1})
BLOB = BlobResourceContents.of("docs://b", PNG, "image/png")


@pytest.mark.spec("2024-11-05/tools/Y01", "2025-06-18/tools/Y01", "2025-06-18/tools/Y02")
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_kind_of_content_travels_in_the_form_of_its_revision(revision: str) -> None:
    async def main() -> None:
        blocks = [
            TextContent(text="text"),
            Image(PNG),
            Audio(b"RIFF", format="wav"),
            LINK,
            EmbeddedResource(resource=TEXT),
            EmbeddedResource(resource=BLOB),
            BLOB,
            b"bytes",
        ]
        content = (await returned(blocks, revision))["content"]
        text, image, audio, link, embedded, blob, contents, raw = content
        assert text == {"type": "text", "text": "text"}
        data = base64.b64encode(PNG).decode()
        assert image == {"type": "image", "data": data, "mimeType": "image/png"}
        sound = base64.b64encode(b"RIFF").decode()
        if revision >= "2025-03-26":
            assert audio == {"type": "audio", "data": sound, "mimeType": "audio/wav"}
        else:
            assert audio["resource"] == {"uri": audio["resource"]["uri"], "mimeType": "audio/wav", "blob": sound}
        if revision >= "2025-06-18":
            icons = {"icons": [{"src": "https://example.com/i.png"}]} if revision >= "2025-11-25" else {}
            assert link == {
                "type": "resource_link",
                "uri": "file:///project/main.rs",
                "name": "main.rs",
                "title": "Main",
                "description": "Entry point",
                "mimeType": "text/x-rust",
                "size": 12,
                **icons,
            }
        else:
            assert link["type"] == "text" and "file:///project/main.rs" in link["text"]
        meta = {"_meta": {"com.example/x": 1}} if revision >= "2025-06-18" else {}
        assert embedded == {
            "type": "resource",
            "resource": {"uri": "docs://a", "text": "A", "mimeType": "text/plain", **meta},
        }
        assert blob["resource"] == contents["resource"] == {"uri": "docs://b", "mimeType": "image/png", "blob": data}
        assert raw["resource"]["blob"] == base64.b64encode(b"bytes").decode()

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_annotations_and_meta_of_blocks_and_results_travel_as_the_revision_knows_them(revision: str) -> None:
    async def main() -> None:
        blocks: list[Any] = [
            TextContent(text="x", annotations=NOTE, meta={"com.example/x": 1}),
            ImageContent(data="", mime_type="image/png", annotations=NOTE, meta={"com.example/x": 1}),
            AudioContent(data="", mime_type="audio/wav", annotations=NOTE, meta={"com.example/x": 1}),
            EmbeddedResource(resource=TEXT, annotations=NOTE, meta={"com.example/x": 1}),
        ]
        result = await returned(ToolResult(content=blocks, meta={"com.example/y": 2}), revision)
        assert result["_meta"]["com.example/y"] == 2
        known: dict[str, Any] = {"audience": ["user"], "priority": 0.9}
        if revision >= "2025-06-18":
            known["lastModified"] = "2025-01-12T15:00:58Z"
        for block in result["content"]:
            assert block["annotations"] == known
            assert block.get("_meta") == ({"com.example/x": 1} if revision >= "2025-06-18" else None)

    asyncio.run(main())


@pytest.mark.spec("2025-06-18/tools/S06")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_server_that_only_embeds_resources_can_offer_the_capability(revision: str) -> None:
    async def main() -> None:
        server = Server("contract", declare=["resources"])

        @server.tool
        async def embed() -> EmbeddedResource:
            return EmbeddedResource(resource=TEXT)

        async with client_of(server) as wire:
            opening = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
            assert "resources" in opening["capabilities"]
            assert (await wire.result("resources/list"))["resources"] == []
            assert (await wire.result(CALL, {"name": "embed"}))["content"][0]["resource"]["uri"] == "docs://a"

    asyncio.run(main())


def test_large_results_arrive_whole() -> None:
    async def main() -> None:
        assert len(text_of(await returned("ü" * 5_000_000))) == 5_000_000
        assert len((await returned([TextContent(text=str(n)) for n in range(10_000)]))["content"]) == 10_000

    asyncio.run(main())


# -- structured content ------------------------------------------------------------------------------------------------


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


# -- rounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/tools/Y03")
def test_a_tool_may_ask_before_it_answers() -> None:
    async def main() -> None:
        server = Server("contract")
        form = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

        @server.tool
        async def greet(ctx: Context) -> dict[str, str]:
            return {"hello": (await ctx.elicit("Who?", form, key="who")).data["name"]}

        @server.tool
        def greet_in_a_thread(ctx: SyncContext) -> dict[str, str]:
            return {"hello": ctx.elicit("Who?", form, key="who").data["name"]}

        async with client_of(server) as wire:
            declared: dict[str, Any] = {f"{META}clientCapabilities": {"elicitation": {}}}
            for name in ("greet", "greet_in_a_thread"):
                first = await wire.result(CALL, {"name": name}, **declared)
                assert first["resultType"] == "input_required" and "content" not in first
                answers = {"who": {"action": "accept", "content": {"name": "Ada"}}}
                retry = {"name": name, "inputResponses": answers, "requestState": first["requestState"]}
                assert (await wire.result(CALL, retry, **declared))["structuredContent"] == {"hello": "Ada"}

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_typed_client_gets_back_what_the_tool_returned(revision: str) -> None:
    async def main() -> None:
        async with Client(make_structured(), revisions=revision) as client:
            result = await client.call_tool("weather", {"temperature": 20}, type=Weather)
            assert result.data == Weather(20.0, "clear") and result.schema_errors == []
            assert (await client.call_tool("numbers", type=list[int])).data == [1, 2]

    asyncio.run(main())
