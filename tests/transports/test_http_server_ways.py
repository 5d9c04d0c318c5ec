"""Where the HTTP server listens: over TLS, on Unix sockets, on several addresses; and how it ends, in time."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Server, UsageError
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_server import HttpServer
from tests.transports.http_stage import Stage, call, echo, run, text_of
from tests.transports.http_wire import Raw, request, serving

# -- where -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    place = tmp_path_factory.mktemp("tls")
    files = str(place / "cert.pem"), str(place / "key.pem")
    kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    name = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *kind.split(), *name.split(), "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_over_tls_everything_is_as_without(certificate: tuple[str, str]) -> None:
    async def main() -> None:
        stage = Stage()
        context = ssl.create_default_context(cafile=certificate[0])
        async with serving(stage.server, tls=certificate) as served:
            assert served.http.urls == [f"https://127.0.0.1:{served.http.port}/mcp"]

            async def connect() -> Raw:
                return Raw(*await asyncio.open_connection("127.0.0.1", served.http.port, ssl=context))

            async with await connect() as raw:
                raw.send(b"".join(echo(served, str(number), number) for number in range(5)))
                assert [text_of(await raw.answer()) for _ in range(5)] == list("01234")
                raw.send(echo(served, "x" * 3_000_000))
                assert len(text_of(await raw.answer())) == 3_000_000
                raw.send(echo(served, "s", accept="text/event-stream"))
                await raw.stream()
                assert len(await raw.rest()) == 1
            async with await connect() as raw:
                raw.send(request(body=b"x" * 100_000, content_type="text/plain"))
                assert (await raw.answer()).status == 415
            for tool in ("wait", "speak_and_wait"):
                raw = await connect()
                raw.send(call(served, tool, {"name": tool}))
                await stage.until(stage.begun, tool)
                await raw.close()
                await stage.until(stage.cancelled, tool)

    run(main())


def test_who_does_not_speak_tls_is_only_closed(certificate: tuple[str, str]) -> None:
    async def main() -> None:  # in debug mode asyncio tells the loop of every handshake that fails
        async with serving(Stage().server, tls=certificate, errors=True) as served, served.connect() as raw:
            raw.send(echo(served, "x"))
            assert b"HTTP/" not in await raw.closed()

    run(main())


def test_who_never_finishes_the_tls_handshake_is_cut_off(certificate: tuple[str, str]) -> None:
    async def main() -> None:
        stage = Stage(head_seconds=0.1)
        async with serving(stage.server, tls=certificate, errors=True) as served, served.connect() as raw:
            raw.send(b"\x16\x03\x01")
            assert b"HTTP/" not in await raw.closed()
            assert not served.http.connections

    run(main())


def test_on_a_unix_socket_everything_is_as_without(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "mcp.sock")
        async with serving(Stage().server, unix=path) as served:
            assert text_of(await served.once(echo(served, "x"))) == "x"
            assert text_of(await served.once(echo(served, "x", host="10.1.2.3"))) == "x"
            assert (await served.once(echo(served, "x", host="evil.example"))).status == 421
        assert not os.path.exists(path)

    run(main())


def test_on_several_addresses_the_port_is_the_same() -> None:
    async def main() -> None:
        async with serving(Stage().server, host=["127.0.0.1", "127.0.0.2"]) as served:
            for host in ("127.0.0.1", "127.0.0.2"):
                async with Raw(*await asyncio.open_connection(host, served.http.port)) as raw:
                    raw.send(echo(served, host, host=host))
                    assert text_of(await raw.answer()) == host

    run(main())


def test_a_small_answer_is_sent_at_once_wherever_the_socket_comes_from() -> None:
    """Without TCP_NODELAY the second answer on a connection waits for the client's delayed acknowledgement, 40 ms."""

    async def main() -> None:
        inherited = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # as a parent process hands it on
        inherited.bind(("127.0.0.1", 0))
        for sockets in (None, [inherited]):
            http = HttpServer(Stage().server, HttpOptions(port=0))
            await http.start(sockets)
            raw = Raw(*await asyncio.open_connection("127.0.0.1", http.port))
            raw.send(request("GET", "/healthz") * 2)
            assert [(await raw.answer()).status for _ in range(2)] == [200, 200]
            (connection,) = http.connections
            accepted = connection._transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await raw.close()
            await http.stop()

    run(main())


