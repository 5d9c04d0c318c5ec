"""2026-07-28, basic/transports/stdio, the client's side: a server process from its start to its end, and again."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client
from mcpcore.client.listen import Resync, ToolsChanged
from mcpcore.errors import ConnectionLost
from tests.contract.wire import LEGACY, MODERN
from tests.schema_judge import AVAILABLE, Judge

NASTY = "line\nfeed \r return \u2028 \u2029 \u0085 \x00 ü 漢 🎉"
SERVER = r"""
import json, os, signal, sys, time

folder, how, era = sys.argv[1:]
wire = open(os.path.join(folder, f"wire.{os.getpid()}"), "ab", buffering=0)

def note(word):
    with open(os.path.join(folder, "notes"), "a") as notes:
        notes.write(word + "\n")

def say(message):
    sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    sys.stdout.buffer.flush()

def deaf(number, frame):
    note("SIGTERM")

note("started")
if how == "stubborn":
    signal.signal(signal.SIGTERM, deaf)
if how == "noisy":
    sys.stderr.buffer.write(b"ERROR: all is well\n" * 60000 + b"\xff\xfe\n" + b"x" * 100000)
    sys.stderr.buffer.flush()
if how == "garbage":
    sys.stdout.buffer.write(b"Welcome!\n\n\xff\n[]\n{}\n")
    sys.stdout.buffer.flush()

for line in sys.stdin.buffer:
    wire.write(line)
    message = json.loads(line)
    method, id = message["method"], message.get("id")
    params = message.get("params", {})
    meta = {"_meta": {"io.modelcontextprotocol/subscriptionId": id}}
    if method == "server/discover" and era == "2026-07-28":
        can = {"tools": {"listChanged": True}}
        page = {"ttlMs": 0, "cacheScope": "private"}
        say({"id": id, "result": {"resultType": "complete", "supportedVersions": [era], "capabilities": can, **page}})
    elif method == "server/discover":
        say({"id": id, "error": {"code": -32601, "message": "Method not found"}})
    elif method == "initialize":
        info = {"name": "contract", "version": "1"}
        say({"id": id, "result": {"protocolVersion": era, "capabilities": {"tools": {}}, "serverInfo": info}})
    elif method == "subscriptions/listen":
        note("listen")
        filter = params["notifications"]
        say({"method": "notifications/subscriptions/acknowledged", "params": {**meta, "notifications": filter}})
        say({"method": "notifications/tools/list_changed", "params": meta})
    elif method == "tools/call" and params["name"] == "die":
        os._exit(3)
    elif method == "tools/call" and params["name"] == "leave":
        note("leaving")
        os.close(1)
        sys.exit(0)
    elif method == "tools/call":
        text = str(os.getpid()) if params["name"] == "pid" else params["arguments"].get("text", "")
        text = os.environ["CONTRACT_TOKEN"] if params["name"] == "token" else text
        result = {"content": [{"type": "text", "text": text}]}
        say({"id": id, "result": {"resultType": "complete", **result} if era == "2026-07-28" else result})

note("end of input")
if how == "slow":
    time.sleep(0.3)
if how == "stubborn":
    while True:
        time.sleep(3600)
note("exit")
"""


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A command for ``Client``: ``server(how, era)``. What the client wrote is in ``wire.<pid>``."""
    program = tmp_path / "server.py"
    program.write_text(SERVER, encoding="utf-8")

    def command(how: str = "", era: str = MODERN) -> list[str]:
        return [sys.executable, str(program), str(tmp_path), how, era]

    return command


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().split("\n")[:-1]


