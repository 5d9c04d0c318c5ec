"""Where environments live, and what measured processes inherit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpcore_bench.environments import PEERS, InstallFailed, cache_directory, child_environment, prepare
from mcpcore_bench.implementations import everyone


def test_environments_are_never_inside_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCPCORE_BENCH_CACHE", raising=False)
    assert not cache_directory().is_relative_to(Path(__file__).parents[2])
    assert all(peer.directory.parent == cache_directory() for peer in PEERS.values())


def test_the_place_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCPCORE_BENCH_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    with pytest.raises(InstallFailed, match="mcpcore_bench peers"):
        prepare(PEERS["mcp"], build=False)


def test_an_environment_of_other_pins_counts_as_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCPCORE_BENCH_CACHE", str(tmp_path))
    PEERS["mcp"].directory.mkdir()
    (PEERS["mcp"].directory / "stamp").write_text('["pip", "mcp==1.*"]')
    with pytest.raises(InstallFailed, match="not installed"):
        prepare(PEERS["mcp"], build=False)


def test_measured_processes_inherit_no_settings_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("HOME_OF_TESTS", "kept")
    assert not [name for name in child_environment() if name.startswith("PYTHON")]
    assert child_environment()["HOME_OF_TESTS"] == "kept"


def test_an_interpreter_that_does_not_exist_is_a_reason_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MCPCORE_BENCH_CACHE", str(tmp_path))
    found = everyone([str(tmp_path / "python9")], build=False)
    assert all(each.broken for each in found)
    assert "python9" in found[0].broken
