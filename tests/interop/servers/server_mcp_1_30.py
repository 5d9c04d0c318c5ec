"""The server of ``mcp`` 1.30, by its high-level ``FastMCP`` class: the official fixture as far as that API reaches.

Facts, read in 1.30.0 and seen on the wire: ``initialize`` grants each of the four legacy revisions that a client asks
for, anything else gets 2025-11-25; there is no modern era, and ``server/discover`` before ``initialize`` is answered
with -32602. ``resources/subscribe`` and ``logging/setLevel`` need handlers on the low-level server inside;
capabilities for them are then declared (``logging``) or not (``resources.subscribe`` stays false), and
``tools.listChanged`` is false although ``send_tool_list_changed`` works. It sends log messages whether or not a level
was set.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from mcp import types
from mcp.server.fastmcp import Audio, Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.fastmcp.prompts.base import UserMessage
from pydantic import AnyUrl, BaseModel, Field

from tests.interop.servers import fixture

server = FastMCP("interop-mcp-1.30", instructions="A peer for interoperability tests.")
PNG = base64.b64decode(fixture.PNG)
subscribed: set[str] = set()


def embedded(resource: dict[str, str]) -> types.EmbeddedResource:
    contents = types.TextResourceContents(
        uri=AnyUrl(resource["uri"]), mimeType=resource["mime_type"], text=resource["text"]
    )
    return types.EmbeddedResource(type="resource", resource=contents)


@server._mcp_server.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    subscribed.add(str(uri))


@server._mcp_server.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    subscribed.discard(str(uri))


@server._mcp_server.set_logging_level()
async def set_level(level: types.LoggingLevel) -> None:
    """Noted by the SDK only in that the capability is declared; messages of all levels are sent."""


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


def answered(result: Any) -> str:
    data = getattr(result, "data", None)
    content = data.model_dump_json() if data is not None else "null"
    return f"User response: action={result.action}, content={content}"


@server.tool(description="Asks the user.")
async def test_elicitation(message: str, ctx: Context) -> str:
    return answered(await ctx.elicit(message, User))


@server.tool(description="Asks the user, with defaults.")
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return answered(await ctx.elicit("Please review the defaults.", Defaults))


@server.tool(description="Asks the client's model.")
async def test_sampling(prompt: str, ctx: Context) -> str:
    content = types.TextContent(type="text", text=prompt)
    message = types.SamplingMessage(role="user", content=content)
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {answer.content.text}"


@server.tool(description="Asks for the client's roots.")
async def test_input_required_result_list_roots(ctx: Context) -> str:
    return ",".join(str(root.uri) for root in (await ctx.session.list_roots()).roots)


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
    await ctx.session.send_tool_list_changed()
    return "changed"


@server.tool(description="Changes the list of prompts.")
async def test_trigger_prompt_change(ctx: Context) -> str:
    await ctx.session.send_prompt_list_changed()
    return "changed"


@server.tool(description="Updates a resource.")
async def test_trigger_resource_update(uri: str, ctx: Context) -> str:
    if uri in subscribed:
        await ctx.session.send_resource_updated(AnyUrl(uri))
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
    image = types.ImageContent(type="image", data=fixture.PNG, mimeType="image/png")
    return [UserMessage(image), UserMessage("Please analyze the image above.")]


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> types.Completion | None:
    if argument.name != "arg1":
        return None
    values = fixture.starting_with(argument.value)
    return types.Completion(values=values, total=len(values), hasMore=False)


if __name__ == "__main__":
    kind, server.settings.port = fixture.transport()
    server.run({"stdio": "stdio", "sse": "sse"}.get(kind, "streamable-http"))
