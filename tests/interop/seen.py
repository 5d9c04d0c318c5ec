"""What one client observed of one server, in the words of the tests: entries, texts, questions, error codes.

No test lives here and nothing is run here. A step that the client's SDK cannot do, or that the revision does not have,
skips the test; one that raised something else than a JSON-RPC error fails it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any, Final, NoReturn

import pytest

from tests.interop.launch import RunFailed
from tests.interop.peers import InstallFailed

__all__ = ["INVALID_PARAMS", "PNG", "TEXT", "Seen", "once"]

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
TEXT: Final = 'naïve \u2028\u2029\u0085 "quoted" \\ \n\t 漢字 \U0001f600'
INVALID_PARAMS: Final = -32602


def once(observe: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Observes at most once for the same arguments; where that failed, each test that needs it fails alike."""

    @functools.cache
    def outcome(*case: Hashable) -> dict[str, Any] | str:
        try:
            return observe(*case)
        except (InstallFailed, RunFailed) as failure:
            return str(failure)

    def observed(*case: Hashable) -> dict[str, Any]:
        result = outcome(*case)
        if isinstance(result, str):
            pytest.fail(result, pytrace=False)
        return result

    return observed


class Seen:
    """One observation: ``peer`` is the other implementation, ``speaks`` the revision that both must agree on."""

    def __init__(self, peer: str, speaks: str, observed: dict[str, Any]) -> None:
        self.peer = peer
        self.speaks = speaks
        self.modern = speaks >= "2026-07-28"
        self.observed = observed

    def fail(self, text: str) -> NoReturn:
        pytest.fail(f"{text}\n--- stderr ---\n{self.observed['stderr'][-4000:]}", pytrace=False)

    def entry(self, step: str) -> Any:
        entry = self.observed["steps"][step]
        if isinstance(entry, dict) and "lacks" in entry:
            pytest.skip(f"{self.peer}: {entry['lacks']}")
        if isinstance(entry, dict) and "exception" in entry:
            self.fail(f"{step}: {entry['exception']}")
        return entry

    def step(self, step: str) -> Any:
        """The entry of a step that must not end in a JSON-RPC error."""
        entry = self.entry(step)
        if isinstance(entry, dict) and "error" in entry:
            self.fail(f"{step}: {entry['error']}")
        return entry

    def content(self, step: str) -> list[dict[str, Any]]:
        """The content blocks of a call that must have gone well."""
        result = self.step(step)["result"]
        assert not result.get("isError"), result["content"]
        content: list[dict[str, Any]] = result["content"]
        return content

    def text(self, step: str) -> str:
        content = self.content(step)
        assert [block["type"] for block in content] == ["text"]
        text: str = content[0]["text"]
        return text

    def asked(self, step: str) -> list[str]:
        """The methods of the questions that the server asked during a call."""
        return [question["method"] for question in self.step(step)["asked"]]

    def code(self, step: str) -> int:
        entry = self.entry(step)
        assert "error" in entry, f"{step} must be refused, but: {entry}"
        code: int = entry["error"]["code"]
        return code

    def needs(self, revision: str) -> None:
        if self.speaks < revision:
            pytest.skip(f"came with {revision}")

    def needs_era(self, modern: bool) -> None:
        if self.modern is not modern:
            pytest.skip("of the other era")

    def needs_tool(self, name: str) -> None:
        if name not in {tool["name"] for tool in self.step("tools_list")["items"]}:
            pytest.skip(f"the server of {self.peer} has no {name}")
