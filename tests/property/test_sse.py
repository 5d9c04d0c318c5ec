"""Any stream, cut anywhere, is read as a plain transcription of the standard reads it; what is written is read back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcpcore.http.sse import COMMENT, Event, EventReader, EventTooLarge, event

LIMIT = 1 << 20

INTERESTING = [
    *[
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b":",
        b" ",
        b"data",
        b"data:",
        b"data: ",
        b"data: x\n\n",
        b"id",
        b"id: ",
        b"id: 1\n",
    ],
    *[b"event: ", b"event", b"retry: ", b"12", b"0", b"x", b"{}", b"\0", b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xff"],
    *["é".encode(), "\u2028".encode(), "\x85".encode(), b"\x85", b"\x0b", b"\x0c", b"\x1c", b": ping\n\n"],
]
streams = st.lists(st.sampled_from(INTERESTING), max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=8)
lines = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


def reference(stream: bytes) -> tuple[list[Event], str | None, int | None]:
    """Section 9.2.6 word for word, slowly, on characters that stand for bytes: events, last id, retry."""
    text = stream.decode("latin-1").removeprefix("\xef\xbb\xbf")
    ended, line = [], ""
    at = 0
    while at < len(text):
        if text[at] in "\r\n":
            ended.append(line)
            line = ""
            at += 2 if text[at : at + 2] == "\r\n" else 1
        else:
            line += text[at]
            at += 1
    events: list[Event] = []
    data = event_type = last_id_buffer = last_id = ""
    retry = None
    for line in ended:
        if line == "":
            last_id = last_id_buffer
            if data == "":
                event_type = ""
                continue
            data = data[:-1] if data.endswith("\n") else data
            events.append(Event(data.encode("latin-1"), utf8(event_type) or "message", utf8(last_id) or None))
            data = event_type = ""
        elif line.startswith(":"):
            continue
        else:
            field, value = line, ""
            if ":" in line:
                field, value = line[: line.index(":")], line[line.index(":") + 1 :]
                value = value[1:] if value.startswith(" ") else value
            if field == "event":
                event_type = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\0" not in value:
                last_id_buffer = value
            elif field == "retry" and value != "" and all(char in "0123456789" for char in value) and len(value) < 16:
                retry = int(value)
    return events, utf8(last_id) or None, retry


def utf8(value: str) -> str:
    return value.encode("latin-1").decode("utf-8", errors="replace")


def pieces_of(stream: bytes, places: list[int]) -> list[bytes]:
    places = sorted({min(place, len(stream)) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(places)]


def read(pieces: list[bytes], limit: int = LIMIT) -> tuple[list[Event], str | None, int | None, bool]:
    """What a reader makes of the pieces, and whether an event was too large."""
    reader = EventReader(limit)
    events: list[Event] = []
    try:
        for piece in pieces:
            events += reader.feed(piece)
    except EventTooLarge as error:
        return events + error.events, None, None, True
    return events, reader.last_id, reader.retry, False


@given(streams, cuts)
def test_a_stream_says_what_the_standard_says_however_it_is_cut(stream: bytes, places: list[int]) -> None:
    expected = (*reference(stream), False)
    assert read([stream]) == expected
    assert read(pieces_of(stream, places)) == expected
    assert read([stream[at : at + 1] for at in range(len(stream))]) == expected


@given(st.binary(max_size=60), cuts)
def test_so_do_any_bytes(stream: bytes, places: list[int]) -> None:
    assert read(pieces_of(stream, places)) == (*reference(stream), False)


@given(streams, cuts, st.integers(0, 30))
def test_an_event_is_too_large_or_not_however_it_is_cut(stream: bytes, places: list[int], limit: int) -> None:
    whole = read([stream], limit)
    assert read(pieces_of(stream, places), limit) == whole
    assert read([stream[at : at + 1] for at in range(len(stream))], limit) == whole


@given(
    st.lists(
        st.tuples(st.binary(max_size=30), lines | st.none(), lines | st.none(), st.integers(0, 10**14) | st.none())
    ),
    cuts,
)
def test_what_is_written_is_read_back(
    written: list[tuple[bytes, str | None, str | None, int | None]], places: list[int]
) -> None:
    stream = b""
    expected: list[Event] = []
    last_id: str | None = None
    last_retry: int | None = None
    for data, id_, type_, retry in written:
        stream += event(data, id=id_, event=type_, retry=retry) + COMMENT
        last_id = last_id if id_ is None else id_ or None
        last_retry = last_retry if retry is None else retry
        in_one_form = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        expected.append(Event(in_one_form, type_ or "message", last_id))
    assert read(pieces_of(stream, places)) == (expected, last_id, last_retry, False)
