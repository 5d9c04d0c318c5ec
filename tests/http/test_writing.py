"""HTTP/1.1 answers as bytes."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.core.limits import Limits
from mcpcore.http.reading import ResponseReader
from mcpcore.http.writing import REASONS, chunk, http_date, json_response, response, stream_head

DATE = b"Fri, 20 Nov 2026 17:00:00 GMT"


def test_a_whole_answer_says_its_length() -> None:
    assert response(200, (("content-type", "text/plain"),), b"four", date=DATE) == (
        b"HTTP/1.1 200 OK\r\ndate: Fri, 20 Nov 2026 17:00:00 GMT\r\n"
        b"content-type: text/plain\r\ncontent-length: 4\r\n\r\nfour"
    )


def test_the_ordinary_answer_is_that_answer() -> None:
    fields = (("content-type", "application/json"),)
    for body in (b"{}", b"x" * 100_000):
        assert json_response(body, DATE) == response(200, fields, body, date=DATE)


def test_an_answer_that_is_the_last_says_so() -> None:
    assert b"\r\nconnection: close\r\n\r\n" in response(400, (), b"x", date=DATE, close=True)
    assert b"connection" not in response(400, (), b"x", date=DATE)


def test_the_answer_to_head_counts_the_body_that_it_leaves_out() -> None:
    whole = response(200, (), b"body", date=DATE)
    assert response(200, (), b"body", date=DATE, head=True) == whole.removesuffix(b"body")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_never_has_a_body_does_not_count_one(status: int) -> None:
    data = response(status, (), b"not sent", date=DATE)
    assert b"content-length" not in data
    assert data.endswith(b"\r\n\r\n")


def test_every_status_has_its_reason_and_others_have_none() -> None:
    for status, reason in REASONS.items():
        assert response(status, (), b"", date=DATE).startswith(f"HTTP/1.1 {status} {reason}\r\n".encode())
    assert response(299, (), b"", date=DATE).startswith(b"HTTP/1.1 299 \r\ndate: ")


@pytest.mark.parametrize("bad", ["a\r\nset-cookie: x", "a\nb", "a\rb", "nul\0", "\x7f", "\x1b[0m"])
def test_a_value_that_could_end_its_line_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="the value of the header x-bad holds a control character"):
        response(200, (("x-bad", bad),), b"", date=DATE)
    with pytest.raises(ValueError, match="control character"):
        stream_head(200, (("x-bad", bad),), date=DATE, chunked=True)


def test_a_tab_and_latin_1_may_stand_in_a_value() -> None:
    assert b"\r\nx-good: a\tb\xe9\r\n" in response(200, (("x-good", "a\tb\xe9"),), b"", date=DATE)


def test_a_stream_is_chunked_or_ends_with_its_connection() -> None:
    chunked = stream_head(200, (), date=DATE, chunked=True)
    assert chunked.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
    assert b"connection" not in chunked
    closed = stream_head(200, (), date=DATE, chunked=False)
    assert closed.endswith(b"\r\nconnection: close\r\n\r\n")
    assert b"transfer-encoding" not in closed
    assert b"connection: close" in stream_head(200, (), date=DATE, chunked=True, close=True)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_are_read_as_what_was_written(pieces: list[bytes]) -> None:
    reader = ResponseReader(Limits(), fast=False)
    reader.expect("POST")
    reader.feed(stream_head(200, (), date=DATE, chunked=True) + b"".join(map(chunk, pieces)) + b"0\r\n\r\n")
    assert reader.next_head() is not None
    read = b""
    while (piece := reader.read_some()) is not None:
        assert piece
        read += piece
    assert read == b"".join(pieces)


@given(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 1, 1)))
def test_dates_are_written_as_the_standard_library_writes_them(moment: datetime.datetime) -> None:
    from email.utils import format_datetime

    moment = moment.replace(microsecond=0, tzinfo=datetime.UTC)
    written = http_date(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.weekday()
    )
    assert written.decode() == format_datetime(moment, usegmt=True)
