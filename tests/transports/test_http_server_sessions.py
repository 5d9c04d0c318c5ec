"""Legacy sessions over HTTP, on the wire: opened, used, bound to who opened them, ended; and the stream of a GET."""

from __future__ import annotations

import asyncio

import pytest

from mcpcore.spec import codes
from tests.transports.http_stage import Stage, echo, run, text_of
from tests.transports.http_wire import LEGACY, Answer, Talk, request, serving

STREAMABLE = LEGACY[1:]
"""2024-11-05 has another transport, and clients that speak it here are served too."""


def same(one: Answer, other: Answer) -> bool:
    return (one.status, one.fields | {"date": ""}, one.body) == (other.status, other.fields | {"date": ""}, other.body)


@pytest.mark.parametrize("revision", LEGACY)
def test_a_client_of_each_revision_has_its_whole_conversation(revision: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk(revision) as talk:
            assert talk.session is not None and len(talk.session) >= 22
            assert await talk.result("ping") == {}
            tools = (await talk.result("tools/list"))["tools"]
            assert "echo" in [tool["name"] for tool in tools]
            params = {"name": "echo", "arguments": {"text": "x"}}
            assert (await talk.result("tools/call", params))["content"][0]["text"] == "x"
            messages = await (await talk.call("tools/call", {"name": "count", "arguments": {"n": 3}})).rest()
            assert [message["params"]["data"] for message in messages[:-1]] == [0, 1, 2]
            assert (await talk.ask("no/such"))["error"]["code"] == codes.METHOD_NOT_FOUND
            assert (await talk.delete()).status == 204
            assert (await (await talk.call("ping")).answer()).status == 404

    run(main())


@pytest.mark.spec("2025-11-25/transports/M24")
def test_ids_of_sessions_differ_and_cannot_be_guessed() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            ids = set()
            for _ in range(20):
                async with served.talk("2025-11-25") as talk:
                    assert talk.session is not None
                    assert all("\x21" <= letter <= "\x7e" for letter in talk.session)
                    ids.add(talk.session)
            assert len(ids) == 20

    run(main())


def test_a_request_without_a_session_is_a_bad_one_and_with_an_unknown_one_is_lost() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            talk = Talk(served, "2025-11-25", {})
            talk.judge = None
            for session, status in ((None, 400), ("unknown", 404), ("x" * 1000, 404)):
                talk.session = session
                assert (await (await talk.call("ping")).answer()).status == status
                assert (await (await talk.get()).raw.answer()).status == status
                assert (await talk.delete()).status == status
            await talk.close()
            assert len(served.endpoint.sessions) == 0

    run(main())


def test_the_session_of_somebody_else_is_as_unknown_as_one_that_never_was() -> None:
    async def main() -> None:
        async with (
            serving(Stage().server, authorize=lambda head: head.headers.get("x-user")) as served,
            served.talk("2025-11-25", fields={"x_user": "alice"}) as alice,
            served.talk("2025-11-25", fields={"x_user": "bob"}) as bob,
        ):
            standing = await alice.get()
            primed = (await standing.event()).id
            own, bob.session = bob.session, alice.session
            ping = bob.message("ping", id=7)
            cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}

            async def answers() -> list[Answer]:
                return [
                    await served.once(bob.bytes_of(ping)),
                    await served.once(bob.bytes_of(cancel)),
                    await (await bob.get()).raw.answer(),
                    await (await bob.get(primed)).raw.answer(),
                    await bob.delete(),
                ]

            theirs = await answers()
            bob.session = "x" * len(str(own))
            nobodys = await answers()
            assert all(same(one, other) for one, other in zip(theirs, nobodys, strict=True))
            assert {answer.status for answer in theirs} == {404}
            bob.session = own
            assert await bob.result("ping") == {}
            assert await alice.result("ping") == {}
            assert (await (await bob.get(primed)).raw.answer()).status == 400

    run(main())


def test_an_event_of_one_session_says_nothing_in_another() -> None:
    async def main() -> None:
        async with (
            serving(Stage().server) as served,
            served.talk("2025-11-25") as one,
            served.talk("2025-11-25") as other,
        ):
            primed = (await (await one.get()).event()).id
            answer = await (await other.get(primed)).raw.answer()
            assert (answer.status, answer.error["code"]) == (400, codes.INVALID_REQUEST)

    run(main())


