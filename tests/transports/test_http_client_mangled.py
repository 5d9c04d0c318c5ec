"""Answers with wrong bytes in them: each call ends at once, with its result or with one of the documented errors."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.errors import CallTimeout, McpError
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire, text

ROUNDS = 250


def answers(id: Any) -> list[bytes]:
    message = json.dumps({"jsonrpc": "2.0", "id": id, "result": text("x" * 50)}).encode()
    event = b"id: e1\r\nretry: 1\r\ndata: " + message + b"\r\n\r\n"
    return [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(message), message),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event),
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + message,
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 307 Moved\r\nLocation: /mcp\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n",
    ]


def mangled(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place = chance.randrange(len(out) or 1)
        kind = chance.randrange(6)
        if kind == 0:
            del out[place : place + chance.choice((1, 1, 3, 20))]
        elif kind == 1:
            out[place:place] = bytes([chance.choice(b"\0\r\n :\xff1a{")])
        elif kind == 2 and out:
            out[place] = chance.randrange(256)
        elif kind == 3:
            del out[place:]
        elif kind == 4:
            end = place + chance.randrange(30)
            out[place:place] = out[place:end]
        else:
            out[place:place] = chance.randbytes(chance.randrange(5))
    return bytes(out)


@pytest.mark.parametrize("revision", [MODERN, LEGACY])
def test_mangled_answers_end_their_calls_and_nothing_else(revision: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        chance = random.Random(revision)
        wrong = True

        def answer(asked: Asked, wire: Wire) -> None:
            if wrong:
                wire.send(mangled(chance.choice(answers(asked.id)), chance))
                wire.close()
            else:
                toy.usual(asked, wire)

        toy = HttpToy(revision, session=None, handlers={"tools/call": answer})
        seen = set()
        async with toy, Client(toy.url, close_timeout=0.5) as client:
            for number in range(ROUNDS):
                try:
                    await client.call_tool("x", timeout=5)
                    seen.add("result")
                except CallTimeout:
                    raise AssertionError(f"round {number} of seed {revision} hung") from None
                except McpError as error:
                    seen.add(type(error).__name__)
            wrong = False
            assert (await client.call_tool("x")).text == "called"
        assert {"result", "ConnectionLost", "ProtocolViolation", "HttpError", "Unauthorized"} <= seen

    asyncio.run(main())
    assert not [record for record in caplog.records if record.exc_info], "a fault of ours"
