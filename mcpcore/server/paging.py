"""Pages of a list and the cursors between them.

Here live the cut into pages and the cursor's form. What the lists hold, how an item is written, and the answer to a bad
cursor (-32602) belong to the callers. The rule: every registered item has a sequence number that only grows, lists are
in that order, and a cursor says after which number to go on. So a cursor stays good whatever is added or removed
between two pages: nothing that stays is skipped or shown twice, and what is added appears at the end. Cursors do not
expire; they are signed, so that a client cannot make one.

Specification: server/utilities/pagination.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from mcpcore.errors import McpError, UsageError
from mcpcore.server.sealing import Sealer, from_text, to_text

__all__ = ["CursorCodec", "CursorError", "Page", "page", "paginate"]

_SEQUENCE_BYTES: Final = 8


class CursorError(McpError):
    """A cursor that this server did not issue for this list."""


class Page(NamedTuple):
    """The items ``start`` to ``stop`` (exclusive) of a list; the next page comes after sequence ``last``, if any."""

    start: int
    stop: int
    last: int | None


def page(sequences: Sequence[int], size: int | None, after: int | None = None) -> Page:
    """The page that follows the item with the sequence number ``after``, None for the first page.

    ``sequences`` are the numbers of all items, ascending; ``size`` None puts everything on one page. An item that is
    gone may still be named: its successors follow. Raises UsageError for a size below 1.
    """
    start = 0 if after is None else bisect_right(sequences, after)
    stop = len(sequences) if size is None else min(start + _checked(size), len(sequences))
    return Page(start, stop, sequences[stop - 1] if stop < len(sequences) else None)


def paginate(items: Sequence[bytes], size: int | None) -> list[list[bytes]]:
    """All pages of a list that does not change, at least one. Raises UsageError for a size below 1."""
    step = len(items) if size is None else _checked(size)
    return [list(items[start : start + step]) for start in range(0, len(items), step or 1)] or [[]]


def _checked(size: int) -> int:
    if size < 1:
        raise UsageError(f"a page of {size} items never ends the list: page_size must be at least 1, or None")
    return size


class CursorCodec:
    """Writes and reads cursors; each list has its own."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def cursor(self, list_name: str, after: int) -> str:
        """The cursor of a list, such as ``tools/list``, behind the item with this sequence number, 0 to 2**64 - 1."""
        number = after.to_bytes(_SEQUENCE_BYTES, "big")
        return to_text(number + self._sealer.tag(f"cursor {list_name}", number))

    def position(self, list_name: str, cursor: object) -> int:
        """The sequence number in a cursor of this list. Raises CursorError for anything but a cursor issued for it."""
        raw = from_text(cursor)
        if raw is not None:
            number, tag = raw[:_SEQUENCE_BYTES], raw[_SEQUENCE_BYTES:]
            if self._sealer.verifies(f"cursor {list_name}", number, tag):
                return int.from_bytes(number, "big")
        raise CursorError(f"the cursor is not one of this server's {list_name}: start again without a cursor")
