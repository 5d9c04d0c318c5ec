"""``mcpcore bridge``: reach a server of one transport over another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["bridge"]


def bridge(arguments: argparse.Namespace, target: list[str]) -> int:
    """Serve until the input ends or a signal comes; the process ends with it."""
    from mcpcore.bridge.bridge import Bridge

    to: str | list[str] = target
    if len(target) == 1 and "://" in target[0]:
        to = target[0]
    transport = arguments.transport or ("stdio" if isinstance(to, str) else "http")
    headers = dict(_header(text) for text in arguments.header)
    if headers and not isinstance(to, str):
        raise UsageError("--header is for a server at a URL")
    options: dict[str, Any] = {}
    if transport == "http":
        options = {"host": arguments.host, "port": arguments.port, "path": arguments.path}
        if arguments.allowed_host:
            options["allowed_hosts"] = arguments.allowed_host
        if arguments.cors:
            options["cors"] = arguments.cors
    Bridge(to, headers=headers).run(transport, **options)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header {text.split(':')[0]!r}: write it as NAME:VALUE")
    return name.strip(), value.strip()
