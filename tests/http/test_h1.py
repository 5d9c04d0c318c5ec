"""What h11 reads, and what is refused before h11 sees it or after."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http import h1
from mcpcore.http.chunked import ChunkedDecoder
from mcpcore.http.h1 import CheckedDecoder, read_request_head, read_response_head
from mcpcore.http.messages import Malformed, RequestHead, ResponseHead
from mcpcore.http.received import Received

LIMITS = Limits()


def request(*lines: bytes) -> RequestHead:
    return read_request_head(b"\r\n".join([*lines, b"", b""]), LIMITS)


def response(*lines: bytes) -> ResponseHead:
    head = read_response_head(b"\r\n".join([*lines, b"", b""]), LIMITS)
    assert head is not None
    return head


def refused(*lines: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        request(*lines)
    return caught.value


def test_fields_have_lower_case_names_and_values_without_outer_white_space() -> None:
    head = request(b"GET /a?b=c HTTP/1.1", b"HOST:\t a \t", b"X-Empty:", b"X-Latin: \xe9 \xff", b"X-In:a \t b")
    assert head.headers == {"host": "a", "x-empty": "", "x-latin": "é ÿ", "x-in": "a \t b"}
    assert (head.method, head.target, head.path, head.query) == ("GET", "/a?b=c", "/a", "b=c")
    assert not head.repeated


def test_a_field_that_comes_twice_is_joined_and_named() -> None:
    head = request(b"GET / HTTP/1.1", b"Host: a", b"X: 1", b"x: 2", b"Y: 3", b"X: 1")
    assert head.headers["x"] == "1, 2, 1"
    assert head.repeated == {"x"}


@pytest.mark.parametrize("target", [b"http://a/b", b"*", b"a:80", b"/a#b", b"b"])
def test_any_form_of_target_is_handed_on(target: bytes) -> None:
    assert request(b"OPTIONS %b HTTP/1.1" % target, b"Host: a").target == target.decode()


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", None, True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"Upgrade", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Keep-Alive , CLOSE", False),
        (b"1.1", b"closer, close\xa0", True),
        (b"1.0", None, False),
        (b"1.0", b"keep-alive", False),
    ],
)
def test_who_keeps_the_connection(version: bytes, connection: bytes | None, stays: bool) -> None:
    fields = [b"Host: a"] if connection is None else [b"Host: a", b"Connection: " + connection]
    assert request(b"GET / HTTP/" + version, *fields).keep_alive is stays
    assert response(b"HTTP/" + version + b" 200 OK", *fields).keep_alive is stays


def test_the_connection_field_may_come_twice() -> None:
    assert not request(b"GET / HTTP/1.1", b"Host: a", b"Connection: x", b"Connection: close").keep_alive


@pytest.mark.parametrize(
    ("version", "expect", "waits"),
    [
        (b"1.1", b"100-continue", True),
        (b"1.1", b"100-Continue", True),
        (b"1.1", b"other", False),
        (b"1.0", b"100-continue", False),
    ],
)
def test_who_waits_for_a_word_before_the_body(version: bytes, expect: bytes, waits: bool) -> None:
    head = request(b"POST / HTTP/" + version, b"Host: a", b"Content-Length: 1", b"Expect: " + expect)
    assert head.expect_continue is waits


def test_the_length_of_a_body_is_told() -> None:
    assert request(b"GET / HTTP/1.1", b"Host: a").content_length is None
    assert request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 0").content_length == 0
    assert request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 007").content_length == 7
    assert request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 7", b"Content-Length: 7").content_length == 7
    assert (
        request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 12345678901234567890").content_length
        == 12345678901234567890
    )
    head = request(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: Chunked")
    assert (head.content_length, head.chunked) == (None, True)


def test_a_head_of_the_allowed_size_is_read_although_h11_alone_would_refuse_it() -> None:
    fields = [b"X-%d: " % number + b"v" * 1000 for number in range(31)]
    assert len(request(b"GET / HTTP/1.1", b"Host: a", *fields).headers) == 32


def test_a_complaint_does_not_repeat_what_came() -> None:
    malformed = refused(b"GET / HTTP/1.1", b"Host: a", b"Authorization : Bearer secret")
    assert malformed.status == 400
    assert "illegal header line" in malformed.text and "secret" not in malformed.text


def test_an_interim_response_is_none() -> None:
    assert read_response_head(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", LIMITS) is None
    with pytest.raises(Malformed):  # nobody asked for another protocol
        read_response_head(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", LIMITS)


def test_a_folded_field_of_a_response_is_one_field() -> None:
    assert response(b"HTTP/1.1 200 OK", b"X: a", b"\t b").headers == {"x": "a b"}


def test_a_response_says_status_and_reason() -> None:
    head = response(b"HTTP/1.1 404 N\xf6", b"Content-Length: 3")
    assert (head.status, head.reason, head.content_length, head.version) == (404, "Nö", 3, "1.1")
    assert response(b"HTTP/1.0 204").reason == ""


class Wrong(ChunkedDecoder):
    """A decoder with a bug."""

    def decode(self, received: Received, limit: int | None = None) -> bytes:
        return super().decode(received, limit).replace(b"l", b"L")


class Late(ChunkedDecoder):
    """A decoder that does not see the end."""

    def decode(self, received: Received, limit: int | None = None) -> bytes:
        data = super().decode(received, limit)
        self.ended = False
        return data


def received(data: bytes) -> Received:
    held = Received()
    held.feed(data)
    return held


def test_a_checked_body_is_what_both_readings_say() -> None:
    decoder = CheckedDecoder()
    assert decoder.decode(received(b"5;a=b\r\nhel")) == b"hel"
    assert not decoder.ended
    rest = received(b"lo\r\n0\r\nX: y\r\n\r\nnext")
    assert decoder.decode(rest) == b"lo"
    assert decoder.ended
    assert rest.take(10) == b"next"


@pytest.mark.parametrize("decoder", [Wrong, Late])
def test_a_checked_body_on_which_two_readings_differ_is_refused(decoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h1, "ChunkedDecoder", decoder)
    with pytest.raises(Malformed, match="differ"):
        CheckedDecoder().decode(received(b"5\r\nhello\r\n0\r\n\r\n"))
