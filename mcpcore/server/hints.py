"""From a type hint to its shape: the one place that knows which Python types can be described, and as what.

Here live the ``Reader``, the resolution of type variables, and the remedy for types that nothing describes. Classes
with members are read in ``classes.py``, metadata in ``metadata.py``, pydantic's types in ``pydantic_types.py``.
"""

from __future__ import annotations

import collections.abc as abc
import decimal
import enum
import types
import typing
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from mcpcore.errors import UsageError
from mcpcore.server.classes import class_shape, enumeration
from mcpcore.server.containers import Recursion, array, mapping, tuple_
from mcpcore.server.metadata import read_metadata
from mcpcore.server.pydantic_types import is_pydantic, pydantic_shape
from mcpcore.server.scalars import (
    anything,
    boolean,
    choice,
    decimal_,
    integer,
    null,
    number,
    string,
    text,
    travels_as_text,
)
from mcpcore.server.schema import Bounds, Shape, restrict, with_notes
from mcpcore.server.unions import union

__all__ = ["Reader"]

SCALARS: dict[Any, Callable[[], Shape]] = {
    Any: anything,
    object: anything,
    None: null,
    type(None): null,
    str: string,
    int: integer,
    float: number,
    bool: boolean,
    decimal.Decimal: decimal_,
}
# origin -> what makes one of a list, and whether its items are unique
ARRAYS: dict[Any, tuple[Callable[[list[Any]], Any], bool]] = {
    list: (list, False),
    abc.Sequence: (list, False),
    abc.MutableSequence: (list, False),
    abc.Collection: (list, False),
    abc.Iterable: (list, False),
    deque: (deque, False),
    set: (set, True),
    abc.Set: (set, True),
    abc.MutableSet: (set, True),
    frozenset: (frozenset, True),
}
MAPPINGS: frozenset[Any] = frozenset({dict, abc.Mapping, abc.MutableMapping})
TRANSPARENT = frozenset({"Required", "NotRequired", "ReadOnly", "Final", "ClassVar"})
# Lists that msgspec reads as lists; it takes anything for an Iterable and looks into none.
NATIVE_ARRAYS = frozenset({list, abc.Sequence, abc.MutableSequence, abc.Collection})
KEY_PATTERN = r"^(0|-?[1-9][0-9]*)$"
MAX_KEY_DIGITS = 400
"""An int that is the key of an object; Python itself refuses to read more than 4300 digits."""


