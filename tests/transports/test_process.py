"""Server processes as a client sees them: started, talked to, closed, killed, and never left behind."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mcpcore.errors import ConnectFailed, UsageError
from mcpcore.transports.process import ProcessChannel, spawn
from mcpcore.transports.process_env import child_environment, split_command
from tests.transports.recording import WAIT, Recorder

ECHO = "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.buffer.flush()"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
FOREVER = "import time\ntime.sleep(3600)"
LOST_WITHIN = 1.0  # seconds in which a dead server is noticed


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 2 * WAIT))


async def start(protocol: Recorder, program: str, *arguments: str, **how: Any) -> ProcessChannel:
    return await spawn(protocol, [sys.executable, "-c", program, *arguments], **how)


class Alive:
    """A named pipe that the processes under test hold open: it is at its end once all of them are gone."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        os.mkfifo(path)
        self._read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    @property
    def opened(self) -> str:
        """Python code that opens it, for as long as its process lives."""
        return f"import os\nalive = os.open({self.path!r}, os.O_WRONLY)\n"

    async def all_gone(self) -> None:
        os.set_blocking(self._read, True)
        try:
            assert await asyncio.wait_for(asyncio.to_thread(os.read, self._read, 1), WAIT) == b""
        finally:
            os.close(self._read)


@pytest.fixture
def alive(tmp_path: Path) -> Alive:
    return Alive(tmp_path / "alive")


# -- talking -----------------------------------------------------------------------------------------------------------


def test_a_line_goes_there_and_back_and_close_ends_the_process() -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, ECHO)
        assert protocol.calls == ["made"]
        assert channel.returncode is None
        assert channel.exit_description() == "is still running"
        channel.write(b"hello\n")
        await protocol.until(lambda: protocol.data == b"hello\n")
        begin = time.monotonic()
        await channel.aclose()
        assert time.monotonic() - begin < LOST_WITHIN
        assert protocol.calls == ["made", "lost"]
        assert protocol.error is None
        assert channel.returncode == 0
        assert channel.exit_description() == "exited with status 0"

    run(story)


def test_ten_megabytes_pass_both_ways() -> None:
    line = os.urandom(5_000_000).hex().encode() + b"\n"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, ECHO)
        channel.write(line)
        assert protocol.calls == ["made", "pause"]
        await protocol.until(lambda: len(protocol.data) == len(line))
        assert protocol.data == line
        await protocol.told("resume")
        await channel.aclose()

    run(story)


def test_a_server_that_answers_and_exits_loses_no_byte() -> None:
    program = "import sys\nsys.stdout.write('a' * 3_000_000)"

    async def story() -> None:
        protocol = Recorder()
        await start(protocol, program)
        await protocol.told("lost")
        assert len(protocol.data) == 3_000_000
        assert protocol.calls == ["made", "eof", "lost"]

    run(story)


def test_a_paused_reader_gets_the_rest_of_a_dead_servers_answer() -> None:
    program = "import sys\nsys.stdout.write('a' * 50_000)"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program)
        channel.pause_reading()
        while channel.returncode is None:
            await asyncio.to_thread(channel._popen.wait)
        await asyncio.sleep(0.6)  # longer than the grace for a server that went away
        assert protocol.calls == ["made"]
        channel.resume_reading()
        await protocol.told("lost")
        assert len(protocol.data) == 50_000

    run(story)


def test_a_command_may_be_one_string() -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await spawn(protocol, f"{sys.executable} -c 'print(\"two words\")'")
        await protocol.told("lost")
        assert protocol.data == b"two words\n"
        assert channel.endpoint == f"{sys.executable} -c 'print(\"two words\")'"

    run(story)


def test_a_long_command_is_named_shortly() -> None:
    async def story() -> None:
        channel = await start(Recorder(), ECHO, "x" * 10_000)
        assert channel.endpoint.startswith(sys.executable)
        assert len(channel.endpoint) == 200
        await channel.aclose()

    run(story)


