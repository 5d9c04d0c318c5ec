"""A server that owns its process: standard streams, signals, and a prompt end.

The end of the input is the graceful signal (basic/transports/stdio#shutdown): running handlers may finish for a moment,
then the process ends, whatever a worker thread is stuck in. An input from a file is read to its end and answered in
full.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.transports.process_exit import exit_promptly, install_stop_signals
from mcpcore.transports.stdio import claim_stdio, open_stdio

if TYPE_CHECKING:
    from mcpcore.server.app import Server
    from mcpcore.transports.stdio import StdioFds

__all__ = ["came_first", "run_stdio", "serve_stdio", "settle"]

_log = logging.getLogger("mcpcore.server")


def run_stdio(server: Server) -> NoReturn:
    """Serve on stdio until the end of the input or a signal, then end the process."""
    asyncio.run(_serve_to_the_end(server))
    raise AssertionError("the process has ended")


async def _serve_to_the_end(server: Server) -> NoReturn:
    """Ends the process from inside the loop: ``asyncio.run`` would wait for threads that a handler is stuck in."""
    from mcpcore.transports.descendants import end_descendants

    code = 0
    try:
        await _serve(server, signals=True)
    except Exception:
        _log.exception("the server stopped")
        code = 1
    end_descendants()
    exit_promptly(code)


async def serve_stdio(server: Server) -> None:
    """The same inside a running loop: no signal handlers, and the streams are given back afterwards."""
    await _serve(server, signals=False)


async def _serve(server: Server, *, signals: bool) -> None:
    fds = claim_stdio()
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    restore = install_stop_signals(loop, lambda signal: settle(stopped)) if signals else None
    opened = False
    if os.isatty(fds.stdin_fd):  # a person, who may wonder why nothing happens
        print(f"{server.name}: waiting for MCP messages on standard input; Ctrl-C ends it", file=sys.stderr)
    try:
        if await came_first(server.start_lifespan(stopped), stopped):
            opened = True
            await _converse(server, fds, stopped)
    finally:
        await server.stop_lifespan(stopped)
        if restore is not None:
            restore()
        fds.restore_blocking()
        if not opened:
            os.close(fds.stdin_fd)
            os.close(fds.stdout_fd)
        if not signals:
            fds.release()


def settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def came_first(start: Coroutine[Any, Any, None], stopped: asyncio.Future[None]) -> bool:
    """Whether ``start`` was done before the signal to stop, which cancels it. Raises what it raises."""
    starting = asyncio.ensure_future(start)
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
    if starting.cancelled():
        return False
    starting.result()
    return True


async def _converse(server: Server, fds: StdioFds, stopped: asyncio.Future[None]) -> None:
    """One connection, to its end. What was answered reaches a client that reads; one that does not is left."""
    limits = server.limits
    patient = stat.S_ISREG(os.fstat(fds.stdin_fd).st_mode)
    runner = server.open_runner()
    channel = await open_stdio(runner, stdin_fd=fds.stdin_fd, stdout_fd=fds.stdout_fd)
    try:
        ends = {stopped, runner.input_ended, runner.closed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        seconds = limits.answer_seconds if patient else limits.drain_seconds
        await runner.finish(0 if stopped.done() else seconds)
        await asyncio.wait({runner.closed}, timeout=limits.drain_seconds)
    finally:
        if not runner.closed.done():
            await runner.close()  # once more, where this task was cancelled
            channel.abort()
            await asyncio.wait({runner.closed}, timeout=limits.drain_seconds)
