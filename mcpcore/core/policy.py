"""The questions on which the eras disagree. ``eras/`` answers them and nothing else may ask which era it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpcore.core.events import Event
    from mcpcore.core.exchange import Exchange, Serve
    from mcpcore.core.peer import Peer
    from mcpcore.errors import RpcError
    from mcpcore.spec.revisions import Revision

__all__ = ["Door", "Policy", "Service"]

Id = int | str


class Service(Protocol):
    """What a server (or the answering side of a client) offers to the eras."""

    def routes(self, revision: Revision) -> Mapping[str, Serve]:
        """The requests served in this revision. Whatever is missing here is answered with "method not found"."""
        ...

    def around(self, serve: Serve) -> Serve:
        """``serve`` inside whatever the application wants around every message."""
        ...

    def identity(self, revision: Revision) -> dict[str, Any]:
        """The ``serverInfo`` (or ``clientInfo``) as this revision knows it."""
        ...

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        """The capabilities as this revision knows them."""
        ...

    def cache_hint(self, method: str) -> dict[str, Any]:
        """``ttlMs`` and ``cacheScope`` of a cacheable result."""
        ...

    instructions: str | None

    def make_asker(self, exchange: Exchange, replays: bool) -> Any:
        """How this exchange asks the client: by a request, or by stopping and being run again."""
        ...


class Policy(Protocol):
    """One era's answers, for one conversation."""

    result_open: bytes
    """What stands between the id of an answer and the members of its result."""

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        """May this request run, and as whom? Raises ``RpcError`` where it may not."""
        ...

    def finish(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        """The result as this era and revision want it."""
        ...

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        """A notification came that is not a cancellation."""
        ...

    def client_capabilities(self, exchange: Exchange) -> dict[str, Any]: ...

    def client_info(self, exchange: Exchange) -> dict[str, Any] | None: ...

    def missing_capability(self, text: str, required: dict[str, Any]) -> RpcError:
        """The refusal of a request that needs what the client did not declare."""
        ...

    def error(self, error: RpcError) -> RpcError:
        """An error as this era may say it: some codes of one era are forbidden in the other."""
        ...

    def asker(self, exchange: Exchange) -> Any:
        """How this request asks the client for something."""
        ...

    def may_ask(self, exchange: Exchange) -> None:
        """Raises ``RpcError`` while the client may not be asked."""
        ...

    def log_threshold(self, exchange: Exchange) -> str | None:
        """The least severe level that may be sent for this request, or ``None`` for nothing."""
        ...

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        """Tell whoever listens here that a list (``tools``, ``prompts``, ``resources``) or a resource changed."""
        ...

    def end(self, peer: Peer) -> None:
        """The conversation ends in an orderly way: say what has to be said."""
        ...


class Door(Protocol):
    """Chooses the policy of a message, once."""

    @property
    def batches(self) -> bool:
        """Whether several messages may come as one array: in a session of 2025-03-26 alone."""
        ...

    def policy_for(self, method: str, meta: dict[str, Any] | None) -> Policy: ...

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None: ...

    def end(self, peer: Peer) -> None: ...
