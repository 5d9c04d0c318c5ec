"""The shapes of values with parts: arrays, tuples, maps, objects, and references to a type inside itself.

Here live their builders; unions are built in ``unions.py``. The builders know nothing of type hints: what a class has
for members, and how it is made of them, they are told. The rule: a part that does not fit is reported with the step
that leads to it, and a member whose name the peer chose is a step without a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mcpcore.server.scalars import ALL_KINDS, NO_BOUNDS, size_bounds
from mcpcore.server.schema import SIZE_BOUNDS, Bounds, Definitions, Mismatch, Schema, Shape, describe

__all__ = ["Member", "Recursion", "array", "mapping", "object_", "tuple_"]

MISSING: Any = object()
MAX_MEMBERS_NAMED = 50
"""Member names that an error lists."""


def array(item: Shape, make: Callable[[list[Any]], Any], bounds: Bounds = NO_BOUNDS, unique: bool = False) -> Shape:
    """A list, or what ``make`` makes of one. ``unique`` refuses equal items (by JSON's equality)."""
    members, words = size_bounds(bounds, "Items", "item")
    expected = ", ".join(["array", *words, *(["without duplicates"] if unique else [])])
    decode_items = _items_decoder(item)

    def decode(value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise Mismatch(expected, "type")
        _check_size(len(value), bounds, expected, "Items")
        items = decode_items(value)
        result = items if make is list else make(items)
        if unique and (make is list or len(result) < len(items)) and _has_duplicates(value):
            raise Mismatch(expected, "uniqueItems")
        return result

    def emit(definitions: Definitions) -> Schema:
        unique_items = {"uniqueItems": True} if unique else {}
        return {"type": "array", "items": describe(item, definitions), **unique_items, **members}

    return Shape(
        kinds=frozenset({"array"}),
        expected=expected,
        decode=decode,
        emit=emit,
        fast="type({v}) is list" if item.fast == "True" and make is list and not members else None,
        native=make is list,
        children=lambda: (item,),
        hashable=make in (tuple, frozenset) and item.hashable,
        bounds=SIZE_BOUNDS,
        restrict=lambda more: array(item, make, bounds.merged(more), unique),
    )


def _items_decoder(item: Shape) -> Callable[[Sequence[Any]], list[Any]]:
    decode = item.decode

    def decode_items(value: Sequence[Any]) -> list[Any]:
        result: list[Any] = []
        try:
            for one in value:
                result.append(decode(one))  # noqa: PERF401 - its length is the index of the item that fails
        except Mismatch as mismatch:
            raise mismatch.at(len(result)) from None
        return result

    return decode_items


def _check_size(size: int, bounds: Bounds, expected: str, noun: str) -> None:
    if bounds.min_length is not None and size < bounds.min_length:
        raise Mismatch(expected, "min" + noun)
    if bounds.max_length is not None and size > bounds.max_length:
        raise Mismatch(expected, "max" + noun)


def _has_duplicates(value: Sequence[Any]) -> bool:
    return len({_identity(one) for one in value}) < len(value)


def _identity(value: Any) -> Any:
    """Something hashable that is equal for JSON values which JSON Schema calls equal: 1 is 1.0, but true is not 1."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, dict):
        return frozenset((key, _identity(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(_identity(item) for item in value)
    return value


def tuple_(items: Sequence[Shape], make: Callable[[list[Any]], Any], *, required: int, native: bool = True) -> Shape:
    """An array with a shape for each place; those after the first ``required`` may be missing."""
    most = len(items)
    size = f"{most}" if required == most else f"{required} to {most}"
    expected = f"array of {size} item{'' if most == 1 else 's'}"
    decoders = [item.decode for item in items]

    def decode(value: Any) -> Any:
        if type(value) is not list and type(value) is not tuple:
            raise Mismatch(expected, "type")
        if not required <= len(value) <= most:
            raise Mismatch(expected, "minItems" if len(value) < required else "maxItems")
        result: list[Any] = []
        try:
            for decode_item, one in zip(decoders, value, strict=False):
                result.append(decode_item(one))
        except Mismatch as mismatch:
            raise mismatch.at(len(result)) from None
        return make(result)

    def emit(definitions: Definitions) -> Schema:
        schema: Schema = {"type": "array"}
        if items:
            schema["prefixItems"] = [describe(item, definitions) for item in items]
        return {**schema, "minItems": required, "maxItems": most}

    return Shape(
        kinds=frozenset({"array"}),
        expected=expected,
        decode=decode,
        emit=emit,
        native=native,
        children=lambda: tuple(items),
        hashable=all(item.hashable for item in items),
        fixed=True,
    )


def mapping(key: Shape, value: Shape, bounds: Bounds = NO_BOUNDS) -> Shape:
    """A dict. Keys are JSON strings that ``key`` decodes."""
    members, words = size_bounds(bounds, "Properties", "member")
    expected = ", ".join(["object", *words])
    plain_keys = key.fast == "type({v}) is str"
    decode_key, decode_value = key.decode, value.decode

    def decode(given: Any) -> dict[Any, Any]:
        if type(given) is not dict:
            raise Mismatch(expected, "type")
        _check_size(len(given), bounds, expected, "Properties")
        result: dict[Any, Any] = {}
        for name, one in given.items():
            try:
                decoded = decode_key(name)
            except Mismatch as mismatch:
                raise Mismatch(f"{expected}, each member's name: {mismatch.expected}", "propertyNames") from None
            try:
                result[decoded] = decode_value(one)
            except Mismatch as mismatch:
                raise mismatch.at(None) from None
        return result

    def emit(definitions: Definitions) -> Schema:
        schema: Schema = {"type": "object"}
        if not plain_keys:
            schema["propertyNames"] = describe(key, definitions)
        values = True if value.fast == "True" and not value.notes else describe(value, definitions)
        return {**schema, "additionalProperties": values, **members}

    return Shape(
        kinds=frozenset({"object"}),
        expected=expected,
        decode=decode,
        emit=emit,
        fast="type({v}) is dict" if plain_keys and value.fast == "True" and not members else None,
        native=plain_keys,
        children=lambda: (key, value),
        hashable=False,
        bounds=SIZE_BOUNDS,
        restrict=lambda more: mapping(key, value, bounds.merged(more)),
    )


class Member(msgspec.Struct, frozen=True):
    """One member of an object: ``wire`` is its name in JSON, ``name`` the one that the class knows it by."""

    name: str
    wire: str
    shape: Shape
    required: bool


class Recursion(msgspec.Struct):
    """Stands for a type while its shape is being built, and knows whether the type occurred inside itself."""

    name: str
    kinds: frozenset[str] = frozenset(ALL_KINDS)
    shape: Shape | None = None
    entered: bool = False

    def whole(self) -> Shape:
        """The finished shape; references are used only after that."""
        assert self.shape is not None, f"{self.name} is used before it is complete"
        return self.shape

    def reference(self) -> Shape:
        """A shape that does what the finished one does."""
        self.entered = True
        return Shape(
            kinds=self.kinds,
            expected="object" if self.kinds == {"object"} else self.name,
            decode=lambda value: self.whole().decode(value),
            emit=lambda definitions: self.whole().emit(definitions),
            native=True,
            children=lambda: (self.whole(),),
            hashable=False,
        )

    def defined(self) -> Shape:
        """The finished shape of an alias, which is written under its name if it occurs inside itself."""
        shape = self.whole()
        if not self.entered:
            return shape

        def emit(definitions: Definitions) -> Schema:
            return definitions.reference(self, self.name, lambda: shape.emit(definitions))

        return msgspec.structs.replace(shape, emit=emit)


def object_(
    members: Sequence[Member],
    make: Callable[[dict[str, Any]], Any],
    recursion: Recursion,
    *,
    closed: bool = False,
    tag: tuple[str, Any] | None = None,
    native: bool = True,
    hashable: bool = False,
) -> Shape:
    """An object with known members. Others are dropped, or refused where it is ``closed``.

    ``make`` gets the decoded members by ``name``; what it refuses with ValueError or TypeError is a mismatch. ``tag``
    is a required member with one possible value, which tells the class from others.
    """
    names = frozenset(member.wire for member in members) | ({tag[0]} if tag else frozenset())
    table = [(member.name, member.wire, member.shape, member.required) for member in members]

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch("object", "type")
        if tag is not None:
            _check_tag(value, tag)
        values: dict[str, Any] = {}
        for name, wire, shape, required in table:
            given = value.get(wire, MISSING)
            if given is MISSING:
                if required:
                    raise Mismatch(shape.expected, "required", "Missing").at(wire)
                continue
            try:
                values[name] = shape.decode(given)
            except Mismatch as mismatch:
                raise mismatch.at(wire) from None
        if closed and not names.issuperset(value):
            raise Mismatch(f"only the members {listed(names)}", "additionalProperties", "Unknown")
        try:
            return make(values)
        except (ValueError, TypeError):  # its text may well hold the value
            raise Mismatch(f"object that {recursion.name} accepts", "not") from None

    def body(definitions: Definitions) -> Schema:
        properties = {member.wire: describe(member.shape, definitions) for member in members}
        required = [member.wire for member in members if member.required]
        if tag is not None:
            properties = {tag[0]: {"type": _tag_type(tag[1]), "enum": [tag[1]]}, **properties}
            required = [tag[0], *required]
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return {**schema, "additionalProperties": False} if closed else schema

    def emit(definitions: Definitions) -> Schema:
        if recursion.entered or not definitions.inline:
            return definitions.reference(recursion, recursion.name, lambda: body(definitions))
        return body(definitions)

    return Shape(
        kinds=frozenset({"object"}),
        expected="object",
        decode=decode,
        emit=emit,
        native=native,
        children=lambda: tuple(member.shape for member in members),
        hashable=hashable,
        members=names,
        tag=tag,
    )


def _tag_type(tag: Any) -> str:
    return "string" if isinstance(tag, str) else "integer"


def _check_tag(value: Mapping[str, Any], tag: tuple[str, Any]) -> None:
    name, expected = tag
    given = value.get(name, MISSING)
    if given is MISSING:
        raise Mismatch(repr(expected), "required", "Missing").at(name)
    if type(given) is bool or given != expected:
        raise Mismatch(repr(expected), "enum").at(name)


def listed(names: frozenset[str] | Sequence[str]) -> str:
    """Names that belong to us, for an error."""
    ordered = sorted(names) if isinstance(names, frozenset) else list(names)
    more = f" and {len(ordered) - MAX_MEMBERS_NAMED} more" if len(ordered) > MAX_MEMBERS_NAMED else ""
    return ", ".join(ordered[:MAX_MEMBERS_NAMED]) + more or "none"
