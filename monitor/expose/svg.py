"""Small drawings as inline SVG: histograms, a value against its threshold, parts of a whole. No style attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.expose.findings import Float64, Shares
from monitor.expose.markup import Html, el
from monitor.expose.text import percent
from monitor.profile.layout import FAULT_CELLS, Role


@dataclass(frozen=True, slots=True)
class _Bar:
    label: str
    role: Role
    now: float
    reference: float


def _bars(both: Shares, most: int) -> tuple[list[_Bar], list[_Bar]]:
    """Fault cells that occur, and value cells, neighbours merged until there are at most ``most``."""
    reference = np.zeros(len(both.now)) if both.reference is None else both.reference
    every = [_Bar(*each) for each in zip(both.labels, both.roles, both.now.tolist(), reference.tolist(), strict=True)]
    faults = [bar for bar in every[:FAULT_CELLS] if bar.now or bar.reference]
    values = every[FAULT_CELLS:]
    step = math.ceil(len(values) / most)
    merged = [_merge(values[start : start + step]) for start in range(0, len(values), step)]
    return faults, merged


def _merge(bars: Sequence[_Bar]) -> _Bar:
    label = bars[0].label if len(bars) == 1 else f"{bars[0].label} … {bars[-1].label}"
    return _Bar(label, bars[0].role, sum(bar.now for bar in bars), sum(bar.reference for bar in bars))


def histogram(both: Shares, *, large: bool = False) -> Html:
    """Bars: now. Line: the reference. Bins side by side, not to scale; missing, invalid and non-finite apart on the left.

    The tallest value fills the height; a bar of faults that would be taller is cut, and shows it. A large drawing has names
    below its bars, the share of the tallest value, and that of what was cut.
    """
    width, height, most = (1080, 200, 120) if large else (150, 40, 40)
    faults, values = _bars(both, most)
    gap = width * 0.03 if faults and values else 0.0
    bars = [*faults, *values]
    step = (width - gap) / max(len(bars), 1)
    top = _tallest(values) or _tallest(faults) or 1.0
    scale = (height - 2) / top
    shapes: list[Html] = []
    outline: list[str] = []
    names: list[Html] = []
    every = math.ceil(len(bars) * 110 / width)  # a name takes 110 units
    for index, bar in enumerate(bars):
        x = index * step + (gap if index >= len(faults) else 0.0)
        spoiled = index < len(faults) or bar.role in (Role.UNSEEN, Role.OUT_OF_RANGE)
        cut = bar.now > top
        shapes.append(_bar(bar, x, step, height, min(bar.now, top) * scale, "bad" if spoiled else "now", cut=cut))
        level = _n(height - max(min(bar.reference, top) * scale, 0.5))
        outline.append(f"{'M' if index in (0, len(faults)) else 'L'}{_n(x)} {level}H{_n(x + step)}")
        if large and index % every == 0:
            label = bar.label if len(bar.label) <= 14 else bar.label[:13] + "…"
            names.append(el("text", label, x=_n(x + step / 2), y=height + 16, text_anchor="middle"))
        if large and cut:
            names.append(el("text", percent(bar.now), x=_n(x + step / 2), y=-6, text_anchor="middle"))
        if large and index == len(faults):
            names.append(el("text", percent(top), x=_n(x + (60 if faults else 0)), y=-6))
    line = el("path", d="".join(outline), class_="ref") if both.reference is not None and outline else None
    frame = f"-30 -20 {width + 60} {height + 42}" if large else f"0 0 {width} {height}"
    size = {} if large else {"width": width, "height": height}
    kind = "hist large" if large else "hist"
    return el("svg", *shapes, line, *names, class_=kind, viewBox=frame, role="img", aria_label=_spoken(both), **size)


def _tallest(bars: Sequence[_Bar]) -> float:
    return max((max(bar.now, bar.reference) for bar in bars), default=0.0)


def _bar(bar: _Bar, x: float, step: float, height: int, tall: float, kind: str, *, cut: bool) -> Html:
    pad = min(step * 0.12, 1.5)
    return el(
        "g",
        el("title", f"{bar.label}: {percent(bar.now)} now, {percent(bar.reference)} in the reference"),
        # The hover area has the full height: a bar of no height could not be pointed at.
        el("rect", x=_n(x), y=0, width=_n(step), height=height, class_="hit"),
        el("rect", x=_n(x + pad), y=_n(height - tall), width=_n(step - 2 * pad), height=_n(tall), class_=kind),
        el("line", x1=_n(x), x2=_n(x + step), y1=_n(height * 0.3), y2=_n(height * 0.2), class_="cut") if cut else None,
    )


def _spoken(both: Shares) -> str:
    if both.reference is None:
        return "Distribution now; there is no reference."
    cell = int(np.argmax(np.abs(both.now - both.reference)))
    return (
        f"Distribution now against the reference. Largest change: {both.labels[cell]}, "
        f"{percent(float(both.reference[cell]))} in the reference, {percent(float(both.now[cell]))} now."
    )


def against_threshold(ratio: float, *, drifted: bool, width: int = 80) -> Html:
    """A bar of the value in units of its threshold; the tick is the threshold, a quarter of the width.

    Linear up to the threshold, from there logarithmic to 64 times, so that 5 and 15 times can be told apart.
    """
    tick = width / 4
    shown = 0.0
    if math.isfinite(ratio):
        shown = tick * ratio if ratio < 1 else tick + (width - tick) * min(math.log(ratio, 64), 1.0)
    label = f"{ratio:.1f} times the threshold" if math.isfinite(ratio) else "undefined"
    return el(
        "svg",
        el("rect", x=0, y=4, width=width, height=6, rx=3, class_="track"),
        el("rect", x=0, y=4, width=_n(shown), height=6, rx=3, class_="over" if drifted else "under"),
        el("line", x1=_n(tick), x2=_n(tick), y1=0, y2=14, class_="tick"),
        class_="meter", viewBox=f"0 0 {width} 14", width=width, height=14, role="img", aria_label=label,
    )  # fmt: skip


def parts(shares: Sequence[tuple[str, str, float]], label: str) -> Html:
    """A bar made of parts: name, class and share of each. A part that exists can always be seen."""
    width, x = 1000.0, 0.0
    shapes: list[Html] = []
    sizes: Float64 = np.array([max(share * width, 3.0) if share > 0 else 0.0 for _, _, share in shares])
    sizes *= width / max(float(sizes.sum()), 1e-9)
    for (name, kind, share), wide in zip(shares, sizes.tolist(), strict=True):
        if wide:
            shapes.append(el("rect", el("title", f"{name}: {percent(share)}"), x=_n(x), y=0, width=_n(wide), height=10, class_=kind))
        x += wide
    return el("svg", *shapes, class_="parts", viewBox="0 0 1000 10", preserveAspectRatio="none", role="img", aria_label=label)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
