"""Planting a drift into rows: pure, and the same rows are changed whatever the batches, since the ids choose them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.batch import UNSEEN, Batch, Float64, Labels
from monitor.config import ModelConfig
from monitor.config.drill import FITTING, PlantedDrift
from monitor.config.labels import Labels as LabelsConfig
from monitor.profile.bare import signal_names
from monitor.profile.layout import FAULT_CELLS, Role
from monitor.reference.reference import Reference
from monitor.segment import ALL, parse_key

Bools = NDArray[np.bool_]


Change = Callable[[Float64, Bools], Float64]
"""Values, and which of them it is about: values after."""


class NotPlantableError(ValueError):
    """A drift cannot be planted into a model's rows; says why."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A drift that is planted from ``start_ms`` on, by the time of the row: of predictions, or of labels."""

    drift: PlantedDrift
    config: ModelConfig
    signal: str  # "" for labels
    start_ms: int
    change: Change
    share: float = 1.0  # of the rows, by their ids

    def batch(self, batch: Batch) -> Batch:
        """Predictions with the drift in them."""
        if not self.signal or not len(batch):
            return batch
        rows = (batch.time_ms >= self.start_ms) & self._segment(batch)
        if not rows.any():
            return batch
        column = signal_names(self.config).index(self.signal)
        values = batch.values.copy()
        values[:, column] = self.change(values[:, column], rows & chosen(batch.ids, self.drift.name, self.share))
        return replace(batch, values=values)

    def labels(self, labels: Labels) -> Labels:
        """Labels with the drift in them."""
        if self.signal or not len(labels):
            return labels
        rows = labels.time_ms >= self.start_ms
        return replace(labels, value=self.change(labels.value, rows & chosen(labels.ids, self.drift.name, self.share)))

    def _segment(self, batch: Batch) -> Bools:
        found = np.ones(len(batch), np.bool_)
        columns = tuple(self.config.segments.columns)
        for column, value in zip(*parse_key(self.drift.segment or ALL), strict=True):
            place = columns.index(column)
            codes = [code for code, known in enumerate(batch.segment_values[place]) if known == value]
            found &= np.isin(batch.segments[:, place], codes)
        return found


def chosen(ids: NDArray[np.uint64], name: str, share: float) -> Bools:
    """[n] a share of rows, by their 128-bit ids [n, 2]: the same ones wherever they come, and others under another name."""
    if share >= 1:
        return np.ones(len(ids), np.bool_)
    salt = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], np.uint64)[0]
    # The ids are hashes, so any 64 of their bits are uniform; the multiplication spreads what the salt has changed (splitmix64).
    mixed = (ids[:, 0] ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    return np.asarray(mixed < np.uint64(int(share * 2.0**64)))


def plant_of(
    drift: PlantedDrift, config: ModelConfig, references: Sequence[Reference], vocabulary: Mapping[str, tuple[str, ...]], start_ms: int
) -> Plant:
    """The drift for one model. Raises ``NotPlantableError`` where the model has nothing that it fits."""
    signals = drift.fits(config)
    if not signals:
        types = {each.name: each.type for each in config.features}
        if drift.model in (None, config.name) and drift.effect != "wrong_labels" and drift.feature in types:
            fitting = ", ".join(effect for effect, fit in FITTING.items() if types[drift.feature] in fit)
            raise NotPlantableError(
                f"{drift.name}: expected one of {fitting} for feature {drift.feature} of model {config.name}, which is"
                f" {types[drift.feature]}, got {drift.effect}"
            )
        what = "labels" if drift.effect == "wrong_labels" else f"feature {drift.feature}" if drift.feature else "feature that it fits"
        raise NotPlantableError(f"{drift.name}: model {config.name} has no {what}")
    _check_segment(drift, config)
    if drift.effect == "wrong_labels":
        assert config.labels is not None
        return Plant(drift, config, "", start_ms, _wrong(config.labels, references), drift.size)
    reasons = []
    for signal in signals:
        try:
            return Plant(drift, config, signal, start_ms, *_change(drift, signal, references, vocabulary))
        except NotPlantableError as error:
            reasons.append(str(error))
    raise NotPlantableError(reasons[0])


def _check_segment(drift: PlantedDrift, config: ModelConfig) -> None:
    unknown = [column for column in parse_key(drift.segment or ALL)[0] if column not in config.segments.columns]
    if unknown or (drift.segment not in (None, ALL) and not parse_key(drift.segment or ALL)[0]):
        known = ", ".join(config.segments.columns) or "none"
        raise NotPlantableError(f"{drift.name}: expected a segment of the columns {known}, such as country=FR, got {drift.segment}")


def _change(
    drift: PlantedDrift, signal: str, references: Sequence[Reference], vocabulary: Mapping[str, tuple[str, ...]]
) -> tuple[Change, float]:
    """What happens to a value, and to which share of the rows."""
    size = drift.size
    match drift.effect:
        case "missing":
            return lambda values, rows: np.where(rows, np.nan, values), size
        case "unseen":
            return lambda values, rows: np.where(rows & ~np.isnan(values), UNSEEN, values), size
        case "moved":
            first, second, share = _categories(drift, signal, references, vocabulary)
            return lambda values, rows: np.where(rows & (values == first), second, values), min(size / share, 1.0)
    mean, std = _moments(drift, signal, references)
    if drift.effect == "shift":
        return lambda values, rows: np.where(rows, values + size * std, values), 1.0
    return lambda values, rows: np.where(rows, mean + (values - mean) * size, values), 1.0


def _moments(drift: PlantedDrift, signal: str, references: Sequence[Reference]) -> tuple[float, float]:
    """Mean and standard deviation in the reference of most rows."""
    for reference in sorted(references, key=lambda each: -each.rows):
        if signal in reference.layout.names:
            place = reference.layout.names.index(signal)
            mean, std = float(reference.means[place]), float(reference.stds[place])
            if np.isfinite(mean) and std > 0:
                return mean, std
    raise NotPlantableError(f"{drift.name}: expected a reference with a standard deviation of {signal}, got none")


def _categories(
    drift: PlantedDrift, signal: str, references: Sequence[Reference], vocabulary: Mapping[str, tuple[str, ...]]
) -> tuple[float, float, float]:
    """Codes of the most and the second most frequent category of the reference of most rows, and the share of the first."""
    for reference in sorted(references, key=lambda each: -each.rows):
        if signal not in reference.layout.names or ALL not in reference.table.segments:
            continue
        place = reference.layout.names.index(signal)
        span = reference.layout.span(place)
        counts = reference.table.counts[reference.table.segments.index(ALL), span]
        categories = reference.layout.signals[place].categories
        values = np.flatnonzero(reference.layout.roles[span] == Role.VALUE) - FAULT_CELLS
        shares = sorted(((int(counts[cell + FAULT_CELLS]), cell) for cell in values.tolist() if cell < len(categories)), reverse=True)
        if len(shares) >= 2:
            codes = vocabulary[signal]
            first, second = (float(codes.index(categories[cell])) for _, cell in shares[:2])
            return first, second, max(shares[0][0], 1) / max(int(counts.sum()), 1)
    raise NotPlantableError(f"{drift.name}: expected a reference with two categories of {signal}, got none")


def _wrong(labels: LabelsConfig, references: Sequence[Reference]) -> Change:
    if labels.task != "regression":
        classes = len(labels.class_names)
        return lambda values, rows: np.where(rows, (values + 1) % classes, values)
    scale = labels.target_scale or next((float(std) for each in references for std in each.stds[-1:] if std > 0), 1.0)
    return lambda values, rows: np.where(rows, values + scale, values)
