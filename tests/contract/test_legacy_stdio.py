"""2024-11-05 to 2025-11-25, basic/transports#stdio and basic/lifecycle#shutdown, both sides: over real pipes.

The servers that the client starts here are plain scripts: they know nothing of mcpcore, and write down what happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.errors import ConnectionLost, McpError, UnsupportedRevision
from tests.contract.wire import LEGACY, PATIENCE, launched

TOOL = "tools/call"
NASTY = "line\nfeed \r return \u2028 \u2029 \u0085 \x0b \x00 ü 漢 🎉"

SERVER = r"""
import os, subprocess, sys, time
from mcpcore import Context, Server

server = Server("contract")

@server.tool
async def echo(text: str) -> str:
    return text

@server.tool
async def notes(ctx: Context) -> str:
    await ctx.log("info", NASTY)
    await ctx.progress(1, message=NASTY)
    return NASTY

@server.tool
def pollute() -> str:
    print("print", flush=True)
    os.write(1, b"descriptor 1\n")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    print("to stderr", file=sys.stderr)
    return "clean"

@server.tool
def block() -> str:
    time.sleep(3600)
    return "never"

server.run()
""".replace("NASTY", ascii(NASTY))


# -- the server --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/transports/M01", "2025-03-26/transports/M01", "2024-11-05/transports/M02")
@pytest.mark.spec("2024-11-05/transports/Y01", "2024-11-05/basic/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_servers_output_is_one_message_of_utf_8_a_line_and_nothing_else(revision: str) -> None:
    async def main() -> None:
        async with launched(SERVER) as wire:
            await wire.shake(revision)
            text = (await wire.result(TOOL, {"name": "echo", "arguments": {"text": NASTY}}))["content"][0]["text"]
            assert text == NASTY
            before, _ = await wire.until(wire.call(TOOL, {"name": "notes", "_meta": {"progressToken": NASTY}}))
            assert [message["method"] for message in before] == ["notifications/message", "notifications/progress"]
            assert (await wire.result(TOOL, {"name": "pollute"}))["content"][0]["text"] == "clean"
            assert await wire.fence() == []
            for side, line in wire.lines:
                if side == "server":
                    assert type(json.loads(line.decode("utf-8"))) is dict
                    assert b"\n" not in line and b"\r" not in line

    asyncio.run(main())


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_the_server_exits_when_its_input_ends_though_a_tool_is_stuck(busy: bool) -> None:
    async def main() -> None:
        async with launched(SERVER) as wire:
            await wire.shake("2025-11-25")
            if busy:
                wire.call(TOOL, {"name": "block"})
                await wire.result("ping")
            wire.close()
            await wire.end()
            assert wire.process is not None
            assert await asyncio.to_thread(wire.process.wait, 3) == 0

    asyncio.run(main())


def test_the_server_exits_on_sigterm_though_its_input_is_open() -> None:
    async def main() -> None:
        async with launched(SERVER) as wire:
            await wire.shake("2025-11-25")
            assert wire.process is not None
            wire.process.send_signal(signal.SIGTERM)
            await wire.end()
            await asyncio.to_thread(wire.process.wait, 3)

    asyncio.run(main())


# -- the client --------------------------------------------------------------------------------------------------------

SCRIPT = r"""
import json, os, signal, sys, time
diary = open(sys.argv[1], "a", buffering=1)
mode, revision = sys.argv[2], sys.argv[3]
note = lambda word: diary.write(json.dumps([time.monotonic(), word]) + "\n")

def on_term(number, frame):
    note("SIGTERM")
    if mode != "immortal":
        os._exit(0)

signal.signal(signal.SIGTERM, on_term)
note(["pid", os.getpid()])
if mode == "chatty":
    os.write(2, "ERROR: fatal exception Traceback ü\n".encode() * 5000 + b"\xff\xfe not UTF-8\n")
