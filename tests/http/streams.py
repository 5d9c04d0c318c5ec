"""Byte streams run through the readers in any cut, and what came of them as plain values that can be compared.

The first malformed message ends a stream: what is listed then is its status. Texts are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mcpcore.core.limits import Limits
from mcpcore.http.messages import Malformed, RequestHead, ResponseHead
from mcpcore.http.reading import RequestReader, ResponseReader

LIMITS = Limits()
BODY_LIMIT = 10_000


def request_facts(head: RequestHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in RequestHead.__slots__}


def response_facts(head: ResponseHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in ResponseHead.__slots__}


def pieces(stream: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """The stream cut at these places; empty pieces are left out."""
    start = 0
    for cut in [*sorted(cuts), len(stream)]:
        if cut > start:
            yield stream[start:cut]
            start = cut


def requests(
    stream: bytes, cuts: Iterable[int] = (), *, fast: bool = True, limits: Limits = LIMITS, limit: int = BODY_LIMIT
) -> list[Any]:
    """Heads and bodies of a client's bytes, up to the end of its input: "ended", or the status of what is malformed."""
    reader = RequestReader(limits, fast=fast)
    found: list[Any] = []
    awaited = "head"

    def advance() -> None:
        nonlocal awaited
        while True:
            if awaited == "head":
                if (head := reader.next_head()) is None:
                    return
                found.append(request_facts(head))
                awaited = "body"
            if (body := reader.read_body(limit)) is None:
                return
            found.append(body)
            awaited = "head"

    try:
        for piece in pieces(stream, cuts):
            reader.feed(piece)
            advance()
        reader.feed_eof()
        advance()
    except Malformed as malformed:
        return [*found, malformed.status]
    return [*found, "ended" if reader.ended else "hangs"]


def responses(
    stream: bytes, cuts: Iterable[int] = (), *, method: str = "POST", fast: bool = True, limits: Limits = LIMITS
) -> list[Any]:
    """Heads and bodies of a server's bytes, every response answering ``method``."""
    reader = ResponseReader(limits, fast=fast)
    reader.expect(method)
    found: list[Any] = []
    body: list[bytes] | None = None

    def advance() -> None:
        nonlocal body
        while True:
            if body is None:
                if (head := reader.next_head()) is None:
                    return
                found.append(response_facts(head))
                body = []
            while data := reader.read_some():
                body.append(data)
            if data is not None:
                return
            found.append(b"".join(body))
            body = None

    try:
        for piece in pieces(stream, cuts):
            reader.feed(piece)
            advance()
        reader.feed_eof()
        advance()
    except Malformed as malformed:
        return [*found, malformed.status]
    return [*found, "ended" if reader.ended else "hangs"]
