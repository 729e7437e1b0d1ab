"""Label records: what is kept of each label, and which of several counts.

A prediction may get many: repeats, revisions, votes of several annotators. The one that counts is a function of the set of them, never
of the order in which they came: of an annotator the greatest by (label version, time, value); of several annotators what
``consensus`` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Consensus = Literal["latest", "majority", "confidence"]

RECORD = np.dtype([
    ("annotator", "<u8"),  # hash of the name; 0: none
    ("version", "<u2"),  # number of the label version
    ("source", "u1"),  # ``Source``
    ("value", "<f8"),  # class index, or the number of a regression
    ("confidence", "<f4"),  # NaN: none
    ("kpi", "<f8"),  # NaN: none
])  # fmt: skip
"""A label beside its prediction's id and its own time."""


class Source(IntEnum):
    """Why there is a label. Labels of chosen predictions do not represent the traffic."""

    ORGANIC = 0
    REVIEW = 1  # from the review queue: errors are over-represented
    AUDIT = 2  # from the audit sample: uniform within a segment and day

    def among(self, sources: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """[n] whether predictions with labels of these sources, a bit each, count for this one.

        One that is labelled for several reasons counts for each: a review of what has its label anyway corrects that label and
        must not take it away, or the mistakes that were found would be missing. For review counts what has no other label.
        """
        bit = 1 << self
        return np.asarray(sources == bit if self is Source.REVIEW else sources & bit != 0)


@dataclass(frozen=True, eq=False)
class Records:
    """Label records of some subjects (ids, or predictions), one a row."""

    subject: NDArray[np.intp]  # [n]
    time_ms: NDArray[np.int64]  # [n]
    rows: NDArray[np.void]  # [n] of ``RECORD``

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Records:
        """Some of them."""
        return Records(self.subject[chosen], self.time_ms[chosen], self.rows[chosen])

    def of(self, subject: NDArray[np.intp]) -> Records:
        """The same for other subjects."""
        return Records(subject, self.time_ms, self.rows)

    def and_(self, other: Records) -> Records:
        """Both."""
        return Records(
            np.concatenate([self.subject, other.subject]),
            np.concatenate([self.time_ms, other.time_ms]),
            np.concatenate([self.rows, other.rows]),
        )


NO_RECORDS = Records(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, RECORD))


def version_order(versions: list[str]) -> NDArray[np.int64]:
    """[versions] rank of each label version: numbers in them count as numbers, so 10 comes after 9.

    >>> version_order(["v10", "v9", ""]).tolist()
    [2, 1, 0]
    """

    def natural(text: str) -> list[tuple[int, int, str]]:
        return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in re.findall(r"\d+|\D+", text)]

    ranked = sorted(range(len(versions)), key=lambda place: (natural(versions[place]), versions[place]))
    ranks = np.empty(len(versions), np.int64)
    ranks[ranked] = np.arange(len(versions))
    return ranks


def _sorted(records: Records, ranks: NDArray[np.int64], *, by_annotator: bool) -> NDArray[np.intp]:
    """Order by subject (and annotator), then rising by version, time, value and whatever else tells two apart."""
    rows = records.rows
    # NaN sorts last in any position; a kpi or confidence that is none must not make the order depend on the input's.
    keys = [rows["kpi"], rows["confidence"], rows["source"], rows["annotator"], rows["value"], records.time_ms, ranks[rows["version"]]]
    return np.lexsort([*keys, *([rows["annotator"]] if by_annotator else []), records.subject])


def sorted_by_annotator(records: Records, ranks: NDArray[np.int64]) -> NDArray[np.intp]:
    """Order by subject and annotator, each annotator's records rising: the last is the winner."""
    return _sorted(records, ranks, by_annotator=True)


def _last_of(*keys: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where, in sorted rows, a group ends."""
    ends = np.zeros(len(keys[0]), np.bool_)
    for key in keys:
        ends[:-1] |= key[1:] != key[:-1]
    if len(ends):
        ends[-1] = True
    return ends


def winners(records: Records, ranks: NDArray[np.int64]) -> Records:
    """The record that counts of each (subject, annotator), sorted by these."""
    ordered = records.where(_sorted(records, ranks, by_annotator=True))
    return ordered.where(_last_of(ordered.subject, ordered.rows["annotator"]))


def effective(records: Records, ranks: NDArray[np.int64], consensus: Consensus) -> Records:
    """One record per subject that has any, sorted by subject: the label that counts.

    ``majority``: the value that most annotators' winners have, or, with ``confidence``, that has the largest sum of confidences
    (1 where none is given); among equals the greatest by (version, time, value). The record is the greatest with that value.
    """
    if consensus == "latest" or not len(records):
        ordered = records.where(_sorted(records, ranks, by_annotator=False))
        return ordered.where(_last_of(ordered.subject))
    votes = winners(records, ranks)
    confidence = votes.rows["confidence"].astype(np.float64)
    # In thousandths: whole numbers add up to the same in any order.
    weight = np.ones(len(votes), np.int64) if consensus == "majority" else np.rint(np.nan_to_num(confidence, nan=1.0) * 1_000)
    by_value = np.lexsort([votes.rows["value"], votes.subject])
    ends = _last_of(votes.subject[by_value], votes.rows["value"][by_value])
    group: NDArray[np.intp] = np.cumsum(ends) - ends
    support = np.bincount(group, weight[by_value]).astype(np.int64)
    of_vote = np.empty(len(votes), np.int64)
    of_vote[by_value] = support[group]
    keys = [votes.rows["annotator"], votes.rows["value"], votes.time_ms, ranks[votes.rows["version"]], of_vote]
    order = np.lexsort([*keys, votes.subject])
    return votes.where(order[_last_of(votes.subject[order])])


@dataclass(frozen=True, slots=True)
class Kinds:
    """What records are, by number; their sum is the number of records added."""

    matched: int  # the first of a prediction
    vote: int  # the first of a further annotator
    revised: int  # another value or version of a known annotator
    duplicate: int  # the same once more


def kinds(old: Records, new: Records) -> Kinds:
    """Classify ``new`` records given the ``old`` ones of the same subjects. The sums depend on the set of records alone."""

    def distinct(records: Records) -> tuple[int, int, int]:
        rows = records.rows
        order = np.lexsort([rows["value"], rows["version"], rows["annotator"], records.subject])
        subject, annotator = records.subject[order], rows["annotator"][order]
        same = (subject, annotator, rows["version"][order], rows["value"][order])
        return int(_last_of(subject).sum()), int(_last_of(subject, annotator).sum()), int(_last_of(*same).sum())

    subjects, annotators, values = (b - a for a, b in zip(distinct(old), distinct(old.and_(new)), strict=True))
    return Kinds(subjects, annotators - subjects, values - annotators, len(new) - values)


def identical(old: Records, new: Records) -> NDArray[np.bool_]:
    """[new] rows that say nothing that ``old`` or an earlier row of ``new`` does not say: nothing needs to be stored of them."""
    both = old.and_(new)
    fields = np.frombuffer(both.rows.tobytes(), np.uint8).reshape(len(both), -1) if len(both) else np.zeros((0, 1), np.uint8)
    order = np.lexsort([*fields.T, both.time_ms, both.subject])  # stable: earlier rows first
    ordered = both.where(order)
    same = ~_last_of(ordered.subject, ordered.time_ms)
    repeat = np.zeros(len(both), np.bool_)
    later = same[:-1] & (fields[order[1:]] == fields[order[:-1]]).all(axis=1)
    repeat[order[1:][later]] = True
    return repeat[len(old) :]
