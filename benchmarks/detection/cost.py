"""What a stream costs: microseconds of CPU per stream and evidence pane, and the doubles of its state."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.detection.arrange import PRODUCTION_MS, arranged
from benchmarks.detection.scenario import SETTINGS
from monitor.detect.watch import Watch

PANE_MS = 10_000
PANES = 300
ROWS = 1_000  # of a pane: every segment has some


def measure() -> dict[str, float]:
    """CPU of whole panes, with their history and the look at every threshold, over the streams of values and faults that they move."""
    world, _, reference = arranged(1)
    watch = Watch.of(reference, SETTINGS)
    rng = np.random.default_rng(1)
    order = [int(leaf.split("=s")[1]) for leaf in watch.bank.leaves.leaves]
    shares = [p[order] / p[order].sum(axis=1, keepdims=True) for p in world.cell_shares(reference.layout)]
    panes = []
    for _ in range(PANES):
        by_leaf = rng.multinomial(ROWS, world.shares[order])
        panes.append(np.concatenate([rng.multinomial(by_leaf, p) for p in shares], axis=1))
    streams = sum(group.sampling.shape[0] * group.sampling.shape[1] for group in watch.bank.groups)
    started = time.process_time()
    for place, counts in enumerate(panes):
        start_ms = PRODUCTION_MS + place * PANE_MS
        watch.counted(start_ms, start_ms + PANE_MS, [(0, counts)])
    spent = time.process_time() - started
    return {
        "detector_us_per_stream_pane": round(spent / PANES / streams * 1e6, 2),
        "detector_streams": streams,
        "detector_doubles_per_stream": watch.bank.doubles_per_stream,
    }
