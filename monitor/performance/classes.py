"""Metrics of the confusion table, for every segment and class.

Tables are [G, P, T]: rows predicted as p that turned out to be t. P has one cell more than there are classes, for predictions
that are none of them; those are wrong whatever the truth. Undefined is NaN: the precision of a class that was never
predicted is unknown, not 0.

    precision   of the rows predicted as the class, the share that is it
    recall      of the rows that are the class, the share predicted as it
    F1          2 TP / (2 TP + FP + FN). It is 2J / (1 + J) of the Jaccard share J = TP / (TP + FP + FN), and rises with it: the
                ends of J's Wilson interval, mapped, are its interval (given how many rows the class takes part in)
    accuracy    share of rows predicted right
    balanced accuracy   mean recall of the classes that occur; interval by the square-and-add rule
    label rate  share of rows that are the class
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.performance.interval import Estimate, average, wilson

Int64 = NDArray[np.int64]


def hits(confusion: Int64) -> Int64:
    """[G, C] rows of each class predicted as it."""
    classes = confusion.shape[2]
    return np.asarray(np.diagonal(confusion[:, :classes], axis1=1, axis2=2))


def has_classes(confusion: Int64) -> NDArray[np.bool_]:
    """[G] whether any prediction named a class: without one, nothing can be said about right and wrong."""
    return np.asarray(confusion[:, :-1].sum(axis=(1, 2)) > 0)


def accuracy(right_wrong: Int64, z: float) -> Estimate:
    """[G] share of rows predicted right, from [G, 2] rows right and wrong."""
    return wilson(right_wrong[:, 0], right_wrong.sum(axis=1), z)


def precision(confusion: Int64, z: float) -> Estimate:
    """[G, C]."""
    return wilson(hits(confusion), confusion[:, :-1].sum(axis=2), z)


def recall(confusion: Int64, z: float) -> Estimate:
    """[G, C]."""
    return wilson(hits(confusion), confusion.sum(axis=1), z).where(has_classes(confusion)[:, None])


def f1(confusion: Int64, z: float) -> Estimate:
    """[G, C]; n is the rows that are the class, were predicted as it, or both."""
    right = hits(confusion)
    either = confusion[:, :-1].sum(axis=2) + confusion.sum(axis=1) - right
    jaccard = wilson(right, either, z).where(has_classes(confusion)[:, None])
    return jaccard.mapped(lambda share: 2 * share / (1 + share))


def balanced_accuracy(confusion: Int64, z: float) -> Estimate:
    """[G] mean recall of the classes that occur."""
    occurs = confusion.sum(axis=1) > 0
    return average(recall(confusion, z), occurs & has_classes(confusion)[:, None], axis=1)


def label_rate(labelled: Int64, z: float) -> Estimate:
    """[G, C] share of the rows that are the class, from [G, C] labelled rows."""
    return wilson(labelled, np.broadcast_to(labelled.sum(axis=1, keepdims=True), labelled.shape), z)
