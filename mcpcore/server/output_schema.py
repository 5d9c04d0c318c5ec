"""From a return hint to an output schema, and from a returned value to structured content that keeps its promise.

Here is decided which hints promise structure at all, what is wrapped into an object, and how a value is checked.
Content blocks and texts are made in ``results.py``. The rule: a value is first written as JSON-able builtins and then
checked like any JSON, so a dict that fits is as good as an instance of the class.
<https://modelcontextprotocol.io/specification/2026-07-28/server/tools#output-schema>
"""

from __future__ import annotations

import collections.abc as abc
import inspect
import os
import types
from collections import deque
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NewType, Union, get_args, get_origin

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.binding import decoder_of
from mcpcore.server.hints import Reader
from mcpcore.server.pydantic_types import dump, pydantic_encoder
from mcpcore.server.raw_schema import validator
from mcpcore.server.schema import Mismatch, OutputError, Schema, Shape, describe, document, reaches
from mcpcore.types import InputRequired, ToolResult

__all__ = ["WRAP_KEYWORD", "OutputSpec", "output_schema", "raw_output"]

WRAP_KEYWORD = "x-mcpcore-wrap-result"
UNSTRUCTURED = (inspect.Signature.empty, str, None, type(None), bytes, Any, object)
TEXTS = (str, None, type(None))
ARRAYS = (list, tuple, set, frozenset, abc.Sequence, abc.Iterable, abc.Collection)
OUTCOMES = (ToolResult, InputRequired)
"""A tool may return these whatever it promises; they are looked at before the output schema."""


class OutputSpec(msgspec.Struct, frozen=True):
    """What a tool's results promise.

    ``schema`` has ``"type": "object"`` at its root: a hint of another shape is ``wrapped`` as ``{"result": ...}``;
    ``natural_schema`` is the one without the wrapping. ``encode(value)`` gives the structured content, wrapped where
    the schema is, as JSON-able builtins, and raises ``OutputError``. ``check(content)`` says what is wrong with
    structured content that was made by hand, or None.
    """

    schema: Schema
    wrapped: bool
    natural_schema: Schema
    encode: Callable[[Any], Any]
    check: Callable[[Any], str | None]


def output_schema(
    annotation: Any, *, plain: tuple[type, ...] = (), names: Mapping[str, Any] | None = None
) -> OutputSpec | None:
    """What a return hint promises; None where it promises text or content blocks.

    ``plain`` are the classes of content: blocks, media. ``names`` resolves forward references to local classes
    (``Signature.names``). Raises ``UsageError`` for a hint that has no JSON Schema.
    """
    hint = _settled(annotation)
    if _is_unstructured(hint, plain):
        return None
    try:
        shape = Reader(names, output=True).read(hint)
    except UsageError as error:
        raise UsageError(f"the return hint promises what has no schema: {error}") from error
    natural = document(lambda definitions: describe(shape, definitions))
    return _spec(natural, document(lambda definitions: _wrapping(describe(shape, definitions))), _encoder(shape, hint))


def raw_output(schema: Mapping[str, Any], what: str = "output_schema") -> OutputSpec:
    """What a schema written by hand promises; ``what`` names it in errors. Raises ``UsageError`` as ``validator``."""
    natural = dict(schema) if isinstance(schema, Mapping) else schema
    validate = validator(natural, what)

    def encode(value: Any) -> Any:
        builtins = _builtins(value, "a value that can be written as JSON")
        validate(builtins)
        return builtins

    wrapped = _wrapping({name: _moved(value) for name, value in natural.items() if name != "$schema"})
    dialect = {"$schema": natural["$schema"]} if "$schema" in natural else {}
    return _spec(natural, {**dialect, **wrapped}, encode)


