"""Event streams that may be cut anywhere: what of a chunked body came whole, and what a client makes of it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["Reader", "body_of", "unchunked"]


class Reader:
    """A client's view of one stream over any number of connections: whole events only, the last id is remembered."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.messages: list[Any] = []
        self.ended = False

    def take(self, received: bytes) -> None:
        """The bytes of one connection, head and all, however they were cut."""
        events, self.ended = unchunked(body_of(received))
        *blocks, _ = events.split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if line[:1] != b":")
            if b"id" in fields:
                self.last_id = fields[b"id"].decode()
            if fields.get(b"data"):
                self.messages.append(json.loads(fields[b"data"]))


def body_of(received: bytes) -> bytes:
    return received.partition(b"\r\n\r\n")[2]


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """As much of a chunked body as came, and whether its end did."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return b"".join(pieces), False
        length = int(data[at:end], 16)
        if not length:
            return b"".join(pieces), data[end:] == b"\r\n\r\n"
        at = end + 2
        pieces.append(data[at : at + length])
        at += length + 2
        if at > len(data):
            return b"".join(pieces), False
