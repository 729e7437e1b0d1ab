"""Error and label rates, from labels that come late: evidence by the time of the *prediction*, given how late the label was.

    P(wrong | lag) does not change without drift, even when wrong answers are labelled sooner: psi depends on the lag.
    A change begins at a prediction. So each start nu collects the labels of predictions from nu on, whenever they arrive:

        R_k = sum over nu of exp( sum of dS_k over labels of predictions made since nu )

    and labels of older predictions, which arrive among them for days, do not dilute it. In order of arrival every label's
    factor has mean at most 1 given what came before, for each nu; so E[R] is at most the number of predictions, as for other streams.

Starts are kept in buckets of prediction time that widen with age. A bucket holds the sum A of its starts' evidence and the evidence E
of its labels; R is a sum over buckets of A times exp of what younger buckets hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.config.detection import Detection
from monitor.detect import directions
from monitor.detect.directions import Direction
from monitor.detect.leaves import LEAST_ROWS, Leaves
from monitor.detect.null import null_of, sampling_error
from monitor.reference.reference import Reference
from monitor.segment import ALL

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

FINE_MS = 600_000  # width of the youngest buckets
WIDENING = 5  # a bucket is at most a fifth of its age wide
MAX_BUCKETS = 64
SUBSLOTS = 2  # each lag bin of the reference is parted into so many slots, between which the rate is interpolated

_MOST = 1e100
_MOST_STEP = 60.0
_LEAST_LAG_MS = 60_000


@dataclass(eq=False)
class Outcome:
    """One rate, such as that of wrong answers, in S streams of L leaves, K directions. State: 2 K doubles a bucket and stream."""

    kind: str  # "error" or "label"
    leaves: Leaves
    directions: tuple[Direction, ...]
    weights: Float64  # [K]
    ratios: Float64  # [2, K] w of no and of yes
    psi: Float64  # [L, slots, K]
    sampling: Float64  # [S, K]
    judged: NDArray[np.bool_]  # [L] leaves with labels enough in the reference
    phi: float
    expected: Float64  # [L, slots] rate in the reference
    rows: Float64  # [L] labels in the reference
    starts: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))  # [G] first fine bucket of each bucket
    collected: Float64 = field(init=False)  # [G, S, K] A
    gained: Float64 = field(init=False)  # [G, S, K] E
    tally: Float64 = field(init=False)  # [G, S, 3] labels, those that are wrong (or positive), and how many were expected to be

    def __post_init__(self) -> None:
        self.collected = np.zeros((0, len(self.leaves.streams), len(self.weights)))
        self.gained = np.zeros_like(self.collected)
        self.tally = np.zeros((0, len(self.leaves.streams), 3))
        self.belongs = self.leaves.belongs()

    def begin(self, fine: int, predictions: Float64) -> None:
        """Add starts: ``predictions`` [S] made in a fine bucket, none of which was added before."""
        bucket = self._bucket(fine)
        self.collected[bucket] += predictions[:, None]

    def update(self, fine: Int64, n: Float64, yes: Float64, newest: int) -> Float64:
        """Take the labels of a pane; returns M [S].

        ``fine`` [B] distinct fine buckets of their predictions, rising; ``n``, ``yes`` [B, L, slots] labels and those that are
        wrong (or positive); ``newest`` the fine bucket of the pane's end.
        """
        # A pane has labels of a few leaves: what the others add is nothing, and would be most of the work.
        active = np.flatnonzero(self.judged & n.any(axis=(0, 2)))
        n, yes, belongs = n[:, active], yes[:, active], self.belongs[active]
        leaf = (n - yes).sum(axis=2)[:, :, None] * self.ratios[0] + yes.sum(axis=2)[:, :, None] * self.ratios[1]
        leaf -= np.einsum("bls,lsk->blk", n, self.psi[active])
        rows = n.sum(axis=2)
        found = np.stack([rows, yes.sum(axis=2), np.einsum("bls,ls->bl", n, self.expected[active])], axis=2)
        buckets = np.array([self._bucket(number) for number in fine.tolist()], np.intp)
        labels = rows @ belongs
        step = np.einsum("blk,ls->bsk", leaf, belongs) - labels[:, :, None] * self.sampling
        step = np.minimum(step / self.phi, _MOST_STEP)
        np.add.at(self.gained, buckets, step)
        np.multiply.at(self.collected, buckets, np.exp(step))
        np.add.at(self.tally, buckets, np.einsum("blc,ls->bsc", found, belongs))
        np.minimum(self.collected, _MOST, out=self.collected)
        self._widen(newest)
        return np.asarray((self._evidence().sum(axis=0) * self.weights).sum(axis=1))

    def _evidence(self) -> Float64:
        """[G, S, K] the part of R that began in each bucket."""
        since = np.cumsum(self.gained[::-1], axis=0)[::-1] - self.gained  # of younger buckets
        return np.asarray(np.minimum(self.collected * np.exp(np.clip(since, -700.0, 200.0)), _MOST))

    def now(self) -> Float64:
        """[S] M of every stream."""
        return np.asarray((self._evidence().sum(axis=0) * self.weights).sum(axis=1))

    def leading(self, stream: int) -> tuple[Direction, float]:
        """The direction with the most evidence, and the estimated start as a fine bucket."""
        share = self._evidence()[:, stream] * self.weights
        ends = np.append(self.starts[1:], self.starts[-1] + 1)
        middle = (self.starts + ends) / 2.0
        return self.directions[int(share.sum(axis=0).argmax())], float((share.sum(axis=1) * middle).sum() / max(share.sum(), 1e-300))

    def since(self, stream: int, fine: float) -> Float64:
        """[3] labels of predictions from about a fine bucket on, those wrong (or positive), and how many were expected to be."""
        ends = np.append(self.starts[1:], self.starts[-1] + 1)
        return np.asarray(self.tally[(self.starts + ends) / 2.0 >= min(fine, float(self.starts[-1]))][:, stream].sum(axis=0))

    def forget(self, stream: int) -> None:
        """Start the evidence of one stream anew."""
        self.collected[:, stream] = self.gained[:, stream] = 0.0

    def _bucket(self, fine: int) -> int:
        """Place of the bucket that a fine bucket belongs to, made when it is younger than all others."""
        if not len(self.starts) or fine > self.starts[-1]:
            self.starts = np.append(self.starts, fine)
            empty = np.zeros((1, *self.collected.shape[1:]))
            self.collected, self.gained = np.concatenate([self.collected, empty]), np.concatenate([self.gained, empty])
            self.tally = np.concatenate([self.tally, np.zeros((1, *self.tally.shape[1:]))])
            return len(self.starts) - 1
        return max(int(np.searchsorted(self.starts, fine, side="right")) - 1, 0)

    def _widen(self, newest: int) -> None:
        """Join neighbours that together are no wider than a part of their age, oldest first."""
        place = 0
        while place + 2 < len(self.starts):
            end = int(self.starts[place + 2])
            if end - self.starts[place] <= (newest - end) / WIDENING or len(self.starts) > MAX_BUCKETS:
                grown = np.exp(np.minimum(self.gained[place + 1], 200.0))
                self.collected[place + 1] += np.minimum(self.collected[place] * grown, _MOST)
                self.gained[place + 1] += self.gained[place]
                self.tally[place + 1] += self.tally[place]
                self.tally = np.delete(self.tally, place, axis=0)
                self.starts[place + 1] = self.starts[place]
                self.starts = np.delete(self.starts, place)
                self.collected, self.gained = np.delete(self.collected, place, axis=0), np.delete(self.gained, place, axis=0)
            else:
                place += 1


def joined(waiting: Mapping[int, Float64]) -> dict[int, Float64]:
    """Predictions by fine bucket, [S] each, in fewer buckets: neighbours that together are no wider than a part of their age are one."""
    newest, found, at = max(waiting), dict[int, Float64](), 0
    for fine in sorted(waiting):
        if found and fine + 1 - at <= (newest - fine) / WIDENING:
            found[at] = found[at] + waiting[fine]
        else:
            at, found[fine] = fine, waiting[fine]
    return found


def lag_edges(labels: dict[str, Any]) -> Int64:
    """[slots - 1] rising lags between which slots lie, in milliseconds; empty when the reference knows no lags."""
    lag = _lag_table(labels)
    if lag is None:
        return np.zeros(0, np.int64)
    edges = np.maximum(np.array(lag["edges_ms"], np.float64), 0.0) + _LEAST_LAG_MS
    between = [np.exp(np.linspace(np.log(a), np.log(b), SUBSLOTS, endpoint=False)) for a, b in itertools.pairwise(edges.tolist())]
    return np.asarray(np.rint(np.concatenate([*between, edges[-1:]]) - _LEAST_LAG_MS), np.int64)


def _lag_table(labels: dict[str, Any]) -> dict[str, Any] | None:
    """Outcomes by lag, in narrow bins where the reference has them."""
    return labels.get("fine_lag") or labels.get("lag")


def _slot_odds(labels: dict[str, Any], row: str) -> Float64:
    """[slots] factor on the odds of an outcome at each lag slot, relative to all labels."""
    lag = _lag_table(labels)
    if lag is None:
        return np.ones(1)
    n, yes = np.array(lag["labelled"], np.float64), np.array(lag[row], np.float64)
    rate = np.clip(yes.sum() / max(n.sum(), 1.0), 1e-6, 1 - 1e-6)
    prior = 50.0  # rows' worth of the overall rate in each bin
    local = (yes + prior * rate) / (n + prior)
    offset = np.log(local / (1 - local)) - np.log(rate / (1 - rate))
    edges = np.log(np.maximum(np.array(lag["edges_ms"], np.float64), 0.0) + _LEAST_LAG_MS)
    centres = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2.0, edges[-1:] + 0.5])
    fine = np.log(lag_edges(labels).astype(np.float64) + _LEAST_LAG_MS)
    middle = np.concatenate([fine[:1], (fine[1:] + fine[:-1]) / 2.0, fine[-1:] + 0.5])
    seen = n > 0
    return np.exp(np.interp(middle, centres[seen], offset[seen])) if seen.any() else np.ones(len(middle))


def outcomes_of(reference: Reference, leaves: Leaves, settings: Detection, log_threshold: float, phi: float) -> tuple[Outcome, ...]:
    """The outcomes that a reference has labels for: wrong answers, and positive labels of a binary model."""
    labels = reference.labels
    if labels is None or not leaves.leaves:
        return ()
    errors = labels["errors"]
    found = []
    for kind, row in (("error", "wrong"), ("label", "positive")):
        if errors[row] is None or not sum(map(sum, errors["labelled"])):
            continue
        found.append(_outcome(kind, row, labels, leaves, settings, log_threshold, phi))
    return tuple(found)


def _outcome(kind: str, row: str, labels: dict[str, Any], leaves: Leaves, settings: Detection, log_threshold: float, phi: float) -> Outcome:
    errors = labels["errors"]
    index = {key: place for place, key in enumerate(errors["segments"])}
    counts = np.array([[sum(errors["labelled"][p]) - sum(errors[row][p]), sum(errors[row][p])] for p in range(len(index))], np.int64)
    by_leaf = leaves.counts(index, counts).astype(np.float64)
    pool = counts[index[ALL]].astype(np.float64) if ALL in index else counts.sum(axis=0).astype(np.float64)
    pooled = ((pool + 0.5) / (pool.sum() + 1.0))[None]
    gate = settings.gate(kind, "outcome")
    bank = directions.outcomes(pooled, gate)
    judged = by_leaf.sum(axis=1) >= LEAST_ROWS
    null = null_of(by_leaf, bank, np.zeros(len(by_leaf)))
    sampling = np.stack(
        [
            sampling_error(
                null, members[judged[members]] if judged[members].any() else members, log_threshold, np.full(len(bank.weights), phi)
            )
            for members in leaves.members
        ]
    )
    odds = _slot_odds(labels, row)
    p = (by_leaf[:, 1] + pooled[0, 1]) / (by_leaf.sum(axis=1) + 1.0)
    at_slot = odds * p[:, None] / (1.0 + (odds - 1.0) * p[:, None])
    e = np.exp(bank.ratios[0])  # [K, 2]
    worst = np.full((len(by_leaf), len(odds), len(e)), -np.inf)
    for factor in (1.0, 1.0 + gate, 1.0 / (1.0 + gate)):
        q = factor * at_slot / (1.0 + (factor - 1.0) * at_slot)
        worst = np.maximum(worst, np.log((1.0 - q)[:, :, None] * e[:, 0] + q[:, :, None] * e[:, 1]))
    return Outcome(
        kind=kind, leaves=leaves, directions=bank.directions, weights=bank.weights, ratios=bank.ratios[0].T, psi=worst,
        sampling=sampling, judged=judged, phi=phi, expected=at_slot, rows=by_leaf.sum(axis=1),
    )  # fmt: skip
