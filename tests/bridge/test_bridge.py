"""A bridge seen by its clients: what the server behind says, and one error where it cannot say anything."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client
from mcpcore.bridge.bridge import Bridge
from mcpcore.errors import McpError, RpcError, TransportError
from mcpcore.spec.revisions import ALL
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer

BEHIND = str(Path(__file__).with_name("behind.py"))
WAIT = 20
REVISIONS = [revision.name for revision in ALL]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def timed() -> None:
        await asyncio.wait_for(story(), 3 * WAIT)

    asyncio.run(timed())


@asynccontextmanager
async def over_http(log: str = "") -> AsyncIterator[str]:
    """A server on stdio behind a bridge; the URL of the bridge."""
    http = HttpServer(Bridge([sys.executable, BEHIND, "0", log or "/dev/null"]), HttpOptions(port=0))
    await http.start()
    try:
        yield f"http://127.0.0.1:{http.port}/mcp"
    finally:
        await http.stop(0)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Behind:
    """A server over HTTP that can be killed and started again on its port."""

    def __init__(self, log: str = "/dev/null") -> None:
        self.port = free_port()
        self.log = log
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        words = [sys.executable, BEHIND, str(self.port), self.log]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(*words, stderr=pipe, stdin=asyncio.subprocess.DEVNULL)
        assert self.process.stderr is not None
        assert b"serving" in await self.process.stderr.readline()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def behind(log: str = "/dev/null") -> AsyncIterator[Behind]:
    server = Behind(log)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def both_ways(way: str, log: str = "/dev/null") -> AsyncIterator[Any]:
    """The target of a client that reaches the server through a bridge."""
    if way == "a command over HTTP":
        async with over_http(log) as url:
            yield url
    else:
        async with behind(log) as server:
            yield [sys.executable, "-m", "mcpcore", "bridge", server.url]


WAYS = ["a command over HTTP", "a URL over stdio"]


def client(target: Any, **options: Any) -> Client:
    if not isinstance(target, str):
        options["inherit_env"] = "all"
    return Client(target, **options)


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("way", WAYS)
def test_calls_progress_and_questions_pass_in_every_revision(way: str, revision: str) -> None:
    async def story() -> None:
        async with (
            both_ways(way) as target,
            client(target, revisions=revision, elicitation=lambda question: {"name": "Ada"}) as one,
        ):
            assert one.revision == revision
            assert (await one.call_tool("echo", {"text": "hello"})).text == "hello"
            heard: list[float] = []
            counted = await one.call_tool("count", {"to": 3}, progress=lambda progress: heard.append(progress.progress))
            assert counted.text == "counted"
            assert heard[-1:] == [3]
            if revision >= "2025-06-18":
                assert (await one.call_tool("ask")).text == "accept {'name': 'Ada'}"
            with pytest.raises(RpcError, match="Unknown tool"):
                await one.call_tool("nothing")

    run(story)


@pytest.mark.parametrize("way", WAYS)
def test_changes_are_heard_by_who_listens(way: str) -> None:
    async def story() -> None:
        async with both_ways(way) as target, client(target, revisions="2026-07-28") as one:
            async with one.listen(tools=True) as events:
                await one.call_tool("grow")
                async for _ in events:
                    break
            assert "grown" in [tool.name for tool in await one.list_tools(refresh=True)]

    run(story)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("way", WAYS)
def test_a_cancelled_call_is_cancelled_in_the_server_behind(way: str, revision: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    async def said(text: str) -> None:
        while text not in log.read_text():
            await asyncio.sleep(0.01)

    async def story() -> None:
        async with both_ways(way, str(log)) as target, client(target, revisions=revision) as one:
            call = asyncio.ensure_future(one.call_tool("wait"))
            await asyncio.wait_for(said("waiting"), WAIT)
            call.cancel()
            await asyncio.wait_for(said("cancelled"), WAIT)
            assert (await one.call_tool("echo", {"text": "on"})).text == "on"

    run(story)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_fifty_clients_each_get_their_own_answers(revision: str) -> None:
    """Every client numbers its requests from 1, and modern ones share one conversation with the server behind."""

    async def story() -> None:
        async with over_http() as url:

            async def one(number: int) -> None:
                async with Client(url, revisions=revision) as own:
                    for turn in range(4):
                        text = f"{number}/{turn}"
                        heard: list[Any] = []
                        counted = own.call_tool("count", {"to": 2}, progress=heard.append)
                        answer, _ = await asyncio.gather(own.call_tool("echo", {"text": text}), counted)
                        assert answer.text == text
                        assert heard
                        assert {one.progress for one in heard} <= {1, 2}

            await asyncio.gather(*(one(number) for number in range(50)))

    run(story)


def test_a_server_that_is_killed_ten_times_costs_errors_and_no_call_twice(tmp_path: Path) -> None:
    """``echo`` does not say that it may be repeated, so the server behind sees each call at most once."""
    log = tmp_path / "log"
    log.touch()
    answered: list[str] = []
    failed: list[str] = []

    async def story() -> None:
        async with behind(str(log)) as server:
            bridge = HttpServer(Bridge(server.url), HttpOptions(port=0))
            await bridge.start()
            url = f"http://127.0.0.1:{bridge.port}/mcp"
            stop = asyncio.Event()

            async def one(number: int) -> None:
                revision = "2026-07-28" if number % 2 else "2025-11-25"
                turn = 0
                while not stop.is_set():
                    with suppress(McpError):
                        async with Client(url, revisions=revision, timeout=WAIT) as own:
                            while not stop.is_set():
                                turn += 1
                                text = f"{number}/{turn}"
                                try:
                                    answer = await own.call_tool("echo", {"text": text})
                                except (RpcError, TransportError):
                                    failed.append(text)
                                    await asyncio.sleep(0.01)
                                else:
                                    assert answer.text == text
                                    answered.append(text)
                    await asyncio.sleep(0.01)

            tasks = [asyncio.ensure_future(one(number)) for number in range(50)]
            for _ in range(10):
                before = len(answered)
                while len(answered) < before + 25:
                    await asyncio.sleep(0.01)
                await server.kill()
                await server.start()
            before = len(answered)
            while len(answered) < before + 50:
                await asyncio.sleep(0.01)
            stop.set()
            await asyncio.gather(*tasks)
            await bridge.stop(0)

    run(story)
    seen = Counter(log.read_text().split())
    assert max(seen.values()) == 1
    assert not set(answered) & set(failed)
    assert set(answered) <= set(seen)
    assert failed, "nothing was lost, so nothing was tried"


def test_without_a_common_era_the_client_is_told() -> None:
    """A bridge does not translate eras; who speaks both of them finds the one that is there."""
    async def story() -> None:
        program = "from mcpcore import Server\ns = Server('old', revisions=['2025-11-25'])\n"
        program += "@s.tool\nasync def age() -> str:\n    return 'old'\ns.run()\n"
        http = HttpServer(Bridge([sys.executable, "-c", program]), HttpOptions(port=0))
        await http.start()
        url = f"http://127.0.0.1:{http.port}/mcp"
        async with Client(url) as both:
            assert both.revision == "2025-11-25"
            assert (await both.call_tool("age")).text == "old"
        with pytest.raises(McpError, match="does not speak 2026-07-28"):
            await Client(url, revisions="2026-07-28").connect()
        await http.stop(0)

    run(story)


def test_a_server_that_does_not_start_is_named_with_its_last_words() -> None:
    async def story() -> None:
        program = "import sys; sys.exit('no database here')"
        http = HttpServer(Bridge([sys.executable, "-c", program]), HttpOptions(port=0))
        await http.start()
        with pytest.raises(McpError, match="no database here"):
            await Client(f"http://127.0.0.1:{http.port}/mcp").connect()
        await http.stop(0)

    run(story)
