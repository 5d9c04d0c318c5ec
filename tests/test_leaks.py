"""The nets of tests/conftest.py hold: leaks of every kind, made on purpose in a run of its own, are reported there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

LEAKY = """
import asyncio, os, socket, subprocess, sys

kept = []

def test_destroyed_task():
    async def wait():
        await asyncio.get_running_loop().create_future()

    loop = asyncio.new_event_loop()
    loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

def test_lost_exception():
    async def fail():
        raise ValueError

    async def start():
        asyncio.create_task(fail())
        await asyncio.sleep(0)

    asyncio.run(start())

def test_forgotten_await():
    asyncio.sleep(0)

def test_open_socket():
    socket.socket()

def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_descriptors():
    kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(20))
"""

REPORTS = {
    "ERROR test_leak.py::test_destroyed_task": "Task was destroyed but it is pending",
    "ERROR test_leak.py::test_lost_exception": "Task exception was never retrieved",
    "FAILED test_leak.py::test_forgotten_await": "was never awaited",
    "FAILED test_leak.py::test_open_socket": "unclosed <socket.socket",
}
AT_THE_END = ("processes left behind by the tests: ", " descriptors became ")  # the whole run answers for these


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("leaks")
    shutil.copy(HERE / "conftest.py", place)
    (place / "test_leak.py").write_text(LEAKY, encoding="utf-8")
    config = ["-c", str(HERE.parent / "pyproject.toml"), "--rootdir", str(place)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *config, "test_leak.py"],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("test", REPORTS)
def test_a_leak_fails_the_test_that_made_it(test: str, output: str) -> None:
    assert test in output
    assert REPORTS[test] in output


@pytest.mark.skipif(sys.platform != "linux", reason="counted through /proc")
@pytest.mark.parametrize("report", AT_THE_END)
def test_what_stays_open_fails_the_run(report: str, output: str) -> None:
    assert report in output
