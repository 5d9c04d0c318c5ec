"""``kill -9`` of either side, twenty times: the survivor notices within a second, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcpcore import Client, ConnectionLost

ROOT = Path(__file__).parents[2]
ENV = {"PYTHONPATH": str(ROOT)}
SERVER = """
import asyncio, os, subprocess, sys, threading, time
from mcpcore import Context, Server
server = Server("mortal")

@server.tool
async def pids() -> list[int]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    return [os.getpid(), child.pid]

@server.tool
def stuck() -> str:
    time.sleep(3600)
    return ""

@server.tool
async def forever(ctx: Context) -> str:
    print("waiting for the end", file=sys.stderr, flush=True)
    await ctx.progress(1)
    await asyncio.sleep(3600)
    return ""

threading.Thread(target=time.sleep, args=(3600,)).start()
server.run()
"""
CLIENT = """
import asyncio, sys
from mcpcore import Client

async def main():
    async with Client([sys.executable, sys.argv[1]], env={"PYTHONPATH": sys.argv[2]}) as client:
        print(*(await client.call_tool("pids")).structured_content["result"], flush=True)
        await client.call_tool("stuck")

asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are a POSIX matter")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)  # another process's end has no event to wait for
    return True


@pytest.fixture
def server_file(tmp_path: Path) -> Path:
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    return file


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_server_fails_every_pending_call_within_a_second_twenty_times(server_file: Path) -> None:
    async def once() -> None:
        client = Client([sys.executable, str(server_file)], env=ENV)
        async with client:
            result = await client.call_tool("pids")
            server, child = result.structured_content["result"]
            started = asyncio.Event()
            calls = [
                asyncio.create_task(client.call_tool("forever", progress=lambda _: started.set())) for _ in range(5)
            ]
            await started.wait()
            os.kill(server, signal.SIGKILL)
            began = time.monotonic()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - began < 1.0
            for outcome in outcomes:
                assert isinstance(outcome, ConnectionLost)
                assert "SIGKILL" in str(outcome)
                assert "waiting for the end" in outcome.stderr
        assert gone_within(child, 1.0)

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        asyncio.run(once())
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_client_takes_its_server_with_it_twenty_times(server_file: Path, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(CLIENT)
    for _ in range(20):
        client = subprocess.Popen(
            [sys.executable, str(program), str(server_file), str(ROOT)],
            stdout=subprocess.PIPE,
            env={**os.environ, **ENV},
        )
        assert client.stdout is not None
        server, child = map(int, client.stdout.readline().split())
        assert is_alive(server)
        client.kill()
        client.wait()
        client.stdout.close()
        assert gone_within(server, 1.5)
        assert gone_within(child, 0.5)
