"""A process under test: spawned on its core, its stderr kept, killed when it falls silent.

What is said to it lives in ``load.py`` (pipes) and ``http_load.py`` (connections).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Final, Self

from mcpcore_bench.cores import Cores, on_core

__all__ = ["OpeningFailed", "ProcessUnderTest", "ServerDied"]

SILENCE_SECONDS: Final = 30.0
CLOSE_SECONDS: Final = 5.0


class ServerDied(Exception):
    """The server ended, or was killed because it stopped answering. The text holds the end of its stderr."""


class OpeningFailed(Exception):
    """The server did not answer ``initialize`` or ``server/discover`` rightly, so nothing can be measured on it."""


class ProcessUnderTest:
    """Use it as a context manager; leaving it ends the process.

    ``cpu_ns`` is a function from a pid to nanoseconds of processor time (see ``procfs.cpu_source``). With ``piped`` its
    standard input and output are pipes of ours, else they are empty.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cores: Cores,
        cpu_ns: Callable[[int], int],
        silence_seconds: float = SILENCE_SECONDS,
        piped: bool = True,
    ) -> None:
        self.silence_seconds = silence_seconds
        self._cpu_ns = cpu_ns
        self._silent = False
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        stream = subprocess.PIPE if piped else subprocess.DEVNULL
        with on_core(cores.server):
            self.spawned_ns = time.perf_counter_ns()
            self.process = subprocess.Popen(
                command, stdin=stream, stdout=stream, stderr=self._stderr, env=dict(env), bufsize=0
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the process's input; one that does not end within CLOSE_SECONDS is killed."""
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
        """What the process has written to stderr so far."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(0)
        return self._stderr.read(size).decode(errors="replace")

    def cpu_ns(self) -> int:
        return self._cpu_ns(self.process.pid)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Kills the process when the body takes longer than ``silence_seconds``, so that no read blocks for ever."""
        watchdog = threading.Timer(self.silence_seconds, self._kill_silent)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def died(self) -> ServerDied:
        """The error to raise when the process is gone; it waits for the end, to be able to say how it was."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)
        status = f"ended with status {self.process.poll()}"
        if self._silent:
            status = f"did not finish within {self.silence_seconds} s and was killed"
        tail = "\n".join(self.stderr().splitlines()[-12:])
        return ServerDied(f"the server {status}\n{tail}")

    def _kill_silent(self) -> None:
        self._silent = True
        self.process.kill()
