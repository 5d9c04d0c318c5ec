"""A person at the terminal answers what a server asks: forms, links to open, messages to a model.

Prompts go to stderr, so stdout stays the command's result. Input is read through the event loop, not in a thread:
Ctrl-C ends a question at once. Where there is no terminal, ``answers`` declines forms and offers no model.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from mcpcore.cli.render import printable

if TYPE_CHECKING:
    from mcpcore.types import CreateMessageParams, ElicitParams, ElicitResult

__all__ = ["answers"]

_TRUE = frozenset({"y", "yes", "true", "1"})
_FALSE = frozenset({"n", "no", "false", "0"})


class _Cancelled(Exception):
    """The person ended the input (Ctrl-D)."""


def answers() -> dict[str, Any]:
    """The ``sampling`` and ``elicitation`` callbacks of a client, as far as somebody is there to answer."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        return {"elicitation": _elicited, "sampling": _sampled}
    return {"elicitation": _declined}


async def _declined(question: ElicitParams) -> None:
    _say(f"The server asks: {question.message}\n(declined: nobody is at a terminal)")


async def _elicited(question: ElicitParams) -> ElicitResult:
    from mcpcore.types import ElicitResult

    _say(f"\nThe server asks: {question.message}")
    try:
        if question.mode == "url":
            _say(f"It wants you to open {question.url}")
            return ElicitResult(action="accept" if await _yes("Will you open it?") else "decline")
        if not await _yes("Answer it?"):
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content=await _form(question.requested_schema or {}))
    except _Cancelled:
        _say("\n(cancelled)")
        return ElicitResult(action="cancel")


async def _sampled(question: CreateMessageParams) -> str | None:
    """The person stands in for the model; no answer is a refusal."""
    from mcpcore.cli.render import blocks

    _say("\nThe server asks your model:")
    if question.system_prompt:
        _say(f"  system: {question.system_prompt}")
    for message in question.messages:
        _say(f"  {message.role}: {blocks(message.blocks)}")  # type: ignore[arg-type]
    try:
        return await _line("Answer in its place (empty to decline): ") or None
    except _Cancelled:
        return None


async def _form(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required") or []
    content: dict[str, Any] = {}
    for name, field in properties.items() if isinstance(properties, dict) else ():
        value = await _field(name, field if isinstance(field, dict) else {}, name in required)
        if value is not None:
            content[name] = value
    return content


async def _field(name: str, field: dict[str, Any], required: bool) -> Any:
    """One value, asked until it fits; ``None`` where it was left out."""
    label = str(field.get("title") or name)
    if field.get("description"):
        _say(f"  {field['description']}")
    choices = _choices(field)
    for number, (_, title) in enumerate(choices, 1):
        _say(f"  {number}. {title}")
    hints = [_hint(field, choices), "" if required else "optional"]
    if "default" in field:
        hints.append(f"default {json.dumps(field['default'], ensure_ascii=False)}")
    while True:
        typed = (await _line(f"  {label} ({', '.join(hint for hint in hints if hint)}): ")).strip()
        if not typed and "default" in field:
            return field["default"]
        if not typed and not required:
            return None
        try:
            return _parsed(typed, field, choices)
        except ValueError as error:
            _say(f"  {error}")


def _hint(field: dict[str, Any], choices: list[tuple[Any, str]]) -> str:
    if choices:
        return "numbers, separated by commas" if field.get("type") == "array" else "a number"
    kind = {"boolean": "yes or no", "string": "text"}.get(str(field.get("type")), str(field.get("type", "text")))
    return f"{kind}, {field['format']}" if "format" in field else kind


def _choices(field: dict[str, Any]) -> list[tuple[Any, str]]:
    """The values to choose from, with their titles, in any of the forms that the revisions know."""
    place = field.get("items") if field.get("type") == "array" else field
    if not isinstance(place, dict):
        return []
    titled = place.get("oneOf") or place.get("anyOf")
    if isinstance(titled, list):
        return [(one["const"], str(one.get("title", one["const"]))) for one in titled if "const" in one]
    values = place.get("enum")
    if not isinstance(values, list):
        return []
    titles = place.get("enumNames")
    names = titles if isinstance(titles, list) and len(titles) == len(values) else values
    return [(value, str(title)) for value, title in zip(values, names, strict=True)]


def _parsed(typed: str, field: dict[str, Any], choices: list[tuple[Any, str]]) -> Any:
    """The value of what was typed. Raises ``ValueError`` that says what is wanted."""
    kind = field.get("type")
    if kind == "array":
        picked = [_picked(part.strip(), choices) for part in typed.split(",") if part.strip()]
        _bounded(len(picked), field, "minItems", "maxItems", "choices")
        return picked
    if choices:
        return _picked(typed, choices)
    if kind == "boolean":
        if typed.lower() not in _TRUE | _FALSE:
            raise ValueError("type yes or no")
        return typed.lower() in _TRUE
    if kind in ("integer", "number"):
        try:
            number = int(typed) if kind == "integer" else float(typed)
        except ValueError:
            raise ValueError(f"type {'a whole number' if kind == 'integer' else 'a number'}") from None
        _bounded(number, field, "minimum", "maximum", "")
        return number
    _bounded(len(typed), field, "minLength", "maxLength", "characters")
    return typed


def _picked(typed: str, choices: list[tuple[Any, str]]) -> Any:
    for number, (value, title) in enumerate(choices, 1):
        if typed in (str(number), str(value), title):
            return value
    raise ValueError(f"type a number from 1 to {len(choices)}")


def _bounded(value: float, field: dict[str, Any], low: str, high: str, what: str) -> None:
    least, most = field.get(low), field.get(high)
    if isinstance(least, (int, float)) and value < least:
        raise ValueError(f"at least {least} {what}".rstrip())
    if isinstance(most, (int, float)) and value > most:
        raise ValueError(f"at most {most} {what}".rstrip())


async def _yes(question: str) -> bool:
    while True:
        typed = (await _line(f"{question} [y/n] ")).strip().lower()
        if typed in _TRUE | _FALSE:
            return typed in _TRUE


def _say(text: str) -> None:
    print(printable(text, sys.stderr), file=sys.stderr, flush=True)


async def _line(prompt: str) -> str:
    """One line of the terminal, without its end. Raises ``_Cancelled`` where the input ends instead."""
    sys.stderr.write(printable(prompt, sys.stderr))
    sys.stderr.flush()
    fd = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    try:
        loop.add_reader(fd, there.set)
    except NotImplementedError:  # Windows: the loop stands still until the line is there
        there.set()
    try:
        await there.wait()
        data = os.read(fd, 65536)
    finally:
        try:
            loop.remove_reader(fd)
        except NotImplementedError:
            pass
    if not data:
        raise _Cancelled
    return data.decode(errors="replace").rstrip("\r\n")
