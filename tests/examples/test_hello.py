"""The smallest server and client, run as a reader of the README would run them."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.examples.wire import EXAMPLES, REVISIONS, ROOT, Conversation


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python in which mcpcore is installed, whatever directory it runs in and whatever PYTHONPATH says."""
    directory = tmp_path_factory.mktemp("installed")
    venv.create(directory, symlinks=True)
    platlib = sysconfig.get_path("platlib", "venv", {"base": str(directory), "platbase": str(directory)})
    Path(platlib, "mcpcore.pth").write_text(f"{ROOT}\n{sysconfig.get_path('platlib')}\n")
    return str(directory / "bin" / "python")


def test_the_client_starts_the_server_and_prints_the_forecast(python: str, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, str(EXAMPLES / "hello_client.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Oslo: rain for 3 days\n", "")


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_server_answers_every_revision(revision: str) -> None:
    talk = Conversation([str(EXAMPLES / "hello_server.py")], revision)
    try:
        assert talk.text("forecast", {"city": "Oslo", "days": 2}) == "Oslo: rain for 2 days"
        [tool] = talk.request("tools/list")["result"]["tools"]
        assert tool["description"] == "What the sky over a city will do."
        assert talk.faults == []
    finally:
        assert talk.close() == 0


def test_the_readme_shows_the_same_server() -> None:
    """Word for word, but for the docstring of the file and what linters want."""
    readme = (ROOT / "README.md").read_text()
    shown = readme.partition("<!-- run: server.py -->\n```python\n")[2].partition("```")[0]
    program = (EXAMPLES / "hello_server.py").read_text()
    assert [line for line in shown.splitlines() if line and line not in program.splitlines()] == []
