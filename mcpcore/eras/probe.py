"""The client's opening: what to send first, and which era the answers prove. A pure state machine.

The driver sends what ``Step`` says, reports what came, and gets the next ``Step`` or a ``Verdict``. On a timeout of
``server/discover`` both requests are under way at once, because a server may merely start slowly: whichever answer
proves an era first decides.

- A ``DiscoverResult`` proves a modern server. So does a recognised modern error: after one, ``initialize`` is never
sent.
- Any other error, whatever its code, or silence, means legacy: ``initialize``. But where the server wants credentials
  first, it has said nothing about its era.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio#backward-compatibility
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.errors import ConnectFailed, McpError, RpcError, Unauthorized, UnsupportedRevision
from mcpcore.spec import codes
from mcpcore.spec.revisions import BY_NAME, MODERN, Revision

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Probe", "Step", "Verdict"]


class Verdict:
    """What a server turned out to speak: ``revision`` is the name of the newest one that both sides know.

    Keep it and give it to the next client of the same server: it saves the probe. A verdict that no longer holds is
    corrected at the next connection, not trusted.
    """

    __slots__ = ("revision",)

    def __init__(self, revision: str) -> None:
        self.revision = revision

    def __repr__(self) -> str:
        return f"Verdict({self.revision!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and other.revision == self.revision

    def __hash__(self) -> int:
        return hash(self.revision)


class Step:
    """Send this request. ``patience`` tells whether silence may be answered by ``Probe.silent``."""

    __slots__ = ("method", "patience", "revision")

    def __init__(self, method: str, revision: Revision, patience: bool = False) -> None:
        self.method = method
        self.revision = revision
        self.patience = patience


_ATTEMPTS = 3


class Probe:
    """``allowed`` are the revisions the client may speak, oldest first."""

    def __init__(self, allowed: Sequence[Revision], verdict: Verdict | None = None) -> None:
        self._legacy = [revision for revision in allowed if not revision.modern]
        self._modern = bool(allowed) and allowed[-1].modern
        self._trusted = BY_NAME.get(verdict.revision) if verdict is not None else None
        self._offered: tuple[str, ...] = ()
        self._discovers = 0
        self._handshakes = 0
        self.result: dict[str, Any] = {}
        """The ``DiscoverResult`` or ``InitializeResult`` that decided."""

    def first(self) -> Step:
        if not self._modern or (self._trusted is not None and self._trusted in self._legacy):
            return self._initialize(self._trusted if self._trusted in self._legacy else None)
        return self._discover()

    def silent(self) -> Step | None:
        """``server/discover`` got no answer in time."""
        if self._legacy and not self._handshakes:
            return self._initialize(None)
        return None

    def answered(self, step: Step, result: dict[str, Any]) -> Step | Verdict | None:
        """A result came. ``None`` means: keep waiting for the other request. Raises where nothing is left to try."""
        if step.method == "server/discover":
            return self._discovered(result)
        version = result.get("protocolVersion")
        revision = BY_NAME.get(version) if type(version) is str else None
        if revision is None or revision not in self._legacy:
            offered = (version,) if type(version) is str else ()
            raise self._unsupported(offered)
        self.result = result
        return Verdict(revision.name)

    def failed(self, step: Step, error: McpError, others: bool) -> Step | None:
        """A request failed; ``others`` tells whether another one is still under way."""
        if step.method == "server/discover":
            return self._discover_failed(error, others)
        return self._initialize_failed(error, others)

    # -- the answers ---------------------------------------------------------------------------------------------------

    def _discovered(self, result: dict[str, Any]) -> Step | Verdict | None:
        versions = result.get("supportedVersions")
        known = result.get("resultType", "complete") == "complete"
        if not known or type(versions) is not list or type(result.get("capabilities")) is not dict:
            return None if self._handshakes else self._fall_back()
        if MODERN.name in versions:
            self.result = result
            return Verdict(MODERN.name)
        common = [revision for revision in self._legacy if revision.name in versions]
        if not common:
            raise self._unsupported(tuple(str(version) for version in versions))
        return None if self._handshakes else self._initialize(common[-1])

    def _discover_failed(self, error: McpError, others: bool) -> Step | None:
        if isinstance(error, RpcError) and error.code in codes.MODERN_CODES:
            supported = _names(error, "supported")
            if error.code == codes.UNSUPPORTED_PROTOCOL_VERSION and MODERN.name not in supported:
                raise self._unsupported(supported)
            if self._discovers >= _ATTEMPTS:
                raise error
            return self._discover()
        if isinstance(error, Unauthorized):
            raise error
        if others:
            return None
        if self._handshakes:
            raise error
        return self._fall_back()

    def _initialize_failed(self, error: McpError, others: bool) -> Step | None:
        if others:
            return None
        supported = _names(error, "supported")
        if self._modern and not self._discovers:
            return self._discover()
        common = [revision for revision in self._legacy if revision.name in supported]
        if common and self._handshakes < _ATTEMPTS:
            return self._initialize(common[-1])
        if supported:
            raise self._unsupported(supported)
        raise error

    # -- the steps -----------------------------------------------------------------------------------------------------

    def _discover(self) -> Step:
        self._discovers += 1
        patience = bool(self._legacy) and self._trusted is not MODERN
        return Step("server/discover", MODERN, patience)

    def _initialize(self, revision: Revision | None) -> Step:
        self._handshakes += 1
        return Step("initialize", revision or self._legacy[-1])

    def _fall_back(self) -> Step:
        if not self._legacy:
            raise ConnectFailed(
                "the server does not speak 2026-07-28, and this client is pinned to it; allow a legacy revision"
            )
        return self._initialize(None)

    def _unsupported(self, offered: tuple[str, ...]) -> UnsupportedRevision:
        ours = ", ".join(revision.name for revision in self._legacy) + (", " + MODERN.name if self._modern else "")
        theirs = ", ".join(offered) or "nothing it named"
        return UnsupportedRevision(
            f"no common protocol revision: the server offers {theirs}; this client speaks {ours.strip(', ')}", offered
        )


def _names(error: McpError, member: str) -> tuple[str, ...]:
    data = error.data if isinstance(error, RpcError) else None
    names = data.get(member) if type(data) is dict else None
    return tuple(name for name in names if type(name) is str) if type(names) is list else ()
