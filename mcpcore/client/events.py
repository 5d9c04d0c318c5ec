"""A stream of events in the user's hand: ``async with client.listen(...) as events: async for event in events``.

It survives its connection where the client may restart its server: the stream is opened again by whoever reads it, and
the reader gets a ``Resync``. How events come is decided in ``listen.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcpcore.client.listen import Event, Resync, Stream
from mcpcore.client.timeouts import Pauses
from mcpcore.errors import Closed, TransportError, UsageError
from mcpcore.types import SubscriptionFilter

if TYPE_CHECKING:
    from types import TracebackType

    from mcpcore.client.connect import Link
    from mcpcore.client.dial import Connection

__all__ = ["Events"]


class Events:
    """An async context manager and an async iterator; made by ``Client.listen``.

    It ends when the server ends it, or with the client. Where the connection is lost, reading raises
    ``ConnectionLost``; with ``restart=True`` it goes on in both cases, after a ``Resync``. Equal events that were not
    read yet come once.
    """

    def __init__(self, owner: Any, link: Link, wanted: SubscriptionFilter) -> None:
        self._owner = owner  # keeps the client, and with it the connection, alive
        self._link = link
        self._wanted = wanted
        self._connection: Connection | None = None
        self._stream: Stream | None = None
        self._pauses: Pauses | None = None
        self._open = False

    @property
    def honoured(self) -> SubscriptionFilter:
        """What of the wish the server agreed to tell; nothing else comes."""
        return self._stream.honoured if self._stream is not None else SubscriptionFilter()

    async def __aenter__(self) -> Events:
        """Returns when the server has agreed. Raises ``RpcError`` where it does not listen to such wishes at all."""
        if self._open:
            raise UsageError("this stream is open already; call client.listen again for another one")
        self._pauses = Pauses(self._link.limits, asyncio.get_running_loop().time)
        await self._listen()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        stream, connection = self._stream, self._connection
        if stream is not None and connection is not None and not stream.ended and connection.runner.lost is None:
            stream.end(None)
            await connection.hearing.close(stream, connection.timeouts)

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        stream = self._stream
        if stream is None:
            raise UsageError("enter the stream first: `async with client.listen(...) as events`")
        try:
            event = await stream.next()
        except TransportError:
            if not self._goes_on():
                raise
            event = None
        if event is not None:
            return event
        if not self._goes_on():
            raise StopAsyncIteration
        try:
            await self._listen_again()
        except Closed:
            raise StopAsyncIteration from None
        return Resync()

    def _goes_on(self) -> bool:
        return self._open and self._link.restarts

    async def _listen(self) -> None:
        connection = await self._link.connection()
        stream = Stream(self._wanted, self._link.limits.notification_queue)
        await connection.hearing.open(stream, connection.timeouts)
        self._connection, self._stream = connection, stream

    async def _listen_again(self) -> None:
        """Raises the last failure where none of the attempts went well."""
        assert self._pauses is not None
        failure: TransportError | None = None
        while (pause := self._pauses.next()) is not None:
            await asyncio.sleep(pause)
            try:
                await self._listen()
                return
            except TransportError as error:
                failure = error
        text = "the server ends every stream of changes as soon as it is opened"
        raise failure or TransportError(text, endpoint=self._connection.endpoint if self._connection else "")
