"""The whole way in memory: each drift is found and named, nothing else is, and the cuts of batches do not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detection.world import DAY_MS, Drift
from monitor.config.detection import Detection
from monitor.detect import watch
from monitor.detect.alarm import Alarm, Stream
from monitor.detect.detector import Detector
from monitor.detect.rows import Events
from monitor.detect.saved import load_watch, pack_watch
from tests.detect.make import CYCLE, PLAIN, changed, detector, feed, joined, outcomes, reference, start_ms, triggers

BEFORE = 4_000

# Drift, events after the change within which it must have triggered, and the stream that must be the first.
DRIFTS = {
    "mean of a normal signal by half a deviation": (Drift("shift", 0.5, "x0"), 600, Stream("ALL", "x0", "values")),
    "mean of a skewed signal by a quarter": (Drift("shift", 0.25, "x1"), 900, Stream("ALL", "x1", "values")),
    "spread by a half": (Drift("spread", 1.5, "x0"), 400, Stream("ALL", "x0", "values")),
    "rows moving between categories": (Drift("exchange", 0.15, "c0"), 700, Stream("ALL", "c0", "values")),
    "a new category": (Drift("new", 0.03, "c0"), 500, Stream("ALL", "c0", "values")),
    "missing values": (Drift("missing", 0.10, "x0"), 300, Stream("ALL", "x0", "missing")),
    "one segment alone": (Drift("shift", 1.5, "x0", segment=1), 400, Stream("segment=s01", "x0", "values")),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_is_found_soon_and_named(name: str) -> None:
    drift, within, stream = DRIFTS[name]
    events = changed(PLAIN, np.random.default_rng(7), drift, BEFORE, 2 * within)
    found = triggers(feed(detector(PLAIN), events))
    assert found, name
    first = found[0]
    assert np.searchsorted(events.time_ms, first.time_ms) <= BEFORE + within
    assert first.time_ms > events.time_ms[BEFORE]
    assert stream in {alarm.stream for alarm in found if alarm.time_ms <= first.time_ms + DAY_MS // 50}
    assert {alarm.stream.signal for alarm in found} == {stream.signal}
    # The start lies near the change: nearer than the alarm does to the beginning of the stream.
    assert abs(first.start_ms - int(events.time_ms[BEFORE])) < 0.5 * (events.time_ms[BEFORE] - events.time_ms[0])


def test_the_effect_has_the_size_of_the_drift_within_its_interval_and_the_worst_cells_are_those_that_filled() -> None:
    events = changed(PLAIN, np.random.default_rng(8), Drift("missing", 0.10, "x0"), BEFORE, 1_000)
    alarm = triggers(feed(detector(PLAIN), events))[0]
    assert alarm.effect is not None and alarm.effect.cell == "missing"
    assert alarm.effect.low <= 0.09 <= alarm.effect.high and alarm.effect.low > 0
    assert alarm.worst[0].cell == "missing" and alarm.worst[0].expected == pytest.approx(0.01, abs=0.003)
    events = changed(PLAIN, np.random.default_rng(9), Drift("shift", 1.0, "x0"), BEFORE, 1_000)
    shift = triggers(feed(detector(PLAIN), events))[0].effect
    assert shift is not None and shift.unit == "sd" and shift.low <= 0.96 <= shift.high  # one deviation of a segment, 0.96 of all rows


def test_the_effect_is_of_what_the_direction_is_about() -> None:
    events = changed(PLAIN, np.random.default_rng(8), Drift("spread", 1.5, "x0"), BEFORE, 1_000)
    alarm = next(each for each in triggers(feed(detector(PLAIN), events)) if each.stream == Stream("ALL", "x0", "values"))
    assert alarm.direction.what in ("spread", "rank spread") and alarm.effect is not None
    assert alarm.effect.unit == "spread" and alarm.effect.cell is None
    assert 0 < alarm.effect.low <= 0.46 <= alarm.effect.high  # a half of what varies in a segment; segments differ beside
    events = changed(PLAIN, np.random.default_rng(8), None, BEFORE, 1_000)
    at_once = np.where(np.arange(len(events)) < BEFORE, np.nan, 0.5)
    filled = np.where(np.isnan(at_once) | (np.arange(len(events)) % 8 > 0), events.features["x0"], at_once)
    alarm = next(iter(triggers(feed(detector(PLAIN), replace(events, features={**events.features, "x0": filled})))))
    assert alarm.direction.what == "cell" and alarm.effect is not None, "an eighth of the rows has one value"
    assert alarm.effect.unit == "share" and alarm.effect.low <= 0.12 <= alarm.effect.high
    low, high = map(float, str(alarm.effect.cell).split(" to "))
    assert low <= 0.5 < high


def test_a_warning_comes_before_its_trigger_and_a_trigger_comes_once() -> None:
    events = changed(PLAIN, np.random.default_rng(10), Drift("shift", 0.5, "x0"), BEFORE, 3_000)
    found = detector(PLAIN)
    alarms = [alarm for alarm in feed(found, events) if alarm.stream == Stream("ALL", "x0", "values")]
    assert [alarm.level for alarm in alarms] == ["warning", "trigger"]
    assert alarms[0].time_ms <= alarms[1].time_ms and alarms[0].threshold == pytest.approx(alarms[1].threshold / 1_000)
    assert Stream("ALL", "x0", "values") in found.watch.latched()


def test_streams_that_moved_together_are_listed_with_each_other() -> None:
    events = changed(PLAIN, np.random.default_rng(11), Drift("shift", 2.0, "x0"), BEFORE, 1_500)
    found = triggers(feed(detector(PLAIN), events))
    late = found[-1]
    assert len(found) >= 3 and late.also and late.stream not in late.also
    assert all(stream.signal == "x0" for stream in late.also)


def test_of_very_many_alarms_at_once_the_whole_traffic_and_the_strongest_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(measured: int, also: int) -> list[Alarm]:
        monkeypatch.setattr(watch, "MAX_MEASURED", measured)
        monkeypatch.setattr(watch, "MAX_ALSO", also)
        return feed(detector(PLAIN), changed(PLAIN, np.random.default_rng(11), Drift("shift", 2.0, "x0"), 1_000, 800))

    every, few = found(50, 50), found(1, 2)
    said = [(each.stream, each.level, each.time_ms, each.evidence, each.direction) for each in every]
    assert said == [(each.stream, each.level, each.time_ms, each.evidence, each.direction) for each in few]
    assert all(each.effect is not None for each in every) and max(len(each.also) for each in every) > 2 >= max(
        len(each.also) for each in few
    )
    for time_ms in {each.time_ms for each in few}:
        at_once = [each for each in few if each.time_ms == time_ms]
        [measured] = [each for each in at_once if each.effect is not None]
        whole = [each for each in at_once if each.stream.segment == "ALL"]
        strongest = max(whole or at_once, key=lambda each: each.evidence / each.threshold)
        assert measured.stream == strongest.stream
        assert replace(measured, also=()) in [replace(each, also=()) for each in every], (
            "those that are measured say what they would have said"
        )


def test_a_stream_triggers_again_only_after_it_was_re_armed_by_name() -> None:
    found, stream = detector(PLAIN), Stream("ALL", "x0", "values")
    random = np.random.default_rng(12)
    feed(found, changed(PLAIN, random, Drift("shift", 1.0, "x0"), 500, 500))
    found.rearm(stream)
    assert stream not in found.watch.latched()
    again = replace(PLAIN.events(500, start_ms(PLAIN) + DAY_MS, random, Drift("shift", 1.0, "x0")), ids=np.arange(10_000, 10_500))
    assert [alarm.stream for alarm in triggers(feed(found, again))] == [stream]
    with pytest.raises(KeyError, match="expected a stream that is watched, got values of x9 in ALL"):
        found.rearm(Stream("ALL", "x9", "values"))


def test_every_stream_is_found_by_its_name() -> None:
    found = detector(PLAIN).watch
    places = [(number, row, place) for number, flags in enumerate(found.triggered) for row, place in np.ndindex(flags.shape)]
    assert [found.place_of(found.stream(*place)) for place in places] == places
    assert len(places) > 20
    for stream in (Stream("segment=nowhere", "x0", "values"), Stream("ALL", "x0", "error")):
        with pytest.raises(KeyError, match="expected a stream that is watched"):
            found.place_of(stream)


def test_an_error_rate_that_doubles_is_found_though_labels_are_late() -> None:
    found, random = detector(PLAIN, sooner=0.5), np.random.default_rng(13)
    events = changed(PLAIN, random, None, BEFORE, 6_000)
    wrong = np.where(np.arange(len(events)) < BEFORE, 0.05, 0.12)
    classes, known = outcomes(events, random, wrong, sooner=0.5)  # type: ignore[arg-type]
    alarms = triggers(both(found, events, classes, known, 1_000))
    assert alarms[0].stream == Stream("ALL", "error", "error")
    assert BEFORE < np.searchsorted(events.time_ms, alarms[0].time_ms) < BEFORE + 3_000
    assert alarms[0].effect is not None and alarms[0].effect.low > 0


def both(found: Detector, events: Events, classes: np.ndarray, known: np.ndarray, at_once: int) -> list:
    """Predictions and their labels in the order of time."""
    order = np.argsort(known, kind="stable")
    ids, classes, known = np.asarray(events.ids)[order], classes[order], known[order]
    alarms, read = [], 0
    for start in range(0, len(events), at_once):
        part = events.rows(slice(start, start + at_once))
        alarms += found.predictions(part)
        now = int(np.searchsorted(known, events.time_ms[: start + at_once].max()))
        alarms += found.labels(ids[read:now], classes[read:now], known[read:now])
        read = now
    return alarms


def nuisance(name: str, random: np.random.Generator) -> tuple[Detector, Events]:
    n = 15_000
    if name == "daily cycle":
        return detector(CYCLE), CYCLE.events(n, start_ms(CYCLE), random)
    if name == "bursty sessions":
        return detector(PLAIN, session=8), PLAIN.events(n, start_ms(PLAIN), random, session=8)
    if name == "changed share of segments":
        return detector(PLAIN), PLAIN.events(n, start_ms(PLAIN), random, shares=PLAIN.shares[::-1].copy())
    if name == "irrelevant shift":
        return detector(PLAIN), PLAIN.events(n, start_ms(PLAIN), random, Drift("shift", 0.03, "x0"))
    events = PLAIN.events(n, start_ms(PLAIN), random)
    if name == "delivered four times":
        return detector(PLAIN), joined(*(events.rows(slice(start, start + 500)) for start in range(0, n, 500) for _ in range(4)))
    if name == "late":
        late = np.asarray(events.time_ms) + np.where(random.random(n) < 0.3, random.integers(0, 7_200_000, n), 0)
        return detector(PLAIN), events.rows(np.argsort(late, kind="stable"))
    return detector(PLAIN), events


@pytest.mark.parametrize(
    "name",
    ["nothing", "daily cycle", "bursty sessions", "changed share of segments", "irrelevant shift", "delivered four times", "late"],
)
def test_what_only_looks_like_drift_triggers_nothing(name: str) -> None:
    found, events = nuisance(name, np.random.default_rng(14))
    assert not triggers(feed(found, events))
    if name == "delivered four times":
        assert found.ledger["counted"] == 15_000 and found.ledger["duplicate"] > 15_000
    assert found.ledger["counted"] + found.ledger["late"] + found.ledger["duplicate"] == len(events)


def test_evidence_stays_small_where_it_would_not_without_its_null() -> None:
    """Sabotage from outside: the same cycle against a reference without one does trigger, so the test above can fail."""
    assert triggers(feed(detector(PLAIN), CYCLE.events(15_000, start_ms(CYCLE), np.random.default_rng(14))))


def test_wrong_answers_that_are_labelled_sooner_trigger_nothing() -> None:
    found, random = detector(PLAIN, sooner=0.3), np.random.default_rng(15)
    events = PLAIN.events(15_000, start_ms(PLAIN), random)
    classes, known = outcomes(events, random, sooner=0.3)
    assert not triggers(both(found, events, classes, known, 1_000))
    assert found.arrived.matched > 10_000 and found.arrived.unmatched == 0


def in_order(alarm: Alarm) -> tuple[int, str, str, str, str]:
    """Alarms of predictions and of labels may be told in either order; what they say may not differ."""
    return alarm.time_ms, alarm.stream.kind, alarm.stream.segment, alarm.stream.signal, alarm.level


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 5_000), st.integers(0, 100))
def test_batch_cuts_change_nothing(at_once: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    events = changed(PLAIN, random, Drift("shift", 0.8, "x0"), 500, 500)
    events = joined(events.rows(slice(0, 900)), events.rows(slice(750, 900)), events.rows(slice(900, 1_000)))
    classes, known = outcomes(events, random)
    whole, parts = detector(PLAIN, sooner=1.0), detector(PLAIN, sooner=1.0)
    expected = both(whole, events, classes, known, len(events)) + whole.finish()
    found = both(parts, events, classes, known, at_once) + parts.finish()
    assert sorted(found, key=in_order) == sorted(expected, key=in_order)
    assert pack_watch(whole.watch) == pack_watch(parts.watch)


def test_the_interleaving_of_partitions_changes_nothing() -> None:
    random = np.random.default_rng(16)
    events = changed(PLAIN, random, Drift("shift", 0.8, "x0"), 500, 500)
    partition = random.integers(0, 3, len(events))
    logs = [events.rows(np.flatnonzero(partition == p)) for p in range(3)]
    orders = [np.argsort(partition, kind="stable"), np.arange(len(events)), np.argsort(-partition, kind="stable")]
    states = []
    for order in orders:
        found = Detector.of(reference(PLAIN), detector(PLAIN).model, partitions=(0, 1, 2))
        if order is orders[0]:
            for number, log in enumerate(logs):
                found.predictions(replace(log, partition=np.full(len(log), number)))
        else:
            mixed = events.rows(order)
            feed(found, replace(mixed, partition=partition[order]), 137)
        found.finish()
        states.append(pack_watch(found.watch))
    assert states[0] == states[1] == states[2]


def test_forgetting_the_numbers_of_leaves_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    events = changed(PLAIN, np.random.default_rng(20), Drift("shift", 0.8, "x0"), 1_000, 500)
    whole, forgetful = detector(PLAIN), detector(PLAIN)
    alarms = feed(whole, events, 100)
    monkeypatch.setattr("monitor.profile.leaves._KNOWN", 1)
    assert feed(forgetful, events, 30) == alarms
    assert pack_watch(forgetful.watch) == pack_watch(whole.watch)


def test_a_state_that_was_saved_goes_on_to_the_bit() -> None:
    random = np.random.default_rng(17)
    events = changed(PLAIN, random, Drift("shift", 0.8, "x0"), 1_500, 500)
    whole, first, second = detector(PLAIN), detector(PLAIN), detector(PLAIN)
    alarms = feed(whole, events, 100)
    before = feed(first, events.rows(slice(0, 1_000)), 100)
    assert load_watch(second.watch, pack_watch(first.watch))
    second.clock, second.seen, second.panes = first.clock, first.seen, first.panes
    assert before + feed(second, events.rows(slice(1_000, 2_000)), 100) == alarms
    assert pack_watch(second.watch) == pack_watch(whole.watch)


def test_a_state_of_another_reference_or_effect_is_not_taken_for_evidence() -> None:
    found = detector(PLAIN)
    feed(found, PLAIN.events(500, start_ms(PLAIN), np.random.default_rng(18)))
    data = pack_watch(found.watch)
    assert not load_watch(detector(CYCLE).watch, data)
    other = detector(PLAIN, settings=Detection(signal_effects={"x0": 0.1}))
    assert load_watch(other.watch, data)
    for number, m in other.watch.evidence():
        group = other.watch.bank.groups[number]
        for place, signal in enumerate(group.signals):
            anew = group.kind == "values" and reference(PLAIN).layout.names[signal] == "x0"
            assert (m[0, place] == 0.0) == anew
    with pytest.raises(ValueError, match="expected the state of detection"):
        load_watch(detector(PLAIN).watch, b"nothing")


def test_thresholds_follow_the_rate_that_was_observed_for_a_day_and_then_stay() -> None:
    found = detector(PLAIN)
    known = found.watch.rate.per_ms
    assert known == pytest.approx(50_000 / DAY_MS, rel=0.02)  # of the reference, to begin with
    busy = replace(PLAIN, per_day=100_000)
    events = busy.events(20_000, start_ms(PLAIN), np.random.default_rng(19))
    feed(found, events)
    risen = found.watch.rate.per_ms
    assert risen == pytest.approx(100_000 / DAY_MS, rel=0.1) and not found.watch.rate.armed
    found.watch.rate.see(int(events.time_ms[-1]), int(events.time_ms[0]) + DAY_MS, 0)
    found.watch.rate.see(0, 10**15, 10**12)
    assert found.watch.rate.armed and found.watch.rate.per_ms == risen


def test_what_is_learned_from_arrays_is_what_is_counted_in_production() -> None:
    """Learned from its own first rows, with missing values, infinities and classes as texts."""
    random = np.random.default_rng(21)
    events = PLAIN.events(5_000, start_ms(PLAIN), random)
    x = np.asarray(events.features["x0"]).copy()
    x[::100] = np.inf
    events = replace(events, features={**events.features, "x0": x}, predicted=np.where(np.asarray(events.score) > 0.5, "yes", "no"))
    found = Detector.learn(events)
    table, layout = found.reference.table, found.reference.layout
    counts = dict(zip(layout.signals[0].labels(), table.counts[table.index["ALL"], layout.span(0)].tolist(), strict=True))
    assert counts["non-finite"] == 50 and counts["missing"] == int(np.isnan(x).sum())
    assert layout.names[-1] == "predicted_class" and layout.signals[-1].categories == ("no", "yes")
    assert not triggers(feed(found, events)) and found.ledger["counted"] == 5_000
