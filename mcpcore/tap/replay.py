"""A server that answers from a recording: the same method with the same parameters gets what it got then.

Ids and ``_meta`` do not count. A question that comes again gets the next recorded answer, and the last one for ever
after. What was never asked is refused with an error that shows how it differs from the nearest thing recorded.
"""

from __future__ import annotations

import asyncio
import difflib
import itertools
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.jsonrpc.message import error_frame, request_frame, result_frame
from mcpcore.spec import codes
from mcpcore.tap.recording import Entry, steady
from mcpcore.transports.memory import connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpcore.tap.recording import Conversation, Recording

__all__ = ["ReplayProtocol", "ReplayServer", "replay_server"]

Message = dict[str, Any]

_SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId"
_LONGEST_LINE = 64 * 1024 * 1024
_COMPARED = 200
"""Recorded requests that are looked at for the nearest one."""
_COMPARED_CHARACTERS = 20_000
_DIFF_LINES = 60


def replay_server(recording: Recording) -> ReplayServer:
    """A target for ``Client``: a server in the same process that answers as recorded."""
    return ReplayServer(recording)


class ReplayServer:
    """Each connection starts at the top of the recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def connect_client(self, protocol: Any) -> Any:
        """What a ``Client`` calls on its target."""
        channel, _ = connect_in_memory(protocol, self.open_protocol(), "recording")
        return channel

    def open_protocol(self) -> ReplayProtocol:
        """The server's side of one more connection, for any channel."""
        return ReplayProtocol(self._recording)


class ReplayProtocol(asyncio.Protocol):
    """The server's side of one connection; ``lost`` is set when it is over."""

    def __init__(self, recording: Recording) -> None:
        self._answers: dict[str, list[tuple[Conversation, Entry]]] = defaultdict(list)
        for conversation in recording.conversations:
            for entry in conversation.entries:
                self._answers[_key(entry.message)].append((conversation, entry))
        self._entries = recording.entries
        self._framer = LineFramer(_LONGEST_LINE)
        self._channel: Any = None
        self.lost = asyncio.Event()
        self._ids = itertools.count(1)
        self._parked: dict[int, tuple[_Play, Message | None]] = {}

    def connection_made(self, transport: Any) -> None:
        self._channel = transport

    def pause_writing(self) -> None:
        self._channel.pause_reading()

    def resume_writing(self) -> None:
        self._channel.resume_reading()

    def eof_received(self) -> bool:
        self._channel.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            if isinstance(frame, Oversized) or not frame.strip():
                continue
            try:
                message = decode(frame)
            except Unreadable as error:
                self.write(error_frame(None, codes.PARSE_ERROR, f"the message is not JSON: {error}"))
                continue
            for one in message if isinstance(message, list) else [message]:
                if isinstance(one, dict):
                    self._receive(one)

    def write(self, frame: bytes) -> None:
        if not self._channel.is_closing():
            self._channel.write(frame + b"\n")

    def ask(self, play: _Play, request: Message, expected: Message | None) -> None:
        """Ask the client as the server did; the rest of ``play`` waits for the answer."""
        id = next(self._ids)
        self._parked[id] = (play, expected)
        self.write(request_frame(id, request["method"], request.get("params")))

    def _receive(self, message: Message) -> None:
        if "method" not in message:
            self._answered(message)
            return
        found = self._take(message)
        if found is not None:
            _Play(self, message, *found).go_on()
        elif "id" in message:
            self.write(self._unmatched(message))

    def _take(self, message: Message) -> tuple[Conversation, Entry] | None:
        answers = self._answers.get(_key(message))
        if not answers and message["method"] == "initialize":
            openings = [key for key in self._answers if key.startswith("initialize ")]
            answers = self._answers[openings[0]] if openings else None
        if not answers:
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _answered(self, message: Message) -> None:
        """The client answered a question: as it did then, or the recording does not say how it went on."""
        play, expected = self._parked.pop(message.get("id"), (None, None))  # type: ignore[arg-type]
        if play is None:
            return
        now, then = _outcome(message), _outcome(expected or {})
        if expected is not None and now != then:
            text = "the client's answer to the server's question differs from the recorded one"
            play.break_off(error_text(text, diff := _diff(then, now)), diff)
        else:
            play.go_on()

    def _unmatched(self, message: Message) -> bytes:
        id, method = message["id"], message["method"]
        same = [entry for entry in self._entries if entry.method == method and "id" in entry.message]
        if method == "ping":
            return result_frame(id, {})
        if not same:
            recorded = sorted({entry.method for entry in self._entries if "id" in entry.message})
            text = f"Method not found: {method} is not in the recording, which has {', '.join(recorded)}"
            return error_frame(id, codes.METHOD_NOT_FOUND, text, {"recorded": recorded})
        params = steady(message.get("params", {}))
        nearest = max(same[:_COMPARED], key=lambda entry: _likeness(steady(entry.params), params))
        diff = _diff(steady(nearest.params), params)
        text = error_text(f"{method} with these parameters is not in the recording; the nearest one differs", diff)
        return error_frame(id, codes.INVALID_PARAMS, text, {"nearest": steady(nearest.params), "diff": diff})


