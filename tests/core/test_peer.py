"""One side of one conversation, frame by frame: ids, answers, cancellation, batches, and what waits to be sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore.core.events import Cancelled, Notified, Violation
from mcpcore.core.exchange import Exchange
from mcpcore.core.limits import Limits
from mcpcore.core.peer import Peer
from mcpcore.eras.door import ClientDoor, ServerDoor
from mcpcore.errors import ConnectionLost, ProtocolViolation, RpcError
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.spec.revisions import ALL, Revision

META = "io.modelcontextprotocol/"
ENVELOPE = {
    f"{META}protocolVersion": "2026-07-28",
    f"{META}clientInfo": {"name": "test", "version": "1"},
    f"{META}clientCapabilities": {},
}


class Service:
    """Offers one method, ``work``, which is answered by the test."""

    instructions: str | None = None

    def routes(self, revision: Revision) -> dict[str, Any]:
        return {"work": lambda exchange: None}

    def around(self, serve: Any) -> Any:
        return serve

    def identity(self, revision: Revision) -> dict[str, Any]:
        return {"name": "peer", "version": "1"}

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        return {"tools": {"listChanged": True}}

    def cache_hint(self, method: str) -> dict[str, Any]:
        return {}

    def make_asker(self, exchange: Exchange, replays: bool) -> Any:
        raise AssertionError


class Wire:
    """A peer and the frames it has to send."""

    def __init__(self, door: Any, server: bool, **limits: Any) -> None:
        self.wakes = 0
        self._ids = 0
        self.peer = Peer(door, Limits(**limits), server=server, mint=self._mint, wake=self._wake)

    def _mint(self) -> int:
        self._ids += 1
        return self._ids

    def _wake(self) -> None:
        self.wakes += 1

    def say(self, *messages: Any) -> Any:
        """Receive one message, or one batch."""
        message = messages[0] if len(messages) == 1 else list(messages)
        return self.peer.receive(json.dumps(message).encode())

    def sent(self) -> list[Any]:
        return [json.loads(frame) for frame in self.peer.take()]


def request(id: Any, method: str = "work", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": ENVELOPE, **params}}


def cancel(id: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}


@pytest.fixture
def wire() -> Wire:
    return Wire(ServerDoor(Service(), Limits(), ALL), True)


@pytest.fixture
def client() -> Wire:
    return Wire(ClientDoor(), False)


@pytest.fixture
def batching() -> Wire:
    return in_session("2025-03-26")


def in_session(revision: str, **limits: Any) -> Wire:
    wire = Wire(ServerDoor(Service(), Limits(**limits), ALL), True, **limits)
    info = {"name": "test", "version": "1"}
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info}
    opening = wire.say({"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params})
    wire.peer.answer(opening, opening.serve(opening))
    wire.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
    wire.peer.take()
    return wire


def legacy(id: Any, method: str = "work", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


# -- requests of the peer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [0, -1, 2**63, "", "1", "é\n"])
def test_an_id_is_echoed_as_it_came(wire: Wire, id: Any) -> None:
    exchange = wire.say(request(id))
    wire.peer.answer(exchange, {"done": True})
    (answer,) = wire.sent()
    assert answer["id"] == id and type(answer["id"]) is type(id)


@pytest.mark.parametrize("id", [True, 1.0, None, [], {}])
def test_what_is_no_id_is_refused_without_one(wire: Wire, id: Any) -> None:
    assert wire.say(request(id)) is None
    (answer,) = wire.sent()
    assert answer["error"]["code"] == -32600 and answer.get("id") is None


def test_an_id_in_use_is_refused_until_its_answer(wire: Wire) -> None:
    first = wire.say(request(1))
    assert wire.say(request(1)) is None
    assert wire.sent()[0]["error"]["code"] == -32600
    wire.peer.answer(first, {})
    assert isinstance(wire.say(request(1)), Exchange)


def test_a_number_and_its_digits_are_two_ids(wire: Wire) -> None:
    assert isinstance(wire.say(request(1)), Exchange)
    assert isinstance(wire.say(request("1")), Exchange)


def test_an_exchange_is_answered_once(wire: Wire) -> None:
    exchange = wire.say(request(1))
    wire.peer.answer(exchange, b'"a":1')
    wire.peer.answer(exchange, {"b": 2})
    wire.peer.fail(exchange, RpcError(1, "late"))
    exchange.notify("notifications/message", {})
    (answer,) = wire.sent()
    assert answer["result"]["a"] == 1 and not wire.peer.incoming


def test_a_result_that_json_cannot_say_leaves_the_exchange_open_for_an_error(wire: Wire) -> None:
    exchange = wire.say(request(1))
    with pytest.raises(TypeError):
        wire.peer.answer(exchange, {"thing": object()})
    assert exchange.open
    wire.peer.fail(exchange, RpcError(-32603, "sorry"))
    assert wire.sent()[0]["error"]["message"] == "sorry"


def test_requests_beyond_the_limit_are_told_when_to_come_again() -> None:
    wire = Wire(ServerDoor(Service(), Limits(), ALL), True, max_in_flight=1)
    first = wire.say(request(1))
    assert wire.say(request(2)) is None
    assert wire.sent()[0]["error"] | {"message": ""} == {
        "code": 429,
        "message": "",
        "data": {"limit": 1, "retryAfterMs": 1000},
    }
    wire.peer.answer(first, {})
    assert isinstance(wire.say(request(3)), Exchange)


def test_a_cancelled_request_gets_no_answer(wire: Wire) -> None:
    exchange = wire.say(request(1))
    event = wire.say(cancel(1))
    assert isinstance(event, Cancelled) and event.exchange is exchange and exchange.cancelled
    wire.peer.answer(exchange, {})
    assert wire.sent() == [] and not wire.peer.incoming


@pytest.mark.parametrize("id", [1, "unknown"])
def test_a_cancellation_of_what_is_not_running_is_ignored(wire: Wire, id: Any) -> None:
    wire.peer.answer(wire.say(request(1)), {})
    assert wire.say(cancel(id)) is None


@pytest.mark.parametrize("id", [None, True, 1.5, []])
def test_a_cancellation_without_an_id_is_told_and_ignored(wire: Wire, id: Any) -> None:
    assert isinstance(wire.say(cancel(id)), Violation)


# -- messages that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", -32700),
        (b"1", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"work"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":""}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"work","params":[]}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"work","params":null}', -32600),
    ],
)
def test_a_server_answers_what_it_cannot_read_and_a_client_does_not(
    wire: Wire, client: Wire, message: bytes, code: int
) -> None:
    wire.peer.receive(message)
    assert [answer["error"]["code"] for answer in wire.sent()] == [code]
    assert isinstance(client.peer.receive(message), Violation)
    assert client.sent() == []


def test_a_blank_line_is_nothing(wire: Wire) -> None:
    assert wire.peer.receive(b" \r") is None
    assert wire.sent() == []


def test_a_notification_with_bad_parameters_gets_no_answer(wire: Wire) -> None:
    assert isinstance(wire.say({"jsonrpc": "2.0", "method": "notifications/x", "params": []}), Violation)
    assert wire.sent() == []


def test_a_notification_is_handed_on(wire: Wire) -> None:
    event = wire.say({"jsonrpc": "2.0", "method": "acme/event"})
    assert isinstance(event, Notified) and (event.method, event.params) == ("acme/event", {})


# -- requests of ours --------------------------------------------------------------------------------------------------


def test_an_answer_settles_its_request_once(client: Wire) -> None:
    pending = client.peer.request("tools/list", None)
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": pending.id, "result": {"tools": []}}
    assert client.say(answer) is pending and pending.result == {"tools": []} and pending.settled
    assert client.say(answer) is None, "the second one is nobody's"


def test_an_error_settles_its_request(client: Wire) -> None:
    pending = client.peer.request("tools/list", None)
    client.say({"jsonrpc": "2.0", "id": pending.id, "error": {"code": 5, "message": "no", "data": [1]}})
    error = pending.error
    assert isinstance(error, RpcError) and (error.code, error.message, error.data) == (5, "no", [1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"result": [], "jsonrpc": "2.0"},
        {"result": {}, "jsonrpc": "1.0"},
        {"result": {}, "error": {"code": 1, "message": "x"}, "jsonrpc": "2.0"},
        {"error": "no", "jsonrpc": "2.0"},
        {"error": {"code": "1", "message": "x"}, "jsonrpc": "2.0"},
    ],
)
def test_an_answer_that_is_none_fails_its_request(client: Wire, wrong: dict[str, Any]) -> None:
    pending = client.peer.request("tools/list", None)
    assert client.say({**wrong, "id": pending.id}) is pending
    assert isinstance(pending.error, ProtocolViolation) and pending.result is None


@pytest.mark.parametrize("id", [True, "1", 1.0])
def test_an_answer_with_another_kind_of_id_settles_nothing(client: Wire, id: Any) -> None:
    client.peer.request("tools/list", None)
    assert client.say({"jsonrpc": "2.0", "id": id, "result": {}}) is None
    assert len(client.peer.outgoing) == 1


def test_abandoning_tells_the_peer_once_and_ignores_the_late_answer(client: Wire) -> None:
    pending = client.peer.request("tools/list", None)
    client.peer.abandon(pending, "no time")
    client.peer.abandon(pending)
    assert [message["params"] for message in client.sent()[1:]] == [{"requestId": pending.id, "reason": "no time"}]
    assert client.say({"jsonrpc": "2.0", "id": pending.id, "result": {}}) is None


def test_initialize_is_abandoned_without_a_word(client: Wire) -> None:
    client.peer.abandon(client.peer.request("initialize", {}))
    assert [message["method"] for message in client.sent()] == ["initialize"]


def test_losing_the_connection_fails_every_request(client: Wire) -> None:
    pending = [client.peer.request("tools/list", None) for _ in range(3)]
    error = ConnectionLost("gone")
    assert client.peer.lose(error) == pending
    assert all(one.error is error and one.settled for one in pending) and not client.peer.outgoing


# -- messages that are too large ---------------------------------------------------------------------------------------


def oversized(message: dict[str, Any]) -> Oversized:
    (line,) = LineFramer(1000).feed(json.dumps({**message, "pad": "x" * 2000}).encode() + b"\n")
    assert isinstance(line, Oversized)
    return line


def test_a_request_that_is_too_large_is_answered_by_its_id(wire: Wire) -> None:
    assert isinstance(wire.peer.receive(oversized({"jsonrpc": "2.0", "id": 7, "method": "work"})), Violation)
    (answer,) = wire.sent()
    assert (answer["id"], answer["error"]["code"]) == (7, -32600)


def test_an_answer_that_is_too_large_fails_the_question_and_is_not_answered(wire: Wire) -> None:
    pending = wire.peer.request("sampling/createMessage", {})
    wire.peer.take()
    event = wire.peer.receive(oversized({"jsonrpc": "2.0", "id": pending.id, "result": {}}))
    assert event is pending and isinstance(pending.error, ProtocolViolation)
    assert "raise Limits.max_message_bytes" in str(pending.error)
    assert wire.sent() == [], "an error with that id would be the answer to a request of the client's own"


def test_an_answer_to_nothing_that_is_too_large_is_told_and_not_answered(wire: Wire) -> None:
    assert isinstance(wire.peer.receive(oversized({"id": 9, "jsonrpc": "2.0", "error": {}})), Violation)
    assert wire.sent() == []


# -- batches -----------------------------------------------------------------------------------------------------------


def test_the_answers_of_a_batch_travel_together(batching: Wire) -> None:
    one, two = batching.say(legacy(1), legacy(2))
    batching.peer.answer(two, {"n": 2})
    assert batching.sent() == []
    batching.peer.fail(one, RpcError(1, "no"))
    (answers,) = batching.sent()
    assert [answer["id"] for answer in answers] == [2, 1]


def test_a_batch_of_notifications_gets_no_answer(batching: Wire) -> None:
    notification = {"jsonrpc": "2.0", "method": "acme/event"}
    assert len(batching.say(notification, notification)) == 2
    assert batching.sent() == []


def test_a_cancelled_request_is_missing_from_the_answers_of_its_batch(batching: Wire) -> None:
    one, _ = batching.say(legacy(1), legacy(2))
    batching.say(cancel(2))
    batching.peer.answer(one, {})
    (answers,) = batching.sent()
    assert [answer["id"] for answer in answers] == [1]


def test_a_batch_whose_requests_are_all_cancelled_gets_no_answer(batching: Wire) -> None:
    batching.say(legacy(1), legacy(2))
    batching.say(cancel(1))
    batching.say(cancel(2))
    assert batching.sent() == [] and not batching.peer.incoming


def test_a_batch_may_cancel_its_own_request(batching: Wire) -> None:
    exchange, cancelled = batching.say(legacy(1), cancel(1))
    assert cancelled.exchange is exchange and batching.sent() == []


def test_what_is_wrong_in_a_batch_is_answered_in_the_batch(batching: Wire) -> None:
    events = batching.say(7, legacy(1, "unknown"), legacy(2), request(3), legacy(2))
    batching.peer.answer(events[0], {})
    (answers,) = batching.sent()
    assert [(answer.get("id"), answer.get("error", {}).get("code")) for answer in answers] == [
        (None, -32600),
        (1, -32601),
        (3, -32600),
        (2, -32600),
        (2, None),
    ]
    assert not batching.peer.incoming


def test_a_large_result_in_a_batch_is_whole(batching: Wire) -> None:
    one, two = batching.say(legacy(1), legacy(2))
    batching.peer.answer(one, b'"text":"' + b"x" * 10_000 + b'"')
    batching.peer.answer(two, {})
    (answers,) = batching.sent()
    assert len(answers[0]["result"]["text"]) == 10_000


@pytest.mark.parametrize("messages", [[], [legacy(n) for n in range(4)]])
def test_a_batch_that_is_empty_or_too_long_is_refused_as_one(messages: list[Any]) -> None:
    wire = in_session("2025-03-26", max_batch=3)
    assert wire.peer.receive(json.dumps(messages).encode()) is None
    (answer,) = wire.sent()
    assert answer["error"]["code"] == -32600 and not wire.peer.incoming


def test_batches_are_refused_in_every_other_revision() -> None:
    for wire in (in_session("2025-06-18"), Wire(ServerDoor(Service(), Limits(), ALL), True)):
        assert wire.say(legacy(1), legacy(2)) is None
        assert [answer["error"]["code"] for answer in wire.sent()] == [-32600]


# -- what waits to be sent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 5000])
def test_a_result_is_the_same_in_pieces_and_whole(size: int) -> None:
    def line(take: Callable[[Peer], bytes]) -> bytes:
        wire = Wire(ServerDoor(Service(), Limits(), ALL), True)
        wire.peer.answer(wire.say(request(1)), b'"text":"' + b"x" * size + b'"')
        assert wire.peer.in_pieces is (size == 5000)
        taken = take(wire.peer)
        assert not wire.peer.outbox and not wire.peer.in_pieces
        return taken

    assert line(lambda peer: b"".join(peer.take_pieces())) == line(lambda peer: b"\n".join([*peer.take(), b""]))


def test_the_shell_is_woken_once_for_all_that_waits(wire: Wire) -> None:
    for id in range(5):
        wire.peer.answer(wire.say(request(id)), {})
    assert wire.wakes == 1
    wire.peer.take()
    wire.peer.notify("acme/event", None)
    assert wire.wakes == 2


def test_progress_takes_the_place_of_what_is_unsent_and_of_nothing_else(wire: Wire) -> None:
    exchange = wire.say(request(1))
    wire.peer.notify("acme/before", None)
    for value in (1, 2):
        wire.peer.notify_progress(exchange, {"progress": value})
    assert [message["params"] for message in wire.sent()[1:]] == [{"progress": 2}]
    wire.peer.notify("acme/after", None)
    wire.peer.notify_progress(exchange, {"progress": 3})
    assert [message["method"] for message in wire.sent()] == ["acme/after", "notifications/progress"]


def test_news_that_waits_is_not_said_twice_but_again_behind_an_answer() -> None:
    wire = in_session("2025-11-25")

    def change() -> None:
        wire.peer.door.changed(wire.peer, "tools", None)

    change()
    wire.peer.notify("acme/event", None)
    change()
    old_list = wire.say(legacy(1))
    wire.peer.answer(old_list, {"tools": "as they were before the next change"})
    change()
    change()
    assert [message.get("method", "answer") for message in wire.sent()] == [
        "notifications/tools/list_changed",
        "acme/event",
        "answer",
        "notifications/tools/list_changed",
    ]
    change()
    assert len(wire.sent()) == 1, "what was sent is not unsent"
