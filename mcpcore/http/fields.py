"""The header fields of MCP itself: how a value travels in one, and whether the standard ones say what the body says.

Header fields for a tool's parameters are in ``param_headers.py``. Header names are lower-case here, as heads hold them;
values are compared case by case.
<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#request-metadata>
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Set
from typing import Any, Final

from mcpcore.spec.meta import PROTOCOL_VERSION

__all__ = ["NAME_SOURCES", "check_standard", "decode_value", "encode_value", "is_plain", "standard_headers"]

NAME_SOURCES: Final[dict[str, str]] = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
}
"""Method -> the member of its params that ``Mcp-Name`` repeats. An extension with such methods adds its rows."""

_STANDARD = frozenset({"mcp-protocol-version", "mcp-method", "mcp-name"})
_SHOWN = {"mcp-protocol-version": "MCP-Protocol-Version", "mcp-method": "Mcp-Method", "mcp-name": "Mcp-Name"}
_QUOTED_CHARACTERS = 200
_OPEN = "=?base64?"
_CLOSE = "?="
_FIELD_TEXT = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110, section 5.5


def is_plain(value: str) -> bool:
    """Whether a value may stand in a header as it is. A tab is legal there, but a control character nonetheless."""
    return (
        value.isascii()
        and value.isprintable()
        and value[:1] != " "
        and value[-1:] != " "
        and not (value.startswith(_OPEN) and value.endswith(_CLOSE))
    )


def encode_value(value: str) -> str:
    """A value as it stands in ``Mcp-Name`` or ``Mcp-Param-*``: itself, or ``=?base64?...?=`` where it is not plain.

    Raises ``ValueError`` for a lone surrogate, which has no UTF-8.
    """
    if is_plain(value):
        return value
    return _OPEN + binascii.b2a_base64(value.encode(), newline=False).decode() + _CLOSE


def decode_value(text: str) -> str:
    """The value that stands in a header. Raises ``ValueError`` for characters, base64 or UTF-8 that are not legal."""
    if text.startswith(_OPEN) and text.endswith(_CLOSE):
        return _unwrap(text[len(_OPEN) : -len(_CLOSE)] if len(text) >= len(_OPEN) + len(_CLOSE) else "?")
    if (text.isascii() and text.isprintable()) or _FIELD_TEXT.fullmatch(text):
        return text
    raise ValueError("characters that a header must not hold")


def _unwrap(payload: str) -> str:
    value = binascii.a2b_base64(payload)  # passes over what is no base64, so the way back tells
    if binascii.b2a_base64(value, newline=False).decode() != payload:
        raise ValueError("base64 that is not in its canonical form")
    return value.decode()


def standard_headers(method: str, params: Any) -> list[tuple[str, str]]:
    """``Mcp-Method``, and ``Mcp-Name`` where the method has one: what a client sends with a modern request.

    Raises ``ValueError`` for a method that cannot be a header; no encoding is defined for it.
    """
    if not is_plain(method):
        raise ValueError(f"the method {_quoted(method)} cannot stand in a header; use visible ASCII")
    headers = [("Mcp-Method", method)]
    name = _name_in(method, params)
    if name is not None:
        headers.append(("Mcp-Name", encode_value(name)))
    return headers


def check_standard(
    method: str, params: Any, meta: Any, headers: Mapping[str, str], repeated: Set[str] = frozenset()
) -> str | None:
    """The text of a ``HEADER_MISMATCH``, or None where the headers say what a modern request's body says.

    ``params`` and ``meta`` are as they were decoded. What the body itself lacks, a version or a name, or has of a wrong
    type, is left to the checks of the params. A header that came twice never matches: its readers may differ.
    """
    if repeated and not _STANDARD.isdisjoint(repeated):
        return _came_twice(repeated)
    sent = headers.get("mcp-method")
    if sent != method:
        return _differs("mcp-method", sent, method)
    if isinstance(meta, dict):
        version = meta.get(PROTOCOL_VERSION)
        if isinstance(version, str):
            sent = headers.get("mcp-protocol-version")
            if sent != version:
                return _differs("mcp-protocol-version", sent, version)
    name = _name_in(method, params)
    return None if name is None else _check_name(name, headers.get("mcp-name"))


def _name_in(method: str, params: Any) -> str | None:
    member = NAME_SOURCES.get(method)
    if member is None or not isinstance(params, dict):
        return None
    name = params.get(member)
    return name if isinstance(name, str) else None


def _check_name(name: str, sent: str | None) -> str | None:
    if sent is None:
        return _differs("mcp-name", None, name)
    try:
        value = decode_value(sent)
    except ValueError:
        return f"Header mismatch: Mcp-Name header value {_quoted(sent)} has illegal characters or is no valid base64"
    return None if value == name else _differs("mcp-name", value, name)


def _came_twice(repeated: Set[str]) -> str:
    names = ", ".join(_SHOWN[name] for name in sorted(_STANDARD & repeated))
    return f"Header mismatch: {names} came more than once; send it once"


def _differs(header: str, sent: str | None, expected: str) -> str:
    shown = _SHOWN[header]
    if sent is None:
        return f"Header mismatch: the {shown} header is missing; the body says {_quoted(expected)}"
    return f"Header mismatch: {shown} header value {_quoted(sent)} does not match body value {_quoted(expected)}"


def _quoted(value: str) -> str:
    return repr(value if len(value) <= _QUOTED_CHARACTERS else value[:_QUOTED_CHARACTERS] + "…")
