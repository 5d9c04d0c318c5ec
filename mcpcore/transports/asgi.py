"""A server as an ASGI application: one object for any number of event loops, mounts and restarts.

Here: which scope is whose, and the lifespan. A request is served by ``asgi_site.py``.
Specification: https://asgi.readthedocs.io/en/latest/specs/www.html and .../specs/lifespan.html
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.errors import UsageError
from mcpcore.transports.asgi_mounts import match_bare_mounts
from mcpcore.transports.asgi_site import AsgiSite
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.transports.asgi_answer import Receive, Scope, Send
    from mcpcore.transports.http_serving import Host

__all__ = ["OPTIONS", "AsgiApp"]

OPTIONS = (
    "path",
    "allowed_hosts",
    "allowed_origins",
    "cors",
    "authorize",
    "sessions",
    "answers",
    "sse",
    "message_url",
    "health",
)
"""The members of ``HttpOptions`` that make sense here; sockets and processes are the ASGI server's."""


class AsgiApp:
    """An ASGI 3 application. It needs no lifespan, and uses one where the server or framework offers it.

    It answers at ``path``, and at the root of a mount. Sessions belong to one event loop.
    Raises ``UsageError`` for an option that is none, and for a value that cannot be meant.
    """

    def __init__(self, host: Host, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in OPTIONS:
                whose = "; sockets are the ASGI server's affair" if name in HttpOptions.__dataclass_fields__ else ""
                raise UsageError(f"asgi has no option {name!r}{whose}; it has {', '.join(OPTIONS)}")
        self._host = host
        self._options = HttpOptions(**options)
        AsgiSite(host, self._options)  # so that what is wrong with the options is said now
        self._sites: dict[asyncio.AbstractEventLoop, AsgiSite] = {}
        self._lock = threading.Lock()
        self._mounts_known = match_bare_mounts(AsgiApp)

    def __repr__(self) -> str:
        return f"<AsgiApp {self._host.name!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            loop = asyncio._get_running_loop()
            site = self._sites.get(loop) if loop is not None else None
            await (site or self._site()).serve(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1000})  # before it was accepted: status 403
        else:
            raise UsageError(f"{self!r} serves the ASGI scopes http and lifespan, not {kind!r}")

    def _site(self) -> AsgiSite:
        """That of the running loop, a new one where there is none."""
        loop = asyncio._get_running_loop()
        if loop is None:
            raise UsageError(f"{self!r} runs on asyncio (or uvloop) only; tell the ASGI server to use that")
        if not self._mounts_known:
            self._mounts_known = match_bare_mounts(AsgiApp)
        with self._lock:
            for other in [other for other in self._sites if other.is_closed()]:
                self._sites.pop(other).abandon()
            site = self._sites.get(loop)
            if site is None:
                site = self._sites[loop] = AsgiSite(self._host, self._options)
                site.loop = loop
        return site

    async def _live(self, receive: Receive, send: Send) -> None:
        """One ``lifespan`` scope. Several in one loop are as good as one: the last one ends it."""
        await receive()
        try:
            site = self._site()
            await site.start()
        except Exception as error:
            log.exception("the lifespan of the server could not start")
            text = f"{self._host.name}: {type(error).__name__}: {error}"
            await send({"type": "lifespan.startup.failed", "message": text})
            return
        site.lifespans += 1
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            site.lifespans -= 1
        if not site.lifespans:
            await site.end()
            await site.leave()
            with self._lock:
                self._sites.pop(site.loop, None)
        await send({"type": "lifespan.shutdown.complete"})
