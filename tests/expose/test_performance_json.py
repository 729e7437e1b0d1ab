"""The JSON of performance and of labels: everything known, nothing made up, the worst first, every page once."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from monitor.evaluate.verdict import Status
from monitor.expose.against_json import Against
from monitor.expose.performance_json import labels_json, performance_json
from monitor.expose.query import BadParameterError, parse_query
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.performance.metric import METRICS
from tests.expose import outcomes

FLIGHTS = outcomes.flights()
ONE = FLIGHTS.verdicts[0]
SNAPSHOT = Snapshot(outcomes.NOW_MS, 0, "1", models=(ModelView("flights", "t"), ModelView("other", "u")), labels=(FLIGHTS,))


def ask(text: str, snapshot: Snapshot = SNAPSHOT) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(performance_json(snapshot, parse_query(text)))
    return answer


def labels(text: str, snapshot: Snapshot = SNAPSHOT) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(labels_json(snapshot, parse_query(text)))["labels"]
    return answer


def test_a_metric_comes_with_all_its_evidence() -> None:
    item = ask("segment=origin%3DJFK&metric=recall&class=1&view=prediction_time")["metrics"]
    assert len(item) == 1
    view = ONE.by_prediction
    g, m = view.segments.index("origin=JFK"), view.column("recall", "1")
    assert item[0] == {
        "model": "flights", "version": "2013-02", "view": "prediction_time",
        "window_start": "2013-03-12T00:00:00.000Z", "window_end": "2013-04-02T00:00:00.000Z",
        "segment": "origin=JFK", "metric": "recall", "class": "1", "status": "drifted", "better": "higher",
        "value": view.value[g, m], "low": view.low[g, m], "high": view.high[g, m], "reference": view.reference[g, m], "n": view.n[g, m],
        "segment_status": "drifted", "labelled": view.labelled[g], "predictions": view.predictions[g],
        "coverage": view.labelled[g] / view.predictions[g],
        "revision": view.restatement.revision[g], "restated": "2013-04-01T12:00:00.000Z", "first_value": view.restatement.first_value[g, m],
    }  # fmt: skip
    assert item[0]["value"] < item[0]["low"] + 0.1 < item[0]["reference"]


def test_the_worse_come_first_and_what_cannot_be_judged_last() -> None:
    few = replace(SNAPSHOT, labels=(outcomes.evaluated(rows=2_500),))
    found = ask("limit=1000&view=prediction_time", few)["metrics"]
    order = [{"drifted": 0, "stable": 1}.get(item["status"], 2) for item in found]
    assert set(order) == {0, 1, 2}
    firsts = [item["segment"] for item in found if item["status"] == "drifted"]
    assert firsts[0] == "ALL"
    assert [place for place in order if place == 2] == order[order.index(2) :]


def test_pages_cut_the_list_and_together_are_all_of_it() -> None:
    everything = ask("limit=1000&segment=ALL")
    assert everything["next_offset"] is None
    collected: list[Any] = []
    offset: int | None = 0
    while offset is not None:
        page = ask(f"limit=7&segment=ALL&offset={offset}")
        collected += page["metrics"]
        offset = page["next_offset"]
    assert collected == everything["metrics"]
    assert len(collected) == everything["total"] == 3 * len(ONE.by_label.metrics)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("view=audit", {("view", "audit")}),
        ("status=drifted", {("status", "drifted")}),
        ("metric=brier&metric=ece", {("metric", "brier"), ("metric", "ece")}),
        ("segment=carrier%3DEV&segment=ALL", {("segment", "carrier=EV"), ("segment", "ALL")}),
        ("class=0", {("class", "0")}),
    ],
)
def test_each_filter_leaves_what_was_asked_for(query: str, expected: set[tuple[str, str]]) -> None:
    name = query.split("=", maxsplit=1)[0]
    assert {(name, item[name]) for item in ask(f"{query}&limit=1000")["metrics"]} == expected


def test_another_model_or_version_has_nothing() -> None:
    assert ask("model=other")["total"] == ask("version=none")["total"] == 0
    assert labels("model=other") == labels("segment=nowhere") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("model=none", "model: expected one of flights, other, got 'none'"),
        ("view=both", "view: expected one of prediction_time, label_time, audit, got 'both'"),
        ("metric=auc", f"metric: expected one of {', '.join(METRICS)}, got 'auc'"),
        ("against=1&against=2", "against: expected one of 2013-02, got '1, 2'"),
        ("status=worse", f"status: expected one of {', '.join(status.label for status in Status)}, got 'worse'"),
        ("limit=0", "limit: expected a whole number from 1 to 1000, got '0'"),
        (
            "signal=x",
            "signal: expected one of the parameters model, version, view, segment, metric, class, status, against, limit, offset, got",
        ),
    ],
)
def test_a_bad_parameter_is_refused_with_what_was_expected(query: str, message: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        ask(query)
    assert str(caught.value).startswith(message)


def test_unknown_is_null_and_never_a_number() -> None:
    bare = replace(SNAPSHOT, labels=(outcomes.evaluated(known=False),))
    found = ask("limit=1000&segment=ALL", bare)["metrics"]
    assert {item["reference"] for item in found} == {None}
    assert {item["status"] for item in found} <= {"no_reference", "not_applicable", "insufficient_data"}
    undefined = [item for item in ask("limit=1000&status=not_applicable")["metrics"] if item["value"] is not None]
    assert undefined == []


def test_labels_tell_delay_coverage_and_what_to_collect() -> None:
    (item,) = labels("")
    assert item["segment"] == "ALL"
    assert item["labelled"] + item["pending"] <= item["predictions"]
    assert sum(bin_["labels"] for bin_ in item["delays"]) == ONE.by_label.labelled[ONE.by_label.segments.index("ALL")]
    assert [bin_["from_seconds"] for bin_ in item["delays"][1:]] == [bin_["to_seconds"] for bin_ in item["delays"][:-1]]
    shares = [age["value"] for age in item["coverage_by_age"]]
    assert shares == sorted(shares)
    assert item["coverage_by_age"][-1]["age_seconds"] <= outcomes.DAYS * 86_400
    assert 0 < item["expected"] < item["pending"]
    assert ONE.coverage is not None
    whole = ONE.by_label.segments.index("ALL")
    assert item["coverage_relative"] == pytest.approx(ONE.coverage.in_time[whole] / ONE.coverage.due[whole])
    assert item["wanted"]["interval_width"] == 0.05
    ranked = [each["labels"] for each in item["wanted"]["most_wanted"]]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] > 0


def test_labels_of_a_named_segment_and_its_failure_modes() -> None:
    (item,) = labels("segment=origin%3DJFK")
    assert item["segment"] == "origin=JFK"
    kinds = {(mode["predicted"], mode["kind"], mode["status"]) for mode in item["failure_modes"]}
    assert ("0", "false_negative", "open") in kinds
    regression = replace(SNAPSHOT, labels=(outcomes.evaluated(outcomes.REGRESSION),))
    assert labels("", regression)[0]["wanted"] is None
    assert np.isfinite(labels("", regression)[0]["delay_seconds"]["0.5"]["value"])


def test_rates_are_given_as_if_labels_had_come_evenly_over_the_score() -> None:
    """By hand, cell by cell: the rate of its labels, weighed by its share of all predictions."""
    [item] = labels("segment=origin%3DJFK")
    counts, g = ONE.by_prediction.counts, ONE.by_prediction.segments.index("origin=JFK")
    right, wrong = counts.right_wrong[g].sum(axis=0).T
    weights = counts.predictions[g].sum(axis=1)
    held = right + wrong > 0
    assert weights[~held].sum() == 0, "else the cell is like the segment"
    expected = (weights[held] * right[held] / (right + wrong)[held]).sum() / weights.sum()
    assert item["selection"]["reweighted_accuracy"]["value"] == pytest.approx(expected)
    rate = (weights[held] * counts.by_score[g, held, 1] / counts.by_score[g, held].sum(axis=1)).sum() / weights.sum()
    assert item["selection"]["reweighted_positive_rate"]["value"] == pytest.approx(rate)
    for found in (item["selection"]["reweighted_accuracy"], item["selection"]["reweighted_positive_rate"]):
        assert found["low"] < found["value"] < found["high"]
    assert item["clipped"] == {"errors": 0, "kpi": 0}


def test_reliability_is_how_often_each_score_came_true() -> None:
    """By hand: of each cell with labels, the share of positive ones, and Wilson's interval around it."""
    [item] = labels("segment=origin%3DJFK")
    counts, g = ONE.by_prediction.counts, ONE.by_prediction.segments.index("origin=JFK")
    by_score = counts.by_score[g]
    held = np.flatnonzero(by_score.sum(axis=1))
    held = held[held >= 3]  # the first three cells hold no score
    bins = item["reliability"]["bins"]
    assert [each["rows"] for each in bins] == by_score.sum(axis=1)[held].tolist()
    assert [each["observed"] for each in bins] == pytest.approx((by_score[held, 1] / by_score[held].sum(axis=1)).tolist())
    for each in bins:
        assert 0 <= each["start"] <= each["score"] <= each["end"] <= 1
        assert each["score"] == pytest.approx((each["start"] + each["end"]) / 2), "the reference's means are not known here"
        n, p, z = each["rows"], each["observed"], 1.959964
        middle, half = (p + z * z / 2 / n) / (1 + z * z / n), z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
        assert (each["low"], each["high"]) == (pytest.approx(middle - half, abs=1e-6), pytest.approx(middle + half, abs=1e-6))
    assert 0 < item["reliability"]["noise"] < 0.2


