"""The shapes of classes: enumerations, dataclasses, msgspec Structs, TypedDicts and named tuples.

Here is read what a class has for members, in which JSON names, and how an instance is made of decoded members; the
hints of the members are given back to the reader (``hints.py``). In an output the instance is not made again: there a
decoder only checks.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NotRequired, Protocol, Required, get_args, get_origin, get_type_hints

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.containers import Member, Recursion, object_, tuple_
from mcpcore.server.docstrings import member_descriptions
from mcpcore.server.scalars import choice
from mcpcore.server.schema import Schema, Shape, with_notes

__all__ = ["Reading", "class_shape", "enumeration", "is_typed_dict", "json_default"]

MISSING: Any = object()


class Reading(Protocol):
    """What a class needs of the reader of hints."""

    names: Mapping[str, Any]
    output: bool

    def read(self, hint: Any) -> Shape: ...


def enumeration(cls: type[enum.Enum]) -> Shape:
    """An Enum, by value. Raises ``UsageError`` where values have no form in JSON."""
    members = list(cls)
    odd = [one.name for one in members if type(one.value) not in (str, int, float, bool, type(None))]
    if odd or not members:
        reason = f"the value of {odd[0]} is not a string, number, boolean or None" if odd else "it has no members"
        raise UsageError(f"{cls.__qualname__} cannot be described: {reason}")
    # Flags may be combined and _missing_ may take anything: msgspec would let in what the schema refuses.
    native = not issubclass(cls, enum.Flag) and cls._missing_.__func__ is enum.Enum._missing_.__func__  # type: ignore[attr-defined]
    return with_notes(choice([(one.value, one) for one in members], native), _class_notes(cls))


def is_typed_dict(hint: Any) -> bool:
    """Whether this is a TypedDict of ``typing`` or of ``typing_extensions``."""
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__required_keys__")


def class_shape(cls: Any, reading: Reading, recursion: Recursion) -> Shape | None:
    """The shape of a class whose members have hints; None for any other class."""
    build: Callable[[Any, Reading, Recursion, Mapping[str, Any]], Shape] | None = None
    if is_typed_dict(cls):
        build = _typed_dict
    elif isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields"):
        build = _named_tuple
    elif isinstance(cls, type) and issubclass(cls, msgspec.Struct):
        build = _struct
    elif dataclasses.is_dataclass(cls):
        build = _dataclass
    if build is None:
        return None
    return with_notes(build(cls, reading, recursion, _hints(cls, reading.names)), _class_notes(cls))


def _hints(cls: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return get_type_hints(cls, include_extras=True)
    except NameError:
        pass  # then it is local to a function
    parameters = {one.__name__: one for part in cls.__mro__ for one in getattr(part, "__type_params__", ())}
    try:
        return get_type_hints(cls, None, {**names, **parameters}, include_extras=True)
    except NameError as error:
        text = f"a hint in {cls.__qualname__} cannot be resolved: {error}; define it at module level"
        raise UsageError(text) from error


def _class_notes(cls: Any) -> Schema:
    """The docstring that somebody wrote for the class, without its list of members."""
    text = cls.__dict__.get("__doc__")
    if not text or text.startswith(f"{cls.__name__}(") or text == "An enumeration.":  # those that Python writes
        return {}
    summary = inspect.cleandoc(text).partition("\n\n")[0].replace("\n", " ").strip()
    return {"description": summary} if summary else {}


def _member_shape(cls: Any, name: str, hint: Any, default: Any, reading: Reading) -> Shape:
    shape = reading.read(hint)
    notes: Schema = {}
    description = member_descriptions(cls).get(name)
    if description and "description" not in shape.notes:
        notes["description"] = description
    found, value = json_default(default)
    if found:
        notes["default"] = value
    return with_notes(shape, notes)


def json_default(default: Any) -> tuple[bool, Any]:
    """Whether a default has a form in JSON, and which."""
    if default is MISSING or default is dataclasses.MISSING or default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return False, None
    try:
        value = msgspec.to_builtins(default, str_keys=True)
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        return False, None
    # The encoder writes null for these; a schema must not.
    return (False, None) if isinstance(value, float) and value - value != 0 else (True, value)


def _typed_dict(cls: Any, reading: Reading, recursion: Recursion, hints: Mapping[str, Any]) -> Shape:
    members = []
    for name, hint in hints.items():
        marker = _requirement(hint)
        required = name in cls.__required_keys__ if marker is None else marker is Required
        members.append(Member(name, name, _member_shape(cls, name, hint, MISSING, reading), required))
    return object_(members, lambda values: values, recursion)


def _requirement(hint: Any) -> Any:
    """``Required`` or ``NotRequired`` where the hint says so: as a string it escapes ``__required_keys__``."""
    origin = get_origin(hint)
    if origin is Required or origin is NotRequired:
        return origin
    wraps = origin is Annotated or getattr(origin, "__name__", getattr(origin, "_name", None)) == "ReadOnly"
    return _requirement(get_args(hint)[0]) if wraps else None


def _named_tuple(cls: Any, reading: Reading, recursion: Recursion, hints: Mapping[str, Any]) -> Shape:
    defaults = cls._field_defaults
    items = [
        _titled(_member_shape(cls, name, hints.get(name, Any), defaults.get(name, MISSING), reading), name)
        for name in cls._fields
    ]
    make: Callable[[list[Any]], Any] = tuple if reading.output else lambda values: cls(*values)
    return tuple_(items, make, required=len(items) - len(defaults))


def _titled(item: Shape, name: str) -> Shape:
    """A place in an array has no name in JSON; its title tells it."""
    return item if "title" in item.notes else with_notes(item, {"title": name})


def _dataclass(cls: Any, reading: Reading, recursion: Recursion, hints: Mapping[str, Any]) -> Shape:
    members = []
    if any(field._field_type is dataclasses._FIELD_INITVAR for field in cls.__dataclass_fields__.values()):  # type: ignore[attr-defined]
        raise UsageError(f"{cls.__qualname__} has an InitVar, which is no member; use another class at the edge")
    fields = [field for field in dataclasses.fields(cls) if field.init or reading.output]
    for field in fields:
        default = field.default
        required = default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and field.init
        if field.default_factory in (list, dict):
            default = field.default_factory()
        shape = _member_shape(cls, field.name, hints.get(field.name, Any), default if field.init else MISSING, reading)
        members.append(Member(field.name, field.name, shape, required))
    plain = len(fields) == len(cls.__dataclass_fields__)  # no ClassVar and no field(init=False)
    native = plain and not (reading.output and hasattr(cls, "__post_init__"))
    return object_(members, _maker(cls, reading), recursion, native=native, hashable=cls.__hash__ is not None)


def _maker(cls: Any, reading: Reading) -> Callable[[dict[str, Any]], Any]:
    return (lambda values: values) if reading.output else (lambda values: cls(**values))


def _struct(cls: Any, reading: Reading, recursion: Recursion, hints: Mapping[str, Any]) -> Shape:
    config = cls.__struct_config__
    members = []
    for field in msgspec.structs.fields(cls):
        default = field.default
        if field.default_factory in (list, dict):
            default = field.default_factory()
        shape = _member_shape(cls, field.name, hints.get(field.name, field.type), default, reading)
        members.append(Member(field.name, field.encode_name, shape, field.required))
    tag = None if config.tag is None else (config.tag_field, config.tag)
    hashable = cls.__hash__ is not None and (config.frozen or not config.eq)
    if config.array_like:
        return _array_like(cls, members, tag, reading)
    native = not (reading.output and hasattr(cls, "__post_init__"))
    return object_(
        members,
        _maker(cls, reading),
        recursion,
        closed=config.forbid_unknown_fields,
        tag=tag,
        native=native,
        hashable=hashable,
    )


def _array_like(cls: Any, members: list[Member], tag: tuple[str, Any] | None, reading: Reading) -> Shape:
    """A Struct that travels as an array: its tag, if it has one, and its members in order."""
    names = [member.name for member in members]
    items = [_titled(member.shape, member.name) for member in members]
    if tag is not None:
        items.insert(0, choice([(tag[1], tag[1])], native=True))

    def make(values: list[Any]) -> Any:
        given = values if tag is None else values[1:]
        return values if reading.output else cls(**dict(zip(names, given, strict=False)))

    required = sum(member.required for member in members) + (tag is not None)
    return tuple_(items, make, required=required, native=False)