def test_delete_ends_what_runs_and_what_streams() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            standing = await talk.get()
            await standing.event()
            silent = await talk.call("tools/call", {"name": "wait", "arguments": {"name": "a"}})
            loud = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "b"}})
            await stage.until(stage.begun, "a", "b")
            await loud.message()
            assert (await talk.delete()).status == 204
            await stage.until(stage.cancelled, "a", "b")
            answer = await silent.answer()
            assert (answer.status, answer.error["message"]) == (200, "tools/call: the session has ended")
            (last,) = await loud.rest()
            assert last["error"]["message"] == "tools/call: the session has ended"
            assert await standing.rest() == []

    run(main())


def test_an_idle_session_ends_and_one_in_which_a_tool_runs_does_not() -> None:
    async def main() -> None:
        stage = Stage(session_seconds=0.2)
        async with (
            serving(stage.server) as served,
            served.talk("2025-06-18") as idle,
            served.talk("2025-06-18") as busy,
            served.talk("2025-06-18") as streams,
        ):
            post = await busy.call("tools/call", {"name": "wait", "arguments": {"name": "long"}})
            standing = await streams.get()
            await standing.stream()
            async with asyncio.timeout(5):
                while len(served.endpoint.sessions) > 2:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert (await (await idle.call("ping")).answer()).status == 404
            stage.open("long")
            assert text_of(await post.answer()) == "long"
            assert await busy.result("ping") == {}
            assert await streams.result("ping") == {}
            await standing.raw.close()
            async with asyncio.timeout(5):
                while len(served.endpoint.sessions):
                    await asyncio.sleep(0.01)
            assert not stage.server._runners

    run(main())


def test_versions_in_the_header() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-11-25") as talk:
            talk.judge = None
            ping = talk.message("ping", id=5)
            for version, status in ((None, 200), ("2025-11-25", 200), ("2025-03-26", 200), ("1.0", 400), ("", 400)):
                answer = await served.once(talk.bytes_of(ping, mcp_protocol_version=version))
                assert answer.status == status
                if status == 400:
                    assert (answer.error["code"], answer.json["id"]) == (codes.UNSUPPORTED_PROTOCOL_VERSION, 5)

    run(main())


def test_a_refused_initialize_gets_no_session() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            for params in ({}, {"protocolVersion": 5}, {"protocolVersion": "2025-11-25", "capabilities": {}}):
                talk = Talk(served, "2025-11-25", {})
                talk.judge = None
                answer = await (await talk.call("initialize", params)).answer()
                assert "error" in answer.json
                assert "mcp-session-id" not in answer.fields
                await talk.close()
            assert len(served.endpoint.sessions) == 0

    run(main())


def test_a_version_that_nobody_knows_is_answered_with_one_that_is_served() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served:
            talk = Talk(served, "2025-11-25", {})
            info = {"name": "n", "version": "1"}
            params = {"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": info}
            answer = await (await talk.call("initialize", params)).answer()
            assert answer.json["result"]["protocolVersion"] == "2025-11-25"
            assert "mcp-session-id" in answer.fields
            await talk.close()

    run(main())


def test_what_a_server_of_one_era_says_to_clients_of_the_other() -> None:
    async def main() -> None:
        from mcpcore import Server

        modern = Server("modern", revisions="2026-07-28")
        async with serving(modern) as served:
            talk = Talk(served, "2025-11-25", {})
            talk.judge = None
            info = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}
            answer = await (await talk.call("initialize", info, 3)).answer()
            assert (answer.status, answer.json["id"]) == (400, 3)
            assert answer.error["code"] == codes.HEADER_MISMATCH
            for method in ("GET", "DELETE"):
                refused = await served.once(request(method))
                assert (refused.status, refused.fields["allow"]) == (405, "POST, OPTIONS")
            await talk.close()
        legacy = Server("legacy", revisions=["2025-06-18", "2025-11-25"])
        async with serving(legacy) as served:
            answer = await served.once(echo(served, "x", 9))
            assert (answer.status, answer.json["id"]) == (400, 9)
            assert answer.error["data"]["supported"] == ["2025-06-18", "2025-11-25"]

    run(main())


