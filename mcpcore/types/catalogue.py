"""What a server lists and what stands in the handshake: tools, resources, prompts, roots, names, capabilities.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/schema
"""

from __future__ import annotations

from typing import Any, ClassVar

from mcpcore.types.content import Annotations, Icon
from mcpcore.types.wire import Wire

__all__ = [
    "ClientCapabilities",
    "Implementation",
    "Prompt",
    "PromptArgument",
    "PromptRef",
    "Resource",
    "ResourceTemplate",
    "Root",
    "ServerCapabilities",
    "SubscriptionFilter",
    "TemplateRef",
    "Tool",
    "ToolAnnotations",
]


class Implementation(Wire):
    """Name and version of a client or server."""

    name: str
    version: str
    title: str | None = None
    description: str | None = None
    website_url: str | None = None
    icons: list[Icon] | None = None


class ToolAnnotations(Wire):
    """Hints about a tool. Nothing proves them: a client must not trust them from a server it does not trust."""

    title: str | None = None
    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
    open_world_hint: bool | None = None


class Tool(Wire):
    """A tool. ``input_schema`` is a JSON Schema with ``"type": "object"`` at its root, ``output_schema`` any schema."""

    name: str
    input_schema: dict[str, Any]
    title: str | None = None
    description: str | None = None
    output_schema: dict[str, Any] | None = None
    annotations: ToolAnnotations | None = None
    icons: list[Icon] | None = None
    meta: dict[str, Any] | None = None


class Resource(Wire):
    """A resource that can be read; ``size`` in bytes."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None
    icons: list[Icon] | None = None
    meta: dict[str, Any] | None = None


class ResourceTemplate(Wire):
    """A family of resources: ``uri_template`` is an RFC 6570 template."""

    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    annotations: Annotations | None = None
    icons: list[Icon] | None = None
    meta: dict[str, Any] | None = None


class PromptArgument(Wire):
    """An argument of a prompt; its value is a string."""

    name: str
    title: str | None = None
    description: str | None = None
    required: bool = False


class Prompt(Wire):
    """A prompt or prompt template."""

    name: str
    title: str | None = None
    description: str | None = None
    arguments: list[PromptArgument] | None = None
    icons: list[Icon] | None = None
    meta: dict[str, Any] | None = None


class PromptRef(Wire):
    """Whose argument is being completed: a prompt's."""

    type: ClassVar[str] = "ref/prompt"
    name: str
    title: str | None = None


class TemplateRef(Wire):
    """Whose argument is being completed: a resource template's."""

    type: ClassVar[str] = "ref/resource"
    uri: str


class Root(Wire):
    """A directory or file the client opens to the server; ``uri`` starts with ``file://``."""

    uri: str
    name: str | None = None
    meta: dict[str, Any] | None = None


class ClientCapabilities(Wire):
    """What a client can do. Each member is a settings object; present, even empty, means yes. Unknown ones pass."""

    roots: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    elicitation: dict[str, Any] | None = None
    tasks: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    experimental: dict[str, Any] | None = None


class ServerCapabilities(Wire):
    """What a server can do. Each member is a settings object; present, even empty, means yes. Unknown ones pass."""

    tools: dict[str, Any] | None = None
    resources: dict[str, Any] | None = None
    prompts: dict[str, Any] | None = None
    completions: dict[str, Any] | None = None
    logging: dict[str, Any] | None = None
    tasks: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    experimental: dict[str, Any] | None = None


class SubscriptionFilter(Wire):
    """What a listen stream is about: list changes by kind, and updates of the named resource URIs."""

    tools_list_changed: bool = False
    prompts_list_changed: bool = False
    resources_list_changed: bool = False
    resource_subscriptions: list[str] | None = None
