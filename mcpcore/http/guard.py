"""What is refused of a request by its head alone, before a byte of its body is read. What its body means: endpoint.py.

Two questions: does a request with this Host and Origin belong here (every route asks), and is it one for the MCP
endpoint by method, types and size. How hosts and origins compare: origins.py. What browsers are told: cors.py.
Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#security-endpoint
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mcpcore.core.limits import Limits
from mcpcore.errors import UsageError
from mcpcore.http.cors import Cors, Headers
from mcpcore.http.media import accepts, is_json
from mcpcore.http.messages import RequestHead
from mcpcore.http.origins import (
    LONGEST_ORIGIN,
    AllowedHosts,
    AllowedOrigins,
    Authority,
    parse_authority,
    parse_origin,
)
from mcpcore.spec.codes import HEADER_MISMATCH, INVALID_REQUEST

__all__ = ["Guard", "GuardRules", "Refusal"]

METHODS: Final = ("POST", "GET", "DELETE")
"""The methods of the MCP endpoint besides OPTIONS."""

_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_MIRRORED = frozenset({"mcp-protocol-version", "mcp-method", "mcp-name"})
_SINGLE = _MIRRORED | {"content-type", "content-length", "mcp-session-id", "authorization", "last-event-id"}
_SINGLE_EVERYWHERE = frozenset({"host", "origin"})

_REMEMBERED = 256
"""Pairs of Host and Origin."""
_SHOWN = 100
"""Letters of a refused value that are repeated in the text about it."""


class Refusal:
    """The answer to a request that goes no further: ``status``, ``headers`` to add, and ``code`` and ``text`` of the
    JSON-RPC error in its body, which has no id. ``text`` is one line, for the log too."""

    __slots__ = ("code", "headers", "status", "text")

    def __init__(self, status: int, text: str, *, code: int = INVALID_REQUEST, headers: Headers = ()) -> None:
        self.status = status
        self.code = code
        self.text = text
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Refusal {self.status} {self.text}>"


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardRules:
    """What a guard holds requests to."""

    path: str = "/mcp"
    """The MCP endpoint, as it is written in a request; served with and without a slash at its end."""
    methods: tuple[str, ...] = METHODS
    """What it takes; ``("POST",)`` where there are no legacy sessions, which GET and DELETE are for."""
    allowed_hosts: tuple[str, ...] | None = None
    """Hosts besides those that are safe on what is bound: ``example.com`` (any port), ``example.com:8000``,
    ``*.example.com``, ``*``."""
    allowed_origins: tuple[str, ...] | None = None
    """Origins besides those of the allowed hosts and of CORS: ``https://example.com``, ``http://localhost:*``,
    ``*``."""
    bound: tuple[str, ...] = ()
    """Names and addresses that the server listens on, other names of this machine, ``unix`` for a Unix socket.
    Empty where that is not known: then as if on every address. Ports are not compared: a forwarded one (ssh -L,
    containers) differs, and what a page cannot choose is the host."""
    max_body_bytes: int = Limits().max_message_bytes
    """By ``Content-Length``; a chunked body is counted by whoever reads it."""
    modern: bool = True
    """Whether a modern revision is served: else no error of one may be said (2026-07-28, basic/versioning)."""


class Guard:
    """Judges heads. ``check`` first, on every route; ``check_endpoint`` on those for which ``is_endpoint`` is true.

    Raises ``UsageError`` for a path, host or origin in the rules that is none.
    """

    def __init__(self, rules: GuardRules, cors: Cors | None = None) -> None:
        self.rules = rules
        self.cors = cors
        if _PATH.fullmatch(rules.path) is None:
            raise UsageError(f'path: {rules.path!r} is no path such as "/mcp"; other letters are written as %41')
        path = rules.path.rstrip("/")
        self._methods = frozenset({*rules.methods, "OPTIONS"})
        self.allow = ", ".join([*rules.methods, "OPTIONS"])
        self._paths = frozenset({path, f"{path}/"})
        self._hosts = AllowedHosts(rules.allowed_hosts or (), bound=rules.bound)
        self._origins = AllowedOrigins(rules.allowed_origins or ())
        self._every_origin = self._origins.every or (cors is not None and cors.origins.every)
        # Accepted before: a client sends the same two values with every request.
        self._known: set[tuple[str | None, str | None]] = set()

    def is_endpoint(self, head: RequestHead) -> bool:
        """Whether the path is that of the MCP endpoint, letter by letter: ``/%6dcp`` is another path."""
        if head.path in self._paths:
            return True
        return head.path[:1] != "/" and _split_target(head.path)[1] in self._paths

    # -- Host and Origin --------------------------------------------------------------------------------------------

    def check(self, head: RequestHead) -> Refusal | None:
        """Host and Origin."""
        headers = head.headers
        pair = headers.get("host"), headers.get("origin")
        if pair in self._known and not head.repeated and head.target[:1] == "/":
            return None
        return self._judge(head, *pair)

    def _judge(self, head: RequestHead, host: str | None, origin: str | None) -> Refusal | None:
        if not _SINGLE_EVERYWHERE.isdisjoint(head.repeated):
            return _repeated(head.repeated & _SINGLE_EVERYWHERE, self.rules.modern)
        named = _split_target(head.target)[0]
        # An absolute target names the host, and Host is to be ignored (RFC 9112, section 3.2.2): here both have to fit.
        for text in (host,) if named is None else (named, host):
            refusal = self._judge_host(head, text)
            if refusal is not None:
                return refusal
        if origin is not None and not self._every_origin:
            refusal = self._judge_origin(origin, None if host is None else parse_authority(host))
            if refusal is not None:
                return refusal
        if host is not None and (origin is None or len(origin) <= LONGEST_ORIGIN):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known.add((host, origin))
        return None

    def _judge_host(self, head: RequestHead, text: str | None) -> Refusal | None:
        if text is None:
            if head.version == "1.0":
                return None  # had no Host, and no browser speaks it
            return Refusal(400, "The request has no Host header, and HTTP/1.1 requires one. Send the host of the URL")
        authority = parse_authority(text)
        if authority is None:
            return Refusal(400, f"Host {_shown(text)} is no host name or address with an optional port")
        if self._hosts.serves(authority):
            return None
        name = f"[{authority.name}]" if ":" in authority.name else authority.name
        return Refusal(
            421,
            f"Host {_shown(text)} is not one that this server answers to. If it should be, give the server"
            f' allowed_hosts=["{name}"] or set MCPCORE_ALLOWED_HOSTS={name}',
        )

    def _judge_origin(self, text: str, host: Authority | None) -> Refusal | None:
        origin = parse_origin(text)
        if origin is None:
            return Refusal(
                403,
                f"Origin {_shown(text)} is not one that a setting can name, so it is refused."
                ' allowed_origins=["*"] or MCPCORE_ALLOWED_ORIGINS=* would let every page in',
            )
        if (
            self._hosts.owns(origin, host)
            or self._origins.allows(origin)
            or (self.cors is not None and self.cors.origins.allows(origin))
        ):
            return None
        return Refusal(
            403,
            f"Origin {_shown(text)} may not use this server. If it should, give the server"
            f' allowed_origins=["{text}"] or set MCPCORE_ALLOWED_ORIGINS={text};'
            f' a page in a browser needs cors=["{text}"] instead',
        )

    # -- the MCP endpoint -------------------------------------------------------------------------------------------

    def check_endpoint(self, head: RequestHead) -> Refusal | None:
        """Method, repeated fields, size and types of a request for the MCP endpoint. OPTIONS: see ``options``."""
        method, headers = head.method, head.headers
        if method not in self._methods:
            text = f"{_shown(method)} is not a method of this MCP endpoint; it has {self.allow}"
            return Refusal(405, text, headers=(("Allow", self.allow),))
        if head.repeated and not _SINGLE.isdisjoint(head.repeated):
            return _repeated(head.repeated & _SINGLE, self.rules.modern)
        length = head.content_length
        if length is not None and length > self.rules.max_body_bytes:
            return self._too_large(length)
        if method == "POST":
            content_type = headers.get("content-type")
            if content_type != "application/json" and not is_json(content_type):
                return _unsupported_type(content_type)
            coding = headers.get("content-encoding")
            if coding and coding.lower() != "identity":
                return _unsupported_coding(coding)
            accept = headers.get("accept")
            if accept is not None and not any(accepts(accept)):
                return _not_acceptable(method, accept)
        elif method == "GET" and not accepts(headers.get("accept"))[1]:
            return _not_acceptable(method, headers["accept"])
        return None

    def _too_large(self, length: int) -> Refusal:
        most = self.rules.max_body_bytes
        return Refusal(
            413, f"The body has {length} bytes, at most {most} are taken. Limits(max_message_bytes=...) sets it"
        )

    def options(self, head: RequestHead) -> tuple[int, Headers]:
        """Status and all headers of the answer to OPTIONS on the MCP endpoint, CORS ones included; it has no body.

        To be asked after ``check`` and before any authorization: browsers send no credentials with it.
        """
        allow = ("Allow", self.allow)
        if self.cors is None:
            return 204, (allow,)
        if "access-control-request-method" in head.headers:
            return self.cors.preflight(head)
        return 204, (allow, *self.cors.headers_for(head))


def _split_target(target: str) -> tuple[str | None, str]:
    """Authority and path of a target; the first is there in the absolute form (``http://host/path``) only."""
    if target[:1] == "/":
        return None, target
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in {"http", "https"}:
        return None, target
    authority, slash, path = rest.partition("?")[0].partition("/")
    return authority, slash + path


def _shown(value: str) -> str:
    """A value from outside in quotes, on one line and not for ever."""
    text = ascii(value[:_SHOWN])[1:-1].replace('"', "'")
    return f'"{text}..."' if len(value) > _SHOWN else f'"{text}"'


def _repeated(names: frozenset[str], modern: bool) -> Refusal:
    code = INVALID_REQUEST if not modern or _MIRRORED.isdisjoint(names) else HEADER_MISMATCH
    return Refusal(400, f"Sent more than once: {', '.join(sorted(names))}. One value is expected", code=code)


def _unsupported_type(content_type: str | None) -> Refusal:
    seen = "no Content-Type" if content_type is None else f"Content-Type {_shown(content_type)}"
    return Refusal(
        415, f"The body has {seen}; expected is application/json in UTF-8", headers=(("Accept", "application/json"),)
    )


def _unsupported_coding(coding: str) -> Refusal:
    return Refusal(
        415,
        f"The body has Content-Encoding {_shown(coding)}; expected is a body without one",
        headers=(("Accept-Encoding", "identity"),),
    )


def _not_acceptable(method: str, accept: str) -> Refusal:
    offered = "application/json and text/event-stream" if method == "POST" else "text/event-stream"
    return Refusal(406, f"Accept {_shown(accept)} leaves no answer; a {method} is answered with {offered}")