def test_the_loop_may_run_in_any_thread() -> None:
    failures: list[BaseException] = []

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, ECHO)
        channel.write(b"hello\n")
        await protocol.until(lambda: protocol.data == b"hello\n")
        await channel.aclose()
        crashed = Recorder()
        await start(crashed, "import sys; sys.exit(3)")
        await crashed.told("lost")
        assert str(crashed.error) == "the server process exited with status 3"

    def in_thread() -> None:
        try:
            run(story)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert not failures


# -- stderr ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", ["'e' * 99 + '\\n'", "'e' * 100"], ids=["lines", "no newline"])
def test_ten_megabytes_of_stderr_come_before_the_answer(piece: str) -> None:
    program = f"import sys\nsys.stderr.write(({piece}) * 100_000 + 'the end')\nsys.stderr.flush()\n{ECHO}"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, stderr_limit=1000)
        channel.write(b"hello\n")
        await protocol.until(lambda: protocol.data == b"hello\n")
        await channel.aclose()
        tail = channel.stderr_tail()
        assert tail.endswith("eethe end") or tail.endswith("ee\nthe end")
        assert len(tail) == 1000

    run(story)


def test_the_last_words_of_a_crash_are_there_when_the_connection_is_lost() -> None:
    tails: list[str] = []

    class Reporter(Recorder):
        def connection_lost(self, exc: Exception | None) -> None:
            tails.append(self.channel.stderr_tail())
            super().connection_lost(exc)

    async def story() -> None:
        for number in range(10):
            protocol = Reporter()
            await start(protocol, f"raise RuntimeError('broken {number}')")
            await protocol.told("lost")
            assert tails[-1].endswith(f"RuntimeError: broken {number}\n")

    run(story)


def test_stderr_is_echoed_as_text_and_a_broken_echo_is_no_error() -> None:
    program = "import sys\nsys.stderr.buffer.write('grüße\\n'.encode() + b'\\xff')"
    good, closed = io.StringIO(), io.StringIO()
    closed.close()

    async def story() -> None:
        for echo in (good, closed):
            protocol = Recorder()
            channel = await start(protocol, program, stderr_echo=echo)
            await protocol.told("lost")
            assert channel.stderr_tail() == "grüße\n\ufffd"

    run(story)
    assert good.getvalue() == "grüße\n\ufffd"


def test_many_small_pieces_of_stderr_are_kept_to_the_limit() -> None:
    program = "import os\nfor number in range(5000): os.write(2, b'%09d\\n' % number)"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, stderr_limit=100)
        await protocol.told("lost")
        assert channel.stderr_tail() == "".join(f"{number:09d}\n" for number in range(4990, 5000))

    run(story)


# -- a server that goes away by itself ---------------------------------------------------------------------------------

ENDS = {
    "exit 0": ("pass", "the server process exited with status 0"),
    "exit 3": ("raise SystemExit(3)", "the server process exited with status 3"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "the server process was killed by SIGKILL"),
    "aborted": ("import os; os.abort()", "the server process was killed by SIGABRT"),
    "real-time signal": ("import os; os.kill(os.getpid(), 40)", "the server process was killed by signal 40"),
    "stdout closed": (
        "import os, time; os.close(1); time.sleep(3600)",
        "the server process closed its stdout, but is still running",
    ),
    "stdin closed": (
        "import os, time; os.close(0); time.sleep(3600)",
        "the server process closed its stdin, but is still running",
    ),
    "a child keeps the pipes": (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'], pass_fds=[alive])",
        "the server process exited with status 0",
    ),
}


@pytest.mark.parametrize(("program", "reason"), ENDS.values(), ids=ENDS)
def test_a_server_that_goes_away_is_noticed_and_cleared_away(program: str, reason: str, alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, alive.opened + program, close_timeout=0.4)
        await protocol.told("lost")
        assert str(protocol.error) == reason
        assert isinstance(protocol.error, ConnectionError)
        assert channel.is_closing()
        channel.write(b"into the void\n")
        await channel.aclose()
        assert protocol.calls.count("lost") == 1
        assert channel.returncode is not None
        await alive.all_gone()

    run(story)


