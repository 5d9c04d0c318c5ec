"""Byte streams over files that the event loop cannot poll: a daemon thread each, behind the interface of ``pipes.py``.

Regular files (``server < frames.jsonl``), terminals, devices, and all pipes on Windows. A thread that sits in a
blocking call cannot be interrupted; it therefore owns its descriptor, closes it itself once the call returns, and
never keeps the process alive.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcpcore.transports.pipes import READ_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpcore.transports.pipes import Watermarks

__all__ = ["FileReader", "FileWriter"]


class FileReader:
    """A source that reads in a thread, one read ahead at most: a paused reader buffers ``READ_SIZE`` bytes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._fd = fd
        self.on_data = on_data
        self._on_end = on_end
        self._closed = False
        self._active = False
        self._asked = False
        self._held: bytes | None = None
        self._go = threading.Semaphore(0)
        threading.Thread(target=self._run, name=f"mcpcore-read-{fd}", daemon=True).start()

    def resume(self) -> None:
        if self._closed or self._active:
            return
        self._active = True
        if self._held is not None:
            self._loop.call_soon(self._deliver)
        else:
            self._ask()

    def pause(self) -> None:
        self._active = False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._go.release()

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._go.release()

    def _arrived(self, data: bytes) -> None:
        self._asked = False
        self._held = data
        self._deliver()

    def _deliver(self) -> None:
        data = self._held
        if data is None or not self._active or self._closed:
            return
        self._held = None
        if not data:
            self.close()
            self._on_end()
            return
        self.on_data(data)
        if self._active and not self._closed:
            self._ask()

    def _run(self) -> None:
        try:
            while True:
                self._go.acquire()
                if self._closed or not _post(self._loop, self._arrived, _read(self._fd)):
                    return
        finally:
            os.close(self._fd)


class FileWriter:
    """A sink that writes in a thread. ``abort`` cannot take back the write that is under way."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        marks: Watermarks,
        on_done: Callable[[Exception | None], None],
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._marks = marks
        self._on_done: Callable[[Exception | None], None] | None = on_done
        self._changed = threading.Condition()
        self._queue: list[bytes] = []
        self._size = 0
        self._closing = False
        self._aborted = False
        threading.Thread(target=self._run, name=f"mcpcore-write-{fd}", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._closing or not data:
                return
            self._queue.append(bytes(data))
            self._size += len(data)
            self._changed.notify()
        self._marks.check(self._size)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()

    def abort(self) -> None:
        with self._changed:
            self._closing = self._aborted = True
            self._queue.clear()
            self._size = 0
            self._changed.notify()
        self._loop.call_soon(self._finish, None)

    def buffered(self) -> int:
        return self._size

    def _run(self) -> None:
        error: Exception | None = None
        try:
            while chunk := self._take():
                self._write_out(chunk)
        except OSError as failure:
            error = failure
        os.close(self._fd)
        _post(self._loop, self._finish, error)

    def _take(self) -> bytes:
        """What waits to be written; empty once nothing more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            chunk = b"".join(self._queue)
            self._queue.clear()
            return chunk

    def _write_out(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest and not self._aborted:
            try:
                sent = os.write(self._fd, rest[:READ_SIZE])
            except BlockingIOError:  # somebody who shares the open file made it non-blocking
                select.select([], [self._fd], [])
                continue
            rest = rest[sent:]
            with self._changed:
                self._size = max(0, self._size - sent)
            _post(self._loop, self._written)

    def _written(self) -> None:
        if self._on_done is not None:
            self._marks.check(self._size)

    def _finish(self, error: Exception | None) -> None:
        self._closing = True
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(error)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, READ_SIZE)
        except BlockingIOError:  # somebody who shares the open file made it non-blocking
            select.select([fd], [], [])
        except OSError:  # a terminal that hung up, a directory: nothing more will come
            return b""


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> bool:
    with suppress(RuntimeError):  # the loop is closed: nobody waits for this any more
        loop.call_soon_threadsafe(callback, *args)
        return True
    return False
