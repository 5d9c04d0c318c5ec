"""Schemas written by hand: how the handler is called, what is refused at registration, what an error tells."""

from __future__ import annotations

import builtins
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.errors import UsageError
from mcpcore.server import raw_schema
from mcpcore.server.signature import ArgumentError, Signature, inspect_signature, raw_output

SECRET = "hunter2-correct-horse"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer", "maximum": 10}, "b": {"type": "array", "items": {"$ref": "#/$defs/name"}}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {"name": {"type": "string", "maxLength": 3}},
}

TREE: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}


class Context:
    """Stands for the real one."""


def read(fn: Any, schema: Any = SCHEMA, **options: Any) -> Signature:
    return inspect_signature(fn, context_types=(Context,), input_schema=schema, **options)


def refusal(signature: Signature, arguments: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        signature.bind(arguments)
    return caught.value


def test_parameters_named_like_properties_get_the_values() -> None:
    def handler(a: int, ctx: Context, b: Any = None) -> Any:
        return a, b, ctx

    signature = read(handler)
    assert signature.input_schema is SCHEMA
    assert signature.context_parameter == "ctx"
    assert signature.call({"a": 1, "b": ["x"]}, "context") == (1, ["x"], "context")
    assert signature.call({"a": 1}, "context") == (1, None, "context")
    assert signature.bind({"a": 1}) == {"a": 1, "b": None}


def test_keyword_arguments_get_all_values() -> None:
    assert read(lambda **arguments: arguments).call({"a": 1, "b": []}, None) == {"a": 1, "b": []}


def test_one_parameter_of_another_name_gets_the_whole_dict() -> None:
    def handler(arguments: dict[str, Any], ctx: Context) -> Any:
        return arguments, ctx

    assert read(handler).call({"a": 1}, 5) == ({"a": 1}, 5)
    assert read(handler, {"type": "object"}).call(None, 5) == ({}, 5)


def test_a_handler_without_parameters_is_called_with_nothing() -> None:
    assert read(lambda: "done").call({"a": 1}, None) == "done"


def test_what_the_schema_lets_through_and_nobody_takes_is_dropped() -> None:
    def handler(a: int) -> Any:
        return a

    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert read(handler, schema).call({"a": 1, "other": 2}, None) == 1
    error = refusal(read(handler, schema), {})
    assert (error.path, error.keyword) == ("$.a", "required")


def test_parameters_that_do_not_fit_the_properties_are_refused_with_the_rule() -> None:
    def both(a: int, c: int) -> None: ...

    def half(a: int) -> None: ...

    with pytest.raises(UsageError, match=r"both: input_schema: the schema has no property 'c'; name parameters like"):
        read(both)
    with pytest.raises(UsageError, match=r"half: input_schema: no parameter takes 'b'; name parameters like"):
        read(half)


@pytest.mark.parametrize(
    ("arguments", "path", "keyword", "expected", "text"),
    [
        ({}, "$.a", "required", "a value", "Missing argument at $.a: expected a value."),
        ({"a": "1"}, "$.a", "type", "integer", "Invalid argument at $.a: expected integer."),
        ({"a": 11}, "$.a", "maximum", "at most 10", "Invalid argument at $.a: expected at most 10."),
        ({"a": 1, "b": ["abcd"]}, "$.b[0]", "maxLength", "at most 3 characters", None),
        ({"a": 1, SECRET: 1}, "$", "additionalProperties", "only the members a, b", None),
        ([], "$", "type", "object", "Invalid argument at $: expected object."),
    ],
)
def test_an_error_has_place_keyword_and_expectation(
    arguments: Any, path: str, keyword: str, expected: str, text: str | None
) -> None:
    error = refusal(read(lambda **arguments: None), arguments)
    assert (error.path, error.keyword, error.expected) == (path, keyword, expected)
    assert text is None or str(error) == text


KEYWORDS: dict[str, Any] = {
    "type": "integer", "enum": [1, "x"], "const": {"a": [1]}, "minimum": 10**9, "exclusiveMaximum": 0, "multipleOf": 7,
    "minLength": 99, "pattern": "^[0-9]{3}$", "minItems": 9, "maxItems": 0, "uniqueItems": True, "maxProperties": 0,
    "minProperties": 9, "required": ["zz"], "additionalProperties": False, "propertyNames": {"maxLength": 2},
    "contains": {"type": "null"}, "not": {}, "anyOf": [False], "oneOf": [True, True], "allOf": [{"type": "null"}],
    "if": True, "dependentRequired": {SECRET: ["zz"]}, "unevaluatedProperties": False, "prefixItems": [False],
    "items": {"type": "boolean"}, "patternProperties": {"h": False},
}  # fmt: skip
VALUES = st.recursive(
    st.sampled_from([SECRET, 778899.25, 7788991, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([SECRET, "n"]), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(sorted(KEYWORDS)), VALUES)
def test_an_error_never_holds_what_the_peer_sent(keyword: str, value: Any) -> None:
    member = {keyword: KEYWORDS[keyword], **({"then": False} if keyword == "if" else {})}
    schema = {"type": "object", "properties": {"value": member}}
    try:
        read(lambda **arguments: None, schema).bind({"value": value})
    except ArgumentError as error:
        told = f"{error} {error.path} {error.expected} {error.keyword} {error.args} {error.__cause__}"
        assert error.__suppress_context__ or error.__context__ is None
        assert not [part for part in (SECRET, "hunter2", "778899") if part in told]
        assert error.path.startswith("$.value")
        assert not jsonschema_rs.is_valid(schema, {"value": value})
    else:
        assert jsonschema_rs.is_valid(schema, {"value": value})


def test_a_string_of_json_stands_for_an_object_or_array_property() -> None:
    signature = read(lambda **arguments: arguments)
    assert signature.call({"a": 1, "b": '["x"]'}, None) == {"a": 1, "b": ["x"]}
    assert refusal(signature, {"a": "1"}).path == "$.a"
    assert refusal(signature, {"a": 1, "b": '["abcd"]'}).path == "$.b[0]"
    assert refusal(read(lambda **arguments: arguments, strict_input=True), {"a": 1, "b": '["x"]'}).path == "$.b"


# -- refused at registration -------------------------------------------------------------------------------------------

REFUSED: list[tuple[Any, str]] = [
    ({}, 'needs "type": "object" at its root'),
    ({"type": "string"}, 'needs "type": "object" at its root'),
    ([], "a JSON Schema is a dict, not list"),
    ({"type": "object", "properties": {"a": {"type": "text"}}}, "the schema is not valid at properties/a/type"),
    ({"type": "object", "properties": {"a": {"minimum": "1"}}}, "the schema is not valid"),
    ({"type": "object", "properties": {"a": {"$ref": "#/$defs/gone"}}}, "not valid.*gone"),
    ({"type": "object", "properties": {"a": {"$ref": "https://example.com/s.json"}}}, "nothing is fetched"),
    ({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}, "nothing is fetched"),
    ({"type": "object", "$id": "https://example.com/", "properties": {"a": {"$ref": "s.json"}}}, "nothing is fetched"),
    ({"type": "object", "properties": {"a": {"pattern": "("}}}, "not valid"),
    ({"type": "object", "$schema": "https://example.com/mine"}, "'https://example.com/mine' is not supported.*2020-12"),
    ({"type": "object", "$schema": 7}, "the dialect 7 is not supported; the supported ones are .*draft-04"),
    ({"type": "object", "default": object()}, "input_schema: "),
]


@pytest.mark.parametrize(("schema", "text"), REFUSED)
@pytest.mark.spec("2025-11-25/basic/M16", "2026-07-28/basic/M28", "2026-07-28/basic/M30", "2026-07-28/basic/S12")
def test_an_unusable_schema_is_refused_at_registration(schema: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        read(lambda **arguments: None, schema)


@pytest.mark.spec("2026-07-28/basic/S13")
def test_a_schema_that_is_too_deep_or_too_large_is_refused() -> None:
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(raw_schema.MAX_SCHEMA_DEPTH):
        deep = {"type": "object", "not": deep}
    wide = {"type": "object", "anyOf": [{} for _ in range(raw_schema.MAX_SUBSCHEMAS)]}
    for schema in (deep, wide):
        with pytest.raises(UsageError, match="too large; the limits are 10000 parts and 100 levels"):
            read(lambda **arguments: None, schema)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "jsonschema_rs":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install mcpcore\[schema\]"):
        raw_output({"type": "object"})


@pytest.mark.spec("2025-11-25/basic/M13", "2025-11-25/basic/M15", "2026-07-28/basic/M25", "2026-07-28/basic/M27")
@pytest.mark.parametrize("dialect", sorted(raw_schema.DIALECTS))
@pytest.mark.parametrize("end", ["", "#"])
def test_a_schema_is_read_in_the_dialect_that_it_names(dialect: str, end: str) -> None:
    schema = {"$schema": dialect + end, "type": "object", "properties": {"n": {"type": "integer"}}}
    signature = read(lambda **arguments: arguments, schema)
    assert signature.call({"n": 1}, None) == {"n": 1}
    assert refusal(signature, {"n": "x"}).path == "$.n"


def test_the_keywords_of_the_dialect_count() -> None:
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}
    bounded = {**old, "properties": {"n": {"maximum": 3, "exclusiveMaximum": True}}}
    assert refusal(read(lambda **arguments: arguments, bounded), {"n": 3}).keyword == "exclusiveMaximum"
    with pytest.raises(UsageError, match="not valid"):
        read(lambda **arguments: arguments, {"type": "object", "properties": {"n": {"exclusiveMaximum": True}}})


def test_a_reference_to_the_dialect_itself_needs_no_network() -> None:
    schema = {"type": "object", "properties": {"s": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}
    signature = read(lambda **arguments: arguments, schema)
    assert signature.call({"s": {"type": "string"}}, None)
    refusal(signature, {"s": {"type": "text"}})


def test_a_costly_pattern_ends_soon() -> None:
    schema = {"type": "object", "properties": {"s": {"pattern": "^(?=a)(a|aa)+$(?!b)"}}}
    signature = read(lambda **arguments: arguments, schema)
    begin = time.monotonic()
    refusal(signature, {"s": "a" * 10_000 + "!"})
    assert time.monotonic() - begin < 5


def test_a_value_too_deep_for_the_validator_never_reaches_it() -> None:
    value: dict[str, Any] = {}
    for _ in range(200_000):
        value = {"next": value}
    assert refusal(read(lambda **arguments: None, TREE), value).keyword == "maxDepth"


def test_a_hostile_value_is_refused_and_nothing_else() -> None:
    for arguments in ({"next": object()}, {"next": {1: 2}}, {"next": "\ud800"}, {SECRET * 5_000: 1}):
        assert len(str(refusal(read(lambda **arguments: None, TREE), arguments))) < 500
