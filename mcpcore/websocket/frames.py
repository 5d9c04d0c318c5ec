"""One side of an established WebSocket connection: bytes go in, messages come out; messages go in, frames come out.

The only importer of wsproto. Ordinary frames (a whole text message of one frame, all of it there) are read here, by a
grammar so narrow that nothing about them is in doubt; every other byte is read by wsproto, and a property test holds
the two together. Nothing is refused on the fast path. Frames are written here alone, which takes a few lines.

MCP is text: a binary message ends the connection with 1003. Time is linear in the bytes fed, whatever their cut; memory
is one message within its limit. How a connection comes to be: upgrade.py. When to ping, and when to give up: the shell.
Specification: RFC 6455 sections 5 to 8, RFC 7692 section 6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Final, Literal

from wsproto.extensions import Extension
from wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    MessageDecoder,
    Opcode,
    ParseFailed,
    RsvBits,
    XorMaskerSimple,
)

from mcpcore.core.limits import Limits
from mcpcore.errors import Closed as AlreadyClosed
from mcpcore.errors import UsageError
from mcpcore.websocket.deflate import Deflate, Inflater, TooLarge
from mcpcore.websocket.events import Closed, Event, Ping, Pong, Violation

__all__ = ["Frames"]

_TEXT: Final = 0x81  # with FIN, as the next three
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_COMPRESSED_TEXT: Final = 0xC1
_MASKED: Final = 0x80

_MAX_CONTROL: Final = 125
_MAX_REASON: Final = _MAX_CONTROL - 2
_NO_CODE: Final = 1005
_CODES: Final = frozenset([*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)])
"""What a close frame may say: RFC 6455 section 7.4, and what was registered later (1012 to 1014)."""

_WORTH_COMPRESSING: Final = 1024
"""Below, the time is worth more than the bytes; and what goes out uncompressed is an ordinary frame."""
_FEW: Final = 1024
"""Up to here, one operation on two integers is faster than wsproto's work on every fourth byte."""
_KEYS: Final = 1024
"""Bytes of chance drawn at once: asking the system for every four of them would take longer than masking."""

_INVALID_DATA: Final = CloseReason.INVALID_FRAME_PAYLOAD_DATA
_NOTHING_RESERVED: Final = RsvBits(False, False, False)
_COMPRESSION_BIT: Final = RsvBits(True, False, False)


