"""What users hold, and how it meets the wire."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

import mcpcore.types as t
from mcpcore.errors import InvalidResult, UsageError
from mcpcore.types import UNSET, from_wire, to_wire

EXAMPLES = Path(__file__).resolve().parents[2] / "shared" / "spec" / "examples" / "2026-07-28"

TYPE_OF = {
    "CallToolResult": t.ToolResult,
    "CreateMessageRequestParams": t.CreateMessageParams,
    "ElicitRequestFormParams": t.ElicitParams,
    "ElicitRequestURLParams": t.ElicitParams,
    "LoggingMessageNotificationParams": t.LogMessage,
    "ProgressNotificationParams": t.Progress,
    "InputRequiredResult": t.InputRequiredResult,
}
"""Where our name is not the schema's."""


def examples() -> list[Any]:
    if not EXAMPLES.is_dir():
        return [pytest.param(None, None, marks=pytest.mark.skip("the official examples are not here"))]
    found = []
    for path in sorted(EXAMPLES.glob("*/*.json")):
        cls = TYPE_OF.get(path.parent.name) or getattr(t, path.parent.name, None)
        if cls is not None:
            found.append(pytest.param(cls, json.loads(path.read_text()), id=f"{path.parent.name}/{path.stem}"))
    return found


def without_raw(value: Any) -> Any:
    """The same struct as if it had been made here."""
    if isinstance(value, list):
        return [without_raw(item) for item in value]
    if isinstance(value, t.Wire):
        members = {n: without_raw(getattr(value, n)) for n in value.__struct_fields__ if n != "raw"}
        return type(value)(**members)
    return value


@pytest.mark.parametrize(("cls", "example"), examples())
def test_official_examples_come_back_as_they_went_in(cls: type, example: dict[str, Any]) -> None:
    before = copy.deepcopy(example)
    value: Any = from_wire(cls, example)
    assert to_wire(value) is example == before
    rebuilt = to_wire(without_raw(value))
    unknown = {"resultType", "progressToken"}
    expected = {k: v for k, v in example.items() if k not in unknown and v is not False}
    assert rebuilt == ({"mode": "form"} | expected if cls is t.ElicitParams else expected)


def test_most_official_examples_have_a_type() -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the official examples are not here")
    assert len(examples()) >= 60


# --- construction and reading -----------------------------------------------------------------------------------------


def test_construction_is_short_and_absent_members_do_not_travel() -> None:
    assert to_wire(t.TextContent("hi")) == {"type": "text", "text": "hi"}
    tool = t.Tool(
        name="add", input_schema={"type": "object"}, annotations=t.ToolAnnotations(read_only_hint=True), meta={"a": 1}
    )
    assert to_wire(tool) == {
        "name": "add",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True},
        "_meta": {"a": 1},
    }
    assert to_wire(t.ToolResult()) == {"content": []}
    assert to_wire(t.CreateMessageResult(t.TextContent("hi"), "m"))["role"] == "assistant"


def test_every_exported_name_exists() -> None:
    assert len(set(t.__all__)) == len(t.__all__)
    for name in t.__all__:
        assert hasattr(t, name)


def test_absent_and_null_structured_content_differ() -> None:
    absent = from_wire(t.ToolResult, {"content": []})
    null = from_wire(t.ToolResult, {"content": [], "structuredContent": None})
    assert absent.structured_content is UNSET
    assert null.structured_content is None
    assert to_wire(t.ToolResult(structured_content=None)) == {"content": [], "structuredContent": None}
    null.structured_content = UNSET
    assert to_wire(null) == {"content": []}


def test_what_does_not_travel_stays_here() -> None:
    result = t.ToolResult([t.TextContent("1")], structured_content={"x": 1}, data=object(), schema_errors=["x"])
    assert to_wire(result) == {"content": [{"type": "text", "text": "1"}], "structuredContent": {"x": 1}}
    assert to_wire(t.ElicitResult("accept", {"n": 1.5}, data=1.5)) == {"action": "accept", "content": {"n": 1.5}}


def test_text_joins_all_text_blocks() -> None:
    result = t.ToolResult([t.TextContent("a"), t.ImageContent("", "image/png"), t.TextContent("b")])
    assert result.text == "a\nb"
    assert t.ToolResult().text == ""


