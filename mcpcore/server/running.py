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
_TASK_NAMES = frozenset({"current_task", "get_current_task"})
"""Whoever asks for its task must have one."""


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
    if _TASK_NAMES.intersection(code.co_names):
        return True
    return any(instruction.opcode in _SUSPENDING for instruction in dis.get_instructions(code))
