"""The machine on closed examples: timelines of votes, and the phase after each.

o beyond the limit, . between the levels, c clear, blank unknown; q quiet, p pending, w withheld, r required, a acknowledged, s superseded.
"""

from __future__ import annotations

import msgspec
import pytest

from monitor.decide.facts import AlarmLevel, Facts, FailureMode
from monitor.decide.gate import Gate
from monitor.decide.policy import step
from monitor.decide.reading import Reason
from monitor.decide.state import MAX_TRIGGERS, Phase, PolicyState, pack_policy, unpack_policy
from monitor.decide.transition import Change
from tests.decide.make import DAY, HOUR, MONDAY, alarm, control, facts, labels, letters, measured, phases, play, policy, required, timeline


def test_a_condition_that_persists_is_required_once():
    #  hour    0 1 2 3 4 5
    #  votes   c o o o c c      two of three: required at hour 2
    given = timeline("coooccccccc")
    assert letters(phases(given)) == "qprrrrrrrrr", "it stays required although it clears, so that no scrape misses it"
    _, said = play(given)
    [trigger] = [each.trigger for each in required(said)]
    assert (trigger.reason, trigger.version) == (Reason.PERFORMANCE, "1")
    assert (trigger.event_ms, trigger.onset_ms) == (MONDAY + 2 * HOUR, MONDAY + HOUR)
    assert [each.change for each in said] == [Change.PENDING, Change.REQUIRED]


def test_what_is_said_once_is_not_said_again():
    _, said = play(timeline("coccccoccc"))
    assert [each.change for each in said] == [Change.PENDING, Change.CLEARED, Change.PENDING, Change.CLEARED]


def test_a_condition_that_outlives_the_cooldown_asks_again_under_another_name():
    #  day     0 ............... 1 ............. 2 ............ 3      cooldown two days, required at hour 1 of day 0
    given = timeline("o" * 74)
    state, said = play(given)
    first, second = required(said)
    assert second.event_ms - first.event_ms == 2 * DAY
    assert first.trigger.id != second.trigger.id
    assert first.trigger.onset_ms == second.trigger.onset_ms == MONDAY
    assert [t.phase for t in state.triggers] == [Phase.SUPERSEDED, Phase.REQUIRED]
    assert state.triggers[0].ended_by == second.trigger.id
    [superseded] = [each for each in said if each.change is Change.SUPERSEDED]
    assert superseded.trigger.id == first.trigger.id


def test_the_name_is_the_same_when_the_first_trigger_was_withheld_by_a_loss_of_the_state():
    """The cooldown is over at hour 49. A state that is rebuilt until hour 60 leads to the name that the whole one led to at hour 49."""
    whole = required(play(timeline("o" * 70))[1])
    rebuilt = [*timeline("o" * 60, rebuilding=True), *timeline("o" * 10, start_ms=MONDAY + 60 * HOUR)]
    late = required(play(rebuilt)[1])
    assert [each.trigger.id for each in late] == [whole[1].trigger.id]


def test_a_name_is_never_used_twice_also_when_the_cooldown_is_configured_anew():
    state, said = play(timeline("o" * 30), policy(cooldown="1d"))
    _, more = play(timeline("o" * 80, start_ms=MONDAY + 30 * HOUR), policy(cooldown="3d"), state)
    names = [each.trigger.id for each in required([*said, *more])]
    assert len(set(names)) == len(names) == 3


def test_what_has_not_been_known_for_longer_than_the_cooldown_is_forgotten():
    state, _ = play(timeline("o" + " " * 48))
    assert len(state.versions["1"].watches) == 1
    state, _ = play(timeline(" ", start_ms=MONDAY + 49 * HOUR), state=state)
    assert state.versions["1"].watches == ()


def test_another_episode_within_the_cooldown_is_withheld_until_it_is_over():
    #  hour    0 1 2 3 4 5 6 7 ...     required at hour 1, acknowledged; another episode from hour 5 on; the cooldown ends at hour 49
    state, _ = play(timeline("oo"))
    state, _ = play([control("ack", trigger_id=state.triggers[0].id)], state=state)
    rest = timeline("ccc" + "o" * 60, start_ms=MONDAY + 2 * HOUR)
    assert letters(phases(rest[:46], state=state)) == "a" * 46, "acknowledged for as long as the cooldown runs"
    state, said = play(rest, state=state)
    assert [(each.event_ms, each.trigger.onset_ms) for each in required(said)] == [(MONDAY + 49 * HOUR, MONDAY + 5 * HOUR)]


