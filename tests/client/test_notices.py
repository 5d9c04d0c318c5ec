"""Notifications: callbacks get them in order, none of them holds up the reader, the unknown make no noise."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from mcpcore.client import Client
from mcpcore.core.limits import Limits
from mcpcore.errors import MissingCapability
from mcpcore.spec.meta import LOG_LEVEL
from mcpcore.types import LogMessage
from tests.client.toys import ERAS, LEGACY, MODERN, Message, Talk, Toy, refuse, text

both_eras = pytest.mark.parametrize("revision", ERAS)


def flooding(count: int, method: str = "vendor/event") -> Any:
    def handler(message: Message, talk: Talk) -> Message:
        for n in range(count):
            talk.notify(method, {"n": n, "level": "info", "data": n})
        return text("done")

    return handler


@both_eras
def test_a_vendors_notification_reaches_its_callback_as_it_came(revision: str) -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy(revision)
        async with Client(toy, revisions=revision, notifications={"vendor/event": seen.append}) as client:
            toy.talk.notify("vendor/event", {"a": {"b": [1]}, "_meta": {"x": 1}})
            await client.ping()
        assert seen == [{"a": {"b": [1]}, "_meta": {"x": 1}}]

    asyncio.run(story())


@both_eras
def test_unknown_notifications_get_one_line_for_each_method(revision: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mcpcore.client")

    async def story() -> None:
        toy = Toy(revision, handlers={"tools/call": flooding(1000)})
        async with Client(toy, revisions=revision) as client:
            await client.call_tool("x")
            toy.talk.notify("vendor/other")
            await client.ping()

    asyncio.run(story())
    lines = [record.getMessage() for record in caplog.records if "vendor/" in record.getMessage()]
    assert len(lines) == 2


def test_the_lines_about_unknown_methods_have_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mcpcore.client")

    async def story() -> None:
        toy = Toy()
        async with Client(toy, limits=Limits(unknown_methods_logged=3)) as client:
            for n in range(10):
                toy.talk.notify(f"vendor/{n}")
            await client.ping()

    asyncio.run(story())
    assert len([record for record in caplog.records if "vendor/" in record.getMessage()]) == 3


@both_eras
def test_log_messages_come_in_order_to_sync_and_async_callbacks(revision: str) -> None:
    async def story() -> None:
        seen: list[Any] = []
        done = asyncio.Event()

        async def slowly(message: LogMessage) -> None:
            await asyncio.sleep(0.0001 * (message.data % 3))
            seen.append(message.data)
            if len(seen) == 50:
                done.set()

        toy = Toy(revision, handlers={"tools/call": flooding(50, "notifications/message")})
        async with Client(toy, revisions=revision, log=lambda message: seen.append(message.data)) as client:
            await client.call_tool("x")
            assert seen == list(range(50))
        seen.clear()
        async with Client(toy, revisions=revision, log=slowly) as client:
            await client.call_tool("x")
            await asyncio.wait_for(done.wait(), 5)
            assert seen == list(range(50))

    asyncio.run(story())


def test_a_slow_callback_holds_up_neither_answers_nor_memory(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        release = asyncio.Event()
        seen: list[int] = []

        async def stuck(params: Message) -> None:
            await release.wait()
            seen.append(params["n"])

        toy = Toy(handlers={"tools/call": flooding(1000)})
        limits = Limits(notification_queue=10)
        async with Client(toy, notifications={"vendor/event": stuck}, limits=limits) as client:
            assert (await client.call_tool("x")).text == "done"
            release.set()
            while len(seen) < 11:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert seen == [0, *range(990, 1000)]

    asyncio.run(story())
    assert "989 notifications were dropped" in caplog.text


def test_a_callback_that_fails_does_not_stop_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        seen: list[Any] = []

        def broken(params: Message) -> None:
            seen.append(params["n"])
            raise ValueError("my callback")

        async def broken_later(params: Message) -> None:
            await asyncio.sleep(0)
            broken(params)

        for callback in (broken, broken_later):
            toy = Toy(handlers={"tools/call": flooding(3)})
            async with Client(toy, notifications={"vendor/event": callback}) as client:
                await client.call_tool("x")
                while len(seen) < 3:
                    await asyncio.sleep(0)
            assert seen == [0, 1, 2]
            seen.clear()

    asyncio.run(story())
    assert caplog.text.count("the callback for vendor/event failed") == 6


def test_a_log_message_without_sense_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy()
        async with Client(toy, log=seen.append) as client:
            toy.talk.notify("notifications/message", {"level": 7})
            await client.ping()
        assert seen == []

    asyncio.run(story())
    assert "notifications/message was ignored" in caplog.text


# --- the log level ----------------------------------------------------------------------------------------------------


def test_a_modern_server_hears_the_level_with_each_request() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            await client.call_tool("x")
            await client.set_log_level("warning")
            await client.call_tool("x")
        async with Client(toy, log=lambda message: None) as client:
            await client.call_tool("x")
        levels = [call["params"]["_meta"].get(LOG_LEVEL) for call in toy.sent("tools/call")]
        assert levels == [None, "warning", "debug"]

    asyncio.run(story())


def test_a_legacy_server_hears_the_level_once() -> None:
    async def story() -> None:
        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY) as client:
            await client.set_log_level("warning")
            await client.call_tool("x")
        assert next(message["params"] for message in toy.sent("logging/setLevel"))["level"] == "warning"
        assert LOG_LEVEL not in toy.sent("tools/call")[0]["params"].get("_meta", {})

    asyncio.run(story())


@both_eras
def test_a_server_without_logging_is_asked_for_nothing_of_our_own_accord(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision, {"tools": {}})
        async with Client(toy, revisions=revision, log=lambda message: None) as client:
            await client.call_tool("x")
            assert LOG_LEVEL not in toy.sent("tools/call")[0]["params"].get("_meta", {})
            if revision != MODERN:
                with pytest.raises(MissingCapability):
                    await client.set_log_level("info")
                return
            await client.set_log_level("info")  # some servers send logs without having declared it
            await client.call_tool("x")
            assert toy.sent("tools/call")[1]["params"]["_meta"][LOG_LEVEL] == "info"

    asyncio.run(story())


# --- callbacks for changes --------------------------------------------------------------------------------------------


CHANGES = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}


@pytest.mark.parametrize("method", CHANGES)
def test_a_callback_for_changes_makes_a_modern_client_listen(method: str) -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy(MODERN)
        async with Client(toy, notifications={method: seen.append}) as client:
            listen = toy.sent("subscriptions/listen")[0]
            assert listen["params"]["notifications"] == {CHANGES[method]: True}
            meta = {"io.modelcontextprotocol/subscriptionId": listen["id"]}
            toy.talk.notify(method, {"_meta": meta, "extra": 1})
            toy.talk.notify(method, {"_meta": {"io.modelcontextprotocol/subscriptionId": 999}})
            await client.ping()
            assert seen == [{"_meta": meta, "extra": 1}]

    asyncio.run(story())


@pytest.mark.parametrize("method", CHANGES)
def test_a_callback_for_changes_hears_a_legacy_session(method: str) -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy(LEGACY)
        async with Client(toy, revisions=LEGACY, notifications={method: seen.append}) as client:
            toy.talk.notify(method)
            await client.ping()
        assert seen == [{}]

    asyncio.run(story())


def test_a_server_that_does_not_listen_is_connected_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        toy = Toy(handlers={"subscriptions/listen": refuse(-32601)})
        async with Client(toy, notifications={"notifications/tools/list_changed": lambda params: None}) as client:
            await client.ping()

    asyncio.run(story())
    assert "changes are not heard" in caplog.text
