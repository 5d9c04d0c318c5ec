"""Which single-use states are spent, among processes: as within one, whoever spends them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpcore.server.sealing import SpentFull

if sys.platform == "win32":
    pytest.skip("there are no such processes", allow_module_level=True)

from mcpcore.server.shared_spent import SharedSpent


@contextmanager
def shared(limit: int) -> Iterator[SharedSpent]:
    spent = SharedSpent(limit)
    try:
        yield spent
    finally:
        spent.close()


def in_a_child(act: Callable[[], bool]) -> bool:
    """What it gives in a process that is forked for it."""
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            code = int(act())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return bool(code)


def test_what_one_process_has_spent_is_spent_for_the_others() -> None:
    with shared(10) as spent:
        assert in_a_child(lambda: spent.spend("a", 10.0, 0.0))
        assert not in_a_child(lambda: spent.spend("a", 10.0, 1.0))
        assert not spent.spend("a", 10.0, 1.0)
        assert spent.spend("b", 10.0, 1.0)
        assert not in_a_child(lambda: spent.spend("b", 10.0, 2.0))


def test_of_many_processes_that_spend_the_same_states_each_succeeds_for_one() -> None:
    with shared(1000) as spent:
        read, write = os.pipe()
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                try:
                    count = sum(spent.spend(f"state {number}", 10.0, 0.0) for number in range(300))
                    os.write(write, b"%4d" % count)
                finally:
                    os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        counts = [int(os.read(read, 4)) for _ in children]
        os.close(read)
        os.close(write)
        assert sum(counts) == 300, counts


def test_a_process_that_is_killed_inside_leaves_the_lock_behind_for_nobody() -> None:
    with shared(10) as spent:
        pid = os.fork()
        if pid == 0:
            with spent._locked():
                os.kill(os.getpid(), 9)
        os.waitpid(pid, 0)
        assert spent.spend("a", 10.0, 0.0)


def test_an_expired_state_cannot_be_spent() -> None:
    with shared(10) as spent:
        assert not spent.spend("a", 10.0, 10.0)
        assert len(spent) == 0


def test_a_full_memory_refuses_the_next_state_and_forgets_none() -> None:
    with shared(4) as spent:
        tags = iter("abcdefghij")
        taken = []
        with pytest.raises(SpentFull, match=r"Limits\.spent_states"):
            for tag in tags:
                taken.append(tag)
                spent.spend(tag, 10.0 if tag == "a" else 20.0, 0.0)
        refused = taken.pop()
        assert 4 <= len(taken) <= 6
        assert not any(spent.spend(tag, 20.0, 1.0) for tag in taken)
        with pytest.raises(SpentFull):
            spent.spend(refused, 20.0, 9.0)
        assert spent.spend(refused, 40.0, 21.0)


def test_no_state_at_all_may_be_remembered() -> None:
    with shared(0) as spent, pytest.raises(SpentFull):
        spent.spend("a", 10.0, 0.0)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(1, 9), st.integers(0, 4)), max_size=60),
)
def test_no_live_tag_is_ever_spent_twice(limit: int, steps: list[tuple[str, int, int]]) -> None:
    with shared(limit) as spent:
        now, live = 0.0, {"": 0.0}
        for tag, lifetime, pause in steps:
            now += pause
            live = {name: until for name, until in live.items() if until > now}
            try:
                fresh = spent.spend(tag, now + lifetime, now)
            except SpentFull:
                assert tag not in live and len(live) >= limit
                continue
            assert fresh == (tag not in live)
            live.setdefault(tag, now + lifetime)
            assert len(live) <= max(1, 3 * limit // 2)
