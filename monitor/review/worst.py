"""The segments that are doing worst."""

from __future__ import annotations

import numpy as np

from monitor.evaluate.verdict import Status
from monitor.performance.verdict import Performance
from monitor.segment import parse_key


def worst_segments(one: Performance, grouping: tuple[str, ...]) -> frozenset[str]:
    """Of a grouping the segments that are worse than in the reference, and the least accurate one if there are several to compare."""
    own = [g for g, key in enumerate(one.segments) if parse_key(key)[0] == grouping]
    worst = {one.segments[g] for g in own if one.status[g] == Status.DRIFTED}
    accuracy = [m for m, name in enumerate(one.metrics) if name == "accuracy"]
    if accuracy:
        value = one.value[:, accuracy[0]]
        judged = [g for g in own if one.status[g] != Status.INSUFFICIENT_DATA and np.isfinite(value[g])]
        if len(judged) > 1:
            worst.add(min((float(value[g]), one.segments[g]) for g in judged)[1])
    return frozenset(worst)
