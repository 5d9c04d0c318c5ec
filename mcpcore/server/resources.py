"""Resources and resource templates: how a URI is read.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/server/resources
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.errors import RpcError, UsageError
from mcpcore.server.handlers import Handler, Stopped
from mcpcore.server.results import read_result
from mcpcore.spec import codes
from mcpcore.types import CacheHint, Resource, ResourceTemplate

if TYPE_CHECKING:
    from mcpcore.core.exchange import Exchange
    from mcpcore.server.app import Server

__all__ = ["RegisteredResource", "RegisteredTemplate", "read"]


class RegisteredResource:
    """One resource with a fixed URI."""

    def __init__(self, definition: Resource, handler: Handler, cache: CacheHint | None) -> None:
        for parameter in handler.parameters.values():
            if parameter.required:
                needs = f"its function needs {parameter.name!r}"
                raise UsageError(f"resource {definition.uri!r}: {needs}, but the URI has no such variable")
        self.definition = definition
        self.handler = handler
        self.cache = cache


class RegisteredTemplate:
    """A family of resources; the variables of the template are the parameters of its function."""

    def __init__(self, definition: ResourceTemplate, handler: Handler, cache: CacheHint | None) -> None:
        from mcpcore.server.templates import Template  # only servers with templates pay for it

        self.template = Template(definition.uri_template)
        missing = [
            name for name, one in handler.parameters.items() if one.required and name not in self.template.variables
        ]
        unknown = [name for name in self.template.variables if name not in handler.parameters and not handler.takes_any]
        if missing or unknown:
            names = ", ".join(self.template.variables)
            text = f"template {definition.uri_template!r}: its variables are ({names})"
            raise UsageError(f"{text}; the function's parameters must be the same")
        self.definition = definition
        self.handler = handler
        self.cache = cache

    def match(self, uri: str) -> dict[str, Any] | None:
        """The variables of this URI. A path that could lead out of its directory matches nothing."""
        values = self.template.match(uri)
        if values is None or (uri[:5].lower() == "file:" and _leads_out(uri, values)):
            return None
        return values


def _leads_out(uri: str, values: dict[str, Any]) -> bool:
    """``file://`` paths must be kept from traversal (server/resources#security-considerations).

    Looked at are the values and the whole path: a literal ``.`` before a value ``./x`` climbs, and a value that begins
    with a slash, joined to a directory, begins anew at the root.
    """
    from urllib.parse import unquote

    from mcpcore.server.templates import is_unsafe_path

    path = uri[5:].partition("#")[0].partition("?")[0]
    path = path[2:].partition("/")[2] if path.startswith("//") else path.removeprefix("/")
    parts = [part for value in values.values() for part in (value if isinstance(value, list) else [value])]
    if is_unsafe_path(path) or any(is_unsafe_path(part.lstrip("/")) for part in parts):
        return True
    for _ in range(4):  # is_unsafe_path refuses what is encoded more often
        if "//" in path:
            return True
        path = unquote(path)
    return False


async def read(server: Server, exchange: Exchange, uri: str) -> dict[str, Any]:
    """The result of ``resources/read``. Raises ``RpcError`` for what does not exist."""
    found: RegisteredResource | RegisteredTemplate | None = server.resources.get(uri)
    values: dict[str, Any] = {}
    if found is None:
        for template in server.templates:
            matched = template.match(uri)
            if matched is not None:
                found, values = template, matched
                break
    if found is None:
        raise not_found(exchange, uri)
    try:
        values = found.handler.convert(values, "resources/read")
    except RpcError:
        raise not_found(exchange, uri) from None
    value = await found.handler.run(exchange, values)
    if isinstance(value, Stopped):
        return value.result
    hint = found.cache
    result = read_result(value, uri, found.definition.mime_type)
    if not result["contents"]:
        raise not_found(exchange, uri)
    if "ttlMs" in result or "cacheScope" in result:
        CacheHint(result.get("ttlMs", 0), result.get("cacheScope", "private"))  # its checks hold for these too
    defaults = server.cache_hint("resources/read") if hint is None else {"ttlMs": hint.ttl_ms, "cacheScope": hint.scope}
    return {**defaults, **result}


def not_found(exchange: Exchange, uri: str) -> RpcError:
    """-32602 in 2026-07-28, -32002 before (server/resources#error-handling)."""
    code = exchange.revision.resource_not_found
    return RpcError(code, "Resource not found", {"uri": uri})


def serve_read(server: Server, exchange: Exchange) -> Any:
    uri = exchange.params.get("uri")
    if type(uri) is not str:
        raise RpcError(codes.INVALID_PARAMS, "resources/read: params.uri must be a string")
    return read(server, exchange, uri)
