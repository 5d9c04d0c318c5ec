"""The client that people use: connecting, listening, raw messages, and the facts about its server.

Its requests stand in ``requests.py``, its connection in ``connect.py``. The client itself is only what the user holds:
nothing below refers to it, so that a forgotten one can be collected, and its server with it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from mcpcore.client.answers import Answers
from mcpcore.client.cache import ResultCache
from mcpcore.client.checking import OutputCheck, ToolBook
from mcpcore.client.connect import Link
from mcpcore.client.dial import Settings
from mcpcore.client.events import Events
from mcpcore.client.notices import Callbacks
from mcpcore.client.requests import OnProgress, Requests
from mcpcore.client.rounds import Rounds
from mcpcore.client.targets import Auth, HttpSettings, InheritEnv, TransportName, target_for
from mcpcore.client.timeouts import Timeout, Timeouts
from mcpcore.core.limits import Limits
from mcpcore.errors import InvalidResult, MissingCapability, UsageError
from mcpcore.spec.meta import EXTENSION, LOG_LEVELS, SERVER_INFO
from mcpcore.spec.revisions import ALL, BY_NAME, Revision
from mcpcore.transports.opening import Verdict
from mcpcore.types import Implementation, ServerCapabilities, SubscriptionFilter, from_wire

if TYPE_CHECKING:
    import ssl as tls
    from types import TracebackType

    from mcpcore.client.dial import Connection

__all__ = ["VERSION", "Client", "ClientOptions"]

VERSION = "0.1.0"
"""What a client calls itself where its user gives it no version: the package's."""


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of ``Client``, for who passes them on."""

    name: str
    version: str
    title: str | None
    revisions: str | Iterable[str] | None
    timeout: Timeout
    sampling: Callable[..., Any] | None
    elicitation: Callable[..., Any] | None
    roots: Any
    log: Callable[..., Any] | None
    progress: OnProgress | None
    notifications: Mapping[str, Callable[..., Any]] | None
    capabilities: Mapping[str, Any] | None
    extensions: Mapping[str, Any] | None
    output_check: OutputCheck
    restart: bool
    cache: bool
    verdict: Verdict | str | None
    headers: Mapping[str, str] | None
    auth: Auth | None
    ssl: tls.SSLContext | None
    proxy: str | None
    transport: TransportName
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None
    inherit_env: InheritEnv
    close_timeout: float
    max_rounds: int
    limits: Limits


class Client(Requests):
    """A client of one server: ``async with Client("python server.py") as client: await client.call_tool(...)``.

    ``target`` is a URL (http, https, http+unix), a command (a string, split as a shell would, or a list), or a server
    object of this process. One client serves any number of tasks, and may be closed from any of them. It can be
    connected again after it was closed.

    ``revisions``: a name or several, to speak no other. ``verdict``: what ``client.verdict`` of an earlier client of
    this server said; it spares the probe. ``sampling``, ``elicitation`` and ``roots`` answer the server's questions,
    async in the loop, else each in a thread. ``capabilities`` are declared besides what the callbacks imply:
    ``{"sampling": {"tools": {}}}``. ``log``, ``progress`` and ``notifications`` hear what the server says; with ``log``
    set, a 2026-07-28 server is asked for messages of every level, until ``set_log_level``; older ones choose
    themselves. ``output_check``: what becomes of a result that does not fit its tool's output schema. ``restart``: the
    next call starts a server that died again; streams go on by themselves. Raises ``UsageError`` for what cannot be.

    Over HTTP ``headers`` go with every request, and over them what ``auth()``, async or not, says before each one.
    ``ssl`` is a context of one's own, ``proxy`` a URL, ``None``, or what the environment says (``"env"``).
    ``transport`` is found out unless it is ``"http"`` or ``"sse"``. A lost connection is made again by the next call.
    """

    def __init__(
        self,
        target: Any,
        *,
        name: str = "mcpcore",
        version: str = VERSION,
        title: str | None = None,
        revisions: str | Iterable[str] | None = None,
        timeout: Timeout = None,
        sampling: Callable[..., Any] | None = None,
        elicitation: Callable[..., Any] | None = None,
        roots: Any = None,
        log: Callable[..., Any] | None = None,
        progress: OnProgress | None = None,
        notifications: Mapping[str, Callable[..., Any]] | None = None,
        capabilities: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
        output_check: OutputCheck = "warn",
        restart: bool = False,
        cache: bool = True,
        verdict: Verdict | str | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        ssl: tls.SSLContext | None = None,
        proxy: str | None = "env",
        transport: TransportName = "auto",
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        inherit_env: InheritEnv = "safe",
        close_timeout: float = 2.0,
        max_rounds: int = 10,
        limits: Limits = Limits(),
    ) -> None:
        info = (
            {"name": name, "version": version} if title is None else {"name": name, "version": version, "title": title}
        )
        declared = dict(capabilities or {})
        if extensions:
            declared["extensions"] = {**declared.get("extensions", {}), **extensions}
        _check_extensions(declared.get("extensions", {}))
        self._answers = Answers(
            info, limits, sampling=sampling, elicitation=elicitation, roots=roots, declared=declared
        )
        self._rounds = Rounds(self._answers, max_rounds)
        self._tools = ToolBook(output_check)
        self._cache = ResultCache(limits)
        self._caching = cache
        self._progress = progress
        self._level: str | None = LOG_LEVELS[0] if log is not None else None
        timeouts = Timeouts().narrowed(timeout)
        settings = Settings(
            target=target_for(
                target,
                limits,
                http=HttpSettings(headers=headers, auth=auth, ssl=ssl, proxy=proxy, transport=transport),
                tools=self._tools,
                agent=f"{name}/{version}",
                connect_seconds=timeouts.connect,
                env=env,
                cwd=cwd,
                inherit_env=inherit_env,
                close_timeout=close_timeout,
            ),
            revisions=_spoken(_revisions(revisions), transport),
            timeouts=timeouts,
            limits=limits,
            restart=restart,
            verdict=Verdict(verdict) if isinstance(verdict, str) else verdict,
        )
        self._link = Link(settings, self._answers, Callbacks(log, notifications), self._cache, self._tools)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._link.target_name}>"

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        link = getattr(self, "_link", None)
        if link is not None and link.is_open:
            _warn(f"{self!r} was never closed; its connection is ended now", ResourceWarning, source=self)
            link.abandon()

    # -- connecting ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Client:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> Client:
        """Start the server where it is a command, and find out what it speaks. Cancelled at any moment, it leaves
        nothing.

        Raises ``ConnectFailed`` (its text holds the last lines of the server's stderr), ``ConnectTimeout``, which is a
        ``CallTimeout`` as well, ``Unauthorized``, or ``UnsupportedRevision``.
        """
        await self._link.connect()
        return self

    async def close(self) -> None:
        """End the connection, and the server where it is ours; calls that wait fail with ``Closed``.

        From any task and any thread with a loop; takes at most about ``close_timeout`` plus a second. Idempotent.
        """
        await self._link.close()

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> str:
        """The protocol revision that is spoken: ``"2026-07-28"``."""
        return self._met.policy.revision.name

    @property
    def verdict(self) -> Verdict | None:
        """What the server turned out to speak, to be given to the next client of it; ``None`` before the first time."""
        return self._link.verdict

    @property
    def server_info(self) -> Implementation | None:
        """Name and version of the server, where it said them."""
        result = self._met.opening.result
        meta = result.get("_meta")
        info = result.get("serverInfo", meta.get(SERVER_INFO) if isinstance(meta, dict) else None)
        try:
            return from_wire(Implementation, info) if info is not None else None
        except InvalidResult:
            return None

    @property
    def server_capabilities(self) -> ServerCapabilities:
        """What the server declared. Raises ``InvalidResult`` where that has no sense."""
        return from_wire(ServerCapabilities, self._met.capabilities)

    @property
    def instructions(self) -> str | None:
        """How the server wants to be used, in its own words."""
        text = self._met.opening.result.get("instructions")
        return text if isinstance(text, str) else None

    @property
    def _met(self) -> Connection:
        connection = self._link.last
        if connection is None:
            raise UsageError("this client is not connected: use `async with` or `await client.connect()` first")
        return connection

    # -- listening -----------------------------------------------------------------------------------------------------

    def listen(
        self, *, tools: bool = False, prompts: bool = False, resources: bool = False, uris: Iterable[str] = ()
    ) -> Events:
        """A stream of changes: of the three lists, and of the resources named by ``uris``.

        ``async with client.listen(tools=True) as events: async for event in events``: each is ``ToolsChanged()``,
        ``PromptsChanged()``, ``ResourcesChanged()``, ``ResourceUpdated(uri)`` or ``Resync()``. ``events.honoured`` says
        what the server agreed to tell. No limit of time applies.
        """
        wanted = SubscriptionFilter(
            tools_list_changed=tools,
            prompts_list_changed=prompts,
            resources_list_changed=resources,
            resource_subscriptions=list(dict.fromkeys(uris)) or None,
        )
        return Events(self, self._link, wanted)

    async def subscribe(self, uri: str) -> None:
        """Hear of updates of one resource until ``unsubscribe``: by the callback for
        ``notifications/resources/updated``.

        Raises ``MissingCapability`` where the server does not offer that.
        """
        connection = self._link.live() or await self._link.connection()
        await self._link.standing.add(connection, uri)

    async def unsubscribe(self, uri: str) -> None:
        """The end of ``subscribe``."""
        connection = self._link.live() or await self._link.connection()
        await self._link.standing.remove(connection, uri)

    async def set_log_level(self, level: str) -> None:
        """Ask for log messages of this level and above. In 2026-07-28 it travels with each request from now on.

        Raises ``MissingCapability`` where a legacy server has no such request. A modern one needs not declare anything
        to be told: some send logs without saying so.
        """
        if level not in LOG_LEVELS:
            raise UsageError(f"a log level is one of {', '.join(LOG_LEVELS)}")
        connection = self._link.live() or await self._link.connection()
        if connection.policy.level_method is not None:
            if "logging" not in connection.capabilities:
                raise MissingCapability("the server does not offer logging", {"logging": {}})
            await self._ask(connection, connection.policy.level_method, {"level": level}, None)
        else:
            connection.carries_level = True
        self._level = self._link.log_level = level

    async def notify_roots_changed(self) -> None:
        """Tell a legacy server that the roots changed; a modern one asks whenever it needs them.

        Nothing is sent where the client did not declare that it would tell.
        """
        connection = self._link.live() or await self._link.connection()
        declared = self._answers.capabilities(connection.policy.revision).get("roots", {})
        if connection.policy.answers and declared.get("listChanged") is True:
            await self.notify("notifications/roots/list_changed")

    # -- raw messages --------------------------------------------------------------------------------------------------

    async def ping(self, *, timeout: Timeout = None) -> None:
        """A round trip that does nothing."""
        connection = self._link.live() or await self._link.connection()
        await self._ask(connection, connection.policy.ping_method, {}, timeout)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: Timeout = None,
        progress: OnProgress | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Any request; the result object as it came. The envelope is added where the era wants one."""
        connection = self._link.live() or await self._link.connection()
        return await self._ask(connection, method, dict(params or {}), timeout, progress, headers)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Any notification. Waits while the server does not read."""
        connection = self._link.live() or await self._link.connection()
        await connection.runner.drained()
        try:
            connection.runner.peer.notify(method, None if params is None else dict(params))
        except TypeError as error:
            raise UsageError(f"{method}: {error}") from None


def _check_extensions(extensions: Mapping[str, Any]) -> None:
    for name in extensions:
        if not re.fullmatch(EXTENSION, name):
            raise UsageError(f"extensions: {name!r} is no identifier with a prefix, such as com.example/thing")


def _spoken(revisions: list[Revision], transport: str) -> list[Revision]:
    """HTTP+SSE knows the legacy revisions alone."""
    if transport != "sse":
        return revisions
    legacy = [revision for revision in revisions if not revision.modern]
    if not legacy:
        raise UsageError('transport="sse" is of the legacy revisions; allow one of them')
    return legacy


def _revisions(wanted: str | Iterable[str] | None) -> list[Revision]:
    """Oldest first."""
    names = [wanted] if isinstance(wanted, str) else list(wanted) if wanted is not None else list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown or not names:
        raise UsageError(f"revisions must be of {', '.join(BY_NAME)}, not {', '.join(map(repr, unknown)) or 'none'}")
    return [revision for revision in ALL if revision.name in names]
