"""Which processor core runs what: the server under test alone on one, the load generator on another."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Cores", "on_core"]


@dataclass(frozen=True)
class Cores:
    """``load`` and ``server`` are core numbers, or None where this process may use only one core."""

    load: int | None
    server: int | None

    @classmethod
    def available(cls) -> Cores:
        """The first two cores that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[1]) if len(usable) > 1 else cls(None, None)

    def __str__(self) -> str:
        if self.server is None:
            return "one core for everything: throughput and latency include the load generator"
        return f"server on core {self.server}, load on core {self.load}"


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Runs the body on this core, so that a process started in it inherits the binding; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
