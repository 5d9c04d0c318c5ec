"""A plain HTTP client for what no SDK shows: when a byte came, which header it came with. Standard library only.

What lives here: one POST with its whole answer, and an event stream that is read in a thread of its own. Nothing here
knows the protocol beyond JSON-RPC and the headers that both eras want; nothing here judges.
"""

from __future__ import annotations

import http.client
import itertools
import json
import queue
import threading
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

__all__ = ["Arrival", "Events", "Legacy", "Modern", "Response"]

SECONDS: Final = 20.0
ACCEPT: Final = "application/json, text/event-stream"
META: Final = "io.modelcontextprotocol/"
Message = dict[str, Any]


@dataclass
class Response:
    """A whole answer; ``messages`` are the JSON-RPC messages in it, whether they came as JSON or as events."""

    status: int
    headers: dict[str, str]
    messages: list[Message]

    @property
    def result(self) -> Message:
        result: Message = self.messages[-1]["result"]
        return result


class Arrival(NamedTuple):
    message: Message
    at: float
    """When it came, on the clock of ``time.monotonic``."""


class Events:
    """An event stream: what comes is put into a queue, with the time. ``close`` breaks the connection."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._connection = connection
        self._response = response
        self._arrivals: queue.Queue[Arrival | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def next(self, seconds: float = SECONDS) -> Arrival:
        """The next message. Raises ``queue.Empty`` when none came in time, ``EOFError`` when the stream ended."""
        arrival = self._arrivals.get(timeout=seconds)
        if arrival is None:
            self._arrivals.put(None)
            raise EOFError("the stream ended")
        return arrival

    def close(self) -> None:
        sock = self._connection.sock
        if sock is not None:
            sock.shutdown(2)
        self._thread.join(SECONDS)
        self._connection.close()

    def _read(self) -> None:
        data: list[bytes] = []
        try:
            while line := self._response.readline():
                line = line.rstrip(b"\r\n")
                if line.startswith(b"data:"):
                    data.append(line[5:].strip())
                elif not line and data:
                    text = b"\n".join(data)
                    data.clear()
                    if text:
                        self._arrivals.put(Arrival(json.loads(text), time.monotonic()))
        except (OSError, http.client.HTTPException, AttributeError):
            pass  # closed from this side, or cut off: both end the stream
        self._arrivals.put(None)


class Speaker:
    """Requests to one endpoint; a subclass knows what its era wants around them."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urllib.parse.urlsplit(url)
        self.authority, self.path = parts.netloc, parts.path
        self._ids = itertools.count(1)

    def headers_of(self, message: Message) -> dict[str, str]:
        raise NotImplementedError

    def message(self, method: str, params: Message) -> Message:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    def request(self, method: str, **params: Any) -> Response:
        """Asks and reads the whole answer."""
        return self.send(self.message(method, params))

    def stream(self, method: str, **params: Any) -> Events:
        """Asks and reads the answer event by event."""
        message = self.message(method, params)
        return self.open("POST", self.headers_of(message), json.dumps(message).encode())

    def send(self, message: Message) -> Response:
        connection, response = self._exchange("POST", self.headers_of(message), json.dumps(message).encode())
        try:
            body = response.read()
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, _messages(headers.get("content-type", ""), body))

    def open(self, http_method: str, headers: dict[str, str], body: bytes | None = None) -> Events:
        return Events(*self._exchange(http_method, headers, body))

    def _exchange(
        self, http_method: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.authority, timeout=SECONDS)
        try:
            connection.request(http_method, self.path, body, {"Accept": ACCEPT, **headers})
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            connection.sock.settimeout(None)  # a stream may be silent for as long as it likes
        return connection, response


class Modern(Speaker):
    """2026-07-28: each request carries everything. It claims no capabilities."""

    revision = "2026-07-28"

    def message(self, method: str, params: Message) -> Message:
        facts = {
            f"{META}protocolVersion": self.revision,
            f"{META}clientCapabilities": {},
            f"{META}clientInfo": {"name": "raw", "version": "1"},
        }
        return super().message(method, {**params, "_meta": {**facts, **params.get("_meta", {})}})

    def headers_of(self, message: Message) -> dict[str, str]:
        params = message["params"]
        headers = {
            "Content-Type": "application/json",
            "MCP-Protocol-Version": self.revision,
            "Mcp-Method": message["method"],
        }
        name = params.get("name") or params.get("uri")
        return {**headers, "Mcp-Name": name} if name else headers


class Legacy(Speaker):
    """2025-11-25: a session, opened by the constructor. It claims no capabilities."""

    revision = "2025-11-25"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session: str | None = None
        facts = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        opened = self.request("initialize", **facts)
        assert opened.status == 200, opened
        self.session = opened.headers["mcp-session-id"]
        assert self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202

    def headers_of(self, message: Message) -> dict[str, str]:
        return {"Content-Type": "application/json", **self.session_headers()}

    def session_headers(self) -> dict[str, str]:
        return {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.revision} if self.session else {}

    def standing(self) -> Events:
        """The stream of what belongs to no request."""
        return self.open("GET", self.session_headers())

    def end(self) -> int:
        connection, response = self._exchange("DELETE", self.session_headers(), None)
        response.read()
        connection.close()
        return response.status


def _messages(content_type: str, body: bytes) -> list[Message]:
    if content_type.startswith("application/json") and body:
        message = json.loads(body)
        return message if isinstance(message, list) else [message]
    data = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    return [json.loads(text) for text in data if text]
