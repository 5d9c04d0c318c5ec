"""Routes of a server's own over HTTP: what a handler gets, what becomes of what it returns, and who may ask."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from mcpcore import HttpRequest, HttpResponse, Limits, Server, Unauthorized, UsageError
from mcpcore.transports.http_options import HttpOptions
from mcpcore.transports.http_site import Site
from tests.transports.asgi_driver import running
from tests.transports.http_wire import Answer, Served, request, serving


def get(path: str, **fields: Any) -> bytes:
    return request("GET", path, **fields)


def asked(server: Server, *requests: bytes, to: str = "POST", **options: Any) -> list[Answer]:
    """The answers, each on a connection of its own."""

    async def main() -> list[Answer]:
        async with serving(server, **options) as served:
            return [await served.once(data, to=to) for data in requests]

    return asyncio.run(main())


def routed(value: Any, **options: Any) -> Server:
    """A server whose ``/x`` returns ``value``."""
    server = Server("routed")

    @server.custom_route("/x", **options)
    async def handler(request: HttpRequest) -> Any:
        return value() if callable(value) else value

    return server


# -- what goes in and comes out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, kind, body",
    [
        ("späße", "text/plain; charset=utf-8", "späße".encode()),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff"),
        ({"ok": True}, "application/json", b'{"ok":true}'),
        ([1, 2], "application/json", b"[1,2]"),
        (HttpResponse(201, "made"), "text/plain; charset=utf-8", b"made"),
        (HttpResponse(200, "<p>", {"Content-Type": "text/html"}), "text/html", b"<p>"),
        (HttpResponse(200, {"a": 1}, {"content-type": "application/problem+json"}), "application/problem+json", None),
    ],
)
def test_what_a_handler_returns_says_its_type(value: Any, kind: str, body: bytes | None) -> None:
    (answer,) = asked(routed(value), get("/x"))
    assert answer.fields["content-type"] == kind
    assert answer.body == (body or b'{"a":1}')
    assert answer.status == (value.status if isinstance(value, HttpResponse) else 200)


def test_a_response_carries_its_own_headers_and_none_is_an_empty_answer() -> None:
    (answer,) = asked(routed(HttpResponse(204, headers={"X-Mine": "1", "cache-control": "no-store"})), get("/x"))
    assert (answer.status, answer.body, answer.fields["x-mine"]) == (204, b"", "1")
    assert "content-type" not in answer.fields and "content-length" not in answer.fields
    (answer,) = asked(routed(None), get("/x"))
    assert (answer.status, answer.body, answer.fields["content-length"]) == (200, b"", "0")


def test_a_handler_sees_method_path_query_headers_body_and_principal() -> None:
    server = Server("seen")

    @server.custom_route("/hook/a", methods=["POST", "PUT"])
    async def handler(request: HttpRequest) -> dict[str, Any]:
        return {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "header": request.headers["x-some"],
            "body": request.body.decode(),
            "principal": request.principal,
        }

    data = [
        request(method, "/hook/a?a=1&b=%C3%A4+b&a=2&empty=", b'{"k":1}', x_some="Value", content_type="text/plain")
        for method in ("POST", "PUT")
    ]
    for method, answer in zip(("POST", "PUT"), asked(server, *data), strict=True):
        assert answer.json == {
            "method": method,
            "path": "/hook/a",
            "query": {"a": "2", "b": "ä b", "empty": ""},
            "header": "Value",
            "body": '{"k":1}',
            "principal": "anonymous",
        }


def test_a_plain_function_runs_in_a_worker_thread_with_the_context_of_the_request() -> None:
    server = Server("threads")
    loop_thread = threading.get_ident()
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("set outside")

    @server.custom_route("/x")
    def handler(request: HttpRequest) -> dict[str, Any]:
        return {"same": threading.get_ident() == loop_thread, "variable": variable.get()}

    (answer,) = asked(server, get("/x"))
    assert answer.json == {"same": False, "variable": "set outside"}


def test_head_is_served_with_get_and_has_no_body() -> None:
    (answer,) = asked(routed("twelve bytes"), request("HEAD", "/x"), to="HEAD")
    assert (answer.status, answer.body, answer.fields["content-length"]) == (200, b"", "12")


def test_another_method_is_405_and_options_lists_what_there_is() -> None:
    server = routed("x", methods=["GET", "PUT"])
    put, post, options, other = asked(
        server, request("PUT", "/x"), request("POST", "/x"), request("OPTIONS", "/x"), get("/x/")
    )
    assert put.status == 200
    assert (post.status, post.fields["allow"]) == (405, "GET, PUT, HEAD, OPTIONS")
    assert (options.status, options.fields["allow"]) == (204, "GET, PUT, HEAD, OPTIONS")
    assert other.status == 404 and b"the MCP endpoint is /mcp" in other.body


def test_one_path_may_have_a_handler_for_each_method() -> None:
    server = Server("two")

    @server.custom_route("/x", methods=["GET"])
    async def read(request: HttpRequest) -> str:
        return "read"

    @server.custom_route("/x", methods=["POST"])
    async def write(request: HttpRequest) -> str:
        return "write"

    answers = asked(server, get("/x"), request("POST", "/x", b"{}"))
    assert [answer.body for answer in answers] == [b"read", b"write"]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_an_error_is_500_and_its_details_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Any:
        raise ValueError("a secret")

    answers = asked(routed(fail), get("/x"), get("/healthz"), errors=True)
    assert (answers[0].status, answers[0].body) == (500, b"internal error; the server's log has the details\n")
    assert answers[1].status == 200, "the server goes on"
    assert "a secret" in caplog.text and "GET /x failed" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        lambda: HttpResponse(99),
        lambda: HttpResponse(200, "", {"x": "a\r\nset-cookie: b"}),
        lambda: HttpResponse(200, "", {"a b": "c"}),
        lambda: HttpResponse(200, "", {"Content-Length": "0"}),
        lambda: HttpResponse(200, "", {"x": "日"}),
        object,
        SystemExit,
    ],
)
def test_what_cannot_be_sent_is_an_error_of_the_handler(value: Callable[[], Any]) -> None:
    def call() -> Any:
        if value is SystemExit:
            raise SystemExit(3)
        return value()

    assert [answer.status for answer in asked(routed(call), get("/x"), errors=True)] == [500]


def test_a_body_that_is_too_large_never_reaches_the_handler() -> None:
    server = Server("small", limits=Limits(max_message_bytes=10))
    bodies: list[bytes] = []

    @server.custom_route("/x", methods=["POST"])
    async def handler(request: HttpRequest) -> None:
        bodies.append(request.body)

    fits, too_much = asked(server, request("POST", "/x", b"x" * 10), request("POST", "/x", b"x" * 11))
    assert (fits.status, too_much.status, bodies) == (200, 413, [b"x" * 10])


class Gate:
    """A handler that says when it runs, and waits."""

    def __init__(self, server: Server) -> None:
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        self.leave = asyncio.Event()
        server.custom_route("/wait")(self)

    async def __call__(self, request: HttpRequest) -> str:
        self.entered.set()
        try:
            await self.leave.wait()
        finally:
            self.left.set()
        return "done"


@asynccontextmanager
async def gated(**options: Any) -> AsyncIterator[tuple[Served, Gate]]:
    server = Server("gated", limits=options.pop("limits", Limits()))
    gate = Gate(server)
    async with serving(server, **options) as served:
        yield served, gate


def test_a_client_that_goes_away_cancels_the_handler() -> None:
    async def main() -> None:
        async with gated() as (served, gate):
            async with served.connect() as raw:
                raw.send(get("/wait"))
                await gate.entered.wait()
            async with asyncio.timeout(5):
                await gate.left.wait()

    asyncio.run(main())


def test_requests_to_routes_count_among_those_that_are_served() -> None:
    async def main() -> None:
        async with gated(limits=Limits(max_requests=1)) as (served, gate), served.connect() as raw:
            raw.send(get("/wait"))
            await gate.entered.wait()
            refused = await served.once(get("/wait"))
            assert (refused.status, refused.fields["retry-after"]) == (503, "1")
            gate.leave.set()
            assert (await raw.answer()).body == b"done"
            assert (await served.once(get("/wait"))).status == 200

    asyncio.run(main())


def test_a_server_that_stops_lets_a_handler_finish_within_its_time() -> None:
    async def main() -> None:
        async with gated() as (served, gate), served.connect() as raw, served.connect() as other:
            raw.send(get("/wait"))
            await gate.entered.wait()
            other.send(get("/healthz"))
            await other.answer()
            stopping = asyncio.create_task(served.http.stop(5.0))
            while not served.endpoint.draining:
                await asyncio.sleep(0)
            other.send(get("/wait"))
            refused = await other.answer()
            assert refused.status == 503 and b"stopping" in refused.body
            gate.leave.set()
            assert (await raw.answer()).body == b"done"
            await stopping

    asyncio.run(main())


def test_a_handler_that_takes_too_long_for_a_stop_is_cancelled_and_answered() -> None:
    async def main() -> None:
        async with gated() as (served, gate), served.connect() as raw:
            raw.send(get("/wait"))
            await gate.entered.wait()
            await served.http.stop(0.0)
            answer = await raw.answer()
            assert (answer.status, answer.body) == (503, b"the server is stopping; retry later\n")
            assert gate.left.is_set()

    asyncio.run(main())


# -- who may ask -------------------------------------------------------------------------------------------------------


def hook(head: Any) -> str:
    if head.headers.get("authorization") != "Bearer good":
        raise Unauthorized("no")
    return "alice"


def test_the_authorization_hook_is_asked_unless_the_route_is_public() -> None:
    server = Server("guarded")

    @server.custom_route("/mine")
    async def mine(request: HttpRequest) -> str:
        return request.principal

    @server.custom_route("/all", public=True)
    async def everyone(request: HttpRequest) -> str:
        return request.principal

    answers = asked(
        server, get("/mine"), get("/mine", authorization="Bearer good"), get("/all"), request("POST", "/all"),
        authorize=hook,
    )  # fmt: skip
    assert [answer.status for answer in answers] == [401, 200, 200, 401]
    assert [answers[1].body, answers[2].body] == [b"alice", b"anonymous"]


def test_host_and_origin_are_looked_at_and_cors_is_told() -> None:
    page = "https://page.example"
    foreign, other, own = asked(
        routed("x", public=True),
        get("/x", host="evil.example"),
        get("/x", origin="https://evil.example"),
        get("/x", origin=page),
        cors=[page],
    )
    assert (foreign.status, other.status, own.status) == (421, 403, 200)
    assert own.fields["access-control-allow-origin"] == page


def test_a_preflight_for_a_route_is_answered() -> None:
    page = "https://page.example"
    (answer,) = asked(
        routed("x"),
        request("OPTIONS", "/x", origin=page, access_control_request_method="GET"),
        cors=[page],
        authorize=hook,
    )
    assert (answer.status, answer.fields["access-control-allow-origin"]) == (204, page)


# -- registration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, methods, complaint",
    [
        ("metrics", ["GET"], "is no path"),
        ("/a b", ["GET"], "is no path"),
        ("/a?b", ["GET"], "is no path"),
        ("/x", "GET", "methods is a list"),
        ("/x", [], "no methods"),
        ("/x", ["get"], "no methods"),
        ("/x", ["OPTIONS"], "answered by the server"),
    ],
)
def test_a_route_that_cannot_be_is_refused_at_once(path: str, methods: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Server("x").custom_route(path, methods=methods)(print)


def test_a_route_is_registered_once() -> None:
    with pytest.raises(UsageError, match="GET /x is served already"):
        routed("x").custom_route("/x")(print)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/messages", "/healthz", "/readyz"])
def test_a_path_of_the_servers_own_is_refused_when_it_starts(path: str) -> None:
    server = Server("x")
    server.custom_route(path)(print)
    with pytest.raises(UsageError, match=f"custom_route: '{path}' is .*; choose another path"):
        Site(server, HttpOptions())


def test_a_path_that_the_server_does_not_serve_is_free() -> None:
    server = Server("x")
    for path in ("/mcp", "/sse", "/healthz"):

        @server.custom_route(path)
        async def handler(request: HttpRequest) -> dict[str, str]:
            return {"path": request.path}

    answers = asked(server, get("/mcp"), get("/sse"), get("/healthz"), path="/other", sse=False, health=False)
    assert [json.loads(answer.body)["path"] for answer in answers] == ["/mcp", "/sse", "/healthz"]


def test_a_route_that_is_registered_later_opens_no_path_of_the_servers_own() -> None:
    async def main() -> None:
        server = Server("late")
        async with serving(server, authorize=hook) as served:
            for path in ("/mcp", "/sse"):
                server.custom_route(path, methods=["GET", "POST"], public=True)(print)
                assert (await served.once(get(path, accept="text/event-stream"))).status == 401
            assert (await served.once(request("POST", "/mcp", b"{}"))).status == 401

    asyncio.run(main())


# -- inside an ASGI server ---------------------------------------------------------------------------------------------


def test_routes_are_served_under_asgi_too_also_under_a_mount() -> None:
    server = Server("mounted")

    @server.custom_route("/hook", methods=["GET", "PUT"], public=True)
    async def handler(request: HttpRequest) -> HttpResponse:
        return HttpResponse(202, {"body": request.body.decode(), "query": request.query}, {"x-mine": "1"})

    @server.custom_route("/mine")
    def mine(request: HttpRequest) -> str:
        return request.principal

    async def main() -> None:
        async with running(server.asgi(authorize=hook)) as stage:
            for root in ("", "/outer"):
                put = await stage.ask("PUT", f"{root}/hook?a=1", body=[b"two ", b"pieces"], root=root)
                assert put.status == 202 and dict(put.headers)["x-mine"] == "1"
                assert put.json == {"body": "two pieces", "query": {"a": "1"}}
                assert (await stage.ask("POST", f"{root}/hook", root=root)).status == 401, "only its methods are public"
                assert (await stage.ask("GET", f"{root}/mine", root=root)).status == 401
                answer = await stage.ask("GET", f"{root}/mine", {"authorization": "Bearer good"}, root=root)
                assert (answer.status, answer.body) == (200, b"alice")

    asyncio.run(main())
