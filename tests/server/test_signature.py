"""A handler's signature becomes a schema and a binder: parameters of every kind, wrappers, context, defaults."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, TypeVar

import pytest
from msgspec import Meta

from mcpcore.errors import UsageError
from mcpcore.server.signature import ArgumentError, Signature, inspect_signature


class Context:
    """Stands for the real one."""


class SyncContext:
    """The other one."""


CONTEXTS = (Context, SyncContext)


def read(fn: Callable[..., Any], **options: Any) -> Signature:
    return inspect_signature(fn, context_types=CONTEXTS, **options)


def refusal(signature: Signature, arguments: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        signature.bind(arguments)
    with pytest.raises(ArgumentError) as again:
        signature.call(arguments, None)
    assert str(again.value) == str(caught.value)
    return caught.value


def echo(text: str) -> str:
    return text


def add(a: int, b: int = 2) -> int:
    return a + b


def test_a_handler_without_parameters_takes_an_empty_object_or_nothing() -> None:
    signature = read(lambda: "done")
    assert signature.input_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert signature.call(None, None) == signature.call({}, None) == "done"
    assert refusal(signature, {"a": 1}).expected == "no arguments"


def test_required_parameters_and_defaults_are_in_the_schema() -> None:
    assert read(add).input_schema == {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_call_binds_and_calls_and_bind_only_binds() -> None:
    signature = read(add)
    assert signature.call({"a": 1}, None) == 3
    assert signature.call({"a": 1, "b": 5}, None) == 6
    assert signature.bind({"a": 1}) == {"a": 1, "b": 2}


def test_a_coroutine_function_gives_its_coroutine() -> None:
    async def later(a: int) -> int:
        return a

    coroutine = read(later).call({"a": 3}, None)
    assert asyncio.run(coroutine) == 3


@pytest.mark.parametrize(
    ("arguments", "path", "keyword", "text"),
    [
        ({}, "$.a", "required", "Missing argument at $.a: expected integer."),
        ({"a": "1"}, "$.a", "type", "Invalid argument at $.a: expected integer."),
        ({"a": True}, "$.a", "type", "Invalid argument at $.a: expected integer."),
        ({"a": 3.5}, "$.a", "type", "Invalid argument at $.a: expected integer."),
        ({"a": None}, "$.a", "type", "Invalid argument at $.a: expected integer."),
        ({"a": 1, "b": "x"}, "$.b", "type", "Invalid argument at $.b: expected integer."),
        ({"a": 1, "c": 1}, "$", "additionalProperties", "Unknown argument at $: expected only the arguments a, b."),
        ([1], "$", "type", "Invalid argument at $: expected object."),
    ],
)
def test_an_error_says_where_and_what_was_expected(arguments: Any, path: str, keyword: str, text: str) -> None:
    error = refusal(read(add), arguments)
    assert (error.path, error.keyword, str(error)) == (path, keyword, text)


def test_an_error_inside_an_argument_leads_to_the_place() -> None:
    @dataclass
    class Item:
        name: str
        size: Annotated[int, Meta(le=10)] = 1

    def store(items: list[Item]) -> None: ...

    error = refusal(read(store), {"items": [{"name": "a"}, {"name": "b"}, {"name": "c", "size": 11}]})
    assert (error.path, error.expected, error.keyword) == ("$.items[2].size", "integer, at most 10", "maximum")
    assert refusal(read(store), {"items": [{}]}).path == "$.items[0].name"


def test_a_whole_float_is_an_integer() -> None:
    result = read(add).call({"a": 3.0}, None)
    assert result == 5
    assert type(result) is int
    assert read(add).bind({"a": 1e23})["a"] == 10**23


def test_an_integer_becomes_a_float_where_one_is_asked_for() -> None:
    def half(x: float) -> float:
        return x

    assert type(read(half).call({"x": 3}, None)) is float
    assert refusal(read(half), {"x": True}).expected == "number"
    assert refusal(read(half), {"x": 10**400}).keyword == "maximum"


def test_values_arrive_as_the_types_of_the_hints() -> None:
    def handler(
        when: datetime.datetime, day: datetime.date, span: datetime.timedelta, key: uuid.UUID, price: Decimal,
        data: bytes, where: Path, names: set[str], pair: tuple[int, str], by_number: dict[int, str],
    ) -> None: ...  # fmt: skip

    key = "0d1f2e3c-0000-4000-8000-000000000000"
    assert read(handler).bind({
        "when": "2026-07-28T10:00:00Z", "day": "2026-07-28", "span": "P1DT2H", "key": key, "price": "1.10",
        "data": "aGk=", "where": "/tmp/x", "names": ["a", "b"], "pair": [1, "x"], "by_number": {"7": "seven"},
    }) == {
        "when": datetime.datetime(2026, 7, 28, 10, tzinfo=datetime.UTC), "day": datetime.date(2026, 7, 28),
        "span": datetime.timedelta(days=1, hours=2), "key": uuid.UUID(key), "price": Decimal("1.10"), "data": b"hi",
        "where": Path("/tmp/x"), "names": {"a", "b"}, "pair": (1, "x"), "by_number": {7: "seven"},
    }  # fmt: skip


def test_positional_only_keyword_only_and_other_parameters_get_their_values() -> None:
    def handler(a: int, /, b: int, *, c: int = 3) -> tuple[int, int, int]:
        return a, b, c

    assert read(handler).call({"b": 2, "a": 1}, None) == (1, 2, 3)
    assert read(handler).call({"b": 2, "a": 1, "c": 4}, None) == (1, 2, 4)


def test_keyword_arguments_take_what_is_left() -> None:
    def handler(a: int, **rest: Any) -> Any:
        return a, rest

    signature = read(handler)
    assert signature.input_schema["additionalProperties"] is True
    assert signature.call({"a": 1, "b": [2], "self": 3}, None) == (1, {"b": [2], "self": 3})


def test_keyword_arguments_with_a_type_are_checked_and_their_names_not_told() -> None:
    def handler(**scores: int) -> Any:
        return scores

    signature = read(handler)
    assert signature.input_schema["additionalProperties"] == {"type": "integer"}
    assert signature.call({"a": 1}, None) == {"a": 1}
    error = refusal(signature, {"secretname": "x"})
    assert error.path == "$.*"


def test_star_args_are_refused_with_the_remedy() -> None:
    def handler(*values: int) -> None: ...

    with pytest.raises(UsageError, match=r"handler: parameter 'values': \*args.*functools\.wraps"):
        read(handler)


@pytest.mark.parametrize(
    "hint", [Context, Context | None, SyncContext, Context | SyncContext, Annotated[Context, "it"], "Context | None"]
)
def test_the_context_goes_in_under_any_name_and_is_not_in_the_schema(hint: Any) -> None:
    def handler(a: int, call: Any = None, b: int = 2) -> Any:
        return a, call, b

    handler.__annotations__["call"] = hint
    signature = read(handler)
    assert signature.context_parameter == "call"
    assert list(signature.input_schema["properties"]) == ["a", "b"]
    context = Context()
    assert signature.call({"a": 1}, context) == (1, context, 2)
    assert signature.bind({"a": 1}) == {"a": 1, "b": 2}
    assert refusal(signature, {"a": 1, "call": 1}).keyword == "additionalProperties"


def test_a_context_imported_for_type_checkers_only_is_recognised_by_its_name() -> None:
    def handler(ctx: Any) -> Any:
        return ctx

    handler.__annotations__["ctx"] = "Ctx"
    signature = inspect_signature(handler, context_types=(type("Ctx", (), {}),))
    assert signature.context_parameter == "ctx"


def test_two_contexts_are_refused() -> None:
    def handler(a: Context, b: Context) -> None: ...

    with pytest.raises(UsageError, match="only one parameter"):
        read(handler)


def test_an_injected_parameter_gets_what_its_function_makes_of_the_context() -> None:
    def handler(a: int, *, user: str) -> Any:
        return a, user

    signature = read(handler, injected={"user": lambda context: f"user of {context}"})
    assert list(signature.input_schema["properties"]) == ["a"]
    assert signature.call({"a": 1}, "ctx") == (1, "user of ctx")


def test_a_default_without_a_form_in_json_stays_out_of_the_schema() -> None:
    marker = object()

    def handler(a: Any = marker, when: datetime.date = datetime.date(2026, 1, 2), x: float = float("inf")) -> Any:
        return a, when, x

    properties = read(handler).input_schema["properties"]
    assert "default" not in properties["a"]
    assert properties["when"]["default"] == "2026-01-02"
    assert "default" not in properties["x"]
    assert read(handler).call({}, None) == (marker, datetime.date(2026, 1, 2), float("inf"))


def test_none_as_default_makes_a_parameter_optional() -> None:
    def handler(days: Any = None) -> Any:
        return days

    handler.__annotations__["days"] = Annotated[int, Meta(ge=1, description="How many")]

    signature = read(handler)
    assert signature.input_schema["properties"]["days"] == {
        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
        "description": "How many",
        "default": None,
    }
    assert signature.call({"days": None}, None) is None
    assert signature.call({}, None) is None


@pytest.mark.parametrize("text", ['{"a": 1}', ' {"a":1.0} '])
def test_a_string_of_json_stands_for_an_object(text: str) -> None:
    def handler(value: dict[str, int]) -> Any:
        return value

    assert read(handler).call({"value": text}, None) == {"a": 1}
    assert refusal(read(handler, strict_input=True), {"value": text}).expected == "object"


def test_a_string_of_json_stands_for_an_array_but_never_for_a_scalar() -> None:
    def handler(value: list[int] | None = None, n: int = 0, on: bool = False, any_: Any = None, text: str = "") -> Any:
        return value, n, on, any_, text

    signature = read(handler)
    assert signature.call({"value": "[1,2]", "any_": "[1]", "text": "[1]"}, None) == ([1, 2], 0, False, "[1]", "[1]")
    for arguments in ({"n": "1"}, {"on": "true"}, {"value": "null"}, {"value": "[1,"}, {"value": "7"}):
        refusal(signature, arguments)


def test_parameters_are_listed_for_prompts_and_completion() -> None:
    def handler(kind: Literal["a", "b"], note: Annotated[str, "A note"] = "none", *, ctx: Context, free=1) -> None:  # type: ignore[no-untyped-def]
        ...

    kind, note, free = read(handler).parameters
    assert (kind.name, kind.annotation, kind.required, kind.description) == ("kind", Literal["a", "b"], True, None)
    assert (note.name, note.required, note.description, note.default) == ("note", False, "A note", "none")
    assert (free.annotation, free.default) == (Any, 1)


def test_descriptions_come_from_the_docstring_and_the_rest_is_the_description() -> None:
    def handler(city: str, days: Annotated[int, "From the hint"] = 1) -> None:
        """Forecast the weather.

        Args:
            city: Where,
                exactly.
            days: From the docstring.
        """

    signature = read(handler)
    properties = signature.input_schema["properties"]
    assert properties["city"]["description"] == "Where, exactly."
    assert properties["days"]["description"] == "From the hint"
    assert signature.description == "Forecast the weather."


@pytest.mark.parametrize("hint", [Callable[[], int], type, complex, TypeVar, set[list[int]], dict[float, int], set])
def test_a_hint_without_a_schema_is_refused_with_its_parameter(hint: Any) -> None:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = hint
    with pytest.raises(UsageError, match=r"handler: parameter 'value': "):
        read(handler)


def test_an_init_var_is_no_member_and_is_refused() -> None:
    @dataclass
    class Sized:
        a: int
        b: InitVar[int]

    def handler(value: Sized) -> None: ...

    with pytest.raises(UsageError, match="Sized has an InitVar"):
        read(handler)


def test_a_bound_that_means_nothing_is_refused() -> None:
    def handler(value: Annotated[str, Meta(ge=1)]) -> None: ...

    with pytest.raises(UsageError, match="ge cannot bound string"):
        read(handler)


def test_recursive_types_keep_their_reference_and_all_others_are_written_out() -> None:
    @dataclass
    class Leaf:
        n: int

    @dataclass
    class Tree:
        leaf: Leaf
        children: list[Tree]

    def handler(tree: Tree, other: Leaf) -> Any:
        return tree

    signature = read(handler)
    assert signature.input_schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert list(signature.input_schema["$defs"]) == ["Tree"]
    inside = signature.input_schema["$defs"]["Tree"]["properties"]["leaf"]
    assert inside == signature.input_schema["properties"]["other"]
    branch = {"leaf": {"n": 1}, "children": []}
    found = signature.call({"tree": {"leaf": {"n": 2.0}, "children": [branch]}, "other": {"n": 0}}, None)
    assert found == Tree(Leaf(2), [Tree(Leaf(1), [])])


def test_a_lattice_of_types_does_not_double_at_each_level() -> None:
    hint: Any = int
    make: Any = TypedDict
    for level in range(40):
        hint = make(f"Level{level}", {"a": hint, "b": hint})

    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = hint
    schema = read(handler).input_schema
    assert len(schema["$defs"]) == 40
    assert len(str(schema)) < 20_000
