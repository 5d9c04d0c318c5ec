"""The fast path by itself: which heads it takes, which it leaves to h11, and what it keeps."""

from __future__ import annotations

import pytest

from mcpcore.core.limits import Limits
from mcpcore.http import head
from mcpcore.http.h1 import read_request_head, read_response_head
from mcpcore.http.head import parse_request_head, parse_response_head
from mcpcore.http.messages import RequestHead, ResponseHead
from tests.http.streams import request_facts, response_facts

ORDINARY_REQUESTS = {
    "httpx": b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAccept: application/json, text/event-stream\r\n"
    b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\n"
    b"Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
    b"Mcp-Name: add\r\nContent-Length: 200",
    "fetch of Node": b"POST /mcp HTTP/1.1\r\nhost: localhost:3000\r\nconnection: keep-alive\r\n"
    b"content-type: application/json\r\naccept: application/json, text/event-stream\r\naccept-language: *\r\n"
    b"sec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\ncontent-length: 46",
    "curl": b"GET /mcp?session=1&x=%20 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*",
    "a browser": b"DELETE / HTTP/1.1\r\nHost: [::1]:8000\r\nOrigin: http://localhost:5173\r\nCookie: a=b; c=d\r\n"
    b"Authorization: Bearer abc.def\r\nMcp-Session-Id: 0123456789abcdef\r\nPriority: u=1, i",
    "a client that closes": b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0",
}

ORDINARY_RESPONSES = {
    "JSON": b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: application/json\r\n"
    b"content-length: 81\r\nmcp-session-id: abc",
    "events": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive",
    "nothing more to say": b"HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-length: 0",
    "until the end of the connection": b"HTTP/1.1 404 Not Found\r\nserver: x",
    "no fields, and no reason": b"HTTP/1.1 204 ",
}

HOST = b"\r\nHost: a"
DECLINED_REQUESTS = {
    "nothing": b"",
    "HTTP/1.0": b"GET / HTTP/1.0" + HOST,
    "another version": b"GET / HTTP/1.2" + HOST,
    "a lower-case method": b"get / HTTP/1.1" + HOST,
    "an absolute target": b"GET http://a/ HTTP/1.1" + HOST,
    "an asterisk": b"OPTIONS * HTTP/1.1" + HOST,
    "an authority": b"CONNECT a:80 HTTP/1.1" + HOST,
    "a fragment": b"GET /a#b HTTP/1.1" + HOST,
    "a target in latin-1": b"GET /\xe9 HTTP/1.1" + HOST,
    "two spaces": b"GET  / HTTP/1.1" + HOST,
    "a space behind the version": b"GET / HTTP/1.1 " + HOST,
    "an empty line in front": b"\r\nGET / HTTP/1.1" + HOST,
    "no host": b"GET / HTTP/1.1\r\nAccept: */*",
    "two hosts": b"GET / HTTP/1.1" + HOST + HOST,
    "a name that comes twice": b"GET / HTTP/1.1\r\nAccept: a\r\naccept: b" + HOST,
    "a name without a value": b"GET / HTTP/1.1\r\nAccept" + HOST,
    "an empty value": b"GET / HTTP/1.1\r\nAccept: " + HOST,
    "no space behind the colon": b"GET / HTTP/1.1\r\nAccept:a" + HOST,
    "two spaces behind the colon": b"GET / HTTP/1.1\r\nAccept:  a" + HOST,
    "a tab behind the colon": b"GET / HTTP/1.1\r\nAccept:\ta" + HOST,
    "a tab in the value": b"GET / HTTP/1.1\r\nAccept: a\tb" + HOST,
    "a space behind the value": b"GET / HTTP/1.1\r\nAccept: a " + HOST,
    "a space before the colon": b"GET / HTTP/1.1\r\nAccept : a" + HOST,
    "a folded line": b"GET / HTTP/1.1\r\nAccept: a\r\n b" + HOST,
    "latin-1 in a value": b"GET / HTTP/1.1\r\nAccept: \xe9" + HOST,
    "a control character": b"GET / HTTP/1.1\r\nAccept: \x01" + HOST,
    "NUL": b"GET / HTTP/1.1\r\nAccept: a\x00b" + HOST,
    "a lone CR": b"GET / HTTP/1.1\r\nAccept: a\rb" + HOST,
    "a lone LF": b"GET / HTTP/1.1\r\nAccept: a\nb: c" + HOST,
    "a lone LF at the end": b"GET / HTTP/1.1" + HOST + b"\n",
    "a transfer coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked" + HOST,
    "an expectation": b"POST / HTTP/1.1\r\nExpect: 100-continue" + HOST,
    "an upgrade": b"GET / HTTP/1.1\r\nUpgrade: websocket" + HOST,
    "an odd connection": b"GET / HTTP/1.1\r\nConnection: keep-alive, close" + HOST,
    "a length that is no number": b"POST / HTTP/1.1\r\nContent-Length: 0x10" + HOST,
    "a length with a sign": b"POST / HTTP/1.1\r\nContent-Length: +1" + HOST,
    "a length below zero": b"POST / HTTP/1.1\r\nContent-Length: -1" + HOST,
    "two lengths in one": b"POST / HTTP/1.1\r\nContent-Length: 1, 1" + HOST,
    "a length of 16 digits": b"POST / HTTP/1.1\r\nContent-Length: 1000000000000000" + HOST,
}

