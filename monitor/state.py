"""What the pipeline remembers: per model its clock, ids and ledger; per model version its counts and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from monitor.batch import Float64, Int64, RejectReason
from monitor.canary.trial import CanaryState
from monitor.clock import EventClock
from monitor.config import PREDICTED_CLASS, SCORE, ModelConfig
from monitor.config.evaluation import Evaluation
from monitor.config.labels import Labels
from monitor.decide.docket import Docket, Situation
from monitor.decode.classes import class_index, class_texts
from monitor.duplicates import SeenIds
from monitor.estimate.tables import ErrorTable
from monitor.evaluate.evaluate import Baseline
from monitor.evaluate.verdict import Verdicts
from monitor.join.record import RECORD
from monitor.join.runs import Runs, bucket_width
from monitor.join.state import LabelEntry, LabelState
from monitor.label_estimates import EstimateHistory
from monitor.outcome.annotations import AgreementLayout
from monitor.outcome.cells import row_dtype
from monitor.outcome.combination import Combinations
from monitor.outcome.layout import OutcomeLayout
from monitor.performance.backlog import Backlog
from monitor.performance.validation import Validation
from monitor.profile.bare import bare_layout
from monitor.profile.bins import Binning
from monitor.profile.grouping import Base, plan
from monitor.profile.layout import Layout, Vocabulary, vocabulary
from monitor.profile.leaves import Leaves
from monitor.profile.pane import OpenPane
from monitor.profile.windows import Windows
from monitor.reference.outcomes import reference_layout, stored_scale
from monitor.reference.reference import Reference
from monitor.review.queue import ReviewQueue
from monitor.river import RiverWatch
from monitor.segment import parse_key
from monitor.sequential.version import Sequential

_MAX_COMBINATIONS = 1 << 16
"""Distinct tuples of segment values among rows that wait for labels; a fixed bound, since a row keeps four bytes for its own."""


_MAX_ANNOTATORS, _MAX_LABEL_VERSIONS = 1_000, 32
"""Annotators and label versions that are judged one by one; further ones share the last number."""


class Entry(IntEnum):
    """Columns of the ledger. MESSAGES is the sum of all others, rejected ones included: every message is accounted for."""

    MESSAGES = 0
    TOMBSTONES = 1
    COUNTED = 2
    DUPLICATE = 3
    LATE = 4  # behind its own partition by more than the lateness
    CLOSED = 5  # its pane closed while its partition was idle


LEDGER_COLUMNS = len(Entry) + len(RejectReason)
"""The entries, then one column per reason of rejection."""


@dataclass(eq=False)
class VersionState:
    """Counts and verdicts of one model version."""

    version: str
    reference: Reference | None
    binning: Binning
    windows: Windows
    river: RiverWatch
    open: dict[tuple[int, int], OpenPane] = field(default_factory=dict)  # (partition, pane number)
    admitted: set[str] = field(default_factory=set)  # segments with a place under the cap, beside the reference's
    verdicts: dict[str, Verdicts] = field(default_factory=dict)  # newest per window
    baseline: dict[str, Baseline] = field(default_factory=dict)  # per window, for its present segments

    @property
    def layout(self) -> Layout:
        """The cells this version is counted in."""
        return self.binning.layout

    @property
    def placed(self) -> bool:
        """Whether a closed pane of it is in the windows; before that it may still fold into ``__other__``."""
        return bool(self.windows.long.total.segments)

    @property
    def next_change(self) -> int | None:
        """The first pane whose closing changes the windows; None when none does."""
        changes = [pane for _, pane in self.open]
        if (leaves := self.windows.next_to_leave) is not None:
            changes.append(leaves)
        return min(changes, default=None)

    def baseline_of(self, window: str, segments: tuple[str, ...], settings: Evaluation) -> Baseline | None:
        """What a window of such segments is compared with, None without reference; windows of the same ones share it, as it is large."""
        found = self.baseline.get(window)
        if self.reference is not None and (found is None or found.segments != segments):
            alike = (baseline for baseline in self.baseline.values() if baseline.segments == segments)
            found = self.baseline[window] = next(alike, None) or Baseline.of(self.reference, segments, settings)
        return found

    def take(self, pane: int) -> list[OpenPane]:
        """The open panes of that number, one a partition, which are open no more."""
        return [self.open.pop(key) for key in sorted(key for key in self.open if key[1] == pane)]


@dataclass(eq=False)
class ModelState:
    """One model. Offsets, clock and open panes are keyed by partition."""

    config: ModelConfig
    configured: tuple[Reference, ...]
    references: dict[str, Reference]  # what each model version is compared with: its own, until an operator chooses another
    bases: tuple[Base, ...]
    leaves: tuple[Leaves, ...]  # of each base
    vocabulary: Vocabulary
    fallback: Layout  # for a version that has no reference
    clock: EventClock
    seen: SeenIds
    offsets: dict[int, int] = field(default_factory=dict)  # next offset to read
    ledger: Int64 = field(default_factory=lambda: np.zeros(LEDGER_COLUMNS, np.int64))
    versions: dict[str, VersionState] = field(default_factory=dict)
    complete: bool = True  # whether this process reads every partition
    evaluated_pane: int | None = None
    unjudged_pane: int | None = None  # end of the last pane that changed the windows since they were judged
    rows_folded: int = 0  # their segment had no room and became __other__
    offsets_lost: int = 0
    idle_exclusions: int = 0  # how often a silent partition was left out of the horizon
    sequential: dict[str, Sequential] = field(default_factory=dict)  # detectors, by version with a reference
    not_watched: dict[str, str] = field(default_factory=dict)  # such versions that have none, and why
    labels: LabelState | None = None  # the join, where labels are configured
    backlog: Backlog = field(default_factory=dict)  # failure modes by id
    canary: CanaryState | None = None  # the trial of two versions, where one is configured
    review: ReviewQueue | None = None  # predictions to look at by hand, where that is configured
    estimates: dict[str, EstimateHistory] = field(default_factory=dict)  # by version
    error_tables: dict[str, dict[tuple[str, ...], ErrorTable]] = field(default_factory=dict)  # of the references, by version
    docket: Docket = field(default_factory=Docket)  # what is to be decided, and what was
    situation: Situation = field(default_factory=Situation)
    chosen: dict[str, str] = field(default_factory=dict)  # fingerprints of references that versions were switched to
    validations: dict[str, Validation | None] = field(default_factory=dict)  # what the references' labels say, by version
    class_index: Float64 | None = None  # [codes + 1] class index of each code of the predicted class

    @property
    def tick_ms(self) -> int:
        """Resolution of event time in the duplicates' horizon; ticks fit 32 bits for millennia."""
        return _tick_ms(self.config)

    @property
    def ids_alive_from(self) -> int:
        """Tick before which no id can be asked for again."""
        return self.clock.no_row_before_ms() // self.tick_ms - self.seen.horizon

    @property
    def messages(self) -> int:
        """Messages read so far, of predictions and of labels."""
        return int(self.ledger[Entry.MESSAGES]) + (0 if self.labels is None else int(self.labels.ledger[LabelEntry.MESSAGES]))

    def reference_segments(self, version: VersionState) -> frozenset[str]:
        """Segments that always have a place: those of the reference, but for groupings that are not configured."""
        if version.reference is None:
            return frozenset()
        return _of_groupings(version.reference.table.segments, self.config.segments.groupings)

    def room(self, version: VersionState) -> int:
        """Segments that may still enter under the cap."""
        return self.config.segments.max_segments - len(version.admitted | self.reference_segments(version))


