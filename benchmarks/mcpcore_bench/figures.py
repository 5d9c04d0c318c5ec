"""Statistics: medians, percentiles, spreads and ratios. Nothing is measured or printed here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Sample", "latency_figures", "median", "percentile", "ratio", "spread", "summary"]

Sample = Mapping[str, float]
"""What one round measured: figure name -> value."""


def median(values: Iterable[float]) -> float:
    """The median. Raises :class:`ValueError` for no values."""
    numbers = list(values)
    if not numbers:
        raise ValueError("the median of nothing")
    return statistics.median(numbers)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed: always one that was measured."""
    if not values or not 0 <= share <= 1:
        raise ValueError(f"the percentile {share} of {len(values)} values")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def spread(values: Iterable[float]) -> float:
    """Half the distance between the extremes, as a share of the median: 0.05 reads "within five percent or so"."""
    numbers = list(values)
    middle = median(numbers)
    return (max(numbers) - min(numbers)) / 2 / middle if middle else math.inf


def ratio(part: float | None, whole: float | None) -> float | None:
    """``part / whole``, or None where either is absent or there is nothing to divide by."""
    return None if part is None or not whole else part / whole


def summary(rounds: Sequence[Sample]) -> dict[str, float]:
    """The median over the rounds of every figure that all of them have. An empty dict for no rounds."""
    if not rounds:
        return {}
    common = set(rounds[0]).intersection(*rounds)
    return {name: median(sample[name] for sample in rounds) for name in rounds[0] if name in common}


def latency_figures(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Median, 95th and 99th percentile in microseconds of single latencies in nanoseconds."""
    ranked = sorted(nanoseconds)
    return {
        "median_us": median(ranked) / 1000,
        "p95_us": percentile(ranked, 0.95) / 1000,
        "p99_us": percentile(ranked, 0.99) / 1000,
    }
