"""Versions of the model as the pipeline publishes them: weights, reference, and what they were made from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from monitor.demo.model import Model


class Published(msgspec.Struct, frozen=True):
    """What is known of a version. Written last: a folder without it is not published."""

    version: str
    trigger_id: str
    rows: int  # flights with a known outcome that it learned from
    train_start_ms: int  # of their scheduled departures
    train_end_ms: int  # exclusive; outcomes known later were not used either
    auc: float  # on the flights that it learned from
    seconds: float  # wall time from evidence to publication


class _Weights(msgspec.Struct, frozen=True):
    means: dict[str, float]
    stds: dict[str, float]
    categories: dict[str, tuple[str, ...]]
    weights: list[float]
    rows: int


def reference_of(versions: Path, version: str) -> Path:
    """The monitor's reference of a version."""
    return versions / version / "reference.json.gz"


def publish(versions: Path, published: Published, model: Model) -> None:
    """Write model and manifest. The manifest appears at once, and last."""
    folder = versions / published.version
    folder.mkdir(parents=True, exist_ok=True)
    weights = _Weights(dict(model.means), dict(model.stds), dict(model.categories), model.weights.tolist(), model.rows)
    (folder / "model.json").write_bytes(msgspec.json.encode(weights))
    (folder / "published.new").write_bytes(msgspec.json.encode(published))
    (folder / "published.new").rename(folder / "published.json")


def next_version(versions: Path, serving: str) -> str:
    """The number after every one that there is."""
    return str(max([int(serving), *(int(manifest.parent.name) for manifest in versions.glob("*/published.json"))]) + 1)


def published_for(versions: Path, trigger_id: str) -> Published | None:
    """The version that was made for a trigger, or None."""
    for manifest in versions.glob("*/published.json"):
        found = msgspec.json.decode(manifest.read_bytes(), type=Published)
        if found.trigger_id == trigger_id:
            return found
    return None


def read_model(versions: Path, version: str) -> Model:
    """The weights of a published version."""
    found = msgspec.json.decode((versions / version / "model.json").read_bytes(), type=_Weights)
    return Model(found.means, found.stds, found.categories, np.array(found.weights), found.rows)
