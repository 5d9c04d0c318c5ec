"""The bytes of HTTP: requests prepared in advance, the end of a reply found, and the check that replies are right.

Nothing is sent or timed here. Requests of one shape differ in their id alone, which always has the same length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mcpcore_bench.serving import HOST, PATH
from mcpcore_bench.wire import Check, Era, Shape, WrongReply, verify_reply, with_envelope

__all__ = [
    "BOTH_KINDS",
    "FIRST_ID",
    "ID",
    "NO_SESSION",
    "Reply",
    "Talk",
    "era_of",
    "messages_of",
    "notification",
    "replies_in",
    "reply_end",
    "requests",
    "verify_http",
]

NO_SESSION: Final = "legacy, no session"
"""The third era of HTTP servers: legacy requests that belong to no session."""
FIRST_ID: Final = 1_000_000
"""Ids have seven digits, so that all requests of a shape have the same length."""
ID: Final = 9_999_999
"""Stands in a shape, for example as its progress token, for the request's own id."""
BOTH_KINDS: Final = "application/json, text/event-stream"
PROGRESS: Final = "notifications/progress"
BODILESS: Final = (202, 204)
KINDS: Final = {"json": "application/json", "sse": "text/event-stream"}


@dataclass(frozen=True)
class Talk:
    """What every request of one conversation carries. ``session`` is empty where the server gave none."""

    port: int
    era: Era
    revision: str
    accept: str = BOTH_KINDS
    session: str = ""


@dataclass(frozen=True)
class Reply:
    """``headers`` have lower-case names. The body is without its chunks."""

    status: int
    headers: dict[str, str]
    body: bytes


def era_of(era: str) -> Era:
    return "modern" if era == "modern" else "legacy"


def requests(talk: Talk, shape: Shape, ids: Iterable[int]) -> list[bytes]:
    """One request for each id, head and body, with Content-Length."""
    method, params = with_envelope(talk.era, shape)
    body = orjson.dumps({"jsonrpc": "2.0", "id": ID, "method": method, "params": params})
    pieces = (_head(talk, method, params.get("name", "")) % len(body) + body).split(b"%d" % ID)
    return [(b"%d" % number).join(pieces) for number in ids]


def notification(talk: Talk, method: str) -> bytes:
    """A notification as one request."""
    body = orjson.dumps({"jsonrpc": "2.0", "method": method})
    return _head(talk, method, "") % len(body) + body


def _head(talk: Talk, method: str, name: str) -> bytes:
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {HOST}:{talk.port}",
        "User-Agent: mcpcore-bench",
        f"Accept: {talk.accept}",
        "Content-Type: application/json",
    ]
    if method != "initialize":
        lines.append(f"MCP-Protocol-Version: {talk.revision}")
    if talk.era == "modern":
        lines.append(f"Mcp-Method: {method}")
        if name:
            lines.append(f"Mcp-Name: {name}")
    if talk.session:
        lines.append(f"Mcp-Session-Id: {talk.session}")
    return "\r\n".join([*lines, "Content-Length: %d", "", ""]).encode()


def reply_end(data: bytes, start: int = 0) -> int:
    """Where the reply that begins at ``start`` ends; -1 while bytes of it are missing. Raises :class:`WrongReply`."""
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        return -1
    head = data[start : end + 2].lower()
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return _last_chunk(data, end + 4)
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        stop = end + 4 + int(head[at + 17 : head.find(b"\r\n", at + 2)])
    elif int(head[9:12]) in BODILESS:
        stop = end + 4
    else:
        raise WrongReply(f"neither Content-Length nor chunks, so no keep-alive: {head[:300]!r}")
    return stop if len(data) >= stop else -1


def _last_chunk(data: bytes, at: int) -> int:
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return -1
        size = int(data[at:line].partition(b";")[0], 16)
        at = line + 2 + size + 2
        if len(data) < at:
            return -1
        if data[at - 2 : at] != b"\r\n":
            raise WrongReply(f"a chunk does not end where it says: {data[line : at + 20][:200]!r}")
        if size == 0:
            return at


def replies_in(data: bytes) -> Iterator[Reply]:
    """All replies of one connection. Raises :class:`WrongReply` for what is not HTTP, and for half a reply."""
    at = 0
    while at < len(data):
        try:
            end = reply_end(data, at)
        except ValueError as error:
            raise WrongReply(f"not HTTP ({error}): {data[at : at + 200]!r}") from error
        if end < 0:
            raise WrongReply(f"half a reply: {data[at : at + 200]!r}")
        yield _parsed(data[at:end])
        at = end


def _parsed(data: bytes) -> Reply:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        raise WrongReply(f"not HTTP/1.1: {first[:200]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    return Reply(int(first[9:12]), headers, b"".join(_chunks(body)) if chunked else body)


def _chunks(body: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        line = body.index(b"\r\n", at)
        size = int(body[at:line].partition(b";")[0], 16)
        if size == 0:
            return
        yield body[line + 2 : line + 2 + size]
        at = line + 2 + size + 2


def messages_of(reply: Reply, answer: str = "") -> list[bytes]:
    """The JSON-RPC messages in a reply. ``answer`` is json or sse, or empty for either."""
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if reply.status != 200 or kind not in KINDS.values():
        raise WrongReply(f"status {reply.status}, {kind or 'no content type'}: {reply.body[:300]!r}")
    if answer and kind != KINDS[answer]:
        raise WrongReply(f"answered with {kind}, not {KINDS[answer]}: {reply.body[:200]!r}")
    return [reply.body] if kind == KINDS["json"] else list(_events(reply.body))


def _events(body: bytes) -> Iterator[bytes]:
    """The data of all events that have any; the empty event that allows a client to resume has none."""
    for event in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        if any(data):
            yield b"\n".join(data)


def verify_http(era: Era, ids: Sequence[int], stream: bytes, answer: str, check: Check, *, progress: bool) -> None:
    """One connection's replies: one for each id, in this order, of this kind, with one progress message before each
    result or none. Raises :class:`WrongReply`."""
    found = 0
    for reply in replies_in(stream):
        if found == len(ids):
            raise WrongReply(f"more replies than the {len(ids)} requests of a connection")
        number = ids[found]
        *before, last = messages_of(reply, answer) or [b""]
        _verify_progress(number, before, progress)
        verify_reply(era, {number}, last, check)
        found += 1
    if found < len(ids):
        raise WrongReply(f"no reply to {len(ids) - found} requests of a connection, the first of them id {ids[found]}")


def _verify_progress(number: int, messages: list[bytes], progress: bool) -> None:
    if len(messages) != progress:
        raise WrongReply(f"id {number}: {len(messages)} messages before the result: {messages[:2]!r}")
    for data in messages:
        message: Any = orjson.loads(data)
        if message.get("method") != PROGRESS or message["params"].get("progressToken") != number:
            raise WrongReply(f"id {number}: not its progress: {data[:200]!r}")
