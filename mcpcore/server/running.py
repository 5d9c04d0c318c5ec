"""How a handler can be run, judged once at registration from its code."""

from __future__ import annotations

import dis
import enum
import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any

__all__ = ["Kind", "kind_of"]


class Kind(enum.Enum):
    FUNCTION = "a plain function"
    UNSUSPENDED = "a coroutine function without a suspension point in its own code"
    COROUTINE = "a coroutine function"


_SUSPENDING = frozenset(
    dis.opmap[name]
    for name in ("GET_AWAITABLE", "GET_AITER", "GET_ANEXT", "BEFORE_ASYNC_WITH", "SEND", "YIELD_VALUE", "YIELD_FROM")
    if name in dis.opmap
)
_TASK_NAMES = frozenset(
    {
        *("current_task", "get_current_task", "anyio", "sniffio", "CancelScope", "current_effective_deadline"),
        *("move_on_after", "move_on_at", "fail_after", "fail_at"),
    }
)
"""Whoever asks for its task must have one; so do anyio's scopes, which need no await."""


def kind_of(handler: Callable[..., Any]) -> Kind:
    """Looks through ``partial``, bound methods, callable objects, and wrappers that return the coroutine of another."""
    function = _function_of(handler)
    if inspect.iscoroutinefunction(function):
        code = getattr(function, "__code__", None)
        return Kind.UNSUSPENDED if isinstance(code, CodeType) and not _may_suspend(code) else Kind.COROUTINE
    wrapped = inspect.unwrap(function) if function is not None else handler
    return Kind.COROUTINE if inspect.iscoroutinefunction(wrapped) else Kind.FUNCTION


def _function_of(handler: Any) -> Any:
    while not isinstance(handler, FunctionType):
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif isinstance(handler, MethodType):
            handler = handler.__func__
        elif not isinstance(handler, type) and isinstance(vars(type(handler)).get("__call__"), FunctionType):
            handler = vars(type(handler))["__call__"]
        else:
            return handler
    return handler


def _may_suspend(code: CodeType) -> bool:
    return _names_its_task(code) or any(one.opcode in _SUSPENDING for one in dis.get_instructions(code))


def _names_its_task(code: CodeType) -> bool:
    """Also in the functions inside: they run as a part of it."""
    if not _TASK_NAMES.isdisjoint((*code.co_names, *code.co_freevars, *code.co_varnames)):
        return True
    return any(_names_its_task(one) for one in code.co_consts if isinstance(one, CodeType))
