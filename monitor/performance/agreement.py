"""How good the labels are: agreement of annotators beyond chance, and how labels change.

All coefficients are 1 - observed disagreement / disagreement expected by chance. They differ in what chance is:

    Cohen's kappa        two annotators, each with a habit of its own (1960). Variance of Fleiss, Cohen and Everitt (1969)
    Fleiss' kappa        any annotators, one common distribution of values (1971); items with other numbers of annotators enter with
                         their own share of agreeing pairs
    Krippendorff's alpha the same for small samples and any number of labels an item (2011); nominal, or with squared distances
                         between numbers for a regression

For Fleiss and Krippendorff the interval is that of the observed disagreement over items (Wilson's, or that of a mean of distances), the
chance disagreement taken as known. Of an item with several annotators only the sum of its pairs is kept: it counts as one observation that
varies as much as one can. So the interval is right for two annotators an item and wide for more, never narrow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.outcome.annotations import MAX_RATERS, AgreementCounts
from monitor.performance.interval import Estimate, mean_of_positive, wilson
from monitor.performance.variation import total_variation, variation_noise

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_RATERS = np.arange(2, MAX_RATERS + 1)


def cohen_kappa(table: Int64, z: float) -> Estimate:
    """[...] from tables [..., C, C] of the first annotator's value by the second's; unknown where chance agrees always.

    >>> round(float(cohen_kappa(np.array([[20, 5], [10, 15]]), 1.96).value), 12)
    0.4
    """
    n = table.sum(axis=(-2, -1))
    p = table / np.maximum(n, 1)[..., None, None]
    rows, columns = p.sum(axis=-1), p.sum(axis=-2)
    agreed = np.trace(p, axis1=-2, axis2=-1)
    chance = (rows * columns).sum(axis=-1)
    known = (n > 0) & (chance < 1)
    rest = np.where(known, 1 - chance, 1.0)
    kappa = np.clip((agreed - chance) / rest, -1.0, 1.0)  # rounding may pass 1
    diagonal = np.diagonal(p, axis1=-2, axis2=-1)
    own = (diagonal * (1 - (rows + columns) * (1 - kappa)[..., None]) ** 2).sum(axis=-1)
    crossed = (columns[..., :, None] + rows[..., None, :]) ** 2 * p
    others = (1 - kappa) ** 2 * (crossed.sum(axis=(-2, -1)) - np.trace(crossed, axis1=-2, axis2=-1))
    variance = (own + others - (kappa - chance * (1 - kappa)) ** 2) / (rest**2 * np.maximum(n, 1))
    half = z * np.sqrt(np.maximum(variance, 0.0))
    return Estimate(kappa, np.clip(kappa - half, -1.0, 1.0), np.clip(kappa + half, -1.0, 1.0), n).where(known)


def items_by_raters(pairs: Int64) -> Int64:
    """[MAX_RATERS - 1] items with 2, 3, ... annotators."""
    return np.asarray(pairs.sum(axis=(1, 2)) // (_RATERS * (_RATERS - 1)))


def fleiss_kappa(pairs: Int64, z: float) -> Estimate:
    """One number from ``AgreementCounts.pairs``."""
    items = items_by_raters(pairs)
    n = int(items.sum())
    ratings = (pairs.sum(axis=2) / (_RATERS - 1)[:, None]).sum(axis=0)  # [C] each rating is the first of m - 1 pairs
    share = ratings / max(ratings.sum(), 1.0)
    expected = 1 - float((share**2).sum())
    agreeing = float((np.trace(pairs, axis1=1, axis2=2) / (_RATERS * (_RATERS - 1))).sum())
    return _beyond_chance(wilson(n - agreeing, n, z), expected)


def krippendorff_alpha(pairs: Int64, z: float, positions: Float64 | None = None) -> Estimate:
    """One number from ``AgreementCounts.pairs``; ``positions`` [C] of the values for the interval scale, None: nominal."""
    c = pairs.shape[1]
    # A value without a position (a cell for faults) is never a label's.
    distance = 1.0 - np.eye(c) if positions is None else np.nan_to_num(positions[:, None] - positions[None, :]) ** 2
    coincidence = (pairs / (_RATERS - 1)[:, None, None]).sum(axis=0)  # [C, C], each item weighs its number of ratings
    by_value = coincidence.sum(axis=1)
    ratings = float(by_value.sum())
    n = int(items_by_raters(pairs).sum())
    expected = float((np.outer(by_value, by_value) * distance).sum()) / max(ratings * (ratings - 1), 1.0)
    observed, squares = (float((coincidence * distance**power).sum()) / max(ratings, 1.0) for power in (1, 2))
    disagreement = mean_of_positive(observed * n, squares * n, n, z, float(distance.max(initial=0.0)))
    return _beyond_chance(disagreement, expected)


def _beyond_chance(disagreement: Estimate, expected: float) -> Estimate:
    if expected <= 0:  # all labels the same: nothing could have disagreed
        nan = np.asarray(np.nan)
        return Estimate(nan, nan, nan, disagreement.n)
    value, low, high = (1 - end / expected for end in (disagreement.value, disagreement.high, disagreement.low))
    return Estimate(np.asarray(value), np.asarray(low), np.asarray(high), disagreement.n)


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """Everything about the labels themselves. G segments, A annotators, V label versions, C values."""

    segments: tuple[str, ...]
    fleiss: Estimate  # one number
    krippendorff: Estimate  # one number
    cohen: Estimate  # [rater pairs] of the first few annotators
    cohen_pairs: tuple[tuple[int, int], ...]  # their numbers
    consensus_agreement: Estimate  # [A] share of an annotator's labels that are the consensus, of items with several
    disagreement: Estimate  # [G] share of items with several annotators on which they do not agree
    flip_rate: Estimate  # [G] share of labels that were restated to another value
    redefined_flip_rate: Estimate  # [G] of the labels restated under another label version, those that came to another value
    confidence: Float64  # [cells + 1] shares; the last: none given
    definition_order: Int64  # [V] numbers of the label versions, the oldest definition first
    definition_shift: Estimate  # [V - 1] total variation between a label version's classes and the one before that has labels
    definition_noise: Float64  # [V - 1] what it reaches by chance at the given quantile


def label_quality(
    counts: AgreementCounts, z: float, *, ranks: Int64 | None = None, noise_quantile: float = 0.999, positions: Float64 | None = None
) -> LabelQuality:
    """All of it. ``ranks`` [known label versions]: their order, by number when None; ``positions`` [C] of a regression's values."""
    order = np.arange(len(counts.definition)) if ranks is None else np.argsort(ranks[: len(counts.definition)], kind="stable")
    redefined = counts.revised[:, 1]
    shares = counts.confidence / max(int(counts.confidence.sum()), 1)
    shift, noise = definition_shift(counts.definition[order], noise_quantile)
    pairs = tuple(itertools.combinations(range(counts.layout.paired), 2))
    flips = wilson(redefined[:, 1], redefined.sum(axis=1), z)
    return LabelQuality(
        counts.segments, fleiss_kappa(counts.pairs, z), krippendorff_alpha(counts.pairs, z, positions), cohen_kappa(counts.two, z), pairs,
        wilson(counts.annotator[:, 0], counts.annotator.sum(axis=1), z),
        wilson(counts.items[:, 1], counts.items.sum(axis=1), z),
        wilson(counts.revised[:, :, 1].sum(axis=1), counts.ratings, z), flips, shares, order, shift, noise,
    )  # fmt: skip


