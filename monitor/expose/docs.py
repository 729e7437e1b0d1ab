"""docs/metrics.md from the catalogue: ``python -m monitor.expose.docs docs/metrics.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from monitor.expose.catalogue import CATALOGUE, Metric
from monitor.expose.label_names import KINDS, LABEL_OUTCOMES, LABELS

_GROUPS = {
    "drift": (
        "Drift",
        "What is concluded about the models. Rendered once per evaluation, and served from memory after that. At most "
        "`http.max_series` of these series are exposed: counts per window and thresholds always, then the drifted segments, "
        "the drifted statistics, the whole traffic (`ALL`), the other segments, and the other statistics by value / threshold. "
        "`driftgauge_series_left_out` says how many are missing. A statistic that is undefined has no series, never a zero or a NaN; "
        "a segment that vanishes takes its series with it. Noise floors and worst bins are in `/api/v1/verdicts`.",
    ),
    "detection": (
        "Detection",
        "What the sequential detectors say, under `detection` of a model: streams over the values and the faults of each signal, the "
        "error rate and the label rate, in each segment and in `ALL`. Evidence does not wait for windows. Levels: a `trigger` is what "
        "`detection.false_alarms` budgets for, and stands until it is re-armed (`driftgauge control rebaseline`) or another reference "
        "is taken; a `warning` needs a thousandth of its evidence. All alarms, with intervals and the cells that moved, are in "
        "`/api/v1/alarms`.",
    ),
    "performance": (
        "Performance and labels",
        "What labels say, of models that have them. Rendered with the drift series, once per evaluation, and under the same "
        "cap: segments by conclusion always, then segments and metrics that are worse than in the reference, the whole traffic,"
        " and the rest by their distance from the reference. What is unknown has no series. Intervals are at 95 %; whether a "
        "metric counts as worse is judged more strictly, for all metrics of a segment together. Everything a conclusion rests "
        "on is in `/api/v1/performance`.",
    ),
    "canary": (
        "Canary",
        "Two versions of a model that serve side by side, compared by labels under `canary` of a model; [canary.md](canary.md) says how. "
        "Rendered with the series above and under the same cap: the verdict always, then segments that are worse. Absent while fewer "
        "than two versions serve, so that an alert ends with its trial.",
    ),
    "retraining": (
        "Retraining",
        "What is decided under `retraining` of a model. `driftgauge_retrain_required` stays 1 from one scrape to the next until somebody "
        "acknowledges the trigger, a new version of the model is seen, or `retraining.expire_after` of wall time has passed.",
    ),
    "pipeline": (
        "Pipeline",
        "What the monitor did and how far it is. Totals of messages and rows are part of the saved state: they go on after a "
        "restart and always agree with the counts. Failures, reconnects, dead letters and durations are those of this process.",
    ),
    "process": ("Process", "The operating system's view, as from every Prometheus client."),
}


def metrics_markdown() -> str:
    """The whole page."""
    lines = [
        "# Metrics",
        "",
        "Generated from `monitor/expose/catalogue.py` by `python -m monitor.expose.docs docs/metrics.md`.",
        "",
        "`/metrics` speaks the text format 0.0.4 of Prometheus, compressed with gzip when asked. Units are base units: seconds, bytes, "
        "ratios from 0 to 1. Times are seconds since 1970-01-01 UTC.",
    ]
    for group, (title, text) in _GROUPS.items():
        lines += ["", f"## {title}", "", text, "", "| metric | type | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(metric) for metric in CATALOGUE if metric.group == group]
    lines += ["", "## Labels", "", "| label | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in LABELS.items()]
    lines += ["", "## Kinds", "", "| metric | kind | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{metric}` | `{kind}` | {meaning} |" for metric, kinds in KINDS.items() for kind, meaning in kinds.items()]
    lines += ["", "## Outcomes of labels", "", "| outcome | meaning |", "| --- | --- |"]
    lines += [f"| `{outcome}` | {meaning} |" for outcome, meaning in LABEL_OUTCOMES.items()]
    return "\n".join([*lines, ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {metric.unit or '–'} | {labels or '–'} | {metric.help} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(metrics_markdown(), encoding="utf-8")
