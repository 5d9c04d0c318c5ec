"""One peer on one channel: turns, tasks, back-pressure, failures and the end, over a channel that only writes down."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mcpcore import Limits, RpcError, Server
from mcpcore.errors import ConnectionLost
from mcpcore.transports.runner import Runner

META = "io.modelcontextprotocol/"
ENVELOPE = {
    f"{META}protocolVersion": "2026-07-28",
    f"{META}clientInfo": {"name": "test", "version": "1"},
    f"{META}clientCapabilities": {},
}


class Channel:
    """Keeps what is written; the test plays the system that takes it, or does not."""

    endpoint = "test"

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True
        self.closing = False
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.written.append(b"".join(pieces))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    @property
    def messages(self) -> list[Any]:
        return [json.loads(line) for line in b"".join(self.written).splitlines()]

    def answers(self) -> dict[Any, Any]:
        return {message["id"]: message for message in self.messages if "method" not in message}


def connected(server: Server) -> tuple[Runner, Channel]:
    runner, channel = server.open_runner(), Channel()
    runner.connection_made(channel)
    return runner, channel


def call(id: int, name: str, **arguments: Any) -> bytes:
    params = {"name": name, "arguments": arguments, "_meta": ENVELOPE}
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).encode() + b"\n"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    made = Server("runner")

    @made.tool
    async def echo(text: str) -> str:
        return text

    return made


def test_an_error_whose_message_json_cannot_say_is_answered_and_the_conversation_goes_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    @server.tool
    async def fails() -> str:
        raise RpcError(7, "half a pair: \ud800")

    async def scenario() -> None:
        runner, channel = connected(server)
        runner.data_received(call(1, "fails") + call(2, "echo", text="on"))
        assert channel.answers()[1]["error"]["code"] == -32603
        assert channel.answers()[2]["result"]["content"][0]["text"] == "on"

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(scenario())


def test_an_error_whose_data_json_cannot_say_keeps_its_code_and_message(server: Server) -> None:
    @server.tool
    async def fails() -> str:
        raise RpcError(7, "sorry", data=object())

    async def scenario() -> None:
        runner, channel = connected(server)
        runner.data_received(call(1, "fails"))
        assert channel.answers()[1]["error"] == {"code": 7, "message": "sorry"}

    asyncio.run(scenario())


def test_closing_sends_the_answers_that_waited_for_a_slow_reader(server: Server) -> None:
    release = asyncio.Event()

    @server.tool
    async def later(text: str) -> str:
        await release.wait()
        return text

    async def scenario() -> None:
        runner, channel = connected(server)
        runner.data_received(call(1, "later", text="first"))
        runner.pause_writing()
        release.set()
        await runner.finish(5)
        assert channel.answers()[1]["result"]["content"][0]["text"] == "first"
        assert channel.closing

    asyncio.run(scenario())


def test_a_refusal_before_the_channel_is_there_closes_it_when_it_comes(server: Server) -> None:
    async def scenario() -> None:
        runner, channel = server.open_runner(), Channel()
        runner.hold()
        runner.refuse("no")
        runner.connection_made(channel)
        assert channel.aborted

    asyncio.run(scenario())


def test_what_comes_while_held_is_served_after_the_release_and_the_end_of_input_too(server: Server) -> None:
    async def scenario() -> None:
        runner, channel = server.open_runner(), Channel()
        runner.hold()
        runner.connection_made(channel)
        assert not channel.reading
        runner.data_received(call(1, "echo", text="held"))
        runner.eof_received()
        assert not channel.written and not runner.input_ended.done()
        runner.release()
        await asyncio.wait_for(runner.input_ended, 5)
        assert channel.answers()[1]["result"]["content"][0]["text"] == "held"

    asyncio.run(scenario())


def test_a_turn_serves_so_many_messages_and_leaves_the_rest_to_the_next(server: Server) -> None:
    server.limits = Limits(turn_messages=2)

    async def scenario() -> None:
        runner, channel = connected(server)
        runner.data_received(b"".join(call(id, "echo", text="t") for id in range(1, 6)))
        assert list(channel.answers()) == [1, 2] and not channel.reading
        await until(lambda: len(channel.answers()) == 5)
        assert channel.reading and len(channel.written) == 3, "one write a turn"

    asyncio.run(scenario())


def test_a_server_serves_nothing_while_its_client_does_not_read(server: Server) -> None:
    async def scenario() -> None:
        runner, channel = connected(server)
        runner.pause_writing()
        assert not channel.reading
        runner.data_received(call(1, "echo", text="t"))
        await asyncio.sleep(0)
        assert not channel.written
        runner.resume_writing()
        await until(lambda: channel.answers())
        assert channel.reading

    asyncio.run(scenario())


def test_who_waits_for_a_slow_reader_goes_on_when_the_connection_is_lost(server: Server) -> None:
    async def scenario() -> None:
        runner, _ = connected(server)
        runner.pause_writing()
        waiting = asyncio.ensure_future(runner.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        runner.connection_lost(None)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_a_request_of_ours_fails_with_the_reason_once_the_connection_is_lost(server: Server) -> None:
    async def scenario() -> None:
        runner, _ = connected(server)
        pending = runner.ask("roots/list", None)
        runner.connection_lost(OSError("cable"))
        with pytest.raises(ConnectionLost, match="cable"):
            await pending.waiter
        with pytest.raises(ConnectionLost, match="cable"):
            runner.ask("roots/list", None)

    asyncio.run(scenario())


def test_a_cancelled_task_that_has_not_begun_leaves_nothing_behind(server: Server) -> None:
    began: list[int] = []

    @server.tool
    async def wait(mark: int) -> str:
        began.append(mark)
        await asyncio.Event().wait()
        return ""

    async def scenario() -> None:
        runner, channel = connected(server)
        cancel = json.dumps(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, "_meta": ENVELOPE}}
        )
        runner.data_received(call(1, "wait", mark=1) + cancel.encode() + b"\n" + call(2, "echo", text="on"))
        await until(lambda: not runner.tasks)
        assert list(channel.answers()) == [2] and not runner.peer.incoming

    asyncio.run(scenario())


def test_large_results_go_to_the_channel_in_pieces_and_to_the_tap_whole(server: Server) -> None:
    text = "x" * 100_000

    async def scenario() -> None:
        runner, channel = connected(server)
        seen: list[tuple[str, bytes]] = []
        runner.data_received(call(1, "echo", text=text))
        runner.tap = lambda direction, frame: seen.append((direction, frame))
        runner.data_received(call(2, "echo", text=text))
        whole = [frame for direction, frame in seen if direction == "out"]
        assert len(whole) == 1 and json.loads(whole[0])["id"] == 2
        assert {id: len(answer["result"]["content"][0]["text"]) for id, answer in channel.answers().items()} == {
            1: 100_000,
            2: 100_000,
        }

    asyncio.run(scenario())


def test_closing_twice_says_the_last_words_once(server: Server) -> None:
    listen = {"notifications": {"toolsListChanged": True}, "_meta": ENVELOPE}
    request = json.dumps({"jsonrpc": "2.0", "id": "L", "method": "subscriptions/listen", "params": listen}).encode()

    async def scenario() -> None:
        runner, channel = connected(server)
        runner.data_received(request + b"\n")
        await runner.close()
        await runner.close()
        assert [message.get("id") for message in channel.messages].count("L") == 1

    asyncio.run(scenario())


def test_a_fault_of_ours_does_not_keep_what_comes_behind_it_from_being_served(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        runner, channel = connected(server)
        faults = iter([OSError("no space for the wire log")])

        def tap(direction: str, frame: bytes) -> None:
            for fault in faults:
                raise fault

        runner.tap = tap
        runner.data_received(call(1, "echo", text="lost") + call(2, "echo", text="on"))
        await until(lambda: channel.answers())
        assert list(channel.answers()) == [2]

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(scenario())
