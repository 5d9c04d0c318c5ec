"""HTTP+SSE of 2024-11-05, on the wire: one stream for everything that the server says, and POSTs to where it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import pytest

from mcpcore.spec import codes
from tests.schema_judge import AVAILABLE, Judge
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import Answer, Raw, Served, request, request_with, serving

Message = dict[str, Any]


class OldClient:
    """What clients of the deprecated transport do: the URL for messages is resolved against that of the stream."""

    def __init__(self, served: Served, stream: Raw, url: str) -> None:
        self.served = served
        self.stream = stream
        self.url = url
        self.judge = Judge() if AVAILABLE else None
        self._ids = 0

    async def send(self, message: Message, **fields: str | None) -> Answer:
        data = json.dumps(message).encode()
        if self.judge is not None:
            self.judge.frame("client", data)
        path = self.url.removeprefix("http://localhost")
        return await self.served.once(request_with("POST", path, data, fields))

    async def call(self, method: str, params: Message | None = None, id: Any = None, **fields: str | None) -> Any:
        self._ids += 1
        message = {"jsonrpc": "2.0", "id": id or self._ids, "method": method, "params": params or {}}
        answer = await self.send(message, **fields)
        assert (answer.status, answer.body) == (202, b"Accepted")
        return message["id"]

    async def hear(self) -> Message:
        event = await self.stream.event()
        assert (event.event, event.id) == ("message", None)
        if self.judge is not None:
            self.judge.frame("server", event.data)
        message: Message = event.message
        return message

    async def result(self, method: str, params: Message | None = None, **fields: str | None) -> Message:
        id = await self.call(method, params, **fields)
        answer = await self.hear()
        assert answer["id"] == id
        result: Message = answer["result"]
        return result

    async def shake(self, capabilities: Message | None = None, revision: str = "2024-11-05") -> None:
        info = {"name": "old", "version": "1"}
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": info}
        assert (await self.result("initialize", params))["protocolVersion"] == revision
        assert (await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})).status == 202


@asynccontextmanager
async def connected(
    served: Served, base: str = "http://localhost/sse", **fields: str | None
) -> AsyncIterator[OldClient]:
    stream = await served.open()
    stream.send(request_with("GET", "/sse", b"", {"accept": "text/event-stream", **fields}))
    head = await stream.stream()
    assert head.fields["x-accel-buffering"] == "no"
    first = await stream.event()
    assert first.event == "endpoint"
    client = OldClient(served, stream, urljoin(base, first.data.decode()))
    try:
        yield client
    finally:
        await stream.close()
    if client.judge is not None:
        assert [fault for fault in client.judge.violations if fault.startswith("server")] == []


@pytest.mark.spec("2024-11-05/transports/M05", "2024-11-05/transports/M06")
@pytest.mark.spec("2024-11-05/transports/M07", "2024-11-05/transports/M09")
def test_a_whole_conversation() -> None:
    async def main() -> None:
        stage = Stage()

        from mcpcore import Context

        @stage.server.tool
        async def roots(ctx: Context) -> str:
            return str([root.uri for root in await ctx.roots()])

        async with serving(stage.server) as served, connected(served) as client:
            await client.shake({"roots": {}})
            assert "echo" in [tool["name"] for tool in (await client.result("tools/list"))["tools"]]
            echoed = await client.result("tools/call", {"name": "echo", "arguments": {"text": "é\u2028"}})
            assert echoed["content"][0]["text"] == "é\u2028"
            id = await client.call("tools/call", {"name": "count", "arguments": {"n": 3}})
            assert [(await client.hear())["params"]["data"] for _ in range(3)] == [0, 1, 2]
            assert (await client.hear())["id"] == id
            await client.call("tools/call", {"name": "roots", "arguments": {}})
            question = await client.hear()
            assert question["method"] == "roots/list"
            answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"roots": [{"uri": "file:///one"}]}}
            assert (await client.send(answer)).status == 202
            assert "file:///one" in (await client.hear())["result"]["content"][0]["text"]
            stage.server.notify_tools_changed()
            assert (await client.hear())["method"] == "notifications/tools/list_changed"
            await client.call("tools/call", {"name": "wait", "arguments": {"name": "a"}}, "slow")
            await stage.until(stage.begun, "a")
            assert await client.result("ping") == {}
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}
            assert (await client.send(cancel)).status == 202
            await stage.until(stage.cancelled, "a")
            assert await client.result("ping") == {}

    run(main())


@pytest.mark.parametrize(
    ("message_url", "base", "url"),
    [
        (None, "http://localhost/sse", "http://localhost/messages"),
        (None, "https://example.com/prefix/sse", "https://example.com/prefix/messages"),
        ("/outside/messages", "https://example.com/prefix/sse", "https://example.com/outside/messages"),
        ("https://a.example/m", "http://localhost/sse", "https://a.example/m"),
    ],
)
def test_the_url_for_messages_is_right_behind_proxies(message_url: str | None, base: str, url: str) -> None:
    async def main() -> None:
        async with serving(Stage().server, message_url=message_url) as served, connected(served, base) as client:
            assert client.url.partition("?session_id=")[0] == url

    run(main())


def test_each_post_has_its_own_headers() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, connected(served, x_tenant="of the stream") as client:
            await client.shake()
            params = {"name": "tell_header", "arguments": {"name": "x-tenant"}}
            for value in ("one", "two"):
                assert (await client.result("tools/call", params, x_tenant=value))["content"][0]["text"] == value

    run(main())


def test_clients_with_the_same_ids_do_not_meet() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, connected(served) as one, connected(served) as two:
            await one.shake()
            await two.shake()
            for client, text in ((one, "one"), (two, "two")):
                await client.call("tools/call", {"name": "echo", "arguments": {"text": text}}, "id")
            for client, text in ((two, "two"), (one, "one")):
                assert (await client.hear())["result"]["content"][0]["text"] == text

    run(main())


def test_a_message_that_belongs_to_no_stream_is_refused() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, connected(served) as client:
            client.judge = None
            await client.shake()
            ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
            for path in ("/messages", "/messages?session_id=", "/messages?session_id=unknown", "/messages?other=1"):
                answer = await served.once(request("POST", path, ping))
                assert (answer.status, answer.error["code"]) == (404, codes.INVALID_REQUEST)
            path = client.url.removeprefix("http://localhost")
            assert (await served.once(request("POST", path, b"{"))).status == 400
            for method, place, allow in (("GET", "/messages", "POST"), ("POST", "/sse", "GET"), ("PUT", "/sse", "GET")):
                answer = await served.once(request(method, place))
                assert (answer.status, answer.fields["allow"]) == (405, f"{allow}, OPTIONS")
            async with served.talk("2025-11-25") as talk:
                answer = await served.once(request("POST", f"/messages?session_id={talk.session}", ping))
                assert answer.status == 404
            session = client.url.partition("session_id=")[2]
            assert (await served.once(request(body=ping, mcp_session_id=session))).status == 404
            assert await client.result("ping") == {}

    run(main())


@pytest.mark.parametrize("reset", [True, False])
def test_when_the_stream_breaks_everything_of_it_ends(reset: bool) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, connected(served) as client:
            await client.shake()
            await client.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            await stage.until(stage.begun, "a")
            if reset:
                client.stream.reset()
            else:
                await client.stream.close()
            await stage.until(stage.cancelled, "a")
            async with asyncio.timeout(5):
                while served.endpoint.open or len(served.endpoint.sessions):
                    await asyncio.sleep(0)
            answer = await client.send({"jsonrpc": "2.0", "id": 9, "method": "ping"})
            assert answer.status == 404

    run(main())


def test_a_quiet_stream_shows_that_it_lives() -> None:
    async def main() -> None:
        async with serving(Stage(comment_seconds=0.05).server) as served, connected(served) as client:
            await client.shake()
            async with asyncio.timeout(5):
                while b":\n\n" not in client.stream.reader._buffer:  # type: ignore[attr-defined]
                    await asyncio.sleep(0.01)
            assert await client.result("ping") == {}

    run(main())


def test_what_runs_is_answered_before_the_server_ends() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, connected(served) as client, connected(served) as idle:
            await client.shake()
            id = await client.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            await stage.until(stage.begun, "a")
            stopping = asyncio.create_task(served.http.stop(5))
            assert await idle.stream.event_or_end() is None
            stage.open("a")
            assert (await client.hear())["id"] == id
            await stopping
            assert await client.stream.event_or_end() is None

    run(main())


def test_it_can_be_turned_off() -> None:
    async def main() -> None:
        async with serving(Stage().server, sse=False) as served:
            for method, path in (("GET", "/sse"), ("POST", "/messages")):
                assert (await served.once(request(method, path))).status == 404

    run(main())
