"""What is sent: one frame a message in its shortest form, masked by a client with a key that nobody can guess."""

from __future__ import annotations

import pytest

from mcpcore.errors import UsageError
from mcpcore.websocket.frames import Frames
from tests.websocket.wire import FIN, LIMITS, PING, ROLES, TEXT, Role, draw, frames, read_frame

SIZES = [0, 1, 125, 126, 127, 1024, 1025, 65535, 65536, 200_000]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", SIZES)
def test_a_message_is_one_text_frame(role: Role, size: int) -> None:
    message = bytes(32 + number % 90 for number in range(size))
    assert read_frame(role, frames(role).send(message)) == (FIN | TEXT, message, b"")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("pieces", [[], [b""], [b"a"], [b"a", b"", b"bc"], [b"a" * 100, b"b" * 100, b"c" * 70_000]])
def test_pieces_are_one_text_frame(role: Role, pieces: list[bytes]) -> None:
    sent = b"".join(frames(role).send_pieces(pieces))
    assert read_frame(role, sent) == (FIN | TEXT, b"".join(pieces), b"")


def test_a_server_does_not_copy_pieces() -> None:
    large = b"a" * 100_000
    assert any(piece is large for piece in frames("server").send_pieces([b"[", large, b"]"]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("payload", [b"", b"12345678", b"\xff" * 125])
def test_a_ping_carries_its_payload(role: Role, payload: bytes) -> None:
    assert read_frame(role, frames(role).ping(payload)) == (FIN | PING, payload, b"")


@pytest.mark.parametrize("role", ROLES)
def test_a_ping_of_more_than_125_bytes_is_the_callers_mistake(role: Role) -> None:
    with pytest.raises(UsageError, match="125 bytes, not 126"):
        frames(role).ping(b"a" * 126)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", SIZES)
def test_the_other_role_reads_what_one_role_sends(role: Role, size: int) -> None:
    other = frames("client" if role == "server" else "server", draw_from=draw)
    message = b"a" * size
    assert other.feed(frames(role).send(message) + frames(role).send(b"b")) == [message, b"b"]


# -- masks ------------------------------------------------------------------------------------------------------------


def key_of(sent: bytes) -> bytes:
    assert sent[1] & 0x7F < 126
    return sent[2:6]


def test_every_frame_of_a_client_has_a_key_of_its_own_from_the_chance_that_was_given() -> None:
    drawn: list[bytes] = []

    def counting(size: int) -> bytes:
        drawn.append(bytes((len(drawn) * size + number) % 256 for number in range(size)))
        return drawn[-1]

    side = Frames("client", LIMITS, draw=counting)
    sent = [side.send(b"x" * 20) if number % 2 else side.ping() for number in range(700)]
    keys = [key_of(frame) for frame in [*sent, side.close()]]
    assert b"".join(keys) == b"".join(drawn)[: 4 * len(keys)]


def test_no_chance_is_drawn_before_it_is_needed_and_none_by_a_server() -> None:
    def never(size: int) -> bytes:
        raise AssertionError(f"{size} bytes were drawn")

    Frames("client", LIMITS, draw=never)
    Frames("server", LIMITS, draw=never).send(b"a")


def test_a_client_without_chance_is_refused() -> None:
    with pytest.raises(UsageError, match="draw"):
        Frames("client", LIMITS)


@pytest.mark.parametrize("wrong", [b"", b"1234", bytes(2000)])
def test_a_source_that_gives_another_number_of_bytes_is_refused(wrong: bytes) -> None:
    with pytest.raises(UsageError, match=rf"gave {len(wrong)} bytes"):
        Frames("client", LIMITS, draw=lambda size: wrong).send(b"a")
