"""Routes of a server's own beside the MCP endpoint: metrics, a web hook, a page. What a handler gets and may return.

Host, Origin, sizes, CORS and who asks were looked at before. How a plain function comes to run in a thread is the
server's affair (``server/hosting.py``); here every handler is awaited.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mcpcore.errors import UsageError
from mcpcore.http.reply import JSON_FIELDS
from mcpcore.jsonrpc.codec import encode
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.http.event_writer import Field, Sink
    from mcpcore.http.messages import RequestHead

__all__ = ["HttpRequest", "HttpResponse", "Route", "Routes", "ServingRoute", "text_answer"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_FRAMING = frozenset({"connection", "content-length", "date", "transfer-encoding"})
_TEXT: tuple[Field, ...] = (("content-type", "text/plain; charset=utf-8"),)
_BYTES: tuple[Field, ...] = (("content-type", "application/octet-stream"),)


class HttpRequest:
    """A request to a route of your own.

    ``path`` is as it was sent; ``query`` has decoded names and values, of a name that comes again the last; names in
    ``headers`` are lower-case; ``body`` is complete; ``principal`` is who the authorization hook found, or
    "anonymous".
    """

    __slots__ = ("body", "headers", "method", "path", "principal", "query")

    def __init__(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes, principal: str
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.principal = principal

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.path}>"


class HttpResponse:
    """What a handler returns where a body alone does not say it.

    ``body``: ``str`` is sent as plain text, ``bytes`` as they are, anything else as JSON; a ``content-type`` among the
    ``headers`` says what it is instead. Raises ``UsageError`` for a status or header that cannot be sent.
    """

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None) -> None:
        if type(status) is not int or not 200 <= status <= 599:
            raise UsageError(f"status: {status!r} is no status of a final answer; those are 200 to 599")
        own = tuple(_checked(name, value) for name, value in (headers or {}).items())
        fields, self.body = _body(body)
        self.status = status
        if status in (204, 304) or any(name == "content-type" for name, _ in own):
            fields = ()
        self.fields = (*fields, *own)


def _checked(name: str, value: str) -> Field:
    if _TOKEN.fullmatch(name) is None or name.lower() in _FRAMING:
        raise UsageError(f"headers: {name!r} is not one that a handler can set")
    if not isinstance(value, str) or _UNSAFE.search(value):
        raise UsageError(f"headers: the value of {name} must be text without control characters, in latin-1")
    return name.lower(), value


def _body(value: Any) -> tuple[tuple[Field, ...], bytes]:
    if isinstance(value, str):
        return _TEXT, value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return _BYTES if value else (), bytes(value)
    return JSON_FIELDS, encode(value)


class Route:
    """One path and what serves it. ``run`` is awaited with an ``HttpRequest``.

    Raises ``UsageError`` for a path or method that is none.
    """

    __slots__ = ("methods", "path", "public", "run")

    def __init__(
        self, path: str, methods: Iterable[str], run: Callable[[HttpRequest], Awaitable[Any]], *, public: bool
    ) -> None:
        if _PATH.fullmatch(path) is None:
            raise UsageError(f'custom_route: {path!r} is no path such as "/metrics"; other letters are written as %41')
        if isinstance(methods, str):
            raise UsageError(f"custom_route: methods is a list: methods=[{methods!r}]")
        self.methods = tuple(dict.fromkeys(methods))
        if not self.methods or not all(_TOKEN.fullmatch(method) and method.isupper() for method in self.methods):
            raise UsageError(f'custom_route: {list(self.methods)} are no methods such as ["GET", "POST"]')
        if "OPTIONS" in self.methods:
            raise UsageError("custom_route: OPTIONS is answered by the server, which knows what CORS wants")
        self.path = path
        self.run = run
        self.public = public


class Routes:
    """The routes of one server, by path and method; HEAD is served by what serves GET."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Route]] = {}

    def add(self, route: Route) -> None:
        """Raises ``UsageError`` for a path and method that are taken."""
        methods = self._routes.setdefault(route.path, {})
        for method in route.methods:
            if method in methods:
                raise UsageError(f"custom_route: {method} {route.path} is served already")
        methods.update(dict.fromkeys(route.methods, route))

    def find(self, path: str, method: str) -> Route | None:
        methods = self._routes.get(path, {})
        return methods.get(method) or (methods.get("GET") if method == "HEAD" else None)

    def allow(self, path: str) -> str | None:
        """The methods of a path; ``None`` where it is none of these."""
        methods = self._routes.get(path)
        if methods is None:
            return None
        return ", ".join(dict.fromkeys([*methods, *(["HEAD"] if "GET" in methods else [])]))

    def check(self, taken: Mapping[str, str]) -> None:
        """Raises ``UsageError`` for a path of the server's own; ``taken`` says what stands there."""
        for path in self._routes:
            if path in taken:
                raise UsageError(f"custom_route: {path!r} is {taken[path]}; choose another path")


class ServingRoute:
    """One request to a route, from its start in a task of its own to its answer. ``over`` is called once."""

    def __init__(
        self,
        route: Route,
        head: RequestHead,
        body: bytes,
        sink: Sink,
        principal: str,
        over: Callable[[ServingRoute], object],
    ) -> None:
        query = dict(parse_qsl(head.query, keep_blank_values=True, errors="replace"))
        self.request = HttpRequest(head.method, head.path, query, head.headers, body, principal)
        self._route = route
        self._sink = sink
        self._over = over
        self._lost = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"mcpcore {head.method} {head.path}")
        self._task.add_done_callback(self._end)

    def lost(self) -> None:
        """Its client is gone."""
        self._lost = True
        self._task.cancel()

    def stop(self) -> asyncio.Task[HttpResponse]:
        """The server ends."""
        self._task.cancel()
        return self._task

    async def _run(self) -> HttpResponse:
        try:
            value = await self._route.run(self.request)
            return value if isinstance(value, HttpResponse) else HttpResponse(body=b"" if value is None else value)
        except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException:  # SystemExit too: the server goes on
            log.exception("%s %s failed", self.request.method, self.request.path)
            return HttpResponse(500, "internal error; the server's log has the details\n")

    def _end(self, task: asyncio.Task[HttpResponse]) -> None:
        """Here and not in the task, which may be cancelled before its first instruction."""
        self._over(self)
        if self._lost:
            return
        if task.cancelled():
            text_answer(self._sink, 503, "the server is stopping; retry later", ("retry-after", "1"))
        elif task.exception() is None:
            answer = task.result()
            self._sink.whole(answer.status, answer.fields, answer.body)


def text_answer(sink: Sink, status: int, text: str, *fields: Field) -> None:
    """A line for people."""
    sink.whole(status, (*_TEXT, *fields), f"{text}\n".encode())
