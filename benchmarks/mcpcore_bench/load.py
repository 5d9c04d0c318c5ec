"""The load generator: one process over raw pipes, shared by all servers under test. No SDK and no event loop.

While the clock runs it counts newlines and sends what is due, nothing else; replies are kept and checked afterwards, so
that a fast server is not slowed by our own checking. A watchdog kills a server that stops answering, hence no call here
blocks for ever. What the figures mean and which workloads exist is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from mcpcore_bench.batch import Batch, measure, no_collection
from mcpcore_bench.cores import Cores
from mcpcore_bench.figures import Sample
from mcpcore_bench.process import SILENCE_SECONDS, OpeningFailed, ProcessUnderTest, ServerDied
from mcpcore_bench.wire import INITIALIZED, Check, Era, Shape, WrongReply, opening, request_lines, verify

__all__ = ["ServerUnderTest"]

READ_BYTES: Final = 1 << 20


class ServerUnderTest(ProcessUnderTest):
    """A spawned server and its pipes."""

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
        super().__init__(command, env=env, cores=cores, cpu_ns=cpu_ns, silence_seconds=silence_seconds)
        self.era = era
        self.next_id = 1
        assert self.process.stdin is not None and self.process.stdout is not None
        self._input = self.process.stdin.fileno()
        self._output = self.process.stdout.fileno()

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
        batch = self._checked(shape, check, 1, 1)
        result: dict[str, Any] = orjson.loads(batch.replies[0])["result"]
        return result

    def first_answer(self, shape: Shape, check: Check) -> int:
        """Opening and one request on a server just spawned; the nanoseconds from the spawn to the second answer."""
        ids = range(self.next_id, self.next_id + 2)
        self.next_id += 2
        first = request_lines(self.era, opening(self.era), ids[:1])
        second = request_lines(self.era, shape, ids[1:])
        hello: list[bytes] = []
        answer: list[bytes] = []
        with self.watched():
            self._one_by_one(first, hello)
            if self.era == "legacy":
                self._write(INITIALIZED)
            self._one_by_one(second, answer)
            elapsed = time.perf_counter_ns() - self.spawned_ns
        verify(self.era, ids[:1], b"".join(hello), lambda result: None)
        verify(self.era, ids[1:], b"".join(answer), check)
        return elapsed

    def run(self, shape: Shape, ids: range, *, window: int) -> Batch:
        """One request for each id with ``window`` of them outstanding; each reply makes room for the next request.

        The replies are not checked: that is for afterwards. Raises :class:`ServerDied`.
        """
        lines = request_lines(self.era, shape, ids)
        self._window_fits(lines, window)
        replies: list[bytes] = []
        with self.watched(), no_collection(), self._naming_the_unanswered(ids, replies):
            cpu = self.cpu_ns()
            start = time.perf_counter_ns()
            latencies = self._one_by_one(lines, replies) if window == 1 else self._windowed(lines, window, replies)
            wall = time.perf_counter_ns() - start
            cpu = self.cpu_ns() - cpu
        return Batch(len(ids), [b"".join(replies)], wall, cpu, latencies)

    def measure(self, shape: Shape, check: Check, *, window: int, seconds: float, warm_seconds: float) -> Sample:
        """Warms up, then loads the server for about ``seconds``. Raises :class:`WrongReply`, :class:`ServerDied`."""
        return measure(
            lambda count: self._checked(shape, check, count, window),
            window=window,
            seconds=seconds,
            warm_seconds=warm_seconds,
        )

    def _checked(self, shape: Shape, check: Check, count: int, window: int) -> Batch:
        ids = range(self.next_id, self.next_id + count)
        self.next_id += count
        batch = self.run(shape, ids, window=window)
        verify(self.era, ids, batch.replies[0], check)
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
            raise self.died() from error

    def _read(self) -> bytes:
        piece = os.read(self._output, READ_BYTES)
        if not piece:
            raise self.died()
        return piece

    def _window_fits(self, lines: list[bytes], window: int) -> None:
        """A whole window fits into the pipe, so we never block in a write while the server blocks in its own."""
        room = fcntl.fcntl(self._input, fcntl.F_GETPIPE_SZ)
        if window * len(lines[-1]) > room:
            raise ValueError(f"{window} requests of {len(lines[-1])} bytes do not fit into a pipe of {room} bytes")
