"""The client's reader: how each response's body ends, what a connection that breaks leaves, and any cut."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http.messages import Malformed, ResponseHead
from mcpcore.http.reading import ResponseReader
from tests.http.streams import LIMITS, responses

EITHER = pytest.mark.parametrize("fast", [True, False], ids=["fast", "h11"])
OK = b"HTTP/1.1 200 OK\r\n"
JSON = OK + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
EVENTS = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# The stream, the method that was asked for, and the bodies; at the end "ended" or the status of what is malformed.
CASES: dict[str, tuple[bytes, str, list[Any]]] = {
    "nothing": (b"", "POST", ["ended"]),
    "a length": (JSON, "POST", [b"{}", "ended"]),
    "a length of zero": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "POST", [b"", "ended"]),
    "chunks": (EVENTS + CHUNKS, "POST", [b"hello world", "ended"]),
    "the end of the connection": (OK + b"\r\nhello", "GET", [b"hello", "ended"]),
    "the end of the connection, at once": (OK + b"\r\n", "GET", [b"", "ended"]),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", "GET", [b"hello", "ended"]),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "GET", [b"hello", "ended"]),
    "HEAD has no body": (OK + b"Content-Length: 5\r\n\r\n", "HEAD", [b"", "ended"]),
    "HEAD has no chunks either": (EVENTS, "HEAD", [b"", "ended"]),
    "204 has no body": (b"HTTP/1.1 204 No Content\r\n\r\n" + JSON, "POST", [b"", b"{}", "ended"]),
    "304 has no body": (b"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n" + JSON, "POST", [b"", b"{}", "ended"]),
    "a tunnel has no body": (OK + b"Transfer-Encoding: chunked\r\n\r\n", "CONNECT", [b"", "ended"]),
    "a refused tunnel has one": (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "CONNECT", [b"no", "ended"]),
    "interim responses": (CONTINUE + CONTINUE + JSON, "POST", [b"{}", "ended"]),
    "an interim response with fields": (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + JSON,
        "POST",
        [b"{}", "ended"],
    ),
    "only an interim response": (CONTINUE, "POST", ["ended"]),
    "several in a row": (JSON + EVENTS + CHUNKS + JSON, "POST", [b"{}", b"hello world", b"{}", "ended"]),
    "a folded field": (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", "POST", [b"{}", "ended"]),
    "two cookies": (OK + b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", "POST", [b"", "ended"]),
    "cut off inside the head": (JSON[:30], "POST", [400]),
    "cut off inside a length": (JSON[:-1], "POST", [400]),
    "cut off before a chunk": (EVENTS, "POST", [400]),
    "cut off inside a chunk": (EVENTS + CHUNKS[:5], "POST", [400]),
    "cut off before the last chunk": (EVENTS + CHUNKS[:-12], "POST", [400]),
    "cut off inside the trailers": (EVENTS + CHUNKS[:-1], "POST", [400]),
    "bad chunks": (EVENTS + b"5x\r\nhello\r\n", "POST", [400]),
    "a protocol that nobody asked for": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "POST", [400]),
    "a length and a transfer coding": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST",
        [400],
    ),
    "another transfer coding": (OK + b"Transfer-Encoding: gzip\r\n\r\n", "POST", [501]),
    "chunks in HTTP/1.0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, "POST", [400]),
    "two lengths that differ": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "POST", [400]),
    "a length that is no number": (OK + b"Content-Length: two\r\n\r\n{}", "POST", [400]),
    "lone line feeds": (JSON.replace(b"\r", b""), "POST", [400]),
    "NUL in a value": (OK + b"A: \0\r\n\r\n", "POST", [400]),
    "a space before the colon": (OK + b"A : b\r\n\r\n", "POST", [400]),
    "an empty line in front": (b"\r\n" + JSON, "POST", [400]),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", "POST", [400]),
    "another version": (JSON.replace(b"1.1", b"2.0"), "POST", [505]),
    "a status of four digits": (JSON.replace(b"200", b"2000"), "POST", [400]),
    "something behind an answer": (JSON + b"\0", "POST", [b"{}", 400]),
    "too long a head": (OK + b"A: b\r\n" * 10_000, "POST", [431]),
    "too many fields": (OK + b"".join(b"A%d: b\r\n" % n for n in range(101)) + b"\r\n", "POST", [431]),
}


def head_of(reader: ResponseReader) -> ResponseHead:
    head = reader.next_head()
    assert head is not None
    return head


def fed(data: bytes, *, method: str = "POST", fast: bool = True) -> ResponseReader:
    reader = ResponseReader(LIMITS, fast=fast)
    reader.expect(method)
    reader.feed(data)
    return reader


@EITHER
@pytest.mark.parametrize("case", CASES)
def test_bodies_end_where_they_should(case: str, fast: bool) -> None:
    stream, method, bodies = CASES[case]
    found = responses(stream, method=method, fast=fast)
    assert [one for one in found if not isinstance(one, dict)] == bodies


@EITHER
@pytest.mark.parametrize("case", CASES)
def test_the_cut_does_not_matter(case: str, fast: bool) -> None:
    stream, method, _ = CASES[case]
    whole = responses(stream, method=method, fast=fast)
    for cuts in [range(len(stream)), *([cut] for cut in range(1, min(len(stream), 400), 1 if fast else 5))]:
        assert responses(stream, cuts, method=method, fast=fast) == whole


@pytest.mark.parametrize("case", CASES)
def test_the_fast_path_changes_nothing(case: str) -> None:
    stream, method, _ = CASES[case]
    assert responses(stream, method=method, fast=True) == responses(stream, method=method, fast=False)


@EITHER
def test_a_stream_is_handed_on_as_it_comes(fast: bool) -> None:
    reader = fed(EVENTS, fast=fast)
    assert head_of(reader).chunked
    assert reader.read_some() == b""
    reader.feed(b"8\r\ndata: 1\n")
    assert reader.read_some() == b"data: 1\n"
    assert reader.read_some() == b""
    reader.feed(b"\r\n1\r\n\n\r\n3\r\nd")
    assert reader.read_some() == b"\nd"
    reader.feed(b"at\r\n0\r\n")
    assert reader.read_some() == b"at"
    reader.feed(b"\r\n" + JSON)
    assert reader.read_some() is None
    assert reader.read_some() is None
    assert head_of(reader).content_length == 2


@EITHER
def test_the_end_of_the_chunks_and_of_the_connection_may_come_together(fast: bool) -> None:
    reader = fed(EVENTS + b"3\r\nabc\r\n", fast=fast)
    head_of(reader)
    assert reader.read_some() == b"abc"
    reader.feed(b"0\r\n\r\n")
    reader.feed_eof()
    assert reader.read_some() is None
    assert reader.ended


@EITHER
def test_what_came_before_a_stream_broke_is_handed_on_first(fast: bool) -> None:
    reader = fed(EVENTS + b"5\r\nhel", fast=fast)
    head_of(reader)
    reader.feed_eof()
    assert reader.read_some() == b"hel"
    for _ in range(2):
        with pytest.raises(Malformed, match="ended inside"):
            reader.read_some()
    assert not reader.ended and reader.buffered == 0


@EITHER
@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (JSON, True),
        (EVENTS, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", False),
        (OK + b"\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_where_the_body_has_an_end_of_its_own(head: bytes, stays: bool, fast: bool) -> None:
    assert head_of(fed(head, fast=fast)).keep_alive is stays


def test_the_next_head_waits_for_the_body() -> None:
    reader = fed(JSON)
    head_of(reader)
    with pytest.raises(RuntimeError, match="read_some"):
        reader.next_head()


def test_what_follows_a_tunnels_answer_is_left() -> None:
    reader = fed(OK + b"\r\nSSH", method="CONNECT")
    head_of(reader)
    assert reader.read_some() is None
    assert reader.buffered == 3


def test_the_odd_and_the_ordinary_take_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def spy(head: bytes, limits: Limits) -> ResponseHead:
        return ResponseHead(599, {})

    monkeypatch.setattr("mcpcore.http.reading.read_response_head", spy)
    assert head_of(fed(JSON)).status == 200
    assert head_of(fed(JSON, fast=False)).status == 599
    assert head_of(fed(JSON.replace(b"OK", b""))).status == 200
    assert head_of(fed(JSON.replace(b" OK", b""))).status == 599
