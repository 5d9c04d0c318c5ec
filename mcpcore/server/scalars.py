"""The shapes of values without parts: numbers, strings, what travels as a string, and enumerations.

Here live their builders, one function per kind. Arrays and objects are built in ``containers.py``. The rule: a builder
computes everything it can when it is called, so that ``decode`` is a closure over constants.
"""

from __future__ import annotations

import datetime
import math
import re
import sys
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from mcpcore.server.schema import (
    MAX_CHOICES_NAMED,
    NUMBER_BOUNDS,
    SIZE_BOUNDS,
    STRING_BOUNDS,
    Bounds,
    Mismatch,
    Schema,
    Shape,
)

__all__ = ["anything", "boolean", "choice", "decimal_", "integer", "null", "number", "string", "text"]

ALL_KINDS = ("string", "number", "boolean", "object", "array", "null")
DECIMAL_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
"""No NaN, no infinity, and no exponent that makes ``int(value)`` fill the memory."""

NO_BOUNDS = Bounds()
MISSING: Any = object()

Check = tuple[str, Callable[[Any], bool]]


def anything() -> Shape:
    """Any JSON value. The schema names the six types: some clients refuse a tool with an empty schema in it."""
    return Shape(
        kinds=frozenset(ALL_KINDS),
        expected="any value",
        decode=lambda value: value,
        emit=lambda _: {"type": list(ALL_KINDS)},
        fast="True",
        native=True,
        hashable=False,
    )


def null() -> Shape:
    """``None``."""

    def decode(value: Any) -> None:
        if value is not None:
            raise Mismatch("null", "type")

    return Shape(frozenset({"null"}), "null", decode, lambda _: {"type": "null"}, fast="{v} is None", native=True)


