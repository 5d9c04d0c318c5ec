"""Which parameters travel as HTTP headers too: ``x-mcp-header`` in an input schema, checked against its constraints.

A client must drop a tool whose annotation breaks one of them, so a server must not offer it. The names of the headers
are collected here; reading the headers is the transport's affair.
<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#schema-extension>
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mcpcore.errors import UsageError

__all__ = ["KEYWORD", "header_params"]

KEYWORD = "x-mcp-header"
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
TYPES = ("integer", "string", "boolean")
NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
DATA = frozenset({"default", "const", "enum", "examples"})

Steps = tuple[str, ...]


def header_params(schema: Mapping[str, Any]) -> dict[str, str]:
    """Parameter -> header name. A parameter inside another one is written as a JSON pointer, ``/outer/inner``.

    Raises ``UsageError`` for an annotation that breaks the specification's constraints.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for steps, reachable, member in _annotated(schema, (), True):
        place = "/".join(steps) or "the root"
        name = member[KEYWORD]
        if not isinstance(name, str) or TOKEN.fullmatch(name) is None:
            raise UsageError(f"{KEYWORD} of {place}: {name!r} is no name for a header; use letters, digits and hyphens")
        if not reachable or not steps:
            text = "only properties of objects can be headers, not what stands below items, a reference or a condition"
            raise UsageError(f"{KEYWORD} of {place}: {text}")
        if member.get("type") not in TYPES:
            raise UsageError(f"{KEYWORD} of {place}: its type must be string, integer or boolean")
        if name.lower() in taken:
            raise UsageError(f"{KEYWORD} of {place}: another parameter has the header {name!r} (case does not matter)")
        taken.add(name.lower())
        found[steps[0] if len(steps) == 1 else "".join(f"/{step}" for step in steps)] = name
    return found


def _annotated(schema: Any, steps: Steps, reachable: bool) -> Iterator[tuple[Steps, bool, Mapping[str, Any]]]:
    """Every annotated subschema: the names that lead to it, and whether a chain of ``properties`` does."""
    if isinstance(schema, list):
        for item in schema:
            yield from _annotated(item, steps, False)
    if not isinstance(schema, Mapping):
        return
    if KEYWORD in schema:
        yield steps, reachable, schema
    for keyword, value in schema.items():
        if keyword in DATA:
            continue
        if keyword in NAMED and isinstance(value, Mapping):
            for name, member in value.items():
                yield from _annotated(member, (*steps, name), reachable and keyword == "properties")
        elif isinstance(value, Mapping | list):
            yield from _annotated(value, (*steps, keyword), False)
