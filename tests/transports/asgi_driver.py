"""An ASGI server by hand: scopes go in, the messages that an application sends are held to the specification.

    async with running(app) as stage:                       # no lifespan scope; ``lifespan=True`` for one
        answer = await stage.modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
        request = stage.begin("GET", "/mcp", headers)       # a request that is under way
        await request.event(); request.disconnect(); await request.over()

Leaving ``running`` fails where a request is still being served. Nothing here knows the code under test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.transports.http_wire import BOTH, envelope, standard_fields

__all__ = ["Answer", "Lifespan", "Request", "Stage", "initialize", "running", "scope_of"]

PATIENCE = 10.0
Message = dict[str, Any]


def scope_of(
    method: str,
    path: str,
    headers: Mapping[str, str | None] | Iterable[tuple[str, str]] = (),
    *,
    root: str | None = None,
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000),
    raw_path: str | None = "",
    version: str = "1.1",
    **more: Any,
) -> Message:
    """An ``http`` scope. ``raw_path`` is the path, unless another one is given; ``None`` leaves it out. ``more``
    are further members."""
    path, _, query = path.partition("?")
    fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name == "host" for name, _ in fields):
        fields.insert(0, ("host", "127.0.0.1:8000"))
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": version,
        "method": method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields if value is not None],
        "client": ("127.0.0.1", 50000),
        "server": server,
        **more,
    }
    if raw_path is not None:
        scope["raw_path"] = (raw_path or path).encode()
    if root is not None:
        scope["root_path"] = root
    return scope


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers.get("content-type") == "application/json", self
        return json.loads(self.body)

    @property
    def result(self) -> Message:
        result: Message = self.json["result"]
        return result

    @property
    def error(self) -> Message:
        error: Message = self.json["error"]
        return error

    @property
    def text(self) -> str:
        """Of the first content of a tool's result."""
        text: str = self.result["content"][0]["text"]
        return text


class Request:
    """One request that is under way. While ``stalled``, the application's ``send`` does not return."""

    def __init__(self, app: Any, scope: Message, body: Iterable[bytes] | None) -> None:
        self.received = 0
        """Calls of ``receive`` that got an answer."""
        self.asked = 0
        """Calls of ``receive``."""
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self.fails = False
        """Whether ``send`` raises, as a server may whose client is gone."""
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._news = asyncio.Event()
        self._read = 0
        if body is not None:
            self.feed(body)
        self.task = asyncio.create_task(app(scope, self._receive, self._send))
        self.task.add_done_callback(lambda _: self._news.set())

    # -- the server's side ---------------------------------------------------------------------------------------------

    def feed(self, body: Iterable[bytes], *, more: bool = False) -> None:
        """Pieces of the body; the last one of them is the last one, unless ``more`` follow."""
        pieces = list(body) or [b""]
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1 and not more
            self._inbox.put_nowait({"type": "http.request", "body": piece, "more_body": not last})

    def disconnect(self) -> None:
        self._inbox.put_nowait({"type": "http.disconnect"})

    def stall(self) -> None:
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def _receive(self) -> Message:
        self.asked += 1
        message = await self._inbox.get()
        self.received += 1
        return message

    async def _send(self, message: Message) -> None:
        if self.fails:
            raise OSError("the client is gone")
        await self._flowing.wait()
        assert not self.ended, f"{message['type']} after the end"
        if message["type"] == "http.response.start":
            assert self.status is None, "a second start"
            self.status = message["status"]
            for name, value in message["headers"]:
                assert type(name) is bytes and type(value) is bytes and name == name.lower(), (name, value)
                assert name.decode() not in self.headers, f"{name!r} came twice"
                self.headers[name.decode()] = value.decode("latin-1")
        else:
            assert message["type"] == "http.response.body" and self.status is not None, message
            self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self._news.set()

    # -- the client's side ---------------------------------------------------------------------------------------------

    async def head(self) -> int:
        """The status, once it has come."""
        while self.status is None:
            await self._wait()
        return self.status

    async def event(self) -> Message:
        """The next message of an event stream; events without data are passed over."""
        while (event := await self._event()) is not None:
            data = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
            if data and data[0]:
                message: Message = json.loads("\n".join(data))
                return message
        raise AssertionError("the stream ended")

    async def raw_event(self) -> str:
        """The next event, or comment, as it stands in the stream."""
        event = await self._event()
        assert event is not None, "the stream ended"
        return event

    async def _event(self) -> str | None:
        while (end := self.body.find(b"\n\n", self._read)) < 0:
            if self.ended or self.task.done():
                return None
            await self._wait()
        event = self.body[self._read : end].decode()
        self._read = end + 2
        return event

    async def rest(self) -> list[Message]:
        """The messages up to the proper end of the stream."""
        messages = []
        try:
            while True:
                messages.append(await self.event())
        except AssertionError:
            assert self.ended, "the stream broke off"
        return messages

    async def over(self) -> None:
        """Until the application is done with it; raises what it raised."""
        async with asyncio.timeout(PATIENCE):
            await self.task

    async def answer(self) -> Answer:
        await self.over()
        assert self.status is not None and self.ended, "there was no whole answer"
        if "content-length" in self.headers and self.body:
            assert len(self.body) == int(self.headers["content-length"])
        return Answer(self.status, self.headers, self.body)

    async def _wait(self) -> None:
        assert not self.task.done(), f"the application ended without an answer: {self.task}"
        self._news.clear()
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()


