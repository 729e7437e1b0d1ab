"""A trial: which two versions are compared, since when, and what their kept panes say now.

What is compared is a pure function of the panes of predictions that are kept, labels as they are now. Only this is remembered beside them:
when each version was first seen, and when the trial began. The panes of a trial that goes on for longer than panes are kept cannot all be
looked at any more; then it begins anew. The first trial of two versions has nine tenths of the error that is allowed, and each further one
nine tenths of what is left, so that what is promised holds for all of them together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from monitor.canary.comparison import CanarySettings, Comparison, compare
from monitor.canary.losses import LossScale, PaneLosses, loss_scale, pane_losses
from monitor.canary.strata import strata
from monitor.config.canary import Canary
from monitor.join.record import version_order
from monitor.join.state import LabelState
from monitor.outcome.panes import OutcomePanes
from monitor.outcome.sparse import SparseCounts
from monitor.segment import OTHER

_SPENT = 0.9  # of the error that is left


@dataclass(frozen=True)
class Trial:
    """What is remembered. Panes are numbers of panes of outcomes."""

    seen: Mapping[str, int] = field(default_factory=dict)  # pane of the first prediction of each version that still has any
    champion: str | None = None
    candidate: str | None = None
    first_pane: int | None = None  # the first in which both served; None: not yet
    number: int = 1  # how many trials these two have had


@dataclass(frozen=True)
class CanaryResult:
    """The state of the test of one model; ``comparison`` is None until both versions have served in the same pane."""

    champion: str | None  # None: there are no two versions
    candidate: str | None
    settings: CanarySettings  # those of this trial
    since_ms: int | None = None  # start of the first pane in which both served
    end_ms: int = 0  # labels are applied up to here
    serving: bool = False  # whether both still make predictions
    number: int = 1  # of the trials of these two
    partial: bool = False  # this process does not read every partition
    comparison: Comparison | None = None


@dataclass(eq=False)
class CanaryState:
    """The trial of one model, and losses of panes that have not changed since they were summed up; only the trial is saved."""

    trial: Trial = field(default_factory=Trial)
    summed: dict[tuple[str, int], tuple[SparseCounts, PaneLosses]] = field(default_factory=dict)

    def to_values(self) -> dict[str, Any]:
        """What is saved."""
        trial = self.trial
        return {
            "seen": dict(trial.seen),
            "champion": trial.champion,
            "candidate": trial.candidate,
            "first_pane": trial.first_pane,
            "number": trial.number,
        }

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> CanaryState:
        """The inverse of ``to_values``."""
        return CanaryState(Trial(**values))


def judge_trial(
    state: CanaryState,
    labels: LabelState,
    config: Canary,
    end_ms: int,
    *,
    groupings: tuple[tuple[str, ...], ...],
    placed: Collection[str],
    max_segments: int,
    partial: bool,
    shown: bool = True,
    again: bool = False,
) -> CanaryResult:
    """Compare by the labels applied before ``end_ms``.

    Without ``shown`` the trial goes on and nothing is compared, since nothing else is decided by it. ``again`` shows a trial and leaves
    it as it is.
    """
    end_pane = end_ms // labels.config.pane_ms
    scale = loss_scale(config.metric, len(labels.config.class_names), labels.config.costs)
    losses = _losses(state, labels, scale, end_pane)
    if not again:
        state.trial = advanced(state.trial, config, losses, end_pane, _kept(labels))
    trial = state.trial
    error = (1 - config.confidence) * _SPENT * (1 - _SPENT) ** (trial.number - 1)
    settings = CanarySettings(config.margin, 1 - error, config.min_rows)
    result = CanaryResult(trial.champion, trial.candidate, settings, end_ms=end_ms, number=trial.number, partial=partial)
    if not shown or trial.champion is None or trial.candidate is None or trial.first_pane is None:
        return result
    sides = losses.get(trial.champion, {}), losses.get(trial.candidate, {})
    silent = end_pane - max(config.idle_after_ms // labels.config.pane_ms, 1)
    return replace(
        result,
        since_ms=trial.first_pane * labels.config.pane_ms,
        serving=all(max((pane for pane, each in side.items() if each.predictions), default=-1) >= silent for side in sides),
        comparison=_compared(labels, sides, trial.first_pane, end_pane, scale, settings, (((), *groupings), placed, max_segments)),
    )


def _kept(labels: LabelState) -> int:
    return min((counted.by_prediction.kept for counted in labels.versions.values()), default=0)


def _losses(state: CanaryState, labels: LabelState, scale: LossScale, end_pane: int) -> dict[str, dict[int, PaneLosses]]:
    """By version and pane of the predictions. Panes that have not changed are not summed again."""
    before, state.summed = state.summed, {}
    found: dict[str, dict[int, PaneLosses]] = {}
    for version, counted in labels.versions.items():
        if version == OTHER:
            continue
        panes: OutcomePanes = counted.by_prediction
        for number, counts in panes.settle().items():
            if number >= end_pane:
                continue  # read, and not its turn yet
            known = before.get((version, number))
            losses = known[1] if known is not None and known[0] is counts else pane_losses(counted.layout, counts, scale)
            state.summed[version, number] = counts, losses
            found.setdefault(version, {})[number] = losses
    return found


def advanced(trial: Trial, config: Canary, losses: Mapping[str, Mapping[int, PaneLosses]], end_pane: int, kept: int) -> Trial:
    """The trial at ``end_pane``; ``losses`` by version and pane, of which the newest ``kept`` are there."""
    served = {version: sorted(number for number, each in panes.items() if each.predictions) for version, panes in losses.items()}
    seen = {version: trial.seen.get(version, panes[0]) for version, panes in sorted(served.items()) if panes}
    champion, candidate = config.champion, config.candidate
    if champion is None:
        champion, candidate = _newest(seen)
    if (champion, candidate) != (trial.champion, trial.candidate):
        trial = Trial(seen, champion, candidate)
    trial = replace(trial, seen=seen)
    oldest = end_pane - kept
    if trial.first_pane is not None and trial.first_pane < oldest:
        return replace(trial, first_pane=end_pane, number=trial.number + 1)
    if trial.first_pane is None and champion in served and candidate in served:
        both = sorted(set(served[champion]) & set(served[candidate]))
        return replace(trial, first_pane=both[0]) if both else trial
    return trial


def _newest(seen: Mapping[str, int]) -> tuple[str | None, str | None]:
    """The last two to appear, the newer one on trial; of those that appeared in the same pane the one that counts as higher is newer."""
    names = sorted(seen)
    order = version_order(names).tolist()
    ranked = sorted(names, key=lambda name: (seen[name], order[names.index(name)]))
    return (ranked[-2], ranked[-1]) if len(ranked) > 1 else (None, None)


def _compared(
    labels: LabelState,
    sides: tuple[Mapping[int, PaneLosses], Mapping[int, PaneLosses]],
    first_pane: int,
    end_pane: int,
    scale: LossScale,
    settings: CanarySettings,
    shown: tuple[tuple[tuple[str, ...], ...], Collection[str], int],
) -> Comparison | None:
    if end_pane <= first_pane:
        return None
    combinations = labels.combinations
    rows = np.zeros(len(combinations), np.int64)
    for panes in sides:
        for number, each in panes.items():
            if number >= first_pane:
                rows[each.combination] += each.rows.astype(np.int64)
    used = np.flatnonzero(rows).tolist()
    ranks = np.zeros(len(combinations), np.int64)
    ranks[sorted(used, key=lambda number: combinations.values[number])] = np.arange(len(used))
    segments, places = combinations.segments(shown[0], rows, shown[1], shown[2])
    return compare(strata(sides, first_pane, end_pane, ranks), segments, places, scale, settings)
