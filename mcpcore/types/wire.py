"""How a typed object meets its JSON object: ``from_wire`` and ``to_wire``, compiled once per type from its annotations.

The types themselves stand in the other files of this package; they only declare members. The rule all of them share:
a struct that came off the wire keeps the object it was read from (``raw``). What it does not know is written back, an
unmodified one is forwarded as it came, and reading is liberal (``null`` for an optional member is absent, ``null`` for
a list is empty, ``5.0`` is an integer) while writing is strict (the declared JSON type or a ``UsageError``).

``raw`` shares its objects with the decoded message, and ``to_wire`` may return it: treat both as read-only.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from mcpcore.errors import InvalidResult, UsageError

__all__ = ["UNSET", "UnknownContent", "Wire", "from_wire", "to_wire"]

UNSET: Any = msgspec.UNSET
"""The value of a member that is absent where ``null`` would mean something else (``structured_content``)."""

_Read = Callable[[Any], Any]
_Write = Callable[[Any], Any]
T = TypeVar("T")


def _wire_name(attribute: str) -> str:
    if attribute == "meta":
        return "_meta"
    head, *rest = attribute.split("_")
    return head + "".join(word.capitalize() for word in rest)


class Wire(msgspec.Struct, kw_only=True, eq=False, rename=_wire_name):
    """A struct with a JSON object behind it. Equality and ``repr`` look at the members, not at ``raw``."""

    raw: dict[str, Any] | None = None
    """The object this was read from, or ``None`` for one made here. Not for writing."""

    PYTHON_ONLY: ClassVar[frozenset[str]] = frozenset()
    """Attributes that never travel."""
    ALWAYS: ClassVar[frozenset[str]] = frozenset()
    """Attributes that travel even while they have their default."""
    ABSENT_IF: ClassVar[Mapping[str, str]] = {}
    """Required members that known peers leave out when the other one is present."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, n) == getattr(other, n) for n in self.__struct_fields__ if n != "raw")

    def __repr__(self) -> str:
        shown = []
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            plain = value is field.default or (field.default is msgspec.NODEFAULT and value == [])
            if field.name != "raw" and not plain:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class UnknownContent(msgspec.Struct):
    """A content block of a type that this library does not know. It travels as it came."""

    type: str
    raw: dict[str, Any]

    def __wire__(self) -> dict[str, Any]:
        return self.raw


class _Mismatch(Exception):
    """What was expected, and where; the path grows while the exception climbs."""

    def __init__(self, expected: str, *path: str | int) -> None:
        self.expected = expected
        self.path = list(path)

    def where(self) -> str:
        text = ""
        for step in reversed(self.path):
            text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
        return text


class _Codec(msgspec.Struct, frozen=True):
    read: _Read
    write: _Write
    tag: str | None
    """The constant ``type`` member of content blocks and references."""
    required: frozenset[str]
    """Wire names without which an object is not of this type."""


_CODECS: dict[type, _Codec] = {}


def from_wire(cls: type[T], obj: Any) -> T:
    """Read a decoded JSON object as ``cls``.

    Raises ``InvalidResult``, which names type, path and expectation, never a value.
    """
    codec = _CODECS.get(cls) or _compile(cls)
    try:
        if codec.tag is not None and isinstance(obj, dict) and obj.get("type") != codec.tag:
            raise _Mismatch(f'"{codec.tag}"', "type")
        result: T = codec.read(obj)
    except _Mismatch as mismatch:
        where = mismatch.where()
        raise InvalidResult(f"{cls.__name__}: {where or 'it'} must be {mismatch.expected}") from None
    return result


def to_wire(value: Any) -> dict[str, Any]:
    """The JSON object of a struct of this package; absent members are left out, unknown ones of ``raw`` written back.

    Raises ``UsageError`` when a member does not have its declared JSON type.
    """
    try:
        return _write_struct(value)
    except _Mismatch as mismatch:
        where = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in reversed(mismatch.path))
        raise UsageError(f"{type(value).__name__}{where} must be {mismatch.expected}") from None


