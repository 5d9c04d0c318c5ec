"""Our own client under the same battery, so that it meets the servers of other implementations as their clients meet
ours.

What lives here: the words in which ``mcpcore.Client`` does each step. Change notifications are heard through
``client.listen`` in both eras. Warnings in mcpcore's log count as complaints about what the server sent.

Modes: "auto" (nothing pinned) or the name of the one revision that the client may speak.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mcpcore import Client, PromptRef, RpcError, Step
from mcpcore.types import (
    CreateMessageParams,
    CreateMessageResult,
    ElicitParams,
    ElicitResult,
    LogMessage,
    Progress,
    Root,
    TextContent,
    ToolResult,
    to_wire,
)
from tests.interop.clients import battery

PAGES = {
    "tools": "list_tools_page",
    "resources": "list_resources_page",
    "resourceTemplates": "list_resource_templates_page",
    "prompts": "list_prompts_page",
}
EVENTS = {
    "ToolsChanged": "notifications/tools/list_changed",
    "PromptsChanged": "notifications/prompts/list_changed",
    "ResourcesChanged": "notifications/resources/list_changed",
    "ResourceUpdated": "notifications/resources/updated",
}


class McpCore(battery.Conversation):
    lacks = {"tampered_state": "the state is not for an application to touch"}  # noqa: RUF012

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.streams: list[tuple[Any, asyncio.Future[None]]] = []
        over_pipes = options["transport"] == "stdio"
        self.client = Client(
            options["command"] if over_pipes else options["url"],
            name="interop-mcpcore",
            revisions=None if options["mode"] == "auto" else options["mode"],
            timeout=battery.STEP_SECONDS,
            sampling=self.on_sampling,
            elicitation=self.on_elicitation,
            roots=self.on_roots,
            log=self.on_log,
            env=options["env"] if over_pipes else None,
            cwd=options["cwd"],
        )

    async def on_sampling(self, params: CreateMessageParams) -> CreateMessageResult:
        self.asked.append({"method": "sampling/createMessage", "params": to_wire(params)})
        return CreateMessageResult(TextContent(battery.SAMPLED_TEXT), model="test-model", stop_reason="endTurn")

    async def on_elicitation(self, params: ElicitParams) -> ElicitResult:
        self.asked.append({"method": "elicitation/create", "params": to_wire(params)})
        return ElicitResult(**battery.answer_form(params.message, params.requested_schema or {}))

    def on_roots(self) -> list[Root]:
        self.asked.append({"method": "roots/list", "params": None})
        return [Root(root["uri"], name=root["name"]) for root in battery.ROOTS]

    def on_log(self, message: LogMessage) -> None:
        self.note("notifications/message", to_wire(message))

    def facts(self) -> dict[str, Any]:
        info = self.client.server_info
        return {
            "revision": str(self.client.revision),
            "server": to_wire(info) if info else None,
            "capabilities": to_wire(self.client.server_capabilities),
            "instructions": self.client.instructions,
        }

    def error_of(self, error: BaseException) -> dict[str, Any] | None:
        if isinstance(error, RpcError):
            return {"code": error.code, "message": error.message, "data": error.data}
        return None

    async def list_page(self, kind: str, cursor: str | None) -> tuple[list[Any], str | None]:
        page = await getattr(self.client, PAGES[kind])(cursor)
        return [to_wire(item) for item in page.items], page.next_cursor

    async def call(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        progress: Callable[[float, float | None, str | None], None] | None = None,
        log_level: str | None = None,
    ) -> dict[str, Any]:
        def on_progress(event: Progress) -> None:
            if progress:
                progress(event.progress, event.total, event.message)

        if log_level:
            await self.set_log_level(log_level)
        return to_wire(await self.client.call_tool(name, arguments, progress=on_progress if progress else None))

    async def call_and_cancel(self, name: str, arguments: dict[str, Any], started: Awaitable[Any]) -> str:
        calling = asyncio.ensure_future(self.client.call_tool(name, arguments))
        await started
        calling.cancel()
        await asyncio.wait([calling])
        return "cancelled" if calling.cancelled() else "error" if calling.exception() else "result"

    async def read(self, uri: str) -> dict[str, Any]:
        return to_wire(await self.client.read_resource(uri))

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> dict[str, Any]:
        return to_wire(await self.client.get_prompt(name, arguments))

    async def complete(self, prompt: str, argument: str, value: str) -> dict[str, Any]:
        return {"completion": to_wire(await self.client.complete(PromptRef(prompt), argument, value))}

    async def hear(self, **wanted: Any) -> None:
        """Notes the events of one stream, in a task of its own, until :meth:`deafen`."""
        stream = self.client.listen(**wanted)
        events = await stream.__aenter__()

        async def read() -> None:
            async for event in events:
                self.note(EVENTS[type(event).__name__], {"uri": getattr(event, "uri", None)})

        self.streams.append((stream, asyncio.ensure_future(read())))

    async def deafen(self) -> None:
        """Ends the newest stream."""
        stream, reading = self.streams.pop()
        reading.cancel()
        await asyncio.wait([reading])
        await stream.__aexit__(None, None, None)

    async def subscribe(self, uri: str) -> None:
        await self.hear(uris=[uri])

    async def unsubscribe(self, uri: str) -> None:
        await self.deafen()

    async def set_log_level(self, level: str) -> None:
        if not self.modern and self.client.server_capabilities.logging is None:
            return  # the legacy server of mcp 2.3 logs everything without declaring that it logs at all
        await self.client.set_log_level(level)

    async def ping(self) -> None:
        await self.client.ping()

    async def call_by_hand(self, name: str, tampering: str) -> dict[str, Any]:
        step = await self.client.begin_call(name)
        assert isinstance(step, Step)
        answers = {}
        for key, question in step.questions.items():
            assert isinstance(question, ElicitParams)
            answers[key] = ElicitResult(**battery.answer_form(question.message, question.requested_schema or {}))
        document = step.to_json()
        result = await self.client.resume(Step.from_json(document), answers)
        assert isinstance(result, ToolResult)
        return to_wire(result)

    async def listen(self, uri: str, then: Callable[[], Awaitable[None]], enough: int) -> dict[str, Any]:
        events: list[str] = []
        async with self.client.listen(tools=True, prompts=True, resources=True, uris=[uri]) as stream:
            await then()
            async for event in stream:
                events.append(EVENTS[type(event).__name__])
                if len(events) >= enough:
                    break
        return {"honored": None, "events": sorted(events)}


class Complaints(logging.Handler):
    """Collects what mcpcore warns of."""

    def __init__(self, conversation: McpCore) -> None:
        super().__init__(logging.WARNING)
        self.conversation = conversation

    def emit(self, record: logging.LogRecord) -> None:
        self.conversation.faults.append(self.format(record))


async def converse(options: dict[str, Any], observed: dict[str, Any]) -> None:
    conversation = McpCore(options)
    logging.getLogger("mcpcore").addHandler(Complaints(conversation))
    async with conversation.client as client:
        conversation.modern = str(client.revision) >= "2026-07-28"
        if not conversation.modern:
            await conversation.hear(tools=True, prompts=True)
        observed |= await battery.run(conversation, options.get("steps"))
        if not conversation.modern:
            await conversation.deafen()


if __name__ == "__main__":
    battery.main(converse)
