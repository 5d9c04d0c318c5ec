"""The client over HTTP on the wire: headers, credentials, cancellation, streams, and what is sent again."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import json
from typing import Any

import pytest

from mcpcore import Limits
from mcpcore.client import Client, SyncClient, Timeouts, ToolsChanged
from mcpcore.errors import (
    HttpError,
    ProtocolViolation,
    RpcError,
    UnsupportedRevision,
    UsageError,
)
from tests.transports.http_toys import LEGACY, MODERN, Asked, HttpToy, Wire, text

ERAS = [MODERN, LEGACY]
eras = pytest.mark.parametrize("revision", ERAS)
READ_ONLY = {"name": "x", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}


def listed(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", "tools": list(tools), "ttlMs": 0, "cacheScope": "private"}


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2026-07-28/streamable-http/M07",
    "2026-07-28/streamable-http/M08",
    "2026-07-28/streamable-http/M09",
    "2026-07-28/streamable-http/M21",
    "2026-07-28/streamable-http/M22",
    "2026-07-28/streamable-http/M27",
    "2026-07-28/streamable-http/M28",
    "2026-07-28/streamable-http/M47",
    "2026-07-28/streamable-http/M48",
    "2025-03-26/transports/M07",
    "2025-03-26/transports/M08",
    "2025-03-26/transports/M09",
)
def test_the_headers_of_a_modern_request_say_what_its_body_says() -> None:
    async def main() -> None:
        handlers: dict[str, Any] = {"resources/read": {"contents": []}, "prompts/get": {"messages": []}, "vendor/x": {}}
        async with HttpToy(handlers=handlers) as toy:
            async with Client(toy.url) as client:
                await client.call_tool("grüße\n")
                await client.read_resource("file:///a%20b.txt")
                await client.get_prompt("p")
                await client.request("vendor/x")
                await client.list_tools()
                await client.notify("vendor/note")
                await toy.seen("vendor/note")
            names = {asked.method: asked.headers.get("mcp-name") for asked in toy.asked}
            encoded = "=?base64?" + base64.b64encode("grüße\n".encode()).decode() + "?="
            assert names == {
                "server/discover": None,
                "tools/call": encoded,
                "resources/read": "file:///a%20b.txt",
                "prompts/get": "p",
                "vendor/x": None,
                "tools/list": None,
                "vendor/note": None,
            }
            for asked in toy.asked:
                assert asked.verb == "POST" and asked.headers["mcp-method"] == asked.method
                meta = asked.message["params"].get("_meta", {}) if "id" in asked.message else {}
                version = meta.get("io.modelcontextprotocol/protocolVersion", MODERN)
                assert asked.headers["mcp-protocol-version"] == version == MODERN
                assert asked.headers["accept"] == "application/json, text/event-stream"
                assert asked.headers["content-type"] == "application/json"
                assert asked.headers["host"] == f"127.0.0.1:{toy.port}"
                assert asked.headers["user-agent"].startswith("mcpcore/")
                assert "mcp-session-id" not in asked.headers

    asyncio.run(main())


@pytest.mark.spec(
    "2026-07-28/streamable-http/M29",
    "2026-07-28/streamable-http/M30",
    "2026-07-28/streamable-http/M41",
    "2026-07-28/streamable-http/M42",
    "2026-07-28/streamable-http/M49",
    "2026-07-28/streamable-http/M50",
    "2026-07-28/streamable-http/M51",
    "2026-07-28/streamable-http/M56",
    "2026-07-28/streamable-http/M57",
    "2026-07-28/streamable-http/M58",
)
def test_annotated_parameters_are_mirrored_once_their_tool_was_listed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "n": {"type": "integer", "x-mcp-header": "N"},
            "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
        },
    }
    arguments = {"region": "Åland", "n": 42, "deep": {"flag": False}}

    async def main() -> None:
        tool = {"name": "x", "inputSchema": schema}
        async with HttpToy(handlers={"tools/list": listed(tool)}) as toy, Client(toy.url) as client:
            await client.call_tool("x", arguments)
            await client.list_tools()
            await client.call_tool("x", arguments)
            await client.call_tool("x", {"region": None, "n": 1})
            before, after, partly = (
                {name: value for name, value in asked.headers.items() if name.startswith("mcp-param-")}
                for asked in toy.sent("tools/call")
            )
            assert before == {}
            encoded = "=?base64?" + base64.b64encode("Åland".encode()).decode() + "?="
            assert after == {"mcp-param-region": encoded, "mcp-param-n": "42", "mcp-param-flag": "false"}
            assert partly == {"mcp-param-n": "1"}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M36")
def test_a_value_that_no_header_can_carry_is_the_callers_mistake() -> None:
    async def main() -> None:
        tool = {"name": "x", "inputSchema": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}}}
        async with HttpToy(handlers={"tools/list": listed(tool)}) as toy, Client(toy.url) as client:
            await client.list_tools()
            with pytest.raises(UsageError, match=r"2\*\*53"):
                await client.call_tool("x", {"n": 2**60})
            await client.call_tool("x", {"n": 1})

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M39", "2026-07-28/streamable-http/M40")
def test_a_tool_with_bad_annotations_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    good = {"name": "good", "inputSchema": {"type": "object"}}
    bad = {"name": "bad", "inputSchema": {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}}

    async def main(revision: str) -> list[str]:
        handlers = {"tools/list": listed(good, bad)}
        async with HttpToy(revision, handlers=handlers) as toy, Client(toy.url) as client:
            await client.list_tools()
            page = await client.list_tools_page(refresh=True)
            return [tool.name for tool in page.items]

    assert asyncio.run(main(MODERN)) == ["good"]
    assert "'bad' is left out" in caplog.text
    assert asyncio.run(main(LEGACY)) == ["good", "bad"], "older revisions know no such annotations"


@pytest.mark.spec("2026-07-28/streamable-http/S07")
def test_a_header_mismatch_lists_the_tools_again_and_repeats_the_call_once() -> None:
    async def main() -> None:
        def picky(asked: Asked, wire: Wire) -> None:
            if asked.headers.get("mcp-param-a") == "1":
                toy.usual(asked, wire)
            else:
                wire.error(asked, -32020, "Header mismatch")

        tool = {"name": "x", "inputSchema": {"properties": {"a": {"type": "integer", "x-mcp-header": "A"}}}}
        toy = HttpToy(handlers={"tools/call": picky, "tools/list": listed(tool)})
        async with toy, Client(toy.url) as client:
            assert (await client.call_tool("x", {"a": 1})).text == "called"
            assert toy.methods()[1:] == ["tools/call", "tools/list", "tools/call"]
            with pytest.raises(RpcError, match="-32020"):
                await client.call_tool("x", {"a": 2})
            assert toy.methods()[4:] == ["tools/call", "tools/list", "tools/call"]

    asyncio.run(main())


@pytest.mark.spec("2025-03-26/authorization/M11", "2025-03-26/authorization/M12", "2026-07-28/authorization/M23")
@eras
def test_headers_of_the_client_of_auth_and_of_one_call(revision: str) -> None:
    asked_for = 0

    async def auth() -> dict[str, str]:
        nonlocal asked_for
        asked_for += 1
        token = f"Bearer {asked_for}"
        await asyncio.sleep(0)
        return {"Authorization": token, "X-A": "auth"}

    async def main() -> None:
        async with HttpToy(revision) as toy:
            async with Client(toy.url, headers={"X-A": "client", "X-B": "client"}, auth=auth) as client:
                await client.call_tool("x", headers={"x-a": "call", "X-C": "call"})
                await client.list_tools()
            call, listing = toy.sent("tools/call")[0], toy.sent("tools/list")[0]
            assert {name: call.headers[name] for name in ("x-a", "x-b", "x-c")} == {
                "x-a": "call",
                "x-b": "client",
                "x-c": "call",
            }
            assert listing.headers["x-a"] == "auth" and "x-c" not in listing.headers
            tokens = [asked.headers["authorization"] for asked in toy.asked]
            assert len(set(tokens)) == len(tokens) == asked_for, "each request asked for itself"

    asyncio.run(main())


def test_auth_is_asked_in_the_context_of_its_caller() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    async def main() -> None:
        async with HttpToy() as toy, Client(toy.url, auth=lambda: {"X-Tenant": tenant.get()}) as client:

            async def call(name: str) -> None:
                tenant.set(name)
                await client.call_tool(name)

            await asyncio.gather(*[call(f"t{n}") for n in range(20)])
            for asked in toy.sent("tools/call"):
                assert asked.headers["x-tenant"] == asked.headers["mcp-name"]

    asyncio.run(main())


@eras
def test_auth_that_fails_fails_its_request(revision: str) -> None:
    broken = False

    def auth() -> dict[str, str]:
        if broken:
            raise LookupError("no token")
        return {}

    async def main() -> None:
        nonlocal broken
        async with HttpToy(revision) as toy, Client(toy.url, auth=auth) as client:
            broken = True
            with pytest.raises(UsageError, match="no token"):
                await client.call_tool("x")
            broken = False
            await client.call_tool("x")

    asyncio.run(main())


def test_headers_of_a_request_that_cannot_be_written_are_forgotten() -> None:
    async def main() -> None:
        async with HttpToy() as toy, Client(toy.url) as client:
            with pytest.raises(UsageError):
                await client.call_tool("x", {"a": object()}, headers={"X-A": "1"})
            assert not client._link.last.runner.channel._given  # type: ignore[union-attr]

    asyncio.run(main())


@pytest.mark.parametrize(
    "headers",
    [
        {"X A": "1"},
        {"": "1"},
        {"X": "a\r\nb"},
        {"X": "a\0"},
        {"X": "\u0416"},
        {"Host": "x"},
        {"mcp-session-id": "x"},
        {"Mcp-Param-A": "x"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
        {1: "x"},
        {"X": 1},
    ],
)
def test_headers_that_cannot_be_are_refused(headers: Any) -> None:
    with pytest.raises(UsageError, match="headers"):
        Client("http://127.0.0.1:1/mcp", headers=headers)


def test_what_belongs_to_http_is_refused_elsewhere() -> None:
    from mcpcore import Server

    server = Server("s")
    for options in ({"headers": {"a": "b"}}, {"auth": dict}, {"proxy": None}, {"transport": "http"}):
        with pytest.raises(UsageError, match="URL"):
            Client(server, **options)

    async def main() -> None:
        async with Client(server) as client:
            with pytest.raises(UsageError, match="over HTTP only"):
                await client.call_tool("x", headers={"a": "b"})
            with pytest.raises(UsageError, match="over HTTP only"):
                await client.request("x", headers={})

    asyncio.run(main())


def test_credentials_of_the_url_become_a_header_and_are_shown_nowhere() -> None:
    async def main() -> None:
        def fail(asked: Asked, wire: Wire) -> None:
            wire.answer(500, "no")

        async with HttpToy(handlers={"tools/call": fail}) as toy:
            url = toy.url.replace("http://", "http://user%40x:s3cret@") + "?key=s3cret"
            async with Client(url) as client:
                assert "s3cret" not in repr(client)
                with pytest.raises(HttpError) as caught:
                    await client.call_tool("x")
                assert "s3cret" not in str(caught.value) and "user" not in str(caught.value)
            basic = "Basic " + base64.b64encode(b"user@x:s3cret").decode()
            assert all(asked.headers["authorization"] == basic for asked in toy.asked)
            assert all(asked.target == "/mcp?key=s3cret" for asked in toy.asked)

    asyncio.run(main())


# -- cancellation and streams ------------------------------------------------------------------------------------------


@pytest.mark.spec("2026-07-28/streamable-http/M14")
def test_cancelling_a_modern_call_closes_its_connection_and_says_nothing() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def wait(asked: Asked, wire: Wire) -> None:
            await wire.closed()
            gone.set()

        async with HttpToy(handlers={"tools/call": wait}) as toy, Client(toy.url) as client:
            call = asyncio.ensure_future(client.call_tool("x"))
            await toy.seen("tools/call")
            call.cancel()
            async with asyncio.timeout(1):
                await gone.wait()
            await client.list_tools()
            assert not toy.sent("notifications/cancelled")

    asyncio.run(main())


def test_closing_the_client_closes_the_connections_of_its_calls() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def wait(asked: Asked, wire: Wire) -> None:
            await wire.closed()
            gone.set()

        async with HttpToy(handlers={"tools/call": wait}) as toy:
            async with Client(toy.url) as client:
                call = asyncio.ensure_future(client.call_tool("x"))
                await toy.seen("tools/call")
            with pytest.raises(Exception, match="closed"):
                await call
            async with asyncio.timeout(1):
                await gone.wait()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M18", "2025-03-26/transports/M16")
def test_pretty_printed_json_any_line_ends_and_any_cut_are_read() -> None:
    async def main() -> None:
        async def pretty(asked: Asked, wire: Wire) -> None:
            message = {"jsonrpc": "2.0", "id": asked.id, "result": text("a\u2028b\u0085c")}
            data = json.dumps(message, indent=2, ensure_ascii=False).encode()
            whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: %d\r\n\r\n%b"
            for byte in whole % (len(data), data):
                wire.send(bytes([byte]))
                await asyncio.sleep(0)

        def stream(asked: Asked, wire: Wire) -> None:
            message = {"jsonrpc": "2.0", "id": asked.id, "result": text("a\u2028b\u0085c")}
            data = json.dumps(message, indent=2, ensure_ascii=False).encode()
            wire.stream()
            body = b"\xef\xbb\xbf: hello\r\n\r\nevent: message\r\n" + b"".join(
                b"data: " + line + b"\r\n" for line in data.split(b"\n")
            )
            for byte in body + b"\r\n":
                wire.chunk(bytes([byte]))
            wire.end()

        handlers = {"tools/call": pretty, "prompts/get": stream}
        async with HttpToy(handlers=handlers) as toy, Client(toy.url) as client:
            assert (await client.call_tool("x")).text == "a\u2028b\u0085c"
            assert (await client.request("prompts/get", {"name": "x"}))["content"][0]["text"] == "a\u2028b\u0085c"

    asyncio.run(main())


@eras
def test_an_answer_that_ends_with_the_connection_is_read(revision: str) -> None:
    async def main() -> None:
        def old(asked: Asked, wire: Wire) -> None:
            body = json.dumps({"jsonrpc": "2.0", "id": asked.id, "result": text("old")})
            wire.send(f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}")
            wire.close()

        async with HttpToy(revision, handlers={"tools/call": old}) as toy, Client(toy.url) as client:
            for _ in range(3):
                assert (await client.call_tool("x")).text == "old"

    asyncio.run(main())


def test_a_stream_that_goes_on_after_the_answer_is_ended_by_the_client() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def endless(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.reply(asked, text("x"))
            await wire.closed()
            gone.set()

        limits = Limits(linger_seconds=0.02)
        async with HttpToy(handlers={"tools/call": endless}) as toy, Client(toy.url, limits=limits) as client:
            assert (await client.call_tool("x")).text == "x"
            async with asyncio.timeout(1):
                await gone.wait()

    asyncio.run(main())


def test_streams_that_go_on_do_not_keep_others_from_their_connection_for_long() -> None:
    async def main() -> None:
        async def endless(asked: Asked, wire: Wire) -> None:
            wire.stream()
            wire.reply(asked, text("x"))
            await wire.closed()

        limits = Limits(pool_connections=4, linger_seconds=60)
        async with HttpToy(handlers={"tools/call": endless}) as toy, Client(toy.url, limits=limits) as client:
            async with asyncio.timeout(5):
                await asyncio.gather(*[client.call_tool("x") for _ in range(12)])

    asyncio.run(main())


def test_progress_keeps_a_call_alive() -> None:
    async def main() -> None:
        async def slow(asked: Asked, wire: Wire) -> None:
            wire.stream()
            for n in range(10):
                wire.notify("notifications/progress", {"progressToken": asked.id, "progress": n})
                await asyncio.sleep(0.03)
            wire.reply(asked, text("x"))
            wire.end()

        async with HttpToy(handlers={"tools/call": slow}) as toy, Client(toy.url) as client:
            assert (await client.call_tool("x", timeout=Timeouts(idle=0.2))).text == "x"

    asyncio.run(main())


def test_listening_is_one_long_request_to_which_no_limit_applies() -> None:
    async def main() -> None:
        async def listen(asked: Asked, wire: Wire) -> None:
            meta = {"io.modelcontextprotocol/subscriptionId": asked.id}
            wanted = asked.message["params"]["notifications"]
            wire.stream()
            wire.notify("notifications/subscriptions/acknowledged", {"_meta": meta, "notifications": wanted})
            await asyncio.sleep(0.15)
            wire.chunk(":\n\n")
            wire.notify("notifications/tools/list_changed", {"_meta": meta})
            await wire.closed()

        limits = Timeouts(connect=1, idle=0.1, total=0.1)
        async with HttpToy(handlers={"subscriptions/listen": listen}) as toy, Client(toy.url, timeout=limits) as client:
            async with client.listen(tools=True) as events, asyncio.timeout(2):
                assert events.honoured.tools_list_changed
                assert await anext(events) == ToolsChanged()
            assert not toy.sent("notifications/cancelled")

    asyncio.run(main())


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_a_server_that_offers_other_versions_is_told_apart() -> None:
    async def main() -> None:
        def refuse(asked: Asked, wire: Wire) -> None:
            wire.error(asked, -32022, "no", 400, {"supported": ["2027-01-01"], "requested": MODERN})

        async with HttpToy(handlers={"*": refuse}) as toy:
            with pytest.raises(UnsupportedRevision, match="2027-01-01"):
                await Client(toy.url).connect()

    asyncio.run(main())


def test_the_blocking_client_speaks_http_too() -> None:
    import threading

    ready, done = threading.Event(), threading.Event()
    toy = HttpToy()

    async def serve() -> None:
        async with toy:
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        ready.wait(5)
        with SyncClient(toy.url) as client:
            assert client.call_tool("x", headers={"X-A": "b"}).text == "called"
        assert toy.sent("tools/call")[0].headers["x-a"] == "b"
    finally:
        done.set()
        thread.join()


def test_an_answer_in_a_coding_that_was_not_asked_for_is_refused() -> None:
    async def main() -> None:
        def coded(asked: Asked, wire: Wire) -> None:
            wire.answer(200, b"\x1f\x8b\x08", "application/json", Content_Encoding="gzip")

        async with HttpToy(handlers={"tools/call": coded}) as toy, Client(toy.url) as client:
            with pytest.raises(ProtocolViolation):
                await client.call_tool("x")
            assert toy.asked[0].headers["accept-encoding"] == "identity"

    asyncio.run(main())


def test_connecting_that_is_cancelled_at_any_moment_leaves_nothing() -> None:
    async def main() -> None:
        async with HttpToy(LEGACY) as toy:
            for n in range(60):
                client = Client(toy.url)
                task = asyncio.ensure_future(client.connect())
                await asyncio.sleep(n / 10_000)
                task.cancel()
                await asyncio.wait([task])
                await client.close()
            for _ in range(20):
                await asyncio.sleep(0.01)
                if not toy.open:
                    break
            assert toy.open == 0
            left = [task for task in asyncio.all_tasks() if task.get_name().startswith("mcpcore")]
            assert not left

    asyncio.run(main())
