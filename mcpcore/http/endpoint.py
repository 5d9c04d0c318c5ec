"""The MCP endpoint: an HTTP request in, JSON-RPC to the right peer, an HTTP answer out. Both eras on one URL, no bytes.

Modern requests are complete in themselves: any peer will do, and the end of the connection cancels them. Legacy ones
belong to a session, which outlives connections. What is refused by a head alone is ``guard.py``; how an answer becomes
JSON or an event stream is ``reply.py``; who asks was found out before. The shell owns sockets, time and tasks.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
and https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.core.events import Violation
from mcpcore.eras.door import is_modern_post
from mcpcore.http.event_writer import Clock, EventWriter, Field, Sink
from mcpcore.http.fields import check_standard
from mcpcore.http.legacy_sse import SseRequest, SseSession
from mcpcore.http.media import accepts
from mcpcore.http.reply import JSON_FIELDS, Reply, refusal_frame
from mcpcore.http.sessions import Session, SessionsFull, SessionTable
from mcpcore.http.standing import Standing
from mcpcore.jsonrpc.codec import Unreadable, decode
from mcpcore.jsonrpc.message import NO_ID, error_frame
from mcpcore.spec import codes
from mcpcore.spec.revisions import MODERN, Revision

if TYPE_CHECKING:
    from mcpcore.core.events import Event
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.core.peer import Peer
    from mcpcore.core.streams import Stream
    from mcpcore.http.messages import RequestHead

__all__ = ["Endpoint", "Held", "Servant"]

_SPARE = 64
"""Servants kept for the next request of a revision: making one costs as much as serving a small request."""
_ASSUMED = "2025-03-26"
"""The revision of a request without a session and without a version header (2025-11-25, basic/transports)."""


class Servant(Protocol):
    """What runs the handlers of one peer."""

    peer: Peer
    door: Any

    def receive(self, message: Any, stream: Any) -> Event | list[Event] | None:
        """Serve a decoded message that came on this stream."""
        ...

    def stand(self, stream: Stream) -> None:
        """What belongs to no request travels on this stream from now on."""
        ...

    def cancel(self, exchange: Exchange) -> None:
        """Stop serving a request whose client went away."""
        ...

    def close(self) -> None:
        """The conversation is over: cancel what runs, fail what was asked."""
        ...


class Held(Protocol):
    """An answer that is not complete yet, and wants to know when its connection is gone."""

    def lost(self) -> None: ...


class Endpoint:
    """``open_legacy`` makes the servant of a session, or of one request where it is told why there is none.
    ``param_check(tool)`` gives the check of a tool's ``Mcp-Param-*`` headers. ``sessionless`` says why there are no
    sessions; ``None``: there are."""

    def __init__(
        self,
        limits: Limits,
        clock: Clock,
        revisions: Sequence[Revision],
        *,
        mint: Callable[[], str],
        open_legacy: Callable[..., Servant],
        param_check: Callable[[Any], Callable[..., str | None] | None],
        sessionless: str | None = None,
        answers: str = "auto",
        sse_messages: str | None = None,
    ) -> None:
        self.limits = limits
        self.clock = clock
        self.draining = False
        self.open: dict[Reply | SseRequest, Session | None] = {}
        """Answers that are not complete, and their sessions."""
        self.sessions = SessionTable(limits, mint)
        self._streams: dict[EventWriter, Session] = {}
        """Connections that read events beside the answers in ``open``."""
        self._open_legacy = open_legacy
        self._param_check = param_check
        self._sessionless = sessionless
        self._spare: dict[str, list[Servant]] = {}
        """Servants without a session that have nothing to do: they remember nothing of whom they served."""
        self._answers = answers
        self._sse_messages = sse_messages
        self._supported = [revision.name for revision in revisions]
        self._modern = any(revision.modern for revision in revisions)
        self._legacy = {revision.name: revision for revision in revisions if not revision.modern}

    # -- requests ------------------------------------------------------------------------------------------------------

    def post(
        self, head: RequestHead, body: bytes, sink: Sink, principal: str, modern: Callable[[], Servant]
    ) -> Held | None:
        """``modern()`` is the servant of modern requests on this connection. ``None`` where the answer is complete."""
        headers = head.headers
        version = headers.get("mcp-protocol-version")
        try:
            message = decode(body)
        except Unreadable as error:
            self._refuse(sink, 400, f"the message is not JSON: {error}", version, code=codes.PARSE_ERROR)
            return None
        if self._busy and _asks(message):
            self._overloaded(sink, message)
            return None
        if self._modern and (not self._legacy or is_modern_post(version, message)):
            return self._post_modern(head, message, sink, principal, modern)
        return self._post_legacy(head, message, sink, principal, version)

    def get(self, head: RequestHead, sink: Sink, principal: str) -> Held | None:
        """The standing stream of a session, or what is left of a broken one (``Last-Event-ID``)."""
        session = self._session_of(head, sink, principal)
        if session is None:
            return None
        if self._streams_full or session.streams >= self.limits.max_listen_streams:
            self._overloaded(sink, None)
            return None
        last = head.headers.get("last-event-id")
        standing = session.standing
        if last is None:
            return standing.open(sink, session.runner.door.primes_streams)  # type: ignore[no-any-return]
        held: EventWriter | None = standing.resume(sink, last)
        if held is None:
            text = "the stream of this Last-Event-ID cannot be resumed: the event is unknown, or what followed is gone"
            self._refuse(sink, 400, text, None)
            return None
        return held

    def delete(self, head: RequestHead, sink: Sink, principal: str) -> None:
        """The client ends its session."""
        session = self._session_of(head, sink, principal)
        if session is not None:
            self.sessions.end(session)
            sink.whole(204, (), b"")

    # -- HTTP+SSE of 2024-11-05 ----------------------------------------------------------------------------------------

    def open_sse(self, head: RequestHead, sink: Sink, principal: str) -> Held | None:
        """The event stream of the deprecated transport: its first event names the URL for messages."""
        if not self._legacy or self._sessionless is not None or self._sse_messages is None:
            why = (
                f"it needs a session, and {self._sessionless}" if self._sessionless is not None else "it is turned off"
            )
            text = f"HTTP+SSE is not served here: {why}; use Streamable HTTP on the MCP endpoint"
            self._refuse(sink, 404, text, None)
            return None
        if self._streams_full:
            self._overloaded(sink, None)
            return None
        session = self._new_session(sink, principal)
        if session is None:
            return None
        url = f"{self._sse_messages}?session_id={session.id}"
        sse = SseSession(sink, principal, self.limits, self.clock, url, self._sse_closed)
        session.standing = sse
        session.runner.stand(sse)
        self._opened(session, sse.writer)
        return sse.writer

    def post_sse(self, head: RequestHead, body: bytes, sink: Sink, principal: str) -> None:
        """A message of the deprecated transport: taken here, answered on the event stream."""
        id = _query_value(head.query, "session_id")
        session = self.sessions.find(id, principal, self.clock.now) if id is not None else None
        sse = session.standing if session is not None else None
        if session is None or not isinstance(sse, SseSession):
            self._refuse(sink, 404, "this session is not known here, or has ended; open the event stream anew", None)
            return
        try:
            message = decode(body)
        except Unreadable as error:
            self._refuse(sink, 400, f"the message is not JSON: {error}", None, code=codes.PARSE_ERROR)
            return
        if self._busy and _asks(message):
            self._overloaded(sink, message)
            return
        sink.whole(202, (("content-type", "text/plain"),), b"Accepted")
        request = sse.of(principal, head.headers, self.over)
        session.runner.receive(message, request)
        if request.exchanges and not request.done:
            self.open[request] = session
            self.sessions.request_began(session)

    # -- modern --------------------------------------------------------------------------------------------------------

    def _post_modern(
        self, head: RequestHead, message: Any, sink: Sink, principal: str, modern: Callable[[], Servant]
    ) -> Held | None:
        if type(message) is not dict:
            text = "the body must be one JSON-RPC message; there are no batches in 2026-07-28"
            self._refuse(sink, 400, text, MODERN.name)
            return None
        method = message.get("method")
        if method is None and ("result" in message or "error" in message):
            text = "a client sends no responses in 2026-07-28: answers travel in params.inputResponses"
            self._refuse(sink, 400, text, MODERN.name)
            return None
        listens = method == "subscriptions/listen"
        reply = self._reply(head, sink, principal, modern=True, listens=listens)
        if "id" in message and type(method) is str:
            if listens and self._cannot_listen(head, sink, message):
                return None
            fault = self._mismatch(head, method, message.get("params"))
            if fault is not None:
                id = message["id"]
                known = type(id) is int or type(id) is str
                data = None
                if method == "initialize":  # a legacy client cannot know what else to try (basic/versioning)
                    fault += f"; this server speaks {', '.join(self._supported)}"
                    data = {"supported": self._supported}
                frame = error_frame(id if known else NO_ID, codes.HEADER_MISMATCH, fault, data)
                reply.answer(frame, codes.HEADER_MISMATCH)
                return None
        return self._serve(modern(), message, reply, None)

    def _cannot_listen(self, head: RequestHead, sink: Sink, message: dict[str, Any]) -> bool:
        """Whether it was answered that no stream of changes can be opened."""
        if not accepts(head.headers.get("accept"))[1]:
            text = "subscriptions/listen is answered with text/event-stream, which the Accept header leaves out"
            sink.whole(406, JSON_FIELDS, error_frame(_id_of(message), codes.INVALID_REQUEST, text))
            return True
        if self._streams_full:
            self._overloaded(sink, message)
            return True
        return False

    def _mismatch(self, head: RequestHead, method: str, params: Any) -> str | None:
        if type(params) is not dict:
            return check_standard(method, params, None, head.headers, head.repeated)
        fault = check_standard(method, params, params.get("_meta"), head.headers, head.repeated)
        if fault is None and method == "tools/call":
            check = self._param_check(params.get("name"))
            if check is not None:
                fault = check(params.get("arguments"), head.headers, head.repeated)
        return fault

    # -- legacy --------------------------------------------------------------------------------------------------------

    def _post_legacy(
        self, head: RequestHead, message: Any, sink: Sink, principal: str, version: str | None
    ) -> Held | None:
        if version is not None and version not in self._legacy:
            self._unsupported(sink, version, message)
            return None
        opening = type(message) is dict and message.get("method") == "initialize"
        id = head.headers.get("mcp-session-id")
        if opening and id is None:
            return self._initialize(head, message, sink, principal)
        if self._sessionless is not None:
            return self._post_sessionless(head, message, sink, principal, version)
        session = self._session_of(head, sink, principal)
        if session is None:
            return None
        return self._serve(session.runner, message, self._reply(head, sink, principal, session=session), session)

    def _initialize(self, head: RequestHead, message: Any, sink: Sink, principal: str) -> Held | None:
        if self._sessionless is not None:
            return self._serve(
                self._open_legacy(sessionless=self._sessionless), message, self._reply(head, sink, principal), None
            )
        session = self._new_session(sink, principal)
        if session is None:
            return None
        reply = self._reply(head, sink, principal, session=session)
        reply.with_field(("mcp-session-id", session.id))
        held = self._serve(session.runner, message, reply, session)
        if session.runner.door.policy.revision is None:
            self.sessions.end(session)  # refused: nothing is left of it
        return held

    def _post_sessionless(
        self, head: RequestHead, message: Any, sink: Sink, principal: str, version: str | None
    ) -> Held | None:
        """Every request for itself, in the revision that its header names."""
        revision = self._legacy.get(version or _ASSUMED)
        if revision is None:
            self._unsupported(sink, version, message)
            return None
        spare = self._spare.setdefault(revision.name, [])
        servant = spare.pop() if spare else self._open_sessionless(revision)
        held = self._serve(servant, message, self._reply(head, sink, principal), None)
        if held is None and not servant.peer.incoming and len(spare) < _SPARE:
            spare.append(servant)
        return held

    def _open_sessionless(self, revision: Revision) -> Servant:
        servant = self._open_legacy(sessionless=self._sessionless)
        servant.door.policy.assume(revision)
        servant.peer.revision = revision
        return servant

    def _new_session(self, sink: Sink, principal: str) -> Session | None:
        try:
            session = self.sessions.open(principal, self.clock.now)
        except SessionsFull:
            self._overloaded(sink, None)
            return None
        servant = session.runner = self._open_legacy()
        session.standing = Standing(
            session, self.limits, self.clock, lambda writer: self._opened(session, writer), self.closed
        )
        servant.stand(session.standing)
        session.ended = servant.close
        return session

    def _opened(self, session: Session, writer: EventWriter) -> None:
        self._streams[writer] = session
        self.sessions.stream_opened(session)

    def closed(self, writer: EventWriter) -> None:
        """A connection with events is gone."""
        session = self._streams.pop(writer, None)
        if session is not None:
            self.sessions.stream_closed(session, self.clock.now)

    def _sse_closed(self, writer: EventWriter) -> None:
        session = self._streams.pop(writer, None)
        if session is not None:
            self.sessions.end(session)

    @property
    def _busy(self) -> bool:
        """Whether no further request can be taken. What helps those that run to their end always can."""
        return self.draining or len(self.open) >= self.limits.max_requests

    @property
    def _streams_full(self) -> bool:
        most = self.limits.max_streams - len(self._streams)
        return self.draining or (len(self.open) >= most and sum(one.streaming for one in self.open) >= most)

    def _session_of(self, head: RequestHead, sink: Sink, principal: str) -> Session | None:
        """The session that a request names. ``None`` where it was answered that there is none."""
        version = head.headers.get("mcp-protocol-version")
        if not self._legacy or self._sessionless is not None or version == MODERN.name:
            text = f"only POST is served here: {self._sessionless or 'this revision has no sessions'}"
            allow = ("allow", "POST, OPTIONS")
            self._refuse(sink, 405, text, version, fields=(allow,))
            return None
        if version is not None and version not in self._legacy:
            self._unsupported(sink, version, None)
            return None
        id = head.headers.get("mcp-session-id")
        if id is None:
            text = "the Mcp-Session-Id header is missing; send initialize first, and then the id from its answer"
            self._refuse(sink, 400, text, version)
            return None
        session = self.sessions.find(id, principal, self.clock.now)
        if session is None or isinstance(session.standing, SseSession):
            self._refuse(sink, 404, "this session is not known here, or has ended; send initialize again", version)
            return None
        return session

    # -- answering -----------------------------------------------------------------------------------------------------

    def _serve(self, servant: Servant, message: Any, reply: Reply, session: Session | None) -> Held | None:
        event = servant.receive(message, reply)
        if reply.done:
            if session is None or reply.events is None:
                return None
            self._opened(session, reply.events)  # answered at once, and more than its reader takes at once
            return reply
        if not reply.exchanges:
            if type(event) is list and event and all(type(one) is Violation for one in event):
                event = event[0]
            if type(event) is Violation:
                reply.whole(400, JSON_FIELDS, error_frame(NO_ID, codes.INVALID_REQUEST, event.text))
            else:
                reply.whole(202, (), b"")
            return None
        self.open[reply] = session
        if session is not None:
            self.sessions.request_began(session)
        return _Cancelling(reply, servant) if reply.modern else reply

    def _reply(
        self,
        head: RequestHead,
        sink: Sink,
        principal: str,
        *,
        modern: bool = False,
        listens: bool = False,
        session: Session | None = None,
    ) -> Reply:
        json, sse = accepts(head.headers.get("accept"))
        if json and sse and self._answers != "auto" and not listens:
            json, sse = self._answers == "json", self._answers == "sse"
        return Reply(self, sink, principal, head.headers, modern, json, sse, session)

    def over(self, reply: Reply | SseRequest) -> None:
        session = self.open.pop(reply, None)
        if session is not None:
            if reply.events is not None:  # its reader has not taken everything yet
                self._opened(session, reply.events)
            self.sessions.request_ended(session, self.clock.now)

    def _refuse(
        self,
        sink: Sink,
        status: int,
        text: str,
        version: str | None,
        *,
        code: int = codes.INVALID_REQUEST,
        fields: tuple[Field, ...] = (),
    ) -> None:
        """An error that belongs to no request that could be read."""
        sink.whole(status, (*JSON_FIELDS, *fields), refusal_frame(version, code, text))

    def _unsupported(self, sink: Sink, version: str | None, message: Any) -> None:
        """Where no modern revision is served the error is no modern one either: it would tell clients of both eras that
        a handshake is in vain (2026-07-28, basic/versioning#compatibility-matrix)."""
        served = ", ".join([name for name in self._supported if name in self._legacy] or self._supported)
        data: dict[str, Any] = {"supported": self._supported}
        if version is None:
            code, text = codes.HEADER_MISMATCH, f"the MCP-Protocol-Version header is missing; served are {served}"
        else:
            code = codes.UNSUPPORTED_PROTOCOL_VERSION
            text = f"MCP-Protocol-Version {version[:40]!r} is not served here; served are {served}"
            data["requested"] = version[:200]
        if not self._modern:
            code = codes.INVALID_REQUEST
        sink.whole(400, JSON_FIELDS, error_frame(_id_of(message), code, text, data))

    def _overloaded(self, sink: Sink, message: Any) -> None:
        """Not now; ``Retry-After`` says when."""
        text = "the server is stopping" if self.draining else "the server has as much to do as it takes"
        frame = error_frame(_id_of(message), codes.OVERLOADED, f"{text}; retry later", {"retryAfterMs": 1000})
        sink.whole(503, (*JSON_FIELDS, ("retry-after", "1")), frame)

    # -- time and the end ----------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether there is nothing that a tick would look after."""
        return not self.open and not self._streams and not len(self.sessions)

    @property
    def finishing(self) -> bool:
        """Whether something is being answered, or its answer being taken."""
        return bool(self.open) or any(writer.is_finishing for writer in self._streams)

    def tick(self, now: float) -> None:
        """Call it about once a second."""
        self.clock.now = now
        for reply in tuple(self.open):
            reply.tick()
        for writer in tuple(self._streams):
            writer.tick()
        self.sessions.expire(now)

    def drain(self) -> None:
        """Take nothing new, and give every stream of changes its end."""
        self.draining = True
        for reply in tuple(self.open):
            for exchange in tuple(reply.exchanges):
                exchange.peer.door.end(exchange.peer)
        for writer, session in tuple(self._streams.items()):
            if not session.running and not writer.is_finishing:
                writer.finish()

    def close(self) -> None:
        """End every session, and with it what runs for it."""
        for writer in tuple(self._streams):
            writer.finish()
        self.sessions.close_all()


class _Cancelling:
    """A modern answer: when its connection is gone, its request is cancelled (streamable-http#cancellation)."""

    __slots__ = ("_reply", "_servant")

    def __init__(self, reply: Reply, servant: Servant) -> None:
        self._reply = reply
        self._servant = servant

    def lost(self) -> None:
        self._reply.lost()
        for exchange in self._reply.exchanges:
            if exchange.open:
                self._servant.cancel(exchange)


def _asks(message: Any) -> bool:
    """Whether it is a request, or a batch with one."""
    if type(message) is list:
        return any(_asks(one) for one in message if type(one) is dict)
    return type(message) is dict and "method" in message and "id" in message


def _id_of(message: Any) -> int | str | None:
    """What an error says that answers this message."""
    id = message.get("id") if type(message) is dict else None
    return id if type(id) is int or type(id) is str else None


def _query_value(query: str, name: str) -> str | None:
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return None
