"""Handlers of everything but tools: how resources, prompts, completions and own methods call their functions.

A ``Handler`` knows its function's parameters, converts what came as strings, and runs it where it belongs: on the
loop, or in a worker thread. Tools have a faster way of their own (``tools.py``).
"""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import msgspec

from mcpcore.errors import RpcError, ToolError, UsageError
from mcpcore.server.context import Context, SyncContext
from mcpcore.server.running import Kind, kind_of
from mcpcore.spec import codes
from mcpcore.types import InputRequired

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server

__all__ = ["Handler", "Parameter", "Stopped", "in_rounds"]

_CHOICES_NAMED = 20
"""Values of an enumeration that an error lists."""


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a handler, apart from its context."""

    name: str
    annotation: Any
    required: bool
    default: Any

    @property
    def choices(self) -> list[str] | None:
        """The values that its hint allows, as strings, where it lists them."""
        return _choices_of(self.annotation)


class Handler:
    """``run(exchange, values)`` calls the function with those of ``values`` that it has parameters for."""

    def __init__(self, server: Server, fn: Callable[..., Any], thread: str = "worker") -> None:
        self.server = server
        self.fn = fn
        self._inline = thread == "loop" or kind_of(fn) is not Kind.FUNCTION
        self._context_parameter: str | None = None
        self.parameters: dict[str, Parameter] = {}
        self.takes_any = False
        hints = _hints(fn)
        for parameter in inspect.signature(fn).parameters.values():
            hint = hints.get(parameter.name, Any)
            if parameter.kind is parameter.VAR_KEYWORD:
                self.takes_any = True
            elif parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.POSITIONAL_ONLY:
                raise UsageError(f"{_name(fn)}: the parameter {parameter.name} must be callable by its name")
            elif _is_context(hint):
                self._context_parameter = parameter.name
            else:
                required = parameter.default is parameter.empty
                default = None if required else parameter.default
                self.parameters[parameter.name] = Parameter(parameter.name, hint, required, default)

    def convert(self, values: Mapping[str, Any], method: str) -> dict[str, Any]:
        """Strings as the parameters want them. Raises ``RpcError`` (-32602) naming the parameter, never the value."""
        converted: dict[str, Any] = {}
        for name, value in values.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                if self.takes_any:
                    converted[name] = value
                    continue
                known = ", ".join(self.parameters) or "none"
                raise RpcError(
                    codes.INVALID_PARAMS, f"{method}: there is an unknown argument; the arguments are: {known}"
                )
            if parameter.annotation is Any or parameter.annotation is str:
                converted[name] = value
                continue
            try:
                converted[name] = msgspec.convert(value, parameter.annotation, strict=False)
            except msgspec.ValidationError as error:
                text = f"{method}: argument {name}: {_expectation(parameter, error)}"
                raise RpcError(codes.INVALID_PARAMS, text) from None
        for parameter in self.parameters.values():
            if parameter.required and parameter.name not in converted:
                raise RpcError(codes.INVALID_PARAMS, f"{method}: the argument {parameter.name} is required")
        return converted

    async def run(self, exchange: Exchange, values: Mapping[str, Any]) -> Any:
        """What the function returned, or, in ``Stopped``, the result that stands instead."""
        try:
            return await in_rounds(exchange, lambda: self._call(exchange, values))
        except ToolError as error:  # meant for the client, and only a tool's result could carry it as one
            raise RpcError(codes.INTERNAL_ERROR, f"{exchange.method}: {error}") from error

    async def _call(self, exchange: Exchange, values: Mapping[str, Any]) -> Any:
        arguments = {name: values[name] for name in self.parameters if name in values}
        if self.takes_any:
            arguments = dict(values)
        if self._inline:
            if self._context_parameter is not None:
                arguments[self._context_parameter] = Context(exchange, self.server)
            value = self.fn(**arguments)
            return await value if inspect.isawaitable(value) else value
        workers, cancelled = self.server.workers, None
        if self._context_parameter is not None:
            context = arguments[self._context_parameter] = SyncContext(exchange, self.server, workers)
            cancelled = context.cancelled
        variables = copy_context()
        return await workers.run(lambda: variables.run(lambda: self.fn(**arguments)), cancelled)


class Stopped(msgspec.Struct):
    """The result of a request that stopped to ask."""

    result: dict[str, Any]


async def in_rounds(exchange: Exchange, call: Callable[[], Awaitable[Any]]) -> Any:
    """The value of ``call``, or ``Stopped`` where it asked something that has no answer yet."""
    try:
        value = await call()
    except BaseException:
        if exchange.asking is not None and exchange.asking.stopped and not exchange.cancelled:
            return Stopped(exchange.asking.outcome())
        raise
    if exchange.asking is not None and exchange.asking.stopped:
        return Stopped(exchange.asking.outcome())
    if isinstance(value, InputRequired):
        if exchange.asking is None:
            exchange.asking = exchange.policy.asker(exchange)
        done, value = await exchange.asking.rounds(value, call)
        return Stopped(value) if done else value
    return value


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    target = fn if inspect.isroutine(fn) else getattr(fn, "__call__", fn)  # noqa: B004
    try:
        return typing.get_type_hints(inspect.unwrap(getattr(target, "func", target)), include_extras=True)
    except (NameError, TypeError) as error:
        raise UsageError(f"{_name(fn)}: an annotation cannot be resolved: {error}") from None


def _choices_of(annotation: Any) -> list[str] | None:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _choices_of(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return [str(value) for value in typing.get_args(annotation)]
    if origin in (typing.Union, types.UnionType):
        found = [_choices_of(option) for option in typing.get_args(annotation) if option is not type(None)]
        return [value for values in found if values for value in values] or None
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [str(member.value) for member in annotation]
    return None


def _expectation(parameter: Parameter, error: msgspec.ValidationError) -> str:
    """What the parameter takes. Of an enumeration msgspec says which value it refused, and that is the peer's."""
    text = str(error)
    if "enum value" not in text:
        return text
    choices = parameter.choices or []
    more = f" and {len(choices) - _CHOICES_NAMED} more" if len(choices) > _CHOICES_NAMED else ""
    return f"Expected one of {', '.join(choices[:_CHOICES_NAMED])}{more}"


def _is_context(hint: Any) -> bool:
    options = typing.get_args(hint) if typing.get_origin(hint) is not None else (hint,)
    return any(option is Context or option is SyncContext for option in options)


def _name(fn: Any) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)