def definition_shift(definition: Int64, noise_quantile: float) -> tuple[Estimate, Float64]:
    """[V - 1] total variation between the classes under each label version [V, C] and under the newest one before it.

    The rows of ``definition`` are in the order of the label versions; those without labels are passed over.
    Without a change of definition it stays below ``noise``, see ``variation``; the interval's ends are the distance less and plus that
    noise. A shift may also be one of the traffic: restated labels (``redefined_flip_rate``) tell the two apart.
    """
    totals = definition.sum(axis=1)
    share = definition / np.maximum(totals, 1)[:, None]
    steps = max(len(definition) - 1, 0)
    value, noise, n = np.full(steps, np.nan), np.full(steps, np.nan), np.zeros(steps, np.int64)
    last = -1
    for version in range(len(definition)):
        if not totals[version]:
            continue
        if last >= 0:
            pooled = (definition[version] + definition[last]) / (totals[version] + totals[last])
            value[version - 1] = total_variation(share[version], share[last])
            noise[version - 1] = variation_noise(pooled, 1 / totals[version] + 1 / totals[last], noise_quantile)
            n[version - 1] = min(totals[version], totals[last])
        last = version
    return Estimate(value, np.maximum(value - noise, 0.0), np.minimum(value + noise, 1.0), n), noise
