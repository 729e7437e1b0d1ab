"""Memory of 1,000 segments x 50 signals: after the long window is full, and its growth under load from then on.

Detection is on, and some 97,000 streams are watched. State is committed as often as the main job does: what a commit saves is held until
then. Memory moves from pane to pane, as panes are open, judged and packed: of resident memory, stretches of two hours are compared by
their highest. What is resident moves by more than that, as the allocator keeps what was freed; what is allocated tells whether anything
is held for ever, and is compared by the means of whole days.
"""

from __future__ import annotations

import ctypes
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluate import layout_of, reference_of, table_of
from monitor.batch import UNSEEN, Batch, Fault, Float64, Span
from monitor.checkpoint.checkpoint import Checkpoint
from monitor.checkpoint.store import Store
from monitor.config import State, parse_config
from monitor.detect.alarm import Alarm
from monitor.pipeline import Owned, advance
from monitor.profile.layout import FAULT_CELLS, vocabulary
from monitor.reference.reference import Reference
from monitor.segment import ALL, parse_key
from monitor.sequential.said import Alarmed
from monitor.state import ModelState, new_model_state
from monitor.threads import one_thread

SEGMENTS, PARTITIONS, ROWS = 1_000, 4, 20_000
PANE_MS = 300_000
COMPARED = 24  # panes
START_MS = 1_760_000_000_000 // 86_400_000 * 86_400_000


def resident_mb() -> float:
    """Resident set size (Linux, /proc/self/statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of mallinfo(3), glibc 2.33 or later."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    )


_LIBC = ctypes.CDLL(None)
_LIBC.mallinfo2.restype = _Mallinfo2


def allocated_mb() -> float:
    """What was allocated and not freed (mallinfo(3)): arrays, and all but the small objects of Python."""
    found = _LIBC.mallinfo2()
    return (found.uordblks + found.hblkhd) / 1e6


def new_state() -> tuple[ModelState, Traffic]:
    layout = layout_of()
    reference = reference_of(table_of(layout, SEGMENTS, 3_000, np.random.default_rng(0)))
    features = [{"name": s.name, "type": s.kind} for s in layout.signals]
    tree = {
        "source": {"brokers": ["127.0.0.1:1"]},
        "models": [
            {
                "name": "m",
                "version": "1",
                "predictions": {"topic": "t", "id": "id", "duplicates": {"max_ids": 2_000_000}},
                "features": features,
                "segments": {"columns": {"country": "country"}, "groupings": [["country"]], "max_segments": 2 * SEGMENTS},
            }
        ],
    }
    state = new_model_state(parse_config(tree).models[0], [reference])
    advance(state, Owned(frozenset(range(PARTITIONS)), complete=True))
    return state, Traffic.of(reference)


@dataclass(frozen=True, eq=False)
class Traffic:
    """Rows as the reference has them: each segment in its share, each signal of a row in the shares of its segment, so nothing drifts."""

    segments: tuple[str, ...]  # values of the segment column
    of_row: Float64  # [S] share of the rows up to and including each segment
    upto: tuple[Float64, ...]  # per signal [S x cells] number of the segment + its share up to and including each cell; rising
    values: tuple[Float64, ...]  # per signal [cells] a value that is counted there; NaN for a fault
    faults: tuple[NDArray[np.uint8], ...]  # per signal [cells] what is wrong, 0 for nothing or a missing value

    @staticmethod
    def of(reference: Reference) -> Traffic:
        layout, words = reference.layout, vocabulary([reference.layout])
        keys = [key for key in reference.table.segments if key != ALL]
        counts = reference.table.counts[[reference.table.index[key] for key in keys]]
        rows = counts[:, layout.span(0)].sum(axis=1)
        upto, values, faults = [], [], []
        for index, signal in enumerate(layout.signals):
            share = np.cumsum(counts[:, layout.span(index)], axis=1) / rows[:, None]
            upto.append((share + np.arange(len(keys))[:, None]).ravel())
            codes = [float(words[signal.name].index(category)) for category in (*signal.categories, *signal.tail)]
            categorical = np.array([*[np.nan] * FAULT_CELLS, *codes, UNSEEN, np.nan])
            values.append(reference.bin_means[layout.span(index)] if signal.kind == "numeric" else categorical)
            faults.append(np.array([0, Fault.INVALID, Fault.NON_FINITE, *[0] * (signal.cells - FAULT_CELLS)], np.uint8))
        names = tuple(parse_key(key)[1][0] for key in keys)
        return Traffic(names, np.cumsum(rows) / rows.sum(), tuple(upto), tuple(values), tuple(faults))

    def batch(self, rng: np.random.Generator, start_ms: int) -> Batch:
        """Rows of one pane's width, spread over all partitions; never the same twice, as a sample read again and again is a drift."""
        segment = np.searchsorted(self.of_row, rng.random(ROWS), side="right")
        values = np.empty((len(self.upto), ROWS))
        kinds = np.empty((len(self.upto), ROWS), np.uint8)
        order = np.argsort(segment, kind="stable")  # the shares of one segment stand together
        for place, upto in enumerate(self.upto):
            cell = np.searchsorted(upto, segment[order] + rng.random(ROWS), side="right") % len(self.values[place])
            values[place, order], kinds[place, order] = self.values[place][cell], self.faults[place][cell]
        fault_rows, fault_columns = np.nonzero(kinds.T)
        size = ROWS // PARTITIONS
        return Batch(
            model="m",
            spans=tuple(Span(p, p * size, (p + 1) * size, 0) for p in range(PARTITIONS)),
            time_ms=start_ms + np.tile(np.sort(rng.integers(0, PANE_MS, size)), PARTITIONS),
            record_time_ms=np.zeros(ROWS, np.int64),
            ids=rng.integers(1, 2**63, (ROWS, 2)).astype(np.uint64),
            versions=("1",),
            version=np.zeros(ROWS, np.int32),
            values=values.T,
            fault_rows=fault_rows.astype(np.int32),
            fault_columns=fault_columns.astype(np.int32),
            fault_kinds=kinds[fault_columns, fault_rows],
            segment_values=(self.segments,),
            segments=segment.astype(np.int32)[:, None],
            messages=ROWS,
        )


