"""``mcpcore replay``: recorded by one process, served and compared by others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(params=["2025-11-25", "2026-07-28"])
def recording(request: pytest.FixtureRequest, run: Run, server: str, tmp_path: Path) -> str:
    """A call recorded by both sides."""
    path = tmp_path / "wire.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCPCORE_WIRE_LOG", str(path))
        assert run("call", "echo", "--arg", "text=hi", "--revision", request.param, server).out == "hi\n"
    return str(path)


def test_a_recording_is_served_on_stdio(recording: str, run: Run) -> None:
    target = ["--", sys.executable, "-m", "mcpcore", "replay", recording]
    assert run("call", "echo", "--arg", "text=hi", *target).out == "hi\n"
    ran = run("call", "echo", "--arg", "text=ho", *target)
    assert ran.status == 1
    assert '-    "text": "hi"' in ran.err and '+    "text": "ho"' in ran.err


def test_the_same_server_answers_as_recorded(recording: str, run: Run, server: str) -> None:
    ran = run("replay", recording, server)
    assert (ran.status, ran.out) == (0, "Every answer is as recorded.\n")


def test_another_server_is_status_1_with_the_differences(recording: str, run: Run, server: str, tmp_path: Path) -> None:
    text = Path(server).read_text(encoding="utf-8").replace('" ".join([text] * times)', "text.upper()")
    (tmp_path / "louder.py").write_text(text, encoding="utf-8")
    louder = str(tmp_path / "louder.py")
    ran = run("replay", recording, louder)
    assert ran.status == 1 and "recorded 'hi', now 'HI'" in ran.out
    differences = json.loads(run("replay", recording, "--json", louder).out)["differences"]
    assert {"recorded": "hi", "now": "HI"}.items() <= differences[0].items()
    assert run("replay", recording, "--ignore", "text,structuredContent", louder).status == 0


def test_a_recording_that_is_none_is_status_2(run: Run, tmp_path: Path) -> None:
    ran = run("replay", str(tmp_path / "nothing.jsonl"))
    assert ran.status == 2 and "No such file" in ran.err
