"""Two clocks, one order: what is decided depends on the logs, not on which topic was read faster."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decide.docket import MAX_QUEUE, Docket, Part, Side, Situation, decide, pack_docket, take_controls, unpack_docket
from monitor.decide.facts import Facts
from monitor.decide.gate import Gate
from monitor.decide.state import Phase
from monitor.decide.transition import Transition
from tests.decide.make import DAY, HOUR, MONDAY, PATIENT, VALUES, alarm, control, labels, measured, policy, required

NOW = Situation()
SETTINGS = policy(data_drift={"features": ["x"]}, cooldown="1d")


def windows(hour: float, *alarms: str, version: str = "1", rows: int = 1_000) -> Part:
    found = tuple(alarm(signal) for signal in alarms)
    return Part(Side.WINDOWS, Facts("m", version, MONDAY + int(hour * HOUR), rows=rows, shares={}, data_alarms=found, reference="ab"))


def labelled(hour: float, vote: str, version: str = "1") -> Part:
    performance = (measured(VALUES[vote]),) if vote in VALUES else ()
    return Part(Side.LABELS, Facts("m", version, MONDAY + int(hour * HOUR), performance=performance, labelled=labels(*[100] * 50)))


@dataclass
class Run:
    """A docket and what it said."""

    docket: Docket = field(default_factory=Docket)
    said: list[Transition] = field(default_factory=list)

    def take(self, *parts: Part, upto: float | None = None, situation: Situation = NOW, settings=SETTINGS) -> Run:
        frontier = None if upto is None else MONDAY + int(upto * HOUR)
        self.docket, said = decide(self.docket, parts, frontier, situation, settings)
        self.said += said
        return self

    @property
    def phase(self) -> Phase:
        return self.docket.policy.versions["1"].phase


def logs(seed: int) -> tuple[list[Part], list[Part]]:
    """Evaluations of windows each hour and of labels every second or third, of two versions."""
    draw = random.Random(seed)
    of_windows, of_labels, hour = [], [], 0
    for hour in range(40):
        for version in draw.choice(["1", "1", "2", "12"]):
            of_windows.append(windows(hour, *(["x"] if draw.random() < 0.4 else []), version=version, rows=draw.choice([10, 500])))
    hour = 0
    while (hour := hour + draw.choice([1, 1, 2, 3])) < 40:
        of_labels += [labelled(hour, draw.choice("ooo.c "), version=version) for version in draw.choice(["1", "1", "2", "12"])]
    return of_windows, of_labels


@PATIENT
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_what_is_decided_does_not_depend_on_which_topic_was_read_faster(seed, order):
    of_windows, of_labels = logs(seed)
    whole = Run().take(*of_windows, *of_labels)

    draw, run = random.Random(order), Run()
    left, right, at = list(of_windows), list(of_labels), MONDAY
    while left or right:
        # Labels are judged only as far as the windows are; the windows' facts come as soon as they can.
        if left and (not right or draw.random() < 0.5 or right[0].facts.event_ms > at):
            new = [left.pop(0) for _ in range(min(len(left), draw.randint(1, 6)))]
            while left and left[0].facts.event_ms == new[-1].facts.event_ms:
                new.append(left.pop(0))
            at = new[-1].facts.event_ms
        else:
            new = [right.pop(0)]
            while right and right[0].facts.event_ms == new[0].facts.event_ms:  # one evaluation is about all versions
                new.append(right.pop(0))
        judged = right[0].facts.event_ms - 1 if right else at
        run.docket, said = decide(run.docket, new, judged, NOW, SETTINGS)
        run.said += said
        if draw.random() < 0.3:
            run.docket = unpack_docket(pack_docket(run.docket))
    run.take()
    assert run.said == whole.said
    assert run.docket == whole.docket


def test_these_logs_lead_to_triggers_of_both_kinds():
    runs = [Run().take(*of_windows, *of_labels) for of_windows, of_labels in map(logs, range(60))]
    reasons = [each.trigger.reason.value for run in runs for each in required(run.said)]
    assert reasons.count("performance") > 10
    assert reasons.count("data_drift") > 10


def test_windows_wait_for_the_labels_and_the_earlier_reason_triggers():
    #  hour        0   1   2   3
    #  windows         x   x        two alarms, at hour 1 and 2
    #  labels      o   o            poor at hour 0 and 1, but their topic is read later
    run = Run().take(windows(1, "x"), windows(2, "x"), upto=0)
    assert not run.docket.policy.versions
    run.take(labelled(0, "o"), labelled(1, "o"), upto=3)
    [trigger] = [each.trigger for each in required(run.said)]
    assert (trigger.reason, trigger.event_ms) == ("performance", MONDAY + HOUR)


def test_while_labels_are_silent_nothing_waits_for_them():
    run = Run().take(windows(1, "x"), windows(2, "x"), upto=None)
    assert [each.trigger.reason for each in required(run.said)] == ["data_drift"]


def test_labels_about_times_that_were_decided_count_from_then_on():
    run = Run(docket=Docket()).take(windows(5), windows(6))
    run.take(labelled(1, "o"), labelled(2, "o"), windows(7))
    [trigger] = [each.trigger for each in required(run.said)]
    assert trigger.event_ms == MONDAY + 6 * HOUR, "decisions do not go back in time"
    assert trigger.onset_ms == MONDAY + HOUR


def test_no_version_is_decided_about_before_what_was_decided_about_another():
    run = Run().take(windows(5), labelled(1, "o", version="2"), labelled(5, "c")).take(labelled(2, "o", version="2"))
    assert [each.event_ms for each in required(run.said)] == [MONDAY + 5 * HOUR]


def test_an_evaluation_of_the_labels_is_one_vote_however_often_the_windows_are_judged():
    run = Run().take(labelled(0, "o"), *(windows(hour) for hour in range(1, 20)))
    assert run.phase is Phase.PENDING
    assert not required(run.said)
    run.take(labelled(20, "o"))
    assert required(run.said)


def test_an_estimate_is_one_vote_for_as_long_as_it_is_the_newest():
    settings = policy(performance=[], estimated_loss=[{"loss": 0.05}])

    def estimated(hour: int, made: int) -> Part:
        found = Facts("m", "1", MONDAY + hour * HOUR, as_of_estimates=MONDAY + made * HOUR, estimated_loss=(measured(0.1, "accuracy"),))
        return Part(Side.LABELS, found)

    run = Run().take(*(estimated(hour, made=0) for hour in range(5)), settings=settings)
    assert run.phase is Phase.PENDING
    assert run.take(estimated(6, made=6), settings=settings).phase is Phase.REQUIRED


def test_what_labels_said_still_asks_when_a_gate_opens_and_not_when_it_is_old():
    settings = policy(data_drift={"features": ["x"]}, max_evidence_age="12h")
    for later, phase in ((10, Phase.REQUIRED), (20, Phase.WITHHELD)):
        run = Run().take(labelled(0, "o"), labelled(1, "o"), settings=settings, situation=Situation(partial=True))
        assert [each.gate for each in run.docket.policy.versions["1"].withheld] == [Gate.PARTIAL_VIEW]
        assert run.take(windows(later), settings=settings).phase is phase
    assert [each.gate for each in run.docket.policy.versions["1"].withheld] == [Gate.NOT_CURRENT]


def test_both_sides_are_put_together():
    run = Run().take(windows(0), labelled(0, "o"), windows(1), labelled(1, "o"), settings=policy(min_fresh_labels=100))
    [trigger] = [each.trigger for each in required(run.said)]
    assert (trigger.evidence.reference, trigger.evidence.fresh_labels) == ("ab", 100)


def test_versions_that_are_judged_at_the_same_time_keep_both_their_sides():
    run = Run().take(
        *(part(5, version=version) for version in "12" for part in (windows, lambda hour, version: labelled(hour, "c", version)))
    )
    assert list(run.docket.windows) == list(run.docket.labels) == ["1", "2"]
    assert {time for each in run.docket.policy.versions.values() for time in each.as_of.values()} == {MONDAY + 5 * HOUR}


@pytest.mark.parametrize("flag", ["partial", "rebuilding", "controls_unread"])
def test_the_situation_of_the_process_withholds(flag):
    run = Run().take(windows(0, "x"), windows(1, "x"), situation=Situation(**{flag: True}))
    assert run.phase is Phase.WITHHELD
    assert run.take(windows(2, "x")).phase is Phase.REQUIRED


def test_facts_of_a_partial_view_stay_partial_when_the_view_is_whole_again():
    partial = Part(Side.LABELS, Facts("m", "1", MONDAY + HOUR, performance=(measured(0.5),), partial=True))
    run = Run().take(labelled(0, "o"), partial, windows(1))
    assert [each.gate for each in run.docket.policy.versions["1"].withheld] == [Gate.PARTIAL_VIEW]


def test_a_control_that_is_read_live_holds_from_the_next_decision_on():
    run = Run().take(windows(0, "x"))
    run.docket, said = take_controls(run.docket, [control("hold")], at_once=True)
    assert len(said) == 1
    assert run.take(windows(1, "x")).phase is Phase.WITHHELD


def test_controls_of_history_wait_for_their_time_in_the_order_of_the_topic():
    #  hour      0   1   2   3   4   5
    #  made          hold        release (hour 4), and an ack with a clock that goes wrong (hour 1), after it in the topic
    hold, release = control("hold", time_ms=MONDAY + HOUR), control("release", time_ms=MONDAY + 4 * HOUR)
    wrong = control("assign", failure_mode="f", owner="bob", time_ms=MONDAY + HOUR)
    run = Run()
    run.docket, said = take_controls(run.docket, [hold, release, wrong], at_once=False)
    assert said == ()
    found = [(run.take(windows(hour, "x")).phase, len(run.docket.controls)) for hour in range(6)]
    assert found == [
        (Phase.PENDING, 3), (Phase.WITHHELD, 2), (Phase.WITHHELD, 2), (Phase.WITHHELD, 2), (Phase.REQUIRED, 0), (Phase.REQUIRED, 0),
    ]  # fmt: skip


def test_when_history_is_over_what_still_waits_holds_at_once():
    run = Run()
    run.docket, _ = take_controls(run.docket, [control("hold", time_ms=MONDAY + 99 * DAY)], at_once=False)
    run.docket, said = take_controls(run.docket, [], at_once=True)
    assert len(said) == 1
    assert run.docket.policy.hold is not None
    assert run.docket.controls == ()


def test_the_queue_is_bounded_and_the_oldest_are_decided_first():
    parts = [windows(hour / 1_000) for hour in range(MAX_QUEUE + 5)]
    run = Run().take(*parts, upto=-1)
    assert len(run.docket.queue) == MAX_QUEUE
    assert run.docket.decided_ms == parts[4].facts.event_ms


def test_versions_that_are_gone_are_forgotten():
    run = Run().take(windows(0), windows(0, version="2"), labelled(0, "c", version="2"), windows(25))
    assert (list(run.docket.windows), list(run.docket.labels), list(run.docket.policy.versions)) == (["1"], [], ["1"])


def test_a_docket_is_the_same_after_a_round_trip_and_nothing_else_is_taken_for_one():
    run = Run().take(windows(0, "x"), labelled(0, "o"), windows(1, "x"), windows(9, "x"), upto=2)
    run.docket, _ = take_controls(run.docket, [control("hold"), control("accept", signal="x")], at_once=False)
    assert run.docket.queue
    assert run.docket.controls
    assert unpack_docket(pack_docket(run.docket)) == run.docket
    for wrong in (b"", b"[]", b'{"policy": 1}'):
        with pytest.raises(ValueError, match=r"."):
            unpack_docket(wrong)


def test_a_measure_of_a_side_that_is_not_known_is_unknown():
    run = Run().take(windows(0))
    assert [each.detail for each in run.docket.policy.versions["1"].unknown] == ["nothing is measured"]
