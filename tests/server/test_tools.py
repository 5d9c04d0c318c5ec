"""How one call of a tool runs, where its limits end it or keep it out."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from mcpcore import (
    Client,
    Context,
    Elicit,
    ElicitResult,
    InputRequired,
    RpcError,
    Server,
    Step,
    SyncContext,
    ToolResult,
)


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


@pytest.mark.parametrize("thread", ["loop", "worker"])
def test_every_round_held_by_hand_runs_where_the_first_one_did(thread: str) -> None:
    server = Server("rounds")
    places: list[tuple[bool, str]] = []

    def held(ctx: SyncContext) -> str | InputRequired:
        places.append((threading.current_thread() is threading.main_thread(), said.get()))
        if ctx.input_responses is None:
            return InputRequired({"sure": Elicit("Sure?", {"type": "object", "properties": {}})})
        return "done"

    server.add_tool(held, thread=thread)
    said: ContextVar[str] = ContextVar("said", default="lost")

    async def sure(question: object) -> ElicitResult:
        return ElicitResult(action="accept", content={})

    async def main() -> None:
        said.set("kept")
        async with Client(server, revisions="2025-11-25", elicitation=sure) as client:
            assert (await client.call_tool("held")).text == "done"

    asyncio.run(main())
    assert places == [(thread == "loop", "kept")] * 2
