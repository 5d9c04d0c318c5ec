"""The standard streams of real processes: only the channel writes to stdout, only the channel reads stdin."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.transports.programs import ENV, start
from tests.transports.recording import WAIT

SERVE = "from tests.transports.programs import serve\n"
PROMPT = 1.0  # seconds in which a server ends


def talk(program: str, *lines: bytes) -> tuple[bytes, bytes]:
    """Send the lines, end the input: what came on stdout and on stderr. The program must end with status 0."""
    with start(program) as process:
        output, stray = process.communicate(b"".join(line + b"\n" for line in lines), timeout=WAIT)
    assert process.returncode == 0, stray.decode()
    return output, stray


# -- nothing but the channel reaches the wire --------------------------------------------------------------------------

STRAY = {
    "print": "print('stray')",
    "a write without a newline": "sys.stdout.write('stray')",
    "the binary stream": "sys.stdout.buffer.write(b'stray\\n')",
    "the original stream": "sys.__stdout__.write('stray\\n')",
    "the descriptor": "os.write(1, b'stray\\n')",
    "a child process": "subprocess.run([sys.executable, '-c', 'print(\"stray\")'], check=True)",
    "a shell": "os.system('echo stray')",
    "a C library": "ctypes.CDLL(None).puts(b'stray')",
    "a logger": "logging.getLogger().warning('stray')",
    "a forked process": "fork_and_print()",
}
STRAY_PROGRAM = """
import ctypes, logging, os, subprocess, sys
logging.basicConfig(stream=sys.stdout)  # before the claim: it keeps the stream object

def fork_and_print():
    child = multiprocessing.get_context("fork").Process(target=print, args=("stray",))
    child.start()
    child.join()

def answer(line):
    exec(line.decode())
    return b"clean"
