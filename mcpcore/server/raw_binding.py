"""How a handler is called whose input schema somebody wrote by hand.

The rule, decided at registration: if every parameter is a property of the schema, or there is a ``**kwargs``, the
handler gets the arguments by name (what the schema lets through besides is dropped, or goes to ``**kwargs``). Otherwise
it must have one parameter, which gets all arguments as one dict; the context does not count. A handler without
parameters is called with nothing. Values are validated and not converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.binding import Arguments, Binder, Role, Slot, as_object, compile_binder, unpacked
from mcpcore.server.raw_schema import property_types, validator
from mcpcore.server.scalars import anything
from mcpcore.server.schema import ArgumentError, Mismatch, Schema

__all__ = ["raw_binder"]


def raw_binder(
    fn: Callable[..., Any], slots: Sequence[Slot], schema: Schema, what: str, *, strict_input: bool
) -> Binder:
    """The binder of ``fn`` for arguments that ``schema`` admits. ``what`` names the schema in errors.

    Raises ``UsageError`` for a schema that cannot be used, or that does not fit the parameters.
    """
    validated = _validated(schema, what, strict_input)
    if schema.get("type") != "object":
        raise UsageError(f'{what}: arguments are an object, so the schema needs "type": "object" at its root')
    properties = schema.get("properties", {})
    arguments = [slot for slot in slots if slot.role is Role.ARGUMENT]
    rest = any(slot.role is Role.REST for slot in slots)
    strangers = [slot.name for slot in arguments if slot.name not in properties]
    untyped = [msgspec.structs.replace(slot, hint=Any, shape=anything()) for slot in slots]
    binder = compile_binder(fn, untyped, strict_input=True)
    if len(arguments) == 1 and strangers and not rest:
        return _arranged(binder, validated, lambda given: {strangers[0]: given})
    if rest:
        return _arranged(binder, validated, lambda given: given)
    unheard = [name for name in properties if arguments and name not in {slot.name for slot in arguments}]
    if strangers or unheard:
        names = f"the schema has no property {strangers[0]!r}" if strangers else f"no parameter takes {unheard[0]!r}"
        remedy = "name parameters like properties, add **kwargs, or take one dict under a name that is no property"
        raise UsageError(f"{what}: {names}; {remedy}")
    known = frozenset(slot.name for slot in arguments)
    return _arranged(binder, validated, lambda given: {name: given[name] for name in known.intersection(given)})


def _arranged(
    binder: Binder, validated: Callable[[Any], Arguments], arrange: Callable[[Arguments], Arguments]
) -> Binder:
    return Binder(
        bind=lambda arguments: binder.bind(arrange(validated(arguments))),
        call=lambda arguments, context: binder.call(arrange(validated(arguments)), context),
    )


def _validated(schema: Schema, what: str, strict_input: bool) -> Callable[[Any], Arguments]:
    validate = validator(schema, what)
    types = property_types(schema)
    packed = frozenset(name for name, kinds in types.items() if kinds & {"object", "array"} and "string" not in kinds)

    def validated(arguments: Any) -> Arguments:
        given = as_object(arguments)
        refusal = _refusal(validate, given)
        if refusal is not None and not strict_input and any(type(given.get(name)) is str for name in packed):
            given = {name: unpacked(value) if name in packed else value for name, value in given.items()}
            refusal = _refusal(validate, given)
        if refusal is not None:
            raise ArgumentError.of(refusal)
        return given

    return validated


def _refusal(validate: Callable[[Any], None], given: Arguments) -> Mismatch | None:
    try:
        validate(given)
    except Mismatch as mismatch:
        return mismatch
    return None
