"""What tests of servers and clients need, and a pytest plugin: importing this costs next to nothing.

pytest loads this file in every run of every project that has mcpcore installed, so nothing of the server, the client
or asyncio is imported before it is used.
"""

from __future__ import annotations

__all__ = ["REVISIONS"]

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""Every published revision, oldest first: ``@pytest.mark.parametrize("revision", mcpcore.testing.REVISIONS)``."""
