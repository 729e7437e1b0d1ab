"""The JSON API of the canary test: what a gate, a rollout tool or a person asks. Pure: a snapshot and a query to bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.canary.comparison import CanaryVerdict, Comparison
from monitor.canary.trial import CanaryResult
from monitor.expose.canary_findings import CLAIMS, SIDES, canary_verdict, worst_first
from monitor.expose.query import BadParameterError, Query, any_text, check_names, one_of, whole
from monitor.expose.snapshot import Snapshot
from monitor.expose.text import iso
from monitor.number import finite

MAX_SEGMENTS = 1_000


def canary_json(snapshot: Snapshot, query: Query) -> bytes:
    """Each model's trial: the verdict on all traffic, and segments, worst first. Raises ``BadParameterError``.

    With ``champion`` or ``candidate`` the answer is about these versions, or says that others are compared; so a rollout that has just
    begun is undecided, never an error. ``segment`` chooses segments; ``limit`` bounds them.
    """
    check_names(query, ("model", *SIDES, "segment", "limit"))
    for name in SIDES:
        if len(query.get(name, ())) > 1:
            raise BadParameterError(name, "one version", ", ".join(query[name]))
    limit = whole(query, "limit", 20, 0, MAX_SEGMENTS)
    # Which models there are is not known while the process starts: that is no reason to give a rollout up.
    tested = [model.name for model in snapshot.models if model.canary] if snapshot.models else list(query.get("model", ()))
    models = one_of(query, "model", tested)
    wanted = {side: query[side][0] for side in SIDES if side in query}
    segments = any_text(query, "segment")
    found = {each.model: each.canary for each in snapshot.labels}
    answer = {
        "taken": iso(snapshot.taken_ms),
        "canaries": [
            {"model": name, **_trial(found.get(name), wanted, segments, limit)} for name in tested if models is None or name in models
        ],
    }
    return msgspec.json.encode(answer) + b"\n"


def _trial(result: CanaryResult | None, wanted: dict[str, str], segments: frozenset[str] | None, limit: int) -> dict[str, Any]:
    verdict, reason = canary_verdict(result)
    compared = {"champion": None if result is None else result.champion, "candidate": None if result is None else result.candidate}
    others = any(compared[side] != version for side, version in wanted.items())
    if result is None or others:
        if others and compared["champion"] is not None:
            reason = f"versions {compared['champion']} and {compared['candidate']} are compared"
        return {**compared, **wanted, "compared": False, "verdict": CanaryVerdict.INSUFFICIENT_DATA.label, "reason": reason}
    settings, comparison = result.settings, result.comparison
    return {
        **compared,
        "compared": comparison is not None,
        "verdict": verdict.label,
        "reason": reason,
        "margin": settings.margin,
        "confidence": settings.confidence,
        "min_rows": settings.min_rows,
        "since": iso(result.since_ms),
        "labels_until": iso(result.end_ms),
        "serving": result.serving,
        "partial": result.partial,
        "trial": result.number,
        "metric": None if comparison is None else comparison.metric,
        "all": None if comparison is None else _segment(comparison, comparison.whole) | {"verdict": verdict.label},
        "segments_worse": None if comparison is None else int((comparison.verdict == CanaryVerdict.WORSE).sum() - _is_worse(comparison)),
        "segments": []
        if comparison is None
        else [_segment(comparison, place) for place in worst_first(result) if segments is None or comparison.segments[place] in segments][
            :limit
        ],
    }


def _is_worse(found: Comparison) -> int:
    return int(found.verdict[found.whole] == CanaryVerdict.WORSE)


def _segment(found: Comparison, place: int) -> dict[str, Any]:
    return {
        "segment": found.segments[place],
        "verdict": CanaryVerdict(int(found.verdict[place])).label,
        "difference": finite(found.difference[place]),
        "low": finite(found.low[place]),
        "high": finite(found.high[place]),
        "confidence": {claim: float(getattr(found, claim)[place]) for claim in CLAIMS},
        **{
            side: {
                "value": finite(found.value[place, number]),
                "as_served": finite(found.plain[place, number]),
                "labelled_rows": int(found.labelled[place, number]),
                "compared_rows": int(found.compared[place, number]),
            }
            for number, side in enumerate(SIDES)
        },
    }
