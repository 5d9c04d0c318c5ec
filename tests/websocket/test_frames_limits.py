"""The limit of a message, large messages in any cut, and what time and memory they take."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from mcpcore.core.limits import Limits
from tests.websocket.wire import (
    CONTINUATION,
    FIN,
    PING,
    ROLES,
    RSV3,
    TEXT,
    Role,
    check,
    fragments,
    frame,
    frames,
    outcome,
    text,
)

pytestmark = pytest.mark.parametrize("role", ROLES)

TOO_LARGE = ("violation", 1009)
SMALL = Limits(max_message_bytes=1000)
LARGE = Limits(max_message_bytes=1 << 20)


def in_fragments(role: Role, message: bytes, size: int) -> bytes:
    return b"".join(fragments(role, *[message[at : at + size] for at in range(0, len(message), size)]))


# -- large messages, whole, in fragments and in chops -----------------------------------------------------------------


@pytest.mark.parametrize("size", [1 << 12, 1 << 16, 1 << 18, 1 << 20])
def test_a_large_message_of_one_frame(role: Role, size: int) -> None:
    message = b"*" * size
    assert outcome(role, text(role, message), limits=LARGE) == [message]


@pytest.mark.parametrize("size", [64, 256, 1024, 4096, 16384, 65536])
def test_a_large_message_in_fragments_of_equal_size(role: Role, size: int) -> None:
    message = "Größe:".encode() * 18_725
    assert outcome(role, in_fragments(role, message, size)) == [message]


@pytest.mark.parametrize("chop", [64, 128, 256, 512, 1024, 2048])
def test_a_large_message_that_comes_in_chops(role: Role, chop: int) -> None:
    message = "Größe:".encode() * 18_725
    stream = text(role, message)
    assert outcome(role, stream, range(0, len(stream), chop)) == [message]


def test_a_message_in_frames_of_the_size_of_a_packet(role: Role) -> None:
    message = b"*" * 65536
    check(role, in_fragments(role, message, 1300), [message])


@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 4096])
def test_many_messages_of_one_size(role: Role, size: int) -> None:
    stream = text(role, b"*" * size) * 100
    assert outcome(role, stream) == [b"*" * size] * 100
    assert outcome(role, stream, range(0, len(stream), 1447)) == [b"*" * size] * 100


# -- the limit --------------------------------------------------------------------------------------------------------


def test_a_message_of_the_limit_is_taken(role: Role) -> None:
    message = b"a" * 1000
    check(role, text(role, message), [message], limits=SMALL)
    check(role, fragments(role, message[:400], b"", message[400:]), [message], limits=SMALL)
    check(role, [text(role, message)] * 3, [message] * 3, limits=SMALL)


def test_a_message_above_the_limit_is_refused_with_its_head(role: Role) -> None:
    stream = text(role, b"a" * 1001)
    check(role, stream, [TOO_LARGE], limits=SMALL)
    assert outcome(role, stream[:4], limits=SMALL) == [TOO_LARGE]


@pytest.mark.parametrize("length", [65536, 1 << 32, (1 << 63) - 1])
def test_a_length_nobody_could_send_is_refused_with_the_head(role: Role, length: int) -> None:
    assert outcome(role, text(role, b"", form=8, length=length), limits=SMALL) == [TOO_LARGE]


def test_fragments_above_the_limit_are_refused_with_the_head_that_shows_it(role: Role) -> None:
    stream = [*fragments(role, b"a" * 600, b"b" * 400, b""), text(role, b"c" * 600, fin=False)]
    last = frame(role, CONTINUATION, b"d" * 401)
    check(role, [*stream, last], [b"a" * 600 + b"b" * 400, TOO_LARGE], limits=SMALL)
    assert outcome(role, b"".join(stream) + last[:4], limits=SMALL)[1:] == [TOO_LARGE]


def test_tiny_fragments_without_end_are_refused_at_the_limit(role: Role) -> None:
    stream = text(role, b"a", fin=False) + frame(role, CONTINUATION, b"b", fin=False) * 2000
    assert outcome(role, stream, limits=SMALL) == [TOO_LARGE]


def test_the_limit_is_one_of_bytes_and_not_of_letters(role: Role) -> None:
    check(role, text(role, "€" * 333), [("€" * 333).encode()], limits=SMALL)
    check(role, text(role, "€" * 334), [TOO_LARGE], limits=SMALL)


def test_a_control_frame_does_not_count(role: Role) -> None:
    first, last = fragments(role, b"a" * 600, b"b" * 400)
    stream = [first, frame(role, PING, b"p" * 125), last]
    check(role, stream, [("ping", b"p" * 125), b"a" * 600 + b"b" * 400], limits=SMALL)


# -- time and memory --------------------------------------------------------------------------------------------------


def seconds(role: Role, stream: bytes, chop: int) -> float:
    side = frames(role, limits=LARGE)
    parts = [stream[at : at + chop] for at in range(0, len(stream), chop)]
    start = time.process_time()
    for part in parts:
        side.feed(part)
    return time.process_time() - start


@pytest.mark.parametrize("shape", ["one frame by the byte", "fragments in one read", "fragments by the byte", "pings"])
def test_twice_the_bytes_take_twice_the_time(role: Role, shape: str) -> None:
    def stream(count: int) -> tuple[bytes, int]:
        if shape == "one frame by the byte":
            return text(role, b"a" * count), 1
        if shape == "pings":
            return frame(role, PING) * (count // 4), 1 << 20
        many = text(role, b"a", fin=False) + frame(role, CONTINUATION, b"b", fin=False) * (count // 8)
        return many, 1 if shape == "fragments by the byte" else 1 << 20

    once, eight = stream(4_000), stream(32_000)
    seconds(role, *once)
    assert min(seconds(role, *eight) for _ in range(3)) < 24 * min(seconds(role, *once) for _ in range(5))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_message_being_received_takes_little_more_memory_than_its_bytes(role: Role, size: int) -> None:
    part = "a€\U0001f600"[size - 1].encode()
    many = 5_000
    stream = text(role, part, fin=False) + frame(role, CONTINUATION, part, fin=False) * many
    side = frames(role, limits=LARGE)
    tracemalloc.start()
    try:
        for at in range(0, len(stream), 1024):
            side.feed(stream[at : at + 1024])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(part) * many + 20_000


def test_a_refused_message_is_let_go(role: Role) -> None:
    side = frames(role, limits=LARGE)
    stream = text(role, b"a" * 1_000_000, fin=False) + bytes([FIN | RSV3 | TEXT, 0])
    tracemalloc.start()
    try:
        assert len(side.feed(stream)) == 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000


def test_nothing_is_held_behind_the_end(role: Role) -> None:
    side = frames(role)
    side.feed(frame(role, 3))
    tracemalloc.start()
    try:
        for _ in range(100):
            assert side.feed(bytes(10_000)) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000
