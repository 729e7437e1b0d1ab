"""What is said of each rollout: every part's own word, in order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor.demo.loop.chronicle import Handover, Rollout, chronicle, drifts, handover, reasons
from monitor.demo.loop.published import Published
from monitor.demo.loop.questions import Alert, Moved, Received, Run, Trigger
from monitor.demo.loop.suspicions import Alarm, Effect, Suspicions, Watched
from monitor.demo.terminal import Ink
from tests.demo.answers import verdict

PLAIN = Ink(False)
DAY_MS = 86_400_000
RECALL = {
    "reason": "performance", "signal": "recall[1]", "segment": "ALL", "since": "2013-03-18T00:00:00.000Z",
    "onset": "2013-04-08T00:00:00.000Z", "value": 0.3131, "low": 0.29, "high": 0.329, "limit": 0.33, "n": 9_000, "share": 1.0,
}  # fmt: skip


def trigger(**changes: Any) -> Trigger:
    """An answer of the API, as its JSON."""
    fields: dict[str, Any] = {
        "id": "cc6aaac1", "model": "flight-delay", "version": "1", "phase": "required", "reason": "performance",
        "decided": "2013-04-09T00:00:00.000Z", "onset": "2013-04-08T00:00:00.000Z", "acknowledged": None, "moved": [RECALL],
        "moved_left_out": 0, "since": "2013-03-18T00:00:00.000Z",
        "training_data": {"start": "2013-02-26T00:00:00.000Z", "end": "2013-04-09T00:00:00.000Z", "labelled_rows": 38_036},
    }  # fmt: skip
    return msgspec.json.decode(msgspec.json.encode(fields | changes), type=Trigger)


SUSPECTED = Suspicions(
    (Watched(900, 31),),
    (
        Alarm("ALL", "temperature_f", "values", "2013-03-02T00:10:00.000Z", Effect("sd", 0.85)),
        Alarm("origin=EWR", "temperature_f", "values", "2013-03-01T00:10:00.000Z", Effect("sd", 0.9)),
        Alarm("ALL", "error", "error", "2013-04-05T00:00:00.000Z", Effect("share", 0.031)),
    ),
)


def rollout(attempts: int = 1) -> Rollout:
    return Rollout(
        trigger(),
        (verdict(), verdict(signal="score", value=0.3)),
        SUSPECTED,
        (),
        Alert({"alertname": "DriftgaugeRetrainRequired", "action": "retrain"}, "firing", "2026-01-05T12:38:03.5Z"),
        ("retraining", "tickets"),
        Run("cc6aaac1", "retrain-flight-delay-0883", "started", attempts, "exit_0", ""),
        Published("2", "cc6aaac1", 38_036, 0, DAY_MS, 0.731, 4.2),
        20.04,
    )


def test_each_part_of_the_chain_is_named_with_what_it_said():
    lines = chronicle([(rollout(), Handover(1_365_508_620_000, 247))], Received(5, 1, 1), PLAIN)
    assert lines == [
        "",
        "What happened, and who said so",
        "  version 1 → 2",
        "    monitor       trigger cc6aaac1 on 2013-04-09: late flights found 0.313 beyond 0.33 since 2013-04-08",
        "    drifted       temperature_f since 2013-05-01 (PSI 1.25); score since 2013-05-01 (PSI 0.300)",
        "    detectors     31 of 900 streams have triggered; of all traffic wrong answers since 2013-04-05 (+3.1 pp);"
        " temperature_f since 2013-03-02 (+0.85 sd)",
        "    Prometheus    DriftgaugeRetrainRequired fires, active since 12:38:03 UTC",
        "    Alertmanager  tells retraining and tickets",
        "    hook          fetches the evidence; the pipeline is started once, as retrain-flight-delay-0883",
        "    pipeline      learns from 38,036 flights of 2013-02-26 to 2013-04-09, the window of the evidence;"
        " publishes version 2 and its reference",
        "    event time    stood still for these 20 s; version 2 answers from 2013-04-09 11:57 on, so version 1 still answered 247 flights"
        " after the decision",
        "  In all 5 notifications of 1 triggers came to the hook (repeats and resolved ones among them), and it started 1 pipelines",
    ]


def test_a_second_start_would_be_said():
    text = "\n".join(chronicle([(rollout(attempts=2), Handover(None, 0))], Received(5, 1, 2), PLAIN))
    assert "started 2 times, as retrain-flight-delay-0883" in text
    assert "no flight was left for version 2" in text


def test_more_conditions_than_are_shown_are_counted_with_those_that_the_evidence_left_out():
    many = trigger(moved=[RECALL | {"segment": f"carrier={name}"} for name in ("AA", "UA", "WN", "B6", "DL")], moved_left_out=7)
    assert reasons(many).endswith("late flights found of carrier=WN 0.313 beyond 0.33 since 2013-04-08; and 9 more")
    assert reasons(trigger()) == "late flights found 0.313 beyond 0.33 since 2013-04-08"


def test_drifts_are_told_furthest_first_and_a_quiet_day_says_so():
    found = [verdict(signal=name, value=value) for name, value in (("a", 0.2), ("b", 0.9), ("c", 0.5), ("d", 0.3))]
    assert drifts([*found, verdict(signal=None, statistic="segment_share")]).startswith("b since 2013-05-01 (PSI 0.900); c since")
    assert drifts(found).endswith("; and 1 more")
    assert drifts([]) == "no distribution, over all traffic"


@pytest.mark.parametrize(("first", "meanwhile"), [(0, 0), (1, 0), (2, 1), (3, 2)])
def test_flights_after_the_decision_that_the_old_version_answered(first: int, meanwhile: int):
    times = [0, DAY_MS, 2 * DAY_MS, 3 * DAY_MS]
    assert handover(times, first, "1970-01-02T00:00:00.000Z") == Handover(times[first], meanwhile)


def test_where_no_flight_is_left_none_is_named():
    assert handover([0, DAY_MS], 2, "1970-01-02T00:00:00.000Z") == Handover(None, 1)


def test_a_condition_is_named_for_people_with_its_segment():
    cost = Moved("cost", "expected_cost", "carrier=MQ", "2013-04-30T00:00:00.000Z", None, None)
    assert reasons(Trigger("t", "1", "required", "cost", "", (cost,), 0, trigger().training_data)) == (
        "cost a flight of carrier=MQ since 2013-04-30"
    )
