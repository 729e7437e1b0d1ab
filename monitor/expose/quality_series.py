"""The estimate without labels, and the quality of labels, as blocks of series, in the terms of ``block``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.expose.block import ALWAYS, CLOSE, EMPTY, OWN, WHOLE, Block, block_of, escape, label_text, texts
from monitor.expose.catalogue import METRICS
from monitor.label_verdicts import LabelVerdicts
from monitor.performance.interval import Estimate
from monitor.segment import ALL

Float64 = NDArray[np.float64]

MAX_ANNOTATORS = 100
"""Annotators with most labels get a series each."""


def quality_blocks(first: str, one: LabelVerdicts) -> Iterator[Block]:
    """Series of one version; ``first`` are its labels."""
    yield from _estimates(first, one)
    quality = one.quality
    if quality is None:
        return
    tails = texts([f',statistic="{name}"}} ' for name in ("fleiss", "krippendorff")])
    values = np.array([float(quality.fleiss.value), float(quality.krippendorff.value)])
    yield _block("label_agreement", first, EMPTY, tails, values, np.array(ALWAYS))
    for name, estimate in (("label_disagreement_ratio", quality.disagreement), ("label_flip_ratio", quality.flip_rate)):
        yield _by_segment(name, first, quality.segments, np.where(estimate.n > 0, estimate.value, np.nan))
    agreement = named_annotators(one, quality.consensus_agreement)
    tails = texts([f",{label_text(('annotator',), (name,))}}} " for name, _ in agreement])
    places = np.array([place for _, place in agreement], np.intp)
    yield _block("annotator_agreement_ratio", first, EMPTY, tails, quality.consensus_agreement.value[places], np.array(WHOLE))


def named_annotators(one: LabelVerdicts, agreement: Estimate) -> list[tuple[str, int]]:
    """Names and places of the annotators with most labels that others judged too."""
    known = [place for place in np.flatnonzero(agreement.n > 0).tolist() if place < len(one.annotators)]
    known.sort(key=lambda place: (-int(agreement.n[place]), one.annotators[place]))
    return [(one.annotators[place] or "none", place) for place in known[:MAX_ANNOTATORS]]


def _estimates(first: str, one: LabelVerdicts) -> Iterator[Block]:
    estimate, errors = one.estimate, one.estimate_errors
    if estimate is not None:
        for name, values in (
            ("estimated_accuracy_ratio", estimate.value),
            ("estimated_accuracy_low_ratio", estimate.low),
            ("estimated_accuracy_high_ratio", estimate.high),
            ("estimate_rectified", np.where(np.isfinite(estimate.value), estimate.rectified, np.nan)),
        ):
            yield _by_segment(name, first, estimate.segments, values)
    if errors is not None:
        yield _by_segment("estimate_absolute_error_ratio", first, errors.segments, errors.mean_absolute_error)
        yield _by_segment("estimate_covered_ratio", first, errors.segments, errors.coverage)


def _by_segment(name: str, first: str, segments: Sequence[str], values: NDArray[Any]) -> Block:
    heads = texts([f',segment="{escape(segment)}"' for segment in segments])
    urgent = np.where(np.array(segments) == ALL, WHOLE, OWN)
    return _block(name, first, heads, CLOSE, values, urgent)


def _block(name: str, first: str, heads: Any, tails: Any, values: NDArray[Any], urgent: Float64) -> Block:
    start = f"driftgauge_{name}{{{first}".encode("utf-8", "replace")
    return block_of(METRICS[f"driftgauge_{name}"], start, heads, tails, values, urgent)
