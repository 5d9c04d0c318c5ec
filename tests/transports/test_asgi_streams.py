"""``server.asgi()``: clients that go away or do not keep up, time, many at once. Scopes and messages by hand."""

from __future__ import annotations

import asyncio
import time
import types
from typing import Any

import pytest

from mcpcore import Context, Limits, Server
from mcpcore.transports import asgi_site
from tests.transports.asgi_driver import Stage, running
from tests.transports.asgi_server import (
    ADD,
    LISTEN,
    WAIT,
    Steps,
    make_server,
    perform,
    settled,
    site_of,
)

# -- a client that goes away -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("say", ["", "something"])
def test_a_client_that_goes_away_cancels_its_modern_request(say: str) -> None:
    """While JSON is awaited, and in a stream."""

    async def main() -> None:
        steps = Steps()
        async with running(make_server(steps).asgi()) as stage:
            meta = {"io.modelcontextprotocol/logLevel": "info"}
            request = stage.begin_modern("tools/call", {"name": "wait", "arguments": {"say": say}}, meta=meta)
            await steps.until("begun")
            if say:
                assert (await request.event())["params"]["data"] == say
            request.feed([b"bytes that belong to nothing"], more=True)
            await settled()
            request.disconnect()
            await request.over()
            await steps.until("cancelled")
            # Nobody gets it; but a middleware takes an application that answers nothing for broken.
            assert (request.status, request.ended) == ((200, False) if say else (499, True))

    asyncio.run(main())


def test_a_client_that_goes_away_leaves_its_legacy_request_running() -> None:
    async def main() -> None:
        steps = Steps()
        async with running(make_server(steps).asgi()) as stage:
            session = await stage.open_session()
            call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
            request = stage.begin_post(
                {**call, "params": {"name": "wait", "arguments": {"say": "hello"}}}, session, headers={}
            )
            priming = await request.raw_event()
            request.disconnect()
            await request.over()
            steps.gate.set()
            await steps.until("finished")
            last = priming.split("\n")[0].removeprefix("id: ")
            again = stage.begin_standing(session, headers={"last-event-id": last})
            assert (await again.event())["method"] == "notifications/message"
            assert (await again.event())["id"] == 7
            await again.over()

    asyncio.run(main())


def test_a_server_that_cancels_the_application_ends_the_handler() -> None:
    async def main() -> None:
        steps = Steps()
        async with running(make_server(steps).asgi()) as stage:
            request = stage.begin_modern("tools/call", {"name": "wait"})
            await steps.until("begun")
            request.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request.over()
            await steps.until("cancelled")

    asyncio.run(main())


def test_a_send_that_fails_says_that_the_client_is_gone() -> None:
    async def main() -> None:
        steps = Steps()
        async with running(make_server(steps).asgi()) as stage:
            meta = {"io.modelcontextprotocol/logLevel": "info"}
            request = stage.begin_modern("tools/call", {"name": "wait", "arguments": {"say": "x"}}, meta=meta)
            request.fails = True
            await request.over()
            await steps.until("cancelled")

    asyncio.run(main())


def test_a_receive_that_fails_counts_as_a_disconnect() -> None:
    async def main() -> None:
        steps = Steps()
        app = make_server(steps).asgi()

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            calls = 0

            async def broken() -> Any:
                nonlocal calls
                calls += 1
                if calls > 1:
                    raise RuntimeError("a middleware's fault")
                return await receive()

            await app(scope, broken, send)

        async with running(wrapped) as stage:
            request = stage.begin_modern("tools/call", {"name": "wait"})
            await request.over()
            assert steps == ["begun", "cancelled"]

    asyncio.run(main())


def test_a_receive_that_always_has_something_to_say_stops_nothing() -> None:
    async def main() -> None:
        steps = Steps()
        app = make_server(steps).asgi()

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            calls = 0

            async def talkative() -> Any:
                nonlocal calls
                calls += 1
                if calls == 1:
                    return await receive()
                if calls == 100:
                    steps.gate.set()
                assert calls < 10_000
                return {"type": "http.request", "body": b"", "more_body": False}

            await app(scope, talkative, send)

        async with running(wrapped) as stage:
            assert (await stage.modern("tools/call", {"name": "wait"})).text == "done"

    asyncio.run(main())


# -- a client that does not keep up ------------------------------------------------------------------------------------


def chatty(steps: Steps, messages: int, size: int, **limits: Any) -> Server:
    server = make_server(steps, limits=Limits(**limits))

    @server.tool
    async def chat(ctx: Context) -> str:
        try:
            for number in range(messages):
                await ctx.info(f"{number} " + "x" * size)
                steps.note(str(number))
        except asyncio.CancelledError:
            steps.note("cancelled")
            raise
        return "done"

    return server


CHAT_META = {"io.modelcontextprotocol/logLevel": "debug"}


def test_a_handler_waits_for_a_reader_that_is_slow_and_says_everything() -> None:
    async def main() -> None:
        steps = Steps()
        async with running(chatty(steps, 1000, 1000, stream_bytes=100_000).asgi()) as stage:
            request = stage.begin_modern("tools/call", {"name": "chat"}, meta=CHAT_META)
            request.stall()
            await steps.until("0")
            await settled()
            await asyncio.sleep(0.05)
            assert len(steps) < 300
            request.flow()
            messages = [await request.event() for _ in range(1001)]
            assert [one["params"]["data"].split(" ")[0] for one in messages[:-1]] == [
                str(number) for number in range(1000)
            ]
            assert messages[-1]["result"]["content"][0]["text"] == "done"
            await request.over()

    asyncio.run(main())


