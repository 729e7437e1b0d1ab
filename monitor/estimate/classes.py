"""Precision, recall, F1 and cost of a binary classifier without labels.

A wrong prediction of the positive class is a false positive, one of the negative class a false negative; how many were predicted positive
is known. So all cells of the confusion table follow from the wrong predictions by class, and so do the metrics; their variance by the
delta method, with the level that both have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from monitor.estimate.estimate import Wrong

Float64 = NDArray[np.float64]

NEGATIVE, POSITIVE = 0, 1


@dataclass(frozen=True)
class Costs:
    """What one prediction costs."""

    false_positive: float = 1.0
    false_negative: float = 1.0
    true_positive: float = 0.0
    true_negative: float = 0.0


@dataclass(frozen=True, eq=False)
class Interval:
    """[N] each: ALL first, then the segments. NaN: undefined, such as the precision where nothing was predicted positive."""

    value: Float64
    low: Float64
    high: Float64


def class_metrics(wrong: Wrong, costs: Costs | None = None, interval: float = 0.95) -> dict[str, Interval]:
    """``precision``, ``recall``, ``f1`` of the positive class, its share ``label_rate``, and ``cost`` per prediction.

    ``wrong`` must be of predicted classes 0 and 1; raises ``ValueError`` for others.
    """
    if wrong.n.shape[1] > 2 and wrong.n[:, 2:].any():
        raise ValueError(f"expected predicted classes 0 (negative) and 1 (positive), got {wrong.n.shape[1]} classes")
    z = NormalDist().inv_cdf(0.5 + interval / 2)
    costs = costs or Costs()
    pad = np.zeros((len(wrong.n), max(2 - wrong.n.shape[1], 0)))
    n, expected, known, sensitivity, chance = (
        np.hstack([x, pad])[:, :2] for x in (wrong.n, wrong.expected, wrong.known, wrong.sensitivity, wrong.chance)
    )
    negatives, positives = n[:, NEGATIVE], n[:, POSITIVE]
    whole = known + expected
    fn, fp = whole[:, NEGATIVE], whole[:, POSITIVE]
    tp, truly = positives - fp, positives - fp + fn
    either = 2 * positives - fp + fn
    rows = negatives + positives

    with np.errstate(divide="ignore", invalid="ignore"):
        # Value, and slopes along false negatives and false positives.
        found = {
            "precision": (tp / positives, 0.0 * fn, -1 / positives, (0.0, 1.0)),
            "recall": (tp / truly, -tp / truly**2, -fn / truly**2, (0.0, 1.0)),
            "f1": (2 * tp / either, -2 * tp / either**2, (2 * tp - 2 * either) / either**2, (0.0, 1.0)),
            "label_rate": (truly / rows, 1 / rows, -1 / rows, (0.0, 1.0)),
            "cost": (
                (costs.false_positive * fp + costs.true_positive * tp + costs.false_negative * fn
                 + costs.true_negative * (negatives - fn)) / rows,
                (costs.false_negative - costs.true_negative) / rows,
                (costs.false_positive - costs.true_positive) / rows,
                (-np.inf, np.inf),
            ),
        }  # fmt: skip
        whole_sensitivity = np.maximum(sensitivity.sum(axis=1), 1e-12)
        result = {}
        for name, (value, along_fn, along_fp, (least, most)) in found.items():
            slope = np.stack([along_fn, along_fp], axis=1)
            moved = (slope * sensitivity).sum(axis=1)
            variance = (slope**2 * chance).sum(axis=1) + wrong.level * moved**2
            # Other causes move the classes as they move with the level.
            variance = variance + wrong.other * ((slope**2 * sensitivity).sum(axis=1) / whole_sensitivity)
            half = z * np.sqrt(variance)
            result[name] = Interval(value, np.maximum(value - half, least), np.minimum(value + half, most))
    return result
