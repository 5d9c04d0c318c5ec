"""What a user may answer to a question, in its convenient forms, and what travels for it.

The same for a callback's return value and for the answers given to a step by hand. Checks what the question demands.
"""

from __future__ import annotations

import os
from typing import Any

from mcpcore.errors import RpcError, UsageError
from mcpcore.spec import codes
from mcpcore.spec.forms import check_form
from mcpcore.types import (
    AudioContent,
    CreateMessageResult,
    ElicitParams,
    ElicitResult,
    ImageContent,
    Root,
    TextContent,
    ToolUseContent,
    UnknownContent,
    from_wire,
    to_wire,
)

__all__ = ["answer_for", "elicitation_answer", "refused_sampling", "roots_answer", "sampling_answer"]

_BLOCKS = (TextContent, ImageContent, AudioContent, ToolUseContent, UnknownContent)
_NO_MODEL = "unknown"


def refused_sampling() -> RpcError:
    return RpcError(codes.USER_REJECTED, "User rejected sampling request")


def answer_for(method: str, params: dict[str, Any], value: Any) -> dict[str, Any]:
    """``value`` as the answer to this question. Raises ``UsageError`` for what cannot be one."""
    if method == "elicitation/create":
        return elicitation_answer(from_wire(ElicitParams, params), value)
    return sampling_answer(params, value) if method == "sampling/createMessage" else roots_answer(value)


def sampling_answer(params: dict[str, Any], value: Any) -> dict[str, Any]:
    """A ``CreateMessageResult``, a text, a content block or a list of them, or the wire object.

    It uses no tool where the question forbids that (client/sampling#tool-choice-modes).
    """
    answer = _message(value)
    content = answer.get("content")
    blocks = content if isinstance(content, list) else [content]
    uses = any(isinstance(block, dict) and block.get("type") == "tool_use" for block in blocks)
    if uses and (params.get("toolChoice") or {}).get("mode") == "none":
        raise UsageError("the answer to sampling uses a tool, but the question forbids it: its toolChoice is none")
    return answer


def _message(value: Any) -> dict[str, Any]:
    if isinstance(value, CreateMessageResult):
        return to_wire(value)
    if isinstance(value, str):
        value = TextContent(text=value)
    if isinstance(value, _BLOCKS):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(block, _BLOCKS) for block in value):
        reason = "toolUse" if any(isinstance(block, ToolUseContent) for block in value) else "endTurn"
        content = value[0] if len(value) == 1 else value
        return to_wire(CreateMessageResult(content=content, model=_NO_MODEL, stop_reason=reason))
    if isinstance(value, dict) and "content" in value:
        return {"role": "assistant", "model": _NO_MODEL, **value}
    kind = type(value).__name__
    raise UsageError(f"the answer to sampling is a CreateMessageResult, a text, content blocks or None, not {kind}")


def elicitation_answer(question: ElicitParams, value: Any) -> dict[str, Any]:
    """An ``ElicitResult``, the values of the form (accept), or ``None`` (decline). Content travels with accept only."""
    if value is None:
        value = ElicitResult(action="decline")
    elif isinstance(value, dict):
        value = ElicitResult(action="accept", content=value)
    if not isinstance(value, ElicitResult):
        raise UsageError(
            f"the answer to an elicitation must be an ElicitResult, a dict or None, not {type(value).__name__}"
        )
    answer = to_wire(value)
    if value.action != "accept" or question.mode == "url":
        answer = {name: member for name, member in answer.items() if name != "content"}
    else:
        answer = {**answer, "content": answer.get("content", {})}
        fault = check_form(question.requested_schema or {}, answer["content"])
        if fault is not None:
            raise UsageError(f"the answer to an elicitation does not fit the form: {fault}")
    return answer


def roots_answer(value: Any) -> dict[str, Any]:
    """A list of ``Root``, ``file:`` URIs and paths."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"roots must be a list of Root, file: URIs or paths, not {type(value).__name__}")
    return {"roots": [to_wire(_root(item)) for item in value]}


def _root(item: Any) -> Root:
    root = item
    if isinstance(item, str):
        root = Root(uri=item)
    elif isinstance(item, os.PathLike):
        from pathlib import Path  # slow to load, and few clients need it

        root = Root(uri=Path(os.path.abspath(item)).as_uri())
    if not isinstance(root, Root) or not root.uri.startswith("file://"):
        raise UsageError("a root must be a Root, a path, or a URI that begins with file://")
    from urllib.parse import unquote

    path = unquote(root.uri)
    if "\0" in path or ".." in path.replace("\\", "/").split("/"):
        raise UsageError("a root must name its directory itself, without .. in its path")  # client/roots, security
    return root
