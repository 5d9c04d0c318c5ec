"""One connection with events: in order, one write a turn, alive where it is quiet, and cut where its reader is slow."""

from __future__ import annotations

import asyncio

from mcpcore.core.limits import Limits
from mcpcore.http.event_writer import Clock, EventWriter
from mcpcore.http.resume import EventBudget, EventLog, Over
from tests.http.scripted import FakeSink


class Writer:
    """A writer with its sink and its clock; ``gone`` counts how often it said that it is."""

    def __init__(self, **limits: float) -> None:
        self.sink = FakeSink()
        self.clock = Clock(100.0)
        self.gone = 0
        self.writer = EventWriter(self.sink, (("x-more", "1"),), Limits(**limits), self.clock, self._gone)  # type: ignore[arg-type]

    def _gone(self, writer: EventWriter) -> None:
        assert writer is self.writer
        assert writer.sink is None
        self.gone += 1

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.writer.tick()


def test_the_head_says_what_proxies_have_to_know() -> None:
    assert Writer().sink.fields == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-more": "1",
    }


def test_what_is_said_in_one_turn_is_one_write() -> None:
    one = Writer()
    one.writer.send(b"1")
    one.writer.send(b"2")
    assert one.sink.written == []
    one.sink.turn()
    assert one.sink.written == [b"data: 1\n\ndata: 2\n\n"]
    one.writer.send(b"3")
    one.sink.turn()
    assert one.sink.written[1:] == [b"data: 3\n\n"]


def test_a_message_takes_the_place_of_an_unsent_one_with_its_key_behind_what_was_said_since() -> None:
    one = Writer()
    for data, key in ((b"old", "p"), (b"other", None), (b"new", "p")):
        one.writer.send(data, key)
    one.sink.turn()
    assert one.sink.bytes == b"data: other\n\ndata: new\n\n"
    one.writer.send(b"later", "p")
    one.sink.turn()
    assert one.sink.bytes.endswith(b"data: later\n\n")


def test_what_gives_way_to_something_later_does_not_count_as_much() -> None:
    one = Writer()
    for number in range(1000):
        one.writer.send(b"%d " % number + b"x" * 1000, "p")
    assert one.sink.written == []
    one.sink.turn()
    assert len(one.sink.events) == 1


def test_much_at_once_does_not_wait_for_the_turn() -> None:
    one = Writer()
    for _ in range(100):
        one.writer.send(b"x" * 10_000)
    assert len(one.sink.bytes) > 900_000
    one.sink.turn()
    assert one.sink.bytes == b"data: %b\n\n" % (b"x" * 10_000) * 100


def test_the_end_comes_behind_everything_that_was_said() -> None:
    one = Writer()
    one.writer.send(b"last")
    one.writer.finish()
    assert (one.sink.bytes, one.sink.ended, one.gone) == (b"data: last\n\n", True, 1)
    one.writer.send(b"too late")
    one.writer.finish()
    one.writer.lost()
    one.writer.tick()
    one.sink.turn()
    assert (one.sink.bytes, one.gone) == (b"data: last\n\n", 1)


def test_a_lost_connection_is_not_written_to() -> None:
    one = Writer()
    one.writer.send(b"unsent")
    one.writer.lost()
    one.sink.turn()
    one.after(1000)
    assert (one.sink.written, one.sink.ended, one.gone) == ([], False, 1)
    assert not one.writer.congested


def test_a_quiet_stream_gets_a_comment_and_one_with_events_none() -> None:
    one = Writer(comment_seconds=15)
    one.after(14)
    assert one.sink.bytes == b""
    one.after(1)
    assert one.sink.bytes == b":\n\n"
    one.after(10)
    one.writer.send(b"event")
    one.sink.turn()
    one.after(14)
    assert one.sink.bytes == b":\n\ndata: event\n\n"
    one.after(1)
    assert one.sink.bytes == b":\n\ndata: event\n\n:\n\n"


