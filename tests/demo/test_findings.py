"""What the findings say, from hand-made answers."""

from __future__ import annotations

from monitor.demo.findings import MAX_FINDINGS, against, drifts, faults, shares
from monitor.demo.terminal import Ink
from tests.demo.answers import share, status, verdict

PLAIN = Ink(False)


def test_a_finding_says_what_how_large_since_when_where_and_which_values() -> None:
    jfk = verdict(segment="origin=JFK", value=2.5, since="2013-06-02T00:00:00.000Z")
    lines = drifts([jfk, verdict(), verdict(statistic="ks", value=0.3, since="2013-04-09T00:00:00.000Z")], PLAIN)
    assert lines[:6] == [
        "",
        "What had drifted by 2013-07-15",
        "  temperature_f         PSI 1.25, 12.5 × the threshold of 0.1 (noise 0.004), since 2013-04-09",
        "                        more 64 to 130 (0 % → 70.0 %)",
        "                        6,000 values of the last 7 days against 50,000",
        "                        all traffic and 1 segment, furthest in origin=JFK (PSI 2.50, since 2013-06-02)",
    ]


def test_what_all_traffic_does_comes_before_what_one_segment_does() -> None:
    lines = drifts([verdict(signal="wind", segment="origin=JFK", value=9.0), verdict(signal="rain", value=0.2)], PLAIN)
    names = [line.split()[0] for line in lines if line[2:3].strip()]
    assert names.index("rain") < names.index("wind")
    assert "                        only 1 segment, furthest in origin=JFK (PSI 9.00, since 2013-05-01)" in lines


def test_beyond_the_worst_signals_only_names_are_given() -> None:
    lines = drifts([verdict(signal=f"x{number:02}", value=5.0 - number / 10) for number in range(MAX_FINDINGS + 2)], PLAIN)
    assert f"  and 2 more: x{MAX_FINDINGS:02}, x{MAX_FINDINGS + 1}" in lines
    assert sum("threshold" in line for line in lines) == MAX_FINDINGS


def test_what_the_model_answers_is_apart_from_what_it_was_given() -> None:
    lines = drifts([verdict(), verdict(signal="score", value=0.2)], PLAIN)
    assert lines.index("What the model answers") < next(i for i, line in enumerate(lines) if line.startswith("  score "))
    quiet = drifts([verdict()], PLAIN)
    assert quiet[-1] == "  score and predicted class are as they were in the reference, in every segment"


def test_nothing_drifted_is_said() -> None:
    assert drifts([], PLAIN)[1] == "Nothing had drifted"
    assert faults([], PLAIN)[2:] == [
        "  nothing is missing, invalid, unseen or out of range more often than in the reference",
        "  probable changes of unit: none",
    ]


def test_a_rate_is_a_matter_of_data_quality_not_of_drift() -> None:
    missing = verdict(
        statistic="missing_rate", value=0.128, threshold=0.02, worst_bins=[{"bin": "missing", "reference_share": 0.002, "share": 0.13}]
    )
    assert drifts([missing], PLAIN)[1] == "Nothing had drifted"
    assert faults([missing, verdict(statistic="missing_rate", segment="origin=JFK", value=0.2, threshold=0.02)], PLAIN)[2] == (
        "  temperature_f         missing 0.2 % → 13.0 % (+12.8 pp) in 7 days, since 2013-05-01 (all traffic, 1 segment)"
    )


def test_a_probable_change_of_unit_is_named_and_counted() -> None:
    celsius = verdict(unit_factor=0.555556, unit_offset=-17.7778)
    assert "against 50,000; probably another unit: × 0.555556 -17.7778" in "\n".join(drifts([celsius], PLAIN))
    assert faults([celsius, verdict(unit_factor=0.555556, statistic="ks")], PLAIN)[-1] == "  probable changes of unit: 1"


def test_shares_that_drifted_are_listed_and_otherwise_the_largest_moves() -> None:
    calm = [share("origin=LGA", 0.32, 0.30), share("origin=EWR", 0.33, 0.36), share("origin=LGA", 0.31, 0.30, window="long")]
    assert shares(calm, PLAIN)[2:] == [
        "  no segment's share moved by more than 5.0 pp; the largest moves:",
        "  origin=EWR            36.0 % → 33.0 % (−3.0 pp) in 7 days",
        "  origin=LGA            30.0 % → 32.0 % (+2.0 pp) in 7 days",
    ]
    moved = share("carrier=WN", 0.2, 0.1, status="drifted", since="2013-06-01T00:00:00.000Z")
    assert shares([*calm, moved], PLAIN)[2:] == ["  carrier=WN            10.0 % → 20.0 % (+10.0 pp) in 7 days, since 2013-06-01"]
    assert shares([share("x", 0.1, 0.1, value=None, status="insufficient_data")], PLAIN)[2:] == ["  no segment has enough rows yet"]


def test_the_reference_is_named_with_its_rows_dates_and_fingerprint() -> None:
    assert against(status().models[0]) == [
        "  compared with 51,955 flights of 2013-01-01 to 2013-03-01 (model flight-delay version 1, reference abababababab)",
        "  version 2 has no reference",
    ]


def test_colours_change_nothing_but_colours() -> None:
    found = [verdict(), verdict(signal="score", value=0.2), verdict(statistic="missing_rate", threshold=0.02)]
    plain, coloured = [[*drifts(found, ink), *faults(found, ink)] for ink in (PLAIN, Ink(True))]
    assert coloured != plain
    codes = [f"\x1b[{code}m" for code in (0, 1, 2, 31, 32, 33, 36)]
    for code in codes:
        coloured = [line.replace(code, "") for line in coloured]
    assert coloured == plain
