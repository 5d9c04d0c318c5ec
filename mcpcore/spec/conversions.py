"""What has to be rewritten for an older revision because dropping members is not enough, and what has no form there.

Pure functions over JSON objects; nothing is mutated. Which members exist when, and who calls these: ``members.py``.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/changelog and the changelogs before it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mcpcore.spec.revisions import BY_NAME, Revision

__all__ = ["OF_OBJECTS", "elicitation_fits", "of_block", "sampling_fits"]

Object = dict[str, Any]
Rewrite = Callable[[Any], Any]

_2503: Final = BY_NAME["2025-03-26"]
_2506: Final = BY_NAME["2025-06-18"]
_2511: Final = BY_NAME["2025-11-25"]


def _without(value: Object, *names: str) -> Object:
    return {name: member for name, member in value.items() if name not in names}


# --- content blocks ---------------------------------------------------------------------------------------------------


def of_block(tag: str, revision: Revision) -> Rewrite | None:
    """How a block of this type becomes one that the revision knows, or ``None`` where it knows it already."""
    if tag == "audio" and revision < _2503:
        return _embed_audio
    if tag == "resource_link" and revision < _2506:
        return _tell_link
    return None


def _embed_audio(block: Object) -> Object:
    """The bytes survive, with their type, for a peer that knows no audio block."""
    resource = {"uri": "attachment:audio", "mimeType": block.get("mimeType"), "blob": block.get("data")}
    return {"type": "resource", "resource": resource, **_annotations(block)}


def _tell_link(block: Object) -> Object:
    label = block.get("title") or block.get("name")
    uri = block.get("uri")
    return {"type": "text", "text": f"{label}: {uri}" if label else f"{uri}", **_annotations(block)}


def _annotations(block: Object) -> Object:
    return {"annotations": block["annotations"]} if "annotations" in block else {}


# --- structured output ------------------------------------------------------------------------------------------------


def _structured_content(revision: Revision) -> Rewrite | None:
    """Up to 2025-11-25 only an object is legal; the text that goes with it stays."""
    if revision.structured_any:
        return None

    def objects_only(result: Object) -> Object:
        if "structuredContent" in result and not isinstance(result["structuredContent"], dict):
            return _without(result, "structuredContent")
        return result

    return objects_only


def _output_schema(revision: Revision) -> Rewrite | None:
    """Up to 2025-11-25 the root of an output schema is an object."""
    if revision.structured_any:
        return None

    def objects_only(tool: Object) -> Object:
        schema = tool.get("outputSchema")
        if "outputSchema" in tool and not (isinstance(schema, dict) and schema.get("type") == "object"):
            return _without(tool, "outputSchema")
        return tool

    return objects_only


# --- sampling ---------------------------------------------------------------------------------------------------------


def _blocks(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _block_type(block: Any) -> Any:
    return block.get("type") if isinstance(block, dict) else None


def _single_messages(revision: Revision) -> Rewrite | None:
    """Before 2025-11-25 a message holds one block: a longer one becomes several of the same role."""
    if revision >= _2511:
        return None

    def split(params: Object) -> Object:
        messages = params.get("messages")
        if not isinstance(messages, list):
            return params
        single = [part for message in messages for part in _parts(message)]
        return {**params, "messages": single} if single != messages else params

    return split


def _parts(message: Any) -> list[Any]:
    content = message.get("content") if isinstance(message, dict) else None
    return [{**message, "content": block} for block in content] if isinstance(content, list) else [message]


def _single_answer(revision: Revision) -> Rewrite | None:
    """Before 2025-11-25 an answer holds one block: several texts become one. ``sampling_fits`` refuses the rest."""
    if revision >= _2511:
        return None

    def join(result: Object) -> Object:
        content = result.get("content")
        if not isinstance(content, list) or not content:
            return result
        if len(content) == 1:
            return {**result, "content": content[0]}
        if any(_block_type(block) != "text" for block in content):
            return result
        return {**result, "content": {"type": "text", "text": "\n".join(block.get("text", "") for block in content)}}

    return join


def sampling_fits(value: Object, revision: Revision) -> str | None:
    """Whether the params, or the result, of ``sampling/createMessage`` have a form in this revision.

    ``None`` when they have; else one sentence that says what is in the way.
    """
    is_result = "messages" not in value
    messages = [value] if is_result else value["messages"]
    for message in messages:
        for block in _blocks(message.get("content") if isinstance(message, dict) else None):
            fault = _sampling_block_fits(_block_type(block), revision)
            if fault is not None:
                return fault
    if revision >= _2511:
        return None
    if value.get("tools"):
        return f"sampling with tools exists from 2025-11-25, and this conversation speaks {revision}"
    content = value.get("content")
    if is_result and isinstance(content, list):
        if not content:
            return f"the answer is empty, and {revision} wants one content block"
        if len(content) > 1 and any(_block_type(block) != "text" for block in content):
            return f"the answer has several content blocks, and {revision} allows one"
    return None


def _sampling_block_fits(tag: Any, revision: Revision) -> str | None:
    if tag in ("tool_use", "tool_result") and revision < _2511:
        return f"{tag} content exists from 2025-11-25, and this conversation speaks {revision}"
    if tag == "audio" and revision < _2503:
        return f"audio content in sampling exists from 2025-03-26, and this conversation speaks {revision}"
    return None


# --- elicitation ------------------------------------------------------------------------------------------------------


def elicitation_fits(params: Object, revision: Revision) -> str | None:
    """Whether a question to the user has a form in this revision; ``None`` when it has, else one sentence."""
    if not revision.elicitation:
        return f"elicitation exists from 2025-06-18, and this conversation speaks {revision}"
    if revision.url_elicitation:
        return None
    if params.get("mode", "form") != "form":
        return f"elicitation by URL exists from 2025-11-25, and this conversation speaks {revision}"
    for name, member in _properties(params.get("requestedSchema")).items():
        if isinstance(member, dict) and member.get("type") == "array":
            return f"requestedSchema.properties.{name}: a choice of several values exists from 2025-11-25"
    return None


def _properties(schema: Any) -> Object:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def _plain_form(revision: Revision) -> Rewrite | None:
    """2025-06-18 knows no titled choices, and defaults only for booleans."""
    if revision.url_elicitation:
        return None

    def plain(schema: Object) -> Object:
        properties = _properties(schema)
        new = {name: _plain_member(member) for name, member in properties.items()}
        changed = any(new[name] is not member for name, member in properties.items())
        return {**schema, "properties": new} if changed else schema

    return plain


def _plain_member(member: Any) -> Any:
    if not isinstance(member, dict):
        return member
    options = member.get("oneOf")
    if isinstance(options, list) and "enum" not in member:
        values = [option.get("const") for option in options if isinstance(option, dict)]
        names = [option.get("title", option.get("const")) for option in options if isinstance(option, dict)]
        member = {**_without(member, "oneOf"), "enum": values, "enumNames": names}
    if "default" in member and member.get("type") != "boolean":
        return _without(member, "default")
    return member


OF_OBJECTS: Final[dict[str, Callable[[Revision], Rewrite | None]]] = {
    "ToolResult": _structured_content,
    "ToolResultContent": _structured_content,
    "Tool": _output_schema,
    "CreateMessageParams": _single_messages,
    "CreateMessageResult": _single_answer,
    "ElicitParams.requestedSchema": _plain_form,
}
"""What happens to an object after its newer members are gone, by revision; ``None`` where there is nothing to do."""
