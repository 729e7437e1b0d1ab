"""Configuration of the canary test: two versions of a model that serve side by side, compared by labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from monitor.config.judged import CLASSED, names_a_class
from monitor.config.types import Duration, Section, duration

if TYPE_CHECKING:
    from monitor.config.model import ModelConfig


class Canary(Section):
    """Which two versions are compared, by what, and what counts as worse."""

    metric: Literal["accuracy", "expected_cost"] = Field(
        "accuracy", description="What is compared: the share of right predictions, or the mean cost by labels.cost."
    )
    margin: float = Field(
        0.01,
        ge=0,
        allow_inf_nan=False,
        description="Loss that still counts as not worse, in the metric's unit: one point of accuracy, or a cost of 0.01 a prediction.",
    )
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="Probability that the interval holds the truth at all times together, not only at one look."
    )
    min_rows: int = Field(200, ge=1, description="Fewer labelled predictions of either version give INSUFFICIENT_DATA.")
    champion: str | None = Field(None, min_length=1, max_length=100, description="Version in charge; absent: the newest but one.")
    candidate: str | None = Field(None, min_length=1, max_length=100, description="Version on trial; absent: the newest.")
    idle_after_ms: Duration = Field(
        duration("6h"),
        alias="idle_after",
        description="The trial is over when either version made no prediction for this long (event time).",
    )

    @model_validator(mode="after")
    def _two_versions(self) -> Self:
        if (self.champion is None) != (self.candidate is None):
            raise ValueError("expected both champion and candidate, or neither for the newest two, got one")
        if self.champion is not None and self.champion == self.candidate:
            raise ValueError(f"expected two versions, got {self.champion!r} for champion and candidate")
        return self


def canary_mistakes(model: ModelConfig) -> Iterator[str]:
    """What the test needs of the rest of the model and does not find, with the path."""
    if model.canary is None:
        return
    if model.labels is None:
        yield "canary: expected labels beside it, got none: versions are compared by what turned out to be true"
    elif model.labels.task == "regression":
        yield "canary: expected labels with task binary or multiclass, got regression"
    elif not names_a_class(model):
        yield f"canary: expected {CLASSED}, got none: all would be wrong, of both versions"
