"""``server.asgi()`` as an ASGI server sees it: where it answers, what it refuses, what it is told.

Scopes and messages by hand; with real servers: tests/interop.
"""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any
from urllib.parse import urljoin

import pytest

from mcpcore import HttpRequest, Limits, UsageError
from mcpcore.errors import Unauthorized
from mcpcore.transports import asgi_mounts
from mcpcore.transports.asgi import AsgiApp
from tests.transports.asgi_driver import Lifespan, Stage, initialize, running
from tests.transports.asgi_server import (
    ADD,
    ECHO,
    LISTEN,
    Steps,
    make_server,
    perform,
    refused,
    settled,
    site_of,
)

# -- where it answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/mcp", None),
        ("/mcp/", ""),
        ("/mcp", "/mcp"),  # a mount that leaves path alone: Starlette from 0.33 on, FastAPI
        ("/mcp/", "/mcp"),
        ("/", "/mcp"),  # a mount that cuts path: Starlette before
        ("", "/mcp"),
        ("/tools", "/tools"),
        ("/tools/", "/tools"),
        ("/tools/mcp", "/tools"),
        ("/mcp", "/tools"),
        ("/a/b/mcp", "/a/b"),
        ("/api/v1/mcp", "/api/v1/"),
        ("/mcp", "/m"),  # that only looks like a part of it
    ],
)
def test_it_answers_at_its_path_and_at_the_root_of_a_mount(path: str, root: str | None) -> None:
    async def story(stage: Stage) -> None:
        raw = path or "/mcp"
        assert (await stage.modern("tools/call", ADD, path=path, root=root, raw_path=raw)).text == "3"
        session = await stage.open_session(path=path, root=root, raw_path=raw)
        standing = stage.begin_standing(session, path=path, root=root, raw_path=raw)
        assert await standing.head() == 200
        ended = await stage.ask("DELETE", path, {"mcp-session-id": session}, root=root, raw_path=raw)
        assert ended.status == 204
        await standing.over()

    perform(make_server().asgi(), story)


@pytest.mark.parametrize(
    ("path", "root"), [("/", None), ("/mcp/more", None), ("/mcps", None), ("/mcps", "/mcp"), ("/tools/x", "/tools")]
)
def test_it_answers_nowhere_else(path: str, root: str | None) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.modern("tools/call", ADD, path=path, root=root)
        assert answer.status == 404
        assert "the MCP endpoint is /mcp" in answer.body.decode()

    perform(make_server().asgi(), story)


def test_a_path_is_compared_as_it_was_sent() -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.modern("ping", path="/mcp", raw_path="/%6dcp")).status == 404
        assert (await stage.modern("ping", path="/t/mcp", raw_path="/t/%6dcp", root="/t")).status == 404

    perform(make_server().asgi(), story)


def test_a_path_with_other_letters_is_found_with_and_without_raw_path() -> None:
    async def story(stage: Stage) -> None:
        for raw in ("/m%20cp", None):
            assert (await stage.modern("tools/call", ADD, path="/m cp", raw_path=raw)).text == "3"
        assert (await stage.modern("tools/call", ADD, path="/ü/m cp", raw_path=None, root="/ü")).text == "3"

    perform(make_server().asgi(path="/m%20cp"), story)


@pytest.mark.parametrize("path", ["/tools", "/tools/", "/tools/mcp", "/api/tools", "/api/tools/mcp"])
def test_a_mount_in_an_application_that_knows_its_proxys_prefix_is_found(path: str) -> None:
    """FastAPI(root_path="/api"), whether or not the proxy takes the prefix off."""

    async def story(stage: Stage) -> None:
        root = {"root": "/api/tools", "app_root_path": "/api"}
        assert (await stage.modern("tools/call", ADD, path=path, **root)).text == "3"
        assert (await stage.modern("tools/call", ADD, path="/tools/t%C3%BC", **root)).status == 404

    perform(make_server().asgi(), story)


def test_the_root_can_be_the_endpoint_without_a_mount() -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.modern("tools/call", ADD, path="/")).text == "3"

    perform(make_server().asgi(path="/"), story)


