"""``server.asgi()``: the lifespan, event loops, and how its streams learn that the server stops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from mcpcore import Limits, Server
from mcpcore.transports import asgi_stop
from tests.transports.asgi_driver import Lifespan, Stage, running
from tests.transports.asgi_server import (
    ADD,
    ECHO,
    LISTEN,
    WAIT,
    Steps,
    make_server,
    perform,
    refused,
    settled,
    site_of,
    with_lifespan,
)

# -- the lifespan ------------------------------------------------------------------------------------------------------


def test_one_application_lives_a_hundred_times_each_in_a_loop_of_its_own() -> None:
    steps: list[str] = []
    app = with_lifespan(steps).asgi()

    async def story(stage: Stage) -> None:
        assert (await stage.modern("tools/call", {"name": "held"})).text == "value"
        session = await stage.open_session()
        standing = stage.begin_standing(session)
        assert await standing.head() == 200
        await stage.ask("DELETE", "/mcp", {"mcp-session-id": session})
        await standing.over()

    for _ in range(100):
        perform(app, story, lifespan=True)
    assert steps == ["started", "ended"] * 100
    assert not app._sites


def test_without_a_lifespan_scope_the_first_request_starts_it_and_the_loop_ends_it() -> None:
    steps: list[str] = []
    app = with_lifespan(steps).asgi()

    async def story(stage: Stage) -> None:
        assert steps[-1:] != ["started"]
        answers = await asyncio.gather(*[stage.modern("tools/call", {"name": "held"}) for _ in range(5)])
        assert [answer.text for answer in answers] == ["value"] * 5

    for _ in range(10):
        perform(app, story)
    assert steps == ["started", "ended"] * 10
    assert len(app._sites) == 1, "loops that were closed are forgotten when the next one comes"


def test_loops_that_were_closed_leave_nothing_behind() -> None:
    """As with an adapter that runs each request in a loop of its own."""
    server = make_server()
    app = server.asgi()

    async def story(stage: Stage) -> None:
        await asyncio.gather(*[stage.modern("tools/call", ECHO) for _ in range(5)])
        await stage.open_session()

    for _ in range(20):
        perform(app, story)
    assert len(server._runners) <= 6, "those of the last loop"


def test_what_goes_on_after_a_request_has_none_of_its_context_variables() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[None]:
        seen.append(whose.get())
        yield

    app = make_server(lifespan=lifespan).asgi()

    async def story(stage: Stage) -> None:
        whose.set("a request's")
        await stage.modern("tools/call", ADD)
        assert site_of(app)._ticker._context.get(whose) is None

    perform(app, story)
    assert seen == ["nobody's"]


def test_a_refused_request_starts_nothing() -> None:
    steps: list[str] = []

    async def story(stage: Stage) -> None:
        await refused(stage, 421, {"host": "evil.example"})

    perform(with_lifespan(steps).asgi(), story)
    assert steps == []


def failing(times: int, steps: list[str]) -> Server:
    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[str]:
        steps.append("tried")
        await asyncio.sleep(0)
        if len(steps) <= times:
            raise OSError("the database is not there")
        yield "value"

    return make_server(lifespan=lifespan)


def test_a_start_that_fails_is_told_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        scope = Lifespan(failing(1, []).asgi())
        answer = await scope.start()
        assert answer["type"] == "lifespan.startup.failed"
        assert answer["message"] == "asgi: OSError: the database is not there"
        await scope.over()

    asyncio.run(main())
    assert "the database is not there" in caplog.text


def test_a_late_start_that_fails_is_tried_again_by_the_next_request(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.modern("tools/call", ADD)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "the database" not in answer.error["message"]
        assert (await stage.modern("tools/call", ADD)).text == "3"

    perform(failing(1, []).asgi(), story)
    assert "the database is not there" in caplog.text


def test_a_request_that_is_cancelled_while_it_starts_takes_nobody_with_it() -> None:
    async def main() -> None:
        opened = asyncio.Event()

        @asynccontextmanager
        async def lifespan(server: Any) -> AsyncIterator[str]:
            await opened.wait()
            yield "value"

        async with running(make_server(lifespan=lifespan).asgi()) as stage:
            first = stage.begin_modern("tools/call", ADD)
            second = stage.begin_modern("tools/call", ADD)
            await settled()
            first.task.cancel()
            await settled()
            opened.set()
            assert (await second.answer()).text == "3"

    asyncio.run(main())


def test_the_end_of_the_lifespan_ends_what_is_open() -> None:
    async def main() -> None:
        steps = Steps()
        server = make_server(steps, limits=Limits(http_drain_seconds=0.05))
        app = server.asgi()
        scope = Lifespan(app)
        await scope.start()
        stage = Stage(app)
        listener = stage.begin_modern("subscriptions/listen", LISTEN)
        await listener.event()
        session = await stage.open_session()
        standing = stage.begin_standing(session)
        await standing.head()
        late = stage.begin_modern("tools/call", {"name": "wait"})
        await steps.until("begun")
        stopping = asyncio.create_task(scope.stop())
        await settled()
        refusal = await stage.modern("tools/call", ADD)
        assert (refusal.status, refusal.headers["retry-after"]) == (503, "1")
        assert (await stopping)["type"] == "lifespan.shutdown.complete"
        assert (await listener.rest())[-1]["result"]["resultType"] == "complete"
        assert await standing.rest() == []
        assert (await late.answer()).error["message"] == "tools/call: the handler was cancelled"
        for request in stage.requests:
            await request.over()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not server._runners

    asyncio.run(main())


def test_a_reader_that_takes_nothing_does_not_hold_up_the_end() -> None:
    async def main() -> None:
        app = make_server(limits=Limits(http_drain_seconds=0.02)).asgi()
        scope = Lifespan(app)
        await scope.start()
        listener = Stage(app).begin_modern("subscriptions/listen", LISTEN)
        await listener.event()
        listener.stall()
        assert (await scope.stop())["type"] == "lifespan.shutdown.complete"
        await listener.over()
        assert not listener.ended

    asyncio.run(main())


def test_handlers_that_will_not_end_are_waited_for_all_at_once() -> None:
    async def main() -> float:
        server = make_server(limits=Limits(http_drain_seconds=0.02))
        never = asyncio.Event()

        @server.tool
        async def stubborn() -> str:
            while True:
                try:
                    await never.wait()
                    return "done"
                except asyncio.CancelledError:
                    pass

        app = server.asgi()
        scope = Lifespan(app)
        await scope.start()
        stage = Stage(app)
        requests = [stage.begin_modern("tools/call", {"name": "stubborn"}) for _ in range(30)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await scope.stop()
        seconds = time.monotonic() - began
        for request in requests:
            await request.over()
        never.set()
        await settled()
        return seconds

    assert asyncio.run(main()) < 3.0


def test_several_lifespan_scopes_in_one_loop_are_as_good_as_one() -> None:
    async def main() -> None:
        steps: list[str] = []
        app = with_lifespan(steps).asgi()
        first, second = Lifespan(app), Lifespan(app)
        await first.start()
        await second.start()
        await first.stop()
        assert (await Stage(app).modern("tools/call", {"name": "held"})).text == "value"
        await second.stop()
        assert steps == ["started", "ended"]

    asyncio.run(main())


def test_one_application_serves_several_loops_at_once() -> None:
    server = make_server()
    app = server.asgi()
    barrier = threading.Barrier(4)
    answers: list[str] = []

    async def story(stage: Stage) -> None:
        barrier.wait(WAIT)
        session = await stage.open_session()
        standing = stage.begin_standing(session)
        await standing.head()
        for number in range(20):
            answer = await stage.modern("tools/call", {"name": "add", "arguments": {"a": number, "b": 0}})
            answers.append(answer.text)
        barrier.wait(WAIT)
        server.notify_tools_changed()
        barrier.wait(WAIT)
        assert (await standing.event())["method"] == "notifications/tools/list_changed"
        standing.disconnect()
        await standing.over()

    threads = [threading.Thread(target=perform, args=(app, story), kwargs={"lifespan": True}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(answers, key=int) == sorted([str(number) for number in range(20)] * 4, key=int)


def test_five_servers_live_in_one_application() -> None:
    steps: list[str] = []
    servers = {f"/{number}": with_lifespan(steps).asgi() for number in range(5)}

    async def router(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        await servers[path[:2]]({**scope, "root_path": path[:2]}, receive, send)

    async def story(stage: Stage) -> None:
        for path in servers:
            assert (await stage.modern("tools/call", {"name": "held"}, path=path)).text == "value"

    perform(router, story)
    assert sorted(steps) == ["ended"] * 5 + ["started"] * 5


# -- the server is told to stop ----------------------------------------------------------------------------------------


@pytest.fixture
def server_signals() -> Iterator[list[int]]:
    """A server's handlers of the stop signals; what they got."""
    got: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda number, frame: got.append(number))
    yield got
    for number, handler in before.items():
        signal.signal(number, handler)
    for listening in tuple(asgi_stop._listening):
        asgi_stop.forget(listening)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("lifespan", [True, False])
