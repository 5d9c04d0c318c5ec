"""How one call of a tool runs, where its limits end it or keep it out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import Client, Context, ElicitResult, RpcError, Server, Step, ToolResult


def test_a_call_that_finds_no_place_does_not_spend_its_state() -> None:
    server = Server("busy")
    release, running = asyncio.Event(), asyncio.Event()

    @server.tool(single_use=True, concurrency=1, queue=0)
    async def redeem(ctx: Context, wait: bool = False) -> str:
        if wait:
            running.set()
            await release.wait()
            return "waited"
        await ctx.elicit("Sure?", {"type": "object", "properties": {}})
        return "redeemed"

    async def sure(question: object) -> ElicitResult:
        return ElicitResult(action="accept", content={})

    async def main() -> None:
        async with Client(server, elicitation=sure) as client:
            step = await client.begin_call("redeem")
            assert isinstance(step, Step)
            holder = asyncio.ensure_future(client.call_tool("redeem", {"wait": True}))
            await running.wait()
            answers: dict[str, Any] = {key: {} for key in step.questions}
            with pytest.raises(RpcError, match="busy"):
                await client.resume(step, answers)
            release.set()
            await holder
            result = await client.resume(step, answers)
            assert isinstance(result, ToolResult) and result.text == "redeemed"

    asyncio.run(main())
