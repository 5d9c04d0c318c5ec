"""How handlers fail: what a tool says on purpose is shown, everything else stays in the log."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpcore import RpcError, Server, ToolError
from mcpcore.types import EmbeddedResource, TextResourceContents, ToolResult
from tests.contract.wire import REVISIONS, client_of

CALL = "tools/call"
SECRET = "s3cr3t-value"


def text_of(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


@pytest.mark.spec("2024-11-05/schema/S06", "2024-11-05/schema/S01")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_tool_that_crashes_says_so_and_keeps_the_details_in_the_log(
    revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = Server("contract")

        class Unprintable(Exception):
            def __str__(self) -> str:
                raise ValueError

        def crash() -> str:
            raise ValueError(SECRET)

        async def coroutine() -> str:
            return crash()

        async def later() -> str:
            await asyncio.sleep(0)
            return crash()

        async def group() -> str:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(later())
                tasks.create_task(later())
            return "?"

        async def unprintable() -> str:
            raise Unprintable

        async def unwritable() -> Any:
            return object()

        async def half_a_character() -> str:
            return "\ud800"

        async def half_a_character_later() -> str:
            await asyncio.sleep(0)
            return "\ud800"

        def half_a_character_in_a_thread() -> str:
            return "\ud800"

        handlers = (coroutine, later, group, unprintable, unwritable)
        halves = (half_a_character, half_a_character_later, half_a_character_in_a_thread)
        for handler in (crash, *handlers, *halves):
            server.add_tool(handler)
        server.add_tool(crash, name="crash_on_the_loop", thread="loop")
        server.add_tool(half_a_character_in_a_thread, name="half_on_the_loop", thread="loop")

        async with client_of(server, revision) as wire:
            for tool in (await wire.result("tools/list"))["tools"]:
                result = await wire.result(CALL, {"name": tool["name"]})
                assert result["isError"] is True, tool["name"]
                assert text_of(result) == f"The tool {tool['name']} failed; the server's log has the details"

    asyncio.run(main())
    assert caplog.text.count(SECRET) >= 4


@pytest.mark.spec("2024-11-05/schema/S06")
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_a_tool_says_on_purpose_is_shown(revision: str) -> None:
    async def main() -> None:
        server = Server("contract")

        def said() -> str:
            raise ToolError("the shelf is empty: try B7")

        async def grouped() -> str:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.to_thread(said))
            return "?"

        async def returned() -> ToolResult:
            contents = TextResourceContents(uri="docs:log", text="details")
            return ToolResult(content=[EmbeddedResource(resource=contents)], is_error=True)

        async def protocol() -> str:
            raise RpcError(1234, "an error of mine", {"more": [1]})

        for handler in (said, grouped, returned, protocol):
            server.add_tool(handler)

        async with client_of(server, revision) as wire:
            for name in ("said", "grouped"):
                result = await wire.result(CALL, {"name": name})
                assert (result["isError"], text_of(result)) == (True, "the shelf is empty: try B7")
            result = await wire.result(CALL, {"name": "returned"})
            assert result["isError"] is True and result["content"][0]["resource"]["text"] == "details"
            error = await wire.error(CALL, {"name": "protocol"})
            assert error == {"code": 1234, "message": "an error of mine", "data": {"more": [1]}}

    asyncio.run(main())
