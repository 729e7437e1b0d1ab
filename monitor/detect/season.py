"""The daily or weekly cycle inside the null: what exp(w) is at each time of the day, relative to its mean over all of them.

A signal is tested for a cycle with the score test of every direction against the hour slots. If it has one, a segment's shares at an hour
are p[s, b] exp(beta_s v[h, b]). The profile v is common to all segments, either by cell or by rank within the segment (which fits segments
that lie differently), beta_s is the strength of a segment's cycle, and what its own hours say beyond that enters by the factor of James and
Stein: once cell by cell, and once more direction by direction for the lowest harmonics of the day, where a misfit would last longest.
Only the null depends on the hour, and it is that of the event's own time: a late row meets the null of its hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.reference.hours import HOUR_MS, slot_of

Float64 = NDArray[np.float64]

CLEAR = 8.0  # standard deviations of the chi-square of a direction over the hours
LEAST_SLOT_ROWS = 50.0
QUARTERS = 4  # of an hour: evidence meets shares interpolated to these, because a cycle does not move by steps
HARMONICS = 3
_BALANCING = 30
_RANKS = 32
_PRIOR_ROWS = 5.0  # pulls the profile of a cell with few rows towards none


@dataclass(frozen=True, eq=False)
class Cycle:
    """Shares of a signal's cells by hour: [L, hours, cells], how often each leaf has an hour [L, hours], rows [hours].

    ``coefficients`` [L, J, K] of the harmonics that the mean of exp(w) has beyond what the shares say.
    """

    shares: Float64
    weights: Float64
    rows: Float64
    coefficients: Float64 | None = None

    def mean(self) -> Float64:
        """[L, cells] shares over all hours, each as often as in the reference."""
        return self._mean

    @cached_property
    def _mean(self) -> Float64:
        return np.asarray((self.weights[:, :, None] * self.shares).sum(axis=1))

    @cached_property
    def _centre(self) -> Float64:
        """[L, J] mean of the harmonics over the hours."""
        return np.asarray(np.einsum("lh,hj->lj", self.weights, _waves(np.arange(0.5, len(self.rows)), len(self.rows))))

    def rare(self, quarter: int) -> bool:
        """Whether the reference hardly has that hour; offsets are the same for all such."""
        return bool(self.rows[quarter // QUARTERS] < LEAST_SLOT_ROWS)

    def direction(self, number: int) -> Cycle:
        """The same for one direction alone."""
        return self if self.coefficients is None else replace(self, coefficients=self.coefficients[:, :, number : number + 1])

    def rows_of(self, leaves: NDArray[np.intp]) -> Cycle:
        """The same for leaves in another order."""
        return Cycle(self.shares[leaves], self.weights[leaves], self.rows)

    def usual(self, grown: Float64) -> Float64:
        """[L, K] mean of exp(w) over all hours."""
        return np.maximum(_means(self.mean(), grown), 1e-300)

    def offsets(self, quarter: int, grown: Float64, usual: Float64) -> Float64:
        """[L, K] log of the mean of exp(w) at a quarter of an hour over its ``usual`` mean; ``grown`` [L or 1, cells, K] is exp(w).

        Rows of an hour that the reference hardly has meet the worst of all hours.
        """
        if self.rare(quarter):
            means = [self._at(h, h, 0.0, (h + 0.5) * QUARTERS, grown) for h in self._known.tolist()]
            return np.asarray(np.log(np.maximum(np.max(means, axis=0) / usual, 1e-6))) if means else np.zeros_like(usual)
        hour, neighbour, away = (each[0] for each in self._between(np.array([quarter])))
        return np.asarray(np.log(np.maximum(self._at(int(hour), int(neighbour), float(away), quarter + 0.5, grown) / usual, 1e-6)))

    def every_offset(self, grown: Float64) -> Float64:
        """[quarters, L] all ``offsets`` of one direction at once; ``grown`` [L or 1, cells, 1]."""
        by_hour = np.matmul(self.shares, grown)[:, :, 0]  # [L, hours]: means of mixed shares are mixed means
        quarter = np.arange(len(self.rows) * QUARTERS)
        hour, neighbour, away = self._between(quarter)
        means = (1.0 - away) * by_hour[:, hour] + away * by_hour[:, neighbour]
        known = self._known
        worst = by_hour[:, known]
        if self.coefficients is not None:
            means += self._beyond((quarter + 0.5) / QUARTERS)
            worst = worst + self._beyond(np.asarray(known + 0.5, np.float64))
        usual = self.usual(grown)
        found = np.log(np.maximum(means / usual, 1e-6))
        rare = self.rows[hour] < LEAST_SLOT_ROWS
        found[:, rare] = np.log(np.maximum(worst.max(axis=1, keepdims=True) / usual, 1e-6)) if len(known) else 0.0
        return np.asarray(found.T)

    @cached_property
    def _known(self) -> NDArray[np.intp]:
        """Hours that the reference has enough of."""
        return np.flatnonzero(self.rows >= LEAST_SLOT_ROWS)

    def _between(self, quarter: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], Float64]:
        """[n] each: the hours of quarters, the hours next to these on the quarters' side (themselves where those are hardly known), and
        the part that the latter have in the quarters' middle.
        """
        hour, part = np.divmod(quarter, QUARTERS)
        away = (part + 0.5) / QUARTERS - 0.5
        neighbour = (hour + np.where(away > 0, 1, -1)) % len(self.rows)
        return hour, np.where(self.rows[neighbour] < LEAST_SLOT_ROWS, hour, neighbour), np.abs(away)

    def _beyond(self, hours: Float64) -> Float64:
        """[L, n] what the harmonics of one direction add at times in hours, never less than nothing."""
        assert self.coefficients is not None
        waves = _waves(hours, len(self.rows))
        found = waves @ self.coefficients[:, :, 0].T - np.einsum("lj,lj->l", self._centre, self.coefficients[:, :, 0])
        return np.asarray(np.maximum(found.T, 0.0))

    def _at(self, hour: int, neighbour: int, part: float, quarter: float, grown: Float64) -> Float64:
        means = _means((1.0 - part) * self.shares[:, hour] + part * self.shares[:, neighbour], grown)
        if self.coefficients is not None:
            beyond = np.einsum("lj,ljk->lk", _waves(np.array([quarter / QUARTERS]), len(self.rows)) - self._centre, self.coefficients)
            means += np.maximum(beyond, 0.0)  # where the shares say too much, evidence is only smaller than it could be
        return means


def has_cycle(slots: Float64, shares: Float64, ratios: Float64) -> bool:
    """Whether the hours differ: counts [segments, hours, cells], ``shares`` [segments, cells], directions ``ratios`` [K, cells]."""
    rows = slots.sum(axis=2)
    excess = (slots - rows[:, :, None] * shares[:, None, :]).sum(axis=0)
    pooled = (rows.sum(axis=1)[:, None] * shares).sum(axis=0)
    pooled = pooled / max(pooled.sum(), 1.0)
    centred = ratios - (ratios @ pooled)[:, None]
    variance = np.maximum(centred**2 @ pooled, 1e-300)
    seen = rows.sum(axis=0) >= LEAST_SLOT_ROWS
    if seen.sum() < 2:
        return False
    score = (centred @ excess.T[:, seen]) / np.sqrt(variance[:, None] * rows.sum(axis=0)[seen])
    degrees = int(seen.sum()) - 1
    # A direction about cells that are hardly ever met is no normal variable: its score needs some rows to mean anything.
    usable = (np.abs(centred).max(axis=1) ** 2 / variance) < 0.1 * rows.sum(axis=0)[seen].min()
    return bool(((score**2).sum(axis=1)[usable] > degrees + CLEAR * np.sqrt(2.0 * degrees)).any())


def cycle_of(slots: Float64, counts: Float64, ordered: bool) -> Cycle:
    """The cycle of L segments with ``counts`` [L, cells], of which the first have ``slots`` [known, hours, cells] counted.

    ``ordered``: the cells are those of a number, so that ranks mean something.
    """
    known = len(slots)
    # As they are, empty cells too: psi has the same mean over the hours then.
    p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    rows = slots.sum(axis=2)
    weights = np.repeat(rows.sum(axis=0)[None], len(counts), axis=0)
    weights[:known] = rows
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    fits = []
    for profile in [_by_cell(slots, p), *([_by_rank(slots, p)] if ordered else [])]:
        strength = np.ones(len(counts))
        strength[:known] = _strengths(slots, p[:known], profile[:known])
        shares = _balanced(_cycled(p, profile, strength), p, weights)
        expected = rows[:, :, None] * shares[:known]
        degrees = np.maximum((rows > 0).sum(axis=1) * (counts.shape[1] - 1), 1)
        misfit = ((slots - expected) ** 2 / np.maximum(expected, 1.0)).sum(axis=(1, 2)) / degrees
        fits.append((float(misfit @ rows.sum(axis=1)), misfit, shares))
    _, misfit, shares = min(fits, key=lambda fit: fit[0])
    excess = np.maximum(misfit - 1.0, 0.0)
    weight = np.where(rows > 0, excess[:, None] / (1.0 + excess[:, None]), 0.0)[:, :, None]
    shares[:known] = weight * slots / np.maximum(rows, 1.0)[:, :, None] + (1.0 - weight) * shares[:known]
    return Cycle(_balanced(shares, p, weights), weights, rows.sum(axis=0))


def corrected(cycle: Cycle, slots: Float64, known: NDArray[np.intp], grown: Float64) -> Cycle:
    """The cycle with the harmonics of exp(w) that the ``known`` leaves' own hours [known, hours, cells] have beyond it."""
    rows = slots.sum(axis=2)
    e = grown[known] if len(grown) > 1 else grown
    usual = _means(cycle.mean()[known], e)
    own = np.matmul(slots, e) / np.maximum(rows, 1.0)[:, :, None]
    residual = own - np.matmul(cycle.shares[known], e)  # [known, hours, K]
    square = _means(cycle.mean()[known], e * e)
    variance = np.maximum(square - usual**2, 1e-300)
    waves = _waves(np.arange(0.5, rows.shape[1]), rows.shape[1])
    centred = waves[None] - np.einsum("lh,hj->lj", cycle.weights[known], waves)[:, None, :]
    normal = np.einsum("lhj,lh,lhi->lji", centred, rows, centred) + 1e-9 * np.eye(waves.shape[1])
    moment = np.einsum("lhj,lh,lhk->ljk", centred, rows, residual)
    found = np.linalg.solve(normal, moment)
    strength = np.einsum("ljk,ljk->lk", found, moment) / variance
    keep = np.maximum(1.0 - waves.shape[1] / np.maximum(strength, 1e-300), 0.0)
    coefficients = np.zeros((len(cycle.shares), waves.shape[1], found.shape[2]))
    coefficients[known] = found * keep[:, None, :]
    return Cycle(cycle.shares, cycle.weights, cycle.rows, coefficients)


