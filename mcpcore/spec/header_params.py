"""Which parameters travel as HTTP headers too: ``x-mcp-header`` in an input schema, held against its constraints.

A client must drop a tool whose annotation breaks one of them, so a server must not offer it. The names of the headers
are found here; reading and writing the headers is the transport's affair.
<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#schema-extension>
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["KEYWORD", "Steps", "header_params", "steps_of"]

KEYWORD: Final = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_TYPES = ("integer", "string", "boolean")
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
_DATA = frozenset({"default", "const", "enum", "examples", "dependentRequired"})

Steps = tuple[str, ...]


def header_params(schema: Mapping[str, Any]) -> dict[str, str]:
    """Parameter -> header name. A parameter inside another one is written as a JSON pointer, ``/outer/inner``.

    Raises ``ValueError`` for an annotation that breaks the specification's constraints.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for steps, reachable, member in _annotated(schema):
        place = "/".join(steps) or "the root"
        name = member[KEYWORD]
        if not isinstance(name, str) or _TOKEN.fullmatch(name) is None:
            raise ValueError(f"{KEYWORD} of {place}: {name!r} is no name for a header; use letters, digits and hyphens")
        if not reachable or not steps:
            text = "only properties of objects can be headers, not what stands below items, a reference or a condition"
            raise ValueError(f"{KEYWORD} of {place}: {text}")
        if member.get("type") not in _TYPES:
            raise ValueError(f"{KEYWORD} of {place}: its type must be string, integer or boolean")
        if name.lower() in taken:
            raise ValueError(f"{KEYWORD} of {place}: another parameter has the header {name!r} (case does not matter)")
        taken.add(name.lower())
        found[_parameter(steps)] = name
    return found


def steps_of(parameter: str) -> Steps:
    """The names that lead to a parameter as ``header_params`` writes it."""
    if not parameter.startswith("/"):
        return (parameter,)
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in parameter[1:].split("/"))


def _parameter(steps: Steps) -> str:
    if len(steps) == 1 and not steps[0].startswith("/"):
        return steps[0]
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)  # RFC 6901


def _annotated(schema: Mapping[str, Any]) -> Iterator[tuple[Steps, bool, Mapping[str, Any]]]:
    """Every annotated subschema: the names that lead to it, and whether a chain of ``properties`` does.

    In the order of the document, and without recursion: a schema that a client reads may be as deep as a peer likes.
    """
    pending: list[tuple[Any, Steps, bool]] = [(schema, (), True)]
    while pending:
        member, steps, reachable = pending.pop()
        if isinstance(member, list):
            pending += [(item, steps, False) for item in reversed(member)]
        elif isinstance(member, Mapping):
            if KEYWORD in member:
                yield steps, reachable, member
            pending += reversed(list(_below(member, steps, reachable)))


def _below(schema: Mapping[str, Any], steps: Steps, reachable: bool) -> Iterator[tuple[Any, Steps, bool]]:
    for keyword, value in schema.items():
        if keyword in _DATA:
            continue
        if keyword in _NAMED and isinstance(value, Mapping):
            for name, member in value.items():
                yield member, (*steps, name), reachable and keyword == "properties"
        elif isinstance(value, Mapping | list):
            yield value, (*steps, keyword), False
