"""The first reading of the data: everything from which the cells and segments are chosen, in bounded memory.

Decoding gives codes to categories that a layout knows, and here there is none yet. So the text of a category is read
as a segment value: each categorical signal is added to the segment columns for this reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.batch import Batch, RejectReason
from monitor.config.model import PREDICTED_CLASS, SCORE, ModelConfig
from monitor.decode import Decoder
from monitor.profile.bare import signal_names
from monitor.profile.layout import Layout, SignalBins
from monitor.reference.classes import THRESHOLD_CLASSES
from monitor.reference.edges import numeric_edges
from monitor.reference.labels import LABEL
from monitor.reference.leaves import Leaf, bases, leaves_of
from monitor.reference.mapping import with_columns
from monitor.reference.sample import SAMPLE_ROWS, FrequentValues, Numbers, Reservoir
from monitor.segment import MISSING

CATEGORY_CELLS = 40
KNOWN_CATEGORIES = 1_000
"""The most frequent categories have a cell each, the next are known and counted together, the rest count as unseen."""

_KEPT_CATEGORIES = 10_000
_KEPT_SEGMENTS = 50_000
_LONGEST_CATEGORY = 1_000


def survey_model(model: ModelConfig) -> ModelConfig:
    """The model with a further segment column for the text of each categorical signal that stands in the event."""
    paths = {feature.name: feature.where for feature in model.features if feature.type == "categorical"}
    if model.predictions.predicted_class is not None:
        paths[PREDICTED_CLASS] = model.predictions.predicted_class
    wider = with_columns(model, {_column(name): path for name, path in paths.items()})
    return wider.model_copy(update={"segments": wider.segments.model_copy(update={"max_value_length": _LONGEST_CATEGORY})})


CATEGORY_OF = "category of "  # no column of a user: those cannot be paths and names at once


def _column(signal: str) -> str:
    return f"{CATEGORY_OF}{signal}"


def survey_decoder(model: ModelConfig) -> Decoder:
    """Decodes what ``Survey.add`` takes. Categories stay as they are: production looks them up as they stand in the event."""
    surveyed = survey_model(model)
    return Decoder(surveyed, {}, verbatim=[column for column in surveyed.segments.columns if is_category(column)])


def is_category(column: str) -> bool:
    """Whether a segment column is one that ``survey_model`` added for the text of a category."""
    return column.startswith(CATEGORY_OF)


@dataclass(eq=False)
class Survey:
    """What the first reading found."""

    model: ModelConfig
    version: str | None  # rows of other versions are left out; None: all count
    seed: int = 0
    sample_rows: int = SAMPLE_ROWS
    rows: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    rejected: dict[RejectReason, int] = field(default_factory=dict)
    versions: FrequentValues[str] = field(default_factory=lambda: FrequentValues(1_000))

    def __post_init__(self) -> None:
        self.names = signal_names(self.model)
        self.reservoir = Reservoir(len(self.names), self.sample_rows, self.seed)
        features = {feature.name: feature for feature in self.model.features}
        self.numbers: dict[int, Numbers] = {}
        self.categories: dict[int, FrequentValues[str]] = {}
        for place, name in enumerate(self.names):
            feature = features.get(name)
            if name == SCORE or (feature is not None and feature.type == "numeric"):
                self.numbers[place] = Numbers(None if feature is None else feature.range)
            else:
                self.categories[place] = FrequentValues(_KEPT_CATEGORIES)
        self.labels: FrequentValues[str] = FrequentValues(_KEPT_CATEGORIES)
        self.columns = tuple(survey_model(self.model).segments.columns)
        segments = self.model.segments
        self.bases = bases(tuple(segments.columns), segments.groupings)
        kept = max(_KEPT_SEGMENTS, 4 * segments.max_segments)
        self.leaves: list[FrequentValues[Leaf]] = [FrequentValues(kept) for _ in self.bases]

    def add(self, batch: Batch) -> None:
        """Add rows decoded with ``survey_model``."""
        for reason in np.flatnonzero(batch.rejected).tolist():
            self.rejected[RejectReason(reason)] = self.rejected.get(RejectReason(reason), 0) + int(batch.rejected[reason])
        rows = np.bincount(batch.version, minlength=len(batch.versions)).tolist()
        self.versions.add((name, n) for name, n in zip(batch.versions, rows, strict=True) if n)
        chosen = rows_of_version(batch, self.version)
        if not len(chosen):
            return
        self.rows += len(chosen)
        times = batch.time_ms[chosen]
        self.start_ms = int(times.min()) if self.start_ms is None else min(self.start_ms, int(times.min()))
        self.end_ms = int(times.max()) if self.end_ms is None else max(self.end_ms, int(times.max()))
        values = batch.values[chosen]
        self.reservoir.add(values)
        for place, numbers in self.numbers.items():
            column = values[:, place]
            numbers.add(column[~np.isnan(column)])
        for place, categories in self.categories.items():
            self._add_texts(categories, _column(self.names[place]), batch, chosen[~np.isnan(values[:, place])])
        self._add_texts(self.labels, LABEL, batch, chosen)
        for base, seen in zip(self.bases, self.leaves, strict=True):
            found, group = leaves_of(batch, base)
            rows = np.bincount(group[chosen], minlength=len(found)).tolist()
            seen.add((self._cut(leaf), n) for leaf, n in zip(found, rows, strict=True) if n)

    @property
    def predicted(self) -> dict[str, int]:
        """Rows by predicted class that stands in the event; none where it follows from the score."""
        return self.categories[self.names.index(PREDICTED_CLASS)].counts if PREDICTED_CLASS in self.names else {}

    def _cut(self, leaf: Leaf) -> Leaf:
        length = self.model.segments.max_value_length
        return tuple(value if value == MISSING else value[:length] for value in leaf)

    def _add_texts(self, texts: FrequentValues[str], column: str, batch: Batch, rows: np.ndarray) -> None:
        if column in self.columns:
            at = self.columns.index(column)
            known = batch.segment_values[at]
            counts = np.bincount(batch.segments[rows, at], minlength=len(known)).tolist()
            # A category may have any text; those of rows without one were left out by the caller.
            texts.add((value, n) for value, n in zip(known, counts, strict=True) if n and (value != MISSING or is_category(column)))

    def layout(self) -> Layout:
        """The cells that the second reading and production are counted in."""
        features = {feature.name: feature for feature in self.model.features}
        signals = []
        for place, name in enumerate(self.names):
            feature = features.get(name)
            if place in self.numbers:
                signals.append(self._numeric(place, name))
            elif name == PREDICTED_CLASS and self.model.predictions.predicted_class is None:
                signals.append(SignalBins(name, "categorical", categories=THRESHOLD_CLASSES))
            else:
                declared = None if feature is None else feature.categories
                signals.append(_categorical(name, self.categories[place].most(KNOWN_CATEGORIES), declared))
        return Layout(tuple(signals))

    def _numeric(self, place: int, name: str) -> SignalBins:
        numbers = self.numbers[place]
        sample = self.reservoir.values[:, place]
        inside = (sample >= numbers.low_inside) & (sample <= numbers.high_inside)  # never true for NaN
        edges = numeric_edges(
            sample[inside],
            numbers.low_inside,
            numbers.high_inside,
            distinct=numbers.distinct,
            declared=numbers.range,
            probability=name == SCORE,
        )
        return SignalBins(name, "numeric", edges=edges, range=numbers.range)


def rows_of_version(batch: Batch, version: str | None) -> np.ndarray:
    """Indices of the rows of one version, of all rows for None."""
    if version is None:
        return np.arange(len(batch))
    codes = [code for code, name in enumerate(batch.versions) if name == version]
    return np.flatnonzero(np.isin(batch.version, codes))


def _categorical(name: str, known: Sequence[str], declared: tuple[str, ...] | None) -> SignalBins:
    if declared is not None:
        known = [value for value in known if value in declared]
    return SignalBins(name, "categorical", categories=tuple(known[:CATEGORY_CELLS]), tail=tuple(known[CATEGORY_CELLS:]), declared=declared)
