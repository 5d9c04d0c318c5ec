"""The stateless era (2026-07-28): every request brings its own facts, and nothing is remembered but open listen
streams.

Specification: https://modelcontextprotocol.io/specification/2026-07-28/basic/index#statelessness
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcpcore.core.events import Event, Notified
from mcpcore.core.exchange import Exchange
from mcpcore.errors import InvalidResult, MissingCapability, RpcError
from mcpcore.jsonrpc.codec import encode
from mcpcore.spec import codes
from mcpcore.spec.meta import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    PROGRESS_TOKEN,
    PROTOCOL_VERSION,
    SERVER_INFO,
    SEVERITY,
    SUBSCRIPTION_ID,
)
from mcpcore.spec.methods import REQUESTS, check_params
from mcpcore.spec.revisions import MODERN, Revision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpcore.core.exchange import Serve
    from mcpcore.core.limits import Limits
    from mcpcore.core.peer import Peer
    from mcpcore.core.policy import Service

__all__ = ["ModernClient", "ModernServer"]

Id = int | str

_RESUMABLE = frozenset(name for name, method in REQUESTS.items() if method.input_required)
_RETIRED = frozenset({codes.RESOURCE_NOT_FOUND, codes.URL_ELICITATION_REQUIRED})
_RESERVED = range(-32099, -32019)
"""Codes that the specification alone may define."""
_TOPICS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}


class _Listener:
    """One open ``subscriptions/listen`` request and what it asked for."""

    __slots__ = ("exchange", "filter", "uris")

    def __init__(self, exchange: Exchange, filter: dict[str, Any]) -> None:
        self.exchange = exchange
        self.filter = filter
        self.uris = frozenset(filter.get("resourceSubscriptions", ()))

    def wants(self, topic: str, uri: str | None) -> bool:
        return uri in self.uris if topic == "resource" else bool(self.filter.get(_TOPICS[topic]))


class ModernServer:
    """The modern policy of a server, for one connection. ``supported`` lists all revisions it serves, newest first."""

    def __init__(self, service: Service, limits: Limits, supported: Sequence[Revision]) -> None:
        self._service = service
        self._limits = limits
        self._supported = [revision.name for revision in supported]
        self._routes: Mapping[str, Serve] = service.routes(MODERN)
        self._own: dict[str, Serve] = {
            "server/discover": service.around(self._discover),
            "subscriptions/listen": service.around(self._listen),
        }
        self._listeners: dict[Id, _Listener] = {}
        info = encode(service.identity(MODERN))
        self.result_open = (
            b',"result":{"resultType":"complete","_meta":{"' + SERVER_INFO.encode() + b'":' + info + b"},"
        )

    # -- may it run? ---------------------------------------------------------------------------------------------------

    def admit(self, peer: Peer, id: Id, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> Exchange:
        if meta is None or meta.get(PROTOCOL_VERSION) != MODERN.name or type(meta.get(CLIENT_CAPABILITIES)) is not dict:
            raise self._refusal(method, params, meta)
        level = meta.get(LOG_LEVEL)
        if level is not None and (type(level) is not str or level not in SEVERITY):
            raise RpcError(codes.INVALID_PARAMS, f'{method}: _meta["{LOG_LEVEL}"] must be one of {", ".join(SEVERITY)}')
        serve = self._routes.get(method) or self._own.get(method)
        if serve is None:
            raise self._unknown(method)
        exchange = Exchange(peer, id, method, params, meta, self, MODERN, serve)
        if "requestState" in params and method in _RESUMABLE:
            # Hostile until verified (patterns/mrtr#server-requirements-basic-workflow): refused before anything runs.
            exchange.asking = self._service.make_asker(exchange, True)
        return exchange

    def _unknown(self, method: str) -> RpcError:
        text = f"Method not found: {method[:200]}"
        if method != "initialize":
            return RpcError(codes.METHOD_NOT_FOUND, text)
        # Any error to initialize says what is spoken here (basic/versioning).
        names = self._supported
        return RpcError(codes.METHOD_NOT_FOUND, f"{text}; this server speaks {', '.join(names)}", {"supported": names})

    def _refusal(self, method: str, params: dict[str, Any], meta: dict[str, Any] | None) -> RpcError:
        version = None if meta is None else meta.get(PROTOCOL_VERSION)
        if version is None and method == "initialize":
            return self._unsupported(params.get("protocolVersion"))
        if type(version) is not str:
            return RpcError(
                codes.INVALID_PARAMS, f'{method}: params._meta["{PROTOCOL_VERSION}"] is missing or not a string'
            )
        if version != MODERN.name:
            return self._unsupported(version)
        return RpcError(
            codes.INVALID_PARAMS, f'{method}: params._meta["{CLIENT_CAPABILITIES}"] is missing or not an object'
        )

    def _unsupported(self, requested: Any) -> RpcError:
        data = {"supported": self._supported, "requested": requested if type(requested) is str else ""}
        text = f"Unsupported protocol version; this server speaks {', '.join(self._supported)}"
        return RpcError(codes.UNSUPPORTED_PROTOCOL_VERSION, text, data)

    # -- who asks ------------------------------------------------------------------------------------------------------

    def client_capabilities(self, exchange: Exchange) -> dict[str, Any]:
        capabilities: dict[str, Any] = exchange.meta[CLIENT_CAPABILITIES] if exchange.meta else {}
        return capabilities

    def client_info(self, exchange: Exchange) -> dict[str, Any] | None:
        info = exchange.meta.get(CLIENT_INFO) if exchange.meta else None
        return info if type(info) is dict else None

    def log_threshold(self, exchange: Exchange) -> str | None:
        return exchange.meta.get(LOG_LEVEL) if exchange.meta else None

    def missing_capability(self, text: str, required: dict[str, Any]) -> RpcError:
        return MissingCapability(text, required)

    def error(self, error: RpcError) -> RpcError:
        """Codes that this revision forbids are replaced (basic/index#error-codes); handlers serve older ones too."""
        code = error.code
        if code not in _RETIRED and (code not in _RESERVED or code in codes.MODERN_CODES):
            return error
        code = codes.INVALID_PARAMS if code == codes.RESOURCE_NOT_FOUND else codes.INTERNAL_ERROR
        return RpcError(code, error.message, error.data)

    def asker(self, exchange: Exchange) -> Any:
        return self._service.make_asker(exchange, True)

    def may_ask(self, exchange: Exchange) -> None:
        """Always: the questions travel in a result."""

    # -- results -------------------------------------------------------------------------------------------------------

    def finish(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        finished = {"resultType": "complete", **result}
        meta = result.get("_meta")
        identity = {SERVER_INFO: self._service.identity(MODERN)}
        finished["_meta"] = {**identity, **meta} if type(meta) is dict else identity
        return finished

    # -- notifications -------------------------------------------------------------------------------------------------

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        return Notified(method, params)

    def changed(self, peer: Peer, topic: str, uri: str | None) -> None:
        for listener in self._listeners.values():
            if listener.wants(topic, uri):
                params: dict[str, Any] = {"_meta": {SUBSCRIPTION_ID: listener.exchange.id}}
                method = f"notifications/{topic}/list_changed"
                if topic == "resource":
                    method, params["uri"] = "notifications/resources/updated", uri
                listener.exchange.notify(method, params, (listener.exchange.id, topic, uri))

    def end(self, peer: Peer) -> None:
        """Each listen stream gets the notification that the cancellation page wants and the result that the
        subscriptions page wants (2026-07-28, patterns/subscriptions#graceful-closure)."""
        for listener in list(self._listeners.values()):
            exchange = listener.exchange
            meta = {SUBSCRIPTION_ID: exchange.id}
            params = {"_meta": meta, "requestId": exchange.id, "reason": "the server is closing"}
            exchange.notify("notifications/cancelled", params)
            peer.answer(exchange, {"_meta": meta})
        self._listeners.clear()

    # -- built-in methods ----------------------------------------------------------------------------------------------

    def _discover(self, exchange: Exchange) -> dict[str, Any]:
        result: dict[str, Any] = {
            "supportedVersions": self._supported,
            "capabilities": self._service.capabilities(MODERN),
            "ttlMs": 0,
            "cacheScope": "private",
        }
        result.update(self._service.cache_hint("server/discover"))
        if self._service.instructions is not None:
            result["instructions"] = self._service.instructions
        return result

    def _listen(self, exchange: Exchange) -> None:
        fault = check_params(exchange.method, exchange.params, MODERN)
        if fault is not None:
            raise RpcError(codes.INVALID_PARAMS, f"{exchange.method}: {fault}")
        limits = self._limits
        # Middleware that failed after this had answered closed the exchange without a word to us.
        self._listeners = {id: other for id, other in self._listeners.items() if other.exchange.open}
        listener = _Listener(exchange, self._honoured(exchange.params["notifications"]))
        open_uris = sum(len(other.uris) for other in self._listeners.values())
        if (
            len(self._listeners) >= limits.max_listen_streams
            or open_uris + len(listener.uris) > limits.max_subscribed_uris
        ):
            most = f"{limits.max_listen_streams} streams and {limits.max_subscribed_uris} URIs"
            raise RpcError(codes.OVERLOADED, f"{exchange.method}: at most {most}; end one first")
        self._listeners[exchange.id] = listener
        exchange.on_cancel = lambda: self._forget(exchange)
        params = {"_meta": {SUBSCRIPTION_ID: exchange.id}, "notifications": listener.filter}
        exchange.notify("notifications/subscriptions/acknowledged", params)

    def _forget(self, exchange: Exchange) -> None:
        self._listeners.pop(exchange.id, None)

    def _honoured(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The part of a filter that this server can deliver."""
        capabilities = self._service.capabilities(MODERN)
        honoured: dict[str, Any] = {}
        for topic, member in _TOPICS.items():
            if wanted.get(member) is True and capabilities.get(topic, {}).get("listChanged"):
                honoured[member] = True
        uris = wanted.get("resourceSubscriptions")
        if uris is not None and capabilities.get("resources", {}).get("subscribe"):
            honoured["resourceSubscriptions"] = list(dict.fromkeys(uris))
        return honoured


class ModernClient:
    """The modern policy of a client: each request of ours gets the envelope, and the server asks nothing."""

    revision = MODERN
    answers = False
    caches = True
    ping_method = "server/discover"
    level_method: str | None = None
    listen_method: str | None = "subscriptions/listen"

    def __init__(self, service: Service) -> None:
        self._envelope: dict[str, Any] = {
            PROTOCOL_VERSION: MODERN.name,
            CLIENT_INFO: service.identity(MODERN),
            CLIENT_CAPABILITIES: service.capabilities(MODERN),
        }

    def wrap(self, params: dict[str, Any] | None, log_level: str | None, token: Id | None = None) -> dict[str, Any]:
        """Our parameters with the envelope; a ``_meta`` of the caller's is kept."""
        envelope = self._envelope
        if log_level is not None:
            envelope = {**envelope, LOG_LEVEL: log_level}
        meta = params.get("_meta") if params is not None else None
        if meta:
            envelope = {**envelope, **meta}
        if token is not None:
            envelope = {**envelope, PROGRESS_TOKEN: token}
        return {"_meta": envelope} if params is None else {**params, "_meta": envelope}

    def is_incomplete(self, method: str, result: dict[str, Any]) -> bool:
        """Whether the server asks for something before it completes the request.

        Raises ``InvalidResult`` for any other kind of result (2026-07-28, basic/index#result-types); absent is
        complete.
        """
        kind = result.get("resultType", "complete")
        if kind == "complete":
            return False
        known = REQUESTS.get(method)
        if kind != "input_required" or known is None or not known.input_required:
            raise InvalidResult(
                f"{method}: the server answered with a resultType that is unknown here: {str(kind)[:100]!r}"
            )
        return True

    def needs(self, method: str) -> str | None:
        """Nothing: no session holds a promise, and the server refuses what it does not offer at this moment."""
        return None

    def notified(self, peer: Peer, method: str, params: dict[str, Any]) -> Event | None:
        return Notified(method, params)
