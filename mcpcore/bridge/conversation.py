"""One conversation with the server behind a bridge: requests go there under ids of our own, and back under theirs.

Nothing is sent twice, unless the server was lost meanwhile and a second time does no harm. What cannot be answered gets
one error that says why.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from mcpcore.bridge.doors import LegacyFront, UpstreamDoor
from mcpcore.client.checking import ToolBook
from mcpcore.errors import ConnectionLost, InvalidResult, McpError, RpcError, TransportError
from mcpcore.http.requester import may_repeat
from mcpcore.spec import codes
from mcpcore.spec.meta import CLIENT_CAPABILITIES, LOG_LEVEL, PROGRESS_TOKEN, PROTOCOL_VERSION, SUBSCRIPTION_ID
from mcpcore.spec.revisions import MODERN
from mcpcore.transports.runner import Runner
from mcpcore.types import ListToolsResult, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpcore.client.targets import Target
    from mcpcore.core.events import Notified
    from mcpcore.core.exchange import Exchange
    from mcpcore.core.limits import Limits
    from mcpcore.transports.serving import Serving

__all__ = ["Conversation"]

log = logging.getLogger("mcpcore.bridge")


class Conversation:
    """``front`` is the peer of the legacy client whose conversation this is; a modern one is shared and has none."""

    def __init__(self, make_target: Callable[[ToolBook], Target], limits: Limits, *, modern: bool) -> None:
        self.tools = ToolBook("off")
        self.front: Serving | None = None
        self._target = make_target(self.tools)
        self._limits = limits
        self._modern = modern
        self._runner: Runner | None = None
        self._dialling: asyncio.Task[Runner] | None = None
        self._open: dict[int | str, Exchange] = {}
        """Our id of a request -> the request."""
        self._handshake: dict[str, Any] | None = None
        self._initialized = False
        self._level: dict[str, Any] | None = None
        self._subscribed: dict[str, dict[str, Any]] = {}
        self._speaks_modern = False

    # -- from the client -----------------------------------------------------------------------------------------------

    async def forward(self, exchange: Exchange) -> dict[str, Any]:
        """Have the server behind answer a request of our client's."""
        method, params = exchange.method, exchange.params
        if self._modern:
            await self._require_modern(exchange)
        try:
            result = await self._ask(exchange)
        except ConnectionLost as error:
            if not may_repeat(method, params, self.tools.may_repeat) or method == "subscriptions/listen":
                raise _unreachable(exchange, error) from None
            log.info("%s: asked again, since the server was lost and this does no harm", method)
            result = await self._ask_again(exchange)
        except TransportError as error:
            raise _unreachable(exchange, error) from None
        except RpcError as error:
            if error.code != codes.HEADER_MISMATCH or method != "tools/call":
                raise
            result = await self._ask_with_headers(exchange)
        return self._returned(exchange, result)

    async def _ask_again(self, exchange: Exchange) -> dict[str, Any]:
        try:
            return await self._ask(exchange)
        except TransportError as error:
            raise _unreachable(exchange, error) from None

    async def _ask_with_headers(self, exchange: Exchange) -> dict[str, Any]:
        """The server wants parameters as header fields, and which ones only its list of tools tells
        (2026-07-28, streamable-http#client-behavior). It did not act on the first one."""
        runner = await self._live()
        meta = {key: value for key, value in (exchange.meta or {}).items() if key != PROGRESS_TOKEN}
        cursor: str | None = None
        for _ in range(self._limits.max_pages):
            page = {"_meta": meta} if cursor is None else {"_meta": meta, "cursor": cursor}
            result = await runner.ask("tools/list", page).waiter
            self._learn(result)
            cursor = result.get("nextCursor")
            if type(cursor) is not str:
                break
        return await self._ask_again(exchange)

    async def _ask(self, exchange: Exchange) -> dict[str, Any]:
        runner = await self._live()
        id = runner.peer.mint()
        params = exchange.params
        meta = exchange.meta
        if meta is not None and PROGRESS_TOKEN in meta:  # two clients may have the same one
            params = {**params, "_meta": {**meta, PROGRESS_TOKEN: id}}
        self._open[id] = exchange
        pending = runner.ask(exchange.method, params, id=id)
        try:
            result: dict[str, Any] = await pending.waiter
            return result
        except asyncio.CancelledError:
            runner.peer.abandon(pending)
            raise
        finally:
            self._open.pop(id, None)

    def _returned(self, exchange: Exchange, result: dict[str, Any]) -> dict[str, Any]:
        method, params = exchange.method, exchange.params
        if method == "tools/list":
            self._learn(result)
        elif method == "initialize":
            self._handshake = params
            if isinstance(exchange.policy, LegacyFront):
                exchange.policy.agreed(result)
        elif method == "logging/setLevel":
            self._level = params
        elif method == "resources/subscribe":
            self._subscribed[str(params.get("uri"))] = params
        elif method == "resources/unsubscribe":
            self._subscribed.pop(str(params.get("uri")), None)
        elif method == "subscriptions/listen":
            meta = result.get("_meta")
            if type(meta) is dict and SUBSCRIPTION_ID in meta:
                result = {**result, "_meta": {**meta, SUBSCRIPTION_ID: exchange.id}}
        return result

    def _learn(self, result: dict[str, Any]) -> None:
        try:
            self.tools.learn(from_wire(ListToolsResult, result).items)
        except InvalidResult as error:
            log.debug("a list of tools taught nothing: %s", error)

    def notify(self, event: Notified) -> None:
        """A notification of our client's, that is no cancellation."""
        if event.method == "notifications/initialized":
            self._initialized = True
        runner = self._runner
        if runner is not None and runner.lost is None:
            runner.peer.notify(event.method, event.params or None)

    # -- from the server -----------------------------------------------------------------------------------------------

    async def ask_back(self, exchange: Exchange) -> dict[str, Any]:
        """Have our client answer a request of the server's."""
        front = self.front
        if front is None:
            raise RpcError(codes.METHOD_NOT_FOUND, f"{exchange.method}: nobody can be asked on a shared connection")
        pending = front.ask(exchange.method, exchange.params, self._newest())
        try:
            result: dict[str, Any] = await pending.waiter
            return result
        except TransportError as error:
            raise RpcError(codes.INTERNAL_ERROR, f"{exchange.method}: {error}") from None
        except asyncio.CancelledError:
            front.peer.abandon(pending)
            raise

    def _notified(self, runner: Runner, event: Notified) -> None:
        """News of the server: to the request that it belongs to, or to whoever hears what belongs to none."""
        method, params = event.method, event.params
        meta = params.get("_meta")
        if method == "notifications/progress":
            exchange = self._open.get(_key(params.get("progressToken")))
            if exchange is not None and exchange.meta is not None:
                exchange.notify(method, {**params, "progressToken": exchange.meta[PROGRESS_TOKEN]})
        elif method == "notifications/cancelled":
            exchange = self._open.get(_key(params.get("requestId")))
            if exchange is not None:
                exchange.notify(method, {**params, "requestId": exchange.id})
        elif type(meta) is dict and SUBSCRIPTION_ID in meta:
            exchange = self._open.get(_key(meta[SUBSCRIPTION_ID]))
            if exchange is not None:
                exchange.notify(method, {**params, "_meta": {**meta, SUBSCRIPTION_ID: exchange.id}})
        elif self._modern:
            exchange = self._newest(wants_logs=True)
            if exchange is not None:
                exchange.notify(method, params)
        elif self.front is not None:
            related = self._newest() if method == "notifications/message" else None
            self.front.peer.notify(method, params or None, related)

    def _newest(self, wants_logs: bool = False) -> Exchange | None:
        """A pipe does not tell what a message belongs to: most likely to the request that came last."""
        for exchange in reversed(self._open.values()):
            if exchange.open and (not wants_logs or (exchange.meta and LOG_LEVEL in exchange.meta)):
                return exchange
        return None

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _live(self) -> Runner:
        """The connection; a new one where it was lost. Raises ``TransportError``."""
        runner = self._runner
        if runner is not None and runner.lost is None:
            return runner
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
            self._dialling.add_done_callback(self._dialled)
        return await asyncio.shield(self._dialling)

    def _dialled(self, task: asyncio.Task[Runner]) -> None:
        self._dialling = None
        if not task.cancelled():
            task.exception()  # whoever waits gets it

    async def _dial(self) -> Runner:
        door: Any = UpstreamDoor(self)
        runner = Runner(door, self._limits, server=False, on_notified=self._notified)
        runner.peer.answers = not self._modern
        runner.peer.revision = MODERN if self._modern else None
        await self._target.open(runner)
        try:
            if self._handshake is not None:
                await self._shake_again(runner)
        except BaseException:
            await _end(runner)
            raise
        self._runner = runner
        return runner

    async def _shake_again(self, runner: Runner) -> None:
        """The session began on a connection that is gone: the server behind has to know of it again."""
        await runner.ask("initialize", self._handshake).waiter
        if self._initialized:
            runner.peer.notify("notifications/initialized", None)
        if self._level is not None:
            await runner.ask("logging/setLevel", self._level).waiter
        for params in self._subscribed.values():
            await runner.ask("resources/subscribe", params).waiter

    async def _require_modern(self, exchange: Exchange) -> None:
        """Eras are not translated: where the server behind does not speak this one, its client has to know."""
        if not self._speaks_modern and not await self._finds_modern(exchange):
            # No modern error: after one of those a client does not try the handshake any more.
            text = f"{exchange.method}: the server behind this bridge does not speak {MODERN}; send initialize"
            raise RpcError(codes.INVALID_REQUEST, text)

    async def _finds_modern(self, exchange: Exchange) -> bool:
        """Asked for each request until it does: a server may have been replaced by a newer one meanwhile."""
        meta = {PROTOCOL_VERSION: MODERN.name, CLIENT_CAPABILITIES: {}, **(exchange.meta or {})}
        meta.pop(PROGRESS_TOKEN, None)
        try:
            runner = await self._live()
            pending = runner.ask("server/discover", {"_meta": meta})
            async with asyncio.timeout(self._limits.probe_seconds):
                result = await pending.waiter
        except TimeoutError:
            return False
        except RpcError as error:
            self._speaks_modern = error.code in codes.MODERN_CODES and _names(error, MODERN.name)
            return self._speaks_modern
        except ConnectionLost:
            return False  # some legacy servers exit at a first message that is no handshake
        except McpError as error:
            raise _unreachable(exchange, error) from None
        versions = result.get("supportedVersions")
        self._speaks_modern = type(versions) is list and MODERN.name in versions
        return self._speaks_modern

    async def close(self) -> None:
        """End the connection, and whatever runs on it."""
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait([self._dialling])
        runner, self._runner = self._runner, None
        if runner is not None:
            await _end(runner)


async def _end(runner: Runner) -> None:
    await runner.close()
    channel = runner.channel
    if channel is not None and hasattr(channel, "aclose"):
        await channel.aclose()


def _key(value: Any) -> Any:
    return value if type(value) is int or type(value) is str else None


def _names(error: RpcError, revision: str) -> bool:
    data = error.data if type(error.data) is dict else {}
    supported = data.get("supported")
    return type(supported) is not list or revision in supported


def _unreachable(exchange: Exchange, error: McpError) -> RpcError:
    return RpcError(codes.INTERNAL_ERROR, f"{exchange.method}: the server behind this bridge: {error}")
