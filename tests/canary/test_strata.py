"""Strata: against a computation row by row, and laws that hold for any rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.canary.losses import PaneLosses, loss_scale, pane_losses
from monitor.canary.strata import strata
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.sparse import sparse

Row = tuple[int, int, int, float]  # side, pane, combination, loss

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 7), st.integers(0, 3), st.sampled_from([0.0, 0.05, 0.4, 1.0])), min_size=1, max_size=250
)


def panes_of(rows: list[Row], side: int) -> dict[int, PaneLosses]:
    found = {}
    for pane in sorted({row[1] for row in rows if row[0] == side}):
        mine = [row for row in rows if row[:2] == (side, pane)]
        combinations = sorted({row[2] for row in mine})
        losses = [[row[3] for row in mine if row[2] == each] for each in combinations]
        found[pane] = PaneLosses(
            np.array(combinations),
            *(np.array([float(f(each)) for each in losses]) for f in (len, sum, lambda each: sum(x * x for x in each))),
            len(mine),
        )
    return found


def by_row(rows: list[Row], end: int) -> dict[tuple[int, int], tuple[float, float, float]]:
    """Weight, excess and squares of each stratum (combination, first pane), by definition."""
    width = {}
    for combination in {row[2] for row in rows}:
        n = sum(row[2] == combination for row in rows)
        width[combination] = 1
        while width[combination] * n < 16 * end and width[combination] < end:
            width[combination] *= 2
    members = defaultdict(list)
    for row in rows:
        members[row[2], row[1] // width[row[2]] * width[row[2]]].append(row)
    found = {}
    for (combination, start), mine in members.items():
        earlier = [row[3] for row in rows if row[1] < start]
        pooled = (sum(earlier) + 0.05) / (len(earlier) + 1)
        own = [row[3] for row in rows if row[2] == combination and row[1] < start]
        forecast = (sum(own) + 20 * pooled) / (len(own) + 20)
        n = [sum(row[0] == side for row in mine) for side in (0, 1)]
        if 0 in n:
            found[combination, start] = (0.0, 0.0, 0.0)
            continue
        factor = (-n[1] / sum(n), n[0] / sum(n))
        found[combination, start] = (
            n[0] * n[1] / sum(n),
            sum(factor[row[0]] * row[3] for row in mine),
            sum(factor[row[0]] ** 2 * (row[3] - forecast) ** 2 for row in mine),
        )
    return found


@given(ROWS)
def test_strata_are_what_rows_say_one_by_one(rows):
    end = 8
    found = strata((panes_of(rows, 0), panes_of(rows, 1)), 0, end, np.arange(4))
    expected = [value for _, value in sorted(by_row(rows, end).items())]
    got = np.stack([found.weight, found.excess, found.squares], axis=1)
    assert got.shape[0] == len(expected)
    assert got == pytest.approx(np.array(expected), abs=1e-9)
    assert found.rows.sum() == len(rows)


@given(ROWS, st.permutations(range(4)))
def test_how_combinations_are_numbered_changes_no_bit(rows, numbers):
    one = strata((panes_of(rows, 0), panes_of(rows, 1)), 0, 8, np.arange(4))
    renumbered = [(side, pane, numbers[combination], loss) for side, pane, combination, loss in rows]
    ranks = np.argsort(numbers)  # the combination of number n is the same one as before
    two = strata((panes_of(renumbered, 0), panes_of(renumbered, 1)), 0, 8, ranks)
    for name in ("rows", "loss", "weight", "excess", "squares"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name


def test_floats_are_summed_in_an_order_that_numbers_do_not_change():
    """Any losses, many combinations in each pane: sums of floats show their order in the last bits."""
    for seed in range(10):
        random = np.random.default_rng(seed)
        rows = [(int(random.integers(2)), int(random.integers(8)), int(random.integers(4)), float(random.random())) for _ in range(1_500)]
        numbers = random.permutation(4).tolist()
        one = strata((panes_of(rows, 0), panes_of(rows, 1)), 0, 8, np.arange(4))
        renumbered = [(side, pane, numbers[combination], loss) for side, pane, combination, loss in rows]
        two = strata((panes_of(renumbered, 0), panes_of(renumbered, 1)), 0, 8, np.argsort(numbers))
        assert one.squares.tobytes() == two.squares.tobytes()
        assert one.excess.tobytes() == two.excess.tobytes()


@given(ROWS)
def test_the_versions_change_places_and_the_difference_its_sign(rows):
    one = strata((panes_of(rows, 0), panes_of(rows, 1)), 0, 8, np.arange(4))
    two = strata((panes_of(rows, 1), panes_of(rows, 0)), 0, 8, np.arange(4))
    assert one.weight == pytest.approx(two.weight)
    assert one.excess == pytest.approx(-two.excess, abs=1e-12)
    assert one.squares == pytest.approx(two.squares, abs=1e-12)


def test_a_combination_with_many_rows_is_compared_pane_by_pane():
    rows = [(side, pane, 0, 0.0) for side in (0, 1) for pane in range(8) for _ in range(8)]
    found = strata((panes_of(rows, 0), panes_of(rows, 1)), 0, 8, np.arange(1))
    assert found.rows.tolist() == [[8, 8]] * 8
    few = rows[::2]
    found = strata((panes_of(few, 0), panes_of(few, 1)), 0, 8, np.arange(1))
    assert found.rows.tolist() == [[8, 8]] * 4, "half as many rows: stretches of two panes"


def test_losses_of_a_pane_are_sums_over_its_cells():
    layout = OutcomeLayout("binary", ("0", "1"))
    scale = loss_scale("expected_cost", 2, ((0.0, 1.0), (20.0, 0.0)))

    def code(combination: int, lag: int, score: int, predicted: int, truth: int) -> int:
        cell = ((lag * layout.score_cells + score) * layout.predicted + predicted) * layout.truth + truth
        return combination * layout.cells + layout.first_outcome + cell

    # Combination 3: two right, three false positives (1 / 20 each), a false negative (1); combination 5: no class, truly positive.
    codes = [code(3, 0, 4, 0, 0), code(3, 2, 5, 1, 1), code(3, 1, 9, 1, 0), code(3, 4, 4, 0, 1), code(5, 0, 3, 2, 1), 7 * layout.cells + 4]
    found = pane_losses(layout, sparse(np.array(codes), np.array([1, 1, 3, 1, 1, 9])), scale)
    assert found.combination.tolist() == [3, 5]
    assert found.rows.tolist() == [6, 1]
    assert found.loss == pytest.approx([3 / 20 + 1, 1])
    assert found.squared == pytest.approx([3 / 400 + 1, 1])
    assert found.predictions == 9
    assert scale.at_zero + scale.per_loss * found.loss[0] / 6 == pytest.approx((3 * 1 + 20) / 6)


def test_accuracy_counts_every_wrong_class():
    table = loss_scale("accuracy", 3, ()).table
    assert table.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
