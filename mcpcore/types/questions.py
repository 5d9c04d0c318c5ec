"""What a server asks of a client: sampling, elicitation, roots; and the questions as plain descriptions.

``CreateMessageParams`` and ``ElicitParams`` are what a client's callback gets, ``CreateMessageResult`` and
``ElicitResult`` what it answers. ``Elicit``, ``ElicitUrl``, ``Sample`` and ``ListRoots`` describe a question that is
not asked yet: ``method`` and ``params``; who asks it, and how, is the era's business.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation and .../client/sampling
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from mcpcore.errors import UsageError
from mcpcore.types.catalogue import Tool
from mcpcore.types.content import (
    AudioContent,
    ImageContent,
    Role,
    SamplingContent,
    TextContent,
    ToolResultContent,
    ToolUseContent,
)
from mcpcore.types.wire import UnknownContent, Wire, to_wire

__all__ = [
    "CreateMessageParams",
    "CreateMessageResult",
    "Elicit",
    "ElicitParams",
    "ElicitResult",
    "ElicitUrl",
    "Header",
    "InputRequired",
    "InputRequiredResult",
    "ListRoots",
    "ModelHint",
    "ModelPreferences",
    "Question",
    "Sample",
    "SamplingMessage",
    "ToolChoice",
    "sampling_messages",
]

_BLOCKS = (TextContent, ImageContent, AudioContent, ToolUseContent, ToolResultContent, UnknownContent)


class SamplingMessage(Wire):
    """One message of a conversation with a model. ``content`` is one block, or from 2025-11-25 a list of them."""

    role: Role
    content: SamplingContent | list[SamplingContent]
    meta: dict[str, Any] | None = None

    @property
    def blocks(self) -> list[SamplingContent]:
        """The content as a list, whichever form it has."""
        return self.content if isinstance(self.content, list) else [self.content]


class ModelHint(Wire):
    """A model's name, or a part of it."""

    name: str | None = None


class ModelPreferences(Wire):
    """Which model to choose; the priorities go from 0 to 1."""

    hints: list[ModelHint] | None = None
    cost_priority: float | None = None
    speed_priority: float | None = None
    intelligence_priority: float | None = None


class ToolChoice(Wire):
    """Whether the model may, must or must not use tools."""

    mode: Literal["auto", "required", "none"] | str | None = None


class CreateMessageParams(Wire):
    """A server asks for a completion from the client's model."""

    messages: list[SamplingMessage]
    max_tokens: int
    system_prompt: str | None = None
    model_preferences: ModelPreferences | None = None
    include_context: Literal["none", "thisServer", "allServers"] | str | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    metadata: dict[str, Any] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    meta: dict[str, Any] | None = None


