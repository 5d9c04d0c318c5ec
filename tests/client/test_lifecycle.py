"""A client's life: closed from anywhere, forgotten, used from the wrong loop, started again; nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from mcpcore.client import Client, SyncClient
from mcpcore.client.app import VERSION
from mcpcore.core.limits import Limits
from mcpcore.errors import Closed, ConnectFailed, ConnectionLost, UsageError
from tests.client.toys import ERAS, LEGACY, Message, Talk, Toy, program, silence

QUICK = Limits(probe_seconds=0.5)
"""The programs answer the probe; this is only for a machine that is busy."""


async def pid_of(client: Client) -> int:
    return int((await client.call_tool("pid")).text)


def gone(pid: int, seconds: float = 5) -> bool:
    """Whether this process ends, and is reaped, soon."""
    until = time.monotonic() + seconds
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)


async def nothing_runs() -> None:
    """No task but this one."""
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - {asyncio.current_task()} == set()


# --- closing from anywhere --------------------------------------------------------------------------------------------


def test_closed_in_another_task() -> None:
    async def story() -> int:
        client = await Client(program(), limits=QUICK).connect()
        pid = await pid_of(client)
        await asyncio.create_task(client.close())
        await nothing_runs()
        return pid

    assert gone(asyncio.run(story()), 0.1)


def test_closed_by_an_exit_stack_that_another_task_unwinds() -> None:
    async def story() -> int:
        stack = AsyncExitStack()

        async def enter() -> int:
            return await pid_of(await stack.enter_async_context(Client(program(), limits=QUICK)))

        pid = await asyncio.create_task(enter())
        await asyncio.create_task(stack.aclose())
        await nothing_runs()
        return pid

    assert gone(asyncio.run(story()), 0.1)


async def tools(pids: list[int]) -> AsyncIterator[Client]:
    async with Client(program(), limits=QUICK) as client:
        pids.append(await pid_of(client))
        yield client


def test_closed_by_the_finalizer_of_an_async_generator() -> None:
    async def story() -> None:
        pids: list[int] = []
        generator = tools(pids)
        await anext(generator)
        del generator
        gc.collect()
        async with asyncio.timeout(5):
            while not gone(pids[0], 0) or asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0.01)

    asyncio.run(story())


def test_closed_by_the_end_of_asyncio_run() -> None:
    pids: list[int] = []
    kept: list[Any] = []

    async def story() -> None:
        generator = tools(pids)
        kept.append(generator)
        await anext(generator)

    asyncio.run(story())
    assert gone(pids[0], 0.5)


def test_closed_from_another_thread_with_a_loop_of_its_own() -> None:
    async def story() -> int:
        client = await Client(program(), limits=QUICK).connect()
        pid = await pid_of(client)
        pending = asyncio.ensure_future(client.call_tool("wait"))
        await asyncio.to_thread(asyncio.run, client.close())
        assert isinstance((await asyncio.gather(pending, return_exceptions=True))[0], Closed)
        await nothing_runs()
        return pid

    assert gone(asyncio.run(story()), 0.1)


def test_closed_after_its_loop_has_ended() -> None:
    client = Client(program(), limits=QUICK)

    async def story() -> int:
        await client.connect()
        return await pid_of(client)

    pid = asyncio.run(story())
    asyncio.run(client.close())
    assert gone(pid)


def test_fifty_clients_close_at_once() -> None:
    async def story() -> list[int]:
        clients = [Client(program(), limits=Limits(probe_seconds=20)) for _ in range(50)]
        await asyncio.gather(*(client.connect() for client in clients))
        pids = await asyncio.gather(*map(pid_of, clients))
        began = time.monotonic()
        await asyncio.gather(*(client.close() for client in clients))
        assert time.monotonic() - began < 8
        await nothing_runs()
        return pids

    assert all(gone(pid, 0.1) for pid in asyncio.run(story()))


def test_closing_twice_at_once_and_again_is_closing_once() -> None:
    async def story() -> None:
        client = await Client(Toy()).connect()
        await asyncio.gather(client.close(), client.close(), client.close())
        await client.close()
        await Client(Toy()).close()

    asyncio.run(story())


def test_a_cancelled_close_goes_on_by_itself() -> None:
    async def story() -> int:
        client = await Client(program(), limits=QUICK).connect()
        pid = await pid_of(client)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        await client.close()
        await nothing_runs()
        return pid

    assert gone(asyncio.run(story()), 0.1)


def test_a_client_may_be_closed_by_its_own_callback() -> None:
    async def story() -> None:
        closed = asyncio.Event()

        async def close(params: Message) -> None:
            try:
                await client.close()
            finally:
                closed.set()

        toy = Toy()
        client = Client(toy, notifications={"vendor/stop": close})
        await client.connect()
        toy.talk.notify("vendor/stop")
        await asyncio.wait_for(closed.wait(), 5)
        await client.close()
        await nothing_runs()

    asyncio.run(story())


def test_a_stuck_server_does_not_hold_up_closing() -> None:
    body = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin: opening(json.loads(line))
time.sleep(3600)
"""

    async def story() -> None:
        client = await Client(program(body), limits=QUICK, close_timeout=0.4).connect()
        began = time.monotonic()
        await client.close()
        assert time.monotonic() - began < 2

    asyncio.run(story())


