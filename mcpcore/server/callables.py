"""What a callable takes and returns: its parameters with resolved hints, through wrappers, partials and methods.

Here the callable is only looked at: ``inspect`` gives the parameters, and hints written as strings are evaluated where
the function was defined, including the functions around it that are still running. What the hints mean is not decided
here.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mcpcore.errors import UsageError

__all__ = ["Callee", "Taken", "look_at", "name_of"]

NO_HINT: Any = inspect.Parameter.empty


class Taken(msgspec.Struct, frozen=True):
    """One parameter; ``kind`` is that of ``inspect``, ``hint`` and ``default`` are ``NO_HINT`` where there is none."""

    name: str
    kind: Any
    hint: Any
    default: Any


class Callee(msgspec.Struct, frozen=True):
    """A callable's parameters, its return hint, its docstring, and the names that its hints may use."""

    parameters: list[Taken]
    returns: Any
    docstring: str | None
    names: Mapping[str, Any]


def look_at(fn: Callable[..., Any], fallback: Mapping[str, Any]) -> Callee:
    """Read a callable. ``fallback`` are names for hints that exist for type checkers only.

    Raises ``UsageError`` for a hint that cannot be resolved, and for what has no signature.
    """
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name_of(fn)} has no signature that Python can read: {error}") from error
    source = _source(fn)
    scope = ChainMap(*_names(source), dict(fallback))
    parameters = [
        Taken(one.name, one.kind, _resolve(one.annotation, scope, fn, one.name), one.default)
        for one in signature.parameters.values()
        if one.name not in _fixed(fn)
    ]
    returns = _resolve(signature.return_annotation, scope, fn, "return")
    docstring = getattr(source, "__doc__", None) or (None if _is_function(fn) else type(fn).__doc__)
    return Callee(parameters, returns, docstring, scope)


def name_of(fn: Any) -> str:
    """What to call a callable in an error."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return str(getattr(fn, "__qualname__", None) or type(fn).__qualname__)


def _is_function(fn: Any) -> bool:
    return inspect.isroutine(fn) or isinstance(fn, functools.partial)


def _source(fn: Any) -> Any:
    """The function whose hints ``inspect.signature`` shows."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif inspect.ismethod(fn):
            fn = fn.__func__
        elif hasattr(fn, "__wrapped__") and not hasattr(fn, "__signature__"):
            fn = fn.__wrapped__
        elif not _is_function(fn) and not isinstance(fn, type) and hasattr(type(fn), "__call__"):  # noqa: B004 - to read it
            fn = type(fn).__call__
        else:
            return fn


def _fixed(fn: Any) -> frozenset[str]:
    """What ``functools.partial`` has fixed by name: nobody else's business, least of all the peer's."""
    fixed: set[str] = set()
    while isinstance(fn, functools.partial):
        fixed |= set(fn.keywords)
        fn = fn.func
    return frozenset(fixed)


def _names(source: Any) -> list[dict[str, Any]]:
    """What a function closes over, before the locals of the functions around it, before its globals."""
    module = sys.modules.get(getattr(source, "__module__", None) or "")
    global_names: dict[str, Any] = getattr(source, "__globals__", None) or (vars(module) if module else {})
    closed: dict[str, Any] = {one.__name__: one for one in getattr(source, "__type_params__", ())}
    code = getattr(source, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(source, "__closure__", None) or (), strict=False):
        try:
            closed[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return [closed, _locals_around(source), global_names]


def _locals_around(source: Any) -> dict[str, Any]:
    """A decorator runs while the function around its handler runs, and that one's local classes may be in hints."""
    around = getattr(source, "__qualname__", "").split(".<locals>")[:-1]
    wanted = {one.rpartition(".")[2] for one in around}
    found: list[Mapping[str, Any]] = []
    frame: types.FrameType | None = sys._getframe(1) if wanted else None
    while frame is not None:
        if frame.f_code.co_name in wanted and frame.f_globals is getattr(source, "__globals__", None):
            found.append(dict(frame.f_locals))
        frame = frame.f_back
    return {name: value for one in reversed(found) for name, value in one.items()}


def _resolve(hint: Any, scope: Mapping[str, Any], fn: Any, parameter: str) -> Any:
    if hint is NO_HINT or isinstance(hint, type):
        return hint
    holder = types.SimpleNamespace(__annotations__={parameter: hint})
    try:
        return typing.get_type_hints(holder, dict(scope), {}, include_extras=True)[parameter]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise UsageError(
            f"{name_of(fn)}: the hint of {parameter!r} cannot be resolved: {error}; "
            "import or define what it names at run time, not only for type checkers"
        ) from error
