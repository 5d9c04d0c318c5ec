"""The legacy session of a client over HTTP: begun by the handshake, begun again where the server forgot it, ended.

Requests wait while a session begins. One that finds its session gone has it begun anew, once for all who find that;
what the user had set up in it (log level, subscriptions) is set up again, and then each request is sent once more.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management
"""

from __future__ import annotations

import asyncio
import copy
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcpcore.errors import ConnectionLost, McpError, ProtocolViolation
from mcpcore.http.requester import error_in, is_session_id, session_lines
from mcpcore.jsonrpc.codec import encode
from mcpcore.jsonrpc.message import notification_frame, request_frame
from mcpcore.transports.http_call import Call
from mcpcore.transports.http_standing import StandingStream

if TYPE_CHECKING:
    from mcpcore.http.messages import ResponseHead
    from mcpcore.transports.http_client import StreamableChannel

__all__ = ["Session", "Sessions"]

log = logging.getLogger("mcpcore.client")


class Session:
    """What one handshake agreed on. ``id`` is ``None`` where the server keeps no session."""

    __slots__ = ("id", "lines", "params", "revision")

    def __init__(self, id: str | None, revision: str, params: dict[str, Any]) -> None:
        self.id = id
        self.revision = revision
        self.params = params
        """Those of the handshake's request."""
        self.lines = session_lines(id, revision)


