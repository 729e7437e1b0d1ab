"""Runs of ids: what waits in memory to be merged is bounded, and what comes back is what went in."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from monitor.checkpoint.ids import IdRuns, SavedRuns
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
    IdRuns("ids/").restore(runs.saved(), disk, again, alive_from=0)
    assert all(again.repeats(ids, ticks, ticks, 0).all() for ids in batches)
    assert again.count == seen.count == 40 * rows


@pytest.mark.parametrize("seed", range(8))
def test_what_was_forgotten_for_want_of_room_stays_forgotten_over_restarts(seed: int) -> None:
    """Ids in any order of time, some again; a set that is restarted at every commit holds what one does that never was."""
    rng = np.random.default_rng(seed)
    seen, kept, runs, disk = SeenIds(50, 1_000), SeenIds(50, 1_000), IdRuns("ids/"), {}
    for _ in range(60):
        for _ in range(rng.integers(1, 4)):
            rows = int(rng.integers(1, 250))
            ids = np.column_stack([rng.integers(0, 4_000, rows), np.full(rows, 9)]).astype(np.uint64)
            ticks = rng.integers(100, 130, rows).astype(np.int32)
            newest = np.maximum.accumulate(ticks)
            assert (seen.repeats(ids, ticks, newest, 0) == kept.repeats(ids, ticks, newest, 0)).all()
        runs.take(seen, alive_from=0)
        disk |= runs.new_blobs(disk)
        disk = {name: run for name, run in disk.items() if name in runs.names()}
        saved = msgspec.json.decode(msgspec.json.encode(runs.saved()), type=SavedRuns)
        evicted, seen, runs = seen.evicted, SeenIds(50, 1_000), IdRuns("ids/")
        runs.restore(saved, disk, seen, alive_from=0)
        assert (seen.count, seen.evicted) == (kept.count, 0)
        seen.evicted = evicted
        assert held(seen) == held(kept)
    assert seen.evicted == kept.evicted > 1_000


def test_a_smaller_bound_is_kept_after_the_restart() -> None:
    seen, runs = SeenIds(50, 20_000), IdRuns("ids/")
    ids = np.random.default_rng(0).integers(1, 2**63, (15_000, 2)).astype(np.uint64)
    ticks = np.repeat(np.arange(30, dtype=np.int32), 500)
    seen.repeats(ids, ticks, ticks, 0)
    runs.take(seen, alive_from=0)
    again = SeenIds(50, 1_000)
    IdRuns("ids/").restore(runs.saved(), runs.new_blobs(()), again, alive_from=0)
    assert again.repeats(ids[-10:], ticks[-10:], ticks[-10:], 0).all(), "the newest are the last to be forgotten"
    assert again.count <= 1_000


def held(seen: SeenIds) -> set[tuple[int, int, int]]:
    taken = seen.low > 0
    return set(zip(seen.low[taken].tolist(), seen.high[taken].tolist(), seen.ticks[taken].tolist(), strict=True))
