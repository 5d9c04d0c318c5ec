"""Messages in fragments: put together, with control frames between them; what is out of place is refused."""

from __future__ import annotations

import pytest

from tests.websocket.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    ROLES,
    TEXT,
    Role,
    check,
    close_payload,
    fragments,
    frame,
    outcome,
    text,
)

pytestmark = pytest.mark.parametrize("role", ROLES)

PROTOCOL_ERROR = ("violation", 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_is_refused(role: Role, opcode: int) -> None:
    first = frame(role, opcode, b"frag", fin=False)
    check(role, [first, frame(role, CONTINUATION, b"ment")], [PROTOCOL_ERROR])
    assert outcome(role, first[:2]) == [PROTOCOL_ERROR]


@pytest.mark.parametrize("parts", [[b"frag", b"ment"], [b"", b"a"], [b"a", b""], [b"", b""], [b"a", b"", b"", b"b"]])
def test_fragments_are_put_together(role: Role, parts: list[bytes]) -> None:
    check(role, fragments(role, *parts), [b"".join(parts)])


def test_fragments_of_every_form_of_length_are_put_together(role: Role) -> None:
    parts = [b"a" * 125, b"b" * 126, b"c" * 65535, b"d" * 65536, b"e"]
    check(role, fragments(role, *parts), [b"".join(parts)])


def test_a_ping_between_fragments_is_answered_before_the_message_is_complete(role: Role) -> None:
    first, last = fragments(role, b"frag", b"ment")
    stream = [first, frame(role, PING, b"now"), last]
    check(role, stream, [("ping", b"now"), b"fragment"])
    assert outcome(role, b"".join(stream[:2])) == [("ping", b"now")]


def test_many_fragments_with_control_frames_between_them(role: Role) -> None:
    parts = [b"part %d," % number for number in range(5)]
    stream: list[bytes] = []
    for number, part in enumerate(fragments(role, *parts)):
        stream += [part, frame(role, PING if number % 2 else PONG, b"%d" % number)]
    check(
        role,
        stream,
        [("pong", b"0"), ("ping", b"1"), ("pong", b"2"), ("ping", b"3"), b"".join(parts), ("pong", b"4")],
    )


def test_an_ordinary_message_behind_fragments_and_the_reverse(role: Role) -> None:
    stream = [text(role, "one"), *fragments(role, b"t", b"wo"), text(role, "three"), *fragments(role, b"fo", b"ur")]
    check(role, stream, [b"one", b"two", b"three", b"four"])


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_is_refused_with_its_head(role: Role, fin: bool) -> None:
    wrong = frame(role, CONTINUATION, b"non-continuation payload", fin=fin)
    check(role, [wrong, text(role, "Hello")], [PROTOCOL_ERROR])
    check(role, [text(role, "before"), wrong], [b"before", PROTOCOL_ERROR])
    assert outcome(role, wrong[:2]) == [PROTOCOL_ERROR]


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_behind_a_complete_message_is_refused(role: Role, fin: bool) -> None:
    wrong = frame(role, CONTINUATION, b"", fin=fin)
    check(role, [*fragments(role, b"a", b"b"), wrong, text(role, "c")], [b"ab", PROTOCOL_ERROR])


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_new_message_inside_a_fragmented_one_is_refused(role: Role, opcode: int, fin: bool) -> None:
    wrong = frame(role, opcode, b"new", fin=fin)
    check(role, [text(role, "a", fin=False), wrong], [PROTOCOL_ERROR])


def test_a_close_inside_a_fragmented_message_ends_it(role: Role) -> None:
    stream = [text(role, "a", fin=False), frame(role, CLOSE, close_payload(1000)), frame(role, CONTINUATION, b"b")]
    check(role, stream, [("closed", 1000, "")])


def test_thousands_of_tiny_fragments_are_one_message(role: Role) -> None:
    message = b"0123456789" * 500
    stream = b"".join(fragments(role, *[message[at : at + 1] for at in range(len(message))]))
    assert outcome(role, stream) == [message]
    assert outcome(role, stream, range(0, len(stream), 3)) == [message]


def test_empty_fragments_cost_no_memory_and_change_nothing(role: Role) -> None:
    stream = [text(role, "a", fin=False), *[frame(role, CONTINUATION, fin=False)] * 2000, frame(role, CONTINUATION)]
    assert outcome(role, stream) == [b"a"]
