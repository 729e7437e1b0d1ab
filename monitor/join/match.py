"""Which label counts for which prediction, and what that changes: pure, on rows that were looked up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.join.record import NO_RECORDS, Consensus, Kinds, Records, effective, identical, kinds
from monitor.outcome.cells import Outcomes

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions found for some subjects, one a row, sorted by subject."""

    subject: NDArray[np.intp]  # [n]
    time_ms: Int64  # [n]
    rows: NDArray[np.void]  # [n] of ``row_dtype``

    def __len__(self) -> int:
        return len(self.rows)

    def first_of_each(self) -> Predictions:
        """One per (subject, version), the earliest: a repeat that came after the duplicates' horizon does not count twice."""
        order = np.lexsort([self.time_ms, self.rows["version"], self.subject])
        subject, version = self.subject[order], self.rows["version"][order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (subject[1:] != subject[:-1]) | (version[1:] != version[:-1])
        kept = order[first]
        return Predictions(self.subject[kept], self.time_ms[kept], self.rows[kept])


@dataclass(frozen=True, eq=False)
class Touched:
    """Predictions with all their labels, before and after; subjects are rows of ``predictions``."""

    predictions: Predictions
    before: Records
    before_effective: Records
    after: Records
    after_effective: Records


@dataclass(frozen=True, eq=False)
class Matched:
    """What new labels of some subjects lead to."""

    store: NDArray[np.intp]  # rows of the new labels that must be remembered
    kinds: Kinds
    late: int  # later than the horizon after every prediction of their id
    orphan: int  # no prediction of their id
    retracted: Outcomes  # contributions that no longer hold
    restated: Outcomes  # contributions that hold now
    retracted_sources: NDArray[np.uint8]  # a bit for each ``Source`` of all labels of the prediction
    restated_sources: NDArray[np.uint8]
    first_labelled_ms: Int64  # times of the predictions that have a label for the first time
    revisions: int  # predictions whose label was restated
    retracted_revised: NDArray[np.bool_]  # of these, that another value or figure took the place of: another time is none
    restated_revised: NDArray[np.bool_]
    touched: Touched  # predictions that got a label they did not have in this form


def match(
    predictions: Predictions,
    old: Records,
    new: Records,
    ranks: NDArray[np.int64],
    *,
    horizon_ms: int,
    early_ms: int,
    consensus: Consensus,
) -> Matched:
    """Apply ``new`` labels to the ``predictions`` of their subjects, which had the ``old`` ones.

    A label reaches a prediction at P when its own time L is neither before P - ``early_ms`` nor after P + ``horizon_ms``.
    """
    reach = _pairs(predictions, new)
    inside = _within(predictions, new, reach, horizon_ms, early_ms)
    reached, known = np.zeros(len(new), np.bool_), np.zeros(len(new), np.bool_)
    reached[reach[1][inside]] = True
    too_late = new.time_ms[reach[1]] - predictions.time_ms[reach[0]] > horizon_ms
    known[reach[1][too_late]] = True
    late = known & ~reached
    accepted = np.flatnonzero(reached)
    added = new.where(accepted)
    fresh = ~identical(old, added)

    all_before = _reaching(predictions, old, horizon_ms, early_ms)
    all_after = _reaching(predictions, old.and_(added.where(fresh)), horizon_ms, early_ms)
    before, after = effective(all_before, ranks, consensus), effective(all_after, ranks, consensus)
    sources_before, sources_after = _sources(all_before, len(predictions)), _sources(all_after, len(predictions))
    changed = np.union1d(_changed(before, after), np.flatnonzero(sources_before != sources_after))
    gone = before.where(np.isin(before.subject, changed))
    come = after.where(np.isin(after.subject, changed))
    first = np.setdiff1d(come.subject, gone.subject)
    successor = come.where(np.searchsorted(come.subject, gone.subject))  # labels are added, never taken away: there is one
    revised = ~_same(gone, successor)
    return Matched(
        store=accepted[fresh],
        kinds=kinds(old, added),
        late=int(late.sum()),
        orphan=int((~reached & ~late).sum()),
        retracted=_outcomes(predictions, gone),
        restated=_outcomes(predictions, come),
        retracted_sources=sources_before[gone.subject],
        restated_sources=sources_after[come.subject],
        first_labelled_ms=predictions.time_ms[first],
        revisions=len(gone),
        retracted_revised=revised,
        restated_revised=np.isin(come.subject, gone.subject[revised]),
        touched=_touched(predictions, all_before, all_after, before, after),
    )


def _touched(predictions: Predictions, all_before: Records, all_after: Records, before: Records, after: Records) -> Touched:
    """Those that have more records than before: records are added, never taken away."""
    size = len(predictions)
    more = np.bincount(all_after.subject, minlength=size) > np.bincount(all_before.subject, minlength=size)
    return Touched(predictions, *(records.where(more[records.subject]) for records in (all_before, before, all_after, after)))


Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def _pairs(predictions: Predictions, records: Records) -> Pairs:
    """All (prediction, record) of the same subject."""
    low = np.searchsorted(predictions.subject, records.subject, side="left")
    many = np.searchsorted(predictions.subject, records.subject, side="right") - low
    record = np.repeat(np.arange(len(records)), many)
    nth = np.arange(len(record)) - np.repeat(np.cumsum(many) - many, many)
    return low[record] + nth, record


def _within(predictions: Predictions, records: Records, pairs: Pairs, horizon_ms: int, early_ms: int) -> NDArray[np.bool_]:
    lag = records.time_ms[pairs[1]] - predictions.time_ms[pairs[0]]
    return np.asarray((lag >= -early_ms) & (lag <= horizon_ms))


def _reaching(predictions: Predictions, records: Records, horizon_ms: int, early_ms: int) -> Records:
    """The records that reach each prediction; subjects are rows of ``predictions``."""
    if not len(records):
        return NO_RECORDS
    pairs = _pairs(predictions, records)
    inside = _within(predictions, records, pairs, horizon_ms, early_ms)
    return records.where(pairs[1][inside]).of(pairs[0][inside])


def _changed(before: Records, after: Records) -> NDArray[np.intp]:
    """Predictions whose label is another one now."""
    common, b, a = np.intersect1d(before.subject, after.subject, assume_unique=True, return_indices=True)
    one, two = before.where(b), after.where(a)
    same = (one.time_ms == two.time_ms) & _same(one, two)
    return np.concatenate([common[~same], np.setxor1d(before.subject, after.subject, assume_unique=True)])


def _same(one: Records, two: Records) -> NDArray[np.bool_]:
    """[n] whether two labels of a prediction say the same, whenever they say it."""
    a, b = one.rows, two.rows
    kpi = (a["kpi"] == b["kpi"]) | (np.isnan(a["kpi"]) & np.isnan(b["kpi"]))
    return np.asarray((a["value"] == b["value"]) & kpi)


def _sources(records: Records, subjects: int) -> NDArray[np.uint8]:
    """[subjects] a bit for each source of their labels. Records are added, never taken away, so bits are too."""
    found = np.zeros(subjects, np.uint8)
    np.bitwise_or.at(found, records.subject, np.left_shift(1, records.rows["source"]).astype(np.uint8))
    return found


def _outcomes(predictions: Predictions, labels: Records) -> Outcomes:
    at = labels.subject
    value, kpi = labels.rows["value"].astype(np.float64), labels.rows["kpi"].astype(np.float64)
    return Outcomes(predictions.rows[at], predictions.time_ms[at], labels.time_ms, value, kpi)
