from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.evaluate.verdict import Status
from monitor.expose.api import MAX_LIMIT, status_json, verdicts_json
from monitor.expose.query import BadParameterError, parse_query
from monitor.expose.snapshot import ModelView, RiverAlarms, Snapshot
from monitor.profile.layout import Role
from tests.expose.sample import NOW_MS, running
from tests.expose.small import small, with_segments

SMALL = Snapshot(NOW_MS, 0, "1", models=(ModelView("m", "t"),), verdicts=(small(),))


def ask(text: str, snapshot: Snapshot = SMALL) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(verdicts_json(snapshot, parse_query(text)))
    return answer


def names(answer: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [(item["segment"], item["signal"], item["statistic"]) for item in answer["verdicts"]]


def test_the_worst_verdict_comes_first_with_all_its_evidence() -> None:
    first = ask("")["verdicts"][0]
    assert first == {
        "model": "m", "version": "v1", "window": "short",
        "window_start": "2023-11-14T22:13:20.000Z", "window_end": "2023-11-14T23:13:20.000Z",
        "segment": "ALL", "signal": "age", "statistic": "psi", "status": "drifted", "reference": None, "value": 0.5, "threshold": 0.1,
        "noise_floor": 0.01, "n_now": 90, "n_reference": 1000, "since": "2023-11-14T22:13:10.500Z", "unit_factor": None,
        "unit_offset": None, "worst_bins": [],
    }  # fmt: skip


def test_drifted_verdicts_precede_calm_ones_that_are_nearer_their_threshold_and_the_unjudged_are_last() -> None:
    listed = ask("")["verdicts"]
    drifted = [i for i, item in enumerate(listed) if item["status"] == "drifted"]
    unjudged = [i for i, item in enumerate(listed) if item["status"] == "insufficient_data"]
    assert drifted == [0, 1]
    assert unjudged == [len(listed) - 4 + i for i in range(4)]
    assert all(item["value"] is None for item in listed if item["status"] == "insufficient_data")


def test_a_rate_rests_on_rows_and_a_distance_on_values() -> None:
    """Of a feature that is missing everywhere no value is left, and yet there is every row to say so."""
    one = running().verdicts[1]
    f, s = one.signals.index("temperature"), one.segments.index("ALL")
    layout, counts = one.table.layout, one.table.counts.copy()
    span = layout.span(f)
    rows = int(counts[s, span].sum())
    counts[s, span] = 0
    counts[s, span.start + Role.MISSING] = rows
    n_now = one.n_now.copy()
    n_now[s, f] = 0
    gone = replace(one, table=replace(one.table, counts=counts), n_now=n_now)
    shown = replace(running(), verdicts=(gone,))
    [rate] = ask("segment=ALL&signal=temperature&statistic=missing_rate", shown)["verdicts"]
    [distance] = ask("segment=ALL&signal=temperature&statistic=psi", shown)["verdicts"]
    assert (rate["n_now"], rate["n_reference"]) == (rows, 51_955)
    assert (distance["n_now"], distance["n_reference"]) == (0, int(one.n_reference[s, f]))


def test_a_share_of_traffic_is_a_verdict_without_a_signal() -> None:
    answer = ask("statistic=segment_share&status=drifted")
    assert names(answer) == [("country=FR", None, "segment_share")]
    item = answer["verdicts"][0]
    assert (item["share"], item["reference_share"], item["value"]) == (0.08, 0.25, pytest.approx(-0.17))


def test_a_distance_comes_with_the_bins_that_moved_most_as_shares_of_the_values() -> None:
    one = running().verdicts[1]
    item = ask("segment=ALL&signal=temperature&statistic=psi&window=long", running())["verdicts"][0]
    signal = one.table.layout.signals[one.signals.index("temperature")]
    counts = one.table.counts[0, one.table.layout.span(one.signals.index("temperature"))]
    assert len(item["worst_bins"]) == 3
    for shift in item["worst_bins"]:
        cell = signal.labels().index(shift["bin"])
        assert shift["share"] == pytest.approx(counts[cell] / counts[3:].sum())
        assert abs(shift["share"] - shift["reference_share"]) > 0.01


def test_a_rate_comes_with_its_own_cells_as_shares_of_the_rows() -> None:
    one = running().verdicts[1]
    assert one.reference is not None
    item = ask("segment=origin%3DJFK&signal=wind_speed&statistic=missing_rate&window=long", running())["verdicts"][0]
    (shift,) = item["worst_bins"]
    row, cell = one.segments.index("origin=JFK"), int(one.table.layout.offsets[one.signals.index("wind_speed")])
    assert shift["bin"] == "missing"
    assert shift["share"] == pytest.approx(one.table.counts[row, cell] / one.table.rows[row])
    before = one.reference.table
    assert shift["reference_share"] == pytest.approx(
        before.counts[before.index["origin=JFK"], cell] / before.rows[before.index["origin=JFK"]]
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("signal=age&statistic=psi", [("ALL", "age", "psi"), ("country=FR", "age", "psi")]),
        ("segment=country%3DFR&signal=plan", [("country=FR", "plan", "psi"), ("country=FR", "plan", "missing_rate")]),
        ("status=drifted&signal=age&signal=plan", [("ALL", "age", "psi")]),
        ("status=DRIFTED&signal=age&signal=plan", [("ALL", "age", "psi")]),
        ("status=DRIFTED&status=drifted&signal=age&signal=plan", [("ALL", "age", "psi")]),
        ("segment=nowhere", []),
        ("window=long", []),
        ("version=v2", []),
        ("model=m&version=v1&window=short&status=drifted&statistic=psi", [("ALL", "age", "psi")]),
    ],
)
def test_a_filter_keeps_what_it_names(query: str, expected: list[tuple[str, str, str]]) -> None:
    answer = ask(query)
    assert names(answer) == expected
    assert answer["total"] == len(expected)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: expected a whole number from 1 to 1000, got '0'"),
        ("limit=1001", "limit: expected a whole number from 1 to 1000, got '1001'"),
        ("limit=ten", "limit: expected a whole number from 1 to 1000, got 'ten'"),
        ("limit=٣", "limit: expected a whole number from 1 to 1000, got '٣'"),
        ("limit=1&limit=2", "limit: expected a whole number from 1 to 1000, got '1,2'"),
        ("offset=-1", "offset: expected a whole number from 0 to 1000000000, got '-1'"),
        ("status=bad", "status: expected one of stable, drifted, insufficient_data, partial, no_reference, not_applicable, got 'bad'"),
        ("status=BAD", "status: expected one of stable, drifted, insufficient_data, partial, no_reference, not_applicable, got 'BAD'"),
        ("window=day", "window: expected one of short, long, got 'day'"),
        ("model=x", "model: expected one of m, got 'x'"),
        (
            "page=1",
            "page: expected one of the parameters model, version, window, segment, signal, statistic, status, limit, offset, got 'page'",
        ),
    ],
)
def test_a_bad_parameter_says_what_was_expected_and_got(query: str, message: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        ask(query)
    assert str(caught.value) == message


def test_an_unknown_statistic_is_told_which_there_are() -> None:
    with pytest.raises(BadParameterError, match=r"^statistic: expected one of psi, .*, segment_share, got 'pis'$"):
        ask("statistic=pis")


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(BadParameterError, match="query: expected at most 50 parameters, got '51 parameters'"):
        parse_query("&".join(["segment=x"] * 51))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 70))
