"""How the user's functions are called: in order and without holding up the reader, or in a thread of their own.

Which function gets what is decided elsewhere. A function that fails is logged with its traceback and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["InOrder", "call", "in_thread"]

log = logging.getLogger("mcpcore.client")


class InOrder:
    """Calls functions one after the other, each after the one before has finished.

    At once, and before the next message is read, where nothing waits; after an async function, from a task. At most
    ``limit`` calls wait: then the oldest give way, and the log says how many.
    """

    __slots__ = ("_dropped", "_limit", "_loop", "_task", "_waiting")

    def __init__(self, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._waiting: deque[tuple[str, Callable[..., Any], Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._dropped = 0

    def put(self, name: str, function: Callable[..., Any], argument: Any) -> None:
        """``name`` is what the log calls it."""
        if self._task is None:
            outcome = _call(name, function, argument)
            if inspect.isawaitable(outcome):
                task = self._loop.create_task(self._go_on(name, outcome), name="mcpcore-callbacks")
                self._task = None if task.done() else task  # a loop with eager tasks may have run all of it
            return
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((name, function, argument))

    @property
    def busy(self) -> bool:
        return self._task is not None

    async def settled(self) -> None:
        """Wait until everything put so far, and meanwhile, has been called."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Call nothing more; what runs is cancelled."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def _go_on(self, name: str, outcome: Any) -> None:
        try:
            while True:
                if inspect.isawaitable(outcome):
                    try:
                        await outcome
                    except Exception:
                        log.exception("the callback for %s failed", name)
                if not self._waiting:
                    return
                name, function, argument = self._waiting.popleft()
                outcome = _call(name, function, argument)
        finally:
            self._task = None
            if self._dropped:
                log.warning("%d notifications were dropped: their callback is too slow", self._dropped)
                self._dropped = 0


def _call(name: str, function: Callable[..., Any], argument: Any) -> Any:
    try:
        return function(argument)
    except Exception:
        log.exception("the callback for %s failed", name)
        return None


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` returns. An async one runs in this loop, any other in a thread: it may wait for a person."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        outcome = function(*arguments)
    else:
        outcome = await in_thread(function, *arguments)
    return await outcome if inspect.isawaitable(outcome) else outcome


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """``function`` in a daemon thread, with the context variables of here. Cancelling stops the waiting, not the
    thread.

    Not the loop's executor: the end of ``asyncio.run`` waits for its threads, and this one may wait for a person.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError(f"{function!r} raised StopIteration"))
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = context.run(function, *arguments)
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name="mcpcore-callback", daemon=True).start()
    return await future
