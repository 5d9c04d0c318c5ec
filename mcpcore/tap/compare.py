"""Playing a recorded client against a server, and saying what it answers differently.

The frames go out as they were recorded and in step: what the client had heard before it spoke has to have come again.
What a server made up then and makes up anew (its ids, cursors, ``requestState``) is carried over.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.jsonrpc.message import error_frame
from mcpcore.spec import codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpcore.tap.recording import Conversation, Recording

__all__ = ["Difference", "replay_client"]

Message = dict[str, Any]

_ABSENT = "(absent)"
_LONGEST_LINE = 64 * 1024 * 1024
_MOST = 1000
"""Differences of one conversation after which the rest is not compared."""
_MADE_UP = frozenset({"nextCursor", "requestState"})
_SHOWN = 120


class Difference(NamedTuple):
    """Where an answer is another one: ``request`` as ``method #id``, ``path`` into the message."""

    request: str
    path: str
    recorded: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.request}: {self.path}: recorded {_short(self.recorded)}, now {_short(self.now)}"


async def replay_client(
    recording: Recording, target: Any, *, ignore: Iterable[str] = (), seconds: float = 30.0
) -> list[Difference]:
    """Play every recorded conversation against ``target`` (a server object, or a command) and compare the answers.

    ``_meta`` and the members named in ``ignore`` are not compared, nor are notifications and ends of listen streams.
    ``seconds`` is the wait for each message; one that does not come is a difference, and ends its conversation. Raises
    ``ConnectFailed``.
    """
    found: list[Difference] = []
    for conversation in recording.conversations:
        player = _Player(conversation, frozenset(ignore) | {"_meta"}, seconds)
        await _open(target, player)
        try:
            await player.play()
        finally:
            await player.close()
        found += player.found
    return found


async def _open(target: Any, player: _Player) -> None:
    if hasattr(target, "connect_client"):
        outcome = target.connect_client(player)
        if asyncio.iscoroutine(outcome):
            await outcome
        return
    from mcpcore.transports.process import spawn

    await spawn(player, target)


class _Gone(Exception):
    """What was waited for does not come; the text says why."""


