"""The official conformance suite against our everything server and with our conformance client, over HTTP.

Each scenario of the two requirement sets is one test: the scored ones, and those that the suite reports without
counting them. A scenario passes here when it made all the checks that are on record for it, succeeded in something,
and recorded neither a failure nor a warning nor, but for the named ones, a check that it left out; and a client must
have ended by itself with status 0. There is no list of expected failures.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop import official, peers, serving
from tests.interop.cases import ROOT, our_server
from tests.interop.official import ClientRun, Scenario

NOT_OURS = {
    ("server", "tasks-"): "the tasks extension, which mcpcore does not have",
    ("client", "auth/"): "authorization, which the client does not have",
}
LEFT_OUT = {
    "ClientMcpMethodHeader_initialize": "2026-07-28 has no handshake",
    "ClientMcpMethodHeader_notifications_initialized": "2026-07-28 has no handshake",
}
"""Checks, by name, that the suite cannot make, and why."""


CHECKS = official.expected_checks()


def ours(leg: str) -> list[Scenario | None]:
    """The scenarios that must pass; one None, for all of them, where the suite is yet to be installed."""
    if not official.is_installed():
        return [None]
    beginnings = tuple(beginning for side, beginning in NOT_OURS if side == leg)
    return [scenario for scenario in official.scenarios(leg) if not scenario.name.startswith(beginnings)]


@pytest.fixture(autouse=True, scope="module")
def suite() -> None:
    try:
        peers.install("conformance")
    except peers.InstallFailed as failure:
        pytest.fail(str(failure), pytrace=False)


def complaints(scenario: Scenario, checks: official.Checks) -> list[str]:
    """What stands between a scenario and passing, in words."""
    if not checks:
        return [f"{scenario}: no check was recorded: it never came to what it is about"]
    missing = CHECKS[scenario.leg, scenario.revision, scenario.name] - {check["id"] for check in checks}
    found = [f"{scenario}: the check {name} was not made" for name in sorted(missing)]
    found += [
        f"{scenario}: {check['status']} {check['id']}: {check.get('errorMessage') or check.get('description')}"
        for check in checks
        if check["status"] not in ("SUCCESS", "INFO") and check["name"] not in LEFT_OUT
    ]
    if not found and all(check["status"] != "SUCCESS" for check in checks):
        found.append(f"{scenario}: nothing succeeded")
    return found


# --- the server's leg -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ServerLeg:
    """What the suite recorded and printed when it ran a whole requirement set."""

    checks: dict[str, official.Checks]
    status: int
    printed: str


Legs = Callable[[str], ServerLeg]


@pytest.fixture(scope="module")
def served() -> Iterator[serving.Served]:
    """One process for both requirement sets, so for both eras."""
    with serving.serving(functools.partial(our_server, None, "http"), cwd=ROOT) as served:
        yield served


@pytest.fixture(scope="module")
def server_leg(served: serving.Served, tmp_path_factory: pytest.TempPathFactory) -> Legs:
    @functools.cache
    def leg(revision: str) -> ServerLeg:
        output = tmp_path_factory.mktemp(f"server-{revision}")
        status, printed = official.run_server_leg(f"http://localhost:{served.port}/mcp", revision, output)
        return ServerLeg(official.checks_of(output), status, printed)

    return leg


@pytest.mark.parametrize("scenario", ours("server"), ids=str)
def test_the_server_passes(scenario: Scenario | None, server_leg: Legs) -> None:
    every = [scenario] if scenario else ours("server")
    found = [text for one in every if one for text in complaints(one, server_leg(one.revision).checks[one.name])]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("revision", official.REVISIONS)
def test_the_suite_itself_is_content_with_the_server(revision: str, server_leg: Legs) -> None:
    leg = server_leg(revision)
    assert leg.status == 0, leg.printed


# --- the client's leg -------------------------------------------------------------------------------------------------


def failures(scenario: Scenario, run: ClientRun) -> list[str]:
    found = complaints(scenario, run.checks)
    if run.status != 0:
        found.append(f"{scenario}: the client ended with {run.status}: {run.stderr[-2000:]}")
    return found


@pytest.mark.parametrize("scenario", ours("client"), ids=str)
def test_the_client_passes(scenario: Scenario | None, tmp_path: Path) -> None:
    client = ROOT / "examples" / "conformance_client.py"
    found = []
    for number, one in enumerate([scenario] if scenario else ours("client")):
        if one:
            output = tmp_path / str(number)
            output.mkdir()
            found += failures(one, official.play(one, client, output))
    assert not found, "\n".join(found)
