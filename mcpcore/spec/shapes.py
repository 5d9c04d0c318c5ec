"""A compact way to say what a JSON object must look like, and to check it. The tables that use it: ``methods.py``.

A check takes a value and returns ``None`` when it fits, else a fault: the path below the value and what is wrong there,
as in ``(".ref.name", "must be a string")``. It never repeats the value. Unknown members pass, and ``null`` for an
optional member counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mcpcore.spec.revisions import Revision

__all__ = [
    "Check",
    "Fault",
    "Member",
    "Shape",
    "Tagged",
    "array",
    "boolean",
    "integer",
    "mapping",
    "number",
    "one_of",
    "opt",
    "req",
    "text",
    "text_or_integer",
]

Fault = tuple[str, str]
Check = Callable[[Any], Fault | None]


def text(value: Any) -> Fault | None:
    return None if isinstance(value, str) else ("", "must be a string")


def boolean(value: Any) -> Fault | None:
    return None if value is True or value is False else ("", "must be a boolean")


def integer(value: Any) -> Fault | None:
    if isinstance(value, int) and value is not True and value is not False:
        return None
    return None if isinstance(value, float) and value.is_integer() else ("", "must be an integer")


def number(value: Any) -> Fault | None:
    if isinstance(value, (int, float)) and value is not True and value is not False:
        return None
    return "", "must be a number"


def text_or_integer(value: Any) -> Fault | None:
    """A request id or progress token. ``1.0`` is not one: ids are compared, and sent back as they came."""
    if isinstance(value, (str, int)) and value is not True and value is not False:
        return None
    return "", "must be a string or an integer"


def one_of(*allowed: str) -> Check:
    known = frozenset(allowed)
    expectation = "must be one of " + ", ".join(f'"{name}"' for name in allowed)

    def check(value: Any) -> Fault | None:
        return None if isinstance(value, str) and value in known else ("", expectation)

    return check


def array(item: Check | None = None) -> Check:
    def check(value: Any) -> Fault | None:
        if not isinstance(value, list):
            return "", "must be an array"
        if item is not None:
            for index, element in enumerate(value):
                fault = item(element)
                if fault is not None:
                    return f"[{index}]{fault[0]}", fault[1]
        return None

    return check


def mapping(item: Check | None = None) -> Check:
    """An object with any names. The fault does not repeat a name: the peer chose it."""

    def check(value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", "must be an object"
        if item is not None:
            for element in value.values():
                fault = item(element)
                if fault is not None:
                    return f".*{fault[0]}", fault[1]
        return None

    return check


class Member(msgspec.Struct, frozen=True):
    """One member of an object; ``check`` is ``None`` where any value will do."""

    name: str
    check: Check | None
    required: bool
    since: str = ""
    until: str = "9999"
    optional_in: str = ""

    def exists(self, revision: Revision) -> bool:
        return self.since <= revision.name <= self.until

    def is_required(self, revision: Revision) -> bool:
        return self.required and revision.name != self.optional_in


def req(
    name: str, check: Check | None = None, *, since: str = "", until: str = "9999", optional_in: str = ""
) -> Member:
    """A required member; ``since`` and ``until`` name the first and last revision that has it."""
    return Member(name, check, True, since, until, optional_in)


def opt(name: str, check: Check | None = None, *, since: str = "", until: str = "9999") -> Member:
    """An optional member."""
    return Member(name, check, False, since, until)


class Shape:
    """An object with these members. As it stands it knows the members of all revisions; ``at`` chooses one."""

    def __init__(self, *members: Member) -> None:
        self.members = members
        self._known = {m.name: (m.check, m.required) for m in members}
        self._required = sum(m.required for m in members)

    def at(self, revision: Revision) -> Shape:
        """The same shape with the members that ``revision`` knows; the shapes of its members stay as they are."""
        known = [m for m in self.members if m.exists(revision)]
        return Shape(*(Member(m.name, m.check, m.is_required(revision)) for m in known))

    def __call__(self, value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", "must be an object"
        missing = self._required
        known = self._known
        for name, member in value.items():
            if name not in known:
                continue
            check, required = known[name]
            missing -= required
            if check is not None and (member is not None or required):
                fault = check(member)
                if fault is not None:
                    return f".{name}{fault[0]}", fault[1]
        if missing:
            absent = next(m.name for m in self.members if m.required and m.name not in value)
            return f".{absent}", "is missing"
        return None


class Tagged:
    """An object whose string member ``tag`` chooses its shape; ``default`` is the choice where it is absent."""

    def __init__(self, tag: str, shapes: dict[str, Shape], default: str | None = None) -> None:
        self.tag = tag
        self.shapes = shapes
        self.default = default
        self._expectation = "must be " + " or ".join(f'"{name}"' for name in shapes)

    def at(self, revision: Revision) -> Tagged:
        return Tagged(self.tag, {tag: shape.at(revision) for tag, shape in self.shapes.items()}, self.default)

    def __call__(self, value: Any) -> Fault | None:
        if not isinstance(value, dict):
            return "", "must be an object"
        tag = value.get(self.tag)
        if tag is None:
            tag = self.default
        shape = self.shapes.get(tag) if isinstance(tag, str) else None
        return (f".{self.tag}", self._expectation) if shape is None else shape(value)
