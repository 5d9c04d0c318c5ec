"""Byte streams over pipes and sockets that the event loop can poll, and the channel made of two of them.

A source reads and hands on what came; a sink takes whole frames and never blocks. Both own their descriptor: they
make it non-blocking, give it back the mode it had, and close it. Descriptors that cannot be polled (regular files,
terminals, devices, everything on Windows) get a thread each with the same interface, in ``blocking_files.py``.
Nothing here knows what the bytes mean.

asyncio's own pipe transports are not used. Its writer takes a readable descriptor for a peer that has gone, which
is wrong for a socket that carries both directions (inetd) or that its other end has half closed; Node.js gives
sockets to its children. And its reader ends the connection at the end of the input, where a server still has
answers to write.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "READ_SIZE",
    "PipeChannel",
    "PipeReader",
    "PipeWriter",
    "Sink",
    "Source",
    "Watermarks",
    "open_sink",
    "open_source",
]

READ_SIZE = 65536
"""Bytes per read: what a pipe holds at most on Linux, and small enough to come from the allocator's heap."""


class Source(Protocol):
    """Where bytes come from. It starts paused. ``on_data`` may be exchanged at any time."""

    on_data: Callable[[bytes], None]

    def resume(self) -> None: ...
    def pause(self) -> None: ...
    def close(self) -> None: ...


class Sink(Protocol):
    """Where bytes go. After ``close`` or ``abort`` its ``on_done`` is called once, from the loop."""

    def write(self, data: bytes) -> None: ...
    def writelines(self, pieces: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def buffered(self) -> int: ...


class Watermarks:
    """Tells a protocol to pause and resume writing, with asyncio's rules for the two limits (in bytes)."""

    __slots__ = ("_pause", "_paused", "_resume", "high", "low")

    def __init__(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause = pause
        self._resume = resume
        self._paused = False
        self.set()

    def set(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = 65536 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"the limits must satisfy high >= low >= 0, not high={high}, low={low}")
        self.high, self.low = high, low

    def check(self, size: int) -> None:
        if not self._paused and size > self.high:
            self._paused = True
            self._pause()
        elif self._paused and size <= self.low:
            self._paused = False
            self._resume()


def open_source(
    loop: asyncio.AbstractEventLoop, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]
) -> Source:
    """Read ``fd``; ``on_end`` is called once, at the end of the input or when it cannot be read any more."""
    if _pollable(fd):
        return PipeReader(loop, fd, on_data, on_end)
    from mcpcore.transports.blocking_files import FileReader  # most processes never need it

    return FileReader(loop, fd, on_data, on_end)


def open_sink(
    loop: asyncio.AbstractEventLoop, fd: int, marks: Watermarks, on_done: Callable[[Exception | None], None]
) -> Sink:
    """Write to ``fd``; ``on_done`` is called once: with the error that ended it, or ``None`` where we did."""
    if _pollable(fd):
        return PipeWriter(loop, fd, marks, on_done)
    from mcpcore.transports.blocking_files import FileWriter

    return FileWriter(loop, fd, marks, on_done)


def _pollable(fd: int) -> bool:
    """A terminal could be polled, but every process that shares it would feel its O_NONBLOCK, the shell too."""
    mode = os.fstat(fd).st_mode
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


class PipeReader:
    """A source over a pipe or a socket: one ``read`` per turn of the loop."""

    __slots__ = ("_active", "_blocking", "_fd", "_loop", "_on_end", "_open", "on_data")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._fd = fd
        self.on_data = on_data
        self._on_end = on_end
        self._open = True
        self._active = False
        self._blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)

    def resume(self) -> None:
        if self._open and not self._active:
            self._active = True
            self._loop.add_reader(self._fd, self._ready)

    def pause(self) -> None:
        if self._active:
            self._active = False
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        if self._open:
            self.pause()
            self._open = False
            _give_back(self._fd, self._blocking)

    def __del__(self) -> None:
        if getattr(self, "_open", False):  # its loop was closed before it was
            _give_back(self._fd, self._blocking)

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # a reset: whatever the reason, nothing more will come
            data = b""
        if data:
            self.on_data(data)
        else:
            self.close()
            self._on_end()


_GATHERED = 256
"""Pieces handed to one ``writev``; the system's own limit is at least 1,024 on Linux and macOS."""