@pytest.mark.parametrize(
    ("seen", "path", "root"),
    [
        ("/sse", "/sse", None),
        ("/a/b/sse", "/a/b/sse", "/a/b"),  # mounted
        ("/a/b/sse", "/sse", "/a/b"),  # mounted, with an older Starlette
        ("/api/sse", "/sse", None),  # behind a proxy that takes /api off
    ],
)
def test_the_older_transport_names_a_url_that_is_right_for_its_client(seen: str, path: str, root: str | None) -> None:
    async def story(stage: Stage) -> None:
        stream = stage.begin("GET", path, root=root)
        event, data = (await stream.raw_event()).split("\n")
        assert event == "event: endpoint"
        url = urljoin(f"http://127.0.0.1:8000{seen}", data.removeprefix("data: "))
        where, _, query = url.removeprefix("http://127.0.0.1:8000").partition("?")
        assert where == f"{seen.removesuffix('sse')}messages"
        inside = f"{path.removesuffix('sse')}messages?{query}"
        taken = await stage.post(initialize(), path=inside, root=root)
        assert taken.status == 202
        assert (await stream.event())["result"]["protocolVersion"] == "2025-11-25"
        stream.disconnect()
        await stream.over()

    perform(make_server().asgi(), story)


def test_the_url_of_the_older_transport_can_be_given() -> None:
    async def story(stage: Stage) -> None:
        stream = stage.begin("GET", "/sse")
        assert "data: https://example.com/api/messages?session_id=" in await stream.raw_event()
        stream.disconnect()
        await stream.over()

    perform(make_server().asgi(message_url="https://example.com/api/messages"), story)


def test_health_is_answered_and_a_head_request_gets_no_body() -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.ask("GET", "/healthz")).body == b"ok\n"
        answer = await stage.ask("HEAD", "/readyz", root="/mcp")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "3", b"")

    perform(make_server().asgi(), story)


# -- before a byte of the body -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "host", "status"),
    [
        (("127.0.0.1", 8000), "localhost:9999", 200),
        (("127.0.0.1", 8000), "[::1]:8000", 200),
        (("127.0.0.1", 8000), "evil.example", 421),
        (("127.0.0.1", 8000), "10.0.0.5:8000", 421),
        (("::1", 8000), "10.0.0.5:8000", 421),
        (("::ffff:127.0.0.1", 8000), "10.0.0.5:8000", 421),
        (("10.0.0.5", 8000), "10.0.0.5:8000", 200),
        (("10.0.0.5", 8000), "evil.example", 421),
        (("evil.example", 80), "evil.example", 421),  # some servers take it from the Host header
        (("/run/app.sock", None), "evil.example", 421),
        (("/run/app.sock", None), "localhost", 200),
        (None, "evil.example", 421),
        (None, "192.0.2.7", 200),
    ],
)
def test_a_host_is_served_that_is_safe_where_the_request_came_in(
    server: tuple[str, int | None] | None, host: str, status: int
) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.modern("tools/call", ADD, headers={"host": host}, server=server)
        assert answer.status == status

    perform(make_server().asgi(), story)


def test_a_host_that_is_named_is_served_wherever_it_came_in() -> None:
    async def story(stage: Stage) -> None:
        for server in (("127.0.0.1", 8000), ("10.0.0.5", 80)):
            headers = {"host": "mcp.example.com", "origin": "https://mcp.example.com"}
            assert (await stage.modern("tools/call", ADD, headers=headers, server=server)).text == "3"

    perform(make_server().asgi(allowed_hosts=["mcp.example.com"]), story)


def test_the_host_of_a_test_client_is_refused_with_the_setting_that_lets_it_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(stage: Stage) -> None:
        answer = await refused(stage, 421, {"host": "testserver"}, server=("testserver", 80))
        assert 'allowed_hosts=["testserver"]' in answer.error["message"]

    perform(make_server().asgi(), story)
    assert 'allowed_hosts=["testserver"]' in caplog.text


