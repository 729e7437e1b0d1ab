"""Facts: everything that a decision about one model version may rest on.

They have two sides, because predictions and labels move on clocks of their own: what is known of the windows (``as_of_windows``), and
what is known of the labels (``as_of_labels``), with an estimate that is made less often (``as_of_estimates``).

Unknown is None, never zero and never an empty tuple: ``data_alarms=()`` says that the detectors are quiet, None that there are none. A
condition over what is None is unknown; it never triggers, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct


class Measured(Struct, frozen=True):
    """A number about a segment, with its confidence interval and the rows it rests on."""

    name: str  # of a metric, such as recall
    segment: str
    value: float
    low: float
    high: float
    n: int  # labelled rows, or for an estimate rows
    since_ms: int | None = None  # event time of the oldest row in it


class AlarmLevel(IntEnum):
    """How sure a detector is."""

    QUIET = 0
    WARNING = 1
    TRIGGER = 2


class Alarm(Struct, frozen=True):
    """The newest that a sequential detector said about one stream."""

    signal: str
    segment: str
    level: AlarmLevel
    start_ms: int  # estimated event time of the change
    effect: float | None  # estimated size, in the detector's unit
    n: int | None = None  # events of the stream since the change
    time_ms: int | None = None  # when it was raised, or last held; None: it is raised now
    kind: str = ""  # of the stream: values, missing, error or label
    unit: str = ""  # of the effect: sd of the reference, spread, or share
    low: float | None = None  # of the effect
    high: float | None = None
    cell: str | None = None  # whose share the effect is about
    worst: tuple[tuple[str, float, float], ...] = ()  # cells that moved most: name, expected share, share
    also: tuple[tuple[str, str, str], ...] = ()  # streams that moved with it: segment, signal, kind


class FailureMode(Struct, frozen=True):
    """A kind of error in a segment that costs more than it did in the reference."""

    id: str
    segment: str
    predicted: str  # class; empty for a regression
    kind: str
    rate: float | None  # of the rows that could be wrong so
    reference_rate: float | None
    rows: int
    impact: float  # cost beyond the reference, in the units of the costs
    trend: str
    status: str | None = None
    owner: str | None = None


class LabelledRows(Struct, frozen=True):
    """Rows predicted within [start_ms, end_ms) that have a label by now."""

    start_ms: int
    end_ms: int
    rows: int


NEVER = -(1 << 62)
"""An event time before all others: of a side of which nothing is known yet."""


class Facts(Struct, frozen=True):
    """What is known of one model version when it is decided about."""

    model: str
    version: str
    event_ms: int  # of the decision
    as_of_windows: int | None = None  # event time of the windows' evaluation; the decision's own when absent
    as_of_labels: int | None = None  # event time of the labels' evaluation; the decision's own when absent
    as_of_estimates: int | None = None  # event time of the estimate without labels; that of the labels when absent
    # Of the windows.
    rows: int = 0  # predictions in the longest window
    shares: Mapping[str, float] | None = None  # share of traffic per segment; ALL is 1
    data_alarms: tuple[Alarm, ...] | None = None  # on inputs and scores
    reference: str | None = None  # fingerprint
    dataset: str | None = None  # version of the data set of the reference
    # Of the labels.
    performance: tuple[Measured, ...] | None = None
    estimated_loss: tuple[Measured, ...] | None = None  # by how much worse than in the reference; positive is worse
    cost: tuple[Measured, ...] | None = None  # expected cost per prediction
    concept_alarms: tuple[Alarm, ...] | None = None  # on errors and labels
    label_quality: Mapping[str, float] | None = None  # measures by name
    labelled: tuple[LabelledRows, ...] | None = None  # in order, not overlapping
    failure_modes: tuple[FailureMode, ...] | None = None  # what costs most first
    # Of the process.
    partial: bool = False  # this process does not see all partitions
    rebuilding: bool = False  # lost state has not caught up
    controls_unread: bool = False  # decisions of operators may be waiting unread

    @property
    def windows_ms(self) -> int:
        """Event time of what is known of the windows."""
        return self.event_ms if self.as_of_windows is None else self.as_of_windows

    @property
    def labels_ms(self) -> int:
        """Event time of what is known of the labels."""
        return self.event_ms if self.as_of_labels is None else self.as_of_labels

    @property
    def estimates_ms(self) -> int:
        """Event time of the estimate without labels."""
        return self.labels_ms if self.as_of_estimates is None else self.as_of_estimates


def labelled_since(facts: Facts, start_ms: int) -> int | None:
    """Labelled rows of predictions from ``start_ms`` to what was evaluated, only whole stretches counted; None when labels are not known.

    >>> day = 86_400_000
    >>> facts = Facts("m", "1", 3 * day, labelled=tuple(LabelledRows(d * day, (d + 1) * day, 100) for d in range(3)))
    >>> labelled_since(facts, day), labelled_since(facts, day + 1), labelled_since(Facts("m", "1", 0), 0)
    (200, 100, None)
    """
    if facts.labelled is None:
        return None
    return sum(part.rows for part in facts.labelled if start_ms <= part.start_ms and part.end_ms <= facts.event_ms)
