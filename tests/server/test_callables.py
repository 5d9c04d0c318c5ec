"""Callables of every kind are read through to the function that counts, and their hints where it was defined."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

import pytest

from mcpcore.errors import UsageError
from mcpcore.server.signature import ArgumentError, Signature, inspect_signature

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

P = ParamSpec("P")
R = TypeVar("R")


class Context:
    """Stands for the real one."""


def make_generic() -> Any:
    """A generic dataclass in the syntax of Python 3.12."""
    scope: dict[str, Any] = {"dataclass": dataclass}
    exec("@dataclass\nclass Holder[T]:\n    content: T", scope)
    return scope["Holder"]


def read(fn: Callable[..., Any]) -> Signature:
    return inspect_signature(fn, context_types=(Context,))


def refusal(signature: Signature, arguments: Any) -> ArgumentError:
    with pytest.raises(ArgumentError) as caught:
        signature.bind(arguments)
    return caught.value


def add(a: int, b: int = 2) -> int:
    return a + b


def test_a_bound_method_has_no_self() -> None:
    class Weather:
        def now(self, city: str) -> str:
            return f"{city}: {type(self).__name__}"

        @classmethod
        def kinds(cls, n: int) -> int:
            return n

        @staticmethod
        def plain(n: int) -> int:
            return n

    assert read(Weather().now).call({"city": "Oslo"}, None) == "Oslo: Weather"
    assert read(Weather.kinds).call({"n": 1}, None) == read(Weather.plain).call({"n": 1}, None) == 1


def test_a_callable_object_is_read_at_its_call() -> None:
    class Adder:
        """Adds."""

        def __call__(self, a: int, ctx: Context, b: int = 1) -> int:
            return a + b

    signature = read(Adder())
    assert signature.call({"a": 1}, None) == 2
    assert signature.context_parameter == "ctx"


def test_what_a_partial_has_fixed_is_not_in_the_schema() -> None:
    def send(host: str, text: str, *, token: str, retries: int = 1) -> Any:
        return host, text, token, retries

    signature = read(functools.partial(send, "example.org", token="secret"))
    assert list(signature.input_schema["properties"]) == ["text", "retries"]
    assert "secret" not in str(signature.input_schema)
    assert signature.call({"text": "hi"}, None) == ("example.org", "hi", "secret", 1)
    assert refusal(signature, {"text": "hi", "token": "mine"}).keyword == "additionalProperties"


def test_a_wrapper_with_functools_wraps_shows_what_it_wraps() -> None:
    def logged(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(fn)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            calls.append(fn.__name__)
            return fn(*args, **kwargs)

        return inner

    calls: list[str] = []
    signature = read(logged(logged(add)))
    assert signature.input_schema == read(add).input_schema
    assert signature.call({"a": 1}, None) == 3
    assert calls == ["add", "add"]


def test_hints_as_strings_find_the_locals_of_the_functions_around() -> None:
    class Inner(TypedDict):
        n: int

    def maker() -> Callable[..., Any]:
        @dataclass
        class Local:
            inner: Inner

        def handler(local: Local) -> Any:
            return local

        read(handler)
        return handler

    with pytest.raises(UsageError, match="Local"):
        read(maker())  # now Local is nowhere to be found


def test_an_unresolvable_hint_names_function_parameter_and_remedy() -> None:
    def handler(value: Missing) -> None: ...

    with pytest.raises(UsageError, match=r"handler: the hint of 'value'.*'Missing'.*at run time"):
        read(handler)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
def test_type_statements_are_read_through_also_when_they_are_recursive_or_generic() -> None:
    scope: dict[str, Any] = {}
    source = """
type Json = str | int | list[Json] | dict[str, Json]
type Pair[T] = tuple[T, T]
def handler[N: int](value: Json, pair: Pair[int], box: "Holder[str]", n: N = 0): return value, pair, box
"""
    scope["Holder"] = make_generic()
    exec(source, scope)
    signature = read(scope["handler"])
    properties = signature.input_schema["properties"]
    assert properties["value"]["$ref"] == "#/$defs/Json"
    assert signature.input_schema["$defs"]["Json"]["anyOf"][2] == {"type": "array", "items": {"$ref": "#/$defs/Json"}}
    assert properties["pair"]["prefixItems"] == [{"type": "integer"}, {"type": "integer"}]
    assert properties["box"]["properties"]["content"] == {"type": "string"}
    assert properties["n"]["type"] == "integer"
    value, pair, box = signature.call({"value": [1, {"a": ["x"]}], "pair": [1, 2], "box": {"content": "c"}}, None)
    assert (value, pair, box.content) == ([1, {"a": ["x"]}], (1, 2), "c")
    wrong = {"value": [1, {"a": [1.5]}], "pair": [1, 2], "box": {"content": "c"}}
    assert refusal(signature, wrong).path == "$.value[1].*[0]"


def test_a_builtin_without_a_signature_is_refused() -> None:
    with pytest.raises(UsageError, match="no signature"):
        read(type)
