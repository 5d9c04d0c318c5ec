"""What the client itself wants to hear for as long as it is connected: the user's change callbacks and ``subscribe``.

One stream (``listen.py``) carries all of it; where the set changes, a new one is opened before the old one is closed,
so that nothing is missed between. A change that was missed while the server was away is told when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from mcpcore.client.listen import Event, ResourceUpdated, Resync, Stream
from mcpcore.client.notices import CHANGES, UPDATED
from mcpcore.errors import McpError, MissingCapability, UsageError
from mcpcore.types import SubscriptionFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcpcore.client.dial import Connection
    from mcpcore.core.limits import Limits

__all__ = ["Standing"]

log = logging.getLogger("mcpcore.client")

_METHODS = {event: method for method, event in CHANGES.items()}


class Standing:
    """``methods`` are those that the user has callbacks for; ``on_end`` is called when the server ends the stream."""

    def __init__(self, methods: Iterable[str], limits: Limits, on_end: Callable[[], None]) -> None:
        self._topics = [method for method in CHANGES if method in set(methods)]
        self._limits = limits
        self._on_end = on_end
        self._uris: dict[str, None] = {}
        self._connection: Connection | None = None
        self._stream: Stream | None = None
        self._heard_before = False
        self._changing = asyncio.Lock()

    @property
    def wanted(self) -> bool:
        return bool(self._topics or self._uris)

    async def establish(self, connection: Connection) -> None:
        """Listen on a new connection, or again on this one. Failing to is no reason to fail the connection: it is
        logged.
        """
        async with self._changing:
            if not self.wanted or self._stands(connection):
                return
            try:
                await self._replace(connection)
            except McpError as error:
                log.warning("%s: changes are not heard: %s", connection.endpoint, error)
                return
            if self._heard_before:
                self._tell_all(connection)
            self._heard_before = True

    async def add(self, connection: Connection, uri: str) -> None:
        """Hear of this resource as well. Raises ``MissingCapability`` where the server will not tell of it."""
        async with self._changing:
            known = uri in self._uris
            if known and self._stands(connection):
                return
            if not known and len(self._uris) >= self._limits.max_subscribed_uris:
                raise UsageError(
                    f"at most {self._limits.max_subscribed_uris} resources can be subscribed to; unsubscribe first"
                )
            self._uris[uri] = None
            try:
                await self._replace(connection)
            except BaseException:
                if not known:
                    del self._uris[uri]
                raise
            honoured = self._stream.honoured.resource_subscriptions if self._stream is not None else None
            if uri not in (honoured or ()):
                del self._uris[uri]
                await self._replace(connection)
                text = f"the server does not offer subscriptions to {uri[:200]}"
                raise MissingCapability(text, {"resources": {"subscribe": True}})
            self._heard_before = True

    async def remove(self, connection: Connection, uri: str) -> None:
        async with self._changing:
            if uri in self._uris:
                del self._uris[uri]
                await self._replace(connection)

    def _stands(self, connection: Connection) -> bool:
        return connection is self._connection and self._stream is not None and not self._stream.ended

    def lose(self) -> None:
        """The connection is over."""
        self._stream = None
        self._connection = None

    def forget(self) -> None:
        """The client was closed: its subscriptions go with it."""
        self.lose()
        self._uris.clear()
        self._heard_before = False
        self._changing = asyncio.Lock()  # the next connection may be in another loop

    async def _replace(self, connection: Connection) -> None:
        if connection is not self._connection:
            self._connection, self._stream = connection, None
        old, self._stream = self._stream, None
        if self.wanted:
            new = Stream(self._filter(), self._limits.notification_queue, self._heard, self._ended)
            try:
                await connection.hearing.open(new, connection.timeouts)
            except BaseException:
                self._stream = old
                raise
            self._stream = new
        if old is not None:
            await connection.hearing.close(old, connection.timeouts)

    def _filter(self) -> SubscriptionFilter:
        topics = self._topics
        return SubscriptionFilter(
            tools_list_changed="notifications/tools/list_changed" in topics,
            prompts_list_changed="notifications/prompts/list_changed" in topics,
            resources_list_changed="notifications/resources/list_changed" in topics,
            resource_subscriptions=list(self._uris) or None,
        )

    def _heard(self, event: Event, params: dict[str, Any]) -> None:
        if self._connection is None:
            return
        if isinstance(event, Resync):
            self._tell_all(self._connection)
        else:
            self._tell(self._connection, event, params)

    def _ended(self, stream: Stream) -> None:
        if stream is self._stream:
            self._on_end()

    def _tell_all(self, connection: Connection) -> None:
        """What may have been missed."""
        for method in self._topics:
            self._tell(connection, CHANGES[method], {})
        for uri in self._uris:
            self._tell(connection, ResourceUpdated(uri), {"uri": uri})

    def _tell(self, connection: Connection, event: Event, params: dict[str, Any]) -> None:
        connection.notices.tell(UPDATED if isinstance(event, ResourceUpdated) else _METHODS[event], params)
