"""A first configuration: it loads, it maps what is there, and it says why."""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from monitor.cli import init as command
from monitor.config import Config, load_config, parse_config
from monitor.errors import ConfigError, SourceError
from monitor.init.column import columns_of
from monitor.init.labels import assign_labels
from monitor.init.roles import assign, time_unit
from monitor.init.text import Origin, config_text
from monitor.reference.build import Options, build_reference
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files

Event = dict[str, Any]


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["init", *map(str, words)])
    return int(args.run(args))


def written(tmp_path: Path, events: list[Event]) -> Config:
    data = tmp_path / "events.ndjson"
    data.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert run("--data", data, "-o", tmp_path / "config.yaml") == 0
    return load_config(tmp_path / "config.yaml")


def flat(n: int = 400) -> list[Event]:
    chance = random.Random(1)
    return [
        {
            "request_id": f"q-{i}",
            "timestamp": 1_700_000_000 + i,
            "country": chance.choice(["FR", "DE", "ES"]),
            "age": chance.randint(18, 90),
            "amount": round(chance.random() * 100, 2),
            "is_new": chance.random() < 0.5,
            "probability": chance.random(),
            "comment": f"free text {chance.random()}",
            "target": chance.choice([0, 1]),
        }
        for i in range(n)
    ]


def nested(n: int = 400) -> list[Event]:
    return [
        {
            "event": {"uuid": row["request_id"], "created_at": f"2024-01-01T00:{i // 60 % 60:02}:{i % 60:02}Z"},
            "model": {"name": "risk", "version": "7.2"},
            "context": {"country": row["country"]},
            "features": {"age": row["age"], "amount": row["amount"], "is_new": row["is_new"]},
            "prediction": {"score": row["probability"], "label": "yes" if row["probability"] > 0.5 else "no"},
        }
        for i, row in enumerate(flat(n))
    ]


def arrays(n: int = 400) -> list[Event]:
    return [{"id": row["request_id"], "inputs": [row["age"], row["amount"], {"deep": row["age"]}], "score": 0.5} for row in flat(n)]


def test_a_flat_event_is_mapped(tmp_path: Path) -> None:
    model = written(tmp_path, flat()).models[0]
    assert model.name == "events"
    assert (model.predictions.id, model.predictions.time.path, model.predictions.time.unit) == ("request_id", "timestamp", "s")
    assert (model.predictions.score, model.predictions.predicted_class, model.predictions.model_version) == ("probability", None, None)
    # The true outcome, ids and free text are no inputs.
    assert {feature.name: (feature.type, feature.values) for feature in model.features} == {
        "country": ("categorical", "string"),
        "age": ("numeric", "string"),
        "amount": ("numeric", "string"),
        "is_new": ("categorical", "boolean"),
    }
    assert model.segments.columns == {"country": "country"} and model.segments.groupings == (("country",),)


def test_a_nested_event_is_mapped(tmp_path: Path) -> None:
    model = written(tmp_path, nested()).models[0]
    assert (model.predictions.id, model.predictions.time.path, model.predictions.time.unit) == ("event.uuid", "event.created_at", "iso8601")
    assert (model.predictions.score, model.predictions.predicted_class) == ("prediction.score", "prediction.label")
    assert model.predictions.model_version == "model.version"
    # Features stand under their own key: what stands beside them is none.
    assert [feature.where for feature in model.features] == ["features.age", "features.amount", "features.is_new"]
    assert model.segments.columns == {"country": "context.country"}


def test_what_operators_need_to_decide_is_there_to_be_uncommented(tmp_path: Path) -> None:
    assert written(tmp_path, flat()).controls is None
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("# controls:", "controls:"))
    controls = load_config(tmp_path / "config.yaml").controls
    assert controls is not None and controls.topic == "driftgauge-controls"


def test_a_model_is_called_as_its_events_call_it(tmp_path: Path) -> None:
    assert written(tmp_path, nested()).models[0].name == "risk"
    (tmp_path / "config.yaml").unlink()
    two = [event | {"model": {"name": f"m{i % 2}"}} for i, event in enumerate(nested())]
    assert written(tmp_path, two).models[0].name == "events"


def test_parts_of_the_time_are_features_but_no_segments(tmp_path: Path) -> None:
    rows = [row | {"weekday": ["Mon", "Tue"][i % 2]} for i, row in enumerate(flat())]
    model = written(tmp_path, rows).models[0]
    assert "weekday" in [feature.name for feature in model.features]
    assert model.segments.columns == {"country": "country"}


