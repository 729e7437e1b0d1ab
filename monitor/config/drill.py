"""Configuration of fire drills: drifts that are planted into recent traffic to see whether they would be caught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.config.types import Duration, Section, duration

if TYPE_CHECKING:
    from monitor.config.model import ModelConfig


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"expected printable characters, got {name!r}")
    return name


class PlantedDrift(Section):
    """One drift, and where it is planted: exactly one of shift, spread, missing, moved, unseen, wrong_labels."""

    name: Annotated[str, AfterValidator(_printable)] = Field(min_length=1, max_length=100, description="Name in metrics and reports.")
    model: str | None = Field(None, description="Of this model only; of every model that has such a feature when absent.")
    feature: str | None = Field(None, description="A feature or score; the model's first that the drift fits when absent.")
    segment: str | None = Field(None, description="In this segment only, such as country=FR; everywhere when absent.")
    shift: float | None = Field(None, allow_inf_nan=False, description="numeric: added, in standard deviations of the reference.")
    spread: float | None = Field(None, gt=0, allow_inf_nan=False, description="numeric: factor on the distance from the reference's mean.")
    missing: float | None = Field(None, gt=0, le=1, description="Share of the values that goes missing.")
    moved: float | None = Field(
        None, gt=0, le=1, description="categorical: share of all rows that goes from the first category to the second."
    )
    unseen: float | None = Field(None, gt=0, le=1, description="categorical: share of the values that becomes a category nobody has seen.")
    wrong_labels: float | None = Field(
        None, gt=0, le=1, description="Share of the labels that say another class (regression: a standard deviation more)."
    )

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        given = [name for name in EFFECTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(EFFECTS)}, got {', '.join(given) or 'none'}")
        if self.shift == 0 or self.spread == 1:
            raise ValueError(f"{given[0]}: expected a drift, got none")
        if self.wrong_labels is not None and (self.feature is not None or self.segment is not None):
            raise ValueError("expected neither feature nor segment with wrong_labels: labels do not say what they are of")
        return self

    @property
    def effect(self) -> str:
        """Which of the effects it is."""
        return next(name for name in EFFECTS if getattr(self, name) is not None)

    @property
    def size(self) -> float:
        """How large, in the effect's own unit."""
        return float(getattr(self, self.effect))

    def fits(self, model: ModelConfig) -> list[str]:
        """Signals of a model that it can be planted into, in configured order; for wrong labels ``[""]`` or nothing."""
        if self.model not in (None, model.name):
            return []
        if self.effect == "wrong_labels":
            return [] if model.labels is None else [""]
        able = [each.name for each in model.features if each.type in FITTING[self.effect]]
        if FITTING[self.effect] == ("numeric",) and model.predictions.score:
            able.append("score")
        return [name for name in able if self.feature in (None, name)]


EFFECTS = ("shift", "spread", "missing", "moved", "unseen", "wrong_labels")

FITTING: Mapping[str, tuple[str, ...]] = {
    "shift": ("numeric",),
    "spread": ("numeric",),
    "missing": ("numeric", "categorical"),
    "moved": ("categorical",),
    "unseen": ("categorical",),
}
"""Types of features that can have each effect; the score is like a number that is never missing."""

STANDARD = (
    PlantedDrift(name="shift", shift=0.5),
    PlantedDrift(name="spread", spread=1.5),
    PlantedDrift(name="missing", missing=0.1),
    PlantedDrift(name="moved", moved=0.1),
    PlantedDrift(name="unseen", unseen=0.05),
    PlantedDrift(name="wrong_labels", wrong_labels=0.1),
)
"""What is planted when nothing else is configured; those that fit no feature of a model are left out."""


class Drill(Section):
    """Fire drills at regular times, in a process of their own beside `driftgauge run`."""

    every_ms: Duration = Field(duration("1d"), alias="every", description="Wall time between drills.")
    first_after_ms: Duration = Field(
        duration("10m"), alias="first_after", description="Wall time from the start of the process to the first."
    )
    traffic_ms: Duration = Field(
        duration("2d"),
        alias="traffic",
        description="Recent traffic that a drift is planted into; what fills the windows is read before it.",
    )
    give_up_ms: Duration = Field(duration("6h"), alias="give_up", description="A drill that takes longer is ended and counted as failed.")
    drifts: tuple[PlantedDrift, ...] = Field(STANDARD, min_length=1, max_length=50, description="What is planted, one after the other.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [drift.name for drift in self.drifts]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f"drifts[{index}].name: expected each only once, got {name!r} again")
        if not self.every_ms or not self.traffic_ms or not self.give_up_ms:
            raise ValueError("expected every, traffic and give_up above 0")
        return self
