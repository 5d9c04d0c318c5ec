"""What middleware may return, and what happens where it returns something else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Client, Limits, RpcError, Server


def server_inside(answer: Any) -> Server:
    server = Server("middleware")

    @server.tool
    async def echo(text: str) -> str:
        return text

    @server.middleware
    async def around(message: Any, call_next: Any) -> Any:
        result = await call_next(message)
        return answer if message.method == "tools/call" else result

    return server


@pytest.mark.parametrize("answer", [None, "text", []])
def test_middleware_that_returns_no_result_is_answered_as_an_internal_error_and_told(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Client(server_inside(answer), timeout=5) as client:
            with pytest.raises(RpcError, match="internal error"):
                await client.call_tool("echo", {"text": "t"})

    asyncio.run(main())
    assert "return what call_next gave" in caplog.text


def test_a_stream_stays_open_inside_middleware() -> None:
    server = server_inside({})

    async def main() -> None:
        async with Client(server) as client, client.listen(tools=True) as events:
            server.notify_tools_changed()
            async for _ in events:
                return

    asyncio.run(main())


def test_a_stream_that_middleware_fails_gives_its_place_back() -> None:
    server = Server("middleware", limits=Limits(max_listen_streams=1), declare=["tools"])
    attempts: list[int] = []

    @server.middleware
    async def fails_once(message: Any, call_next: Any) -> Any:
        result = await call_next(message)
        if message.method == "subscriptions/listen":
            attempts.append(len(attempts))
            if len(attempts) == 1:
                raise RpcError(-32603, "not yet")
        return result

    async def main() -> None:
        listen = {"notifications": {"toolsListChanged": True}}
        async with Client(server) as client:
            with pytest.raises(RpcError, match="not yet"):
                await client.request("subscriptions/listen", listen)
            async with client.listen(tools=True) as events:
                server.notify_tools_changed()
                async for _ in events:
                    return

    asyncio.run(main())
