"""Starting anew by changed files: the process goes on where it was, or goes on as it is when they cannot be used."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from monitor.config import parse_config
from monitor.errors import ConfigError
from monitor.reference.files import reference_files, seen_by_patterns
from monitor.reference.fit import MAX_REFERENCES, load_references
from monitor.reference.format import with_fingerprint, write_reference
from tests.flow import label_world, world
from tests.flow.test_late_reference import reference_of
from tests.test_app import Running, RunningAsCommand, configured, filled, logs, saved_facts

__all__ = ["filled", "logs"]


def changed(config: Path, **changes: object) -> None:
    tree = yaml.safe_load(config.read_text())
    tree["models"][0] |= changes
    config.write_text(yaml.safe_dump(tree))


def versions(running: Running) -> dict[str, bool]:
    models = running.get("api/v1/status")["models"]
    return {each["version"]: each["reference"] is not None for model in models for each in model["versions"]}


def said(running: Running, event: str) -> list[dict]:
    return [each for each in running.events() if each["event"] == event]


@pytest.mark.broker
@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
def test_references_that_come_while_it_runs_are_taken_and_nothing_counts_twice(broker, filled, logs, tmp_path, client):
    config = configured(tmp_path, broker.bootstrap, filled, client, references=["versions/*/reference.json.gz"])
    total = sum(map(len, logs))
    with RunningAsCommand(config) as running:
        running.wait(lambda: running.counted() == total)
        assert not any(versions(running).values())
        for version in ("1", "2"):
            (tmp_path / "versions" / version).mkdir(parents=True)
            write_reference(with_fingerprint(world.reference(version=version)), tmp_path / "versions" / version / "reference.json.gz")
            running.wait(lambda n=int(version): len(said(running, "ServerStarted")) == 1 + n)
            running.wait(lambda v=version: again(running) and versions(running).get(v))
            assert running.counted() == total
        assert [each["why"] for each in said(running, "ReloadRequested")] == ["references"] * 2
        assert all(each["state_saved"] for each in said(running, "ProcessStopped"))
        assert running.stop()[0] == 0
    assert saved_facts(tmp_path)[0]["ledger"][0] == total


def again(running: Running) -> bool:
    """Whether the newest of its servers answers; the one before may have been closed a moment ago."""
    running.address = lambda: said(running, "ServerStarted")[-1]["address"]
    try:
        return running.get("api/v1/status")["phase"] in ("running", "finished")
    except OSError:
        return False


@pytest.mark.broker
def test_a_signal_takes_a_new_configuration_and_refuses_one_with_mistakes(broker, filled, logs, tmp_path):
    config = configured(tmp_path, broker.bootstrap, filled, "kafka-python")
    with RunningAsCommand(config) as running:
        running.wait(lambda: running.counted() == sum(map(len, logs)))
        changed(config, windows={"pane": "soon"})
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: said(running, "ReloadRefused"))
        assert "models[0].windows.pane" in said(running, "ReloadRefused")[0]["reason"]
        assert running.get("api/v1/status")["phase"] == "running"
        assert said(running, "StopRequested") == said(running, "ReloadRequested") == []

        changed(config, windows={**world.CONFIG["models"][0]["windows"], "long": "2h"})
        running.process.send_signal(signal.SIGHUP)
        running.wait(lambda: len(said(running, "ServerStarted")) == 2)
        running.wait(lambda: again(running))
        running.process.send_signal(signal.SIGHUP)  # a second time, by the process that the first one started
        running.wait(lambda: len(said(running, "ServerStarted")) == 3)
        running.wait(lambda: again(running))
        assert os.waitid(os.P_PID, running.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, "the same process all along"
        assert running.stop()[0] == 0


def labels_counted(running: Running) -> list[str]:
    """What became of each label so far."""
    lines = urlopen(running.address() + "metrics", timeout=10).read().decode().splitlines()
    return sorted(line for line in lines if line.startswith(("driftgauge_labels_total", "driftgauge_predictions_labelled")))


def test_a_reference_that_comes_after_labels_of_its_version_is_taken_and_nothing_counted_is_lost(tmp_path):
    predictions = world.log(41, partitions=1, minutes=60)
    topics = {"t": predictions, "l": label_world.log(predictions, 42, partitions=1)}
    (tmp_path / "logs").mkdir()
    for topic, [messages] in topics.items():
        (tmp_path / "logs" / f"{topic}.ndjson").write_bytes(b"".join((m.value or b"").replace(b"\n", b"") + b"\n" for m in messages))
    write_reference(label_world.reference(), tmp_path / "1.json.gz")
    model = {
        **world.CONFIG["models"][0],
        "references": ["*.json.gz"],
        "predictions": label_world.PREDICTIONS,
        "labels": label_world.SECTION,
    }
    tree = {"source": {"client": "ndjson", "path": "logs"}, "models": [model], "http": {"port": 0}, "state": {"directory": "state"}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    with RunningAsCommand(config) as running:
        running.wait(lambda: said(running, "SourceFinished"))
        assert versions(running) == {"1": True, "2": False}
        counted = labels_counted(running)
        write_reference(reference_of("2", (0.4, 0.8)), tmp_path / "2.json.gz")
        running.wait(lambda: len(said(running, "SourceFinished")) == 2)
        running.wait(lambda: again(running) and versions(running) == {"1": True, "2": True})
        assert [each["why"] for each in said(running, "ReloadRequested")] == ["references"]
        assert said(running, "RebuildStarted") == []
        assert len(counted) > 5
        assert labels_counted(running) == counted
        assert said(running, "StateDiscarded") == []
        assert len(said(running, "StateChanged")) == 1
        assert any("version 2 of model m was counted" in notice for notice in running.get("api/v1/status")["notices"])
        assert running.stop()[0] == 0


def test_a_pattern_stands_for_the_files_that_are_there(tmp_path):
    folder = tmp_path / "of [one] model"  # brackets of a folder are no pattern
    folder.mkdir()
    pattern = folder / "*.json.gz"
    assert reference_files(pattern) == []
    assert reference_files(folder / "missing.json.gz") == [folder / "missing.json.gz"]
    before = seen_by_patterns([pattern, folder / "b.json.gz"])
    for name in ("b.json.gz", "a.json.gz", ".c.json.gz.new", "notes.txt"):
        (folder / name).write_bytes(b"")
    (folder / "gone.json.gz").symlink_to(folder / "nothing")
    assert reference_files(pattern) == [folder / "a.json.gz", folder / "b.json.gz", folder / "gone.json.gz"]
    after = seen_by_patterns([pattern])
    assert {path.name for path, _, _ in after - before} == {"a.json.gz", "b.json.gz"}
    (folder / "a.json.gz").write_bytes(b"more")
    assert {path.name for path, _, _ in seen_by_patterns([pattern]) - after} == {"a.json.gz"}


def loaded(folder: Path, *references: str):
    tree = {**world.CONFIG, "models": [{**world.CONFIG["models"][0], "references": list(references)}]}
    return load_references(parse_config(tree, folder=folder))["m"]


def test_references_of_a_pattern_are_loaded_once_and_mistakes_name_the_file(tmp_path):
    for version in ("1", "2"):
        write_reference(with_fingerprint(world.reference(version=version)), tmp_path / f"{version}.json.gz")
    assert [each.model_version for each in loaded(tmp_path, "2.json.gz", "*.json.gz")] == ["2", "1"]
    write_reference(with_fingerprint(world.reference()), tmp_path / "again.json.gz")
    with pytest.raises(ConfigError, match=r"references\[0\] \(again\.json\.gz\).*got a second one of '1'"):
        loaded(tmp_path, "*.json.gz")
    (tmp_path / "again.json.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match=r"models\[0\]\.references\[0\] \(again\.json\.gz\): .*gzip"):
        loaded(tmp_path, "*.json.gz")


def test_a_folder_with_too_many_references_is_a_mistake(tmp_path):
    for number in range(MAX_REFERENCES + 1):
        (tmp_path / f"{number}.json.gz").touch()
    with pytest.raises(ConfigError, match=rf"models\[0\]\.references: expected at most {MAX_REFERENCES} files, got {MAX_REFERENCES + 1}"):
        loaded(tmp_path, "*.json.gz")
