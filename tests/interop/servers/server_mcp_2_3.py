"""The server of ``mcp`` 2.3, by its high-level ``MCPServer``: the official fixture as far as that API reaches.

Facts, read in 2.3.0 and seen on the wire: over stdio the first request decides the era for the whole connection; the
legacy side grants each of the four legacy revisions that a client asks for. ``ctx.elicit`` works in the legacy era
only; a tool parameter ``Annotated[..., Resolve(...)]`` asks in both. A returned ``InputRequiredResult`` works in the
modern era only (-32603 before). The high-level API declares neither ``logging`` nor ``resources.subscribe`` for
legacy connections, yet it sends log messages there unasked. ``ctx.notify_*`` reaches listen streams,
``ctx.session.send_*`` legacy sessions. Over Streamable HTTP the header of each request decides the era, and a legacy
client gets a session.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any

from mcp import types
from mcp.server.mcpserver import (
    Audio,
    Context,
    Elicit,
    ElicitationResult,
    Image,
    ListRoots,
    MCPServer,
    Resolve,
    Sample,
    UserMessage,
)
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from tests.interop.servers import fixture

server = MCPServer("interop-mcp-2.3", version="2.3", instructions="A peer for interoperability tests.")
PNG = base64.b64decode(fixture.PNG)


def is_modern(ctx: Context) -> bool:
    return (ctx.protocol_version or "") >= "2026-07-28"


def embedded(resource: dict[str, str]) -> types.EmbeddedResource:
    return types.EmbeddedResource(type="resource", resource=types.TextResourceContents(**resource))


@server.tool(description="Plain text.")
def test_simple_text() -> str:
    return fixture.SIMPLE_TEXT


@server.tool(description="An image.")
def test_image_content() -> Image:
    return Image(data=PNG, format="png")


@server.tool(description="A sound.")
def test_audio_content() -> Audio:
    return Audio(data=base64.b64decode(fixture.WAV), format="wav")


@server.tool(description="A resource.", structured_output=False)
def test_embedded_resource() -> types.EmbeddedResource:
    return embedded(fixture.EMBEDDED)


@server.tool(description="All kinds.", structured_output=False)
def test_multiple_content_types() -> list[Any]:
    return ["Multiple content types test:", Image(data=PNG, format="png"), embedded(fixture.MIXED)]


@server.tool(description="Fails.")
def test_error_handling() -> str:
    raise ToolError(fixture.ERROR_TEXT)


@server.tool(description="Reports progress.")
async def test_tool_with_progress(ctx: Context) -> str:
    for value in (0, 50, 100):
        await ctx.report_progress(value, 100)
        await asyncio.sleep(0.02)
    return "Tool with progress executed successfully"


@server.tool(description="Logs.")
async def test_tool_with_logging(ctx: Context) -> str:
    for text in fixture.LOGS:
        await ctx.info(text)
    return "Tool with logging executed successfully"


class User(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    verified: bool = True


class Name(BaseModel):
    name: str


def ask_user(message: str) -> Elicit[User]:
    return Elicit(message, User)


def ask_defaults() -> Elicit[Defaults]:
    return Elicit("Please review the defaults.", Defaults)


def ask_model(prompt: str) -> Sample:
    content = types.TextContent(type="text", text=prompt)
    return Sample([types.SamplingMessage(role="user", content=content)], max_tokens=100)


def ask_roots() -> ListRoots:
    return ListRoots()


def answered(result: Any) -> str:
    data = getattr(result, "data", None)
    content = data.model_dump_json() if data is not None else "null"
    return f"User response: action={result.action}, content={content}"


@server.tool(description="Asks the user.")
async def test_elicitation(message: str, user: Annotated[ElicitationResult[User], Resolve(ask_user)]) -> str:
    return answered(user)


@server.tool(description="Asks the user, with defaults.")
async def test_elicitation_sep1034_defaults(
    answer: Annotated[ElicitationResult[Defaults], Resolve(ask_defaults)],
) -> str:
    return answered(answer)


@server.tool(description="Asks the client's model.")
async def test_sampling(prompt: str, answer: Annotated[types.CreateMessageResult, Resolve(ask_model)]) -> str:
    return f"LLM response: {answer.content.text}"


@server.tool(description="Asks for the client's roots.")
async def test_input_required_result_list_roots(roots: Annotated[types.ListRootsResult, Resolve(ask_roots)]) -> str:
    return ",".join(str(root.uri) for root in roots.roots)


@server.tool(description="Asks by returning the question.")
async def test_input_required_result_elicitation(ctx: Context) -> str | types.InputRequiredResult:
    answer = (ctx.input_responses or {}).get("user_name")
    if isinstance(answer, types.ElicitResult) and answer.content:
        return f"Hello, {answer.content['name']}!"
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    params = types.ElicitRequestFormParams(message="What is your name?", requested_schema=schema)
    return types.InputRequiredResult(input_requests={"user_name": types.ElicitRequest(params=params)})


@server.tool(description="Repeats a text.", structured_output=False)
def test_echo(text: str, repeat: int = 1) -> str:
    return text * repeat


@server.tool(description="Works for a while.", structured_output=False)
async def test_slow(ms: int, tag: str) -> str:
    return await fixture.work(ms, tag)


@server.tool(description="Counts the steps of test_slow.", structured_output=False)
def test_counter(tag: str) -> str:
    return str(fixture.steps[tag])


@server.tool(description="Adds.", structured_output=False)
def test_add(a: int, b: int) -> str:
    return str(a + b)


class Weather(BaseModel):
    temperature: float
    conditions: str


@server.tool(description="Structured output.")
def test_structured_output() -> Weather:
    return Weather(temperature=21.5, conditions="sunny")


@server.tool(description="Changes the list of tools.")
async def test_trigger_tool_change(ctx: Context) -> str:
    await (ctx.notify_tools_changed() if is_modern(ctx) else ctx.session.send_tool_list_changed())
    return "changed"


@server.tool(description="Changes the list of prompts.")
async def test_trigger_prompt_change(ctx: Context) -> str:
    await (ctx.notify_prompts_changed() if is_modern(ctx) else ctx.session.send_prompt_list_changed())
    return "changed"


@server.tool(description="Updates a resource.")
async def test_trigger_resource_update(uri: str, ctx: Context) -> str:
    await (ctx.notify_resource_updated(uri) if is_modern(ctx) else ctx.session.send_resource_updated(uri))
    return "updated"


@server.resource("test://static-text", name="static-text", mime_type="text/plain", description="Text.")
def static_text() -> str:
    return fixture.STATIC_TEXT


@server.resource("test://static-binary", name="static-binary", mime_type="image/png", description="Bytes.")
def static_binary() -> bytes:
    return PNG


@server.resource("test://template/{id}/data", name="template", mime_type="application/json", description="A template.")
def template(id: str) -> str:
    return fixture.template_text(id)


@server.prompt(description="No arguments.")
def test_simple_prompt() -> str:
    return fixture.SIMPLE_PROMPT


@server.prompt(description="Two arguments.")
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt(description="An image.")
def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(Image(data=PNG, format="png")), UserMessage("Please analyze the image above.")]


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> types.Completion | None:
    if argument.name != "arg1":
        return None
    values = fixture.starting_with(argument.value)
    return types.Completion(values=values, total=len(values), has_more=False)


if __name__ == "__main__":
    kind, port = fixture.transport()
    if kind == "stdio":
        server.run("stdio")
    elif kind == "sse":
        server.run("sse", port=port)
    else:
        server.run("streamable-http", port=port)