def test_the_cooldown_is_of_the_model_and_holds_another_version_back():
    state, _ = play(timeline("oo"))
    state, said = play(timeline("oo", start_ms=MONDAY + 2 * HOUR, version="2", rows=10), state=state)
    assert not required(said)
    [withheld] = state.versions["2"].withheld
    assert withheld.gate is Gate.COOLDOWN
    assert withheld.detail == "1d22h left of the 2d after the last trigger"


@pytest.mark.parametrize(
    ("changes", "settings", "gate", "detail"),
    [
        ({"partial": True}, {}, Gate.PARTIAL_VIEW, "this process does not read every partition"),
        ({"rebuilding": True}, {}, Gate.REBUILDING, "lost state is being rebuilt from the log"),
        ({"controls_unread": True}, {}, Gate.CONTROLS_UNREAD, "the control topic has not been read to its end yet"),
        (
            {"labelled": labels(100, 100)},
            {"min_fresh_labels": 500},
            Gate.FRESH_LABELS,
            "100 labelled rows since the change, at least 500 are needed",
        ),
        ({}, {"min_fresh_labels": 500}, Gate.FRESH_LABELS, "labels are not known, at least 500 rows are needed"),
        (
            {"label_quality": {"disagreement_ratio": 0.3}},
            {"label_quality": [{"measure": "disagreement_ratio", "at_most": 0.1}]},
            Gate.LABEL_QUALITY,
            "disagreement_ratio is 0.3, at most 0.1",
        ),
        (
            {"label_quality": {"coverage_ratio": 0.3, "disagreement_ratio": 0.01}},
            {"label_quality": [{"measure": "coverage_ratio", "at_least": 0.5}, {"measure": "disagreement_ratio", "at_most": 0.1}]},
            Gate.LABEL_QUALITY,
            "coverage_ratio is 0.3, at least 0.5",
        ),
        ({}, {"label_quality": [{"measure": "flip_ratio", "at_most": 0.1}]}, Gate.LABEL_QUALITY, "flip_ratio is not known"),
        (
            {},
            {"quiet_hours": {"zone": "Europe/Paris", "windows": [{"start": "01:00", "end": "04:00"}]}},
            Gate.QUIET_HOURS,
            "quiet hours in Europe/Paris",
        ),
    ],
)
def test_a_shut_gate_withholds_and_names_itself_and_opens_later(changes, settings, gate, detail):
    state, said = play(timeline("oo", **changes), policy(**settings))
    version = state.versions["1"]
    assert version.phase is Phase.WITHHELD
    assert [(each.gate, each.detail) for each in version.withheld] == [(gate, detail)]
    assert said[-1].change is Change.WITHHELD
    assert said[-1].withheld == version.withheld
    # Everything in order later: it is required, with the onset of then.
    fine = {"labelled": labels(*[1_000] * 20), "label_quality": {"disagreement_ratio": 0.0, "coverage_ratio": 1.0, "flip_ratio": 0.0}}
    _, said = play([facts(MONDAY + 9 * HOUR, "o", **fine)], policy(**settings), state)
    assert [each.trigger.onset_ms for each in required(said)] == [MONDAY]


def test_all_shut_gates_are_named_and_a_change_of_them_is_said_once():
    settings = policy(min_fresh_labels=10)
    state, said = play(timeline("ooo", partial=True), settings)
    assert [each.gate for each in state.versions["1"].withheld] == [Gate.PARTIAL_VIEW, Gate.FRESH_LABELS]
    _, more = play(timeline("oo", start_ms=MONDAY + 3 * HOUR), settings, state)
    assert [[w.gate for w in each.withheld] for each in [*said, *more]] == [[], [Gate.PARTIAL_VIEW, Gate.FRESH_LABELS], [Gate.FRESH_LABELS]]


