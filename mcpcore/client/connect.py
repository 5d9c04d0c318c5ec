"""A client's connection through its life: opened, lost, opened again, closed; from any task, thread or finalizer.

Tasks and callbacks are all that is owned here; nothing stays open in the task that connects. What is said on a
connection is decided elsewhere. Everybody who waits for a connection waits for the same attempt, and it ends with the
last of them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcpcore.client.calls import again
from mcpcore.client.dial import Connection, Dialler, end, kill
from mcpcore.client.notices import Callbacks, Notices
from mcpcore.client.standing import Standing
from mcpcore.client.timeouts import Pauses
from mcpcore.errors import Closed, ConnectionLost, McpError, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mcpcore.client.answers import Answers
    from mcpcore.client.cache import ResultCache
    from mcpcore.client.checking import ToolBook
    from mcpcore.client.dial import Settings
    from mcpcore.transports.runner import Runner

__all__ = ["Link"]

log = logging.getLogger("mcpcore.client")


class Link:
    """The way to one server. It never refers to the client that owns it: a forgotten client can be collected."""

    def __init__(
        self, settings: Settings, answers: Answers, callbacks: Callbacks, cache: ResultCache, tools: ToolBook
    ) -> None:
        self.timeouts = settings.timeouts
        self.limits = settings.limits
        self.restarts = settings.restart or settings.target.reconnects
        self.mirrors = settings.target.mirrors
        self.verdict = settings.verdict
        self.log_level: str | None = None
        """What the user asked for by name: a server that was started again has to be told again."""
        self.standing = Standing(callbacks.by_method, self.limits, self._stream_ended)
        self._target = settings.target
        self._answers = answers
        self._dialler = Dialler(settings, answers, self._make_notices, self._lost)
        self._callbacks = callbacks
        self._cache = cache
        self._tools = tools
        self._unknown: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = False
        self._holders = 0
        """How many ``connect`` have returned since it was wanted."""
        self._connection: Connection | None = None
        self._dialling: asyncio.Task[Connection] | None = None
        self._waiting = 0
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._restoring = False
        self._pauses: Pauses | None = None

    # -- what others ask -----------------------------------------------------------------------------------------------

    @property
    def target_name(self) -> str:
        return self._target.name

    @property
    def last(self) -> Connection | None:
        """The connection that stands, or the one that was lost."""
        return self._connection

    @property
    def is_open(self) -> bool:
        return self._dialling is not None or (self._connection is not None and self._connection.runner.lost is None)

    def live(self) -> Connection | None:
        """The connection where it stands. Raises ``UsageError`` in another loop than it stands in."""
        if running_loop() is not self._loop and self._wanted:
            self._refuse_loop()
        connection = self._connection
        return connection if connection is not None and connection.runner.lost is None else None

    async def connection(self) -> Connection:
        """The connection; a new one where it was lost and may be made again."""
        found = self.live()
        if found is not None:
            return found
        if not self._wanted:
            if self._loop is None:
                raise UsageError("this client is not connected: use `async with` or `await client.connect()` first")
            raise Closed("this client is closed; connect() opens it again")
        if self._connection is not None and self._connection.runner.lost is not None and not self.restarts:
            raise again(self._connection.runner.lost)
        return await self._dial()

    # -- opening -------------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect, unless the connection stands already."""
        loop = running_loop()
        if self._loop is not loop:
            if self._wanted and self._loop is not None and not self._loop.is_closed():
                self._refuse_loop()
            self.abandon()
            self._begin_anew(loop)
        if self._closing is not None:
            await self._close_here()
        if self.live() is None:
            if not self._wanted:
                self._wanted, self._holders = True, 0
            try:
                await self._dial()
            except BaseException:
                if self._holders == 0 and self._waiting == 0:  # cancelled just as the connection stood: nobody has it
                    await self._close_here()
                raise
        self._holders += 1

    def _begin_anew(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whatever belonged to an earlier loop ended with it."""
        self._loop = loop
        self._dialling = self._closing = None
        self._waiting = 0
        self._tasks = set()
        self._restoring = False
        self._pauses = Pauses(self.limits, loop.time)
        self.standing.forget()

    async def _dial(self) -> Connection:
        """Wait for the one attempt under way, or begin it. The last one to stop waiting ends it."""
        assert self._loop is not None
        if self._dialling is None:
            self._dialling = self._loop.create_task(self._open(), name="mcpcore-connect")
            self._dialling.add_done_callback(self._dialled)
        task = self._dialling
        self._waiting += 1
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            if self._waiting == 1 and not task.done():
                task.cancel()
                await asyncio.wait([task])
            raise
        finally:
            self._waiting -= 1
        if task.cancelled():
            raise Closed("this client was closed while it was connecting")
        return task.result()

    def _dialled(self, task: asyncio.Task[Connection]) -> None:
        self._dialling = None
        if not task.cancelled():
            task.exception()  # everybody who waits gets it; nobody may be waiting any more

    async def _open(self) -> Connection:
        connection = await self._dialler.dial(self.verdict)
        self._answers.clock = connection.calls.clock
        if self.standing.wanted:
            try:
                await self.standing.establish(connection)
            except BaseException:
                await end(connection.runner, politely=False)
                raise
        method = connection.policy.level_method
        if self.log_level is not None and method is None:
            connection.carries_level = True
        elif self.log_level is not None and method is not None:
            told = connection.calls.send(method, {"level": self.log_level})
            told.waiter.add_done_callback(lambda answer: answer.cancelled() or answer.exception())
        self.verdict = connection.opening.verdict
        self._connection = connection
        return connection

    def _make_notices(self) -> Notices:
        return Notices(self._callbacks, self.limits, self._cache, self._tools, self._unknown)

    # -- losing --------------------------------------------------------------------------------------------------------

    def _lost(self, runner: Runner, exc: Exception | None) -> None:
        connection = self._connection
        if connection is None or connection.runner is not runner:
            return
        self.standing.lose()
        connection.calls.close()
        connection.hearing.lose(runner.lost if isinstance(runner.lost, ConnectionLost) else None)
        self._cache.clear()
        self._tools.forget()
        if self._wanted:
            self._keep(end(runner, politely=True), _ENDING)
            if self.restarts:
                self._stream_ended()

    def _stream_ended(self) -> None:
        """Nobody would notice that changes are not heard any more: listen again by ourselves."""
        if not self._wanted or not self.standing.wanted or self._restoring:
            return
        if not self.restarts:
            log.warning("%s: changes are not heard any more: the server ended the stream", self._target.name)
            return
        self._restoring = True
        self._keep(self._restore(), "mcpcore-restore")

    async def _restore(self) -> None:
        assert self._pauses is not None
        try:
            while (pause := self._pauses.next()) is not None:
                await asyncio.sleep(pause)
                if not self._wanted:
                    return
                try:
                    await self.standing.establish(await self.connection())
                    return
                except McpError as error:
                    log.info("%s: not back yet: %s", self._target.name, error)
            log.warning(
                "%s: changes are not heard any more: the server is gone or ends every stream", self._target.name
            )
        finally:
            self._restoring = False

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._loop is not None
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- closing -------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close, from any task of any loop; all who close wait for the same end. Idempotent."""
        loop = self._loop
        if loop is None or not (self._wanted or self._closing is not None):
            return
        if loop is running_loop():
            await self._close_here()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._close_here(), loop))
        else:
            self.abandon()

    async def _close_here(self) -> None:
        if self._closing is None:
            assert self._loop is not None
            self._closing = self._loop.create_task(self._end(), name="mcpcore-close")
        closing = self._closing
        await asyncio.wait([closing])  # cancelling who waits does not cancel the closing
        if self._closing is closing:
            self._closing = None
        if not closing.cancelled():
            closing.result()

    async def _end(self) -> None:
        self._wanted = False
        connection, self._connection = self._connection, None
        try:
            if self._dialling is not None:
                self._dialling.cancel()
                await asyncio.wait([self._dialling])
                connection, self._connection = connection or self._connection, None
            for task in self._tasks:
                if task.get_name() != _ENDING:
                    task.cancel()
            if connection is not None:
                self.standing.forget()
                connection.calls.close()
                connection.hearing.lose(None)
                connection.notices.close()
                await end(connection.runner, politely=True)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._cache.clear()
            self._tools.forget()
            if connection is not None:
                kill(connection.runner)

    def abandon(self) -> None:
        """End it without waiting: from a finalizer, another thread, or after the loop has ended."""
        connection, self._connection = self._connection, None
        self._wanted = False
        loop = self._loop
        if connection is None or loop is None:
            return
        kill(connection.runner)
        if loop.is_running() and connection.runner.channel is not None:
            with suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(connection.runner.channel.abort)

    def _refuse_loop(self) -> None:
        text = f"this client was connected in {self._loop!r} and is used from {running_loop()!r}"
        raise UsageError(
            f"{text}: use it in the loop that it was connected in, make one client for each, or use SyncClient"
        )


_ENDING = "mcpcore-ending"


def running_loop() -> asyncio.AbstractEventLoop:
    """The running asyncio loop. Raises ``UsageError`` where there is none: without a loop, and under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        text = (
            "a Client needs a running asyncio event loop: it does not run under trio; without any loop use SyncClient"
        )
        raise UsageError(text) from None