def test_a_client_can_be_connected_again_also_in_another_loop() -> None:
    toy = Toy()
    client = Client(toy)

    async def story() -> None:
        for _ in range(2):
            async with client:
                await client.subscribe("x://a")
                await client.call_tool("x")
            with pytest.raises(Closed):
                await client.ping()

    asyncio.run(story())
    asyncio.run(story())
    assert len(toy.talks) == 4


def test_closing_while_connecting_ends_the_attempt() -> None:
    async def story() -> None:
        toy = Toy(handlers={"server/discover": silence})
        client = Client(toy)
        connecting = asyncio.ensure_future(client.connect())
        await toy.seen("server/discover")
        await client.close()
        with pytest.raises(Closed):
            await connecting
        await nothing_runs()

    asyncio.run(story())


# --- forgotten, and used wrongly --------------------------------------------------------------------------------------


def test_a_forgotten_client_kills_its_server_and_warns() -> None:
    async def story() -> None:
        client = await Client(program(), limits=QUICK, log=lambda message: None).connect()
        pid = await pid_of(client)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
            async with asyncio.timeout(5):
                while not gone(pid, 0) or asyncio.all_tasks() != {asyncio.current_task()}:
                    await asyncio.sleep(0.01)
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        assert "never closed" in str(caught[0].message)

    asyncio.run(story())


def test_a_program_that_forgets_its_client_prints_one_warning_and_no_traceback() -> None:
    source = f"""
import asyncio
from mcpcore.client import Client
async def main():
    client = await Client({program()!r}).connect()
    print((await client.call_tool("pid")).text)
asyncio.run(main())
"""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False)
    assert done.returncode == 0
    assert done.stderr.count("ended now\n") == 1 and "Traceback" not in done.stderr, done.stderr
    assert "Task" not in done.stderr, done.stderr
    assert gone(int(done.stdout))


def test_another_loop_gets_an_error_that_names_both_and_never_hangs() -> None:
    async def story() -> None:
        async with Client(Toy()) as client:

            async def elsewhere() -> None:
                with pytest.raises(UsageError, match=r"connected in <.*EventLoop.* used from <.*EventLoop"):
                    await client.ping()
                with pytest.raises(UsageError, match="connected in"):
                    await client.connect()

            await asyncio.to_thread(asyncio.run, elsewhere())
            await client.ping()

    asyncio.run(story())


def test_the_version_is_that_of_the_package() -> None:
    import mcpcore

    assert mcpcore.__version__ == VERSION


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("revision", ERAS)
def test_a_loop_with_eager_tasks_is_as_good_as_any(revision: str) -> None:
    async def story() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
        seen: list[int] = []

        async def at_once(params: Message) -> None:
            seen.append(params["n"])

        async def later(params: Message) -> None:
            await asyncio.sleep(0)
            seen.append(params["n"])

        for callback in (at_once, later):
            toy = Toy(revision)
            client = Client(toy, revisions=revision, notifications={"vendor/event": callback})
            for _ in range(2):
                async with client:
                    for n in range(5):
                        toy.talk.notify("vendor/event", {"n": n})
                    assert (await client.call_tool("x")).text == "called"
                    while len(seen) < 5:
                        await asyncio.sleep(0)
                assert seen == [0, 1, 2, 3, 4]
                seen.clear()
        with pytest.raises(ConnectFailed):
            await Client("no-such-program-here").connect()
        await nothing_runs()

    asyncio.run(story())