def test_a_trigger_rests_on_the_evaluation_at_hand():
    #  hour    0 1 2 3 4 5 6
    #  votes   o o .   . o        partial until hour 1: active, but what persisted is between its levels, or unknown, until hour 5
    state, _ = play(timeline("oo", partial=True))
    later = timeline(". .o", start_ms=MONDAY + 2 * HOUR)
    assert letters(phases(later, state=state)) == "wwwr"
    state, _ = play(later[:1], state=state)
    assert [each.gate for each in state.versions["1"].withheld] == [Gate.NOT_CURRENT]


def test_a_hold_withholds_until_it_is_released():
    state, _ = play([control("hold"), *timeline("oo")])
    assert [each.detail for each in state.versions["1"].withheld] == ["held by ann: for a test"]
    state, said = play([control("release"), facts(MONDAY + 2 * HOUR, "o")], state=state)
    assert len(required(said)) == 1
    assert state.hold is None


def test_a_hold_with_an_end_ends_by_itself_in_event_time():
    held = control("hold", until_ms=MONDAY + 3 * HOUR)
    assert letters(phases([held, *timeline("oooo")])) == "-pwwr"


def test_a_hold_does_not_take_back_what_is_required_already():
    assert letters(phases([*timeline("oo"), control("hold"), *timeline("oo", start_ms=MONDAY + 2 * HOUR)])) == "prrrr"


def test_an_acknowledgement_may_come_before_its_trigger():
    """After a loss the control topic may be read before the log has led to the trigger again."""
    state, said = play(timeline("oo"))
    ack = control("ack", trigger_id=state.triggers[0].id)
    acked_after, said = play([ack], state=state)
    assert [each.change for each in said] == [Change.CONTROL_APPLIED, Change.ACKNOWLEDGED]
    acked_before, said = play([ack, *timeline("oo")])
    assert said[0].detail == "there is no such trigger (yet)"
    assert [each.change for each in said[1:]] == [Change.PENDING, Change.REQUIRED, Change.ACKNOWLEDGED]
    assert acked_before.triggers == acked_after.triggers
    assert acked_before.versions["1"].phase is acked_after.versions["1"].phase is Phase.ACKNOWLEDGED


def test_a_second_acknowledgement_changes_nothing_but_is_recorded():
    state, _ = play(timeline("oo"))
    name = state.triggers[0].id
    state, said = play([control("ack", 1, trigger_id=name), control("ack", 2, trigger_id=name, by="bob")], state=state)
    assert said[-1].detail == "it is acknowledged already"
    assert state.triggers[0].ack.by == "ann"


def test_after_the_cooldown_an_acknowledged_version_is_judged_again():
    state, _ = play(timeline("oo"))
    state, _ = play([control("ack", trigger_id=state.triggers[0].id)], state=state)
    assert letters(phases(timeline("ccco", every_ms=DAY, start_ms=MONDAY + DAY), state=state)) == "aaqp"


def test_a_new_version_supersedes_what_was_required_of_the_old_one():
    #  hour      0  1  2  3
    #  version 1 o  o              required at hour 1
    #  version 2       few  enough rows at hour 3
    state, _ = play(timeline("oo"))
    state, said = play([facts(MONDAY + 2 * HOUR, "c", version="2", rows=99)], state=state)
    assert not said
    state, said = play([facts(MONDAY + 3 * HOUR, "c", version="2", rows=100)], state=state)
    assert [(each.change, each.version, each.detail) for each in said] == [(Change.SUPERSEDED, "1", "by 2")]
    assert (state.triggers[0].phase, state.triggers[0].ended_by) == (Phase.SUPERSEDED, "2")
    assert state.versions["1"].phase is Phase.SUPERSEDED


def test_a_canary_that_ran_before_and_versions_that_share_a_place_are_not_new():
    state, _ = play([facts(MONDAY - HOUR, "c", version="canary"), *timeline("oo")])
    state, said = play([facts(MONDAY + 2 * HOUR, version=v) for v in ("canary", "__other__")], state=state)
    assert not said
    assert state.triggers[0].phase is Phase.REQUIRED


def test_a_version_that_is_poor_itself_is_never_superseded_by_itself():
    state, _ = play([facts(MONDAY + hour * HOUR, "o", rows=rows) for hour, rows in enumerate((10, 10, 500))])
    assert state.triggers[0].phase is Phase.REQUIRED


