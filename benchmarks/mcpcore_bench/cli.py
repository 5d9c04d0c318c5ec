"""The command line: ``compare`` measures and prints the table, ``peers`` installs, ``list`` names what there is."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mcpcore_bench.compare import HTTP_ROUNDS, Comparison
from mcpcore_bench.cores import Cores, on_core
from mcpcore_bench.environments import PEERS, InstallFailed, cache_directory, prepare
from mcpcore_bench.http_implementations import everyone_on_http
from mcpcore_bench.implementations import Implementation, everyone, mcpcore_root
from mcpcore_bench.measurements import Bench
from mcpcore_bench.procfs import cpu_source
from mcpcore_bench.results import Results
from mcpcore_bench.table import Table, verdicts
from mcpcore_bench.targets import Verdict, judge
from mcpcore_bench.workloads import GROUPS, HTTP_GROUPS, WORKLOADS

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    status: int = options.command(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mcpcore_bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    compare = commands.add_parser("compare", help="measure everyone and print one table")
    compare.add_argument("--quick", action="store_true", help="few short rounds: for debugging, not for publishing")
    compare.add_argument("--only", type=_groups, default=list(GROUPS), help=f"some of: {','.join(GROUPS)}")
    compare.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures as JSON")
    compare.add_argument(
        "--python", action="append", default=[], metavar="PYTHON", help="one more interpreter for ceiling and mcpcore"
    )
    compare.add_argument("--check", action="store_true", help="exit with status 1 where a goal is missed or unmeasured")
    compare.set_defaults(command=_compare)
    peers = commands.add_parser("peers", help="install the foreign implementations into the cache")
    peers.set_defaults(command=_peers)
    listing = commands.add_parser("list", help="name the workloads and the implementations")
    listing.set_defaults(command=_list)
    return parser


def _groups(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = set(chosen) - set(GROUPS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(GROUPS)}")
    return [group for group in GROUPS if group in chosen]


def _compare(options: argparse.Namespace) -> int:
    source, cpu_ns = cpu_source()
    cores = Cores.available()
    implementations = _measured(options.only, [sys.executable, *options.python])
    quick = options.quick
    bench = Bench(cores, cpu_ns, seconds=0.2 if quick else 0.5, warm_seconds=0.1 if quick else 0.25)
    facts = _facts(source, cores, implementations)
    comparison = Comparison(
        bench,
        implementations,
        rounds=3 if quick else 7,
        cold_starts=1 if quick else 2,
        say=_progress,
        results=Results(),
    )
    start = time.monotonic()
    with on_core(cores.load):
        comparison.run(options.only)
    _progress("")
    facts["seconds"] = round(time.monotonic() - start)
    facts["load average, after"] = os.getloadavg()[0]
    found = judge(comparison.results, implementations, options.only)
    _print(facts, comparison, implementations, found)
    if options.json is not None:
        options.json.write_text(json.dumps(_report(facts, comparison, found), indent=1))
    missed = [verdict for verdict in found if not verdict.met]
    return 1 if options.check and missed else 0


def _measured(groups: Sequence[str], pythons: Sequence[str], *, build: bool = True) -> list[Implementation]:
    """Who takes part in these groups: an environment that no group needs is not built."""
    on_pipes = everyone(pythons, build=build) if set(groups) - set(HTTP_GROUPS) else []
    on_http = everyone_on_http(pythons, build=build) if set(groups) & set(HTTP_GROUPS) else []
    return [*on_pipes, *on_http]


def _print(
    facts: dict[str, Any], comparison: Comparison, implementations: Sequence[Implementation], found: Sequence[Verdict]
) -> None:
    for name, value in facts.items():
        print(f"{name}: {value}")
    over_http = min(comparison.rounds, HTTP_ROUNDS)
    print(f"rounds: {comparison.rounds}, over HTTP {over_http}; figures are medians, spread is half the rounds' range")
    print()
    print(Table(comparison.results, implementations, found))
    print()
    print(verdicts(found))


def _facts(source: str, cores: Cores, implementations: Sequence[Implementation]) -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "binding": str(cores),
        "processor time from": source,
        "load average, before": os.getloadavg()[0],
        "mcpcore": f"{mcpcore_root()} at {_commit(mcpcore_root())}",
        "implementations": ", ".join(dict.fromkeys(each.label for each in implementations)),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
    }


def _report(facts: dict[str, Any], comparison: Comparison, found: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "facts": facts,
        "rounds": comparison.rounds,
        "seconds": comparison.bench.seconds,
        "warm_seconds": comparison.bench.warm_seconds,
        "results": comparison.results.to_json(),
        "targets": [asdict(verdict) for verdict in found],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit(root: Path) -> str:
    """The commit of the checkout that mcpcore comes from, and whether it is changed; "no checkout" otherwise."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "no checkout"
    return done.stdout.strip() or "no checkout"


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
    elif line:
        sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _peers(options: argparse.Namespace) -> int:
    failed = 0
    for peer in PEERS.values():
        try:
            environment = prepare(peer)
            print(f"{peer.name}: {environment.version} in {peer.directory}")
        except InstallFailed as failure:
            failed = 1
            print(f"{peer.name}: {failure}")
    return failed


def _list(options: argparse.Namespace) -> int:
    for workload in WORKLOADS:
        print(f"{workload.group:12}{workload.key:16}{workload.title}")
    print(f"\nenvironments: {cache_directory()}")
    for each in _measured(GROUPS, [sys.executable], build=False):
        print(f"{each.label} ({', '.join(each.groups)}): {each.broken or 'ready'}")
    return 0
