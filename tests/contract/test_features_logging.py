"""server/utilities/logging of every revision: levels of a session, levels of a request, what is logged and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore import Client, Context, Server, SyncContext
from mcpcore.errors import MissingCapability
from mcpcore.types import LogMessage
from tests.contract.wire import LEGACY, META, MODERN, PATIENCE, REVISIONS, Wire, accept, client_of, serving

CALL = "tools/call"
SET = "logging/setLevel"
LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
SECRET = "s3cr3t-value"


def make_server(**options: Any) -> Server:
    server = Server("contract", **options)

    @server.tool
    async def log_all(ctx: Context) -> str:
        for level in LEVELS:
            await ctx.log(level, f"at {level}")
        return "logged"

    @server.tool
    def log_all_in_a_thread(ctx: SyncContext) -> str:
        for level in LEVELS:
            ctx.log(level, f"at {level}")
        return "logged"

    @server.tool(thread="loop")
    def log_all_on_the_loop(ctx: SyncContext) -> str:
        return log_all_in_a_thread(ctx)

    @server.resource("docs:log")
    async def resource(ctx: Context) -> str:
        return await log_all(ctx)

    @server.prompt
    async def prompt(ctx: Context) -> str:
        return await log_all(ctx)

    @server.method("acme/log")
    async def method(ctx: Context) -> dict[str, Any]:
        return {"text": await log_all(ctx)}

    @server.tool
    async def say(level: str, data: Any, ctx: Context, logger: str | None = None) -> str:
        await ctx.log(level, data, logger)
        return "said"

    @server.tool
    async def quiet(ctx: Context) -> str:
        return "quiet"

    return server


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "tool": (CALL, {"name": "log_all"}),
    "thread": (CALL, {"name": "log_all_in_a_thread"}),
    "loop": (CALL, {"name": "log_all_on_the_loop"}),
    "resource": ("resources/read", {"uri": "docs:log"}),
    "prompt": ("prompts/get", {"name": "prompt"}),
    "method": ("acme/log", {}),
}


async def levels_of(wire: Wire, kind: str, **meta: Any) -> list[str]:
    """The levels that were logged for one request, which comes with this ``_meta``."""
    method, params = REQUESTS[kind]
    before, answer = await wire.until(wire.call(method, params, **meta))
    assert "result" in answer
    assert all(message["method"] == "notifications/message" for message in before)
    assert all(message["params"]["data"] == f"at {message['params']['level']}" for message in before)
    return [message["params"]["level"] for message in before]


# -- who may log -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/logging/M01", "2026-07-28/schema/M01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_logging_is_declared_and_without_it_nothing_is_logged(revision: str) -> None:
    async def main() -> None:
        for server, declared in ((make_server(), True), (make_server(logging=False), False)):
            async with client_of(server) as wire:
                opening = await (wire.result("server/discover") if revision == MODERN else wire.shake(revision))
                assert ("logging" in opening["capabilities"]) is declared
                for kind in REQUESTS:
                    meta = {"logLevel": "debug"} if revision == MODERN else {}
                    assert await levels_of(wire, kind, **meta) == (LEVELS if declared else [])
                if revision != MODERN and not declared:
                    assert (await wire.error(SET, {"level": "debug"}))["code"] == -32601

    asyncio.run(main())


# -- the level of a session --------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/logging/M02", "2024-11-05/logging/Y01", "2024-11-05/schema/S08")
@pytest.mark.parametrize("kind", ["tool", "thread", "loop", "resource", "prompt", "method"])
@pytest.mark.parametrize("revision", LEGACY)
def test_a_session_gets_what_is_at_its_level_or_above(revision: str, kind: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            for level in [*LEVELS, *reversed(LEVELS)]:
                assert await wire.result(SET, {"level": level}) == {}
                assert await levels_of(wire, kind) == LEVELS[LEVELS.index(level) :]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/Y03")
@pytest.mark.parametrize("revision", LEGACY)
def test_before_any_level_is_set_the_server_chooses_and_sends_all(revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            assert await levels_of(wire, "tool") == LEVELS

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/logging/M02")
@pytest.mark.parametrize("revision", LEGACY)
def test_each_session_has_a_level_of_its_own(revision: str) -> None:
    async def main() -> None:
        server = make_server()
        async with client_of(server, revision) as one, client_of(server, revision) as other:
            await one.result(SET, {"level": "alert"})
            await other.result(SET, {"level": "critical"})
            assert await levels_of(one, "tool") == ["alert", "emergency"]
            assert await levels_of(other, "tool") == ["critical", "alert", "emergency"]
        async with client_of(server, revision) as later:
            assert await levels_of(later, "tool") == LEVELS

    asyncio.run(main())


def test_a_level_in_the_meta_of_a_session_means_nothing() -> None:
    async def main() -> None:
        async with client_of(make_server(), "2025-11-25") as wire:
            await wire.result(SET, {"level": "emergency"})
            assert await levels_of(wire, "tool", **{f"{META}logLevel": "debug"}) == ["emergency"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/logging/S01", "2024-11-05/schema/S01")
@pytest.mark.parametrize(
    "params",
    [
        *({"level": level} for level in (SECRET, "WARNING", "warn", "", 3, None, ["debug"])),
        *({}, {"Level": "debug"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", LEGACY)
def test_an_unknown_level_is_invalid_params_and_changes_nothing(revision: str, params: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            await wire.result(SET, {"level": "alert"})
            error = await wire.error(SET, params)
            assert error["code"] == -32602 and "level" in error["message"]
            assert SECRET not in str(error) and len(error["message"]) < 200
            assert await levels_of(wire, "tool") == ["alert", "emergency"]

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/logging/S02")
@pytest.mark.parametrize("revision", LEGACY)
def test_a_level_that_cannot_be_set_is_an_internal_error(revision: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = make_server()

        @server.middleware
        async def fails(message: Any, call_next: Callable[[Any], Any]) -> Any:
            if message.method == SET:
                raise OSError(SECRET)
            return await call_next(message)

        async with client_of(server, revision) as wire:
            error = await wire.error(SET, {"level": "debug"})
            assert error["code"] == -32603 and SECRET not in str(error)

    asyncio.run(main())
    assert SECRET in caplog.text


# -- the level of a request --------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/logging/M02", "2026-07-28/logging/Y01")
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_gets_what_is_at_its_level_or_above_and_nothing_without_one(kind: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            for level in [*LEVELS, *reversed(LEVELS)]:
                assert await levels_of(wire, kind, logLevel=level) == LEVELS[LEVELS.index(level) :]
                assert await levels_of(wire, kind) == []
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/logging/M02", "2026-07-28/logging/M03")
def test_requests_side_by_side_have_levels_of_their_own_and_streams_get_no_logs() -> None:
    async def main() -> None:
        server = Server("contract")
        began, go = asyncio.Semaphore(0), asyncio.Event()

        @server.tool
        async def log(name: str, ctx: Context) -> str:
            began.release()
            await go.wait()
            for level in LEVELS:
                await ctx.log(level, name)
            return name

        async with client_of(server) as wire:
            wire.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, logLevel="debug")
            await wire.hear("notifications/subscriptions/acknowledged")
            for name, meta in (("alert", {"logLevel": "alert"}), ("none", {}), ("error", {"logLevel": "error"})):
                wire.call(CALL, {"name": "log", "arguments": {"name": name}}, id=name, **meta)
                await asyncio.wait_for(began.acquire(), PATIENCE)
            go.set()
            logged: dict[str, list[str]] = {"alert": [], "none": [], "error": []}
            answered: set[str] = set()
            while len(answered) < 3:
                message = await wire.hear()
                if "id" in message:
                    answered.add(message["id"])
                    continue
                params = message["params"]
                assert params["data"] not in answered  # nothing after the answer
                assert f"{META}subscriptionId" not in params.get("_meta", {})
                logged[params["data"]].append(params["level"])
            assert logged == {"alert": LEVELS[6:], "none": [], "error": LEVELS[4:]}
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/logging/M03", "2026-07-28/logging/Y01")
def test_nothing_is_logged_for_a_request_after_its_answer() -> None:
    async def main() -> None:
        server = Server("contract")
        answered, tasks = asyncio.Event(), []

        @server.tool
        async def leaves(ctx: Context) -> str:
            async def later() -> None:
                await answered.wait()
                await ctx.error("too late")

            tasks.append(asyncio.ensure_future(later()))
            await ctx.error("in time")
            return "done"

        async with client_of(server) as wire:
            before, _ = await wire.until(wire.call(CALL, {"name": "leaves"}, logLevel="debug"))
            assert [message["params"]["data"] for message in before] == ["in time"]
            listener = wire.call(CALL, {"name": "leaves"}, logLevel="debug")
            answered.set()
            before, _ = await wire.until(listener)
            assert [message["params"]["data"] for message in before] == ["in time"]
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/logging/S03")
@pytest.mark.parametrize("level", [SECRET, "WARNING", "warn", "", 3, True, ["debug"], {}], ids=str)
@pytest.mark.parametrize("method", ["tool", "prompt", "tools/list", "server/discover"])
def test_an_unknown_level_makes_the_request_fail_before_anything_runs(method: str, level: Any) -> None:
    async def main() -> None:
        ran = False
        server = make_server()

        @server.middleware
        async def note(message: Any, call_next: Callable[[Any], Any]) -> Any:
            nonlocal ran
            ran = True
            return await call_next(message)

        async with client_of(server) as wire:
            name, params = REQUESTS.get(method, (method, {}))
            error = await wire.error(name, params, logLevel=level)
            assert error["code"] == -32602 and "logLevel" in error["message"]
            assert SECRET not in str(error) and not ran

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/logging/S04")
def test_a_message_that_cannot_be_written_fails_the_request_internally(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.prompt
        async def broken(ctx: Context) -> str:
            await ctx.info({SECRET: object()})
            return "?"

        @server.prompt
        async def misspelt(ctx: Context) -> str:
            await ctx.log("warn", "x")
            return "?"

        async with client_of(server) as wire:
            for name in ("broken", "misspelt"):
                error = await wire.error("prompts/get", {"name": name}, logLevel="debug")
                assert error["code"] == -32603 and SECRET not in str(error)

    asyncio.run(main())
    assert "the data must be a JSON value" in caplog.text and "the level must be one of debug" in caplog.text


# -- what is logged ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/logging/S04", "2024-11-05/logging/S05")
@pytest.mark.parametrize("logger", [None, "database", "a.b/c d", ""])
@pytest.mark.parametrize(
    "data", ["text", "", 7, 1.5, True, None, [1, None], {"error": {"host": "ü", "port": 1}}], ids=str
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_data_and_logger_arrive_as_they_were_given(revision: str, data: Any, logger: str | None) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            meta = {"logLevel": "debug"} if revision == MODERN else {}
            arguments = {"level": "warning", "data": data, "logger": logger}
            before, _ = await wire.until(wire.call(CALL, {"name": "say", "arguments": arguments}, **meta))
            expected = {"level": "warning", "data": data} | ({} if logger is None else {"logger": logger})
            assert [message["params"] for message in before] == [expected]

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_short_names_log_at_their_levels(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def short(ctx: Context) -> str:
            for log in (ctx.debug, ctx.info, ctx.warning, ctx.error):
                await log("x")
            return "done"

        @server.tool
        def short_in_a_thread(ctx: SyncContext) -> str:
            for log in (ctx.debug, ctx.info, ctx.warning, ctx.error):
                log("x")
            return "done"

        async with client_of(server, revision) as wire:
            for name in ("short", "short_in_a_thread"):
                meta = {"logLevel": "debug"} if revision == MODERN else {}
                before, _ = await wire.until(wire.call(CALL, {"name": name}, **meta))
                assert [one["params"]["level"] for one in before] == ["debug", "info", "warning", "error"]

    asyncio.run(main())


def test_the_servers_own_log_never_goes_to_the_client() -> None:
    async def main() -> None:
        server = make_server()

        @server.tool
        async def fails() -> str:
            raise ValueError(SECRET)

        async with client_of(server) as wire:
            before, answer = await wire.until(wire.call(CALL, {"name": "fails"}, logLevel="debug"))
            assert before == [] and SECRET not in str(answer)

    asyncio.run(main())


# -- the client --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/logging/Y01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_sets_the_level_in_the_way_of_the_revision(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"logging": {}, "tools": {}})
            if revision != MODERN:
                request = await wire.hear(SET)
                assert request["params"]["level"] == "error"
                wire.reply(request, {})
            request = await wire.hear("tools/list")
            level = request.get("params", {}).get("_meta", {}).get(f"{META}logLevel")
            assert level == ("error" if revision == MODERN else None)
            more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if revision == MODERN else {}
            wire.reply(request, {"tools": [], **more})

        async with serving(script) as target, Client(target, revisions=revision) as client:
            await client.set_log_level("error")
            await client.list_tools()

    asyncio.run(main())


@pytest.mark.parametrize("revision", LEGACY)
def test_a_client_asks_no_level_of_a_server_that_does_not_log(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"tools": {}})
            await wire.end()
            assert all(SET.encode() not in line for _, line in wire.lines)

        async with serving(script) as target, Client(target, revisions=revision) as client:
            with pytest.raises(MissingCapability):
                await client.set_log_level("error")

    asyncio.run(main())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_hands_log_messages_over_in_order_and_lives_with_odd_ones(revision: str) -> None:
    async def main() -> None:
        messages: list[dict[str, Any]] = [
            {"level": "info", "data": "first", "logger": "db"},
            {"level": "chatty", "data": None},
            {"data": "no level"},
            {"level": "error"},
            {"level": "error", "data": {"n": [1]}, "com.example/x": 1},
        ]
        heard: list[LogMessage] = []

        async def script(wire: Wire) -> None:
            await accept(wire, revision, {"logging": {}, "tools": {}})
            request = await wire.hear("tools/list")
            wire.judge = None
            for params in messages:
                wire.say({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
            more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if revision == MODERN else {}
            wire.reply(request, {"tools": [], **more})
            await wire.end()

        async with serving(script) as target, Client(target, revisions=revision, log=heard.append) as client:
            await client.list_tools()
            while len(heard) < 3:
                await asyncio.sleep(0)
        assert [(one.level, one.data, one.logger) for one in heard] == [
            ("info", "first", "db"),
            ("chatty", None, None),
            ("error", {"n": [1]}, None),
        ]

    asyncio.run(main())
