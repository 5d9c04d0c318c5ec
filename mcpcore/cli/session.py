"""The commands that talk to a server: connect, do one thing, print it, close.

Each is one function ``(client, arguments, output) -> status``; ``render.py`` says how results look.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from mcpcore.cli import render
from mcpcore.errors import RpcError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from mcpcore import Client

__all__ = ["Output", "target_of", "with_client"]

OK, SAID_ERROR = 0, 1


class Output:
    """Where results go: text for people, or one JSON document."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def document(self, value: Any) -> None:
        from mcpcore.jsonrpc.codec import encode

        self.write(encode(value) + b"\n")

    def text(self, text: str) -> None:
        text = render.printable(text, sys.stdout)
        self.write((text if text.endswith("\n") else text + "\n").encode(errors="replace"))

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def with_client(arguments: argparse.Namespace, target: list[str]) -> int:
    """Run the command ``arguments.command`` with a client of ``target``."""
    return asyncio.run(_with_client(arguments, target))


async def _with_client(arguments: argparse.Namespace, words: list[str]) -> int:
    if arguments.command in ("call", "prompt"):
        arguments.arg = _pairs(arguments.arg)
    if arguments.command == "call":
        arguments.args = _json_object(arguments.args)
    target: Any = target_of(words)
    options = client_options(arguments)
    if arguments.verbose and not is_url(target):
        target = _Audible(target)
    output = Output(arguments.json)
    if arguments.command == "probe":
        from mcpcore.cli.probe import probe

        return await probe(target, options, output)
    from mcpcore import Client

    async with Client(target, **options) as client:
        return await _COMMANDS[arguments.command](client, arguments, output)


def target_of(words: list[str]) -> str | list[str]:
    """What a client connects to: a command, an address, or for a lone ``file.py[:name]`` the command that serves it."""
    if len(words) > 1:
        return words
    word = words[0]
    if not is_url(word) and (word.endswith(".py") or ".py:" in word):
        return [sys.executable, "-m", "mcpcore", "run", word]
    return word


def is_url(target: str | list[str]) -> bool:
    return isinstance(target, str) and "://" in target


def client_options(arguments: argparse.Namespace) -> dict[str, Any]:
    from mcpcore.cli.terminal import answers

    options: dict[str, Any] = {
        "name": "mcpcore-cli",
        "inherit_env": "all",
        "log": _show_log_of(arguments.verbose),
        **answers(),
    }
    if sys.stderr.isatty() and not arguments.json:
        options["progress"] = _show_progress
    if arguments.revision is not None:
        options["revisions"] = arguments.revision
    if arguments.timeout is not None:
        options["timeout"] = arguments.timeout
    return options


class _Audible:
    """A command whose stderr is shown while it runs."""

    def __init__(self, command: str | list[str]) -> None:
        self.name = command if isinstance(command, str) else " ".join(command)
        self._command = command

    async def connect_client(self, protocol: asyncio.Protocol) -> Any:
        from mcpcore.transports.process import spawn

        return await spawn(protocol, self._command, inherit_env="all", stderr_echo=sys.stderr)


def _show_log_of(verbose: bool) -> Callable[[Any], None]:
    from mcpcore.spec.meta import SEVERITY

    shown = {level for level, rank in SEVERITY.items() if verbose or rank >= SEVERITY["info"]}

    def show(message: Any) -> None:
        if message.level in shown or message.level not in SEVERITY:
            _show_log(message)

    return show


def _show_log(message: Any) -> None:
    data = message.data if isinstance(message.data, str) else render.pretty(message.data)
    source = f" {message.logger}" if message.logger else ""
    print(render.printable(f"[{message.level}{source}] {data}", sys.stderr), file=sys.stderr)


def _show_progress(progress: Any) -> None:
    done = f"{progress.progress:g}" + (f"/{progress.total:g}" if progress.total is not None else "")
    print(render.printable(f"[progress {done}] {progress.message or ''}".rstrip(), sys.stderr), file=sys.stderr)


# -- the commands --------------------------------------------------------------------------------------------------


