"""2026-07-28, basic/transports/index and basic/transports/stdio, the server's side: over the pipes of a process."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Server
from tests.contract.wire import META, MODERN, REVISIONS, Wire, envelope, launched

TOOL = "tools/call"
NASTY = "line\nfeed \r return \u2028 \u2029 \u0085 \x0b \x00 ü 漢 🎉"
PROGRAM = r"""
import asyncio, os, subprocess, sys, time
from mcpcore import Context, Server

server = Server("contract")

@server.tool
async def echo(text: str) -> str:
    return text

@server.tool
async def ask(ctx: Context) -> str:
    return (await ctx.elicit(NASTY, {"type": "object", "properties": {}})).action

@server.tool
def pollute() -> str:
    print("print", flush=True)
    sys.stdout.write("write\n")
    sys.__stdout__.write("dunder\n")
    os.write(1, b"descriptor 1\n")
    os.system("echo shell")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    print("x" * 1_000_000)
    sys.stdout.flush()
    return "clean"

@server.tool
def complain() -> str:
    for _ in range(20_000):
        print("all is well " * 5, file=sys.stderr)
    os.write(2, b"\xff\xfe no UTF-8 \n")
    return "done"

@server.tool
async def sleep() -> str:
    await asyncio.sleep(3600)
    return "never"

@server.tool
def block() -> str:
    time.sleep(3600)
    return "never"

@server.tool
async def notes(ctx: Context) -> str:
    await ctx.log("info", NASTY)
    await ctx.progress(1, message=NASTY)
    return NASTY

