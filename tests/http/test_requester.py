"""Requests as bytes, and what answers mean that are not the expected ones."""

from __future__ import annotations

from typing import Any

import pytest

from mcpcore.core.limits import Limits
from mcpcore.errors import HttpError, RpcError, Unauthorized, UsageError
from mcpcore.http.messages import ResponseHead
from mcpcore.http.proxies import proxy_from
from mcpcore.http.reading import RequestReader
from mcpcore.http.requester import (
    Requests,
    checked_fields,
    error_in,
    is_session_id,
    may_repeat,
    modern_lines,
    redirected,
    refusal,
    retry_after,
    session_is_gone,
    session_lines,
)
from mcpcore.http.url import parse_url

URL = parse_url("http://user:pass@h:8000/mcp?a=b")
LATER = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def read(data: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """What our own server would read, in its strict way."""
    reader = RequestReader(Limits())
    reader.feed(data)
    head = reader.next_head()
    assert head is not None and not head.repeated
    body = reader.read_body(1000)
    assert body is not None and reader.buffered == 0
    return head.method, head.target, head.headers, body


def requests(**headers: str) -> Requests:
    return Requests(URL, checked_fields({k.replace("_", "-"): v for k, v in headers.items()}), "agent/1")


# -- requests ----------------------------------------------------------------------------------------------------------


def test_a_post_is_one_piece_with_the_lines_of_its_era() -> None:
    body = b'{"jsonrpc":"2.0"}'
    method, target, headers, read_body = read(requests(X_A="1").post(session_lines("s1", "2025-11-25"), body))
    assert (method, target, read_body) == ("POST", "/mcp?a=b", body)
    assert headers == {
        "host": "h:8000",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "x-a": "1",
        "authorization": "Basic dXNlcjpwYXNz",
        "user-agent": "agent/1",
        "content-type": "application/json",
        "mcp-session-id": "s1",
        "mcp-protocol-version": "2025-11-25",
        "content-length": str(len(body)),
    }


def test_the_fields_of_one_request_go_over_those_of_the_client() -> None:
    fields = checked_fields({"X-A": "2", "Authorization": "Bearer x", "user-agent": "me"})
    _, _, headers, _ = read(requests(x_a="1", X_B="1").post(b"", b"", fields))
    assert (headers["x-a"], headers["x-b"], headers["authorization"]) == ("2", "1", "Bearer x")
    assert headers["user-agent"] == "me"


def test_the_users_authorization_goes_over_that_of_the_url() -> None:
    _, _, headers, _ = read(requests(authorization="Bearer x").post(b"", b""))
    assert headers["authorization"] == "Bearer x"


def test_get_and_delete() -> None:
    lines = session_lines(None, "2025-06-18")
    method, _, headers, _ = read(requests().get(lines, "e1"))
    assert (method, headers["accept"], headers["last-event-id"]) == ("GET", "text/event-stream", "e1")
    assert headers["mcp-protocol-version"] == "2025-06-18" and "mcp-session-id" not in headers
    assert "last-event-id" not in read(requests().get(lines))[2]
    assert read(requests().delete(lines))[0] == "DELETE"


def test_a_proxy_gets_the_whole_url_and_its_own_credentials_but_not_those_of_a_tunnel() -> None:
    proxy = proxy_from("http://u:p@proxy:1")
    head = Requests(URL, {}, "a", proxy).post(b"", b"")
    assert head.startswith(b"POST http://h:8000/mcp?a=b HTTP/1.1\r\nHost: h:8000\r\n")
    assert b"Proxy-Authorization: Basic dTpw\r\n" in head
    tunnelled = Requests(parse_url("https://h/mcp"), {}, "a", proxy).post(b"", b"")
    assert tunnelled.startswith(b"POST /mcp HTTP/1.1\r\nHost: h\r\n") and b"Proxy" not in tunnelled


def test_a_server_that_moved_is_asked_where_it_is() -> None:
    moved = requests()
    moved.moved(URL.joined("/new"))
    assert read(moved.post(b"", b""))[1] == "/new"


def test_modern_lines_name_version_method_and_name() -> None:
    lines = modern_lines("2026-07-28", "tools/call", {"name": "a"}, [("Mcp-Param-X", "1")])
    assert lines == b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: a\r\nMcp-Param-X: 1\r\n"
    with pytest.raises(ValueError, match="method"):
        modern_lines("2026-07-28", "a\r\nb", {})


def test_the_fields_of_the_protocol_cannot_be_set_and_no_field_can_break_out() -> None:
    for name in ("Host", "MCP-Session-Id", "mcp-method", "Mcp-Param-X", "Content-Length", "Last-Event-ID", "TE"):
        with pytest.raises(UsageError, match="protocol"):
            checked_fields({name: "x"})
    for headers in ({"a b": "x"}, {"a": "x\ny"}, {"a\r\n": "x"}, {"a": "\x7f"}):
        with pytest.raises(UsageError):
            checked_fields(headers)
    assert checked_fields(None) == {}
    assert checked_fields({"X-A": " y "}) == {"x-a": ("X-A", "y")}


@pytest.mark.parametrize(("text", "good"), [("a", True), ("!~", True), ("", False), ("a b", False), ("ä", False)])
def test_session_ids_are_visible_ascii(text: str, good: bool) -> None:
    assert is_session_id(text) is good
    assert not is_session_id("x" * 1025)


# -- may it be repeated? -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "good"),
    [
        ("tools/list", {}, True),
        ("resources/read", {"uri": "x://"}, True),
        ("initialize", {}, True),
        ("ping", None, True),
        ("tools/call", {"name": "reads"}, True),
        ("tools/call", {"name": "writes"}, False),
        ("tools/call", {"name": 1}, False),
        ("tools/call", None, False),
        ("subscriptions/listen", {}, False),
        ("vendor/x", {}, False),
    ],
)
def test_what_may_be_sent_twice(method: str, params: Any, good: bool) -> None:
    assert may_repeat(method, params, lambda name: name == "reads") is good


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ['"id":7,', '"id":null,', "", '"id":"server-error",'])
def test_an_error_is_found_whatever_its_id(id: str) -> None:
    body = f'{{"jsonrpc":"2.0",{id}"error":{{"code":-1,"message":"m","data":2}}}}'.encode()
    error = error_in(body)
    assert error is not None and (error.code, error.message, error.data) == (-1, "m", 2)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"[]",
        b"7",
        b'{"error":"invalid_token"}',
        b'{"error":{"code":"x"}}',
        b'{"error":{"message":"x"}}',
        b'{"error":{"code":true}}',
        b'{"result":{},"error":{"code":1,"message":"x"}}',
        b'{"detail":"Not found"}',
    ],
)
def test_what_is_no_json_rpc_error(body: bytes) -> None:
    assert error_in(body) is None


