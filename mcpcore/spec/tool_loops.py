"""How tool uses and their results have to follow each other in the messages of a sampling request. Pure functions.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/client/sampling#message-content-constraints
"""

from __future__ import annotations

from typing import Any

__all__ = ["tool_loop_fault"]


def tool_loop_fault(messages: list[dict[str, Any]]) -> str | None:
    """``None`` where each message with tool uses is followed by one of the user's that holds a result for every one of
    them and nothing else; else one sentence. The messages have their shape already."""
    open_uses: set[Any] = set()
    for message in messages:
        content = message["content"]
        blocks = [block for block in (content if isinstance(content, list) else [content]) if isinstance(block, dict)]
        results = [block for block in blocks if block.get("type") == "tool_result"]
        uses = [block for block in blocks if block.get("type") == "tool_use"]
        if results and (len(results) != len(blocks) or message["role"] != "user"):
            return "Tool results mixed with other content"
        if uses and message["role"] != "assistant":
            return "Tool use in a message that is not the assistant's"
        answered = {str(block.get("toolUseId")) for block in results}
        if open_uses - answered:
            return "Tool result missing in request"
        if answered - open_uses:
            return "Tool result for a tool use that is not in the message before"
        open_uses = {str(block.get("id")) for block in uses}
    return "Tool result missing in request" if open_uses else None