def _write_struct(value: Any) -> dict[str, Any]:
    cls = type(value)
    codec = _CODECS.get(cls)
    if codec is None:
        if not isinstance(value, Wire):
            as_object = getattr(value, "__wire__", None)
            if as_object is None:
                raise _Mismatch(f"an object of mcpcore.types, not {cls.__name__}")
            result: dict[str, Any] = as_object()
            return result
        codec = _compile(cls)
    result = codec.write(value)
    return result


# --- one type -------------------------------------------------------------------------------------------------------


def _compile(cls: type) -> _Codec:
    tag = getattr(cls, "type", None)
    tag = tag if isinstance(tag, str) else None
    fields = [f for f in msgspec.structs.fields(cls) if f.name != "raw" and f.name not in cls.PYTHON_ONLY]  # type: ignore[attr-defined]
    # A default factory is a convenience of construction: the protocol requires the member.
    required = {f.encode_name: f.name for f in fields if f.default is msgspec.NODEFAULT}
    codec = _Codec(_reader(cls, fields, required), _writer(cls, fields, tag), tag, frozenset(required))
    _CODECS[cls] = codec
    return codec


def _reader(cls: Any, fields: list[msgspec.structs.FieldInfo], required: dict[str, str]) -> _Read:
    members: dict[str, tuple[str, _Read, bool]] = {
        f.encode_name: (f.name, _read_as(f.type), f.default is not msgspec.NODEFAULT and f.default is not UNSET)
        for f in fields
    }
    needed = frozenset(required.values())
    absent_if: Mapping[str, str] = cls.ABSENT_IF

    def read(obj: Any) -> Any:
        if not isinstance(obj, dict):
            raise _Mismatch("an object")
        values: dict[str, Any] = {"raw": obj}
        key = ""
        try:
            for key, value in obj.items():
                member = members.get(key)
                if member is None:
                    continue
                attribute, read_member, null_is_absent = member
                if value is None and null_is_absent:
                    continue
                values[attribute] = read_member(value)
        except _Mismatch as mismatch:
            mismatch.path.append(key)
            raise
        if not needed <= values.keys():
            for wire, attribute in required.items():
                if attribute not in values and absent_if.get(wire) not in obj:
                    raise _Mismatch("present", wire)
        return cls(**values)

    return read


def _writer(cls: Any, fields: list[msgspec.structs.FieldInfo], tag: str | None) -> _Write:
    entries = tuple(
        (f.name, f.encode_name, msgspec.NODEFAULT if f.name in cls.ALWAYS else f.default, _write_as(f.type))
        for f in fields
    )
    defaults = {wire: default for _, wire, default, _ in entries}
    constants = {} if tag is None else {"type": tag}

    def write(value: Any) -> dict[str, Any]:
        out: dict[str, Any] = constants.copy()
        wire = ""
        try:
            for attribute, wire, default, write_member in entries:
                member = getattr(value, attribute)
                if member is not default:
                    out[wire] = write_member(member)
        except _Mismatch as mismatch:
            mismatch.path.append(wire)
            raise
        raw = value.raw
        return out if raw is None else _merge(out, raw, defaults)

    return write


