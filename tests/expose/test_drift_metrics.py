from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.evaluate.verdict import Status
from monitor.expose.catalogue import METRICS
from monitor.expose.drift_metrics import drift_page, gzip_joined, numbers, six_digits
from monitor.expose.label_names import KINDS
from monitor.expose.snapshot import RiverAlarms
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from tests.expose.exposition import families, series
from tests.expose.small import LAYOUT, small, with_segments

GOLDEN = Path(__file__).parent.parent / "golden" / "drift_page.txt"
STATISTIC = "driftgauge_drift_statistic"


def test_a_small_page_is_byte_for_byte_the_one_written_by_hand() -> None:
    assert drift_page([small()], 1000).text.decode() == GOLDEN.read_text(encoding="utf-8")


def test_no_verdicts_give_a_page_with_no_series_but_its_own_counts() -> None:
    page = drift_page([], 1000)
    assert [line for line in page.text.decode().splitlines() if not line.startswith("#")] == [
        "driftgauge_series_exposed 0",
        "driftgauge_series_left_out 0",
    ]


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_whatever_a_segment_is_called_it_is_one_label_value_that_reads_back(name: str) -> None:
    page = drift_page([small(("ALL", name), version=name)], 1000).text
    shown = name.encode("utf-8", "replace").decode()
    rows = {dict(labels)["segment"]: dict(labels) for labels in series(page, "driftgauge_window_rows")}
    assert set(rows) == {"ALL", shown}
    assert rows["ALL"]["version"] == shown


def test_a_hostile_segment_cannot_start_a_line_of_its_own() -> None:
    page = drift_page([small(("ALL", 'x"} 1\ndriftgauge_build_info{version="evil'))], 1000).text
    assert "driftgauge_build_info" not in families(page)
    assert b'segment="x\\"} 1\\ndriftgauge_build_info{version=\\"evil"' in page


def test_undefined_and_infinite_values_have_no_series() -> None:
    one = small()
    value = one.value.copy()
    value[0] = [[np.nan, np.inf], [-np.inf, 0.25]]
    assert list(series(drift_page([replace(one, value=value)], 1000).text, STATISTIC).values()) == [0.25]


def test_a_vanished_segment_takes_its_series_with_it() -> None:
    before = drift_page([with_segments(50)], 10_000).text
    after = drift_page([with_segments(49)], 10_000).text
    assert b'segment="id=000049"' in before
    assert b'segment="id=000049"' not in after
    assert b'segment="id=000048"' in after


def test_a_version_that_fell_silent_has_no_segments_and_the_others_keep_their_series() -> None:
    silent = replace(
        with_segments(0), version="v0", table=CountTable(LAYOUT, (), np.zeros((0, LAYOUT.cells), np.int64), np.zeros((0, 2, 2), np.int64))
    )
    alone, both = drift_page([small()], 1000).text, drift_page([silent, small()], 1000).text
    assert series(both, STATISTIC) == series(alone, STATISTIC)
    assert {dict(labels)["version"] for labels in series(both, "driftgauge_window_rows")} == {"v1"}


def test_the_cap_is_kept_to_the_series_and_what_is_left_out_is_counted() -> None:
    everything = drift_page([with_segments(300)], 100_000)
    capped = drift_page([with_segments(300)], 1000)
    assert everything.left_out == 0
    assert (capped.exposed, capped.left_out) == (1000, everything.exposed - 1000)
    assert sum(len(family.samples) for family in families(capped.text).values()) == 1000 + 2
    assert series(capped.text, "driftgauge_series_left_out")[()] == capped.left_out


