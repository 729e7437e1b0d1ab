"""Timelines as inline SVG: one lane a signal over one axis of event time, triggers across all lanes, the warm-up shaded. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from monitor.expose.markup import Html, el
from monitor.expose.text import clock, number
from monitor.replay.episode import Curve

WIDTH, LEFT, RIGHT = 1120, 190, 64
LANE = 46
_PLOT = WIDTH - LEFT - RIGHT
_POINTS = 460
"""Points of a line: more could not be told apart."""

_TOP_RATIO = 4.0  # thresholds that a lane of ratios reaches; beyond is cut, and the number beside it says how far

_STEPS_MS = tuple(
    minutes * 60_000 for minutes in (1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200, 129_600, 525_600)
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at one event time."""

    time_ms: int
    text: str
    kind: str  # class of the style sheet


@dataclass(frozen=True, slots=True)
class Bar:
    """Something from one event time to another."""

    start_ms: int
    end_ms: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of the drawing: a curve, or bars, and marks."""

    name: str
    curve: Curve | None = None
    limits: Sequence[float] = ()  # levels of a metric
    is_ratio: bool = True  # values are ratios to a threshold
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """Event time from left to right."""

    start_ms: int
    end_ms: int
    warm_until_ms: int

    def x(self, time_ms: int) -> float:
        """Place of a time, within the plot."""
        share = (time_ms - self.start_ms) / max(self.end_ms - self.start_ms, 1)
        return LEFT + _PLOT * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[int]:
        """Round times, at most ten."""
        step = next((each for each in _STEPS_MS if (self.end_ms - self.start_ms) / each <= 10), _STEPS_MS[-1])
        first = -(-self.start_ms // step)
        return [tick * step for tick in range(first, self.end_ms // step + 1)][:40]


def timeline(axis: Axis, lanes: Sequence[Lane], across: Sequence[Mark], label: str) -> Html:
    """The drawing."""
    top, height = 22, 22 + LANE * len(lanes)
    shapes: list[Html] = []
    if axis.warm_until_ms > axis.start_ms:
        wide = axis.x(min(axis.warm_until_ms, axis.end_ms)) - LEFT
        title = el("title", f"warm-up, to {clock(axis.warm_until_ms)}: does not count")
        shapes.append(el("g", title, el("rect", x=LEFT, y=top, width=_n(wide), height=height - top, class_="warm")))
        if wide > 60:
            shapes.append(el("text", "warm-up", x=_n(LEFT + wide / 2), y=14, text_anchor="middle"))
    for tick in axis.ticks():
        x = _n(axis.x(tick))
        shapes.append(el("line", x1=x, x2=x, y1=top, y2=height, class_="grid"))
        text = clock(tick)
        daily = tick % 86_400_000 == 0 and axis.end_ms - axis.start_ms > 3 * 86_400_000
        shapes.append(el("text", text[5:10] if daily else text[5:], x=x, y=height + 14, text_anchor="middle"))
    for place, lane in enumerate(lanes):
        shapes += _lane(axis, lane, top + place * LANE)
    for mark in across:
        x = _n(axis.x(mark.time_ms))
        flag = f"M{x} {top - 10}l5 5l-5 5l-5-5z"
        line = el("line", x1=x, x2=x, y1=top, y2=height, class_=f"across {mark.kind}")
        shapes.append(el("g", el("title", mark.text), line, el("path", d=flag, class_=f"flag {mark.kind}")))
    return el("svg", *shapes, class_="timeline", viewBox=f"0 0 {WIDTH} {height + 22}", role="img", aria_label=label)


def _lane(axis: Axis, lane: Lane, y: int) -> list[Html]:
    inner, base = LANE - 10, y + LANE - 5
    name = lane.name if len(lane.name) <= 28 else lane.name[:27] + "…"
    shapes = [
        el("line", x1=0, x2=WIDTH, y1=y + LANE, y2=y + LANE, class_="rule"),
        el("text", el("title", lane.name), name, x=0, y=y + LANE // 2 + 4, class_="name"),
    ]
    if lane.curve is not None:
        shapes += _curve(axis, lane, lane.curve, base, inner)
    for bar in lane.bars:
        start = axis.x(bar.start_ms)
        wide = max(axis.x(bar.end_ms) - start, 2.0)
        rect = el("rect", x=_n(start), y=y + 12, width=_n(wide), height=LANE - 24, rx=2, class_=f"bar {bar.kind}")
        shapes.append(el("g", el("title", bar.text), rect))
    for mark in lane.marks:
        x = _n(axis.x(mark.time_ms))
        shapes.append(el("g", el("title", mark.text), el("path", d=f"M{x} {y + 4}l4 8h-8z", class_=f"alarm {mark.kind}")))
    return shapes


@dataclass(slots=True)
class _Drawn:
    """Points of a curve that are drawn: of several that would share one, the most extreme."""

    x: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)


def _thinned(axis: Axis, curve: Curve) -> _Drawn:
    step = max(math.ceil(len(curve.times_ms) / _POINTS), 1)
    drawn = _Drawn()
    for start in range(0, len(curve.times_ms), step):
        places = [i for i in range(start, min(start + step, len(curve.times_ms))) if curve.times_ms[i] <= axis.end_ms]
        if not places:
            continue
        known = [i for i in places if math.isfinite(curve.values[i])]
        at = max(
            known, key=lambda i: abs(curve.values[i] - (curve.reference if math.isfinite(curve.reference) else 0.0)), default=places[0]
        )
        drawn.x.append(axis.x(curve.times_ms[at]))
        drawn.value.append(curve.values[at])
        drawn.segments.append(max(curve.segments[i] for i in places))
        if curve.low:
            drawn.low.append(curve.low[at])
            drawn.high.append(curve.high[at])
    return drawn


def _curve(axis: Axis, lane: Lane, curve: Curve, base: int, inner: int) -> list[Html]:
    drawn = _thinned(axis, curve)
    known = [value for value in drawn.value if math.isfinite(value)]
    if lane.is_ratio:
        bottom, top = 0.0, min(max([1.25, *known]), _TOP_RATIO)
    else:
        levels = [*known, *(v for v in [*drawn.low, *drawn.high, curve.reference, *lane.limits] if math.isfinite(v))]
        bottom, top = min(levels, default=0.0), max(levels, default=1.0)

    def y(value: float) -> float:
        share = (value - bottom) / ((top - bottom) or 1.0)
        return base - inner * min(max(share, 0.0), 1.0)

    shapes: list[Html] = []
    if drawn.low:
        shapes += [el("path", d=path, class_="band") for path in _band(drawn, y)]
    levels = [1.0] if lane.is_ratio else list(lane.limits)
    for level in levels:
        shapes.append(el("line", x1=LEFT, x2=LEFT + _PLOT, y1=_n(y(level)), y2=_n(y(level)), class_="limit"))
    if math.isfinite(curve.reference):
        at = _n(y(curve.reference))
        shapes.append(el("line", x1=LEFT, x2=LEFT + _PLOT, y1=at, y2=at, class_="reference"))
    shapes += [el("path", d=path, class_="value") for path in _paths(drawn, y)]
    most = max(drawn.segments, default=0)
    half = _PLOT / max(len(drawn.x), 1)
    for x, segments in zip(drawn.x, drawn.segments, strict=True):
        if segments:
            opacity = f"{0.25 + 0.75 * segments / most:.2f}"
            shapes.append(el("rect", x=_n(x - half), y=base, width=_n(half + 0.4), height=4, class_="beyond", opacity=opacity))
    if known:
        unit = "×" if lane.is_ratio else ""
        worst = max(known) if lane.is_ratio else known[-1]
        shapes.append(el("text", f"{number(worst)}{unit}", x=WIDTH, y=base - inner // 2 + 4, text_anchor="end"))
    return shapes


def _runs(drawn: _Drawn) -> list[list[int]]:
    """Places without a gap between them."""
    runs: list[list[int]] = [[]]
    for place, value in enumerate(drawn.value):
        if math.isfinite(value):
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _paths(drawn: _Drawn, y: Callable[[float], float]) -> list[str]:
    found = []
    for run in _runs(drawn):
        points = [f"{_n(drawn.x[i])} {_n(y(drawn.value[i]))}" for i in run]
        found.append(f"M{points[0]}h1" if len(points) == 1 else "M" + "L".join(points))
    return found


def _band(drawn: _Drawn, y: Callable[[float], float]) -> list[str]:
    found = []
    for run in _runs(drawn):
        ends = [i for i in run if math.isfinite(drawn.low[i]) and math.isfinite(drawn.high[i])]
        if len(ends) > 1:
            there = [f"{_n(drawn.x[i])} {_n(y(drawn.high[i]))}" for i in ends]
            back = [f"{_n(drawn.x[i])} {_n(y(drawn.low[i]))}" for i in reversed(ends)]
            found.append("M" + "L".join([*there, *back]) + "z")
    return found


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
