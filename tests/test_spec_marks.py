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


def test_every_http_statement_is_marked_or_says_why_not_and_no_reason_is_stale() -> None:
    if not spec_coverage.NORMATIVE.is_file():
        pytest.skip("the list of normative statements is not beside the repository")
    known = spec_coverage.statements(spec_coverage.NORMATIVE)
    covered = {known[mark.id].requirement for mark in spec_coverage.marks(spec_coverage.TESTS) if mark.id in known}
    why = spec_coverage.reasons(spec_coverage.TESTS / spec_coverage.UNPROVEN)
    missing = spec_coverage.missing([one for one in known.values() if one.counts], covered)
    silent = [one.id for one in missing if one.transport in ("http", "sse") and why.of(one) is None]
    assert silent == []
    assert why.stale(missing) == []


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


WHY = """
[areas]
tools = "lists are nobody's business"
[statements]
"r1/tools/*" = "names come later"
"""


def test_what_is_missing_says_why_where_a_reason_is_given(
    tmp_path: Path, normative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests" / "spec").mkdir(parents=True)
    (tmp_path / "tests" / "spec" / "unproven.toml").write_text(WHY, encoding="utf-8")
    options = ["--normative", str(normative), "--tests", str(tmp_path / "tests")]
    assert spec_coverage.main([*options, "--uncovered"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "r1/tools/M01  MUST, server: names are strings (names come later)"
    assert second.startswith("r2/tools/M01") and second.endswith("(names come later)"), "the same requirement"
    assert third.endswith("(lists are nobody's business)")
    assert spec_coverage.main(options) == 0
    assert "of the missing, 3 say why:" in capsys.readouterr().out


def test_a_reason_that_nothing_needs_is_stale() -> None:
    why = spec_coverage.Reasons({"tools": "a", "roots": "b"}, {"r1/tools/*": "c", "r3/*": "d"})
    statement = spec_coverage.Statement("r2/t/M1", "r2", "server", "MUST", "tools", "any", "s", "r1/tools/M1", True)
    assert why.stale([statement]) == ["roots", "r3/*"]
    assert (why.of(statement), why.stale([])) == ("c", ["tools", "roots", "r1/tools/*", "r3/*"])


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
