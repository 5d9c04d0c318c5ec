"""The pytest fixtures. pytest gets them from ``mcpcore.testing`` when it configures itself.

No plugin for asyncio is needed, and any may be there::

    def test_addition(mcp_client):
        with mcp_client(server) as client:
            assert client.call_tool("add", {"a": 1, "b": 2}).text == "3"

    def test_in_both_eras_on_every_transport(mcp_client, mcp_era, mcp_transport):
        async def main():
            async with mcp_client(server, transport=mcp_transport, revisions=mcp_era) as client:
                assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"

        asyncio.run(main())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcpcore.testing import ERAS, REVISIONS, TRANSPORTS

if TYPE_CHECKING:
    from mcpcore.client import Client, SyncClient

__all__ = ["Connecting", "mcp_client", "mcp_era", "mcp_revision", "mcp_transport"]


class Connecting:
    """A connection that is not open yet: ``with`` gives a ``SyncClient``, ``async with`` a ``Client``."""

    def __init__(self, server: Any, transport: str, options: dict[str, Any]) -> None:
        self._what = (server, transport)
        self._options = options
        self._blocking: SyncClient | None = None
        self._client: Client | None = None

    def __enter__(self) -> SyncClient:
        from mcpcore.testing.serving import connect_blocking

        self._blocking = connect_blocking(*self._what, **self._options)
        return self._blocking.__enter__()

    def __exit__(self, *error: Any) -> None:
        assert self._blocking is not None
        self._blocking.__exit__(*error)

    async def __aenter__(self) -> Client:
        from mcpcore.testing.serving import connect

        self._client = connect(*self._what, **self._options)
        return await self._client.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        assert self._client is not None
        await self._client.__aexit__(*error)


@pytest.fixture(scope="session")
def mcp_client() -> Any:
    """``mcp_client(server, transport="memory", **client_options)``, for ``with`` or ``async with``."""

    def connecting(server: Any, transport: str = "memory", **options: Any) -> Connecting:
        return Connecting(server, transport, options)

    return connecting


@pytest.fixture(params=REVISIONS)
def mcp_revision(request: pytest.FixtureRequest) -> str:
    """Runs the test once for each published revision: its name."""
    return str(request.param)


@pytest.fixture(params=list(ERAS.values()), ids=list(ERAS))
def mcp_era(request: pytest.FixtureRequest) -> str:
    """Runs the test once for each era: the name of the era's newest revision."""
    return str(request.param)


@pytest.fixture(params=TRANSPORTS)
def mcp_transport(request: pytest.FixtureRequest) -> str:
    """Runs the test once for each transport: its name."""
    return str(request.param)