class _Player(asyncio.Protocol):
    def __init__(self, conversation: Conversation, ignore: frozenset[str], seconds: float) -> None:
        self.found: list[Difference] = []
        self._steps = conversation.steps
        self._ignore = ignore
        self._seconds = seconds
        self._names = {
            entry.message["id"]: f"{entry.method} #{entry.message['id']}"
            for entry in conversation.entries
            if isinstance(entry.message.get("id"), (int, str)) and entry.method != "subscriptions/listen"
        }
        self._questions = Counter(
            step.message["method"]
            for step in self._steps
            if not step.from_client and isinstance(step.message, dict) and _is_request(step.message)
        )
        self._asked: dict[Any, Any] = {}  # recorded id of a server's request -> its id now
        self._renamed: dict[str, str] = {}  # recorded cursor or requestState -> what it is now
        self._responses: dict[Any, Message] = {}
        self._requests: deque[Message] = deque()
        self._framer = LineFramer(_LONGEST_LINE)
        self._news = asyncio.Event()
        self._lost = asyncio.Event()
        self._ended = False
        self._channel: Any = None

    # -- the channel calls ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._channel = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if isinstance(frame, Oversized):
                continue
            try:
                message = decode(frame)
            except Unreadable:
                continue
            for one in message if isinstance(message, list) else [message]:
                if isinstance(one, dict):
                    self._receive(one)
        self._news.set()

    def eof_received(self) -> bool:
        self._ended = True
        self._news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._news.set()
        self._lost.set()

    def _receive(self, message: Message) -> None:
        id = message.get("id")
        if not _is_request(message):
            if "method" not in message and isinstance(id, (int, str)):
                self._responses[id] = message
        elif self._questions[message["method"]] > 0:
            self._questions[message["method"]] -= 1
            self._requests.append(message)
        else:
            self._differ(f"{message['method']} of the server", "request", _ABSENT, message.get("params", {}))
            self._write(error_frame(id, codes.METHOD_NOT_FOUND, "the recorded client was never asked this"))

    # -- playing -------------------------------------------------------------------------------------------------------

    async def play(self) -> None:
        name = "the conversation"
        try:
            for step in self._steps:
                if len(self.found) >= _MOST:
                    return
                if step.from_client:
                    self._say(step.message)
                elif isinstance(step.message, dict):
                    name = self._name(step.message)
                    await self._hear(step.message, name)
        except _Gone as gone:
            self._differ(name, "message", "(came)", str(gone))

    async def close(self) -> None:
        """Close, and wait until the other side is gone: a process may take a moment."""
        if not self._channel.is_closing():
            self._channel.close()
        try:
            await asyncio.wait_for(self._lost.wait(), self._seconds)
        except TimeoutError:
            self._channel.abort()

    def _say(self, message: Message | bytes) -> None:
        if isinstance(message, bytes):
            self._write(message)
            return
        message = self._carried_over(message)
        if "method" not in message and message.get("id") in self._asked:
            message = {**message, "id": self._asked[message["id"]]}
        self._write(encode(message))

    def _write(self, frame: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write(frame + b"\n")

    async def _hear(self, recorded: Message, name: str) -> None:
        if _is_request(recorded):
            now = await self._next_request(recorded["method"])
            self._asked[recorded["id"]] = now["id"]
            self._compare(name, "params", recorded.get("params", {}), now.get("params", {}))
        elif "method" not in recorded and recorded.get("id") in self._names:
            await self._until(lambda: recorded["id"] in self._responses)
            now = self._responses.pop(recorded["id"])
            member = "error" if "error" in recorded else "result"
            self._compare(name, member, recorded.get(member), now.get(member, _ABSENT))
            if member not in now:
                self._differ(name, "error" if member == "result" else "result", _ABSENT, _short(now))

    async def _next_request(self, method: str) -> Message:
        await self._until(lambda: any(request["method"] == method for request in self._requests))
        found = next(request for request in self._requests if request["method"] == method)
        self._requests.remove(found)
        return found

    async def _until(self, condition: Any) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                while not condition():
                    if self._ended:
                        raise _Gone("the server closed the connection")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise _Gone(f"nothing came within {self._seconds:g} s") from None

    # -- comparing -----------------------------------------------------------------------------------------------------

    def _compare(self, name: str, path: str, recorded: Any, now: Any) -> None:
        if isinstance(recorded, dict) and isinstance(now, dict):
            for member in [*recorded, *(member for member in now if member not in recorded)]:
                if member in self._ignore:
                    continue
                old, new = recorded.get(member, _ABSENT), now.get(member, _ABSENT)
                if member in _MADE_UP and member in recorded and member in now:
                    self._rename(old, new)
                else:
                    self._compare(name, f"{path}.{member}", old, new)
        elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
            for index, (old, new) in enumerate(zip(recorded, now, strict=True)):
                self._compare(name, f"{path}[{index}]", old, new)
        elif recorded != now or isinstance(recorded, bool) != isinstance(now, bool):
            self._differ(name, path, recorded, now)

    def _rename(self, recorded: Any, now: Any) -> None:
        if isinstance(recorded, str) and isinstance(now, str):
            self._renamed[recorded] = now

    def _carried_over(self, message: Message) -> Message:
        params = message.get("params")
        if not isinstance(params, dict) or not self._renamed:
            return message
        given = {name: params[name] for name in ("cursor", "requestState") if isinstance(params.get(name), str)}
        fresh = {name: self._renamed.get(value, value) for name, value in given.items()}
        return {**message, "params": {**params, **fresh}}

    def _differ(self, name: str, path: str, recorded: Any, now: Any) -> None:
        self.found.append(Difference(name, path, recorded, now))

    def _name(self, message: Message) -> str:
        if "method" in message:
            return f"{message['method']} of the server"
        return self._names.get(message.get("id"), "an answer without a request")


def _is_request(message: Message) -> bool:
    return isinstance(message.get("method"), str) and "id" in message


def _short(value: Any) -> str:
    text = value if value == _ABSENT else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
