"""Completion of prompt arguments and template variables: by a function, or derived from ``Literal`` and ``Enum`` hints.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/completion
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mcpcore.errors import RpcError, UsageError
from mcpcore.server.handlers import Handler
from mcpcore.spec import codes
from mcpcore.spec.methods import check_params
from mcpcore.types import Completion, to_wire

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server

__all__ = ["serve_complete"]

_MOST = 100
"""Values in one answer (server/utilities/completion#completion-results)."""


def serve_complete(server: Server, exchange: Exchange) -> Any:
    fault = check_params("completion/complete", exchange.params, exchange.revision)
    if fault is not None:
        raise RpcError(codes.INVALID_PARAMS, f"completion/complete: {fault}")
    argument, context = exchange.params["argument"], exchange.params.get("context") or {}
    of, target = _target(server, exchange.params["ref"])
    handler = server.completions.get((of, argument["name"]))
    if handler is None and argument["name"] not in target.parameters and not target.takes_any:
        known = ", ".join(target.parameters) or "none"
        text = f"completion/complete: params.argument.name is no argument of this; its arguments are: {known}"
        raise RpcError(codes.INVALID_PARAMS, text)
    given = context.get("arguments") or {}
    return _complete(exchange, handler, target, argument["name"], argument["value"], given)


def _target(server: Server, reference: dict[str, Any]) -> tuple[str, Handler]:
    """The name under which completions are registered, and the handler whose hints may help."""
    if reference["type"] == "ref/prompt":
        prompt = server.prompts.get(reference["name"])
        if prompt is None:
            raise RpcError(codes.INVALID_PARAMS, f"Unknown prompt: {reference['name'][:200]}")
        return reference["name"], prompt.handler
    uri = reference["uri"]
    for template in server.templates:
        if template.definition.uri_template == uri or template.match(uri) is not None:
            return template.definition.uri_template, template.handler
    resource = server.resources.get(uri)
    if resource is None:
        raise RpcError(
            codes.INVALID_PARAMS, "completion/complete: params.ref.uri is no template and no resource of this server"
        )
    return uri, resource.handler


async def _complete(
    exchange: Exchange, handler: Handler | None, target: Handler, name: str, value: str, given: Mapping[str, str]
) -> dict[str, Any]:
    if handler is not None:
        found = await handler.run(exchange, {"value": value, "arguments": given})
    else:
        parameter = target.parameters.get(name)
        found = ranked((parameter.choices if parameter is not None else None) or [], value)
    return {"completion": _written(found)}


def ranked(values: Iterable[str], typed: str) -> list[str]:
    """Those that begin with what was typed, then those that hold it; case does not matter."""
    low = typed.casefold()
    begins = [value for value in values if value.casefold().startswith(low)]
    holds = [value for value in values if low in value.casefold() and not value.casefold().startswith(low)]
    return begins + holds


def _written(found: Any) -> dict[str, Any]:
    if isinstance(found, Completion):
        completion = to_wire(found)
    elif isinstance(found, Iterable) and not isinstance(found, str | bytes | Mapping):
        values = [str(value) for value in found]
        completion = {"values": values, "total": len(values)}
    elif found is None:
        completion = {"values": [], "total": 0}
    else:
        raise UsageError("a completion function returns a list of strings or a Completion")
    values = completion["values"]
    if len(values) > _MOST:
        completion = {**completion, "values": values[:_MOST], "hasMore": True}
    else:
        completion.setdefault("hasMore", False)
    return completion
