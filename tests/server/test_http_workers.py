"""Several processes on one port: what they share and what not, who replaces the dead, and how they all end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Server, UsageError
from tests.server.http_programs import Program, children_of, initialize, is_alive, listen, modern, read, send, until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")

PROGRAM = """
import asyncio, contextlib, os, subprocess, sys, time
from mcpcore import Context, Limits, Server

@contextlib.asynccontextmanager
async def lifespan(server):
    yield os.getpid()
    os.write(2, f"left by {os.getpid()}\\n".encode())  # whole, beside those of others

server = Server("shared", lifespan=lifespan, page_size=1, limits=Limits(**{limits}))

@server.tool
async def pid(ctx: Context) -> list[int]:
    return [os.getpid(), ctx.lifespan]

@server.tool
async def ask(ctx: Context) -> str:
    answer = await ctx.elicit("Who?", {"type": "object", "properties": {"name": {"type": "string"}}})
    return f"{answer.content['name']} in {os.getpid()}"

@server.tool(single_use=True)
async def once(ctx: Context) -> str:
    answer = await ctx.elicit("Sure?", {"type": "object", "properties": {"name": {"type": "string"}}})
    return answer.content["name"]

@server.tool
async def endless() -> str:
    print("endless runs", file=sys.stderr, flush=True)
    await asyncio.sleep(600)
    return "never"

@server.tool
async def spawn() -> int:
    return subprocess.Popen(["sleep", "600"]).pid

@server.tool
async def grow() -> int:
    server.add_tool(lambda: "x", name=f"grown{time.monotonic_ns()}")
    return os.getpid()