def test_at_most_so_many_in_a_period():
    settings = policy(cooldown="1d", at_most=2, period="10d")
    state, said = play(timeline("o" * (24 * 25)), settings)
    times = [(each.event_ms - MONDAY) / DAY for each in required(said)]
    assert times == pytest.approx([1 / 24, 1 + 1 / 24, 10 + 1 / 24, 11 + 1 / 24, 20 + 1 / 24, 21 + 1 / 24])
    state, _ = play(timeline("o" * (24 * 5)), settings)
    assert state.versions["1"].phase is Phase.REQUIRED


def test_the_budget_is_named_when_it_is_used_up():
    settings = policy(cooldown="1d", at_most=1, period="10d")
    state, _ = play(timeline("oo"), settings)
    state, _ = play([control("ack", trigger_id=state.triggers[0].id), *timeline("oo", start_ms=MONDAY + 2 * DAY)], settings, state)
    assert [(each.gate, each.detail) for each in state.versions["1"].withheld] == [(Gate.BUDGET, "1 triggers in 10d, at most 1")]


def test_facts_that_are_not_newer_change_nothing():
    state, _ = play(timeline("co"))
    for old in (MONDAY, MONDAY + HOUR):
        assert step(state, facts(old, "o"), policy()) == (state, ())


def test_news_about_an_earlier_time_is_decided_about_when_it_comes():
    hours = {"as_of_windows": MONDAY + 5 * HOUR}
    state, _ = play([facts(MONDAY + 5 * HOUR, as_of_labels=MONDAY - HOUR, **hours)])
    late = [facts(MONDAY + hour * HOUR, "o", as_of_labels=MONDAY + hour * HOUR, **hours) for hour in (1, 2)]
    state, said = play(late, state=state)
    [trigger] = [each.trigger for each in required(said)]
    assert (trigger.event_ms, trigger.onset_ms) == (MONDAY + 5 * HOUR, MONDAY + HOUR)


def test_what_is_unknown_never_triggers_and_is_said():
    settings = policy(
        cost={"ceiling": 1.0},
        concept_drift={},
        data_drift={"features": ["x"]},
        estimated_loss=[{"metric": "accuracy", "loss": 0.05}],
    )
    state, said = play([facts(MONDAY + hour * HOUR) for hour in range(10)], settings)
    assert not said
    unknown = {(each.reason, each.signal): each.detail for each in state.versions["1"].unknown}
    assert unknown == {
        (Reason.PERFORMANCE, "recall"): "nothing is measured",
        (Reason.COST, "cost"): "nothing is measured",
        (Reason.CONCEPT_DRIFT, ""): "there are no detectors",
        (Reason.ESTIMATED_LOSS, "accuracy"): "nothing is measured",
        (Reason.DATA_DRIFT, ""): "there are no detectors",
    }


def test_the_gravest_reason_names_a_trigger_and_all_are_in_its_evidence():
    settings = policy(cost={"ceiling": 1.0}, data_drift={"features": ["x"]}, persistence={"evaluations": 1})
    both = {"cost": (measured(2.0, "cost"),), "data_alarms": (alarm(),)}
    _, said = play([facts(MONDAY, **both)], settings)
    [trigger] = [each.trigger for each in required(said)]
    assert trigger.reason is Reason.COST
    assert [each.reason for each in trigger.evidence.moved] == [Reason.COST, Reason.DATA_DRIFT]


def test_an_alarm_that_is_no_longer_raised_is_clear_and_without_detectors_it_is_unknown():
    settings = policy(data_drift={"features": ["x"]})
    alarmed, silent, blind = {"data_alarms": (alarm(),)}, {"data_alarms": ()}, {}
    given = [facts(MONDAY + hour * HOUR, **each) for hour, each in enumerate([alarmed, blind, blind, silent, silent, silent])]
    assert letters(phases(given, settings)) == "pppppq"
    state, _ = play(given[:3], settings)
    assert len(state.versions["1"].watches) == 1
    state, _ = play(given, settings)
    assert state.versions["1"].watches == ()


