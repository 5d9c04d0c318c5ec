"""What a client must do with the features of a server: content of every kind, structured content, limits, errors.

Pages are in test_features_pagination.py, completion and logging in the files of that name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest

from mcpcore import Client, RpcError
from mcpcore.errors import CallTimeout, InvalidResult
from mcpcore.types import (
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    UnknownContent,
)
from tests.contract.wire import LEGACY, MODERN, PATIENCE, REVISIONS, Wire, accept, serving

CALL = "tools/call"
CAPABILITIES: dict[str, Any] = {"tools": {}, "resources": {}, "prompts": {}}

Answers = Callable[[Wire, dict[str, Any]], Awaitable[None]]


def complete(wire: Wire, result: dict[str, Any], cacheable: bool = False) -> dict[str, Any]:
    if wire.revision != MODERN:
        return result
    return {"resultType": "complete", **({"ttlMs": 0, "cacheScope": "private"} if cacheable else {}), **result}


def server_of(revision: str, tools: list[dict[str, Any]], *results: Any) -> Callable[[Wire], Awaitable[None]]:
    """A server with these tools, which answers one call after the other with these results (errors as they are)."""

    async def script(wire: Wire) -> None:
        await accept(wire, revision, CAPABILITIES)
        wire.judge = None  # the odd ones among the results break the schema
        remaining = list(results)
        while remaining:
            request = await wire.hear()
            if request["method"] == "tools/list":
                wire.reply(request, complete(wire, {"tools": tools}, True))
                continue
            result = remaining.pop(0)
            if isinstance(result, RpcError):
                wire.refuse(request, result.code, result.message, result.data)
            else:
                wire.reply(request, complete(wire, result, request["method"] == "resources/read"))

    return script


def tool(name: str = "tool", **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


# -- content -----------------------------------------------------------------------------------------------------------

BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "a", "annotations": {"audience": ["user"], "priority": 0}, "_meta": {"x": 1}},
    {"type": "image", "data": "AA==", "mimeType": "image/png"},
    {"type": "audio", "data": "AA==", "mimeType": "audio/wav"},
    {"type": "resource_link", "uri": "docs://not/listed", "name": "n", "size": 5.0, "icons": [{"src": "data:,"}]},
    {"type": "resource", "resource": {"uri": "docs://a", "text": "A"}},
    {"type": "resource", "resource": {"uri": "docs://b", "blob": "AA==", "mimeType": "image/png"}},
    {"type": "hologram", "beam": {"x": [1]}},
]
KINDS = [TextContent, ImageContent, AudioContent, ResourceLink, EmbeddedResource, EmbeddedResource, UnknownContent]


@pytest.mark.spec("2024-11-05/tools/Y01", "2025-06-18/tools/Y01", "2025-06-18/tools/Y02", "2026-07-28/prompts/Y04")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_takes_every_kind_of_content_and_keeps_what_it_does_not_know(revision: str) -> None:
    async def main() -> None:
        messages = [{"role": "assistant", "content": block} for block in BLOCKS]
        script = server_of(revision, [tool()], {"content": BLOCKS}, {"messages": messages})
        async with serving(script) as target, Client(target, revisions=revision) as client:
            result = await client.call_tool("tool")
            assert [type(block) for block in result.content] == KINDS
            assert result.text == "a" and result.is_error is False
            link, embedded, blob, unknown = result.content[3:]
            assert isinstance(link, ResourceLink) and (link.uri, link.size) == ("docs://not/listed", 5)
            assert isinstance(embedded, EmbeddedResource) and isinstance(embedded.resource, TextResourceContents)
            assert embedded.resource.mime_type is None
            assert isinstance(blob, EmbeddedResource) and isinstance(blob.resource, BlobResourceContents)
            assert isinstance(unknown, UnknownContent) and unknown.raw == {"type": "hologram", "beam": {"x": [1]}}
            prompt = await client.get_prompt("prompt")
            assert [type(message.content) for message in prompt.messages] == KINDS
            assert {message.role for message in prompt.messages} == {"assistant"}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/resources/Y03")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_takes_several_contents_of_one_resource(revision: str) -> None:
    async def main() -> None:
        contents = [{"uri": "file:///d/a", "text": "a"}, {"uri": "file:///d/b", "blob": "AA=="}]
        script = server_of(revision, [], {"contents": contents}, {"contents": []})
        async with serving(script) as target, Client(target, revisions=revision) as client:
            text, blob = (await client.read_resource("file:///d")).contents
            assert isinstance(text, TextResourceContents) and isinstance(blob, BlobResourceContents)
            assert (await client.read_resource("file:///empty")).contents == []

    asyncio.run(main())


@pytest.mark.spec("2025-11-25/tools/S07")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_client_keeps_the_names_and_the_unknown_members_of_tools(revision: str) -> None:
    async def main() -> None:
        listed = [
            tool("echo", **{"com.example/x": {"y": 1}, "annotations": {"readOnlyHint": True, "newHint": 1}}),
            tool("Echo", description=None, inputSchema={"type": "object", "x-mcp-header": 7}),
            tool("with spaces, and more"),
        ]

        async def script(wire: Wire) -> None:
            await accept(wire, revision, CAPABILITIES)
            wire.judge = None
            wire.reply(await wire.hear("tools/list"), complete(wire, {"tools": listed}, True))
            for name in ("Echo", "echo", "with spaces, and more"):
                request = await wire.hear(CALL)
                assert request["params"]["name"] == name
                wire.reply(request, complete(wire, {"content": []}))

        async with serving(script) as target, Client(target, revisions=revision) as client:
            tools = await client.list_tools()
            assert [one.name for one in tools] == ["echo", "Echo", "with spaces, and more"]
            assert tools[0].raw is not None and tools[0].raw["com.example/x"] == {"y": 1}
            for name in ("Echo", "echo", "with spaces, and more"):
                await client.call_tool(name)

    asyncio.run(main())


# -- structured content ------------------------------------------------------------------------------------------------

OUTPUT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
Check = Literal["warn", "strict", "off"]


@pytest.mark.spec("2025-06-18/tools/S08")
@pytest.mark.parametrize(
    ("result", "faults"),
    [
        ({"structuredContent": {"a": 1}}, 0),
        ({"structuredContent": {"a": 1, "b": 2}}, 0),
        ({"structuredContent": {}}, 1),
        ({"structuredContent": {"a": "SECRET"}}, 1),
        ({"structuredContent": [1]}, 1),
        ({"structuredContent": None}, 1),
        ({}, 1),
        ({"structuredContent": {"a": "SECRET"}, "isError": True}, 0),
        ({"isError": True}, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("check", ["warn", "strict", "off"])
@pytest.mark.parametrize("revision", REVISIONS[2:])
def test_a_client_holds_structured_content_to_the_output_schema(
    revision: str, check: Check, result: dict[str, Any], faults: int, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("jsonschema_rs")

    async def main() -> None:
        script = server_of(revision, [tool(outputSchema=OUTPUT)], {"content": [], **result})
        async with serving(script) as target, Client(target, revisions=revision, output_check=check) as client:
            await client.list_tools()
            if check == "strict" and faults:
                with pytest.raises(InvalidResult) as caught:
                    await client.call_tool("tool")
                assert "SECRET" not in str(caught.value)
                return
            got = await client.call_tool("tool")
            assert len(got.schema_errors) == (faults if check == "warn" else 0)
            assert "SECRET" not in str(got.schema_errors)
            assert got.raw is not None and got.raw.get("structuredContent", ...) == result.get("structuredContent", ...)

    asyncio.run(main())
    assert "SECRET" not in caplog.text


@pytest.mark.spec("2026-07-28/tools/Y07")
@pytest.mark.parametrize("value", [{"a": 1}, [1], "text", "", 7, 0, 1.5, True, False, None], ids=str)
@pytest.mark.parametrize("revision", REVISIONS[2:])
def test_a_client_takes_any_json_value_as_structured_content(revision: str, value: Any) -> None:
    async def main() -> None:
        script = server_of(revision, [tool()], {"content": [], "structuredContent": value}, {"content": []})
        async with serving(script) as target, Client(target, revisions=revision) as client:
            result = await client.call_tool("tool")
            assert result.structured_content == value and result.data == value
            absent = await client.call_tool("tool")
            assert absent.structured_content is not None and absent.raw is not None
            assert "structuredContent" not in absent.raw

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/tools/S22")
@pytest.mark.parametrize("check", ["warn", "strict"])
def test_a_reference_that_leads_out_of_an_output_schema_is_never_followed(check: Check) -> None:
    pytest.importorskip("jsonschema_rs")

    async def main() -> None:
        visitors: list[Any] = []
        canary = await asyncio.start_server(lambda reader, writer: visitors.append(writer), "127.0.0.1", 0)
        port = canary.sockets[0].getsockname()[1]
        outside = {"type": "object", "properties": {"a": {"$ref": f"http://127.0.0.1:{port}/schema.json"}}}
        inside = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}}
        tools = [
            tool("outside", outputSchema=outside, inputSchema=outside),
            tool("file", outputSchema={"type": "object", "$ref": "file:///etc/passwd"}),
            tool("inside", outputSchema=inside),
        ]
        results = [{"content": [], "structuredContent": {"a": value}} for value in (1, 1, 1, "x")]
        async with (
            serving(server_of(MODERN, tools, *results)) as target,
            Client(target, revisions=MODERN, output_check=check) as client,
        ):
            await client.list_tools()
            for name in ("outside", "file"):
                if check == "strict":
                    with pytest.raises(InvalidResult, match="cannot be used"):
                        await client.call_tool(name)
                else:
                    assert (await client.call_tool(name)).data == {"a": 1}
            assert (await client.call_tool("inside")).schema_errors == []
            if check == "strict":
                with pytest.raises(InvalidResult, match="does not fit"):
                    await client.call_tool("inside")
            else:
                assert len((await client.call_tool("inside")).schema_errors) == 1
        canary.close()
        await canary.wait_closed()
        assert visitors == []

    asyncio.run(main())


# -- limits and errors -------------------------------------------------------------------------------------------------


@pytest.mark.spec("2024-11-05/tools/S09")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_tool_call_has_a_limit_of_time_and_the_server_is_told_when_it_ends(revision: str) -> None:
    async def main() -> None:
        async def script(wire: Wire) -> None:
            await accept(wire, revision, CAPABILITIES)
            late = await wire.hear(CALL)
            cancelled = await wire.hear("notifications/cancelled")
            assert cancelled["params"]["requestId"] == late["id"]
            wire.reply(late, complete(wire, {"content": [{"type": "text", "text": "too late"}]}))
            request = await wire.hear(CALL)
            wire.reply(request, complete(wire, {"content": [{"type": "text", "text": "in time"}]}))

        async with serving(script) as target, Client(target, revisions=revision) as client:
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("tool", timeout=0.02)
            assert caught.value.limit == "total" and caught.value.seconds >= 0.02
            assert (await client.call_tool("tool", timeout=PATIENCE)).text == "in time"

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/tools/S09")
def test_a_client_has_limits_of_time_without_being_given_any() -> None:
    client = Client(["true"])
    timeouts = client._link.timeouts
    assert all(isinstance(limit, int | float) for limit in (timeouts.connect, timeouts.idle, timeouts.total))


@pytest.mark.spec("2026-07-28/basic/S02")
@pytest.mark.parametrize("code", [-32002, -32602])
@pytest.mark.parametrize("revision", [LEGACY[0], LEGACY[-1], MODERN])
def test_a_missing_resource_is_an_error_of_either_code_and_the_client_stays_usable(revision: str, code: int) -> None:
    async def main() -> None:
        missing = RpcError(code, "Resource not found", {"uri": "docs://missing"})
        found = {"contents": [{"uri": "docs://a", "text": "a"}]}
        async with (
            serving(server_of(revision, [], missing, found)) as target,
            Client(target, revisions=revision) as client,
        ):
            with pytest.raises(RpcError) as caught:
                await client.read_resource("docs://missing")
            assert (caught.value.code, caught.value.data) == (code, {"uri": "docs://missing"})
            assert len((await client.read_resource("docs://a")).contents) == 1

    asyncio.run(main())


@pytest.mark.spec("2024-11-05/schema/S06", "2024-11-05/schema/S07")
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_failed_tool_is_a_result_and_a_refused_call_an_exception(revision: str) -> None:
    async def main() -> None:
        failed = {"content": [{"type": "text", "text": "no such city"}], "isError": True}
        unknown = RpcError(-32602, "Unknown tool: tool")
        async with (
            serving(server_of(revision, [], failed, unknown)) as target,
            Client(target, revisions=revision) as client,
        ):
            result = await client.call_tool("tool", {"city": "Atlantis"})
            assert (result.is_error, result.text) == (True, "no such city")
            with pytest.raises(RpcError, match="Unknown tool"):
                await client.call_tool("tool")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("tool", {}),
        ("tool", {"content": "text"}),
        ("tool", {"content": [{"type": "text"}]}),
        ("tool", {"content": [{"text": "no type"}]}),
        ("tool", {"content": [{"type": "resource", "resource": {"uri": "x:y"}}]}),
        ("resource", {}),
        ("resource", {"contents": [{"text": "no uri"}]}),
        ("resource", {"contents": {"uri": "x:y", "text": "x"}}),
        ("prompt", {}),
        ("prompt", {"messages": [{"role": "user"}]}),
        ("prompt", {"messages": [{"content": {"type": "text", "text": "x"}}]}),
    ],
    ids=str,
)
@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
def test_a_result_of_the_wrong_shape_is_one_typed_error_for_that_call(
    revision: str, method: str, result: dict[str, Any]
) -> None:
    async def main() -> None:
        good = {"content": [{"type": "text", "text": "fine"}]}
        async with (
            serving(server_of(revision, [], result, good)) as target,
            Client(target, revisions=revision) as client,
        ):
            with pytest.raises(InvalidResult):
                if method == "tool":
                    await client.call_tool("tool")
                elif method == "resource":
                    await client.read_resource("x:y")
                else:
                    await client.get_prompt("prompt")
            assert (await client.call_tool("tool")).text == "fine"

    asyncio.run(main())