def test_what_the_head_forbids_is_answered_before_the_body_is_asked_for() -> None:
    def stranger(head: Any) -> str:
        raise Unauthorized("a token is needed", www_authenticate='Bearer realm="here"')

    async def story(stage: Stage) -> None:
        await refused(stage, 421, {"host": "evil.example"})
        await refused(stage, 403, {"origin": "https://evil.example"})
        await refused(stage, 413, {"content-length": str(17 * 1024 * 1024)})
        await refused(stage, 415, {"content-type": "text/plain"})
        await refused(stage, 406, {"accept": "text/html"})
        answer = await refused(stage, 401, {})
        assert answer.headers["www-authenticate"] == 'Bearer realm="here"'

    perform(make_server().asgi(authorize=stranger), story)


def test_an_upload_that_is_announced_as_too_large_is_refused_on_every_path() -> None:
    async def story(stage: Stage) -> None:
        length = {"content-length": str(17 * 1024 * 1024)}
        request = stage.begin("POST", "/messages", length, None)
        assert ((await request.answer()).status, request.asked) == (413, 0)

    perform(make_server().asgi(), story)


def test_a_field_that_came_twice_is_no_single_value() -> None:
    async def story(stage: Stage) -> None:
        twice = [("content-type", "application/json"), ("mcp-session-id", "a"), ("mcp-session-id", "b")]
        answer = await stage.ask("POST", "/mcp", twice, None)
        assert answer.status == 400
        assert "mcp-session-id" in answer.error["message"]

    perform(make_server().asgi(), story)


def test_who_asks_is_found_out_by_a_function_or_a_coroutine() -> None:
    def named(head: Any) -> str:
        return str(head.headers["x-who"])

    async def looked_up(head: Any) -> str | None:
        await asyncio.sleep(0)
        return None

    async def story(stage: Stage) -> str:
        return (await stage.modern("tools/call", ECHO, headers={"x-who": "ada"})).text

    assert perform(make_server().asgi(authorize=named), story) == "hi ada ada"
    assert perform(make_server().asgi(authorize=looked_up), story) == "hi ada anonymous"


def test_a_session_is_unknown_to_everybody_else() -> None:
    async def story(stage: Stage) -> None:
        session = await stage.open_session(headers={"x-who": "ada"})
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert (await stage.post(ping, session, headers={"x-who": "ada"})).result == {}
        assert (await stage.post(ping, session, headers={"x-who": "eve"})).status == 404

    perform(make_server().asgi(authorize=lambda head: head.headers["x-who"]), story)


def test_a_hook_that_fails_is_an_internal_error_and_its_reason_stays_here(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(head: Any) -> str:
        raise RuntimeError("secret")

    async def story(stage: Stage) -> None:
        answer = await refused(stage, 500, {})
        assert b"secret" not in answer.body

    perform(make_server().asgi(authorize=broken), story)
    assert "secret" in caplog.text


def test_a_field_of_an_answer_cannot_bring_another_one_with_it() -> None:
    def stranger(head: Any) -> str:
        raise Unauthorized("no", www_authenticate="Bearer\r\nset-cookie: a=b")

    async def story(stage: Stage) -> None:
        request = stage.begin("POST", "/mcp", {"content-type": "application/json"})
        with pytest.raises(ValueError, match="www-authenticate holds a control character"):
            await request.over()
        assert request.status is None

    perform(make_server().asgi(authorize=stranger), story)


def test_a_page_of_another_origin_is_let_in_by_one_argument() -> None:
    async def story(stage: Stage) -> None:
        origin = {"origin": "https://app.example"}
        asking = {**origin, "access-control-request-method": "POST"}
        assert (await stage.ask("OPTIONS", "/mcp", asking)).headers["access-control-allow-origin"] == origin["origin"]
        for answer in (
            await stage.modern("tools/call", ADD, headers=origin),
            await stage.modern("tools/none", headers=origin),
            await refused(stage, 415, {**origin, "content-type": "text/plain"}),
        ):
            assert answer.headers["access-control-allow-origin"] == origin["origin"]
            assert "Mcp-Session-Id" in answer.headers["access-control-expose-headers"]
        listen = stage.begin_modern("subscriptions/listen", LISTEN, headers=origin)
        await listen.event()
        assert listen.headers["access-control-allow-origin"] == origin["origin"]
        listen.disconnect()
        await listen.over()

    perform(make_server().asgi(cors=["https://app.example"]), story)


# -- the body ----------------------------------------------------------------------------------------------------------


def test_a_body_may_come_in_any_pieces() -> None:
    async def story(stage: Stage) -> None:
        whole = stage.begin_modern("tools/call", ADD)
        assert (await whole.answer()).text == "3"
        body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
        rest = b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}'
        pieces = [bytes([byte]) for byte in body] + [b"", rest, b""]
        answer = await stage.ask("POST", "/mcp", {"content-type": "application/json"}, pieces)
        assert answer.result["protocolVersion"] == "2025-11-25"

    perform(make_server().asgi(), story)


