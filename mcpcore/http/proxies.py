"""Which proxy a request goes through: the variables that every tool reads, and a proxy given by its URL.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in lower case first. ``HTTP_PROXY`` in upper case is
not read in a CGI program, where a client's header could set it. This machine is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from mcpcore.http.url import Url, parse_url

__all__ = ["Proxy", "proxy_from", "proxy_in_environment"]


class Proxy:
    """``authorization`` is the value of ``Proxy-Authorization``; with ``tls`` the proxy itself is spoken to in TLS."""

    __slots__ = ("authorization", "host", "port", "tls")

    def __init__(self, host: str, port: int, *, tls: bool = False, authorization: str | None = None) -> None:
        self.host = host
        self.port = port
        self.tls = tls
        self.authorization = authorization

    def __str__(self) -> str:
        return f"the proxy {self.host}:{self.port}"


def proxy_from(text: str) -> Proxy:
    """The proxy at this URL; ``host:port`` alone means http. Raises ``ValueError``."""
    url = parse_url(text if "://" in text else f"http://{text}")
    if url.socket is not None:
        raise ValueError("a proxy is reached by http or https")
    return Proxy(url.host, url.port, tls=url.tls, authorization=url.authorization)


def proxy_in_environment(url: Url, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this URL; ``None`` where it is reached directly. Raises ``ValueError`` that names the variable."""
    if url.socket is not None or _is_here(url.host) or _is_excepted(url, _value("no_proxy", environ)):
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        text = _value(name, environ)
        if text:
            try:
                return proxy_from(text)
            except ValueError as error:
                raise ValueError(f"{name.upper()}: {error}") from None
    return None


def _value(name: str, environ: Mapping[str, str]) -> str:
    found = environ.get(name)
    if found is None and not (name == "http_proxy" and "REQUEST_METHOD" in environ):
        found = environ.get(name.upper())
    return (found or "").strip()


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _is_excepted(url: Url, exceptions: str) -> bool:
    """``*``, names with all below them, ``host:port``, addresses and networks, separated by commas."""
    return any(_excepts(entry.strip().lower(), url) for entry in exceptions.split(",") if entry.strip())


def _excepts(entry: str, url: Url) -> bool:
    if entry == "*":
        return True
    address = _address(url.host)
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in name or name.startswith("[")):
        if int(port) != url.port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").removeprefix(".")
    if address is not None:
        return _address(entry) == address
    return url.host == entry or url.host.endswith(f".{entry}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
