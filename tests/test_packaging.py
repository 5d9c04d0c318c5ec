"""What a user gets: the frozen list of dependencies, a typed wheel, a README whose programs run, and no traces of the
machine it was written on. Nothing here is about behaviour of the protocol."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

import mcpcore

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENTS = ("README.md", "docs/http.md")

# Everything else needs a reason, and a change here.
DEPENDENCIES = {"anyio", "h11", "msgspec", "orjson", "wsproto"}

# A program to run stands behind `<!-- run: name.py -->`, which readers do not see.
RUNNABLE = re.compile(r"^<!-- run: (?P<name>\S+) -->\n```python\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL)

# Written in two halves, so that this file does not find itself.
MACHINE_PATHS = re.compile(rf"(?<![\w.])/(?:{'wo' + 'rk'}|{'ro' + 'ot'})/\S*")


def test_the_five_dependencies_are_the_only_ones() -> None:
    assert {re.split(r"[^\w-]", requirement)[0] for requirement in PROJECT["dependencies"]} == DEPENDENCIES


def test_every_extra_is_optional_and_known() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"schema", "pydantic", "fast"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling builds the wheel and is not installed here; `make setup` installs it")
    place = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    done = subprocess.run(build, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = place.glob("*.whl")
    return zipfile.Path(built)


def test_the_wheel_says_that_it_is_typed(wheel: zipfile.Path) -> None:
    assert (wheel / "mcpcore" / "py.typed").is_file()


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.Path) -> None:
    assert {entry.name for entry in wheel.iterdir()} == {"mcpcore", f"mcpcore-{mcpcore.__version__}.dist-info"}


def test_the_wheel_carries_the_licence(wheel: zipfile.Path) -> None:
    licence = wheel / f"mcpcore-{mcpcore.__version__}.dist-info" / "licenses" / "LICENSE"
    assert licence.read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")


def programs(markdown: str) -> dict[str, str]:
    """File name -> source of the blocks marked as runnable, in their order."""
    return {match["name"]: match["source"] for match in RUNNABLE.finditer(markdown)}


def test_only_marked_blocks_are_programs() -> None:
    text = (
        "```python\n1/0\n```\n<!-- run: a.py -->\n```python\nx = 1\n\ny = 2\n```\n<!-- run: b.sh -->\n```sh\nls\n```\n"
    )
    assert programs(text) == {"a.py": "x = 1\n\ny = 2\n"}


class Started:
    """A program of a document, while it runs. One that serves is left to serve those after it."""

    def __init__(self, name: str, directory: Path) -> None:
        # "python" in a program is the Python of this test.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.name = name
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", name],
            cwd=directory,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def serves(self) -> bool:
        """Whether it says so; otherwise it has ended."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if "serving MCP at" in line:
                return True
        return False

    def ended(self, *, stopped: bool = False) -> None:
        if stopped:
            self.process.terminate()
        assert self.process.stderr is not None
        self.said += self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.wait(timeout=30) == 0, f"{self.name}: {self.said}"


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_programs_of_a_document_run(document: str, tmp_path: Path) -> None:
    sources = programs((ROOT / document).read_text(encoding="utf-8"))
    assert sources
    if not any(distributions(name="mcpcore")):
        pytest.skip(
            "mcpcore is not installed here, so a server started by a program would not find it; see `make setup`"
        )
    port = free_port()
    for name, source in sources.items():
        (tmp_path / name).write_text(source.replace("8000", port), encoding="utf-8")
    serving: list[Started] = []
    try:
        for name in sources:
            program = Started(name, tmp_path)
            if program.serves():
                serving.append(program)
            else:
                program.ended()
    finally:
        for program in serving:
            program.ended(stopped=True)


def test_no_tracked_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in listing.stdout.decode().split("\0"):
        if not name or not (ROOT / name).is_file():
            continue
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {match.group()}" for match in MACHINE_PATHS.finditer(text)]
    assert found == []


@pytest.mark.parametrize("text", ["see /wo" + "rk/main", "file:///ro" + "ot/x", '"/wo' + 'rk/"'])
def test_a_path_of_this_machine_is_recognised(text: str) -> None:
    assert MACHINE_PATHS.search(text)


@pytest.mark.parametrize("text", ["/workers/7", "framework/x", "https://example.com/root", "src/root/x"])
def test_other_paths_are_left_alone(text: str) -> None:
    assert not MACHINE_PATHS.search(text)


def test_the_package_lends_its_own_names_and_none_that_its_modules_import() -> None:
    import mcpcore

    assert mcpcore.RpcError.__module__ == "mcpcore.errors"
    assert not hasattr(mcpcore, "annotations"), "which mcpcore.errors has imported"
