"""The standing stream of a legacy session: opened with GET, resumed where it breaks, given up visibly.

Pauses grow: each is twice the one before, and never shorter than the server asks for. Only an event, or a long life,
begins the count anew, so that a server that ends every stream at once is not asked for ever.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from mcpcore.errors import ConnectionLost
from mcpcore.http.requester import error_in, session_is_gone
from mcpcore.transports.http_call import Call

if TYPE_CHECKING:
    from mcpcore.http.messages import ResponseHead
    from mcpcore.http.sse import Event
    from mcpcore.transports.http_client import StreamableChannel
    from mcpcore.transports.http_connection import Lost
    from mcpcore.transports.http_session import Sessions

__all__ = ["StandingStream", "pause_before"]

log = logging.getLogger("mcpcore.client")

_FIRST_PAUSE = 0.5
_LEAST_CONNECTIONS = 2
"""A stream needs one for itself."""


def pause_before(attempt: int, retry: int | None, longest: float) -> float:
    """Seconds before a stream is resumed for the ``attempt``-th time; ``retry``: the server's wish, in milliseconds."""
    wish = 0.0 if retry is None else retry / 1000
    return max(wish, min(_FIRST_PAUSE * 2 ** (attempt - 1), longest) if attempt > 1 or retry is None else 0.0)


class StandingStream:
    """One stream at a time. A server without one answers 405, which is no error."""

    def __init__(self, channel: StreamableChannel, sessions: Sessions) -> None:
        self._channel = channel
        self._sessions = sessions
        self._call: Call | None = None
        self._attempts = 0
        self._opened_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Open it in the current session; what ended before in another one cannot be resumed."""
        if self._channel.limits.pool_connections >= _LEAST_CONNECTIONS and not self._channel.is_closing():
            self._opened_at = None
            self._ask(None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        call, self._call = self._call, None
        if call is not None:
            self._channel.drop(call)

    # -- the call's owner ----------------------------------------------------------------------------------------------

    def render(self, call: Call) -> bytes:
        session = call.session = self._sessions.current
        lines = session.lines if session is not None else b""
        return self._channel.requests.get(lines, call.last_id, call.fields, call.url)

    def opened(self, call: Call) -> None:
        resumed = self._opened_at is not None
        self._opened_at = self._channel.loop.time()
        if resumed and call.last_id is None and self._channel.listener is not None:
            self._channel.listener.missed()

    def heard(self, call: Call, event: Event) -> None:
        if event.data:  # an empty one only says where to resume
            self._attempts = 0
        self._channel.heard(call, event)

    def answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        if call is not self._call:
            return
        if head.status in (307, 308) and call.redirects == 0:
            self._channel.refused(call, head, body)
            return
        self._call = None
        if self._opened_at is None:
            log.debug("%s: there is no standing stream: HTTP %d", self._channel.endpoint, head.status)
            return
        if session_is_gone(head.status, error_in(body)) and call.session is self._sessions.current:
            self._sessions.renew()
            return
        self._again(call, f"the server answers with HTTP {head.status}")

    def ended(self, call: Call) -> None:
        self._over(call, "the server ends it")

    def broken(self, call: Call, text: str) -> None:
        self._over(call, text)

    def lost(self, call: Call, lost: Lost) -> None:
        self._over(call, str(lost))

    def _over(self, call: Call, reason: str) -> None:
        if call is self._call:
            self._call = None
            self._again(call, reason)

    # -- again ---------------------------------------------------------------------------------------------------------

    def _again(self, call: Call, reason: str) -> None:
        """Resume it after a pause, or give up."""
        channel, limits = self._channel, self._channel.limits
        now = channel.loop.time()
        if self._opened_at is not None and now - self._opened_at > limits.relisten_seconds:
            self._attempts = 0
        self._attempts += 1
        if self._attempts > limits.max_resumes:
            text = f"changes are not heard any more: the stream of the session cannot be kept: {reason}"
            log.warning("%s: %s", channel.endpoint, text)
            if channel.listener is not None:
                channel.listener.deaf(ConnectionLost(text, endpoint=channel.endpoint))
            return
        pause = pause_before(self._attempts, call.retry, limits.relisten_seconds)
        log.debug("%s: the standing stream is resumed in %.3g seconds: %s", channel.endpoint, pause, reason)
        self._timer = channel.loop.call_later(pause, self._resume, call.last_id, call.retry)

    def _resume(self, last_id: str | None, retry: int | None) -> None:
        self._timer = None
        self._ask(last_id, retry)

    def _ask(self, last_id: str | None, retry: int | None = None) -> None:
        call = self._call = Call(self, "GET", self._channel.limits)
        call.last_id = last_id
        call.retry = retry
        self._channel.submit(call)

    def __repr__(self) -> str:
        state: Any = "none" if self._call is None else self._call
        return f"<StandingStream {state}>"
