"""The MCP endpoint without bytes: what is too much for it, the deprecated transport beside it, and how it ends."""

from __future__ import annotations

import json
from typing import Any

from mcpcore.spec import codes
from mcpcore.spec.revisions import MODERN as MODERN_REVISION
from tests.http.scripted import Conversation, FakeSink, head, refused

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


# -- too much ----------------------------------------------------------------------------------------------------------


def overloaded(sink: FakeSink, id: Any) -> None:
    assert (sink.status, sink.fields["retry-after"]) == (503, "1")
    frame = refused(sink, 503, codes.OVERLOADED, "retry later")
    assert frame["id"] == id
    assert frame["error"]["data"] == {"retryAfterMs": 1000}


def test_more_requests_than_are_taken_are_told_to_come_back() -> None:
    one = Conversation(limits={"max_requests": 2})
    session = one.initialize()
    one.ask("later", id=1)
    one.legacy(session, "later", id=2)
    overloaded(one.ask("now", id=3), 3)
    overloaded(one.legacy(session, "now", id="x"), "x")
    overloaded(one.post([{"jsonrpc": "2.0", "id": 1, "method": "now"}], mcp_session_id=session), None)
    exchange = one.service.open.pop(1)
    exchange.peer.answer(exchange, {})
    assert one.ask("now").status == 200


def test_what_helps_a_full_server_to_get_on_is_taken() -> None:
    one = Conversation(limits={"max_requests": 1})
    session = one.initialize()
    one.legacy(session, "later", id=2)
    for message in (
        INITIALIZED,
        {"jsonrpc": "2.0", "id": 9, "result": {}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}},
    ):
        assert one.post(message, mcp_session_id=session).status == 202
    assert one.endpoint.open == {}


def test_more_streams_than_are_taken_are_told_to_come_back() -> None:
    one = Conversation(limits={"max_streams": 2})
    sessions = [one.initialize() for _ in range(3)]
    one.ask("later")  # not a stream so far
    first = one.get(sessions[0])
    assert one.ask("subscriptions/listen", {"notifications": {}}, id=5).opened
    overloaded(one.get(sessions[2]), None)
    overloaded(one.ask("subscriptions/listen", {"notifications": {}}, id=6), 6)
    first.held.lost()
    assert one.get(sessions[2]).opened


def test_one_session_has_a_limit_of_streams_too() -> None:
    one = Conversation(limits={"max_listen_streams": 2})
    session = one.initialize()
    streams = []
    for id in (1, 2):
        sink = one.legacy(session, "later", id=id)
        one.service.open[id].notify("notifications/message", {"level": "info", "data": "x"})
        sink.turn()
        sink.held.lost()
        streams.append(one.get(session, last_event_id=sink.events[0].id))
    assert all(stream.opened for stream in streams)
    overloaded(one.get(session), None)


def test_more_sessions_than_there_is_room_for_end_the_idle_ones_and_no_other() -> None:
    one = Conversation(limits={"max_sessions": 2})
    idle, busy = one.initialize(), one.initialize()
    one.legacy(busy, "later")
    third = one.initialize()
    assert [one.legacy(id, "now", id=2).status for id in (idle, busy, third)] == [404, 200, 200]
    one.legacy(third, "later", id=3)
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    overloaded(one.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}), None)


# -- HTTP+SSE ----------------------------------------------------------------------------------------------------------


class OldClient:
    """The deprecated transport: one stream, and POSTs to the URL that its first event names."""

    def __init__(self, one: Conversation, principal: str = "anonymous") -> None:
        self.one = one
        self.principal = principal
        self.stream = FakeSink()
        self.held = one.endpoint.open_sse(head("GET", "/sse"), self.stream, principal)
        self.stream.turn()

    @property
    def url(self) -> str:
        assert self.stream.events[0].event == "endpoint"
        return self.stream.events[0].data.decode()

    def post(self, message: Any, principal: str | None = None) -> FakeSink:
        sink = FakeSink()
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.one.endpoint.post_sse(head("POST", f"/{self.url}"), body, sink, principal or self.principal)
        self.stream.turn()
        return sink

    def initialize(self) -> None:
        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        assert self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).status == 202

    @property
    def heard(self) -> list[Any]:
        events = self.stream.events[1:]
        assert all(event.event == "message" and event.id is None for event in events)
        return [json.loads(event.data) for event in events]


