"""Drives an example server as a process, frame by frame, in any revision, with a judge beside it.

What lives here: ``Conversation``, which answers the server's questions in either era, so that a test can say what a
tool does and not how the revision travels. Nothing of mcpcore is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.schema_judge import AVAILABLE, MODERN, REVISIONS, Judge

__all__ = ["EXAMPLES", "META", "MODERN", "REVISIONS", "ROOT", "Conversation", "environment"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
META = "io.modelcontextprotocol/"

Message = dict[str, Any]

ALL_CAPABILITIES: Message = {"sampling": {}, "elicitation": {}, "roots": {"listChanged": True}}
ANSWERS: Message = {
    "sampling/createMessage": {
        "role": "assistant",
        "content": {"type": "text", "text": "Paris"},
        "model": "test-model",
        "stopReason": "endTurn",
    },
    "elicitation/create": {"action": "accept", "content": {"name": "Alice", "ok": True, "color": "blue"}},
    "roots/list": {"roots": [{"uri": "file:///test/root", "name": "Test Root"}]},
}


def environment() -> dict[str, str]:
    """For a Python that is to import this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Conversation:
    """One connection to a server process, open in ``revision``.

    ``questions`` collects what the server asked, ``notifications`` what it told, both in order.
    """

    def __init__(self, command: Sequence[str], revision: str, capabilities: Message | None = None) -> None:
        self.revision = revision
        self.modern = revision == MODERN
        self.capabilities = ALL_CAPABILITIES if capabilities is None else capabilities
        self.judge = Judge()
        self.questions: list[Message] = []
        self.notifications: list[Message] = []
        self._last_id = 0
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )
        self.initialized: Message = {}
        if not self.modern:
            try:
                self.initialized = self._initialize()
            except BaseException:
                self.close()
                raise

    def _initialize(self) -> Message:
        info = {"name": "test", "version": "0"}
        params = {"protocolVersion": self.revision, "capabilities": self.capabilities, "clientInfo": info}
        result: Message = self.request("initialize", params)["result"]
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return result

    # -- frames --------------------------------------------------------------------------------------------------------

    def say(self, message: Message) -> None:
        frame = json.dumps(message).encode() + b"\n"
        if AVAILABLE:
            self.judge.frame("client", frame)
        assert self._process.stdin is not None
        self._process.stdin.write(frame)
        self._process.stdin.flush()

    def hear(self) -> Message:
        """The next message of the server, whatever it is."""
        assert self._process.stdout is not None
        frame = self._process.stdout.readline()
        assert frame, f"the server ended with {self._process.wait()}"
        if AVAILABLE:
            self.judge.frame("server", frame)
        message: Message = json.loads(frame)
        return message

    def send(self, method: str, params: Message | None = None, meta: Message | None = None) -> int:
        """A request, not waited for; its id."""
        self._last_id += 1
        params = dict(params or {})
        envelope = {f"{META}protocolVersion": self.revision, f"{META}clientCapabilities": self.capabilities}
        meta = {**(envelope if self.modern else {}), **(meta or {})}
        message: Message = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        if params or meta:
            message["params"] = {**params, "_meta": meta} if meta else params
        self.say(message)
        return self._last_id

    def answer_to(self, id: int, answers: Mapping[str, Any] | None = None) -> Message:
        """The response to a request; meanwhile the server's questions are answered and its news collected."""
        while True:
            message = self.hear()
            if "method" not in message:
                assert message["id"] == id, f"expected the answer to {id}, got {message}"
                return message
            if "id" not in message:
                self.notifications.append(message)
                continue
            self.questions.append(message)
            self.say({"jsonrpc": "2.0", "id": message["id"], "result": _answer(message, answers)})

    def request(
        self,
        method: str,
        params: Message | None = None,
        *,
        meta: Message | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> Message:
        """The response of one round trip."""
        return self.answer_to(self.send(method, params, meta), answers)

    @property
    def faults(self) -> list[str]:
        """What the server did wrong, in the judge's words; a test may say wrong things on purpose."""
        return [violation for violation in self.judge.violations if violation.startswith("server:")]

    # -- conveniences --------------------------------------------------------------------------------------------------

    def finish(self, method: str, params: Message, **options: Any) -> Message:
        """The final response: what a modern server requires is answered and sent with a retry."""
        response = self.request(method, params, **options)
        while response.get("result", {}).get("resultType") == "input_required":
            required = response["result"]
            asked = required.get("inputRequests", {})
            self.questions.extend(asked.values())
            retry = {"inputResponses": {key: _answer(one, options.get("answers")) for key, one in asked.items()}}
            if "requestState" in required:
                retry["requestState"] = required["requestState"]
            response = self.request(method, {**params, **retry}, **options)
        return response

    def call(self, name: str, arguments: Message | None = None, **options: Any) -> Message:
        """The final result of a tool."""
        params: Message = {"name": name}
        if arguments is not None:
            params["arguments"] = arguments
        result: Message = self.finish("tools/call", params, **options)["result"]
        return result

    def text(self, name: str, arguments: Message | None = None, **options: Any) -> str:
        """The text of a tool that does not fail."""
        result = self.call(name, arguments, **options)
        assert not result.get("isError"), result
        [block] = result["content"]
        text: str = block["text"]
        return text

    def subscribe(self, **wanted: Any) -> int:
        """Hear of changes in the way of the revision; returns when the server has agreed."""
        if self.modern:
            id = self.send("subscriptions/listen", {"notifications": wanted})
            assert self.hear()["method"] == "notifications/subscriptions/acknowledged"
            return id
        for uri in wanted.get("resourceSubscriptions", ()):
            assert "result" in self.request("resources/subscribe", {"uri": uri})
        return 0

    def news(self) -> Message:
        """The next notification."""
        if self.notifications:
            return self.notifications.pop(0)
        message = self.hear()
        assert "id" not in message, message
        return message

    def close(self) -> int:
        """End the server by the end of its input; its exit status."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            return process.wait(5)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _answer(question: Message, answers: Mapping[str, Any] | None) -> Any:
    method = question["method"]
    return {**ANSWERS, **(answers or {})}[method]
