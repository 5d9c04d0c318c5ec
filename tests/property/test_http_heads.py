"""The fast path and h11 agree: what is taken means what h11 says, and with it or without it the same comes out.

h11 is asked directly here, through its public face: not by way of the module that uses it in the package.
"""

from __future__ import annotations

import random
from typing import Any

import h11
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mcpcore.core.limits import Limits
from mcpcore.http.chunked import ChunkedDecoder
from mcpcore.http.head import parse_request_head, parse_response_head
from mcpcore.http.messages import Malformed
from mcpcore.http.received import Received
from tests.http.streams import LIMITS, requests, responses

TIGHT = Limits(max_head_bytes=200, max_headers=6)
END = b"\r\n\r\n"
LARGEST_FED = 100_000
MANY = settings(max_examples=500)


def mostly(usual: Any, odd: Any) -> st.SearchStrategy[Any]:
    """Nearly always the usual, so that a head of many parts is ordinary now and then."""
    return st.integers(0, 15).flatmap(lambda number: odd if number == 0 else usual)


NAMES = st.sampled_from(
    b"Host host Content-Length content-length Transfer-Encoding Connection Expect Upgrade Accept ACCEPT Content-Type "
    b"Mcp-Name Mcp-Param-City Set-Cookie X!#$%&'*+-.^_`|~9".split()
)
ODD_NAMES = st.one_of(st.binary(max_size=6), st.sampled_from([b"", b"Host ", b" Host", b"H\tost", b"H:", b"\xe9"]))
VALUES = st.sampled_from(
    b"a/localhost:8000/application-json, text-event-stream/a: b/5/0/007/close/Close/keep-alive/Keep-Alive/chunked/"
    b"text-html; q=0.5/999999999999999".split(b"/")
)
ODD_VALUES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        b"/ a/a /\ta/a\tb/5, 5/+5/0x5/5\xb2/\xb2/keep-alive, close/Chunked/gzip, chunked/100-continue/close\xa0/\xa0/"
        b"\x85/a\x0b/9999999999999999/999999999999999999999/a\r\n b".split(b"/")
    ),
)
COLONS = mostly(st.just(b": "), st.sampled_from([b":", b":  ", b" : ", b":\t", b"", b" "]))
LINE_ENDS = mostly(st.just(b"\r\n"), st.sampled_from([b"\n", b"\r", b"\r\r\n", b"\n\r", b""]))
FIELDS = st.builds(
    lambda *parts: b"".join(parts), mostly(NAMES, ODD_NAMES), COLONS, mostly(VALUES, ODD_VALUES), LINE_ENDS
)
METHODS = mostly(st.sampled_from([b"POST", b"GET", b"DELETE", b"OPTIONS", b"HEAD"]), st.binary(max_size=5))
TARGETS = mostly(
    st.sampled_from([b"/", b"/mcp", b"/mcp?a=b?c&%20", b"//a", b"/~!$&'()*+,;=:@"]),
    st.sampled_from([b"*", b"http://a/", b"a:80", b"/#a", b"/\xe9", b"/a b", b"", b"/\x7f", b"/" * 300]),
)
VERSIONS = mostly(st.just(b"HTTP/1.1"), st.sampled_from([b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b""]))
SPACES = mostly(st.just(b" "), st.sampled_from([b"", b"  ", b"\t", b"\n"]))
HOSTS = mostly(st.just(b"Host: a\r\n"), st.just(b""))
STATUSES = mostly(
    st.sampled_from([b"200", b"202", b"204", b"304", b"404", b"500", b"999"]),
    st.sampled_from([b"100", b"103", b"101", b"000", b"20", b"2000", b"2 0", b""]),
)
REASONS = mostly(st.sampled_from([b" OK", b" Not Found", b" "]), st.sampled_from([b"", b" \t", b" \xe9", b" \x01"]))


def joined(*parts: bytes | list[bytes]) -> bytes:
    return b"".join(b"".join(part) if isinstance(part, list) else part for part in parts)


SOME_FIELDS = st.lists(FIELDS, max_size=5)
REQUEST_HEADS = st.builds(
    joined, METHODS, SPACES, TARGETS, SPACES, VERSIONS, LINE_ENDS, HOSTS, SOME_FIELDS, st.just(b"\r\n")
)
RESPONSE_HEADS = st.builds(joined, VERSIONS, SPACES, STATUSES, REASONS, LINE_ENDS, SOME_FIELDS, st.just(b"\r\n"))

