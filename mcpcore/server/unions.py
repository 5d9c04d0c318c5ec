"""The shape of a union: which member decodes a value is decided by the value's JSON type, then by what fits best.

Here lives ``union``. The rules, in this order: the members that admit the value's JSON type are asked, an exact type
before one that converts (3 goes to ``int`` before ``float``, 3.0 the other way round); a tag decides between tagged
objects; of several objects the one that knows most of the given members comes first; otherwise the order of the hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import msgspec

from mcpcore.server.scalars import null
from mcpcore.server.schema import Bounds, Definitions, Mismatch, Schema, Shape, describe, restrict

__all__ = ["optional", "union"]

# What a value's Python type asks for, best first.
KINDS: dict[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    type(None): ("null",),
    dict: ("object",),
    list: ("array",),
    tuple: ("array",),
}


def optional(shape: Shape) -> Shape:
    """The shape, or null."""
    return shape if "null" in shape.kinds else union([shape, null()])


def union(members: Sequence[Shape]) -> Shape:
    """Any of the ``members``."""
    several_tags = sum(member.tag is not None for member in members) > 1
    children = [msgspec.structs.replace(member, tag=None) if several_tags else member for member in members]
    expected = " or ".join(dict.fromkeys(member.expected for member in members))
    table = {type_: _candidates(members, kinds) for type_, kinds in KINDS.items()}

    def decode(value: Any) -> Any:
        candidates = table.get(type(value), ())
        if len(candidates) > 1 and type(value) is dict:
            candidates = _best_objects(candidates, value)
        if len(candidates) == 1:
            return _only(candidates[0], value, expected)
        best: Mismatch | None = None
        for candidate in candidates:
            try:
                return candidate.decode(value)
            except Mismatch as mismatch:
                best = best or mismatch
        if best is not None and type(value) is dict:
            raise best
        raise Mismatch(expected, "anyOf" if candidates else "type")

    def emit(definitions: Definitions) -> Schema:
        schemas: list[Schema] = []
        for member in members:
            schema = describe(member, definitions)
            if schema not in schemas:
                schemas.append(schema)
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    return Shape(
        kinds=frozenset().union(*(member.kinds for member in members)),
        expected=expected,
        decode=decode,
        emit=emit,
        fast=_fast(members),
        # msgspec 0.22 corrupts memory for the union of a fixed tuple and a bounded type, found by the next collection.
        native=_separable(members) and not any(member.fixed for member in members),
        children=lambda: children,
        hashable=all(member.hashable for member in members),
        bounds=frozenset().union(*(member.bounds for member in members)),
        restrict=lambda bounds: union([restrict(member, _applicable(member, bounds)) for member in members]),
        choices=tuple(value for member in members for value in member.choices),
    )


def _candidates(members: Sequence[Shape], kinds: Sequence[str]) -> tuple[Shape, ...]:
    found = [member for kind in kinds for member in members if kind in member.kinds]
    return tuple({id(member): member for member in found}.values())


def _only(candidate: Shape, value: Any, expected: str) -> Any:
    """The one member that may admit the value; what it says is more exact than what the union could say."""
    try:
        return candidate.decode(value)
    except Mismatch as mismatch:
        if mismatch.keyword == "type" and not mismatch.steps:
            raise Mismatch(expected, "type") from None
        raise


def _best_objects(candidates: tuple[Shape, ...], value: dict[str, Any]) -> tuple[Shape, ...]:
    fitting = [one for one in candidates if one.tag is None or value.get(one.tag[0]) == one.tag[1]]
    tags = {one.tag[0]: None for one in candidates if one.tag is not None}
    if not fitting and len(tags) == 1:
        known = ", ".join(repr(one.tag[1]) for one in candidates if one.tag is not None)
        raise Mismatch(f"one of {known}", "enum").at(next(iter(tags)))
    return tuple(sorted(fitting, key=lambda one: -len(one.members.intersection(value))))


def _fast(members: Sequence[Shape]) -> str | None:
    parts = [member.fast for member in members]
    if None in parts or "True" in parts:  # beside Any, another member may convert
        return None
    return "(" + " or ".join(f"({part})" for part in parts if part) + ")"


def _separable(members: Sequence[Shape]) -> bool:
    """Whether no value fits two of them, so that the order in which they are asked cannot matter."""
    return all(
        one.kinds.isdisjoint(other.kinds)
        or (one.tag is not None and other.tag is not None and one.tag[0] == other.tag[0] and one.tag != other.tag)
        for one, other in combinations(members, 2)
    )


def _applicable(member: Shape, bounds: Bounds) -> Bounds:
    return Bounds(**{name: value for name, value in bounds.named().items() if name in member.bounds})