def written(folder: Path) -> bytes:
    """What all processes together got on their standard input."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("wire.*")))


@pytest.mark.spec("2026-07-28/stdio/M01", "2026-07-28/stdio/M03", "2026-07-28/transports/M01")
@pytest.mark.spec("2026-07-28/basic/M22", "2026-07-28/transports/M02")
@pytest.mark.parametrize("era", [MODERN, *LEGACY])
def test_everything_the_client_writes_is_a_message_on_a_line_of_its_own(server: Any, era: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server(era=era), name=NASTY, title=NASTY) as client:
            assert (await client.call_tool("echo", {"text": NASTY, NASTY: [NASTY]})).text == NASTY
            await client.notify("notifications/vendor", {"x": NASTY})
            await client.call_tool("echo", {})

    asyncio.run(main())
    lines = written(tmp_path).split(b"\n")
    assert lines.pop() == b""
    assert all(b"\r" not in line for line in lines)
    messages = [json.loads(line.decode("utf-8")) for line in lines]
    methods = [message["method"] for message in messages]
    assert all(("id" in message) is not message["method"].startswith("notifications/") for message in messages)
    opening = ["server/discover"] if era == MODERN else ["server/discover", "initialize", "notifications/initialized"]
    assert methods == [*opening, "tools/call", "notifications/vendor", "tools/call"]
    if AVAILABLE and era == MODERN:
        judge = Judge()
        for line in lines:
            judge.frame("client", line)
        assert judge.violations == []


@pytest.mark.spec("2026-07-28/stdio/Y01", "2026-07-28/stdio/S01")
def test_what_the_server_writes_to_stderr_is_no_failure(server: Any) -> None:
    async def main() -> None:
        async with Client(server("noisy")) as client:
            assert (await client.call_tool("echo", {"text": "hi"})).text == "hi"

    asyncio.run(main())


def test_what_is_no_message_on_stdout_is_passed_over(server: Any) -> None:
    async def main() -> None:
        async with Client(server("garbage")) as client:
            assert (await client.call_tool("echo", {"text": "hi"})).text == "hi"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/S03", "2026-07-28/stdio/S04")
def test_closing_ends_the_servers_input_and_waits_for_its_exit(server: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server("slow")) as client:
            await client.call_tool("echo", {})
            assert notes(tmp_path) == ["started"]

    asyncio.run(main())
    assert notes(tmp_path) == ["started", "end of input", "exit"]


@pytest.mark.spec("2026-07-28/stdio/S03", "2026-07-28/stdio/S04", "2026-07-28/stdio/S05")
def test_a_server_that_does_not_exit_is_ended_step_by_step(server: Any, tmp_path: Path) -> None:
    async def main() -> int:
        async with Client(server("stubborn"), close_timeout=0.5) as client:
            return int((await client.call_tool("pid")).text)

    pid = asyncio.run(main())
    assert notes(tmp_path) == ["started", "end of input", "SIGTERM"]
    assert not Path(f"/proc/{pid}").exists() or sys.platform != "linux"


@pytest.mark.spec("2026-07-28/stdio/Y02")
@pytest.mark.parametrize("how", ["leave", "die"])
def test_a_server_that_goes_fails_the_calls_under_way_and_the_next_ones(server: Any, how: str) -> None:
    async def main() -> None:
        async with Client(server()) as client:
            calls = [client.call_tool("echo", {"text": "hi"}), client.call_tool(how), client.call_tool(how)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert outcomes[0].text == "hi"  # type: ignore[union-attr]
            assert all(isinstance(outcome, ConnectionLost) for outcome in outcomes[1:])
            with pytest.raises(ConnectionLost):
                await client.call_tool("echo", {})

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/S07", "2026-07-28/versioning/S03")
def test_a_server_that_died_is_started_again_for_the_next_call(server: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server(), restart=True) as client:
            pids = set()
            for _ in range(3):
                pids.add((await client.call_tool("pid")).text)
                with pytest.raises(ConnectionLost):  # lost, and not repeated by itself: it may have had effects
                    await client.call_tool("die")
            assert len(pids) == 3

    asyncio.run(main())
    assert notes(tmp_path).count("started") == 3
    methods = [json.loads(line)["method"] for line in written(tmp_path).splitlines()]
    assert set(methods) == {"server/discover", "tools/call"}


@pytest.mark.spec("2026-07-28/stdio/M08", "2026-07-28/subscriptions/M07")
def test_streams_are_opened_again_in_the_new_process(server: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server(), restart=True) as client, client.listen(tools=True) as events:
            assert await anext(events) == ToolsChanged()
            with pytest.raises(ConnectionLost):
                await client.call_tool("die")
            assert await asyncio.wait_for(anext(events), 10) == Resync()
            assert await asyncio.wait_for(anext(events), 10) == ToolsChanged()

    asyncio.run(main())
    assert notes(tmp_path).count("listen") == 2


@pytest.mark.spec("2026-07-28/basic/S08")
def test_credentials_travel_in_the_environment_and_not_on_the_wire(server: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server(), env={"CONTRACT_TOKEN": "secret-in-the-environment"}) as client:
            assert (await client.call_tool("token")).text == "secret-in-the-environment"

    asyncio.run(main())
    assert b"secret" not in written(tmp_path)
    assert b"uthorization" not in written(tmp_path)


@pytest.mark.spec("2026-07-28/basic/S06")
def test_one_process_serves_all_tasks_of_a_client(server: Any, tmp_path: Path) -> None:
    async def main() -> None:
        async with Client(server()) as client:

            async def conversation() -> set[str]:
                return {(await client.call_tool("pid")).text for _ in range(5)}

            pids = await asyncio.gather(*(asyncio.create_task(conversation()) for _ in range(20)))
            assert len(set.union(*pids)) == 1

    asyncio.run(main())
    assert notes(tmp_path) == ["started", "end of input", "exit"]
    assert written(tmp_path).count(b"server/discover") == 1
