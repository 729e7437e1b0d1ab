"""What is wrong between the parts of a section is said beside what is wrong in one of them, and what follows from that is not."""

import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import parse_config
from monitor.errors import ConfigError
from tests.config.test_mistakes import MODEL, changed, mistakes

WHOLE = """
source:
  brokers: ["a:9092", "[::1]:9092"]
  security: {protocol: SASL_SSL, mechanism: PLAIN, username: u, password: {env: P}}
models:
  - name: m
    predictions:
      {topic: p, id: id, score: s, threshold: 0.5, dead_letter_topic: dead, time: {path: t, zone: Europe/Paris}, duplicates: {horizon: 24h}}
    labels:
      topic: l
      id: id
      label: y
      task: binary
      annotator: a
      source: s
      pane: 1h
      window: 7d
      cost: {false_positive: 2, false_negative: 3}
      review: {topic: review, grouping: [c]}
      audit_sources: [x]
    features: [{name: a, type: numeric, range: [0, 5]}, {name: b, type: categorical, categories: [u, w]}]
    segments: {columns: {c: c, d: d}, groupings: [[c], [c, d]]}
    windows: {pane: 5m, short: 1h, long: 24h, lateness: 10m}
    evaluation: {every: 5m, feature_thresholds: {a: {ks: 0.2}, b: {unseen_rate: 0.1}}}
    detection: {signal_effects: {a: 0.1, score: 0.1}, false_alarms: {at_most: 1, per: 30d}}
    detectors: [{river: river.drift.ADWIN, signal: a}, {river: river.drift.ADWIN, signal: score}]
    retraining:
      topic: triggers
      performance: [{metric: recall, floor: 0.5, clear: 0.6, segments: [ALL, c=x]}]
      cost: {ceiling: 2, clear: 1}
      concept_drift: {min_effect: 0.1, clear_effect: 0.05}
      data_drift: {features: [a, score], segments: [c=x]}
      estimated_loss: [{loss: 0.1, clear: 0.05}]
      label_quality: [{measure: disagreement_ratio, at_most: 0.2}]
      persistence: {evaluations: 2, of: 3}
      quiet_hours: {zone: Europe/Paris, windows: [{days: [Sat], start: "10:00", end: "12:00"}]}
      view: audit
    canary: {champion: "1", candidate: "2"}
  - name: n
    predictions: {topic: p2, id: id, predicted_class: c, probabilities: {k: k, l: l, m: m}}
    labels: {topic: l2, id: id, label: y, task: multiclass, classes: [k, l, m], cost: {matrix: {k: {l: 2}}}}
    features: [{name: q, type: numeric}]
http: {tls: {cert_file: a, key_file: b}}
alerts: {labels: {team: x}}
controls: {topic: controls}
drill: {drifts: [{name: s, shift: 0.5, feature: a}, {name: t, wrong_labels: 0.1, model: n}]}
"""
"""Most of what checks look at, all of it right."""


def test_all_of_it_is_right():
    parse_config(yaml.safe_load(WHOLE))


