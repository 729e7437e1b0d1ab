"""Statuses, thresholds, rates, shares, and what evaluation refuses."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.config.evaluation import STATISTICS, Evaluation, Thresholds
from monitor.evaluate.baseline import Baseline
from monitor.evaluate.evaluate import evaluate
from monitor.evaluate.verdict import Status
from monitor.profile.layout import Layout
from tests.evaluate.make import WINDOW, categorical, judge, numeric, reference_of, table_of

K = {name: k for k, name in enumerate(STATISTICS)}
LAYOUT = Layout((numeric("x", [0.0, 1.0, 2.0]), categorical("c", ["a", "b"])))


def row(x: list[int], c: list[int], faults_x: tuple[int, int, int] = (0, 0, 0), faults_c: tuple[int, int, int] = (0, 0, 0)) -> list[int]:
    """Cells of x: below 0, 0 to 1, 1 to 2, 2 and above; of c: a, b, other, unseen, out of range."""
    return [*faults_x, *x, *faults_c, *c]


THEN = row([0, 5000, 5000, 0], [6000, 4000, 0, 0, 0])


def status_of(now: list[int], then: list[int] = THEN, settings: Evaluation | None = None, **more: bool) -> dict[str, list[str]]:
    reference = reference_of(table_of(LAYOUT, {"ALL": then}))
    reference.means[0], reference.stds[0] = 1.0, 0.5
    verdicts = judge(table_of(LAYOUT, {"ALL": now}), reference, settings, **more)
    return {name: [Status(code).label for code in verdicts.status[0, :, k]] for name, k in K.items()}


def test_a_statistic_without_meaning_for_a_signal_is_not_applicable() -> None:
    found = status_of(row([0, 500, 500, 0], [600, 400, 0, 0, 0]))
    assert found["ks"] == found["wasserstein"] == ["stable", "not_applicable"]
    assert found["unseen_rate"] == ["not_applicable", "stable"]
    assert found["out_of_range_rate"] == ["not_applicable", "not_applicable"]
    assert found["psi"] == found["missing_rate"] == ["stable", "stable"]


def test_wasserstein_is_not_applicable_when_the_reference_does_not_vary() -> None:
    reference = reference_of(table_of(LAYOUT, {"ALL": THEN}))
    reference.means[0], reference.stds[0] = 1.0, 0.0
    verdicts = judge(table_of(LAYOUT, {"ALL": THEN}), reference)
    assert verdicts.status[0, 0, K["wasserstein"]] == Status.NOT_APPLICABLE
    assert np.isnan(verdicts.value[0, 0, K["wasserstein"]])


def test_too_few_rows_are_insufficient_data_even_when_they_look_drifted() -> None:
    found = status_of(row([0, 0, 199, 0], [0, 199, 0, 0, 0]))
    assert set(found["psi"] + found["missing_rate"]) == {"insufficient_data"}
    assert status_of(row([0, 0, 200, 0], [0, 200, 0, 0, 0]))["psi"] == ["drifted", "drifted"]


def test_values_that_go_missing_leave_too_few_for_distances_and_drift_the_rate() -> None:
    found = status_of(row([0, 50, 50, 0], [600, 400, 0, 0, 0], faults_x=(900, 0, 0)))
    assert found["psi"] == ["insufficient_data", "stable"]
    assert found["missing_rate"] == ["drifted", "stable"]


def test_too_small_a_reference_is_insufficient_data() -> None:
    found = status_of(row([0, 0, 500, 0], [0, 500, 0, 0, 0]), row([0, 50, 50, 0], [60, 40, 0, 0, 0]))
    assert set(found["psi"] + found["missing_rate"]) == {"insufficient_data"}


def test_partial_replaces_stable_and_drifted_only() -> None:
    found = status_of(row([0, 0, 500, 0], [300, 200, 0, 0, 0]), partial=True)
    assert found["psi"] == ["partial", "partial"]
    assert found["ks"] == ["partial", "not_applicable"]
    assert status_of(row([0, 0, 100, 0], [60, 40, 0, 0, 0]), partial=True)["psi"] == ["insufficient_data"] * 2


def test_without_a_reference_nothing_is_judged_but_counts_are_there() -> None:
    now = table_of(LAYOUT, {"ALL": row([0, 300, 600, 0], [600, 400, 0, 0, 0], faults_x=(100, 0, 0))})
    verdicts = judge(now, None)
    assert np.isnan(verdicts.value).all()
    assert verdicts.status[0, 0, K["psi"]] == verdicts.status[0, 1, K["unseen_rate"]] == Status.NO_REFERENCE
    assert verdicts.status[0, 1, K["ks"]] == Status.NOT_APPLICABLE
    assert verdicts.n_now.tolist() == [[900, 1000]]
    assert verdicts.n_reference.tolist() == [[0, 0]]
    assert verdicts.table is now
    assert not verdicts.drifted().any()


@pytest.mark.parametrize(
    ("faults", "rate", "value"),
    [((50, 0, 0), "missing_rate", 0.05), ((0, 30, 0), "invalid_rate", 0.03), ((0, 10, 15), "invalid_rate", 0.025)],
)
def test_more_faults_are_drift(faults: tuple[int, int, int], rate: str, value: float) -> None:
    left = 1000 - sum(faults)
    now = table_of(LAYOUT, {"ALL": row([0, left // 2, left - left // 2, 0], [600, 400, 0, 0, 0], faults_x=faults)})
    verdicts = judge(now, reference_of(table_of(LAYOUT, {"ALL": THEN})))
    assert verdicts.value[0, 0, K[rate]] == pytest.approx(value, abs=1e-12)
    assert verdicts.status[0, :, K[rate]].tolist() == [Status.DRIFTED, Status.STABLE]


def test_fewer_missing_values_are_drift_but_fewer_invalid_ones_are_not() -> None:
    then = row([0, 4500, 4500, 0], [6000, 4000, 0, 0, 0], faults_x=(500, 500, 0))
    found = status_of(row([0, 1000, 1000, 0], [1200, 800, 0, 0, 0]), then)
    assert found["missing_rate"][0] == "drifted"
    assert found["invalid_rate"][0] == "stable"


def test_unseen_categories_and_values_out_of_range_are_differences_of_shares_of_all_rows() -> None:
    layout = Layout((categorical("c", ["a"], declared=("a", "z")), numeric("y", [0.0, 1.0], range=(0.0, 1.0))))
    layout = Layout((layout.signals[0], numeric("y", [0.0, float(np.nextafter(1.0, 2.0))], range=(0.0, 1.0))))
    then = table_of(layout, {"ALL": [0, 0, 0, 10_000, 0, 0, 0, 0, 0, 0, 0, 10_000, 0]})
    now = table_of(layout, {"ALL": [0, 0, 0, 900, 0, 60, 40, 0, 0, 0, 30, 950, 20]})
    verdicts = judge(now, reference_of(then))
    assert verdicts.value[0, 0, K["unseen_rate"]] == pytest.approx(0.06)
    assert verdicts.value[0, :, K["out_of_range_rate"]] == pytest.approx([0.04, 0.05])
    assert verdicts.n_now.tolist() == [[960, 950]]  # what is out of range takes no part in distances


def test_a_signal_that_started_anew_is_judged_by_its_own_rows() -> None:
    now = table_of(LAYOUT, {"ALL": row([0, 5000, 5000, 0], [162, 108, 0, 0, 0], faults_c=(30, 0, 0))})
    assert judge(now, reference_of(table_of(LAYOUT, {"ALL": THEN}))).value[0, 1, K["missing_rate"]] == pytest.approx(0.1)


def test_thresholds_of_a_feature_replace_the_general_ones() -> None:
    settings = Evaluation(thresholds=Thresholds(psi=0.3), feature_thresholds={"c": {"psi": 0.0123}})
    now = row([0, 600, 400, 0], [450, 550, 0, 0, 0])
    assert status_of(now, settings=settings)["psi"] == ["stable", "drifted"]
    verdicts = judge(table_of(LAYOUT, {"ALL": now}), reference_of(table_of(LAYOUT, {"ALL": THEN})), settings)
    assert verdicts.threshold[:, K["psi"]].tolist() == [0.3, 0.0123]


def test_drift_needs_both_the_effect_and_more_than_noise() -> None:
    small = row([0, 52_000, 48_000, 0], [60_000, 40_000, 0, 0, 0])
    big = row([0, 10_000_000, 10_000_000, 0], [12_000_000, 8_000_000, 0, 0, 0])
    certain = judge(table_of(LAYOUT, {"ALL": small}), reference_of(table_of(LAYOUT, {"ALL": big})))
    k = K["hellinger"]
    assert certain.noise[0, 0, k] < certain.value[0, 0, k] < certain.threshold[0, k]
    assert certain.status[0, 0, k] == Status.STABLE
    sensitive = Evaluation(thresholds=Thresholds(hellinger=0.01))
    noisy = judge(
        table_of(LAYOUT, {"ALL": row([0, 104, 96, 0], [120, 80, 0, 0, 0])}), reference_of(table_of(LAYOUT, {"ALL": big})), sensitive
    )
    assert noisy.threshold[0, k] < noisy.value[0, 0, k] < noisy.noise[0, 0, k]
    assert noisy.status[0, 0, k] == Status.STABLE


def test_no_segments_no_verdicts() -> None:
    nothing = table_of(LAYOUT, {})
    verdicts = judge(nothing, reference_of(table_of(LAYOUT, {"ALL": THEN})))
    assert verdicts.value.shape == (0, 2, len(STATISTICS))
    assert judge(nothing, None).status.shape == (0, 2, len(STATISTICS))


def test_counts_reference_and_baseline_must_belong_together() -> None:
    reference = reference_of(table_of(LAYOUT, {"ALL": THEN}))
    other = Layout((numeric("x", [0.0, 1.0, 3.0]), LAYOUT.signals[1]))
    with pytest.raises(ValueError, match=r"expected counts of the reference's layout \w{12}, got \w{12}: they have other bins"):
        judge(table_of(other, {"ALL": THEN}), reference)
    now = table_of(LAYOUT, {"ALL": THEN, "country=FR": THEN})
    settings = Evaluation()
    for table, basis, message in (
        (now, Baseline.of(reference, ("ALL",), settings), "expected a baseline of the table's 2 segments, got one of 1 others"),
        (
            now,
            Baseline.of(reference_of(reference.table, fingerprint="b" * 64), now.segments, settings),
            "expected the baseline of reference aaaaaaaaaaaa, got one of bbbbbbbbbbbb",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(table, WINDOW, reference, basis, settings, model="m", version="1", partial=False)


def test_a_baseline_that_is_given_yields_the_verdicts_of_one_that_is_built() -> None:
    reference = reference_of(table_of(LAYOUT, {"ALL": THEN}))
    now = table_of(LAYOUT, {"ALL": row([0, 400, 600, 0], [500, 500, 0, 0, 0])})
    baseline = Baseline.of(reference, now.segments, Evaluation())
    given = evaluate(now, WINDOW, reference, baseline, Evaluation(), model="m", version="1", partial=False)
    np.testing.assert_array_equal(given.value, judge(now, reference).value)


def share_status(now: dict[str, int], then: dict[str, int], settings: Evaluation | None = None, **more: bool) -> dict[str, str]:
    tables = [
        table_of(LAYOUT, {key: row([0, n, 0, 0], [n, 0, 0, 0, 0]) for key, n in {"ALL": sum(rows.values()), **rows}.items()})
        for rows in (now, then)
    ]
    verdicts = judge(tables[0], reference_of(tables[1]), settings, **more)
    return {key: Status(code).label for key, code in zip(verdicts.segments, verdicts.share.status, strict=True)}


def test_a_segments_share_of_the_traffic_is_judged_in_both_directions() -> None:
    found = share_status(
        {"country=DE": 300, "country=FR": 100, "country=US": 600}, {"country=DE": 3000, "country=FR": 3000, "country=US": 4000}
    )
    assert found == {"ALL": "not_applicable", "country=DE": "stable", "country=FR": "drifted", "country=US": "drifted"}


def test_a_segment_that_vanished_is_a_finding_not_too_little_data() -> None:
    found = share_status({"country=DE": 1000, "country=FR": 0}, {"country=DE": 7000, "country=FR": 3000})
    assert found["country=FR"] == "drifted"


def test_shares_know_partial_views_small_windows_and_unknown_groupings() -> None:
    then = {"country=DE": 7000, "country=FR": 3000}
    assert share_status({"country=DE": 1000, "country=FR": 10}, then, partial=True)["country=FR"] == "partial"
    assert share_status({"country=DE": 100, "country=FR": 10}, then)["country=FR"] == "insufficient_data"
    assert share_status({"device=ios": 1000}, then)["device=ios"] == "no_reference"
    assert share_status({"country=XX": 1000}, then)["country=XX"] == "drifted"
