"""A frame driver: the other end of a conversation, line by line, for tests that hold the code to the specification.

It knows JSON, lines and the two openings, and nothing of mcpcore's own codec, core or client, so it sees what any peer
would see. Every line of the conversation goes to the judge (``tests/schema_judge.py``), and leaving the ``async with``
of an opening below fails for every rule that the code under test broke. What the test itself breaks on purpose is its
own business.

    async with client_of(server) as wire:              # against a server object, in memory
        answer = await wire.ask("tools/call", {"name": "add", "arguments": {"a": 1}})

    async with launched(program) as wire: ...          # against a program, over real pipes

    async def script(wire): ...                        # against a client: ``Client(target)``
    async with serving(script) as target, Client(target) as client: ...
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.schema_judge import AVAILABLE, Judge, Side

__all__ = [
    "LEGACY",
    "META",
    "MODERN",
    "REVISIONS",
    "Wire",
    "accept",
    "client_of",
    "discovered",
    "envelope",
    "launched",
    "serving",
]

Message = dict[str, Any]

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
REVISIONS = (*LEGACY, MODERN)
META = "io.modelcontextprotocol/"
ROOT = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if name != "MCPCORE_SECRET"} | {"PYTHONPATH": str(ROOT)}
PATIENCE = 10.0
"""Seconds after which a wait fails; nothing here takes as long unless it is broken."""


def envelope(capabilities: Message | None = None, **more: Any) -> Message:
    """The ``_meta`` of a 2026-07-28 request. ``more`` are further keys; those without a prefix that are the protocol's
    (``logLevel``, ``clientInfo``, ``protocolVersion``) get it."""
    meta: Message = {
        f"{META}protocolVersion": MODERN,
        f"{META}clientInfo": {"name": "wire", "version": "1"},
        f"{META}clientCapabilities": capabilities or {},
    }
    prefixed = ("logLevel", "clientInfo", "protocolVersion")
    return meta | {f"{META}{key}" if key in prefixed else key: value for key, value in more.items()}


class Wire(asyncio.Protocol):
    """One end of one conversation. ``side`` is which end it plays."""

    def __init__(self, side: Side = "client") -> None:
        self.side: Side = side
        self.revision = MODERN
        self.lines: list[tuple[Side, bytes]] = []
        """The whole conversation, as it went over the wire."""
        self.ended = asyncio.Event()
        """Set when the other side has closed its end."""
        self.process: subprocess.Popen[bytes] | None = None
        self.judge = Judge() if AVAILABLE else None
        """Set to ``None`` by a test whose own breaches would confuse it."""
        self._write: Callable[[bytes], object] | None = None
        self._close: Callable[[], object] | None = None
        self._rest = b""
        self._unread: deque[Any] = deque()
        self._news = asyncio.Event()
        self._ids = 0

    # -- the channel ---------------------------------------------------------------------------------------------------

    def attach(self, write: Callable[[bytes], object], close: Callable[[], object]) -> None:
        self._write, self._close = write, close

    def connection_made(self, transport: Any) -> None:
        if hasattr(transport, "write"):
            self.attach(transport.write, transport.close)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._record("server" if self.side == "client" else "client", line)
            try:
                self._unread.append(json.loads(line))
            except ValueError:
                self._unread.append(line)
        self._news.set()

    def eof_received(self) -> bool:
        self.ended.set()
        self._news.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._news.set()

    def _record(self, side: Side, line: bytes) -> None:
        self.lines.append((side, line))
        if self.judge is not None:
            self.judge.frame(side, line)

    # -- saying --------------------------------------------------------------------------------------------------------

    def say(self, message: Message | list[Any] | bytes) -> None:
        """A message, a batch, or one line of bytes exactly as they are (without its newline)."""
        line = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
        if self.judge is not None and isinstance(message, bytes):
            self.lines.append((self.side, line))  # bytes are how a test breaks the rules: not for the judge
        else:
            self._record(self.side, line)
        assert self._write is not None, "not connected"
        self._write(line + b"\n")

    def call(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Any:
        """Send a request and return its id. In 2026-07-28 it gets an envelope, to which ``meta`` goes as in
        ``envelope(...)``; a ``_meta`` in ``params`` stands as it is."""
        if id is None:
            self._ids += 1
            id = self._ids
        if self.revision == MODERN:
            params = {"_meta": envelope(**meta), **(params or {})}
        elif meta:
            params = {"_meta": meta, **(params or {})}
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        self.say(message if params is None else {**message, "params": params})
        return id

    def tell(self, method: str, params: Message | None = None) -> None:
        """Send a notification."""
        message: Message = {"jsonrpc": "2.0", "method": method}
        self.say(message if params is None else {**message, "params": params})

    def reply(self, request: Message, result: Message) -> None:
        self.say({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def refuse(self, request: Message, code: int, message: str = "refused", data: Any = None) -> None:
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        self.say({"jsonrpc": "2.0", "id": request["id"], "error": error})

    def close(self) -> None:
        """Close our end: the other side sees the end of its input."""
        if self._close is not None:
            self._close()
            self._close = None

    # -- hearing -------------------------------------------------------------------------------------------------------

    async def hear(self, method: str | None = None) -> Any:
        """The next message, whatever it is; with ``method`` it has to be this one."""
        async with asyncio.timeout(PATIENCE):
            while not self._unread:
                assert not self.ended.is_set(), f"the other side closed the connection; so far: {self.lines}"
                self._news.clear()
                await self._news.wait()
        message = self._unread.popleft()
        if method is not None:
            assert isinstance(message, dict), message
            assert message.get("method") == method, f"expected {method}, but this came: {message}"
        return message

    async def answer(self, id: Any) -> Message:
        """The next message, which has to be the response to this id (same type, same value)."""
        message = await self.hear()
        assert isinstance(message, dict), message
        assert "method" not in message, f"expected the response to {id!r}, but this came: {message}"
        got = message.get("id")
        assert type(got) is type(id) and got == id, f"expected the response to {id!r}, but this came: {message}"
        response: Message = message
        return response

    async def until(self, id: Any) -> tuple[list[Any], Message]:
        """Everything that comes before the response to this id, and that response."""
        before: list[Any] = []
        while True:
            message = await self.hear()
            if isinstance(message, dict) and "method" not in message and message.get("id") == id:
                return before, message
            before.append(message)

    async def ask(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        """``call`` and ``answer``: the response has to be the next message."""
        return await self.answer(self.call(method, params, id, **meta))

    async def result(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        """The result of a request, which has to succeed."""
        response = await self.ask(method, params, id, **meta)
        assert "result" in response, response
        result: Message = response["result"]
        return result

    async def error(self, method: str, params: Message | None = None, id: Any = None, **meta: Any) -> Message:
        """The error of a request, which has to fail."""
        response = await self.ask(method, params, id, **meta)
        assert "error" in response, response
        error: Message = response["error"]
        return error

    async def fence(self) -> list[Any]:
        """Everything that came until the other side answered a request that any server answers at once: what is not
        in it was not said. Only for the client's end."""
        self._ids += 1
        probe = "server/discover" if self.revision == MODERN else "ping"
        return (await self.until(self.call(probe, id=f"fence-{self._ids}")))[0]

    async def shake(self, revision: str, capabilities: Message | None = None) -> Message:
        """The legacy handshake, as a client; returns its result."""
        info = {"name": "wire", "version": "1"}
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        self.revision = revision
        result = await self.result("initialize", params, id="initialize")
        self.tell("notifications/initialized")
        return result

    async def end(self) -> None:
        """Wait until the other side has closed its end."""
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()

    def faults(self) -> list[str]:
        """What the code under test did wrong, as the judge sees it."""
        other = "server: " if self.side == "client" else "client: "
        return [] if self.judge is None else [fault for fault in self.judge.violations if fault.startswith(other)]


