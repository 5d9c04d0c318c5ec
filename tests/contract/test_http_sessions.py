"""Legacy sessions and their streams on the wire: ids, 400 and 404, GET, which stream says what, polling, HTTP+SSE."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from mcpcore import Context
from tests.schema_judge import AVAILABLE, Judge
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import LEGACY, Answer, Post, Raw, Served, Talk, request, serving

SESSIONS = LEGACY[1:]
"""The legacy revisions that have Streamable HTTP."""
sessions = pytest.mark.parametrize("revision", SESSIONS)
VISIBLE = re.compile(r"[\x21-\x7e]+")


def stage(**limits: Any) -> Stage:
    made = Stage(**limits)

    @made.server.tool
    async def ask(ctx: Context) -> str:
        answer = await ctx.sample("hello", max_tokens=9)
        return str(answer.content.text)  # type: ignore[union-attr]

    @made.server.tool
    async def poll(ctx: Context) -> str:
        for number in range(1, 4):
            await ctx.close_stream(retry=0.05)
            await made._wait(f"poll {number}")
        return "polled"

    return made


def called(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def initialize(revision: str) -> dict[str, Any]:
    info = {"name": "wire", "version": "1"}
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


# -- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/Y14",
    "2025-03-26/transports/S12",
    "2025-03-26/transports/M24",
    "2025-06-18/transports/M22",
    "2025-11-25/transports/M24",
)
@sessions
def test_an_answer_to_initialize_names_a_session_whose_id_nobody_could_guess(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served:
            ids = set()
            for _ in range(50):
                answer = await served.once(request(body=json.dumps(initialize(revision)).encode()))
                assert answer.json["result"]["protocolVersion"] == revision
                ids.add(answer.fields["mcp-session-id"])
            assert len(ids) == 50
            assert all(VISIBLE.fullmatch(id) and len(id) >= 22 for id in ids), "at least 128 bits"
            columns = zip(*ids, strict=True)
            assert all(len(set(column)) > 10 for column in columns), "no part of it repeats"

    run(main())


@pytest.mark.spec("2025-03-26/transports/S13", "2025-06-18/transports/S13", "2025-11-25/transports/S18")
@sessions
def test_whoever_names_no_session_gets_400(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            named, talk.session = talk.session, None
            talk.judge = None
            for message in (talk.message("tools/list"), {"jsonrpc": "2.0", "method": "notifications/initialized"}):
                assert (await (await talk.post(message)).answer()).status == 400
            assert (await (await talk.get()).answer()).status == 400
            assert (await talk.delete()).status == 400
            talk.session = named
            assert "tools" in await talk.result("tools/list")

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/M26", "2025-06-18/transports/M24", "2025-11-25/transports/M27", "2025-03-26/transports/S14"
)
@sessions
@pytest.mark.parametrize("how", ["the client ends it", "it was idle for too long", "it never was"])
def test_a_session_that_is_no_more_gets_404_for_everything(how: str, revision: str) -> None:
    async def main() -> None:
        async with serving(stage(session_seconds=0.05).server) as served, served.talk(revision) as talk:
            if how == "the client ends it":
                assert (await talk.delete()).status == 204
            elif how == "it never was":
                talk.session = "x" * 32
            async with asyncio.timeout(5):
                while how != "it never was" and len(served.endpoint.sessions):
                    await asyncio.sleep(0.01)
            talk.judge = None
            for message in (
                talk.message("tools/list"),
                talk.message("initialize", initialize(revision)["params"]),
                {"jsonrpc": "2.0", "method": "notifications/initialized"},
                {"jsonrpc": "2.0", "id": 1, "result": {}},
            ):
                answer = await (await talk.post(message)).answer()
                assert answer.status == 404 and "mcp-session-id" not in answer.fields
            assert (await (await talk.get()).answer()).status == 404
            assert (await (await talk.get("0-0-0")).answer()).status == 404
            assert (await talk.delete()).status == 404

    run(main())


# -- GET ---------------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M18",
    "2025-06-18/transports/M16",
    "2025-11-25/transports/M18",
    "2025-03-26/transports/Y08",
    "2025-03-26/transports/S10",
    "2025-03-26/transports/M19",
    "2025-06-18/transports/M17",
    "2025-11-25/transports/M19",
)
@sessions
def test_a_get_opens_a_stream_of_what_belongs_to_no_request(revision: str) -> None:
    """And of nothing else: a request that runs meanwhile is answered on its own POST."""

    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            standing = await talk.get()
            await standing.stream()
            post = await talk.call("tools/call", called("speak_and_wait", name="a"))
            begun = await post.message()
            made.server.remove_tool("fail")
            assert (await standing.message())["method"] == "notifications/tools/list_changed"
            made.open("a")
            ends, final = await post.rest()
            assert [one["params"]["data"] for one in (begun, ends)] == ["a begins", "a ends"] and "result" in final
            await talk.result("ping")
            made.server.remove_tool("count")
            assert (await standing.message())["method"] == "notifications/tools/list_changed", "nothing between them"

    run(main())


@pytest.mark.spec("2025-03-26/transports/M18", "2025-03-26/transports/Y16")
@sessions
def test_without_sessions_get_and_delete_are_not_allowed(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server, sessions=False) as served, served.talk(revision) as talk:
            assert talk.session is None
            for answer in (await (await talk.get()).answer(), await talk.delete()):
                assert answer.status == 405 and "GET" not in answer.fields["allow"]

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/M20",
    "2025-03-26/transports/M21",
    "2025-03-26/transports/Y11",
    "2025-06-18/transports/M18",
    "2025-06-18/transports/M19",
    "2025-11-25/transports/M20",
    "2025-11-25/transports/M21",
)
@sessions
def test_each_message_goes_out_on_one_stream_although_several_are_open(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            gets = [await talk.get() for _ in range(2)]
            for get in gets:
                await get.stream()
            posts = []
            for name in ("a", "b"):
                posts.append(await talk.call("tools/call", called("speak_and_wait", name=name)))
                await posts[-1].message()
            for tool in ("fail", "count", "tell_header"):
                made.server.remove_tool(tool)
                await talk.result("ping")
            for name in ("a", "b"):
                made.open(name)
            heard = [message for post in posts for message in await post.rest()]
            await talk.delete()  # which ends the streams that are open
            news = [message for get in gets for message in await get.rest()]
            assert [one["method"] for one in news] == ["notifications/tools/list_changed"] * 3
            assert [one.get("params", {}).get("data") for one in heard] == ["a ends", None, "b ends", None]

    run(main())


@pytest.mark.spec("2025-03-26/transports/Y09", "2025-03-26/transports/Y10", "2025-06-18/transports/Y08")
@sessions
def test_a_client_may_close_its_get_stream_and_open_another(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            for tool in ("fail", "count"):
                standing = await talk.get()
                await standing.stream()
                made.server.remove_tool(tool)
                assert (await standing.message())["method"] == "notifications/tools/list_changed"
                await standing.raw.close()
                await talk.result("ping")

    run(main())


# -- streams that break ------------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-11-25/transports/S05")
@pytest.mark.parametrize("which", ["POST", "GET"])
def test_a_stream_begins_with_an_event_that_says_where_to_resume(which: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served:
            for revision in SESSIONS:
                async with served.talk(revision) as talk:
                    post = await (talk.get() if which == "GET" else talk.call("tools/call", called("count", n=2)))
                    await post.stream()
                    if revision == "2025-11-25":
                        first = await post.event()
                        assert first.data == b"" and first.id and first.event is None
                    elif which == "POST":
                        assert (await post.event()).data != b"", "older clients would take it for a message"

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/Y06",
    "2025-03-26/transports/S08",
    "2025-06-18/transports/S08",
    "2025-11-25/transports/S11",
    "2025-11-25/transports/Y04",
    "2025-03-26/transports/M19",
)
@sessions
def test_an_answer_that_was_lost_with_its_connection_is_fetched_by_get(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            post = await talk.call("tools/call", called("speak_and_wait", name="a"))
            await post.message()
            post.raw.reset()
            made.open("a")
            await made.until(made.ended, "a")
            assert made.cancelled == []
            rest = await (await talk.get(post.last_id)).rest()
            assert [one.get("params", {}).get("data") for one in rest] == ["a ends", None]
            assert rest[-1]["result"]["content"][0]["text"] == "a"

    run(main())


@pytest.mark.spec("2025-11-25/transports/S14")
def test_a_connection_that_the_server_closes_says_when_to_come_back_whether_post_or_get() -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk("2025-11-25") as talk:
            post = await talk.call("tools/call", called("poll"))
            last = await _sent_away(post)
            for gate in ("poll 1", "poll 2"):
                again = await talk.get(last)
                await again.stream()
                made.open(gate)
                last = await _sent_away(again)
            again = await talk.get(last)
            await again.stream()
            made.open("poll 3")
            (final,) = await again.rest()
            assert final["result"]["content"][0]["text"] == "polled"

    run(main())


async def _sent_away(post: Post) -> str:
    """The end of a connection that says where to go on, and when; its last event."""
    if post.head is None:
        await post.stream()
    events = await post.raw.rest()
    assert all(event.data == b"" and event.id for event in events)
    assert events[-1].retry == 50
    return str(events[-1].id)


@pytest.mark.spec("2025-11-25/transports/Y06", "2025-03-26/transports/S06")
@sessions
def test_the_streams_of_a_session_end_when_it_does(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            standing = await talk.get()
            await standing.stream()
            post = await talk.call("tools/call", called("speak_and_wait", name="a"))
            await post.message()
            assert (await talk.delete()).status == 204
            assert await standing.rest() == []
            (final,) = await post.rest()
            assert "session" in final["error"]["message"]
            await made.until(made.cancelled, "a")

    run(main())


# -- HTTP+SSE of 2024-11-05 --------------------------------------------------------------------------------------------


class Old:
    """A client of HTTP+SSE: one stream, and POSTs to where its first event says. Every message goes to the judge."""

    def __init__(self, served: Served, raw: Raw, target: str) -> None:
        self.served = served
        self.raw = raw
        self.target = target
        self.judge = Judge() if AVAILABLE else None

    async def post(self, message: Any) -> Answer:
        data = json.dumps(message).encode()
        if self.judge is not None:
            self.judge.frame("client", data)
        return await self.served.once(request(target=self.target, body=data, accept=None))

    async def message(self) -> Any:
        event = await self.raw.event()
        assert event.event == "message"
        if self.judge is not None:
            self.judge.frame("server", event.data)
        return event.message

    async def ask(self, method: str, params: dict[str, Any], id: Any) -> Any:
        answer = await self.post({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        assert answer.status == 202
        return await self.message()

    def faults(self) -> list[str]:
        return [] if self.judge is None else [one for one in self.judge.violations if one.startswith("server: ")]


async def open_old(served: Served, raw: Raw) -> Old:
    raw.send(request("GET", "/sse", accept="text/event-stream"))
    await raw.stream()
    first = await raw.event()
    assert first.event == "endpoint"
    target = first.data.decode()
    return Old(served, raw, target if target.startswith("/") else f"/{target}")


@pytest.mark.spec(
    "2024-11-05/transports/M05",
    "2024-11-05/transports/M06",
    "2024-11-05/transports/M07",
    "2024-11-05/transports/M09",
    "2025-03-26/transports/S15",
    "2025-06-18/transports/S17",
    "2025-11-25/transports/S22",
)
def test_http_sse_is_served_beside_the_endpoint() -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.connect() as raw, served.talk() as modern:
            old = await open_old(served, raw)
            opened = await old.ask("initialize", initialize("2024-11-05")["params"], 1)
            assert opened["result"]["protocolVersion"] == "2024-11-05"
            assert (await old.post({"jsonrpc": "2.0", "method": "notifications/initialized"})).status == 202
            assert (await old.ask("tools/call", called("echo", text="old"), 2))["id"] == 2
            made.server.remove_tool("fail")
            assert (await old.message())["method"] == "notifications/tools/list_changed"
            call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": called("speak_and_wait", name="a")}
            await old.post(call)
            assert (await old.message())["params"]["data"] == "a begins"
            await old.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}})
            await made.until(made.cancelled, "a")
            assert (await old.ask("ping", {}, 4)) == {"jsonrpc": "2.0", "id": 4, "result": {}}
            assert old.faults() == []
            assert "tools" in await modern.result("tools/list")

    run(main())


@pytest.mark.spec("2024-11-05/transports/M04")
def test_a_foreign_page_opens_no_http_sse() -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.connect() as raw:
            refused = await served.once(request("GET", "/sse", origin="http://evil.example"))
            assert refused.status == 403
            old = await open_old(served, raw)
            posted = await served.once(request(target=old.target, body=b"{}", origin="http://evil.example"))
            assert posted.status == 403

    run(main())


def test_a_session_of_http_sse_is_none_of_the_endpoint_and_ends_with_its_stream() -> None:
    async def main() -> None:
        async with serving(stage().server) as served:
            async with served.connect() as raw:
                old = await open_old(served, raw)
                id = old.target.partition("session_id=")[2]
                talk = Talk(served, "2025-06-18", {})
                talk.session = id
                data = talk.bytes_of(talk.message("tools/list"))
                assert (await served.once(data)).status == 404
                await old.ask("initialize", initialize("2024-11-05")["params"], 1)
            while len(served.endpoint.sessions):
                await asyncio.sleep(0.001)
            assert (await old.post({"jsonrpc": "2.0", "id": 2, "method": "ping"})).status == 404

    run(main())
