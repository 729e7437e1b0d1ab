from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.root import Http
from monitor.evaluate.verdict import Status
from monitor.expose.answer import Request, answer
from monitor.expose.health import Condition, health
from monitor.expose.page import status_page
from monitor.expose.page_findings import MAX_SEGMENTS
from monitor.expose.pairs import worst_by_signal
from monitor.expose.published import Published
from monitor.expose.query import BadParameterError
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import LabelsView, Ledger, ModelView, Phase, Snapshot, VersionView
from tests.expose.sample import NOW_MS, SEGMENTS, blind, reference, running, starting, window_verdicts
from tests.expose.small import small, with_segments

VOID = {"meta", "rect", "line", "path", "circle"}
RUNNING = running()
AT_MS = RUNNING.taken_ms + 1000


class Outline(HTMLParser):
    """Elements, attributes and text of a page; fails on an element that is not closed in its place."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def page(snapshot: Snapshot = RUNNING, now_ms: int = AT_MS, **query: str) -> Outline:
    return Outline(status_page(snapshot, {name: [value] for name, value in query.items()}, now_ms))


def rows(outline: Outline, class_: str) -> int:
    return sum(class_ in (attributes.get("class") or "").split() for _, attributes in outline.elements)


def test_the_title_counts_the_pairs_that_the_page_counts() -> None:
    """A pair that drifted in both windows is one pair."""
    total = sum(group.total for group in worst_by_signal(RUNNING.verdicts, 1))
    assert total < sum(int(one.drifted().any(axis=2).sum()) for one in RUNNING.verdicts)
    assert f"{total} drifted · driftgauge" in page().texts


def test_the_overview_names_each_drifted_signal_with_its_worst_segments_size_and_time() -> None:
    text = page().text
    for expected in (
        "temperature",
        "wind_speed",
        "distance",
        "origin=JFK",
        "2013-03-24 00:00",
        "for 9 d",
        "unit × 1.60934?",
        "missing +5.8 pp",
    ):
        assert expected in text
    drifted = {(one.segments[s], f) for one in RUNNING.verdicts for s, f in np.argwhere(one.drifted().any(axis=2)).tolist()}
    assert f"{len(drifted)} pairs of signal and segment" in text
    # Half as much traffic again: 0.16 becomes 0.24 / 1.08.
    assert "carrier=EV 16.0 % 22.2 % +6.2 pp" in text


def test_a_pair_has_one_row_however_many_statistics_and_windows_found_it() -> None:
    outline = page(replace(RUNNING, models=(replace(RUNNING.models[0], detection=()),)))  # alarms link to their pairs too
    links = [attributes["href"] for tag, attributes in outline.elements if tag == "a" and "signal=" in (attributes.get("href") or "")]
    pairs = [link for link in links if link is not None and "segment=" in link]
    assert len(pairs) == len(set(pairs)) == 3 * MAX_SEGMENTS
    assert "6 of 8 statistics" in outline.text


def test_every_signal_that_drifted_is_there_and_says_how_many_more_segments_did() -> None:
    groups = worst_by_signal(RUNNING.verdicts, 2)
    drifted = {(one.segments[s], one.signals[f]) for one in RUNNING.verdicts for s, f in np.argwhere(one.drifted().any(axis=2)).tolist()}
    assert {group.signal: group.total for group in groups} == Counter(signal for _, signal in drifted)
    assert [len(group.pairs) for group in groups] == [min(group.total, 2) for group in groups]
    text = page().text
    for group in groups:
        assert group.signal in text
        assert group.total <= MAX_SEGMENTS or f"{group.total - MAX_SEGMENTS} more segment" in text


def test_a_drift_of_this_very_evaluation_is_said_to_be_new() -> None:
    one = small()
    models = (replace(RUNNING.models[0], name="m"),)
    snapshot = replace(RUNNING, models=models, verdicts=(replace(one, since_ms=np.where(one.drifted(), one.window.end_ms, -1)),))
    assert "first seen now" in page(snapshot).text
    assert "for 0 s" not in page(snapshot).text


def test_a_drift_of_the_whole_traffic_stands_before_its_segments() -> None:
    found = re.findall(r"segment=([^&\"]+)&amp;signal=temperature", status_page(RUNNING, {}, AT_MS).decode())
    assert found[0] == "ALL"


@pytest.mark.parametrize(
    ("snapshot", "now_ms", "condition", "words"),
    [
        (RUNNING, AT_MS, Condition.HEALTHY, ("Healthy", "What drifted", "adds up", "72 messages")),
        (running(drifted=False), AT_MS, Condition.HEALTHY, ("No drift", "none beyond its threshold")),
        (starting(), NOW_MS + 1, Condition.STARTING, ("Starting", "Nothing judged yet", "no event seen yet")),
        (blind(), AT_MS, Condition.HEALTHY, ("Not enough data", "not the same as no drift", "nothing could be judged")),
        (RUNNING, AT_MS + 600_000, Condition.STUCK, ("Stuck", "The main loop last turned 601 s ago", "nothing below is current")),
        (replace(RUNNING, phase=Phase.STOPPING), AT_MS, Condition.STOPPING, ("Stopping", "saving its state")),
        (replace(RUNNING, phase=Phase.FINISHED), AT_MS + 10**9, Condition.FINISHED, ("Finished", "read to its end")),
        (replace(RUNNING, rebuilding_since_ms=1), AT_MS, Condition.REBUILDING, ("Rebuilding", "state was lost")),
        (replace(RUNNING, unreachable="refused"), AT_MS, Condition.UNREACHABLE, ("Unreachable", "No broker can be reached: refused")),
        (replace(RUNNING, unsaved="state: no space"), AT_MS, Condition.UNSAVED, ("Unsaved", "cannot be saved: state: no space")),
        (
            replace(RUNNING, models=(replace(RUNNING.models[0], partitions_in_topic=6),)), AT_MS, Condition.PARTIAL,
            ("Partial", "flights.predictions (4 of 6 partitions)", "4 of 6 read here"),
        ),
        (
            replace(RUNNING, models=(replace(RUNNING.models[0], labels=LabelsView("labels", partitions_in_topic=2)),)), AT_MS,
            Condition.PARTIAL, ("Partial", "labels (0 of 2 partitions)"),
        ),
        (
            replace(RUNNING, models=(replace(RUNNING.models[0], partitions=(), partitions_in_topic=0),)), AT_MS, Condition.PARTIAL,
            ("Partial", "Topics that are not there: flights.predictions."),
        ),
        (replace(RUNNING, notices=("Epoch 41 is damaged.",)), AT_MS, Condition.HEALTHY, ("Epoch 41 is damaged.",)),
    ],
)  # fmt: skip
def test_every_state_says_what_it_is(snapshot: Snapshot, now_ms: int, condition: Condition, words: tuple[str, ...]) -> None:
    assert health(snapshot, now_ms).condition == condition
    text = page(snapshot, now_ms).text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("status", "words"),
    [(Status.PARTIAL, "Partial view"), (Status.NO_REFERENCE, "No reference"), (Status.INSUFFICIENT_DATA, "Not enough data")],
)
def test_what_cannot_be_judged_is_never_called_no_drift(status: Status, words: str) -> None:
    one = small()
    snapshot = Snapshot(NOW_MS, 0, "1", Phase.RUNNING, (ModelView("m", "t"),), (replace(one, status=np.full_like(one.status, status)),))
    text = page(snapshot, NOW_MS).text
    assert words in text
    assert "No drift" not in text


def test_rows_that_do_not_add_up_are_shown_as_unaccounted_for() -> None:
    model = replace(RUNNING.models[0], ledger=Ledger(messages=10, rows_counted=7, rows_duplicate=1), labels=None)
    text = page(replace(RUNNING, models=(model,))).text
    assert "2 unaccounted for" in text
    assert "adds up" not in text


def test_the_details_of_a_pair_have_every_statistic_that_applies_and_the_values_that_moved() -> None:
    text = page(model="flights", segment="origin=JFK", signal="wind_speed").text
    for expected in ("PSI", "KS", "Wasserstein", "missing", "+5.8 pp", "What moved most", "Noise"):
        assert expected in text
    carrier = page(signal="carrier", segment="ALL").text
    assert "PSI" in carrier
    assert "Wasserstein" not in carrier  # has no meaning for categories


def test_the_details_of_a_signal_list_all_its_segments_drifted_or_not() -> None:
    text = page(signal="score").text
    assert f"all {len(SEGMENTS)}" in text
    assert "origin=LGA,carrier=UA" in text


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    assert "No verdict has this segment and signal" in page(segment="nowhere").text


def test_every_link_of_the_page_leads_somewhere() -> None:
    published = Published(RUNNING, SelfMetrics(), 1000)
    for outline in (page(), page(signal="temperature"), page(segment="origin=JFK"), page(segment="ALL", signal="score")):
        for tag, attributes in outline.elements:
            link = attributes.get("href")
            if tag != "a" or link is None or link.startswith("#"):
                continue
            path, _, query = link.partition("?")
            found = answer(Request("GET", path, query), published, Http(), AT_MS)
            assert found.status == 200, link
            assert b"No verdict has this" not in found.body, link


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><svg onload=alert(1)>",
    "&lt;b&gt;",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text_wherever_they_are_shown(text: str) -> None:
    known = replace(reference(), model_version=text, dataset_version=text, pipeline_version=text, fingerprint=text)
    one = small(("ALL", f"country={text}"), version=text)
    one = replace(one, reference=known, status=np.full_like(one.status, Status.DRIFTED), value=np.full_like(one.value, 0.5))
    snapshot = replace(
        RUNNING, verdicts=(one,), notices=(text,),
        models=(replace(RUNNING.models[0], name="m", topic=text, versions=(VersionView(text, known),)),),
    )  # fmt: skip
    plain = {tag for tag, _ in page().elements}
    shown = text.encode("utf-8", "replace").decode()
    for query in ({}, {"signal": "age"}, {"segment": f"country={text}"}, {"segment": text, "signal": text}):
        outline = page(snapshot, **query)
        assert {tag for tag, _ in outline.elements} <= plain
        assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
        assert shown in outline.text


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_segment_and_signal_can_be_asked_for(segment: str, signal: str) -> None:
    outline = page(segment=segment, signal=signal)
    assert {"script", "img"}.isdisjoint(tag for tag, _ in outline.elements)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"model": ["other"]}, "model: expected one of flights, got 'other'"),
        ({"segment": ["a", "b"]}, "segment: expected one value, got 'a, b'"),
        ({"refresh": ["soon"]}, "refresh: expected a whole number from 0 to 86400, got 'soon'"),
        ({"sort": ["x"]}, "sort: expected one of the parameters model, segment, signal, refresh, got 'sort'"),
    ],
)
def test_a_bad_parameter_is_refused(query: dict[str, list[str]], message: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        status_page(RUNNING, query, AT_MS)
    assert str(caught.value) == message


def test_a_page_about_very_many_findings_stays_small() -> None:
    one = with_segments(5_000)
    many = replace(one, status=np.full_like(one.status, Status.DRIFTED), value=np.full_like(one.value, 0.5))
    snapshot = replace(RUNNING, verdicts=(many,), models=(replace(RUNNING.models[0], name="m"),))
    assert len(status_page(snapshot, {}, AT_MS)) < 200_000
    assert "10 000 pairs" in page(snapshot).text.replace("\u202f", " ")
    assert len(status_page(snapshot, {"signal": ["age"]}, AT_MS)) < 400_000


def test_several_versions_are_told_apart() -> None:
    newer = window_verdicts("long", 20_000, drifted=True, seed=4, version="2013-03")
    text = page(replace(RUNNING, verdicts=(*RUNNING.verdicts, newer))).text
    assert "version 2013-02" in text
    assert "version 2013-03" in text


def test_reloading_is_off_unless_asked_for() -> None:
    assert not [1 for tag, attributes in page().elements if tag == "meta" and attributes.get("http-equiv") == "refresh"]
    asked = [attributes for tag, attributes in page(refresh="30").elements if tag == "meta" and "http-equiv" in attributes]
    assert asked == [{"http-equiv": "refresh", "content": "30"}]
