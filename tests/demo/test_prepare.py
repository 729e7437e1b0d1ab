"""What is laid out before the first event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from monitor.config import load_config
from monitor.demo.events import split
from monitor.demo.flights import Flights
from monitor.demo.model import Model, auc, labels, score
from monitor.demo.prepare import CONFIG, Play, Workspace, local, write_config, write_training


@pytest.mark.parametrize("detection", [False, True])
def test_detectors_run_where_their_alarms_can_be_seen(tmp_path, detection):
    write_config(Workspace(tmp_path), broker="127.0.0.1:1234", port=4321, detection=detection)
    assert load_config(Workspace(tmp_path).config).models[0].detection.enabled is detection


def test_the_local_configuration_is_valid_and_keeps_to_its_folder(tmp_path: Path) -> None:
    write_config(Workspace(tmp_path), broker="127.0.0.1:1234", port=4321)
    config = load_config(tmp_path / "flights.yaml")
    assert config.source.brokers == ("127.0.0.1:1234",)
    assert (config.http.bind, config.http.port) == ("127.0.0.1", 4321)
    assert config.state.directory == tmp_path / "state"
    assert config.models[0].references == (tmp_path / "reference.json.gz",)


def test_only_addresses_and_files_differ_from_the_published_configuration(tmp_path: Path) -> None:
    published = yaml.safe_load(CONFIG.read_text())
    ours = local(published, "127.0.0.1:1234", 4321, Workspace(tmp_path))
    assert published == yaml.safe_load(CONFIG.read_text())  # the argument is not changed
    ours["source"]["brokers"] = published["source"]["brokers"]
    ours["http"]["port"] = published["http"]["port"]
    ours["state"]["directory"] = published["state"]["directory"]
    ours["models"][0]["references"] = published["models"][0]["references"]
    assert ours == published


def test_beginning_afresh_removes_only_what_a_demonstration_left(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "demo")
    workspace.clear()
    workspace.state.mkdir()
    for file in (workspace.training, workspace.config, workspace.reference, workspace.log, workspace.state / "epoch"):
        file.write_text("old")
    precious = workspace.folder / "thesis.txt"
    precious.write_text("mine")
    workspace.clear()
    assert list(workspace.folder.iterdir()) == [precious]


def test_the_training_file_and_both_qualities_of_the_model(tmp_path: Path, flights: Flights, model: Model) -> None:
    training, production = split(flights)
    play = Play(model, training, score(model, training), production, score(model, production))
    assert write_training(play, Workspace(tmp_path)) == len(training)
    assert play.training_auc == auc(labels(training), score(model, training))
    assert play.production_auc == auc(labels(production), score(model, production))
    assert np.isfinite(play.scores).all()
