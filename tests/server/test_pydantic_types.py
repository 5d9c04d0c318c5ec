"""pydantic's models, fields and types, where the program uses pydantic; and no import of it where it does not."""

from __future__ import annotations

import datetime
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pytest

pydantic = pytest.importorskip("pydantic")

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, StringConstraints  # noqa: E402
from pydantic.dataclasses import dataclass as pydantic_dataclass  # noqa: E402

from mcpcore.errors import UsageError  # noqa: E402
from mcpcore.server.hints import Reader  # noqa: E402
from mcpcore.server.schema import describe, document  # noqa: E402
from mcpcore.server.signature import (  # noqa: E402
    ArgumentError,
    OutputError,
    Signature,
    inspect_signature,
    output_schema,
)

SECRET = "hunter2-correct-horse"


class Address(BaseModel):
    """Where somebody lives."""

    model_config = ConfigDict(extra="forbid")
    street: str
    number: int = Field(ge=1, description="House number")


class Person(BaseModel):
    name: str = Field(title="Full name", min_length=2)
    born: datetime.date | None = None
    homes: list[Address] = []
    notes: dict[str, int] = {}
    known_as: str = Field(default="", alias="knownAs")

    @pydantic.field_validator("name")  # type: ignore[untyped-decorator]
    @classmethod
    def no_horses(cls, value: str) -> str:
        if "horse" in value:
            raise ValueError(f"{value} is no name")
        return value


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


@pydantic_dataclass
class Point:
    x: int


def schema_of(hint: Any) -> dict[str, Any]:
    shape = Reader().read(hint)
    return document(lambda definitions: describe(shape, definitions))


def read(hint: Any) -> Signature:
    def handler(value: Any) -> Any:
        return value

    handler.__annotations__ = {"value": hint}
    return inspect_signature(handler)


