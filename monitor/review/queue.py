"""The review queue of one model: samples that fill, and items that were drawn.

    predictions ──▶ edge cases by hour of the prediction ──┐
               └──▶ audit sample by day of the prediction ─┼─ pane closes ─▶ not drawn before? ─▶ outbox, recent
    labels ──────▶ edge cases by hour of the label ────────┘

Of the ``per_hour`` edge cases of a segment and version half are for what predictions show by themselves and half for what labels show.
The audit sample is drawn apart from the edge cases, so a prediction may be in both: leaving out what was drawn already would bias it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan

import numpy as np
import xxhash
from numpy.typing import NDArray

from monitor.config.labels import Review
from monitor.outcome.combination import Combinations
from monitor.outcome.layout import OutcomeLayout
from monitor.review.item import Item, Kind, Reason, reasons_of
from monitor.review.sampler import Drawn, Sampler
from monitor.segment import ALL, other_key

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
RECENT = 1_000
MAX_DRAWN = 200_000
"""Drawn ids remembered, so that none is drawn twice; beyond, those of the oldest panes are forgotten."""


@dataclass(eq=False)
class ReviewQueue:
    """Samples, drawn items and what is remembered of them."""

    model: str
    config: Review
    grouping: tuple[str, ...]  # whose segments are drawn from apart; empty: ALL
    layouts: Mapping[str, OutcomeLayout]  # of versions that have a reference
    fallback: OutcomeLayout  # of those without
    drawn: dict[int, int] = field(default_factory=dict)  # hash of kind, version and id -> end of the pane
    recent: deque[Item] = field(default_factory=lambda: deque(maxlen=RECENT))  # oldest first
    outbox: list[Item] = field(default_factory=list)  # drawn, and not taken from here yet
    counts: Counter[tuple[Kind, Reason]] = field(default_factory=Counter)  # items by kind and first reason
    worst: dict[str, frozenset[str]] = field(default_factory=dict)  # version -> its worst segments at the last evaluation
    by_prediction: Sampler = field(init=False)
    by_label: Sampler = field(init=False)
    audit: Sampler = field(init=False)
    _segments: list[str] = field(default_factory=list)
    _segment_of: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))  # by combination

    def __post_init__(self) -> None:
        other, half = other_key(self.grouping) if self.grouping else ALL, -(-self.config.per_hour // 2)
        self.by_prediction = Sampler(HOUR_MS, half, other)
        self.by_label = Sampler(HOUR_MS, self.config.per_hour - half, other)
        self.audit = Sampler(DAY_MS, self.config.audit_per_day, other)

    @property
    def samplers(self) -> dict[str, Sampler]:
        """The samplers by name."""
        return {"by_prediction": self.by_prediction, "by_label": self.by_label, "audit": self.audit}

    @property
    def audit_seed(self) -> int:
        """Of the ranks of the audit sample, which must not follow those of the edge cases."""
        return self.config.seed + (1 << 32)

    @property
    def segments(self) -> Sequence[str]:
        """Keys of the segments met so far."""
        return self._segments

    def segments_of(self, combinations: Combinations, number: NDArray[np.int32]) -> NDArray[np.intp]:
        """[n] place among ``segments`` of the segment of each combination."""
        known = len(self._segment_of)
        if known < len(combinations):
            places = {key: place for place, key in enumerate(self._segments)}
            found = [places.setdefault(key, len(places)) for key in combinations.keys(self.grouping)[known:]]
            self._segments = list(places)
            self._segment_of = np.concatenate([self._segment_of, np.array(found, np.intp)])
        return self._segment_of[number]

    def close_predictions(self, closed_ms: int) -> None:
        """All predictions before ``closed_ms`` are known."""
        self._enter(self.by_prediction.close(closed_ms), Kind.EDGE)
        self._enter(self.audit.close(closed_ms), Kind.AUDIT)

    def close_labels(self, applied_ms: int, reach_ms: int) -> None:
        """All labels that arrive before ``applied_ms`` are applied; none to come is about a prediction older than that by ``reach_ms``."""
        self._enter(self.by_label.close(applied_ms), Kind.EDGE)
        oldest_ms = applied_ms - reach_ms - DAY_MS  # a day for panes that are open still, and for those that ends are rounded to
        if self.drawn and min(self.drawn.values()) < oldest_ms - DAY_MS:  # a pass a day
            self.drawn = {key: end_ms for key, end_ms in self.drawn.items() if end_ms >= oldest_ms}

    def _enter(self, drawn: Iterable[Drawn], kind: Kind) -> None:
        for each in drawn:
            key = xxhash.xxh3_64_intdigest(f"{kind.value}\x1f{each.version}\x1f{each.candidate.text}".encode())
            if key in self.drawn:
                continue
            self.drawn[key] = each.pane_end_ms
            item = _item(self.model, kind, each, self.layouts.get(each.version, self.fallback))
            self.recent.append(item)
            self.outbox.append(item)
            self.counts[kind, item.reasons[0]] += 1
        if len(self.drawn) > MAX_DRAWN:
            self.drawn = dict(sorted(self.drawn.items(), key=lambda entry: (-entry[1], entry[0]))[:MAX_DRAWN])


def _item(model: str, kind: Kind, drawn: Drawn, layout: OutcomeLayout) -> Item:
    candidate = drawn.candidate
    label: str | None = None
    if not isnan(candidate.label):
        label = layout.classes[int(candidate.label)] if layout.classes else f"{candidate.label:g}"
    return Item(
        prediction_id=candidate.text,
        model=model,
        version=drawn.version,
        segment=drawn.segment,
        kind=kind,
        reasons=reasons_of(candidate.reasons),
        time_ms=candidate.time_ms,
        score=candidate.score if isfinite(candidate.score) else None,
        predicted=layout.classes[candidate.predicted] if 0 <= candidate.predicted < len(layout.classes) else None,
        label=label,
        sampling_probability=drawn.probability,
    )