def test_on_every_address_any_address_is_served_and_no_name() -> None:
    async def main() -> None:
        async with serving(Stage().server, host="0.0.0.0") as served:
            for host, status in (("192.168.7.7:80", 200), ("localhost", 200), ("evil.example", 421)):
                assert (await served.once(echo(served, "x", host=host))).status == status

    run(main())


def test_an_address_that_cannot_be_had_leaves_nothing_behind() -> None:
    async def main() -> None:
        entered: list[str] = []

        @asynccontextmanager
        async def lifespan(server: Server) -> Any:
            entered.append("in")
            yield
            entered.append("out")

        server = Server("taken", lifespan=lifespan)
        async with serving(Stage().server) as served:
            http = HttpServer(server, HttpOptions(port=served.http.port or 0))
            with pytest.raises(UsageError, match="in use already"):
                await http.start()
        assert entered in ([], ["in", "out"])

    run(main())


# -- the end -----------------------------------------------------------------------------------------------------------


def test_what_runs_when_the_server_stops_may_finish_and_nothing_new_begins() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.connect() as busy, served.connect() as idle:
            idle.send(echo(served, "x"))
            assert text_of(await idle.answer()) == "x"
            busy.send(call(served, "wait", {"name": "a"}))
            await stage.until(stage.begun, "a")
            stopping = asyncio.create_task(served.http.stop(5))
            while not served.endpoint.draining:
                await asyncio.sleep(0)
            idle.send(request("GET", "/readyz"))
            answer = await idle.answer()
            assert (answer.status, answer.body) == (503, b"stopping\n")
            idle.send(echo(served, "x", 7))
            answer = await idle.answer()
            assert (answer.status, answer.json["id"], answer.fields["retry-after"]) == (503, 7, "1")
            with pytest.raises(OSError):
                await served.open()
            stage.open("a")
            answer = await busy.answer()
            assert text_of(answer) == "a"
            await stopping
            assert await busy.closed() == b""
            assert await idle.closed() == b""

    run(main())


def test_what_does_not_finish_in_time_is_cancelled_and_answered() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk, served.talk() as modern:
            silent = await modern.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            loud = await modern.call(
                "tools/call", {"name": "speak_and_wait", "arguments": {"name": "b"}}, logLevel="info"
            )
            legacy = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "c"}})
            await stage.until(stage.begun, "a", "b", "c")
            await served.http.stop(0.05)
            assert sorted(stage.cancelled) == ["a", "b", "c"]
            assert "cancelled" in (await silent.answer()).error["message"]
            for post in (loud, legacy):
                said, answer = await post.rest()
                assert said["method"] == "notifications/message"
                assert "cancelled" in answer["error"]["message"]

    run(main())


def test_a_handler_that_will_not_end_does_not_keep_the_server() -> None:
    async def main() -> None:
        stage = Stage()
        begun, free = asyncio.Event(), asyncio.Event()

        @stage.server.tool
        async def stubborn() -> str:
            begun.set()
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    pass
            return "at last"

        async with serving(stage.server) as served:
            raws = [await served.open() for _ in range(20)]
            for raw in raws:
                raw.send(call(served, "stubborn", {}))
            await begun.wait()
            started = asyncio.get_running_loop().time()
            await served.http.stop(0.1)
            assert asyncio.get_running_loop().time() - started < 1
            free.set()
            for raw in raws:
                await raw.close()
            await asyncio.sleep(0.01)

    run(main())


def test_a_server_stops_with_requests_that_never_came_whole() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            raws = [await served.open() for _ in range(3)]
            raws[0].send(b"POST /mcp HT")
            raws[1].send(echo(served, "x")[:-1])
            started = asyncio.get_running_loop().time()
            await served.http.stop(0.1)
            assert asyncio.get_running_loop().time() - started < 1
            for raw in raws:
                assert await raw.closed() == b""
                await raw.close()

    run(main())


def test_stopping_twice_does_nothing_more() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            await asyncio.gather(served.http.stop(0.1), served.http.stop(0.1))
            await served.http.stop()

    run(main())