DECLINED_RESPONSES = {
    "nothing": b"",
    "an interim response": b"HTTP/1.1 100 Continue",
    "HTTP/1.0": b"HTTP/1.0 200 OK",
    "no space behind the status": b"HTTP/1.1 204",
    "a reason in latin-1": b"HTTP/1.1 200 \xe9",
    "two cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b",
    "another transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
    "an upper-case transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked",
    "a length and a transfer coding": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    "an odd connection": b"HTTP/1.1 200 OK\r\nConnection: Upgrade",
    "an upgrade": b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: 1.0",
    "a folded line": b"HTTP/1.1 200 OK\r\nA: b\r\n c",
    "a lone LF": b"HTTP/1.1 200 OK\nA: b",
}


def request(text: bytes) -> RequestHead | None:
    return parse_request_head(text, 0, len(text))


def response(text: bytes) -> ResponseHead | None:
    return parse_response_head(text, 0, len(text))


@pytest.mark.parametrize("client", ORDINARY_REQUESTS)
def test_the_heads_of_ordinary_clients_are_taken_and_mean_what_h11_says(client: str) -> None:
    text = ORDINARY_REQUESTS[client]
    taken = request(text)
    assert taken is not None
    assert request_facts(taken) == request_facts(read_request_head(text + b"\r\n\r\n", Limits()))


@pytest.mark.parametrize("server", ORDINARY_RESPONSES)
def test_the_heads_of_ordinary_servers_are_taken_and_mean_what_h11_says(server: str) -> None:
    text = ORDINARY_RESPONSES[server]
    taken = response(text)
    reference = read_response_head(text + b"\r\n\r\n", Limits())
    assert taken is not None and reference is not None
    assert response_facts(taken) == response_facts(reference)


@pytest.mark.parametrize("oddity", DECLINED_REQUESTS)
def test_a_request_head_with_an_oddity_is_left_to_h11(oddity: str) -> None:
    assert request(DECLINED_REQUESTS[oddity]) is None


@pytest.mark.parametrize("oddity", DECLINED_RESPONSES)
def test_a_response_head_with_an_oddity_is_left_to_h11(oddity: str) -> None:
    assert response(DECLINED_RESPONSES[oddity]) is None


def test_a_head_is_read_where_it_stands_also_in_a_bytearray() -> None:
    text = ORDINARY_REQUESTS["curl"]
    taken = parse_request_head(bytearray(b"before" + text + b"behind"), 6, 6 + len(text))
    assert taken is not None
    assert (taken.path, taken.query, taken.headers["accept"]) == ("/mcp", "session=1&x=%20", "*/*")


def test_the_fields_of_a_head_belong_to_it_alone() -> None:
    first, second = request(ORDINARY_REQUESTS["httpx"]), request(ORDINARY_REQUESTS["httpx"])
    assert first is not None and second is not None
    first.headers.clear()
    assert second.headers["mcp-name"] == "add"


def test_a_bounded_number_of_lines_is_remembered() -> None:
    for number in range(2 * head._MAX_LINES):
        assert request(b"GET / HTTP/1.1\r\nHost: a\r\nMcp-Name: tool-%d" % number) is not None
        assert len(head._lines) <= head._MAX_LINES
    assert request(b"GET / HTTP/1.1\r\nHost: a\r\nMcp-Name: " + b"x" * head._MAX_LINE) is not None
    assert max(map(len, head._lines)) <= head._MAX_LINE


@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"Mcp-Session-Id", b"X-Forwarded-For", b"Mcp-Param-Key"])
def test_what_belongs_to_one_client_is_not_remembered(name: bytes) -> None:
    assert request(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": secret-of-one") is not None
    assert not [line for line in head._lines if "secret-of-one" in line]
