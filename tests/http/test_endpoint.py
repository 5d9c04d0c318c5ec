"""The MCP endpoint without bytes: which era a request is of, what it has to bring, whose session it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mcpcore.spec import codes
from mcpcore.spec.revisions import ALL, LEGACY
from mcpcore.spec.revisions import MODERN as MODERN_REVISION
from tests.http.scripted import MODERN, Conversation, FakeSink, envelope, refused

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


# -- which era ---------------------------------------------------------------------------------------------------------


def test_a_modern_request_needs_no_session() -> None:
    sink = Conversation().ask("now", {"text": "x"})
    assert (sink.status, sink.messages[0]["result"]["was"]) == (200, "x")


def test_the_header_or_the_envelope_makes_a_request_modern() -> None:
    one = Conversation()
    by_header = one.post({**PING, "method": "now"}, mcp_protocol_version=MODERN, mcp_method="now")
    refused(by_header, 400, codes.INVALID_PARAMS, "protocolVersion")
    by_envelope = one.post({**PING, "method": "now", "params": {"_meta": envelope()}}, mcp_method="now")
    refused(by_envelope, 400, codes.HEADER_MISMATCH, "MCP-Protocol-Version header is missing")
    by_method = one.post({**PING, "method": "server/discover"})
    refused(by_method, 400, codes.HEADER_MISMATCH, "Mcp-Method header is missing")


def test_a_server_of_the_modern_revision_alone_takes_everything_as_modern() -> None:
    one = Conversation(revisions=[MODERN_REVISION])
    frame = refused(one.post(PING), 400, codes.HEADER_MISMATCH)
    assert frame["id"] == 1
    for sink in (one.get("any"), one.delete("any"), one.get(None)):
        refused(sink, 405, codes.INVALID_REQUEST)
        assert sink.fields["allow"] == "POST, OPTIONS"
    assert one.ask("now", mcp_session_id="ignored", last_event_id="ignored").status == 200


def test_a_server_of_legacy_revisions_alone_tells_a_modern_client_which_by_an_error_that_is_not_modern() -> None:
    one = Conversation(revisions=LEGACY)
    frame = refused(one.ask("now", id=7), 400, codes.INVALID_REQUEST)
    assert frame["id"] == 7
    assert frame["error"]["data"] == {"supported": [revision.name for revision in LEGACY], "requested": MODERN}


# -- modern ------------------------------------------------------------------------------------------------------------


def test_header_and_body_have_to_agree() -> None:
    one = Conversation()
    for fields, text in (
        ({"mcp_method": None}, "Mcp-Method header is missing"),
        ({"mcp_method": "Now"}, "Mcp-Method header value 'Now' does not match body value 'now'"),
        ({"mcp_protocol_version": None}, "MCP-Protocol-Version header is missing"),
        ({"mcp_protocol_version": "2025-11-25"}, "does not match body value '2026-07-28'"),
    ):
        frame = refused(one.ask("now", id="a", **fields), 400, codes.HEADER_MISMATCH, text)
        assert frame["id"] == "a"
    assert one.modern.peer.incoming == {}


def test_the_name_of_what_is_called_has_to_be_in_its_header() -> None:
    one = Conversation()
    params = {"name": "add", "arguments": {}}
    assert one.ask("tools/call", params, mcp_name="add").status == 200
    assert one.ask("tools/call", params, mcp_name="=?base64?YWRk?=").status == 200
    for name in (None, "sub", "=?base64?YWRk=?=", "=?base64?c3Vi?="):
        refused(one.ask("tools/call", params, mcp_name=name), 400, codes.HEADER_MISMATCH, "Mcp-Name")


def test_the_parameters_that_a_tool_mirrors_are_checked_for_that_tool_alone() -> None:
    seen: list[Any] = []

    def check(arguments: Any, headers: Any, repeated: Any) -> str | None:
        seen.append((arguments, headers.get("mcp-param-x")))
        return None if headers.get("mcp-param-x") == arguments["x"] else "Header mismatch: Mcp-Param-X"

    one = Conversation(checks={"add": check})
    params = {"name": "add", "arguments": {"x": "1"}}
    assert one.ask("tools/call", params, mcp_name="add", mcp_param_x="1").status == 200
    refused(one.ask("tools/call", params, mcp_name="add"), 400, codes.HEADER_MISMATCH, "Mcp-Param-X")
    assert one.ask("tools/call", {**params, "name": "sub"}, mcp_name="sub").status == 200
    assert len(seen) == 2


def test_an_unknown_version_is_answered_with_those_that_are_served() -> None:
    one = Conversation()
    meta = {"io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {}}
    sink = one.ask("now", {"_meta": meta}, id=3, mcp_protocol_version="2099-01-01")
    frame = refused(sink, 400, codes.UNSUPPORTED_PROTOCOL_VERSION)
    assert frame["id"] == 3
    assert frame["error"]["data"] == {"supported": [one.name for one in reversed(ALL)], "requested": "2099-01-01"}


def test_an_unknown_method_is_not_found() -> None:
    frame = refused(Conversation().ask("no/such", id=5), 404, codes.METHOD_NOT_FOUND)
    assert frame["id"] == 5


@pytest.mark.parametrize("body", [[], [PING], "text", 5, None, True])
def test_a_modern_body_is_one_message(body: Any) -> None:
    frame = refused(Conversation().post(body, mcp_protocol_version=MODERN), 400, codes.INVALID_REQUEST, "one JSON-RPC")
    assert "id" not in frame


@pytest.mark.parametrize("body", [{"result": {}}, {"error": {"code": 1, "message": "x"}}])
def test_a_modern_client_sends_no_responses(body: dict[str, Any]) -> None:
    sink = Conversation().post({"jsonrpc": "2.0", "id": 1, **body}, mcp_protocol_version=MODERN)
    refused(sink, 400, codes.INVALID_REQUEST, "no responses in 2026-07-28")


@pytest.mark.parametrize("version", [None, "2025-06-18", "2025-11-25", MODERN])
@pytest.mark.parametrize("body", [b"", b"{", b'{"a":NaN}', b"\xff", b"[" * 2000 + b"]" * 2000])
def test_what_is_not_json_is_refused(version: str | None, body: bytes) -> None:
    frame = refused(Conversation().post(body, mcp_protocol_version=version), 400, codes.PARSE_ERROR)
    assert frame.get("id") is None
    assert ("id" in frame) is (version in (None, "2025-06-18"))


def test_the_deepest_json_that_is_read_is_served() -> None:
    deep = b"[" * 1000 + b"]" * 1000
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "now", "params": {"_meta": envelope(), "x": 0}})
    sink = Conversation().post(
        body.encode().replace(b'"x": 0', b'"x": ' + deep), mcp_protocol_version=MODERN, mcp_method="now"
    )
    assert sink.status == 200


@pytest.mark.parametrize(
    "message", [{"method": 5, "id": 1}, {"method": "", "id": 1}, {"id": 1}, {"method": "now", "id": 1, "params": []}]
)
def test_a_modern_message_that_is_no_message_is_refused_with_its_id(message: dict[str, Any]) -> None:
    fields = {"mcp_protocol_version": MODERN, "mcp_method": str(message.get("method"))}
    frame = refused(Conversation().post({"jsonrpc": "2.0", **message}, **fields), 400, codes.INVALID_REQUEST)
    assert frame["id"] == 1


@pytest.mark.parametrize("method", [[], {}, 5, None, True])
@pytest.mark.parametrize("fields", [{}, {"mcp_protocol_version": MODERN}, {"mcp_session_id": "session-1"}])
def test_a_method_that_is_no_text_is_refused_whatever_it_is(method: Any, fields: dict[str, str]) -> None:
    one = Conversation()
    one.initialize()
    refused(one.post({"jsonrpc": "2.0", "id": 1, "method": method}, "anonymous", **fields), 400, codes.INVALID_REQUEST)


@pytest.mark.parametrize("id", [None, True, 1.5, [], {}])
def test_an_id_that_is_none_is_not_repeated(id: Any) -> None:
    one = Conversation()
    for _ in range(2):
        message = {"jsonrpc": "2.0", "id": id, "method": "now", "params": {"_meta": envelope()}}
        frame = refused(one.post(message, mcp_protocol_version=MODERN, mcp_method="now"), 400, codes.INVALID_REQUEST)
        assert frame.get("id") is None


def test_a_notification_is_accepted_without_a_body_or_refused() -> None:
    one = Conversation()
    for message in ({"method": "x/y"}, {"method": "notifications/cancelled", "params": {"requestId": 1}}):
        sink = one.post({"jsonrpc": "2.0", **message}, mcp_protocol_version=MODERN)
        assert (sink.status, sink.body) == (202, b"")
    sink = one.post({"jsonrpc": "2.0", "method": "x/y", "params": 5}, mcp_protocol_version=MODERN)
    frame = refused(sink, 400, codes.INVALID_REQUEST)
    assert "id" not in frame


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_is_opened_by_initialize_and_serves_what_names_it() -> None:
    one = Conversation()
    session = one.initialize()
    assert one.legacy(session, "now", {"text": "x"}).messages[0]["result"] == {"was": "x"}
    assert len(one.endpoint.sessions) == 1


def test_a_request_without_a_session_is_told_what_to_send() -> None:
    one = Conversation()
    refused(one.post(PING), 400, codes.INVALID_REQUEST, "Mcp-Session-Id header is missing")
    refused(one.post(INITIALIZED), 400, codes.INVALID_REQUEST)
    refused(one.get(None), 400, codes.INVALID_REQUEST)
    refused(one.delete(None), 400, codes.INVALID_REQUEST)
    assert len(one.endpoint.sessions) == 0


def test_a_strangers_session_and_an_unknown_one_are_the_same() -> None:
    one = Conversation()
    session = one.initialize(principal="alice")
    asks: list[Callable[[str, str | None], FakeSink]] = [
        lambda id, version: one.post(PING, "bob", mcp_session_id=id, mcp_protocol_version=version),
        lambda id, version: one.get(id, "bob", mcp_protocol_version=version),
        lambda id, version: one.get(id, "bob", mcp_protocol_version=version, last_event_id="x"),
        lambda id, version: one.delete(id, "bob", mcp_protocol_version=version),
    ]
    for ask in asks:
        for version in (None, "2025-11-25"):
            theirs, nobodys = ask(session, version), ask("unknown", version)
            assert theirs.status == 404
            assert (theirs.status, theirs.fields, theirs.body) == (nobodys.status, nobodys.fields, nobodys.body)
    assert one.post(PING, "alice", mcp_session_id=session).status == 200


@pytest.mark.parametrize("params", [None, {}, {"protocolVersion": 5}, []])
def test_a_refused_initialize_leaves_no_session(params: Any) -> None:
    one = Conversation()
    for id in (1, None):
        message = {"jsonrpc": "2.0", "method": "initialize"} | ({"id": id} if id else {})
        sink = one.post(message if params is None else {**message, "params": params})
        assert sink.status in (200, 202, 400)
        assert "mcp-session-id" not in sink.fields
    assert len(one.endpoint.sessions) == 0
    assert all(servant.closed == 1 for servant in one.servants)


def test_a_session_cannot_be_initialized_twice() -> None:
    one = Conversation()
    session = one.initialize()
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    sink = one.legacy(session, "initialize", params)
    refused(sink, 400, codes.INVALID_REQUEST, "initialized already")
    assert len(one.endpoint.sessions) == 1


@pytest.mark.parametrize("version", ["2099-01-01", "1", "", "2025-11-25 "])
def test_a_version_that_is_not_served_is_refused(version: str) -> None:
    one = Conversation()
    session = one.initialize()
    frame = refused(
        one.legacy(session, "now", id=9, mcp_protocol_version=version), 400, codes.UNSUPPORTED_PROTOCOL_VERSION
    )
    assert frame["id"] == 9
    assert frame["error"]["data"]["requested"] == version
    refused(one.get(session, mcp_protocol_version=version), 400, codes.UNSUPPORTED_PROTOCOL_VERSION)
    refused(one.delete(session, mcp_protocol_version=version), 400, codes.UNSUPPORTED_PROTOCOL_VERSION)


@pytest.mark.parametrize("version", [None, *(revision.name for revision in LEGACY)])
def test_a_session_takes_every_version_that_is_served(version: str | None) -> None:
    one = Conversation()
    assert one.legacy(one.initialize(), "now", mcp_protocol_version=version).status == 200


def test_a_session_is_ended_by_its_client() -> None:
    one = Conversation()
    session = one.initialize()
    sink = one.delete(session)
    assert (sink.status, sink.body, one.servants[0].closed) == (204, b"", 1)
    for again in (one.delete(session), one.get(session), one.legacy(session, "now")):
        refused(again, 404, codes.INVALID_REQUEST)


def test_answers_and_notifications_of_a_session_are_accepted() -> None:
    one = Conversation()
    session = one.initialize()
    for message in (INITIALIZED, {"jsonrpc": "2.0", "id": 77, "result": {}}, {"jsonrpc": "2.0", "method": "x/y"}):
        sink = one.post(message, mcp_session_id=session)
        assert (sink.status, sink.body) == (202, b"")


# -- without sessions --------------------------------------------------------------------------------------------------


def test_without_sessions_every_request_stands_for_itself_in_the_revision_that_it_names() -> None:
    one = Conversation(sessionless="because")
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    opened = one.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": initialize})
    assert opened.messages[0]["result"]["protocolVersion"] == "2025-06-18"
    assert "mcp-session-id" not in opened.fields
    assert one.post(INITIALIZED, mcp_protocol_version="2025-06-18").status == 202
    for version, named in ((None, "2025-03-26"), ("2024-11-05", "2024-11-05"), ("2025-11-25", "2025-11-25")):
        sink = one.post({"jsonrpc": "2.0", "id": 1, "method": "now"}, mcp_protocol_version=version)
        assert sink.status == 200
        assert str(one.servants[-1].door.policy.revision) == named
    assert len(one.endpoint.sessions) == 0


def test_a_server_that_does_not_serve_the_revision_of_a_missing_header_says_so() -> None:
    one = Conversation(sessionless="because", revisions=[one for one in ALL if one.name != "2025-03-26"])
    frame = refused(one.post({**PING, "id": 4}), 400, codes.HEADER_MISMATCH, "MCP-Protocol-Version")
    assert frame["id"] == 4


def test_without_sessions_get_and_delete_say_why() -> None:
    one = Conversation(sessionless="because of X")
    for sink in (one.get("any"), one.delete("any")):
        refused(sink, 405, codes.INVALID_REQUEST, "because of X")
        assert sink.fields["allow"] == "POST, OPTIONS"


def test_a_sessionless_legacy_request_whose_connection_is_gone_is_not_cancelled() -> None:
    """Disconnection should not be interpreted as cancelling (2025-11-25, basic/transports)."""
    one = Conversation(sessionless="because")
    sink = one.post({"jsonrpc": "2.0", "id": 1, "method": "later"})
    sink.held.lost()
    exchange = one.service.open[1]
    assert exchange.open
    exchange.peer.answer(exchange, {})
    assert (one.endpoint.open, sink.status) == ({}, None)


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_batch_is_answered_by_a_batch() -> None:
    one = Conversation()
    session = one.initialize("2025-03-26")
    batch = [{"jsonrpc": "2.0", "id": id, "method": "now", "params": {"text": id}} for id in (1, 2)]
    sink = one.post([*batch, INITIALIZED, {"jsonrpc": "2.0", "id": 3, "method": "no/such"}, 5], mcp_session_id=session)
    assert sink.status == 200
    answers = {answer.get("id"): answer for answer in sink.messages[0]}
    assert answers[1]["result"] == {"was": 1}
    assert answers[3]["error"]["code"] == codes.METHOD_NOT_FOUND
    assert answers[None]["error"]["code"] == codes.INVALID_REQUEST


def test_a_batch_of_notifications_is_accepted() -> None:
    one = Conversation()
    session = one.initialize("2025-03-26")
    sink = one.post([INITIALIZED, INITIALIZED, {"jsonrpc": "2.0", "id": 9, "result": {}}], mcp_session_id=session)
    assert (sink.status, sink.body) == (202, b"")


@pytest.mark.parametrize("batch", [[], [PING] * 101])
def test_an_empty_batch_and_one_that_is_too_long_are_refused(batch: list[Any]) -> None:
    one = Conversation()
    sink = one.post(batch, mcp_session_id=one.initialize("2025-03-26"))
    refused(sink, 400, codes.INVALID_REQUEST, "batch")


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_other_revisions_have_no_batches(revision: str) -> None:
    one = Conversation()
    refused(one.post([PING], mcp_session_id=one.initialize(revision)), 400, codes.INVALID_REQUEST, "2025-03-26 only")


def test_a_batch_whose_requests_take_their_time_is_answered_at_the_end() -> None:
    one = Conversation()
    session = one.initialize("2025-03-26")
    batch = [{"jsonrpc": "2.0", "id": id, "method": "later"} for id in (1, 2)]
    sink = one.post(batch, mcp_session_id=session)
    two, first = one.service.open[2], one.service.open[1]
    two.notify("notifications/message", {"level": "info", "data": "said"})
    two.peer.answer(two, {"n": 2})
    sink.turn()
    assert (len(sink.messages), sink.ended) == (1, False)
    first.peer.answer(first, {"n": 1})
    assert [answer["id"] for answer in sink.messages[1]] == [2, 1]
    assert (sink.ended, one.endpoint.open) == (True, {})


# -- the standing stream -----------------------------------------------------------------------------------------------


def changed(one: Conversation) -> None:
    servant = one.servants[0]
    servant.door.changed(servant.peer, "tools", None)


def test_the_standing_stream_tells_of_changes_once_a_turn_to_one_connection() -> None:
    one = Conversation()
    session = one.initialize()
    one.post(INITIALIZED, mcp_session_id=session)
    changed(one)  # nobody listens: the first one hears of it
    sink = one.get(session)
    sink.turn()
    assert sink.events[0].data == b""
    assert [message["method"] for message in sink.messages] == ["notifications/tools/list_changed"]
    changed(one)
    changed(one)
    sink.turn()
    assert len(sink.messages) == 2
    changed(one)
    sink.turn()
    assert len(sink.messages) == 3


def test_a_second_get_takes_the_stream_over_and_the_first_one_ends() -> None:
    one = Conversation()
    session = one.initialize("2025-06-18")
    one.post(INITIALIZED, mcp_session_id=session)
    first = one.get(session)
    second = one.get(session)
    assert (first.ended, second.opened, second.ended) == (True, True, False)
    changed(one)
    second.turn()
    assert (first.messages, len(second.messages)) == ([], 1)


def test_a_get_with_an_event_that_is_unknown_is_refused() -> None:
    one = Conversation()
    session, other = one.initialize(), one.initialize()
    stranger = one.get(other)
    stranger.turn()
    event = stranger.events[0].id
    for last in ("", "x", "0-0-0", "9" * 100, event):
        refused(one.get(session, last_event_id=last), 400, codes.INVALID_REQUEST, "Last-Event-ID")
    assert one.get(other, last_event_id=event).opened


def test_a_standing_stream_that_breaks_is_resumed_where_it_broke() -> None:
    one = Conversation()
    session = one.initialize()
    one.post(INITIALIZED, mcp_session_id=session)
    sink = one.get(session)
    sink.turn()
    primed = sink.events[0].id
    sink.held.lost()
    changed(one)
    again = one.get(session, last_event_id=primed)
    again.turn()
    assert len(again.messages) == 1


def test_when_a_session_ends_its_streams_end() -> None:
    one = Conversation()
    session = one.initialize()
    running = one.legacy(session, "later")
    exchange = one.service.open[1]
    exchange.notify("notifications/message", {"level": "info", "data": "x"})
    standing = one.get(session)
    one.delete(session)
    assert (standing.ended, running.ended) == (True, True)


# -- time --------------------------------------------------------------------------------------------------------------


def test_an_idle_session_ends_and_one_that_is_used_does_not() -> None:
    one = Conversation(limits={"session_seconds": 100})
    idle, used, running, streaming = (one.initialize() for _ in range(4))
    one.legacy(running, "later")
    stream = one.get(streaming)
    for _ in range(3):
        one.after(60)
        one.legacy(used, "now")
    assert one.legacy(idle, "now").status == 404
    exchange = one.service.open[1]
    exchange.peer.answer(exchange, {})
    stream.held.lost()
    for session in (used, running, streaming):
        assert one.legacy(session, "now").status == 200
    one.after(100)
    assert [one.legacy(session, "now").status for session in (used, running, streaming)] == [404, 404, 404]
    assert [servant.closed for servant in one.servants] == [1, 1, 1, 1]
