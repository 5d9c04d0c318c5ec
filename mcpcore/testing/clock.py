"""A clock for tests of timeouts: the loop's time stands still while something can run, and jumps when nothing can.

It is an ordinary selector loop with another clock. Pipes, sockets and threads stay real: where there are any, the loop
waits for them in real time before it jumps. What reads the time elsewhere (``time.time``) is not touched.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["FakeClock", "Stalled"]

T = TypeVar("T")

_STALL_SECONDS = 10.0
"""Real seconds without any event after which a test would only hang."""


class Stalled(RuntimeError):
    """The coroutine waits for something that nothing is going to bring: no timer is set and no event comes."""


class FakeClock:
    """``clock.run(main())`` is ``asyncio.run(main())`` on this clock; ``clock.time()`` starts at 0, in seconds.

    With ``autojump`` an idle loop jumps to its next timer. Without, it waits for ``await clock.advance(seconds)``,
    which runs every timer on the way in order and returns once nothing is left to do at the new time. ``patience`` is
    how many real seconds an idle loop waits before it jumps while there are other threads or open descriptors; while
    there are none, nothing could come from outside and it does not wait.
    """

    def __init__(self, *, autojump: bool = True, patience: float = 0.05) -> None:
        self._now = 0.0
        self._limit = float("inf") if autojump else 0.0
        self._patience = patience
        self._arrived: asyncio.Future[None] | None = None

    def time(self) -> float:
        return self._now

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end in a new loop. Raises what it raises, and ``Stalled`` where it would hang."""
        with asyncio.Runner(loop_factory=self.new_event_loop) as runner:
            return runner.run(main)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop on this clock, for runners that take a ``loop_factory``."""
        return _Loop(self)

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. Raises ``UsageError`` where another task is at it."""
        if self._arrived is not None:
            raise UsageError("advance() is under way in another task; let one task move the clock")
        if self._limit == float("inf"):
            await asyncio.sleep(seconds)
            return
        self._arrived = asyncio.get_running_loop().create_future()
        self._limit = self._now + seconds
        try:
            await self._arrived
        finally:
            self._limit = self._now
            self._arrived = None

    def _idle(self, timeout: float | None) -> bool:
        """Nothing can run before ``timeout`` has passed. True where the clock moved or somebody was woken."""
        if self._now < self._limit and not (timeout is None and self._arrived is None):
            left = self._limit - self._now
            self._now = self._limit if timeout is None or timeout >= left else self._now + timeout
            return True
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
            return True
        return False


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.time()

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """Threads end in real time: without the jumps that asyncio's own limit of five minutes would invite."""
        limit, self._clock._limit = self._clock._limit, self._clock._now
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._clock._limit = limit


class _Selector(selectors.DefaultSelector):
    """Where the loop asks how long it may sleep, the clock is moved instead."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        outside = len(self.get_map()) > 1 or threading.active_count() > 1  # one descriptor is the loop's own
        events = super().select(self._clock._patience if outside else 0)
        if events or self._clock._idle(timeout):
            return events
        began = time.monotonic()
        events = super().select(_STALL_SECONDS)
        if not events and time.monotonic() - began >= _STALL_SECONDS:
            raise Stalled(f"nothing happened for {_STALL_SECONDS:.0f} real seconds and no timer is due that may run")
        return events
