"""Evidence that holds at any time, about sums of bounded terms whose means are not what was claimed.

A term X lies in an interval of length 1 at most, and a forecast of it was made before it was seen. Then, with S the sum of X less their
means, V the sum of (X - forecast)², and any λ in [0, 1),

    exp(λ S - V ψ(λ)),    ψ(λ) = -log(1 - λ) - λ

is a supermartingale that starts at 1 (Fan, Grama and Liu, 2015; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49, 2021, theorem 4 and appendix A.8). So is any mixture of it over λ, fixed
beforehand. By Ville's inequality the mixture ever reaches 1/α with probability α at most: one may look after every row, stop when one
likes, or go on. The terms' means may change on the way, and their spread need not be known.

The mixture is over powers of 1.5, so that small and large differences are found about as fast as if one had been told which. The larger
half has equal weights, smaller ones less and less: a rollout is decided within some thousands of rows, not millions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LAMBDAS: Float64 = 0.9 * 1.5 ** -np.arange(18.0)
"""The best one after a sum V of squares is about sqrt(2 log(1/α) / V): these suit V from 5 to 10 million."""

_WEIGHTS: Float64 = 1 / np.maximum(np.arange(len(LAMBDAS)) - 3.0, 1.0)
WEIGHTS: Float64 = _WEIGHTS / _WEIGHTS.sum()
_LOG_WEIGHTS = np.log(WEIGHTS)
_PSI = -np.log1p(-LAMBDAS) - LAMBDAS
_ROUNDS = 60  # halvings of an interval


def log_evidence(total: Float64, squares: Float64) -> Float64:
    """[...] logarithm of the mixture against "the sum of the terms' means is 0 or less"; ``total`` S and ``squares`` V, [...] each.

    >>> round(float(log_evidence(np.array(0.0), np.array(0.0))), 12)
    0.0
    """
    terms = total[..., None] * LAMBDAS - squares[..., None] * _PSI + _LOG_WEIGHTS
    top = terms.max(axis=-1)
    return np.asarray(top + np.log(np.exp(terms - top[..., None]).sum(axis=-1)))


def reach(squares: Float64, log_threshold: float) -> Float64:
    """[...] the smallest sum S at which the evidence is ``log_threshold``, to within rounding and never below."""
    spread = squares[..., None] * _PSI
    low = ((log_threshold + spread) / LAMBDAS).min(axis=-1)
    high = ((log_threshold - _LOG_WEIGHTS + spread) / LAMBDAS).min(axis=-1)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        enough = log_evidence(middle, squares) >= log_threshold
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)


def confidence(evidence: Float64) -> Float64:
    """[...] of ``log_evidence``, 1 - 1/evidence and not below 0: a false claim ever gets as much as c with probability 1 - c at most."""
    return np.asarray(-np.expm1(-np.maximum(evidence, 0.0)))


def discoveries(evidence: Float64, level: float) -> NDArray[np.bool_]:
    """[k] which of k claims hold, so that at most the share ``level`` of those named is false in the mean, whatever they have in common.

    The e-BH procedure (Wang and Ramdas, "False discovery rate control with e-values", JRSS B 84, 2022): the most claims i such that each
    of them has evidence of at least k / (level i).
    """
    count = len(evidence)
    order = np.argsort(-evidence, kind="stable")
    needed = np.log(max(count, 1)) - np.log(level) - np.log(np.arange(1, count + 1))
    enough = np.flatnonzero(evidence[order] >= needed)
    found = np.zeros(count, np.bool_)
    found[order[: enough[-1] + 1 if len(enough) else 0]] = True
    return found
