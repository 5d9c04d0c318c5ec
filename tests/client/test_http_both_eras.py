"""The client with mcpcore's own server over HTTP: what works in memory works in every revision and in every form."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Context, Limits, Server
from mcpcore.client import Client, ResourceUpdated, Resync, ToolsChanged
from mcpcore.errors import CallTimeout
from mcpcore.testing import REVISIONS
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer
from tests.client.test_with_server import everything, options, server
from tests.schema_judge import AVAILABLE, Judge

LEGACY = [revision for revision in REVISIONS if revision < "2026"]
every_revision = pytest.mark.parametrize("revision", REVISIONS)


@contextlib.asynccontextmanager
async def served(server: Server, **options: Any) -> AsyncIterator[str]:
    """The URL of a server."""
    http = HttpServer(server, HttpOptions(port=0, **options))
    await http.start()
    try:
        unix = options.get("unix")
        yield f"http+unix://{unix.replace('/', '%2F')}/mcp" if unix else http.urls[0]
    finally:
        await http.stop()


def judged(client: Client) -> Judge:
    """Every frame of the client goes before the judge."""
    judge = Judge()
    target = client._link._target
    opens = target.open

    async def opened(runner: Any) -> Any:
        if AVAILABLE:
            runner.tap = lambda direction, frame: judge.frame("client" if direction == "out" else "server", frame)
        return await opens(runner)

    target.open = opened  # type: ignore[method-assign]
    return judge


@every_revision
@pytest.mark.parametrize("answers", ["auto", "sse"])
def test_everything_works_over_streamable_http(revision: str, answers: str) -> None:
    async def story() -> None:
        logs: list[Any] = []
        async with served(server, answers=answers) as url:
            client = Client(url, revisions=revision, **options(logs))
            judge = judged(client)
            async with client:
                await everything(client, revision, logs)
            assert judge.violations == []

    asyncio.run(story())


@pytest.mark.parametrize("revision", LEGACY)
def test_everything_works_over_http_sse(revision: str) -> None:
    async def story() -> None:
        logs: list[Any] = []
        async with served(server) as url:
            client = Client(url.replace("/mcp", "/sse"), revisions=revision, **options(logs))
            judge = judged(client)
            async with client:
                await everything(client, revision, logs)
            assert judge.violations == []

    asyncio.run(story())


@every_revision
def test_everything_works_over_a_unix_socket(revision: str, tmp_path: Path) -> None:
    async def story() -> None:
        logs: list[Any] = []
        unix = served(server, unix=str(tmp_path / "s"))
        async with unix as url, Client(url, revisions=revision, **options(logs)) as client:
            await everything(client, revision, logs)

    asyncio.run(story())


def test_the_revision_is_found_out_and_the_verdict_saves_the_probe() -> None:
    async def story() -> None:
        async with served(server) as url:
            async with Client(url) as client:
                assert client.revision == "2026-07-28"
                verdict = client.verdict
            async with Client(url, verdict=verdict) as client:
                assert client.revision == "2026-07-28"
        legacy = Server("old", revisions=["2025-11-25", "2025-06-18"])
        async with served(legacy) as url, Client(url) as client:
            assert client.revision == "2025-11-25"

    asyncio.run(story())


@every_revision
def test_cancelling_a_call_stops_its_handler(revision: str) -> None:
    async def story() -> None:
        one = Server("one")
        begun, ended = asyncio.Event(), asyncio.Event()

        @one.tool
        async def wait() -> str:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return ""

        async with served(one) as url, Client(url, revisions=revision) as client:
            call = asyncio.ensure_future(client.call_tool("wait"))
            await begun.wait()
            call.cancel()
            async with asyncio.timeout(1):
                await ended.wait()
            ended.clear()
            with pytest.raises(CallTimeout):
                await client.call_tool("wait", timeout=0.05)
            async with asyncio.timeout(1):
                await ended.wait()
            await client.ping()

    asyncio.run(story())


@every_revision
def test_a_server_that_was_started_again_is_served_by_the_next_call(revision: str) -> None:
    async def story() -> None:
        one = Server("one")

        @one.tool
        async def hi() -> str:
            return "hi"

        http = HttpServer(one, HttpOptions(port=0))
        await http.start()
        try:
            async with Client(http.urls[0], revisions=revision) as client:
                assert (await client.call_tool("hi")).text == "hi"
                port = http.port
                await http.stop(0)
                http = HttpServer(one, HttpOptions(port=port or 0))
                await http.start()
                assert (await client.call_tool("hi")).text == "hi"
        finally:
            await http.stop(0)

    asyncio.run(story())


@every_revision
def test_changes_are_heard_again_after_the_server_was_started_again(revision: str) -> None:
    async def story() -> None:
        one = Server("one")

        @one.resource("x://1")
        @one.tool
        async def x() -> str:
            return "x"

        http = HttpServer(one, HttpOptions(port=0))
        await http.start()
        try:
            client = Client(http.urls[0], revisions=revision, limits=Limits(relisten_seconds=0.2))
            async with client, client.listen(tools=True, uris=["x://1"]) as events, asyncio.timeout(10):
                one.notify_resource_updated("x://1")
                assert await anext(events) == ResourceUpdated("x://1")
                port = http.port
                await http.stop(0)
                http = HttpServer(one, HttpOptions(port=port or 0))
                await http.start()
                assert await anext(events) == Resync()
                one.notify_resource_updated("x://1")
                assert await anext(events) == ResourceUpdated("x://1")
                one.notify_tools_changed()
                assert await anext(events) == ToolsChanged()
        finally:
            await http.stop(0)

    asyncio.run(story())


@every_revision
def test_three_thousand_calls_at_once(revision: str) -> None:
    async def story() -> None:
        async with served(server) as url, Client(url, revisions=revision) as client:
            results = await asyncio.gather(*[client.call_tool("add", {"a": n, "b": 1}, type=int) for n in range(3000)])
            assert [result.data for result in results] == list(range(1, 3001))
            connection = client._link.last
            assert connection is not None and connection.runner.channel.pool.sockets <= 100

    asyncio.run(story())


@every_revision
def test_handlers_read_the_headers_of_their_own_call(revision: str) -> None:
    async def story() -> None:
        one = Server("one")

        @one.tool
        async def tenant(ctx: Context) -> str:
            await asyncio.sleep(0)
            return (ctx.headers or {})["x-tenant"]

        async with served(one) as url, Client(url, revisions=revision, headers={"X-Tenant": "nobody"}) as client:
            assert (await client.call_tool("tenant")).text == "nobody"
            results = await asyncio.gather(
                *[client.call_tool("tenant", headers={"X-Tenant": f"t{n}"}) for n in range(50)]
            )
            assert [result.text for result in results] == [f"t{n}" for n in range(50)]

    asyncio.run(story())


@every_revision
@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_large_messages_go_both_ways(revision: str, size: int) -> None:
    async def story() -> None:
        one = Server("one")

        @one.tool
        async def echo(text: str) -> str:
            return text

        async with served(one) as url, Client(url, revisions=revision) as client:
            large = "x\u2028" * (size // 4)
            assert (await client.call_tool("echo", {"text": large})).text == large

    asyncio.run(story())


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
def test_nothing_is_left_when_a_client_was_closed(revision: str) -> None:
    async def story() -> None:
        def fds() -> int:
            return len(os.listdir("/proc/self/fd"))

        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("this system has no /proc")
        async with served(server) as url:
            async with Client(url, revisions=revision) as client:
                await client.ping()
            await asyncio.sleep(0.05)
            before, tasks = fds(), len(asyncio.all_tasks())
            for _ in range(20):
                async with Client(url, revisions=revision) as client:
                    await asyncio.gather(*[client.call_tool("add", {"a": 1, "b": 2}) for _ in range(5)])
            deadline = time.monotonic() + 5
            while (fds() > before or len(asyncio.all_tasks()) > tasks) and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            assert fds() <= before and len(asyncio.all_tasks()) <= tasks

    asyncio.run(story())