@pytest.mark.parametrize(
    ("cls", "obj", "attribute", "value"),
    [
        (t.Tool, {"name": "a", "inputSchema": {}, "title": None}, "title", None),
        (t.Prompt, {"name": "a", "arguments": None}, "arguments", None),
        (t.ToolResult, {"content": [], "isError": None}, "is_error", False),
        (t.ToolResult, {"content": None}, "content", []),
        (t.ToolResult, {"structuredContent": {}}, "content", []),
        (t.ListToolsResult, {"tools": None}, "items", []),
        (t.Resource, {"uri": "a:b", "name": "n", "size": 5.0}, "size", 5),
        (t.ElicitResult, {"action": "accept", "content": {"n": 0.5}}, "content", {"n": 0.5}),
        (t.LogMessage, {"level": "fine", "data": None}, "level", "fine"),
        (t.CreateMessageParams, {"messages": [], "maxTokens": 1, "includeContext": "new"}, "include_context", "new"),
        (t.ElicitParams, {"message": "m", "mode": "voice"}, "mode", "voice"),
    ],
)
def test_reading_is_liberal_where_peers_are_known_to_deviate(
    cls: type, obj: dict[str, Any], attribute: str, value: object
) -> None:
    got = getattr(from_wire(cls, obj), attribute)
    assert got == value
    assert type(got) is type(value)


def test_contents_are_told_apart_by_what_they_hold() -> None:
    read = from_wire(
        t.ReadResourceResult, {"contents": [{"uri": "a:b", "text": "x"}, {"uri": "a:b", "blob": "eA==", "text": None}]}
    )
    assert read.contents == [t.TextResourceContents("a:b", "x"), t.BlobResourceContents("a:b", "eA==")]


def test_sampling_content_is_one_block_or_a_list_and_stays_what_it_was() -> None:
    block = {"type": "text", "text": "x"}
    one = from_wire(t.SamplingMessage, {"role": "user", "content": block})
    many = from_wire(t.SamplingMessage, {"role": "user", "content": [block]})
    assert one.content == t.TextContent("x")
    assert many.content == [t.TextContent("x")]
    assert one.blocks == many.blocks
    assert to_wire(without_raw(one)) == {"role": "user", "content": block}
    assert to_wire(without_raw(many)) == {"role": "user", "content": [block]}


