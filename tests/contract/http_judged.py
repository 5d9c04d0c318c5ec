"""A scripted HTTP server whose whole conversation goes to the judge, for tests that hold the client to its pages.

Leaving it fails for every rule that the client broke. What a test lets the server break is the test's own business.
"""

from __future__ import annotations

import json
from typing import Any

from tests.schema_judge import AVAILABLE, Judge
from tests.transports.http_toys import Asked, HttpToy, Wire

__all__ = ["JudgedToy", "posts"]


class JudgedToy(HttpToy):
    """``HttpToy`` with a judge. ``judge = None`` where what a test does would confuse it."""

    def __init__(self, *positional: Any, **options: Any) -> None:
        super().__init__(*positional, **options)
        self.judge = Judge() if AVAILABLE else None

    async def __aenter__(self) -> JudgedToy:
        await self.start()
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await super().__aexit__(*problem)
        if self.judge is not None and problem[0] is None:
            assert [fault for fault in self.judge.violations if fault.startswith("client: ")] == []

    def _answer(self, asked: Asked, wire: Wire) -> Any:
        if asked.body:
            self._judged("client", asked.body)
        self._listen_in(wire)
        return super()._answer(asked, wire)

    def _listen_in(self, wire: Wire) -> None:
        """What is sent through ``json`` and ``event`` is what the server says."""
        if "json" in vars(wire):
            return
        json_of, event_of = wire.json, wire.event

        def said(message: Any, *positional: Any, **options: Any) -> None:
            self._judged("server", json.dumps(message).encode())
            json_of(message, *positional, **options)

        def told(message: Any = None, **options: Any) -> None:
            if message is not None and not isinstance(message, str):
                self._judged("server", json.dumps(message).encode())
            event_of(message, **options)

        wire.json, wire.event = said, told  # type: ignore[method-assign]

    def _judged(self, side: Any, data: bytes) -> None:
        if self.judge is not None:
            self.judge.frame(side, data)


def posts(toy: HttpToy) -> list[Asked]:
    return [asked for asked in toy.asked if asked.verb == "POST"]
