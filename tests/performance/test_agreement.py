"""Agreement of annotators against published examples, scikit-learn and loops over the items."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from monitor.outcome.annotations import AgreementCounts, AgreementLayout, Items, agreement_counts, annotation_codes
from monitor.outcome.sparse import EMPTY, SparseCounts, add, sparse
from monitor.performance import agreement

Z = 1.96
LAYOUT = AgreementLayout(values=5, annotators=10, label_versions=4)
PLACES = [np.zeros(3, np.intp), np.array([1, 2, 2], np.intp)]
SEGMENTS = ("ALL", "a", "b")

Rating = tuple[int, int, int, int, float]  # annotator, value, first value, restated, confidence


def items_of(ratings: list[list[Rating]], combination: list[int] | None = None, definition: list[int] | None = None) -> Items:
    """Items with the latest (last given) rating as consensus."""
    flat = [(number, *rating) for number, own in enumerate(ratings) for rating in sorted(own)]
    columns = list(zip(*flat, strict=True)) if flat else [[]] * 6
    item, annotator, value, first, restated = (np.array(column, np.int64) for column in columns[:5])
    n = len(ratings)
    return Items(
        np.array(combination or [0] * n, np.int64), np.array([own[-1][1] for own in ratings], np.int64),
        np.array(definition or [0] * n, np.int64), item, annotator, value, first, restated, np.array(columns[5], float),
    )  # fmt: skip


def plain(values: dict[int, int]) -> list[Rating]:
    return [(annotator, value, value, 0, np.nan) for annotator, value in values.items()]


def sparse_of(items: Items, sign: int = 1) -> SparseCounts:
    codes, _ = annotation_codes(LAYOUT, items)
    return sparse(codes, np.full(len(codes), sign))


def counted(items: Items) -> AgreementCounts:
    return agreement_counts(LAYOUT, sparse_of(items), SEGMENTS, PLACES)


def krippendorffs_example() -> Items:
    """Computing Krippendorff's alpha-reliability (2011): four observers, twelve units, values 1 to 5, gaps."""
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = [{who: int(row[unit]) - 1 for who, row in enumerate(observers) if row[unit] != "."} for unit in range(12)]
    return items_of([plain(unit) for unit in units])


def test_krippendorffs_own_example() -> None:
    """Nominal 0.743 and interval 0.849 in the paper."""
    pairs = counted(krippendorffs_example()).pairs
    assert float(agreement.krippendorff_alpha(pairs, Z).value) == pytest.approx(0.743, abs=5e-4)
    assert float(agreement.krippendorff_alpha(pairs, Z, np.arange(1.0, 6.0)).value) == pytest.approx(0.849, abs=5e-4)
    gap = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])  # a cell that no label is in
    wider = np.pad(pairs, ((0, 0), (0, 1), (0, 1)))
    assert float(agreement.krippendorff_alpha(wider, Z, gap).value) == pytest.approx(0.849, abs=5e-4)
    assert agreement.items_by_raters(pairs).tolist() == [1, 2, 8, 0, 0, 0, 0]  # one unit has a single value


def test_fleiss_kappa_is_its_definition() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 3, (40, 4))
    values[:, 1] = np.where(random.random(40) < 0.7, values[:, 0], values[:, 1])
    found = agreement.fleiss_kappa(counted(items_of([plain(dict(enumerate(row))) for row in values.tolist()])).pairs, Z)
    n = np.stack([(values == c).sum(axis=1) for c in range(3)], axis=1)
    observed = ((n**2).sum(axis=1) - 4).mean() / (4 * 3)
    chance = ((n.sum(axis=0) / 160) ** 2).sum()
    assert float(found.value) == pytest.approx((observed - chance) / (1 - chance))
    assert found.low < found.value < found.high
    assert int(found.n) == 40


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_cohens_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    counts = counted(items_of([plain({0: a, 1: b}) for a, b in pairs]))
    found = agreement.cohen_kappa(counts.two, Z)
    if len(set(first) | set(second)) == 1:
        assert np.isnan(found.value[0])
    else:
        assert found.value[0] == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
        assert -1 <= found.low[0] <= found.value[0] <= found.high[0] <= 1
    assert np.isnan(found.value[1:]).all()