SIZES = mostly(
    st.sampled_from([b"5\r\nhello\r\n", b"1\r\nx\r\n", b"A\r\n0123456789\r\n", b"3;a=b\r\nabc\r\n"]),
    st.sampled_from(
        [b"5\r\nhell\r\n", b"5 \r\nhello\r\n", b"5;\n\r\nhello\r\n", b"-1\r\n", b"0x1\r\nx\r\n", b"1\nx\r\n"]
    ),
)
LASTS = mostly(
    st.sampled_from([b"0\r\n\r\n", b"000\r\n\r\n", b"0;a\r\n\r\n", b"0\r\nX: y\r\n\r\n"]),
    st.sampled_from(
        b"0\r\n|0\n\n|0\r\nX\r\n\r\n|0\r\n X: y\r\n\r\n|0\r\nX: y\n\r\n||0\r\nTransfer-Encoding: y\r\n\r\n|"
        b"0\r\nContent-Length: 1, 2\r\n\r\n".split(b"|")
    ),
)
CHUNKS = st.builds(joined, st.lists(SIZES, max_size=4), LASTS)
BODIES = st.one_of(st.just(b""), st.just(b"hello"), CHUNKS, st.binary(max_size=8))
REQUEST_STREAMS = st.lists(st.builds(joined, REQUEST_HEADS, BODIES), min_size=1, max_size=3).map(b"".join)
RESPONSE_STREAMS = st.lists(st.builds(joined, RESPONSE_HEADS, BODIES), min_size=1, max_size=3).map(b"".join)
CUTS = st.lists(st.integers(0, 600), max_size=6)

ORDINARY = [
    b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAccept: application/json, text/event-stream\r\n"
    b"Content-Type: application/json\r\nMcp-Name: add\r\nContent-Length: 12\r\n\r\nhello, world",
    b"GET /mcp?a=b HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"DELETE http://a/ HTTP/1.0\r\nX:\r\nX:  y \r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: Upgrade, close\r\n\r\n",
]
ORDINARY_ANSWERS = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 \r\nA: b\r\n c\r\n\r\nuntil the end",
    b"HTTP/1.1 204\r\n\r\nHTTP/1.1 304 x\r\ncontent-length: 10\r\n\r\n",
]
SPLINTERS = [
    *b"\r\n/\n/\r/:/: /0\r\n\r\n/\r\n\r\n/ /\t/5/;/?/#/,/\x00/\x7f/\x0b/\xa0/\xff/1111111111111111".split(b"/"),
    *b"Host: x\r\n/Content-Length: 5\r\n/Transfer-Encoding: chunked\r\n/Connection: close\r\n".split(b"/"),
    *[b"Expect: 100-continue\r\n", b"HTTP/1.0", b"HTTP/2.0", b"/"],
]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    return mutate(draw(st.sampled_from(originals)), draw(st.randoms(use_true_random=False)))


def mutate(original: bytes, chance: random.Random) -> bytes:
    """A few bytes replaced, inserted, left out, doubled or flipped."""
    data = bytearray(original)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3, 6])):
        place, kind = chance.randrange(len(data) + 1), chance.randrange(6)
        if kind == 0:
            data[place:place] = chance.choice(SPLINTERS)
        elif kind == 1:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            del data[place : place + chance.randrange(1, 5)]
        elif kind == 3:
            source = chance.randrange(len(data) + 1)
            data[place:place] = data[source : source + chance.randrange(40)]
        elif kind == 4:
            data[place : place + 1] = chance.choice(SPLINTERS)
        elif place < len(data):
            data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


