"""An ASGI ``http`` scope as the head of a request. What a server, a framework and a proxy each do to the path, is here.

``path`` is where the request goes inside the application: ``root_path``, which mounts and proxies prepend, is taken
off. Frameworks differ in whether ``path`` still carries it: Starlette's do from 0.33 on; before, a mount cut it off. An
application that is told of its proxy's prefix (``FastAPI(root_path="/api")``) has that in ``root_path`` and not in
``path``, if the proxy has cut it off.
Specification: https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from mcpcore.http.messages import RequestHead

__all__ = ["request_head"]

_NOTHING: frozenset[str] = frozenset()
_LONGEST_LENGTH = 18
"""Digits of a Content-Length that can be meant."""
_LETTERS = "/:@!$&'()*+,;=~"
"""What stands in a path as it is, besides letters, digits and ``-._``."""
_NAMES = {
    name.encode(): name
    for name in (
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "origin",
        "referer",
        "transfer-encoding",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    )
}
"""Decoded once."""


def request_head(scope: Mapping[str, Any], endpoint: str) -> RequestHead:
    """The head of a request. The root of a mount is ``endpoint``, the path of the MCP endpoint."""
    headers, repeated = _headers(scope["headers"])
    path, mounted = _path_inside(scope)
    if path == "" or path == "/":
        path = endpoint if mounted else "/"
    query = scope.get("query_string")
    length = headers.get("content-length")
    return RequestHead(
        scope["method"],
        f"{path}?{query.decode('latin-1')}" if query else path,
        headers,
        repeated=repeated,
        version=scope.get("http_version", "1.1"),
        content_length=int(length) if length and length.isdecimal() and len(length) <= _LONGEST_LENGTH else None,
        chunked="transfer-encoding" in headers,
    )


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], frozenset[str]]:
    headers: dict[str, str] = {}
    repeated = _NOTHING
    known = _NAMES.get
    for raw_name, raw_value in raw:
        name = known(raw_name) or raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip(" \t")
        if name in headers:
            repeated |= {name}
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers, repeated


def _path_inside(scope: Mapping[str, Any]) -> tuple[str, bool]:
    """The path as it was sent, without that of a mount; and whether there is one."""
    path: str = scope["path"]
    root: str = (scope.get("root_path") or "").rstrip("/")
    outer: str = (scope.get("app_root_path") or "").rstrip("/") if root else ""
    raw: bytes | None = scope.get("raw_path")
    if raw is None or b"%" in raw:
        # The letters are compared as they were sent: /%6dcp is another path than /mcp, as on our own sockets.
        path = quote(path, safe=_LETTERS) if raw is None else raw.partition(b"?")[0].decode("latin-1")
        root, outer = quote(root, safe=_LETTERS), quote(outer, safe=_LETTERS)
    if not root:
        return path, False
    for prefix in (root, root.removeprefix(outer)):
        if prefix and path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
            return path[len(prefix) :], True
    return path, True
