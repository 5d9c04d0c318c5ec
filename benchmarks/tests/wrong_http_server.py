"""An HTTP server that is wrong in one way, which its argument names. The load generator must catch each of them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

WRONG_AT = 40
"""The tools/call, counted over all connections, at which the server goes wrong."""
FAULT, PORT = sys.argv[1], int(sys.argv[2].partition("=")[2])
seen = 0


def http(body: bytes, *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers]
    if "Transfer-Encoding: chunked" not in lines:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def reply(number: object, text: str = "hello") -> bytes:
    result = {"resultType": "complete", "content": [{"type": "text", "text": text}]}
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


def events(number: object, *tokens: object) -> bytes:
    said = [
        json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token}}).encode()
        for token in tokens
    ]
    body = b"id: 1\ndata: \n\n" + b"".join(b"event: message\ndata: %b\n\n" % each for each in (*said, reply(number)))
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))
    return http(chunks, "Transfer-Encoding: chunked", kind="text/event-stream")


def answer(fault: str, number: int, token: object) -> bytes:
    if token is not None:
        return {
            "no progress": events(number),
            "two progress": events(number, token, token),
            "another token": events(number, 7),
            "JSON for SSE": http(reply(number)),
        }.get(fault, events(number, token))
    return {
        "wrong content": http(reply(number, "hallo")),
        "another id": http(reply(number + 1)),
        "an id as text": http(reply(str(number))),
        "an error": http(json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": -1, "message": "no"}}).encode()),
        "status 500": http(reply(number), status="500 Internal Server Error"),
        "another type": http(reply(number), kind="text/plain"),
        "SSE for JSON": events(number),
        "not JSON": http(b"hello there"),
        "no length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + reply(number),
        "a bad length": http(reply(number)).replace(b"Content-Length: ", b"Content-Length: x"),
        "two replies": http(reply(number)) + http(reply(number)),
        "HTTP/1.0": http(reply(number)).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "closes": b"",
    }.get(fault, http(reply(number)))


def respond(message: dict[str, Any]) -> bytes | None:
    """The bytes to send; empty closes the connection, None leaves it waiting."""
    global seen
    method, number = message["method"], message.get("id")
    if number is None:
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18"}
        return http(json.dumps({"id": number, "result": result}).encode(), "Mcp-Session-Id: abc")
    seen += 1
    fault = FAULT if seen == WRONG_AT else ""
    if fault == "dies":
        sys.exit("the reason stands in its stderr")
    if FAULT == "falls silent" and seen >= WRONG_AT:
        return None
    return answer(fault, number, message["params"].get("_meta", {}).get("progressToken"))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            break
        lines = head.decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        message = json.loads(await reader.readexactly(length))
        if message["method"] != "initialize":
            expected = ["mcp-session-id: abc", "mcp-protocol-version: 2025-06-18"]
            assert all(line in lines for line in expected), lines
        said = respond(message)
        if said == b"":
            break
        if said is not None:
            writer.write(said)
    writer.close()


async def main() -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", PORT) as server:
        await server.serve_forever()


asyncio.run(main())
