"""Failure modes: ranked by what they cost beyond the reference, and a backlog that only evidence moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.outcome.counts import OutcomeCounts
from monitor.performance.backlog import (
    SAMPLE_IDS,
    ModeState,
    ModeStatus,
    advance,
    assign,
    plan_fix,
    with_samples,
    without_samples,
)
from monitor.performance.cost import cost_table
from monitor.performance.failure_modes import FailureModes, Trend, failure_modes, mode_id, rows_of_modes
from tests.performance.rows import BINARY, Rows, binary_rows, multiclass_rows
from tests.performance.test_regression import SCALE, regression_rows

Z = 1.96
COSTS = cost_table(((0.0, 1.0), (20.0, -1.0)))
MISSED = ("s1", "no", "false_negative")


def rows_with(random: np.random.Generator, missed: float, n: int = 4000, wrongly_claimed: float = 0.05) -> Rows:
    """Segments s0 and s1; of the positives in s1 the share ``missed`` is predicted negative, elsewhere a tenth."""
    segment, truth = random.integers(0, 2, n), (random.random(n) < 0.3).astype(int)
    chance = np.where(truth == 1, np.where(segment == 1, missed, 0.1), wrongly_claimed)
    predicted = np.where(random.random(n) < chance, 1 - truth, truth)
    return Rows(BINARY, np.where(predicted == 1, 0.8, 0.2), predicted, truth, segment)


def evidence(now: OutcomeCounts, before: OutcomeCounts | None = None, reference: OutcomeCounts | None = None) -> FailureModes:
    return failure_modes(now, before, reference, COSTS, Z)


def test_impact_is_rows_beyond_the_reference_times_what_one_costs() -> None:
    random = np.random.default_rng(1)
    rows, reference = rows_with(random, 0.5), rows_with(random, 0.1, 20_000)
    found = evidence(rows.counts(), None, reference.counts())
    mode = found.mode(MISSED)
    assert mode is not None
    own, theirs = rows.segment == 1, reference.segment == 1
    count = (own & (rows.predicted == 0) & (rows.truth == 1)).sum()
    rate = (theirs & (reference.predicted == 0) & (reference.truth == 1)).sum() / theirs.sum()
    assert (mode.rows, mode.labelled) == (count, own.sum())
    assert mode.reference_rate == pytest.approx(rate)
    assert mode.impact == pytest.approx((count - own.sum() * rate) * 21.0)  # a hit would have gained 1
    assert mode.low < mode.rate < mode.high
    assert mode.excess_low > 0
    assert found.ranked(10)[0] == mode
    assert all(mode.key[0] != "ALL" for mode in found.ranked(100))
    assert [m.impact for m in found.ranked(100)] == sorted((m.impact for m in found.ranked(100)), reverse=True)
    assert len(found.ranked(1)) == 1


def test_without_a_reference_all_of_it_counts_and_an_unknown_segment_is_held_against_all() -> None:
    random = np.random.default_rng(2)
    counts = rows_with(random, 0.5).counts()
    bare = evidence(counts).mode(MISSED)
    assert bare is not None
    assert np.isnan(bare.reference_rate)
    assert bare.impact == pytest.approx(bare.rows * 21.0)
    whole = rows_with(random, 0.1, 20_000)
    whole.segment[:] = 0  # the reference has ALL and s0
    found = evidence(counts, None, whole.counts()).mode(MISSED)
    assert found is not None
    assert found.reference_rate == pytest.approx(((whole.predicted == 0) & (whole.truth == 1)).mean())


def test_the_trend_tells_rising_from_falling_from_chance() -> None:
    random = np.random.default_rng(3)
    few, many, again = (rows_with(random, missed).counts() for missed in (0.1, 0.5, 0.5))
    for now, before, trend in (
        (many, few, Trend.RISING), (few, many, Trend.FALLING), (again, many, Trend.STEADY), (few, None, Trend.UNKNOWN),
    ):  # fmt: skip
        found = evidence(now, before).mode(MISSED)
        assert found is not None
        assert found.trend == trend


def test_modes_of_each_task_are_the_errors_it_can_make() -> None:
    random = np.random.default_rng(4)
    rows = multiclass_rows(random, 2000, segments=2)
    multiclass = failure_modes(rows.counts(), None, None, None, Z)
    mode = multiclass.mode(("s0", "a", "c"))
    assert mode is not None
    assert mode.rows == ((rows.segment == 0) & (rows.predicted == 0) & (rows.truth == 2)).sum() == mode.impact
    assert multiclass.rows[0].sum() == (rows.predicted != rows.truth).sum()
    numbers = regression_rows(random, 2000, segments=2)
    regression = failure_modes(numbers.counts(), None, None, None, Z)
    error = numbers.score - numbers.truth
    assert regression.rows[0].tolist() == [(error >= SCALE).sum(), (error < -SCALE).sum()]
    assert regression.mode(("s0", "no", "false_negative")) is None
    assert regression.mode(("nowhere", "", "over")) is None


def test_among_many_modes_chance_makes_none_certain() -> None:
    """4,000 modes at the reference's own rates: at one interval each about a hundred lie above, and none is certain."""
    random = np.random.default_rng(8)
    rows, reference = (binary_rows(random, 2000 * 60, segments=2000) for _ in range(2))
    reference.segment[:] = 0
    found = evidence(rows.counts(), None, reference.counts())
    above = found.excess.low[1:] > 0
    assert above.sum() > 40
    assert not found.certain[1:].any()
    seen = evidence(rows_with(random, 0.5).counts(), None, rows_with(random, 0.1, 20_000).counts()).mode(MISSED)
    assert seen is not None
    assert seen.certain