server.run("http", **{options})
"""


def program(workers: int = 2, limits: dict[str, Any] | None = None, **options: Any) -> Program:
    options = {"port": 0, "workers": workers} | options
    return Program("-c", PROGRAM.replace("{limits}", repr(limits or {})).replace("{options}", repr(options)))


@pytest.fixture(scope="module")
def running() -> Iterator[Program]:
    """For tests that leave it as it is."""
    with program() as server:
        server.serving().wait_for("2 processes")
        yield server
        assert server.end()[0] == 0


def pids(server: Program, count: int) -> Counter[int]:
    """Who answered each of so many connections."""
    return Counter(server.call("pid")["structuredContent"]["result"][0] for _ in range(count))


def in_another(server: Program, than: int, **params: Any) -> Any:
    """The call, on a connection to another process than that one."""

    def attempt() -> Any:
        with server.connection() as connection:
            send(connection, modern("tools/call", name="pid", arguments={}))
            answerer = read(connection.getresponse())[1]["result"]["structuredContent"]["result"][0]
            if answerer == than:
                return None
            send(connection, modern("tools/call", **params))
            return read(connection.getresponse())

    status, answer = until(attempt, "a connection to another process")
    assert status == 200 or "error" in answer
    return answer


# -- what they share ---------------------------------------------------------------------------------------------------


def test_all_of_them_serve_each_in_a_lifespan_of_its_own(running: Program) -> None:
    seen = pids(running, 64)
    assert set(seen) == set(children_of(running.pid)) and len(seen) == 2
    for _ in range(8):
        answerer, lifespan = running.call("pid")["structuredContent"]["result"]
        assert answerer == lifespan


def test_connections_are_spread(running: Program) -> None:
    """Held open all at once: of 64 neither gets more than three quarters, whichever way the hash falls."""
    connections = []
    try:
        for _ in range(64):
            connections.append(socket.create_connection(("127.0.0.1", running.port)))  # noqa: PERF401
        seen = pids(running, 200)
    finally:
        for connection in connections:
            connection.close()
    assert max(seen.values()) < 150, seen


def test_a_state_of_one_process_is_opened_by_another(running: Program) -> None:
    with running.connection() as connection:
        send(connection, modern("tools/call", name="pid", arguments={}))
        first = read(connection.getresponse())[1]["result"]["structuredContent"]["result"][0]
        send(connection, modern("tools/call", name="ask", arguments={}))
        stopped = read(connection.getresponse())[1]["result"]
    assert stopped["resultType"] == "input_required"
    (key,) = stopped["inputRequests"]
    answer = in_another(
        running,
        first,
        name="ask",
        arguments={},
        requestState=stopped["requestState"],
        inputResponses={key: {"action": "accept", "content": {"name": "Ada"}}},
    )
    text = answer["result"]["content"][0]["text"]
    assert text.startswith("Ada in ") and text != f"Ada in {first}"


def test_a_state_for_single_use_is_spent_for_all_of_them(running: Program) -> None:
    with running.connection() as connection:
        send(connection, modern("tools/call", name="pid", arguments={}))
        first = read(connection.getresponse())[1]["result"]["structuredContent"]["result"][0]
        send(connection, modern("tools/call", name="once", arguments={}))
        stopped = read(connection.getresponse())[1]["result"]
        (key,) = stopped["inputRequests"]
        again: dict[str, Any] = {
            "name": "once",
            "arguments": {},
            "requestState": stopped["requestState"],
            "inputResponses": {key: {"action": "accept", "content": {"name": "Ada"}}},
        }
        send(connection, modern("tools/call", **again))
        assert read(connection.getresponse())[1]["result"]["content"][0]["text"] == "Ada"
    assert in_another(running, first, **again)["error"]["data"] == {"reason": "spent"}


def test_a_cursor_of_one_process_is_followed_by_another(running: Program) -> None:
    with running.connection() as connection:
        send(connection, modern("tools/call", name="pid", arguments={}))
        first = read(connection.getresponse())[1]["result"]["structuredContent"]["result"][0]
        send(connection, modern("tools/list"))
        page = read(connection.getresponse())[1]["result"]

    def attempt() -> Any:
        with running.connection() as connection:
            send(connection, modern("tools/call", name="pid", arguments={}))
            if read(connection.getresponse())[1]["result"]["structuredContent"]["result"][0] == first:
                return None
            send(connection, modern("tools/list", cursor=page["nextCursor"]))
            return read(connection.getresponse())

    status, answer = until(attempt, "a connection to another process")
    assert status == 200
    assert answer["result"]["tools"][0]["name"] != page["tools"][0]["name"]


# -- what they do not --------------------------------------------------------------------------------------------------


def test_the_start_up_line_says_what_is_different() -> None:
    with program(3) as server:
        line = server.serving().wait_for("3 processes")
    assert line == (
        "shared: 3 processes; legacy clients have no session: HTTP+SSE and questions to them are refused; "
        "a change is told to the listeners of its own process\n"
    )


def test_legacy_clients_are_served_without_a_session(running: Program) -> None:
    with running.connection() as connection:
        send(connection, initialize())
        answer = connection.getresponse()
        assert answer.headers.get("mcp-session-id") is None
        _, opened = read(answer)
    assert opened["result"]["capabilities"] == {"tools": {}}, "nothing that a session would have to remember"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pid", "arguments": {}}}
    status, answer = running.post(call, MCP_Protocol_Version="2025-11-25")
    assert status == 200 and len(answer["result"]["structuredContent"]["result"]) == 2


def test_what_needs_a_session_is_refused_with_the_reason(running: Program) -> None:
    why = "this server runs in 2 processes, which share no sessions (workers=2)"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {}}}
    _, answer = running.post(call, MCP_Protocol_Version="2025-11-25")
    assert why in answer["error"]["message"] and "cannot be asked" in answer["error"]["message"]
    status, text = running.get("/sse")
    assert status == 404 and "HTTP+SSE is not served here" in text and why in text
    status, text = running.get("/mcp")
    assert status == 405


def test_a_change_reaches_the_listeners_of_its_own_process() -> None:
    with program() as server, listen(server.serving().port, 1) as (stream,):

        def grown_there() -> bool:
            grown = server.call("grow")["structuredContent"]["result"]
            stream.socket.settimeout(0.3)
            try:
                stream.heard("list_changed")
            except TimeoutError:
                return False
            assert grown in children_of(server.pid)
            return True

        until(grown_there, "a change in the process that has the stream")


# -- life and death ----------------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_replaced_while_the_others_serve() -> None:
    with program() as server:
        server.serving().wait_for("2 processes")
        first, second = children_of(server.pid)
        os.kill(first, signal.SIGKILL)
        server.wait_for(f"(pid {first}) ended with signal 9; another one takes its place")
        until(lambda: len(children_of(server.pid)) == 2, "a successor")
        until(lambda: len(pids(server, 16)) == 2, "the successor serves")
        assert second in children_of(server.pid)
        assert server.end()[0] == 0


def test_a_process_that_keeps_dying_is_replaced_after_growing_pauses() -> None:
    with program(limits={"worker_pause_seconds": 60.0}) as server:
        server.serving().wait_for("2 processes")
        survivor, victim = children_of(server.pid)
        pauses = []
        for _ in range(4):
            os.kill(victim, signal.SIGKILL)
            server.wait_for(f"(pid {victim}) ended")
            began = os.times().elapsed
            (victim,) = until(lambda: set(children_of(server.pid)) - {survivor, victim}, "a successor")  # noqa: B023
            pauses.append(os.times().elapsed - began)
        assert pauses[0] < 0.1 <= pauses[1] + 0.05 and pauses[3] >= 0.35, pauses


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_them_all_and_then_the_parent(number: signal.Signals) -> None:
    with program(3) as server, listen(server.serving().port, 20) as streams:
        server.wait_for("3 processes")
        workers = children_of(server.pid)
        status, seconds = server.end(number)
        assert (status, seconds < 2.0) == (0, True), (status, seconds, server.said)
        for stream in streams:
            assert '"result":' in stream.rest()
        assert not any(is_alive(pid) for pid in workers)
        assert all(f"left by {pid}" in server.said for pid in workers), server.said
        assert "Traceback" not in server.said and "another one" not in server.said


def test_a_signal_to_the_whole_group_as_of_ctrl_c_is_the_same() -> None:
    with program(2) as server:
        server.serving().wait_for("2 processes")
        workers = children_of(server.pid)
        for pid in workers:
            os.kill(pid, signal.SIGINT)
        assert server.end(signal.SIGINT)[0] == 0
        assert not any(is_alive(pid) for pid in workers)


def test_the_second_interrupt_ends_them_all_at_once() -> None:
    with program(limits={"http_drain_seconds": 60.0}) as server, server.serving().connection() as connection:
        server.wait_for("2 processes")
        workers = children_of(server.pid)
        send(connection, modern("tools/call", name="endless", arguments={}))
        server.wait_for("endless runs")
        server.process.send_signal(signal.SIGINT)
        until(server.refuses, "the port is closed")
        status, seconds = server.end(signal.SIGINT)
        assert (status, seconds < 1.0) == (130, True), (status, seconds)
        until(lambda: not any(is_alive(pid) for pid in workers), "nobody is left")


def test_nothing_is_left_of_it_when_the_parent_is_killed() -> None:
    with program() as server:
        server.serving().wait_for("2 processes")
        workers = children_of(server.pid)
        tools_child = server.call("spawn")["structuredContent"]["result"]
        assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
        until(lambda: not any(is_alive(pid) for pid in [*workers, tools_child]), "nobody is left")
        assert server.refuses()


def test_a_process_that_does_not_hear_is_killed_in_the_end() -> None:
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('x')\ntime.sleep(600)"
    text = f"""
