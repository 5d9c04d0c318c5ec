"""How one POST is answered: JSON or events, with which status, and what becomes of it when its connection is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpcore.errors import RpcError
from mcpcore.http.reply import error_status, refusal_frame
from mcpcore.spec import codes
from tests.http.scripted import BOTH, MODERN, Conversation, FakeSink

LATER = "later"


def notify(conversation: Conversation, id: Any, text: str) -> None:
    conversation.service.open[id].notify("notifications/message", {"level": "info", "data": text})


def finish(conversation: Conversation, id: Any, **result: Any) -> None:
    exchange = conversation.service.open.pop(id)
    exchange.peer.answer(exchange, result)


def said(sink: FakeSink) -> list[Any]:
    """What the messages say: the data of log messages, and the results."""
    return [one["params"]["data"] if "method" in one else one.get("result", one.get("error")) for one in sink.messages]


# -- JSON, and events --------------------------------------------------------------------------------------------------


def test_an_answer_is_json_as_long_as_nothing_else_was_said() -> None:
    one = Conversation()
    sink = one.ask(LATER)
    assert sink.body is None
    finish(one, 1, text="x")
    assert (sink.status, sink.fields) == (200, {"content-type": "application/json"})
    assert sink.messages[0]["result"]["text"] == "x"


def test_the_first_thing_said_before_the_answer_makes_it_a_stream() -> None:
    one = Conversation()
    sink = one.ask(LATER)
    notify(one, 1, "a")
    assert (sink.opened, sink.fields["x-accel-buffering"]) == (True, "no")
    sink.turn()
    assert said(sink) == ["a"]
    notify(one, 1, "b")
    finish(one, 1)
    assert [*said(sink)[:2], sink.ended] == ["a", "b", True]
    assert sink.messages[-1]["id"] == 1
    assert one.endpoint.open == {}


def test_a_request_that_takes_long_becomes_a_stream_that_shows_that_it_lives() -> None:
    one = Conversation(limits={"json_seconds": 10, "comment_seconds": 15})
    sink = one.ask(LATER)
    one.after(9)
    assert not sink.opened
    one.after(1)
    assert sink.opened
    assert sink.bytes == b""
    one.after(15)
    assert sink.bytes == b":\n\n"
    finish(one, 1)
    assert (said(sink)[0]["resultType"], sink.ended) == ("complete", True)


def test_progress_that_is_still_unsent_gives_way_to_later_progress() -> None:
    one = Conversation()
    sink = one.ask(LATER, {"_meta": {**json.loads(_ENVELOPE), "progressToken": 1}})
    exchange = one.service.open[1]
    for number in range(5):
        exchange.peer.notify_progress(exchange, {"progressToken": 1, "progress": number})
    sink.turn()
    exchange.peer.notify_progress(exchange, {"progressToken": 1, "progress": 9})
    finish(one, 1)
    assert [message["params"]["progress"] for message in sink.messages[:-1]] == [4, 9]


_ENVELOPE = json.dumps(
    {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
)


@pytest.mark.parametrize(
    ("accept", "streams", "json_answer"),
    [(BOTH, True, True), (None, True, True), ("application/json", False, True), ("text/event-stream", True, False)],
)
def test_what_the_client_accepts_decides_what_the_answer_may_become(
    accept: str | None, streams: bool, json_answer: bool
) -> None:
    one = Conversation(limits={"json_seconds": 10})
    quick = one.ask("now", accept=accept)
    assert quick.opened is not json_answer
    slow = one.ask(LATER, id=2, accept=accept)
    one.after(20)
    notify(one, 2, "said")
    finish(one, 2)
    assert slow.opened is streams
    assert [*map(type, said(slow))] == ([str, dict] if streams else [dict])


@pytest.mark.parametrize(("answers", "opened"), [("auto", False), ("json", False), ("sse", True)])
def test_a_server_may_prefer_one_of_both(answers: str, opened: bool) -> None:
    one = Conversation(answers=answers)
    assert one.ask("now").opened is opened
    assert not one.ask("now", accept="application/json").opened
    assert one.ask("now", accept="text/event-stream").opened


def test_a_server_that_answers_by_json_drops_what_is_said_before_and_does_not_switch() -> None:
    one = Conversation(answers="json", limits={"json_seconds": 1})
    sink = one.ask(LATER)
    notify(one, 1, "dropped")
    one.after(5)
    finish(one, 1)
    assert (sink.opened, len(sink.messages)) == (False, 1)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "modern", "admitted", "status"),
    [
        (codes.PARSE_ERROR, True, False, 400),
        (codes.INVALID_REQUEST, True, False, 400),
        (codes.METHOD_NOT_FOUND, True, False, 404),
        (codes.METHOD_NOT_FOUND, False, False, 200),
        (codes.INVALID_PARAMS, True, False, 400),
        (codes.INVALID_PARAMS, True, True, 200),
        (codes.INVALID_PARAMS, False, False, 200),
        (codes.INVALID_REQUEST, False, False, 400),
        (codes.INVALID_REQUEST, False, True, 200),
        (codes.INTERNAL_ERROR, True, True, 200),
        (codes.HEADER_MISMATCH, True, False, 400),
        (codes.MISSING_CLIENT_CAPABILITY, True, True, 400),
        (codes.UNSUPPORTED_PROTOCOL_VERSION, True, False, 400),
        (codes.OVERLOADED, True, False, 429),
        (codes.OVERLOADED, False, True, 429),
        (12345, True, True, 200),
    ],
)
def test_the_status_of_an_error(code: int, modern: bool, admitted: bool, status: int) -> None:
    assert error_status(code, modern=modern, admitted=admitted) == status


@pytest.mark.parametrize("accept", [BOTH, "text/event-stream"])
@pytest.mark.parametrize("answers", ["auto", "sse"])
def test_an_error_with_a_status_of_its_own_is_json_whatever_was_asked_for(accept: str, answers: str) -> None:
    one = Conversation(answers=answers)
    for sink, status, code in (
        (one.ask("unknown/method", accept=accept), 404, codes.METHOD_NOT_FOUND),
        (one.ask("now", accept=accept, mcp_method="other"), 400, codes.HEADER_MISMATCH),
        (one.ask("now", {"_meta": {}}, accept=accept), 400, codes.INVALID_PARAMS),
        (
            one.ask("fails", {"error": {"code": codes.MISSING_CLIENT_CAPABILITY, "message": ""}}, accept=accept),
            400,
            codes.MISSING_CLIENT_CAPABILITY,
        ),
    ):
        assert (sink.status, sink.opened, sink.error["code"]) == (status, False, code)


def test_an_error_after_the_stream_has_begun_travels_in_it() -> None:
    one = Conversation()
    sink = one.ask(LATER)
    notify(one, 1, "a")
    exchange = one.service.open[1]
    exchange.peer.fail(exchange, RpcError(codes.MISSING_CLIENT_CAPABILITY, "late"))
    assert (sink.status, sink.ended, sink.error["code"]) == (200, True, codes.MISSING_CLIENT_CAPABILITY)


def test_an_overloaded_peer_says_when_to_come_back() -> None:
    one = Conversation(limits={"max_in_flight": 1})
    one.ask(LATER)
    sink = one.ask("now", id=2)
    assert (sink.status, sink.fields["retry-after"], sink.messages[0]["id"]) == (429, "1", 2)


@pytest.mark.parametrize(
    ("version", "has_id"), [(None, True), ("2024-11-05", True), ("2025-11-25", False), (MODERN, False), ("x", True)]
)
def test_an_error_that_belongs_to_no_request_has_no_id_from_2025_11_25_on(version: str | None, has_id: bool) -> None:
    frame = json.loads(refusal_frame(version, codes.INVALID_REQUEST, "text"))
    assert ("id" in frame) is has_id
    assert frame.get("id") is None


# -- cancelled, and lost -----------------------------------------------------------------------------------------------


def test_a_modern_request_whose_connection_is_gone_is_cancelled_and_nothing_is_sent_after() -> None:
    for speak in (False, True):
        one = Conversation()
        sink = one.ask(LATER)
        exchange = one.service.open[1]
        if speak:
            notify(one, 1, "before")
            sink.turn()
        written = sink.bytes
        sink.held.lost()
        assert (one.modern.cancelled, exchange.cancelled, one.endpoint.open) == ([1], True, {})
        notify(one, 1, "after")
        exchange.peer.answer(exchange, {})
        sink.turn()
        one.after(1000)
        assert (sink.bytes, sink.body, sink.ended) == (written, None, False)


def test_a_legacy_request_whose_connection_is_gone_is_served_to_its_end() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.legacy(session, LATER)
    sink.held.lost()
    assert len(one.endpoint.open) == 1
    one.after(20)
    notify(one, 1, "nobody hears this")
    finish(one, 1)
    assert (one.endpoint.open, one.servants[0].cancelled) == ({}, [])
    assert (sink.status, sink.written) == (None, [])


def test_what_nobody_could_ever_fetch_is_not_kept() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.legacy(session, LATER)
    sink.held.lost()
    notify(one, 1, "unheard")
    finish(one, 1)
    assert one.endpoint.sessions.events.used == 0


def test_who_is_gone_before_a_stream_began_cannot_be_asked() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.legacy(session, LATER)
    exchange = one.service.open[1]
    sink.held.lost()
    with pytest.raises(RpcError, match="the client went away before it was asked"):
        exchange.peer.request("roots/list", None, exchange)
    assert exchange.peer.outgoing == {}


def test_who_accepts_no_stream_cannot_be_asked() -> None:
    one = Conversation()
    session = one.initialize()
    one.legacy(session, LATER, accept="application/json")
    exchange = one.service.open[1]
    with pytest.raises(RpcError, match="text/event-stream is missing"):
        exchange.peer.request("roots/list", None, exchange)
    assert exchange.peer.outgoing == {}


def test_a_cancelled_request_ends_without_an_answer() -> None:
    for speak in (False, True):
        one = Conversation()
        session = one.initialize()
        sink = one.legacy(session, LATER)
        if speak:
            notify(one, 1, "before")
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        answer = one.post(cancel, mcp_session_id=session)
        assert (answer.status, answer.body) == (202, b"")
        assert [*said(sink)] == (["before"] if speak else [])
        assert sink.fields["content-type"] == "text/event-stream"
        assert sink.ended is speak
        assert one.endpoint.open == {}


# -- in a session ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("revision", "primes"), [("2025-06-18", False), ("2025-11-25", True)])
def test_a_stream_in_a_session_has_ids_and_is_primed_where_its_revision_knows_that(revision: str, primes: bool) -> None:
    one = Conversation()
    sink = one.legacy(one.initialize(revision), LATER)
    notify(one, 1, "a")
    finish(one, 1)
    events = sink.events
    assert [event.data == b"" for event in events] == ([True, False, False] if primes else [False, False])
    ids = [event.id for event in events]
    assert None not in ids
    assert len(set(ids)) == len(ids)


def test_a_stream_that_is_closed_early_names_where_to_come_back_and_when() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.legacy(session, LATER)
    notify(one, 1, "a")
    one.service.open[1].stream.disconnect(0.25)  # type: ignore[union-attr]
    assert (sink.ended, len(one.endpoint.open)) == (True, 1)
    assert b"retry: 250\n" in sink.bytes
    last = sink.events[-1]
    assert last.data == b""
    notify(one, 1, "b")
    finish(one, 1)
    again = one.get(session, last_event_id=last.id)
    assert [said(again)[0], again.ended] == ["b", True]
    assert again.messages[-1]["id"] == 1


def test_a_stream_is_not_closed_early_where_its_client_could_not_come_back() -> None:
    one = Conversation(sessionless="because")
    for sink in (
        one.ask(LATER),
        one.post({"jsonrpc": "2.0", "id": 2, "method": LATER}, mcp_protocol_version="2025-11-25"),
    ):
        exchange = one.service.open[max(one.service.open)]
        exchange.stream.disconnect(1.0)  # type: ignore[union-attr]
        assert not sink.opened
    old = Conversation()
    sink = old.legacy(old.initialize("2025-06-18"), LATER)
    old.service.open[1].stream.disconnect(1.0)  # type: ignore[union-attr]
    assert not sink.opened
    finish(old, 1)
    assert sink.status == 200


def test_a_stream_whose_client_is_gone_is_kept_for_it() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.legacy(session, LATER)
    notify(one, 1, "a")
    sink.turn()
    last = sink.events[-1].id
    sink.held.lost()
    notify(one, 1, "b")
    finish(one, 1)
    again = one.get(session, last_event_id=last)
    assert (said(again), again.ended) == (["b", {}], True)
