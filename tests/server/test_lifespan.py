"""Who enters the lifespan, who leaves it, and what is left behind where it fails or nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpcore import Server, UsageError
from mcpcore.server.lifespan import LifespanRunner

WAIT = 5.0


def test_a_start_that_failed_is_tried_again_by_the_next_user() -> None:
    attempts: list[int] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[str]:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            raise OSError("the database is not there yet")
        yield "value"

    async def main() -> None:
        runner = LifespanRunner(None, lifespan)
        with pytest.raises(OSError, match="not there yet"):
            await runner.start("first")
        await runner.start("second")
        assert runner.value(asyncio.get_running_loop()) == "value"
        await runner.stop("second", WAIT)
        assert runner.value(asyncio.get_running_loop()) is None

    asyncio.run(main())


def test_a_start_that_nobody_waits_for_any_more_is_cancelled() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[None]:
        steps.append("starting")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("given up")
        yield

    async def main() -> None:
        runner = LifespanRunner(None, lifespan)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await runner.start("impatient")
        while "given up" not in steps:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_each_event_loop_has_a_lifespan_of_its_own() -> None:
    server = Server("loops", lifespan=_numbered())

    async def enter(user: str) -> Any:
        await server.start_lifespan(user)
        return server.lifespan_in(asyncio.get_running_loop())

    async def both() -> None:
        assert await enter("second") == 2, "the first loop was closed without leaving"
        await server.stop_lifespan("second")

    assert asyncio.run(enter("first")) == 1
    asyncio.run(both())


def test_the_end_of_the_loop_ends_a_lifespan_that_nobody_left() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[None]:
        yield
        steps.append("ending")
        await asyncio.sleep(0)
        steps.append("ended")

    asyncio.run(LifespanRunner(None, lifespan).start("user"))
    assert steps == ["ending", "ended"]


def _numbered() -> Any:
    count = 0

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[int]:
        nonlocal count
        count += 1
        yield count

    return lifespan


def test_an_end_that_takes_too_long_is_told_with_its_remedy_and_given_up(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncIterator[None]:
        yield
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("given up")

    async def main() -> None:
        runner = LifespanRunner(None, lifespan)
        await runner.start("user")
        await runner.stop("user", 0.01)
        while not steps:
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "did not end within 0.01 s; raise Limits.drain_seconds" in caplog.text


def test_a_generator_that_is_no_context_manager_is_refused_with_the_remedy() -> None:
    async def lifespan(server: Any) -> AsyncIterator[None]:
        yield

    with pytest.raises(UsageError, match=r"contextlib\.asynccontextmanager"):
        Server("bare", lifespan=lifespan)  # type: ignore[arg-type]
