"""The chunked transfer coding: what is decoded, what is refused, and how much may stand beside the data."""

from __future__ import annotations

import pytest

from mcpcore.http.chunked import ChunkedDecoder
from mcpcore.http.h1 import CheckedDecoder
from mcpcore.http.messages import Malformed
from mcpcore.http.received import Received

BOTH = pytest.mark.parametrize("kind", [ChunkedDecoder, CheckedDecoder])
Kind = type[ChunkedDecoder] | type[CheckedDecoder]

END = b"0\r\n\r\n"

GOOD = {
    "nothing": (END, b""),
    "chunks": (b"5\r\nhello\r\n1\r\n!\r\n" + END, b"hello!"),
    "both cases of digits": (b"a\r\n0123456789\r\nA\r\n0123456789\r\n" + END, b"0123456789" * 2),
    "leading zeros": (b"0000000000000003\r\nabc\r\n000\r\n\r\n", b"abc"),
    "line ends as data": (b"4\r\n\r\n\r\n\r\n" + END, b"\r\n\r\n"),
    "an extension": (b'3;a=b;c="d e"\r\nabc\r\n0;last\r\n\r\n', b"abc"),
    "an extension in latin-1": (b"3;\xe9\r\nabc\r\n" + END, b"abc"),
    "trailers": (b"3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n", b"abc"),
}

BAD = {
    "no size": b"\r\nabc\r\n",
    "no digits": b"xyz\r\nabc\r\n",
    "a sign": b"+3\r\nabc\r\n",
    "below zero": b"-3\r\nabc\r\n",
    "a prefix": b"0x3\r\nabc\r\n",
    "an underscore": b"1_0\r\n0123456789abcdef\r\n",
    "a space in front": b" 3\r\nabc\r\n",
    "a space behind": b"3 \r\nabc\r\n",
    "a tab before an extension": b"3\t;a\r\nabc\r\n",
    "17 digits": b"00000000000000003\r\nabc\r\n",
    "a lone LF behind the size": b"3\nabc\r\n",
    "a lone CR behind the size": b"3\rabc\r\n",
    "a lone LF in an extension": b"3;a\nb\r\nabc\r\n",
    "a lone CR in an extension": b"3;a\rb\r\nabc\r\n",
    "NUL in an extension": b"3;\x00\r\nabc\r\n",
    "more data than the size says": b"3\r\nabcd\r\n",
    "less data than the size says": b"3\r\nab\r\n0\r\n\r\n",
    "a lone LF behind the data": b"3\r\nabc\n0\r\n\r\n",
    "two line ends behind the data": b"3\r\nabc\r\n\r\n0\r\n\r\n",
    "a trailer without a colon": b"0\r\nabc\r\n\r\n",
    "a trailer with a space in its name": b"0\r\na b: c\r\n\r\n",
    "a folded trailer": b"0\r\na: b\r\n c\r\n\r\n",
    "a lone LF behind a trailer": b"0\r\na: b\n\r\n",
    "a transfer coding as a trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a length as a trailer": b"0\r\ncontent-length: 5\r\n\r\n",
    "NUL in a trailer": b"0\r\na: \x00\r\n\r\n",
    "a lone CR where the end should be": b"0\r\n\rx\r\n\r\n",
}


def decode(kind: Kind, data: bytes, step: int, limit: int | None = None) -> tuple[bytes, bytes]:
    """The body, and what is left behind it."""
    decoder, received = kind(), Received()
    body = b""
    for start in range(0, len(data), step):
        received.feed(data[start : start + step])
        if not decoder.ended:
            body += decoder.decode(received, limit)
    assert decoder.ended
    return body, received.take(len(received))


@BOTH
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("case", GOOD)
def test_a_chunked_body_is_decoded_in_any_cut_and_what_follows_is_left(kind: Kind, step: int, case: str) -> None:
    data, body = GOOD[case]
    assert decode(kind, data + b"GET /", step) == (body, b"GET /")


@BOTH
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
@pytest.mark.parametrize("case", BAD)
def test_bad_chunks_are_refused_in_any_cut(kind: Kind, step: int, case: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode(kind, BAD[case], step)
    assert caught.value.status == 400


def test_a_line_that_ends_without_cr_is_not_waited_for() -> None:
    received = Received()
    received.feed(b"3\n")
    with pytest.raises(Malformed):
        ChunkedDecoder().decode(received)


@BOTH
@pytest.mark.parametrize("step", [97, 100_000])
@pytest.mark.parametrize(
    ("before", "unit", "behind"),
    [
        (b"3", b";ext=123", b"\r\nabc\r\n0\r\n\r\n"),
        (b"0\r\n", b"A: 89\r\n", b"\r\n"),
        (b"0\r\nA: ", b"12345678", b"\r\n\r\n"),
    ],
)
def test_extensions_and_trailers_are_bounded(kind: Kind, step: int, before: bytes, unit: bytes, behind: bytes) -> None:
    decode(kind, before + unit * 1000 + behind, step)
    with pytest.raises(Malformed) as caught:
        decode(kind, before + unit * 1200 + behind, step)
    assert caught.value.status == 400


@pytest.mark.parametrize("before", [b"3;", b"0\r\nA: "])
def test_a_line_that_never_ends_is_not_waited_for(before: bytes) -> None:
    received, decoder = Received(), ChunkedDecoder()
    received.feed(before + b"e" * 8_000)
    assert decoder.decode(received) == b""
    received.feed(b"e" * 1_000)
    with pytest.raises(Malformed):
        decoder.decode(received)


def test_the_extensions_of_all_chunks_are_counted_together() -> None:
    chunk = b"1;" + b"e" * 99 + b"\r\nx\r\n"
    assert decode(ChunkedDecoder, chunk * 81 + END, 1000)[0] == b"x" * 81
    with pytest.raises(Malformed):
        decode(ChunkedDecoder, chunk * 82 + END, 1000)


def test_when_all_extensions_are_used_up_plain_chunks_still_pass_byte_by_byte() -> None:
    data = b"1;" + b"e" * (8 * 1024 - 1) + b"\r\nx\r\n"
    assert decode(ChunkedDecoder, data + b"0000000000000002\r\nyz\r\n" + END, 1)[0] == b"xyz"
    with pytest.raises(Malformed):
        decode(ChunkedDecoder, data + b"2;\r\nyz\r\n" + END, 1)


@BOTH
@pytest.mark.parametrize("step", [1, 1000])
def test_a_body_over_the_limit_is_refused_when_its_size_is_known(kind: Kind, step: int) -> None:
    assert decode(kind, b"3\r\nabc\r\n2\r\nde\r\n" + END, step, limit=5)[0] == b"abcde"
    with pytest.raises(Malformed) as caught:
        decode(kind, b"3\r\nabc\r\n3\r\n", step, limit=5)
    assert caught.value.status == 413
