"""The commands that talk to a server, against a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpcore.cli.session import target_of
from mcpcore.testing import ERAS

ROOT = Path(__file__).parents[2]
Run = Callable[..., Any]


@pytest.mark.parametrize("era", ERAS)
def test_list_shows_what_a_server_offers_in_aligned_columns(run: Run, server: str, era: str) -> None:
    ran = run("list", "--revision", ERAS[era], server)
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0] == f"shown 1.2 ({ERAS[era]})"
    assert "  echo(text: string, times?: integer)  Say it again." in lines
    assert "  total(numbers: array)                Add them up." in lines
    assert "  shown://text   text/plain  A text" in lines
    assert any(line.startswith("  shown://{name}/page") and line.endswith("A page") for line in lines)
    assert "  greet(name, tone?)  Greet somebody." in lines
    assert [line for line in lines if line and not line.startswith(" ")][1:] == [
        "Tools",
        "Resources",
        "Resource templates",
        "Prompts",
    ]


def test_list_as_json_is_one_document(run: Run, server: str) -> None:
    found = json.loads(run("list", "--json", server).out)
    assert found["revision"] == "2026-07-28" and found["serverInfo"]["name"] == "shown"
    assert found["tools"][0]["name"] == "echo" and found["tools"][0]["inputSchema"]["required"] == ["text"]
    assert len(found["resources"]) == 2 and len(found["resourceTemplates"]) == len(found["prompts"]) == 1


def test_list_of_a_server_without_anything_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from mcpcore import Server\nserver = Server('bare')\n", encoding="utf-8")
    assert "It offers no tools, resources or prompts." in run("list", str(tmp_path / "bare.py")).out


def test_arguments_become_what_the_schema_wants(run: Run, server: str) -> None:
    assert run("call", "echo", "--arg", "text=12", "--arg", "times=2", server).out == "12 12\n"
    assert run("call", "total", "--arg", "numbers=[1, 2.5]", server).out == "3.5\n"
    assert run("call", "echo", "--args", '{"text": "a", "times": 2}', "--arg", "text=b=c", server).out == "b=c b=c\n"


def test_a_tool_that_reports_an_error_is_status_1(run: Run, server: str) -> None:
    ran = run("call", "broken", server)
    assert ran.status == 1 and ran.out == "it broke\n"
    assert ran.err == "mcpcore: the tool broken reported an error\n"
    ran = run("call", "broken", "--json", server)
    assert ran.status == 1 and json.loads(ran.out)["isError"] is True


def test_an_error_of_the_protocol_is_status_1_and_tells_its_code(run: Run, server: str) -> None:
    ran = run("read", "shown://nothing/at/all", server)
    assert ran.status == 1 and ran.out == "" and "(-32602)" in ran.err
    ran = run("read", "--json", "shown://nothing/at/all", server)
    assert json.loads(ran.err)["error"]["code"] == -32602


def test_a_result_as_json_is_the_result_of_the_wire(run: Run, server: str) -> None:
    found = json.loads(run("call", "echo", "--arg", "text=x", "--json", server).out)
    assert found["content"] == [{"type": "text", "text": "x"}]


def test_a_command_is_a_target_with_its_own_options(run: Run, server: str) -> None:
    ran = run(
        "call",
        "echo",
        "--arg",
        "text=x",
        "--",
        sys.executable,
        "-m",
        "mcpcore",
        "run",
        server,
        "--revisions",
        "2025-06-18",
    )
    assert ran.out == "x\n"


def test_text_and_bytes_of_a_resource_go_out_as_they_are(run: Run, server: str) -> None:
    assert run("read", "shown://text", server).out == "some text\n"
    assert run("read", "shown://me/page", server).out == "page of me\n"
    command = [sys.executable, "-m", "mcpcore", "read", "shown://bytes", server]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True).stdout == b"\x00\x01\xff"


def test_a_prompt_is_shown_by_role(run: Run, server: str) -> None:
    assert run("prompt", "greet", "--arg", "name=Ada", server).out == "user:\n  Greet Ada in a plain tone\n"
    found = json.loads(run("prompt", "greet", "--arg", "name=Ada", "--json", server).out)
    assert found["messages"][0]["content"]["text"] == "Greet Ada in a plain tone"


def test_completions_come_one_a_line(run: Run, server: str) -> None:
    assert run("complete", "greet", "tone", "--value", "p", server).out == "plain\npompous\n"
    assert json.loads(run("complete", "greet", "tone", "--json", server).out)["values"] == ["plain", "pompous", "warm"]


@pytest.mark.parametrize("era", ERAS)
def test_log_messages_go_to_stderr_and_details_where_they_are_asked_for(run: Run, server: str, era: str) -> None:
    ran = run("call", "talk", "--revision", ERAS[era], server)
    assert ran.out == "done\n" and "[info] a log message" in ran.err and "detail" not in ran.err
    assert "[debug] a detail" in run("call", "talk", "--verbose", "--revision", ERAS[era], server).err


def test_verbose_shows_what_the_server_writes_to_stderr(run: Run, server: str) -> None:
    assert "heard on stderr" in run("call", "talk", "--verbose", server).err
    assert "heard on stderr" not in run("call", "talk", server).err


def test_where_nobody_is_at_a_terminal_questions_are_declined(run: Run, server: str) -> None:
    ran = run("call", "ask", server)
    assert ran.out.startswith("decline")
    assert "The server asks: Who are you?" in ran.err


def test_a_call_ends_at_its_limit_of_time(run: Run, server: str) -> None:
    ran = run("call", "wait_for_ever", "--timeout", "0.2", server)
    assert ran.status == 3 and "0.2 seconds" in ran.err


def test_a_server_that_inherits_the_environment_sees_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import os\nfrom mcpcore import Server\nserver = Server(os.environ['SECRET_NAME'])\n"
    (tmp_path / "named.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("SECRET_NAME", "inherited")
    assert run("list", str(tmp_path / "named.py")).out.startswith("inherited ")


def test_control_characters_reach_a_file_but_no_terminal(
    run: Run, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("call", "escape", server).out == "\x1b[31mred\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("call", "escape", server).out == "\\x1b[31mred\n"


TARGETS = {
    "several words": (["python", "x.py"], ["python", "x.py"]),
    "one word": (["my-server --fast"], "my-server --fast"),
    "a file": (["x.py"], [sys.executable, "-m", "mcpcore", "run", "x.py"]),
    "a server in a file": (["x.py:two"], [sys.executable, "-m", "mcpcore", "run", "x.py:two"]),
}


@pytest.mark.parametrize("case", TARGETS)
def test_a_lone_python_file_is_served(case: str) -> None:
    words, target = TARGETS[case]
    assert target_of(words) == target


@pytest.mark.parametrize("words", [["--arg", "a=1", "--arg", "a=2"], ["--args", "[1]"], ["--args", "{"]])
def test_arguments_that_cannot_be_meant_are_refused_before_a_server_starts(words: list[str], run: Run) -> None:
    ran = run("call", "echo", *words, "no-such-command-here")
    assert ran.status == 2 and ran.err.startswith("mcpcore: --arg")
