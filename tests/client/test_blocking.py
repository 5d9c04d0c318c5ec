"""The client without await: in scripts, in threads, beside a running loop; interrupted, closed, forgotten."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest

from mcpcore.client import Client, Resync, Step, SyncClient, Timeouts, ToolsChanged
from mcpcore.client.app import ClientOptions
from mcpcore.core.limits import Limits
from mcpcore.errors import CallTimeout, ConnectFailed, ConnectionLost, UsageError
from mcpcore.types import Progress, PromptRef, ToolResult
from tests.client.toys import ERAS, LEGACY, MODERN, Message, Talk, Toy, program, silence, subscription, text

both_eras = pytest.mark.parametrize("revision", ERAS)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mcpcore-sync")]


@pytest.mark.parametrize("kind", [Client, SyncClient])
def test_both_clients_have_the_same_methods_with_the_same_parameters(kind: type) -> None:
    other: Any = SyncClient if kind is Client else Client
    for name, member in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        twin = getattr(other, name)
        if callable(member):
            assert list(inspect.signature(member).parameters) == list(inspect.signature(twin).parameters), name


def test_the_options_of_both_are_the_same() -> None:
    assert list(ClientOptions.__annotations__) == list(inspect.signature(Client).parameters)[1:]


@both_eras
def test_every_request_works_without_await(revision: str) -> None:
    lists: dict[str, Any] = {"tools": [], "prompts": [], "resources": [], "resourceTemplates": []}
    handlers = {
        "tools/list": lists,
        "prompts/list": lists,
        "resources/list": lists,
        "resources/templates/list": lists,
        "resources/read": {"contents": []},
        "prompts/get": {"messages": []},
        "completion/complete": {"completion": {"values": ["a"]}},
        "acme/x": {"y": 1},
    }
    toy = Toy(revision, handlers=handlers)
    with SyncClient(toy, revisions=revision) as client:
        assert client.revision == revision and client.instructions == "be kind"
        assert client.server_info is not None and client.server_info.name == "toy"
        assert client.server_capabilities.logging == {} and client.verdict is not None
        assert client.call_tool("x").text == "called"
        assert client.list_tools() == client.list_prompts() == client.list_resources() == []
        assert client.list_resource_templates() == client.list_tools_page().items == []
        assert client.list_prompts_page().items == client.list_resources_page().items == []
        assert client.list_resource_templates_page().items == []
        assert client.read_resource("x://y").contents == [] and client.get_prompt("p").messages == []
        assert client.complete(PromptRef(name="p"), "a", "b").values == ["a"]
        assert isinstance(client.begin_call("x"), ToolResult)
        assert not isinstance(client.begin_get_prompt("p"), Step) and not isinstance(client.begin_read("x://y"), Step)
        assert client.request("acme/x") == {"resultType": "complete", "y": 1} or client.request("acme/x") == {"y": 1}
        client.ping()
        client.notify("acme/told", {"a": 1})
        client.set_log_level("info")
        client.subscribe("x://a")
        client.unsubscribe("x://a")
        client.notify_roots_changed()
        client.ping()
    assert toy.sent("acme/told")[0]["params"] == {"a": 1}
    assert threads() == []


def test_errors_are_the_same() -> None:
    toy = Toy(handlers={"tools/call": silence})
    with SyncClient(toy) as client:
        with pytest.raises(CallTimeout):
            client.call_tool("x", timeout=0.02)
        with pytest.raises(UsageError):
            client.call_tool("x", timeout=-1)
    with pytest.raises(UsageError, match="connect"):
        client.ping()
    with pytest.raises(ConnectFailed):
        SyncClient("no-such-program-here").connect()
    with pytest.raises(UsageError):
        SyncClient("http://")
    assert threads() == []


def test_it_works_in_a_worker_thread_of_a_running_loop_and_beside_one() -> None:
    def work() -> str:
        with SyncClient(Toy()) as client:
            return client.call_tool("x").text

    async def story() -> None:
        assert await asyncio.to_thread(work) == "called"
        assert work() == "called"

    asyncio.run(story())


def test_several_threads_use_one_client() -> None:
    together = threading.Barrier(8)

    async def slow(message: Message, talk: Talk) -> Message:
        await asyncio.sleep(0.05)
        return text(message["params"]["name"])

    found: list[str] = []
    with SyncClient(Toy(handlers={"tools/call": lambda m, t: slow(m, t)})) as client:

        def work(name: str) -> None:
            together.wait(5)
            found.append(client.call_tool(name).text)

        workers = [threading.Thread(target=work, args=(str(n),)) for n in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(5)
    assert sorted(found) == [str(n) for n in range(8)]


@both_eras
def test_callbacks_run_in_threads_and_may_use_the_client(revision: str) -> None:
    where: list[str] = []

    def work(message: Message, talk: Talk) -> Any:
        if message["params"]["name"] == "inner":
            return text("inner")
        talk.notify("vendor/event", {"a": 1})
        for step in (1, 2):
            token = message["params"]["_meta"]["progressToken"]
            talk.notify("notifications/progress", {"progressToken": token, "progress": step})
        return text("outer")

    seen: list[Any] = []
    done = threading.Event()

    def on_event(params: Message) -> None:
        where.append(threading.current_thread().name)
        seen.append(client.call_tool("inner").text)
        done.set()

    def on_progress(update: Progress) -> None:
        where.append(threading.current_thread().name)
        time.sleep(0.01)
        seen.append(update.progress)

    toy = Toy(revision, handlers={"tools/call": work})
    with SyncClient(toy, revisions=revision, notifications={"vendor/event": on_event}) as client:
        assert client.call_tool("x", progress=on_progress).text == "outer"
        assert [item for item in seen if item != "inner"] == [1, 2]
        assert done.wait(5) and "inner" in seen
    assert "mcpcore-sync-client" not in where and threading.current_thread().name not in where


def test_its_own_loop_is_no_place_to_wait() -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    async def on_event(params: Message) -> None:
        try:
            client.ping()
        except BaseException as error:
            errors.append(error)
        done.set()

    toy = Toy()
    with SyncClient(toy, notifications={"vendor/event": on_event}) as client:
        client._thread.loop.call_soon_threadsafe(toy.talk.notify, "vendor/event")  # type: ignore[union-attr]
        assert done.wait(5)
    assert isinstance(errors[0], UsageError)


@both_eras
def test_a_stream_of_events_is_a_plain_iterator(revision: str) -> None:
    toy = Toy(revision)

    def tell() -> None:
        meta = {"_meta": subscription(toy.sent("subscriptions/listen")[0])} if revision == MODERN else {}
        toy.talk.notify("notifications/tools/list_changed", meta)

    with SyncClient(toy, revisions=revision) as client, client.listen(tools=True) as events:
        assert events.honoured.tools_list_changed
        assert client._thread is not None
        client._thread.loop.call_soon_threadsafe(tell)
        assert next(events) == ToolsChanged()
        client._thread.loop.call_soon_threadsafe(toy.talk.channel.close)
        with pytest.raises(ConnectionLost):
            next(events)
    with (
        SyncClient(Toy(MODERN, handlers={"subscriptions/listen": {}})) as client,
        client.listen(tools=True) as events,
    ):
        assert list(events) == []


def test_with_restart_a_plain_iterator_gets_a_resync() -> None:
    toy = Toy()
    with SyncClient(toy, restart=True) as client, client.listen(tools=True) as events:
        assert client._thread is not None
        client._thread.loop.call_soon_threadsafe(toy.talk.channel.close)
        assert next(events) == Resync()


def test_it_can_be_connected_again_and_closed_twice() -> None:
    client = SyncClient(Toy())
    for _ in range(2):
        with client:
            assert client.connect() is client
            client.ping()
        client.close()
    assert threads() == []


def test_a_forgotten_client_ends_its_thread_and_its_server_with_one_warning() -> None:
    client = SyncClient(program(), limits=Limits(probe_seconds=0.5)).connect()
    pid = int(client.call_tool("pid").text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del client
        gc.collect()
        until = time.monotonic() + 5
        while threads() and time.monotonic() < until:
            time.sleep(0.01)
        gc.collect()
    assert threads() == []
    assert [warning.category for warning in caught] == [ResourceWarning]
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    else:
        pytest.fail("the server is still there")


CTRL_C = """
import sys
from mcpcore.client import SyncClient
with SyncClient({command!r}) as client:
    try:
        client.call_tool("wait")
    except KeyboardInterrupt:
        print("interrupted")
    print(client.request("acme/seen")["cancelled"])
