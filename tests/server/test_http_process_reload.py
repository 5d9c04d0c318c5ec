"""A server that is loaded anew when its files change: what clients notice of it, which is next to nothing."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcpcore.server.http_reload import Watch, program_files
from tests.server.http_programs import Program, children_of, is_alive, listen, modern, read, send, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")

PROGRAM = """
import asyncio, sys
import word
from mcpcore import Server

server = Server("reloaded")

@server.tool
async def say() -> str:
    return word.WORD

@server.tool
async def brief() -> str:
    print("brief runs", file=sys.stderr, flush=True)
    await asyncio.sleep(0.3)
    return word.WORD

@server.tool
async def late() -> str:
    import imported_late
    return imported_late.WORD
"""


@contextmanager
def reloading(directory: Path, *options: str, program: str | None = PROGRAM, wait: bool = True) -> Iterator[Program]:
    if program is not None:
        (directory / "program.py").write_text(program)
    if not (directory / "word.py").exists():
        (directory / "word.py").write_text("WORD = 'one'\n")
    port = free_port()
    words = ("run", "program.py", "--transport", "http", "--port", str(port), "--reload", *options)
    with Program("-m", "mcpcore", *words, cwd=directory) as server:
        server.port = port
        if wait:
            server.serving()
        yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def say(server: Program, tool: str = "say") -> str:
    text: str = server.call(tool)["content"][0]["text"]
    return text


def test_a_change_is_served_and_no_client_is_refused_meanwhile(tmp_path: Path) -> None:
    with reloading(tmp_path) as server:
        answers: list[str] = []
        errors: list[Exception] = []
        changed = threading.Event()

        def ask_on_and_on() -> None:
            try:
                while "two" not in answers:
                    status, answer = server.post(modern("tools/call", name="say", arguments={}))
                    if status == 503:  # who came to the former one at its very end is told to come again
                        assert answer["error"]["data"] == {"retryAfterMs": 1000}
                        continue
                    answers.append(answer["result"]["content"][0]["text"])
            except Exception as error:
                errors.append(error)

        asking = threading.Thread(target=ask_on_and_on)
        asking.start()
        until(lambda: answers or errors, "the first answer")
        (tmp_path / "word.py").write_text("WORD = 'two'\n")
        changed.set()
        server.wait_for("word.py changed; loading the program again")
        server.serving()
        asking.join()
        assert errors == []
        assert set(answers) == {"one", "two"}
        assert server.end()[0] == 0


def test_what_runs_is_finished_and_streams_get_their_result(tmp_path: Path) -> None:
    with reloading(tmp_path) as server, server.connection() as connection, listen(server.port, 3) as streams:
        send(connection, modern("tools/call", name="brief", arguments={}))
        server.wait_for("brief runs")
        (tmp_path / "word.py").write_text("WORD = 'two'\n")
        status, answer = read(connection.getresponse())
        assert (status, answer["result"]["content"][0]["text"]) == (200, "one")
        for stream in streams:
            assert '"result":' in stream.rest()
        server.serving()
        assert say(server) == "two"


def test_a_program_that_cannot_be_read_changes_nothing_until_it_can(tmp_path: Path) -> None:
    with reloading(tmp_path) as server:
        (tmp_path / "word.py").write_text("WORD = (\n")
        server.wait_for("program.py could not be loaded: SyntaxError: '(' was never closed")
        server.wait_for("the former version goes on serving; waiting for the next change")
        assert say(server) == "one"
        (tmp_path / "word.py").write_text("WORD = 'two'\n")
        server.serving()
        assert say(server) == "two"


def test_a_module_that_was_never_loaded_whole_is_watched(tmp_path: Path) -> None:
    with reloading(tmp_path) as server:
        (tmp_path / "fresh.py").write_text("1 / 0\n")
        (tmp_path / "word.py").write_text("import fresh\nWORD = fresh.WORD\n")
        server.wait_for("ZeroDivisionError")
        server.wait_for("waiting for the next change")
        (tmp_path / "fresh.py").write_text("WORD = 'fresh'\n")
        server.wait_for("fresh.py changed")
        server.serving()
        assert say(server) == "fresh"


def test_a_module_that_is_imported_by_a_call_is_watched(tmp_path: Path) -> None:
    (tmp_path / "imported_late.py").write_text("WORD = 'early'\n")
    with reloading(tmp_path) as server:
        assert say(server, "late") == "early"
        # It is told of within a look; a change that comes before is told with it, and not lost.
        (tmp_path / "imported_late.py").write_text("WORD = 'changed'\n")
        server.serving()
        assert say(server, "late") == "changed"


def test_a_program_that_cannot_be_loaded_at_first_is_waited_for(tmp_path: Path) -> None:
    with reloading(tmp_path, program="import (\n", wait=False) as server:
        server.wait_for("could not be loaded: SyntaxError")
        server.wait_for("mcpcore: waiting for the next change")
        with server.connection() as connection:
            send(connection, modern("tools/call", name="say", arguments={}))  # nobody is refused
            (tmp_path / "program.py").write_text(PROGRAM)
            assert read(connection.getresponse())[1]["result"]["content"][0]["text"] == "one"


def test_a_server_that_cannot_start_is_waited_for(tmp_path: Path) -> None:
    broken = PROGRAM + "server.custom_route('/mcp')(print)\n"
    with reloading(tmp_path, program=broken, wait=False) as server:
        server.wait_for("mcpcore: custom_route: '/mcp' is the MCP endpoint; choose another path")
        server.wait_for("the server could not start; waiting for the next change")
        (tmp_path / "program.py").write_text(PROGRAM)
        server.serving()
        assert say(server) == "one"


def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    with reloading(tmp_path) as server:
        (child,) = children_of(server.pid)
        os.kill(child, signal.SIGKILL)
        server.wait_for("the server ended with signal 9; starting it again")
        assert say(server) == "one"


def test_it_ends_like_a_server_without_reload(tmp_path: Path) -> None:
    with reloading(tmp_path) as server, listen(server.port, 10) as streams:
        (child,) = children_of(server.pid)
        status, seconds = server.end(signal.SIGINT)
        assert (status, seconds < 2.0) == (0, True)
        for stream in streams:
            assert '"result":' in stream.rest()
        assert not is_alive(child)


def test_nothing_is_left_of_it_when_it_is_killed(tmp_path: Path) -> None:
    with reloading(tmp_path) as server:
        (child,) = children_of(server.pid)
        server.end(signal.SIGKILL)
        until(lambda: not is_alive(child), "the child has ended")


def test_a_program_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with Program("-m", "mcpcore", "run", "nowhere.py", "--transport", "http", "--port", "0", "--reload") as server:
        assert server.ended() == 2
        assert "there is no file 'nowhere.py'" in server.said


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--workers", "2"], "reload is for development, with one process: leave workers out"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], "the certificate 'nowhere.pem' cannot be read"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(tmp_path: Path, words: list[str], complaint: str) -> None:
    with reloading(tmp_path, *words, wait=False) as server:
        assert server.ended() == 2
        assert complaint in server.said


# -- which files, and when they have changed ---------------------------------------------------------------------------


def test_the_files_of_a_program_are_those_that_somebody_edits() -> None:
    files = program_files()
    assert __file__ in files
    assert pytest.__file__ not in files and json_file() not in files
    assert __file__ not in program_files(known=[__name__])


def json_file() -> str:
    import json

    return json.__file__


def test_a_file_has_changed_when_its_time_or_its_size_has(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    watch = Watch()
    assert not watch.add(str(path), since=time.time() + 60)
    assert watch.changed() == []
    path.write_text("ab")
    assert watch.changed() == [str(path)]
    assert watch.changed() == []
    os.utime(path, ns=(0, 1))
    assert watch.changed() == [str(path)]


def test_a_file_that_was_written_while_it_was_read_has_changed_already(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    written = path.stat().st_mtime
    assert Watch().add(str(path), since=written - 1)
    assert not Watch().add(str(path), since=written + 1)


def test_a_file_from_the_future_has_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    os.utime(path, (0, time.time() + 3600))
    assert not Watch().add(str(path), since=time.time())


def test_a_file_that_is_about_to_be_replaced_has_changed_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    watch = Watch()
    watch.add(str(path), since=time.time() + 60)
    path.unlink()
    assert watch.changed() == []
    path.write_text("abc")
    assert watch.changed() == [str(path)]
