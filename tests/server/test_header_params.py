"""``x-mcp-header``: which parameters may travel as headers, held against the specification's constraints."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from mcpcore.errors import UsageError
from mcpcore.server.header_params import header_params
from mcpcore.server.signature import Header, inspect_signature


class Region(enum.Enum):
    NORTH = "north"


def object_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def header(name: Any, type_: str = "string") -> dict[str, Any]:
    return {"type": type_, "x-mcp-header": name}


def test_a_header_in_the_hint_is_in_the_schema() -> None:
    def handler(
        region: Annotated[str, Header("Region"), "Where"], count: Annotated[int, Header("Count")] = 1, note: str = ""
    ) -> None: ...

    signature = inspect_signature(handler)
    assert signature.header_params == {"region": "Region", "count": "Count"}
    assert signature.input_schema["properties"]["region"] == {
        "type": "string",
        "description": "Where",
        "x-mcp-header": "Region",
    }


@pytest.mark.parametrize(
    ("hint", "type_"),
    [(str, "string"), (int, "integer"), (bool, "boolean"), (Literal["a", "b"], "string"), (Region, "string")],
)
def test_plain_types_and_choices_may_be_headers(hint: Any, type_: str) -> None:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = Annotated[hint, Header("Value")]
    assert inspect_signature(handler).input_schema["properties"]["value"]["type"] == type_


def test_none_as_default_is_said_by_leaving_the_parameter_out() -> None:
    def handler(region: Annotated[str | None, Header("Region")] = None) -> Any:
        return region

    signature = inspect_signature(handler)
    assert signature.input_schema["properties"]["region"] == {"type": "string", "x-mcp-header": "Region"}
    assert signature.call({}, None) is None
    assert signature.call({"region": "eu"}, None) == "eu"


@pytest.mark.spec("2026-07-28/streamable-http/M35")
@pytest.mark.parametrize("hint", [float, list[str], dict[str, str], str | int, Any, None])
def test_other_types_may_not_be_headers(hint: Any) -> None:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = Annotated[hint, Header("Value")]
    with pytest.raises(UsageError, match="handler: x-mcp-header of value: its type must be string, integer or boolean"):
        inspect_signature(handler)


@pytest.mark.parametrize("name", ["", "Re gion", "Region:", "Régión", "a\r\nb", "a\tb", '"a"', None, 3, ["a"], {}])
@pytest.mark.spec("2026-07-28/streamable-http/M31", "2026-07-28/streamable-http/M32", "2026-07-28/streamable-http/M33")
def test_a_name_that_is_no_token_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="is no name for a header"):
        header_params(object_schema(a=header(name)))


@pytest.mark.parametrize("name", ["Region", "x", "A-1_b.c!#$%&'*+^`|~"])
def test_every_token_is_a_name(name: str) -> None:
    assert header_params(object_schema(a=header(name))) == {"a": name}


@pytest.mark.spec("2026-07-28/streamable-http/M34")
def test_names_are_unique_whatever_their_case() -> None:
    with pytest.raises(UsageError, match=r"x-mcp-header of b: another parameter has the header 'REGION'"):
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
    with pytest.raises(UsageError, match="only properties of objects can be headers"):
        header_params(schema)


def test_data_in_a_schema_is_no_annotation() -> None:
    data = {"default": header("A"), "enum": [header("B")], "examples": [header("C")], "const": header("D")}
    assert header_params(object_schema(a=data)) == {}


def test_a_header_inside_a_parameter_is_refused() -> None:
    @dataclass
    class Place:
        region: Annotated[str, Header("Region")]

    def nested(place: Place) -> None: ...

    def listed(places: list[Annotated[str, Header("Region")]]) -> None: ...

    def nameless(place: Annotated[str, Header]) -> None: ...

    for handler, text in ((nested, "outside"), (listed, "outside"), (nameless, "needs the name")):
        with pytest.raises(UsageError, match=text):
            inspect_signature(handler)


def test_headers_in_a_schema_written_by_hand_are_found_and_checked() -> None:
    signature = inspect_signature(lambda **arguments: None, input_schema=object_schema(a=header("A")))
    assert signature.header_params == {"a": "A"}
    with pytest.raises(UsageError, match="x-mcp-header of a"):
        inspect_signature(lambda **arguments: None, input_schema=object_schema(a=header("A", "number")))
