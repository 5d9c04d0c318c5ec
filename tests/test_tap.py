"""mcpcore.tap: what is written, what is read back, answering from a recording, and playing one against a server."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mcpcore import Client, Context, Server
from mcpcore.errors import RpcError, UsageError
from mcpcore.tap import Recording, Tap, replay_client, replay_server, tap_from_environment
from mcpcore.testing import FakeClock, ScriptedPeer

ROOT = Path(__file__).parents[1]
LEGACY, MODERN = "2025-11-25", "2026-07-28"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# -- writing -------------------------------------------------------------------------------------------------------


def test_a_line_tells_when_where_from_and_what(tmp_path: Path) -> None:
    write = Tap(tmp_path / "wire.jsonl")
    write("out", b'{"id":1,"n":9007199254740993}')
    write("in", b"no json\xff")
    first, second = lines(tmp_path / "wire.jsonl")
    assert first["dir"] == "out" and first["frame"] == {"id": 1, "n": 9007199254740993}
    assert second["dir"] == "in" and second["frame"] == {"raw": "bm8ganNvbv8="}
    assert first["conn"] == second["conn"] and first["pid"] == os.getpid()
    assert first["t"] <= second["t"]


def test_a_frame_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    code = f"from mcpcore.tap import Tap; import os; Tap({str(path)!r})('in', b'[1]'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert lines(path)[0]["frame"] == [1]


def test_a_message_over_several_lines_becomes_one_line(tmp_path: Path) -> None:
    Tap(tmp_path / "wire.jsonl")("in", b'{\n "id": 1\n}')
    assert lines(tmp_path / "wire.jsonl")[0]["frame"] == {"id": 1}


def test_every_connection_has_its_number_and_they_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    first, second = Tap(path), Tap(path)
    first("in", b"1")
    second("in", b"2")
    first("in", b"3")
    numbers = [line["conn"] for line in lines(path)]
    assert numbers[0] == numbers[2] != numbers[1]


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    Tap(tmp_path / "wire.jsonl")
    assert stat.S_IMODE((tmp_path / "wire.jsonl").stat().st_mode) == 0o600


def test_redaction_decides_what_is_written(tmp_path: Path) -> None:
    def redact(frame: Any) -> Any:
        return {**frame, "token": "***"} if "token" in frame else frame

    write = Tap(tmp_path / "wire.jsonl", redact=redact)
    write("in", b'{"token":"secret"}')
    assert "secret" not in (tmp_path / "wire.jsonl").read_text(encoding="utf-8")
    assert lines(tmp_path / "wire.jsonl")[0]["frame"] == {"token": "***"}


WRITER = """
import json, sys
from mcpcore.tap import Tap
write, frame = Tap(sys.argv[1]), json.dumps({"x": sys.argv[2] * 20_000}).encode()
for _ in range(100):
    write("out", frame)
