"""A client on a server object over one of the transports: in memory, or in a process of its own over real pipes.

What a client is and how it connects is the client's business; this only finds the target.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from mcpcore.client import Client, SyncClient

__all__ = ["connect", "connect_blocking"]


def connect(server: Any, transport: str = "memory", **options: Any) -> Client:
    """A ``Client`` for ``async with``, on a server object or any other target of a client.

    ``transport="memory"`` connects inside the event loop. ``transport="stdio"`` runs the server in its own process,
    which imports the module that holds it: there the server has to be a global variable. ``options`` are the client's.
    Raises ``UsageError`` for an unknown transport, and for a server that another process could not find.
    """
    from mcpcore.client import Client

    target, options = _target(server, transport, options)
    return Client(target, **options)


def connect_blocking(server: Any, transport: str = "memory", **options: Any) -> SyncClient:
    """The same for a plain ``with``, blocking."""
    from mcpcore.client import SyncClient

    target, options = _target(server, transport, options)
    return SyncClient(target, **options)


def _target(server: Any, transport: str, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if transport == "memory" or isinstance(server, (str, list, tuple)):
        return server, options
    if transport != "stdio":
        raise UsageError(f"the transport {transport!r} is not available; there are: memory, stdio")
    file, name = _home_of(server)
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    env = {"PYTHONPATH": path, **(options.get("env") or {})}
    command = [sys.executable, "-m", "mcpcore", "run", f"{file}:{name}"]
    return command, {**options, "env": env}


def _home_of(server: Any) -> tuple[Path, str]:
    """The file and the global variable where another process finds ``server``."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        for name, value in list(vars(module).items()) if file else ():
            if value is server and file is not None:
                return Path(file).resolve(), name
    raise UsageError(
        "transport='stdio' runs the server in another process, which has to find it: "
        "make it a global variable of a module, or give the command that starts it in place of the server"
    )
