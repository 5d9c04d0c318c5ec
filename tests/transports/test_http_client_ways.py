"""The ways of a client to its server over HTTP: redirects, HTTP+SSE, connections shared, sockets, TLS and proxies."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client, Timeouts
from mcpcore.errors import (
    ConnectFailed,
    ConnectionLost,
    HttpError,
    RpcError,
    UsageError,
)
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire, silence

# -- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_origin_is_followed(status: int) -> None:
    async def main() -> None:
        def move(asked: Asked, wire: Wire) -> None:
            if asked.target == "/mcp":
                wire.answer(status, Location="/mcp/?a=b")
            else:
                toy.usual(asked, wire)

        toy = HttpToy(handlers={"*": move})
        async with toy, Client(toy.url, headers={"Authorization": "Bearer x"}) as client:
            await client.list_tools()
            assert (await client.call_tool("x")).text == "called"
            targets = [asked.target for asked in toy.sent("tools/call")]
            assert targets == (["/mcp", "/mcp/?a=b"] if status == 307 else ["/mcp/?a=b"])
            assert all(asked.headers["authorization"] == "Bearer x" for asked in toy.asked)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "location", "why"),
    [
        (301, "/mcp/", "make a GET"),
        (302, "/mcp/", "make a GET"),
        (303, "/mcp/", "make a GET"),
        (307, "http://127.0.0.1:1/mcp", "another origin, http://127.0.0.1:1"),
        (308, "https://127.0.0.1/mcp", "another origin, https://127.0.0.1"),
        (307, "//evil.example/mcp", "another origin"),
        (307, "ftp://x/", "scheme"),
        (307, None, "where to"),
        (307, "/mcp", "6th"),
    ],
)
def test_other_redirects_are_refused_by_name(status: int, location: str | None, why: str) -> None:
    async def main() -> None:
        def move(asked: Asked, wire: Wire) -> None:
            wire.answer(status, **({} if location is None else {"Location": location}))

        async with HttpToy(handlers={"tools/call": move}) as toy, Client(toy.url) as client:
            with pytest.raises(HttpError, match=why) as caught:
                await client.call_tool("x")
            assert caught.value.status == status and f"HTTP {status}" in str(caught.value)

    asyncio.run(main())


# -- HTTP+SSE ----------------------------------------------------------------------------------------------------------


class SseToy(HttpToy):
    """A server of 2024-11-05: ``GET`` opens the stream, messages go to ``/messages``."""

    endpoint = "/messages?session=1"

    def __init__(self, **options: Any) -> None:
        super().__init__("2024-11-05", session=None, path="/sse", **options)
        self.streams: list[Wire] = []

    def usual(self, asked: Asked, wire: Wire) -> Any:
        if asked.verb == "GET":
            wire.stream()
            wire.event(self.endpoint, event="endpoint")
            self.streams.append(wire)
            return wire.closed()
        if asked.target != self.endpoint:
            wire.answer(405, "Method Not Allowed")
            return None
        wire.answer(202, "Accepted")
        if "id" in asked.message and asked.method != "answer":
            super().usual(asked, Rerouted(self.streams[-1]))  # type: ignore[arg-type]
        return None


class Rerouted:
    """What would be the body of an answer goes on the stream."""

    def __init__(self, stream: Wire) -> None:
        self._stream = stream

    def result(self, asked: Asked, result: Any, **_: str) -> None:
        self._stream.reply(asked, result)

    def error(self, asked: Asked, code: int, text: str = "no", *_: Any, **__: Any) -> None:
        self._stream.event({"jsonrpc": "2.0", "id": asked.id, "error": {"code": code, "message": text}})


@pytest.mark.spec(
    "2024-11-05/transports/M08",
    "2025-06-18/transports/S18",
    "2026-07-28/streamable-http/S17",
)
@pytest.mark.parametrize("transport", ["auto", "sse"])
def test_a_server_of_2024_is_spoken_to_by_http_sse(transport: Any) -> None:
    async def main() -> None:
        async with SseToy() as toy:
            async with Client(toy.url, transport=transport) as client:
                assert client.revision == "2024-11-05"
                assert (await client.call_tool("x")).text == "called"
                with pytest.raises(RpcError, match="-32601"):
                    await client.request("vendor/x")
                results = await asyncio.gather(*[client.call_tool(f"t{n}") for n in range(50)])
                assert len(results) == 50
            assert len(toy.sent("GET")) == 1
            await asyncio.sleep(0)
        assert toy.open == 0

    asyncio.run(main())


def test_a_streamable_server_is_never_probed_for_sse() -> None:
    async def main() -> None:
        for revision in (MODERN, LEGACY):
            async with HttpToy(revision) as toy, Client(toy.url) as client:
                await client.call_tool("x")
                assert all("mcp-session-id" in asked.headers for asked in toy.sent("GET"))

    asyncio.run(main())


def test_where_there_is_nothing_the_error_is_that_of_the_handshake() -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            wire.answer(404, "nothing here")

        async with HttpToy(handlers={"*": refuse}) as toy:
            with pytest.raises(ConnectFailed, match=r"initialize: .*404.*nothing here"):
                await Client(toy.url).connect()
            assert toy.methods() == ["server/discover", "initialize", "GET"]
            toy.asked.clear()
            with pytest.raises(ConnectFailed, match="404"):
                await Client(toy.url, transport="http").connect()
            assert toy.methods() == ["server/discover", "initialize"]

    asyncio.run(main())


@pytest.mark.parametrize(
    "first",
    [
        lambda asked, wire: (wire.stream(), wire.event({"jsonrpc": "2.0", "method": "x"})),
        lambda asked, wire: (wire.stream(), wire.event("http://evil.example/messages", event="endpoint")),
        lambda asked, wire: (wire.stream(), wire.end()),
        lambda asked, wire: wire.answer(200, "<html>", "text/html"),
        lambda asked, wire: (wire.stream(), silence(asked, wire))[1],
    ],
)
def test_a_stream_without_a_usable_endpoint_is_no_server(first: Any) -> None:
    async def main() -> None:
        async with SseToy(handlers={"GET": first}) as toy:
            with pytest.raises(ConnectFailed):
                await Client(toy.url, limits=Limits(endpoint_seconds=0.05)).connect()
            assert not [asked for asked in toy.asked if "evil" in asked.headers["host"]]
            with pytest.raises(ConnectFailed):
                await Client(toy.url, transport="sse", timeout=Timeouts(connect=0.2)).connect()

    asyncio.run(main())


def test_without_its_stream_the_calls_of_an_sse_connection_are_lost_and_the_next_one_connects_again() -> None:
    async def main() -> None:
        def cut(asked: Asked, wire: Wire) -> None:
            wire.answer(202)
            toy.streams[-1].close()

        toy = SseToy(handlers={"tools/call": cut})
        async with toy, Client(toy.url) as client:
            async with asyncio.timeout(1):
                with pytest.raises(ConnectionLost):
                    await client.call_tool("x")
            toy.handlers.clear()
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


def test_a_refused_message_of_an_sse_connection_fails_alone() -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            wire.answer(500, "no")

        async with SseToy(handlers={"tools/call": refuse}) as toy, Client(toy.url) as client:
            with pytest.raises(HttpError, match="500"):
                await client.call_tool("x")
            await client.ping()

    asyncio.run(main())


def test_http_sse_has_no_modern_revision() -> None:
    with pytest.raises(UsageError, match="legacy"):
        Client("http://127.0.0.1:1/sse", transport="sse", revisions=MODERN)


# -- the pool ----------------------------------------------------------------------------------------------------------


def test_three_thousand_calls_at_once_share_a_hundred_sockets() -> None:
    async def main() -> None:
        async with HttpToy() as toy, Client(toy.url) as client:
            results = await asyncio.gather(*[client.call_tool(f"t{n}") for n in range(3000)])
            assert all(result.text == "called" for result in results)
            assert 50 < toy.most_open <= 100
            assert client._link.last.runner.channel.pool.sockets <= 100  # type: ignore[union-attr]

    asyncio.run(main())


def test_calls_beyond_the_limit_of_those_who_wait_fail_at_once_and_the_others_go_on() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def slow(asked: Asked, wire: Wire) -> None:
            await go.wait()
            toy.usual(asked, wire)

        toy = HttpToy(handlers={"tools/call": slow})
        limits = Limits(pool_connections=2, pool_waiting=3)
        async with toy, Client(toy.url, limits=limits) as client:
            calls = [asyncio.ensure_future(client.call_tool("x")) for _ in range(2)]
            await toy.seen("tools/call", 2)
            calls += [asyncio.ensure_future(client.call_tool("x")) for _ in range(6)]
            for call in calls[5:]:
                with pytest.raises(RpcError, match="not sent"):
                    await call
            go.set()
            assert [(await call).text for call in calls[:5]] == ["called"] * 5

    asyncio.run(main())


def test_notifications_that_nobody_accepts_are_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        limits = Limits(pool_waiting=5, notice_seconds=0.1)
        async with HttpToy(handlers={"vendor/x": silence}) as toy, Client(toy.url, limits=limits) as client:
            for _ in range(8):
                await client.notify("vendor/x")
            await toy.seen("vendor/x", 5)
            await asyncio.sleep(0.15)
            await client.call_tool("x")
            assert len(toy.sent("vendor/x")) == 5

    asyncio.run(main())
    assert caplog.text.count("not accepted within 0.1 seconds") == 5
    assert caplog.text.count("5 messages wait already") == 3


def test_calls_one_after_the_other_share_one_connection() -> None:
    async def main() -> None:
        async with HttpToy() as toy, Client(toy.url) as client:
            for _ in range(200):
                await client.call_tool("x")
            assert toy.connections == 1

    asyncio.run(main())


# -- ways to a server --------------------------------------------------------------------------------------------------


def test_a_url_of_another_kind_is_refused() -> None:
    for url in ("http://", "http://[::1", "http://a b/", "https://x:99999/", "http+unix:///mcp", "http://ex\nample/"):
        with pytest.raises(UsageError):
            Client(url)


def test_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        toy = HttpToy()
        server = await asyncio.start_unix_server(toy._accept, path)
        url = "http+unix://" + path.replace("/", "%2F") + "/mcp"
        async with server, Client(url) as client:
            assert (await client.call_tool("x")).text == "called"
            assert toy.asked[0].headers["host"] == "localhost" and toy.asked[0].target == "/mcp"

    asyncio.run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificate can be made: {error}")
    return cert, key


def server_context(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_tls_with_a_context_of_ones_own_and_without(certificate: tuple[str, str]) -> None:
    async def main() -> None:
        # In debug mode asyncio tells the loop of every handshake that fails, and here one has to.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with HttpToy(tls=server_context(certificate)) as toy:
            with pytest.raises(ConnectFailed, match="certificate is not trusted"):
                await Client(toy.url).connect()
            trusting = ssl.create_default_context(cafile=certificate[0])
            async with Client(toy.url, ssl=trusting) as client:
                for _ in range(3):
                    assert (await client.call_tool("x")).text == "called"

        def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 No\r\n\r\n")
            writer.close()

        plain = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with plain:
            with pytest.raises(ConnectFailed, match="TLS"):
                await Client(f"https://127.0.0.1:{plain.sockets[0].getsockname()[1]}").connect()

    asyncio.run(main())


class Proxy:
    """Forwards absolute-form requests, and makes tunnels; keeps the heads it got."""

    def __init__(self, refuses: bool = False) -> None:
        self.heads: list[str] = []
        self.refuses = refuses

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://user:pass@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._tasks: set[asyncio.Task[Any]] = set()
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            verb, target, _ = head.split(" ", 2)
            if self.refuses:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = target.removeprefix("http://").partition("/")[0].partition(":")
            there = await asyncio.open_connection(host, int(port))
            if verb == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there[1].write(head.replace(f"http://{host}:{port}", "", 1).encode())
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


def test_a_proxy_forwards_what_is_not_secret() -> None:
    async def main() -> None:
        async with HttpToy() as toy, Proxy() as proxy, Client(toy.url, proxy=proxy.url) as client:
            assert (await client.call_tool("x")).text == "called"
            head = proxy.heads[0]
            assert head.startswith(f"POST {toy.url} HTTP/1.1\r\nHost: 127.0.0.1:{toy.port}\r\n")
            assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:pass').decode()}\r\n" in head

    asyncio.run(main())


def test_a_proxy_makes_a_tunnel_for_what_is(certificate: tuple[str, str]) -> None:
    async def main() -> None:
        trusting = ssl.create_default_context(cafile=certificate[0])
        async with HttpToy(tls=server_context(certificate)) as toy, Proxy() as proxy:
            async with Client(toy.url, proxy=proxy.url, ssl=trusting) as client:
                assert (await client.call_tool("x")).text == "called"
            assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{toy.port} HTTP/1.1\r\n")
            assert all("proxy-authorization" not in asked.headers for asked in toy.asked)
        async with HttpToy(tls=server_context(certificate)) as toy, Proxy(refuses=True) as proxy:
            with pytest.raises(ConnectFailed, match="CONNECT with HTTP 407") as caught:
                await Client(toy.url, proxy=proxy.url, ssl=trusting).connect()
            assert "pass" not in str(caught.value)

    asyncio.run(main())


def test_this_machine_is_reached_without_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def main() -> None:
        async with HttpToy() as toy, Client(toy.url) as client:
            assert (await client.call_tool("x")).text == "called"

    asyncio.run(main())


def test_a_proxy_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(UsageError, match=r"ALL_PROXY.*proxy=None"):
        Client("http://mcp.example/")
    Client("http://mcp.example/", proxy=None)
