"""Host and Origin: how they are read, and which of them a setting allows. Who asks: guard.py and cors.py.

Why Host is looked at: a page at ``evil.example`` whose name is rebound to our address reaches us with
``Host: evil.example``, and to its browser that is its own origin. It can do so with a name only. A host that is an IP
address, or ``localhost``, cannot be rebound by anybody.

Everything is linear in what was sent; names are compared in lower case without the last dot, addresses as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from mcpcore.errors import UsageError

__all__ = [
    "LONGEST_ORIGIN",
    "AllowedHosts",
    "AllowedOrigins",
    "Authority",
    "Origin",
    "parse_authority",
    "parse_origin",
]

LONGEST_NAME = 253
"""The longest name of the DNS, written with dots."""
LONGEST_ADDRESS = 45
"""The longest IPv6 address, which ends in an IPv4 one."""
LONGEST_ORIGIN = 384
"""Above the longest scheme, name and port together."""

_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_WEB_PORTS = frozenset({80, 443})

Address = IPv4Address | IPv6Address


class Authority(NamedTuple):
    """Host and port of a ``Host`` field. ``name`` is lower-case, or the canonical text of ``address``, no brackets."""

    name: str
    port: int | None
    address: Address | None


class Origin(NamedTuple):
    """A serialised origin (RFC 6454, section 6.2). ``port`` is the scheme's own where none was written."""

    scheme: str
    name: str
    port: int | None
    address: Address | None


def parse_authority(text: str) -> Authority | None:
    """``localhost:8000``, ``[::1]:8000``, ``Example.com.``; ``None`` for what is no host: empty, with user information,
    a zone id, letters outside ASCII (such names travel as punycode), or a number that is no whole address."""
    if text[:1] == "[":
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and rest[0] != ":"):
            return None
        port_text = rest[1:]
        host: tuple[str, Address | None] | None = _ipv6(inside)
    else:
        outside, _, port_text = text.partition(":")
        host = _name_or_ipv4(outside)
    if host is None:
        return None
    port = _port(port_text)
    return None if port is _NO_PORT else Authority(host[0], port, host[1])


_NO_PORT = -1


def _port(text: str) -> int | None:
    """The number, ``None`` where there is none, ``_NO_PORT`` for anything else."""
    if not text:
        return None
    if len(text) > 5 or not (text.isascii() and text.isdigit()) or int(text) > 65535:
        return _NO_PORT
    return int(text)


def _ipv6(text: str) -> tuple[str, Address | None] | None:
    if len(text) > LONGEST_ADDRESS or "%" in text:  # a zone id means something on one machine only
        return None
    try:
        address = IPv6Address(text)
    except ValueError:
        return None
    # Judged as the IPv4 address that it is; Python's own properties of such an address changed with 3.13.
    mapped = address.ipv4_mapped
    return (str(address), address) if mapped is None else (str(mapped), mapped)


def _name_or_ipv4(text: str) -> tuple[str, Address | None] | None:
    if len(text) > LONGEST_NAME + 1:
        return None
    name = text.lower() if text.isascii() else ""
    name = name[:-1] if name[-1:] == "." else name
    if len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None:
        return None
    if _NUMBER.fullmatch(name.rpartition(".")[2]) is None:
        return name, None
    # The URL standard: what ends in a number is an IPv4 address or nothing. So 127.1 and 0x7f000001 pass for no name.
    try:
        address = IPv4Address(name)
    except ValueError:
        return None
    return str(address), address


def parse_origin(text: str) -> Origin | None:
    """``https://example.com:8443``; ``None`` for ``null`` and for whatever a browser would not have written so."""
    if len(text) > LONGEST_ORIGIN or text != text.lower() or text[-1:] == ":":
        return None
    scheme, found, rest = text.partition("://")
    if not found or _SCHEME.fullmatch(scheme) is None:
        return None
    authority = parse_authority(rest)
    if authority is None:
        return None
    port = _DEFAULT_PORTS.get(scheme) if authority.port is None else authority.port
    return Origin(scheme, authority.name, port, authority.address)


def is_loopback(name: str, address: Address | None) -> bool:
    """127.0.0.0/8, ::1, localhost and the names below it, which the DNS never answers (RFC 6761, section 6.3)."""
    return address.is_loopback if address is not None else name == "localhost" or name.endswith(".localhost")


class _Pattern(NamedTuple):
    """``name`` is ``*`` for every host and begins with a dot for every name below; ``port`` None is any."""

    name: str
    port: int | None


def _host_pattern(text: str, setting: str) -> _Pattern:
    stripped = text.strip()
    if stripped.count(":") > 1 and stripped[:1] != "[":
        stripped = f"[{stripped}]"  # an IPv6 address as it stands in every other setting
    anywhere = stripped.endswith(":*")
    stripped = stripped[:-2] if anywhere else stripped
    star, tail = stripped[:1] == "*", stripped[1:]
    if star and (not tail or tail[0] == ":"):
        port = _port(tail[1:])
        if port is not _NO_PORT and tail != ":":
            return _Pattern("*", port)
    authority = parse_authority(tail[1:] if star and tail[:1] == "." else stripped)
    if authority is None or (star and authority.address is not None) or (anywhere and authority.port is not None):
        raise UsageError(
            f'{setting}: {text!r} is no host. Write "example.com", "example.com:8000", "*.example.com", "[::1]", or '
            '"*" for every host; no scheme and no path'
        )
    return _Pattern(f".{authority.name}" if star else authority.name, authority.port)


