"""Which model versions are counted apart, and which share ``__other__``: a rule about the log, not about who was read first.

As with segments there are two bounds. Within a partition's pane the first versions in log order are counted apart: enough for
every version that could get a place, and memory stays bounded. When the pane closes, versions with a reference and
those that had a place keep it, others enter in order of (rows, name) up to ``max_versions``, and the rest becomes ``__other__``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.batch import Batch
from monitor.profile.order import dense, first_rows
from monitor.profile.partition_panes import PartitionPanes
from monitor.segment import OTHER
from monitor.state import ModelState

_SPARE = 8
"""Versions without a reference that a partition's pane counts apart, beyond twice the cap."""


def names_apart(
    model: ModelState, batch: Batch, kept: NDArray[np.bool_], panes: PartitionPanes
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Names of versions, and [rows] index into them: those of the batch, but ``__other__`` where a partition's pane holds too many."""
    names, bound = batch.versions, 2 * model.config.max_versions + _SPARE
    if len({*names, *model.versions} - model.references.keys()) <= bound:
        return names, batch.version
    strange = np.array([name not in model.references for name in names])
    rows = np.flatnonzero(kept & strange[batch.version])
    pairs = panes.numbers[rows] * len(names) + batch.version[rows]
    group, distinct = dense(pairs, int(pairs.max(initial=0)) + 1)
    too_many = np.zeros(len(distinct), np.bool_)
    apart: dict[tuple[int, int], set[str]] = {}
    for index in np.argsort(first_rows(group, len(distinct))).tolist():
        pane, code = divmod(int(distinct[index]), len(names))
        at = panes.where(pane)
        if at not in apart:
            apart[at] = {name for name, version in model.versions.items() if at in version.open} - model.references.keys() - {OTHER}
        if names[code] in apart[at] or len(apart[at]) < bound:
            apart[at].add(names[code])
        else:
            too_many[index] = True
    version = batch.version.copy()
    version[rows[too_many[group]]] = len(names)
    return (*names, OTHER), version


def beyond_cap(model: ModelState, rows: Mapping[str, int]) -> list[str]:
    """Of the versions in a closing pane, given with their rows in it, those that get no place."""
    placed = {name for name, version in model.versions.items() if version.placed} | (rows.keys() & model.references.keys())
    strangers = sorted(rows.keys() - placed - {OTHER}, key=lambda name: (-rows[name], name))
    return strangers[max(0, model.config.max_versions - len(placed - {OTHER})) :]