def _waves(hours: Float64, slots: int) -> Float64:
    """[n, J] harmonics of the day, and of the week where slots are hours of the week, at times in hours."""
    periods = [24.0 / n for n in range(1, HARMONICS + 1)] + ([168.0, 84.0] if slots == 168 else [])
    angles = 2.0 * np.pi * np.asarray(hours, np.float64)[:, None] / np.array(periods)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def _means(shares: Float64, grown: Float64) -> Float64:
    """[L, K] mean of exp(w): shares [L, cells], ``grown`` [L or 1, cells, K]."""
    return np.asarray(np.matmul(shares[:, None, :], grown)[:, 0, :])


def _by_cell(slots: Float64, p: Float64) -> Float64:
    """[L, hours, cells] log of how much more of a cell's rows an hour has, the same for all segments."""
    expected = np.einsum("lh,lb->hb", slots.sum(axis=2), p[: len(slots)])
    profile = np.log((slots.sum(axis=0) + _PRIOR_ROWS) / (expected + _PRIOR_ROWS))
    return np.repeat(profile[None], len(p), axis=0)


def _by_rank(slots: Float64, p: Float64) -> Float64:
    """The same by rank: cells are laid over the ranks of their segment, where the profile is common to all segments."""
    upper = np.cumsum(p, axis=1)
    ends = np.linspace(0.0, 1.0, _RANKS + 1)
    overlap = np.minimum(upper[:, :, None], ends[1:]) - np.maximum((upper - p)[:, :, None], ends[:-1])
    part = np.maximum(overlap, 0.0) / np.maximum(p, 1e-300)[:, :, None]  # [L, cells, ranks] of a cell's rows
    found = np.einsum("lhb,lbg->hg", slots, part[: len(slots)])
    expected = np.repeat(slots.sum(axis=(0, 2))[:, None] / _RANKS, _RANKS, axis=1)
    profile = (found + _PRIOR_ROWS) / (expected + _PRIOR_ROWS)
    return np.asarray(np.log(np.maximum(np.einsum("lbg,hg->lhb", part, profile), 1e-6)))


