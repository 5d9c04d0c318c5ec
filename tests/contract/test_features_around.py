"""What stands beside handlers: lifespan, providers of tools, methods and notifications of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client, Context, RpcError, Server, SyncContext, ToolError
from mcpcore.errors import UsageError
from mcpcore.types import InputRequired, Tool
from tests.contract.test_features_middleware import make_server
from tests.contract.wire import META, MODERN, PATIENCE, REVISIONS, Wire, client_of, envelope, launched

CALL = "tools/call"
SECRET = "s3cr3t-value"


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


# -- lifespan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_lifespan_is_entered_before_the_first_request_and_left_after_the_last_connection(revision: str) -> None:
    async def main() -> None:
        steps: list[str] = []

        @asynccontextmanager
        async def lifespan(server: Server) -> AsyncIterator[dict[str, str]]:
            await asyncio.sleep(0)
            steps.append("entered")
            try:
                yield {"of": server.name}
            finally:
                steps.append("left")

        server = Server("contract", lifespan=lifespan)

        @server.tool
        async def at_once(ctx: Context) -> str:
            steps.append("called")
            return json.dumps(ctx.lifespan)

        @server.tool
        def in_a_thread(ctx: SyncContext) -> str:
            return json.dumps(ctx.lifespan)

        async with client_of(server, revision) as first:
            assert json.loads(text_of(await first.result(CALL, {"name": "at_once"}))) == {"of": "contract"}
            async with client_of(server, revision) as second:
                assert json.loads(text_of(await second.result(CALL, {"name": "in_a_thread"}))) == {"of": "contract"}
            assert steps == ["entered", "called"]
        while "left" not in steps:
            await asyncio.sleep(0)
        async with client_of(server, revision) as third:
            await third.result(CALL, {"name": "at_once"})
        assert steps[:5] == ["entered", "called", "left", "entered", "called"]

    asyncio.run(main())


def test_a_lifespan_is_left_in_the_task_that_entered_it() -> None:
    async def main() -> None:
        tasks: list[Any] = []

        @asynccontextmanager
        async def lifespan(server: Server) -> AsyncIterator[None]:
            tasks.append(asyncio.current_task())
            async with asyncio.timeout(PATIENCE):  # breaks where it is left in another task
                yield
            tasks.append(asyncio.current_task())

        server = Server("contract", lifespan=lifespan)
        async with Client(server) as client:
            await client.ping()
        while len(tasks) < 2:
            await asyncio.sleep(0)
        assert tasks[0] is tasks[1]

    asyncio.run(main())


def test_a_lifespan_that_fails_closes_the_connection_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        @asynccontextmanager
        async def lifespan(server: Server) -> AsyncIterator[None]:
            raise ValueError(SECRET)
            yield

        server = Server("contract", lifespan=lifespan)
        wire = Wire("client")
        channel = server.connect_client(wire)
        wire.attach(channel.write, channel.close)
        wire.call("server/discover")
        await wire.end()
        assert [line for side, line in wire.lines if side == "server"] == []

    asyncio.run(main())
    assert SECRET in caplog.text


def test_a_process_leaves_its_lifespan_when_its_input_ends(tmp_path: Path) -> None:
    program = """
import contextlib, os
from mcpcore import Server

@contextlib.asynccontextmanager
async def lifespan(server):
    with open(os.environ["STEPS"], "a") as steps:
        print("entered", file=steps, flush=True)
        yield
        print("left", file=steps, flush=True)

Server("contract", lifespan=lifespan).run()
"""

    async def main() -> None:
        async with launched(program, env={"STEPS": str(tmp_path / "steps")}) as wire:
            await wire.result("server/discover")

    asyncio.run(main())
    assert (tmp_path / "steps").read_text().split() == ["entered", "left"]


# -- providers ---------------------------------------------------------------------------------------------------------


class Provider:
    """Tools that nobody registered."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def list(self, ctx: Context) -> list[Tool]:
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        return [Tool(name=name, title=name.upper(), input_schema=schema) for name in self.names]

    async def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
        if name not in self.names:
            return NotImplemented
        if name == "crashes":
            raise ValueError(SECRET)
        if name == "tells":
            raise ToolError("the shelf is empty")
        if name == "refuses":
            raise RpcError(403, "not for you")
        if name == "asks":
            form = {"type": "object", "properties": {"name": {"type": "string"}}}
            return f"hello {(await ctx.elicit('Who?', form, key='who')).data['name']}"
        if name == "logs":
            await ctx.info("logged")
            await ctx.progress(1)
        return f"{name} {arguments.get('text')} {ctx.principal}"


