"""A server that owns its process and serves HTTP: its loop, signals, and an end that lets running requests finish.

Several processes are ``http_workers.py``, one that starts anew when its files change ``http_reload.py``; each of their
children is served by what stands here.
Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from mcpcore.errors import UsageError
from mcpcore.server.stdio_process import came_first, settle
from mcpcore.transports.descendants import end_descendants
from mcpcore.transports.http_server import HttpServer
from mcpcore.transports.process_exit import exit_promptly, install_stop_signals

if TYPE_CHECKING:
    import socket

    from mcpcore.server.app import Server
    from mcpcore.transports.http_options import HttpOptions, RunOptions

__all__ = ["announcement", "run_http", "serve_http", "serve_process"]

_log = logging.getLogger("mcpcore.server")

Started = Callable[[HttpServer], object]


def run_http(server: Server, options: RunOptions) -> NoReturn:
    """Serve until a signal comes, then end the process. Raises ``UsageError`` where the address cannot be had."""
    if options.workers > 1:
        from mcpcore.server.http_workers import run_workers

        run_workers(server, options)
    serve_process(server, options)


def serve_process(
    server: Server,
    options: RunOptions,
    sockets: Sequence[socket.socket] | None = None,
    started: Started | None = None,
) -> NoReturn:
    """Serve in this process until a signal comes, and end it. ``started`` is called once clients can connect; without
    it, a line on stderr says so."""
    with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
        runner.run(_serve_to_the_end(server, options, sockets, started))
    raise AssertionError("the process has ended")


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise UsageError('loop="uvloop": it is not installed; pip install "mcpcore[fast]"') from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve_to_the_end(
    server: Server, options: HttpOptions, sockets: Sequence[socket.socket] | None, started: Started | None
) -> NoReturn:
    """Ends the process from inside the loop: to close it would mean to wait for threads that a handler is stuck in."""
    code = 0
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    install_stop_signals(loop, lambda signal: settle(stopped))
    try:
        await _serve(server, options, stopped, sockets, started)
    except UsageError:
        raise
    except Exception:
        _log.exception("the server stopped")
        code = 1
    end_descendants()
    exit_promptly(code)


async def serve_http(server: Server, options: HttpOptions) -> None:
    """Serve inside a running loop until this is cancelled, without signal handlers."""

    def started(http: HttpServer) -> None:
        print(announcement(server, http.urls, owned=False), file=sys.stderr, flush=True)

    await _serve(server, options, asyncio.get_running_loop().create_future(), None, started)


async def _serve(
    server: Server,
    options: HttpOptions,
    stopped: asyncio.Future[None],
    sockets: Sequence[socket.socket] | None,
    started: Started | None,
) -> None:
    http = HttpServer(server, options)
    if not await came_first(http.start(sockets), stopped):
        return
    try:
        if started is not None:
            started(http)
        else:
            print(announcement(server, http.urls), file=sys.stderr, flush=True)
        await stopped
    finally:
        await http.stop()


def announcement(server: Server, urls: Sequence[str], *, owned: bool = True) -> str:
    """Where, for whom, and how to stop a process of the server's own."""
    legacy = [revision.name for revision in server.revisions if not revision.modern]
    modern = [revision.name for revision in server.revisions if revision.modern]
    eras = [
        f"{names[0]} to {names[-1]} ({era})" if len(names) > 1 else f"{names[0]} ({era})"
        for era, names in (("legacy", legacy), ("modern", modern))
        if names
    ]
    stop = "; Ctrl-C or SIGTERM stops it" if owned else ""
    return f"{server.name}: serving MCP at {', '.join(urls)} for {' and '.join(eras)}{stop}"
