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
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.transports.process_exit import exit_promptly, install_stop_signals
from mcpcore.transports.stdio import claim_stdio, open_stdio

if TYPE_CHECKING:
    from mcpcore.server.app import Server

__all__ = ["run_stdio", "serve_stdio"]

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
    patient = stat.S_ISREG(os.fstat(fds.stdin_fd).st_mode)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    restore = install_stop_signals(loop, lambda signal: stopped.set()) if signals else None
    try:
        await server.start_lifespan()
        try:
            runner = server.open_runner()
            channel = await open_stdio(runner, stdin_fd=fds.stdin_fd, stdout_fd=fds.stdout_fd)
            stop = asyncio.create_task(stopped.wait())
            ends: set[asyncio.Future[Any]] = {stop, runner.input_ended, runner.closed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            limits = server.limits
            seconds = limits.answer_seconds if patient and not stopped.is_set() else limits.drain_seconds
            await runner.finish(0 if stopped.is_set() else seconds)
            stop.cancel()
            await _flushed(runner.closed, channel, limits.drain_seconds)
        finally:
            await asyncio.wait_for(server.stop_lifespan(), server.limits.drain_seconds)
    finally:
        if restore is not None:
            restore()
        fds.restore_blocking()
        if not signals:
            fds.release()


async def _flushed(closed: asyncio.Future[None], channel: object, seconds: float) -> None:
    """What was answered reaches a client that reads; one that does not is left."""
    try:
        await asyncio.wait_for(asyncio.shield(closed), seconds)
    except TimeoutError:
        channel.abort()  # type: ignore[attr-defined]