def test_columns_that_could_be_segments_too_are_named(tmp_path: Path) -> None:
    rows = [
        row | {"device": f"d{i % 3}", "plan": f"p{i % 4}", "shop": f"s{i % 5}", "city": f"c{i % 60:02}"}
        for i, row in enumerate(flat(2_400))
    ]
    model = written(tmp_path, rows).models[0]
    assert len(model.segments.columns) == 3
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    others = dict(re.findall(r'# could be a segment too: "(\w+)"  # ([\d,]+) different values', text))
    assert {"country", "device", "plan", "shop", "city"} == {*model.segments.columns, *others} and others["city"] == "60"
    # Few values keep segments large: one with more is never chosen by itself.
    (tmp_path / "config.yaml").unlink()
    many = [row | {"country": f"c{i % 60:02}"} for i, row in enumerate(flat(2_400))]
    assert written(tmp_path, many).models[0].segments.groupings == ()
    assert 'could be a segment too: "country"  # 60 different values' in (tmp_path / "config.yaml").read_text(encoding="utf-8")


def test_elements_of_arrays_are_features_and_a_missing_time_is_that_of_the_record(tmp_path: Path) -> None:
    model = written(tmp_path, arrays()).models[0]
    assert model.predictions.time.path == "$timestamp"
    assert {feature.name: feature.where for feature in model.features} == {
        "inputs_0": "inputs[0]",
        "inputs_1": "inputs[1]",
        "deep": "inputs[2].deep",
    }
    assert model.segments.groupings == ()


def test_without_an_id_the_key_of_the_message_is_taken(tmp_path: Path) -> None:
    config = written(tmp_path, [{"a": i % 7, "b": "x"} for i in range(100)])
    assert config.models[0].predictions.id == "$key"
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "all of it would be rejected (no_id)" in text
    assert "runs as it is" not in text


@pytest.mark.parametrize("shape", [flat, nested])
def test_the_configuration_counts_the_very_sample_it_was_made_from(tmp_path: Path, shape: Callable[[], list[Event]]) -> None:
    config = written(tmp_path, shape())
    assert config.source.path is not None and config.source.path.resolve() == (tmp_path / "events.ndjson").resolve()
    model = config.models[0]
    built = build_reference(model, open_files([config.source.path], data_model(model)), Options())
    assert built.reference.rows == 400
    assert built.notes == ()
    faults = [built.reference.table.counts[0, built.reference.layout.span(i)][:3].sum() for i in range(len(built.reference.layout.signals))]
    assert sum(faults) == 0


def test_csv_and_parquet_give_the_same_features_as_ndjson(tmp_path: Path) -> None:
    rows = flat()
    expected = written(tmp_path, rows).models[0]
    with (tmp_path / "events.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "events.parquet")
    for name in ("events.csv", "events.parquet"):
        assert run("--data", tmp_path / name, "-o", tmp_path / f"{name}.yaml") == 0
        config = load_config(tmp_path / f"{name}.yaml")
        assert config.source.client == "kafka-python"
        assert config.models[0].features == expected.features
        assert config.models[0].predictions == expected.predictions
        assert config.models[0].segments == expected.segments


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    table = pa.table(
        {"id": [f"p{i}" for i in range(100)], "amount": pa.array([Decimal(i).scaleb(-2) for i in range(100)], pa.decimal128(10, 2))}
    )
    parquet.write_table(table, tmp_path / "events.parquet")
    assert run("--data", tmp_path / "events.parquet", "-o", tmp_path / "config.yaml") == 0
    (feature,) = load_config(tmp_path / "config.yaml").models[0].features
    assert (feature.name, feature.type) == ("amount", "numeric")


def test_a_csv_with_semicolons_is_said(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("id;amount\n1;2,5\n")
    with pytest.raises(SourceError, match="expected columns separated by commas"):
        run("--data", tmp_path / "events.csv", "-o", tmp_path / "config.yaml")


def test_comments_say_why_and_what_was_left_out(tmp_path: Path) -> None:
    written(tmp_path, flat())
    text = (tmp_path / "config.yaml").read_text()
    assert 'id: "request_id"  # different in each of 400 rows, such as q-0' in text
    assert "unit: s" in text and "of the size of s since 1970" in text
    assert '# left out: {name: comment, type: categorical, path: "comment"}  # 400 different texts in 400 rows: an id or free text?' in text
    assert "# left out: {name: target" in text and "named like the true outcome, which is no input" in text
    assert "driftgauge reference build -c " in text


def test_values_of_several_types_take_the_type_of_nearly_all(tmp_path: Path) -> None:
    rows = [{"id": f"i{i}", "a": "12,5" if i % 50 == 0 else i / 3, "b": "x" if i % 2 else i} for i in range(200)]
    model = written(tmp_path, rows).models[0]
    assert [(feature.name, feature.type) for feature in model.features] == [("a", "numeric")]
    text = (tmp_path / "config.yaml").read_text()
    assert "never missing in the sample, 4 of another type" in text
    assert 'left out: "b"  # values of several types: integer 100, text 100' in text


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1_700_000_000, 1_700_000_001], "s"),
        ([1_700_000_000.25], "s"),
        ([1_700_000_000_000], "ms"),
        ([1_700_000_000_000_000], "us"),
        ([1_700_000_000_000_000_000], "ns"),
        (["2024-01-01T00:00:00Z", "2024-01-01 00:00"], "iso8601"),
        (["20240101"], None),
        ([1_700_000_000, 17], None),
        (["soon"], None),
        ([5], None),
    ],
)
def test_a_time_is_told_by_the_size_of_its_values(values: list[Any], unit: str | None) -> None:
    (column,) = columns_of([{"t": value} for value in values])
    assert time_unit(column) == unit


