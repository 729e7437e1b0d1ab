"""What is said in the end: better, worse or no difference, whichever it was."""

from __future__ import annotations

import math

from monitor.demo.label_answers import Metric
from monitor.demo.loop.comparison import Compared, Saved
from monitor.demo.loop.report import MAX_CARRIERS, Measurement, Served, measured, verdict, worth
from monitor.demo.terminal import Ink

PLAIN = Ink(False)
DAYS = {"window_start": "2013-03-19T00:00:00.000Z", "window_end": "2013-04-09T00:00:00.000Z"}
NAN = float("nan")
APRIL_9_MS = 1_365_465_600_000
DAY_MS = 86_400_000


def metric(name: str, segment: str = "ALL", version: str = "1", of: str | None = None, labelled: int = 900, **numbers: float) -> Metric:
    return Metric(version, "label_time", segment, name, "stable", n=labelled, labelled=labelled, of=of, **DAYS, **numbers)  # type: ignore[arg-type]


def compared(old: float, new: float, low: float, high: float, flights: int = 1_000, recall: tuple[float, float] = (0.17, 0.51)) -> Compared:
    return Compared(flights, old, new, *recall, Saved(old - new, low, high))


def test_a_saving_a_loss_and_chance_are_each_said_as_they_are():
    assert verdict(compared(0.8, 0.6, 0.15, 0.25), PLAIN) == (
        "Retraining saved 0.200 [0.150, 0.250] a flight, 200 in all, 25% of what version 1 alone would have cost"
    )
    assert verdict(compared(0.6, 0.75, -0.2, -0.1), PLAIN) == (
        "Retraining did not help: it cost 0.150 [0.100, 0.200] a flight more, 150 in all, 25% above version 1 alone"
    )
    assert verdict(compared(0.6, 0.59, -0.01, 0.03), PLAIN) == (
        "Retraining made no difference beyond chance: +0.010 [-0.010, +0.030] a flight saved"
    )
    assert verdict(compared(0.59, 0.6, -0.03, 0.01), PLAIN) == (
        "Retraining made no difference beyond chance: -0.010 [-0.030, +0.010] a flight saved"
    )
    assert verdict(compared(0.6, 0.5, NAN, NAN), PLAIN) == "too few days to say whether retraining helped"


def test_versions_carriers_and_all_flights_have_a_row_each():
    served = [Served("2", "1", APRIL_9_MS, APRIL_9_MS + 28 * DAY_MS, compared(0.93, 0.92, -0.01, 0.04))]
    carriers = {
        "UA": compared(0.8, 0.6, 0.15, 0.25),
        "AS": compared(0.4, 0.5, -0.15, -0.05, flights=500),
        "OO": compared(0.9, 0.6, 0.1, 0.5, flights=28, recall=(NAN, NAN)),
    }
    lines = worth(compared(0.841, 0.675, 0.123, 0.208, flights=241_763), served, carriers, PLAIN)
    assert lines[1] == "Old against new on the same 241,763 flights, of 2013-04-09 to 2013-05-07"
    assert "  version 1 alone → as served              0.841 → 0.675 (-20%)      17% → 51%           +0.166 [+0.123, +0.208]" in lines
    assert "  1 → 2, 2013-04-09 to 2013-05-07          0.930 → 0.920 (-1%)       17% → 51%           +0.010 [-0.010, +0.040]" in lines
    assert "  AS       500 flights                     0.400 → 0.500 (+25%)      17% → 51%           -0.100 [-0.150, -0.050]" in lines
    assert "  OO        28 flights                     0.900 → 0.600 (-33%)      –                   too few to say" in lines
    assert lines[-1] == "  beyond chance it cost more of AS"


def test_without_a_known_outcome_nothing_is_claimed():
    nothing = Compared(0, NAN, NAN, NAN, NAN, Saved(NAN, NAN, NAN))
    text = "\n".join(worth(nothing, [], {}, PLAIN))
    assert "nothing can be said" in text
    assert "nan" not in text


def test_a_carrier_without_flights_of_known_outcome_is_a_dash_and_not_nan():
    nothing = Compared(0, NAN, NAN, NAN, NAN, Saved(NAN, NAN, NAN))
    text = "\n".join(worth(compared(0.8, 0.6, 0.1, 0.3), [Served("2", "1", APRIL_9_MS, APRIL_9_MS, nothing)], {"ZZ": nothing}, PLAIN))
    assert "nan" not in text
    assert not math.isnan(compared(0.8, 0.6, 0.1, 0.3).saved_in_all)


def test_the_monitors_figures_stand_by_version_each_from_its_own_rows():
    first = Measurement(
        "1",
        "at the trigger of 2013-04-09",
        [
            metric("expected_cost", value=0.643, low=0.62, high=0.66),
            metric("recall", of="1", value=0.313, low=0.298, high=0.329),
            metric("expected_cost", "carrier=UA", value=0.629, low=0.58, high=0.68),
            metric("expected_cost", "carrier=UA,origin=JFK", value=9.9),
        ],
    )
    second = Measurement(
        "2",
        "at the end, 2013-05-07",
        [
            metric("expected_cost", version="2", value=0.939, low=0.92, high=0.96),
            metric("expected_cost", value=9.9),  # of version 1, which still has labels
            metric("expected_cost", "carrier=UA", version="2", value=0.942),
        ],
    )
    lines = measured([first, second], PLAIN)
    assert "  version 1, at the trigger of 2013-04-09  0.643 [0.62, 0.66]    31.3% [30%, 33%]      –                     –" in lines
    assert "  version 2, at the end, 2013-05-07        0.939 [0.92, 0.96]    –                     –                     –" in lines
    assert "  UA                                       0.629 [0.58, 0.68]    0.942" in lines
    assert "9.9" not in "\n".join(lines)


def test_carriers_with_the_most_labels_are_shown_and_the_others_counted():
    metrics = [metric("expected_cost", f"carrier=C{number:02}", labelled=number, value=0.5) for number in range(MAX_CARRIERS + 3)]
    lines = measured([Measurement("1", "at the end", metrics)], PLAIN)
    rows = [line.split()[0] for line in lines if line.strip().startswith("C")]
    assert rows == [f"C{number:02}" for number in range(MAX_CARRIERS + 2, 2, -1)]
    assert "  and 3 with fewer labels" in lines
