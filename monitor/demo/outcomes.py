"""What the labels say, as lines for a person: performance by segment, how labels came, and the estimate before they did. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.demo.findings import date
from monitor.demo.label_answers import Labelling, Metric
from monitor.demo.terminal import Ink
from monitor.segment import ALL

_NAMES = {
    ("accuracy", None): "accuracy",
    ("roc_auc", "1"): "AUC",
    ("recall", "1"): "late flights found",
    ("precision", "1"): "warnings that were right",
    ("brier", None): "Brier score",
    ("ece", None): "calibration error",
    ("expected_cost", None): "cost a flight",
}
_SHARES = frozenset({"accuracy", "recall", "precision"})
_SEGMENTS = 8
_AGES_SECONDS = (3_600, 10_800, 21_600, 43_200, 86_400)


def performance(metrics: Sequence[Metric], labelling: Sequence[Labelling], ink: Ink) -> list[str]:
    """How well the model did in the last window of its predictions, against its validation, and where it does worst."""
    of = {(each.metric, each.of): each for each in metrics if each.segment == ALL}
    if ("accuracy", None) not in of:
        return []
    whole = of["accuracy", None]
    covered = (
        "" if whole.coverage is None else f", {whole.coverage:.1%} of the flights of {date(whole.window_start)} to {date(whole.window_end)}"
    )
    lines = ["", ink("bold", f"How right it was, by {whole.labelled:,} labels{covered}")]
    for key, name in _NAMES.items():
        if key in of:
            lines.append(_metric(name, of[key], ink))
    lines += _segments([each for each in metrics if each.metric == "accuracy" and each.segment != ALL], ink)
    for each in labelling:
        lines += _labels(each, ink)
    return lines


def _metric(name: str, found: Metric, ink: Ink) -> str:
    before = "" if found.reference is None else f", {_value(found.metric, found.reference)} in January and February"
    verdict = {"drifted": ink("red", "  worse, beyond chance"), "stable": ""}.get(found.status, f"  {found.status.replace('_', ' ')}")
    return f"  {ink('cyan', name.ljust(25))}{_value(found.metric, found.value)} {_interval(found)}{before}{verdict}"


def _segments(found: Sequence[Metric], ink: Ink) -> list[str]:
    """Carriers and origins, the worst change first."""
    plain = [each for each in found if "," not in each.segment and each.value is not None and each.status != "insufficient_data"]
    plain.sort(key=lambda each: (each.value or 0.0) - (each.reference or each.value or 0.0))
    if not plain:
        return []
    lines = [f"  {ink('dim', 'by carrier and origin: accuracy, furthest below January and February first')}"]
    for each in plain[:_SEGMENTS]:
        before = "" if each.reference is None else f" after {each.reference:.1%}"
        mark = ink("red", "  worse") if each.status == "drifted" else ""
        lines.append(f"    {each.segment:<15}{_value('accuracy', each.value)} {_interval(each)}{before}, {each.labelled:,} labels{mark}")
    if len(plain) > _SEGMENTS:
        lines.append(f"    and {len(plain) - _SEGMENTS} more")
    return lines


def _labels(found: Labelling, ink: Ink) -> list[str]:
    delays = ", ".join(
        f"{float(name):.0%} within {(delay.value or 0.0) / 3_600:.1f} h"
        for name, delay in found.delay_seconds.items()
        if delay.value is not None
    )
    ages = {each.age_seconds: each.value for each in found.coverage_by_age}
    shares = ", ".join(f"{ages[age]:.0%} by {age // 3_600} h" for age in _AGES_SECONDS if ages.get(age) is not None)
    lines = ["", ink("bold", "Labels, at the arrival of each flight"), f"  delay      {delays}"]
    if shares:
        lines.append(f"  coverage   {shares}; cancelled and diverted flights never get one")
    if found.wanted is not None and found.wanted.accuracy:
        lines.append(f"  collect    {found.wanted.accuracy:,} more for an interval of {found.wanted.interval_width:.0%} of the accuracy")
    return [*lines, *_estimate(found, ink)]


def _estimate(found: Labelling, ink: Ink) -> list[str]:
    estimate = found.estimate
    if estimate is None or estimate.accuracy is None:
        return []
    window = f"{date(estimate.window_start)} to {date(estimate.window_end)}"
    interval = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.1%}, {estimate.high:.1%}]"
    said = "" if not estimate.rectified else ink("yellow", ", corrected: labels say otherwise than the scores")
    lines = [
        f"  estimate   {estimate.accuracy:.1%}{interval} of {estimate.predictions:,} flights of {window},"
        f" {estimate.labelled:,} of them labelled{said}"
    ]
    before = estimate.before
    if before is not None and before.windows and before.mean_absolute_error is not None and before.covered is not None:
        lines.append(
            f"             {before.windows} earlier estimates, made before all labels were there, were off by"
            f" {before.mean_absolute_error * 100:.2f} points on average; {before.covered:.0%} of their intervals held the truth"
        )
    return lines


def _value(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" if metric in _SHARES else f"{value:.3f}"


def _interval(found: Metric) -> str:
    if found.low is None or found.high is None:
        return ""
    return f"[{_value(found.metric, found.low)}, {_value(found.metric, found.high)}]"