# --- restart ----------------------------------------------------------------------------------------------------------


def test_without_restart_a_dead_server_stays_dead_until_it_is_connected_again() -> None:
    async def story() -> None:
        client = await Client(program(), limits=QUICK).connect()
        with pytest.raises(ConnectionLost):
            await client.call_tool("exit")
        with pytest.raises(ConnectionLost, match="status 3"):
            await client.call_tool("pid")
        await client.connect()
        await pid_of(client)
        await client.close()
        await nothing_runs()

    asyncio.run(story())


def test_with_restart_the_next_call_starts_the_server_again() -> None:
    async def story() -> None:
        async with Client(program(), limits=QUICK, restart=True) as client:
            first = await pid_of(client)
            pending = asyncio.ensure_future(client.call_tool("wait"))
            with pytest.raises(ConnectionLost):
                await client.call_tool("exit")
            with pytest.raises(ConnectionLost):
                await pending
            assert await pid_of(client) != first

    asyncio.run(story())


@pytest.mark.parametrize("revision", ERAS)
def test_a_hundred_calls_after_a_loss_make_one_connection(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision)
        async with Client(toy, revisions=revision, restart=True) as client:
            await client.set_log_level("error")
            toy.talk.channel.close()
            while client._link.live() is not None:
                await asyncio.sleep(0)
            results = await asyncio.gather(*(client.call_tool("x") for _ in range(100)))
            assert len(results) == 100 and len(toy.talks) == 2
            assert len(toy.sent("logging/setLevel")) == (2 if revision == LEGACY else 0)

    asyncio.run(story())


def test_a_restart_that_fails_fails_all_who_wait_and_the_next_call_tries_again() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy, restart=True) as client:
            opening = toy.handlers.copy()
            toy.handlers["server/discover"] = lambda m, t: t.channel.close()
            toy.handlers["initialize"] = lambda m, t: t.channel.close()
            toy.talk.channel.close()
            while client._link.live() is not None:
                await asyncio.sleep(0)
            outcomes = await asyncio.gather(*(client.call_tool("x") for _ in range(10)), return_exceptions=True)
            assert all(isinstance(outcome, ConnectFailed) for outcome in outcomes) and len(toy.talks) == 2
            toy.handlers = opening
            assert (await client.call_tool("x")).text == "called"
            assert len(toy.talks) == 3

    asyncio.run(story())


def test_one_of_many_who_wait_for_a_restart_may_be_cancelled() -> None:
    async def story() -> None:
        release = asyncio.Event()

        async def discover(message: Message, talk: Talk) -> Message:
            await release.wait()
            return {"supportedVersions": ["2026-07-28"], "capabilities": {}}

        toy = Toy()
        async with Client(toy, restart=True) as client:
            toy.handlers["server/discover"] = lambda m, t: discover(m, t)
            toy.talk.channel.close()
            while client._link.live() is not None:
                await asyncio.sleep(0)
            one, two = (asyncio.ensure_future(client.call_tool("x")) for _ in "ab")
            await toy.seen("server/discover", 2)
            one.cancel()
            await asyncio.wait([one])
            release.set()
            assert (await two).text == "called" and len(toy.talks) == 2

    asyncio.run(story())


# --- threads ----------------------------------------------------------------------------------------------------------


def test_the_server_may_be_upgraded_between_two_connections() -> None:
    async def story() -> None:
        toy = Toy(LEGACY)
        async with Client(toy, restart=True) as client:
            assert client.revision == LEGACY
            toy.revision, toy.modern = "2026-07-28", True
            toy.talk.channel.close()
            while client._link.live() is not None:
                await asyncio.sleep(0)
            await client.call_tool("x")
            assert client.revision == "2026-07-28"

    asyncio.run(story())


def test_sixty_four_threads_have_a_client_each() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with SyncClient(Toy()) as client:
                assert client.call_tool("x").text == "called"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
