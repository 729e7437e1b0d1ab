"""CountTable: counts of segments by cells, a commutative monoid under ``merge``.

    merge(a, empty) == a      merge(a, b) == merge(b, a)      merge(merge(a, b), c) == merge(a, merge(b, c))

Counting two batches apart and merging equals counting them together; nothing else is ever done to counts,
so partitions, panes, restarts and replicas need no arithmetic of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import Layout

TAIL_SCALE = 1 << 16
"""``tails`` are sums of log2|x| in units of 2**-16: whole numbers, so that sums do not depend on order."""


@dataclass(frozen=True, eq=False)
class CountTable:
    """Rows of counts, one per segment, sorted by segment key.

    ``tails[s, f]`` is the sum of log2|x| over the values in the under- and the overflow cell of a numeric signal:
    what lies outside the edges keeps its order of magnitude, which names a changed unit.
    """

    layout: Layout
    segments: tuple[str, ...]
    counts: NDArray[np.int64]  # [segments, cells]
    tails: NDArray[np.int64]  # [segments, signals, 2]
    index: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {segment: row for row, segment in enumerate(self.segments)})

    @property
    def rows(self) -> NDArray[np.int64]:
        """[segments] rows counted. Each row has one cell in each signal; a signal that started anew has fewer."""
        per_signal = np.add.reduceat(self.counts, self.layout.offsets[:-1], axis=1)
        return np.asarray(per_signal.max(axis=1, initial=0))

    def merge(self, other: CountTable) -> CountTable:
        """Sum by segment key. Raises ``ValueError`` when the layouts differ."""
        return merge_tables(self.layout, [self, other])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CountTable)
            and self.layout.fingerprint == other.layout.fingerprint
            and self.segments == other.segments
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.tails, other.tails)
        )

    __hash__ = None  # type: ignore[assignment]


def empty_table(layout: Layout) -> CountTable:
    """The identity of ``merge``."""
    signals = len(layout.signals)
    return CountTable(layout, (), np.zeros((0, layout.cells), np.int64), np.zeros((0, signals, 2), np.int64))


def merge_tables(layout: Layout, tables: Sequence[CountTable]) -> CountTable:
    """Sum of many tables by segment key. Raises ``ValueError`` when a layout differs from ``layout``."""
    for table in tables:
        if table.layout is not layout and table.layout.fingerprint != layout.fingerprint:
            raise ValueError(
                f"expected counts of layout {layout.fingerprint[:12]}, got {table.layout.fingerprint[:12]}: they have other bins"
            )
    segments = tuple(sorted(set().union(*(table.segments for table in tables))))
    place = {segment: row for row, segment in enumerate(segments)}
    counts = np.zeros((len(segments), layout.cells), np.int64)
    tails = np.zeros((len(segments), len(layout.signals), 2), np.int64)
    for table in tables:
        rows = np.fromiter((place[segment] for segment in table.segments), np.intp, len(table.segments))
        counts[rows] += table.counts  # keys are distinct within a table, so no row is named twice
        tails[rows] += table.tails
    return CountTable(layout, segments, counts, tails)
