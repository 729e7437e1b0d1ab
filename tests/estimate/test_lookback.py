"""The present level, against all that could have happened, written out."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.estimate.lookback import FIRST_HOLDS, LATER_HOLDS, Habit, Level, present_level

HABIT = Habit(jump_sd=0.5, rows=100_000)
numbers = st.floats(-2, 2)
precisions = st.floats(0.1, 500)


def level(y, precision, own=0.001, offset=None, rows=1_000.0) -> Level:
    y, precision = np.atleast_2d(np.asarray(y, float)), np.atleast_2d(np.asarray(precision, float))
    t = y.shape[1]
    return present_level(
        y, precision, np.full(len(y), own), np.zeros(t) if offset is None else np.asarray(offset, float), np.full(t, rows), HABIT
    )


def by_enumeration(y, precision, own, offset, rows) -> tuple[float, float, float]:
    """Mean and variance of the present level and the probability of failure: over every set of changes and every case of each run."""
    t = len(y)
    change = 1 - math.exp(-rows / HABIT.rows)
    terms = []
    for changes in itertools.product([0, 1], repeat=t - 1):
        starts = [0, *(i + 1 for i, c in enumerate(changes) if c)]
        for failed in itertools.product([0, 1], repeat=len(starts)):
            log = sum(math.log(change if c else 1 - change) for c in changes)
            for number, (start, stop, fails) in enumerate(zip(starts, [*starts[1:], t], failed, strict=True)):
                holds = FIRST_HOLDS if number == 0 else LATER_HOLDS
                log += math.log(1 - holds if fails else holds)
                prior = own + fails * HABIT.jump_sd**2
                # y = level + offset + noise, jointly normal.
                covariance = np.full((stop - start, stop - start), prior + offset[start]) + np.diag(1 / np.array(precision[start:stop]))
                part = np.array(y[start:stop])
                solved = np.linalg.solve(covariance, part)
                log += -0.5 * part @ solved - 0.5 * np.linalg.slogdet(covariance)[1]
                gain = prior * np.linalg.solve(covariance, np.ones(len(part)))
            terms.append((log, gain @ part, prior - prior * gain.sum(), fails))
    log, mean, variance, fails = map(np.array, zip(*terms, strict=True))
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    centre = (weight * mean).sum()
    return centre, (weight * (variance + mean**2)).sum() - centre**2, (weight * fails).sum()


@given(st.lists(st.tuples(numbers, precisions, st.floats(0, 0.3)), min_size=1, max_size=4), st.floats(1e-4, 0.1), st.floats(10, 100_000))
def test_the_present_level_is_that_of_all_that_could_have_happened(blocks, own, rows):
    y, precision, offset = (list(column) for column in zip(*blocks, strict=True))
    found = level(y, precision, own, offset, rows)
    mean, variance, failed = by_enumeration(y, precision, own, offset, rows)
    assert found.value[0] == pytest.approx(mean, rel=1e-6, abs=1e-9)
    assert found.variance[0] == pytest.approx(variance, rel=1e-6, abs=1e-9)
    assert found.failed[0] == pytest.approx(failed, rel=1e-6, abs=1e-9)


def test_one_block_is_weighed_between_the_two_cases():
    y, precision, own = 0.3, 400.0, 0.01
    found = level([y], [precision], own)
    held, failed = (NormalDist(0, math.sqrt(v + 1 / precision)).pdf(y) for v in (own, own + 0.25))
    weight = FIRST_HOLDS * held / (FIRST_HOLDS * held + (1 - FIRST_HOLDS) * failed)
    shrunk = [y * v / (v + 1 / precision) for v in (own, own + 0.25)]
    assert found.value[0] == pytest.approx(weight * shrunk[0] + (1 - weight) * shrunk[1])
    assert found.failed[0] == pytest.approx(1 - weight)


def test_labels_that_say_nothing_against_the_table_leave_it_nearly_as_it_is():
    rng = np.random.default_rng(0)
    found = level(rng.normal(0, 0.08, 48), np.full(48, 1 / 0.08**2), own=1e-4)
    assert abs(found.value[0]) < 0.01
    assert found.failed[0] < 0.1


def test_a_jump_is_placed_to_the_block_and_only_blocks_since_speak_of_the_present():
    rng = np.random.default_rng(1)
    y = rng.normal(0, 0.08, 48)
    y[40:] += 0.4
    found = level(y, np.full(48, 1 / 0.08**2))
    assert found.value[0] == pytest.approx(y[40:].mean(), abs=0.02)
    assert found.failed[0] > 0.99
    assert found.current[0, 40] > 0.9
    assert found.current[0, 38] < 0.1
    assert found.path[0, :38] == pytest.approx(0, abs=0.06)
    assert found.path[0, 41:] == pytest.approx(found.value[0], abs=0.05)


def test_after_a_drift_was_repaired_the_table_holds_again():
    rng = np.random.default_rng(2)
    y = rng.normal(0, 0.08, 48)
    y[10:30] += 0.5
    found = level(y, np.full(48, 1 / 0.08**2))
    assert abs(found.value[0]) < 0.05
    assert found.failed[0] < 0.2


def test_an_error_common_to_a_run_is_not_taken_for_a_drift():
    y, precision = np.full(10, 0.4), np.full(10, 100.0)
    sure, unsure = level(y, precision), level(y, precision, offset=np.full(10, 0.5**2))
    assert sure.value[0] == pytest.approx(0.4, abs=0.05)
    assert unsure.value[0] < 0.15
    assert unsure.variance[0] > 5 * sure.variance[0]
    # What the offset explains away is left in what was measured.
    assert unsure.measured[0, -1] == pytest.approx(0.4, abs=0.05)


def test_a_block_without_labels_changes_nothing():
    y, precision = np.array([0.1, 9.0, 0.2]), np.array([100.0, 0.0, 100.0])
    rows = np.array([1_000.0, 0.0, 1_000.0])
    with_it = present_level(y[None], precision[None], np.array([0.01]), np.zeros(3), rows, HABIT)
    without = present_level(y[None, ::2], precision[None, ::2], np.array([0.01]), np.zeros(2), rows[::2], HABIT)
    assert with_it.value == pytest.approx(without.value, rel=1e-6)
    assert with_it.variance == pytest.approx(without.variance, rel=1e-6)


def test_streams_are_independent():
    rng = np.random.default_rng(3)
    y, precision = rng.normal(0, 0.3, (3, 7)), rng.uniform(1, 100, (3, 7))
    together = level(y, precision)
    for stream in range(3):
        assert together.path[stream] == pytest.approx(level(y[stream], precision[stream]).path[0])
