"""Puts batches of rows and commits each, and may kill its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from monitor.checkpoint.store import Store
from monitor.join.runs import Runs
from monitor.join.sizes import Sizes

PAYLOAD = np.dtype([("combination", "<i4"), ("score", "<f4")])
BUCKET_MS, ROWS = 1_000, 60


def new_runs(directory: Path) -> Runs:
    return Runs(PAYLOAD, BUCKET_MS, directory, "m/pending", 10**9, Sizes(full=50, enough=20, memory=100, largest=500, files=3))


def batch(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same rows for the same number; every fifth batch is too old to fill its bucket."""
    rng = np.random.default_rng(number)
    rows = np.zeros(ROWS, PAYLOAD)
    rows["combination"], rows["score"] = number, rng.random(ROWS)
    bucket = number // 6 - (number % 5 == 0)
    times = bucket * BUCKET_MS + rng.integers(0, BUCKET_MS, ROWS)
    times[:7] -= 5 * BUCKET_MS
    return rng.integers(0, 2**64, (ROWS, 2), dtype=np.uint64), times, rows


def commit_batches(directory: Path, until: int, step: str = "never", at_commit: int = 0) -> None:
    """Go on from what is committed until so many batches are."""
    batches = 0

    def die(name: str) -> None:
        if name == step and batches == at_commit:
            os.kill(os.getpid(), signal.SIGKILL)

    store = Store(directory, 2, die)
    opened = store.open()
    runs = new_runs(directory)
    if opened.manifest is not None:
        batches = opened.manifest.values["batches"]
        runs.restore(opened.manifest.values["runs"], opened.blobs)
    while batches < until:
        runs.put(*batch(batches))
        batches += 1
        flushed = runs.flush()
        die("after flush")
        store.commit({"runs": flushed.values, "batches": batches}, {}, flushed.blobs, flushed.named, flushed.files)
        runs.committed()
    store.close()
