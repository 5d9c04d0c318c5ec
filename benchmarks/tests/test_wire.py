"""Request lines and the verification of replies, without any process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpcore_bench.ceilings.ceiling_server import TOOLS
from mcpcore_bench.wire import TOOL_COUNT, WrongReply, is_tool_list, request_lines, text_is, verify


def line(number: int, **result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode() + b"\n"


def accept(result: dict[str, Any]) -> str | None:
    return None


def test_a_modern_request_carries_its_envelope_and_a_legacy_one_does_not() -> None:
    modern, legacy = (json.loads(request_lines(era, ("tools/list", {}), [7])[0]) for era in ("modern", "legacy"))
    assert modern["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert legacy == {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}


def test_replies_may_come_in_any_order() -> None:
    verify("legacy", [1, 2, 3], line(3) + line(1) + line(2), accept)


def test_a_missing_reply_is_counted_and_the_first_one_named() -> None:
    with pytest.raises(WrongReply, match="no reply to 2 requests, the first of them id 2"):
        verify("legacy", [1, 2, 3], line(1), accept)


def test_half_a_line_is_not_a_reply() -> None:
    with pytest.raises(WrongReply, match="not JSON"):
        verify("legacy", [1, 2], line(1) + line(2)[:-5], accept)


def test_a_modern_result_must_say_that_it_is_complete() -> None:
    verify("modern", [1], line(1, resultType="complete"), accept)
    with pytest.raises(WrongReply, match="resultType is None"):
        verify("modern", [1], line(1), accept)


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": "hallo"}]},
        {"content": [{"type": "text", "text": "hello"}] * 2},
        {"content": [{"type": "text", "text": "hello"}], "isError": True},
        {"content": []},
        {},
    ],
)
def test_only_the_expected_text_and_nothing_else_is_right(result: dict[str, Any]) -> None:
    assert text_is("hello")({"content": [{"type": "text", "text": "hello"}], "isError": False}) is None
    assert text_is("hello")(result) is not None


def test_a_list_with_a_repeated_or_missing_tool_is_wrong() -> None:
    assert len(TOOLS) == TOOL_COUNT
    assert is_tool_list({"tools": TOOLS}) is None
    assert is_tool_list({"tools": TOOLS[:-1]}) is not None
    assert is_tool_list({"tools": [*TOOLS[:-1], TOOLS[0]]}) is not None
    assert is_tool_list({"tools": [*TOOLS[:-1], {"name": "bare"}]}) is not None
