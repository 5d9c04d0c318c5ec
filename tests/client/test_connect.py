"""Connecting: which era a server turns out to speak, what is sent, and the one error where nothing comes of it."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mcpcore.client import Client, ConnectTimeout, Timeouts
from mcpcore.core.limits import Limits
from mcpcore.errors import CallTimeout, ConnectFailed, UnsupportedRevision, UsageError
from mcpcore.spec.meta import CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION
from mcpcore.testing import REVISIONS, FakeClock
from tests.client.toys import LEGACY, MODERN, Message, Talk, Toy, program, refuse, silence


async def connected(target: Any, **options: Any) -> tuple[str, list[Message]]:
    async with Client(target, **options) as client:
        return client.revision, target.received if isinstance(target, Toy) else []


def methods(sent: list[Message]) -> list[Any]:
    return [message.get("method") for message in sent]


# --- which era --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_client_finds_out_what_its_server_speaks(revision: str) -> None:
    spoken, sent = asyncio.run(connected(Toy(revision)))
    assert spoken == revision
    legacy = ["server/discover", "initialize", "notifications/initialized"]
    assert methods(sent) == (["server/discover"] if revision == MODERN else legacy)


@pytest.mark.parametrize("code", [-32601, -32600, -32602, -32603, -32001, 0, 42])
def test_any_other_error_to_the_probe_means_a_legacy_server(code: int) -> None:
    spoken, _ = asyncio.run(connected(Toy(LEGACY, handlers={"server/discover": refuse(code)})))
    assert spoken == LEGACY


def test_a_silent_server_gets_the_handshake_beside_the_probe() -> None:
    toy = Toy(LEGACY, handlers={"server/discover": silence})
    clock = FakeClock()
    spoken, sent = clock.run(connected(toy, limits=Limits(probe_seconds=2.0)))
    assert spoken == LEGACY
    assert 2.0 <= clock.time() < 3.0
    assert "notifications/cancelled" not in methods(sent)


def test_a_slow_modern_server_is_modern_although_the_handshake_was_tried() -> None:
    async def slow(message: Message, talk: Talk) -> Message:
        await asyncio.sleep(5)
        return {"supportedVersions": [MODERN], "capabilities": {}}

    toy = Toy(MODERN, handlers={"server/discover": lambda m, t: slow(m, t), "initialize": silence})
    spoken, sent = FakeClock().run(connected(toy))
    assert spoken == MODERN
    assert methods(sent) == ["server/discover", "initialize"]


def test_a_modern_error_is_never_answered_with_initialize() -> None:
    offer = refuse(-32022, "Unsupported protocol version", {"supported": ["2099-01-01"]})
    toy = Toy(MODERN, handlers={"server/discover": offer})
    with pytest.raises(UnsupportedRevision) as caught:
        asyncio.run(connected(toy))
    assert caught.value.offered == ("2099-01-01",)
    assert "toy" in str(caught.value)
    assert methods(toy.received) == ["server/discover"]


def test_a_pinned_client_speaks_nothing_else() -> None:
    assert methods(asyncio.run(connected(Toy(LEGACY), revisions=LEGACY))[1])[0] == "initialize"
    with pytest.raises(ConnectFailed, match="pinned"):
        asyncio.run(connected(Toy(LEGACY), revisions=MODERN))
    with pytest.raises(UnsupportedRevision, match="2024-11-05"):
        asyncio.run(connected(Toy("2024-11-05"), revisions=["2025-06-18", LEGACY]))


@pytest.mark.parametrize("revision", [LEGACY, "2024-11-05"])
def test_a_verdict_spares_the_next_client_the_probe(revision: str) -> None:
    async def story() -> list[Any]:
        async with Client(Toy(revision)) as first:
            verdict = first.verdict
        toy = Toy(revision)
        async with Client(toy, verdict=verdict) as second:
            assert second.revision == revision
        return methods(toy.received)

    assert asyncio.run(story()) == ["initialize", "notifications/initialized"]


def test_a_stale_verdict_is_corrected() -> None:
    assert asyncio.run(connected(Toy(MODERN), verdict=LEGACY))[0] == MODERN
    assert asyncio.run(connected(Toy(LEGACY), verdict=MODERN))[0] == LEGACY


def test_a_server_that_exits_at_the_probe_is_started_again_with_the_handshake() -> None:
    body = """
