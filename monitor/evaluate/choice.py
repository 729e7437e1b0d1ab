"""What choosing a categorical signal's cells by the reference's own rows does to its counts.

The most frequent categories have a cell each, the next are counted together as ``other``, and the reference has no row, or too few, of
those that count as ``unseen``. All three counts come from the rows that chose them. So among production's rows, with nothing changed,

* some are of categories that the reference happened not to meet: in the mean its singletons over its rows (Good, 1953, after Turing);
* the cells of the most frequent categories fall behind, ``other`` grows: of many alike ones those were chosen that were lucky;
* with more categories than are known by name, which of them are known is chance: ``other`` and ``unseen`` are then one cell.

What is known of the categories within ``other`` are their number and their rows. So singletons are bounded, not counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.noise import normal_quantile

Float64 = NDArray[np.float64]

_FAR = 3.0  # standard deviations above the last cell's count from which on a category was not chosen by chance


def singletons(counts: Float64, other: float, tail: int) -> float:
    """Categories with one row at most.

    ``counts`` [cells] rows of the categories with a cell, the smallest of which no category of the ``tail`` exceeds; ``other`` rows of the
    tail. When s of its categories have one row, the rest have at most (tail - s) times that smallest count.

    >>> singletons(np.array([5.0, 1.0, 1.0]), 0.0, 0)
    2.0
    >>> singletons(np.array([90.0, 51.0]), 100.0, 2)  # two of about fifty rows each
    0.04
    """
    found = float((counts == 1).sum())
    if not tail or not len(counts):
        return found
    most = float(counts.min())
    return found + (float(tail) if most <= 1.0 else min(max((tail * most - other) / (most - 1.0), 0.0), float(tail)))


def luck(counts: Float64, tail: int) -> Float64:
    """[cells] rows that the categories with a cell have too many of in the mean, because they were the most frequent of all.

    Of k + tail alike categories with Poisson counts the k largest have sqrt(count) phi(q) / (1 - Phi(q)) too many, where Phi(q) is the part
    that was not chosen. All with a count near the smallest chosen one are taken to be alike, which is the worst case.
    """
    k = len(counts)
    if not tail or not k:
        return np.zeros(k)
    near = np.clip(1.0 - (counts - counts.min()) / (_FAR * np.sqrt(np.maximum(counts, 1.0))), 0.0, 1.0)
    chosen = max(float(near.sum()), 1.0)
    return np.asarray(np.minimum(near * np.sqrt(counts) * _selected_mean(chosen / (chosen + tail)), counts))


def _selected_mean(part: float) -> float:
    """Mean of the largest ``part`` of standard normal values.

    >>> round(_selected_mean(0.5), 3), round(_selected_mean(0.05), 3)
    (0.798, 2.063)
    """
    q = normal_quantile(1.0 - part)
    return float(np.exp(-q * q / 2.0) / np.sqrt(2.0 * np.pi) / part)


def new_share(pool: Float64, known: int, tail: int) -> float:
    """Part of production's rows that may be of categories which the reference did not meet; arguments as in ``as_chosen``."""
    return min(singletons(pool[:known], float(pool[known]), tail) / max(float(pool.sum()), 1.0), 0.5)


def without_luck(shares: Float64, pool: Float64, known: int, tail: int) -> Float64:
    """Shares [L, cells] after what the most frequent categories have too much of has gone to other; arguments as in ``as_chosen``."""
    return _moved(shares, _lost(pool, known, tail))


def _lost(pool: Float64, known: int, tail: int) -> Float64:
    """[known] part of each category's rows that is luck."""
    return luck(pool[:known], tail) / np.maximum(pool[:known], 1.0)


def _moved(shares: Float64, lost: Float64) -> Float64:
    known = len(lost)
    moved = shares[:, :known] * lost
    changed = shares.copy()
    changed[:, :known] -= moved
    changed[:, known] += moved.sum(axis=1)
    return changed


def as_chosen(shares: Float64, pool: Float64, known: int, tail: int) -> Float64 | None:
    """Shares [L, cells] that production has when nothing has changed but the luck of the choice; None when there was none.

    ``pool`` [cells] the reference's counts, the first ``known`` cells categories, then other and unseen; ``tail`` categories in other.
    """
    rows = max(float(pool.sum()), 1.0)
    new = new_share(pool, known, tail)
    lost = _lost(pool, known, tail)
    if not new and not lost.any():
        return None
    changed = _moved(shares, lost)
    if tail:  # a segment with more of the rare categories meets more new ones
        part = np.minimum(new * changed[:, known] / max(float(pool[known] / rows + (lost * pool[:known]).sum() / rows), 1e-12), 0.5)
    else:
        part = np.full(len(shares), new)
    changed *= 1.0 - part[:, None]
    changed[:, known + 1] += part
    return changed


def divergences(p: Float64, q: Float64, least: Float64) -> Float64:
    """[4, S] PSI, Jensen-Shannon, squared Hellinger and squared V between shares [cells, S], in nats; PSI's are at ``least`` [S]."""
    floored_p, floored_q = np.maximum(p, least), np.maximum(q, least)
    middle = np.maximum((p + q) / 2, np.finfo(np.float64).tiny)
    entropies = [-(each * np.log(np.maximum(each, np.finfo(np.float64).tiny))).sum(axis=0) for each in (p, q, middle)]
    return np.stack([
        ((floored_q - floored_p) * np.log(floored_q / floored_p)).sum(axis=0),
        np.maximum(entropies[2] - (entropies[0] + entropies[1]) / 2, 0.0),
        ((np.sqrt(q) - np.sqrt(p)) ** 2).sum(axis=0) / 2,
        ((q - p) ** 2 / middle).sum(axis=0) / 4,
    ])  # fmt: skip
