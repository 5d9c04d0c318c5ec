"""The client of FastMCP 4.1, by its ``fastmcp.Client`` with handlers in its own style.

Facts, read in 4.1.2 and seen on the wire: the modes are those of ``mcp`` 2.3 underneath (``"auto"`` probes with
``server/discover`` and is the default, ``"legacy"`` always offers 2025-11-25, ``"2026-07-28"`` pins), so the older
legacy revisions are reached only through a restricted server. It asks for logs at ``debug`` on every modern request
by itself. It has no API for ``resources/subscribe`` nor for ``subscriptions/listen``. ``Client.cancel`` wants the
request id, which only the SDK session below knows; cancelling the awaiting task is what its users do, and that sends
``notifications/cancelled``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from mcp import MCPError, types

from tests.interop.clients import battery

LOG_LEVEL = "io.modelcontextprotocol/logLevel"
LISTING = {
    "tools": "list_tools_mcp",
    "resources": "list_resources_mcp",
    "resourceTemplates": "list_resource_templates_mcp",
    "prompts": "list_prompts_mcp",
}


def wire(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def transport(options: dict[str, Any]) -> Any:
    if options["transport"] == "http":
        return StreamableHttpTransport(options["url"])
    if options["transport"] == "sse":
        return SSETransport(options["url"])
    command, *arguments = options["command"]
    return StdioTransport(command, arguments, env=options["env"], cwd=options["cwd"], keep_alive=False)


class FastMcp41(battery.Conversation):
    lacks = {  # noqa: RUF012
        "subscription": "fastmcp.Client has no subscribe",
        "listen": "fastmcp.Client has no listen",
        "rounds_by_hand": "fastmcp.Client drives the rounds itself",
        "tampered_state": "fastmcp.Client drives the rounds itself",
    }

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.client = Client(
            transport(options),
            mode=options["mode"],
            sampling_handler=self.on_sampling,
            elicitation_handler=self.on_elicitation,
            roots=self.on_roots,
            log_handler=self.on_log,
            message_handler=self.on_message,
            client_info=types.Implementation(name="interop-fastmcp-4.1", version="1"),
        )

    async def on_sampling(self, _messages: Any, params: types.CreateMessageRequestParams, _context: Any) -> str:
        self.asked.append({"method": "sampling/createMessage", "params": wire(params)})
        return battery.SAMPLED_TEXT

    async def on_elicitation(self, message: str, _type: Any, params: Any, _context: Any) -> Any:
        asked = wire(params)
        self.asked.append({"method": "elicitation/create", "params": asked})
        answer = battery.answer_form(message, asked["requestedSchema"])
        return answer["content"] if answer["action"] == "accept" else ElicitResult(action=answer["action"])

    async def on_roots(self, _context: Any) -> list[Any]:
        self.asked.append({"method": "roots/list", "params": None})
        return [types.Root(**root) for root in battery.ROOTS]

    async def on_log(self, message: types.LoggingMessageNotificationParams) -> None:
        self.note("notifications/message", wire(message))

    async def on_message(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.fault(message)
        elif getattr(message, "method", "notifications/message") != "notifications/message":
            self.note(message.method, wire(message).get("params"))

    def facts(self) -> dict[str, Any]:
        info, capabilities = self.client.server_info, self.client.server_capabilities
        return {
            "revision": self.client.protocol_version,
            "server": wire(info) if info else None,
            "capabilities": wire(capabilities) if capabilities else None,
            "instructions": self.client.instructions,
        }

    def error_of(self, error: BaseException) -> dict[str, Any] | None:
        return wire(error.error) if isinstance(error, MCPError) else None

    async def list_page(self, kind: str, cursor: str | None) -> tuple[list[Any], str | None]:
        page = await getattr(self.client, LISTING[kind])(cursor=cursor)
        return wire(page)[kind], page.next_cursor

    async def call(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        progress: Callable[[float, float | None, str | None], None] | None = None,
        log_level: str | None = None,
    ) -> dict[str, Any]:
        async def on_progress(value: float, total: float | None, message: str | None) -> None:
            if progress:
                progress(value, total, message)

        meta = {LOG_LEVEL: log_level} if log_level else None
        handler = on_progress if progress else None
        return wire(await self.client.call_tool_mcp(name, arguments or {}, progress_handler=handler, meta=meta))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], started: Awaitable[Any]) -> str:
        calling = asyncio.ensure_future(self.client.call_tool_mcp(name, arguments))
        await started
        calling.cancel()
        await asyncio.wait([calling])
        return "cancelled" if calling.cancelled() else "error" if calling.exception() else "result"

    async def read(self, uri: str) -> dict[str, Any]:
        return wire(await self.client.read_resource_mcp(uri))

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
        return wire(await self.client.get_prompt_mcp(name, arguments))

    async def complete(self, prompt: str, argument: str, value: str) -> dict[str, Any]:
        reference = types.PromptReference(type="ref/prompt", name=prompt)
        return wire(await self.client.complete_mcp(reference, {"name": argument, "value": value}))

    async def set_log_level(self, level: str) -> None:
        await self.client.set_logging_level(level)

    async def ping(self) -> None:
        await self.client.ping()


async def converse(options: dict[str, Any], observed: dict[str, Any]) -> None:
    conversation = FastMcp41(options)
    async with conversation.client as client:
        conversation.modern = client.protocol_version >= "2026-07-28"
        observed |= await battery.run(conversation, options.get("steps"))


if __name__ == "__main__":
    battery.main(converse)
