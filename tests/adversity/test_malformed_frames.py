"""Ten thousand wrong messages in one conversation: each is answered as its revision says, and it goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpcore import Server
from tests.adversity.malformed import PARSE, REQUEST, TABLE, UNREADABLE, mangled
from tests.contract.wire import LEGACY, MODERN, REVISIONS, envelope

COUNT = 10_000


def make_server() -> Server:
    server = Server("adversity")

    @server.tool
    async def echo(text: str) -> str:
        return text

    return server


class Pipe(asyncio.Protocol):
    """The other end of a channel, with nothing between the test and the bytes."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.frames += [json.loads(line) for line in data.splitlines()]
        self.arrived.set()

    def eof_received(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.frames) < count:
                self.arrived.clear()
                await self.arrived.wait()


async def opened(revision: str | None) -> tuple[Pipe, Any]:
    pipe = Pipe()
    channel = make_server().connect_client(pipe)
    if revision == MODERN:
        request = {"jsonrpc": "2.0", "id": "open", "method": "server/discover", "params": {"_meta": envelope()}}
        channel.write(json.dumps(request).encode() + b"\n")
        await pipe.until(1)
    elif revision is not None:
        params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        channel.write(
            json.dumps({"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params}).encode() + b"\n"
        )
        channel.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        await pipe.until(1)
    pipe.frames.clear()
    return pipe, channel


def check(answer: dict[str, Any], code: int, id: Any, revision: str | None) -> None:
    assert answer["error"]["code"] == code
    assert isinstance(answer["error"]["message"], str)
    if id is not UNREADABLE:
        assert answer["id"] == id
        assert type(answer["id"]) is type(id)
    elif revision is not None and revision >= "2025-11-25":
        assert "id" not in answer
    else:
        assert answer["id"] is None


@pytest.mark.spec(
    "2024-11-05/messages/M01",
    "2024-11-05/messages/M02",
    "2025-03-26/transports/M01",
    "2025-11-25/basic/M08",
    "2026-07-28/basic/M12",
)
@pytest.mark.parametrize("revision", [None, *REVISIONS])
def test_every_wrong_message_gets_the_error_of_its_revision(revision: str | None) -> None:
    async def conversation() -> None:
        pipe, channel = await opened(revision)
        for number, (frame, code, id) in enumerate(TABLE):
            channel.write(frame + b"\n")
            await pipe.until(number + 1)
            check(pipe.frames[number], code, id, revision)
        assert len(pipe.frames) == len(TABLE)
        channel.close()

    asyncio.run(conversation())


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_conversation_goes_on_after_ten_thousand_wrong_messages(revision: str) -> None:
    async def conversation() -> None:
        pipe, channel = await opened(revision)
        for start in range(0, COUNT, 500):
            expected = [TABLE[number % len(TABLE)] for number in range(start, start + 500)]
            pipe.frames.clear()
            channel.write(b"".join(frame + b"\n" for frame, _, _ in expected))
            await pipe.until(500)
            for answer, (_, code, id) in zip(pipe.frames, expected, strict=True):
                check(answer, code, id, revision)
        params: dict[str, Any] = {"name": "echo", "arguments": {"text": "still here"}}
        if revision == MODERN:
            params["_meta"] = envelope()
        pipe.frames.clear()
        channel.write(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode() + b"\n"
        )
        await pipe.until(1)
        assert pipe.frames[0]["result"]["content"] == [{"type": "text", "text": "still here"}]
        channel.close()

    asyncio.run(conversation())


@pytest.mark.parametrize("revision", [LEGACY[0], LEGACY[1], LEGACY[3], MODERN])
@pytest.mark.parametrize("seed", range(3))
def test_mangled_messages_never_stop_the_conversation(revision: str, seed: int) -> None:
    async def conversation() -> None:
        pipe, channel = await opened(revision)
        for frame in mangled(700, seed):
            channel.write(frame + b"\n")
        channel.write(b'{"jsonrpc":"2.0","id":"end","method":"ping"}\n')
        async with asyncio.timeout(30):
            while not any(frame.get("id") == "end" for frame in pipe.frames if isinstance(frame, dict)):
                pipe.arrived.clear()
                await pipe.arrived.wait()
        for received in pipe.frames:
            for answer in received if isinstance(received, list) else [received]:
                assert ("result" in answer) != ("error" in answer) or answer.get("method") == "notifications/message"
        channel.close()

    asyncio.run(conversation())


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
def test_a_message_beyond_the_limit_is_told_and_dropped(revision: str) -> None:
    async def conversation() -> None:
        pipe, channel = await opened(revision)
        huge = b'{"jsonrpc":"2.0","id":77,"method":"ping","params":{"x":"' + b"y" * (17 * 1024 * 1024) + b'"}}\n'
        for start in range(0, len(huge), 65536):
            channel.write(huge[start : start + 65536])
        await pipe.until(1)
        check(pipe.frames[0], REQUEST, 77, revision)
        channel.write(b"nonsense\n")
        await pipe.until(2)
        check(pipe.frames[1], PARSE, UNREADABLE, revision)
        channel.close()

    asyncio.run(conversation())
