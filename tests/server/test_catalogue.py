"""Lists that change while they are being written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Client, Server


def test_a_page_that_a_change_overtook_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("catalogue")

    @server.tool
    async def first() -> str:
        return ""

    async def second() -> str:
        return ""

    write = server.tools._write

    def overtaken(*arguments: Any) -> bytes:
        """As when a thread registers something while the loop writes the page."""
        body = write(*arguments)
        if len(server.tools) == 1:
            server.add_tool(second)
        return body

    monkeypatch.setattr(server.tools, "_write", overtaken)

    async def main() -> None:
        async with Client(server, cache=False) as client:
            await client.list_tools()
            assert [tool.name for tool in await client.list_tools()] == ["first", "second"]

    asyncio.run(main())
