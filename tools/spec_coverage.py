"""Which normative statements of the specification the tests name: `python tools/spec_coverage.py`, or `make coverage`.

A test says what it holds us to with `@pytest.mark.spec("2026-07-28/tools/M03", ...)`. This reads those marks off the
syntax trees of the tests (nothing is imported or run) and counts them against the list of statements, normative.json.
Only statements that a peer can observe count, and only those that bind a plain client or server.

A statement that a later revision repeats unchanged points at its first place (`same_as`). They are one requirement,
and a mark on either covers both. The column `named` tells how many are marked by their very own id.

It counts what tests claim. Whether a test proves its claim is for its reader to judge. Why a statement is marked by no
test is written in ``tests/spec/unproven.toml``; ``--uncovered`` prints it behind the statement.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[1]
NORMATIVE = ROOT.parent / "shared" / "spec" / "normative.json"
TESTS = ROOT / "tests"
UNPROVEN = Path("spec", "unproven.toml")
"""Below the tests."""
COLUMNS = ("revision", "area", "role", "level", "transport")


@dataclass(frozen=True)
class Statement:
    id: str
    revision: str
    role: str
    level: str
    area: str
    transport: str
    summary: str
    requirement: str  # the id that the same requirement has in the revision where it first appeared
    counts: bool


@dataclass(frozen=True)
class Mark:
    id: str
    place: str  # "tests/server/test_tools.py:12"


class BadMark(Exception):
    """A spec mark that cannot be read off the source, because an argument is not a literal string."""


def statements(path: Path) -> dict[str, Statement]:
    """The statements of a normative.json by id, in the order of the file."""
    found = {}
    for entry in json.loads(path.read_text(encoding="utf-8")):
        found[entry["id"]] = Statement(
            id=entry["id"],
            revision=entry["revision"],
            role=entry["role"],
            level=entry["level"],
            area=entry["area"],
            transport=entry.get("transport", "any"),
            summary=entry["summary"],
            requirement=entry["same_as"] or entry["id"],
            counts=entry["observable"] in ("wire", "partly") and not entry.get("actor"),
        )
    return found


def marks(tests: Path) -> list[Mark]:
    """Every id named by a spec mark below the folder, as a decorator, in `pytestmark` or in a `pytest.param`."""
    found: list[Mark] = []
    for file in sorted(tests.rglob("*.py")):
        place = file.relative_to(tests.parent).as_posix()
        found += marks_in(file.read_text(encoding="utf-8"), place)
    return found


def marks_in(source: str, place: str) -> Iterator[Mark]:
    for node in ast.walk(ast.parse(source, place)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.spec")):
            continue
        for argument in node.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise BadMark(
                    f"{place}:{argument.lineno}: write the id as a literal string, not {ast.unparse(argument)}"
                )
            yield Mark(argument.value, f"{place}:{argument.lineno}")


class Reasons:
    """Why statements are marked by no test: by area, and by id of the requirement, which may be a pattern."""

    def __init__(self, areas: dict[str, str], ids: dict[str, str]) -> None:
        self.areas = areas
        self.ids = ids

    def of(self, statement: Statement) -> str | None:
        for pattern, reason in self.ids.items():
            if fnmatchcase(statement.requirement, pattern):
                return reason
        return self.areas.get(statement.area)

    def stale(self, missing: Iterable[Statement]) -> list[str]:
        """The entries that none of these needs."""
        areas, ids = dict(self.areas), dict(self.ids)
        for statement in missing:
            areas.pop(statement.area, None)
            for pattern in self.ids:
                if fnmatchcase(statement.requirement, pattern):
                    ids.pop(pattern, None)
        return [*areas, *ids]


def reasons(path: Path) -> Reasons:
    """Those of an unproven.toml; none where it is not there."""
    if not path.is_file():
        return Reasons({}, {})
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Reasons(table.get("areas", {}), table.get("statements", {}))


def unknown(found: Iterable[Mark], known: dict[str, Statement]) -> list[str]:
    """One sentence for each mark whose id is not in the list."""
    return [f"{mark.place}: no statement is called {mark.id}" for mark in found if mark.id not in known]


def table(column: str, chosen: list[Statement], named: set[str], covered: set[str]) -> Iterator[str]:
    """The counts for each value of a column, in the order of their appearance, as lines."""
    groups: dict[str, list[Statement]] = {}
    for statement in chosen:
        groups.setdefault(getattr(statement, column), []).append(statement)
    yield f"{column:<24} {'covered':>8} {'missing':>8} {'of':>6} {'named':>6}"
    for name, members in groups.items():
        yield counts(name, members, named, covered)


def counts(name: str, members: list[Statement], named: set[str], covered: set[str]) -> str:
    hits = sum(statement.requirement in covered for statement in members)
    own = sum(statement.id in named for statement in members)
    return f"{name:<24} {hits:>8} {len(members) - hits:>8} {len(members):>6} {own:>6}"


def report(chosen: list[Statement], named: set[str], covered: set[str], why: Reasons) -> Iterator[str]:
    for column in ("revision", "role", "level", "transport", "area"):
        yield from table(column, chosen, named, covered)
        yield ""
    yield counts("all", chosen, named, covered)
    given: dict[str, int] = {}
    for statement in missing(chosen, covered):
        reason = why.of(statement)
        if reason is not None:
            given[reason] = given.get(reason, 0) + 1
    if given:
        yield f"\nof the missing, {sum(given.values())} say why:"
        yield from (f"{number:>6}  {reason}" for reason, number in given.items())


def missing(chosen: Iterable[Statement], covered: set[str]) -> list[Statement]:
    return [statement for statement in chosen if statement.requirement not in covered]


def uncovered(chosen: list[Statement], covered: set[str], why: Reasons) -> Iterator[str]:
    for statement in missing(chosen, covered):
        reason = why.of(statement)
        because = f" ({reason})" if reason is not None else ""
        yield f"{statement.id}  {statement.level}, {statement.role}: {statement.summary}{because}"


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which normative statements of the specification the tests name.")
    parser.add_argument("--normative", type=Path, default=NORMATIVE, help="the list of statements (normative.json)")
    parser.add_argument("--tests", type=Path, default=TESTS, help="the folder with the tests")
    parser.add_argument("--uncovered", action="store_true", help="list what no test names, instead of the counts")
    for column in COLUMNS:
        parser.add_argument(f"--{column}", help=f"only this {column}")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """0 where all marks are known, 1 where one is not, 2 where there is nothing to compare with."""
    options = arguments(words)
    if not options.normative.is_file():
        print(f"{options.normative} is not there: name the list of statements with --normative", file=sys.stderr)
        return 2
    known = statements(options.normative)
    try:
        found = marks(options.tests)
    except BadMark as error:
        print(error, file=sys.stderr)
        return 1
    wrong = unknown(found, known)
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")

    named = {mark.id for mark in found}
    covered = {known[name].requirement for name in named if name in known}
    chosen = [statement for statement in known.values() if statement.counts and matches(statement, options)]
    why = reasons(options.tests / UNPROVEN)
    lines = uncovered(chosen, covered, why) if options.uncovered else report(chosen, named, covered, why)
    print("\n".join(lines))
    return 1 if wrong else 0


def matches(statement: Statement, options: argparse.Namespace) -> bool:
    return all(getattr(options, column) in (None, getattr(statement, column)) for column in COLUMNS)


if __name__ == "__main__":
    sys.exit(main())
