"""What a browser wants to be told before and after it lets a page of another origin use this server (CORS).

Which requests are refused is the guard's. No answer ever allows credentials: MCP authenticates by the Authorization
field, which a page sets by itself, so a cookie of somebody else's never travels.
Specification: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mcpcore.http.messages import RequestHead
from mcpcore.http.origins import AllowedOrigins, parse_origin

__all__ = ["Cors", "Headers"]

Headers = tuple[tuple[str, str], ...]

ALLOWED_METHODS: Final = "GET, POST, DELETE"
ALLOWED_HEADERS: Final = (
    "content-type, accept, authorization, mcp-protocol-version, mcp-session-id, last-event-id, mcp-method, mcp-name"
)
EXPOSED_HEADERS: Final = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After"
MAX_AGE: Final = "7200"
"""Seconds that a browser may remember a preflight: Chromium keeps none for longer."""
MAX_REQUESTED: Final = 100
"""Names of ``Mcp-Param-*`` fields that one preflight may ask for: as many as a request may have."""

_REMEMBERED = 256
_PARAM = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,128}")


class Cors:
    """The answers for one set of origins. ``Cors(["https://app.example.com"])``, ``Cors("*")``.

    The patterns are those of ``allowed_origins``. Raises ``UsageError`` for one that is none.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self.origins = AllowedOrigins([origins] if isinstance(origins, str) else origins, setting="cors")
        self._everyone: Headers | None = None
        if self.origins.every:
            self._everyone = _exposing("*")
        # Who is not allowed, or no page at all, gets an answer that a cache must not hand to a page that is.
        self._nobody: Headers = (("Vary", "Origin"),)
        self._remembered: dict[str, Headers] = {}

    def headers_for(self, head: RequestHead) -> Headers:
        """The fields to add to every answer to this request, errors included."""
        if self._everyone is not None:
            return self._everyone
        origin = head.headers.get("origin")
        if origin is None:
            return self._nobody
        return self._remembered.get(origin) or self._look(origin)

    def _look(self, text: str) -> Headers:
        origin = parse_origin(text)
        if origin is None or not self.origins.allows(origin):
            return self._nobody
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        found = self._remembered[text] = (*_exposing(text), ("Vary", "Origin"))
        return found

    def preflight(self, head: RequestHead) -> tuple[int, Headers]:
        """Status and all fields of the answer to an OPTIONS with ``Access-Control-Request-Method``; it has no body, and
        ``headers_for`` has nothing to add to it.

        An origin that is not allowed gets no permission in it, which is how a browser learns.
        """
        allowed = self.headers_for(head)[0]
        headers = [("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")]
        if allowed[0] == "Access-Control-Allow-Origin":
            headers += [
                allowed,
                ("Access-Control-Allow-Methods", ALLOWED_METHODS),
                ("Access-Control-Allow-Headers", _allowed_headers(head.headers.get("access-control-request-headers"))),
                ("Access-Control-Max-Age", MAX_AGE),
            ]
            # A page of a public address that wants one of a private network: browsers ask for that by name.
            if head.headers.get("access-control-request-private-network") == "true":
                headers.append(("Access-Control-Allow-Private-Network", "true"))
        return 204, tuple(headers)


def _exposing(origin: str) -> Headers:
    return (("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED_HEADERS))


def _allowed_headers(requested: str | None) -> str:
    """What MCP defines by name, and of what is asked for the parameters that a tool has mirrored into fields."""
    lowered = (requested or "").lower()
    if "mcp-param-" not in lowered:
        return ALLOWED_HEADERS
    names = [name for part in lowered.split(",") if _PARAM.fullmatch(name := part.strip(" \t"))]
    return ", ".join([ALLOWED_HEADERS, *dict.fromkeys(names[:MAX_REQUESTED])])
