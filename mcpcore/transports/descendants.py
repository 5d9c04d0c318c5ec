"""The end of what a server's tools have started: a server that ends takes its descendants with it.

A client that was killed cannot clean up, and orphans pile up until the machine is full. Whoever wants a process to
outlive the server gives it a session of its own (``start_new_session=True``): such processes are left alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["end_descendants"]


def end_descendants(seconds: float = 0.1) -> None:
    """SIGTERM to every descendant in this process's session, and SIGKILL to those that are there after ``seconds``.

    Linux tells who they are. Elsewhere, a process that leads its group (as mcpcore's client starts it) sends SIGTERM to
    the group; on Windows nothing is done.
    """
    if sys.platform == "win32":
        return
    if not sys.platform.startswith("linux"):
        if os.getpgrp() == os.getpid():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with suppress(OSError):
                os.killpg(os.getpgrp(), signal.SIGTERM)
        return
    descendants = _descendants()
    _send(descendants, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while descendants and time.monotonic() < deadline:
        time.sleep(0.005)
        descendants = [pid for pid in descendants if _is_running(pid)]
    _send(descendants, signal.SIGKILL)


def _descendants() -> list[int]:
    """Children before grandchildren; each is in our session."""
    session = os.getsid(0)
    found: list[int] = []
    pending = [os.getpid()]
    while pending and len(found) < 10_000:
        for pid in _children(pending.pop()):
            with suppress(OSError):
                if os.getsid(pid) == session:
                    found.append(pid)
                    pending.append(pid)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return children


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)
