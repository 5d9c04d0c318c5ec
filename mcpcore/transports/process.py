"""The client's end of the stdio transport: a server process, from its start to the end of its whole process group.

A channel over the child's stdin and stdout; its stderr is drained and its last lines are kept. What the child is
started with is in ``process_env.py``. Specification: basic/transports/stdio, "Shutdown".

The process is waited for in a thread of its own: that works with an event loop in any thread, on every platform,
and needs neither SIGCHLD nor asyncio's child watchers. A conversation is over when the process has exited and its
pipes are at their end. Where descendants keep the pipes open, or the server only closed its stdin or stdout, it is
over after a short grace.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TextIO

from mcpcore.errors import UsageError
from mcpcore.transports.pipes import PipeChannel, open_source
from mcpcore.transports.process_env import child_environment, explain_start_failure, split_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ProcessChannel", "spawn"]

_WINDOWS = sys.platform == "win32"
_LOSS_GRACE = 0.5
"""Seconds from the first sign that the server is gone to ``connection_lost``: pending calls fail within one second."""
_REAP_SECONDS = 1.0
"""Seconds for a killed process to be gone; one that hangs in the kernel is left to the waiting thread."""
_ENDPOINT_CHARACTERS = 200


async def spawn(
    protocol: asyncio.Protocol,
    command: Sequence[str] | str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    inherit_env: Literal["safe", "all", "none"] = "safe",
    close_timeout: float = 2.0,
    stderr_limit: int = 65536,
    stderr_echo: TextIO | None = None,
) -> ProcessChannel:
    """Start a server process and connect ``protocol`` to its stdin and stdout. ``connection_made`` has been called.

    ``command`` is a list of arguments, or a string that is split as a shell would (no shell runs). ``env`` is added to
    what ``inherit_env`` lets through. ``close_timeout`` (seconds) is shared by the two polite steps of closing: the
    end of its input, then SIGTERM. The last ``stderr_limit`` bytes of stderr are kept; ``stderr_echo`` gets all of
    it as text.
    Raises ``ConnectFailed`` where the process cannot be started, ``UsageError`` for an impossible command.
    """
    argv = split_command(command)
    environment = child_environment(inherit_env, env)
    tail = _StderrTail(stderr_limit, stderr_echo)
    popen, fds = _start(argv, environment, cwd)
    try:
        loop = asyncio.get_running_loop()
        channel = ProcessChannel(loop, protocol, popen, fds, shlex.join(argv), close_timeout, tail)
        channel._begin()
    except BaseException:
        _signal_group(popen, _KILL)
        raise
    return channel


class ProcessChannel(PipeChannel):
    """The channel to a server process. Made by ``spawn``.

    ``connection_lost`` comes once: ``None`` after ``close`` or ``abort``, a ``ConnectionError`` that says what became
    of the process where it went away by itself. A server that dies is noticed at once, and its process group is
    ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        popen: subprocess.Popen[bytes],
        fds: tuple[int, int, int],
        endpoint: str,
        close_timeout: float,
        stderr: _StderrTail,
    ) -> None:
        self.endpoint = (
            endpoint if len(endpoint) <= _ENDPOINT_CHARACTERS else endpoint[: _ENDPOINT_CHARACTERS - 1] + "…"
        )
        self.pid = popen.pid
        self._popen = popen
        self._close_timeout = close_timeout
        self._stderr = stderr
        stdin, stdout, stderr_fd = fds
        super().__init__(loop, protocol, stdout, stdin)
        self._stderr_source = open_source(loop, stderr_fd, stderr.feed, self._stderr_ended)
        self._open_ends = {"exit", "stdout", "stderr"}
        self._gone = asyncio.Event()
        self._reaped = asyncio.Event()
        self._input_broken = False
        self._lost = False
        self._grace: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closers = 0
        self._kill_at_exit = weakref.finalize(self, _kill_forgotten, popen)
        _Waiter(self, loop, popen).start()

    @property
    def returncode(self) -> int | None:
        """The exit status, the negative number of the signal that killed the process, or ``None`` while it runs."""
        return self._popen.returncode

    def exit_description(self) -> str:
        """What became of the process, to follow its name in a sentence: "exited with status 1", "is still running"."""
        code = self._popen.returncode
        if code is None:
            return "is still running"
        if code >= 0:
            return f"exited with status {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    def stderr_tail(self) -> str:
        return self._stderr.text()

    def close(self) -> None:
        """Begin to end the process: close its stdin, later SIGTERM, at last SIGKILL. ``aclose`` also waits for that."""
        if not self._closing:
            self._closing = True
            self._source.on_data = _discard  # keep draining, or the server may hang in its last answer
            self._source.resume()
        self._end()

    def abort(self) -> None:
        """Kill the process group now and drop what is buffered."""
        self.kill()
        self.close()

    def kill(self) -> None:
        """SIGKILL to the whole process group. Synchronous, for finalizers; from any thread; harmless when repeated."""
        if self._kill_at_exit.alive:
            _signal_group(self._popen, _KILL)

    async def aclose(self) -> None:
        """Close, and wait until the whole process group is gone: at most about ``close_timeout`` plus one second.

        Idempotent, from any number of tasks of the loop. Where the last waiting task is cancelled, the group is killed.
        """
        self.close()
        if self._ending is None:
            return
        self._closers += 1
        try:
            await asyncio.shield(self._ending)
        except asyncio.CancelledError:
            if self._closers == 1:
                self.kill()
            raise
        finally:
            self._closers -= 1

    # -- what happens to the process -----------------------------------------------------------------------------------

    def _begin(self) -> None:
        super()._begin()
        self._stderr_source.resume()

    def _input_ended(self) -> None:
        if not self._closing:
            self._protocol.eof_received()
        self._ended("stdout")

    def _stderr_ended(self) -> None:
        self._ended("stderr")

    def _exited(self) -> None:
        self._reaped.set()
        self._ended("exit")

    def _output_ended(self, error: Exception | None) -> None:
        if error is not None:
            self._input_broken = True
            self._marks.check(0)  # a protocol that waits to write again may have stopped reading
            self._watch_for_loss()

    def _ended(self, what: str) -> None:
        self._open_ends.discard(what)
        if not self._open_ends:
            self._gone.set()
            if self._ending is None:
                self._lose()
        elif what != "stderr":
            self._watch_for_loss()

    def _watch_for_loss(self) -> None:
        if self._grace is None and self._ending is None:
            self._grace = self._loop.call_later(_LOSS_GRACE, self._grace_over)

    def _grace_over(self) -> None:
        """A paused reader still has bytes to come; while it is paused nothing is lost by waiting."""
        self._grace = None
        if not self._reading and "stdout" in self._open_ends:
            self._watch_for_loss()
        else:
            self._lose()

    def _lose(self) -> None:
        """The server went away by itself: tell the protocol now, then clear away what is left of the process group."""
        if self._ending is None:
            self._closing = True
            self._source.on_data = _discard
            self._tell_lost(ConnectionError(self._loss_description()))
            self._end()

    def _loss_description(self) -> str:
        if "exit" not in self._open_ends:
            return f"the server process {self.exit_description()}"
        closed = "stdin" if self._input_broken else "stdout"
        return f"the server process closed its {closed}, but is still running"

    def _tell_lost(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        if self._loop.is_closed():
            self.kill()
        elif self._ending is None:
            if self._grace is not None:
                self._grace.cancel()
            self._ending = self._loop.create_task(self._end_process(), name="mcpcore-end-process")

    async def _end_process(self) -> None:
        half = self._close_timeout / 2
        try:
            self._sink.close()
            if not await _within(half, self._gone):
                _signal_group(self._popen, _TERMINATE)
                await _within(half, self._gone)
            self.kill()  # also where the process has exited: its children may have outlived it
            await _within(_REAP_SECONDS, self._reaped)
        finally:
            self.kill()
            self._kill_at_exit.detach()
            self._sink.abort()
            self._source.close()
            self._stderr_source.close()
            self._tell_lost(None)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class _Waiter(threading.Thread):
    """Waits for the process and so reaps it. It keeps the channel from being collected no longer than the loop does."""

    def __init__(
        self, channel: ProcessChannel, loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes]
    ) -> None:
        super().__init__(name=f"mcpcore-wait-{popen.pid}", daemon=True)
        self._channel = weakref.ref(channel)
        self._loop = loop
        self._popen = popen

    def run(self) -> None:
        self._popen.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        channel = self._channel()
        if channel is not None:
            channel._exited()


