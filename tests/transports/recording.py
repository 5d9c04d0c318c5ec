"""A protocol that writes down what its channel tells it, and lets a test wait for that. Tests of channels share it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

WAIT = 20.0
"""Seconds after which a test gives up waiting; nothing here takes as long unless it is broken."""


class Recorder(asyncio.Protocol):
    def __init__(self) -> None:
        self.channel: Any = None
        self.calls: list[str] = []
        self.data = bytearray()
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.channel = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._changed.set()

    def eof_received(self) -> None:
        self._note("eof")

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._note("lost")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at whenever the channel has told something."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def told(self, call: str) -> None:
        await self.until(lambda: call in self.calls)