def test_intervals_of_kappas_cover() -> None:
    """Two annotators, who find the truth in 85 and 75 % of the items; 300 items, 1,500 runs, nominal 95 %."""
    p = np.zeros((3, 3))
    for truth, (i, j) in itertools.product(range(3), itertools.product(range(3), repeat=2)):
        p[i, j] += [0.5, 0.3, 0.2][truth] * (0.85 if i == truth else 0.075) * (0.75 if j == truth else 0.125)
    chance, common = (p.sum(axis=1) * p.sum(axis=0)).sum(), (((p.sum(axis=1) + p.sum(axis=0)) / 2) ** 2).sum()
    tables = np.random.default_rng(2).multinomial(300, p.ravel(), 1500).reshape(-1, 3, 3)
    cohen = agreement.cohen_kappa(tables, Z)
    truth = (np.trace(p) - chance) / (1 - chance)
    assert 0.93 <= ((cohen.low <= truth) & (truth <= cohen.high)).mean() <= 0.97
    pairs = np.zeros((7, 3, 3), np.int64)
    covered = []
    for table in tables[:400]:
        pairs[0] = table + table.T
        found = agreement.krippendorff_alpha(pairs, Z)
        covered.append(float(found.low) <= (np.trace(p) - common) / (1 - common) <= float(found.high))
    assert np.mean(covered) >= 0.92


def test_labels_that_are_all_the_same_tell_nothing_about_agreement() -> None:
    quality = agreement.label_quality(counted(items_of([plain({0: 2, 1: 2})] * 5)), Z)
    assert np.isnan(float(quality.krippendorff.value))
    assert np.isnan(float(quality.fleiss.value))
    assert quality.disagreement.value[0] == 0.0


ratings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 5),
        st.dictionaries(
            st.integers(0, 11),
            st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2), st.one_of(st.just(np.nan), st.floats(0, 1))),
            min_size=1,
            max_size=11,
        ),
    ),
    max_size=12,
)


def built(rows) -> Items:
    own = [
        [(who, value, first if kind else value, kind, sure) for who, (value, first, kind, sure) in sorted(given.items())]
        for _, _, given in rows
    ]
    return items_of(own, [combination for combination, _, _ in rows], [version for _, version, _ in rows])


@settings(max_examples=40)
@given(ratings)
def test_counts_equal_loops_over_items(rows) -> None:
    counts = counted(built(rows))
    pairs, annotator, items = np.zeros_like(counts.pairs), np.zeros_like(counts.annotator), np.zeros_like(counts.items)
    revised, flips, confidence = np.zeros_like(counts.revised), np.zeros_like(counts.flips), np.zeros(21, np.int64)
    definition = np.zeros_like(counts.definition)
    two = {pair: np.zeros((5, 5), np.int64) for pair in itertools.combinations(range(6), 2)}
    for combination, version, own in rows:
        segments = [0, [1, 2, 2][combination]]
        values = [value for _, (value, *_) in sorted(own.items())]
        consensus = values[-1]
        definition[min(version, 3), consensus] += 1
        if len(values) > 1:
            items[segments, int(len(set(values)) > 1)] += 1
            kept = values[:8]
            for a, b in itertools.permutations(kept, 2):
                pairs[len(kept) - 2, a, b] += 1
        for who, (value, first, kind, sure) in own.items():
            if len(values) > 1:
                annotator[min(who, 9), int(value != consensus)] += 1
            if kind:
                revised[segments, kind - 1, int(first != value)] += 1
                flips[kind - 1, first, value] += 1
            confidence[20 if np.isnan(sure) else min(int(np.floor(sure * 20)), 19)] += 1
        for (i, j), table in two.items():
            if i in own and j in own:
                table[own[i][0], own[j][0]] += 1
    for name, expected in (
        ("pairs", pairs), ("annotator", annotator), ("items", items), ("revised", revised), ("flips", flips),
        ("confidence", confidence), ("definition", definition), ("two", np.stack(list(two.values()))),
    ):  # fmt: skip
        assert (getattr(counts, name) == expected).all(), name


