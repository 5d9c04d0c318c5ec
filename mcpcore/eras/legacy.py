"""The session era (2024-11-05 to 2025-11-25): a handshake first, then facts that hold for the whole connection.

Specification: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Event, Notified
from mcpcore.core.exchange import Exchange
from mcpcore.errors import QuestionFailed, RpcError
from mcpcore.spec import codes
from mcpcore.spec.members import RESULT_KINDS, sieve
from mcpcore.spec.meta import LOG_LEVELS
from mcpcore.spec.methods import REQUESTS, check_params
from mcpcore.spec.revisions import BY_NAME, LATEST_LEGACY, Revision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpcore.core.exchange import Serve
    from mcpcore.core.limits import Limits
    from mcpcore.core.peer import Peer
    from mcpcore.core.policy import Service

__all__ = ["LegacyClient", "LegacyServer"]

Id = int | str


def _serve_ping(exchange: Exchange) -> dict[str, Any]:
    return {}


class LegacyServer:
    """The session of one connection. ``supported`` lists the legacy revisions it may negotiate, newest first."""

    result_open = b',"result":{'

    def __init__(self, service: Service, limits: Limits, supported: Sequence[Revision]) -> None:
        self._service = service
        self._limits = limits
        self._supported = supported
        self._routes: Mapping[str, Serve] = {}
        self._own: dict[str, Serve] = {"ping": service.around(_serve_ping)}
        self._declared: dict[str, Any] = {}
        self._subscribed: dict[str, None] = {}
        self.revision: Revision | None = None
        self.initialized = False
        self.info: dict[str, Any] | None = None
        self.capabilities: dict[str, Any] = {}
        self.log_level: str = LOG_LEVELS[0]
        self._sessionless: str | None = None

    def without_session(self, why: str) -> None:
        """Nothing is remembered of the client from one request to the next; ``why`` says so to who would need it."""
        self._sessionless = why

    def assume(self, revision: Revision) -> None:
        """Serve as if the handshake had been made elsewhere: nothing is known of the client."""
        self._settle(revision)

    # -- may it run? ---------------------------------------------------------------------------------------------------

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        revision = self.revision
        if revision is None or method == "initialize":
            return self._open(peer, id, method, params, meta)
        serve = self._routes.get(method) or self._own.get(method)
        if serve is None:
            raise RpcError(codes.METHOD_NOT_FOUND, f"Method not found: {method[:200]}")
        return Exchange(peer, id, method, params, meta, self, revision, serve)

    def _open(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        """Before the handshake only ``ping`` and the handshake itself are served, and the latter once."""
        if method == "ping":
            return Exchange(peer, id, method, params, meta, self, LATEST_LEGACY, self._own["ping"])
        if method != "initialize":
            if method == "server/discover":
                raise RpcError(codes.METHOD_NOT_FOUND, f"Method not found: {method}")
            # The code that 2026-07-28 wants where its envelope is missing (basic/index#meta); legacy leaves it open.
            raise RpcError(
                codes.INVALID_PARAMS,
                f"{method[:200]}: send initialize first, or the 2026-07-28 envelope in params._meta",
            )
        if self.revision is not None:
            raise RpcError(
                codes.INVALID_REQUEST, "initialize: this session is initialized already; open a new connection"
            )
        fault = check_params(method, params, LATEST_LEGACY)
        if fault is not None:
            raise RpcError(codes.INVALID_PARAMS, f"initialize: {fault}")
        self._negotiate(params)
        assert self.revision is not None
        return Exchange(peer, id, method, params, meta, self, self.revision, self._service.around(self._initialize))

    def _negotiate(self, params: dict[str, Any]) -> None:
        """The requested revision where it is served, else the newest one (lifecycle#version-negotiation)."""
        wanted = BY_NAME.get(params["protocolVersion"])
        revision = wanted if wanted in self._supported else self._supported[0]
        self.info = params["clientInfo"]
        self.capabilities = params["capabilities"]
        assert revision is not None
        self._settle(revision)

    def _settle(self, revision: Revision) -> None:
        self.revision = revision
        self._routes = self._service.routes(revision)
        own = self._service.capabilities(revision)
        if self._sessionless is not None:
            own = {name: _of_one_request(value) for name, value in own.items() if name != "logging"}
        self._declared = own
        if "logging" in own:
            self._own["logging/setLevel"] = self._service.around(self._set_level)
        if own.get("resources", {}).get("subscribe"):
            self._own["resources/subscribe"] = self._service.around(self._subscribe)
            self._own["resources/unsubscribe"] = self._service.around(self._unsubscribe)

    # -- who asks ------------------------------------------------------------------------------------------------------

    def client_capabilities(self, exchange: Exchange) -> dict[str, Any]:
        return self.capabilities

    def client_info(self, exchange: Exchange) -> dict[str, Any] | None:
        return self.info

    def log_threshold(self, exchange: Exchange) -> str | None:
        if self._sessionless is not None:
            return None
        return self.log_level if self.revision is not None else None  # a notification may come before any session

    def missing_capability(self, text: str, required: dict[str, Any]) -> RpcError:
        """Legacy revisions define no code for this."""
        return RpcError(codes.INVALID_REQUEST, text, {"requiredCapabilities": required})

    def error(self, error: RpcError) -> RpcError:
        if isinstance(error, QuestionFailed):
            return RpcError(codes.INTERNAL_ERROR, f"the client answered a question with an error: {error}")
        return error

    def asker(self, exchange: Exchange) -> Any:
        return self._service.make_asker(exchange, False)

    def may_ask(self, exchange: Exchange) -> None:
        if self._sessionless is not None:
            text = f"{exchange.method}: the client cannot be asked: {self._sessionless}"
            raise RpcError(codes.INVALID_REQUEST, text)
        if not self.initialized:
            text = f"{exchange.method}: the client may be asked only after its notifications/initialized"
            raise RpcError(codes.INVALID_REQUEST, text)

    # -- results -------------------------------------------------------------------------------------------------------

    def finish(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        kind = RESULT_KINDS.get(exchange.method)
        return result if kind is None else sieve(kind, result, exchange.revision)

    # -- notifications -------------------------------------------------------------------------------------------------

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        if method == "notifications/initialized" and self.revision is not None:
            self.initialized = True
        return Notified(method, params)

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        if not self.initialized:
            return
        if topic == "resource":
            if uri in self._subscribed:
                peer.notify("notifications/resources/updated", {"uri": uri}, news=(None, topic, uri))
            return
        # What the handshake promised, whatever was registered since (lifecycle#operation).
        if self._declared.get(topic, {}).get("listChanged"):
            peer.notify(f"notifications/{topic}/list_changed", None, news=(None, topic, None))

    def end(self, peer: Peer) -> None:
        """A session ends with its pipe; there is nothing to say."""

    # -- built-in methods ----------------------------------------------------------------------------------------------

    def _initialize(self, exchange: Exchange) -> dict[str, Any]:
        revision = exchange.revision
        result: dict[str, Any] = {
            "protocolVersion": revision.name,
            "capabilities": self._declared,
            "serverInfo": self._service.identity(revision),
        }
        if self._service.instructions is not None:
            result["instructions"] = self._service.instructions
        return result

    def _set_level(self, exchange: Exchange) -> dict[str, Any]:
        self._checked(exchange)
        self.log_level = exchange.params["level"]
        return {}

    def _subscribe(self, exchange: Exchange) -> dict[str, Any]:
        self._checked(exchange)
        uri = exchange.params["uri"]
        if uri not in self._subscribed and len(self._subscribed) >= self._limits.max_subscribed_uris:
            text = f"resources/subscribe: at most {self._limits.max_subscribed_uris} URIs; unsubscribe from one first"
            raise RpcError(codes.OVERLOADED, text)
        self._subscribed[uri] = None
        return {}

    def _unsubscribe(self, exchange: Exchange) -> dict[str, Any]:
        self._checked(exchange)
        self._subscribed.pop(exchange.params["uri"], None)
        return {}

    def _checked(self, exchange: Exchange) -> None:
        fault = check_params(exchange.method, exchange.params, exchange.revision)
        if fault is not None:
            raise RpcError(codes.INVALID_PARAMS, f"{exchange.method}: {fault}")


def _of_one_request(capability: dict[str, Any]) -> dict[str, Any]:
    """A capability without what a session would have to remember: who subscribed, and whom to tell of changes."""
    return {name: value for name, value in capability.items() if name not in ("listChanged", "subscribe")}


class LegacyClient:
    """The session of a client: our requests go out as they are, and the server may ask us."""

    result_open = b',"result":{'
    answers = True
    """Whether the server may send requests."""
    caches = False
    """Whether results say how long they may be reused."""
    ping_method = "ping"
    level_method: str | None = "logging/setLevel"
    """How a log level is set; ``None`` where it travels with each request."""
    listen_method: str | None = None
    """The request that opens a stream of changes; ``None`` where they come unasked, and resources are subscribed to."""

    def __init__(self, service: Service, revision: Revision) -> None:
        self.revision = revision
        self._routes = service.routes(revision)

    def wrap(
        self, params: dict[str, Any] | None, log_level: str | None, token: Id | None = None
    ) -> dict[str, Any] | None:
        """Our parameters, with a progress token where one is given."""
        if token is None:
            return params
        if params is None:
            return {"_meta": {"progressToken": token}}
        return {**params, "_meta": {**params.get("_meta", {}), "progressToken": token}}

    def is_incomplete(self, method: str, result: dict[str, Any]) -> bool:
        """Whether the server asks for something before it completes the request: here it sends requests for that."""
        return False

    def needs(self, method: str) -> str | None:
        """The capability that the server must have declared in its handshake before this may be sent
        (2025-06-18, basic/lifecycle#operation)."""
        known = REQUESTS.get(method)
        return known.needed_server_capability(self.revision) if known is not None else None

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        serve = _serve_ping if method == "ping" else self._routes.get(method)
        if serve is None:
            raise RpcError(codes.METHOD_NOT_FOUND, f"Method not found: {method[:200]}")
        fault = check_params(method, params, self.revision)
        if fault is not None:
            raise RpcError(codes.INVALID_PARAMS, f"{method}: {fault}")
        return Exchange(peer, id, method, params, meta, self, self.revision, serve)  # type: ignore[arg-type]

    def finish(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        kind = RESULT_KINDS.get(exchange.method)
        return result if kind is None else sieve(kind, result, self.revision)

    def error(self, error: RpcError) -> RpcError:
        return error

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        return Notified(method, params)