def test_a_dead_server_is_noticed_within_a_second_although_its_child_keeps_the_pipes() -> None:
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}]); sys.stdin.readline()"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, close_timeout=0.2)
        channel.write(b"die\n")
        begin = time.monotonic()
        while channel.returncode is None:
            await asyncio.to_thread(channel._popen.wait)
        died = time.monotonic()
        assert died - begin < WAIT
        await protocol.told("lost")
        assert time.monotonic() - died < LOST_WITHIN
        await channel.aclose()

    run(story)


def test_a_server_that_dies_under_a_full_buffer_is_lost_although_its_protocol_had_stopped_reading() -> None:
    class Polite(Recorder):
        """Reads nothing while the other side does not."""

        def pause_writing(self) -> None:
            super().pause_writing()
            self.channel.pause_reading()

        def resume_writing(self) -> None:
            super().resume_writing()
            self.channel.resume_reading()

    async def story() -> None:
        protocol = Polite()
        channel = await start(protocol, FOREVER)
        channel.write(b"x" * 1_000_000)
        assert protocol.calls == ["made", "pause"]
        channel.kill()
        await protocol.told("lost")
        assert str(protocol.error) == "the server process was killed by SIGKILL"
        await channel.aclose()

    run(story)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_twenty_killed_servers_leave_nothing_behind() -> None:
    def open_fds() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def story() -> None:
        before = open_fds()
        for _ in range(20):
            protocol = Recorder()
            channel = await start(protocol, ECHO)
            channel.write(b"hello\n")
            await protocol.until(lambda: protocol.data == b"hello\n")  # noqa: B023
            os.kill(channel.pid, signal.SIGKILL)
            begin = time.monotonic()
            await protocol.told("lost")
            assert time.monotonic() - begin < LOST_WITHIN
            assert str(protocol.error) == "the server process was killed by SIGKILL"
            assert not os.path.exists(f"/proc/{channel.pid}"), "a zombie is left"
            await channel.aclose()
        assert open_fds() == before
        for thread in threading.enumerate():
            if thread.name.startswith("mcpcore-wait"):
                thread.join(WAIT)  # it has told of the death, and is about to return
                assert not thread.is_alive()

    run(story)


# -- closing -----------------------------------------------------------------------------------------------------------

TREE = """
import os, subprocess, sys
grandchild = {stubborn!r} + {opened!r} + "print('up', flush=True)\\n" + {forever!r}
subprocess.Popen([sys.executable, "-c", grandchild], stdin=subprocess.DEVNULL)
"""


def tree(alive: Alive, then: str) -> str:
    """A server with a grandchild that ignores SIGTERM; it says "up" on the server's stdout once it is there."""
    return alive.opened + TREE.format(stubborn=STUBBORN, opened=alive.opened, forever=FOREVER) + then


SERVERS = {
    "a server that ignores all but SIGKILL": STUBBORN + FOREVER,
    "a server that ignores the end of its input": FOREVER,
    "a server that leaves its child behind": "import sys\nsys.stdin.read()",
}


@pytest.mark.parametrize("then", SERVERS.values(), ids=SERVERS)
def test_closing_ends_the_whole_tree_in_time(then: str, alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, tree(alive, then), close_timeout=0.5)
        await protocol.until(lambda: protocol.data == b"up\n")
        begin = time.monotonic()
        await channel.aclose()
        assert time.monotonic() - begin < 0.5 + 1
        assert protocol.calls == ["made", "lost"]
        await alive.all_gone()

    run(story)


def test_a_child_that_cleans_up_on_sigterm_has_the_time_although_its_parent_is_gone() -> None:
    """What npx and uvx do: the wrapper dies of SIGTERM at once, the server behind it tidies up."""
    server = (
        "import signal, sys, time\n"
        "def tidy(*_):\n"
        "    time.sleep(0.2)\n"
        "    sys.stderr.write('tidied')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, tidy)\n"
        "print('up', flush=True)\n"
        "time.sleep(3600)"
    )
    wrapper = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {server!r}])\n{FOREVER}"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, wrapper, close_timeout=2.0)
        await protocol.until(lambda: protocol.data == b"up\n")
        begin = time.monotonic()
        await channel.aclose()
        assert channel.exit_description() == "was killed by SIGTERM"
        assert channel.stderr_tail() == "tidied"
        assert time.monotonic() - begin < 2.0

    run(story)


