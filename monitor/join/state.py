"""What the join of one model remembers: where it is in the log and in event time, what waits, and what was counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.batch import RejectReason
from monitor.clock import EventClock
from monitor.join.inbox import Inbox
from monitor.join.names import Names
from monitor.join.runs import Runs
from monitor.outcome.annotations import AgreementLayout
from monitor.outcome.cohorts import Cohorts
from monitor.outcome.combination import Combinations
from monitor.outcome.layout import OutcomeLayout
from monitor.outcome.panes import OutcomePanes
from monitor.outcome.restated import RestatedPanes
from monitor.segment import OTHER

if TYPE_CHECKING:
    from monitor.config.labels import Labels


class LabelEntry(IntEnum):
    """Columns of the labels' ledger. MESSAGES is the sum of all others, rejected ones and those that wait included."""

    MESSAGES = 0
    TOMBSTONES = 1
    MATCHED = 2  # the first label of a prediction
    REVISED = 3  # another value or version of a known annotator
    VOTE = 4  # the first of a further annotator
    DUPLICATE = 5  # the same once more
    LATE = 6  # later than the horizon after its prediction
    LATE_ARRIVAL = 7  # behind its own partition by more than the labels' lateness
    ORPHAN = 8  # no prediction of its id


LABEL_COLUMNS = len(LabelEntry) + len(RejectReason)


@dataclass(eq=False)
class VersionOutcomes:
    """Counts of one model version, by pane of the prediction and by pane of the label; chosen labels apart."""

    layout: OutcomeLayout
    by_prediction: OutcomePanes  # all predictions, and those with an organic label; restated as labels come
    by_label: OutcomePanes  # organic labels
    audited: OutcomePanes  # by pane of the label
    reviewed: OutcomePanes
    annotations: OutcomePanes  # agreement of annotators, by pane of the prediction
    cohorts: Cohorts  # predictions that have left ``by_prediction``
    revised: OutcomePanes  # what revised labels changed of ``by_prediction`` after it was reported
    restated: dict[str, RestatedPanes]  # how often that happened, by name of the outcomes

    @staticmethod
    def empty(layout: OutcomeLayout, config: Labels) -> VersionOutcomes:
        """Before the first row. Of predictions the window before is kept too, to tell a trend."""
        window, cohorts = config.window_ms // config.pane_ms, Cohorts.empty(layout, config.pane_ms, config.horizon_ms)
        by_prediction = OutcomePanes(window, 2 * window, leave=cohorts.add)
        by_label, audited, reviewed, annotations, revised = (OutcomePanes(window, window) for _ in range(5))
        restated = {view: RestatedPanes(window) for view in ("prediction", "label", "audit")}
        return VersionOutcomes(layout, by_prediction, by_label, audited, reviewed, annotations, cohorts, revised, restated)

    @property
    def views(self) -> dict[str, OutcomePanes]:
        """The outcomes by name."""
        return {"prediction": self.by_prediction, "label": self.by_label, "audit": self.audited, "review": self.reviewed}

    @property
    def panes(self) -> dict[str, OutcomePanes]:
        """Everything that is counted by panes, by name."""
        return {**self.views, "annotations": self.annotations, "revised": self.revised}

    @property
    def saved(self) -> dict[str, OutcomePanes]:
        """Everything that a state holds, by name."""
        return {**self.panes, "cohorts": self.cohorts.counts}

    def move_to(self, end_pane: int) -> None:
        """All windows end before ``end_pane`` now."""
        for panes in self.panes.values():
            panes.move_to(end_pane)
        self.cohorts.move_to(end_pane)
        for restated in self.restated.values():
            restated.move_to(end_pane)


@dataclass(eq=False)
class LabelState:
    """The join of one model. ``pending`` are predictions by id, ``records`` labels by id."""

    config: Labels
    clock: EventClock
    pending: Runs
    records: Runs
    combinations: Combinations
    offsets: dict[int, int] = field(default_factory=dict)
    ledger: NDArray[np.int64] = field(default_factory=lambda: np.zeros(LABEL_COLUMNS, np.int64))
    complete: bool = True
    offsets_lost: int = 0
    idle_exclusions: int = 0
    inbox: Inbox = field(default_factory=Inbox)
    applied_pane: int | None = None  # labels that arrived in panes below this one are applied
    layouts: dict[str, OutcomeLayout] = field(default_factory=dict)  # of versions that have a reference
    fallback: OutcomeLayout = field(default_factory=lambda: OutcomeLayout("binary", ("0", "1")))  # of those without
    kept: dict[str, OutcomeLayout] = field(default_factory=dict)  # of versions that were counted in other cells before, and go on in them
    max_versions: int = 32  # without a reference, that are counted apart
    keeps_probabilities: bool = False
    agreement: AgreementLayout | None = None  # None: labels name neither annotator nor confidence nor version
    versions: dict[str, VersionOutcomes] = field(default_factory=dict)
    annotators: dict[int, str] = field(default_factory=dict)  # hash -> name
    version_names: Names = field(default_factory=Names)  # numbers in pending rows
    label_versions: Names = field(default_factory=Names)  # numbers in records
    labelled: dict[int, int] = field(default_factory=dict)  # bucket of ``pending`` -> predictions that have a label
    predictions: int = 0  # rows that entered ``pending``
    labelled_rows: int = 0  # of these, that got a label
    expired: int = 0  # never labelled within the horizon
    evicted: int = 0  # forgotten before the horizon, for want of room
    records_evicted: int = 0  # labels forgotten before the horizon, for want of room
    revisions: int = 0  # labels of predictions that were restated

    def layout_of(self, version: str) -> OutcomeLayout:
        """The cells that a version is counted in: those it began in, as long as the state lives."""
        return self.kept.get(version) or self.layouts.get(version, self.fallback)

    def agreement_of(self, version: str) -> AgreementLayout | None:
        """The cells of a version's agreement; values of a regression are cells of its own score. None where labels name nobody."""
        if self.agreement is None or self.config.task != "regression":
            return self.agreement
        return replace(self.agreement, values=self.layout_of(version).score_cells)

    def place_of(self, version: str) -> str:
        """Its name, or ``__other__`` once there are so many: which of a flood of made-up versions get a place does not matter."""
        known = version in self.versions or version in self.layouts or len(self.versions) < self.max_versions
        return version if known else OTHER

    def outcomes_of(self, version: str) -> VersionOutcomes:
        """Counts of a version, made when it is first met."""
        if version not in self.versions:
            self.versions[version] = VersionOutcomes.empty(self.layout_of(version), self.config)
        return self.versions[version]

    @property
    def waiting(self) -> int:
        """Labels that wait for their turn."""
        return self.inbox.rows

    @property
    def ranks(self) -> NDArray[np.int64]:
        """[label versions] the order in which versions supersede each other."""
        return self.label_versions.ranks
