"""What runs inside a client under test: calls with so many outstanding, counted, checked and timed.

The client scripts in ``peers/`` and ``ceilings/`` import this module in their own interpreters, so it uses the standard
library only. The parent process reads the one JSON line that :func:`run` prints.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

__all__ = ["Call", "Task", "run"]

Call = Callable[[], Awaitable[str]]
"""Makes one ``echo`` call and returns the text of its result."""

ECHO = "hello"
MOST_CALLS = 50_000


@dataclass(frozen=True)
class Task:
    """What to measure. ``command`` starts the server to talk to; empty means a server object in the same process.

    Over HTTP it is the URL alone.
    """

    era: str
    window: int
    seconds: float
    warm_seconds: float
    warm_calls: int
    command: Sequence[str]

    @property
    def revision(self) -> str:
        return "2026-07-28" if self.era == "modern" else "2025-11-25"

    @property
    def url(self) -> str:
        """The URL to call, or "" where a command or an object is."""
        return self.command[0] if self.command and self.command[0].startswith("http://") else ""


@dataclass
class _Run:
    call: Call
    left: int
    latencies: list[int]
    wrong: int = 0

    async def worker(self) -> None:
        while self.left > 0:
            self.left -= 1
            if await self.call() != ECHO:
                self.wrong += 1

    async def timing_worker(self) -> None:
        clock = time.perf_counter_ns
        while self.left > 0:
            self.left -= 1
            start = clock()
            text = await self.call()
            self.latencies.append(clock() - start)
            if text != ECHO:
                self.wrong += 1


def parse_task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-seconds", type=float, required=True)
    parser.add_argument("--warm-calls", type=int, default=0)
    parser.add_argument("command", nargs="*")
    given = parser.parse_args()
    return Task(given.era, given.window, given.seconds, given.warm_seconds, given.warm_calls, given.command)


def run(connect: Callable[[Task], AbstractAsyncContextManager[Call]]) -> None:
    """Measures what ``connect(task)`` offers and prints one line of JSON: calls, wrong, wall_ns, cpu_ns, latencies."""
    asyncio.run(_measure(connect))


async def _measure(connect: Callable[[Task], AbstractAsyncContextManager[Call]]) -> None:
    task = parse_task()
    async with connect(task) as call:
        rate = await _warm(call, task)
        calls = int(min(MOST_CALLS, max(rate * task.seconds, 2 * task.window, 50)))
        state = _Run(call, calls, [])
        gc.collect()
        cpu = time.process_time_ns()
        start = time.perf_counter_ns()
        await _drive(state, task.window)
        wall = time.perf_counter_ns() - start
        cpu = time.process_time_ns() - cpu
    report = {"calls": calls, "wrong": state.wrong, "wall_ns": wall, "cpu_ns": cpu, "latencies": state.latencies}
    print(json.dumps(report), flush=True)


async def _warm(call: Call, task: Task) -> float:
    """Calls until the warm-up is over, in three parts at least; returns the calls a second of the last one."""
    count, spent, calls = max(16, task.window), 0.0, 0
    for part_number in itertools.count(1):
        start = time.perf_counter()
        await _drive(_Run(call, count, []), task.window)
        part = time.perf_counter() - start
        spent += part
        calls += count
        if spent >= task.warm_seconds and calls >= task.warm_calls and part_number >= 3:
            break
        count = min(2 * count, 2048)
    return count / part


async def _drive(state: _Run, window: int) -> None:
    if window == 1:
        await state.timing_worker()
    else:
        await asyncio.gather(*(state.worker() for _ in range(window)))