def test_quiet_detectors_say_nothing_about_performance():
    state, _ = play([*timeline("oo", partial=True), *timeline("    ", start_ms=MONDAY + 2 * HOUR, data_alarms=())])
    assert [watch.active for watch in state.versions["1"].watches] == [True]


def test_an_accepted_drift_does_not_count_for_as_long_as_it_lasts():
    #  hour   0 1 2 3 4 5 6 7 8
    #  x      o o o     - - - o o      accepted at hour 1, over after three quiet evaluations; then another drift
    settings = policy(data_drift={"features": ["x", "y"]})
    on, off = (alarm(),), ()
    given = [facts(MONDAY + hour * HOUR, data_alarms=on if hour in (0, 1, 2, 6, 7) else off) for hour in range(8)]
    found = letters(phases([given[0], control("accept", signal="x"), *given[1:]], settings))
    assert found == "ppqqqqqpr"
    # A single quiet evaluation is no end.
    flapping = [facts(MONDAY + hour * HOUR, data_alarms=off if hour % 3 == 2 else on) for hour in range(20)]
    assert not required(play([control("accept", signal="x"), *flapping], settings)[1])
    # Another signal counts all the same.
    _, said = play([control("accept", signal="y"), *given], settings)
    assert len(required(said)) == 1


def test_an_acceptance_with_an_end_lasts_until_then_whatever_happens():
    settings = policy(data_drift={"features": ["x"]}, persistence={"evaluations": 1})
    accept = control("accept", until_ms=MONDAY + 6 * HOUR)
    for alarmed in ((4, 5, 6), (0, 5, 6)):  # also when it is over meanwhile
        given = [facts(MONDAY + hour * HOUR, data_alarms=(alarm(),) if hour in alarmed else ()) for hour in range(7)]
        assert letters(phases([accept, *given], settings)) == "-qqqqqqr"


def test_an_acceptance_is_of_one_version_signal_and_segment_and_can_be_withdrawn():
    settings = policy(data_drift={"features": ["x"]}, persistence={"evaluations": 1})
    alarms = {"data_alarms": (alarm(segment="country=FR"),)}
    for fits, scope in (
        (True, {}), (True, {"version": "1", "signal": "x", "segment": "country=FR"}),
        (False, {"version": "2"}), (False, {"signal": "y"}), (False, {"segment": "ALL"}),
    ):  # fmt: skip
        _, said = play([control("accept", **scope), facts(MONDAY, **alarms)], settings)
        assert bool(required(said)) is not fits
    accept = control("accept")
    _, said = play([accept, control("withdraw", control=accept.id), facts(MONDAY, **alarms)], settings)
    assert len(required(said)) == 1


def test_measured_performance_can_be_accepted_too():
    settings = policy()
    _, said = play([control("accept", signal="recall"), *timeline("oooo")], settings)
    assert not required(said)
    # It does not end while nothing is known.
    state, said = play([control("accept", signal="recall"), *timeline("oo      oo")], settings)
    assert not required(said)
    assert len(state.accepted) == 1


def test_after_a_new_baseline_only_drift_that_begins_later_counts():
    settings = policy(data_drift={"features": ["x"]}, performance=[], persistence={"evaluations": 1})
    before, after = {"data_alarms": (alarm(start_ms=MONDAY),)}, {"data_alarms": (alarm(start_ms=MONDAY + 3 * HOUR),)}
    given = [facts(MONDAY + HOUR, data_alarms=()), control("rebaseline"), facts(MONDAY + 2 * HOUR, **before)]
    state, said = play(given, settings)
    assert not required(said)
    _, said = play([facts(MONDAY + 4 * HOUR, **after)], settings, state)
    assert len(required(said)) == 1


def test_a_rebaseline_does_not_hide_poor_performance():
    poor = [facts(MONDAY + hour * HOUR, performance=(measured(0.5, since_ms=MONDAY - DAY),)) for hour in (1, 2)]
    _, said = play([*timeline("c"), control("rebaseline"), *poor])
    assert len(required(said)) == 1


