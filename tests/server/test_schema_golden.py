"""The golden table of scalars, containers and bounds: which schema each hint becomes.

A change here is a change of what every tool with that hint says. The old spellings of ``typing`` are hints too.
"""

# ruff: noqa: UP006, UP007, UP035, UP045

from __future__ import annotations

import collections
import datetime
import enum
import pathlib
import uuid
from collections import abc
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Collection,
    Dict,
    Final,
    Iterable,
    List,
    Literal,
    Mapping,
    MutableSequence,
    NewType,
    Optional,
    Required,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

import pytest
from msgspec import Meta

from mcpcore.server.hints import Reader
from mcpcore.server.schema import describe, document

T = TypeVar("T")
UserId = NewType("UserId", int)
Number = TypeVar("Number", int, float)
Limited = TypeVar("Limited", bound=str)


class Colour(enum.Enum):
    """A colour."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Name(enum.StrEnum):
    ADA = "ada"


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


ANY = {"type": ["string", "number", "boolean", "object", "array", "null"]}
DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"

GOLDEN: list[tuple[Any, dict[str, Any]]] = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, {"type": "null"}),
    (type(None), {"type": "null"}),
    (Any, ANY),
    (object, ANY),
    (bytes, {"type": "string", "contentEncoding": "base64"}),
    (datetime.datetime, {"type": "string", "format": "date-time"}),
    (datetime.date, {"type": "string", "format": "date"}),
    (datetime.time, {"type": "string", "format": "time"}),
    (datetime.timedelta, {"type": "string", "format": "duration"}),
    (uuid.UUID, {"type": "string", "format": "uuid"}),
    (Decimal, {"anyOf": [{"type": "number"}, {"type": "string", "pattern": DECIMAL}]}),
    (pathlib.Path, {"type": "string", "format": "path"}),
    (Literal["a"], {"type": "string", "enum": ["a"]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
    (Literal[True], {"type": "boolean", "enum": [True]}),
    (Literal["a", 1, None], {"enum": ["a", 1, None]}),
    (Literal[Colour.RED], {"type": "string", "enum": ["red"]}),
    (Colour, {"type": "string", "enum": ["red", "green"], "description": "A colour."}),
    (Level, {"type": "integer", "enum": [1, 2]}),
    (Name, {"type": "string", "enum": ["ada"]}),
    (Mixed, {"enum": [1, "two"]}),
    (Access, {"type": "integer", "enum": [1, 2]}),
    (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    (Union[int, str, None], {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}),
    (float | int, {"anyOf": [{"type": "number"}, {"type": "integer"}]}),
    (Optional[Literal["a"]], {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
    (str | Any, {"anyOf": [{"type": "string"}, ANY]}),
    (datetime.date | str, {"anyOf": [{"type": "string", "format": "date"}, {"type": "string"}]}),
    (list, {"type": "array", "items": ANY}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (List[str], {"type": "array", "items": {"type": "string"}}),
    (list[list[int]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
    (list[Any], {"type": "array", "items": ANY}),
    (list[int | None], {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
    (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
    (abc.Sequence, {"type": "array", "items": ANY}),
    (MutableSequence[str], {"type": "array", "items": {"type": "string"}}),
    (Iterable[float], {"type": "array", "items": {"type": "number"}}),
    (Collection[bool], {"type": "array", "items": {"type": "boolean"}}),
    (collections.deque[int], {"type": "array", "items": {"type": "integer"}}),
    (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
    (frozenset[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
    (abc.Set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
    (tuple, {"type": "array", "items": ANY}),
    (
        tuple[int, str],
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
    ),
    (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
    (tuple[()], {"type": "array", "minItems": 0, "maxItems": 0}),
    (Tuple[int], {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 1, "maxItems": 1}),
    (dict, {"type": "object", "additionalProperties": True}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (dict[str, Any], {"type": "object", "additionalProperties": True}),
    (Dict[str, list[int]], {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}),
    (
        dict[int, str],
        {
            "type": "object",
            "propertyNames": {"type": "string", "maxLength": 400, "pattern": "^(0|-?[1-9][0-9]*)$"},
            "additionalProperties": {"type": "string"},
        },
    ),
    (
        dict[Colour, int],
        {
            "type": "object",
            "propertyNames": {"type": "string", "enum": ["red", "green"], "description": "A colour."},
            "additionalProperties": {"type": "integer"},
        },
    ),
    (
        dict[Literal["a", "b"], int],
        {
            "type": "object",
            "propertyNames": {"type": "string", "enum": ["a", "b"]},
            "additionalProperties": {"type": "integer"},
        },
    ),
    (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (abc.MutableMapping[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
    (
        dict[str, dict[str, bool]],
        {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "boolean"}}},
    ),
    (
        list[int] | list[str],
        {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": {"type": "string"}}]},
    ),
    (
        dict[str, int] | list[int] | None,
        {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "integer"}},
                {"type": "array", "items": {"type": "integer"}},
                {"type": "null"},
            ]
        },
    ),
    (Annotated[int, Meta(ge=1, le=10)], {"type": "integer", "minimum": 1, "maximum": 10}),
    (Annotated[float, Meta(gt=0, lt=1.5)], {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1.5}),
    (Annotated[int, Meta(multiple_of=5)], {"type": "integer", "multipleOf": 5}),
    (Annotated[str, Meta(min_length=1, max_length=5)], {"type": "string", "minLength": 1, "maxLength": 5}),
    (
        Annotated[str, Meta(pattern="^a+$", description="Only a")],
        {"type": "string", "pattern": "^a+$", "description": "Only a"},
    ),
    (
        Annotated[list[int], Meta(min_length=1, max_length=3)],
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    ),
    (
        Annotated[set[int], Meta(max_length=3)],
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "maxItems": 3},
    ),
    (
        Annotated[dict[str, int], Meta(min_length=1)],
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
    ),
    (Annotated[bytes, Meta(max_length=4)], {"type": "string", "contentEncoding": "base64", "maxLength": 8}),
    (Annotated[datetime.datetime, Meta(tz=True)], {"type": "string", "format": "date-time"}),
    (Annotated[int, "How many"], {"type": "integer", "description": "How many"}),
    (Annotated[str, Meta(title="City", examples=["Oslo"])], {"type": "string", "title": "City", "examples": ["Oslo"]}),
    (Annotated[str, Meta(extra_json_schema={"format": "email"})], {"type": "string", "format": "email"}),
    (
        Annotated[Annotated[int, Meta(ge=1)], Meta(le=3), "Few"],
        {"type": "integer", "minimum": 1, "maximum": 3, "description": "Few"},
    ),
    (Annotated[int | None, Meta(ge=0)], {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}),
    (list[Annotated[str, Meta(max_length=2)]], {"type": "array", "items": {"type": "string", "maxLength": 2}}),
    (
        Annotated[Decimal, Meta(ge=0)],
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DECIMAL}]},
    ),
    (UserId, {"type": "integer"}),
    (list[UserId], {"type": "array", "items": {"type": "integer"}}),
    (T, ANY),
    (Number, {"anyOf": [{"type": "integer"}, {"type": "number"}]}),
    (Limited, {"type": "string"}),
    (Final[int], {"type": "integer"}),
    (Required[int], {"type": "integer"}),
]


def schema_of(hint: Any) -> dict[str, Any]:
    shape = Reader(globals()).read(hint)
    return document(lambda definitions: describe(shape, definitions))


@pytest.mark.parametrize(("hint", "schema"), GOLDEN, ids=[str(hint).replace(f"{__name__}.", "") for hint, _ in GOLDEN])
def test_a_hint_becomes_this_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert schema_of(hint) == schema
