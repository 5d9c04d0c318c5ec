"""What tests of servers and clients need, and a pytest plugin: importing this costs next to nothing.

pytest loads this file in every run of every project that has mcpcore installed. So the names below are imported when
they are first used, and the fixtures (``mcp_client``, ``mcp_revision``, ``mcp_era``, ``mcp_transport``; see
``fixtures.py``) when pytest configures itself.

``connect(server)`` is a client on a server object, without port or process. ``ScriptedPeer`` says and expects messages
in the place of a server or of a client. ``FakeClock`` runs a coroutine on a clock that jumps, so tests of timeouts do
not wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcpcore.testing.clock import FakeClock as FakeClock
    from mcpcore.testing.clock import Stalled as Stalled
    from mcpcore.testing.scripted import ScriptedPeer as ScriptedPeer
    from mcpcore.testing.serving import connect as connect
    from mcpcore.testing.serving import connect_blocking as connect_blocking

__all__ = ["ERAS", "REVISIONS", "TRANSPORTS", "FakeClock", "ScriptedPeer", "Stalled", "connect", "connect_blocking"]

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""Every published revision, oldest first: ``@pytest.mark.parametrize("revision", mcpcore.testing.REVISIONS)``."""

ERAS: Final = {"legacy": "2025-11-25", "modern": "2026-07-28"}
"""The newest revision of each era: ``@pytest.mark.parametrize("revision", mcpcore.testing.ERAS.values())``."""

TRANSPORTS: Final = ("memory", "stdio")
"""What ``connect(server, transport=...)`` takes."""

_HOMES = {
    "FakeClock": "mcpcore.testing.clock",
    "ScriptedPeer": "mcpcore.testing.scripted",
    "Stalled": "mcpcore.testing.clock",
    "connect": "mcpcore.testing.serving",
    "connect_blocking": "mcpcore.testing.serving",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)


def pytest_configure(config: Any) -> None:
    """pytest calls this; it brings the fixtures."""
    from mcpcore.testing import fixtures

    config.pluginmanager.register(fixtures, "mcpcore-fixtures")
