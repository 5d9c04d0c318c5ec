"""JSON-RPC 2.0 messages: how they are written. Frames are bytes without a separator; a transport adds its own.

An id is opaque: a string or an integer, echoed exactly. ``NO_ID`` leaves the member out, ``None`` writes null.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/index#messages
"""

from __future__ import annotations

import re
from typing import Any, Final

from mcpcore.jsonrpc.codec import decode, encode

__all__ = ["NO_ID", "error_frame", "id_in_head", "is_answer", "notification_frame", "request_frame", "result_frame"]

Id = int | str


class _NoId:
    __slots__ = ()


NO_ID: Final = _NoId()


def request_frame(id: Id, method: str, params: dict[str, Any] | None) -> bytes:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
    if params is not None:
        message["params"] = params
    return encode(message)


def notification_frame(method: str, params: dict[str, Any] | None) -> bytes:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return encode(message)


def result_frame(id: Id, result: dict[str, Any]) -> bytes:
    return encode({"jsonrpc": "2.0", "id": id, "result": result})


def error_frame(id: Id | _NoId | None, code: int, message: str, data: Any = None) -> bytes:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    frame: dict[str, Any] = {"jsonrpc": "2.0"}
    if not isinstance(id, _NoId):
        frame["id"] = id
    frame["error"] = error
    return encode(frame)


_ID_IN_HEAD = re.compile(
    rb'\A\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(-?\d{1,20}|"(?:[^"\\]|\\.){0,256}")\s*,'
)

_ANSWER = re.compile(rb'\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"\s*:')


def is_answer(head: bytes) -> bool:
    """Whether a message of which only the first bytes were kept is an answer, with its id at the very front."""
    found = _ID_IN_HEAD.match(head)
    return found is not None and _ANSWER.match(head, found.end()) is not None


def id_in_head(head: bytes) -> Id | None:
    """The id of a message of which only the first bytes were kept, where it stands at the very front."""
    found = _ID_IN_HEAD.match(head)
    if found is None:
        return None
    try:
        id = decode(found[1])
    except ValueError:
        return None
    return id if isinstance(id, int | str) else None