@pytest.mark.parametrize(
    ("cls", "obj", "message"),
    [
        (t.ToolResult, [], "ToolResult: it must be an object"),
        (t.ToolResult, {}, "ToolResult: content must be present"),
        (t.ToolResult, {"content": {}}, "ToolResult: content must be an array"),
        (t.ToolResult, {"content": [{"type": "text", "text": 5}]}, "ToolResult: content[0].text must be a string"),
        (t.ToolResult, {"content": [{"text": "secret"}]}, "ToolResult: content[0].type must be a string"),
        (t.ToolResult, {"content": [None]}, "ToolResult: content[0] must be an object"),
        (t.ToolResult, {"content": [], "isError": 1}, "ToolResult: isError must be a boolean"),
        (
            t.ToolResult,
            {"content": [{"type": "text", "text": "a"}, {"type": "resource", "resource": {"uri": "a:b"}}]},
            "ToolResult: content[1].resource must be an object with text and uri, or with blob and uri",
        ),
        (t.TextContent, {"type": "image", "text": "x"}, 'TextContent: type must be "text"'),
        (t.Resource, {"uri": "a:b", "name": "n", "size": 1.5}, "Resource: size must be an integer"),
        (t.Resource, {"uri": "a:b", "name": "n", "size": True}, "Resource: size must be an integer"),
        (t.Progress, {"progress": "1"}, "Progress: progress must be a number"),
        (
            t.InitializeResult,
            {"protocolVersion": "x", "capabilities": {}, "serverInfo": {"name": "n"}},
            "InitializeResult: serverInfo.version must be present",
        ),
    ],
)
def test_a_wrong_shape_is_named_without_its_value(cls: type, obj: Any, message: str) -> None:
    with pytest.raises(InvalidResult) as caught:
        from_wire(cls, obj)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (t.TextContent(5), "TextContent.text must be a string"),  # type: ignore[arg-type]
        (t.ToolResult(content=["hi"]), "ToolResult.content[0] must be TextContent or"),  # type: ignore[list-item]
        (t.ToolResult(content="hi"), "ToolResult.content must be a list, not str"),  # type: ignore[arg-type]
        (t.Tool("a", {}, annotations={}), "Tool.annotations must be ToolAnnotations, not dict"),  # type: ignore[arg-type]
        (t.Progress(float("nan")), "Progress.progress must be a number"),
        (object(), "object must be an object of mcpcore.types, not object"),
    ],
)
def test_writing_refuses_what_the_protocol_does_not_allow(value: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        to_wire(value)
    assert str(caught.value).startswith(message)


# --- what we do not know ----------------------------------------------------------------------------------------------


def test_unknown_members_are_written_back_at_every_depth() -> None:
    wire: dict[str, Any] = {
        "tools": [{"name": "a", "inputSchema": {}, "x-new": 1, "annotations": {"newHint": True, "title": "A"}}],
        "resultType": "complete",
    }
    page = from_wire(t.ListToolsResult, wire)
    assert to_wire(page) is wire
    tool = page.items[0]
    tool.name = "prefix_a"
    assert tool.annotations is not None
    tool.annotations.title = None
    assert to_wire(page) == {
        "tools": [{"name": "prefix_a", "inputSchema": {}, "x-new": 1, "annotations": {"newHint": True}}],
        "resultType": "complete",
    }
    assert wire["tools"][0]["name"] == "a", "writing never changes what was read"


def test_an_unmodified_object_is_forwarded_as_it_came() -> None:
    block = {"type": "text", "text": "x", "annotations": None}
    wire = {"content": [block], "isError": False, "structuredContent": None}
    assert to_wire(from_wire(t.ToolResult, wire)) is wire


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copy_keeps_what_it_does_not_know(copied: Any) -> None:
    tool = copied(from_wire(t.Tool, {"name": "a", "inputSchema": {"type": "object"}, "x-new": 1}))
    tool.name = "b"
    assert to_wire(tool) == {"name": "b", "inputSchema": {"type": "object"}, "x-new": 1}
    renamed = msgspec.structs.replace(tool, name="c")
    assert to_wire(renamed)["x-new"] == 1


def test_an_unknown_content_block_is_itself() -> None:
    block = {"type": "acme/hologram", "data": [1]}
    result = from_wire(t.ToolResult, {"content": [block]})
    assert result.content == [t.UnknownContent("acme/hologram", block)]
    assert to_wire(without_raw(result)) == {"content": [block]}


def test_equality_and_repr_leave_out_where_it_came_from() -> None:
    read = from_wire(t.TextContent, {"type": "text", "text": "x", "new": 1})
    assert read == t.TextContent("x")
    assert read != t.TextContent("y")
    assert read != t.ImageContent("x", "image/png")
    assert repr(read) == "TextContent(text='x')"
    assert repr(t.ToolResult()) == "ToolResult()"


# --- Python-side helpers ----------------------------------------------------------------------------------------------


def test_images_and_sounds_become_blocks(tmp_path: Path) -> None:
    file = tmp_path / "a.gif"
    file.write_bytes(b"GIF")
    encoded = base64.b64encode(b"GIF").decode()
    assert t.Image(b"GIF", format="jpg").to_content() == t.ImageContent(encoded, "image/jpeg")
    assert t.Image(path=file).to_content() == t.ImageContent(encoded, "image/gif")
    assert t.Audio(b"GIF").to_content() == t.AudioContent(encoded, "audio/wav")
    assert to_wire(t.ToolResult([t.Audio(b"GIF", mime_type="audio/ogg")])) == {  # type: ignore[list-item]
        "content": [{"type": "audio", "data": encoded, "mimeType": "audio/ogg"}]
    }
    for wrong in (t.Image(), t.Image(b"", path=file)):
        with pytest.raises(UsageError):
            wrong.to_content()


def test_questions_describe_themselves() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert t.Elicit("How many?", schema).params == {"message": "How many?", "requestedSchema": schema}
    assert t.ElicitUrl("Pay", "https://pay", "e1").params == {
        "mode": "url",
        "message": "Pay",
        "url": "https://pay",
        "elicitationId": "e1",
    }
    assert t.Sample("Hi", max_tokens=5).params == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}],
        "maxTokens": 5,
    }
    assert (t.ListRoots.method, t.ListRoots().params) == ("roots/list", {})
    with pytest.raises(UsageError):
        _ = t.Elicit("?", int).params
    with pytest.raises(UsageError):
        t.sampling_messages([5])


def test_input_required_carries_questions_and_state() -> None:
    assert to_wire(t.InputRequired({"r": t.ListRoots()}, request_state="s")) == {
        "resultType": "input_required",
        "inputRequests": {"r": {"method": "roots/list", "params": {}}},
        "requestState": "s",
    }
    with pytest.raises(UsageError):
        to_wire(t.InputRequired())


def test_levels_go_from_debug_to_emergency() -> None:
    assert (t.LEVELS[0], t.LEVELS[-1], len(t.LEVELS)) == ("debug", "emergency", 8)


@pytest.mark.parametrize(("ttl", "scope"), [(-1, "public"), (1.5, "public"), (1, "shared")])
def test_a_cache_hint_that_cannot_be_sent_cannot_be_made(ttl: Any, scope: Any) -> None:
    with pytest.raises(UsageError):
        t.CacheHint(ttl, scope)
