"""The HTTP server on sockets: it listens, keeps the connections (``server_connection.py``), keeps time, and ends."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcpcore.transports.http_site import Site
from mcpcore.transports.http_sockets import bind, bound_port, cannot_listen
from mcpcore.transports.server_connection import ServerConnection

if TYPE_CHECKING:
    import socket
    import ssl

    from mcpcore.transports.http_options import HttpOptions
    from mcpcore.transports.http_serving import Host

__all__ = ["HttpServer", "ServerConnection"]

_MOST_REFUSED = 256
"""Connections beyond the limit that are told so; others are only closed."""
_ACCEPTING_TURNS = 3
"""Of the loop, until what it has accepted is a connection."""
_NEWCOMER_SECONDS = 0.1
"""From accepting nobody more to refusing whoever has not asked for anything yet."""
_GOODBYE_SECONDS = 0.2
"""From the last answer to the end of the connections: it has to leave for the client, and no more."""
_KEEPS_PATH: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""Of a Unix socket, which goes when its server ends: other processes may still accept from it."""


class HttpServer:
    """Listens, keeps the connections, and keeps time. ``start``, then ``stop``."""

    def __init__(self, host: Host, options: HttpOptions) -> None:
        self.loop = asyncio.get_running_loop()
        self.site = Site(host, options)
        self.connections: set[ServerConnection] = set()
        self.stopping = False
        self._ending = False
        self._refused: set[ServerConnection] = set()
        """Connections that get their refusal; they take no room from the others."""
        self.port: int | None = None
        self._host = host
        self._options = options
        self._listeners: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._owns_sockets = False

    @property
    def urls(self) -> list[str]:
        """Where the endpoint is."""
        return self._options.urls(self.port)

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen, on ``sockets`` that were bound before or on those that the options name.

        Raises ``UsageError`` where an address cannot be had, and what the lifespan raises.
        """
        context = self._options.ssl_context()
        self._owns_sockets = sockets is None
        bound = bind(self._options) if sockets is None else list(sockets)
        self.port = bound_port(bound)
        try:
            await self._host.start_lifespan(self)
            try:
                await self._listen(bound, context)
            except BaseException as error:
                await self._host.stop_lifespan(self)
                if isinstance(error, OSError):  # somebody else was bound, too, and listened first
                    raise cannot_listen(self._options, error) from None
                raise
        except BaseException:
            for sock in bound:
                sock.close()
            self._unlink()
            raise
        self._tick()

    async def _listen(self, sockets: list[socket.socket], context: ssl.SSLContext | None) -> None:
        loop, backlog = self.loop, self._options.backlog
        tls: dict[str, Any] = {}
        if context is not None:  # a handshake is the head of a connection, and may take as long
            seconds = self.site.limits.head_seconds
            tls = {"ssl": context, "ssl_handshake_timeout": seconds, "ssl_shutdown_timeout": _GOODBYE_SECONDS}
        for sock in sockets:
            if self._options.unix is None:
                listener = await loop.create_server(self._connect, sock=sock, backlog=backlog, **tls)
            else:
                listener = await loop.create_unix_server(
                    self._connect, sock=sock, backlog=backlog, **tls, **_KEEPS_PATH
                )
            self._listeners.append(listener)

    def _unlink(self) -> None:
        if self._options.unix is not None and self._owns_sockets:
            with suppress(OSError):
                os.unlink(self._options.unix)

    def _connect(self) -> ServerConnection:
        return ServerConnection(self)

    def admit(self, connection: ServerConnection) -> bool:
        """Whether there is room for one more."""
        if not self.stopping and len(self.connections) < self.site.limits.max_connections:
            self.connections.add(connection)
            return True
        if len(self._refused) < _MOST_REFUSED:
            self._refused.add(connection)
        else:
            connection.abort()
        return False

    def forget(self, connection: ServerConnection) -> None:
        self.connections.discard(connection)
        self._refused.discard(connection)

    def _tick(self) -> None:
        self._ticker = self.loop.call_later(self.site.tick_seconds, self._tick)
        now = time.monotonic()
        self.site.tick(now)
        for connection in (*self.connections, *self._refused):
            connection.tick(now)

    async def _hear_newcomers(self) -> None:
        """Who was accepted has a moment to ask: to close on somebody who has just come is to refuse, and clients do not
        try that again."""
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        deadline = self.loop.time() + _NEWCOMER_SECONDS
        while any(connection.fresh for connection in self.connections) and self.loop.time() < deadline:
            await asyncio.sleep(0.005)

    async def stop(self, seconds: float | None = None) -> None:
        """Accept nothing more, let what runs finish for so long, close. A second time it does nothing."""
        if self._ending:
            return
        self._ending = True
        limits = self.site.limits
        for listener in self._listeners:
            listener.close()
        self.site.ready = False
        if seconds != 0:
            await self._hear_newcomers()
        await self.site.drain(limits.http_drain_seconds if seconds is None else seconds)
        self.stopping = True
        await self.site.close()
        for connection in tuple(self.connections):
            connection.stop()
        deadline = self.loop.time() + _GOODBYE_SECONDS
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in (*self.connections, *self._refused):
            connection.abort()
        await asyncio.sleep(0)  # in which each of them hears that it is over
        if self._ticker is not None:
            self._ticker.cancel()
        self._unlink()
        await self._host.stop_lifespan(self)
