"""Prompts: templates of messages, filled in by arguments that are always strings on the wire.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/prompts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.errors import RpcError
from mcpcore.server.handlers import Handler, Stopped
from mcpcore.server.results import prompt_result
from mcpcore.spec import codes
from mcpcore.spec.methods import check_params
from mcpcore.types import Prompt

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server

__all__ = ["RegisteredPrompt", "serve_get"]


class RegisteredPrompt:
    """One prompt and the function that fills it in."""

    def __init__(self, definition: Prompt, handler: Handler) -> None:
        self.definition = definition
        self.handler = handler


def serve_get(server: Server, exchange: Exchange) -> Any:
    fault = check_params(
        "prompts/get", {k: v for k, v in exchange.params.items() if k != "inputResponses"}, exchange.revision
    )
    if fault is not None:
        raise RpcError(codes.INVALID_PARAMS, f"prompts/get: {fault}")
    name = exchange.params["name"]
    prompt = server.prompts.get(name)
    if prompt is None:
        raise RpcError(codes.INVALID_PARAMS, f"Unknown prompt: {name[:200]}")
    values = prompt.handler.convert(exchange.params.get("arguments") or {}, f"prompts/get {name}")
    return _fill_in(prompt, exchange, values)


async def _fill_in(prompt: RegisteredPrompt, exchange: Exchange, values: dict[str, Any]) -> dict[str, Any]:
    value = await prompt.handler.run(exchange, values)
    if isinstance(value, Stopped):
        return value.result
    return prompt_result(value, prompt.definition.description)