server.run()
""".replace("NASTY", ascii(NASTY))


@pytest.mark.spec("2026-07-28/stdio/M01", "2026-07-28/transports/M01", "2026-07-28/stdio/M02")
def test_every_message_is_one_line_of_utf_8_whatever_it_says() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            text = (await wire.result(TOOL, {"name": "echo", "arguments": {"text": NASTY}}))["content"][0]["text"]
            assert text == NASTY
            id = wire.call(TOOL, {"name": "notes"}, logLevel="debug", progressToken=NASTY)
            before, response = await wire.until(id)
            assert response["result"]["content"][0]["text"] == NASTY
            said = [message["params"].get("data") or message["params"]["message"] for message in before]
            assert said == [NASTY, NASTY]
            result = await wire.result(TOOL, {"name": "ask"}, capabilities={"elicitation": {}})
            assert next(iter(result["inputRequests"].values()))["params"]["message"] == NASTY
            # each line decodes by itself, and none holds a line end of any kind that is not escaped
            for side, line in wire.lines:
                if side == "server":
                    assert type(json.loads(line.decode("utf-8"))) is dict
                    assert b"\n" not in line and b"\r" not in line

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/transports/M01")
@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b'{"jsonrpc":"2.0","id":1,"method":"\xff"}']
)
def test_what_is_not_utf_8_is_refused_and_the_conversation_goes_on(bad: bytes) -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            wire.say(bad)
            assert (await wire.hear())["error"]["code"] == -32700
            await wire.result("server/discover")

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M02")
def test_what_handlers_and_their_children_print_stays_off_the_wire() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            for _ in range(2):
                result = await wire.result(TOOL, {"name": "pollute"})
                assert result["content"][0]["text"] == "clean"
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/Y01")
def test_the_server_writes_to_stderr_what_it_likes() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            assert (await wire.result(TOOL, {"name": "complain"}))["content"][0]["text"] == "done"

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M02")
def test_nothing_is_written_before_the_first_request() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            wire.tell("notifications/nothing")
            assert await wire.fence() == []
        assert [side for side, _ in wire.lines] == ["client", "client", "server"]

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M01")
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\n", b"\n\n\n"], ids=repr)
def test_lines_are_read_in_any_cut_and_with_any_white_space_around(end: bytes) -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            assert wire._write is not None
            request = {"jsonrpc": "2.0", "id": "é", "method": "server/discover", "params": {"_meta": envelope()}}
            line = b"  " + json.dumps(request, ensure_ascii=False).encode() + end
            wire.judge = None
            for byte in line:
                wire._write(bytes([byte]))
                await asyncio.sleep(0)
            wire._write(line.replace("é".encode(), b"2") + line.replace("é".encode(), b"3"))
            assert [(await wire.hear())["id"] for _ in range(3)] == ["é", "2", "3"]
            assert await wire.fence() == []

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/transports/M02", "2026-07-28/patterns/M01", "2026-07-28/stdio/M06")
@pytest.mark.spec("2026-07-28/basic/M22")
def test_the_server_sends_responses_and_notifications_and_nothing_else() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            can: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}}
            for method, params in (
                ("server/discover", {}),
                ("tools/list", {}),
                (TOOL, {"name": "ask"}),
                (TOOL, {"name": "echo", "arguments": {"text": ""}}),
                ("acme/unknown", {}),
            ):
                await wire.ask(method, params, capabilities=can)
            id = wire.call(TOOL, {"name": "notes"}, logLevel="debug", progressToken=1)
            await wire.until(id)
            sent = [json.loads(line) for side, line in wire.lines if side == "server"]
            assert {"id" in message for message in sent if "method" in message} == {False}

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M01")
def test_requests_rounds_and_subscriptions_are_all_there() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            assert (await wire.result(TOOL, {"name": "echo", "arguments": {"text": "x"}}))["resultType"] == "complete"
            can: dict[str, Any] = {"elicitation": {}}
            assert (await wire.result(TOOL, {"name": "ask"}, capabilities=can))["resultType"] == "input_required"
            id = wire.call("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            acknowledged = await wire.hear("notifications/subscriptions/acknowledged")
            assert acknowledged["params"]["_meta"] == {f"{META}subscriptionId": id}
            assert (await wire.error("tools/list", protocolVersion="1900-01-01"))["code"] == -32022
            wire.close()
            await wire.hear("notifications/cancelled")
            await wire.answer(id)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/transports/M03", "2026-07-28/transports/S02", "2026-07-28/stdio/M01")
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_another_byte_stream_carries_the_same_lines(revision: str, tmp_path: Path) -> None:
    async def main() -> None:
        server = Server("contract")

        @server.tool
        async def echo(text: str) -> str:
            return text

        loop = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        runner = server.open_runner()
        listening = await loop.create_unix_server(lambda: runner, path)
        wire = Wire("client")
        transport, _ = await loop.create_unix_connection(lambda: wire, path)
        if revision != MODERN:
            await wire.shake(revision)
        result = await wire.result(TOOL, {"name": "echo", "arguments": {"text": NASTY}})
        assert result["content"][0]["text"] == NASTY
        assert await wire.fence() == []
        assert wire.faults() == []
        transport.write_eof()
        await runner.input_ended
        await runner.finish(1)
        await wire.end()
        transport.close()
        listening.close()
        await runner.closed

    asyncio.run(main())


async def begin(wire: Wire, name: str) -> None:
    wire.call(TOOL, {"name": name})
    await wire.fence()


@pytest.mark.spec("2026-07-28/stdio/S06")
@pytest.mark.parametrize("running", ["nothing", "sleep", "block"])
def test_the_server_exits_promptly_when_its_input_ends(running: str) -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            if running == "nothing":
                await wire.result("server/discover")
            else:
                await begin(wire, running)
            started = time.monotonic()
        assert wire.process is not None
        assert wire.process.returncode == 0
        assert time.monotonic() - started < 3

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/S06")
def test_a_last_request_without_its_newline_is_answered_before_the_end() -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            await wire.result("server/discover")
            assert wire._write is not None
            request = {"jsonrpc": "2.0", "id": "last", "method": "server/discover", "params": {"_meta": envelope()}}
            wire.judge = None
            wire._write(json.dumps(request).encode())
            wire.close()
            await wire.answer("last")
            await wire.end()

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/stdio/M02", "2026-07-28/versioning/Y03")
@pytest.mark.parametrize("revision", REVISIONS)
def test_each_revision_is_served_over_the_pipes_of_a_process(revision: str) -> None:
    async def main() -> None:
        async with launched(PROGRAM) as wire:
            if revision != MODERN:
                await wire.shake(revision)
            result = await wire.result(TOOL, {"name": "echo", "arguments": {"text": "hi"}})
            assert result["content"][0]["text"] == "hi"
            assert ("resultType" in result) is (revision == MODERN)

    asyncio.run(main())


@pytest.mark.spec("2026-07-28/basic/M23", "2026-07-28/basic/S05", "2026-07-28/basic/M24")
def test_a_process_knows_nothing_of_what_another_one_was_asked() -> None:
    async def main() -> None:
        env = {"MCPCORE_SECRET": "0123456789abcdef"}
        can: dict[str, Any] = {"elicitation": {}}
        async with launched(PROGRAM, env=env) as one, launched(PROGRAM, env=env) as two:
            first = await one.result(TOOL, {"name": "ask"}, capabilities=can)
            answers = {key: {"action": "cancel"} for key in first["inputRequests"]}
            retry = {"name": "ask", "inputResponses": answers, "requestState": first["requestState"]}
            assert (await two.result(TOOL, retry, capabilities=can))["content"][0]["text"] == "cancel"
            lists = [await wire.result("tools/list") for wire in (one, two)]
            assert lists[0] == lists[1]
            assert lists[0]["_meta"][f"{META}serverInfo"]["name"] == "contract"

    asyncio.run(main())
