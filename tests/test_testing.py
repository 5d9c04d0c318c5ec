"""mcpcore.testing: the clock, the scripted peer in both roles, and the pytest plugin in a run of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client, Server
from mcpcore.errors import ConnectFailed, UsageError
from mcpcore.spec.revisions import ALL
from mcpcore.testing import ERAS, REVISIONS, FakeClock, ScriptedPeer, Stalled, clock, connect, connect_blocking

ROOT = Path(__file__).parents[1]

server = Server("tested")


@server.tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


# -- the clock -----------------------------------------------------------------------------------------------------


def test_an_hour_passes_in_no_time() -> None:
    fake, began = FakeClock(), time.monotonic()

    async def main() -> float:
        await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await _never()
        return asyncio.get_running_loop().time()

    assert fake.run(main()) == fake.time() == 3660
    assert time.monotonic() - began < 1


def test_timers_longer_than_a_day_are_reached_too() -> None:
    fake = FakeClock()
    fake.run(asyncio.sleep(10 * 24 * 3600))
    assert fake.time() == 10 * 24 * 3600


def test_the_clock_waits_for_a_thread_that_works() -> None:
    fake = FakeClock()

    async def main() -> str:
        async with asyncio.timeout(60):
            return await asyncio.to_thread(lambda: "done")

    assert fake.run(main()) == "done"
    assert fake.time() == 0


def test_a_clock_that_is_moved_by_hand_runs_timers_on_the_way_in_order() -> None:
    fake = FakeClock(autojump=False)
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(fake.time())

    async def main() -> None:
        ticking = asyncio.create_task(tick())
        await fake.advance(0.5)
        assert ticks == []
        await fake.advance(3)
        assert ticks == [1, 2, 3]
        assert fake.time() == 3.5
        ticking.cancel()

    fake.run(main())


def test_two_tasks_cannot_move_the_clock_at_once() -> None:
    fake = FakeClock(autojump=False)

    async def main() -> None:
        first = asyncio.create_task(fake.advance(1))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="one task"):
            await fake.advance(1)
        await first

    fake.run(main())


def test_waiting_for_nothing_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_STALL_SECONDS", 0.01)
    with pytest.raises(Stalled):
        FakeClock().run(_never())


# -- the scripted peer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_scripted_client_opens_every_revision_and_talks_to_a_server(revision: str) -> None:
    async def main() -> None:
        async with ScriptedPeer() as peer:
            await peer.connect(server)
            meta = await peer.open(revision) if revision == "2026-07-28" else (await peer.open(revision)) and {}
            params = {"name": "add", "arguments": {"a": 1, "b": 2}, "_meta": meta}
            peer.say({"jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": params})
            answer = await peer.expect(partial={"id": "x"})
            assert answer["result"]["content"] == [{"type": "text", "text": "3"}]
            await peer.expect_silence()

    FakeClock().run(main())


@pytest.mark.parametrize("revision", ERAS.values())
def test_a_scripted_server_answers_a_client(revision: str) -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept(revision, capabilities={"tools": {}})
        request = await peer.expect("tools/call", {"params": {"name": "greet"}})
        peer.answer(request, {"resultType": "complete", "content": [{"type": "text", "text": "hello"}]})

    async def main() -> str:
        async with ScriptedPeer(script) as peer, Client(peer) as client:
            assert str(client.revision) == revision
            return (await client.call_tool("greet")).text

    assert FakeClock().run(main()) == "hello"


def test_a_script_that_fails_ends_the_connection_and_the_test_sees_its_failure() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.expect("nonsense")

    async def main() -> None:
        async with ScriptedPeer(script) as peer:
            with pytest.raises(ConnectFailed):
                async with Client(peer):
                    pass

    with pytest.raises(AssertionError, match="method is 'server/discover' and not 'nonsense'"):
        FakeClock().run(main())


def test_a_script_that_waits_in_vain_is_reported() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept("2025-11-25")
        await peer.expect("tools/call", seconds=100)

    async def main() -> None:
        peer = ScriptedPeer(script)
        client = Client(peer)
        try:
            async with peer:
                await client.connect()
        finally:
            await client.close()

    with pytest.raises(AssertionError, match="still waits"):
        FakeClock().run(main())


def _pair(body: Any) -> None:
    """Two scripted peers on one connection: ``body(one, other)``."""

    async def main() -> None:
        async with ScriptedPeer() as one, ScriptedPeer() as other:
            await one.connect(other)
            await body(one, other)

    FakeClock().run(main())


def test_bytes_are_sent_as_they_are_and_messages_arrive_whole() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        one.say(b'{"method":')
        await other.expect_silence()
        one.say(b'"a"}\nno json\n')
        assert await other.expect("a") == {"method": "a"}
        assert await other.next() == b"no json"
        assert other.received == [{"method": "a"}, b"no json"]

    _pair(body)


MISFITS = {
    "another method": ({"method": "b"}, "method is 'b' and not 'a'"),
    "a member is missing": ({"method": "a"}, "the message has no member 'params'"),
    "a member deep down differs": ({"method": "a", "params": {"x": {"y": 2}}}, "params.x.y is 2 and not 1"),
    "true is not one": ({"method": "a", "params": {"x": {"y": True}}}, "params.x.y is True and not 1"),
    "no object": ([1], "the message is [1] and no object"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_shown(case: str) -> None:
    message, complaint = MISFITS[case]

    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        one.say(message)  # type: ignore[arg-type]
        with pytest.raises(AssertionError) as caught:
            await other.expect("a", {"params": {"x": {"y": 1}}})
        assert complaint in str(caught.value)

    _pair(body)


def test_expectations_are_bounded_in_time() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(AssertionError, match="no message came within 7 s"):
            await other.expect("a", seconds=7)
        assert asyncio.get_running_loop().time() - began == 7
        with pytest.raises(AssertionError, match="did not close within 3 s"):
            await other.expect_end(3)

    _pair(body)


def test_silence_is_broken_by_a_message_that_was_not_expected() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        asyncio.get_running_loop().call_later(0.02, one.say, {"method": "late"})
        with pytest.raises(AssertionError, match=r"expected silence, but this came.*late"):
            await other.expect_silence(0.05)

    _pair(body)


def test_the_end_is_expected_and_nothing_can_come_after_it() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        one.close()
        await other.expect_end()
        with pytest.raises(AssertionError, match="closed the connection"):
            await other.next()

    _pair(body)


def test_a_scripted_peer_has_one_connection_at_a_time() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        with pytest.raises(UsageError, match="connected already"):
            await one.connect(other)
        one.close()
        await other.expect_end()
        await ScriptedPeer().connect(other)

    _pair(body)


def test_a_flood_that_nobody_reads_ends_the_connection() -> None:
    async def body(one: ScriptedPeer, other: ScriptedPeer) -> None:
        one.say(b"1\n" * 10_001)
        await one.expect_end()
        assert len(other.received) == 10_000

    with pytest.raises(AssertionError, match="nobody reads them"):
        _pair(body)


def test_saying_something_before_a_connection_is_an_error_that_tells_the_remedy() -> None:
    with pytest.raises(UsageError, match="not connected"):
        ScriptedPeer().say({})


# -- connecting ----------------------------------------------------------------------------------------------------


def test_a_client_on_a_server_object_works_without_port_or_process() -> None:
    async def main() -> Any:
        async with connect(server) as client:
            return (await client.call_tool("add", {"a": 1, "b": 2})).text

    assert asyncio.run(main()) == "3"


@pytest.mark.parametrize("transport", ["memory", "stdio"])
def test_a_blocking_client_runs_the_server_over_each_transport(transport: str) -> None:
    with connect_blocking(server, transport) as client:
        assert client.call_tool("add", {"a": 1, "b": 2}).text == "3"


def test_a_server_that_another_process_cannot_find_is_an_error_that_tells_the_remedy() -> None:
    with pytest.raises(UsageError, match="global variable"):
        connect(Server("local"), "stdio")


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(UsageError, match="memory, stdio"):
        connect(server, "pigeon")


def test_the_names_of_the_revisions_are_the_published_ones() -> None:
    assert tuple(revision.name for revision in ALL) == REVISIONS


# -- the pytest plugin, in a run of its own ------------------------------------------------------------------------

PLUGGED = """
import asyncio
import pytest
from mcpcore import Server

