"""permessage-deflate on frames: inflated within the limit, and sent where it is worth it."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from typing import Any

import pytest

from mcpcore.core.limits import Limits
from mcpcore.websocket.deflate import Deflate
from tests.websocket.wire import (
    CONTINUATION,
    FIN,
    LIMITS,
    PING,
    ROLES,
    RSV1,
    RSV2,
    TEXT,
    Role,
    check,
    fact,
    frame,
    frames,
    outcome,
    read_frame,
    text,
)

pytestmark = pytest.mark.parametrize("role", ROLES)

AGREED = Deflate()
PROTOCOL_ERROR = ("violation", 1002)
NOT_INFLATED = ("violation", 1007)
TOO_LARGE = ("violation", 1009)
SIZES = [0, 1, 16, 64, 125, 126, 256, 1024, 4096, 32768, 65536, 131072]
BLOCK_SIZES = [-1, 0]  # levels of zlib: ordinary, and stored


def squeezed(message: bytes, *, bits: int = 15, level: int = -1) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def compressed(role: Role, message: bytes, **how: Any) -> bytes:
    return frame(role, TEXT, squeezed(message, **how), rsv=RSV1)


def prose(size: int) -> bytes:
    words = random.Random(size).choices(["tool", "result", '{"a": ', "1}", "größer", "content"], k=size)
    return " ".join(words).encode()[:size].decode(errors="ignore").encode()


# -- what comes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", BLOCK_SIZES)
@pytest.mark.parametrize("size", SIZES)
def test_a_compressed_message_is_inflated(role: Role, size: int, level: int) -> None:
    check(role, compressed(role, prose(size), level=level), [prose(size)], deflate=AGREED)


@pytest.mark.parametrize("bits", range(9, 16))
def test_every_window_of_the_peer_is_taken(role: Role, bits: int) -> None:
    message = prose(70_000)
    assert outcome(role, compressed(role, message, bits=bits), deflate=AGREED) == [message]


def test_many_compressed_messages_in_a_row(role: Role) -> None:
    messages = [prose(number * 7) for number in range(100)]
    stream = b"".join(compressed(role, message) for message in messages)
    assert outcome(role, stream, deflate=AGREED) == messages
    assert outcome(role, stream, range(0, len(stream), 11), deflate=AGREED) == messages


def test_what_is_not_compressed_comes_all_the_same(role: Role) -> None:
    stream = [text(role, "plain"), compressed(role, b"small"), text(role, "plain again")]
    check(role, stream, [b"plain", b"small", b"plain again"], deflate=AGREED)


def test_a_compressed_message_in_fragments_with_pings_between(role: Role) -> None:
    message = prose(500)
    payload = squeezed(message)
    stream = [frame(role, TEXT, payload[:1], rsv=RSV1, fin=False)]
    for at in range(1, len(payload)):
        stream += [frame(role, PING), frame(role, CONTINUATION, payload[at : at + 1], fin=False)]
    stream.append(frame(role, CONTINUATION))
    pings = [("ping", b"")] * (len(payload) - 1)
    assert outcome(role, b"".join(stream), deflate=AGREED) == [*pings, message]
    assert outcome(role, b"".join(stream), range(10_000), deflate=AGREED) == [*pings, message]


def test_an_empty_compressed_message(role: Role) -> None:
    check(role, frame(role, TEXT, b"\x00", rsv=RSV1), [b""], deflate=AGREED)


@pytest.mark.parametrize(
    "payload",
    [
        bytes.fromhex("f248cdc9c90700"),  # RFC 7692, section 7.2.3.1
        bytes.fromhex("000500faff48656c6c6f00"),  # 7.2.3.3: no compression
        bytes.fromhex("f348cdc9c9070000"),  # 7.2.3.4: a last block, and a zero byte behind it
        bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")),  # 7.2.3.5: two blocks
    ],
)
def test_the_examples_of_the_specification(role: Role, payload: bytes) -> None:
    check(role, frame(role, TEXT, payload, rsv=RSV1), [b"Hello"], deflate=AGREED)


def test_compression_that_was_not_agreed_on_is_refused(role: Role) -> None:
    check(role, compressed(role, b"a"), [PROTOCOL_ERROR])


def test_the_bit_of_compression_belongs_to_the_first_frame_of_a_message(role: Role) -> None:
    first = frame(role, TEXT, squeezed(b"a"), rsv=RSV1, fin=False)
    check(role, [first, frame(role, CONTINUATION, b"", rsv=RSV1)], [PROTOCOL_ERROR], deflate=AGREED)
    plain = text(role, "a", fin=False)
    check(role, [plain, frame(role, CONTINUATION, b"", rsv=RSV1)], [PROTOCOL_ERROR], deflate=AGREED)


def test_the_bit_of_compression_on_a_control_frame_is_refused(role: Role) -> None:
    check(role, frame(role, PING, b"", rsv=RSV1), [PROTOCOL_ERROR], deflate=AGREED)


def test_another_reserved_bit_is_refused_beside_it(role: Role) -> None:
    check(role, frame(role, TEXT, squeezed(b"a"), rsv=RSV1 | RSV2), [PROTOCOL_ERROR], deflate=AGREED)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xff\xff",
        b"\x06",
        squeezed(prose(500))[:-20],
        squeezed(b"Hello") + b"\xff",
        bytes.fromhex("f348cdc9c9070000") + b"\x00",
        bytes.fromhex("f348cdc9c90700") + squeezed(b"more"),
        zlib.compress(b"Hello"),
    ],
    ids=[
        "nothing",
        "noise",
        "a reserved block",
        "cut off",
        "more behind",
        "zeros",
        "more behind the last block",
        "with a header",
    ],
)
def test_what_cannot_be_inflated_is_refused(role: Role, payload: bytes) -> None:
    check(role, frame(role, TEXT, payload, rsv=RSV1), [NOT_INFLATED], deflate=AGREED)


def test_no_message_builds_on_the_one_before(role: Role) -> None:
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -15)
    message = prose(300)
    payloads = [(compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(2)]
    stream = [frame(role, TEXT, payload, rsv=RSV1) for payload in payloads]
    check(role, stream, [message, NOT_INFLATED], deflate=AGREED)


@pytest.mark.parametrize("wrong", [b"\xff", b"a\xc3", b"\xed\xa0\x80"])
def test_text_that_is_not_utf8_is_refused_once_it_is_inflated(role: Role, wrong: bytes) -> None:
    check(role, compressed(role, b"ok" + wrong), [("violation", 1007)], deflate=AGREED)


# -- the limit --------------------------------------------------------------------------------------------------------


def test_a_message_that_inflates_to_the_limit_is_taken_and_one_byte_more_is_not(role: Role) -> None:
    limit = LIMITS.max_message_bytes
    assert outcome(role, compressed(role, b"a" * limit), deflate=AGREED) == [b"a" * limit]
    check(role, compressed(role, b"a" * (limit + 1)), [TOO_LARGE], deflate=AGREED)


def test_a_bomb_is_refused_before_it_takes_memory(role: Role) -> None:
    bomb = squeezed(bytes(64 << 20))
    limits = Limits(max_message_bytes=1 << 20)
    stream = frame(role, TEXT, bomb, rsv=RSV1)
    side = frames(role, limits=limits, deflate=AGREED)
    tracemalloc.start()
    try:
        (event,) = side.feed(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fact(role, event) == TOO_LARGE
    assert peak < 5 << 20


def test_a_bomb_in_fragments_is_refused_in_the_fragment_that_shows_it(role: Role) -> None:
    bomb = squeezed(bytes(10 << 20))
    stream = [
        frame(role, CONTINUATION if at else TEXT, bomb[at : at + 100], rsv=0 if at else RSV1, fin=False)
        for at in range(0, len(bomb), 100)
    ]
    check(role, stream, [TOO_LARGE], deflate=AGREED)


def test_blocks_of_nothing_are_refused_at_the_limit(role: Role) -> None:
    nothing = b"\x00\x00\x00\xff\xff" * 1000
    stream = frame(role, TEXT, nothing, rsv=RSV1, fin=False) + frame(role, CONTINUATION, nothing, fin=False) * 50
    assert outcome(role, stream, deflate=AGREED) == [TOO_LARGE]


# -- what goes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("size", [1024, 5000, 100_000])
def test_a_large_message_goes_out_compressed_within_the_window(role: Role, size: int, bits: int) -> None:
    message = prose(size) + b"." * (1024 - len(prose(size)))
    first, payload, rest = read_frame(role, frames(role, deflate=Deflate(bits)).send(message))
    assert (first, rest) == (FIN | RSV1 | TEXT, b"")
    assert len(payload) < len(message)
    assert zlib.decompressobj(-bits).decompress(payload + b"\x00\x00\xff\xff") == message


def test_a_small_message_goes_out_as_it_is(role: Role) -> None:
    side = frames(role, deflate=AGREED)
    assert read_frame(role, side.send(b"a" * 1023)) == (FIN | TEXT, b"a" * 1023, b"")


def test_the_same_message_twice_gives_the_same_bytes_twice(role: Role) -> None:
    side = frames(role, deflate=AGREED)
    assert len({read_frame(role, side.send(prose(5000)))[1] for _ in range(3)}) == 1


def test_the_pieces_of_a_message_are_compressed_together(role: Role) -> None:
    side = frames(role, deflate=AGREED)
    message = prose(5000)
    (whole,) = side.send_pieces([message[:1000], message[1000:]])
    assert read_frame(role, whole)[1] == read_frame(role, side.send(message))[1]


def test_both_sides_understand_each_other(role: Role) -> None:
    other: Role = "client" if role == "server" else "server"
    sender, receiver = frames(other, deflate=AGREED), frames(role, deflate=AGREED)
    for size in SIZES:
        assert receiver.feed(sender.send(prose(size))) == [prose(size)]
