"""Rows and a model for the tests of references."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from monitor.config import ModelConfig, parse_config

START_MS = 1_700_006_400_000  # Wednesday 2023-11-15 00:00 UTC


def model(**changes: Any) -> ModelConfig:
    """A model with features of each kind; ``changes`` replace parts of the tree."""
    tree: dict[str, Any] = {
        "name": "churn",
        "predictions": {
            "topic": "predictions",
            "id": "id",
            "time": {"path": "ts", "unit": "ms"},
            "model_version": "version",
            "score": "prediction.score",
            "predicted_class": "prediction.label",
        },
        "features": [
            {"name": "amount", "type": "numeric", "path": "features.amount"},
            {"name": "visits", "type": "numeric", "path": "features.visits", "range": [0, 50]},
            {"name": "plan", "type": "categorical", "path": "features.plan"},
            {"name": "tier", "type": "categorical", "path": "features.tier", "values": "integer"},
            {"name": "new", "type": "categorical", "path": "features.new", "values": "boolean"},
        ],
        "segments": {
            "columns": {"country": "country", "device": "device"},
            "groupings": [["country"], ["device"], ["country", "device"]],
        },
        "windows": {"lateness": "10m"},
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            tree[key] = tree[key] | value
        else:
            tree[key] = value
    return parse_config({"source": {"client": "ndjson", "path": "none"}, "models": [tree]}).models[0]


def flat_rows(n: int, *, seed: int = 1, step_ms: int = 60_000) -> list[dict[str, Any]]:
    """Rows as a table has them, times rising by ``step_ms``; some values are missing."""
    random = np.random.default_rng(seed)
    amount = np.round(random.lognormal(3, 1, n), 2)
    visits = random.poisson(3, n) * random.integers(0, 2, n)
    score = np.round(random.beta(2, 5, n), 6)
    columns = {
        "id": [f"r{i}" for i in range(n)],
        "ts": (START_MS + np.arange(n) * step_ms).tolist(),
        "version": ["3"] * n,
        "country": random.choice(["FR", "DE", "ES"], n, p=[0.6, 0.3, 0.1]).tolist(),
        "device": random.choice(["ios", "web"], n).tolist(),
        "amount": _with_gaps(amount.tolist(), random.random(n) < 0.1),
        "visits": visits.tolist(),
        "plan": _with_gaps(random.choice(["free", "pro", "team"], n, p=[0.7, 0.2, 0.1]).tolist(), random.random(n) < 0.05),
        "tier": random.integers(1, 4, n).tolist(),
        "new": (random.random(n) < 0.2).tolist(),
        "score": score.tolist(),
        "label": np.where(score > 0.5, "yes", "no").tolist(),
        "truth": np.where(random.random(n) < score, "yes", "no").tolist(),
        "known": (START_MS + np.arange(n) * step_ms + random.integers(0, 200, n) * 3_600_000).tolist(),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _with_gaps(values: list[Any], gaps: np.ndarray) -> list[Any]:
    return [None if gap else value for value, gap in zip(values, gaps.tolist(), strict=True)]


def event(row: dict[str, Any]) -> dict[str, Any]:
    """A row in the shape of production's events."""
    return {
        "id": row["id"],
        "ts": row["ts"],
        "version": row["version"],
        "country": row["country"],
        "device": row["device"],
        "features": {name: row[name] for name in ("amount", "visits", "plan", "tier", "new")},
        "prediction": {"score": row["score"], "label": row["label"]},
        "truth": row["truth"],
        "known": row["known"],
    }


def write_ndjson(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event(row)) + "\n" for row in rows))
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=1_000)
    return path
