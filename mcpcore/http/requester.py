"""A client's HTTP requests as bytes, and what an answer means that is not the expected one.

Heads are made of parts that are computed once for a client, once for a session and once for each tool, and joined for
a request. How answers are carried, and what happens after one, is the transport's affair; whether a request may be sent
again is decided here (``may_repeat``).

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from mcpcore.errors import HttpError, McpError, RpcError, Unauthorized, UsageError
from mcpcore.http.fields import standard_headers
from mcpcore.http.messages import ResponseHead
from mcpcore.http.proxies import Proxy
from mcpcore.http.url import Url
from mcpcore.jsonrpc.codec import Unreadable, decode

__all__ = [
    "Fields",
    "Requests",
    "checked_fields",
    "error_in",
    "field_lines",
    "is_session_id",
    "may_repeat",
    "modern_lines",
    "redirected",
    "refusal",
    "retry_after",
    "session_is_gone",
    "session_lines",
]

Fields = Mapping[str, tuple[str, str]]
"""Header fields of the user: the name in lower case -> the name as given, the value."""

_OURS = frozenset(
    [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "content-type",
        "accept",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
    ]
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,1024}")
_BOTH = b"application/json, text/event-stream"
_EXCERPT = 300
"""Characters of a body that is no JSON-RPC message which an error repeats."""

_SAFE: Final = frozenset(
    [
        "server/discover",
        "initialize",
        "ping",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    ]
)
"""Methods that do the same when they come twice."""


# -- header fields -----------------------------------------------------------------------------------------------------


def checked_fields(headers: Mapping[str, str] | None) -> dict[str, tuple[str, str]]:
    """The user's header fields. Raises ``UsageError`` for what cannot be one, and for those that are the protocol's."""
    fields: dict[str, tuple[str, str]] = {}
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UsageError("headers must map names to values, both strings")
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"headers: {name[:100]!r} is no name of a header field")
        if lower in _OURS or lower.startswith("mcp-param-"):
            raise UsageError(f"headers: {name[:100]} is set by the protocol; leave it out")
        if not _VALUE.fullmatch(value):
            raise UsageError(f"headers: the value of {name[:100]} holds characters that a header must not hold")
        fields[lower] = (name, value.strip(" \t"))
    return fields


def field_lines(fields: Fields) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in fields.values())


def session_lines(session_id: str | None, revision: str) -> bytes:
    """What every legacy request carries after the handshake (2025-11-25, basic/transports#session-management).

    Revisions before 2025-06-18 do not know the version header, and their servers do not read it.
    """
    session = "" if session_id is None else f"Mcp-Session-Id: {session_id}\r\n"
    return f"{session}MCP-Protocol-Version: {revision}\r\n".encode()


def modern_lines(version: str, method: str, params: Any, mirrored: list[tuple[str, str]] | None = None) -> bytes:
    """What a modern request carries: version, method, name, and the parameters that its tool wants mirrored.

    Raises ``ValueError`` for a method that cannot stand in a header.
    """
    fields = [("MCP-Protocol-Version", version), *standard_headers(method, params), *(mirrored or ())]
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def is_session_id(text: str) -> bool:
    """Visible ASCII only (2025-11-25, basic/transports#session-management)."""
    return _SESSION_ID.fullmatch(text) is not None


# -- requests ----------------------------------------------------------------------------------------------------------


class Requests:
    """Writes requests to one URL. Through a proxy without a tunnel the target is the whole URL."""

    def __init__(self, url: Url, fields: Fields, agent: str, proxy: Proxy | None = None) -> None:
        self.url = url
        own = dict(fields)
        if url.authorization is not None:
            own.setdefault("authorization", ("Authorization", url.authorization))
        own.setdefault("user-agent", ("User-Agent", agent))
        self._fields = own
        self._proxied = proxy is not None and not url.tls
        self._hop = b""
        if self._proxied and proxy is not None and proxy.authorization is not None:
            self._hop = f"Proxy-Authorization: {proxy.authorization}\r\n".encode()
        self._lines = field_lines(own)
        self._post = self._head("POST", url, self._lines, _BOTH) + b"Content-Type: application/json\r\n"

    def moved(self, url: Url) -> None:
        """The server said that this is where it is from now on."""
        self.url = url
        self._post = self._head("POST", url, self._lines, _BOTH) + b"Content-Type: application/json\r\n"

    def post(self, lines: bytes, body: bytes, fields: Fields | None = None, url: Url | None = None) -> bytes:
        """One POST in one piece. ``lines`` are those of the protocol, ``fields`` the user's for this request alone."""
        head = self._post
        if fields or url is not None:
            head = self._head("POST", url or self.url, self._merged(fields), _BOTH)
            head += b"Content-Type: application/json\r\n"
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, lines, len(body), body)

    def get(
        self, lines: bytes, last_event_id: str | None = None, fields: Fields | None = None, url: Url | None = None
    ) -> bytes:
        """A GET for an event stream, resumed behind the last event that was seen."""
        head = self._head("GET", url or self.url, self._merged(fields), b"text/event-stream")
        if last_event_id is not None:
            head += b"Last-Event-ID: %b\r\n" % last_event_id.encode()
        return b"%bCache-Control: no-store\r\n%b\r\n" % (head, lines)

    def delete(self, lines: bytes, fields: Fields | None = None) -> bytes:
        return b"%b%bContent-Length: 0\r\n\r\n" % (self._head("DELETE", self.url, self._merged(fields), _BOTH), lines)

    def _merged(self, fields: Fields | None) -> bytes:
        return field_lines({**self._fields, **fields}) if fields else self._lines

    def _head(self, method: str, url: Url, lines: bytes, accept: bytes) -> bytes:
        # identity: nothing here unpacks, and silence would mean that any coding is welcome (RFC 9110, section 12.5.3)
        target = url.origin + url.target if self._proxied else url.target
        start = f"{method} {target} HTTP/1.1\r\nHost: {url.authority}\r\n".encode()
        return b"%bAccept: %b\r\nAccept-Encoding: identity\r\n%b%b" % (start, accept, self._hop, lines)


def may_repeat(method: str, params: Any, tool_may: Callable[[str], bool]) -> bool:
    """Whether a request may be sent again although the server may have acted on the first one.

    RFC 9110, section 9.2.2: a POST is repeated only by who knows that its meaning is idempotent. Here that are the
    methods that only read or set, and tools whose annotations say so.
    """
    if method == "tools/call":
        name = params.get("name") if isinstance(params, dict) else None
        return isinstance(name, str) and tool_may(name)
    return method in _SAFE


# -- answers -----------------------------------------------------------------------------------------------------------


def error_in(body: bytes) -> RpcError | None:
    """The JSON-RPC error that a body holds, whatever its id: servers that refuse a request may not know it."""
    try:
        message = decode(body)
    except Unreadable:
        return None
    error = message.get("error") if type(message) is dict and "result" not in message else None
    if type(error) is not dict or type(error.get("code")) is not int:
        return None
    text = error.get("message")
    return RpcError(
        error["code"], text if type(text) is str else "(the error came without a message)", error.get("data")
    )


def refusal(subject: str, endpoint: str, head: ResponseHead, body: bytes, now: float) -> McpError:
    """The error for an answer that is not what was asked for. ``now``: seconds since 1970."""
    error = error_in(body)
    if error is not None and head.status not in (401, 403):
        return error
    excerpt = str(error) if error is not None else _excerpt(head, body)
    text = f"{subject}: the server answered with HTTP {head.status}{f' {head.reason}' if head.reason else ''}"
    if 200 <= head.status < 300:
        text += f" and {head.headers.get('content-type', 'no content type')}, which is no answer to a request"
    if excerpt:
        text += f": {excerpt}"
    known = {"status": head.status, "body": excerpt, "retry_after": retry_after(head, now), "endpoint": endpoint}
    if head.status in (401, 403):
        return Unauthorized(text, www_authenticate=head.headers.get("www-authenticate", ""), **known)  # type: ignore[arg-type]
    return HttpError(text, **known)  # type: ignore[arg-type]


def _excerpt(head: ResponseHead, body: bytes) -> str:
    """The beginning of a body that a person can read, on one line."""
    kind = head.headers.get("content-type", "text/plain").lower()
    if not kind.startswith("text/") and "json" not in kind:
        return ""
    text = " ".join(body[: 4 * _EXCERPT].decode("utf-8", "replace").split())
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"


def retry_after(head: ResponseHead, now: float) -> float | None:
    """The seconds that the server wants us to wait (RFC 9110, section 10.2.3), if any. ``now``: since 1970."""
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to import

    text = head.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def session_is_gone(status: int, error: RpcError | None) -> bool:
    """Whether this answer to a request with a session says that there is no such session.

    404 does (2025-11-25, basic/transports#session-management), unless it is the one for an unknown method, which newer
    revisions answer so. Some servers say 400 and name the session in their error; they did not act on the request
    either.
    """
    if status == 404:
        return error is None or error.code != -32601
    return status == 400 and error is not None and error.code in (-32000, -32600) and "session" in error.message.lower()


def redirected(url: Url, verb: str, head: ResponseHead) -> Url:
    """Where a redirect leads. Raises ``ValueError`` that says why it is not followed."""
    location = head.headers.get("location")
    if location is None:
        raise ValueError("it does not say where to")
    if verb != "GET" and head.status not in (307, 308):
        raise ValueError("this status would make a GET of it; give the client the new URL")
    try:
        return url.joined(location)
    except ValueError as error:
        raise ValueError(f"{error}; give the client that URL if you trust it") from None
