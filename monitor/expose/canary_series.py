"""The canary test as blocks of series, in the terms of ``block``. A trial that is over has none, so that its alerts end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.canary.comparison import CanaryVerdict
from monitor.canary.trial import CanaryResult
from monitor.expose.block import ALWAYS, CLOSE, DRIFTED, EMPTY, OWN, WHOLE, Block, block_of, escape, label_text, texts
from monitor.expose.canary_findings import CLAIMS, SIDES, canary_verdict
from monitor.expose.catalogue import METRICS
from monitor.labels import LabelsEvaluated

Float64 = NDArray[np.float64]


def canary_blocks(evaluated: Sequence[LabelsEvaluated]) -> Iterator[Block]:
    """Series of all models' trials."""
    for each in evaluated:
        result = each.canary
        if result is not None and result.champion is not None and result.candidate is not None and result.serving:
            yield from _of_trial(label_text(("model", *SIDES), (each.model, result.champion, result.candidate)), result)


def _of_trial(first: str, result: CanaryResult) -> Iterator[Block]:
    verdict, _ = canary_verdict(result)
    tails = texts([f',verdict="{each.label}"}} ' for each in CanaryVerdict])
    yield _block("canary_verdict", first, EMPTY, tails, np.array([each is verdict for each in CanaryVerdict], np.int64), np.array(ALWAYS))
    if result.since_ms is not None:
        yield _block("canary_start_timestamp_seconds", first, EMPTY, CLOSE, np.array([result.since_ms / 1000]), np.array(ALWAYS))
    found = result.comparison
    if found is None:
        return
    whole = found.whole
    tails = texts([f',claim="{claim}"}} ' for claim in CLAIMS])
    claims = np.array([getattr(found, claim)[whole] for claim in CLAIMS])
    yield _block("canary_confidence_ratio", first, EMPTY, tails, claims, np.array(ALWAYS))
    heads = texts([f',segment="{escape(segment)}"' for segment in found.segments])
    worse = found.verdict == CanaryVerdict.WORSE
    urgent = np.where(worse, DRIFTED, OWN) + np.where(np.arange(len(worse)) == whole, WHOLE, 0.0)
    judged = (found.verdict != CanaryVerdict.INSUFFICIENT_DATA) & (not result.partial)
    yield _block("canary_worse", first, heads, CLOSE, np.where(judged, worse, np.nan), urgent)
    metric = texts([f',metric="{found.metric}"}} '])
    for name, values in (("", found.difference), ("_low", found.low), ("_high", found.high)):
        yield _block(f"canary_difference{name}", first, heads, metric, values, urgent)
    tails = texts([f',metric="{found.metric}",side="{side}"}} ' for side in SIDES])
    yield _block("canary_performance", first, heads, tails, found.value, urgent[:, None])
    tails = texts([f',side="{side}"}} ' for side in SIDES])
    yield _block("canary_compared_rows", first, heads, tails, found.compared.astype(np.int64), urgent[:, None])


def _block(name: str, first: str, heads: Any, tails: Any, values: NDArray[Any], urgent: Float64) -> Block:
    start = f"driftgauge_{name}{{{first}".encode("utf-8", "replace")
    return block_of(METRICS[f"driftgauge_{name}"], start, heads, tails, values, urgent)