def head(status: int, **headers: str) -> ResponseHead:
    return ResponseHead(status, {k.replace("_", "-"): v for k, v in headers.items()}, reason="Why")


def test_a_refusal_with_a_json_rpc_error_is_that_error() -> None:
    found = refusal("ping", "http://h", head(503), b'{"error":{"code":-5,"message":"m"}}', 0)
    assert isinstance(found, RpcError) and found.code == -5


def test_a_refusal_without_one_names_request_url_status_and_the_beginning_of_its_text() -> None:
    found = refusal("tools/call x", "http://h", head(500, retry_after="3"), b"out of\nluck", 0)
    assert isinstance(found, HttpError) and not isinstance(found, Unauthorized)
    assert str(found) == "http://h: tools/call x: the server answered with HTTP 500 Why: out of luck"
    assert (found.status, found.body, found.retry_after) == (500, "out of luck", 3.0)


def test_an_answer_of_another_kind_is_named() -> None:
    found = refusal("ping", "http://h", head(200, content_type="text/html"), b"<html>", 0)
    assert "HTTP 200 Why and text/html, which is no answer to a request: <html>" in str(found)
    assert "no content type" in str(refusal("ping", "http://h", head(202), b"", 0))


def test_bytes_that_are_no_text_are_not_shown() -> None:
    found = refusal("ping", "http://h", head(500, content_type="image/png"), b"\x89PNG secret", 0)
    assert "PNG" not in str(found)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_told_apart_even_from_json_rpc_errors(status: int) -> None:
    answer = head(status, www_authenticate="Bearer")
    found = refusal("ping", "http://h", answer, b'{"error":{"code":-1,"message":"m"}}', 0)
    assert isinstance(found, Unauthorized)
    assert (found.status, found.www_authenticate) == (status, "Bearer") and "m (-1)" in str(found)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 10.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 30, None),
    ],
)
def test_the_pause_that_a_server_asks_for(value: str, seconds: float | None) -> None:
    assert retry_after(head(503, retry_after=value), LATER - 10) == seconds
    assert retry_after(head(503), 0) is None


@pytest.mark.parametrize(
    ("status", "error", "gone"),
    [
        (404, None, True),
        (404, RpcError(-32001, "Session not found"), True),
        (404, RpcError(-32600, "x"), True),
        (404, RpcError(-32601, "Method not found"), False),
        (400, None, False),
        (400, RpcError(-32000, "Bad Request: No valid session ID provided"), True),
        (400, RpcError(-32600, "Invalid session"), True),
        (400, RpcError(-32602, "session: unknown argument"), False),
        (400, RpcError(-32000, "Bad Request"), False),
        (500, RpcError(-32000, "session"), False),
        (401, None, False),
    ],
)
def test_when_a_session_is_gone(status: int, error: RpcError | None, gone: bool) -> None:
    assert session_is_gone(status, error) is gone


@pytest.mark.parametrize(
    ("verb", "status", "location", "target"),
    [
        ("POST", 307, "/x", "/x"),
        ("POST", 308, "x", "/x"),
        ("GET", 301, "/x", "/x"),
        ("GET", 303, "http://h:8000/x", "/x"),
        ("POST", 301, "/x", None),
        ("POST", 303, "/x", None),
        ("DELETE", 302, "/x", None),
        ("POST", 307, "http://h/x", None),
        ("POST", 307, None, None),
        ("POST", 307, "http://h:x/", None),
    ],
)
def test_which_redirects_are_followed(verb: str, status: int, location: str | None, target: str | None) -> None:
    answer = head(status) if location is None else head(status, location=location)
    if target is None:
        with pytest.raises(ValueError, match=r"\w"):
            redirected(URL, verb, answer)
    else:
        assert redirected(URL, verb, answer).target == target
