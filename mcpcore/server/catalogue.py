"""What a server offers, in order: tools, prompts, resources, templates. Serialised once per revision and page.

Items keep the sequence number of their registration, so that a cursor stays valid while others come and go.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/pagination
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mcpcore.errors import RpcError, UsageError
from mcpcore.jsonrpc.codec import encode
from mcpcore.server.paging import CursorError, page
from mcpcore.spec import codes
from mcpcore.spec.members import sieve
from mcpcore.types import to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server
    from mcpcore.spec.revisions import Revision

__all__ = ["Catalogue"]

T = TypeVar("T")


class Catalogue(Generic[T]):
    """One list of a server. ``method`` lists it, ``member`` names it in the result, ``kind`` is the type of its
    items."""

    def __init__(self, server: Server, method: str, member: str, kind: str) -> None:
        self._server = server
        self._method = method
        self._member = member
        self._kind = kind
        self._next = 1
        self.items: dict[str, tuple[int, dict[str, Any], T]] = {}
        self._bodies: dict[tuple[Revision, int | None], bytes] = {}

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return (payload for _, _, payload in tuple(self.items.values()))  # a thread may be registering meanwhile

    def add(self, key: str, definition: Any, payload: T) -> None:
        """Raises ``UsageError`` for a key that is taken."""
        if key in self.items:
            raise UsageError(f"{self._kind} {key!r} is registered already; remove it first, or choose another name")
        self.items[key] = (self._next, to_wire(definition), payload)
        self._next += 1
        self._bodies = {}

    def remove(self, key: str) -> None:
        """Raises ``UsageError`` where there is none."""
        if self.items.pop(key, None) is None:
            raise UsageError(f"there is no {self._kind} {key!r} to remove")
        self._bodies = {}

    def get(self, key: str) -> T | None:
        item = self.items.get(key)
        return item[2] if item is not None else None

    def serve_list(self, exchange: Exchange) -> bytes:
        """One page, as the members of its result."""
        params = exchange.params
        cursor = params.get("cursor")
        after: int | None = None
        if cursor is not None:
            try:
                after = self._server.cursors.position(self._method, cursor)
            except CursorError as error:
                raise RpcError(codes.INVALID_PARAMS, f"{self._method}: {error}") from None
        key = (exchange.revision, after)
        bodies = self._bodies  # a thread that changes the list meanwhile puts an empty table in its place
        body = bodies.get(key)
        if body is None:
            body = self._write(exchange.revision, after)
            if len(bodies) < 1024:
                bodies[key] = body
        return body

    def definitions(self, revision: Revision) -> list[dict[str, Any]]:
        """All items as this revision knows them."""
        return [sieve(self._kind, definition, revision) for _, definition, _ in tuple(self.items.values())]

    def _write(self, revision: Revision, after: int | None) -> bytes:
        entries = list(self.items.values())
        bounds = page([sequence for sequence, _, _ in entries], self._server.page_size(self._method), after)
        items = [encode(sieve(self._kind, entry[1], revision)) for entry in entries[bounds.start : bounds.stop]]
        parts = [b'"' + self._member.encode() + b'":[' + b",".join(items) + b"]"]
        if bounds.last is not None:
            parts.append(b'"nextCursor":' + encode(self._server.cursors.cursor(self._method, bounds.last)))
        if revision.modern:
            parts.append(encode(self._server.cache_hint(self._method))[1:-1])
        return b",".join(parts)
