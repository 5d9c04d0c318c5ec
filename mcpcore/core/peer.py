"""One side of one conversation: ids asked of us and by us, answers, cancellation, batches. Pure state, no I/O.

Frames go in by ``receive`` and events come out of it; frames to send collect in ``outbox``, which the shell empties
with ``take``. Which era a message belongs to is asked once, at the door, and never again.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/index#messages
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Cancelled, Event, Notified, Violation
from mcpcore.core.exchange import Exchange, Pending
from mcpcore.errors import McpError, ProtocolViolation, RpcError
from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.lines import Oversized
from mcpcore.jsonrpc.message import NO_ID, error_frame, id_in_head, is_answer, notification_frame, request_frame
from mcpcore.spec import codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.core.limits import Limits
    from mcpcore.core.policy import Door
    from mcpcore.core.streams import Stream
    from mcpcore.spec.revisions import Revision

__all__ = ["Batch", "Peer"]

Id = int | str
News = tuple[Id | None, str, str | None]
"""The listening request, if any; the topic; the resource's URI, if it is about one."""
_RESULT_HEAD = b'{"jsonrpc":"2.0","id":'
_NOTIFICATION_HEAD = b'{"jsonrpc":"2.0","method":'
_LARGE = 4096
"""Bytes of a result from which copying it into its frame costs more than carrying the pieces."""


class Batch:
    """A 2025-03-26 batch whose answers travel together once the last one stands."""

    __slots__ = ("frames", "stream", "waiting")

    def __init__(self, stream: Stream | None) -> None:
        self.frames: list[bytes] = []
        self.stream = stream
        self.waiting = 0


