"""The order of rounds, failures that end a row only, targets and the printed table; no real implementation runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from mcpcore_bench.compare import Comparison, module_note, rotated
from mcpcore_bench.figures import Sample
from mcpcore_bench.implementations import Implementation
from mcpcore_bench.measurements import Bench, ScriptFailed, imported_modules, reason, script_figures
from mcpcore_bench.process import OpeningFailed, ServerDied
from mcpcore_bench.results import Results
from mcpcore_bench.table import Table, times, verdicts
from mcpcore_bench.targets import TARGETS, judge
from mcpcore_bench.wire import Era, WrongReply
from mcpcore_bench.workloads import STDIO, Workload

CEILING = Implementation("ceiling", "ceiling (py 3.12.1)", "3.12.1")
OURS = Implementation("mcpcore", "mcpcore (py 3.12.1)", "3.12.1")
MCP = Implementation("mcp", "mcp 2.3.0", "3.12.1")
EVERYONE = [CEILING, OURS, MCP]
COST = {"ceiling": 1.0, "mcpcore": 3.0, "mcp": 300.0}


class ScriptedBench:
    """Answers with the costs above; ``faults`` maps an implementation's label to (workload key, exception)."""

    def __init__(self, faults: dict[str, tuple[str, Exception]]) -> None:
        self.faults = faults
        self.order: list[str] = []

    def stdio(
        self, implementation: Implementation, era: Era, workloads: Sequence[Workload]
    ) -> Iterator[tuple[Workload, Sample]]:
        self.order.append(implementation.family)
        key, fault = self.faults.get(implementation.label, ("", None))
        for workload in workloads:
            if fault is not None and workload.key == key:
                raise fault
            cost = COST[implementation.family]
            yield workload, {"cpu_us": cost, "per_second": 1e6 / cost, "median_us": 30 + cost}


def compared(faults: dict[str, tuple[str, Exception]] | None = None) -> tuple[ScriptedBench, Results]:
    bench = ScriptedBench(faults or {})
    results = Results()
    Comparison(cast(Bench, bench), EVERYONE, 3, 1, lambda line: None, results).run(["stdio"])
    return bench, results


def test_each_round_begins_one_further_on() -> None:
    assert [rotated("ABC", number) for number in range(4)] == [list("ABC"), list("BCA"), list("CAB"), list("ABC")]
    bench, _ = compared()
    assert bench.order[:6] == ["ceiling", "mcpcore", "mcp"] * 2
    assert bench.order[6:9] == ["mcpcore", "mcp", "ceiling"]


@pytest.mark.parametrize("fault", [WrongReply("id 7: the text differs"), ServerDied("the server ended\nlast line")])
def test_a_failure_ends_its_row_and_the_other_workloads_go_on(fault: Exception) -> None:
    _, results = compared({OURS.label: ("echo-1", fault)})
    assert results.figures(("echo-1", "legacy", OURS.label)) == {}
    assert "7" in results.reasons[("echo-1", "legacy", OURS.label)] or "last line" in str(results.reasons)
    assert results.figure(("list-64", "legacy", OURS.label), "cpu_us") == 3.0
    assert results.figure(("echo-1", "legacy", MCP.label), "cpu_us") == 300.0


def test_a_server_that_cannot_open_is_not_tried_again() -> None:
    bench, results = compared({OURS.label: ("echo-64", OpeningFailed("no module"))})
    assert bench.order.count("mcpcore") == 2
    assert all(results.failed((workload.key, "legacy", OURS.label)) for workload in STDIO)


def test_a_round_that_goes_wrong_takes_the_earlier_ones_with_it() -> None:
    results = Results()
    results.add(("echo-64", "legacy", "x"), {"cpu_us": 1.0})
    results.fail(("echo-64", "legacy", "x"), "wrong")
    results.add(("echo-64", "legacy", "x"), {"cpu_us": 1.0})
    assert results.figures(("echo-64", "legacy", "x")) == {}


def test_an_unavailable_implementation_keeps_its_rows_and_says_why() -> None:
    broken = Implementation("mcpcore", "mcpcore (py 3.12.1)", "3.12.1", broken="ImportError: no Server")
    bench, results = ScriptedBench({}), Results()
    everyone = [CEILING, broken]
    Comparison(cast(Bench, bench), everyone, 1, 1, lambda line: None, results).run(["stdio"])
    assert "unavailable: ImportError: no Server" in str(Table(results, everyone, []))
    assert "mcpcore" not in bench.order


def test_targets_pass_and_fail_by_their_limits() -> None:
    _, results = compared()
    found = {
        (each.target.workload, each.target.quotient): (round(each.value or 0, 2), each.met)
        for each in judge(results, EVERYONE, ["stdio"])
        if each.era == "legacy"
    }
    assert found[("echo-64", "ceiling/ours")] == (0.33, True)
    assert found[("echo-64", "mcp/ours")] == (100.0, True)
    assert found[("echo_await-64", "ceiling/ours")] == (0.33, True)
    assert found[("list-64", "ceiling/ours")] == (0.33, False)
    assert found[("echo-1", "ours/ceiling")] == (1.06, True)


def test_a_target_without_figures_has_no_verdict() -> None:
    verdict = judge(Results(), EVERYONE, ["cold"])[0]
    assert verdict.value is None and verdict.met is None
    assert "no figures" in verdicts([verdict])


def test_the_second_handler_is_judged_by_the_version_of_python() -> None:
    limits = {
        version: [t.limit for t in TARGETS if t.workload == "echo_await-64" and t.applies_to(version)]
        for version in ("3.11.7", "3.12.1", "3.13.0")
    }
    assert limits == {"3.11.7": [0.12], "3.12.1": [0.2], "3.13.0": [0.2]}


def test_the_table_shows_multiples_of_the_ceiling_and_of_mcp() -> None:
    _, results = compared()
    text = str(Table(results, EVERYONE, judge(results, EVERYONE, ["stdio"])))
    row = next(line for line in text.splitlines() if "echo, 64" in line and "legacy" in line and "mcpcore" in line)
    assert "3.00x" in row and "1/100.0" in row and "✓ 0.33≥0.25" in row
    assert [times(value) for value in (None, 2.0, 0.5, 0.02)] == ["", "2.00x", "0.50x", "1/50.0"]


def test_a_script_with_wrong_results_has_no_figures() -> None:
    report = {"calls": 10, "wrong": 1, "wall_ns": 1000, "cpu_ns": 500, "latencies": []}
    with pytest.raises(ScriptFailed, match="1 of 10 results were wrong"):
        script_figures(report)
    assert script_figures({**report, "wrong": 0}) == {"cpu_us": 0.05, "per_second": 1e7}


def test_a_mistake_of_the_benchmark_itself_is_not_put_into_the_table() -> None:
    with pytest.raises(KeyError):
        reason(KeyError("ours"))


def test_modules_are_read_from_the_interpreters_record() -> None:
    record = (
        "import time: self [us] | cumulative | imported package\nimport time:   12 |    30 |   h11._events\nlog line\n"
    )
    assert imported_modules(record) == {"h11._events"}
    assert module_note({"h11"}, {"ssl"}) == "imports h11; ssl comes with asyncio"
