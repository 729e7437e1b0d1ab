"""Laws of the whole bank: every bet has mean at most 1 under the reference and under what does not matter, and names mean nothing."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detection.world import START_MS, Drift
from benchmarks.evaluate import layout_of, table_of
from benchmarks.evaluate import reference_of as reference_of_counts
from monitor.detect.bank import Bank, bank_of
from monitor.detect.detector import Detector
from monitor.detect.leaves import leaf_counts
from monitor.detect.rows import Events, model_of, reference_of
from monitor.profile.layout import FAULT_CELLS
from tests.detect.make import CYCLE, PLAIN, REFERENCE_ROWS, SETTINGS, changed, feed, reference, start_ms


def shares_of(bank: Bank, number: int, place: int) -> np.ndarray:
    """[leaves, cells] of the reference, as a group counts one of its signals."""
    group, layout = bank.groups[number], bank.reference.layout
    counts = leaf_counts(bank.leaves, bank.reference.table)[:, layout.span(group.signals[place])].astype(float)
    if group.kind == "missing":
        counts = np.concatenate([counts[:, :FAULT_CELLS], counts[:, FAULT_CELLS:].sum(axis=1, keepdims=True)], axis=1)
    else:
        counts = counts[:, FAULT_CELLS:]
    return counts / counts.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("world", [PLAIN, CYCLE], ids=["plain", "cycle"])
def test_every_bet_has_mean_at_most_one_under_the_reference(world) -> None:
    bank = bank_of(reference(world), SETTINGS, 20.0)
    for number, group in enumerate(bank.groups):
        for place in range(len(group.signals)):
            p = shares_of(bank, number, place)
            directions = len(group.directions[place])
            for stream in range(len(bank.leaves.streams)):
                leaf = bank.only[stream]
                if leaf < 0:
                    continue
                gain = group.ratios[leaf, place, : p.shape[1], :directions].astype(float) - group.sampling[stream, place, :directions]
                mean = p[leaf] @ np.exp(gain / group.phi[stream, place, :directions])
                assert (mean <= 1.0 + 1e-5).all()
                assert mean.max() > 0.9  # and the bound is not bought by betting nothing


@pytest.mark.parametrize("world", [PLAIN, CYCLE], ids=["plain", "cycle"])
def test_over_a_day_the_nulls_of_the_hours_have_the_reference_as_their_mean(world) -> None:
    """The shares of a signal with a cycle, each hour as often as in the reference, are those of the reference."""
    bank = bank_of(reference(world), SETTINGS, 20.0)
    cycles = [(number, place, cycle) for number, group in enumerate(bank.groups) for place, cycle in group.cycles.items()]
    assert bool(cycles) == (world is CYCLE)
    for number, place, cycle in cycles:
        assert np.abs(cycle.mean() - shares_of(bank, number, place)).max() < 1e-3


@pytest.mark.parametrize("rare", [(), (2, 3, 4)], ids=["all hours", "some hardly known"])
def test_the_past_is_weighed_with_the_nulls_that_the_evidence_was_gathered_with(rare: tuple[int, ...]) -> None:
    """A row at a quarter of an hour, less one at any time: what is left is the quarter's offset, in every direction of every leaf."""
    bank = bank_of(reference(CYCLE), SETTINGS, 20.0)
    checked = 0
    for group in bank.groups:
        for place in group.cycles:
            rows = group.cycles[place].rows.copy()
            rows[list(rare)] = 0.0
            group.cycles[place] = replace(group.cycles[place], rows=rows)
        for place, cycle in group.cycles.items():
            where = group.seasonal.tolist().index(place)
            for quarter in [*range(4 * len(cycle.rows))[::11], *(4 * hour for hour in rare)]:
                for direction in range(len(group.directions[place])):
                    blocks = [
                        (np.array([leaf]), np.array([at]), np.array([0]), np.array([1]))
                        for leaf in range(len(group.psi))
                        for at in (quarter, -1)
                    ]
                    gains = group.gains(0, place, direction, blocks)
                    expected = group._offset(quarter)[:, where, direction] / group.phi[0, place, direction]
                    assert gains[1::2] - gains[::2] == pytest.approx(expected, rel=1e-5, abs=1e-6)
                    checked += 1
            if rare:
                worst = group._offset(4 * rare[0])[:, where]
                assert (worst == group._offset(4 * rare[-1] + 3)[:, where]).all()
                every = np.max([group._offset(4 * hour + part)[:, where] for hour in range(6, 24) for part in range(4)], axis=0)
                assert (worst >= every - 0.05).all()
    assert checked


def renamed(events: Events, order: list[int]) -> Events:
    names = {f"s{old:02d}": f"s{new:02d}" for old, new in enumerate(order)}
    segment = np.array([names[name] for name in np.asarray(events.segments["segment"]).tolist()], object)
    return replace(events, segments={"segment": segment})


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(PLAIN.segments)), st.integers(0, 50))
def test_the_names_of_segments_change_nothing(order: list[int], seed: int) -> None:
    learned = PLAIN.events(REFERENCE_ROWS // 4, START_MS, np.random.default_rng(seed))
    events = changed(PLAIN, np.random.default_rng(seed + 1), Drift("shift", 1.5, "x0", segment=1), 500, 1_500)
    found = []
    for names in (list(range(PLAIN.segments)), order):
        model = model_of(learned, None, 0.5, 600_000)
        detector = Detector.of(reference_of(model, renamed(learned, names)), model, SETTINGS)
        back = {"ALL": "ALL"} | {f"segment=s{new:02d}": f"segment=s{old:02d}" for old, new in enumerate(names)}
        alarms = feed(detector, renamed(events, names))
        found.append(sorted((a.time_ms, back[a.stream.segment], a.stream.signal, a.stream.kind, a.level, a.start_ms) for a in alarms))
    assert found[0] == found[1]
    assert any(alarm[4] == "trigger" for alarm in found[0])


def test_a_stream_that_starts_before_the_day_of_its_reference_ends_is_judged_all_the_same() -> None:
    detector = Detector.of(reference(PLAIN), model_of(PLAIN.events(10, START_MS, np.random.default_rng(0)), None, 0.5, 600_000), SETTINGS)
    events = PLAIN.events(200, start_ms(PLAIN) - 90_000_000, np.random.default_rng(1))
    assert not feed(detector, events) and detector.ledger["counted"] == 200


def test_directions_that_would_not_fit_are_not_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thousand segments they would be gigabytes at the start, though all share the pooled ones in the end."""
    layout = layout_of(6)
    many = reference_of_counts(table_of(layout, 100, 3_000, np.random.default_rng(3)))

    def peak_bytes() -> tuple[int, Bank]:
        tracemalloc.start()
        try:
            bank = bank_of(many, SETTINGS, 20.0)
            return tracemalloc.get_traced_memory()[1], bank
        finally:
            tracemalloc.stop()

    fitted_bytes, fitted = peak_bytes()
    monkeypatch.setattr("monitor.detect.bank.MAX_RATIO_BYTES", 1 << 20)
    shared_bytes, shared = peak_bytes()
    assert all(len(group.ratios) > 50 for group in fitted.groups)
    assert all(len(group.ratios) == 1 for group in shared.groups)
    assert shared_bytes < fitted_bytes / 4
