"""How long the HTTP server waits: for a head, a body, the next request, a reader. The limits are tenths of a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from tests.transports.http_stage import Stage, call, echo, run, text_of
from tests.transports.http_wire import Raw, request, serving

SHORT = 0.1
LONG = 30.0


async def drip(raw: Raw, data: bytes, every: float) -> None:
    """Send it byte by byte until the server has enough."""
    try:
        for at in range(len(data)):
            raw.send(data[at : at + 1])
            await asyncio.sleep(every)
    except ConnectionError:
        pass


async def timed(awaitable: Awaitable[object]) -> float:
    begun = time.monotonic()
    await awaitable
    return time.monotonic() - begun


def test_a_head_that_comes_too_slowly_is_given_up_however_steadily_it_comes() -> None:
    async def main() -> None:
        async with serving(Stage(head_seconds=SHORT).server) as served, served.connect() as raw:
            dripping = asyncio.create_task(drip(raw, b"POST /mcp HTTP/1.1\r\nx: " + b"y" * 10_000, SHORT / 5))
            begun = time.monotonic()
            answer = await raw.answer()
            assert SHORT / 2 < time.monotonic() - begun < SHORT * 20  # the clock is as precise as its ticks
            assert (answer.status, answer.fields["connection"]) == (408, "close")
            assert "head" in answer.error["message"]
            assert await raw.closed() == b""
            dripping.cancel()

    run(main())


def test_a_head_may_take_its_time_within_the_limit() -> None:
    async def main() -> None:
        stage = Stage(head_seconds=LONG, keep_alive_seconds=SHORT, body_seconds=SHORT)
        async with serving(stage.server) as served, served.connect() as raw:
            data = echo(served, "slow")
            raw.send(data[:40])
            await asyncio.sleep(SHORT * 3)
            raw.send(data[40:])
            assert text_of(await raw.answer()) == "slow"

    run(main())


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def main() -> None:
        async with serving(Stage(body_seconds=SHORT, head_seconds=LONG).server) as served:
            for data in (echo(served, "x")[:-1], request(transfer_encoding="chunked") + b"5\r\nab"):
                async with served.connect() as raw:
                    raw.send(data)
                    answer = await raw.answer()
                    assert (answer.status, answer.fields["connection"]) == (408, "close")
                    assert "body" in answer.error["message"]
                    assert await raw.closed() == b""
            assert served.http.site.buffering == 0

    run(main())


def test_a_byte_now_and_then_does_not_keep_a_body_alive() -> None:
    async def main() -> None:
        async with serving(Stage(body_seconds=SHORT).server) as served, served.connect() as raw:
            raw.send(echo(served, "x").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            dripping = asyncio.create_task(drip(raw, b"x" * 1000, SHORT / 5))
            begun = time.monotonic()
            assert (await raw.answer()).status == 408
            assert time.monotonic() - begun < SHORT * 20
            dripping.cancel()

    run(main())


def test_a_large_body_that_gets_on_may_take_longer() -> None:
    async def main() -> None:
        async with serving(Stage(body_seconds=SHORT * 3).server) as served, served.connect() as raw:
            data = echo(served, "x" * 200_000)
            begun = time.monotonic()
            for at in range(0, len(data), 20_000):
                raw.send(data[at : at + 20_000])
                await asyncio.sleep(SHORT)
            assert len(text_of(await raw.answer())) == 200_000
            assert time.monotonic() - begun > SHORT * 6

    run(main())


def test_an_idle_connection_is_closed_without_a_word() -> None:
    async def main() -> None:
        stage = Stage(keep_alive_seconds=SHORT)
        async with serving(stage.server) as served, served.connect() as fresh, served.connect() as used:
            used.send(echo(served, "x"))
            assert text_of(await used.answer()) == "x"
            assert await fresh.closed() == b""
            assert await used.closed() == b""

    run(main())


def test_a_connection_on_which_a_request_is_served_is_not_idle() -> None:
    async def main() -> None:
        stage = Stage(keep_alive_seconds=SHORT, head_seconds=SHORT, body_seconds=SHORT)
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(call(served, "wait", {"name": "long"}) + b"POST /m")  # and half a head waits behind it
            await asyncio.sleep(SHORT * 5)
            stage.open("long")
            assert text_of(await raw.answer()) == "long"

    run(main())


def test_a_refused_client_that_sends_on_for_ever_is_cut_off() -> None:
    async def main() -> None:
        async with serving(Stage(keep_alive_seconds=SHORT).server) as served, served.connect() as raw:
            raw.send(request(body=b"x" * 1000, content_type="text/plain"))
            assert (await raw.answer()).status == 415
            dripping = asyncio.create_task(drip(raw, b"x" * 100_000, 0.01))
            assert await timed(raw.closed()) < 5
            dripping.cancel()
            async with asyncio.timeout(5):
                while served.http.connections:
                    await asyncio.sleep(0.01)

    run(main())


def test_a_client_that_takes_nothing_of_a_whole_answer_is_cut_off() -> None:
    async def main() -> None:
        stage = Stage(stalled_seconds=SHORT * 2, keep_alive_seconds=SHORT)
        async with serving(stage.server) as served, served.connect() as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw.send(echo(served, "x" * 8_000_000))
            async with asyncio.timeout(5):
                while not served.http.connections or next(iter(served.http.connections)).unsent == 0:
                    await asyncio.sleep(0)
                while served.http.connections:
                    await asyncio.sleep(0.01)

    run(main())


def test_a_client_that_takes_a_whole_answer_slowly_gets_all_of_it() -> None:
    async def main() -> None:
        stage = Stage(stalled_seconds=SHORT * 3, keep_alive_seconds=SHORT)
        async with serving(stage.server) as served, served.connect() as raw:
            raw.send(echo(served, "x" * 8_000_000))
            head = await raw.head()
            left = int(head.fields["content-length"])
            begun = time.monotonic()
            while left:
                got = await raw.reader.read(min(left, 500_000))
                assert got
                left -= len(got)
                await asyncio.sleep(SHORT / 3)
            assert time.monotonic() - begun > SHORT * 3

    run(main())
