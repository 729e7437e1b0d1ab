"""A replay's result as one HTML file: no script, nothing from elsewhere. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from monitor.config.model import ModelConfig
from monitor.decide.state import Phase, Trigger
from monitor.expose.markup import Html, el, join, table
from monitor.expose.style import STYLE
from monitor.expose.text import clock, count, number, span
from monitor.replay.episode import Curve, Episode
from monitor.replay.result import Result
from monitor.replay.said import transition_text
from monitor.replay.timeline import Axis, Bar, Lane, Mark, timeline

MAX_LANES = 60
MAX_ROWS = 200
_BY_ITSELF = ("accuracy", "expected_cost", "rmse")

_STYLE = """
.timeline{display:block;width:100%;height:auto}.timeline text{font-size:11px;fill:var(--soft)}
.timeline .name{fill:var(--ink);font-size:12px}
.timeline .rule{stroke:var(--line)}.timeline .grid{stroke:var(--line);stroke-dasharray:2 3}.timeline .warm{fill:var(--fill)}
.timeline .value{fill:none;stroke:var(--now);stroke-width:1.4}.timeline .band{fill:var(--now);opacity:.16}
.timeline .limit{stroke:var(--bad);stroke-width:1;stroke-dasharray:4 3}.timeline .reference{stroke:var(--ink);opacity:.45;stroke-width:1}
.timeline .beyond{fill:var(--bad)}.timeline .bar.pending{fill:var(--warn);opacity:.45}.timeline .bar.withheld{fill:var(--warn)}
.timeline .bar.required{fill:var(--bad)}.timeline .bar.acknowledged,.timeline .bar.superseded{fill:var(--link);opacity:.6}
.timeline .alarm{fill:var(--bad)}.timeline .alarm.warning,.timeline .alarm.river{fill:var(--warn)}
.timeline .across{stroke:var(--bad);stroke-width:1.2}.timeline .flag{fill:var(--bad)}
.timeline .early{opacity:.35}
main{padding-top:20px}
""".strip()


def page(result: Result) -> bytes:
    """The page."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{result.fired} triggers · replay · driftgauge"),
        el("style", Html(STYLE + "\n" + _STYLE)),
    )
    top = el("header", el("div", el("span", "driftgauge replay", class_="brand"), class_="wrap"), class_="top")
    content = el(
        "main",
        [el("p", note, class_="notice") for note in result.notes],
        [_model(result, model) for model in result.findings],
        class_="wrap",
    )
    foot = el("footer", "Event time, UTC. Nothing was delivered, committed or served.", class_="wrap")
    return ("<!doctype html>\n" + el("html", head, el("body", top, content, foot), lang="en")).encode("utf-8", "replace")


def _model(result: Result, model: str) -> Html:
    found, stretch = result.findings[model], result.stretches[model]
    triggers = result.triggers(model)
    fired = f"{count(len(triggers))} trigger{'' if len(triggers) == 1 else 's'} would have fired"
    tiles = [
        ("Would have fired", count(len(triggers)), f"{len(result.warm_up_triggers(model))} in the warm-up, not counted"),
        ("History", span(stretch.last_ms - stretch.first_ms), f"{clock(stretch.first_ms)} to {clock(stretch.last_ms)}"),
        ("Warm-up", span(max(stretch.counts_from_ms - stretch.first_ms, 0)), f"to {clock(stretch.counts_from_ms)}"),
        ("Predictions", count(found.rows), f"{count(found.labels_read)} labels, {count(found.rejected)} rejected"),
    ]
    return el(
        "section",
        el("h1", model, el("small", fired)),
        el("p", "All of it is warm-up: nothing counts.", class_="notice") if stretch.all_warm_up else None,
        el("div", [el("dl", el("dt", a), el("dd", b), el("dd", c, class_="sub"), class_="tile") for a, b, c in tiles], class_="tiles"),
        _timeline(result, model),
        el("h2", "Triggers"),
        join([_trigger(each) for each in triggers]) if triggers else el("p", "None would have fired.", class_="soft"),
        _policy(result, model),
        _alarms(result, model),
    )


def _timeline(result: Result, model: str) -> Html:
    found, stretch = result.findings[model], result.stretches[model]
    axis = Axis(stretch.first_ms, max(stretch.last_ms, stretch.first_ms + 1), stretch.counts_from_ms)
    across = [Mark(t.event_ms, f"trigger {t.id[:12]}, {t.reason}, {clock(t.event_ms)}", "fired") for t in result.triggers(model)]
    across += [Mark(t.event_ms, f"trigger of the warm-up, {t.reason}", "early") for t in result.warm_up_triggers(model)]
    lanes = [*_phase_lanes(result, model), *_curve_lanes(result, model, found.config)]
    more = len(lanes) - MAX_LANES
    drawing = timeline(axis, lanes[:MAX_LANES], across, f"Timelines of {model}")
    key = (
        "Lines: of a window the worst statistic of all traffic as a multiple of its threshold (dashed), with the highest beside it; of a"
        " metric its value by time of the label with its interval, the reference (solid) and limits of the policy (dashed), with the last"
        " value beside it. Red below: segments beyond their thresholds. ▲ alarms of detectors. ◆ triggers. Grey: warm-up."
    )
    left_out = el("p", f"{count(more)} more lanes are not shown.", class_="more") if more > 0 else None
    return join(el("div", drawing, class_="card"), left_out, el("p", key, class_="soft small"))


