"""What an ASGI application does in one event loop: requests, time, and the end. How an answer travels: asgi_answer.py.

Nothing runs here while there is nothing to do: the clock ticks from a request on until no request, stream or session is
left. Servants of modern requests are used again, one request at a time: what makes a servant is dearer than a request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from mcpcore.errors import Unauthorized
from mcpcore.http.guard import Guard, Refusal
from mcpcore.http.messages import Malformed, RequestHead
from mcpcore.http.reply import JSON_FIELDS, refusal_frame
from mcpcore.spec import codes
from mcpcore.transports import asgi_stop
from mcpcore.transports.asgi_answer import AsgiAnswer, Receive, Scope, Send
from mcpcore.transports.asgi_scope import request_head
from mcpcore.transports.http_site import Site, denied, hook_failed, refuse
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.transports.http_options import HttpOptions
    from mcpcore.transports.http_serving import Host, HttpServing

__all__ = ["AsgiSite"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Methods whose requests have no body, unless they say so."""
_WATCH_AFTER = 0.02
"""Seconds from a request to the first look whether its client is still there: most are answered before, and looking
costs a task."""
_SERVANTS = 64
"""Servants kept for later requests; one is in use for each request that is being served."""
_ADDRESSES = 64
"""Addresses of this server that are remembered as loopback or not."""
_CUT_SECONDS = 5.0
"""A reader that was found too slow may have so long to come to the end of what the server holds for it."""
_ENDING_SECONDS = 0.3
"""For the last bytes of the answers when the server stops."""
_EVENT_SECONDS = 0.2
"""How often a stop event that no signal announces is looked at."""


