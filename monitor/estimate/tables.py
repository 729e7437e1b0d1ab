"""Error tables: how often a prediction is wrong, by segment and cell of the score, from the labelled rows of a reference.

    logit q[g, s] = a[s] + b[g]         a: each cell's level, b ~ N(0, tau²): each segment's shift
    e[g, s]       = (k + lambda q) / (N + lambda)

with k wrong of N rows in segment g and cell s. So a cell with many rows speaks for itself, one with few follows its segment, and
a segment with few rows follows all traffic. tau² and lambda say how much segments and cells really differ: they are moment estimates
from the same counts (empirical Bayes; DerSimonian and Laird, 1986, for tau², Kleinman, 1973, for lambda). The cells' levels are fitted so
that the table expects as many wrong rows in each cell as there were.

The table's own error has three parts, kept apart because they add up differently over segments: of the levels a (shared by all
segments), of the shifts b (shared by a segment's cells), and of each cell alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.profile.layout import FAULT_CELLS
from monitor.segment import ALL, parse_key

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_NEVER = 1e9  # lambda when cells differ by chance only
_LEAST_LAMBDA = 10.0
_ROUNDS = 12
_LEAST_RATE = 1e-4
_LARGEST_EXPONENT = 700.0  # of e that a double holds, about


def logit(p: Float64) -> Float64:
    """log p / (1 - p)."""
    return np.asarray(np.log(p) - np.log1p(-p))


def expit(x: Float64) -> Float64:
    """The inverse of ``logit``."""
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(-x, _LARGEST_EXPONENT))))


@dataclass(frozen=True, eq=False)
class ReferenceLags:
    """Labelled rows of the reference by lag and cell of the score: what lags are like before production's labels tell."""

    right: Int64  # [L, S]
    wrong: Int64  # [L, S]
    edges_ms: tuple[int, ...]  # of the L bins


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """Rates of wrong predictions [G, S] and their uncertainty."""

    segments: tuple[str, ...]  # [G]
    rate: Float64  # [G, S] e
    own_variance: Float64  # [G, S] of each cell alone
    slope: Float64  # [G, S] how far e moves with a[s] + b[g]
    level_covariance: Float64  # [S, S] of a
    level_share: Float64  # [G, S] how far b[g] falls when a[s] rises by one: the two share the same rows
    shift_variance: Float64  # [G] of b given a
    new_own: Float64  # [S] variance of a cell alone in a segment without rows
    new_logit: Float64  # [S] a, the rates of such a segment
    tau2: float
    rows: Float64  # [S] rows of the reference by cell
    lags: ReferenceLags | None = None  # None: the reference does not know when its labels came

    def at(self, segments: Sequence[str]) -> ErrorTable:
        """The table of these segments, in this order; a segment without rows in the reference has the rates of all traffic."""
        place = {key: row for row, key in enumerate(self.segments)}
        rows = np.array([place.get(key, -1) for key in segments], np.intp)
        known = (rows >= 0)[:, None]
        q = expit(self.new_logit)

        def pick(array: Float64, default: Float64) -> Float64:
            return np.where(known if array.ndim == 2 else known[:, 0], array[rows] if len(array) else default, default)

        return ErrorTable(
            tuple(segments),
            pick(self.rate, q),
            pick(self.own_variance, self.new_own),
            pick(self.slope, q * (1 - q)),
            self.level_covariance,
            pick(self.level_share, np.zeros(len(q))),
            pick(self.shift_variance, np.asarray(self.tau2)),
            self.new_own,
            self.new_logit,
            self.tau2,
            self.rows,
            self.lags,
        )

    def variance(self, weights: Float64) -> float:
        """Variance of the sum over all cells of ``weights`` [G, S] times e."""
        along = weights * self.slope
        by_shift = along.sum(axis=1)
        by_level = along.sum(axis=0) - by_shift @ self.level_share
        own = float((weights**2 * self.own_variance).sum())
        return own + float(by_level @ self.level_covariance @ by_level) + float(by_shift**2 @ self.shift_variance)

    def segment_variance(self, weights: Float64) -> Float64:
        """[G] variance of each segment's sum of ``weights`` [G, S] times e."""
        along = weights * self.slope
        by_shift = along.sum(axis=1)
        by_level = along - by_shift[:, None] * self.level_share
        own = (weights**2 * self.own_variance).sum(axis=1)
        return np.asarray(own + np.einsum("gs,st,gt->g", by_level, self.level_covariance, by_level) + by_shift**2 * self.shift_variance)


