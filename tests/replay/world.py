"""The small world as history: files of its logs, and a configuration that has a policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from monitor.reference.format import with_fingerprint, write_reference
from tests.flow import label_world, world
from tests.flow.world import Message

POLICY: dict[str, Any] = {
    "performance": [{"metric": "accuracy", "floor": 0.95}],
    "persistence": {"evaluations": 1},
    "min_fresh_labels": 10,
    "cooldown": "40m",
    "at_most": 50,
}


def logs(minutes: int = 150, seed: int = 31, **more: Any) -> tuple[list[list[Message]], list[list[Message]]]:
    """Predictions of two partitions, and their labels; no label's time is more than ten minutes after the last prediction's."""
    predictions = world.log(seed, partitions=2, minutes=minutes, **more)
    labels = label_world.log(predictions, seed + 1, partitions=1)
    end_ms = world.START + (minutes + 10) * world.MINUTE
    return predictions, [[message for message in each if _time(message) <= end_ms] for each in labels]


def _time(message: Message) -> int:
    try:
        return int(json.loads(message.value or b"null")["ts"])
    except (ValueError, TypeError, KeyError):
        return 0


def model(predictions: str = "t", labels: str = "l", **changes: Any) -> dict[str, Any]:
    """The model of the small world, with labels and a policy."""
    return {
        **world.CONFIG["models"][0],
        "references": ["reference.json.gz"],
        "predictions": {**label_world.PREDICTIONS, "topic": predictions},
        "labels": {**label_world.SECTION, "topic": labels},
        "retraining": POLICY,
        **changes,
    }


def configured(folder: Path, source: dict[str, Any], *models: dict[str, Any], **more: Any) -> Path:
    """A configuration file with its reference beside it."""
    write_reference(with_fingerprint(label_world.reference()), folder / "reference.json.gz")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"source": source, "models": list(models), **more}))
    return path


def write(folder: Path, topic: str, each: Sequence[Sequence[Message]]) -> None:
    """A file for each partition."""
    for partition, messages in enumerate(each):
        (folder / f"{topic}-{partition}.ndjson").write_bytes(b"\n".join(message.value or b"" for message in messages) + b"\n")
