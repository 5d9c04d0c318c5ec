"""Reading a recording: lines become conversations, and a conversation knows what each client message brought about.

Nothing here talks to anybody. What is *volatile* is decided here too, in ``steady``: the members that differ between
two runs of the same conversation.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mcpcore.errors import UsageError
from mcpcore.jsonrpc.codec import Unreadable, decode

__all__ = ["Conversation", "Entry", "Recording", "Step", "steady"]

Message = dict[str, Any]

_SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"


class Step(NamedTuple):
    """One message of one conversation; what was not JSON is bytes. ``t`` is in seconds since 1970."""

    from_client: bool
    message: Message | bytes
    t: float


@dataclass
class Entry:
    """A request or notification of the client, and what the server sent because of it, in order.

    ``answered`` tells whether the response is among it, ``cancelled`` whether the client withdrew the request.
    """

    message: Message
    replies: list[Message | bytes] = field(default_factory=list)
    answered: bool = False
    cancelled: bool = False

    @property
    def method(self) -> str:
        return str(self.message.get("method"))

    @property
    def params(self) -> Message:
        params = self.message.get("params")
        return params if isinstance(params, dict) else {}

    @property
    def progress_token(self) -> Any:
        meta = self.params.get("_meta")
        return meta.get("progressToken") if isinstance(meta, dict) else None


class Conversation:
    """One recorded connection."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.entries: list[Entry] = []
        self.client_answers: dict[Any, Message] = {}
        """What the client answered to the server's requests, by their id."""
        self._open: dict[Any, Entry] = {}
        for step in steps:
            if step.from_client:
                self._said(step.message)
            else:
                self._heard(step.message)

    def _said(self, message: Message | bytes) -> None:
        if isinstance(message, bytes):
            return
        if "method" not in message:
            self.client_answers[_hashable(message.get("id"))] = message
            return
        if message["method"] == "notifications/cancelled":
            params = message.get("params")
            withdrawn = self._open.get(_hashable(params.get("requestId"))) if isinstance(params, dict) else None
            if withdrawn is not None:
                withdrawn.cancelled = True
        entry = Entry(message)
        self.entries.append(entry)
        if "id" in message:
            self._open[_hashable(message["id"])] = entry

    def _heard(self, message: Message | bytes) -> None:
        entry = self._cause_of(message)
        if entry is None:
            return
        entry.replies.append(message)
        if isinstance(message, dict) and "method" not in message:
            entry.answered = True
            self._open.pop(_hashable(message.get("id")), None)

    def _cause_of(self, message: Message | bytes) -> Entry | None:
        """Which client message this one of the server belongs to: by what it names, else the last one still open."""
        if isinstance(message, dict):
            if "method" not in message:
                return self._open.get(_hashable(message.get("id")))
            params = message.get("params")
            params = params if isinstance(params, dict) else {}
            meta = params.get("_meta")
            named = meta.get(_SUBSCRIPTION_ID) if isinstance(meta, dict) else None
            if named is None and message["method"] == "notifications/cancelled":
                named = params.get("requestId")
            if named is not None and _hashable(named) in self._open:
                return self._open[_hashable(named)]
            if message["method"] == "notifications/progress":
                for entry in self._open.values():
                    if entry.progress_token is not None and entry.progress_token == params.get("progressToken"):
                        return entry
        still_open = [entry for entry in self._open.values() if entry.method != "subscriptions/listen"]
        if still_open:
            return still_open[-1]
        return self.entries[-1] if self.entries else None


class Recording:
    """The conversations of a file, in the order in which they began."""

    def __init__(self, conversations: list[Conversation]) -> None:
        self.conversations = conversations

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file that a tap wrote. An unfinished last line is passed over: its writer may have been killed.

        Where client and server recorded into the same file, each conversation counts once. Raises ``UsageError`` for a
        file that cannot be read or is no recording.
        """
        try:
            with open(path, "rb") as file:
                lines = file.read().split(b"\n")
        except OSError as error:
            raise UsageError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from None
        del lines[-1]
        connections: dict[tuple[Any, Any], list[tuple[str, Any, float]]] = {}
        for number, line in enumerate(lines, 1):
            if line.strip():
                key, event = _event(line, f"{os.fspath(path)}, line {number}")
                connections.setdefault(key, []).extend(event)
        found = [_conversation(events) for events in connections.values()]
        if not any(conversation.entries for conversation, _ in found):
            raise UsageError(f"{os.fspath(path)}: nothing of a client is recorded there")
        by_clients = [conversation for conversation, side in found if side == "out"]
        known = [_client_messages(conversation) for conversation in by_clients]
        by_servers = [
            conversation for conversation, side in found if side == "in" and _client_messages(conversation) not in known
        ]
        return cls(sorted(by_clients + by_servers, key=lambda conversation: conversation.steps[0].t))

    @property
    def entries(self) -> list[Entry]:
        return [entry for conversation in self.conversations for entry in conversation.entries]


def steady(value: Any, ignore: frozenset[str] = frozenset()) -> Any:
    """``value`` without its volatile members: ``_meta`` everywhere, and the names in ``ignore``."""
    if isinstance(value, dict):
        return {name: steady(item, ignore) for name, item in value.items() if name != "_meta" and name not in ignore}
    if isinstance(value, list):
        return [steady(item, ignore) for item in value]
    return value


def _event(line: bytes, where: str) -> tuple[tuple[Any, Any], list[tuple[str, Any, float]]]:
    """The connection of one line, and its messages: a batch has several."""
    try:
        record = decode(line)
        direction, frame, t = record["dir"], record["frame"], float(record["t"])
        key = (record.get("pid"), record["conn"])
        if direction not in ("in", "out"):
            raise ValueError
        raw = frame.get("raw") if isinstance(frame, dict) and frame.keys() == {"raw"} else None
        frames = [base64.b64decode(raw)] if isinstance(raw, str) else frame if isinstance(frame, list) else [frame]
        return key, [(direction, one, t) for one in frames if isinstance(one, (dict, bytes))]
    except (Unreadable, ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"{where}: this is no line of a recording; expected t, dir, conn and frame") from None


def _conversation(events: list[tuple[str, Any, float]]) -> tuple[Conversation, str]:
    """The client is whoever sent the first request; a ping may come from both sides. Also returns the client's side."""
    client = "out"
    for direction, message, _ in events:
        if isinstance(message, dict) and "id" in message and message.get("method", "ping") != "ping":
            client = direction
            break
    return Conversation([Step(direction == client, message, t) for direction, message, t in events]), client


def _client_messages(conversation: Conversation) -> list[Any]:
    return [step.message for step in conversation.steps if step.from_client]


def _hashable(id: Any) -> Any:
    return id if isinstance(id, (int, str)) else None
