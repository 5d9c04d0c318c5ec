"""Closing: whoever begins, one close frame each way; what comes behind the peer's is ignored."""

from __future__ import annotations

import pytest

from mcpcore.errors import Closed as AlreadyClosed
from mcpcore.errors import UsageError
from mcpcore.websocket.events import Closed, Violation
from tests.websocket.wire import (
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    ROLES,
    Role,
    check,
    close_payload,
    fact,
    frame,
    frames,
    outcome,
    read_frame,
    text,
)

pytestmark = pytest.mark.parametrize("role", ROLES)

PROTOCOL_ERROR = ("violation", 1002)
MAY_COME = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
MUST_NOT_COME = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535]


# -- the peer closes --------------------------------------------------------------------------------------------------


def test_a_close_behind_a_message_is_answered_with_its_code(role: Role) -> None:
    check(role, [text(role, "Hello"), frame(role, CLOSE, close_payload(1000))], [b"Hello", ("closed", 1000, "")])


def test_an_empty_close_is_answered_with_an_empty_close(role: Role) -> None:
    check(role, frame(role, CLOSE), [("closed", 1005, "")])


@pytest.mark.parametrize("code", MAY_COME)
@pytest.mark.parametrize("reason", ["", "going", "é" * 61, "x" * 123])
def test_a_code_that_may_come_is_handed_on_with_its_reason(role: Role, code: int, reason: str) -> None:
    check(role, frame(role, CLOSE, close_payload(code, reason.encode())), [("closed", code, reason)])


@pytest.mark.parametrize("code", MUST_NOT_COME)
@pytest.mark.parametrize("reason", [b"", b"reason"])
def test_a_code_that_must_not_come_is_refused(role: Role, code: int, reason: bytes) -> None:
    check(role, frame(role, CLOSE, close_payload(code, reason)), [PROTOCOL_ERROR])


def test_half_a_code_is_refused(role: Role) -> None:
    check(role, frame(role, CLOSE, b"\x03"), [PROTOCOL_ERROR])


def test_a_reason_of_more_than_123_bytes_is_refused(role: Role) -> None:
    check(role, frame(role, CLOSE, close_payload(1000, b"x" * 124)), [PROTOCOL_ERROR])


@pytest.mark.parametrize("reason", [b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited", b"\xff", b"\xc3"])
def test_a_reason_that_is_not_utf8_is_refused(role: Role, reason: bytes) -> None:
    check(role, frame(role, CLOSE, close_payload(1000, reason)), [("violation", 1007)])


@pytest.mark.parametrize("opcode", [CLOSE, PING, 1, 2, 3])
def test_what_comes_behind_a_close_is_ignored(role: Role, opcode: int) -> None:
    behind = frame(role, opcode, close_payload(1001))
    check(role, [frame(role, CLOSE, close_payload(1000)), behind, b"\xff\xff"], [("closed", 1000, "")])


def test_a_close_behind_a_large_message_and_before_a_ping(role: Role) -> None:
    message = b"B" * 150_000
    stream = [text(role, message), frame(role, CLOSE, close_payload(1000)), frame(role, PING)]
    check(role, stream, [message, ("closed", 1000, "")])


def test_the_ends_are_told_apart(role: Role) -> None:
    side = frames(role)
    assert not side.closing and not side.ended
    (event,) = side.feed(frame(role, CLOSE, close_payload(1001, b"away")))
    assert isinstance(event, Closed) and event.reply
    assert side.closing and side.ended
    assert side.feed(frame(role, CLOSE)) == []
    assert side.close() == b""


# -- this side closes -------------------------------------------------------------------------------------------------


def test_our_close_is_answered_and_not_answered_again(role: Role) -> None:
    side = frames(role)
    first, payload, rest = read_frame(role, side.close(1001, "restarting"))
    assert (first, payload, rest) == (FIN | CLOSE, close_payload(1001, b"restarting"), b"")
    assert side.closing and not side.ended
    (event,) = side.feed(frame(role, CLOSE, close_payload(1001)))
    assert isinstance(event, Closed) and (event.code, event.reply) == (1001, b"")
    assert side.ended


def test_until_the_peer_closes_what_it_sent_is_read(role: Role) -> None:
    side = frames(role)
    side.close()
    stream = [text(role, "a"), frame(role, PING, b"?"), text(role, "b", fin=False), frame(role, CONTINUATION, b"c")]
    assert [fact(role, event) for event in side.feed(b"".join(stream))] == [b"a", ("ping", b"?"), b"bc"]


def test_a_violation_behind_our_close_is_not_answered(role: Role) -> None:
    side = frames(role)
    side.close()
    (event,) = side.feed(frame(role, 3))
    assert isinstance(event, Violation) and (event.code, event.reply) == (1002, b"")


def test_a_second_close_of_ours_is_nothing(role: Role) -> None:
    side = frames(role)
    assert side.close() and side.close(1011, "late") == b""


@pytest.mark.parametrize("closed_by", ["us", "the peer", "a violation"])
def test_behind_a_close_nothing_can_be_sent(role: Role, closed_by: str) -> None:
    side = frames(role)
    if closed_by == "us":
        side.close()
    else:
        side.feed(frame(role, CLOSE if closed_by == "the peer" else 3))
    for send in (lambda: side.send(b"a"), lambda: side.send_pieces([b"a"]), side.ping):
        with pytest.raises(AlreadyClosed, match="closing"):
            send()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536, -1])
def test_a_code_that_must_not_be_sent_is_the_callers_mistake(role: Role, code: int) -> None:
    side = frames(role)
    with pytest.raises(UsageError, match=str(code)):
        side.close(code)
    assert not side.closing


@pytest.mark.parametrize(
    ("reason", "sent"),
    [("x" * 200, b"x" * 123), ("é" * 100, "é".encode() * 61), ("\U0001f600" * 40, "\U0001f600".encode() * 30)],
)
def test_a_long_reason_is_cut_off_between_two_letters(role: Role, reason: str, sent: bytes) -> None:
    assert read_frame(role, frames(role).close(1000, reason)) == (FIN | CLOSE, close_payload(1000, sent), b"")


def test_a_reason_that_utf8_cannot_say_is_sent_all_the_same(role: Role) -> None:
    assert read_frame(role, frames(role).close(1000, "a\ud800b"))[1] == close_payload(1000, b"a?b")


def test_a_violation_is_told_to_the_peer(role: Role) -> None:
    (event,) = frames(role).feed(frame(role, 3))
    assert isinstance(event, Violation)
    assert read_frame(role, event.reply)[1] == close_payload(1002, event.text.encode())


def test_a_connection_cut_off_has_not_ended(role: Role) -> None:
    side = frames(role)
    side.feed(text(role, "abc")[:-1])
    assert not side.ended
    assert outcome(role, text(role, "abc")[:-1]) == []
