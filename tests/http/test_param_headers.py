"""``Mcp-Param-*``: what a client makes of its arguments, and what a server accepts beside them."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.http.param_headers import compile_check, compile_extractor
from mcpcore.spec.header_params import header_params

SAFE = 2**53 - 1
EXAMPLE = {"region": "Region", "count": "Count", "urgent": "Urgent", "/outer/inner": "Inner"}
WORDS = {"region": "us-west1", "count": 42, "urgent": True, "outer": {"inner": "deep"}, "query": "SELECT"}
HEADERS = {
    "mcp-param-region": "us-west1",
    "mcp-param-count": "42",
    "mcp-param-urgent": "true",
    "mcp-param-inner": "deep",
}

extract = compile_extractor(EXAMPLE)
examine = compile_check(EXAMPLE)
values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.text(max_size=20) | st.floats(-1e9, 1e9) | st.just([])
)
arguments = st.dictionaries(st.sampled_from(["region", "count", "urgent", "query"]), values) | st.builds(
    lambda inner: {"outer": inner}, values | st.dictionaries(st.sampled_from(["inner", "other"]), values)
)


def wrapped(value: str) -> str:
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def check_one(value: Any, header: str | None, *repeated: str) -> str | None:
    """One parameter ``a`` with the header ``A``; the value absent where it is ``...``."""
    given_arguments = {} if value is ... else {"a": value}
    headers = {} if header is None else {"mcp-param-a": header}
    return compile_check({"a": "A"})(given_arguments, headers, frozenset(repeated))


# --- the client -------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2026-07-28/streamable-http/M30",
    "2026-07-28/streamable-http/M49",
    "2026-07-28/streamable-http/M51",
    "2026-07-28/streamable-http/M56",
)
def test_each_annotated_argument_has_its_header() -> None:
    assert extract(WORDS) == [
        ("Mcp-Param-Region", "us-west1"),
        ("Mcp-Param-Count", "42"),
        ("Mcp-Param-Urgent", "true"),
        ("Mcp-Param-Inner", "deep"),
    ]


def test_what_a_schema_annotates_is_what_is_extracted() -> None:
    odd = {"type": "object", "properties": {"a/b": {"type": "string", "x-mcp-header": "Odd"}}}
    schema = {"type": "object", "properties": {"/top": odd, "/": {"type": "integer", "x-mcp-header": "Slash"}}}
    assert compile_extractor(header_params(schema))({"/top": {"a/b": "x"}, "/": 1}) == [
        ("Mcp-Param-Odd", "x"),
        ("Mcp-Param-Slash", "1"),
    ]


@pytest.mark.spec("2026-07-28/streamable-http/M41", "2026-07-28/streamable-http/M50")
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("", ""),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ("a\r\nX-Admin: yes", wrapped("a\r\nX-Admin: yes")),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (42.0, "42"),
        (SAFE, "9007199254740991"),
        (-SAFE, "-9007199254740991"),
    ],
)
def test_a_value_is_written_by_its_type(value: Any, header: str) -> None:
    assert compile_extractor({"a": "A"})({"a": value}) == [("Mcp-Param-A", header)]
    assert check_one(value, header) is None


@pytest.mark.spec("2026-07-28/streamable-http/M57", "2026-07-28/streamable-http/M58")
@pytest.mark.parametrize(
    "absent",
    [None, {}, {"region": None}, {"outer": None}, {"outer": {}}, {"outer": {"inner": None}}, {"outer": "x"}, []],
)
def test_null_and_absent_arguments_have_no_header_and_none_is_expected(absent: Any) -> None:
    assert extract(absent) == []
    assert examine(absent, {}, frozenset()) is None


@pytest.mark.parametrize("value", [[], ["a"], {}, {"a": 1}, 1.5, float("nan"), float("inf")])
def test_a_value_that_no_header_can_say_is_left_to_the_schema(value: Any) -> None:
    assert compile_extractor({"a": "A"})({"a": value}) == []
    assert check_one(value, None) is None
    assert check_one(value, "a") == "Header mismatch: Mcp-Param-A does not match the argument 'a'"


@pytest.mark.spec("2026-07-28/streamable-http/M36")
@pytest.mark.parametrize("value", [SAFE + 1, -SAFE - 1, 10**400, 1e300])
def test_an_integer_beyond_the_safe_range_is_neither_sent_nor_accepted(value: Any) -> None:
    with pytest.raises(ValueError, match=r"the argument 'a' goes into a header: it must be within ±\(2\*\*53 - 1\)"):
        compile_extractor({"a": "A"})({"a": value})
    if value < 10**300:
        assert check_one(value, str(value)) == "Header mismatch: Mcp-Param-A does not match the argument 'a'"
        assert check_one(value, f"{value}.0") == "Header mismatch: Mcp-Param-A does not match the argument 'a'"


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M54")
def test_headers_that_match_are_no_mismatch() -> None:
    assert examine(WORDS, HEADERS, frozenset()) is None


def test_headers_that_no_parameter_asked_for_are_ignored() -> None:
    assert examine(WORDS, HEADERS | {"mcp-param-other": "é"}, frozenset({"mcp-param-other"})) is None
    assert compile_check({})(WORDS, HEADERS, frozenset()) is None


@pytest.mark.spec("2026-07-28/streamable-http/M60")
def test_the_case_of_a_header_s_name_does_not_matter() -> None:
    check = compile_check({"a": "X-REGION"})
    assert check({"a": "b"}, {"mcp-param-x-region": "b"}, frozenset()) is None
    assert check({"a": "b"}, {"mcp-param-x-region": "B"}, frozenset()) is not None


@pytest.mark.spec("2026-07-28/streamable-http/M59")
@pytest.mark.parametrize("name", HEADERS)
def test_a_value_without_its_header_is_a_mismatch(name: str) -> None:
    text = examine(WORDS, {header: value for header, value in HEADERS.items() if header != name}, frozenset())
    assert text is not None
    assert f"the {name} header of the argument" in text.lower()
    assert "is missing; list the tools" in text


@pytest.mark.spec("2026-07-28/streamable-http/M54")
@pytest.mark.parametrize("value", [..., None])
def test_a_header_without_its_value_is_a_mismatch(value: Any) -> None:
    assert check_one(value, "x") == (
        "Header mismatch: Mcp-Param-A is there, but the arguments have no value for 'a'; leave it out"
    )
    assert check_one(value, "") is not None


@pytest.mark.spec("2026-07-28/streamable-http/M54")
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("us-west1", "us-west2"),
        ("us-west1", "US-WEST1"),
        ("us-west1", ""),
        ("a b", "a  b"),
        ("42", "42.0"),
        ("true", "True"),
        (True, "True"),
        (True, "1"),
        (True, "1.0"),
        (False, "0"),
        (1, "true"),
        (42, "43"),
        (42, "42.5"),
        (42, "42."),
        (42, "+42"),
        (42, " 42"),
        (42, "4_2"),
        (42, "٤٢"),
        (42, "0x2a"),
        (42, ""),
        (42, "42.0000000000000000000000001"),
        (42, "9" * 5000),
        (9007199254740991, "9007199254740992"),
        (9007199254740991, "9007199254740991.5"),
    ],
)
def test_a_header_that_says_something_else_is_a_mismatch(value: Any, header: str) -> None:
    assert (check_one(value, header) or "").startswith("Header mismatch: Mcp-Param-A ")


@pytest.mark.spec("2026-07-28/streamable-http/S08")
@pytest.mark.parametrize(
    ("value", "header"),
    [(42, "42.0"), (42, "42.000"), (42.0, "42"), (42.0, "42.0"), (0, "-0"), (-7, "-7.0"), (7, "007")],
)
def test_integers_are_compared_as_numbers(value: Any, header: str) -> None:
    assert check_one(value, header) is None


@pytest.mark.spec("2026-07-28/streamable-http/M44", "2026-07-28/streamable-http/M45")
@pytest.mark.parametrize(
    ("value", "text"), [("plain", "plain"), ("世界", "世界"), (42, "42"), (42, "42.0"), (True, "true")]
)
def test_a_wrapped_value_is_unwrapped_before_it_is_compared(value: Any, text: str) -> None:
    assert check_one(value, wrapped(text)) is None


def test_what_looks_wrapped_is_never_taken_literally() -> None:
    assert check_one(wrapped("a"), wrapped("a")) is not None
    assert check_one(wrapped("a"), wrapped(wrapped("a"))) is None


@pytest.mark.spec("2026-07-28/streamable-http/M53")
@pytest.mark.parametrize("header", ["é", "a\x01", "=?base64?!!!?=", "=?base64?YQ?=", "=?base64?/w==?="])
def test_a_header_that_no_client_may_send_is_a_mismatch_even_where_it_equals_the_value(header: str) -> None:
    text = "Header mismatch: Mcp-Param-A has illegal characters or is no valid base64"
    assert check_one(header, header) == text


def test_a_header_that_came_twice_is_a_mismatch_though_it_may_equal_the_value() -> None:
    text = "Header mismatch: Mcp-Param-A came more than once; send it once"
    assert check_one("x, x", "x, x", "mcp-param-a") == text
    assert check_one(None, "x, x", "mcp-param-a") == text
    assert check_one("x", "x", "mcp-param-b") is None


def test_texts_never_show_a_value() -> None:
    for header in ("other", "é", None):
        assert "secret" not in (check_one("secret", header) or "secret")
    assert "secret" not in (check_one(None, "secret") or "secret")


# --- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M54")
@given(arguments)
def test_what_a_client_makes_of_its_arguments_is_what_a_server_accepts(given_arguments: Any) -> None:
    headers = {name.lower(): value for name, value in extract(given_arguments)}
    assert examine(given_arguments, headers, frozenset()) is None


@pytest.mark.spec("2026-07-28/streamable-http/M54", "2026-07-28/streamable-http/M59", "2026-07-28/streamable-http/S08")
@given(values, st.none() | st.sampled_from(["0", "0.0", "1", "1.0", "-1", "true", "false"]) | st.text(max_size=6))
def test_a_header_is_accepted_exactly_if_it_says_the_value(value: Any, header: str | None) -> None:
    written = compile_extractor({"a": "A"})({"a": value})
    accepted = check_one(value, header) is None
    if header is None or not written:
        assert accepted == (header is None and not written)
    elif isinstance(value, bool):
        assert accepted == (header == ("true" if value else "false"))
    elif isinstance(value, str):
        assert accepted == (header == value and re.fullmatch(r"[\t -~]*", header) is not None)
    else:
        assert accepted == (re.fullmatch(r"-?[0-9]+(\.0+)?", header) is not None and float(header) == value)
