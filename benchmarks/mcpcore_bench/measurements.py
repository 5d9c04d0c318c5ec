"""One measurement of one implementation in one era: each function here runs processes and returns samples.

The order of rounds and what becomes of a failure is decided in ``compare.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcpcore_bench.cores import Cores, on_core
from mcpcore_bench.figures import Sample, latency_figures
from mcpcore_bench.http_load import HttpServerUnderTest, free_port
from mcpcore_bench.http_wire import BOTH_KINDS
from mcpcore_bench.implementations import Implementation
from mcpcore_bench.load import ServerUnderTest
from mcpcore_bench.process import OpeningFailed, ServerDied
from mcpcore_bench.procfs import peak_memory_kib
from mcpcore_bench.wire import Era, WrongReply
from mcpcore_bench.workloads import COLD, Serve, Workload

__all__ = ["FORBIDDEN", "Bench", "ScriptFailed", "imported_modules", "reason"]

FORBIDDEN: Final = ("h11", "wsproto", "ssl", "jsonschema_rs")
"""What a stdio server has no use for."""
SCRIPT_SECONDS: Final = 120.0
HTTP_SHARE: Final = 0.4
"""Of the usual times: over HTTP there are many rows, and the processor's time is counted exactly."""


class ScriptFailed(Exception):
    """A script under test failed or reported wrong results. The text holds the end of its stderr."""


@dataclass(frozen=True)
class Bench:
    """Where and how long everything is measured; times in seconds."""

    cores: Cores
    cpu_ns: Callable[[int], int]
    seconds: float
    warm_seconds: float

    def stdio(
        self, implementation: Implementation, era: Era, workloads: Sequence[Workload]
    ) -> Iterator[tuple[Workload, Sample]]:
        """All workloads on one spawned server, one after the other. Raises what :func:`reason` puts into words."""
        with self._server(implementation.server, implementation, era) as server:
            server.open()
            for workload in workloads:
                yield (
                    workload,
                    server.measure(
                        workload.shape,
                        workload.check,
                        window=workload.window,
                        seconds=self.seconds,
                        warm_seconds=self.warm_seconds,
                    ),
                )

    def client(self, implementation: Implementation, ceiling: Implementation, era: Era, window: int) -> Sample:
        """The client's script on the load core, against the ceiling's server on the server core."""
        command = list(ceiling.server)
        if self.cores.server is not None:
            command += ["--cpu", str(self.cores.server)]
        return self._script(implementation, self.cores.load, era, window, command)

    def http(
        self, implementation: Implementation, serve: Serve, due: Sequence[tuple[Workload, str]]
    ) -> Iterator[tuple[Workload, str, Sample]]:
        """All workloads on one spawned HTTP server, era after era. Raises what :func:`reason` puts into words."""
        http = implementation.http
        accept, kind = (http.accept, http.kind) if serve.answer == "json" else (BOTH_KINDS, serve.answer)
        opened = ""
        with self._http_server(implementation, serve, accept) as server:
            for workload, era in due:
                cold = era != opened
                if cold:
                    server.open(era)
                    opened = era
                sample = server.measure(
                    workload.shape,
                    workload.check,
                    answer=kind,
                    connections=workload.window,
                    seconds=HTTP_SHARE * self.seconds,
                    warm_seconds=HTTP_SHARE * self.warm_seconds,
                    warm_calls=http.warm_calls if cold else 0,
                )
                yield workload, era, sample

    def http_client(self, implementation: Implementation, ceiling: Implementation, era: Era, window: int) -> Sample:
        """The client's script on the load core, against the ceiling's HTTP server on the server core."""
        with self._http_server(ceiling, Serve(), BOTH_KINDS) as server:
            server.listening()
            return self._script(implementation, self.cores.load, era, window, [server.url])

    def memory(self, implementation: Implementation, era: Era, window: int) -> Sample:
        """Client and server object in one process on the server core."""
        return self._script(implementation, self.cores.server, era, window, [])

    def cold(self, implementation: Implementation, era: Era) -> Sample:
        """Spawn to the answer of the first ``tools/call``; the process's processor time and peak memory until then."""
        with self._server(implementation.server, implementation, era) as server:
            elapsed = server.first_answer(COLD.shape, COLD.check)
            memory = peak_memory_kib(server.process.pid)
            return {"first_ms": elapsed / 1e6, "cpu_ms": server.cpu_ns() / 1e6, "memory_kib": float(memory)}

    def importing(self, implementation: Implementation) -> Sample:
        """How long the imports take in a fresh interpreter, whose own start is not counted."""
        with on_core(self.cores.server):
            printed = _output(implementation.importing, implementation.env)
        return {"import_ms": int(printed) / 1e6}

    def modules(self, implementation: Implementation, era: Era) -> set[str]:
        """The modules that the server has imported after its first answer, by the interpreter's own record."""
        python, *rest = implementation.server
        with self._server([python, "-X", "importtime", *rest], implementation, era) as server:
            server.first_answer(COLD.shape, COLD.check)
            return imported_modules(server.stderr())

    def _http_server(self, implementation: Implementation, serve: Serve, accept: str) -> HttpServerUnderTest:
        port = free_port()
        command = [*implementation.server, *serve.options(port)]
        env = implementation.env
        return HttpServerUnderTest(command, port, env=env, cores=self.cores, cpu_ns=self.cpu_ns, accept=accept)

    def _server(self, command: Sequence[str], implementation: Implementation, era: Era) -> ServerUnderTest:
        return ServerUnderTest(command, era, env=implementation.env, cores=self.cores, cpu_ns=self.cpu_ns)

    def _script(
        self, implementation: Implementation, core: int | None, era: Era, window: int, server: Sequence[str]
    ) -> Sample:
        options = {
            "era": era,
            "window": window,
            "seconds": self.seconds,
            "warm-seconds": self.warm_seconds,
            "warm-calls": implementation.http.warm_calls,
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with on_core(core):
            printed = _output([*implementation.client, *arguments, "--", *server], implementation.env)
        return script_figures(json.loads(printed.splitlines()[-1]))


def script_figures(report: dict[str, Any]) -> Sample:
    """The figures of the line of JSON that a client script prints. Raises :class:`ScriptFailed` for wrong results."""
    if report["wrong"]:
        raise ScriptFailed(f"{report['wrong']} of {report['calls']} results were wrong")
    calls = report["calls"]
    cost = {"cpu_us": report["cpu_ns"] / calls / 1000, "per_second": calls / report["wall_ns"] * 1e9}
    return {**cost, **latency_figures(report["latencies"])} if report["latencies"] else cost


def imported_modules(stderr: str) -> set[str]:
    """The module names in what ``python -X importtime`` writes."""
    return set(re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", stderr, re.MULTILINE))


def reason(error: Exception) -> str:
    """One line for the table. Raises the error again where it is none of those that a measured program causes."""
    if isinstance(error, WrongReply):
        return f"wrong: {error}"
    if isinstance(error, (OpeningFailed, ServerDied, ScriptFailed)):
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"failed: {lines[0]}" + (f" … {lines[-1]}" if len(lines) > 1 else "")
    raise error


def _output(command: Sequence[str], env: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SCRIPT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ScriptFailed(f"no end after {SCRIPT_SECONDS:.0f} s") from None
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise ScriptFailed(f"exit status {done.returncode}\n{tail}")
    if not done.stdout.strip():
        raise ScriptFailed("it printed nothing")
    return done.stdout
