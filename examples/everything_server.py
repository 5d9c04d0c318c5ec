"""The everything server: whatever a conformance suite asks of a server under test, in one server object for both eras.

    python examples/everything_server.py [--transport http --port 8000] [--revisions 2025-11-25,2026-07-28]

The names, texts and behaviours are a contract: the fixture of the official conformance suite, and what deeper checks of
concurrency, cancellation, paging and structured output count on. It is a fixture, not a model: for a server that people
would run, read ``docs_server.py``. Tasks are not part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from mcpcore import (
    Audio,
    Completion,
    Context,
    Elicit,
    ElicitResult,
    EmbeddedResource,
    Header,
    Image,
    InputRequired,
    InvalidResult,
    ListRoots,
    PromptMessage,
    Sample,
    Server,
    TextContent,
    TextResourceContents,
    ToolError,
    UsageError,
)
from mcpcore.types import LEVELS

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)
WAV = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=")
WATCHED = "test://watched-resource"
UPDATE_SECONDS = 3.0
LONGEST_ECHO = 8 * 1024 * 1024

Handler = Callable[..., Any]


# --- tools that just answer -------------------------------------------------------------------------------------------


async def test_simple_text() -> str:
    """Returns a text."""
    return "This is a simple text response for testing."


async def test_image_content() -> Image:
    """Returns an image."""
    return Image(PNG, format="png")


async def test_audio_content() -> Audio:
    """Returns a sound."""
    return Audio(WAV, format="wav")


async def test_embedded_resource() -> EmbeddedResource:
    """Returns a resource with its contents."""
    text = "This is an embedded resource content."
    return EmbeddedResource(TextResourceContents("test://embedded-resource", text, "text/plain"))


async def test_multiple_content_types() -> list[str | Image | EmbeddedResource]:
    """Returns a text, an image and a resource."""
    data = '{"test":"data","value":123}'
    resource = EmbeddedResource(TextResourceContents("test://mixed-content-resource", data, "application/json"))
    return ["Multiple content types test:", Image(PNG, format="png"), resource]


async def test_error_handling() -> str:
    """Fails."""
    raise ToolError("This tool intentionally returns an error for testing")


async def test_echo(text: str, repeat: Annotated[int, Meta(ge=1)] = 1) -> str:
    """Returns the text, `repeat` times in a row."""
    if len(text) * repeat > LONGEST_ECHO:
        raise ToolError(f"an echo has at most {LONGEST_ECHO} characters")
    return text * repeat


async def test_add(a: int, b: int) -> str:
    """Adds two integers."""
    return str(a + b)


@dataclass
class Weather:
    temperature: float
    conditions: str


async def test_structured_output() -> Weather:
    """Returns structured content with an output schema."""
    return Weather(22.5, "Partly cloudy")


async def test_x_mcp_header(
    region: Annotated[str, Header("Region")] = "", count: Annotated[int, Header("Count")] = 0, note: str = ""
) -> str:
    """Has two parameters that travel as HTTP headers too."""
    return f"region={region} count={count} note={note}"


async def json_schema_2020_12_tool(arguments: dict[str, Any]) -> str:
    """Has a handwritten input schema with many keywords of JSON Schema 2020-12."""
    return f"JSON Schema 2020-12 tool called with: {json.dumps(arguments)}"


SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

ANSWERING: list[Handler] = [
    test_simple_text,  # first: suites call the first tool of the list without arguments
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_echo,
    test_add,
    test_structured_output,
    test_x_mcp_header,
]


# --- tools that take their time and tell of it ------------------------------------------------------------------------

_steps: OrderedDict[str, int] = OrderedDict()
"""Steps done under each tag; the thousand newest tags."""


async def test_slow(ms: Annotated[int, Meta(ge=0, le=600_000)], tag: str) -> str:
    """Works for some milliseconds, in steps of 20 that it counts under the tag. Stops when it is cancelled."""
    for _ in range(ms // 20):
        await asyncio.sleep(0.02)
        _steps[tag] = _steps.get(tag, 0) + 1
        if len(_steps) > 1000:
            _steps.popitem(last=False)
    return f"done:{tag}"


async def test_counter(tag: str) -> str:
    """Tells how many steps were done under a tag."""
    return str(_steps.get(tag, 0))


async def test_tool_with_progress(ctx: Context) -> str:
    """Reports progress three times."""
    for done in (0, 50, 100):
        await ctx.progress(done, 100)
        await asyncio.sleep(0.05)
    return "Tool with progress executed successfully"


async def test_tool_with_logging(ctx: Context) -> str:
    """Logs three messages at the level info."""
    await ctx.info("Tool execution started")
    await asyncio.sleep(0.05)
    await ctx.info("Tool processing data")
    await asyncio.sleep(0.05)
    await ctx.info("Tool execution completed")
    return "Tool with logging executed successfully"


async def test_logging_tool(ctx: Context) -> str:
    """Logs at the level info, for this request only."""
    await ctx.info("A message about this request")
    return "Logged"


async def test_log_levels(ctx: Context) -> str:
    """Logs one message at each level."""
    for level in LEVELS:
        await ctx.log(level, f"A message at the level {level}")
    return f"Logged at {len(LEVELS)} levels"


async def test_reconnection(ctx: Context) -> str:
    """Answers after a while, and over HTTP lets its client hang up until then: the answer waits for it."""
    await ctx.info("Reconnection test started")
    await ctx.close_stream(retry=0.1)
    await asyncio.sleep(0.2)
    return "Reconnection test completed"


async def test_trigger_resource_update(uri: str, ctx: Context) -> str:
    """Tells the subscribers of a resource that it changed."""
    ctx.notify_resource_updated(uri)
    return f"Updated {uri}"


TELLING: list[Handler] = [
    test_slow,
    test_counter,
    test_tool_with_progress,
    test_tool_with_logging,
    test_logging_tool,
    test_log_levels,
    test_reconnection,
    test_trigger_resource_update,
]


# --- tools that ask ---------------------------------------------------------------------------------------------------


def form(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """A requested schema."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": list(required)} if required else schema


STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    answer = await ctx.sample(prompt, max_tokens=100)
    return f"LLM response: {answer.text}"


async def answered(ctx: Context, message: str, schema: dict[str, Any]) -> str:
    """What the user said, in words: an answer that is none to the form is an answer too."""
    try:
        answer = await ctx.elicit(message, schema)
    except InvalidResult as error:
        return f"an answer that does not fit: {error}"
    return f"action={answer.action}, content={json.dumps(answer.content or {})}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the user for a name and an address."""
    return f"User response: {await answered(ctx, message, form('username', 'email', username=STRING, email=STRING))}"


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks the user, with a default for every kind of field."""
    schema = form(
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    )
    return f"Elicitation completed: {await answered(ctx, 'Please review these values', schema)}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks the user, with a choice of every kind."""
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
    schema = form(
        untitledSingle={"type": "string", "enum": options},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum={"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option one", "Option two"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": options}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    return f"Elicitation completed: {await answered(ctx, 'Please choose', schema)}"


async def test_missing_capability(ctx: Context) -> str:
    """Cannot do without a client that lets it ask a model."""
    answer = await ctx.sample("Are you there?", max_tokens=10)
    return f"The model says: {answer.text}"


async def test_streaming_elicitation(ctx: Context) -> str:
    """Asks the user for a word in the middle of its work."""
    await ctx.info("About to ask")
    answer = await ctx.elicit("Which word?", form("word", word=STRING), key="word")
    return f"The word: {(answer.content or {}).get('word', 'none')}"


async def test_input_required_result_elicitation(ctx: Context) -> str:
    """Asks for a name and greets."""
    answer = await ctx.elicit("What is your name?", form("name", name=STRING), key="user_name")
    return f"Hello, {name_in(answer)}!"


async def test_input_required_result_sampling(ctx: Context) -> str:
    """Asks the client's model for a capital."""
    answer = await ctx.sample("What is the capital of France?", max_tokens=100, key="capital_question")
    return f"The model says: {answer.text}"


async def test_input_required_result_list_roots(ctx: Context) -> str:
    """Asks for the client's roots."""
    return f"Roots: {', '.join(root.uri for root in await ctx.roots(key='client_roots')) or 'none'}"


async def test_input_required_result_request_state(ctx: Context) -> str | InputRequired:
    """Holds the rounds in its own hand: it says what is required, and what is to come back with the answer."""
    if ctx.request_state is None or "confirm" not in (ctx.input_responses or {}):
        question = Elicit("Please confirm", form("ok", ok=BOOLEAN))
        return InputRequired({"confirm": question}, request_state="asked for confirmation")
    return "state-ok"


async def test_input_required_result_multiple_inputs(ctx: Context) -> str:
    """Asks three questions in one round."""
    answers = await ctx.ask_all(
        {
            "user_name": Elicit("What is your name?", form("name", name=STRING)),
            "greeting": Sample("Write a greeting", 100),
            "client_roots": ListRoots(),
        }
    )
    greeting, roots = answers["greeting"].text, len(answers["client_roots"])
    return f"{name_in(answers['user_name'])}: {greeting} ({roots} roots)"


async def test_input_required_result_multi_round(ctx: Context) -> str:
    """Asks a second question after the first is answered."""
    name = await ctx.elicit("Step 1: What is your name?", form("name", name=STRING), key="step1")
    color = await ctx.elicit("Step 2: What is your favorite color?", form("color", color=STRING), key="step2")
    return f"{name_in(name)} likes {(color.content or {}).get('color', 'no color')}"


async def test_input_required_result_tampered_state(ctx: Context) -> str:
    """Asks for a confirmation; what the client carries in between is sealed, and a change to it is refused."""
    answer = await ctx.elicit("Please confirm", form("ok", ok=BOOLEAN), key="confirm")
    return f"Confirmed: {answer.action}"


async def test_input_required_result_capabilities(ctx: Context) -> str:
    """Asks only what this client said that it can answer."""
    questions: dict[str, Elicit | Sample | ListRoots] = {}
    if "sampling" in ctx.client_capabilities:
        questions["capital_question"] = Sample("What is the capital of France?", 100)
    if "elicitation" in ctx.client_capabilities:
        questions["user_name"] = Elicit("What is your name?", form("name", name=STRING))
    if "roots" in ctx.client_capabilities:
        questions["client_roots"] = ListRoots()
    answers = await ctx.ask_all(questions)
    return f"Answered: {', '.join(answers) or 'nothing was asked'}"


def name_in(answer: ElicitResult) -> str:
    return str((answer.content or {}).get("name", "nobody"))


ASKING: list[Handler] = [
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_missing_capability,
    test_streaming_elicitation,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_tampered_state,
    test_input_required_result_capabilities,
]


# --- prompts ----------------------------------------------------------------------------------------------------------


async def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with two arguments.

    Args:
        arg1: The first argument.
        arg2: The second argument.
    """
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[EmbeddedResource | str]:
    """A prompt with a resource in it.

    Args:
        resourceUri: The URI of the resource.
    """
    text = "Embedded resource content for testing."
    resource = EmbeddedResource(TextResourceContents(resourceUri, text, "text/plain"))
    return [resource, "Please process the embedded resource above."]


async def test_prompt_with_image() -> list[Image | str]:
    """A prompt with an image in it."""
    return [Image(PNG, format="png"), "Please analyze the image above."]


async def test_input_required_result_prompt(ctx: Context) -> list[PromptMessage]:
    """A prompt that asks the user for the context first."""
    schema = form("context", context=STRING)
    answer = await ctx.elicit("What context should the prompt use?", schema, key="user_context")
    text = f"Use this context: {(answer.content or {}).get('context', 'none')}"
    return [PromptMessage("user", TextContent(text))]


PROMPTS: list[Handler] = [
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
]

WORDS = [f"test-{number:03}" for number in range(150)] + ["python", "perl", "ruby"]


async def complete_arg1(value: str) -> Completion:
    """The words that begin with what was typed: at most a hundred travel, and the total says how many there are."""
    found = [word for word in WORDS if word.startswith(value)]
    return Completion(found[:100], total=len(found), has_more=len(found) > 100)


# --- the server -------------------------------------------------------------------------------------------------------


def make_server(revisions: Sequence[str] | None = None) -> Server:
    """The server object. Raises ``UsageError`` for an unknown revision, and without the extra ``schema``."""
    server = Server(
        "everything",
        version="1.0.0",
        title="The everything server",
        instructions="A server for conformance tests.",
        revisions=revisions,
        lifespan=updates_of_the_watched_resource,
        page_size={"resources/list": 4},
    )
    for tool in (*ANSWERING, *TELLING, *ASKING):
        server.add_tool(tool)
    server.add_tool(json_schema_2020_12_tool, input_schema=SCHEMA_2020_12)
    for prompt in PROMPTS:
        server.add_prompt(prompt)
    server.completion("test_prompt_with_arguments", "arg1")(complete_arg1)
    add_resources(server)
    add_changes(server)
    return server


def add_resources(server: Server) -> None:
    """Ten resources and a template."""

    @server.resource("test://static-text", mime_type="text/plain")
    async def static_text() -> str:
        """A text that never changes."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    async def static_binary() -> bytes:
        """An image that never changes."""
        return PNG

    @server.resource(WATCHED, mime_type="text/plain")
    async def watched_resource() -> str:
        """A text whose subscribers hear of a change every three seconds."""
        return "This is the content of the watched resource."

    @server.resource("test://template/{id}/data", mime_type="application/json")
    async def template_data(id: str) -> dict[str, Any]:
        """Data for any id."""
        return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}

    def add_item(number: int) -> None:
        async def item() -> str:
            return f"This is item {number}."

        uri, text = f"test://item/{number}", f"Item {number} of seven."
        server.add_resource(uri, item, name=f"item-{number}", description=text, mime_type="text/plain")

    for number in range(1, 8):
        add_item(number)


def add_changes(server: Server) -> None:
    """Tools that change the lists: what they add the first time, they remove the second time."""

    async def test_dynamic_tool() -> str:
        """Comes and goes."""
        return "Here today"

    async def test_dynamic_prompt() -> str:
        """Comes and goes."""
        return "Here today"

    @server.tool
    async def test_trigger_tool_change() -> str:
        """Changes the list of tools."""
        if "test_dynamic_tool" in server.tools.items:
            server.remove_tool("test_dynamic_tool")
        else:
            server.add_tool(test_dynamic_tool)
        return "The list of tools changed"

    @server.tool
    async def test_trigger_prompt_change() -> str:
        """Changes the list of prompts."""
        if "test_dynamic_prompt" in server.prompts.items:
            server.remove_prompt("test_dynamic_prompt")
        else:
            server.add_prompt(test_dynamic_prompt)
        return "The list of prompts changed"


@asynccontextmanager
async def updates_of_the_watched_resource(server: Server) -> AsyncIterator[None]:
    """Every three seconds, for as long as anybody is connected."""

    async def update() -> None:
        while True:
            await asyncio.sleep(UPDATE_SECONDS)
            server.notify_resource_updated(WATCHED)

    task = asyncio.create_task(update())
    try:
        yield
    finally:
        task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description="A server with everything that conformance tests ask for.")
    parser.add_argument("--transport", default="stdio", help="stdio (the default) or http")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="for http; 0 takes a free one")
    parser.add_argument("--cors", metavar="ORIGIN", help="for http: web pages of this origin may use the server")
    parser.add_argument("--revisions", metavar="A,B", help="speak only these protocol revisions; the default is all")
    given = parser.parse_args()
    options = {"port": given.port, "cors": given.cors} if given.transport == "http" else {}
    try:
        make_server(given.revisions.split(",") if given.revisions else None).run(given.transport, **options)
    except UsageError as error:
        parser.exit(2, f"everything_server: {error}\n")


if __name__ == "__main__":
    main()