class CreateMessageResult(Wire):
    """What the model said. ``stop_reason`` is ``endTurn``, ``stopSequence``, ``maxTokens``, ``toolUse`` or another."""

    content: SamplingContent | list[SamplingContent]
    model: str
    role: Role = "assistant"
    stop_reason: str | None = None
    meta: dict[str, Any] | None = None

    ALWAYS: ClassVar[frozenset[str]] = frozenset({"role"})

    @property
    def blocks(self) -> list[SamplingContent]:
        """The content as a list, whichever form it has."""
        return self.content if isinstance(self.content, list) else [self.content]

    @property
    def text(self) -> str:
        """All text blocks, joined by newlines; "" where there is none."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, TextContent))


class ElicitParams(Wire):
    """A server asks the user: a form (``requested_schema``, flat properties) or a visit to ``url``."""

    message: str
    mode: Literal["form", "url"] | str = "form"
    requested_schema: dict[str, Any] | None = None
    url: str | None = None
    elicitation_id: str | None = None
    meta: dict[str, Any] | None = None

    ALWAYS: ClassVar[frozenset[str]] = frozenset({"mode"})

    def defaults(self) -> dict[str, Any]:
        """The values that the form proposes by itself: an answer, where they are accepted as they are."""
        properties = (self.requested_schema or {}).get("properties")
        members = properties.items() if isinstance(properties, dict) else ()
        return {name: member["default"] for name, member in members if isinstance(member, dict) and "default" in member}


class ElicitResult(Wire):
    """What the user did. ``content`` holds the form's values (numbers may be fractional); ``data`` is the same, decoded
    as the type that was asked for, and never travels.
    """

    action: Literal["accept", "decline", "cancel"] | str
    content: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    data: Any = None

    PYTHON_ONLY: ClassVar[frozenset[str]] = frozenset({"data"})


class Elicit(msgspec.Struct, frozen=True):
    """Ask the user to fill in a form: ``schema`` is a JSON Schema object, or a type from which the server makes one."""

    method: ClassVar[str] = "elicitation/create"
    message: str
    schema: Any

    @property
    def params(self) -> dict[str, Any]:
        """Without ``mode``: absent means a form in every revision."""
        if not isinstance(self.schema, dict):
            raise UsageError("Elicit.schema must be a JSON Schema object before it can travel")
        return {"message": self.message, "requestedSchema": self.schema}


class ElicitUrl(msgspec.Struct, frozen=True):
    """Ask the user to open ``url``. ``elicitation_id`` is required in 2025-11-25 and unknown to 2026-07-28."""

    method: ClassVar[str] = "elicitation/create"
    message: str
    url: str
    elicitation_id: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        params = {"mode": "url", "message": self.message, "url": self.url}
        if self.elicitation_id is not None:
            params["elicitationId"] = self.elicitation_id
        return params


class Sample(msgspec.Struct, frozen=True):
    """Ask the client's model. ``messages`` may be a text, a block, a message, or a list of those."""

    method: ClassVar[str] = "sampling/createMessage"
    messages: Any
    max_tokens: int
    system_prompt: str | None = None
    model_preferences: ModelPreferences | None = None
    include_context: str | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    metadata: dict[str, Any] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None

    @property
    def params(self) -> dict[str, Any]:
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        members["messages"] = sampling_messages(self.messages)
        return to_wire(CreateMessageParams(**members))


class ListRoots(msgspec.Struct, frozen=True):
    """Ask for the client's roots."""

    method: ClassVar[str] = "roots/list"

    @property
    def params(self) -> dict[str, Any]:
        return {}


Question: TypeAlias = Elicit | ElicitUrl | Sample | ListRoots


class InputRequired(msgspec.Struct):
    """Returned by a handler that holds the rounds in its own hand: the questions by key, and what to remember.

    ``request_state`` comes back in the retry as it is; the client can read it. At least one of the two must be given.
    Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
    """

    questions: Mapping[str, Question] = {}
    request_state: str | None = None
    meta: dict[str, Any] | None = None

    def __wire__(self) -> dict[str, Any]:
        if not self.questions and self.request_state is None:
            raise UsageError("InputRequired needs questions or a request_state")
        result: dict[str, Any] = {"resultType": "input_required"}
        if self.questions:
            result["inputRequests"] = {k: {"method": q.method, "params": q.params} for k, q in self.questions.items()}
        if self.request_state is not None:
            result["requestState"] = self.request_state
        if self.meta is not None:
            result["_meta"] = self.meta
        return result


class InputRequiredResult(Wire):
    """The same as a client reads it: ``input_requests`` maps each key to ``{"method": ..., "params": ...}``."""

    input_requests: dict[str, Any] | None = None
    request_state: str | None = None
    meta: dict[str, Any] | None = None


class Header(msgspec.Struct, frozen=True):
    """``Annotated[str, Header("Region")]``: the parameter also travels as the HTTP header ``Mcp-Param-Region``."""

    name: str


def sampling_messages(value: Any) -> list[SamplingMessage]:
    """Messages from a text, a content block, a message, or a list of those; texts and blocks speak as the user.

    Raises ``UsageError`` for anything else.
    """
    if isinstance(value, (list, tuple)):
        return [message for item in value for message in sampling_messages(item)]
    if isinstance(value, SamplingMessage):
        return [value]
    if isinstance(value, str):
        return [SamplingMessage("user", TextContent(value))]
    if isinstance(value, _BLOCKS):
        return [SamplingMessage("user", value)]
    raise UsageError(f"a sampling message is a text, a content block or a SamplingMessage, not {type(value).__name__}")
