"""``Mcp-Param-*``: a tool's annotated parameters as header fields, compiled once per tool for both roles.

Which parameters are annotated is read by ``spec/header_params.py``. What depends on the schema is done when a tool is
registered or listed; a call costs a look-up per header. Texts name parameters and never show their values.
<https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#custom-headers-from-tool-parameters>
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from typing import Any

from mcpcore.http.fields import decode_value, encode_value
from mcpcore.spec.header_params import steps_of

__all__ = ["Check", "Extractor", "compile_check", "compile_extractor"]

Extractor = Callable[[Any], list[tuple[str, str]]]
"""``extract(arguments)`` -> the headers of one call. Raises ``ValueError`` for a value that no header can carry."""

Check = Callable[[Any, Mapping[str, str], Set[str]], str | None]
"""``check(arguments, headers, repeated)`` -> the text of a ``HEADER_MISMATCH``, or None."""

_MAX_SAFE = 2**53 - 1
_WHOLE = re.compile(r"(-?[0-9]{1,16})(?:\.0+)?")


def compile_extractor(header_params: Mapping[str, str]) -> Extractor:
    """For the client: arguments -> ``(header, encoded value)`` pairs. Null and absent values have no header.

    ``header_params`` is what ``spec.header_params`` found: parameter or JSON pointer -> name behind ``Mcp-Param-``.
    Arguments are as JSON has them. One that no header can say (an array, a fraction) has none either: the server's
    schema refuses it. An integer beyond ±(2**53 - 1) raises ``ValueError``.
    """
    rows = [(steps_of(parameter), parameter, f"Mcp-Param-{name}") for parameter, name in header_params.items()]

    def extract(arguments: Any) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        for steps, parameter, header in rows:
            value = _at(arguments, steps)
            text = _text(value)
            if text is None:
                continue
            if not _is_safe(value):
                raise ValueError(f"the argument {parameter!r} goes into a header: it must be within ±(2**53 - 1)")
            headers.append((header, encode_value(text)))
        return headers

    return extract


def compile_check(header_params: Mapping[str, str]) -> Check:
    """For the server: what is wrong with the ``Mcp-Param-*`` headers of one call; those it does not know are ignored.

    ``header_params`` is the same as for ``compile_extractor``.
    """
    rows = [
        (steps_of(parameter), f"mcp-param-{name.lower()}", f"Mcp-Param-{name}", parameter)
        for parameter, name in header_params.items()
    ]

    def check(arguments: Any, headers: Mapping[str, str], repeated: Set[str] = frozenset()) -> str | None:
        for steps, header, shown, parameter in rows:
            value = _at(arguments, steps)
            sent = headers.get(header)
            if sent is None:
                if _text(value) is None:  # nothing to mirror; the schema refuses a value of a wrong type
                    continue
                return f"Header mismatch: the {shown} header of the argument {parameter!r} is missing; list the tools"
            wrong = "came more than once; send it once" if header in repeated else _wrong(sent, value, parameter)
            if wrong:
                return f"Header mismatch: {shown} {wrong}"
        return None

    return check


def _at(arguments: Any, steps: tuple[str, ...]) -> Any:
    """The value at an exact path, None where there is none."""
    for step in steps:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(step)
    return arguments


def _text(value: Any) -> str | None:
    """A value as its header says it before it is encoded; None for null, absent, and what no header can say."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) else None


def _is_safe(value: Any) -> bool:
    """No integer beyond what every JSON reader holds exactly."""
    return isinstance(value, str) or -_MAX_SAFE <= value <= _MAX_SAFE


def _wrong(sent: str, value: Any, parameter: str) -> str | None:
    """What is wrong with a header that came once; None where it matches."""
    if value is None:
        return f"is there, but the arguments have no value for {parameter!r}; leave it out"
    try:
        said = decode_value(sent)
    except ValueError:
        return "has illegal characters or is no valid base64"
    if said == _text(value):
        matches = _is_safe(value)
    else:
        matches = isinstance(value, int | float) and not isinstance(value, bool) and _says(said, value)
    return None if matches else f"does not match the argument {parameter!r}"


def _says(text: str, value: float) -> bool:
    """Whether a header says this whole number in another way: ``42.0`` for 42."""
    found = _WHOLE.fullmatch(text)
    return found is not None and int(found[1]) == value and _is_safe(value)
