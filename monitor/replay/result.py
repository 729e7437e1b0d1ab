"""What a replay came to: the findings of each model, with what is warm-up told apart from what counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.decide.state import Trigger
from monitor.decide.transition import Transition
from monitor.replay.episode import Episode
from monitor.replay.findings import Findings, warm_up_ms


@dataclass(frozen=True, slots=True)
class Stretch:
    """Event time of one model: read from ``first_ms`` to ``last_ms``; what counts begins at ``counts_from_ms``."""

    first_ms: int
    counts_from_ms: int
    last_ms: int

    @property
    def all_warm_up(self) -> bool:
        """Whether nothing counts."""
        return self.counts_from_ms > self.last_ms


@dataclass(frozen=True, eq=False)
class Result:
    """All models. ``until_ms``: event time after which nothing counts."""

    findings: Mapping[str, Findings]
    stretches: Mapping[str, Stretch]
    until_ms: int | None = None
    notes: tuple[str, ...] = ()

    def counts(self, model: str, event_ms: int | None) -> bool:
        """Whether something at this event time is neither warm-up nor too late."""
        stretch = self.stretches[model]
        return event_ms is not None and stretch.counts_from_ms <= event_ms <= stretch.last_ms

    def is_shown(self, event_ms: int | None) -> bool:
        """Whether something at this event time is shown at all."""
        return event_ms is None or self.until_ms is None or event_ms <= self.until_ms

    def triggers(self, model: str) -> list[Trigger]:
        """What would have fired, without the warm-up."""
        return [each for each in self.findings[model].triggers() if self.counts(model, each.event_ms)]

    def warm_up_triggers(self, model: str) -> list[Trigger]:
        """Triggers of the warm-up, which do not count, though their cooldown does."""
        counts_from_ms = self.stretches[model].counts_from_ms
        return [each for each in self.findings[model].triggers() if each.event_ms < counts_from_ms]

    def transitions(self, model: str) -> list[Transition]:
        """All of them, those of the warm-up too."""
        return [each for each in self.findings[model].transitions if self.is_shown(each.event_ms)]

    def episodes(self, model: str) -> list[Episode]:
        """What was said about segments, begun after the warm-up or lasting into what counts; the earliest first."""
        stretch = self.stretches[model]
        found = [
            each
            for each in self.findings[model].episodes
            if self.is_shown(each.began_ms) and (each.ended_ms is None or each.ended_ms >= stretch.counts_from_ms)
        ]
        return sorted(found, key=lambda each: (each.began_ms, each.key))

    @property
    def fired(self) -> int:
        """Triggers of all models."""
        return sum(len(self.triggers(model)) for model in self.findings)


def stretch_of(found: Findings, since_ms: int | None, until_ms: int | None, warm_ms: int | None) -> Stretch | None:
    """Where warm-up ends: when the windows are full, or at ``since_ms`` if that is later. None: nothing was read.

    ``warm_ms``: another length of the warm-up. What goes on from a saved state has full windows from the start.
    """
    first_ms = found.first_ms()
    if first_ms is None:
        return None
    last_ms = max(found.last_ms if found.last_ms is not None else first_ms, first_ms)
    length = (0 if found.resumed else warm_up_ms(found.config)) if warm_ms is None else warm_ms
    return Stretch(first_ms, max(since_ms or 0, first_ms + length), last_ms if until_ms is None else min(last_ms, until_ms))
