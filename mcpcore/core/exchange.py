"""The two halves of a request: ``Exchange`` (asked of us) and ``Pending`` (asked by us). State only, no I/O.

Both are ordinary classes whose rare members are class attributes: creating one costs a quarter of a microsecond, and
most requests never touch them. A shell may store what it needs in ``task`` and ``waiter``; the core never reads those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcpcore.core.peer import Batch, News, Peer
    from mcpcore.core.policy import Policy
    from mcpcore.errors import McpError
    from mcpcore.spec.revisions import Revision

__all__ = ["Exchange", "Outcome", "Pending", "Serve"]

Id = int | str

Outcome = "bytes | dict[str, Any] | None"
"""What serving gives: the members of a result as JSON without braces (never empty, no ``_meta``), a result object, or
``None`` where the exchange stays open and is answered later."""

if TYPE_CHECKING:
    Serve = Callable[["Exchange"], bytes | dict[str, Any] | Awaitable[bytes | dict[str, Any] | None] | None]
else:
    Serve = object


class Exchange:
    """One request of the peer, from admission to its answer. ``open`` turns false with the answer or a cancellation."""

    open: bool = True
    cancelled: bool = False
    batch: Batch | None = None
    asking: Any = None
    """The questions this request asks of the client, once it has asked one (``server/asking.py``)."""
    task: Any = None
    """The shell's running handler."""
    on_cancel: Callable[[], None] | None = None
    """Called once when the peer cancels, before the task is."""
    progress: float | None = None
    """The last progress value sent."""
    progress_slot: tuple[int, int] | None = None
    """Where the last progress frame waits in the outbox: (flush number, index)."""

    def __init__(
        self,
        peer: Peer,
        id: Id,
        method: str,
        params: dict[str, Any],
        meta: dict[str, Any] | None,
        policy: Policy,
        revision: Revision,
        serve: Serve,
    ) -> None:
        self.peer = peer
        self.id = id
        self.method = method
        self.params = params
        self.meta = meta
        self.policy = policy
        self.revision = revision
        self.serve = serve
        self.stream = peer.stream

    def __repr__(self) -> str:
        return f"<Exchange {self.method} id={self.id!r}>"

    @property
    def principal(self) -> str:
        """Who asks, as the transport found out."""
        return "anonymous" if self.stream is None else self.stream.principal

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The header fields of the request, names in lower case; ``None`` where the transport has none."""
        return None if self.stream is None else self.stream.headers

    @property
    def capabilities(self) -> dict[str, Any]:
        """The client capabilities that hold for this request, as they came."""
        return self.policy.client_capabilities(self)

    def notify(self, method: str, params: dict[str, Any] | None, news: News | None = None) -> None:
        """A notification that travels with this request's answer; dropped once the exchange is closed."""
        if self.open:
            self.peer.notify(method, params, self, news)


class Pending:
    """One request of ours, from sending to its answer. Exactly one of ``result`` and ``error`` is set at the end."""

    result: dict[str, Any] | None = None
    error: McpError | None = None
    waiter: Any = None
    """The shell's future."""
    on_progress: Callable[[dict[str, Any]], None] | None = None
    related: Exchange | None = None
    settled: bool = False

    def __init__(self, id: Id, method: str) -> None:
        self.id = id
        self.method = method

    def __repr__(self) -> str:
        return f"<Pending {self.method} id={self.id!r}>"
