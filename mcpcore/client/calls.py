"""The requests under way on one connection: their ids, their limits of time, their progress, and how each one ends.

One timer serves all of them. A call that times out, or whose task is cancelled, is abandoned: the server is told, a
late answer is dropped, and the other calls never notice. What a result means is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import TYPE_CHECKING, Any

from mcpcore.client.callbacks import InOrder
from mcpcore.client.timeouts import Clock
from mcpcore.errors import CallTimeout, Closed, ConnectionLost, InvalidResult, McpError, UsageError
from mcpcore.types import Progress, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpcore.client.timeouts import Timeouts
    from mcpcore.core.exchange import Pending
    from mcpcore.transports.opening import ClientPolicy
    from mcpcore.transports.runner import Runner

__all__ = ["Calls", "again", "subject"]

log = logging.getLogger("mcpcore.client")

_NEVER = float("inf")
_SLACK = 0.005
"""Seconds between two looks at the limits, so that many limits close together do not become many looks."""


class _Call:
    """One request under way. Times are the clock's; ``due`` is when to look at it next, never too late."""

    __slots__ = ("due", "heard", "idle", "on_progress", "params", "pending", "queue", "started", "total")

    def __init__(self, pending: Pending, params: dict[str, Any], now: float, spent: float, limits: Timeouts) -> None:
        self.pending = pending
        self.params = params
        self.started = now - spent
        self.heard = now
        self.idle = _NEVER if limits.idle is None else limits.idle
        self.total = _NEVER if limits.total is None else limits.total
        self.due = min(now + self.idle, self.started + self.total)
        self.on_progress: Callable[[Progress], Any] | None = None
        self.queue: InOrder | None = None


