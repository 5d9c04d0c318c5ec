"""From a function and a few words to a registered tool, resource or prompt: definitions, schemas, checks.

Everything that can be known before the first request is worked out here.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mcpcore.errors import UsageError
from mcpcore.server.context import Context, SyncContext
from mcpcore.server.docstrings import read_docstring
from mcpcore.server.handlers import Handler
from mcpcore.server.prompts import RegisteredPrompt
from mcpcore.server.resources import RegisteredResource, RegisteredTemplate
from mcpcore.server.results import BLOCKS
from mcpcore.server.signature import inspect_signature, raw_output
from mcpcore.server.signature import output_schema as output_of_hint
from mcpcore.server.tools import RegisteredTool
from mcpcore.types import (
    CacheHint,
    GetPromptResult,
    InputRequired,
    Prompt,
    PromptArgument,
    Resource,
    ResourceTemplate,
    Tool,
    ToolAnnotations,
    ToolResult,
)

if TYPE_CHECKING:
    from mcpcore.server.app import Server
    from mcpcore.types import Annotations, Icon

__all__ = ["make_prompt", "make_resource", "make_tool"]

_log = logging.getLogger("mcpcore.server")
_PLAIN = (*BLOCKS, ToolResult, InputRequired, GetPromptResult)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+\Z")
"""The characters of RFC 3986 (server/resources#custom-uri-schemes); what a template may hold is its own affair."""
_SIZE = re.compile(r"(?:any|[0-9]+x[0-9]+)\Z")
_THREADS = ("worker", "loop", "dedicated")


def make_tool(
    server: Server,
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    annotations: ToolAnnotations | Mapping[str, Any] | None = None,
    icons: list[Icon] | None = None,
    meta: dict[str, Any] | None = None,
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    structured: bool | None = None,
    timeout: float | None = None,
    concurrency: int | None = None,
    queue: int | None = None,
    thread: Literal["worker", "loop", "dedicated"] = "worker",
    single_use: bool = False,
) -> RegisteredTool:
    """See ``Server.add_tool``."""
    _check_function(fn)
    name = _checked_name(name if name is not None else _name_of(fn))
    _check_hints(f"tool {name}", None, icons)
    _check_tool_options(name, thread, timeout, concurrency, queue)
    signature = inspect_signature(
        fn, context_types=(Context, SyncContext), strict_input=server.strict_input, input_schema=input_schema
    )
    if output_schema is not None:
        output = raw_output(output_schema)
    elif structured is False:
        output = None
    else:
        output = output_of_hint(signature.returns, plain=_PLAIN, names=signature.names)
    definition = Tool(
        name=name,
        input_schema=signature.input_schema,
        title=title,
        description=description if description is not None else signature.description,
        output_schema=output.schema if output is not None else None,
        annotations=ToolAnnotations(**annotations) if isinstance(annotations, Mapping) else annotations,
        icons=icons,
        meta=meta,
    )
    return RegisteredTool(
        server,
        definition,
        fn,
        signature,
        output,
        thread=thread,
        timeout=timeout,
        concurrency=concurrency,
        queue=queue,
        single_use=single_use,
    )


def _check_function(fn: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise UsageError(
            f"{_name_of(fn)} yields: a handler returns its result at once; ctx.progress tells how far it is"
        )


def _checked_name(name: str) -> str:
    if not name:
        raise UsageError("a tool needs a name that is not empty")
    if not _NAME.match(name):
        # A SHOULD of the specification (server/tools#tool-names): accepted, and told.
        _log.warning("tool name %r: clients expect 1 to 128 characters of A-Z a-z 0-9 _ - .", name)
    return name


def _check_tool_options(
    name: str, thread: str, timeout: float | None, concurrency: int | None, queue: int | None
) -> None:
    if thread not in _THREADS:
        raise UsageError(f"tool {name}: thread must be one of {', '.join(_THREADS)}, not {thread!r}")
    if timeout is not None and timeout <= 0:
        raise UsageError(f"tool {name}: timeout must be a number of seconds above zero")
    if concurrency is not None and concurrency < 1:
        raise UsageError(f"tool {name}: concurrency must be at least 1")
    if queue is not None and (concurrency is None or queue < 0):
        raise UsageError(f"tool {name}: queue needs concurrency, and is zero or more")


def make_resource(
    server: Server,
    uri: str,
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    mime_type: str | None = None,
    size: int | None = None,
    annotations: Annotations | None = None,
    icons: list[Icon] | None = None,
    meta: dict[str, Any] | None = None,
    cache: CacheHint | None = None,
    thread: str = "worker",
) -> RegisteredResource | RegisteredTemplate:
    """See ``Server.add_resource``."""
    _check_function(fn)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
        raise UsageError(f"resource {uri!r}: a URI begins with a scheme, such as docs: or file:")
    if "{" not in uri and not _URI.match(uri):
        raise UsageError(f"resource {uri!r}: percent-encode what is no character of a URI, spaces for one")
    _check_hints(f"resource {uri!r}", annotations, icons)
    handler = Handler(server, fn, thread)
    common: dict[str, Any] = {
        "name": name if name is not None else _name_of(fn),
        "title": title,
        "description": description if description is not None else _description_of(fn),
        "mime_type": mime_type,
        "annotations": annotations,
        "icons": icons,
        "meta": meta,
    }
    if "{" in uri:
        return RegisteredTemplate(ResourceTemplate(uri_template=uri, **common), handler, cache)
    return RegisteredResource(Resource(uri=uri, size=size, **common), handler, cache)


def make_prompt(
    server: Server,
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    icons: list[Icon] | None = None,
    meta: dict[str, Any] | None = None,
    thread: str = "worker",
) -> RegisteredPrompt:
    """See ``Server.add_prompt``."""
    _check_function(fn)
    handler = Handler(server, fn, thread)
    signature = inspect_signature(fn, context_types=(Context, SyncContext))
    described = {one.name: one.description for one in signature.parameters}
    arguments = [
        PromptArgument(name=one.name, description=described.get(one.name), required=one.required)
        for one in handler.parameters.values()
    ]
    definition = Prompt(
        name=name if name is not None else _name_of(fn),
        title=title,
        description=description if description is not None else signature.description,
        arguments=arguments or None,
        icons=icons,
        meta=meta,
    )
    return RegisteredPrompt(definition, handler)


def _check_hints(what: str, annotations: Annotations | None, icons: list[Icon] | None) -> None:
    """What breaks the schema is refused; what the specification only recommends is accepted, and told."""
    if annotations is not None:
        if annotations.priority is not None and not 0 <= annotations.priority <= 1:
            raise UsageError(f"{what}: annotations.priority is a number from 0 to 1")
        if not {"user", "assistant"}.issuperset(annotations.audience or ()):
            raise UsageError(f"{what}: annotations.audience names user, assistant, or both")
        if annotations.last_modified is not None and not _is_time(annotations.last_modified):
            _log.warning("%s: clients expect annotations.last_modified in ISO 8601: 2025-01-12T15:00:58Z", what)
    for icon in icons or ():
        if not all(_SIZE.match(size) for size in icon.sizes or ()):
            _log.warning('%s: clients expect the sizes of an icon as "48x48", or "any"', what)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _description_of(fn: Callable[..., Any]) -> str | None:
    return read_docstring(inspect.getdoc(fn) if inspect.isroutine(fn) else None).text or None


def _name_of(fn: Callable[..., Any]) -> str:
    name = getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", None)
    if not name or name == "<lambda>":
        raise UsageError(f"{fn!r} has no name of its own; give it one with name=...")
    return str(name)