async def _list(client: Client, arguments: argparse.Namespace, output: Output) -> int:
    from mcpcore.types import to_wire

    can = client.server_capabilities
    tools = await client.list_tools() if can.tools is not None else []
    resources = await client.list_resources() if can.resources is not None else []
    templates = await client.list_resource_templates() if can.resources is not None else []
    prompts = await client.list_prompts() if can.prompts is not None else []
    if output.as_json:
        found: dict[str, list[Any]] = {
            "tools": tools,
            "resources": resources,
            "resourceTemplates": templates,
            "prompts": prompts,
        }
        info = client.server_info
        head = {"revision": str(client.revision), "serverInfo": None if info is None else to_wire(info)}
        output.document({**head, **{kind: [to_wire(item) for item in items] for kind, items in found.items()}})
        return OK
    sections: dict[str, list[tuple[str, ...]]] = {
        "Tools": [render.tool_line(tool) for tool in tools],
        "Resources": [(one.uri, one.mime_type or "", one.description or one.title or one.name) for one in resources],
        "Resource templates": [
            (one.uri_template, one.mime_type or "", one.description or one.title or one.name) for one in templates
        ],
        "Prompts": [render.prompt_line(prompt) for prompt in prompts],
    }
    lines = [f"{render.identity(client.server_info)} ({client.revision})"]
    for title, rows in sections.items():
        if rows:
            lines += ["", title, *render.table(rows)]
    if len(lines) == 1:
        lines += ["", "It offers no tools, resources or prompts."]
    output.text("\n".join(lines))
    return OK


async def _call(client: Client, arguments: argparse.Namespace, output: Output) -> int:
    from mcpcore.types import to_wire

    given = arguments.args
    if arguments.arg:
        tool = next((tool for tool in await client.list_tools() if tool.name == arguments.name), None)
        schema = tool.input_schema if tool is not None else {}
        given |= {name: _typed(text, schema, name) for name, text in arguments.arg.items()}
    result = await client.call_tool(arguments.name, given)
    if output.as_json:
        output.document(to_wire(result))
    else:
        output.text(render.tool_result(result))
        if result.is_error:
            print(f"mcpcore: the tool {arguments.name} reported an error", file=sys.stderr)
    return SAID_ERROR if result.is_error else OK


async def _read(client: Client, arguments: argparse.Namespace, output: Output) -> int:
    import base64

    from mcpcore.types import TextResourceContents, to_wire

    result = await client.read_resource(arguments.uri)
    if output.as_json:
        output.document(to_wire(result))
        return OK
    for contents in result.contents:
        if isinstance(contents, TextResourceContents):
            output.text(contents.text)
        elif sys.stdout.isatty():
            count = render.size(len(contents.blob) * 3 // 4)
            output.text(f"[{contents.mime_type or 'bytes'}, {count}; redirect the output to a file to keep them]")
        else:
            try:
                output.write(base64.b64decode(contents.blob, validate=True))
            except ValueError:
                raise RpcError(-32603, f"{contents.uri}: the server's blob is not base64") from None
    return OK


async def _prompt(client: Client, arguments: argparse.Namespace, output: Output) -> int:
    from mcpcore.types import to_wire

    result = await client.get_prompt(arguments.name, arguments.arg)
    if output.as_json:
        output.document(to_wire(result))
    else:
        output.text(render.messages(result.messages))
    return OK


async def _complete(client: Client, arguments: argparse.Namespace, output: Output) -> int:
    from mcpcore.types import PromptRef, TemplateRef, to_wire

    template = "://" in arguments.ref or "{" in arguments.ref
    ref = TemplateRef(uri=arguments.ref) if template else PromptRef(name=arguments.ref)
    completion = await client.complete(ref, arguments.argument, arguments.value)
    if output.as_json:
        output.document(to_wire(completion))
    elif completion.values:
        output.text("\n".join(completion.values))
    return OK


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace, Output], Awaitable[int]]] = {
    "list": _list,
    "call": _call,
    "read": _read,
    "prompt": _prompt,
    "complete": _complete,
}

# -- arguments -----------------------------------------------------------------------------------------------------


def _pairs(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"--arg {word}: write it as NAME=VALUE")
        if name in found:
            raise UsageError(f"--arg {name} is given twice; a list is one JSON value: --arg '{name}=[1, 2]'")
        found[name] = value
    return found


def _json_object(text: str | None) -> dict[str, Any]:
    from mcpcore.jsonrpc.codec import Unreadable, decode

    if text is None:
        return {}
    try:
        value = decode(text)
    except Unreadable as error:
        raise UsageError(f"--args is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError('--args must be a JSON object, such as \'{"city": "Oslo"}\'')
    return value


def _typed(text: str, schema: dict[str, Any], name: str) -> Any:
    """The value as the schema wants it: itself where a string may stand, else JSON; the server judges the rest."""
    from mcpcore.jsonrpc.codec import Unreadable, decode

    properties = schema.get("properties")
    wanted = _types(properties.get(name)) if isinstance(properties, dict) else set()
    if "string" in wanted:
        return text
    try:
        return decode(text)
    except Unreadable:
        return text


def _types(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    kind = schema.get("type")
    found = {kind} if isinstance(kind, str) else set(kind) if isinstance(kind, list) else set()
    for member in ("anyOf", "oneOf"):
        for option in schema.get(member) or ():
            found |= _types(option)
    if any(isinstance(value, str) for value in [*(schema.get("enum") or ()), schema.get("const")]):
        found.add("string")
    return found
