"""server/tools of every revision: calls. Arguments and their errors, content by revision.

Structured content is in test_features_structured.py, failures inside a tool in test_features_failures.py, limits in
test_features_limits.py.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from mcpcore import Context, Server, SyncContext
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
