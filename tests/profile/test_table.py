"""Counts are a commutative monoid, before and after a round trip through bytes, and counting rows is a homomorphism to it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from monitor.profile.bins import Binning
from monitor.profile.cells import cells_of
from monitor.profile.grouping import plan
from monitor.profile.layout import Layout, SignalBins, vocabulary
from monitor.profile.leaves import Leaves
from monitor.profile.packed import pack_table, unpack_table
from monitor.profile.pane import OpenPane, close_panes
from monitor.profile.table import CountTable, empty_table
from tests.decode import decode, event, model

LAYOUT = Layout((SignalBins("x", "numeric", edges=(0.0, 1.0)), SignalBins("c", "categorical", categories=("a",))))
OTHER_LAYOUT = Layout((SignalBins("x", "numeric", edges=(0.0, 2.0)), SignalBins("c", "categorical", categories=("a",))))


@st.composite
def tables(draw) -> CountTable:
    segments = tuple(sorted(draw(st.sets(st.sampled_from(["ALL", "k=a", "k=b", "k=c"])))))
    whole = st.integers(0, 2**40)
    counts = [[draw(whole) for _ in range(LAYOUT.cells)] for _ in segments]
    tails = [[[draw(st.integers(-(2**40), 2**40)) for _ in range(2)] for _ in LAYOUT.signals] for _ in segments]
    return CountTable(
        LAYOUT,
        segments,
        np.array(counts, np.int64).reshape(len(segments), LAYOUT.cells),
        np.array(tails, np.int64).reshape(len(segments), 2, 2),
    )


WORDS = vocabulary([LAYOUT])
MODEL = model([{"name": "x", "type": "numeric"}, {"name": "c", "type": "categorical"}], {"k": "k"}, segments={"groupings": [["k"]]})
BASES = plan(("k",), MODEL.segments.groupings)
several_events = st.lists(
    st.builds(
        event,
        x=st.floats() | st.sampled_from([0.0, 0.5, 1.0, None, "text"]),
        c=st.sampled_from(["a", "b", None, 7, []]),
        k=st.sampled_from(["a", "b", "c", None]),
    ),
    max_size=20,
)


def of(events: list[dict]) -> CountTable:
    """Counts of events that came as one batch."""
    batch, rejections = decode(MODEL, *events, vocabulary=WORDS)
    assert (len(batch), rejections) == (len(events), [])
    known = tuple(map(Leaves, BASES))
    pane = OpenPane(LAYOUT, known, max_leaves=10)
    pane.add(cells_of(Binning.of(LAYOUT, WORDS), batch), [leaves.numbers(batch.segments, batch.segment_values) for leaves in known])
    return close_panes(LAYOUT, known, [pane])


@given(several_events, several_events)
def test_counting_two_batches_apart_and_merging_is_counting_them_together(a, b):
    """of(a + b) = of(a) + of(b), and adding leaves both as they were."""
    one, other = of(a), of(b)
    assert of(a + b) == one.merge(other)
    assert (one, other) == (of(a), of(b))


def test_counting_nothing_gives_the_empty_table():
    assert of([]) == empty_table(LAYOUT)


@given(tables(), tables(), tables())
def test_merge_is_associative_and_commutative(a, b, c):
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(tables())
def test_the_empty_table_is_the_identity(a):
    assert a.merge(empty_table(LAYOUT)) == a == empty_table(LAYOUT).merge(a)


@given(tables(), tables())
def test_merge_leaves_its_arguments_as_they_were(a, b):
    before = (a.counts.copy(), a.tails.copy(), b.counts.copy(), b.tails.copy())
    a.merge(b)
    for was, now in zip(before, (a.counts, a.tails, b.counts, b.tails), strict=True):
        assert np.array_equal(was, now)


@given(tables())
def test_a_round_trip_through_bytes_changes_nothing(a):
    assert unpack_table(pack_table(a), LAYOUT) == a


@given(tables())
def test_counts_as_they_were_packed_before_are_read(a):
    """One array of all segments, as version 1 had it."""
    content = {
        "version": 1,
        "signals": [[signal.name, signal.fingerprint, signal.cells] for signal in LAYOUT.signals],
        "segments": list(a.segments),
        "counts": ["<i8", a.counts.astype("<i8").tobytes()],
        "tails": ["<i8", a.tails.astype("<i8").tobytes()],
    }
    assert unpack_table(zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(content)), LAYOUT) == a


def test_a_large_segment_does_not_make_the_small_ones_wider():
    layout = Layout((SignalBins("x", "numeric", edges=tuple(float(edge) for edge in range(100))),))
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 256, (200, layout.cells))  # each byte is needed
    counts[0] = rng.integers(0, 2**16, layout.cells)
    table = CountTable(layout, tuple(f"k={i:03d}" for i in range(200)), counts, np.zeros((200, 1, 2), np.int64))
    assert unpack_table(pack_table(table), layout) == table
    assert len(pack_table(table)) < 1.1 * counts.size


@given(tables(), tables())
def test_merging_after_a_round_trip_is_merging(a, b):
    assert unpack_table(pack_table(a), LAYOUT).merge(unpack_table(pack_table(b), LAYOUT)) == a.merge(b)


@given(tables())
def test_a_signal_with_other_bins_starts_anew_and_the_rest_stays(a):
    moved = unpack_table(pack_table(a), OTHER_LAYOUT)
    assert not moved.counts[:, OTHER_LAYOUT.span(0)].any()
    assert np.array_equal(moved.counts[:, OTHER_LAYOUT.span(1)], a.counts[:, LAYOUT.span(1)])


def test_counts_of_other_bins_do_not_merge():
    with pytest.raises(ValueError, match="they have other bins"):
        empty_table(LAYOUT).merge(empty_table(OTHER_LAYOUT))


@pytest.mark.parametrize("data", [b"", b"junk", pack_table(empty_table(LAYOUT))[:-3]])
def test_bytes_that_are_no_table_are_refused(data):
    with pytest.raises(ValueError, match="expected packed counts"):
        unpack_table(data, LAYOUT)