class Frames:
    """Feed it what comes, send what it returns. The opening handshake is over; ``role`` says which side this is.

    ``draw(size)`` gives bytes that nobody can guess, for the masks of a client (RFC 6455, section 5.3). A client has to
    have it; a server does not call it. ``deflate`` is what the handshake agreed on.
    """

    def __init__(
        self,
        role: Literal["server", "client"],
        limits: Limits,
        *,
        draw: Callable[[int], bytes] | None = None,
        deflate: Deflate | None = None,
    ) -> None:
        client = role == "client"
        if client and draw is None:
            raise UsageError("Frames('client', ...) needs draw: a client's frames are masked with bytes of chance")
        self._limit = limits.max_message_bytes
        self._deflate = deflate
        self._draw = draw if client else None
        self._keys = b""
        self._keys_at = 0
        self._their_mask = 0 if client else _MASKED
        self._shortest_head = 2 if client else 6
        self._rules = _Rules(self._limit, deflate is not None)
        self._decoder = FrameDecoder(client, [self._rules])
        self._messages = MessageDecoder()
        self._message = bytearray()  # what has come of a message that is not ordinary
        self._between = True  # no frame and no message is begun
        self._close_sent = False
        self._ended = False

    @property
    def closing(self) -> bool:
        """A close frame was made or came: ``send`` and ``ping`` raise ``Closed``."""
        return self._close_sent

    @property
    def ended(self) -> bool:
        """A close frame or a violation came: nothing is read any more. An input that stops before was cut off."""
        return self._ended

    # -- what comes -------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[Event]:
        """What ``data`` completes, in its order: messages as ``bytes`` of UTF-8, and the other events. Never raises.

        After ``Closed`` or ``Violation``, which come last, everything is ignored.
        """
        events: list[Event] = []
        at, end = 0, len(data)
        while at < end and not self._ended:
            if self._between:
                at = self._read_ordinary(data, at, events)
                if at == end:
                    break
            at = self._read_any(data, at, events)
        return events

    def _read_ordinary(self, data: bytes, at: int, events: list[Event]) -> int:
        """The fast path: as many ordinary frames as begin at ``data[at]``. Returns where the next frame begins."""
        end, limit, mask = len(data), self._limit, self._their_mask
        while end - at >= 2 and data[at] == _TEXT:
            length = data[at + 1] ^ mask
            start = at + 2
            if length >= 126:
                if length == 126:
                    start += 2
                    length = int.from_bytes(data[at + 2 : start], "big")
                    if length < 126:
                        break
                elif length == 127:
                    start += 8
                    length = int.from_bytes(data[at + 2 : start], "big")
                    if length < 65536:
                        break
                else:
                    break  # masked where it must not be, or the reverse
            if mask:
                start += 4
            stop = start + length
            if stop > end or length > limit:
                break
            message = data[start:stop]
            if mask:
                message = _mask(message, data[start - 4 : start])
            if not message.isascii() and not _is_utf8(message):
                break
            events.append(message)
            at = stop
        return at

    def _read_any(self, data: bytes, at: int, events: list[Event]) -> int:
        """Has wsproto read on: the head of one frame, or of its payload what is there. Returns how far it came."""
        decoder = self._decoder
        if decoder.header is None:  # never more than a frame can be short, so that wsproto holds nothing of the next
            size = max(1, self._shortest_head - len(decoder.buffer))
        else:
            size = decoder.header.payload_len - decoder.payload_consumed - len(decoder.buffer)
        stop = min(at + size, len(data))
        decoder.receive_bytes(data[at:stop])
        try:
            frame = decoder.process_buffer()
            if frame is not None:
                events.extend(self._read_frame(frame))
        except ParseFailed as failure:
            events.append(self._fail(failure))
        self._between = decoder.header is None and not len(decoder.buffer) and not self._rules.inside
        return stop

    def _read_frame(self, frame: Frame) -> list[Event]:
        """A control frame, or a piece of a text frame."""
        if not frame.opcode.iscontrol():
            try:
                piece = self._messages.process_frame(frame)
            except ParseFailed as failure:  # its place was checked with its head
                raise ParseFailed("a text message is not UTF-8", failure.code) from None
            assert isinstance(piece.payload, str)  # of a binary message only the head is read
            self._message += piece.payload.encode()
            if not piece.message_finished:
                return []
            message, self._message = bytes(self._message), bytearray()
            return [message]
        assert isinstance(frame.payload, bytes | bytearray)
        payload = bytes(frame.payload)
        if frame.opcode is Opcode.PING:
            return [Ping(payload, self._frame(_PONG, payload))]
        if frame.opcode is Opcode.PONG:
            return [Pong(payload)]
        return [self._read_close(payload)]

    def _read_close(self, payload: bytes) -> Closed:
        code, reason = _NO_CODE, ""
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if code not in _CODES:  # and half a code is none
                raise ParseFailed("a close frame without a code that may be sent")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise ParseFailed("the reason of a close frame is not UTF-8", _INVALID_DATA) from None
        self._ended = True
        return Closed(code, reason, self._close_frame(payload[:2]))

    def _fail(self, failure: ParseFailed) -> Violation:
        text = str(failure)
        self._ended = True
        self._message = bytearray()
        return Violation(int(failure.code), text, self._close_frame(_close_payload(failure.code, text)))

    # -- what goes --------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> bytes:
        """A text message, in one frame. ``message`` is UTF-8, which is not checked. Raises ``Closed``."""
        if self._close_sent:
            raise _already_closed("message")
        if self._deflate is not None and len(message) >= _WORTH_COMPRESSING:
            return self._frame(_COMPRESSED_TEXT, self._deflate.compress(message))
        return self._frame(_TEXT, message)

    def send_pieces(self, pieces: Sequence[bytes]) -> list[bytes]:
        """The same for a message in pieces, which a server does not copy where nothing is compressed."""
        if self._close_sent:
            raise _already_closed("message")
        if self._draw is not None or self._deflate is not None:
            return [self.send(b"".join(pieces))]
        return [_head(_TEXT, sum(map(len, pieces)), 0), *pieces]

    def ping(self, payload: bytes = b"") -> bytes:
        """A ping with at most 125 bytes; the ``Pong`` brings them back. Raises ``Closed`` and ``UsageError``."""
        if self._close_sent:
            raise _already_closed("ping")
        if len(payload) > _MAX_CONTROL:
            raise UsageError(f"a ping carries at most {_MAX_CONTROL} bytes, not {len(payload)}")
        return self._frame(_PING, payload)

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        """Our close frame; b"" where it was made before. What comes until the peer's is still read.

        ``reason`` is cut off after 123 bytes. Raises ``UsageError`` for a code that must not be sent.
        """
        if code not in _CODES:
            raise UsageError(f"{code} is no code to close with: 1000 to 1003, 1007 to 1014, 3000 to 4999")
        return self._close_frame(_close_payload(code, reason))

    def _close_frame(self, payload: bytes) -> bytes:
        if self._close_sent:
            return b""
        self._close_sent = True
        return self._frame(_CLOSE, payload)

    def _frame(self, first: int, payload: bytes) -> bytes:
        if self._draw is None:
            return _head(first, len(payload), 0) + payload
        key = self._key(self._draw)
        return b"%b%b%b" % (_head(first, len(payload), _MASKED), key, _mask(payload, key))

    def _key(self, draw: Callable[[int], bytes]) -> bytes:
        at = self._keys_at
        if at == len(self._keys):
            self._keys, at = draw(_KEYS), 0
            if len(self._keys) != _KEYS:
                raise UsageError(f"draw({_KEYS}) gave {len(self._keys)} bytes")
        self._keys_at = at + 4
        return self._keys[at : at + 4]


