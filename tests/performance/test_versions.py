"""Two versions compared: what helped, what hurt, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.performance.metric import METRICS
from monitor.performance.verdict import Performance, PerformanceSettings, performance
from monitor.performance.versions import Change, compare
from monitor.window import Window
from tests.performance.rows import Rows, binary_rows

SETTINGS = PerformanceSettings(costs=((0.0, 1.0), (5.0, 0.0)))


def of(rows: Rows, version: str, model: str = "m") -> Performance:
    return performance(rows.counts(), SETTINGS, model=model, version=version, view="prediction_time", window=Window("7d", 0, 1))


def test_a_fix_that_helps_in_one_segment_is_seen_there() -> None:
    random = np.random.default_rng(1)
    before, after = binary_rows(random, 12_000, segments=3, tilt=0.0), binary_rows(random, 12_000, segments=3, tilt=0.0)
    broken = before.segment == 1
    before.predicted[broken] = (before.score[broken] < 0.5).astype(int)  # segment 1 was answered the wrong way round
    found = compare(of(before, "1"), of(after, "2"))
    accuracy = found.metrics.index("accuracy")
    cost = found.metrics.index("expected_cost")
    assert found.segments == ("ALL", "s0", "s1", "s2")
    assert found.change[:, accuracy].tolist() == [Change.BETTER, Change.UNCLEAR, Change.BETTER, Change.UNCLEAR]
    assert found.change[2, cost] == Change.BETTER
    assert found.difference.value[2, cost] < 0
    truth = (after.truth == after.predicted)[after.segment == 1].mean() - (before.truth == before.predicted)[broken].mean()
    assert found.difference.value[2, accuracy] == pytest.approx(truth)
    back = compare(of(after, "2"), of(before, "1"))
    assert back.change[2, accuracy] == Change.WORSE
    assert back.difference.low[2, accuracy] == pytest.approx(-found.difference.high[2, accuracy])


def test_label_rates_are_other_not_better() -> None:
    random = np.random.default_rng(2)
    found = compare(of(binary_rows(random, 8000), "1"), of(binary_rows(random, 8000, tilt=0.1), "2"))
    rates = [place for place, name in enumerate(found.metrics) if METRICS[name].better == 0]
    assert found.change[0, rates].tolist() == [Change.OTHER] * 2


def test_too_few_labels_on_either_side_are_said() -> None:
    random = np.random.default_rng(3)
    many, few = binary_rows(random, 5000), binary_rows(random, 50)
    assert (compare(of(few, "1"), of(many, "2")).change == Change.INSUFFICIENT_DATA).all()
    assert (compare(of(many, "1"), of(few, "2")).change == Change.INSUFFICIENT_DATA).all()


def test_only_what_both_have_is_compared() -> None:
    random = np.random.default_rng(4)
    wide, narrow = binary_rows(random, 3000, segments=3), binary_rows(random, 3000, segments=2)
    with_kpi = replace(SETTINGS, with_kpi=True)
    after = performance(wide.counts(), with_kpi, model="m", version="2", view="prediction_time", window=Window("7d", 0, 1))
    found = compare(of(narrow, "1"), after)
    assert found.segments == ("ALL", "s0", "s1")
    assert "kpi_mean" not in found.metrics
    assert found.difference.value.shape == (3, len(found.metrics)) == found.change.shape


def test_another_model_is_refused() -> None:
    rows = binary_rows(np.random.default_rng(5), 10)
    with pytest.raises(ValueError, match="expected two versions of one model, got 'm' and 'other'"):
        compare(of(rows, "1"), of(rows, "2", model="other"))


def test_equal_versions_are_rarely_told_apart() -> None:
    """At 95 % one in twenty of independent metrics; 400 segments of accuracy: 20 expected, 36 have probability 0.0005."""
    random = np.random.default_rng(6)
    one, two = (binary_rows(random, 400 * 300, segments=400) for _ in range(2))
    found = compare(of(one, "1"), of(two, "2"))
    accuracy = found.change[1:, found.metrics.index("accuracy")]
    assert 5 <= np.isin(accuracy, (Change.BETTER, Change.WORSE)).sum() <= 35
