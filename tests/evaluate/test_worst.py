"""Which cells moved most."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from monitor.config.evaluation import Evaluation
from monitor.evaluate.worst import BinShift, worst_bins
from monitor.profile.layout import Layout
from tests.evaluate.make import categorical, judge, numeric, reference_of, table_of

LAYOUT = Layout((numeric("x", [0.0, 1.0]), categorical("c", ["a", "b", "d"])))
THEN = [0, 0, 0, 0, 100_000, 0, 0, 0, 0, 50_000, 30_000, 20_000, 0, 0, 0]
NOW = [100, 0, 0, 0, 900, 0, 0, 0, 0, 400, 300, 100, 0, 200, 0]


def test_the_cells_that_moved_most_come_first_with_their_part_of_psi() -> None:
    verdicts = judge(table_of(LAYOUT, {"ALL": NOW}), reference_of(table_of(LAYOUT, {"ALL": THEN})))
    half_row = 0.5 * (1 / 1000 + 1 / 100_000)
    expected = [
        BinShift("unseen", 0.0, 0.2, (0.2 - half_row) * math.log(0.2 / half_row)),
        BinShift("d", 0.2, 0.1, 0.1 * math.log(2)),
        BinShift("a", 0.5, 0.4, 0.1 * math.log(5 / 4)),
    ]
    for found, wanted in zip(worst_bins(verdicts, 0, 1, 10), expected, strict=True):  # b did not move
        assert found.label == wanted.label
        assert (found.reference_share, found.share, found.contribution) == pytest.approx(
            (wanted.reference_share, wanted.share, wanted.contribution)
        )
    assert [moved.label for moved in worst_bins(verdicts, 0, 1, 2)] == ["unseen", "d"]
    assert worst_bins(verdicts, 0, 0, 3) == ()


def test_it_is_the_reference_that_the_segment_was_compared_with() -> None:
    reference = reference_of(table_of(LAYOUT, {"ALL": THEN}))
    verdicts = judge(table_of(LAYOUT, {"ALL": NOW, "country=FR": NOW}), reference)
    own, whole = worst_bins(verdicts, 1, 1, 5), worst_bins(verdicts, 0, 1, 5)
    assert [replace(each, contribution=0.0) for each in own] == [replace(each, contribution=0.0) for each in whole]


def test_without_a_reference_or_without_values_there_are_none() -> None:
    now = table_of(LAYOUT, {"ALL": [1000] + [0] * 5 + [1000] + [0] * 8})
    assert worst_bins(judge(now, None), 0, 1, 5) == ()
    assert worst_bins(judge(now, reference_of(table_of(LAYOUT, {"ALL": THEN})), Evaluation(min_rows=1)), 0, 1, 5) == ()