"""


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, letter], cwd=ROOT) for letter in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    written = [line["frame"]["x"] for line in lines(path)]
    assert sorted(written) == sorted(letter * 20_000 for letter in "abc" for _ in range(100))


def test_a_full_disk_ends_the_recording_and_not_the_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    write = Tap(tmp_path / "wire.jsonl")
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("mcpcore.tap.os.write", refuse)
        write("in", b"1")
        write("in", b"2")
    assert [record.message for record in caplog.records if "the recording ends here" in record.message]
    assert len(caplog.records) == 1


def test_a_closed_tap_writes_nothing_and_frees_its_descriptor(tmp_path: Path) -> None:
    write = Tap(tmp_path / "wire.jsonl")
    file = write._file
    assert file is not None
    fd = file._fd
    del file
    write.close()
    write.close()
    write("in", b"1")
    assert lines(tmp_path / "wire.jsonl") == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_without_the_variable_there_is_no_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCPCORE_WIRE_LOG", raising=False)
    assert tap_from_environment() is None


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPCORE_WIRE_LOG", str(tmp_path / "no" / "wire.jsonl"))
    with pytest.raises(UsageError, match=r"MCPCORE_WIRE_LOG=.*No such file or directory"):
        tap_from_environment()


def test_servers_and_clients_can_import_the_tap_for_nothing() -> None:
    code = "import sys, mcpcore.tap; "
    code += "print(sorted(m for m in sys.modules if m.startswith('mcpcore.')), 'asyncio' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['mcpcore.jsonrpc', 'mcpcore.jsonrpc.codec', 'mcpcore.tap'] False"


# -- a server and conversations with it ----------------------------------------------------------------------------


def make_server(greeting: str = "hello") -> Server:
    server = Server("recorded", page_size=1)
    counts = {"calls": 0}

    @server.tool
    async def count() -> int:
        counts["calls"] += 1
        return counts["calls"]

    @server.tool
    async def greet(name: str) -> str:
        return f"{greeting} {name}"

    @server.tool
    async def slow(ctx: Context) -> str:
        await ctx.progress(1, 2, "half")
        return "done"

    @server.tool
    async def ask(ctx: Context) -> str:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        answer = await ctx.elicit("Who?", schema)
        return f"{answer.action} {answer.content}"

    return server


async def a_conversation(client: Client) -> list[Any]:
    tools = [tool.name for tool in await client.list_tools()]
    counted = [(await client.call_tool("count")).text for _ in range(2)]
    steps: list[float] = []
    slow = await client.call_tool("slow", progress=lambda progress: steps.append(progress.progress))
    asked = await client.call_tool("ask")
    return [tools, counted, steps, slow.text, asked.text]


SAID = [["count", "greet", "slow", "ask"], ["1", "2"], [1.0], "done", "accept {'name': 'Ada'}"]


def _client(target: Any, revision: str) -> Client:
    return Client(target, revisions=revision, elicitation=lambda question: {"name": "Ada"})


def record(path: Path, monkeypatch: pytest.MonkeyPatch, revision: str = LEGACY) -> Recording:
    """Client and server in one process write into the same file, as they do where both inherit the variable."""

    async def main() -> None:
        async with _client(make_server(), revision) as client:
            assert await a_conversation(client) == SAID

    with monkeypatch.context() as patch:
        patch.setenv("MCPCORE_WIRE_LOG", str(path))
        asyncio.run(main())
    return Recording.load(path)


@pytest.fixture(params=[LEGACY, MODERN])
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scripted(recording: Recording, script: Callable[[ScriptedPeer], Awaitable[None]]) -> None:
    """``script`` is a client of the recording."""

    async def main() -> None:
        async with ScriptedPeer() as peer:
            await peer.connect(replay_server(recording))
            await script(peer)

    FakeClock().run(main())


def recording_of(path: Path, *frames: tuple[str, Any]) -> Recording:
    """A client's recording: ``(">", message)`` was sent, ``("<", message)`` received."""
    write = Tap(path)
    for arrow, frame in frames:
        write("out" if arrow == ">" else "in", frame if isinstance(frame, bytes) else json.dumps(frame).encode())
    return Recording.load(path)


