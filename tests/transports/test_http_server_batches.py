"""Batches of 2025-03-26 over HTTP, on the wire: answered together, by JSON or on one stream."""

from __future__ import annotations

import pytest

from mcpcore.spec import codes
from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import Talk, serving


def wait(talk: Talk, name: str) -> object:
    return talk.message("tools/call", {"name": "wait", "arguments": {"name": name}}, name)


@pytest.mark.spec("2025-03-26/transports/M15")
def test_the_answers_to_a_batch_come_as_a_batch() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-03-26") as talk:
            batch = [talk.message("ping"), talk.message("tools/list"), {"jsonrpc": "2.0", "method": "notifications/x"}]
            answer = await (await talk.post(batch)).answer()
            assert [one["id"] for one in answer.json] == [batch[0]["id"], batch[1]["id"]]

    run(main())


def test_a_batch_that_takes_its_time_is_answered_by_json_at_the_end() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-03-26") as talk:
            post = await talk.post([wait(talk, "a"), wait(talk, "b"), talk.message("ping", id="p")])
            await stage.until(stage.begun, "a", "b")
            for name in ("b", "a"):
                stage.open(name)
                await stage.until(stage.ended, name)
            assert [one["id"] for one in (await post.answer()).json] == ["p", "b", "a"]

    run(main())


def test_what_the_requests_of_a_batch_say_comes_on_one_stream_with_all_answers_at_its_end() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-03-26") as talk:
            count = {"name": "count", "arguments": {"n": 2}}
            batch = [talk.message("tools/call", count, "x"), talk.message("tools/call", count, "y")]
            *said, answers = await (await talk.post(batch)).rest()
            assert sorted(message["params"]["data"] for message in said) == [0, 0, 1, 1]
            assert sorted(one["id"] for one in answers) == ["x", "y"]

    run(main())


@pytest.mark.spec("2025-03-26/transports/M13")
def test_a_batch_without_a_request_is_accepted() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-03-26") as talk:
            note = {"jsonrpc": "2.0", "method": "notifications/x"}
            for batch in ([note], [note, note], [{"jsonrpc": "2.0", "id": 99, "result": {}}]):
                talk.judge = None
                answer = await (await talk.post(batch)).answer()
                assert (answer.status, answer.body) == (202, b"")

    run(main())


def test_one_request_of_a_batch_may_be_cancelled() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-03-26") as talk:
            post = await talk.post([wait(talk, "a"), wait(talk, "b")])
            await stage.until(stage.begun, "a", "b")
            await talk.tell("notifications/cancelled", {"requestId": "a"})
            await stage.until(stage.cancelled, "a")
            stage.open("b")
            assert [one["id"] for one in (await post.answer()).json] == ["b"]

    run(main())


def test_a_batch_all_of_which_is_cancelled_ends_without_a_word() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk("2025-03-26") as talk:
            post = await talk.post([wait(talk, "a"), wait(talk, "b")])
            await stage.until(stage.begun, "a", "b")
            await talk.tell("notifications/cancelled", {"requestId": "a"})
            await talk.tell("notifications/cancelled", {"requestId": "b"})
            assert (await post.raw.answer()).body == b""
            assert served.endpoint.open == {}

    run(main())


def test_what_is_wrong_in_a_batch_is_answered_in_it() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk("2025-03-26") as talk:
            talk.judge = None
            batch = [
                5,
                talk.message("no/such", id=1),
                {"jsonrpc": "1.0", "id": 2, "method": "ping"},
                talk.message("ping", id=3),
            ]
            answer = await (await talk.post(batch)).answer()
            found = {one.get("id"): one.get("error", {}).get("code") for one in answer.json}
            assert found == {None: codes.INVALID_REQUEST, 1: codes.METHOD_NOT_FOUND, 2: codes.INVALID_REQUEST, 3: None}

    run(main())


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_other_revisions_take_no_batches(revision: str) -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk(revision) as talk:
            talk.judge = None
            answer = await (await talk.post([talk.message("ping")])).answer()
            assert (answer.status, answer.error["code"]) == (400, codes.INVALID_REQUEST)

    run(main())


def test_a_batch_has_a_length() -> None:
    async def main() -> None:
        async with serving(Stage(max_batch=5).server) as served, served.talk("2025-03-26") as talk:
            assert len((await (await talk.post([talk.message("ping") for _ in range(5)])).answer()).json) == 5
            talk.judge = None
            for batch in ([talk.message("ping") for _ in range(6)], []):
                assert (await (await talk.post(batch)).answer()).status == 400

    run(main())
