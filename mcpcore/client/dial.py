"""How a connection comes to be: the transport opened, the conversation begun, and the one error where that fails.

Keeping it, losing it and closing it is ``connect.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from mcpcore.client.calls import Calls
from mcpcore.client.listen import Hearing, ListenRequests, StandingNews
from mcpcore.client.notices import Notices
from mcpcore.client.timeouts import ConnectTimeout, Timeouts
from mcpcore.errors import (
    ConnectFailed,
    ConnectionLost,
    HttpError,
    McpError,
    MissingCapability,
    ProtocolViolation,
    RpcError,
    Unauthorized,
    UnsupportedRevision,
)
from mcpcore.transports.opening import LostWhileProbing, Opening, Verdict, client_runner, open_conversation

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.client.answers import Answers
    from mcpcore.client.targets import Target
    from mcpcore.core.limits import Limits
    from mcpcore.spec.revisions import Revision
    from mcpcore.transports.runner import Runner

__all__ = ["Connection", "Dialler", "Settings", "end", "kill"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was made with, as far as its connection is concerned. ``revisions``: oldest first."""

    target: Target
    revisions: list[Revision]
    timeouts: Timeouts
    limits: Limits
    restart: bool
    verdict: Verdict | None = None


class Connection:
    """A conversation that stands. It is over when ``runner.lost`` is set."""

    def __init__(self, runner: Runner, opening: Opening, notices: Notices, timeouts: Timeouts) -> None:
        self.runner = runner
        self.policy = opening.policy
        self.opening = opening
        self.notices = notices
        self.timeouts = timeouts
        self.calls = Calls(runner, opening.policy)
        capabilities = opening.result.get("capabilities")
        self.capabilities: dict[str, Any] = capabilities if type(capabilities) is dict else {}
        self.carries_level = self.policy.level_method is None and "logging" in self.capabilities
        """Whether each request says which log messages are wanted. Once the user asks for a level it does."""
        self.hearing: Hearing = (
            StandingNews(self.calls, self.capabilities)
            if self.policy.listen_method is None
            else ListenRequests(self.calls)
        )
        notices.calls = self.calls
        notices.hearing = self.hearing
        if hasattr(runner.channel, "listener"):
            runner.channel.listener = self

    @property
    def endpoint(self) -> str:
        return self.runner.endpoint

    def missed(self) -> None:
        """News may have been missed, because a stream was interrupted or the session began anew."""
        self.notices.forget()
        self.hearing.missed()

    def deaf(self, error: McpError) -> None:
        """No news will come any more on this connection."""
        self.hearing.deafen(error)

    def remaining(self, id: int | str) -> float | None:
        return self.calls.remaining(id)

    def require(self, method: str) -> None:
        """Raises ``MissingCapability`` where the server did not declare what this request needs."""
        needed = self.policy.needs(method)
        if needed is not None and self.capabilities.get(needed) is None:
            text = f"{method} was not sent: {self.endpoint} did not declare the capability {needed!r}"
            raise MissingCapability(f"{text}; client.request() sends it all the same", {needed: {}})


class Dialler:
    """Makes connections to one server, one at a time."""

    def __init__(
        self,
        settings: Settings,
        answers: Answers,
        make_notices: Callable[[], Notices],
        on_lost: Callable[[Runner, Exception | None], None],
    ) -> None:
        self._settings = settings
        self._answers = answers
        self._make_notices = make_notices
        self._on_lost = on_lost

    async def dial(self, verdict: Verdict | None) -> Connection:
        """A connection that stands. Cancelled, or where it fails, nothing is left of it.

        Raises ``ConnectFailed``, ``ConnectTimeout``, ``Unauthorized``, ``UnsupportedRevision``, ``UsageError``.
        """
        settings = self._settings
        limit = settings.timeouts.connect
        deadline = None if limit is None else asyncio.get_running_loop().time() + limit
        try:
            return await self._attempt(settings.revisions, verdict, deadline)
        except LostWhileProbing as error:
            legacy = [revision for revision in settings.revisions if not revision.modern]
            if not legacy or not settings.target.restartable:
                failed = ConnectFailed(str(error))
                failed.endpoint, failed.stderr = error.endpoint, error.stderr
                raise failed from None
        return await self._attempt(legacy, None, deadline)

    async def _attempt(self, allowed: list[Revision], verdict: Verdict | None, deadline: float | None) -> Connection:
        limits, notices = self._settings.limits, self._make_notices()
        cause: list[Exception | None] = []

        def closed(runner: Runner, error: Exception | None) -> None:
            cause.append(error)
            self._on_lost(runner, error)

        runner = client_runner(limits, on_notified=notices.received, on_closed=closed)
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope:
                await self._settings.target.open(runner)
                opening = await open_conversation(runner, self._answers, allowed, verdict, limits.probe_seconds)
                return Connection(runner, opening, notices, self._settings.timeouts)
        except BaseException as error:
            failure: BaseException = error
            if isinstance(error, TimeoutError) and scope.expired():
                failure = self._too_late(runner)
            elif isinstance(error, McpError):
                failure = self._explained(error, runner, next((str(one) for one in cause if one is not None), ""))
            await end(runner, politely=isinstance(error, McpError))
            notices.close()
            if failure is error:
                raise
            raise failure from (error if isinstance(error, RpcError | ProtocolViolation | HttpError) else None)

    def _where(self, runner: Runner) -> dict[str, str]:
        endpoint = getattr(runner.channel, "endpoint", self._settings.target.name)
        return {"endpoint": endpoint, "stderr": runner.stderr_tail()}

    def _too_late(self, runner: Runner) -> ConnectTimeout:
        seconds = self._settings.timeouts.connect or 0.0
        text = f"no conversation within {seconds:g} seconds (limit 'connect')"
        return ConnectTimeout(text, limit="connect", seconds=seconds, **self._where(runner))

    def _explained(self, error: McpError, runner: Runner, cause: str) -> McpError:
        """The error that the caller of ``connect`` gets: it names the endpoint, the cause and what the server wrote."""
        where = self._where(runner)
        if isinstance(error, UnsupportedRevision):
            return UnsupportedRevision(f"{where['endpoint']}: {error}", error.offered)
        if isinstance(error, HttpError) and not isinstance(error, Unauthorized):
            return ConnectFailed(str(error).removeprefix(f"{error.endpoint}: "), **where)
        if isinstance(error, ConnectionLost) and self._settings.target.reconnects:
            return ConnectFailed(str(error).removeprefix(f"{error.endpoint}: "), **where)
        if isinstance(error, ConnectionLost):
            kind = LostWhileProbing if isinstance(error, LostWhileProbing) else ConnectFailed
            return kind(f"{cause or 'the server closed the connection'}, before the conversation stood", **where)
        if isinstance(error, RpcError):
            return ConnectFailed(f"the server refused the handshake: {error}", **where)
        if isinstance(error, ProtocolViolation) or (isinstance(error, ConnectFailed) and not error.endpoint):
            return ConnectFailed(str(error), **where)
        return error


async def end(runner: Runner, *, politely: bool) -> None:
    """Close a connection and wait until nothing of it is left; impolitely, what runs is killed first."""
    channel = runner.channel
    if channel is None:
        return
    if not politely:
        channel.abort()
    await runner.close()
    aclose = getattr(channel, "aclose", None)
    if aclose is not None:
        await aclose()
    else:
        await asyncio.wait([runner.closed])


def kill(runner: Runner) -> None:
    kill = getattr(runner.channel, "kill", None)
    if kill is not None:
        kill()
