"""Limits that could not be kept are refused where they are given."""

from __future__ import annotations

import pytest

from mcpcore import Limits, UsageError


@pytest.mark.parametrize("name", Limits.__struct_fields__)
@pytest.mark.parametrize("wrong", [-1, float("nan")])
def test_a_limit_below_zero_is_refused_by_its_name(name: str, wrong: float) -> None:
    with pytest.raises(UsageError, match=name):
        Limits(**{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["threads", "turn_messages", "max_in_flight", "max_message_bytes"])
def test_a_zero_with_which_nothing_would_be_served_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}=0\): at least 1"):
        Limits(**{name: 0})


def test_a_zero_that_says_do_not_wait_is_a_limit() -> None:
    limits = Limits(drain_seconds=0, turn_seconds=0, max_listen_streams=0, waiting_threads=0)
    assert limits.drain_seconds == 0
