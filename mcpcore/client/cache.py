"""Results that the server allows to be reused for a while: kept by method and by what else decides them.

The cache belongs to one client, so private results are as safe here as public ones. What a retry with answers gave is
never stored. Who asks whether something is stored, and parses it, is ``requests.py``.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mcpcore.core.limits import Limits

__all__ = ["ResultCache"]

_LISTS = {
    "tools": ("tools/list",),
    "prompts": ("prompts/list",),
    "resources": ("resources/list", "resources/templates/list"),
}


class _Entry:
    __slots__ = ("expires", "size", "value")

    def __init__(self, value: Any, expires: float, size: int) -> None:
        self.value = value
        self.expires = expires
        self.size = size


class ResultCache:
    """``key`` is what decides the result besides the method: a cursor, a URI. The oldest entries give way."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: dict[tuple[str, str | None], _Entry] = {}
        self._size = 0
        self.generation = 0
        """Counts what was dropped. A result asked for before the last change must not be stored after it."""

    def get(self, method: str, key: str | None) -> Any:
        """The stored value while it is fresh, else ``None``."""
        entry = self._entries.get((method, key))
        if entry is None:
            return None
        if asyncio.get_running_loop().time() >= entry.expires:
            self._drop((method, key))
            return None
        return entry.value

    def put(self, method: str, key: str | None, result: dict[str, Any], value: Any, generation: int) -> None:
        """Store ``value``, read from ``result``, for as long as the result says, where it does."""
        ttl = result.get("ttlMs")
        if not isinstance(ttl, int | float) or ttl <= 0 or generation != self.generation:
            return
        size = len(msgspec.json.encode(result))
        self._drop((method, key))
        if size > self._limits.cached_bytes:
            return
        self._entries[method, key] = _Entry(value, asyncio.get_running_loop().time() + ttl / 1000, size)
        self._size += size
        while len(self._entries) > self._limits.cached_results or self._size > self._limits.cached_bytes:
            self._drop(next(iter(self._entries)))

    def forget_list(self, topic: str) -> None:
        """The list of ``topic`` (tools, prompts, resources) changed."""
        self.generation += 1
        methods = _LISTS[topic]
        for key in [key for key in self._entries if key[0] in methods]:
            self._drop(key)

    def forget_resource(self, uri: str) -> None:
        """This resource changed, and with it those that it is a part of: a server may name the part alone."""
        self.generation += 1
        self._drop(("resources/read", uri))
        whole = uri
        while "/" in whole:
            whole = whole.rpartition("/")[0]
            self._drop(("resources/read", whole))
            self._drop(("resources/read", whole + "/"))

    def clear(self) -> None:
        self.generation += 1
        self._entries.clear()
        self._size = 0

    def _drop(self, key: tuple[str, str | None]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size
