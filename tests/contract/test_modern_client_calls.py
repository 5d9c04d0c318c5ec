"""2026-07-28, basic/patterns/cancellation and progress, the client's side: giving up, limits of time, reports."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Client, Timeouts
from mcpcore.errors import CallTimeout
from mcpcore.testing import FakeClock
from tests.contract.wire import MODERN, REVISIONS, Wire, accept, serving

CAPABILITIES: dict[str, Any] = {"tools": {}}
TEXT = {"resultType": "complete", "content": [{"type": "text", "text": "hi"}]}


def sent_by_client(wire: Wire) -> list[str]:
    return [json.loads(line)["method"] for side, line in wire.lines if side == "client"]


# -- cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/cancellation/S01", "2026-07-28/cancellation/M03", "2026-07-28/cancellation/M04")
@pytest.mark.spec("2026-07-28/cancellation/S09", "2026-07-28/cancellation/Y02", "2026-07-28/cancellation/M07")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_call_that_is_given_up_is_cancelled_and_its_late_answer_ignored(revision: str) -> None:
    given_up = asyncio.Event()

    async def script(wire: Wire) -> None:
        await accept(wire, revision, CAPABILITIES)
        request = await wire.hear("tools/call")
        given_up.set()
        cancelled = await wire.hear("notifications/cancelled")
        assert cancelled["params"]["requestId"] == request["id"]
        assert type(cancelled["params"]["requestId"]) is type(request["id"])
        wire.reply(request, TEXT)  # the server may ignore a cancellation, or have been faster
        wire.reply(await wire.hear("tools/call"), TEXT)
        await wire.end()

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            call = asyncio.ensure_future(client.call_tool("slow"))
            await given_up.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await client.call_tool("next")).text == "hi"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/M05", "2026-07-28/schema/S02", "2026-07-28/cancellation/M07")
def test_only_requests_under_way_are_cancelled() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        first = await wire.hear("tools/call")
        wire.reply(first, TEXT)
        wire.reply(await wire.hear("tools/call"), TEXT)
        await wire.end()
        assert sent_by_client(wire) == ["server/discover", "tools/call", "tools/call"]

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            call = asyncio.ensure_future(client.call_tool("quick"))
            while not target.wires[0].lines or b"hi" not in target.wires[0].lines[-1][1]:
                await asyncio.sleep(0)
            for _ in range(5):  # the answer has come, if nobody has looked at it yet
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait({call})
            late = asyncio.ensure_future(client.call_tool("done"))
            await late
            late.cancel()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/S01", "2026-07-28/mrtr/M16")
def test_a_retry_that_is_given_up_is_cancelled_under_its_own_id() -> None:
    retried = asyncio.Event()

    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        asks = {"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list", "params": {}}}}
        wire.reply(await wire.hear("tools/call"), asks)
        retry = await wire.hear("tools/call")
        retried.set()
        assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == retry["id"]

    async def main() -> None:
        async with serving(script) as target, Client(target, roots=[]) as client:
            call = asyncio.ensure_future(client.call_tool("asks"))
            await retried.wait()
            call.cancel()
            await asyncio.wait({call})
            await asyncio.wait(target.tasks)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/cancellation/S12", "2026-07-28/cancellation/S13", "2026-07-28/cancellation/S14")
@pytest.mark.parametrize(
    "params",
    [
        {"requestId": "unknown"},
        {"requestId": 10**9},
        {"requestId": 1},
        {"requestId": None},
        {"requestId": [1]},
        {},
        None,
    ],
    ids=str,
)
def test_a_cancellation_of_the_server_that_makes_no_sense_is_ignored(params: dict[str, Any] | None) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        wire.judge = None
        wire.tell("notifications/cancelled", params)
        wire.tell(
            "notifications/cancelled", {"requestId": request["id"]}
        )  # no subscription: not the server's to cancel
        wire.reply(request, TEXT)
        await wire.end()
        assert sent_by_client(wire) == ["server/discover", "tools/call"]

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            assert (await client.call_tool("x")).text == "hi"

    asyncio.run(main())


# -- limits of time ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/cancellation/S02", "2026-07-28/cancellation/S03", "2026-07-28/cancellation/M03")
@pytest.mark.parametrize(
    ("made", "called", "seconds", "limit"),
    [
        ({}, {}, 60, "idle"),
        ({"timeout": 5}, {}, 5, "total"),
        ({"timeout": Timeouts(idle=3, total=50)}, {}, 3, "idle"),
        ({}, {"timeout": 2}, 2, "total"),
        ({"timeout": 5}, {"timeout": 7}, 7, "total"),
        ({"timeout": 5}, {"timeout": Timeouts(idle=None, total=9)}, 9, "total"),
    ],
)
def test_a_request_without_an_answer_is_cancelled_when_its_time_is_over(
    made: dict[str, Any], called: dict[str, Any], seconds: float, limit: str
) -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        while True:  # PATIENCE is ten seconds of this clock
            try:
                message = await wire.hear("notifications/cancelled")
                break
            except TimeoutError:
                continue
        assert message["params"]["requestId"] == request["id"]
        wire.reply(request, TEXT)  # too late
        wire.reply(await wire.hear("tools/call"), TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target, **made) as client:
            began = clock.time()
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("slow", **called)
            assert caught.value.limit == limit
            assert seconds <= clock.time() - began < seconds + 0.5
            assert (await client.call_tool("next")).text == "hi"

    clock = FakeClock()
    clock.run(main())


@pytest.mark.spec("2026-07-28/cancellation/Y01", "2026-07-28/cancellation/S05")
def test_progress_starts_the_idle_limit_anew_and_never_the_total_one() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        token = request["params"]["_meta"]["progressToken"]
        for step in range(1, 100):
            await asyncio.sleep(4)
            wire.tell("notifications/progress", {"progressToken": token, "progress": step})
            if wire._unread:
                break
        assert (await wire.hear("notifications/cancelled"))["params"]["requestId"] == request["id"]

    async def main() -> None:
        async with serving(script) as target, Client(target, timeout=Timeouts(idle=5, total=30)) as client:
            began = clock.time()
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("endless")
            assert caught.value.limit == "total"
            assert 30 <= clock.time() - began < 31

    clock = FakeClock()
    clock.run(main())


# -- progress ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/progress/Y01", "2026-07-28/progress/M01", "2026-07-28/patterns/Y01")
def test_progress_of_any_legal_form_reaches_its_call() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        calls = [await wire.hear("tools/call") for _ in range(2)]
        for call in calls:
            token = call["params"]["_meta"]["progressToken"]
            assert type(token) in (int, str)
            for report in (
                {"progress": 0},
                {"progress": 0.25, "total": 1.5},
                {"progress": 1e3, "message": "…", "x": []},
            ):
                wire.tell("notifications/progress", {"progressToken": token, **report})
        for call in calls:
            wire.reply(call, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            heard: list[list[tuple[Any, ...]]] = [[], []]

            async def call(number: int) -> None:
                def report(progress: Any) -> None:
                    heard[number].append((progress.progress, progress.total, progress.message))

                await client.call_tool("x", progress=report)

            await asyncio.gather(call(0), call(1))
            assert heard == [[(0, None, None), (0.25, 1.5, None), (1000, None, "…")]] * 2

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/progress/Y02")
def test_a_call_without_progress_succeeds() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        request = await wire.hear("tools/call")
        assert "progressToken" in request["params"]["_meta"]
        wire.reply(request, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            heard: list[Any] = []
            assert (await client.call_tool("x", progress=heard.append)).text == "hi"
            assert heard == []

    asyncio.run(main())


def test_progress_for_anything_but_a_call_under_way_is_dropped() -> None:
    async def script(wire: Wire) -> None:
        await accept(wire, MODERN, CAPABILITIES)
        first = await wire.hear("tools/call")
        wire.reply(first, TEXT)
        second = await wire.hear("tools/call")
        wire.judge = None
        done = first["params"]["_meta"]["progressToken"]
        now = second["params"]["_meta"]["progressToken"]
        tokens: list[Any] = [done, str(now), float(now) + 0.5, None, [], {}, "unknown"]
        for token in tokens:
            wire.tell("notifications/progress", {"progressToken": token, "progress": 1})
        for report in ({"progress": "1"}, {"progress": None}, {}):
            wire.tell("notifications/progress", {"progressToken": now, **report})
        wire.tell("notifications/progress", {"progressToken": now, "progress": 7})
        wire.reply(second, TEXT)

    async def main() -> None:
        async with serving(script) as target, Client(target) as client:
            heard: list[float] = []
            for _ in range(2):
                assert (await client.call_tool("x", progress=lambda p: heard.append(p.progress))).text == "hi"
            assert heard == [7]

    asyncio.run(main())
