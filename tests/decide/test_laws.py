"""Laws of the machine, on inputs nobody would think of: any votes, flags, alarms, versions and controls in any order."""

from __future__ import annotations

import itertools
import random
from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.retraining import Retraining
from monitor.decide.control import Control
from monitor.decide.facts import Alarm, AlarmLevel, Facts
from monitor.decide.policy import step
from monitor.decide.state import Phase, PolicyState, pack_policy, unpack_policy
from monitor.decide.transition import Change
from tests.decide.make import HOUR, MONDAY, PATIENT, alarm, control, facts, labels, measured, play, policy, required

EVERY = 4 * HOUR
ROWS = 600

policies = st.builds(
    lambda persistence, cooldown, at_most, period, more: policy(
        persistence=persistence, cooldown=f"{cooldown}h", at_most=at_most, period=f"{period}h", **more
    ),
    st.sampled_from([{"evaluations": 1}, {"evaluations": 2, "of": 3}, {"lasting": "8h"}]),
    st.sampled_from([1, 8, 30, 100]),
    st.integers(1, 3),
    st.sampled_from([8, 40, 200]),
    st.fixed_dictionaries(
        {},
        optional={
            "data_drift": st.just({"features": ["x"], "min_share": 0.2, "min_effect": 0.2, "clear_effect": 0.1}),
            "concept_drift": st.just({}),
            "cost": st.just({"ceiling": 1.0, "clear": 0.8}),
            "min_fresh_labels": st.just(500),
            "label_quality": st.just([{"measure": "disagreement_ratio", "at_most": 0.1}]),
            "quiet_hours": st.just({"windows": [{"start": "18:00", "end": "06:00"}, {"days": ["Sat", "Sun"]}]}),
        },
    ),
)

CONTROLS = (
    ("hold", {}), ("hold", {"until_ms": MONDAY + 5 * EVERY}), ("release", {}), ("release", {}), ("accept", {"signal": "x"}),
    ("accept", {"version": "2"}), ("accept", {"segment": "ALL", "until_ms": MONDAY + 9 * EVERY}), ("rebaseline", {}),
    ("assign", {"failure_mode": "f", "owner": "bob"}),
)  # fmt: skip


def situation(draw: random.Random, event_ms: int) -> Facts:
    """Mostly in order and often beyond a limit, or hardly anything would ever be triggered."""

    def fine() -> bool:
        return draw.random() < 0.9

    def alarms() -> tuple[Alarm, ...]:
        found = {
            (signal, segment): alarm(
                signal,
                segment,
                draw.choice(list(AlarmLevel)),
                draw.choice([None, 0.05, 0.15, -0.5, float("nan")]),
                start_ms=event_ms - draw.randrange(20) * EVERY,
            )
            for signal, segment in ((draw.choice("xy"), draw.choice(["ALL", "s=1", "s=2"])) for _ in range(draw.randrange(3)))
        }
        return tuple(found.values())

    return facts(
        event_ms,
        draw.choice("ooooo.cc ") if fine() else None,
        version=draw.choice("1112"),
        rows=draw.choice([50, 500]),
        shares={"s=1": 0.3, "s=2": 0.1},
        data_alarms=alarms() if fine() else None,
        concept_alarms=alarms() if fine() else None,
        cost=(measured(draw.choice([0.5, 0.9, 2.0]), "cost"),) if fine() else None,
        label_quality={"disagreement_ratio": 0.01 if fine() else 0.5} if fine() else None,
        labelled=labels(*[ROWS] * 400, start_ms=MONDAY - 100 * EVERY, every_ms=EVERY) if fine() else labels(3),
        partial=not fine(),
        rebuilding=not fine(),
        controls_unread=not fine(),
    )


def log_of(seed: int, length: int) -> list[Facts | Control]:
    """Evaluations in order of time, sometimes both versions at once, and controls in between."""
    draw, found, hour = random.Random(seed), [], 0
    for number in range(length):
        if draw.random() < 0.15:
            kind, more = draw.choice(CONTROLS)
            found.append(control(kind, number, **more))
        else:
            hour += draw.choice([0, 1, 1, 1, 1, 3])
            found.append(situation(draw, MONDAY + hour * EVERY))
    return found


def inputs() -> st.SearchStrategy[list[Facts | Control]]:
    return st.builds(log_of, st.integers(0, 2**32), st.integers(0, 60))


def times(said) -> list[int]:
    return [each.event_ms for each in required(said)]


@PATIENT
@given(inputs(), policies)
def test_the_cooldown_holds_and_never_more_than_so_many_in_a_period(log, settings):
    found = times(play(log, settings)[1])
    assert all(b - a >= settings.cooldown_ms for a, b in itertools.pairwise(found))
    assert all(sum(end - settings.period_ms < each <= end for each in found) <= settings.at_most for end in found)


def is_quiet(event_ms: int, settings: Retraining) -> bool:
    """An oracle of its own: nights from 18 to 6 and weekends, UTC."""
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=event_ms)  # noqa: UP017
    return settings.quiet_hours is not None and (at.hour >= 18 or at.hour < 6 or at.weekday() >= 5)


@PATIENT
@given(inputs(), policies)
def test_no_trigger_while_anything_stands_in_the_way(log, settings):
    state = PolicyState()
    for each in log:
        held = state.hold is not None
        state, said = step(state, each, settings)
        if not required(said):
            continue
        assert isinstance(each, Facts)
        until = state.hold is not None
        assert not (held and until), "held"
        assert not (each.partial or each.rebuilding or each.controls_unread)
        assert not is_quiet(each.event_ms, settings)
        if settings.min_fresh_labels:
            assert each.labelled is not None
            assert len(each.labelled) > 1
        if settings.label_quality:
            assert each.label_quality == {"disagreement_ratio": 0.01}


