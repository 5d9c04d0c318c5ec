"""The sockets that an HTTP server listens on: bound here, before anything is served. Who accepts is ``http_server.py``.

Sockets are bound without listening. Nobody can take the address from then on, and no client is kept waiting by a server
that may never come to serve; a process that listens early calls ``listen`` itself.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpcore.transports.http_options import HttpOptions

__all__ = ["bind", "bind_copies", "bound_port", "cannot_listen"]

_ATTEMPTS = 10
"""Free ports tried until one is free on every address."""


def bind(options: HttpOptions) -> list[socket.socket]:
    """One socket for each address, not listening. Raises ``UsageError`` where an address cannot be had."""
    try:
        return _bind_unix(options.unix) if options.unix is not None else _bind_hosts(options, shared=False)
    except OSError as error:
        raise cannot_listen(options, error) from None


def bind_copies(options: HttpOptions, count: int) -> list[list[socket.socket]]:
    """The sockets of ``count`` processes. Linux spreads connections evenly over sockets of their own; elsewhere, and
    for a Unix socket, all processes accept from the same ones.

    Measured with 64 connections and four processes: sockets of their own give the busiest one 1.2 times its share,
    shared ones three times, since a process that wakes first takes whatever waits.
    """
    first = bind(options)
    if options.unix is not None or not sys.platform.startswith("linux"):
        return [first] * count
    # The first ones have shown that no other server is there, not even one that would have shared its port.
    chosen = replace(options, port=bound_port(first) or 0)
    for sock in first:
        sock.close()
    try:
        return [_bind_hosts(chosen, shared=True) for _ in range(count)]
    except OSError as error:
        raise cannot_listen(options, error) from None


def bound_port(sockets: Sequence[socket.socket]) -> int | None:
    """The port of them all; ``None`` for a Unix socket."""
    name = sockets[0].getsockname()
    return name[1] if isinstance(name, tuple) else None


def cannot_listen(options: HttpOptions, error: OSError) -> UsageError:
    """What somebody has to know who wanted these addresses."""
    place = options.unix or ", ".join(f"{name}:{options.port}" for name in options.hosts)
    if error.errno == errno.EADDRINUSE:
        other = "another path" if options.unix is not None else "another port, or 0 for a free one"
        return UsageError(f"{place} is in use already; choose {other}")
    if isinstance(error, socket.gaierror):
        text = f"there is no such host name or address here ({error.strerror})"
    elif error.errno == errno.EACCES and options.unix is None and 0 < options.port < 1024:
        text = "ports below 1024 need special rights; choose another one"
    else:
        text = error.strerror or str(error)
    return UsageError(f"cannot listen on {place}: {text}")


def _bind_hosts(options: HttpOptions, *, shared: bool) -> list[socket.socket]:
    addresses = _addresses(options)
    for attempt in range(_ATTEMPTS):
        try:
            return _bind_all(addresses, options.port, shared)
        except OSError as error:
            if options.port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _addresses(options: HttpOptions) -> list[tuple[int, tuple[object, ...]]]:
    """Family and address of everything that the names stand for, each once."""
    found: dict[tuple[int, tuple[object, ...]], None] = {}
    for name in options.hosts:
        entries = socket.getaddrinfo(name or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in entries:
            if family in (socket.AF_INET, socket.AF_INET6):
                found[family, address] = None
    return list(found)


def _bind_all(addresses: list[tuple[int, tuple[object, ...]]], port: int, shared: bool) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sock = _bind_one(family, (address[0], port, *address[2:]), shared)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error  # such as ::1 on a machine without IPv6; its other addresses will do
                continue
            sockets.append(sock)
            port = sock.getsockname()[1]  # the same one on every address
        if not sockets:
            raise absent or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_one(family: int, address: tuple[object, ...], shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> list[socket.socket]:
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError("unix: this system has no Unix sockets; listen on an address")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return [sock]


def _remove_stale(path: str) -> None:
    """A socket that a server left behind when it was killed: nobody answers there. Anything else is in the way."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return
