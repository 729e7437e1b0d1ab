"""A model whose traffic is like its training data, so that only what is planted can be caught."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from monitor.__main__ import main

START_MS = 1_700_006_400_000
STEP_MS = 10_000
MODEL: dict[str, Any] = {
    "name": "churn",
    "version": "1",
    "predictions": {"topic": "t", "id": "id", "time": {"path": "ts"}, "score": "score", "threshold": 0.5},
    "labels": {"topic": "l", "id": "id", "time": {"path": "at"}, "label": "truth",
               "lateness": "10m", "pane": "30m", "window": "2h", "horizon": "1h"},
    "features": [{"name": "price", "type": "numeric"}, {"name": "plan", "type": "categorical"}],
    "segments": {"columns": {"country": "country"}, "groupings": [["country"]]},
    "windows": {"pane": "5m", "short": "30m", "long": "2h", "lateness": "1m"},
    "references": ["reference.json.gz"],
}  # fmt: skip


def events(seed: int, rows: int) -> Iterator[dict[str, Any]]:
    """Predictions with their truth: right in nine of ten."""
    random = np.random.default_rng(seed)
    for number in range(rows):
        score = float(random.random())
        right = random.random() < 0.9
        yield {
            "id": f"{seed}-{number}",
            "ts": START_MS + number * STEP_MS,
            "price": round(float(random.normal(10, 2)), 4),
            "plan": str(random.choice(["a", "b", "c"], p=[0.6, 0.3, 0.1])),
            "country": str(random.choice(["FR", "DE"], p=[0.7, 0.3])),
            "score": score,
            "truth": int((score >= 0.5) == right),
            "at": START_MS + number * STEP_MS + 60_000,
        }


def made(folder: Path, rows: int = 3_000, **more: Any) -> Path:
    """A configuration with its reference and a folder's worth of traffic."""
    tree = {"source": {"client": "ndjson", "path": "."}, "models": [MODEL], **more}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(tree))
    (folder / "train.ndjson").write_text("\n".join(json.dumps(event) for event in events(1, 20_000)))
    out = str(folder / "reference.json.gz")
    assert main(["reference", "build", "-c", str(config), "--data", str(folder / "train.ndjson"), "--label", "truth", "-o", out]) == 0
    traffic = list(events(2, rows))
    (folder / "t.ndjson").write_text("\n".join(json.dumps({k: v for k, v in each.items() if k not in ("truth", "at")}) for each in traffic))
    (folder / "l.ndjson").write_text("\n".join(json.dumps({k: each[k] for k in ("id", "at", "truth")}) for each in traffic))
    return config
