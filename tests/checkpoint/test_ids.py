"""Runs of ids: what waits in memory to be merged is bounded, and what comes back is what went in."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.checkpoint.ids import IdRuns
from monitor.duplicates import SeenIds


@pytest.mark.parametrize(("rows", "most"), [(10, 1 << 20), (5_000, 200_000), (50_000, 200_000)])
def test_what_waits_to_be_merged_is_bounded_and_nothing_is_lost(rows: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.checkpoint.ids._MERGE_BYTES", most)
    seen, runs, disk = SeenIds(horizon=100, max_ids=10_000_000), IdRuns("ids/"), {}
    rng = np.random.default_rng(1)
    batches = [rng.integers(1, 2**63, (rows, 2)).astype(np.uint64) for _ in range(40)]
    ticks = np.full(rows, 7, np.int32)
    for ids in batches:
        assert not seen.repeats(ids, ticks, ticks, 0).any()
        runs.take(seen, alive_from=0)
        disk |= runs.new_blobs(disk)
        runs.committed()
        assert sum(map(len, runs.recent.values())) < most and len(runs.recent) < 16 and not runs.unwritten
    again = SeenIds(horizon=100, max_ids=10_000_000)
    IdRuns("ids/").restore(sorted(runs.names()), disk, again)
    assert all(again.repeats(ids, ticks, ticks, 0).all() for ids in batches)
    assert again.count == seen.count == 40 * rows
