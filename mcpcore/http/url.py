"""Where a server is: an ``http``, ``https`` or ``http+unix`` URL, taken apart once, and what may follow from it.

The credentials of a URL become a header and are shown nowhere; its query is not shown either, since keys travel there.
Redirects and the ``endpoint`` event of HTTP+SSE lead to the same origin or nowhere (``Url.joined``).
"""

from __future__ import annotations

import binascii
import re
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

__all__ = ["SCHEMES", "Url", "parse_url"]

SCHEMES: Final = {"http": 80, "https": 443, "http+unix": 0}
"""The schemes of a server's URL and their ports."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_KEPT = "/?:@!$&'()*+,;=-._~%[]"
"""What a path and a query keep; everything else is percent-encoded."""
_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")


class Url:
    """``target`` is path and query as they go into a request line, ``authority`` the value of ``Host``."""

    __slots__ = ("authority", "authorization", "host", "port", "scheme", "socket", "target")

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        target: str,
        socket: str | None = None,
        authorization: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target
        self.socket = socket
        """The path of a Unix socket."""
        self.authorization = authorization
        """The value of ``Authorization`` that the user and password of the URL make."""
        shown = f"[{host}]" if ":" in host else host
        self.authority = shown if port == SCHEMES[scheme] else f"{shown}:{port}"

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """What two URLs share that may share credentials."""
        if self.socket is not None:
            return f"http+unix://{quote(self.socket, safe='')}"
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        """For errors and logs: no credentials, no query."""
        path, query, _ = self.target.partition("?")
        return self.origin + path + ("?…" if query else "")

    def __repr__(self) -> str:
        return f"<Url {self}>"

    def joined(self, reference: str) -> Url:
        """The URL that ``reference`` means here. Raises ``ValueError`` where it leads to another origin."""
        base = f"http://unix.invalid{self.target}" if self.socket is not None else self.origin + self.target
        found = parse_url(urljoin(base, reference.strip()))
        same = found.authority == "unix.invalid" if self.socket is not None else found.origin == self.origin
        if not same:
            raise ValueError(f"it leads to another origin, {found.origin}")
        return Url(self.scheme, self.host, self.port, found.target, self.socket, self.authorization)


def parse_url(text: str) -> Url:
    """Raises ``ValueError`` for what is no absolute URL of these schemes; its text repeats nothing of the URL."""
    if _UNSAFE.search(text):
        raise ValueError("a URL must not hold white space or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"its scheme must be one of {', '.join(SCHEMES)}")
    target = quote(parts.path or "/", safe=_KEPT) + (f"?{quote(parts.query, safe=_KEPT)}" if parts.query else "")
    if not target.startswith("/"):
        raise ValueError("its path must begin with a slash")
    userinfo, _, address = parts.netloc.rpartition("@")
    authorization = _basic(userinfo) if userinfo else None
    if parts.scheme == "http+unix":
        socket = unquote(address)
        if not socket:
            raise ValueError("it names no socket: http+unix://%2Frun%2Fserver.sock/mcp")
        return Url("http+unix", "localhost", 0, target, socket, authorization)
    host = _host(address)
    return Url(parts.scheme, host, SCHEMES[parts.scheme] if port is None else port, target, None, authorization)


def _host(address: str) -> str:
    """The host in the form in which it is looked up, without its port."""
    host = address[: address.index("]") + 1] if address.startswith("[") and "]" in address else address.split(":")[0]
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("its host cannot be written in ASCII") from None
    if not _HOST.fullmatch(host):
        raise ValueError("it names no host" if not host else "its host cannot be read")
    return host.strip("[]").lower()


def _basic(userinfo: str) -> str:
    """RFC 7617. A user without a password has an empty one."""
    user, _, password = userinfo.partition(":")
    token = f"{unquote(user)}:{unquote(password)}".encode()
    return "Basic " + binascii.b2a_base64(token, newline=False).decode()