class Reader:
    """Reads the hints of one function: ``names`` are what its module and the functions around it define.

    With ``output`` the shapes are those of results: they check and do not build instances again.
    """

    def __init__(self, names: Mapping[str, Any] | None = None, *, output: bool = False) -> None:
        self.names: Mapping[str, Any] = names or {}
        self.output = output
        self._variables: dict[Any, Any] = {}
        self._known: dict[Any, Shape | Recursion] = {}

    def read(self, hint: Any) -> Shape:
        """The shape of a hint. Raises ``UsageError`` for what cannot be described in JSON Schema."""
        scalar: Callable[[], Shape] | None = _lookup(SCALARS, hint)
        if scalar is not None:
            return scalar()
        if travels_as_text(hint):
            return text(hint)
        if is_pydantic(hint):
            return self._pydantic(hint)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return enumeration(hint)
        origin, arguments = get_origin(hint), get_args(hint)
        shape = self._special(hint, origin, arguments) or self._container(hint, origin or hint, arguments)
        return shape or self._class(hint, origin or hint, arguments)

    def _special(self, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Shape | None:
        """What is neither a class nor a container."""
        if isinstance(hint, str | typing.ForwardRef):
            return self._forward(hint if isinstance(hint, str) else hint.__forward_arg__)
        if origin is Annotated:
            return self._annotated(hint, arguments[0], hint.__metadata__)
        if origin is Literal:
            return self._literal(arguments)
        if origin is Union or origin is types.UnionType:
            return union([self.read(one) for one in arguments])
        if getattr(origin, "__name__", getattr(origin, "_name", None)) in TRANSPARENT:
            return self.read(arguments[0])
        if isinstance(hint, TypeVar):
            return self._variable(hint)
        if hasattr(hint, "__supertype__"):  # NewType
            return self.read(hint.__supertype__)
        if hasattr(hint, "__value__") or hasattr(origin, "__value__"):  # type X = ..., type X[T] = ...
            return self._alias(origin if hasattr(origin, "__value__") else hint, self._substituted(arguments))
        return None

    def _alias(self, alias: Any, arguments: tuple[Any, ...]) -> Shape:
        table = dict(zip(alias.__type_params__, arguments, strict=False))
        read = partial(self._with, table, lambda: self.read(alias.__value__))
        return self._named((alias, arguments), alias.__name__, read)

    def _forward(self, name: str) -> Shape:
        try:
            holder = types.SimpleNamespace(__annotations__={"hint": name})
            hint = typing.get_type_hints(holder, dict(self.names), {}, include_extras=True)["hint"]
        except (NameError, SyntaxError) as error:
            raise UsageError(f"the hint {name!r} cannot be resolved: {error}") from error
        return self._named(("forward reference", name), name, lambda: self.read(hint))

    def _literal(self, arguments: tuple[Any, ...]) -> Shape:
        values = [value.value if isinstance(value, enum.Enum) else value for value in arguments]
        if any(isinstance(value, bytes) for value in values):
            raise UsageError("a Literal of bytes has no form in JSON; name strings")
        plain = not any(isinstance(value, enum.Enum) for value in arguments)
        return choice(zip(values, arguments, strict=True), native=plain)

    def _annotated(self, hint: Any, inner: Any, items: tuple[Any, ...]) -> Shape:
        metadata = read_metadata(items)
        if metadata.header is not None:
            raise UsageError("Header belongs to a parameter of a tool, at the outside of its hint, and nowhere else")
        if metadata.foreign:
            return with_notes(self._pydantic(hint), metadata.notes)
        shape = with_notes(restrict(self.read(inner), metadata.bounds), metadata.notes)
        return msgspec.structs.replace(shape, native=False) if metadata.borrowed else shape

    def _pydantic(self, hint: Any) -> Shape:
        return pydantic_shape(hint, "serialization" if self.output else "validation")

    def _variable(self, variable: TypeVar) -> Shape:
        if variable in self._variables:
            return self.read(self._variables[variable])
        if variable.__constraints__:
            return union([self.read(one) for one in variable.__constraints__])
        return self.read(variable.__bound__) if variable.__bound__ is not None else anything()

    def _substituted(self, hints: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(_substitute(hint, self._variables) for hint in hints)

    def _with(self, variables: Mapping[Any, Any], read: Callable[[], Shape | None]) -> Shape | None:
        """``read`` with these type variables bound, and no others."""
        outer = self._variables
        self._variables = {name: value for name, value in variables.items() if name is not value}
        try:
            return read()
        finally:
            self._variables = outer

    def _container(self, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Shape | None:
        if hint is tuple or hint is typing.Tuple:  # noqa: UP006 - the bare one, told from tuple[()] by identity
            return array(anything(), list if self.output else tuple)
        if origin is tuple:
            return self._tuple(arguments)
        if _lookup(ARRAYS, origin) is not None:
            make, unique = ARRAYS[origin]
            item = self.read(arguments[0]) if arguments else anything()
            if unique and not item.hashable and not self.output:
                raise UsageError(f"{_name(hint)} cannot be made of items that are not hashable; use list")
            shape = array(item, list if self.output else make, unique=unique)
            return shape if origin in NATIVE_ARRAYS else msgspec.structs.replace(shape, native=False)
        if _lookup(MAPPINGS, origin):
            key, value = arguments or (str, Any)
            return mapping(self._key(key), self.read(value))
        return None

    def _tuple(self, arguments: tuple[Any, ...]) -> Shape:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return array(self.read(arguments[0]), list if self.output else tuple)
        items = [self.read(one) for one in arguments]
        return tuple_(items, tuple, required=len(items))

    def _key(self, hint: Any) -> Shape:
        """The keys of a JSON object are strings; an int is written in digits."""
        shape = self.read(hint)
        if "string" in shape.kinds:
            return shape
        if shape.kinds == {"integer"} and not shape.choices:
            digits = string(Bounds(pattern=KEY_PATTERN, max_length=MAX_KEY_DIGITS))
            return msgspec.structs.replace(
                digits, expected="an integer", decode=lambda name: shape.decode(int(digits.decode(name)))
            )
        raise UsageError(f"{_name(hint)} cannot be the key of a JSON object; use str")

    def _class(self, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Shape:
        given = self._substituted(arguments)
        variables = _type_variables(origin, given)
        recursion = Recursion(_name(hint), frozenset({"object"}))
        key = (origin, given if _is_hashable(given) else repr(given))
        read = partial(self._with, variables, lambda: class_shape(origin, self, recursion))
        return self._named(key, _name(hint), read, recursion)

    def _named(
        self, key: Any, name: str, read: Callable[[], Shape | None], recursion: Recursion | None = None
    ) -> Shape:
        """The shape of a type that may occur inside itself: read once, and a reference while it is being read."""
        known = self._known.get(key)
        if known is not None:
            return known.reference() if isinstance(known, Recursion) else known
        entry = self._known[key] = recursion or Recursion(name)
        try:
            shape = read()
        except BaseException:
            del self._known[key]
            raise
        if shape is None:
            raise UsageError(
                f"{name} cannot be described in JSON Schema; use a dataclass, TypedDict, msgspec Struct or pydantic "
                "model, or give the schema yourself (input_schema=, output_schema=)"
            )
        entry.shape = shape
        self._known[key] = entry.shape = entry.defined() if recursion is None else shape
        return entry.shape


def _lookup(table: Any, key: Any) -> Any:
    if not _is_hashable(key):
        return None
    return table.get(key) if isinstance(table, dict) else key in table


def _is_hashable(hint: Any) -> bool:
    """Annotated[int, []] is not, nor is Callable[[int], int] in parts."""
    try:
        hash(hint)
    except TypeError:
        return False
    return True


def _name(hint: Any) -> str:
    if get_args(hint):
        return f"{_name(get_origin(hint))}[{', '.join(_name(one) for one in get_args(hint))}]"
    return str(getattr(hint, "__qualname__", repr(hint))).rpartition(".<locals>.")[2]


def _substitute(hint: Any, table: Mapping[Any, Any]) -> Any:
    """The hint with its type variables replaced."""
    if isinstance(hint, TypeVar):
        return table.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or (isinstance(hint, type) and not get_args(hint)):
        return hint
    return hint[tuple(table.get(one, one) for one in parameters)]


def _type_variables(origin: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables of a generic class and of its generic bases stand for."""
    table = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
    for base in getattr(origin, "__orig_bases__", ()):
        if get_args(base) and get_origin(base) not in (None, typing.Generic, typing.Protocol):
            given = tuple(_substitute(one, table) for one in get_args(base))
            table = {**_type_variables(get_origin(base), given), **table}
    return table
