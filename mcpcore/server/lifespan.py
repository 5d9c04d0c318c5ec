"""The server's lifespan: entered by the first connection, left after the last one, in one task of its own.

A context manager must be left in the task that entered it; the task here does both. Its value belongs to the event loop
of that task: a server that is used from two loops enters it in each.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from mcpcore.errors import UsageError

__all__ = ["LifespanRunner"]

_log = logging.getLogger("mcpcore.server")


class _Run:
    """One stay in the lifespan, and who needs it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.users: set[object] = set()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.value: Any = None


class LifespanRunner:
    """Knows who needs the lifespan. Raises ``UsageError`` for a generator that is no context manager yet."""

    def __init__(self, server: Any, lifespan: Callable[[Any], Any] | None) -> None:
        if inspect.isasyncgenfunction(lifespan) or inspect.isgeneratorfunction(lifespan):
            raise UsageError("lifespan: decorate the function with contextlib.asynccontextmanager, and write async def")
        self._server = server
        self._lifespan = lifespan
        self._runs: dict[asyncio.AbstractEventLoop, _Run] = {}

    @property
    def wanted(self) -> bool:
        return self._lifespan is not None

    def value(self, loop: asyncio.AbstractEventLoop) -> Any:
        """What it yielded, while it runs in this loop."""
        run = self._runs.get(loop)
        return run.value if run is not None else None

    async def start(self, user: object) -> None:
        """``user`` needs it; returns once the lifespan has started, raises what it raised."""
        if self._lifespan is not None:
            try:
                await asyncio.shield(self._begin(user).ready)
            except BaseException:
                self.leave(user)
                raise

    async def stop(self, user: object, seconds: float) -> None:
        """``user`` needs it no more; after the last one, returns when the lifespan has ended, or after so long."""
        run = self.leave(user)
        if run is None or run.users or run.task is None:
            return
        _, late = await asyncio.wait({run.task}, timeout=seconds)
        if late:
            _log.error("the lifespan of the server did not end within %g s; raise Limits.drain_seconds", seconds)
            run.task.cancel()

    def enter(self, user: object, ready: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """``user`` needs it, and is told by a callback."""

        def tell(future: asyncio.Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if future.cancelled() or error is not None:
                failed(error if error is not None else RuntimeError("its start was cancelled"))
            else:
                ready()

        self._begin(user).ready.add_done_callback(tell)

    def leave(self, user: object) -> _Run | None:
        """``user`` needs it no more. Nobody waits for a start that nobody needs."""
        for loop, run in tuple(self._runs.items()):
            if user in run.users:
                run.users.discard(user)
                if not run.users:
                    del self._runs[loop]
                    run.done.set()
                    if not run.ready.done() and run.task is not None:
                        run.task.cancel()
                return run
        return None

    def _begin(self, user: object) -> _Run:
        loop = asyncio.get_running_loop()
        run = self._runs.get(loop)
        if run is None:
            self._runs = {old: run for old, run in self._runs.items() if not old.is_closed()}
            run = self._runs[loop] = _Run(loop)
            run.task = loop.create_task(self._hold(run), name="mcpcore-lifespan")
        run.users.add(user)
        return run

    async def _hold(self, run: _Run) -> None:
        assert self._lifespan is not None
        try:
            async with self._lifespan(self._server) as value:
                run.value = value
                run.ready.set_result(None)
                try:
                    await run.done.wait()
                except asyncio.CancelledError:
                    pass  # the loop ends, and nobody said so: what stands behind the yield runs all the same
        except Exception as error:
            if run.ready.done():
                _log.error("the lifespan of the server failed at its end", exc_info=error)
            else:
                run.ready.set_exception(error)
        finally:
            run.value = None
            if not run.ready.done():
                run.ready.cancel()
