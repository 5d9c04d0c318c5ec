"""Content blocks, resource contents, and the Python-side helpers for images and sounds. Codec: ``wire.py``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/tools#tool-result
"""

from __future__ import annotations

import base64
import os
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from mcpcore.errors import UsageError
from mcpcore.types.wire import UNSET, UnknownContent, Wire, to_wire

__all__ = [
    "Annotations",
    "Audio",
    "AudioContent",
    "BlobResourceContents",
    "ContentBlock",
    "EmbeddedResource",
    "Icon",
    "Image",
    "ImageContent",
    "ResourceContents",
    "ResourceLink",
    "Role",
    "SamplingContent",
    "TextContent",
    "TextResourceContents",
    "ToolResultContent",
    "ToolUseContent",
]

Role: TypeAlias = Literal["user", "assistant"] | str
"""Unknown roles stay the string they are."""


class Icon(Wire):
    """An image that stands for something: ``src`` is an ``https:`` or ``data:`` URI, ``sizes`` like ``["48x48"]``."""

    src: str
    mime_type: str | None = None
    sizes: list[str] | None = None
    theme: Literal["light", "dark"] | str | None = None


class Annotations(Wire):
    """For whom something is (``audience``: roles), how important (0 to 1), and when it changed (ISO 8601)."""

    audience: list[Role] | None = None
    priority: float | None = None
    last_modified: str | None = None


class TextContent(Wire):
    """A text block."""

    type: ClassVar[str] = "text"
    text: str
    annotations: Annotations | None = None
    meta: dict[str, Any] | None = None


class ImageContent(Wire):
    """An image block; ``data`` is base64. ``Image`` makes one from bytes or a file."""

    type: ClassVar[str] = "image"
    data: str
    mime_type: str
    annotations: Annotations | None = None
    meta: dict[str, Any] | None = None


class AudioContent(Wire):
    """A sound block; ``data`` is base64. ``Audio`` makes one from bytes or a file."""

    type: ClassVar[str] = "audio"
    data: str
    mime_type: str
    annotations: Annotations | None = None
    meta: dict[str, Any] | None = None


class ResourceLink(Wire):
    """A block that points to a resource; ``size`` in bytes."""

    type: ClassVar[str] = "resource_link"
    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    annotations: Annotations | None = None
    icons: list[Icon] | None = None
    meta: dict[str, Any] | None = None


class TextResourceContents(Wire):
    """What a resource holds, as text."""

    uri: str
    text: str
    mime_type: str | None = None
    meta: dict[str, Any] | None = None


class BlobResourceContents(Wire):
    """What a resource holds, as bytes; ``blob`` is base64."""

    uri: str
    blob: str
    mime_type: str | None = None
    meta: dict[str, Any] | None = None

    @classmethod
    def of(cls, uri: str, data: bytes, mime_type: str | None = None) -> BlobResourceContents:
        """The contents for these bytes."""
        return cls(uri, base64.b64encode(data).decode(), mime_type)


ResourceContents: TypeAlias = TextResourceContents | BlobResourceContents


class EmbeddedResource(Wire):
    """A block that carries a resource with it."""

    type: ClassVar[str] = "resource"
    resource: ResourceContents
    annotations: Annotations | None = None
    meta: dict[str, Any] | None = None


ContentBlock: TypeAlias = TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource | UnknownContent


class ToolUseContent(Wire):
    """A model asks for a tool (sampling, from 2025-11-25). ``input`` holds the arguments."""

    type: ClassVar[str] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]
    meta: dict[str, Any] | None = None


class ToolResultContent(Wire):
    """What the tool answered to the ``ToolUseContent`` with the id ``tool_use_id`` (sampling, from 2025-11-25)."""

    type: ClassVar[str] = "tool_result"
    tool_use_id: str
    content: list[ContentBlock] = msgspec.field(default_factory=list)
    structured_content: Any = UNSET
    is_error: bool = False
    meta: dict[str, Any] | None = None


SamplingContent: TypeAlias = (
    TextContent | ImageContent | AudioContent | ToolUseContent | ToolResultContent | UnknownContent
)


class Image(msgspec.Struct):
    """An image for a handler to return: ``Image(data, format="png")`` or ``Image(path="plot.png")``.

    The type is ``mime_type``, else ``image/<format>``, else what the file's name says, else ``image/png``.
    """

    data: bytes | None = None
    format: str | None = None
    mime_type: str | None = None
    path: str | os.PathLike[str] | None = None
    annotations: Annotations | None = None

    def to_content(self) -> ImageContent:
        """The block; reads the file. Raises ``UsageError`` unless given either data or path, and ``OSError``."""
        data, mime_type = _load(self, "image", "image/png")
        return ImageContent(data, mime_type, self.annotations)

    def __wire__(self) -> dict[str, Any]:
        return to_wire(self.to_content())


class Audio(msgspec.Struct):
    """A sound for a handler to return: ``Audio(data, format="wav")`` or ``Audio(path="bell.mp3")``. See ``Image``."""

    data: bytes | None = None
    format: str | None = None
    mime_type: str | None = None
    path: str | os.PathLike[str] | None = None
    annotations: Annotations | None = None

    def to_content(self) -> AudioContent:
        """The block; reads the file. Raises ``UsageError`` unless given either data or path, and ``OSError``."""
        data, mime_type = _load(self, "audio", "audio/wav")
        return AudioContent(data, mime_type, self.annotations)

    def __wire__(self) -> dict[str, Any]:
        return to_wire(self.to_content())


_SUBTYPES = {"jpg": "jpeg", "svg": "svg+xml", "mp3": "mpeg", "tif": "tiff"}


def _load(media: Image | Audio, kind: str, fallback: str) -> tuple[str, str]:
    if (media.data is None) == (media.path is None):
        raise UsageError(f"{type(media).__name__} takes either data or path")
    mime_type = media.mime_type
    if mime_type is None and media.format is not None:
        name = media.format.lower().lstrip(".")
        mime_type = f"{kind}/{_SUBTYPES.get(name, name)}"
    if media.path is not None:
        with open(media.path, "rb") as file:
            data = file.read()
        if mime_type is None:
            import mimetypes  # reads system tables: only where it is needed

            mime_type = mimetypes.guess_type(str(media.path))[0]
    else:
        data = media.data or b""
    return base64.b64encode(data).decode(), mime_type or fallback