def fields(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def check_request_head(head: bytes) -> bool:
    """Whether the fast path takes a head (with its empty line); what it takes must mean what h11 says."""
    taken = parse_request_head(head, 0, len(head) - len(END))
    if taken is None:
        return False
    reference = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reference.receive_data(head)
    request = reference.next_event()
    assert isinstance(request, h11.Request)
    assert (taken.method, taken.target) == (request.method.decode(), request.target.decode())
    assert list(taken.headers.items()) == fields(request.headers) and not taken.repeated
    assert (taken.version, taken.chunked) == (request.http_version.decode(), False)
    assert taken.expect_continue == reference.they_are_waiting_for_100_continue
    length = taken.content_length or 0
    if 0 < length <= LARGEST_FED:
        reference.receive_data(b"x" * length)
        data = reference.next_event()
        assert isinstance(data, h11.Data) and len(data.data) == length
    if length <= LARGEST_FED:
        assert isinstance(reference.next_event(), h11.EndOfMessage)
        assert (reference.their_state is h11.DONE) == taken.keep_alive
    return True


def check_response_head(head: bytes) -> bool:
    """The same for a response to a GET."""
    taken = parse_response_head(head, 0, len(head) - len(END))
    if taken is None:
        return False
    reference = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    reference.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    reference.send(h11.EndOfMessage())
    reference.receive_data(head)
    response = reference.next_event()
    assert isinstance(response, h11.Response)
    assert (taken.status, taken.reason) == (response.status_code, response.reason.decode())
    assert list(taken.headers.items()) == fields(response.headers) and not taken.repeated
    assert taken.version == response.http_version.decode()
    if taken.status in (204, 304):
        body, expected = b"", b""
    elif taken.chunked:
        body, expected = b"5\r\nhello\r\n0\r\n\r\n", b"hello"
    elif taken.content_length is not None and taken.content_length <= LARGEST_FED:
        body = expected = b"x" * taken.content_length
    else:
        return True
    if body:
        reference.receive_data(body)
    data = b""
    while isinstance(part := reference.next_event(), h11.Data):
        data += part.data
    assert data == expected and isinstance(part, h11.EndOfMessage)
    assert (reference.their_state is h11.DONE) == taken.keep_alive
    return True


def one_head(stream: bytes) -> bytes:
    """What stands before the first empty line, with it."""
    return stream.partition(END)[0] + END


@MANY
@given(st.one_of(REQUEST_HEADS, mutated(ORDINARY)))
def test_a_request_head_that_is_taken_means_what_h11_says(stream: bytes) -> None:
    event("taken" if check_request_head(one_head(stream)) else "declined")


@MANY
@given(st.one_of(RESPONSE_HEADS, mutated(ORDINARY_ANSWERS)))
def test_a_response_head_that_is_taken_means_what_h11_says(stream: bytes) -> None:
    event("taken" if check_response_head(one_head(stream)) else "declined")


@MANY
@given(st.one_of(REQUEST_STREAMS, mutated(ORDINARY), st.binary(max_size=60)), CUTS, st.booleans())
def test_neither_the_cut_nor_the_fast_path_changes_what_is_read_of_a_client(
    stream: bytes, cuts: list[int], tight: bool
) -> None:
    limits = TIGHT if tight else LIMITS
    whole = requests(stream, limits=limits, limit=9)
    event(str(whole[-1]))
    assert whole[-1] != "hangs"
    assert requests(stream, cuts, limits=limits, limit=9) == whole
    assert requests(stream, cuts, limits=limits, limit=9, fast=False) == whole
    assert requests(stream, range(len(stream)), limits=limits, limit=9) == whole


@MANY
@given(
    st.one_of(RESPONSE_STREAMS, mutated(ORDINARY_ANSWERS), st.binary(max_size=60)),
    CUTS,
    st.sampled_from(["POST", "HEAD", "CONNECT"]),
)
def test_neither_the_cut_nor_the_fast_path_changes_what_is_read_of_a_server(
    stream: bytes, cuts: list[int], method: str
) -> None:
    whole = responses(stream, method=method)
    event(str(whole[-1]))
    assert whole[-1] != "hangs"
    assert responses(stream, cuts, method=method) == whole
    assert responses(stream, cuts, method=method, fast=False) == whole
    assert responses(stream, range(len(stream)), method=method) == whole


@MANY
@given(st.one_of(CHUNKS, st.builds(mutate, CHUNKS, st.randoms(use_true_random=False))))
def test_a_chunked_body_that_is_decoded_is_what_h11_decodes(body: bytes) -> None:
    decoder, received = ChunkedDecoder(), Received()
    received.feed(body)
    try:
        data = decoder.decode(received)
    except Malformed:
        event("refused")
        return  # stricter than h11, which takes white space behind a size and anything in an extension
    event("complete" if decoder.ended else "incomplete")
    reference = h11.Connection(h11.SERVER)
    reference.receive_data(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + body)
    assert isinstance(reference.next_event(), h11.Request)
    expected = b""
    while isinstance(part := reference.next_event(), h11.Data):
        expected += part.data
    assert data == expected
    assert decoder.ended == isinstance(part, h11.EndOfMessage)
    if decoder.ended:
        assert received.take(len(received)) == reference.trailing_data[0]


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_damaged_streams_are_read_the_same_with_and_without_the_fast_path(seed: int) -> None:
    chance = random.Random(seed)
    taken = 0
    for _ in range(1500):
        stream = mutate(chance.choice(ORDINARY), chance) + mutate(chance.choice(ORDINARY), chance)
        cuts = [chance.randrange(len(stream) + 1) for _ in range(chance.randrange(4))]
        assert requests(stream, cuts) == requests(stream, fast=False)
        taken += check_request_head(one_head(stream))
        stream = mutate(chance.choice(ORDINARY_ANSWERS), chance) + mutate(chance.choice(ORDINARY_ANSWERS), chance)
        assert responses(stream, cuts[:1]) == responses(stream, fast=False)
        taken += check_response_head(one_head(stream))
    assert taken > 300  # else nothing was compared
