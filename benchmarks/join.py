"""Labels that find their predictions: joins per CPU second, bytes a row on disk, resident memory, at a number of pending predictions.

The store first holds predictions of a whole horizon and label records of half of them. Then time goes on. Each step:
new predictions are hashed and put; labels (90 % of random predictions of the horizon, 10 % of ids that were never seen, some sent twice)
are hashed, found among the predictions, looked up among the records of earlier labels, and put there unless they are a repeat;
every 50,000 rows everything is committed through the store of the product, fsync included, and expired buckets go.
Strings and random numbers are made outside of the measured time. A process of its own, so that its peak memory is the join's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from monitor.checkpoint.store import Store
from monitor.decode.identity import hash_ids
from monitor.join.runs import Runs, bucket_width

HORIZON_MS, EARLY_MS = 30 * 86_400_000, 3_600_000
START_MS = 1_760_000_000_000
BATCH, COMMIT_ROWS = 10_000, 50_000
PREDICTION = np.dtype(
    [("combination", "<i4"), ("version", "<u2"), ("score_cell", "u1"), ("predicted", "u1"), ("score", "<f4"), ("flags", "u1")]
)
RECORD = np.dtype([("annotator", "<u8"), ("version", "<u4"), ("value", "<f8"), ("confidence", "<f4"), ("source", "u1")])


@dataclass(eq=False)
class World:
    """The two stores, and what came in so far."""

    pending_rows: int
    directory: Path
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    newest: int = 0  # predictions so far
    uncommitted: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"labels": 0, "found": 0, "repeats": 0, "known": 0, "expired": 0})

    def __post_init__(self) -> None:
        width = bucket_width(HORIZON_MS)
        self.pending = Runs(PREDICTION, width, self.directory, "m/pending", 10**12)
        self.records = Runs(RECORD, width, self.directory, "m/records", 10**12)
        self.store = Store(self.directory, 3)
        self.store.open()

    def time_of(self, number: np.ndarray) -> np.ndarray:
        """Event time of a prediction."""
        return START_MS + (number * (HORIZON_MS / self.pending_rows)).astype(np.int64)

    @property
    def now_ms(self) -> int:
        return int(self.time_of(np.array([self.newest]))[0])

    def predictions(self, count: int) -> tuple[list[str], np.ndarray, np.ndarray]:
        """The next predictions: ids, times, rows."""
        numbers = np.arange(self.newest, self.newest + count)
        self.newest += count
        rows = np.zeros(count, PREDICTION)
        rows["combination"], rows["score"] = numbers % 1_000, self.rng.random(count)
        rows["score_cell"], rows["predicted"] = rows["score"] * 50, rows["score"] > 0.5
        return texts(numbers), self.time_of(numbers), rows

    def labels_of(self, numbers: np.ndarray, times: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
        rows = np.zeros(len(numbers), RECORD)
        rows["version"], rows["value"], rows["confidence"] = 1 + self.rng.integers(0, 2, len(numbers)), numbers % 7 == 0, 1
        return texts(numbers), times, rows

    def put(self, ids: list[str], times: np.ndarray, rows: np.ndarray) -> None:
        self.pending.put(hash_ids(ids, "id")[0], times, rows)

    def label(self, ids: list[str], times: np.ndarray, rows: np.ndarray) -> None:
        """What a join does with labels, up to the counts."""
        hashes = hash_ids(ids, "id")[0]
        predictions = self.pending.find(hashes, int(times.min()) - HORIZON_MS, int(times.max()) + EARLY_MS + 1)
        lag = times[predictions.which] - predictions.time_ms
        matched = np.zeros(len(ids), np.bool_)
        matched[predictions.which[(lag <= HORIZON_MS) & (lag >= -EARLY_MS)]] = True
        earlier = self.records.find(hashes)
        repeat, known = np.zeros(len(ids), np.bool_), np.zeros(len(ids), np.bool_)
        known[earlier.which] = True
        repeat[earlier.which[(earlier.rows == rows[earlier.which]) & (earlier.time_ms == times[earlier.which])]] = True
        new = np.flatnonzero(matched & ~repeat)
        self.records.put(hashes[new], times[new], rows[new])
        for name, these in (("found", matched), ("repeats", repeat), ("known", known)):
            self.counts[name] += int(these.sum())
        self.counts["labels"] += len(ids)

    def commit(self, rows: int) -> None:
        """Commit once enough rows have come."""
        self.uncommitted += rows
        if self.uncommitted < COMMIT_ROWS:
            return
        self.uncommitted = 0
        self.counts["expired"] += sum(count for _, count in self.pending.drop_before(self.now_ms - HORIZON_MS))
        self.records.drop_before(self.now_ms - HORIZON_MS)
        pending, records = self.pending.flush(), self.records.flush()
        values = {"pending": pending.values, "records": records.values}
        blobs, files = {**pending.blobs, **records.blobs}, {**pending.files, **records.files}
        self.store.commit(values, {"counts": bytes(100_000)}, blobs, pending.named | records.named, files)
        self.pending.committed()
        self.records.committed()


def texts(numbers: np.ndarray) -> list[str]:
    return [f"order-{number:012d}" for number in numbers.tolist()]


def fill(world: World) -> float:
    """Predictions of a horizon and label records of half of them; returns puts per CPU second, commits included."""
    seconds = 0.0
    while world.newest < world.pending_rows:
        first = world.newest
        batch = world.predictions(BATCH)
        numbers = np.arange(first, first + BATCH, 2)
        labels = world.labels_of(numbers, np.full(len(numbers), world.now_ms))
        started = time.process_time()
        world.put(*batch)
        world.records.put(hash_ids(labels[0], "id")[0], *labels[1:])
        world.commit(BATCH)
        seconds += time.process_time() - started
    return 1.5 * world.pending_rows / seconds


def steps(world: World, joins: int) -> Iterator[tuple[Any, Any]]:
    """(predictions, labels) of each step."""
    last = None
    for _ in range(joins // BATCH):
        predictions = world.predictions(BATCH)
        oldest = max(0, world.newest - world.pending_rows) + BATCH
        known = world.rng.integers(oldest, world.newest, int(0.9 * BATCH))
        unknown = world.rng.integers(10**11, 10**12 - 1, BATCH - len(known))
        numbers = world.rng.permutation(np.concatenate([known, unknown]))
        ids, times, rows = world.labels_of(numbers, np.full(BATCH, world.now_ms))
        if last is not None:  # one of twenty is a label of the step before, sent again
            again = slice(0, BATCH // 20)
            ids[again], times[again], rows[again] = last[0][again], last[1][again], last[2][again]
        last = ids[::-1], times[::-1].copy(), rows[::-1].copy()
        yield predictions, (ids, times, rows)


def peak_resident_mb() -> float:
    """The most that was ever resident, mapped pages included (Linux; ``ru_maxrss`` would count the parent's as well)."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6, 1)


def worker(pending_rows: int, joins: int, directory: Path) -> dict[str, float]:
    """One measurement, in this process."""
    world = World(pending_rows, directory)
    puts = fill(world)
    seconds, slowest = 0.0, 0.0
    for predictions, labels in steps(world, joins):
        started = time.process_time()
        world.put(*predictions)
        world.label(*labels)
        world.commit(BATCH)
        took = time.process_time() - started
        seconds, slowest = seconds + took, max(slowest, took)
    counts = world.counts
    assert counts["labels"] == joins // BATCH * BATCH
    assert 0.85 < counts["found"] / counts["labels"] < 0.95, counts
    assert counts["repeats"] and counts["known"] > counts["repeats"] and counts["expired"], counts
    on_disk = sum(path.stat().st_size for path in directory.iterdir())
    named = world.pending.disk_bytes + world.records.disk_bytes
    in_files = sum(map(len, world.pending.files))
    return {
        "pending_rows": world.pending.rows(),
        "label_records": world.records.rows(),
        "joins_per_cpu_second": round(counts["labels"] / seconds),
        "puts_per_cpu_second": round(puts),
        "pending_bytes_per_row": round(world.pending.disk_bytes / in_files, 1),
        "join_disk_share_of_older_epochs": round(1 - named / on_disk, 3),
        "join_rss_mb": peak_resident_mb(),
        "join_slowest_step_ms": round(slowest * 1e3),
        "join_files": len(list(directory.glob("*.rows"))),
    }


def measure(pending_rows: int = 10_000_000, joins: int = 2_000_000) -> dict[str, float]:
    """The same in a process of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.join", "--rows", str(pending_rows), "--joins", str(joins), "--directory", directory]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--joins", type=int, default=2_000_000)
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    print(json.dumps(worker(arguments.rows, arguments.joins, arguments.directory)))
