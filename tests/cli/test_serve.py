"""``mcpcore run``: which server it finds, and what it says where it finds none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}
OPENING = json.dumps(INITIALIZE) + "\n"


def name_of(ran: Any) -> str:
    """Every line of the wire is a message, and the first one is the handshake's answer."""
    messages = [json.loads(line) for line in ran.out.splitlines()]
    return str(messages[0]["result"]["serverInfo"]["name"])


def test_the_only_server_of_a_file_is_served_and_its_noise_stays_off_the_wire(spawn: Run, server: str) -> None:
    ran = spawn("run", server, stdin=OPENING)
    assert ran.status == 0 and name_of(ran) == "shown"
    assert "noise at import" in ran.err


def test_one_of_several_servers_is_chosen_by_name(spawn: Run, tmp_path: Path) -> None:
    text = "from mcpcore import Server\none, two = Server('one'), Server('two')\nclass Box: three = Server('three')\n"
    (tmp_path / "several.py").write_text(text, encoding="utf-8")
    assert name_of(spawn("run", f"{tmp_path / 'several.py'}:two", stdin=OPENING)) == "two"
    assert name_of(spawn("run", f"{tmp_path / 'several.py'}:Box.three", stdin=OPENING)) == "three"
    ran = spawn("run", str(tmp_path / "several.py"))
    assert ran.status == 2 and "its Server objects are one, two; give one as " in ran.err


def test_one_server_under_two_names_is_one_server(spawn: Run, tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text("from mcpcore import Server\none = other = Server('same')\n", encoding="utf-8")
    assert name_of(spawn("run", str(tmp_path / "twice.py"), stdin=OPENING)) == "same"


def test_a_file_imports_its_neighbours_and_may_have_the_name_of_a_module(spawn: Run, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("NAME = 'from next door'\n", encoding="utf-8")
    text = "import neighbour\nfrom mcpcore import Server\nserver = Server(neighbour.NAME)\n"
    (tmp_path / "csv.py").write_text(text, encoding="utf-8")
    assert name_of(spawn("run", str(tmp_path / "csv.py"), stdin=OPENING)) == "from next door"


def test_a_module_is_found_from_the_current_directory(spawn: Run, server: str) -> None:
    directory = Path(server).parent
    assert name_of(spawn("run", "shown", stdin=OPENING, cwd=directory)) == "shown"
    assert name_of(spawn("run", "shown:server", stdin=OPENING, cwd=directory)) == "shown"


def test_the_main_block_of_a_file_does_not_run(spawn: Run, tmp_path: Path) -> None:
    text = "from mcpcore import Server\nserver = Server('x')\nif __name__ == '__main__':\n    raise SystemExit(5)\n"
    (tmp_path / "main.py").write_text(text, encoding="utf-8")
    assert spawn("run", str(tmp_path / "main.py"), stdin=OPENING).status == 0


def test_a_file_that_runs_its_server_while_it_is_loaded_is_served_all_the_same(spawn: Run, tmp_path: Path) -> None:
    text = "from mcpcore import Server\nother, server = Server('other'), Server('x')\n"
    text += "try:\n    server.run()\nexcept Exception:\n    pass\nraise SystemExit(5)\n"
    (tmp_path / "unguarded.py").write_text(text, encoding="utf-8")
    ran = spawn("run", str(tmp_path / "unguarded.py"), stdin=OPENING)
    assert ran.status == 0 and name_of(ran) == "x"


def test_revisions_restrict_the_server(spawn: Run, server: str) -> None:
    ran = spawn("run", server, "--revisions", "2025-03-26,2024-11-05", stdin=OPENING)
    assert json.loads(ran.out.splitlines()[0])["result"]["protocolVersion"] == "2025-03-26"


MISTAKES = {
    "no file": ("nowhere.py", "there is no file 'nowhere.py'; the current directory is "),
    "no module": ("nowhere", "there is no module 'nowhere'"),
    "no such name": ("empty.py:server", "empty.py has no 'server'; it has no Server object"),
    "no server": ("empty.py", "it has no Server object as a global variable"),
    "not a server": ("empty.py:number", "number is a int, not a mcpcore.Server"),
    "an error in the module": ("failing.py", "failing.py could not be loaded: ZeroDivisionError"),
    "an error in the syntax": ("wrong.py", "wrong.py could not be loaded: SyntaxError"),
    "a missing import": ("lonely.py", "could not be loaded: ModuleNotFoundError: No module named 'not_installed'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_status_2_and_says_what_was_looked_for(
    case: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, complaint = MISTAKES[case]
    (tmp_path / "empty.py").write_text("number = 1\n", encoding="utf-8")
    (tmp_path / "failing.py").write_text("x = 1\n1 / 0\n", encoding="utf-8")
    (tmp_path / "wrong.py").write_text("def (\n", encoding="utf-8")
    (tmp_path / "lonely.py").write_text("import not_installed\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ran = run("run", address)
    assert ran.status == 2 and complaint in ran.err, ran


def test_an_error_in_the_module_shows_its_own_lines_only(run: Run, tmp_path: Path) -> None:
    (tmp_path / "failing2.py").write_text("def f():\n    1 / 0\nf()\n", encoding="utf-8")
    ran = run("run", str(tmp_path / "failing2.py"))
    assert ran.err.count("  File ") == 2 and ran.err.count("failing2.py") >= 2


def test_a_revision_that_the_server_does_not_serve_is_refused(run: Run, server: str) -> None:
    ran = run("run", server, "--revisions", "2020-01-01")
    assert ran.status == 2 and "2020-01-01: this server serves 2024-11-05" in ran.err
