"""The part of the status page about retraining: what is required, what stands in the way, and what cannot be judged."""

from __future__ import annotations

from monitor.decide.state import Phase, Trigger, VersionPolicy
from monitor.decide.watch import Watch
from monitor.expose.decided import RetrainingView
from monitor.expose.markup import Html, el, join, table
from monitor.expose.snapshot import ModelView
from monitor.expose.text import clock, count, number, percent, span

MAX_MOVED = 8
MAX_CONDITIONS = 15
MAX_PAST = 5

_TONES = {Phase.REQUIRED: "bad", Phase.WITHHELD: "warn", Phase.PENDING: "warn", Phase.EXPIRED: "warn", Phase.QUIET: "good"}


def retraining(model: ModelView, now_ms: int) -> Html | None:
    """The section; None for a model without a policy."""
    view = model.retraining
    if view is None:
        return None
    hold = view.policy.hold
    held = None
    if hold is not None:
        until = "until released" if hold.until_ms is None else f"until {clock(hold.until_ms)}"
        held = el("p", el("b", "Held"), f" {until} by {hold.by} since {clock(hold.time_ms)}: {hold.why}", class_="notice")
    required = view.required()
    return el(
        "section",
        el("h2", "Retraining", el("small", el("a", "as JSON", href="/api/v1/triggers")), id="retraining"),
        held,
        [_required(view, trigger, now_ms) for trigger in required],
        _versions(view),
        _conditions(view),
        _past(view, [trigger for trigger in view.policy.triggers if trigger not in required]),
    )


def _badge(phase: Phase) -> Html:
    return el("span", str(phase), class_=f"badge {_TONES.get(phase, 'calm')}")


def _required(view: RetrainingView, trigger: Trigger, now_ms: int) -> Html:
    """A trigger nobody has answered."""
    found, raised = trigger.evidence, view.raised.get(trigger.id)
    window = f"{clock(found.train.start_ms)} to {clock(found.train.end_ms)}"
    rows = "" if found.train.labelled_rows is None else f", {count(found.train.labelled_rows)} labelled rows"
    facts = [
        ("train on", f"{window}{rows}"),
        ("expected cost", "not known" if found.cost is None else f"{number(found.cost.value)} per prediction"),
        ("reference", f"{(found.reference or 'none')[:16]}, data set {found.dataset or 'unknown'}"),
    ]
    moved = [
        (each.signal, el("span", each.segment, class_="key"), str(each.reason).replace("_", " "), _value(each.value), _value(each.limit),
         clock(each.since_ms), "–" if each.share is None else percent(each.share))
        for each in found.moved[:MAX_MOVED]
    ]  # fmt: skip
    more = len(found.moved) - len(moved) + found.moved_left_out
    head = ("What moved", "Segment", "Condition", "Value", "Limit", "Since", "Share of traffic")
    shown = "" if raised is None else f", shown for {span(now_ms - raised.raised_ms)}, for {span(raised.expires_ms - now_ms)} more"
    return el(
        "div",
        el(
            "p",
            _badge(Phase.REQUIRED),
            f" version {trigger.version}: {str(trigger.reason).replace('_', ' ')}, decided {clock(trigger.event_ms)}{shown}. Trigger ",
            el("a", trigger.id, href=f"/api/v1/triggers/{trigger.id}", class_="mono"),
        ),
        table(head, moved, numeric=(3, 4, 6), caption=f"{count(more)} more are not shown." if more else None),
        table(("", ""), facts),
    )


def _versions(view: RetrainingView) -> Html:
    if not view.policy.versions:
        return el("p", "Nothing has been evaluated yet.", class_="soft")
    rows = []
    for version, each in sorted(view.policy.versions.items()):
        rows.append((version, _badge(view.version_phase(version)), _why(each), clock(each.event_ms)))
    return table(("Version", "Phase", "Why", "Evaluated"), rows)


def _why(each: VersionPolicy) -> Html:
    withheld = [el("div", f"{str(shut.gate).replace('_', ' ')}: {shut.detail}") for shut in each.withheld]
    named = {(unknown.reason, unknown.signal, unknown.detail) for unknown in each.unknown}
    blind = [
        el(
            "div",
            f"{str(reason).replace('_', ' ')}{f' {signal}' if signal not in ('', reason) else ''} cannot be judged: {detail}",
            class_="small soft",
        )
        for reason, signal, detail in sorted(named)[:MAX_CONDITIONS]
    ]
    return join(withheld, blind)


def _conditions(view: RetrainingView) -> Html | None:
    """Conditions that hold, those for longest first."""
    found = [(watch, version) for version, each in sorted(view.policy.versions.items()) for watch in each.watches]
    if not found:
        return None
    found.sort(key=lambda each: (not each[0].active, each[0].began_ms))
    head = ("Condition", "Segment", "Version", "Value", "Limit", "Clear", "Since", "")
    more = len(found) - MAX_CONDITIONS
    rows = [_condition(watch, version) for watch, version in found[:MAX_CONDITIONS]]
    return table(head, rows, numeric=(3, 4, 5), caption=f"{count(more)} more conditions are not shown." if more > 0 else None)


def _condition(watch: Watch, version: str) -> tuple[Html | str, ...]:
    at = watch.latest
    name = f"{str(at.reason).replace('_', ' ')}: {at.signal}"
    state = el("span", "holds" if watch.active else "not for long enough", class_=f"badge {'bad' if watch.active else 'warn'}")
    where = el("span", at.segment, class_="key")
    return name, where, version, _value(at.value), _value(at.limit), _value(at.clear), clock(watch.began_ms), state


def _past(view: RetrainingView, triggers: list[Trigger]) -> Html | None:
    if not triggers:
        return None
    rows = []
    for trigger in reversed(triggers[-MAX_PAST:]):
        by = f"by {trigger.ack.by}: {trigger.ack.why}" if trigger.ack else "" if trigger.ended_by is None else f"by {trigger.ended_by}"
        rows.append((
            el("a", trigger.id[:12], href=f"/api/v1/triggers/{trigger.id}", class_="mono"), trigger.version,
            str(trigger.reason).replace("_", " "), clock(trigger.event_ms), join(_badge(view.phase(trigger)), f" {by}"),
        ))  # fmt: skip
    return table(("Earlier triggers", "Version", "Reason", "Decided", ""), rows)


def _value(value: float | None) -> str:
    return "–" if value is None else number(value)
