"""HTTP in a comparison: who shares a process, what a failure takes with it, and the goals; nothing real is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from mcpcore_bench.compare import Comparison
from mcpcore_bench.environments import PEERS
from mcpcore_bench.figures import Sample
from mcpcore_bench.http_implementations import PEER_WAYS, everyone_on_http
from mcpcore_bench.http_wire import NO_SESSION
from mcpcore_bench.implementations import Implementation, OnHttp
from mcpcore_bench.measurements import Bench
from mcpcore_bench.process import OpeningFailed
from mcpcore_bench.results import Results
from mcpcore_bench.table import Table
from mcpcore_bench.targets import judge
from mcpcore_bench.wire import WrongReply
from mcpcore_bench.workloads import HTTP_GROUPS, Serve, Workload

PIPES = Implementation("ceiling", "ceiling on pipes", "3.12.1")
CEILING = Implementation("ceiling", "ceiling, hand-rolled", "3.12.1", groups=HTTP_GROUPS)
ON_H11 = Implementation("ceiling-h11", "ceiling, h11", "3.12.1", groups=HTTP_GROUPS)
OURS = Implementation("mcpcore", "mcpcore", "3.12.1", groups=HTTP_GROUPS)
OFF = Implementation("mcpcore-h11", "mcpcore, fast path off", "3.12.1", groups=("http",))
MCP = Implementation("mcp", "mcp 2.3.0", "3.12.1", groups=HTTP_GROUPS)
LITE = Implementation("mcp-lite", "mcp-lite", absent={"modern": "too old"}, groups=("http",))
ASKED = Implementation("mcp-lite-json", "mcp-lite, JSON", groups=("http",), http=OnHttp(("json",), "application/json"))
EVERYONE = [PIPES, CEILING, ON_H11, OURS, OFF, MCP, LITE, ASKED]
COST = {"ceiling": 10.0, "ceiling-h11": 70.0, "mcpcore": 20.0, "mcpcore-h11": 80.0, "mcp": 500.0, "mcp-lite": 50.0}
COST["mcp-lite-json"] = 1.0


class ScriptedBench:
    """Answers with the costs above. ``fault`` is an era, a workload's key and what happens there to mcpcore, once."""

    def __init__(self, fault: tuple[str, str, Exception] | None) -> None:
        self.fault = fault
        self.served: list[tuple[str, Serve, list[tuple[str, str]]]] = []
        self.called: list[tuple[str, str]] = []

    def http(
        self, implementation: Implementation, serve: Serve, due: Sequence[tuple[Workload, str]]
    ) -> Iterator[tuple[Workload, str, Sample]]:
        self.served.append((implementation.family, serve, [(era, workload.key) for workload, era in due]))
        for workload, era in due:
            if self.fault is not None and implementation is OURS and self.fault[:2] == (era, workload.key):
                raise self.fault[2]
            cost = COST[implementation.family]
            size = 100.0 * serve.tools
            yield workload, era, {"cpu_us": cost, "median_us": cost, "cpu_ns_per_byte": 1000 * cost / size}

    def http_client(self, implementation: Implementation, ceiling: Implementation, era: str, window: int) -> Sample:
        self.called.append((implementation.family, ceiling.label))
        return {"cpu_us": COST[implementation.family]}


def compared(fault: tuple[str, str, Exception] | None = None) -> tuple[ScriptedBench, Results]:
    bench, results = ScriptedBench(fault), Results()
    Comparison(cast(Bench, bench), EVERYONE, 1, 1, lambda line: None, results).run(list(HTTP_GROUPS))
    return bench, results


def test_what_is_served_alike_shares_a_process_and_an_era_is_opened_once() -> None:
    bench, _ = compared()
    ours = [(serve, due) for family, serve, due in bench.served if family == "mcpcore"]
    assert [serve for serve, _ in ours] == [
        Serve(),
        Serve("sse"),
        Serve(tools=500),
        Serve(sessions=False),
    ]
    first = [era for era, _ in ours[0][1]]
    assert first == sorted(first) and set(first) == {"legacy", "modern"}
    assert ours[3][1] == [(NO_SESSION, "http-json-64")]


