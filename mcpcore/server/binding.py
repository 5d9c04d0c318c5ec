"""From decoded arguments to a call, in one pass: the binder of one function, written out as Python once.

Here live the generated code and the decoding of a single argument. A scalar argument costs one look-up and one type
test in the generated code; a container is decoded by msgspec in one go where that means the same; everything else, and
whatever was refused, goes to the shape's own decoder, which also finds the words for the error.

Only names of parameters, numbers and the shapes' own ``fast`` expressions get into the code, never text of a peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from mcpcore.server.containers import listed
from mcpcore.server.schema import ArgumentError, Decoder, Mismatch, SchemaError, Shape, is_native, reaches

__all__ = ["Arguments", "Binder", "Role", "Slot", "as_object", "compile_binder", "decoder_of", "unpacked"]

TOO_DEEP = ("a value that is less deeply nested", "maxDepth")

Arguments = Mapping[str, Any]


class Role(Enum):
    """What fills a parameter."""

    ARGUMENT = "argument"
    REST = "rest"  # **kwargs
    CONTEXT = "context"
    INJECTED = "injected"


class Slot(msgspec.Struct, frozen=True):
    """One parameter of the function. ``value`` is the default of an argument, or what makes an injected value."""

    name: str
    role: Role
    keyword: bool = False
    required: bool = True
    value: Any = None
    hint: Any = Any
    shape: Shape | None = None


class Binder(msgspec.Struct, frozen=True):
    """``bind(arguments)`` gives the values by parameter name, ``call(arguments, context)`` calls the function.

    Both take None for no arguments and raise ``ArgumentError``.
    """

    bind: Callable[[Arguments | None], dict[str, Any]]
    call: Callable[[Arguments | None, Any], Any]


def compile_binder(fn: Callable[..., Any], slots: Sequence[Slot], *, strict_input: bool) -> Binder:
    """Write and compile the binder of ``fn``. Its parameters are the ``slots``, in order."""
    names = [slot.name for slot in slots if slot.role is Role.ARGUMENT]
    scope: dict[str, Any] = {"fn": fn, "as_object": as_object, "unknown": _unknown(names), "names": frozenset(names)}
    body = ["if type(arguments) is not dict: arguments = as_object(arguments)"]
    optional = False
    for index, slot in enumerate(slots):
        if slot.role is Role.ARGUMENT:
            body += _argument(index, slot, scope, strict_input)
            optional = optional or not slot.required
        elif slot.role is Role.INJECTED:
            scope[f"inject{index}"] = slot.value
    required = sum(slot.required for slot in slots if slot.role is Role.ARGUMENT)
    rest = [index for index, slot in enumerate(slots) if slot.role is Role.REST]
    if rest:
        body += _rest(rest[0], slots[rest[0]], scope, strict_input)
    else:
        body.append(f"if len(arguments) != {f'{required} + seen' if optional else required}: raise unknown()")
    if optional:
        body.insert(0, "seen = 0")
    title = f"<binder of {getattr(fn, '__qualname__', 'a handler')}>"

    def bind(arguments: Arguments | None) -> dict[str, Any]:
        if "bind" not in scope:  # compiling is most of what a registration costs, and few ask for the values alone
            _define("bind(arguments)", [*body, f"return {_as_dict(slots)}"], scope, title)
        return scope["bind"](arguments)  # type: ignore[no-any-return]

    _define("call(arguments, context)", [*body, f"return fn({_as_call(slots)})"], scope, title)
    return Binder(bind, scope["call"])


def _define(head: str, lines: Sequence[str], scope: dict[str, Any], title: str) -> None:
    source = f"def {head}:\n" + "".join(f"    {line}\n" for line in lines)
    exec(compile(source, title, "exec"), scope)


def _argument(index: int, slot: Slot, scope: dict[str, Any], strict_input: bool) -> list[str]:
    """The lines that put one argument into ``v{index}``."""
    assert slot.shape is not None, "an argument has a shape"
    value, name = f"v{index}", repr(slot.name)
    scope[f"decode{index}"] = decoder_of(slot.shape, slot.hint, [slot.name], strict_input=strict_input)
    decode = f"{value} = decode{index}({value})"
    if slot.shape.fast is not None:
        decode = f"if not ({slot.shape.fast.format(v=value)}): {decode}"
    if slot.required:
        scope[f"missing{index}"] = _missing(slot)
        take = f"try: {value} = arguments[{name}]"
        return [take, f"except KeyError: raise missing{index}() from None", decode]
    scope[f"default{index}"] = slot.value
    take = f"    {value} = arguments[{name}]; seen += 1"
    return [f"if {name} in arguments:", take, f"    {decode}", f"else: {value} = default{index}"]


def _rest(index: int, slot: Slot, scope: dict[str, Any], strict_input: bool) -> list[str]:
    """The lines that put all other arguments into ``v{index}``."""
    assert slot.shape is not None, "the rest has a shape"
    rest = "{name: value for name, value in arguments.items() if name not in names}"
    if slot.shape.fast == "True":
        return [f"v{index} = {rest}"]
    scope[f"decode{index}"] = decoder_of(slot.shape, slot.hint, [None], strict_input=strict_input)
    return [f"v{index} = {{name: decode{index}(value) for name, value in {rest}.items()}}"]


def _as_dict(slots: Sequence[Slot]) -> str:
    parts = [f"{slot.name!r}: v{index}" for index, slot in enumerate(slots) if slot.role is Role.ARGUMENT]
    parts += [f"**v{index}" for index, slot in enumerate(slots) if slot.role is Role.REST]
    return "{" + ", ".join(parts) + "}"


def _as_call(slots: Sequence[Slot]) -> str:
    values = {Role.CONTEXT: "context", Role.INJECTED: "inject{}(context)"}
    parts = []
    for index, slot in enumerate(slots):
        if slot.role is Role.REST:
            parts.append(f"**v{index}")
            continue
        value = values.get(slot.role, "v{}").format(index)
        parts.append(f"{slot.name}={value}" if slot.keyword else value)
    return ", ".join(parts)


def as_object(arguments: Any) -> Arguments:
    """The arguments; None stands for none. Raises ``ArgumentError`` for what is no object."""
    if arguments is None:
        return {}
    if isinstance(arguments, dict):
        return arguments
    raise ArgumentError("object", "type")


def _missing(slot: Slot) -> Callable[[], ArgumentError]:
    assert slot.shape is not None, "an argument has a shape"
    mismatch = Mismatch(slot.shape.expected, "required", "Missing").at(slot.name)
    return lambda: ArgumentError.of(mismatch)


def _unknown(names: Sequence[str]) -> Callable[[], ArgumentError]:
    expected = f"only the arguments {listed(names)}" if names else "no arguments"
    return lambda: ArgumentError(expected, "additionalProperties", problem="Unknown")


def decoder_of(
    shape: Shape,
    hint: Any,
    steps: Sequence[str | None] = (),
    *,
    strict_input: bool = True,
    error: type[SchemaError] = ArgumentError,
    finite: bool = False,
) -> Decoder:
    """Decode the value at ``steps``, or raise ``error``: by msgspec where it means the same, else by the shape.

    Unless ``strict_input``, a string of JSON stands for the object or array in it, where the shape takes no strings:
    some models write such arguments twice encoded. ``finite`` is for values that no JSON parser has seen: they may hold
    infinities, which msgspec lets pass.
    """
    floats = finite and reaches(shape, lambda one: one.kinds == {"number"})
    box = None if floats else _box(shape, hint)
    # ValueError: a lone surrogate where no string belongs
    convert, refused = msgspec.convert, (msgspec.ValidationError, ValueError, OverflowError, RecursionError)
    lenient = not strict_input and bool(shape.kinds & {"object", "array"}) and "string" not in shape.kinds

    def decode(value: Any) -> Any:
        if lenient:
            value = unpacked(value)
        if box is not None:
            try:
                return convert((value,), box).value
            except refused:
                pass  # the shape decides, and says why
        try:
            return shape.decode(value)
        except Mismatch as mismatch:
            found = mismatch
        except RecursionError:
            found = Mismatch(*TOO_DEEP)
        for step in reversed(steps):
            found.at(step)
        raise error.of(found)

    return decode


def _box(shape: Shape, hint: Any) -> Any:
    """A Struct that makes msgspec keep what it knows of ``hint``; None where the shape is better asked itself."""
    if shape.fast is not None or not shape.kinds & {"object", "array"} or not is_native(shape):
        return None
    try:
        box: Any = msgspec.defstruct("Box", [("value", hint)], array_like=True)
        msgspec.convert((None,), box)
    except msgspec.ValidationError:
        return box
    except Exception:  # whatever it cannot do with this hint, the shape can
        return None
    return box


def unpacked(text: Any) -> Any:
    """The object or array that a string of JSON holds; anything else unchanged."""
    if type(text) is not str:
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text
