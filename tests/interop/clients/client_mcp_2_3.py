"""The client of ``mcp`` 2.3, by its high-level ``mcp.Client``.

Facts, read in 2.3.0 and seen on the wire: ``mode="legacy"`` always offers 2025-11-25 and accepts any of the four
legacy revisions as the counter-offer; ``mode="auto"`` sends ``server/discover`` first and falls back to
``initialize``; ``mode="2026-07-28"`` sends neither. So 2024-11-05, 2025-03-26 and 2025-06-18 are reached only through
a server that is restricted to them. Progress callbacks of the legacy era each run in a task of their own, may come in
any order and after the result. Cancelling the caller's scope sends ``notifications/cancelled``. A URL means Streamable
HTTP; ``sse_client`` is the older HTTP+SSE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp import Client, MCPError, types
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters

from tests.interop.clients import battery

LOG_LEVEL = "io.modelcontextprotocol/logLevel"
EVENTS = {
    "ToolsListChanged": "notifications/tools/list_changed",
    "PromptsListChanged": "notifications/prompts/list_changed",
    "ResourcesListChanged": "notifications/resources/list_changed",
    "ResourceUpdated": "notifications/resources/updated",
}


def wire(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def target(options: dict[str, Any]) -> Any:
    if options["transport"] == "http":
        return options["url"]
    if options["transport"] == "sse":
        return sse_client(options["url"])
    command, *arguments = options["command"]
    return StdioServerParameters(command=command, args=arguments, env=options["env"], cwd=options["cwd"])


class Mcp23(battery.Conversation):
    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.client = Client(
            target(options),
            mode=options["mode"],
            sampling_callback=self.on_sampling,
            elicitation_callback=self.on_elicitation,
            list_roots_callback=self.on_roots,
            logging_callback=self.on_log,
            message_handler=self.on_message,
            client_info=types.Implementation(name="interop-mcp-2.3", version="1"),
        )

    async def on_sampling(self, _context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked.append({"method": "sampling/createMessage", "params": wire(params)})
        content = types.TextContent(type="text", text=battery.SAMPLED_TEXT)
        return types.CreateMessageResult(role="assistant", content=content, model="test-model", stop_reason="endTurn")

    async def on_elicitation(self, _context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked = wire(params)
        self.asked.append({"method": "elicitation/create", "params": asked})
        return types.ElicitResult(**battery.answer_form(asked["message"], asked["requestedSchema"]))

    async def on_roots(self, _context: Any) -> types.ListRootsResult:
        self.asked.append({"method": "roots/list", "params": None})
        return types.ListRootsResult(roots=[types.Root(**root) for root in battery.ROOTS])

    async def on_log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.note("notifications/message", wire(params))

    async def on_message(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.fault(message)
        elif message.method != "notifications/message":
            self.note(message.method, wire(message).get("params"))

    def facts(self) -> dict[str, Any]:
        info = self.client.server_info
        return {
            "revision": self.client.protocol_version,
            "server": wire(info) if info else None,
            "capabilities": wire(self.client.server_capabilities),
            "instructions": self.client.instructions,
        }

    def error_of(self, error: BaseException) -> dict[str, Any] | None:
        return wire(error.error) if isinstance(error, MCPError) else None

    async def list_page(self, kind: str, cursor: str | None) -> tuple[list[Any], str | None]:
        listing: dict[str, Any] = {
            "tools": self.client.list_tools,
            "resources": self.client.list_resources,
            "resourceTemplates": self.client.list_resource_templates,
            "prompts": self.client.list_prompts,
        }
        page = await listing[kind](cursor=cursor)
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

        meta: Any = {LOG_LEVEL: log_level} if log_level else None
        callback = on_progress if progress else None
        return wire(await self.client.call_tool(name, arguments, progress_callback=callback, meta=meta))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], started: Awaitable[Any]) -> str:
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                await started
                scope.cancel()

            canceller = asyncio.ensure_future(cancel())
            await self.client.call_tool(name, arguments)
            canceller.cancel()
            return "result"
        return "cancelled"

    async def read(self, uri: str) -> dict[str, Any]:
        return wire(await self.client.read_resource(uri))

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
        return wire(await self.client.get_prompt(name, arguments))

    async def complete(self, prompt: str, argument: str, value: str) -> dict[str, Any]:
        reference = types.PromptReference(type="ref/prompt", name=prompt)
        return wire(await self.client.complete(reference, {"name": argument, "value": value}))

    async def subscribe(self, uri: str) -> None:
        await self.client.subscribe_resource(uri)

    async def unsubscribe(self, uri: str) -> None:
        await self.client.unsubscribe_resource(uri)

    async def set_log_level(self, level: str) -> None:
        await self.client.set_logging_level(level)

    async def ping(self) -> None:
        await self.client.send_ping()

    async def call_by_hand(self, name: str, tampering: str) -> dict[str, Any]:
        call: Any = self.client.session.call_tool
        first = await call(name, allow_input_required=True)
        answers = {}
        for key, question in first.input_requests.items():
            params = wire(question.params)
            answers[key] = types.ElicitResult(**battery.answer_form(params["message"], params["requestedSchema"]))
        state = first.request_state + tampering
        return wire(await call(name, input_responses=answers, request_state=state, allow_input_required=True))

    async def listen(self, uri: str, then: Callable[[], Awaitable[None]], enough: int) -> dict[str, Any]:
        events: list[str] = []
        async with self.client.listen(
            tools_list_changed=True,
            prompts_list_changed=True,
            resources_list_changed=True,
            resource_subscriptions=[uri],
        ) as subscription:
            honored = wire(subscription.honored)
            await then()
            async for event in subscription:
                events.append(EVENTS[type(event).__name__])
                if len(events) >= enough:
                    break
        return {"honored": honored, "events": sorted(events)}


async def converse(options: dict[str, Any], observed: dict[str, Any]) -> None:
    conversation = Mcp23(options)
    async with conversation.client as client:
        conversation.modern = client.protocol_version >= "2026-07-28"
        observed |= await battery.run(conversation, options.get("steps"))


if __name__ == "__main__":
    battery.main(converse)