"""


@pytest.mark.parametrize("code", STRAY.values(), ids=STRAY)
def test_stray_output_lands_on_stderr(code: str) -> None:
    program = "import multiprocessing\n" + SERVE + STRAY_PROGRAM + "serve(answer)"
    output, stray = talk(program, code.encode(), b"pass")
    assert output == b"clean\nclean\n"
    assert b"stray" in stray


def test_text_that_was_printed_before_the_claim_and_still_buffered_is_kept_off_the_wire() -> None:
    output, stray = talk("print('early')\n" + SERVE + "serve()", b"x")
    assert output == b"x\n"
    assert b"early\n" in stray


def test_stray_output_is_discarded_where_stderr_is_the_wire() -> None:
    program = SERVE + STRAY_PROGRAM + "serve(answer)"
    codes = [STRAY[name].encode() for name in ("print", "the descriptor", "a shell", "a logger")]
    with start(program, stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate(b"\n".join(codes) + b"\n", timeout=WAIT)
    assert output == b"clean\n" * len(codes)


def test_a_child_process_that_reads_stdin_finds_it_empty() -> None:
    program = SERVE + (
        "import subprocess, sys\n"
        "read = [sys.executable, '-c', 'import sys; print(len(sys.stdin.read()))']\n"
        "serve(lambda line: subprocess.run(read, stdout=subprocess.PIPE, check=True).stdout.strip())"
    )
    assert talk(program, b"one", b"two", b"three")[0] == b"0\n0\n0\n"


def test_a_child_process_inherits_no_descriptor_of_the_wire() -> None:
    program = SERVE + (
        "import os, subprocess\n"
        "wire = {os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1)}\n"
        "def answer(line):\n"
        "    seen = subprocess.run(['ls', '-l', '/proc/self/fd'], stdout=subprocess.PIPE, text=True, close_fds=False)\n"
        "    return b'leak' if any(end in seen.stdout for end in wire) else b'tight'\n"
        "serve(answer)"
    )
    if sys.platform != "linux":
        pytest.skip("looks into /proc")
    assert talk(program, b"x")[0] == b"tight\n"


# -- any amount, any cut, any kind of file -----------------------------------------------------------------------------


def test_a_line_of_ten_megabytes_passes_both_ways() -> None:
    line = os.urandom(5_000_000).hex().encode()
    assert talk(SERVE + "serve()", line)[0] == line + b"\n"


def test_single_bytes_make_a_line() -> None:
    with start(SERVE + "serve()", bufsize=0) as process:
        assert process.stdin and process.stdout
        for octet in b"hello\n" * 100:
            process.stdin.write(bytes([octet]))
        process.stdin.close()
        assert process.stdout.read() == b"hello\n" * 100
        assert process.wait(WAIT) == 0


def test_regular_files_can_be_input_and_output(tmp_path: Path) -> None:
    frames = b"".join(b"frame %d\n" % number for number in range(50_000))
    (tmp_path / "in").write_bytes(frames)
    with (
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as target,
        start(SERVE + "serve()", stdin=source, stdout=target) as process,
    ):
        assert process.wait(WAIT) == 0
    assert (tmp_path / "out").read_bytes() == frames


def test_a_terminal_can_be_input_output_and_stderr() -> None:
    ours, theirs = pty.openpty()
    with start(SERVE + "serve(lambda line: line.upper())", stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.write(ours, b"hello\n")
        received = b""
        while b"HELLO" not in received:
            assert select.select([ours], [], [], WAIT)[0]
            received += os.read(ours, 1000)
        assert os.get_blocking(theirs)
        os.write(ours, b"\x04")  # end of input
        assert process.wait(WAIT) == 0
    os.close(theirs)
    os.close(ours)


def test_sockets_can_be_input_and_output() -> None:
    (ours_in, theirs_in), (ours_out, theirs_out) = socket.socketpair(), socket.socketpair()
    with ours_in, ours_out, start(SERVE + "serve()", stdin=theirs_in, stdout=theirs_out) as process:
        theirs_in.close()
        theirs_out.close()
        ours_out.shutdown(socket.SHUT_WR)
        ours_in.sendall(b"hello\n")
        assert ours_out.recv(100) == b"hello\n"
        ours_in.shutdown(socket.SHUT_WR)
        assert process.wait(WAIT) == 0


def test_the_blocking_mode_of_an_inherited_pipe_is_given_back() -> None:
    (stdin, feed), (drain, stdout) = os.pipe(), os.pipe()
    with start(SERVE + "serve()", stdin=stdin, stdout=stdout) as process:
        os.write(feed, b"x\n")
        assert os.read(drain, 10) == b"x\n"
        assert not os.get_blocking(stdout)
        os.close(feed)
        assert process.wait(WAIT) == 0
    assert os.get_blocking(stdin)
    assert os.get_blocking(stdout)
    for fd in (stdin, drain, stdout):
        os.close(fd)


# -- closed streams, the claim itself ----------------------------------------------------------------------------------


def run_in_shell(redirections: str, program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, program],
        input=b"x\n",
        capture_output=True,
        env=ENV,
        timeout=WAIT,
        check=False,
    )


def test_a_closed_stdin_reads_as_empty() -> None:
    run = run_in_shell("<&-", SERVE + "serve()")
    assert (run.returncode, run.stdout) == (0, b"")


def test_a_closed_stderr_swallows_stray_output() -> None:
    program = SERVE + STRAY_PROGRAM + 'serve(lambda line: answer(b\'print(1); os.write(1, b"2"); os.write(2, b"3")\'))'
    run = run_in_shell("2>&-", program)
    assert (run.returncode, run.stdout) == (0, b"clean\n")


def test_a_closed_stdout_is_refused_with_the_reason() -> None:
    run = run_in_shell(">&-", SERVE + "serve()")
    assert run.returncode == 1
    assert b"UsageError: standard output is closed" in run.stderr


def test_a_second_claim_is_refused_until_the_first_is_released() -> None:
    program = """
import os, sys
from mcpcore.errors import UsageError
from mcpcore.transports.stdio import claim_stdio

print("before")
claim = claim_stdio()
print("hidden")
try:
    claim_stdio()
except UsageError as error:
    os.write(claim.stdout_fd, str(error).encode() + b"\\n")
