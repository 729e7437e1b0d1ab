"""What is wrong with a configuration is said at once, with its place, in words of a person who writes YAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.config import load_config
from monitor.config.yaml_tree import load_tree
from monitor.errors import ConfigError

MODEL = """
source: {client: ndjson, path: events.ndjson}
models:
  - name: m
    predictions: {topic: m, id: id}
    features: [{name: x, type: numeric}]
"""


def mistakes(folder: Path, text: str) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [str(mistake) for mistake in caught.value.mistakes]


def changed(**model: Any) -> str:
    tree = yaml.safe_load(MODEL)
    tree["models"][0] |= model
    return yaml.safe_dump(tree)


def test_a_key_given_twice_is_a_mistake_and_not_the_silent_loss_of_the_first(tmp_path):
    text = MODEL + "http: {port: 1, port: 2}\nsource:\n  client: ndjson\n"
    assert mistakes(tmp_path, text) == [
        "line 7: expected each key once, got 'port' again, which line 7 has",
        "line 8: expected each key once, got 'source' again, which line 2 has",
    ]


def test_half_a_surrogate_pair_is_no_text(tmp_path):
    said = ["line 7: expected text, got half a surrogate pair (\\ud800 to \\udfff)"]
    assert mistakes(tmp_path, MODEL + 'drill: {drifts: [{name: s, shift: 0.5, feature: "\\ud800"}]}\n') == said


def test_what_is_merged_in_may_be_given_again(tmp_path):
    path = tmp_path / "tree.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nd: [*a, *a]\n", encoding="utf-8")
    assert load_tree(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "d": [{"x": 1, "y": 2}] * 2}


def test_a_file_that_cannot_be_read_is_said_with_what_to_do(tmp_path):
    said = []
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name in ("absent.yaml", ".", "latin.yaml"):
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / name)
        said.append(str(caught.value.mistakes[0]))
    assert said == [
        "expected a configuration, and there is no such file; check the path",
        "cannot be read: Is a directory",
        "expected UTF-8, got another byte at 3",
    ]


def test_true_is_no_number(tmp_path):
    said = mistakes(tmp_path, changed(max_versions=True, evaluation={"min_rows": True}) + "http: {port: false}\n")
    assert said == [
        "models[0].max_versions: expected a number, got true",
        "models[0].evaluation.min_rows: expected a number, got true",
        "http.port: expected a number, got false",
    ]


def test_bottomless_nesting_is_said(tmp_path):
    (said,) = mistakes(tmp_path, "models: " + "[" * 5_000)
    assert said.startswith("expected YAML of some levels")


def test_mistakes_between_parts_of_a_model_are_said_together(tmp_path):
    said = mistakes(
        tmp_path,
        changed(
            features=[{"name": "x", "type": "numeric"}, {"name": "x", "type": "numeric"}],
            evaluation={"every": "7m", "feature_thresholds": {"z": {"psi": 0.2}}},
            detectors=[{"river": "river.drift.ADWIN", "signal": "z"}],
        ),
    )
    assert said == [
        "models[0]: features: expected distinct names, got x more than once",
        "models[0]: detectors[0].signal: expected a numeric feature or score, got 'z'",
        "models[0]: evaluation.feature_thresholds: expected a feature, got 'z'",
        "models[0]: evaluation.every: expected a multiple of windows.pane",
    ]


def test_mistakes_between_parts_are_said_beside_those_of_a_part_and_what_follows_from_these_is_not(tmp_path):
    model = {
        "version": "",
        "features": [{"name": "x", "type": "numeric"}, {"name": "x", "type": "numeric"}],
        "windows": {"pane": 5},
        "evaluation": {"every": "7m", "feature_thresholds": {"z": {"psi": 0.2}}},
        "segments": {"columns": {"a": "a"}, "groupings": [["b"]], "max_segments": "many"},
        "detectors": [{"river": "river.drift.ADWIN", "signal": "z"}],
        "retraining": {"min_fresh_labels": 5, "cost": {"ceiling": 0.1}, "data_drift": {"features": ["z", "y"]}},
    }
    assert mistakes(tmp_path, changed(**model)) == [
        "models[0].version: expected text of at least 1 characters, got ''",
        "models[0].segments.max_segments: expected integer, unable to parse string as an integer, got 'many'",
        "models[0].windows.pane: expected a duration with a unit such as 30s, 5m, 1h or 30d, got 5",
        "models[0]: features: expected distinct names, got x more than once",
        "models[0]: detectors[0].signal: expected a numeric feature or score, got 'z'",
        "models[0]: evaluation.feature_thresholds: expected a feature, got 'z'",
        "models[0]: retraining.data_drift.features: expected configured features, got 'z'",
        "models[0]: retraining.data_drift.features: expected configured features, got 'y'",
        "models[0]: retraining.cost: expected labels to be configured, or none here",
        "models[0]: retraining.min_fresh_labels: expected labels to be configured, or 0 here",
        "models[0].segments: groupings[0]: expected distinct columns out of ['a'], got ['b']",
    ]
    model["features"] = [{"type": "numeric"}]
    said = mistakes(tmp_path, changed(**model))
    assert "models[0].features[0].name: expected a value, got none" in said
    assert not [text for text in said if "expected a feature" in text or "configured features" in text or "numeric feature" in text]


def test_a_topic_given_twice_is_said_beside_what_is_wrong_with_the_source(tmp_path):
    tree = yaml.safe_load(MODEL) | {"http": {"port": -1}}
    tree["models"] += [tree["models"][0] | {"name": "n"}]
    first, second = mistakes(tmp_path, yaml.safe_dump(tree))
    assert first.startswith("http.port: ")
    assert second == "models[1].predictions.topic: expected each only once, got 'm' again, which is models[0].predictions.topic"


def test_aliases_that_unfold_to_more_than_memory_are_not_written_out(tmp_path):
    unfolding = "\n".join(f"  - &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30))
    said = mistakes(tmp_path, MODEL + f"http:\n  - &a0 [x]\n{unfolding}\n")
    assert said[0].startswith("http: expected a mapping of keys to values")
    said = mistakes(tmp_path, MODEL + f"state: {{directory: [&a0 [x], {', '.join(line[4:] for line in unfolding.splitlines())}]}}\n")
    assert len(said) == 1 and said[0].startswith("state.directory: expected") and len(said[0]) < 200


@pytest.mark.parametrize("parameters", [{"delta": "x"}, {"no_such": 1}, {"clock": 0}])  # the last is a panic of Rust, no Exception
def test_parameters_that_a_detector_does_not_take_are_said(tmp_path, parameters):
    (said,) = mistakes(tmp_path, changed(detectors=[{"river": "river.drift.ADWIN", "signal": "x", "parameters": parameters}]))
    assert said.startswith(f"models[0].detectors[0]: expected parameters that river.drift.ADWIN takes, got {parameters}")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("KSWIN", {"window_size": 40}), ("KSWIN", {"stat_size": 15_000, "window_size": 20_000}), ("PageHinkley", {"threshold": "x"})],
)
def test_parameters_that_fail_only_once_a_detector_has_gathered_enough_are_said(tmp_path, name, parameters):
    river = f"river.drift.{name}"
    (said,) = mistakes(tmp_path, changed(detectors=[{"river": river, "signal": "x", "parameters": parameters}]))
    assert said.startswith(f"models[0].detectors[0]: expected parameters that {river} takes, got {parameters}")


def test_a_detector_of_a_module_that_there_is_not_is_said(tmp_path):
    (said,) = mistakes(tmp_path, changed(detectors=[{"river": "river.drift.foo.Bar", "signal": "x"}]))
    assert said.startswith("models[0].detectors[0].river: expected a detector of river.drift such as river.drift.ADWIN")


def test_each_wrong_grouping_is_said(tmp_path):
    said = mistakes(tmp_path, changed(segments={"columns": {"a": "a"}, "groupings": [["b"], ["a", "a"], ["b"]]}))
    assert [text.split(":")[1].strip() for text in said] == ["groupings[0]", "groupings[1]", "groupings[2]", "groupings[2]"]


def test_each_name_given_twice_is_said(tmp_path):
    tree = yaml.safe_load(MODEL)
    tree["models"] *= 2
    said = mistakes(tmp_path, yaml.safe_dump(tree))
    assert len(said) == 2
    assert "models[1].name" in said[0]
    assert "models[1].predictions.topic" in said[1]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"features": {"x": 1}}, "models[0].features: expected a list, got {'x': 1}"),
        ({"features": [5]}, "models[0].features[0]: expected a mapping of keys to values, got 5"),
        ({"windows": [1]}, "models[0].windows: expected a mapping of keys to values, got [1]"),
        ({"version": 2}, "models[0].version: expected text, got 2; put it in quotes"),
        ({"version": ""}, "models[0].version: expected text of at least 1 characters, got ''"),
        ({"name": "a b"}, "models[0].name: expected text that matches ^[A-Za-z_][A-Za-z0-9_.:/-]*$, got 'a b'"),
        ({"references": [5]}, "models[0].references[0]: expected the path of a file or folder, got 5"),
    ],
)
def test_types_have_the_names_of_yaml(tmp_path, model, said):
    assert mistakes(tmp_path, changed(**model)) == [said]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"evaluation": {"thresholds": {"foo": 2}}}, "models[0].evaluation.thresholds.foo: unknown key"),
        (
            {"predictions": {"topic": "m", "id": "id", "score": "s", "threshold": float("nan")}},
            "models[0].predictions.threshold: expected a finite number, got nan",
        ),
        ({"evaluation": {"thresholds": {"pis": 2}}}, "models[0].evaluation.thresholds.pis: unknown key; did you mean 'psi'?"),
        ({"feautres": []}, "models[0].feautres: unknown key; did you mean 'features'?"),
        ({"psi": 0.2}, "models[0].psi: unknown key here; it belongs to models[].evaluation.thresholds"),
    ],
)
def test_an_unknown_key_is_compared_with_those_of_its_own_section(tmp_path, model, said):
    assert mistakes(tmp_path, changed(**model)) == [said]


@pytest.mark.parametrize(
    ("section", "where"),
    [
        (
            {"source": {"brokers": ["b:9092"], "security": {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "token": "hunter2"}}},
            "token",
        ),
        ({"source": {"brokers": ["b:9092"], "security": "alice:hunter2"}}, "source.security"),
        ({"http": {"bearer_token": "hunter2"}}, "http.bearer_token"),
        ({"http": {"bearer_token": ["hunter2"]}}, "http.bearer_token"),
        ({"http": {"basic_auth": "alice:hunter2"}}, "http.basic_auth"),
    ],
)
def test_a_secret_that_stands_in_the_file_is_never_repeated(tmp_path, section, where):
    (said,) = mistakes(tmp_path, yaml.safe_dump(yaml.safe_load(MODEL) | section))
    assert where in said and "hunter2" not in said
    if where.endswith(("password", "token")):
        assert "{file: PATH} or {env: NAME}" in said


@pytest.mark.parametrize("line", ["bearer_token: hunter2: x", "bearer_token: hunter2 'x\n  - y", "\tbearer_token: hunter2"])
def test_what_is_no_yaml_is_placed_without_its_text(tmp_path, line):
    (said,) = mistakes(tmp_path, MODEL + f"http:\n  {line}\n")
    assert "expected YAML" in said and "line 8" in said and "hunter2" not in said


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "flüge", "a b", "x" * 250])
def test_a_topic_is_named_as_brokers_allow(tmp_path, name):
    (said,) = mistakes(tmp_path, changed(predictions={"topic": name, "id": "id"}))
    assert said.startswith("models[0].predictions.topic: expected the name of a topic")


@pytest.mark.parametrize(
    "address",
    ["kafka", "kafka:", ":9092", "localhost:noport", "kafka:0", "kafka:65536", "kafka:9092 ", "::1:9092", "PLAINTEXT://kafka:9092"],
)
def test_a_broker_is_host_and_port(tmp_path, address):
    (said,) = mistakes(tmp_path, yaml.safe_dump(yaml.safe_load(MODEL) | {"source": {"brokers": ["a:1", address]}}))
    assert said == f"source.brokers[1]: expected host:port such as kafka:9092, got {address!r}"


@pytest.mark.parametrize(
    "brokers", [["a:1", "alice:hunter2@kafka:9092"], ["a:1", "SASL_SSL://alice:hunt@er2@kafka:9092"], "alice:hunter2@kafka:9092"]
)
def test_a_broker_with_a_password_is_refused_and_the_password_not_repeated(tmp_path, brokers):
    (said,) = mistakes(tmp_path, yaml.safe_dump(yaml.safe_load(MODEL) | {"source": {"brokers": brokers}}))
    where = "source.brokers[1]" if isinstance(brokers, list) else "source.brokers"
    assert said.startswith(f"{where}: expected ") and said.endswith("...@kafka:9092'") and "hunt" not in said and "er2" not in said


@pytest.mark.parametrize(
    "address", ["kafka-0.kafka_2.svc:9092", "10.0.0.1:1", "[::1]:9092", "[fe80::1%eth0]:65535", "[::ffff:10.0.0.1]:9092"]
)
def test_a_broker_may_be_a_name_or_an_address_of_either_kind(tmp_path, address):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(MODEL) | {"source": {"brokers": [address]}}))
    assert load_config(path).source.brokers == (address,)


def test_a_category_given_twice_is_said(tmp_path):
    (said,) = mistakes(tmp_path, changed(features=[{"name": "x", "type": "categorical", "categories": ["a", "b", "a"]}]))
    assert said == "models[0].features[0]: categories: expected each once, got 'a' again"


def test_a_threshold_of_a_statistic_that_the_signal_never_has_is_said(tmp_path):
    features = [{"name": "x", "type": "numeric"}, {"name": "c", "type": "categorical"}]
    thresholds = {"x": {"ks": 0.1, "unseen_rate": 0.1}, "c": {"wasserstein": 1, "unseen_rate": 0.1}, "score": {"ks": 0.1}, "z": {"ks": 1}}
    where = "models[0]: evaluation.feature_thresholds"
    assert mistakes(tmp_path, changed(features=features, evaluation={"feature_thresholds": thresholds})) == [
        f"{where}.c: expected statistics of a categorical signal, got 'wasserstein', which only a numeric one has",
        f"{where}.x: expected statistics of a numeric signal, got 'unseen_rate', which only a categorical one has",
        f"{where}: expected a feature, got 'z'",
    ]


@pytest.mark.parametrize("value", ["2020-02-30", "9" * 5_000, "!!int hunter2", "!!bool hunter2", "!!timestamp hunter2"])
def test_a_value_that_yaml_cannot_make_is_placed_without_its_text(tmp_path, value):
    (said,) = mistakes(tmp_path, MODEL + f"http:\n  bearer_token: {value}\n")
    assert said == "line 8: expected a value that is what it looks like, or is tagged as"