def test_an_existing_configuration_is_kept_unless_forced(tmp_path: Path) -> None:
    written(tmp_path, flat())
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already; choose another file with -o or overwrite it with --force"):
        run("--data", tmp_path / "events.ndjson", "-o", path)
    assert path.read_text() == "mine"
    assert run("--data", tmp_path / "events.ndjson", "-o", path, "--force", "--model", "risk", "--topic", "risk.out") == 0
    model = load_config(path).models[0]
    assert (model.name, model.predictions.topic) == ("risk", "risk.out")


def test_a_file_without_events_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text("nonsense\n[1]\n")
    with pytest.raises(SourceError, match="expected events as JSON objects, one a line, or rows with columns; got none"):
        run("--data", path, "-o", tmp_path / "config.yaml")
    path.write_text('nonsense\n{"id": "a", "x": 1}\n')
    assert run("--data", path, "-o", tmp_path / "config.yaml") == 0
    assert f"note: 1 lines of {path} are no JSON objects and were left out" in capsys.readouterr().err
    with pytest.raises(SourceError, match=r"cannot be read: No such file|cannot be read: .*No such file"):
        run("--data", tmp_path / "none.ndjson", "-o", tmp_path / "other.yaml")


def test_events_with_bare_numbers_that_are_none_are_read_as_production_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.ndjson"
    events = [event | {"amount": (float("nan"), float("inf"), 1.5, 2.5)[n % 4]} for n, event in enumerate(flat())]
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + '{"id": "\\ud800", "x": NaN}\n', encoding="utf-8")
    assert run("--data", path, "-o", tmp_path / "config.yaml") == 0
    assert f"note: 1 lines of {path} are no JSON objects" in capsys.readouterr().err, "the one that is no text"
    assert "amount" in {feature.name for feature in load_config(tmp_path / "config.yaml").models[0].features}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def label_events(n: int = 300, **more: Any) -> list[Event]:
    return [
        {"for": {"request_id": f"q-{i}"}, "decided_at": f"2024-02-01T00:{i // 60:02}:{i % 60:02}Z", "outcome": i % 2, **more}
        for i in range(n)
    ]


def with_labels(tmp_path: Path, events: list[Event], labels: list[Event]) -> Config:
    path = tmp_path / "labels.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in labels))
    data = tmp_path / "events.ndjson"
    data.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert run("--data", data, "--labels", path, "-o", tmp_path / "config.yaml", "--topic", "p") == 0
    return load_config(tmp_path / "config.yaml")


def uncommented(text: str) -> Config:
    head, _, tail = text.partition("    # labels:\n")
    assert tail, "a section of labels was proposed"
    lines = ["labels:", *(line.removeprefix("    # ") for line in tail.splitlines())]
    return parse_config(yaml.safe_load(head + "".join(f"    {line}\n" for line in lines)))