claim.release()
claim.release()
os.close(claim.stdin_fd)
os.close(claim.stdout_fd)
print("after", sys.stdin.read(), flush=True)
again = claim_stdio()
print("hidden")
again.release()
os.write(1, b"end\\n")
"""
    with start(program) as process:
        output, stray = process.communicate(b"input", timeout=WAIT)
    lines = output.decode().splitlines()
    assert "release() the first claim" in lines[0]
    assert lines[1:] == ["after input", "end"]
    assert stray.split() == [b"before", b"hidden", b"hidden"]


# -- stderr ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_parent_that_never_reads_stderr_does_not_stop_the_server(kind: str) -> None:
    """1,000 calls with debug logging, half a megabyte in all; then the crash report of the newest lines is there."""
    program = SERVE + (
        "import logging, asyncio\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "def answer(line):\n"
        "    logging.debug('a call came in: %s', 'x' * 500)\n"
        "    print('called')\n"
        "    return line\n"
        "serve(answer)"
    )
    if kind == "pipe":
        unread, stderr = os.pipe()
    elif kind == "terminal":
        unread, stderr = pty.openpty()
    else:
        unread, stderr = (end.detach() for end in socket.socketpair())
    with start(program, stderr=stderr, bufsize=0) as process:
        assert process.stdin and process.stdout
        for number in range(1000):
            process.stdin.write(b"%d\n" % number)
            assert select.select([process.stdout], [], [], WAIT)[0], f"call {number} was not answered"
            assert process.stdout.read(10) == b"%d\n" % number
        begin = time.monotonic()
        process.stdin.close()
        assert process.wait(WAIT) == 0
        assert time.monotonic() - begin < PROMPT
    os.close(stderr)
    os.close(unread)


LAST_WORDS = {
    "an exception": ("raise RuntimeError('the last words')", b"RuntimeError: the last words"),
    "a print and an abort": ("print('the last words'); os.abort()", b"the last words"),
    "a log line and a kill": (
        "logging.getLogger().error('the last words'); os.kill(os.getpid(), 9)",
        b"the last words",
    ),
    "a fault": ("faulthandler.enable(); faulthandler._sigabrt()", b"Fatal Python error: Aborted"),
}


@pytest.mark.parametrize(("code", "expected"), LAST_WORDS.values(), ids=LAST_WORDS)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread writes stderr, and dies with the process")
def test_the_last_words_of_a_crash_come_out(code: str, expected: bytes) -> None:
    program = (
        "import faulthandler, logging, os\nfrom mcpcore.transports.stdio import claim_stdio\nclaim_stdio()\n" + code
    )
    with start(program) as process:
        _, stderr = process.communicate(timeout=WAIT)
    assert process.returncode != 0
    assert expected in stderr


def test_the_last_words_come_out_where_a_thread_writes_stderr() -> None:
    program = (
        "from mcpcore.transports import lossy_stderr\n"
        "from mcpcore.transports.stdio import claim_stdio\n"
        "lossy_stderr._immediate_sender = lambda fd: (None, lambda: None)\n"
        "claim_stdio()\n"
        "raise RuntimeError('the last words')"
    )
    with start(program) as process:
        _, stderr = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert stderr.endswith(b"RuntimeError: the last words\n")


def test_a_crash_does_not_wait_for_a_parent_that_never_reads() -> None:
    program = (
        "import sys\n"
        "from mcpcore.transports.stdio import claim_stdio\n"
        "claim_stdio()\n"
        "for _ in range(1000): print('x' * 1000, file=sys.stderr)\n"
        "raise RuntimeError('the last words')"
    )
    with start(program) as process:
        assert process.wait(WAIT) == 1


def test_stderr_keeps_its_order_across_threads_and_the_descriptor() -> None:
    program = SERVE + (
        "import os\n"
        "def answer(line):\n"
        "    print('a', end=' ', flush=True)\n"
        "    os.write(2, b'b ')\n"
        "    print('c')\n"
        "    return line\n"
        "serve(answer)"
    )
    if sys.platform != "linux":
        pytest.skip("elsewhere a thread writes what was printed")
    assert talk(program, *[b"x"] * 50)[1] == b"a b c\n" * 50


# -- the end -----------------------------------------------------------------------------------------------------------


def start_and_greet(program: str, **how: object) -> subprocess.Popen[bytes]:
    """Started, and known to serve, so that the clock measures the end and not the start."""
    process = start(program, bufsize=0, **how)
    assert process.stdin and process.stdout
    process.stdin.write(b"hello\n")
    assert process.stdout.read(6) == b"hello\n"
    return process


def ends_promptly(process: subprocess.Popen[bytes], expected: int = 0) -> None:
    begin = time.monotonic()
    status = process.wait(WAIT)
    took = time.monotonic() - begin
    assert process.stderr
    assert status == expected, process.stderr.read().decode()
    assert took < PROMPT


OBSTACLES = {
    "nothing": "",
    "a daemon thread": "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()",
    "a thread": "threading.Thread(target=time.sleep, args=(3600,)).start()",
    "an executor": "concurrent.futures.ThreadPoolExecutor().submit(time.sleep, 3600)",
    "an exit function": "atexit.register(time.sleep, 3600)",
    "a failing exit function": "atexit.register(lambda: 1 / 0)",
    "a timer": "threading.Timer(3600, print).start()",
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
@pytest.mark.parametrize("how", ["the end of the input", "SIGTERM", "SIGINT"])
def test_a_server_ends_promptly_whatever_its_threads_do(obstacle: str, how: str) -> None:
    program = SERVE + "import atexit, concurrent.futures, threading, time\n" + obstacle + "\nserve()"
    with start_and_greet(program) as process:
        assert process.stdin
        if how == "the end of the input":
            process.stdin.close()
        elif how == "SIGTERM":
            process.terminate()
        else:
            process.send_signal(2)
        ends_promptly(process)


def test_exit_functions_run_and_buffered_output_is_flushed() -> None:
    program = SERVE + "import atexit, sys\natexit.register(sys.stdout.write, 'tidied')\nserve()"
    assert talk(program, b"x")[1] == b"tidied"


def test_without_input_a_server_ends_at_once() -> None:
    def seconds(program: str) -> float:
        begin = time.monotonic()
        with start(program, stdin=subprocess.DEVNULL) as process:
            assert process.communicate(timeout=WAIT) == (b"", b"")
        assert process.returncode == 0
        return time.monotonic() - begin

    assert seconds(SERVE + "serve()") < seconds(SERVE) + PROMPT


def test_a_second_interrupt_ends_a_server_whose_loop_is_stuck() -> None:
    program = SERVE + (
        "import sys, time\n"
        "def answer(line):\n"
        "    if line == b'sleep':\n"
        "        print('asleep')\n"
        "        time.sleep(3600)\n"
        "    return line\n"
        "serve(answer)"
    )
    with start_and_greet(program) as process:
        assert process.stdin and process.stderr
        process.stdin.write(b"sleep\n")
        assert process.stderr.readline() == b"asleep\n"
        deadline = time.monotonic() + WAIT
        while process.poll() is None:  # two signals in quick succession may arrive as one
            assert time.monotonic() < deadline
            process.send_signal(2)
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        assert process.returncode == 130


def test_one_sigterm_ends_a_server_whose_loop_is_stuck() -> None:
    program = SERVE + (
        "import time\n"
        "def answer(line):\n"
        "    if line == b'sleep':\n"
        "        print('asleep')\n"
        "        time.sleep(3600)\n"
        "    return line\n"
        "serve(answer)"
    )
    with start_and_greet(program) as process:
        assert process.stdin and process.stderr
        process.stdin.write(b"sleep\n")
        assert process.stderr.readline() == b"asleep\n"
        process.terminate()
        assert process.wait(WAIT) == 128 + 15


def test_stop_signals_give_back_the_former_handlers_and_stay_away_from_other_threads() -> None:
    program = """