def _spec(natural: Schema, wrapping: Schema, encode: Callable[[Any], Any]) -> OutputSpec:
    """``encode`` raises ``Mismatch`` or ``OutputError``."""
    wrapped = natural.get("type") != "object"

    def encoded(value: Any) -> Any:
        try:
            builtins = encode(value)
        except Mismatch as mismatch:
            raise OutputError.of(mismatch) from None
        return {"result": builtins} if wrapped else builtins

    def check(content: Any) -> str | None:
        if wrapped and (not isinstance(content, dict) or set(content) != {"result"}):
            return "Invalid result at $: expected an object with the one member result."
        try:
            encoded(content["result"] if wrapped else content)
        except OutputError as error:
            return str(error)
        return None

    return OutputSpec(wrapping if wrapped else natural, wrapped, natural, encoded, check)


def _wrapping(schema: Schema) -> Schema:
    return {"type": "object", "properties": {"result": schema}, "required": ["result"], WRAP_KEYWORD: True}


def _moved(value: Any) -> Any:
    """A part of a schema that moves below ``properties/result``: what refers to the root goes on to find it."""
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if not isinstance(value, dict):
        return value
    moved = {name: _moved(item) for name, item in value.items()}
    target = value.get("$ref")
    if isinstance(target, str) and (target == "#" or target.startswith("#/")):
        moved["$ref"] = "#/properties/result" + target[1:]
    return moved


def _settled(hint: Any) -> Any:
    """The hint without what has no bearing on structure: coroutines, and outcomes that stand instead of a result."""
    if get_origin(hint) in (abc.Awaitable, abc.Coroutine):
        return _settled(get_args(hint)[-1])
    if get_origin(hint) in (Union, types.UnionType):
        left = [one for one in get_args(hint) if one not in OUTCOMES]
        return Union[tuple(left)] if left else None  # noqa: UP007 - there is no other way to write it
    return None if hint in OUTCOMES else hint


def _is_unstructured(hint: Any, plain: tuple[type, ...]) -> bool:
    """Whether the hint stands for texts and content blocks. A list of str is structure: the model may want to count."""
    if any(hint is one for one in UNSTRUCTURED) or (isinstance(hint, type) and issubclass(hint, plain)):
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, NewType):
        return _is_unstructured(hint.__supertype__, plain)
    if origin is Annotated:
        return _is_unstructured(arguments[0], plain)
    if origin in (Union, types.UnionType):
        return all(_is_unstructured(one, plain) for one in arguments) or _mentions(arguments, plain)
    if (origin or hint) in ARRAYS:
        items = [one for one in arguments if one is not Ellipsis]
        parts = [part for item in items for part in (get_args(item) if _is_union(item) else (item,))]
        texts = bool(parts) and all(part in TEXTS for part in parts)
        return _mentions(parts, plain) or (not texts and all(_is_unstructured(part, plain) for part in parts))
    return False


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _mentions(hints: Any, plain: tuple[type, ...]) -> bool:
    return any(isinstance(one, type) and issubclass(one, plain) for one in hints)


def _encoder(shape: Shape, hint: Any) -> Callable[[Any], Any]:
    if reaches(shape, lambda one: one.foreign):
        encode = pydantic_encoder(hint)
        if encode is not None:
            return encode
    check = decoder_of(shape, hint, error=OutputError, finite=True)
    expected = shape.expected
    fits = _fast_test(shape)
    plain = not shape.kinds & {"object", "array"}

    def encode_checked(value: Any) -> Any:
        if plain and fits(value):
            return value
        builtins = _builtins(value, expected)
        if not fits(builtins):
            check(builtins)
        return builtins

    return encode_checked


def _fast_test(shape: Shape) -> Callable[[Any], bool]:
    """A test that holds only for values which fit; a float needs another one, because it may be infinite."""
    if shape.fast is None or reaches(shape, lambda one: one.kinds == {"number"}):
        return lambda value: False
    test: Callable[[Any], bool] = eval(f"lambda v: {shape.fast.format(v='v')}")
    return test


def _builtins(value: Any, expected: str) -> Any:
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_written)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise Mismatch(f"{expected}, in a form that can be written as JSON", "type") from None


def _written(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, deque):
        return list(value)
    return dump(value)