def test_label_events_are_mapped(tmp_path: Path) -> None:
    events = label_events(reviewer="ann", revision=2, source="audit", certainty=0.5, revenue=-3.5, comment="x")
    # An id is known by its values, whatever else is named like one.
    config = with_labels(tmp_path, flat(), [{"prediction_id": "other", **event} for event in events])
    assert config.source.client == "kafka-python"
    labels = config.models[0].labels
    assert labels is not None
    assert (labels.topic, labels.id, labels.label, labels.task) == ("p.labels", "for.request_id", "outcome", "binary")
    assert (labels.time.path, labels.time.unit) == ("decided_at", "iso8601")
    assert (labels.annotator, labels.label_version, labels.source) == ("reviewer", "revision", "source")
    assert (labels.confidence, labels.kpi) == ("certainty", "revenue")
    assert (labels.positive, labels.negative) == (("1", "true"), ("0", "false"))
    text = (tmp_path / "config.yaml").read_text()
    assert 'id: "for.request_id"  # 100% of its values are ids of the predictions\' sample, such as q-0' in text


def test_a_column_has_one_role(tmp_path: Path) -> None:
    labels = with_labels(tmp_path, flat(), [{"source_id": f"q-{i}", "label": i % 2} for i in range(100)]).models[0].labels
    assert labels is not None
    assert (labels.id, labels.label, labels.source, labels.time.path) == ("source_id", "label", None, "$timestamp")


def test_classes_of_labels_are_those_of_labels_and_predictions(tmp_path: Path) -> None:
    for outcomes, positive, negative in (("yes no", ("yes",), ("no",)), ("0 1", ("1", "yes"), ("0", "no"))):
        labels = [event | {"outcome": outcomes.split()[event["outcome"]]} for event in label_events()]
        binary = with_labels(tmp_path, nested(), labels).models[0].labels
        assert binary is not None
        assert (binary.task, binary.positive, binary.negative) == ("binary", positive, negative)
        (tmp_path / "config.yaml").unlink()
    events = [event | {"prediction": {"predicted_class": ["red", "green"][i % 2]}} for i, event in enumerate(nested())]
    labels = [event | {"outcome": ["green", "blue"][event["outcome"]]} for event in label_events()]
    multiclass = with_labels(tmp_path, events, labels).models[0].labels
    assert multiclass is not None
    assert (multiclass.task, multiclass.classes) == ("multiclass", ("blue", "green", "red"))


def test_a_prediction_that_is_no_probability_is_a_regression_unless_its_labels_are_classes(tmp_path: Path) -> None:
    rows = [{"id": f"q-{i}", "inputs": [i], "prediction": 100.5 + i} for i in range(100)]
    for truth, task in ((lambda i: i / 3, "regression"), (lambda i: i % 2, "binary"), (lambda i: "ab"[i % 2], "binary")):
        found = with_labels(tmp_path, rows, [{"id": f"q-{i}", "truth": truth(i)} for i in range(100)]).models[0].labels
        assert found is not None
        assert (found.task, found.id, found.time.path, found.label) == (task, "id", "$timestamp", "truth")
        (tmp_path / "config.yaml").unlink()


def test_without_label_events_a_section_is_proposed_that_loads_once_it_is_uncommented(tmp_path: Path) -> None:
    for shape, task, label in ((flat, "binary", "target"), (nested, "binary", "label"), (arrays, "binary", "label")):
        model = written(tmp_path, shape()).models[0]
        assert model.labels is None
        labels = uncommented((tmp_path / "config.yaml").read_text()).models[0].labels
        assert labels is not None
        assert (labels.task, labels.id, labels.label) == (task, model.predictions.id, label)
        (tmp_path / "config.yaml").unlink()


def test_predictions_without_score_and_class_get_labels_as_a_comment_only(tmp_path: Path) -> None:
    config = with_labels(tmp_path, [{"id": f"q-{i}", "x": i / 2} for i in range(100)], label_events())
    assert config.models[0].labels is None
    assert (
        "They need predictions.score or predictions.predicted_class, which was not found above." in (tmp_path / "config.yaml").read_text()
    )


def test_names_that_yaml_takes_for_something_else_are_quoted(tmp_path: Path) -> None:
    rows = [{"id": f"i{i}", "no": "ab"[i % 2], "null": i, "TRUE": i / 2} for i in range(100)]
    model = written(tmp_path, rows).models[0]
    assert [feature.name for feature in model.features] == ["no", "null", "TRUE"]
    assert model.segments.groupings == (("no",),)


