"""What a comparison has found so far: samples by workload, era and implementation, and the reasons for missing ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcpcore_bench.figures import Sample, spread, summary

__all__ = ["NO_ERA", "Key", "Results"]

NO_ERA = "-"
"""The era of a workload that speaks no protocol."""

Key = tuple[str, str, str]
"""Workload key, era, implementation label."""


@dataclass
class Results:
    """``notes`` are words that belong into a row besides its figures, for example which modules were found."""

    samples: dict[Key, list[Sample]] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)
    notes: dict[Key, str] = field(default_factory=dict)

    def add(self, key: Key, sample: Sample) -> None:
        """One round's figures. They are dropped where another round of the same key has gone wrong."""
        if key not in self.reasons:
            self.samples.setdefault(key, []).append(sample)

    def fail(self, key: Key, reason: str) -> None:
        """From now on the key has no figures, only this reason: half a success is none."""
        self.reasons.setdefault(key, reason)
        self.samples.pop(key, None)

    def failed(self, key: Key) -> bool:
        return key in self.reasons

    def figures(self, key: Key) -> dict[str, float]:
        """The medians over the rounds, or an empty dict."""
        return summary(self.samples.get(key, ()))

    def figure(self, key: Key, name: str) -> float | None:
        return self.figures(key).get(name)

    def spread(self, key: Key, name: str) -> float | None:
        """Half the distance between the extreme rounds as a share of the median; None with fewer than two rounds."""
        values = [sample[name] for sample in self.samples.get(key, ()) if name in sample]
        return spread(values) if len(values) > 1 else None

    def to_json(self) -> list[dict[str, Any]]:
        keys = {**self.samples, **self.reasons, **self.notes}
        return [
            {
                "workload": key[0],
                "era": key[1],
                "implementation": key[2],
                "rounds": [dict(sample) for sample in self.samples.get(key, ())],
                "median": self.figures(key),
                "reason": self.reasons.get(key),
                "note": self.notes.get(key),
            }
            for key in keys
        ]
