"""Which member of which type exists in which revision, and ``sieve``, which makes an object fit an older one.

The rule: a member known to be newer (or given up) is dropped, an unknown one passes. What dropping alone cannot make
valid is rewritten, or refused, by the functions in ``conversions.py``. Nothing is mutated: the object itself comes back
where nothing had to change.

Specification: the five schemas, https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mcpcore.spec import conversions
from mcpcore.spec.conversions import elicitation_fits, sampling_fits
from mcpcore.spec.revisions import ALL, Revision

__all__ = [
    "BLOCKS",
    "CHILDREN",
    "MEMBERS",
    "PARAMS_KINDS",
    "RESULT_KINDS",
    "elicitation_fits",
    "sampling_fits",
    "sieve",
]

Object = dict[str, Any]
Step = Callable[[Any], Any]
Span = tuple[str, str]
"""First and last revision, by name."""

_2503: Final = ("2025-03-26", "9999")
_2506: Final = ("2025-06-18", "9999")
_2511: Final = ("2025-11-25", "9999")
_2607: Final = ("2026-07-28", "9999")
_ONLY_2511: Final = ("2025-11-25", "2025-11-25")
_TO_2511: Final = ("", "2025-11-25")

_NAMED = {"title": _2506, "icons": _2511, "_meta": _2506}
_RESULT = {"resultType": _2607}
_CACHEABLE = {**_RESULT, "ttlMs": _2607, "cacheScope": _2607}
_RETRY = {"inputResponses": _2607, "requestState": _2607}
_CONTENT = {"_meta": _2506}
_ELICIT_URL = {"mode": _2511, "url": _2511, "elicitationId": _ONLY_2511, "task": _ONLY_2511, "_meta": _TO_2511}

MEMBERS: Final[dict[str, dict[str, Span]]] = {
    "Annotations": {"lastModified": _2506},
    "AudioContent": _CONTENT,
    "CallToolParams": {**_RETRY, "task": _ONLY_2511},
    "ClientCapabilities": {
        "elicitation": _2506,
        "tasks": _ONLY_2511,
        # The schema has it from 2026-07-28, but published extensions negotiate with it in a 2025-11-25 handshake.
        "extensions": _2511,
    },
    "ClientCapabilities.elicitation": {"form": _2511, "url": _2511},
    "ClientCapabilities.roots": {"listChanged": _TO_2511},
    "ClientCapabilities.sampling": {"context": _2511, "tools": _2511},
    "CompleteParams": {"context": _2506},
    "CompleteResult": _RESULT,
    "CreateMessageParams": {"tools": _2511, "toolChoice": _2511, "task": _ONLY_2511, "_meta": _TO_2511},
    "CreateMessageResult": {},
    "DiscoverResult": _CACHEABLE,
    "ElicitParams": _ELICIT_URL,
    "ElicitParams.requestedSchema": {"$schema": _2511},
    "ElicitResult": {"_meta": _TO_2511},
    "EmbeddedResource": _CONTENT,
    "GetPromptParams": _RETRY,
    "GetPromptResult": _RESULT,
    "ImageContent": _CONTENT,
    "Implementation": {"title": _2506, "description": _2511, "icons": _2511, "websiteUrl": _2511},
    "InitializeParams": {},
    "InitializeResult": {},
    "ListPromptsResult": _CACHEABLE,
    "ListResourceTemplatesResult": _CACHEABLE,
    "ListResourcesResult": _CACHEABLE,
    "ListRootsResult": {"_meta": _TO_2511},
    "ListToolsResult": _CACHEABLE,
    "LogMessage": {},
    "Progress": {"message": _2503},
    "Prompt": _NAMED,
    "PromptArgument": {"title": _2506},
    "PromptMessage": {},
    "ReadResourceParams": _RETRY,
    "ReadResourceResult": _CACHEABLE,
    "Reference": {"title": _2506},
    "Resource": _NAMED,
    "ResourceContents": {"_meta": _2506},
    "ResourceLink": {"icons": _2511},
    "ResourceTemplate": _NAMED,
    "Root": {"_meta": _2506},
    "SamplingMessage": {"_meta": _2511},
    "ServerCapabilities": {"completions": _2503, "tasks": _ONLY_2511, "extensions": _2511},
    "TextContent": _CONTENT,
    "Tool": {**_NAMED, "annotations": _2503, "outputSchema": _2506, "execution": _ONLY_2511},
    "ToolResult": {**_RESULT, "structuredContent": _2506},
    "ToolResultContent": {},
    "ToolUseContent": {},
}
"""The members that not every revision of their type has, with the first and last revision that has them."""

_ANNOTATED = {"annotations": "Annotations"}

CHILDREN: Final[dict[str, dict[str, str]]] = {
    "AudioContent": _ANNOTATED,
    "ClientCapabilities": {
        "elicitation": "ClientCapabilities.elicitation",
        "roots": "ClientCapabilities.roots",
        "sampling": "ClientCapabilities.sampling",
    },
    "CompleteParams": {"ref": "Reference"},
    "CreateMessageParams": {"messages": "SamplingMessage", "tools": "Tool"},
    "CreateMessageResult": {"content": "SamplingContent"},
    "DiscoverResult": {"capabilities": "ServerCapabilities"},
    "ElicitParams": {"requestedSchema": "ElicitParams.requestedSchema"},
    "EmbeddedResource": {**_ANNOTATED, "resource": "ResourceContents"},
    "GetPromptResult": {"messages": "PromptMessage"},
    "ImageContent": _ANNOTATED,
    "InitializeParams": {"capabilities": "ClientCapabilities", "clientInfo": "Implementation"},
    "InitializeResult": {"capabilities": "ServerCapabilities", "serverInfo": "Implementation"},
    "ListPromptsResult": {"prompts": "Prompt"},
    "ListResourceTemplatesResult": {"resourceTemplates": "ResourceTemplate"},
    "ListResourcesResult": {"resources": "Resource"},
    "ListRootsResult": {"roots": "Root"},
    "ListToolsResult": {"tools": "Tool"},
    "Prompt": {"arguments": "PromptArgument"},
    "PromptMessage": {"content": "Content"},
    "ReadResourceResult": {"contents": "ResourceContents"},
    "Resource": _ANNOTATED,
    "ResourceLink": _ANNOTATED,
    "ResourceTemplate": _ANNOTATED,
    "SamplingMessage": {"content": "SamplingContent"},
    "TextContent": _ANNOTATED,
    "ToolResult": {"content": "Content"},
    "ToolResultContent": {"content": "Content"},
}
"""Which members hold a typed object, or a list of them. For ``Content`` and ``SamplingContent`` see ``BLOCKS``."""

_CONTENT_BLOCKS: Final = {
    "text": "TextContent",
    "image": "ImageContent",
    "audio": "AudioContent",
    "resource": "EmbeddedResource",
    "resource_link": "ResourceLink",
}

BLOCKS: Final[dict[str, dict[str, str]]] = {
    "Content": _CONTENT_BLOCKS,
    "SamplingContent": {"tool_use": "ToolUseContent", "tool_result": "ToolResultContent", **_CONTENT_BLOCKS},
}
"""The kinds that a block's ``type`` decides."""

