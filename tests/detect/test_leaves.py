"""Which segments are watched when all of them would be too many streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.evaluate import layout_of, reference_of, table_of
from monitor.detect.leaves import LEAST_ROWS, kinds_of, leaf_counts, leaves_of
from monitor.reference.reference import Reference
from monitor.segment import ALL
from tests.detect.make import PLAIN, SETTINGS, reference

SIGNALS = 4


def sized(segments: int, seed: int) -> Reference:
    """Segments of widely different size, some of too few rows."""
    return reference_of(table_of(layout_of(SIGNALS), segments, 2_000, np.random.default_rng(seed)))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 99), st.integers(1, 500))
def test_the_largest_segments_are_watched_and_the_others_counted(segments: int, seed: int, most: int) -> None:
    of = sized(segments, seed)
    rows = dict(zip(of.table.segments, of.table.rows.tolist(), strict=True))
    every, some = leaves_of(of, 1_000_000), leaves_of(of, most)
    assert set(every.streams) == {key for key, n in rows.items() if n >= LEAST_ROWS}
    left = set(every.streams) - set(some.streams)
    assert set(some.streams) <= set(every.streams) and every.left_out == 0 and some.left_out == len(left)
    assert some.streams[0] == ALL  # whatever the bound
    assert len(some.streams) == max(1, min(len(every.streams), most // kinds_of(of)))
    assert max((rows[key] for key in left), default=0) <= min(rows[key] for key in some.streams)


@pytest.mark.parametrize("most", [1, 100, 250, 1_000])
def test_rows_of_segments_that_are_not_watched_are_still_part_of_all_traffic(most: int) -> None:
    of = sized(60, 1)
    leaves = leaves_of(of, most)
    counts = leaf_counts(leaves, of.table)[leaves.members[0]].sum(axis=0)
    whole = of.table.counts[of.table.index[ALL]]
    assert (counts <= whole).all() and counts.sum() > 0.997 * whole.sum()


def test_nothing_is_left_out_by_default_of_a_thousand_segments_of_fifty_signals() -> None:
    of = reference(PLAIN)
    assert leaves_of(of, SETTINGS.max_streams).left_out == 0
    assert SETTINGS.max_streams >= 1_000 * 50 * 2


def test_segments_of_one_size_are_chosen_by_their_names() -> None:
    of = sized(12, 0)
    of.table.counts[1:] = of.table.counts[1]
    assert leaves_of(of, 5 * kinds_of(of)).streams == of.table.segments[:5]
