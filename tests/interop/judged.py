"""What our side put on the pipe, frame by frame, before the judge: read from the wire log of a run."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.schema_judge import Judge, Side

__all__ = ["Wire", "judged"]


class Wire(NamedTuple):
    """``frames`` counts ours; ``violations`` are those of our side alone: peers have their own faults."""

    frames: int
    violations: list[str]


def judged(log: Path, ours: Side) -> Wire:
    """One judge for each connection that the log holds."""
    theirs: Side = "server" if ours == "client" else "client"
    judges: defaultdict[tuple[int, int], Judge] = defaultdict(Judge)
    frames = 0
    for line in log.read_text().split("\n")[:-1]:  # not splitlines: what people write may hold U+2028
        record = json.loads(line)
        mine = record["dir"] == "out"
        frames += mine
        judges[record["pid"], record["conn"]].frame(ours if mine else theirs, json.dumps(record["frame"]).encode())
    found = [violation for judge in judges.values() for violation in judge.violations]
    return Wire(frames, [violation for violation in found if violation.startswith(f"{ours}:")])
