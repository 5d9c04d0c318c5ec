"""Media types: what an ``Accept`` header allows us to answer, and what a ``Content-Type`` says the body is.

Read as RFC 9110, sections 8.3.1 and 12.5.1, says; what is malformed is passed over in ``Accept`` and no type at all in
``Content-Type``. Both headers are the same in nearly every request, so what was found is kept for the last few.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["EVENT_STREAM", "JSON", "accepts", "is_event_stream", "is_json"]

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_TYPE = re.compile(rf"[ \t]*+({_TOKEN})/({_TOKEN})[ \t]*+")
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?+[ \t]*+")
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z))++', re.DOTALL)  # whatever comes: it never goes back
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_KEPT = 64

Parameters = list[tuple[str, str]]


@lru_cache(_KEPT)
def accepts(accept: str | None) -> tuple[bool, bool]:
    """Whether a response may be JSON, and whether it may be an event stream. No header, or an empty one: both."""
    if accept is None or not accept.strip(" \t,"):
        return True, True
    ranges = [found for element in _ELEMENT.findall(accept) if (found := _media_range(element))]
    return _allowed(JSON, ranges), _allowed(EVENT_STREAM, ranges)


@lru_cache(_KEPT)
def is_json(content_type: str | None) -> bool:
    """Whether a body is ``application/json`` in UTF-8, which is the only encoding that JSON has."""
    return _is(JSON, content_type)


@lru_cache(_KEPT)
def is_event_stream(content_type: str | None) -> bool:
    """Whether a body is ``text/event-stream`` in UTF-8, which is the only encoding that it has."""
    return _is(EVENT_STREAM, content_type)


def _is(media_type: str, content_type: str | None) -> bool:
    found = _parse(content_type) if content_type is not None else None
    return found is not None and found[0] == media_type and _only_utf8(found[1])


def _only_utf8(parameters: Parameters) -> bool:
    return all(value.lower() == "utf-8" for name, value in parameters if name == "charset")


def _allowed(media_type: str, ranges: list[tuple[str, int, bool]]) -> bool:
    """The most specific range that matches decides; of several equally specific ones, any that allows."""
    matching = [
        (specificity, allowed)
        for pattern, specificity, allowed in ranges
        if pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    ]
    return max(matching, default=(0, False))[1]


def _media_range(element: str) -> tuple[str, int, bool] | None:
    """A range as pattern, specificity and whether its weight is above 0; None where it cannot match what we send."""
    found = _parse(element)
    if found is None:
        return None
    pattern, parameters = found
    names = [name for name, _ in parameters]
    weight = "1"
    if "q" in names:
        at = names.index("q")
        weight = parameters[at][1]
        parameters = parameters[:at]  # what follows the weight is an extension of Accept, not of the type
    if _WEIGHT.fullmatch(weight) is None:
        return None
    if any(name != "charset" for name, _ in parameters) or not _only_utf8(parameters):
        return None  # what we send has no parameters, but is always UTF-8
    specificity = 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
    return pattern, 2 * specificity + bool(parameters), weight.strip("0.") != ""


def _parse(text: str) -> tuple[str, Parameters] | None:
    """A media type or range in lower case, and its parameters with their names in lower case; None if malformed."""
    found = _TYPE.match(text)
    if found is None:
        return None
    at = found.end()
    media_type = f"{found[1]}/{found[2]}".lower()
    parameters: Parameters = []
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            return None
        at = found.end()
        if found[1]:
            parameters.append((found[1].lower(), _unquoted(found[2])))
    return media_type, parameters


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