RESULT_KINDS: Final = {
    "initialize": "InitializeResult",
    "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult",
    "tools/call": "ToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "completion/complete": "CompleteResult",
    "sampling/createMessage": "CreateMessageResult",
    "elicitation/create": "ElicitResult",
    "roots/list": "ListRootsResult",
}
"""The kind of a request's result."""

PARAMS_KINDS: Final = {
    "initialize": "InitializeParams",
    "tools/call": "CallToolParams",
    "resources/read": "ReadResourceParams",
    "prompts/get": "GetPromptParams",
    "completion/complete": "CompleteParams",
    "sampling/createMessage": "CreateMessageParams",
    "elicitation/create": "ElicitParams",
    "notifications/message": "LogMessage",
    "notifications/progress": "Progress",
}
"""The kind of a message's params, where something about them ever changed."""


def sieve(kind: str, value: Object, revision: Revision) -> Object:
    """``value`` as ``revision`` knows its kind: a name of ``mcpcore.types``, or one of ``PARAMS_KINDS``.

    Returns the same object where nothing has to change, and shares what did not change otherwise; never mutates. Ask
    ``sampling_fits`` or ``elicitation_fits`` first where a question may have no valid form in the revision. Raises
    ``KeyError`` for an unknown kind.
    """
    known = _STEPS[revision.index]
    step = known[kind] if kind in known else _compile(kind, revision)
    result: Object = value if step is None else step(value)
    return result


# --- each (kind, revision) becomes one function, or none where nothing ever has to change -----------------------------

_STEPS: Final[list[dict[str, Step | None]]] = [{} for _ in ALL]


def _compile(kind: str, revision: Revision) -> Step | None:
    known = _STEPS[revision.index]
    if kind not in known:
        known[kind] = _compile_blocks(BLOCKS[kind], revision) if kind in BLOCKS else _compile_object(kind, revision)
    return known[kind]


def _compile_object(kind: str, revision: Revision) -> Step | None:
    name = revision.name
    dropped = frozenset(m for m, (first, last) in MEMBERS[kind].items() if not first <= name <= last)
    children: list[tuple[str, Step]] = []
    for member, child in CHILDREN.get(kind, {}).items():
        step = _compile(child, revision) if member not in dropped else None
        if step is not None:
            children.append((member, _in_list(step)))
    rewrite = conversions.OF_OBJECTS.get(kind)
    last = rewrite(revision) if rewrite is not None else None
    if not dropped and not children:
        return last

    def step_through(value: Object) -> Any:
        out = value
        if not dropped.isdisjoint(value):
            out = {name: member for name, member in value.items() if name not in dropped}
        for member, child in children:
            old = out.get(member)
            new = child(old)
            if new is not old:
                out = {**out, member: new}
        return out if last is None else last(out)

    return step_through


def _compile_blocks(kinds: dict[str, str], revision: Revision) -> Step | None:
    steps: dict[str, Step] = {}
    for tag, kind in kinds.items():
        step = _compile(kind, revision)
        rewrite = conversions.of_block(tag, revision)
        if rewrite is not None:
            steps[tag] = _after(step, rewrite)
        elif step is not None:
            steps[tag] = step
    if not steps:
        return None

    def convert(block: Object) -> Any:
        tag = block.get("type")
        step = steps.get(tag) if isinstance(tag, str) else None
        return block if step is None else step(block)

    return convert


def _after(first: Step | None, second: Step) -> Step:
    if first is None:
        return second
    before = first
    return lambda value: second(before(value))


def _in_list(step: Step) -> Step:
    """For a member that is one object or a list of them. What is neither is not ours to judge."""

    def each(value: Any) -> Any:
        if not isinstance(value, list):
            return step(value) if isinstance(value, dict) else value
        for old in value:
            if isinstance(old, dict) and step(old) is not old:
                return [step(item) if isinstance(item, dict) else item for item in value]
        return value

    return each
