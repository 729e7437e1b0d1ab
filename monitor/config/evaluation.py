"""Configuration of the comparison with the reference: when, and which differences matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import Field

from monitor.config.types import Duration, Section

STATISTICS = (
    "psi", "jensen_shannon", "ks", "wasserstein", "hellinger", "chi_square",
    "missing_rate", "invalid_rate", "unseen_rate", "out_of_range_rate",
)  # fmt: skip


_ONLY_OF = {"ks": "numeric", "wasserstein": "numeric", "unseen_rate": "categorical"}


class Thresholds(Section):
    """Smallest effect that matters, per statistic. A verdict is DRIFTED only above it and above its noise floor."""

    psi: float = Field(0.10, gt=0, description="Population stability index, bias removed.")
    jensen_shannon: float = Field(0.10, gt=0, description="Jensen-Shannon distance (square root, base 2, 0 to 1).")
    ks: float = Field(0.10, gt=0, description="Largest difference of the distribution functions, 0 to 1 (numeric only).")
    wasserstein: float = Field(0.20, gt=0, description="Earth mover's distance in reference standard deviations (numeric only).")
    hellinger: float = Field(0.10, gt=0, description="Hellinger distance, 0 to 1.")
    chi_square: float = Field(0.10, gt=0, description="Cramér's V of the 2 x bins table, 0 to 1.")
    missing_rate: float = Field(0.02, gt=0, description="Difference of the share of missing values.")
    invalid_rate: float = Field(0.01, gt=0, description="Difference of the share of values of another type, or not finite.")
    unseen_rate: float = Field(
        0.01, gt=0, description="Difference of the share of categories the reference does not have (categorical only)."
    )
    out_of_range_rate: float = Field(0.01, gt=0, description="Difference of the share of values outside the declared range or categories.")
    segment_share: float = Field(0.05, gt=0, description="Difference of a segment's share of traffic within its grouping.")


class Evaluation(Section):
    """When and how counts are compared with the reference."""

    every_ms: Duration | None = Field(
        None, alias="every", description="Event time between evaluations, a multiple of the pane; the pane when absent."
    )
    min_rows: int = Field(200, ge=1, description="Fewer rows in a window give INSUFFICIENT_DATA.")
    noise_quantile: float = Field(
        0.999, gt=0.5, lt=1, description="A verdict's noise floor is this quantile of the statistic when nothing has changed."
    )
    pooling_rows: int = Field(
        500,
        ge=0,
        description="A segment's reference borrows up to this many rows' worth from the pooled one; less, the more the segments of its"
        " grouping differ.",
    )
    thresholds: Thresholds = Field(default_factory=Thresholds, description="Smallest effects that matter.")
    feature_thresholds: dict[str, dict[str, float]] = Field(default_factory=dict, description="Overrides: feature to statistic to value.")


def threshold_mistakes(evaluation: Evaluation, kinds: Mapping[str, Callable[[], str]]) -> Iterator[str]:
    """What is wrong with the overrides; ``kinds`` says of each signal whether it is numeric or categorical, asked where it matters."""
    for name, values in evaluation.feature_thresholds.items():
        if name not in kinds:
            yield f"evaluation.feature_thresholds: expected a feature, got {name!r}"
            continue
        where = f"evaluation.feature_thresholds.{name}"
        for statistic in values:
            if statistic not in STATISTICS:
                yield f"{where}: expected statistics out of {', '.join(STATISTICS)}, got {statistic!r}"
            elif statistic in _ONLY_OF and (kind := kinds[name]()) != _ONLY_OF[statistic]:
                yield f"{where}: expected statistics of a {kind} signal, got {statistic!r}, which only a {_ONLY_OF[statistic]} one has"
