"""Whatever bytes come over HTTP: answered 2xx or 4xx, or closed; never 5xx, never an exception, nothing kept, no hang.

Bytes go straight into a connection of the server, in any cut, through a transport that is a script; a few examples go
over real sockets. What comes back is read by the client's reader, which is held to h11 elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcpcore import Context, Server
from mcpcore.core.limits import Limits
from mcpcore.http.reading import ResponseReader
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer
from tests.transports.http_script import Script
from tests.transports.http_wire import MODERN, envelope, request, request_with, standard_fields

LIMITS = Limits(max_head_bytes=4000, max_headers=40, max_message_bytes=20_000, pipelined_bytes=8000, turn_messages=3)
STATUSES = {100, 200, 202, 204, 400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 421, 429, 431}
SESSION = b"{session}"
"""Stands in a request for the id of a session."""


def make_server() -> Server:
    server = Server("fuzzed", limits=LIMITS)

    @server.tool
    async def echo(text: str) -> str:
        return text

    @server.tool
    async def speak(ctx: Context, times: int = 2) -> str:
        for number in range(min(times, 5)):
            await ctx.info(number)
            await asyncio.sleep(0)
        return "spoken"

    @server.tool
    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    @server.resource("fuzz://one")
    async def one() -> str:
        return "one"

    return server


class Bench:
    """One server for all examples, in a loop of its own."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.server = make_server()
        self.raised: list[dict[str, Any]] = []
        self.logged: list[str] = []
        self.http = self.runner.run(self._make())
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: self.logged.append(record.getMessage())  # type: ignore[method-assign]
        self.handler = handler
        logging.getLogger("mcpcore").addHandler(handler)

    async def _make(self) -> HttpServer:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.raised.append(context))
        return HttpServer(self.server, HttpOptions(port=0))

    def close(self) -> None:
        logging.getLogger("mcpcore").removeHandler(self.handler)
        self.runner.run(self.http.stop(0))
        self.runner.close()

    async def session(self) -> bytes:
        """A new session, ready to be used."""
        script = Script(self.http)
        script.connection.data_received(INITIALIZE)
        found = bytes(script.written).partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0]
        assert found
        script.connection.data_received(INITIALIZED.replace(SESSION, found))
        script.close()
        await asyncio.sleep(0)
        return found

    def serve(self, pieces: list[bytes], *, eof: bool) -> list[int]:
        return self.runner.run(self._serve(pieces, eof))

    async def _serve(self, pieces: list[bytes], eof: bool) -> list[int]:
        """The statuses of the answers. Holds the server to everything else on the way."""
        self.raised.clear()
        self.logged.clear()
        session = await self.session()
        script = Script(self.http)
        await script.feed([piece.replace(SESSION, session) for piece in pieces])
        for _ in range(20):
            await asyncio.sleep(0)
        if eof:
            script.eof()
        later = self.http.site.clock.now
        for _ in range(3):  # time runs out for whatever is not complete
            later += 100
            script.connection.tick(later)
        busy = script.connection._busy and not script.connection._lingers
        assert script.closing or busy, "an idle or unfinished connection stays open"
        script.close()
        for _ in range(5):
            await asyncio.sleep(0)
        await self._healthy()
        return statuses_in(bytes(script.written))

    async def _healthy(self) -> None:
        """Nothing is left, and the next client is served."""
        script = Script(self.http)
        script.connection.data_received(ECHO)
        assert script.written.startswith(b"HTTP/1.1 200 OK\r\n"), bytes(script.written)
        script.close()
        self.http.site.endpoint.sessions.close_all()
        for _ in range(3):
            await asyncio.sleep(0)
        endpoint = self.http.site.endpoint
        assert (endpoint.open, endpoint._streams, len(endpoint.sessions)) == ({}, {}, 0)
        assert (self.http.site.buffering, len(self.http.connections)) == (0, 0)
        assert not self.server._runners
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.raised == []
        assert self.logged == []


def statuses_in(data: bytes) -> list[int]:
    """The answers that stand in these bytes, which are nothing but answers, the last one possibly cut off."""
    reader = ResponseReader(LIMITS, fast=False)
    statuses: list[int] = []
    while data.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        data = data[25:]
    if not data:
        return statuses
    reader.feed(data)
    while True:
        reader.expect("GET")
        head = reader.next_head()
        if head is None:
            break
        statuses.append(head.status)
        # An answer to HEAD counts a body that does not come, so what follows may be the next answer already.
        while (piece := reader.read_some()) is not None:
            if not piece:
                return statuses  # a stream that is still open, or the length of an answer to HEAD
    return statuses


# -- what is sent ------------------------------------------------------------------------------------------------------


