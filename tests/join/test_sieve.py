"""The sieve never leaves out a run that holds a hash, and seldom names one that does not; runs are searched to the last of equal hashes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.join.run import Layout, due, in_order, merged_parts
from monitor.join.run_file import write_run
from monitor.join.sieve import Sieve

PAYLOAD = np.dtype([("n", "<i4")])
LAYOUT = Layout(PAYLOAD)


def words(seed: int, count: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64))


def named(sieve: Sieve[str], low: np.ndarray) -> dict[str, list[int]]:
    return {run: hits.tolist() for run, hits in sieve.candidates(low, lambda _: True)}


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    removed=st.sets(st.integers(0, 29)),
    seed=st.integers(0, 1000),
)
def test_a_run_that_holds_a_hash_is_always_named(sizes, removed, seed):
    sieve: Sieve[str] = Sieve()
    lows = {f"run {i}": words(seed + i, size) for i, size in enumerate(sizes)}
    for run, low in lows.items():
        sieve.add(run, low)
    for i in removed:
        if f"run {i}" in lows:
            sieve.remove(f"run {i}")
            del lows[f"run {i}"]
    for run, low in lows.items():
        assert named(sieve, low)[run] == list(range(len(low)))
    assert set(named(sieve, words(1, 1000))) <= set(lows)


@pytest.mark.parametrize(("rows", "at_most"), [(1024, 0.051), (1025, 0.016), (5_000, 0.05)])
def test_one_that_does_not_is_named_as_seldom_as_a_bloom_filter_names_it(rows, at_most):
    """(1 - exp(-2 rows / places))^2, with 8 to 16 places a row: 0.0489 at 8, 0.0138 at 16."""
    sieve: Sieve[str] = Sieve()
    for number in range(8):
        sieve.add(f"run {number}", words(number, rows))
    asked = words(99, 50_000)
    shares = [len(hits) / len(asked) for hits in named(sieve, asked).values()]
    assert max(shares) < at_most
    assert sum(sieve.tables[bits][0].places.nbytes for bits in sieve.tables) <= 2 * 8 * rows


def test_a_slot_that_is_taken_again_remembers_nothing():
    sieve: Sieve[str] = Sieve()
    first = words(1, 1_000)
    sieve.add("stays", words(3, 1_000))
    sieve.add("first", first)
    sieve.remove("first")
    sieve.add("second", words(2, 1_000))
    assert len(named(sieve, first)["second"]) < 0.08 * len(first)
    with pytest.raises(KeyError):
        sieve.remove("first")


def test_tables_that_nobody_uses_are_given_back():
    sieve: Sieve[int] = Sieve()
    for run in range(100):
        sieve.add(run, words(run, 1_000))
    full = sieve.memory_bytes
    for run in range(0, 100, 2):
        sieve.remove(run)
    for run in range(100, 150):  # they take the free slots
        sieve.add(run, words(run, 1_000))
    assert sieve.memory_bytes == full
    for run in [*range(1, 100, 2), *range(100, 150)]:
        sieve.remove(run)
    assert sieve.memory_bytes == 0


@given(
    low=st.lists(st.integers(0, 40), min_size=1, max_size=120),
    keys=st.lists(st.integers(0, 41), max_size=20),
    top=st.booleans(),
)
def test_a_search_finds_every_row_in_memory_and_in_a_file(tmp_path_factory, low, keys, top):
    """Repeated hashes cross the blocks of a file, begin at their fences, and end with the run; 0 is no padding."""
    base = 2**64 - 42 if top else 0
    hashes = np.array([[base + word, number] for number, word in enumerate(low)], np.uint64)
    run = LAYOUT.run(hashes, np.zeros(len(low), np.int64), np.zeros(len(low), PAYLOAD))
    file = write_run(tmp_path_factory.mktemp("runs"), "a.rows", [LAYOUT.filed(run, 0)], len(run), LAYOUT, 0, 10)
    asked = np.sort(np.array([base + key for key in keys], np.uint64))
    expected = [(i, j) for i, key in enumerate(asked.tolist()) for j, word in enumerate(run.low.tolist()) if word == key]
    for each in (run, file):
        which, at = each.search(asked)
        assert list(zip(which.tolist(), at.tolist(), strict=True)) == expected


@given(
    sizes=st.lists(st.integers(1, 1_000), max_size=20),
    at_least=st.integers(2, 8),
    ratio=st.floats(1, 8),
    most=st.integers(1, 5_000),
)
def test_what_is_due_is_small_bounded_and_worth_it(sizes, at_least, ratio, most):
    chosen = due(sizes, at_least, ratio, most)
    if not chosen:
        return
    assert len(set(chosen)) == len(chosen) >= at_least
    taken = sorted(sizes[i] for i in chosen)
    assert sum(taken) <= most
    assert taken == sorted(sizes)[: len(taken)], "the smallest"
    assert all(size <= ratio * sum(taken[:i]) for i, size in enumerate(taken) if i)


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2), st.integers(0, 3)), max_size=30), seed=st.randoms())
def test_the_order_is_that_of_the_rows_themselves(rows, seed):
    shuffled = rows[:]
    seed.shuffle(shuffled)

    def ordered(these):
        which, time = np.array([row[0] for row in these], np.intp), np.array([row[1] for row in these], np.int64)
        payload = np.array([row[2] * 257 for row in these], "<u4").view("V4")
        order = in_order(which, time, payload)
        return [(int(which[i]), int(time[i]), payload[i].tobytes()) for i in order]

    assert ordered(rows) == ordered(shuffled) == sorted((w, t, np.uint32(v * 257).tobytes()) for w, t, v in rows)


@pytest.mark.parametrize("part_rows", [1_000, 30, 1])
def test_a_merge_keeps_every_row_in_order(part_rows):
    runs = [
        LAYOUT.run(np.column_stack([words(i, 50), words(i + 9, 50)]), np.arange(50), np.arange(50).astype("<i4").view(PAYLOAD))
        for i in range(4)
    ]
    runs.append(runs[0])
    parts = list(merged_parts(runs, part_rows))
    low = np.concatenate([part.low for part in parts])
    assert (low == np.sort(np.concatenate([run.low for run in runs]))).all()
    assert len(parts) == -(-250 // part_rows)
    assert max(map(len, parts)) <= max(2 * part_rows, 6), "about equal"

    def pairs(these):
        return Counter((int(low), record.tobytes()) for each in these for low, record in zip(each.low, each.records, strict=True))

    assert pairs(parts) == pairs(runs)