def test_clients_call_the_ceiling_of_http_and_servers_without_a_client_have_no_row() -> None:
    bench, results = compared()
    assert {family for family, _ in bench.called} == {"ceiling", "ceiling-h11", "mcpcore", "mcp"}
    assert {label for _, label in bench.called} == {"ceiling, hand-rolled"}
    assert not results.failed(("http-client-64", "legacy", LITE.label))


def test_an_era_that_is_unknown_keeps_its_rows_and_says_why() -> None:
    _, results = compared()
    assert results.reasons[("http-json-64", "modern", LITE.label)] == "n/a: too old"
    assert results.figure(("http-json-64", "legacy", LITE.label), "cpu_us") == 50
    assert "n/a: too old" in str(Table(results, EVERYONE, []))


def test_a_server_that_is_asked_in_a_way_of_its_own_has_rows_but_is_no_yardstick() -> None:
    _, results = compared()
    assert results.figure(("http-json-64", "legacy", ASKED.label), "cpu_us") == 1
    assert ("http-sse-64", "legacy", ASKED.label) not in results.samples
    fastest = [each.value for each in judge(results, EVERYONE, ["http"]) if each.target.quotient == "fastest/ours"]
    assert min(value for value in fastest if value is not None) == 2.5


def test_a_wrong_reply_ends_its_row_and_the_rest_gets_a_new_process() -> None:
    bench, results = compared(("legacy", "http-json-16", WrongReply("id 7: the text differs")))
    assert results.failed(("http-json-16", "legacy", OURS.label))
    assert results.figure(("http-json-64", "legacy", OURS.label), "cpu_us") == 20
    assert results.figure(("http-json-1", "legacy", OURS.label), "cpu_us") == 20
    assert [due[0][1] for family, serve, due in bench.served if family == "mcpcore" and serve == Serve()] == [
        "http-json-64",
        "http-json-1",
    ]


def test_an_era_that_cannot_be_opened_leaves_the_other_one() -> None:
    _, results = compared(("legacy", "http-json-64", OpeningFailed("status 400")))
    for key in ("http-json-64", "http-json-16", "http-json-1"):
        assert results.failed((key, "legacy", OURS.label))
        assert results.figure((key, "modern", OURS.label), "cpu_us") == 20


def test_the_goals_of_http_compare_with_the_right_rows() -> None:
    _, results = compared()
    found = {
        (each.implementation, each.era, each.target.quotient): (each.value, each.met)
        for each in judge(results, EVERYONE, ["http"])
    }
    assert found[("mcpcore", NO_SESSION, "ceiling/ours")] == (0.5, True)
    assert found[("mcpcore", "legacy", "mcp/ours")] == (25, True)
    assert found[("mcpcore", "legacy", "fastest/ours")] == (2.5, False)
    assert found[("mcpcore", "modern", "fastest/ours")] == (25, True)
    assert found[("mcpcore, fast path off", "modern", "ceiling-h11/ours")] == (0.875, True)
    assert found[("mcpcore", "modern", "ours/http-list-5")] == (0.01, True)
    clients = {each.target.quotient: each.value for each in judge(results, EVERYONE, ["http-client"])}
    assert clients == {"mcp/ours": 25, "ceiling/ours": 0.5}


def test_every_peer_has_its_environment_and_its_scripts(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from mcpcore_bench.implementations import HERE

    for way in PEER_WAYS:
        assert way.peer in PEERS
        assert all((HERE / "peers" / script).is_file() for script in (way.server, way.client) if script)
    monkeypatch.setenv("MCPCORE_BENCH_CACHE", str(tmp_path))
    found = everyone_on_http([str(HERE / "python9")], build=False)
    assert all(each.broken for each in found)
    assert len({each.label for each in found}) == len(found)
    assert {"mcp 1.30.*", "TypeScript SDK ~1.32.2"} <= {each.label for each in found}
