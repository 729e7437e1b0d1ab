"""The sample is uniform and independent of batch cuts; frequent values are never missed; extents are exact."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor.reference.sample import MAX_DISTINCT, FrequentValues, Numbers, Reservoir


def test_every_row_is_equally_likely_to_be_in_the_sample() -> None:
    picked = np.zeros(200)
    for seed in range(400):
        reservoir = Reservoir(1, size=20, seed=seed)
        for part in np.split(np.arange(200.0), 8):
            reservoir.add(part[:, None])
        assert len(reservoir.values) == 20
        picked[reservoir.values[:, 0].astype(int)] += 1
    assert picked.sum() == 8_000
    assert stats.chisquare(picked).pvalue > 1e-4


@given(st.lists(st.integers(0, 70), max_size=8))
def test_the_sample_does_not_depend_on_batch_cuts(cuts: list[int]) -> None:
    rows = np.arange(70.0)[:, None]
    whole, parts = Reservoir(1, size=10, seed=7), Reservoir(1, size=10, seed=7)
    whole.add(rows)
    for part in np.split(rows, sorted(cuts)):
        parts.add(part)
    assert sorted(whole.values[:, 0]) == sorted(parts.values[:, 0])


def test_fewer_rows_than_the_sample_holds_are_all_in_it() -> None:
    reservoir = Reservoir(2, size=10)
    reservoir.add(np.arange(8.0).reshape(4, 2))
    assert reservoir.values.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@given(st.lists(st.integers(0, 30), max_size=300), st.integers(1, 12))
def test_frequent_values_are_kept_and_undercounted_by_no_more_than_the_error(values: list[int], capacity: int) -> None:
    frequent: FrequentValues[int] = FrequentValues(capacity)
    for value in values:
        frequent.add([(value, 1)])
    true = Counter(values)
    assert len(frequent.counts) <= 2 * capacity
    assert frequent.error * (capacity + 1) <= len(values)
    for value, rows in true.items():
        assert rows - frequent.error <= frequent.counts.get(value, 0) <= rows
    if len(true) <= capacity:
        assert frequent.counts == true and frequent.error == 0


def test_the_error_stays_below_the_rows_over_the_capacity_when_a_value_overtakes_another() -> None:
    frequent: FrequentValues[str] = FrequentValues(1)
    frequent.add([("a", 101), ("b", 100), ("c", 1)])  # 100 is taken from all: a stays with 1
    assert (frequent.counts, frequent.error) == ({"a": 1}, 100)
    frequent.add([("b", 150), ("d", 1)])
    assert (frequent.counts, frequent.error) == ({"b": 149}, 101)
    assert frequent.error * 2 <= 353


def test_the_most_frequent_come_first_and_ties_in_order() -> None:
    frequent: FrequentValues[str] = FrequentValues(10)
    frequent.add([("b", 2), ("a", 2), ("c", 5), ("d", 1)])
    assert frequent.most(3) == ["c", "a", "b"]


def test_extents_and_distinct_values_are_those_within_the_declared_range() -> None:
    numbers = Numbers((0.0, 10.0))
    numbers.add(np.array([3.0, -999.0, 7.0]))
    numbers.add(np.array([]))
    numbers.add(np.array([3.0, 20.0]))
    assert (numbers.low, numbers.high) == (-999.0, 20.0)
    assert (numbers.low_inside, numbers.high_inside) == (3.0, 7.0)
    assert numbers.distinct is not None and numbers.distinct.tolist() == [3.0, 7.0]


@pytest.mark.parametrize(("different", "known"), [(MAX_DISTINCT, True), (MAX_DISTINCT + 1, False)])
def test_distinct_values_are_given_up_when_there_are_too_many(different: int, known: bool) -> None:
    numbers = Numbers()
    for value in range(different):
        numbers.add(np.array([float(value)] * 2))
    assert (numbers.distinct is not None) is known
