"""Sequential detection as it is shown: the view, metrics, API and page."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from monitor.config.root import Http
from monitor.detect.alarm import Stream
from monitor.expose.alarm_json import alarms_json
from monitor.expose.alarm_metrics import MAX_ALARMS
from monitor.expose.answer import Request, answer
from monitor.expose.page_alarms import alarms
from monitor.expose.published import Published
from monitor.expose.query import BadParameterError
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.text import iso
from monitor.expose.watched import MAX_STRONGEST, Stands, WatchView, unwatched, watch_view
from tests.expose.exposition import series
from tests.expose.test_page import HOSTILE, Outline
from tests.expose.watching import alarm, drifted, flights, snapshot, watched


def by(shown: Snapshot, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    page = SelfMetrics().render(shown)
    return {tuple(dict(key)[label] for label in labels): value for key, value in series(page, f"driftgauge_{name}").items()}


def ask(shown: Snapshot, query: str = "") -> dict[str, object]:
    response = answer(Request("GET", "/api/v1/alarms", query), Published(shown, SelfMetrics(), 1_000), Http(), 0)
    assert response.status == 200, response.body
    return dict(json.loads(response.body))


def listed(shown: Snapshot, query: str = "") -> list[dict[str, object]]:
    return list(ask(shown, query)["alarms"])  # type: ignore[call-overload]


# The view.


def test_the_view_counts_what_the_detectors_say() -> None:
    _, sequential = drifted()
    view, watch = watch_view("1", sequential), sequential.watch
    assert view.triggered == len(watch.latched()) > 0
    assert view.streams == sum(1 for flags in watch.triggered for _ in flags.ravel())
    assert view.armed == view.streams - view.triggered
    raised = [*sequential.inputs.past, *sequential.outcomes.past]
    assert {each.stream.kind for each in raised} >= {"values", "error"}
    for (kind, level), count in view.raised.items():
        assert count == sum(1 for each in raised if (each.stream.kind, each.level) == (kind, level))
    assert sum(view.raised.values()) == len(raised) == len(view.past)
    assert [each.time_ms for each in view.past] == sorted(each.time_ms for each in raised)
    assert {each.alarm.stream for each in view.standing} == {*sequential.inputs.standing, *sequential.outcomes.standing}
    levels = [each.alarm.level for each in view.standing]
    assert levels == sorted(levels), "triggers before warnings"


def test_evidence_is_that_of_the_strongest_streams_over_their_own_thresholds() -> None:
    _, sequential = drifted()
    view, watch = watch_view("1", sequential), sequential.watch
    limits = watch.thresholds()
    assert limits is not None and view.threshold == limits[0]
    expected = {}
    for number, flags in enumerate(watch.triggered):
        for row, place in np.ndindex(flags.shape):
            expected[watch.stream(number, row, place)] = watch.strength(number, row, place) / limits[row]
    ordered = sorted(expected.values(), reverse=True)
    assert len(expected) > len(view.evidence) == min(MAX_STRONGEST, sum(value > 0 for value in ordered)), "not all are shown"
    assert [value for _, value in view.evidence] == pytest.approx(ordered[: len(view.evidence)])
    for stream, value in view.evidence:
        assert value == pytest.approx(expected[stream])
    assert view.evidence[0][1] >= 1


def test_a_view_is_made_anew_only_when_something_was_judged_or_re_armed() -> None:
    found, sequential = drifted(labelled=False)
    view = watch_view("1", sequential)
    assert watch_view("1", sequential, view) is view
    assert view.labels is None, "labels are not watched"
    found.rearm(found.watch.latched()[0])
    again = watch_view("1", sequential, view)
    assert again is not view and again.triggered == view.triggered - 1
    sequential.ended_ms = (sequential.ended_ms or 0) + 1
    assert watch_view("1", sequential, again) is not again


def test_without_a_threshold_nothing_is_armed_and_no_evidence_is_compared() -> None:
    _, sequential = drifted(labelled=False)
    sequential.watch.rate.per_ms = None
    view = watch_view("1", sequential)
    assert (view.threshold, view.armed, view.evidence) == (None, 0, ())
    assert "without thresholds until the rate of rows is known" in Outline(str(alarms(snapshot(view).models[0])).encode()).text


# Metrics.


def test_alarms_are_counted_by_kind_and_level_and_zero_is_a_series() -> None:
    shown = snapshot()
    standing = by(shown, "alarms_standing", "model", "version", "kind", "level")
    assert len(standing) == 8 and {key[:2] for key in standing} == {("m", "1")}
    assert {key[2:]: value for key, value in standing.items() if value} == dict(watched().stands())
    raised = by(shown, "alarms_total", "kind", "level")
    assert {key: value for key, value in raised.items() if value} == dict(watched().raised)
    assert min(standing.values()) == 0


def test_each_alarm_that_stands_has_its_start_and_its_effect() -> None:
    starts = by(snapshot(), "alarm_start_timestamp_seconds", "segment", "signal", "kind", "level")
    effects = by(snapshot(), "alarm_effect", "segment", "signal", "kind", "level", "unit")
    for each in watched().standing:
        raised, stream = each.alarm, each.alarm.stream
        key = (stream.segment, stream.signal, stream.kind, raised.level)
        assert starts[key] == raised.start_ms / 1000
        assert raised.effect is not None and effects[*key, raised.effect.unit] == raised.effect.size
    assert len(starts) == len(effects) == len(watched().standing)


def test_of_very_many_alarms_only_the_gravest_have_series_and_all_are_counted() -> None:
    many = [alarm("warning", f"s={n}", "x", "values", None) for n in range(3_000)] + [alarm("trigger", "ALL", "x", "values", None)]
    standing = tuple(sorted((Stands(each, 0, 0) for each in many), key=lambda each: each.alarm.level))
    shown = snapshot(replace(flights(), standing=standing, past=()))
    starts = by(shown, "alarm_start_timestamp_seconds", "segment", "level")
    assert len(starts) == MAX_ALARMS and ("ALL", "trigger") in starts
    assert by(shown, "alarms_standing", "kind", "level")["values", "warning"] == 3_000
    assert len(str(alarms(shown.models[0]))) < 20_000
    assert len(alarms_json(shown, {})) < 60_000


def test_what_is_watched_is_told_and_what_is_not_known_is_no_series() -> None:
    shown = snapshot(flights(), unwatched("2013-03", "the reference has fewer than 200 rows"))
    assert by(shown, "detection_streams", "version") == {("2013-02",): 420, ("2013-03",): 0}
    assert by(shown, "detection_streams_armed", "version") == {("2013-02",): 418, ("2013-03",): 0}
    assert by(shown, "detection_threshold", "version") == {("2013-02",): 8e9}
    assert by(shown, "detection_threshold_frozen", "version") == {("2013-02",): 1}
    assert by(shown, "detection_labels_total", "version") == {("2013-02",): 40_312}
    assert by(shown, "detection_evidence", "segment", "signal")["ALL", "temperature"] == 3.75
    unknown = snapshot(replace(flights(), threshold=None, evidence=(), judged_ms=None, labels=None, frozen=False))
    page = SelfMetrics().render(unknown).decode()
    for name in ("detection_threshold", "detection_end_timestamp_seconds", "detection_labels_total", "detection_evidence"):
        assert not re.search(rf"^driftgauge_{name}\{{", page, re.MULTILINE), name
    assert by(unknown, "detection_streams_armed", "version") == {("2013-02",): 0}


def test_a_model_without_detection_has_none_of_it() -> None:
    page = SelfMetrics().render(Snapshot(1, 1, "1", models=(ModelView("m", "t"),))).decode()
    assert not re.findall(r"^driftgauge_(?:alarm|detection).*", page, re.MULTILINE)
    assert alarms(ModelView("m", "t")) is None


# The API.


def test_the_api_says_everything_that_an_alarm_says() -> None:
    found = listed(snapshot(flights()), "signal=wind_speed")
    assert found == [
        {
            "model": "m", "version": "2013-02", "segment": "carrier=DL", "signal": "wind_speed", "kind": "missing", "level": "warning",
            "standing": True, "raised": "2013-04-01T23:00:00.000Z", "start": "2013-04-01T22:00:00.000Z",
            "first_warned": "2013-04-01T22:00:00.000Z", "last_beyond": "2013-04-02T00:00:00.000Z",
            "direction": {"what": "shift", "size": 0.5},
            "effect": {"unit": "share", "size": 0.041, "low": 0.008, "high": 0.074, "rows": 410, "cell": "missing"},
            "evidence": 3e10, "threshold": 8e9,
            "worst": [{"cell": "48", "expected": 0.11, "share": 0.19}, {"cell": "30", "expected": 0.14, "share": 0.08}],
            "also_moved": [{"segment": "origin=JFK", "signal": "wind_speed", "kind": "missing"}],
        }
    ]  # fmt: skip


def test_real_alarms_are_listed_newest_first_each_once() -> None:
    found = listed(snapshot(), "limit=500")
    keys = [(each["segment"], each["signal"], each["kind"], each["level"], each["raised"]) for each in found]
    expected = {(e.stream.segment, e.stream.signal, e.stream.kind, e.level, iso(e.time_ms)) for e in watched().past}
    assert len(keys) == len(expected) and set(keys) == expected
    assert [each["raised"] for each in found] == sorted((str(each["raised"]) for each in found), reverse=True)
    assert sum(bool(each["standing"]) for each in found) == len(watched().standing)
    first = next(each for each in found if (each["segment"], each["signal"], each["level"]) == ("ALL", "x0", "trigger"))
    assert first["effect"]["unit"] == "sd" and first["effect"]["low"] > 0 and first["worst"]  # type: ignore[index, operator]


def test_an_alarm_that_was_forgotten_and_still_stands_is_listed() -> None:
    view = replace(flights(), past=())
    assert len(listed(snapshot(view))) == len(view.standing)


def test_filters_choose_and_pages_join_to_the_whole() -> None:
    shown = snapshot(flights(), replace(flights(), version="2013-03"))
    total = ask(shown)["total"]
    assert total == 8
    for query, count in (
        ("version=2013-03", 4), ("model=plain", 0), ("segment=ALL", 4), ("segment=ALL&segment=carrier%3DDL", 8), ("signal=distance", 2),
        ("kind=missing", 2), ("kind=error&standing=false", 2), ("kind=error&standing=true", 0), ("level=trigger", 4), ("standing=true", 6),
        ("standing=true&standing=false", 8), ("level=trigger&signal=wind_speed", 0),
    ):  # fmt: skip
        assert ask(shown, query)["total"] == len(listed(shown, query)) == count, query
    pages, offset = [], 0
    while offset is not None:
        page = ask(shown, f"limit=3&offset={offset}")
        pages += page["alarms"]  # type: ignore[operator]
        offset = page["next_offset"]  # type: ignore[assignment]
    assert pages == listed(shown) and len(pages) == total
    assert ask(shown, "offset=100")["alarms"] == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"model": ["x"]}, "model: expected one of m, plain, got 'x'"),
        ({"kind": ["x"]}, "kind: expected one of values, missing, error, label, got 'x'"),
        ({"level": ["x"]}, "level: expected one of warning, trigger, got 'x'"),
        ({"standing": ["yes"]}, "standing: expected one of true, false, got 'yes'"),
        ({"limit": ["501"]}, "limit: expected a whole number from 1 to 500, got '501'"),
        ({"status": ["x"]}, "status: expected one of the parameters model, version, segment"),
    ],
)
@pytest.mark.parametrize("views", [(flights(),), (unwatched("1", "why"),)])
def test_what_cannot_be_asked_is_refused(query: dict[str, list[str]], message: str, views: tuple[WatchView, ...]) -> None:
    with pytest.raises(BadParameterError, match=re.escape(message)):
        alarms_json(snapshot(*views), query)


def test_segments_that_are_not_watched_are_counted_everywhere() -> None:
    shown = snapshot(replace(flights(), left_out=1_234), unwatched("2013-03", "why"))
    assert by(shown, "detection_segments_left_out", "version") == {("2013-02",): 1_234}
    assert [each["segments_left_out"] for each in ask(shown)["detection"]] == [1_234, 0]  # type: ignore[union-attr, index]
    assert "1\u202f234 smaller segments are not watched" in Outline(str(alarms(shown.models[0])).encode()).text
    assert "not watched" not in Outline(str(alarms(snapshot(flights()).models[0])).encode()).text


def test_how_the_streams_stand_is_told_for_each_version() -> None:
    watched_one, other = ask(snapshot(flights(), unwatched("2013-03", "the reference has fewer than 200 rows")))["detection"]  # type: ignore[misc]
    assert (watched_one["watched"], watched_one["streams"], watched_one["armed"], watched_one["triggered"]) == (True, 420, 418, 2)
    assert (watched_one["threshold"], watched_one["threshold_frozen"], watched_one["labels_judged"]) == (8e9, True, 40_312)
    assert watched_one["standing"]["values"] == {"warning": 0, "trigger": 2}
    assert watched_one["raised"]["error"] == {"warning": 1, "trigger": 0}
    assert watched_one["strongest"][0] == {"segment": "ALL", "signal": "temperature", "kind": "values", "evidence_over_threshold": 3.75}
    assert (other["watched"], other["because"], other["since"]) == (False, "the reference has fewer than 200 rows", None)


def test_numbers_that_are_none_are_null() -> None:
    [each] = flights().standing[:1]
    effect = replace(each.alarm.effect, low=math.nan, high=math.inf)  # type: ignore[type-var]
    view = replace(flights(), standing=(Stands(replace(each.alarm, effect=effect), 0, 0),), past=())
    [found] = listed(snapshot(view))
    assert found["effect"]["low"] is found["effect"]["high"] is None  # type: ignore[index]
    [found] = listed(snapshot(replace(view, standing=(Stands(replace(each.alarm, effect=None), 0, 0),))))
    assert found["effect"] is None


# The page.


def test_the_page_says_what_moved_by_how_much_and_since_when() -> None:
    text = Outline(str(alarms(snapshot(flights()).models[0])).encode()).text
    for expected in (
        "2 triggers and 1 warning stand", "418 of 420 streams armed", "temperature", "carrier=DL", "+0.520 sd", "+0.410 sd to +0.630 sd",
        "+4.1 pp of missing", "missing or unusable", "2013-04-01 12:00", "2013-04-01 18:00", "48 +8.0 pp", "1\u202f840 rows",
    ):  # fmt: skip
        assert expected in text, expected
    quiet = Outline(str(alarms(snapshot(replace(flights(), standing=(), triggered=0)).models[0])).encode()).text
    assert "quiet" in quiet and "420 of 420 streams armed" in quiet and "Level" not in quiet
    none = Outline(str(alarms(snapshot(unwatched("3", "the reference has fewer than 200 rows")).models[0])).encode()).text
    assert "not watched the reference has fewer than 200 rows." in re.sub(r"\s+", " ", none)


@pytest.mark.parametrize(("named", "said"), [(49, "<td>49</td>"), (50, "<td>50 or more</td>")])
def test_an_alarm_that_names_as_many_others_as_it_can_may_have_moved_with_more(named: int, said: str) -> None:
    others = tuple(Stream(f"carrier={n}", "wind_speed", "values") for n in range(named))
    each = replace(alarm("trigger", "ALL", "distance", "values", None), also=others)
    page = str(alarms(snapshot(replace(flights(), standing=(Stands(each, 0, 0),))).models[0]))
    assert said in re.sub(r"<td[^>]*>", "<td>", page)


def test_the_page_has_the_newest_triggers_first_and_then_warnings() -> None:
    made = [(level, signal, hours) for hours, (level, signal) in enumerate([("trigger", "old"), ("warning", "newest"), ("trigger", "new")])]
    standing = tuple(
        Stands(replace(alarm(level, "ALL", signal, "values", None), time_ms=hours * 3_600_000), 0, 0) for level, signal, hours in made
    )
    text = Outline(str(alarms(snapshot(replace(flights(), standing=standing)).models[0])).encode()).text
    assert re.findall(r"\b(old|newest|new)\b", text) == ["new", "old", "newest"]


def test_small_segments_of_a_feature_that_broke_everywhere_do_not_hide_it() -> None:
    made = [
        ("ALL", "income", 1, 9.0),
        *((f"s={n}", "income", 2 + n, 3.0) for n in range(40)),
        ("s=3", "age", 0, 2.0),
        ("s=4", "age", 0, 5.0),
    ]
    standing = tuple(
        Stands(replace(alarm("trigger", segment, signal, "values", None), time_ms=hours * 3_600_000, evidence=evidence * 8e9), 0, 0)
        for segment, signal, hours, evidence in made
    )
    page = str(alarms(snapshot(replace(flights(), standing=standing)).models[0]))
    text = re.sub(r"\s+", " ", Outline(page.encode()).text)
    assert page.count("<tr") == 3
    assert "income ALL and s=9, s=8, 38 more" in text, text
    assert "age s=4 and s=3" in text
    assert "not shown" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    each = alarm("trigger", f"s={text}", text, "values", None)
    each = replace(each, also=(Stream(text, text, "values"),), worst=tuple(replace(change, cell=text) for change in each.worst))
    view = replace(flights(), version=text, standing=(Stands(each, 0, 0),), past=(each,), evidence=((each.stream, 2.0),))
    shown = snapshot(view, replace(view, version="2"))
    plain = text.encode("utf-8", "replace").decode()
    outline = Outline(str(alarms(shown.models[0])).encode("utf-8", "replace"))
    assert {"script", "img", "style", "svg"}.isdisjoint(tag for tag, _ in outline.elements)
    assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
    assert plain in outline.text
    assert {dict(key)["segment"] for key in series(SelfMetrics().render(shown), "driftgauge_detection_evidence")} == {f"s={plain}"}
    assert json.loads(alarms_json(shown, {}))["alarms"][0]["signal"] == plain
