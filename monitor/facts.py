"""Facts for decisions, from what was evaluated: pure. What is not measured (yet) is None, and so unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from msgspec.structs import replace

from monitor.config.retraining import LabelMeasure, Retraining, Where
from monitor.decide.docket import Part, Side
from monitor.decide.facts import NEVER, Alarm, Facts, FailureMode, LabelledRows, Measured
from monitor.evaluate.verdict import Status, Verdicts
from monitor.label_verdicts import LabelVerdicts
from monitor.labels import LabelsEvaluated
from monitor.number import finite
from monitor.performance.backlog import ModeState
from monitor.performance.failure_modes import FailureModes
from monitor.performance.told import called
from monitor.performance.verdict import Performance
from monitor.segment import ALL, OTHER

MAX_MODES = 10

COST_METRIC = "expected_cost"


Alarms = Mapping[str, tuple[Alarm, ...] | None]
"""What detectors had raised, by version; None, or no version, where there are none."""


def windows_parts(verdicts: Iterable[Verdicts], event_ms: int, policy: Retraining, alarms: Alarms = MappingProxyType({})) -> Iterator[Part]:
    """The windows' side of each version, from its longest window."""
    longest: dict[str, Verdicts] = {}
    for one in verdicts:
        if one.version not in longest or one.window.start_ms < longest[one.version].window.start_ms:
            longest[one.version] = one
    for version, one in sorted(longest.items()):
        if version == OTHER:  # many versions: none of them can be retrained
            continue
        facts = Facts(
            model=one.model,
            version=plain(version),
            event_ms=event_ms,
            rows=int(one.table.rows[one.segments.index(ALL)]) if ALL in one.segments else 0,
            shares=_shares(one, policy),
            data_alarms=_plain(alarms.get(version)),
            reference=None if one.reference is None else one.reference.fingerprint,
            dataset=None if one.reference is None else one.reference.dataset_version,
            partial=bool((one.status == Status.PARTIAL).any()),
        )
        yield Part(Side.WINDOWS, facts)


def _plain(alarms: tuple[Alarm, ...] | None) -> tuple[Alarm, ...] | None:
    return None if alarms is None else tuple(replace(alarm, segment=plain(alarm.segment)) for alarm in alarms)


def _shares(one: Verdicts, policy: Retraining) -> dict[str, float]:
    """Share of traffic of the segments that a condition may be about."""
    conditions: list[Where] = [*policy.performance, *policy.estimated_loss]
    conditions += [each for each in (policy.cost, policy.concept_drift, policy.data_drift) if each is not None]
    least = min((each.min_share for each in conditions if each.min_share is not None), default=2.0)
    named = {segment for each in conditions for segment in each.segments}
    share = one.share.share
    wanted = (share >= least) | np.array([segment in named for segment in one.segments], bool)
    return {plain(one.segments[place]): float(share[place]) for place in np.flatnonzero(wanted & np.isfinite(share)).tolist()}


def labels_parts(evaluated: LabelsEvaluated, policy: Retraining) -> Iterator[Part]:
    """The labels' side of each version."""
    backlog = {state.id: state for state in evaluated.backlog}
    labelled = tuple(LabelledRows(start, start + evaluated.bucket_ms, rows) for start, rows in evaluated.labelled)
    for one in evaluated.verdicts:
        if one.version == OTHER:
            continue
        judged = {"label_time": one.by_label, "prediction_time": one.by_prediction, "audit": one.audited}[policy.view]
        facts = Facts(
            model=evaluated.model,
            version=plain(one.version),
            event_ms=evaluated.event_ms,
            performance=tuple(_measured(judged, {each.metric for each in policy.performance})),
            cost=tuple(_measured(judged, {COST_METRIC}, "cost")) if policy.cost is not None else (),
            estimated_loss=tuple(_losses(one)) if policy.estimated_loss and one.estimate is not None else None,
            as_of_estimates=NEVER if one.estimate_window is None else one.estimate_window.end_ms,
            concept_alarms=_plain(evaluated.alarms.get(one.version)),
            label_quality=label_measures(one),
            labelled=labelled,
            failure_modes=tuple(_modes(one.modes, backlog)),
            partial=bool((judged.metric_status == Status.PARTIAL).any()),
        )
        yield Part(Side.LABELS, facts)


