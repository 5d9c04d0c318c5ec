"""The fast path and wsproto agree, and whatever comes, in whatever cut, one of the documented things comes of it.

wsproto is asked directly here, through its public face: not by way of the module that uses it in the package.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from mcpcore.core.limits import Limits
from mcpcore.websocket.deflate import Deflate
from tests.websocket.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    ROLES,
    RSV1,
    TEXT,
    Role,
    close_payload,
    frame,
    frames,
    outcome,
    read_frame,
    text,
)

SMALL = Limits(max_message_bytes=300)
LIMIT = SMALL.max_message_bytes
MANY = settings(max_examples=150)
CODES = {1002, 1003, 1007, 1009}

CUTS = st.lists(st.integers(0, 1500), max_size=8)
KEYS = st.binary(min_size=4, max_size=4)
TEXTS = st.one_of(
    st.text(max_size=40), st.text("aé€\U0001f600", max_size=60), st.integers(120, 130).map(lambda size: "x" * size)
).map(str.encode)
PAYLOADS = st.one_of(TEXTS, TEXTS, TEXTS, st.binary(max_size=12))
ROLE = st.sampled_from(ROLES)


def reference(role: Role, stream: bytes) -> list[Any]:
    """What wsproto makes of the stream, in the words of `outcome`."""
    connection = Connection(ConnectionType.SERVER if role == "server" else ConnectionType.CLIENT)
    connection.receive_data(stream)
    found: list[Any] = []
    message = ""
    for each in connection.events():
        if isinstance(each, TextMessage):
            message += each.data
            if each.message_finished:
                found.append(message.encode())
                message = ""
        elif isinstance(each, Ping):
            found.append(("ping", bytes(each.payload)))
        elif isinstance(each, Pong):
            found.append(("pong", bytes(each.payload)))
        elif isinstance(each, CloseConnection):
            closed = connection.state is ConnectionState.REMOTE_CLOSING
            found.append(("closed", int(each.code), each.reason) if closed else ("violation", int(each.code)))
            break
        else:
            assert isinstance(each, BytesMessage)
            found.append(("violation", 1003))
            break
    return found


# -- the fast path and wsproto ----------------------------------------------------------------------------------------

FIRST_BYTES = st.one_of(st.just(0x81), st.just(0x81), st.sampled_from([0x01, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x91]))


@st.composite
def raw_frames(draw: st.DrawFn, role: Role) -> bytes:
    """One whole frame, mostly ordinary: any opcode and bits, any form of its length, now and then the wrong mask."""
    first = draw(FIRST_BYTES)
    payload = draw(PAYLOADS)
    size = len(payload)
    forms = [0 if size < 126 else 2] * 6 + [2, 8]
    how: dict[str, Any] = {"form": draw(st.sampled_from(forms)), "key": draw(KEYS)}
    if first != 0x80 | BINARY and draw(st.integers(0, 15)) == 0:  # two faults at once have two codes
        how["masked"] = draw(st.booleans())
    return frame(role, first & 0x0F, payload, fin=bool(first & 0x80), rsv=first & 0x70, **how)


@MANY
@given(ROLE, st.data(), CUTS)
def test_whole_frames_mean_what_wsproto_says(role: Role, data: st.DataObject, cuts: list[int]) -> None:
    stream = b"".join(data.draw(st.lists(raw_frames(role), max_size=6)))
    expected = reference(role, stream)
    event(f"ends with {expected[-1][0] if expected and not isinstance(expected[-1], bytes) else 'nothing'}")
    assert outcome(role, stream, cuts) == expected


@MANY
@given(ROLE, st.lists(st.tuples(TEXTS, KEYS), max_size=12), CUTS)
def test_ordinary_messages_are_never_left_to_wsproto_when_they_are_whole(
    role: Role, messages: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = [text(role, message, key=key) for message, key in messages]
    expected = [message for message, _ in messages]
    assert reference(role, b"".join(stream)) == expected
    assert outcome(role, stream, cuts) == expected
    side = frames(role)
    side._decoder = None  # type: ignore[assignment]  # whatever asks wsproto now, fails
    assert [found for each in stream for found in side.feed(each)] == expected
    assert side.feed(b"".join(stream)) == expected


@MANY
@given(st.binary(max_size=400), st.binary(max_size=125))
def test_a_server_writes_the_bytes_that_wsproto_would(message: bytes, payload: bytes) -> None:
    message = message.decode("latin-1").encode()
    bare = Connection(ConnectionType.SERVER)
    side = frames("server")
    assert side.send(message) == bare.send(TextMessage(data=message.decode()))
    assert side.ping(payload) == bare.send(Ping(payload=payload))
    assert side.close(1001, "é" * 70) == bare.send(CloseConnection(code=1001, reason="é" * 70))


@MANY
@given(st.text(max_size=2000), st.binary(max_size=125), st.binary(min_size=1024, max_size=1024))
def test_wsproto_reads_what_a_client_writes(message: str, payload: bytes, chance: bytes) -> None:
    side = frames("client", draw_from=lambda size: chance)
    stream = side.send(message.encode()) + side.ping(payload) + side.close(1000, "bye")
    assert reference("server", stream) == [message.encode(), ("ping", payload), ("closed", 1000, "bye")]


# -- fragments, interleaved -------------------------------------------------------------------------------------------

CONTROLS = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)


@st.composite
def conversations(draw: st.DrawFn, role: Role, deflate: Deflate | None) -> tuple[bytes, list[Any]]:
    """Messages in any fragmentation with control frames anywhere between, and what has to come of them."""
    stream: list[bytes] = []
    expected: list[Any] = []

    def controls() -> None:
        for opcode, payload in draw(CONTROLS):
            stream.append(frame(role, opcode, payload))
            expected.append(("ping" if opcode == PING else "pong", payload))

    for message in draw(st.lists(TEXTS, max_size=4)):
        squeezed = deflate is not None and draw(st.booleans())
        payload = deflate.compress(message) if deflate is not None and squeezed else message
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=5)))
        parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for number, part in enumerate(parts):
            opcode, rsv = (CONTINUATION, 0) if number else (TEXT, RSV1 if squeezed else 0)
            controls()
            stream.append(frame(role, opcode, part, rsv=rsv, fin=number == len(cuts), key=draw(KEYS)))
        expected.append(message)
    controls()
    if draw(st.booleans()):
        stream.append(frame(role, CLOSE, close_payload(1000, b"bye")))
        expected.append(("closed", 1000, "bye"))
        stream.append(draw(st.binary(max_size=20)))
    return b"".join(stream), expected


@pytest.mark.parametrize("deflate", [None, Deflate(), Deflate(9)], ids=["plain", "deflate", "small window"])
@MANY
@given(ROLE, st.data(), CUTS)
def test_any_fragmentation_in_any_cut_is_put_together(
    deflate: Deflate | None, role: Role, data: st.DataObject, cuts: list[int]
) -> None:
    stream, expected = data.draw(conversations(role, deflate))
    assert outcome(role, stream, cuts, limits=SMALL, deflate=deflate) == expected
    assert outcome(role, stream, range(len(stream)), limits=SMALL, deflate=deflate) == expected


# -- noise ------------------------------------------------------------------------------------------------------------


def documented(found: list[Any]) -> None:
    """Messages within the limit, in UTF-8; nothing behind an end."""
    for number, each in enumerate(found):
        if isinstance(each, bytes):
            each.decode()
            assert len(each) <= LIMIT
        elif each[0] in ("ping", "pong"):
            assert len(each[1]) <= 125
        else:
            assert number == len(found) - 1
            assert each[0] == "closed" or each[1] in CODES


@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@MANY
@given(ROLE, st.binary(max_size=200), CUTS)
def test_noise_comes_to_a_documented_end_that_the_cut_does_not_change(
    deflate: Deflate | None, role: Role, noise: bytes, cuts: list[int]
) -> None:
    whole = outcome(role, noise, limits=SMALL, deflate=deflate)
    documented(whole)
    assert outcome(role, noise, cuts, limits=SMALL, deflate=deflate) == whole
    assert outcome(role, noise, range(len(noise)), limits=SMALL, deflate=deflate) == whole


@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@MANY
@given(ROLE, st.data(), CUTS)
def test_mangled_frames_come_to_a_documented_end_that_the_cut_does_not_change(
    deflate: Deflate | None, role: Role, data: st.DataObject, cuts: list[int]
) -> None:
    stream = bytearray(data.draw(conversations(role, deflate))[0])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
        if at < len(stream):
            stream[at] = value
    mangled = bytes(stream)
    whole = outcome(role, mangled, limits=SMALL, deflate=deflate)
    documented(whole)
    assert outcome(role, mangled, cuts, limits=SMALL, deflate=deflate) == whole
    assert outcome(role, mangled, range(len(mangled)), limits=SMALL, deflate=deflate) == whole


@MANY
@given(ROLE, st.data(), CUTS)
def test_mangled_frames_are_never_taken_for_more_than_wsproto_would(
    role: Role, data: st.DataObject, cuts: list[int]
) -> None:
    """Heads are judged earlier here than there, and registered codes are known, so an end may come in other words."""
    stream = bytearray(data.draw(conversations(role, None))[0])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3)):
        if at < len(stream):
            stream[at] = value
    ours = outcome(role, bytes(stream), cuts)
    theirs = reference(role, bytes(stream))
    ended = bool(ours) and not isinstance(ours[-1], bytes) and ours[-1][0] in ("violation", "closed")
    if ended:
        assert theirs[: len(ours) - 1] == ours[:-1]
        assert len(theirs) <= len(ours)
    else:
        assert theirs == ours


@MANY
@given(ROLE, st.binary(min_size=1, max_size=300), CUTS)
def test_a_binary_message_of_whatever_content_is_1003(role: Role, payload: bytes, cuts: list[int]) -> None:
    assert outcome(role, frame(role, BINARY, payload), cuts) == [("violation", 1003)]


# -- both roles, mouth to mouth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@settings(max_examples=60)
@given(ROLE, st.lists(st.text(max_size=400).map(lambda said: (said * 5).encode()), max_size=6), CUTS)
def test_what_one_side_sends_the_other_reads(
    deflate: Deflate | None, role: Role, messages: list[bytes], cuts: list[int]
) -> None:
    other: Role = "client" if role == "server" else "server"
    sender = frames(other, deflate=deflate)
    stream = b"".join([*map(sender.send, messages), sender.ping(b"?"), sender.close(4000, "done")])
    assert outcome(role, stream, cuts, deflate=deflate) == [*messages, ("ping", b"?"), ("closed", 4000, "done")]


@given(ROLE, st.binary(max_size=300))
def test_a_frame_of_any_size_is_read_back(role: Role, message: bytes) -> None:
    assert read_frame(role, frames(role).send(message)) == (0x81, message, b"")
