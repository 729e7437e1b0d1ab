"""Which labels to collect next: how many more a wanted interval width needs, and which classes and segments are under-represented.

The width of Wilson's interval for a share p of n rows is w = 2 z sqrt(p (1 - p) / n + z² / (4 n²)) / (1 + z² / n); solved for n
it is a quadratic equation in 1 / n. The p put in is the one within the present interval that needs most (the nearest to 1/2), so
little data asks for more rather than less, and the number falls as labels come.

Precision of a class needs labels of predictions *of* the class, which can be picked before their label is known. Recall needs rows that
*are* the class, which cannot: they come with its rate, so many labels must be collected to meet them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.counts import OutcomeCounts
from monitor.performance import classes
from monitor.performance.interval import Estimate, difference, wilson
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


def rows_for_width(share: Float64, width: float, z: float) -> Int64:
    """Rows that a share needs for an interval of ``width``, a number in (0, 1).

    >>> int(rows_for_width(np.array(0.5), 0.05, 1.96))
    1533
    """
    if not 0 < width < 1:
        raise ValueError(f"expected a width between 0 and 1, got {width}")
    square, spread = width**2, z * z
    # In u = 1 / n: spread² (w² - 1) u² + 2 spread (w² - 2 p (1 - p)) u + w² = 0; one root is positive.
    a, b = spread**2 * (square - 1), spread * (square - 2 * share * (1 - share))
    u = (-b - np.sqrt(b * b - a * square)) / a
    return np.ceil(1 / u).astype(np.int64)


def _more(estimate: Estimate, width: float, z: float) -> Int64:
    low, high = np.nan_to_num(estimate.low, nan=0.0), np.nan_to_num(estimate.high, nan=1.0)
    hardest = np.clip(0.5, low, high)
    needed = np.maximum(rows_for_width(hardest, width, z) - estimate.n, 0)
    enough = estimate.high - estimate.low <= width  # NaN: not
    return np.where(enough, 0, np.maximum(needed, 1))


@dataclass(frozen=True, eq=False)
class Wanted:
    """How many more labels a width needs. G segments, C classes; 0: enough."""

    segments: tuple[str, ...]  # [G]
    classes: tuple[str, ...]  # [C]
    width: float
    accuracy: Int64  # [G] labels of any prediction of the segment
    precision: Int64  # [G, C] labels of predictions of the class
    recall_rows: Int64  # [G, C] rows that are the class
    recall: Float64  # [G, C] labels that bring so many, by the class's rate; infinite while the class has never been seen
    unlabelled: Int64  # [G] predictions of the window that have no label yet: the most there is to collect

    def ranked(self) -> list[tuple[str, str, int]]:
        """(segment, predicted class, labels of its predictions), most wanted first, ties by key."""
        rows = [(self.segments[g], self.classes[c], int(self.precision[g, c])) for g, c in zip(*np.nonzero(self.precision), strict=True)]
        return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def wanted(counts: OutcomeCounts, width: float, z: float) -> Wanted:
    """Of a classification. Raises ``ValueError`` for a regression, whose errors have no share."""
    if counts.layout.task == "regression":
        raise ValueError("expected a classification, got task regression")
    confusion = counts.confusion
    accuracy = classes.accuracy(counts.right_wrong.sum(axis=(1, 2)), z)
    recall_rows = _more(classes.recall(confusion, z), width, z)
    rate = np.nan_to_num(classes.label_rate(counts.by_lag.sum(axis=1), z).value)
    labels = np.where(recall_rows == 0, 0.0, recall_rows / np.where(rate > 0, rate, np.nan))
    return Wanted(
        counts.segments,
        counts.layout.classes,
        width,
        _more(accuracy, width, z),
        _more(classes.precision(confusion, z), width, z),
        recall_rows,
        np.where(np.isnan(labels), np.inf, np.ceil(labels)),
        np.maximum(counts.predicted_rows - counts.labelled, 0),
    )


@dataclass(frozen=True)
class Shortage:
    """A segment, or a class within a segment, that has a smaller share of the labels than the reference's labels have of it."""

    segment: str
    of: str  # class; "" for the segment as a whole
    share: float  # of the labels of its grouping's traffic, or of the segment's labels
    reference_share: float
    ratio: float  # share / reference_share
    missing: int  # labels that would bring the share to the reference's, all other labels staying


def shortages(counts: OutcomeCounts, reference: OutcomeCounts, z: float) -> list[Shortage]:
    """Under-represented segments and classes beyond what chance at ``z`` explains, most missing labels first.

    ``reference``: the reference's labels as ``validation.validation`` gives them. Segments that it lacks are not judged.
    """
    places = {segment: place for place, segment in enumerate(reference.segments)}
    mutual = [(g, places[segment]) for g, segment in enumerate(counts.segments) if segment in places]
    if ALL not in counts.segments or ALL not in places or not mutual:
        return []
    own, theirs = (np.array(column) for column in zip(*mutual, strict=True))
    labelled = counts.by_lag.sum(axis=1)[own]
    before = reference.by_lag.sum(axis=1)[theirs]
    names = [counts.segments[g] for g in own]
    found = []
    totals = (counts.labelled[counts.segments.index(ALL)], reference.labelled[places[ALL]])
    whole = _short(labelled.sum(axis=1), np.full(len(own), totals[0]), before.sum(axis=1), np.full(len(own), totals[1]), z)
    for g, (share, expected, missing) in whole.items():
        if names[g] != ALL:
            found.append(Shortage(names[g], "", share, expected, share / expected, missing))
    for place, of in enumerate(counts.layout.classes):
        within = _short(labelled[:, place], labelled.sum(axis=1), before[:, place], before.sum(axis=1), z)
        found += [Shortage(names[g], of, share, expected, share / expected, missing) for g, (share, expected, missing) in within.items()]
    return sorted(found, key=lambda shortage: (-shortage.missing, shortage.segment, shortage.of))


def _short(rows: Int64, total: Int64, rows_before: Int64, total_before: Int64, z: float) -> dict[int, tuple[float, float, int]]:
    """Place to share, reference share and missing rows, of those that are short."""
    now, before = wilson(rows, total, z), wilson(rows_before, total_before, z)
    with np.errstate(invalid="ignore"):
        short = np.flatnonzero(difference(now, before).high < 0)
    found = {}
    for g in short.tolist():
        expected = float(before.value[g])
        # k + x of n + x rows shall be the share r: x = (r n - k) / (1 - r).
        missing = (expected * float(total[g]) - float(rows[g])) / max(1 - expected, 1e-9)
        found[g] = float(now.value[g]), expected, int(np.ceil(missing))
    return found
