"""Text is UTF-8: what is valid comes as it was sent, what is not is refused with 1007 at the first byte that shows it.

The well-formed sequences are those of table 3-7 of the Unicode standard.
"""

from __future__ import annotations

import pytest

from tests.websocket.wire import CONTINUATION, ROLES, Role, check, fragments, frame, frames, outcome, text

pytestmark = pytest.mark.parametrize("role", ROLES)

NOT_UTF8 = ("violation", 1007)
MIXED = "Hello-µ@ßöäüàá-UTF-8!! κόσμε \U0001f600"

VALID = {
    "first of one byte": b"\x00",
    "last of one byte": b"\x7f",
    "first of two bytes": b"\xc2\x80",
    "last of two bytes": b"\xdf\xbf",
    "first of three bytes": b"\xe0\xa0\x80",
    "last before the surrogates": b"\xed\x9f\xbf",
    "first behind the surrogates": b"\xee\x80\x80",
    "replacement character": b"\xef\xbf\xbd",
    "byte order mark": b"\xef\xbb\xbf",
    "noncharacters of the basic plane": b"\xef\xb7\x90\xef\xbf\xbe\xef\xbf\xbf",
    "last of three bytes": b"\xef\xbf\xbf",
    "first of four bytes": b"\xf0\x90\x80\x80",
    "noncharacters of other planes": b"".join(chr(plane << 16 | 0xFFFE).encode() for plane in range(1, 17)),
    "last of all": b"\xf4\x8f\xbf\xbf",
    "line and paragraph separators": "\u2028\u2029\x85".encode(),
    "sequences of every length": "a é € \U00010348 z".encode(),
}

# What is wrong, and how many of its bytes show it. Of a surrogate the second byte would, but Python's decoder wants the
# third, since others of its error handlers have a use for surrogates.
INVALID = {
    "a continuation byte alone": (b"\x80", 1),
    "the last continuation byte alone": (b"\xbf", 1),
    "two continuation bytes": (b"\x80\xbf", 1),
    "overlong of one byte in two": (b"\xc0\xaf", 1),
    "largest overlong of one byte in two": (b"\xc1\xbf", 1),
    "overlong of one byte in three": (b"\xe0\x80\xaf", 2),
    "largest overlong of two bytes in three": (b"\xe0\x9f\xbf", 2),
    "overlong of one byte in four": (b"\xf0\x80\x80\xaf", 2),
    "largest overlong of three bytes in four": (b"\xf0\x8f\xbf\xbf", 2),
    "overlong NUL in two": (b"\xc0\x80", 1),
    "a sequence of five bytes": (b"\xf8\x88\x80\x80\x80", 1),
    "a sequence of six bytes": (b"\xfc\x84\x80\x80\x80\x80", 1),
    "the first surrogate": (b"\xed\xa0\x80", 3),
    "the last surrogate": (b"\xed\xbf\xbf", 3),
    "a pair of surrogates": (b"\xed\xa0\x80\xed\xb0\x80", 3),
    "one above the last of all": (b"\xf4\x90\x80\x80", 2),
    "far above the last of all": (b"\xf5\x80\x80\x80", 1),
    "the byte FE": (b"\xfe", 1),
    "the byte FF": (b"\xff", 1),
    "two bytes cut off by a letter": (b"\xc3a", 2),
    "three bytes cut off by a letter": (b"\xe2\x82a", 3),
    "four bytes cut off by a letter": (b"\xf0\x9f\x98a", 4),
    "a sequence inside another": (b"\xe2\xc3\xa9", 2),
    "latin-1": (b"caf\xe9!", 5),
}
UNFINISHED = [
    b"\xc2",
    b"\xdf",
    b"\xe0",
    b"\xe0\xa0",
    b"\xe2\x82",
    b"\xed\x9f",
    b"\xf0",
    b"\xf0\x90\x80",
    b"\xf4\x8f\xbf",
]


@pytest.mark.parametrize("name", VALID)
def test_what_is_valid_comes_as_it_was_sent(role: Role, name: str) -> None:
    message = VALID[name]
    check(role, text(role, message), [message])
    check(role, text(role, b"a" + message + b"z"), [b"a" + message + b"z"])


@pytest.mark.parametrize("name", VALID)
def test_what_is_valid_may_be_cut_into_fragments_anywhere(role: Role, name: str) -> None:
    message = VALID[name]
    check(role, fragments(role, *[message[at : at + 1] for at in range(len(message))]), [message])


def test_a_fragment_may_end_inside_a_letter(role: Role) -> None:
    message = MIXED.encode()
    for cut in range(len(message) + 1):
        assert outcome(role, b"".join(fragments(role, message[:cut], message[cut:]))) == [message]


@pytest.mark.parametrize("name", INVALID)
def test_what_is_invalid_is_refused(role: Role, name: str) -> None:
    wrong, _ = INVALID[name]
    check(role, [text(role, "before"), text(role, wrong), text(role, "after")], [b"before", NOT_UTF8])
    check(role, text(role, MIXED.encode() + wrong + b"edited"), [NOT_UTF8])


@pytest.mark.parametrize("name", INVALID)
def test_what_is_invalid_is_refused_in_fragments_of_one_byte(role: Role, name: str) -> None:
    message = b"ok" + INVALID[name][0] + b"edited"
    check(role, fragments(role, *[message[at : at + 1] for at in range(len(message))]), [NOT_UTF8])


@pytest.mark.parametrize("name", INVALID)
def test_a_frame_is_refused_at_the_first_byte_that_shows_it(role: Role, name: str) -> None:
    wrong, shown = INVALID[name]
    stream = text(role, b"ok" + wrong + b"z" * 9)
    upto = len(stream) - 9 - len(wrong) + shown
    for cuts in (range(len(stream)), [upto - 1]):
        assert outcome(role, stream[: upto - 1], cuts) == []
        assert outcome(role, stream[:upto], cuts) == [NOT_UTF8]


@pytest.mark.parametrize("name", INVALID)
def test_a_message_is_refused_in_the_fragment_that_shows_it(role: Role, name: str) -> None:
    wrong, shown = INVALID[name]
    first = text(role, b"ok" + wrong[: shown - 1], fin=False)
    second = frame(role, CONTINUATION, wrong[shown - 1 :] + b"...", fin=False)
    assert outcome(role, first) == []
    check(role, [first, second], [NOT_UTF8])


@pytest.mark.parametrize("tail", UNFINISHED)
def test_a_message_that_ends_inside_a_letter_is_refused(role: Role, tail: bytes) -> None:
    check(role, text(role, b"ok" + tail), [NOT_UTF8])
    check(role, fragments(role, b"ok" + tail, b""), [NOT_UTF8])
    assert outcome(role, text(role, b"ok" + tail, fin=False)) == []


@pytest.mark.parametrize("tail", UNFINISHED)
def test_a_letter_does_not_go_on_in_the_next_message(role: Role, tail: bytes) -> None:
    check(role, [text(role, tail), text(role, b"\x80")], [NOT_UTF8])


def test_the_refusal_of_a_text_repeats_nothing_of_it(role: Role) -> None:
    (event,) = frames(role).feed(text(role, b"secret \xff"))
    assert "secret" not in repr(event) and "ff" not in repr(event)
