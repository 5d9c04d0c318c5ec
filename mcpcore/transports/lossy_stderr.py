"""A stderr that never blocks its writer: where nobody reads, the oldest bytes give way.

A parent that never reads the stderr of its child lets the pipe fill up, and the next ``print`` or log line then
blocks for ever, with the event loop in it. So Python's own text streams write through a sink that sends at once what
the system takes at once, and keeps the rest, up to a limit, for a thread.

File descriptor 2 itself stays what the parent gave us. A pipe of our own in its place would also shield C libraries
and child processes, but it would swallow the last words of a crash (faulthandler, ``abort``, the C++ runtime), break
the stderr of children that outlive us, and deadlock once a C function that holds the interpreter lock fills it.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LossySink", "LossyStream"]

_LIMIT = 256 * 1024
"""Bytes kept for a reader that is behind: a long traceback and its surroundings."""
_CHUNK = 65536


class LossySink:
    """Takes bytes for the file behind ``fd`` and never blocks. It keeps at most ``limit`` of them, the newest."""

    def __init__(self, fd: int, limit: int = _LIMIT) -> None:
        self._fd = os.dup(fd)  # the thread's own, so that nothing else gets its number while it writes
        self._limit = limit
        self._send, self._release_send = _immediate_sender(fd)
        self._reset()
        _live.append(self)

    def _reset(self) -> None:
        """The state of a fresh process: a forked child has neither the thread nor what waits for it."""
        self._changed = threading.Condition(threading.RLock())  # a destructor may print while we write
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._writing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._closed:
                return
            if not self._queue and not self._writing:
                data = data[self._send_now(data) :]
            if not data:
                return
            self._keep(data)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mcpcore-stderr", daemon=True)
                with suppress(RuntimeError):  # the interpreter is ending: no more threads
                    self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Wait until everything is written, at most ``timeout`` seconds. True if it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._writing, timeout)

    def close(self) -> None:
        """Drop what is left and let the thread go. A write under way may still finish. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
            if self._thread is None:
                os.close(self._fd)
        self._release_send()
        _live.remove(self)

    def _send_now(self, data: bytes) -> int:
        if self._send is None:
            return 0
        try:
            return self._send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the reader has gone: the bytes too
            return len(data)

    def _keep(self, data: bytes) -> None:
        if len(data) > self._limit:
            self._dropped += len(data) - self._limit
            data = data[-self._limit :]
        self._queue.append(data)
        self._size += len(data)
        while self._size > self._limit:
            oldest = self._queue.popleft()
            self._size -= len(oldest)
            self._dropped += len(oldest)

    def _run(self) -> None:
        while chunk := self._take():
            rest = memoryview(chunk)
            while rest and not self._closed:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:  # somebody who shares the open file made it non-blocking
                    select.select([], [self._fd], [])
                except OSError:
                    break
        os.close(self._fd)

    def _take(self) -> bytes:
        """What waits to be written; empty once the sink is closed."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._closed)
            if self._closed:
                return b""
            self._writing = True
            parts: list[bytes] = []
            if self._dropped:
                parts.append(b"[%d bytes of stderr were dropped: nobody read them]\n" % self._dropped)
                self._dropped = 0
            size = 0
            while self._queue and size < _CHUNK:
                parts.append(self._queue.popleft())
                size += len(parts[-1])
            self._size -= size
            return b"".join(parts)


class LossyStream(io.RawIOBase):
    """The raw file under ``sys.stdout`` or ``sys.stderr``: says that it is ``fileno``, writes into a sink."""

    def __init__(self, sink: LossySink, fileno: int, name: str) -> None:
        self._sink = sink
        self._fileno = fileno
        self.name = name
        self.mode = "w"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fileno

    def isatty(self) -> bool:
        return os.isatty(self._fileno)

    def write(self, data: object, /) -> int:
        octets = bytes(data)  # type: ignore[call-overload]
        self._sink.write(octets)
        return len(octets)


def _immediate_sender(fd: int) -> tuple[Callable[[bytes], int] | None, Callable[[], None]]:
    """A function that writes what can be written at once, where the system has one, and how to let it go.

    O_NONBLOCK on the descriptor itself would change the open file that the parent and our children share. On Linux a
    pipe or a device can be opened a second time; a socket has a flag for one call; a regular file does not block.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return partial(os.write, fd), _nothing
    if stat.S_ISSOCK(mode):
        import socket

        sock = socket.socket(fileno=os.dup(fd))
        return (lambda data: sock.send(data, socket.MSG_DONTWAIT)), sock.close
    if sys.platform == "linux":
        with suppress(OSError):  # no /proc, or the file belongs to another user
            own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            return partial(os.write, own), partial(os.close, own)
    return None, _nothing


def _nothing() -> None:
    """Nothing was opened, so there is nothing to close."""


_live: list[LossySink] = []


def _after_fork() -> None:
    for sink in _live:
        sink._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
