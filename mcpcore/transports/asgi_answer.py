"""One answer over ASGI: a ``Sink`` that keeps what is said, and the coroutine that hands it to the server's ``send``.

``send`` returns when the server has taken a message: that is the back-pressure, and what it has not taken is
``unsent``. How much that may become, and what happens then, is the event writer's affair.
Specification: https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcpcore.http.event_writer import Field
from mcpcore.http.reply import JSON_FIELDS
from mcpcore.transports.serving import log

if TYPE_CHECKING:
    from mcpcore.http.endpoint import Held
    from mcpcore.http.messages import RequestHead
    from mcpcore.transports.asgi_site import AsgiSite
    from mcpcore.transports.http_serving import HttpServing

__all__ = ["AsgiAnswer", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CLIENT_GONE = 499
"""No status of HTTP: what nginx writes into its log of a client that did not wait. It is for logs only."""
_BODILESS = frozenset({204, 304})
_JSON_TYPE = (b"content-type", b"application/json")
_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AsgiAnswer:
    """The answer to one request. ``complete``: all was said; ``delivered``: the server has all of it; ``lost``: its
    client is gone."""

    __slots__ = (
        "_changed",
        "_drained",
        "_opened",
        "_queue",
        "_site",
        "_start",
        "_unsent",
        "_watch",
        "complete",
        "cut_at",
        "delivered",
        "head",
        "held",
        "interrupted",
        "lost",
        "servant",
        "task",
    )

    def __init__(self, site: AsgiSite, head: RequestHead) -> None:
        self.head = head
        self.complete = False
        self.delivered = False
        self.lost = False
        self.cut_at: float | None = None
        """When its reader was found too slow."""
        self.held: Held | None = None
        self.servant: HttpServing | None = None
        """What runs a modern request: borrowed, and given back afterwards."""
        self.task: asyncio.Task[Any] | None = None
        self.interrupted = False
        self._site = site
        self._start: Message | None = None
        self._opened = False
        self._queue: list[bytes] = []
        self._unsent = 0
        self._changed: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether something was said already."""
        return self._start is not None

    def borrow(self) -> HttpServing:
        servant = self.servant = self._site.lend()
        return servant

    # -- the endpoint calls: a Sink ------------------------------------------------------------------------------------

    def whole(self, status: int, fields: tuple[Field, ...], body: bytes) -> None:
        if self._start is not None:
            return
        site, head = self._site, self.head
        if fields is JSON_FIELDS and site.cors is None:
            headers = [_JSON_TYPE]
        else:
            headers = _encoded(fields if head.method == "OPTIONS" else (*fields, *site.cors_fields(head)))
        if status not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(body)))
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._queue.append(b"" if head.method == "HEAD" else body)
        self.complete = True
        self._wake()

    def open(self, fields: tuple[Field, ...]) -> None:
        headers = _encoded((*fields, *self._site.cors_fields(self.head)))
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._site.lasts(self)
        self._wake()

    def data(self, data: bytes) -> None:
        if data and not self.complete and not self.lost:
            self._queue.append(data)
            self._unsent += len(data)
            self._wake()

    def end(self) -> None:
        self.complete = True
        self._wake()

    def cut(self) -> None:
        """ASGI has no way to break a connection off. The stream ends as soon as its reader has taken what the server
        holds; one that takes nothing is given up by the site (``interrupt``)."""
        self._queue.clear()
        self.complete = True
        self.cut_at = self._site.clock.now
        self._site.loop.call_soon(self._release)
        self._wake()

    @property
    def unsent(self) -> int:
        return self._unsent

    async def drained(self) -> None:
        waiter = self._draining()
        if waiter is not None:
            await asyncio.shield(waiter)
        else:
            await asyncio.sleep(0)

    def when_drained(self, callback: Callable[[], None]) -> None:
        waiter = self._draining()
        if waiter is not None:
            waiter.add_done_callback(lambda _: callback())
        else:
            self._site.loop.call_soon(callback)

    def _draining(self) -> asyncio.Future[None] | None:
        """Done once the server has taken most of what was said; ``None`` where it has."""
        if self._unsent <= self._low_water or self.complete or self.lost:
            return None
        if self._drained is None:
            self._drained = self._site.loop.create_future()
        return self._drained

    def soon(self, callback: Callable[[], None]) -> None:
        self._site.loop.call_soon(callback)

    # -- the site calls ------------------------------------------------------------------------------------------------

    async def deliver(self, send: Send) -> None:
        """Send what is said, until that is complete or the client is gone. Raises what ``send`` raises, but for an
        ``OSError``, which says that the client is gone."""
        try:
            while self._start is None and not self.lost:
                await self._change()
            if self._start is not None and not self.lost:
                self._opened = True
                await send(self._start)
            while not self.lost:
                queue = self._queue
                if not queue and not self.complete:
                    await self._change()
                    continue
                data = queue[0] if len(queue) == 1 else b"".join(queue)
                queue.clear()
                last = self.complete
                await send({"type": "http.response.body", "body": data, "more_body": not last})
                if last:
                    self.delivered = True
                    return
                self._taken(len(data))
        except OSError:
            self.lose()

    async def dismiss(self, send: Send) -> None:
        """Answer a client that is gone and was not answered. It goes nowhere; middlewares take an application that
        answers nothing for broken."""
        if not self._opened:
            with suppress(OSError):
                await send({"type": "http.response.start", "status": _CLIENT_GONE, "headers": []})
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def watch(self, receive: Receive) -> None:
        """Hear of it when the client goes away."""
        if self._watch is None and not self.lost:
            self._watch = self._site.loop.create_task(self._wait_for_its_end(receive), name="mcpcore-disconnect")

    def leave(self) -> None:
        """It is over, whatever became of it: tell who waits, and watch no more."""
        if self._watch is not None:
            self._watch.cancel()
        self.lose()

    def lose(self) -> None:
        """The client is gone. What that means for its request, the endpoint knows."""
        if not self.lost:
            self.lost = True
            self._queue.clear()
            self._release()
            self._wake()

    def interrupt(self) -> None:
        """End the waiting of the coroutine that serves this: for a body, or for a reader that takes nothing."""
        if self.task is not None and not self.interrupted:
            self.interrupted = True
            self.task.cancel()

    def was_interrupted(self) -> bool:
        """Whether it was ``interrupt`` that cancelled the task, and nobody else as well."""
        return self.interrupted and self.task is not None and self.task.uncancel() == 0

    # -- how it goes on ------------------------------------------------------------------------------------------------

    async def _wait_for_its_end(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                await asyncio.sleep(0)  # what is left of the body; a server may have it all at hand
        except Exception:
            log.debug("the ASGI server's receive() failed, which counts as a disconnect", exc_info=True)
        self.lose()

    def _release(self) -> None:
        held, self.held = self.held, None
        if held is not None:
            held.lost()
        self._unsent = 0
        self._taken(0)

    @property
    def _low_water(self) -> int:
        return self._site.limits.stream_bytes // 8

    def _taken(self, size: int) -> None:
        self._unsent = max(0, self._unsent - size)
        waiter = self._drained
        if waiter is not None and self._unsent <= self._low_water:
            self._drained = None
            if not waiter.done():
                waiter.set_result(None)

    async def _change(self) -> None:
        self._changed = self._site.loop.create_future()
        try:
            await self._changed
        finally:
            self._changed = None

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


def _encoded(fields: tuple[Field, ...]) -> list[tuple[bytes, bytes]]:
    """Header fields as ASGI wants them. Raises ``ValueError`` where a value could end its line."""
    headers = []
    for name, value in fields:
        if _UNSAFE.search(value):
            raise ValueError(f"the value of the header {name} holds a control character")
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    return headers
