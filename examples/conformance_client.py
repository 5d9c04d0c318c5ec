"""The client under test of the official conformance suite: it plays the one scenario that the environment names.

    MCP_CONFORMANCE_SCENARIO=tools_call python examples/conformance_client.py URL
    MCP_CONFORMANCE_SCENARIO=tools_call python examples/conformance_client.py "stdio:python server.py"

The suite gives the URL of its mock server; in its place may stand a command after ``stdio:``. The era to speak is that
of MCP_CONFORMANCE_PROTOCOL_VERSION. Exit status: 0 when the scenario was played, 1 when it failed or is unknown, 2 when
it needs what this client does not have yet.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from mcpcore import Client, ElicitParams, McpError, RpcError, Tool, UsageError

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"

Scenario = Callable[[Client], Awaitable[object]]


async def initialize(client: Client) -> None:
    """Connecting is what it is about; tools are listed where the server says that it has any."""
    if client.server_capabilities.tools is not None:
        await client.list_tools()


async def list_tools(client: Client) -> None:
    await client.list_tools()


async def tools_call(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("add_numbers", {"a": 5, "b": 3})


async def elicitation_defaults(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("test_client_elicitation_defaults")


async def request_metadata(client: Client) -> None:
    for tool in (await client.list_tools())[:1]:
        await client.call_tool(tool.name, stub_arguments(tool))


async def request_state(client: Client) -> None:
    await client.list_tools()
    for name in ("test_mrtr_echo_state", "test_mrtr_unrelated", "test_mrtr_no_state", "test_mrtr_no_result_type"):
        await client.call_tool(name)


async def reconnection(client: Client) -> None:
    await client.list_tools()
    await client.call_tool("test_reconnection")


async def standard_headers(client: Client) -> None:
    """One request of every kind that has to carry ``Mcp-Name``, and one of each list."""
    for tool in await client.list_tools():
        await client.call_tool(tool.name, stub_arguments(tool))
    for resource in await client.list_resources():
        await client.read_resource(resource.uri)
    for prompt in await client.list_prompts():
        arguments = {argument.name: "text" for argument in prompt.arguments or () if argument.required}
        await client.get_prompt(prompt.name, arguments)


async def custom_headers(client: Client) -> None:
    await client.list_tools()
    for call in json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])["toolCalls"]:
        await client.call_tool(call["name"], call["arguments"])


async def every_tool(client: Client) -> None:
    """Calls every tool that the client lets through; the server refuses those that it should not have."""
    for tool in await client.list_tools():
        try:
            await client.call_tool(tool.name, stub_arguments(tool))
        except RpcError as error:
            print(f"conformance_client: {tool.name}: {error}", file=sys.stderr)


async def schema_preservation(client: Client) -> None:
    schemas = {tool.name: tool.input_schema for tool in await client.list_tools()}
    await client.call_tool("json_schema_echo", {"schema": schemas["json_schema_2020_12_tool"]})


SCENARIOS: dict[str, Scenario] = {
    "initialize": initialize,
    "tools_call": tools_call,
    "elicitation-sep1034-client-defaults": elicitation_defaults,
    "sse-retry": reconnection,
    "request-metadata": request_metadata,
    "http-standard-headers": standard_headers,
    "http-custom-headers": custom_headers,
    "http-invalid-tool-headers": every_tool,
    "sep-2322-client-request-state": request_state,
    "json-schema-ref-no-deref": list_tools,
    "json-schema-2020-12-preservation": schema_preservation,
}

NOT_YET = {
    "auth/": "OAuth",
    "sep-2640-": "the Skills extension",
}
"""What scenarios of these names need."""


STUBS: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def stub_arguments(tool: Tool) -> dict[str, Any]:
    """Something of the right type for each required argument."""
    properties = tool.input_schema.get("properties", {})
    return {name: stub(properties.get(name, {})) for name in tool.input_schema.get("required", ())}


def stub(schema: dict[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return STUBS.get(schema.get("type", ""))


def fill_in(question: ElicitParams) -> dict[str, Any]:
    """Accept: every field with its default, else with something of its type."""
    properties = (question.requested_schema or {}).get("properties", {})
    return {name: stub(schema) for name, schema in properties.items()} or {"confirmed": True}


async def play(scenario: Scenario, target: str) -> None:
    version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", LEGACY[-1])
    command = target.removeprefix("stdio:")
    client = Client(
        command,
        name="mcpcore-conformance-client",
        revisions=LEGACY if version in LEGACY else version,
        timeout=25,
        sampling=lambda question: "A conformance test needs no model.",
        elicitation=fill_in,
        roots=["file:///conformance"],
        inherit_env="safe" if command == target else "all",
    )
    async with client:
        await scenario(client)


def leave(status: int, reason: str) -> NoReturn:
    print(f"conformance_client: {reason}", file=sys.stderr)
    sys.exit(status)


def main() -> None:
    if len(sys.argv) != 2:
        leave(2, 'one argument is needed: the URL of the server, or "stdio:COMMAND"')
    name = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    for beginning, needed in NOT_YET.items():
        if name.startswith(beginning):
            leave(2, f"the scenario {name} needs {needed}, which is not available yet")
    scenario = SCENARIOS.get(name)
    if scenario is None:
        leave(1, f"MCP_CONFORMANCE_SCENARIO={name!r} is unknown here; known are: {', '.join(SCENARIOS)}")
    try:
        asyncio.run(play(scenario, sys.argv[1]))
    except UsageError as error:
        leave(2, str(error))
    except McpError as error:
        leave(1, f"{name}: {error}")


if __name__ == "__main__":
    main()
