"""What the pipeline remembers: per model its clock, ids and ledger; per model version its counts and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from monitor.batch import Int64, RejectReason
from monitor.clock import EventClock
from monitor.config import PREDICTED_CLASS, ModelConfig
from monitor.decode.classes import class_texts
from monitor.duplicates import SeenIds
from monitor.evaluate.evaluate import Baseline
from monitor.evaluate.verdict import Verdicts
from monitor.profile.bare import bare_layout
from monitor.profile.bins import Binning
from monitor.profile.grouping import Base, plan
from monitor.profile.layout import Layout, Vocabulary, vocabulary
from monitor.profile.pane import OpenPane, Pool
from monitor.profile.windows import Windows
from monitor.reference.reference import Reference
from monitor.river import RiverWatch


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
    pool: Pool
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
    def reference_segments(self) -> frozenset[str]:
        """Segments that always have a place."""
        return frozenset() if self.reference is None else frozenset(self.reference.table.segments)

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

    def take(self, pane: int) -> list[OpenPane]:
        """The open panes of that number, one a partition, which are open no more."""
        return [self.open.pop(key) for key in sorted(key for key in self.open if key[1] == pane)]


@dataclass(eq=False)
class ModelState:
    """One model. Offsets, clock and open panes are keyed by partition."""

    config: ModelConfig
    references: dict[str, Reference]  # by model version
    bases: tuple[Base, ...]
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

    @property
    def tick_ms(self) -> int:
        """Resolution of event time in the duplicates' horizon; ticks fit 32 bits for millennia."""
        return _tick_ms(self.config)

    def room(self, version: VersionState) -> int:
        """Segments that may still enter under the cap."""
        return self.config.segments.max_segments - len(version.admitted | version.reference_segments)


def _tick_ms(config: ModelConfig) -> int:
    return max(config.windows.pane_ms, 60_000)


def new_model_state(config: ModelConfig, references: Sequence[Reference]) -> ModelState:
    """The state before the first message."""
    by_version = {reference.model_version: reference for reference in references}
    layouts = [reference.layout for reference in references] or [bare_layout(config)]
    duplicates = config.predictions.duplicates
    tick_ms = _tick_ms(config)
    return ModelState(
        config=config,
        references=by_version,
        bases=plan(tuple(config.segments.columns), config.segments.groupings),
        vocabulary=vocabulary(layouts, {PREDICTED_CLASS: class_texts(config)}),
        fallback=layouts[-1],
        clock=EventClock(config.windows.pane_ms, config.windows.lateness_ms),
        seen=SeenIds(horizon=-(-duplicates.horizon_ms // tick_ms), max_ids=duplicates.max_ids),
    )


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
        pool=Pool(layout),
        river=RiverWatch(model.config.detectors),
    )
