"""What the ceilings of HTTP answer: constant results of both eras, with the request's id spliced in.

Each ceiling reads requests in its own way and writes its own heads; no parsing of HTTP happens here. A legacy session
is a member of a set, made by ``initialize`` and looked up by every request that names one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from orjson import dumps, loads

from mcpcore_bench.ceilings.ceiling_server import (
    CACHE,
    CAPABILITIES,
    ECHO,
    NO_META,
    PREFIX,
    SERVER,
    VERSION_KEY,
    both,
    failure,
    filler,
    schema,
    text,
)

__all__ = ["JSON", "SSE", "Answer", "Answers"]

JSON: Final = b"application/json"
SSE: Final = b"text/event-stream"
EVENT: Final = b"event: message\ndata: "
PROGRESS: Final = EVENT + b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'
PROGRESS_END: Final = b',"progress":1}}\n\n' + EVENT


@dataclass(slots=True)
class Answer:
    """``kind`` is a media type, or empty where there is no body. An event stream is one chunk."""

    status: int
    kind: bytes
    body: bytes
    session: bytes = b""


NOT_FOUND: Final = Answer(404, b"", b"")
ACCEPTED: Final = Answer(202, b"", b"")
NOT_ALLOWED: Final = Answer(405, b"", b"")
DELETED: Final = Answer(200, b"", b"")


class Answers:
    """One for each process. ``tools`` is the length of the list."""

    def __init__(self, tools: int) -> None:
        names = [f"filler_{number:03d}" for number in range(tools - 2)]
        listed = [
            *({"name": name, "description": "Returns its text.", "inputSchema": schema("text")} for name in TOOLS),
            *map(filler, names),
        ]
        self.sessions: set[bytes] = set()
        self.calls = dict.fromkeys((*TOOLS, *names), bare(text(ECHO)))
        self.methods = {
            "initialize": bare(
                both({"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES, "serverInfo": SERVER})
            ),
            "server/discover": bare(both({"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}, **CACHE)),
            "tools/list": bare(both({"tools": listed}, **CACHE)),
        }

    def post(self, body: bytes, session: bytes) -> Answer:
        """The answer to the body of a POST; ``session`` is the header's value, empty where there is none."""
        if session and session not in self.sessions:
            return NOT_FOUND
        message = loads(body)
        if "id" not in message:
            return ACCEPTED
        method = message["method"]
        params = message.get("params") or NO_META
        meta = params.get("_meta", NO_META)
        if method == "tools/call":
            tails = self.calls.get(params["name"], UNKNOWN_TOOL)
        else:
            tails = self.methods.get(method, UNKNOWN_METHOD)
        reply = b"%b%b%b" % (PREFIX, dumps(message["id"]), tails[VERSION_KEY in meta])
        if "progressToken" in meta and params.get("name") == "echo_progress":
            token = dumps(meta["progressToken"])
            return Answer(200, SSE, b"%b%b%b%b\n\n" % (PROGRESS, token, PROGRESS_END, reply))
        if method == "initialize":
            return Answer(200, JSON, reply, self.new_session())
        return Answer(200, JSON, reply)

    def other(self, method: bytes, session: bytes) -> Answer:
        """The answer to anything but a POST: a session can be deleted, and there is no standing stream."""
        if method != b"DELETE":
            return NOT_ALLOWED
        self.sessions.discard(session)
        return DELETED

    def new_session(self) -> bytes:
        session = uuid.uuid4().hex.encode()
        self.sessions.add(session)
        return session


def bare(tails: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The tails of lines without their newline."""
    return tails[0][:-1], tails[1][:-1]


TOOLS: Final = ("echo", "echo_progress")
UNKNOWN_METHOD: Final = bare(failure(-32601, "Method not found"))
UNKNOWN_TOOL: Final[Any] = bare(failure(-32602, "Unknown tool"))
