"""A raw HTTP client, and a server in the same loop: what tests of the HTTP server see is what stands on the wire.

It reads answers with a parser of its own, strictly: a status line, unique fields, a body whose end is told. It knows
nothing of the code under test but how to start it. Every JSON-RPC message of a ``Talk`` goes to the judge
(``tests/schema_judge.py``). Leaving ``serving`` fails for whatever is left behind: connections, open answers, sessions,
conversations, tasks, errors in the log or in the loop.

    async with serving(server) as served, served.talk() as talk:          # 2026-07-28
        answer = await talk.ask("tools/call", {"name": "add", "arguments": {"a": 1}})
    async with serving(server) as served, served.talk("2025-11-25") as talk: ...     # with its handshake done
    async with serving(server) as served, served.connect() as raw: ...    # bytes
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple

from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer
from tests.schema_judge import AVAILABLE, Judge

__all__ = [
    "BOTH",
    "LEGACY",
    "META",
    "MODERN",
    "PATIENCE",
    "Answer",
    "Event",
    "Post",
    "Raw",
    "Served",
    "Talk",
    "envelope",
    "request",
    "request_with",
    "serving",
    "standard_fields",
]

Message = dict[str, Any]
Fields = Mapping[str, str | None]

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
BOTH = "application/json, text/event-stream"
PATIENCE = 10.0
"""Seconds after which a wait fails; nothing here takes as long unless it is broken."""

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e\x80-\xff\t]*)\r\n")
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


# -- bytes to send -----------------------------------------------------------------------------------------------------


def request(method: str = "POST", target: str = "/mcp", body: bytes = b"", **fields: str | None) -> bytes:
    """One request. Underscores in names of fields stand for dashes; a field given as ``None`` is left out."""
    return request_with(method, target, body, fields)


def request_with(method: str, target: str, body: bytes, fields: Fields) -> bytes:
    ordinary: dict[str, str | None] = {"host": "localhost:8000", "accept": BOTH}
    if method == "POST":
        ordinary["content_type"] = "application/json"
    if body:
        ordinary["content_length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in (ordinary | dict(fields)).items():
        if value is not None:
            lines.append(f"{name.replace('_', '-')}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def envelope(capabilities: Message | None = None, **more: Any) -> Message:
    """The ``_meta`` of a 2026-07-28 request; ``more`` are further keys, the protocol's own without their prefix."""
    meta: Message = {
        f"{META}protocolVersion": MODERN,
        f"{META}clientInfo": {"name": "wire", "version": "1"},
        f"{META}clientCapabilities": capabilities or {},
    }
    prefixed = ("logLevel", "clientInfo", "protocolVersion")
    return meta | {f"{META}{key}" if key in prefixed else key: value for key, value in more.items()}


def standard_fields(message: Message) -> dict[str, str | None]:
    """The header fields that 2026-07-28 wants of this request."""
    method = message["method"]
    fields: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
    name = message.get("params", {}).get(_NAMED.get(method, ""))
    if isinstance(name, str):
        fields["mcp_name"] = name
    return fields


# -- what comes back ---------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """One whole answer, or the head of a stream."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.fields.get("content-type") == "application/json", self
        return json.loads(self.body)

    @property
    def error(self) -> Message:
        error: Message = self.json["error"]
        return error


class Event(NamedTuple):
    """One event of a stream. ``id`` and ``retry`` are what stood in this event."""

    data: bytes
    id: str | None = None
    event: str | None = None
    retry: int | None = None

    @property
    def message(self) -> Any:
        return json.loads(self.data)