m = json.loads(sys.stdin.readline())
if m["method"] != "initialize": sys.stderr.write("expected initialize"); sys.exit(1)
opening(m)
for line in sys.stdin: pass
"""
    assert asyncio.run(connected(program(body)))[0] == LEGACY


# --- what is said -----------------------------------------------------------------------------------------------------


def test_every_modern_request_carries_the_envelope() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy, name="me", version="7", title="Me") as client:
            await client.call_tool("x")
            await client.call_tool("x", meta={"acme/id": 1})
        for message in toy.received:
            meta = message["params"]["_meta"]
            assert meta[PROTOCOL_VERSION] == MODERN
            assert meta[CLIENT_INFO] == {"name": "me", "version": "7", "title": "Me"}
            assert meta[CLIENT_CAPABILITIES] == {}
        assert toy.sent("tools/call")[1]["params"]["_meta"]["acme/id"] == 1

    asyncio.run(story())


DECLARED = {
    "2024-11-05": {"roots": {"listChanged": True}, "sampling": {}},
    "2025-03-26": {"roots": {"listChanged": True}, "sampling": {}},
    "2025-06-18": {"roots": {"listChanged": True}, "sampling": {}, "elicitation": {}},
    LEGACY: {"roots": {"listChanged": True}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}},
    MODERN: {"roots": {}, "sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}},
}


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_callbacks_decide_what_is_declared_in_each_revision(revision: str) -> None:
    toy = Toy(revision)
    options: dict[str, Any] = {
        "sampling": lambda params: "x",
        "elicitation": lambda params: None,
        "roots": ["file:///a"],
        "capabilities": {"sampling": {"tools": {}}},
        "revisions": revision,
    }
    asyncio.run(connected(toy, **options))
    params = toy.received[0]["params"]
    declared = params["_meta"][CLIENT_CAPABILITIES] if revision == MODERN else params["capabilities"]
    assert declared == DECLARED[revision]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_facts_about_the_server_are_there_after_connecting(revision: str) -> None:
    async def story() -> None:
        async with Client(Toy(revision, {"tools": {}})) as client:
            assert client.server_info is not None and client.server_info.name == "toy"
            assert client.server_capabilities.tools == {} and client.server_capabilities.prompts is None
            assert client.instructions == "be kind"
            assert client.verdict is not None and client.verdict.revision == revision

    asyncio.run(story())


def test_a_server_may_ping_before_it_answers_the_handshake() -> None:
    def initialize(message: Message, talk: Talk) -> None:
        talk.ask(1, "ping")
        talk.toy.handlers["initialize"] = None

    async def story() -> None:
        toy = Toy(LEGACY, handlers={"initialize": initialize})
        connecting = asyncio.ensure_future(Client(toy, revisions=LEGACY).connect())
        pong = await toy.seen(None)
        assert pong == {"jsonrpc": "2.0", "id": 1, "result": {}}
        toy.handlers.pop("initialize")
        toy._serve(toy.sent("initialize")[0], toy.talk)
        client = await connecting
        await client.close()

    asyncio.run(story())


# --- where it fails ---------------------------------------------------------------------------------------------------


def test_a_server_that_exits_gives_one_error_with_its_status_and_stderr() -> None:
    command = [sys.executable, "-c", "import sys; sys.stderr.write('no configuration\\n'); sys.exit(1)"]
    with pytest.raises(ConnectFailed) as caught:
        asyncio.run(connected(command))
    error = caught.value
    assert "exited with status 1" in str(error) and "no configuration" in str(error) and "sys.exit(1)" in str(error)
    assert "no configuration" in error.stderr and sys.executable in error.endpoint


def test_a_missing_command_is_one_error() -> None:
    with pytest.raises(ConnectFailed, match="no-such-program-here"):
        asyncio.run(connected("no-such-program-here --flag"))


def test_a_refused_handshake_is_one_error_that_keeps_the_answer() -> None:
    with pytest.raises(ConnectFailed, match="not today") as caught:
        asyncio.run(connected(Toy(LEGACY, handlers={"initialize": refuse(-32603, "not today")})))
    assert getattr(caught.value.__cause__, "code", None) == -32603


def test_a_server_that_never_answers_is_given_up_after_the_limit() -> None:
    body = "sys.stderr.write('thinking'); sys.stderr.flush()\nfor line in sys.stdin: pass"
    began = time.monotonic()
    with pytest.raises(ConnectTimeout) as caught:
        asyncio.run(connected(program(body), timeout=Timeouts(connect=0.3), limits=Limits(probe_seconds=0.1)))
    assert time.monotonic() - began < 3
    error = caught.value
    assert isinstance(error, CallTimeout) and isinstance(error, ConnectFailed)
    assert error.limit == "connect" and error.seconds == 0.3
    assert "thinking" in error.stderr


@pytest.mark.parametrize(
    "url", ["ws://x", "wss://x", "tcp://x:1", "unix:///tmp/x", "unix:/x"]
)
def test_a_url_is_refused_with_what_there_is(url: str) -> None:
    with pytest.raises(UsageError, match=r"not available yet.*command.*server object"):
        Client(url)


@pytest.mark.parametrize("target", [None, 7, [], ["a", 1], "", object(), Path("server.py")])
def test_what_cannot_be_a_server_is_refused_at_once(target: Any) -> None:
    with pytest.raises(UsageError):
        Client(target)


@pytest.mark.parametrize(
    "options",
    [
        {"revisions": "2023-01-01"},
        {"revisions": []},
        {"timeout": -1},
        {"timeout": Timeouts},
        {"inherit_env": "some"},
        {"output_check": "maybe"},
        {"env": {"A": "b"}},
        {"max_rounds": -1},
        {"capabilities": {"sampling": True}},
        {"notifications": {"a/b": 1}},
        {"log": "x"},
    ],
)
def test_a_wrong_option_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Client(Toy(), **options)


def test_without_asyncio_the_error_names_it() -> None:
    """Under trio there is no running asyncio loop either."""
    connecting = Client(Toy()).connect()
    with pytest.raises(UsageError, match="asyncio"):
        connecting.send(None)


def test_before_connecting_a_call_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="connect"):
        asyncio.run(Client(Toy()).ping())
    with pytest.raises(UsageError, match="connect"):
        assert Client(Toy()).revision


# --- cancelled connecting ---------------------------------------------------------------------------------------------


def test_connecting_cancelled_at_any_moment_leaves_nothing() -> None:
    chance = random.Random(7)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        for round in range(25):
            client = Client(program(), limits=Limits(probe_seconds=0.02))
            connecting = loop.create_task(client.connect())
            await asyncio.sleep(chance.random() * 0.05)
            connecting.cancel()
            await asyncio.wait([connecting])
            if not connecting.cancelled():
                await client.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, f"round {round}: {others}"

    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    asyncio.run(story())
    after = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    assert after <= before + 1


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_connecting_cancelled_in_any_turn_of_the_loop_leaves_nothing(revision: str) -> None:
    async def story() -> None:
        finished = 0
        for turns in range(40):
            toy = Toy(revision)
            client = Client(toy, notifications={"notifications/tools/list_changed": lambda params: None})
            connecting = asyncio.ensure_future(client.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.wait([connecting])
            if not connecting.cancelled():
                finished += 1
                await client.close()
            assert all(talk.channel.is_closing() for talk in toy.talks), f"after {turns} turns"
            assert asyncio.all_tasks() == {asyncio.current_task()}, f"after {turns} turns"
        assert 0 < finished < 40

    asyncio.run(story())


def test_of_two_who_connect_one_may_be_cancelled_at_any_moment() -> None:
    async def story() -> None:
        for turns in range(30):
            client = Client(Toy())
            one, two = (asyncio.ensure_future(client.connect()) for _ in "ab")
            for _ in range(turns):
                await asyncio.sleep(0)
            one.cancel()
            await two
            await client.ping()
            await client.close()

    asyncio.run(story())


def test_connecting_to_a_silent_server_in_memory_can_be_cancelled() -> None:
    async def story() -> None:
        toy = Toy(handlers={"server/discover": silence})
        connecting = asyncio.ensure_future(Client(toy).connect())
        await toy.seen("server/discover")
        connecting.cancel()
        await asyncio.wait([connecting])
        assert connecting.cancelled() and toy.talk.channel.is_closing()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_two_tasks_that_connect_share_one_connection() -> None:
    async def story() -> None:
        toy = Toy()
        client = Client(toy)
        await asyncio.gather(client.connect(), client.connect())
        assert len(toy.talks) == 1
        await client.connect()
        assert len(toy.talks) == 1
        await client.close()

    asyncio.run(story())


def test_the_environment_and_directory_reach_the_process(tmp_path: Path) -> None:
    body = """
for line in sys.stdin:
    m = json.loads(line); opening(m)
    if m.get("method") == "acme/where": answer(m, {"cwd": os.getcwd(), "a": os.environ.get("A"), "n": len(os.environ)})
"""

    async def story() -> None:
        async with Client(program(body), env={"A": "b"}, cwd=tmp_path, inherit_env="none") as client:
            where = await client.request("acme/where")
        assert where["cwd"] == str(tmp_path) and where["a"] == "b" and where["n"] <= 3

    asyncio.run(story())
