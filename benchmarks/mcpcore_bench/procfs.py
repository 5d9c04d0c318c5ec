"""What the kernel knows about a process: processor time and peak memory. Linux only; nothing is measured twice here.

Three sources of processor time exist, tried from the best to the coarsest, and the report names the one in use:

* the process's own CPU clock: nanoseconds, all threads, finished ones included;
* ``/proc/PID/task/*/schedstat``: nanoseconds, but threads that have ended are missing;
* ``/proc/PID/stat``: clock ticks, usually of 10 ms.

(``/proc/PID/schedstat`` itself counts the main thread alone, so it would hide what worker threads cost.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = [
    "CPU_SOURCES",
    "cpu_source",
    "parse_schedstat",
    "parse_stat",
    "parse_status_kib",
    "peak_memory_kib",
]

PROC: Final = Path("/proc")
_PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED of the kernel's clock numbers; per thread would set bit 2


def parse_schedstat(text: str) -> int:
    """The nanoseconds on a processor from the text of a ``schedstat`` file. Raises :class:`ValueError`."""
    fields = text.split()
    if len(fields) != 3 or not all(field.isdigit() for field in fields):
        raise ValueError(f"not the text of a schedstat file: {text!r}")
    return int(fields[0])


def parse_stat(text: str, ticks_per_second: int) -> int:
    """The nanoseconds in user and kernel mode from ``/proc/PID/stat``, whose command may hold spaces and brackets."""
    _, bracket, rest = text.rpartition(")")
    fields = rest.split()
    if not bracket or len(fields) < 13:
        raise ValueError(f"not the text of a stat file: {text!r}")
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // ticks_per_second


def parse_status_kib(text: str, name: str) -> int:
    """The member ``name`` (for example ``VmHWM``) of ``/proc/PID/status`` in KiB."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name and value.endswith(" kB"):
            return int(value[:-3])
    raise ValueError(f"no {name} in the status of the process")


def peak_memory_kib(pid: int) -> int:
    """The largest resident memory that the process has had so far (``VmHWM``), in KiB."""
    return parse_status_kib((PROC / str(pid) / "status").read_text(), "VmHWM")


def _process_clock(pid: int) -> int:
    return time.clock_gettime_ns((~pid << 3) | _PROCESS_CLOCK)


def _schedstat(pid: int) -> int:
    threads = (PROC / str(pid) / "task").iterdir()
    return sum(parse_schedstat((thread / "schedstat").read_text()) for thread in threads)


def _stat(pid: int) -> int:
    return parse_stat((PROC / str(pid) / "stat").read_text(), os.sysconf("SC_CLK_TCK"))


CPU_SOURCES: Final[dict[str, Callable[[int], int]]] = {
    "process clock": _process_clock,
    "schedstat": _schedstat,
    "stat": _stat,
}


def cpu_source() -> tuple[str, Callable[[int], int]]:
    """The name of the best source that works on this machine, and a function from a pid to nanoseconds.

    A source works when it advances with this process's own work. Raises :class:`OSError` where none does.
    """
    for name, read in CPU_SOURCES.items():
        try:
            before = read(os.getpid())
            _work(0.03)
            if read(os.getpid()) - before > 10_000_000:
                return name, read
        except (OSError, ValueError):
            continue
    raise OSError("no source of processor time works here; the benchmarks need Linux with /proc")


def _work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
