"""What a client may be given to talk to, and how each of these becomes a channel: a command, a server object, a URL."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpcore.client.checking import ToolBook
    from mcpcore.core.limits import Limits
    from mcpcore.transports.runner import Runner

__all__ = ["Auth", "HttpSettings", "InheritEnv", "Target", "TransportName", "target_for"]

InheritEnv = Literal["safe", "all", "none"]
TransportName = Literal["auto", "http", "sse"]
if TYPE_CHECKING:
    Auth = Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]
else:
    Auth = object

_URL = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/"


class Target(Protocol):
    name: str
    restartable: bool
    """Whether connecting again makes a new server."""
    reconnects: bool
    """Whether the next call may connect again by itself: no process of ours would be started for that."""
    mirrors: bool
    """Whether parameters of tools travel as header fields, too."""

    async def open(self, runner: Runner) -> Any:
        """A channel that drives ``runner``; ``connection_made`` has been called. Raises ``ConnectFailed``."""
        ...


class Command:
    """A server process of our own."""

    restartable = True
    reconnects = mirrors = False

    def __init__(self, command: Sequence[str] | str, **options: Any) -> None:
        self.name = (command if isinstance(command, str) else " ".join(command)).split("\n")[0][:100]
        self._command = command
        self._options = options

    async def open(self, runner: Runner) -> Any:
        from mcpcore.transports.process import spawn

        return await spawn(runner, self._command, **self._options)


class InProcess:
    """A server object of this process; it serves in the client's loop."""

    restartable = reconnects = mirrors = False

    def __init__(self, server: Any) -> None:
        self.name = f"the server {getattr(server, 'name', '') or type(server).__name__} in this process"
        self._server = server

    async def open(self, runner: Runner) -> Any:
        channel = self._server.connect_client(runner)
        return await channel if inspect.isawaitable(channel) else channel


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is given for HTTP alone."""

    headers: Mapping[str, str] | None = None
    auth: Any = None
    ssl: Any = None
    proxy: str | None = "env"
    transport: str = "auto"


class Http:
    """A server at a URL."""

    restartable = False
    reconnects = mirrors = True

    def __init__(
        self,
        url: str,
        settings: HttpSettings,
        limits: Limits,
        *,
        agent: str,
        tools: ToolBook,
        connect_seconds: float | None,
        close_timeout: float,
    ) -> None:
        from mcpcore.transports.channel_options import channel_options

        if settings.transport not in ("auto", "http", "sse"):
            raise UsageError(f'transport must be "auto", "http" or "sse", not {settings.transport!r}')
        if settings.auth is not None and not callable(settings.auth):
            raise UsageError("auth must be a function without arguments that returns header fields")
        self._transport = settings.transport
        self._options = channel_options(
            url,
            headers=settings.headers,
            auth=settings.auth,
            ssl=settings.ssl,
            proxy=settings.proxy,
            agent=agent,
            limits=limits,
            connect_seconds=connect_seconds,
            close_seconds=close_timeout,
            tool=tools.get,
            may_repeat_tool=tools.may_repeat,
        )
        self.name = str(self._options.url)

    async def open(self, runner: Runner) -> Any:
        from mcpcore.transports.http_client import open_http

        return await open_http(runner, self._options, self._transport)


def target_for(
    target: Any,
    limits: Limits,
    *,
    http: HttpSettings,
    tools: ToolBook,
    agent: str,
    connect_seconds: float | None,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    inherit_env: InheritEnv,
    close_timeout: float,
) -> Target:
    """Raises ``UsageError`` for what a client cannot talk to."""
    if inherit_env not in ("safe", "all", "none"):
        raise UsageError(f'inherit_env must be "safe", "all" or "none", not {inherit_env!r}')
    if isinstance(target, str):
        url = re.match(_URL, target)
        if url is not None and url["scheme"].lower() in ("http", "https", "http+unix"):
            if env is not None or cwd is not None:
                raise UsageError("env and cwd are for a command; a server at a URL runs elsewhere")
            return Http(
                target.strip(),
                http,
                limits,
                agent=agent,
                tools=tools,
                connect_seconds=connect_seconds,
                close_timeout=close_timeout,
            )
        if url is not None:
            text = f"{url['scheme']}: this transport is not available yet; a client talks to an http or https URL, to a"
            raise UsageError(f'{text} command ("python server.py" or ["python", "server.py"]), or to a server object')
    if http != HttpSettings():
        raise UsageError("headers, auth, ssl, proxy and transport are for a server at a URL")
    if isinstance(target, str | list | tuple):
        if not target or not all(isinstance(word, str) for word in target):
            raise UsageError(
                'a command is a string or a list of strings: "python server.py" or ["python", "server.py"]'
            )
        options = {"env": env, "cwd": cwd, "inherit_env": inherit_env, "close_timeout": close_timeout}
        return Command(target, **options, stderr_limit=limits.stderr_tail_bytes)
    if not hasattr(target, "connect_client"):
        kind = type(target).__name__
        raise UsageError(
            f'a client talks to a URL, a command ("python server.py", or a list) or a server object, not to {kind}'
        )
    if env is not None or cwd is not None:
        raise UsageError("env and cwd are for a command; a server object runs in this process")
    return InProcess(target)