class Raw:
    """One connection, read strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.comments = 0
        """Keep-alive comments that came on the stream."""
        self._chunked = False
        self._events = b""

    async def __aenter__(self) -> Raw:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- sending -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def half_close(self) -> None:
        """Send nothing more, and go on reading."""
        self.writer.write_eof()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    def reset(self) -> None:
        """Break the connection as a process that was killed would: no goodbye."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def head(self) -> Answer:
        """The head of the next answer; interim ones count."""
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
            found = _STATUS.fullmatch(line)
            assert found is not None, f"no status line: {line!r}"
            fields: dict[str, str] = {}
            while (line := await self.reader.readline()) != b"\r\n":
                field = _FIELD.fullmatch(line)
                assert field is not None, f"no header field: {line!r}"
                name = field[1].decode().lower()
                assert name not in fields, f"{name} came twice"
                fields[name] = field[2].decode("latin-1")
        status = int(found[1])
        assert status < 200 or "date" in fields, fields
        self._chunked = fields.get("transfer-encoding") == "chunked"
        return Answer(status, fields, b"")

    async def answer(self, *, to: str = "POST") -> Answer:
        """The next answer, whole. ``to`` is the method that it answers: HEAD has no body."""
        status, fields, _ = await self.head()
        async with asyncio.timeout(PATIENCE):
            if self._chunked:
                body = b""
                while piece := await self._chunk():
                    body += piece
            elif to == "HEAD" or status in (204, 304) or status < 200:
                body = b""
            elif "content-length" in fields:
                body = await self.reader.readexactly(int(fields["content-length"]))
            else:
                assert fields.get("connection") == "close", "an answer without an end"
                body = await self.reader.read()
        return Answer(status, fields, body)

    async def stream(self) -> Answer:
        """The head of an event stream, which this has to be."""
        head = await self.head()
        assert head.status == 200, (head, await self.reader.read(2000))
        assert head.fields["content-type"] == "text/event-stream", (head, await self.reader.read(2000))
        return head

    async def event(self) -> Event:
        """The next event; comments are counted."""
        event = await self.event_or_end()
        assert event is not None, "the stream ended"
        return event

    async def event_or_end(self) -> Event | None:
        """The next event; ``None`` at the proper end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while True:
                block, found, rest = self._events.partition(b"\n\n")
                if found:
                    self._events = rest
                    event = self._parsed(block)
                    if event is not None:
                        return event
                    continue
                piece = await self._chunk() if self._chunked else await self.reader.read(65536)
                if not piece:
                    assert not self._events, f"half an event at the end: {self._events!r}"
                    return None
                self._events += piece

    async def rest(self) -> list[Event]:
        """The events up to the proper end of the stream."""
        events: list[Event] = []
        while (event := await self.event_or_end()) is not None:
            events.append(event)
        return events

    async def _chunk(self) -> bytes:
        """One chunk; ``b""`` for the last."""
        size = await self.reader.readline()
        assert re.fullmatch(rb"[0-9a-f]+\r\n", size), f"no chunk size: {size!r}"
        data = await self.reader.readexactly(int(size, 16))
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    def _parsed(self, block: bytes) -> Event | None:
        data: list[bytes] = []
        id = name = None
        retry = None
        for line in block.split(b"\n"):
            assert b"\r" not in line, line
            if line[:1] == b":":
                self.comments += 1
                continue
            field, _, value = line.partition(b": ")
            if field == b"data":
                data.append(value)
            elif field == b"id":
                id = value.decode()
            elif field == b"event":
                name = value.decode()
            elif field == b"retry":
                retry = int(value)
            else:
                raise AssertionError(f"an unknown line in an event: {line!r}")
        return Event(b"\n".join(data), id, name, retry) if data else None

    async def closed(self) -> bytes:
        """What comes until the server has closed the connection, a reset included."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.read()
        except ConnectionError:
            return b""

    async def quiet(self) -> None:
        """Nothing has come that was not read; asked after something else showed that it would be here by now."""
        await asyncio.sleep(0)
        assert not self.reader._buffer, bytes(self.reader._buffer)  # type: ignore[attr-defined]