class _Rules(Extension):
    """What is asked of a frame besides its form, while wsproto reads it: is it in its place, and not too large.

    wsproto calls extensions with every head and every piece of a payload, and this is one: so a frame is refused when
    its head has come, before its payload is waited for, and the same in every cut. Of a head that also breaks a rule of
    wsproto's (its mask, a reserved bit) the fault found here is the one that is told. Compressed messages are inflated.
    """

    def __init__(self, limit: int, compressed: bool) -> None:
        self._limit = limit
        self._text_bits = _COMPRESSION_BIT if compressed else _NOTHING_RESERVED
        self._received = 0  # of the message, in earlier frames
        self._inflater: Inflater | None = None
        self.inside = False
        """A message has begun and is not complete."""

    def offer(self) -> bool:
        """For the handshake, which is not wsproto's here."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> RsvBits:
        """Which reserved bits may be set. Asked again while the mask is missing, so nothing is changed here."""
        if opcode.iscontrol():
            return _NOTHING_RESERVED
        if (opcode is Opcode.CONTINUATION) != self.inside:
            raise ParseFailed(
                "a new message inside a fragmented one" if self.inside else "a continuation of no message"
            )
        if opcode is Opcode.BINARY:
            raise ParseFailed("a binary message; MCP is sent as text", CloseReason.UNSUPPORTED_DATA)
        if self._received + payload_length > self._limit:
            raise self._too_large()
        return self._text_bits if opcode is Opcode.TEXT else _NOTHING_RESERVED

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes:
        assert isinstance(proto, FrameDecoder) and proto.header is not None
        if proto.header.opcode.iscontrol():
            return data
        if not self.inside:
            self.inside = True
            self._inflater = Inflater(self._limit) if proto.header.rsv.rsv1 else None
        self._received += len(data)
        return data if self._inflater is None else self._inflated(self._inflater.feed, data)

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | None:
        assert isinstance(proto, FrameDecoder) and proto.header is not None
        if not fin or proto.header.opcode.iscontrol():
            return None
        inflater, self._inflater = self._inflater, None
        self.inside, self._received = False, 0
        return None if inflater is None else self._inflated(inflater.finish)

    def _inflated(self, inflate: Callable[..., bytes], *data: bytes) -> bytes:
        try:
            return inflate(*data)
        except TooLarge:
            raise self._too_large() from None
        except zlib.error:
            raise ParseFailed("a compressed message cannot be inflated", _INVALID_DATA) from None

    def _too_large(self) -> ParseFailed:
        return ParseFailed(f"a message of more than {self._limit} bytes", CloseReason.MESSAGE_TOO_BIG)


def _head(first: int, length: int, mask: int) -> bytes:
    """The beginning of a frame, without the key of its mask."""
    if length < 126:
        return bytes((first, mask | length))
    if length < 65536:
        return struct.pack("!BBH", first, mask | 126, length)
    return struct.pack("!BBQ", first, mask | 127, length)


def _mask(payload: bytes, key: bytes) -> bytes:
    """The payload masked, or unmasked, which is the same."""
    length = len(payload)
    if length > _FEW:
        return bytes(XorMaskerSimple(key).process(bytearray(payload)))
    keys = (key * (length + 3 >> 2))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(keys, "little")).to_bytes(length, "little")


def _is_utf8(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def _close_payload(code: int, reason: str) -> bytes:
    cut = reason.encode("utf-8", "replace")[:_MAX_REASON].decode("utf-8", "ignore")  # not inside a letter
    return code.to_bytes(2, "big") + cut.encode()


def _already_closed(what: str) -> AlreadyClosed:
    return AlreadyClosed(f"The {what} was not sent: the WebSocket connection is closing")
