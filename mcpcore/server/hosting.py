"""How a server meets its connections: ``run``, ``serve``, clients in the same process, changes told to all of them.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from mcpcore.errors import UsageError
from mcpcore.server.lifespan import LifespanRunner
from mcpcore.server.middleware import chain
from mcpcore.server.running import Kind, kind_of
from mcpcore.spec.revisions import LATEST
from mcpcore.transports.runner import Runner, server_runner
from mcpcore.transports.serving import Serving

if TYPE_CHECKING:
    from mcpcore.core.events import Notified
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.server.app import Server
    from mcpcore.spec.revisions import Revision
    from mcpcore.transports.asgi import AsgiApp
    from mcpcore.transports.http_options import HttpOptions, RunOptions
    from mcpcore.transports.http_routes import Routes
    from mcpcore.transports.http_serving import HttpServing
    from mcpcore.transports.memory import MemoryChannel

__all__ = ["Hosting", "Lifespan"]

F = TypeVar("F", bound=Callable[..., Any])
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
_log = logging.getLogger("mcpcore.server")


class Hosting:
    """The part of ``Server`` that has connections."""

    name: str
    limits: Limits
    revisions: tuple[Revision, ...]

    def __init__(self, lifespan: Lifespan | None) -> None:
        self._lifespan = LifespanRunner(self, lifespan)
        self._runners: set[Serving] = set()
        self._told: set[str] = set()
        self.mirrored_params: dict[str, Mapping[str, str]] = {}
        """Tool -> parameter -> header, for the tools that have parameters which travel as HTTP headers too."""

    @cached_property
    def custom_routes(self) -> Routes:
        """What is served over HTTP beside the MCP endpoint."""
        from mcpcore.transports.http_routes import Routes

        return Routes()

    def custom_route(self, path: str, *, methods: Iterable[str] = ("GET",), public: bool = False) -> Callable[[F], F]:
        """Register ``fn(request)`` for a path of your own beside the MCP endpoint, whenever the server runs on HTTP.

        ``request`` is an ``HttpRequest``; ``fn`` returns ``str`` (plain text), ``bytes``, an ``HttpResponse``, or what
        becomes JSON. A plain function runs in a worker thread. The authorization hook is asked before, unless the route
        is ``public``; Host and Origin are looked at in any case. HEAD is served with GET. Raises ``UsageError`` for a
        path or method that is none or taken; for one of the server's own paths, when it starts to serve.
        """
        from mcpcore.transports.http_routes import Route

        def register(fn: F) -> F:
            run = partial(self._in_thread, fn) if kind_of(fn) is Kind.FUNCTION else fn
            self.custom_routes.add(Route(path, methods, run, public=public))
            return fn

        return register

    async def _in_thread(self, fn: Callable[..., Any], *arguments: Any) -> Any:
        variables = copy_context()
        return await cast("Server", self).workers.run(lambda: variables.run(fn, *arguments))

    def lifespan_in(self, loop: asyncio.AbstractEventLoop) -> Any:
        """What ``lifespan`` yielded, while it runs in this loop."""
        return self._lifespan.value(loop)

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, transport: str = "stdio", **options: Any) -> NoReturn:
        """Serve until the input ends or a signal comes, then end the process: status 0, or 1 after a failure.

        ``"stdio"``: standard input and output become the wire; ``print`` and child processes are led to stderr.
        ``"http"``: options as in ``RunOptions``: ``host``, ``port``, ``path``, ``tls``, ``cors``, ``allowed_hosts``,
        ``workers`` and others. Raises ``UsageError`` for an unknown transport or option, for an address that cannot be
        had, and inside a running event loop.
        """
        if asyncio._get_running_loop() is not None:
            raise UsageError("run() owns its event loop, and here one is running already: use await server.serve()")
        if _checked(transport, options) == "http":
            from mcpcore.server.http_process import run_http

            run_http(cast("Server", self), _run_options(options))
        from mcpcore.server.stdio_process import run_stdio

        run_stdio(cast("Server", self))

    async def serve(self, transport: str = "stdio", **options: Any) -> None:
        """Serve inside a running loop, without signal handlers: on stdio until the input ends, over HTTP until this is
        cancelled. The process goes on afterwards."""
        if _checked(transport, options) == "http":
            from mcpcore.server.http_process import serve_http

            await serve_http(cast("Server", self), _http_options(options))
            return
        from mcpcore.server.stdio_process import serve_stdio

        await serve_stdio(cast("Server", self))

    def asgi(self, **options: Any) -> AsgiApp:
        """The server as an ASGI 3 application, for uvicorn, hypercorn, granian, or a mount in FastAPI or Starlette.

        It answers at ``path`` ("/mcp") and, where it is mounted, at the mount: ``app.mount("/mcp", server.asgi())`` and
        nothing else. Options as in ``HttpOptions``, but for those about sockets: ``path``, ``allowed_hosts``,
        ``allowed_origins``, ``cors``, ``authorize``, ``sessions``, ``answers``, ``sse``, ``message_url``, ``health``.

        A name of its own belongs into ``allowed_hosts``; ``localhost`` and, off loopback, IP addresses are served
        without. Several worker processes share no sessions: they want ``sessions=False``, and the same ``secret``.
        Raises ``UsageError`` for an unknown option.
        """
        from mcpcore.transports.asgi import AsgiApp

        return AsgiApp(cast("Server", self), options)

    def connect_client(self, protocol: asyncio.Protocol) -> MemoryChannel:
        """Connect a client of the same loop: ``protocol`` is its end, and the channel back is what it writes to."""
        from mcpcore.transports.memory import connect_in_memory

        runner = self.open_runner()
        _, channel = connect_in_memory(runner, protocol, f"server {self.name!r} in memory")
        return channel

    def open_runner(self) -> Runner:
        """A runner for one connection, an ``asyncio.Protocol`` that any channel can drive.

        It begins to serve once the lifespan has started, which the first connection does.
        """
        runner = server_runner(
            cast("Server", self),
            self.limits,
            self.revisions,
            on_notified=self.on_notified,
            on_closed=self._closed,
        )
        self._runners.add(runner)
        if self._lifespan.wanted:
            runner.hold()
            self._lifespan.enter(
                runner, runner.release, lambda error: runner.refuse(f"the server could not start: {error}")
            )
        return runner

    async def start_lifespan(self, user: object) -> None:
        """Enter the lifespan before the first connection; raises what it raises. ``user`` is who will stop it."""
        await self._lifespan.start(user)

    async def stop_lifespan(self, user: object) -> None:
        """Leave it, unless somebody else needs it still. Waits as long as ``Limits.drain_seconds``."""
        await self._lifespan.stop(user, self.limits.drain_seconds)

    def modern_serving(self) -> HttpServing:
        """Serves the modern requests of one HTTP connection."""
        from mcpcore.transports.http_serving import modern_serving

        return modern_serving(self)

    def legacy_serving(self, sessionless: str | None = None) -> HttpServing:
        """Serves one legacy session over HTTP; one request where it is told why there is no session."""
        from mcpcore.transports.http_serving import legacy_serving

        return legacy_serving(self, sessionless)

    def adopt(self, serving: Serving) -> None:
        """Tell this conversation of changes, until ``release``."""
        self._runners.add(serving)

    def release(self, serving: Serving) -> None:
        self._runners.discard(serving)

    def _closed(self, runner: Serving, error: Exception | None) -> None:
        self._runners.discard(runner)
        self._lifespan.leave(runner)

    # -- changes -------------------------------------------------------------------------------------------------------

    def notify_tools_changed(self) -> None:
        """Tell every listening client that the list of tools changed. From any thread."""
        self.notify_changed("tools")

    def notify_prompts_changed(self) -> None:
        """Tell every listening client that the list of prompts changed. From any thread."""
        self.notify_changed("prompts")

    def notify_resources_changed(self) -> None:
        """Tell every listening client that the list of resources changed. From any thread."""
        self.notify_changed("resources")

    def notify_resource_updated(self, uri: str) -> None:
        """Tell every client that subscribed to ``uri`` that it has new contents. From any thread."""
        self.notify_changed("resource", uri)

    def notify_changed(self, topic: str, uri: str | None = None) -> None:
        for runner in tuple(self._runners):
            try:
                if runner.thread is not threading.current_thread():
                    runner.loop.call_soon_threadsafe(runner.door.changed, runner.peer, topic, uri)
                elif not runner.loop.is_closed():
                    runner.door.changed(runner.peer, topic, uri)
                else:
                    self._runners.discard(runner)
            except RuntimeError:  # its loop was closed meanwhile, and the connection with it
                self._runners.discard(runner)

    # -- notifications of clients --------------------------------------------------------------------------------------

    def on_notified(self, runner: Serving, event: Notified) -> None:
        """What the core leaves to the application: to its handler, inside the middleware."""
        server = cast("Server", self)
        handler = server.notification_handlers.get(event.method)
        middleware = server._middleware
        if handler is None and not middleware:
            self._note_unknown(event.method)
            return

        nobody = _NoExchange(runner, event)

        async def innermost(event: Any) -> None:
            if handler is not None:
                await handler.run(nobody, {"params": event.params})  # type: ignore[arg-type]

        runner.spawn(chain(middleware, innermost)(event), f"notification {event.method}")

    def _note_unknown(self, method: str) -> None:
        limit = self.limits.unknown_methods_logged
        if not method.startswith("notifications/") and method not in self._told and len(self._told) < limit:
            self._told.add(method)
            _log.info("notifications %r have no handler here; register one with @server.notification", method[:200])


class _NoExchange:
    """Stands where a handler's exchange would: a notification has no answer, asks nothing, and reports no progress.

    It has no ``meta``: in the modern era that says that nobody asked for log messages.
    """

    asking = None
    cancelled = False
    open = False
    meta = None
    on_cancel = None

    def __init__(self, runner: Serving, event: Notified) -> None:
        meta = event.params.get("_meta")
        self.peer = runner.peer
        self.stream = runner.peer.stream
        self.principal = "anonymous" if self.stream is None else self.stream.principal
        self.headers = None if self.stream is None else self.stream.headers
        self.policy = runner.door.policy_for(event.method, meta if type(meta) is dict else None)
        self.revision = runner.peer.revision or LATEST
        self.id = None
        self.method = event.method
        self.params = event.params

    @property
    def capabilities(self) -> dict[str, Any]:
        return self.policy.client_capabilities(cast("Exchange", self))

    def notify(self, method: str, params: dict[str, Any] | None) -> None:
        """It travels on the stream of what belongs to no request."""
        self.peer.notify(method, params)


def _checked(transport: str, options: Mapping[str, Any]) -> str:
    if transport not in ("stdio", "http"):
        raise UsageError(f"the transport {transport!r} is not available; this version serves: stdio, http")
    if transport == "stdio" and options:
        raise UsageError(f'stdio has no option {next(iter(options))!r}; it belongs to run("http", ...)')
    return transport


def _run_options(options: Mapping[str, Any]) -> RunOptions:
    from mcpcore.transports.http_options import RunOptions

    known = RunOptions.__dataclass_fields__
    for name in options:
        if name not in known:
            raise UsageError(f"http has no option {name!r}; it has {', '.join(known)}")
    return RunOptions(**options)


def _http_options(options: Mapping[str, Any]) -> HttpOptions:
    from mcpcore.transports.http_options import HttpOptions

    checked = _run_options(options)
    for name in options:
        if name not in HttpOptions.__dataclass_fields__:
            raise UsageError(f'{name} belongs to run("http", ...), which owns the process; serve() does not')
    return HttpOptions(**{name: getattr(checked, name) for name in options})
