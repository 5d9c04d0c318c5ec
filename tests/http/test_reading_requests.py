"""The server's reader: the same requests from any cut, each refusal beside its accepted neighbour, bounds."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http.messages import Malformed, RequestHead
from mcpcore.http.reading import RequestReader
from mcpcore.http.received import MAX_TARGET
from tests.http.streams import LIMITS, requests

EITHER = pytest.mark.parametrize("fast", [True, False], ids=["fast", "h11"])
HEAD = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*lines: bytes, version: bytes = b"1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([b"POST / HTTP/" + version, *([host] if host else []), *lines, b"", b"hello"])


def get(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""])


FULL = (LIMITS.max_head_bytes - len(get(b"A: ", b"B: ", b"C: ", b"D: "))) // 4
"""Four fields of this length make the longest head."""

# What is refused, with which status, and the neighbour that is not.
REFUSED: dict[str, tuple[int, bytes, bytes]] = {
    "a length and a transfer coding": (
        400,
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        post(b"Content-Length: 5"),
    ),
    "an unknown transfer coding": (501, post(b"Transfer-Encoding: gzip"), CHUNKED + b"0\r\n\r\n"),
    "chunked and another": (501, post(b"Transfer-Encoding: gzip, chunked"), CHUNKED + b"0\r\n\r\n"),
    "chunked twice": (
        501,
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        CHUNKED + b"0\r\n\r\n",
    ),
    "chunked in HTTP/1.0": (
        400,
        post(b"Transfer-Encoding: chunked", version=b"1.0"),
        post(b"Content-Length: 5", version=b"1.0"),
    ),
    "two lengths that differ": (
        400,
        post(b"Content-Length: 5", b"Content-Length: 6"),
        post(b"Content-Length: 5", b"Content-Length: 5"),
    ),
    "two lengths in one field that differ": (400, post(b"Content-Length: 5, 6"), post(b"Content-Length: 5, 5")),
    "an empty length": (400, post(b"Content-Length:"), post(b"Content-Length:5")),
    "a length with a sign": (400, post(b"Content-Length: +5"), post(b"Content-Length: 5")),
    "a length below zero": (400, post(b"Content-Length: -5"), post(b"Content-Length: 5")),
    "a length in hexadecimal": (400, post(b"Content-Length: 0x5"), post(b"Content-Length: 05")),
    "a length with a fraction": (400, post(b"Content-Length: 5.0"), post(b"Content-Length: 5")),
    "a length with an underscore": (400, post(b"Content-Length: 0_5"), post(b"Content-Length: 05")),
    "a folded field": (400, get(b"A: b", b" c"), get(b"A: b", b"B: c")),
    "a field folded by a tab": (400, get(b"A: b", b"\tc"), get(b"A: b\tc")),
    "a space in front of the first field": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", GET),
    "a space before the colon": (400, get(b"A : b"), get(b"A: b")),
    "a space in a name": (400, get(b"A b: c"), get(b"A-b: c")),
    "an empty name": (400, get(b": c"), get(b"A: c")),
    "a line without a colon": (400, get(b"Accept"), get(b"Accept:")),
    "a lone CR in a value": (400, get(b"A: b\rc"), get(b"A: b c")),
    "a lone LF in a value": (400, get(b"A: b\nC: d"), get(b"A: b", b"C: d")),
    "a lone LF behind the request line": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n", GET),
    "lone LFs everywhere": (400, b"GET / HTTP/1.1\nHost: a\n\n", GET),
    "an empty line of a lone LF": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n", GET),
    "NUL in a value": (400, get(b"A: b\0c"), get(b"A: bc")),
    "a control character in a value": (400, get(b"A: \x1b[0m"), get(b"A: [0m")),
    "DEL in a value": (400, get(b"A: \x7f"), get(b"A: \xff")),
    "a vertical tab before chunked": (400, post(b"Transfer-Encoding: \x0bchunked"), CHUNKED + b"0\r\n\r\n"),
    "no host": (400, post(b"Content-Length: 5", host=b""), post(b"Content-Length: 5", host=b"", version=b"1.0")),
    "two hosts": (400, get(b"Host: a"), get(b"X-Host: a")),
    "two empty lines in front": (400, b"\r\n\r\n" + GET, b"\r\n" + GET),
    "a lone LF in front": (400, b"\n" + GET, b"\r\n" + GET),
    "a space in front": (400, b" " + GET, GET),
    "a TLS hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", GET),
    "two spaces in the request line": (400, GET.replace(b" /", b"  /"), GET),
    "a tab in the request line": (400, GET.replace(b" /", b"\t/"), GET),
    "a space behind the version": (400, GET.replace(b"1.1", b"1.1 "), GET),
    "no target": (400, GET.replace(b" /", b""), GET),
    "a target in UTF-8": (400, GET.replace(b"/", "/ä".encode(), 1), GET.replace(b"/", b"/%C3%A4", 1)),
    "HTTP/0.9": (400, b"GET /\r\n\r\n", GET),
    "another protocol": (400, GET.replace(b"HTTP", b"ICY"), GET),
    "a lower-case protocol": (400, GET.replace(b"HTTP", b"http"), GET),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/1.0\r\n\r\n"),
    "HTTP/1.2": (505, GET.replace(b"1.1", b"1.2"), GET),
    "a target of 8 KiB and a byte": (
        414,
        GET.replace(b"/", b"/" * (MAX_TARGET + 1), 1),
        GET.replace(b"/", b"/" * MAX_TARGET, 1),
    ),
    "a target longer than a head": (414, b"GET " + b"/" * 100_000, GET),
    "too long a head": (
        431,
        get(*[name + b"v" * (FULL + 1) for name in (b"A: ", b"B: ", b"C: ", b"D: ")]),
        get(*[name + b"v" * FULL for name in (b"A: ", b"B: ", b"C: ", b"D: ")]),
    ),
    "a head without an end": (431, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000, GET),
    "too many fields": (431, get(*[b"A%d: b" % n for n in range(100)]), get(*[b"A%d: b" % n for n in range(99)])),
    "too many fields of one name": (431, get(*[b"A: b"] * 100), get(*[b"A: b"] * 99)),
    "a head that is cut off": (400, GET[:-1], GET),
    "a body that is cut off": (400, HEAD + b"hell", HEAD + b"hello"),
    "chunks that are cut off": (400, CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"),
    "a bad chunk size": (400, CHUNKED + b"5x\r\nhello\r\n0\r\n\r\n", CHUNKED + b"5;x\r\nhello\r\n0\r\n\r\n"),
    "a body over the limit": (
        413,
        HEAD.replace(b"5", b"10001") + b"x" * 10001,
        HEAD.replace(b"5", b"10000") + b"x" * 10000,
    ),
    "chunks over the limit": (
        413,
        CHUNKED + b"2710\r\n" + b"x" * 10_000 + b"\r\n1\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n",
    ),
}

STREAMS = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "half an empty line": b"\r",
    "requests one after the other": GET + HEAD + b"hello" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET,
    "an empty line before each": b"\r\n" + GET + b"\r\n" + HEAD + b"hello\r\n" + GET,
    "ordinary and odd in turn": GET + get(b"A:", b"a: \xe9", b"Expect: 100-continue") + HEAD + b"hello" + get(b"B:b"),
    "nothing behind the last request": HEAD + b"hello" + GET[:20],
    "noise behind a request": HEAD + b"hello\x00\x01\x02",
}


def fed(data: bytes, *, fast: bool = True, limits: Limits = LIMITS) -> RequestReader:
    reader = RequestReader(limits, fast=fast)
    reader.feed(data)
    return reader


def head_of(reader: RequestReader) -> RequestHead:
    head = reader.next_head()
    assert head is not None
    return head


@EITHER
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_gets_its_status_and_its_neighbour_is_served(case: str, fast: bool) -> None:
    status, bad, good = REFUSED[case]
    assert requests(bad, fast=fast)[-1] == status
    served = requests(good, fast=fast)
    assert served[-1] == "ended" and len(served) > 1


@EITHER
@pytest.mark.parametrize("case", [*REFUSED, *STREAMS])
def test_the_cut_does_not_matter(case: str, fast: bool) -> None:
    for stream in REFUSED[case][1:] if case in REFUSED else [STREAMS[case]]:
        whole = requests(stream, fast=fast)
        if len(stream) < 1000:
            assert requests(stream, range(len(stream)), fast=fast) == whole
            for cut in range(1, len(stream), 1 if fast else 7):
                assert requests(stream, [cut], fast=fast) == whole, cut
        else:
            assert requests(stream, range(0, len(stream), 97), fast=fast) == whole


@pytest.mark.parametrize("case", [*REFUSED, *STREAMS])
def test_the_fast_path_changes_nothing(case: str) -> None:
    for stream in REFUSED[case][1:] if case in REFUSED else [STREAMS[case]]:
        assert requests(stream, fast=True) == requests(stream, fast=False)


@EITHER
@pytest.mark.parametrize("step", [1, 1000])
def test_an_empty_line_before_each_request_is_passed_over(fast: bool, step: int) -> None:
    stream = b"\r\n" + GET + b"\r\n" + HEAD + b"hello\r\n" + GET + b"\r\n"
    found = requests(stream, range(0, len(stream), step), fast=fast)
    assert [one for one in found if not isinstance(one, dict)] == [b"", b"hello", b"", "ended"]


@EITHER
def test_pipelined_requests_come_one_after_the_other(fast: bool) -> None:
    reader = fed(HEAD + b"hello" + GET + HEAD + b"wor", fast=fast)
    assert head_of(reader).method == "POST"
    assert reader.read_body(10) == b"hello"
    assert head_of(reader).method == "GET"
    assert reader.read_body(10) == b""
    assert head_of(reader).method == "POST"
    assert reader.read_body(10) is None
    reader.feed(b"ld" + GET[:5])
    assert reader.read_body(10) == b"world"
    assert reader.next_head() is None


def test_a_body_that_comes_in_one_read_of_its_own_is_not_copied() -> None:
    reader = fed(HEAD)
    head_of(reader)
    body = bytes(bytearray(b"hello"))
    reader.feed(body)
    assert reader.read_body(10) is body
    assert reader.buffered == 0


@EITHER
def test_a_length_over_the_limit_is_refused_before_a_byte_of_the_body(fast: bool) -> None:
    reader = fed(HEAD, fast=fast)
    head_of(reader)
    with pytest.raises(Malformed) as caught:
        reader.read_body(4)
    assert caught.value.status == 413


@EITHER
def test_a_chunk_over_the_limit_is_refused_before_its_data(fast: bool) -> None:
    reader = fed(CHUNKED + b"3\r\nabc\r\n2\r\n", fast=fast)
    head_of(reader)
    with pytest.raises(Malformed) as caught:
        reader.read_body(4)
    assert caught.value.status == 413


@EITHER
def test_a_malformed_connection_stays_so_and_keeps_nothing(fast: bool) -> None:
    reader = fed(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + b"x" * 1000, fast=fast)
    for _ in range(2):
        with pytest.raises(Malformed) as caught:
            reader.next_head()
        assert caught.value.status == 400
        reader.feed(GET)
        assert reader.buffered == 0
    with pytest.raises(Malformed):
        reader.read_body(10)
    assert not reader.ended


def test_a_reader_that_failed_is_freed_without_the_garbage_collector() -> None:
    class Watched(RequestReader):
        __slots__ = ("__weakref__",)

    reader = Watched(LIMITS)
    gone = weakref.ref(reader)
    reader.feed(b"\0")
    gc.disable()
    try:
        with pytest.raises(Malformed):
            reader.next_head()
        del reader
        assert gone() is None
    finally:
        gc.enable()


@EITHER
def test_what_is_buffered_counts_raw_and_decoded_bytes(fast: bool) -> None:
    reader = fed(CHUNKED + b"5\r\nhello\r\n5\r\nwor", fast=fast)
    assert reader.buffered == len(CHUNKED) + 16
    head_of(reader)
    assert reader.buffered == 16
    assert reader.read_body(100) is None
    assert reader.buffered == 8  # the sizes and line ends are gone
    reader.feed(b"ld\r\n0\r\n\r\nGET")
    assert reader.read_body(100) == b"helloworld"
    assert reader.buffered == 3


def test_a_request_has_started_while_its_head_is_incomplete() -> None:
    reader = RequestReader(LIMITS)
    assert not reader.started
    reader.feed(HEAD[:1])
    assert reader.started and reader.next_head() is None and reader.started
    reader.feed(HEAD[1:] + b"he")
    head_of(reader)
    assert not reader.started  # what is held belongs to the body
    reader.feed(b"llo")
    assert reader.read_body(10) == b"hello"
    assert not reader.started
    reader.feed(b"\r\n")
    assert reader.next_head() is None
    assert not reader.started  # an empty line alone is no beginning


@pytest.mark.parametrize("step", [1, 1000])
def test_an_idle_connection_holds_no_bytes_that_were_read(step: int) -> None:
    reader = RequestReader(LIMITS)
    assert reader.is_empty
    for start in range(0, len(HEAD), step):
        reader.feed(HEAD[start : start + step])
        assert not reader.is_empty
    head_of(reader)
    assert reader.is_empty  # nothing of the body has come
    for start in range(0, 5, step):
        reader.feed(b"hello"[start : start + step])
    assert reader.read_body(10) == b"hello"
    assert reader.is_empty and not reader._received.data
    reader.feed_eof()
    assert not reader.is_empty  # there is an end to be noticed


def test_a_reader_has_ended_when_the_input_ends_between_requests() -> None:
    reader = fed(GET)
    reader.feed_eof()
    assert not reader.ended
    head_of(reader)
    assert reader.ended and reader.next_head() is None
    reader.feed(GET)  # a transport may still deliver what it had read
    assert reader.ended and reader.next_head() is None


def test_an_end_inside_a_body_is_told_when_the_body_is_asked_for() -> None:
    reader = fed(HEAD + b"hell")
    reader.feed_eof()
    head_of(reader)
    assert not reader.ended
    with pytest.raises(Malformed) as caught:
        reader.read_body(10)
    assert caught.value.status == 400


def test_the_next_head_waits_for_the_body() -> None:
    reader = fed(HEAD + b"hell")
    head_of(reader)
    with pytest.raises(RuntimeError, match="read_body"):
        reader.next_head()


def test_who_waits_for_a_word_before_the_body_is_told_apart() -> None:
    reader = fed(HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert head_of(reader).expect_continue
    assert reader.read_body(10) is None
    reader.feed(b"hello")
    assert reader.read_body(10) == b"hello"


@EITHER
def test_limits_are_those_that_were_given(fast: bool) -> None:
    limits = Limits(max_head_bytes=len(GET), max_headers=1)
    assert requests(GET, fast=fast, limits=limits)[-1] == "ended"
    assert requests(get(b"A: b"), fast=fast, limits=limits) == [431]
    assert requests(get(b"A: b"), fast=fast, limits=Limits(max_headers=1)) == [431]
    assert requests(get(b"A: b"), fast=fast, limits=Limits(max_headers=2))[-1] == "ended"
    assert requests(GET[:-2] + b"A: b", fast=fast, limits=limits) == [431]


def test_no_more_is_held_than_the_largest_head_and_one_read() -> None:
    reader = RequestReader(LIMITS)
    held = 0
    with pytest.raises(Malformed) as caught:
        for _ in range(10_000):
            reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nA: bbb" if not held else b"c" * 1000)
            held = max(held, reader.buffered)
            reader.next_head()
    assert caught.value.status == 431
    assert held <= LIMITS.max_head_bytes + 1000


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (get(b"A: " + b"v" * 5_000), get(b"A: " + b"v" * 30_000)),
        (get(*[b"A%d: b" % n for n in range(10)]), get(*[b"A%d: b" % n for n in range(90)])),
        (HEAD.replace(b"5", b"50000") + b"x" * 50_000, HEAD.replace(b"5", b"500000") + b"x" * 500_000),
        (CHUNKED + b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n", CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"),
        (GET * 200, GET * 2000),
    ],
    ids=["a long line", "many lines", "a body", "small chunks", "many requests"],
)
def test_time_is_linear_in_the_bytes_however_they_are_cut(small: bytes, large: bytes) -> None:
    def cost(stream: bytes, step: int) -> float:
        best = 1e9
        for _ in range(3):
            begin = time.process_time()
            assert requests(stream, range(0, len(stream), step), limit=1 << 20)[-1] == "ended"
            best = min(best, time.process_time() - begin)
        return best / len(stream)

    for step in (1 if len(large) < 50_000 else 10, 1000):
        assert cost(large, step) < 4 * cost(small, step) + 1e-6


def test_the_odd_and_the_ordinary_take_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def spy(head: bytes, limits: Limits) -> Any:
        read.append(head)
        return RequestHead("SPY", "/", {})

    monkeypatch.setattr("mcpcore.http.reading.read_request_head", spy)
    assert head_of(fed(GET)).method == "GET"
    assert head_of(fed(GET, fast=False)).method == "SPY"
    assert head_of(fed(GET.replace(b"1.1", b"1.0"))).method == "SPY"
    assert read == [GET, GET.replace(b"1.1", b"1.0")]


def test_the_same_head_again_is_the_same_object_and_another_one_is_not() -> None:
    reader = RequestReader(Limits())
    once = b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    longer = once.replace(b": 2", b": 20")
    heads = []
    for head, body in ((once, b"ab"), (once, b"cd"), (longer, b"e" * 20), (once, b"fg")):
        reader.feed(head + body)
        heads.append(reader.next_head())
        assert reader.read_body(100) == body
    assert heads[0] is heads[1]
    assert heads[2] is not None and heads[2].content_length == 20
    assert heads[3] is not None and heads[3].content_length == 2


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_head_that_begins_like_the_one_before_is_read_to_its_end(cut: int) -> None:
    once = b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    twice = once[:-2] + b"Origin: http://y\r\n\r\n"
    reader = RequestReader(Limits())
    reader.feed(once)
    assert reader.next_head() is not None
    assert reader.read_body(0) == b""
    reader.feed(twice[:cut])
    assert reader.next_head() is None
    reader.feed(twice[cut:])
    head = reader.next_head()
    assert head is not None and head.headers["origin"] == "http://y"


def test_with_the_fast_path_off_every_head_is_read() -> None:
    reader = RequestReader(Limits(), fast=False)
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    reader.feed(head + head)
    first = reader.next_head()
    assert reader.read_body(0) == b""
    assert reader.next_head() is not first
