"""JSON at its edges: what is refused, what is exact, what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.jsonrpc.codec import Unreadable, decode, encode, encode_sorted
from mcpcore.jsonrpc.message import NO_ID, error_frame, id_in_head

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    written = encode(value)
    assert b"\n" not in written
    assert decode(written) == value
    assert json.loads(written) == value


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"01",
        b"'x'",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00x"',
        b"\xef\xbb\xbf{}",
        b"{",
        b"[1,]",
        b'{"a":1,}',
        b'{"a" 1}',
        b"",
        b"{}{}",
        b"\x00",
        b'"a\nb"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_not_json_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(text)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=60))
def test_only_unreadable_comes_out_of_mangled_bytes(data: bytes) -> None:
    try:
        decode(data)
    except Unreadable:
        pass


def test_a_depth_of_a_hundred_is_fine_and_the_last_duplicate_wins() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert decode(encode(value)) == value
    assert decode(b'{"a":1,"a":2,"b":{"c":1,"c":3}}') == {"a": 2, "b": {"c": 3}}


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63), 0, -0, 2**53 + 1])
def test_integers_of_64_bits_are_exact(number: int) -> None:
    assert decode(str(number).encode()) == number
    assert type(decode(str(number).encode())) is int
    assert encode(number) == str(number).encode()


def test_larger_integers_read_as_floats_and_are_written_as_they_are() -> None:
    assert type(decode(str(2**64).encode())) is float
    assert encode({"n": 2**80}) == b'{"n":%d}' % 2**80


def test_deep_values_are_written_too() -> None:
    value: Any = 1
    for _ in range(600):
        value = [value]
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize("value", [{"a": object()}, {"a": {1, 2}}, {"a": "\ud800"}, {"a": b"x"}])
def test_what_json_cannot_say_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_equal_objects_are_written_alike_when_sorted() -> None:
    assert encode_sorted({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":1}'


def test_the_id_of_an_error_is_left_out_null_or_echoed() -> None:
    assert b'"id"' not in error_frame(NO_ID, -32700, "x")
    assert b'"id":null' in error_frame(None, -32700, "x")
    assert b'"id":"7"' in error_frame("7", -32700, "x")


@pytest.mark.parametrize(
    ("head", "id"),
    [
        (b'{"jsonrpc":"2.0","id":12,"result":{"x":"yyy', 12),
        (b' { "id" : "a\\"b" , "jsonrpc":"2.0"', 'a"b'),
        (b'{"jsonrpc":"2.0","method":"x","id":1', None),
        (b'{"jsonrpc":"2.0","id":tr', None),
        (b'{"jsonrpc":"2.0","id":99999999999999999999,', None),
        (b"xxxx", None),
    ],
)
def test_the_id_of_a_cut_message_is_read_where_it_stands_in_front(head: bytes, id: int | str | None) -> None:
    assert id_in_head(head) == id
