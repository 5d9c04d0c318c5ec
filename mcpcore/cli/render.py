"""Results as text for people: aligned, without colours, and without what a server could do to a terminal.

Everything here returns text; who prints it where is decided elsewhere.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpcore.types import ContentBlock, Implementation, Prompt, PromptMessage, Tool, ToolResult

__all__ = [
    "blocks",
    "identity",
    "messages",
    "pretty",
    "printable",
    "prompt_line",
    "size",
    "table",
    "tool_line",
    "tool_result",
]

_KEPT = {ord("\n"), ord("\t")}
_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if code not in _KEPT}


def printable(text: str, stream: TextIO) -> str:
    """On a terminal, control characters become visible: no server moves the cursor or renames the window."""
    return text.translate(_CONTROLS) if stream.isatty() else text


def pretty(value: Any) -> str:
    """JSON over several lines."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows in aligned columns. On a terminal a row is one line; it is cut where it would not fit."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    listed = [tuple(_first_line(cell) for cell in row) for row in zip(*columns, strict=True)]
    if not listed:
        return []
    widths = [min(max(len(row[column]) for row in listed), 48) for column in range(len(listed[0]) - 1)]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = []
    for row in listed:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = ("  " + "  ".join([*cells, row[-1]])).rstrip()
        lines.append(line if not limit or len(line) <= limit else line[: limit - 1] + "…")
    return lines


def identity(info: Implementation | None) -> str:
    """A server's name and version."""
    return "a server without a name" if info is None else f"{info.name} {info.version}"


def tool_line(tool: Tool) -> tuple[str, str]:
    """``name(a: integer, b?: string)`` and what it does."""
    properties = tool.input_schema.get("properties")
    required = tool.input_schema.get("required")
    needed = required if isinstance(required, list) else []
    parts = []
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        kind = _kind(schema)
        parts.append(name + ("" if name in needed else "?") + (f": {kind}" if kind else ""))
    return f"{tool.name}({', '.join(parts)})", tool.description or tool.title or ""


def prompt_line(prompt: Prompt) -> tuple[str, str]:
    parts = [argument.name + ("" if argument.required else "?") for argument in prompt.arguments or ()]
    return f"{prompt.name}({', '.join(parts)})", prompt.description or prompt.title or ""


def tool_result(result: ToolResult) -> str:
    """The content; the structured content where there is nothing else."""
    from mcpcore.types import UNSET

    text = blocks(result.content)
    if not text and result.structured_content is not UNSET:
        return pretty(result.structured_content)
    return text


def blocks(content: Iterable[ContentBlock]) -> str:
    return "\n".join(_block(block) for block in content)


def messages(found: Iterable[PromptMessage]) -> str:
    return "\n\n".join(f"{message.role}:\n{_indented(_block(message.content))}" for message in found)


def size(count: int) -> str:
    return f"{count:,} byte{'' if count == 1 else 's'}"


def _block(block: Any) -> str:
    from mcpcore.types import (
        AudioContent,
        EmbeddedResource,
        ImageContent,
        ResourceLink,
        TextContent,
        TextResourceContents,
    )

    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, (ImageContent, AudioContent)):
        return f"[{block.type}: {block.mime_type}, {size(len(block.data) * 3 // 4)}; --json shows it]"
    if isinstance(block, ResourceLink):
        return f"[resource: {block.uri} {block.title or block.name}]"
    if isinstance(block, EmbeddedResource):
        inner = block.resource
        if isinstance(inner, TextResourceContents):
            return f"[resource: {inner.uri}]\n{inner.text}"
        return f"[resource: {inner.uri}, {inner.mime_type or 'bytes'}; --json shows it]"
    return f"[{getattr(block, 'type', 'unknown')}; --json shows it]"


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(kind, list):
        return "|".join(str(one) for one in kind)
    return kind if isinstance(kind, str) else ""


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0].strip()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))
