"""Laws of evaluation, for any counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from monitor.config.evaluation import STATISTICS, Evaluation
from monitor.evaluate.verdict import Status, Verdicts
from monitor.profile.layout import FAULT_CELLS, Layout
from monitor.profile.table import CountTable, merge_tables
from monitor.reference.reference import Reference
from tests.evaluate.make import categorical, judge, numeric, reference_of

LAYOUT = Layout(
    (
        numeric("x", [-1.5, -0.5, 0.0, 0.5, 2.0, 8.0]),
        categorical("c", ["a", "b"], declared=("a", "b", "z")),
        numeric("y", [0.0, 1.0, 2.0, 3.0], range=(0.0, 2.5)),
    )
)
SPANS = [LAYOUT.span(f) for f in range(len(LAYOUT.signals))]
LENIENT = Evaluation(min_rows=1, pooling_rows=50)
PER_VERDICT = ("value", "noise", "status", "n_now", "n_reference", "unit_factor")

rows_by_signal = st.integers(2, 6).flatmap(
    lambda segments: hnp.arrays(np.int64, (segments, LAYOUT.cells), elements=st.integers(0, 400) | st.just(0))
)


def equal_rows(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every row has one cell in each signal: the first value cell takes what a signal lacks."""
    totals = np.stack([counts[:, span].sum(axis=1) for span in SPANS], axis=1)
    filled = counts.copy()
    for f, span in enumerate(SPANS):
        filled[:, span.start + FAULT_CELLS] += totals.max(axis=1) - totals[:, f]
    return filled


def table(counts: NDArray[np.int64], names: Sequence[int] | None = None) -> CountTable:
    """Segments in the order of their keys, and ALL, their sum. ``names`` are the numbers in the keys."""
    counts = equal_rows(counts)
    names = range(len(counts)) if names is None else names
    keys = [f"country={name:02d}" for name in names]
    order = np.argsort(keys)
    tails = np.stack([counts[:, span.start + FAULT_CELLS : span.stop][:, [0, -1]] for span in SPANS], axis=1) << 17
    whole = np.vstack([counts.sum(axis=0)[None], counts[order]])
    return CountTable(LAYOUT, ("ALL", *sorted(keys)), whole, np.concatenate([tails.sum(axis=0)[None], tails[order]]))


def reference(counts: CountTable) -> Reference:
    found = reference_of(counts)
    found.means[[0, 2]], found.stds[[0, 2]] = 0.0, 1.5
    return found


def same(a: Verdicts, b: Verdicts, rows_a: Sequence[int], rows_b: Sequence[int]) -> None:
    for name in PER_VERDICT:
        np.testing.assert_array_equal(getattr(a, name)[rows_a], getattr(b, name)[rows_b], err_msg=name)
    for name in ("share", "reference_share", "noise", "status"):
        np.testing.assert_array_equal(getattr(a.share, name)[rows_a], getattr(b.share, name)[rows_b], err_msg=f"share.{name}")


@settings(deadline=None)
@given(rows_by_signal, st.randoms(use_true_random=False))
def test_renaming_the_segments_permutes_the_verdicts_to_the_bit(counts: NDArray[np.int64], random: object) -> None:
    names = list(range(len(counts)))
    random.shuffle(names)  # type: ignore[attr-defined]
    then = counts[::-1] // 2 + 5
    plain = judge(table(counts), reference(table(then)), LENIENT)
    renamed = judge(table(counts, names), reference(table(then, names)), LENIENT)
    same(plain, renamed, range(len(counts) + 1), [0, *(1 + name for name in names)])