def error_table(segments: Sequence[str], labelled: Int64, wrong: Int64) -> ErrorTable:
    """The table of ``wrong`` among ``labelled`` rows, [G, S] each; segments share no row. Raises ``ValueError`` without labelled rows."""
    n, k = labelled.astype(np.float64), wrong.astype(np.float64)
    if n.shape != (len(segments), n.shape[-1]) or k.shape != n.shape:
        raise ValueError(f"expected counts [{len(segments)} segments, cells], got {labelled.shape} labelled and {wrong.shape} wrong")
    if not n.sum():
        raise ValueError("expected labelled rows to make an error table of, got none: was the reference built with --label?")
    prior = _cell_prior(n.sum(axis=0), k.sum(axis=0))
    level = logit((k.sum(axis=0) + prior) / (n.sum(axis=0) + 1))
    tau2 = _tau2(n, k, expit(level))
    level, shift = _fit(n, k, prior, level, tau2)
    q = expit(level + shift[:, None])
    spread = _lambda(n, k, q, tau2)
    weight = n / (n + spread)
    rate = np.clip((k + spread * q) / (n + spread), _LEAST_RATE, 1 - _LEAST_RATE)
    information = n * q * (1 - q)
    pooled = expit(level)
    by_segment = information.sum(axis=1) + (1 / tau2 if tau2 else np.inf)
    share = information / by_segment[:, None]
    # (1 - weight) of e moves with q; its root, because the cell's own rows, which make weight of e, also made q: over all rows the
    # parts then add up to the binomial variance of the total.
    slope = q * (1 - q) * np.sqrt(1 - weight)
    by_cell = np.diag(information.sum(axis=0) + pooled * (1 - pooled)) - information.T @ share
    return ErrorTable(
        tuple(segments),
        rate,
        rate * (1 - rate) / (n + spread + 1),
        slope,
        np.linalg.inv(by_cell),
        share,
        1 / by_segment,
        pooled * (1 - pooled) / (spread + 1),
        level,
        tau2,
        n.sum(axis=0),
    )


def reference_table(labels: Mapping[str, Any], grouping: tuple[str, ...], cells: int, *, same_score: bool = True) -> ErrorTable | None:
    """The table of one grouping (ALL for the empty one) from ``labels`` of a reference; None where its data had no predicted class.

    ``cells`` are those of the score that production is counted in. Where the reference has others (another number, or not ``same_score``)
    only its totals are used, as of rows without score.
    """
    errors = labels["errors"]
    if errors["wrong"] is None or not labels["rows"]:
        return None
    chosen = [i for i, key in enumerate(errors["segments"]) if (parse_key(key)[0] if key != ALL else ()) == grouping]
    if not chosen:
        return None
    labelled, wrong = (np.array(errors[name], np.int64)[chosen] for name in ("labelled", "wrong"))
    if labelled.shape[1] != cells or not same_score:
        labelled, wrong = (np.pad(table.sum(axis=1, keepdims=True), ((0, 0), (0, cells - 1))) for table in (labelled, wrong))
    return replace(
        error_table([errors["segments"][i] for i in chosen], labelled, wrong),
        lags=_reference_lags(labels["lag"], cells) if same_score else None,
    )


def _reference_lags(lag: Mapping[str, Any] | None, cells: int) -> ReferenceLags | None:
    if lag is None or lag.get("by_score") is None:
        return None
    labelled, wrong = (np.array(lag["by_score"][name], np.int64) for name in ("labelled", "wrong"))
    known = labelled.shape[1] == cells and labelled.any()
    return ReferenceLags(labelled - wrong, wrong, tuple(lag["edges_ms"])) if known else None


def _cell_prior(n: Float64, k: Float64) -> Float64:
    """[S] rate of the one row added to each cell: that of the cell and its neighbours, so that an empty cell is like those beside it."""
    everywhere = (k.sum() + 0.5) / (n.sum() + 1)  # Jeffreys's: a few rows without a mistake do not say that there are none
    near_n, near_k = n.copy(), k.copy()
    for array, near in ((n, near_n), (k, near_k)):
        near[FAULT_CELLS:-1] += array[FAULT_CELLS + 1 :]
        near[FAULT_CELLS + 1 :] += array[FAULT_CELLS:-1]
    return np.asarray(np.clip((near_k + everywhere) / (near_n + 1), _LEAST_RATE, 1 - _LEAST_RATE))


def _tau2(n: Float64, k: Float64, q: Float64) -> float:
    score = (k - n * q).sum(axis=1)
    information = (n * q * (1 - q)).sum(axis=1)
    seen = information > 0
    score, information = score[seen], information[seen]
    scale = information.sum() - (information**2).sum() / information.sum()
    return max(0.0, float(((score**2 / information).sum() - (len(score) - 1)) / scale)) if scale > 0 else 0.0


def _fit(n: Float64, k: Float64, prior: Float64, level: Float64, tau2: float) -> tuple[Float64, Float64]:
    """Levels [S] and shifts [G]: Newton's steps in turn."""
    shift = np.zeros(len(n))
    for _ in range(_ROUNDS):
        if tau2:
            q = expit(level + shift[:, None])
            score = (k - n * q).sum(axis=1) - shift / tau2
            shift = shift + score / ((n * q * (1 - q)).sum(axis=1) + 1 / tau2)
        q, pooled = expit(level + shift[:, None]), expit(level)
        score_of_cell = (k - n * q).sum(axis=0) + prior - pooled
        level = level + np.clip(score_of_cell / ((n * q * (1 - q)).sum(axis=0) + pooled * (1 - pooled)), -1, 1)
    return level, shift


def _lambda(n: Float64, k: Float64, q: Float64, tau2: float) -> float:
    """Rows that a segment's cell must have to weigh as much as its neighbours: large when cells follow a[s] + b[g]."""
    seen = int((n > 1).sum())
    fitted = n.shape[1] + (len(n) - 1 if tau2 else 0)
    if seen <= fitted:
        return _NEVER
    variance = n * q * (1 - q)
    # Fitting took away ``fitted`` of the residuals' freedom.
    excess = float(((k - n * q) ** 2).sum() * seen / (seen - fitted) - variance.sum())
    rho = excess / float((variance * (n - 1)).sum())
    return float(np.clip(1 / rho - 1, _LEAST_LAMBDA, _NEVER)) if rho > 0 else _NEVER
