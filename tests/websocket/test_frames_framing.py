"""Framing, control frames, reserved bits and opcodes: every case in both roles, and in every kind of cut."""

from __future__ import annotations

import pytest

from tests.websocket.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    LIMITS,
    PING,
    PONG,
    ROLES,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Role,
    check,
    frame,
    frames,
    outcome,
    text,
)

pytestmark = pytest.mark.parametrize("role", ROLES)

SIZES = [0, 1, 124, 125, 126, 127, 128, 1024, 1025, 65535, 65536, 70000]
RESERVED_OPCODES = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
RESERVED_BITS = [RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3]
PROTOCOL_ERROR = ("violation", 1002)


# -- messages of one frame --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_text_message_comes_whole(role: Role, size: int) -> None:
    message = b"*" * size
    check(role, text(role, message), [message])


@pytest.mark.parametrize("size", SIZES)
def test_a_text_message_outside_ascii_comes_whole(role: Role, size: int) -> None:
    message = "é".encode() * (size // 2)
    check(role, text(role, message), [message])


@pytest.mark.parametrize("key", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x01\x02\x03", b"\x80\0\0\0"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 199, 1024, 1027])
def test_every_mask_is_taken_off_at_every_length(role: Role, size: int, key: bytes) -> None:
    message = bytes(32 + number % 90 for number in range(size))
    check(role, text(role, message, key=key), [message])


def test_messages_in_a_row_come_in_their_order(role: Role) -> None:
    messages = [b"%d" % number * (number % 140) for number in range(300)]
    check(role, [text(role, message) for message in messages], messages)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65536])
def test_a_binary_message_is_refused_with_1003_before_its_payload_comes(role: Role, size: int) -> None:
    message = frame(role, BINARY, b"\xfe" * size)
    check(role, message, [("violation", 1003)])
    assert outcome(role, message[: len(message) - size]) == [("violation", 1003)]


@pytest.mark.parametrize(("size", "form"), [(0, 2), (125, 2), (125, 8), (126, 8), (65535, 8)])
def test_a_length_in_a_longer_form_than_needed_is_refused(role: Role, size: int, form: int) -> None:
    check(role, text(role, b"a" * size, form=form), [PROTOCOL_ERROR])


def test_a_length_of_64_bits_is_refused(role: Role) -> None:
    check(role, text(role, b"", form=8, length=1 << 63), [PROTOCOL_ERROR])


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, CLOSE, PING, PONG])
def test_a_mask_where_none_belongs_or_none_where_one_belongs_is_refused(role: Role, opcode: int) -> None:
    wrong = frame(role, opcode, b"", masked=role == "client")
    check(role, [text(role, "before"), wrong, text(role, "x" * 20)], [b"before", PROTOCOL_ERROR])


def test_what_is_not_there_yet_says_nothing(role: Role) -> None:
    stream = text(role, b"a" * 300)
    for end in range(len(stream)):
        assert outcome(role, stream[:end]) == []


def test_an_empty_read_says_nothing(role: Role) -> None:
    assert frames(role).feed(b"") == []


# -- pings and pongs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
def test_a_ping_is_answered_with_its_payload(role: Role, payload: bytes) -> None:
    check(role, frame(role, PING, payload), [("ping", payload)])


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("size", [126, 65536])
def test_a_control_frame_of_more_than_125_bytes_is_refused_before_its_payload_comes(
    role: Role, opcode: int, size: int
) -> None:
    whole = frame(role, opcode, b"\xfe" * size)
    check(role, whole, [PROTOCOL_ERROR])
    assert outcome(role, whole[:2]) == [PROTOCOL_ERROR]


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
def test_a_pong_nobody_asked_for_is_a_sign_of_life(role: Role, payload: bytes) -> None:
    check(
        role,
        [frame(role, PONG, payload), frame(role, PING, b"?"), text(role, "a")],
        [("pong", payload), ("ping", b"?"), b"a"],
    )


def test_every_one_of_many_pings_is_answered_in_order(role: Role) -> None:
    payloads = [b"payload-%d" % number for number in range(10)]
    check(role, [frame(role, PING, payload) for payload in payloads], [("ping", payload) for payload in payloads])


# -- reserved bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rsv", RESERVED_BITS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_reserved_bit_is_refused_and_what_follows_is_ignored(role: Role, opcode: int, rsv: int) -> None:
    stream = [text(role, "before"), frame(role, opcode, b"", rsv=rsv), frame(role, PING)]
    refused = ("violation", 1003) if opcode == BINARY else PROTOCOL_ERROR
    check(role, stream, [b"before", refused])


@pytest.mark.parametrize("rsv", RESERVED_BITS)
def test_a_reserved_bit_in_a_continuation_is_refused(role: Role, rsv: int) -> None:
    stream = [text(role, "a", fin=False), frame(role, CONTINUATION, b"b", rsv=rsv)]
    check(role, stream, [PROTOCOL_ERROR])


# -- opcodes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"reserved opcode payload"])
@pytest.mark.parametrize("opcode", RESERVED_OPCODES)
def test_a_reserved_opcode_is_refused_and_what_follows_is_ignored(role: Role, opcode: int, payload: bytes) -> None:
    stream = [text(role, "before"), frame(role, opcode, payload), frame(role, PING)]
    check(role, stream, [b"before", PROTOCOL_ERROR])


@pytest.mark.parametrize("opcode", range(16))
def test_every_second_byte_behind_every_opcode_comes_to_a_documented_end(role: Role, opcode: int) -> None:
    for first in (opcode, FIN | opcode, FIN | RSV1 | opcode):
        for second in range(256):
            stream = bytes([first, second]) + bytes(range(64))
            whole = outcome(role, stream)
            assert outcome(role, stream, range(len(stream))) == whole
            assert all(isinstance(each, bytes) or each[0] in KINDS for each in whole)


KINDS = {"ping", "pong", "closed", "violation"}


def test_the_replies_of_both_roles_differ_by_their_mask_alone(role: Role) -> None:
    (event,) = frames(role, limits=LIMITS).feed(frame(role, PING, b"payload"))
    assert not isinstance(event, bytes)
    reply = event.reply  # type: ignore[union-attr]
    assert (b"payload" in reply) == (role == "server")
    assert len(reply) == len(b"payload") + (2 if role == "server" else 6)
