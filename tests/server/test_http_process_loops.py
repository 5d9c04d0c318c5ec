"""The same conversations on every event loop that a server may run on: what transports do differently must not show."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any

import pytest

from mcpcore import Client, ConnectFailed, Context, Limits, Server, ToolsChanged
from mcpcore.server.http_process import _loop_factory
from tests.transports.http_wire import Served, Talk, request, serving

LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")),
]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on the loop that ``run("http", loop=...)`` would take."""

    def on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=_loop_factory(request.param)) as runner:
            assert type(runner.get_loop()).__module__.partition(".")[0] == request.param
            runner.run(main)

    return on_loop


Run = Callable[[Coroutine[Any, Any, None]], None]


def conversational(**limits: Any) -> Server:
    server = Server("loops", limits=Limits(**limits))

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    @server.tool
    def in_thread(text: str) -> str:
        return text.upper()

    @server.tool
    async def tell(ctx: Context) -> str:
        await ctx.progress(1, 2)
        await asyncio.sleep(0)
        return "told"

    @server.tool
    async def ask(ctx: Context) -> str:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        answer = await ctx.elicit("Who?", schema)
        return str((answer.content or {}).get("name"))

    @server.tool
    async def large() -> str:
        return "x" * 3_000_000

    @server.tool
    async def grow() -> None:
        server.add_tool(lambda: None, name="grown")

    return server


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_a_client_and_a_server_converse(run: Run, revision: str) -> None:
    async def main() -> None:
        progress: list[float] = []
        async with serving(conversational()) as served:
            url = f"http://127.0.0.1:{served.http.port}/mcp"
            answer: dict[str, Any] = {}
            if revision >= "2025-06-18":
                answer["elicitation"] = lambda question: {"name": "Ada"}
            client = Client(url, revisions=revision, progress=lambda one: progress.append(one.progress), **answer)
            async with client:
                assert [tool.name for tool in await client.list_tools()][:2] == ["add", "in_thread"]
                assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"
                assert (await client.call_tool("in_thread", {"text": "up"})).text == "UP"
                assert (await client.call_tool("tell")).text == "told"
                assert len((await client.call_tool("large")).text) == 3_000_000
                if answer:
                    assert (await client.call_tool("ask")).text == "Ada"
                async with client.listen(tools=True) as events:
                    await client.call_tool("grow")
                    async for event in events:
                        assert isinstance(event, ToolsChanged)
                        break
        assert progress == [1]

    run(main())


def test_a_client_is_told_that_nobody_is_there(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConnectFailed):
            await Client("http://nobody.invalid/mcp", timeout=5).connect()

    run(main())


def served_raw(act: Callable[[Served, Talk], Coroutine[Any, Any, None]], **limits: Any) -> Coroutine[Any, Any, None]:
    async def main() -> None:
        async with serving(conversational(**limits)) as served, served.talk() as talk:
            await act(served, talk)

    return main()


def test_requests_that_come_together_are_answered_in_order(run: Run) -> None:
    async def act(served: Served, talk: Talk) -> None:
        messages = [talk.message("tools/call", {"name": "add", "arguments": {"a": n, "b": 0}}) for n in range(50)]
        async with served.connect() as raw:
            raw.send(b"".join(talk.bytes_of(message) for message in messages))
            for number in range(50):
                answer = (await raw.answer()).json
                assert answer["result"]["structuredContent"] == {"result": number}

    run(served_raw(act))


def test_who_is_refused_gets_the_answer_although_more_was_on_its_way(run: Run) -> None:
    """The connection is closed gently: half of it, and the rest when the client is done or has had its time."""

    async def act(served: Served, talk: Talk) -> None:
        async with served.connect() as raw:
            raw.send(request("POST", "/mcp", b"", content_length="3000000", content_type="text/plain"))
            raw.send(b"x" * 1_000_000)
            assert (await raw.answer()).status == 415
            raw.half_close()
            assert await raw.closed() == b""

    run(served_raw(act))


def test_a_client_that_sends_too_far_ahead_is_not_read_until_its_turn(run: Run) -> None:
    async def act(served: Served, talk: Talk) -> None:
        async with served.connect() as raw:
            call = talk.bytes_of(talk.message("tools/call", {"name": "in_thread", "arguments": {"text": "x" * 1000}}))
            raw.send(call * 300)
            for _ in range(300):
                assert (await raw.answer()).status == 200

    run(served_raw(act, pipelined_bytes=2000))


def test_a_client_that_resets_its_connection_leaves_nothing(run: Run) -> None:
    async def act(served: Served, talk: Talk) -> None:
        for name in ("large", "tell", "add"):
            async with served.connect() as raw:
                raw.send(talk.bytes_of(talk.message("tools/call", {"name": name, "arguments": {"a": 1, "b": 1}})))
                raw.reset()
        assert (await talk.result("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}))["content"]
        async with asyncio.timeout(10):
            while len(served.http.connections) > 1:
                await asyncio.sleep(0)

    run(served_raw(act))


def test_a_reader_that_takes_nothing_is_cut_off_and_the_others_are_not(run: Run) -> None:
    server = conversational(stream_bytes=200_000, stalled_seconds=0.2)

    @server.tool
    async def flood(ctx: Context) -> str:
        for number in range(200):
            await ctx.log("info", "x" * 100_000)
            await ctx.progress(number, 200)
        return "flooded"

    async def main() -> None:
        async with serving(server) as served, served.talk() as talk, served.connect() as raw:
            transport: Any = raw.writer.transport
            transport.pause_reading()
            message = talk.message("tools/call", {"name": "flood", "arguments": {}}, logLevel="info")
            raw.send(talk.bytes_of(message))
            async with asyncio.timeout(10):
                while not served.endpoint.open:
                    await asyncio.sleep(0)
                while served.endpoint.open:
                    answer = await talk.result("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
                    assert json.loads(answer["content"][0]["text"]) == 3
            transport.abort()

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_auto_is_uvloop_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("uvloop") is not None:
        factory = _loop_factory("auto")
        assert factory is not None
        loop = factory()
        assert type(loop).__module__ == "uvloop"
        loop.close()
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _loop_factory("auto") is None
