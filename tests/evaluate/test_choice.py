"""Distances of features with many categories, whose cells the reference itself chose."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS
from monitor.profile.layout import Layout
from monitor.reference.survey import CATEGORY_CELLS, KNOWN_CATEGORIES
from tests.evaluate.make import categorical, judge, reference_of, table_of

ALIKE = np.full(200, 1 / 200)
LONG = np.arange(1, 20_001.0) ** -1.1 / (np.arange(1, 20_001.0) ** -1.1).sum()
WINDOWS = 300


def windows_of(now: NDArray[np.float64], then: NDArray[np.float64], rows: int, reference_rows: int) -> dict[str, float]:
    """Part of the windows in which each statistic is drifted; the cells are chosen by the counts of the reference, as they are built."""
    rng = np.random.default_rng(rows + reference_rows)
    first = rng.multinomial(reference_rows, then)
    order = [place for place in np.argsort(-first, kind="stable").tolist() if first[place]]
    known, tail = order[:CATEGORY_CELLS], order[CATEGORY_CELLS:KNOWN_CATEGORIES]
    signal = categorical("c", [f"c{place}" for place in known], tail=tuple(f"c{place}" for place in tail))

    def cells(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        other = counts[tail].sum()
        return np.array([0, 0, 0, *counts[known], other, counts.sum() - counts[known].sum() - other, 0])

    layout = Layout((signal,))
    windows = {f"country={i:03d}": cells(rng.multinomial(rows, now)) for i in range(WINDOWS)}
    reference = reference_of(table_of(layout, {name: cells(first) for name in ("ALL", *windows)}))
    drifted = judge(table_of(layout, {"ALL": sum(windows.values()), **windows}), reference).drifted()[1:, 0].mean(axis=0)
    return dict(zip(STATISTICS, drifted.tolist(), strict=True))


@pytest.mark.parametrize("shares", [ALIKE, LONG], ids=["alike", "long"])
@pytest.mark.parametrize("rows", [300, 1_000, 10_000])
@pytest.mark.parametrize("reference_rows", [2_000, 20_000])
def test_many_categories_do_not_drift_because_the_reference_chose_their_cells(
    shares: NDArray[np.float64], rows: int, reference_rows: int
) -> None:
    assert max(windows_of(shares, shares, rows, reference_rows).values()) <= 0.01


def test_of_many_categories_one_that_moves_is_found_and_so_is_a_new_one() -> None:
    moved = LONG.copy()
    moved[[0, 3]] = 0.4 * LONG[0], LONG[3] + 0.6 * LONG[0]
    assert windows_of(moved, LONG, 1_000, 20_000)["jensen_shannon"] > 0.99
    before, after = np.append(ALIKE, 0.0), np.append(0.95 * ALIKE, 0.05)
    assert windows_of(after, before, 1_000, 20_000)["unseen_rate"] > 0.99