def test_a_body_that_grows_too_large_is_refused_at_that_byte() -> None:
    async def story(stage: Stage) -> None:
        headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
        request = stage.begin("POST", "/mcp", headers, [b" " * 600, b" " * 400, b" ", b"never asked for"])
        answer = await request.answer()
        assert (answer.status, request.received) == (413, 3)
        request = stage.begin("POST", "/mcp", headers, [b" " * 600, b" " * 400])
        assert (await request.answer()).status == 400

    perform(make_server(limits=Limits(max_message_bytes=1000)).asgi(), story)


def test_a_body_that_is_silent_for_too_long_is_given_up() -> None:
    async def story(stage: Stage) -> None:
        for sent in (None, [b'{"jsonrpc":']):
            request = stage.begin("POST", "/mcp", {"content-type": "application/json"}, None)
            if sent is not None:
                request.feed(sent, more=True)
            answer = await request.answer()
            assert answer.status == 408
            assert "0.04 seconds" in answer.error["message"]

    perform(make_server(limits=Limits(body_seconds=0.04)).asgi(), story)


def test_a_client_that_leaves_inside_its_body_gets_nothing() -> None:
    async def story(stage: Stage) -> None:
        request = stage.begin("POST", "/mcp", {"content-type": "application/json"}, None)
        request.feed([b"{"], more=True)
        request.disconnect()
        await request.over()
        assert (request.status, request.body) == (499, b"")

    perform(make_server().asgi(), story)


def test_a_server_may_cancel_a_request_whose_body_is_not_complete() -> None:
    async def story(stage: Stage) -> None:
        request = stage.begin("POST", "/mcp", {"content-type": "application/json"}, None)
        await settled()
        request.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request.over()
        assert request.status is None

    perform(make_server().asgi(), story)


def test_bodies_that_are_not_complete_are_limited_all_together() -> None:
    async def story(stage: Stage) -> None:
        headers = {"content-type": "application/json"}
        first = stage.begin("POST", "/mcp", headers, None)
        first.feed([b" " * 800], more=True)
        await settled()
        second = stage.begin("POST", "/mcp", headers, None)
        second.feed([b" " * 800], more=True)
        answer = await second.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        first.feed([b"{}"])
        assert (await first.answer()).status == 400
        third = stage.begin("POST", "/mcp", headers, [b" " * 800, b"{}"])
        assert (await third.answer()).status == 400

    perform(make_server(limits=Limits(max_buffered_bytes=1000)).asgi(), story)