def message(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    made = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return made if id is None else {**made, "id": id}


def modern(method: str, params: dict[str, Any] | None = None, **meta: Any) -> bytes:
    made = message(method, {"_meta": envelope(**meta), **(params or {})})
    return request_with("POST", "/mcp", json.dumps(made).encode(), standard_fields(made))


def legacy(made: Any) -> bytes:
    body = json.dumps(made).encode()
    return request(body=body, mcp_session_id=SESSION.decode(), mcp_protocol_version="2025-03-26")


def chunked(data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    middle = len(body) // 2
    chunks = b"%x\r\n%b\r\n%x;ext=1\r\n%b\r\n0\r\n\r\n" % (middle, body[:middle], len(body) - middle, body[middle:])
    return b"\r\n".join([*lines, b"transfer-encoding: chunked"]) + b"\r\n\r\n" + chunks


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


INFO = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "fuzz", "version": "1"}}
INITIALIZE = request(body=json.dumps(message("initialize", INFO)).encode())
INITIALIZED = legacy(message("notifications/initialized", id=None))
ECHO = modern("tools/call", tool("echo", text="x"))
GET = request("GET", accept="text/event-stream", mcp_session_id=SESSION.decode())
SEEDS = [
    ECHO,
    modern("tools/call", tool("speak"), logLevel="debug"),
    modern("tools/call", tool("hang")),
    modern("tools/list"),
    modern("server/discover"),
    modern("resources/read", {"uri": "fuzz://one"}),
    modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
    chunked(ECHO),
    ECHO.replace(b"\r\nhost:", b"\r\nexpect: 100-continue\r\nhost:", 1),
    INITIALIZE,
    INITIALIZED,
    legacy(message("tools/call", tool("echo", text="y"))),
    legacy(message("tools/call", tool("speak"))),
    legacy([message("ping", id=1), message("tools/call", tool("speak"), id=2), message("x/y", id=None)]),
    legacy({"jsonrpc": "2.0", "id": 5, "result": {}}),
    legacy(message("notifications/cancelled", {"requestId": 1}, id=None)),
    chunked(legacy(message("ping"))),
    GET,
    GET.replace(b"\r\n\r\n", b"\r\nlast-event-id: x-1-1\r\n\r\n"),
    request("DELETE", mcp_session_id=SESSION.decode()),
    request("GET", "/sse", accept="text/event-stream"),
    request("POST", "/messages?session_id=x", json.dumps(message("ping")).encode()),
    request("OPTIONS"),
    request("GET", "/healthz"),
    request("GET", "/nothing"),
    request("PUT", "/mcp", b"body"),
    request("GET", "/healthz").replace(b"HTTP/1.1", b"HTTP/1.0"),
]
TOKENS = [
    *[b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\r\n\r\n", b"\x80\xff", b"%", b"{", b"}", b'"', b"0", b"\r\n x"],
    *[b"content-length: 5\r\n", b"Content-Length: 0\r\n", b"content-length: 99999999999999999999\r\n", b"-1", b"+1"],
    *[b"transfer-encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"connection: close\r\n", b"expect: x\r\n"],
    *[b"expect: 100-continue\r\n", b"upgrade: websocket\r\n", b"host: evil.example\r\n", b"origin: null\r\n"],
    *[b"accept: text/event-stream\r\n", b"accept: x\r\n", b"mcp-protocol-version: 2025-11-25\r\n", b"HTTP/1.0"],
    *[b"mcp-session-id: x\r\n", b"last-event-id: 0-0-0-1\r\n", b"mcp-method: x\r\n", b"x" * 5000, b"[" * 1500],
    *[b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"null", b"1e999"],
]
PLACE = st.floats(0, 1)
MUTATION = st.one_of(
    st.tuples(st.just("insert"), PLACE, st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("replace"), PLACE, st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("delete"), PLACE, st.integers(1, 40)),
    st.tuples(st.just("double"), PLACE, st.integers(1, 200)),
    st.tuples(st.just("cut"), PLACE, st.none()),
    st.tuples(st.just("line"), PLACE, st.sampled_from([token for token in TOKENS if token.endswith(b"\r\n")])),
)


def mutated(data: bytes, mutation: tuple[str, float, Any]) -> bytes:
    kind, place, what = mutation
    at = round(place * len(data))
    if kind == "insert":
        return b"".join([data[:at], what, data[at:]])
    if kind == "replace":
        return b"".join([data[:at], what, data[at + len(what) :]])
    if kind == "delete":
        return data[:at] + data[at + what :]
    if kind == "double":
        return data[: at + what] + data[at : at + what] + data[at + what :]
    if kind == "cut":
        return data[:at]
    lines = data.split(b"\r\n")
    lines.insert(1 + round(place * (len(lines) - 1)), what.removesuffix(b"\r\n"))
    return b"\r\n".join(lines)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    data = b""
    for seed in draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=4)):
        for mutation in draw(st.lists(MUTATION, max_size=3)):
            seed = mutated(seed, mutation)
        data += seed
    return data


