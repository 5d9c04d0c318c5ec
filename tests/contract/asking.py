"""One tool call whose server asks, driven at the wire the same way in both eras. A helper for tests.

In a legacy revision each question is a request of the server, in 2026-07-28 it stands in a result: ``Call`` hides
which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcpcore import Server
from tests.contract.wire import LEGACY, MODERN, Wire

__all__ = ["ACCEPT", "ASKING", "CAN_ALL", "ELICITING", "SAID", "TOOLS", "Call", "server_of", "text_of"]

Message = dict[str, Any]

CAN_ALL: Message = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}, "context": {}}, "roots": {}}
SAID: Message = {"role": "assistant", "content": {"type": "text", "text": "Delicious"}, "model": "m"}
ACCEPT: Message = {"action": "accept", "content": {"name": "Anna"}}

ASKING = (*LEGACY, MODERN)
ELICITING = ("2025-06-18", "2025-11-25", MODERN)
TOOLS = ("2025-11-25", MODERN)
"""The revisions with modes of elicitation and with tools in sampling."""


def server_of(*handlers: Callable[..., Any], **options: Any) -> Server:
    """A server whose tools are these functions."""
    server = Server("asking", **{"secret": "0123456789abcdef", **options})
    for handler in handlers:
        server.tool(handler)
    return server


class Call:
    """``start`` and ``answer`` give the next question as ``{"method": ..., "params": ...}``, or ``None`` once the call
    is answered: then ``response`` holds the answer."""

    def __init__(self, wire: Wire, name: str, capabilities: Message | None = None) -> None:
        self.wire = wire
        self.name = name
        self.capabilities = CAN_ALL if capabilities is None else capabilities
        self.response: Message = {}
        self.heard: list[Message] = []
        """The notifications that came meanwhile."""
        self.rounds = 0
        self._question: Message = {}
        self._id: Any = None

    async def start(self, **more: Any) -> Message | None:
        params: Message = {"name": self.name, **more}
        if self.wire.revision == MODERN:
            self._id = self.wire.call("tools/call", params, capabilities=self.capabilities, logLevel="debug")
        else:
            self._id = self.wire.call("tools/call", params)
        return await self._next()

    async def answer(self, result: Any) -> Message | None:
        if self.wire.revision != MODERN:
            self.wire.reply(self._question, result)
            return await self._next()
        ((key, _),) = self.response["result"]["inputRequests"].items()
        return await self.retry({key: result})

    async def retry(self, responses: Message) -> Message | None:
        """In 2026-07-28: these answers, with the state."""
        result = self.response["result"]
        more = {"requestState": result["requestState"]} if "requestState" in result else {}
        return await self.start(inputResponses=responses, **more)

    async def refuse(self, code: int, message: str) -> Message | None:
        """In a legacy revision: an error in the place of an answer."""
        self.wire.refuse(self._question, code, message)
        return await self._next()

    async def _next(self) -> Message | None:
        self.rounds += 1
        while True:
            message = await self.wire.hear()
            if "method" in message and "id" in message:
                self._question = message
                return {"method": message["method"], "params": message.get("params", {})}
            if "method" in message:
                self.heard.append(message)
                continue
            assert message["id"] == self._id, message
            self.response = message
            result = message.get("result", {})
            if result.get("resultType") != "input_required":
                return None
            asked = list(result.get("inputRequests", {}).values())
            return asked[0] if asked else {}


def text_of(call: Call) -> str:
    """The text of a tool's answer, which has to be a success."""
    result = call.response["result"]
    assert not result.get("isError"), result
    text: str = result["content"][0]["text"]
    return text
