"""The official conformance suite: its lists of scenarios, how its two legs are run, and what it recorded.

What lives here: everything that knows the suite's command line and files. What must hold is said in
``test_official_suite.py``. The rule: the suite's own verdict is never taken; it passes scenarios that recorded nothing,
it lets warnings pass, and it forgets how the client ended. So its records are read, and the client is started through
``clients/watched.py``, which writes down how it ended.

Facts, read in 0.2.0-alpha.12: a requirement set is a list of scenario names in ``requirements/<revision>.yaml``; the
records of a scenario are ``<leg>-<scenario>-<time>/checks.json`` under the output directory (the client's leg has no
prefix); a command is split at single spaces.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.interop import launch, peers

__all__ = [
    "REVISIONS",
    "ClientRun",
    "Scenario",
    "checks_of",
    "expected_checks",
    "is_installed",
    "play",
    "run_server_leg",
    "scenarios",
]

HERE: Final = Path(__file__).resolve().parent
PACKAGE: Final = Path("node_modules") / "@modelcontextprotocol" / "conformance"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
SCENARIO_SECONDS: Final = 30
LEG_SECONDS: Final = 240.0

Checks = list[dict[str, Any]]


@dataclass(frozen=True)
class Scenario:
    """One line of a requirement set; the suite reports what is not ``scored``, and counts it for nothing."""

    leg: str
    revision: str
    name: str
    scored: bool

    def __str__(self) -> str:
        return f"{self.revision}--{self.name}" + ("" if self.scored else "--not-scored")


def home() -> Path:
    return peers.place() / "conformance" / PACKAGE


def is_installed() -> bool:
    return (home() / "requirements").is_dir()


def scenarios(leg: str) -> list[Scenario]:
    """Every scenario of one leg, of both sets, as the installed suite lists them."""
    return [scenario for revision in REVISIONS for scenario in _requirement_set(revision) if scenario.leg == leg]


def _requirement_set(revision: str) -> list[Scenario]:
    """Reads the one shape that these files have: lists of names, and one list of ``scenario`` and ``leg``."""
    found = []
    section = ""
    for line in (home() / "requirements" / f"{revision}.yaml").read_text().splitlines():
        if top := re.fullmatch(r"(\w+):", line):
            section = top[1]
        elif item := re.fullmatch(r"  - (?:scenario: )?(\S+)", line):
            name = item[1]
            if section in ("server", "client"):
                found.append(Scenario(section, revision, name, scored=True))
        elif (leg := re.fullmatch(r"    leg: (\w+)", line)) and section == "not_scored":
            found.append(Scenario(leg[1], revision, name, scored=False))
    return found


def expected_checks() -> dict[tuple[str, str, str], set[str]]:
    """The checks that each scenario made when it passed, by leg, revision and name, as ``official_checks.txt`` lists
    them: a scenario that makes fewer has not come to its end."""
    expected = {}
    for line in (HERE / "official_checks.txt").read_text().splitlines():
        scenario, _, ids = line.partition(": ")
        leg, revision, name = scenario.split(" ")
        expected[leg, revision, name] = set(ids.split(" "))
    return expected


def _suite(*arguments: str) -> list[str]:
    return [*peers.install("conformance").entry_point("@modelcontextprotocol/conformance"), *arguments]


def run_server_leg(url: str, revision: str, output: Path) -> tuple[int, str]:
    """Runs a whole requirement set against the server at ``url``; the suite's exit status and what it printed."""
    command = _suite("server", "--url", url, "--requirements", revision, "-o", str(output))
    done = subprocess.run(
        [*command, "--timeout", str(SCENARIO_SECONDS * 1000)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LEG_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class ClientRun:
    """One scenario of the client's leg. ``status`` is the client's own, ``None`` where it did not end in time."""

    checks: Checks
    status: int | None
    stderr: str
    printed: str


def play(scenario: Scenario, client: Path, output: Path) -> ClientRun:
    """Has the suite play one scenario of the client's leg with our client."""
    report = output / "client.json"
    watched = f"{sys.executable} {HERE / 'clients' / 'watched.py'} {report} {SCENARIO_SECONDS - 5} {client}"
    command = _suite("client", "--command", watched, "--scenario", scenario.name, "--spec-version", scenario.revision)
    done = subprocess.run(
        [*command, "-o", str(output), "--timeout", str(SCENARIO_SECONDS * 1000)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SCENARIO_SECONDS + 20,
        env={**os.environ, **launch.PATH},
        check=False,
    )
    printed = done.stdout + done.stderr
    if not report.exists():
        return ClientRun([], None, "the client was never started, or it was killed with its watcher", printed)
    ended = json.loads(report.read_text())
    return ClientRun(checks_of(output)[scenario.name], ended["status"], ended["stderr"], printed)


def checks_of(output: Path) -> defaultdict[str, Checks]:
    """What was recorded under an output directory, by scenario; empty for a scenario that recorded nothing."""
    recorded: defaultdict[str, Checks] = defaultdict(list)
    for file in sorted(output.rglob("checks.json")):
        folder = file.parent.relative_to(output).as_posix()
        name = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", folder).removeprefix("server-")
        recorded[name] += json.loads(file.read_text())
    return recorded
