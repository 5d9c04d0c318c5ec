"""A client's connections to one server: how many, which one a request gets, how one is made, and when it is closed.

A request takes an idle connection, or a new one while there is room, or waits. Some room is kept for what is urgent:
answers and notifications, which others may be waiting for while every other connection waits for them.
"""

from __future__ import annotations

import asyncio
import os
import ssl as tls
from itertools import islice
from typing import TYPE_CHECKING, Any

from mcpcore.http.messages import Malformed
from mcpcore.http.reading import ResponseReader
from mcpcore.transports.http_connection import HttpConnection, Lost

if TYPE_CHECKING:
    from mcpcore.core.limits import Limits
    from mcpcore.http.proxies import Proxy
    from mcpcore.http.url import Url
    from mcpcore.transports.http_connection import Request

__all__ = ["HttpPool", "Unreachable"]

_EYEBALLS = 0.25
"""RFC 8305: seconds before the next address of a host is tried beside the first."""
_RESERVED = 4
"""Connections of the limit that only urgent requests may take, where the limit allows that."""


class Unreachable(Lost):
    """No connection came to be: nothing of the request was sent."""

    def __init__(self, text: str) -> None:
        super().__init__(text, answered=False, reused=False)


class HttpPool:
    """``connect_seconds`` is for one connection: look-up, TCP, proxy and TLS together."""

    def __init__(
        self,
        url: Url,
        limits: Limits,
        *,
        ssl: tls.SSLContext | None = None,
        proxy: Proxy | None = None,
        connect_seconds: float | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._url = url
        self._limits = limits
        self._proxy = proxy
        self._connect_seconds = connect_seconds
        self._ssl = ssl
        self._most = limits.pool_connections
        self._most_ordinary = self._most - min(_RESERVED, self._most // 4)
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._attempts: dict[asyncio.Task[None], Request] = {}
        self._urgent: dict[Request, None] = {}
        self._waiting: dict[Request, None] = {}
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    # -- requests ------------------------------------------------------------------------------------------------------

    def submit(self, request: Request, urgent: bool = False) -> None:
        """Send this request as soon as there is a connection for it; urgent ones wait for no other."""
        if self._has_room(urgent):
            connection = self._take_idle()
            if connection is not None:
                self._start(connection, request)
                return
            self._attempt(request)
        (self._urgent if urgent else self._waiting)[request] = None

    def withdraw(self, request: Request) -> bool:
        """Forget a request that waits. Nothing of it was sent; false where it does not wait."""
        for queue in (self._waiting, self._urgent):
            if request in queue:
                del queue[request]
                return True
        return False

    async def warm_up(self) -> None:
        """Make the first connection. Raises ``Unreachable``."""
        connection = await self._connect()
        self._idle.append(connection)
        self._next()

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting) + len(self._urgent)

    @property
    def sockets(self) -> int:
        """Connections that are open or being opened."""
        return len(self._busy) + len(self._idle) + len(self._attempts)

    def pause_reading(self) -> None:
        for connection in self._busy:
            connection.pause_reading()

    def resume_reading(self) -> None:
        for connection in self._busy:
            connection.resume_reading()

    def abort(self) -> None:
        """Close everything now. Requests under way hear nothing more. Idempotent."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        for task in list(self._attempts):
            task.cancel()
        self._urgent.clear()
        self._waiting.clear()
        for connection in [*self._busy, *self._idle]:
            connection.abort()

    # -- which connection ----------------------------------------------------------------------------------------------

    def _has_room(self, urgent: bool) -> bool:
        return len(self._busy) + len(self._attempts) < (self._most if urgent else self._most_ordinary)

    def _take_idle(self) -> HttpConnection | None:
        """The one used last: the others may grow old and be closed."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    def _start(self, connection: HttpConnection, request: Request) -> None:
        self._busy.add(connection)
        connection.send(request)

    def _free(self, connection: HttpConnection) -> None:
        self._busy.discard(connection)
        self._idle.append(connection)
        if self._urgent or self._waiting:
            self._next()
        if self._reaper is None:
            self._reaper = self._loop.call_later(self._limits.pool_idle_seconds, self._reap)

    def _gone(self, connection: HttpConnection) -> None:
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._urgent or self._waiting:
            self._next()

    def _next(self) -> None:
        """Serve those who wait, as far as there are connections, and make new ones as far as there is room."""
        if self._closed:
            return
        for queue, urgent in ((self._urgent, True), (self._waiting, False)):
            while queue and self._has_room(urgent):
                connection = self._take_idle()
                if connection is None:
                    break
                request = next(iter(queue))
                del queue[request]
                self._start(connection, request)
            if queue and self._has_room(urgent):
                attempted = set(self._attempts.values())
                room = self._most - len(self._busy) - len(self._attempts)
                for request in list(islice((one for one in queue if one not in attempted), room)):
                    if self._has_room(urgent):
                        self._attempt(request)

    def _reap(self) -> None:
        """Close what has been idle for too long."""
        now = self._loop.time()
        old = [connection for connection in self._idle if connection.expires <= now]
        self._idle = [connection for connection in self._idle if connection.expires > now]
        for connection in old:
            connection.close()
        self._reaper = None
        if self._idle:
            due = min(connection.expires for connection in self._idle)
            self._reaper = self._loop.call_later(max(due - now, 0.0) + 0.01, self._reap)

    # -- new connections -----------------------------------------------------------------------------------------------

    def _attempt(self, request: Request) -> None:
        task = self._loop.create_task(self._connect_for(request), name="mcpcore-http-connect")
        self._attempts[task] = request
        task.add_done_callback(self._attempted)

    async def _connect_for(self, request: Request) -> None:
        try:
            connection = await self._connect()
        except Unreachable as error:
            if self.withdraw(request):
                request.on_lost(error)
        else:
            if self._closed:
                connection.abort()
            else:
                self._idle.append(connection)

    def _attempted(self, task: asyncio.Task[None]) -> None:
        del self._attempts[task]
        if not task.cancelled():
            task.result()
        self._next()

    async def _connect(self) -> HttpConnection:
        connection = HttpConnection(self._limits, self._free, self._gone)
        limit = asyncio.timeout(self._connect_seconds)
        try:
            async with limit:
                await self._open(connection)
        except OSError as error:
            connection.abort()
            if limit.expired():
                text = f"no connection within {self._connect_seconds or 0:g} seconds (limit 'connect')"
                raise Unreachable(text) from None
            raise Unreachable(_reason(error)) from None
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _open(self, connection: HttpConnection) -> None:
        loop, url, proxy = self._loop, self._url, self._proxy
        if url.socket is not None:
            await loop.create_unix_connection(lambda: connection, url.socket)
            return
        if proxy is None:
            secure: dict[str, Any] = {"ssl": self._context(), "server_hostname": url.host} if url.tls else {}
            await loop.create_connection(lambda: connection, url.host, url.port, **_race(url.host), **secure)
            return
        secure = {"ssl": tls.create_default_context(), "server_hostname": proxy.host} if proxy.tls else {}
        try:
            first = _Tunnel(self._limits) if url.tls else connection
            transport, _ = await loop.create_connection(
                lambda: first, proxy.host, proxy.port, **_race(proxy.host), **secure
            )
        except OSError as error:
            raise Unreachable(f"{proxy}: {_reason(error)}") from None
        if isinstance(first, _Tunnel):
            try:
                await first.dig(url, proxy)
                secured = await loop.start_tls(transport, connection, self._context(), server_hostname=url.host)
            except BaseException:
                transport.abort()
                raise
            connection.connection_made(secured)

    def _context(self) -> tls.SSLContext:
        if self._ssl is None:
            self._ssl = tls.create_default_context()
        return self._ssl


def _race(host: str) -> dict[str, Any]:
    """RFC 8305, where a name may have several addresses that are far away. A race that is cancelled in the wrong moment
    leaves the socket that won to the garbage collector. Other loops than asyncio's own do not know it."""
    near = host == "localhost" or ":" in host or host.replace(".", "").isdigit()
    races = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop) and not near
    return {"happy_eyeballs_delay": _EYEBALLS} if races else {}


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel (RFC 9110, section 9.3.6); afterwards the transport belongs to somebody else."""

    def __init__(self, limits: Limits) -> None:
        self._reader = ResponseReader(limits)
        self._reader.expect("CONNECT")
        self._transport: Any = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    async def dig(self, url: Url, proxy: Proxy) -> None:
        host = f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
        head = f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n"
        if proxy.authorization is not None:
            head += f"Proxy-Authorization: {proxy.authorization}\r\n"
        self._transport.write(f"{head}\r\n".encode())
        try:
            await self._done
        except ConnectionError as error:
            raise Unreachable(f"{proxy}: {error}") from None

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            head = self._reader.next_head()
        except Malformed as error:
            self._fail(f"its answer to CONNECT is no HTTP: {error.text}")
            return
        if head is None:
            return
        if not 200 <= head.status < 300:
            self._fail(f"it answered CONNECT with HTTP {head.status} {head.reason}".rstrip())
        elif self._reader.buffered:
            self._fail("it sent something before the tunnel was used")
        elif not self._done.done():
            self._transport.pause_reading()
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("it closed the connection instead of making a tunnel")

    def _fail(self, text: str) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError(text))


def _reason(error: OSError) -> str:
    """What went wrong, without the addresses that were tried."""
    if isinstance(error, tls.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, tls.SSLError):
        return f"the TLS handshake failed: {error.reason or error}"
    if error.errno is not None and error.strerror and error.errno > 0:
        return os.strerror(error.errno)
    if error.strerror:
        return error.strerror
    return str(error)
