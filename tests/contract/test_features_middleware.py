"""Middleware: around every message, what it sees, what it may do, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import RpcError, Server
from tests.contract.wire import LEGACY, MODERN, PATIENCE, REVISIONS, client_of

CALL = "tools/call"
SECRET = "s3cr3t-value"
Next = Callable[[Any], Any]


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


def make_server() -> Server:
    server = Server("contract")

    @server.tool
    async def hello(name: str = "you") -> str:
        return f"hello {name}"

    @server.tool(thread="loop")
    def data() -> dict[str, int]:
        return {"a": 1}

    @server.tool
    async def fails() -> str:
        raise ValueError(SECRET)

    @server.resource("docs:x")
    async def x() -> str:
        return "x"

    @server.prompt
    async def prompt() -> str:
        return "prompt"

    @server.method("acme/echo")
    async def echo(params: dict[str, Any]) -> dict[str, Any]:
        return {"echo": params.get("text")}

    return server


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (CALL, {"name": "hello"}),
    (CALL, {"name": "data"}),
    (CALL, {"name": "fails"}),
    ("tools/list", {}),
    ("resources/read", {"uri": "docs:x"}),
    ("resources/list", {}),
    ("prompts/get", {"name": "prompt"}),
    ("acme/echo", {"text": "t"}),
]
OF_A_SESSION: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("logging/setLevel", {"level": "error"}),
    ("resources/subscribe", {"uri": "docs:x"}),
]


@pytest.mark.parametrize("revision", REVISIONS)
def test_middleware_is_around_every_request_and_notification_and_sees_results(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        seen: list[tuple[str, str, Any]] = []

        @server.middleware
        async def outer(message: Any, call_next: Next) -> Any:
            seen.append(("outer in", message.method, dict(message.params)))
            result = await call_next(message)
            seen.append(("outer out", message.method, result))
            return result

        @server.middleware
        async def inner(message: Any, call_next: Next) -> Any:
            seen.append(("inner in", message.method, None))
            return await call_next(message)

        async with client_of(server, revision) as wire:
            await wire.fence()
            requests = [*REQUESTS, *([("server/discover", {})] if revision == MODERN else OF_A_SESSION)]
            for method, params in requests:
                seen.clear()
                result = await wire.result(method, params)
                assert [step[:2] for step in seen] == [
                    ("outer in", method),
                    ("inner in", method),
                    ("outer out", method),
                ]
                assert {name: seen[0][2].get(name) for name in params} == params
                passed = seen[2][2]
                assert isinstance(passed, dict)
                if not passed:
                    continue
                shown = {name: result[name] for name in passed if name in result}  # the revision may know fewer
                assert shown and shown == {name: passed[name] for name in shown}
            seen.clear()
            wire.tell("acme/event", {"n": 1})
            while len(seen) < 3:
                await wire.fence()
            assert [step[:2] for step in seen if step[1] == "acme/event"][:1] == [("outer in", "acme/event")]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M01")
@pytest.mark.parametrize("revision", LEGACY)
def test_middleware_is_around_the_handshake(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        seen: list[str] = []

        @server.middleware
        async def note(message: Any, call_next: Next) -> Any:
            seen.append(message.method)
            return await call_next(message)

        async with client_of(server, revision) as wire:
            await wire.fence()
            assert seen[0] == "initialize" and "notifications/initialized" in seen

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_middleware_that_comes_late_is_around_open_connections_too(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        seen: list[str] = []
        async with client_of(server, revision) as wire:
            await wire.fence()

            @server.middleware
            async def note(message: Any, call_next: Next) -> Any:
                seen.append(message.method)
                return await call_next(message)

            requests = [*REQUESTS, *([("server/discover", {})] if revision == MODERN else OF_A_SESSION)]
            for method, params in requests:
                await wire.result(method, params)
            assert seen == [method for method, _ in requests]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_middleware_may_change_what_goes_in_and_what_comes_out(revision: str) -> None:
    async def main() -> None:
        server = make_server()

        @server.middleware
        async def rewrite(message: Any, call_next: Next) -> Any:
            if message.method == CALL:
                message.params = {**message.params, "arguments": {"name": "Ada"}}
                result = await call_next(message)
                return {**result, "_meta": {"com.example/seen": True}}
            if message.method == "tools/list":
                result = await call_next(message)
                return {**result, "tools": [tool for tool in result["tools"] if tool["name"] == "hello"]}
            return await call_next(message)

        async with client_of(server, revision) as wire:
            result = await wire.result(CALL, {"name": "hello"})
            assert text_of(result) == "hello Ada"
            assert result["_meta"]["com.example/seen"] is True
            assert [tool["name"] for tool in (await wire.result("tools/list"))["tools"]] == ["hello"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/tools/M04", "2024-11-05/tools/M05")
@pytest.mark.parametrize("revision", REVISIONS)
def test_middleware_may_refuse_by_who_asks_and_how_often_and_no_call_gets_past_it(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        ran: list[str] = []

        @server.tool
        async def guarded() -> str:
            ran.append("guarded")
            return SECRET

        left = 2

        @server.middleware
        async def guard(message: Any, call_next: Next) -> Any:
            nonlocal left
            if message.method == CALL and message.params.get("name") == "guarded":
                raise RpcError(403, "this tool is not for you")
            if message.method == CALL:
                left -= 1
                if left < 0:
                    raise RpcError(429, "too many calls; wait a second", {"retryAfterMs": 1000})
            return await call_next(message)

        async with client_of(server, revision) as wire:
            assert await wire.error(CALL, {"name": "guarded"}) == {"code": 403, "message": "this tool is not for you"}
            assert ran == []
            for _ in range(2):
                await wire.result(CALL, {"name": "hello"})
            assert (await wire.error(CALL, {"name": "hello"}))["code"] == 429
            if revision == "2025-03-26":
                wire.say([{"jsonrpc": "2.0", "id": "b", "method": CALL, "params": {"name": "guarded"}}])
                (answer,) = await wire.hear()
                assert answer["error"]["code"] == 403
                assert ran == []

    asyncio.run(main())


def test_middleware_that_fails_is_an_internal_error_whose_details_stay_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        server = make_server()
        broken = True

        @server.middleware
        async def fails(message: Any, call_next: Next) -> Any:
            if broken:
                raise ValueError(SECRET)
            return await call_next(message)

        async with client_of(server) as wire:
            for method, params in REQUESTS:
                error = await wire.error(method, params)
                assert error["code"] == -32603 and SECRET not in str(error)
            wire.tell("acme/event")
            broken = False
            assert text_of(await wire.result(CALL, {"name": "hello"})) == "hello you"

    asyncio.run(main())
    assert SECRET in caplog.text


def test_cancelling_reaches_the_middleware_around_a_call() -> None:
    async def main() -> None:
        server = Server("contract")
        began, ended = asyncio.Event(), asyncio.Event()

        @server.middleware
        async def note(message: Any, call_next: Next) -> Any:
            try:
                return await call_next(message)
            except asyncio.CancelledError:
                ended.set()
                raise

        @server.tool
        async def sleep() -> str:
            began.set()
            return str(await asyncio.Event().wait())

        async with client_of(server) as wire:
            id = wire.call(CALL, {"name": "sleep"})
            await asyncio.wait_for(began.wait(), PATIENCE)
            wire.tell("notifications/cancelled", {"requestId": id})
            await asyncio.wait_for(ended.wait(), PATIENCE)
            assert await wire.fence() == []

    asyncio.run(main())