def cut(data: bytes, places: list[float]) -> list[bytes]:
    marks = sorted({0, len(data), *(round(place * len(data)) for place in places)})
    return [data[begin:end] for begin, end in pairwise(marks)]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


FUZZ = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def judge(statuses: list[int]) -> None:
    assert set(statuses) <= STATUSES, statuses


# -- the properties ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_that_is_mutated_below_is_a_good_one_or_refused_for_what_it_says(
    bench: Bench, seed: bytes
) -> None:
    judge(bench.serve([seed], eof=True))


@FUZZ
@given(data=conversations(), places=st.lists(PLACE, max_size=4), eof=st.booleans())
def test_good_requests_that_were_tampered_with(bench: Bench, data: bytes, places: list[float], eof: bool) -> None:
    judge(bench.serve(cut(data, places), eof=eof))


@settings(max_examples=150)
@given(pieces=st.lists(st.binary(max_size=300) | st.sampled_from([*TOKENS, *SEEDS]), max_size=6), eof=st.booleans())
def test_any_bytes(bench: Bench, pieces: list[bytes], eof: bool) -> None:
    judge(bench.serve(pieces, eof=eof))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
METHODS = st.sampled_from(
    [
        *[
            "tools/call",
            "tools/list",
            "ping",
            "initialize",
            "server/discover",
            "subscriptions/listen",
            "resources/read",
        ],
        *["notifications/cancelled", "notifications/initialized", "logging/setLevel", "resources/subscribe", "x/y"],
        *["completion/complete", "prompts/get", "prompts/list", ""],
    ]
)
PARAMS = st.one_of(
    st.none(),
    JSON,
    st.fixed_dictionaries(
        {},
        optional={
            "_meta": st.just(envelope()) | st.just(envelope(logLevel="debug", progressToken=1)) | JSON,
            "name": st.sampled_from(["echo", "speak", "hang", "no"]) | JSON,
            "arguments": st.fixed_dictionaries({}, optional={"text": JSON, "times": JSON}) | JSON,
            "uri": st.just("fuzz://one") | JSON,
            "notifications": st.just({"toolsListChanged": True}) | JSON,
            "requestState": JSON,
            "inputResponses": JSON,
            "cursor": JSON,
            "level": JSON,
            "requestId": JSON,
            "protocolVersion": st.just("2025-11-25") | JSON,
            "capabilities": JSON,
            "clientInfo": JSON,
        },
    ),
)
MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | JSON},
    optional={"id": st.integers() | st.text(max_size=5) | JSON, "method": METHODS | JSON, "params": PARAMS}
    | {"result": JSON, "error": JSON},
)


@settings(max_examples=400)
@given(body=MESSAGE | st.lists(MESSAGE, max_size=3) | JSON, era=st.sampled_from(["modern", "session", "none"]))
def test_any_message_in_a_good_request(bench: Bench, body: Any, era: str) -> None:
    data = json.dumps(body).encode()
    fields: dict[str, str | None] = {}
    if era == "modern":
        fields["mcp_protocol_version"] = MODERN
        if isinstance(body, dict) and isinstance(body.get("method"), str) and body["method"]:
            params = body["params"] if isinstance(body.get("params"), dict) else {}
            for name, value in standard_fields({"method": body["method"], "params": params}).items():
                fields[name] = "".join(letter for letter in value or "" if "!" <= letter <= "~")
    elif era == "session":
        fields["mcp_session_id"] = SESSION.decode()
    sent = request_with("POST", "/mcp", data, fields)
    statuses = bench.serve([sent], eof=True)
    judge(statuses)


def test_a_hundred_runs_leave_no_objects_behind(bench: Bench) -> None:
    def runs(count: int) -> int:
        for number in range(count):
            seed = SEEDS[number % len(SEEDS)]
            bench.serve([mutated(seed, ("delete", number / count, 3))], eof=bool(number % 2))
        gc.collect()
        return len(gc.get_objects())

    runs(len(SEEDS) * 2)
    before = runs(len(SEEDS) * 4)
    assert runs(len(SEEDS) * 4) - before < 50


@settings(max_examples=40)
@given(data=conversations(), places=st.lists(PLACE, max_size=3))
def test_the_same_over_real_sockets(data: bytes, places: list[float]) -> None:
    async def main() -> None:
        http = HttpServer(make_server(), HttpOptions(port=0))
        await http.start()
        raised: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        received = b""
        try:
            for piece in cut(data, places):
                writer.write(piece)
                await asyncio.sleep(0)
            writer.write_eof()
            async with asyncio.timeout(5):  # the end of our input ends everything
                received = await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
            await http.stop(0)
        assert raised == []
        judge(statuses_in(received))

    asyncio.run(main())