def test_a_reader_that_stays_behind_is_cut_off_and_the_others_are_not() -> None:
    async def main() -> None:
        steps = Steps()
        server = make_server(steps, limits=Limits(stream_bytes=1000, stalled_seconds=0.05))
        async with running(server.asgi()) as stage:
            slow = stage.begin_modern("subscriptions/listen", LISTEN)
            quick = stage.begin_modern("subscriptions/listen", LISTEN)
            for listener in (slow, quick):
                await listener.event()
            slow.stall()
            server.notify_tools_changed()
            assert (await quick.event())["method"] == "notifications/tools/list_changed"
            async with asyncio.timeout(WAIT):
                while sum(len(one.peer.incoming) for one in server._runners) > 1:  # the slow one's is cancelled
                    await asyncio.sleep(0.01)
                    server.notify_tools_changed()
            slow.flow()
            await slow.over()
            assert slow.ended
            assert b'"result"' not in slow.body
            quick.disconnect()
            await quick.over()

    asyncio.run(main())


def test_a_reader_that_takes_nothing_at_all_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_site, "_CUT_SECONDS", 0.05)

    async def main() -> None:
        server = make_server(limits=Limits(stalled_seconds=0.05))
        async with running(server.asgi()) as stage:
            listener = stage.begin_modern("subscriptions/listen", LISTEN)
            await listener.event()
            listener.stall()
            server.notify_tools_changed()
            await listener.over()
            assert not listener.ended

    asyncio.run(main())


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_silent_stream_gets_comments() -> None:
    async def story(stage: Stage) -> None:
        listener = stage.begin_modern("subscriptions/listen", LISTEN)
        await listener.event()
        for _ in range(3):
            assert (await listener.raw_event()).startswith(":")
        listener.disconnect()
        await listener.over()

    perform(make_server(limits=Limits(comment_seconds=0.04)).asgi(), story)


def test_a_request_that_takes_long_becomes_a_stream() -> None:
    async def main() -> None:
        steps = Steps()
        async with running(make_server(steps, limits=Limits(json_seconds=0.04)).asgi()) as stage:
            request = stage.begin_modern("tools/call", {"name": "wait"})
            assert await request.head() == 200
            assert request.headers["content-type"] == "text/event-stream"
            steps.gate.set()
            assert (await request.event())["result"]["content"][0]["text"] == "done"
            await request.over()

    asyncio.run(main())


def test_time_passes_while_there_is_something_to_look_after_and_stops_then() -> None:
    async def story(stage: Stage) -> None:
        app = stage.app
        session = await stage.open_session()
        site = site_of(app)
        async with asyncio.timeout(WAIT):
            while site._ticker is not None:
                await asyncio.sleep(0.01)
        assert (await stage.post({"jsonrpc": "2.0", "id": 2, "method": "ping"}, session)).status == 404

    perform(make_server(limits=Limits(session_seconds=0.04)).asgi(), story)


def test_a_stream_that_was_complete_at_once_is_not_looked_after() -> None:
    async def story(stage: Stage) -> None:
        request = stage.begin_modern("tools/call", ADD)
        assert (await request.event())["result"]["structuredContent"] == {"result": 3}
        await request.over()
        assert not site_of(stage.app)._lasting

    perform(make_server().asgi(answers="sse"), story)


def test_what_comes_after_a_long_silence_is_not_taken_for_old(monkeypatch: pytest.MonkeyPatch) -> None:
    offset = 0.0
    clock = types.SimpleNamespace(monotonic=lambda: time.monotonic() + offset)
    monkeypatch.setattr(asgi_site, "time", clock)

    async def story(stage: Stage) -> None:
        nonlocal offset
        assert (await stage.modern("tools/call", ADD)).text == "3"
        site = site_of(stage.app)
        async with asyncio.timeout(WAIT):
            while site._ticker is not None:
                await asyncio.sleep(0.01)
        offset = 36_000.0
        session = await stage.open_session()
        site._on_time()
        assert (await stage.post({"jsonrpc": "2.0", "id": 2, "method": "ping"}, session)).status == 200

    perform(make_server(limits=Limits(keep_alive_seconds=0.04)).asgi(), story)


# -- many at once ------------------------------------------------------------------------------------------------------


def test_clients_that_all_use_the_same_id_never_meet() -> None:
    server = make_server()

    async def story(stage: Stage) -> None:
        async def one(number: int) -> None:
            call = {"name": "echo", "arguments": {"text": str(number)}}
            answer = await stage.modern("tools/call", call, id=1, headers={"x-who": f"client {number}"})
            assert answer.text == f"{number} client {number} anonymous"

        await asyncio.gather(*[one(number) for number in range(200)])
        assert len(server._runners) <= 64, "servants are kept, and not all of them"
        kept = set(server._runners)
        await asyncio.gather(*[one(number) for number in range(20)])
        assert set(server._runners) == kept, "and used again"

    perform(server.asgi(), story)


def test_a_notification_is_handled_to_its_end_after_its_request() -> None:
    async def main() -> None:
        steps = Steps()
        server = make_server(steps)

        @server.notification("acme/event")
        async def event(params: dict[str, Any]) -> None:
            await steps.gate.wait()
            steps.note("handled")

        async with running(server.asgi()) as stage:
            headers = {"content-type": "application/json", "mcp-protocol-version": "2026-07-28"}
            body = [b'{"jsonrpc":"2.0","method":"acme/event","params":{}}']
            answer = await stage.ask("POST", "/mcp", headers, body)
            assert answer.status == 202
            assert (await stage.modern("tools/call", ADD)).text == "3"
            steps.gate.set()
            await steps.until("handled")
            await settled()
            assert len(site_of(stage.app)._servants) == 2

    asyncio.run(main())
