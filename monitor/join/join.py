"""The join, step by step in event time.

    predictions ──────▶ pending (by id) ───────────┐
                                                   ▼
    labels ─▶ late? ─▶ inbox ─▶ pane by pane ─▶ match ─▶ outcomes, retracted and restated
                                                   ▲
                                    records (labels by id)

A label waits in the inbox until every label partition has got past its arrival pane and all predictions that it may reach have
been read. So a label is matched, late or an orphan at once and for good, and what is counted does not depend on how the
two topics were interleaved. At each pane predictions and records that nothing can reach any more are dropped by whole buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Labels
from monitor.clock import EventClock
from monitor.join.inbox import LabelRows
from monitor.join.items import items_of
from monitor.join.match import Matched, Predictions, Touched, match
from monitor.join.record import Records, Source
from monitor.join.rows import label_rows
from monitor.join.state import LabelEntry, LabelState, VersionOutcomes
from monitor.outcome.annotations import annotation_codes
from monitor.outcome.cells import Outcomes, outcome_codes, prediction_codes

Int64 = NDArray[np.int64]

NO_LIMIT = 1 << 62  # a pane after all others


@dataclass(frozen=True, eq=False)
class Applied:
    """What the labels that arrived in one pane changed."""

    time_ms: int  # start of the pane
    touched: Touched
    ids: NDArray[np.uint64]  # [predictions of ``touched``, 2]
    texts: NDArray[np.object_]  # [predictions of ``touched``] their ids as written in the labels


Observe = Callable[[Applied], None]


def add_predictions(state: LabelState, version: str, ids: NDArray[np.uint64], time_ms: Int64, rows: NDArray[np.void]) -> None:
    """Count predictions of one model version and, unless labels carry theirs, keep them for their labels. ``rows`` of ``row_dtype``."""
    outcomes = state.outcomes_of(version)
    codes = prediction_codes(outcomes.layout, rows)
    outcomes.by_prediction.add(time_ms // state.config.pane_ms, codes, np.ones(len(codes), np.int64))
    if state.config.prediction is None:
        _keep(state, ids, time_ms, rows)


def _keep(state: LabelState, ids: NDArray[np.uint64], time_ms: Int64, rows: NDArray[np.void]) -> None:
    state.predictions += len(rows)
    for bucket, dropped in state.pending.put(ids, time_ms, rows):
        state.evicted += dropped
        state.labelled.pop(bucket, None)


def arrive(state: LabelState, labels: Labels) -> None:
    """Take labels in: enter the ledger, and wait."""
    arrivals = state.clock.arrive(labels.time_ms, labels.spans)
    state.ledger[LabelEntry.MESSAGES] += labels.messages
    state.ledger[LabelEntry.TOMBSTONES] += labels.tombstones
    state.ledger[LabelEntry.LATE_ARRIVAL] += np.count_nonzero(arrivals.late)
    state.ledger[len(LabelEntry) :] += labels.rejected
    rows = label_rows(state, labels)
    arrived = arrivals.newest_ms // state.clock.pane_ms
    for span in labels.spans:
        state.offsets[span.partition] = span.next_offset
        kept = np.arange(span.start, span.stop)[~arrivals.late[span.start : span.stop]]
        state.inbox.put(span.partition, arrived[kept], rows.where(kept))


def arrived_pane(clock: EventClock) -> int | None:
    """Labels that arrive from now on do so in this pane or after it; None while a partition that is not idle has sent nothing yet.

    While all are idle labels hold nothing up.
    """
    active = clock.active
    if not clock.owned or any(partition not in clock.newest_ms for partition in active):
        return None
    if not active:
        return NO_LIMIT
    return min(clock.newest_ms[partition] for partition in active) // clock.pane_ms


def apply_until(state: LabelState, end_pane: int, observe: Observe = lambda _applied: None) -> Iterator[int]:
    """Apply labels that arrived before ``end_pane``, pane by pane; yields each end of a pane of outcomes, for judging there.

    ``observe`` is told of each pane's labels, before the next is applied.
    """
    per_outcome_pane = state.config.pane_ms // state.clock.pane_ms
    if state.applied_pane is None:
        first = state.inbox.first_pane()
        if first is None and not state.clock.owned <= state.clock.idle:
            return  # it begins with the first label
        if first is not None and first >= end_pane:
            return
        state.applied_pane = end_pane if first is None else first
    while state.applied_pane < end_pane:
        pane = state.applied_pane
        labels = state.inbox.take(pane)
        if labels is not None:
            observe(_apply(state, labels, pane * state.clock.pane_ms))
        state.applied_pane = pane + 1
        if state.applied_pane % per_outcome_pane == 0:
            _expire(state, state.applied_pane * state.clock.pane_ms)
            if _counted(state):
                yield state.applied_pane
            else:
                state.applied_pane = _next_counted(state, end_pane, per_outcome_pane)
                # As if no boundary on the way had been passed over.
                _expire(state, state.applied_pane // per_outcome_pane * state.config.pane_ms)
        else:  # on to the next pane with labels, or the next end of a pane of outcomes
            first = state.inbox.first_pane()
            boundary = (pane // per_outcome_pane + 1) * per_outcome_pane - 1
            state.applied_pane = min(end_pane, boundary, end_pane if first is None else max(first, state.applied_pane))


def goes_on(state: LabelState, end_pane: int) -> bool:
    """Whether ``apply_until`` will yield once more: predictions that have ended by then are kept at the next end of a pane."""
    next_pane = (state.applied_pane or 0) // (state.config.pane_ms // state.clock.pane_ms) + 1
    return next_pane * state.config.pane_ms <= end_pane * state.clock.pane_ms and any(
        next_pane - panes.kept <= number < next_pane
        for panes in (counted.by_prediction for counted in state.versions.values())
        for number in panes.settle()
    )


def _counted(state: LabelState) -> bool:
    """Whether any pane that has ended is kept: else there is nothing to judge, and nothing that could leave a window."""
    return any(
        number < panes.end_pane for counted in state.versions.values() for panes in counted.panes.values() for number in panes.settle()
    )


def _next_counted(state: LabelState, end_pane: int, per_outcome_pane: int) -> int:
    """The pane to go on with when nothing is counted so far: one label of long ago must not have every pane since then judged."""
    starts = [
        number * per_outcome_pane for counted in state.versions.values() for panes in counted.panes.values() for number in panes.panes
    ]
    first = state.inbox.first_pane()
    next_pane = min([end_pane, *starts, *([] if first is None else [first])])
    return max(state.applied_pane or 0, next_pane)


def _apply(state: LabelState, labels: LabelRows, start_ms: int) -> Applied:
    """Match labels with predictions, and let the counts follow."""
    ids, subject = _distinct(labels.ids)
    predictions = _predictions(state, ids)
    if state.config.prediction is not None:
        predictions = _take_carried(state, ids, subject, labels, predictions)
    which, time_ms, rows = state.records.find(ids)
    old = Records(which, time_ms, rows)
    new = Records(subject, labels.time_ms, labels.rows)
    matched = match(
        predictions.first_of_each(),
        old,
        new,
        state.ranks,
        horizon_ms=state.config.horizon_ms,
        early_ms=state.config.early_allowance_ms,
        consensus=state.config.consensus,
    )
    stored = labels.where(matched.store)
    state.records_evicted += sum(dropped for _, dropped in state.records.put(stored.ids, stored.time_ms, stored.rows))
    for entry, count in (
        (LabelEntry.MATCHED, matched.kinds.matched),
        (LabelEntry.VOTE, matched.kinds.vote),
        (LabelEntry.REVISED, matched.kinds.revised),
        (LabelEntry.DUPLICATE, matched.kinds.duplicate),
        (LabelEntry.LATE, matched.late),
        (LabelEntry.ORPHAN, matched.orphan),
    ):
        state.ledger[entry] += count
    _count(state, matched, start_ms)
    if state.agreement is not None:
        _annotate(state, matched.touched)
    texts = np.full(len(ids), "", object)
    texts[subject] = labels.texts
    of_each = matched.touched.predictions.subject
    return Applied(start_ms, matched.touched, ids[of_each], texts[of_each])


def _annotate(state: LabelState, touched: Touched) -> None:
    """Count what labels of the touched predictions say about labelling, in place of what they said before."""
    numbers = np.array([0, *state.annotators], np.uint64)  # 0: no annotator named
    predictions = touched.predictions
    for records, effective, sign in ((touched.before, touched.before_effective, -1), (touched.after, touched.after_effective, 1)):
        versions = predictions.rows["version"][effective.subject]
        for number in np.unique(versions).tolist():
            counted, layout = state.outcomes_of(state.version_names[number]), state.agreement_of(state.version_names[number])
            assert layout is not None
            mine = effective.where(versions == number)
            theirs = records.where(predictions.rows["version"][records.subject] == number)
            codes, item = annotation_codes(layout, items_of(counted.layout, predictions, theirs, mine, state.ranks, numbers))
            pane = (predictions.time_ms[mine.subject] // state.config.pane_ms)[item]
            counted.annotations.add(pane, codes, np.full(len(codes), sign, np.int64))


def _count(state: LabelState, matched: Matched, now_ms: int) -> None:
    state.revisions += matched.revisions
    state.labelled_rows += len(matched.first_labelled_ms)
    buckets, counts = np.unique(matched.first_labelled_ms // state.pending.bucket_ms, return_counts=True)
    for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
        state.labelled[bucket] = state.labelled.get(bucket, 0) + count
    for outcomes, sources, revised, sign in (
        (matched.retracted, matched.retracted_sources, matched.retracted_revised, -1),
        (matched.restated, matched.restated_sources, matched.restated_revised, 1),
    ):
        for number in np.unique(outcomes.rows["version"]).tolist():
            of_version = outcomes.rows["version"] == number
            for kind in Source:
                chosen = np.flatnonzero(of_version & kind.among(sources))
                if len(chosen):
                    counted = state.outcomes_of(state.version_names[number])
                    _add(counted, kind, _some(outcomes, chosen), sign, revised[chosen], now_ms, state.config.pane_ms)


def _add(
    counted: VersionOutcomes, source: Source, outcomes: Outcomes, sign: int, revised: NDArray[np.bool_], now_ms: int, pane_ms: int
) -> None:
    """Count outcomes of one source; ``revised``: those that are taken back for another label, or take the place of one."""
    codes, weights, row = outcome_codes(counted.layout, outcomes)
    combination = outcomes.rows["combination"].astype(np.int64)
    views = {Source.ORGANIC: ("label", "prediction"), Source.AUDIT: ("audit",), Source.REVIEW: ("review",)}[source]
    for view in views:
        pane = (outcomes.prediction_ms if view == "prediction" else outcomes.label_ms) // pane_ms
        counted.views[view].add(pane[row], codes, sign * weights)
        reported = revised & (pane < now_ms // pane_ms)  # evaluations look at panes that have ended
        if sign < 0 and view in counted.restated:
            counted.restated[view].add(pane[reported], combination[reported], now_ms)
        if view == "prediction":
            of_revised = reported[row]
            counted.revised.add(pane[row][of_revised], codes[of_revised], sign * weights[of_revised])


def _some(outcomes: Outcomes, chosen: NDArray[np.intp]) -> Outcomes:
    return Outcomes(
        outcomes.rows[chosen], outcomes.prediction_ms[chosen], outcomes.label_ms[chosen], outcomes.value[chosen], outcomes.kpi[chosen]
    )


def _predictions(state: LabelState, ids: NDArray[np.uint64]) -> Predictions:
    which, time_ms, rows = state.pending.find(ids)
    return Predictions(which, time_ms, rows)


def _take_carried(
    state: LabelState, ids: NDArray[np.uint64], subject: NDArray[np.intp], labels: LabelRows, predictions: Predictions
) -> Predictions:
    """Keep the predictions that labels carry, one per (id, version), so that a later revision finds what it restates."""
    come = Predictions(subject, labels.carried_ms, labels.carried).first_of_each()
    known = set(zip(predictions.subject.tolist(), predictions.rows["version"].tolist(), strict=True))
    new = np.array([pair not in known for pair in zip(come.subject.tolist(), come.rows["version"].tolist(), strict=True)], np.bool_)
    if not new.any():
        return predictions
    _keep(state, ids[come.subject[new]], come.time_ms[new], come.rows[new])
    return Predictions(
        np.concatenate([predictions.subject, come.subject[new]]),
        np.concatenate([predictions.time_ms, come.time_ms[new]]),
        np.concatenate([predictions.rows, come.rows[new]]),
    )


def _expire(state: LabelState, now_ms: int) -> None:
    """Drop what no label that is still to come can reach.

    A label that is not late may lie anywhere in the pane in which ``now_ms`` less the lateness falls.
    """
    config, pane_ms = state.config, state.clock.pane_ms
    oldest_ms = (now_ms - config.lateness_ms) // pane_ms * pane_ms - config.horizon_ms
    for bucket, dropped in state.pending.drop_before(oldest_ms):
        state.expired += dropped - state.labelled.pop(bucket, 0)
    state.records.drop_before(oldest_ms - config.early_allowance_ms)
    for version, outcomes in list(state.versions.items()):
        outcomes.move_to(now_ms // config.pane_ms)
        if not any(panes.panes for panes in outcomes.panes.values()):
            del state.versions[version]


def _distinct(ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Distinct ids, and the number of each row's."""
    order = np.lexsort([ids[:, 1], ids[:, 0]])
    ordered = ids[order]
    first = np.ones(len(ids), np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(ids), np.intp)
    number[order] = np.cumsum(first) - 1
    return ordered[first], number
