"""The panes of a batch's rows, each partition's apart, as numbers that group them in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.batch import Int64, Span


@dataclass(frozen=True, eq=False, slots=True)
class PartitionPanes:
    """A number below ``len`` for each pane of each partition of a batch; few of them have rows."""

    numbers: Int64  # [rows]
    spans: Sequence[Span]
    first: int  # pane, counted since 1970
    panes: int  # from the first to the last

    @staticmethod
    def of(spans: Sequence[Span], pane: Int64) -> PartitionPanes:
        """``pane`` [rows], at least one, are counted since 1970."""
        first = int(pane.min())
        panes = int(pane.max()) - first + 1
        numbers = pane - first
        for place, span in enumerate(spans):
            numbers[span.start : span.stop] += place * panes
        return PartitionPanes(numbers, spans, first, panes)

    def __len__(self) -> int:
        return len(self.spans) * self.panes

    def where(self, number: int) -> tuple[int, int]:
        """Partition, and pane since 1970, of a number."""
        place, pane = divmod(number, self.panes)
        return self.spans[place].partition, pane + self.first
