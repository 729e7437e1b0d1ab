"""What the status page says of performance and of labels: what is known, why the rest is not, and nothing that a name could break."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from monitor.evaluate.verdict import Status
from monitor.expose.page import status_page
from monitor.expose.snapshot import LabelsView, Snapshot
from monitor.expose.svg_outcome import bar_chart, interval_bar
from monitor.expose.text import count, number
from monitor.labels import LabelsEvaluated
from tests.expose import outcomes
from tests.expose.sample import labels_view, running
from tests.expose.test_page import HOSTILE, Outline, page

RUNNING = running()
FLIGHTS = outcomes.flights()
ONE = FLIGHTS.verdicts[0]


def with_labels(*evaluated: LabelsEvaluated, view: LabelsView | None = None) -> Snapshot:
    model = replace(RUNNING.models[0], labels=labels_view() if view is None else view)
    return replace(RUNNING, labels=evaluated, models=(model,))


def section(outline: Outline, start: str, end: str) -> str:
    text = outline.text
    return text[text.index(start) : text.index(end, text.index(start))]


def test_key_metrics_stand_with_interval_reference_and_rows() -> None:
    text = page(RUNNING).text
    view = ONE.by_prediction
    g, m = view.segments.index("ALL"), view.column("recall", "1")
    for part in (view.value, view.low, view.high, view.reference):
        assert number(float(part[g, m])) in text
    assert "Recall of 1" in text
    assert "Recall of 0" not in text.split("Segments")[0]  # the positive class is the one to look at
    assert "worse than validated" in text
    assert count(int(view.labelled[g])) in text


def test_the_worst_segments_come_first_with_what_changed_most() -> None:
    found = section(page(RUNNING), "Worst segments", "Failure modes")
    assert re.findall(r"(?:ALL|origin=\w+(?:,carrier=\w+)?|carrier=\w+)", found)[:2] == ["ALL", "origin=JFK"]
    modes = section(page(RUNNING), "Failure modes", "What drifted")
    assert "origin=JFK" in modes
    assert "false negative" in modes


@pytest.mark.parametrize(
    ("evaluated", "words"),
    [
        ((), "Nothing judged yet"),
        ((replace(FLIGHTS, verdicts=()),), "Nothing judged yet"),
        ((outcomes.evaluated(rows=150),), "insufficient data"),
        ((outcomes.evaluated(known=False),), "no reference"),
        ((outcomes.evaluated(worse=False),), "as validated"),
    ],
)
def test_what_is_not_known_is_said_and_is_never_well_or_worse(evaluated: tuple[LabelsEvaluated, ...], words: str) -> None:
    found = section(page(with_labels(*evaluated)), "Performance", "What drifted")
    assert words in found
    assert "worse than validated" not in found
    assert words == "as validated" or "as validated" not in found.split("Segments")[0]


def test_a_model_without_labels_has_neither_section() -> None:
    text = page(replace(RUNNING, labels=(), models=(replace(RUNNING.models[0], labels=None, retraining=None),))).text
    assert "Performance" not in text
    assert "What to collect next" not in text


def test_labels_that_do_not_add_up_are_unaccounted_for() -> None:
    whole = section(page(RUNNING), "What became of them", "Predictions that wait")
    assert "adds up" in whole
    assert "not json 12" in whole
    lost = replace(labels_view(), messages=labels_view().messages + 4)
    assert "4 unaccounted for" in section(page(with_labels(FLIGHTS, view=lost)), "What became of them", "Predictions that wait")


def test_room_that_ran_out_is_told_and_only_then() -> None:
    assert "forgotten for want of room" not in page(RUNNING).text
    assert "7 predictions, 0 labels" in page(with_labels(FLIGHTS, view=replace(labels_view(), evicted=7))).text


def test_delay_coverage_and_what_to_collect_are_told() -> None:
    text = section(page(RUNNING), "How late", "Partitions of labels")
    assert "Is a score what it says" in text and "rows," in text, "a bin says what it rests on"
    assert "50% within 1" in text
    assert ONE.coverage is not None
    pending = int(ONE.coverage.pending[ONE.by_prediction.segments.index("ALL")])
    assert count(pending) in text
    assert "of the labels have come that had at the same age the window before" in text
    assert ONE.wanted is not None
    segment, of, wanted = ONE.wanted.ranked()[0]
    assert f"{segment} {of} {count(wanted)}" in text


def test_labels_chosen_by_the_score_are_a_notice() -> None:
    assert "are not like all" not in page(RUNNING).text
    like = ONE.representativeness
    biased = replace(ONE, representativeness=replace(like, status=np.full_like(like.status, Status.DRIFTED)))
    assert "are not like all" in page(with_labels(replace(FLIGHTS, verdicts=(biased,)))).text


def test_a_segment_leads_to_its_own_metrics_even_where_no_drift_was_judged() -> None:
    text = page(RUNNING, segment="origin=JFK").text
    assert "Performance" in text
    assert (
        number(float(ONE.by_prediction.value[ONE.by_prediction.segments.index("origin=JFK"), ONE.by_prediction.column("recall", "1")]))
        in text
    )
    alone = page(replace(RUNNING, verdicts=()), segment="origin=JFK").text
    assert "Nothing known" not in alone
    assert "Performance" in alone


def test_a_regression_is_shown_by_its_errors() -> None:
    text = page(with_labels(outcomes.evaluated(outcomes.REGRESSION))).text
    assert "Root mean squared error" in text
    assert "labels of no class in particular" in text


def test_versions_are_told_apart() -> None:
    two = replace(FLIGHTS, verdicts=(ONE, replace(ONE, version="2013-03")))
    text = page(with_labels(two)).text
    assert "Version 2013-02." in text
    assert "Version 2013-03." in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_of_segments_classes_and_versions_stay_text(text: str) -> None:
    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text if name in ("origin=JFK", "1") else name for name in names)

    def view(one):  # type: ignore[no-untyped-def]
        return replace(one, segments=renamed(one.segments), classes=renamed(one.classes))

    one = replace(
        ONE, version=text, by_prediction=view(ONE.by_prediction), by_label=view(ONE.by_label),
        modes=replace(ONE.modes, segments=renamed(ONE.modes.segments)),
        wanted=replace(ONE.wanted, segments=renamed(ONE.by_prediction.segments), classes=renamed(("0", "1"))),
    )  # fmt: skip
    snapshot = with_labels(replace(FLIGHTS, verdicts=(one, replace(one, version="b"))), view=replace(labels_view(), topic=text))
    plain = {tag for tag, _ in page(RUNNING).elements}
    for query in ({}, {"segment": text}):
        outline = Outline(status_page(snapshot, {name: [value] for name, value in query.items()}, RUNNING.taken_ms))
        assert {tag for tag, _ in outline.elements} <= plain
        assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
        assert text.encode("utf-8", "replace").decode() in outline.text


def test_an_interval_bar_keeps_its_order_and_says_it() -> None:
    drawn = interval_bar(0.7, 0.6, 0.8, 0.9, worse=True)
    assert drawn is not None
    places = [float(re.search(pattern, drawn)[1]) for pattern in (r'<rect x="([\d.]+)" y="4"', r'cx="([\d.]+)"', r'x1="([\d.]+)"')]  # type: ignore[index]
    assert places == sorted(places)
    assert "0.700, from 0.600 to 0.800; reference 0.900" in drawn
    assert "over" in drawn
    nan = float("nan")
    assert interval_bar(nan, nan, nan, 0.5, worse=False) is None
    assert "reference" not in str(interval_bar(0.5, nan, nan, nan, worse=False))
    assert interval_bar(0.0, 0.0, 0.0, 0.0, worse=False) is not None


def test_bars_are_as_tall_as_their_shares() -> None:
    drawn = bar_chart([("1h", 0.1), ("1d", 0.4), ("2d", 0.8)], "x")
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" class="now"', drawn)]
    assert heights == pytest.approx([12, 48, 96])
    assert "80.0 %" in drawn
    assert bar_chart([], "nothing").startswith("<svg")


def test_accuracy_before_the_labels_is_told_with_how_right_it_was() -> None:
    text = page(RUNNING).text
    assert "90.0 %" in text
    assert "[87.0 %, 93.0 %] of the newest predictions are estimated to be right" in text
    assert "8 earlier estimates were off by 1.00 points on average; 88% of their intervals held the truth." in text
    without = replace(ONE, estimate=None, estimate_window=None)
    assert "estimated to be right" not in page(with_labels(replace(FLIGHTS, verdicts=(without,)))).text


def test_agreement_and_restated_labels_are_told_where_there_are_any() -> None:
    found = section(page(RUNNING), "How good the labels are", "Partitions of labels")
    assert "Krippendorff's alpha" in found
    assert "25.0 %" in found, "a quarter of the items are judged in two ways, and of the labels restated"
    assert "ben" in found
    plain = page(with_labels(replace(FLIGHTS, verdicts=(replace(ONE, quality=None),)))).text
    assert "How good the labels are" not in plain
