"""A type becomes the flat form that elicitation allows: strings, numbers, booleans, choices, lists of choices.

What a form cannot hold (nested objects, free lists) is refused with the member's name.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation#requested-schema
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from msgspec import inspect

from mcpcore.errors import UsageError

__all__ = ["form_schema"]

_FORMATS = {inspect.DateType: "date", inspect.DateTimeType: "date-time"}


def form_schema(type_: Any) -> dict[str, Any]:
    """The ``requestedSchema`` of a dataclass, TypedDict, NamedTuple or msgspec Struct. Raises ``UsageError``."""
    try:
        info = inspect.type_info(type_)
    except TypeError as error:
        raise UsageError(f"ctx.elicit: no form can be made of {type_!r}: {error}") from None
    fields = getattr(info, "fields", None)
    if fields is None:
        raise UsageError(f"ctx.elicit: give a JSON Schema object or a dataclass, TypedDict or Struct, not {type_!r}")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in fields:
        member = _member(field.type, f"{getattr(type_, '__name__', 'form')}.{field.name}")
        if field.default not in (msgspec.NODEFAULT, None):
            member["default"] = field.default.value if isinstance(field.default, enum.Enum) else field.default
        properties[field.encode_name] = member
        if field.required:
            required.append(field.encode_name)
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _member(info: inspect.Type, path: str) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if isinstance(info, inspect.Metadata):
        extra = dict(info.extra_json_schema or {})
        info = info.type
    if isinstance(info, inspect.UnionType):
        parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        if len(parts) != 1:
            raise UsageError(f"ctx.elicit: {path} mixes several types; a form member has one")
        return {**_member(parts[0], path), **extra}
    return {**_primitive(info, path), **extra}


def _primitive(info: inspect.Type, path: str) -> dict[str, Any]:
    if isinstance(info, inspect.BoolType):
        return {"type": "boolean"}
    if isinstance(info, inspect.IntType | inspect.FloatType):
        kind = "integer" if isinstance(info, inspect.IntType) else "number"
        bounds = {"minimum": info.ge, "maximum": info.le}
        return {"type": kind, **{name: value for name, value in bounds.items() if value is not None}}
    if isinstance(info, inspect.StrType):
        bounds = {"minLength": info.min_length, "maxLength": info.max_length}
        return {"type": "string", **{name: value for name, value in bounds.items() if value is not None}}
    for kind_, format in _FORMATS.items():
        if isinstance(info, kind_):
            return {"type": "string", "format": format}
    choices = _choices(info)
    if choices is not None:
        return {"type": "string", "enum": choices}
    if isinstance(info, inspect.ListType | inspect.SetType):
        choices = _choices(info.item_type)
        if choices is not None:
            bounds = {"minItems": info.min_length, "maxItems": info.max_length}
            limits = {name: value for name, value in bounds.items() if value is not None}
            return {"type": "array", "items": {"type": "string", "enum": choices}, **limits}
    raise UsageError(f"ctx.elicit: {path} does not fit into a form; use a string, number, boolean or choice")


def _choices(info: inspect.Type) -> list[str] | None:
    if isinstance(info, inspect.LiteralType):
        values: list[Any] = list(info.values)
    elif isinstance(info, inspect.EnumType):
        values = [member.value for member in info.cls]
    else:
        return None
    return values if all(isinstance(value, str) for value in values) else None