class AllowedHosts:
    """The hosts that a server answers to: those that its addresses make safe, and those that a setting names."""

    def __init__(
        self, patterns: Iterable[str] = (), *, bound: Iterable[str] = (), setting: str = "allowed_hosts"
    ) -> None:
        """``bound``: names and addresses that the server listens on; without any, as if on every address.

        Raises ``UsageError`` for a pattern that is none.
        """
        self._exact: dict[str, set[int | None]] = {}
        self._below: set[_Pattern] = set()
        self._every: set[int | None] = set()
        self._loopback = False
        self._addresses = False
        names = list(bound)
        for name in names or [""]:
            self._add_bound(name)
        for pattern in patterns:
            self._add(_host_pattern(pattern, setting))

    def _add_bound(self, name: str) -> None:
        host = _ipv6(name.partition("%")[0]) if ":" in name else _name_or_ipv4(name)
        everywhere = not name or (host is not None and host[1] is not None and host[1].is_unspecified)
        if everywhere or name == "unix":
            # On every address, or for whoever stands in front of a Unix socket. Names can be rebound, the rest cannot.
            self._loopback = self._addresses = True
        if everywhere or host is None:  # a machine may call itself what no Host can carry
            return
        if is_loopback(*host):
            self._loopback = True
        else:
            self._add(_Pattern(host[0], None))

    def _add(self, pattern: _Pattern) -> None:
        if pattern.name == "*":
            self._every.add(pattern.port)
        elif pattern.name[0] == ".":
            self._below.add(pattern)
        else:
            self._exact.setdefault(pattern.name, set()).add(pattern.port)

    def serves(self, host: Authority) -> bool:
        """Whether a request with this ``Host`` is meant for us."""
        return self._is_own(host, host) or _port_among(host.port, self._every)

    def owns(self, origin: Origin, host: Authority | None) -> bool:
        """Whether a page of this origin is our own or this machine's.

        Where the setting is wider than a name (every address, ``*.example.com``), only the very host that the request
        is for: other addresses and other names below belong to others. ``*`` says nothing about origins.
        """
        return origin.scheme in {"http", "https"} and self._is_own(origin, host)

    def _is_own(self, seen: Authority | Origin, host: Authority | None) -> bool:
        name, port, address = seen.name, seen.port, seen.address
        if self._loopback and is_loopback(name, address):
            # On any port: forwarded ones (ssh -L, containers) are not the one we listen on, and a page on another
            # port of this machine (a development server in front of us) is as local as we are.
            return True
        if (ports := self._exact.get(name)) is not None and _port_among(port, ports):
            return True
        if host is None or host.name != name:
            return False
        if self._addresses and address is not None:
            return True
        return any(name.endswith(below.name) and _port_among(port, {below.port}) for below in self._below)


def _port_among(port: int | None, allowed: set[int | None]) -> bool:
    # A Host without a port is at its scheme's, and behind a proxy which scheme that was is not known.
    return bool(allowed) and (
        None in allowed or port in allowed or (port is None and not _WEB_PORTS.isdisjoint(allowed))
    )


class AllowedOrigins:
    """The origins that a setting names: ``https://example.com``, ``https://*.example.com``, ``http://localhost:*``,
    ``vscode-webview://*``, and ``*`` for every page there is. Without a port the scheme's own is meant."""

    def __init__(self, patterns: Iterable[str], *, setting: str = "allowed_origins") -> None:
        """Raises ``UsageError`` for a pattern that is none."""
        self.every = False
        self._exact: set[tuple[str, str, int | None]] = set()
        self._any_port: set[tuple[str, str]] = set()
        self._below: set[tuple[str, _Pattern, bool]] = set()
        self._schemes: set[str] = set()
        for pattern in patterns:
            self._add(pattern, setting)

    def _add(self, text: str, setting: str) -> None:
        lowered = text.strip().lower()
        if lowered == "*":
            self.every = True
            return
        scheme, found, rest = lowered.partition("://")
        if not found or _SCHEME.fullmatch(scheme) is None or rest.endswith(("/", ":")):
            raise _not_an_origin(text, setting)
        if rest == "*":
            if scheme in _DEFAULT_PORTS:
                raise UsageError(f'{setting}: {text!r} is every page there is; write "*" if that is meant')
            self._schemes.add(scheme)
            return
        any_port = rest.endswith(":*")
        try:
            pattern = _host_pattern(rest, setting)
        except UsageError:
            raise _not_an_origin(text, setting) from None
        port = _DEFAULT_PORTS.get(scheme) if pattern.port is None else pattern.port
        if pattern.name == "*":
            raise _not_an_origin(text, setting)
        if pattern.name[0] == ".":
            self._below.add((scheme, _Pattern(pattern.name, port), any_port))
        elif any_port:
            self._any_port.add((scheme, pattern.name))
        else:
            self._exact.add((scheme, pattern.name, port))

    def allows(self, origin: Origin) -> bool:
        """Whether one of the patterns names this origin. What is no origin at all passes where ``every`` is true."""
        scheme, name, port, _ = origin
        if self.every or (scheme, name, port) in self._exact or (scheme, name) in self._any_port:
            return True
        return scheme in self._schemes or any(
            scheme == its and name.endswith(below.name) and (any_port or port == below.port)
            for its, below, any_port in self._below
        )


def _not_an_origin(text: str, setting: str) -> UsageError:
    if text.strip().lower() == "null":
        return UsageError(f'{setting}: any page can have the origin "null"; write "*" if every page is meant')
    return UsageError(
        f'{setting}: {text!r} is no origin. Write "https://example.com", "https://*.example.com", '
        '"http://localhost:*", or "*" for every page; scheme, host and port, no path'
    )
