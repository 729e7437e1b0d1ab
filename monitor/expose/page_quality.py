"""The status page on accuracy before labels come, and on the labels themselves: short words, numbers with their intervals."""

from __future__ import annotations

import math

from monitor.expose.markup import Html, el, table
from monitor.expose.quality_series import named_annotators
from monitor.expose.text import clock, count, number, percent, span
from monitor.label_verdicts import LabelVerdicts
from monitor.performance.interval import Estimate
from monitor.segment import ALL

MAX_ANNOTATORS = 8


def estimate(one: LabelVerdicts) -> Html | None:
    """Accuracy of the newest predictions, and how right such estimates were; None where none is made."""
    found, window = one.estimate, one.estimate_window
    if found is None or window is None or not math.isfinite(found.value[0]):
        return None
    made = f"{span(window.end_ms - window.start_ms)} to {clock(window.end_ms)}"
    rest = f"{count(int(found.labelled[0]))} of {count(int(found.n[0]))} labelled when it was made"
    said = [
        el("b", f"{percent(float(found.value[0]))}"),
        f" [{percent(float(found.low[0]))}, {percent(float(found.high[0]))}]",
        f" of the newest predictions are estimated to be right: {made}, {rest}.",
    ]
    if bool(found.rectified[0]):
        said.append(f" Labels say otherwise than the scores, from which {percent(float(found.table_value[0]))} would follow.")
    return el("p", el("span", "before all labels are there", class_="soft small"), " ", *said, _before(one))


def _before(one: LabelVerdicts) -> str:
    errors = one.estimate_errors
    if errors is None or ALL not in errors.segments:
        return ""
    row = errors.segments.index(ALL)
    windows = int(errors.windows[row])
    if not windows:
        return ""
    off, held = float(errors.mean_absolute_error[row]), float(errors.coverage[row])
    return (
        f" {count(windows)} earlier estimates were off by {off * 100:.2f} points on average; {held:.0%} of their intervals held the truth."
    )


def quality(one: LabelVerdicts) -> Html | None:
    """Agreement of annotators and restated labels; None where no label names an annotator, a confidence or a version."""
    found = one.quality
    if found is None:
        return None
    row = found.segments.index(ALL)
    rows = [
        (name, _value(each, shares), _ends(each, shares), count(int(each.n)))
        for name, each, shares in (
            ("Fleiss' kappa", found.fleiss, False),
            ("Krippendorff's alpha", found.krippendorff, False),
            ("predictions on which annotators differ", found.disagreement[row], True),
            ("labels restated to another value", found.flip_rate[row], True),
            ("of labels made anew under another version, changed", found.redefined_flip_rate[row], True),
        )
        if int(each.n)
    ]
    if not rows:
        return None
    agreement = found.consensus_agreement
    people = [
        (name, percent(float(agreement.value[place])), count(int(agreement.n[place])))
        for name, place in named_annotators(one, agreement)[:MAX_ANNOTATORS]
    ]
    return el(
        "section",
        el("h3", "How good the labels are"),
        table(("", "", "95 % interval", "Of"), rows, numeric=(1, 2, 3)),
        el("div", table(("Annotator", "Agrees with the consensus", "Labels"), people, numeric=(1, 2)), class_="below") if people else None,
    )


def _value(found: Estimate, shares: bool) -> str:
    return percent(float(found.value)) if shares else number(float(found.value))


def _ends(found: Estimate, shares: bool) -> str:
    low, high = float(found.low), float(found.high)
    return f"{percent(low)} to {percent(high)}" if shares else f"{number(low)} to {number(high)}"
