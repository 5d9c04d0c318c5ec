"""Schema and binder agree: what the one admits, the other binds, and what it refuses, the other refuses.

jsonschema-rs is the judge. Hints are drawn from a family that covers every kind of shape; values are made to fit the
hint, or to miss it by one part. Formats are left out: there the schema says less than the binder does.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict, Union

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from mcpcore.server.hints import Reader
from mcpcore.server.schema import Mismatch, describe, document
from mcpcore.server.signature import ArgumentError, OutputError, inspect_signature, output_schema

NAMES = itertools.count()


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Odd(enum.Enum):
    TEXT = "text"
    ONE = 1
    HALF = 0.5
    YES = True
    NOTHING = None


JSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-5, 5).map(float),
    st.text(max_size=4),
)
KEYS = st.sampled_from(["a", "b", "c", "kind", "1", "-3", "é", ""])
JSON = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)

Fitting = tuple[Any, st.SearchStrategy[Any]]  # a hint, and JSON values that fit it

LEAVES: list[Fitting] = [
    (str, st.text(max_size=4)),
    (int, st.integers() | st.integers(-5, 5).map(float)),
    (float, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)),
    (bool, st.booleans()),
    (None, st.none()),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Literal[1, "a", None, True], st.sampled_from([1, 1.0, "a", None, True])),
    (Colour, st.sampled_from(["red", "green"])),
    (Level, st.sampled_from([1, 2, 2.0])),
    (Odd, st.sampled_from(["text", 1, 0.5, True, None])),
    (Decimal, st.sampled_from(["1.50", "-3", ".5", "1e10", 1, 2.5])),
    (Annotated[int, Meta(ge=0, lt=4)], st.integers(0, 3)),
    (Annotated[int, Meta(multiple_of=3)], st.integers(-3, 3).map(lambda n: 3 * n)),
    (Annotated[float, Meta(gt=-1, le=1)], st.floats(-0.5, 1)),
    (Annotated[float, Meta(multiple_of=0.5)], st.integers(-4, 4).map(lambda n: n / 2)),
    (Annotated[str, Meta(min_length=1, max_length=2)], st.text(min_size=1, max_size=2)),
    (Annotated[str, Meta(pattern="^[ab]+$")], st.text("ab", min_size=1, max_size=3)),
]
UNHASHABLE_LEAVES: list[Fitting] = [
    (Any, JSON),
    (dict, st.dictionaries(KEYS, JSON, max_size=2)),
    (list, st.lists(JSON, max_size=3)),
]


def hint_of(origin: Any, *arguments: Any) -> Any:
    """``origin[arguments]``, made while the test runs."""
    return origin[arguments]


def lists(inner: Fitting) -> Fitting:
    return hint_of(list, inner[0]), st.lists(inner[1], max_size=3)


def bounded_lists(inner: Fitting) -> Fitting:
    hint = hint_of(Annotated, hint_of(list, inner[0]), Meta(min_length=1, max_length=2))
    return hint, st.lists(inner[1], min_size=1, max_size=2)


def tuples(inner: Fitting) -> Fitting:
    return hint_of(tuple, inner[0], ...), st.lists(inner[1], max_size=3)


def dicts(inner: Fitting) -> Fitting:
    return hint_of(dict, str, inner[0]), st.dictionaries(KEYS, inner[1], max_size=3)


def numbered(inner: Fitting) -> Fitting:
    return hint_of(dict, int, inner[0]), st.dictionaries(st.integers().map(str), inner[1], max_size=2)


def optional(inner: Fitting) -> Fitting:
    return hint_of(Union, inner[0], None), st.none() | inner[1]


def pairs(one: Fitting, other: Fitting) -> Fitting:
    return hint_of(tuple, one[0], other[0]), st.tuples(one[1], other[1]).map(list)


def unions(one: Fitting, other: Fitting) -> Fitting:
    return hint_of(Union, one[0], other[0]), one[1] | other[1]


def objects(one: Fitting, other: Fitting) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"a": one[1]}, optional={"b": other[1], "c": JSON})


def dataclass_of(one: Fitting, other: Fitting) -> Fitting:
    default = dataclasses.field(default=None)
    made = dataclasses.make_dataclass(f"Data{next(NAMES)}", [("a", one[0]), ("b", other[0], default)])
    return made, objects(one, other)


def struct_of(one: Fitting, other: Fitting) -> Fitting:
    return msgspec.defstruct(f"Struct{next(NAMES)}", [("a", one[0]), ("b", other[0], None)]), objects(one, other)


def closed_struct_of(one: Fitting, other: Fitting) -> Fitting:
    fields: list[Any] = [("a", one[0]), ("b", other[0], None)]
    made = msgspec.defstruct(f"Closed{next(NAMES)}", fields, forbid_unknown_fields=True)
    return made, st.fixed_dictionaries({"a": one[1]}, optional={"b": other[1]})


def tagged_structs(one: Fitting, other: Fitting) -> Fitting:
    first = msgspec.defstruct(f"First{next(NAMES)}", [("a", one[0])], tag="first", tag_field="kind")
    second = msgspec.defstruct(f"Second{next(NAMES)}", [("a", other[0])], tag="second", tag_field="kind")
    ones = st.fixed_dictionaries({"kind": st.just("first"), "a": one[1]})
    others = st.fixed_dictionaries({"kind": st.just("second"), "a": other[1]})
    return hint_of(Union, first, second), ones | others


def lone_tagged_struct(one: Fitting, other: Fitting) -> Fitting:
    made = msgspec.defstruct(f"Lone{next(NAMES)}", [("a", one[0])], tag="lone", tag_field="kind")
    value = st.fixed_dictionaries({"a": one[1]}, optional={"kind": st.just("lone")})
    return hint_of(Union, made, None), value


def typed_dict_of(one: Fitting, other: Fitting) -> Fitting:
    make: Any = TypedDict
    return make(f"Typed{next(NAMES)}", {"a": one[0], "b": NotRequired[other[0]]}), objects(one, other)


def named_tuple_of(one: Fitting, other: Fitting) -> Fitting:
    make: Any = NamedTuple
    return make(f"Named{next(NAMES)}", [("a", one[0]), ("b", other[0])]), st.tuples(one[1], other[1]).map(list)


WRAPPED = [lists, bounded_lists, tuples, dicts, numbered, optional]
COMBINED = [
    pairs,
    unions,
    dataclass_of,
    struct_of,
    closed_struct_of,
    tagged_structs,
    lone_tagged_struct,
    typed_dict_of,
    named_tuple_of,
]
SETS: list[Fitting] = [
    (hint_of(set, hint), st.lists(values, max_size=3))
    for hint, values in [LEAVES[0], LEAVES[1], LEAVES[2], LEAVES[6], LEAVES[9], pairs(LEAVES[1], LEAVES[3])]
]
FITTINGS: st.SearchStrategy[Fitting] = st.recursive(
    st.sampled_from([*LEAVES, *UNHASHABLE_LEAVES, *SETS]),
    lambda inner: (
        st.tuples(st.sampled_from(WRAPPED), inner).map(lambda drawn: drawn[0](drawn[1]))
        | st.tuples(st.sampled_from(COMBINED), inner, inner).map(lambda drawn: drawn[0](drawn[1], drawn[2]))
    ),
    max_leaves=4,
)


@st.composite
def near_misses(draw: st.DrawFn, value: Any) -> Any:
    """The value with one part, at any depth, replaced by any JSON, left out, or added."""
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(near_misses(value[at])), *value[at + 1 :]]
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        rest = {key: item for key, item in value.items() if key != name}
        return rest if draw(st.booleans()) else {**rest, name: draw(near_misses(value[name]))}
    if isinstance(value, list) and draw(st.booleans()):
        return [*value, *value[:1], draw(JSON)]
    if isinstance(value, dict) and draw(st.booleans()):
        return {**value, draw(KEYS): draw(JSON)}
    return draw(JSON)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any]:
    hint, values = draw(FITTINGS)
    value = draw(values)
    return hint, value if draw(st.booleans()) else draw(near_misses(value))


def signature_of(hint: Any) -> Any:
    def handler(value: Any) -> Any:
        return value

    handler.__annotations__ = {"value": hint}
    return inspect_signature(handler, strict_input=True)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_what_the_schema_admits_binds_and_what_it_refuses_is_refused(case: tuple[Any, Any]) -> None:
    hint, value = case
    signature = signature_of(hint)
    arguments = {"value": value}
    admitted = jsonschema_rs.Draft202012Validator(signature.input_schema).is_valid(arguments)
    event("admitted" if admitted else "refused")
    try:
        signature.call(arguments, None)
    except ArgumentError as error:
        assert not admitted, f"{error} {hint} {signature.input_schema}"
    else:
        assert admitted, f"{hint} {signature.input_schema}"


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_the_short_way_and_the_shape_itself_give_the_same_value(case: tuple[Any, Any]) -> None:
    hint, value = case
    shape = Reader().read(hint)
    signature = signature_of(hint)
    try:
        expected = shape.decode(value)
    except Mismatch:
        with pytest.raises(ArgumentError):
            signature.call({"value": value}, None)
        return
    assert exact(signature.call({"value": value}, None)) == exact(expected)
    assert exact(signature.bind({"value": value})["value"]) == exact(expected)


def exact(value: Any) -> Any:
    """The value with all its types: 1, 1.0 and True differ, the order of members does not count."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [exact(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return type(value), exact(msgspec.structs.asdict(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), exact({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return type(value), value


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_an_output_that_fits_the_hint_fits_the_schema(case: tuple[Any, Any]) -> None:
    hint, value = case
    spec = output_schema(hint_of(list, hint))
    if spec is None:
        return
    admitted = jsonschema_rs.Draft202012Validator(spec.schema).is_valid({"result": [value]})
    try:
        structured = spec.encode([value])
    except OutputError:
        assert not admitted
    else:
        assert structured == {"result": [value]}
        assert admitted


@pytest.mark.spec("2025-11-25/basic/M17", "2026-07-28/basic/M29")
@given(FITTINGS)
def test_every_schema_is_valid_and_has_no_empty_schema_in_it(fitting: Fitting) -> None:
    shape = Reader().read(fitting[0])
    schema = document(lambda definitions: describe(shape, definitions))
    jsonschema_rs.meta.validate(schema)
    assert not _has_empty_schema(schema)


def _has_empty_schema(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    parts = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])]
    parts += [*schema.get("prefixItems", []), *schema.get("properties", {}).values()]
    return schema == {} or any(_has_empty_schema(part) for part in parts)
