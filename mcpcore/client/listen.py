"""Hearing of changes: the events, one stream of them, and how a server is made to send them.

Modern servers send them on ``subscriptions/listen`` requests, told apart by the request's id; legacy servers send list
changes unasked and resource updates after ``resources/subscribe``. Whoever reads a stream sees no difference. What the
user holds is ``events.py``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mcpcore.client.calls import again
from mcpcore.errors import CallTimeout, InvalidResult, McpError, UsageError
from mcpcore.spec.meta import SUBSCRIPTION_ID
from mcpcore.types import SubscriptionFilter, from_wire, to_wire

if TYPE_CHECKING:
    from mcpcore.client.calls import Calls
    from mcpcore.client.timeouts import Timeouts
    from mcpcore.core.exchange import Pending

__all__ = [
    "Event",
    "Hearing",
    "ListenRequests",
    "PromptsChanged",
    "ResourceUpdated",
    "ResourcesChanged",
    "Resync",
    "StandingNews",
    "Stream",
    "ToolsChanged",
]


log = logging.getLogger("mcpcore.client")


class ToolsChanged(msgspec.Struct, frozen=True):
    """The list of tools changed."""


class PromptsChanged(msgspec.Struct, frozen=True):
    """The list of prompts changed."""


class ResourcesChanged(msgspec.Struct, frozen=True):
    """The list of resources, or of resource templates, changed."""


class ResourceUpdated(msgspec.Struct, frozen=True):
    """A resource that was subscribed to changed, or one below it."""

    uri: str


class Resync(msgspec.Struct, frozen=True):
    """Events may have been missed, because the stream was interrupted: fetch again what you hold."""


Event = ToolsChanged | PromptsChanged | ResourcesChanged | ResourceUpdated | Resync


class Stream:
    """One stream of events on one connection. Equal events that nobody has read yet are one: they tell the same.

    ``on_event`` gets each event at once instead; ``on_end`` is called once.
    """

    def __init__(
        self,
        wanted: SubscriptionFilter,
        limit: int,
        on_event: Callable[[Event, dict[str, Any]], None] | None = None,
        on_end: Callable[[Stream], None] | None = None,
    ) -> None:
        self.wanted = wanted
        self.honoured = SubscriptionFilter()
        self.id: int | str | None = None
        self.ended = False
        self.error: McpError | None = None
        self._limit = limit
        self._on_event = on_event
        self._on_end = on_end
        self._unread: dict[Event, None] = {}
        self._reader: asyncio.Future[None] | None = None

    def push(self, event: Event, params: dict[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(event, params)
            return
        if len(self._unread) >= self._limit and event not in self._unread:
            self._unread = {Resync(): None}
        self._unread[event] = None
        self._wake()

    def end(self, error: McpError | None) -> None:
        """No more events: the server ended the stream (``None``), or the connection failed."""
        if not self.ended:
            self.ended = True
            self.error = error
            self._wake()
            if self._on_end is not None:
                self._on_end(self)

    async def next(self) -> Event | None:
        """The next event, ``None`` at the end. Raises the error that ended the stream."""
        while not self._unread:
            if self.ended:
                if self.error is not None:
                    raise again(self.error)
                return None
            if self._reader is not None:
                raise UsageError("only one task at a time may read a stream of events")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        event = next(iter(self._unread))
        del self._unread[event]
        return event

    def wants(self, event: Event) -> bool:
        """Whether a legacy server's news is meant for this stream."""
        wanted = self.wanted
        if isinstance(event, ResourceUpdated):
            uris = wanted.resource_subscriptions or ()
            return any(event.uri == uri or event.uri.startswith(uri.rstrip("/") + "/") for uri in uris)
        if isinstance(event, ToolsChanged):
            return wanted.tools_list_changed
        return wanted.prompts_list_changed if isinstance(event, PromptsChanged) else wanted.resources_list_changed

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Hearing(Protocol):
    """How events come on one connection."""

    async def open(self, stream: Stream, limits: Timeouts) -> None:
        """Have the server send what ``stream`` wants; sets what of it is honoured. Raises what ``Calls.ask`` raises."""
        ...

    async def close(self, stream: Stream, limits: Timeouts) -> None:
        """Nobody reads the stream any more."""
        ...

    def heard(self, event: Event, params: dict[str, Any]) -> None: ...

    def acknowledged(self, params: dict[str, Any]) -> None: ...

    def cancelled(self, params: dict[str, Any]) -> None:
        """The server cancelled a request of ours, which only ends a stream."""
        ...

    def missed(self) -> None:
        """Events may have been missed."""
        ...

    def deafen(self, error: McpError) -> None:
        """Nothing will be heard any more, although the connection stands."""
        ...

    def lose(self, error: McpError | None) -> None:
        """The connection is over: every stream ends."""
        ...


