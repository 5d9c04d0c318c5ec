"""Our client, by its typed API, against the reference server ``@modelcontextprotocol/server-everything`` over stdio,
Streamable HTTP and HTTP+SSE.

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
from dataclasses import dataclass
from typing import Any

import pytest

from mcpcore import Client, PromptRef, RpcError, TemplateRef
from mcpcore.client import ResourceUpdated
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
from tests.interop import launch, peers, serving
from tests.interop.cases import SERVER_CASES, ServerCase
from tests.interop.clients.battery import answer_form

CASES = [case for case in SERVER_CASES if case.peer == "server-everything"]
CONDITIONAL = {"get-roots-list", "trigger-sampling-request", "trigger-elicitation-request"}
ROOT = "file:///test/root"
WATCHED = "demo://resource/dynamic/text/1"
URL = {"url": "https://example.com/consent", "message": "Please visit."}
SECONDS = 60.0

Action = Callable[["Visitor"], Awaitable[Any]]
ACTIONS: dict[str, Action] = {}


class Visitor:
    """Our client at that server, with everything the server may ask for answered and noted."""

    def __init__(self, case: ServerCase, target: str | list[str], tag: str) -> None:
        self.asked: list[str] = []
        self.roots_asked = asyncio.Event()
        self.client = Client(
            target,
            revisions=case.pinned,
            timeout=20,
            sampling=self.on_sampling,
            elicitation=self.on_elicitation,
            roots=self.on_roots,
            env={launch.TAG: tag} if case.transport == "stdio" else None,
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


def action(function: Action) -> Action:
    ACTIONS[function.__name__] = function
    return function


def calling(name: str, arguments: dict[str, Any] | None = None) -> Action:
    return lambda visitor: visitor.client.call_tool(name, arguments)


ACTIONS |= {
    "echo": calling("echo", {"message": "höi"}),
    "sum": calling("get-sum", {"a": 2, "b": 3}),
    "image": calling("get-tiny-image"),
    "annotated": calling("get-annotated-message", {"messageType": "error"}),
    "links": calling("get-resource-links", {"count": 2}),
    "reference": calling("get-resource-reference", {"resourceType": "Blob", "resourceId": 1}),
    "unknown_tool": calling("no-such-tool"),
    "wrong_argument": calling("get-sum", {"a": "two"}),
    "sampling": calling("trigger-sampling-request", {"prompt": "Hello", "maxTokens": 10}),
    "elicitation": calling("trigger-elicitation-request"),
    "url_elicitation": calling("trigger-url-elicitation", URL | {"elicitationId": "one"}),
    "task_only": calling("simulate-research-query", {"topic": "interoperability"}),
}


@action
async def facts(visitor: Visitor) -> tuple[str, str]:
    assert visitor.client.server_info is not None
    return str(visitor.client.revision), visitor.client.server_info.name


@action
async def tool_names(visitor: Visitor) -> set[str]:
    return {tool.name for tool in await visitor.client.list_tools()}


@action
async def structured(visitor: Visitor) -> Any:
    return await visitor.client.call_tool("get-structured-content", {"location": "Chicago"})


@action
async def progress(visitor: Visitor) -> list[tuple[float, float | None]]:
    seen: list[Progress] = []
    arguments = {"duration": 0.3, "steps": 3}
    await visitor.client.call_tool("trigger-long-running-operation", arguments, progress=seen.append)
    return [(step.progress, step.total) for step in seen]


@action
async def roots(visitor: Visitor) -> str:
    await visitor.roots_asked.wait()
    text: str = (await visitor.client.call_tool("get-roots-list")).text
    return text


@action
async def prompt_names(visitor: Visitor) -> set[str]:
    return {prompt.name for prompt in await visitor.client.list_prompts()}


@action
async def filled_prompt(visitor: Visitor) -> Any:
    return (await visitor.client.get_prompt("args-prompt", {"city": "Oslo"})).messages[0].content


@action
async def completions(visitor: Visitor) -> tuple[list[str], list[str], list[str]]:
    client, prompt = visitor.client, PromptRef("completable-prompt")
    departments = await client.complete(prompt, "department", "E")
    people = await client.complete(prompt, "name", "", context={"department": departments.values[0]})
    template = TemplateRef("demo://resource/dynamic/text/{resourceId}")
    return departments.values, people.values, (await client.complete(template, "resourceId", "3")).values


@action
async def template_uris(visitor: Visitor) -> set[str]:
    return {template.uri_template for template in await visitor.client.list_resource_templates()}


@action
async def contents(visitor: Visitor) -> list[Any]:
    uris = ("demo://resource/dynamic/text/7", "demo://resource/dynamic/blob/7")
    return [(await visitor.client.read_resource(uri)).contents[0] for uri in uris]


@action
async def url_required(visitor: Visitor) -> Any:
    try:
        return await visitor.client.call_tool("trigger-url-elicitation", URL | {"errorPath": True})
    except RpcError as refused:
        return refused


@action
async def unknown_resource(visitor: Visitor) -> int | None:
    try:
        await visitor.client.read_resource("demo://no/such/thing")
    except RpcError as refused:
        code: int = refused.code
        return code
    return None


@action
async def update(visitor: Visitor) -> str:
    async with visitor.client.listen(uris=[WATCHED]) as events:
        await visitor.client.call_tool("toggle-subscriber-updates")
        async for event in events:
            if isinstance(event, ResourceUpdated):
                uri: str = event.uri
                return uri
    raise AssertionError("the stream ended")


@dataclass
class Failed:
    """An action ended with this exception, which no test of it expects."""

    error: Exception


@dataclass
class Visited:
    """What came of each action: its result, or the exception it ended with; and what the server asked."""

    speaks: str
    outcomes: dict[str, Any]
    asked: list[str]

    def __getitem__(self, name: str) -> Any:
        outcome = self.outcomes[name]
        if isinstance(outcome, Failed):
            raise outcome.error
        return outcome

    def needs(self, revision: str) -> None:
        if self.speaks < revision:
            pytest.skip(f"came with {revision}")


def visit(case: ServerCase) -> Visited:
    """Connects, does everything, closes."""
    if case.transport == "stdio":
        return visit_at(case, launch.server_command(case.peer))
    command = functools.partial(launch.server_command, case.peer, case.transport)
    with serving.serving(command) as served:
        return visit_at(case, served.url(serving.PATHS[case.transport]))


def visit_at(case: ServerCase, target: str | list[str]) -> Visited:
    """A server of our own must be gone afterwards."""
    tag = uuid.uuid4().hex

    async def go() -> Visited:
        visitor = Visitor(case, target, tag)
        visited = Visited(case.speaks, {}, visitor.asked)
        async with asyncio.timeout(SECONDS), visitor.client:
            for name, act in ACTIONS.items():
                try:
                    visited.outcomes[name] = await act(visitor)
                except Exception as error:
                    visited.outcomes[name] = Failed(error)
        return visited

    try:
        return asyncio.run(go())
    finally:
        left = launch.leftovers(tag, patience=launch.DYING_SECONDS)
        launch.kill(left)
        assert not left


@pytest.fixture(scope="module", params=CASES, ids=str)
def visited(request: pytest.FixtureRequest) -> Visited:
    try:
        peers.install("server-everything")
    except peers.InstallFailed as failure:
        reason = str(failure)
    else:
        return visit(request.param)
    pytest.fail(reason, pytrace=False)


def test_the_revision_is_the_pinned_or_the_newest_it_knows(visited: Visited) -> None:
    assert visited["facts"] == (visited.speaks, "mcp-servers/everything")


def test_echo_and_sum(visited: Visited) -> None:
    assert visited["echo"].text == "Echo: höi"
    assert "5" in visited["sum"].text


def test_an_image_between_texts(visited: Visited) -> None:
    assert [type(block) for block in visited["image"].content] == [TextContent, ImageContent, TextContent]


def test_annotations_are_kept(visited: Visited) -> None:
    [block] = visited["annotated"].content
    assert block.annotations.priority == 1
    assert sorted(block.annotations.audience) == ["assistant", "user"]


def test_links_and_embedded_resources(visited: Visited) -> None:
    assert [type(block) for block in visited["links"].content] == [TextContent, ResourceLink, ResourceLink]
    [embedded] = [block for block in visited["reference"].content if isinstance(block, EmbeddedResource)]
    assert isinstance(embedded.resource, BlobResourceContents)


def test_structured_content_fits_its_schema(visited: Visited) -> None:
    visited.needs("2025-06-18")
    result = visited["structured"]
    assert result.structured_content.keys() == {"temperature", "conditions", "humidity"}
    assert result.schema_errors == []


def test_progress_of_a_long_operation(visited: Visited) -> None:
    assert visited["progress"] == [(1, 3), (2, 3), (3, 3)]


def test_sampling_is_answered(visited: Visited) -> None:
    assert "a sampled text" in visited["sampling"].text
    assert any("Hello" in question for question in visited.asked)


def test_elicitation_is_answered(visited: Visited) -> None:
    visited.needs("2025-06-18")
    assert "User provided the requested information" in visited["elicitation"].text
    assert "elicitation: form" in visited.asked


def test_a_visit_to_a_url_is_proposed(visited: Visited) -> None:
    visited.needs("2025-11-25")
    assert "User completed the URL elicitation flow" in visited["url_elicitation"].text
    assert "elicitation: url" in visited.asked


def test_a_visit_that_must_come_first_is_told_with_its_url(visited: Visited) -> None:
    visited.needs("2025-11-25")
    refused = visited["url_required"]
    assert refused.code == -32042
    assert [question["mode"] for question in refused.data["elicitations"]] == ["url"]


def test_a_tool_that_only_runs_as_a_task_says_so(visited: Visited) -> None:
    assert visited["task_only"].is_error


def test_the_roots_are_asked_for_unrelated_to_any_request(visited: Visited) -> None:
    assert ROOT in visited["roots"]
    assert "roots" in visited.asked


def test_only_what_the_revision_has_is_declared(visited: Visited) -> None:
    declared = CONDITIONAL if visited.speaks >= "2025-06-18" else CONDITIONAL - {"trigger-elicitation-request"}
    assert visited["tool_names"] & CONDITIONAL == declared


def test_prompts(visited: Visited) -> None:
    assert visited["prompt_names"] == {"simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"}
    assert "Oslo" in visited["filled_prompt"].text


def test_completion_of_prompts_and_templates(visited: Visited) -> None:
    departments, people, ids = visited["completions"]
    assert departments == ["Engineering"]
    assert bool(people) == (visited.speaks >= "2025-06-18")  # before, the arguments already there are not told
    assert ids == ["3"]


def test_resources_of_templates(visited: Visited) -> None:
    text, blob = visited["contents"]
    names = {"demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"}
    assert visited["template_uris"] == names
    assert isinstance(text, TextResourceContents) and "Resource 7" in text.text
    assert isinstance(blob, BlobResourceContents)


def test_updates_reach_the_subscriber(visited: Visited) -> None:
    assert visited["update"] == WATCHED


@pytest.mark.parametrize("name", ["unknown_tool", "wrong_argument"])
def test_a_refused_call_is_told(visited: Visited, name: str) -> None:
    assert visited[name].is_error


def test_an_unknown_resource_is_an_error(visited: Visited) -> None:
    assert visited["unknown_resource"] in (-32602, -32002)
