"""The labels' part of the flow, pure but for the store of the join: predictions are kept, labels taken in, and outcomes judged.

Labels move on their own clock, and never beyond the predictions that they may reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Batch, Labels
from monitor.canary.trial import CanaryResult, judge_trial
from monitor.config import PREDICTED_CLASS, SCORE
from monitor.decide.facts import Alarm
from monitor.decode.classes import indices_of
from monitor.join.join import NO_LIMIT, Applied, add_predictions, apply_until, arrive, arrived_pane, goes_on
from monitor.join.rows import prediction_rows
from monitor.join.state import LabelState
from monitor.label_verdicts import LabelVerdicts, label_verdicts
from monitor.mode_samples import sampled
from monitor.performance import backlog
from monitor.performance.backlog import ModeState
from monitor.profile.bare import signal_names
from monitor.review.intake import take_labels as offer_labels
from monitor.review.intake import take_predictions
from monitor.review.worst import worst_segments
from monitor.sequential.labels import judge_labels
from monitor.sequential.said import Alarmed
from monitor.state import ModelState, VersionState

MAX_FAILURE_MODES = 200


@dataclass(frozen=True, slots=True)
class LabelsIdle:
    """The same as ``Idle`` for a partition of the labels."""

    partition: int


@dataclass(frozen=True, slots=True)
class LabelsOwned:
    """The same as ``Owned`` for the labels."""

    partitions: frozenset[int]
    complete: bool
    awaited: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class LabelsEvaluated:
    """The newest outcomes of a model, about windows that end at ``event_ms``."""

    model: str
    event_ms: int
    verdicts: tuple[LabelVerdicts, ...]
    backlog: tuple[ModeState, ...] = ()  # failure modes of all versions
    labelled: tuple[tuple[int, int], ...] = ()  # start of a bucket of predictions, and how many of them have a label
    bucket_ms: int = 0
    canary: CanaryResult | None = None  # None: no canary test is configured
    alarms: Mapping[str, tuple[Alarm, ...] | None] = field(default_factory=dict)  # that detectors have raised, by version


def take_labels(model: ModelState, step: Labels | LabelsIdle | LabelsOwned) -> None:
    """Take a step of the labels. Raises ``ValueError`` for a model without any."""
    labels = model.labels
    if labels is None:
        raise ValueError(f"model {model.config.name}: expected labels only for a model that has them configured")
    match step:
        case Labels():
            arrive(labels, step)
        case LabelsIdle():
            labels.idle_exclusions += labels.clock.leave_out(step.partition)
        case LabelsOwned():
            labels.clock.own(step.partitions, step.awaited)
            labels.complete = step.complete


def remember(model: ModelState, labels: LabelState, version: VersionState, batch: Batch, rows: NDArray[np.intp] | slice) -> None:
    """Keep predictions until their labels come."""
    names = signal_names(model.config)
    score = batch.values[:, names.index(SCORE)] if SCORE in names else None
    predicted = None
    if model.class_index is not None:
        predicted = indices_of(batch.values[:, names.index(PREDICTED_CLASS)], model.class_index)
    name = labels.place_of(version.version)
    kept = prediction_rows(labels, name, batch, rows, score, predicted)
    ids, time_ms = batch.ids[rows], batch.time_ms[rows]
    add_predictions(labels, name, ids, time_ms, kept)
    if model.review is not None:
        places = np.arange(len(batch))[rows]
        scores = None if score is None else score[rows]
        unseen = _unseen(model, batch, rows)
        threshold = model.config.predictions.threshold
        take_predictions(model.review, labels, name, ids, lambda row: batch.id_texts[places[row]], time_ms, kept, scores, threshold, unseen)


def _unseen(model: ModelState, batch: Batch, rows: NDArray[np.intp] | slice) -> NDArray[np.bool_]:
    """[rows] whether some feature has a category that no reference has; a feature without a reference has no such categories."""
    known = [
        column
        for column, name in enumerate(signal_names(model.config))
        if name not in (SCORE, PREDICTED_CLASS) and model.vocabulary.get(name)
    ]
    return np.asarray((batch.values[rows][:, known] == UNSEEN).any(axis=1))


Judge = Callable[[LabelsEvaluated], None]


def apply_labels(model: ModelState, judge: Judge, told: Callable[[Alarmed], None]) -> list[LabelsEvaluated]:
    """Apply the labels whose turn has come: all partitions have got past them, and so have the predictions that they may reach.

    ``judge`` is told of each end of a pane, before labels of the next are applied; the newest is returned. A step that catches up with a
    year holds one of them at a time, and what only serves to be shown is in the newest alone. ``told`` hears of what detectors say of them.
    """
    labels, review = model.labels, model.review
    if review is not None and model.clock.closed_panes is not None:
        review.close_predictions(model.clock.closed_panes * model.clock.pane_ms)
    end = None if labels is None else arrived_pane(labels.clock)
    if labels is None or end is None:
        return []
    clock = model.clock
    if clock.active:  # else no prediction holds anything up
        if clock.closed_panes is None:
            return []
        end = min(end, clock.closed_panes - -(-labels.config.early_allowance_ms // clock.pane_ms))
    if end == NO_LIMIT:
        return []  # both topics are silent: time stands still

    def observe(applied: Applied) -> None:
        model.backlog = sampled(model.backlog, labels, model.config.segments.groupings, applied)
        if review is not None:
            offer_labels(review, labels, applied)
        for name, alarms in judge_labels(model.sequential, labels, applied):
            if alarms:
                told(Alarmed(model.config.name, name, tuple(alarms)))

    newest: list[LabelsEvaluated] = []
    for pane in apply_until(labels, end, observe):
        newest = [_evaluate(model, labels, pane, shown=not goes_on(labels, end))]
        judge(newest[0])
    return newest


def _evaluate(model: ModelState, labels: LabelState, end_pane: int, *, shown: bool) -> LabelsEvaluated:
    end_ms = end_pane * model.clock.pane_ms
    verdicts = tuple(label_verdicts(model, labels, name, end_ms, shown=shown) for name in sorted(labels.versions))
    for each in verdicts:
        model.backlog = backlog.advance(
            model.backlog, each.modes, each.version, end_ms, min_labelled=labels.config.min_labelled, limit=MAX_FAILURE_MODES
        )
    if model.review is not None:
        model.review.worst = {each.version: worst_segments(each.by_prediction, model.review.grouping) for each in verdicts}
        model.review.close_labels(end_ms, labels.config.horizon_ms + labels.config.lateness_ms)
    bucket_ms = labels.pending.bucket_ms
    labelled = tuple((bucket * bucket_ms, rows) for bucket, rows in sorted(labels.labelled.items()))
    alarms = {name: sequential.known_of_outcomes(end_ms) for name, sequential in model.sequential.items()}
    return LabelsEvaluated(
        model.config.name,
        end_ms,
        verdicts,
        tuple(model.backlog.values()),
        labelled,
        bucket_ms,
        _canary(model, labels, end_ms, shown=shown),
        alarms,
    )


def _canary(model: ModelState, labels: LabelState, end_ms: int, *, shown: bool = True, again: bool = False) -> CanaryResult | None:
    """What the canary test says of the labels before ``end_ms``."""
    if model.config.canary is None or model.canary is None:
        return None
    return judge_trial(
        model.canary,
        labels,
        model.config.canary,
        end_ms,
        groupings=model.config.segments.groupings,
        placed={segment for reference in model.references.values() for segment in reference.table.segments},
        max_segments=model.config.segments.max_segments,
        partial=not (model.complete and labels.complete),
        shown=shown,
        again=again,
    )


def shown_again(model: ModelState) -> LabelsEvaluated | None:
    """What was shown last, after a restart; labels applied since then are in it. None before the first evaluation."""
    labels = model.labels
    if labels is None or not labels.versions:
        return None
    end_ms = max(counted.by_prediction.end_pane for counted in labels.versions.values()) * labels.config.pane_ms
    if not end_ms:
        return None
    verdicts = tuple(label_verdicts(model, labels, name, end_ms, estimates_due=False) for name in sorted(labels.versions))
    canary = _canary(model, labels, end_ms, again=True)
    return LabelsEvaluated(model.config.name, end_ms, verdicts, tuple(model.backlog.values()), canary=canary)
