"""The load generator of HTTP against the ceilings and against deliberately wrong servers."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpcore_bench.cores import Cores
from mcpcore_bench.environments import child_environment
from mcpcore_bench.figures import Sample
from mcpcore_bench.http_load import HttpServerUnderTest, free_port
from mcpcore_bench.http_wire import ID, NO_SESSION
from mcpcore_bench.measurements import Bench
from mcpcore_bench.process import OpeningFailed, ServerDied
from mcpcore_bench.procfs import cpu_source
from mcpcore_bench.wire import ECHO, ERAS, Era, Shape, WrongReply, text_is, tools_are
from mcpcore_bench.workloads import Serve

HERE = Path(__file__).parent
CEILINGS = HERE.parent / "mcpcore_bench" / "ceilings"
ECHO_CALL: Shape = ("tools/call", {"name": "echo", "arguments": {"text": ECHO}})
PROGRESS: Shape = ("tools/call", {"name": "echo_progress", "arguments": {"text": ECHO}, "_meta": {"progressToken": ID}})


@contextlib.contextmanager
def server(*command: str, silence_seconds: float = 20.0) -> Iterator[HttpServerUnderTest]:
    _, cpu_ns = cpu_source()
    port = free_port()
    env = {**child_environment(), "PYTHONPATH": str(HERE.parent)}
    with HttpServerUnderTest(
        [sys.executable, *command, f"--port={port}"],
        port,
        env=env,
        cores=Cores(None, None),
        cpu_ns=cpu_ns,
        silence_seconds=silence_seconds,
    ) as found:
        yield found


def ceiling(name: str, *options: str) -> contextlib.AbstractContextManager[HttpServerUnderTest]:
    parser = name.removeprefix("http_").removesuffix(".py")
    if parser in ("h11", "httptools") and importlib.util.find_spec(parser) is None:
        pytest.skip(f"{parser} is not installed here")
    return server(str(CEILINGS / name), *options)


def measure(fault: str, connections: int, shape: Shape = ECHO_CALL, silence_seconds: float = 20.0) -> Sample:
    answer = "json" if shape is ECHO_CALL else "sse"
    with server(str(HERE / "wrong_http_server.py"), fault, silence_seconds=silence_seconds) as wrong:
        wrong.open("legacy")
        return wrong.measure(
            shape, text_is(ECHO), answer=answer, connections=connections, seconds=0.01, warm_seconds=0.01
        )


@pytest.mark.parametrize("shape", [ECHO_CALL, PROGRESS])
@pytest.mark.parametrize("connections", [1, 4])
def test_a_right_server_gets_figures(connections: int, shape: Shape) -> None:
    figures = measure("nothing", connections, shape)
    assert figures["cpu_us"] > 0 and figures["per_second"] > 0
    assert ("median_us" in figures) == (connections == 1)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("wrong content", "the text differs"),
        ("another id", "answered twice or never asked"),
        ("an id as text", "not a reply"),
        ("an error", "an error instead of a result"),
        ("status 500", "status 500"),
        ("another type", "text/plain"),
        ("SSE for JSON", "answered with text/event-stream, not application/json"),
        ("not JSON", "not JSON"),
        ("no length", "neither Content-Length nor chunks"),
        ("a bad length", "not HTTP"),
        ("two replies", "more replies than|answered twice or never asked"),
        ("HTTP/1.0", "not HTTP/1.1"),
        ("closes", "closed"),
    ],
)
def test_a_wrong_reply_is_caught(fault: str, complaint: str, connections: int) -> None:
    with pytest.raises(WrongReply, match=complaint):
        measure(fault, connections)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("no progress", "0 messages before the result"),
        ("two progress", "2 messages before the result"),
        ("another token", "not its progress"),
        ("JSON for SSE", "answered with application/json, not text/event-stream"),
    ],
)
def test_a_wrong_event_stream_is_caught(fault: str, complaint: str) -> None:
    with pytest.raises(WrongReply, match=complaint):
        measure(fault, 4, PROGRESS)


def test_the_error_of_a_server_that_dies_shows_its_stderr() -> None:
    with pytest.raises(ServerDied, match="the reason stands in its stderr"):
        measure("dies", 4)


def test_a_server_that_falls_silent_is_killed_and_named() -> None:
    with pytest.raises(ServerDied, match=r"did not finish within 1.0 s and was killed"):
        measure("falls silent", 4, silence_seconds=1.0)


def test_a_server_that_never_listens_is_told_apart_from_a_wrong_one() -> None:
    command = ("-c", "raise SystemExit('no such module')")
    with server(*command) as broken, pytest.raises(OpeningFailed, match="no such module"):
        broken.open("modern")


@pytest.mark.parametrize("name", ["http_hand.py", "http_h11.py", "http_httptools.py"])
def test_every_ceiling_answers_all_that_is_measured_in_one_process(name: str) -> None:
    with ceiling(name, "--tools=7") as found:
        for era in ("legacy", NO_SESSION, "modern"):
            found.open(era)
            assert bool(found.talk.session) == (era == "legacy")
            for connections in (1, 3):
                found._keep(connections)
                found.checked(ECHO_CALL, text_is(ECHO), "json", 10)
                found.checked(PROGRESS, text_is(ECHO), "sse", 10)
                found.checked(("tools/list", {}), tools_are(7), "json", 10)


@pytest.mark.parametrize("name", ["http_hand.py", "http_h11.py", "http_httptools.py"])
def test_a_ceiling_knows_its_sessions(name: str) -> None:
    with ceiling(name) as found:
        found.open("legacy")
        found._keep(1)
        found.talk = type(found.talk)(found.port, "legacy", "2025-11-25", session="0" * 32)
        with pytest.raises(WrongReply, match="status 404"):
            found.checked(ECHO_CALL, text_is(ECHO), "json", 1)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("name", ["http_client_hand.py", "http_client_h11.py"])
def test_every_ceiling_of_clients_calls_the_ceiling_of_servers(name: str, era: Era) -> None:
    from mcpcore_bench.implementations import Implementation

    if "h11" in name and importlib.util.find_spec("h11") is None:
        pytest.skip("h11 is not installed here")
    _, cpu_ns = cpu_source()
    env = {**child_environment(), "PYTHONPATH": str(HERE.parent)}
    hand = Implementation("ceiling", "ceiling", server=(sys.executable, str(CEILINGS / "http_hand.py")), env=env)
    client = Implementation("ceiling", "client", client=(sys.executable, str(CEILINGS / name)), env=env)
    sample = Bench(Cores(None, None), cpu_ns, 0.01, 0.01).http_client(client, hand, era, 8)
    assert sample["cpu_us"] > 0


def test_a_way_of_serving_is_told_on_the_command_line() -> None:
    assert Serve("sse", 500, sessions=False).options(80) == [
        "--port=80",
        "--tools=500",
        "--answer=sse",
        "--sessions=no",
    ]
