"""A person answers on a terminal: a real one, by way of a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpcore.cli.terminal import _choices, _parsed

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")

Start = Callable[..., "Dialogue"]


class Dialogue:
    """The command with stdin and stderr on a terminal and stdout in a pipe."""

    def __init__(self, *words: str) -> None:
        self.master, slave = os.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mcpcore", *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=slave,
            stderr=slave,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(slave)

    def see(self, text: str) -> None:
        while text not in self.seen:
            try:
                data = os.read(self.master, 4096)
            except OSError:  # Linux: the other end is closed
                data = b""
            assert data, f"{text!r} does not come; this came: {self.seen}"
            self.seen += data.decode()
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def result(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self.master)


@pytest.fixture
def start() -> Iterator[Start]:
    begun: list[Dialogue] = []

    def starting(*words: str) -> Dialogue:
        begun.append(Dialogue(*words))
        return begun[-1]

    yield starting
    for dialogue in begun:
        dialogue.close()


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_form_is_filled_in_field_by_field_and_mistakes_are_asked_again(
    start: Start, server: str, revision: str
) -> None:
    dialogue = start("call", "ask", "--revision", revision, server)
    dialogue.see("Who are you?")
    dialogue.see("Answer it? [y/n] ")
    dialogue.type("y\n")
    dialogue.see("Your name (text): ")
    dialogue.type("A\n")
    dialogue.see("at least 2 characters")
    dialogue.see("Your name (text): ")
    dialogue.type("Ada\n")
    dialogue.see("age (integer, optional): ")
    dialogue.type("old\n")
    dialogue.see("type a whole number")
    dialogue.type("\n")
    dialogue.see("1. red")
    dialogue.see("2. green")
    dialogue.see("colour (a number): ")
    dialogue.type("2\n")
    dialogue.see("news (yes or no, optional, default false): ")
    dialogue.type("\n")
    assert dialogue.result() == "accept {'name': 'Ada', 'colour': 'green', 'news': False}\n"
    assert dialogue.process.wait() == 0


def test_a_question_can_be_declined(start: Start, server: str) -> None:
    dialogue = start("call", "ask", server)
    dialogue.see("[y/n] ")
    dialogue.type("n\n")
    assert dialogue.result().startswith("decline")


def test_the_end_of_input_cancels_a_question(start: Start, server: str) -> None:
    dialogue = start("call", "ask", server)
    dialogue.see("[y/n] ")
    dialogue.type("\x04")
    assert dialogue.result().startswith("cancel")


def test_ctrl_c_ends_a_question_at_once(start: Start, server: str) -> None:
    dialogue = start("call", "ask", server)
    dialogue.see("[y/n] ")
    dialogue.process.send_signal(signal.SIGINT)
    assert dialogue.process.wait(timeout=10) == 130
    assert dialogue.result() == ""


SAMPLING = """
from mcpcore import Context, Server
server = Server("asking")

@server.tool
async def consult(ctx: Context) -> str:
    result = await ctx.sample("What is the answer?", max_tokens=10)
    return f"{result.model} says {result.text}"

@server.tool
async def visit(ctx: Context) -> str:
    return (await ctx.elicit_url("Log in", "https://example.com/login")).action
"""


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_person_stands_in_for_the_model(start: Start, tmp_path: Path, revision: str) -> None:
    (tmp_path / "asking.py").write_text(SAMPLING, encoding="utf-8")
    dialogue = start("call", "consult", "--revision", revision, str(tmp_path / "asking.py"))
    dialogue.see("user: What is the answer?")
    dialogue.see("(empty to decline): ")
    dialogue.type("42\n")
    assert dialogue.result().endswith("says 42\n")


def test_an_address_is_shown_and_never_opened(start: Start, tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(SAMPLING, encoding="utf-8")
    dialogue = start("call", "visit", str(tmp_path / "asking.py"))
    dialogue.see("https://example.com/login")
    dialogue.see("Will you open it? [y/n] ")
    dialogue.type("y\n")
    assert dialogue.result() == "accept\n"


FIELDS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "a string": ({"type": "string"}, "x", "x"),
    "an integer": ({"type": "integer"}, "-3", -3),
    "a number": ({"type": "number"}, "1.5", 1.5),
    "yes": ({"type": "boolean"}, "Yes", True),
    "no": ({"type": "boolean"}, "n", False),
    "a choice by number": ({"enum": ["a", "b"]}, "2", "b"),
    "a choice by value": ({"enum": ["a", "b"]}, "a", "a"),
    "a choice by its former title": ({"enum": ["a"], "enumNames": ["Alpha"]}, "Alpha", "a"),
    "a choice by title": ({"oneOf": [{"const": "a", "title": "Alpha"}]}, "Alpha", "a"),
    "several": ({"type": "array", "items": {"enum": ["a", "b", "c"]}}, "1, c", ["a", "c"]),
    "several with titles": ({"type": "array", "items": {"anyOf": [{"const": "a", "title": "A!"}]}}, "1", ["a"]),
}


@pytest.mark.parametrize("case", FIELDS)
def test_what_is_typed_becomes_a_value(case: str) -> None:
    field, typed, value = FIELDS[case]
    assert _parsed(typed, field, _choices(field)) == value


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "not whole": ({"type": "integer"}, "1.5", "whole number"),
    "no number": ({"type": "number"}, "x", "a number"),
    "too small": ({"type": "integer", "minimum": 3}, "2", "at least 3"),
    "too large": ({"type": "number", "maximum": 3}, "4", "at most 3"),
    "too long": ({"type": "string", "maxLength": 1}, "xx", "at most 1 characters"),
    "neither yes nor no": ({"type": "boolean"}, "perhaps", "yes or no"),
    "no such choice": ({"enum": ["a", "b"]}, "3", "from 1 to 2"),
    "too few": ({"type": "array", "minItems": 2, "items": {"enum": ["a"]}}, "1", "at least 2 choices"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_told(case: str) -> None:
    field, typed, complaint = WRONG[case]
    with pytest.raises(ValueError, match=complaint):
        _parsed(typed, field, _choices(field))
