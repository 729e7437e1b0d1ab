"""What a playback came to, gathered as it goes on: pure, bounded, and the same for verdicts, performance, detectors and the policy.

outcomes ─▶ curves      a number per evaluation: how far a signal is from its threshold, a metric with its interval
         ─▶ episodes    from when to when something was said about a segment: drifted, worse, alarmed
         ─▶ transitions of the policy, with their triggers
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.batch import Batch, Labels, RejectReason
from monitor.config.model import ModelConfig
from monitor.decide.facts import Alarm
from monitor.decide.state import Phase, Trigger
from monitor.decide.transition import Change, Transition
from monitor.decisions import Decided
from monitor.evaluate.verdict import Status, Verdicts
from monitor.facts import Alarms, plain
from monitor.labels import LabelsEvaluated
from monitor.performance.verdict import Performance
from monitor.pipeline import Evaluated, Outcome
from monitor.replay.episode import Curve, Episode, Key, alarmed, drifted, worse
from monitor.replay.playback import Rows
from monitor.segment import ALL
from monitor.state import ModelState

MAX_EPISODES = 5_000
MAX_CURVES = 400
"""Bounds for one model; what is left out is counted."""

_FIRST_SHARE = 1e-4  # rows before this share of all do not say when history begins: a single wrong timestamp must not

_PHASES = {
    Change.PENDING: Phase.PENDING,
    Change.CLEARED: Phase.QUIET,
    Change.WITHHELD: Phase.WITHHELD,
    Change.REQUIRED: Phase.REQUIRED,
    Change.ACKNOWLEDGED: Phase.ACKNOWLEDGED,
    Change.SUPERSEDED: Phase.SUPERSEDED,
}


@dataclass(eq=False)
class Findings:
    """Of one model. ``rows_by_pane``: predictions read, by pane."""

    config: ModelConfig
    resumed: bool = False
    keep_from_ms: int | None = None  # episodes that began before are followed, and not kept
    until_ms: int | None = None  # event time from which nothing counts
    most_episodes: int = MAX_EPISODES
    most_curves: int = MAX_CURVES
    rows_by_pane: Counter[int] = field(default_factory=Counter)
    labels_read: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # messages that cannot be used, by reason
    curves: dict[tuple[str, str, str, str], Curve] = field(default_factory=dict)  # kind, version, window or view, signal
    episodes: list[Episode] = field(default_factory=list)
    episodes_left_out: int = 0
    transitions: list[Transition] = field(default_factory=list)
    evaluations: int = 0
    last_ms: int | None = None
    _open: dict[Key, Episode] = field(default_factory=dict)
    _alarmed: dict[tuple[str, str], tuple[Alarm, ...]] = field(default_factory=dict)
    _river: dict[tuple[str, int, str], int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Messages that cannot be used."""
        return self.refused.total()

    def read(self, rows: Rows) -> None:
        """Rows that are about to be counted."""
        self.refused += Counter({reason.label: number for reason, number in zip(RejectReason, rows.rejected.tolist(), strict=True)})
        if isinstance(rows, Labels):
            self.labels_read += len(rows) if self.until_ms is None else int(np.count_nonzero(rows.time_ms < self.until_ms))
        elif isinstance(rows, Batch) and len(rows):
            panes, counts = np.unique(rows.time_ms // self.config.windows.pane_ms, return_counts=True)
            for pane, number in zip(panes.tolist(), counts.tolist(), strict=True):
                self.rows_by_pane[pane] += number

    def happened(self, model: ModelState, outcomes: Sequence[Outcome]) -> None:
        """What a step led to."""
        for outcome in outcomes:
            match outcome:
                case Evaluated() if self._counts(outcome.event_ms):
                    self._windows(outcome.verdicts, outcome.event_ms)
                    self._alarms("data", outcome.alarms, outcome.event_ms)
                    self._river_alarms(model, outcome.event_ms)
                case Decided():
                    self.transitions += outcome.transitions

    def judged(self, labels: LabelsEvaluated) -> None:
        """An evaluation of labels."""
        if not self._counts(labels.event_ms):
            return
        self._labels([each.by_label for each in labels.verdicts], labels.event_ms)
        self._alarms("concept", labels.alarms, labels.event_ms)

    def _counts(self, event_ms: int) -> bool:
        """Whether an evaluation counts: how far beyond ``until_ms`` was read must not show."""
        within = self.until_ms is None or event_ms <= self.until_ms
        reached = event_ms if self.until_ms is None else min(event_ms, self.until_ms)
        self.last_ms = reached if self.last_ms is None else max(self.last_ms, reached)
        self.evaluations += within
        return within

    # ---- windows

    def _windows(self, verdicts: Iterable[Verdicts], event_ms: int) -> None:
        found: dict[Key, Episode] = {}
        for each in verdicts:
            found |= {episode.key: episode for episode in drifted(each, event_ms)}
            self._window_curves(each, event_ms)
        self._enter(found, event_ms, ("window", "share"))

    def _window_curves(self, verdicts: Verdicts, event_ms: int) -> None:
        beyond = np.count_nonzero(verdicts.drifted().any(axis=2), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.abs(verdicts.value) / verdicts.threshold
        usable = np.isfinite(ratio) & np.isin(verdicts.status, (Status.STABLE, Status.DRIFTED))
        worst = np.where(usable, ratio, -1.0).max(axis=2, initial=-1.0)
        at = verdicts.segments.index(ALL) if ALL in verdicts.segments else None
        for f, signal in enumerate(verdicts.signals):
            curve = self._curve(("window", plain(verdicts.version), verdicts.window.name, signal))
            if curve is not None:
                value = math.nan if at is None or worst[at, f] < 0 else float(worst[at, f])
                curve.times_ms.append(event_ms)
                curve.values.append(value)
                curve.segments.append(int(beyond[f]))

    def _curve(self, key: tuple[str, str, str, str]) -> Curve | None:
        if key not in self.curves and len(self.curves) >= self.most_curves:
            return None
        return self.curves.setdefault(key, Curve())

    # ---- labels

    def _labels(self, judged: Iterable[Performance], event_ms: int) -> None:
        found: dict[Key, Episode] = {}
        for each in judged:
            found |= {episode.key: episode for episode in worse(each, event_ms)}
            beyond = np.count_nonzero(each.metric_status == Status.DRIFTED, axis=0)
            at = each.segments.index(ALL) if ALL in each.segments else None
            for m, (metric, of) in enumerate(zip(each.metrics, each.classes, strict=True)):
                curve = self._curve(("performance", plain(each.version), each.view, f"{metric}[{of}]" if of else metric))
                if curve is None or at is None:
                    continue
                curve.times_ms.append(event_ms)
                known = each.metric_status[at, m] not in (Status.INSUFFICIENT_DATA, Status.NOT_APPLICABLE)
                for series, source in ((curve.values, each.value), (curve.low, each.low), (curve.high, each.high)):
                    series.append(float(source[at, m]) if known else math.nan)
                curve.segments.append(int(beyond[m]))
                curve.reference = float(each.reference[at, m])
        self._enter(found, event_ms, ("performance",))

    # ---- detectors

    def _alarms(self, side: str, alarms: Alarms, event_ms: int) -> None:
        """What sequential detectors had said of each version by an event time."""
        for version, of_version in alarms.items():
            if of_version is None or self._alarmed.get((side, version)) == of_version:
                continue
            self._alarmed[side, version] = of_version
            found = {episode.key: episode for alarm in of_version if (episode := alarmed(alarm, version, side, event_ms)) is not None}
            self._enter(found, event_ms, ("detector", "warning"), of=(plain(version), side))

    def _river_alarms(self, model: ModelState, event_ms: int) -> None:
        for name, version in sorted(model.versions.items()):
            for (index, segment), watched in version.river.watched.items():
                if watched.alarms > self._river.get((name, index, segment), 0):
                    self._river[name, index, segment] = watched.alarms
                    detector = model.config.detectors[index]
                    key = ("river", plain(name), detector.river.rpartition(".")[2], plain(segment), detector.signal)
                    at_ms = watched.last_alarm_ms or event_ms
                    self._keep(Episode(key, at_ms, "alarm", math.nan, math.nan, None, at_ms))

    # ---- episodes

    def _enter(self, found: dict[Key, Episode], event_ms: int, kinds: tuple[str, ...], of: tuple[str, str] | None = None) -> None:
        """Open what is new, and close what is over, of these kinds (and, with ``of``, of this version and side)."""
        for key in [key for key in self._open if key[0] in kinds and key not in found and of in (None, (key[1], key[2]))]:
            self._open.pop(key).ended_ms = event_ms
        for key, episode in sorted(found.items()):
            known = self._open.get(key)
            if known is None:
                self._open[key] = episode
                self._keep(episode)
            elif episode.excess > known.excess:
                known.statistic, known.value, known.limit = episode.statistic, episode.value, episode.limit

    def _keep(self, episode: Episode) -> None:
        if self.keep_from_ms is not None and episode.began_ms < self.keep_from_ms:
            return
        if len(self.episodes) < self.most_episodes:
            self.episodes.append(episode)
        else:
            self.episodes_left_out += 1

    # ---- what it comes to

    @property
    def rows(self) -> int:
        """Predictions read, of panes that begin before ``until_ms``."""
        if self.until_ms is None:
            return self.rows_by_pane.total()
        return self.rows_between(min(self.rows_by_pane, default=0) * self.config.windows.pane_ms, self.until_ms)

    def first_ms(self) -> int | None:
        """Where history begins: the first pane but for a few stray rows; None without any."""
        seen, least = 0, self.rows_by_pane.total() * _FIRST_SHARE
        for pane in sorted(self.rows_by_pane):
            seen += self.rows_by_pane[pane]
            if seen >= least:
                return pane * self.config.windows.pane_ms
        return None

    def rows_between(self, start_ms: int, end_ms: int) -> int:
        """Predictions of the panes that begin within [start, end)."""
        pane_ms = self.config.windows.pane_ms
        return sum(number for pane, number in self.rows_by_pane.items() if start_ms <= pane * pane_ms < end_ms)

    def phases(self) -> dict[str, list[tuple[int, Phase]]]:
        """The phases each version came to, and when, in order."""
        found: dict[str, list[tuple[int, Phase]]] = {}
        for each in self.transitions:
            version = each.trigger.version if each.trigger is not None else each.version
            if version is not None and each.event_ms is not None and each.change in _PHASES:
                found.setdefault(version, []).append((each.event_ms, _PHASES[each.change]))
        return found

    def triggers(self) -> list[Trigger]:
        """What would have fired, in the order of decision."""
        return [each.trigger for each in self.transitions if each.change is Change.REQUIRED and each.trigger is not None]


def warm_up_ms(config: ModelConfig) -> int:
    """How long it takes until the windows are full: of predictions, and of labels where there are any."""
    return max(config.windows.long_ms, 0 if config.labels is None else config.labels.window_ms)