# -- against a server --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def client_of(server: Any, revision: str = MODERN, capabilities: Message | None = None) -> AsyncIterator[Wire]:
    """A client of a server object, in memory. In a legacy revision the handshake is done, with these capabilities; in
    2026-07-28 nothing is sent, and each call brings its own."""
    wire = Wire("client")
    channel = server.connect_client(wire)
    wire.attach(channel.write, channel.close)
    try:
        if revision != MODERN:
            await wire.shake(revision, capabilities)
        yield wire
    finally:
        wire.close()
        await wire.end()
    assert wire.faults() == []


@asynccontextmanager
async def launched(program: str, *, env: dict[str, str] | None = None) -> AsyncIterator[Wire]:
    """A client of a Python program (its source text) over real pipes. Leaving closes its input and waits for its
    exit."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENV | (env or {}),
        bufsize=0,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    loop = asyncio.get_running_loop()
    wire = Wire("client")
    wire.process = process
    reader, _ = await loop.connect_read_pipe(lambda: wire, process.stdout)
    writer, _ = await loop.connect_write_pipe(asyncio.Protocol, process.stdin)
    wire.attach(writer.write, writer.close)
    drain = asyncio.create_task(asyncio.to_thread(process.stderr.read))
    try:
        yield wire
        wire.close()
        await asyncio.to_thread(process.wait, PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
        await asyncio.to_thread(process.wait)
        await drain
        process.stderr.close()
        writer.close()
        reader.close()
        await asyncio.sleep(0)  # the transports close their pipes in the next turn
    assert wire.faults() == []


# -- against a client --------------------------------------------------------------------------------------------------


class _Target:
    """What a client is given as its target: each connection runs the script on a wire of its own."""

    def __init__(self, script: Callable[[Wire], Awaitable[object]]) -> None:
        self._script = script
        self.wires: list[Wire] = []
        self.tasks: list[asyncio.Task[None]] = []

    def connect_client(self, protocol: Any) -> Any:
        from mcpcore.transports.memory import connect_in_memory

        wire = Wire("server")
        self.wires.append(wire)
        channel, _ = connect_in_memory(protocol, wire, "wire")
        self.tasks.append(asyncio.ensure_future(self._run(wire)))
        return channel

    async def _run(self, wire: Wire) -> None:
        try:
            await self._script(wire)
        except BaseException:
            wire.close()  # so that nothing hangs
            raise

    def raise_failures(self) -> None:
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()


@asynccontextmanager
async def serving(script: Callable[[Wire], Awaitable[object]]) -> AsyncIterator[_Target]:
    """A target for a client whose server is this script. Leaving waits for the script, and raises its failure."""
    target = _Target(script)
    try:
        yield target
        if target.tasks:
            await asyncio.wait(target.tasks, timeout=PATIENCE)
            assert all(task.done() for task in target.tasks), "the script still waits for a message"
    finally:
        for task in target.tasks:
            task.cancel()
        await asyncio.gather(*target.tasks, return_exceptions=True)
        for wire in target.wires:
            wire.close()
        target.raise_failures()
    assert [fault for wire in target.wires for fault in wire.faults()] == []


async def accept(wire: Wire, revision: str = MODERN, capabilities: Message | None = None) -> Message:
    """As a server: take the client through the opening of this revision, whatever it tries first. Returns the request
    that decided."""
    wire.revision = revision
    while True:
        request: Message = await wire.hear()
        method = request.get("method")
        if method == "server/discover" and revision == MODERN:
            wire.reply(request, discovered(capabilities))
            return request
        if method == "initialize" and revision != MODERN:
            info = {"name": "wire", "version": "1"}
            result = {"protocolVersion": revision, "capabilities": capabilities or {}, "serverInfo": info}
            wire.reply(request, result)
            await wire.hear("notifications/initialized")
            return request
        assert method == "server/discover", f"expected the opening of {revision}, but this came: {request}"
        wire.refuse(request, -32601, "Method not found")


def discovered(capabilities: Message | None = None, versions: Iterable[str] = (MODERN,)) -> Message:
    """A ``DiscoverResult``."""
    return {
        "resultType": "complete",
        "supportedVersions": list(versions),
        "capabilities": capabilities or {},
        "ttlMs": 0,
        "cacheScope": "private",
    }
