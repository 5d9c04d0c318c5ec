"""``Header`` in a handler's hints, and ``x-mcp-header`` in a schema written by hand."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from mcpcore.errors import UsageError
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