def test_a_server_that_exits_at_the_end_of_its_input_gets_no_signal() -> None:
    program = "import sys, time\nprint('up', flush=True)\nsys.stdin.read()\ntime.sleep(0.2)\nsys.stderr.write('tidied')"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, close_timeout=10)
        await protocol.until(lambda: protocol.data == b"up\n")
        await channel.aclose()
        assert channel.returncode == 0
        assert channel.stderr_tail() == "tidied"

    run(story)


def test_what_was_written_before_closing_arrives() -> None:
    program = "import sys\ndata = sys.stdin.buffer.read()\nsys.stderr.write(str(len(data)))"

    async def story() -> None:
        channel = await start(Recorder(), program, close_timeout=10)
        channel.write(b"x" * 3_000_000)
        await channel.aclose()
        assert channel.stderr_tail() == "3000000"

    run(story)


def test_a_server_that_is_writing_when_it_is_closed_can_finish() -> None:
    program = "import sys\nprint('up', flush=True)\nsys.stdin.read()\nsys.stdout.write('a' * 3_000_000)\nsys.exit(5)"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, close_timeout=10)
        await protocol.until(lambda: protocol.data == b"up\n")
        channel.pause_reading()
        await channel.aclose()
        assert channel.returncode == 5
        assert protocol.data == b"up\n", "a closed channel delivers nothing"

    run(story)


def test_closing_from_many_tasks_is_closing_once() -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, ECHO)
        await asyncio.gather(*(channel.aclose() for _ in range(10)))
        await channel.aclose()
        channel.close()
        channel.abort()
        channel.kill()
        assert protocol.calls == ["made", "lost"]

    run(story)