class ListenRequests:
    """One ``subscriptions/listen`` request for each stream. No limit of time applies but to the acknowledgement."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._streams: dict[int | str, Stream] = {}
        self._waiting: dict[int | str, asyncio.Future[None]] = {}

    async def open(self, stream: Stream, limits: Timeouts) -> None:
        calls = self._calls
        method = calls.policy.listen_method
        assert method is not None
        pending = calls.send(method, {"notifications": to_wire(stream.wanted)})
        id = stream.id = pending.id
        self._streams[id] = stream
        acknowledged = self._waiting[id] = asyncio.get_running_loop().create_future()
        pending.waiter.add_done_callback(lambda answer: self._answered(stream, answer))
        limit = asyncio.timeout(limits.idle)
        try:
            async with limit:
                await acknowledged
        except BaseException as error:
            self._abandon(pending)
            if isinstance(error, TimeoutError) and limit.expired():
                seconds = limits.idle or 0.0
                text = f"{method}: not acknowledged within {seconds:g} seconds (limit 'idle')"
                raise CallTimeout(text, limit="idle", seconds=seconds, endpoint=calls.runner.endpoint) from None
            raise
        finally:
            del self._waiting[id]
            if acknowledged.done() and not acknowledged.cancelled():
                acknowledged.exception()

    async def close(self, stream: Stream, limits: Timeouts) -> None:
        pending = self._calls.runner.peer.outgoing.get(stream.id) if stream.id is not None else None
        if pending is not None:
            self._abandon(pending)

    def heard(self, event: Event, params: dict[str, Any]) -> None:
        stream = self._stream(params)
        if stream is not None:
            stream.push(event, params)

    def acknowledged(self, params: dict[str, Any]) -> None:
        stream = self._stream(params)
        waiting = self._waiting.get(stream.id) if stream is not None and stream.id is not None else None
        if stream is None or waiting is None or waiting.done():
            return
        try:
            stream.honoured = from_wire(SubscriptionFilter, params.get("notifications"))
        except InvalidResult as error:
            waiting.set_exception(InvalidResult(f"notifications/subscriptions/acknowledged: {error}"))
        else:
            waiting.set_result(None)
            missing = _left_out(to_wire(stream.wanted), to_wire(stream.honoured))
            if missing:
                log.info("%s: subscriptions/listen: never told: %s", self._calls.runner.endpoint, ", ".join(missing))

    def cancelled(self, params: dict[str, Any]) -> None:
        """The result that the server may send after this, or has sent before it, says nothing new."""
        id = params.get("requestId")
        stream = self._streams.get(id) if type(id) is int else None
        if stream is not None:
            self._calls.runner.peer.outgoing.pop(stream.id, None)  # type: ignore[arg-type]
            self._over(stream, None)

    def missed(self) -> None:
        """Nothing: a stream that is interrupted has ended."""

    def deafen(self, error: McpError) -> None:
        """Nothing: each stream has a request of its own."""

    def lose(self, error: McpError | None) -> None:
        for stream in list(self._streams.values()):
            self._over(stream, error)

    def _answered(self, stream: Stream, answer: asyncio.Future[dict[str, Any]]) -> None:
        if not answer.cancelled():
            error = answer.exception()
            assert error is None or isinstance(error, McpError)
            self._over(stream, error)

    def _over(self, stream: Stream, error: McpError | None) -> None:
        if stream.id is None or self._streams.pop(stream.id, None) is None:
            return
        waiting = self._waiting.get(stream.id)
        if waiting is not None and not waiting.done():
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)
        stream.end(error)

    def _abandon(self, pending: Pending) -> None:
        self._streams.pop(pending.id, None)
        self._calls.runner.peer.abandon(pending)

    def _stream(self, params: dict[str, Any]) -> Stream | None:
        meta = params.get("_meta")
        id = meta.get(SUBSCRIPTION_ID) if type(meta) is dict else None
        return self._streams.get(id) if type(id) is int else None


def _left_out(wanted: dict[str, Any], honoured: dict[str, Any]) -> list[str]:
    """What of a filter the server did not agree to (patterns/subscriptions#acknowledgment)."""
    missing = [name for name, value in wanted.items() if value is True and not honoured.get(name)]
    agreed = honoured.get("resourceSubscriptions") or ()
    return missing + [uri[:200] for uri in wanted.get("resourceSubscriptions") or () if uri not in agreed]


def _ignore(answer: asyncio.Future[dict[str, Any]]) -> None:
    if not answer.cancelled():
        answer.exception()


class StandingNews:
    """A legacy session: each stream gets what of the session's news it wants; resources are subscribed to while any
    stream wants them."""

    def __init__(self, calls: Calls, capabilities: dict[str, Any]) -> None:
        self._calls = calls
        self._capabilities = capabilities
        self._streams: dict[Stream, None] = {}
        self._holders: dict[str, set[Stream]] = {}
        self._changing = asyncio.Lock()
        self._deaf: McpError | None = None

    async def open(self, stream: Stream, limits: Timeouts) -> None:
        if self._deaf is not None:
            raise again(self._deaf)
        stream.honoured = self._honoured(stream.wanted)
        self._streams[stream] = None
        try:
            async with self._changing:
                for uri in stream.honoured.resource_subscriptions or ():
                    holders = self._holders.setdefault(uri, set())
                    first = not holders
                    holders.add(stream)
                    if first:
                        await self._calls.ask("resources/subscribe", {"uri": uri}, limits)
        except BaseException:
            for uri in self._let_go(stream):
                if self._calls.runner.lost is None:
                    self._calls.send("resources/unsubscribe", {"uri": uri}).waiter.add_done_callback(_ignore)
            raise

    async def close(self, stream: Stream, limits: Timeouts) -> None:
        free = self._let_go(stream)
        if not free:
            return
        async with self._changing:
            for uri in free:
                if uri not in self._holders:
                    try:
                        await self._calls.ask("resources/unsubscribe", {"uri": uri}, limits)
                    except McpError:
                        pass  # the server may have forgotten it, or be gone: nobody listens either way

    def _let_go(self, stream: Stream) -> list[str]:
        """The resources that nobody holds any more without this stream."""
        self._streams.pop(stream, None)
        free: list[str] = []
        for uri, holders in list(self._holders.items()):
            holders.discard(stream)
            if not holders:
                del self._holders[uri]
                free.append(uri)
        return free

    def heard(self, event: Event, params: dict[str, Any]) -> None:
        for stream in list(self._streams):
            if stream.wants(event):
                stream.push(event, params)

    def acknowledged(self, params: dict[str, Any]) -> None: ...

    def cancelled(self, params: dict[str, Any]) -> None: ...

    def missed(self) -> None:
        for stream in list(self._streams):
            stream.push(Resync(), {})

    def deafen(self, error: McpError) -> None:
        self._deaf = error
        self.lose(error)

    def lose(self, error: McpError | None) -> None:
        streams = list(self._streams)
        self._streams.clear()
        self._holders.clear()
        for stream in streams:
            stream.end(error)

    def _honoured(self, wanted: SubscriptionFilter) -> SubscriptionFilter:
        """What the server's capabilities promise."""

        def promises(topic: str, what: str) -> bool:
            settings = self._capabilities.get(topic)
            return type(settings) is dict and settings.get(what) is True

        uris = wanted.resource_subscriptions
        return SubscriptionFilter(
            tools_list_changed=wanted.tools_list_changed and promises("tools", "listChanged"),
            prompts_list_changed=wanted.prompts_list_changed and promises("prompts", "listChanged"),
            resources_list_changed=wanted.resources_list_changed and promises("resources", "listChanged"),
            resource_subscriptions=uris if uris and promises("resources", "subscribe") else None,
        )
