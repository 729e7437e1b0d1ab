"""Some ids of each failure mode, taken where labels are applied: pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.join.join import Applied
from monitor.join.record import Records, Source
from monitor.join.state import LabelState
from monitor.performance.backlog import Backlog, with_samples, without_samples
from monitor.performance.failure_modes import rows_of_modes, wrong_rows


def sampled(backlog: Backlog, labels: LabelState, groupings: Sequence[tuple[str, ...]], applied: Applied) -> Backlog:
    """The backlog with ids of the mistakes that labels have just shown, and without those that they took back.

    Labels of the review queue and of the audit sample count in no mode, so they show none here.
    """
    if not backlog:
        return backlog
    modes = dict(backlog)
    touched = applied.touched
    for records, change in ((touched.before_effective, without_samples), (touched.after_effective, with_samples)):
        for id_, at in _mistakes(modes, labels, groupings, applied, records):
            modes[id_] = change(modes[id_], applied.texts[at].tolist())
    return modes


def _mistakes(
    modes: Backlog, labels: LabelState, groupings: Sequence[tuple[str, ...]], applied: Applied, records: Records
) -> list[tuple[str, NDArray[np.intp]]]:
    """Modes, and which of the predictions are of each."""
    organic = records.where(records.rows["source"] == Source.ORGANIC)
    rows, found = applied.touched.predictions.rows[organic.subject], []
    for number in np.unique(rows["version"]).tolist():
        layout = labels.outcomes_of(labels.version_names[number]).layout
        mine = np.flatnonzero(rows["version"] == number)
        at, predicted, truth = wrong_rows(layout, rows[mine], organic.rows["value"][mine].astype(np.float64))
        wrong = mine[at]
        if not len(wrong):
            continue
        combination = rows["combination"][wrong]
        segments = [np.array(labels.combinations.keys(grouping))[combination] for grouping in groupings]
        of_modes = rows_of_modes([mode.key for mode in modes.values()], layout, segments, predicted, truth)
        subject = organic.subject[wrong]
        found += [(id_, subject[at]) for id_, at in zip(modes, of_modes, strict=True) if len(at)]
    return found
