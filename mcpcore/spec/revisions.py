"""The five published protocol revisions and what each of them can do. Data only; the eras read it, nobody asks twice.

A ``Revision`` compares by age: ``LEGACY[0] < MODERN``. Its flags are the differences *inside* an era
(https://modelcontextprotocol.io/specification/versioning).
"""

from __future__ import annotations

from functools import total_ordering
from typing import Final

__all__ = ["ALL", "BY_NAME", "LATEST", "LATEST_LEGACY", "LEGACY", "MODERN", "Revision"]


@total_ordering
class Revision:
    """One published revision. ``name`` is its date, ``modern`` tells the era, the other members are abilities."""

    __slots__ = (
        "argument_errors_are_results",
        "batches",
        "completions_capability",
        "elicitation",
        "error_without_id",
        "index",
        "modern",
        "name",
        "name_json",
        "primes_streams",
        "progress_message",
        "resource_not_found",
        "structured_any",
        "structured_output",
        "url_elicitation",
    )

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.name_json = f'"{name}"'.encode()
        self.modern = name >= "2026-07-28"
        self.batches = name == "2025-03-26"
        self.progress_message = name >= "2025-03-26"
        self.completions_capability = name >= "2025-03-26"
        self.elicitation = name >= "2025-06-18"
        self.structured_output = name >= "2025-06-18"
        self.url_elicitation = name >= "2025-11-25"
        self.argument_errors_are_results = name >= "2025-11-25"
        self.error_without_id = name >= "2025-11-25"
        self.primes_streams = name >= "2025-11-25"
        self.structured_any = self.modern
        self.resource_not_found = -32602 if self.modern else -32002

    def __repr__(self) -> str:
        return f"<Revision {self.name}>"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return self is other

    def __lt__(self, other: Revision) -> bool:
        return self.index < other.index

    def __hash__(self) -> int:
        return self.index


ALL: Final = tuple(
    Revision(index, name)
    for index, name in enumerate(("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"))
)
"""Oldest first."""

BY_NAME: Final = {revision.name: revision for revision in ALL}
LEGACY: Final = tuple(revision for revision in ALL if not revision.modern)
MODERN: Final = ALL[-1]
LATEST: Final = ALL[-1]
LATEST_LEGACY: Final = LEGACY[-1]