@settings(deadline=None)
@given(rows_by_signal, st.data())
def test_splitting_counts_and_merging_them_changes_nothing(counts: NDArray[np.int64], data: st.DataObject) -> None:
    part = data.draw(hnp.arrays(np.int64, counts.shape, elements=st.integers(0, 400)))
    whole = table(counts)
    first = CountTable(LAYOUT, whole.segments, np.minimum(whole.counts, np.vstack([part[:1], part])), whole.tails // 3)
    second = CountTable(LAYOUT, whole.segments, whole.counts - first.counts, whole.tails - first.tails)
    then = reference(table(counts + 3))
    same(judge(whole, then, LENIENT), judge(merge_tables(LAYOUT, [first, second]), then, LENIENT), slice(None), slice(None))  # type: ignore[arg-type]


@settings(deadline=None)
@given(rows_by_signal)
def test_segments_without_rows_change_nothing_for_the_others(counts: NDArray[np.int64]) -> None:
    then = reference(table(counts + 3))
    now = table(counts)
    empty = CountTable(LAYOUT, ("country=99", "country=zz"), np.zeros((2, LAYOUT.cells), np.int64), np.zeros((2, 3, 2), np.int64))
    more = judge(merge_tables(LAYOUT, [now, empty]), then, LENIENT)
    same(judge(now, then, LENIENT), more, range(len(now.segments)), range(len(now.segments)))
    assert np.isin(more.status[-2:], [Status.INSUFFICIENT_DATA, Status.NOT_APPLICABLE]).all()
    assert np.isnan(more.value[-2:]).all()


@settings(deadline=None)
@given(rows_by_signal, st.integers(1, 50))
def test_equal_proportions_have_no_distance_at_all(counts: NDArray[np.int64], times: int) -> None:
    then = table(counts + 1)
    now = CountTable(LAYOUT, then.segments, then.counts * times, then.tails * times)
    verdicts = judge(now, reference(then), Evaluation(min_rows=1, pooling_rows=0))
    value = verdicts.value.copy()
    # Outside the edges the values' size is compared with the edge, not with what the reference has there.
    value[:, :, STATISTICS.index("wasserstein")] = 0.0
    assert (value[verdicts.status != Status.NOT_APPLICABLE] == 0.0).all()
    assert not verdicts.drifted()[:, :, [k for k, name in enumerate(STATISTICS) if name != "wasserstein"]].any()


@settings(deadline=None)
@given(rows_by_signal)
def test_symmetric_distances_are_symmetric(counts: NDArray[np.int64]) -> None:
    one, other = table(counts + 1), table(counts[:, ::-1] // 2 + 1)
    alone = Evaluation(min_rows=1, pooling_rows=0)
    there, back = judge(one, reference(other), alone), judge(other, reference(one), alone)
    for name in ("jensen_shannon", "ks", "hellinger", "chi_square"):
        k = STATISTICS.index(name)
        np.testing.assert_allclose(there.value[:, :, k], back.value[:, :, k], rtol=1e-9, atol=1e-7)
    rates = slice(STATISTICS.index("missing_rate"), None)
    np.testing.assert_allclose(there.value[:, :, rates], -back.value[:, :, rates], atol=1e-12)


@settings(deadline=None)
@given(rows_by_signal)
def test_values_are_in_their_range_and_unknown_is_never_stable(counts: NDArray[np.int64]) -> None:
    verdicts = judge(table(counts), reference(table(np.roll(counts, 3, axis=1))), LENIENT)
    value = verdicts.value
    assert (np.isnan(value) | (value >= -1e-12) | (np.arange(len(STATISTICS)) >= STATISTICS.index("missing_rate"))).all()
    for name in ("jensen_shannon", "ks", "hellinger", "chi_square"):
        of = value[:, :, STATISTICS.index(name)]
        assert (np.isnan(of) | (of <= 1)).all()
    unknown = np.isnan(value)
    assert np.isin(verdicts.status[unknown], [Status.INSUFFICIENT_DATA, Status.NOT_APPLICABLE, Status.NO_REFERENCE]).all()


def test_a_segments_verdict_does_not_depend_on_how_many_segments_there_are() -> None:
    """More segments than fit in one block of the arithmetic."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 50, (3, LAYOUT.cells))
    layout_rows = equal_rows(few)
    pad = np.tile(layout_rows[:1], (2500, 1))
    keys = tuple(sorted([*(f"country={i:02d}" for i in range(3)), *(f"device={i:04d}" for i in range(2500))]))

    def with_all(counts: NDArray[np.int64], names: tuple[str, ...]) -> CountTable:
        tails = np.zeros((len(counts) + 1, 3, 2), np.int64)
        return CountTable(LAYOUT, ("ALL", *names), np.vstack([layout_rows.sum(axis=0)[None], counts]), tails)

    then = reference(table(rng.integers(0, 50, (3, LAYOUT.cells))))
    small = judge(with_all(layout_rows, keys[:3]), then, LENIENT)
    large = judge(with_all(np.vstack([layout_rows, pad]), keys), then, LENIENT)
    same(small, large, range(4), range(4))
