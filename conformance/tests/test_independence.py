"""The suite stands alone: neither it nor its tests import anything of mcpcore, or anything but the standard library."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py"))
OWN = {"mcpcore_conformance"}


def roots(source: str) -> set[str]:
    """The first names of all that a source imports, import_module and __import__ with a literal name included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).split(".")[-1]
            if called in {"import_module", "__import__"}:
                found.add(str(node.args[0].value).split(".")[0])
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_nothing_of_mcpcore(file: str) -> None:
    assert "mcpcore" not in roots((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("mcpcore_conformance/")])
def test_the_package_needs_only_the_standard_library(file: str) -> None:
    assert roots((ROOT / file).read_text(encoding="utf-8")) <= OWN | sys.stdlib_module_names


def test_the_distribution_declares_no_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == []


@pytest.mark.parametrize(
    "source",
    [
        "import mcpcore",
        "from mcpcore.core import peer",
        "def f():\n    import os, mcpcore.errors",
        "import importlib\nimportlib.import_module('mcpcore.client')",
        "if TYPE_CHECKING:\n    from mcpcore import Client",
    ],
)
def test_an_import_of_mcpcore_is_caught(source: str) -> None:
    assert "mcpcore" in roots(source)
