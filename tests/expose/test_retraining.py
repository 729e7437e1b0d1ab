"""What was decided about retraining, as it is shown: metrics, API, page and messages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import pytest

from monitor.config.root import Http
from monitor.decide.control import Control
from monitor.decide.facts import Facts, FailureMode, Measured
from monitor.decide.gate import Gate
from monitor.decide.reading import Reason
from monitor.decide.state import Phase, PolicyState
from monitor.expose.answer import Request, answer
from monitor.expose.cloud_event import cloud_event
from monitor.expose.decided import RetrainingView, retraining_view
from monitor.expose.page_retraining import retraining
from monitor.expose.published import Published
from monitor.expose.query import BadParameterError
from monitor.expose.self_metrics import SelfMetrics
from monitor.expose.snapshot import ModelView, Snapshot
from monitor.expose.trigger_json import trigger_json, triggers_json
from tests.decide.make import DAY, HOUR, MONDAY, alarm, control, facts, play, policy, timeline
from tests.expose.exposition import series
from tests.expose.sample import NOW_MS, running
from tests.expose.test_page import HOSTILE, Outline

WALL_MS = 1_800_000_000_000
SETTINGS = policy(cost={"ceiling": 1.0}, expire_after="3d")


def snapshot(state: PolicyState, raised_ms: int = WALL_MS, now_ms: int = WALL_MS, settings=SETTINGS, name: str = "m") -> Snapshot:
    view = retraining_view(state, settings, {trigger.id: raised_ms for trigger in state.triggers}, now_ms)
    return Snapshot(now_ms, now_ms, "1", models=(ModelView(name, "t", retraining=view),))


def after(*given: Facts | Control, state: PolicyState | None = None) -> PolicyState:
    return play(given, SETTINGS, state)[0]


def required_of(shown: Snapshot) -> list[str]:
    return list(series(SelfMetrics().render(shown), "driftgauge_retrain_required"))


REQUIRED = after(*timeline("oo"))
TRIGGER = REQUIRED.triggers[0]


def test_a_requirement_is_one_with_its_model_reason_and_trigger() -> None:
    page = SelfMetrics().render(snapshot(REQUIRED)).decode()
    lines = re.findall(r"^driftgauge_retrain_required.*", page, re.MULTILINE)
    assert lines == [f'driftgauge_retrain_required{{model="m",reason="performance",trigger_id="{TRIGGER.id}"}} 1.0']


def test_it_stays_until_it_is_acknowledged_superseded_or_expired_and_no_condition_ends_it() -> None:
    assert len(required_of(snapshot(after(*timeline("cccccccc", start_ms=MONDAY + 2 * HOUR), state=REQUIRED)))) == 1
    for ended in (
        snapshot(after(control("ack", trigger_id=TRIGGER.id), state=REQUIRED)),
        snapshot(after(facts(MONDAY + DAY, version="2"), state=REQUIRED)),
        snapshot(REQUIRED, now_ms=WALL_MS + 3 * DAY),
    ):
        assert required_of(ended) == []
    assert len(required_of(snapshot(REQUIRED, now_ms=WALL_MS + 3 * DAY - 1))) == 1


def test_expiry_is_shown_and_is_no_part_of_the_state() -> None:
    shown = snapshot(REQUIRED, now_ms=WALL_MS + 3 * DAY)
    view = shown.models[0].retraining
    assert view is not None
    assert view.version_phase("1") is view.phase(TRIGGER) is Phase.EXPIRED
    assert view.policy.triggers[0].phase is Phase.REQUIRED
    assert json.loads(trigger_json(shown, TRIGGER.id) or b"")["phase"] == "expired"
    # Who answers late still answers.
    late = snapshot(after(control("ack", trigger_id=TRIGGER.id), state=REQUIRED), now_ms=WALL_MS + 9 * DAY)
    assert json.loads(trigger_json(late, TRIGGER.id) or b"")["phase"] == "acknowledged"


def test_every_phase_and_gate_has_a_series_and_one_phase_holds() -> None:
    state = after(control("hold"), *timeline("oo"))
    page = SelfMetrics().render(snapshot(state))
    found = {dict(key)["phase"]: value for key, value in series(page, "driftgauge_retrain_phase").items()}
    assert found == {phase: float(phase == "withheld") for phase in Phase}
    found = {dict(key)["gate"]: value for key, value in series(page, "driftgauge_retrain_withheld").items()}
    assert found == {gate: float(gate == "hold") for gate in Gate}
    assert list(series(page, "driftgauge_retrain_hold").values()) == [1.0]


def test_conditions_are_counted_by_reason_and_the_unknown_ones_too() -> None:
    page = SelfMetrics().render(snapshot(REQUIRED))
    found = {(dict(key)["reason"], dict(key)["kind"]): value for key, value in series(page, "driftgauge_retrain_conditions").items()}
    assert found == {
        ("performance", "pending"): 0, ("performance", "active"): 1, ("performance", "unknown"): 0,
        ("cost", "pending"): 0, ("cost", "active"): 0, ("cost", "unknown"): 1,
    }  # fmt: skip


def test_a_condition_that_has_not_held_for_long_enough_is_pending() -> None:
    page = SelfMetrics().render(snapshot(after(*timeline("o"))))
    found = {(dict(key)["reason"], dict(key)["kind"]): value for key, value in series(page, "driftgauge_retrain_conditions").items()}
    assert (found["performance", "pending"], found["performance", "active"]) == (1, 0)


def test_totals_come_from_the_state() -> None:
    state = after(*timeline("o" * 60), control("hold"), control("release"))
    page = SelfMetrics().render(snapshot(state))
    found = {dict(key)["reason"]: value for key, value in series(page, "driftgauge_retrain_triggers_total").items()}
    assert found == {"performance": 2, "cost": 0}
    assert list(series(page, "driftgauge_retrain_last_trigger_timestamp_seconds").values()) == [(MONDAY + 49 * HOUR) / 1000]


def test_a_model_without_a_policy_has_none_of_it() -> None:
    page = SelfMetrics().render(Snapshot(1, 1, "1", models=(ModelView("m", "t"),)))
    assert not [line for line in page.decode().splitlines() if line.startswith("driftgauge_retrain")]
    assert retraining(ModelView("m", "t"), 0) is None


def test_the_api_gives_one_trigger_with_its_evidence() -> None:
    state = after(*timeline("oo", cost=(Measured("cost", "ALL", 0.5, 0.4, 0.6, 10),), reference="abc", dataset="2023"))
    found = json.loads(trigger_json(snapshot(state), state.triggers[0].id) or b"")
    assert (found["model"], found["version"], found["reason"], found["phase"]) == ("m", "1", "performance", "required")
    assert (found["decided"], found["onset"]) == ("2023-11-13T01:00:00.000Z", "2023-11-13T00:00:00.000Z")
    assert (found["raised"], found["expires"]) == ("2027-01-15T08:00:00.000Z", "2027-01-18T08:00:00.000Z")
    assert found["moved"][0]["signal"] == "recall"
    assert found["expected_cost"] == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    assert found["training_data"] == {"start": "2023-11-13T00:00:00.000Z", "end": "2023-11-13T01:00:00.000Z", "labelled_rows": None}
    assert (found["reference"], found["dataset"]) == ("abc", "2023")


def ask(shown: Snapshot, path: str, query: str = "") -> tuple[int, dict[str, object]]:
    response = answer(Request("GET", path, query), Published(shown, SelfMetrics(), 1_000), Http(), shown.taken_ms)
    return response.status, json.loads(response.body)


def test_a_trigger_has_an_address_and_one_that_is_not_there_is_a_404() -> None:
    status, body = ask(snapshot(REQUIRED), f"/api/v1/triggers/{TRIGGER.id}")
    assert (status, body["id"]) == (200, TRIGGER.id)
    for name in ("", "x" * 500, "..", f"{TRIGGER.id}/"):
        status, body = ask(snapshot(REQUIRED), f"/api/v1/triggers/{name}")
        assert (status, body["error"]) == (404, "there is no such trigger")
        assert len(str(body["got"])) <= 200


def test_triggers_need_credentials_where_everything_does() -> None:
    guarded = Http.model_validate({"bearer_token": {"env": "HOME"}})
    published = Published(snapshot(REQUIRED), SelfMetrics(), 1_000)
    for path in ("/api/v1/triggers", f"/api/v1/triggers/{TRIGGER.id}"):
        assert answer(Request("GET", path), published, guarded, WALL_MS).status == 401


def test_the_list_is_newest_first_filtered_and_in_pages() -> None:
    state = after(*timeline("o" * 110))
    names = [trigger.id for trigger in reversed(state.triggers)]
    assert len(names) == 3
    shown = snapshot(state)

    def listed(query: str) -> list[str]:
        return [each["id"] for each in ask(shown, "/api/v1/triggers", query)[1]["triggers"]]  # type: ignore[attr-defined]

    assert listed("") == names
    assert listed("phase=required") == names[:1]
    expired = snapshot(state, now_ms=WALL_MS + 9 * DAY)
    assert [each["id"] for each in ask(expired, "/api/v1/triggers", "phase=expired")[1]["triggers"]] == names[:1]  # type: ignore[attr-defined]
    assert listed("phase=superseded&model=m&version=1") == names[1:]
    assert listed("version=2") == []
    assert [*listed("limit=2"), *listed("limit=2&offset=2")] == names
    for query, message in (
        ({"model": ["x"]}, "model: expected one of m, got 'x'"),
        ({"phase": ["pending"]}, "phase: expected one of required, acknowledged, superseded, expired, got 'pending'"),
        ({"limit": ["101"]}, "limit: expected a whole number from 1 to 100, got '101'"),
        ({"id": ["x"]}, "id: expected one of the parameters model, version, phase, limit, offset, got 'id'"),
    ):
        with pytest.raises(BadParameterError, match=re.escape(message)):
            triggers_json(shown, query)


def test_the_list_says_where_each_policy_is_and_why() -> None:
    accept = control("accept", signal="x", until_ms=MONDAY + DAY)
    state = after(control("hold", until_ms=MONDAY + DAY), accept, control("assign", failure_mode="f1", owner="bob"), *timeline("oo"))
    [model] = ask(snapshot(state), "/api/v1/triggers")[1]["models"]  # type: ignore[misc]
    assert model["hold"] == {"by": "ann", "when": "2023-11-13T00:00:00.000Z", "why": "for a test", "until": "2023-11-14T00:00:00.000Z"}
    [version] = model["versions"]
    assert (version["phase"], version["withheld"]) == ("withheld", [{"gate": "hold", "detail": "held by ann: for a test"}])
    assert version["conditions"][0]["active"] is True
    assert version["unknown"] == [{"reason": "cost", "signal": "cost", "segment": "", "detail": "nothing is measured"}]
    assert [each["signal"] for each in model["accepted"]] == ["x"]


def section(model: ModelView, now_ms: int = WALL_MS) -> Outline:
    return Outline(str(retraining(model, now_ms)).encode("utf-8", "replace"))


def test_the_page_says_what_is_required_since_when_and_what_to_train_on() -> None:
    text = section(running().models[0], NOW_MS + HOUR).text
    [trigger] = running().models[0].retraining.required()  # type: ignore[union-attr]
    for expected in (
        "required",
        "performance",
        "recall",
        "origin=JFK",
        "0.600",
        "0.700",
        trigger.id,
        "850 labelled rows",
        "1.40 per prediction",
    ):
        assert expected in text
    assert "shown for 1 h, for 2 d 23 h more" in text
    assert "superseded  by ann: retraining job 41" in text, "an earlier one"


def test_the_page_says_what_stands_in_the_way_and_what_cannot_be_judged() -> None:
    shown = section(snapshot(after(control("hold"), *timeline("oo"))).models[0])
    assert "Held" in shown.text
    assert "hold: held by ann: for a test" in shown.text
    assert "cost cannot be judged: nothing is measured" in shown.text


def test_before_the_first_evaluation_the_page_says_so() -> None:
    assert "Nothing has been evaluated yet." in section(snapshot(PolicyState()).models[0]).text


@pytest.mark.parametrize("text", [each for each in HOSTILE if each != "\ud800"])
def test_hostile_names_stay_text(text: str) -> None:
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": [], "min_share": 0.1}], data_drift={"features": ["x"]})
    given: list[Facts | Control] = [control("hold", by=text[:90], why=text)]
    for hour in range(3):
        poor = (Measured("recall", f"s={text}", 0.5, 0.4, 0.6, 9),)
        more = {
            "shares": {f"s={text}": 0.5},
            "data_alarms": (alarm(segment=text),),
            "reference": text,
            "dataset": text,
            "failure_modes": (FailureMode(text, text, text, text, None, None, 1, 1.0, text, text, text),),
        }
        given.append(facts(MONDAY + hour * HOUR, version=text, performance=poor, partial=hour < 2, **more))
    held, _ = play(given, settings)
    required, _ = play([*given[:3], control("release"), given[3]], settings)
    [trigger] = required.triggers
    acked, _ = play([control("ack", trigger_id=trigger.id, why=text)], settings, required)
    for state in (held, required, acked):
        shown = snapshot(state, settings=settings)
        outline = section(shown.models[0])
        assert {"script", "img", "style"}.isdisjoint(tag for tag, _ in outline.elements)
        assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
        assert text in outline.text
        json.loads(triggers_json(shown, {}))
        assert len(series(SelfMetrics().render(shown), "driftgauge_retrain_phase")) == len(Phase)


def test_a_page_about_very_many_conditions_stays_small() -> None:
    settings = policy(performance=[{"metric": "recall", "floor": 0.7, "segments": [], "min_share": 0.0001}])
    many = tuple(Measured("recall", f"s={n}", 0.5, 0.4, 0.6, 9) for n in range(3_000))
    shares = {each.segment: 0.001 for each in many}
    state, _ = play([facts(MONDAY + h * HOUR, performance=many, shares=shares, partial=h < 2) for h in range(3)], settings)
    shown = snapshot(state, settings=settings)
    assert len(str(retraining(shown.models[0], WALL_MS))) < 20_000
    assert len(triggers_json(shown, {})) < 60_000


# CloudEvents 1.0: required attributes, their types, and the structured mode of the Kafka binding.


def test_an_event_has_what_the_specification_requires() -> None:
    message = cloud_event(TRIGGER, Phase.REQUIRED)
    event = json.loads(message.value)
    assert event["specversion"] == "1.0"
    for name in ("id", "source", "type", "subject", "time", "datacontenttype"):
        assert isinstance(event[name], str)
        assert event[name]
        assert re.fullmatch(r"[a-z0-9]{1,20}", name)
    datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    assert event["datacontenttype"] == "application/json"
    assert dict(message.headers) == {"content-type": b"application/cloudevents+json; charset=UTF-8"}
    assert message.key == b"m"
    assert event["data"]["id"] == TRIGGER.id
    assert (event["type"], event["subject"]) == ("driftgauge.retraining.required", "m/1")


def test_the_same_trigger_gives_the_same_bytes_and_each_phase_another_id() -> None:
    again = after(*timeline("oo")).triggers[0]
    assert cloud_event(again, Phase.REQUIRED) == cloud_event(TRIGGER, Phase.REQUIRED)
    ids = {json.loads(cloud_event(TRIGGER, phase).value)["id"] for phase in Phase}
    assert len(ids) == len(Phase)


def test_a_source_is_a_uri_whatever_the_model_is_called() -> None:
    state, _ = play(timeline("oo", model="a b/ü?#"), SETTINGS)
    source = json.loads(cloud_event(state.triggers[0], Phase.REQUIRED).value)["source"]
    assert source == f"urn:driftgauge:model:{quote('a b/ü?#', safe='')}"
    assert re.fullmatch(r"urn:[A-Za-z0-9:%._-]+", source)


def test_the_view_forgets_what_the_state_forgot() -> None:
    view = retraining_view(PolicyState(), SETTINGS, {"gone": 1}, WALL_MS)
    assert retraining_view(REQUIRED, SETTINGS, {}, WALL_MS).raised == {}, "what is not shown yet has no time"
    assert view == RetrainingView(PolicyState(), (Reason.PERFORMANCE, Reason.COST))
    assert replace(view, expired=frozenset({"x"})).required() == ()
