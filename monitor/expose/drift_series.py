"""Verdicts as blocks of series: which there are, their labels, values and urgency. All arrays, nothing per series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.config.model import RESERVED
from monitor.evaluate.cells import DISTANCES, applicable, rate_counts, rows_counted
from monitor.evaluate.verdict import Status, Verdicts
from monitor.expose.block import ALARMED, ALWAYS, CLOSE, DRIFTED, EMPTY, OWN, WHOLE, Block, Text, block_of, escape, label_text, texts
from monitor.expose.catalogue import METRICS
from monitor.expose.findings import DRIFTED_FROM, conclude, is_quality, share_urgencies, urgencies
from monitor.expose.snapshot import RiverAlarms
from monitor.segment import ALL

Float64 = NDArray[np.float64]


def blocks(verdicts: Sequence[Verdicts], alarms: Sequence[tuple[str, RiverAlarms]] = ()) -> Iterator[Block]:
    """Series of all verdicts, thresholds once per model; and of river's alarms, each with its model's name."""
    yield from _thresholds(verdicts)
    for one in verdicts:
        yield from _of_window(one)
    yield from _river(alarms)


def _river(alarms: Sequence[tuple[str, RiverAlarms]]) -> Iterator[Block]:
    counts = np.array([alarm.alarms for _, alarm in alarms], np.int64)
    last_ms = [alarm.last_alarm_event_ms for _, alarm in alarms]
    seconds = np.array([np.nan if time_ms is None else time_ms / 1000 for time_ms in last_ms], np.float64)
    urgent = np.where(counts > 0, ALARMED, 0.0)
    for name, values in (("driftgauge_river_drift_total", counts), ("driftgauge_river_last_drift_timestamp_seconds", seconds)):
        metric = METRICS[name]
        heads = [label_text(metric.labels, (model, a.version, a.segment, a.signal, a.detector)) for model, a in alarms]
        yield block_of(metric, f"{name}{{".encode(), texts(heads), CLOSE, values, urgent)


def _thresholds(verdicts: Sequence[Verdicts]) -> Iterator[Block]:
    seen: set[tuple[str, str, str]] = set()
    models: set[str] = set()
    for one in verdicts:
        if one.model not in models:
            models.add(one.model)
            metric = METRICS["driftgauge_segment_share_threshold"]
            start = f'{metric.name}{{model="{escape(one.model)}"'.encode()
            yield block_of(metric, start, EMPTY, CLOSE, np.array([one.share.threshold]), np.array([ALWAYS]))
        metric = METRICS["driftgauge_drift_threshold"]
        keys = [(one.model, signal, statistic) for signal in one.signals for statistic in one.statistics]
        new = np.array([key not in seen for key in keys], bool)
        seen.update(keys)
        used = (one.status != Status.NOT_APPLICABLE).any(axis=0).ravel()
        start = f'{metric.name}{{model="{escape(one.model)}"'.encode()
        tails = texts([f",{label_text(('signal', 'statistic'), key[1:])}}} " for key in keys])
        yield block_of(metric, start, EMPTY, tails, np.where(new & used, one.threshold.ravel(), np.nan), np.full(len(keys), ALWAYS))


@dataclass(frozen=True, eq=False, slots=True)
class _Page:
    """What the families of one window share."""

    of: Verdicts
    segments: Text  # [S]
    signals: Text  # [F]

    def block(self, name: str, tails: Text, values: NDArray[Any], urgent: Float64, heads: Text | None = None) -> Block:
        metric = METRICS[name]
        start = f"{name}{{{label_text(('model', 'version', 'window'), (self.of.model, self.of.version, self.of.window.name))}"
        return block_of(metric, start.encode("utf-8", "replace"), self.segments if heads is None else heads, tails, values, urgent)


def _raised(urgent: Float64) -> Float64:
    urgent[urgent >= DRIFTED_FROM] += DRIFTED - DRIFTED_FROM
    return urgent


def _of_window(one: Verdicts) -> Iterator[Block]:
    page = _Page(
        one,
        texts([f',segment="{escape(segment)}"' for segment in one.segments]),
        texts([f',signal="{escape(signal)}"}} ' for signal in one.signals]),
    )
    urgent = _raised(urgencies(one))  # [S, F, K]
    urgent += WHOLE * (np.array(one.segments) == ALL)[:, None, None]
    of_signal = urgent.max(axis=2, initial=0.0)  # [S, F]
    of_segment = np.maximum(of_signal.max(axis=1, initial=0.0), _raised(share_urgencies(one)))
    yield from _counts(page)
    rows = rows_counted(one.table.layout, one.table.counts)  # [F, S]
    yield from _segments(page, of_segment + OWN, rows.max(axis=0, initial=0))
    tails = texts([f",{label_text(('signal', 'statistic'), (signal, name))}}} " for signal in one.signals for name in one.statistics])
    flat = (len(one.segments), len(tails))  # said in full: of a version that fell silent no segment is left
    yield page.block("driftgauge_drift_statistic", tails, one.value.reshape(flat), urgent.reshape(flat))
    yield from _details(page, of_signal)
    yield from _quality(page, urgent, of_signal, rows)


def _counts(page: _Page) -> Iterator[Block]:
    one = page.of
    tails = texts([f',status="{status.label}"}} ' for status in Status])
    of_signal = conclude(one.status, axis=2)
    for name, statuses in (("segment_status", conclude(of_signal, axis=1)), ("signal_segments", of_signal)):
        counts = np.bincount(statuses.ravel(), minlength=len(Status))
        yield page.block(f"driftgauge_{name}", tails, counts, np.full(len(Status), ALWAYS), EMPTY)
    end = np.array([one.window.end_ms / 1000])
    yield page.block("driftgauge_window_end_timestamp_seconds", CLOSE, end, np.array([ALWAYS]), EMPTY)


def _segments(page: _Page, urgent: Float64, rows: NDArray[np.int64]) -> Iterator[Block]:
    one = page.of
    yield page.block("driftgauge_window_rows", CLOSE, rows, urgent)
    quality = np.array([is_quality(name) for name in one.statistics], bool)
    prediction = np.array([name in RESERVED for name in one.signals], bool)
    kinds = {
        "distribution": (~prediction, ~quality),
        "prediction": (prediction, ~quality),
        "quality": (np.ones_like(prediction), quality),
    }
    drifted = np.empty((len(one.segments), len(kinds)))
    for column, (signals, statistics) in enumerate(kinds.values()):
        status = one.status[:, signals][:, :, statistics]
        judged = ((status == Status.DRIFTED) | (status == Status.STABLE)).any(axis=(1, 2))
        drifted[:, column] = np.where(judged, (status == Status.DRIFTED).any(axis=2).sum(axis=1), np.nan)
    tails = texts([f',kind="{kind}"}} ' for kind in kinds])
    yield page.block("driftgauge_signals_drifted", tails, drifted, urgent[:, None])
    share = one.share
    yield page.block("driftgauge_segment_share_ratio", CLOSE, share.share, urgent)
    known = np.where(share.status != Status.NO_REFERENCE, share.reference_share, np.nan)
    yield page.block("driftgauge_segment_reference_share_ratio", CLOSE, known, urgent)
    judged = (share.status == Status.DRIFTED) | (share.status == Status.STABLE)
    yield page.block("driftgauge_segment_share_drifted", CLOSE, np.where(judged, share.status == Status.DRIFTED, np.nan), urgent)


def _details(page: _Page, of_signal: Float64) -> Iterator[Block]:
    one = page.of
    since = np.where(one.drifted() & (one.since_ms >= 0), one.since_ms, np.iinfo(np.int64).max).min(axis=2, initial=np.iinfo(np.int64).max)
    seconds = np.where(since < np.iinfo(np.int64).max, since / 1000, np.nan)
    yield page.block("driftgauge_drift_since_timestamp_seconds", page.signals, seconds, of_signal)
    yield page.block("driftgauge_unit_change_factor", page.signals, one.unit_factor, of_signal)


def _quality(page: _Page, urgent: Float64, of_signal: Float64, rows: NDArray[np.int64]) -> Iterator[Block]:
    one = page.of
    layout = one.table.layout
    cases = rate_counts(layout, one.table.counts)  # [RATES, F, S]
    meaningful = applicable(layout, None)[DISTANCES:]
    for case, (name, statistic) in enumerate(_QUALITY.items()):
        ratio = np.divide(cases[case], rows, out=np.full(rows.shape, np.nan), where=(rows > 0) & meaningful[case, :, None])
        # A share is as urgent as the verdict about it.
        same = urgent[:, :, one.statistics.index(statistic)] if statistic in one.statistics else of_signal
        yield page.block(name, page.signals, ratio.T, same)


_QUALITY = {
    "driftgauge_missing_ratio": "missing_rate",
    "driftgauge_invalid_ratio": "invalid_rate",
    "driftgauge_unseen_ratio": "unseen_rate",
    "driftgauge_out_of_range_ratio": "out_of_range_rate",
}
"""Families of shares of rows, in the order of ``rate_counts``, and the verdicts about them."""
