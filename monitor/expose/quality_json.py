"""The estimate without labels, and the quality of labels, as JSON values. Pure."""

from __future__ import annotations

from typing import Any

from monitor.expose.quality_series import named_annotators
from monitor.expose.text import iso
from monitor.label_verdicts import LabelVerdicts
from monitor.number import finite
from monitor.performance.interval import Estimate
from monitor.segment import ALL


def estimate_values(one: LabelVerdicts, segment: str) -> dict[str, Any] | None:
    """Accuracy of the newest predictions of a segment, and how right such estimates were before; None where there is none."""
    found, errors, window = one.estimate, one.estimate_errors, one.estimate_window
    if found is None or window is None or segment not in found.segments:
        return None
    row = found.segments.index(segment)
    before = None
    if errors is not None and segment in errors.segments:
        past = errors.segments.index(segment)
        before = {
            "windows": int(errors.windows[past]),
            "mean_error": finite(errors.mean_error[past]),
            "mean_absolute_error": finite(errors.mean_absolute_error[past]),
            "covered": finite(errors.coverage[past]),
        }
    return {
        "window_start": iso(window.start_ms),
        "window_end": iso(window.end_ms),
        "accuracy": finite(found.value[row]),
        "low": finite(found.low[row]),
        "high": finite(found.high[row]),
        "predictions": int(found.n[row]),
        "labelled": int(found.labelled[row]),
        "from_scores_alone": finite(found.table_value[row]),
        "rectified": bool(found.rectified[row]),
        "before": before,
    }


def quality_values(one: LabelVerdicts, segment: str) -> dict[str, Any] | None:
    """Agreement of annotators and how labels change; None where labels name neither annotator nor confidence nor version."""
    quality = one.quality
    if quality is None or segment not in quality.segments:
        return None
    row = quality.segments.index(segment)
    own = {
        "disagreement": _estimate(quality.disagreement, row),
        "flip_rate": _estimate(quality.flip_rate, row),
        "redefined_flip_rate": _estimate(quality.redefined_flip_rate, row),
    }
    if segment != ALL:
        return own
    agreement = quality.consensus_agreement
    return own | {
        "fleiss_kappa": _estimate(quality.fleiss),
        "krippendorff_alpha": _estimate(quality.krippendorff),
        "cohen_kappa": [
            {"annotators": [one.annotators[i] or None, one.annotators[j] or None], **_estimate(quality.cohen, place)}
            for place, (i, j) in enumerate(quality.cohen_pairs)
            if quality.cohen.n[place] and j < len(one.annotators)
        ],
        "annotators": [{"annotator": name, **_estimate(agreement, place)} for name, place in named_annotators(one, agreement)],
        "confidence": [finite(share) for share in quality.confidence.tolist()],
        "definition_shift": [
            _estimate(quality.definition_shift, place) | {"noise_floor": finite(quality.definition_noise[place])}
            for place in range(len(quality.definition_noise))
            if quality.definition_shift.n[place]
        ],
    }


def _estimate(found: Estimate, place: int | None = None) -> dict[str, Any]:
    def at(array: Any) -> Any:
        return array if place is None else array[place]

    return {name: finite(at(getattr(found, name))) for name in ("value", "low", "high")} | {"n": int(at(found.n))}
