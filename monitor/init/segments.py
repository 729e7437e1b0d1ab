"""Which columns of a sample are worth watching apart, as segments, and which could be."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.init.column import FEW_VALUES, MAX_CATEGORIES, Chosen, Column, shown
from monitor.init.names import CALENDAR_WORDS, SEGMENT_WORDS

_CHOSEN = 3
_ROWS_A_VALUE = 20


def segments(columns: Sequence[Column], rows: int) -> tuple[list[Chosen], list[Chosen]]:
    """Columns to be segments, those that are named like one first, and the others whose values come again and again."""
    found = [
        column
        for column in columns
        if column.kind == "text"
        and 2 <= column.distinct <= min(MAX_CATEGORIES, rows // _ROWS_A_VALUE)
        and len(column.values) >= 0.9 * rows
        and not column.words & CALENDAR_WORDS
    ]
    found.sort(key=lambda column: (not column.words & SEGMENT_WORDS, column.distinct))
    few = [column for column in found if column.distinct <= FEW_VALUES][:_CHOSEN]
    return [_segment(column) for column in few], [_segment(column) for column in found if column not in few]


def _segment(column: Column) -> Chosen:
    return Chosen(column, f"{column.distinct:,} different values, such as {shown(column)}")
