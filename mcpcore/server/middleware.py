"""Middleware: functions around every message. Nothing of this runs where none is registered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mcpcore.errors import UsageError
from mcpcore.jsonrpc.codec import decode

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange, Serve

__all__ = ["Middleware", "chain", "wrapped"]

Next = Callable[[Any], Awaitable[Any]]
Middleware = Callable[[Any, Next], Awaitable[Any]]


def wrapped(serve: Serve, middleware: Sequence[Middleware]) -> Serve:
    """``serve`` inside the middleware. The list is looked at when a message comes: it may grow."""
    if not middleware:
        return serve

    async def serve_inside(exchange: Exchange) -> dict[str, Any] | None:
        left_open = False

        async def innermost(exchange: Exchange) -> Any:
            nonlocal left_open
            outcome = serve(exchange)
            if inspect.isawaitable(outcome):
                outcome = await outcome
            left_open = outcome is None  # a stream, which is answered at its end
            # What is serialised already is for the wire; whoever stands around sees a result.
            return decode(b"{" + outcome + b"}") if type(outcome) is bytes else outcome

        result = await chain(middleware, innermost)(exchange)
        if isinstance(result, dict) or (result is None and left_open):
            return result
        kind = type(result).__name__
        raise UsageError(f"middleware returned {kind} for {exchange.method}: return what call_next gave, or an object")

    return serve_inside


def chain(middleware: Sequence[Middleware], innermost: Next) -> Next:
    """One function that runs the first of ``middleware`` around the next, and so on to the innermost."""
    call = innermost
    for one in reversed(middleware):
        call = _around(one, call)
    return call


def _around(one: Middleware, inner: Next) -> Next:
    async def call(message: Any) -> Any:
        return await one(message, inner)

    return call