# -- what it is, and what it is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 8000}, "asgi has no option 'port'; sockets are the ASGI server's affair; it has path,"),
        ({"prot": 8000}, "asgi has no option 'prot'; it has path,"),
        ({"answers": "xml"}, "answers must be"),
        ({"path": "mcp"}, "path: 'mcp' is no path"),
        ({"allowed_hosts": ["https://example.com"]}, "allowed_hosts:"),
        ({"cors": ["example.com"]}, "cors:"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make_server().asgi(**options)


def test_a_websocket_is_closed_before_it_is_accepted_and_other_scopes_are_refused() -> None:
    async def main() -> None:
        app = make_server().asgi()
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await app({"type": "websocket", "path": "/mcp"}, receive, send)
        assert [message["type"] for message in sent] == ["websocket.close"]
        with pytest.raises(UsageError, match="not 'telepathy'"):
            await app({"type": "telepathy"}, receive, send)

    asyncio.run(main())


def test_the_servers_own_routes_are_served_with_their_bodies() -> None:
    async def main() -> None:
        steps = Steps()
        server = make_server()

        @server.custom_route("/store", methods=["PUT", "DELETE"])
        async def store(request: HttpRequest) -> dict[str, str]:
            return {"method": request.method, "body": request.body.decode(), **request.query}

        @server.custom_route("/wait")
        async def wait(request: HttpRequest) -> str:
            steps.note("begun")
            try:
                await steps.gate.wait()
            except asyncio.CancelledError:
                steps.note("cancelled")
                raise
            return "done"

        async with running(server.asgi()) as stage:
            for method in ("PUT", "DELETE"):
                answer = await stage.ask(method, "/store?a=1", {"content-length": "4"}, [b"bo", b"dy"])
                assert answer.json == {"method": method, "body": "body", "a": "1"}
            request = stage.begin("GET", "/wait")
            await steps.until("begun")
            request.disconnect()
            await request.over()
            await steps.until("cancelled")
            request = stage.begin("GET", "/wait")
            steps.gate.set()
            assert (await request.answer()).body == b"done"

    asyncio.run(main())


def test_a_route_that_stands_in_the_way_stops_the_start() -> None:
    async def main() -> None:
        server = make_server()
        app = server.asgi()

        @server.custom_route("/healthz")
        async def health(request: HttpRequest) -> str:
            return "mine"

        scope = Lifespan(app)
        answer = await scope.start()
        assert answer["type"] == "lifespan.startup.failed"
        assert "'/healthz' is " in answer["message"]
        await scope.over()
        with pytest.raises(UsageError, match="'/healthz' is "):
            server.asgi()

    asyncio.run(main())


def test_a_fault_of_ours_in_a_stream_ends_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(head: Any, body: bytes, sink: Any, *_: Any) -> None:
        sink.open(())
        raise RuntimeError("a fault")

    async def story(stage: Stage) -> None:
        assert (await stage.modern("tools/call", ADD)).text == "3"
        monkeypatch.setattr(site_of(stage.app), "dispatch", broken)
        answer = await stage.modern("tools/call", ADD)
        assert (answer.status, answer.body) == (200, b"")

    perform(make_server().asgi(), story)
    assert "a fault" in caplog.text


def test_a_fault_of_ours_is_an_internal_error_with_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a fault")

    async def story(stage: Stage) -> None:
        assert (await stage.modern("tools/call", ADD)).text == "3"
        monkeypatch.setattr(site_of(stage.app), "dispatch", broken)
        answer = await stage.modern("tools/call", ADD)
        assert answer.status == 500
        assert "a fault" not in answer.error["message"]

    perform(make_server().asgi(), story)
    assert "a fault" in caplog.text


class Mount:
    """As far as Starlette's class of this name matters: with real ones it is tested in tests/interop."""

    def __init__(self, path: str, app: Any) -> None:
        self.path = path
        self.app = self._base_app = app

    def matches(self, scope: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        found = scope["path"].startswith(f"{self.path}/")
        match = types.SimpleNamespace(value=2 if found else 0)
        return match, {"root_path": self.path} if found else {}


def test_a_mount_of_ours_matches_without_a_slash_and_no_other_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    mount: Any = type("Mount", (Mount,), {"matches": Mount.matches})
    monkeypatch.setitem(sys.modules, "starlette.routing", types.SimpleNamespace(Mount=mount))
    app = make_server().asgi()
    make_server().asgi()  # it is done once
    assert mount.matches.__wrapped__ is Mount.matches
    assert mount("/mcp", app).matches({"type": "http", "path": "/mcp"})[1] == {"root_path": "/mcp"}
    assert mount("/mcp", app).matches({"type": "http", "path": "/mcp/"})[0].value
    assert not mount("/mcp", app).matches({"type": "http", "path": "/mcps"})[0].value
    assert not mount("/mcp", print).matches({"type": "http", "path": "/mcp"})[0].value


def test_without_starlette_there_is_nothing_to_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "starlette.routing", raising=False)
    assert asgi_mounts.match_bare_mounts(AsgiApp) is False


def test_another_event_loop_library_is_told_apart() -> None:
    app = make_server().asgi()
    coroutine = app({"type": "http"}, None, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="asyncio"):
        coroutine.send(None)


def test_it_says_whose_it_is() -> None:
    assert repr(make_server().asgi()) == "<AsgiApp 'asgi'>"