def request(id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def result(id: Any, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": members}


# -- reading -------------------------------------------------------------------------------------------------------


def test_a_client_and_a_server_record_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    record(tmp_path / "wire.jsonl", monkeypatch, revision)
    assert len({line["conn"] for line in lines(tmp_path / "wire.jsonl")}) == 2


def test_a_conversation_recorded_by_both_sides_counts_once(tmp_path: Path) -> None:
    client, server, other = (Tap(tmp_path / "wire.jsonl") for _ in range(3))
    call, answer = json.dumps(request(1, "tools/list")).encode(), json.dumps(result(1, tools=[])).encode()
    client("out", call)
    server("in", call)
    server("out", answer)
    client("in", answer)
    other("in", json.dumps(request(1, "prompts/list")).encode())
    conversations = Recording.load(tmp_path / "wire.jsonl").conversations
    assert [[entry.method for entry in one.entries] for one in conversations] == [["tools/list"], ["prompts/list"]]


BROKEN = {
    "no JSON": ("hello\n", "line 1: this is no line of a recording"),
    "another format": ('{"t": 1, "dir": "in", "frame": {}}\n', "line 1"),
    "an unknown direction": ('{"t": 1, "dir": "up", "conn": 1, "frame": {}}\n', "line 1"),
    "nothing": ("", "nothing of a client"),
    "only a server": ('{"t": 1, "dir": "in", "conn": 1, "frame": {"id": 1, "result": {}}}\n', "nothing of a client"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_recording_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, complaint = BROKEN[case]
    (tmp_path / "wire.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=complaint):
        Recording.load(tmp_path / "wire.jsonl")


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Recording.load(tmp_path / "wire.jsonl")


def test_an_unfinished_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    recording_of(path, (">", request(1, "tools/list")))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"t": 1, "dir"')
    assert len(Recording.load(path).entries) == 1


# -- answering from a recording ------------------------------------------------------------------------------------


def test_a_client_hears_from_the_recording_what_it_heard_from_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    recording = record(tmp_path / "wire.jsonl", monkeypatch, revision)

    async def main() -> list[Any]:
        async with _client(replay_server(recording), revision) as client:
            assert client.server_info is not None and client.server_info.name == "recorded"
            return await a_conversation(client)

    assert asyncio.run(main()) == SAID


def test_a_client_that_speaks_more_finds_out_what_the_recording_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = record(tmp_path / "wire.jsonl", monkeypatch, LEGACY)

    async def main() -> str:
        async with Client(replay_server(recording)) as client:
            return str(client.revision)

    assert asyncio.run(main()) == LEGACY


def test_ids_and_meta_do_not_count(tmp_path: Path) -> None:
    call = request(1, "tools/call", name="x", arguments={"a": 1, "b": 2}, _meta={"progressToken": 1})
    recording = recording_of(tmp_path / "w", (">", call), ("<", result(1, content=[])))

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request("other", "tools/call", arguments={"b": 2, "a": 1}, name="x", _meta={"trace": 5}))
        assert await peer.next() == result("other", content=[])

    scripted(recording, script)


def test_a_repeated_question_gets_the_answers_in_order_and_the_last_one_for_ever_after(tmp_path: Path) -> None:
    frames = [(">", request(1, "x")), ("<", result(1, n=1)), (">", request(2, "x")), ("<", result(2, n=2))]
    recording = recording_of(tmp_path / "w", *frames)

    async def script(peer: ScriptedPeer) -> None:
        for id, n in [(7, 1), (8, 2), (9, 2)]:
            peer.say(request(id, "x"))
            assert await peer.next() == result(id, n=n)

    scripted(recording, script)


def test_an_unmatched_call_fails_with_the_difference_to_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [
        (">", request(1, "tools/call", name="greet", arguments={"name": "Ada"})),
        ("<", result(1, content=[])),
        (">", request(2, "tools/call", name="other", arguments={"x": 1})),
        ("<", result(2, content=[])),
    ]

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(5, "tools/call", name="greet", arguments={"name": "Bob"}))
        answer = await peer.expect(partial={"id": 5, "error": {"code": -32602}})
        diff = answer["error"]["data"]["diff"]
        assert '-    "name": "Ada"' in diff and '+    "name": "Bob"' in diff
        assert '-    "name": "Ada"' in answer["error"]["message"]
        assert answer["error"]["data"]["nearest"] == {"name": "greet", "arguments": {"name": "Ada"}}

    scripted(recording_of(tmp_path / "w", *frames), script)


def test_a_method_that_was_never_asked_is_refused_with_those_that_were(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "tools/list")), ("<", result(1, tools=[])))

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(1, "prompts/list"))
        answer = await peer.expect(partial={"error": {"code": -32601, "data": {"recorded": ["tools/list"]}}})
        assert "which has tools/list" in answer["error"]["message"]
        peer.say(request(2, "ping"))
        assert await peer.next() == result(2)
        peer.say({"jsonrpc": "2.0", "method": "notifications/unheard"})
        await peer.expect_silence()

    scripted(recording, script)