def _phase_lanes(result: Result, model: str) -> list[Lane]:
    found, stretch = result.findings[model], result.stretches[model]
    lanes = []
    for version, mine in sorted(found.phases().items()):
        ends = [at for at, _ in mine[1:]] + [stretch.last_ms]
        bars = [
            Bar(at, end, f"{phase} from {clock(at)} to {clock(end)}", str(phase))
            for (at, phase), end in zip(mine, ends, strict=True)
            if phase is not Phase.QUIET and at <= stretch.last_ms
        ]
        lanes.append(Lane(f"policy, version {version}", bars=bars))
    return lanes


def _curve_lanes(result: Result, model: str, config: ModelConfig) -> list[Lane]:
    """Metrics of the policy first, then signals: those that were beyond their thresholds first."""
    found = result.findings[model]
    alarms: dict[tuple[str, str], list[Mark]] = {}
    for each in result.episodes(model):
        if each.kind in ("detector", "warning", "river"):
            _, version, _, segment, signal = each.key
            alarms.setdefault((version, signal), []).append(Mark(each.began_ms, f"{segment}: {_about(each)}", each.kind))
    limits: dict[str, list[float]] = {}
    if config.retraining is not None:
        for limit in config.retraining.performance:
            limits.setdefault(limit.metric, []).append(limit.limit)
        if config.retraining.cost is not None:
            limits.setdefault("expected_cost", []).append(config.retraining.cost.ceiling)
    lanes: list[tuple[tuple[int, float, str], Lane]] = []
    for (kind, version, window, signal), curve in found.curves.items():
        if not any(map(math.isfinite, curve.values)):
            continue
        if kind == "performance":
            # Those that the policy asks for, and those that were ever worse than the reference: there are dozens.
            if not (signal in limits or (not limits and signal in _BY_ITSELF) or any(curve.segments)):
                continue
            lane = Lane(f"{signal}, v{version}", curve, limits.get(signal, ()), is_ratio=False)
            lanes.append(((0 if signal in limits else 2, 0.0, lane.name), lane))
        else:
            marks = alarms.pop((version, signal), []) if window == "long" else ()
            lane = Lane(f"{signal}, v{version}, {window}", curve, marks=marks)
            lanes.append(((1, -_worst(curve), lane.name), lane))
    lanes += [((1, 0.0, signal), Lane(f"{signal}, v{version}", marks=marks)) for (version, signal), marks in alarms.items()]
    return [lane for _, lane in sorted(lanes, key=lambda each: each[0])]


def _worst(curve: Curve) -> float:
    return max((value for value in curve.values if math.isfinite(value)), default=0.0)


def _about(each: Episode) -> str:
    effect = "" if math.isnan(each.value) else f", {each.statistic} {number(each.value)}"
    since = "" if each.since_ms is None else f", changed about {clock(each.since_ms)}"
    return f"{each.kind} {clock(each.began_ms)}{effect}{since}"


def _trigger(trigger: Trigger) -> Html:
    moved = [
        (each.signal, el("span", each.segment, class_="key"), _value(each.value), _value(each.limit), clock(each.since_ms))
        for each in trigger.evidence.moved[:8]
    ]
    reason = str(trigger.reason).replace("_", " ")
    train = trigger.evidence.train
    rows = "" if train.labelled_rows is None else f", {count(train.labelled_rows)} labelled rows"
    return el(
        "div",
        el(
            "p",
            el("span", "trigger", class_="badge bad"),
            f" {clock(trigger.event_ms)}, version {trigger.version}: {reason}. ",
            el("span", trigger.id, class_="mono"),
            f". Train on {clock(train.start_ms)} to {clock(train.end_ms)}{rows}.",
        ),
        table(("What moved", "Segment", "Value", "Limit", "Since"), moved, numeric=(2, 3)),
    )


def _policy(result: Result, model: str) -> Html | None:
    transitions = result.transitions(model)
    if not transitions:
        return None
    rows = [(clock(each.event_ms), transition_text(each), "" if result.counts(model, each.event_ms) else "warm-up") for each in transitions]
    return join(el("h2", "Policy"), _cut(("Time", "What changed", ""), rows))


def _alarms(result: Result, model: str) -> Html:
    episodes = result.episodes(model)
    left_out = result.findings[model].episodes_left_out
    rows = [
        (
            clock(each.began_ms), "–" if each.ended_ms is None else span(each.ended_ms - each.began_ms), each.kind, each.key[2],
            each.key[1],
            el("span", each.key[3], class_="key"), each.key[4], each.statistic, _value(each.value), _value(each.limit),
        )
        for each in sorted(episodes, key=lambda each: (each.kind not in ("detector", "river"), -each.excess, each.began_ms))
    ]  # fmt: skip
    head = ("Began", "Lasted", "Kind", "By", "Version", "Segment", "Signal", "Statistic", "Most", "Limit")
    if not rows:
        return join(el("h2", "Verdicts and alarms"), el("p", "Nothing was beyond its threshold.", class_="soft"))
    small = el("small", f"{count(left_out)} were not kept") if left_out else None
    return join(el("h2", "Verdicts and alarms", small), _cut(head, rows, numeric=(8, 9)))


def _cut(head: tuple[str, ...], rows: Sequence[tuple[Html | str, ...]], numeric: Iterable[int] = ()) -> Html:
    more = len(rows) - MAX_ROWS
    return table(head, rows[:MAX_ROWS], numeric, caption=f"{count(more)} more are not shown." if more > 0 else None)


def _value(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else number(value)
