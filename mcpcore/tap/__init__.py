"""Recording what crosses a connection, one JSON line for each frame. Off unless asked for.

Only the writing lives here, so that servers and clients can import it for nothing; ``recording.py`` reads the lines,
``replay.py`` answers from them and ``compare.py`` plays them against a server.

A line is ``{"t": <seconds since 1970>, "dir": "in"|"out", "conn": <n>, "pid": <n>, "frame": <the message>}``; a frame
that is not JSON is ``{"raw": <base64>}``. ``dir`` is meant from the recorder's side, ``conn`` counts the connections of
the process. Recordings hold everything that was said, secrets included: the file is made for its owner alone.
"""

from __future__ import annotations

import base64
import itertools
import logging
import os
import time
import weakref
from typing import TYPE_CHECKING, Any

from mcpcore.jsonrpc.codec import Unreadable, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.tap.compare import Difference as Difference
    from mcpcore.tap.compare import replay_client as replay_client
    from mcpcore.tap.recording import Recording as Recording
    from mcpcore.tap.replay import replay_server as replay_server

__all__ = ["Difference", "Recording", "Tap", "replay_client", "replay_server", "tap_from_environment"]

_VARIABLE = "MCPCORE_WIRE_LOG"
_HOMES = {
    "Difference": "mcpcore.tap.compare",
    "Recording": "mcpcore.tap.recording",
    "replay_client": "mcpcore.tap.compare",
    "replay_server": "mcpcore.tap.replay",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)


class Tap:
    """Records one connection: give it to a runner as ``tap``. Connections and processes may share a file.

    ``redact(frame)`` gets each decoded frame and returns what is written in its place. Raises ``OSError`` where the
    file cannot be opened. What cannot be written later never disturbs the conversation: the log says so once, and the
    recording ends.
    """

    def __init__(self, path: str | os.PathLike[str], *, redact: Callable[[Any], Any] | None = None) -> None:
        self._file: _File | None = _opened(os.path.abspath(path))
        self._redact = redact
        number = next(_connections)
        self._middle = {
            name: f',"dir":"{name}","conn":{number},"pid":{os.getpid()},"frame":'.encode() for name in ("in", "out")
        }

    def __call__(self, direction: str, frame: bytes) -> None:
        """Write one frame, at once and in one piece: a process that dies in the next line has recorded this one."""
        file = self._file
        if file is None:
            return
        try:
            message = decode(frame)
        except Unreadable:
            frame = encode({"raw": base64.b64encode(frame).decode()})
        else:
            if self._redact is not None:
                frame = encode(self._redact(message))
            elif b"\n" in frame:
                frame = encode(message)
        try:
            file.write(b'{"t":%.6f%b%b}\n' % (time.time(), self._middle[direction], frame))
        except OSError as error:
            self._file = None
            logging.getLogger("mcpcore.tap").warning("%s: the recording ends here: %s", file.path, error)

    def close(self) -> None:
        """Record no more. Idempotent."""
        self._file = None


def tap_from_environment() -> Tap | None:
    """The tap of a new connection where ``MCPCORE_WIRE_LOG`` names a file, else ``None``.

    Raises ``UsageError`` where the file cannot be opened.
    """
    path = os.environ.get(_VARIABLE)
    if not path:
        return None
    try:
        return Tap(path)
    except OSError as error:
        from mcpcore.errors import UsageError

        text = f"{_VARIABLE}={path}: the file cannot be opened ({error.strerror}); unset it or change it"
        raise UsageError(text) from None


class _File:
    """One open file; it closes with the last tap on it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)

    def write(self, line: bytes) -> None:
        """One ``write`` on a file opened for appending: lines of several processes do not mix."""
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def __del__(self) -> None:
        fd = getattr(self, "_fd", None)
        if fd is not None:
            os.close(fd)


_files: weakref.WeakValueDictionary[str, _File] = weakref.WeakValueDictionary()
_connections = itertools.count(1)


def _opened(path: str) -> _File:
    file = _files.get(path)
    if file is None:
        file = _files[path] = _File(path)
    return file
