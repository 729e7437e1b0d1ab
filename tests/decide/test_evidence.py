"""What a trigger says about itself, and the bounds of it."""

from __future__ import annotations

import math

import msgspec

from monitor.decide.evidence import MAX_MODES, MAX_MOVED, MAX_TEXT
from monitor.decide.facts import Facts, FailureMode, Measured
from monitor.decide.reading import Reason
from tests.decide.make import DAY, HOUR, MONDAY, alarm, facts, labels, measured, play, policy, required


def bundle(given, settings):
    [change] = required(play(given, settings)[1])
    return change.trigger.evidence


def test_it_says_what_where_since_when_how_large_and_what_to_train_on():
    #  recall is measured over the two days before: the poor data begins before the first poor evaluation
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": ["ALL", "country=FR"]}], cost={"ceiling": 1.0})
    since = MONDAY - 2 * DAY
    more = {
        "shares": {"country=FR": 0.25},
        "cost": (measured(1.4, "cost", half=0.1, n=900), measured(9.0, "cost", "country=FR")),
        "labelled": labels(*[100] * 100, start_ms=since - 10 * HOUR),
        "reference": "ab" * 32,
        "dataset": "2023-10",
        "label_quality": {"disagreement_ratio": 0.02, "flip_ratio": math.nan},
        "failure_modes": (FailureMode("f1", "country=FR", "1", "false_positive", 0.31, 0.2, 120, 13.2, "rising", "open", None),),
    }
    given = []
    for hour in range(2):
        poor = (measured(0.6, since_ms=since + hour), measured(0.5, segment="country=FR", since_ms=since + HOUR + hour))
        given.append(facts(MONDAY + hour * HOUR, performance=poor, **more))
    found = bundle(given, settings)
    assert [(each.reason, each.signal, each.segment, each.value, each.limit, each.share) for each in found.moved] == [
        (Reason.PERFORMANCE, "recall", "ALL", 0.6, 0.7, 1.0),
        (Reason.PERFORMANCE, "recall", "country=FR", 0.5, 0.7, 0.25),
        (Reason.COST, "cost", "ALL", 1.4, 1.0, 1.0),
    ]
    assert [(each.since_ms, each.onset_ms) for each in found.moved[:2]] == [(since, MONDAY), (since + HOUR, MONDAY)]
    assert (found.moved[0].low, found.moved[0].high, found.moved[0].n) == (0.59, 0.61, 400)
    assert found.since_ms == since
    assert (found.cost.value, found.cost.low, found.cost.high, found.cost.n) == (1.4, 1.2999999999999998, 1.5, 900)
    assert (found.train.start_ms, found.train.end_ms, found.train.labelled_rows) == (since, MONDAY + HOUR, 4_900)
    assert found.fresh_labels == 4_900, "49 hours of them; what was predicted later is not counted yet"
    assert (found.reference, found.dataset) == ("ab" * 32, "2023-10")
    assert found.label_quality == {"disagreement_ratio": 0.02}
    assert found.failure_modes == more["failure_modes"]
    assert found.triggers_in_period == 1


def test_a_configured_training_window_reaches_back_that_far():
    settings = policy(training_window="10d", persistence={"evaluations": 1})
    found = bundle([facts(MONDAY, "o", labelled=labels(*[1] * 20, start_ms=MONDAY - 15 * DAY, every_ms=DAY))], settings)
    assert (found.train.start_ms, found.train.labelled_rows, found.fresh_labels) == (MONDAY - 10 * DAY, 10, 0)


def test_an_alarm_says_when_the_change_began():
    settings = policy(data_drift={"features": ["x"]}, persistence={"evaluations": 1})
    found = bundle([facts(MONDAY, data_alarms=(alarm(start_ms=MONDAY - DAY, effect=-0.4, n=812),))], settings)
    assert (found.since_ms, found.moved[0].value, found.moved[0].n) == (MONDAY - DAY, -0.4, 812)
    # A detector may be ahead of the evaluation; the data to train on is not.
    found = bundle([facts(MONDAY, data_alarms=(alarm(start_ms=MONDAY + DAY),))], settings)
    assert (found.train.start_ms, found.train.end_ms) == (MONDAY, MONDAY)


def test_the_data_to_train_on_begins_with_what_the_trigger_is_about():
    """An input that drifted a month before performance fell is told, and is no reason to train on a month of good data."""
    settings = policy(data_drift={"features": ["x"]}, persistence={"evaluations": 1})
    found = bundle([facts(MONDAY, "o", data_alarms=(alarm(start_ms=MONDAY - 30 * DAY),))], settings)
    assert (found.since_ms, found.train.start_ms) == (MONDAY, MONDAY)
    assert [each.since_ms for each in found.moved] == [MONDAY, MONDAY - 30 * DAY]


def test_what_could_not_be_judged_is_part_of_it():
    found = bundle([facts(MONDAY, "o")], policy(cost={"ceiling": 1.0}, persistence={"evaluations": 1}))
    assert [(each.reason, each.detail) for each in found.unknown] == [(Reason.COST, "nothing is measured")]
    assert found.cost is None


def test_it_is_bounded_whatever_the_facts_hold():
    long = "s=" + "x" * 10_000
    segments = [long, *(f"s={n}" for n in range(3_000))]
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": [], "min_share": 0.0001}], persistence={"evaluations": 1})
    given = Facts(
        "m",
        "1",
        MONDAY,
        shares=dict.fromkeys(segments, 0.001) | {long: 0.5},
        performance=tuple(Measured("recall", segment, 0.5, 0.4, 0.6, 10) for segment in segments),
        label_quality={f"{'m' * 1_000}{n}": 0.1 for n in range(1_000)},
        failure_modes=(FailureMode(*[long] * 4, None, None, 1, 1.0, *[long] * 3),) * 1_000,
    )
    found = bundle([given], settings)
    assert (len(found.moved), found.moved_left_out) == (MAX_MOVED, len(segments) - MAX_MOVED)
    assert found.moved[0].segment == long[: MAX_TEXT - 1] + "…", "the largest share first"
    assert len(found.failure_modes) == MAX_MODES
    assert {len(text) for text in msgspec.structs.astuple(found.failure_modes[0]) if isinstance(text, str)} == {MAX_TEXT}
    assert len(msgspec.json.encode(found)) < 64_000
