"""Channels over pipes, sockets, files and terminals, inside this process. Real servers are in `test_stdio.py`."""

from __future__ import annotations

import asyncio
import gc
import os
import pty
import socket
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mcpcore.transports.pipes import Watermarks
from mcpcore.transports.stdio import StdioChannel, open_stdio
from tests.transports.recording import WAIT, Recorder

MEGABYTE = b"m" * 1_000_000


class Ends:
    """The far ends of a channel under test: what a client holds."""

    def __init__(self) -> None:
        self.channel_reads, self.feed = os.pipe()
        self.drain, self.channel_writes = os.pipe()

    async def open(self, protocol: Recorder) -> StdioChannel:
        return await open_stdio(protocol, stdin_fd=self.channel_reads, stdout_fd=self.channel_writes)

    async def read(self, size: int) -> bytes:
        """Read so many bytes, or all there are until the end, without stopping the loop."""
        return await asyncio.wait_for(asyncio.to_thread(_read, self.drain, size), WAIT)

    def close(self, *names: str) -> None:
        for name in names or ("feed", "drain"):
            with suppress(OSError):
                os.close(getattr(self, name))
            setattr(self, name, -1)


def _read(fd: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := os.read(fd, min(size, 65536))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 2 * WAIT))


def test_bytes_pass_both_ways_and_close_ends_the_connection_once(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        os.write(ends.feed, b"ping\n")
        await protocol.until(lambda: protocol.data == b"ping\n")
        channel.write(b"pong\n")
        assert await ends.read(5) == b"pong\n"
        channel.close()
        channel.close()
        assert channel.is_closing()
        await protocol.told("lost")
        channel.abort()
        await asyncio.sleep(0)
        assert protocol.calls == ["made", "lost"]
        assert protocol.error is None
        assert await ends.read(1) == b""

    run(story)


def test_the_end_of_the_input_leaves_the_way_out_open(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        os.write(ends.feed, b"last")
        ends.close("feed")
        await protocol.told("eof")
        assert protocol.data == b"last"
        channel.write(b"answer\n")
        channel.close()
        assert await ends.read(100) == b"answer\n"
        await protocol.told("lost")
        assert protocol.calls == ["made", "eof", "lost"]

    run(story)


def test_close_writes_what_is_buffered_first(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        channel.write(MEGABYTE)
        channel.close()
        channel.write(b"too late")
        assert channel.get_write_buffer_size() > 0
        assert await ends.read(2 * len(MEGABYTE)) == MEGABYTE
        await protocol.told("lost")
        assert protocol.error is None

    run(story)


def test_abort_drops_what_is_buffered(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        channel.write(MEGABYTE)
        channel.abort()
        await protocol.told("lost")
        assert channel.get_write_buffer_size() == 0
        assert len(await ends.read(2 * len(MEGABYTE))) < len(MEGABYTE)
        assert protocol.calls == ["made", "pause", "lost"]

    run(story)


def test_a_peer_that_does_not_read_pauses_the_writer_until_it_reads(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        channel.set_write_buffer_limits(high=500_000, low=1000)
        channel.write(b"a" * 400_000)
        assert "pause" not in protocol.calls
        channel.write(b"b" * 400_000)
        assert protocol.calls == ["made", "pause"]
        assert await ends.read(800_000) == b"a" * 400_000 + b"b" * 400_000
        await protocol.told("resume")
        assert protocol.calls == ["made", "pause", "resume"]
        channel.close()
        await protocol.told("lost")

    run(story)


def test_nothing_arrives_while_reading_is_paused(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        channel.pause_reading()
        os.write(ends.feed, b"wait")
        ends.close("feed")
        for _ in range(5):
            await asyncio.sleep(0)
        assert protocol.calls == ["made"]
        assert not protocol.data
        channel.resume_reading()
        await protocol.told("eof")
        assert protocol.data == b"wait"
        channel.close()
        await protocol.told("lost")

    run(story)


def test_a_protocol_that_pauses_in_connection_made_gets_nothing(ends: Ends) -> None:
    class Hesitant(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.channel.pause_reading()

    async def story() -> None:
        protocol = Hesitant()
        os.write(ends.feed, b"wait")
        channel = await ends.open(protocol)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not protocol.data
        channel.resume_reading()
        await protocol.until(lambda: protocol.data == b"wait")
        channel.close()
        await protocol.told("lost")

    run(story)


@pytest.mark.parametrize("buffered", [b"", MEGABYTE], ids=["idle", "with bytes under way"])
def test_a_peer_that_stops_reading_for_good_is_a_lost_connection(ends: Ends, buffered: bytes) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        channel.write(buffered)
        ends.close("drain")
        await protocol.told("lost")
        assert isinstance(protocol.error, BrokenPipeError)
        assert protocol.calls.count("lost") == 1
        assert channel.is_closing()
        channel.write(b"into the void")

    run(story)


def test_a_write_to_a_peer_that_has_gone_does_not_raise(ends: Ends) -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        ends.close("drain")
        channel.write(b"into the void")
        assert protocol.calls == ["made"]
        await protocol.told("lost")
        assert isinstance(protocol.error, BrokenPipeError)

    run(story)


def test_one_socket_may_carry_both_directions() -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            protocol = Recorder()
            channel = await open_stdio(protocol, stdin_fd=os.dup(ours.fileno()), stdout_fd=ours.detach())
            theirs.send(b"ping")
            await protocol.until(lambda: protocol.data == b"ping")
            channel.write(b"pong")
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(theirs, 10) == b"pong"
            theirs.shutdown(socket.SHUT_WR)
            await protocol.told("eof")
            channel.write(b"bye")
            assert await loop.sock_recv(theirs, 10) == b"bye"
            channel.close()
            await protocol.told("lost")
            assert protocol.calls == ["made", "eof", "lost"]

    run(story)


def test_an_output_socket_that_its_reader_has_half_closed_still_takes_answers() -> None:
    async def story() -> None:
        stdin, feed = socket.socketpair()
        stdout, drain = socket.socketpair()
        with feed, drain:
            drain.shutdown(socket.SHUT_WR)
            drain.setblocking(False)
            protocol = Recorder()
            channel = await open_stdio(protocol, stdin_fd=stdin.detach(), stdout_fd=stdout.detach())
            feed.send(b"ping")
            await protocol.until(lambda: protocol.data == b"ping")
            channel.write(b"pong")
            assert await asyncio.get_running_loop().sock_recv(drain, 10) == b"pong"
            channel.close()
            await protocol.told("lost")
            assert protocol.error is None

    run(story)


def test_the_blocking_mode_that_others_share_is_given_back(ends: Ends) -> None:
    shared = [os.dup(ends.channel_reads), os.dup(ends.channel_writes)]

    async def story() -> None:
        protocol = Recorder()
        channel = await ends.open(protocol)
        assert [os.get_blocking(fd) for fd in shared] == [False, False]
        channel.close()
        await protocol.told("lost")

    run(story)
    assert [os.get_blocking(fd) for fd in shared] == [True, True]
    for fd in shared:
        os.close(fd)


def test_descriptors_of_a_channel_whose_loop_is_gone_are_closed(ends: Ends) -> None:
    async def story() -> None:
        await ends.open(Recorder())

    run(story)
    gc.collect()
    assert os.read(ends.drain, 1) == b""


# -- what cannot be polled ---------------------------------------------------------------------------------------------


def test_a_regular_file_can_be_the_input_and_another_the_output(tmp_path: Path) -> None:
    frames = b"".join(b"frame %d\n" % number for number in range(100_000))
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(frames)

    async def story() -> None:
        protocol = Recorder()
        channel = await open_stdio(
            protocol,
            stdin_fd=os.open(source, os.O_RDONLY),
            stdout_fd=os.open(target, os.O_WRONLY | os.O_CREAT),
        )
        await protocol.told("eof")
        assert protocol.data == frames
        for start in range(0, len(frames), 100_000):
            channel.write(frames[start : start + 100_000])
        channel.close()
        await protocol.told("lost")
        assert protocol.error is None
        assert protocol.calls.count("eof") == protocol.calls.count("lost") == 1

    run(story)
    assert target.read_bytes() == frames


def test_a_paused_reader_of_a_file_delivers_nothing_and_loses_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_bytes(MEGABYTE)

    class Slow(Recorder):
        """Pauses after every piece."""

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.channel.pause_reading()
            size = len(self.data)
            asyncio.get_running_loop().call_later(0.001, self._go_on, size)

        def _go_on(self, size: int) -> None:
            assert len(self.data) == size
            self.channel.resume_reading()

    async def story() -> None:
        protocol = Slow()
        channel = await open_stdio(
            protocol, stdin_fd=os.open(source, os.O_RDONLY), stdout_fd=os.open(os.devnull, os.O_WRONLY)
        )
        await protocol.told("eof")
        assert protocol.data == MEGABYTE
        channel.close()
        await protocol.told("lost")

    run(story)


def test_the_null_device_is_at_its_end_at_once() -> None:
    async def story() -> None:
        protocol = Recorder()
        channel = await open_stdio(
            protocol, stdin_fd=os.open(os.devnull, os.O_RDONLY), stdout_fd=os.open(os.devnull, os.O_WRONLY)
        )
        await protocol.told("eof")
        channel.write(b"x")
        channel.close()
        await protocol.told("lost")
        assert protocol.calls == ["made", "eof", "lost"]

    run(story)


def test_an_output_that_is_full_is_a_lost_connection() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")

    async def story() -> None:
        protocol = Recorder()
        channel = await open_stdio(
            protocol, stdin_fd=os.open(os.devnull, os.O_RDONLY), stdout_fd=os.open("/dev/full", os.O_WRONLY)
        )
        channel.write(b"x")
        await protocol.told("lost")
        assert isinstance(protocol.error, OSError)

    run(story)


def test_a_terminal_works_and_stays_in_blocking_mode() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)

    async def story() -> None:
        protocol = Recorder()
        channel = await open_stdio(protocol, stdin_fd=os.dup(slave), stdout_fd=os.dup(slave))
        os.write(master, b"ping\n")
        await protocol.until(lambda: protocol.data == b"ping\n")
        assert os.get_blocking(slave)
        channel.write(b"pong\n")
        assert await asyncio.to_thread(os.read, master, 10) == b"pong\n"
        channel.close()
        await protocol.told("lost")
        assert protocol.error is None
        os.write(master, b"\n")  # lets the reading thread go

    run(story)
    os.close(slave)
    os.close(master)


def test_a_terminal_that_takes_nothing_pauses_the_writer_and_can_be_aborted() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)

    async def story() -> None:
        protocol = Recorder()
        channel = await open_stdio(protocol, stdin_fd=os.open(os.devnull, os.O_RDONLY), stdout_fd=os.dup(slave))
        channel.write(MEGABYTE)
        assert "pause" in protocol.calls
        channel.abort()
        await protocol.told("lost")
        assert channel.get_write_buffer_size() == 0
        assert protocol.calls.count("lost") == 1

    run(story)
    os.close(slave)
    os.close(master)  # and so lets the writing thread go


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("high", "low", "expected"),
    [(None, None, (65536, 16384)), (100, None, (100, 25)), (None, 10, (40, 10)), (5, 5, (5, 5)), (0, 0, (0, 0))],
)
def test_write_buffer_limits_follow_asyncio(high: int | None, low: int | None, expected: tuple[int, int]) -> None:
    marks = Watermarks(lambda: None, lambda: None)
    marks.set(high, low)
    assert (marks.high, marks.low) == expected


@pytest.mark.parametrize(("high", "low"), [(1, 2), (None, -1)])
def test_impossible_limits_are_refused(high: int | None, low: int | None) -> None:
    with pytest.raises(ValueError, match="high >= low >= 0"):
        Watermarks(lambda: None, lambda: None).set(high, low)