"""

SERVER = """
cancelled = []
for line in sys.stdin:
    m = json.loads(line)
    opening(m)
    if m.get("method") == "tools/call": sys.stderr.write("called"); sys.stderr.flush()
    if m.get("method") == "notifications/cancelled": cancelled.append(m["params"])
    if m.get("method") == "acme/seen": answer(m, {"cancelled": cancelled})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_cancels_the_call_on_the_server_too(tmp_path: Any) -> None:
    """The program's SIGINT comes once its server has the call: the server says so in a file."""
    mark = tmp_path / "called"
    body = SERVER.replace('sys.stderr.write("called"); sys.stderr.flush()', f'open({str(mark)!r}, "w").close()')
    source = CTRL_C.format(command=program(body))
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=env)
    try:
        until = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert output.startswith("interrupted\n[{'requestId': "), output
    assert process.returncode == 0


CTRL_C_WHILE_CONNECTING = """
import os, threading
from mcpcore.client import SyncClient
try:
    SyncClient({command!r}).connect()
except KeyboardInterrupt:
    print("interrupted", [t.name for t in threading.enumerate() if t.name == "mcpcore-sync-client"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_connecting_leaves_nothing(tmp_path: Any) -> None:
    mark = tmp_path / "started"
    source = CTRL_C_WHILE_CONNECTING.format(
        command=program(f'open({str(mark)!r}, "w").write(str(os.getpid()))\nfor line in sys.stdin: pass')
    )
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-X", "dev", "-c", source], stdout=subprocess.PIPE, text=True, env=env)
    try:
        until = time.monotonic() + 20
        while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert output == "interrupted []\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


def test_a_plain_script_works_and_ends() -> None:
    source = f"""
from mcpcore.client import SyncClient
with SyncClient({program()!r}) as client:
    print(client.call_tool("pid").text.isdigit())
"""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source], capture_output=True, text=True, env=env, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_limits_of_time_are_the_same() -> None:
    with SyncClient(Toy(LEGACY), revisions=LEGACY, timeout=Timeouts(idle=1)) as client:
        client.ping(timeout=3)
