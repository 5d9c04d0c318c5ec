"""What comes of the bytes of a WebSocket connection besides messages, which are plain ``bytes``. Values only.

``reply`` holds the bytes to send because of an event, which are a whole frame; b"" where there are none.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Closed", "Event", "Ping", "Pong", "Violation"]


class Ping:
    """The peer asks whether somebody is there; ``reply`` is the pong."""

    __slots__ = ("payload", "reply")

    def __init__(self, payload: bytes, reply: bytes) -> None:
        self.payload = payload
        self.reply = reply

    def __repr__(self) -> str:
        return f"<Ping {self.payload!r}>"


class Pong:
    """The answer to a ping of ours, or a sign of life that nobody asked for."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __repr__(self) -> str:
        return f"<Pong {self.payload!r}>"


class Closed:
    """The peer's close frame: nothing comes after it, and nothing may be sent but ``reply``, which is our own.

    ``code`` is 1005 where the peer gave none. Specification: RFC 6455 sections 5.5.1 and 7.4.
    """

    __slots__ = ("code", "reason", "reply")

    def __init__(self, code: int, reason: str, reply: bytes) -> None:
        self.code = code
        self.reason = reason
        self.reply = reply

    def __repr__(self) -> str:
        return f"<Closed {self.code} {self.reason!r}>"


class Violation:
    """The peer broke the protocol or a limit: nothing is read any more, and the connection is to be dropped.

    ``reply`` is the close frame with ``code`` and ``text``. Specification: RFC 6455 section 7.1.7.
    """

    __slots__ = ("code", "reply", "text")

    def __init__(self, code: int, text: str, reply: bytes) -> None:
        self.code = code
        self.text = text
        self.reply = reply

    def __repr__(self) -> str:
        return f"<Violation {self.code} {self.text!r}>"


Event: TypeAlias = bytes | Ping | Pong | Closed | Violation