def test_a_stop_signal_ends_the_streams_and_goes_on_to_the_server(
    server_signals: list[int], number: signal.Signals, lifespan: bool
) -> None:
    installed = signal.getsignal(number)
    steps: list[str] = []

    async def story(stage: Stage) -> None:
        listeners = [stage.begin_modern("subscriptions/listen", LISTEN) for _ in range(5)]
        session = await stage.open_session()
        standing = stage.begin_standing(session)
        for listener in listeners:
            await listener.event()
        os.kill(os.getpid(), number)
        for listener in listeners:
            assert (await listener.rest())[-1]["result"]["resultType"] == "complete"
            await listener.over()
        assert await standing.rest() == []
        await standing.over()
        assert server_signals == [number]
        assert (await stage.modern("tools/call", ADD)).status == 503
        if not lifespan:
            while steps[-1] != "ended":
                await asyncio.sleep(0)

    perform(with_lifespan(steps).asgi(), story, lifespan=lifespan)
    assert signal.getsignal(number) is installed


def test_where_no_server_handles_the_stop_signal_nothing_is_changed() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    interrupt = signal.getsignal(signal.SIGINT)

    async def story(stage: Stage) -> None:
        during = signal.getsignal(signal.SIGINT)
        assert during is not signal.SIG_DFL
        assert (await stage.modern("tools/call", ADD)).text == "3"
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is during

    try:
        perform(make_server().asgi(), story)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is interrupt


