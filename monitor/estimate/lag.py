"""Whether wrong predictions are labelled sooner or later than right ones, and what that does to the labels that have come so far.

    log odds(wrong | prediction, lag in bin l) = log odds(wrong | prediction) + effect[l] - neutral

With f(l | right) and f(l | wrong) the shares of lags among predictions that are right and wrong, Bayes' rule gives
effect[l] - neutral = log f(l | wrong) / f(l | right), hence neutral = log sum_l f(l | right) exp(effect[l]); it may differ between
strata, whose lags may.

The effects are learnt from predictions of the same pane, labelled after different lags: a drift moves all of a pane's labels alike and
does not enter. They follow a random walk with a trend over the bins, whose step is weighed by its likelihood; so a bin not seen yet goes on
from the last one, with a variance. The shares of lags follow from the labels that came by the product-limit estimate for data cut
off on the right (Lynden-Bell, 1971): a pane tells of a bin only when all labels with lags of the bin can have come. One more bin stands
for the lags that no pane is old enough for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_STEPS = np.array([0.003, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0])
"""Standard deviations a step of the walk may have, in log odds. The first is no effect; beforehand it is as probable as all the rest."""

_TREND = 0.2
"""Share of the variance of a step that all steps have in common: labels of delays that differ by a factor show a straight trend."""

_BORROWED = 50.0
"""Labels that a stratum must have for its own lags to weigh as much as everyone's."""

_NOTHING = 1e-9

_BEYOND = 2.0
"""Steps of the walk from the last bin with labels to the lags beyond."""

_LEVEL_SD = 3.0  # of the walk as a whole: hardly a restriction, ``neutral`` takes it out again


@dataclass(frozen=True, eq=False)
class LagEffect:
    """Effects of L lag bins and of the lags beyond, the first being zero; J strata."""

    effect: Float64  # [L + 1]
    covariance: Float64  # [L + 1, L + 1]
    right: Float64  # [J, L + 1] shares of lags in the end among predictions that are right

    @property
    def neutral(self) -> Float64:
        """[J] what the effects add to the odds of being wrong over all lags."""
        met = self._met
        top = met.max(axis=1)
        return np.asarray(top + np.log((self.right * np.exp(met - top[:, None])).sum(axis=1)))

    @property
    def wrong(self) -> Float64:
        """[J, L + 1] shares of lags among predictions that are wrong: how far ``neutral`` moves with each effect."""
        return np.asarray(self.right * np.exp(self._met - self.neutral[:, None]))

    @property
    def _met(self) -> Float64:
        """[J, L + 1] the effects of lags that right predictions have; of others, however large, nothing may come."""
        return np.where(self.right > 0, self.effect, -np.inf)

    def behind(self, lag: Int64, fraction: Float64, stratum: Int64) -> Float64:
        """[K] how far before the middle of their bins labels lie of which only the first ``fraction`` can have come, in bins."""
        a = leaning(self.right)[stratum, lag]
        rest = 1 - a
        middle = (a / 2 + 2 * rest * fraction / 3) / np.maximum(a + rest * fraction, _NOTHING) * fraction
        return np.asarray(a / 2 + 2 * rest / 3 - middle)

    def of(self, lag: Int64, behind: Float64) -> Float64:
        """[K] effects of labels in bins ``lag`` that lie so far ``behind`` the middle. Effects are taken to run straight between bins."""
        slope = np.zeros(len(self.effect))
        slope[1:-1] = (self.effect[2:] - self.effect[:-2]) / 2
        return np.asarray(self.effect[lag] - slope[lag] * behind)

    def variance(self, sensitivity: Float64) -> float:
        """Variance of an estimate that moves by ``sensitivity`` [L + 1] with the effects."""
        return float(sensitivity @ self.covariance @ sensitivity)


def no_effect(right: Float64) -> LagEffect:
    """Labels come as late for wrong predictions as for right ones."""
    size = right.shape[1]
    return LagEffect(np.zeros(size), np.zeros((size, size)), right)


def bin_fractions(age_ms: Float64, edges_ms: Float64) -> Float64:
    """[T, L] how much of each lag bin panes of these ages have been through, on the scale of log lag; 1 for the bins at the ends."""
    fraction = np.ones((len(age_ms), len(edges_ms) + 1))
    lower, upper = np.log(np.maximum(edges_ms[:-1], 1.0)), np.log(np.maximum(edges_ms[1:], 1.0))
    through = (np.log(np.maximum(age_ms, 1.0))[:, None] - lower) / np.maximum(upper - lower, 1e-9)
    fraction[:, 1:-1] = np.clip(through, 0.0, 1.0)
    fraction[:, -1] = age_ms >= edges_ms[-1]
    return fraction


def leaning(share: Float64) -> Float64:
    """[J, L] density of lags at the beginning of each bin, its mean being 1 (so that it ends at 2 less that); ``share`` [J, L + 1].

    The density runs straight within a bin (on the scale of log lag), from the mean of its neighbour's and its own to the next such mean.
    """
    before = np.concatenate([np.zeros((len(share), 1)), share[:, :-2]], axis=1)
    first, last = before + share[:, :-1], share[:, :-1] + share[:, 1:]
    both = first + last
    return np.asarray(np.where(both > 0, 2 * first / np.where(both > 0, both, 1.0), 1.0))


