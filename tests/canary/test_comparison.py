"""The comparison: what it promises at all times, Simpson's paradox, and where a candidate is worse."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.canary.comparison import CanarySettings, CanaryVerdict, compare
from monitor.canary.losses import PaneLosses, loss_scale
from monitor.canary.strata import strata
from monitor.segment import ALL
from tests.canary.streams import binary, excluded

SCALE = loss_scale("accuracy", 2, ())


def counts(rows: list[int], wrong: list[int]) -> PaneLosses:
    losses = np.array(wrong, float)
    return PaneLosses(np.arange(len(rows)), np.array(rows, float), losses, losses, sum(rows))


@pytest.mark.parametrize(
    ("case", "most"),
    [
        ({"rates": (0.05, 0.2), "rows": 20, "difference": 0.0}, 0.05),
        ({"rates": (0.05, 0.2), "rows": 20, "difference": 0.03, "share": (0.02, 0.5), "swing": 0.6, "trickle": 0.1}, 0.05),
        ({"rates": (0.05, 0.3, 0.1, 0.5), "rows": 2, "difference": 0.0, "share": (0.02, 0.5), "swing": 0.6, "trickle": 0.1}, 0.05),
        ({"rates": (0.05, 0.2), "rows": 20, "difference": 0.0, "share": (0.1, 0.5), "trickle": 0.2, "confidence": 0.5}, 0.5),
    ],
    ids=["labels at once", "raised share, daily cycle, late labels", "sparse segments", "half"],
)
def test_of_all_trials_at_most_alpha_ever_exclude_the_truth(case, most):
    """Looked at after each of 40 panes. The bound is the promise itself: what is measured lies far below it."""
    trials = 300
    ever = excluded(7, trials=trials, panes=40, **case).mean()
    assert ever <= most + 3 * np.sqrt(most * (1 - most) / trials)


def test_intervals_are_not_wide_for_nothing():
    """At most 1.8 times as wide as at one fixed time, for 95 % both: what it costs to be allowed to look at any time."""
    rows, p = 20_000, 0.05
    sides = tuple({pane: counts([rows // 20], [int(rows // 20 * p)]) for pane in range(20)} for _ in range(2))
    found = compare(strata(sides, 0, 20, np.zeros(1, np.int64)), (ALL,), np.zeros((1, 1), np.intp), SCALE, CanarySettings(0, 0.95, 1))
    fixed = 2 * 1.96 * np.sqrt(2 * p * (1 - p) / rows)
    assert fixed < found.high[0] - found.low[0] < 1.8 * fixed


def test_a_better_candidate_with_the_harder_traffic_is_better():
    """Simpson's paradox: better in every segment, and worse in the sum of its traffic."""
    champion = {pane: counts([900, 100], [45, 40]) for pane in range(10)}  # 5 % and 40 % wrong, 8.5 % in all
    candidate = {pane: counts([200, 800], [4, 240]) for pane in range(10)}  # 2 % and 30 % wrong, 24.4 % in all
    places = np.array([[0, 0], [1, 2]], np.intp)
    found = compare(strata((champion, candidate), 0, 10, np.arange(2)), (ALL, "a", "b"), places, SCALE, CanarySettings(0.01, 0.95, 200))
    assert found.plain[0] == pytest.approx([0.915, 0.756])
    assert found.difference[1:] == pytest.approx([0.03, 0.10])
    weights = np.array([900 * 200 / 1100, 100 * 800 / 900])
    assert found.difference[0] == pytest.approx((weights * [0.03, 0.10]).sum() / weights.sum())
    assert found.value[0, 1] - found.value[0, 0] == pytest.approx(found.difference[0])
    assert [CanaryVerdict(each).label for each in found.verdict] == ["better"] * 3
    assert found.low[0] > 0
    assert found.better[0] > 0.975


def test_a_share_raised_on_an_easy_day_gains_nothing():
    """The candidate gets most of its traffic while the day is easy; both are equally good at every hour."""
    random = np.random.default_rng(3)
    champion, candidate = {}, {}
    for pane in range(40):
        rate, part = (0.30, 0.05) if pane < 20 else (0.05, 0.5)
        champion[pane] = binary(random, np.array([int(2_000 * (1 - part))]), np.array([rate]))
        candidate[pane] = binary(random, np.array([int(2_000 * part)]), np.array([rate]))
    found = compare(
        strata((champion, candidate), 0, 40, np.zeros(1, np.int64)),
        (ALL,),
        np.zeros((1, 1), np.intp),
        SCALE,
        CanarySettings(0.02, 0.95, 200),
    )
    assert found.plain[0, 1] - found.plain[0, 0] > 0.08, "as served, the candidate looks much better"
    assert found.verdict[0] == CanaryVerdict.NOT_WORSE
    assert abs(found.difference[0]) < 0.01


