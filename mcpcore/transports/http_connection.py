"""One HTTP connection of a client: one request at a time is written, and its answer handed on as it comes.

What a request says and what its answer means is not known here; when connections are made and used again is decided in
``http_pool.py``.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.http.messages import Malformed
from mcpcore.http.reading import ResponseReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.core.limits import Limits
    from mcpcore.http.messages import ResponseHead

__all__ = ["HttpConnection", "Lost", "Request"]

_IDLE_CHECK = 1.0
"""Seconds of idleness after which the socket is asked whether its server closed it, before it is used again."""
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A server that vanished without a word is noticed after a minute, also where nothing is sent: on event streams."""


class Lost(Exception):
    """A connection ended before the answer did. ``answered``: some of the answer had come; ``reused``: other requests
    went over this connection before; ``garbled``: what came is not HTTP."""

    def __init__(self, text: str, *, answered: bool, reused: bool, garbled: bool = False) -> None:
        super().__init__(text)
        self.answered = answered
        self.reused = reused
        self.garbled = garbled


class Request(Protocol):
    """What a connection carries. All calls come from the connection, in this order; ``on_lost`` may come instead of any
    of the others, and is the last."""

    verb: str
    connection: HttpConnection | None

    def data(self) -> bytes:
        """The whole request, made when it is written."""
        ...

    def on_head(self, head: ResponseHead) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_lost(self, lost: Lost) -> None: ...


class HttpConnection(asyncio.Protocol):
    """``on_free`` is called when the next request may go out, ``on_gone`` once, when there will be none."""

    def __init__(
        self,
        limits: Limits,
        on_free: Callable[[HttpConnection], None],
        on_gone: Callable[[HttpConnection], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_free = on_free
        self._on_gone = on_gone
        self._reader = ResponseReader(limits)
        self._transport: Any = None
        self._request: Request | None = None
        self._head: ResponseHead | None = None
        self._served = 0
        self._answered = False
        self._ended = False
        self._gone = False
        self._lifetime = limits.pool_idle_seconds
        self.expires = 0.0
        """When this connection, idle, is to be closed (the loop's time)."""
        self._since = 0.0

    # -- what the pool asks --------------------------------------------------------------------------------------------

    def send(self, request: Request) -> None:
        """Write a request, in one piece. There is none under way."""
        self._request = request
        self._head = None
        self._answered = False
        request.connection = self
        self._reader.expect(request.verb)
        self._transport.write(request.data())

    def is_usable(self) -> bool:
        """Whether nothing speaks against another request: neither its age nor, as far as can be seen, its server.

        The end of a connection may lie in the socket while the loop was busy. What is written then was never read, so
        looking spares the question whether it may be sent again.
        """
        if self._gone or self._transport.is_closing():
            return False
        now = self._loop.time()
        if now >= self.expires:
            return False
        return now - self._since < _IDLE_CHECK or not _is_readable(self._transport)

    def abort(self) -> None:
        """Close at once; the request under way gets ``on_lost`` no more."""
        request, self._request = self._request, None
        if request is not None:
            request.connection = None
        if self._transport is not None:
            self._transport.abort()
        self._go()

    def close(self) -> None:
        """Close an idle connection."""
        self._transport.close()
        self._go()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- what the transport calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._rest()
        _watch(transport)

    def data_received(self, data: bytes) -> None:
        request = self._request
        if request is None:
            self.abort()  # nobody asked: whatever it is, the next answer could be mistaken for it
            return
        self._answered = True
        self._reader.feed(data)
        self._read(request)

    def eof_received(self) -> bool:
        request = self._request
        if request is not None:
            self._end(request)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        request = self._request
        if request is not None:
            if exc is None:
                self._end(request)
            if self._request is not None:
                what = "before the answer was complete" if self._answered else "before an answer came"
                cause = f" ({exc})" if exc is not None and str(exc) else ""
                self._lose(Lost(f"the connection was closed {what}{cause}", **self._circumstances()))
        self._go()

    # -- the answer ----------------------------------------------------------------------------------------------------

    def _end(self, request: Request) -> None:
        """The input ended: some answers are complete with that."""
        if not self._ended:
            self._ended = True
            self._reader.feed_eof()
            self._read(request)

    def _read(self, request: Request) -> None:
        reader = self._reader
        try:
            if self._head is None:
                head = reader.next_head()
                if head is None:
                    return
                self._head = head
                request.on_head(head)
            while self._request is request:
                data = reader.read_some()
                if data is None:
                    self._finish(request)
                    return
                if not data:
                    return
                request.on_body(data)
        except Malformed as error:
            if self._request is request:
                self._lose(Lost(error.text, **self._circumstances(), garbled=not self._ended))

    def _finish(self, request: Request) -> None:
        """The answer is complete. Where the request is not, nobody will read the rest of it."""
        head = self._head
        assert head is not None
        self._request = None
        request.connection = None
        self._served += 1
        if not head.keep_alive or self._reader.buffered or self._transport.get_write_buffer_size():
            self._transport.abort()
            self._go()
            request.on_end()
            return
        hint = head.headers.get("keep-alive")
        if hint is not None:
            self._heed(hint)
        self._rest()
        self._on_free(self)  # first, so that what follows from the answer finds it free
        request.on_end()

    def _rest(self) -> None:
        self._since = now = self._loop.time()
        self.expires = now + self._lifetime

    def _heed(self, hint: str) -> None:
        """``Keep-Alive: timeout=5``: be gone a second before the server is."""
        for part in hint.split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "timeout" and value.isascii() and value.isdigit() and len(value) < 9:
                self._lifetime = min(self._lifetime, max(0.0, int(value) - 1.0))

    def _circumstances(self) -> dict[str, bool]:
        return {"answered": self._answered, "reused": self._served > 0}

    def _lose(self, lost: Lost) -> None:
        request, self._request = self._request, None
        if self._transport is not None:
            self._transport.abort()
        self._go()
        if request is not None:
            request.connection = None
            request.on_lost(lost)

    def _go(self) -> None:
        if not self._gone:
            self._gone = True
            self._on_gone(self)


def _is_readable(transport: Any) -> bool:
    """Whether bytes, or the end of the input, wait in the socket of an idle connection."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    poll = getattr(select, "poll", None)
    if poll is None:
        return bool(select.select([sock], [], [], 0)[0])
    waiting = poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _watch(transport: Any) -> None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        number = getattr(socket, name, None)
        if number is not None:
            sock.setsockopt(socket.IPPROTO_TCP, number, value)
