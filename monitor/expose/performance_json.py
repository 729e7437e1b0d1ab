"""The JSON API about labels: performance with its evidence, and how labels came. Pure: a snapshot and a query to bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.evaluate.verdict import Status
from monitor.expose.against_json import Against
from monitor.expose.outcome_findings import Float64, delay_quantiles, delays_by_lag, metric_urgencies
from monitor.expose.quality_json import estimate_values, quality_values
from monitor.expose.query import Query, any_text, check_names, one_of, whole
from monitor.expose.reliability import reliability_values
from monitor.expose.selection_json import clipped_values, selection_values
from monitor.expose.snapshot import Snapshot
from monitor.expose.text import iso
from monitor.label_verdicts import LabelVerdicts
from monitor.number import finite
from monitor.performance.backlog import ModeState
from monitor.performance.delay import AGES_MS
from monitor.performance.interval import Estimate
from monitor.performance.metric import METRICS
from monitor.performance.verdict import Performance
from monitor.segment import ALL

MAX_LIMIT = 1_000
VIEWS = ("prediction_time", "label_time", "audit")
_DIRECTIONS = {1: "higher", -1: "lower", 0: None}
_MOST_WANTED = 20


def performance_json(snapshot: Snapshot, query: Query) -> bytes:
    """The metrics that the query asks for, worst first, one page of them. Raises ``BadParameterError``.

    A parameter that is given several times means any of its values. ``next_offset`` is null on the last page. With ``against``, a version,
    the metrics of the others come with their difference from those of that one.
    """
    check_names(query, ("model", "version", "view", "segment", "metric", "class", "status", "against", "limit", "offset"))
    limit, offset = whole(query, "limit", 100, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    against = Against.of(snapshot.labels, any_text(query, "against"))
    chosen_views = one_of(query, "view", VIEWS)
    found = [
        (view, *_matches(view, query))
        for _, one in _chosen(snapshot, query)
        for view in one.performances
        if (chosen_views is None or view.view in chosen_views) and (against is None or one.version not in against.versions)
    ]
    urgent = np.concatenate([urgent for _, _, urgent in found]) if found else np.zeros(0)
    places = np.concatenate([places for _, places, _ in found]) if found else np.zeros(0, np.intp)
    owner = np.repeat(np.arange(len(found)), [len(places) for _, places, _ in found])
    page = np.argsort(-urgent, kind="stable")[offset : offset + limit].tolist()
    asked = [(found[owner[at]][0], int(places[at])) for at in page]
    items = [{**_metric(one, place), **({} if against is None else {"against": against.values(one, place)})} for one, place in asked]
    return _page(snapshot, "metrics", items, len(urgent), offset, limit)


def labels_json(snapshot: Snapshot, query: Query) -> bytes:
    """How labels came: delay, coverage by age, how representative they are, what to collect next; of ALL unless segments are named.

    Raises ``BadParameterError``.
    """
    check_names(query, ("model", "version", "segment", "limit", "offset"))
    limit, offset = whole(query, "limit", 100, 1, MAX_LIMIT), whole(query, "offset", 0, 0, 10**9)
    segments = any_text(query, "segment") or frozenset({ALL})
    found = [
        (model, one, g)
        for model, one in _chosen(snapshot, query)
        for g, segment in enumerate(one.by_prediction.segments)
        if segment in segments
    ]
    modes = {evaluated.model: evaluated.backlog for evaluated in snapshot.labels}
    items = [_labels(model, one, g, modes[model]) for model, one, g in found[offset : offset + limit]]
    return _page(snapshot, "labels", items, len(found), offset, limit)


def _chosen(snapshot: Snapshot, query: Query) -> list[tuple[str, LabelVerdicts]]:
    models = one_of(query, "model", [model.name for model in snapshot.models])
    versions = any_text(query, "version")
    return [
        (evaluated.model, one)
        for evaluated in snapshot.labels
        for one in evaluated.verdicts
        if (models is None or evaluated.model in models) and (versions is None or one.version in versions)
    ]


def _page(snapshot: Snapshot, name: str, items: list[Any], total: int, offset: int, limit: int) -> bytes:
    more = offset + limit < total
    answer = {
        "taken": iso(snapshot.taken_ms),
        "total": total,
        "offset": offset,
        "limit": limit,
        "next_offset": offset + limit if more else None,
        name: items,
    }
    return msgspec.json.encode(answer) + b"\n"


def _matches(one: Performance, query: Query) -> tuple[NDArray[np.intp], Float64]:
    """Places and urgency of the metrics asked for; those that cannot be judged are last."""
    statuses = one_of(query, "status", [status.label for status in Status])
    codes = [status for status in Status if statuses is None or status.label in statuses]
    metrics = _mask(one.metrics, one_of(query, "metric", METRICS)) & _mask(one.classes, any_text(query, "class"))
    segments = _mask(one.segments, any_text(query, "segment"))
    places = np.flatnonzero(np.isin(one.metric_status, codes) & segments[:, None] & metrics)
    unjudged = (one.metric_status != Status.DRIFTED) & (one.metric_status != Status.STABLE)
    return places, (metric_urgencies(one) - 10 * unjudged).ravel()[places]


def _mask(names: Sequence[str], wanted: frozenset[str] | None) -> NDArray[np.bool_]:
    return np.array([wanted is None or name in wanted for name in names], bool)


def _metric(one: Performance, place: int) -> dict[str, Any]:
    g, m = divmod(place, len(one.metrics))
    return {
        "model": one.model,
        "version": one.version,
        "view": one.view,
        "window_start": iso(one.window.start_ms),
        "window_end": iso(one.window.end_ms),
        "segment": one.segments[g],
        "metric": one.metrics[m],
        "class": one.classes[m] or None,
        "status": Status(int(one.metric_status[g, m])).label,
        "better": _DIRECTIONS[METRICS[one.metrics[m]].better],
        "value": finite(one.value[g, m]),
        "low": finite(one.low[g, m]),
        "high": finite(one.high[g, m]),
        "reference": finite(one.reference[g, m]),
        "n": int(one.n[g, m]),
        "segment_status": Status(int(one.status[g])).label,
        "labelled": int(one.labelled[g]),
        "predictions": int(one.predictions[g]) if one.view == "prediction_time" else None,
        "coverage": finite(one.coverage[g]) if one.view == "prediction_time" else None,
        **_restatement(one, g, m),
    }


def _restatement(one: Performance, g: int, m: int) -> dict[str, Any]:
    """How often and when last revised labels changed what was reported, and what it would be with each label's first value."""
    found = one.restatement
    if found is None:
        return {"revision": None, "restated": None, "first_value": None}
    last_ms, first = int(found.last_ms[g]), found.first_value
    return {
        "revision": int(found.revision[g]),
        "restated": iso(last_ms) if last_ms else None,
        "first_value": finite(first[g, m]) if first is not None and last_ms else None,
    }