class _Play:
    """What one recorded message brought about, replayed for one that came now. It stops at each question."""

    def __init__(self, replay: ReplayProtocol, message: Message, conversation: Conversation, entry: Entry) -> None:
        self._replay = replay
        self._message = message
        self._conversation = conversation
        self._entry = entry
        self._rest: Iterator[Message | bytes] = iter(entry.replies)

    def go_on(self) -> None:
        for reply in self._rest:
            if isinstance(reply, bytes):
                self._replay.write(reply)
            elif "method" in reply and "id" in reply:
                self._replay.ask(self, reply, self._conversation.client_answers.get(reply["id"]))
                return
            elif (adapted := self._adapted(reply)) is not None:
                self._replay.write(encode(adapted))
        entry = self._entry
        listens = entry.method == "subscriptions/listen"
        if "id" in self._message and not (entry.answered or entry.cancelled or listens):
            self.break_off(f"{entry.method}: the recording ends before the answer to this request", [])

    def break_off(self, text: str, diff: list[str]) -> None:
        self._rest = iter(())
        if "id" in self._message:
            data = {"diff": diff} if diff else None
            self._replay.write(error_frame(self._message["id"], codes.INTERNAL_ERROR, text, data))

    def _adapted(self, reply: Message) -> Message | None:
        """The recorded message with this request's id and progress token in place of the recorded ones."""
        then, now = self._entry.message.get("id"), self._message.get("id")
        if "method" not in reply:
            reply = {**reply, "id": now}
            member = "result"
        else:
            member = "params"
        body = reply.get(member)
        if not isinstance(body, dict):
            return reply
        if reply.get("method") == "notifications/progress":
            token = Entry(self._message).progress_token
            return None if token is None else {**reply, member: {**body, "progressToken": token}}
        if reply.get("method") == "notifications/cancelled" and body.get("requestId") == then:
            body = {**body, "requestId": now}
        meta = body.get("_meta")
        if isinstance(meta, dict) and meta.get(_SUBSCRIPTION_ID) == then:
            body = {**body, "_meta": {**meta, _SUBSCRIPTION_ID: now}}
        return {**reply, member: body}


def error_text(text: str, diff: list[str]) -> str:
    return "\n".join([text + ":", *diff])


def _key(message: Message) -> str:
    """What has to be equal. Who the client is and what it can do does not count in the openings."""
    method, params = message.get("method"), message.get("params")
    if method == "server/discover":
        return f"{method} "
    if method == "initialize":
        return f"{method} {params.get('protocolVersion') if isinstance(params, dict) else None}"
    return f"{method} {_canonical(steady(params or {}))}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _outcome(answer: Message) -> Any:
    return steady({name: answer[name] for name in ("result", "error") if name in answer})


def _likeness(one: Any, other: Any) -> float:
    first, second = (_canonical(value)[:_COMPARED_CHARACTERS] for value in (one, other))
    return difflib.SequenceMatcher(None, first, second).quick_ratio()


def _diff(recorded: Any, now: Any) -> list[str]:
    old, new = (json.dumps(v, indent=2, sort_keys=True, ensure_ascii=False).splitlines() for v in (recorded, now))
    lines = list(difflib.unified_diff(old, new, "recorded", "now", lineterm="", n=1))
    return lines if len(lines) <= _DIFF_LINES else [*lines[:_DIFF_LINES], f"... {len(lines) - _DIFF_LINES} more lines"]
