"""Newline framing: whole, byte by byte and mangled, in linear time and bounded memory."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from mcpcore.jsonrpc.lines import LineFramer, Oversized


def fed(data: bytes, cuts: list[int], limit: int = 1 << 20) -> list[bytes | Oversized]:
    framer = LineFramer(limit)
    lines: list[bytes | Oversized] = []
    start = 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        lines += framer.feed(data[start:cut])
        start = cut
    return lines + framer.finish()


@given(st.binary(), st.lists(st.integers(0, 200)))
def test_the_cut_does_not_matter(data: bytes, cuts: list[int]) -> None:
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert fed(data, cuts) == expected
    assert fed(data, list(range(len(data)))) == expected


def test_only_the_newline_separates() -> None:
    text = "a\u2028b\u2029c\u0085d\re\x0bf\x0cg"
    assert fed(f"{text}\nnext\n".encode(), []) == [text.encode(), b"next"]


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.lists(st.integers(0, 400)))
def test_a_long_line_is_dropped_and_the_others_arrive(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    found = fed(data, cuts, limit=10)
    assert [type(line) is Oversized for line in found] == [len(line) > 10 for line in lines]
    assert [line for line in found if type(line) is bytes] == [line for line in lines if len(line) <= 10]


def test_an_endless_line_is_told_once_and_costs_no_memory() -> None:
    framer = LineFramer(1000)
    told = [line for _ in range(1000) for line in framer.feed(b"x" * 500)]
    assert len(told) == 1
    assert isinstance(told[0], Oversized)
    assert len(told[0].head) <= 512
    assert sum(len(part) for part in framer._parts) == 0
    assert framer.feed(b"tail\nnext\n") == [b"next"]


def test_the_cost_of_a_long_line_is_linear() -> None:
    def cost(size: int) -> float:
        framer = LineFramer(1 << 30)
        began = time.process_time()
        for _ in range(size):
            framer.feed(b"x" * 100)
        framer.feed(b"\n")
        return time.process_time() - began

    cost(1000)
    assert min(cost(80_000) for _ in range(3)) < 40 * max(min(cost(8_000) for _ in range(3)), 1e-4)
