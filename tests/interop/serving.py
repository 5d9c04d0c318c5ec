"""Starts one server on a port of this machine for the length of a block, and ends it by its process id.

What lives here: processes that listen (MCP servers of ours and of the peers, nginx), and what one client observes of
one of them. The rule: a block begins when the port accepts connections and ends when the process is gone; a process
that had to be killed is reported by ``Served.status`` (negative), its last words are in ``Served.stderr``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tests.interop import launch
from tests.interop.judged import judged
from tests.interop.launch import OURS, RunFailed

__all__ = ["PATHS", "Served", "free_port", "observe", "serving"]

HOST: Final = "127.0.0.1"
PATHS: Final = {"http": "/mcp", "sse": "/sse"}
"""Where the endpoint of a transport is, here and at every peer."""
STARTING_SECONDS: Final = 30.0
STOPPING_SECONDS: Final = 8.0
PAUSE: Final = 0.02


@dataclass
class Served:
    """A running server; ``status``, ``seconds`` (from the signal to the end) and ``stderr`` are there once it ended."""

    port: int
    pid: int
    status: int | None = None
    seconds: float = 0.0
    stderr: str = ""

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    command: Callable[[int], list[str]], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Served]:
    """Starts ``command(port)`` on a free port, waits until it accepts connections, and ends it with SIGTERM.

    Raises :class:`RunFailed` where it ends before it listens, or does not listen within ``STARTING_SECONDS``.
    """
    port = free_port()
    tag = os.urandom(16).hex()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            command(port),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={**os.environ, **launch.PATH, **(env or {}), launch.TAG: tag},
            cwd=cwd,
            start_new_session=True,
        )
        served = Served(port, process.pid)
        try:
            _until_it_listens(process, port, lambda: _text(errors))
            yield served
        finally:
            _stop(process, served)
            launch.kill(launch.leftovers(tag))
            served.stderr = _text(errors)


def observe(
    client: str,
    mode: str,
    transport: str,
    command: Callable[[int], list[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    steps: list[str] | None = None,
) -> dict[str, Any]:
    """What a client saw of the server that ``command(port)`` starts: as :func:`launch.observe`, over "http" or "sse".

    Beside that: ``server_exit`` is ``{"status", "seconds"}`` of the server's end after SIGTERM, and ``stderr`` holds
    what both sides wrote.
    """
    tag = os.urandom(16).hex()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "wire.jsonl"
        log.touch()
        wire = {"MCPCORE_WIRE_LOG": str(log)}
        with serving(command, env={**(env or {}), **({} if client == OURS else wire)}, cwd=cwd) as served:
            url = served.url(PATHS[transport])
            options = {"transport": transport, "url": url, "cwd": None, "mode": mode, "steps": steps}
            observed = launch.converse(client, options, tag, wire if client == OURS else {})
        observed["wire"] = judged(log, "client" if client == OURS else "server")
    observed["stderr"] += served.stderr
    observed["server_exit"] = {"status": served.status, "seconds": served.seconds}
    return observed


def _until_it_listens(process: subprocess.Popen[bytes], port: int, errors: Callable[[], str]) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RunFailed(f"the server ended with status {process.returncode} before it listened\n{errors()}")
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(PAUSE)
    raise RunFailed(f"the server did not listen on port {port} within {STARTING_SECONDS:.0f} s\n{errors()}")


def _stop(process: subprocess.Popen[bytes], served: Served) -> None:
    began = time.monotonic()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        served.status = process.wait(STOPPING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        served.status = process.wait()
    served.seconds = time.monotonic() - began


def _text(file: IO[str]) -> str:
    file.flush()
    file.seek(0)
    return file.read()