def test_an_event_of_an_id_alone_gives_a_configuration_that_loads(tmp_path: Path) -> None:
    model = written(tmp_path, [{"id": f"i{i}"} for i in range(10)]).models[0]
    assert (model.predictions.id, [feature.name for feature in model.features]) == ("id", ["id"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(st.text(max_size=12), JSON, max_size=6), max_size=8),
    st.lists(
        st.dictionaries(st.sampled_from(["id", "label", "score", "class", "reviewer", "ts"]) | st.text(max_size=12), JSON, max_size=6),
        max_size=8,
    ),
    st.text(max_size=10),
)
def test_any_events_give_a_configuration_that_loads(events: list[Event], labels: list[Event], data: str) -> None:
    """Keys and values are a user's: nothing in them may break out of the YAML or the path language."""
    columns = columns_of(events)
    if not columns:
        return
    roles, origin = assign(columns, len(events)), Origin(data, data, "config.yaml", "model", "topic", "topic.labels")
    text = config_text(roles, origin)
    model = parse_config(yaml.safe_load(text)).models[0]
    assert {feature.where for feature in model.features} <= {column.path for column in columns}
    comparable = roles.score is not None or roles.predicted_class is not None
    if comparable:
        assert uncommented(text).models[0].labels is not None
    mapped = parse_config(yaml.safe_load(config_text(roles, origin, assign_labels(columns_of(labels), len(labels), roles)))).models[0]
    assert (mapped.labels is not None) == comparable
    assert mapped.features == model.features


def fares(**more: str) -> list[Event]:
    """Training rows of a regression: distances, hours, and what was to be predicted under a name of its own."""
    chance = random.Random(5)
    rows = [{"ride": f"r-{i}", "km": round(chance.uniform(1, 30), 2), "seats": i % 3} for i in range(200)]
    return [{**row, "fare": round(2.5 + 1.8 * row["km"] + chance.random(), 2), **more} for row in rows]


def test_training_rows_that_name_no_truth_are_asked_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, fares())
    assert "nothing is called like the true outcome. If" in capsys.readouterr().err
    for rows in (
        [{**row, "target": row["fare"]} for row in fares()],
        flat(),
        [{"id": f"q-{i}", "country": "ab"[i % 2]} for i in range(99)],
    ):
        (tmp_path / "config.yaml").unlink()
        written(tmp_path, rows)
        assert "nothing is called like the true outcome" not in capsys.readouterr().err


def test_a_number_that_label_events_name_is_no_feature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = [{"ride": row["ride"], "fare": row["fare"]} for row in fares()]
    config = with_labels(tmp_path, [{**row, "prediction": 2 + 1.8 * row["km"]} for row in fares()], labels)
    model = config.models[0]
    assert model.labels is not None
    assert (model.labels.label, model.labels.task) == ("fare", "regression")
    assert [feature.name for feature in model.features] == ["km", "seats"]
    assert "fare was left out of the features: named like the true outcome" in capsys.readouterr().err


def test_keys_that_no_path_can_name_are_said_and_cannot_break_out_of_their_comment(tmp_path):
    events = [event | {'we"ird': i, "in": {"": 1, 'a\nb: "c"': {"x": i}}, "$price": i} for i, event in enumerate(flat())]
    events[-1]['rare"'] = 1
    config = written(tmp_path, events)
    why = "  # no path can name a key that is empty, begins with $ or has a quote in it"
    said = [line.strip() for line in (tmp_path / "config.yaml").read_text().splitlines() if line.endswith(why)]
    assert said == [f"# left out: {key}{why}" for key in ('we"ird', 'in.""', 'in.a?b: "c"', "$price", 'rare"')]
    assert not {"ird", "x", "price"} & {feature.name for feature in config.models[0].features}


def test_a_byte_order_mark_costs_no_event(tmp_path, capsys):
    data = tmp_path / "events.ndjson"
    lines = "".join(json.dumps(event) + "\n" for event in flat())
    for content in (lines.encode("utf-8-sig"), lines.encode()):
        data.write_bytes(content)
        assert run("--data", data, "-o", tmp_path / "config.yaml", "--force") == 0
        assert "no JSON objects" not in capsys.readouterr().err
        assert "the first 400 rows" in (tmp_path / "config.yaml").read_text()
