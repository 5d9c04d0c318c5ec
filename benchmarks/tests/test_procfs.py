"""What is read from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mcpcore_bench.procfs import (
    CPU_SOURCES,
    cpu_source,
    parse_schedstat,
    parse_stat,
    parse_status_kib,
    peak_memory_kib,
)

BUSY_THREAD = """
import threading, time
def work():
    end = time.thread_time() + 0.2
    while time.thread_time() < end: pass
thread = threading.Thread(target=work); thread.start(); thread.join()
print("done", flush=True); input()
"""


def test_schedstat_gives_the_time_on_a_processor() -> None:
    assert parse_schedstat("320041965 20373789 79\n") == 320041965


@pytest.mark.parametrize("text", ["", "12 13", "a b c", "-1 2 3", "1 2 3 4"])
def test_other_text_is_no_schedstat(text: str) -> None:
    with pytest.raises(ValueError, match="schedstat"):
        parse_schedstat(text)


def test_stat_survives_brackets_and_blanks_in_the_name_of_the_command() -> None:
    text = "42 (a) b (c) R 1 42 42 0 -1 4194304 100 0 0 0 31 4 0 0 20 0 1 0 12345 0 0"
    assert parse_stat(text, 100) == 350_000_000


@pytest.mark.parametrize("text", ["", "42 (a) R 1 2", "no brackets at all"])
def test_other_text_is_no_stat(text: str) -> None:
    with pytest.raises(ValueError, match="stat file"):
        parse_stat(text, 100)


def test_peak_memory_is_read_from_the_status() -> None:
    assert parse_status_kib("Name:\tpython\nVmPeak:\t   20 kB\nVmHWM:\t   13544 kB\n", "VmHWM") == 13544
    with pytest.raises(ValueError, match="no VmHWM"):
        parse_status_kib("Name:\tpython\n", "VmHWM")
    assert peak_memory_kib(os.getpid()) > 1024


def test_the_source_in_use_counts_threads_that_have_already_ended() -> None:
    name, cpu_ns = cpu_source()
    if name != "process clock":
        pytest.skip(f"only the process clock promises this; here it is {name}")
    with subprocess.Popen([sys.executable, "-c", BUSY_THREAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        assert cpu_ns(child.pid) >= 200_000_000
        child.kill()


def test_a_source_that_stands_still_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError

    real = CPU_SOURCES["process clock"]
    for name, read in {"process clock": refuse, "schedstat": lambda pid: 0, "stat": real}.items():
        monkeypatch.setitem(CPU_SOURCES, name, read)
    assert cpu_source() == ("stat", real)
    monkeypatch.setitem(CPU_SOURCES, "stat", refuse)
    with pytest.raises(OSError, match="no source of processor time"):
        cpu_source()