def test_progress_comes_under_the_new_token_or_not_at_all(tmp_path: Path) -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "a", "progress": 1}}
    call = request(1, "x", _meta={"progressToken": "a"})
    recording = recording_of(tmp_path / "w", (">", call), ("<", progress), ("<", result(1)))

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(7, "x", _meta={"progressToken": "b"}))
        await peer.expect("notifications/progress", {"params": {"progressToken": "b", "progress": 1}})
        await peer.expect(partial={"id": 7})
        peer.say(request(8, "x"))
        await peer.expect(partial={"id": 8})

    scripted(recording, script)


def test_a_listen_stream_plays_its_events_under_the_new_id(tmp_path: Path) -> None:
    def event(method: str, id: int) -> dict[str, Any]:
        meta = {"io.modelcontextprotocol/subscriptionId": id}
        return {"jsonrpc": "2.0", "method": method, "params": {"_meta": meta}}

    recording = recording_of(
        tmp_path / "w",
        (">", request(3, "subscriptions/listen", notifications={})),
        ("<", event("notifications/subscriptions/acknowledged", 3)),
        (">", request(4, "x")),
        ("<", event("notifications/tools/list_changed", 3)),
        ("<", result(4)),
    )

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request("l", "subscriptions/listen", notifications={}))
        for method in ("notifications/subscriptions/acknowledged", "notifications/tools/list_changed"):
            await peer.expect(method, {"params": {"_meta": {"io.modelcontextprotocol/subscriptionId": "l"}}})
        await peer.expect_silence()

    scripted(recording, script)


QUESTION = [
    (">", request(1, "x")),
    ("<", request(5, "roots/list")),
    (">", result(5, roots=[])),
    ("<", result(1, done=True)),
]


def test_a_question_waits_for_its_answer(tmp_path: Path) -> None:
    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(9, "x"))
        question = await peer.expect("roots/list")
        await peer.expect_silence()
        peer.answer(question, {"roots": []})
        assert await peer.next() == result(9, done=True)

    scripted(recording_of(tmp_path / "w", *QUESTION), script)


def test_another_answer_than_the_recorded_one_fails_the_request_with_the_difference(tmp_path: Path) -> None:
    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(9, "x"))
        peer.answer(await peer.expect("roots/list"), {"roots": [{"uri": "file:///x"}]})
        answer = await peer.expect(partial={"id": 9, "error": {"code": -32603}})
        assert "file:///x" in answer["error"]["message"]

    scripted(recording_of(tmp_path / "w", *QUESTION), script)


def test_a_request_whose_answer_was_never_recorded_fails_at_once(tmp_path: Path) -> None:
    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(9, "x"))
        answer = await peer.expect(partial={"id": 9, "error": {}})
        assert "the recording ends before" in answer["error"]["message"]

    scripted(recording_of(tmp_path / "w", (">", request(1, "x"))), script)


def test_a_cancelled_request_stays_without_an_answer(tmp_path: Path) -> None:
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(9, "x"))
        await peer.expect_silence()

    scripted(recording_of(tmp_path / "w", (">", request(1, "x")), (">", cancel)), script)


def test_garbage_of_the_recorded_server_comes_again(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "x")), ("<", b"oops"), ("<", result(1)))

    async def script(peer: ScriptedPeer) -> None:
        peer.say(request(9, "x"))
        assert await peer.next() == b"oops"
        assert await peer.next() == result(9)

    scripted(recording, script)


def test_a_client_sees_the_difference_in_its_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = record(tmp_path / "wire.jsonl", monkeypatch, LEGACY)

    async def main() -> None:
        async with Client(replay_server(recording)) as client:
            await client.call_tool("greet", {"name": "Bob"})

    with pytest.raises(RpcError, match=r'(?s)nearest one differs.*\+  "name": "greet"'):
        asyncio.run(main())