@lru_cache(32)
def _of_groupings(segments: tuple[str, ...], groupings: tuple[tuple[str, ...], ...]) -> frozenset[str]:
    # Asked with every pane, of as many as a hundred thousand.
    configured = {(), *groupings}
    return frozenset(segment for segment in segments if parse_key(segment)[0] in configured)


def _tick_ms(config: ModelConfig) -> int:
    return max(config.windows.pane_ms, 60_000)


def _horizon_ticks(config: ModelConfig) -> int:
    ticks = -(-config.predictions.duplicates.horizon_ms // _tick_ms(config))
    # A pane that is no part of a tick may begin in the tick before, and is open for rows as long as its end is.
    return ticks if _tick_ms(config) % config.windows.pane_ms == 0 else ticks + 1


def new_model_state(config: ModelConfig, references: Sequence[Reference], directory: Path | None = None) -> ModelState:
    """The state before the first message. With labels, rows that wait for them are kept in files of ``directory``."""
    by_version = {reference.model_version: reference for reference in references}
    layouts = [reference.layout for reference in references] or [bare_layout(config)]
    known = vocabulary(layouts, {PREDICTED_CLASS: class_texts(config)})
    bases = plan(tuple(config.segments.columns), config.segments.groupings)
    state = ModelState(
        config=config,
        configured=tuple(references),
        references=dict(by_version),
        bases=bases,
        leaves=tuple(map(Leaves, bases)),
        vocabulary=known,
        fallback=layouts[-1],
        clock=EventClock(config.windows.pane_ms, config.windows.lateness_ms),
        seen=SeenIds(horizon=_horizon_ticks(config), max_ids=config.predictions.duplicates.max_ids),
        labels=None if config.labels is None else _new_labels(config, config.labels, by_version, layouts[-1], _needed(directory)),
        canary=None if config.canary is None else CanaryState(),
        class_index=class_index(config, known) if config.labels is not None and config.predictions.has_class else None,
    )
    if state.labels is not None and config.labels is not None and config.labels.review is not None:
        chosen = config.labels.review.grouping
        first = config.segments.groupings[0] if config.segments.groupings else ()
        grouping = first if chosen is None else chosen
        state.review = ReviewQueue(config.name, config.labels.review, grouping, state.labels.layouts, state.labels.fallback)
    return state


def _needed(directory: Path | None) -> Path:
    if directory is None:
        raise ValueError("expected a directory for the rows that wait for labels, got none")
    return directory


def _new_labels(config: ModelConfig, labels: Labels, references: Mapping[str, Reference], fallback: Layout, directory: Path) -> LabelState:
    def std_of(reference: Reference) -> float:
        if (stored := stored_scale(reference.labels)) is not None:
            return stored  # in which it holds its errors
        names = reference.layout.names
        return float(reference.stds[names.index(SCORE)]) if SCORE in names else 0.0

    keeps = config.keeps_probabilities
    layouts = {version: reference_layout(labels, reference.layout, std_of(reference), keeps) for version, reference in references.items()}
    bucket_ms = bucket_width(labels.horizon_ms)
    plain = reference_layout(labels, fallback, std_of([*references.values()][-1]) if references else 0.0, keeps)
    return LabelState(
        config=labels,
        clock=EventClock(config.windows.pane_ms, labels.lateness_ms),
        pending=Runs(row_dtype(plain, keeps), bucket_ms, directory, f"{config.name}/pending/", labels.max_pending_rows),
        records=Runs(RECORD, bucket_ms, directory, f"{config.name}/records/", labels.max_label_rows),
        combinations=Combinations(tuple(config.segments.columns), _MAX_COMBINATIONS),
        layouts=layouts,
        fallback=plain,
        max_versions=4 * config.max_versions,
        keeps_probabilities=keeps,
        agreement=_agreement(labels, plain) if labels.annotator or labels.confidence or labels.label_version else None,
    )


def _agreement(labels: Labels, layout: OutcomeLayout) -> AgreementLayout:
    values = layout.score_cells if labels.task == "regression" else len(layout.classes)
    return AgreementLayout(values, min(labels.max_annotators, _MAX_ANNOTATORS) + 2, _MAX_LABEL_VERSIONS)


def new_version_state(model: ModelState, version: str) -> VersionState:
    """The state of a version before its first row."""
    reference = model.references.get(version)
    layout = model.fallback if reference is None else reference.layout
    windows = model.config.windows
    return VersionState(
        version=version,
        reference=reference,
        binning=Binning.of(layout, model.vocabulary),
        windows=Windows(layout, windows.pane_ms, windows.short_ms // windows.pane_ms, windows.long_ms // windows.pane_ms),
        river=RiverWatch(model.config.detectors),
    )


def open_bytes(model: ModelState) -> int:
    """Memory of panes that still take rows."""
    evidence = sum(sequential.panes.memory_bytes for sequential in model.sequential.values())
    return evidence + sum(pane.memory_bytes for version in model.versions.values() for pane in version.open.values())
