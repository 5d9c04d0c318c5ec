"""One connection of the HTTP server: requests are read, answered in their order, and held to their time.

Bytes are read by ``http/reading.py``, requests answered by ``http_site.py``. A connection serves one request at a time;
while it does it reads on, within bounds, because the end of the input is how a client goes away.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from mcpcore.errors import Unauthorized
from mcpcore.http.event_writer import Field
from mcpcore.http.guard import Refusal
from mcpcore.http.messages import Malformed, RequestHead
from mcpcore.http.reading import RequestReader
from mcpcore.http.reply import JSON_FIELDS, refusal_frame
from mcpcore.http.writing import LAST_CHUNK, chunk, json_response, response, stream_head
from mcpcore.spec import codes
from mcpcore.transports.http_site import denied, hook_failed, refuse
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.http.endpoint import Held
    from mcpcore.transports.http_server import HttpServer
    from mcpcore.transports.http_serving import HttpServing

__all__ = ["ServerConnection"]

_LINGER_SECONDS = 2.0
"""A client that was refused may still be sending; after so long it has either noticed or never will."""
_BODY_STEP = 16 * 1024
"""A body gets on by so many bytes in the time that it has, or comes to its end: a byte now and then is no progress."""
_AF_UNIX = getattr(socket, "AF_UNIX", None)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection(asyncio.Protocol):
    """One client's connection. It is the ``Sink`` of the answer that is under way."""

    def __init__(self, server: HttpServer) -> None:
        site = server.site
        self._server = server
        self._site = site
        self._limits = site.limits
        self._reader = RequestReader(site.limits, fast=site.options.fast_heads)
        self._transport: Any = None
        self._head: RequestHead | None = None
        """Of the request whose body is being read, or which is being answered."""
        self._approved: RequestHead | None = None
        """The head that was judged last and may be served."""
        self._principal: str | None = None
        self._busy = False
        """An answer is under way."""
        self._streaming = False
        """Its head is out, and its body goes out piece by piece."""
        self._advancing = False
        self._yielding = False
        """More requests have come, and other connections have their turn first."""
        self._paused = False
        self._closing = False
        """This answer is the last one."""
        self._lingers = False
        """The client may still be sending what is not read."""
        self._chunked = False
        self._held: Held | None = None
        self._serving: HttpServing | None = None
        self._authorizing: asyncio.Task[None] | None = None
        self._clogged: asyncio.Future[None] | None = None
        """Until the client takes what was written."""
        self._counted = 0
        self._since = site.clock.now
        """When the connection last got on: a body did, an answer was complete, a head was begun."""
        self._begun = False
        self.fresh = True
        """Nothing was asked on it yet."""
        self._body_mark = -_BODY_STEP
        self._unsent = 0
        self._unsent_since = site.clock.now

    # -- the transport calls -------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.stream_bytes // 2)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != _AF_UNIX:
            # asyncio does so only where the listening socket was made for TCP by name, and an inherited one may not be
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.admit(self):
            self._refuse_all(503, "the server has as many connections as it takes; retry later", codes.OVERLOADED)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._reader.feed(data)
        if self._busy or self._yielding or self._clogged is not None:
            if self._reader.buffered > self._limits.pipelined_bytes and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        elif not self._advancing:
            self._advance()

    def eof_received(self) -> bool:
        """Who says nothing more does not listen either: HTTP clients that half-close are not told from dead ones."""
        self._reader.feed_eof()
        if self._busy:
            self._lose()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self._count(0)
        self._closing = True
        self._lose()
        if self._serving is not None:
            self._serving.close()
        if self._authorizing is not None:
            self._authorizing.cancel()
        self.resume_writing()

    def pause_writing(self) -> None:
        """A client that takes no answers gets no further ones: what it asked for waits."""
        if self._clogged is None:
            self._clogged = self._server.loop.create_future()

    def resume_writing(self) -> None:
        clogged, self._clogged = self._clogged, None
        if clogged is not None:
            clogged.set_result(None)
            self._server.loop.call_soon(self._go_on)

    def _lose(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.lost()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Serve what has come, until something is missing or an answer takes longer."""
        self._advancing = True
        left = self._limits.turn_messages
        try:
            while not self._busy and not self._closing and self._clogged is None:
                if not left:
                    self._yielding = True
                    self._server.loop.call_soon(self._go_on)
                    break
                left -= 1
                if self._head is None and not self._next_head():
                    break
                head = self._head
                if self._busy or self._closing or head is None:
                    continue  # it was refused, or is still being looked at
                body = self._reader.read_body(self._limits.max_message_bytes)
                if body is None:
                    self._await_body()
                    break
                if self._counted:
                    self._count(0)
                self._serve(head, body)
                if self._reader.is_empty:
                    break
        except Malformed as error:
            # An unknown transfer coding (501) or version (505) is what its client sent, and no fault that an operator's
            # alarm for 5xx has to ring for.
            self._refuse_all(error.status if error.status < 500 else 400, error.text)
        except Exception:  # a fault of ours, or of a hook: the other connections go on
            log.exception("a request could not be read")
            self.cut()
        finally:
            self._advancing = False
        if self._paused and not (self._busy or self._yielding or self._clogged is not None):
            self._paused = False
            self._transport.resume_reading()

    def _await_body(self) -> None:
        held = self._reader.buffered
        if held >= self._body_mark + _BODY_STEP:
            self._body_mark = held
            self._since = self._site.clock.now
        self._count(held)

    def _next_head(self) -> bool:
        """Whether there is one and its body may be read."""
        reader = self._reader
        head = reader.next_head()
        if head is None:
            if reader.started and not self._begun:
                self._begun = True
                self._since = self._site.clock.now
            return False
        self._begun = self.fresh = False
        self._head = head
        self._principal = None
        site = self._site
        if head is not self._approved:  # the same object comes for the same bytes
            refusal = site.judge(head)
            if refusal is not None:
                self._refuse(head, refusal)
                return True
            self._approved = head
        if site.authorize is not None and not site.is_open(head):
            self._authorize(head)
            if self._busy or self._closing:
                return True
        self._continue(head)
        return True

    def _continue(self, head: RequestHead) -> None:
        self._body_mark = -_BODY_STEP
        if head.expect_continue and not self._reader.buffered:
            self._transport.write(_CONTINUE)

    def _refuse(self, head: RequestHead, refusal: Refusal) -> None:
        """A body that is not read makes the connection useless for a next request."""
        self._busy = True
        if head.chunked or head.content_length:
            self._read_no_more()
        refuse(self, refusal, head)

    def _authorize(self, head: RequestHead) -> None:
        try:
            found = self._site.principal(head)
        except Unauthorized as error:
            self._refuse(head, denied(error))
        except Exception:
            log.exception("the authorization hook failed")
            self._refuse(head, hook_failed())
        else:
            if found is None or isinstance(found, str):
                self._principal = found
            else:
                self._busy = True
                self._authorizing = self._server.loop.create_task(self._await_principal(head, found))

    async def _await_principal(self, head: RequestHead, found: Awaitable[str | None]) -> None:
        refusal: Refusal | None = None
        try:
            self._principal = await found
        except Unauthorized as error:
            refusal = denied(error)
        except Exception:
            log.exception("the authorization hook failed")
            refusal = hook_failed()
        self._authorizing = None
        self._busy = False
        if self._closing or self._transport.is_closing():
            return
        if refusal is not None:
            self._refuse(head, refusal)
        else:
            self._continue(head)
            self._go_on()

    def _serve(self, head: RequestHead, body: bytes) -> None:
        self._busy = True
        try:
            held = self._site.dispatch(head, body, self, self._principal or "anonymous", self._modern)
        except Exception:
            log.exception("%s %s could not be answered", head.method, head.path)
            self._closing = True
            if self._streaming:
                self.cut()
            elif self._busy:
                self._say_error(500, "internal error; the server's log has the details", codes.INTERNAL_ERROR)
            return
        if self._busy:
            self._held = held

    def _modern(self) -> HttpServing:
        serving = self._serving
        if serving is None:
            serving = self._serving = self._site.modern_serving()
        return serving

    def _count(self, bytes_held: int) -> None:
        """Bodies that are not complete are limited for all connections together."""
        site = self._site
        site.buffering += bytes_held - self._counted
        self._counted = bytes_held
        if site.buffering > self._limits.max_buffered_bytes and bytes_held:
            text = "the server holds as many unfinished requests as it takes; retry later"
            self._refuse_all(503, text, codes.OVERLOADED)

    # -- the answer: a Sink --------------------------------------------------------------------------------------------

    def whole(self, status: int, fields: tuple[Field, ...], body: bytes) -> None:
        site, head = self._site, self._head
        if self._transport.is_closing():
            self._closing = True
            self._done()
            return
        close = self._closing or self._server.stopping or (head is not None and not head.keep_alive)
        if status == 200 and fields is JSON_FIELDS and not close and site.cors is None:
            self._transport.write(json_response(body, site.date))
        else:
            if site.cors is not None and head is not None and head.method != "OPTIONS":
                fields = (*fields, *site.cors_fields(head))
            is_head = head is not None and head.method == "HEAD"
            self._closing = close
            self._transport.write(response(status, fields, body, date=site.date, close=close, head=is_head))
        self._done()

    def open(self, fields: tuple[Field, ...]) -> None:
        site, head = self._site, self._head
        assert head is not None
        self._chunked = head.version == "1.1"
        self._closing = self._closing or not head.keep_alive or not self._chunked
        self._streaming = True
        fields = (*fields, *site.cors_fields(head))
        self._transport.write(stream_head(200, fields, date=site.date, chunked=self._chunked, close=self._closing))

    def data(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(chunk(data) if self._chunked else data)

    def end(self) -> None:
        if self._chunked and not self._transport.is_closing():
            self._transport.write(LAST_CHUNK)
        self._done()

    def cut(self) -> None:
        self._closing = True
        self._transport.abort()

    @property
    def unsent(self) -> int:
        size: int = self._transport.get_write_buffer_size()
        return size

    async def drained(self) -> None:
        if self._clogged is not None:
            await asyncio.shield(self._clogged)
        else:
            await asyncio.sleep(0)

    def when_drained(self, callback: Callable[[], None]) -> None:
        if self._clogged is None:
            self._server.loop.call_soon(callback)
        else:
            self._clogged.add_done_callback(lambda _: callback())

    def soon(self, callback: Callable[[], None]) -> None:
        self._server.loop.call_soon(callback)

    def _refuse_all(self, status: int, text: str, code: int = codes.INVALID_REQUEST) -> None:
        """Answer for the last time a client that may still be sending."""
        self._read_no_more()
        self._say_error(status, text, code)

    def _read_no_more(self) -> None:
        """What was received is dropped, and what comes is not looked at."""
        self._closing = self._lingers = True
        self._reader = RequestReader(self._limits)
        self._count(0)

    def _say_error(self, status: int, text: str, code: int = codes.INVALID_REQUEST) -> None:
        fields = (*JSON_FIELDS, ("retry-after", "1")) if status == 503 else JSON_FIELDS
        version = self._head.headers.get("mcp-protocol-version") if self._head is not None else None
        self.whole(status, fields, refusal_frame(version, code, text))

    def _done(self) -> None:
        """The answer is complete: close, or go on with what came meanwhile."""
        self._busy = self._streaming = False
        self._head = None
        self._held = None
        self._since = self._site.clock.now
        if self._closing:
            self._close_gently()
        elif not self._advancing and not self._reader.is_empty:
            self._server.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._yielding = False
        if not self._busy and not self._advancing and not self._closing:
            self._advance()

    def _close_gently(self) -> None:
        """Where the client may still be sending, only say that nothing follows: a reset would take our answer away."""
        transport = self._transport
        if transport.is_closing():
            return
        if self._lingers and transport.can_write_eof():
            self._busy = True
            transport.write_eof()
        else:
            transport.close()

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        limits = self._limits
        waited = now - self._since
        if self._is_stalled(now) or (self._lingers and waited >= _LINGER_SECONDS):
            self._transport.abort()
        if self._transport.is_closing() or self._busy or self._yielding or self._clogged is not None:
            return
        if self._head is not None:
            if waited >= limits.body_seconds:
                self._closing = True
                self._say_error(408, f"the body did not get on for {limits.body_seconds:g} seconds")
        elif self._begun:
            if waited >= limits.head_seconds:
                self._closing = True
                self._say_error(408, f"the head was not complete after {limits.head_seconds:g} seconds")
        elif waited >= limits.keep_alive_seconds or self._server.stopping:
            self._closing = True
            self._transport.close()

    def _is_stalled(self, now: float) -> bool:
        """Whether the client took nothing of a whole answer for too long. A stream's writer sees to that itself."""
        unsent = self.unsent
        if not unsent or unsent < self._unsent or self._streaming:
            self._unsent_since = now
        self._unsent = unsent
        return now - self._unsent_since >= self._limits.stalled_seconds

    def stop(self) -> None:
        """Nothing more is served: close now where nothing is under way, else with the answer."""
        if not self._busy and self._head is None:
            self._closing = True
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
