"""Two channels in one loop: order, pauses, and how each end hears of the other's."""

from __future__ import annotations

import asyncio
from typing import Any

from mcpcore.transports.memory import MemoryChannel, connect_in_memory


class End(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.channel: Any = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.channel = transport

    def data_received(self, data: bytes) -> None:
        self.events.append(data)

    def eof_received(self) -> bool:
        self.events.append("end")
        return True

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost.set()


def pair() -> tuple[End, MemoryChannel, End, MemoryChannel]:
    one, two = End(), End()
    first, second = connect_in_memory(one, two)
    return one, first, two, second


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_one_side_writes_the_other_receives_in_a_later_turn_and_in_order() -> None:
    async def main() -> None:
        _, first, two, _ = pair()
        first.write(b"a")
        first.writelines([b"b", b"c"])
        assert two.events == []
        await turns()
        assert two.events == [b"a", b"bc"]

    asyncio.run(main())


def test_a_side_that_pauses_receives_nothing_and_the_writer_is_paused_above_its_limit() -> None:
    async def main() -> None:
        one, first, two, second = pair()
        first.set_write_buffer_limits(high=10)
        second.pause_reading()
        first.write(b"x" * 10)
        assert one.events == []
        first.write(b"y")
        await turns()
        assert (one.events, two.events, first.get_write_buffer_size()) == (["pause"], [], 11)
        second.resume_reading()
        await turns()
        assert (one.events, two.events, first.get_write_buffer_size()) == (["pause", "resume"], [b"x" * 10, b"y"], 0)

    asyncio.run(main())


def test_closing_lets_the_other_side_read_what_was_written_before() -> None:
    async def main() -> None:
        one, first, two, second = pair()
        first.write(b"last words")
        first.close()
        first.close()
        first.write(b"too late")
        await asyncio.wait_for(two.lost.wait(), 5)
        assert two.events == [b"last words", "end", "lost"] and one.events == ["lost"]
        assert second.is_closing()
        second.write(b"to nobody")

    asyncio.run(main())


def test_each_side_is_lost_once_where_both_close_at_once() -> None:
    async def main() -> None:
        one, first, two, second = pair()
        first.close()
        second.abort()
        await turns()
        assert one.events.count("lost") == two.events.count("lost") == 1

    asyncio.run(main())


def test_a_side_that_neither_reads_nor_is_read_is_lost_when_the_other_closes() -> None:
    """A server that waits for its client to read has paused its own reading, so it hears no end of input."""

    async def main() -> None:
        one, first, two, second = pair()
        first.set_write_buffer_limits(high=10)
        second.pause_reading()
        first.pause_reading()
        first.write(b"x" * 20)
        second.close()
        await asyncio.wait_for(two.lost.wait(), 5)
        await turns()
        assert one.events == ["pause", "resume"]
        first.resume_reading()  # as a runner does then
        await asyncio.wait_for(one.lost.wait(), 5)

    asyncio.run(main())