def test_a_regression_has_no_reliability_and_no_rates_to_reweigh() -> None:
    regression = replace(SNAPSHOT, labels=(outcomes.evaluated(outcomes.REGRESSION, rows=5_000),))
    [item] = labels("", regression)
    assert item["reliability"] is None
    assert (item["selection"]["reweighted_accuracy"], item["selection"]["reweighted_positive_rate"]) == (None, None)


def test_a_version_comes_with_its_difference_from_an_earlier_one() -> None:
    """Did the fix help? The earlier version's model is worse for JFK and EV; the fixed one's is not."""
    fixed = outcomes.evaluated(worse=False, version="2013-03").verdicts[0]
    both = replace(SNAPSHOT, labels=(replace(FLIGHTS, verdicts=(ONE, fixed)),))
    found = ask("against=2013-02&view=prediction_time&metric=log_loss&limit=1000", both)["metrics"]
    assert {item["version"] for item in found} == {"2013-03"}
    by_segment = {item["segment"]: item for item in found}
    for segment in ("ALL", "origin=JFK"):
        item, before = by_segment[segment], ONE.by_prediction
        g, m = before.segments.index(segment), before.column("log_loss")
        against = item["against"]
        assert (against["version"], against["value"]) == ("2013-02", before.value[g, m])
        assert against["difference"] == pytest.approx(item["value"] - before.value[g, m])
        half = np.hypot(
            item["high"] - item["value"], before.value[g, m] - before.low[g, m]
        )  # independent samples: squares of the sides add
        assert against["high"] - against["difference"] == pytest.approx(half)
        assert against["change"] == "better"
        assert against["high"] < 0
    assert "against" not in ask("version=2013-02", both)["metrics"][0]
    same = replace(both, labels=(replace(FLIGHTS, verdicts=(ONE, replace(fixed, by_prediction=replace(ONE.by_prediction, version="3")))),))
    assert {item["against"]["change"] for item in ask("against=2013-02&view=prediction_time&metric=log_loss", same)["metrics"]} == {
        "unclear"
    }
    with pytest.raises(BadParameterError, match="against: expected one of 2013-02, 2013-03, got '9'"):
        ask("against=9", both)


def test_each_performance_is_compared_for_itself_though_one_before_it_is_gone() -> None:
    against = Against.of((FLIGHTS,), frozenset({ONE.version}))
    assert against is not None
    fixed = outcomes.evaluated(worse=False, version="2013-03").verdicts[0].by_prediction
    place = fixed.column("log_loss")
    for shift in range(40):
        found = against.values(replace(fixed, value=fixed.value + shift), place)  # thrown away at once: the next takes its address
        assert found is not None
        assert found["difference"] == pytest.approx(fixed.value[0, place] + shift - found["value"])