def still_ahead(share: Float64, fraction: Float64) -> Float64:
    """[T, J] share of lags beyond what panes have been through, from ``share`` [J, L + 1] and ``fraction`` [T, L]."""
    a = leaning(share)
    return np.asarray(1 - fraction @ (share[:, :-1] * a).T - fraction**2 @ (share[:, :-1] * (1 - a)).T)


def lag_shares(right: Float64, labelled: Float64, predicted: Float64, age_ms: Float64, edges_ms: Float64) -> Float64:
    """[J, L + 1] shares of lags in the end among right predictions, from the right ones [T, J, L], all labels [T, L] and predictions [T]
    by pane.

    ``age_ms`` [T] is how long each pane has been waiting at least. Lags beyond the oldest pane's age are guessed: bins go on falling as
    the last two seen in full did, or, while they still rise, hold as many labels as there are predictions without one (their number is
    never exceeded). Small strata follow all labels.
    """
    lags = right.shape[2]
    complete = age_ms[:, None] >= np.append(edges_ms, np.inf)  # [T, L]
    pooled = right.sum(axis=1)
    # Of a bin tell those panes that are through it and have labels.
    told = [lag for lag in range(lags) if pooled[complete[:, lag], : lag + 1].any()]
    if not told:
        # Not even the shortest lags are known in full: what has come so far stands for the beginning of a long line.
        ahead = max(float(predicted.sum() - labelled.sum()), 0.0)
        return np.repeat(_shares(np.append(pooled.sum(axis=0), ahead))[None], right.shape[1], axis=0)
    last = told[-1]
    share, remaining = np.zeros((right.shape[1], lags + 1)), np.ones(right.shape[1])
    for lag in range(last, -1, -1):
        through = complete[:, lag]
        in_bin, up_to = right[through, :, lag].sum(axis=0), right[through, :, : lag + 1].sum(axis=(0, 2))
        whole = (in_bin.sum() + 1e-9) / (up_to.sum() + 1e-9)
        share[:, lag] = remaining * (in_bin + _BORROWED * whole) / (up_to + _BORROWED) if lag else remaining
        remaining = remaining - share[:, lag]
    through = complete[:, last]
    come = float(labelled[through, : last + 1].sum())
    beyond = max(float(predicted[through].sum()) - come, 0.0) / max(come, 1.0)
    before = share[:, max(last - 1, 0)]
    falls = np.minimum(share[:, last] / np.maximum(before, 1e-12), 0.99)
    tail = np.minimum(share[:, last] * falls / (1 - falls), beyond)
    return _shares(np.concatenate([share[:, :lags], tail[:, None]], axis=1))


def _shares(weights: Float64) -> Float64:
    whole = weights.sum(axis=-1, keepdims=True)
    return np.asarray(np.where(whole > 0, weights / np.maximum(whole, 1e-300), 1 / weights.shape[-1]))


def lag_effect(score: Float64, information: Float64, at: Float64, right: Float64) -> LagEffect:
    """Effects from observed minus expected wrong rows, ``score`` [T, L], and their variance ``information``, at effects ``at`` [L + 1]."""
    lags = score.shape[1]
    by_pane = np.maximum(information.sum(axis=1), 1e-12)
    a, b = np.zeros((lags + 1, lags + 1)), np.zeros(lags + 1)
    a[:lags, :lags] = np.diag(information.sum(axis=0)) - information.T @ (information / by_pane[:, None])
    b[:lags] = (score - information * (score.sum(axis=1) / by_pane)[:, None]).sum(axis=0)
    # What a step of Newton's from ``at`` would aim at, had the walk no prior.
    b = b + a @ at
    position = np.arange(lags + 1.0)
    position[lags] = _BEYOND + max(np.flatnonzero(information.any(axis=0)), default=0)
    ahead = position - min(np.flatnonzero(information.any(axis=0)), default=0)
    shape = (1 - _TREND) * np.minimum(position[:, None], position) + _TREND * np.outer(ahead, ahead)
    weights, means, covariances = np.zeros(len(_STEPS)), [], []
    for place, step in enumerate(_STEPS):
        walk = _LEVEL_SD**2 + step**2 * shape
        middle = np.eye(lags + 1) + a @ walk
        mean = walk @ np.linalg.solve(middle, b)
        weights[place] = 0.5 * float(b @ mean) - 0.5 * float(np.linalg.slogdet(middle)[1])
        # Only differences of effects mean anything: taken from the first, they do not carry the walk's vague level.
        means.append(mean - mean[0])
        covariances.append(_differences(walk @ np.linalg.inv(middle)))
    weights[1:] -= np.log(len(_STEPS) - 1)
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    effect = np.tensordot(weights, means, 1)
    spread = np.array(means) - effect
    covariance = np.tensordot(weights, covariances, 1) + np.einsum("k,ki,kj->ij", weights, spread, spread)
    return LagEffect(effect, covariance, right)


def _differences(covariance: Float64) -> Float64:
    """Covariance of the differences to the first."""
    return np.asarray(covariance - covariance[0] - covariance[:, :1] + covariance[0, 0])
