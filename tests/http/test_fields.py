"""How a value travels in a header, and whether the standard headers say what the body says."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.http.fields import check_standard, decode_value, encode_value, standard_headers
from mcpcore.spec.meta import PROTOCOL_VERSION

META = {PROTOCOL_VERSION: "2026-07-28"}
GOOD = {"mcp-method": "tools/call", "mcp-name": "forecast", "mcp-protocol-version": "2026-07-28"}
NAMED = [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")]

interesting = st.text(st.sampled_from(" \tab=?é世\n\r\0\x7f"), max_size=12) | st.text(max_size=30)
texts = interesting | st.builds("{}{}{}".format, st.sampled_from(["=?base64?", ""]), interesting, st.just("?="))


def wrapped(value: str) -> str:
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M41", "2026-07-28/streamable-http/M42", "2026-07-28/streamable-http/M46")
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_values_travel_as_in_the_specification_s_examples(value: str, header: str) -> None:
    assert encode_value(value) == header
    assert decode_value(header) == value


@pytest.mark.parametrize(
    "value", ["", "a b", "~", "!", "=?base64?", "?=", "=?base64?a", "a?=", "=?BASE64?YQ==?=", "=?b?="]
)
def test_a_plain_value_stays_as_it_is(value: str) -> None:
    assert encode_value(value) == value
    assert decode_value(value) == value


@pytest.mark.spec("2026-07-28/streamable-http/M42")
@pytest.mark.parametrize(
    "value", [" a", "a ", " ", "\ta", "a\t", "a\tb", "a\r\nX: y", "\0", "\x7f", "é", "\x85", "=?base64?="]
)
def test_what_could_be_read_as_something_else_is_wrapped(value: str) -> None:
    assert encode_value(value) == wrapped(value)
    assert decode_value(encode_value(value)) == value


@pytest.mark.spec("2026-07-28/streamable-http/M42", "2026-07-28/streamable-http/M50")
@given(texts)
def test_every_value_comes_through_a_header_that_every_server_reads(value: str) -> None:
    header = encode_value(value)
    assert re.fullmatch(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?", header)
    assert decode_value(header) == value


def test_a_lone_surrogate_cannot_travel() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_value("\ud800")


def test_a_tab_inside_a_header_is_legal_to_read() -> None:
    assert decode_value("a\tb") == "a\tb"


@pytest.mark.parametrize("header", ["é", "a\x7f", "a\0", "a\rb", "a\n", "\x85", "世"])
def test_a_header_with_other_characters_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        decode_value(header)


@pytest.mark.parametrize(
    "payload",
    [
        "YQ",
        "YQ=",
        "YQ===",
        "=YQ=",
        "YQ==YQ==",
        "YR==",
        "Y Q==",
        " YQ==",
        "YQ==\t",
        "Y-_=",
        "Y",
        "é",
        "?",
        "!!!!",
        "=",
        "====",
    ],
)
def test_base64_that_no_encoder_writes_is_refused(payload: str) -> None:
    with pytest.raises(ValueError):
        decode_value(f"=?base64?{payload}?=")


@pytest.mark.parametrize("value", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80"])
def test_base64_of_what_is_no_utf8_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        decode_value(f"=?base64?{base64.b64encode(value).decode()}?=")


def test_markers_that_share_a_character_hold_nothing() -> None:
    with pytest.raises(ValueError):
        decode_value("=?base64?=")
    assert decode_value("=?base64??=") == ""


@pytest.mark.spec("2026-07-28/streamable-http/M43")
@pytest.mark.parametrize(
    "header", ["=?BASE64?YQ==?=", "=?Base64?YQ==?=", "=?base64?YQ==", "YQ==?=", "=?utf-8?b?YQ==?="]
)
def test_a_header_without_the_exact_markers_is_literal(header: str) -> None:
    assert decode_value(header) == header


@given(st.text(st.characters(max_codepoint=255), max_size=30) | texts)
def test_a_header_is_read_or_refused_and_nothing_else(header: str) -> None:
    try:
        value = decode_value(header)
    except ValueError:
        return
    assert decode_value(encode_value(value)) == value


# --- standard headers, the client -------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M27", "2026-07-28/streamable-http/M47", "2026-07-28/streamable-http/M48")
@pytest.mark.parametrize(("method", "member"), NAMED)
def test_requests_for_one_thing_name_it(method: str, member: str) -> None:
    params = {"name": "other", "uri": "other", member: "file:///a b.txt"}
    assert standard_headers(method, params) == [("Mcp-Method", method), ("Mcp-Name", "file:///a b.txt")]


@pytest.mark.spec("2026-07-28/streamable-http/M27")
@pytest.mark.parametrize("method", ["tools/list", "server/discover", "completion/complete", "acme/x", "Tools/call"])
def test_every_other_request_says_its_method_alone(method: str) -> None:
    assert standard_headers(method, {"name": "a", "uri": "b"}) == [("Mcp-Method", method)]


@pytest.mark.spec("2026-07-28/streamable-http/M28")
def test_a_name_that_is_not_plain_is_wrapped() -> None:
    assert standard_headers("tools/call", {"name": "wetter für"})[1] == ("Mcp-Name", wrapped("wetter für"))


@pytest.mark.parametrize("params", [None, {}, [], ["name"], {"name": None}, {"name": 3}])
def test_a_request_without_its_name_has_no_header_for_it(params: Any) -> None:
    assert standard_headers("tools/call", params) == [("Mcp-Method", "tools/call")]


@pytest.mark.parametrize("method", ["a\r\nX: y", "é", " a", "=?base64?YQ==?="])
def test_a_method_that_would_break_its_header_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a header"):
        standard_headers(method, None)


# --- standard headers, the server -------------------------------------------------------------------------------------


@given(st.sampled_from(NAMED), texts)
def test_what_a_client_sends_is_what_a_server_checks(named: tuple[str, str], name: str) -> None:
    method, member = named
    params = {member: name}
    headers = {header.lower(): value for header, value in standard_headers(method, params)}
    assert check_standard(method, params, META, headers | {"mcp-protocol-version": "2026-07-28"}) is None


def check(method: str = "tools/call", params: Any = None, meta: Any = META, repeated: Any = (), **headers: Any) -> Any:
    """With headers as keyword arguments, None for one that is missing."""
    sent = GOOD | {name.replace("_", "-"): value for name, value in headers.items()}
    present = {name: value for name, value in sent.items() if value is not None}
    return check_standard(
        method, {"name": "forecast"} if params is None else params, meta, present, frozenset(repeated)
    )


def test_headers_that_match_are_no_mismatch() -> None:
    assert check() is None
    assert check("tools/list", {}, mcp_method="tools/list", mcp_name=None) is None


@pytest.mark.spec("2026-07-28/streamable-http/M61")
@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (
            {"mcp_name": "foo"},
            "Header mismatch: Mcp-Name header value 'foo' does not match body value 'forecast'",
        ),
        (
            {"mcp_name": "Forecast"},
            "Header mismatch: Mcp-Name header value 'Forecast' does not match body value 'forecast'",
        ),
        ({"mcp_name": None}, "Header mismatch: the Mcp-Name header is missing; the body says 'forecast'"),
        ({"mcp_name": ""}, "Header mismatch: Mcp-Name header value '' does not match body value 'forecast'"),
        (
            {"mcp_method": "tools/list"},
            "Header mismatch: Mcp-Method header value 'tools/list' does not match body value 'tools/call'",
        ),
        (
            {"mcp_method": "Tools/Call"},
            "Header mismatch: Mcp-Method header value 'Tools/Call' does not match body value 'tools/call'",
        ),
        ({"mcp_method": None}, "Header mismatch: the Mcp-Method header is missing; the body says 'tools/call'"),
    ],
)
def test_a_header_that_is_missing_or_says_something_else_is_a_mismatch(headers: dict[str, Any], text: str) -> None:
    assert check(**headers) == text


def test_a_method_is_never_wrapped() -> None:
    assert "does not match body value 'tools/call'" in check(mcp_method=wrapped("tools/call"))


@pytest.mark.spec("2026-07-28/streamable-http/M23")
@pytest.mark.parametrize(
    ("version", "text"),
    [
        (
            "2025-11-25",
            "Header mismatch: MCP-Protocol-Version header value '2025-11-25' does not match body value '2026-07-28'",
        ),
        (None, "Header mismatch: the MCP-Protocol-Version header is missing; the body says '2026-07-28'"),
    ],
)
def test_a_version_that_is_not_the_body_s_is_a_mismatch(version: str | None, text: str) -> None:
    assert check(mcp_protocol_version=version) == text


@pytest.mark.parametrize("meta", [None, {}, [], {PROTOCOL_VERSION: None}, {PROTOCOL_VERSION: 20260728}, "x"])
def test_a_body_without_its_version_is_the_envelope_check_s_affair(meta: Any) -> None:
    assert check(meta=meta) is None
    assert check(meta=meta, mcp_protocol_version=None) is None


@pytest.mark.parametrize("params", [{}, [], ["forecast"], {"name": None}, {"name": 3}, {"name": ["forecast"]}])
def test_a_body_without_its_name_is_the_params_check_s_affair(params: Any) -> None:
    assert check(params=params) is None
    assert check(params=params, mcp_name=None) is None


@pytest.mark.spec("2026-07-28/streamable-http/M45")
def test_a_name_is_unwrapped_before_it_is_compared() -> None:
    assert check(mcp_name=wrapped("forecast")) is None
    assert check(params={"name": "wetter für"}, mcp_name=wrapped("wetter für")) is None
    assert check(params={"name": wrapped("a")}, mcp_name=wrapped(wrapped("a"))) is None
    assert "header value 'a' does not match body value" in check(params={"name": wrapped("a")}, mcp_name=wrapped("a"))


@pytest.mark.parametrize("header", ["wetter für", "=?base64?!?=", "=?base64?/w==?="])
def test_a_name_that_is_no_legal_header_is_a_mismatch_even_where_it_equals_the_body(header: str) -> None:
    assert "has illegal characters or is no valid base64" in check(params={"name": header}, mcp_name=header)


@pytest.mark.parametrize("name", ["mcp-method", "mcp-name", "mcp-protocol-version"])
def test_a_header_that_came_twice_is_a_mismatch_though_both_may_be_right(name: str) -> None:
    text = check(repeated={name, "accept"})
    assert text.lower() == f"header mismatch: {name} came more than once; send it once"


def test_other_headers_may_come_twice() -> None:
    assert check(repeated={"accept", "mcp-param-region"}) is None


def test_a_text_holds_two_hundred_characters_of_a_name_at_most() -> None:
    text = check(params={"name": "x" * 5000}, mcp_name="y" * 5000)
    assert f"'{'y' * 200}…' does not match body value '{'x' * 200}…'" in text


def test_a_text_is_one_line_whatever_the_names_hold() -> None:
    assert check(mcp_name=wrapped("a\nb")).isprintable()
