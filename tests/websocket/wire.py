"""Raw frames as an adversary would write them, and what comes of them as plain values. The encoder is written anew,
so that the tests share no code with what they test.

What a server receives is masked, what a client receives is not: `frame` asks for the receiver's role. `outcome` feeds a
stream in some cut and says what happened; it also holds every reply to the form that its sender's role wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from mcpcore.core.limits import Limits
from mcpcore.websocket.deflate import Deflate
from mcpcore.websocket.events import Closed, Event, Ping, Pong, Violation
from mcpcore.websocket.frames import Frames

Role: TypeAlias = Literal["server", "client"]
ROLES: tuple[Role, Role] = ("server", "client")

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
KEY = b"\x37\xfa\x21\x3d"
LIMITS = Limits(max_message_bytes=200_000)


def draw(size: int) -> bytes:
    """As good as chance for these tests: every key differs from the one before."""
    return bytes(number * 7 % 251 for number in range(size))


def frames(role: Role, *, limits: Limits = LIMITS, deflate: Deflate | None = None, draw_from: Any = draw) -> Frames:
    return Frames(role, limits, draw=draw_from if role == "client" else None, deflate=deflate)


def frame(
    receiver: Role,
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool | None = None,
    key: bytes = KEY,
    form: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame for ``receiver``. ``form`` is the size of the length field (0, 2, 8), ``length`` what it says."""
    size = len(payload) if length is None else length
    if form is None:
        form = 0 if size < 126 else 2 if size < 65536 else 8
    masked = receiver == "server" if masked is None else masked
    short = {0: size, 2: 126, 8: 127}[form]
    head = bytes([(FIN if fin else 0) | rsv | opcode, (0x80 if masked else 0) | short])
    head += size.to_bytes(form, "big") if form else b""
    if not masked:
        return head + payload
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def text(receiver: Role, message: str | bytes, **how: Any) -> bytes:
    return frame(receiver, TEXT, message.encode() if isinstance(message, str) else message, **how)


def fragments(receiver: Role, *payloads: bytes) -> list[bytes]:
    """A text message in as many frames."""
    last = len(payloads) - 1
    return [
        frame(receiver, CONTINUATION if number else TEXT, payload, fin=number == last)
        for number, payload in enumerate(payloads)
    ]


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def read_frame(sender: Role, data: bytes) -> tuple[int, bytes, bytes]:
    """First byte and payload of the frame at the beginning of ``data``, and what follows it."""
    first, second = data[0], data[1]
    assert bool(second & 0x80) == (sender == "client"), "masked by a server, or not masked by a client"
    size, at = second & 0x7F, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        assert size >= (126 if width == 2 else 65536), "a longer length than needed"
    key = b"\0\0\0\0"
    if sender == "client":
        key, at = data[at : at + 4], at + 4
    payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(data[at : at + size]))
    assert len(payload) == size
    return first, payload, data[at + size :]


def pieces(stream: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The stream cut at these places; empty pieces are left out."""
    start = 0
    for cut in [*sorted(cuts), len(stream)]:
        if cut > start:
            yield stream[start:cut]
            start = cut


def fact(receiver: Role, event: Event) -> Any:
    """An event as a tuple, or the message itself; its reply is a frame of the receiver's, read again."""
    if isinstance(event, bytes):
        return event
    if isinstance(event, Pong):
        return "pong", event.payload
    first, payload, rest = read_frame(receiver, event.reply) if event.reply else (0, b"", b"")
    assert rest == b""
    if isinstance(event, Ping):
        assert (first, payload) == (FIN | PONG, event.payload)
        return "ping", event.payload
    assert not event.reply or first == FIN | CLOSE
    if isinstance(event, Closed):
        if event.reply:
            assert payload == (b"" if event.code == 1005 else close_payload(event.code))
        return "closed", event.code, event.reason
    assert isinstance(event, Violation)
    assert not event.reply or payload == close_payload(event.code, event.text.encode())
    return "violation", event.code


def outcome(
    receiver: Role,
    stream: bytes | list[bytes],
    cuts: Iterable[int] = (),
    *,
    limits: Limits = LIMITS,
    deflate: Deflate | None = None,
) -> list[Any]:
    """Everything that comes of a stream cut at these places."""
    stream = stream if isinstance(stream, bytes) else b"".join(stream)
    side = frames(receiver, limits=limits, deflate=deflate)
    return [fact(receiver, event) for piece in pieces(stream, cuts) for event in side.feed(piece)]


def check(receiver: Role, stream: bytes | list[bytes], expected: list[Any], **options: Any) -> None:
    """The same comes out whole, byte by byte, in chops, and cut at every single place near both ends."""
    stream = stream if isinstance(stream, bytes) else b"".join(stream)
    size = len(stream)
    assert outcome(receiver, stream, **options) == expected, "whole"
    if size <= 3000:
        assert outcome(receiver, stream, range(size), **options) == expected, "byte by byte"
    for chop in (7, 997):
        assert outcome(receiver, stream, range(0, size, chop), **options) == expected, f"in pieces of {chop}"
    for cut in {*range(1, min(size, 20)), *range(max(1, size - 20), size)}:
        assert outcome(receiver, stream, [cut], **options) == expected, f"cut at {cut}"
