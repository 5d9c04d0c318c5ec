"""Dynamic tools: a provider lists and calls tools that are not known at registration. And calls of unknown tools."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mcpcore.errors import RpcError, ToolError
from mcpcore.server.context import Context
from mcpcore.server.handlers import Stopped, in_rounds
from mcpcore.server.results import error_result, tool_result
from mcpcore.spec import codes
from mcpcore.spec.members import sieve
from mcpcore.types import to_wire

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server
    from mcpcore.types import Tool

__all__ = ["ToolProvider", "bad_arguments", "call_other", "serve_list"]

_log = logging.getLogger("mcpcore.server")


class ToolProvider(Protocol):
    """A source of tools, asked for each request: both methods may be coroutines and may look at ``ctx.principal``."""

    def list(self, ctx: Context) -> Any:
        """The tools, as ``Tool`` objects."""
        ...

    def call(self, name: str, arguments: dict[str, Any], ctx: Context) -> Any:
        """What a tool handler may return; ``NotImplemented`` for a tool that is not this provider's."""
        ...


async def serve_list(server: Server, providers: Sequence[ToolProvider], exchange: Exchange) -> dict[str, Any]:
    """All tools on one page: a dynamic catalogue has no stable positions for cursors."""
    if exchange.params.get("cursor") is not None:
        raise RpcError(codes.INVALID_PARAMS, "tools/list: this list has one page; leave the cursor out")
    context = Context(exchange, server)
    tools = {tool["name"]: tool for tool in server.tools.definitions(exchange.revision)}
    for provider in providers:
        listed: list[Tool] = await _maybe(provider.list(context))
        for tool in listed:  # of two tools with one name the first is listed, as it is the one that is called
            tools.setdefault(tool.name, sieve("Tool", to_wire(tool), exchange.revision))
    return {"tools": list(tools.values()), **server.cache_hint("tools/list")}


def call_other(server: Server, providers: Sequence[ToolProvider], exchange: Exchange) -> Any:
    """A call of a tool that is not registered."""
    name = exchange.params.get("name")
    if type(name) is not str:
        raise RpcError(codes.INVALID_PARAMS, "tools/call: params.name must be a string")
    if not providers:
        raise RpcError(codes.INVALID_PARAMS, f"Unknown tool: {name[:200]}")
    arguments = exchange.params.get("arguments")
    if arguments is not None and type(arguments) is not dict:
        raise bad_arguments()
    return _call_provided(server, providers, exchange, name, arguments or {})


async def _call_provided(
    server: Server, providers: Sequence[ToolProvider], exchange: Exchange, name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    async def ask() -> Any:
        for provider in providers:
            value = await _maybe(provider.call(name, arguments, Context(exchange, server)))
            if value is not NotImplemented:
                return value
        raise RpcError(codes.INVALID_PARAMS, f"Unknown tool: {name[:200]}")

    try:
        value = await in_rounds(exchange, ask)
        return value.result if isinstance(value, Stopped) else tool_result(value)
    except ToolError as error:
        return error_result(str(error))
    except RpcError:
        raise
    except Exception as error:
        _log.error("tool %s failed (%s)", name[:200], exchange, exc_info=error)
        return error_result(f"The tool {name[:200]} failed; the server's log has the details")


def bad_arguments() -> RpcError:
    return RpcError(codes.INVALID_PARAMS, "tools/call: params.arguments must be an object")


async def _maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