def boolean() -> Shape:
    """``bool``: true and false, and nothing that Python takes for them."""

    def decode(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        raise Mismatch("boolean", "type")

    fast = "type({v}) is bool"
    return Shape(frozenset({"boolean"}), "boolean", decode, lambda _: {"type": "boolean"}, fast=fast, native=True)


def integer(bounds: Bounds = NO_BOUNDS) -> Shape:
    """``int``: 3 and 3.0, which is an integer in JSON Schema; not 3.5 and not true."""
    schema, words, checks, fast = _number_bounds(bounds)
    expected = ", ".join(["integer", *words])

    def decode(value: Any) -> int:
        if type(value) is not int:
            if type(value) is not float or not value.is_integer():
                raise Mismatch(expected, "type")
            value = int(Decimal(repr(value)))  # 1e23 as it was written, not the float next to it
        for keyword, holds in checks:
            if not holds(value):
                raise Mismatch(expected, keyword)
        return value  # type: ignore[no-any-return]

    return Shape(
        kinds=frozenset({"integer"}),
        expected=expected,
        decode=decode,
        emit=lambda _: {"type": "integer", **schema},
        fast=None if fast is None else "type({v}) is int" + fast,
        native=bounds.multiple_of is None,
        bounds=NUMBER_BOUNDS,
        restrict=lambda more: integer(bounds.merged(more)),
    )


def number(bounds: Bounds = NO_BOUNDS) -> Shape:
    """``float``: any finite number; an integer becomes a float."""
    schema, words, checks, fast = _number_bounds(bounds)
    expected = ", ".join(["number", *words])

    def decode(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise Mismatch(expected, "type")
        for keyword, holds in checks:
            if not holds(value):
                raise Mismatch(expected, keyword)
        try:
            result = float(value)
        except OverflowError:
            raise Mismatch(f"{expected}, within the range of a float", "maximum") from None
        if not math.isfinite(result):
            raise Mismatch(f"{expected}, finite", "type")
        return result

    return Shape(
        kinds=frozenset({"number"}),
        expected=expected,
        decode=decode,
        emit=lambda _: {"type": "number", **schema},
        fast=None if fast is None else "type({v}) is float" + fast,
        native=bounds.multiple_of is None,
        bounds=NUMBER_BOUNDS,
        restrict=lambda more: number(bounds.merged(more)),
    )


def _number_bounds(bounds: Bounds) -> tuple[Schema, list[str], list[Check], str | None]:
    """The bounds as schema members, as words, as checks, and as the tail of a fast expression (None: there is none)."""
    ge, gt, le, lt, multiple = bounds.ge, bounds.gt, bounds.le, bounds.lt, bounds.multiple_of
    table: list[tuple[Any, str, str, str, Callable[[Any], bool]]] = [
        (ge, "minimum", "at least {}", ">=", lambda value: value >= ge),
        (gt, "exclusiveMinimum", "above {}", ">", lambda value: value > gt),
        (le, "maximum", "at most {}", "<=", lambda value: value <= le),
        (lt, "exclusiveMaximum", "below {}", "<", lambda value: value < lt),
        (multiple, "multipleOf", "a multiple of {}", "", lambda value: _is_multiple(value, multiple)),
    ]
    used = [row for row in table if row[0] is not None]
    simple = all(row[3] and type(row[0]) in (int, float) and math.isfinite(row[0]) for row in used)
    return (
        {row[1]: _plain_number(row[0]) for row in used},
        [row[2].format(row[0]) for row in used],
        [(row[1], row[4]) for row in used],
        "".join(f" and {{v}} {row[3]} {row[0]!r}" for row in used) if simple else None,
    )


def _plain_number(value: Any) -> int | float:
    return value if type(value) in (int, float) else float(value)


def _is_multiple(value: Any, unit: Any) -> bool:
    """Exactly, in decimal digits as they are written: 0.3 is a multiple of 0.1."""
    if type(value) is int and type(unit) is int:
        return value % unit == 0
    if not math.isfinite(value):
        return False
    from fractions import Fraction  # only for such bounds

    return (Fraction(repr(value)) / Fraction(str(unit))).denominator == 1


def string(bounds: Bounds = NO_BOUNDS, schema: Schema | None = None) -> Shape:
    """``str``; lengths count code points. The length is looked at before the pattern."""
    low, high, pattern = bounds.min_length, bounds.max_length, bounds.pattern
    search = None if pattern is None else ecma_pattern(pattern).search
    members, words = size_bounds(bounds, "Length", "character")
    if pattern is not None:
        members["pattern"] = pattern
        words.append(f"matching {pattern}")
    expected = ", ".join(["string", *words])

    def decode(value: Any) -> str:
        if type(value) is not str:
            raise Mismatch(expected, "type")
        if low is not None and len(value) < low:
            raise Mismatch(expected, "minLength")
        if high is not None and len(value) > high:
            raise Mismatch(expected, "maxLength")
        if search is not None and search(value) is None:
            raise Mismatch(expected, "pattern")
        return value

    sizes = ((">=", low), ("<=", high))
    lengths = "".join(f" and len({{v}}) {sign} {size:d}" for sign, size in sizes if size is not None)
    return Shape(
        kinds=frozenset({"string"}),
        expected=expected,
        decode=decode,
        emit=lambda _: {"type": "string", **(schema or {}), **members},
        fast="type({v}) is str" + lengths if search is None else None,
        native=search is None,
        bounds=STRING_BOUNDS,
        restrict=lambda more: string(bounds.merged(more), schema),
    )


def ecma_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as JSON Schema means it: ``$`` is the very end, and classes such as ``\\d`` hold ASCII only."""
    tokens = re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return re.compile("".join(r"\Z" if token == "$" else token for token in tokens), re.ASCII)


def size_bounds(bounds: Bounds, noun: str, unit: str) -> tuple[Schema, list[str]]:
    """``min_length`` and ``max_length`` as schema members (``minItems``) and as words (``at least 1 item``)."""
    members: Schema = {}
    words = []
    for size, prefix, word in ((bounds.min_length, "min", "at least"), (bounds.max_length, "max", "at most")):
        if size is not None:
            members[prefix + noun] = size
            words.append(f"{word} {size} {unit}{'' if size == 1 else 's'}")
    return members, words


# type -> (what the schema says besides "type": "string", what an error says)
TEXT: dict[type, tuple[Schema, str]] = {
    bytes: ({"contentEncoding": "base64"}, "base64 string"),
    datetime.datetime: ({"format": "date-time"}, "date and time (RFC 3339)"),
    datetime.date: ({"format": "date"}, "date (YYYY-MM-DD)"),
    datetime.time: ({"format": "time"}, "time of day (HH:MM:SS)"),
    datetime.timedelta: ({"format": "duration"}, "duration in days, hours, minutes and seconds (P1DT2H)"),
    uuid.UUID: ({"format": "uuid"}, "UUID"),
}
TEXT_BOUNDS: dict[type, frozenset[str]] = {
    bytes: SIZE_BOUNDS,
    datetime.datetime: frozenset({"tz"}),
    datetime.time: frozenset({"tz"}),
}
KEYWORDS: dict[type, str] = {bytes: "contentEncoding"}
PATH: tuple[Schema, str] = ({"format": "path"}, "path")


def travels_as_text(hint: Any) -> bool:
    """Whether ``text`` knows this type."""
    try:
        return hint in TEXT or _is_path(hint)
    except TypeError:  # a hint that cannot be hashed
        return False


def _is_path(hint: Any) -> bool:
    """``pathlib.Path``; whoever names it has imported it."""
    pathlib = sys.modules.get("pathlib")
    return pathlib is not None and hint is pathlib.Path


def text(type_: type, bounds: Bounds = NO_BOUNDS) -> Shape:
    """A type of ``TEXT``, which travels as a string."""
    is_path = _is_path(type_)
    schema, expected = PATH if is_path else TEXT[type_]
    words: list[str] = []
    if type_ is bytes:
        words = size_bounds(bounds, "Length", "byte")[1]
        # base64 writes three bytes as four characters
        sizes = (("minLength", bounds.min_length), ("maxLength", bounds.max_length))
        schema = {**schema, **{name: (size + 2) // 3 * 4 for name, size in sizes if size is not None}}
    if bounds.tz is not None:
        words = ["with an offset" if bounds.tz else "without an offset"]
    expected = ", ".join([expected, *words])
    keyword = KEYWORDS.get(type_, "format")
    hint: Any = Annotated[type_, msgspec.Meta(**bounds.named())] if bounds.named() else type_

    def decode(value: Any) -> Any:
        if type(value) is not str:
            raise Mismatch(expected, "type")
        try:
            return type_(value) if is_path else msgspec.convert(value, hint)
        except (msgspec.ValidationError, ValueError, OverflowError):
            raise Mismatch(expected, keyword) from None

    return Shape(
        kinds=frozenset({"string"}),
        expected=expected,
        decode=decode,
        emit=lambda _: {"type": "string", **schema},
        native=not is_path,
        bounds=TEXT_BOUNDS.get(type_, frozenset()),
        restrict=lambda more: text(type_, bounds.merged(more)),
    )


def decimal_(bounds: Bounds = NO_BOUNDS) -> Shape:
    """``Decimal``: a number, or a string where a float would round."""
    schema, words, checks, _ = _number_bounds(bounds)
    expected = ", ".join(["decimal number", *words])
    written = re.compile(DECIMAL_PATTERN)

    def decode(value: Any) -> Decimal:
        if type(value) is str:
            if written.search(value) is None or value.endswith("\n"):
                raise Mismatch(expected, "pattern")
            result = Decimal(value)
        elif type(value) is int or (type(value) is float and math.isfinite(value)):
            result = Decimal(repr(value))
        else:
            raise Mismatch(expected, "type")
        for keyword, holds in checks:
            if not holds(result):
                raise Mismatch(expected, keyword)
        return result

    return Shape(
        kinds=frozenset({"number", "string"}),
        expected=expected,
        decode=decode,
        emit=lambda _: {"anyOf": [{"type": "number", **schema}, {"type": "string", "pattern": DECIMAL_PATTERN}]},
        bounds=NUMBER_BOUNDS,
        restrict=lambda more: decimal_(bounds.merged(more)),
    )


def choice(options: Iterable[tuple[Any, Any]], native: bool) -> Shape:
    """A Literal or an Enum: pairs of a JSON value (string, number, boolean, null) and what it stands for."""
    pairs = list(options)
    tables: dict[str, dict[Any, Any]] = {}
    for given, meant in pairs:
        tables.setdefault(_kind_of_choice(given), {}).setdefault(given, meant)
    values = [given for table in tables.values() for given in table]
    expected = _one_of(values)
    schema: Schema = {"enum": values}
    if len(tables) == 1 or set(tables) == {"integer", "number"}:
        schema = {"type": "number" if "number" in tables else next(iter(tables)), **schema}
    strings, booleans, nulls = (tables.get(kind, {}) for kind in ("string", "boolean", "null"))
    numbers = {**tables.get("number", {}), **tables.get("integer", {})}

    def decode(value: Any) -> Any:
        kind = type(value)
        table = strings if kind is str else booleans if kind is bool else numbers if kind in (int, float) else nulls
        try:
            meant = table.get(value, MISSING)
        except TypeError:  # an array or an object
            meant = MISSING
        if meant is MISSING:
            raise Mismatch(expected, "enum")
        return meant

    return Shape(
        kinds=frozenset(tables),
        expected=expected,
        decode=decode,
        emit=lambda _: dict(schema),
        native=native and len(tables) == 1 and "number" not in tables and "boolean" not in tables,
        choices=tuple(values),
    )


def _kind_of_choice(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return kinds[type(value)]


def _one_of(values: list[Any]) -> str:
    named = [msgspec.json.encode(value).decode() for value in values[:MAX_CHOICES_NAMED]]
    more = len(values) - len(named)
    listed = ", ".join(named) + (f" and {more} more" if more else "")
    return listed if len(values) == 1 else f"one of {listed}"
