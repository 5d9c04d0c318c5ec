"""What a POST is answered with, in every revision: one JSON object, an event stream, 202, or an error status."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from mcpcore import Context
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import BOTH, LEGACY, MODERN, Served, Talk, request, serving

SESSIONS = LEGACY[1:]
"""The legacy revisions that have Streamable HTTP."""
REVISIONS = (*SESSIONS, MODERN)
revisions = pytest.mark.parametrize("revision", REVISIONS)
sessions = pytest.mark.parametrize("revision", SESSIONS)


def stage(**limits: Any) -> Stage:
    made = Stage(**limits)

    @made.server.tool
    async def ask(ctx: Context) -> str:
        answer = await ctx.sample("hello", max_tokens=9)
        return str(answer.content.text)  # type: ignore[union-attr]

    @made.server.tool
    async def step(ctx: Context) -> str:
        for number in range(1, 4):
            await ctx.progress(number)
        return "done"

    return made


def called(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"}

# -- what has no answer ------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M13",
    "2025-06-18/transports/M11",
    "2025-11-25/transports/M12",
    "2026-07-28/streamable-http/M10",
)
@revisions
def test_a_notification_that_is_accepted_gets_202_and_no_body(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            for method in ("notifications/vendor", "notifications/cancelled"):
                params = {"requestId": 99} if method == "notifications/cancelled" else None
                talk.judge = talk.judge if params is None else None
                answer = await talk.tell(method, params)
                assert (answer.status, answer.body) == (202, b"")
                assert answer.fields.get("content-length") == "0"

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/M14",
    "2025-06-18/transports/M12",
    "2025-11-25/transports/M13",
    "2026-07-28/streamable-http/M11",
)
@revisions
@pytest.mark.parametrize(
    "notification",
    [
        {"jsonrpc": "2.0", "method": "notifications/x", "params": 5},
        {"jsonrpc": "1.0", "method": "notifications/x"},
        {"jsonrpc": "2.0", "method": 5},
        {"jsonrpc": "2.0", "method": ""},
        {"jsonrpc": "2.0"},
    ],
)
def test_a_notification_that_is_refused_gets_an_error_status_and_an_error_without_an_id(
    notification: dict[str, Any], revision: str
) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            talk.judge = None
            answer = await (await talk.post(notification)).answer()
            assert answer.status == 400
            assert answer.json.get("id") is None and answer.error["code"] == -32600

    run(main())


@pytest.mark.spec("2025-03-26/transports/M13", "2025-06-18/transports/M11", "2025-11-25/transports/M12")
@sessions
def test_an_answer_of_the_client_gets_202_and_no_body(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision, {"sampling": {}}) as talk:
            post = await talk.call("tools/call", called("ask"))
            question = await post.message()
            answer = await talk.reply(question, SAMPLED)
            assert (answer.status, answer.body) == (202, b"")
            (final,) = await post.rest()
            assert final["result"]["content"][0]["text"] == "hi"

    run(main())


@pytest.mark.spec("2025-03-26/transports/M14", "2025-06-18/transports/M12", "2025-11-25/transports/M13")
@sessions
def test_an_answer_outside_of_any_session_gets_an_error_status(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
            talk.judge = None
            for session, status in ((None, 400), ("no-such-session", 404)):
                assert (await (await talk.post(answer, mcp_session_id=session)).answer()).status == status

    run(main())


def test_a_modern_client_sends_no_answers() -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk() as talk:
            talk.judge = None
            bodies: list[dict[str, Any]] = [{"result": {}}, {"error": {"code": 1, "message": "no"}}]
            for body in bodies:
                answer = await (await talk.post({"jsonrpc": "2.0", "id": 1, **body})).answer()
                assert answer.status == 400 and "inputResponses" in answer.error["message"]

    run(main())


# -- what has an answer ------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-03-26/transports/M15",
    "2025-06-18/transports/M13",
    "2025-11-25/transports/M14",
    "2026-07-28/streamable-http/M12",
)
@revisions
@pytest.mark.parametrize("answers", ["auto", "json", "sse"])
def test_a_request_is_answered_by_one_json_object_or_by_an_event_stream(answers: str, revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server, answers=answers) as served, served.talk(revision, shake=False) as talk:
            if revision != MODERN:
                talk.fields["accept"] = "application/json"
                await talk.shake()
                talk.fields["accept"] = BOTH
            for method, params in (("tools/list", {}), ("tools/call", called("echo", text="a")), ("no/such", {})):
                post = await talk.call(method, params)
                if answers == "sse" and not (method == "no/such" and revision == MODERN):
                    (message,) = await post.rest()
                else:
                    message = (await post.answer()).json
                assert isinstance(message, dict) and ("result" in message) is (method != "no/such")

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/S04",
    "2025-03-26/transports/S05",
    "2025-03-26/transports/Y04",
    "2025-03-26/transports/S06",
    "2025-03-26/transports/S07",
    "2025-06-18/transports/S04",
    "2025-06-18/transports/S06",
    "2025-06-18/transports/S07",
    "2026-07-28/streamable-http/M15",
    "2026-07-28/streamable-http/S03",
)
@revisions
def test_each_stream_has_the_messages_of_its_own_request_and_ends_with_its_answer(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            meta = {"logLevel": "info"} if revision == MODERN else {}
            posts = {}
            for name in ("a", "b"):
                message = talk.message("tools/call", called("speak_and_wait", name=name), **meta)
                posts[name] = await talk.post(message)
            said = {name: [await post.message()] for name, post in posts.items()}
            for name in ("b", "a"):
                made.open(name)
                said[name] += await posts[name].rest()
            for name, messages in said.items():
                assert [one["params"]["data"] for one in messages[:-1]] == [f"{name} begins", f"{name} ends"]
                assert messages[-1]["result"]["content"][0]["text"] == name

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/S04")
@revisions
def test_an_event_stream_tells_proxies_to_hand_it_on_at_once(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            post = await talk.call("tools/call", called("step"), progressToken="t")
            head = await post.stream()
            assert head.fields["x-accel-buffering"] == "no"
            assert "no-cache" in head.fields["cache-control"] and "no-transform" in head.fields["cache-control"]
            *progress, final = await post.rest()
            assert progress[-1]["params"]["progress"] == 3 and "result" in final

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/Y04", "2025-06-18/transports/Y03", "2025-11-25/transports/Y05", "2025-03-26/transports/S05"
)
@sessions
def test_the_question_of_a_handler_comes_on_the_stream_of_its_request(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision, {"sampling": {}}) as talk:
            standing = await talk.get()
            await standing.stream()
            post = await talk.call("tools/call", called("ask"))
            question = await post.message()
            assert question["method"] == "sampling/createMessage"
            await talk.reply(question, SAMPLED)
            await post.rest()
            while standing.raw.reader._buffer:  # type: ignore[attr-defined]
                assert (await standing.event()).data == b"", "a priming event is no message"

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/Y03", "2026-07-28/streamable-http/M16")
def test_a_modern_handler_that_asks_sends_no_request_on_any_stream() -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk() as talk:
            listen = await talk.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            await listen.message()
            capable: dict[str, Any] = {"sampling": {}}
            message = talk.message("tools/call", called("ask"), capabilities=capable)
            answer = await (await talk.post(message)).answer()
            result = answer.json["result"]
            assert result["resultType"] == "input_required"
            ((key, question),) = result["inputRequests"].items()
            assert question["method"] == "sampling/createMessage" and "id" not in question
            more = {**called("ask"), "inputResponses": {key: SAMPLED}, "requestState": result["requestState"]}
            again = talk.message("tools/call", more, capabilities=capable)
            assert (await (await talk.post(again)).answer()).json["result"]["content"][0]["text"] == "hi"
            await listen.raw.quiet()

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M17", "2026-07-28/streamable-http/M15")
def test_a_listen_stream_has_changes_and_nothing_of_any_other_request() -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk() as talk:
            listen = await talk.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            acknowledged = await listen.message()
            assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
            post = await talk.call("tools/call", called("step"), progressToken="t", logLevel="debug")
            assert len(await post.rest()) > 1
            post = await talk.call("tools/call", called("count", n=3), logLevel="debug")
            assert len(await post.rest()) == 4
            made.server.remove_tool("fail")
            assert (await listen.message())["method"] == "notifications/tools/list_changed"

    run(main())


def test_a_client_that_takes_no_event_stream_is_told_so_when_it_wants_to_listen() -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk() as talk:
            message = talk.message("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            answer = await (await talk.post(message, accept="application/json")).answer()
            assert (answer.status, answer.json["id"]) == (406, message["id"])
            assert "text/event-stream" in answer.error["message"]

    run(main())


@pytest.mark.parametrize("answers", ["auto", "json", "sse"])
def test_listening_is_answered_by_a_stream_whatever_is_preferred(answers: str) -> None:
    async def main() -> None:
        async with serving(stage().server, answers=answers) as served, served.talk() as talk:
            listen = await talk.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            assert (await listen.message())["method"] == "notifications/subscriptions/acknowledged"

    run(main())


# -- batches of 2025-03-26 ---------------------------------------------------------------------------------------------


@pytest.mark.spec("2025-03-26/transports/M13", "2025-03-26/transports/M15", "2025-03-26/transports/S04")
def test_a_batch_is_answered_whole_as_json() -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk("2025-03-26") as talk:
            note = {"jsonrpc": "2.0", "method": "notifications/vendor"}
            batch = [talk.message("ping", id="a"), note, talk.message("tools/call", called("echo", text="b"), id="b")]
            answers = (await (await talk.post(batch)).answer()).json
            assert sorted(one["id"] for one in answers) == ["a", "b"]
            only_notes = await (await talk.post([note, note])).answer()
            assert (only_notes.status, only_notes.body) == (202, b"")
            strays: list[Any] = [{"jsonrpc": "2.0", "id": id, "result": {}} for id in ("x", "y")]
            talk.judge = None
            only_answers = await (await talk.post(strays)).answer()
            assert (only_answers.status, only_answers.body) == (202, b"")

    run(main())


@pytest.mark.spec(
    "2025-03-26/transports/M15",
    "2025-03-26/transports/S04",
    "2025-03-26/transports/S06",
    "2025-03-26/transports/S07",
    "2025-03-26/transports/Y04",
)
def test_a_batch_whose_handlers_speak_is_a_stream_that_ends_with_the_last_answer() -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk("2025-03-26") as talk:
            batch = [talk.message("tools/call", called("speak_and_wait", name=name), id=name) for name in "ab"]
            post = await talk.post(batch)
            begun = [await post.message(), await post.message()]
            assert {one["params"]["data"] for one in begun} == {"a begins", "b begins"}
            made.open("b")
            assert (await post.message())["params"]["data"] == "b ends"
            made.open("a")
            rest = await post.rest()
            answers = [one for item in rest for one in (item if isinstance(item, list) else [item])]
            assert sorted(one["id"] for one in answers if "id" in one) == ["a", "b"]

    run(main())


@pytest.mark.spec("2025-03-26/transports/M14")
@pytest.mark.parametrize(
    "batch",
    [[], [5], [[]], ["x", None], [{"jsonrpc": "2.0", "method": "x", "params": 5}], [{"jsonrpc": "1.0", "method": "x"}]],
)
def test_a_batch_of_nothing_that_is_accepted_gets_an_error_status(batch: list[Any]) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk("2025-03-26") as talk:
            talk.judge = None
            answer = await (await talk.post(batch)).answer()
            assert answer.status == 400

    run(main())


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2025-11-25/transports/Y02",
    "2026-07-28/streamable-http/Y01",
    "2025-11-25/transports/M07",
    "2025-03-26/transports/M06",
    "2026-07-28/streamable-http/M03",
)
@revisions
def test_a_foreign_page_gets_403_with_an_error_that_has_no_id(revision: str) -> None:
    async def main() -> None:
        async with serving(stage().server) as served, served.talk(revision) as talk:
            judge, talk.judge = talk.judge, None
            post = await talk.post(talk.message("tools/list"), origin="http://evil.example")
            answer = await post.answer()
            assert (answer.status, answer.error["code"]) == (403, -32600)
            assert answer.json.get("id") is None
            assert "id" not in answer.json or revision < "2025-11-25"
            talk.judge = judge
            near = await talk.post(talk.message("tools/list"), origin="http://localhost:3000")
            assert (await near.answer()).status == 200

    run(main())


@pytest.mark.spec("2025-03-26/transports/S02", "2026-07-28/streamable-http/S01", "2024-11-05/transports/S02")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_a_server_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    """127.0.0.2 is an address of this machine as any other: a server on all of them would answer there."""

    async def main() -> None:
        async with serving(stage().server) as served:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.2", served.http.port)
        async with serving(stage().server, host="0.0.0.0") as served:
            _, writer = await asyncio.open_connection("127.0.0.2", served.http.port)
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.spec("2025-03-26/transports/S03", "2026-07-28/streamable-http/S02", "2024-11-05/transports/S03")
def test_whoever_the_hook_does_not_know_gets_nowhere() -> None:
    from mcpcore.errors import Unauthorized

    def authorize(head: Any) -> str:
        if head.headers.get("authorization") != "Bearer right":
            raise Unauthorized("no", www_authenticate="Bearer")
        return "somebody"

    async def main() -> None:
        async with serving(stage().server, authorize=authorize) as served:
            modern = Talk(served, MODERN, {})
            asks = modern.bytes_of(modern.message("tools/list"))
            strangers = [asks, request("GET", accept="text/event-stream"), request("DELETE"), request("GET", "/sse")]
            strangers.append(request("POST", "/messages?session_id=1", b"{}"))
            for data in strangers:
                answer = await served.once(data)
                assert answer.status == 401 and answer.fields["www-authenticate"].startswith("Bearer")
            known = modern.bytes_of(modern.message("tools/list"), authorization="Bearer right")
            assert (await served.once(known)).status == 200

    run(main())


# -- who goes away -----------------------------------------------------------------------------------------------------


@pytest.mark.spec(
    "2026-07-28/streamable-http/M19",
    "2026-07-28/streamable-http/M20",
    "2026-07-28/cancellation/S06",
    "2026-07-28/cancellation/S08",
)
@pytest.mark.parametrize("tool", ["wait", "speak_and_wait"])
@pytest.mark.parametrize("way", ["close", "reset"])
def test_a_modern_client_that_goes_away_has_cancelled(tool: str, way: str) -> None:
    """Whether its answer would have been JSON or is a stream."""

    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk() as talk:
            post = await talk.call("tools/call", called(tool, name="a"), logLevel="debug")
            await made.until(made.begun, "a")
            if tool == "speak_and_wait":
                await post.message()
            await _leave(post.raw, way)
            await made.until(made.cancelled, "a")
            assert made.ended == []
            assert served.endpoint.open == {}
            assert (await talk.result("tools/call", called("echo", text="on")))["content"][0]["text"] == "on"

    run(main())


async def _leave(raw: Any, way: str) -> None:
    if way == "close":
        await raw.close()
    else:
        raw.reset()


@pytest.mark.spec(
    "2025-03-26/transports/S08", "2025-06-18/transports/S08", "2025-11-25/transports/S11", "2025-03-26/transports/Y06"
)
@sessions
@pytest.mark.parametrize("tool", ["wait", "speak_and_wait"])
def test_a_legacy_client_that_goes_away_has_not_cancelled(tool: str, revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            post = await talk.call("tools/call", called(tool, name="a"))
            await made.until(made.begun, "a")
            if tool == "speak_and_wait":
                await post.message()
            await post.raw.close()
            await talk.result("ping")
            assert made.cancelled == []
            made.open("a")
            await made.until(made.ended, "a")
            await talk.result("ping")

    run(main())


@pytest.mark.spec("2025-03-26/transports/S09", "2025-06-18/transports/S09", "2025-11-25/transports/S12")
@sessions
def test_a_legacy_client_that_says_so_has_cancelled_and_its_stream_ends(revision: str) -> None:
    async def main() -> None:
        made = stage()
        async with serving(made.server) as served, served.talk(revision) as talk:
            post = await talk.call("tools/call", called("speak_and_wait", name="a"), id="c")
            await post.message()
            await talk.tell("notifications/cancelled", {"requestId": "c"})
            await made.until(made.cancelled, "a")
            assert await post.rest() == []

    run(main())


@pytest.mark.spec("2024-11-05/lifecycle/M10")
@revisions
def test_a_conversation_is_over_when_its_connections_close(revision: str) -> None:
    """Nothing else is said; what a session still holds is given back after its idle time."""

    async def main() -> None:
        async with serving(stage(session_seconds=0.05).server) as served:
            async with served.talk(revision) as talk:
                await talk.result("tools/list")
            async with asyncio.timeout(5):
                while len(served.endpoint.sessions) or served.http.connections:
                    await asyncio.sleep(0.01)

    run(main())


def test_messages_of_many_clients_with_the_same_ids_never_cross() -> None:
    async def main() -> None:
        async def one(served: Served, number: int) -> str:
            revision = REVISIONS[number % len(REVISIONS)]
            async with served.talk(revision) as talk:
                result = await talk.result("tools/call", called("echo", text=f"{number}"), id=1)
                return str(result["content"][0]["text"])

        async with serving(stage().server) as served:
            texts = await asyncio.gather(*[one(served, number) for number in range(40)])
            assert texts == [str(number) for number in range(40)]

    run(main())
