"""The printed table, as Markdown with aligned columns, and the list of targets under it. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mcpcore_bench.figures import ratio
from mcpcore_bench.implementations import Implementation
from mcpcore_bench.results import NO_ERA, Key, Results
from mcpcore_bench.targets import Verdict, reference, yardstick
from mcpcore_bench.workloads import WORKLOADS, Workload

__all__ = ["Table", "duration", "times", "verdicts"]

COLUMNS: Final = (
    "workload",
    "era",
    "implementation",
    "CPU",
    "calls/s",
    "median",
    "p95",
    "p99",
    "memory",
    "spread",
    "of ceiling",
    "of mcp 2.3",
    "goals",
)
LEFT: Final = 3
"""So many columns hold words and are aligned to the left."""
JUDGED_BY: Final = {"cpu_us": "by CPU", "median_us": "by median", "modules": "by name"}


@dataclass(frozen=True)
class Table:
    """One row for each workload, era and implementation that was measured or says why it was not."""

    results: Results
    implementations: Sequence[Implementation]
    found: Sequence[Verdict]

    def __str__(self) -> str:
        rows = [list(COLUMNS)]
        for workload in WORKLOADS:
            title = f"{workload.title}, {JUDGED_BY.get(workload.primary, 'by time')}"
            for era in workload.eras:
                for each in (each for each in self.implementations if each.takes(workload)):
                    key = (workload.key, era, each.label)
                    if key in self.results.samples or key in self.results.reasons:
                        rows.append([title, era, each.label, *self._cells(workload, key, each)])
        return "\n".join(_lines(rows))

    def _cells(self, workload: Workload, key: Key, each: Implementation) -> list[str]:
        """The cells of the figures, or a single one with words."""
        if key in self.results.reasons:
            return [self.results.reasons[key]]
        figures = self.results.figures(key)
        if key in self.results.notes:
            return [f"{figures['modules']:.0f} modules; {self.results.notes[key]} {self._marks(key)}".rstrip()]
        spread = self.results.spread(key, workload.primary)
        return [
            duration(figures.get("cpu_us"), figures.get("cpu_ms")),
            "" if "per_second" not in figures else f"{figures['per_second']:,.0f}",
            duration(figures.get("median_us"), figures.get("first_ms", figures.get("import_ms"))),
            duration(figures.get("p95_us")),
            duration(figures.get("p99_us")),
            "" if "memory_kib" not in figures else f"{figures['memory_kib'] / 1024:.1f} MiB",
            "" if spread is None else f"±{spread:.0%}",
            times(self._share(workload, key, each, "ceiling")),
            times(self._share(workload, key, each, "mcp")),
            self._marks(key),
        ]

    def _share(self, workload: Workload, key: Key, each: Implementation, family: str) -> float | None:
        """The row's primary figure as a multiple of the ceiling's, or of mcp 2.3's."""
        label = reference(family, workload.key, each, self.implementations)
        if label is None or label == each.label:
            return None
        yard = self.results.figure((yardstick(workload.key), key[1], label), workload.primary)
        return ratio(self.results.figure(key, workload.primary), yard)

    def _marks(self, key: Key) -> str:
        mine = [each for each in self.found if (each.target.workload, each.era, each.implementation) == key]
        return " ".join(
            f"{'✓' if each.met else '✗'} {each.value:.2f}{each.target.relation}{each.target.limit:g}"
            for each in mine
            if each.value is not None
        )


def times(value: float | None) -> str:
    """A multiple for people: "3.20x", or "1/47.0" below a tenth; "" for None."""
    if value is None or value <= 0:
        return ""
    return f"{value:.2f}x" if value >= 0.1 else f"1/{1 / value:.1f}"


def duration(microseconds: float | None, milliseconds: float | None = None) -> str:
    """Microseconds up to ten thousand, then milliseconds; "" where neither is given."""
    if microseconds is None:
        return "" if milliseconds is None else f"{milliseconds:.1f} ms"
    return f"{microseconds:.2f} µs" if microseconds < 10_000 else f"{microseconds / 1000:.1f} ms"


def verdicts(found: Sequence[Verdict]) -> str:
    """One line for each target: its mark, its value and its limit."""
    marks = {True: "pass", False: "FAIL", None: "none"}
    lines = []
    for each in found:
        target = each.target
        value = "no figures" if each.value is None else f"{each.value:.2f}"
        where = each.implementation + ("" if each.era == NO_ERA else f", {each.era}")
        lines.append(f"{marks[each.met]}  {where}: {target.what} = {value} ({target.relation} {target.limit:g})")
    return "\n".join(lines)


def _lines(rows: list[list[str]]) -> Iterator[str]:
    """The rows padded to equal widths; the words of a short row spill over the columns that it leaves empty."""
    full = [row for row in rows if len(row) == len(COLUMNS)]
    widths = [max(len(row[at]) for row in (rows if at < LEFT else full)) for at in range(len(COLUMNS))]
    for number, row in enumerate(rows):
        words = [cell.ljust(width) for cell, width in zip(row[:LEFT], widths, strict=False)]
        spills = len(row) < len(COLUMNS)
        figures = (
            row[LEFT:] if spills else [cell.rjust(width) for cell, width in zip(row[LEFT:], widths[LEFT:], strict=True)]
        )
        yield "| " + " | ".join([*words, *figures]) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
