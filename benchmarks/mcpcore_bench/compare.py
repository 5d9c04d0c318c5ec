"""The order of a comparison: rounds are interleaved (A B C, B C A, C A B, …), so that a slow minute hits everyone.

In each round every implementation gets fresh processes. A failure ends that row, never the comparison.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from mcpcore_bench.figures import Sample
from mcpcore_bench.http_wire import NO_SESSION
from mcpcore_bench.implementations import Implementation, ceilings
from mcpcore_bench.measurements import FORBIDDEN, Bench, ScriptFailed, reason
from mcpcore_bench.process import OpeningFailed, ServerDied
from mcpcore_bench.results import NO_ERA, Key, Results
from mcpcore_bench.wire import ERAS, Era, WrongReply
from mcpcore_bench.workloads import (
    CLIENT,
    COLD,
    HTTP,
    HTTP_CLIENT,
    HTTP_GROUPS,
    IMPORT,
    MEMORY,
    MODULES,
    STDIO,
    WORKLOADS,
    Serve,
    Workload,
)

__all__ = ["HTTP_ROUNDS", "Comparison", "module_note", "rotated"]

FAILURES = (WrongReply, OpeningFailed, ServerDied, ScriptFailed)
HTTP_ROUNDS: Final = 5
"""Fewer than elsewhere: over HTTP there are many rows, and the processor's time is counted exactly."""
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
        stages: dict[str, Callable[[int], None]] = {
            "stdio": self._stdio,
            "client": partial(self._clients, CLIENT),
            "memory": self._memory,
            "cold": self._cold,
            "http": self._http,
            "http-client": partial(self._clients, HTTP_CLIENT),
        }
        for group in groups:
            for number in range(min(self.rounds, HTTP_ROUNDS) if group in HTTP_GROUPS else self.rounds):
                stages[group](number)
        if "cold" in groups:
            for era in ERAS:
                self._modules(era)

    def _note_absences(self, groups: Sequence[str]) -> None:
        for workload in (each for each in WORKLOADS if each.group in groups):
            for each in (each for each in self.implementations if each.takes(workload)):
                for era in workload.eras:
                    if why := each.why_absent(workload, era):
                        self.results.fail((workload.key, era, each.label), why)

    def _takes_part(self, workload: Workload, era: str, each: Implementation) -> bool:
        return each.takes(workload) and not self.results.failed((workload.key, era, each.label))

    def _in_order(self, group: str, number: int) -> list[Implementation]:
        """The group's implementations in the order of the round."""
        return rotated([each for each in self.implementations if group in each.groups], number)

    def _turns(self, number: int, workload: Workload) -> Iterator[tuple[Era, Implementation]]:
        """Who measures the workload in this round, in order."""
        for era in ERAS:
            for each in self._in_order(workload.group, number):
                if self._takes_part(workload, era, each):
                    yield era, each

    def _stdio(self, number: int) -> None:
        for era in ERAS:
            for each in self._in_order("stdio", number):
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

    def _http(self, number: int) -> None:
        for each in self._in_order("http", number):
            ways: dict[Serve, list[tuple[Workload, str]]] = {}
            for era in (*ERAS, NO_SESSION):
                for workload in HTTP:
                    if era in workload.eras and self._takes_part(workload, era, each):
                        ways.setdefault(workload.served(era), []).append((workload, era))
            for serve, due in ways.items():
                self.say(f"http, round {number + 1}, {serve.answer}: {each.label}")
                self._http_one(each, serve, due)

    def _http_one(self, each: Implementation, serve: Serve, due: list[tuple[Workload, str]]) -> None:
        """One server process; what comes after a failure gets a process of its own."""
        while due:
            try:
                for workload, era, sample in self.bench.http(each, serve, due):
                    self.results.add((workload.key, era, each.label), sample)
                    due = due[1:]
            except FAILURES as failure:
                ended = due[0][1] if isinstance(failure, OpeningFailed) else ""
                for workload, era in due:
                    if (workload, era) == due[0] or era == ended:
                        self.results.fail((workload.key, era, each.label), reason(failure))
                due = [(workload, era) for workload, era in due[1:] if era != ended]

    def _clients(self, workloads: Sequence[Workload], number: int) -> None:
        for workload in workloads:
            http = workload.group in HTTP_GROUPS
            servers = ceilings(self.implementations, "http" if http else "stdio")
            for era, each in self._turns(number, workload):
                key = (workload.key, era, each.label)
                server = servers.get(each.python) or next(iter(servers.values()), None)
                if server is None:
                    self.results.fail(key, "n/a: no ceiling to talk to")
                    continue
                self.say(f"{workload.group}, round {number + 1}, {era}: {each.label}")
                client = self.bench.http_client if http else self.bench.client
                self._keep(key, partial(client, each, server, era, workload.window))

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
            for each in self._in_order("cold", turn):
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
