"""A sink for stderr that gives way instead of blocking."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpcore.transports import lossy_stderr
from mcpcore.transports.lossy_stderr import LossySink
from tests.transports.programs import start
from tests.transports.recording import WAIT

LINE = b"%09d\n"
MUCH = 50_000  # lines of ten bytes: more than a pipe, a socket and the sink hold together


def _write_lines(sink: LossySink) -> None:
    for number in range(MUCH):
        sink.write(LINE % number)


def _read_all(sink: LossySink, read: Callable[[int], bytes], close_writer: Callable[[], None]) -> bytes:
    """What the reader of the other end gets, once it reads at last."""
    parts: list[bytes] = []

    def drain() -> None:
        while part := read(65536):
            parts.append(part)

    reader = threading.Thread(target=drain)
    reader.start()
    assert sink.flush(WAIT)
    sink.close()
    close_writer()
    reader.join()
    return b"".join(parts)


def _check(received: bytes, limit: int) -> None:
    """The oldest lines that still found room, the newest that the sink could keep, and a true word about the rest."""
    notices = re.findall(rb"\[(\d+) bytes of stderr were dropped: nobody read them\]\n", received)
    lines = re.sub(rb"\[.*\]\n", b"", received)
    assert notices
    assert len(lines) + sum(map(int, notices)) == 10 * MUCH
    assert lines.startswith(LINE % 0)
    newest = b"".join(LINE % number for number in range(MUCH - limit // 10, MUCH))
    assert lines.endswith(newest)


def test_a_pipe_that_nobody_reads_gives_up_the_oldest_bytes_and_says_so() -> None:
    read, write = os.pipe()
    sink = LossySink(write, limit=20_000)
    _write_lines(sink)
    _check(_read_all(sink, lambda size: os.read(read, size), lambda: os.close(write)), 20_000)
    os.close(read)


def test_a_socket_that_nobody_reads_does_the_same() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        sink = LossySink(ours.fileno(), limit=20_000)
        _write_lines(sink)
        _check(_read_all(sink, theirs.recv, ours.close), 20_000)


def test_without_a_way_to_send_at_once_the_thread_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lossy_stderr, "_immediate_sender", lambda fd: (None, lambda: None))
    read, write = os.pipe()
    sink = LossySink(write, limit=20_000)
    sink.write(b"first\n")
    assert sink.flush(5)
    assert os.read(read, 100) == b"first\n"
    _write_lines(sink)
    assert not sink.flush(0)
    received = _read_all(sink, lambda size: os.read(read, size), lambda: os.close(write))
    assert received.endswith(LINE % (MUCH - 1))
    assert b"were dropped" in received
    os.close(read)


def test_a_piece_above_the_limit_keeps_its_end() -> None:
    read, write = os.pipe()
    sink = LossySink(write, limit=1000)
    sink.write(b"x" * 500_000 + b"the end")
    received = _read_all(sink, lambda size: os.read(read, size), lambda: os.close(write))
    assert received.endswith(b"the end")
    assert len(received) < 100_000
    os.close(read)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a pipe cannot be opened a second time")
def test_while_somebody_reads_bytes_are_sent_before_write_returns() -> None:
    read, write = os.pipe()
    sink = LossySink(write)
    sink.write(b"now")
    os.set_blocking(read, False)
    assert os.read(read, 10) == b"now"
    assert os.get_blocking(write), "the open file that others share must stay as it was"
    sink.close()
    os.close(read)
    os.close(write)


def test_a_regular_file_gets_everything_in_order(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        os.write(file.fileno(), b"before\n")
        sink = LossySink(file.fileno(), limit=100)
        _write_lines(sink)
        sink.close()
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[0] == b"before"
    assert len(lines) == MUCH + 1


def test_a_reader_that_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    sink = LossySink(write)
    os.close(read)
    sink.write(b"nobody")
    assert sink.flush(5)
    sink.close()
    os.close(write)


FORK = """
import os, threading, warnings
from mcpcore.transports.lossy_stderr import LossySink
from tests.transports.programs import start
from tests.transports.recording import WAIT

warnings.simplefilter("ignore")
sink = LossySink(2, limit=20_000)
for number in range(50_000):
    sink.write(b"parent %09d\\n" % number)
sink._changed.acquire()  # what another thread may hold at that moment
if os.fork():
    os.waitpid(-1, 0)
    os._exit(0)
print("forked", flush=True)

def write():
    sink.write(b"child\\n")
    sink.flush(20)

thread = threading.Thread(target=write)
thread.start()
thread.join()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_can_write_although_its_parent_is_stuck() -> None:
    with start(FORK) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"forked\n"
        received = b""
        while not received.endswith(b"child\n"):
            part = os.read(process.stderr.fileno(), 65536)
            assert part, "the child ended without a word"
            received += part
