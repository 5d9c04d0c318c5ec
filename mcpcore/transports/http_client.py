"""Streamable HTTP for a client, in both eras: each message is a POST, and its answer comes back on it.

A modern request is complete in itself: its headers say what its body says, and closing its connection cancels it.
Legacy requests belong to a session (``http_session.py``); a stream that breaks is resumed, and one that is cancelled is
told so. Where the handshake shows that a server is older than Streamable HTTP, HTTP+SSE takes over.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.errors import (
    ConnectFailed,
    ConnectionLost,
    HttpError,
    McpError,
    ProtocolViolation,
    RpcError,
    UsageError,
)
from mcpcore.http.media import is_json
from mcpcore.http.param_headers import compile_extractor
from mcpcore.http.requester import error_in, modern_lines, refusal, session_is_gone
from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.message import notification_frame, request_frame
from mcpcore.spec import codes
from mcpcore.spec.header_params import header_params
from mcpcore.spec.meta import PROTOCOL_VERSION
from mcpcore.spec.revisions import MODERN
from mcpcore.transports.http_call import Call
from mcpcore.transports.http_channel import HttpChannel, called
from mcpcore.transports.http_pool import Unreachable
from mcpcore.transports.http_session import Sessions
from mcpcore.transports.http_sse_client import SseChannel
from mcpcore.transports.http_standing import pause_before

if TYPE_CHECKING:
    import asyncio

    from mcpcore.http.messages import ResponseHead
    from mcpcore.http.param_headers import Extractor
    from mcpcore.http.sse import Event
    from mcpcore.transports.channel_options import ChannelOptions
    from mcpcore.transports.http_connection import Lost
    from mcpcore.transports.runner import Runner
    from mcpcore.types import Tool

__all__ = ["StreamableChannel", "open_http"]

_KEPT_LINES = 1024
"""Header lines kept for the next request of the same method and name."""
_OF_THIS_SESSION = frozenset({"", "notifications/cancelled", "notifications/initialized"})
"""Messages without an answer that mean nothing in another session; the first one is an answer."""
_OLDER = frozenset({400, 404, 405})
"""Statuses with which a server may show that it knows HTTP+SSE alone."""


async def open_http(runner: Runner, options: ChannelOptions, transport: str) -> HttpChannel:
    """A channel to a server by HTTP, with its first connection made; ``connection_made`` has been called.

    ``transport`` is ``"auto"``, ``"http"`` or ``"sse"``. Raises ``ConnectFailed``.
    """
    if transport == "sse":
        sse = SseChannel(runner, options)
        runner.connection_made(sse)
        await sse.open(options.connect_seconds)
        return sse
    channel = StreamableChannel(runner, options, falls_back=transport == "auto")
    runner.connection_made(channel)
    try:
        await channel.pool.warm_up()
    except Unreachable as error:
        raise ConnectFailed(str(error), endpoint=channel.endpoint) from None
    return channel


class StreamableChannel(HttpChannel):
    """``falls_back``: whether HTTP+SSE may take over."""

    def __init__(self, runner: Runner, options: ChannelOptions, *, falls_back: bool = True) -> None:
        super().__init__(runner, options)
        self.sessions = Sessions(self)
        self._falls_back = falls_back
        self._doubting: asyncio.Task[Any] | None = None
        self._lines: dict[tuple[str, Any], bytes] = {}
        self._extractors: dict[str, tuple[Tool, Extractor | None]] = {}

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        message, method = called(frame)
        if method is None:  # an answer, or a batch of them
            self.notice(Call(self, "POST", self.limits, frame))
            return
        id, params = message.get("id"), message.get("params")
        if method == "notifications/cancelled":
            self._cancel(frame, params)
            return
        call = Call(self, "POST", self.limits, frame, id, method, params)
        meta = params.get("_meta") if params is not None else None
        if meta is not None and PROTOCOL_VERSION in meta:
            try:
                call.lines = self._modern_lines(meta[PROTOCOL_VERSION], method, params)
            except ValueError as error:
                self.fail(call, UsageError(f"{call.subject}: {error}"))
                return
        elif id is None and self.runner.peer.revision is MODERN:
            call.lines = self._modern_lines(MODERN.name, method, params)
        if id is None:
            if method == "notifications/initialized":
                self.sessions.initialized(call)
            self.notice(call)
            return
        self._open[id] = call
        if self._given:
            call.fields = self._given.pop(id, None)
        if call.lines is None:
            self.sessions.sent(method, params)
            if method != "initialize" and self.sessions.hold(call):
                return
        self.submit(call)

    def _modern_lines(self, version: str, method: str, params: Any) -> bytes:
        """They are the same for the next request of this method and name, unless its parameters are mirrored."""
        name = params.get("name", params.get("uri")) if params is not None else None
        if method == "tools/call" and (extractor := self._extractor(name)) is not None:
            return modern_lines(version, method, params, extractor(params.get("arguments")))
        key = (method, name)
        lines = self._lines.get(key) if version == MODERN.name and (name is None or type(name) is str) else None
        if lines is None:
            lines = modern_lines(version, method, params)
            if version == MODERN.name and (name is None or type(name) is str):
                if len(self._lines) >= _KEPT_LINES:
                    self._lines.clear()
                self._lines[key] = lines
        return lines

    def _extractor(self, name: Any) -> Extractor | None:
        """What reads the header parameters of a tool from its arguments; ``None`` where it has none that are known."""
        tool = self.options.tool(name)
        if tool is None:
            return None
        known = self._extractors.get(name)
        if known is None or known[0] is not tool:
            try:
                found = header_params(tool.input_schema)
            except ValueError:
                found = {}  # the list has left this tool out, with a warning
            known = (tool, compile_extractor(found) if found else None)
            if len(self._extractors) >= _KEPT_LINES:
                self._extractors.clear()
            self._extractors[name] = known
        return known[1]

    def _cancel(self, frame: bytes, params: Any) -> None:
        """Modern: the connection is closed, which says it (2026-07-28, streamable-http#cancellation). Legacy: said by a
        message, and the connection closed after that; a request that was not sent is forgotten."""
        call = self._open.pop(params.get("requestId"), None)
        if call is None:
            return
        call.settled = True
        if call.sent_id != call.id:
            frame = notification_frame("notifications/cancelled", {**params, "requestId": call.sent_id})
        was_sent = not (self.sessions.withdraw(call) or self.pool.withdraw(call))
        if call.lines is not None or not was_sent:
            self.drop(call)
            return
        notice = Call(self, "POST", self.limits, frame, None, "notifications/cancelled")
        notice.waiter = self.loop.create_future()
        notice.waiter.add_done_callback(lambda _: self.drop(call))
        self.notice(notice)

    # -- the call's owner ----------------------------------------------------------------------------------------------

    def render(self, call: Call) -> bytes:
        lines = call.lines
        if lines is None:
            if call.waiter is None or call.id is None:
                call.session = None if call.method == "initialize" else self.sessions.current
            lines = call.session.lines if call.session is not None else b""
        if call.verb == "GET":
            return self.requests.get(lines, call.last_id, call.fields, call.url)
        return self.requests.post(lines, call.frame, call.fields, call.url)

    def answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        if call.id is None:
            self._notice_answered(call, head, body)
        elif call.settled:
            return
        elif call.verb == "GET":
            reason = refusal(call.subject, self.endpoint, head, body, 0.0)
            text = f"{call.subject}: its event stream ended without the answer, and cannot be resumed: {reason}"
            self.fail(call, ConnectionLost(text, endpoint=self.endpoint))
        elif head.status == 200 and is_json(head.headers.get("content-type")):
            self._one_message(call, body)
        else:
            self._no_message(call, head, body)

    def _one_message(self, call: Call, body: bytes) -> None:
        try:
            message = decode(body)
        except Unreadable as error:
            self.broken(call, f"the answer is not JSON: {error}")
            return
        self.deliver(call, message, body)
        if not call.settled:
            self.broken(call, "what the server answered is not the answer to this request")

    def _no_message(self, call: Call, head: ResponseHead, body: bytes) -> None:
        error = error_in(body)
        session = call.session
        if session is not None and session.id is not None and session_is_gone(head.status, error):
            if call.waiter is None and self.sessions.is_gone(call):
                return
        elif self._is_of_another_era(call, head.status, error):
            self._doubt(call, error)
        elif self._may_be_older(call, head.status) and (error is None or error.code not in codes.MODERN_CODES):
            failure = refusal(call.subject, self.endpoint, head, body, 0.0)
            self.spawn(self._fall_back(call, failure), "mcpcore-http-sse")
            return
        self.refused(call, head, body)

    def _notice_answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        if 200 <= head.status < 300:
            self.notice_is_done(call)
        elif call.session is not None and call.session.id is not None and session_is_gone(head.status, error_in(body)):
            if call.method not in _OF_THIS_SESSION and self.sessions.is_gone(call):
                return
            self.notice_is_done(call)  # what it was about is gone with the session
        else:
            self.refused(call, head, body)
        self._notice_over(call)

    def _notice_over(self, call: Call) -> None:
        if call.waiter is not None and not call.waiter.done():
            call.waiter.set_result(None)
        if call.method == "notifications/initialized":
            self.sessions.admit()

    def notice_failed(self, call: Call, text: str) -> None:
        super().notice_failed(call, text)
        self._notice_over(call)

    def deliver(self, call: Call, message: Any, frame: bytes) -> None:
        if call.method == "initialize" and not call.settled and call.waiter is None and type(message) is dict:
            self.sessions.begin(call, message)
        super().deliver(call, message, frame)

    # -- a server that was replaced ------------------------------------------------------------------------------------

    def _is_of_another_era(self, call: Call, status: int, error: RpcError | None) -> bool:
        """Whether an answer may come from a server that took the place of the one that was spoken to, and has another
        era: versions may be upgraded and downgraded at any time (2026-07-28, basic/versioning#backward-compatibility).
        """
        revision = self.runner.peer.revision
        if revision is None or call.waiter is not None or status not in _OLDER:
            return False
        if not revision.modern:
            return error is not None and error.code in codes.MODERN_CODES
        return error is None or error.code in (-32000, codes.INVALID_REQUEST)

    def _doubt(self, call: Call, error: RpcError | None) -> None:
        """A modern error in a legacy conversation is proof. The other way round one question more gives it."""
        if error is not None and error.code in codes.MODERN_CODES:
            self.loop.call_soon(self.tell_lost, ConnectionError("the server was replaced by one of a newer revision"))
        elif self._doubting is None:
            self._doubting = self.spawn(self._ask_again(call), "mcpcore-http-era")
            self._doubting.add_done_callback(self._sure)

    async def _ask_again(self, doubtful: Call) -> None:
        params = {"_meta": doubtful.params["_meta"]} if doubtful.params else {}
        frame = request_frame("mcpcore-era", "server/discover", params)
        call = Call(self, "POST", self.limits, frame, "mcpcore-era", "server/discover", params)
        call.lines = self._modern_lines(MODERN.name, call.method, params)
        fault: McpError | None
        try:
            fault = error_in(encode(await self.finished(call)))
        except McpError as error:
            fault = error
        refused = isinstance(fault, RpcError) and fault.code not in codes.MODERN_CODES
        if refused or (isinstance(fault, HttpError) and fault.status in _OLDER):
            self.tell_lost(ConnectionError("the server was replaced by one of an older revision"))

    def _sure(self, task: asyncio.Task[Any]) -> None:
        self._doubting = None

    # -- streams -------------------------------------------------------------------------------------------------------

    def opened(self, call: Call) -> None:
        """Events will come."""

    def heard(self, call: Call, event: Event) -> None:
        call.resumes = 0
        super().heard(call, event)
        if call.settled and call.connection is not None:
            self.linger(call)

    def ended(self, call: Call) -> None:
        self._lingering.pop(call, None)
        if not call.settled and not self._resume(call) and not self.reissue(call):
            text = f"{call.subject}: the event stream ended without the answer"
            self.fail(call, ConnectionLost(text, endpoint=self.endpoint))
        elif call.id is None:
            self.notice_is_done(call)
            self._notice_over(call)

    def lost(self, call: Call, lost: Lost) -> None:
        self._lingering.pop(call, None)
        if call.settled or not (call.is_stream or call.verb == "GET") or not self._resume(call):
            super().lost(call, lost)

    def _resume(self, call: Call) -> bool:
        """Ask for the rest of a legacy stream, after a pause; false where the server gave no position to resume at.

        A server may close a connection on purpose, and let its clients ask for the answer from time to time
        (2025-11-25, basic/transports#sending-messages-to-the-server).
        """
        limits = self.limits
        if call.id is None or call.lines is not None or call.last_id is None or call.resumes >= limits.max_resumes:
            return False
        call.resumes += 1
        call.verb = "GET"
        self.later(call, pause_before(call.resumes, call.retry, limits.relisten_seconds))
        return True

    # -- HTTP+SSE ------------------------------------------------------------------------------------------------------

    def _may_be_older(self, call: Call, status: int) -> bool:
        """Whether a refused handshake may be that of a server which knows HTTP+SSE alone."""
        return self._falls_back and call.method == "initialize" and call.waiter is None and status in _OLDER

    async def _fall_back(self, call: Call, failure: McpError) -> None:
        """See whether the server speaks HTTP+SSE; where it does not, its answer to the handshake is what it said."""
        sse = SseChannel(self.runner, self.options, self.pool)
        try:
            await sse.open(self.limits.endpoint_seconds)
        except McpError:
            self.fail(call, failure)
            return
        except BaseException:
            sse.let_go()
            raise
        self.settle(call)
        self._retire()
        self.runner.channel = sse
        sse.write(call.frame)

    def _retire(self) -> None:
        """Another channel has taken over the pool and the runner."""
        self._told = self._closing = True
        for call in list(self._open.values()):
            self.fail(call, ProtocolViolation(f"{self.endpoint}: {call.subject}: the server speaks HTTP+SSE"))
        for call in list(self._notices):
            self.drop(call)
        self.sessions.clear()

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _say_goodbye(self) -> None:
        await self.sessions.end()

    def _clear(self) -> None:
        self.sessions.clear()
        super()._clear()
