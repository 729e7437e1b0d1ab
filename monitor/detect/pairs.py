"""Clustering of one signal of a reference, within its segments and of the whole traffic, and the cells of a kind of stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detect.clustering import LEAST_PAIRS, Clustering, independent, joined, measured, of_long_sessions
from monitor.detect.directions import Alternatives
from monitor.profile.layout import FAULT_CELLS
from monitor.reference.reference import BlockMoments

Float64 = NDArray[np.float64]

_NO_VARIANCE = 1e-100  # of a bet that says nothing; its square is a number still


def clustering_of(
    blocks: BlockMoments | None, signal: int, kind: str, pool: Float64, bank: Alternatives, counts: Float64, cycle: bool
) -> tuple[Clustering, Clustering]:
    """Within segments, and of the whole traffic.

    ``pool`` [cells] and ``counts`` [L, cells] of the reference; ``cycle``: whether the signal may have a daily one, which blocks of hours
    would show as clustering.
    """
    k = len(bank.weights)
    if blocks is None or blocks.across_pairs is None or blocks.within_pairs is None:
        return independent(k), independent(k)
    assert blocks.across_pair_totals is not None and blocks.within_pair_totals is not None
    rows, share, ratios, smooth = _pooled(pool, bank, counts)
    p = counts / np.maximum(rows[:, None], 1.0)
    means = p @ ratios.T
    total = ratios**2 @ smooth
    within = np.maximum(total - share @ means**2, _NO_VARIANCE)
    across = np.maximum(total - (ratios @ smooth) ** 2, _NO_VARIANCE)
    cut = _fault_products if kind == "missing" else _value_products
    found = []
    for products, totals, variance in (
        (blocks.within_pairs, blocks.within_pair_totals, within),
        (blocks.across_pairs, blocks.across_pair_totals, across),
    ):
        centred = ratios - (ratios @ smooth)[:, None]
        tails = centred**4 @ smooth / variance**2
        sums = [cut(signals[signal]) for signals in products]
        # Segments of one day are no independent days: as many pairs are needed of the whole traffic.
        enough = np.where(blocks.across_pair_totals[:, :1] < LEAST_PAIRS, 0.0, totals)
        found.append(measured(sums, enough, blocks.lengths_ms, centred, variance, tails, cycle))
    return found[0], joined(found[0], found[1])


def for_strong_bets(
    found: tuple[Clustering, Clustering], bank: Alternatives, pool: Float64, counts: Float64, most: float
) -> tuple[Clustering, Clustering]:
    """Both with what long sessions do to strong bets; ``most`` is the bound on a block's evidence."""
    _, _, ratios, smooth = _pooled(pool, bank, counts)
    return of_long_sessions(found[0], ratios, smooth, most), of_long_sessions(found[1], ratios, smooth, most)


def _pooled(pool: Float64, bank: Alternatives, counts: Float64) -> tuple[Float64, Float64, Float64, Float64]:
    """Rows [L] and their shares, mean ratios [K, cells] and smoothed shares [cells] of the whole traffic."""
    rows = np.maximum(counts.sum(axis=1), 0.0)
    share = rows / max(rows.sum(), 1.0)
    ratios = np.einsum("l,lkb->kb", share, bank.ratios) if len(bank.ratios) > 1 else bank.ratios[0]
    return rows, share, ratios, (pool + 0.5) / (pool.sum() + 0.5 * len(pool))


def faults_of(counts: NDArray[np.generic]) -> Float64:
    """The cells missing, invalid, non-finite, any value of a signal's cells on the last axis."""
    counts = np.asarray(counts, np.float64)
    return np.concatenate([counts[..., :FAULT_CELLS], counts[..., FAULT_CELLS:].sum(axis=-1, keepdims=True)], axis=-1)


def _value_products(products: Float64) -> Float64:
    return products[FAULT_CELLS:, FAULT_CELLS:]


def _fault_products(products: Float64) -> Float64:
    return faults_of(faults_of(products).T).T
