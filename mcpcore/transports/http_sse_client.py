"""HTTP+SSE, the transport of 2024-11-05, for a client: one event stream brings everything, POSTs go to another URL.

The stream is opened with GET, and its first event says where to. The conversation ends with the stream.

Specification: https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcpcore.errors import ConnectFailed, McpError
from mcpcore.http.requester import refusal
from mcpcore.transports.http_call import Call
from mcpcore.transports.http_channel import HttpChannel, called

if TYPE_CHECKING:
    from mcpcore.http.messages import ResponseHead
    from mcpcore.http.sse import Event
    from mcpcore.http.url import Url
    from mcpcore.transports.channel_options import ChannelOptions
    from mcpcore.transports.http_connection import Lost
    from mcpcore.transports.http_pool import HttpPool
    from mcpcore.transports.runner import Runner

__all__ = ["SseChannel"]


class SseChannel(HttpChannel):
    """It owns its pool, also one that it was given, once it is open."""

    def __init__(self, runner: Runner, options: ChannelOptions, pool: HttpPool | None = None) -> None:
        super().__init__(runner, options, pool)
        self._stream = Call(self, "GET", self.limits)
        self._target: asyncio.Future[Url] = self.loop.create_future()
        self._target.add_done_callback(lambda target: target.cancelled() or target.exception())

    async def open(self, seconds: float | None) -> None:
        """Open the stream and learn where messages go. Raises ``ConnectFailed``, or what the server answered."""
        self.submit(self._stream)
        try:
            async with asyncio.timeout(seconds):
                url = await self._target
        except TimeoutError:
            self.let_go()
            text = f"the server did not say within {seconds:g} seconds where messages go"
            raise ConnectFailed(text, endpoint=self.endpoint) from None
        except BaseException:
            self.let_go()
            raise
        self.requests.moved(url)

    def let_go(self) -> None:
        """Close the stream, and nothing else."""
        self.drop(self._stream)

    # -- sending -------------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        message, method = called(frame)
        id = message.get("id") if method is not None else None
        call = Call(self, "POST", self.limits, frame, id, method or "", message.get("params") if method else None)
        if id is None:
            self.notice(call)
            return
        self._open[id] = call
        if self._given:
            call.fields = self._given.pop(id, None)
        self.submit(call)

    def render(self, call: Call) -> bytes:
        if call.verb == "GET":
            return self.requests.get(b"", None, call.fields, call.url)
        return self.requests.post(b"", call.frame, call.fields, call.url)

    # -- the call's owner ----------------------------------------------------------------------------------------------

    def answered(self, call: Call, head: ResponseHead, body: bytes) -> None:
        if call is self._stream:
            if head.status in (301, 302, 303, 307, 308):
                self.refused(call, head, body)
            else:
                self._fail_stream(refusal(call.subject, self.endpoint, head, body, 0.0))
        elif not 200 <= head.status < 300:
            if not call.settled:
                self.refused(call, head, body)
        elif call.id is None:
            self.notice_is_done(call)
        else:
            self.settle(call)  # it was accepted; the answer comes on the stream

    def opened(self, call: Call) -> None:
        """The first event says where messages go."""

    def heard(self, call: Call, event: Event) -> None:
        if call is self._stream and not self._target.done():
            self._learn_target(event)
        elif not self._closing:
            super().heard(call, event)

    def _learn_target(self, event: Event) -> None:
        if event.event != "endpoint":
            text = "the first event of its stream is no 'endpoint': this is no HTTP+SSE server"
            self._fail_stream(ConnectFailed(text, endpoint=self.endpoint))
            return
        try:
            self._target.set_result((self._stream.url or self.requests.url).joined(event.data.decode()))
        except ValueError as error:
            text = f"the endpoint that its stream names is not used: {error}"
            self._fail_stream(ConnectFailed(text, endpoint=self.endpoint))

    def ended(self, call: Call) -> None:
        if call is self._stream:
            self._over("the server ended the event stream")
        elif call.id is None:
            self.notice_is_done(call)

    def broken(self, call: Call, text: str) -> None:
        if call is self._stream:
            self._over(text)
        else:
            super().broken(call, text)

    def lost(self, call: Call, lost: Lost) -> None:
        if call is not self._stream:
            super().lost(call, lost)
        elif self._target.done():
            self._over(str(lost))
        else:
            self._fail_stream(ConnectFailed(str(lost), endpoint=self.endpoint))

    def fail(self, call: Call, error: McpError) -> None:
        if call is self._stream:
            self._fail_stream(error)
        else:
            super().fail(call, error)

    def _fail_stream(self, error: McpError) -> None:
        if not self._target.done():
            self._target.set_exception(error)
        else:
            self._over(str(error))

    def _over(self, reason: str) -> None:
        """Every answer would have come on the stream: the conversation is over with it."""
        if not self._target.done():
            self._target.set_exception(ConnectFailed(reason, endpoint=self.endpoint))
        else:
            self.tell_lost(ConnectionError(reason))

    def _clear(self) -> None:
        self.drop(self._stream)
        super()._clear()
