"""The restricted JSON Schema of elicitation forms: flat objects of primitive members. Pure functions.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation#requested-schema
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

__all__ = ["check_form", "form_fault"]

_PRIMITIVES: Final = ("string", "number", "integer", "boolean")


def form_fault(schema: dict[str, Any]) -> str | None:
    """``None`` where the schema is a form: a flat object of strings, numbers, booleans, choices and lists of choices.
    Else one sentence that names the member."""
    if schema.get("type") != "object" or type(schema.get("properties")) is not dict:
        return 'a form is {"type": "object", "properties": {...}}'
    for name, member in schema["properties"].items():
        kind = member.get("type") if type(member) is dict else None
        if kind == "array":
            items = member.get("items")
            if type(items) is not dict or _choices(items) is None:
                return f"properties.{name}: a list in a form is one of choices, with an enum or anyOf in its items"
        elif kind not in _PRIMITIVES:
            return f"properties.{name}: a member of a form is a string, number, integer, boolean or a list of choices"
    return None


def check_form(schema: dict[str, Any], content: Any) -> str | None:
    """``None`` where ``content`` fits, else one sentence with path and expectation; never a value."""
    if type(content) is not dict:
        return "content: expected an object"
    properties = schema.get("properties")
    properties = properties if type(properties) is dict else {}
    required = schema.get("required")
    for name in required if type(required) is list else ():
        if name not in content:
            return f"content.{name}: required"
    for name, value in content.items():
        member = properties.get(name)
        fault = _check_member(member if type(member) is dict else {}, value)
        if fault is not None:
            return f"content.{name}: expected {fault}"
    return None


def _check_member(member: dict[str, Any], value: Any) -> str | None:
    kind = member.get("type")
    if kind == "string":
        return _check_string(member, value)
    if kind == "boolean":
        return None if type(value) is bool else "a boolean"
    if kind == "integer" or kind == "number":
        return _check_number(member, value, kind)
    if kind == "array" or type(value) is list:
        return _check_array(member, value)
    return None if type(value) in (str, int, float, bool) else "a string, a number, a boolean or a list of strings"


def _check_string(member: dict[str, Any], value: Any) -> str | None:
    if type(value) is not str:
        return "a string"
    choices = _choices(member)
    if choices is not None:
        return None if value in choices else "one of the listed values"
    shortest, longest = member.get("minLength"), member.get("maxLength")
    if type(shortest) is int and len(value) < shortest:
        return f"at least {shortest} characters"
    if type(longest) is int and len(value) > longest:
        return f"at most {longest} characters"
    format = member.get("format")
    fits = _FORMATS.get(format) if type(format) is str else None
    return None if fits is None or fits(value) else f"the format {format}"


def _check_number(member: dict[str, Any], value: Any, kind: str) -> str | None:
    if type(value) is not int and type(value) is not float:
        return "a number" if kind == "number" else "an integer"
    if kind == "integer" and not float(value).is_integer():
        return "an integer"
    least, most = member.get("minimum"), member.get("maximum")
    if isinstance(least, int | float) and value < least:
        return f"at least {least}"
    if isinstance(most, int | float) and value > most:
        return f"at most {most}"
    return None


def _check_array(member: dict[str, Any], value: Any) -> str | None:
    if type(value) is not list or any(type(item) is not str for item in value):
        return "a list of strings"
    fewest, most = member.get("minItems"), member.get("maxItems")
    if type(fewest) is int and len(value) < fewest:
        return f"at least {fewest} items"
    if type(most) is int and len(value) > most:
        return f"at most {most} items"
    items = member.get("items")
    choices = _choices(items) if type(items) is dict else None
    if choices is not None and any(item not in choices for item in value):
        return "items among the listed values"
    return None


def _choices(member: dict[str, Any]) -> list[Any] | None:
    """The values of a titled or untitled choice."""
    values = member.get("enum")
    if type(values) is list:
        return values
    for keyword in ("oneOf", "anyOf"):
        options = member.get(keyword)
        if type(options) is list:
            return [option.get("const") for option in options if type(option) is dict]
    return None


# --- formats: what is surely wrong is refused, no more ----------------------------------------------------------------

_DATE: Final = r"\d{4}-\d\d-\d\d"
_DATE_TIME: Final = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
_EMAIL: Final = r"[^@\s]+@[^@\s]+"
_URI: Final = r"[A-Za-z][A-Za-z0-9+.-]*:\S+"


def _is_date(value: str) -> bool:
    return re.fullmatch(_DATE, value) is not None and _is_real(date.fromisoformat, value)


def _is_date_time(value: str) -> bool:
    # A leap second is legal, and unknown to datetime; fractions may be longer than datetime reads.
    if re.fullmatch(_DATE_TIME, value) is None:
        return False
    minute, second = value[:16].upper(), value[17:19]
    return _is_real(datetime.fromisoformat, minute) and second <= "60"


def _is_real(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


_FORMATS: Final[dict[Any, Callable[[str], bool]]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "email": lambda value: re.fullmatch(_EMAIL, value) is not None,
    "uri": lambda value: re.fullmatch(_URI, value) is not None,
}
