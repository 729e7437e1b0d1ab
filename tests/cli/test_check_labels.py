"""``driftgauge check`` on labels: whether their topic is there, and how they meet their predictions."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.__main__ import main
from tests.flow import world

JOINED = "labels of l, binary, joined by id up to 30d after the prediction"
BOTH = "One process reads both topics, so that every label can find its prediction either way"


def write(folder: Path, source: dict[str, Any], topic: str = "t", **labels: Any) -> Path:
    model = world.CONFIG["models"][0]
    labels = {"topic": "l", "id": "id", "label": "y"} | labels
    tree = {
        "source": source,
        "models": [{**model, "predictions": {**model["predictions"], "topic": topic}, "labels": labels}],
        "http": {"port": 0},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def check(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    code = main(["check", "-c", str(path), *arguments])
    said = capsys.readouterr()
    return code, [line for line in said.out.splitlines() if "labels of" in line], said.err


def folder_of(folder: Path, *names: str) -> dict[str, str]:
    (folder / "log").mkdir()
    for name in names:
        (folder / "log" / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    return {"client": "ndjson", "path": "log"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["t.ndjson", "l.ndjson"], "t and l have 1 partition each: co-partitioned, if both are keyed by this id"),
        (["t-0.ndjson", "t-1.ndjson.gz", "l.ndjson"], "t has 2 partitions, l has 1 partition: not co-partitioned"),
    ],
)
def test_whether_labels_are_co_partitioned_is_said_plainly(tmp_path, capsys, files, said):
    path = write(tmp_path, folder_of(tmp_path, *files))
    assert check(path, capsys) == (0, [f"model m: {JOINED}; {said}. {BOTH}"], "")


def test_offline_says_how_labels_are_joined_and_nothing_of_partitions(tmp_path, capsys):
    path = write(tmp_path, {"brokers": ["127.0.0.1:1"]})
    assert check(path, capsys, "--offline") == (0, [f"model m: {JOINED}"], "")


def test_labels_that_carry_their_predictions_are_not_joined(tmp_path, capsys):
    path = write(tmp_path, folder_of(tmp_path, "t.ndjson", "l.ndjson"), prediction={"score": "p"})
    assert check(path, capsys) == (0, ["model m: labels of l, binary, carry their predictions: nothing is joined"], "")


def test_a_missing_file_of_labels_is_a_mistake(tmp_path, capsys):
    code, _, said = check(write(tmp_path, folder_of(tmp_path, "t.ndjson")), capsys)
    assert code == 2
    assert "source: source.path: expected l.ndjson or l-<partition>.ndjson in " in said


def test_one_file_cannot_hold_two_topics(tmp_path, capsys):
    (tmp_path / "events.ndjson").write_text("")
    code, _, said = check(write(tmp_path, {"client": "ndjson", "path": "events.ndjson"}), capsys)
    assert code == 2
    assert "source: source.path: expected a folder with a file for each of the topics t, l (t.ndjson), got " in said


def test_the_broker_is_asked_for_the_topic_of_labels(tmp_path, capsys, broker: Any, topic: Callable[..., str]):
    predictions, labels = topic(partitions=3), topic(partitions=2)
    path = write(tmp_path, {"brokers": [broker.bootstrap]}, predictions)
    code, _, said = check(path, capsys)
    assert code == 2
    assert "they are not there or hidden from this user: l;" in said
    tree = yaml.safe_load(path.read_text())
    tree["models"][0]["labels"]["topic"] = labels
    path.write_text(yaml.safe_dump(tree))
    code, (line,), _ = check(path, capsys)
    assert code == 0
    assert f"{predictions} has 3 partitions, {labels} has 2 partitions: not co-partitioned. {BOTH}" in line
