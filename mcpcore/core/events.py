"""What a peer tells its shell. An ``Exchange`` (a request to serve) and a ``Pending`` (an answer came) are events
too."""

from __future__ import annotations

from typing import Any

from mcpcore.core.exchange import Exchange, Pending

__all__ = ["Cancelled", "Event", "Notified", "Violation"]


class Notified:
    """A notification that the core does not answer itself. ``params`` is an object, empty where it was absent."""

    __slots__ = ("method", "params")

    def __init__(self, method: str, params: dict[str, Any]) -> None:
        self.method = method
        self.params = params


class Cancelled:
    """The peer cancelled a request of its own: stop the handler. Nothing more is sent for it."""

    __slots__ = ("exchange", "reason")

    def __init__(self, exchange: Exchange, reason: str | None) -> None:
        self.exchange = exchange
        self.reason = reason


class Violation:
    """Something that deserves a line in the log and nothing else. ``detail`` may hold the offending bytes, cut."""

    __slots__ = ("detail", "text")

    def __init__(self, text: str, detail: bytes = b"") -> None:
        self.text = text
        self.detail = detail


Event = Exchange | Pending | Notified | Cancelled | Violation
