"""What the three Python servers of the peers share: the fixtures' constants, the transport they are started with, and
work that can be cancelled and counted.

The names and texts are those of the official fixture contract, so that one battery fits every server. Standard library
only, because this file runs in the environment of each peer.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
SIMPLE_TEXT = "This is a simple text response for testing."
ERROR_TEXT = "This tool intentionally returns an error for testing"
STATIC_TEXT = "This is the content of the static text resource."
SIMPLE_PROMPT = "This is a simple prompt for testing."
LOGS = ("Tool execution started", "Tool processing data", "Tool execution completed")
WORDS = ("python", "perl", "ruby")
EMBEDDED = {
    "uri": "test://embedded-resource",
    "mime_type": "text/plain",
    "text": "This is an embedded resource content.",
}
MIXED = {
    "uri": "test://mixed-content-resource",
    "mime_type": "application/json",
    "text": '{"test":"data","value":123}',
}

steps: Counter[str] = Counter()


def transport() -> tuple[str, int]:
    """``("stdio", 0)`` without arguments, else "http" (Streamable HTTP at /mcp) or "sse" (HTTP+SSE at /sse) and a
    port."""
    if len(sys.argv) < 2:
        return "stdio", 0
    return sys.argv[1], int(sys.argv[2])


def template_text(identifier: str) -> str:
    return f'{{"id":"{identifier}","templateTest":true,"data":"Data for ID: {identifier}"}}'


def starting_with(prefix: str) -> list[str]:
    return [word for word in WORDS if word.startswith(prefix)]


async def work(ms: int, tag: str) -> str:
    """Works in steps of 20 ms counted under ``tag``; cancelling stops the count."""
    for _ in range(ms // 20):
        await asyncio.sleep(0.02)
        steps[tag] += 1
    return f"done:{tag}"
