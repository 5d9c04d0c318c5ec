"""The marks that tie tests to the specification are real, and the tool that counts them counts right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import spec_coverage

ENTRY = {"role": "server", "level": "MUST", "area": "tools", "observable": "wire", "same_as": None}
LIST = [
    {**ENTRY, "id": "r1/tools/M01", "revision": "r1", "summary": "names are strings"},
    {**ENTRY, "id": "r1/tools/M02", "revision": "r1", "summary": "thoughts are kind", "observable": "no"},
    {**ENTRY, "id": "r2/tools/M01", "revision": "r2", "summary": "names are strings", "same_as": "r1/tools/M01"},
    {**ENTRY, "id": "r2/tools/S01", "revision": "r2", "summary": "lists are short", "level": "SHOULD"},
    {**ENTRY, "id": "r2/auth/M01", "revision": "r2", "summary": "tokens expire", "actor": "authorization-server"},
]


@pytest.fixture
def normative(tmp_path: Path) -> Path:
    path = tmp_path / "normative.json"
    path.write_text(json.dumps(LIST), encoding="utf-8")
    return path


def run(tmp_path: Path, normative: Path, source: str, *options: str) -> int:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_some.py").write_text(source, encoding="utf-8")
    return spec_coverage.main(["--normative", str(normative), "--tests", str(tests), *options])


def rows(output: str) -> dict[str, list[int]]:
    """First word of a line -> covered, missing, of, named."""
    lines = [line.split() for line in output.splitlines()]
    return {words[0]: [int(word) for word in words[-4:]] for words in lines if words and words[-1].isdigit()}


def test_every_mark_names_a_statement_of_the_specification() -> None:
    if not spec_coverage.NORMATIVE.is_file():
        pytest.skip("the list of normative statements is not beside the repository")
    known = spec_coverage.statements(spec_coverage.NORMATIVE)
    assert spec_coverage.unknown(spec_coverage.marks(spec_coverage.TESTS), known) == []


def test_every_mark_is_a_literal() -> None:
    spec_coverage.marks(spec_coverage.TESTS)


def test_marks_are_found_on_functions_classes_modules_and_parameters() -> None:
    source = """
import pytest
from pytest import mark
pytestmark = [pytest.mark.spec("a"), pytest.mark.slow]
@pytest.mark.spec("b", "c")
class TestSome:
    @mark.spec("d")
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.spec("e"))])
    def test_some(self, x): ...
"""
    found = {mark.id: mark.place for mark in spec_coverage.marks_in(source, "tests/test_some.py")}
    assert sorted(found) == ["a", "b", "c", "d", "e"]
    assert found["d"] == "tests/test_some.py:7"


def test_a_mark_on_a_requirement_covers_it_in_every_revision(
    tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, normative, "x = pytest.mark.spec('r2/tools/M01')") == 0
    counted = rows(capsys.readouterr().out)
    assert counted["r1"] == [1, 0, 1, 0]
    assert counted["r2"] == [1, 1, 2, 1]
    assert counted["SHOULD"] == [0, 1, 1, 0]
    assert counted["all"] == [2, 1, 3, 1]


def test_uncovered_lists_only_observable_statements_of_plain_clients_and_servers(
    tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, normative, "x = pytest.mark.spec('r1/tools/M01')", "--uncovered") == 0
    assert capsys.readouterr().out == "r2/tools/S01  SHOULD, server: lists are short\n"


def test_options_narrow_the_list(tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, normative, "", "--uncovered", "--area", "tools", "--revision", "r1") == 0
    assert capsys.readouterr().out == "r1/tools/M01  MUST, server: names are strings\n"


def test_an_unknown_id_is_an_error_that_names_the_place(
    tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, normative, "\nx = pytest.mark.spec('r1/tools/M99')") == 1
    assert "tests/test_some.py:2: no statement is called r1/tools/M99" in capsys.readouterr().err


def test_an_id_that_is_computed_is_an_error(
    tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, normative, "x = pytest.mark.spec(f'{revision}/tools/M01')") == 1
    assert "write the id as a literal string" in capsys.readouterr().err


def test_without_the_list_it_says_how_to_name_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spec_coverage.main(["--normative", str(tmp_path / "absent.json")]) == 2
    assert "--normative" in capsys.readouterr().err