def _labels(model: str, one: LabelVerdicts, g: int, modes: Sequence[ModeState]) -> dict[str, Any]:
    segment, performance, like = one.by_prediction.segments[g], one.by_prediction, one.representativeness
    return {
        "model": model,
        "version": one.version,
        "window_start": iso(one.window.start_ms),
        "window_end": iso(one.window.end_ms),
        "segment": segment,
        "predictions": int(performance.predictions[g]),
        "labelled": int(performance.labelled[g]),
        "coverage": finite(performance.coverage[g]),
        "restated_panes": [
            {"start": iso(pane.start_ms), "end": iso(pane.end_ms), "revision": int(pane.revision[g]), "restated": iso(int(pane.last_ms[g]))}
            for pane in one.restated_panes
            if pane.revision[g]
        ],
        "coverage_uneven": Status(int(like.coverage_status[g])).label,
        "delay_seconds": {f"{p:g}": _interval(delay, g, 1_000) for p, delay in delay_quantiles(one).items()},
        "delays": [
            {"from_seconds": low, "to_seconds": high, "labels": int(rows)}
            for low, high, rows in zip(*delays_by_lag(one, g), strict=True)
        ],
        **_coverage(one, g),
        "selection": selection_values(one, g),
        "clipped": clipped_values(one, g),
        "reliability": reliability_values(one, g),
        "wanted": _wanted(one, g),
        "shortages": [
            {
                "class": each.of or None,
                "share": each.share,
                "reference_share": each.reference_share,
                "missing": each.missing,
            }
            for each in one.shortages
            if each.segment == segment
        ],
        "estimate": estimate_values(one, segment),
        "quality": quality_values(one, segment),
        "failure_modes": [
            {
                "id": mode.id,
                "predicted": mode.key[1] or None,
                "kind": mode.key[2],
                "status": mode.status.value,
                "first_seen": iso(mode.first_seen_ms),
                "owner": mode.owner,
                "fix_version": mode.fix_version,
            }
            for mode in modes
            if mode.version == one.version and mode.key[0] == segment
        ],
    }  # fmt: skip


def _coverage(one: LabelVerdicts, g: int) -> dict[str, Any]:
    coverage = one.coverage
    if coverage is None:
        return {"pending": None, "expected": None, "coverage_relative": None, "coverage_by_age": []}
    ages = [
        {"age_seconds": age // 1_000, **_interval(coverage.share[g], place)}
        for place, age in enumerate(AGES_MS.tolist())
        if math.isfinite(coverage.share.value[g, place])
    ]
    return {
        "pending": int(coverage.pending[g]),
        "expected": finite(coverage.expected[g]),
        "coverage_relative": finite(coverage.relative[g]),
        "coverage_by_age": ages,
    }


def _wanted(one: LabelVerdicts, g: int) -> dict[str, Any] | None:
    found = one.wanted
    if found is None:
        return None
    return {
        "interval_width": found.width,
        "accuracy": int(found.accuracy[g]),
        "unlabelled": int(found.unlabelled[g]),
        "classes": [
            {
                "class": of,
                "precision": int(found.precision[g, c]),
                "recall_rows": int(found.recall_rows[g, c]),
                "recall": finite(found.recall[g, c]),
            }
            for c, of in enumerate(found.classes)
        ],
        "most_wanted": [{"segment": key, "class": of, "labels": n} for key, of, n in found.ranked()[:_MOST_WANTED]],
    }


def _interval(estimate: Estimate, place: int, unit: float = 1.0) -> Mapping[str, float | None]:
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: finite(end[place] / unit) for name, end in ends.items()}