from mcpcore.server.http_parent import Parent
class Deaf(Parent):
    def begin(self):
        self.fork("deaf", lambda say: exec({deaf!r}, {{"say": say}}))
    def said(self, child, line):
        self.stop()
raise SystemExit(Deaf(0.2).run())
"""
    with Program("-c", text) as server:
        assert server.ended() == 0
        assert "did not end in time and was killed" in server.said


# -- the beginning -----------------------------------------------------------------------------------------------------


def test_a_server_that_cannot_start_says_so_once_and_is_status_1() -> None:
    text = """
import contextlib
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    raise OSError("no database")
    yield

Server("fails", lifespan=lifespan).run("http", port=0, workers=4)
"""
    with Program("-c", text) as server:
        assert server.ended() == 1
        assert server.said.count("OSError: no database") == 1 and "serving MCP" not in server.said


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_others_share_is_taken_all_the_same(workers: int) -> None:
    """The sockets of workers would let any process of the same user in."""
    with program() as server:
        port = server.serving().port
        text = f"from mcpcore import Server\nServer('x').run('http', port={port}, workers={workers})"
        with Program("-c", text) as second:
            assert second.ended() == 1
            assert f"127.0.0.1:{port} is in use already" in second.said


@pytest.mark.parametrize(
    "options", [{"path": "no path"}, {"tls": ("nowhere.pem", "nowhere.key")}, {"cors": ["null"]}], ids=str
)
def test_an_option_that_cannot_be_meant_is_refused_before_anything_is_forked(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Server("x").run("http", port=0, workers=2, **options)


def test_without_fork_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(UsageError, match="need fork, which Windows lacks"):
        Server("x").run("http", port=0, workers=2)


def test_a_unix_socket_is_shared_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with program(unix=str(path)) as server:
        server.wait_for("2 processes")
        os.kill(children_of(server.pid)[0], signal.SIGTERM)
        server.wait_for("another one takes its place")
        assert path.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert server.end()[0] == 0
        assert not path.exists()
