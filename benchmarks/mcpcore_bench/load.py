"""The load generator: one process over raw pipes, shared by all servers under test. No SDK and no event loop.

While the clock runs it counts newlines and sends what is due, nothing else; replies are kept and checked afterwards, so
that a fast server is not slowed by our own checking. A watchdog kills a server that stops answering, hence no call here
blocks for ever. What the figures mean and which workloads exist is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

import orjson

from mcpcore_bench.cores import Cores, on_core
from mcpcore_bench.figures import Sample, latency_figures
from mcpcore_bench.wire import INITIALIZED, Check, Era, Shape, WrongReply, opening, request_lines, verify

__all__ = ["Batch", "OpeningFailed", "ServerDied", "ServerUnderTest"]

SILENCE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 5.0
READ_BYTES: Final = 1 << 20
MOST_CALLS: Final = 50_000
MOST_BYTES: Final = 64_000_000  # of replies kept until they are checked


class ServerDied(Exception):
    """The server ended, or was killed because it stopped answering. The text holds the end of its stderr."""


class OpeningFailed(Exception):
    """The server did not answer ``initialize`` or ``server/discover`` rightly, so nothing can be measured on it."""


@dataclass
class Batch:
    """What one stretch of load saw: ``latencies`` (ns) is empty unless one request was outstanding at a time."""

    ids: range
    replies: bytes
    wall_ns: int
    cpu_ns: int
    latencies: list[int]

    def figures(self) -> dict[str, float]:
        count = len(self.ids)
        cost = {
            "cpu_us": self.cpu_ns / count / 1000,
            "per_second": count / self.wall_ns * 1e9,
            "reply_bytes": len(self.replies) / count,
        }
        return {**cost, **latency_figures(self.latencies)} if self.latencies else cost


class ServerUnderTest:
    """A spawned server and its pipes. Use it as a context manager; leaving it ends the process.

    ``cpu_ns`` is a function from a pid to nanoseconds of processor time (see ``procfs.cpu_source``).
    """

    def __init__(
        self,
        command: Sequence[str],
        era: Era,
        *,
        env: Mapping[str, str],
        cores: Cores,
        cpu_ns: Callable[[int], int],
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self.era = era
        self.next_id = 1
        self.silence_seconds = silence_seconds
        self._cpu_ns = cpu_ns
        self._silent = False
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with on_core(cores.server):
            self.spawned_ns = time.perf_counter_ns()
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, env=dict(env), bufsize=0
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._input = self.process.stdin.fileno()
        self._output = self.process.stdout.fileno()

    def __enter__(self) -> ServerUnderTest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the server's input; one that does not end within CLOSE_SECONDS is killed."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stderr.close()

    def stderr(self) -> str:
        """What the server has written to stderr so far."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(0)
        return self._stderr.read(size).decode(errors="replace")

    def cpu_ns(self) -> int:
        return self._cpu_ns(self.process.pid)

    def open(self) -> dict[str, Any]:
        """The opening of this era: ``initialize`` and ``notifications/initialized``, or ``server/discover``.

        Raises :class:`OpeningFailed`.
        """
        try:
            result = self.ask(opening(self.era))
        except (WrongReply, ServerDied) as error:
            raise OpeningFailed(str(error)) from error
        if self.era == "legacy":
            self._write(INITIALIZED)
        return result

    def ask(self, shape: Shape, check: Check = lambda result: None) -> dict[str, Any]:
        """Sends one request and returns its result, checked."""
        batch = self.run(shape, 1, window=1)
        verify(self.era, batch.ids, batch.replies, check)
        result: dict[str, Any] = orjson.loads(batch.replies)["result"]
        return result

    def first_answer(self, shape: Shape, check: Check) -> int:
        """Opening and one request on a server just spawned; the nanoseconds from the spawn to the second answer."""
        ids = range(self.next_id, self.next_id + 2)
        self.next_id += 2
        first = request_lines(self.era, opening(self.era), ids[:1])
        second = request_lines(self.era, shape, ids[1:])
        hello: list[bytes] = []
        answer: list[bytes] = []
        with self._watched():
            self._one_by_one(first, hello)
            if self.era == "legacy":
                self._write(INITIALIZED)
            self._one_by_one(second, answer)
            elapsed = time.perf_counter_ns() - self.spawned_ns
        verify(self.era, ids[:1], b"".join(hello), lambda result: None)
        verify(self.era, ids[1:], b"".join(answer), check)
        return elapsed

    def run(self, shape: Shape, count: int, *, window: int) -> Batch:
        """``count`` requests with ``window`` of them outstanding; each reply makes room for the next request.

        The replies are not checked: that is for afterwards. Raises :class:`ServerDied`.
        """
        ids = range(self.next_id, self.next_id + count)
        self.next_id += count
        lines = request_lines(self.era, shape, ids)
        self._window_fits(lines, window)
        replies: list[bytes] = []
        with self._watched(), _no_collection(), self._naming_the_unanswered(ids, replies):
            cpu = self.cpu_ns()
            start = time.perf_counter_ns()
            latencies = self._one_by_one(lines, replies) if window == 1 else self._windowed(lines, window, replies)
            wall = time.perf_counter_ns() - start
            cpu = self.cpu_ns() - cpu
        return Batch(ids, b"".join(replies), wall, cpu, latencies)

    def measure(self, shape: Shape, check: Check, *, window: int, seconds: float, warm_seconds: float) -> Sample:
        """Warms up, then loads the server for about ``seconds``. Raises :class:`WrongReply`, :class:`ServerDied`."""
        count, spent = max(window, 16), 0
        batch = self._checked(shape, check, count, window)
        most = min(MOST_CALLS, MOST_BYTES // (len(batch.replies) // count))
        parts = 1
        while (spent := spent + batch.wall_ns) < warm_seconds * 1e9 or parts < 3:
            count = min(2 * count, 2048, most)
            batch = self._checked(shape, check, count, window)
            parts += 1
        due = int(seconds * count / batch.wall_ns * 1e9)
        return self._checked(shape, check, min(most, max(due, 2 * window, 50)), window).figures()

    def _checked(self, shape: Shape, check: Check, count: int, window: int) -> Batch:
        batch = self.run(shape, count, window=window)
        verify(self.era, batch.ids, batch.replies, check)
        return batch

    def _windowed(self, lines: list[bytes], window: int, replies: list[bytes]) -> list[int]:
        total, sent, answered = len(lines), min(window, len(lines)), 0
        self._write(b"".join(lines[:sent]))
        while answered < total:
            piece = self._read()
            replies.append(piece)
            answered += piece.count(b"\n")
            due = min(total, answered + window)
            if due > sent:
                self._write(b"".join(lines[sent:due]))
                sent = due
        return []

    def _one_by_one(self, lines: list[bytes], replies: list[bytes]) -> list[int]:
        latencies: list[int] = []
        clock = time.perf_counter_ns
        for line in lines:
            start = clock()
            self._write(line)
            piece = self._read()
            while not piece.endswith(b"\n"):
                piece += self._read()
            latencies.append(clock() - start)
            replies.append(piece)
        return latencies

    @contextlib.contextmanager
    def _naming_the_unanswered(self, ids: range, replies: list[bytes]) -> Iterator[None]:
        """A server that stops in the middle of a batch: the error says which replies are missing or wrong."""
        try:
            yield
        except ServerDied as died:
            try:
                verify(self.era, ids, b"".join(replies), lambda result: None)
            except WrongReply as wrong:
                raise ServerDied(f"{wrong}: {died}") from died
            raise

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._input, data) :]
        except OSError as error:
            raise self._died() from error

    def _read(self) -> bytes:
        piece = os.read(self._output, READ_BYTES)
        if not piece:
            raise self._died()
        return piece

    def _died(self) -> ServerDied:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)
        status = f"ended with status {self.process.poll()}"
        if self._silent:
            status = f"did not finish within {self.silence_seconds} s and was killed"
        tail = "\n".join(self.stderr().splitlines()[-12:])
        return ServerDied(f"the server {status}\n{tail}")

    def _window_fits(self, lines: list[bytes], window: int) -> None:
        """A whole window fits into the pipe, so we never block in a write while the server blocks in its own."""
        room = fcntl.fcntl(self._input, fcntl.F_GETPIPE_SZ)
        if window * len(lines[-1]) > room:
            raise ValueError(f"{window} requests of {len(lines[-1])} bytes do not fit into a pipe of {room} bytes")

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        watchdog = threading.Timer(self.silence_seconds, self._kill_silent)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _kill_silent(self) -> None:
        self._silent = True
        self.process.kill()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection of ours while the clock runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
