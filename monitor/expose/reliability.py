"""Whether a score of 0.8 is right eight times in ten, in one segment: the bins as they are shown, as JSON values and as a drawing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.evaluate.noise import normal_quantile
from monitor.expose.markup import Html, el
from monitor.expose.text import count, percent
from monitor.label_verdicts import LabelVerdicts
from monitor.number import finite
from monitor.performance.calibration import reliability, score_bounds

_Z = normal_quantile(0.975)
_SIDE = 200


@dataclass(frozen=True, slots=True)
class Bin:
    """One cell of the score that has labels: what it says, between which scores, and how often it was so."""

    score: float
    start: float
    end: float
    observed: float
    low: float
    high: float
    rows: int

    @property
    def holds(self) -> bool:
        """Whether what was observed can be what the score says."""
        return self.low <= self.score <= self.high


@dataclass(frozen=True, slots=True)
class Shown:
    """The bins of a segment, by score. ``noise``: the plain calibration error that a calibrated model reaches with these rows."""

    bins: tuple[Bin, ...]
    noise: float


def reliability_of(one: LabelVerdicts, g: int) -> Shown | None:
    """Of the ``g``-th segment, by time of the prediction; None for a regression."""
    counts = one.by_prediction.counts
    if counts.layout.task == "regression":
        return None
    found = reliability(counts.of_segment(g), _Z, one.score_means)
    columns = (found.place, *score_bounds(counts.layout), found.observed.value[0], found.observed.low[0], found.observed.high[0])
    with_rows = np.flatnonzero((found.observed.n[0] > 0) & ~np.isnan(found.place))
    numbers = np.stack(columns, axis=1)[with_rows].tolist()
    rows = found.observed.n[0, with_rows].tolist()
    bins = [Bin(at, start, end, seen, low, high, n) for (at, start, end, seen, low, high), n in zip(numbers, rows, strict=True)]
    return Shown(tuple(sorted(bins, key=lambda each: each.score)), float(found.noise[0]))


def reliability_values(one: LabelVerdicts, g: int) -> dict[str, Any] | None:
    """Bins and noise as JSON values; None for a regression."""
    found = reliability_of(one, g)
    if found is None:
        return None
    names = ("score", "start", "end", "observed", "low", "high", "rows")
    return {"noise": finite(found.noise), "bins": [{name: getattr(each, name) for name in names} for each in found.bins]}


def _said(each: Bin) -> str:
    return f"score {each.score:.3g}: {percent(each.observed)} of {count(each.rows)} rows, {percent(each.low)} to {percent(each.high)}"


def reliability_chart(found: Shown) -> Html:
    """Score to the right, how often it was so upwards, with intervals; on the dashed line a score is what it says."""

    def y(of: float) -> str:
        return f"{(1 - of) * _SIDE:.1f}"

    marks = [
        el(
            "g",
            el("title", _said(each)),
            el("line", x1=x, x2=x, y1=y(each.low), y2=y(each.high), class_="whisker" if each.holds else "bad whisker"),
            el("circle", cx=x, cy=y(each.observed), r=3, class_="dot-value"),
        )
        for each in found.bins
        for x in (f"{each.score * _SIDE:.1f}",)
    ]  # fmt: skip
    ends = [el("text", text, x=x, y=_SIDE + 14, text_anchor=anchor) for text, x, anchor in (("score 0", 0, "start"), ("1", _SIDE, "end"))]
    beyond = sum(not each.holds for each in found.bins)
    return el(
        "svg",
        el("rect", x=0, y=0, width=_SIDE, height=_SIDE, class_="frame"),
        el("line", x1=0, y1=_SIDE, x2=_SIDE, y2=0, class_="ideal"),
        *marks,
        *ends,
        class_="hist reliability", viewBox=f"-6 -6 {_SIDE + 12} {_SIDE + 26}", role="img",
        aria_label=f"Reliability: in {beyond} of {len(found.bins)} bins the score is outside the interval of what was observed",
    )  # fmt: skip
