"""The commands that talk to a server, with a URL as their target."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SERVER
from tests.server.http_programs import Program

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("served") / "shown.py"
    path.write_text(SERVER, encoding="utf-8")
    with Program("-m", "mcpcore", "run", str(path), "--transport", "http", "--port", "0") as program:
        yield f"http://127.0.0.1:{program.serving().port}/mcp"


def test_list_call_read_prompt_and_complete_take_urls(run: Run, url: str) -> None:
    listed = run("list", url)
    assert listed.status == 0 and listed.out.startswith("shown 1.2 (2026-07-28)")
    assert "echo(text: string, times?: integer)" in listed.out
    assert run("call", "echo", "--arg", "text=hi", "--arg", "times=2", url).out == "hi hi\n"
    assert run("read", "shown://text", url).out == "some text\n"
    assert "Greet Ada in a plain tone" in run("prompt", "greet", "--arg", "name=Ada", url).out
    assert run("complete", "greet", "tone", "--value", "p", url).out == "plain\npompous\n"


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25", "2026-07-28"])
def test_a_revision_may_be_named(run: Run, url: str, revision: str) -> None:
    assert run("list", "--revision", revision, url).out.startswith(f"shown 1.2 ({revision})")


def test_verbose_shows_the_messages_of_the_server(run: Run, url: str) -> None:
    ran = run("call", "talk", "-v", url)
    assert ran.status == 0 and "[debug] a detail" in ran.err


def test_probe_prints_era_revisions_capabilities_and_round_trip(run: Run, url: str) -> None:
    ran = run("probe", url)
    assert ran.status == 0
    rows = {line[:14].strip(): line[14:] for line in ran.out.splitlines()}
    assert rows["server"] == "shown 1.2" and rows["era"] == "dual-era" and rows["spoken now"] == "2026-07-28"
    assert rows["revisions"] == "2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28"
    assert "tools (listChanged)" in rows["capabilities"] and rows["round trip"].endswith("ms at best")
    found = json.loads(run("probe", "--json", url).out)
    assert found["era"] == "dual-era" and found["roundTripSeconds"]["median"] > 0


def test_nobody_at_a_url_is_status_3_and_one_line(run: Run, url: str) -> None:
    ran = run("list", "http://127.0.0.1:1/mcp")
    assert (ran.status, ran.err) == (3, "mcpcore: http://127.0.0.1:1/mcp: Connection refused\n")
    ran = run("probe", url.replace("/mcp", "/elsewhere"))
    assert ran.status == 3 and "nothing is served at this path; the MCP endpoint is /mcp" in ran.err


def test_a_url_that_ends_in_py_is_a_url(run: Run) -> None:
    ran = run("list", "http://127.0.0.1:1/server.py")
    assert ran.status == 3 and "Connection refused" in ran.err


def test_a_file_is_still_a_command_that_serves_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text("from mcpcore import Server\nserver = Server('small')\n", encoding="utf-8")
    assert run("list", str(tmp_path / "small.py")).out.startswith("small 0")
