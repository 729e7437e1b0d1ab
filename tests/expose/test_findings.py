from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluate.verdict import Status
from monitor.expose.findings import conclude, shares, urgencies
from tests.expose.sample import running
from tests.expose.small import small

statuses = st.lists(st.sampled_from(list(Status)), min_size=1)


@given(statuses)
def test_one_drifted_statistic_is_a_drift_and_one_judged_one_is_a_judgement(found: list[Status]) -> None:
    whole = Status(int(conclude(np.array(found, np.uint8), axis=0)))
    assert (whole == Status.DRIFTED) == (Status.DRIFTED in found)
    assert (whole == Status.STABLE) == (Status.STABLE in found and Status.DRIFTED not in found)
    assert whole in found


@given(statuses)
def test_the_order_of_statuses_means_nothing(found: list[Status]) -> None:
    assert conclude(np.array(found, np.uint8), axis=0) == conclude(np.array(found[::-1], np.uint8), axis=0)


def test_a_rate_of_invalid_values_that_fell_is_not_urgent_but_missing_ones_that_fell_are() -> None:
    one = small()
    value = np.full_like(one.value, -0.5)
    for statistic, urgent in (("missing_rate", True), ("invalid_rate", False), ("psi", False)):
        judged = replace(one, statistics=("psi", statistic), value=value, status=np.full_like(one.status, Status.STABLE))
        assert bool((urgencies(judged)[:, :, 1] > 0).all()) is urgent


def test_the_most_urgent_of_the_calm_comes_after_the_least_urgent_of_the_drifted() -> None:
    one = small()
    value = np.array([[[1e9, 0.0], [0.0, 0.0]], [[1e-9, 0.0], [0.0, 0.0]]])
    status = np.zeros_like(one.status)
    status[1, 0, 0] = Status.DRIFTED
    urgent = urgencies(replace(one, value=value, status=status))
    assert urgent[1, 0, 0] > urgent[0, 0, 0] > urgent[0, 1, 0]


def test_shares_of_all_cells_sum_to_one_now_and_in_the_reference() -> None:
    one = running().verdicts[1]
    for segment in range(len(one.segments)):
        for signal in range(len(one.signals)):
            both = shares(one, segment, signal)
            assert both.reference is not None
            assert both.now.sum() == pytest.approx(1)
            assert both.reference.sum() == pytest.approx(1)


def test_what_a_small_segment_borrowed_is_part_of_what_it_is_compared_with() -> None:
    one = running().verdicts[1]
    assert one.baseline is not None
    signal = one.signals.index("temperature")
    segment = one.segments.index("origin=LGA,carrier=WN")
    both = shares(one, segment, signal)
    assert both.reference is not None
    expected = one.baseline.signals[signal].share[:, segment]
    values = both.reference[3:]
    assert values / values.sum() == pytest.approx(expected)
