"""The chunked transfer coding, decoded strictly: any cut, linear time, bounded beside the data itself.

A size is 1 to 16 hexadecimal digits, nothing before and after it but an extension. Extensions and trailers are dropped,
and counted: one body may bring 8 KiB of them. Everything else is ``Malformed`` (400), at the latest when its line ends.

Specification: RFC 9112 section 7.1.
"""

from __future__ import annotations

import re

from mcpcore.http.messages import Malformed
from mcpcore.http.received import Received

__all__ = ["ChunkedDecoder"]

_EXTRA_BYTES = 8 * 1024
_SIZE_BYTES = 18  # of a size line without an extension
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+):[\t -~\x80-\xff]*")
_FRAMING = (b"content-length", b"transfer-encoding")
"""Fields that say where a message ends: after it they can only mislead (RFC 9110 section 6.5.1)."""

_SIZES, _DATA, _DATA_END, _TRAILERS = range(4)


class ChunkedDecoder:
    """The body of one message. ``ended`` turns true once its last chunk and its trailers were read."""

    __slots__ = ("_extra", "_left", "_state", "_total", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._state = _SIZES
        self._left = 0  # bytes of the chunk that have not come
        self._total = 0  # sizes of all chunks so far
        self._extra = _EXTRA_BYTES

    def decode(self, received: Received, limit: int | None = None) -> bytes:
        """The data that has come since, possibly none; it is taken out of ``received``.

        Raises ``Malformed``: 400, or 413 once the sizes of the chunks add up to more than ``limit``.
        """
        pieces: list[bytes] = []
        while not self.ended:
            if self._state == _DATA:
                if not (piece := received.take(self._left)):
                    break
                pieces.append(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = _DATA_END
            elif self._state == _DATA_END:
                if not self._end_of_data(received):
                    break
            elif self._state == _SIZES:
                if not self._size(received, limit):
                    break
            elif not self._trailer(received):
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size(self, received: Received, limit: int | None) -> bool:
        end = self._line(received)
        if end < 0:
            return False
        match = _SIZE.fullmatch(received.data, received.start, end)
        if match is None:
            raise Malformed(400, "a chunk has no proper size")
        size = int(match[1], 16)
        if match[2]:
            self._count(len(match[2]))
        received.skip(end + 2)
        self._left = size
        self._total += size
        if limit is not None and self._total > limit:
            raise Malformed(413, f"the body is longer than {limit} bytes")
        self._state = _DATA if size else _TRAILERS
        return True

    def _end_of_data(self, received: Received) -> bool:
        found = received.data[received.start : received.start + 2]
        if found == b"\r\n":
            received.skip(received.start + 2)
            self._state = _SIZES
            return True
        if found not in (b"", b"\r"):
            raise Malformed(400, "a chunk is longer than its size says")
        return False

    def _trailer(self, received: Received) -> bool:
        end = self._line(received)
        if end < 0:
            return False
        if end == received.start:
            self.ended = True
        else:
            match = _TRAILER.fullmatch(received.data, received.start, end)
            if match is None or match[1].lower() in _FRAMING:
                raise Malformed(400, "a trailer of a chunked body is no header field, or one that frames messages")
            self._count(end + 2 - received.start)
        received.skip(end + 2)
        return True

    def _line(self, received: Received) -> int:
        """Where the line ends that begins here, or -1: it is not complete, and neither too long nor wrong already."""
        data = received.data
        end = data.find(b"\r\n", received.searched)
        if end < 0:
            if data.find(b"\n", received.searched) >= 0:
                raise Malformed(400, "a line between two chunks ends without a carriage return")
            if len(received) > self._extra + _SIZE_BYTES:
                self._count(len(received))
            received.searched = max(received.start, len(data) - 1)  # the last byte may be a CR
        return end

    def _count(self, extra: int) -> None:
        self._extra -= extra
        if self._extra < 0:
            raise Malformed(400, f"a chunked body brings more than {_EXTRA_BYTES} bytes of extensions and trailers")
