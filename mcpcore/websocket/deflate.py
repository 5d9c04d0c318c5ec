"""permessage-deflate, the extension: what is agreed on, one message compressed, one message inflated within a limit.

It is always agreed that no message builds on the one before, in either direction. So a connection at rest holds no
window of zlib's (up to 300 KB of memory each), and no secret of one message can be guessed from the length of another.
Specification: RFC 7692 sections 5 to 7.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

__all__ = ["OFFER", "Deflate", "Extensions", "Inflater", "TooLarge", "accept_offer", "check_answer", "parse_extensions"]

Extensions = list[tuple[str, list[tuple[str, str | None]]]]
"""The names of extensions with their parameters, in the order of the header; a parameter without a value has None."""

OFFER: Final = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
"""What a client asks for. It limits no window: what inflates takes every one."""

_NAME: Final = "permessage-deflate"
_FLAGS: Final = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_BITS: Final = {str(bits): bits for bits in range(8, 16)}
_SMALLEST_BITS: Final = 9
"""zlib cannot compress with less."""

_LEVEL: Final = 1
"""The event loop waits for it, and the step from nothing to this one saves most of the bytes."""
_TAIL: Final = b"\x00\x00\xff\xff"
_LAST_BLOCK: Final = b"\x01\x00\x00\xff\xff"

_TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]++"
_PARAMETER = re.compile(rf'[ \t]*+;[ \t]*+({_TOKEN})(?:[ \t]*+=[ \t]*+(?:({_TOKEN})|"({_TOKEN})"))?')
_EXTENSION = re.compile(rf"[ \t,]*+({_TOKEN})")
_BETWEEN = re.compile(r"[ \t]*+(?:,[ \t,]*+|$)")


@dataclass(frozen=True, slots=True)
class Deflate:
    """An agreement on permessage-deflate. ``window_bits`` limits what this side may refer back to, 9 to 15."""

    window_bits: int = 15

    def compress(self, message: bytes) -> bytes:
        """The payload of a message that is compressed."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -self.window_bits)
        compressed = compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return compressed[: -len(_TAIL)]


class TooLarge(Exception):
    """What was compressed is larger than the limit."""


class Inflater:
    """Inflates one message, piece by piece, to ``limit`` bytes at most. Memory: that and one window."""

    __slots__ = ("_left", "_stream")

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._stream = zlib.decompressobj(-15)

    def feed(self, data: bytes) -> bytes:
        """What ``data`` inflates to. Raises ``TooLarge`` before more than the limit is held, and ``zlib.error``."""
        inflated = self._stream.decompress(data, self._left + 1)
        self._left -= len(inflated)
        if self._left < 0:
            raise TooLarge
        # Of a last block, one zero byte is left behind it (RFC 7692, section 7.2.3.4).
        if self._stream.unused_data not in (b"", b"\x00"):
            raise zlib.error("data behind the last block")
        return inflated

    def finish(self) -> bytes:
        """The rest of the message, whose last byte came. Raises as ``feed``, also where the end is missing."""
        if self._stream.eof:
            return b""
        rest = self.feed(_TAIL)
        # Only at the end of a block this is an empty block, and the last one.
        if self._stream.decompress(_LAST_BLOCK, 1) or not self._stream.eof:
            raise zlib.error("the message ends inside a block")
        return rest


# -- what is agreed on: RFC 7692 section 7.1 ---------------------------------------------------------------------------


def parse_extensions(value: str) -> Extensions | None:
    """The elements of ``Sec-WebSocket-Extensions``; None where it is none (RFC 6455, section 9.1)."""
    found: Extensions = []
    at = 0
    while at < len(value):
        match = _EXTENSION.match(value, at)
        if match is None:
            return None
        parameters: list[tuple[str, str | None]] = []
        at = match.end()
        while parameter := _PARAMETER.match(value, at):
            name, token, quoted = parameter.groups()
            parameters.append((name, token if quoted is None else quoted))
            at = parameter.end()
        found.append((match.group(1), parameters))
        between = _BETWEEN.match(value, at)
        if between is None:
            return None
        at = between.end()
    return found or None


def accept_offer(offers: Extensions) -> tuple[str, Deflate] | None:
    """A server's answer to a client's offers, and what it agrees on; None where no offer can be accepted."""
    for name, parameters in offers:
        given = _parameters(name, parameters)
        if given is None:
            continue
        bits = _BITS.get(given.get("server_max_window_bits") or "15", 0)
        answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        if bits >= _SMALLEST_BITS:
            if "server_max_window_bits" in given:
                answer += f"; server_max_window_bits={bits}"
            return answer, Deflate(bits)
    return None


def check_answer(answer: Extensions) -> Deflate | None:
    """What a server agreed on after ``OFFER``; None where its answer does not fit that."""
    if len(answer) != 1:
        return None
    given = _parameters(*answer[0])
    # A window of the client's may be limited only where the client said that it can.
    if given is None or "server_no_context_takeover" not in given or "client_max_window_bits" in given:
        return None
    return Deflate()


def _parameters(name: str, parameters: list[tuple[str, str | None]]) -> dict[str, str | None] | None:
    """The parameters by name, where all of them are known, come once and have a value that they may have."""
    given = dict(parameters)
    if name != _NAME or len(given) != len(parameters):
        return None
    for parameter, value in given.items():
        if parameter in _FLAGS:
            fits = value is None
        elif parameter == "client_max_window_bits":
            fits = value is None or value in _BITS
        else:
            fits = parameter == "server_max_window_bits" and value in _BITS
        if not fits:
            return None
    return given