class Plain:
    """A provider of plain functions."""

    def list(self, ctx: Context) -> list[Tool]:
        return [Tool(name=name, input_schema={"type": "object"}) for name in ("plain", "dynamic", "hello")]

    def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
        return "plain" if name == "plain" else NotImplemented


def provided() -> Server:
    server = make_server()
    server.add_tool_provider(Provider("dynamic", "crashes", "tells", "refuses", "asks", "logs"))
    server.add_tool_provider(Plain())
    return server


@pytest.mark.spec("2025-11-25/tools/S10", "2026-07-28/tools/M02", "2026-07-28/tools/S05")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_provider_lists_and_calls_tools_beside_the_registered_ones(revision: str) -> None:
    async def main() -> None:
        async with client_of(provided(), revision) as wire:
            listed = (await wire.result("tools/list"))["tools"]
            names = [tool["name"] for tool in listed]
            assert names == [
                *("hello", "data", "fails"),
                *("dynamic", "crashes", "tells", "refuses", "asks", "logs", "plain"),
            ]
            assert ("title" in listed[3]) is (revision >= "2025-06-18")
            assert (await wire.result("tools/list"))["tools"] == listed
            result = await wire.result(CALL, {"name": "dynamic", "arguments": {"text": "t"}})
            assert text_of(result) == "dynamic t anonymous"
            assert text_of(await wire.result(CALL, {"name": "dynamic"})) == "dynamic None anonymous"
            assert text_of(await wire.result(CALL, {"name": "plain"})) == "plain"
            assert text_of(await wire.result(CALL, {"name": "hello"})) == "hello you"
            assert (await wire.error(CALL, {"name": "unknown"}))["code"] == -32602
            assert (await wire.error(CALL, {"name": "dynamic", "arguments": []}))["code"] == -32602

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/S06")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_provided_tool_fails_as_a_registered_one_does(revision: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with client_of(provided(), revision) as wire:
            crashed = await wire.result(CALL, {"name": "crashes"})
            assert crashed["isError"] is True and SECRET not in str(crashed)
            told = await wire.result(CALL, {"name": "tells"})
            assert (told["isError"], text_of(told)) == (True, "the shelf is empty")
            assert (await wire.error(CALL, {"name": "refuses"}))["code"] == 403

    asyncio.run(main())
    assert SECRET in caplog.text


def test_a_provided_tool_logs_reports_and_asks() -> None:
    async def main() -> None:
        async with client_of(provided()) as wire:
            id = wire.call(CALL, {"name": "logs"}, logLevel="info", progressToken="p")
            before, _ = await wire.until(id)
            assert {message["method"] for message in before} == {"notifications/message", "notifications/progress"}
            declared: dict[str, Any] = {f"{META}clientCapabilities": {"elicitation": {}}}
            first = await wire.result(CALL, {"name": "asks"}, **declared)
            answers = {"who": {"action": "accept", "content": {"name": "Ada"}}}
            retry = {"name": "asks", "inputResponses": answers, "requestState": first["requestState"]}
            assert text_of(await wire.result(CALL, retry, **declared)) == "hello Ada"

    asyncio.run(main())


def test_a_provider_that_cannot_list_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = provided()

        class Broken(Plain):
            def list(self, ctx: Context) -> list[Tool]:
                raise ValueError(SECRET)

        server.add_tool_provider(Broken())
        async with client_of(server) as wire:
            error = await wire.error("tools/list")
            assert error["code"] == -32603 and SECRET not in str(error)
            await wire.result(CALL, {"name": "dynamic"})

    asyncio.run(main())
    assert SECRET in caplog.text


