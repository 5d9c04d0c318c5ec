"""Worker threads for handlers written as plain functions. Daemonic, limited, and cheap to hand work to.

A thread that waits for a person's answer gives its place to another one, within a limit of its own: forty people
thinking must not stop the forty-first request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

__all__ = ["Workers"]

_IDLE_SECONDS = 10.0


class Workers:
    """At most ``limit`` threads work at once, and ``waiting`` more may wait for answers. Work beyond that queues."""

    def __init__(self, limit: int, waiting: int = 0, name: str = "mcpcore-worker") -> None:
        self._limit = limit
        self._waiting_limit = waiting
        self._name = name
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._waiting = 0

    async def run(self, function: Callable[[], Any], cancelled: threading.Event | None = None) -> Any:
        """What ``function`` returns or raises in a worker thread. Cancelling stops the waiting, not the thread, which
        can only be told: ``cancelled`` is set."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.put((future, function))
        self._ensure_thread()
        try:
            return await future
        except asyncio.CancelledError:
            if cancelled is not None:
                cancelled.set()
            raise

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._idle >= self._queue.qsize() or self._threads >= self._limit + self._waiting:
                return
            self._threads += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                item = self._queue.get(timeout=_IDLE_SECONDS)
            except Exception:  # queue.Empty: nothing to do for a while
                item = None
            with self._lock:
                self._idle -= 1
                surplus = self._threads > self._limit + self._waiting
                if item is None and (self._queue.empty() or surplus):
                    self._threads -= 1
                    return
            if item is None:
                continue
            if not self._queue.empty():  # put while this thread still counted as idle
                self._ensure_thread()
            _carry_out(*item)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside a worker thread: while this holds, its place is free for another one."""
        with self._lock:
            counted = self._waiting < self._waiting_limit
            self._waiting += counted
        if counted and not self._queue.empty():
            self._ensure_thread()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= counted


def _carry_out(future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
    if future.done():  # cancelled while it queued
        return
    loop = future.get_loop()
    result: Any = None
    fault: BaseException | None = None
    try:
        result = function()
    except BaseException as error:
        fault = error
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        if fault is None:
            loop.call_soon_threadsafe(_succeed, future, result)
        else:
            loop.call_soon_threadsafe(_fail, future, fault)


def _succeed(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        if isinstance(error, StopIteration):
            error = RuntimeError("the handler raised StopIteration")
        future.set_exception(error)
