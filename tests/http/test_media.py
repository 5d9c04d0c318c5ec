"""``Accept`` and ``Content-Type``, as RFC 9110 reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.http.media import accepts, is_event_stream, is_json

BOTH, JSON, STREAM, NEITHER = (True, True), (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json, text/event-stream", BOTH),
        ("text/event-stream,application/json", BOTH),
        ("application/json", JSON),
        ("text/event-stream", STREAM),
        ("text/html", NEITHER),
        ("*/*", BOTH),
        ("application/*", JSON),
        ("text/*", STREAM),
        ("Application/JSON, TEXT/Event-Stream", BOTH),
        (" application/json\t,\ttext/event-stream ", BOTH),
        (",, application/json ,,", JSON),
        ("application/jsonp, text/event-streams, xapplication/json", NEITHER),
    ],
)
def test_ranges_name_types_and_wildcards(accept: str, expected: tuple[bool, bool]) -> None:
    assert accepts(accept) == expected


@pytest.mark.parametrize("accept", [None, "", " ", " , ,"])
def test_who_names_nothing_takes_anything(accept: str | None) -> None:
    assert accepts(accept) == BOTH


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json;q=0.5, text/event-stream;q=0.001", BOTH),
        ("application/json;q=0, text/event-stream", STREAM),
        ("application/json; Q=0.000, text/event-stream;q=1.000", STREAM),
        ("application/json;q=0.", NEITHER),
        ("application/json;q=1.", JSON),
        ('application/json;q="0", text/event-stream', STREAM),
    ],
)
def test_a_weight_of_zero_refuses(accept: str, expected: tuple[bool, bool]) -> None:
    assert accepts(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*, application/json;q=0", STREAM),
        ("application/json;q=0, */*", STREAM),
        ("*/*;q=0, application/json", JSON),
        ("text/*;q=0, */*", JSON),
        ("text/*;q=0, text/event-stream, */*;q=0", STREAM),
        ("application/json;q=0, application/*;q=1, */*", STREAM),
        ("application/json;q=0, application/json;charset=utf-8", JSON),
        ("application/json, application/json;charset=utf-8;q=0", NEITHER),
        ("application/json;q=0, application/*;charset=utf-8", NEITHER),
        ("application/json;q=0, application/json", JSON),
    ],
)
def test_the_most_specific_range_decides(accept: str, expected: tuple[bool, bool]) -> None:
    assert accepts(accept) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json; charset=utf-8, text/event-stream;charset=UTF-8", BOTH),
        ('application/json; charset="utf-8"', JSON),
        ("application/json; charset=latin-1", NEITHER),
        ("application/json; version=2", NEITHER),
        ("application/json; version=2, */*;q=0.1", BOTH),
        ('application/json; note="a, text/event-stream;q=0", text/event-stream', STREAM),
        ("application/json;q=1;note=x", JSON),
        ("application/json;;q=0.5;", JSON),
        ("application/json ; q=0", NEITHER),
    ],
)
def test_a_range_with_parameters_matches_only_types_that_have_them(accept: str, expected: tuple[bool, bool]) -> None:
    assert accepts(accept) == expected


@pytest.mark.parametrize(
    "malformed",
    [
        *[
            "json",
            "*",
            "/",
            "application/",
            "/json",
            "application/json/x",
            "appli cation/json",
            "*/json",
            "application /json",
        ],
        *["application/json;q=2", "application/json;q=1.5", "application/json;q=x", "application/json;q=0.0001"],
        *["application/json;q=", "application/json;q", "application/json;q =1", "application/json x", "@/@", "é/é"],
        *['application/json;a="b', 'application/json;a="b"c', "application/json;q=-1", "application/json;q=.5"],
    ],
)
def test_a_malformed_range_is_passed_over(malformed: str) -> None:
    assert accepts(f"text/event-stream, {malformed}") == STREAM


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json;charset=utf-8",
        'application/json ; Charset="UTF-8"',
        'application/json; charset="u\\tf-8"',
        "application/json; foo=bar; charset=utf-8",
        "application/json;",
    ],
)
def test_a_json_body_is_recognised(content_type: str) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        *[None, "", "json", "text/json", "text/plain", "application/json-rpc", "application/problem+json", "*/*"],
        *["application/json; charset=latin-1", "application/json;charset=utf-16", "application/json; charset=utf-8x"],
        *["application/json; charset=utf-8; charset=latin-1", "application/json, application/json"],
        *[
            "application/json;charset",
            "application/json charset=utf-8",
            "text/plain; application/json",
            "xapplication/json",
        ],
    ],
)
def test_any_other_body_is_not(content_type: str | None) -> None:
    assert not is_json(content_type)


def test_an_event_stream_is_recognised() -> None:
    assert is_event_stream("text/event-stream")
    assert is_event_stream("text/Event-Stream; charset=UTF-8")
    assert not is_event_stream("application/json")
    assert not is_event_stream("text/event-stream; charset=utf-16")
    assert not is_event_stream(None)


@pytest.mark.parametrize(
    "piece", ['\\"', '"', '"\\', ";", ' ;a="', "a/", "!", ",", "a/b;q=0,", "a/b ", " ;", 'a/b;c="\\"', "a/b;q=0;"]
)
def test_a_header_of_the_longest_size_costs_no_more_than_it_is_long(piece: str) -> None:
    """What would go back over its steps would run into the limit of a test."""
    header = piece * (200_000 // len(piece))
    for text in (header, f"a/b{header}\\", f'a/b;c="{header}\\', header + "\0"):
        accepts(text)
        is_json(text)


@given(st.text(st.sampled_from('ax/*;=," \\q01.é'), max_size=40) | st.text(max_size=40))
def test_any_header_is_read_without_an_error(text: str) -> None:
    assert accepts(text) in (BOTH, JSON, STREAM, NEITHER)
    assert is_json(text) in (True, False)
