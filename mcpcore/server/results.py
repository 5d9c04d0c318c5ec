"""What handlers return, as the results of the protocol: values become content blocks, contents and messages.

Only shapes are decided here; which members a revision knows is decided later, by its era.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mcpcore.errors import UsageError
from mcpcore.jsonrpc.codec import encode
from mcpcore.types import (
    Audio,
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    GetPromptResult,
    Image,
    ImageContent,
    PromptMessage,
    ReadResourceResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolResult,
    UnknownContent,
    from_wire,
    to_wire,
)

__all__ = ["BLOCKS", "error_result", "jsonable", "prompt_result", "read_result", "tool_result"]

BLOCKS = (TextContent, ImageContent, AudioContent, ResourceLink, EmbeddedResource, UnknownContent, Image, Audio)
"""What a handler may put into the content of a tool result or prompt as it is."""
_ABSOLUTE = r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]*\Z"
_MIME_TYPE = r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;.*)?\Z"  # RFC 6838, section 4.2


def error_result(text: str, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    if meta is not None:
        result["_meta"] = meta
    return result


def tool_result(value: Any) -> dict[str, Any]:
    """The result of a tool without an output schema."""
    if isinstance(value, ToolResult):
        return _explicit(value)
    return {"content": _blocks(value)}


def _explicit(value: ToolResult) -> dict[str, Any]:
    result = to_wire(value)
    if "structuredContent" in result and not result.get("content"):
        # For older clients a structured result also comes as text (2025-11-25, server/tools#structured-content).
        result["content"] = [{"type": "text", "text": encode(result["structuredContent"]).decode()}]
    result.setdefault("content", [])
    return result


def _blocks(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if isinstance(value, list | tuple) and any(isinstance(item, BLOCKS) for item in value):
        return [block for item in value for block in _blocks(item)]
    return [_block(value)]


def _block(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": "text", "text": value}
    if isinstance(value, BLOCKS):
        return to_wire(value)
    if isinstance(value, bytes | bytearray | memoryview):
        blob = base64.b64encode(value).decode()
        resource = {"uri": "attachment:bytes", "mimeType": "application/octet-stream", "blob": blob}
        return {"type": "resource", "resource": resource}
    if isinstance(value, TextResourceContents | BlobResourceContents):
        return {"type": "resource", "resource": to_wire(value)}
    return {"type": "text", "text": encode(jsonable(value)).decode()}


def jsonable(value: Any) -> Any:
    """``value`` as plain JSON types: dataclasses, Structs, TypedDicts, pydantic models, dates, enums, sets, bytes."""
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json", by_alias=True)
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_unusual)
    except (TypeError, msgspec.ValidationError) as error:
        raise UsageError(f"a handler returned something that JSON cannot say: {error}") from None


def _unusual(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", by_alias=True)
    raise TypeError(f"objects of type {type(value).__name__} are not supported")


def read_result(value: Any, uri: str, mime_type: str | None) -> dict[str, Any]:
    """The contents that a resource handler's return value stands for."""
    if isinstance(value, ReadResourceResult):
        return {**to_wire(value), "contents": [_contents(one, uri, mime_type) for one in value.contents]}
    if isinstance(value, list | tuple) and value and all(_is_contents(item) for item in value):
        return {"contents": [_contents(item, uri, mime_type) for item in value]}
    return {"contents": [_contents(value, uri, mime_type)]}


def _is_contents(value: Any) -> bool:
    return isinstance(value, TextResourceContents | BlobResourceContents)


def _contents(value: Any, uri: str, mime_type: str | None) -> dict[str, Any]:
    if _is_contents(value):
        if isinstance(value, BlobResourceContents):
            _check_base64(value.blob, "the blob of a resource")
        return to_wire(value)
    if isinstance(value, str):
        return {"uri": uri, "mimeType": mime_type or "text/plain", "text": value}
    if isinstance(value, bytes | bytearray | memoryview):
        blob = base64.b64encode(value).decode()
        return {"uri": uri, "mimeType": mime_type or "application/octet-stream", "blob": blob}
    if isinstance(value, Image | Audio):
        block = value.to_content()
        return {"uri": uri, "mimeType": mime_type or block.mime_type, "blob": block.data}
    text = encode(jsonable(value)).decode()
    return {"uri": uri, "mimeType": mime_type or "application/json", "text": text}


def prompt_result(value: Any, description: str | None) -> dict[str, Any]:
    """The messages that a prompt handler's return value stands for; plain texts and blocks speak as the user."""
    if isinstance(value, GetPromptResult):
        result = to_wire(value)
        result = {**result, "messages": [_checked(message) for message in result["messages"]]}
    else:
        items = value if isinstance(value, list | tuple) else [value]
        result = {"messages": [_message(item) for item in items]}
    if description is not None:
        result.setdefault("description", description)
    return result


def _message(value: Any) -> dict[str, Any]:
    if isinstance(value, PromptMessage):
        message = to_wire(value)
    elif isinstance(value, Mapping) and "role" in value and "content" in value:
        content = value["content"]
        message = {"role": value["role"], "content": content if isinstance(content, dict) else _block(content)}
        from_wire(PromptMessage, message)  # written by hand: has it all its members?
    else:
        message = {"role": "user", "content": _block(value)}
    return _checked(message)


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    """A message as the specification wants it, or ``UsageError`` (server/prompts#promptmessage)."""
    if message["role"] not in ("user", "assistant"):
        raise UsageError(f"the role of a prompt's message is user or assistant, not {message['role']!r}")
    content = message["content"]
    kind = content.get("type")
    if kind == "image" or kind == "audio":
        _check_base64(content["data"], f"the data of an {kind} block")
        if not re.match(_MIME_TYPE, content["mimeType"], re.ASCII):
            raise UsageError(f"an {kind} block has a MIME type, such as {kind}/png, not {content['mimeType']!r}")
    elif kind == "resource":
        return {**message, "content": {**content, "resource": _embedded(content["resource"])}}
    return message


def _embedded(resource: dict[str, Any]) -> dict[str, Any]:
    """An embedded resource as server/prompts#embedded-resources wants it, or ``UsageError``."""
    if not re.match(_ABSOLUTE, resource["uri"]):
        raise UsageError(f"an embedded resource has a URI that begins with a scheme, not {resource['uri']!r}")
    if "blob" in resource:
        _check_base64(resource["blob"], "the blob of an embedded resource")
    if "mimeType" in resource:
        return resource
    # Required in prose, optional in the schema: always sent.
    return {**resource, "mimeType": "text/plain" if "text" in resource else "application/octet-stream"}


def _check_base64(text: str, what: str) -> None:
    """Blocks and contents that a handler made itself; what is made of bytes here needs no look."""
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise UsageError(f"{what} is not base64 ({error}); Image, Audio and bytes are encoded for you") from None
