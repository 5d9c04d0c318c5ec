"""Newline framing: bytes in any cut become lines. One message a line, the newline is the only separator.

Other characters that some software takes for a line end (U+2028, U+0085, a lone CR) are ordinary bytes. Memory is
bounded by the limit plus one read, time is linear in the bytes fed, however they are cut.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
"""

from __future__ import annotations

__all__ = ["LineFramer", "Oversized"]

_HEAD = 512


class Oversized:
    """Stands where a line stood that exceeded the limit. ``head`` holds its first bytes, the rest was dropped."""

    __slots__ = ("head",)

    def __init__(self, head: bytes) -> None:
        self.head = head


class LineFramer:
    """Collects one direction of one pipe."""

    __slots__ = ("_length", "_limit", "_parts", "_skipping")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | Oversized]:
        """The lines that ``data`` completes, without their newline. Blank lines are passed over."""
        lines: list[bytes | Oversized] = data.split(b"\n")  # type: ignore[assignment]
        tail: bytes = lines.pop()  # type: ignore[assignment]
        if self._parts or self._skipping or len(data) > self._limit:
            lines = self._join(lines)
        if tail and not self._skipping:
            self._keep(tail, lines)
        return lines

    def finish(self) -> list[bytes | Oversized]:
        """The last line, where the input ended without a newline."""
        rest = b"".join(self._parts)
        self._parts, self._length, self._skipping = [], 0, False
        return [rest] if rest else []

    def _keep(self, tail: bytes, lines: list[bytes | Oversized]) -> None:
        self._parts.append(tail)
        self._length += len(tail)
        if self._length > self._limit:
            lines.append(Oversized(b"".join(self._parts)[:_HEAD]))
            self._parts, self._length, self._skipping = [], 0, True

    def _join(self, complete: list[bytes | Oversized]) -> list[bytes | Oversized]:
        """The slow path: a line was begun earlier, is being skipped, or may be too long."""
        lines: list[bytes | Oversized] = []
        for line in complete:
            assert isinstance(line, bytes)
            if self._skipping:
                self._skipping = False
                continue
            if self._parts:
                self._parts.append(line)
                line = b"".join(self._parts)
                self._parts, self._length = [], 0
            lines.append(line if len(line) <= self._limit else Oversized(line[:_HEAD]))
        return lines