# -- playing a recording against a server --------------------------------------------------------------------------


def play(recording: Recording, target: Any, **options: Any) -> list[str]:
    return [str(difference) for difference in FakeClock().run(replay_client(recording, target, **options))]


def test_the_same_server_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
    recording = record(tmp_path / "wire.jsonl", monkeypatch, revision)
    assert play(recording, make_server()) == []
    assert play(recording, replay_server(recording)) == []


def test_what_a_server_answers_differently_is_told_with_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with ScriptedPeer() as peer:
            await peer.connect(make_server())
            await peer.open(LEGACY)
            peer.say(request(1, "tools/call", name="greet", arguments={"name": "Ada"}))
            await peer.expect(partial={"id": 1})

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCPCORE_WIRE_LOG", str(tmp_path / "wire.jsonl"))
        FakeClock().run(main())
    recording = Recording.load(tmp_path / "wire.jsonl")
    found = play(recording, make_server("goodbye"))
    assert "tools/call #1: result.content[0].text: recorded 'hello Ada', now 'goodbye Ada'" in found
    assert play(recording, make_server("goodbye"), ignore=["text", "structuredContent"]) == []


def with_server(script: Callable[[ScriptedPeer], Awaitable[object]], recording: Recording, **options: Any) -> list[str]:
    """Play the recording against a scripted server."""
    return play(recording, ScriptedPeer(script), **options)


def test_cursors_and_states_that_the_server_makes_up_anew_are_carried_over(tmp_path: Path) -> None:
    recording = recording_of(
        tmp_path / "w",
        (">", request(1, "tools/list")),
        ("<", result(1, tools=[], nextCursor="old")),
        (">", request(2, "tools/list", cursor="old")),
        ("<", result(2, tools=[])),
    )

    async def script(peer: ScriptedPeer) -> None:
        peer.answer(await peer.expect("tools/list"), {"tools": [], "nextCursor": "new"})
        peer.answer(await peer.expect("tools/list", {"params": {"cursor": "new"}}), {"tools": []})

    assert with_server(script, recording) == []


def test_an_answer_that_does_not_come_is_a_difference(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "x")), ("<", result(1)))

    async def script(peer: ScriptedPeer) -> None:
        await peer.expect("x")
        await peer.expect_end(100)

    assert with_server(script, recording, seconds=3) == [
        "x #1: message: recorded '(came)', now 'nothing came within 3 s'"
    ]


def test_a_server_that_hangs_up_is_a_difference(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "x")), ("<", result(1)))

    async def script(peer: ScriptedPeer) -> None:
        await peer.expect("x")
        peer.close()

    assert with_server(script, recording) == [
        "x #1: message: recorded '(came)', now 'the server closed the connection'"
    ]


def test_a_question_that_was_never_recorded_is_refused_and_told(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "x")), ("<", result(1)))

    async def script(peer: ScriptedPeer) -> None:
        call = await peer.expect("x")
        peer.say(request("q", "roots/list"))
        await peer.expect(partial={"id": "q", "error": {"code": -32601}})
        peer.answer(call, {})

    assert with_server(script, recording) == ["roots/list of the server: request: recorded (absent), now {}"]


def test_an_error_in_place_of_a_result_is_told(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "x")), ("<", result(1, a=1)))

    async def script(peer: ScriptedPeer) -> None:
        peer.refuse(await peer.expect("x"), -32603, "broken")

    found = with_server(script, recording)
    assert found[0] == "x #1: result: recorded {'a': 1}, now (absent)"
    assert "broken" in found[1]


def test_a_server_in_a_process_is_played_against_too(tmp_path: Path) -> None:
    recording = recording_of(tmp_path / "w", (">", request(1, "ping")), ("<", result(1)))
    code = 'import sys; sys.stdin.readline(); print(\'{"jsonrpc": "2.0", "id": 1, "result": {}}\', flush=True); '
    code += "sys.stdin.read()"
    found = asyncio.run(replay_client(recording, [sys.executable, "-c", code]))
    assert found == []
