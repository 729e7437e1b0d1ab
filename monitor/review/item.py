"""One prediction to look at by hand, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

import xxhash


class Kind(Enum):
    """Why an item is there at all."""

    EDGE = "edge"  # something about it: errors are over-represented
    AUDIT = "audit"  # nothing about it: uniform within a segment and day


class Reason(IntEnum):
    """What makes a prediction worth a look, in the order in which reasons are named. Saved states hold numbers: append only."""

    NEAR_THRESHOLD = 0  # the score is within ``margin`` of the threshold
    UNSEEN_CATEGORY = 1  # a feature has a category that no reference has
    WRONG_CONFIDENT = 2  # the label says otherwise, and the model was sure
    ANNOTATORS_DISAGREE = 3
    WORST_SEGMENT = 4  # wrong, in a segment that is worse than in the reference, or the least accurate one
    AUDIT_SAMPLE = 5

    @property
    def label(self) -> str:
        """``near_threshold`` and so on."""
        return self.name.lower()

    @property
    def bit(self) -> int:
        """Its place in a set of reasons."""
        return 1 << self


def reasons_of(bits: int) -> tuple[Reason, ...]:
    """The reasons of a set, in their order.

    >>> reasons_of(Reason.UNSEEN_CATEGORY.bit | Reason.NEAR_THRESHOLD.bit)
    (<Reason.NEAR_THRESHOLD: 0>, <Reason.UNSEEN_CATEGORY: 1>)
    """
    return tuple(reason for reason in Reason if bits & reason.bit)


@dataclass(frozen=True, slots=True)
class Item:
    """A prediction that was drawn."""

    prediction_id: str  # as written in the event, untrusted; a lone surrogate replaced
    model: str
    version: str
    segment: str
    kind: Kind
    reasons: tuple[Reason, ...]  # all that it was found to have when it was drawn; at least one
    time_ms: int  # of the prediction
    score: float | None
    predicted: str | None  # class
    label: str | None  # class or number, where it has one
    sampling_probability: float  # of being drawn, given its reasons, segment and pane

    @property
    def id(self) -> str:
        """The same whenever the same log is read: 32 hexadecimal digits."""
        return xxhash.xxh3_128_hexdigest("\x1f".join([self.model, self.version, self.kind.value, self.prediction_id]).encode())
