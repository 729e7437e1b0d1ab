"""Since when a verdict is DRIFTED."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.verdict import ShareVerdicts, Status, Verdicts

Int64 = NDArray[np.int64]


def with_onset(now: Verdicts, before: Verdicts | None) -> Verdicts:
    """``now`` with ``since_ms`` filled in, given the evaluation before it of the same window.

    ``since_ms`` is the end of the window of the first evaluation in an unbroken run of DRIFTED ones: the event time at which the
    drift was first seen, not an estimate of when it began, which is up to one window earlier. Any other status
    breaks the run, PARTIAL and INSUFFICIENT_DATA too: what was not known to last is not said to. Segments are matched by their key. Another
    reference makes another comparison and starts anew. Raises ``ValueError`` for an evaluation of another model, version or window.
    """
    if before is not None:
        identity, other = [(one.model, one.version, one.window.name) for one in (now, before)]
        if identity != other:
            raise ValueError(f"expected the evaluation before of model, version and window {identity}, got {other}")
    drifted, share_drifted = now.status == Status.DRIFTED, now.share.status == Status.DRIFTED
    since = np.where(drifted, now.window.end_ms, -1)
    share_since = np.where(share_drifted, now.window.end_ms, -1)
    if before is not None and _comparable(now, before):
        rows = np.fromiter((before.table.index.get(segment, -1) for segment in now.segments), np.intp, len(now.segments))
        _carry(since, drifted, before.since_ms, rows)
        _carry(share_since, share_drifted, before.share.since_ms, rows)
    share: ShareVerdicts = replace(now.share, since_ms=share_since)
    return replace(now, since_ms=since, share=share)


def _comparable(now: Verdicts, before: Verdicts) -> bool:
    if now.reference is None or before.reference is None:
        return False
    return now.reference.fingerprint == before.reference.fingerprint and now.statistics == before.statistics


def _carry(since: Int64, drifted: NDArray[np.bool_], earlier: Int64, rows: NDArray[np.intp]) -> None:
    matched = np.flatnonzero(rows >= 0)
    old = earlier[rows[matched]]
    lasts = drifted[matched] & (old >= 0)
    since[matched] = np.where(lasts, old, since[matched])
