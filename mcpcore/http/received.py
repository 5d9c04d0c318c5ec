"""Bytes that came and were not consumed yet, in any cut: where the next head ends, and taking bytes from the front.

What a head or a body means is not known here. Time is linear in the bytes fed: only new bytes are searched, and what is
left is copied once when more comes behind it. Memory is what was fed and not taken; the readers refuse before it grows.
"""

from __future__ import annotations

import re

from mcpcore.http.messages import Malformed

__all__ = ["BLANK_LINE", "MAX_TARGET", "Received", "refuse_long_target"]

BLANK_LINE = b"\r\n\r\n"
"""The end of the last line of a head, and the empty line behind it."""

MAX_TARGET = 8 * 1024
"""The longest request target that is served, RFC 9110 section 4.1: at least 8000 octets."""

_BARE_LF = re.compile(rb"(?<!\r)\n")
_BEGINNINGS = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""Bytes of a token: a head begins with a method or with HTTP/. Another first byte is noise, or a TLS hello."""


class Received:
    """``data[start:]`` is what is held; ``eof`` says that nothing follows. The readers look into it directly.

    ``searched``: where to go on looking for the end of the head, or of the line, that begins at ``start``.
    """

    __slots__ = ("data", "eof", "searched", "start")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.start = 0
        self.eof = False
        self.searched = 0

    def __len__(self) -> int:
        return len(self.data) - self.start

    def feed(self, data: bytes) -> None:
        """More bytes. What comes after the end of the input is dropped."""
        if self.eof:
            return
        if self.start == len(self.data):
            self.data = data
        elif isinstance(self.data, bytearray):
            del self.data[: self.start]
            self.data += data
        else:
            rest = bytearray(memoryview(self.data)[self.start :])
            rest += data
            self.data = rest
        self.searched = max(0, self.searched - self.start)
        self.start = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, or as many as there are. All of one read is handed on without a copy."""
        start, data = self.start, self.data
        end = min(start + size, len(data))
        self.skip(end)
        return bytes(memoryview(data)[start:end]) if isinstance(data, bytearray) else data[start:end]

    def skip(self, end: int) -> None:
        """Everything before ``data[end]`` was read where it stands. What was read to its end is let go."""
        if end == len(self.data):
            self.data, end = b"", 0
        self.start = self.searched = end

    def clear(self) -> None:
        """Drops what is held: the connection is lost for reading."""
        self.data, self.start, self.searched, self.eof = b"", 0, 0, True  # so that nothing is kept from now on

    def find_head(self, limit: int) -> int:
        """The position of the empty line that ends the head at ``start``, or -1 while it has not come.

        Raises ``Malformed`` as soon as no head can come of it: a first byte that begins none, a line that ends without
        CR, more than ``limit`` bytes. These are judged by where they stand, so the cut makes no difference.
        """
        data, start = self.data, self.start
        if start < len(data) and data[start] not in _BEGINNINGS:
            raise Malformed(400, "the bytes do not begin like an HTTP/1.1 message")
        end = data.find(BLANK_LINE, self.searched)
        if 0 <= end <= start + limit - len(BLANK_LINE):
            return end
        new, self.searched = self.searched, max(start, len(data) - len(BLANK_LINE) + 1)
        if _BARE_LF.search(data, new, start + limit):
            raise Malformed(400, "a line of the head ends without a carriage return")
        if len(data) - start > limit:
            line = bytes(data[start : start + limit]).split(b"\r\n", 1)[0]
            refuse_long_target(line)
            raise Malformed(431, f"the head is longer than {limit} bytes")
        return -1


def refuse_long_target(line: bytes) -> None:
    """Raises ``Malformed`` (414) for a request line, or the beginning of one, whose target is too long."""
    words = line.split(b" ", 2)
    if len(words) > 1 and len(words[1]) > MAX_TARGET:
        raise Malformed(414, f"the request target is longer than {MAX_TARGET} bytes")
