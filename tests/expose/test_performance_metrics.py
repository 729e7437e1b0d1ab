"""Performance on the page of metrics: every known number, no unknown one, the worst first when there are too many."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.metrics_core import Metric

from monitor.evaluate.verdict import Status
from monitor.expose.catalogue import METRICS
from monitor.expose.drift_metrics import drift_page
from monitor.labels import LabelsEvaluated
from monitor.performance.verdict import Performance
from tests.expose import outcomes
from tests.expose.exposition import families, series
from tests.expose.small import with_segments

FLIGHTS = outcomes.flights()
ONE = FLIGHTS.verdicts[0]
PREFIX = ("driftgauge_performance", "driftgauge_label", "driftgauge_estimate", "driftgauge_annotator")


def page(*evaluated: LabelsEvaluated, cap: int = 1_000_000) -> bytes:
    return drift_page([], cap, (), evaluated).text


TEXT = page(FLIGHTS)


@functools.cache
def parsed(text: bytes) -> dict[str, Metric]:
    return families(text)


def of(name: str, text: bytes = TEXT, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
    family = parsed(text).get(f"driftgauge_{name}")
    samples = [] if family is None else family.samples
    return {tuple(sorted(sample.labels.items())): sample.value for sample in samples if labels.items() <= sample.labels.items()}


def only(name: str, text: bytes = TEXT, **labels: str) -> float:
    values = list(of(name, text, **labels).values())
    assert len(values) == 1, (name, labels, len(values))
    return values[0]


def with_view(change: Performance) -> LabelsEvaluated:
    return replace(FLIGHTS, verdicts=(replace(ONE, by_prediction=change),))


def test_every_family_of_performance_is_declared_with_its_type_labels_and_help() -> None:
    found = {name: family for name, family in parsed(TEXT).items() if name.startswith(PREFIX)}
    declared = {name: metric for name, metric in METRICS.items() if metric.group == "performance"}
    assert set(found) == set(declared)
    for name, family in found.items():
        assert (family.type, family.documentation) == (declared[name].type, declared[name].help)
        for sample in family.samples:
            assert set(sample.labels) == set(declared[name].labels), name


@pytest.mark.parametrize("ending", ["", "_low", "_high", "_reference"])
def test_each_known_number_of_each_view_has_a_series_with_its_value(ending: str) -> None:
    for view in (ONE.by_prediction, ONE.by_label, ONE.audited):
        values = getattr(view, {"": "value"}.get(ending, ending[1:]))
        expected = {
            (segment, metric, of_class): values[g, m]
            for g, segment in enumerate(view.segments)
            for m, (metric, of_class) in enumerate(zip(view.metrics, view.classes, strict=True))
            if metric != "label_rate" and np.isfinite(values[g, m])
        }
        shown = of(f"performance{ending}", view=view.view)
        assert len(expected) > 100
        assert {(d["segment"], d["metric"], d["class"]): value for d, value in ((dict(k), v) for k, v in shown.items())} == pytest.approx(
            expected, rel=1e-5
        )


def test_a_metric_worse_than_in_the_reference_makes_its_segment_worse() -> None:
    assert only("performance_worse", segment="origin=JFK", view="prediction_time") == 1
    for g, segment in enumerate(ONE.by_label.segments):
        status = ONE.by_label.status[g]
        shown = of("performance_worse", segment=segment, view="label_time")
        assert list(shown.values()) == ([float(status == Status.DRIFTED)] if status in (Status.DRIFTED, Status.STABLE) else [])


def test_a_loss_is_what_is_missing_to_the_reference_whichever_way_is_better() -> None:
    view = ONE.by_prediction
    g = view.segments.index("origin=JFK")
    for metric, of_class, sign in (("recall", "1", -1), ("log_loss", "", 1)):
        m = view.column(metric, of_class)
        lost = sign * (view.value[g, m] - view.reference[g, m])
        shown = only("performance_loss", segment="origin=JFK", view="prediction_time", metric=metric, **{"class": of_class})
        assert shown == pytest.approx(lost, rel=1e-4)
        assert shown > 0
    named = {dict(labels)["segment"] for labels in of("performance_loss", view="prediction_time")}
    assert named == {view.segments[g] for g in np.flatnonzero(view.status == Status.DRIFTED).tolist()}


def test_segments_are_counted_by_conclusion_and_add_up() -> None:
    for view in (ONE.by_prediction, ONE.by_label, ONE.audited):
        shown = {dict(labels)["status"]: value for labels, value in of("performance_status", view=view.view).items()}
        assert shown == {status.label: int((view.status == status).sum()) for status in Status}
        assert sum(shown.values()) == len(view.segments)


def test_what_cannot_be_judged_is_neither_worse_nor_well() -> None:
    text = page(outcomes.evaluated(rows=900))
    statuses = {dict(labels)["status"]: value for labels, value in of("performance_status", text, view="prediction_time").items()}
    assert statuses["insufficient_data"] > 0
    segment = "origin=JFK,carrier=AA"
    assert of("performance_worse", text, segment=segment) == {}
    assert of("label_rate_shifted", text, segment=segment) == {}
    assert only("performance_labelled_rows", text, segment=segment, view="prediction_time") < 200


def test_without_a_reference_there_is_no_reference_and_nothing_is_worse() -> None:
    text = page(outcomes.evaluated(known=False))
    assert of("performance", text)
    assert not {"driftgauge_performance_reference", "driftgauge_performance_worse", "driftgauge_label_rate_shifted"} & set(parsed(text))


def test_without_audit_labels_there_is_no_audit() -> None:
    audited = replace(ONE.audited, labelled=np.zeros_like(ONE.audited.labelled))
    text = page(replace(FLIGHTS, verdicts=(replace(ONE, audited=audited),)))
    assert of("performance", view="audit")
    assert of("performance", text, view="audit") == of("performance_status", text, view="audit") == {}


def test_the_rate_of_a_class_is_told_as_a_rate_and_that_it_shifted() -> None:
    whole = ONE.by_label.segments.index("ALL")
    column = ONE.by_label.column("label_rate", "1")
    assert only("label_rate_ratio", segment="ALL", view="label_time", **{"class": "1"}) == pytest.approx(
        ONE.by_label.value[whole, column], rel=1e-5
    )
    assert only("label_rate_shifted", segment="ALL", view="label_time") == 1
    calm = page(outcomes.evaluated(worse=False))
    assert only("label_rate_shifted", calm, segment="ALL", view="label_time") == 0
    assert only("performance_worse", calm, segment="ALL", view="label_time") == 0


def test_the_mean_label_of_a_regression_is_told_beside_the_references_and_that_it_shifted() -> None:
    evaluated = outcomes.evaluated(outcomes.REGRESSION)
    [one], text = evaluated.verdicts, page(evaluated)
    where = {"segment": "ALL", "view": "label_time", "metric": "label_mean"}
    whole, column = one.by_label.segments.index("ALL"), one.by_label.column("label_mean")
    assert only("performance", text, **where) == pytest.approx(one.by_label.value[whole, column], rel=1e-5)
    assert only("performance_reference", text, **where) == pytest.approx(one.by_label.reference[whole, column], rel=1e-5)
    assert of("performance_loss", text, metric="label_mean") == {}, "another mean label is no loss"
    shifted = one.by_label.metric_status[whole, column] == Status.DRIFTED
    assert only("label_rate_shifted", text, segment="ALL", view="label_time") == shifted


def test_a_regression_has_its_own_metrics_and_no_classes_to_collect() -> None:
    text = page(outcomes.evaluated(outcomes.REGRESSION))
    metrics = {dict(labels)["metric"] for labels in of("performance", text)}
    assert metrics == {"mae", "rmse", "bias", "r2", "error_quantile", "absolute_error_quantile", "label_mean"}
    assert not {"driftgauge_labels_wanted", "driftgauge_label_rate_ratio"} & set(parsed(text))
    assert only("label_coverage_ratio", text, segment="ALL") == pytest.approx(only("label_coverage_ratio", segment="ALL"), abs=0.01)


def test_coverage_delay_and_what_to_collect_are_those_of_the_labels() -> None:
    whole = ONE.by_prediction.segments.index("ALL")
    view = ONE.by_prediction
    assert only("label_coverage_ratio", segment="ALL") == pytest.approx(view.labelled[whole] / view.predictions[whole], rel=1e-5)
    delays = {dict(labels)["probability"]: value for labels, value in of("label_delay_seconds", segment="ALL").items()}
    assert list(delays) == ["0.5", "0.9", "0.99"]
    # The delays are drawn around 0.6 days; those that lie beyond the window's end have not come.
    assert 0.3 * 86_400 < delays["0.5"] < 0.8 * 86_400
    assert 3 * 86_400 < only("label_delay_seconds", segment="ALL", probability="0.99") < 7 * 86_400
    early = page(replace(FLIGHTS, verdicts=(replace(ONE, horizon_ms=4 * 86_400_000),)))  # which none of these can be beyond
    assert 3 * 86_400 < only("label_delay_seconds", early, segment="ALL", probability="0.99") < 4 * 86_400
    assert ONE.wanted is not None
    by_class = {dict(labels)["class"]: value for labels, value in of("labels_wanted", segment="origin=JFK,carrier=AA").items()}
    place = ONE.by_prediction.segments.index("origin=JFK,carrier=AA")
    assert list(by_class.values()) == ONE.wanted.precision[place].tolist()
    assert ONE.coverage is not None
    assert only("label_coverage_relative_ratio", segment="ALL") == pytest.approx(
        ONE.coverage.in_time[whole] / ONE.coverage.due[whole], rel=1e-5
    )
    shares = [value for _, value in of("label_coverage_at_age_ratio").items()]
    assert shares == sorted(shares)
    assert "30d" not in {dict(labels)["age"] for labels in of("label_coverage_at_age_ratio")}  # older than the window


def test_a_vanished_segment_takes_its_series_with_it() -> None:
    view = ONE.by_prediction
    names = tuple("origin=XXX" if name == "origin=JFK" else name for name in view.segments)
    renamed = page(with_view(replace(view, segments=names)))
    assert b'view="prediction_time",segment="origin=JFK"' in TEXT
    assert b'view="prediction_time",segment="origin=JFK"' not in renamed


def test_a_hostile_class_or_version_is_one_label_value() -> None:
    text = 'x"} 1\nevil{a="\\'
    view = replace(ONE.by_prediction, classes=tuple(text if name else name for name in ONE.by_prediction.classes))
    shown = page(replace(FLIGHTS, verdicts=(replace(ONE, version=text, by_prediction=view),)))
    assert "evil" not in families(shown)
    assert {dict(labels)["version"] for labels in series(shown, "driftgauge_performance")} == {text}
    assert text in {dict(labels)["class"] for labels in series(shown, "driftgauge_performance")}


def test_under_the_cap_what_is_worse_stays_and_what_is_left_out_is_counted() -> None:
    everything = drift_page([with_segments(300)], 10**9, (), [FLIGHTS])
    capped = drift_page([with_segments(300)], 4_000, (), [FLIGHTS])
    assert (capped.exposed, capped.left_out) == (4_000, everything.exposed - 4_000)
    view = ONE.by_prediction
    assert len(of("performance_status", capped.text)) == 3 * len(Status)
    shown = {(dict(k)["segment"], dict(k)["metric"], dict(k)["class"]) for k in of("performance", capped.text, view="prediction_time")}
    worse = {
        (view.segments[g], view.metrics[m], view.classes[m])
        for g, m in np.argwhere(view.metric_status == Status.DRIFTED).tolist()
        if view.metrics[m] != "label_rate"
    }
    assert worse
    assert worse <= shown
    assert len(shown) < np.isfinite(view.value).sum()