class Calls:
    """``ask`` is the way of every request of a client, but those of the handshake."""

    def __init__(self, runner: Runner, policy: ClientPolicy) -> None:
        self.runner = runner
        self.policy = policy
        self.clock = Clock(runner.loop.time, self._look)
        self._open: dict[int | str, _Call] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = _NEVER
        self._authorizes: bool = getattr(runner.channel, "asks_for_auth", False)

    async def ask(
        self,
        method: str,
        params: dict[str, Any],
        limits: Timeouts,
        *,
        progress: Callable[[Progress], Any] | None = None,
        level: str | None = None,
        spent: float = 0.0,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The result of one request. ``spent`` seconds of the total are gone already. ``headers`` are for it alone.

        Raises ``RpcError``, ``ProtocolViolation``, ``CallTimeout``, ``ConnectionLost``, ``HttpError``, ``Closed``, or
        ``UsageError`` for parameters that JSON cannot say, or for headers where there are none.
        """
        runner = self.runner
        if runner.congested:
            spent += await self._drained(method, params, limits, spent)
        id = runner.peer.mint()
        if headers is not None or self._authorizes:
            spent += await self._attach(id, headers, subject(method, params), limits, spent)
        token = id if limits.idle is not None or progress is not None else None
        pending = self._send(method, self.policy.wrap(params, level, token), id)
        call = _Call(pending, params, self.clock.now(), spent, limits)
        call.on_progress = progress
        self._open[id] = call
        if call.due < self._alarm:
            self._set_alarm(call.due)
        waiter: asyncio.Future[dict[str, Any]] = pending.waiter
        try:
            result = await waiter
            if call.queue is not None:
                await call.queue.settled()
            return result
        except asyncio.CancelledError:
            self._abandon(call)
            raise
        except (ConnectionLost, Closed) as error:
            raise again(error) from None
        finally:
            del self._open[id]

    def send(self, method: str, params: dict[str, Any]) -> Pending:
        """A request that no limit of time applies to. Its end is for the caller to see."""
        return self._send(method, self.policy.wrap(params, None), self.runner.peer.mint())

    def progressed(self, params: dict[str, Any]) -> None:
        """A progress notification came. One for a call that is over is ordinary, and dropped."""
        token = params.get("progressToken")
        call = self._open.get(token) if type(token) is int else None
        if call is None or call.pending.settled:
            return
        call.heard = self.clock.now()
        if call.on_progress is None:
            return
        try:
            progress = from_wire(Progress, params)
        except InvalidResult as error:
            log.warning("%s: notifications/progress was ignored: %s", self.runner.endpoint, error)
            return
        if call.queue is None:
            call.queue = InOrder(self.runner.limits.notification_queue)
        call.queue.put("notifications/progress", call.on_progress, progress)

    def close(self) -> None:
        """The connection is over, and with it every call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def remaining(self, id: int | str) -> float | None:
        """The seconds that a request may still take; ``None`` where no limit applies to it."""
        call = self._open.get(id)
        if call is None:
            return None
        due = min(call.heard + call.idle, call.started + call.total)
        return None if due == _NEVER else due - self.clock.now()

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _attach(
        self, id: int | str, headers: Mapping[str, str] | None, name: str, limits: Timeouts, spent: float
    ) -> float:
        """Give a request its own header fields, in the context of its caller, and say how long it took to get them."""
        channel = self.runner.channel
        if not hasattr(channel, "attach"):
            raise UsageError(f"{name}: headers travel over HTTP only; {self.runner.endpoint} is reached otherwise")
        started = self.clock.now()
        try:
            async with asyncio.timeout(_shortest(limits, spent)):
                fields = await channel.authorized(headers)
        except TimeoutError:
            waited = self.clock.now() - started
            text = f"{name}: auth has not said anything for {waited:.3g} seconds"
            raise self._timeout(text, "idle", waited) from None
        if self.runner.lost is None:
            channel.attach(id, fields)
        return self.clock.now() - started

    def _send(self, method: str, params: dict[str, Any] | None, id: int | str) -> Pending:
        lost = self.runner.lost
        if lost is not None:
            raise again(lost) from None
        try:
            return self.runner.ask(method, params, id=id)
        except TypeError as error:
            if hasattr(self.runner.channel, "attach"):
                self.runner.channel.attach(id, None)
            raise UsageError(f"{subject(method, params)}: {error}") from None

    async def _drained(self, method: str, params: dict[str, Any], limits: Timeouts, spent: float) -> float:
        """Wait until the server reads again, and say how long that took."""
        started = self.clock.now()
        try:
            async with asyncio.timeout(_shortest(limits, spent)):
                await self.runner.drained()
        except TimeoutError:
            waited = self.clock.now() - started
            text = f"{subject(method, params)}: the server does not read what it is sent, for {waited:.3g} seconds now"
            raise self._timeout(text, "idle", waited) from None
        return self.clock.now() - started

    def _abandon(self, call: _Call) -> None:
        """Its task was cancelled. The reason is nobody's business on the other side."""
        waiter = call.pending.waiter
        if not waiter.cancelled() and waiter.done():
            waiter.exception()
        self.runner.peer.abandon(call.pending)
        if call.queue is not None:
            call.queue.close()

    # -- time ----------------------------------------------------------------------------------------------------------

    def _set_alarm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._alarm = due
        if due < _NEVER:
            self._timer = self.runner.loop.call_later(max(due - self.clock.now(), _SLACK), self._look)

    def _look(self) -> None:
        """End the calls whose time is over, and set the alarm anew. While the clock stands, nothing is due."""
        self._set_alarm(_NEVER)
        if self.clock.stands:
            return
        now, nearest = self.clock.now(), _NEVER
        for call in list(self._open.values()):
            if call.due <= now:
                call.due = min(call.heard + call.idle, call.started + call.total)
                if call.due <= now:
                    self._expire(call, now)
                    continue
            nearest = min(nearest, call.due)
        self._set_alarm(nearest)

    def _expire(self, call: _Call, now: float) -> None:
        waiter = call.pending.waiter
        if waiter.done():
            return
        name, seconds = subject(call.pending.method, call.params), now - call.started
        if now >= call.started + call.total:
            limit = "total"
            text = f"{name}: no result within {call.total:.3g} seconds (limit 'total'), after {seconds:.3g} seconds"
        else:
            limit = "idle"
            text = f"{name}: nothing heard for {call.idle:.3g} seconds (limit 'idle'), after {seconds:.3g} seconds"
        self.runner.peer.abandon(call.pending, "timed out")
        waiter.set_exception(self._timeout(text, limit, seconds))

    def _timeout(self, text: str, limit: str, seconds: float) -> CallTimeout:
        runner = self.runner
        return CallTimeout(text, limit=limit, seconds=seconds, endpoint=runner.endpoint, stderr=runner.stderr_tail())


def _shortest(limits: Timeouts, spent: float) -> float | None:
    """What a call may wait for one thing."""
    total = None if limits.total is None else limits.total - spent
    return min((limit for limit in (limits.idle, total) if limit is not None), default=None)


def again(error: McpError) -> McpError:
    """The same error once more: one object, raised in every call, would collect all their tracebacks."""
    return copy.copy(error) if isinstance(error, ConnectionLost | Closed) else error


def subject(method: str, params: dict[str, Any] | None) -> str:
    """What an error calls a request: its method and what it is about."""
    about = (params or {}).get("name", (params or {}).get("uri"))
    return f"{method} {about[:100]}" if isinstance(about, str) else method
