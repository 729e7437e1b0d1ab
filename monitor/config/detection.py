"""Configuration of detection: one number for false alarms, and the smallest effects that matter."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from monitor.config.types import Duration, Section, duration


class FalseAlarms(Section):
    """How many false triggers are acceptable over all streams of a model: the one number of detection."""

    at_most: float = Field(1.0, gt=0, allow_inf_nan=False, description="Expected false triggers in the period, at most.")
    per_ms: Duration = Field(duration("30d"), alias="per", description="The period, in event time; at least an hour.")

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.per_ms < 3_600_000:
            raise ValueError("per: expected at least 1h")
        return self


class Effects(Section):
    """Smallest effects that matter: a smaller one is part of what is normal and never triggers, however long it lasts."""

    numeric: float = Field(0.03, gt=0, lt=1, description="Shift of a numeric signal in its standard deviations, or its spread in parts.")
    categorical: float = Field(0.025, gt=0, lt=1, description="Change of a category's odds, in parts.")
    missing: float = Field(0.025, gt=0, lt=1, description="Change of the odds of a missing, invalid or not finite value, in parts.")
    outcome: float = Field(0.025, gt=0, lt=1, description="Change of the odds of a wrong answer or a positive label, in parts.")


class Detection(Section):
    """Sequential detection of drift: warnings and triggers with a promised rate of false ones, for every version with a reference."""

    enabled: bool = Field(True, description="Whether streams are watched; distances of windows are judged in any case.")
    false_alarms: FalseAlarms = Field(default_factory=FalseAlarms, description="Acceptable false triggers.")
    effects: Effects = Field(default_factory=Effects, description="Smallest effects that matter.")
    max_streams: int = Field(
        100_000,
        gt=0,
        description="Most streams of a version, which memory and time grow with; ALL is watched always, then segments with the most"
        " reference rows.",
    )
    signal_effects: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict,
        description="Overrides: a feature, score or predicted_class to the smallest effect of its values that matters.",
    )

    def gate(self, signal: str, kind: str) -> float:
        """Smallest effect that matters for a signal's values (``numeric``, ``categorical``), faults (``missing``) or outcomes."""
        if kind in ("numeric", "categorical") and signal in self.signal_effects:
            return self.signal_effects[signal]
        return float(getattr(self.effects, kind))
