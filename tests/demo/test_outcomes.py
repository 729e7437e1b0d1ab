"""What the demonstration says of labels, line by line."""

from __future__ import annotations

from monitor.demo.label_answers import AgeShare, Estimate, Labelling, Metric, PastEstimates, Share, Wanted
from monitor.demo.outcomes import performance
from monitor.demo.terminal import Ink

DAYS = {"window_start": "2013-12-11T00:00:00.000Z", "window_end": "2014-01-01T00:00:00.000Z"}
PLAIN = Ink(False)


def metric(name: str, segment: str = "ALL", status: str = "stable", of: str | None = None, **numbers: float) -> Metric:
    return Metric("1", "prediction_time", segment, name, status, n=900, labelled=900, of=of, **DAYS, **numbers)  # type: ignore[arg-type]


LABELS = Labelling(
    "ALL",
    1_000,
    900,
    {"0.5": Share(11_880.0), "0.9": Share(26_640.0), "0.99": Share(None)},
    (AgeShare(3_600, 0.02), AgeShare(21_600, 0.85), AgeShare(7_776_000, None)),
    estimate=Estimate(
        **DAYS, predictions=500, labelled=400, rectified=True, accuracy=0.732, low=0.725, high=0.739, before=PastEstimates(73, 0.0046, 0.86)
    ),
    wanted=Wanted(0.05, 120),
)


def test_metrics_of_all_traffic_stand_beside_the_validation_and_say_when_they_are_worse():
    found = performance(
        [
            metric("accuracy", value=0.702, low=0.695, high=0.708, reference=0.733, coverage=0.9, status="drifted"),
            metric("brier", value=0.2),
        ],
        [],
        PLAIN,
    )
    assert found[1] == "How right it was, by 900 labels, 90.0% of the flights of 2013-12-11 to 2014-01-01"
    assert found[2] == "  accuracy                 70.2% [69.5%, 70.8%], 73.3% in January and February  worse, beyond chance"
    assert found[3] == "  Brier score              0.200 "


def test_segments_are_told_the_furthest_below_their_validation_first_and_crossed_ones_not():
    found = performance(
        [
            metric("accuracy", value=0.7),
            metric("accuracy", "carrier=UA", value=0.70, reference=0.71),
            metric("accuracy", "carrier=WN", value=0.63, reference=0.81, status="drifted"),
            metric("accuracy", "origin=JFK,carrier=WN", value=0.1, reference=0.81, status="drifted"),
            metric("accuracy", "carrier=OO", value=0.1, reference=0.9, status="insufficient_data"),
        ],
        [],
        PLAIN,
    )
    assert [line.split()[0] for line in found[4:]] == ["carrier=WN", "carrier=UA"]
    assert found[4] == "    carrier=WN     63.0%  after 81.0%, 900 labels  worse"


def test_delay_coverage_and_the_estimate_are_told():
    found = performance([metric("accuracy", value=0.7)], [LABELS], PLAIN)
    assert "  delay      50% within 3.3 h, 90% within 7.4 h" in found
    assert "  coverage   2% by 1 h, 85% by 6 h; cancelled and diverted flights never get one" in found
    assert "  collect    120 more for an interval of 5% of the accuracy" in found
    [estimate] = [line for line in found if line.startswith("  estimate")]
    assert estimate == (
        "  estimate   73.2% [72.5%, 73.9%] of 500 flights of 2013-12-11 to 2014-01-01, 400 of them labelled,"
        " corrected: labels say otherwise than the scores"
    )
    assert found[-1].strip().startswith("73 earlier estimates, made before all labels were there, were off by 0.46 points on average; 86%")


def test_without_labels_nothing_is_said():
    assert performance([], [], PLAIN) == []
