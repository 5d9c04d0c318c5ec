"""What many requests over HTTP leave behind: abandoned sessions no more than their cap, refusals and calls nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import Raw, Served, Talk, envelope, request, serving

MEGABYTE = 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n")


def resident() -> int:
    """Bytes of resident memory; 0 where the platform does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def settled() -> int:
    gc.collect()
    return resident()


def initialize(number: int) -> bytes:
    info = {"name": f"client {number}", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
    return request(body=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode())


async def pipelined(raw: Raw, requests: Iterable[bytes], statuses: set[bytes], at_once: int = 50) -> None:
    """Send them, so many at once, and see that each gets one of these statuses. What else stands in the answers is
    passed over: others look at it, and this has to be fast."""
    received = b""

    async def read(count: int) -> None:
        nonlocal received
        while count:
            end = received.find(b"\r\n\r\n") + 4
            if end >= 4:
                head = received[:end]
                if b"\r\ntransfer-encoding: chunked\r\n" in head:
                    last = received.find(b"\r\n0\r\n\r\n", end)
                    end = last + 7 if last >= 0 else len(received) + 1
                elif (length := _LENGTH.search(head)) is not None:
                    end += int(length[1])
                if end <= len(received):
                    assert head[9:12] in statuses, head
                    received = received[end:]
                    count -= 1
                    continue
            received += await raw.reader.read(1 << 20)

    waiting = 0
    for data in requests:
        raw.send(data)
        waiting += 1
        if waiting == at_once:
            await read(waiting)
            waiting = 0
    await read(waiting)


def test_ten_thousand_abandoned_sessions_stay_within_their_cap_and_their_memory() -> None:
    async def main() -> None:
        stage = Stage(max_sessions=1000)
        async with serving(stage.server) as served, served.connect() as raw:
            await pipelined(raw, map(initialize, range(2000)), {b"200"})
            before = settled()
            tasks = len(asyncio.all_tasks())
            await pipelined(raw, map(initialize, range(10_000)), {b"200"})
            assert len(served.endpoint.sessions) == 1000
            assert len(stage.server._runners) == 1000
            assert len(asyncio.all_tasks()) == tasks
            assert settled() - before < 20 * MEGABYTE

    run(main())


def test_a_session_that_does_nothing_costs_a_few_kilobytes() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.connect() as raw:
            await pipelined(raw, map(initialize, range(200)), {b"200"})
            before = settled()
            await pipelined(raw, map(initialize, range(2000)), {b"200"})
            assert len(served.endpoint.sessions) == 2200
            assert (settled() - before) / 2000 < 12 * 1024

    run(main())


def test_when_abandoned_sessions_are_over_nothing_is_left_of_them() -> None:
    async def main() -> None:
        stage = Stage(session_seconds=0.3)
        async with serving(stage.server) as served, served.connect() as raw:
            await pipelined(raw, map(initialize, range(500)), {b"200"})
            async with asyncio.timeout(10):
                while len(served.endpoint.sessions):
                    await asyncio.sleep(0.02)
            assert not stage.server._runners
            assert served.endpoint.sessions.events.used == 0

    run(main())


def refusals(served: Served) -> list[bytes]:
    """One of each kind."""
    talk = Talk(served, "2026-07-28", {})
    good: dict[str, Any] = talk.message("tools/call", {"name": "echo", "arguments": {"text": "x"}})
    legacy = Talk(served, "2025-11-25", {})
    ping = legacy.message("ping")
    kinds = [
        talk.bytes_of(good, mcp_name="other"),
        talk.bytes_of(good, mcp_method=None),
        talk.bytes_of(talk.message("no/such")),
        talk.bytes_of({**good, "params": {"_meta": {}}}),
        talk.bytes_of({"jsonrpc": "2.0", "id": 1, "result": {}}),
        talk.bytes_of(talk.message("subscriptions/listen", {"notifications": 5})),
        talk.bytes_of(talk.message("tools/list", {"_meta": envelope(protocolVersion="1")}), mcp_protocol_version="1"),
        request(body=b"{"),
        request(body=b"[]"),
        legacy.bytes_of(ping),
        legacy.bytes_of(ping, mcp_session_id="unknown"),
        legacy.bytes_of(ping, mcp_protocol_version="1"),
        legacy.bytes_of(legacy.message("initialize", {"protocolVersion": 5})),
        request("GET"),
        request("GET", mcp_session_id="unknown", last_event_id="x-1-1"),
        request("DELETE", mcp_session_id="unknown"),
        request("POST", "/messages?session_id=unknown", b"{}"),
        request("GET", "/nothing"),
        request("PUT"),
        request("GET", host="evil.example"),
    ]
    return [*kinds, *(data for data in kinds if b"content-length" not in data)]


def test_three_hundred_refused_requests_leave_nothing_behind() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as raw:
            some = refusals(served)

            async def refuse(count: int) -> None:
                await pipelined(
                    raw, (some[number % len(some)] for number in range(count)), {b"200", b"400", b"404", b"405", b"421"}
                )

            await refuse(300)
            gc.collect()
            tasks, objects, runners = len(asyncio.all_tasks()), len(gc.get_objects()), len(stage.server._runners)
            await refuse(300)
            gc.collect()
            assert len(asyncio.all_tasks()) == tasks
            assert len(stage.server._runners) == runners == 1  # the modern one of this connection
            assert len(gc.get_objects()) - objects < 50
            assert (len(served.endpoint.sessions), served.endpoint.open, served.endpoint._streams) == (0, {}, {})
            for data in some:  # each on a connection of its own, which may be closed in its middle
                async with served.connect() as other:
                    other.send(data[: len(data) - 1])
                async with served.connect() as other:
                    other.send(data)
                    await other.head()
            async with asyncio.timeout(5):
                while len(served.http.connections) > 1:
                    await asyncio.sleep(0)
            gc.collect()
            assert len(stage.server._runners) == 1
            assert (len(served.endpoint.sessions), served.endpoint.open, served.endpoint._streams) == (0, {}, {})

    run(main())


CALLS = 100_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_a_hundred_thousand_calls_without_a_session_leave_memory_flat(revision: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server, sessions=False) as served:
            talk = Talk(served, revision, {"mcp_protocol_version": revision})
            params = {"name": "echo", "arguments": {"text": "x" * 100}}
            echo = talk.bytes_of(talk.message("tools/call", params))
            count = talk.bytes_of(talk.message("tools/call", {"name": "count", "arguments": {"n": 1}}))
            raws = [await served.open() for _ in range(64)]

            async def calls(total: int) -> None:
                async def share(raw: Raw) -> None:
                    requests = (count if number % 50 == 0 else echo for number in range(total // len(raws)))
                    await pipelined(raw, requests, {b"200"})

                await asyncio.gather(*map(share, raws))

            await calls(CALLS // 4)
            first = settled()
            objects = len(gc.get_objects())
            await calls(CALLS // 4)
            middle = settled()
            await calls(CALLS // 2)
            last = settled()
            assert last - middle < 5 * MEGABYTE, (first, middle, last)
            assert len(gc.get_objects()) - objects < 200
            assert len(stage.server._runners) == (len(raws) if revision == "2026-07-28" else 0)
            assert served.endpoint.open == {}
            for raw in raws:
                await raw.close()

    run(main())