def _merge(out: dict[str, Any], raw: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """``out`` with what ``raw`` holds besides, in the order of ``raw``; ``raw`` itself where nothing was changed."""
    merged: dict[str, Any] = {}
    unchanged = True
    for key, value in raw.items():
        if key in out:
            new = out.pop(key)
            unchanged = unchanged and (new is value or new == value)
            merged[key] = new
        elif key not in defaults:
            merged[key] = value
        elif defaults[key] is not UNSET and (value is None or value == defaults[key]):
            merged[key] = value  # spelled out by the peer, with the meaning of being absent
        else:
            unchanged = False
    if out:
        merged.update(out)
        return merged
    return raw if unchanged else merged


# --- one member -----------------------------------------------------------------------------------------------------


def _read_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise _Mismatch("a string")


def _read_bool(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise _Mismatch("a boolean")


def _read_int(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _Mismatch("an integer")


def _read_number(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise _Mismatch("a number")


def _read_object(value: Any) -> Any:
    if isinstance(value, dict):
        return value
    raise _Mismatch("an object")


def _read_any(value: Any) -> Any:
    return value


_SCALARS: dict[Any, _Read] = {
    str: _read_text,
    bool: _read_bool,
    int: _read_int,
    float: _read_number,
    dict: _read_object,
    Any: _read_any,
}


def _options(annotation: Any) -> list[Any]:
    """The alternatives of an annotation without ``None``; enumerations are open, so a Literal is a string."""
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        return list(dict.fromkeys(option for arg in typing.get_args(annotation) for option in _options(arg)))
    if origin is typing.Literal:
        return [str]
    return [] if annotation is type(None) else [annotation]


def _read_as(annotation: Any) -> _Read:
    options = _options(annotation)
    lists = [o for o in options if typing.get_origin(o) is list]
    others = [o for o in options if typing.get_origin(o) is not list]
    if not lists:
        return _read_one(others)
    read_list = _read_list(_read_as(typing.get_args(lists[0])[0]))
    if not others:
        return read_list
    read_one = _read_one(others)
    return lambda value: read_list(value) if isinstance(value, list) else read_one(value)


def _read_list(read: _Read) -> _Read:
    def read_list(value: Any) -> Any:
        if value is None:  # how Go writes an empty list
            return []
        if not isinstance(value, list):
            raise _Mismatch("an array")
        try:
            return [read(item) for item in value]
        except _Mismatch as mismatch:
            mismatch.path.append(_first_failure(read, value))
            raise

    return read_list


def _first_failure(check: Callable[[Any], Any], items: Any) -> int:
    for index, item in enumerate(items):
        try:
            check(item)
        except _Mismatch:
            return index
    return 0


def _read_one(options: list[Any]) -> _Read:
    if len(options) == 1:
        option = typing.get_origin(options[0]) or options[0]
        return _SCALARS.get(option) or (_CODECS.get(option) or _compile(option)).read
    codecs = [_CODECS.get(o) or _compile(o) for o in options if o is not UnknownContent]
    by_tag = {codec.tag: codec.read for codec in codecs if codec.tag is not None}
    return _read_tagged(by_tag) if by_tag else _read_by_members(codecs)


def _read_tagged(by_tag: dict[str, _Read]) -> _Read:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch("an object")
        tag = value.get("type")
        if not isinstance(tag, str):
            raise _Mismatch("a string", "type")
        known = by_tag.get(tag)
        return UnknownContent(tag, value) if known is None else known(value)

    return read


def _read_by_members(codecs: list[_Codec]) -> _Read:
    expected = "an object with " + ", or with ".join(" and ".join(sorted(codec.required)) for codec in codecs)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch("an object")
        for codec in codecs:
            if all(value.get(name) is not None for name in codec.required):
                return codec.read(value)
        raise _Mismatch(expected)

    return read


def _write_as(annotation: Any) -> _Write:
    options = _options(annotation)
    lists = [o for o in options if typing.get_origin(o) is list]
    others = [o for o in options if typing.get_origin(o) is not list]
    if not lists:
        return _write_one(others)
    write_list = _write_list(_write_as(typing.get_args(lists[0])[0]))
    if not others:
        return write_list
    write_one = _write_one(others)
    return lambda value: write_list(value) if isinstance(value, (list, tuple)) else write_one(value)


def _write_list(write: _Write) -> _Write:
    def write_list(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _Mismatch(f"a list, not {type(value).__name__}")
        try:
            return [write(item) for item in value]
        except _Mismatch as mismatch:
            mismatch.path.append(_first_failure(write, value))
            raise

    return write_list


def _write_one(options: list[Any]) -> _Write:
    if len(options) == 1:
        check = _SCALARS.get(typing.get_origin(options[0]) or options[0])
        if check is not None:
            return check
    allowed = tuple(options)
    names = " or ".join(option.__name__ for option in allowed)

    def write(value: Any) -> Any:
        if not isinstance(value, allowed) and not hasattr(value, "__wire__"):
            raise _Mismatch(f"{names}, not {type(value).__name__}")
        return _write_struct(value)

    return write