def test_under_the_cap_drifted_series_come_first_and_then_those_nearest_their_threshold() -> None:
    one = with_segments(3000)
    status = one.status.copy()
    status[[7, 9], 1, 0] = Status.DRIFTED  # a small value: drifted outranks a calm one that is nearer its threshold
    capped = drift_page([replace(one, status=status)], 20_000)
    shown = series(capped.text, STATISTIC)
    segments = [dict(labels)["segment"] for labels in shown if dict(labels)["signal"] == "age" and dict(labels)["statistic"] == "psi"]
    drifted = {dict(labels)["segment"] for labels in shown if dict(labels)["signal"] == "plan"}
    assert {"id=000007", "id=000009"} <= drifted
    # psi of segment i is i thousandths, so the last segments are the worst, and ALL is never calm enough to go.
    others = [segment for segment in segments if segment not in ("ALL", "id=000007", "id=000009")]
    assert "ALL" in segments
    assert others == [f"id={i:06d}" for i in range(3000 - len(others), 3000)]
    assert 0 < len(others) < 2997
    assert len(series(capped.text, "driftgauge_window_rows")) == 3000  # segments' own series before calm statistics


def test_counts_per_window_and_thresholds_survive_any_cap() -> None:
    page = drift_page([with_segments(3000)], 1000).text
    assert len(series(page, "driftgauge_segment_status")) == len(Status)
    assert len(series(page, "driftgauge_signal_segments")) == len(Status)
    assert len(series(page, "driftgauge_drift_threshold")) == 4


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 400))
def test_exposed_and_left_out_add_up_to_all_series_whatever_the_cap(segments: int, cap: int) -> None:
    total = drift_page([with_segments(segments)], 10**9).exposed
    page = drift_page([with_segments(segments)], cap)
    assert page.exposed == min(cap, total)
    assert page.exposed + page.left_out == total


def test_a_status_says_why_a_segment_was_not_judged_and_one_judged_statistic_is_enough() -> None:
    status = np.full((2, 2, 2), Status.INSUFFICIENT_DATA, np.uint8)
    status[0, 1, 0] = Status.STABLE
    shown = series(drift_page([replace(small(), status=status)], 1000).text, "driftgauge_segment_status")
    counts = {dict(labels)["status"]: value for labels, value in shown.items()}
    assert counts == {"stable": 1, "insufficient_data": 1, "drifted": 0, "partial": 0, "no_reference": 0, "not_applicable": 0}


DRIFTED, STABLE, UNKNOWN = Status.DRIFTED, Status.STABLE, Status.INSUFFICIENT_DATA


@pytest.mark.parametrize(
    ("names", "statuses", "expected"),
    [
        # Of each signal: the status of psi and of missing_rate.
        (("age", "score"), [[DRIFTED, STABLE], [STABLE, STABLE]], {"distribution": 1, "prediction": 0, "quality": 0}),
        (("age", "score"), [[STABLE, STABLE], [DRIFTED, STABLE]], {"distribution": 0, "prediction": 1, "quality": 0}),
        (("age", "score"), [[STABLE, STABLE], [UNKNOWN, STABLE]], {"distribution": 0, "quality": 0}),
        (("age", "predicted_class"), [[STABLE, STABLE], [DRIFTED, STABLE]], {"distribution": 0, "prediction": 1, "quality": 0}),
        (("age", "predicted_class"), [[STABLE, DRIFTED], [STABLE, DRIFTED]], {"distribution": 0, "prediction": 0, "quality": 2}),
        (("score", "predicted_class"), [[DRIFTED, STABLE], [DRIFTED, STABLE]], {"prediction": 2, "quality": 0}),
        (("age", "plan"), [[DRIFTED, STABLE], [DRIFTED, DRIFTED]], {"distribution": 2, "quality": 1}),
    ],
)
def test_drifted_features_and_predictions_are_counted_apart(
    names: tuple[str, str], statuses: list[list[Status]], expected: dict[str, int]
) -> None:
    one = small()
    layout = Layout(tuple(replace(signal, name=name) for signal, name in zip(LAYOUT.signals, names, strict=True)))
    status = one.status.copy()
    status[0] = statuses
    page = drift_page([replace(one, status=status, table=replace(one.table, layout=layout))], 1000).text
    shown = {(dict(labels)["segment"], dict(labels)["kind"]): value for labels, value in series(page, "driftgauge_signals_drifted").items()}
    assert shown == {("ALL", kind): count for kind, count in expected.items()}
    assert set(expected) <= set(KINDS["driftgauge_signals_drifted"])


