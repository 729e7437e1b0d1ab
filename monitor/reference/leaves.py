"""The segments that a batch's rows belong to, and which of all segments get counts of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch
from monitor.profile.grouping import Base, Grouping
from monitor.reference.sample import FrequentValues
from monitor.segment import OTHER, segment_key

Leaf = tuple[str, ...]


def bases(columns: Sequence[str], groupings: Sequence[tuple[str, ...]]) -> tuple[Base, ...]:
    """ALL and every grouping, each counted by itself: a rare combination then never blurs a frequent coarse segment."""
    own = [(grouping, tuple(range(len(grouping)))) for grouping in ((), *groupings)]
    return tuple(Base(g, tuple(list(columns).index(column) for column in g), (Grouping(g, places),)) for g, places in own)


def leaves_of(batch: Batch, base: Base) -> tuple[list[Leaf], NDArray[np.intp]]:
    """The distinct values of the base's columns in a batch, and for each row which of them it has."""
    group = np.zeros(len(batch), np.intp)
    for place in base.places:
        # Renumbered after each column, so that the product stays below rows x values.
        group = np.unique(group * len(batch.segment_values[place]) + batch.segments[:, place], return_inverse=True)[1].reshape(-1)
    first = np.unique(group, return_index=True)[1]
    values = [[batch.segment_values[place][code] for code in batch.segments[first, place].tolist()] for place in base.places]
    return list(zip(*values, strict=True)) if values else [()] * len(first), group


@dataclass(frozen=True, slots=True)
class Admitted:
    """The segments with counts of their own, per base."""

    leaves: tuple[frozenset[Leaf], ...]

    def folded(self, index: int, leaf: Leaf) -> Leaf:
        """The leaf that counts a leaf of base ``index``: itself or ``__other__``."""
        return leaf if not leaf or leaf in self.leaves[index] else (OTHER,) * len(leaf)


def admit(seen: Sequence[FrequentValues[Leaf]], groups: Sequence[Base], max_segments: int) -> Admitted:
    """The ``max_segments`` segments with the most rows over all groupings, ties by key; ALL and ``__other__`` come on top."""
    ranked = sorted(
        (-rows, segment_key(base.columns, leaf), index, leaf)
        for index, (base, values) in enumerate(zip(groups, seen, strict=True))
        if base.columns
        for leaf, rows in values.counts.items()
    )[:max_segments]
    return Admitted(tuple(frozenset(leaf for _, _, at, leaf in ranked if at == index) for index in range(len(groups))))
