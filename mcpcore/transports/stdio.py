"""The server's end of the stdio transport: taking over the standard streams, and the channel over them.

How the process ends is in ``process_exit.py``, the client's end in ``process.py``.
Specification, basic/transports/stdio:
"The server MUST NOT write anything to its stdout that is not a valid MCP message".
"""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import stat
import sys
from contextlib import suppress

from mcpcore.errors import UsageError
from mcpcore.transports.lossy_stderr import LossySink, LossyStream
from mcpcore.transports.pipes import PipeChannel

__all__ = ["StdioChannel", "StdioFds", "claim_stdio", "current_claim", "open_stdio"]

_EXIT_FLUSH_SECONDS = 0.25
"""For stderr to take the last lines. A reader that exists takes them at once; one that does not is not waited for."""


class StdioFds:
    """The process's own standard streams, moved to private descriptors. Made by ``claim_stdio``.

    ``stdin_fd`` and ``stdout_fd`` are the wire; whoever opens a channel over them owns and closes them. Meanwhile
    file descriptor 0 is the null device and 1 a duplicate of stderr, so neither ``print``, ``os.write(1, ...)``, a C
    library nor a child process can reach the wire or eat its input. ``sys.stdout`` and ``sys.stderr`` go to stderr
    and never block.
    """

    def __init__(self) -> None:
        self._saved = {fd: _private_copy(fd) for fd in (0, 1, 2)}
        if self._saved[1] is None:
            self._close_saved()
            raise UsageError("standard output is closed: a server on stdio answers there; start it with one")
        self._blocking = [copy for copy in self._saved.values() if copy is not None and _blocks(copy)]
        stdin_fd, stdout_fd = _private_copy(0), _private_copy(1)
        assert stdout_fd is not None
        self.stdin_fd = _null_device() if stdin_fd is None else stdin_fd
        self.stdout_fd = stdout_fd
        self._sink: LossySink | None = None
        self._streams: list[tuple[io.TextIOWrapper, io.BufferedIOBase, bool]] = []
        self._move()
        atexit.register(self.flush_stderr, _EXIT_FLUSH_SECONDS)

    def release(self) -> None:
        """Give the process its standard streams back. Idempotent. Close the channel first: it shares the wire."""
        global _claim
        if _claim is not self:
            return
        _claim = None
        atexit.unregister(self.flush_stderr)
        self.flush_stderr(_EXIT_FLUSH_SECONDS)
        for stream, buffer, line_buffering in self._streams:
            _rebuild(stream, buffer, line_buffering)
        if self._sink is not None:
            self._sink.close()
        for fd, copy in self._saved.items():
            if copy is None:
                os.close(fd)
            else:
                os.dup2(copy, fd)
        self.restore_blocking()
        self._close_saved()

    def restore_blocking(self) -> None:
        """Give the open files the mode that they had: a parent or a sibling may share them."""
        for copy in self._blocking:
            with suppress(OSError):
                os.set_blocking(copy, True)

    def flush_stderr(self, timeout: float) -> bool:
        """Wait until stderr has taken what was printed and logged, at most ``timeout`` seconds. True if it has."""
        for stream, _, _ in self._streams:
            with suppress(ValueError, OSError):
                stream.flush()
        return self._sink is None or self._sink.flush(timeout)

    def _move(self) -> None:
        """First the descriptors, then the Python objects: what ``sys.stdout`` still holds must not reach the wire."""
        null = _null_device()
        wire, stderr = self._saved[1], self._saved[2]
        quiet = stderr is None or (wire is not None and _same_pipe(wire, stderr))
        os.dup2(null, 0)
        if quiet:
            os.dup2(null, 2)
        os.dup2(2, 1)
        os.close(null)
        if stderr is None or quiet:
            return
        self._sink = LossySink(stderr)
        for stream in {
            id(stream): stream for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        }.values():
            fileno = _own_fileno(stream)
            if type(stream) is io.TextIOWrapper and fileno in (1, 2):
                raw = LossyStream(self._sink, fileno, "<stdout>" if fileno == 1 else "<stderr>")
                line_buffering = stream.line_buffering
                self._streams.append((stream, _rebuild(stream, raw, True), line_buffering))

    def _close_saved(self) -> None:
        for copy in self._saved.values():
            if copy is not None:
                os.close(copy)


