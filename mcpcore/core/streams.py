"""Where messages travel on a transport with a stream for each request. A pipe has one for all, and no ``Stream``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange

__all__ = ["Stream"]


class Stream(Protocol):
    """The messages of one request and, last, its answer; or those that belong to no request."""

    principal: str
    """Who asked."""
    headers: Mapping[str, str] | None
    """The header fields it was asked with, names in lower case."""

    def admitted(self, exchange: Exchange) -> None:
        """This request came on the stream, and will be answered on it."""
        ...

    def send(self, frame: bytes, key: Any = None) -> None:
        """A message before the answer. It takes the place of one with the same ``key`` that is still unsent."""
        ...

    def ask(self, frame: bytes) -> None:
        """A request of ours. Raises ``RpcError`` where the other side cannot get it."""
        ...

    def answer(self, frame: bytes | tuple[bytes, ...], code: int | None) -> None:
        """The answer, whole or in pieces; nothing follows. ``code`` is that of an error."""
        ...

    def close(self) -> None:
        """There will be no answer."""
        ...

    def disconnect(self, retry: float) -> None:
        """End the connection and not the stream, where its reader can come back for the rest after so many seconds."""
        ...

    @property
    def congested(self) -> bool:
        """Whether its reader is slow."""
        ...

    async def drained(self) -> None:
        """Wait until its reader has taken most of what was sent, or is gone."""
        ...
