"""The statistics."""

from __future__ import annotations

import math

import pytest

from mcpcore_bench.figures import latency_figures, median, percentile, ratio, spread, summary


def test_a_percentile_is_always_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0, 0.5, 0.95, 0.99, 1)] == [1, 50, 95, 99, 100]
    assert percentile([3.0], 0.95) == 3.0


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_a_percentile_of_nothing_is_an_error(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_the_median_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="the median of nothing"):
        median([])


def test_the_spread_is_half_the_range_over_the_median() -> None:
    assert spread([9.0, 10.0, 12.0]) == pytest.approx(0.15)
    assert spread([0.0, 0.0]) == math.inf


def test_one_outlier_among_the_rounds_does_not_move_the_summary() -> None:
    rounds = [{"cpu_us": 4.0}, {"cpu_us": 90.0}, {"cpu_us": 5.0}]
    assert summary(rounds) == {"cpu_us": 5.0}


def test_a_figure_that_some_round_lacks_is_not_summarised() -> None:
    assert summary([{"cpu_us": 4.0, "p99_us": 9.0}, {"cpu_us": 6.0}]) == {"cpu_us": 5.0}
    assert summary([]) == {}


def test_a_ratio_without_both_sides_is_absent() -> None:
    assert ratio(1.0, 4.0) == 0.25
    assert ratio(None, 4.0) is None and ratio(1.0, None) is None and ratio(1.0, 0.0) is None


def test_latencies_come_out_in_microseconds() -> None:
    figures = latency_figures([number * 1000 for number in range(1, 101)])
    assert figures == {"median_us": 50.5, "p95_us": 95.0, "p99_us": 99.0}
