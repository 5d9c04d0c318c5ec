"""The ceiling of stdio servers: the least Python that can answer the benchmark's requests correctly, in both eras.

One decode for each line, one look-up, a constant result with the request's id spliced in, one write for each piece of
input. There is no validation, no handler and no limit: this is a yardstick, not a server. Cancellation, progress and
everything that the benchmarks do not ask for are absent. ``--cpu N`` binds the process to one core.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from orjson import dumps, loads

ECHO = "hello"
LINE = "The quick brown fox jumps over the lazy dog, 0123456789.\n"
BIG = (LINE * (65536 // len(LINE) + 1))[:65536]
HANDLERS = ("echo", "echo_await", "echo_sleep0", "echo_thread")
FILLERS = tuple(f"filler_{number:02d}" for number in range(45))

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
PREFIX = b'{"jsonrpc":"2.0","id":'
SERVER = {"name": "ceiling", "version": "0"}
CAPABILITIES: dict[str, Any] = {"tools": {}}
CACHE = {"ttlMs": 0, "cacheScope": "private"}
NO_META: dict[str, Any] = {}


def schema(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


def filler(name: str) -> dict[str, Any]:
    properties = {"text": {"type": "string"}, "count": {"type": "integer", "default": 1}}
    shape = {"type": "object", "properties": properties, "required": ["text"]}
    return {"name": name, "description": f"Does nothing; it is {name} of the list.", "inputSchema": shape}


TOOLS = [
    *({"name": name, "description": "Returns its text.", "inputSchema": schema("text")} for name in HANDLERS),
    {"name": "big", "description": "Returns 64 KiB of text.", "inputSchema": schema()},
    *(filler(name) for name in FILLERS),
]


def tail(result: dict[str, Any]) -> bytes:
    return b',"result":' + dumps(result) + b"}\n"


def both(result: dict[str, Any], **modern: Any) -> tuple[bytes, bytes]:
    """What follows the id in a reply: the legacy form, and the modern form with its required members."""
    return tail(result), tail({"resultType": "complete", **result, **modern})


def failure(code: int, message: str) -> tuple[bytes, bytes]:
    error = b',"error":' + dumps({"code": code, "message": message}) + b"}\n"
    return error, error


def text(value: str) -> tuple[bytes, bytes]:
    return both({"content": [{"type": "text", "text": value}]})


CALLS = {**dict.fromkeys((*HANDLERS, *FILLERS), text(ECHO)), "big": text(BIG)}
METHODS = {
    "initialize": both({"protocolVersion": "2025-11-25", "capabilities": CAPABILITIES, "serverInfo": SERVER}),
    "server/discover": both({"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}, **CACHE),
    "tools/list": both({"tools": TOOLS}, **CACHE),
}
UNKNOWN_METHOD = failure(-32601, "Method not found")
UNKNOWN_TOOL = failure(-32602, "Unknown tool")


class CeilingServer(asyncio.Protocol):
    """Answers on standard output what arrives on standard input."""

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self.rest = b""
        self.output: asyncio.WriteTransport

    def data_received(self, data: bytes) -> None:
        lines = (self.rest + data if self.rest else data).split(b"\n")
        self.rest = lines.pop()
        parts: list[bytes] = []
        for line in lines:
            message = loads(line)
            if "id" not in message:
                continue
            method = message["method"]
            params = message.get("params") or NO_META
            if method == "tools/call":
                tails = CALLS.get(params["name"], UNKNOWN_TOOL)
            else:
                tails = METHODS.get(method, UNKNOWN_METHOD)
            parts += (PREFIX, dumps(message["id"]), tails[VERSION_KEY in params.get("_meta", NO_META)])
        self.output.write(b"".join(parts))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = CeilingServer(loop.create_future())
    server.output, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    await loop.connect_read_pipe(lambda: server, sys.stdin)
    await server.ended


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cpu"]:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    asyncio.run(serve())
