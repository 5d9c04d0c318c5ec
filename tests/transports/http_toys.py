"""A scripted HTTP server on a real socket: it answers by a table, byte for byte as a test says, and keeps what it got.

``handlers``: a JSON-RPC method, or ``GET`` and ``DELETE``, -> a result object, or a function ``(asked, wire)`` that
writes the answer itself. Without an entry it behaves as a server of its revision does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

MODERN, LEGACY = "2026-07-28", "2025-11-25"
JSON = "application/json"
Handler = Callable[["Asked", "Wire"], Any]
DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": [MODERN],
    "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {}},
}


class Asked:
    """One request as it came."""

    def __init__(self, verb: str, target: str, headers: dict[str, str], body: bytes, number: int) -> None:
        self.verb = verb
        self.target = target
        self.headers = headers
        self.body = body
        self.connection = number
        self.message: Any = json.loads(body) if body else None

    @property
    def method(self) -> str:
        """The JSON-RPC method; of other requests the HTTP method; of an answer ``"answer"``."""
        if not isinstance(self.message, dict):
            return self.verb
        return str(self.message.get("method", "answer"))

    @property
    def id(self) -> Any:
        return self.message["id"]

    def __repr__(self) -> str:
        return f"<Asked {self.verb} {self.method}>"


class Wire:
    """The connection that a request came on."""

    def __init__(self, toy: HttpToy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.toy = toy
        self.number = number
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)

    def answer(self, status: int, body: bytes | str = b"", kind: str | None = "text/plain", **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
        lines += [f"Content-Type: {kind}"] if kind is not None and data else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    def json(self, message: Any, status: int = 200, **headers: str) -> None:
        self.answer(status, json.dumps(message), JSON, **headers)

    def result(self, asked: Asked, result: Any, **headers: str) -> None:
        self.json({"jsonrpc": "2.0", "id": asked.id, "result": result}, 200, **headers)

    def error(self, asked: Asked, code: int, text: str = "no", status: int = 400, data: Any = None) -> None:
        error = {"code": code, "message": text} | ({} if data is None else {"data": data})
        self.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, status)

    def stream(self, **headers: str) -> None:
        """The head of an event stream; its events follow in chunks."""
        lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def chunk(self, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def event(self, message: Any = None, *, id: str | None = None, retry: int | None = None, event: str = "") -> None:
        lines = [f"id: {id}"] if id is not None else []
        lines += [f"retry: {retry}"] if retry is not None else []
        lines += [f"event: {event}"] if event else []
        text = message if isinstance(message, str) else "" if message is None else json.dumps(message)
        self.chunk("\n".join([*lines, f"data: {text}"]) + "\n\n")

    def reply(self, asked: Asked, result: Any, *, id: str | None = None) -> None:
        """The answer as an event."""
        self.event({"jsonrpc": "2.0", "id": asked.id, "result": result}, id=id)

    def notify(self, method: str, params: Any = None, *, id: str | None = None) -> None:
        self.event({"jsonrpc": "2.0", "method": method, "params": params or {}}, id=id)

    def end(self) -> None:
        """The end of a chunked answer."""
        self.send(b"0\r\n\r\n")

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed(self) -> None:
        """Wait until the client has closed its side."""
        try:
            await self.reader.read()
        except ConnectionError:
            pass


class HttpToy:
    """``async with HttpToy(...) as toy: Client(toy.url)``."""

    def __init__(
        self,
        revision: str = MODERN,
        *,
        session: str | None = "s1",
        path: str = "/mcp",
        tls: ssl.SSLContext | None = None,
        handlers: dict[str, Any] | None = None,
    ) -> None:
        self.revision = revision
        self.session = session if revision != MODERN else None
        self.path = path
        self.handlers: dict[str, Any] = handlers or {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self._tls = tls
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self.path}"

    async def __aenter__(self) -> HttpToy:
        await self.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls, backlog=4096, limit=1 << 26
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def sent(self, method: str | None = None) -> list[Asked]:
        return [asked for asked in self.asked if method is None or asked.method == method]

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    async def seen(self, method: str, count: int = 1) -> Asked:
        """Wait until so many have come; the last of them."""
        async with asyncio.timeout(10):
            while len(self.sent(method)) < count:
                self._news.clear()
                await self._news.wait()
        return self.sent(method)[count - 1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        wire = Wire(self, reader, writer, number)
        try:
            while True:
                asked = await self._read(reader, number)
                if asked is None:
                    return
                self.asked.append(asked)
                self._news.set()
                outcome = self._answer(asked, wire)
                if asyncio.iscoroutine(outcome):
                    await outcome
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Asked | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        start, *lines = head.split("\r\n")
        verb, target, _ = start.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        length = int(headers.get("content-length", 0))
        return Asked(verb, target, headers, await reader.readexactly(length) if length else b"", number)

    def _answer(self, asked: Asked, wire: Wire) -> Any:
        handler = self.handlers.get(asked.method, self.handlers.get("*"))
        if callable(handler):
            return handler(asked, wire)
        if handler is not None:
            return wire.result(asked, handler)
        return self.usual(asked, wire)

    def usual(self, asked: Asked, wire: Wire) -> None:
        """What a server of its revision answers."""
        method = asked.method
        if asked.verb in ("GET", "DELETE"):
            wire.answer(405 if asked.verb == "GET" else 200)
        elif "id" not in asked.message or method == "answer":
            wire.answer(202)
        elif method != "initialize" and self.session not in (None, asked.headers.get("mcp-session-id")):
            self._refuse_session(asked, wire)
        elif method == "server/discover" and self.revision == MODERN:
            wire.result(asked, DISCOVERED)
        elif method == "initialize" and self.revision != MODERN:
            info = {"name": "toy", "version": "1"}
            capabilities = {"tools": {}, "logging": {}, "resources": {"subscribe": True}}
            result = {"protocolVersion": self.revision, "capabilities": capabilities, "serverInfo": info}
            wire.result(asked, result, **({} if self.session is None else {"Mcp_Session_Id": self.session}))
        elif method == "tools/call":
            wire.result(asked, text("called"))
        elif method == "tools/list":
            wire.result(asked, {"tools": [{"name": "x", "inputSchema": {"type": "object"}}]})
        elif method in ("logging/setLevel", "resources/subscribe", "resources/unsubscribe", "ping"):
            wire.result(asked, {})
        else:
            wire.error(asked, -32601, "Method not found", 404 if self.revision == MODERN else 200)

    def _refuse_session(self, asked: Asked, wire: Wire) -> None:
        if "mcp-session-id" in asked.headers:
            wire.error(asked, -32600, "Session not found", 404)
        else:
            wire.error(asked, -32600, "Bad Request: Missing session ID", 400)


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def silence(asked: Asked, wire: Wire) -> Any:
    """No answer, ever; the connection stays until the client closes it."""
    return wire.closed()
