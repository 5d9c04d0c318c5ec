"""Calls under way: limits of time, cancellation, progress, a server that dies or does not read; each call by itself."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import pytest

from mcpcore.client import Client, Timeouts
from mcpcore.core.limits import Limits
from mcpcore.errors import CallTimeout, Closed, ConnectionLost, InvalidResult, ProtocolViolation, RpcError, UsageError
from mcpcore.testing import FakeClock
from mcpcore.types import Progress
from tests.client.toys import ERAS, LEGACY, MODERN, Message, Talk, Toy, program, silence, text

both_eras = pytest.mark.parametrize("revision", ERAS)


def progress(talk: Talk, request: Message, value: float, **more: Any) -> None:
    token = request["params"]["_meta"]["progressToken"]
    talk.notify("notifications/progress", {"progressToken": token, "progress": value, **more})


# --- limits of time ---------------------------------------------------------------------------------------------------


@both_eras
@pytest.mark.parametrize(
    ("timeout", "limit", "seconds"),
    [(5, "total", 5.0), (Timeouts(idle=3, total=5), "idle", 3.0), (Timeouts(idle=9, total=5), "total", 5.0)],
)
def test_a_limit_that_expires_is_named_and_the_server_is_told(
    revision: str, timeout: Any, limit: str, seconds: float
) -> None:
    async def story() -> None:
        toy = Toy(revision, handlers={"tools/call": silence})
        async with Client(toy, revisions=revision) as client:
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("slow", timeout=timeout)
            assert caught.value.limit == limit
            assert caught.value.seconds == pytest.approx(seconds, abs=0.1)
            assert "tools/call slow" in str(caught.value) and limit in str(caught.value)
            call, cancelled = toy.sent("tools/call")[0], await toy.seen("notifications/cancelled")
            assert cancelled["params"]["requestId"] == call["id"]

    FakeClock().run(story())


def test_the_limits_of_the_client_hold_where_a_call_names_none() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": silence, "tools/list": silence, "resources/read": silence})
        async with Client(toy, timeout=Timeouts(idle=2, total=4)) as client:
            for call in (client.call_tool("x"), client.list_tools(), client.read_resource("a://b")):
                with pytest.raises(CallTimeout) as caught:
                    await call
                assert caught.value.limit == "idle" and caught.value.seconds == pytest.approx(2, abs=0.1)

    FakeClock().run(story())


@both_eras
def test_progress_extends_the_idle_limit_without_a_callback(revision: str) -> None:
    async def slow(message: Message, talk: Talk) -> Message:
        for step in range(24):
            await asyncio.sleep(5)
            progress(talk, message, step)
        return text("done")

    async def story() -> None:
        toy = Toy(revision, handlers={"tools/call": lambda m, t: slow(m, t)})
        async with Client(toy, revisions=revision) as client:
            result = await client.call_tool("slow", timeout=Timeouts(idle=10, total=600))
            assert result.text == "done"
            with pytest.raises(CallTimeout) as caught:
                await client.call_tool("slow", timeout=Timeouts(idle=10, total=60))
            assert caught.value.limit == "total" and caught.value.seconds == pytest.approx(60, abs=0.1)

    FakeClock().run(story())


def test_a_timeout_of_one_call_leaves_the_others_alone_and_its_late_answer_is_dropped() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": silence})
        async with Client(toy) as client:
            others = [asyncio.ensure_future(client.call_tool(f"t{n}")) for n in range(9)]
            with pytest.raises(CallTimeout):
                await client.call_tool("late", timeout=1)
            calls = toy.sent("tools/call")
            for call in reversed(calls):
                toy.talk.answer(call, text(call["params"]["name"]))
            assert [result.text for result in await asyncio.gather(*others)] == [f"t{n}" for n in range(9)]
            assert len(toy.talks) == 1

    FakeClock().run(story())


def test_many_limits_need_one_timer_and_each_expires_in_time() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with Client(Toy(handlers={"tools/call": silence})) as client:

            async def call(seconds: float) -> None:
                began = loop.time()
                with pytest.raises(CallTimeout):
                    await client.call_tool("x", timeout=seconds)
                assert seconds <= loop.time() - began < seconds + 0.05

            await asyncio.gather(*(call(1 + n / 100) for n in range(200)))

    FakeClock().run(story())


@pytest.mark.parametrize("wrong", [0, -1, "5"])
def test_an_impossible_limit_is_refused(wrong: Any) -> None:
    async def story() -> None:
        async with Client(Toy()) as client:
            with pytest.raises(UsageError, match=r"Timeouts\.total"):
                await client.call_tool("x", timeout=wrong)

    asyncio.run(story())


# --- cancellation -----------------------------------------------------------------------------------------------------


@both_eras
def test_cancelling_the_task_cancels_the_call_on_the_server_and_tells_it_nothing_else(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision, handlers={"tools/call": silence})
        async with Client(toy, revisions=revision) as client:
            task = asyncio.ensure_future(client.call_tool("slow"))
            call = await toy.seen("tools/call")
            task.cancel("secret reason")
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled = await toy.seen("notifications/cancelled")
            assert cancelled["params"] == {"requestId": call["id"]}
            toy.talk.answer(call, text("late"))
            toy.handlers["tools/call"] = text("next")
            assert (await client.call_tool("other")).text == "next"

    asyncio.run(story())


def test_asyncio_timeout_around_a_call_works_as_anywhere() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": silence})
        async with Client(toy) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.call_tool("slow")
            await toy.seen("notifications/cancelled")

    asyncio.run(story())


# --- progress ---------------------------------------------------------------------------------------------------------


def five_steps(message: Message, talk: Talk) -> Message:
    for step in range(5):
        progress(talk, message, step, total=5, message=f"step {step}")
    return text("done")


@both_eras
def test_progress_comes_in_order_and_before_the_result(revision: str) -> None:
    async def story() -> None:
        seen: list[Any] = []

        async def slowly(update: Progress) -> None:
            await asyncio.sleep(0.001 * (5 - update.progress))
            seen.append(update.progress)

        async with Client(Toy(revision, handlers={"tools/call": five_steps}), revisions=revision) as client:
            for callback in (lambda update: seen.append(update.progress), slowly):
                await client.call_tool("x", progress=callback)
                assert seen == [0, 1, 2, 3, 4]
                seen.clear()

    asyncio.run(story())


def test_the_clients_own_progress_callback_hears_calls_that_have_none() -> None:
    async def story() -> None:
        own: list[Any] = []
        other: list[Any] = []
        async with Client(Toy(handlers={"tools/call": five_steps}), progress=own.append) as client:
            await client.call_tool("x")
            await client.call_tool("x", progress=other.append)
        assert len(own) == len(other) == 5 and own[1].message == "step 1" and own[1].total == 5

    asyncio.run(story())


def test_progress_for_nobody_or_without_sense_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    def noisy(message: Message, talk: Talk) -> Message:
        talk.notify("notifications/progress", {"progressToken": 999, "progress": 1})
        talk.notify("notifications/progress", {"progressToken": ["x"], "progress": 1})
        talk.notify("notifications/progress", {})
        progress(talk, message, "half")  # type: ignore[arg-type]
        return text("done")

    async def story() -> None:
        seen: list[Any] = []
        async with Client(Toy(handlers={"tools/call": noisy})) as client:
            assert (await client.call_tool("x", progress=seen.append)).text == "done"
        assert seen == []

    asyncio.run(story())
    assert "notifications/progress was ignored" in caplog.text


def test_a_progress_callback_that_fails_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(update: Progress) -> None:
        raise RuntimeError("my callback")

    async def story() -> None:
        async with Client(Toy(handlers={"tools/call": five_steps})) as client:
            assert (await client.call_tool("x", progress=broken)).text == "done"

    asyncio.run(story())
    assert "my callback" in caplog.text


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_error_of_the_server_keeps_code_message_and_data() -> None:
    async def story() -> None:
        def fail(message: Message, talk: Talk) -> Message:
            raise RpcError(1234, "no such luck", {"a": [1]})

        async with Client(Toy(handlers={"tools/call": fail})) as client:
            with pytest.raises(RpcError) as caught:
                await client.call_tool("x")
            assert (caught.value.code, caught.value.message, caught.value.data) == (1234, "no such luck", {"a": [1]})

    asyncio.run(story())


@pytest.mark.parametrize(
    "method, call, result",
    [
        ("tools/call", lambda c: c.call_tool("x"), {"content": "no list"}),
        ("tools/list", lambda c: c.list_tools(), {"tools": {}}),
        ("resources/read", lambda c: c.read_resource("a://b"), {}),
        ("prompts/get", lambda c: c.get_prompt("p"), {"messages": [{"role": "user"}]}),
    ],
)
def test_a_result_of_the_wrong_shape_is_invalid_and_names_the_request(method: str, call: Any, result: Message) -> None:
    async def story() -> None:
        async with Client(Toy(handlers={method: result})) as client:
            with pytest.raises(InvalidResult, match=method):
                await call(client)

    asyncio.run(story())


@pytest.mark.parametrize("method, call", [("tools/call", "call_tool"), ("tools/list", "list_tools")])
def test_an_unknown_kind_of_result_is_invalid_and_an_absent_one_complete(method: str, call: str) -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            name = ["x"] if call == "call_tool" else []
            toy.handlers[method] = {"resultType": "later", "content": [], "tools": []}
            with pytest.raises(InvalidResult, match="later"):
                await getattr(client, call)(*name)
            toy.handlers[method] = {"content": [], "tools": []}
            await getattr(client, call)(*name)
            assert (await client.request(method)).get("resultType") is None

    asyncio.run(story())


def test_what_json_cannot_say_is_refused_before_it_is_sent() -> None:
    async def story() -> None:
        toy = Toy()
        async with Client(toy) as client:
            with pytest.raises(UsageError, match="tools/call x"):
                await client.call_tool("x", {"a": object()})
            with pytest.raises(UsageError, match="acme/x"):
                await client.notify("acme/x", {"a": object()})
            with pytest.raises(UsageError, match="strings"):
                await client.get_prompt("p", {"a": 1})  # type: ignore[dict-item]
            assert toy.sent("tools/call") == []

    asyncio.run(story())


def test_ten_thousand_calls_from_a_hundred_tasks_use_one_connection() -> None:
    async def story() -> None:
        def echo(message: Message, talk: Talk) -> Message:
            return text(str(message["params"]["arguments"]["n"]))

        toy = Toy(handlers={"tools/call": echo})
        async with Client(toy) as client:

            async def worker(start: int) -> None:
                for n in range(start, start + 100):
                    assert (await client.call_tool("echo", {"n": n})).text == str(n)

            await asyncio.gather(*(worker(start * 100) for start in range(100)))
        ids = [call["id"] for call in toy.sent("tools/call")]
        assert len(toy.talks) == 1 and len(set(ids)) == 10_000

    asyncio.run(story())


# --- a server that dies, or does not read -----------------------------------------------------------------------------


def test_a_dead_server_fails_every_pending_call_at_once_with_one_typed_error() -> None:
    async def story() -> None:
        async with Client(program(), limits=Limits(probe_seconds=0.5)) as client:
            calls = [asyncio.ensure_future(client.call_tool("wait")) for _ in range(20)]
            await asyncio.sleep(0)
            began = time.monotonic()
            calls.append(asyncio.ensure_future(client.call_tool("exit", {"status": 3})))
            errors = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - began < 1.5
            assert len({id(error) for error in errors}) == len(errors)
            for error in errors:
                assert isinstance(error, ConnectionLost)
                assert "exited with status 3" in str(error) and "going down" in error.stderr
                assert sys.executable in error.endpoint
            with pytest.raises(ConnectionLost, match="status 3"):
                await client.ping()

    asyncio.run(story())


def test_closing_fails_pending_calls_with_closed() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": silence})
        client = await Client(toy).connect()
        calls = [asyncio.ensure_future(client.call_tool("x")) for _ in range(3)]
        await toy.seen("tools/call", 3)
        await client.close()
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, Closed)
        with pytest.raises(Closed):
            await client.ping()

    asyncio.run(story())


def test_an_answer_that_is_no_response_fails_its_call_alone() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": silence})
        async with Client(toy) as client:
            one, two = (asyncio.ensure_future(client.call_tool(name)) for name in "ab")
            await toy.seen("tools/call", 2)
            first, second = toy.sent("tools/call")
            toy.talk.say({"jsonrpc": "2.0", "id": first["id"], "result": 7})
            toy.talk.channel.write(b"banner\n")
            toy.talk.answer(second, text("fine"))
            with pytest.raises(ProtocolViolation):
                await one
            assert (await two).text == "fine"

    asyncio.run(story())


def test_a_server_that_stops_reading_is_waited_for_within_the_limit() -> None:
    async def story() -> None:
        toy = Toy(handlers={"tools/call": text("done")})
        async with Client(toy, limits=Limits(write_high_water=1000)) as client:
            toy.talk.channel.pause_reading()
            stuck = asyncio.ensure_future(client.call_tool("big", {"data": "x" * 5000}))
            await asyncio.sleep(0.01)
            with pytest.raises(CallTimeout, match="does not read"):
                await client.call_tool("next", timeout=2)
            toy.talk.channel.resume_reading()
            assert (await stuck).text == "done"
            assert (await client.call_tool("next")).text == "done"
            assert [call["params"]["name"] for call in toy.sent("tools/call")] == ["big", "next"]

    FakeClock().run(story())


def test_both_sides_writing_much_at_once_do_not_wait_for_each_other() -> None:
    async def story() -> None:
        def flood(message: Message, talk: Talk) -> Message:
            for _ in range(50):
                talk.notify("notifications/message", {"level": "info", "data": "y" * 500})
            return text("z" * 5000)

        toy = Toy(LEGACY, handlers={"tools/call": flood})
        async with Client(toy, revisions=LEGACY, limits=Limits(write_high_water=1000)) as client:
            results = await asyncio.gather(*(client.call_tool("x", {"data": "x" * 5000}) for _ in range(20)))
            assert len(results) == 20

    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_server_of_2025_03_26_may_send_batches() -> None:
    async def story() -> None:
        seen: list[Any] = []
        toy = Toy("2025-03-26", handlers={"tools/call": silence})
        async with Client(toy, notifications={"vendor/event": seen.append}) as client:
            calls = [asyncio.ensure_future(client.call_tool(name)) for name in "ab"]
            await toy.seen("tools/call", 2)
            answers: list[Message] = [
                {"jsonrpc": "2.0", "id": call["id"], "result": text(call["params"]["name"])}
                for call in toy.sent("tools/call")
            ]
            told = {"jsonrpc": "2.0", "method": "vendor/event", "params": {"n": 1}}
            toy.talk.say([answers[1], told, answers[0]])  # type: ignore[arg-type]
            assert [result.text for result in await asyncio.gather(*calls)] == ["a", "b"]
            assert seen == [{"n": 1}]

    asyncio.run(story())


def test_a_progress_token_of_the_callers_own_does_not_confuse_ours() -> None:
    async def story() -> None:
        for revision in ERAS:
            seen: list[Any] = []
            toy = Toy(revision, handlers={"tools/call": five_steps})
            async with Client(toy, revisions=revision) as client:
                await client.call_tool("x", progress=seen.append, meta={"progressToken": "mine", "acme/a": 1})
            assert len(seen) == 5 and toy.sent("tools/call")[0]["params"]["_meta"]["acme/a"] == 1

    asyncio.run(story())


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
def test_ping_is_a_round_trip_in_both_eras(revision: str) -> None:
    async def story() -> None:
        toy = Toy(revision)
        async with Client(toy, revisions=revision) as client:
            before = len(toy.received)
            await client.ping()
            assert toy.received[before]["method"] == ("ping" if revision == LEGACY else "server/discover")

    asyncio.run(story())
