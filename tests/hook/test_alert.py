"""From a body to triggers: every alert ends as a trigger or under a bounded reason, and no body can do anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.hook.alert import MAX_LABELS, MAX_TEXT, Ignored, MalformedError, Notification, parse
from monitor.hook.config import AlertFilter
from tests.hook.world import alert, notification

ANY = AlertFilter()


def read(*alerts: Any, **fields: Any) -> Notification:
    return parse(notification(*alerts, **fields), ANY)


def test_a_firing_alert_with_a_trigger_id_is_a_trigger():
    [trigger] = read(alert("churn:3:performance:42", team="growth")).triggers
    assert (trigger.id, trigger.model, trigger.reason, trigger.severity) == ("churn:3:performance:42", "churn", "performance", "warning")
    assert (trigger.starts_at, trigger.fingerprint) == ("2027-01-15T08:00:00.000Z", "c0ffee00c0ffee00")
    assert trigger.labels["team"] == "growth"
    assert trigger.annotations == {"summary": "A model needs retraining."}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (alert(status="resolved"), Ignored.RESOLVED),
        (alert(status="suppressed"), Ignored.MALFORMED),
        (alert(alertname="DriftgaugeDataDrift"), Ignored.OTHER_ALERT),
        (alert(alertname=None), Ignored.OTHER_ALERT),
        (alert(action="page"), Ignored.OTHER_ACTION),
        (alert(action=None), Ignored.OTHER_ACTION),
        (alert(None), Ignored.NO_TRIGGER_ID),  # a test alert
        (alert(""), Ignored.NO_TRIGGER_ID),
        (alert("two words"), Ignored.BAD_TRIGGER_ID),
        (alert("--option"), Ignored.BAD_TRIGGER_ID),
        (alert("../up"), Ignored.BAD_TRIGGER_ID),
        (alert("line\nbreak"), Ignored.BAD_TRIGGER_ID),
        (alert("x" * 201), Ignored.BAD_TRIGGER_ID),
        (alert("t-é"), Ignored.BAD_TRIGGER_ID),
        (alert(model="-rf"), Ignored.BAD_MODEL),
        (alert(model=None), Ignored.BAD_MODEL),
        ("not an object", Ignored.MALFORMED),
        ({"status": "firing", "labels": {"alertname": 5}}, Ignored.MALFORMED),
        ({"status": "firing"}, Ignored.MALFORMED),
        (None, Ignored.MALFORMED),
    ],
)
def test_an_alert_that_is_no_trigger_is_counted_by_its_reason_and_harms_no_other(other, reason):
    found = read(other, alert("good"))
    assert [trigger.id for trigger in found.triggers] == ["good"]
    assert found.ignored == {reason: 1}


def test_only_the_models_that_are_asked_for_are_taken():
    found = parse(notification(alert("a"), alert("b", model="fraud")), AlertFilter(models=("fraud",)))
    assert [trigger.id for trigger in found.triggers] == ["b"]
    assert found.ignored == {Ignored.OTHER_MODEL: 1}


def test_a_group_holds_several_triggers_each_once_in_order():
    found = read(alert("b"), alert("a", model="fraud"), alert("b", severity="critical"), alert("c"))
    assert [trigger.id for trigger in found.triggers] == ["b", "a", "c"]
    assert found.repeated == 1


def test_alerts_left_out_by_alertmanager_are_told():
    assert read(alert(), truncatedAlerts=7).truncated == 7
    assert read(alert(), truncatedAlerts=-7).truncated == 0


def test_unknown_fields_of_newer_releases_are_no_obstacle():
    newer = alert() | {"new": {"deeper": [1]}}
    assert len(read(newer, notification_reason="repeat", other=[1, {"a": None}]).triggers) == 1


def test_what_a_label_holds_is_cut_and_stays_on_one_line():
    [trigger] = read(alert(reason="a\nb\x1b[2J" + "x" * 5_000, **{f"l{n}": "y" for n in range(200)})).triggers
    assert trigger.reason == "a b [2J" + "x" * (MAX_TEXT - 7)
    assert len(trigger.labels) == MAX_LABELS


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"5", b'"4"', b"{}", b'{"version": "4"}', b'{"version": 4, "alerts": []}',
        b'{"version":"4","alerts":{}}',
        b'{"version": "5", "alerts": []}', b'{"version": "4", "alerts": [], "truncatedAlerts": "1"}', b"\xff\xfe", b"[" * 100_000,
        b'{"version": "4", "alerts": [' + b"[" * 100_000, b'{"version": "4", "alerts": [], "x": ' + b'{"a":' * 100_000, b"NaN",
        b'{"version": "\\ud800", "alerts": []}', b"\x1f\x8b\x08\x00", b"a=b&c=d",
    ],
)  # fmt: skip
def test_what_is_no_notification_is_malformed_and_not_repeated_back(body):
    with pytest.raises(MalformedError, match=r"^expected (the JSON of an Alertmanager notification|version 4 of the notification)"):
        parse(body, ANY)


def test_a_deep_alert_is_malformed_alone():
    body = b'{"version": "4", "alerts": [' + b"[" * 500 + b"]" * 500 + b", " + json.dumps(alert("good")).encode() + b"]}"
    assert [trigger.id for trigger in parse(body, ANY).triggers] == ["good"]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
LABELS = st.dictionaries(
    st.sampled_from(["alertname", "model", "trigger_id", "action", "reason"]),
    st.sampled_from(["DriftgaugeRetrainRequired", "retrain", "churn", "t-1", ""]) | st.text(max_size=20) | JSON,
)
ALERTS = st.lists(
    st.fixed_dictionaries({"status": st.sampled_from(["firing", "resolved"]) | JSON, "labels": LABELS | JSON}) | JSON, max_size=5
)


@given(st.binary(max_size=200) | JSON.map(lambda tree: json.dumps(tree).encode()))
def test_any_body_is_understood_or_malformed(body):
    try:
        found = parse(body, ANY)
    except MalformedError:
        return
    assert found.triggers == ()  # a body made without knowledge of the format starts nothing


@given(ALERTS)
def test_every_alert_is_accounted_for(alerts):
    found = parse(notification(*alerts), ANY)
    assert len(found.triggers) + found.repeated + sum(found.ignored.values()) == len(alerts)
    for trigger in found.triggers:
        assert trigger.id.isascii()
        assert trigger.id.isprintable()
        assert len({t.id for t in found.triggers}) == len(found.triggers)
