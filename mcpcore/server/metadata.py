"""What ``Annotated[...]`` says beside the type: bounds, descriptions, examples, and the header of a parameter.

Metadata by ``msgspec.Meta``, annotated_types and pydantic is read here. The latter two are never imported: their
objects are known by the module of their class and by the names of their attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.schema import BOUND_NAMES, Bounds, Schema
from mcpcore.types import Header

__all__ = ["Header", "Metadata", "default_of", "is_field_info", "read_metadata"]


class Metadata(msgspec.Struct):
    """What the metadata of one ``Annotated`` says.

    ``borrowed``: it has bounds that msgspec does not see; ``foreign``: something that only pydantic can apply.
    """

    bounds: Bounds = msgspec.field(default_factory=Bounds)
    notes: Schema = msgspec.field(default_factory=dict)
    header: Header | None = None
    borrowed: bool = False
    foreign: bool = False


NOTES = ("title", "description", "examples")


def read_metadata(metadata: Iterable[Any]) -> Metadata:
    """Later metadata wins over earlier. What nobody here knows is left alone, as ``typing`` asks."""
    result = Metadata()
    for item in metadata:
        origin = type(item).__module__.partition(".")[0]
        if isinstance(item, str):
            result.notes["description"] = item
        elif isinstance(item, Header):
            result.header = item
        elif isinstance(item, type) and issubclass(item, Header):
            raise UsageError('Header needs the name of the header: Annotated[str, Header("Region")]')
        elif is_field_info(item):
            if item.alias is not None:
                raise UsageError(f"Field(alias={item.alias!r}) renames nothing here; rename what it stands for")
            _read_attributes(item, result)
            inner = read_metadata(item.metadata)
            result.bounds = result.bounds.merged(inner.bounds)
            result.foreign = result.foreign or inner.foreign or item.discriminator is not None
            result.borrowed = True
        elif isinstance(item, msgspec.Meta) or origin in ("annotated_types", "pydantic"):
            known = _read_attributes(item, result)
            result.foreign = result.foreign or not known
            result.borrowed = result.borrowed or not isinstance(item, msgspec.Meta)
        elif isinstance(documentation := getattr(item, "documentation", None), str):  # typing_extensions.Doc
            result.notes["description"] = documentation
    return result


def _read_attributes(item: Any, result: Metadata) -> bool:
    """Take over the bounds and notes of one object; whether it has such attributes at all."""
    named = {name: getattr(item, name) for name in BOUND_NAMES if getattr(item, name, None) is not None}
    if isinstance(named.get("pattern"), re.Pattern):
        named["pattern"] = named["pattern"].pattern
    result.bounds = result.bounds.merged(Bounds(**named))
    notes = {name: getattr(item, name) for name in NOTES if getattr(item, name, None) is not None}
    result.notes.update(notes)
    extra = getattr(item, "extra_json_schema", None) or getattr(item, "json_schema_extra", None)
    if isinstance(extra, dict):
        result.notes.update(extra)
    return any(hasattr(item, name) for name in BOUND_NAMES) and not _changes_values(item)


def _changes_values(item: Any) -> bool:
    """pydantic's ``StringConstraints(strip_whitespace=True)`` and its like."""
    names = ("strip_whitespace", "to_upper", "to_lower", "ascii_only", "strict")
    return any(getattr(item, name, None) for name in names)


def is_field_info(item: Any) -> bool:
    """Whether this is what pydantic's ``Field(...)`` returns."""
    return type(item).__name__ == "FieldInfo" and type(item).__module__.startswith("pydantic.")


def default_of(field_info: Any) -> tuple[bool, Any]:
    """Whether a pydantic ``Field(...)`` has a default, and which. One made by a factory is made once, here."""
    if field_info.default_factory is not None:
        return True, field_info.default_factory()
    if field_info.is_required():
        return False, None
    return True, field_info.default