# -- messages of the server --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", STREAMABLE)
def test_a_get_opens_the_stream_of_changes(revision: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk(revision) as talk, served.talk(revision) as other:
            post = await talk.get()
            head = await post.stream()
            assert head.fields["x-accel-buffering"] == "no"
            if revision >= "2025-11-25":
                primed = await post.event()
                assert (primed.data, primed.id is not None) == (b"", True)
            stage.server.notify_tools_changed()
            message = await post.message()
            assert message == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
            theirs = await other.get()
            assert (await theirs.message())["method"] == "notifications/tools/list_changed"

    run(main())


@pytest.mark.spec("2025-11-25/transports/M20", "2025-11-25/transports/M21")
def test_a_message_goes_to_one_stream_alone() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            standing = await talk.get()
            await standing.event()
            loud = await talk.call("tools/call", {"name": "speak_and_wait", "arguments": {"name": "a"}})
            assert (await loud.message())["method"] == "notifications/message"
            stage.server.notify_tools_changed()
            assert (await standing.message())["method"] == "notifications/tools/list_changed"
            stage.open("a")
            assert [message.get("method") for message in await loud.rest()] == ["notifications/message", None]
            await standing.raw.quiet()

    run(main())


def test_a_second_get_takes_the_stream_over_and_nothing_is_lost_or_told_twice() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-11-25") as talk:
            first = await talk.get()
            await first.event()
            stage.server.notify_tools_changed()
            await first.message()
            second = await talk.get()
            await second.event()
            assert await first.rest() == []
            stage.server.notify_resources_changed()
            assert (await second.message())["method"] == "notifications/resources/list_changed"

    run(main())


def test_a_legacy_client_that_accepts_json_alone_is_answered_by_it() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-06-18") as talk:
            message = talk.message("tools/call", {"name": "count", "arguments": {"n": 3}})
            answer = await (await talk.post(message, accept="application/json")).answer()
            assert text_of(answer) == "counted"

    run(main())


# -- without sessions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", LEGACY)
def test_without_sessions_each_request_is_served_for_itself(revision: str) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server, sessions=False) as served, served.talk(revision) as talk:
            assert talk.session is None
            fields: dict[str, str | None] = {"mcp_protocol_version": revision}
            message = talk.message("tools/call", {"name": "echo", "arguments": {"text": "x"}})
            assert text_of(await (await talk.post(message, **fields)).answer()) == "x"  # type: ignore[arg-type]
            for method in ("GET", "DELETE"):
                refused = await served.once(request(method, mcp_session_id="any"))
                assert (refused.status, refused.fields["allow"]) == (405, "POST, OPTIONS")
            assert (await served.once(request("GET", "/sse"))).status == 404
            assert (len(served.endpoint.sessions), len(stage.server._runners)) == (0, 0)

    run(main())


def test_without_sessions_a_missing_version_is_2025_03_26() -> None:
    async def main() -> None:
        async with serving(Stage().server, sessions=False) as served:
            talk = Talk(served, "2025-03-26", {})
            talk.judge = None
            batch = [talk.message("ping", id=1), talk.message("ping", id=2)]
            answer = await served.once(talk.bytes_of(batch))
            assert [one["id"] for one in answer.json] == [1, 2]
            refused = await served.once(talk.bytes_of(batch, mcp_protocol_version="2025-06-18"))
            assert (refused.status, refused.error["code"]) == (400, codes.INVALID_REQUEST)

    run(main())


def test_without_a_session_a_dropped_connection_is_no_cancellation() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server, sessions=False) as served:
            talk = Talk(served, "2025-11-25", {})
            post = await talk.post(
                talk.message("tools/call", {"name": "wait", "arguments": {"name": "a"}}),
                mcp_protocol_version="2025-11-25",
            )
            await stage.until(stage.begun, "a")
            await post.raw.close()
            async with asyncio.timeout(5):
                while served.http.connections:
                    await asyncio.sleep(0)
            stage.open("a")
            await stage.until(stage.ended, "a")

    run(main())
