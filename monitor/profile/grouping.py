"""Which groupings are counted, and which are only sums of counted ones.

Counting costs per event; summing costs per pane. So only groupings that no other grouping contains are counted (*base*
groupings); each of the rest, ALL included, is the sum of a base grouping over the columns it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.segment import segment_key


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouping as seen from the base grouping that contains it."""

    columns: tuple[str, ...]
    places: tuple[int, ...]  # where its columns stand among the base grouping's

    def key(self, leaf: Sequence[str]) -> str:
        """Key of the segment that a leaf of the base grouping belongs to."""
        return segment_key(self.columns, tuple(leaf[place] for place in self.places))


@dataclass(frozen=True, slots=True)
class Base:
    """A counted grouping and the groupings summed from it (itself among them)."""

    columns: tuple[str, ...]
    places: tuple[int, ...]  # where its columns stand among the batch's segment columns
    groupings: tuple[Grouping, ...]


def plan(columns: Sequence[str], groupings: Sequence[tuple[str, ...]]) -> tuple[Base, ...]:
    """The base groupings of a model; every grouping, and ALL, is served by exactly one of them.

    >>> [base.columns for base in plan(["a", "b", "c"], [("a",), ("b",), ("a", "b"), ("c",)])]
    [('a', 'b'), ('c',)]
    """
    everything: list[tuple[str, ...]] = [(), *groupings]
    finest = [g for g in everything if not any(set(g) < set(other) for other in everything)]
    served: dict[tuple[str, ...], list[tuple[str, ...]]] = {base: [] for base in finest}
    for grouping in everything:
        served[next(base for base in finest if set(grouping) <= set(base))].append(grouping)
    return tuple(
        Base(
            base,
            tuple(list(columns).index(column) for column in base),
            tuple(Grouping(g, tuple(base.index(column) for column in g)) for g in served[base]),
        )
        for base in finest
    )
