"""``mcpcore probe`` against servers of every kind."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

SERVED = {
    "all": ("", "dual-era", "2026-07-28"),
    "modern only": ("2026-07-28", "modern", "2026-07-28"),
    "legacy only": ("2024-11-05,2025-06-18", "legacy", "2025-06-18"),
    "one old one": ("2024-11-05", "legacy", "2024-11-05"),
}


@pytest.mark.parametrize("case", SERVED)
def test_a_probe_tells_the_era_and_every_revision(case: str, spawn: Run, server: str) -> None:
    revisions, era, newest = SERVED[case]
    options = ["--revisions", revisions] if revisions else []
    ran = spawn("probe", "--json", "--", sys.executable, "-m", "mcpcore", "run", server, *options)
    found = json.loads(ran.out)
    assert found["era"] == era and found["revision"] == newest
    expected = revisions or "2024-11-05,2025-03-26,2025-06-18,2025-11-25,2026-07-28"
    assert found["revisions"] == expected.split(",")


def test_a_probe_tells_people_what_the_server_can_do_and_how_long_it_takes(run: Run, server: str) -> None:
    lines = dict(re.split(" {2,}", line) for line in run("probe", "--revision", "2025-11-25", server).out.splitlines())
    assert lines["server"].strip() == "shown 1.2"
    assert lines["era"].strip() == "legacy"
    assert "resources (subscribe, listChanged)" in lines["capabilities"]
    assert lines["round trip"].strip().endswith("ms at best")
    assert lines["instructions"].strip() == "Be kind."


def test_with_a_revision_nothing_else_is_tried(run: Run, server: str) -> None:
    found = json.loads(run("probe", "--json", "--revision", "2025-03-26", server).out)
    assert found["revisions"] == ["2025-03-26"]
    assert 0 < found["roundTripSeconds"]["fastest"] <= found["roundTripSeconds"]["median"]