for line in sys.stdin.buffer:
    note(["line", line.decode("utf-8")])
    message = json.loads(line)
    if "id" not in message:
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    if message.get("method") == "initialize":
        answer["result"] = {
            "protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}
        }
    elif message.get("method") == "tools/call":
        if mode == "leaves":
            os.close(1)
            os._exit(0)
        answer["result"] = {"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]}
    elif message.get("method") == "ping":
        answer["result"] = {}
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
note("EOF")
while mode in ("stubborn", "immortal"):
    time.sleep(0.05)
note("exit")
"""


class Diary:
    """A server's process and what it wrote down, each with its time."""

    def __init__(self, folder: Path, mode: str, revision: str = "2025-11-25") -> None:
        self.path = folder / "diary"
        program = folder / "server.py"
        program.write_text(SCRIPT)
        self.command = [sys.executable, str(program), str(self.path), mode, revision]

    def words(self) -> list[str]:
        return [word for _, word in self._entries() if isinstance(word, str)]

    def lines(self) -> list[str]:
        return [word[1] for _, word in self._entries() if word[0] == "line"]

    def time_of(self, word: str) -> float:
        return float(next(when for when, said in self._entries() if said == word))

    def is_alive(self) -> bool:
        pid = next(word[1] for _, word in self._entries() if word[0] == "pid")
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _entries(self) -> list[Any]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.mark.spec("2024-11-05/transports/M03", "2024-11-05/transports/M01", "2025-03-26/transports/M01")
@pytest.mark.spec("2024-11-05/lifecycle/S06", "2025-06-18/lifecycle/M10", "2024-11-05/basic/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_the_clients_output_is_one_message_of_utf_8_a_line_and_nothing_else(revision: str, tmp_path: Path) -> None:
    diary = Diary(tmp_path, "good", revision)

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY) as client:
            assert client.revision == revision
            assert (await client.call_tool("x", {"text": NASTY})).text == NASTY
            await client.ping()

    asyncio.run(main())
    lines = diary.lines()
    methods = [json.loads(line)["method"] for line in lines]
    assert methods == ["initialize", "notifications/initialized", TOOL, "ping"]
    for line in lines:
        assert line.endswith("\n") and "\n" not in line[:-1] and "\r" not in line
        assert json.loads(line)["jsonrpc"] == "2.0"


@pytest.mark.spec("2024-11-05/lifecycle/S08")
def test_closing_the_client_closes_the_servers_input_first_and_waits(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "good")

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY) as client:
            await client.ping()

    asyncio.run(main())
    assert diary.words() == ["EOF", "exit"]  # no signal: it went by itself
    assert not diary.is_alive()


@pytest.mark.spec("2024-11-05/lifecycle/S08", "2024-11-05/lifecycle/S09", "2024-11-05/lifecycle/S14")
def test_a_server_that_stays_gets_sigterm_after_a_while(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "stubborn")

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY, close_timeout=0.6) as client:
            await client.ping()

    asyncio.run(main())
    assert diary.words() == ["EOF", "SIGTERM"]
    assert diary.time_of("SIGTERM") - diary.time_of("EOF") > 0.3
    assert not diary.is_alive()


@pytest.mark.spec("2024-11-05/lifecycle/S10", "2024-11-05/lifecycle/S14")
def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "immortal")

    async def main() -> float:
        async with Client(diary.command, revisions=LEGACY, close_timeout=0.6) as client:
            await client.ping()
            began = time.monotonic()
        return time.monotonic() - began

    took = asyncio.run(main())
    assert diary.words() == ["EOF", "SIGTERM"]
    assert not diary.is_alive()
    assert took < PATIENCE / 2


@pytest.mark.spec("2024-11-05/lifecycle/S05", "2024-11-05/schema/M01", "2024-11-05/lifecycle/S08")
def test_a_server_of_an_unknown_version_is_disconnected_in_the_same_order(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "good", "2024-10-07")

    async def main() -> None:
        with pytest.raises(UnsupportedRevision, match="2024-10-07"):
            await Client(diary.command).connect()

    asyncio.run(main())
    assert [json.loads(line)["method"] for line in diary.lines()] == ["server/discover", "initialize"]
    assert diary.words()[:1] == ["EOF"]
    assert not diary.is_alive()


@pytest.mark.spec("2024-11-05/lifecycle/Y01")
def test_a_server_that_closes_its_output_and_exits_ends_the_call_with_an_error(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "leaves")

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY) as client:
            with pytest.raises(ConnectionLost):
                await client.call_tool("x", {"text": "x"})
            with pytest.raises(McpError):
                await client.ping()

    asyncio.run(main())
    assert not diary.is_alive()


@pytest.mark.spec("2025-11-25/transports/S02", "2024-11-05/transports/Y01")
def test_what_a_server_writes_to_stderr_is_no_failure(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "chatty")

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY) as client:
            assert (await client.call_tool("x", {"text": "fine"})).text == "fine"

    asyncio.run(main())
    assert diary.words() == ["EOF", "exit"]


@pytest.mark.spec("2025-03-26/basic/S02")
def test_credentials_reach_the_server_by_its_environment_and_never_by_the_pipe(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "good")
    program = tmp_path / "server.py"
    program.write_text(SCRIPT.replace('note("exit")', 'note(os.environ["TOKEN"])'))

    async def main() -> None:
        async with Client(diary.command, revisions=LEGACY, env={"TOKEN": "s3cr3t"}) as client:
            await client.ping()

    asyncio.run(main())
    assert diary.words() == ["EOF", "s3cr3t"]
    assert not any("s3cr3t" in line or "authorization" in line.lower() for line in diary.lines())