def measure(load_seconds: float) -> dict[str, float]:
    """``rss_mb`` once the long window is full, ``rss_growth_mb`` after ``load_seconds`` of load as fast as it goes; what is allocated."""
    one_thread()  # as the program does
    with tempfile.TemporaryDirectory() as folder:
        state, traffic = new_state()
        checkpoint = Checkpoint(Store(Path(folder), State().keep_epochs), {"m": state})
        checkpoint.resume()
        try:
            return _measured(state, traffic, checkpoint, load_seconds)
        finally:
            checkpoint.store.close()


def _measured(state: ModelState, traffic: Traffic, checkpoint: Checkpoint, load_seconds: float) -> dict[str, float]:
    rng = np.random.default_rng(9)
    commit_s, committed = State().commit_every_ms / 1e3, time.monotonic()
    resident: list[float] = []  # by pane
    allocated: list[float] = []
    alarms: list[Alarm] = []

    def play() -> None:
        nonlocal committed
        said = advance(state, traffic.batch(rng, START_MS + len(resident) * PANE_MS))
        alarms.extend(alarm for each in said if isinstance(each, Alarmed) for alarm in each.alarms if alarm.level == "trigger")
        assert len(alarms) < 10, "nothing drifts: a flood of alarms would be measured"
        if time.monotonic() - committed >= commit_s:
            checkpoint.commit({})
            committed = time.monotonic()
        resident.append(resident_mb())
        allocated.append(allocated_mb())

    panes_of_long = state.config.windows.long_ms // PANE_MS
    for _ in range(panes_of_long + COMPARED):
        play()
    full = max(resident[-COMPARED:])
    until = time.monotonic() + load_seconds
    while time.monotonic() < until or len(resident) < panes_of_long + 2 * COMPARED:
        play()
    load = allocated[panes_of_long + COMPARED :]
    compared = min(panes_of_long, len(load) // 2)
    return {
        "allocated_mb": round(float(np.mean(load[:compared])), 1),
        "allocated_growth_mb": round(float(np.mean(load[-compared:]) - np.mean(load[:compared])), 1),
        "rss_mb": round(full, 1),
        "rss_growth_mb": round(max(resident[-COMPARED:]) - full, 1),
        "rss_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1),
        "load_panes": len(resident) - panes_of_long - COMPARED,
    }


if __name__ == "__main__":
    import json
    import os

    print(json.dumps(measure(float(os.environ.get("BENCH_LOAD_SECONDS", "600")))))
