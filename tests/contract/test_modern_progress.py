"""2026-07-28, basic/patterns/progress, the server's side."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from mcpcore import Context, Server, SyncContext
from tests.contract.wire import PATIENCE, REVISIONS, client_of

TOOL = "tools/call"


def make_server() -> Server:
    server = Server("contract")
    turn = asyncio.Event()

    @server.tool
    async def steps(ctx: Context, values: list[float], total: float | None = None, message: str | None = None) -> str:
        for value in values:
            await ctx.progress(value, total, message)
            await asyncio.sleep(0)
        return "done"

    @server.tool
    def threaded(values: list[float], ctx: SyncContext) -> str:
        for value in values:
            ctx.progress(value)
        return "done"

    @server.tool
    async def meet(mine: float, ctx: Context) -> str:
        """Two calls that report in turn."""
        for step in range(3):
            await ctx.progress(mine + step)
            turn.set()
            await asyncio.sleep(0)
        return "done"

    @server.tool
    async def flood(count: int, ctx: Context) -> str:
        for number in range(count):
            await ctx.progress(number)
        return "done"

    return server


def told(messages: list[Any]) -> list[dict[str, Any]]:
    assert all(message["method"] == "notifications/progress" for message in messages)
    return [message["params"] for message in messages]


@pytest.mark.spec("2026-07-28/progress/M01", "2026-07-28/progress/M04", "2026-07-28/patterns/Y01")
@pytest.mark.parametrize("token", ["abc", 1, 0, "", "0", -5, 2**53])
@pytest.mark.parametrize("revision", REVISIONS)
def test_progress_carries_the_token_with_its_type_and_value(token: Any, revision: str) -> None:
    async def main() -> None:
        async with client_of(make_server(), revision) as wire:
            id = wire.call(TOOL, {"name": "steps", "arguments": {"values": [1, 2]}}, progressToken=token)
            before, response = await wire.until(id)
            assert "result" in response
            assert told(before) == [{"progressToken": token, "progress": 1}, {"progressToken": token, "progress": 2}]
            assert all(type(params["progressToken"]) is type(token) for params in told(before))

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/M04")
@pytest.mark.parametrize("token", ["none at all", 1.5, True, None, [], {}], ids=str)
def test_no_progress_is_sent_without_a_usable_token(token: Any) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            meta = {} if token == "none at all" else {"progressToken": token}
            for name in ("steps", "threaded"):
                id = wire.call(TOOL, {"name": name, "arguments": {"values": [1, 2]}}, **meta)
                before, _ = await wire.until(id)
                assert before == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/M03", "2026-07-28/progress/Y01")
@pytest.mark.parametrize("name", ["steps", "threaded"])
def test_progress_only_rises_whatever_the_handler_reports(name: str) -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            values = [0, 0.5, 0.5, 0.25, -3, 0.75, 1, 1.0, 0, 7.125]
            id = wire.call(TOOL, {"name": name, "arguments": {"values": values}}, progressToken="p")
            before, _ = await wire.until(id)
            sent = [params["progress"] for params in told(before)]
            assert all(low < high for low, high in pairwise(sent))
            assert set(sent) <= {0, 0.5, 0.75, 1, 7.125} and sent[-1] == 7.125
            if name == "steps":
                assert sent == [0, 0.5, 0.75, 1, 7.125]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/Y01", "2026-07-28/progress/S01")
def test_total_and_message_travel_as_they_were_given() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            arguments = {"values": [0.1], "total": 0.3, "message": "Reticulating splines…"}
            id = wire.call(TOOL, {"name": "steps", "arguments": arguments}, progressToken=1)
            before, _ = await wire.until(id)
            expected = {"progressToken": 1, "progress": 0.1, "total": 0.3, "message": "Reticulating splines…"}
            assert told(before) == [expected]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/M03")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, True])
def test_what_is_no_finite_number_is_never_sent_as_progress(value: Any) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def report(ctx: Context) -> str:
            await ctx.progress(value)
            return "done"

        async with client_of(server) as wire:
            id = wire.call(TOOL, {"name": "report"}, progressToken=1)
            before, response = await wire.until(id)
            assert before == []
            assert response["result"]["isError"] is True

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/M05", "2026-07-28/progress/M06")
def test_no_progress_follows_the_answer() -> None:
    async def main() -> None:
        server = Server("contract")
        answered, tasks = asyncio.Event(), []

        @server.tool
        async def leaves(ctx: Context) -> str:
            async def later() -> None:
                await answered.wait()
                await ctx.progress(2)

            tasks.append(asyncio.ensure_future(later()))
            await ctx.progress(1)
            return "done"

        async with client_of(server) as wire:
            id = wire.call(TOOL, {"name": "leaves"}, progressToken="p")
            before, _ = await wire.until(id)
            assert [params["progress"] for params in told(before)] == [1]
            answered.set()
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
            assert await wire.fence() == []
            # nor does it reach another request that uses the token anew
            id = wire.call(TOOL, {"name": "leaves"}, progressToken="p")
            before, _ = await wire.until(id)
            assert [params["progress"] for params in told(before)] == [1]
            await asyncio.gather(*tasks)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/M04", "2026-07-28/progress/M03")
def test_the_progress_of_requests_side_by_side_is_not_mixed_up() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            for token in (1, "1"):
                arguments = {"mine": 10 if token == 1 else 20}
                wire.call(TOOL, {"name": "meet", "arguments": arguments}, id=f"call {token!r}", progressToken=token)
            heard = [await wire.hear() for _ in range(8)]
            sent: dict[Any, list[float]] = {1: [], "1": []}
            for message in heard:
                if "method" in message:
                    sent[message["params"]["progressToken"]].append(message["params"]["progress"])
            assert sent == {1: [10, 11, 12], "1": [20, 21, 22]}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/S03")
def test_a_flood_of_progress_is_thinned_to_the_latest() -> None:
    async def main() -> None:
        async with client_of(make_server()) as wire:
            id = wire.call(TOOL, {"name": "flood", "arguments": {"count": 10_000}}, progressToken="p")
            before, _ = await wire.until(id)
            assert len(before) < 100
            assert told(before)[-1]["progress"] == 9_999

    asyncio.run(main())
