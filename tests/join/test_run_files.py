"""Runs on a real store: killed at any step, damaged, out of space; what was committed is there again, and nothing else."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from monitor.checkpoint.store import Store
from monitor.errors import StateError
from monitor.join.runs import Runs
from monitor.join.sizes import Sizes
from tests import forked
from tests.checkpoint.test_store import COMMITTED_FROM, STEPS
from tests.join import committing


def reopened(directory: Path) -> tuple[Runs, int, tuple[str, ...]]:
    """The runs of the newest usable epoch, its number of batches, and what was passed over."""
    store = Store(directory, 2)
    opened = store.open()
    store.close()
    runs = committing.new_runs(directory)
    if opened.manifest is None:
        return runs, 0, opened.passed_over
    runs.restore(opened.manifest.values["runs"], opened.blobs)
    return runs, opened.manifest.values["batches"], opened.passed_over


def assert_holds(runs: Runs, batches: int) -> None:
    """Exactly the rows of the first batches."""
    assert runs.rows() == batches * committing.ROWS
    for number in range(batches + 2):
        hashes, times, rows = committing.batch(number)
        found = runs.find(hashes)
        if number < batches:
            assert found.which.tolist() == list(range(committing.ROWS))
            assert found.time_ms.tolist() == times.tolist()
            assert found.rows.tobytes() == rows.tobytes()
        else:
            assert not len(found.which)


@pytest.mark.parametrize("step", (*STEPS, "after flush"))
@pytest.mark.parametrize("at_commit", [1, 6, 7])
def test_a_kill_at_any_step_leaves_the_rows_of_a_whole_commit(tmp_path, step, at_commit):
    done = forked.run(committing.commit_batches, tmp_path, 9, step, at_commit)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    runs, batches, passed_over = reopened(tmp_path)
    committed = step in STEPS and STEPS.index(step) >= STEPS.index(COMMITTED_FROM)
    assert batches == (at_commit if committed else at_commit - 1)
    assert not passed_over
    assert_holds(runs, batches)
    committing.commit_batches(tmp_path, 9)
    runs, batches, _ = reopened(tmp_path)
    assert_holds(runs, 9)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_run_file_costs_the_epochs_that_name_it(tmp_path, damage):
    committing.commit_batches(tmp_path, 7)
    victim = max(tmp_path.glob("*.rows"))
    if damage == "remove":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 16
        victim.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    runs, batches, passed_over = reopened(tmp_path)
    assert batches == 6
    assert victim.name in passed_over[0]
    assert_holds(runs, 6)
    # It goes on from there, under names that no epoch knows.
    committing.commit_batches(tmp_path, 9)
    assert_holds(reopened(tmp_path)[0], 9)


def test_rows_stay_in_memory_while_no_file_can_be_written(tmp_path):
    store = Store(tmp_path / "state", 2)
    store.open()
    runs = Runs(
        committing.PAYLOAD, committing.BUCKET_MS, tmp_path / "state", "p", 10**9, Sizes(full=10, enough=5, memory=40, largest=10**6)
    )
    hashes, times, rows = committing.batch(0)
    runs.put(hashes, times, rows)
    away = tmp_path / "away"
    (tmp_path / "state").rename(away)
    with pytest.raises(StateError, match="rows could not be saved"):
        runs.flush()
    runs.put(*committing.batch(1))  # more than memory should hold: it is tried, and kept
    assert runs.rows() == 2 * committing.ROWS
    away.rename(tmp_path / "state")
    flushed = runs.flush()
    assert flushed.files
    store.commit({"runs": flushed.values, "batches": 2}, {}, flushed.blobs, flushed.named, flushed.files)
    store.close()
    again = Runs(committing.PAYLOAD, committing.BUCKET_MS, tmp_path / "state", "p", 10**9)
    again.restore(flushed.values, flushed.blobs)
    assert_holds(again, 2)


def test_files_of_merged_and_dropped_runs_go_once_no_epoch_names_them(tmp_path):
    committing.commit_batches(tmp_path, 40)
    store = Store(tmp_path, 2)
    opened = store.open()
    runs = committing.new_runs(tmp_path)
    runs.restore(opened.manifest.values["runs"], opened.blobs)
    dropped = runs.drop_before(10**9)
    assert sum(rows for _, rows in dropped) == 40 * committing.ROWS
    for number in range(3):
        assert bool(list(tmp_path.glob("*.rows"))) == (number < 2), "an older epoch can be resumed as long as it is kept"
        flushed = runs.flush()
        store.commit({"runs": flushed.values, "batches": 0}, {}, flushed.blobs, flushed.named, flushed.files)
        runs.committed()
    store.close()
    assert reopened(tmp_path)[0].rows() == 0


def test_a_commit_writes_only_what_is_new(tmp_path):
    store = Store(tmp_path, 2)
    store.open()
    runs = committing.new_runs(tmp_path)
    hashes, times, rows = committing.batch(1)
    written = []
    for part in (slice(0, 8), slice(8, 8), slice(8, 16)):
        runs.put(hashes[part], times[part], rows[part])
        flushed = runs.flush()
        assert flushed.blobs.keys() <= flushed.named
        store.commit({}, {}, flushed.blobs, flushed.named, flushed.files)
        runs.committed()
        written.append([len(blob) for blob in flushed.blobs.values()])
    store.close()
    row = 16 + 8 + committing.PAYLOAD.itemsize
    assert written == [[8 * row], [], [8 * row]]
    assert not list(tmp_path.glob("*.rows"))


def test_two_runs_share_a_folder(tmp_path):
    names = ("m/pending", "m:pending", "m/records")
    every = [Runs(committing.PAYLOAD, committing.BUCKET_MS, tmp_path, name, 10**9, Sizes(full=10)) for name in names]
    for number, runs in enumerate(every):
        runs.put(*committing.batch(number))
    flushed = [runs.flush() for runs in every]
    assert len({name for each in flushed for name in each.files}) == 3
    for number, runs in enumerate(every):
        hashes, _, rows = committing.batch(number)
        assert runs.find(hashes).rows.tobytes() == rows.tobytes()
        assert not len(runs.find(committing.batch(number + 1)[0]).which)
        again = Runs(committing.PAYLOAD, committing.BUCKET_MS, tmp_path, names[number], 10**9)
        again.restore(flushed[number].values, flushed[number].blobs)
        assert again.find(hashes).rows.tobytes() == rows.tobytes()


def test_a_file_that_is_no_run_is_refused(tmp_path):
    runs = committing.new_runs(tmp_path)
    runs.put(*committing.batch(0))
    flushed = runs.flush()
    [name] = flushed.files
    (tmp_path / name).write_bytes(b"something else" * 1000)
    again = committing.new_runs(tmp_path)
    with pytest.raises(ValueError, match="is no run of rows"):
        again.restore(flushed.values, flushed.blobs)


def test_numbers_are_those_of_numpy(tmp_path):
    """The offset in a file spans the widest bucket, on both sides of the epoch."""
    width = 2**32
    runs = Runs(committing.PAYLOAD, width, tmp_path, "p", 10**9, Sizes(full=1, enough=1))
    times = np.array([-width, -1, 0, width - 1, width, 2**60])
    hashes = np.arange(12, dtype=np.uint64).reshape(6, 2)
    runs.put(hashes, times, np.zeros(6, committing.PAYLOAD))
    runs.flush()
    assert runs.disk_bytes
    assert runs.find(hashes).time_ms.tolist() == times.tolist()
