"""What holds for every test: leaks are failures. No fixture for the tests' use lives here.

Each test answers for what asyncio reports through its logger (a task destroyed while pending, an exception nobody
retrieved); the whole run answers for processes and descriptors left open. Unraisable exceptions, unclosed resources and
coroutines never awaited are warnings, and `filterwarnings = error` makes those failures.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

DESCRIPTOR_SLACK = 4  # pytest's own capture files and a lazily opened random device or example database come and go

if "CI" not in os.environ:  # there, hypothesis itself chooses a profile without deadline and with fixed seeds
    # A deadline measures the neighbours on a busy machine; the time limit per test stays.
    settings.register_profile("mcpcore", deadline=None)
    settings.load_profile("mcpcore")


class _Reports(logging.Handler):
    """Collects what asyncio logs as an error: with nobody listening it would scroll by."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(logging.Formatter().format(record))


@pytest.fixture(autouse=True)
def asyncio_reports_nothing() -> Iterator[None]:
    reports = _Reports()
    logger = logging.getLogger("asyncio")
    logger.addHandler(reports)
    try:
        yield
        gc.collect(1)  # a lost task speaks when it is collected; a full collection per test would add up to minutes
    finally:
        logger.removeHandler(reports)
    if reports.found:
        pytest.fail("asyncio reported:\n" + "\n".join(reports.found), pytrace=False)


@pytest.fixture(autouse=True, scope="session")
def nothing_stays_open() -> Iterator[None]:
    before = _descriptors()
    yield
    gc.collect()
    complaints = [f"processes left behind by the tests: {', '.join(children)}"] if (children := _children()) else []
    after = _descriptors()
    if len(after) > len(before) + DESCRIPTOR_SLACK:
        new = [f"{number} -> {target}" for number, target in sorted(after.items()) if before.get(number) != target]
        complaints.append(f"{len(before)} descriptors became {len(after)}; new: {', '.join(new)}")
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _children() -> list[str]:
    """The direct children of this process, zombies included, as `pid command`; none where the kernel does not tell."""
    if sys.platform != "linux":
        return []
    pids: list[str] = []
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            pids += listing.read_text().split()
        except OSError:  # the thread ended between the two looks
            continue
    return [f"{pid} {_command(pid)}" for pid in pids]


def _command(pid: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace").strip() or "(zombie)"
    except OSError:
        return "(gone)"


def _descriptors() -> dict[int, str]:
    """Open descriptors and what they lead to; empty where there is no /proc."""
    found: dict[int, str] = {}
    if sys.platform == "linux":
        for name in os.listdir("/proc/self/fd"):
            try:
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
            except OSError:  # the one that was open for this listing
                continue
    return found