class Sessions:
    """The sessions of one channel, one after the other."""

    def __init__(self, channel: StreamableChannel) -> None:
        self._channel = channel
        self.current: Session | None = None
        self._held: dict[Call, None] = {}
        self._ready = False
        self._patience: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._internal = 0
        self._level: dict[str, Any] | None = None
        self._uris: dict[str, None] = {}
        self.standing = StandingStream(channel, self)

    # -- beginning -----------------------------------------------------------------------------------------------------

    def begin(self, call: Call, message: dict[str, Any]) -> None:
        """The handshake was answered. Where nobody waits for that any more, the new session is ended at once."""
        session = self._agreed(call, message)
        if session is None:
            return
        if call.id in self._channel.runner.peer.outgoing:
            self.current = session
        else:
            self._channel.spawn(self._forget(session), "mcpcore-http-delete")

    def _agreed(self, call: Call, message: dict[str, Any]) -> Session | None:
        result = message.get("result")
        version = result.get("protocolVersion") if type(result) is dict else None
        if type(version) is not str or not version.isascii() or not version.isprintable():
            return None
        id = call.head.headers.get("mcp-session-id") if call.head is not None else None
        if id is not None and not is_session_id(id):
            log.warning("%s: a session id that is no visible ASCII was ignored", self._channel.endpoint)
            id = None
        return Session(id, version, call.params)

    def initialized(self, call: Call) -> None:
        """The last message of the handshake goes out: requests wait until it has arrived, but not for ever."""
        channel = self._channel
        self._patience = channel.loop.call_later(channel.limits.probe_seconds, self.admit)

    def admit(self) -> None:
        """The handshake is over: what waited goes out, and news may come."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if not self._ready:
            self._ready = True
            self.standing.open()
        if self._renewal is None:
            self._release()

    def hold(self, call: Call) -> bool:
        """Whether this call has to wait for the session; it is sent once that stands."""
        if self._renewal is None and (self._ready or self.current is None):
            return False
        if len(self._held) >= self._channel.limits.pool_waiting:
            self._channel.fail(call, self._channel.overloaded(call))
        else:
            self._held[call] = None
        return True

    def withdraw(self, call: Call) -> bool:
        """Forget a call that waits."""
        if call not in self._held:
            return False
        del self._held[call]
        return True

    def _release(self) -> None:
        held, self._held = self._held, {}
        for call in held:
            if not call.settled:
                self._channel.submit(call)

    def sent(self, method: str, params: Any) -> None:
        """Remember what a new session would have to be told."""
        if type(params) is not dict:
            return
        if method == "logging/setLevel":
            self._level = {"level": params.get("level")}
        elif method == "resources/subscribe":
            self._uris[str(params.get("uri"))] = None
        elif method == "resources/unsubscribe":
            self._uris.pop(str(params.get("uri")), None)

    # -- beginning again -----------------------------------------------------------------------------------------------

    def is_gone(self, call: Call) -> bool:
        """The server does not know the session of this call. Whether it will be sent again, in a new one; a second time
        it is not."""
        if call.renewed:
            return False
        call.renewed = True
        if call.session is self.current:  # else another one has begun since: a late answer says nothing about it
            self.renew()
        if not self.hold(call):
            self._channel.submit(call)
        return True

    def renew(self) -> None:
        """Begin a new session in the place of the current one, unless that is under way."""
        if self._renewal is None and self.current is not None:
            self.standing.close()
            self._renewal = self._channel.spawn(self._renew(self.current), "mcpcore-http-session")

    async def _renew(self, old: Session) -> None:
        channel = self._channel
        try:
            async with asyncio.timeout(channel.options.connect_seconds):
                session = await self._shake_hands(old)
                self.current = session
                await self._tell(notification_frame("notifications/initialized", None), "notifications/initialized")
                await self._set_up()
        except (McpError, TimeoutError) as error:
            self._renewal = None
            self._fail_held(error)
            return
        self._renewal = None
        log.info("%s: the server forgot the session; a new one was begun", channel.endpoint)
        self.standing.open()
        self._release()
        if channel.listener is not None:
            channel.listener.missed()

    async def _shake_hands(self, old: Session) -> Session:
        call, message = await self._ask("initialize", old.params, None)
        session = self._agreed(call, message)
        if session is not None and session.revision == old.revision:
            return session
        # What was agreed for the whole conversation does not hold any more: it has to begin anew, with the next call.
        offered = "nothing that is known" if session is None else session.revision
        text = f"the server began to speak {offered} instead of {old.revision}"
        self._channel.loop.call_soon(self._channel.tell_lost, ConnectionError(text))
        raise ConnectionLost(text, endpoint=self._channel.endpoint)

    async def _set_up(self) -> None:
        """A server that does not offer any more what it had agreed to is no reason to fail."""
        wanted = [("resources/subscribe", {"uri": uri}) for uri in self._uris]
        if self._level is not None:
            wanted.append(("logging/setLevel", self._level))
        for method, params in wanted:
            try:
                await self._ask(method, params, self.current)
            except McpError as error:
                log.warning("%s: %s in the new session failed: %s", self._channel.endpoint, method, error)

    def _fail_held(self, error: BaseException) -> None:
        channel = self._channel
        held, self._held = self._held, {}
        reason = str(error) or "it took too long"
        for call in held:
            if isinstance(error, McpError) and not isinstance(error, ProtocolViolation):
                failure: McpError = copy.copy(error)
            else:
                text = f"{call.subject}: the server forgot the session, and a new one could not be begun: {reason}"
                failure = ConnectionLost(text, endpoint=channel.endpoint)
            channel.fail(call, failure)

    async def _ask(self, method: str, params: dict[str, Any], session: Session | None) -> tuple[Call, dict[str, Any]]:
        """A request of the channel itself; its answer is not for the runner."""
        self._internal += 1
        id = f"mcpcore-{self._internal}"
        call = self._call(request_frame(id, method, params), id, method, params, session)
        message = await self._channel.finished(call)
        error = error_in(encode(message))
        if error is not None:
            raise error
        return call, message

    async def _tell(self, frame: bytes, method: str) -> None:
        with suppress(McpError):  # who does not want to hear it shows that with the next request
            await self._channel.finished(self._call(frame, None, method, None, self.current))

    def _call(
        self, frame: bytes, id: str | None, method: str, params: dict[str, Any] | None, session: Session | None
    ) -> Call:
        call = Call(self._channel, "POST", self._channel.limits, frame, id, method, params)
        call.session = session
        call.renewed = True
        return call

    # -- ending --------------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """Tell the server that the session is not needed any more."""
        self.standing.close()
        if self._renewal is not None:
            self._renewal.cancel()
        session, self.current = self.current, None
        if session is not None:
            await self._forget(session)

    def clear(self) -> None:
        self.standing.close()
        self._held.clear()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _forget(self, session: Session) -> None:
        """Servers that do not let clients end sessions answer 405; there is nothing to do about any other answer."""
        if session.id is None:
            return
        channel = self._channel
        call = Call(_Forgetting(channel), "DELETE", channel.limits, method="the end of the session")
        call.session = session
        await channel.finished(call)


class _Forgetting:
    """Sends a DELETE. Whatever comes of it is its end."""

    def __init__(self, channel: StreamableChannel) -> None:
        self._channel = channel

    def render(self, call: Call) -> bytes:
        return self._channel.requests.delete(call.session.lines, call.fields)

    def answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        if head.status >= 400 and head.status not in (404, 405):
            log.info("%s: the end of the session was answered with HTTP %d", self._channel.endpoint, head.status)
        self._done(call)

    def opened(self, call: Call) -> None:
        self._done(call)

    def heard(self, call: Call, event: Any) -> None: ...

    def ended(self, call: Call) -> None: ...

    def broken(self, call: Call, text: str) -> None:
        self._done(call)

    def lost(self, call: Call, lost: Exception) -> None:
        self._done(call)

    def _done(self, call: Call) -> None:
        if call.waiter is not None and not call.waiter.done():
            call.waiter.set_result(None)
