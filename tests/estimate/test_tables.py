"""Error tables: limits known in closed form, and their variance against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.estimate.tables import error_table, expit, logit, reference_table
from monitor.profile.layout import FAULT_CELLS


def test_cells_with_many_rows_speak_for_themselves():
    rate = np.random.default_rng(0).uniform(0.02, 0.6, (3, 8))
    n = np.full((3, 8), 10**9)
    table = error_table(["a", "b", "c"], n, np.rint(n * rate).astype(int))
    assert np.allclose(table.rate, rate, rtol=1e-4)
    assert (table.own_variance < 1e-8).all()


def test_an_unknown_segment_has_the_rates_of_all_traffic_and_a_wider_interval():
    n = np.full((4, 6), 5_000)
    k = np.rint(n * np.array([0.1, 0.15, 0.2, 0.25])[:, None]).astype(int)
    table = error_table(list("abcd"), n, k)
    seen = table.at(["new", "b"])
    assert seen.rate[0] == pytest.approx(expit(table.new_logit))
    assert 0.15 < seen.rate[0].mean() < 0.19  # between the segments
    assert seen.rate[1] == pytest.approx(table.rate[1])
    weights = np.ones((2, 6))
    assert seen.segment_variance(weights)[0] > 10 * seen.segment_variance(weights)[1]


def test_segments_that_differ_by_chance_alone_are_pooled():
    rng = np.random.default_rng(3)
    n = np.full((40, 5), 50)
    table = error_table([str(i) for i in range(40)], n, rng.binomial(n, 0.2))
    raw = rng.binomial(n, 0.2) / n
    assert table.rate.std() < raw.std() / 4
    assert table.rate.mean() == pytest.approx(0.2, abs=0.02)


def test_segments_that_truly_differ_keep_most_of_their_difference():
    n = np.full((20, 5), 2_000)
    rate = np.linspace(0.1, 0.3, 20)[:, None] * np.ones(5)
    table = error_table([str(i) for i in range(20)], n, np.rint(n * rate).astype(int))
    assert np.allclose(table.rate, rate, atol=0.006)


def test_the_table_expects_as_many_wrong_rows_in_each_cell_as_there_were():
    rng = np.random.default_rng(1)
    n = rng.integers(100, 4_000, (6, 10))
    k = rng.binomial(n, rng.uniform(0.05, 0.4, 10) * np.linspace(0.7, 1.3, 6)[:, None])
    table = error_table([str(i) for i in range(6)], n, k)
    assert (n * table.rate).sum(axis=0) == pytest.approx(k.sum(axis=0), rel=0.03)
    assert (n * table.rate).sum() == pytest.approx(k.sum(), rel=0.003)


def test_an_empty_cell_is_like_those_beside_it_and_a_faulty_one_like_all():
    n = np.zeros((1, FAULT_CELLS + 5), int)
    n[0, FAULT_CELLS + 1 : -1] = 10_000
    k = np.rint(n * np.array([0, 0, 0, 0, 0.4, 0.1, 0.01, 0.0])).astype(int)
    rate = error_table(["ALL"], n, k).rate[0]
    assert rate[FAULT_CELLS] == pytest.approx(0.4, abs=0.01)
    assert rate[-1] == pytest.approx(0.01, abs=0.005)
    assert rate[0] == pytest.approx(0.17, abs=0.005)


@pytest.mark.parametrize("segments", [1, 8])
def test_the_variance_of_the_table_is_that_of_repeated_validation_sets(segments):
    rng = np.random.default_rng(7)
    names = [str(i) for i in range(segments)]
    share = rng.uniform(0.5, 1.5, (segments, 12))
    rate = expit(np.linspace(-3, 0, 12) + 0.3 * np.linspace(-1, 1, segments)[:, None])
    window = rng.uniform(0, 1, (segments, 12)) ** 2
    window /= window.sum()
    found, stated = [], []
    for _ in range(300):
        n = rng.poisson(4_000 * share / share.sum())
        table = error_table(names, n, rng.binomial(n, rate))
        found.append((window * (table.rate - rate)).sum())
        stated.append(table.variance(window))
    assert np.mean(np.square(found)) == pytest.approx(np.mean(stated), rel=0.25)
    assert abs(np.mean(found)) < 0.004


def test_segments_are_as_sure_as_they_say():
    rng = np.random.default_rng(8)
    n = rng.poisson(np.linspace(5, 400, 30)[:, None] * np.ones(10))
    inside = []
    for _ in range(40):
        rate = expit(np.linspace(-3, 0, 10) + rng.normal(0, 0.4, 30)[:, None])
        table = error_table([str(i) for i in range(30)], n, rng.binomial(n, rate))
        weights = n / n.sum(axis=1, keepdims=True)
        error = (weights * (table.rate - rate)).sum(axis=1)
        inside.append(np.abs(error) < 1.96 * np.sqrt(table.segment_variance(weights)))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)


def test_logit_and_expit_are_inverse():
    p = np.array([1e-6, 0.1, 0.5, 0.999])
    assert expit(logit(p)) == pytest.approx(p)


def test_no_labelled_row_is_refused_with_what_to_do():
    with pytest.raises(
        ValueError, match="expected labelled rows to make an error table of, got none: was the reference built with --label"
    ):
        error_table(["ALL"], np.zeros((1, 5), int), np.zeros((1, 5), int))
    with pytest.raises(ValueError, match=r"expected counts \[2 segments, cells\], got \(1, 5\)"):
        error_table(["a", "b"], np.ones((1, 5), int), np.ones((1, 5), int))


def test_a_grouping_of_a_reference_is_a_table_of_its_segments():
    errors = {
        "segments": ["ALL", "country=DE", "country=FR", "device=ios"],
        "labelled": [[3000, 3000], [1000, 1000], [2000, 2000], [500, 500]],
        "wrong": [[500, 900], [100, 300], [400, 600], [50, 50]],
    }
    labels = {"rows": 6000, "errors": errors, "lag": None}
    assert reference_table(labels, ("country",), 2).segments == ("country=DE", "country=FR")
    everything = reference_table(labels, (), 2)
    assert everything.segments == ("ALL",)
    assert everything.rate[0] == pytest.approx([500 / 3000, 0.3], abs=1e-3)
    assert reference_table(labels, ("browser",), 2) is None
    assert reference_table({"rows": 6000, "errors": {**errors, "wrong": None}}, (), 2) is None


def test_a_reference_with_another_score_gives_its_totals():
    labels = {"rows": 6000, "errors": {"segments": ["ALL"], "labelled": [[3000, 3000]], "wrong": [[500, 900]]}, "lag": None}
    rate = reference_table(labels, (), 5).rate[0]
    assert rate == pytest.approx(1_400 / 6_000, abs=1e-3)


def test_lags_of_a_reference_come_with_its_table():
    by_score = {"labelled": [[10, 20], [30, 40]], "wrong": [[1, 2], [3, 4]]}
    labels = {
        "rows": 100,
        "errors": {"segments": ["ALL"], "labelled": [[40, 60]], "wrong": [[4, 6]]},
        "lag": {"edges_ms": [1_000], "by_score": by_score},
    }
    lags = reference_table(labels, (), 2).lags
    assert (lags.right.tolist(), lags.wrong.tolist(), lags.edges_ms) == ([[9, 18], [27, 36]], [[1, 2], [3, 4]], (1_000,))
    assert reference_table(labels, (), 3).lags is None
    # Of a reference built before lags were counted by score.
    assert reference_table({**labels, "lag": {"edges_ms": [1_000]}}, (), 2).lags is None
