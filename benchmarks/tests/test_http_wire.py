"""The bytes of HTTP, without any process."""

from __future__ import annotations

import json

import pytest

from mcpcore_bench.http_wire import (
    FIRST_ID,
    ID,
    Reply,
    Talk,
    messages_of,
    notification,
    replies_in,
    reply_end,
    requests,
)
from mcpcore_bench.wire import WrongReply

LEGACY = Talk(8000, "legacy", "2025-06-18", session="abc")
MODERN = Talk(8000, "modern", "2026-07-28")
CALL = ("tools/call", {"name": "echo", "arguments": {}, "_meta": {"progressToken": ID}})
SIMPLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"


def parts(request: bytes) -> tuple[list[str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), body


def test_a_request_says_how_long_it_is_and_carries_its_id_as_progress_token() -> None:
    first, second = requests(MODERN, CALL, [FIRST_ID, FIRST_ID + 1])
    lines, body = parts(second)
    assert f"Content-Length: {len(body)}" in lines and len(first) == len(second)
    message = json.loads(body)
    assert message["id"] == message["params"]["_meta"]["progressToken"] == FIRST_ID + 1
    assert message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"


def test_the_headers_are_those_of_the_era() -> None:
    modern, _ = parts(requests(MODERN, CALL, [FIRST_ID])[0])
    legacy, body = parts(requests(LEGACY, CALL, [FIRST_ID])[0])
    assert {"MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"} <= set(modern)
    assert {"MCP-Protocol-Version: 2025-06-18", "Mcp-Session-Id: abc"} <= set(legacy)
    assert "Mcp-Method" not in str(legacy) and b"io.modelcontextprotocol" not in body
    assert "MCP-Protocol-Version" not in str(parts(requests(LEGACY, ("initialize", {}), [FIRST_ID])[0]))
    assert b'"id"' not in notification(LEGACY, "notifications/initialized")


@pytest.mark.parametrize("reply", [SIMPLE, CHUNKED, b"HTTP/1.1 202 Accepted\r\n\r\n"])
def test_the_end_of_a_reply_is_found_at_its_last_byte_and_not_before(reply: bytes) -> None:
    assert [reply_end(reply[:cut]) for cut in range(len(reply))] == [-1] * len(reply)
    assert reply_end(reply) == reply_end(reply + SIMPLE) == len(reply)


def test_replies_are_split_and_their_chunks_joined() -> None:
    first, second = replies_in(CHUNKED + SIMPLE)
    assert first.body == b"abc0123456789"
    assert second == Reply(200, {"content-type": "application/json", "content-length": "2"}, b"{}")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (SIMPLE[:-1], "half a reply"),
        (CHUNKED.replace(b"abc\r\n", b"abcd\r\n"), "a chunk does not end where it says|not HTTP"),
        (b"hello\r\n\r\n", "not HTTP"),
        (SIMPLE.replace(b"HTTP/1.1", b"HTTP/1.0"), "not HTTP/1.1"),
    ],
)
def test_what_is_no_reply_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(WrongReply, match=complaint):
        list(replies_in(data))


def test_events_may_be_empty_have_several_lines_and_end_in_either_way() -> None:
    body = b': a comment\n\nid: 1\ndata:\n\nevent: message\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    assert messages_of(Reply(200, {"content-type": "text/event-stream; charset=utf-8"}, body)) == [b'{"a":\n1}']
