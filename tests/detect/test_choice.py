"""Categories with a cell are chosen by the rows that are counted: what that does is no drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect import directions
from monitor.detect.alarm import Alarm
from monitor.detect.detector import Detector
from monitor.detect.null import null_of
from monitor.detect.rows import Events
from monitor.evaluate.choice import as_chosen, luck, singletons
from tests.detect.make import triggers


@given(st.lists(st.integers(1, 60), min_size=2, max_size=80), st.integers(1, 40))
def test_singletons_are_never_fewer_than_there_are(rows: list[int], cells: int) -> None:
    ordered = np.array(sorted(rows, reverse=True), float)
    with_cell, tail = ordered[:cells], ordered[cells:]
    assert singletons(with_cell, float(tail.sum()), len(tail)) >= (ordered == 1).sum() - 1e-9


@pytest.mark.parametrize("tail", [40, 160, 960])
def test_of_alike_categories_the_chosen_have_as_many_rows_too_many_as_order_statistics_say(tail: int) -> None:
    random = np.random.default_rng(tail)
    drawn = -np.sort(-random.poisson(100.0, (400, 40 + tail)), axis=1)[:, :40]
    measured = float((drawn - 100.0).sum(axis=1).mean())
    expected = float(np.mean([luck(row.astype(float), tail).sum() for row in drawn[:50]]))
    assert 0.8 * measured <= expected <= 2.0 * measured


def test_categories_that_stand_out_were_not_lucky() -> None:
    lucky = luck(np.array([10_000.0, 5_000.0, 110.0, 100.0]), 500)
    assert lucky[:2].tolist() == [0.0, 0.0] and (lucky[2:] > 10.0).all()
    assert as_chosen(np.full((1, 7), 1 / 7), np.array([50.0, 40.0, 30.0, 20.0, 0.0, 0.0, 0.0]), 4, 0) is None


def test_lucky_shares_are_shares() -> None:
    pool = np.array([30.0, 20.0, 2.0, 1.0, 60.0, 0.0, 0.0])
    shares = np.array([[0.3, 0.2, 0.1, 0.1, 0.2, 0.05, 0.05], [0.1, 0.1, 0.05, 0.05, 0.6, 0.05, 0.05]])
    found = as_chosen(shares, pool, 4, 40)
    assert found is not None
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert (found >= 0).all() and (found[:, 5] > shares[:, 5]).all()
    assert found[1, 5] > found[0, 5]  # more rare categories, more new ones


def test_where_not_all_categories_are_known_by_name_a_row_says_nothing_about_which_are() -> None:
    shares = np.array([[0.3, 0.2, 0.25, 0.2, 0.05]])
    bank = directions.categorical(shares, 2, 0.025, None, one_rest=True)
    assert bank.ratios[..., 2] == pytest.approx(bank.ratios[..., 3])
    assert abs(directions.categorical(shares, 2, 0.025).ratios[..., 2] - bank.ratios[..., 3]).max() > 0.1


def test_bets_do_not_grow_under_shares_that_luck_explains() -> None:
    pool = np.array([40.0, 38.0, 37.0, 36.0, 300.0, 0.0, 0.0])
    shares = ((pool + 0.5) / (pool + 0.5).sum())[None]
    lucky = as_chosen(shares, pool, 4, 20)
    assert lucky is not None
    bank = directions.categorical(shares, 4, 0.025, lucky)
    null = null_of(pool[None], bank, np.zeros(1))
    growth = np.log((np.exp(bank.ratios) @ lucky[0][:, None])[..., 0]) - np.log((np.exp(bank.ratios) @ shares[0][:, None])[..., 0])
    plain = null_of(pool[None], directions.categorical(shares, 4, 0.025), np.zeros(1))
    assert (null.log_mean - np.log(np.exp(bank.ratios)[0] @ (pool / pool.sum())) >= growth - 1e-9).all()
    assert (null.log_mean >= plain.log_mean - 1e-12).all() and (null.log_mean > plain.log_mean + 1e-3).any()


def stream(n: int, first: int, random: np.random.Generator, names: np.ndarray) -> Events:
    return Events(1_700_006_400_000 + np.arange(first, first + n) * 5_000, {"shop": names}, ids=np.arange(first, first + n))


@pytest.mark.parametrize(("categories", "steepness", "reference"), [(5_000, 1.0, 20_000), (800, 0.0, 3_000)])
def test_thousands_of_categories_are_no_drift_and_a_new_one_is(categories: int, steepness: float, reference: int) -> None:
    random = np.random.default_rng(3)
    shares = np.arange(1, categories + 1) ** -steepness
    names = random.choice(categories, reference + 5_000, p=shares / shares.sum()).astype(str)
    found = Detector.learn(stream(reference, 0, random, names[:reference]))
    usual = found.predictions(stream(4_000, reference, random, names[reference:-1_000]))
    assert not triggers(usual)
    changed = np.where(random.random(1_000) < 0.5, "new", names[-1_000:])
    alarms: list[Alarm] = found.predictions(stream(1_000, reference + 4_000, random, changed)) + found.finish()
    assert [alarm.stream.signal for alarm in triggers(alarms)] == ["shop"]
