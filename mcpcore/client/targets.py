"""What a client may be given to talk to, and how each of these becomes a channel: a command, a server object.

URLs belong to transports that do not exist yet; they are refused with the list of what there is.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from mcpcore.core.limits import Limits
    from mcpcore.transports.runner import Runner

__all__ = ["InheritEnv", "Target", "target_for"]

InheritEnv = Literal["safe", "all", "none"]

_URL = r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/"


class Target(Protocol):
    name: str
    restartable: bool
    """Whether connecting again makes a new server."""

    async def open(self, runner: Runner) -> Any:
        """A channel that drives ``runner``; ``connection_made`` has been called. Raises ``ConnectFailed``."""
        ...


class Command:
    """A server process of our own."""

    restartable = True

    def __init__(self, command: Sequence[str] | str, **options: Any) -> None:
        self.name = (command if isinstance(command, str) else " ".join(command)).split("\n")[0][:100]
        self._command = command
        self._options = options

    async def open(self, runner: Runner) -> Any:
        from mcpcore.transports.process import spawn

        return await spawn(runner, self._command, **self._options)


class InProcess:
    """A server object of this process; it serves in the client's loop."""

    restartable = False

    def __init__(self, server: Any) -> None:
        self.name = f"the server {getattr(server, 'name', '') or type(server).__name__} in this process"
        self._server = server

    async def open(self, runner: Runner) -> Any:
        channel = self._server.connect_client(runner)
        return await channel if inspect.isawaitable(channel) else channel


def target_for(
    target: Any,
    limits: Limits,
    *,
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
        if url is not None:
            text = f"{url['scheme']}: this transport is not available yet; a client talks to a command"
            raise UsageError(f'{text} ("python server.py" or ["python", "server.py"]) or to a server object')
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
            f'a client talks to a command ("python server.py", or a list) or to a server object, not to {kind}'
        )
    if env is not None or cwd is not None:
        raise UsageError("env and cwd are for a command; a server object runs in this process")
    return InProcess(target)
