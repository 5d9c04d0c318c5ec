"""The client with mcpcore's own server, in every revision: what works, and that every frame fits the schemas."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Context, Server
from mcpcore.client import Client, ResourceUpdated, Step, ToolsChanged
from mcpcore.errors import RpcError
from mcpcore.testing import REVISIONS
from mcpcore.types import PromptRef, ToolResult
from tests.schema_judge import AVAILABLE, Judge

every_revision = pytest.mark.parametrize("revision", REVISIONS)
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

server = Server("everything", version="1", page_size=2)


@server.tool
async def add(a: int, b: int) -> int:
    return a + b


@server.tool
async def steps(ctx: Context) -> str:
    for step in range(3):
        await ctx.progress(step, 3)
        await ctx.info(f"step {step}")
        await asyncio.sleep(0)
    return "done"


@server.tool
async def sampled(ctx: Context) -> str:
    return (await ctx.sample("hi", max_tokens=5)).text


@server.tool
async def rooted(ctx: Context) -> str:
    return ",".join(root.uri for root in await ctx.roots())


@server.tool
async def asked(ctx: Context) -> str:
    answer = await ctx.elicit("Who?", FORM)
    return f"{answer.action} {(answer.content or {}).get('name')}"


@server.tool
async def stuck() -> str:
    await asyncio.Event().wait()
    return ""


@server.resource("x://{name}")
async def thing(name: str) -> str:
    return name


@server.resource("plain://thing")
async def plain() -> str:
    return "plain"


@server.prompt
def greet(name: str) -> str:
    return f"Greet {name}"


@server.completion("greet", "name")
def names(value: str) -> list[str]:
    return [name for name in ("Ann", "Bo") if name.startswith(value)]


class Judged:
    """The server, with every frame judged where the published schemas are there."""

    def __init__(self) -> None:
        self.judge = Judge()

    def connect_client(self, protocol: Any) -> Any:
        if AVAILABLE:
            protocol.tap = lambda direction, frame: self.judge.frame(
                "client" if direction == "out" else "server", frame
            )
        return server.connect_client(protocol)


async def everything(client: Client, revision: str, logs: list[Any]) -> None:
    assert client.revision == revision
    assert {tool.name for tool in await client.list_tools()} == {"add", "steps", "sampled", "rooted", "asked", "stuck"}
    assert (await client.call_tool("add", {"a": 1, "b": 2}, type=int)).data == 3
    assert (await client.call_tool("add", {"a": 1, "b": 2})).schema_errors == []
    seen: list[float] = []
    assert (await client.call_tool("steps", progress=lambda update: seen.append(update.progress))).text == "done"
    assert seen == [0, 1, 2] and [message.data for message in logs] == ["step 0", "step 1", "step 2"]
    assert (await client.call_tool("sampled")).text == "hello"
    assert (await client.call_tool("rooted")).text == "file:///r"
    if revision >= "2025-06-18":
        assert (await client.call_tool("asked")).text == "accept Ann"
    assert (await client.read_resource("x://y")).contents[0].uri == "x://y"
    assert [item.uri for item in await client.list_resources()] == ["plain://thing"]
    assert [item.uri_template for item in await client.list_resource_templates()] == ["x://{name}"]
    prompt = (await client.get_prompt("greet", {"name": "Bo"})).messages[0].content
    assert prompt.raw == {"type": "text", "text": "Greet Bo"}
    assert [item.name for item in await client.list_prompts()] == ["greet"]
    assert (await client.complete(PromptRef(name="greet"), "name", "A")).values == ["Ann"]
    await client.set_log_level("error")
    await client.ping()
    with pytest.raises(RpcError):
        await client.call_tool("unknown")
    call = asyncio.ensure_future(client.call_tool("stuck"))
    await client.ping()
    call.cancel()
    await asyncio.wait([call])
    async with client.listen(tools=True, uris=["plain://thing"]) as events:
        server.notify_tools_changed()
        server.notify_resource_updated("plain://thing")
        assert {await anext(events), await anext(events)} == {ToolsChanged(), ResourceUpdated("plain://thing")}
    await client.subscribe("plain://thing")
    await client.unsubscribe("plain://thing")
    await client.notify_roots_changed()
    await client.ping()


def options(logs: list[Any]) -> dict[str, Any]:
    return {
        "sampling": lambda params: "hello",
        "elicitation": lambda question: {"name": "Ann"},
        "roots": ["file:///r"],
        "log": logs.append,
        "capabilities": {"sampling": {"tools": {}}},
        "title": "The client",
    }


@pytest.mark.skipif(not AVAILABLE, reason="the published schemas (../shared/spec/schema) are absent")
@every_revision
def test_everything_works_and_every_frame_is_as_the_schemas_want_it(revision: str) -> None:
    judged = Judged()

    async def story() -> None:
        logs: list[Any] = []
        async with Client(judged, revisions=revision, **options(logs)) as client:
            await everything(client, revision, logs)

    asyncio.run(story())
    assert judged.judge.violations == []


def test_the_judge_judges() -> None:
    if not AVAILABLE:
        pytest.skip("the published schemas are not there")
    judged = Judged()

    async def story() -> None:
        async with Client(judged) as client:
            with pytest.raises(RpcError):
                await client.request("tools/call", {"name": 7})

    asyncio.run(story())
    assert judged.judge.violations != []


@every_revision
def test_everything_works_with_a_process(revision: str) -> None:
    root = Path(__file__).parents[2]
    code = "from tests.client.test_with_server import server; server.run()"

    async def story() -> None:
        command = [sys.executable, "-c", code]
        async with Client(command, revisions=revision, cwd=root, **options([])) as client:
            assert (await client.call_tool("add", {"a": 1, "b": 2}, type=int)).data == 3
            assert (await client.call_tool("sampled")).text == "hello"
            assert (await client.call_tool("steps")).text == "done"

    asyncio.run(story())


def test_a_step_outlives_the_client_that_began_it() -> None:
    async def story() -> None:
        declared: dict[str, Any] = {"elicitation": {"form": {}}}
        async with Client(server, capabilities=declared) as client:
            step = await client.begin_call("asked")
            assert isinstance(step, Step)
        async with Client(server, capabilities=declared) as client:
            result = await client.resume(
                Step.from_json(step.to_json()), {key: {"name": "Bo"} for key in step.questions}
            )
            assert isinstance(result, ToolResult) and result.text == "accept Bo"

    asyncio.run(story())


def test_state_that_another_server_sealed_is_an_error_for_a_tool_that_may_do_harm() -> None:
    async def story() -> None:
        other = Server("other")

        @other.tool(name="asked")
        async def asked_too(ctx: Context) -> str:
            return (await ctx.elicit("Who?", FORM)).action

        declared: dict[str, Any] = {"elicitation": {"form": {}}}
        async with Client(server, capabilities=declared) as first, Client(other, capabilities=declared) as second:
            step = await first.begin_call("asked")
            assert isinstance(step, Step)
            with pytest.raises(RpcError) as caught:
                await second.resume(step, dict.fromkeys(step.questions))
            assert caught.value.code == -32602

    asyncio.run(story())