def test_a_reader_that_leaves_too_much_is_cut_off() -> None:
    one = Writer(stream_bytes=1000)
    one.sink.takes = False
    for _ in range(3):
        one.writer.send(b"x" * 400)
        one.sink.turn()
    assert not one.sink.broken
    one.writer.send(b"x" * 400)
    one.sink.turn()
    assert (one.sink.broken, one.sink.ended, one.gone) == (True, False, 1)


def test_one_large_event_is_no_fault_of_its_reader() -> None:
    one = Writer(stream_bytes=1000)
    one.sink.takes = False
    one.writer.send(b"x" * 10_000)
    one.sink.turn()
    assert not one.sink.broken
    one.sink.unsent = 0
    one.writer.send(b"next")
    one.sink.turn()
    assert one.sink.bytes.endswith(b"data: next\n\n")


def test_a_reader_that_takes_nothing_for_long_is_cut_off_although_comments_are_written() -> None:
    one = Writer(stalled_seconds=30, comment_seconds=10)
    one.sink.takes = False
    one.writer.send(b"x" * 100)
    one.sink.turn()
    for _ in range(29):
        one.after(1)
        assert not one.sink.broken
    one.after(1)
    one.after(1)
    assert (one.sink.broken, one.gone) == (True, 1)


def test_a_reader_that_takes_a_little_now_and_then_is_not_cut_off() -> None:
    one = Writer(stalled_seconds=30, comment_seconds=10)
    one.sink.takes = False
    one.writer.send(b"x" * 1000)
    one.sink.turn()
    for _ in range(10):
        one.after(20)
        one.sink.unsent -= 50
    assert not one.sink.broken


def test_a_reader_that_took_everything_may_be_quiet() -> None:
    one = Writer(stalled_seconds=30, comment_seconds=1000)
    one.sink.takes = False
    one.writer.send(b"x" * 100)
    one.sink.turn()
    one.after(29)
    one.sink.unsent = 0
    one.after(1)
    one.after(500)
    assert not one.sink.broken


def test_who_says_much_waits_a_turn_and_who_has_a_slow_reader_until_it_has_read() -> None:
    one = Writer(turn_messages=4, stream_bytes=1000)
    for number in range(4):
        asyncio.run(one.writer.drained())
        assert one.sink.waits == 0, number
        one.writer.send(b"x")
    asyncio.run(one.writer.drained())
    assert one.sink.waits == 1
    one.sink.turn()
    asyncio.run(one.writer.drained())
    assert (one.sink.waits, one.writer.congested) == (1, False)
    one.sink.unsent = 501
    assert one.writer.congested
    asyncio.run(one.writer.drained())
    assert one.sink.waits == 2
    one.writer.lost()
    asyncio.run(one.writer.drained())
    assert one.sink.waits == 2


def test_why_a_log_has_no_more_for_it_decides_how_it_ends() -> None:
    reasons: tuple[Over, ...] = ("finished", "replaced", "closed")
    for why in reasons:
        one = Writer()
        assert one.writer.event("1-2-3", b"{}")
        one.writer.over(why)
        assert (one.sink.bytes, one.sink.ended, one.sink.broken) == (b"id: 1-2-3\ndata: {}\n\n", True, False)
    one = Writer()
    one.writer.over("lost")
    assert (one.sink.ended, one.sink.broken, one.gone) == (False, True, 1)


def test_a_reader_that_has_missed_much_gets_it_as_fast_as_it_takes_it() -> None:
    one = Writer(stream_bytes=4096)
    stream = EventLog(Limits(), EventBudget(1 << 20), "session").open_stream()
    for number in range(10):
        stream.append(b'{"n":%d,"text":"%s"}' % (number, b"x" * 1024))
    one.sink.takes = False
    one.writer.log = stream
    stream.attach(one.writer)
    rounds = 0
    while one.sink.unsent and rounds < 20:
        assert not one.sink.broken, "it was cut off"
        assert one.sink.unsent < 4096
        one.sink.drain()
        rounds += 1
        one.sink.turn()
    assert 3 <= rounds < 10
    assert [message["n"] for message in one.sink.messages] == list(range(10))