def test_two_windows_and_versions_share_families_and_the_thresholds_of_their_model() -> None:
    one = small()
    long = replace(one, window=replace(one.window, name="long"))
    page = drift_page([one, long, small(version="v2"), small(model="other")], 10_000).text
    assert len(series(page, "driftgauge_window_rows")) == 8
    assert len(series(page, "driftgauge_drift_threshold")) == 8  # two models
    assert len(series(page, "driftgauge_segment_share_threshold")) == 2


def test_out_of_range_is_shown_where_something_is_declared_and_only_there() -> None:
    layout = Layout((SignalBins("free", "numeric", (1.0,)), SignalBins("bound", "numeric", (0.0, 1.0, 2.0000000000000004), (0.0, 2.0))))
    #            missing, invalid, non-finite, below, above | the same three, below 0, 0 to 1, 1 to 2, above 2
    counts = np.array([[0, 0, 0, 5, 5, 0, 0, 0, 1, 4, 2, 3]], np.int64)
    one = small()
    only = replace(
        one, table=CountTable(layout, ("ALL",), counts, np.zeros((1, 2, 2), np.int64)), value=one.value[:1], status=one.status[:1],
        noise=one.noise[:1], since_ms=one.since_ms[:1], unit_factor=one.unit_factor[:1],
        share=replace(one.share, share=one.share.share[:1], reference_share=one.share.reference_share[:1], status=one.share.status[:1]),
    )  # fmt: skip
    shown = series(drift_page([only], 1000).text, "driftgauge_out_of_range_ratio")
    assert {dict(labels)["signal"]: value for labels, value in shown.items()} == {"bound": pytest.approx(0.4)}


def test_alarms_of_river_are_counters_with_the_time_of_the_last() -> None:
    alarms = [("m", RiverAlarms("v1", "ALL", "age", "river.drift.ADWIN", 3, 1_700_000_000_250)),
              ("m", RiverAlarms("v1", "ALL", "score", "river.drift.ADWIN", 0))]  # fmt: skip
    page = drift_page([], 1000, alarms).text
    assert families(page)["driftgauge_river_drift_total"].type == "counter"
    assert sorted(series(page, "driftgauge_river_drift_total").values()) == [0.0, 3.0]
    assert list(series(page, "driftgauge_river_last_drift_timestamp_seconds").values()) == [1_700_000_000.25]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e290, max_value=1e290), min_size=1))
def test_values_read_back_to_six_significant_digits(values: list[float]) -> None:
    array = np.array([value if abs(value) > 1e-290 else 0.0 for value in values])
    texts = numbers(six_digits(array))
    assert len(texts) == len(values)
    for text, value in zip(texts, array.tolist(), strict=True):
        assert text.endswith(b"\n")
        assert float(text) == pytest.approx(float(f"{value:.6g}"), rel=1.1e-5)


def test_times_keep_every_digit() -> None:
    one = small()
    late = replace(one, window=replace(one.window, end_ms=1_712_345_678_901))
    assert list(series(drift_page([late], 1000).text, "driftgauge_window_end_timestamp_seconds").values()) == [1_712_345_678.901]


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_the_compressed_page_is_one_gzip_member_of_the_page_and_its_tail(tail: bytes) -> None:
    page = drift_page([small()], 1000)
    joined = gzip_joined(page, zlib.crc32(page.text), tail)
    assert gzip.decompress(joined) == page.text + tail
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)  # stops after the first member
    assert reader.decompress(joined) == page.text + tail
    assert reader.eof
    assert reader.unused_data == b""


def test_every_family_of_the_page_is_declared_with_its_type_labels_and_help() -> None:
    alarms = [("m", RiverAlarms("v1", "ALL", "age", "river.drift.ADWIN", 1, 0))]
    layout = Layout((*LAYOUT.signals[:1], SignalBins("plan", "categorical", categories=("a", "b"), declared=("a", "b"))))
    one = small()
    found = families(drift_page([replace(one, table=replace(one.table, layout=layout))], 1000, alarms).text)
    declared = {name: metric for name, metric in METRICS.items() if metric.group == "drift"}
    assert set(found) == set(declared)
    for name, family in found.items():
        assert (family.type, family.documentation) == (declared[name].type, declared[name].help)
        for sample in family.samples:
            assert set(sample.labels) == set(declared[name].labels), name
