"""The server of FastMCP 4.1, by its ``FastMCP`` class: the official fixture as far as that API reaches.

Facts, read in 4.1.2 and seen on the wire: the eras over stdio are those of ``mcp`` 2.3 underneath (the first request
decides, all four legacy revisions are granted). ``ctx.elicit`` works in the legacy era only; in the modern one a tool
returns an ``InputRequiredResult`` and reads ``ctx.input_responses`` when it is run again. Sampling and roots have no
method on ``Context``; they are asked through the session below in the legacy era. ``subscriptions/listen`` is
answered with -32601, so no change is announced in the modern era, and ``resources/subscribe`` does not exist in
either.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.utilities.types import Audio, Image
from mcp import types
from pydantic import BaseModel

from tests.interop.servers import fixture

server: FastMCP = FastMCP("interop-fastmcp-4.1", version="4.1", instructions="A peer for interoperability tests.")
PNG = base64.b64decode(fixture.PNG)
USER_SCHEMA = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}


def is_modern(ctx: Context) -> bool:
    return ctx.session.protocol_version >= "2026-07-28"


def embedded(resource: dict[str, str]) -> types.EmbeddedResource:
    return types.EmbeddedResource(type="resource", resource=types.TextResourceContents(**resource))


def form(message: str, schema: dict[str, Any]) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


@server.tool(description="Plain text.")
def test_simple_text() -> str:
    return fixture.SIMPLE_TEXT


@server.tool(description="An image.")
def test_image_content() -> Image:
    return Image(data=PNG, format="png")


@server.tool(description="A sound.")
def test_audio_content() -> Audio:
    return Audio(data=base64.b64decode(fixture.WAV), format="wav")


@server.tool(description="A resource.", output_schema=None)
def test_embedded_resource() -> Any:
    return embedded(fixture.EMBEDDED)


@server.tool(description="All kinds.", output_schema=None)
def test_multiple_content_types() -> Any:
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
    username: str
    email: str


@server.tool(description="Asks the user.", output_schema=None)
async def test_elicitation(message: str, ctx: Context) -> Any:
    if is_modern(ctx):
        answer = (ctx.input_responses or {}).get("user")
        if answer is None:
            return types.InputRequiredResult(input_requests={"user": form(message, USER_SCHEMA)})
        return f"User response: action={answer.action}, content={json.dumps(answer.content)}"
    result = await ctx.elicit(message, User)
    content = result.data.model_dump_json() if result.action == "accept" else "null"
    return f"User response: action={result.action}, content={content}"


@server.tool(description="Asks the client's model.", output_schema=None)
async def test_sampling(prompt: str, ctx: Context) -> Any:
    content = types.TextContent(type="text", text=prompt)
    messages = [types.SamplingMessage(role="user", content=content)]
    if not is_modern(ctx):
        answer: Any = await ctx.session.create_message(messages, max_tokens=100, related_request_id=ctx.request_id)
        return f"LLM response: {answer.content.text}"
    answer = (ctx.input_responses or {}).get("model")
    if answer is None:
        params = types.CreateMessageRequestParams(messages=messages, max_tokens=100)
        return types.InputRequiredResult(input_requests={"model": types.CreateMessageRequest(params=params)})
    return f"LLM response: {answer.content.text}"


@server.tool(description="Asks for the client's roots.", output_schema=None)
async def test_input_required_result_list_roots(ctx: Context) -> Any:
    if not is_modern(ctx):
        answer: Any = await ctx.session.list_roots()
    else:
        answer = (ctx.input_responses or {}).get("roots")
        if answer is None:
            return types.InputRequiredResult(input_requests={"roots": types.ListRootsRequest()})
    return ",".join(str(root.uri) for root in answer.roots)


@server.tool(description="Repeats a text.", output_schema=None)
def test_echo(text: str, repeat: int = 1) -> str:
    return text * repeat


@server.tool(description="Works for a while.", output_schema=None)
async def test_slow(ms: int, tag: str) -> str:
    return await fixture.work(ms, tag)


@server.tool(description="Counts the steps of test_slow.", output_schema=None)
def test_counter(tag: str) -> str:
    return str(fixture.steps[tag])


@server.tool(description="Adds.", output_schema=None)
def test_add(a: int, b: int) -> str:
    return str(a + b)


class Weather(BaseModel):
    temperature: float
    conditions: str


@server.tool(description="Structured output.")
def test_structured_output() -> Weather:
    return Weather(temperature=21.5, conditions="sunny")


@server.tool(description="Changes the list of tools.", output_schema=None)
async def test_trigger_tool_change(ctx: Context) -> str:
    await ctx.send_notification(types.ToolListChangedNotification())
    return "changed"


@server.tool(description="Changes the list of prompts.", output_schema=None)
async def test_trigger_prompt_change(ctx: Context) -> str:
    await ctx.send_notification(types.PromptListChangedNotification())
    return "changed"


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
def test_prompt_with_image() -> list[Message]:
    image = types.ImageContent(type="image", data=fixture.PNG, mime_type="image/png")
    return [Message(image), Message("Please analyze the image above.")]


@server.completion
async def complete(ref: Any, argument: Any, context: Any) -> Any:
    if argument.name != "arg1":
        return None
    values = fixture.starting_with(argument.value)
    return types.Completion(values=values, total=len(values), has_more=False)


if __name__ == "__main__":
    kind, port = fixture.transport()
    if kind == "stdio":
        server.run("stdio", show_banner=False)
    else:
        server.run(kind, port=port, show_banner=False)