def test_a_cancelled_close_kills_at_once(alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, tree(alive, STUBBORN + FOREVER), close_timeout=3600)
        await protocol.until(lambda: protocol.data == b"up\n")
        closing = asyncio.create_task(channel.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await alive.all_gone()
        await channel.aclose()
        assert channel.exit_description() == "was killed by SIGKILL"

    run(story)


def test_one_cancelled_close_of_several_leaves_the_others_their_time() -> None:
    program = "import sys, time\nprint('up', flush=True)\nsys.stdin.read()\ntime.sleep(0.3)"

    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, program, close_timeout=10)
        await protocol.until(lambda: protocol.data == b"up\n")
        first, second = (asyncio.create_task(channel.aclose()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert channel.returncode == 0

    run(story)


def test_abort_kills_the_whole_tree_at_once(alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, tree(alive, STUBBORN + FOREVER), close_timeout=3600)
        await protocol.until(lambda: protocol.data == b"up\n")
        channel.write(b"x" * 1_000_000)
        begin = time.monotonic()
        channel.abort()
        await protocol.told("lost")
        assert time.monotonic() - begin < LOST_WITHIN
        assert protocol.error is None
        await alive.all_gone()

    run(story)


def test_a_channel_that_was_not_closed_dies_with_its_loop(alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        await start(protocol, tree(alive, STUBBORN + FOREVER))
        await protocol.until(lambda: protocol.data == b"up\n")

    run(story)
    gc.collect()
    run(alive.all_gone)


def test_a_loop_that_ends_while_closing_kills(alive: Alive) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await start(protocol, tree(alive, STUBBORN + FOREVER), close_timeout=3600)
        await protocol.until(lambda: protocol.data == b"up\n")
        channel.close()

    run(story)
    run(alive.all_gone)


def test_closing_after_the_loop_has_ended_kills() -> None:
    channels: list[ProcessChannel] = []

    async def story() -> None:
        channels.append(await start(Recorder(), STUBBORN + FOREVER))

    run(story)
    run(channels[0].aclose)
    channels[0]._popen.wait(WAIT)
    assert channels[0].exit_description() == "was killed by SIGKILL"


# -- what cannot be started --------------------------------------------------------------------------------------------


def test_a_missing_command_is_named_with_the_path_that_was_searched() -> None:
    with pytest.raises(ConnectFailed) as caught:
        run_spawn(["no-such-command-here", "--flag"], env={"PATH": "/somewhere:/else"})
    assert "no-such-command-here --flag: the command 'no-such-command-here' was not found" in str(caught.value)
    assert "'/somewhere:/else'" in str(caught.value)
    assert caught.value.endpoint == "no-such-command-here --flag"


def run_spawn(command: Any, **how: Any) -> None:
    async def story() -> None:
        await spawn(Recorder(), command, **how)

    run(story)


def test_other_reasons_are_told_apart(tmp_path: Path) -> None:
    plain, orphan, text = tmp_path / "plain", tmp_path / "orphan", tmp_path / "text"
    plain.write_text("")
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    text.write_bytes(b"\x7fnothing")
    text.chmod(0o755)
    for command, reason in {
        str(plain): "may not be executed",
        str(orphan): "the interpreter that its first line names does not",
        str(text): "Exec format error",
        str(tmp_path / "missing"): f"the command '{tmp_path}/missing' was not found",
        str(plain / "below"): "is not a directory",
    }.items():
        with pytest.raises(ConnectFailed) as caught:
            run_spawn([command])
        assert reason in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_bad_working_directory_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(ConnectFailed, match=f"the working directory '.*/{kind}' does not exist or is not a directory"):
        run_spawn([sys.executable, "-c", ""], cwd=tmp_path / kind)


def test_a_failed_start_leaves_no_descriptor_open() -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        with pytest.raises(ConnectFailed):
            run_spawn(["no-such-command-here"])
    assert len(os.listdir("/dev/fd")) == before


def test_a_protocol_that_fails_in_connection_made_costs_the_process_its_life() -> None:
    """What it would leave behind fails the run, see `conftest.py`."""

    class Broken(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise LookupError

    async def story() -> None:
        with pytest.raises(LookupError):
            await start(Broken(), STUBBORN + FOREVER)

    run(story)
    gc.collect()


@pytest.mark.parametrize("command", ["", "  ", [], "a 'b"])
def test_an_impossible_command_is_a_usage_error(command: str | list[str]) -> None:
    with pytest.raises(UsageError, match="the command"):
        split_command(command)


# -- environment and working directory ---------------------------------------------------------------------------------


def test_the_working_directory_is_the_one_asked_for(tmp_path: Path) -> None:
    async def story() -> None:
        protocol = Recorder()
        await start(protocol, "import os; print(os.getcwd())", cwd=tmp_path)
        await protocol.told("lost")
        assert Path(protocol.data.decode().strip()).resolve() == tmp_path.resolve()

    run(story)


def test_safe_inheritance_takes_what_programs_need_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "PYTHONPATH", "LD_PRELOAD", "LC_TIME", "XDG_CACHE_HOME", "HTTPS_PROXY", "TERM", "LANG"):
        monkeypatch.setenv(name, "value")
    monkeypatch.setenv("SHELL", "() { echo shock; }")
    found = child_environment("safe", {"API_KEY": "mine"})
    assert found["PATH"] == os.environ["PATH"]
    assert found["API_KEY"] == "mine"
    assert {"LC_TIME", "XDG_CACHE_HOME", "HTTPS_PROXY", "TERM", "LANG"} <= found.keys()
    assert not {"PYTHONPATH", "LD_PRELOAD", "SHELL"} & found.keys()


def test_all_and_none_say_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "theirs")
    assert child_environment("all") == dict(os.environ)
    assert child_environment("all", {"API_KEY": "mine"})["API_KEY"] == "mine"
    assert child_environment("none", {"API_KEY": "mine"}) == {"API_KEY": "mine"}
    with pytest.raises(UsageError, match="inherit_env"):
        child_environment("some")  # type: ignore[arg-type]


def test_an_env_of_ones_own_does_not_take_the_path_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my-server"
    program.write_text(f"#!{sys.executable}\nimport os\nprint(os.environ['TOKEN'], os.environ.get('SECRET'))\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("SECRET", "theirs")

    async def story() -> None:
        protocol = Recorder()
        await spawn(protocol, "my-server", env={"TOKEN": "mine"})
        await protocol.told("lost")
        assert protocol.data == b"mine None\n"

    run(story)
