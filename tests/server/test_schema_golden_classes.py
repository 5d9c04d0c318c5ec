"""The golden table of classes: which schema each dataclass, Struct, TypedDict, tuple and generic becomes."""

# ruff: noqa: UP007

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, Required, TypedDict, TypeVar, Union

import pytest
from msgspec import Struct

from mcpcore.server.hints import Reader
from mcpcore.server.schema import describe, document

T = TypeVar("T")


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Place:
    """A place on the map.

    Attributes:
        name: What people call it.
    """

    name: str
    at: Point
    tags: list[str] = field(default_factory=list)
    note: Annotated[str, "For the reader"] = ""
    code: str = field(init=False, default="x")


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


@dataclass
class Ping:
    pong: Pong | None = None


@dataclass
class Pong:
    ping: Ping | None = None


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class IntBox(Box[int]):
    label: str


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Partial(TypedDict, total=False):
    title: Required[str]
    year: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Generics(TypedDict, Generic[T]):
    item: T


class User(Struct):
    id: int
    name: str = "anonymous"


class Renamed(Struct, rename="camel"):
    first_name: str


class Closed(Struct, forbid_unknown_fields=True):
    a: int


class Cat(Struct, tag="cat", tag_field="kind"):
    lives: int


class Dog(Struct, tag="dog", tag_field="kind"):
    tricks: list[str]


class Row(Struct, array_like=True):
    a: int
    b: str = "b"


Json = Union[str, int, list["Json"], dict[str, "Json"]]

ANY: dict[str, Any] = {"type": ["string", "number", "boolean", "object", "array", "null"]}
POINT: dict[str, Any] = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
    "required": ["x"],
}
TREE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "default": []},
    },
    "required": ["value"],
}
CAT: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["cat"]}, "lives": {"type": "integer"}},
    "required": ["kind", "lives"],
}
USER: dict[str, Any] = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": "string", "default": "anonymous"}},
    "required": ["id"],
}
MOVIE: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["title"],
}

GOLDEN: list[tuple[Any, dict[str, Any]]] = [
    (Point, POINT),
    (
        Place,
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "What people call it."},
                "at": POINT,
                "tags": {"type": "array", "items": {"type": "string"}, "default": []},
                "note": {"type": "string", "description": "For the reader", "default": ""},
            },
            "required": ["name", "at"],
            "description": "A place on the map.",
        },
    ),
    (Tree, {**TREE, "$defs": {"Tree": TREE}}),
    (
        Ping,
        {
            "type": "object",
            "properties": {
                "pong": {
                    "anyOf": [
                        {
                            "type": "object",
                            "properties": {
                                "ping": {"anyOf": [{"$ref": "#/$defs/Ping"}, {"type": "null"}], "default": None}
                            },
                        },
                        {"type": "null"},
                    ],
                    "default": None,
                }
            },
            "$defs": {
                "Ping": {
                    "type": "object",
                    "properties": {
                        "pong": {
                            "anyOf": [
                                {
                                    "type": "object",
                                    "properties": {
                                        "ping": {"anyOf": [{"$ref": "#/$defs/Ping"}, {"type": "null"}], "default": None}
                                    },
                                },
                                {"type": "null"},
                            ],
                            "default": None,
                        }
                    },
                }
            },
        },
    ),
    (Box, {"type": "object", "properties": {"content": ANY}, "required": ["content"]}),
    (Box[int], {"type": "object", "properties": {"content": {"type": "integer"}}, "required": ["content"]}),
    (
        Box[Box[str]],
        {
            "type": "object",
            "properties": {
                "content": {"type": "object", "properties": {"content": {"type": "string"}}, "required": ["content"]}
            },
            "required": ["content"],
        },
    ),
    (
        IntBox,
        {
            "type": "object",
            "properties": {"content": {"type": "integer"}, "label": {"type": "string"}},
            "required": ["content", "label"],
        },
    ),
    (list[Tree], {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "$defs": {"Tree": TREE}}),
    (Tree | None, {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}], "$defs": {"Tree": TREE}}),
    (Movie, MOVIE),
    (Partial, MOVIE),
    (Generics[int], {"type": "object", "properties": {"item": {"type": "integer"}}, "required": ["item"]}),
    (
        Pair,
        {
            "type": "array",
            "prefixItems": [{"type": "integer", "title": "left"}, {"type": "string", "default": "r", "title": "right"}],
            "minItems": 1,
            "maxItems": 2,
        },
    ),
    (User, USER),
    (Renamed, {"type": "object", "properties": {"firstName": {"type": "string"}}, "required": ["firstName"]}),
    (
        Closed,
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    ),
    (Cat, CAT),
    (
        Cat | Dog,
        {
            "anyOf": [
                CAT,
                {
                    "type": "object",
                    "properties": {
                        "kind": {"type": "string", "enum": ["dog"]},
                        "tricks": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["kind", "tricks"],
                },
            ]
        },
    ),
    (
        Row,
        {
            "type": "array",
            "prefixItems": [{"type": "integer", "title": "a"}, {"type": "string", "default": "b", "title": "b"}],
            "minItems": 1,
            "maxItems": 2,
        },
    ),
    (list[User], {"type": "array", "items": USER}),
    (dict[str, Point], {"type": "object", "additionalProperties": POINT}),
    (tuple[Point, Point], {"type": "array", "prefixItems": [POINT, POINT], "minItems": 2, "maxItems": 2}),
    (Point | Movie, {"anyOf": [POINT, MOVIE]}),
    (
        Json,
        {
            "anyOf": [
                {"type": "string"},
                {"type": "integer"},
                {"type": "array", "items": {"$ref": "#/$defs/Json"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/Json"}},
            ],
            "$defs": {
                "Json": {
                    "anyOf": [
                        {"type": "string"},
                        {"type": "integer"},
                        {"type": "array", "items": {"$ref": "#/$defs/Json"}},
                        {"type": "object", "additionalProperties": {"$ref": "#/$defs/Json"}},
                    ]
                }
            },
        },
    ),
    ("list[Point]", {"type": "array", "items": POINT}),
]


def schema_of(hint: Any) -> dict[str, Any]:
    shape = Reader(globals()).read(hint)
    return document(lambda definitions: describe(shape, definitions))


@pytest.mark.parametrize(("hint", "schema"), GOLDEN, ids=[str(hint).replace(f"{__name__}.", "") for hint, _ in GOLDEN])
def test_a_hint_becomes_this_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert schema_of(hint) == schema
