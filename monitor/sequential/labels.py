"""From the join to the streams of errors and labels: the first label of each prediction counts, as it was when it came.

Labels of the review queue are left out: errors are over-represented among them, so they say nothing about a rate. Those of the audit
sample are left out as well: what is expected of a label depends on how late it is, and audits have delays of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.config import ModelConfig
from monitor.config.labels import Labels
from monitor.detect.alarm import Alarm
from monitor.join.join import Applied
from monitor.join.record import Source, effective
from monitor.join.state import LabelState
from monitor.reference.reference import Reference
from monitor.sequential.version import Sequential

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FirstLabels:
    """Predictions that have an organic label for the first time, one a row."""

    rows: NDArray[np.void]  # [n] of ``row_dtype``
    prediction_ms: Int64  # [n]
    label_ms: Int64  # [n]
    value: NDArray[np.float64]  # [n] class index


def first_labels(labels: LabelState, applied: Applied) -> FirstLabels:
    """Those among the predictions that a pane's labels touched."""
    touched = applied.touched
    had = np.zeros(len(touched.predictions), np.bool_)
    had[touched.before.subject[touched.before.rows["source"] == Source.ORGANIC]] = True
    organic = touched.after.where((touched.after.rows["source"] == Source.ORGANIC) & ~had[touched.after.subject])
    first = effective(organic, labels.ranks, labels.config.consensus)
    predictions = touched.predictions
    return FirstLabels(predictions.rows[first.subject], predictions.time_ms[first.subject], first.time_ms, first.rows["value"])


def judge_labels(watched: Mapping[str, Sequential], labels: LabelState, applied: Applied) -> Iterator[tuple[str, list[Alarm]]]:
    """Show the labels of a pane to the streams; yields versions and their new alarms."""
    names = [name for name, sequential in watched.items() if sequential.watch.outcomes]
    if not names or labels.config.task == "regression":
        return
    found = first_labels(labels, applied)
    end_ms = applied.time_ms + labels.clock.pane_ms
    for name in sorted(names):
        mine = _of_version(labels, name, found)
        if not len(mine):
            continue
        layout = labels.layout_of(name)
        value, predicted = found.value[mine], found.rows["predicted"][mine].astype(np.float64)
        wrong = (value != predicted) & (predicted < len(layout.classes))
        positive = value == positive_place(labels.config, watched[name].reference)
        outcomes = np.stack([np.ones(len(mine), np.bool_), wrong, positive])
        combination = found.rows["combination"][mine].astype(np.int64)
        alarms = watched[name].label(end_ms, labels.combinations, combination, found.prediction_ms[mine], found.label_ms[mine], outcomes)
        yield name, alarms


def _of_version(labels: LabelState, name: str, found: FirstLabels) -> NDArray[np.intp]:
    if name not in labels.version_names:
        return np.zeros(0, np.intp)
    return np.flatnonzero(found.rows["version"] == labels.version_names.index(name))


def positive_place(config: Labels, reference: Reference) -> int:
    """Index of the class that the reference calls positive; -1 when it is none of the configured classes."""
    named = None if reference.labels is None else reference.labels["positive"]
    return -1 if named is None else config.class_indices.get(named, -1)


def outcomes_told(config: ModelConfig, reference: Reference) -> frozenset[str]:
    """Which outcomes production tells as the reference counted them: errors where classes are predicted, labels where one is positive."""
    if config.labels is None or config.labels.task == "regression" or reference.labels is None:
        return frozenset()
    told = {"wrong"} if config.predictions.has_class else set()
    return frozenset(told | ({"positive"} if positive_place(config.labels, reference) >= 0 else set()))
