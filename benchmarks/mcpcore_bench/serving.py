"""What every HTTP server script in ``peers/`` and ``ceilings/`` is told on its command line.

The scripts import this module in their own interpreters, so it uses the standard library only. The scripts for Node
read the same options themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["HOST", "PATH", "Serving", "parse_serving"]

HOST: Final = "127.0.0.1"
PATH: Final = "/mcp"


@dataclass(frozen=True)
class Serving:
    """``tools`` is their number, ``echo`` and ``echo_progress`` among them. ``answer`` is json or sse, where the
    implementation has a setting for it; with ``sessions`` false it is to serve legacy clients without one."""

    port: int
    tools: int
    answer: str
    sessions: bool
    variant: str

    @property
    def fillers(self) -> list[str]:
        """The names of the tools that nobody calls."""
        return [f"filler_{number:03d}" for number in range(self.tools - 2)]


def parse_serving(variants: Sequence[str] = ("plain",)) -> Serving:
    """Reads ``sys.argv``. ``variants`` are the ways in which this script can serve; the first one is the default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tools", type=int, default=5)
    parser.add_argument("--answer", choices=("json", "sse"), default="json")
    parser.add_argument("--sessions", choices=("yes", "no"), default="yes")
    parser.add_argument("--variant", choices=variants, default=variants[0])
    given = parser.parse_args()
    return Serving(given.port, given.tools, given.answer, given.sessions == "yes", given.variant)