@settings(max_examples=30)
@given(ratings, ratings)
def test_counts_add_and_are_taken_back(a, b) -> None:
    first, second = sparse_of(built(a)), sparse_of(built(b))
    together = [(c, v, own) for c, v, own in (*a, *b)]
    assert sparse_of(built(together)) == add([first, second])
    assert add([first, sparse_of(built(a), -1)]) == EMPTY


def test_each_annotator_is_held_against_the_consensus() -> None:
    items = items_of([plain({0: 1, 1: 2, 2: 1}), plain({0: 0, 1: 1, 2: 1}), plain({1: 4})])
    quality = agreement.label_quality(counted(items), Z)
    assert quality.consensus_agreement.value[:3].tolist() == [0.5, 0.5, 1.0]
    assert quality.consensus_agreement.n[:3].tolist() == [2, 2, 2]  # an item with one annotator says nothing


def test_flip_rates_and_disagreement_come_by_segment() -> None:
    items = items_of([[(0, 1, 2, 1, 0.9), (1, 1, 1, 1, 0.97)], [(0, 3, 3, 0, np.nan), (1, 4, 0, 2, 1.0)], [(2, 0, 0, 1, 0.5)]], [0, 1, 2])
    quality = agreement.label_quality(counted(items), Z)
    assert quality.disagreement.value.tolist() == [0.5, 0.0, 1.0]
    assert quality.flip_rate.value.tolist() == pytest.approx([2 / 5, 1 / 2, 1 / 3])
    assert quality.redefined_flip_rate.value.tolist() == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)
    assert quality.confidence[[10, 18, 19, 20]].tolist() == [0.2, 0.2, 0.4, 0.2]


def test_a_changed_definition_shifts_classes_beyond_noise_and_chance_does_not() -> None:
    random = np.random.default_rng(3)
    same, other = [0.5, 0.3, 0.2, 0, 0], [0.35, 0.45, 0.2, 0, 0]
    definition = np.stack(
        [random.multinomial(500, same), random.multinomial(0, same), random.multinomial(700, same), random.multinomial(600, other)]
    )
    shift, noise = agreement.definition_shift(definition, 0.999)
    assert np.isnan(shift.value[0])  # nothing came under that version
    assert shift.value[1] < noise[1]
    assert shift.value[2] > noise[2]
    assert shift.low[2] > 0
    quiet = [agreement.definition_shift(random.multinomial([400, 900], same), 0.95) for _ in range(1000)]
    assert np.mean([found.value[0] > floor[0] for found, floor in quiet]) <= 0.08


def test_definitions_are_compared_in_the_order_of_label_versions_not_in_that_of_their_numbers() -> None:
    given = [(0, 0)] * 50 + [(1, 1)] * 50 + [(0, 2)] * 50  # value and number: 2 came between 0 and 1
    counts = counted(items_of([plain({0: value}) for value, _ in given], definition=[number for _, number in given]))
    quality = agreement.label_quality(counts, Z, ranks=np.array([0, 2, 1]))
    assert quality.definition_order.tolist() == [0, 2, 1]
    assert quality.definition_shift.value.tolist() == [0.0, 1.0]
    assert agreement.label_quality(counts, Z).definition_shift.value[:2].tolist() == [1.0, 1.0]


def test_ratings_out_of_order_are_refused() -> None:
    good = krippendorffs_example()
    with pytest.raises(ValueError, match="expected ratings sorted by item, then annotator"):
        Items(good.combination, good.consensus, good.definition, good.item[::-1].copy(), *[good.annotator] * 4, good.confidence)
    with pytest.raises(ValueError, match="expected at least one rating of each item"):
        Items(np.zeros(13, np.int64), good.consensus, good.definition, good.item, *[good.annotator] * 4, good.confidence)


def test_without_items_nothing_is_known() -> None:
    counts = counted(items_of([]))
    quality = agreement.label_quality(counts, Z)
    for found in (quality.fleiss, quality.krippendorff, quality.disagreement, quality.flip_rate, quality.consensus_agreement):
        assert np.isnan(found.value).all()