def test_the_segment_in_which_a_candidate_is_worse_is_named():
    random = np.random.default_rng(5)
    segments = 30
    rates = np.full(segments, 0.1)
    worse = rates.copy()
    worse[7] = 0.25
    champion = {pane: binary(random, np.full(segments, 100), rates) for pane in range(20)}
    candidate = {pane: binary(random, np.full(segments, 100), worse) for pane in range(20)}
    names = (ALL, *(f"s={number}" for number in range(segments)))
    places = np.stack([np.zeros(segments, np.intp), np.arange(1, segments + 1)])
    found = compare(strata((champion, candidate), 0, 20, np.arange(segments)), names, places, SCALE, CanarySettings(0.02, 0.95, 200))
    assert [names[place] for place in np.flatnonzero(found.verdict == CanaryVerdict.WORSE)] == ["s=7"]
    assert found.verdict[0] == CanaryVerdict.NOT_WORSE, "the whole traffic loses half a point"
    assert found.high[8] < -0.02


def test_differences_decide_against_the_margin():
    def verdict(wrong: int, margin: float) -> CanaryVerdict:
        sides = tuple({pane: counts([5_000], [each]) for pane in range(10)} for each in (500, wrong))
        settings = CanarySettings(margin, 0.95, 200)
        found = compare(strata(sides, 0, 10, np.zeros(1, np.int64)), (ALL,), np.zeros((1, 1), np.intp), SCALE, settings)
        return CanaryVerdict(found.verdict[0])

    assert verdict(500, 0.0) is CanaryVerdict.UNDECIDED, "of two equal versions none is ever better"
    assert verdict(500, 0.02) is CanaryVerdict.NOT_WORSE
    assert verdict(575, 0.03) is CanaryVerdict.NOT_WORSE, "worse, but by less than the margin"
    assert verdict(575, 0.0) is CanaryVerdict.WORSE
    assert verdict(400, 0.0) is CanaryVerdict.BETTER


def test_too_few_rows_and_rows_of_one_version_only_are_no_verdict():
    settings = CanarySettings(0.0, 0.95, 200)
    sides = ({0: counts([150], [0])}, {0: counts([150], [150])})
    found = compare(strata(sides, 0, 1, np.zeros(1, np.int64)), (ALL,), np.zeros((1, 1), np.intp), SCALE, settings)
    assert found.verdict[0] == CanaryVerdict.INSUFFICIENT_DATA
    assert found.worse[0] > 0.99, "the confidence is shown all the same"
    apart = ({0: counts([1_000, 0], [5, 0])}, {0: PaneLosses(np.array([1]), *(np.array([x]) for x in (1000.0, 900.0, 900.0)), 1000)})
    found = compare(strata(apart, 0, 1, np.arange(2)), (ALL,), np.zeros((1, 2), np.intp), SCALE, settings)
    assert found.labelled.tolist() == [[1000, 1000]]
    assert found.compared.tolist() == [[0, 0]]
    assert np.isnan(found.difference[0])
    assert found.verdict[0] == CanaryVerdict.INSUFFICIENT_DATA


def test_costs_come_in_their_own_unit():
    scale = loss_scale("expected_cost", 2, ((-2.0, 3.0), (20.0, 0.0)))

    # Of 1,000 rows of each truth the candidate misses 10 positives more, which cost 20 each; the cheapest outcome gains 2.
    def side(missed: int) -> PaneLosses:
        losses = np.array([0.0, (0 + 2) / 22, 1.0])
        n = np.array([1_000, 1_000 - missed, missed])
        return PaneLosses(np.zeros(1, np.int64), *(np.array([float((n * losses**k).sum())]) for k in (0, 1, 2)), 2_000)

    sides = tuple({pane: side(missed) for pane in range(30)} for missed in (20, 30))
    found = compare(strata(sides, 0, 30, np.zeros(1, np.int64)), (ALL,), np.zeros((1, 1), np.intp), scale, CanarySettings(0.0, 0.95, 200))
    assert found.value[0] == pytest.approx([(-2_000 + 400) / 2_000, (-2_000 + 600) / 2_000])
    assert found.difference[0] == pytest.approx(0.1)
    assert found.low[0] <= found.difference[0] <= found.high[0]
    assert found.verdict[0] == CanaryVerdict.WORSE