# -- methods and notifications of one's own ----------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_methods_of_ones_own_get_params_and_context_and_return_objects(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.method("acme/search")
        async def search(params: dict[str, Any], ctx: Context) -> dict[str, Any]:
            return {"found": params["text"], "by": ctx.method, "_meta": {"com.example/n": 1}}

        @server.method("acme/thread")
        def thread(ctx: SyncContext) -> dict[str, Any]:
            return {"revision": str(ctx.revision)}

        @server.method("acme/none")
        async def none(params: dict[str, Any]) -> Any:
            return params.get("give")

        @server.method("acme/asks")
        async def asks(params: dict[str, Any], ctx: Context) -> dict[str, Any]:
            return {"answer": (await ctx.elicit("?", {"type": "object", "properties": {}})).action}

        @server.method("acme/asks/by/hand")
        async def asks_by_hand(params: dict[str, Any]) -> Any:
            return InputRequired({}, request_state="x")

        async with client_of(server, revision) as wire:
            result = await wire.result("acme/search", {"text": "t"})
            assert (result["found"], result["by"], result["_meta"]["com.example/n"]) == ("t", "acme/search", 1)
            assert (await wire.result("acme/thread"))["revision"] == revision
            for value in (None, 7, "text", ["list"]):
                assert (await wire.error("acme/none", {"give": value}))["code"] == -32603
            for method in ("acme/asks", "acme/asks/by/hand"):
                assert (await wire.error(method, {}))["code"] == -32603
            assert (await wire.error("acme/unknown", {}))["code"] == -32601

    asyncio.run(main())


def test_a_method_of_ones_own_may_be_registered_while_clients_are_connected() -> None:
    async def main() -> None:
        server = Server("contract")
        async with client_of(server) as wire:
            assert (await wire.error("acme/late"))["code"] == -32601
            server.method("acme/late")(lambda params: {"late": True})
            assert (await wire.result("acme/late"))["late"] is True

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_notifications_of_ones_own_arrive_in_order_and_failures_harm_nothing(
    revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = Server("contract")
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @server.notification("acme/event")
        async def event(params: dict[str, Any]) -> None:
            heard.put_nowait(params.get("n"))
            if params.get("n") == 1:
                raise ValueError(SECRET)

        @server.notification("acme/thread")
        def thread(params: dict[str, Any]) -> None:
            asyncio.run_coroutine_threadsafe(heard.put("thread"), loop)

        loop = asyncio.get_running_loop()
        async with client_of(server, revision) as wire:
            for n in range(5):
                wire.tell("acme/event", {"n": n})
            wire.tell("acme/event")
            wire.tell("acme/unknown", {"n": 1})
            assert [await asyncio.wait_for(heard.get(), PATIENCE) for _ in range(6)] == [0, 1, 2, 3, 4, None]
            wire.tell("acme/thread")
            assert await asyncio.wait_for(heard.get(), PATIENCE) == "thread"
            assert await wire.fence() == []

    asyncio.run(main())
    assert SECRET in caplog.text


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_context_of_a_notification_tells_who_speaks_and_cannot_ask(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")
        found: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        @server.notification("acme/event")
        async def event(params: dict[str, Any], ctx: Context) -> None:
            await ctx.progress(1)
            await ctx.info("heard")
            try:
                await ctx.elicit("?", {"type": "object", "properties": {}})
            except UsageError as error:
                failure = str(error)
            facts = {"revision": str(ctx.revision), "capabilities": dict(ctx.client_capabilities), "failure": failure}
            found.put_nowait({**facts, "client": ctx.client, "method": ctx.method})

        async with client_of(server, revision, {"roots": {}}) as wire:
            await wire.fence()
            for meta in ({}, {f"{META}logLevel": "debug"}, envelope(logLevel="debug")):
                wire.tell("acme/event", {"_meta": meta})
                facts = await asyncio.wait_for(found.get(), PATIENCE)
                assert facts["revision"] == revision and facts["method"] == "acme/event"
                assert "only tools/call, prompts/get and resources/read may ask" in facts["failure"]
                said = [message["method"] for message in await wire.fence()]
                if revision == MODERN or len(meta) > 2:  # nobody asked for logs
                    assert said == []
                else:
                    assert said == ["notifications/message"]
                    assert facts["client"].name == "wire" and facts["capabilities"] == {"roots": {}}

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_handler_reads_a_resource_of_its_own_server(revision: str) -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def read(uri: str, ctx: Context) -> str:
            (contents,) = (await ctx.read_resource(uri)).contents
            return f"{contents.uri} {contents.mime_type}"

        @server.tool
        def read_in_a_thread(uri: str, ctx: SyncContext) -> str:
            (contents,) = ctx.read_resource(uri).contents
            return f"{contents.uri} {contents.mime_type}"

        async with client_of(server, revision) as wire:
            for name in ("read", "read_in_a_thread"):
                result = await wire.result(CALL, {"name": name, "arguments": {"uri": "docs:x"}})
                assert text_of(result) == "docs:x text/plain"
                error = await wire.error(CALL, {"name": name, "arguments": {"uri": "docs:missing"}})
                assert error["code"] == (-32602 if revision == MODERN else -32002)

    asyncio.run(main())
