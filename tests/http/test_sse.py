"""Server-sent events, one rule of the format at a time; every cut and every stream is in ``tests/property``."""

from __future__ import annotations

import pytest

from mcpcore.http.sse import COMMENT, Event, EventReader, EventTooLarge, event

LIMIT = 1 << 20


def read(*pieces: bytes) -> list[Event]:
    reader = EventReader(LIMIT)
    return [found for piece in pieces for found in reader.feed(piece)]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_message_is_one_data_line_and_a_blank_one() -> None:
    assert event(b'{"a":1}') == b'data: {"a":1}\n\n'


def test_an_event_says_its_type_id_and_retry_before_its_data() -> None:
    assert event(b"{}", id="7", retry=500, event="endpoint") == b"event: endpoint\nid: 7\nretry: 500\ndata: {}\n\n"


def test_an_event_that_primes_a_client_has_an_id_and_an_empty_data_field() -> None:
    assert event(b"", id="s-0") == b"id: s-0\ndata: \n\n"
    assert read(event(b"", id="s-0")) == [Event(b"", id="s-0")]


@pytest.mark.parametrize("data", [b"a\nb", b"a\r\nb", b"a\rb"])
def test_line_ends_in_the_data_never_end_the_event(data: bytes) -> None:
    assert event(data) == b"data: a\ndata: b\n\n"
    assert event(data, id="1") == b"id: 1\ndata: a\ndata: b\n\n"
    assert read(event(data)) == [Event(b"a\nb")]


def test_line_ends_at_the_edges_of_the_data_are_kept() -> None:
    assert read(event(b"\n\na\r")) == [Event(b"\n\na\n")]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n"])
def test_an_id_or_type_that_would_be_read_as_something_else_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="single lines"):
        event(b"", id=value)
    with pytest.raises(ValueError, match="single lines"):
        event(b"", event=value)


@pytest.mark.spec("2026-07-28/streamable-http/M18")
def test_a_comment_is_no_event_wherever_it_stands() -> None:
    assert read(COMMENT, event(b"1"), COMMENT, COMMENT, event(b"2"), COMMENT) == [Event(b"1"), Event(b"2")]


# --- reading ----------------------------------------------------------------------------------------------------------

STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "LF": (b"data: a\n\n", [Event(b"a")]),
    "CR": (b"data: a\r\r", [Event(b"a")]),
    "CRLF": (b"data: a\r\n\r\n", [Event(b"a")]),
    "every line end in one event": (b"data: a\rdata: b\ndata: c\r\n\n", [Event(b"a\nb\nc")]),
    "two events in one piece": (b"data: a\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
    "several data lines": (b"data: a\ndata:\ndata: c\n\n", [Event(b"a\n\nc")]),
    "data without a colon": (b"data\n\ndata\ndata\n\ndata:", [Event(b""), Event(b"\n")]),
    "one leading space": (b"data:  a \n\ndata:b\n\ndata:\tc\n\n", [Event(b" a "), Event(b"b"), Event(b"\tc")]),
    "a colon in the value": (b"data: a:b\n\n", [Event(b"a:b")]),
    "a type": (b"event: ping\ndata: a\n\ndata: b\n\n", [Event(b"a", "ping"), Event(b"b")]),
    "a type alone": (b"event: ping\n\ndata: b\n\n", [Event(b"b")]),
    "an empty type": (b"event: ping\nevent:\ndata: a\n\n", [Event(b"a")]),
    "an id stays in force": (b"id: 1\ndata: a\n\ndata: b\n\n", [Event(b"a", id="1"), Event(b"b", id="1")]),
    "an empty id takes it back": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [Event(b"a", id="1"), Event(b"b")]),
    "an id with NUL": (b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", [Event(b"a", id="1"), Event(b"b", id="1")]),
    "comments": (b": hello\n:\ndata: a\n:data: b\n\n", [Event(b"a")]),
    "unknown fields": (b"foo: 1\nfoo\nDATA: x\n data: x\ndata : x\ndata: a\n\n", [Event(b"a")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", [Event(b"a"), Event(b"c")]),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event(b"b")]),
    "blank lines": (b"\n\r\r\n\ndata: a\n\n\n\n", [Event(b"a")]),
    "an unfinished event": (b"data: a\n\ndata: b\n", [Event(b"a")]),
    "an unfinished line": (b"data: a\n\ndata: b", [Event(b"a")]),
    "line ends of other alphabets": (
        "data: \u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\n\n".encode(),
        [Event("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e".encode())],
    ),
    "bytes that are no UTF-8": (b"data: \xff\xe2\x80\n\n", [Event(b"\xff\xe2\x80")]),
    "no UTF-8 in id and type": (b"id: \xff\nevent: \xe2\ndata: a\n\n", [Event(b"a", "\ufffd", "\ufffd")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_its_standard_says(name: str) -> None:
    stream, events = STREAMS[name]
    assert read(stream) == events


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_comes_byte_by_byte_says_the_same(name: str) -> None:
    stream, events = STREAMS[name]
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    reader = EventReader(LIMIT)
    assert reader.feed(b"data: a\r") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"\ndata: b\r\n\r") == [Event(b"a\nb")]
    assert reader.feed(b"\n") == []
    assert reader.feed(b"data: c\n\n") == [Event(b"c")]


def test_a_byte_order_mark_counts_at_the_start_of_the_stream_and_not_of_a_piece() -> None:
    assert read(b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n") == [Event(b"a")]


def test_a_blank_line_dispatches_before_its_lf_came() -> None:
    assert EventReader(LIMIT).feed(b"data: a\r\n\r") == [Event(b"a")]


@pytest.mark.spec("2025-03-26/transports/Y12")
def test_the_last_id_is_that_of_the_last_whole_event() -> None:
    reader = EventReader(LIMIT)
    assert reader.last_id is None
    reader.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert reader.last_id == "1"
    reader.feed(b"\n")
    assert reader.last_id == "2"


def test_an_id_without_data_counts_though_there_is_no_event() -> None:
    reader = EventReader(LIMIT)
    assert reader.feed(b"id: 5\n\n") == []
    assert reader.last_id == "5"


def test_an_id_that_came_alone_is_not_lost_to_the_fast_path() -> None:
    reader = EventReader(LIMIT)
    assert reader.feed(b"id: 5\n") == []
    assert reader.feed(b"data: a\n\n") == [Event(b"a", id="5")]
    assert reader.last_id == "5"


@pytest.mark.parametrize("before", [b"data: 1\n", b"event: x\n", b"da", b"data: 1\r", b": comment", b"\xef\xbb"])
def test_an_event_in_one_piece_is_read_on_from_what_came_before(before: bytes) -> None:
    piece = b"data: a\n\n"
    assert read(before, piece) == read(before + piece)


@pytest.mark.parametrize(
    ("value", "retry"),
    [("0", 0), ("500", 500), ("0042", 42), ("", None), ("-1", None), ("1.5", None), ("1s", None), ("٣", None)],
)
def test_a_retry_is_digits_and_nothing_else(value: str, retry: int | None) -> None:
    reader = EventReader(LIMIT)
    assert reader.feed(f"retry:{value}\n".encode()) == []
    assert reader.retry == retry


def test_a_retry_of_thousands_of_digits_is_ignored() -> None:
    reader = EventReader(LIMIT)
    reader.feed(b"retry: " + b"9" * 10_000 + b"\n\nretry: 7\n\n")
    assert reader.retry == 7


# --- limits -----------------------------------------------------------------------------------------------------------


def test_an_event_within_the_limit_is_read_and_a_longer_one_is_not() -> None:
    assert EventReader(100).feed(b"data: " + b"x" * 94 + b"\n\n")[0].data == b"x" * 94
    with pytest.raises(EventTooLarge, match="longer than 100 bytes"):
        EventReader(100).feed(b"data: " + b"x" * 95 + b"\n\n")


@pytest.mark.parametrize(
    "endless", [b"data: " + b"x" * 4096, b":" * 4096, b"data\n" * 4096, b"data: xx\n" * 4096, b"id: " + b"1" * 4096]
)
def test_what_never_ends_is_given_up_whatever_it_is_made_of(endless: bytes) -> None:
    reader = EventReader(1000)
    with pytest.raises(EventTooLarge):
        for at in range(0, len(endless), 10):
            reader.feed(endless[at : at + 10])
    with pytest.raises(EventTooLarge):
        EventReader(1000).feed(endless)


def test_what_came_before_the_event_that_is_too_large_is_not_lost() -> None:
    with pytest.raises(EventTooLarge) as caught:
        EventReader(100).feed(b"id: 1\ndata: a\n\ndata: " + b"x" * 100)
    assert caught.value.events == [Event(b"a", id="1")]


def test_the_limit_is_one_event_s_and_not_the_stream_s() -> None:
    reader = EventReader(20)
    for _ in range(100):
        assert reader.feed(b": comment\ndata: 123\ndata: 456\n\n") == [Event(b"123\n456")]


def test_a_long_event_in_small_pieces_takes_linear_time() -> None:
    """Quadratic time would run into the limit of a test."""
    reader = EventReader(8 << 20)
    events = reader.feed(b"data: ")
    for _ in range(1 << 18):
        events += reader.feed(b"x" * 16)
    events += reader.feed(b"\n\n")
    assert [len(found.data) for found in events] == [4 << 20]


def test_an_event_of_very_many_lines_takes_linear_time() -> None:
    lines = 1 << 18
    (found,) = EventReader(8 << 20).feed(b"data: 0123456789\n" * lines + b"\n")
    assert found.data == b"\n".join([b"0123456789"] * lines)