@PATIENT
@given(inputs(), policies)
def test_a_trigger_is_about_something_that_is_beyond_its_limit_now(log, settings):
    state = PolicyState()
    for each in log:
        state, said = step(state, each, settings)
        for trigger in (change.trigger for change in required(said)):
            for moved in trigger.evidence.moved:
                if moved.reason == "performance":
                    assert each.performance[0].high < 0.7
                elif moved.reason == "cost":
                    assert each.cost[0].low > 1.0
                else:
                    found = each.concept_alarms if moved.reason == "concept_drift" else each.data_alarms
                    now = [a for a in found if (a.signal, a.segment) == (moved.signal, moved.segment)]
                    assert [a.level for a in now] == [AlarmLevel.TRIGGER]


@PATIENT
@given(inputs(), policies, st.data())
def test_the_same_triggers_under_the_same_ids_however_the_input_is_cut_and_repeated(log, settings, data):
    """A restart at any place goes on from the saved state, and may be given again what it was given before."""
    state, said = play(log, settings)
    again, heard = PolicyState(), []
    for place, each in enumerate(log):
        again, changes = step(again, each, settings)
        heard += changes
        if data.draw(st.booleans()):
            again = unpack_policy(pack_policy(again))
        for repeated in log[max(0, place - data.draw(st.integers(0, 3))) : place + 1]:
            again, changes = step(again, repeated, settings)
            assert changes == ()
    assert heard == said
    assert again == state


@PATIENT
@given(inputs(), policies, st.data())
def test_an_acknowledgement_ends_the_requirement_whenever_it_is_read(log, settings, data):
    state, said = play(log, settings)
    if not required(said):
        return
    name = data.draw(st.sampled_from([each.trigger.id for each in required(said)]))
    place = data.draw(st.integers(0, len(log)))
    acked, said = play([*log[:place], control("ack", 10_000, trigger_id=name), *log[place:]], settings)
    [trigger] = [each for each in acked.triggers if each.id == name]
    assert trigger.phase is not Phase.REQUIRED
    assert sum(each.change is Change.ACKNOWLEDGED for each in said) <= 1
    assert [t.id for t in acked.triggers] == [t.id for t in state.triggers], "nothing else depends on it"


@PATIENT
@given(inputs(), policies)
def test_a_control_applied_twice_changes_nothing(log, settings):
    once, said = play(log, settings)
    doubled = [each for given in log for each in ([given] if isinstance(given, Facts) else [given, given])]
    twice, heard = play(doubled, settings)
    assert twice == once
    assert heard == said


@PATIENT
@given(inputs(), policies)
def test_at_most_one_trigger_of_a_version_is_open_and_phases_agree_with_it(log, settings):
    state = PolicyState()
    for each in log:
        state, _ = step(state, each, settings)
        for name, version in state.versions.items():
            left = [t for t in state.triggers if t.version == name and t.phase is Phase.REQUIRED]
            assert len(left) <= 1
            assert (version.phase is Phase.REQUIRED) == bool(left)
            assert (version.phase is Phase.WITHHELD) == bool(version.withheld)


@PATIENT
@given(inputs(), policies, st.integers(0, 30))
def test_a_log_read_from_the_middle_leads_to_the_same_name_for_the_same_episode(log, settings, place):
    """What was lost before the middle may cost a trigger or delay it, but an episode that began later has the same names."""
    _, said = play(log, settings)
    _, heard = play(log[place:], settings)
    whole, part = (
        {
            (t.version, t.reason, t.onset_ms, (t.event_ms - t.onset_ms) // settings.cooldown_ms): t.id
            for t in (c.trigger for c in required(each))
        }
        for each in (said, heard)
    )
    assert all(part[key] == whole[key] for key in whole.keys() & part.keys())
    names = [*whole.values(), *part.values()]
    assert len(set(names)) == len(whole.keys() | part.keys())


@PATIENT
@given(inputs(), policies)
def test_flapping_between_the_levels_changes_nothing(log, settings):
    """After it holds, a value that moves between its levels and beyond them neither ends an episode nor begins another."""
    state, _ = play(log, settings)
    last = max([each.event_ms for each in log if isinstance(each, Facts)], default=MONDAY)
    steady = [facts(last + n * EVERY, "o", partial=True) for n in range(1, 8)]
    state, _ = play([control("withdraw", 20_000 + n, control=a.control.id) for n, a in enumerate(state.accepted)], settings, state)
    state, _ = play(steady, settings, state)
    onset = [w.onset_ms for w in state.versions["1"].watches if w.latest.signal == "recall"]
    assert onset != [None]
    flapping = [facts(last + n * EVERY, ".o.o."[n % 5], partial=True) for n in range(8, 30)]
    state, said = play(flapping, settings, state)
    assert [w.onset_ms for w in state.versions["1"].watches if w.latest.signal == "recall"] == onset
    assert not [each for each in said if each.change in (Change.CLEARED, Change.PENDING)]


def test_the_inputs_of_these_laws_do_lead_to_triggers():
    """Else the laws would hold of nothing."""
    seen = {"triggers": 0, "several": 0, "withheld": 0}

    @given(inputs(), policies)
    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    def look(log, configured):
        _, said = play(log, configured)
        seen["triggers"] += bool(required(said))
        seen["several"] += len(required(said)) > 1
        seen["withheld"] += any(each.change is Change.WITHHELD for each in said)

    look()
    assert min(seen.values()) >= 20, seen
