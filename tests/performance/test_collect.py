"""Which labels to collect: enough rows give the wanted width, fewer do not; shortages against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.performance.collect import rows_for_width, shortages, wanted
from monitor.performance.interval import wilson
from tests.performance.rows import Rows, binary_rows, multiclass_rows
from tests.performance.test_regression import regression_rows

Z = 1.96


def width_of(share: float, n: int) -> float:
    weight = Z**2 / n
    return 2 * np.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)


@given(st.floats(0, 1), st.floats(0.01, 0.9))
def test_so_many_rows_and_no_fewer_give_the_width(share: float, width: float) -> None:
    n = int(rows_for_width(np.array(share), width, Z))
    assert width_of(share, n) <= width * (1 + 1e-9)
    assert n == 1 or width_of(share, n - 1) > width * (1 - 1e-9)


def test_a_width_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a width between 0 and 1, got 1\.5"):
        rows_for_width(np.array(0.5), 1.5, Z)


def test_after_collecting_what_was_asked_the_interval_is_narrow_enough() -> None:
    random = np.random.default_rng(1)
    rows = binary_rows(random, 5000, segments=3)
    rows.segment[rows.segment == 2] = np.where(random.random((rows.segment == 2).sum()) < 0.9, 1, 2)  # a small one
    counts = rows.counts()
    found = wanted(counts, 0.06, Z)
    assert found.precision[3, 1] > found.precision[0, 1] == 0
    for g in range(4):
        judged = counts.right_wrong.sum(axis=(1, 2))[g]
        share, n = judged[0] / judged.sum(), int(judged.sum() + found.accuracy[g])
        then = wilson(share * n, n, Z)
        assert float(then.high - then.low) <= 0.06 + 1e-9
        for c in range(2):
            right, predicted = counts.confusion[g, c, c], counts.confusion[g, c].sum()
            n = int(predicted + found.precision[g, c])
            then = wilson(right / predicted * n, n, Z)
            assert float(then.high - then.low) <= 0.06 + 1e-9
    rate = counts.by_lag.sum(axis=1)[3, 1] / counts.labelled[3]
    assert found.recall[3, 1] == np.ceil(found.recall_rows[3, 1] / rate)


def test_a_class_never_seen_asks_for_the_most_and_its_recall_for_no_end() -> None:
    rows = Rows(multiclass_rows(np.random.default_rng(0), 1).layout, np.full(50, 0.9), np.zeros(50, int), np.zeros(50, int))
    rows.labelled = np.arange(50) < 40
    found = wanted(rows.counts(), 0.1, Z)
    assert found.precision[0, 1] == found.recall_rows[0, 1] == rows_for_width(np.array(0.5), 0.1, Z)
    assert np.isinf(found.recall[0, 1])
    assert found.unlabelled.tolist() == [10, 10]
    assert found.ranked()[0] == ("ALL", "b", int(found.precision[0, 1]))
    assert [row[2] for row in found.ranked()] == sorted((row[2] for row in found.ranked()), reverse=True)


def test_a_regression_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a classification, got task regression"):
        wanted(regression_rows(np.random.default_rng(0), 5).counts(), 0.1, Z)


def test_what_is_under_represented_is_ranked_by_what_is_missing() -> None:
    random = np.random.default_rng(2)
    reference = binary_rows(random, 20_000, segments=4)
    now = binary_rows(random, 8000, segments=4)
    # Labels of segment 1 came half as often; in segment 2 those of the positive class.
    lost = ((now.segment == 1) & (random.random(8000) < 0.5)) | ((now.segment == 2) & (now.truth == 1) & (random.random(8000) < 0.4))
    now.labelled = ~lost
    found = shortages(now.counts(), reference.counts(), 3.3)
    names = [(shortage.segment, shortage.of) for shortage in found]
    assert ("s1", "") in names
    assert ("s2", "yes") in names
    assert ("s2", "no") not in names
    assert not any(segment in ("s0", "s3") for segment, _ in names)
    assert [shortage.missing for shortage in found] == sorted((shortage.missing for shortage in found), reverse=True)
    counts = now.counts()
    first = found[names.index(("s1", ""))]
    assert first.share == pytest.approx(counts.labelled[2] / counts.labelled[0])
    assert first.ratio == pytest.approx(first.share / first.reference_share)
    # With the missing labels the share would be the reference's.
    assert (counts.labelled[2] + first.missing) / (counts.labelled[0] + first.missing) == pytest.approx(first.reference_share, abs=1e-3)


def test_nothing_is_missing_where_nothing_differs_or_can_be_compared() -> None:
    random = np.random.default_rng(3)
    reference, now = binary_rows(random, 20_000, segments=50).counts(), binary_rows(random, 8000, segments=50).counts()
    assert len(shortages(now, reference, 3.3)) <= 1
    elsewhere = type(now)(now.layout, tuple(f"x{k}" for k in range(51)), *[getattr(now, name) for name in (
        "predictions", "confusion", "by_score", "right_wrong", "by_lag", "sums")])  # fmt: skip
    assert shortages(elsewhere, reference, 3.3) == []