def test_an_http_sse_client_sends_messages_and_is_answered_on_its_stream() -> None:
    one = Conversation(sse_messages="messages")
    client = OldClient(one)
    assert client.url == "messages?session_id=session-1"
    client.initialize()
    sink = client.post({"jsonrpc": "2.0", "id": 1, "method": "now", "params": {"text": "x"}})
    assert (sink.status, sink.body) == (202, b"Accepted")
    assert [answer["id"] for answer in client.heard] == [0, 1]
    assert client.heard[1]["result"] == {"was": "x"}


def test_an_http_sse_session_is_none_of_the_endpoint_and_of_nobody_else() -> None:
    one = Conversation(sse_messages="messages")
    client = OldClient(one, "alice")
    refused(client.post(PING, "bob"), 404, codes.INVALID_REQUEST)
    refused(one.post(PING, "alice", mcp_session_id="session-1"), 404, codes.INVALID_REQUEST)
    refused(one.get("session-1", "alice"), 404, codes.INVALID_REQUEST)
    streamable = one.initialize(principal="alice")
    client.stream.written[:] = [f"event: endpoint\ndata: messages?session_id={streamable}\n\n".encode()]
    refused(client.post(PING), 404, codes.INVALID_REQUEST)


def test_an_http_sse_session_ends_with_its_stream() -> None:
    one = Conversation(sse_messages="messages")
    client = OldClient(one)
    client.initialize()
    assert client.held is not None
    client.held.lost()
    refused(client.post(PING), 404, codes.INVALID_REQUEST)
    assert (len(one.endpoint.sessions), one.servants[0].closed) == (0, 1)


def test_requests_over_http_sse_count_like_others() -> None:
    one = Conversation(sse_messages="messages", limits={"max_requests": 1})
    client = OldClient(one)
    client.initialize()
    client.post({"jsonrpc": "2.0", "id": 1, "method": "later"})
    overloaded(one.ask("now", id=3), 3)
    overloaded(client.post({"jsonrpc": "2.0", "id": 4, "method": "now"}), 4)
    assert (
        client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}).status == 202
    )
    assert one.ask("now", id=5).status == 200
    assert client.post({"jsonrpc": "2.0", "id": 6, "method": "now"}).status == 202


def test_without_sessions_or_legacy_revisions_there_is_no_http_sse() -> None:
    for one in (
        Conversation(sessionless="because", sse_messages="messages"),
        Conversation(revisions=[MODERN_REVISION], sse_messages="messages"),
        Conversation(),
    ):
        sink = FakeSink()
        assert one.endpoint.open_sse(head("GET", "/sse"), sink, "anonymous") is None
        refused(sink, 404, codes.INVALID_REQUEST, "HTTP+SSE is not served here")


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_server_that_stops_takes_nothing_new_and_ends_the_streams_of_changes() -> None:
    one = Conversation(sse_messages="messages")
    idle, busy = one.initialize(), one.initialize()
    listen = one.ask("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=5)
    running = one.legacy(busy, "later", id=2)
    standing, with_work = one.get(idle), one.get(busy)
    old = OldClient(one)
    one.endpoint.drain()
    listen.turn()
    assert [message.get("method") for message in listen.messages] == [
        "notifications/subscriptions/acknowledged",
        "notifications/cancelled",
        None,
    ]
    assert (listen.ended, standing.ended, old.stream.ended, with_work.ended) == (True, True, True, False)
    overloaded(one.ask("now", id=3), 3)
    overloaded(one.get(idle), None)
    assert "stopping" in one.ask("now").error["message"]
    assert one.post({"jsonrpc": "2.0", "id": 9, "result": {}}, mcp_session_id=busy).status == 202
    exchange = one.service.open[2]
    exchange.peer.answer(exchange, {})
    assert (running.status, one.endpoint.open) == (200, {})
    one.endpoint.close()
    assert (with_work.ended, len(one.endpoint.sessions)) == (True, 0)


def test_an_http_sse_stream_with_work_stays_open_until_it_is_done() -> None:
    one = Conversation(sse_messages="messages")
    old = OldClient(one)
    old.initialize()
    old.post({"jsonrpc": "2.0", "id": 1, "method": "later"})
    one.endpoint.drain()
    assert (old.stream.ended, len(one.endpoint.open)) == (False, 1)
    exchange = one.service.open[1]
    exchange.peer.answer(exchange, {"done": True})
    assert one.endpoint.open == {}
    one.endpoint.close()
    assert (old.heard[-1]["result"], old.stream.ended) == ({"done": True}, True)