def refusal(hint: Any, value: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        read(hint).bind({"value": value})
    return caught.value


def test_a_model_is_inlined_and_generated_titles_are_dropped() -> None:
    address = {
        "type": "object",
        "description": "Where somebody lives.",
        "properties": {
            "street": {"type": "string"},
            "number": {"type": "integer", "minimum": 1, "description": "House number"},
        },
        "required": ["street", "number"],
        "additionalProperties": False,
    }
    assert schema_of(Address) == address
    person = schema_of(Person)
    assert person["properties"]["homes"]["items"] == address
    assert person["properties"]["name"] == {"title": "Full name", "type": "string", "minLength": 2}
    assert person["properties"]["born"] == {
        "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}],
        "default": None,
    }
    assert "$defs" not in person
    assert "title" not in person


def test_a_recursive_model_keeps_its_reference() -> None:
    schema = schema_of(list[Node])
    assert schema["items"] == {"$ref": "#/$defs/Node"}
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (Annotated[int, Field(ge=1, description="few")], {"type": "integer", "minimum": 1, "description": "few"}),
        (Annotated[str, Field(pattern="^a", examples=["ab"])], {"type": "string", "pattern": "^a", "examples": ["ab"]}),
        (Annotated[list[int], Field(min_length=1)], {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        (Annotated[str, StringConstraints(max_length=2)], {"type": "string", "maxLength": 2}),
        (pydantic.PositiveInt, {"type": "integer", "exclusiveMinimum": 0}),
        (pydantic.conint(le=3), {"type": "integer", "maximum": 3}),
        (pydantic.AnyUrl, {"type": "string", "format": "uri", "minLength": 1}),
        (Annotated[str, Field(json_schema_extra={"x-note": 1})], {"type": "string", "x-note": 1}),
        (Point, {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}),
        (Annotated[str, StringConstraints(strip_whitespace=True, max_length=2)], {"type": "string", "maxLength": 2}),
    ],
)  # fmt: skip
def test_fields_and_types_become_this_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert schema_of(hint) == schema


def test_bounds_of_fields_are_checked() -> None:
    assert refusal(Annotated[list[int], Field(min_length=1)], []).keyword == "minItems"
    assert refusal(Annotated[list[int], Field(max_length=1)], [1, 2]).keyword == "maxItems"
    assert refusal(Annotated[int, Field(ge=1)], 0).expected == "integer, at least 1"
    assert read(Annotated[str, StringConstraints(strip_whitespace=True)]).bind({"value": " a "}) == {"value": "a"}
    assert read(Annotated[int, AfterValidator(lambda n: n + 1)]).bind({"value": 1}) == {"value": 2}


def test_a_field_as_default_describes_its_parameter() -> None:
    def handler(city: str = Field(description="Where"), days: int = Field(3, ge=1)) -> Any:
        return city, days

    signature = inspect_signature(handler)
    assert signature.input_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "days": {"type": "integer", "minimum": 1, "default": 3},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert signature.call({"city": "Oslo"}, None) == ("Oslo", 3)


def test_a_model_arrives_as_a_model_by_its_own_rules() -> None:
    given = {"name": "Ada", "born": "1815-12-10", "homes": [{"street": "S", "number": 1}], "knownAs": "A"}
    person = read(Person).call({"value": given}, None)
    assert person == Person(
        name="Ada", born=datetime.date(1815, 12, 10), homes=[Address(street="S", number=1)], knownAs="A"
    )
    node = {"value": 1, "children": [{"value": 2, "children": []}]}
    assert read(list[Node] | None).call({"value": [node]}, None)[0].model_dump() == node
    assert read(Point).call({"value": '{"x": 1}'}, None) == Point(x=1)


@pytest.mark.parametrize(
    ("value", "path", "keyword", "expected"),
    [
        ({}, "$.value.name", "required", "a value"),
        ({"name": 5}, "$.value.name", "type", "string"),
        ({"name": "A"}, "$.value.name", "minLength", "length at least 2"),
        ({"name": SECRET}, "$.value.name", "not", "a value that the model accepts"),
        ({"name": "Ada", "homes": [{"street": "S", "number": 0}]}, "$.value.homes[0].number", "minimum", "at least 1"),
        ({"name": "Ada", "homes": [{"street": "S", "number": 1, SECRET: 2}]}, "$.value.homes[0]",
         "additionalProperties", "only the members of its schema"),
        ({"name": "Ada", "notes": {SECRET: "x"}}, "$.value.notes.*", "type", "integer"),
        ({"name": "Ada", "born": SECRET}, "$.value.born", "type", "date from datetime"),
        (SECRET, "$.value", "type", "object"),
    ],
)  # fmt: skip
def test_an_error_is_rebuilt_without_the_value(value: Any, path: str, keyword: str, expected: str) -> None:
    error = refusal(Person, value)
    assert (error.path, error.keyword) == (path, keyword)
    assert expected in error.expected
    assert SECRET not in f"{error} {error.__cause__}"
    assert error.__suppress_context__ or error.__context__ is None


def test_an_alias_for_a_parameter_is_refused() -> None:
    with pytest.raises(UsageError, match="renames nothing"):
        read(Annotated[int, Field(alias="other")])


def test_the_tag_of_a_union_is_not_echoed() -> None:
    hint = Annotated[Union[Cat, Dog], Field(discriminator="kind")]  # noqa: UP007
    assert read(hint).call({"value": {"kind": "dog"}}, None) == Dog(kind="dog")
    error = refusal(hint, {"kind": SECRET})
    assert SECRET not in str(error)
    assert "'cat', 'dog'" in error.expected
    assert "discriminator" not in str(schema_of(hint))


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_model_is_an_object_shaped_output() -> None:
    spec = output_schema(Person)
    assert spec is not None
    assert not spec.wrapped
    assert list(spec.schema["properties"]) == ["name", "born", "homes", "notes", "knownAs"]
    encoded = spec.encode(Person(name="Ada", born=datetime.date(1815, 12, 10)))
    assert encoded == {"name": "Ada", "born": "1815-12-10", "homes": [], "notes": {}, "knownAs": ""}
    assert spec.encode({"name": "Ada"})["name"] == "Ada"
    with pytest.raises(OutputError) as caught:
        spec.encode({"name": "Ada", "homes": [{"street": SECRET}]})
    assert caught.value.path == "$.homes[0].number"
    assert SECRET not in str(caught.value)


def test_a_model_inside_other_types_is_written_and_checked() -> None:
    @dataclass
    class Holder:
        people: list[Person]

    listed = output_schema(list[Address])
    held = output_schema(Holder)
    assert listed is not None
    assert held is not None
    assert listed.encode([Address(street="S", number=1)]) == {"result": [{"street": "S", "number": 1}]}
    assert held.encode(Holder([Person(name="Ada")]))["people"][0]["name"] == "Ada"
    with pytest.raises(OutputError):
        listed.encode([{"street": "S"}])


def test_a_root_model_of_a_list_is_wrapped() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    spec = output_schema(Numbers)
    assert spec is not None
    assert spec.wrapped
    assert spec.encode(Numbers([1, 2])) == {"result": [1, 2]}


def test_pydantic_is_never_imported_for_a_program_that_does_not_use_it() -> None:
    program = (
        "import sys, dataclasses, typing\n"
        "from mcpcore.server.signature import inspect_signature, output_schema\n"
        "def f(a: typing.Annotated[int, 'n'], b: list[str] | None = None) -> dict[str, int]: return {}\n"
        "signature = inspect_signature(f)\n"
        "signature.call({'a': 1}, None)\n"
        "output_schema(signature.returns).encode({'a': 1})\n"
        "print([name for name in ('pydantic', 'pydantic_core', 'jsonschema_rs') if name in sys.modules])\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "[]\n"
