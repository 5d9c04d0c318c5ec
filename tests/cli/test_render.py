"""Results as text."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import pytest

from mcpcore.cli import render
from mcpcore.types import (
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    Prompt,
    PromptArgument,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
    ToolResult,
    UnknownContent,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_control_characters_become_visible() -> None:
    text = "a\x1b]0;title\x07\x9b1m\r\x7f\tb\nc"
    assert render.printable(text, Terminal()) == "a\\x1b]0;title\\x07\\x9b1m\\x0d\\x7f\tb\nc"
    assert render.printable(text, io.StringIO()) == text


def test_columns_are_aligned_and_cells_are_one_line() -> None:
    assert render.table([("a", "first\nsecond"), ("long", "x"), ("b", "")]) == ["  a     first", "  long  x", "  b"]
    assert render.table([]) == []


def test_a_column_without_anything_in_it_is_left_out() -> None:
    assert render.table([("a", "", "x"), ("b", "", "y")]) == ["  a  x", "  b  y"]


def test_one_long_cell_does_not_push_the_others_away() -> None:
    lines = render.table([("x" * 200, "one"), ("y", "two")])
    assert lines[0] == "  " + "x" * 200 + "  one"
    assert lines[1] == "  y" + " " * 49 + "two"


def test_on_a_terminal_a_row_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 9)))
    assert render.table([("a", "x" * 50)]) == ["  a  " + "x" * 14 + "…"]


def test_a_tool_is_shown_with_its_parameters() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}, "c": {"$ref": "#/x"}, "d": True},
        "required": ["a"],
    }
    tool = Tool(name="t", input_schema=schema, title="Title")
    assert render.tool_line(tool) == ("t(a: integer, b?: string|null, c?, d?)", "Title")
    assert render.tool_line(Tool(name="t", input_schema={"type": "object"})) == ("t()", "")


def test_a_prompt_is_shown_with_its_arguments() -> None:
    prompt = Prompt(name="p", arguments=[PromptArgument(name="a", required=True), PromptArgument(name="b")])
    assert render.prompt_line(prompt) == ("p(a, b?)", "")


CONTENT: dict[str, tuple[Any, str]] = {
    "text": (TextContent(text="hi"), "hi"),
    "image": (ImageContent(data="AAAA", mime_type="image/png"), "[image: image/png, 3 bytes; --json shows it]"),
    "audio": (AudioContent(data="AAAA", mime_type="audio/wav"), "[audio: audio/wav, 3 bytes; --json shows it]"),
    "link": (ResourceLink(uri="x://y", name="n"), "[resource: x://y n]"),
    "text inside": (EmbeddedResource(resource=TextResourceContents(uri="x://y", text="t")), "[resource: x://y]\nt"),
    "bytes inside": (
        EmbeddedResource(resource=BlobResourceContents(uri="x://y", blob="AA==")),
        "[resource: x://y, bytes; --json shows it]",
    ),
    "unknown": (UnknownContent("hologram", {"type": "hologram"}), "[hologram; --json shows it]"),
}


@pytest.mark.parametrize("case", CONTENT)
def test_every_kind_of_content_has_its_text(case: str) -> None:
    block, text = CONTENT[case]
    assert render.blocks([block]) == text


def test_structured_content_stands_in_where_there_is_no_content() -> None:
    assert render.tool_result(ToolResult(structured_content={"a": 1})) == '{\n  "a": 1\n}'
    assert render.tool_result(ToolResult(content=[TextContent(text="x")], structured_content={"a": 1})) == "x"
    assert render.tool_result(ToolResult()) == ""