def places(part: Any, path: str = "") -> list[str]:
    keyed = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    inside = [(each, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")) for key, each in keyed]
    return [*[place for _, place in inside], *[place for each, where in inside for place in places(each, where)]]


@given(place=st.sampled_from(places(yaml.safe_load(WHOLE))), wrong=st.sampled_from([[[1]], {"surplus": 1}, -1, True]))
@settings(max_examples=40)
def test_of_one_mistake_nothing_else_is_said(place, wrong):
    tree = at = yaml.safe_load(WHOLE)
    *way, last = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", place)]
    for step in way:
        at = at[step]
    at[last] = wrong
    try:
        parse_config(tree)
    except ConfigError as error:
        own = [mistake.path.startswith(place) for mistake in error.mistakes]
        assert all(own) or not any(own), str(error)  # if what is wrong is none by itself, what does not fit it is said


def test_one_wrong_feature_hides_nothing_that_is_known_without_what_is_wrong_in_it(tmp_path):
    model = {
        "features": [
            {"name": "x", "type": "numeric"},
            {"name": "x", "type": "number"},
            {"name": "y", "type": "number"},
            {"name": "c", "type": "categorical", "range": [1, 2]},
        ],
        "windows": {"pane": "7m", "short": "1h", "long": "30m"},
        "evaluation": {"min_rows": -1, "feature_thresholds": {"b": {"psi": 0.2}, "c": {"ks": 0.2}, "y": {"ks": 0.2}}},
        "detectors": [{"river": "river.drift.ADWIN", "signal": name} for name in ("z", "x", "c", "y")],
    }
    number = "expected numeric or categorical, got 'number'"
    assert mistakes(tmp_path, changed(**model)) == [
        f"models[0].features[1].type: {number}",
        f"models[0].features[2].type: {number}",
        "models[0].features[3]: expected range only for a numeric feature and low < high, got [1.0, 2.0] for categorical",
        "models[0].windows: expected a pane of at least 1s that divides one hour or is a multiple of it",
        "models[0].evaluation.min_rows: expected greater than or equal to 1, got -1",
        "models[0]: features: expected distinct names, got x more than once",
        "models[0]: detectors[0].signal: expected a numeric feature or score, got 'z'",
        "models[0]: detectors[2].signal: expected a numeric feature or score, got 'c'",
        "models[0]: evaluation.feature_thresholds: expected a feature, got 'b'",
        "models[0]: evaluation.feature_thresholds.c: expected statistics of a categorical signal, got 'ks', which only a numeric one has",
        "models[0].windows: expected short to be a multiple of pane, and long a multiple of short",
    ]


def test_a_section_with_a_wrong_field_is_checked_for_what_the_others_need_of_each_other(tmp_path):
    tree = yaml.safe_load(changed(windows={"idle_after": "soon", "short": "1h", "long": "30m"}))
    tree["source"] = {"client": "kafka-python", "brokers": [], "surplus": 1}
    tree["models"][0]["retraining"] = {"topic": "t", "cooldown": "soon", "quiet_hours": {"zone": "Nowhere", "windows": []}}
    assert mistakes(tmp_path, yaml.safe_dump(tree)) == [
        "source.surplus: unknown key",
        "models[0].windows.idle_after: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 'soon'",
        "models[0].retraining.cooldown: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 'soon'",
        "models[0].retraining.quiet_hours.windows: expected at least 1 item, got 0",
        "source: expected brokers (host:port) with the client kafka-python",
        "models[0].windows: expected short to be a multiple of pane, and long a multiple of short",
        "models[0].retraining: expected one of performance, cost, concept_drift, data_drift, estimated_loss, or nothing could ever trigger",
        "models[0].retraining.quiet_hours: zone: expected an IANA time zone such as UTC or Europe/Paris, got 'Nowhere'",
    ]


def test_what_an_unknown_key_was_meant_to_be_is_not_said_to_lack(tmp_path):
    tree = yaml.safe_load(changed(predictions={"topic": "m", "id": "id", "scoree": "p"}))
    tree["source"] = {"client": "kafka-python", "borkers": ["kafka:9092"]}
    tree["models"][0]["detectors"] = [{"river": "river.drift.ADWIN", "signal": "score"}]
    assert mistakes(tmp_path, yaml.safe_dump(tree)) == [
        "source.borkers: unknown key; did you mean 'brokers'?",
        "models[0].predictions.scoree: unknown key; did you mean 'score'?",
    ]


def test_models_are_compared_though_one_has_a_mistake(tmp_path):
    tree = yaml.safe_load(MODEL)
    wrong = {"features": [{"name": "x", "type": "numeric"}] * 2, "version": ""}
    tree["models"] += [tree["models"][0] | wrong, tree["models"][0] | {"features": wrong["features"]}]
    said = mistakes(tmp_path, yaml.safe_dump(tree))
    again = [text for text in said if "again" in text]
    assert [text.partition(":")[0] for text in again] == [f"models[{i}].{key}" for key in ("name", "predictions.topic") for i in (1, 2)]
    assert len(said) == len(set(said)) == 7  # the version, twice the features, and these


def test_mistakes_of_labels_that_have_nothing_to_do_with_each_other_are_said_together(tmp_path):
    labels = {"topic": "l", "id": "id", "label": "y", "window": "90m", "consensus": "majority", "target_scale": 2}
    labels |= {"task": "multiclass", "classes": ["a", "b"], "review_sources": ["r"], "audit_sources": ["r"], "max_depth": 0}
    where = "models[0].labels"
    assert mistakes(tmp_path, changed(labels=labels)) == [
        f"{where}.max_depth: expected greater than or equal to 2, got 0",
        f"{where}: expected 3 to 50 classes with task multiclass, got 2",
        f"{where}: expected horizon and pane above 0, and window a multiple of pane",
        f"{where}: expected a source to be of review or of audit, got 'r' in both",
        f"{where}: expected the path of annotator with consensus majority: without one all labels are of one annotator",
        f"{where}: expected target_scale only with task regression, got task multiclass",
    ]


def test_true_for_a_number_says_nothing_of_the_numbers_beside_it(tmp_path):
    retraining = {"performance": [{"metric": "recall", "floor": True, "clear": 0.6}], "cost": {"ceiling": True, "clear": 2}}
    labels = {"topic": "l", "id": "id", "label": "y"}
    predictions = {"topic": "p", "id": "id", "score": "s", "threshold": 0.5}
    assert mistakes(tmp_path, changed(predictions=predictions, labels=labels, retraining=retraining)) == [
        "models[0].retraining.performance[0].floor: expected a number, got true",
        "models[0].retraining.cost.ceiling: expected a number, got true",
    ]