def test_pages_put_together_are_the_whole_list_whatever_their_size(segments: int, limit: int) -> None:
    long = replace(with_segments(segments + 3), window=replace(small().window, name="long"))
    snapshot = replace(SMALL, verdicts=(with_segments(segments), long, small(version="v2")))
    whole = ask(f"limit={MAX_LIMIT}", snapshot)
    assert whole["next_offset"] is None
    pages: list[dict[str, Any]] = []
    offset: int | None = 0
    while offset is not None:
        page = ask(f"limit={limit}&offset={offset}", snapshot)
        assert page["total"] == whole["total"]
        assert len(page["verdicts"]) <= limit
        pages += page["verdicts"]
        offset = page["next_offset"]
    assert pages == whole["verdicts"]
    assert len(pages) == whole["total"]


def test_a_page_beyond_the_end_is_empty_and_says_how_many_there_are() -> None:
    answer = ask("offset=1000")
    assert (answer["verdicts"], answer["total"], answer["next_offset"]) == ([], 10, None)


def test_before_the_first_evaluation_the_list_is_empty() -> None:
    assert ask("", replace(SMALL, verdicts=()))["total"] == 0


def test_the_status_says_where_every_message_went_and_how_far_reading_is() -> None:
    answer = json.loads(status_json(running(), NOW_MS + 301_000))
    model = answer["models"][0]
    ledger = model["ledger"]
    used = ledger["rows_counted"] + ledger["rows_duplicate"] + sum(ledger["rows_late"].values()) + sum(ledger["rejected"].values())
    assert ledger["messages"] == used + ledger["tombstones"]
    assert (answer["condition"], model["lag_messages"], len(model["partitions"])) == ("healthy", 72, 4)
    version = model["versions"][0]
    assert version["reference"] == "9f2c4be1" * 8
    assert (version["reference_start"], version["reference_end"]) == ("2013-01-02T00:00:00.000Z", "2013-03-02T00:00:00.000Z")


def test_the_status_says_what_rivers_detectors_found() -> None:
    alarms = RiverAlarms("v1", "ALL", "score", "river.drift.ADWIN", 2, 1_000)
    silent = replace(alarms, segment="country=FR", alarms=0, last_alarm_event_ms=None)
    model = json.loads(status_json(replace(SMALL, models=(ModelView("m", "t", river=(alarms, silent)),)), NOW_MS))["models"][0]
    head = {"version": "v1", "signal": "score", "detector": "river.drift.ADWIN"}
    assert model["river"] == [
        {**head, "segment": "ALL", "alarms": 2, "last_alarm": "1970-01-01T00:00:01.000Z"},
        {**head, "segment": "country=FR", "alarms": 0, "last_alarm": None},
    ]


def test_all_verdicts_of_a_partial_view_say_so() -> None:
    one = small()
    partial = replace(one, status=np.full_like(one.status, Status.PARTIAL))
    assert {item["status"] for item in ask("signal=age&signal=plan", replace(SMALL, verdicts=(partial,)))["verdicts"]} == {"partial"}
