"""Our client, by its typed API, against the reference server ``@modelcontextprotocol/server-everything`` over stdio.

Facts, read in 2026.8.31 and seen on the wire: it is built on the TypeScript SDK 1.32, so it grants the four legacy
revisions and knows no modern era. It registers some tools only when the client declared sampling, elicitation or
roots, right after ``notifications/initialized``, and announces that; 350 ms later it asks for the roots, related to
no request of ours. Its long operation counts progress from 1. Its subscriptions and simulated logs fire once at once,
then every five seconds.
"""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpcore import Client, PromptRef, RpcError, TemplateRef
from mcpcore.types import (
    BlobResourceContents,
    CreateMessageParams,
    ElicitParams,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    Progress,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from tests.interop import launch, peers
from tests.interop.cases import SERVER_CASES, ServerCase
from tests.interop.clients.battery import answer_form

CASES = [case for case in SERVER_CASES if case.peer == "server-everything"]
CONDITIONAL = {"get-roots-list", "trigger-sampling-request", "trigger-elicitation-request"}
ROOT = "file:///test/root"
WATCHED = "demo://resource/dynamic/text/1"
SECONDS = 60.0

Visit = Callable[["Visitor"], Awaitable[Any]]


class Visitor:
    """Our client at that server, with everything the server may ask for answered and noted."""

    def __init__(self, case: ServerCase, tag: str) -> None:
        self.asked: list[str] = []
        self.roots_asked = asyncio.Event()
        self.client = Client(
            launch.server_command(case.peer),
            revisions=case.pinned,
            timeout=20,
            sampling=self.on_sampling,
            elicitation=self.on_elicitation,
            roots=self.on_roots,
            env={launch.TAG: tag},
        )

    def on_sampling(self, params: CreateMessageParams) -> str:
        self.asked.append(f"sampling: {params.messages[0].blocks[0]}")
        return "a sampled text"

    def on_elicitation(self, params: ElicitParams) -> ElicitResult:
        self.asked.append(f"elicitation: {params.mode}")
        return ElicitResult(**answer_form(params.message, params.requested_schema or {}))

    def on_roots(self) -> list[str]:
        self.asked.append("roots")
        self.roots_asked.set()
        return [ROOT]


def visit(case: ServerCase, action: Visit) -> Any:
    """Connects, acts, closes; the server must be gone afterwards."""
    tag = uuid.uuid4().hex

    async def go() -> Any:
        visitor = Visitor(case, tag)
        async with asyncio.timeout(SECONDS), visitor.client:
            return await action(visitor)

    try:
        return asyncio.run(go())
    finally:
        left = launch.leftovers(tag, patience=launch.DYING_SECONDS)
        launch.kill(left)
        assert not left


@pytest.fixture(scope="module", params=CASES, ids=str)
def at(request: pytest.FixtureRequest) -> Callable[[Visit], Any]:
    try:
        peers.install("server-everything")
    except peers.InstallFailed as failure:
        reason = str(failure)
    else:
        return functools.partial(visit, request.param)
    pytest.fail(reason, pytrace=False)


def calling(name: str, arguments: dict[str, Any] | None = None) -> Visit:
    return lambda visitor: visitor.client.call_tool(name, arguments)


def test_the_revision_is_the_pinned_or_the_newest_it_knows(request: pytest.FixtureRequest, at: Any) -> None:
    async def look(visitor: Visitor) -> tuple[str, str]:
        assert visitor.client.server_info is not None
        return str(visitor.client.revision), visitor.client.server_info.name

    case: ServerCase = request.node.callspec.params["at"]
    assert at(look) == (case.speaks, "mcp-servers/everything")


def test_echo_and_sum(at: Any) -> None:
    assert at(calling("echo", {"message": "höi"})).text == "Echo: höi"
    assert "5" in at(calling("get-sum", {"a": 2, "b": 3})).text


def test_an_image_between_texts(at: Any) -> None:
    content = at(calling("get-tiny-image")).content
    assert [type(block) for block in content] == [TextContent, ImageContent, TextContent]


def test_annotations_are_kept(at: Any) -> None:
    [block] = at(calling("get-annotated-message", {"messageType": "error"})).content
    assert block.annotations.priority == 1
    assert sorted(block.annotations.audience) == ["assistant", "user"]


def test_links_and_embedded_resources(at: Any) -> None:
    links = at(calling("get-resource-links", {"count": 2})).content
    assert [type(block) for block in links] == [TextContent, ResourceLink, ResourceLink]
    reference = at(calling("get-resource-reference", {"resourceType": "Blob", "resourceId": 1})).content
    [resource] = [block for block in reference if isinstance(block, EmbeddedResource)]
    assert isinstance(resource.resource, BlobResourceContents)


def test_structured_content_fits_its_schema(at: Any) -> None:
    async def structured(visitor: Visitor) -> Any:
        await visitor.client.list_tools()
        return await visitor.client.call_tool("get-structured-content", {"location": "Chicago"})

    result = at(structured)
    assert result.structured_content.keys() == {"temperature", "conditions", "humidity"}
    assert result.schema_errors == []


def test_progress_of_a_long_operation(at: Any) -> None:
    seen: list[Progress] = []

    async def operate(visitor: Visitor) -> int:
        arguments = {"duration": 0.3, "steps": 3}
        await visitor.client.call_tool("trigger-long-running-operation", arguments, progress=seen.append)
        return len(seen)

    assert at(operate) == 3
    assert [(step.progress, step.total) for step in seen] == [(1, 3), (2, 3), (3, 3)]


def test_sampling_is_answered(at: Any) -> None:
    async def sample(visitor: Visitor) -> tuple[str, list[str]]:
        result = await visitor.client.call_tool("trigger-sampling-request", {"prompt": "Hello", "maxTokens": 10})
        return result.text, visitor.asked

    text, asked = at(sample)
    assert "a sampled text" in text
    assert any("Hello" in question for question in asked)


def test_elicitation_is_answered(at: Any) -> None:
    async def elicit(visitor: Visitor) -> tuple[str, list[str]]:
        return (await visitor.client.call_tool("trigger-elicitation-request")).text, visitor.asked

    text, asked = at(elicit)
    assert "User provided the requested information" in text
    assert "elicitation: form" in asked


def test_the_roots_are_asked_for_unrelated_to_any_request(at: Any) -> None:
    async def wait(visitor: Visitor) -> str:
        await visitor.roots_asked.wait()
        return (await visitor.client.call_tool("get-roots-list")).text

    assert ROOT in at(wait)


def test_the_tools_that_need_capabilities_are_there(at: Any) -> None:
    async def names(visitor: Visitor) -> set[str]:
        await visitor.client.call_tool("echo", {"message": "after initialized"})
        return {tool.name for tool in await visitor.client.list_tools()}

    assert at(names) >= CONDITIONAL


def test_prompts_and_their_completion(at: Any) -> None:
    async def prompts(visitor: Visitor) -> tuple[set[str], str, list[str], list[str]]:
        client = visitor.client
        names = {prompt.name for prompt in await client.list_prompts()}
        filled = await client.get_prompt("args-prompt", {"city": "Oslo"})
        reference = PromptRef("completable-prompt")
        departments = await client.complete(reference, "department", "E")
        people = await client.complete(reference, "name", "", context={"department": departments.values[0]})
        assert isinstance(filled.messages[0].content, TextContent)
        return names, filled.messages[0].content.text, departments.values, people.values

    names, text, departments, people = at(prompts)
    assert names == {"simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"}
    assert "Oslo" in text
    assert departments == ["Engineering"]
    assert people


def test_resources_templates_and_contents(at: Any) -> None:
    async def read(visitor: Visitor) -> tuple[set[str], Any, Any, list[str]]:
        client = visitor.client
        templates = {template.uri_template for template in await client.list_resource_templates()}
        [text] = (await client.read_resource("demo://resource/dynamic/text/7")).contents
        [blob] = (await client.read_resource("demo://resource/dynamic/blob/7")).contents
        ids = await client.complete(TemplateRef("demo://resource/dynamic/text/{resourceId}"), "resourceId", "3")
        return templates, text, blob, ids.values

    templates, text, blob, ids = at(read)
    assert templates == {"demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"}
    assert isinstance(text, TextResourceContents) and "Resource 7" in text.text
    assert isinstance(blob, BlobResourceContents)
    assert ids == ["3"]


def test_updates_reach_the_subscriber(at: Any) -> None:
    async def subscribe(visitor: Visitor) -> str:
        async with visitor.client.listen(uris=[WATCHED]) as events:
            await visitor.client.call_tool("toggle-subscriber-updates")
            async for event in events:
                return str(event.uri)
        raise AssertionError("the stream ended")

    assert at(subscribe) == WATCHED


@pytest.mark.parametrize("name", ["no-such-tool", "get-sum"])
def test_a_refused_call_is_told(at: Any, name: str) -> None:
    assert at(calling(name, {"a": "two"})).is_error


def test_an_unknown_resource_is_an_error(at: Any) -> None:
    async def read(visitor: Visitor) -> int:
        with pytest.raises(RpcError) as refused:
            await visitor.client.read_resource("demo://no/such/thing")
        return refused.value.code

    assert at(read) in (-32602, -32002)
