"""Performance and how labels came as blocks of series, in the terms of ``block``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.config import format_duration
from monitor.evaluate.verdict import Status
from monitor.expose.block import ALWAYS, CLOSE, EMPTY, OWN, Block, Text, block_of, escape, label_text, texts
from monitor.expose.catalogue import METRICS
from monitor.expose.outcome_findings import RATES, delay_quantiles, gaps, is_worse, metric_urgencies, views
from monitor.expose.quality_series import quality_blocks
from monitor.label_verdicts import LabelVerdicts
from monitor.labels import LabelsEvaluated
from monitor.performance.delay import AGES_MS
from monitor.performance.verdict import Performance
from monitor.segment import ALL

Float64 = NDArray[np.float64]

_AGES = tuple(format_duration(age) if age else "0s" for age in AGES_MS.tolist())


@dataclass(frozen=True, eq=False, slots=True)
class _Page:
    """What families share: their first labels and their segments."""

    first: str
    segments: Text

    def block(self, name: str, tails: Text, values: NDArray[Any], urgent: Float64, heads: Text | None = None) -> Block:
        start = f"{name}{{{self.first}".encode("utf-8", "replace")
        return block_of(METRICS[name], start, self.segments if heads is None else heads, tails, values, urgent)


def performance_blocks(evaluated: Sequence[LabelsEvaluated]) -> Iterator[Block]:
    """Series of all models' outcomes."""
    for each in evaluated:
        for one in each.verdicts:
            model = ("model", "version"), (each.model, one.version)
            segments = texts([f',segment="{escape(segment)}"' for segment in one.by_prediction.segments])
            page = _Page(label_text(*model), segments)
            end = np.array([one.window.end_ms / 1000])
            yield page.block("driftgauge_performance_window_end_timestamp_seconds", CLOSE, end, np.array([ALWAYS]), EMPTY)
            for view in views(one):
                yield from _of_view(_Page(label_text((*model[0], "view"), (*model[1], view.view)), segments), view)
            yield from _of_labelling(page, one)
            yield from quality_blocks(label_text(*model), one)


def _of_view(page: _Page, one: Performance) -> Iterator[Block]:
    urgent = metric_urgencies(one)  # [G, M]
    own = urgent.max(axis=1, initial=0.0) + OWN
    counts = np.bincount(one.status, minlength=len(Status))
    tails = texts([f',status="{status.label}"}} ' for status in Status])
    yield page.block("driftgauge_performance_status", tails, counts, np.full(len(Status), ALWAYS), EMPTY)
    yield page.block("driftgauge_performance_labelled_rows", CLOSE, one.labelled, own)
    yield page.block("driftgauge_performance_worse", CLOSE, _yes_or_no(one.status), own)
    if one.restatement is not None:
        yield page.block("driftgauge_performance_revision", CLOSE, one.restatement.revision, own)
    of_class = np.array([metric == "label_rate" for metric in one.metrics], np.bool_)  # with series of its own
    pairs = list(zip(one.metrics, one.classes, strict=True))
    tails = texts([f",{label_text(('metric', 'class'), pair)}}} " for pair, rate in zip(pairs, of_class, strict=True) if not rate])
    known = np.isfinite(one.value)
    for name, values in (
        ("", one.value),
        ("_low", one.low),
        ("_high", one.high),
        ("_reference", one.reference),
        ("_loss", np.where(is_worse(one), -gaps(one), np.nan)),
        ("_rows", np.where(known, one.n, np.nan)),
    ):
        yield page.block(f"driftgauge_performance{name}", tails, values[:, ~of_class], urgent[:, ~of_class])
    tails = texts([f",{label_text(('class',), (pair[1],))}}} " for pair, chosen in zip(pairs, of_class, strict=True) if chosen])
    yield page.block("driftgauge_label_rate_ratio", tails, one.value[:, of_class], urgent[:, of_class])
    yield page.block("driftgauge_label_rate_reference_ratio", tails, one.reference[:, of_class], urgent[:, of_class])
    rates = one.metric_status[:, np.isin(one.metrics, RATES)]
    judged = ((rates == Status.DRIFTED) | (rates == Status.STABLE)).any(axis=1)
    shifted = np.where(judged, (rates == Status.DRIFTED).any(axis=1), np.nan)
    yield page.block("driftgauge_label_rate_shifted", CLOSE, shifted, own)


def _of_labelling(page: _Page, one: LabelVerdicts) -> Iterator[Block]:
    performance, like = one.by_prediction, one.representativeness
    own = metric_urgencies(performance).max(axis=1, initial=0.0) + OWN
    yield page.block("driftgauge_label_coverage_ratio", CLOSE, performance.coverage, own)
    yield from _by_age(page, one, own)
    delays = delay_quantiles(one)
    tails = texts([f',probability="{probability:g}"}} ' for probability in delays])
    values = np.stack([delay.value / 1000 for delay in delays.values()], axis=1)
    yield page.block("driftgauge_label_delay_seconds", tails, values, own[:, None])
    yield page.block("driftgauge_label_selection_ratio", CLOSE, like.distance, own)
    yield page.block("driftgauge_label_selection_biased", CLOSE, _yes_or_no(like.status), own)
    yield page.block("driftgauge_label_coverage_uneven", CLOSE, _yes_or_no(like.coverage_status), own)
    if one.wanted is not None:
        tails = texts([f",{label_text(('class',), (of,))}}} " for of in one.wanted.classes])
        yield page.block("driftgauge_labels_wanted", tails, one.wanted.precision, own[:, None])


def _by_age(page: _Page, one: LabelVerdicts, own: Float64) -> Iterator[Block]:
    """Of the whole traffic only: 16 ages of every segment would be as many series as all metrics."""
    coverage = one.coverage
    if coverage is None:
        return
    yield page.block("driftgauge_label_coverage_relative_ratio", CLOSE, coverage.relative, own)
    yield page.block("driftgauge_labels_expected", CLOSE, coverage.expected, own)
    whole = [place for place, segment in enumerate(one.by_prediction.segments) if segment == ALL]
    tails = texts([f',age="{age}"}} ' for age in _AGES])
    shares = coverage.share.value[whole]
    yield page.block("driftgauge_label_coverage_at_age_ratio", tails, shares, own[whole][:, None], page.segments[whole])


def _yes_or_no(status: NDArray[np.uint8]) -> Float64:
    """1 where DRIFTED, 0 where STABLE, else unknown."""
    return np.where(status == Status.DRIFTED, 1.0, np.where(status == Status.STABLE, 0.0, np.nan))