def initialize(id: int | str = 1, revision: str = "2025-11-25") -> Message:
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "driver", "version": "1"}}
    return {"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}


class Stage:
    """One application in the running loop. Keyword arguments of its methods go to ``scope_of``."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: list[Request] = []

    def begin(
        self,
        method: str,
        path: str = "/mcp",
        headers: Mapping[str, str | None] | Iterable[tuple[str, str]] = (),
        body: Iterable[bytes] | None = (),
        **scope: Any,
    ) -> Request:
        """A request under way; without a body (``None``) the client has yet to send one."""
        request = Request(self.app, scope_of(method, path, headers, **scope), body)
        self.requests.append(request)
        return request

    async def ask(self, method: str, path: str = "/mcp", headers: Any = (), body: Any = (), **scope: Any) -> Answer:
        return await self.begin(method, path, headers, body, **scope).answer()

    # -- 2026-07-28 ----------------------------------------------------------------------------------------------------

    def begin_modern(
        self,
        method: str,
        params: Message | None = None,
        *,
        id: int | str = 1,
        path: str = "/mcp",
        headers: Mapping[str, str | None] | None = None,
        meta: Message | None = None,
        **scope: Any,
    ) -> Request:
        message: Message = {"jsonrpc": "2.0", "id": id, "method": method}
        message["params"] = {**(params or {}), "_meta": {**envelope(), **(meta or {})}}
        fields = {"accept": BOTH, "content-type": "application/json"}
        standard = {name.replace("_", "-"): value for name, value in standard_fields(message).items()}
        body = json.dumps(message).encode()
        return self.begin("POST", path, {**fields, **standard, **(headers or {})}, [body], **scope)

    async def modern(self, method: str, params: Message | None = None, **more: Any) -> Answer:
        return await self.begin_modern(method, params, **more).answer()

    # -- a session -----------------------------------------------------------------------------------------------------

    def begin_post(
        self, message: Message, session: str | None = None, *, path: str = "/mcp", headers: Any = None, **scope: Any
    ) -> Request:
        fields = {"accept": BOTH, "content-type": "application/json", "mcp-session-id": session, **(headers or {})}
        return self.begin("POST", path, fields, [json.dumps(message).encode()], **scope)

    async def post(self, message: Message, session: str | None = None, **more: Any) -> Answer:
        return await self.begin_post(message, session, **more).answer()

    async def open_session(self, **more: Any) -> str:
        opened = await self.post(initialize(), **more)
        assert opened.status == 200, opened
        session = opened.headers["mcp-session-id"]
        ready = await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, session, **more)
        assert ready.status == 202, ready
        return session

    def begin_standing(self, session: str, **more: Any) -> Request:
        headers = {"accept": "text/event-stream", "mcp-session-id": session, **more.pop("headers", {})}
        return self.begin("GET", more.pop("path", "/mcp"), headers, **more)


class Lifespan:
    """One ``lifespan`` scope."""

    def __init__(self, app: Any) -> None:
        self.sent: list[Message] = []
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._news = asyncio.Event()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.create_task(app(scope, self._inbox.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._news.set()

    async def _tell(self, what: str) -> Message:
        self._news.clear()
        self._inbox.put_nowait({"type": what})
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()
        return self.sent[-1]

    async def start(self) -> Message:
        """What the application answered."""
        return await self._tell("lifespan.startup")

    async def stop(self) -> Message:
        answer = await self._tell("lifespan.shutdown")
        await self._task
        return answer

    async def over(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._task


@asynccontextmanager
async def running(app: Any, *, lifespan: bool = False) -> AsyncIterator[Stage]:
    """The application in this loop, with a lifespan scope around it or without one."""
    scope = Lifespan(app) if lifespan else None
    if scope is not None:
        assert (await scope.start())["type"] == "lifespan.startup.complete"
    stage = Stage(app)
    try:
        yield stage
        under_way = [request for request in stage.requests if not request.task.done()]
        assert not under_way, f"{len(under_way)} requests are still being served"
    finally:
        for request in stage.requests:
            request.task.cancel()
        if scope is not None:
            assert (await scope.stop())["type"] == "lifespan.shutdown.complete"
