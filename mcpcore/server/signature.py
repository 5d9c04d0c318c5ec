"""A handler's signature: the input schema of its tool, and the one-pass binder that calls it.

Here the parts are put together: the parameters (``callables.py``), their shapes (``hints.py``), the descriptions in the
docstring, the binder (``binding.py``), and schemas written by hand (``raw_schema.py``). All of it happens once, when a
handler is registered. Everything that other files need of signatures and outputs can be imported from here.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.binding import Arguments, Role, Slot, compile_binder
from mcpcore.server.callables import NO_HINT, Callee, Taken, look_at, name_of
from mcpcore.server.classes import json_default
from mcpcore.server.docstrings import Docstring, read_docstring
from mcpcore.server.hints import Reader
from mcpcore.server.metadata import Header, default_of, is_field_info, read_metadata
from mcpcore.server.output_schema import OutputSpec, output_schema, raw_output
from mcpcore.server.raw_binding import raw_binder
from mcpcore.server.schema import (
    ArgumentError,
    Definitions,
    OutputError,
    Schema,
    SchemaError,
    Shape,
    describe,
    document,
    with_notes,
)
from mcpcore.server.unions import optional
from mcpcore.spec.header_params import KEYWORD, header_params

__all__ = [
    "ArgumentError",
    "Header",
    "OutputError",
    "OutputSpec",
    "Parameter",
    "SchemaError",
    "Signature",
    "inspect_signature",
    "output_schema",
    "raw_output",
]

Inject = Callable[[Any], Any]


class Parameter(msgspec.Struct, frozen=True):
    """One parameter that the peer fills. ``default`` is None where there is none; ``annotation`` is Any for no hint."""

    name: str
    annotation: Any
    required: bool
    description: str | None
    default: Any


class Signature(msgspec.Struct, frozen=True):
    """What is known of a handler before it is called.

    ``input_schema`` is a JSON Schema 2020-12 with an object at its root. ``bind(arguments)`` gives the values by
    parameter name; ``call(arguments, context)`` calls the handler with them and returns what it returns (a coroutine,
    if it is a coroutine function). Both take None for no arguments and raise ``ArgumentError``. ``header_params`` are
    the parameters that travel as ``Mcp-Param-*`` too. ``description`` is the docstring without its list of parameters;
    ``returns`` and ``names`` are for ``output_schema``.
    """

    input_schema: Schema
    header_params: dict[str, str]
    context_parameter: str | None
    parameters: list[Parameter]
    call: Callable[[Arguments | None, Any], Any]
    bind: Callable[[Arguments | None], dict[str, Any]]
    description: str | None = None
    returns: Any = inspect.Signature.empty
    names: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:  # ``names`` are a module's globals, which are nobody's business in a log
        return f"Signature({', '.join(parameter.name for parameter in self.parameters)})"


def inspect_signature(
    fn: Callable[..., Any],
    *,
    context_types: tuple[type, ...] = (),
    injected: Mapping[str, Inject] | None = None,
    strict_input: bool = False,
    input_schema: Schema | None = None,
) -> Signature:
    """Read a handler: a function, method, partial or callable object, also behind ``functools.wraps``.

    The parameter annotated with one of ``context_types`` gets the context; those named in ``injected`` get what their
    function makes of the context; neither is in the schema. With ``strict_input`` a string of JSON does not stand for
    an object or array. With an ``input_schema`` written by hand, values are validated by it and not converted; how the
    handler gets them is told in ``raw_binding.py``. Raises ``UsageError`` for what cannot be described.
    """
    callee = look_at(fn, {one.__name__: one for one in context_types})
    docstring = read_docstring(callee.docstring)
    reading = _Reading(name_of(fn), callee, docstring, context_types, injected or {})
    slots = reading.slots(typed=input_schema is None)
    if input_schema is None:
        schema = document(lambda definitions: _input_schema(slots, definitions))
        headers = _headers(reading.what, schema)
        binder = compile_binder(fn, slots, strict_input=strict_input)
    else:
        schema = input_schema
        binder = raw_binder(fn, slots, schema, f"{reading.what}: input_schema", strict_input=strict_input)
        headers = _headers(reading.what, schema)
    return Signature(
        input_schema=schema,
        header_params=headers,
        context_parameter=next((slot.name for slot in slots if slot.role is Role.CONTEXT), None),
        parameters=[_parameter(slot, docstring) for slot in slots if slot.role is Role.ARGUMENT],
        call=binder.call,
        bind=binder.bind,
        description=docstring.text or None,
        returns=callee.returns,
        names=callee.names,
    )


def _headers(what: str, schema: Schema) -> dict[str, str]:
    try:
        return header_params(schema)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def _parameter(slot: Slot, docstring: Docstring) -> Parameter:
    described = slot.shape.notes.get("description") if slot.shape else docstring.parameters.get(slot.name)
    hint = Any if slot.hint is NO_HINT else slot.hint
    return Parameter(slot.name, hint, slot.required, described, slot.value)


def _input_schema(slots: Sequence[Slot], definitions: Definitions) -> Schema:
    arguments = [slot for slot in slots if slot.role is Role.ARGUMENT]
    properties = {slot.name: describe(slot.shape, definitions) for slot in arguments if slot.shape}
    schema: Schema = {"type": "object", "properties": properties}
    required = [slot.name for slot in arguments if slot.required]
    if required:
        schema["required"] = required
    rest: Schema | bool = False
    for slot in slots:
        if slot.role is Role.REST and slot.shape:
            rest = True if slot.shape.fast == "True" else describe(slot.shape, definitions)
    return {**schema, "additionalProperties": rest}


class _Reading(msgspec.Struct, frozen=True):
    """The parameters of one handler, on their way to becoming slots."""

    what: str
    callee: Callee
    docstring: Docstring
    context_types: tuple[type, ...]
    injected: Mapping[str, Inject]

    def slots(self, *, typed: bool) -> list[Slot]:
        """One slot per parameter; those of arguments have shapes only where they are ``typed``."""
        reader = Reader(self.callee.names)
        slots = []
        for taken in self.callee.parameters:
            try:
                slots.append(self._slot(taken, reader, typed))
            except UsageError as error:
                raise UsageError(f"{self.what}: parameter {taken.name!r}: {error}") from error
        if sum(slot.role is Role.CONTEXT for slot in slots) > 1:
            raise UsageError(f"{self.what}: only one parameter can be the context")
        return slots

    def _slot(self, taken: Taken, reader: Reader, typed: bool) -> Slot:
        keyword = taken.kind is inspect.Parameter.KEYWORD_ONLY
        if taken.kind is inspect.Parameter.VAR_POSITIONAL:
            raise UsageError(
                "*args has no names to describe in a schema; name the parameters, take a list, "
                "or put functools.wraps on the wrapper"
            )
        if taken.kind is inspect.Parameter.VAR_KEYWORD:
            hint = Any if taken.hint is NO_HINT else taken.hint
            return Slot(taken.name, Role.REST, required=False, hint=hint, shape=reader.read(hint) if typed else None)
        if taken.name in self.injected:
            return Slot(taken.name, Role.INJECTED, keyword, value=self.injected[taken.name])
        if self._is_context(taken.hint):
            return Slot(taken.name, Role.CONTEXT, keyword)
        return self._argument(taken, keyword, reader, typed)

    def _is_context(self, hint: Any) -> bool:
        if get_origin(hint) is Annotated:
            return self._is_context(get_args(hint)[0])
        if get_origin(hint) in (Union, types.UnionType):
            return any(self._is_context(one) for one in get_args(hint))
        return hint in self.context_types or get_origin(hint) in self.context_types

    def _argument(self, taken: Taken, keyword: bool, reader: Reader, typed: bool) -> Slot:
        hint, has_default, default = taken.hint, taken.default is not NO_HINT, taken.default
        hint = Any if hint is NO_HINT else hint
        if is_field_info(default):
            hint = Annotated[hint, default]
            has_default, default = default_of(default)
        shape = self._shape(taken.name, hint, has_default, default, reader) if typed else None
        return Slot(taken.name, Role.ARGUMENT, keyword, not has_default, default if has_default else None, hint, shape)

    def _shape(self, name: str, hint: Any, has_default: bool, default: Any, reader: Reader) -> Shape:
        hint, header = _without_header(hint)
        absent = has_default and default is None
        shape = reader.read(_without_none(hint) if header and absent else hint)
        if absent and not header:
            shape = _optional(shape)
        notes: Schema = {}
        if name in self.docstring.parameters and "description" not in shape.notes:
            notes["description"] = self.docstring.parameters[name]
        writable, value = json_default(default) if has_default else (False, None)
        if writable and not (header and absent):
            notes["default"] = value
        if header:
            notes[KEYWORD] = header.name
        return with_notes(shape, notes)


def _optional(shape: Shape) -> Shape:
    """``x: int = None`` means ``int | None``; what describes the int describes the parameter."""
    if "null" in shape.kinds:
        return shape
    return with_notes(optional(msgspec.structs.replace(shape, notes={})), shape.notes)


def _without_header(hint: Any) -> tuple[Any, Header | None]:
    """The hint without its ``Header``, which means something only here."""
    if get_origin(hint) is not Annotated:
        return hint, None
    header = read_metadata(hint.__metadata__).header
    if header is None:
        return hint, None
    rest = [one for one in hint.__metadata__ if not isinstance(one, Header)]
    inner = get_args(hint)[0]
    return (Annotated[(inner, *rest)] if rest else inner), header


def _without_none(hint: Any) -> Any:
    """A header's type must be plain; ``None`` as its default is said by leaving the parameter out."""
    if get_origin(hint) is Annotated:
        return Annotated[(_without_none(get_args(hint)[0]), *hint.__metadata__)]
    if get_origin(hint) in (Union, types.UnionType):
        left = tuple(one for one in get_args(hint) if one is not type(None))
        return Union[left]  # noqa: UP007 - there is no other way to write it
    return hint
