"""A shape: what one type hint admits, as a JSON Schema and as a decoder that admits exactly the same values.

Here live the ``Shape`` itself, the bounds that may narrow one, the definitions of recursive types, and the exceptions
of a value that does not fit. Which hint gives which shape is decided in ``hints.py``; scalar shapes are built in
``scalars.py``, containers in ``containers.py``.

The rules that all shapes share:

- ``decode`` takes decoded JSON and returns the Python value, or raises ``Mismatch``. Schema and decoder agree: what the
  one admits, the other takes. As in JSON Schema 2020-12, 3.0 is an integer and true is not. ``format`` stands for a
  check that the schema cannot express; there the decoder also takes common variants (a date-time without an offset).
- No text of an error holds anything that the peer sent: neither its values nor the names of its members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import msgspec

from mcpcore.errors import McpError, UsageError

__all__ = [
    "ArgumentError",
    "Bounds",
    "Definitions",
    "Mismatch",
    "OutputError",
    "Schema",
    "SchemaError",
    "Shape",
    "describe",
    "document",
    "is_native",
    "restrict",
    "with_notes",
]

Schema = dict[str, Any]
Decoder = Callable[[Any], Any]

MAX_INLINED = 2_000
"""Subschemas in one document before shared types move to ``$defs``: inlining can double at each level."""

MAX_CHOICES_NAMED = 20
"""Values of an enumeration that an error lists; the schema has them all."""


class Mismatch(Exception):
    """A value that a shape does not admit. On its way up each container adds the step that leads to it (``at``)."""

    def __init__(self, expected: str, keyword: str, problem: str = "Invalid") -> None:
        super().__init__(expected)
        self.expected = expected
        self.keyword = keyword
        self.problem = problem
        self.steps: list[str | int | None] = []

    def at(self, step: str | int | None) -> Self:
        """Add an outer step: the name of a member, an index, or None for a member that the peer named."""
        self.steps.append(step)
        return self

    @property
    def path(self) -> str:
        """The place as a JSONPath: ``$.items[2].name``; ``.*`` is a member whose name came from the peer."""
        return "$" + "".join(_step(step) for step in reversed(self.steps))


def _step(step: str | int | None) -> str:
    if step is None:
        return ".*"
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{step!r}]"


class SchemaError(McpError):
    """A value that its schema does not admit. The text is one sentence and never holds the refused value.

    ``path`` is a JSONPath (``$.items[2].name``), ``expected`` says what belongs there (``integer, at most 10``) and
    ``keyword`` is the JSON Schema keyword that refused (``maximum``).
    """

    subject = "value"

    def __init__(self, expected: str, keyword: str, path: str = "$", problem: str = "Invalid") -> None:
        super().__init__(f"{problem} {self.subject} at {path}: expected {expected}.")
        self.expected = expected
        self.keyword = keyword
        self.path = path

    @classmethod
    def of(cls, mismatch: Mismatch) -> Self:
        """The same, as the caller gets to see it."""
        return cls(mismatch.expected, mismatch.keyword, mismatch.path, mismatch.problem)


class ArgumentError(SchemaError):
    """Arguments that the input schema does not admit."""

    subject = "argument"


class OutputError(SchemaError):
    """A result that the output schema does not admit."""

    subject = "result"


class Bounds(msgspec.Struct, frozen=True):
    """What narrows a shape, in the words of ``msgspec.Meta`` and ``annotated_types``. None is no bound."""

    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    tz: bool | None = None

    def named(self) -> dict[str, Any]:
        """The bounds that are set."""
        fields = ((name, getattr(self, name)) for name in BOUND_NAMES)
        return {name: value for name, value in fields if value is not None}

    def merged(self, other: Bounds) -> Bounds:
        """These bounds, with those of ``other`` where both say something."""
        return msgspec.structs.replace(self, **other.named())


BOUND_NAMES = Bounds.__struct_fields__
NUMBER_BOUNDS = frozenset({"ge", "gt", "le", "lt", "multiple_of"})
STRING_BOUNDS = frozenset({"min_length", "max_length", "pattern"})
SIZE_BOUNDS = frozenset({"min_length", "max_length"})


class Shape(msgspec.Struct, frozen=True):
    """What one type hint admits.

    ``kinds`` are the JSON types (number stands for a float; a shape with number takes integers too), ``expected`` says
    in words what is admitted, ``emit`` writes the schema. The rest is for speed and for readers: ``fast`` is a Python
    expression about ``{v}`` that is true only for values which ``decode`` returns unchanged; ``native`` says that
    msgspec, given the hint, takes no other values and makes the same of them, if that is so of the ``children`` too.
    ``fixed`` shapes are tuples with a shape for each place, ``foreign`` ones are pydantic's.
    """

    kinds: frozenset[str]
    expected: str
    decode: Decoder
    emit: Callable[[Definitions], Schema]
    fast: str | None = None
    native: bool = False
    children: Callable[[], Sequence[Shape]] = tuple
    hashable: bool = True
    bounds: frozenset[str] = frozenset()
    restrict: Callable[[Bounds], Shape] | None = None
    notes: Mapping[str, Any] = msgspec.field(default_factory=dict)
    members: frozenset[str] = frozenset()
    tag: tuple[str, Any] | None = None
    choices: tuple[Any, ...] = ()
    fixed: bool = False
    foreign: bool = False


def restrict(shape: Shape, bounds: Bounds) -> Shape:
    """The shape narrowed by ``bounds``. Raises ``UsageError`` when one of them means nothing for it."""
    named = bounds.named()
    if not named:
        return shape
    foreign = sorted(set(named) - shape.bounds)
    if foreign or shape.restrict is None:
        raise UsageError(f"{', '.join(foreign or named)} cannot bound {shape.expected}")
    if "pattern" in named:
        _check_pattern(named["pattern"])
    return with_notes(shape.restrict(bounds), shape.notes)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} is no regular expression: {error}") from error


def with_notes(shape: Shape, notes: Mapping[str, Any]) -> Shape:
    """The shape with further schema members that admit nothing and refuse nothing: description, examples, default."""
    return msgspec.structs.replace(shape, notes={**shape.notes, **notes}) if notes else shape


class Definitions:
    """The ``$defs`` of one document. Recursive types go there; every other type is written where it is used."""

    def __init__(self, inline: bool = True) -> None:
        self.inline = inline
        self.schemas: dict[str, Schema] = {}
        self._written = 0
        self._names: dict[int, str] = {}

    def count(self) -> None:
        """Called for every subschema that is written."""
        self._written += 1
        if self.inline and self._written > MAX_INLINED:
            raise _TooLarge

    def reference(self, key: object, name: str, body: Callable[[], Schema]) -> Schema:
        """A reference to the definition of ``key``, which ``body`` writes the first time. ``key`` must outlive this."""
        known = self._names.get(id(key))
        if known is None:
            known = self._names[id(key)] = self._free(re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "type")
            self.schemas[known] = {}
            self.schemas[known] = body()
        return {"$ref": f"#/$defs/{known}"}

    def _free(self, name: str) -> str:
        free, number = name, 2
        while free in self.schemas:
            free, number = f"{name}_{number}", number + 1
        return free


class _TooLarge(Exception):
    """Inlining everything writes more than ``MAX_INLINED`` subschemas."""


def describe(shape: Shape, definitions: Definitions) -> Schema:
    """The schema of a shape inside a document."""
    definitions.count()
    return {**shape.emit(definitions), **shape.notes}


def document(write: Callable[[Definitions], Schema]) -> Schema:
    """A whole document: what ``write`` gives, and the ``$defs`` it needs. A root that is a reference is written out."""
    definitions = Definitions()
    try:
        root = write(definitions)
    except _TooLarge:
        definitions = Definitions(inline=False)
        root = write(definitions)
    if "$ref" in root:
        name = root.pop("$ref").removeprefix("#/$defs/")
        root = {**definitions.schemas[name], **root}
        if not _refers(f"#/$defs/{name}", [root, definitions.schemas]):
            del definitions.schemas[name]
    if definitions.schemas:
        root["$defs"] = definitions.schemas
    return root


def _refers(target: str, value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == target or any(_refers(target, item) for item in value.values())
    return isinstance(value, list) and any(_refers(target, item) for item in value)


def reaches(shape: Shape, found: Callable[[Shape], bool]) -> bool:
    """Whether ``found`` holds for the shape or for anything in it."""
    seen: set[int] = set()
    pending = [shape]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if found(one):
            return True
        pending.extend(one.children())
    return False


def is_native(shape: Shape) -> bool:
    """Whether msgspec may decode this shape's hint in one go, with the same outcome.

    It does not miss the tag of a Struct that stands alone; a union shows its tagged members without their tags here.
    """
    return not reaches(shape, lambda one: not one.native or one.tag is not None)
