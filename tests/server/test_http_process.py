"""A process that serves HTTP: how it starts, says where it is, and ends. Several of them: test_http_workers.py."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Server, UsageError
from mcpcore.server import http_process
from mcpcore.transports.http_options import HttpOptions, RunOptions
from mcpcore.transports.http_server import HttpServer
from tests.server.http_programs import Program, is_alive, listen, modern, read, send, until
from tests.transports.http_wire import serving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")

LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")),
]

PROGRAM = """
import asyncio, subprocess, sys, time
from mcpcore import Limits, Server

server = Server("process", limits=Limits(**{limits}))

def say(text):
    print(text, file=sys.stderr, flush=True)

@server.tool
async def brief() -> str:
    say("brief runs")
    await asyncio.sleep(0.3)
    return "finished"

@server.tool
async def endless() -> str:
    say("endless runs")
    await asyncio.sleep(600)
    return "never"

@server.tool
async def stubborn() -> str:
    say("stubborn runs")
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass

@server.tool
def stuck() -> str:
    say("stuck runs")
    time.sleep(600)
    return "never"

@server.tool
async def spawn() -> int:
    return subprocess.Popen(["sleep", "600"]).pid

@server.tool
async def add(a: int, b: int) -> int:
    return a + b

server.run("http", **{options})
"""


def program(limits: dict[str, Any] | None = None, **options: Any) -> Program:
    text = PROGRAM.replace("{limits}", repr(limits or {})).replace("{options}", repr({"port": 0} | options))
    return Program("-c", text)


# -- the beginning -----------------------------------------------------------------------------------------------------


def test_it_says_where_it_is_for_whom_and_how_to_stop_it() -> None:
    with program(host=["127.0.0.1", "localhost"]) as server:
        line = server.wait_for("serving MCP at")
    assert line.startswith("process: serving MCP at http://127.0.0.1:")
    assert line.endswith(
        "/mcp for 2024-11-05 to 2025-11-25 (legacy) and 2026-07-28 (modern); Ctrl-C or SIGTERM stops it\n"
    )


def test_inside_a_loop_of_somebody_else_it_does_not_say_how_to_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        serving = asyncio.create_task(Server("guest").serve("http", port=0))
        said = ""
        while not said:
            await asyncio.sleep(0)
            said = capsys.readouterr().err
        serving.cancel()
        await asyncio.wait({serving})
        assert serving.cancelled()
        assert said.startswith("guest: serving MCP at http://127.0.0.1:") and said.endswith("(modern)\n")

    asyncio.run(main())


@pytest.mark.parametrize(
    "revisions, eras",
    [(["2026-07-28"], "for 2026-07-28 (modern);"), (["2025-03-26", "2025-06-18"], "for 2025-03-26 to 2025-06-18 (leg")],
)
def test_only_the_eras_that_are_served_are_named(revisions: list[str], eras: str) -> None:
    assert eras in http_process.announcement(Server("x", revisions=revisions), ["http://x/"])


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} is in use already; choose another port, or 0"):
            asyncio.run(Server("x").serve("http", port=port))


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"workers": 2}, "workers belongs to run"),
        ({"loop": "asyncio"}, "loop belongs to run"),
        ({"prot": 1}, "http has no option 'prot'; it has host, port, "),
    ],
)
def test_serve_has_no_options_of_a_process(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        asyncio.run(Server("x").serve("http", **options))


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"workers": 0}, "no number of processes"),
        ({"workers": "4"}, "no number of processes"),
        ({"loop": "trio"}, 'loop must be "auto", "asyncio" or "uvloop"'),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        RunOptions(**options)


def test_uvloop_that_is_wanted_but_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(UsageError, match=r'pip install "mcpcore\[fast\]"'):
        Server("x").run("http", port=0, loop="uvloop")


def test_a_unix_socket_is_served_taken_over_when_it_is_stale_and_removed_at_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()

    async def main() -> None:
        first = HttpServer(Server("first"), HttpOptions(unix=path))
        await first.start()
        try:
            with pytest.raises(UsageError, match=f"{path} is in use already; choose another path"):
                await HttpServer(Server("second"), HttpOptions(unix=path)).start()
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()
            await writer.wait_closed()
        finally:
            await first.stop()

    asyncio.run(main())
    assert not os.path.exists(path)


def test_a_file_at_the_path_of_a_unix_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is in use already"):
        asyncio.run(Server("x").serve("http", unix=str(path)))
    assert path.read_text() == "mine"


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
def test_fifty_open_streams_get_their_result_and_the_process_ends_within_two_seconds(loop: str) -> None:
    with program(loop=loop) as server, listen(server.serving().port, 50) as streams:
        status, seconds = server.end()
        assert (status, seconds < 2.0) == (0, True), (status, seconds, server.said)
        for number, stream in enumerate(streams):
            last = stream.rest().split("data: ")[-1].partition("\n")[0].strip()
            assert last.startswith(f'{{"jsonrpc":"2.0","id":{number},"result":'), stream.received
        assert "Traceback" not in server.said


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_that_runs_is_finished(loop: str, number: signal.Signals) -> None:
    with program(loop=loop) as server, server.serving().connection() as connection:
        send(connection, modern("tools/call", name="brief", arguments={}))
        server.wait_for("brief runs")
        server.process.send_signal(number)
        status, answer = read(connection.getresponse())
        assert (status, answer["result"]["content"][0]["text"]) == (200, "finished")
        assert server.ended() == 0


def test_while_it_ends_it_accepts_nobody_and_tells_who_is_there_that_it_is_not_ready() -> None:
    with program() as server, server.serving().connection() as ready, server.connection() as caller:
        ready.request("GET", "/readyz")
        assert read_text(ready.getresponse()) == (200, "ok\n")
        send(caller, modern("tools/call", name="endless", arguments={}))
        server.wait_for("endless runs")
        server.process.send_signal(signal.SIGTERM)
        until(server.refuses, "the port is closed")
        ready.request("GET", "/readyz")
        assert read_text(ready.getresponse()) == (503, "stopping\n")
        status, answer = read(caller.getresponse())
        assert (status, answer["error"]["message"]) == (200, "tools/call: the handler was cancelled")
        assert server.ended() == 0


def read_text(answer: Any) -> tuple[int, str]:
    return answer.status, answer.read().decode()


def test_who_has_just_come_is_heard_before_it_ends() -> None:
    async def main() -> None:
        server = Server("newcomers")

        @server.tool
        async def add(a: int, b: int) -> int:
            return a + b

        async with serving(server) as served, served.talk() as talk, served.connect() as raw, served.connect():
            while len(served.http.connections) < 2:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(served.http.stop(5.0))
            while served.http._listeners[0].is_serving():
                await asyncio.sleep(0)
            call = await talk.call("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, on=raw)
            assert (await call.answer()).json["result"]["structuredContent"] == {"result": 3}
            await stopping  # for the other one, who says nothing, it waits a moment and no longer

    asyncio.run(main())


@pytest.mark.parametrize("tool", ["stuck", "stubborn"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_handler_that_does_not_end_holds_nothing_up(tool: str, loop: str) -> None:
    with program(loop=loop, limits={"http_drain_seconds": 0.2}) as server, server.serving().connection() as connection:
        send(connection, modern("tools/call", name=tool, arguments={}))
        server.wait_for(f"{tool} runs")
        status, seconds = server.end()
        assert (status, seconds < 2.0) == (0, True), (status, seconds, server.said)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_second_interrupt_ends_it_at_once(loop: str) -> None:
    with program(loop=loop, limits={"http_drain_seconds": 60.0}) as server, server.serving().connection() as connection:
        send(connection, modern("tools/call", name="endless", arguments={}))
        server.wait_for("endless runs")
        server.process.send_signal(signal.SIGINT)
        until(server.refuses, "the port is closed")
        status, seconds = server.end(signal.SIGINT)
        assert (status, seconds < 1.0) == (130, True), (status, seconds)


def test_processes_that_tools_started_end_with_it() -> None:
    with program() as server:
        pid = server.serving().call("spawn")["structuredContent"]["result"]
        assert is_alive(pid)
        assert server.end()[0] == 0
        until(lambda: not is_alive(pid), "the child of a tool has ended")


def test_a_signal_ends_a_server_whose_lifespan_has_not_started() -> None:
    text = """
import asyncio, contextlib, sys
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    print("starting", file=sys.stderr, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("given up", file=sys.stderr, flush=True)
    yield

Server("slow", lifespan=lifespan).run("http", port=0)
"""
    with Program("-c", text) as server:
        server.wait_for("starting")
        assert server.end()[0] == 0
        assert server.said == "starting\ngiven up\n"


def test_a_lifespan_that_fails_is_status_1_and_the_log_says_why() -> None:
    text = """
import contextlib
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    raise OSError("no database")
    yield

Server("fails", lifespan=lifespan).run("http", port=0)
"""
    with Program("-c", text) as server:
        assert server.ended() == 1
        assert "OSError: no database" in server.said and "serving MCP" not in server.said
