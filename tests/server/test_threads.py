"""Worker threads: how many there are, and that no work waits for a thread that could have one of its own."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import Any

from mcpcore.server.threads import Workers


class OvertakenQueue(SimpleQueue[Any]):
    """Hands out the first item, and lets more work come before the thread that took it has noticed."""

    more: Any = None

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        if self.more is not None:
            more, self.more = self.more, None
            more()
        return item


def test_work_that_comes_while_a_thread_takes_other_work_gets_a_thread_of_its_own() -> None:
    async def main() -> None:
        workers = Workers(2)
        queue = workers._queue = OvertakenQueue()
        loop = asyncio.get_running_loop()
        second_ran = threading.Event()
        second: asyncio.Future[Any] = loop.create_future()

        def more() -> None:
            queue.put((second, second_ran.set))
            workers._ensure_thread()

        queue.more = more
        assert await workers.run(lambda: second_ran.wait(5)), "the second piece of work waited for the first"
        await second

    asyncio.run(main())


def test_no_more_threads_than_the_limit_work_at_once() -> None:
    async def main() -> None:
        workers = Workers(3)
        busy, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal busy, most
            with lock:
                busy += 1
                most = max(most, busy)
            full.wait(0.01)
            with lock:
                busy -= 1

        full = threading.Event()
        await asyncio.gather(*(workers.run(work) for _ in range(12)))
        assert most <= 3

    asyncio.run(main())


def test_a_thread_that_waits_for_an_answer_gives_its_place_away() -> None:
    async def main() -> None:
        workers = Workers(1, waiting=1)
        answered = threading.Event()

        def ask() -> bool:
            with workers.waiting():
                return answered.wait(5)

        asking = asyncio.ensure_future(workers.run(ask))
        await asyncio.wait_for(workers.run(answered.set), 5)
        assert await asking

    asyncio.run(main())


def test_work_that_was_cancelled_while_it_queued_is_not_done() -> None:
    async def main() -> None:
        workers = Workers(1)
        release, done = threading.Event(), []
        first = asyncio.ensure_future(workers.run(lambda: release.wait(5)))
        second = asyncio.ensure_future(workers.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait({second})
        release.set()
        await first
        await workers.run(lambda: done.append("third"))
        assert done == ["third"]

    asyncio.run(main())
