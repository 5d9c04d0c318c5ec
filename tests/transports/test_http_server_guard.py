"""What the HTTP server refuses by a head alone, on the wire, each with its nearest neighbour that is served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore.errors import Unauthorized
from mcpcore.spec import codes
from tests.transports.http_stage import Stage, echo, run, text_of
from tests.transports.http_wire import MODERN, Answer, request, request_with, serving

Fields = dict[str, str | None]


def refused(answer: Answer, status: int, *parts: str, code: int = codes.INVALID_REQUEST) -> None:
    assert answer.status == status, answer
    assert answer.error["code"] == code
    for part in parts:
        assert part in answer.error["message"]


# -- Host and Origin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:99"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": "10.0.0.1"}, 421),
        ({"host": None}, 400),
        ({"host": "local host"}, 400),
        ({"host": ""}, 400),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "localhost:3000"}, 403),
    ],
)
@pytest.mark.spec("2026-07-28/streamable-http/M02", "2026-07-28/streamable-http/M03")
@pytest.mark.spec("2025-11-25/transports/M06", "2025-11-25/transports/M07")
def test_host_and_origin_are_judged_on_every_path(fields: Fields, status: int) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            answer = await served.once(echo(served, "x", **fields))
            if status == 200:
                assert text_of(answer) == "x"
            else:
                refused(answer, status)
                assert answer.json.get("id") is None
            for method, path in (("GET", "/healthz"), ("GET", "/sse"), ("OPTIONS", "/mcp"), ("GET", "/nothing")):
                async with served.connect() as raw:
                    raw.send(request_with(method, path, b"", fields))
                    head = await raw.head()
                    assert (head.status in (400, 403, 421)) is (status != 200)
                    assert status == 200 or head.status == status

    run(main())


def test_a_refusal_names_the_setting_and_the_setting_helps() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            answer = await served.once(echo(served, "x", host="mcp.example:8000"))
            refused(answer, 421, 'allowed_hosts=["mcp.example"]', "MCPCORE_ALLOWED_HOSTS=mcp.example")
            answer = await served.once(echo(served, "x", origin="https://app.example"))
            refused(answer, 403, 'allowed_origins=["https://app.example"]')
        options: Any = {"allowed_hosts": ["mcp.example"], "allowed_origins": ["https://app.example"]}
        async with serving(Stage().server, **options) as served:
            answer = await served.once(echo(served, "x", host="mcp.example:8000", origin="https://app.example"))
            assert text_of(answer) == "x"

    run(main())


def test_the_environment_can_name_hosts_and_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPCORE_ALLOWED_HOSTS", "one.example, two.example")
    monkeypatch.setenv("MCPCORE_ALLOWED_ORIGINS", "https://app.example")

    async def main() -> None:
        async with serving(Stage().server) as served:
            answer = await served.once(echo(served, "x", host="two.example", origin="https://app.example"))
            assert text_of(answer) == "x"

    run(main())


def test_what_was_refused_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for _ in range(3):
                await served.once(echo(served, "x", host="evil.example"))

    run(main())
    assert sum("evil.example" in record.getMessage() for record in caplog.records) == 1


# -- types and fields --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"content_type": "application/json; charset=utf-8"}, 200),
        ({"content_type": "Application/JSON"}, 200),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/json; charset=latin-1"}, 415),
        ({"content_type": None}, 415),
        ({"content_encoding": "identity"}, 200),
        ({"content_encoding": "gzip"}, 415),
        ({"accept": None}, 200),
        ({"accept": "*/*"}, 200),
        ({"accept": "application/*"}, 200),
        ({"accept": "application/json"}, 200),
        ({"accept": "application/json;q=0, text/event-stream;q=0"}, 406),
        ({"accept": "text/html"}, 406),
    ],
)
def test_types_are_judged_before_the_body_is_read(fields: Fields, status: int) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            data = echo(served, "x", **fields)
            answer = await served.once(data if status == 200 else data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            assert answer.status == status
            if status == 200:
                assert text_of(answer) == "x"
            else:
                refused(answer, status)
                assert answer.fields["connection"] == "close"

    run(main())


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("Host", 400, codes.INVALID_REQUEST),
        ("Origin", 400, codes.INVALID_REQUEST),
        ("Content-Type", 400, codes.INVALID_REQUEST),
        ("Mcp-Session-Id", 400, codes.INVALID_REQUEST),
        ("Authorization", 400, codes.INVALID_REQUEST),
        ("Mcp-Method", 400, codes.HEADER_MISMATCH),
        ("Mcp-Name", 400, codes.HEADER_MISMATCH),
        ("MCP-Protocol-Version", 400, codes.HEADER_MISMATCH),
        ("X-Other", 200, None),
        ("Cookie", 200, None),
    ],
)
def test_a_field_that_decides_comes_once(name: str, status: int, code: int | None) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            once = f"\r\n{name}: http://localhost".encode()
            plain = echo(served, "x", host=None, content_type=None, mcp_method=None, mcp_name=None)
            plain = plain.replace(b"\r\nmcp-protocol-version: 2026-07-28", b"")
            own = {
                "Host": b"localhost",
                "Content-Type": b"application/json",
                "Mcp-Method": b"tools/call",
                "Mcp-Name": b"echo",
                "MCP-Protocol-Version": b"2026-07-28",
            }
            for field, value in own.items():
                once = once if field != name else b"\r\n%b: %b" % (name.encode(), value)
            others = b"".join(b"\r\n%b: %b" % (f.encode(), v) for f, v in own.items() if f != name)
            for count, expected in ((1, 200), (2, status)):
                answer = await served.once(plain.replace(b"\r\naccept", others + once * count + b"\r\naccept", 1))
                assert answer.status == expected, answer
                if expected != 200:
                    assert answer.error["code"] == code

    run(main())


def test_get_needs_a_client_that_takes_events() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-11-25") as talk:
            assert (await (await talk.get(accept="application/json")).raw.answer()).status == 406
            for accept in ("text/event-stream", "text/*", "*/*", None):
                await (await talk.get(accept=accept)).stream()

    run(main())


# -- CORS --------------------------------------------------------------------------------------------------------------


def test_a_page_may_ask_what_it_may_do_and_reads_answers_and_errors() -> None:
    async def main() -> None:
        page: Fields = {"origin": "https://app.example"}
        async with serving(Stage().server, cors=["https://app.example"]) as served:
            preflight = await served.once(
                request_with(
                    "OPTIONS",
                    "/mcp",
                    b"",
                    {
                        "access_control_request_method": "POST",
                        "access_control_request_headers": "content-type,mcp-method",
                        **page,
                    },
                )
            )
            assert (preflight.status, preflight.body) == (204, b"")
            assert preflight.fields["access-control-allow-origin"] == "https://app.example"
            assert "mcp-method" in preflight.fields["access-control-allow-headers"]
            for data, status in (
                (echo(served, "x", **page), 200),
                (echo(served, "x", **{"mcp_method": "y", **page}), 400),
                (echo(served, "x", **{"accept": "text/event-stream", **page}), 200),
                (request_with("PUT", "/mcp", b"", page), 405),
                (request_with("GET", "/nothing", b"", page), 404),
                (echo(served, "x", **{"content_type": "text/plain", **page}), 415),
                (request_with("POST", "/mcp", b"{", page), 400),
                (request_with("GET", "/healthz", b"", page), 200),
                (request_with("POST", "/mcp", b"", {"transfer_encoding": "chunked", **page}) + b"zz\r\n", 400),
            ):
                answer = await served.once(data)
                assert answer.status == status
                assert answer.fields["access-control-allow-origin"] == "https://app.example"
                assert "mcp-session-id" in answer.fields["access-control-expose-headers"].lower()
                assert answer.fields["vary"] == "Origin"
            stranger = await served.once(echo(served, "x", origin="https://evil.example"))
            assert stranger.status == 403
            assert "access-control-allow-origin" not in stranger.fields

    run(main())


def test_without_cors_no_page_is_told_anything() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            page = "http://localhost:3000"
            for data in (echo(served, "x", origin=page), request("OPTIONS", origin=page)):
                answer = await served.once(data)
                assert not any(name.startswith("access-control") for name in answer.fields)

    run(main())


# -- who asks ----------------------------------------------------------------------------------------------------------


def token_of(head: Any) -> str:
    scheme, _, token = head.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise Unauthorized("send a token", www_authenticate='Bearer realm="stage"')
    if token == "broken":
        raise RuntimeError("the hook has a bug")
    if token == "forbidden":
        raise Unauthorized("not you", status=403)
    return str(token)


async def token_of_later(head: Any) -> str:
    await asyncio.sleep(0)
    return token_of(head)


@pytest.mark.parametrize("authorize", [token_of, token_of_later])
def test_the_authorization_hook_is_asked_before_the_body_is_read(authorize: Any) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server, authorize=authorize, errors=True) as served:
            for token, status in ((None, 401), ("Basic x", 401), ("Bearer forbidden", 403), ("Bearer broken", 500)):
                head = echo(served, "x", authorization=token).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                answer = await served.once(head)
                refused(answer, status)
                assert answer.fields["connection"] == "close"
                assert (status == 401) is ("www-authenticate" in answer.fields)
            async with served.connect() as raw:
                for text in ("a", "b"):
                    raw.send(echo(served, text, authorization="Bearer alice"))
                    assert text_of(await raw.answer()) == text
                raw.send(b"".join(echo(served, str(n), n, authorization="Bearer alice") for n in range(10)))
                assert [text_of(await raw.answer()) for _ in range(10)] == [str(n) for n in range(10)]

    run(main())


@pytest.mark.parametrize("authorize", [token_of, token_of_later])
def test_a_large_body_that_comes_while_the_hook_thinks_is_read_to_its_end(authorize: Any) -> None:
    async def main() -> None:
        async with serving(Stage(pipelined_bytes=1000).server, authorize=authorize) as served, served.connect() as raw:
            raw.send(echo(served, "x" * 1_000_000, authorization="Bearer alice"))
            assert len(text_of(await raw.answer())) == 1_000_000

    run(main())


def test_a_client_that_goes_while_the_hook_thinks_is_not_served() -> None:
    async def main() -> None:
        stage = Stage()
        asked = asyncio.Event()
        may_go_on = asyncio.Event()

        async def slow(head: Any) -> str:
            asked.set()
            await may_go_on.wait()
            return "alice"

        async with serving(stage.server, authorize=slow) as served:
            raw = await served.open()
            raw.send(echo(served, "x"))
            await asked.wait()
            (connection,) = served.http.connections
            raw.reset()
            async with asyncio.timeout(5):
                while served.http.connections:
                    await asyncio.sleep(0)
            assert connection._authorizing is None or connection._authorizing.cancelling()
            may_go_on.set()

    run(main())


def test_a_hook_whose_answer_cannot_be_a_header_breaks_its_own_connection_alone() -> None:
    def authorize(head: Any) -> str:
        raise Unauthorized("no", www_authenticate="Bearer\r\nx: y")

    async def main() -> None:
        async with serving(Stage().server, authorize=authorize, errors=True) as served:
            async with served.connect() as raw:
                raw.send(echo(served, "x"))
                assert await raw.closed() == b""
            assert (await served.once(request("GET", "/healthz"))).status == 200

    run(main())


def test_health_and_preflights_need_no_authorization_and_everything_else_does() -> None:
    async def main() -> None:
        async with serving(Stage().server, authorize=token_of) as served:
            for method, path, status in (
                ("GET", "/healthz", 200),
                ("GET", "/readyz", 200),
                ("OPTIONS", "/mcp", 204),
                ("GET", "/mcp", 401),
                ("DELETE", "/mcp", 401),
                ("GET", "/sse", 401),
                ("POST", "/messages", 401),
                ("GET", "/nothing", 401),
            ):
                assert (await served.once(request(method, path))).status == status, path

    run(main())


def test_the_principal_owns_its_session() -> None:
    async def main() -> None:
        alice: Fields = {"authorization": "Bearer alice"}
        async with (
            serving(Stage().server, authorize=token_of) as served,
            served.talk("2025-11-25", fields=alice) as talk,
        ):
            ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
            own = await (await talk.post(ping)).answer()
            assert own.status == 200
            theirs = await served.once(talk.bytes_of(ping, authorization="Bearer bob"))
            talk.session, session = "unknown", talk.session
            nobodys = await served.once(talk.bytes_of(ping, authorization="Bearer bob"))
            talk.session = session
            assert theirs.status == 404
            same = {"date": ""}
            assert (theirs.status, theirs.fields | same, theirs.body) == (404, nobodys.fields | same, nobodys.body)

    run(main())


@pytest.mark.parametrize(
    ("version", "has_id"), [(MODERN, False), ("2025-11-25", False), ("2025-06-18", True), (None, True)]
)
def test_a_refusal_has_the_form_of_the_revision_that_the_client_names(version: str | None, has_id: bool) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for fields in ({"host": "evil.example"}, {"content_type": "text/plain"}, {"transfer_encoding": "chunked"}):
                data = request_with("POST", "/mcp", b"", {"mcp_protocol_version": version, **fields}) + b"zz\r\n"
                answer = await served.once(data)
                assert ("id" in json.loads(answer.body)) is has_id

    run(main())
