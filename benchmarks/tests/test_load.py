"""The load generator against right and deliberately wrong servers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcpcore_bench.cores import Cores
from mcpcore_bench.environments import child_environment
from mcpcore_bench.figures import Sample
from mcpcore_bench.load import ServerUnderTest
from mcpcore_bench.process import OpeningFailed, ServerDied
from mcpcore_bench.procfs import cpu_source
from mcpcore_bench.wire import BIG, ECHO, ERAS, Era, WrongReply, is_tool_list, text_is

HERE = Path(__file__).parent
CEILING = [sys.executable, str(HERE.parent / "mcpcore_bench" / "ceilings" / "ceiling_server.py")]
ECHO_CALL = ("tools/call", {"name": "echo", "arguments": {"text": ECHO}})


def server(command: list[str], era: Era = "legacy", silence_seconds: float = 20.0) -> ServerUnderTest:
    _, cpu_ns = cpu_source()
    return ServerUnderTest(
        command,
        era,
        env=child_environment(),
        cores=Cores(None, None),
        cpu_ns=cpu_ns,
        silence_seconds=silence_seconds,
    )


def measure(fault: str, window: int, silence_seconds: float = 20.0) -> Sample:
    with server([sys.executable, str(HERE / "wrong_server.py"), fault], silence_seconds=silence_seconds) as wrong:
        wrong.open()
        return wrong.measure(ECHO_CALL, text_is(ECHO), window=window, seconds=0.01, warm_seconds=0.01)


@pytest.mark.parametrize("window", [1, 8])
def test_a_right_server_gets_figures(window: int) -> None:
    figures = measure("nothing", window)
    assert figures["cpu_us"] > 0 and figures["per_second"] > 0
    assert ("median_us" in figures) == (window == 1)


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("answers twice", "answered twice or never asked"),
        ("wrong content", "the text differs"),
        ("answers with a string id", "not a reply"),
        ("answers another id", "answered twice or never asked"),
        ("is an error", "an error instead of a result"),
        ("speaks unasked", "not a reply"),
        ("is not JSON", "not JSON"),
    ],
)
def test_a_wrong_reply_is_caught(fault: str, complaint: str, window: int) -> None:
    with pytest.raises(WrongReply, match=complaint):
        measure(fault, window)


@pytest.mark.parametrize("window", [1, 8])
def test_a_dropped_id_is_named_once_the_server_is_silent(window: int) -> None:
    with pytest.raises(ServerDied, match=r"no reply to \d+ requests, the first of them id 40"):
        measure("drops an id", window, silence_seconds=1.0)


def test_a_server_that_falls_silent_is_killed_and_named() -> None:
    with pytest.raises(ServerDied, match=r"did not finish within 1.0 s and was killed"):
        measure("falls silent", 8, silence_seconds=1.0)


def test_the_error_of_a_server_that_dies_shows_its_stderr() -> None:
    with pytest.raises(ServerDied, match="the reason stands in its stderr"):
        measure("dies", 8)


def test_a_server_that_cannot_open_is_told_apart_from_a_wrong_one() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such module')"]
    with server(command) as broken, pytest.raises(OpeningFailed, match="no such module"):
        broken.open()


@pytest.mark.parametrize("era", ERAS)
def test_the_ceiling_answers_everything_that_is_measured(era: Era) -> None:
    with server(CEILING, era) as ceiling:
        ceiling.open()
        ceiling.ask(ECHO_CALL, text_is(ECHO))
        ceiling.ask(("tools/list", {}), is_tool_list)
        assert len(BIG.encode()) == 65536
        ceiling.ask(("tools/call", {"name": "big", "arguments": {}}), text_is(BIG))


def test_the_ceiling_refuses_what_it_does_not_know() -> None:
    for shape, code in ((("prompts/list", {}), -32601), (("tools/call", {"name": "none"}), -32602)):
        with server(CEILING) as ceiling:
            ceiling.open()
            with pytest.raises(WrongReply, match=f"error.*{code}"):
                ceiling.ask(shape)


@pytest.mark.parametrize("era", ERAS)
def test_the_first_answer_is_timed_from_the_spawn(era: Era) -> None:
    with server(CEILING, era) as ceiling:
        assert ceiling.first_answer(ECHO_CALL, text_is(ECHO)) > 1_000_000


def test_a_window_larger_than_the_pipe_is_refused_before_it_can_block() -> None:
    with server(CEILING) as ceiling:
        ceiling.open()
        with pytest.raises(ValueError, match="do not fit into a pipe"):
            ceiling.run(("tools/call", {"name": "echo", "arguments": {"text": "x" * 4096}}), range(64), window=64)
