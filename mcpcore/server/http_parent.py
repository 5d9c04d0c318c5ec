"""A process that serves nothing itself: it forks children that do, hears what they say, and ends when all of them have.

Which children there are to be, and what happens when one dies, is decided by the subclass: ``http_workers.py``,
``http_reload.py``. There is no event loop and no thread here, since neither survives a fork.
"""

from __future__ import annotations

import _thread
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from mcpcore.errors import UsageError
from mcpcore.transports.descendants import end_descendants

__all__ = ["Child", "Parent", "Say"]

Say = Callable[[str], None]
"""Tells the parent something, in one line."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_HEARD = {*_SIGNALS, signal.SIGCHLD} if sys.platform != "win32" else {*_SIGNALS}
_INTERRUPTED = 130
_LONGEST_LINE = 64 * 1024
_log = logging.getLogger("mcpcore.server")


class Child:
    """A process that was forked, and has not been seen to end."""

    __slots__ = ("_partial", "name", "pid", "pipe", "silent", "started", "started_at")

    def __init__(self, name: str, pid: int, pipe: int, started_at: float) -> None:
        self.name = name
        self.pid = pid
        self.pipe = pipe
        self.started = time.monotonic()
        self.started_at = started_at
        """In seconds since the epoch, and not after anything that it did."""
        self.silent = False
        """It has closed its end of the pipe, most likely by ending."""
        self._partial = b""

    def lines(self) -> list[str]:
        """What it has said since."""
        with suppress(BlockingIOError):
            data = os.read(self.pipe, _LONGEST_LINE)
            self.silent = not data
            *complete, self._partial = (self._partial + data).split(b"\n")
            self._partial = self._partial[-_LONGEST_LINE:]
            return [os.fsdecode(line) for line in complete]
        return []


class Parent:
    """``run`` begins, and returns when everything has ended, with the exit status.

    ``patience``: the seconds that the children have to end once they were told to.
    """

    def __init__(self, patience: float) -> None:
        if not hasattr(os, "fork"):
            raise UsageError("workers and reload need fork, which Windows lacks: serve with one process")
        if threading.current_thread() is not threading.main_thread():
            raise UsageError("several processes are watched by the main thread: call run() there")
        self.children: dict[int, Child] = {}
        self.stopping = False
        self.code = 0
        """The exit status."""
        self.patience = patience
        self._deadline = 0.0
        self._wakeup = self._life = (-1, -1)

    # -- what the subclass says ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Fork the first children."""

    def said(self, child: Child, line: str) -> None:
        """A child says something."""

    def ended(self, child: Child, status: int) -> None:
        """A child has ended: its exit status, below zero the signal that ended it."""

    def tick(self, now: float) -> float:
        """Do what is due; seconds until something is again."""
        return 60.0

    def release(self) -> None:
        """No more clients: close what is listened on."""

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        with self._listening_to_signals():
            self.begin()
            while self.children or not self.stopping:
                now = time.monotonic()
                seconds = self.tick(now) if not self.stopping else self._hurry(now)
                self._wait(max(0.0, seconds))
                self._reap()
        return self.code

    def stop(self) -> None:
        """Tell every child to end; the second time makes no difference."""
        if self.stopping:
            return
        self.stopping = True
        self._deadline = time.monotonic() + self.patience
        self.release()
        for child in self.children.values():
            self.tell(child, signal.SIGTERM)

    def tell(self, child: Child, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)

    def _hurry(self, now: float) -> float:
        """Seconds until those who are told to end have to have ended."""
        if now >= self._deadline:
            for child in self.children.values():
                _log.warning("%s (pid %d) did not end in time and was killed", child.name, child.pid)
                self.tell(child, signal.SIGKILL)
            self._deadline = now + self.patience
        return self._deadline - now

    def _wait(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._wakeup[0], select.POLLIN)
        pipes = {child.pipe: child for child in self.children.values() if not child.silent}
        for pipe in pipes:
            poller.register(pipe, select.POLLIN)
        for pipe, _ in poller.poll(seconds * 1000):
            if pipe in pipes:
                self._hear(pipes[pipe])
            else:
                self._obey()

    def _hear(self, child: Child) -> None:
        for line in child.lines():
            self.said(child, line)

    def _obey(self) -> None:
        for number in os.read(self._wakeup[0], 4096):
            if number == signal.SIGINT and self.stopping:
                self._leave()
            if number in _SIGNALS:
                self.stop()

    def _leave(self) -> NoReturn:
        """The second Ctrl-C: at once."""
        end_descendants()
        os._exit(_INTERRUPTED)

    def _reap(self) -> None:
        for child in tuple(self.children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._hear(child)
                del self.children[pid]
                os.close(child.pipe)
                self.ended(child, os.waitstatus_to_exitcode(status))

    @contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        self._life = os.pipe()
        self._wakeup = os.pipe()
        for end in self._wakeup:
            os.set_blocking(end, False)
        former = {number: signal.signal(number, _heard) for number in _HEARD}
        wakeup = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in former.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            for end in (*self._wakeup, *self._life):
                os.close(end)

    # -- forking -------------------------------------------------------------------------------------------------------

    def fork(self, name: str, serve: Callable[[Say], object]) -> Child:
        """A child that calls ``serve`` and ends after it. It is told to end (SIGTERM) also when this process dies.

        Raises ``OSError`` where the system has no room for it.
        """
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # or the child would write it once more
        started_at = time.time()
        read, write = os.pipe()
        os.set_blocking(read, False)
        # No signal between the fork and the child's own handlers: it would be taken for one to this process.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_child(read, write, serve, blocked)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        child = self.children[pid] = Child(name, pid, read, started_at)
        return child

    def _be_child(self, read: int, write: int, serve: Callable[[Say], object], blocked: Any) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _HEARD:
                signal.signal(number, signal.SIG_DFL)
            for end in (read, self._life[1], *self._wakeup, *(child.pipe for child in self.children.values())):
                os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            _thread.start_new_thread(_end_with_parent, (self._life[0],))
            serve(lambda line: _say(write, line))
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
            os._exit(code)


def _heard(number: int, frame: Any) -> None:
    """The number arrives through the wake-up descriptor."""


def _say(pipe: int, line: str) -> None:
    with suppress(BrokenPipeError):
        os.write(pipe, os.fsencode(line) + b"\n")


def _end_with_parent(life: int) -> None:
    """The other end of this pipe is the parent's alone: reading ends when that dies, however it dies."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
