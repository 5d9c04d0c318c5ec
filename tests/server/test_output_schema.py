"""What a return hint promises, and whether a returned value keeps the promise."""

from __future__ import annotations

import datetime
import enum
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict, Union

import jsonschema_rs
import msgspec
import pytest
from msgspec import Meta

from mcpcore.errors import UsageError
from mcpcore.server.signature import OutputError, OutputSpec, inspect_signature, output_schema, raw_output
from mcpcore.types import InputRequired, ToolResult


class Block:
    """Stands for a content block."""


class Image:
    """Stands for a media class."""


PLAIN = (Block, Image)
Text = NewType("Text", str)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Forecast:
    temperature: float
    conditions: str = "fair"


@dataclass
class Counted:
    items: list[int]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        made.append(self)
        self.total = sum(self.items)


class Movie(TypedDict):
    title: str


class Pair(NamedTuple):
    a: int
    b: str


class User(msgspec.Struct, rename="camel", omit_defaults=True):
    first_name: str
    age: int = 0


class Tree(msgspec.Struct):
    children: list[Tree] = []


made: list[Any] = []


def spec_of(hint: Any) -> OutputSpec:
    spec = output_schema(hint, plain=PLAIN)
    assert spec is not None
    jsonschema_rs.meta.validate(spec.schema)
    assert spec.schema["type"] == "object"
    return spec


def refusal(spec: OutputSpec, value: Any) -> OutputError:
    with pytest.raises(OutputError) as caught:
        spec.encode(value)
    return caught.value


@pytest.mark.parametrize(
    "hint",
    [
        str, None, bytes, Any, object, Text, Annotated[str, "a text"], str | None, Block, Image, Block | str,
        list[Block], list[Block | Image], list[str | Image], tuple[Block, ...], list, list[Any], Block | None,
        int | Image, ToolResult, ToolResult | str, InputRequired | None, Awaitable[str],
    ],
)  # fmt: skip
def test_texts_and_content_promise_no_structure(hint: Any) -> None:
    assert output_schema(hint, plain=PLAIN) is None


def test_no_hint_promises_no_structure() -> None:
    def handler():  # type: ignore[no-untyped-def]
        ...

    assert output_schema(inspect_signature(handler).returns) is None


OBJECTS: list[tuple[Any, Any, Any]] = [
    (Forecast, Forecast(1.5), {"temperature": 1.5, "conditions": "fair"}),
    (Forecast, {"temperature": 2}, {"temperature": 2}),
    (Movie, {"title": "M", "year": 1931}, {"title": "M", "year": 1931}),
    (User, User("Ada"), {"firstName": "Ada"}),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], {1: "a"}, {"1": "a"}),
    (dict, {"when": datetime.date(2026, 1, 2)}, {"when": "2026-01-02"}),
    (Tree, Tree([Tree()]), {"children": [{"children": []}]}),
    (Forecast | ToolResult, Forecast(1.0), {"temperature": 1.0, "conditions": "fair"}),
    (Awaitable[Forecast], Forecast(1.0), {"temperature": 1.0, "conditions": "fair"}),
]


@pytest.mark.parametrize(("hint", "value", "structured"), OBJECTS)
def test_an_object_is_promised_as_it_is(hint: Any, value: Any, structured: Any) -> None:
    spec = spec_of(hint)
    assert not spec.wrapped
    assert spec.schema == spec.natural_schema
    assert spec.encode(value) == structured
    assert spec.check(structured) is None
    assert jsonschema_rs.is_valid(spec.schema, structured)


