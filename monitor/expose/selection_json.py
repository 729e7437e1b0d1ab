"""Whether labelled predictions are like the rest, and what was cut off, as JSON values. Pure."""

from __future__ import annotations

from typing import Any

from monitor.evaluate.noise import normal_quantile
from monitor.evaluate.verdict import Status
from monitor.label_verdicts import LabelVerdicts
from monitor.number import finite
from monitor.performance.classes import has_classes
from monitor.performance.interval import Estimate
from monitor.performance.representativeness import reweighted_accuracy, reweighted_positive_rate

_Z = normal_quantile(0.975)


def selection_values(one: LabelVerdicts, g: int) -> dict[str, Any]:
    """How far labelled predictions are from all over the score's cells, and two rates as if labels had come evenly over them."""
    like, counts = one.representativeness, one.by_prediction.counts.of_segment(g)
    named = counts.layout.task != "regression" and bool(has_classes(counts.confusion)[0])
    return {
        "distance": finite(like.distance[g]),
        "noise_floor": finite(like.noise[g]),
        "status": Status(int(like.status[g])).label,
        "reweighted_accuracy": _ends(reweighted_accuracy(counts, _Z)) if named else None,
        "reweighted_positive_rate": _ends(reweighted_positive_rate(counts, _Z)) if counts.layout.task == "binary" else None,
    }


def clipped_values(one: LabelVerdicts, g: int) -> dict[str, int]:
    """Labelled rows of which an error or label, or a business figure, was beyond what is kept, and cut to it."""
    counts = one.by_prediction.counts
    return {name: int(counts.sum_of(of)[g]) for name, of in (("errors", "clipped_rows"), ("kpi", "kpi_clipped_rows"))}


def _ends(found: Estimate) -> dict[str, float | None]:
    return {name: finite(getattr(found, name)[0]) for name in ("value", "low", "high")}
