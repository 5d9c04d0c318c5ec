"""The bytes of the benchmark: request lines of both eras, and the check that replies are what they must be.

Nothing is sent or timed here. Ids are integers that one connection never uses twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import orjson

from mcpcore_bench.ceilings.ceiling_server import BIG, ECHO

__all__ = [
    "BIG",
    "ECHO",
    "ERAS",
    "INITIALIZED",
    "REVISIONS",
    "TOOL_COUNT",
    "Check",
    "Era",
    "Shape",
    "WrongReply",
    "is_tool_list",
    "opening",
    "request_lines",
    "text_is",
    "tools_are",
    "verify",
    "verify_reply",
    "with_envelope",
]

Era = Literal["legacy", "modern"]
ERAS: Final[tuple[Era, ...]] = ("legacy", "modern")
REVISIONS: Final[dict[Era, str]] = {"legacy": "2025-11-25", "modern": "2026-07-28"}
TOOL_COUNT: Final = 50
INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'

_CLIENT: Final = {"name": "mcpcore-bench", "version": "0"}
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": REVISIONS["modern"],
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}

Shape = tuple[str, dict[str, Any]]
"""A request without its envelope: the method and its params."""
Check = Callable[[dict[str, Any]], str | None]
"""Takes a result, returns what is wrong with it or None."""


class WrongReply(Exception):
    """The server under test answered wrongly. The text says which request and how; its figures do not count."""


def opening(era: Era) -> Shape:
    """The first request of a connection: ``initialize`` or ``server/discover``."""
    if era == "modern":
        return "server/discover", {}
    return "initialize", {"protocolVersion": REVISIONS["legacy"], "capabilities": {}, "clientInfo": _CLIENT}


def request_lines(era: Era, shape: Shape, ids: Iterable[int]) -> list[bytes]:
    """One line for each id; modern ones carry their ``_meta`` envelope."""
    method, params = with_envelope(era, shape)
    tail = b',"method":' + orjson.dumps(method) + b',"params":' + orjson.dumps(params) + b"}\n"
    return [b'{"jsonrpc":"2.0","id":%d' % number + tail for number in ids]


def with_envelope(era: Era, shape: Shape) -> Shape:
    """The shape with the ``_meta`` envelope that every modern request carries, beside what ``_meta`` holds already."""
    method, params = shape
    return shape if era == "legacy" else (method, {**params, "_meta": {**_META, **params.get("_meta", {})}})


def text_is(expected: str) -> Check:
    """The check of a ``tools/call`` result: one text block with exactly this text, and no error."""

    def check(result: dict[str, Any]) -> str | None:
        content = result.get("content")
        if result.get("isError"):
            return f"isError: {str(content)[:200]}"
        if not isinstance(content, list) or len(content) != 1:
            return f"content is not one block: {str(content)[:200]}"
        if content[0].get("type") != "text" or content[0].get("text") != expected:
            return f"the text differs: {str(content[0])[:200]}"
        return None

    return check


def tools_are(count: int) -> Check:
    """The check of a ``tools/list`` result: all tools on one page, each with a name of its own and an input schema."""

    def check(result: dict[str, Any]) -> str | None:
        tools = result.get("tools")
        if not isinstance(tools, list) or len({tool.get("name") for tool in tools}) != count:
            return f"not {count} tools: {str(tools)[:200]}"
        if any(tool.get("inputSchema", {}).get("type") != "object" for tool in tools):
            return "a tool without an input schema"
        return None

    return check


is_tool_list: Final = tools_are(TOOL_COUNT)


def verify(era: Era, ids: Iterable[int], replies: bytes, check: Check) -> None:
    """Each id answered once, nothing else said, every result right. Raises :class:`WrongReply` otherwise."""
    waiting = set(ids)
    for line in replies.removesuffix(b"\n").split(b"\n"):
        verify_reply(era, waiting, line, check)
    if waiting:
        raise WrongReply(f"no reply to {len(waiting)} requests, the first of them id {min(waiting)}")


def verify_reply(era: Era, waiting: set[int], line: bytes, check: Check) -> None:
    """One JSON-RPC reply to one of the ids in ``waiting``, which it takes out of the set."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise WrongReply(f"not JSON: {line[:200]!r}") from error
    if not isinstance(message, dict) or type(message.get("id")) is not int:
        raise WrongReply(f"not a reply: {line[:200]!r}")
    number = message["id"]
    if number not in waiting:
        raise WrongReply(f"id {number} was answered twice or never asked")
    waiting.remove(number)
    result = message.get("result")
    if not isinstance(result, dict):
        raise WrongReply(f"id {number}: an error instead of a result: {line[:300]!r}")
    if era == "modern" and result.get("resultType") != "complete":
        raise WrongReply(f"id {number}: resultType is {result.get('resultType')!r}, not 'complete'")
    complaint = check(result)
    if complaint is not None:
        raise WrongReply(f"id {number}: {complaint}")
