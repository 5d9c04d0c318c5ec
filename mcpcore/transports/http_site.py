"""What a server answers to over HTTP, whoever reads the bytes: guard, routes, the endpoint, health, time, the end.

Sockets are ``http_server.py``, ASGI is ``asgi.py``; both ask here and give a ``Sink``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.errors import Unauthorized
from mcpcore.http.cors import Cors
from mcpcore.http.endpoint import Endpoint, Held
from mcpcore.http.event_writer import Clock, Field, Sink
from mcpcore.http.guard import Guard, GuardRules, Refusal
from mcpcore.http.param_headers import compile_check
from mcpcore.http.reply import JSON_FIELDS, refusal_frame
from mcpcore.http.writing import http_date
from mcpcore.spec import codes
from mcpcore.transports.http_routes import ServingRoute, text_answer
from mcpcore.transports.http_serving import Host, HttpServing
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.http.messages import RequestHead
    from mcpcore.transports.http_options import HttpOptions

__all__ = ["Site", "denied", "hook_failed", "refuse"]

_SSE = "/sse"
_MESSAGES = "/messages"
_HEALTH = ("/healthz", "/readyz")
_STOP_SECONDS = 0.2
"""For handlers that were cancelled because the server stops."""
_TEXT: tuple[Field, ...] = (("content-type", "text/plain; charset=utf-8"),)


class Site:
    """One HTTP face of a server. ``bound``: what it is served on, where the options do not say it; () is unknown."""

    def __init__(self, host: Host, options: HttpOptions, *, bound: tuple[str, ...] | None = None) -> None:
        self.host = host
        self.limits = host.limits
        self.options = options
        self.clock = Clock(time.monotonic())
        self.date = b""
        self.buffering = 0
        """Bytes of request bodies that are not complete."""
        cors = Cors(options.cors) if options.cors is not None else None
        self.cors = cors
        serves_sessions = options.sessionless is None and any(not revision.modern for revision in host.revisions)
        rules = GuardRules(
            path=options.path,
            allowed_hosts=_with_environment(options.allowed_hosts, "MCPCORE_ALLOWED_HOSTS"),
            allowed_origins=_with_environment(options.allowed_origins, "MCPCORE_ALLOWED_ORIGINS"),
            bound=_bound(options) if bound is None else bound,
            methods=("POST", "GET", "DELETE") if serves_sessions else ("POST",),
            max_body_bytes=self.limits.max_message_bytes,
            modern=any(revision.modern for revision in host.revisions),
        )
        self.guard = Guard(rules, cors)
        self.authorize = options.authorize
        self._mirrored = host.mirrored_params
        self._checks: dict[str, tuple[Mapping[str, str], Callable[..., str | None]]] = {}
        self._shown: set[str] = set()
        message_url = options.message_url or _MESSAGES.lstrip("/")
        self.endpoint = Endpoint(
            self.limits,
            self.clock,
            host.revisions,
            mint=lambda: secrets.token_urlsafe(24),
            open_legacy=host.legacy_serving,
            param_check=self._param_check,
            sessionless=options.sessionless,
            answers=options.answers,
            sse_messages=message_url if options.sse else None,
        )
        self._routes = host.custom_routes
        self._taken = _taken(options)
        self._routes.check(self._taken)
        self._running: set[ServingRoute] = set()
        self.ready = True
        """Whether new clients may come; what ``/readyz`` says."""
        self._closed = False
        self.tick(self.clock.now)

    # -- a request -----------------------------------------------------------------------------------------------------

    def judge(self, head: RequestHead, guard: Guard | None = None) -> Refusal | None:
        """By the head alone: may its body be read? ``guard`` is one of its own for this request, from ``guard_on``."""
        guard = guard or self.guard
        refusal = guard.check(head)
        if refusal is None and head.method != "OPTIONS" and guard.is_endpoint(head):
            refusal = guard.check_endpoint(head)
        if refusal is not None and refusal.status in (403, 421):
            self._tell(refusal.text)
        return refusal

    def guard_on(self, bound: tuple[str, ...]) -> Guard:
        """The same rules for requests that came in at these names and addresses."""
        return Guard(dataclasses.replace(self.guard.rules, bound=bound), self.cors)

    def _tell(self, text: str) -> None:
        """Once: whoever set the server up has to know what was refused, and nobody may fill the log."""
        if text not in self._shown and len(self._shown) < self.limits.unknown_methods_logged:
            self._shown.add(text)
            log.warning("%s", text)

    def principal(self, head: RequestHead) -> str | Awaitable[str | None] | None:
        """Who asks. Raises ``Unauthorized``."""
        return self.authorize(head) if self.authorize is not None else None

    def is_open(self, head: RequestHead) -> bool:
        """Whether no authorization is asked for: a probe of the health, a browser's question what it may do, a route
        that says so."""
        if head.method == "OPTIONS" or (self.options.health and head.path in _HEALTH):
            return True
        if head.path in self._taken or self.guard.is_endpoint(head):  # whatever was registered since
            return False
        route = self._routes.find(head.path, head.method)
        return route is not None and route.public

    def cors_fields(self, head: RequestHead) -> tuple[Field, ...]:
        """What every answer to this request carries."""
        return self.cors.headers_for(head) if self.cors is not None else ()

    def dispatch(
        self, head: RequestHead, body: bytes, sink: Sink, principal: str, modern: Callable[[], HttpServing]
    ) -> Held | None:
        """Answer a complete request: now, or later through what is returned."""
        endpoint, method = self.endpoint, head.method
        if self.guard.is_endpoint(head):
            if method == "POST":
                return endpoint.post(head, body, sink, principal, modern)
            if method == "GET":
                return endpoint.get(head, sink, principal)
            if method == "DELETE":
                endpoint.delete(head, sink, principal)
                return None
            status, fields = self.guard.options(head)
            sink.whole(status, fields, b"")
            return None
        return self._route(head, body, sink, principal)

    def _route(self, head: RequestHead, body: bytes, sink: Sink, principal: str) -> Held | None:
        path, method = head.path, head.method
        if self.options.sse and path == _SSE:
            if method == "GET":
                return self.endpoint.open_sse(head, sink, principal)
            self._other_method(head, sink, "GET")
        elif self.options.sse and path == _MESSAGES:
            if method == "POST":
                self.endpoint.post_sse(head, body, sink, principal)
            else:
                self._other_method(head, sink, "POST")
        elif self.options.health and path in _HEALTH:
            if method not in ("GET", "HEAD"):
                self._other_method(head, sink, "GET, HEAD")
            elif path == "/readyz" and not self.ready:
                sink.whole(503, (*_TEXT, ("retry-after", "1")), b"stopping\n")
            else:
                sink.whole(200, _TEXT, b"ok\n")
        else:
            return self._serve_route(head, body, sink, principal)
        return None

    def _serve_route(self, head: RequestHead, body: bytes, sink: Sink, principal: str) -> Held | None:
        """A route of the server's own, if this is one."""
        route = self._routes.find(head.path, head.method)
        allow = self._routes.allow(head.path)
        if route is not None:
            full = len(self._running) + len(self.endpoint.open) >= self.limits.max_requests
            if self.endpoint.draining or full:
                text = "the server has as much to do as it takes" if full else "the server is stopping"
                text_answer(sink, 503, f"{text}; retry later", ("retry-after", "1"))
                return None
            serving = ServingRoute(route, head, body, sink, principal, self._running.discard)
            self._running.add(serving)
            return serving
        if allow is not None:
            self._other_method(head, sink, allow)
        else:
            text_answer(sink, 404, f"nothing is served at this path; the MCP endpoint is {self.options.path}")
        return None

    def _other_method(self, head: RequestHead, sink: Sink, allow: str) -> None:
        if head.method == "OPTIONS":
            fields = self.guard.options(head)[1] if self.cors is not None else (("allow", f"{allow}, OPTIONS"),)
            sink.whole(204, fields, b"")
        else:
            sink.whole(405, (*_TEXT, ("allow", f"{allow}, OPTIONS")), f"this path has {allow}\n".encode())

    def _param_check(self, tool: Any) -> Callable[..., str | None] | None:
        mirrored = self._mirrored.get(tool) if type(tool) is str else None
        if mirrored is None:
            return None
        known = self._checks.get(tool)
        if known is not None and known[0] is mirrored:
            return known[1]
        check = compile_check(mirrored)
        self._checks[tool] = (mirrored, check)
        return check

    def modern_serving(self) -> HttpServing:
        return self.host.modern_serving()

    # -- time and the end ----------------------------------------------------------------------------------------------

    @property
    def tick_seconds(self) -> float:
        """How often ``tick`` is due: often enough for the shortest of the limits that it sees to."""
        limits = self.limits
        shortest = min(
            limits.json_seconds,
            limits.comment_seconds,
            limits.stalled_seconds,
            limits.session_seconds,
            limits.head_seconds,
            limits.body_seconds,
            limits.keep_alive_seconds,
        )
        return min(1.0, max(0.01, shortest / 4))

    def tick(self, now: float) -> None:
        utc = time.gmtime()
        self.date = http_date(utc.tm_year, utc.tm_mon, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, utc.tm_wday)
        self.endpoint.tick(now)

    async def drain(self, seconds: float) -> None:
        """Take nothing new, end the streams of changes, and let what runs finish for so long."""
        loop = asyncio.get_running_loop()
        self.ready = False
        self.endpoint.drain()
        deadline = loop.time() + seconds
        while (self.endpoint.finishing or self._running) and loop.time() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Cancel what still runs, with an answer, and end every session."""
        if self._closed:
            return
        self._closed = True
        servings = {exchange.peer.shell for reply in self.endpoint.open for exchange in reply.exchanges}
        await asyncio.gather(*[serving.stop_tasks(_STOP_SECONDS) for serving in servings])
        if self._running:
            await asyncio.wait({serving.stop() for serving in self._running}, timeout=_STOP_SECONDS)
        self.endpoint.close()


def refuse(sink: Sink, refusal: Refusal, head: RequestHead | None = None) -> None:
    """A refusal as an answer: a JSON-RPC error that belongs to no request."""
    version = head.headers.get("mcp-protocol-version") if head is not None else None
    frame = refusal_frame(version, refusal.code, refusal.text)
    sink.whole(refusal.status, (*JSON_FIELDS, *refusal.headers), frame)


def denied(error: Unauthorized) -> Refusal:
    """What an authorization hook refused."""
    fields = (("www-authenticate", error.www_authenticate),) if error.www_authenticate else ()
    if error.status == 401 and not fields:
        fields = (("www-authenticate", "Bearer"),)
    return Refusal(error.status, str(error), code=codes.INVALID_REQUEST, headers=fields)


def hook_failed() -> Refusal:
    """What an authorization hook that raised anything else leaves to say."""
    return Refusal(500, "the authorization could not be checked; the server's log has the details")


def _taken(options: HttpOptions) -> dict[str, str]:
    """The paths that are served already, and what they are."""
    path = options.path.rstrip("/")
    taken = {path: "the MCP endpoint", f"{path}/": "the MCP endpoint"}
    if options.sse:
        taken |= dict.fromkeys((_SSE, _MESSAGES), "served for HTTP+SSE, which sse=False turns off")
    if options.health:
        taken |= dict.fromkeys(_HEALTH, "the server's health, which health=False turns off")
    return taken


def _with_environment(given: Any, variable: str) -> tuple[str, ...] | None:
    more = tuple(part.strip() for part in os.environ.get(variable, "").split(",") if part.strip())
    if given is None and not more:
        return None
    return (*(given or ()), *more)


def _bound(options: HttpOptions) -> tuple[str, ...]:
    if options.unix is not None:
        return ("unix",)
    names = list(options.hosts)
    if any(name in ("0.0.0.0", "::", "") for name in names):
        names.append(socket.gethostname())
    elif any(_is_loopback(name) for name in names):
        names.append("localhost")
    return tuple(names)


def _is_loopback(name: str) -> bool:
    """Whether a name that was bound stands for this machine only: then its other names are as good."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)
