"""``x-mcp-header``: which parameters may travel as headers, held against the specification's constraints."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.spec.header_params import header_params, steps_of


def object_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def header(name: Any, type_: Any = "string") -> dict[str, Any]:
    return {"type": type_, "x-mcp-header": name}


@pytest.mark.parametrize("name", ["", "Re gion", "Region:", "Régión", "a\r\nb", "a\tb", '"a"', None, 3, ["a"], {}])
@pytest.mark.spec("2026-07-28/streamable-http/M31", "2026-07-28/streamable-http/M32", "2026-07-28/streamable-http/M33")
def test_a_name_that_is_no_token_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name for a header"):
        header_params(object_schema(a=header(name)))


@pytest.mark.parametrize("name", ["Region", "x", "A-1_b.c!#$%&'*+^`|~"])
def test_every_token_is_a_name(name: str) -> None:
    assert header_params(object_schema(a=header(name))) == {"a": name}


@pytest.mark.spec("2026-07-28/streamable-http/M34")
def test_names_are_unique_whatever_their_case() -> None:
    with pytest.raises(ValueError, match=r"x-mcp-header of b: another parameter has the header 'REGION'"):
        header_params(object_schema(a=header("Region"), b=header("REGION")))


def test_a_chain_of_properties_is_reachable() -> None:
    schema = object_schema(outer=object_schema(inner=header("Inner")), properties=header("Properties"))
    assert header_params(schema) == {"/outer/inner": "Inner", "properties": "Properties"}


UNREACHABLE: list[dict[str, Any]] = [
    {"type": "object", "x-mcp-header": "Root"},
    object_schema(a={"type": "array", "items": header("A")}),
    object_schema(a={"anyOf": [header("A")]}),
    object_schema(a={"allOf": [object_schema(b=header("A"))]}),
    {**object_schema(), "if": object_schema(a=header("A"))},
    {**object_schema(a={"$ref": "#/$defs/a"}), "$defs": {"a": header("A")}},
    {**object_schema(), "patternProperties": {"a": header("A")}},
    {**object_schema(), "additionalProperties": header("A")},
    {**object_schema(), "not": header("A")},
]


@pytest.mark.spec("2026-07-28/streamable-http/M37", "2026-07-28/streamable-http/M38")
@pytest.mark.parametrize("schema", UNREACHABLE)
def test_any_other_place_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only properties of objects can be headers"):
        header_params(schema)


def test_data_in_a_schema_is_no_annotation() -> None:
    data = {"default": header("A"), "enum": [header("B")], "examples": [header("C")], "const": header("D")}
    assert header_params(object_schema(a=data)) == {}


@pytest.mark.spec("2026-07-28/streamable-http/M35")
@pytest.mark.parametrize("type_", ["number", "object", "array", "null", None, ["string"], ["string", "null"]])
def test_only_strings_integers_and_booleans_can_be_headers(type_: Any) -> None:
    with pytest.raises(ValueError, match="x-mcp-header of a: its type must be string, integer or boolean"):
        header_params(object_schema(a=header("A", type_)))


@pytest.mark.spec("2026-07-28/streamable-http/M35")
def test_a_parameter_without_a_type_is_no_header() -> None:
    with pytest.raises(ValueError, match="its type must be"):
        header_params(object_schema(a={"x-mcp-header": "A"}))


def test_a_property_that_is_called_like_the_annotation_is_none() -> None:
    schema = object_schema(**{"x-mcp-header": {"type": "object"}})
    schema["dependentRequired"] = {"x-mcp-header": ["a"]}
    assert header_params(schema) == {}


@pytest.mark.parametrize("steps", [("a",), ("a/b",), ("/a",), ("", "a"), ("~1", "/"), ("~", "~0", "a~/b"), ("",)])
def test_a_parameter_leads_back_to_its_path_whatever_its_names_hold(steps: tuple[str, ...]) -> None:
    schema: dict[str, Any] = header("A")
    for step in reversed(steps):
        schema = object_schema(**{step: schema})
    (parameter,) = header_params(schema)
    assert steps_of(parameter) == steps


def test_a_schema_as_deep_as_a_hostile_server_likes_is_read() -> None:
    schema: dict[str, Any] = header("Deep")
    for _ in range(5000):
        schema = object_schema(a=schema)
    assert list(header_params(schema).values()) == ["Deep"]


def test_the_first_breach_in_the_document_is_the_one_that_is_told() -> None:
    schema = object_schema(a=header("A B"), b=object_schema(c=header("C D")), d=header("", "number"))
    with pytest.raises(ValueError, match="x-mcp-header of a: 'A B'"):
        header_params(schema)
