"""The order of a comparison: rounds are interleaved (A B C, B C A, C A B, …), so that a slow minute hits everyone.

In each round every implementation gets fresh processes. A failure ends that row, never the comparison.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from mcpcore_bench.figures import Sample
from mcpcore_bench.implementations import Implementation, ceilings
from mcpcore_bench.load import OpeningFailed, ServerDied
from mcpcore_bench.measurements import FORBIDDEN, Bench, ScriptFailed, reason
from mcpcore_bench.results import NO_ERA, Key, Results
from mcpcore_bench.wire import ERAS, Era, WrongReply
from mcpcore_bench.workloads import CLIENT, COLD, IMPORT, MEMORY, MODULES, STDIO, WORKLOADS, Workload

__all__ = ["Comparison", "module_note", "rotated"]

FAILURES = (WrongReply, OpeningFailed, ServerDied, ScriptFailed)
Item = TypeVar("Item")


def rotated(items: Sequence[Item], number: int) -> list[Item]:
    """The items in the order of round ``number``: each round begins one further on."""
    start = number % len(items) if items else 0
    return [*items[start:], *items[:start]]


@dataclass
class Comparison:
    """Runs the groups of workloads and keeps what they find in ``results``. ``say`` gets one line for each step."""

    bench: Bench
    implementations: Sequence[Implementation]
    rounds: int
    cold_starts: int
    say: Callable[[str], None]
    results: Results

    def run(self, groups: Sequence[str]) -> None:
        """Measures the groups one after the other, each in its interleaved rounds."""
        self._note_absences(groups)
        stages = {"stdio": self._stdio, "client": self._client, "memory": self._memory, "cold": self._cold}
        for group in groups:
            for number in range(self.rounds):
                stages[group](number)
        if "cold" in groups:
            for era in ERAS:
                self._modules(era)

    def _note_absences(self, groups: Sequence[str]) -> None:
        for workload in WORKLOADS:
            for each in self.implementations:
                why = each.why_absent(workload)
                if workload.group in groups and workload.invites(each.family) and why:
                    for era in (NO_ERA,) if workload is IMPORT else ERAS:
                        self.results.fail((workload.key, era, each.label), why)

    def _takes_part(self, workload: Workload, era: str, each: Implementation) -> bool:
        return workload.invites(each.family) and not self.results.failed((workload.key, era, each.label))

    def _turns(self, number: int, workload: Workload) -> Iterator[tuple[Era, Implementation]]:
        """Who measures the workload in this round, in order."""
        for era in ERAS:
            for each in rotated(self.implementations, number):
                if self._takes_part(workload, era, each):
                    yield era, each

    def _stdio(self, number: int) -> None:
        for era in ERAS:
            for each in rotated(self.implementations, number):
                due = [workload for workload in STDIO if self._takes_part(workload, era, each)]
                if due:
                    self.say(f"stdio, round {number + 1}, {era}: {each.label}")
                    self._stdio_one(each, era, due)

    def _stdio_one(self, each: Implementation, era: Era, due: list[Workload]) -> None:
        """One server process; the workloads after a failed one get a process of their own."""
        while due:
            try:
                for workload, sample in self.bench.stdio(each, era, due):
                    self.results.add((workload.key, era, each.label), sample)
                    due = due[1:]
            except OpeningFailed as failure:
                for workload in due:
                    self.results.fail((workload.key, era, each.label), reason(failure))
                return
            except FAILURES as failure:
                self.results.fail((due[0].key, era, each.label), reason(failure))
                due = due[1:]

    def _client(self, number: int) -> None:
        servers = ceilings(self.implementations)
        for workload in CLIENT:
            for era, each in self._turns(number, workload):
                key = (workload.key, era, each.label)
                server = servers.get(each.python) or next(iter(servers.values()), None)
                if server is None:
                    self.results.fail(key, "n/a: no ceiling to talk to")
                    continue
                self.say(f"client, round {number + 1}, {era}: {each.label}")
                self._keep(key, partial(self.bench.client, each, server, era, workload.window))

    def _memory(self, number: int) -> None:
        for workload in MEMORY:
            for era, each in self._turns(number, workload):
                self.say(f"{workload.key}, round {number + 1}, {era}: {each.label}")
                key = (workload.key, era, each.label)
                self._keep(key, partial(self.bench.memory, each, era, workload.window))

    def _cold(self, number: int) -> None:
        for turn in range(number * self.cold_starts, (number + 1) * self.cold_starts):
            for era, each in self._turns(turn, COLD):
                if turn == 0:
                    with contextlib.suppress(*FAILURES):  # once unrecorded: compiles what has not been run before
                        self.bench.cold(each, era)
                self.say(f"cold start {turn + 1}, {era}: {each.label}")
                self._keep((COLD.key, era, each.label), partial(self.bench.cold, each, era))
            for each in rotated(self.implementations, turn):
                if self._takes_part(IMPORT, NO_ERA, each):
                    self.say(f"import {turn + 1}: {each.label}")
                    self._keep((IMPORT.key, NO_ERA, each.label), partial(self.bench.importing, each))

    def _modules(self, era: Era) -> None:
        """Counts modules and names the forbidden ones, apart from those that the bare ceiling has as well."""
        unavoidable: dict[str, set[str]] = {}
        for each in self.implementations:
            key = (MODULES.key, era, each.label)
            if not self._takes_part(MODULES, era, each):
                continue
            try:
                names = self.bench.modules(each, era)
            except FAILURES as failure:
                self.results.fail(key, reason(failure))
                continue
            found = names.intersection(FORBIDDEN)
            own = found - unavoidable.setdefault(each.python, found)
            self.results.add(key, {"modules": float(len(names)), "forbidden": float(len(own))})
            self.results.notes[key] = module_note(own, found - own)

    def _keep(self, key: Key, measure: Callable[[], Sample]) -> None:
        try:
            self.results.add(key, measure())
        except FAILURES as failure:
            self.results.fail(key, reason(failure))


def module_note(own: set[str], shared: set[str]) -> str:
    """What the table says of forbidden modules: the server's own, and those that come with asyncio itself."""
    said = [f"imports {', '.join(sorted(own))}"] if own else [f"none of {', '.join(FORBIDDEN)} of its own"]
    if shared:
        said.append(f"{', '.join(sorted(shared))} comes with asyncio")
    return "; ".join(said)
