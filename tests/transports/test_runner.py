"""One peer on one channel: turns, tasks, back-pressure, failures and the end, over a channel that only writes down."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mcpcore import Context, Limits, RpcError, Server
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
