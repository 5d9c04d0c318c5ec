"""The client: ``Client``, its blocking twin ``SyncClient``, and what their methods take and give.

``SyncClient`` loads when it is first used.
"""

from typing import TYPE_CHECKING, Any

from mcpcore.client.app import Client
from mcpcore.client.events import Events
from mcpcore.client.listen import (
    Event,
    PromptsChanged,
    ResourcesChanged,
    ResourceUpdated,
    Resync,
    ToolsChanged,
)
from mcpcore.client.rounds import Step, TooManyRounds
from mcpcore.client.timeouts import ConnectTimeout, Timeouts

if TYPE_CHECKING:
    from mcpcore.client.blocking import SyncClient

__all__ = [
    "Client",
    "ConnectTimeout",
    "Event",
    "Events",
    "PromptsChanged",
    "ResourceUpdated",
    "ResourcesChanged",
    "Resync",
    "Step",
    "SyncClient",
    "Timeouts",
    "TooManyRounds",
    "ToolsChanged",
]


def __getattr__(name: str) -> Any:
    if name == "SyncClient":
        from mcpcore.client.blocking import SyncClient

        return SyncClient
    raise AttributeError(f"module 'mcpcore.client' has no attribute {name!r}")
