"""How a server's process ends: promptly, whatever its handlers, threads and exit functions are doing.

Deciding when to end is the server's business (end of input, a signal).
Specification: basic/transports/stdio, "Shutdown": "Servers SHOULD exit promptly when their standard input is closed".
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from mcpcore.transports.stdio import current_claim

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["exit_promptly", "install_stop_signals"]

_SIGNALLED = 128
"""Added to a signal's number it is the exit status that shells give to a process ended by it."""
_STUCK_SECONDS = 1.0
"""A loop that has not heard of a stop signal after this long is stuck in a handler and never will."""


def exit_promptly(code: int, grace: float = 0.5) -> NoReturn:
    """End the process with ``code`` within ``grace`` seconds, from any thread. Channels should be closed by now.

    Exit functions run and the output streams are flushed as far as the time allows; threads are not waited for, so a
    handler that is stuck in one keeps nothing alive.
    """
    with suppress(RuntimeError):  # the interpreter is ending already: no more threads
        threading.Thread(target=_exit_after, args=(grace, code), name="mcpcore-exit", daemon=True).start()
    try:
        atexit._run_exitfuncs()
        _flush()
    finally:
        _leave(code)


def _exit_after(grace: float, code: int) -> None:
    threading.Event().wait(grace)
    _leave(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with suppress(Exception):  # what C libraries printed sits in the C library's own buffer
        import ctypes

        ctypes.CDLL(None).fflush(None)


def _leave(code: int) -> NoReturn:
    claim = current_claim()
    if claim is not None:
        claim.flush_stderr(0.1)
        claim.restore_blocking()
    os._exit(code)


def install_stop_signals(
    loop: asyncio.AbstractEventLoop, callback: Callable[[signal.Signals], object]
) -> Callable[[], None]:
    """Call ``callback(signal)`` in the loop on SIGTERM and SIGINT. A second SIGINT ends the process: status 130.

    So does the first signal where the loop is stuck and does not hear of it within a second: status 128 + its number.
    Returns a function that puts the former handlers back. Outside the main thread, where signals cannot be had, it does
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return _nothing
    interrupts = 0
    heard = threading.Event()

    def in_loop(number: signal.Signals) -> None:
        heard.set()
        callback(number)

    def on_signal(number: int, _frame: Any) -> None:
        """Runs even while the loop is stuck in a handler, which a callback of the loop would not."""
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts > 1:
                _leave(_SIGNALLED + number)
        # Not threading.Thread: this may have interrupted one that was holding that module's lock.
        _thread.start_new_thread(_leave_unless, (heard, _SIGNALLED + number))
        if not by_loop:
            loop.call_soon_threadsafe(in_loop, signal.Signals(number))

    signals = (signal.SIGTERM, signal.SIGINT)
    former = {number: signal.getsignal(number) for number in signals}
    by_loop = True
    for number in signals:
        try:  # the loop's own handler also arranges that the signal wakes it
            loop.add_signal_handler(number, in_loop, number)
        except NotImplementedError:  # Windows
            by_loop = False
        signal.signal(number, on_signal)

    def remove() -> None:
        heard.set()
        for number, handler in former.items():
            if by_loop and not loop.is_closed():
                loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    return remove


def _leave_unless(heard: threading.Event, code: int) -> None:
    if not heard.wait(_STUCK_SECONDS):
        _leave(code)


def _nothing() -> None:
    """No handlers were installed, so none are removed."""