WRAPPED: list[tuple[Any, Any, Any]] = [
    (int, 3, 3),
    (float, 0.5, 0.5),
    (bool, True, True),
    (Literal["a", "b"], "a", "a"),
    (Colour, Colour.RED, "red"),
    (datetime.datetime, datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
    (Decimal, Decimal("1.50"), "1.50"),
    (Path, Path("/tmp"), "/tmp"),
    (list[int], [1], [1]),
    (list[str], ["a"], ["a"]),
    (list[str | None], ["a", None], ["a", None]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (set[int], {1}, [1]),
    (deque[int], deque([1]), [1]),
    (Pair, Pair(1, "x"), [1, "x"]),
    (list[Forecast], [Forecast(1.0)], [{"temperature": 1.0, "conditions": "fair"}]),
    (Forecast | None, None, None),
    (int | str, "a", "a"),
    (Annotated[int, Meta(ge=1)], 1, 1),
]


@pytest.mark.parametrize(("hint", "value", "natural"), WRAPPED)
def test_everything_else_is_promised_inside_an_object(hint: Any, value: Any, natural: Any) -> None:
    spec = spec_of(hint)
    assert spec.wrapped
    assert spec.schema == {
        "type": "object",
        "properties": {"result": spec.natural_schema},
        "required": ["result"],
        "x-mcpcore-wrap-result": True,
    }
    structured = spec.encode(value)
    assert msgspec.json.decode(msgspec.json.encode(structured)) == {"result": natural}
    assert spec.check({"result": natural}) is None
    assert jsonschema_rs.is_valid(spec.schema, {"result": natural})


REFUSED: list[tuple[Any, Any, str, str]] = [
    (Forecast, Forecast("warm"), "$.temperature", "number"),  # type: ignore[arg-type]
    (Forecast, "sunny", "$", "object"),
    (Forecast, None, "$", "object"),
    (Forecast, {}, "$.temperature", "number"),
    (Forecast, Forecast(float("nan")), "$.temperature", "number, finite"),
    (list[int], [1, "x"], "$[1]", "integer"),
    (int, 1.5, "$", "integer"),
    (int, True, "$", "integer"),
    (Literal["a", "b"], "c", "$", 'one of "a", "b"'),
    (dict[str, int], {"a": object()}, "$", "object, in a form that can be written as JSON"),
    (Annotated[int, Meta(ge=1)], 0, "$", "integer, at least 1"),
    (set[int], [1, 1], "$", "array, without duplicates"),
    (Movie, {"title": 3}, "$.title", "string"),
]


@pytest.mark.parametrize(("hint", "value", "path", "expected"), REFUSED)
def test_a_value_that_breaks_the_promise_is_refused_with_place_and_expectation(
    hint: Any, value: Any, path: str, expected: str
) -> None:
    error = refusal(spec_of(hint), value)
    assert (error.path, error.expected) == (path, expected)
    assert str(error).startswith("Invalid result at") or str(error).startswith("Missing result at")


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert refusal(spec_of(dict), loop).keyword == "type"


def test_checking_an_output_builds_no_second_instance() -> None:
    made.clear()
    spec = spec_of(Counted)
    assert spec.natural_schema["required"] == ["items"]
    assert spec.encode(Counted([1, 2])) == {"items": [1, 2], "total": 3}
    assert len(made) == 1


def test_structured_content_made_by_hand_is_checked() -> None:
    assert spec_of(int).check({"result": 1}) is None
    assert spec_of(int).check({"result": "x"}) == "Invalid result at $: expected integer."
    for content in (1, {}, {"result": 1, "more": 2}):
        assert "the one member result" in str(spec_of(int).check(content))
    assert "Missing" in str(spec_of(Movie).check({}))


def test_a_recursive_type_has_an_object_at_its_root() -> None:
    spec = spec_of(Tree)
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}, "default": []}
    assert spec.schema["properties"] == {"children": children}
    wrapped = spec_of(list[Tree])
    assert list(wrapped.schema) == ["type", "properties", "required", "x-mcpcore-wrap-result", "$defs"]
    assert jsonschema_rs.is_valid(wrapped.schema, wrapped.encode([Tree([Tree()])]))


def test_local_classes_are_found_through_the_signature() -> None:
    @dataclass
    class Inner:
        n: int

    @dataclass
    class Outer:
        inner: Inner

    def handler() -> Outer:
        return Outer(Inner(1))

    signature = inspect_signature(handler)
    spec = output_schema(signature.returns, names=signature.names)
    assert spec is not None
    assert spec.encode(handler()) == {"inner": {"n": 1}}


def test_a_hint_that_nothing_describes_is_refused() -> None:
    for hint in (AsyncIterator[int], complex, dict[str, Block], Union[Forecast, complex]):  # noqa: UP007
        with pytest.raises(UsageError, match="the return hint promises what has no schema"):
            output_schema(hint, plain=PLAIN)


# -- schemas written by hand -------------------------------------------------------------------------------------------


def test_an_object_schema_written_by_hand_is_promised_as_it_is() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}, "required": ["n"]}
    spec = raw_output(schema)
    assert (spec.schema, spec.wrapped) == (schema, False)
    assert spec.encode({"n": 1}) == {"n": 1}
    error = refusal(spec, {"n": 7})
    assert (error.path, error.keyword, error.expected) == ("$.n", "maximum", "at most 3")
    assert spec.check({}) == "Missing result at $.n: expected a value."


def test_another_schema_written_by_hand_is_wrapped_and_its_references_still_lead_home() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "array",
        "items": {"$ref": "#/$defs/node"},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "all": {"$ref": "#"}}}},
    }
    spec = raw_output(schema)
    assert spec.wrapped
    assert spec.schema["$schema"] == schema["$schema"]
    assert spec.encode([{"next": {}}]) == {"result": [{"next": {}}]}
    assert jsonschema_rs.is_valid(spec.schema, {"result": [{"next": {}, "all": [{}]}]})
    assert not jsonschema_rs.is_valid(spec.schema, {"result": [{"next": 1}]})
    assert not jsonschema_rs.is_valid(spec.schema, {"result": [{"all": [1]}]})
    assert refusal(spec, [{"next": 1}]).path == "$[0].next"


def test_a_dataclass_may_keep_a_promise_written_by_hand() -> None:
    spec = raw_output({"type": "object", "required": ["temperature"]})
    assert spec.encode(Forecast(1.0)) == {"temperature": 1.0, "conditions": "fair"}
