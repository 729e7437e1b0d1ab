"""Labels that wait for their turn: read, but later in event time than what can be judged yet.

A label *arrives* in the pane of the newest label of its partition up to and including it, so within a partition arrival panes never
fall and depend on the log alone. Labels of an arrival pane are taken out together once every partition has got past it and the
predictions they may belong to have been read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Labels as columns, one a row."""

    ids: NDArray[np.uint64]  # [n, 2]
    time_ms: Int64  # [n]
    rows: NDArray[np.void]  # [n] of ``RECORD``
    carried_ms: Int64  # [n] time of the prediction that the label carries
    carried: NDArray[np.void]  # [n] of ``row_dtype``, or of no field where labels carry none
    texts: NDArray[np.object_]  # [n] the ids as written

    def __len__(self) -> int:
        return len(self.time_ms)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> LabelRows:
        """Some of them."""
        return replace(self, **{column.name: getattr(self, column.name)[chosen] for column in fields(self)})


def joined(parts: Sequence[LabelRows]) -> LabelRows:
    """Several, one after the other; at least one."""
    return LabelRows(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(LabelRows)))


@dataclass(eq=False)
class Inbox:
    """Waiting labels by partition, in log order."""

    waiting: dict[int, list[tuple[Int64, LabelRows]]] = field(default_factory=dict)  # arrival pane, rows
    rows: int = 0

    def put(self, partition: int, arrived: Int64, labels: LabelRows) -> None:
        """Add labels of a partition; ``arrived`` [n] never falls."""
        if len(labels):
            self.waiting.setdefault(partition, []).append((arrived, labels))
            self.rows += len(labels)

    def first_pane(self) -> int | None:
        """The lowest arrival pane of which labels wait."""
        return min((int(parts[0][0][0]) for parts in self.waiting.values() if parts), default=None)

    def gather(self) -> None:
        """Make one part of what many polls brought, so that saving it does not cost by the poll."""
        for partition, parts in self.waiting.items():
            if len(parts) > 1:
                arrived = np.concatenate([arrived for arrived, _ in parts])
                self.waiting[partition] = [(arrived, joined([labels for _, labels in parts]))]

    def take(self, pane: int) -> LabelRows | None:
        """Take out the labels that arrived in ``pane`` or before."""
        taken: list[LabelRows] = []
        for partition in sorted(self.waiting):
            if self.waiting[partition][0][0][0] > pane:
                continue  # arrival panes never fall
            left = []
            for arrived, labels in self.waiting[partition]:
                cut = int(np.searchsorted(arrived, pane, side="right"))
                if cut:
                    taken.append(labels.where(slice(0, cut)))
                if cut < len(arrived):
                    left.append((arrived[cut:], labels.where(slice(cut, None))))
            self.waiting[partition] = left
        self.waiting = {partition: parts for partition, parts in self.waiting.items() if parts}
        if not taken:
            return None
        labels = joined(taken)
        self.rows -= len(labels)
        return labels