class _StderrTail:
    """Takes all that the process writes to stderr; keeps the last ``limit`` bytes."""

    def __init__(self, limit: int, echo: TextIO | None) -> None:
        if limit < 0:
            raise UsageError(f"stderr_limit must not be negative, but is {limit}")
        self._limit = limit
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._echo = echo
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        while self._size - len(self._chunks[0]) >= self._limit and len(self._chunks) > 1:
            self._size -= len(self._chunks.popleft())
        if len(self._chunks) > 64:  # many small lines: one piece is cheaper to hold
            self._chunks = deque((self._tail(),))
            self._size = len(self._chunks[0])
        if self._echo is not None:
            with suppress(OSError, ValueError):  # where it goes is not what the connection depends on
                self._echo.write(self._decoder.decode(data))
                self._echo.flush()

    def text(self) -> str:
        return self._tail().decode("utf-8", "replace")

    def _tail(self) -> bytes:
        return b"".join(self._chunks)[-self._limit :] if self._limit else b""


def _start(
    argv: list[str], env: dict[str, str], cwd: str | os.PathLike[str] | None
) -> tuple[subprocess.Popen[bytes], tuple[int, int, int]]:
    """The process, and our ends of its stdin, stdout and stderr."""
    fds: list[int] = []
    try:
        for _ in range(3):
            fds += os.pipe()
        stdin, to_stdin, from_stdout, stdout, from_stderr, stderr = fds
        popen = subprocess.Popen(
            _resolved(argv, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=not _WINDOWS,  # a group of its own, so that the whole tree can be ended
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        for fd in fds:
            os.close(fd)
        raise explain_start_failure(error, argv, env, cwd) from error
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    return popen, (to_stdin, from_stdout, from_stderr)


def _resolved(argv: list[str], env: Mapping[str, str]) -> list[str]:
    """On Windows ``npx`` is ``npx.cmd``, which only a full path finds."""
    if not _WINDOWS:
        return argv
    return [shutil.which(argv[0], path=env.get("PATH")) or argv[0], *argv[1:]]


_TERMINATE = signal.SIGTERM
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def _signal_group(popen: subprocess.Popen[bytes], number: int) -> None:
    """The group outlives its leader as long as it has a member, and its number is not given away until then."""
    if _WINDOWS:
        popen.terminate()
        return
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; on macOS also: only zombies are left
        os.killpg(popen.pid, number)


def _kill_forgotten(popen: subprocess.Popen[bytes]) -> None:
    """For a channel that is collected, or still there at the interpreter's exit, without having been closed."""
    if popen.returncode is None:
        _signal_group(popen, _KILL)


def _discard(_data: bytes) -> None:
    """Read to keep the pipe empty; the conversation is over."""
