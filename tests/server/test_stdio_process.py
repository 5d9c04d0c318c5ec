"""A server on the standard streams of its process: how serving begins, is stopped, cancelled and repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAIT = 20
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def start(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENV,
    )


def test_a_cancelled_serve_gives_the_streams_back_and_leaves_nothing_running() -> None:
    program = """
import asyncio
from mcpcore import Server

async def main():
    server = Server("cancelled")
    serving = asyncio.create_task(server.serve())
    while not server._runners:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    serving.cancel()
    await asyncio.wait({serving})
    assert serving.cancelled()
    assert not server._runners, "the connection is still there"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    print("given back", flush=True)

asyncio.run(main())
"""
    with start(program) as process:
        out, err = process.communicate(timeout=WAIT)
    assert (out, process.returncode) == (b"given back\n", 0), err.decode()


def test_serving_again_after_the_end_of_input_finds_the_end_of_input() -> None:
    program = """
import asyncio
from mcpcore import Server

async def main():
    server = Server("twice")
    await server.serve()
    await server.serve()
    print("done", flush=True)

asyncio.run(main())
"""
    with start(program) as process:
        out, err = process.communicate(PING, timeout=WAIT)
    answer, _, rest = out.partition(b"\n")
    assert (json.loads(answer)["id"], rest, process.returncode) == (1, b"done\n", 0), err.decode()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing here tells which descriptors are open")
def test_a_lifespan_that_fails_leaves_no_descriptor_open_and_is_tried_again() -> None:
    program = """
import asyncio, contextlib, os
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    raise OSError("not there")
    yield

async def main():
    server = Server("fails", lifespan=lifespan)
    counts = []
    for attempt in range(3):
        try:
            await server.serve()
        except OSError as error:
            counts.append((str(error), len(os.listdir("/proc/self/fd"))))
    print(len(counts), len(set(counts)), flush=True)

asyncio.run(main())
"""
    with start(program) as process:
        out, err = process.communicate(timeout=WAIT)
    assert out == b"3 1\n", err.decode()


def test_a_signal_ends_a_server_whose_lifespan_has_not_started() -> None:
    program = """
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

Server("slow", lifespan=lifespan).run()
"""
    with start(program) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"starting\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=WAIT)
    assert (err, process.returncode) == (b"given up\n", 0)


def test_a_lifespan_is_left_although_the_client_does_not_read() -> None:
    program = """
import contextlib, sys
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    yield
    print("left", file=sys.stderr, flush=True)

server = Server("unread", lifespan=lifespan)

@server.tool
async def large() -> str:
    return "x" * 4_000_000

server.run()
"""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "large", "_meta": meta}}
    with start(program) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(json.dumps(call).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.read(1) == b"{", "it is answering"
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == b"left\n"
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of this kind are a POSIX matter")
def test_a_person_at_a_terminal_is_told_what_the_server_waits_for_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    import pty

    program = tmp_path / "server.py"
    program.write_text("from mcpcore import Server\nServer('clock').run()\n")
    ours, theirs = pty.openpty()
    server = subprocess.Popen(
        [sys.executable, str(program)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=ENV
    )
    try:
        assert server.stderr is not None
        assert b"clock: waiting for MCP messages on standard input; Ctrl-C ends it" in server.stderr.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=10) == 0
        assert server.stderr.read() == b""
        server.stderr.close()
    finally:
        server.kill()
        os.close(ours)
        os.close(theirs)
