"""What is counted: for each signal its cells, and for a model all cells in one row.

A signal is a feature, the score or the predicted class. Its cells are, in this order,

    missing, invalid, non_finite, then the value cells

    numeric      k edges make k + 1 value cells: cell i holds the values with exactly i edges <= x.
                 Edges come from the reference: its smallest value, quantiles with fine tails, just above its
                 largest; so the first and the last cell are under- and overflow. A declared range adds its ends as
                 edges, and the cells outside it are OUT_OF_RANGE.
    categorical  a cell per category of the reference, then ``other`` (rarer ones the reference knew), ``unseen`` (ones
                 it did not) and ``out_of_range`` (outside the declared list).

Counts of two layouts never mix: a signal's identity is all of this, kept in its fingerprint.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.segment import shown_category


class Role(IntEnum):
    """What a cell says about the values in it."""

    MISSING = 0
    INVALID = 1
    NON_FINITE = 2
    VALUE = 3  # takes part in distances
    UNSEEN = 4  # takes part in distances
    OUT_OF_RANGE = 5


FAULT_CELLS = 3
"""Every signal begins with the cells of MISSING, INVALID and NON_FINITE."""

MAX_CELLS = 256  # the index of a cell within its signal fits one byte
MAX_EDGES = 250
MAX_CATEGORIES = MAX_CELLS - FAULT_CELLS - 3  # beside other, unseen and out_of_range; further ones belong to the tail


@dataclass(frozen=True, slots=True)
class SignalBins:
    """The cells of one signal. Raises ``ValueError`` for edges that do not increase, and for more edges or categories than have cells."""

    name: str
    kind: Literal["numeric", "categorical"]
    edges: tuple[float, ...] = ()
    range: tuple[float, float] | None = None
    categories: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    declared: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.edges) > MAX_EDGES:
            raise ValueError(f"{self.name}: expected at most {MAX_EDGES} edges, got {len(self.edges)}")
        if len(self.categories) > MAX_CATEGORIES:
            raise ValueError(f"{self.name}: expected at most {MAX_CATEGORIES} categories with a cell each, got {len(self.categories)}")
        if any(not a < b for a, b in zip(self.edges, self.edges[1:], strict=False)) or not all(map(math.isfinite, self.edges)):
            raise ValueError(f"{self.name}: expected finite, increasing edges")

    @property
    def cells(self) -> int:
        """Number of cells, the fault cells included."""
        return FAULT_CELLS + (len(self.edges) + 1 if self.kind == "numeric" else len(self.categories) + 3)

    @property
    def roles(self) -> list[Role]:
        """Role of each cell."""
        faults = [Role.MISSING, Role.INVALID, Role.NON_FINITE]
        if self.kind == "categorical":
            return [*faults, *[Role.VALUE] * (len(self.categories) + 1), Role.UNSEEN, Role.OUT_OF_RANGE]
        values = [Role.VALUE] * (len(self.edges) + 1)
        if self.range is not None:
            low, above = self.range[0], math.nextafter(self.range[1], math.inf)
            for i, _ in enumerate(values):
                # Cell i lies between edge i-1 and edge i, and the ends of the range are edges.
                if (i < len(self.edges) and self.edges[i] <= low) or (i > 0 and self.edges[i - 1] >= above):
                    values[i] = Role.OUT_OF_RANGE
        return [*faults, *values]

    def labels(self) -> list[str]:
        """A short name for each cell, for people."""
        faults = ["missing", "invalid", "non-finite"]
        if self.kind == "categorical":
            return [*faults, *map(shown_category, self.categories), "other", "unseen", "out of range"]
        if not self.edges:
            return [*faults, "any value"]
        shown = [f"{edge:.6g}" for edge in self.edges]
        # A value that is often met has a cell of its own, between itself and the next number that a machine can tell apart.
        between = [a if a == b else f"{a} to {b}" for a, b in itertools.pairwise(shown)]
        return [*faults, f"below {shown[0]}", *between, f"{shown[-1]} and above"]

    def cells_of_categories(self, values: Iterable[str | None]) -> list[int]:
        """Cell of each category; None stands for one that no reference knows."""
        other = FAULT_CELLS + len(self.categories)
        unseen, out_of_range = other + 1, other + 2
        cells: dict[str | None, int] = dict.fromkeys(self.tail, other)
        cells.update(zip(self.categories, range(FAULT_CELLS, other), strict=True))
        if self.declared is None:
            return [cells.get(value, unseen) for value in values]
        declared = {*self.declared}
        return [cells.get(value, unseen) if value in declared else out_of_range for value in values]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that defines the cells."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


@dataclass(frozen=True)
class Layout:
    """All cells of a model version in one row: signals side by side."""

    signals: tuple[SignalBins, ...]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """[signals + 1] first cell of each signal; the last entry is the number of cells."""
        return np.concatenate([[0], np.cumsum([signal.cells for signal in self.signals], dtype=np.int64)])

    @property
    def cells(self) -> int:
        """Cells in all."""
        return int(self.offsets[-1])

    @cached_property
    def roles(self) -> NDArray[np.uint8]:
        """[cells] ``Role``."""
        return np.array([role for signal in self.signals for role in signal.roles], dtype=np.uint8)

    @cached_property
    def signal_of_cell(self) -> NDArray[np.int64]:
        """[cells] index of the signal a cell belongs to."""
        return np.repeat(np.arange(len(self.signals)), [signal.cells for signal in self.signals])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the signals."""
        return tuple(signal.name for signal in self.signals)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the signals' fingerprints."""
        return hashlib.sha256("".join(signal.fingerprint for signal in self.signals).encode()).hexdigest()

    def span(self, index: int) -> slice:
        """The cells of one signal."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))


Vocabulary = Mapping[str, tuple[str, ...]]
"""Per categorical signal the categories that decoding gives codes 0, 1, … to."""


def vocabulary(layouts: Sequence[Layout], more: Mapping[str, Iterable[str]] = MappingProxyType({})) -> dict[str, tuple[str, ...]]:
    """Categories known to any of the layouts, and more, per categorical signal, sorted: the codes of decoding."""
    known = {name: set(values) for name, values in more.items()}
    for layout in layouts:
        for signal in layout.signals:
            if signal.kind == "categorical":
                known.setdefault(signal.name, set()).update(signal.categories, signal.tail, signal.declared or ())
    return {name: tuple(sorted(values)) for name, values in known.items()}
