"""Middleware: functions around every message. Nothing of this runs where none is registered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mcpcore.jsonrpc.codec import decode

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange, Serve

__all__ = ["Middleware", "chain", "wrapped"]

Next = Callable[[Any], Awaitable[Any]]
Middleware = Callable[[Any, Next], Awaitable[Any]]


def wrapped(serve: Serve, middleware: Sequence[Middleware]) -> Serve:
    """``serve`` inside the middleware. The list is looked at when a message comes, so late entries count too."""
    if not middleware:
        return serve

    async def innermost(exchange: Exchange) -> Any:
        outcome = serve(exchange)
        if inspect.isawaitable(outcome):
            outcome = await outcome
        # What is serialised already is for the wire; whoever stands around sees a result.
        return decode(b"{" + outcome + b"}") if type(outcome) is bytes else outcome

    def serve_inside(exchange: Exchange) -> Any:
        return chain(middleware, innermost)(exchange)

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
