"""The project's goals as numbers, and whether what was measured meets them. Each goal is one entry of ``TARGETS``.

A target compares mcpcore with the ceiling on the same interpreter, with mcp 2.3 on the interpreter that ran the
benchmark, or with the fastest peer. Nothing is measured here; a target whose figures are missing has no verdict.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mcpcore_bench.figures import ratio
from mcpcore_bench.implementations import Implementation
from mcpcore_bench.results import Results
from mcpcore_bench.workloads import GROUPS, WORKLOADS

__all__ = ["TARGETS", "Target", "Verdict", "judge"]

AT_LEAST: Final = "≥"
AT_MOST: Final = "≤"
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {AT_LEAST: operator.ge, AT_MOST: operator.le}


@dataclass(frozen=True)
class Target:
    """``quotient`` says which way round: "ours/ceiling", "ceiling/ours", "mcp/ours", or "ours" for the bare figure.

    Its other side is a family, "fastest" for the peer that answers the same requests for least, or a workload's key for
    our own figure there. ``python`` limits a target to interpreters of at least ("3.12+") or exactly ("3.11") this
    version; ``family`` is whose target it is.
    """

    workload: str
    figure: str
    quotient: str
    relation: str
    limit: float
    what: str
    python: str = ""
    family: str = "mcpcore"

    def applies_to(self, version: str) -> bool:
        if not self.python:
            return True
        ours = _minor(version)
        return ours >= _minor(self.python[:-1]) if self.python.endswith("+") else ours == _minor(self.python)


@dataclass(frozen=True)
class Verdict:
    """``value`` is None, and ``met`` too, where the figures are missing."""

    target: Target
    era: str
    implementation: str
    value: float | None
    met: bool | None


TARGETS: Final = (
    Target("echo-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.25, "tools/call by CPU, ceiling / ours"),
    Target("echo-64", "cpu_us", "mcp/ours", AT_LEAST, 45, "tools/call by CPU, mcp 2.3 / ours"),
    Target("echo_await-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.2, "handler that awaits, ceiling / ours", "3.12+"),
    Target("echo_await-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.12, "handler that awaits, ceiling / ours", "3.11"),
    Target("echo-1", "median_us", "ours/ceiling", AT_MOST, 1.3, "latency with one outstanding, ours / ceiling"),
    Target("list-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.6, "tools/list of 50 by CPU, ceiling / ours"),
    Target("client-64", "cpu_us", "mcp/ours", AT_LEAST, 10, "client's calls a CPU second, ours / mcp 2.3"),
    Target("cold", "first_ms", "ours/ceiling", AT_MOST, 2, "cold start, ours / ceiling"),
    Target("import", "import_ms", "ours/ceiling", AT_MOST, 1.6, "import, ours / asyncio and orjson"),
    Target("cold", "memory_kib", "ours/ceiling", AT_MOST, 1.5, "peak memory, ours / ceiling"),
    Target("modules", "forbidden", "ours", AT_MOST, 0, "needless modules"),
    Target("http-json-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.4, "HTTP tools/call by CPU, ceiling / ours"),
    Target("http-json-64", "cpu_us", "mcp/ours", AT_LEAST, 12, "HTTP tools/call by CPU, mcp 2.3 / ours"),
    Target("http-json-64", "cpu_us", "fastest/ours", AT_LEAST, 3, "HTTP tools/call by CPU, fastest peer / ours"),
    Target(
        "http-json-64",
        "cpu_us",
        "ceiling-h11/ours",
        AT_LEAST,
        0.75,
        "HTTP tools/call by CPU, ceiling on h11 / ours",
        family="mcpcore-h11",
    ),
    Target("http-list-500", "cpu_ns_per_byte", "ours/http-list-5", AT_MOST, 1, "a byte of tools/list, 500 / 5 tools"),
    Target("http-client-64", "cpu_us", "mcp/ours", AT_LEAST, 10, "HTTP client by CPU, mcp 2.3 / ours"),
    Target("http-client-64", "cpu_us", "ceiling/ours", AT_LEAST, 0.4, "HTTP client by CPU, ceiling / ours"),
)

# The yardstick of these workloads is the plain echo: the ceiling has no handlers that could differ.
_YARDSTICK: Final = {"echo_await-64": "echo-64", "echo_sleep0-64": "echo-64", "echo_thread-64": "echo-64"}


def yardstick(workload: str) -> str:
    """The workload whose ceiling, or whose mcp 2.3, this one is compared with."""
    return _YARDSTICK.get(workload, workload)


def judge(results: Results, implementations: Sequence[Implementation], groups: Sequence[str] = GROUPS) -> list[Verdict]:
    """A verdict for each target in these groups, each era and each mcpcore among the implementations."""
    chosen = {workload.key: workload for workload in WORKLOADS if workload.group in groups}
    return [
        _verdict(target, era, ours, results, implementations)
        for ours in implementations
        for target in TARGETS
        if target.workload in chosen and target.family == ours.family and target.applies_to(ours.python)
        if ours.takes(chosen[target.workload])
        for era in chosen[target.workload].eras
    ]


def _verdict(
    target: Target, era: str, ours: Implementation, results: Results, implementations: Sequence[Implementation]
) -> Verdict:
    figure = results.figure((target.workload, era, ours.label), target.figure)
    first, _, second = target.quotient.partition("/")
    value = figure
    if second:
        yard = _yard(second if first == "ours" else first, target, era, ours, results, implementations)
        value = ratio(figure, yard) if first == "ours" else ratio(yard, figure)
    met = None if value is None else _COMPARE[target.relation](value, target.limit)
    return Verdict(target, era, ours.label, value, met)


def _yard(
    other: str,
    target: Target,
    era: str,
    ours: Implementation,
    results: Results,
    implementations: Sequence[Implementation],
) -> float | None:
    """The figure on the other side of a target's quotient."""
    if other in {workload.key for workload in WORKLOADS}:
        return results.figure((other, era, ours.label), target.figure)
    if other == "fastest":
        peers = (each for each in implementations if not each.family.startswith(("ceiling", "mcpcore")))
        alike = (each for each in peers if each.http.accept == ours.http.accept)
        found = (results.figure((target.workload, era, each.label), target.figure) for each in alike)
        return min((figure for figure in found if figure), default=None)
    label = reference(other, target.workload, ours, implementations)
    return None if label is None else results.figure((yardstick(target.workload), era, label), target.figure)


def reference(
    family: str, workload: str, ours: Implementation, implementations: Sequence[Implementation]
) -> str | None:
    """The label to compare with: the ceiling of the same interpreter where there is one, or the first of the family."""
    group = next(each.group for each in WORKLOADS if each.key == workload)
    members = [each for each in implementations if each.family == family and group in each.groups]
    candidates = [each for each in members if not each.broken]
    same = [each for each in candidates if each.python == ours.python]
    return next((each.label for each in (*same, *candidates)), None)


def _minor(version: str) -> tuple[int, int]:
    """(3, 12) of "3.12.1"; (0, 0) for what is no version."""
    parts = version.split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else (0, 0)
