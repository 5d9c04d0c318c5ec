"""One stretch of load and its figures, and the way from a cold server to one that is measured."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mcpcore_bench.figures import Sample, latency_figures

__all__ = ["Batch", "measure", "no_collection"]

MOST_CALLS: Final = 50_000
MOST_BYTES: Final = 64_000_000  # of replies kept until they are checked


@dataclass
class Batch:
    """``replies``: what came back, one for each stream. ``latencies`` (ns): empty with several requests outstanding."""

    count: int
    replies: list[bytes]
    wall_ns: int
    cpu_ns: int
    latencies: list[int]

    @property
    def reply_bytes(self) -> float:
        return sum(map(len, self.replies)) / self.count

    def figures(self) -> dict[str, float]:
        cost = {
            "cpu_us": self.cpu_ns / self.count / 1000,
            "per_second": self.count / self.wall_ns * 1e9,
            "reply_bytes": self.reply_bytes,
            "cpu_ns_per_byte": self.cpu_ns / self.count / self.reply_bytes,
        }
        return {**cost, **latency_figures(self.latencies)} if self.latencies else cost


def measure(
    checked: Callable[[int], Batch], *, window: int, seconds: float, warm_seconds: float, warm_calls: int = 0
) -> Sample:
    """Loads the server for about ``seconds``: ``checked(count)`` makes and checks so many calls.

    Before that it warms up: for ``warm_seconds``, ``warm_calls`` and three parts at least.
    """
    count, spent = max(window, 16), 0
    batch = checked(count)
    most = int(min(MOST_CALLS, MOST_BYTES // batch.reply_bytes))
    parts, calls = 1, count
    while (spent := spent + batch.wall_ns) < warm_seconds * 1e9 or parts < 3 or calls < warm_calls:
        count = min(2 * count, 2048, most)
        batch = checked(count)
        parts += 1
        calls += count
    due = int(seconds * count / batch.wall_ns * 1e9)
    return checked(min(most, max(due, 2 * window, 50))).figures()


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection of ours while the clock runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
