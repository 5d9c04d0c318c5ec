"""The Model Context Protocol: servers and clients for every published revision, on plain asyncio.

    bytes ──► jsonrpc ──► core ──► eras            pure: no I/O, no clock
                            │
                       transports                  asyncio, pipes, processes
                        ╱        ╲
                    server      client             what people use

The names below load when they are first used (PEP 562), so a server never imports the client, nor the other way round.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mcpcore.client import Client as Client
    from mcpcore.client import ConnectTimeout as ConnectTimeout
    from mcpcore.client import PromptsChanged as PromptsChanged
    from mcpcore.client import ResourcesChanged as ResourcesChanged
    from mcpcore.client import ResourceUpdated as ResourceUpdated
    from mcpcore.client import Resync as Resync
    from mcpcore.client import Step as Step
    from mcpcore.client import SyncClient as SyncClient
    from mcpcore.client import Timeouts as Timeouts
    from mcpcore.client import ToolsChanged as ToolsChanged
    from mcpcore.client import TooManyRounds as TooManyRounds
    from mcpcore.core.limits import Limits as Limits
    from mcpcore.eras.probe import Verdict as Verdict
    from mcpcore.server.app import Server as Server
    from mcpcore.server.context import Context as Context
    from mcpcore.server.context import SyncContext as SyncContext
    from mcpcore.transports.http_routes import HttpRequest as HttpRequest
    from mcpcore.transports.http_routes import HttpResponse as HttpResponse

_CLIENT = (
    "Client",
    "ConnectTimeout",
    "PromptsChanged",
    "ResourceUpdated",
    "ResourcesChanged",
    "Resync",
    "Step",
    "SyncClient",
    "Timeouts",
    "TooManyRounds",
    "ToolsChanged",
)
_HOMES = {
    **dict.fromkeys(_CLIENT, "mcpcore.client"),
    "Limits": "mcpcore.core.limits",
    "Verdict": "mcpcore.eras.probe",
    "Server": "mcpcore.server.app",
    "Context": "mcpcore.server.context",
    "SyncContext": "mcpcore.server.context",
    "HttpRequest": "mcpcore.transports.http_routes",
    "HttpResponse": "mcpcore.transports.http_routes",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        for module in ("mcpcore.errors", "mcpcore.types"):
            source = import_module(module)
            if name in source.__all__:
                globals()[name] = found = getattr(source, name)
                return found
        raise AttributeError(f"module 'mcpcore' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from mcpcore import errors, types

    return sorted({*_HOMES, *errors.__all__, *types.__all__, "__version__"})
