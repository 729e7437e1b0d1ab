"""Detectors of river on the means of panes, for those who want them.

A detector sees one number per closed pane and segment: the mean of a signal, computed from the counts with the mean
that the reference's values have in each cell, and the size of what lies beyond all edges. Panes without a value are
left out, so NaN never reaches a detector (after a single NaN, ADWIN stays blind for good). What a detector says is
reported, never turned into a trigger.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.config import RiverDetector
from monitor.evaluate.cells import beyond, cell_bounds, cell_positions
from monitor.profile.layout import FAULT_CELLS, Role
from monitor.profile.table import TAIL_SCALE, CountTable
from monitor.reference.reference import Reference
from monitor.segment import ALL


@dataclass(eq=False)
class Watched:
    """One detector on one segment."""

    detector: Any  # has update(float) and drift_detected
    alarms: int = 0
    last_alarm_ms: int | None = None


@dataclass(eq=False)
class RiverWatch:
    """All configured detectors of a model version; made for a segment when it first has a mean."""

    configured: Sequence[RiverDetector]
    watched: dict[tuple[int, str], Watched] = field(default_factory=dict)  # (index of the configuration, segment)

    def update(self, table: CountTable, reference: Reference | None, pane_end_ms: int) -> None:
        """Show the means of a closed pane to the detectors. Without a reference cells have no means: nothing is shown."""
        if reference is None:
            return
        for index, config in enumerate(self.configured):
            segments, means = pane_means(table, reference, config.signal)
            for segment, mean in zip(segments, means.tolist(), strict=True):
                if config.segments == "all" and segment != ALL:
                    continue
                watched = self.watched.get((index, segment))
                if watched is None:
                    watched = self.watched[index, segment] = Watched(build(config))
                watched.detector.update(mean)
                if watched.detector.drift_detected:
                    watched.alarms += 1
                    watched.last_alarm_ms = pane_end_ms

    def forget(self, segments: set[str]) -> None:
        """Drop the detectors of segments that vanished."""
        self.watched = {key: watched for key, watched in self.watched.items() if key[1] not in segments}


def build(config: RiverDetector) -> Any:
    """The detector as configured. One that draws at random has the seed 0 unless another is given, so that a replay says the same."""
    module, _, name = config.river.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    seeded = {"seed": 0} if "seed" in inspect.signature(kind).parameters and config.parameters.get("seed") is None else {}
    return kind(**config.parameters | seeded)


_LARGEST = 2.0**500


def pane_means(table: CountTable, reference: Reference, signal: str) -> tuple[list[str], NDArray[np.float64]]:
    """Mean of a numeric signal for each segment that has a value in it. Values outside the declared range take no part.

    Values are where the reference's are in their cell; those beyond all edges count with their size, those between the reference's and the
    end of the declared range as the nearest of the reference's. Sizes beyond 2**500 count as that: sums of them, and what detectors make
    of their squares, stay finite.
    """
    index = table.layout.names.index(signal)
    bins, span = table.layout.signals[index], table.layout.span(index)
    cells = slice(span.start + FAULT_CELLS, span.stop)
    if not np.isfinite(reference.bin_means[cells]).any():
        return [], np.zeros(0)  # the reference has no value: nothing tells where any is
    counts = table.counts[:, cells] * (table.layout.roles[cells] == Role.VALUE).astype(np.float64)
    totals = counts.sum(axis=1)
    some = np.flatnonzero(totals > 0)
    counts, logs = counts[some], table.tails[some, index] / TAIL_SCALE
    position = np.clip(cell_positions(*cell_bounds(bins), reference.bin_means[cells]), -_LARGEST, _LARGEST)
    low, high = float(position[0]), float(position[-1])
    under = np.maximum(-beyond(counts[:, 0], logs[:, 0], -low), -_LARGEST) - low
    over = np.minimum(beyond(counts[:, -1], logs[:, 1], high), _LARGEST) - high
    sums = counts @ position + counts[:, 0] * under + counts[:, -1] * over
    return [table.segments[row] for row in some], sums / totals[some]


_SAFE = {
    "builtins": {"set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "object", "bytearray"},
    "collections": {"deque", "defaultdict", "OrderedDict"},
    "copyreg": {"_reconstructor"},
    "_codecs": {"encode"},
    "random": {"Random"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}


def _river_attribute(owner: Any, name: str) -> Any:
    """The attribute of an object of river: pickled bound methods need it, and nothing else may have it."""
    if not type(owner).__module__.startswith("river.") or name.startswith("__"):
        raise pickle.UnpicklingError(f"expected an attribute of a detector of river, got {name!r} of {type(owner).__name__}")
    return getattr(owner, name)


class _Unpickler(pickle.Unpickler):
    """Loads detectors of river and nothing that could run a command."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "getattr"):
            return _river_attribute
        if "." in name or not (module.startswith("river.") or name in _SAFE.get(module, ())):
            raise pickle.UnpicklingError(f"expected a detector of river, got {module}.{name}")
        return super().find_class(module, name)


def _definitions(configured: Sequence[RiverDetector]) -> list[str]:
    """What each detector is, apart from its place in the configuration; equal ones are numbered."""
    texts = [detector.model_dump_json() for detector in configured]
    return [f"{texts[:index].count(text)} {text}" for index, text in enumerate(texts)]


def pack_river(watch: RiverWatch) -> bytes:
    """The detectors as bytes, for the state."""
    names = _definitions(watch.configured)
    entries = [(names[index], segment, w.detector, w.alarms, w.last_alarm_ms) for (index, segment), w in sorted(watch.watched.items())]
    return pickle.dumps(entries, protocol=5)


def unpack_river(data: bytes, configured: Sequence[RiverDetector]) -> RiverWatch:
    """The detectors of ``pack_river`` that are still configured. Raises ``ValueError`` for bytes that hold anything else."""
    places = {definition: index for index, definition in enumerate(_definitions(configured))}
    try:
        entries = _Unpickler(io.BytesIO(data)).load()
        return RiverWatch(
            configured, {(places[definition], segment): Watched(*rest) for definition, segment, *rest in entries if definition in places}
        )
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"expected saved detectors of river: {error}") from error
