"""What came of it, as lines for a person. Pure: whatever the numbers turn out to be, they are said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitor.demo.findings import date
from monitor.demo.label_answers import Metric
from monitor.demo.loop.comparison import Compared, Saved
from monitor.demo.terminal import Ink
from monitor.segment import ALL

MAX_CARRIERS = 10
FEWEST_FLIGHTS = 100
"""Of fewer flights no interval is said: the normal distribution says little of them."""

_MEASURED = {
    ("expected_cost", None): "cost a flight",
    ("recall", "1"): "late flights found",
    ("accuracy", None): "accuracy",
    ("roc_auc", "1"): "AUC",
}
_SHARES = frozenset({"recall", "accuracy"})
_CARRIER = "carrier="
_NAME_WIDTH, _COST_WIDTH, _FOUND_WIDTH = 41, 26, 20
_CELL_WIDTH = 22


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the monitor said of a version at a time."""

    version: str
    when: str
    metrics: Sequence[Metric]

    def of(self, segment: str) -> Mapping[tuple[str, str | None], Metric]:
        """Its own metrics in a segment, by name and class."""
        own = (each for each in self.metrics if each.segment == segment and each.version == self.version)
        return {(each.metric, each.of): each for each in own}


@dataclass(frozen=True, slots=True)
class Served:
    """The flights that a version answered, by it and by the version that it replaced."""

    version: str
    replaced: str
    first_ms: int
    last_ms: int
    compared: Compared


def measured(found: Sequence[Measurement], ink: Ink) -> list[str]:
    """The monitor's own figures, a version a line; each over its own window of labels, so of different weeks."""
    lines = ["", ink("bold", "Before and after in time, as the monitor measured them: each version over its last labels")]
    lines.append(ink("dim", f"  {'':<{_NAME_WIDTH}}" + "".join(name.ljust(_CELL_WIDTH) for name in _MEASURED.values()).rstrip()))
    for each in found:
        of = each.of(ALL)
        cells = "".join(_cell(of.get(key)).ljust(_CELL_WIDTH) for key in _MEASURED)
        lines.append(f"  {f'version {each.version}, {each.when}':<{_NAME_WIDTH}}{cells}".rstrip())
    return [*lines, *_carriers(found, ink), ink("dim", "  of different weeks: the season is in these figures as well as the model")]


def _carriers(found: Sequence[Measurement], ink: Ink) -> list[str]:
    """Cost a flight of each carrier with an interval, a version a column; those with the most labels first."""
    key = ("expected_cost", None)
    labelled: dict[str, int] = {}
    for each in found:
        for metric in each.metrics:
            if metric.segment.startswith(_CARRIER) and "," not in metric.segment and (metric.metric, metric.of) == key:
                labelled[metric.segment] = labelled.get(metric.segment, 0) + (metric.labelled if metric.version == each.version else 0)
    names = sorted(labelled, key=lambda name: (-labelled[name], name))
    if not names:
        return []
    lines = [
        "",
        ink(
            "dim",
            f"  {'cost a flight, by carrier':<{_NAME_WIDTH}}"
            + "".join(f"version {each.version}".ljust(_CELL_WIDTH) for each in found).rstrip(),
        ),
    ]
    for name in names[:MAX_CARRIERS]:
        cells = "".join(_cell(each.of(name).get(key)).ljust(_CELL_WIDTH) for each in found)
        lines.append(f"  {name.removeprefix(_CARRIER):<{_NAME_WIDTH}}{cells}".rstrip())
    if len(names) > MAX_CARRIERS:
        lines.append(ink("dim", f"  and {len(names) - MAX_CARRIERS} with fewer labels"))
    return lines


