"""The eras as a bridge sees them: everything is let through, and answered by what the server behind says.

These are policies like those of ``eras/``; whatever they would have to know of a method, the server behind knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Event, Notified
from mcpcore.core.exchange import Exchange
from mcpcore.eras.door import is_modern
from mcpcore.errors import RpcError
from mcpcore.spec import codes
from mcpcore.spec.revisions import BY_NAME, LATEST_LEGACY, MODERN, Revision

if TYPE_CHECKING:
    from mcpcore.bridge.conversation import Conversation
    from mcpcore.core.peer import Peer

__all__ = ["LegacyFront", "ModernFront", "PipeDoor", "UpstreamDoor"]

Id = int | str


class _Open:
    """What every policy here has in common: nothing is known, and nothing added."""

    result_open = b',"result":{'

    def finish(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        return result

    def error(self, error: RpcError) -> RpcError:
        return error

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        return Notified(method, params)

    def client_capabilities(self, exchange: Exchange) -> dict[str, Any]:
        return {}

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        """The server behind tells by itself."""


class ModernFront(_Open):
    """Modern requests. All of them share one conversation with the server behind."""

    batches = False

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def policy(self) -> ModernFront:
        return self

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> ModernFront:
        return self

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        return Exchange(peer, id, method, params, meta, self, MODERN, self._conversation.forward)  # type: ignore[arg-type]

    def end(self, peer: Peer) -> None:
        """The bridge stops: streams of changes end with their connections."""


class LegacyFront(_Open):
    """One legacy session, with a conversation of its own."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.revision: Revision | None = None

    @property
    def policy(self) -> LegacyFront:
        return self

    @property
    def batches(self) -> bool:
        return self.revision is not None and self.revision.batches

    @property
    def primes_streams(self) -> bool:
        return self.revision is not None and self.revision.primes_streams

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> LegacyFront:
        return self

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        if method == "initialize":
            if self.revision is not None:
                raise RpcError(codes.INVALID_REQUEST, "initialize: this session is initialized already")
            wanted = params.get("protocolVersion")
            known = BY_NAME.get(wanted) if type(wanted) is str else None
            self.revision = known if known is not None and not known.modern else LATEST_LEGACY
        revision = self.revision or LATEST_LEGACY
        return Exchange(peer, id, method, params, meta, self, revision, self._conversation.forward)  # type: ignore[arg-type]

    def agreed(self, result: dict[str, Any]) -> None:
        """The server behind answered the handshake."""
        version = result.get("protocolVersion")
        known = BY_NAME.get(version) if type(version) is str else None
        if known is not None and not known.modern:
            self.revision = known

    def end(self, peer: Peer) -> None: ...


class PipeDoor:
    """Both eras on one pipe, message by message."""

    def __init__(self, modern: ModernFront, legacy: LegacyFront) -> None:
        self._modern = modern
        self._legacy = legacy

    @property
    def batches(self) -> bool:
        return self._legacy.batches

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> Any:
        return self._modern if is_modern(method, meta) else self._legacy

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None: ...

    def end(self, peer: Peer) -> None: ...


class UpstreamDoor(_Open):
    """What the server behind asks of us, we ask of our client."""

    batches = False

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> UpstreamDoor:
        return self

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        return Exchange(peer, id, method, params, meta, self, LATEST_LEGACY, self._conversation.ask_back)  # type: ignore[arg-type]

    def end(self, peer: Peer) -> None: ...
