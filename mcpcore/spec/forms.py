"""The restricted JSON Schema of elicitation forms: flat objects of primitive members. Pure functions.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/client/elicitation#requested-schema
"""

from __future__ import annotations

from typing import Any

__all__ = ["check_form", "form_defaults"]


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
        if type(member) is dict:
            fault = _check_member(member, value)
            if fault is not None:
                return f"content.{name}: expected {fault}"
    return None


def form_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """The content that the form's own defaults make."""
    properties = schema.get("properties")
    members = properties.items() if type(properties) is dict else ()
    return {name: member["default"] for name, member in members if type(member) is dict and "default" in member}


def _check_member(member: dict[str, Any], value: Any) -> str | None:
    kind = member.get("type")
    if kind == "string":
        return _check_string(member, value)
    if kind == "boolean":
        return None if type(value) is bool else "a boolean"
    if kind == "integer" or kind == "number":
        return _check_number(member, value, kind)
    if kind == "array":
        return _check_array(member, value)
    return None


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
    return None


def _check_number(member: dict[str, Any], value: Any, kind: str) -> str | None:
    if type(value) is not int and type(value) is not float:
        return "a number" if kind == "number" else "an integer"
    if kind == "integer" and value != int(value):
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