_claim: StdioFds | None = None


def claim_stdio() -> StdioFds:
    """Take over this process's standard streams for a server.

    Raises ``UsageError`` where they are claimed already, and where standard output is closed. A closed standard input
    reads as an empty one, a closed stderr as the null device. Where stderr is the same pipe as stdout, stray output is
    discarded.
    """
    global _claim
    if _claim is not None:
        raise UsageError(
            "the standard streams are claimed already, and a process has one pair of them: "
            "release() the first claim, or serve this server over another transport"
        )
    _claim = StdioFds()
    return _claim


def current_claim() -> StdioFds | None:
    """The claim in force in this process."""
    return _claim


class StdioChannel(PipeChannel):
    """The channel of a server on stdio. Made by ``open_stdio``.

    The end of the input leaves the way out open: answers may still be written. ``connection_lost`` comes once, when the
    output is done: ``None`` after ``close`` or ``abort``, ``BrokenPipeError`` where the client stopped reading.
    """

    endpoint = "stdio"

    def close(self) -> None:
        """Read no more, write what is buffered, then close. A client that does not read is left by ``abort``."""
        if not self._closing:
            self._closing = True
            self._source.close()
            self._sink.close()

    def abort(self) -> None:
        """Close at once; what is buffered is dropped."""
        self._closing = True
        self._source.close()
        self._sink.abort()

    def _input_ended(self) -> None:
        self._protocol.eof_received()

    def _output_ended(self, error: Exception | None) -> None:
        self._closing = True
        self._source.close()
        self._protocol.connection_lost(error)


async def open_stdio(protocol: asyncio.Protocol, *, stdin_fd: int, stdout_fd: int) -> StdioChannel:
    """Connect ``protocol`` to two descriptors, which the channel owns from now on. ``connection_made`` has been called.

    Pipes and sockets are polled; regular files, terminals and devices get a thread each.
    """
    channel = StdioChannel(asyncio.get_running_loop(), protocol, stdin_fd, stdout_fd)
    channel._begin()
    return channel


def _private_copy(fd: int) -> int | None:
    """A duplicate that children do not inherit, never one of 0, 1 and 2 itself; ``None`` where ``fd`` is closed."""
    try:
        if sys.platform == "win32":
            return os.dup(fd)
        import fcntl

        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return None


def _null_device() -> int:
    fd = os.open(os.devnull, os.O_RDWR)
    if fd > 2:
        return fd
    copy = _private_copy(fd)  # a standard descriptor was closed: it is not the null device that belongs there
    os.close(fd)
    assert copy is not None
    return copy


def _same_pipe(wire: int, stderr: int) -> bool:
    """``2>&1`` on a pipe: what is printed there lands in the protocol."""
    ours, theirs = os.fstat(wire), os.fstat(stderr)
    kind = stat.S_ISFIFO(ours.st_mode) or stat.S_ISSOCK(ours.st_mode)
    return kind and (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _own_fileno(stream: object) -> int:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):
        return -1


def _blocks(fd: int) -> bool:
    return sys.platform != "win32" and os.get_blocking(fd)


def _rebuild(
    stream: io.TextIOWrapper, buffer: io.RawIOBase | io.BufferedIOBase, line_buffering: bool
) -> io.BufferedIOBase:
    """Put another file under a text stream, in place: log handlers hold the stream itself. Returns the former file."""
    encoding, errors, write_through = stream.encoding, stream.errors, stream.write_through
    with suppress(OSError):
        stream.flush()
    former = stream.detach()
    stream.__init__(  # type: ignore[misc]
        buffer,
        encoding=encoding,
        errors=errors,
        newline=None if sys.platform == "win32" else "\n",
        line_buffering=line_buffering,
        write_through=write_through,
    )
    return former  # type: ignore[return-value]