class Peer:
    """``server`` tells the role: a server answers what it cannot read, a client reports it.

    ``wake`` is called when a frame lies in an outbox that was empty before.
    """

    def __init__(
        self, door: Door, limits: Limits, *, server: bool, mint: Callable[[], Id], wake: Callable[[], None]
    ) -> None:
        self.door = door
        self.limits = limits
        self.server = server
        self.answers = server
        """Whether requests are served at all: a client answers in the legacy era only."""
        self.mint = mint
        self.wake = wake
        self.shell: Any = None
        """Whoever drives this peer; the core never looks at it."""
        self.stream: Stream | None = None
        """The stream on which the message came that is being received; ``None`` where there is one for all."""
        self.standing: Stream | None = None
        """The stream of messages that belong to no request; ``None`` where there is one for all."""
        self.incoming: dict[Id, Exchange] = {}
        self.outgoing: dict[Id, Pending] = {}
        self.outbox: list[bytes | tuple[bytes, ...]] = []
        """Frames to send. A large one is a tuple of pieces, and then ``in_pieces`` is set."""
        self.in_pieces = False
        self.flushes = 0
        self._news: dict[News, int] = {}
        self._news_flush = 0
        self.revision: Revision | None = None
        """The revision spoken last: the form of an error for a message that has no readable id depends on it."""

    # -- coming in -----------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes | Oversized) -> Event | list[Event] | None:
        """One frame. ``None`` where the core dealt with it, a list only for a batch."""
        if type(frame) is Oversized:
            return self._oversized(frame)
        try:
            message = decode(frame)  # type: ignore[arg-type]
        except Unreadable as error:
            return self._unreadable(frame, error)  # type: ignore[arg-type]
        if type(message) is dict:
            return self._message(message, None)
        return self.accept(message)

    def accept(self, message: Any) -> Event | list[Event] | None:
        """The same for a frame that was decoded elsewhere."""
        if type(message) is dict:
            return self._message(message, None)
        if type(message) is list:
            return self._batch(message)
        return self._invalid(NO_ID, "a message must be a JSON object")

    def _message(self, message: dict[str, Any], batch: Batch | None) -> Event | None:
        method = message.get("method")
        if method is None:
            if "method" not in message and ("result" in message or "error" in message):
                return self._answered(message)
            return self._invalid(message.get("id", NO_ID), "a message needs a method, a result or an error", batch)
        if type(method) is not str or not method:
            return self._invalid(message.get("id", NO_ID), "'method' must be a string that is not empty", batch)
        if message.get("jsonrpc") != "2.0":
            return self._invalid(message.get("id", NO_ID), "'jsonrpc' must be \"2.0\"", batch)
        params = message.get("params")
        if params is None and "params" not in message:
            params = {}
        elif type(params) is not dict:
            return self._params_invalid(message, method, batch)
        if "id" not in message:
            return self._notified(method, params)
        return self._asked(message["id"], method, params, batch)

    def _asked(self, id: Any, method: str, params: dict[str, Any], batch: Batch | None) -> Event | None:
        if type(id) is not int and type(id) is not str:
            return self._invalid(NO_ID, "'id' must be a string or an integer from -2^63 to 2^64-1", batch)
        if not self.answers:
            return Violation(f"the server sent a request ({method[:200]}), which this revision forbids; it was ignored")
        meta = params.get("_meta")
        incoming = self.incoming
        try:
            if meta is not None and type(meta) is not dict:
                raise RpcError(codes.INVALID_PARAMS, f"{method}: params._meta must be an object")
            if id in incoming:
                raise RpcError(
                    codes.INVALID_REQUEST, f"{method}: a request with this id is still being served; use a new id"
                )
            if len(incoming) >= self.limits.max_in_flight:
                raise self._overloaded(method)
            exchange = self.door.policy_for(method, meta).admit(self, id, method, params, meta)
        except RpcError as error:
            self._answer_frame(error_frame(id, error.code, error.message, error.data), batch, error.code)
            return None
        self.revision = exchange.revision
        if exchange.stream is not None:
            exchange.stream.admitted(exchange)
        if batch is not None:
            if not self.revision.batches:
                return self._invalid(id, f"a request of {self.revision} must not be part of a batch", batch)
            exchange.batch = batch
            batch.waiting += 1
        incoming[id] = exchange
        return exchange

    def _overloaded(self, method: str) -> RpcError:
        limit = self.limits.max_in_flight
        text = f"{method}: {limit} requests are in flight on this connection, the most it takes; wait, then retry"
        return RpcError(codes.OVERLOADED, text, {"limit": limit, "retryAfterMs": 1000})

    def _notified(self, method: str, params: dict[str, Any]) -> Event | None:
        if method == "notifications/cancelled":
            return self._cancelled(params)
        meta = params.get("_meta")
        return self.door.policy_for(method, meta if type(meta) is dict else None).notified(self, method, params)

    def _cancelled(self, params: dict[str, Any]) -> Event | None:
        """Unknown, finished and malformed ones are ignored (2026-07-28, basic/patterns/cancellation#error-handling)."""
        id = params.get("requestId")
        if type(id) is not int and type(id) is not str:
            return Violation("notifications/cancelled without a usable requestId was ignored")
        reason = params.get("reason")
        exchange = self.incoming.get(id)
        if exchange is None:
            if id in self.outgoing and not self.server:
                return Notified("notifications/cancelled", params)
            return None
        if exchange.method == "initialize":
            return None
        self.forget(exchange)
        return Cancelled(exchange, reason if type(reason) is str else None)

    def _answered(self, message: dict[str, Any]) -> Event | None:
        id = message.get("id")
        pending = self.outgoing.pop(id, None) if type(id) is int or type(id) is str else None
        if pending is None:
            return self._stray_answer(message)
        pending.settled = True
        result = message.get("result")
        if "error" in message:
            pending.error = self._error_of(pending, message)
        elif type(result) is dict and message.get("jsonrpc") == "2.0":
            pending.result = result
        else:
            pending.error = ProtocolViolation(
                f"{pending.method}: the answer is not a JSON-RPC 2.0 response with a result object"
            )
        return pending

    def _error_of(self, pending: Pending, message: dict[str, Any]) -> McpError:
        error = message["error"]
        if "result" in message or type(error) is not dict:
            return ProtocolViolation(f"{pending.method}: the answer must hold either a result or an error object")
        code, text = error.get("code"), error.get("message")
        if type(code) is not int:
            return ProtocolViolation(f"{pending.method}: the answer's error.code must be an integer")
        return RpcError(code, text if type(text) is str else "(the error came without a message)", error.get("data"))

    def _stray_answer(self, message: dict[str, Any]) -> Event | None:
        """Late answers to cancelled requests are ordinary; an error without an id tells that we were not understood."""
        error = message.get("error")
        if message.get("id") is None and type(error) is dict:
            return Violation(f"the peer could not read a message of ours: {str(error.get('message'))[:200]}")
        return None

    def _batch(self, messages: list[Any]) -> Event | list[Event] | None:
        """JSON-RPC batches exist in 2025-03-26 alone (basic/index#batching of that revision)."""
        if not self.door.batches:
            return self._invalid(NO_ID, "batches exist in revision 2025-03-26 only; send one message at a time")
        if not messages:
            return self._invalid(NO_ID, "a batch must hold at least one message")
        if len(messages) > self.limits.max_batch:
            return self._invalid(NO_ID, f"a batch may hold at most {self.limits.max_batch} messages")
        batch = Batch(self.stream)
        batch.waiting = 1
        events: list[Event] = []
        for message in messages:
            if type(message) is not dict:
                event = self._invalid(NO_ID, "a message must be a JSON object", batch)
            elif message.get("method") == "initialize":
                event = self._invalid(message.get("id", NO_ID), "initialize must not be part of a batch", batch)
            else:
                event = self._message(message, batch)
            if event is not None:
                events.append(event)
        self._batch_step(batch)
        return events

    def _unreadable(self, frame: bytes, error: Unreadable) -> Event | None:
        if not frame.strip():
            return None
        if self.server:
            text = f"the message is not JSON: {error}"
            self._answer_frame(error_frame(self._no_id(), codes.PARSE_ERROR, text), None, codes.PARSE_ERROR)
        return Violation(f"a line is not JSON ({error})", frame[:200])

    def _oversized(self, frame: Oversized) -> Event | None:
        limit = self.limits.max_message_bytes
        text = f"the message is larger than {limit} bytes; raise Limits.max_message_bytes on the receiving side"
        id = id_in_head(frame.head)
        if is_answer(frame.head) or not self.server:
            pending = self.outgoing.pop(id, None) if id is not None else None
            if pending is not None:
                pending.settled = True
                pending.error = ProtocolViolation(f"{pending.method}: {text}")
                return pending
        else:
            error = error_frame(self._no_id() if id is None else id, codes.INVALID_REQUEST, text)
            self._answer_frame(error, None, codes.INVALID_REQUEST)
        return Violation(text, frame.head[:200])

    def _invalid(self, id: Any, text: str, batch: Batch | None = None) -> Event | None:
        """A message that is JSON but not JSON-RPC. Its id is echoed where it is one."""
        if not self.server:
            return Violation(f"a message of the server is invalid: {text}")
        if type(id) is not int and type(id) is not str:
            id = self._no_id()
        error = error_frame(id, codes.INVALID_REQUEST, f"Invalid request: {text}")
        self._answer_frame(error, batch, codes.INVALID_REQUEST)
        return None

    def _params_invalid(self, message: dict[str, Any], method: str, batch: Batch | None) -> Event | None:
        """Nobody answers a notification, not even one that is wrong (basic/index#notifications)."""
        text = "'params' must be an object; leave it out for none"
        if "id" in message:
            return self._invalid(message["id"], text, batch)
        return Violation(f"{method[:200]}: {text}; the notification was ignored")

    def _no_id(self) -> Any:
        """No ``id`` member from 2025-11-25 on; null before, and while no revision is known (JSON-RPC 2.0, section
        5)."""
        return NO_ID if self.revision is not None and self.revision.error_without_id else None

    # -- going out -----------------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange, result: bytes | dict[str, Any]) -> None:
        """The result of an exchange; nothing happens where it was closed before. Raises ``TypeError`` for what JSON
        cannot say."""
        if not exchange.open:
            return
        frame: bytes | tuple[bytes, ...]
        if type(result) is bytes:
            frame = (_RESULT_HEAD, encode(exchange.id), exchange.policy.result_open, result, b"}}")
            if len(result) < _LARGE or exchange.batch is not None:
                frame = b"".join(frame)
            else:
                self.in_pieces = True
        else:
            body = encode(exchange.policy.finish(exchange, result))  # type: ignore[arg-type]
            frame = b"".join((_RESULT_HEAD, encode(exchange.id), b',"result":', body, b"}"))
        exchange.open = False
        del self.incoming[exchange.id]
        if exchange.batch is not None:
            self._finish_in_batch(exchange.batch, frame)  # type: ignore[arg-type]
        elif exchange.stream is not None:
            exchange.stream.answer(frame, None)
        else:
            outbox = self.outbox
            outbox.append(frame)
            if len(outbox) == 1:
                self.wake()

    def fail(self, exchange: Exchange, error: RpcError) -> None:
        """An error as the answer of an exchange; nothing happens where it was closed before."""
        if not exchange.open:
            return
        error = exchange.policy.error(error)
        frame = error_frame(exchange.id, error.code, error.message, error.data)
        exchange.open = False
        del self.incoming[exchange.id]
        if exchange.batch is not None:
            self._finish_in_batch(exchange.batch, frame)
        elif exchange.stream is not None:
            exchange.stream.answer(frame, error.code)
        else:
            self._emit(frame)

    def forget(self, exchange: Exchange) -> None:
        """Close an exchange without an answer: its peer cancelled it."""
        if not exchange.open:
            return
        exchange.open = False
        exchange.cancelled = True
        del self.incoming[exchange.id]
        if exchange.batch is not None:
            self._batch_step(exchange.batch)
        elif exchange.stream is not None:
            exchange.stream.close()

    def request(
        self, method: str, params: dict[str, Any] | None, related: Exchange | None = None, id: Id | None = None
    ) -> Pending:
        """Ask the peer. The answer comes as an event: the ``Pending`` itself. ``id`` is one minted before."""
        if id is None:
            id = self.mint()
        frame = request_frame(id, method, params)
        pending = Pending(id, method)
        if related is not None:
            pending.related = related
        stream = self.standing if related is None else related.stream
        if stream is not None:
            stream.ask(frame)
        self.outgoing[id] = pending
        if stream is None:
            self._emit(frame)
        return pending

    def notify(
        self,
        method: str,
        params: dict[str, Any] | None,
        related: Exchange | None = None,
        news: News | None = None,
    ) -> None:
        """``related`` is the request with whose answer it travels. A pipe has one stream for all and ignores it.

        ``news`` names what it tells: while that waits unsent it is not said again.
        """
        stream = self.standing if related is None else related.stream
        if stream is not None:
            stream.send(notification_frame(method, params), news)
        elif news is None or not self._is_repetition(news):
            self._emit(notification_frame(method, params))

    def _is_repetition(self, news: News) -> bool:
        """Whether this news already waits unsent, and no answer behind it: to say it twice would tell nothing.

        An answer behind it may hold what was true before, and its reader takes it for the news.
        """
        if self._news_flush != self.flushes:
            self._news_flush = self.flushes
            self._news.clear()
        at = self._news.get(news)
        self._news[news] = len(self.outbox)
        return at is not None and all(map(_is_notification, islice(self.outbox, at, None)))

    def notify_progress(self, exchange: Exchange, params: dict[str, Any]) -> None:
        """Progress of an exchange: takes the place of an earlier one that is still unsent."""
        frame = notification_frame("notifications/progress", params)
        if exchange.stream is not None:
            exchange.stream.send(frame, "progress")
            return
        slot = exchange.progress_slot
        if slot is not None and slot[0] == self.flushes:
            self.outbox[slot[1]] = frame
            return
        exchange.progress_slot = (self.flushes, len(self.outbox))
        self._emit(frame)

    def abandon(self, pending: Pending, reason: str | None = None) -> None:
        """Stop waiting for an answer and tell the peer. A late answer is ignored."""
        if self.outgoing.pop(pending.id, None) is None:
            return
        pending.settled = True
        if pending.method != "initialize":
            params: dict[str, Any] = {"requestId": pending.id}
            if reason is not None:
                params["reason"] = reason
            self.notify("notifications/cancelled", params, related=pending.related)

    def lose(self, error: McpError) -> list[Pending]:
        """The connection is gone: every pending request fails with ``error``. Returns them."""
        lost = list(self.outgoing.values())
        self.outgoing.clear()
        for pending in lost:
            pending.settled = True
            pending.error = error
        return lost

    def take(self) -> list[bytes]:
        """The frames to send now, in order, each one whole."""
        frames = self.outbox
        self.outbox = []
        self.flushes += 1
        if self.in_pieces:
            self.in_pieces = False
            return [b"".join(frame) if isinstance(frame, tuple) else frame for frame in frames]
        return frames  # type: ignore[return-value]

    def take_pieces(self) -> list[bytes]:
        """The same as lines, each ending with its newline, in pieces that need not be joined."""
        pieces: list[bytes] = []
        for frame in self.outbox:
            if type(frame) is tuple:
                pieces += frame
            else:
                pieces.append(frame)  # type: ignore[arg-type]
            pieces.append(b"\n")
        self.outbox = []
        self.in_pieces = False
        self.flushes += 1
        return pieces

    def _emit(self, frame: bytes) -> None:
        self.outbox.append(frame)
        if len(self.outbox) == 1:
            self.wake()

    def _answer_frame(self, frame: bytes, batch: Batch | None, code: int) -> None:
        """An error as the answer to a message that became no exchange."""
        if batch is not None:
            batch.frames.append(frame)
        elif self.stream is not None:
            self.stream.answer(frame, code)
        else:
            self._emit(frame)

    def _finish_in_batch(self, batch: Batch, frame: bytes) -> None:
        batch.frames.append(frame)
        self._batch_step(batch)

    def _batch_step(self, batch: Batch) -> None:
        batch.waiting -= 1
        if batch.waiting:
            return
        frame = b"[" + b",".join(batch.frames) + b"]"
        if batch.stream is None:
            if batch.frames:
                self._emit(frame)
        elif batch.frames:
            batch.stream.answer(frame, None)
        else:
            batch.stream.close()


def _is_notification(frame: bytes | tuple[bytes, ...]) -> bool:
    return type(frame) is bytes and frame.startswith(_NOTIFICATION_HEAD)