def worth(whole: Compared, served: Sequence[Served], carriers: Mapping[str, Compared], ink: Ink) -> list[str]:
    """The same flights, answered by version 1 alone and as they were served."""
    if not whole.flights:
        return [
            "",
            ink("bold", "What retraining was worth"),
            "  nothing can be said: no flight with a known outcome was served by a new version",
        ]
    period = f"{_day(served[0].first_ms)} to {_day(served[-1].last_ms)}"
    heads = f"{'cost a flight':<{_COST_WIDTH}}{'late flights found':<{_FOUND_WIDTH}}saved a flight"
    lines = [
        "",
        ink("bold", f"Old against new on the same {whole.flights:,} flights, of {period}"),
        ink(
            "dim", "  what an older version would have said of them was computed aside and never sent; the outcomes are those that happened"
        ),
        ink("dim", f"  {'':<{_NAME_WIDTH}}{heads}"),
        _row("version 1 alone → as served", whole, ink),
        "",
        ink("dim", "  each version against the one that it replaced, on the flights that it served"),
        *(_row(f"{each.replaced} → {each.version}, {_day(each.first_ms)} to {_day(each.last_ms)}", each.compared, ink) for each in served),
        "",
        ink("dim", "  version 1 alone → as served, by carrier"),
        *(_row(f"{name:<4}{each.flights:>8,} flights", each, ink) for name, each in carriers.items()),
        "",
        "  " + verdict(whole, ink),
    ]
    worse = [name for name, each in carriers.items() if each.flights >= FEWEST_FLIGHTS and each.saved.high < 0]
    return [*lines, f"  beyond chance it cost more of {', '.join(worse)}"] if worse else lines


def verdict(whole: Compared, ink: Ink) -> str:
    """One sentence, whatever it has to be."""
    gain = whole.saved
    if math.isnan(gain.low):
        return "too few days to say whether retraining helped"
    each = f"{abs(gain.mean):.3f} [{min(abs(gain.low), abs(gain.high)):.3f}, {max(abs(gain.low), abs(gain.high)):.3f}] a flight"
    in_all = abs(whole.saved_in_all)
    total = f"{in_all:,.0f} in all" + (f", {in_all / (whole.cost_old * whole.flights):.0%}" if whole.cost_old else "")
    if gain.low > 0:
        return ink("green", f"Retraining saved {each}, {total} of what version 1 alone would have cost")
    if gain.high < 0:
        return ink("red", f"Retraining did not help: it cost {each} more, {total} above version 1 alone")
    return ink("yellow", f"Retraining made no difference beyond chance: {_interval(gain)} a flight saved")


def _row(name: str, each: Compared, ink: Ink) -> str:
    change = f" ({each.cost_new / each.cost_old - 1:+.0%})" if each.cost_old else ""
    cost = "–" if math.isnan(each.cost_old) else f"{each.cost_old:.3f} → {each.cost_new:.3f}{change}"
    found = "–" if math.isnan(each.recall_old) else f"{each.recall_old:.0%} → {each.recall_new:.0%}"
    return f"  {name:<{_NAME_WIDTH}}{cost:<{_COST_WIDTH}}{found:<{_FOUND_WIDTH}}{_gain(each, ink)}"


def _gain(each: Compared, ink: Ink) -> str:
    if each.flights < FEWEST_FLIGHTS or math.isnan(each.saved.low):
        return ink("dim", "too few to say")
    style = "green" if each.saved.low > 0 else "red" if each.saved.high < 0 else "yellow"
    return ink(style, _interval(each.saved))  # type: ignore[arg-type]


def _interval(gain: Saved) -> str:
    return f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def _cell(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "–"
    share = metric.metric in _SHARES
    value = f"{metric.value:.1%}" if share else f"{metric.value:.3f}"
    if metric.low is None or metric.high is None:
        return value
    return f"{value} [{metric.low:.0%}, {metric.high:.0%}]" if share else f"{value} [{metric.low:.2f}, {metric.high:.2f}]"


def _day(time_ms: int) -> str:
    return date(datetime.fromtimestamp(time_ms / 1000, UTC).isoformat())