def _measured(judged: Performance, wanted: set[str], as_name: str | None = None) -> Iterator[Measured]:
    """The metrics that are wanted, in every segment; what rests on too few rows has none, so that it is unknown."""
    positive = judged.counts.layout.classes[1] if judged.counts.layout.task == "binary" else None
    for m, (metric, of) in enumerate(zip(judged.metrics, judged.classes, strict=True)):
        for name in (name for name in called(metric, of, positive) if name in wanted):
            few = judged.metric_status[:, m] == Status.INSUFFICIENT_DATA
            for g in np.flatnonzero(np.isfinite(judged.value[:, m])).tolist():
                low, high = float(judged.low[g, m]), float(judged.high[g, m])
                rows = 0 if few[g] or not math.isfinite(low + high) else int(judged.n[g, m])
                ends = (low, high) if rows else (0.0, 0.0)
                segment = plain(judged.segments[g])
                yield Measured(as_name or name, segment, float(judged.value[g, m]), *ends, rows, judged.window.start_ms)


def _losses(one: LabelVerdicts) -> Iterator[Measured]:
    """How much less accurate than in the reference each segment is estimated to be; unknown where the reference has no labels of it."""
    found, window, judged = one.estimate, one.estimate_window, one.by_prediction
    if found is None or window is None or ("accuracy", "") not in zip(judged.metrics, judged.classes, strict=True):
        return
    reference = dict(zip(judged.segments, judged.reference[:, judged.column("accuracy")].tolist(), strict=True))
    for g, segment in enumerate(found.segments):
        before, value, low, high = reference.get(segment, math.nan), *(float(end[g]) for end in (found.value, found.low, found.high))
        if math.isfinite(before + value + low + high):
            yield Measured("accuracy", plain(segment), before - value, before - high, before - low, int(found.n[g]), window.start_ms)


def label_measures(one: LabelVerdicts) -> dict[str, float]:
    """Measures of label quality by name, of all traffic. Those that are not known are left out.

    coverage_ratio          share of the window's predictions that have a label
    selection_distance      how far the labelled predictions are from all, by score: share that would have to lie elsewhere
    disagreement_ratio      share of the predictions with several annotators on which they do not agree
    flip_ratio              share of labels that were restated to another value
    alpha                   Krippendorff's, agreement of annotators beyond chance
    """
    segments, quality = one.by_prediction.segments, one.quality
    if ALL not in segments:
        return {}
    at = segments.index(ALL)
    found: dict[LabelMeasure, float] = {
        "coverage_ratio": float(one.by_prediction.coverage[at]),
        "selection_distance": float(one.representativeness.distance[at]),
    }
    if quality is not None and ALL in quality.segments:
        at = quality.segments.index(ALL)
        found |= {
            "disagreement_ratio": float(quality.disagreement.value[at]),
            "flip_ratio": float(quality.flip_rate.value[at]),
            "alpha": float(quality.krippendorff.value),
        }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _modes(modes: FailureModes, backlog: Mapping[str, ModeState]) -> Iterator[FailureMode]:
    for mode in modes.ranked(MAX_MODES):
        state = backlog.get(mode.id)
        segment, predicted, kind = map(plain, mode.key)
        status, owner = (None, None) if state is None else (state.status.value, state.owner)
        yield FailureMode(
            mode.id, segment, predicted, kind, finite(mode.rate), finite(mode.reference_rate), mode.rows, mode.impact, mode.trend.label,
            status, owner,
        )  # fmt: skip


def plain(text: str) -> str:
    """Text that has a UTF-8: a lone surrogate, which an event can hold, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
