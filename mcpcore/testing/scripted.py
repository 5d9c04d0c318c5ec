"""A peer that does what a test says: ``say`` and ``expect``, message by message, right or wrong.

It knows JSON and lines, and of the protocol only the two openings, so that a script can begin where it gets
interesting. It never answers by itself. Against a ``Client`` it is given as the target; against a server it connects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from mcpcore.errors import UsageError
from mcpcore.jsonrpc.codec import Unreadable, decode, encode
from mcpcore.jsonrpc.lines import LineFramer, Oversized
from mcpcore.spec.meta import CLIENT_CAPABILITIES, CLIENT_INFO, PROTOCOL_VERSION
from mcpcore.spec.revisions import BY_NAME
from mcpcore.transports.memory import connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ScriptedPeer"]

Message = dict[str, Any]

_SECONDS = 5.0
"""How long a message may take to come."""
_QUIET_SECONDS = 0.05
_MOST_UNREAD = 10_000
_LONGEST_LINE = 64 * 1024 * 1024
_SHOWN = 20


class ScriptedPeer(asyncio.Protocol):
    """One end of one connection in memory at a time.

    As a server::

        async def script(peer):
            await peer.accept("2025-11-25")
            call = await peer.expect("tools/call", {"params": {"name": "add"}})
            peer.say({"jsonrpc": "2.0", "id": call["id"], "result": {"content": []}})

        async with ScriptedPeer(script) as peer, Client(peer) as client:
            await client.call_tool("add")

    The script starts with each connection. Where it fails, the connection is closed, so nothing hangs, and leaving
    ``async with`` raises its failure. As a client of a server object, without a script::

        async with ScriptedPeer() as peer:
            await peer.connect(server)
            await peer.open("2025-11-25")
            peer.say({"jsonrpc": "2.0", "id": 7, "method": "ping"})
            await peer.expect(partial={"id": 7, "result": {}})
    """

    def __init__(self, script: Callable[[ScriptedPeer], Awaitable[object]] | None = None) -> None:
        self.received: list[Any] = []
        """Every message that came, oldest first; what is not JSON is there as bytes."""
        self.ended = False
        """Whether the other side has closed its end."""
        self._script = script
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._channel: Any = None
        self._framer = LineFramer(_LONGEST_LINE)
        self._unread: deque[Any] = deque()
        self._news: asyncio.Event = asyncio.Event()
        self._last_id = 0

    # -- connecting ----------------------------------------------------------------------------------------------------

    def connect_client(self, protocol: Any) -> Any:
        """Be the server of ``protocol``: what a ``Client`` calls on its target. Returns the client's channel."""
        self._reset()
        channel, _ = connect_in_memory(protocol, self, "scripted peer")
        return channel

    async def connect(self, server: Any) -> None:
        """Be a client of a server object, or of anything else with ``connect_client``."""
        self._reset()
        outcome = server.connect_client(self)
        if asyncio.iscoroutine(outcome) or asyncio.isfuture(outcome):
            await outcome

    def _reset(self) -> None:
        if self._channel is not None and not self._channel.is_closing():
            raise UsageError("this ScriptedPeer is connected already; close it, or make another one")
        self.ended = False
        self._framer = LineFramer(_LONGEST_LINE)
        self._unread.clear()

    async def __aenter__(self) -> ScriptedPeer:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        task = self._task
        if task is not None and not task.done():
            if error is None:
                await asyncio.wait({task}, timeout=_SECONDS)
            if not task.done():
                if error is None:
                    self._failure = AssertionError("the script has not ended: it still waits for a message")
                task.cancel()
                await asyncio.wait({task})
        self.close()
        if self._failure is not None:
            raise self._failure from error

    def connection_made(self, transport: Any) -> None:
        self._channel = transport
        if self._script is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._script))

    async def _run(self, script: Callable[[ScriptedPeer], Awaitable[object]]) -> None:
        try:
            await script(self)
        except (Exception, asyncio.CancelledError) as error:
            if not isinstance(error, asyncio.CancelledError):
                self._failure = error
            self.close()

    def data_received(self, data: bytes) -> None:
        self._take(self._framer.feed(data))

    def eof_received(self) -> bool:
        self._take(self._framer.finish())
        self.ended = True
        self._news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._news.set()

    def _take(self, frames: list[bytes | Oversized]) -> None:
        for frame in frames:
            line = frame.head if isinstance(frame, Oversized) else frame
            if not line.strip():
                continue
            try:
                message = decode(line)
            except Unreadable:
                message = line
            if len(self._unread) >= _MOST_UNREAD:
                self._failure = self._failure or AssertionError(f"{_MOST_UNREAD} messages came and nobody reads them")
                self.close()
                break
            self.received.append(message)
            self._unread.append(message)
        self._news.set()

    # -- saying --------------------------------------------------------------------------------------------------------

    def say(self, message: Message | list[Any] | bytes) -> None:
        """Send a message, a batch, or bytes exactly as they are (then the newline is the caller's)."""
        if self._channel is None:
            raise UsageError("this ScriptedPeer is not connected: give it to a Client, or call connect(server)")
        self._channel.write(message if isinstance(message, bytes) else encode(message) + b"\n")

    def answer(self, request: Message, result: Message) -> None:
        """Answer a request that ``expect`` returned."""
        self.say({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def refuse(self, request: Message, code: int, message: str = "refused", data: Any = None) -> None:
        """Answer a request with an error."""
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        self.say({"jsonrpc": "2.0", "id": request["id"], "error": error})

    def close(self) -> None:
        """Close this end; the other side sees the end of its input. Idempotent."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.close()

    # -- expecting -----------------------------------------------------------------------------------------------------

    async def next(self, seconds: float = _SECONDS) -> Any:
        """The next message that has not been read, whatever it is. Raises ``AssertionError`` where none comes."""
        try:
            async with asyncio.timeout(seconds):
                while not self._unread:
                    if self.ended:
                        raise AssertionError("the other side closed the connection" + self._history())
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no message came within {seconds:g} s" + self._history()) from None
        return self._unread.popleft()

    async def expect(self, method: str | None = None, partial: Message | None = None, seconds: float = _SECONDS) -> Any:
        """The next message, which has to be this one; returns it whole.

        ``method`` is its method. ``partial`` is what it holds at least: objects may have further members, everything
        else has to be equal. Raises ``AssertionError`` that shows both, and where none comes within ``seconds``.
        """
        wanted = ({} if method is None else {"method": method}) | (partial or {})
        try:
            message = await self.next(seconds)
        except AssertionError as error:
            raise AssertionError(f"expected {wanted}, but {error}") from None
        fault = _lacks(message, wanted, "")
        if fault:
            raise AssertionError(f"expected {wanted}, but {fault}\n  it was: {message}" + self._history())
        return message

    async def expect_silence(self, seconds: float = _QUIET_SECONDS) -> None:
        """Nothing unread is there, and nothing comes for so long."""
        if not self._unread and not self.ended:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    while not self._unread and not self.ended:
                        self._news.clear()
                        await self._news.wait()
            except TimeoutError:
                return
        if self._unread:
            raise AssertionError(f"expected silence, but this came: {self._unread[0]}" + self._history())

    async def expect_end(self, seconds: float = _SECONDS) -> None:
        """The other side closes its end, and says nothing more before."""
        try:
            async with asyncio.timeout(seconds):
                while not self.ended and not self._unread:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the other side did not close within {seconds:g} s" + self._history()) from None
        if self._unread:
            raise AssertionError(f"expected the end, but this came: {self._unread[0]}" + self._history())

    def _history(self) -> str:
        lines = [f"\n  came before: {message}" for message in self.received[-_SHOWN:]]
        return "".join(lines) or "\n  nothing came before"

    # -- the openings --------------------------------------------------------------------------------------------------

    async def accept(
        self, revision: str, *, capabilities: Message | None = None, server_info: Message | None = None
    ) -> Message:
        """As a server: take the client through the opening of ``revision``, whatever it tries first.

        Returns the request that decided, ``server/discover`` or ``initialize``.
        """
        modern = BY_NAME[revision].modern
        info = server_info or {"name": "scripted", "version": "0"}
        while True:
            request: Message = await self.next()
            method = request.get("method")
            if method == "server/discover" and not modern:
                self.refuse(request, -32601, "Method not found")
            elif method == "server/discover":
                self.answer(request, _discovered(revision, capabilities or {}, info))
                return request
            elif method == "initialize" and not modern:
                result = {"protocolVersion": revision, "capabilities": capabilities or {}, "serverInfo": info}
                self.answer(request, result)
                await self.expect("notifications/initialized")
                return request
            else:
                raise AssertionError(f"expected the opening of {revision}, but this came: {request}")

    async def open(
        self, revision: str, *, capabilities: Message | None = None, client_info: Message | None = None
    ) -> Message:
        """As a client: open the conversation in ``revision``.

        Legacy: the handshake, and its result is returned. Modern: nothing is sent; returned is the ``_meta`` that every
        request has to carry.
        """
        info = client_info or {"name": "scripted", "version": "0"}
        if BY_NAME[revision].modern:
            return {PROTOCOL_VERSION: revision, CLIENT_INFO: info, CLIENT_CAPABILITIES: capabilities or {}}
        self._last_id += 1
        id = f"open-{self._last_id}"
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        self.say({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params})
        answer = await self.expect(partial={"id": id, "result": {"protocolVersion": revision}})
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        result: Message = answer["result"]
        return result


def _discovered(revision: str, capabilities: Message, info: Message) -> Message:
    return {
        "resultType": "complete",
        "supportedVersions": [revision],
        "capabilities": capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": info},
    }


def _lacks(actual: Any, wanted: Any, path: str) -> str:
    """What of ``wanted`` is not in ``actual``, in words; "" where all of it is."""
    where = path or "the message"
    if isinstance(wanted, dict):
        if not isinstance(actual, dict):
            return f"{where} is {actual!r} and no object"
        for key, value in wanted.items():
            if key not in actual:
                return f"{where} has no member {key!r}"
            fault = _lacks(actual[key], value, f"{path}.{key}" if path else key)
            if fault:
                return fault
        return ""
    same = type(actual) is type(wanted) or not (isinstance(actual, bool) or isinstance(wanted, bool))
    return "" if same and actual == wanted else f"{where} is {actual!r} and not {wanted!r}"
