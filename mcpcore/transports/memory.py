"""A pair of channels inside one event loop: what one side writes, the other receives in a later turn.

The bytes are those of a pipe, so whatever is seen here would be seen there. Each side may pause the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

__all__ = ["MemoryChannel", "connect_in_memory"]

_HIGH_WATER = 1024 * 1024


class MemoryChannel:
    """One end of the pair; it has the methods of an asyncio transport that a runner uses."""

    def __init__(self, protocol: asyncio.Protocol, endpoint: str) -> None:
        self.endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._other: MemoryChannel | None = None
        self._inbox: deque[bytes | None] = deque()
        self._size = 0
        self._high = _HIGH_WATER
        self._reading = True
        self._due = False
        self._closing = False
        self._lost = False
        self._writer_paused = False

    def write(self, data: bytes) -> None:
        other = self._other
        if data and not self._closing and other is not None and not other._lost:
            other._put(data)
            if other._size > self._high and not self._writer_paused:
                self._writer_paused = True
                self._protocol.pause_writing()

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """The other side sees the end of input once it has read what was written before, and then the loss."""
        if not self._closing:
            self._closing = True
            if self._other is not None and not self._other._lost:
                self._other._put(None)
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._schedule()

    def get_write_buffer_size(self) -> int:
        return self._other._size if self._other is not None else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH_WATER if high is None else high

    def stderr_tail(self) -> str:
        return ""

    def _put(self, data: bytes | None) -> None:
        self._inbox.append(data)
        self._size += len(data) if data is not None else 0
        self._schedule()

    def _schedule(self) -> None:
        if self._inbox and self._reading and not self._due and not self._lost:
            self._due = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._due = False
        while self._inbox and self._reading and not self._lost:
            data = self._inbox.popleft()
            if data is None:
                self._protocol.eof_received()
                self.close()
                return
            self._size -= len(data)
            self._protocol.data_received(data)
        writer = self._other
        if writer is not None and writer._writer_paused and self._size <= writer._high // 2:
            writer._writer_paused = False
            writer._protocol.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._protocol.connection_lost(error)
        writer = self._other
        if writer is not None and writer._writer_paused and not writer._lost:
            # Nobody will ever read here: as with a broken pipe, the writer must not wait for it.
            writer._writer_paused = False
            self._loop.call_soon(writer._protocol.resume_writing)


def connect_in_memory(first: Any, second: Any, name: str = "memory") -> tuple[MemoryChannel, MemoryChannel]:
    """Connects two protocols of the running loop and returns their channels."""
    one, two = MemoryChannel(first, name), MemoryChannel(second, name)
    one._other, two._other = two, one
    first.connection_made(one)
    second.connection_made(two)
    return one, two
