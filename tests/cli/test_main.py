"""The command as a whole: help, versions, statuses, quiet ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcpcore import __version__
from mcpcore.cli.arguments import COMMANDS, parse
from mcpcore.cli.main import HELP
from mcpcore.errors import UsageError

ROOT = Path(__file__).parents[2]
Run = Callable[..., Any]


def test_the_version_is_told_without_loading_anything_else(spawn: Run) -> None:
    assert spawn("--version").out == f"mcpcore {__version__}\n"
    code = "import sys; from mcpcore.cli.main import main; main(['--version']); "
    code += "print(sorted(m for m in sys.modules if m.split('.')[0] in ('asyncio', 'argparse', 'msgspec', 'orjson')))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.endswith("[]\n")


def test_the_help_shows_every_command_and_examples(run: Run) -> None:
    ran = run("--help")
    assert ran.status == 0 and ran.out == HELP
    for command in COMMANDS:
        assert f"\n  {command} " in ran.out
    assert "examples:" in ran.out and "exit status:" in ran.out


def test_without_a_command_the_help_is_an_error(run: Run) -> None:
    ran = run()
    assert (ran.status, ran.out, ran.err) == (2, "", HELP)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code == 0


USAGE = {
    "an unknown command": (["dance"], "there is no command 'dance'; the commands are run, list"),
    "no target": (["list"], "which server"),
    "no target after the dashes": (["call", "x", "--"], "which server"),
    "an unknown option": (["list", "--loud=1", "x"], "unrecognized arguments: --loud=1; mcpcore list --help"),
    "an option without its value": (["list", "--revision"], "expected one argument"),
    "a timeout that is none": (["list", "--timeout", "0", "x"], "invalid _seconds value"),
    "a missing tool": (["call"], "the following arguments are required: TOOL"),
    "run with a target": (["run", "x.py", "y"], "run serves one server"),
    "an address of a transport that is not there": (["list", "ws://localhost/mcp"], "not available yet"),
    "an unknown revision": (["list", "--revision", "2020-01-01", "x"], "2020-01-01"),
    "an argument without a value": (["prompt", "x", "--arg", "y", "true"], "NAME=VALUE"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_status_2_and_one_line_that_helps(case: str, run: Run) -> None:
    words, complaint = USAGE[case]
    ran = run(*words)
    assert ran.status == 2, ran
    assert ran.out == "" and complaint in ran.err
    assert ran.err.startswith("mcpcore: ") and ran.err.count("\n") == 1


SPLITS = {
    "after two dashes": (["list", "--json", "--", "a", "--json"], ["a", "--json"]),
    "the last arguments": (["list", "--json", "a", "-b", "c"], ["a", "-b", "c"]),
    "behind the command's own words": (["call", "t", "--arg", "a=1", "python", "s.py"], ["python", "s.py"]),
    "an option's value is no target": (["list", "--timeout", "5", "a"], ["a"]),
    "a value after an equals sign": (["list", "--timeout=5", "a"], ["a"]),
    "two own words": (["complete", "ref", "arg", "a"], ["a"]),
    "dashes of its own stay its own": (["list", "--", "a", "--", "b"], ["a", "--", "b"]),
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_target_begins_where_the_commands_own_words_end(case: str) -> None:
    words, target = SPLITS[case]
    assert parse(words)[1] == target


def test_options_after_the_target_belong_to_the_target() -> None:
    parsed, target = parse(["call", "t", "--arg", "a=1", "--json", "python", "s.py", "--timeout", "x"])
    assert parsed.json and parsed.arg == ["a=1"] and parsed.timeout is None
    assert target == ["python", "s.py", "--timeout", "x"]


def test_a_server_that_does_not_start_is_status_3_and_its_last_words_are_shown(run: Run) -> None:
    ran = run("list", "--", sys.executable, "-c", "import sys; sys.exit('no licence')")
    assert ran.status == 3 and ran.out == ""
    assert "no licence" in ran.err


def test_a_command_that_does_not_exist_is_status_3(run: Run) -> None:
    ran = run("list", "--", "no-such-command-here")
    assert ran.status == 3 and "no-such-command-here" in ran.err


def test_errors_are_json_on_stderr_where_json_is_asked_for(run: Run) -> None:
    ran = run("list", "--json", "--", "no-such-command-here")
    error = json.loads(ran.err)["error"]
    assert ran.out == "" and error["type"] == "ConnectFailed" and error["status"] == ran.status == 3
    ran = run("dance", "--json")
    assert json.loads(ran.err)["error"]["type"] == "UsageError"


def test_a_program_error_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(words: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("mcpcore.cli.arguments.parse", fail)
    with pytest.raises(ZeroDivisionError):
        run("list", "x")


def test_usage_errors_are_the_projects_own() -> None:
    with pytest.raises(UsageError):
        parse(["list"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_quietly_with_130_and_leaves_no_server(server: str) -> None:
    command = [sys.executable, "-m", "mcpcore", "call", "wait_for_ever", "--verbose", server]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "waiting" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()  # to its end: the server holds the other copy of this pipe
        assert process.wait() == 130
    assert "Traceback" not in rest


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_goes_away_is_no_reason_to_complain(server: str) -> None:
    command = [sys.executable, "-m", "mcpcore", "call", "echo", "--arg", "text=x", "--arg", "times=200000", server]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    read, write = os.pipe()
    os.close(read)
    try:
        ran = subprocess.run(command, cwd=ROOT, env=env, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert ran.returncode == 141
    assert "Traceback" not in ran.stderr and "Exception ignored" not in ran.stderr
