"""The server's lifespan: entered once by the first connection, left after the last one, in one task of its own.

A context manager must be left in the task that entered it; the task here does both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

__all__ = ["LifespanRunner"]

_log = logging.getLogger("mcpcore.server")


class LifespanRunner:
    """Counts who needs the lifespan. ``value`` is what it yielded while it runs."""

    def __init__(self, server: Any, lifespan: Callable[[Any], Any] | None) -> None:
        self._server = server
        self._lifespan = lifespan
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._done: asyncio.Event | None = None
        self.value: Any = None

    @property
    def wanted(self) -> bool:
        return self._lifespan is not None

    async def start(self) -> None:
        """One more user; returns once the lifespan has started, raises what it raised."""
        if self._lifespan is not None:
            await asyncio.shield(self._begin())

    async def stop(self) -> None:
        """One user less; after the last one, returns when the lifespan has ended."""
        if self._lifespan is not None:
            task = self._task
            self.leave()
            if self._users == 0 and task is not None:
                await asyncio.wait({task})

    def enter(self, ready: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """One more user, told by a callback."""

        def tell(future: asyncio.Future[None]) -> None:
            error = None if future.cancelled() else future.exception()
            if future.cancelled() or error is not None:
                failed(error if error is not None else RuntimeError("its start was cancelled"))
            else:
                ready()

        self._begin().add_done_callback(tell)

    def leave(self) -> None:
        self._users -= 1
        if self._users == 0 and self._done is not None:
            self._done.set()
            self._task = self._ready = self._done = None

    def _begin(self) -> asyncio.Future[None]:
        self._users += 1
        if self._ready is None:
            loop = asyncio.get_running_loop()
            self._ready = loop.create_future()
            self._done = asyncio.Event()
            self._task = loop.create_task(self._hold(self._ready, self._done), name="mcpcore-lifespan")
        return self._ready

    async def _hold(self, ready: asyncio.Future[None], done: asyncio.Event) -> None:
        assert self._lifespan is not None
        try:
            async with self._lifespan(self._server) as value:
                self.value = value
                ready.set_result(None)
                await done.wait()
        except Exception as error:
            if ready.done():
                _log.error("the lifespan of the server failed at its end", exc_info=error)
            else:
                ready.set_exception(error)
        finally:
            self.value = None
            if not ready.done():
                ready.cancel()