class PipeWriter:
    """A sink over a pipe or a socket: one ``write`` per call while the peer reads, a queue while it does not.

    What waits is kept as it was given and handed to the system piece by piece: a large result is never copied here.
    """

    __slots__ = ("_blocking", "_closing", "_fd", "_loop", "_marks", "_on_done", "_open", "_queue", "_size", "_watched")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, marks: Watermarks, on_done: Callable[[Exception | None], None]
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._marks = marks
        self._on_done = on_done
        self._queue: deque[bytes | memoryview] = deque()
        self._size = 0
        self._open = True
        self._closing = False
        self._blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)
        self._watched = _is_write_only_pipe(fd)
        if self._watched:  # polled for reading, such a pipe reports one thing only: its reader has gone
            loop.add_reader(fd, self._reader_gone)

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        rest: bytes | memoryview = data
        if not self._queue:
            try:
                sent = os.write(self._fd, data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._finish(error)
                return
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
            self._loop.add_writer(self._fd, self._flush)
        self._queue.append(rest)
        self._size += len(rest)
        self._marks.check(self._size)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        """Several pieces in order, gathered by the system: for large ones, which joining would copy."""
        if self._closing:
            return
        idle = not self._queue
        self._queue.extend(pieces)
        self._size += sum(map(len, pieces))
        if idle and self._send() and self._queue:
            self._loop.add_writer(self._fd, self._flush)
        self._marks.check(self._size)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if not self._queue:
                self._finish(None)

    def abort(self) -> None:
        self._finish(None)

    def buffered(self) -> int:
        return self._size

    def __del__(self) -> None:
        if getattr(self, "_open", False):  # its loop was closed before it was
            _give_back(self._fd, self._blocking)

    def _flush(self) -> None:
        if not self._send():
            return
        if not self._queue:
            self._loop.remove_writer(self._fd)
            if self._closing:
                self._finish(None)
        self._marks.check(self._size)

    def _send(self) -> bool:
        """Hand the system what it takes now. False where the pipe is broken, which has been told."""
        queue = self._queue
        try:
            sent = os.writev(self._fd, list(islice(queue, _GATHERED)))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError as error:
            self._finish(error)
            return False
        self._size -= sent
        while sent:
            first = queue.popleft()
            if sent < len(first):
                queue.appendleft(memoryview(first)[sent:])
                break
            sent -= len(first)
        return True

    def _reader_gone(self) -> None:
        self._finish(BrokenPipeError(errno.EPIPE, "the other side closed its end of the pipe"))

    def _finish(self, error: Exception | None) -> None:
        if not self._open:
            return
        self._open = False
        self._closing = True
        if self._queue:
            self._queue.clear()
            self._size = 0
        self._loop.remove_writer(self._fd)
        if self._watched:
            self._loop.remove_reader(self._fd)
        _give_back(self._fd, self._blocking)
        self._loop.call_soon(self._on_done, error)


def _is_write_only_pipe(fd: int) -> bool:
    import fcntl

    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return False
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def _give_back(fd: int, blocking: bool) -> None:
    """The mode belongs to the open file, which a parent or a sibling may share; the descriptor is ours."""
    with suppress(OSError):
        if blocking:
            os.set_blocking(fd, True)
        os.close(fd)


class PipeChannel(asyncio.Transport):
    """A channel over one descriptor to read and one to write. How it ends is its subclasses' business.

    They provide ``close``, ``abort``, ``endpoint`` and what happens at the end of the input and of the output.
    """

    endpoint = ""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, read_fd: int, write_fd: int
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._reading = True
        self._marks = Watermarks(protocol.pause_writing, protocol.resume_writing)
        self._source = open_source(loop, read_fd, protocol.data_received, self._input_ended)
        self._sink = open_sink(loop, write_fd, self._marks, self._output_ended)

    def _begin(self) -> None:
        self._protocol.connection_made(self)
        if self._reading and not self._closing:
            self._source.resume()

    def _input_ended(self) -> None:
        raise NotImplementedError

    def _output_ended(self, error: Exception | None) -> None:
        raise NotImplementedError

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send whole frames, newlines included. Never blocks; after ``close`` the bytes are dropped."""
        self._sink.write(data)  # type: ignore[arg-type]

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces that make whole frames together, without joining them."""
        self._sink.writelines(list(list_of_data))

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and that the operating system has not taken yet."""
        return self._sink.buffered()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """``pause_writing`` is called above ``high`` bytes, ``resume_writing`` at ``low`` and below."""
        self._marks.set(high, low)
        self._marks.check(self._sink.buffered())

    def pause_reading(self) -> None:
        if not self._closing:
            self._reading = False
            self._source.pause()

    def resume_reading(self) -> None:
        if not self._closing:
            self._reading = True
            self._source.resume()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def stderr_tail(self) -> str:
        """The last lines that the other side wrote to its stderr, where we can see them."""
        return ""