def test_a_handler_that_came_after_ours_keeps_its_place(server_signals: list[int]) -> None:
    later: list[int] = []

    async def story(stage: Stage) -> None:
        await stage.modern("tools/call", ADD)
        ours: Any = signal.getsignal(signal.SIGTERM)

        def before(number: int, frame: Any) -> None:
            later.append(number)
            ours(number, frame)

        signal.signal(signal.SIGTERM, before)

    perform(make_server().asgi(), story, lifespan=True)
    os.kill(os.getpid(), signal.SIGTERM)
    assert (later, server_signals) == ([signal.SIGTERM], [signal.SIGTERM])


def test_a_worker_process_of_hypercorn_is_told_by_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    event = threading.Event()
    process = types.SimpleNamespace(_kwargs={"config": None, "shutdown_event": event})
    module = types.SimpleNamespace(current_process=lambda: process)
    monkeypatch.setitem(sys.modules, "multiprocessing.process", module)
    monkeypatch.setitem(sys.modules, "hypercorn", types.ModuleType("hypercorn"))

    async def story(stage: Stage) -> None:
        listener = stage.begin_modern("subscriptions/listen", LISTEN)
        await listener.event()
        event.set()
        assert (await listener.rest())[-1]["result"]["resultType"] == "complete"
        await listener.over()

    perform(make_server().asgi(), story)
