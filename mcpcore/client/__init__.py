"""The client: ``Client``, its blocking twin ``SyncClient``, and what their methods take and give."""

from mcpcore.client.app import Client
from mcpcore.client.blocking import SyncClient
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
