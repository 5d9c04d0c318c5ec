"""A server that owns its process and serves HTTP: listening, signals, and an end that lets running requests finish.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, NoReturn

from mcpcore.errors import UsageError
from mcpcore.server.stdio_process import settle
from mcpcore.transports.http_server import HttpServer
from mcpcore.transports.process_exit import exit_promptly, install_stop_signals

if TYPE_CHECKING:
    from mcpcore.server.app import Server
    from mcpcore.transports.http_options import HttpOptions

__all__ = ["run_http", "serve_http"]

_log = logging.getLogger("mcpcore.server")


def run_http(server: Server, options: HttpOptions) -> NoReturn:
    """Serve until a signal comes, then end the process. Raises ``UsageError`` where the address cannot be had."""
    asyncio.run(_serve_to_the_end(server, options))
    raise AssertionError("the process has ended")


async def _serve_to_the_end(server: Server, options: HttpOptions) -> NoReturn:
    code = 0
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    install_stop_signals(loop, lambda signal: settle(stopped))
    try:
        await _serve(server, options, stopped)
    except UsageError:
        raise
    except Exception:
        _log.exception("the server stopped")
        code = 1
    exit_promptly(code)


async def serve_http(server: Server, options: HttpOptions) -> None:
    """Serve inside a running loop until this is cancelled, without signal handlers."""
    await _serve(server, options, asyncio.get_running_loop().create_future())


async def _serve(server: Server, options: HttpOptions, stopped: asyncio.Future[None]) -> None:
    http = HttpServer(server, options)
    await http.start()
    print(f"{server.name}: serving MCP at {', '.join(http.urls)}", file=sys.stderr, flush=True)
    try:
        await stopped
    finally:
        await http.stop()
