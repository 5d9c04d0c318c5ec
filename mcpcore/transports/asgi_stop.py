"""How the open answers of an ASGI application learn that their server was told to stop. Ending them is the site's part.

ASGI has no message for it: uvicorn waits for every open response before it sends ``lifespan.shutdown``, hypercorn does
so for ``graceful_timeout`` seconds; a stream that nobody ends holds the process up. What tells us in its place:

- The stop signal, if the server has a handler for it: uvicorn, gunicorn, granian, hypercorn with ``--workers 0``. A
  handler of ours stands before the server's own one, and calls it.
- The event by which hypercorn stops its worker processes, which get no signal.

A server that is stopped by a call (uvicorn's ``Server.should_exit``, hypercorn's ``shutdown_trigger``) tells nobody: it
ends after its own time-out (``timeout_graceful_shutdown``, ``graceful_timeout``), which cancels the answers. uvicorn
needs that one as well for a client that takes nothing of what was written to it: it waits for its connections to close.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Ending", "forget", "listen", "parent_event"]


class Ending(Protocol):
    """What wants to know."""

    loop: asyncio.AbstractEventLoop

    def begin_end(self) -> None:
        """The server was told to stop."""
        ...


class _Handler:
    """Stands before the handler that was there, and calls it."""

    def __init__(self, number: signal.Signals, server: Callable[[int, FrameType | None], Any]) -> None:
        self._number = number
        self._server = server
        self._telling = True
        signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._telling:
            for one in tuple(_listening):
                with suppress(RuntimeError):  # its loop was closed meanwhile
                    one.loop.call_soon_threadsafe(one.begin_end, context=Context())
        self._server(number, frame)

    def remove(self) -> None:
        """Where somebody stands before us by now, only pass on what comes."""
        self._telling = False
        if self.stands:
            signal.signal(self._number, self._server)

    @property
    def stands(self) -> bool:
        current: object = signal.getsignal(self._number)
        return current is self


_listening: set[Ending] = set()
_handlers: dict[signal.Signals, _Handler] = {}


def listen(one: Ending) -> None:
    """Tell it of a stop signal from now on. Nothing happens outside the main thread, which alone gets signals, and
    where no server handles them."""
    if one in _listening or threading.current_thread() is not threading.main_thread():
        return
    if not _handlers or not all(handler.stands for handler in _handlers.values()):
        if not callable(signal.getsignal(signal.SIGTERM)):
            return  # the signal ends the process, or nothing does
        for number in (signal.SIGTERM, signal.SIGINT):
            server = signal.getsignal(number)
            if callable(server) and server is not _handlers.get(number):
                _handlers[number] = _Handler(number, server)
    for other in [other for other in _listening if other.loop.is_closed()]:
        _listening.discard(other)
    _listening.add(one)


def forget(one: Ending) -> None:
    """The opposite of ``listen``."""
    _listening.discard(one)
    if not _listening and _handlers and threading.current_thread() is threading.main_thread():
        for handler in _handlers.values():
            handler.remove()
        _handlers.clear()


def parent_event() -> Callable[[], bool] | None:
    """Asks whether hypercorn wants its worker process, which this one is, to stop. ``None`` where it is none."""
    if "hypercorn" not in sys.modules or "multiprocessing.process" not in sys.modules:
        return None
    process = sys.modules["multiprocessing.process"].current_process()
    event = getattr(process, "_kwargs", {}).get("shutdown_event")
    return getattr(event, "is_set", None)
