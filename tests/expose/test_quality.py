"""The estimate without labels and the quality of labels, as JSON and as series."""

from __future__ import annotations

import json

import pytest

from monitor.expose.performance_series import performance_blocks
from monitor.expose.quality_json import estimate_values, quality_values
from tests.expose import outcomes

ONE = outcomes.flights().verdicts[0]


def series(name: str) -> dict[str, float]:
    found = {}
    for block in performance_blocks([outcomes.flights()]):
        if block.metric.name == name:
            for cell, value in zip(block.cells.tolist(), block.values.tolist(), strict=True):
                head, tail = block.heads[cell // len(block.tails)], block.tails[cell % len(block.tails)]
                found[(block.start + head + tail).decode().strip()] = value
    return found


def test_an_estimate_is_told_with_its_interval_and_how_right_earlier_ones_were():
    found = estimate_values(ONE, "ALL")
    assert found is not None
    assert (found["accuracy"], found["low"], found["high"]) == pytest.approx((0.9, 0.87, 0.93))
    assert (found["predictions"], found["labelled"], found["rectified"]) == (500, 250, False)
    assert found["before"] == pytest.approx({"windows": 8, "mean_error": 0.005, "mean_absolute_error": 0.01, "covered": 7 / 8})
    assert estimate_values(ONE, "nowhere=1") is None
    json.dumps(found, allow_nan=False)


def test_agreement_is_told_for_all_traffic_and_restatements_by_segment():
    found = quality_values(ONE, "ALL")
    assert found is not None
    assert found["disagreement"]["value"] == pytest.approx(3 / 12)
    assert found["flip_rate"]["value"] == pytest.approx(6 / 24)
    assert [each["annotator"] for each in found["annotators"]] == ["ann", "ben"]
    assert [each["value"] for each in found["annotators"]] == pytest.approx([1.0, 9 / 12])
    assert found["cohen_kappa"][0]["annotators"] == ["ann", "ben"]
    other = next(segment for segment in ONE.quality.segments if segment != "ALL")
    assert set(quality_values(ONE, other)) == {"disagreement", "flip_rate", "redefined_flip_rate"}
    json.dumps(found, allow_nan=False)


def test_series_hold_the_same_numbers():
    accuracy = series("driftgauge_estimated_accuracy_ratio")
    [key] = [key for key in accuracy if 'segment="ALL"' in key]
    assert accuracy[key] == pytest.approx(0.9)
    assert len(accuracy) == len(ONE.estimate.segments)
    assert sum(series("driftgauge_estimate_rectified").values()) == 1
    assert list(series("driftgauge_estimate_absolute_error_ratio").values()) == pytest.approx([0.01] * len(accuracy))
    [ann] = [value for key, value in series("driftgauge_annotator_agreement_ratio").items() if 'annotator="ann"' in key]
    assert ann == 1.0
    assert len(series("driftgauge_label_agreement")) == 2