class Post:
    """One POST or GET of a conversation, and what comes back on its connection."""

    def __init__(self, talk: Talk, raw: Raw) -> None:
        self.talk = talk
        self.raw = raw
        self.last_id: str | None = None
        """The event id that came last."""
        self.head: Answer | None = None

    async def answer(self) -> Answer:
        """A whole answer, whose message, if it is JSON, goes to the judge."""
        self.head = answer = await self.raw.answer()
        if answer.fields.get("content-type") == "application/json":
            self.talk.judged("server", answer.body)
        return answer

    async def stream(self) -> Answer:
        self.head = await self.raw.stream()
        return self.head

    async def event(self) -> Event:
        """The next event as it is, priming ones included, behind the head; a message goes to the judge."""
        if self.head is None:
            await self.stream()
        event = await self.raw.event()
        self._note(event)
        return event

    async def message(self) -> Any:
        """The next message on the stream."""
        while True:
            event = await self.event()
            if event.data:
                return event.message

    async def rest(self) -> list[Any]:
        """The messages up to the proper end of the stream."""
        if self.head is None:
            await self.stream()
        events = await self.raw.rest()
        for event in events:
            self._note(event)
        return [event.message for event in events if event.data]

    def _note(self, event: Event) -> None:
        if event.id is not None:
            self.last_id = event.id
        if event.data:
            self.talk.judged("server", event.data)


