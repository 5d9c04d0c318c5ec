"""The demo as a process: it tells both eras, ends by itself, leaves no trace, and can be interrupted."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.examples.wire import EXAMPLES, ROOT, environment

DEMO = str(EXAMPLES / "demo.py")
WIDTH = 100


def snapshot() -> dict[str, bytes]:
    """What stands in examples/, which the demo copies and deletes from."""
    files = (path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() for path in files}


def test_it_tells_the_story_in_both_eras_and_changes_nothing(tmp_path: Path) -> None:
    before = snapshot()
    started = time.monotonic()
    env = {**environment(), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 15
    assert "\x1b" not in done.stdout and max(map(len, done.stdout.splitlines())) <= WIDTH
    legacy, modern, summary = done.stdout.split("━━ ")[1:]
    for era in (legacy, modern):
        assert "notifications/cancelled" in era and "it is never answered" in era
        assert "there is no text file '../../etc/passwd' here" in era and "RpcError: Unknown tool: serach" in era
        assert "? Move hello_client.py to the trash?" in era and "is now .trash/" in era
        assert "████████" in era and "ResourceUpdated(uri='docs://files/hello_server.py')" in era
    assert "→ #1 initialize" in legacy and "← #1 elicitation/create" in legacy and "_meta" not in legacy
    assert "→ #1 server/discover" in modern and "input_required  requestState" in modern
    assert summary.count("µs") + summary.count(" ms") >= 8
    assert snapshot() == before and list(tmp_path.iterdir()) == []


def begin(**variables: str) -> tuple[subprocess.Popen[bytes], int]:
    """The demo on a terminal, in a process group of its own."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in environment().items() if name != "NO_COLOR"} | {"TERM": "xterm"} | variables
    process = subprocess.Popen(
        [sys.executable, DEMO], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=ROOT, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, wanted: bytes) -> bytes:
    text = b""
    while wanted not in text:
        text += os.read(terminal, 65536)
    return text


def interrupt(process: subprocess.Popen[bytes], terminal: int) -> tuple[int, bytes]:
    """What Ctrl-C does: every process of the group gets the signal. The status, and what was printed after it."""
    os.killpg(process.pid, signal.SIGINT)
    rest = b""
    try:
        while chunk := os.read(terminal, 65536):
            rest += chunk
    except OSError:  # the other end of a terminal is gone
        pass
    os.close(terminal)
    return process.wait(10), rest


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_unless_it_wants_none_and_ctrl_c_is_quiet(no_color: str) -> None:
    process, terminal = begin(NO_COLOR=no_color)
    try:
        text = read_until(terminal, b"server/discover")
        assert (b"\x1b[36m" in text) is not bool(no_color)
        status, rest = interrupt(process, terminal)
        assert status == 130
        assert b"Traceback" not in rest and b"Error" not in rest.replace(b"RpcError", b"")
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_it_ends_quietly_when_nobody_reads_on() -> None:
    with subprocess.Popen(
        [sys.executable, DEMO], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b"mcpcore")
        process.stdout.close()
        assert process.stderr.read() == b""
