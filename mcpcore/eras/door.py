"""Where a message enters: its era is chosen here, once, and nobody asks again.

A request whose ``_meta`` carries the envelope is modern, whatever came before; ``initialize`` and messages without an
envelope belong to the legacy session of the connection.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#compatibility-matrix
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.eras.legacy import LegacyClient, LegacyServer
from mcpcore.eras.modern import ModernClient, ModernServer
from mcpcore.spec.meta import CLIENT_CAPABILITIES, PROTOCOL_VERSION
from mcpcore.spec.revisions import MODERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpcore.core.limits import Limits
    from mcpcore.core.peer import Peer
    from mcpcore.core.policy import Policy, Service
    from mcpcore.spec.revisions import Revision

__all__ = ["ClientDoor", "LegacyDoor", "ModernDoor", "ServerDoor", "is_modern", "is_modern_post"]

_MODERN_METHODS = frozenset({"server/discover", "subscriptions/listen"})


class ServerDoor:
    """The door of one connection of a server that serves ``revisions`` (oldest first)."""

    def __init__(self, service: Service, limits: Limits, revisions: Sequence[Revision]) -> None:
        newest_first = list(reversed(revisions))
        legacy = [revision for revision in newest_first if not revision.modern]
        self.legacy = LegacyServer(service, limits, legacy) if legacy else None
        self.modern = ModernServer(service, limits, newest_first) if newest_first[0].modern else None

    @property
    def batches(self) -> bool:
        session = self.legacy.revision if self.legacy is not None else None
        return session is not None and session.batches

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> Policy:
        modern, legacy = self.modern, self.legacy
        if legacy is None or (modern is not None and is_modern(method, meta)):
            assert modern is not None
            return modern
        return legacy

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        """Tell this connection that a list or a resource changed; each era tells those who listen in it."""
        if self.legacy is not None:
            self.legacy.changed(peer, topic, uri)
        if self.modern is not None:
            self.modern.changed(peer, topic, uri)

    def end(self, peer: Peer) -> None:
        if self.modern is not None:
            self.modern.end(peer)


class _OneEra:
    """The door of messages whose era is known: over HTTP the endpoint has looked at header and body."""

    policy: Policy

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> Policy:
        return self.policy

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        self.policy.changed(peer, topic, uri)

    def end(self, peer: Peer) -> None:
        self.policy.end(peer)


class ModernDoor(_OneEra):
    """The door of modern requests."""

    batches = False

    def __init__(self, service: Service, limits: Limits, revisions: Sequence[Revision]) -> None:
        self.policy = ModernServer(service, limits, list(reversed(revisions)))


class LegacyDoor(_OneEra):
    """The door of one legacy session, among others of the same server."""

    policy: LegacyServer

    def __init__(self, service: Service, limits: Limits, revisions: Sequence[Revision]) -> None:
        legacy = [revision for revision in reversed(revisions) if not revision.modern]
        self.policy = LegacyServer(service, limits, legacy)

    @property
    def batches(self) -> bool:
        session = self.policy.revision
        return session is not None and session.batches

    @property
    def primes_streams(self) -> bool:
        """Whether its client understands an event that only carries an id."""
        session = self.policy.revision
        return session is not None and session.primes_streams


def is_modern(method: str, meta: dict[str, Any] | None) -> bool:
    """Whether a message belongs to the modern era whatever came before: by its envelope, or by its method."""
    if meta is not None and (PROTOCOL_VERSION in meta or CLIENT_CAPABILITIES in meta):
        return True
    return method in _MODERN_METHODS


def is_modern_post(version: str | None, message: Any) -> bool:
    """Whether a message that came by HTTP POST is modern: its ``MCP-Protocol-Version`` header says so, or its envelope.

    Where they disagree the header check will say so; a message of neither kind belongs to a session.
    """
    if version == MODERN.name:
        return True
    if type(message) is not dict:
        return False
    method, params = message.get("method"), message.get("params")
    meta = params.get("_meta") if type(params) is dict else None
    return is_modern(method if type(method) is str else "", meta if type(meta) is dict else None)


class ClientDoor:
    """The door of a client: one policy, known once the probe has its verdict."""

    def __init__(self) -> None:
        self.policy: LegacyClient | ModernClient | None = None

    @property
    def batches(self) -> bool:
        return self.policy is not None and self.policy.revision.batches

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> Any:
        return self.policy if self.policy is not None else self

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> None:
        """Whatever a server says before the verdict belongs to no revision."""
        return None

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None: ...

    def end(self, peer: Peer) -> None: ...