class AsgiSite(Site):
    """The site of one event loop, which begins with its first request, or with the start of the lifespan."""

    def __init__(self, host: Host, options: HttpOptions) -> None:
        # What is bound, only the scope of a request tells: until then every address, and no name.
        super().__init__(host, options, bound=())
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]
        self.lifespans = 0
        """Lifespan scopes that are open in this loop."""
        self._on_loopback = self.guard_on(_LOOPBACK)
        self._guards: dict[str | None, Guard] = {}
        self._started = False
        self._ticker: asyncio.TimerHandle | None = None
        self._reading: dict[AsgiAnswer, float] = {}
        """Answers whose request has a body that is not complete, and when the last bytes of it came."""
        self._lasting: set[AsgiAnswer] = set()
        """Answers that take longer."""
        self._servants: list[HttpServing] = []
        self._ending: asyncio.Task[None] | None = None
        self._stop_event = asgi_stop.parent_event()
        self._context = Context()
        """For what outlives the request that it began with, whose context variables are nobody else's."""

    # -- a request -----------------------------------------------------------------------------------------------------

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ``http`` scope."""
        if self._ticker is None:
            self._begin_ticking()
        answer = AsgiAnswer(self, request_head(scope, self.options.path))
        try:
            await self._ask(answer, scope, receive)
            if answer.complete:
                await answer.deliver(send)
            elif not answer.lost:
                await self._follow(answer, receive, send)
            if answer.lost and not answer.delivered:
                await answer.dismiss(send)
        finally:
            if not answer.delivered:
                answer.leave()
            self._lasting.discard(answer)
            if answer.servant is not None:
                self._take_back(answer.servant)

    async def _ask(self, answer: AsgiAnswer, scope: Scope, receive: Receive) -> None:
        """Everything up to the endpoint, which has answered then or holds the answer."""
        head = answer.head
        refusal = self.judge(head, self._guard_of(scope))
        principal = "anonymous"
        if refusal is None and self.authorize is not None and not self.is_open(head):
            found = await self._authorize(head)
            if isinstance(found, Refusal):
                refusal = found
            else:
                principal = found
        if refusal is None and not self._started:
            refusal = await self._start_late()
        if refusal is not None:
            refuse(answer, refusal, head)
            return
        try:
            body = await self._body(answer, receive) if _has_body(head) else b""
        except Malformed as error:
            self._say_error(answer, error.status, error.text)
            return
        if body is None:
            answer.lose()
            return
        try:
            answer.held = self.dispatch(head, body, answer, principal, answer.borrow)
        except Exception:
            log.exception("%s %s could not be answered", head.method, head.path)
            if answer.begun:
                answer.cut()
                return
            self._say_error(answer, 500, "internal error; the server's log has the details", codes.INTERNAL_ERROR)

    async def _authorize(self, head: RequestHead) -> str | Refusal:
        """Who asks, or why nobody may."""
        try:
            found = self.principal(head)
            if found is not None and not isinstance(found, str):
                found = await found
        except Unauthorized as error:
            return denied(error)
        except Exception:
            log.exception("the authorization hook failed")
            return hook_failed()
        return found or "anonymous"

    async def _body(self, answer: AsgiAnswer, receive: Receive) -> bytes | None:
        """The whole body; ``None`` where the client went away. Raises ``Malformed``: it is too much, or too slow."""
        limit = self.limits.max_message_bytes
        length = answer.head.content_length
        if length is not None and length > limit:
            raise Malformed(413, f"the body has {length} bytes, at most {limit} are taken")
        answer.task = asyncio.current_task(self.loop)
        pieces: list[bytes] = []
        size = 0
        try:
            while True:
                self._reading[answer] = self.clock.now
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                piece: bytes = message.get("body", b"")
                if size + len(piece) > limit:
                    raise Malformed(413, f"the body is longer than {limit} bytes")
                if not message.get("more_body", False):
                    return b"".join([*pieces, piece]) if pieces else piece
                if piece:
                    size += len(piece)
                    pieces.append(piece)
                    self._count(len(piece))
        except asyncio.CancelledError:
            if not answer.was_interrupted():
                raise
            seconds = self.limits.body_seconds
            raise Malformed(408, f"no byte of the body came for {seconds:g} seconds") from None
        finally:
            self._reading.pop(answer, None)
            self.buffering -= size

    def _count(self, bytes_more: int) -> None:
        """Bodies that are not complete are limited all together."""
        self.buffering += bytes_more
        if self.buffering > self.limits.max_buffered_bytes:
            raise Malformed(503, "the server holds as many unfinished requests as it takes; retry later")

    def _say_error(self, answer: AsgiAnswer, status: int, text: str, code: int = codes.INVALID_REQUEST) -> None:
        fields = JSON_FIELDS
        if status == 503:
            fields, code = (*fields, ("retry-after", "1")), codes.OVERLOADED
        version = answer.head.headers.get("mcp-protocol-version")
        answer.whole(status, fields, refusal_frame(version, code, text))

    async def _follow(self, answer: AsgiAnswer, receive: Receive, send: Send) -> None:
        """Deliver an answer that is not complete yet, and hear of it when its client goes away."""
        answer.task = asyncio.current_task(self.loop)
        watch = self.loop.call_later(_WATCH_AFTER, self._watch, answer, receive)
        try:
            await answer.deliver(send)
        except asyncio.CancelledError:
            if not answer.was_interrupted():
                raise
        finally:
            watch.cancel()
            answer.leave()

    def _watch(self, answer: AsgiAnswer, receive: Receive) -> None:
        self.lasts(answer)
        answer.watch(receive)

    def lasts(self, answer: AsgiAnswer) -> None:
        """An answer takes longer: it is looked after, and ended with the server."""
        self._lasting.add(answer)

    def _guard_of(self, scope: Mapping[str, Any]) -> Guard:
        """As strict as where the request came in allows: on loopback nobody needs another address than that."""
        server = scope.get("server")
        name = server[0] if server else None
        guard = self._guards.get(name)
        if guard is None:
            guard = self._on_loopback if _is_loopback(name) else self.guard
            if len(self._guards) < _ADDRESSES:
                self._guards[name] = guard
        return guard

    # -- servants of modern requests -----------------------------------------------------------------------------------

    def lend(self) -> HttpServing:
        """A servant for one modern request. What two clients call by the same id never meets in one."""
        return self._servants.pop() if self._servants else self.modern_serving()

    def _take_back(self, servant: HttpServing) -> None:
        if servant.tasks:  # a handler that was cancelled ends in its own time, and one of a notification too
            next(iter(servant.tasks)).add_done_callback(lambda _: self._take_back(servant))
        elif servant.peer.incoming or len(self._servants) >= _SERVANTS or self._ending is not None:
            servant.close()
        else:
            self._servants.append(servant)

    def abandon(self) -> None:
        """The loop was closed, and nobody said so before: who was served in it hears of no change any more."""
        for servant in (*self._servants, *(session.runner for session in self.endpoint.sessions)):
            self.host.release(servant)

    # -- the lifespan --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Enter the server's lifespan, and hear of stop signals from now on; raises what the lifespan raises."""
        if self._started:
            return
        waiting = object()  # each waits for itself: where one of several is cancelled, the others go on
        await self.host.start_lifespan(waiting)
        if not self._started:
            self._started = True
            asgi_stop.listen(self)
            await self.host.start_lifespan(self)
        await self.host.stop_lifespan(waiting)

    async def _start_late(self) -> Refusal | None:
        """No lifespan scope came: under a mount, or with a server that has none."""
        try:
            await self.loop.create_task(self.start(), context=self._context.copy())
        except Exception:
            log.exception("the lifespan of the server could not start")
            text = "the server could not start; its log has the details"
            return Refusal(503, text, code=codes.INTERNAL_ERROR, headers=(("retry-after", "1"),))
        return None

    # -- time and the end ----------------------------------------------------------------------------------------------

    def _begin_ticking(self) -> None:
        self._tick()
        self._ticker = self.loop.call_later(self._pause, self._on_time, context=self._context)

    def _on_time(self) -> None:
        if not self._lasting and not self._reading and self.endpoint.idle:
            self._ticker = None
            return
        try:
            self._tick()
        except Exception:
            log.exception("what is due about once a second failed")
        self._ticker = self.loop.call_later(self._pause, self._on_time, context=self._context)

    @property
    def _pause(self) -> float:
        return self.tick_seconds if self._stop_event is None else min(self.tick_seconds, _EVENT_SECONDS)

    def _tick(self) -> None:
        now = time.monotonic()
        self.tick(now)
        for answer, since in tuple(self._reading.items()):
            if now - since >= self.limits.body_seconds:
                answer.interrupt()
        for answer in tuple(self._lasting):
            if answer.cut_at is not None and now - answer.cut_at >= _CUT_SECONDS:
                answer.interrupt()
        if self._stop_event is not None and self._stop_event():
            self.begin_end()

    def begin_end(self) -> None:
        """Take nothing new, let what runs finish for a while, and end what is left. Once."""
        if self._ending is None:
            self._ending = self.loop.create_task(self._end(), name="mcpcore-end", context=self._context)

    async def end(self) -> None:
        """The same, and wait for it."""
        self.begin_end()
        assert self._ending is not None
        await asyncio.shield(self._ending)

    async def leave(self) -> None:
        """Leave the lifespan."""
        asgi_stop.forget(self)
        await self.host.stop_lifespan(self)

    async def _end(self) -> None:
        await self.drain(self.limits.http_drain_seconds)
        await self.close()
        deadline = self.loop.time() + _ENDING_SECONDS
        while self._lasting and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for answer in tuple(self._lasting):
            answer.interrupt()
        for servant in self._servants:
            servant.close()
        self._servants.clear()
        if not self.lifespans:
            await self.leave()  # nobody else will say that it is time


def _has_body(head: RequestHead) -> bool:
    """Whether one is to be read: in HTTP/2 nothing announces it."""
    return head.method not in _BODILESS or head.chunked or bool(head.content_length)


def _is_loopback(name: str | None) -> bool:
    try:
        address = ipaddress.ip_address(name or "")
    except ValueError:
        return name == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