class Talk:
    """One client's conversation: each message is a request of its own, on a connection of its own unless one is given.

    ``session`` is the id of its legacy session.
    """

    def __init__(self, served: Served, revision: str, fields: Fields) -> None:
        self.served = served
        self.revision = revision
        self.session: str | None = None
        self.fields: dict[str, str | None] = dict(fields)
        self.judge: Judge | None = Judge() if AVAILABLE else None
        """Set to ``None`` by a test whose own breaches would confuse it."""
        self._ids = 0
        self._opened: list[Raw] = []

    def judged(self, side: Any, data: bytes) -> None:
        if self.judge is not None and data:
            self.judge.frame(side, data)

    # -- saying --------------------------------------------------------------------------------------------------------

    def message(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        """A request with an id of its own and, in 2026-07-28, with its envelope."""
        if id is None:
            self._ids += 1
            id = self._ids
        if self.revision == MODERN:
            params = {"_meta": envelope(**meta), **(params or {})}
        elif meta:
            params = {"_meta": meta, **(params or {})}
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        return message if params is None else {**message, "params": params}

    def bytes_of(self, message: Any, **fields: str | None) -> bytes:
        """The POST of a message, with the fields of its era."""
        return self._bytes_of(message, fields)

    def _bytes_of(self, message: Any, fields: Fields) -> bytes:
        own: dict[str, str | None] = dict(self.fields)
        if self.revision == MODERN:
            if isinstance(message, dict) and "id" in message and "method" in message:
                own |= standard_fields(message)
            else:
                own["mcp_protocol_version"] = MODERN
        elif self.session is not None:
            own["mcp_session_id"] = self.session
            own["mcp_protocol_version"] = self.revision if self.revision >= "2025-06-18" else None
        return request_with("POST", "/mcp", json.dumps(message).encode(), own | dict(fields))

    async def post(self, message: Any, *, on: Raw | None = None, **fields: str | None) -> Post:
        """Send a message, or a batch of them."""
        return await self._post(message, on, fields)

    async def _post(self, message: Any, on: Raw | None, fields: Fields) -> Post:
        self.judged("client", json.dumps(message).encode())
        raw = on or await self.connect()
        raw.send(self._bytes_of(message, fields))
        return Post(self, raw)

    async def call(
        self, method: str, params: Message | None = None, id: Any = None, *, on: Raw | None = None, **meta: Any
    ) -> Post:
        """Send a request."""
        return await self.post(self.message(method, params, id, **meta), on=on)

    async def get(self, last_event_id: str | None = None, **fields: str | None) -> Post:
        """Open the standing stream of the session, or resume one."""
        own: dict[str, str | None] = {**self.fields, "accept": "text/event-stream", "mcp_session_id": self.session}
        own["mcp_protocol_version"] = self.revision if self.revision >= "2025-06-18" else None
        raw = await self.connect()
        raw.send(request_with("GET", "/mcp", b"", own | {"last_event_id": last_event_id} | fields))
        return Post(self, raw)

    async def delete(self, **fields: str | None) -> Answer:
        raw = await self.connect()
        raw.send(request_with("DELETE", "/mcp", b"", {**self.fields, "mcp_session_id": self.session} | fields))
        return await raw.answer()

    async def connect(self) -> Raw:
        raw = await self.served.open()
        self._opened.append(raw)
        return raw

    # -- whole rounds --------------------------------------------------------------------------------------------------

    async def ask(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        """The response to a request that is answered by JSON, whatever its status."""
        message: Message = (await (await self.call(method, params, id, **meta)).answer()).json
        return message

    async def result(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        response = await self.ask(method, params, id, **meta)
        assert "result" in response, response
        result: Message = response["result"]
        return result

    async def tell(self, method: str, params: Message | None = None, **fields: str | None) -> Answer:
        """A notification, which is accepted."""
        message: Message = {"jsonrpc": "2.0", "method": method}
        return await self._accepted(message if params is None else {**message, "params": params}, fields)

    async def reply(self, request: Message, result: Message) -> Answer:
        """The answer to a request of the server, which is accepted."""
        return await self._accepted({"jsonrpc": "2.0", "id": request["id"], "result": result}, {})

    async def _accepted(self, message: Message, fields: Fields) -> Answer:
        answer = await (await self._post(message, None, fields)).answer()
        assert (answer.status, answer.body) == (202, b""), answer
        return answer

    async def shake(self, capabilities: Message | None = None) -> Message:
        """The legacy handshake; returns its result."""
        info = {"name": "wire", "version": "1"}
        params = {"protocolVersion": self.revision, "capabilities": capabilities or {}, "clientInfo": info}
        answer = await (await self.call("initialize", params, "initialize")).answer()
        assert answer.status == 200, answer
        self.session = answer.fields.get("mcp-session-id")
        await self.tell("notifications/initialized")
        result: Message = answer.json["result"]
        return result

    async def close(self) -> None:
        for raw in self._opened:
            await raw.close()

    def faults(self) -> list[str]:
        """What the server did wrong, as the judge sees it."""
        return [] if self.judge is None else [one for one in self.judge.violations if one.startswith("server: ")]


class Served:
    """A server that listens."""

    def __init__(self, http: HttpServer, unix: str | None = None) -> None:
        self.http = http
        self._unix = unix

    @property
    def endpoint(self) -> Any:
        return self.http.site.endpoint

    async def open(self) -> Raw:
        if self._unix is not None:
            return Raw(*await asyncio.open_unix_connection(self._unix))
        return Raw(*await asyncio.open_connection("127.0.0.1", self.http.port))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Raw]:
        raw = await self.open()
        async with raw:
            yield raw

    async def once(self, data: bytes, *, to: str = "POST") -> Answer:
        """The answer to these bytes, on a connection of its own."""
        async with self.connect() as raw:
            raw.send(data)
            return await raw.answer(to=to)

    @asynccontextmanager
    async def talk(
        self,
        revision: str = MODERN,
        capabilities: Message | None = None,
        *,
        shake: bool = True,
        fields: Fields | None = None,
    ) -> AsyncIterator[Talk]:
        """A conversation. In a legacy revision the handshake is done, with these capabilities. ``fields`` come with
        every request."""
        talk = Talk(self, revision, fields or {})
        try:
            if revision != MODERN and shake:
                await talk.shake(capabilities)
            yield talk
        finally:
            await talk.close()
        assert talk.faults() == []


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(logging.Formatter().format(record))


@asynccontextmanager
async def serving(server: Any, *, errors: bool = False, **options: Any) -> AsyncIterator[Served]:
    """The server on a free port, or on ``unix``. ``errors``: errors in log and loop are what the test is about."""
    loop = asyncio.get_running_loop()
    raised: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))
    handler = _Errors()
    logger = logging.getLogger("mcpcore")
    logger.addHandler(handler)
    before = asyncio.all_tasks()
    http = HttpServer(server, HttpOptions(**({"port": 0} | options)))
    try:
        await http.start()
        try:
            yield Served(http, options.get("unix"))
        finally:
            await http.stop(0.0)
            assert (http.connections, http._refused) == (set(), set())
    finally:
        logger.removeHandler(handler)
    await asyncio.sleep(0)
    assert errors or (raised, handler.found) == ([], [])
    endpoint = http.site.endpoint
    assert (endpoint.open, endpoint._streams, len(endpoint.sessions), http.site.buffering) == ({}, {}, 0, 0)
    assert not server._runners
    left = asyncio.all_tasks() - before
    assert not left, left