import asyncio, signal, threading
from mcpcore.transports.process_exit import install_stop_signals

former = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

async def main():
    loop = asyncio.get_running_loop()
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    heard = asyncio.Event()
    numbers = []
    remove = install_stop_signals(loop, lambda number: (numbers.append(number), heard.set()))
    signal.raise_signal(signal.SIGTERM)
    await heard.wait()
    assert numbers == [signal.SIGTERM], numbers
    remove()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before

asyncio.run(main())
assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == former

async def elsewhere():
    install_stop_signals(asyncio.get_running_loop(), print)()

thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
thread.start()
thread.join()
assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == former
print("good")
"""
    with start(program) as process:
        assert process.communicate(timeout=WAIT) == (b"good\n", b"")


def test_a_server_ends_when_its_parent_is_killed() -> None:
    """The parent holds the only writing end of the server's input; ``alive`` is held by the server alone."""
    server = SERVE + "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\nserve()"
    parent = f"""
import os, subprocess, sys, time
alive = int(sys.argv[1])
server = subprocess.Popen([sys.executable, "-c", {server!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          pass_fds=[alive], bufsize=0)
os.close(alive)
server.stdin.write(b"hello\\n")
print(server.stdout.readline().decode(), flush=True)
time.sleep(3600)
"""
    watch, alive = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", parent, str(alive)], stdout=subprocess.PIPE, env=ENV, pass_fds=[alive]
    ) as process:
        os.close(alive)
        assert process.stdout
        assert process.stdout.readline() == b"hello\n"
        begin = time.monotonic()
        process.kill()
        assert select.select([watch], [], [], WAIT)[0]
        assert time.monotonic() - begin < PROMPT
        assert os.read(watch, 1) == b""
    os.close(watch)


def test_a_server_that_answers_and_ends_loses_no_byte_to_a_slow_reader() -> None:
    line = b"z" * 1_000_000
    with start(SERVE + "serve(lambda line: line * 3)") as process:
        assert process.stdin and process.stdout
        feeder = threading.Thread(target=lambda: (process.stdin.write(line + b"\n"), process.stdin.close()))  # type: ignore[union-attr]
        feeder.start()
        feeder.join(WAIT)
        assert process.stdout.read() == line * 3 + b"\n"
        assert process.wait(WAIT) == 0
