"""A trained model as a JSON file, and its score for one request. The standard library alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Features = Mapping[str, str | float | None]


class RequestError(ValueError):
    """A request that the model cannot score; the message is for the client."""


@dataclass(frozen=True, slots=True)
class NumericTerm:
    """A numeric input: its standard score times a weight, or a weight of its own when it is missing."""

    mean: float
    std: float
    weight: float
    missing_weight: float


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic regression. A category that training did not see has no weight, and so no say."""

    name: str
    version: str
    intercept: float
    numeric: Mapping[str, NumericTerm]
    categorical: Mapping[str, Mapping[str, float]]

    @property
    def inputs(self) -> frozenset[str]:
        """Names of all features."""
        return frozenset(self.numeric) | frozenset(self.categorical)

    def score(self, features: Features) -> float:
        """Probability of the positive class. Absent features and null are missing. Raises ``RequestError`` on a value of another type."""
        unknown = sorted(set(features) - self.inputs)
        if unknown:
            raise RequestError(f"features: expected some of {', '.join(sorted(self.inputs))}, got {unknown[0][:100]!r}")
        linear = self.intercept
        for name, term in self.numeric.items():
            value = features.get(name)
            if value is None:
                linear += term.missing_weight
            elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise RequestError(f"features.{name}: expected a finite number or null, got {str(value)[:100]!r}")
            else:
                linear += (value - term.mean) / term.std * term.weight
        for name, weights in self.categorical.items():
            value = features.get(name)
            if value is not None and not isinstance(value, str):
                raise RequestError(f"features.{name}: expected text or null, got {str(value)[:100]!r}")
            linear += 0.0 if value is None else weights.get(value, 0.0)
        if math.isnan(linear):
            raise RequestError("features: expected numbers whose weighted sum is one, got values that are too large")
        return 0.5 * (1.0 + math.tanh(0.5 * linear))  # the logistic function, without overflow


def load_model(path: Path) -> Model:
    """Read a model that ``train.py`` wrote."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    numeric = {name: NumericTerm(**term) for name, term in tree["numeric"].items()}
    return Model(tree["name"], tree["version"], tree["intercept"], numeric, tree["categorical"])
