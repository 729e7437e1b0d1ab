"""Bottom-k samples: order means nothing, samples merge, every candidate is as likely as any other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from monitor.decode import id_hash
from monitor.review.item import Reason
from monitor.review.sample import Candidate, Sample, ranks_of, shared
from monitor.review.sampler import Sampler, drawn_from

HOUR = 3_600_000
REASONS = (Reason.NEAR_THRESHOLD, Reason.UNSEEN_CATEGORY)


def rank(number: int, seed: int = 0) -> int:
    return int(ranks_of(np.array([id_hash(f"p{number}")], np.uint64), seed)[0])


def candidate(number: int, reasons: int = 1) -> Candidate:
    return Candidate(rank(number), f"p{number}", number, 0.5, 1, float("nan"), reasons)


def sample_of(numbers: list[int], size: int) -> Sample:
    sample = Sample(size)
    for number in numbers:
        sample.candidates += 1
        sample.keep(candidate(number))
    return sample


def said(sample: Sample) -> tuple[int, list[tuple[int, str, int]]]:
    return sample.candidates, [(each.rank, each.text, each.time_ms) for each in sample.kept]


@given(st.lists(st.integers(0, 60), max_size=40), st.lists(st.integers(0, 60), max_size=40), st.integers(1, 6))
def test_samples_merge_to_that_of_both_streams_in_any_order(one, two, size):
    whole = said(sample_of(one + two, size))
    for a, b in ((one, two), (two, one)):
        merged = sample_of(a, size)
        merged.merge(sample_of(b, size))
        assert said(merged) == whole
    assert said(sample_of(sorted(one + two), size)) == whole
    assert [each[1] for each in whole[1]] == [f"p{n}" for n in sorted(set(one + two), key=rank)[:size]]


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 3), st.integers(0, 5), st.integers(1, 3)), max_size=60, unique_by=lambda row: row[0]
    ),
    st.lists(st.integers(1, 20), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_what_is_drawn_depends_on_the_set_of_candidates_alone(rows, cuts, random):
    """Rows are number, hour, segment, reasons. Only three segments have room."""

    def drawn(rows, cuts):
        sampler = Sampler(HOUR, 3, "s=__other__", max_segments=3)
        segments = [f"s={n}" for n in range(6)]
        at = 0
        while at < len(rows):
            part = rows[at : at + cuts[at % len(cuts)]]
            at += len(part)
            for reason in REASONS:
                mine = [row for row in part if row[3] & reason.bit]
                sampler.offer(
                    "1", reason, np.array([hour * HOUR + 5 for _, hour, _, _ in mine], np.int64),
                    np.array([segment for _, _, segment, _ in mine], np.intp), segments,
                    np.array([rank(number) for number, _, _, _ in mine], np.uint64),
                    lambda i, mine=mine: candidate(mine[i][0], mine[i][3]),
                )  # fmt: skip
        return list(sampler.close(10 * HOUR))

    whole = [(d.pane_end_ms, d.segment, d.candidate[:3], d.candidate.reasons, d.probability) for d in drawn(rows, [1_000])]
    shuffled = random.sample(rows, len(rows))
    assert [(d.pane_end_ms, d.segment, d.candidate[:3], d.candidate.reasons, d.probability) for d in drawn(shuffled, cuts)] == whole
    in_segments = {(end, segment) for end, segment, *_ in whole}
    for key in in_segments:
        assert sum((end, segment) == key for end, segment, *_ in whole) <= 3
    assert len({segment for _, segment in in_segments if segment != "s=__other__"}) <= 3 * 4


def test_a_pane_is_drawn_from_once_and_only_when_it_has_ended():
    sampler = Sampler(HOUR, 5, "ALL")
    sampler.offer(
        "1", 0, np.array([1, HOUR]), np.zeros(2, np.intp), ["ALL"], np.array([rank(1), rank(2)], np.uint64), lambda i: candidate(i + 1)
    )
    assert list(sampler.close(HOUR - 1)) == []
    [first] = sampler.close(HOUR)
    assert (first.candidate.text, first.probability, first.pane_end_ms) == ("p1", 1.0, HOUR)
    assert [each.candidate.text for each in sampler.close(2 * HOUR)] == ["p2"]
    assert list(sampler.close(9 * HOUR)) == []


def test_places_are_shared_as_evenly_as_there_are_candidates():
    assert shared(6, {0: 100, 1: 1, 3: 100}) == {0: 3, 1: 1, 3: 2}
    assert shared(6, {0: 1, 1: 1}) == {0: 1, 1: 1}
    assert shared(1, {4: 2, 1: 2}) == {1: 1, 4: 0}


def test_a_candidate_of_two_reasons_has_the_chance_of_the_likelier():
    near, unseen = sample_of(list(range(100)), 4), Sample(4)
    unseen.candidates = 2
    for number in (3, 200):
        unseen.keep(candidate(number, reasons=2 if number == 200 else 3))
    found = {each.text: chance for each, chance in drawn_from({0: near, 1: unseen}, 4)}
    assert found["p3"] == found["p200"] == 1.0
    assert sorted(found.values())[0] == 2 / 100


@pytest.mark.parametrize("seed", [0, 7])
def test_each_of_a_days_predictions_is_audited_as_often_as_any_other(seed):
    """Chi-square over 40 ids and 600 seeds: 5 of 40 drawn each time; below the 0.999 quantile with 39 degrees of freedom."""
    ids = np.array([id_hash(f"user-{n}") for n in range(40)], np.uint64)
    drawn = np.zeros(40)
    for number in range(600):
        drawn[np.argsort(ranks_of(ids, seed * 10_000 + number))[:5]] += 1
    expected = 600 * 5 / 40
    # Without replacement the counts vary less than a multinomial's: by (1 - 5/40).
    assert ((drawn - expected) ** 2 / expected).sum() / (1 - 5 / 40) * 39 / 40 < chi2.ppf(0.999, 39)
    first, second = ranks_of(ids, seed), ranks_of(ids, seed + 1)
    assert abs(np.corrcoef(np.argsort(np.argsort(first)), np.argsort(np.argsort(second)))[0, 1]) < 0.5


def test_the_error_rate_from_audited_items_alone_is_unbiased():
    """Horvitz and Thompson: weights 1 / probability. Two segments of very different size and error rate."""
    random = np.random.default_rng(3)
    estimates, totals, truth = [], [], (100 * 0.5 + 900 * 0.1) / 1_000
    for day in range(300):
        segment = np.repeat([0, 1], [100, 900])
        wrong = np.concatenate([np.arange(100) < 50, np.arange(900) < 90])
        ids = random.integers(0, 2**63, (1_000, 2)).astype(np.uint64)
        ranks = ranks_of(ids, 1)
        sampler = Sampler(24 * HOUR, 5, "s=__other__")
        order = random.permutation(1_000)
        sampler.offer(
            "1", Reason.AUDIT_SAMPLE, np.full(1_000, day, np.int64), segment[order], ["s=a", "s=b"], ranks[order],
            lambda i, order=order, wrong=wrong, ranks=ranks: Candidate(
                int(ranks[order[i]]), str(order[i]), 0, 0.5, 1, float(wrong[order[i]]), Reason.AUDIT_SAMPLE.bit
            ),
        )  # fmt: skip
        items = list(sampler.close(24 * HOUR))
        assert len(items) == 10
        totals.append(sum(1 / each.probability for each in items))
        estimates.append(sum(each.candidate.label / each.probability for each in items) / 1_000)
    assert totals == pytest.approx([1_000] * 300), "weights add up to the number of predictions"
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - truth) < 3.3 * error, (np.mean(estimates), truth, error)
    unweighted = (0.5 + 0.1) / 2
    assert abs(unweighted - truth) > 10 * error, "leaving the weights out would show"