server = Server("plugged")

@server.tool
async def add(a: int, b: int) -> int:
    return a + b

def test_blocking(mcp_client):
    with mcp_client(server) as client:
        assert client.call_tool("add", {"a": 1, "b": 2}).text == "3"

def test_async(mcp_client, mcp_era, mcp_transport):
    async def main():
        async with mcp_client(server, transport=mcp_transport, revisions=mcp_era) as client:
            assert str(client.revision) == mcp_era
            assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"
    asyncio.run(main())

def test_revisions(mcp_client, mcp_revision):
    with mcp_client(server, revisions=mcp_revision) as client:
        assert str(client.revision) == mcp_revision

def test_that_fails(mcp_client):
    with mcp_client(server) as client:
        assert client.call_tool("add", {"a": 1, "b": 2}).text == "4"

def test_that_is_cancelled(mcp_client):
    async def main():
        async with mcp_client(server) as client:
            await asyncio.get_running_loop().create_future()

    async def cancelled():
        task = asyncio.create_task(main())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1
    asyncio.run(cancelled())

def test_in_a_fixture(client):
    assert client.call_tool("add", {"a": 1, "b": 2}).text == "3"

@pytest.fixture
def client(mcp_client):
    with mcp_client(server) as client:
        yield client
"""


def test_the_fixtures_yield_fail_and_cancel_cleanly(tmp_path: Path) -> None:
    (tmp_path / "test_plugged.py").write_text(PLUGGED, encoding="utf-8")
    plugin = ["-p", "no:mcpcore", "-p", "mcpcore.testing"]  # registered here whether or not mcpcore is installed
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *plugin, "test_plugged.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 12 passed" in run.stdout, run.stdout + run.stderr
    assert "FAILED test_plugged.py::test_that_fails - AssertionError: assert '3' == '4'" in run.stdout


def test_the_plugin_is_cheap_to_load() -> None:
    code = "import sys, mcpcore.testing as t; print(sorted(m for m in sys.modules if m.split('.')[0] in "
    code += "('mcpcore', 'asyncio', 'pytest', 'msgspec', 'orjson')))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['mcpcore', 'mcpcore.testing']"
