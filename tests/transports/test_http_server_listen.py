"""``subscriptions/listen`` over HTTP, on the wire: acknowledged, told of what it asked for, alive, ended properly."""

from __future__ import annotations

import asyncio

import pytest

from tests.transports.http_stage import Stage, run
from tests.transports.http_wire import META, Post, Talk, serving


async def listen(talk: Talk, id: object = "sub", **filter: object) -> Post:
    post = await talk.call("subscriptions/listen", {"notifications": filter}, id)
    head = await post.stream()
    assert head.fields["x-accel-buffering"] == "no"
    acknowledged = await post.message()
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["_meta"] == {f"{META}subscriptionId": id}
    return post


def test_a_listener_is_told_of_what_it_asked_for_and_of_nothing_else() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as one, served.talk() as two:
            tools = await listen(one, toolsListChanged=True)
            resources = await listen(two, resourcesListChanged=True, resourceSubscriptions=["stage://one"])
            stage.server.notify_tools_changed()
            assert (await tools.message())["method"] == "notifications/tools/list_changed"
            stage.server.notify_resource_updated("stage://other")
            stage.server.notify_resource_updated("stage://one")
            told = await resources.message()
            assert (told["method"], told["params"]["uri"]) == ("notifications/resources/updated", "stage://one")
            stage.server.notify_tools_changed()
            assert (await tools.message())["method"] == "notifications/tools/list_changed"
            stage.server.notify_resources_changed()
            assert (await resources.message())["method"] == "notifications/resources/list_changed"

    run(main())


def test_changes_of_one_turn_are_told_once() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            post = await listen(talk, toolsListChanged=True, promptsListChanged=True)
            for _ in range(100):
                stage.server.notify_tools_changed()
            stage.server.notify_resources_changed()
            await served.http.stop(5)
            methods = [message.get("method") for message in await post.rest()]
            assert methods == ["notifications/tools/list_changed", "notifications/cancelled", None]

    run(main())


def test_a_quiet_listener_hears_that_the_stream_lives_and_one_that_hears_news_does_not() -> None:
    async def main() -> None:
        stage = Stage(comment_seconds=0.1, json_seconds=0.02)
        async with serving(stage.server) as served, served.talk() as talk:
            post = await listen(talk, toolsListChanged=True)
            async with asyncio.timeout(5):
                while post.raw.reader._buffer.count(b":\n\n") < 2:  # type: ignore[attr-defined]
                    await asyncio.sleep(0.01)
            stage.server.notify_tools_changed()
            await post.message()
            assert post.raw.comments >= 2

    run(main())


@pytest.mark.spec("2026-07-28/streamable-http/M17")
def test_a_listener_hears_no_logs_and_no_progress_of_others() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk, served.talk() as other:
            post = await listen(talk, toolsListChanged=True)
            await (await other.call("tools/call", {"name": "count", "arguments": {"n": 5}}, logLevel="debug")).rest()
            stage.server.notify_tools_changed()
            assert (await post.message())["method"] == "notifications/tools/list_changed"

    run(main())


@pytest.mark.parametrize("reset", [True, False])
def test_a_listener_that_goes_away_is_forgotten(reset: bool) -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            post = await listen(talk, toolsListChanged=True)
            if reset:
                post.raw.reset()
            else:
                await post.raw.close()
            async with asyncio.timeout(5):
                while served.endpoint.open or stage.server._runners:
                    await asyncio.sleep(0)
            stage.server.notify_tools_changed()
            again = await listen(talk, "again", toolsListChanged=True)
            stage.server.notify_tools_changed()
            await again.message()

    run(main())


def test_every_listener_gets_its_proper_end_when_the_server_stops() -> None:
    async def main() -> None:
        stage = Stage()
        async with serving(stage.server) as served, served.talk() as talk:
            posts = [await listen(talk, number, toolsListChanged=True) for number in range(50)]
            begun = asyncio.get_running_loop().time()
            await served.http.stop()
            assert asyncio.get_running_loop().time() - begun < 1
            for number, post in enumerate(posts):
                cancelled, result = await post.rest()
                assert cancelled["params"]["requestId"] == number
                assert result["result"]["_meta"][f"{META}subscriptionId"] == number
                assert await post.raw.closed() == b""

    run(main())


def test_a_filter_that_is_none_is_refused() -> None:
    async def main() -> None:
        async with serving(Stage().server) as served, served.talk() as talk:
            talk.judge = None
            answer = await (await talk.call("subscriptions/listen", {})).answer()
            assert answer.error["code"] == -32602

    run(main())
