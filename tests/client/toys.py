"""Servers for the client's tests: ``Toy`` in memory, answering by a table, and programs for processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from mcpcore.errors import RpcError
from mcpcore.transports.memory import connect_in_memory

MODERN, LEGACY = "2026-07-28", "2025-11-25"
ERAS = (LEGACY, MODERN)
ALL_CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "logging": {},
    "completions": {},
}

Message = dict[str, Any]
Handler = Callable[[Message, "Talk"], Message | Awaitable[Message] | None]


class Talk(asyncio.Protocol):
    """The toy's end of one connection."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.channel: Any = None
        self.tasks: set[asyncio.Task[None]] = set()
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.channel = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.toy.take(json.loads(line), self)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.tasks:
            task.cancel()

    def say(self, message: Message) -> None:
        self.channel.write(json.dumps(message).encode() + b"\n")

    def notify(self, method: str, params: Message | None = None) -> None:
        self.say({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def ask(self, id: Any, method: str, params: Message | None = None) -> None:
        self.say({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})

    def answer(self, request: Message, result: Message) -> None:
        self.say({"jsonrpc": "2.0", "id": request["id"], "result": result})


class Toy:
    """A server of one revision. ``handlers``: method -> result, or a function (message, talk) that gives one.

    ``None`` leaves a request unanswered; a raised ``RpcError`` is the answer; a coroutine answers later.
    """

    name = "toy"

    def __init__(self, revision: str = MODERN, capabilities: Message | None = None, **more: Any) -> None:
        self.revision = revision
        self.modern = revision == MODERN
        self.capabilities = ALL_CAPABILITIES if capabilities is None else capabilities
        self.handlers: dict[str, Any] = {"ping": {}, "tools/call": text("called"), **more.pop("handlers", {})}
        self.received: list[Message] = []
        self.talks: list[Talk] = []
        self._news: list[asyncio.Future[None]] = []

    def connect_client(self, protocol: asyncio.Protocol) -> Any:
        talk = Talk(self)
        self.talks.append(talk)
        _, channel = connect_in_memory(talk, protocol, "toy")
        return channel

    @property
    def talk(self) -> Talk:
        return self.talks[-1]

    def sent(self, method: str | None = None) -> list[Message]:
        """What the client sent so far: these requests or notifications, or its answers (``None``)."""
        return [message for message in self.received if message.get("method") == method]

    async def seen(self, method: str | None, count: int = 1, seconds: float = 5) -> Message:
        """Wait until so many have come; the last of them."""
        async with asyncio.timeout(seconds):
            while len(self.sent(method)) < count:
                news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._news.append(news)
                await news
        return self.sent(method)[count - 1]

    def take(self, message: Message, talk: Talk) -> None:
        self.received.append(message)
        for news in self._news:
            if not news.done():
                news.set_result(None)
        self._news.clear()
        if "method" in message and "id" in message:
            self._serve(message, talk)

    def _serve(self, message: Message, talk: Talk) -> None:
        method = message["method"]
        handler = self.handlers.get(method, self._opening(message))
        try:
            result = handler(message, talk) if callable(handler) else handler
        except RpcError as error:
            refusal = {"code": error.code, "message": error.message, "data": error.data}
            talk.say({"jsonrpc": "2.0", "id": message["id"], "error": refusal})
            return
        if asyncio.iscoroutine(result):
            task = asyncio.get_running_loop().create_task(self._later(message, talk, result))
            talk.tasks.add(task)
            task.add_done_callback(talk.tasks.discard)
        elif result is not None:
            talk.answer(message, result)

    async def _later(self, message: Message, talk: Talk, result: Awaitable[Message]) -> None:
        talk.answer(message, await result)

    def _opening(self, message: Message) -> Message | Handler:
        method = message["method"]
        if method == "server/discover" and self.modern:
            return {
                "resultType": "complete",
                "supportedVersions": [MODERN],
                "capabilities": self.capabilities,
                "instructions": "be kind",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "toy", "version": "1"}},
            }
        if method == "initialize" and not self.modern:
            return {
                "protocolVersion": self.revision,
                "capabilities": self.capabilities,
                "serverInfo": {"name": "toy", "version": "1"},
                "instructions": "be kind",
            }
        if method == "subscriptions/listen" and self.modern:
            return acknowledge
        if method in ("resources/subscribe", "resources/unsubscribe", "logging/setLevel") and not self.modern:
            return {}
        return not_found


def not_found(message: Message, talk: Talk) -> Message:
    raise RpcError(-32601, "Method not found")


def refuse(code: int, text: str = "refused", data: Any = None) -> Handler:
    def handler(message: Message, talk: Talk) -> Message:
        raise RpcError(code, text, data)

    return handler


def silence(message: Message, talk: Talk) -> None:
    """No answer, ever."""


def acknowledge(message: Message, talk: Talk) -> None:
    params = {"_meta": subscription(message), "notifications": message["params"]["notifications"]}
    talk.notify("notifications/subscriptions/acknowledged", params)


def subscription(listen: Message) -> Message:
    return {"io.modelcontextprotocol/subscriptionId": listen["id"]}


def text(words: str, **more: Any) -> Message:
    return {"content": [{"type": "text", "text": words}], **more}


# --- programs ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import json, os, sys, time
def say(m): sys.stdout.write(json.dumps(m) + "\\n"); sys.stdout.flush()
def answer(m, result): say({"jsonrpc": "2.0", "id": m["id"], "result": result})
def opening(m):
    if m.get("method") == "initialize":
        answer(m, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                   "serverInfo": {"name": "program", "version": "1"}})
    elif m.get("method") == "server/discover":
        say({"jsonrpc": "2.0", "id": m["id"], "error": {"code": -32601, "message": "Method not found"}})
"""

SERVE = """
for line in sys.stdin:
    m = json.loads(line)
    opening(m)
    if m.get("method") == "tools/call":
        name, args = m["params"]["name"], m["params"].get("arguments", {})
        if name == "exit":
            sys.stderr.write("going down\\n"); sys.stderr.flush(); os._exit(args.get("status", 3))
        if name == "pid":
            answer(m, {"content": [{"type": "text", "text": str(os.getpid())}]})
"""


def program(body: str = SERVE) -> list[str]:
    """The command of a small legacy server; ``body`` may use ``say``, ``answer`` and ``opening``."""
    return [sys.executable, "-S", "-E", "-c", PROGRAM + body]