def _balanced(shares: Float64, p: Float64, weights: Float64) -> Float64:
    """Shares [L, hours, cells] scaled so that their mean over the hours is p [L, cells] (iterative proportional fitting)."""
    for _ in range(_BALANCING):
        mean = (weights[:, :, None] * shares).sum(axis=1)
        shares = shares * (p / np.maximum(mean, 1e-300))[:, None, :]
        shares = shares / np.maximum(shares.sum(axis=2, keepdims=True), 1e-300)
    return np.asarray(shares)


def _cycled(p: Float64, profile: Float64, strength: Float64) -> Float64:
    grown = p[:, None, :] * np.exp(strength[:, None, None] * profile)
    return np.asarray(grown / np.maximum(grown.sum(axis=2, keepdims=True), 1e-300))


def _strengths(slots: Float64, p: Float64, profile: Float64) -> Float64:
    """Maximum likelihood of each segment's strength, by Newton's method from 1, kept within [-2, 3]."""
    strength = np.ones(len(slots))
    rows = slots.sum(axis=2)
    for _ in range(8):
        shares = _cycled(p, profile, strength)
        mean = (shares * profile).sum(axis=2)
        slope = (slots * profile).sum(axis=(1, 2)) - (rows * mean).sum(axis=1)
        curvature = (rows * ((shares * profile**2).sum(axis=2) - mean**2)).sum(axis=1)
        strength = np.clip(strength + slope / np.maximum(curvature, 1e-9), -2.0, 3.0)
    return np.asarray(strength)


def quarter_of(time_ms: NDArray[np.int64], hours: int) -> NDArray[np.int64]:
    """Quarter of an hour of each time within the day (``hours`` 24) or the week (168); 0 where no cycle can be known (1).

    >>> quarter_of(np.array([0, 4 * 86_400_000 + 900_000]), 168).tolist()  # 1970 began on a Thursday
    [288, 1]
    """
    if hours == 1:
        return np.zeros(len(time_ms), np.int64)
    return slot_of(time_ms, hours) * QUARTERS + time_ms // (HOUR_MS // QUARTERS) % QUARTERS
