"""Several processes that serve on one port, forked from one server object: they have its secrets in common, and which
single-use states are spent.

So a requestState or cursor of one is opened by any other. A session, a stream and who listens for a change are known to
one process alone, which is why legacy clients have no session here.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from mcpcore.server.http_parent import Child, Parent, Say
from mcpcore.server.http_process import announcement, serve_process
from mcpcore.transports.descendants import end_descendants
from mcpcore.transports.http_site import Site
from mcpcore.transports.http_sockets import bind_copies, bound_port
from mcpcore.transports.process_exit import exit_promptly

if TYPE_CHECKING:
    from mcpcore.server.app import Server
    from mcpcore.transports.http_options import RunOptions

__all__ = ["run_workers"]

_FIRST_PAUSE = 0.1
_READY = "ready"
_log = logging.getLogger("mcpcore.server")


def run_workers(server: Server, options: RunOptions) -> NoReturn:
    """Serve in ``options.workers`` processes until a signal comes, and end this one when all of them have ended.

    The exit status is 0, or 1 where no process came to serve. Raises ``UsageError`` as ``run`` does, and where there is
    no ``fork``.
    """
    Site(server, options)  # raises here what would be raised in every process
    options = replace(options, tls=options.ssl_context())
    code = Workers(server, options).run()
    end_descendants()
    exit_promptly(code)


class Slot:
    """The place of one process. It is never given up: who dies in it gets a successor."""

    def __init__(self, number: int, sockets: Sequence[socket.socket]) -> None:
        self.number = number
        self.sockets = sockets
        self.child: Child | None = None
        self.ready = False
        self.due = 0.0
        self.pause = 0.0
        """Before a successor is started; longer each time that one dies soon."""


class Workers(Parent):
    """Binds once, then keeps one process in each slot. The first one shows whether the server can start at all."""

    def __init__(self, server: Server, options: RunOptions) -> None:
        limits = server.limits
        super().__init__(limits.http_drain_seconds + limits.drain_seconds + 3.0)
        from mcpcore.server.shared_spent import SharedSpent  # which Windows has not

        server.spent = SharedSpent(limits.spent_states)
        self._server = server
        self._options = options
        self._longest_pause = limits.worker_pause_seconds
        self._slots = [Slot(number, own) for number, own in enumerate(bind_copies(options, options.workers), 1)]
        self._started = False
        self._announced = False

    def begin(self) -> None:
        self._fill(self._slots[0])

    def said(self, child: Child, line: str) -> None:
        slot = self._slot_of(child)
        if line != _READY or slot is None:
            return
        slot.ready = self._started = True
        if not self._announced and all(slot.ready for slot in self._slots):
            self._announced = True
            self._announce()

    def ended(self, child: Child, status: int) -> None:
        slot = self._slot_of(child)
        if slot is None or self.stopping:
            return
        slot.child = None
        if not self._started:
            self.code = status if status > 0 else 1
            self.stop()
            return
        now = time.monotonic()
        if now - child.started >= self._longest_pause:
            slot.pause = 0.0
        slot.due = now + slot.pause
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        _log.warning("%s (pid %d) ended with %s; another one takes its place", child.name, child.pid, how)
        slot.pause = min(max(_FIRST_PAUSE, 2 * slot.pause), self._longest_pause)

    def tick(self, now: float) -> float:
        if self._started:
            for slot in self._slots:
                if slot.child is None and slot.due <= now:
                    self._fill(slot)
        return min((slot.due - now for slot in self._slots if slot.child is None), default=60.0)

    def release(self) -> None:
        for slot in self._slots:
            for sock in slot.sockets:
                sock.close()
        if self._options.unix is not None:
            with suppress(OSError):
                os.unlink(self._options.unix)

    def _slot_of(self, child: Child) -> Slot | None:
        return next((slot for slot in self._slots if slot.child is child), None)

    def _fill(self, slot: Slot) -> None:
        def serve(say: Say) -> None:
            for other in self._slots:
                if other.sockets is not slot.sockets:
                    for sock in other.sockets:
                        sock.close()
            serve_process(self._server, self._options, slot.sockets, lambda http: say(_READY))

        slot.child = self.fork(f"worker {slot.number}", serve)

    def _announce(self) -> None:
        options, server = self._options, self._server
        urls = options.urls(bound_port(self._slots[0].sockets))
        print(announcement(server, urls), file=sys.stderr)
        notes = ["a change is told to the listeners of its own process"]
        if any(not revision.modern for revision in server.revisions):
            notes.insert(0, "legacy clients have no session: HTTP+SSE and questions to them are refused")
        print(f"{server.name}: {options.workers} processes; {'; '.join(notes)}", file=sys.stderr, flush=True)