def test_data_drift_counts_on_features_that_matter_or_where_enough_traffic_is():
    settings = policy(data_drift={"features": ["x"], "min_share": 0.2}, performance=[], cost={"ceiling": 1.0})
    for asks, each in (
        (True, alarm("x", "country=FR")),
        (True, alarm("y", "country=DE")),
        (True, alarm("y", "ALL")),
        (False, alarm("y", "country=FR")),
        (False, alarm("x", "ALL", level=AlarmLevel.WARNING)),
    ):
        given = [facts(MONDAY + hour * HOUR, data_alarms=(each,), shares={"country=FR": 0.05, "country=DE": 0.2}) for hour in range(3)]
        assert bool(required(play(given, settings)[1])) is asks, given[0].data_alarms


def test_versions_that_are_gone_are_forgotten_and_their_triggers_are_not():
    state, _ = play([*timeline("oo"), *timeline("c" * 48, start_ms=MONDAY + HOUR, version="2", rows=1)])
    assert list(state.versions) == ["1", "2"], "the cooldown is two days"
    state, _ = play([facts(MONDAY + 52 * HOUR, "c", version="2", rows=1)], state=state)
    assert list(state.versions) == ["2"]
    assert [trigger.phase for trigger in state.triggers] == [Phase.REQUIRED]


def test_the_lists_in_the_state_are_bounded():
    settings = policy(cooldown="1h", at_most=50, period="1h", new_version_rows=1)
    state = PolicyState()
    for hour in range(MAX_TRIGGERS + 20):
        state, _ = play([facts(MONDAY + hour * HOUR, "o"), facts(MONDAY + hour * HOUR, version=f"v{hour}")], settings, state)
    assert len(state.triggers) == MAX_TRIGGERS
    controls = [control("ack", number, trigger_id=f"{number:032x}") for number in range(1_500)]
    controls += [control("rebaseline", number) for number in range(1_500)]
    state, _ = play(controls, settings, state)
    assert {len(each) for each in (state.acks, state.baselines, state.applied)} == {1_000}
    assert len(state.first_seen_ms) == MAX_TRIGGERS + 21
    assert len(state.versions) <= 3
    state, said = play([control("accept", number) for number in range(1_001)], settings, state)
    assert said[-1].change is Change.CONTROL_REFUSED
    assert said[-1].detail == "expected at most 1000 acceptances; withdraw some"
    assert len(state.accepted) == 1_000


def test_very_many_segments_keep_the_watches_that_hold_longest():
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": [], "min_share": 0.0001}])
    many = tuple(measured(0.5, segment=f"s={n:05}") for n in range(10_050))
    shares = {each.segment: 0.0001 for each in many}
    first = Facts("m", "1", MONDAY, performance=many[-5:], shares=shares)
    state, _ = play([first, Facts("m", "1", MONDAY + HOUR, performance=many, shares=shares)], settings)
    watches = state.versions["1"].watches
    assert len(watches) == 10_000
    assert [watch.latest.segment for watch in watches[:5]] == [each.segment for each in many[-5:]]


def test_a_state_is_the_same_after_a_round_trip_and_nothing_else_is_taken_for_one():
    settings = policy(label_quality=[{"measure": "flip_ratio", "at_most": 0.5}], data_drift={"min_share": 0.1})
    more = {
        "label_quality": {"flip_ratio": 0.1},
        "failure_modes": (FailureMode("f1", "a", "1", "false_positive", 0.5, None, 3, 1.5, "steady"),),
        "data_alarms": (alarm(),),
    }
    given = [control("hold"), control("release"), control("accept", signal="z")]
    given += [control("assign", failure_mode="f1", owner="bob"), *timeline("ooo", **more), facts(MONDAY, "o", version="2", partial=True)]
    state, _ = play(given, settings)
    state, _ = play([control("ack", trigger_id=state.triggers[0].id), control("hold", 2), control("rebaseline")], settings, state)
    assert all((state.triggers, state.accepted, state.baselines, state.acks, state.hold, state.versions["2"].watches))
    assert unpack_policy(pack_policy(state)) == state
    for wrong in (b"", b"[]", b'{"versions": 1}', b'{"triggers": [{}]}'):
        with pytest.raises(ValueError, match=r"."):
            unpack_policy(wrong)
    assert msgspec.json.decode(pack_policy(PolicyState()))["triggers"] == []
