"""The shells of the pure HTTP code, as scripts: a connection that writes down what it gets, a servant without tasks.

A request of the method ``later`` stays open until the test answers it; ``now`` is answered at once, ``fails`` with the
error that its params name. Time is ``clock.now``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from mcpcore.core.exchange import Exchange
from mcpcore.core.limits import Limits
from mcpcore.core.peer import Peer
from mcpcore.eras.door import LegacyDoor, ModernDoor
from mcpcore.errors import RpcError
from mcpcore.http.endpoint import Endpoint
from mcpcore.http.event_writer import Clock, Field
from mcpcore.http.messages import RequestHead
from mcpcore.http.sse import Event, EventReader
from mcpcore.spec.revisions import ALL, Revision

__all__ = ["BOTH", "META", "MODERN", "Conversation", "FakeSink", "envelope", "head", "refused"]

BOTH = "application/json, text/event-stream"
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"


def envelope(**more: Any) -> dict[str, Any]:
    return {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}, **more}


def head(method: str = "POST", target: str = "/mcp", **fields: str | None) -> RequestHead:
    return _head(method, target, fields)


def _head(method: str, target: str, fields: Mapping[str, str | None]) -> RequestHead:
    ordinary: dict[str, str | None] = {"host": "localhost", "accept": BOTH, "content_type": "application/json"}
    headers = {name.replace("_", "-"): value for name, value in (ordinary | dict(fields)).items() if value is not None}
    return RequestHead(method, target, headers)


class FakeSink:
    """One answer. What is to be done soon is done by ``turn``."""

    def __init__(self) -> None:
        self.held: Any = None
        """What the endpoint gave back for it."""
        self.status: int | None = None
        self.fields: dict[str, str] = {}
        self.body: bytes | None = None
        self.opened = False
        self.written: list[bytes] = []
        self.ended = False
        self.broken = False
        self.unsent = 0
        self.takes = True
        """Whether the reader takes what is written."""
        self.waits = 0
        self._soon: list[Callable[[], None]] = []
        self._drained: list[Callable[[], None]] = []

    def whole(self, status: int, fields: tuple[Field, ...], body: bytes) -> None:
        assert self.status is None
        self.status, self.fields, self.body = status, dict(fields), body

    def open(self, fields: tuple[Field, ...]) -> None:
        assert self.status is None
        self.status, self.fields, self.opened = 200, dict(fields), True

    def data(self, data: bytes) -> None:
        assert self.opened and not self.ended and not self.broken
        self.written.append(data)
        if not self.takes:
            self.unsent += len(data) + 8  # the frame of a chunk

    def end(self) -> None:
        assert self.opened and not self.ended and not self.broken
        self.ended = True

    def cut(self) -> None:
        self.broken = True

    async def drained(self) -> None:
        self.waits += 1

    def when_drained(self, callback: Callable[[], None]) -> None:
        self._drained.append(callback)

    def drain(self) -> None:
        """The reader takes everything that was written."""
        self.unsent = 0
        drained, self._drained = self._drained, []
        for callback in drained:
            callback()

    def soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> None:
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()

    # -- read back -----------------------------------------------------------------------------------------------------

    @property
    def bytes(self) -> bytes:
        return b"".join(self.written)

    @property
    def events(self) -> list[Event]:
        return EventReader(1 << 24).feed(self.bytes)

    @property
    def messages(self) -> list[Any]:
        """Of the events, without priming ones; or the one of a whole answer."""
        if self.body is not None:
            return [json.loads(self.body)] if self.body else []
        return [json.loads(event.data) for event in self.events if event.data]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.messages[-1]["error"]
        return error


class FakeService:
    """Three methods, as the file says."""

    instructions: str | None = None

    def __init__(self) -> None:
        self.open: dict[Any, Exchange] = {}

    def routes(self, revision: Revision) -> Mapping[str, Any]:
        return {
            "now": lambda exchange: {"was": exchange.params.get("text")},
            "later": self._later,
            "fails": self._fails,
            "tools/call": lambda exchange: {"content": []},
        }

    def _later(self, exchange: Exchange) -> None:
        self.open[exchange.id] = exchange

    def _fails(self, exchange: Exchange) -> None:
        error = exchange.params["error"]
        exchange.peer.fail(exchange, RpcError(error["code"], error["message"]))

    def around(self, serve: Any) -> Any:
        return serve

    def identity(self, revision: Revision) -> dict[str, Any]:
        return {"name": "scripted", "version": "1"}

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        return {"tools": {"listChanged": True}, "logging": {}}

    def cache_hint(self, method: str) -> dict[str, Any]:
        return {}

    def make_asker(self, exchange: Exchange, replays: bool) -> Any:
        raise AssertionError("nothing is asked here")


class FakeServant:
    def __init__(self, service: FakeService, limits: Limits, *, modern: bool, sessionless: str | None = None) -> None:
        doors: Any = ModernDoor if modern else LegacyDoor
        self.door: Any = doors(service, limits, ALL)
        if sessionless is not None:
            self.door.policy.without_session(sessionless)
        count = itertools.count(1)
        self.peer = Peer(self.door, limits, server=True, mint=lambda: next(count), wake=lambda: None)
        self.peer.shell = self
        self.cancelled: list[Any] = []
        self.events: list[Any] = []
        self.closed = 0

    def receive(self, message: Any, stream: Any) -> Any:
        self.peer.stream = stream
        event = self.peer.accept(message)
        self.peer.stream = None
        for one in event if type(event) is list else [event]:
            if type(one) is Exchange:
                outcome: Any = one.serve(one)
                if outcome is not None:
                    self.peer.answer(one, outcome)
            elif one is not None:
                self.events.append(one)
        return event

    def stand(self, stream: Any) -> None:
        self.peer.standing = stream

    def cancel(self, exchange: Exchange) -> None:
        self.peer.forget(exchange)
        self.cancelled.append(exchange.id)

    def close(self) -> None:
        self.closed += 1


class Conversation:
    """An endpoint with scripted shells around it."""

    def __init__(self, *, checks: Mapping[str, Callable[..., str | None]] | None = None, **options: Any) -> None:
        limits = options.pop("limits", {})
        self.limits = Limits(**limits)
        self.clock = Clock(1000.0)
        self.service = FakeService()
        self.servants: list[FakeServant] = []
        ids = itertools.count(1)
        known = checks or {}
        self.endpoint = Endpoint(
            self.limits,
            self.clock,
            options.pop("revisions", ALL),
            mint=lambda: f"session-{next(ids)}",
            open_legacy=self._open_legacy,
            param_check=known.get,
            **options,
        )
        self.modern = FakeServant(self.service, self.limits, modern=True)

    def _open_legacy(self, sessionless: str | None = None) -> FakeServant:
        servant = FakeServant(self.service, self.limits, modern=False, sessionless=sessionless)
        self.servants.append(servant)
        return servant

    def post(self, message: Any, principal: str = "anonymous", **fields: str | None) -> FakeSink:
        """A POST as it is; ``sink.held`` is what the endpoint returned."""
        return self._post(message, principal, fields)

    def _post(self, message: Any, principal: str, fields: Mapping[str, str | None]) -> FakeSink:
        sink = FakeSink()
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        sink.held = self.endpoint.post(_head("POST", "/mcp", fields), body, sink, principal, lambda: self.modern)
        return sink

    def ask(self, method: str, params: dict[str, Any] | None = None, id: Any = 1, **fields: str | None) -> FakeSink:
        """A modern request as it should be."""
        params = {"_meta": envelope(), **(params or {})}
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        return self._post(message, "anonymous", {"mcp_protocol_version": MODERN, "mcp_method": method} | fields)

    def initialize(self, revision: str = "2025-11-25", principal: str = "anonymous") -> str:
        """A legacy handshake; returns the id of the session."""
        params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        sink = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, principal)
        assert sink.status == 200, sink.body
        return sink.fields["mcp-session-id"]

    def legacy(
        self, session: str, method: str, params: dict[str, Any] | None = None, id: Any = 1, **fields: str | None
    ) -> FakeSink:
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}
        return self._post(message, "anonymous", {"mcp_session_id": session} | fields)

    def get(self, session: str | None, principal: str = "anonymous", **fields: str | None) -> FakeSink:
        sink = FakeSink()
        own: dict[str, str | None] = {"accept": "text/event-stream", "mcp_session_id": session}
        sink.held = self.endpoint.get(_head("GET", "/mcp", own | fields), sink, principal)
        return sink

    def delete(self, session: str | None, principal: str = "anonymous", **fields: str | None) -> FakeSink:
        sink = FakeSink()
        self.endpoint.delete(_head("DELETE", "/mcp", {"mcp_session_id": session} | fields), sink, principal)
        return sink

    def after(self, seconds: float) -> None:
        """So much later."""
        self.endpoint.tick(self.clock.now + seconds)


def refused(sink: FakeSink, status: int, code: int, *parts: str) -> dict[str, Any]:
    """The JSON-RPC error that it was answered with, which has this status and code and says this."""
    assert sink.body is not None
    assert (sink.status, sink.error["code"]) == (status, code), sink.body
    for part in parts:
        assert part in sink.error["message"]
    frame: dict[str, Any] = sink.messages[0]
    return frame
