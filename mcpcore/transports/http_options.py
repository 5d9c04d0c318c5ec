"""What an HTTP server can be told, each default with its reason: ``HttpOptions`` for ``serve`` and ``asgi``, and
``RunOptions`` for ``run``, which owns its process."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcpcore.errors import UsageError

__all__ = ["Authorize", "HttpOptions", "RunOptions"]

Authorize = Callable[[Any], "str | Awaitable[str | None] | None"]
"""Gets the head of a request (``method``, ``path``, ``headers``) and returns who asks, or ``None`` for anonymous; or it
raises ``Unauthorized``. It may be a coroutine function."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpOptions:
    """Raises ``UsageError`` for a value that cannot be meant."""

    host: str | Sequence[str] = "127.0.0.1"
    """One address or several. Only this machine, unless said otherwise
    (2026-07-28, streamable-http#security-endpoint)."""
    port: int = 8000
    """0 takes a free one."""
    unix: str | None = None
    """The path of a Unix socket, in place of host and port."""
    path: str = "/mcp"
    """The MCP endpoint, served with and without a slash at its end."""
    tls: ssl.SSLContext | tuple[str, str] | None = None
    """A certificate file and its key file, or a context."""
    allowed_hosts: Sequence[str] | None = None
    """Hosts to answer to besides those that are safe on what is bound; ``MCPCORE_ALLOWED_HOSTS`` adds to them."""
    allowed_origins: Sequence[str] | None = None
    """Origins besides those; ``MCPCORE_ALLOWED_ORIGINS`` adds to them."""
    cors: Sequence[str] | str | None = None
    """Origins of web pages that may use the server, or ``"*"``."""
    authorize: Authorize | None = None
    sessions: bool = True
    """Whether legacy clients get a session. Without one they cannot be asked, nor told of changes."""
    answers: str = "auto"
    """``"json"`` or ``"sse"`` where both would do; "auto": JSON, unless something is said before the result or it takes
    long."""
    sse: bool = True
    """Whether HTTP+SSE of 2024-11-05 is served beside the endpoint, at ``/sse`` and ``/messages``."""
    message_url: str | None = None
    """Where HTTP+SSE clients send messages, as they see it; by default relative to their own URL."""
    health: bool = True
    """Whether ``/healthz`` and ``/readyz`` are answered."""
    fast_heads: bool = True
    """Whether ordinary request heads are split here; ``False`` has h11 read all of them."""
    backlog: int = 2048
    """Connections that wait for being accepted."""

    def __post_init__(self) -> None:
        if self.answers not in ("auto", "json", "sse"):
            raise UsageError(f'answers must be "auto", "json" or "sse", not {self.answers!r}')
        if not isinstance(self.port, int) or not 0 <= self.port <= 65535:
            raise UsageError(f"port: {self.port!r} is no port; 0 takes a free one")
        for name in ("allowed_hosts", "allowed_origins"):
            if isinstance(getattr(self, name), str):
                raise UsageError(f"{name} is a list: {name}=[{getattr(self, name)!r}]")
        if self.unix is None and not self.hosts:
            raise UsageError("host: name at least one address to listen on")

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.host,) if isinstance(self.host, str) else tuple(self.host)

    @property
    def sessionless(self) -> str | None:
        """Why legacy clients get no session; ``None`` where they do."""
        return None if self.sessions else "this server keeps no sessions (sessions=False)"

    def urls(self, port: int | None) -> list[str]:
        """Where the endpoint is, on the port that was bound."""
        if self.unix is not None:
            return [f"unix:{self.unix} ({self.path})"]
        scheme = "https" if self.tls is not None else "http"
        names = [f"[{host}]" if ":" in host else host for host in self.hosts]
        return [f"{scheme}://{name}:{port}{self.path}" for name in names]

    def ssl_context(self) -> ssl.SSLContext | None:
        """Raises ``UsageError`` for files that cannot be used."""
        if self.tls is None or isinstance(self.tls, ssl.SSLContext):
            return self.tls
        certificate, key = self.tls
        for what, file in (("certificate", certificate), ("key", key)):
            try:
                with open(file, "rb"):
                    pass
            except OSError as error:
                raise UsageError(f"tls: the {what} {file!r} cannot be read: {error.strerror}") from None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except _Encrypted:
            raise UsageError(f"tls: the key {key!r} is encrypted; decrypt it, or give an ssl.SSLContext") from None
        except ssl.SSLError as error:
            raise UsageError(_unusable(certificate, key, error)) from None
        return context


class _Encrypted(Exception):
    """A key that wants a password, which nobody here could type."""


def _no_password() -> str:
    raise _Encrypted


def _unusable(certificate: str, key: str, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls: the key {key!r} does not belong to the certificate {certificate!r}"
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_verify_locations(certificate)
    except ssl.SSLError:
        return f"tls: {certificate!r} is no certificate in PEM form"
    return f"tls: {key!r} is no key in PEM form ({error.reason or error})"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions(HttpOptions):
    """What a server can be told that owns its process, and besides all of the above."""

    workers: int = 1
    """Processes that share the port. With more than one, legacy clients have no session, since their next request may
    reach another process, and a change reaches the listeners of its own process alone."""
    loop: str = "auto"
    """``"asyncio"`` or ``"uvloop"``; "auto" is uvloop where it is installed."""

    def __post_init__(self) -> None:
        HttpOptions.__post_init__(self)
        if type(self.workers) is not int or self.workers < 1:
            raise UsageError(f"workers: {self.workers!r} is no number of processes; 1 is this process alone")
        if self.loop not in ("auto", "asyncio", "uvloop"):
            raise UsageError(f'loop must be "auto", "asyncio" or "uvloop", not {self.loop!r}')

    @property
    def sessionless(self) -> str | None:
        if self.workers > 1:
            return f"this server runs in {self.workers} processes, which share no sessions (workers={self.workers})"
        return HttpOptions.sessionless.fget(self)  # type: ignore[attr-defined, no-any-return]
