"""The binder against peers that mean no good: nothing is echoed, nothing but ``ArgumentError`` comes out, and soon."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from mcpcore.server.hints import Reader
from mcpcore.server.schema import is_native
from mcpcore.server.signature import ArgumentError, inspect_signature

SECRET = "hunter2-correct-horse"
LARGE = 100_000


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


@dataclass
class Picky:
    word: str

    def __post_init__(self) -> None:
        raise ValueError(f"I do not like {self.word}")


class Cat(msgspec.Struct, tag="cat", forbid_unknown_fields=True):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    tricks: Annotated[list[str], Meta(max_length=1)]


def handler(
    text: Annotated[str, Meta(max_length=3, pattern="^[a-z]*$")] = "",
    number: Annotated[int, Meta(ge=0, le=9, multiple_of=3)] = 0,
    ratio: float = 0.0,
    on: bool = False,
    mode: Literal["a", 1] = "a",
    colour: Colour = Colour.RED,
    when: datetime.datetime | None = None,
    key: uuid.UUID | None = None,
    span: datetime.timedelta | None = None,
    data: bytes = b"",
    price: Decimal = Decimal(0),
    words: Annotated[set[str], Meta(max_length=2)] = frozenset(),  # type: ignore[assignment]
    pair: tuple[int, str] = (0, ""),
    table: dict[str, int] | None = None,
    by_number: dict[int, int] | None = None,
    tree: Tree | None = None,
    picky: Picky | None = None,
    pet: Cat | Dog | None = None,
    pets: list[Cat | Dog] | None = None,
    shape: dict[str, Tree] | list[Tree] | None = None,
) -> Any:
    return locals()


LENIENT = inspect_signature(handler)
STRICT = inspect_signature(handler, strict_input=True)
NAMES = sorted(LENIENT.input_schema["properties"])
SECRETS = st.recursive(
    st.sampled_from([SECRET, 778899.25, 77889900, f"[{SECRET}", f'{{"{SECRET}": "{SECRET}"}}', f'["{SECRET}"]', None]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([SECRET, "name", "word", "children", "tricks", "1"]), inner, max_size=3)
        | st.fixed_dictionaries({"type": st.sampled_from(["cat", "dog", SECRET]), "lives": inner, "tricks": inner})
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*NAMES, SECRET]), SECRETS, min_size=1, max_size=3), st.booleans())
def test_an_error_never_holds_what_the_peer_sent(arguments: dict[str, Any], strict: bool) -> None:
    try:
        (STRICT if strict else LENIENT).bind(arguments)
    except ArgumentError as error:
        told = f"{error} {error.path} {error.expected} {error.keyword} {error.args} {error.__cause__}"
        assert error.__suppress_context__ or error.__context__ is None
        for secret in (SECRET, "778899", "hunter2"):
            assert secret not in told


def test_what_a_class_says_when_it_refuses_is_not_told() -> None:
    with pytest.raises(ArgumentError) as caught:
        LENIENT.bind({"picky": {"word": SECRET}})
    assert str(caught.value) == "Invalid argument at $.picky: expected object that Picky accepts."


def test_an_unknown_tag_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ArgumentError) as caught:
        LENIENT.bind({"pets": [{"type": SECRET}]})
    assert (caught.value.path, caught.value.expected) == ("$.pets[0].type", "one of 'cat', 'dog'")


def test_the_object_that_knows_most_members_is_meant() -> None:
    @dataclass
    class Point:
        x: int

    @dataclass
    class Space:
        x: int
        y: int

    def place(at: Point | Space) -> Any:
        return at

    signature = inspect_signature(place)
    assert signature.call({"at": {"x": 1, "y": 2}}, None) == Space(1, 2)
    assert signature.call({"at": {"x": 1}}, None) == Point(1)
    assert signature.call({"at": {"x": 1, "z": 2}}, None) == Point(1)


def nested(open_: str, close: str) -> str:
    return open_ * (LARGE // 2) + close * (LARGE // 2)


def deep_tree(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": "leaf"}
    for _ in range(levels):
        tree = {"name": "x", "children": [tree]}
    return tree


HOSTILE: dict[str, Any] = {
    "a long string": "x" * LARGE,
    "many digits": "9" * LARGE,
    "an exponent": "1e999999999",
    "a large exponent of many digits": "1e" + "9" * LARGE,
    "brackets": nested("[", "]"),
    "open brackets": "[" * LARGE,
    "braces": nested('{"a":', "}"),
    "nulls": "\0" * LARGE,
    "a lone surrogate": "\ud800",
    "a long list": ["x"] * (LARGE // 4),
    "a list of lists": [[["x"]]] * (LARGE // 10),
    "a wide object": {f"k{index}": index for index in range(LARGE // 10)},
    "a deep tree": deep_tree(5_000),
    "a list with a deep tree": [deep_tree(5_000)],
    "a huge number": 10**4000,
    "not a number": float("nan"),
    "infinity": float("-inf"),
    "a wide object in a string": msgspec.json.encode({f"k{index}": [index] for index in range(LARGE // 10)}).decode(),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_hostile_value_is_bound_or_refused_and_nothing_else(name: str, case: str) -> None:
    value = HOSTILE[case]
    for signature in (LENIENT, STRICT):
        try:
            signature.bind({name: value})
        except ArgumentError as error:
            assert len(str(error)) < 500


def test_a_tree_too_deep_for_python_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        LENIENT.bind({"tree": deep_tree(50_000)})
    assert (caught.value.path, caught.value.keyword) == ("$.tree", "maxDepth")


def test_many_unknown_arguments_make_a_short_error() -> None:
    with pytest.raises(ArgumentError) as caught:
        LENIENT.bind({f"{SECRET}{index}": index for index in range(LARGE)})
    assert len(str(caught.value)) < 500


def test_a_handler_with_many_parameters_lists_the_first_ones() -> None:
    scope: dict[str, Any] = {}
    exec(f"def wide({', '.join(f'p{index}=0' for index in range(300))}): return p299", scope)
    signature = inspect_signature(scope["wide"])
    assert signature.call({"p299": 4}, None) == 4
    with pytest.raises(ArgumentError, match=r"p0, p1, .* and 250 more"):
        signature.bind({"q": 1})


def test_parameters_named_like_the_binders_own_variables_do_no_harm() -> None:
    def odd(fn: int, arguments: int, context: int, v0: int, seen: int = 5, unknown: int = 6, *, names: int = 7) -> Any:
        return fn, arguments, context, v0, seen, unknown, names

    signature = inspect_signature(odd)
    assert signature.call({"fn": 1, "arguments": 2, "context": 3, "v0": 4}, None) == (1, 2, 3, 4, 5, 6, 7)
    assert signature.bind({"fn": 1, "arguments": 2, "context": 3, "v0": 4, "names": 0})["names"] == 0


def test_msgspec_never_sees_the_union_of_a_fixed_tuple_and_a_bounded_type() -> None:
    # Its description of such a type is read past its end by the next garbage collection.
    hint = Annotated[int, Meta(ge=1)] | tuple[int, int]
    assert not is_native(Reader().read(list[hint]))
    assert is_native(Reader().read(list[Annotated[int, Meta(ge=1)] | list[int]]))


def test_what_the_handler_raises_is_not_taken_for_a_refusal() -> None:
    def broken(a: int) -> None:
        raise KeyError("a")

    with pytest.raises(KeyError, match="a"):
        inspect_signature(broken).call({"a": 1}, None)
