"""What requests answer and what notifications tell: results, pages, log messages, progress, caching hints.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import msgspec

from mcpcore.errors import UsageError
from mcpcore.types.catalogue import (
    Implementation,
    Prompt,
    Resource,
    ResourceTemplate,
    Root,
    ServerCapabilities,
    Tool,
)
from mcpcore.types.content import ContentBlock, ResourceContents, Role, TextContent
from mcpcore.types.wire import UNSET, Wire

__all__ = [
    "LEVELS",
    "CacheHint",
    "CacheScope",
    "CompleteResult",
    "Completion",
    "DiscoverResult",
    "GetPromptResult",
    "InitializeResult",
    "ListPromptsResult",
    "ListResourceTemplatesResult",
    "ListResourcesResult",
    "ListRootsResult",
    "ListToolsResult",
    "LogMessage",
    "LoggingLevel",
    "Progress",
    "PromptMessage",
    "ReadResourceResult",
    "ToolResult",
]

LoggingLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
LEVELS: Final[tuple[LoggingLevel, ...]] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)
"""Least severe first."""

CacheScope = Literal["public", "private"]


class CacheHint(msgspec.Struct, frozen=True):
    """How long a client may reuse a result (``ttl_ms`` milliseconds), and whether for everybody or one principal."""

    ttl_ms: int = 0
    scope: CacheScope = "private"

    def __post_init__(self) -> None:
        if not isinstance(self.ttl_ms, int) or self.ttl_ms < 0:
            raise UsageError("CacheHint.ttl_ms must be a whole number of milliseconds, zero or more")
        if self.scope not in ("public", "private"):
            raise UsageError('CacheHint.scope must be "public" or "private"')


class ToolResult(Wire):
    """The result of a tool call. In a client, ``data`` is the structured content decoded as the wanted type, and
    ``schema_errors`` says what of it does not fit the tool's output schema; neither travels.

    ``structured_content`` is ``UNSET`` when absent; ``None`` is a value (2026-07-28).
    """

    content: list[ContentBlock] = msgspec.field(default_factory=list)
    structured_content: Any = UNSET
    is_error: bool = False
    meta: dict[str, Any] | None = None
    data: Any = None
    schema_errors: list[str] = msgspec.field(default_factory=list)

    PYTHON_ONLY: ClassVar[frozenset[str]] = frozenset({"data", "schema_errors"})
    ABSENT_IF: ClassVar[Mapping[str, str]] = {"content": "structuredContent"}

    @property
    def text(self) -> str:
        """All text blocks, joined by newlines; "" where there is none."""
        return "\n".join(block.text for block in self.content if isinstance(block, TextContent))


class ReadResourceResult(Wire):
    """The contents of a resource; a directory-like one may have several."""

    contents: list[ResourceContents]
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class PromptMessage(Wire):
    """One message of a prompt."""

    role: Role
    content: ContentBlock


class GetPromptResult(Wire):
    """A prompt, filled in."""

    messages: list[PromptMessage]
    description: str | None = None
    meta: dict[str, Any] | None = None


class ListToolsResult(Wire):
    """One page of tools; ``next_cursor`` leads to the next one, ``None`` says that this was the last."""

    items: list[Tool] = msgspec.field(name="tools")
    next_cursor: str | None = None
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class ListResourcesResult(Wire):
    """One page of resources. See ``ListToolsResult``."""

    items: list[Resource] = msgspec.field(name="resources")
    next_cursor: str | None = None
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class ListResourceTemplatesResult(Wire):
    """One page of resource templates. See ``ListToolsResult``."""

    items: list[ResourceTemplate] = msgspec.field(name="resourceTemplates")
    next_cursor: str | None = None
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class ListPromptsResult(Wire):
    """One page of prompts. See ``ListToolsResult``."""

    items: list[Prompt] = msgspec.field(name="prompts")
    next_cursor: str | None = None
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class ListRootsResult(Wire):
    """The client's roots."""

    roots: list[Root]
    meta: dict[str, Any] | None = None


class Completion(Wire):
    """Values that complete an argument, at most 100; ``total`` may count more."""

    values: list[str]
    total: int | None = None
    has_more: bool | None = None


class CompleteResult(Wire):
    """The result of ``completion/complete``."""

    completion: Completion
    meta: dict[str, Any] | None = None


class InitializeResult(Wire):
    """The server's half of the legacy handshake."""

    protocol_version: str
    capabilities: ServerCapabilities
    server_info: Implementation
    instructions: str | None = None
    meta: dict[str, Any] | None = None


class DiscoverResult(Wire):
    """What a modern server says of itself."""

    supported_versions: list[str]
    capabilities: ServerCapabilities
    instructions: str | None = None
    ttl_ms: int | None = None
    cache_scope: CacheScope | str | None = None
    meta: dict[str, Any] | None = None


class LogMessage(Wire):
    """A log message of a server; ``data`` is any JSON value. Unknown levels stay the string they are."""

    level: LoggingLevel | str
    data: Any
    logger: str | None = None
    meta: dict[str, Any] | None = None


class Progress(Wire):
    """How far a request has come; ``total`` is ``None`` where nobody knows."""

    progress: float
    total: float | None = None
    message: str | None = None
    meta: dict[str, Any] | None = None
