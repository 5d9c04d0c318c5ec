"""The channel of a client over HTTP: what both of its forms share. Messages become POSTs; closing takes its time.

A runner writes frames here as it would into a pipe. Streamable HTTP is ``http_client.py``, HTTP+SSE is
``http_sse_client.py``. One request that fails is one failed request: the others, and those that follow, go on.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.errors import ConnectionLost, HttpError, McpError, ProtocolViolation, RpcError, UsageError
from mcpcore.http.requester import (
    Requests,
    checked_fields,
    error_in,
    may_repeat,
    redirected,
    refusal,
    retry_after,
)
from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.message import request_frame
from mcpcore.spec import codes
from mcpcore.transports.http_call import Call
from mcpcore.transports.http_pool import HttpPool, Unreachable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mcpcore.http.messages import ResponseHead
    from mcpcore.http.requester import Fields
    from mcpcore.http.sse import Event
    from mcpcore.transports.channel_options import ChannelOptions
    from mcpcore.transports.http_connection import Lost
    from mcpcore.transports.runner import Runner

__all__ = ["HttpChannel", "Listener", "called"]

log = logging.getLogger("mcpcore.client")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SWEEP_SECONDS = 0.1
"""Between two looks at streams that go on after their answer."""
_RETRIES = 3
"""How often a request is sent again because its server asked for time."""


class Listener(Protocol):
    """What a channel tells and asks its client."""

    def missed(self) -> None:
        """Changes may not have been heard."""
        ...

    def deaf(self, error: McpError) -> None:
        """Changes will not be heard any more."""
        ...

    def remaining(self, id: int | str) -> float | None:
        """The seconds that a request may still take; ``None`` without a limit."""
        ...


class HttpChannel:
    """Never made itself. A subclass says what becomes of a message (``_send``) and of an answer."""

    def __init__(self, runner: Runner, options: ChannelOptions, pool: HttpPool | None = None) -> None:
        url, proxy = options.url, options.proxy
        self.endpoint = str(url)
        self.listener: Listener | None = None
        self.options = options
        self.limits = options.limits
        self.loop = asyncio.get_running_loop()
        self.runner = runner
        self.requests = Requests(url, options.fields, options.agent, proxy)
        self.pool = pool or HttpPool(
            url, options.limits, ssl=options.ssl, proxy=proxy, connect_seconds=options.connect_seconds
        )
        self._context = contextvars.copy_context()
        self._given: dict[int | str, Fields] = {}
        self._open: dict[int | str, Call] = {}
        self._notices: dict[Call, None] = {}
        self._lingering: dict[Call, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._quiet: asyncio.Future[None] | None = None
        self._closing = False
        self._told = False

    # -- what the runner calls -----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Whole frames, each with its newline."""
        if self._closing:
            return
        for frame in data.split(b"\n"):
            if frame:
                self._send(frame)

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Begin to say goodbye: what was written is delivered, the session is ended. ``aclose`` also waits for that."""
        if not self._closing:
            self._closing = True
            if self._ending is None and not self.loop.is_closed():
                self._ending = self.loop.create_task(self._end(), name="mcpcore-http-close")

    def abort(self) -> None:
        """Close everything now."""
        self._closing = True
        self._clear()
        if not self.loop.is_closed():
            self.loop.call_soon(self.tell_lost, None)

    async def aclose(self) -> None:
        """Close, and wait for the end of it: about ``close_seconds`` at most. Idempotent, from any number of tasks."""
        self.close()
        if self._ending is not None:
            try:
                await asyncio.shield(self._ending)
            except asyncio.CancelledError:
                self._ending.cancel()
                raise
        else:
            self.tell_lost(None)

    def pause_reading(self) -> None:
        self.pool.pause_reading()

    def resume_reading(self) -> None:
        self.pool.resume_reading()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """What waits is limited by who asks: each request of a client is somebody's call."""

    # -- what the client asks ------------------------------------------------------------------------------------------

    async def authorized(self, headers: Mapping[str, str] | None) -> Fields:
        """The header fields of one request: what ``auth`` says now, and over that what its caller gave."""
        fields = checked_fields(headers)
        if self.options.auth is None:
            return fields
        return {**await self._ask_auth(), **fields}

    @property
    def asks_for_auth(self) -> bool:
        return self.options.auth is not None

    def attach(self, id: int | str, fields: Fields | None) -> None:
        """The header fields of a request that will be written next; ``None`` where it will not be written after all."""
        if fields is not None:
            self._given[id] = fields
        else:
            self._given.pop(id, None)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        raise NotImplementedError

    def submit(self, call: Call) -> None:
        """Send a call as soon as there is a connection; ask first who it is sent for, where somebody wants to say."""
        if self.options.auth is not None and call.fields is None:
            self.spawn(self._authorize(call), "mcpcore-http-auth")
        elif self.pool.waiting >= self.limits.pool_waiting:
            self.fail(call, self.overloaded(call))
        elif call.id is not None:
            self.pool.submit(call)
        else:
            self.pool.submit(call, urgent=True)

    def overloaded(self, call: Call) -> RpcError:
        limits = self.limits
        text = f"{call.subject} was not sent: {limits.pool_waiting} messages wait already (Limits.pool_waiting)"
        return RpcError(codes.OVERLOADED, f"{text} for {limits.pool_connections} connections to {self.endpoint}")

    async def finished(self, call: Call) -> Any:
        """Send a call of the channel's own, and wait for the message that answers it."""
        call.waiter = self.loop.create_future()
        self.submit(call)
        try:
            return await call.waiter
        finally:
            self.drop(call)

    async def _authorize(self, call: Call) -> None:
        try:
            call.fields = await self._ask_auth()
        except McpError as error:
            self.fail(call, error)
        else:
            if not call.settled:
                self.submit(call)

    async def _ask_auth(self) -> Fields:
        """In the context of the task where it is asked for; for what this channel sends by itself, in that of
        ``connect``."""
        assert self.options.auth is not None
        try:
            found = self.options.auth()
            if inspect.isawaitable(found):
                found = await found
        except McpError:
            raise
        except Exception as error:
            raise UsageError(f"{self.endpoint}: auth failed: {type(error).__name__}: {error}") from error
        return checked_fields(found)

    def notice(self, call: Call) -> None:
        """Send what has no answer. It holds nobody up, and does not take for ever."""
        if len(self._notices) >= self.limits.pool_waiting:
            self.fail(call, self.overloaded(call))
            return
        self._notices[call] = None
        call.timer = self.loop.call_later(self.limits.notice_seconds, self._notice_is_late, call)
        self.submit(call)

    def _notice_is_late(self, call: Call) -> None:
        call.timer = None
        self.drop(call)
        self.notice_failed(call, f"it was not accepted within {self.limits.notice_seconds:g} seconds")

    def notice_failed(self, call: Call, text: str) -> None:
        """Somebody may wait for it, but nobody can be told."""
        self.notice_is_done(call)
        if not self._closing:
            log.warning("%s: %s was not delivered: %s", self.endpoint, call.subject, text)

    def notice_is_done(self, call: Call) -> None:
        self._notices.pop(call, None)
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        if self._quiet is not None and not self._notices and not self._quiet.done():
            self._quiet.set_result(None)

    def drop(self, call: Call) -> None:
        """Nobody waits for it any more: forget it, or close its connection, which cancels it."""
        call.settled = True
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None
        self._lingering.pop(call, None)
        if not self.pool.withdraw(call) and call.connection is not None:
            call.connection.abort()

    # -- what comes of a request ---------------------------------------------------------------------------------------

    def settle(self, call: Call) -> None:
        call.settled = True
        if call.id is not None:
            self._open.pop(call.id, None)

    def fail(self, call: Call, error: McpError) -> None:
        """This call has failed, and nothing else has."""
        if call.settled:
            return
        self.settle(call)
        if call.id is None:
            self.notice_failed(call, str(error).removeprefix(f"{self.endpoint}: "))
        elif call.waiter is None:
            self.runner.fail_request(call.id, error)
        elif not call.waiter.done():
            call.waiter.set_exception(error)

    def broken(self, call: Call, text: str) -> None:
        self.fail(call, ProtocolViolation(f"{self.endpoint}: {call.subject}: {text}"))

    def lost(self, call: Call, lost: Lost) -> None:
        """RFC 9112, section 9.3.1: a client that cannot know whether its request was acted on sends it again only where
        that does no harm. It knows where the connection was never made, or was seen to be closed before anything was
        written (``HttpConnection.is_usable``). Where a connection that had served others is closed without a byte, its
        server most likely gave it up for idleness in the same moment: that is worth a second attempt, one.
        """
        if call.settled:
            return
        stale = lost.reused and not lost.answered
        if (stale or call.is_stream) and not lost.garbled and self.reissue(call):
            return
        where = f"{call.subject}: {call.verb}: {lost}"
        if lost.garbled:
            self.fail(call, ProtocolViolation(f"{self.endpoint}: {where}"))
            return
        if not isinstance(lost, Unreachable) and not self.is_repeatable(call):
            where += "; the server may have acted on it"
        self.fail(call, ConnectionLost(where, endpoint=self.endpoint))

    def reissue(self, call: Call) -> bool:
        """Send a lost request once more, where that does no harm, as a new one with an id of its own: the server may be
        serving the first one still (2026-07-28, changelog#major-changes)."""
        if call.repeats or self._closing or not self.is_repeatable(call):
            return False
        call.repeats += 1
        self._renumber(call)
        self.submit(call)
        return True

    def _renumber(self, call: Call) -> None:
        if call.id is not None:
            call.sent_id = self.runner.peer.mint() if call.waiter is None else call.id
            call.frame = request_frame(call.sent_id, call.method, call.params)

    def is_repeatable(self, call: Call) -> bool:
        """Messages without an answer are: a second one tells a server nothing new."""
        if call.id is None:
            return True
        return may_repeat(call.method, call.params, self.options.may_repeat_tool)

    def refused(self, call: Call, head: ResponseHead, body: bytes) -> None:
        """An answer that is none."""
        if head.status in _REDIRECTS:
            self._redirect(call, head)
            return
        error = refusal(call.subject, self.endpoint, head, body, time())
        if head.status in (429, 503) and self._ask_later(call, head):
            return
        self.fail(call, error)

    def _redirect(self, call: Call, head: ResponseHead) -> None:
        try:
            if call.redirects >= self.limits.max_redirects:
                raise ValueError(f"it is the {call.redirects + 1}th one")
            url = redirected(call.url or self.requests.url, call.verb, head)
        except ValueError as error:
            text = f"{call.subject}: the server answered with HTTP {head.status}, which is not followed: {error}"
            self.fail(call, HttpError(text, status=head.status, endpoint=self.endpoint))
            return
        call.redirects += 1
        call.url = url
        if head.status == 308 and call.verb == "POST":
            self.requests.moved(url)
        self.submit(call)

    def _ask_later(self, call: Call, head: ResponseHead) -> bool:
        """Whether the server is asked again when it wants to be: only where that does no harm, and there is time."""
        pause = retry_after(head, time())
        if pause is None or call.id is None or call.repeats >= _RETRIES or not self.is_repeatable(call):
            return False
        left = self.listener.remaining(call.id) if self.listener is not None else None
        if pause > (self.limits.retry_after_seconds if left is None else min(left, self.limits.retry_after_seconds)):
            return False
        call.repeats += 1
        self._renumber(call)
        self.later(call, max(pause, 0.05 * 2**call.repeats))
        return True

    def later(self, call: Call, seconds: float) -> None:
        call.timer = self.loop.call_later(seconds, self._now, call)

    def _now(self, call: Call) -> None:
        call.timer = None
        if not call.settled and not self._closing:
            self.submit(call)

    def deliver(self, call: Call, message: Any, frame: bytes) -> None:
        """A message that came with the answer to ``call``: only its own answer may be among them."""
        if type(message) is list and call.id is not None and self.runner.door.batches:
            for one in message:
                self.deliver(call, one, encode(one))
            return
        is_answer = type(message) is dict and "method" not in message and call.id is not None
        if is_answer:
            if call.settled or not self._is_answer_to(call, message, frame):
                return  # it was cancelled, has its answer, or this is another one
            if call.waiter is not None:
                call.waiter.set_result(message)
                return
        self.runner.message_received(message, frame)
        if is_answer and call.id in self.runner.peer.outgoing:
            text = f"{self.endpoint}: {call.subject}: the answer holds neither a result nor an error"
            self.runner.fail_request(call.id, ProtocolViolation(text))

    def _is_answer_to(self, call: Call, message: dict[str, Any], frame: bytes) -> bool:
        """Settles the call where it is. An error without an id is its own, too: a server may not have understood it."""
        id = message.get("id")
        if id == call.sent_id and type(id) is type(call.sent_id):
            self.settle(call)
            message["id"] = call.id
            return True
        error: RpcError | None = error_in(frame) if id is None else None
        if error is not None:
            self.fail(call, error)
        else:
            log.warning("%s: %s: an answer with the id %.100r was ignored", self.endpoint, call.subject, id)
        return False

    def heard(self, call: Call, event: Event) -> None:
        if not event.data or event.event != "message":
            return
        try:
            message = decode(event.data)
        except Unreadable as error:
            log.warning("%s: %s: an event that is no JSON was ignored: %s", self.endpoint, call.subject, error)
            return
        self.deliver(call, message, event.data)

    def linger(self, call: Call) -> None:
        """Its answer came, and its stream does not end: some servers leave that to their clients."""
        self._lingering[call] = self.loop.time()
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(min(_SWEEP_SECONDS, self.limits.linger_seconds), self._sweep)

    def _sweep(self) -> None:
        """End what lingers for too long; sooner where others wait for its connection."""
        self._sweeper = None
        patience = self.limits.linger_seconds
        if self.pool.waiting:
            patience = min(patience, _SWEEP_SECONDS)
        now = self.loop.time()
        for call, since in list(self._lingering.items()):
            if now - since >= patience - 0.001:
                self.drop(call)
        if self._lingering:
            self._sweeper = self.loop.call_later(min(_SWEEP_SECONDS, self.limits.linger_seconds), self._sweep)

    # -- the end -------------------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = self.loop.create_task(work, name=name, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end(self) -> None:
        """What was said is delivered, as far as there is time; then goodbye is said; then all is closed."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.options.close_seconds):
                    if self._notices:
                        self._quiet = self.loop.create_future()
                        await self._quiet
                    for call in list(self._open.values()):
                        self.drop(call)
                    await self._say_goodbye()
        finally:
            self._clear()
            self.tell_lost(None)

    async def _say_goodbye(self) -> None:
        """What a server is told at the end."""

    def _clear(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for call in [*self._open.values(), *self._notices, *self._lingering]:
            self.drop(call)
        self._open.clear()
        self._notices.clear()
        for task in self._tasks:
            task.cancel()
        self.pool.abort()

    def tell_lost(self, error: Exception | None) -> None:
        """The conversation is over, for the reason that ``error`` gives, or because it was closed."""
        if not self._told:
            self._told = self._closing = True
            self._clear()
            self.runner.connection_lost(error)


def called(frame: bytes) -> tuple[Any, Any]:
    """A frame of ours, decoded, and its method."""
    message = decode(frame)
    return message, message.get("method") if type(message) is dict else None