def test_rows_of_a_mode_can_be_named() -> None:
    rows = rows_with(np.random.default_rng(5), 0.5, 500)
    keys = np.array([f"s{k}" for k in rows.segment])
    everything = np.full(500, "ALL")
    found = rows_of_modes([MISSED, ("ALL", "yes", "false_positive")], BINARY, [everything, keys], rows.predicted, rows.truth)
    assert found[0].tolist() == np.flatnonzero((rows.segment == 1) & (rows.predicted == 0) & (rows.truth == 1)).tolist()
    assert found[1].tolist() == np.flatnonzero((rows.predicted == 1) & (rows.truth == 0)).tolist()


class Story:
    """A backlog over time: each window has the share missed of a version."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(6)
        self.reference = rows_with(self.random, 0.1, 20_000).counts()
        self.backlog: dict[str, ModeState] = {}
        self.now_ms = 0

    def window(self, missed: float, version: str = "1", n: int = 4000) -> ModeState | None:
        self.now_ms += 1000
        found = failure_modes(rows_with(self.random, missed, n).counts(), None, self.reference, COSTS, Z)
        self.backlog = advance(self.backlog, found, version, self.now_ms, min_labelled=200, limit=20)
        return self.backlog.get(mode_id(MISSED))

    def state(self) -> ModeState:
        return self.backlog[mode_id(MISSED)]

    def put(self, state: ModeState) -> None:
        self.backlog[state.id] = state


def test_a_mode_is_opened_by_evidence_fixed_by_a_version_closed_and_reopened_by_evidence() -> None:
    story = Story()
    assert story.window(0.1) is None  # as the reference
    opened = story.window(0.5)
    assert opened is not None
    assert (opened.status, opened.first_seen_ms, opened.version) == (ModeStatus.OPEN, 2000, "1")
    story.put(assign(opened, "ada", 2500))
    assert story.window(0.5).status is ModeStatus.ASSIGNED
    story.put(plan_fix(story.state(), "2", 3500))
    assert story.window(0.5).status is ModeStatus.FIXED_BY  # the old version proves nothing
    assert story.window(0.5, version="2").status is ModeStatus.FIXED_BY  # nor does a new one that fails as often
    closed = story.window(0.15, version="2")
    assert (closed.status, closed.closed_by, closed.owner, closed.first_seen_ms) == (ModeStatus.CLOSED, "2", "ada", 2000)
    assert story.window(0.5).status is ModeStatus.CLOSED  # the old version still serves, and still fails: known
    assert story.window(0.15, version="2").status is ModeStatus.CLOSED
    story.put(with_samples(story.state(), ["p1", "p2"]))
    again = story.window(0.45, version="2")
    assert again.sample_ids == ()  # those were of before it was closed
    assert (again.status, again.version, again.fix_version, again.changed_ms) == (ModeStatus.REOPENED, "2", None, story.now_ms)
    assert assign(again, "bob", 1).status is ModeStatus.ASSIGNED


def test_a_mode_that_goes_away_by_itself_is_closed_only_when_it_is_as_the_reference_again() -> None:
    story = Story()
    story.window(0.6)
    assert story.window(0.3).status is ModeStatus.OPEN  # lower, but still above the reference
    assert story.window(0.1).status is ModeStatus.CLOSED


def test_a_version_that_fails_too_becomes_the_one_to_beat() -> None:
    story = Story()
    story.window(0.5)
    story.window(0.55, version="2")
    assert story.state().version == "2"
    assert story.window(0.12, version="3").closed_by == "3"


def test_a_window_that_proves_nothing_does_not_blur_what_was_seen() -> None:
    story = Story()
    story.window(0.2, n=20_000)
    sharp = story.state()
    vague = story.window(0.12, n=500)
    assert vague == sharp
    assert story.window(0.1, version="2", n=20_000).status is ModeStatus.CLOSED


def test_too_little_data_moves_nothing() -> None:
    story = Story()
    assert story.window(0.9, n=300) is None  # about 150 rows of the segment
    story.window(0.5)
    before = story.state()
    assert story.window(0.0, n=300) == before


def test_a_closed_mode_cannot_be_planned_to_be_fixed() -> None:
    story = Story()
    story.window(0.6)
    closed = story.window(0.1)
    with pytest.raises(ValueError, match=rf"expected an open failure mode, got {closed.id}"):
        plan_fix(closed, "2", 1)
    assert assign(closed, "ada", 1) == replace(closed, owner="ada")


def test_the_backlog_is_bounded_and_forgets_closed_modes_first() -> None:
    story = Story()
    state = story.window(0.6)
    many = {}
    for k in range(30):
        status = ModeStatus.CLOSED if k % 2 else ModeStatus.OPEN
        other = replace(state, key=(f"x{k}", "no", "false_negative"), status=status, changed_ms=k)
        many[other.id] = other
    found = failure_modes(rows_with(story.random, 0.1).counts(), None, story.reference, COSTS, Z)
    kept = advance(many, found, "1", 5000, min_labelled=200, limit=20)
    assert len(kept) == 20
    assert sum(state.status is ModeStatus.OPEN for state in kept.values()) == 15
    assert sorted(state.changed_ms for state in kept.values() if state.status is ModeStatus.CLOSED) == [21, 23, 25, 27, 29]


def test_sample_ids_do_not_depend_on_the_order_they_came_in() -> None:
    state = Story().window(0.6)
    ids = [f"id-{k}" for k in range(40)]
    one = with_samples(with_samples(state, ids[:10]), ids[10:])
    other = with_samples(with_samples(state, reversed(ids[5:])), ids[:5])
    assert one == other
    assert len(one.sample_ids) == SAMPLE_IDS
    assert without_samples(one, one.sample_ids[:2]).sample_ids == one.sample_ids[2:]


def test_a_model_that_does_no_worse_has_no_modes() -> None:
    rows = binary_rows(np.random.default_rng(7), 2000)
    found = failure_modes(rows.counts(), None, rows.counts(), COSTS, Z)
    assert found.ranked(10) == []
    assert advance({}, found, "1", 0, min_labelled=10, limit=10) == {}
