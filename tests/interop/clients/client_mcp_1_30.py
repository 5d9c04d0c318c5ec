"""The client of ``mcp`` 1.30, by ``ClientSession`` over ``stdio_client``, ``streamable_http_client`` or
``sse_client``, the way its documentation shows.

Facts, read in 1.30.0 and seen on the wire: ``initialize`` always offers 2025-11-25 and any of the four legacy
revisions is accepted as the counter-offer, so the older three are reached only through a server restricted to them;
there is no modern era. Cancelling the caller sends nothing: an application sends ``notifications/cancelled`` itself,
with the request id that the session counts up. ``message_handler`` receives an exception for every message that could
not be parsed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

from tests.interop.clients import battery


def wire(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def streams(options: dict[str, Any]) -> Any:
    """A context manager: what it yields begins with the stream to read and the one to write."""
    if options["transport"] == "http":
        return streamable_http_client(options["url"])
    if options["transport"] == "sse":
        return sse_client(options["url"])
    command, *arguments = options["command"]
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=options["env"], cwd=options["cwd"]))


class Mcp130(battery.Conversation):
    session: ClientSession
    opening: types.InitializeResult

    async def on_sampling(self, _context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked.append({"method": "sampling/createMessage", "params": wire(params)})
        content = types.TextContent(type="text", text=battery.SAMPLED_TEXT)
        return types.CreateMessageResult(role="assistant", content=content, model="test-model", stopReason="endTurn")

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
        elif isinstance(message, types.ServerNotification) and message.root.method != "notifications/message":
            self.note(message.root.method, wire(message.root).get("params"))

    def facts(self) -> dict[str, Any]:
        return {
            "revision": self.opening.protocolVersion,
            "server": wire(self.opening.serverInfo),
            "capabilities": wire(self.opening.capabilities),
            "instructions": self.opening.instructions,
        }

    def error_of(self, error: BaseException) -> dict[str, Any] | None:
        return wire(error.error) if isinstance(error, McpError) else None

    async def list_page(self, kind: str, cursor: str | None) -> tuple[list[Any], str | None]:
        listing: dict[str, Any] = {
            "tools": self.session.list_tools,
            "resources": self.session.list_resources,
            "resourceTemplates": self.session.list_resource_templates,
            "prompts": self.session.list_prompts,
        }
        page = await listing[kind](params=types.PaginatedRequestParams(cursor=cursor) if cursor is not None else None)
        return wire(page)[kind], page.nextCursor

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

        return wire(await self.session.call_tool(name, arguments, progress_callback=on_progress if progress else None))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], started: Awaitable[Any]) -> str:
        request_id = self.session._request_id
        calling = asyncio.ensure_future(self.session.call_tool(name, arguments))
        await asyncio.sleep(0)  # the call takes its id now, before those of the counting
        await started
        cancelled = types.CancelledNotification(params=types.CancelledNotificationParams(requestId=request_id))
        await self.session.send_notification(types.ClientNotification(cancelled))
        await asyncio.wait([calling], timeout=0.5)
        if not calling.done():
            calling.cancel()
            return "cancelled"
        return "error" if calling.exception() else "result"

    async def read(self, uri: str) -> dict[str, Any]:
        return wire(await self.session.read_resource(AnyUrl(uri)))

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
        return wire(await self.session.get_prompt(name, arguments))

    async def complete(self, prompt: str, argument: str, value: str) -> dict[str, Any]:
        reference = types.PromptReference(type="ref/prompt", name=prompt)
        return wire(await self.session.complete(reference, {"name": argument, "value": value}))

    async def subscribe(self, uri: str) -> None:
        await self.session.subscribe_resource(AnyUrl(uri))

    async def unsubscribe(self, uri: str) -> None:
        await self.session.unsubscribe_resource(AnyUrl(uri))

    async def set_log_level(self, level: str) -> None:
        await self.session.set_logging_level(level)

    async def ping(self) -> None:
        await self.session.send_ping()


async def converse(options: dict[str, Any], observed: dict[str, Any]) -> None:
    conversation = Mcp130()
    async with (
        streams(options) as (read, write, *_),
        ClientSession(
            read,
            write,
            sampling_callback=conversation.on_sampling,
            elicitation_callback=conversation.on_elicitation,
            list_roots_callback=conversation.on_roots,
            logging_callback=conversation.on_log,
            message_handler=conversation.on_message,
            client_info=types.Implementation(name="interop-mcp-1.30", version="1"),
        ) as session,
    ):
        conversation.session = session
        conversation.opening = await session.initialize()
        observed |= await battery.run(conversation, options.get("steps"))


if __name__ == "__main__":
    battery.main(converse)
