"""The canary test as it is shown: metrics, API, page; and the gate that asks for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from monitor.canary.trial import CanaryResult
from monitor.config.root import Http
from monitor.expose.answer import Request, answer
from monitor.expose.canary_json import canary_json
from monitor.expose.catalogue import METRICS
from monitor.expose.drift_metrics import drift_page
from monitor.expose.page_canary import canary
from monitor.expose.published import Published
from monitor.expose.query import BadParameterError
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import Snapshot
from tests.expose.exposition import families, series
from tests.expose.test_page import Outline
from tests.expose.trials import BETTER, EQUAL, FEW, WORSE, snapshot, trial


def metrics(result: CanaryResult, most: int = 10_000) -> bytes:
    return drift_page((), most, (), snapshot(result).labels).text


def by(page: bytes, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(dict(key)[label] for label in labels): value for key, value in series(page, f"driftgauge_{name}").items()}


def ask(result: CanaryResult | None, query: str = "", *, evaluated: bool = True) -> dict[str, object]:
    published = Published(snapshot(result, evaluated=evaluated), SelfMetrics(), 1_000)
    response = answer(Request("GET", "/api/v1/canary", query), published, Http(), 0)
    assert response.status == 200
    [found] = json.loads(response.body)["canaries"]
    return dict(found)


def test_exactly_one_verdict_holds_and_every_series_names_the_trial() -> None:
    for result, verdict in ((WORSE, "worse"), (BETTER, "better"), (EQUAL, "undecided"), (FEW, "insufficient_data")):
        page = metrics(result)
        found = by(page, "canary_verdict", "model", "champion", "candidate", "verdict")
        assert {key[-1]: value for key, value in found.items() if value} == {verdict: 1}
        assert {key[:3] for key in found} == {("m", "3", "4")}
        assert len(found) == 5


def test_every_declared_family_is_there_with_its_labels() -> None:
    found = {name: family for name, family in families(metrics(WORSE)).items() if name.startswith("driftgauge_canary")}
    declared = {name: metric for name, metric in METRICS.items() if metric.group == "canary"}
    assert set(found) == set(declared)
    for name, family in found.items():
        assert (family.type, family.documentation) == (declared[name].type, declared[name].help)
        assert {tuple(sample.labels) for sample in family.samples} == {declared[name].labels}


def test_differences_have_the_sign_of_the_metric_and_lie_within_their_intervals() -> None:
    page = metrics(WORSE)
    values = {name: by(page, f"canary_difference{name}", "segment", "metric") for name in ("", "_low", "_high")}
    assert values[""].keys() == values["_low"].keys() == values["_high"].keys()
    assert len(values[""]) == 1 + 2 + 4
    assert ("ALL", "accuracy") in values[""]
    for key, value in values[""].items():
        assert values["_low"][key] <= value <= values["_high"][key]
    assert values[""]["ALL", "accuracy"] == pytest.approx(-0.1, abs=0.02)
    sides = by(page, "canary_performance", "segment", "side")
    assert sides["ALL", "candidate"] - sides["ALL", "champion"] == pytest.approx(values[""]["ALL", "accuracy"], abs=2e-6)
    assert by(page, "canary_compared_rows", "segment", "side")["ALL", "champion"] == 60 * 8 * 30


def test_where_it_is_worse_is_a_series_of_its_own() -> None:
    worse = by(metrics(BETTER), "canary_worse", "segment")
    assert {segment for (segment,), value in worse.items() if value} == {"carrier=DL"}
    assert worse["ALL",] == 0
    assert "driftgauge_canary_worse" not in families(metrics(FEW)), "too little to judge is no series"


def test_confidence_is_between_0_and_1_and_a_verdict_needs_it() -> None:
    found = by(metrics(WORSE), "canary_confidence_ratio", "claim")
    assert found["worse",] >= 0.975
    assert found["not_worse",] == found["better",] == 0


def test_a_trial_that_is_over_or_has_not_begun_has_no_series() -> None:
    for result in (replace(WORSE, serving=False), CanaryResult(None, None, WORSE.settings)):
        assert not [name for name in families(metrics(result)) if name.startswith("driftgauge_canary")]
    begun = families(metrics(replace(WORSE, comparison=None)))
    assert "driftgauge_canary_verdict" in begun


def test_when_series_are_cut_the_verdict_and_what_is_worse_stay() -> None:
    page = metrics(BETTER, 17)
    assert len(by(page, "canary_verdict", "verdict")) == 5
    assert {segment for (segment,), value in by(page, "canary_worse", "segment").items() if value} == {"carrier=DL"}


def test_the_api_has_everything_that_the_verdict_rests_on() -> None:
    found = ask(BETTER, "model=m&candidate=4&champion=3&limit=3")
    assert (found["verdict"], found["champion"], found["candidate"], found["metric"]) == ("better", "3", "4", "accuracy")
    assert (found["margin"], found["confidence"], found["min_rows"], found["trial"]) == (0.02, 0.95, 200, 1)
    whole = found["all"]
    place = BETTER.comparison.whole
    assert whole["difference"] == BETTER.comparison.difference[place]
    assert whole["confidence"]["better"] > 0.975
    assert whole["candidate"]["compared_rows"] == whole["candidate"]["labelled_rows"] == 14_400
    assert found["segments"][0]["segment"] == "carrier=DL"
    assert len(found["segments"]) == 3
    assert found["segments_worse"] == 1
    assert [each["segment"] for each in ask(BETTER, "segment=origin%3DJFK")["segments"]] == ["origin=JFK"]


def test_what_cannot_be_told_yet_is_said_and_is_no_error() -> None:
    for result, evaluated, query, reason in (
        (None, False, "", "no label has been joined yet"),
        (CanaryResult(None, None, WORSE.settings), True, "", "no two versions have made predictions"),
        (replace(WORSE, comparison=None), True, "", "versions 3 and 4 have not served at the same time yet"),
        (FEW, True, "", "40 and 40 labelled rows can be compared, 200 of each are needed"),
        (WORSE, True, "candidate=5&champion=4", "versions 3 and 4 are compared"),
        (WORSE, True, "candidate=3&champion=4", "versions 3 and 4 are compared"),
    ):
        found = ask(result, query, evaluated=evaluated)
        assert (found["verdict"], found["reason"]) == ("insufficient_data", reason)
    assert ask(WORSE, "candidate=5")["candidate"] == "5"
    starting = json.loads(canary_json(Snapshot(1, 1, "1"), {"model": ["m"], "candidate": ["4"]}))["canaries"]
    assert [(each["model"], each["verdict"]) for each in starting] == [("m", "insufficient_data")]
    partial = ask(replace(WORSE, partial=True))
    assert partial["all"]["verdict"] == "undecided"
    assert (partial["verdict"], partial["reason"]) == ("undecided", "this process does not read every partition")
    assert by(metrics(replace(WORSE, partial=True)), "canary_verdict", "verdict")["worse",] == 0


def test_a_trial_that_began_anew_says_why_it_takes_longer() -> None:
    assert "trial" not in ask(EQUAL)["reason"]
    found = ask(replace(EQUAL, number=3))
    said = "; trial 3 of these two, and each needs more than the one before: a longer labels.window lets one last longer"
    assert (found["verdict"], found["reason"]) == ("undecided", ask(EQUAL)["reason"] + said)
    assert ask(replace(BETTER, number=2))["reason"].endswith("; trial 2 of these two, and each needs more than the one before")


def test_models_without_a_test_are_not_among_the_answers() -> None:
    with pytest.raises(BadParameterError, match="model: expected one of m, got 'plain'"):
        canary_json(snapshot(WORSE), {"model": ["plain"]})
    with pytest.raises(BadParameterError, match="candidate: expected one version"):
        canary_json(snapshot(WORSE), {"candidate": ["4", "5"]})
    with pytest.raises(BadParameterError, match="limit"):
        canary_json(snapshot(WORSE), {"limit": ["1001"]})


def test_numbers_that_are_none_are_null() -> None:
    apart = trial(rows=0, panes=2)
    found = ask(apart)
    assert np.isnan(apart.comparison.difference[0])
    assert found["all"]["difference"] is None
    assert "driftgauge_canary_difference" not in families(metrics(apart))


def test_the_page_says_which_is_better_how_sure_that_is_and_where_it_is_worse() -> None:
    shown = snapshot(BETTER)
    page = Outline(str(canary(shown, shown.models[0])).encode())
    text = page.text
    for expected in ("better", "Candidate 4 against champion 3", "carrier=DL", "Confidence", "95.0 %", "pp", "14\u202f400"):
        assert expected in text
    [hostile] = [segment for segment in BETTER.comparison.segments if "<b>" in segment]
    assert hostile in text, "escaped, and whole"
    assert canary(shown, shown.models[1]) is None
    empty = snapshot(None, evaluated=False)
    assert "No label has been joined yet" in str(canary(empty, empty.models[0]))
